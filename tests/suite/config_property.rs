//! Whatever a config looks like and whatever is wanted of it: the edit means what was wanted, no comment is lost, the
//! second run does nothing, and undo gives the bytes back.

use crate::fuzz_replay::checks::comments::comments;
use json_patch::diff;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use sigilum_authz_notify::openclaw::document::{Document, Edited};
use sigilum_authz_notify::openclaw::undo::{Change, Undo};

const HOOK: &str = "sigilum-authz-notify";
const FILE: &str = "/home/tester/.openclaw/openclaw.json";

// ---- Documents as people and programs write them, and as they don't ----

/// White space and comments that may stand between two tokens.
fn trivia() -> BoxedStrategy<String> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![" ", "  ", "\n", "\n  ", "\n\t", "\r\n", "\r\n    ", "\r", "\t", "\u{A0}", "\u{2028}", "\u{FEFF}"])
            .prop_map(str::to_owned),
        1 => "[ a-z\"'{}\\[\\],:é✓*]{0,12}".prop_map(|text| format!("/*{}*/", text.replace("*/", ""))),
        1 => ("[ a-z\"'{}\\[\\],:/é✓*]{0,12}", prop::sample::select(vec!["\n", "\r\n", "\n  ", "\u{2028}"]))
            .prop_map(|(text, end)| format!("//{text}{end}")),
        1 => Just("/* over\n   lines */".to_owned()),
    ];
    prop_oneof![
        4 => Just(String::new()),
        2 => Just(" ".to_owned()),
        2 => Just("\n  ".to_owned()),
        2 => prop::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat()),
    ]
    .boxed()
}

fn quoted(text: &str, quote: char, escapes: u8) -> String {
    let mut out = String::from(quote);
    for (index, c) in text.chars().enumerate() {
        match c {
            '\\' | '\n' | '\r' => out.push_str(&format!("\\u{:04X}", c as u32)),
            _ if c == quote => out.push_str(&format!("\\{c}")),
            'a'..='z' if escapes == 1 && index % 3 == 0 => out.push_str(&format!("\\x{:02x}", c as u32)),
            'a'..='z' if escapes == 2 && index % 3 == 0 => out.push_str(&format!("\\\n{c}")),
            _ => out.push(c),
        }
    }
    out.push(quote);
    out
}

fn string_text() -> BoxedStrategy<String> {
    let text = prop_oneof!["[a-z \"'/é✓😀\\\\\n]{0,10}", Just("https://x.example/{a}".to_owned())];
    (text, prop::sample::select(vec!['"', '\'']), 0..3_u8)
        .prop_map(|(text, quote, escapes)| quoted(&text, quote, escapes))
        .boxed()
}

fn scalar() -> BoxedStrategy<String> {
    prop_oneof![
        string_text(),
        prop::sample::select(vec![
            "1",
            "-0",
            "-0.0",
            "+5",
            ".5",
            "5.",
            "-.5e+3",
            "0xDEADbeef",
            "-0x10",
            "1e400",
            "Infinity",
            "-Infinity",
            "NaN",
            "+NaN",
            "18446744073709551615",
            "123456789012345678901234567890",
            "0.1",
            "1E-7",
            "true",
            "false",
            "null",
        ])
        .prop_map(str::to_owned),
    ]
    .boxed()
}

fn key_text(name: &str, style: u8) -> String {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match style {
        0 if plain => name.to_owned(),
        1 => quoted(name, '\'', 0),
        2 if plain => format!("\\u{:04x}{}", name.chars().next().unwrap_or('x') as u32, &name[1..]),
        3 => quoted(name, '"', 1),
        _ => quoted(name, '"', 0),
    }
}

/// Members or elements with what stands around them, in brackets. Seven times of eight two neighbours differ in
/// nothing but white space, as in real files; here anything may stand anywhere.
fn bracketed(
    open: &'static str,
    close: &'static str,
    items: Vec<(String, String, String)>,
    end: (bool, String),
) -> String {
    let mut out = open.to_owned();
    let count = items.len();
    for (index, (before, item, after)) in items.into_iter().enumerate() {
        out += &before;
        out += &item;
        out += &after;
        if index + 1 < count || end.0 && count > 0 {
            out.push(',');
        }
    }
    out + &end.1 + close
}

fn object(members: Vec<(String, String)>) -> BoxedStrategy<String> {
    let members: Vec<_> = members
        .into_iter()
        .map(|(name, value)| {
            (0..6_u8, trivia(), trivia(), trivia(), trivia()).prop_map(move |(style, before, colon, space, after)| {
                (
                    before,
                    format!("{}{colon}:{space}{value}", key_text(&name, style)),
                    after,
                )
            })
        })
        .collect();
    (members, (any::<bool>(), trivia()))
        .prop_map(|(items, end)| bracketed("{", "}", items, end))
        .boxed()
}

