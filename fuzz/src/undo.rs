//! An undo record that somebody wrote, and a config that has nothing to do with it. (What our own records are good for
//! is checked with the edit.)

use super::input::split;
use super::json5_edit::{has_stand_ins, second};
use serde_json::{Value, json};
use sigilum_authz_notify::openclaw::document;
use sigilum_authz_notify::openclaw::undo::{Change, Undo};

/// Text: the record, and behind another byte 0xFF, the config. Program: a token to be forgotten.
pub fn check(input: &[u8]) {
    let (texts, mut program) = split(input);
    let (record, _) = split(texts);
    let config = texts.get(record.len() + 1..).unwrap_or_default();
    let token = program.text();
    let Ok(mut undo) = Undo::from_json(record) else { return };
    let files: Vec<String> = undo.files().map(str::to_owned).chain([String::new()]).collect();
    for file in &files {
        restores(&undo, file, config);
    }

    if let (Some(file), Ok(document)) = (files.first(), document::parse(config)) {
        // One more edit is recorded in it.
        let mut wanted = document.value().clone();
        wanted["hooks"] = json!({"internal": {"entries": {"sigilum-authz-notify": {"env": {"A": token}}}}});
        let Ok(edited) = document.edit(&wanted) else {
            return assert!(has_stand_ins(config));
        };
        undo.note(
            file,
            &Change {
                old: Some(document.as_str()),
                before: document.value(),
                edited: &edited,
                after: &wanted,
            },
        );
        read_back(&undo);
        restores(&undo, file, &edited.document.to_bytes());
        restores(&undo, file, config);
    }

    undo.scrub(|text| text == token);
    read_back(&undo);
    let json: Value = serde_json::from_slice(&undo.to_json()).unwrap();
    for file in json["files"].as_object().unwrap().values() {
        for state in [&file["now"], &file["previous"][1]] {
            assert!(!holds(&state["members"]["members"], "was", &token), "a token is left");
            assert!(
                !holds(&state["members"]["elements"], "value", &token),
                "a token is left"
            );
        }
    }
    for file in &files {
        restores(&undo, file, config);
        undo.forget(file);
    }
    assert!(undo.is_empty());
}

/// A config comes back, or an error; never a panic, and never a text with another value than is said.
fn restores(undo: &Undo, file: &str, config: &[u8]) {
    let Ok(restored) = undo.restore(file, config) else {
        return;
    };
    let (text, value) = (restored.document.as_str(), restored.document.value());
    assert_eq!(second(text), *value, "the text is not the value");
    if restored.delete_file {
        assert_eq!(*value, json!({}), "a file with something in it would be deleted");
    }
}

fn read_back(undo: &Undo) {
    assert!(
        Undo::from_json(&undo.to_json()).unwrap() == *undo,
        "read back as another"
    );
}

/// Whether `token` stands, as a whole value, in a member `name` of the records in `list`.
fn holds(list: &Value, name: &str, token: &str) -> bool {
    fn within(value: &Value, token: &str) -> bool {
        match value {
            Value::String(text) => text == token,
            Value::Array(elements) => elements.iter().any(|value| within(value, token)),
            Value::Object(members) => members.values().any(|value| within(value, token)),
            _ => false,
        }
    }
    let mut records: Box<dyn Iterator<Item = &Value>> = match list {
        Value::Array(records) => Box::new(records.iter()),
        Value::Object(records) => Box::new(records.values()),
        _ => return false,
    };
    records.any(|record| record.get(name).is_some_and(|value| within(value, token)))
}
