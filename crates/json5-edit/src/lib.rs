#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod bytes;
mod edit;
mod error;
mod items;
mod lexer;
mod path;
mod read;
mod scan;
mod style;

pub use error::{Error, Position};
pub use read::MAX_BYTES;
pub use scan::MAX_DEPTH;

use edit::edit;
use error::position;
use read::{STAND_INS, decode, is_stand_in, key_name, read};
use scan::{Kind, Tree};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

/// A JSON5 text with its value, and with the place of everything in it.
#[derive(Clone)]
pub struct Document {
    /// The whole text, with its byte order mark.
    text: String,
    /// Whether characters of it stand for bytes that are no UTF-8.
    stands_in: bool,
    /// Where the text begins behind the byte order mark.
    start: usize,
    /// Where everything stands behind `start`; `None` for an empty or blank text.
    tree: Option<Tree>,
    value: Value,
}

/// What [`Document::edit`] makes of a document.
#[derive(Debug, Clone)]
pub struct Edited {
    /// The new text.
    pub document: Document,
    /// What differs from the old text.
    pub splices: Vec<Splice>,
}

/// One stretch of a text that an edit replaced. Those of one edit come in the order of the text, and at least one byte
/// lies between each two.
#[derive(Clone, PartialEq, Eq)]
pub struct Splice {
    /// Where it begins in the old text ([`Document::as_str`]), in bytes; a byte order mark counts.
    pub offset: usize,
    /// The text that stood there.
    pub removed: String,
    /// The text that stands there now.
    pub inserted: String,
}

