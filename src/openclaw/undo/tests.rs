//! Edits, what others do in between, and taking ours back.
use super::*;
use crate::openclaw::entry::HOOK;
use serde_json::json;

const FILE: &str = "/home/tester/.openclaw/openclaw.json";
const OLD_TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.old.signature";

/// A file with its record.
struct Desk {
    bytes: Option<Vec<u8>>,
    undo: Undo,
}

impl Desk {
    fn new(text: Option<&str>) -> Self {
        Self {
            bytes: text.map(|text| text.as_bytes().to_vec()),
            undo: Undo::default(),
        }
    }

    fn text(&self) -> &str {
        std::str::from_utf8(self.bytes.as_deref().unwrap_or_default()).unwrap()
    }

    /// Somebody else's edit of the text.
    fn others(&mut self, from: &str, to: &str) -> &mut Self {
        assert_eq!(self.text().matches(from).count(), 1, "{from} in {}", self.text());
        self.bytes = Some(self.text().replace(from, to).into_bytes());
        self
    }

    /// Our edit, recorded; the record goes through its file each time.
    fn ours(&mut self, edit: impl FnOnce(&mut Value)) -> &mut Self {
        let document = Document::parse(self.bytes.as_deref().unwrap_or_default()).unwrap();
        let mut after = document.value().clone();
        edit(&mut after);
        let edited = document.edit(&after).unwrap();
        self.undo.note(
            FILE,
            &Change {
                old: self.bytes.as_deref().map(|bytes| std::str::from_utf8(bytes).unwrap()),
                before: document.value(),
                edited: &edited,
                after: &after,
            },
        );
        self.undo = Undo::from_json(&self.undo.to_json()).unwrap();
        self.bytes = Some(edited.document.to_string().into_bytes());
        self
    }

    fn install(&mut self, token: &str) -> &mut Self {
        self.ours(|value| {
            value["hooks"]["internal"]["enabled"] = json!(true);
            let entry = &mut value["hooks"]["internal"]["entries"][HOOK];
            entry["enabled"] = json!(true);
            entry["env"]["SIGILUM_NAMESPACE"] = json!("johndee");
            entry["env"]["SIGILUM_OWNER_TOKEN"] = json!(token);
        })
    }

    fn restored_value(&self) -> Value {
        self.restore().document.into_value()
    }

    fn restore(&self) -> Restored {
        self.undo
            .restore(FILE, self.bytes.as_deref().unwrap_or_default())
            .unwrap()
    }

    #[track_caller]
    fn assert_restores(&self, text: &str) {
        assert_eq!(self.restore().document.as_str(), text);
    }

    fn recorded(&self, text: &str) -> bool {
        String::from_utf8(self.undo.to_json()).unwrap().contains(text)
    }
}

const CONFIG: &str =
    "{\n  // mine\n  gateway: { mode: 'local' }, // local\n  hooks: { internal: { enabled : false } },\n}\n";

#[test]
fn the_bytes_come_back_after_any_number_of_edits_and_the_record_does_not_grow() {
    for text in [
        "{}",
        "{ }",
        "",
        " \n",
        "{\n}",
        "{/**/}",
        "\u{FEFF}{}",
        CONFIG,
        "{\"hooks\":{\"internal\":{}}}",
        "{a:1,}",
    ] {
        let mut desk = Desk::new(Some(text));
        desk.install("first.token.aaaa").install("again.token.aaaa");
        let size = desk.undo.to_json().len();
        for token in ["second.token.bbbbbbb", "third", "fourth.token.dddd"] {
            desk.install(token);
            assert!(!desk.recorded(token));
        }
        assert!(desk.undo.to_json().len() <= size + 2, "{text:?}");
        let restored = desk.restore();
        assert!(restored.exact && !restored.delete_file, "{text:?}");
        desk.assert_restores(text);
        // Taken out by an edit of ours: as if nothing had been.
        desk.ours(|value| *value = Document::parse(text.as_bytes()).unwrap().into_value());
        desk.assert_restores(text);
        if desk.text() == text {
            assert!(
                desk.undo.is_empty(),
                "{}",
                String::from_utf8(desk.undo.to_json()).unwrap()
            );
        }
    }
}

#[test]
fn an_edit_that_was_recorded_but_never_reached_the_file_does_no_harm() {
    for text in [None, Some(""), Some(CONFIG)] {
        let mut desk = Desk::new(text);
        for token in ["one", "two", "three"] {
            let before = desk.bytes.clone();
            desk.install("lost.with.the.power");
            desk.bytes = before;
            if desk.bytes.is_some() {
                let value = Document::parse(text.unwrap_or_default().as_bytes())
                    .unwrap()
                    .into_value();
                assert_eq!(desk.restored_value(), value);
                desk.assert_restores(text.unwrap_or_default());
            }
            desk.install(token);
            desk.assert_restores(text.unwrap_or_default());
            assert_eq!(desk.restore().delete_file, text.is_none());
            assert!(desk.restore().exact);
        }
    }
}

