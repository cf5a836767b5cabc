//! The edit of openclaw.json from lock to rename: read, parse, edit, check, swap.
//!
//! What is on the disk when, and why: the new file's bytes before the swap; the undo record, and everything else that
//! was written under our lock, before the swap too, so that no change of ours is ever in the config without a record of
//! how to take it out; the swap itself, and the end of OpenClaw's lock with it, by one last fsync of the folder. A run
//! killed anywhere leaves the old file or the new one.

mod commit;

use super::document::{Document, DocumentError};
use super::entry::{ENV_PATH, TOKEN, is_unset};
use super::include::{self, Include};
use super::lock::{self, LockOptions};
use crate::disk::{self, Content, OwnLock};
use crate::exit::{Error, ExitCode, Result};
use crate::settings::Place;
use commit::{Committed, Target};
use json_patch::Patch;
use serde_json::Value;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often to start over when writers that ignore the lock keep changing the file.
const ROUNDS: u32 = 40;
/// OpenClaw takes a shrunken file for damaged only if it was at least this long, in bytes.
const SHRINK_FROM: u64 = 512;

/// The config as it is.
#[derive(Clone)]
pub struct Config {
    /// What it says, with the include on the way to the hook's entry resolved.
    pub value: Value,
    /// The files that it was read from: the config, links resolved, and the included file.
    pub files: Vec<PathBuf>,
}

/// Reads the config without any lock (whoever writes it replaces it whole); `None` where there is no file.
///
/// Fails with [`ExitCode::Config`], with line and column where there is one, for a file that cannot be understood.
pub fn read(place: &Place) -> Result<Option<Config>> {
    let seen = Seen::read(place)?;
    let files = seen.files.iter().map(|file| file.target.path()).collect();
    Ok(seen.exists().then_some(Config {
        value: seen.value,
        files,
    }))
}

/// How an edit is done.
#[derive(Default)]
pub struct EditOptions<'a> {
    /// Only say what would change; no lock is taken.
    pub dry_run: bool,
    /// Go on where OpenClaw might take the new file for damaged and bring back an older one.
    pub force: bool,
    /// Our lock on this home, where the caller has it already. Otherwise the edit takes it.
    pub own_lock: Option<&'a OwnLock>,
    /// How long to wait for OpenClaw's lock.
    pub lock: LockOptions,
    /// For tests: how long to hold OpenClaw's lock before anything else.
    pub hold_lock: Duration,
}

/// What an edit may know when it says what it wants.
pub struct Ask<'a> {
    /// The config's value, `{}` where there is none.
    pub value: &'a Value,
    /// Whether there is a config file.
    pub exists: bool,
    /// A token must not be taken out but overwritten by a filler of the same length: the file must not shrink.
    pub keep_length: bool,
}

/// What an edit did.
#[derive(Clone, Default)]
pub struct EditOutcome {
    /// Whether a file was written.
    pub changed: bool,
    /// Whether the config was made.
    pub created: bool,
    /// From the config as it was to the config as it is wanted (RFC 6902), includes resolved. It may hold the token:
    /// print it with [`masked`] only.
    pub patch: Patch,
    /// The files that were written, or would be.
    pub files: Vec<PathBuf>,
    /// What the person should know about the file itself.
    pub notes: Vec<String>,
    /// Why a wanted change was not written, where the config must never be.
    pub not_written: Option<&'static str>,
}

impl fmt::Debug for EditOutcome {
    /// With the patch masked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EditOutcome")
            .field("changed", &self.changed)
            .field("created", &self.created)
            .field("patch", &masked(&self.patch).to_string())
            .field("files", &self.files)
            .field("notes", &self.notes)
            .field("not_written", &self.not_written)
            .finish()
    }
}

