//! The text of a config, as [`json5_edit`] reads and edits it.

use json_patch::{Patch, PatchOperation};
use json5_edit::{Document, Edited, Error};
use serde_json::Value;

/// Reads a config, whose outermost value is an object. An empty or blank file counts as `{}`.
///
/// # Errors
/// As [`Document::parse`] does, and for any other outermost value.
pub fn parse(bytes: &[u8]) -> Result<Document, Error> {
    let document = Document::parse(bytes)?;
    if document.value().is_object() {
        return Ok(document);
    }
    Err(Error {
        reason: "the outermost value is not an object { … }".into(),
        position: document.position(&[]),
    })
}

/// Applies a patch (RFC 6902) to the text. New members come in the order of its operations.
///
/// # Errors
/// If the patch does not fit, and as [`Document::edit`] does.
pub fn apply(document: &Document, patch: &Patch) -> Result<Edited, Error> {
    let mut wanted = document.value().clone();
    for operation in &patch.0 {
        // `json_patch` would fill the gap of a removed member with the last one, which may be new.
        if let PatchOperation::Remove(remove) = operation
            && let Some((parent, key)) = remove.path.split_back()
            && let Ok(Value::Object(members)) = parent.resolve_mut(&mut wanted)
            && members.shift_remove(key.decoded().as_ref()).is_some()
        {
            continue;
        }
        json_patch::patch(&mut wanted, std::slice::from_ref(operation)).map_err(|error| Error {
            reason: format!("the change does not fit the config: {error}").into(),
            position: None,
        })?;
    }
    document.edit(&wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn applied(text: &str, operations: Value) -> Result<String, Error> {
        let patch = serde_json::from_value(operations).unwrap();
        apply(&parse(text.as_bytes())?, &patch).map(|edited| edited.document.to_string())
    }

    #[test]
    fn new_members_come_in_the_order_of_the_operations() {
        let operations = json!([
            {"op": "add", "path": "/b", "value": 1},
            {"op": "add", "path": "/a", "value": 2},
            {"op": "add", "path": "/c", "value": 3},
            {"op": "remove", "path": "/x"},
        ]);
        let text = applied("{ x: 0, y: 0 }", operations).unwrap();
        assert_eq!(text, "{ y: 0, b: 1, a: 2, c: 3 }");
    }

    #[test]
    fn a_patch_that_does_not_fit_changes_nothing() {
        for path in ["/x", "/a/x", "/a/b/c"] {
            for operation in [
                json!({"op": "replace", "path": path, "value": 1}),
                json!({"op": "remove", "path": path}),
            ] {
                let error = applied("{ a: { b: 1 } }", json!([operation])).unwrap_err();
                assert!(
                    error.reason.starts_with("the change does not fit the config"),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn the_outermost_value_is_an_object() {
        for (text, place) in [
            ("// c\n[1]", "line 2, column 1"),
            ("\"{}\"", "line 1, column 1"),
            ("null", "line 1, column 1"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err().to_string();
            assert_eq!(error, format!("the outermost value is not an object {{ … }} ({place})"));
        }
    }
}
