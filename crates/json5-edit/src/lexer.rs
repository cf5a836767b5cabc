//! JSON5's tokens: <https://spec.json5.org/#lexical-grammar>

use super::scan::{Fault, Kind, Span};

/// What ends a line, and a line comment with it: <https://spec.json5.org/#comments>
pub(super) const LINE_BREAKS: [char; 4] = ['\n', '\r', '\u{2028}', '\u{2029}'];

/// Reads tokens one by one. Also used alone, to find the comments in a stretch of a text that [`scan`](super::scan) accepted.
pub(super) struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    pub at: usize,
}

impl<'a> Lexer<'a> {
    /// A lexer that starts at byte `at`, which must be between two tokens.
    pub fn new(text: &'a str, at: usize) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at,
        }
    }

    /// The comments between here and `end`, both between two tokens of a text that [`scan`](super::scan) accepted.
    pub fn comments(mut self, end: usize) -> Vec<Span> {
        let mut found = Vec::new();
        while self.at < end {
            self.skip_whitespace();
            if self.at >= end {
                break;
            }
            let start = self.at;
            let token = match self.bytes[start] {
                b'/' => self.comment().map(|()| {
                    found.push(Span { start, end: self.at });
                }),
                b'"' | b'\'' => self.string(),
                _ => {
                    self.at += self.char_len();
                    Ok(())
                }
            };
            if token.is_err() {
                break;
            }
        }
        found
    }

    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn char_len(&self) -> usize {
        self.text[self.at..].chars().next().map_or(1, char::len_utf8)
    }

    pub fn fault(&self, reason: &'static str) -> Fault {
        Fault {
            offset: self.at,
            reason,
        }
    }

    /// <https://spec.json5.org/#white-space>
    fn skip_whitespace(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b'\t'..=b'\r' | b' ' => self.at += 1,
                0x80.. => match self.text[self.at..].chars().next() {
                    Some(c) if is_wide_whitespace(c) => self.at += c.len_utf8(),
                    _ => break,
                },
                _ => break,
            }
        }
    }

    pub fn skip_trivia(&mut self) -> Result<(), Fault> {
        loop {
            self.skip_whitespace();
            if self.peek() != Some(b'/') {
                return Ok(());
            }
            self.comment()?;
        }
    }

    /// Moves behind a comment; a line comment ends before its line terminator.
    fn comment(&mut self) -> Result<(), Fault> {
        let rest = &self.text[self.at..];
        if rest.starts_with("//") {
            self.at += rest.find(LINE_BREAKS).unwrap_or(rest.len());
            Ok(())
        } else if let Some(inside) = rest.strip_prefix("/*") {
            match inside.find("*/") {
                Some(length) => {
                    self.at += length + 4;
                    Ok(())
                }
                None => Err(self.fault("this comment is never closed")),
            }
        } else {
            Err(self.fault("expected a comment after /"))
        }
    }

    /// Moves behind a scalar, or into a container.
    pub fn value(&mut self) -> Result<Kind, Fault> {
        match self.peek() {
            Some(b'{') => {
                self.at += 1;
                Ok(Kind::Object)
            }
            Some(b'[') => {
                self.at += 1;
                Ok(Kind::Array)
            }
            Some(b'"' | b'\'') => self.string().map(|()| Kind::String),
            Some(b'+' | b'-' | b'.' | b'0'..=b'9' | b'I' | b'N') => self.number().map(|()| Kind::Other),
            Some(b't' | b'f' | b'n') => {
                if ["true", "false", "null"].iter().any(|word| self.word(word)) {
                    Ok(Kind::Other)
                } else {
                    Err(self.fault("expected a value (a string needs quotes)"))
                }
            }
            Some(b',') => Err(self.fault("expected a value before the comma")),
            Some(_) => Err(self.fault("expected a value (a string needs quotes)")),
            None => Err(self.fault("the file ends where a value was expected")),
        }
    }

    /// Moves behind `word` if it stands here as a whole.
    fn word(&mut self, word: &str) -> bool {
        let found = self.text[self.at..].starts_with(word) && !self.identifier_at(self.at + word.len());
        if found {
            self.at += word.len();
        }
        found
    }

    /// Whether something stands at `at` that would make a number or word before it part of a longer name.
    fn identifier_at(&self, at: usize) -> bool {
        self.text[at..].chars().next().is_some_and(|c| match c {
            '\u{80}'.. => !is_wide_whitespace(c),
            _ => is_identifier_part(c as u8),
        })
    }

    fn digits(&mut self, digit: fn(&u8) -> bool) -> usize {
        let count = self.bytes[self.at..].iter().take_while(|byte| digit(byte)).count();
        self.at += count;
        count
    }

    /// <https://spec.json5.org/#numbers>
    fn number(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let wrong = |reason| Err(Fault { offset: start, reason });
        if let Some(b'+' | b'-') = self.peek() {
            self.at += 1;
        }
        match self.peek() {
            Some(b'I') if self.word("Infinity") => return Ok(()),
            Some(b'N') if self.word("NaN") => return Ok(()),
            Some(b'0') if matches!(self.bytes.get(self.at + 1), Some(b'x' | b'X')) => {
                self.at += 2;
                while self.peek() == Some(b'0') {
                    self.at += 1;
                }
                let zeros = self.bytes[self.at - 1] == b'0';
                return match self.digits(u8::is_ascii_hexdigit) {
                    0 if !zeros => wrong("this hexadecimal number has no digits"),
                    // The second parser counts in 128 bits, and one of them may be the sign.
                    32.. => wrong("this hexadecimal number is too large"),
                    _ if self.identifier_at(self.at) => wrong("this is not a number"),
                    _ => Ok(()),
                };
            }
            Some(b'0') if matches!(self.bytes.get(self.at + 1), Some(b'0'..=b'9')) => {
                return wrong("a number must not begin with 0");
            }
            _ => {}
        }
        let mut digits = self.digits(u8::is_ascii_digit);
        if self.peek() == Some(b'.') {
            self.at += 1;
            digits += self.digits(u8::is_ascii_digit);
        }
        if digits == 0 {
            return wrong("expected a value (a string needs quotes)");
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits(u8::is_ascii_digit) == 0 {
                return wrong("the exponent of this number has no digits");
            }
        }
        if self.identifier_at(self.at) || self.peek() == Some(b'.') {
            return wrong("this is not a number");
        }
        Ok(())
    }

    /// <https://spec.json5.org/#strings>
    fn string(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let quote = self.bytes[start];
        self.at += 1;
        loop {
            match self.peek() {
                None => {
                    return Err(Fault {
                        offset: start,
                        reason: "this string is never closed",
                    });
                }
                Some(byte) if byte == quote => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(b'\n' | b'\r') => return Err(self.fault("a line break inside a string")),
                Some(_) => self.at += 1,
            }
        }
    }

    /// Moves behind a backslash and what it escapes.
    fn escape(&mut self) -> Result<(), Fault> {
        let wrong = self.fault("this escape is not one that JSON5 knows");
        match self.bytes.get(self.at + 1) {
            Some(b'u') => return self.unicode_escape(),
            Some(b'x') if self.hex(self.at + 2, 2).is_some() => self.at += 4,
            Some(b'0') if !matches!(self.bytes.get(self.at + 2), Some(b'0'..=b'9')) => self.at += 2,
            Some(b'x' | b'0'..=b'9') => return Err(wrong),
            Some(b'\r') if self.bytes.get(self.at + 2) == Some(&b'\n') => self.at += 3,
            // A continuation byte of a longer character is stepped over as any other byte of the string.
            Some(_) => self.at += 2,
            None => self.at += 1,
        }
        Ok(())
    }

    /// Moves behind `\uXXXX`, or behind the two of a surrogate pair. JavaScript would also take half a pair, but there
    /// is no character that it could stand for.
    fn unicode_escape(&mut self) -> Result<(), Fault> {
        let wrong = self.fault("this \\u escape is not a character");
        let length = match self.hex(self.at + 2, 4) {
            Some(0xD800..0xDC00) => {
                let low = self.bytes[self.at + 6..]
                    .starts_with(b"\\u")
                    .then(|| self.hex(self.at + 8, 4))
                    .flatten();
                if !matches!(low, Some(0xDC00..0xE000)) {
                    return Err(wrong);
                }
                12
            }
            Some(0xDC00..0xE000) | None => return Err(wrong),
            Some(_) => 6,
        };
        self.at += length;
        Ok(())
    }

    fn hex(&self, at: usize, digits: usize) -> Option<u32> {
        let digits = self.bytes.get(at..at + digits)?;
        digits
            .iter()
            .try_fold(0, |number, &byte| Some(number * 16 + char::from(byte).to_digit(16)?))
    }

    /// A key, quoted or an identifier. Which characters beyond ASCII an identifier may have is left to the second
    /// parser.
    pub fn key(&mut self) -> Result<Span, Fault> {
        let start = self.at;
        match self.peek() {
            Some(b'"' | b'\'') => self.string()?,
            Some(byte) if is_identifier_part(byte) && !byte.is_ascii_digit() => {
                while let Some(byte) = self.peek() {
                    match byte {
                        b'\\' if self.bytes.get(self.at + 1) == Some(&b'u') => self.unicode_escape()?,
                        b'\\' => return Err(self.fault("only \\u can be escaped in a key without quotes")),
                        0x80.. => match self.text[self.at..].chars().next() {
                            Some(c) if !is_wide_whitespace(c) => self.at += c.len_utf8(),
                            _ => break,
                        },
                        _ if is_identifier_part(byte) => self.at += 1,
                        _ => break,
                    }
                }
            }
            Some(b',') => return Err(self.fault("expected a key before the comma")),
            Some(_) => return Err(self.fault("expected a key or }")),
            None => return Err(self.fault("the file ends where a key or } was expected")),
        }
        Ok(Span { start, end: self.at })
    }
}

/// A byte that can stand in an identifier, or begin an escape or a longer character in one.
fn is_identifier_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'\\' | 0x80..)
}

/// JSON5's white space beyond ASCII: what ECMAScript lists and the Unicode category Zs.
fn is_wide_whitespace(c: char) -> bool {
    matches!(
        c,
        '\u{A0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200A}' | '\u{2028}' | '\u{2029}' | '\u{202F}' | '\u{205F}' | '\u{3000}' | '\u{FEFF}'
    )
}