fn array(elements: Vec<String>) -> BoxedStrategy<String> {
    let elements: Vec<_> = elements
        .into_iter()
        .map(|value| (trivia(), trivia()).prop_map(move |(before, after)| (before, value.clone(), after)))
        .collect();
    (elements, (any::<bool>(), trivia()))
        .prop_map(|(items, end)| bracketed("[", "]", items, end))
        .boxed()
}

fn other_key() -> BoxedStrategy<String> {
    prop_oneof![
        prop::sample::select(vec![
            "a",
            "b",
            "gateway",
            "meta",
            "session-memory",
            "ключ",
            "",
            "a/b",
            "a~b",
            "__proto__",
            "x y"
        ])
        .prop_map(str::to_owned),
        "[a-z]{1,4}",
    ]
    .boxed()
}

fn any_value() -> BoxedStrategy<String> {
    scalar()
        .prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec((other_key(), inner.clone()), 0..4).prop_flat_map(object),
                prop::collection::vec(inner, 0..4).prop_flat_map(array),
            ]
        })
        .boxed()
}

/// An object with other members around the given ones.
fn around(own: Vec<(&'static str, String)>) -> BoxedStrategy<String> {
    let own: Vec<_> = own.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    (
        prop::collection::vec((other_key(), any_value()), 0..3),
        prop::collection::vec(any::<prop::sample::Index>(), own.len()),
    )
        .prop_map(move |(mut members, places)| {
            for (member, place) in own.iter().zip(places) {
                members.insert(place.index(members.len() + 1), member.clone());
            }
            members
        })
        .prop_flat_map(object)
        .boxed()
}

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
    let whole = (prop::bool::weighted(0.2), trivia(), root, trivia())
        .prop_map(|(bom, before, root, after)| format!("{}{before}{root}{after}", if bom { "\u{FEFF}" } else { "" }));
    // As programs write them.
    let written =
        (whole.clone().boxed(), any::<bool>()).prop_map(|(text, pretty)| match (second(text.as_bytes()), pretty) {
            (value, true) => serde_json::to_string_pretty(&value).unwrap(),
            (value, false) => value.to_string(),
        });
    prop_oneof![1 => Just(String::new()), 1 => Just(" \r\n".to_owned()), 30 => whole, 8 => written].boxed()
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
            let mut count = 0;
            let total = containers(value);
            anywhere(value, index.index(total), &mut count, *what);
        }
    }
}

fn containers(value: &Value) -> usize {
    match value {
        Value::Object(members) => 1 + members.values().map(containers).sum::<usize>(),
        Value::Array(elements) => 1 + elements.iter().map(containers).sum::<usize>(),
        _ => 0,
    }
}

fn anywhere(value: &mut Value, target: usize, count: &mut usize, what: u8) {
    let here = *count == target;
    let new = [
        json!("new"),
        json!({"x": [1, {"y": null}], "z": {}}),
        json!([true, "t"]),
    ][usize::from(what) % 3]
        .clone();
    match value {
        Value::Object(members) => {
            *count += 1;
            if here {
                match members.keys().nth(usize::from(what)).or(members.keys().next()).cloned() {
                    Some(key) if what < 2 => drop(members.shift_remove(&key)),
                    Some(key) if what < 4 => drop(members.insert(key, new)),
                    _ => {
                        members.insert("new one".into(), new.clone());
                        members.insert("newer".into(), new);
                    }
                }
                return;
            }
            members
                .values_mut()
                .for_each(|value| anywhere(value, target, count, what));
        }
        Value::Array(elements) => {
            *count += 1;
            if here {
                match (elements.len().checked_sub(1), what) {
                    (Some(last), 0..2) => drop(elements.remove(last.min(what.into()))),
                    (Some(last), 2..4) => elements[last] = new,
                    _ => elements.insert(elements.len().min(what.into()), new),
                }
                return;
            }
            elements
                .iter_mut()
                .for_each(|value| anywhere(value, target, count, what));
        }
        _ => {}
    }
}

// ---- What must hold ----

fn edit(bytes: &[u8], wants: &[Want]) -> (Value, Value, Edited) {
    let document = Document::parse(bytes).unwrap();
    let mut wanted = document.value().clone();
    for want in wants {
        apply(&mut wanted, want);
    }
    let edited = document.edit(&diff(document.value(), &wanted)).unwrap();
    (document.value().clone(), wanted, edited)
}

