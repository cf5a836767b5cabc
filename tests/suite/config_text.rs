//! The config's text: as people write it, before and after an edit
//! (`fixtures/config/<case>/{before.json5,patch.json,after.json5}`), and as nobody should.

use std::path::{Path, PathBuf};

use json_patch::Patch;
use proptest::prelude::*;
use serde_json::{Value, json};
use sigilum_authz_notify::openclaw::document::{Document, Position};
use sigilum_authz_notify::openclaw::undo::{Change, Undo};

fn cases() -> Vec<(PathBuf, Vec<u8>, Patch, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/config");
    let folders = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> = folders
        .filter(|folder| folder.join("patch.json").exists())
        .map(|folder| {
            let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
            let patch = serde_json::from_slice(&read("patch.json")).unwrap();
            (folder.clone(), read("before.json5"), patch, read("after.json5"))
        })
        .collect();
    cases.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(cases.len() >= 27, "{} cases", cases.len());
    cases
}

#[test]
fn fixtures_before_and_after() {
    for (name, before, patch, after) in cases() {
        let document = Document::parse(&before).unwrap();
        let edited = document.edit(&patch).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&edited.bytes),
            String::from_utf8_lossy(&after),
            "{}",
            name.display()
        );
        assert_eq!(edited.bytes, after, "{}", name.display());
        // Nothing left to do.
        let new = Document::parse(&after).unwrap();
        let again = new.edit(&json_patch::diff(new.value(), new.value())).unwrap();
        assert_eq!((again.bytes, again.splices.len()), (after, 0), "{}", name.display());
    }
}

#[test]
fn fixtures_and_back() {
    for (name, before, patch, after) in cases() {
        let document = Document::parse(&before).unwrap();
        let edited = document.edit(&patch).unwrap();
        let mut undo = Undo::default();
        let value = Document::parse(&after).unwrap().into_value();
        let change = Change {
            old: Some(&before),
            before: document.value(),
            edited: &edited,
            after: &value,
        };
        undo.note("openclaw.json", &change);
        let restored = undo.restore("openclaw.json", &after).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&restored.bytes),
            String::from_utf8_lossy(&before),
            "{}",
            name.display()
        );
        assert!(restored.exact && !restored.delete_file, "{}", name.display());
    }
}

