//! What a person pastes or an editor saves: text of any Unicode encoding, with marks in it that nobody sees.

use super::is_plain;

/// What terminals put around pasted text (XTerm's bracketed paste); some programs swallow the escape before it.
const PASTE_MARKS: [&str; 4] = ["\u{1b}[200~", "\u{1b}[201~", "[200~", "[201~"];

/// A text and how it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The text, without a byte order mark.
    pub text: String,
    /// Whether it was UTF-16, as some editors and shells of Windows save it.
    pub was_utf16: bool,
}

/// Decodes UTF-8, and UTF-16 of either byte order, with and without a byte order mark; `None` for anything else.
pub fn decode(bytes: &[u8]) -> Option<Decoded> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (units, rest) = bytes.as_chunks::<2>();
        let text = String::from_utf16(&units.iter().map(|pair| unit(*pair)).collect::<Vec<_>>()).ok()?;
        rest.is_empty().then_some(Decoded { text, was_utf16: true })
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        // A first character of ASCII, of whatever text there is to paste.
        [1..=0x7f, 0, ..] => utf16(bytes, u16::from_le_bytes),
        [0, 1..=0x7f, ..] => utf16(bytes, u16::from_be_bytes),
        _ => {
            let text = std::str::from_utf8(bytes).ok()?;
            let text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
            Some(Decoded { text, was_utf16: false })
        }
    }
}

/// The text without a terminal's marks around what was pasted; `None` where there are none.
pub fn without_paste_marks(text: &str) -> Option<String> {
    let marked = PASTE_MARKS.iter().any(|mark| text.contains(mark));
    marked.then(|| {
        PASTE_MARKS
            .iter()
            .fold(text.to_owned(), |text, mark| text.replace(mark, ""))
    })
}

/// The text without characters that are neither seen nor white space nor control characters, such as a zero-width
/// space or a byte order mark; `None` where there are none.
pub fn without_invisible(text: &str) -> Option<String> {
    let is_invisible = |c: char| !is_plain(c) && !c.is_control() && !c.is_whitespace();
    text.contains(is_invisible).then(|| text.replace(is_invisible, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_every_encoding() {
        let utf16 = |text: &str, unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        for (bytes, text, was_utf16) in [
            (b"abc".to_vec(), "abc", false),
            ("\u{feff}ab\u{feff}c".as_bytes().to_vec(), "ab\u{feff}c", false),
            (utf16("\u{feff}aü😀", u16::to_le_bytes), "aü😀", true),
            (utf16("\u{feff}aü😀", u16::to_be_bytes), "aü😀", true),
            (utf16("abc\r\n", u16::to_le_bytes), "abc\r\n", true),
            (utf16("abc\r\n", u16::to_be_bytes), "abc\r\n", true),
            (Vec::new(), "", false),
        ] {
            let text = text.to_owned();
            assert_eq!(decode(&bytes), Some(Decoded { text, was_utf16 }), "{bytes:?}");
        }
        for bytes in [
            &b"\xffabc"[..],
            b"a\0b",
            b"a\0b\0c",
            b"\xff\xfe\x00\xd8",
            b"\x89PNG\r\n\x1a\n",
        ] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn marks_and_invisible_characters_go_and_what_is_seen_stays() {
        assert_eq!(
            without_paste_marks("\u{1b}[200~abc\n\u{1b}[201~").as_deref(),
            Some("abc\n")
        );
        assert_eq!(without_paste_marks("[200~abc[201~").as_deref(), Some("abc"));
        assert_eq!(without_paste_marks("abc[200]").as_deref(), None);
        assert_eq!(
            without_invisible("a\u{200b}b\u{feff}\u{ad} c\n\u{a0}").as_deref(),
            Some("ab c\n\u{a0}")
        );
        assert_eq!(without_invisible("a b\n\tü\u{1b}").as_deref(), None);
    }
}