/// Changes the config to what `want` makes of it, touching only the bytes of the members that differ. If none does,
/// nothing is written.
///
/// `want` is a pure function; it is asked again when the file changed meanwhile, and when the file must not shrink.
/// Its last answer is the one that counts.
///
/// Fails with [`ExitCode::Config`], the file untouched, for a file that cannot be understood or edited safely; with
/// [`ExitCode::LockHeld`] when our lock or OpenClaw's stayed held.
pub fn edit(
    place: &Place,
    options: &EditOptions<'_>,
    want: &mut dyn FnMut(&Ask<'_>) -> Result<Value>,
) -> Result<EditOutcome> {
    if options.dry_run || place.read_only.is_some() {
        let plan = Plan::make(Seen::read(place)?, options, want)?;
        let not_written = place.read_only.filter(|_| !options.dry_run && plan.has_changes());
        return Ok(EditOutcome {
            not_written,
            ..plan.outcome()
        });
    }
    let mut taken = None;
    let own_lock = match options.own_lock {
        Some(lock) => lock,
        None => taken.insert(disk::lock_sigilum(place)?),
    };
    if let Some(folder) = place.config.parent() {
        disk::create_private_dir(folder)?;
    }
    let mut write_lock = match lock::acquire(&place.config, &options.lock) {
        Ok(lock) => Some(lock),
        // A folder where nothing can be written: fine as long as nothing has to be.
        Err(error) if error.code == ExitCode::Config => {
            let plan = Plan::make(Seen::read(place)?, options, want)?;
            return if plan.has_changes() {
                Err(error)
            } else {
                Ok(plan.outcome())
            };
        }
        Err(error) => return Err(error),
    };
    std::thread::sleep(options.hold_lock);
    for round in 0..ROUNDS {
        let plan = Plan::make(Seen::read(place)?, options, want)?;
        if !plan.has_changes() {
            return Ok(plan.outcome());
        }
        match commit::commit(&plan, place, own_lock, &mut write_lock)? {
            Committed::Done => {
                return Ok(EditOutcome {
                    changed: true,
                    ..plan.outcome()
                });
            }
            // Somebody who ignores the lock was faster: look again, a little later each time.
            Committed::Changed => std::thread::sleep(Duration::from_millis(u64::from(round.min(20)))),
        }
    }
    Err(Error::new(
        ExitCode::LockHeld,
        format!(
            "could not write the config, another program that ignores OpenClaw's lock keeps changing it: {}",
            place.config.display()
        ),
    )
    .next("end that program, or run the command again"))
}

/// A patch with every owner token in it masked, for people to read.
pub fn masked(patch: &Patch) -> Value {
    fn mask(value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    match value {
                        Value::String(token) if name == TOKEN => *token = stars(token),
                        _ => mask(value),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(mask),
            _ => {}
        }
    }
    fn stars(token: &str) -> String {
        if is_unset(token) {
            token.to_owned()
        } else {
            "***".to_owned()
        }
    }
    let mut operations = serde_json::to_value(patch).unwrap_or_default();
    for operation in operations.as_array_mut().into_iter().flatten() {
        let at_token = operation["path"]
            .as_str()
            .is_some_and(|path| path.ends_with(&format!("/{TOKEN}")));
        match operation.get_mut("value") {
            Some(Value::String(token)) if at_token => *token = stars(token),
            Some(value) => mask(value),
            None => {}
        }
    }
    operations
}

/// A file of the config, read and understood.
struct File {
    target: Target,
    /// `None` where there is no such file.
    content: Option<Content>,
    document: Document,
}

/// The config as it was read, and where each part stands.
struct Seen {
    /// The config, and then the included file where there is one on the way to the entry.
    files: Vec<File>,
    include: Option<Include>,
    /// The config's value with the include resolved.
    value: Value,
    /// The size of OpenClaw's own backup, in bytes.
    backup: u64,
}

impl Seen {
    fn read(place: &Place) -> Result<Self> {
        let config = &place.config;
        let main = File::read(config)?;
        let mut value = main.document.value().clone();
        let include = include::find(&value, config)?;
        let mut files = vec![main];
        if let Some(include) = &include {
            let included = File::read(&include.file)?;
            included
                .document
                .refuse_duplicates(&ENV_PATH[include.at.len()..])
                .map_err(|error| unreadable(&include.file, error))?;
            include::resolve(&mut value, include, included.document.value())?;
            files.push(included);
        }
        files[0]
            .document
            .refuse_duplicates(&ENV_PATH)
            .map_err(|error| unreadable(config, error))?;
        let mut backup = config.clone().into_os_string();
        backup.push(".bak");
        Ok(Self {
            files,
            include,
            value,
            backup: std::fs::metadata(backup).map_or(0, |meta| meta.len()),
        })
    }

    fn exists(&self) -> bool {
        self.files[0].content.is_some()
    }
}

impl File {
    /// Reads a file. Where it cannot be understood, it may be caught half-written by a program that writes in place:
    /// then it is looked at again as long as it changes, for a moment.
    fn read(path: &Path) -> Result<Self> {
        let mut last = None;
        for _ in 0..5 {
            let target = Target::find(path)?;
            let content = target.read()?;
            let bytes = content.as_ref().map_or(&[][..], |content| &content.bytes);
            let error = match Document::parse(bytes) {
                Ok(document) => {
                    return Ok(Self {
                        target,
                        content,
                        document,
                    });
                }
                Err(error) => error,
            };
            let again = Some(bytes.to_vec());
            if last == again {
                return Err(unreadable(path, error));
            }
            last = again;
            std::thread::sleep(Duration::from_millis(15));
        }
        Err(Error::new(
            ExitCode::Config,
            format!("could not read the config, it keeps changing: {}", path.display()),
        )
        .next("run the command again"))
    }
}

/// One file to be written.
struct Change {
    /// Which of [`Seen::files`].
    file: usize,
    edited: super::document::Edited,
    /// It gets a token: nobody else may read it.
    private: bool,
}

/// What is to be done: everything is known and checked, nothing is written yet.
struct Plan {
    seen: Seen,
    patch: Patch,
    changes: Vec<Change>,
    notes: Vec<String>,
}

impl Plan {
    fn make(seen: Seen, options: &EditOptions<'_>, want: &mut dyn FnMut(&Ask<'_>) -> Result<Value>) -> Result<Self> {
        let (value, exists) = (seen.value.clone(), seen.exists());
        let mut plan = Self {
            seen,
            patch: Patch::default(),
            changes: Vec::new(),
            notes: Vec::new(),
        };
        let mut ask = |keep_length| {
            want(&Ask {
                value: &value,
                exists,
                keep_length,
            })
        };
        let wanted = ask(false)?;
        plan.change_to(&wanted)?;
        let Some(shrunk) = plan.shrunk() else {
            return Ok(plan);
        };
        let kept = ask(true)?;
        if kept != wanted {
            plan.change_to(&kept)?;
            if plan.shrunk().is_none() {
                plan.notes.push(
                    "the token was overwritten by a filler of the same length: OpenClaw takes a file that shrinks below \
                     half for damaged, and brings back an older one"
                        .to_owned(),
                );
                return Ok(plan);
            }
        }
        if !options.force {
            let file = plan.seen.files[0].target.path();
            return Err(Error::new(
                ExitCode::Config,
                format!("could not edit the config, {shrunk}: {}", file.display()),
            )
            .next("if that is no matter, add --force; otherwise make the change with `openclaw config`"));
        }
        if kept != wanted {
            plan.change_to(&ask(false)?)?;
        }
        plan.notes.push(shrunk);
        Ok(plan)
    }

    /// Works out what must change in which file for the config to have this value.
    fn change_to(&mut self, wanted: &Value) -> Result<()> {
        let seen = &self.seen;
        self.patch = json_patch::diff(&seen.value, wanted);
        self.changes.clear();
        if self.patch.0.is_empty() {
            return Ok(());
        }
        let config = &seen.files[0];
        let included = seen
            .include
            .as_ref()
            .zip(seen.files.get(1).map(|file| file.document.value()));
        let split = include::split(&self.patch, config.document.value(), included, &config.target.path())?;
        let token = token(wanted).filter(|new| token(&seen.value) != Some(new));
        let token_file = usize::from(seen.include.is_some());
        // The included file first: it holds the entry, the config at most a switch that turns it on.
        for (file, operations) in [(1, split.included), (0, split.main)] {
            if operations.is_empty() {
                continue;
            }
            let File { target, document, .. } = &seen.files[file];
            let edited = document
                .edit(&Patch(operations))
                .map_err(|error| unreadable(&target.path(), error))?;
            self.changes.push(Change {
                file,
                edited,
                private: token.is_some() && file == token_file,
            });
        }
        Ok(())
    }

    fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Why OpenClaw would take the new config for damaged, and bring back an older one; `None` if it would not.
    fn shrunk(&self) -> Option<String> {
        let change = self.changes.iter().find(|change| change.file == 0)?;
        let old = self.seen.files[0]
            .content
            .as_ref()
            .map_or(0, |content| content.bytes.len() as u64);
        let new = change.edited.bytes.len() as u64;
        let base = old.max(self.seen.backup);
        // Where the file is that short already, an edit that adds to it makes nothing worse.
        let shrinks = new < old || !self.seen.exists();
        (base >= SHRINK_FROM && shrinks && new * 2 < base).then(|| {
            format!(
                "it would shrink from {base} bytes (the larger of the file and OpenClaw's backup) to {new}, and OpenClaw \
                 takes less than half for damaged and brings back an older one"
            )
        })
    }

    fn outcome(&self) -> EditOutcome {
        let mut notes = self.notes.clone();
        for change in &self.changes {
            let file = &self.seen.files[change.file];
            let mode = file.content.as_ref().map(|content| content.stat.st_mode & 0o7777);
            if let Some(mode) = mode.filter(|mode| change.private && *mode != commit::PRIVATE) {
                let path = file.target.path();
                notes.push(format!(
                    "{} holds the token now: its mode became 0600 (was {mode:04o})",
                    path.display()
                ));
            }
        }
        EditOutcome {
            changed: false,
            created: self.has_changes() && !self.seen.exists(),
            patch: self.patch.clone(),
            files: self
                .changes
                .iter()
                .map(|change| self.seen.files[change.file].target.path())
                .collect(),
            notes,
            not_written: None,
        }
    }
}

/// The owner token in a config's entry.
fn token(config: &Value) -> Option<&str> {
    let env = ENV_PATH.iter().try_fold(config, |node, key| node.get(key))?;
    env.get(TOKEN)?.as_str().filter(|token| !is_unset(token))
}

fn unreadable(path: &Path, error: DocumentError) -> Error {
    Error::new(
        ExitCode::Config,
        format!("could not use the config: {}", path.display()),
    )
    .because(error)
    .next("correct the file (`openclaw config validate` says what is wrong), and run the command again")
}
