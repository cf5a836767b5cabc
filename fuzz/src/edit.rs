//! The config edit: an arbitrary file, and arbitrary things that are wanted of it one after the other.

use super::input::{Program, split};
use super::json5_edit::{anywhere, edited, has_stand_ins, second};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use sigilum_authz_notify::openclaw::document;
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
    let Ok(document) = document::parse(text) else { return };

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

    let restored = match undo.restore(FILE, &bytes) {
        Ok(restored) => restored,
        // One that we took out: the record has a stand-in for it.
        Err(_) if has_stand_ins(text) => return,
        Err(error) => panic!("{error}"),
    };
    let given_back = restored.document.to_bytes();
    assert!(!restored.delete_file, "somebody else's file would be deleted");
    assert_eq!(*restored.document.value(), expected, "undo gives another value");
    assert_eq!(second(restored.document.as_str()), expected, "undo gives another text");
    if !shared {
        assert_eq!(*given_back, *text, "undo does not give the bytes back");
        assert!(
            restored.exact || bytes == text,
            "undo does not know that it gives the bytes back"
        );
    }
}

/// One edit, checked and recorded; `None` where what is wanted makes no sense for this config.
fn ours(kind: u8, old: &[u8], program: &mut Program, undo: &mut Undo) -> Option<Vec<u8>> {
    let document = document::parse(old).unwrap();
    let wanted = wanted(kind, document.value(), program)?;
    let edited = edited(&document, &wanted)?;

    let change = Change {
        old: Some(document.as_str()),
        before: document.value(),
        edited: &edited,
        after: &wanted,
    };
    undo.note(FILE, &change);
    // As it goes through its file.
    let read = Undo::from_json(&undo.to_json()).unwrap();
    assert!(read == *undo, "the undo record is read back as another");
    *undo = read;
    Some(edited.document.to_bytes().into_owned())
}

fn theirs(kind: u8, old: &[u8], expected: &mut Value, round: usize) -> Option<Vec<u8>> {
    let document = document::parse(old).unwrap();
    let mut value = second(document.as_str());
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
            document.edit(&value).unwrap().document.to_bytes().into_owned()
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
        replaces: None,
        token_in_config: [None, Some(true), Some(false)][usize::from(flags % 3)],
        barred: None,
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

/// The object at `path`, made where there is none; other kinds of value in the way are left alone.
fn object_at<'a>(value: &'a mut Value, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    path.iter()
        .try_fold(value, |value, key| {
            Some(value.as_object_mut()?.entry(*key).or_insert_with(|| json!({})))
        })?
        .as_object_mut()
}

/// A large config with this one many times in it. Nothing but the program itself is run, so that a limit of time or
/// memory tells something about it.
fn large(text: &[u8], program: &mut Program) {
    if document::parse(text).is_ok_and(|document| document.is_bare()) {
        return;
    }
    let bare = text.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(text);
    let item = |index: usize| [format!("k{index}:[\n").as_bytes(), bare, b"\n],\n"].concat();
    let items: Vec<u8> = (0..BIG / item(0).len()).flat_map(item).collect();
    let text = [b"{\n", &items[..], b"hooks:{}}"].concat();
    let Ok(document) = document::parse(&text) else { return };
    let Some(wanted) = wanted(program.byte(), document.value(), program) else {
        return;
    };
    let edited = document.edit(&wanted).unwrap();
    let mut undo = Undo::default();
    let change = Change {
        old: Some(document.as_str()),
        before: document.value(),
        edited: &edited,
        after: &wanted,
    };
    undo.note(FILE, &change);
    let theirs = [&edited.document.to_bytes()[..], &b"\n// theirs"[..]].concat();
    undo.restore(FILE, &theirs).unwrap();
}
