//! What an edit does to a text, as before and after.

use json5_edit::{Document, Edited};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The text after these operations, which are applied to the value; and its splices hold.
fn edited(before: &str, operations: Value) -> String {
    let document = Document::parse(before).unwrap();
    let mut wanted = document.value().clone();
    let patch: json_patch::Patch = serde_json::from_value(operations).unwrap();
    json_patch::patch(&mut wanted, &patch).unwrap();
    let edited = document.edit(&wanted).unwrap();
    assert_splices(before, &edited);
    edited.document.to_string()
}

/// The splices turn the old text into the new one.
fn assert_splices(before: &str, edited: &Edited) {
    let mut text = String::new();
    let mut done = 0;
    for splice in &edited.splices {
        text += &before[done..splice.offset];
        text += &splice.inserted;
        done = splice.offset + splice.removed.len();
        assert_eq!(&before[splice.offset..done], splice.removed);
    }
    text += &before[done..];
    assert_eq!(text, edited.document.as_str());
}

/// Adds `/b` and checks both ways: what comes out, and that taking it out again gives the first text back.
#[test]
fn an_added_member_follows_its_neighbours_and_leaves_no_trace_when_removed() {
    for (before, after) in [
        ("{}", "{\n  \"b\": {\n    \"c\": \"d\"\n  }\n}"),
        ("{\"a\":1}", "{\"a\":1,\"b\":{\"c\":\"d\"}}"),
        ("{ a: 1, }", "{ a: 1, b: { c: \"d\" }, }"),
        (
            "{\n\ta: 'x', // note\n}\n",
            "{\n\ta: 'x', // note\n\tb: {\n\t\tc: 'd',\n\t},\n}\n",
        ),
        (
            "{\r\n    \"a\": 1\r\n}",
            "{\r\n    \"a\": 1,\r\n    \"b\": {\r\n        \"c\": \"d\"\r\n    }\r\n}",
        ),
        (
            "{\"a\": 1 /* x */ // y\n}",
            "{\"a\": 1, /* x */ // y\n  \"b\": {\n    \"c\": \"d\"\n  }\n}",
        ),
        (
            "{\n  a: 1\n  // end\n}",
            "{\n  a: 1,\n  b: {\n    c: \"d\"\n  }\n  // end\n}",
        ),
        ("{\n  a: 1\n  , b0: 2\n}", "{\n  a: 1\n  , b0: 2, b: {c: \"d\"}\n}"),
        ("{ a: 1,\n  e: 2 }", "{ a: 1,\n  e: 2,\n  b: {\n    c: \"d\"\n  } }"),
        ("{\n  a: { x: 1 }\n}", "{\n  a: { x: 1 },\n  b: { c: \"d\" }\n}"),
        ("{\n  // c\n}", "{\n  // c\n  \"b\": {\n    \"c\": \"d\"\n  }\n}"),
        (
            "\u{FEFF}{\"a\" : 1}\n",
            "\u{FEFF}{\"a\" : 1, \"b\" : {\"c\" : \"d\"}}\n",
        ),
    ] {
        assert_eq!(
            edited(before, json!([{"op": "add", "path": "/b", "value": {"c": "d"}}])),
            after,
            "{before}"
        );
        assert_eq!(
            edited(after, json!([{"op": "remove", "path": "/b"}])),
            before,
            "{after}"
        );
    }
}

