//! JSON5 text and its value, and an edit that changes only the members it means.
//!
//! Two parsers read each text, and neither knows of the other: [`scan`] says where everything stands, the `json5` crate
//! says what it means. An edit is made by position and believed only when the second parser reads exactly the wanted
//! value back.

#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::todo,
        clippy::dbg_macro
    )
)]

mod edit;
mod items;
mod lexer;
mod scan;
mod style;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use json_patch::Patch;
use serde_json::Value;

use lexer::Lexer;
use scan::{Kind, Tree};

/// The largest text that is read, in bytes.
pub const MAX_BYTES: usize = 4 << 20;

/// The byte order mark that Windows editors put before UTF-8.
const BOM: &str = "\u{FEFF}";

/// The second parser and everything that walks its values recurses. Up to here any stack carries it, also the 2 MiB of
/// a thread in a debug build.
const SHALLOW: usize = 64;

/// A config file's text, checked and understood: JSON5 whose outermost value is an object.
pub struct Document {
    /// The text without its byte order mark.
    text: String,
    bom: bool,
    /// Where everything stands; `None` for an empty or blank file, which counts as `{}`.
    tree: Option<Tree>,
    value: Value,
}

/// What an edit made of a [`Document`].
#[derive(Clone, PartialEq, Eq)]
pub struct Edited {
    /// The whole new file.
    pub bytes: Vec<u8>,
    /// What it means: the value with the patch applied.
    pub value: Value,
    /// What differs from the old file, in the order of the text; apart from each other by at least one byte. Empty if
    /// nothing had to change.
    pub splices: Vec<Splice>,
}

/// One changed stretch of a file.
#[derive(Clone, PartialEq, Eq)]
pub struct Splice {
    /// Where it begins in the old file: a byte offset that counts a byte order mark, too.
    pub offset: usize,
    /// The text that stood there.
    pub removed: String,
    /// The text that stands there now.
    pub inserted: String,
}

/// Why a text is refused, and where.
///
/// Its text never quotes the file: a config is full of secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}{}", .position.map(|at| format!(" (line {}, column {})", at.line, at.column)).unwrap_or_default())]
pub struct DocumentError {
    /// What is wrong, in words for a person.
    pub reason: Cow<'static, str>,
    /// Where, if the fault has a place.
    pub position: Option<Position>,
}

/// A place in a text. Lines end as in JSON5: at LF, CR, CR LF, U+2028 or U+2029.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line; the first is 1.
    pub line: usize,
    /// The character in the line (not the byte); the first is 1.
    pub column: usize,
}

