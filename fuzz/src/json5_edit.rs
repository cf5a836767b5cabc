//! The edit of JSON5 text: an arbitrary text, and members that go, are replaced or get a neighbour.

use super::comments::comments;
use super::input::{Program, split};
use json5_edit::{Document, Edited};
use serde_json::{Value, json};

/// Text: a document. Program: up to four changes.
pub fn check(input: &[u8]) {
    let (text, mut program) = split(input);
    let Ok(mut document) = Document::parse(text) else {
        return;
    };
    assert_eq!(*document.to_bytes(), *text, "not the file's bytes");
    assert_eq!(*document.value(), second(document.as_str()), "the two parsers disagree");
    for _ in 0..4 {
        let mut wanted = document.value().clone();
        anywhere(&mut wanted, &mut program);
        let Some(edited) = edited(&document, &wanted) else {
            return;
        };
        document = edited.document;
        if program.is_over() {
            break;
        }
    }
}

/// One edit, with all that must hold of it; `None` where what is wanted cannot be written.
pub fn edited(old: &Document, wanted: &Value) -> Option<Edited> {
    if depth(wanted) > json5_edit::MAX_DEPTH {
        return None;
    }
    let edited = match old.edit(wanted) {
        Ok(edited) => edited,
        Err(error) => {
            let why = error.to_string();
            assert!(why.ends_with("cannot be written"), "{why}");
            assert!(has_stand_ins(&old.to_bytes()));
            return None;
        }
    };
    let text = edited.document.as_str();
    assert_eq!(second(text), *wanted, "the new text has another value");
    assert_eq!(comments(text), comments(old.as_str()), "comments");
    spliced(old.as_str(), &edited);
    if serde_json::from_str::<Value>(old.as_str()).is_ok() {
        assert!(serde_json::from_str::<Value>(text).is_ok(), "no longer JSON");
    }
    let again = Document::parse(text).unwrap().edit(wanted).unwrap();
    assert!(
        again.splices.is_empty() && again.document.as_str() == text,
        "a second run writes"
    );
    Some(edited)
}

/// A member or element goes, is replaced, or gets a neighbour, in any container.
pub fn anywhere(value: &mut Value, program: &mut Program) {
    let mut paths = Vec::new();
    containers(value, String::new(), &mut paths);
    if paths.is_empty() {
        return;
    }
    let at = program.below(256) << 8 | program.below(256);
    let (what, place) = (program.byte(), program.below(256));
    let text = program.text();
    let new = serde_json::from_str(&text).unwrap_or(json!(text));
    match value.pointer_mut(&paths[at % paths.len()]) {
        Some(Value::Object(members)) => {
            let key = members.keys().nth(place % members.len().max(1)).cloned();
            match (key, what % 3) {
                (Some(key), 0) => drop(members.shift_remove(&key)),
                (Some(key), 1) => drop(members.insert(key, new)),
                _ => drop(members.insert(text, new)),
            }
        }
        Some(Value::Array(elements)) => match (elements.len(), what % 3) {
            (count @ 1.., 0) => drop(elements.remove(place % count)),
            (count @ 1.., 1) => elements[place % count] = new,
            (count, _) => elements.insert(place % (count + 1), new),
        },
        _ => {}
    }
}

fn containers(value: &Value, path: String, found: &mut Vec<String>) {
    let below = |key: &str| format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
    match value {
        Value::Object(members) => members
            .iter()
            .for_each(|(key, value)| containers(value, below(key), found)),
        Value::Array(elements) => (0..).zip(elements).for_each(|(index, value): (usize, _)| {
            containers(value, below(&index.to_string()), found);
        }),
        _ => return,
    }
    found.push(path);
}

fn depth(value: &Value) -> usize {
    let below = match value {
        Value::Object(members) => members.values().map(depth).max(),
        Value::Array(elements) => elements.iter().map(depth).max(),
        _ => return 0,
    };
    1 + below.unwrap_or_default()
}

/// The splices alone make the new text of the old one.
fn spliced(old: &str, edited: &Edited) {
    let (mut new, mut done) = (String::new(), 0);
    for splice in &edited.splices {
        new += &old[done..splice.offset];
        done = splice.offset + splice.removed.len();
        assert_eq!(old[splice.offset..done], splice.removed);
        new += &splice.inserted;
    }
    new += &old[done..];
    assert_eq!(new, edited.document.as_str(), "the splices are not the edit");
}

/// The value by the second parser alone, on a stack of its own where the text may nest deeply.
pub fn second(text: &str) -> Value {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    if text
        .trim_matches(|c: char| c.is_whitespace() || c == '\u{FEFF}')
        .is_empty()
    {
        return json!({});
    }
    let text = &with_stand_ins(text);
    if text.bytes().filter(|byte| b"[{".contains(byte)).count() <= 64 {
        return json5::from_str(text).unwrap();
    }
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(32 << 20);
        let thread = builder.spawn_scoped(scope, || json5::from_str(text).unwrap());
        thread.unwrap().join().unwrap()
    })
}

/// Whether there is something in a file that cannot be written: bytes that are no UTF-8, or halves of surrogate pairs,
/// escaped alone.
pub fn has_stand_ins(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).map_or(true, |text| with_stand_ins(text) != text)
}

/// The text with the character 0x1000 behind it for each half of a surrogate pair that is escaped alone.
fn with_stand_ins(text: &str) -> String {
    let mut new = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let code = |at: usize| {
            let digits = rest.get(at..)?.strip_prefix("\\u")?.get(..4)?;
            u32::from_str_radix(digits, 16).ok()
        };
        let length = match (code(at), code(at + 6)) {
            (Some(0xD800..0xDC00), Some(0xDC00..0xE000)) => 12,
            (Some(half @ 0xD800..0xE000), _) => {
                new += &format!("{}\\u{:04x}", &rest[..at], half + 0x1000);
                rest = &rest[at + 6..];
                continue;
            }
            _ => 1 + rest[at + 1..].chars().next().map_or(0, char::len_utf8),
        };
        new += &rest[..at + length];
        rest = &rest[at + length..];
    }
    new + rest
}
