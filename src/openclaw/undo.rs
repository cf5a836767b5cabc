//! What our edits put in and took out, and how to give the bytes back.
//!
//! The record holds two views of every file that we edited. The [`members`] say in values what was there before our
//! first write; they always give a right answer, whatever others did to the file since. The [`regions`] say in text
//! where our bytes are and which stood there before; they give the old bytes back where nobody touched what is around
//! ours, and are believed only when they lead to exactly the value that the members demand.
//!
//! Of the text of others nothing is kept but fingerprints of a few bytes; of our own text neither (it holds tokens).

mod members;
mod regions;

#[cfg(test)]
mod tests;

use super::document;
use json5_edit::{Document, Edited};
use members::Members;
use regions::{Fingerprint, Found, Regions};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// The layout of the record. A later one is refused: its reader knows better what it means. In the first, every file's
/// name was absolute.
const VERSION: u32 = 2;

/// The undo record, `<home>/.sigilum/undo.json`: for each edited file how to take our edits back.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    version: u32,
    files: BTreeMap<String, File>,
}

/// What we did to one file.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// There was no such file before.
    created: bool,
    /// With our last edit.
    now: State,
    /// Without it, and the whole text as it was then. The record is written before the file is, and between the two
    /// the power may go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<(Fingerprint, State)>,
}

/// How a file differs from the one before our first edit.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    members: Members,
    regions: Regions,
}

/// One edit of one file, to be recorded.
pub struct Change<'a> {
    /// The file's text before; `None` if there was none.
    pub old: Option<&'a str>,
    /// Its value before: `{}` where there was no file.
    pub before: &'a Value,
    /// What the edit made of it.
    pub edited: &'a Edited,
    /// Its value now.
    pub after: &'a Value,
}

/// A file as it would be without us.
#[derive(Debug)]
pub struct Restored {
    /// The whole file.
    pub document: Document,
    /// All of our text was found untouched, and what stood there before is back byte for byte.
    pub exact: bool,
    /// Nobody else ever wrote the file since our first edit: this is what stood there before, for certain.
    pub certain: bool,
    /// We made this file and it holds nothing else: delete it.
    pub delete_file: bool,
}

/// Why a record cannot be used, or a file not be restored.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    /// The record is not one that we wrote.
    #[error("not an undo record of this program's version: {0}")]
    Record(String),
    /// The file of today cannot be read.
    #[error(transparent)]
    Document(#[from] json5_edit::Error),
}

impl Default for Undo {
    fn default() -> Self {
        Self {
            version: VERSION,
            files: BTreeMap::new(),
        }
    }
}

impl Undo {
    /// Reads the record's file.
    ///
    /// # Errors
    /// If it is not a record, or of another version. It then says nothing about any file.
    pub fn from_json(bytes: &[u8]) -> Result<Self, UndoError> {
        let undo: Self = serde_json::from_slice(bytes).map_err(|error| {
            // Not serde's own text: it may quote a value, and a value may be a token.
            UndoError::Record(format!("line {}, column {}", error.line(), error.column()))
        })?;
        if !(1..=VERSION).contains(&undo.version) {
            return Err(UndoError::Record(format!("version {}", undo.version)));
        }
        Ok(undo)
    }