#[test]
fn what_is_refused_and_where() {
    type Case = (&'static [u8], &'static str, Option<(usize, usize)>);
    let cases: &[Case] = &[
        (b"{ a: 1", "the file ends where a comma or } was expected", Some((1, 7))),
        (
            b"{ a: [1",
            "the file ends where a comma or ] was expected",
            Some((1, 8)),
        ),
        (b"{\n  a: 1\n  b: 2\n}", "expected a comma or }", Some((3, 3))),
        (b"{\r\n  a: [1 2]\r\n}", "expected a comma or ]", Some((2, 9))),
        (b"{\r  a: }", "expected a value (a string needs quotes)", Some((2, 6))),
        (b"{ a: }", "expected a value (a string needs quotes)", Some((1, 6))),
        (b"{ a: yes }", "expected a value (a string needs quotes)", Some((1, 6))),
        (
            b"{ a: nullx }",
            "expected a value (a string needs quotes)",
            Some((1, 6)),
        ),
        (b"{ a 1 }", "expected a colon after the key", Some((1, 5))),
        (b"{ 1: 1 }", "expected a key or }", Some((1, 3))),
        (b"{ a-b: 1 }", "expected a colon after the key", Some((1, 4))),
        (b"{ , }", "expected a key before the comma", Some((1, 3))),
        (b"{ a: 1,, b: 2 }", "expected a key before the comma", Some((1, 8))),
        (b"{ a: [,] }", "expected a value before the comma", Some((1, 7))),
        (b"{ a: 01 }", "a number must not begin with 0", Some((1, 6))),
        (b"{ a: 0x }", "this hexadecimal number has no digits", Some((1, 6))),
        (b"{ a: 1e }", "the exponent of this number has no digits", Some((1, 6))),
        (b"{ a: 1.2.3 }", "this is not a number", Some((1, 6))),
        (b"{ a: 12px }", "this is not a number", Some((1, 6))),
        (b"{ a: - 1 }", "expected a value (a string needs quotes)", Some((1, 6))),
        (b"{ a: 'x }", "this string is never closed", Some((1, 6))),
        (b"{ a: 'x\n' }", "a line break inside a string", Some((1, 8))),
        (
            b"{ a: '\\x4' }",
            "this escape is not one that JSON5 knows",
            Some((1, 7)),
        ),
        (b"{ a: '\\1' }", "this escape is not one that JSON5 knows", Some((1, 7))),
        (b"{ a: '\\ud800' }", "this \\u escape is not a character", Some((1, 7))),
        (b"{ /* a: 1 }", "this comment is never closed", Some((1, 3))),
        (b"{ a: 1 } / x", "expected a comment after /", Some((1, 10))),
        (
            b"{ a: 1 } {}",
            "nothing more was expected after the end of the value",
            Some((1, 10)),
        ),
        (b"{ a: ] }", "expected a value (a string needs quotes)", Some((1, 6))),
        (
            b"// nothing\n",
            "the file ends where a value was expected",
            Some((2, 1)),
        ),
        (b"// c\n[1]", "the outermost value is not an object { … }", Some((2, 1))),
        (b"\"{}\"", "the outermost value is not an object { … }", Some((1, 1))),
        (b"null", "the outermost value is not an object { … }", Some((1, 1))),
        (
            "\u{FEFF}{\n  é: 'é' 1}".as_bytes(),
            "expected a comma or }",
            Some((2, 10)),
        ),
        (b"{ a: 'x\0' }", "a NUL byte", Some((1, 8))),
        (b"{\n a: '\xFF' }", "not valid UTF-8", Some((2, 6))),
        (
            b"\xFF\xFE{\0}\0",
            "not UTF-8 but UTF-16 or UTF-32: save the file as UTF-8",
            None,
        ),
        (
            b"\xFE\xFF\0{\0}",
            "not UTF-8 but UTF-16 or UTF-32: save the file as UTF-8",
            None,
        ),
        (
            b"{\0}\0",
            "not UTF-8 but UTF-16 or UTF-32: save the file as UTF-8",
            None,
        ),
        (
            b"\0{\0}",
            "not UTF-8 but UTF-16 or UTF-32: save the file as UTF-8",
            None,
        ),
        (
            b"{\0\0\0}\0\0\0",
            "not UTF-8 but UTF-16 or UTF-32: save the file as UTF-8",
            None,
        ),
        (
            b"\0\0\0{\0\0\0}",
            "not UTF-8 but UTF-16 or UTF-32: save the file as UTF-8",
            None,
        ),
        (&[b' '; (4 << 20) + 1], "larger than 4 MiB", None),
    ];
    for (bytes, reason, place) in cases {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]);
        let error = Document::parse(bytes)
            .err()
            .unwrap_or_else(|| panic!("{text} is taken"));
        assert_eq!(error.reason, *reason, "{text}");
        assert_eq!(
            error.position,
            place.map(|(line, column)| Position { line, column }),
            "{text}"
        );
        // For people: where and what, and never the text itself.
        if let Some((line, column)) = place {
            assert_eq!(error.to_string(), format!("{reason} (line {line}, column {column})"));
        }
    }
}

#[test]
fn a_key_that_stands_twice_is_refused_on_our_path_only() {
    let path = ["hooks", "internal", "entries"];
    for (text, place) in [
        ("{ a: 1, a: 2, hooks: { x: { y: 1, y: 2 } } }", None),
        ("{ hooks: {},\n 'hooks': {} }", Some((2, 2))),
        ("{ hooks: { internal: {}, \\u0069nternal: {} } }", Some((1, 26))),
        (
            "{ hooks: { internal: { entries: {}, \"\\x65ntries\": 1 } } }",
            Some((1, 37)),
        ),
        ("{ hooks: 'x' }", None),
        ("{ hooks: [{ internal: 1, internal: 2 }] }", None),
        ("", None),
    ] {
        let found = Document::parse(text.as_bytes()).unwrap().refuse_duplicates(&path);
        let position = found
            .err()
            .and_then(|error| error.position)
            .map(|at| (at.line, at.column));
        assert_eq!(position, place, "{text}");
    }
}

#[test]
fn a_value_is_pointed_to() {
    let document = Document::parse(b"{\n  hooks: { internal: /* odd */ 'x' },\n}").unwrap();
    let at = |path: &[&str]| document.position(path).map(|at| (at.line, at.column));
    assert_eq!(at(&[]), Some((1, 1)));
    assert_eq!(at(&["hooks"]), Some((2, 10)));
    assert_eq!(at(&["hooks", "internal"]), Some((2, 32)));
    assert_eq!(at(&["hooks", "internal", "entries"]), None);
}