impl Document {
    /// Reads a config file's bytes.
    ///
    /// # Errors
    /// For anything that is not JSON5 in UTF-8 (with or without a byte order mark), larger than [`MAX_BYTES`], nested
    /// deeper than 512 levels, or not an object on the outside. An empty or blank file counts as `{}`.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        let (text, bom) = decode(bytes)?;
        let (tree, value) = read(text)?;
        Ok(Self {
            text: text.to_owned(),
            bom,
            tree,
            value,
        })
    }

    /// What the text means, as the `json5` crate reads it. `NaN` and the infinities are `null`, because JSON has no
    /// word for them; of a key that stands twice the last value counts.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The same, when nothing else of the document is needed.
    pub fn into_value(self) -> Value {
        self.value
    }

    /// The file's bytes again.
    pub fn bytes(&self) -> Vec<u8> {
        let bom = if self.bom { BOM } else { "" };
        [bom, &self.text].concat().into_bytes()
    }

    /// Whether the file says nothing at all: no member, and no comment.
    pub fn is_bare(&self) -> bool {
        let empty = self.value.as_object().is_some_and(serde_json::Map::is_empty);
        empty && (self.tree.is_none() || Lexer::new(&self.text, 0).comments(self.text.len()).is_empty())
    }

    /// Where the value at `path` (keys from the outermost object inwards) begins, to point a person there.
    pub fn position(&self, path: &[&str]) -> Option<Position> {
        let tree = self.tree.as_ref()?;
        let node = path
            .iter()
            .try_fold(Tree::ROOT, |node, &key| self.members(tree, node, key).last())?;
        Some(position(&self.text, tree.value(node).start))
    }

    /// Refuses a text in which a key of `path` stands twice in its object: which of the two values another program
    /// reads, nobody can say.
    ///
    /// # Errors
    /// Names the key and the place where it stands again.
    pub fn refuse_duplicates(&self, path: &[&str]) -> Result<(), DocumentError> {
        let Some(tree) = &self.tree else { return Ok(()) };
        let mut node = Tree::ROOT;
        for &key in path {
            let mut found = self.members(tree, node, key);
            let Some(first) = found.next() else { break };
            if let Some(again) = found.next() {
                return Err(DocumentError {
                    reason: format!("the key \"{key}\" stands twice in the same object").into(),
                    position: Some(position(&self.text, tree.start(again))),
                });
            }
            node = first;
        }
        Ok(())
    }

    /// Applies a patch to the text. Only the bytes of touched members change; what is added follows the style around
    /// it, what is removed takes its comma along and leaves every comment.
    ///
    /// # Errors
    /// If the patch does not fit the value, if the text would grow beyond [`MAX_BYTES`], or if the second parser does
    /// not read exactly the patched value out of the new text: a bug here, and nothing is returned that could be
    /// written.
    pub fn edit(&self, patch: &Patch) -> Result<Edited, DocumentError> {
        let mut wanted = self.value.clone();
        json_patch::patch(&mut wanted, patch).map_err(|error| DocumentError {
            reason: format!("the change does not fit the config: {error}").into(),
            position: None,
        })?;
        let offset = if self.bom { BOM.len() } else { 0 };
        let (text, mut splices) = edit::edit(&self.text, self.tree.as_ref(), &self.value, &wanted, patch);
        if text.len() > MAX_BYTES && text.len() > self.text.len() {
            return Err(DocumentError {
                reason: "it would become larger than 4 MiB".into(),
                position: None,
            });
        }
        let (_, value) = read(&text).map_err(|error| bug(&error.to_string()))?;
        if value != wanted {
            return Err(bug("the new text does not have the wanted value"));
        }
        for splice in &mut splices {
            splice.offset += offset;
        }
        let bytes = if self.bom {
            [BOM, &text].concat().into_bytes()
        } else {
            text.into_bytes()
        };
        Ok(Edited { bytes, value, splices })
    }

    /// The members of the object at `node` that have this key.
    fn members<'a>(&'a self, tree: &'a Tree, node: usize, key: &'a str) -> impl Iterator<Item = usize> + 'a {
        let object = tree.kind(node) == Kind::Object;
        tree.children(node).filter(move |&child| {
            object
                && tree
                    .key(child)
                    .is_some_and(|span| decode_key(&self.text[span.start..span.end]) == key)
        })
    }
}

// Configs and splices hold tokens: their text must not reach a log by `{:?}`.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("bytes", &self.text.len())
            .field("bom", &self.bom)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Edited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edited")
            .field("bytes", &self.bytes.len())
            .field("splices", &self.splices)
            .finish()
    }
}

impl fmt::Debug for Splice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Splice")
            .field("offset", &self.offset)
            .field("removed", &self.removed.len())
            .field("inserted", &self.inserted.len())
            .finish()
    }
}

