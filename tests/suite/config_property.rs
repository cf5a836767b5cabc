//! Whatever a config looks like and whatever was done to it: undo gives the bytes back. (That an edit means what was wanted
//! is tested in `crates/json5-edit`, and so are the documents from there.)

#[path = "../../crates/json5-edit/tests/suite/documents.rs"]
mod documents;

use documents::{around, array, change_anywhere, scalar, second, string_text, whole};
use json5_edit::{Document, Edited};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use sigilum_authz_notify::openclaw::undo::{Change, Undo};

const HOOK: &str = "sigilum-authz-notify";
const FILE: &str = "/home/tester/.openclaw/openclaw.json";

// ---- Configs ----

/// A config with more or less of our path in it.
fn config() -> BoxedStrategy<String> {
    let env = prop_oneof![
        around(vec![]),
        scalar().prop_flat_map(|token| around(vec![
            ("SIGILUM_OWNER_TOKEN", token),
            ("SIGILUM_MODE", "'managed'".into())
        ])),
    ];
    let entry = prop_oneof![
        around(vec![]),
        env.prop_flat_map(|env| around(vec![("enabled", "true".into()), ("env", env)]))
    ];
    let entries = prop_oneof![around(vec![]), entry.prop_flat_map(|entry| around(vec![(HOOK, entry)]))];
    let dirs = prop::collection::vec(string_text(), 0..3).prop_flat_map(array);
    let load = prop_oneof![
        around(vec![]),
        dirs.prop_flat_map(|dirs| around(vec![("extraDirs", dirs)]))
    ];
    let internal = prop_oneof![
        around(vec![]),
        entries
            .clone()
            .prop_flat_map(|entries| around(vec![("entries", entries)])),
        (entries, load).prop_flat_map(|(entries, load)| around(vec![("entries", entries), ("load", load)])),
    ];
    let hooks = prop_oneof![
        around(vec![]),
        internal.prop_flat_map(|internal| around(vec![("internal", internal)]))
    ];
    let root = prop_oneof![1 => around(vec![]), 4 => hooks.prop_flat_map(|hooks| around(vec![("hooks", hooks)]))];
    whole(root.boxed())
}

// ---- What is wanted of them ----

#[derive(Debug, Clone)]
enum Want {
    Entry {
        enabled: Option<bool>,
    },
    Env(&'static str, Option<String>),
    Enabled(bool),
    Internal(Option<bool>),
    ExtraDir(String),
    Gone,
    /// Anything anywhere: the n-th member of the document goes, is replaced, or gets a neighbour.
    Anywhere(prop::sample::Index, u8),
}

fn want() -> impl Strategy<Value = Want> {
    let name = prop::sample::select(vec!["SIGILUM_OWNER_TOKEN", "SIGILUM_NAMESPACE", "SIGILUM_MODE", "X"]);
    prop_oneof![
        3 => prop::option::of(any::<bool>()).prop_map(|enabled| Want::Entry { enabled }),
        4 => (name, prop::option::of("[a-zA-Z0-9._'\"\\\\é-]{0,30}")).prop_map(|(name, value)| Want::Env(name, value)),
        2 => any::<bool>().prop_map(Want::Enabled),
        2 => prop::option::of(any::<bool>()).prop_map(Want::Internal),
        2 => "/home/[a-z']{1,9}/hooks".prop_map(Want::ExtraDir),
        2 => Just(Want::Gone),
    ]
}

fn want_anything() -> impl Strategy<Value = Want> {
    prop_oneof![
        want(),
        (any::<prop::sample::Index>(), 0..6_u8).prop_map(|(index, what)| Want::Anywhere(index, what))
    ]
}

/// The object at `path`, made where there is none; other kinds of value in the way are left alone.
fn object_at<'a>(value: &'a mut Value, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    path.iter()
        .try_fold(value, |value, key| {
            Some(value.as_object_mut()?.entry(*key).or_insert_with(|| json!({})))
        })?
        .as_object_mut()
}