impl Document {
    /// Reads a text: a `&str`, or the bytes of a file. An empty or blank one counts as `{}`.
    ///
    /// # Errors
    /// For anything that is not JSON5 (with or without a byte order mark), for more than [`MAX_BYTES`] or
    /// [`MAX_DEPTH`], and for the few texts that the README lists as limits.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, Error> {
        let (text, start, stands_in) = decode(text.as_ref())?;
        Self::read(text.into_owned(), start, stands_in, STAND_INS[0])
    }

    fn read(text: String, start: usize, stands_in: bool, halves_as: u32) -> Result<Self, Error> {
        let (tree, value) = read(&text[start..], halves_as)?;
        Ok(Self {
            text,
            stands_in,
            start,
            tree,
            value,
        })
    }

    /// What the text means, as the `json5` crate reads it. Of a key that stands twice the last value counts. What JSON
    /// has no word for has a stand-in: `NaN` and the infinities are `null`, half of a surrogate pair (`"\ud83d"` alone)
    /// is a private-use character that the text does not have (U+E83D, as a rule), a byte that is no UTF-8 is U+10F700 and its number.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The same, when nothing else of the document is needed.
    pub fn into_value(self) -> Value {
        self.value
    }

    /// The text, with its byte order mark if it has one, and with a stand-in for each byte that is no UTF-8: what
    /// [`Splice`]s count from.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text as it stands in a file.
    pub fn to_bytes(&self) -> Cow<'_, [u8]> {
        match self.stands_in {
            true => bytes::to_bytes(&self.text).into(),
            false => self.text.as_bytes().into(),
        }
    }

    /// Another text of the same file, as [`Self::as_str`] has it: with the same stand-ins.
    ///
    /// # Errors
    /// As [`Self::parse`] does.
    pub fn with_text(&self, text: String) -> Result<Self, Error> {
        let start = read::start(&text);
        let new = !bytes::has_stand_in(&self.text) && bytes::has_stand_in(&text);
        Self::read(text, start, self.stands_in || new, self.halves_as())
    }

    /// Whether the text says nothing at all: no member or element, and no comment.
    pub fn is_bare(&self) -> bool {
        self.tree.as_ref().is_none_or(Tree::is_bare)
    }

    /// Where the value at `path` begins, to point a person there.
    pub fn position(&self, path: &[&str]) -> Option<Position> {
        let tree = self.tree.as_ref()?;
        let node = path
            .iter()
            .try_fold(Tree::ROOT, |node, &key| self.named(tree, node, key).last())?;
        Some(position(self.bare(), tree.nodes[node].value.start))
    }

    /// Refuses a text in which a key of `path` stands twice in its object: which of the two values another program
    /// reads, nobody can say.
    ///
    /// # Errors
    /// Names the key and the place where it stands again.
    pub fn refuse_duplicates(&self, path: &[&str]) -> Result<(), Error> {
        let Some(tree) = &self.tree else { return Ok(()) };
        let mut node = Tree::ROOT;
        for &key in path {
            let mut found = self.named(tree, node, key);
            let Some(first) = found.next() else { break };
            if let Some(again) = found.next() {
                let reason = format!("the key \"{key}\" stands twice in the same object");
                return Err(Error::at(self.bare(), tree.nodes[again].start(), reason));
            }
            node = first;
        }
        Ok(())
    }

    /// Writes a value: in place of the one at `path`, or as a new member or element. Objects that lead there are made
    /// where there are none. A path is the keys from the outermost object inwards; an array is entered by an index, and
    /// grows by its length as an index.
    ///
    /// # Errors
    /// If the path leads through anything but objects and arrays or past the end of an array, and as [`Self::edit`]
    /// does. The document stays as it was.
    pub fn set(&mut self, path: &[&str], value: impl Into<Value>) -> Result<Vec<Splice>, Error> {
        let mut wanted = self.value.clone();
        path::set(&mut wanted, path, value.into()).map_err(|depth| {
            let [whole, parent] = [path, &path[..depth]].map(|path| path.join("."));
            let position = self.position(&path[..depth]);
            let reason = format!("nothing can be set at {whole}: {parent} has no place for it");
            Error {
                position,
                ..Error::new(reason)
            }
        })?;
        self.become_value(&wanted)
    }

    /// Takes a member or element out. If there is none at `path`, nothing changes.
    ///
    /// # Errors
    /// As [`Self::edit`] does. The document stays as it was.
    pub fn remove(&mut self, path: &[&str]) -> Result<Vec<Splice>, Error> {
        let mut wanted = self.value.clone();
        path::remove(&mut wanted, path);
        self.become_value(&wanted)
    }

    fn become_value(&mut self, wanted: &Value) -> Result<Vec<Splice>, Error> {
        let edited = self.edit(wanted)?;
        *self = edited.document;
        Ok(edited.splices)
    }

    /// Makes the text mean `wanted`, with as few bytes changed as can be: those of the members and elements that differ.
    /// What is added follows the style around it, in the order of `wanted`; what is removed takes its comma along and
    /// leaves every comment.
    ///
    /// # Errors
    /// If the new text would be too large, or if half of a surrogate pair, or a byte that is no UTF-8, would have to be
    /// written. Last if the second parser does not read `wanted` out of the new text, which is a bug of this crate.
    pub fn edit(&self, wanted: &Value) -> Result<Edited, Error> {
        let (text, mut splices) = edit(self.bare(), self.tree.as_ref(), &self.value, wanted);
        let halves = self.tree.as_ref().is_some_and(|tree| !tree.halves.is_empty());
        let is_half = |c| is_stand_in(c, self.halves_as());
        if halves && splices.iter().any(|splice| splice.inserted.contains(is_half)) {
            return Err(Error::new("half of a surrogate pair cannot be written"));
        }
        let is_byte_new =
            |splice: &Splice| bytes::has_stand_in(&splice.inserted) && !bytes::has_stand_in(&splice.removed);
        if self.stands_in && splices.iter().any(is_byte_new) {
            return Err(Error::new("a byte that is not UTF-8 cannot be written"));
        }
        if text.len() > MAX_BYTES && text.len() > self.bare().len() {
            return Err(Error::new("it would become larger than 4 MiB"));
        }
        for splice in &mut splices {
            splice.offset += self.start;
        }
        let text = [&self.text[..self.start], &text].concat();
        let document = Self::read(text, self.start, self.stands_in, self.halves_as());
        let document = document.map_err(|error| Error::bug(&error.to_string()))?;
        if document.value != *wanted || self.stands_in && bytes::to_text(&document.to_bytes()) != document.text {
            return Err(Error::bug("the new text does not have the wanted value"));
        }
        Ok(Edited { document, splices })
    }

    /// Where the block of characters begins that halves of surrogate pairs are read as.
    fn halves_as(&self) -> u32 {
        self.tree.as_ref().map_or(STAND_INS[0], |tree| tree.stand_ins)
    }

    /// The text without its byte order mark: what offsets and positions count from.
    fn bare(&self) -> &str {
        &self.text[self.start..]
    }

    /// The members of the object at `node` that have this key, or the element of the array that has it as its index.
    fn named<'a>(&'a self, tree: &'a Tree, node: usize, key: &'a str) -> impl Iterator<Item = usize> + 'a {
        let index = match tree.nodes[node].kind {
            Kind::Array => path::index(key),
            _ => None,
        };
        tree.children(node).enumerate().filter_map(move |(at, child)| {
            let found = match tree.nodes[child].key {
                Some(span) => key_name(self.bare(), tree, span) == key,
                None => index == Some(at),
            };
            found.then_some(child)
        })
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

// Configs and splices hold secrets: their text must not reach a log by `{:?}`.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({} bytes)", self.text.len())
    }
}

impl fmt::Debug for Splice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (removed, inserted) = (self.removed.len(), self.inserted.len());
        write!(f, "Splice(at {}: {removed} bytes became {inserted})", self.offset)
    }
}
