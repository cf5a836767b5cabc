//! The edit of openclaw.json from lock to rename: read, parse, edit, check, swap.
//!
//! What is on the disk when, and why: the new file's bytes before the swap; the undo record, and everything else that
//! was written under our lock, before the swap too, so that no change of ours is ever in the config without a record of
//! how to take it out; the swap itself, and the end of OpenClaw's lock with it, by one last fsync of the folder. A run
//! killed anywhere leaves the old file or the new one.

mod commit;
mod file;
mod included;
mod plan;
mod record;
mod secret;
mod seen;

use super::entry::{HOOK, TOKEN};
use super::lock::{self, LockOptions};
use super::plugin;
use super::shape::{self, CORRECT_IT};
use super::undo::Undo;
use crate::error::{Error, ExitCode, Result};
use crate::fs::{self, OwnLock};
use crate::home::OpenClawHome;
use crate::text::is_unset;
use commit::{Committed, NOT_WRITTEN};
use json_patch::Patch;
use plan::Plan;
use record::key;
use secrecy::{ExposeSecret, SecretString};
use seen::Seen;
use serde_json::Value;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often to start over when writers that ignore the lock keep changing the file.
const ROUNDS: u32 = 40;

/// The config as it is.
#[derive(Clone)]
pub struct Config {
    /// What it says, with includes resolved; one that leads nowhere, and is no matter to us, stays as it is.
    pub value: Value,
    /// The files that it was read from: the config, links resolved, and those that it includes.
    pub files: Vec<PathBuf>,
    /// The number of the user whose file it is: the first of them, as it was opened.
    pub owner: Option<u32>,
    /// Why no owner token may be put into it; `None` where one may.
    pub barred: Option<String>,
    /// Why OpenClaw refuses all of it although our part can be read: a file that it includes elsewhere cannot be.
    pub refused: Option<String>,
}

impl Config {
    /// Refuses a config that OpenClaw refuses.
    ///
    /// # Errors
    /// [`ExitCode::Config`].
    pub fn check(&self) -> Result<()> {
        match &self.refused {
            Some(why) => {
                let what = format!("could not use the config, OpenClaw refuses all of it: {why}");
                Err(Error::new(ExitCode::Config, what).next(CORRECT_IT))
            }
            // The hook's part is refused wherever it is read.
            None => shape::object(&self.value, &["gateway"])
                .and_then(|_| plugin::find(&self.value, Path::new("")).map(drop)),
        }
    }
}

/// Reads the config without any lock (whoever writes it replaces it whole); `None` where there is no file.
///
/// Fails with [`ExitCode::Config`], with line and column where there is one, for a file that cannot be understood.
pub fn read(place: &OpenClawHome) -> Result<Option<Config>> {
    let seen = Seen::read(place)?;
    let files = seen.files.iter().map(|file| file.target.path()).collect();
    let opened = seen.files.first().and_then(|file| file.content.as_ref());
    let owner = opened.map(|content| content.stat.st_uid);
    Ok(seen.exists().then_some(Config {
        value: seen.value().clone(),
        barred: secret::barred(&seen, place),
        refused: seen.unread,
        files,
        owner,
    }))
}

/// The files of the config, links resolved, in which this token stands.
pub fn files_with(place: &OpenClawHome, token: &SecretString) -> Vec<PathBuf> {
    let config = read(place).ok().flatten();
    let text = |file: &PathBuf| std::fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let holds = |file: &PathBuf| text(file).is_ok_and(|text| text.contains(token.expose_secret()));
    let files = config.into_iter().flat_map(|config| config.files);
    files.filter(holds).collect()
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
    /// What else is to change, done as soon as OpenClaw's lock is held, before the config is looked at. Not done where no
    /// lock is taken.
    pub first: Option<&'a dyn Fn() -> Result<()>>,
    /// Give back the bytes that stood there before our first edit, as far as the wanted value allows, and forget what
    /// was recorded of our edits. A file that we made and that holds nothing else is deleted.
    pub give_back: bool,
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
    /// Why no owner token may be put into the config; `None` where one may.
    pub barred: Option<&'a str>,
    /// Why nothing of it will be written: a person puts it there by hand.
    pub by_hand: Option<&'a NotWritten>,
    /// A token must not be taken out but overwritten by a filler of the same length: the file must not shrink.
    pub keep_length: bool,
    /// With [`EditOptions::give_back`], the config's value as it would be without our edits.
    pub undone: Option<&'a Value>,
    /// Nobody but us wrote the config since our first edit: [`Ask::undone`] is what stood there before, for certain.
    pub certain: bool,
}