#[test]
fn a_file_that_we_made_goes_unless_others_put_something_in() {
    let mut desk = Desk::new(None);
    desk.install("token");
    assert!(desk.restore().delete_file);
    desk.others("\n}", "\n}\n");
    assert!(desk.restore().delete_file, "white space is nothing");

    let mut desk = Desk::new(None);
    desk.install("token")
        .others("{\n  \"hooks\"", "{\n  // keep me\n  \"hooks\"");
    assert!(!desk.restore().delete_file);
    desk.assert_restores("{\n  // keep me\n}\n");

    let mut desk = Desk::new(None);
    desk.install("token")
        .others("{\n  \"hooks\"", "{\n  \"meta\": {},\n  \"hooks\"");
    assert!(!desk.restore().delete_file);
    desk.assert_restores("{\n  \"meta\": {}\n}\n");

    let mut desk = Desk::new(Some(""));
    desk.install("token");
    assert!(!desk.restore().delete_file, "it was there before");
}

#[test]
fn edits_of_others_elsewhere_keep_their_place_and_ours_still_goes_to_the_byte() {
    let theirs = |text: &str| {
        text.replace("// mine", "// mine, and more\n  meta: {},")
            .replace("'local' }, // local", "'local', port: 1 },")
    };
    let mut desk = Desk::new(Some(CONFIG));
    desk.install("token.one")
        .others("// mine", "// mine, and more\n  meta: {},");
    desk.install("token.two")
        .others("'local' }, // local", "'local', port: 1 },");
    assert!(desk.restore().exact);
    desk.assert_restores(&theirs(CONFIG));
    desk.install("token.three");
    assert!(desk.restore().exact);
    desk.assert_restores(&theirs(CONFIG));
}

#[test]
fn what_others_put_into_objects_that_we_made_stays() {
    let mut desk = Desk::new(Some("{\n  \"a\": 1\n}\n"));
    desk.install("token")
        .others("\"entries\": {", "\"entries\": {\n        \"session-memory\": {},");
    assert!(!desk.restore().exact);
    let restored = desk.restore();
    assert_eq!(
        *restored.document.value(),
        json!({"a": 1, "hooks": {"internal": {"entries": {"session-memory": {}}}}})
    );
    // Their own setting of what we had set stays, too.
    desk.others(
        "\"enabled\": true,\n      \"entries\"",
        "\"enabled\": false,\n      \"entries\"",
    );
    assert_eq!(
        desk.restored_value(),
        json!({"a": 1, "hooks": {"internal": {"enabled": false, "entries": {"session-memory": {}}}}})
    );
    // What is in our entry is ours.
    desk.others(
        "\"SIGILUM_NAMESPACE\"",
        "\"SIGILUM_NOTIFY_GROUPS\": \"off\", \"SIGILUM_NAMESPACE\"",
    );
    assert_eq!(
        desk.restored_value()["hooks"]["internal"]["entries"],
        json!({"session-memory": {}})
    );
}

#[test]
fn after_openclaws_own_write_the_value_comes_back() {
    let mut desk = Desk::new(Some(CONFIG));
    desk.install("token");
    let mut written = Document::parse(desk.text().as_bytes()).unwrap().into_value();
    written["meta"] = json!({"lastTouchedVersion": "2026.9.6"});
    desk.bytes = Some(serde_json::to_vec_pretty(&written).unwrap());
    desk.install("another");
    assert_eq!(
        desk.restored_value(),
        json!({
            "gateway": {"mode": "local"},
            "hooks": {"internal": {"enabled": false}},
            "meta": {"lastTouchedVersion": "2026.9.6"},
        })
    );
}

#[test]
fn a_folder_in_a_list_goes_and_the_others_stay() {
    let append = |value: &mut Value| {
        value["dirs"].as_array_mut().unwrap().push(json!("/ours"));
    };
    let mut desk = Desk::new(Some("{dirs: ['/a', /* b */ '/b']}"));
    desk.ours(append);
    desk.assert_restores("{dirs: ['/a', /* b */ '/b']}");
    desk.others("'/ours'", "'/ours', '/c'").others("'/a', ", "");
    desk.assert_restores("{dirs: [/* b */ '/b', '/c']}");
    desk.others(", '/ours'", "");
    desk.assert_restores("{dirs: [/* b */ '/b', '/c']}");

    let mut desk = Desk::new(Some("{x: 1}"));
    desk.ours(|value| value["dirs"] = json!(["/ours"]))
        .others("'/ours'".replace('\'', "\"").as_str(), "\"/theirs\", \"/ours\"");
    assert_eq!(desk.restored_value(), json!({"x": 1, "dirs": ["/theirs"]}));
}