fn apply(value: &mut Value, want: &Want) {
    let internal = ["hooks", "internal"];
    let entry = ["hooks", "internal", "entries", HOOK];
    match want {
        Want::Entry { enabled } => {
            if let Some(entry) = object_at(value, &entry) {
                if let Some(enabled) = enabled {
                    entry.insert("enabled".into(), json!(enabled));
                }
                entry.insert(
                    "env".into(),
                    json!({"SIGILUM_NAMESPACE": "johndee", "SIGILUM_MODE": "managed"}),
                );
            }
        }
        Want::Env(name, text) => {
            if let Some(env) = object_at(value, &["hooks", "internal", "entries", HOOK, "env"]) {
                match text {
                    Some(text) => drop(env.insert((*name).into(), json!(text))),
                    None => drop(env.shift_remove(*name)),
                }
            }
        }
        Want::Enabled(enabled) => {
            if let Some(entry) = object_at(value, &entry) {
                entry.insert("enabled".into(), json!(enabled));
            }
        }
        Want::Internal(enabled) => {
            if let Some(internal) = object_at(value, &internal) {
                match enabled {
                    Some(enabled) => drop(internal.insert("enabled".into(), json!(enabled))),
                    None => drop(internal.shift_remove("enabled")),
                }
            }
        }
        Want::ExtraDir(dir) => {
            if let Some(load) = object_at(value, &["hooks", "internal", "load"])
                && let Some(dirs) = load.entry("extraDirs").or_insert_with(|| json!([])).as_array_mut()
            {
                dirs.push(json!(dir));
            }
        }
        Want::Gone => {
            if let Some(entries) = object_at(value, &entry[..3]) {
                entries.shift_remove(HOOK);
            }
        }
        Want::Anywhere(index, what) => {
            change_anywhere(value, *index, *what);
        }
    }
}

// ---- What must hold ----

fn edit(bytes: &[u8], wants: &[Want]) -> (Value, Value, Edited) {
    let document = Document::parse(bytes).unwrap();
    let mut wanted = document.value().clone();
    for want in wants {
        apply(&mut wanted, want);
    }
    let edited = document.edit(&wanted).unwrap();
    (document.value().clone(), wanted, edited)
}

