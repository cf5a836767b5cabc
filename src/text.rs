//! Texts of others: in output of ours one line, fit for a terminal; in openclaw.json perhaps none at all.

pub mod pasted;
pub mod typed;

use std::borrow::Cow;

/// What all else becomes.
const DOT: char = '·';

/// How a filler begins: nothing that begins so is a token.
const FILLER: &str = "no-token";

/// A text in which nothing moves a terminal, ends a line, re-orders what stands around it, or cannot be seen.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if is_plain(c) { c } else { DOT }).collect()
}

/// The same for a text of several lines of ours, which stay lines.
pub fn plain_lines(text: &str) -> String {
    text.chars()
        .map(|c| if c == '\n' || is_plain(c) { c } else { DOT })
        .collect()
}

/// The same with blanks in their place: a text of several lines as one, for a log. An error's next step follows it.
pub fn one_line(text: &str) -> String {
    let text = text.replace("\n  next: ", "; next: ");
    text.chars().map(|c| if is_plain(c) { c } else { ' ' }).collect()
}

/// What the system says of a failure, without the number behind it, which says nothing that the words do not.
pub fn without_number(says: &str) -> &str {
    says.rfind(" (os error ").map_or(says, |at| &says[..at])
}

/// Whether a character shows as itself, where it stands.
pub fn is_plain(c: char) -> bool {
    let hidden = matches!(
        c,
        // Soft hyphen, grapheme joiner, Arabic letter mark, Hangul and Khmer fillers, Mongolian separators.
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        // Zero width, line and paragraph separators, bidi controls, invisible operators.
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        // Joiners of shorthand, beams and slurs of music, tags and variation selectors.
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    );
    !c.is_control() && !hidden
}

/// Whether a value of the hook entry's `env` counts as unset: blank, a filler, or a `${…}` that nobody resolved (or that
/// `$${…}` made a literal one). Good for values from openclaw.json and for those that OpenClaw hands to the hook.
pub fn is_unset(value: &str) -> bool {
    let value = value.trim();
    let filler = value
        .strip_prefix(FILLER)
        .unwrap_or(value)
        .bytes()
        .all(|byte| byte == b'-');
    value.is_empty() || filler || value.contains("${")
}

/// A text of `len` bytes that takes a removed token's place where the file must not shrink. [`is_unset`] knows it.
pub fn filler(len: usize) -> String {
    match len.checked_sub(FILLER.len()) {
        Some(rest) => format!("{FILLER}{}", "-".repeat(rest)),
        None => "-".repeat(len),
    }
}

/// So deep may lists and objects lie in each other; our parser takes 127.
const DEEPEST: usize = 100;

/// `null` for each list and object that lies too deep for a parser.
fn shallow(json: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let (mut depth, mut in_text, mut is_escaped, mut is_deep) = (0_usize, false, false, false);
    let mut kept = Vec::new();
    for &byte in json.iter() {
        let was_within = depth <= DEEPEST;
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_text,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        match (was_within, depth <= DEEPEST) {
            (true, true) => kept.push(byte),
            (true, false) => {
                kept.extend_from_slice(b"null");
                is_deep = true;
            }
            (false, _) => {}
        }
    }
    if is_deep { Cow::Owned(kept) } else { json }
}

/// A JSON text with U+FFFD for each escape that is half a surrogate pair and for what is no UTF-8, and without a byte
/// order mark; and with `null` for what lies over 100 levels deep. JavaScript reads and writes such ones, our parser takes
/// none: one request could hide all others, one event's sender its answer.
pub fn readable_json(json: &[u8]) -> Cow<'_, [u8]> {
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    let mut json = match String::from_utf8_lossy(json) {
        Cow::Borrowed(_) => Cow::Borrowed(json),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    };
    let mut at = 0;
    // In JSON a backslash stands in texts only, and never alone.
    while let Some(found) = json
        .get(at..)
        .and_then(|rest| rest.iter().position(|byte| *byte == b'\\'))
    {
        at += found;
        at += match (escaped(&json, at), escaped(&json, at + 6)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(0xD800..=0xDFFF), _) => {
                json.to_mut()[at..at + 6].copy_from_slice(b"\\ufffd");
                6
            }
            _ => 2,
        };
    }
    shallow(json)
}

/// The number of a `\uXXXX` that stands there.
fn escaped(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok()?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit())
        .then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_in_one_line() {
        let error = "could not write: /a\nb\n  next: try again";
        assert_eq!(one_line(error), "could not write: /a b; next: try again");
    }

    #[test]
    fn what_lies_too_deep_in_json_hides_nothing_else() {
        for depth in [1, 99, 100, 101, 127, 128, 100_000] {
            let deep = format!("{}\"]\\\"[\"{}", "[".repeat(depth), "]".repeat(depth));
            let json = format!(r#"{{"deep": {deep}, "type": "command", "list": [1]}}"#);
            let read: serde_json::Value = serde_json::from_slice(&readable_json(json.as_bytes())).unwrap();
            assert_eq!(
                (&read["type"], &read["list"][0]),
                (&"command".into(), &1.into()),
                "{depth}"
            );
            assert_eq!(read["deep"] == serde_json::Value::Null, depth == 0, "{depth}");
        }
        // What is broken stays broken.
        for broken in ["[".repeat(200), "]".repeat(200), "[".repeat(200) + &"]".repeat(199)] {
            let read: Result<serde_json::Value, _> = serde_json::from_slice(&readable_json(broken.as_bytes()));
            assert!(read.is_err());
        }
    }

    #[test]
    fn what_is_plain() {
        let cases = [
            (
                "https://a.test/x?y=1 (ü, щ, 支, ש)",
                "https://a.test/x?y=1 (ü, щ, 支, ש)",
            ),
            ("\u{1b}[2J\u{9b}31m", "·[2J·31m"),
            ("a\r\nb\tc\u{7f}d", "a··b·c·d"),
            ("a\u{2028}b\u{2029}c\u{85}d", "a·b·c·d"),
            ("\u{202e}txt.exe\u{2066}\u{61c}", "·txt.exe··"),
            ("a\u{200b}b\u{feff}c\u{ad}d\u{3164}e\u{e0041}", "a·b·c·d·e·"),
            ("a\u{1bca0}b\u{1d173}c\u{1d17a}𝄞", "a·b·c·𝄞"),
        ];
        for (text, expected) in cases {
            assert_eq!(plain(text), expected);
            let lines: Vec<String> = text.split('\n').map(plain).collect();
            assert_eq!(plain_lines(text), lines.join("\n"));
        }
    }
}
