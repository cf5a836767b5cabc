//! The text of a config, as [`json5_edit`] reads it.

use json5_edit::{Document, Error};

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

/// What a text is as another one of the same file; `None` where it is none.
pub fn with_text(document: &Document, text: Vec<u8>) -> Option<Document> {
    let document = document.with_text(String::from_utf8(text).ok()?).ok()?;
    document.value().is_object().then_some(document)
}

#[cfg(test)]
mod tests {
    use super::*;

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