#[test]
fn of_a_key_that_stands_twice_the_one_that_counts_is_edited() {
    let document = Document::parse(b"{ a: 1, b: 2, a: 3 }").unwrap();
    let edit = |patch: Value| {
        String::from_utf8(document.edit(&serde_json::from_value(patch).unwrap()).unwrap().bytes).unwrap()
    };
    assert_eq!(
        edit(json!([{"op": "replace", "path": "/a", "value": 4}])),
        "{ a: 1, b: 2, a: 4 }"
    );
    assert_eq!(edit(json!([{"op": "remove", "path": "/a"}])), "{ b: 2 }");
    assert_eq!(
        edit(json!([{"op": "add", "path": "/c", "value": 5}])),
        "{ a: 1, b: 2, a: 3, c: 5 }"
    );
}

#[test]
fn a_patch_that_does_not_fit_changes_nothing() {
    let document = Document::parse(b"{ a: { b: 1 } }").unwrap();
    for path in ["/x", "/a/x", "/a/b/c"] {
        let patch = serde_json::from_value(json!([{"op": "replace", "path": path, "value": 1}])).unwrap();
        let error = document.edit(&patch).unwrap_err();
        assert!(
            error.reason.starts_with("the change does not fit the config"),
            "{error}"
        );
    }
}

#[test]
fn no_edit_makes_a_file_that_cannot_be_read_again() {
    let text = format!("{{ a: '{}' }}", "x".repeat((4 << 20) - 20));
    let document = Document::parse(text.as_bytes()).unwrap();
    let patch = serde_json::from_value(json!([{"op": "add", "path": "/b", "value": "and some more"}])).unwrap();
    assert_eq!(
        document.edit(&patch).unwrap_err().reason,
        "it would become larger than 4 MiB"
    );
    let patch = serde_json::from_value(json!([{"op": "replace", "path": "/a", "value": ""}])).unwrap();
    assert_eq!(document.edit(&patch).unwrap().bytes, b"{ a: '' }");
}

#[test]
fn nothing_that_is_debug_printed_shows_a_token() {
    let document = Document::parse(b"{ token: 'secret' }").unwrap();
    let patch = serde_json::from_value(json!([{"op": "replace", "path": "/token", "value": "hidden"}])).unwrap();
    let edited = document.edit(&patch).unwrap();
    let printed = format!("{document:?} {edited:?} {:?}", Document::parse(b"{ token: 'secret }"));
    assert!(!printed.contains("secret") && !printed.contains("hidden"), "{printed}");
}

/// What a JSON5 text is made of, whole and broken.
fn soup() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "a",
        "b:",
        "'x'",
        "\"y\"",
        "1",
        "0x1F",
        "-",
        "+",
        ".",
        "e5",
        "0",
        "08",
        "1e3",
        "Infinity",
        "NaN",
        "true",
        "null",
        "nul",
        " ",
        "\n",
        "\r",
        "\u{2028}",
        "\u{A0}",
        "\u{FEFF}",
        "\u{85}",
        "\u{200B}",
        "//",
        "/*",
        "*/",
        "/",
        "\\",
        "\\u0061",
        "\\u{61}",
        "\\x41",
        "\\uD83D\\uDE00",
        "\\uD83D",
        "'",
        "\"",
        "é",
        "✓",
        "ª",
        "\u{301}",
        "\u{200D}",
        "$",
        "_",
        "-a",
        "{a:1}",
        "[1,]",
        "#",
        "`",
        "undefined",
    ]);
    prop::collection::vec(pieces, 0..9).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    /// The first parser takes what the second takes, nothing more and nothing less.
    #[test]
    fn the_two_parsers_agree(inside in soup(), before in soup(), wrap in 0..6_u8) {
        let text = match wrap {
            0 => format!("{before}{{{inside}}}"),
            1 => format!("{{a:{inside}}}"),
            2 => format!("{{a:[{inside}]}}"),
            3 => format!("{{a:1,{inside}:1}}"),
            4 => format!("{{a:'{inside}'}}"),
            _ => format!("{{{inside}:{before}}}"),
        };
        // A byte order mark at the beginning is none of the parsers' business.
        prop_assume!(!text.starts_with('\u{FEFF}'));
        let second = json5::from_str::<Value>(&text).ok().filter(Value::is_object);
        let first = Document::parse(text.as_bytes());
        prop_assert_eq!(first.as_ref().ok().map(Document::value), second.as_ref(), "{:?}: {:?}", text, first);
    }
}
