//! From what is wanted to what must change in which file: all decided and checked, nothing written.

use super::file::{File, PRIVATE, unreadable};
use super::record::{self, key};
use super::seen::Seen;
use super::{Ask, EditOptions, EditOutcome, NotWritten, secret};
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::home::{OURS, OpenClawHome};
use crate::openclaw::document;
use crate::openclaw::entry::{ENV_PATH, TOKEN};
use crate::openclaw::state_db;
use crate::openclaw::undo::{Undo, UndoError};
use crate::text::is_unset;
use json_patch::Patch;
use json5_edit::{Edited, MAX_BYTES, Splice};
use serde_json::Value;
use std::path::Path;
use std::rc::Rc;

/// OpenClaw takes a shrunken file for damaged only if it was at least this long, in bytes.
const SHRINK_FROM: u64 = 512;

/// One file to be written.
pub(super) struct Change {
    /// Which of [`Seen::files`].
    pub file: usize,
    /// The whole new file, and what differs from the old one.
    pub edited: Edited,
    /// It gets a token: nobody else may read it.
    pub private: bool,
    /// The bytes of before our first edit are back: nothing is recorded of this file any more.
    pub given_back: bool,
    /// The file goes altogether.
    pub delete: bool,
}

/// What is to be done: everything is known and checked, nothing is written yet.
pub(super) struct Plan {
    pub seen: Rc<Seen>,
    /// The undo record as it is.
    pub undo: Undo,
    /// The record was damaged: what stands in the config may be ours, and nobody knows what was there before.
    pub undo_was_lost: bool,
    patch: Patch,
    pub changes: Vec<Change>,
    /// Why nothing of it may or can be written.
    not_written: Option<NotWritten>,
    /// Why no token may be written.
    barred: Option<String>,
    notes: Vec<String>,
    /// What OpenClaw measures the config's size against, in bytes; `None` where it has no backup to bring back. Known
    /// where what stood there before is to be given back.
    baseline: Option<u64>,
}