#[test]
fn a_removed_member_leaves_every_comment() {
    for (before, after) in [
        (
            "{\n  // b\n  \"b\": 1, // one\n  \"a\": 2 // two\n}",
            "{\n  // b\n  // one\n  \"a\": 2 // two\n}",
        ),
        (
            "{\n  \"a\": 2,\n  // b\n  \"b\": 1 // one\n}",
            "{\n  \"a\": 2\n  // b\n  // one\n}",
        ),
        (
            "{ \"a\": 2, /* b */ \"b\" /* k */: /* v */ 1 /* e */ }",
            "{ \"a\": 2 /* b */ /* k */ /* v */ /* e */ }",
        ),
        ("{\"b\": 1, /* for a */ \"a\": 2}", "{/* for a */ \"a\": 2}"),
        (
            "{\n  b: {\n    // in\n    x: 1, /* y */\n  },\n  a: 1\n}",
            "{\n  // in\n  /* y */\n  a: 1\n}",
        ),
        ("{\n  b: { // in\n  } }", "{\n  // in\n   }"),
        ("{ b: 1 }", "{}"),
        ("{\n  a: 1, // x\n  b: 2 }", "{\n  a: 1 // x\n   }"),
        ("{ a: 1, b: 2,\n  c: 3 }", "{ a: 1,\n  c: 3 }"),
        ("{\n  b: 1, a: 2\n}", "{\n  a: 2\n}"),
    ] {
        assert_eq!(
            edited(before, json!([{"op": "remove", "path": "/b"}])),
            after,
            "{before}"
        );
    }
}

/// A member set and removed by its path, with the objects that lead there.
#[test]
fn a_path_is_made_where_there_is_none() {
    for (before, path, after) in [
        ("{a: 1}", &["b", "c"][..], "{a: 1, b: {c: \"new\"}}"),
        ("{a: [1, {x: 2}]}", &["a", "1", "x"], "{a: [1, {x: \"new\"}]}"),
        ("{a: [1, 2]}", &["a", "2"], "{a: [1, 2, \"new\"]}"),
        ("{a: [1]}", &["a", "1", "b"], "{a: [1, {b: \"new\"}]}"),
        ("{'a.b': 'old'}", &["a.b"], "{'a.b': 'new'}"),
        ("[1]", &["0"], "[\"new\"]"),
        ("'old' // why", &[], "'new' // why"),
        ("", &["a"], "{\n  \"a\": \"new\"\n}\n"),
    ] {
        let mut document = Document::parse(before).unwrap();
        document.set(path, "new").unwrap();
        assert_eq!(document.as_str(), after, "{before}");
        assert!(document.set(path, "new").unwrap().is_empty(), "{before}");
    }
    for (before, path, after) in [
        ("{a: {b: 1, c: 2}}", &["a", "b"][..], "{a: {c: 2}}"),
        ("{a: [1, 2, 3]}", &["a", "1"], "{a: [1, 3]}"),
        ("{a: [1]}", &["a", "01"], "{a: [1]}"),
        ("{a: [1]}", &["a", "1"], "{a: [1]}"),
        ("{a: 1}", &["a", "b"], "{a: 1}"),
        ("{a: 1}", &["b", "c"], "{a: 1}"),
        ("{a: 1}", &[], "{a: 1}"),
    ] {
        let mut document = Document::parse(before).unwrap();
        document.remove(path).unwrap();
        assert_eq!(document.as_str(), after, "{before}");
    }
}

#[test]
fn half_of_a_surrogate_pair_stays_as_it_is() {
    for (before, operations, after) in [
        (
            r#"{"note": "cut \ud83d", "b": 1}"#,
            json!([{"op": "replace", "path": "/b", "value": "\u{1F600}"}]),
            r#"{"note": "cut \ud83d", "b": "😀"}"#,
        ),
        (
            r#"{"\ud83d": 1, "\uD83E": 2, "\ude00\ud83d\ude00": 3}"#,
            json!([{"op": "remove", "path": "/\u{E83E}"}]),
            r#"{"\ud83d": 1, "\ude00\ud83d\ude00": 3}"#,
        ),
        (
            r#"['\ud83d', '\ud83e', '\\ud83f']"#,
            json!([{"op": "remove", "path": "/0"}]),
            r#"['\ud83e', '\\ud83f']"#,
        ),
        (
            r#"{a: '\ud83d', b: 1}"#,
            json!([{"op": "replace", "path": "/a", "value": "whole"}]),
            r#"{a: 'whole', b: 1}"#,
        ),
        (
            r#"{a: '\ue83d'}"#,
            json!([{"op": "add", "path": "/b", "value": "\u{E83D}"}]),
            "{a: '\\ue83d', b: '\u{E83D}'}",
        ),
    ] {
        assert_eq!(edited(before, operations), after, "{before}");
    }
}

