//! Our edits taken back: the bytes of before, also when a run died in the middle, and what others did since stays.

use serde_json::{Value, json};
use sigilum_authz_notify::error::Result;
use sigilum_authz_notify::fs::{lock_sigilum, write_private};
use sigilum_authz_notify::home::OpenClawHome;
use sigilum_authz_notify::openclaw::config::{self, Ask, EditOptions, EditOutcome};
use sigilum_authz_notify::openclaw::document;
use sigilum_authz_notify::openclaw::entry::HOOK;
use sigilum_authz_notify::openclaw::undo::{Change, Undo};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const CONFIG: &str = "// mine\n{\n\tgateway: { mode: 'local' },\n\thooks: {\n\t\tinternal: { enabled: true, entries: { a: {} } }, // end\n\t},\n\tmeta: {v:1}\n}";

struct Home {
    _dir: tempfile::TempDir,
    place: OpenClawHome,
}

impl Home {
    fn new(config: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = OpenClawHome::at(dir.path().to_owned());
        if let Some(text) = config {
            fs::write(&place.config, text).unwrap();
        }
        Self { _dir: dir, place }
    }

    fn edit(&self, mut want: impl FnMut(&Ask<'_>) -> Result<Value>) -> EditOutcome {
        config::edit(&self.place, &EditOptions::default(), &mut want).unwrap()
    }

    fn put(&self, token: &str) -> EditOutcome {
        self.edit(|ask| {
            let mut value = ask.value.clone();
            let entry = &mut value["hooks"]["internal"]["entries"][HOOK];
            entry["enabled"] = json!(true);
            entry["env"]["SIGILUM_OWNER_TOKEN"] = json!(token);
            Ok(value)
        })
    }

    fn give_back(&self) -> EditOutcome {
        let options = EditOptions {
            give_back: true,
            force: true,
            ..EditOptions::default()
        };
        config::edit(&self.place, &options, &mut |ask| Ok(ask.undone.unwrap().clone())).unwrap()
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.place.config).unwrap()
    }

    fn replace(&self, from: &str, to: &str) {
        let text = self.text();
        assert!(text.contains(from), "{text}");
        fs::write(&self.place.config, text.replace(from, to)).unwrap();
    }
}

#[test]
fn after_any_number_of_edits_the_bytes_of_before_come_back() {
    for config in [CONFIG, "{}", "{\"a\":1}", "\u{feff}{\r\n  a: [1, 2,],\r\n}\r\n", ""] {
        let home = Home::new(Some(config));
        let (one, two) = ("1".repeat(40), "2".repeat(90));
        for token in [&one, &two, &one] {
            assert!(home.put(token).changed);
        }
        let undo = home.place.undo_file();
        assert_eq!(fs::symlink_metadata(&undo).unwrap().mode() & 0o7777, 0o600);
        let record = fs::read_to_string(&undo).unwrap();
        assert!(!record.contains(&one) && !record.contains(&two), "{record}");
        let outcome = home.give_back();
        assert!(outcome.changed && !outcome.deleted);
        assert_eq!(home.text(), config);
        assert!(!undo.exists());
        // There is nothing left to take back.
        let before = fs::metadata(&home.place.config).unwrap();
        assert!(!home.give_back().changed);
        assert_eq!(fs::metadata(&home.place.config).unwrap().ino(), before.ino());
    }
}

#[test]
fn what_others_did_since_stays() {
    let home = Home::new(Some(CONFIG));
    home.put("t1");
    home.replace("mode: 'local'", "mode: 'remote', port: 1 /* new */");
    home.put("t2");
    home.replace("meta: {v:1}", "meta: {v:2},");
    home.give_back();
    let expected = CONFIG
        .replace("mode: 'local'", "mode: 'remote', port: 1 /* new */")
        .replace("meta: {v:1}", "meta: {v:2},");
    assert_eq!(home.text(), expected);
}

#[test]
fn a_file_that_we_made_goes_unless_something_else_is_in_it() {
    let home = Home::new(None);
    assert!(home.put("t").created);
    let outcome = home.give_back();
    assert!(outcome.deleted && outcome.changed);
    assert!(!home.place.config.exists() && !home.place.undo_file().exists());

    home.put("t");
    home.edit(|ask| {
        let mut value = ask.value.clone();
        value["port"] = json!(1);
        Ok(value)
    });
    // That was an edit of ours, too; another program's is not.
    let text = home.text().replacen('{', "{\n  \"theirs\": true,", 1);
    fs::write(&home.place.config, text).unwrap();
    assert!(!home.give_back().deleted);
    assert_eq!(
        config::read(&home.place).unwrap().unwrap().value,
        json!({"theirs": true})
    );
}

