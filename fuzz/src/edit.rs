//! The config edit: an arbitrary file, and arbitrary things that are wanted of it one after the other.

use super::comments::comments;
use super::input::{Program, split};
use json_patch::diff;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use sigilum_authz_notify::openclaw::document::{Document, Edited};
use sigilum_authz_notify::openclaw::entry::Enable;
use sigilum_authz_notify::openclaw::entry::{self, HOOK, Installs, Wanted};
use sigilum_authz_notify::openclaw::removal;
use sigilum_authz_notify::openclaw::undo::{Change, Undo};
use std::path::Path;

const FILE: &str = "/home/tester/.openclaw/openclaw.json";
const OPEN_DIR: &str = "/home/tester/.openclaw/hooks/sigilum-authz-notify";
/// As far as a text is blown up, to see that time and memory grow with its length alone.
const BIG: usize = 64 << 10;

/// Text: the config. Program: the wants.
pub fn check(input: &[u8]) {
    let (text, mut program) = split(input);
    if program.byte() == b'B' {
        return large(text, &mut program);
    }
    let Ok(document) = Document::parse(text) else { return };
    assert_eq!(document.bytes(), text, "not the file's bytes");
    assert_eq!(*document.value(), second(text), "the two parsers disagree");

    let mut undo = Undo::default();
    let mut bytes = text.to_vec();
    let mut expected = document.into_value();
    let mut shared = false;
    for round in 0..4 {
        let (next, others) = match program.byte() {
            // Others write, too: all anew, or around the text, or a member.
            kind @ b'1'..=b'3' => (theirs(kind, &bytes, &mut expected, round), true),
            kind => (ours(kind, &bytes, &mut program, &mut undo), false),
        };
        let Some(next) = next else { break };
        shared |= others;
        bytes = next;
        if program.is_over() {
            break;
        }
    }

    let restored = undo.restore(FILE, &bytes).unwrap();
    assert!(!restored.delete_file, "somebody else's file would be deleted");
    assert_eq!(restored.value, expected, "undo gives another value");
    assert_eq!(second(&restored.bytes), expected, "undo gives another text");
    if !shared {
        assert_eq!(restored.bytes, text, "undo does not give the bytes back");
        assert!(
            restored.exact || bytes == text,
            "undo does not know that it gives the bytes back"
        );
    }
}

/// One edit, checked and recorded; `None` where what is wanted makes no sense for this config.
fn ours(kind: u8, old: &[u8], program: &mut Program, undo: &mut Undo) -> Option<Vec<u8>> {
    let document = Document::parse(old).unwrap();
    let wanted = wanted(kind, document.value(), program)?;
    if depth(&wanted) > 512 {
        return None;
    }
    let edited = document.edit(&diff(document.value(), &wanted)).unwrap();
    assert_eq!(second(&edited.bytes), wanted, "the new text has another value");
    keeps_comments(old, &edited.bytes);
    spliced(old, &edited);
    if serde_json::from_slice::<Value>(old).is_ok() {
        assert!(serde_json::from_slice::<Value>(&edited.bytes).is_ok(), "no longer JSON");
    }
    let new = Document::parse(&edited.bytes).unwrap();
    let again = new.edit(&diff(new.value(), &wanted)).unwrap();
    assert!(
        again.splices.is_empty() && again.bytes == edited.bytes,
        "a second run writes"
    );

    let change = Change {
        old: Some(old),
        before: document.value(),
        edited: &edited,
        after: &wanted,
    };
    undo.note(FILE, &change);
    // As it goes through its file.
    let read = Undo::from_json(&undo.to_json()).unwrap();
    assert!(read == *undo, "the undo record is read back as another");
    *undo = read;
    Some(edited.bytes)
}

fn theirs(kind: u8, old: &[u8], expected: &mut Value, round: usize) -> Option<Vec<u8>> {
    let mut value = second(old);
    Some(match kind {
        b'1' => serde_json::to_vec_pretty(&value).unwrap(),
        // Comments alone would be no config.
        b'2' if value == json!({}) => return None,
        b'2' => {
            let bare = old.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(old);
            [b"// theirs\n", bare, b"\n// theirs\n"].concat()
        }
        _ => {
            let key = format!("theirs {round}");
            value.as_object_mut()?.insert(key.clone(), json!(round));
            expected.as_object_mut()?.insert(key, json!(round));
            let document = Document::parse(old).unwrap();
            document.edit(&diff(document.value(), &value)).unwrap().bytes
        }
    })
}

fn wanted(kind: u8, config: &Value, program: &mut Program) -> Option<Value> {
    let mut value = config.clone();
    let env = ["hooks", "internal", "entries", HOOK, "env"];
    match kind {
        b'g' => drop(object_at(&mut value, &env[..3])?.shift_remove(HOOK)),
        b'e' => {
            let on = program.byte() & 1 == 1;
            object_at(&mut value, &env[..4])?.insert("enabled".into(), json!(on));
        }
        b'v' => {
            let name = program.text();
            let text = program.text();
            object_at(&mut value, &env)?.insert(name, json!(text));
        }
        b'w' => drop(object_at(&mut value, &env)?.shift_remove(&program.text())),
        b'd' => {
            let load = object_at(&mut value, &["hooks", "internal", "load"])?;
            let dirs = load.entry("extraDirs").or_insert_with(|| json!([])).as_array_mut()?;
            dirs.push(json!(program.text()));
        }
        b'a' => anywhere(&mut value, program),
        b't' => return Some(removal::without_token(config, program.byte() & 1 == 1).ok()?.value),
        b'r' => {
            return Some(
                removal::removed(config, Path::new(OPEN_DIR), &Installs::none())
                    .ok()?
                    .value,
            );
        }
        _ => return by_login(kind, config, program),
    }
    Some(value)
}