fn is_token(text: &str) -> bool {
    text.starts_with("eyJ")
}

#[test]
fn after_a_scrub_no_old_token_is_left_and_none_comes_back() {
    let with_token = |token: &str| {
        format!(
            "{{\n  hooks: {{ internal: {{ entries: {{ '{HOOK}': {{ env: {{ A: '1', SIGILUM_OWNER_TOKEN: {token} }} }} }} }} }}\n}}\n"
        )
    };
    for literal in [
        format!("'{OLD_TOKEN}'"),
        format!("\"{}\"", OLD_TOKEN.replace('J', "\\u004a")),
    ] {
        let text = with_token(&literal);
        let mut desk = Desk::new(Some(&text));
        desk.install("eyJnew.token.one");
        desk.assert_restores(&text);
        assert!(desk.recorded(OLD_TOKEN));
        desk.undo.scrub(is_token);
        assert!(!desk.recorded("eyJ") && !desk.recorded("u004a"));
        let restored = desk.restore();
        assert_eq!(
            restored.document.value()["hooks"]["internal"]["entries"][HOOK],
            json!({"env": {"A": "1"}})
        );
        assert!(!restored.exact);

        // As a logout does it: the member goes, then the old token.
        let mut desk = Desk::new(Some(&text));
        desk.install("eyJnew.token.one");
        desk.ours(|value| {
            value["hooks"]["internal"]["entries"][HOOK]["env"]
                .as_object_mut()
                .unwrap()
                .shift_remove("SIGILUM_OWNER_TOKEN");
        });
        desk.undo.scrub(is_token);
        assert!(!desk.recorded("eyJ") && !desk.recorded("u004a"));
        assert_eq!(
            desk.restored_value()["hooks"]["internal"]["entries"][HOOK],
            json!({"env": {"A": "1"}})
        );

        // The whole entry taken out, and with it the token.
        let mut desk = Desk::new(Some(&text));
        desk.ours(|value| value["hooks"]["internal"]["entries"] = json!({}));
        desk.assert_restores(&text);
        desk.undo.scrub(is_token);
        assert!(!desk.recorded("eyJ") && !desk.recorded("u004a"));
        assert_eq!(
            desk.restored_value()["hooks"]["internal"]["entries"][HOOK],
            json!({"env": {"A": "1"}})
        );
    }
}

#[test]
fn the_record_holds_no_text_of_others() {
    let mut desk = Desk::new(Some(
        "{apiKey: 'somebody-elses-secret', hooks: {internal: {enabled: false}}, more: 'secret-too'}",
    ));
    desk.install("the-new-token-that-is-not-kept");
    for text in ["secret", "apiKey", "token-that"] {
        assert!(!desk.recorded(text), "{text}");
    }
}

#[test]
fn a_record_that_is_not_ours_is_refused() {
    let mut desk = Desk::new(Some(CONFIG));
    desk.install("token");
    let good = desk.undo.to_json();
    let text = String::from_utf8(good.clone()).unwrap();
    for bad in [
        String::new(),
        "[]".to_owned(),
        "{}".to_owned(),
        text[..text.len() / 2].to_owned(),
        text.replace("\"version\": 2", "\"version\": 3"),
        text.replace("\"offset\": ", "\"offset\": -"),
        text.replace("\"created\": ", "\"created\": 1"),
    ] {
        assert!(
            matches!(Undo::from_json(bad.as_bytes()), Err(UndoError::Record(_))),
            "{bad}"
        );
    }
    // Numbers that lead nowhere.
    let file = FILE.replace('/', "~1");
    for number in ["offset", "ours/length", "ours/hash", "before/length", "after/length"] {
        for wrong in [0, 1, 70, u64::MAX / 2, u64::MAX] {
            let mut json: Value = serde_json::from_slice(&good).unwrap();
            *json
                .pointer_mut(&format!("/files/{file}/now/regions/regions/0/{number}"))
                .unwrap() = json!(wrong);
            json["files"][FILE]["now"]["regions"]["file"]["hash"] = json!(1);
            desk.undo = Undo::from_json(json.to_string().as_bytes()).unwrap();
            assert_eq!(
                desk.restored_value(),
                Document::parse(CONFIG.as_bytes()).unwrap().into_value()
            );
            desk.install("another");
            assert_eq!(
                desk.restored_value(),
                Document::parse(CONFIG.as_bytes()).unwrap().into_value()
            );
            desk.install("token");
        }
    }
}