/// What an edit did.
#[derive(Clone, Default)]
pub struct EditOutcome {
    /// Whether a file was written.
    pub changed: bool,
    /// Whether the config was made.
    pub created: bool,
    /// Whether the config, which we had made, was deleted.
    pub deleted: bool,
    /// From the config as it was to the config as it is wanted (RFC 6902), includes resolved. It may hold the token:
    /// print it with [`masked`] only.
    pub patch: Patch,
    /// The files that were written, or would be.
    pub files: Vec<PathBuf>,
    /// What the person should know about the file itself.
    pub notes: Vec<String>,
    /// Why what is wanted is not written and must be put there by hand: [`EditOutcome::patch`], without a token.
    pub not_written: Option<NotWritten>,
}

/// Why a change of the config is not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotWritten {
    /// This variable is set: the config is made elsewhere.
    ReadOnly(&'static str),
    /// It comes from includes, and no edit of the files makes what is wanted.
    Included(String),
    /// The included file that it belongs to is one that we keep.
    Ours(String),
    /// The file cannot be replaced.
    Unwritable(String),
}

impl fmt::Display for NotWritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadOnly(variable) => write!(f, "{variable} is set"),
            Self::Included(why) | Self::Ours(why) | Self::Unwritable(why) => f.write_str(why),
        }
    }
}

/// How a person says that a config which cannot be written is to be left alone.
const HOW_TO_LEAVE_IT: &str = "--token-in-config false says that no token belongs into it, OPENCLAW_NIX_MODE=1 that \
     nothing is to write it";

impl NotWritten {
    /// What a person does then.
    pub fn next(&self) -> String {
        match self {
            Self::ReadOnly(_) => "apply the patch where the config is made".to_owned(),
            Self::Included(_) => "apply the patch by hand, in the file that each part belongs to".to_owned(),
            Self::Ours(_) => "take that include out, and run the command again".to_owned(),
            Self::Unwritable(_) => format!("apply the patch where the config is made; {HOW_TO_LEAVE_IT}"),
        }
    }

    /// The same where there is no patch, as a token is all that is wanted.
    pub fn how_to_leave_it(&self) -> &'static str {
        match self {
            Self::Included(_) | Self::Ours(_) => "--token-in-config false says that no token belongs into it",
            Self::ReadOnly(_) | Self::Unwritable(_) => HOW_TO_LEAVE_IT,
        }
    }
}

impl EditOutcome {
    /// The names of the files that were written, for a person: where parts are included, not only the config's.
    pub fn written(&self) -> String {
        let names: Vec<_> = self.files.iter().map(|file| file.display().to_string()).collect();
        names.join(" and ")
    }
}

impl fmt::Debug for EditOutcome {
    /// With the patch masked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EditOutcome")
            .field("changed", &self.changed)
            .field("created", &self.created)
            .field("deleted", &self.deleted)
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
    place: &OpenClawHome,
    options: &EditOptions<'_>,
    want: &mut dyn FnMut(&Ask<'_>) -> Result<Value>,
) -> Result<EditOutcome> {
    let not_written = place.read_only.map(NotWritten::ReadOnly);
    if options.dry_run || not_written.is_some() {
        return Plan::make(place, options, want, not_written).map(|plan| plan.outcome());
    }
    match write(place, options, want) {
        Err(error) => match unwritable(place, &error) {
            Some(why) => Plan::make(place, options, want, Some(NotWritten::Unwritable(why))).map(|plan| plan.outcome()),
            None => Err(error),
        },
        written => written,
    }
}

/// Whether the config cannot be replaced, whatever is tried: it lies in a read-only store, is another user's, or is a
/// mount of its own. Says so for a person.
fn unwritable(place: &OpenClawHome, error: &Error) -> Option<String> {
    let kind = error.io_kind().filter(|_| error.code == ExitCode::Config)?;
    let is_link = std::fs::symlink_metadata(&place.config).is_ok_and(|meta| meta.is_symlink());
    let real = std::fs::canonicalize(&place.config).ok();
    let told = error.text();
    let file = told.strip_prefix(NOT_WRITTEN);
    let is = |path: &Path| {
        let rest = file.and_then(|file| file.strip_prefix(&*path.to_string_lossy()));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(": "))
    };
    // Another file than the config: one that it includes.
    let file = file.filter(|_| !is(&place.config) && real.as_deref().is_some_and(|real| !is(real)));
    match (kind, real.filter(|_| is_link)) {
        (
            ErrorKind::ResourceBusy
            | ErrorKind::CrossesDevices
            | ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem,
            _,
        ) if file.is_some() => file.map(|file| format!("a file that it includes cannot be written: {file}")),
        (ErrorKind::ResourceBusy | ErrorKind::CrossesDevices, _) => {
            Some("it is a mount of its own; mount its folder instead of the file".to_owned())
        }
        (ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem, Some(real)) => Some(format!(
            "it is a link to {}, which cannot be written ({kind})",
            real.display()
        )),
        (ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem, None) => {
            Some(format!("it cannot be written ({kind})"))
        }
        _ => None,
    }
}

