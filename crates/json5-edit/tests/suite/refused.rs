//! What is refused, and where.

use json5_edit::{Document, Error, MAX_BYTES, Position};
use serde_json::json;

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
        (b"{ a: '\\ud80' }", "this \\u escape is not a character", Some((1, 7))),
        (b"{ \\ud800: 1 }", "this \\u escape is not a character", Some((1, 3))),
        (
            "{ a: '\\ud800', b: '\u{E800}\u{F000}\\ue000' }".as_bytes(),
            "half of a surrogate pair, in a text that also has private-use characters of each kind: from U+E000, U+E800 and \
             U+F000 on",
            Some((1, 7)),
        ),
        (
            b"{ a: '\\uEFFF\\uE7FF\\uF7FF\\uDFFF' }",
            "half of a surrogate pair, in a text that also has private-use characters of each kind: from U+E000, U+E800 and \
             U+F000 on",
            Some((1, 25)),
        ),
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
        (
            "\u{FEFF}{\n  é: 'é' 1}".as_bytes(),
            "expected a comma or }",
            Some((2, 10)),
        ),
        (b"{ a: 'x\0' }\0\0", "a NUL byte", Some((1, 8))),
        (b"{ a: 1 }\n\0", "a NUL byte", Some((2, 1))),
        (
            b"{\n a: \xFF }",
            "expected a value (a string needs quotes)",
            Some((2, 5)),
        ),
        (b"{ a\xFF: 1 }", "expected colon", Some((1, 4))),
        (
            b"{ a: '\xFF', b: '\xF4\x8F\x9E\x80' }",
            "bytes that are not UTF-8, in a text that also has private-use characters from U+10F780 to U+10F7FF",
            None,
        ),
        (
            b"{ a: '\xFF', b: '\\uDBFD\\uDF80' }",
            "bytes that are not UTF-8, in a text that also has private-use characters from U+10F780 to U+10F7FF",
            None,
        ),
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
fn a_path_that_leads_nowhere_changes_nothing() {
    for (path, reason, column) in [
        (
            &["a", "b", "c"][..],
            "nothing can be set at a.b.c: a.b has no place for it",
            11,
        ),
        (&["d", "1"], "nothing can be set at d.1: d has no place for it", 19),
        (&["d", "00"], "nothing can be set at d.00: d has no place for it", 19),
        (&["d", "x"], "nothing can be set at d.x: d has no place for it", 19),
    ] {
        let mut document = Document::parse("{ a: { b: 1 }, d: [] }").unwrap();
        let error = document.set(path, 1).unwrap_err();
        assert_eq!(
            error,
            Error {
                reason: reason.into(),
                position: Some(Position { line: 1, column })
            }
        );
        assert_eq!(document.as_str(), "{ a: { b: 1 }, d: [] }");
    }
}

#[test]
fn half_of_a_surrogate_pair_is_not_written() {
    let mut document = Document::parse(r"{ a: '\ud83d', b: ['\ud83d'] }").unwrap();
    let before = document.to_string();
    let half = document.value()["a"].clone();
    for (path, value) in [
        (&["c"][..], half.clone()),
        (&["b", "1"], half),
        (&["c"], json!({"\u{EFFF}": 1})),
    ] {
        let error = document.set(path, value).unwrap_err();
        assert_eq!(error.to_string(), "half of a surrogate pair cannot be written");
        assert_eq!(document.as_str(), before);
    }
}

#[test]
fn half_of_a_surrogate_pair_stands_beside_signs_of_an_icon_font() {
    for (icons, half) in [
        ("", "\u{E83D}"),
        ("\u{F02D}", "\u{E83D}"),
        ("\u{EA60}", "\u{E03D}"),
        ("\\ueb00", "\u{E03D}"),
        ("\u{EA60}\\uE7A1", "\u{F03D}"),
    ] {
        let text = format!(r"{{ a: '\ud83d', b: '{icons}', c: 1 }}");
        let mut document = Document::parse(&text).unwrap();
        assert_eq!(document.value()["a"], half, "{text}");
        // Also where the sign goes with the edit.
        for (key, value) in [("c", json!(2)), ("b", json!("plain"))] {
            document.set(&[key], value).unwrap();
            assert_eq!(document.value()["a"], half, "{text}");
        }
        assert_eq!(document.as_str(), r"{ a: '\ud83d', b: 'plain', c: 2 }");
        assert!(document.set(&["c"], half).is_err(), "{text}");
    }
}

#[test]
fn a_byte_that_is_no_utf_8_is_not_written() {
    let mut document = Document::parse(b"{ a: '\xFF', b: ['\xFF'] }").unwrap();
    let before = document.to_bytes().into_owned();
    let byte = document.value()["a"].clone();
    for (path, value) in [
        (&["c"][..], byte.clone()),
        (&["b", "1"], byte),
        (&["c"], json!({"\u{10F780}": 1})),
    ] {
        let error = document.set(path, value).unwrap_err();
        assert_eq!(error.to_string(), "a byte that is not UTF-8 cannot be written");
        assert_eq!(*document.to_bytes(), before);
    }
}

#[test]
fn no_edit_makes_a_file_that_cannot_be_read_again() {
    let text = format!("{{ a: '{}' }}", "x".repeat((4 << 20) - 20));
    let mut document = Document::parse(&text).unwrap();
    assert_eq!(
        document.set(&["b"], "and some more").unwrap_err().reason,
        "it would become larger than 4 MiB"
    );
    assert_eq!(document.as_str(), text);
    document.set(&["a"], "").unwrap();
    assert_eq!(document.as_str(), "{ a: '' }");
}

#[test]
fn nothing_that_is_debug_printed_shows_a_token() {
    let document = Document::parse(b"{ token: 'secret' }").unwrap();
    let edited = document.edit(&json!({"token": "hidden"})).unwrap();
    let printed = format!("{document:?} {edited:?} {:?}", Document::parse(b"{ token: 'secret }"));
    assert!(!printed.contains("secret") && !printed.contains("hidden"), "{printed}");
}

#[test]
fn as_deep_as_is_allowed_and_no_deeper() {
    for (open, close) in [("{a:", "}"), ("[", "]")] {
        let nested = |depth: usize| format!("{{x: {}1{}}}", open.repeat(depth - 1), close.repeat(depth - 1));
        let deep = nested(512);
        let added = format!("{}, b: 1}}", &deep[..deep.len() - 1]);
        let mut document = Document::parse(&deep).unwrap();
        document.set(&["b"], 1).unwrap();
        assert_eq!(document.as_str(), added);
        let error = Document::parse(nested(513).as_bytes()).unwrap_err();
        assert_eq!(error.reason, "nested deeper than 512 levels");
    }
    let error = Document::parse("[".repeat(MAX_BYTES).as_bytes()).unwrap_err();
    assert_eq!(error.position, Some(Position { line: 1, column: 513 }));
}
