//! Bytes that are no UTF-8.
//!
//! JavaScript reads any file as text and takes what is no UTF-8 for U+FFFD, so a note that an old editor saved in another
//! encoding harms nothing. Rust's texts cannot hold such a byte, so each has a stand-in while the text is in hand, a
//! private-use character of its own, and is a byte again where the text is written.

use std::borrow::Cow;

/// The stand-in of byte 0; those of the bytes from 0x80 on are in use.
const FIRST: u32 = 0x10_F700;

/// The byte that a character stands for.
fn byte(c: char) -> Option<u8> {
    let byte = u32::from(c).checked_sub(FIRST)?;
    u8::try_from(byte).ok().filter(|byte| !byte.is_ascii())
}

/// Whether a text has a stand-in.
pub(crate) fn has_stand_in(text: &str) -> bool {
    text.chars().any(|c| byte(c).is_some())
}

/// Whether a text has a stand-in, or an escape that may be one.
pub(crate) fn may_be_stand_in(text: &str) -> bool {
    let escaped = |(at, _)| {
        text[at..]
            .get(2..6)
            .is_some_and(|code| code.eq_ignore_ascii_case("dbfd"))
    };
    has_stand_in(text) || text.match_indices("\\u").any(escaped)
}

/// The text that is read for some bytes.
pub(crate) fn to_text(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.into();
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text += chunk.valid();
        let stand_ins = chunk.invalid().iter().map(|&byte| FIRST + u32::from(byte));
        text.extend(stand_ins.filter_map(char::from_u32));
    }
    text.into()
}

/// The bytes that a text with stand-ins was read for.
pub(crate) fn to_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match byte(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_comes_back() {
        let all: Vec<u8> = (0..=u8::MAX).flat_map(|byte| [byte, b'"', 0xE2, 0x82, byte]).collect();
        assert_eq!(to_bytes(&to_text(&all)), all);
        assert_eq!(to_text("\u{E9} \u{10F700}".as_bytes()), "\u{E9} \u{10F700}");
        assert_eq!(to_text(b"caf\xE9 \xE2\x82"), "caf\u{10F7E9} \u{10F7E2}\u{10F782}");
        assert!(has_stand_in(&to_text(b"caf\xE9")) && !has_stand_in("caf\u{E9} \u{10F700} \u{FFFD}"));
    }
}