/// What a login or an install wants.
fn by_login(flags: u8, config: &Value, program: &mut Program) -> Option<Value> {
    let [namespace, api_url, mode, token] = [(); 4].map(|()| program.text());
    let token = (!token.is_empty()).then(|| SecretString::from(token));
    let want = Wanted {
        namespace: &namespace,
        api_url: &api_url,
        mode: &mode,
        token: token.as_ref(),
        token_in_config: [None, Some(true), Some(false)][usize::from(flags % 3)],
        enable: [Enable::True, Enable::False, Enable::Preserve][usize::from(flags / 3 % 3)],
        open_dir: Path::new(OPEN_DIR),
        force: flags & 0x40 != 0,
        keep_length: flags & 0x80 != 0,
    };
    let none = Installs::none();
    let planned = entry::wanted(config, &want, &none).ok()?;
    let found = entry::find(&planned.value).expect("what a login writes can be read");
    assert_eq!(planned.has_entry, found.is_some());
    if planned.holds_token {
        let held = found
            .and_then(|entry| entry.token())
            .expect("the token is in the config");
        assert_eq!(held.expose_secret(), want.token.unwrap().expose_secret());
    }
    if !want.force
        && let (Ok(old), Ok(new)) = (entry::selection(config, &none), entry::selection(&planned.value, &none))
    {
        assert!(old.changes_to(&new).is_empty(), "which other hooks run changes");
    }
    Some(planned.value)
}

/// A member or element goes, is replaced, or gets a neighbour, in any container.
fn anywhere(value: &mut Value, program: &mut Program) {
    let mut paths = Vec::new();
    containers(value, String::new(), &mut paths);
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

/// The object at `path`, made where there is none; other kinds of value in the way are left alone.
fn object_at<'a>(value: &'a mut Value, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    path.iter()
        .try_fold(value, |value, key| {
            Some(value.as_object_mut()?.entry(*key).or_insert_with(|| json!({})))
        })?
        .as_object_mut()
}

fn depth(value: &Value) -> usize {
    let below = match value {
        Value::Object(members) => members.values().map(depth).max(),
        Value::Array(elements) => elements.iter().map(depth).max(),
        _ => return 0,
    };
    1 + below.unwrap_or_default()
}

/// A large config with this one many times in it. Nothing but the program itself is run, so that a limit of time or
/// memory tells something about it.
fn large(text: &[u8], program: &mut Program) {
    if Document::parse(text).is_ok_and(|document| document.is_bare()) {
        return;
    }
    let bare = text.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(text);
    let item = |index: usize| [format!("k{index}:[\n").as_bytes(), bare, b"\n],\n"].concat();
    let items: Vec<u8> = (0..BIG / item(0).len()).flat_map(item).collect();
    let text = [b"{\n", &items[..], b"hooks:{}}"].concat();
    let Ok(document) = Document::parse(&text) else { return };
    let Some(wanted) = wanted(program.byte(), document.value(), program) else {
        return;
    };
    let edited = document.edit(&diff(document.value(), &wanted)).unwrap();
    let mut undo = Undo::default();
    let change = Change {
        old: Some(&text),
        before: document.value(),
        edited: &edited,
        after: &wanted,
    };
    undo.note(FILE, &change);
    let theirs = [&edited.bytes, &b"\n// theirs"[..]].concat();
    undo.restore(FILE, &theirs).unwrap();
}

fn keeps_comments(old: &[u8], new: &[u8]) {
    let [old, new] = [old, new].map(|bytes| comments(std::str::from_utf8(bytes).unwrap()));
    assert_eq!(old, new, "comments");
}

/// The splices alone make the new file of the old one.
fn spliced(old: &[u8], edited: &Edited) {
    let (mut new, mut done) = (Vec::new(), 0);
    for splice in &edited.splices {
        new.extend_from_slice(&old[done..splice.offset]);
        done = splice.offset + splice.removed.len();
        assert_eq!(&old[splice.offset..done], splice.removed.as_bytes());
        new.extend_from_slice(splice.inserted.as_bytes());
    }
    new.extend_from_slice(&old[done..]);
    assert_eq!(new, edited.bytes, "the splices are not the edit");
}

/// The value by the second parser alone, on a stack of its own where the text may nest deeply.
pub fn second(bytes: &[u8]) -> Value {
    let text = std::str::from_utf8(bytes).unwrap();
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    if text
        .trim_matches(|c: char| c.is_whitespace() || c == '\u{FEFF}')
        .is_empty()
    {
        return json!({});
    }
    if text.bytes().filter(|byte| b"[{".contains(byte)).count() <= 64 {
        return json5::from_str(text).unwrap();
    }
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(32 << 20);
        let thread = builder.spawn_scoped(scope, || json5::from_str(text).unwrap());
        thread.unwrap().join().unwrap()
    })
}