    /// The record's file. It may hold a token that stood in a config before our first write: mode 0600.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings, numbers and maps with string keys: nothing that could fail.
        let mut json = serde_json::to_vec_pretty(self).unwrap_or_default();
        json.push(b'\n');
        json
    }

    /// Nothing of ours is in any file. Once the last edit has reached the disk, the record's file can go.
    pub fn is_empty(&self) -> bool {
        self.files
            .values()
            .all(|file| !file.created && file.now == State::default())
    }

    /// The files that bear our edits.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Whether the record was written before names were told from a home.
    pub fn is_of_one_place(&self) -> bool {
        self.version < 2
    }

    /// Gives the files other names.
    pub fn rename(&mut self, name: impl Fn(&str) -> String) {
        let files = std::mem::take(&mut self.files);
        self.files = files.into_iter().map(|(old, file)| (name(&old), file)).collect();
        self.version = VERSION;
    }

    /// Forgets a file, after it was restored or deleted.
    pub fn forget(&mut self, file: &str) {
        self.files.remove(file);
    }

    /// Records an edit of `file`. What earlier edits recorded is carried on, so that the record always leads back to
    /// the file before the first of them; its size depends on what differs, not on how many edits there were.
    pub fn note(&mut self, file: &str, change: &Change) {
        if change.old.is_none() {
            // Whatever stood there is gone, and what we know of it.
            self.forget(file);
        }
        let entry = self.files.entry(file.to_owned()).or_insert_with(|| File {
            created: change.old.is_none(),
            ..File::default()
        });
        let old = change.old.unwrap_or_default();
        let before = entry.state(old).clone();
        let mut now = before.clone();
        now.members.note(change.before, change.after);
        now.regions.note(old, change.edited);
        if now.members.is_empty() && now.regions.is_empty() {
            now = State::default();
        }
        entry.now = now;
        entry.previous = Some((Fingerprint::of(old.as_bytes()), before));
    }

    /// The file as it would be without us.
    ///
    /// # Errors
    /// If the file of today cannot be read.
    pub fn restore(&self, file: &str, current: &[u8]) -> Result<Restored, UndoError> {
        self.restore_with(file, current, |value| value)
    }

    /// The same, where the value without us is not quite what is wanted: `change` makes the wanted one of it. As much of
    /// the old text comes back as that value allows.
    ///
    /// # Errors
    /// If the file of today cannot be read.
    pub fn restore_with(
        &self,
        file: &str,
        current: &[u8],
        change: impl FnOnce(Value) -> Value,
    ) -> Result<Restored, UndoError> {
        let document = document::parse(current)?;
        let nothing = File::default();
        let file = self.files.get(file).unwrap_or(&nothing);
        let state = file.state(document.as_str());
        // Where only a part of our text was found, turning it back may leave no JSON5.
        let (text, found) = state.regions.restore(document.as_str());
        let turned_back = document::with_text(&document, text);
        let value = match &turned_back {
            // Nobody else ever wrote: then the old text is certain, and with it the old value.
            Some(old) if found == Found::Ours => old.value().clone(),
            _ => state.members.restore(document.value()),
        };
        let wanted = change(value);
        let document = turned_back.unwrap_or(document);
        let (document, exact) = if *document.value() == wanted {
            (document, found != Found::Some)
        } else {
            (document.edit(&wanted)?.document, false)
        };
        Ok(Restored {
            delete_file: file.created && document.is_bare(),
            document,
            exact,
            certain: found == Found::Ours,
        })
    }

    /// Forgets every token that stood in a config before our first write, as a logout must: a restored file will not
    /// have it. `is_token` is asked about whole strings.
    pub fn scrub(&mut self, is_token: impl Fn(&str) -> bool) {
        for file in self.files.values_mut() {
            let previous = file.previous.as_mut().map(|(_, state)| state);
            for state in std::iter::once(&mut file.now).chain(previous) {
                let found = state.members.scrub(&is_token);
                state.regions.scrub(&is_token, found);
            }
        }
    }
}

impl File {
    /// The state that belongs to a text: that before the last edit where this did not get into the file.
    fn state(&self, text: &str) -> &State {
        match &self.previous {
            Some((fingerprint, state))
                if *fingerprint == Fingerprint::of(text.as_bytes()) && !self.now.regions.is_at(text) =>
            {
                state
            }
            _ => &self.now,
        }
    }
}

// An old token may stand in here.
impl fmt::Debug for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Undo")
            .field("files", &self.files.keys())
            .finish_non_exhaustive()
    }
}