fn note(undo: &mut Undo, old: &[u8], (before, after, edited): &(Value, Value, Edited)) {
    undo.note(
        FILE,
        &Change {
            old: Some(std::str::from_utf8(old).unwrap()),
            before,
            edited,
            after,
        },
    );
    // As it goes through its file.
    *undo = Undo::from_json(&undo.to_json()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn undo_gives_the_bytes_back(text in config(), edits in prop::collection::vec(prop::collection::vec(want_anything(), 1..3), 1..5)) {
        let mut undo = Undo::default();
        let mut bytes = text.clone().into_bytes();
        for wants in &edits {
            let change = edit(&bytes, wants);
            note(&mut undo, &bytes, &change);
            bytes = change.2.document.to_string().into_bytes();
        }
        let restored = undo.restore(FILE, &bytes).unwrap();
        prop_assert_eq!(restored.document.as_str(), &text);
        prop_assert!(!restored.delete_file);
        if bytes != text.as_bytes() {
            prop_assert!(restored.exact);
        }
    }

    /// Others edit, too, before and between and after: their edits stay, ours go.
    #[test]
    fn undo_after_the_edits_of_others_gives_the_value_back(
        text in config(),
        edits in prop::collection::vec((prop::collection::vec(want(), 1..3), 0..6_u8), 1..4),
    ) {
        let mut undo = Undo::default();
        let mut bytes = text.into_bytes();
        let mut expected = second(&bytes);
        for (index, (wants, other)) in edits.iter().enumerate() {
            let change = edit(&bytes, wants);
            note(&mut undo, &bytes, &change);
            bytes = change.2.document.to_string().into_bytes();
            let key = format!("theirs {index}");
            match other {
                0 => {}
                // As OpenClaw writes: everything anew.
                1 => bytes = serde_json::to_vec_pretty(&second(&bytes)).unwrap(),
                // White space and comments before and after.
                2 => bytes = [b"// theirs\n", strip_bom(&bytes), b"\n// theirs\n"].concat(),
                _ => {
                    let document = Document::parse(&bytes).unwrap();
                    let mut theirs = document.value().clone();
                    theirs.as_object_mut().unwrap().insert(key.clone(), json!(index));
                    expected.as_object_mut().unwrap().insert(key, json!(index));
                    bytes = document.edit(&theirs).unwrap().document.to_string().into_bytes();
                }
            }
            if second(&bytes).as_object().unwrap().is_empty() && *other == 2 {
                // Comments alone are no config.
                return Ok(());
            }
        }
        let restored = undo.restore(FILE, &bytes).unwrap();
        prop_assert_eq!(&second(restored.document.as_str().as_bytes()), &expected);
        prop_assert_eq!(restored.document.value(), &expected);
    }

    /// Others wrote before and behind all that is ours, between two edits and after the last: all but ours is as it was.
    #[test]
    fn undo_gives_the_bytes_back_around_the_text_of_others(
        text in config(),
        edits in prop::collection::vec(prop::collection::vec(want(), 1..3), 2..4),
        head in prop::sample::select(vec!["// theirs\n", "/* theirs */ ", "\r\n\r\n", "// {'a': \"1\"},\n// more of it, longer than any context\n"]),
        tail in prop::sample::select(vec!["", "\n", "\n// theirs", "/* theirs */"]),
    ) {
        prop_assume!(!second(text.as_bytes()).as_object().unwrap().is_empty());
        let mut undo = Undo::default();
        let mut bytes = text.clone().into_bytes();
        let mut expected = bytes.clone();
        for wants in &edits {
            let change = edit(&bytes, wants);
            note(&mut undo, &bytes, &change);
            let theirs = |bytes: &[u8]| {
                let mark = &bytes[..bytes.len() - strip_bom(bytes).len()];
                [mark, head.as_bytes(), strip_bom(bytes), b"\n", tail.as_bytes()].concat()
            };
            bytes = theirs(change.2.document.as_str().as_bytes());
            expected = theirs(&expected);
        }
        let restored = undo.restore(FILE, &bytes).unwrap();
        prop_assert_eq!(restored.document.as_str().as_bytes(), expected);
        prop_assert!(restored.exact);
    }

    /// A record that others damaged leads to an error or to some config, never to a panic or to no config.
    #[test]
    fn a_damaged_record_does_no_harm(
        text in config(),
        wants in prop::collection::vec(want(), 1..4),
        damage in prop::collection::vec((any::<prop::sample::Index>(), "[0-9\"{}a-z/~-]"), 1..4),
    ) {
        let mut undo = Undo::default();
        let change = edit(text.as_bytes(), &wants);
        note(&mut undo, text.as_bytes(), &change);
        let mut json = undo.to_json();
        for (place, byte) in damage {
            // Of the digits most lead to another good record.
            let digits: Vec<_> = (0..json.len()).filter(|&index| json[index].is_ascii_digit()).collect();
            let at = if byte.as_bytes()[0].is_ascii_digit() && !digits.is_empty() { *place.get(&digits) } else { place.index(json.len()) };
            json[at] = byte.as_bytes()[0];
        }
        if let Ok(mut undo) = Undo::from_json(&json) {
            let restored = undo.restore(FILE, change.2.document.as_str().as_bytes()).unwrap();
            prop_assert_eq!(&second(restored.document.as_str().as_bytes()), restored.document.value());
            let old = change.2.document.as_str().as_bytes();
            let change = edit(old, &wants);
            note(&mut undo, old, &change);
            undo.scrub(|text| text.len() > 3);
            undo.restore(FILE, change.2.document.as_str().as_bytes()).unwrap();
        }
    }
}

fn strip_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(bytes)
}