impl Plan {
    /// `not_written`: why nothing may be written. What is wanted is then known all the same.
    pub fn make(
        place: &OpenClawHome,
        options: &EditOptions<'_>,
        want: &mut dyn FnMut(&Ask<'_>) -> Result<Value>,
        not_written: Option<NotWritten>,
    ) -> Result<Self> {
        let (undo, note) = record::load(place)?;
        let seen = Rc::new(Seen::read(place)?);
        // What a person puts there by hand holds no token.
        let barred = not_written.as_ref().map(NotWritten::to_string);
        let mut plan = Self {
            undo,
            undo_was_lost: note.is_some(),
            patch: Patch::default(),
            changes: Vec::new(),
            barred: barred.or_else(|| secret::barred(&seen, place)),
            not_written,
            notes: note.into_iter().collect(),
            baseline: None,
            seen: seen.clone(),
        };
        let worked_out = plan.work_out(place, options, want)?.map_err(NotWritten::Included);
        match worked_out.and_then(|()| plan.refuse_our_own(place)) {
            Ok(()) => plan.refuse_what_is_not_its_owners(place).map(|()| plan),
            Err(why) => Self::make(place, options, want, Some(why)),
        }
    }

    /// What we keep is no place for a part of the config, whatever includes it.
    fn refuse_our_own(&self, place: &OpenClawHome) -> Result<(), NotWritten> {
        let mut files = self.changes.iter().map(|change| &self.seen.files[change.file]);
        let Some(file) = files.find(|file| place.is_ours(&file.target.path)) else {
            return Ok(());
        };
        let why = format!("it includes {}, {OURS}", file.target.path.display());
        Err(NotWritten::Ours(why))
    }

    /// In another user's home, each file that is to be written, and its folder, must be that user's: those that were
    /// opened, so that no swap of names can mislead us.
    fn refuse_what_is_not_its_owners(&self, place: &OpenClawHome) -> Result<()> {
        let Some(uid) = place.anothers() else { return Ok(()) };
        for change in &self.changes {
            let file = &self.seen.files[change.file];
            let folder = file.target.folder.as_ref().map(|folder| folder.owner().uid);
            let own = file.content.as_ref().map(|content| content.stat.st_uid);
            if folder.into_iter().chain(own).any(|owner| owner != uid) {
                return Err(fs::not_its_owners(ExitCode::Config, &file.target.path, uid));
            }
        }
        Ok(())
    }

    /// The inner error says why no edit of the files can give what is wanted.
    fn work_out(
        &mut self,
        place: &OpenClawHome,
        options: &EditOptions<'_>,
        want: &mut dyn FnMut(&Ask<'_>) -> Result<Value>,
    ) -> Result<Result<(), String>> {
        if options.give_back {
            self.baseline = self.baseline(place)?;
        }
        let undone = if options.give_back { Some(self.undone()?) } else { None };
        let (seen, barred, by_hand) = (self.seen.clone(), self.barred.clone(), self.not_written.clone());
        let mut ask = |keep_length| {
            want(&Ask {
                value: seen.value(),
                exists: seen.exists(),
                barred: barred.as_deref(),
                by_hand: by_hand.as_ref(),
                keep_length,
                undone: undone.as_ref().map(|(value, _)| value),
                certain: undone.as_ref().is_some_and(|(_, certain)| *certain),
            })
        };
        let wanted = ask(false)?;
        if let Err(why) = self.change_to(&wanted, options.give_back)? {
            return Ok(Err(why));
        }
        let Some(shrunk) = self.shrunk() else {
            return Ok(Ok(()));
        };
        if options.give_back && options.force {
            self.notes.push(shrunk);
            return Ok(Ok(()));
        }
        self.keep_the_length(&mut ask, &wanted, shrunk, options.force)
    }

    /// The same edit where OpenClaw would take the file for damaged: with a filler in place of a token that goes, or,
    /// if it is forced, as it is.
    fn keep_the_length(
        &mut self,
        ask: &mut dyn FnMut(bool) -> Result<Value>,
        wanted: &Value,
        shrunk: String,
        force: bool,
    ) -> Result<Result<(), String>> {
        let kept = ask(true)?;
        if kept != *wanted {
            // What stays, with a filler for a token, is still to be taken out one day: it is not forgotten.
            if let Err(why) = self.change_to(&kept, false)? {
                return Ok(Err(why));
            }
            if self.shrunk().is_none() {
                // The filler of an earlier edit is no token that went.
                let note = token(self.seen.value()).filter(|_| token(&kept).is_none()).map(|_| {
                    "the token was overwritten by a filler of the same length: OpenClaw takes a file that shrinks below \
                     half for damaged, and brings back an older one"
                        .to_owned()
                });
                self.notes.extend(note);
                return Ok(Ok(()));
            }
        }
        if !force {
            let file = self.seen.files[0].target.path();
            return Err(Error::new(
                ExitCode::Config,
                format!("could not edit the config, {shrunk}: {}", file.display()),
            )
            .next("add --force; or make the change with `openclaw config`"));
        }
        if kept != *wanted
            && let Err(why) = self.change_to(&ask(false)?, false)?
        {
            return Ok(Err(why));
        }
        self.notes.push(shrunk);
        Ok(Ok(()))
    }

    /// OpenClaw 2026.9.6 brings back nothing but a `.bak` that it can read and that has a `gateway.mode`, and measures
    /// against the last config that it found good, or else against that `.bak`.
    fn baseline(&self, place: &OpenClawHome) -> Result<Option<u64>> {
        let mut backup = place.config.clone().into_os_string();
        backup.push(".bak");
        let bytes = fs::read_capped(Path::new(&backup), MAX_BYTES as u64).ok().flatten();
        let backup = bytes.and_then(|bytes| document::parse(&bytes).ok());
        let mode = backup
            .as_ref()
            .and_then(|backup| backup.value().pointer("/gateway/mode"));
        if mode.is_none() {
            return Ok(None);
        }
        let database = state_db::path(&place.home);
        let real = self.seen.files[0].target.path();
        let mut base = self.seen.backup;
        for config in [&place.config, &real] {
            // What cannot be read may be anything up to what the file is.
            let good = state_db::last_good_bytes(&database, config);
            let now = self.seen.files[0]
                .content
                .as_ref()
                .map(|content| content.bytes.len() as u64);
            base = base.max(good.unwrap_or(now).unwrap_or(0));
        }
        Ok(Some(base))
    }

    /// The config's value as it would be without our edits, and whether nobody else wrote it since the first.
    fn undone(&self) -> Result<(Value, bool)> {
        let mut all_certain = true;
        let own = |file: &File| -> Result<Value> {
            match &file.content {
                // What stands for something else than an object is none of ours.
                Some(content) if file.document.value().is_object() => {
                    let path = file.target.path();
                    let restored = self.undo.restore(&key(&path), &content.bytes);
                    let restored = restored.map_err(|error| lost(&path, error))?;
                    all_certain &= restored.certain;
                    Ok(restored.document.into_value())
                }
                _ => Ok(file.document.value().clone()),
            }
        };
        let values: Result<Vec<_>> = self.seen.files.iter().map(own).collect();
        let mut values = values?.into_iter();
        let value = self.seen.resolve(|_| values.next().unwrap_or_default())?;
        Ok((value, all_certain))
    }

    /// Works out what must change in which file for the config to have this value; the inner error says why no edit of
    /// them can do that.
    fn change_to(&mut self, wanted: &Value, give_back: bool) -> Result<Result<(), String>> {
        let seen = &self.seen;
        self.patch = json_patch::diff(seen.value(), wanted);
        self.changes.clear();
        if let Some(lost) = lost_marker(seen.value(), wanted) {
            let path = seen.files[0].target.path();
            return Err(Error::new(
                ExitCode::Config,
                format!(
                    "could not edit the config, it would lose {lost}, and OpenClaw would bring back an older one: {}",
                    path.display()
                ),
            ));
        }
        if self.not_written.is_some() {
            return Ok(Ok(()));
        }
        let mut sources = seen.sources();
        if let Err(why) = sources.put(wanted) {
            return Ok(Err(why));
        }
        let adds = !give_back && (token(wanted).is_some() || token(seen.value()).is_none());
        if let Some(why) = seen.why_not(&sources.values, adds) {
            return Ok(Err(why));
        }
        // Also a token that was there already: nothing that we write lets others read one.
        let token = token(wanted);
        // Included files first: one of them may hold the entry, the config at most a switch that turns it on.
        for (file, value) in sources.values.into_iter().enumerate().rev() {
            let now = &seen.files[file];
            let private = token.is_some_and(|token| secret::holds(&value, token));
            if private
                && let Some(why) = &self.barred
                && !token.is_some_and(|token| secret::holds(now.document.value(), token))
            {
                return Err(secret::refusal(&now.target.path, why));
            }
            let change = match give_back {
                true => self.given_back(file, now, value)?,
                false if value == *now.document.value() => None,
                false => Some(edited(file, now, &value)?),
            };
            self.changes.extend(change.map(|change| Change { private, ..change }));
        }
        Ok(Ok(()))
    }

    /// The file with the bytes of before our first edit, as far as its wanted value allows.
    fn given_back(&self, file: usize, now: &File, value: Value) -> Result<Option<Change>> {
        let content = now.content.as_ref().filter(|_| now.document.value().is_object());
        let Some(content) = content else { return Ok(None) };
        let path = now.target.path();
        let restored = self
            .undo
            .restore_with(&key(&path), &content.bytes, |_| value)
            .map_err(|error| lost(&path, error))?;
        let delete = restored.delete_file;
        Ok(
            (delete || *restored.document.to_bytes() != content.bytes).then(|| Change {
                file,
                edited: Edited {
                    splices: vec![difference(now.document.as_str(), restored.document.as_str())],
                    document: restored.document,
                },
                private: false,
                given_back: true,
                delete,
            }),
        )
    }

    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Why OpenClaw would take the new config for damaged, and bring back an older one; `None` if it would not.
    fn shrunk(&self) -> Option<String> {
        let change = self.changes.iter().find(|change| change.file == 0 && !change.delete)?;
        let old = self.seen.files[0]
            .content
            .as_ref()
            .map_or(0, |content| content.bytes.len() as u64);
        let new = change.edited.document.to_bytes().len() as u64;
        // Giving back what stood there before is worth a closer look: would OpenClaw really mind?
        let base = match change.given_back {
            true => self.baseline?,
            false => old.max(self.seen.backup),
        };
        // Where the file is that short already, an edit that adds to it makes nothing worse.
        let shrinks = new < old || !self.seen.exists();
        (base >= SHRINK_FROM && shrinks && new * 2 < base).then(|| {
            format!(
                "it would shrink from {base} bytes (the larger of the file and OpenClaw's backup) to {new}, and OpenClaw \
                 takes less than half for damaged and brings back an older one"
            )
        })
    }

    /// Whether what is wanted cannot be written.
    pub fn is_barred(&self) -> bool {
        self.not_written.is_some()
    }

    /// What is wanted, nothing of it written.
    pub fn outcome(&self) -> EditOutcome {
        EditOutcome {
            changed: false,
            created: self.has_changes() && !self.seen.exists(),
            deleted: self.changes.iter().any(|change| change.file == 0 && change.delete),
            patch: self.patch.clone(),
            files: self
                .changes
                .iter()
                .map(|change| self.seen.files[change.file].target.path())
                .collect(),
            notes: self.notes.clone(),
            not_written: self.not_written.clone().filter(|_| !self.patch.0.is_empty()),
        }
    }

    /// The same once it is written, which the files themselves may have something to say about.
    pub fn done(&self) -> EditOutcome {
        let mut notes = self.notes.clone();
        for change in &self.changes {
            let file = &self.seen.files[change.file];
            let mode = file.content.as_ref().map(|content| fs::permissions(&content.stat));
            let names = file.content.as_ref().map_or(1, |content| content.stat.st_nlink);
            if names > 1 {
                notes.push(format!(
                    "{} had {names} names (hard links): the others still lead to the file as it was",
                    file.target.path().display()
                ));
            }
            if let Some(mode) = mode.filter(|mode| change.private && *mode != PRIVATE) {
                let path = file.target.path();
                notes.push(format!(
                    "{} holds the token: its mode became 0600 (was {mode:04o})",
                    path.display()
                ));
            }
        }
        EditOutcome {
            changed: true,
            notes,
            ..self.outcome()
        }
    }
}

/// The file with only the bytes changed in which this value differs from its own.
fn edited(file: usize, now: &File, value: &Value) -> Result<Change> {
    let edited = now
        .document
        .edit(value)
        .map_err(|error| unreadable(&now.target.path(), error))?;
    Ok(Change {
        file,
        edited,
        private: false,
        given_back: false,
        delete: false,
    })
}

/// The stretch in which two texts differ.
fn difference(old: &str, new: &str) -> Splice {
    // Characters begin at the same bytes up to where they differ.
    let (old, new) = (old.as_bytes(), new.as_bytes());
    let starts_character = |bytes: &[u8], at: usize| bytes.get(at).is_none_or(|byte| byte & 0xC0 != 0x80);
    let same = |pairs: &mut dyn Iterator<Item = (&u8, &u8)>| pairs.take_while(|(old, new)| old == new).count();
    let mut head = same(&mut old.iter().zip(new));
    while !starts_character(old, head) || !starts_character(new, head) {
        head -= 1;
    }
    let mut tail = same(&mut old[head..].iter().rev().zip(new[head..].iter().rev()));
    while !starts_character(old, old.len() - tail) {
        tail -= 1;
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Splice {
        offset: head,
        removed: text(&old[head..old.len() - tail]),
        inserted: text(&new[head..new.len() - tail]),
    }
}

fn lost(path: &Path, error: UndoError) -> Error {
    match error {
        UndoError::Document(error) => unreadable(path, error),
        UndoError::Record(_) => misfit(path),
    }
}

fn misfit(path: &Path) -> Error {
    Error::new(
        ExitCode::Config,
        format!(
            "could not edit the config, this is a bug of sigilum-authz-notify: {}",
            path.display()
        ),
    )
}

/// What OpenClaw tells a damaged config by, if an edit takes it out.
fn lost_marker(old: &Value, new: &Value) -> Option<&'static str> {
    let markers = [("/meta", "`meta`"), ("/gateway/mode", "`gateway.mode`")];
    let lost = markers
        .iter()
        .find(|(at, _)| old.pointer(at).is_some() && new.pointer(at).is_none());
    lost.map(|(_, name)| *name)
}

/// The owner token in a config's entry.
fn token(config: &Value) -> Option<&str> {
    let env = ENV_PATH.iter().try_fold(config, |node, key| node.get(key))?;
    env.get(TOKEN)?.as_str().filter(|token| !is_unset(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_differ_in_one_stretch_of_whole_characters() {
        let table = [
            ("abc", "abc", 3, "", ""),
            ("abc", "axc", 1, "b", "x"),
            ("abcabc", "abc", 3, "abc", ""),
            ("", "abc", 0, "", "abc"),
            // é and è begin with the same byte; ä and ¤ end with the same one.
            ("aéb", "aèb", 1, "é", "è"),
            ("aäb", "a¤b", 1, "ä", "¤"),
            ("aäb", "ab", 1, "ä", ""),
            ("é", "èé", 0, "", "è"),
        ];
        for (old, new, offset, removed, inserted) in table {
            let splice = difference(old, new);
            assert_eq!(
                (splice.offset, &*splice.removed, &*splice.inserted),
                (offset, removed, inserted),
                "{old} {new}"
            );
        }
    }
}
