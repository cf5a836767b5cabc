//! JSON5's tokens: <https://spec.json5.org/#lexical-grammar>

use super::error::Error;
use super::scan::{Kind, Span};

/// What ends a line, and a line comment with it: <https://spec.json5.org/#comments>
pub(super) const LINE_BREAKS: [char; 4] = ['\n', '\r', '\u{2028}', '\u{2029}'];

const NO_VALUE: &str = "expected a value (a string needs quotes)";
const NO_CHARACTER: &str = "this \\u escape is not a character";

/// Reads tokens one by one.
pub(super) struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    pub at: usize,
    /// The comments up to here.
    pub comments: Vec<Span>,
    /// Where halves of surrogate pairs were escaped alone, in strings.
    pub halves: Vec<usize>,
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            comments: Vec::new(),
            halves: Vec::new(),
        }
    }

    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub fn fault<T>(&self, reason: &'static str) -> Result<T, Error> {
        self.fault_at(self.at, reason)
    }

    pub fn fault_at<T>(&self, at: usize, reason: &'static str) -> Result<T, Error> {
        Err(Error::at(self.text, at, reason))
    }

    /// <https://spec.json5.org/#white-space>
    fn skip_whitespace(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches(is_whitespace).len();
    }

    pub fn skip_trivia(&mut self) -> Result<(), Error> {
        loop {
            self.skip_whitespace();
            if self.peek() != Some(b'/') {
                return Ok(());
            }
            self.comment()?;
        }
    }

    /// Moves behind a comment; a line comment ends before its line terminator.
    fn comment(&mut self) -> Result<(), Error> {
        let (start, rest) = (self.at, &self.text[self.at..]);
        if rest.starts_with("//") {
            self.at += rest.find(LINE_BREAKS).unwrap_or(rest.len());
        } else if let Some(inside) = rest.strip_prefix("/*") {
            match inside.find("*/") {
                Some(length) => self.at += length + 4,
                None => return self.fault("this comment is never closed"),
            }
        } else {
            return self.fault("expected a comment after /");
        }
        self.comments.push(Span { start, end: self.at });
        Ok(())
    }

    /// Moves behind a scalar, or into a container.
    pub fn value(&mut self) -> Result<Kind, Error> {
        match self.peek() {
            Some(bracket @ (b'{' | b'[')) => {
                self.at += 1;
                Ok(if bracket == b'{' { Kind::Object } else { Kind::Array })
            }
            Some(b'"' | b'\'') => self.string().map(|()| Kind::String),
            Some(b'+' | b'-' | b'.' | b'0'..=b'9' | b'I' | b'N') => self.number().map(|()| Kind::Other),
            Some(_) if ["true", "false", "null"].iter().any(|word| self.word(word)) => Ok(Kind::Other),
            Some(b',') => self.fault("expected a value before the comma"),
            Some(_) => self.fault(NO_VALUE),
            None => self.fault("the file ends where a value was expected"),
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
            '\u{80}'.. => !is_whitespace(c),
            _ => is_identifier_part(c as u8),
        })
    }

    fn digits(&mut self, digit: fn(&u8) -> bool) -> usize {
        let count = self.bytes[self.at..].iter().take_while(|byte| digit(byte)).count();
        self.at += count;
        count
    }

    /// <https://spec.json5.org/#numbers>
    fn number(&mut self) -> Result<(), Error> {
        let start = self.at;
        if let Some(b'+' | b'-') = self.peek() {
            self.at += 1;
        }
        let next = self.bytes.get(self.at + 1);
        let wrong = match self.peek() {
            Some(b'I') if self.word("Infinity") => None,
            Some(b'N') if self.word("NaN") => None,
            Some(b'0') if matches!(next, Some(b'x' | b'X')) => self.hexadecimal(),
            Some(b'0') if matches!(next, Some(b'0'..=b'9')) => Some("a number must not begin with 0"),
            _ => self.decimal(),
        };
        wrong.map_or(Ok(()), |reason| self.fault_at(start, reason))
    }

    /// Moves behind a number without sign, or says what is wrong with it.
    fn decimal(&mut self) -> Option<&'static str> {
        let mut digits = self.digits(u8::is_ascii_digit);
        if self.peek() == Some(b'.') {
            self.at += 1;
            digits += self.digits(u8::is_ascii_digit);
        }
        if digits == 0 {
            return Some(NO_VALUE);
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits(u8::is_ascii_digit) == 0 {
                return Some("the exponent of this number has no digits");
            }
        }
        (self.identifier_at(self.at) || self.peek() == Some(b'.')).then_some("this is not a number")
    }

    /// The same for one that begins with `0x`.
    fn hexadecimal(&mut self) -> Option<&'static str> {
        self.at += 2;
        let zeros = self.digits(|&digit| digit == b'0');
        match self.digits(u8::is_ascii_hexdigit) {
            0 if zeros == 0 => Some("this hexadecimal number has no digits"),
            // The second parser counts in 128 bits, and one of them may be the sign.
            32.. => Some("this hexadecimal number is too large"),
            _ => self.identifier_at(self.at).then_some("this is not a number"),
        }
    }

    /// <https://spec.json5.org/#strings>
    fn string(&mut self) -> Result<(), Error> {
        let start = self.at;
        let quote = self.bytes[start];
        self.at += 1;
        loop {
            match self.peek() {
                None => return self.fault_at(start, "this string is never closed"),
                Some(b'\\') => self.escape()?,
                Some(b'\n' | b'\r') => return self.fault("a line break inside a string"),
                Some(byte) => {
                    self.at += 1;
                    if byte == quote {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Moves behind a backslash and what it escapes.
    fn escape(&mut self) -> Result<(), Error> {
        let next = self.bytes.get(self.at + 2);
        match self.bytes.get(self.at + 1) {
            Some(b'u') => {
                if self.unicode_escape()? {
                    self.halves.push(self.at - 6);
                }
            }
            Some(b'x') if self.hex(self.at + 2, 2).is_some() => self.at += 4,
            Some(b'0') if !next.is_some_and(u8::is_ascii_digit) => self.at += 2,
            Some(b'x' | b'0'..=b'9') => return self.fault("this escape is not one that JSON5 knows"),
            Some(b'\r') if next == Some(&b'\n') => self.at += 3,
            // A continuation byte of a longer character is stepped over as any other byte of the string.
            _ => self.at = self.bytes.len().min(self.at + 2),
        }
        Ok(())
    }

    /// Moves behind `\uXXXX`, or behind the two of a surrogate pair. Says whether it was half of one alone.
    fn unicode_escape(&mut self) -> Result<bool, Error> {
        let second = self.bytes.get(self.at + 6..self.at + 8) == Some(b"\\u");
        let second = second.then(|| self.hex(self.at + 8, 4)).flatten();
        let (length, half) = match (self.hex(self.at + 2, 4), second) {
            (Some(0xD800..0xDC00), Some(0xDC00..0xE000)) => (12, false),
            (Some(code), _) => (6, matches!(code, 0xD800..0xE000)),
            (None, _) => return self.fault(NO_CHARACTER),
        };
        self.at += length;
        Ok(half)
    }

    fn hex(&self, at: usize, digits: usize) -> Option<u32> {
        let digits = self.bytes.get(at..at + digits)?;
        digits
            .iter()
            .try_fold(0, |number, &byte| Some(number * 16 + char::from(byte).to_digit(16)?))
    }

    /// Moves behind a key and its colon, to where the value begins.
    pub fn key(&mut self) -> Result<Span, Error> {
        let start = self.at;
        match self.peek() {
            Some(b'"' | b'\'') => self.string()?,
            Some(byte) if is_identifier_part(byte) && !byte.is_ascii_digit() => self.identifier()?,
            Some(b',') => return self.fault("expected a key before the comma"),
            Some(_) => return self.fault("expected a key or }"),
            None => return self.fault("the file ends where a key or } was expected"),
        }
        let end = self.at;
        self.skip_trivia()?;
        if self.peek() != Some(b':') {
            return self.fault("expected a colon after the key");
        }
        self.at += 1;
        self.skip_trivia()?;
        Ok(Span { start, end })
    }

    /// Moves behind a key without quotes. Which characters beyond ASCII it may have is left to the second parser.
    fn identifier(&mut self) -> Result<(), Error> {
        while let Some(byte) = self.peek() {
            match byte {
                b'\\' if self.bytes.get(self.at + 1) == Some(&b'u') => {
                    let start = self.at;
                    if self.unicode_escape()? {
                        return self.fault_at(start, NO_CHARACTER);
                    }
                }
                b'\\' => return self.fault("only \\u can be escaped in a key without quotes"),
                _ if !self.identifier_at(self.at) => break,
                _ => self.at += self.text[self.at..].chars().next().map_or(1, char::len_utf8),
            }
        }
        Ok(())
    }
}

/// A byte that can stand in an identifier, or begin an escape or a longer character in one.
fn is_identifier_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'\\' | 0x80..)
}

/// JSON5's white space: what ECMAScript lists and the Unicode category Zs.
fn is_whitespace(c: char) -> bool {
    let wide = matches!(
        c,
        '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{2028}' | '\u{2029}' | '\u{202F}'
    );
    matches!(c, '\t'..='\r' | ' ' | '\u{205F}' | '\u{3000}' | '\u{FEFF}') || wide
}
