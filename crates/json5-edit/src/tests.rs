//! What an edit does to a text, as before and after.
use super::*;
use serde_json::json;

fn edited(before: &str, operations: Value) -> String {
    let document = Document::parse(before.as_bytes()).unwrap();
    let edited = document.edit(&serde_json::from_value(operations).unwrap()).unwrap();
    assert_splices(before, &edited);
    String::from_utf8(edited.bytes).unwrap()
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
    assert_eq!(text.as_bytes(), edited.bytes);
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

#[test]
fn as_deep_as_is_allowed_and_no_deeper() {
    for (open, close) in [("{a:", "}"), ("[", "]")] {
        let nested = |depth: usize| format!("{{x: {}1{}}}", open.repeat(depth - 1), close.repeat(depth - 1));
        let deep = nested(512);
        let added = format!("{}, b: 1}}", &deep[..deep.len() - 1]);
        assert_eq!(edited(&deep, json!([{"op": "add", "path": "/b", "value": 1}])), added);
        let error = Document::parse(nested(513).as_bytes()).unwrap_err();
        assert_eq!(error.reason, "nested deeper than 512 levels");
    }
    let error = Document::parse("[".repeat(MAX_BYTES).as_bytes()).unwrap_err();
    assert_eq!(error.position, Some(Position { line: 1, column: 513 }));
}