/// The text of a file, and whether a byte order mark stood before it.
fn decode(bytes: &[u8]) -> Result<(&str, bool), DocumentError> {
    let refuse = |reason: &'static str, position| {
        Err(DocumentError {
            reason: reason.into(),
            position,
        })
    };
    if bytes.len() > MAX_BYTES {
        return refuse("larger than 4 MiB", None);
    }
    // UTF-16 and UTF-32 show at the beginning: a mark, or ASCII characters (JSON5 begins with hardly anything else)
    // between zero bytes.
    let wide = match *bytes {
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, 0, 0xFE, 0xFF, ..] => true,
        [a, 0] | [0, a] => a != 0,
        [0, 0, 0, a, ..] | [a, 0, _, 0, ..] | [0, a, 0, _, ..] => a != 0,
        _ => false,
    };
    if wide {
        return refuse("not UTF-8 but UTF-16 or UTF-32: save the file as UTF-8", None);
    }
    let (text, wrong) = match std::str::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => (
            std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
            Some("not valid UTF-8"),
        ),
    };
    let (text, bom) = match text.strip_prefix(BOM) {
        Some(text) => (text, true),
        None => (text, false),
    };
    if let Some(offset) = text.bytes().position(|byte| byte == 0) {
        return refuse("a NUL byte", Some(position(text, offset)));
    }
    match wrong {
        Some(reason) => refuse(reason, Some(position(text, text.len()))),
        None => Ok((text, bom)),
    }
}

/// Both parsers' view of a text.
fn read(text: &str) -> Result<(Option<Tree>, Value), DocumentError> {
    if text
        .trim_matches(|c: char| c.is_whitespace() || c == '\u{FEFF}')
        .is_empty()
    {
        return Ok((None, Value::Object(serde_json::Map::new())));
    }
    let tree = scan::scan(text).map_err(|fault| DocumentError {
        reason: fault.reason.into(),
        position: Some(position(text, fault.offset)),
    })?;
    if tree.kind(Tree::ROOT) != Kind::Object {
        return Err(DocumentError {
            reason: "the outermost value is not an object { … }".into(),
            position: Some(position(text, tree.value(Tree::ROOT).start)),
        });
    }
    let value = second_parse(text, tree.depth)?;
    Ok((Some(tree), value))
}

/// The value, by the `json5` crate.
fn second_parse(text: &str, depth: usize) -> Result<Value, DocumentError> {
    let parse = || {
        json5::from_str(text).map_err(|error: json5::Error| DocumentError {
            // Its codes are fixed texts; its other messages come from number parsing and quote nothing.
            reason: error
                .code()
                .map_or("a value that cannot be read".into(), |code| code.to_string().into()),
            position: error.position().map(|at| Position {
                line: at.line + 1,
                column: at.column + 1,
            }),
        })
    };
    if depth <= SHALLOW {
        return parse();
    }
    let failed = |_| bug("no stack for a deeply nested config");
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(32 << 20)
            .spawn_scoped(scope, parse);
        thread
            .map_err(failed)?
            .join()
            .unwrap_or_else(|_| Err(bug("the JSON5 parser failed")))
    })
}

/// The name that a key stands for.
fn decode_key(key: &str) -> Cow<'_, str> {
    let quoted = key.starts_with(['"', '\'']);
    if !key.contains('\\') {
        return Cow::Borrowed(if quoted { &key[1..key.len() - 1] } else { key });
    }
    let string = if quoted {
        Cow::Borrowed(key)
    } else {
        Cow::Owned(format!("\"{key}\""))
    };
    json5::from_str(&string).map_or(Cow::Borrowed(key), Cow::Owned)
}

/// The line and column of a byte offset.
fn position(text: &str, offset: usize) -> Position {
    let mut at = Position { line: 1, column: 1 };
    let mut previous = ' ';
    for (_, c) in text.char_indices().take_while(|&(index, _)| index < offset) {
        match c {
            '\n' if previous == '\r' => {}
            '\n' | '\r' | '\u{2028}' | '\u{2029}' => {
                at.line += 1;
                at.column = 1;
            }
            _ => at.column += 1,
        }
        previous = c;
    }
    at
}

fn bug(what: &str) -> DocumentError {
    DocumentError {
        reason: format!("{what}: this is a bug of json5-edit, please report it; nothing was changed").into(),
        position: None,
    }
}