fn write(
    place: &OpenClawHome,
    options: &EditOptions<'_>,
    want: &mut dyn FnMut(&Ask<'_>) -> Result<Value>,
) -> Result<EditOutcome> {
    let mut taken = None;
    let own_lock = match options.own_lock {
        Some(lock) => lock,
        None => taken.insert(fs::lock_sigilum(place)?),
    };
    if let Some(folder) = place.config.parent() {
        fs::create_private_dir(folder)?;
    }
    let mut write_lock = match lock::acquire(&place.config, &options.lock) {
        Ok(lock) => Some(lock),
        // A folder where nothing can be written: fine as long as nothing has to be.
        Err(error) if error.code == ExitCode::Config => {
            let plan = Plan::make(place, options, want, None)?;
            return if plan.has_changes() {
                Err(error)
            } else {
                Ok(plan.outcome())
            };
        }
        Err(error) => return Err(error),
    };
    if let Some(first) = options.first {
        first()?;
    }
    std::thread::sleep(options.hold_lock);
    for round in 0..ROUNDS {
        let plan = Plan::make(place, options, want, None)?;
        if !plan.has_changes() {
            if options.give_back && !plan.is_barred() {
                forget(place, own_lock, &plan)?;
            }
            return Ok(plan.outcome());
        }
        match commit::commit(&plan, place, own_lock, &mut write_lock)? {
            Committed::Done => return Ok(plan.done()),
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

/// What is recorded of our edits in this home, for [`Undo::files`] and the like.
pub fn undo_record(place: &OpenClawHome) -> Result<Undo> {
    record::load(place).map(|(undo, _)| undo)
}

/// That the undo record says nothing any more, where that is so.
///
/// # Errors
/// It cannot be read at all.
pub fn damaged_undo_record(place: &OpenClawHome) -> Result<Option<String>> {
    record::load(place).map(|(_, damaged)| damaged)
}

/// The other configs of a home, those in it and those elsewhere: files that bear our edits, still name us, and are no part
/// of its config in force. Of a slip, or of an `OPENCLAW_CONFIG_PATH` of another time. One that cannot be read may name us.
///
/// Where the config in force cannot be read, what it includes counts as others.
pub fn others(place: &OpenClawHome) -> Result<(Vec<OpenClawHome>, Vec<OpenClawHome>)> {
    let own = || std::fs::canonicalize(&place.config).unwrap_or_else(|_| place.config.clone());
    let here = match read(place) {
        Ok(config) => config.map_or_else(Vec::new, |config| config.files),
        Err(_) => vec![own()],
    };
    let names_us = |file: &PathBuf| match fs::read_capped(file, json5_edit::MAX_BYTES as u64) {
        Ok(bytes) => bytes.is_some_and(|bytes| String::from_utf8_lossy(&bytes).contains(HOOK)),
        // Below a file nothing can be.
        Err(error) => error.io_kind() != Some(ErrorKind::NotADirectory),
    };
    let undo = undo_record(place)?;
    let files = undo.files().map(PathBuf::from).filter(|file| !here.contains(file));
    let other = |config| OpenClawHome {
        config,
        ..place.clone()
    };
    let home = std::fs::canonicalize(&place.home).unwrap_or_else(|_| place.home.clone());
    Ok(files
        .filter(names_us)
        .map(other)
        .partition(|other| other.config.starts_with(&home)))
}

/// Forgets the tokens that stood in a config before our first edit, so that no file of ours holds one.
pub fn scrub_undo_record(place: &OpenClawHome, own_lock: &OwnLock, is_token: &dyn Fn(&str) -> bool) -> Result<()> {
    let (mut undo, _) = record::load(place)?;
    undo.scrub(is_token);
    record::settle(place, own_lock, &undo)
}

/// Nothing had to be changed to take our edits back: then there are none.
fn forget(place: &OpenClawHome, own_lock: &OwnLock, plan: &Plan) -> Result<()> {
    let (mut undo, _) = record::load(place)?;
    for file in &plan.seen.files {
        undo.forget(&key(&file.target.path()));
    }
    record::settle(place, own_lock, &undo)
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
