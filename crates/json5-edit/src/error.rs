//! What can go wrong, and where.

use super::lexer::LINE_BREAKS;
use std::borrow::Cow;
use std::fmt;

/// Why a text or an edit is refused, and where.
///
/// Its message quotes nothing of the text but keys that the caller named: configs are full of secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What is wrong, in words for a person.
    pub reason: Cow<'static, str>,
    /// Where, if the fault has a place.
    pub position: Option<Position>,
}

/// A place in a text. Lines end as in JSON5: at LF, CR, CR LF, U+2028 or U+2029. A byte order mark is no character of
/// the first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line; the first is 1.
    pub line: usize,
    /// The character in the line (not the byte); the first is 1.
    pub column: usize,
}

impl Error {
    pub(crate) fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        let reason = reason.into();
        Self { reason, position: None }
    }

    /// At a byte offset of the text.
    pub(crate) fn at(text: &str, offset: usize, reason: impl Into<Cow<'static, str>>) -> Self {
        let position = Some(position(text, offset));
        Self {
            position,
            ..Self::new(reason)
        }
    }

    pub(crate) fn bug(what: &str) -> Self {
        Self::new(format!(
            "{what}: this is a bug of json5-edit, please report it; nothing was changed"
        ))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        match self.position {
            Some(Position { line, column }) => write!(f, " (line {line}, column {column})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// The line and column of a byte offset.
pub(crate) fn position(text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or(text).replace("\r\n", "\n");
    let line = before.rsplit(LINE_BREAKS).next().unwrap_or_default();
    Position {
        line: before.matches(LINE_BREAKS).count() + 1,
        column: line.chars().count() + 1,
    }
}