#[test]
fn a_run_that_died_before_or_after_the_swap_leaves_a_right_record() {
    // Before: the record tells of an edit that is not in the file.
    for edits in 0..3 {
        let home = Home::new(Some(CONFIG));
        for round in 0..edits {
            home.put(&"x".repeat(40 + round));
        }
        let before = home.text();
        home.put(&"dead".repeat(20));
        fs::write(&home.place.config, &before).unwrap();
        // With another edit on top, and without.
        for more in [false, true] {
            if more {
                home.put(&"dead".repeat(20));
                fs::write(&home.place.config, &before).unwrap();
                home.put(&"more".repeat(30));
            }
            let (text, undo) = (home.text(), fs::read(home.place.undo_file()).unwrap());
            home.give_back();
            assert_eq!(home.text(), CONFIG, "{edits} {more}");
            fs::write(&home.place.config, text).unwrap();
            write_private(&home.place.undo_file(), &undo).unwrap();
        }
    }
    // Where there was no file yet.
    let home = Home::new(None);
    home.put("t");
    fs::remove_file(&home.place.config).unwrap();
    fs::write(&home.place.config, "{ /* mine */ }").unwrap();
    home.put("t");
    home.give_back();
    assert_eq!(home.text().replace(char::is_whitespace, ""), "{/*mine*/}");
}

#[test]
fn a_record_that_says_nothing_is_begun_anew_and_said_so() {
    let home = Home::new(Some(CONFIG));
    home.put("t1");
    write_private(&home.place.undo_file(), b"{ \"undo\": 7 }").unwrap();
    let outcome = home.put("t2");
    assert!(
        outcome.changed && outcome.notes.iter().any(|note| note.contains("undo.json")),
        "{:?}",
        outcome.notes
    );
    assert!(home.put("t3").notes.is_empty());
}

#[test]
fn a_logout_leaves_no_token_in_the_record() {
    let old = "an-old-token-from-another-installer";
    let home = Home::new(None);
    let config = json!({"hooks":{"internal":{"entries":{HOOK:{"env":{"SIGILUM_OWNER_TOKEN":old}}}}},"x":1});
    fs::write(&home.place.config, config.to_string()).unwrap();
    home.put("new");
    let record = || fs::read_to_string(home.place.undo_file()).unwrap_or_default();
    assert!(record().contains(old));
    let lock = lock_sigilum(&home.place).unwrap();
    config::scrub_undo_record(&home.place, &lock, &|text| text == old).unwrap();
    assert!(!record().contains(old));
}

#[test]
fn an_edit_in_two_files_is_taken_back_in_both() {
    let home = Home::new(Some(
        "{ hooks: { internal: { entries: { $include: './e.json5' } } } } // end",
    ));
    let included = home.place.home.join("e.json5");
    fs::write(&included, "// theirs\n{a: {}}").unwrap();
    home.edit(|ask| {
        let mut value = ask.value.clone();
        value["hooks"]["internal"]["enabled"] = json!(true);
        value["hooks"]["internal"]["entries"][HOOK] = json!({"env": {"SIGILUM_NAMESPACE": "n"}});
        Ok(value)
    });
    assert_eq!(home.give_back().files.len(), 2);
    assert_eq!(
        home.text(),
        "{ hooks: { internal: { entries: { $include: './e.json5' } } } } // end"
    );
    assert_eq!(fs::read_to_string(&included).unwrap(), "// theirs\n{a: {}}");
    assert!(!home.place.undo_file().exists());
}

/// Texts of all kinds, each with an edit.
#[test]
fn every_fixture_of_json5_edit_comes_back() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/json5-edit/fixtures");
    let mut count = 0;
    for case in fs::read_dir(folder).unwrap().map(|case| case.unwrap().path()) {
        let Ok(patch) = fs::read(case.join("patch.json")) else {
            continue;
        };
        count += 1;
        let [before, after] = ["before.json5", "after.json5"].map(|name| fs::read_to_string(case.join(name)).unwrap());
        let document = document::parse(before.as_bytes()).unwrap();
        let mut wanted = document.value().clone();
        json_patch::patch(
            &mut wanted,
            &serde_json::from_slice::<json_patch::Patch>(&patch).unwrap(),
        )
        .unwrap();
        let edited = document.edit(&wanted).unwrap();
        assert_eq!(edited.document.as_str(), after, "{}", case.display());
        let mut undo = Undo::default();
        let change = Change {
            old: Some(&before),
            before: document.value(),
            edited: &edited,
            after: edited.document.value(),
        };
        undo.note("openclaw.json", &change);
        let restored = undo.restore("openclaw.json", after.as_bytes()).unwrap();
        assert_eq!(restored.document.as_str(), before, "{}", case.display());
        assert!(restored.exact && !restored.delete_file, "{}", case.display());
    }
    assert!(count >= 27, "{count} cases");
}