/// The value by the second parser alone.
fn second(bytes: &[u8]) -> Value {
    let text = std::str::from_utf8(bytes).unwrap();
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    if text
        .trim_matches(|c: char| c.is_whitespace() || c == '\u{FEFF}')
        .is_empty()
    {
        json!({})
    } else {
        json5::from_str(text).unwrap()
    }
}

fn note(undo: &mut Undo, old: &[u8], (before, after, edited): &(Value, Value, Edited)) {
    undo.note(
        FILE,
        &Change {
            old: Some(old),
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
    fn an_edit_means_what_was_wanted_and_loses_no_comment(text in config(), wants in prop::collection::vec(want_anything(), 1..4)) {
        let (before, wanted, edited) = edit(text.as_bytes(), &wants);
        prop_assert_eq!(&second(text.as_bytes()), &before);
        prop_assert_eq!(&second(&edited.bytes), &wanted);
        let new = String::from_utf8(edited.bytes.clone()).unwrap();
        let mut left = comments(&new);
        for comment in comments(&text) {
            let place = left.iter().position(|found| *found == comment);
            prop_assert!(place.is_some(), "{:?} is gone from {:?}, once {:?}", comment, new, text);
            left.swap_remove(place.unwrap());
        }
        prop_assert!(left.is_empty(), "{:?} is new", left);
        prop_assert_eq!(new.starts_with('\u{FEFF}'), text.starts_with('\u{FEFF}'));
        // What other JSON tools could read they still can.
        if serde_json::from_str::<Value>(&text).is_ok() {
            prop_assert!(serde_json::from_slice::<Value>(&edited.bytes).is_ok(), "no longer JSON: {:?}", edited.bytes);
        }
        // Once more: nothing.
        let document = Document::parse(&edited.bytes).unwrap();
        let again = document.edit(&diff(document.value(), &wanted)).unwrap();
        prop_assert!(again.splices.is_empty());
        prop_assert_eq!(again.bytes, edited.bytes);
    }

    #[test]
    fn undo_gives_the_bytes_back(text in config(), edits in prop::collection::vec(prop::collection::vec(want_anything(), 1..3), 1..5)) {
        let mut undo = Undo::default();
        let mut bytes = text.clone().into_bytes();
        for wants in &edits {
            let change = edit(&bytes, wants);
            note(&mut undo, &bytes, &change);
            bytes = change.2.bytes;
        }
        let restored = undo.restore(FILE, &bytes).unwrap();
        prop_assert_eq!(&String::from_utf8(restored.bytes).unwrap(), &text);
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
            bytes = change.2.bytes;
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
                    bytes = document.edit(&diff(document.value(), &theirs)).unwrap().bytes;
                }
            }
            if second(&bytes).as_object().unwrap().is_empty() && *other == 2 {
                // Comments alone are no config.
                return Ok(());
            }
        }
        let restored = undo.restore(FILE, &bytes).unwrap();
        prop_assert_eq!(&second(&restored.bytes), &expected);
        prop_assert_eq!(restored.value, expected);
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
            bytes = theirs(&change.2.bytes);
            expected = theirs(&expected);
        }
        let restored = undo.restore(FILE, &bytes).unwrap();
        prop_assert_eq!(String::from_utf8(restored.bytes).unwrap(), String::from_utf8(expected).unwrap());
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
            let restored = undo.restore(FILE, &change.2.bytes).unwrap();
            prop_assert_eq!(second(&restored.bytes), restored.value);
            let change = edit(&change.2.bytes, &wants);
            undo.note(FILE, &Change { old: Some(&change.2.bytes), before: &change.0, edited: &change.2, after: &change.1 });
            undo.scrub(|text| text.len() > 3);
            undo.restore(FILE, &change.2.bytes).unwrap();
        }
    }

    #[test]
    fn what_was_added_is_taken_back_by_removing_it(text in config(), key in "[a-z]{8}", value in prop_oneof![
        Just(json!("x")), Just(json!({"a": {"b": [1, 2]}})), Just(json!([])),
    ]) {
        let document = Document::parse(text.as_bytes()).unwrap();
        let Some(container) = document.value().pointer("/hooks/internal").and_then(Value::as_object) else { return Ok(()) };
        // An empty object may have white space inside, which nothing remembers.
        if container.is_empty() {
            return Ok(());
        }
        let mut wanted = document.value().clone();
        wanted["hooks"]["internal"][&key] = value;
        let added = document.edit(&diff(document.value(), &wanted)).unwrap();
        let back = Document::parse(&added.bytes).unwrap();
        let removed = back.edit(&diff(back.value(), document.value())).unwrap();
        prop_assert_eq!(&String::from_utf8(removed.bytes).unwrap(), &text);
    }
}

fn strip_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(bytes)
}