#[test]
fn of_a_key_that_stands_twice_the_one_that_counts_is_edited() {
    let edit = |operations: Value| edited("{ a: 1, b: 2, a: 3 }", operations);
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

fn cases() -> Vec<(PathBuf, String, Value, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let folders = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> = folders
        .filter(|folder| folder.is_dir())
        .map(|folder| {
            let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
            let operations = serde_json::from_str(&read("patch.json")).unwrap();
            (folder.clone(), read("before.json5"), operations, read("after.json5"))
        })
        .collect();
    cases.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(cases.len() >= 27, "{} cases", cases.len());
    cases
}

#[test]
fn fixtures_before_and_after() {
    for (name, before, operations, after) in cases() {
        assert_eq!(edited(&before, operations), after, "{}", name.display());
        // Nothing left to do.
        let document = Document::parse(&after).unwrap();
        let again = document.edit(document.value()).unwrap();
        assert_eq!(
            (again.document.as_str(), again.splices.len()),
            (&*after, 0),
            "{}",
            name.display()
        );
    }
}

#[test]
fn what_javascript_reads_though_it_is_no_utf_8_stays_as_it_is() {
    let cases: &[(&[u8], &[&str], &[u8])] = &[
        (
            b"{\n  // caf\xE9\n  note: '\xE2\x82 na\xEFve',\n  b: 1, /* \xFF */\n}\n",
            &["b"],
            b"{\n  // caf\xE9\n  note: '\xE2\x82 na\xEFve',\n  b: 2, /* \xFF */\n}\n",
        ),
        (
            b"\xEF\xBB\xBF{\"caf\xE9\": {\"\xC3\": \"\xA9\"}}",
            &["b"],
            b"\xEF\xBB\xBF{\"caf\xE9\": {\"\xC3\": \"\xA9\"}, \"b\": 2}",
        ),
        (b"{a: {b: '\xE9' /* \xE8 */}}", &["a"], b"{a: /* \xE8 */ 2}"),
        (b"{a: '\xE9'}", &["a"], b"{a: 2}"),
        // A character that has the form of a stand-in is none where all is UTF-8.
        (b"{a: '\xF4\x8F\x9E\x80'}", &["b"], b"{a: '\xF4\x8F\x9E\x80', b: 2}"),
        (b"{a: '\0', /* \0 */ b: 1}", &["b"], b"{a: '\0', /* \0 */ b: 2}"),
    ];
    for (before, path, after) in cases {
        let mut document = Document::parse(before).unwrap();
        assert_eq!(*document.to_bytes(), **before);
        document.set(path, 2).unwrap();
        let text = String::from_utf8_lossy(before);
        assert_eq!(*document.to_bytes(), **after, "{text}");
        let again = Document::parse(after).unwrap();
        assert_eq!(
            (again.value(), again.as_str()),
            (document.value(), document.as_str()),
            "{text}"
        );
    }
    let document = Document::parse(b"{a: 'caf\xE9'}").unwrap();
    assert_eq!(document.value()["a"], "caf\u{10F7E9}");
    // A text of before keeps its bytes, also where the last one is gone meanwhile.
    for now in [&b"{a: '\xE8', b: 1}"[..], b"{a: '', b: 1}"] {
        let now = Document::parse(now).unwrap();
        let then = now.with_text(document.to_string()).unwrap();
        assert_eq!(*then.to_bytes(), *b"{a: 'caf\xE9'}");
    }
}
