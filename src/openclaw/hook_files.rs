//! The hook's and the plugin's files: install, check, remove.
//!
//! They are part of the binary. What was written, and what stood there before, is remembered in
//! `<home>/.sigilum/installed.json` (0600), so that a file that somebody changed is never overwritten unasked and that
//! an uninstall leaves the folder as it was found.

mod folders;
mod manifest;
pub mod program_copy;

use crate::error::{Error, ExitCode, Result};
use crate::fs::{self, Folder, OwnLock};
use crate::home::OpenClawHome;
use crate::openclaw::plugin_package::{self, Package};
use clap::ValueEnum;
use folders::refuse_links;
pub use folders::refuse_strange_folders;
use manifest::{Installed, Manifest, foreign_files, hashes, is_same, list_file, made, read, replaced_dir};
use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Beside the handler: which binary it runs. `handler.js` and the plugin read it.
const INSTALL: &str = "install.json";

/// No file of ours, and no handler of anybody's, comes near this.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// OpenClaw takes the first of `handler.ts`, `handler.js`, `index.ts`, `index.js`: this one would win over ours. The
/// shell scripts' installer leaves it.
const OLDER_HANDLER: &str = "handler.ts";

/// What hands an event over; the plugin takes parts of it.
const HANDLER: (&str, &str) = (
    "handler.js",
    include_str!("../../hooks/sigilum-authz-notify/handler.js"),
);

/// Which way into OpenClaw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    // In `<home>/hooks/sigilum-authz-notify`.
    /// A directory hook: one process an event.
    Hook,
    // In `<home>/.sigilum/plugin`, where `plugins.load.paths` points.
    /// A native plugin: one resident process.
    Plugin,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Hook, Self::Plugin];

    /// `hook` or `plugin`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hook => "hook",
            Self::Plugin => "plugin",
        }
    }

    /// The folder that holds the files.
    pub fn dir(self, place: &OpenClawHome) -> PathBuf {
        match self {
            Self::Hook => place.hook_dir(),
            Self::Plugin => place.plugin_dir(),
        }
    }

    /// Names and contents, in the order in which they are written: the one that OpenClaw looks for comes last.
    fn files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Hook => &[
                (
                    "package.json",
                    include_str!("../../hooks/sigilum-authz-notify/package.json"),
                ),
                HANDLER,
                ("HOOK.md", include_str!("../../hooks/sigilum-authz-notify/HOOK.md")),
            ],
            Self::Plugin => &[
                HANDLER,
                ("cli.js", include_str!("../../hooks/plugin/cli.js")),
                ("command.js", include_str!("../../hooks/plugin/command.js")),
                ("program.js", include_str!("../../hooks/plugin/program.js")),
                ("push.js", include_str!("../../hooks/plugin/push.js")),
                ("resident.js", include_str!("../../hooks/plugin/resident.js")),
                ("index.js", include_str!("../../hooks/plugin/index.js")),
                (
                    "openclaw.plugin.json",
                    include_str!("../../hooks/plugin/openclaw.plugin.json"),
                ),
                ("package.json", include_str!("../../hooks/plugin/package.json")),
            ],
        }
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// What an install or an uninstall did to the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// Whether any file was written or removed.
    pub changed: bool,
    /// Whether one of them is a file that OpenClaw loads once, and not again until something makes it look.
    pub loaded_once: bool,
    /// What a person should know: older files moved, changed ones kept.
    pub notes: Vec<String>,
}

/// What the files of the hook or the plugin run: `install.json` beside them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The binary, absolute.
    pub binary: PathBuf,
}

/// Writes the files of one kind: regular files with one name, 0600, in 0700. `program` is what they run.
///
/// Fails (exit code failure) where a file was changed since we wrote it, or is somebody else's, unless `force` is set;
/// then the old one is kept under `.sigilum/replaced/`. Files of the shell scripts' older hook are kept there without
/// being forced: a `handler.ts` would win over our handler.
pub fn install(place: &OpenClawHome, lock: &OwnLock, kind: Kind, program: &Program, force: bool) -> Result<Done> {
    let dir = kind.dir(place);
    refuse_links(&dir, place, kind)?;
    let mut installed = Installed::read(place)?;
    let old = installed.of(kind).take().unwrap_or_default();
    let files = contents(kind, program)?;
    let foreign_files = foreign_files(place, &dir, &files, &old)?;
    let older = kind == Kind::Hook && dir.join(OLDER_HANDLER).symlink_metadata().is_ok();
    if !foreign_files.is_empty() && !older && !force {
        return Err(changed_by_others(kind, &dir, &foreign_files));
    }

    let mut manifest = Manifest {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        files: files
            .iter()
            .map(|(name, bytes)| (name.clone(), hashes(&old, name, bytes)))
            .collect(),
        backups: old.backups.clone(),
        made: made(&old, &dir, place),
    };
    let moved = foreign_files
        .iter()
        .map(String::as_str)
        .chain(older.then_some(OLDER_HANDLER));
    let mut notes = Vec::new();
    for name in moved {
        let kept = fs::back_up(&dir.join(name), &place.home.join(replaced_dir(kind)))?;
        let verb = if name == OLDER_HANDLER {
            "moved to"
        } else {
            "replaced; the old one is kept as"
        };
        notes.push(format!("{}: {verb} {}", dir.join(name).display(), kept.display()));
        // An uninstall puts back what stood there before us, not what somebody made of our file.
        if !old.files.contains_key(name) {
            let kept = replaced_dir(kind).join(kept.file_name().unwrap_or_default());
            manifest.backups.entry(name.to_owned()).or_insert(kept);
        }
    }
    *installed.of(kind) = Some(manifest);
    installed.uninstall_started = false;
    installed.write(place, lock)?;
    let done = write_files(lock, &dir, &files, older)?;
    Ok(Done { notes, ..done })
}

fn changed_by_others(kind: Kind, dir: &Path, files: &[String]) -> Error {
    Error::new(
        ExitCode::Failure,
        format!(
            "could not write the {}, somebody changed: {}",
            kind.name(),
            list(dir, files)
        ),
    )
    .next("look at them, then run the command again with --force; the changed files are kept")
}

/// Ours is there before the older handler goes, and what makes OpenClaw look comes last.
fn write_files(lock: &OwnLock, dir: &Path, files: &[(String, Vec<u8>)], older: bool) -> Result<Done> {
    let mut done = Done::default();
    fs::create_private_dir(dir)?;
    let (last, first) = files
        .split_last()
        .ok_or_else(|| Error::new(ExitCode::Failure, "no files to install"))?;
    for (name, bytes) in first {
        let written = lock.write_private(&dir.join(name), bytes)?;
        done.changed |= written;
        // The record of the binary is read for each event.
        done.loaded_once |= written && name != INSTALL;
    }
    if older {
        done.loaded_once |= fs::remove(&dir.join(OLDER_HANDLER))?;
    }
    done.loaded_once |= lock.write_private(&dir.join(&last.0), &last.1)?;
    done.changed |= done.loaded_once;
    lock.sync()?;
    Ok(done)
}

/// A file that is to go.
struct Leaving {
    path: PathBuf,
    /// Where the one of before the install is kept.
    kept: Option<PathBuf>,
    /// It has a name of ours.
    is_ours: bool,
    /// Nobody changed it, or that does not matter.
    may_go: bool,
}

impl Leaving {
    /// Removes it, or puts the one of before in its place; says whether it stays instead.
    fn go(&self, done: &mut Done) -> Result<bool> {
        let path = &self.path;
        let Some(kept) = &self.kept else {
            if self.may_go {
                done.changed |= fs::remove(path)?;
            } else {
                let what = "changed by somebody, so it stays; --force removes it";
                done.notes.push(format!("{}: {what}", path.display()));
            }
            return Ok(!self.may_go);
        };
        let is_kept = kept.symlink_metadata().is_ok();
        // The install that kept it may have been killed before it replaced it.
        let untouched = is_same(path, kept)?;
        let free = path.symlink_metadata().is_err() || untouched || (self.is_ours && self.may_go);
        if free && fs::put_back(kept, path)? {
            done.changed = true;
            done.notes
                .push(format!("{}: put back as it was before the install", path.display()));
        }
        // Where nothing is kept any more, it was put back already.
        let stays = !free && is_kept;
        if stays {
            let what = match self.is_ours {
                true => "changed by somebody, so it stays; --force puts back",
                false => "somebody made it since; the one of before stays as",
            };
            done.notes
                .push(format!("{}: {what} {}", path.display(), kept.display()));
        }
        Ok(stays)
    }
}

/// Removes the files of one kind, and puts back what stood there before. A file that somebody changed stays, unless
/// `force` is set. Nothing installed is fine.
pub fn uninstall(place: &OpenClawHome, lock: &OwnLock, kind: Kind, force: bool) -> Result<Done> {
    let dir = kind.dir(place);
    let mut done = Done::default();
    let mut installed = Installed::read(place)?;
    let found = installed.of(kind).take();
    if dir.symlink_metadata().is_err() && found.is_none() {
        return Ok(done);
    }
    refuse_links(&dir, place, kind)?;
    let mut manifest = found.unwrap_or_default();
    let files = kind
        .files()
        .iter()
        .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()));
    let mut files: Vec<_> = files.collect();
    // Without our list, the record of the binary is known by its name alone.
    files.insert(0, (INSTALL.to_owned(), read(&dir.join(INSTALL))?.unwrap_or_default()));
    let foreign_files = foreign_files(place, &dir, &files, &manifest)?;
    let backups = std::mem::take(&mut manifest.backups);
    let is_ours = |name: &String| files.iter().any(|(file, _)| file == name);
    let older = backups.keys().filter(|name| !is_ours(name));
    let mut any_stays = false;
    // What makes OpenClaw look goes first.
    for name in files.iter().rev().map(|(name, _)| name).chain(older) {
        let leaving = Leaving {
            path: dir.join(name),
            kept: backups.get(name).map(|kept| place.home.join(kept)),
            is_ours: is_ours(name),
            may_go: force || !foreign_files.contains(name),
        };
        if leaving.go(&mut done)? {
            any_stays = true;
            if let Some(kept) = backups.get(name) {
                manifest.backups.insert(name.clone(), kept.clone());
            }
        }
    }
    if !manifest.backups.is_empty() || (any_stays && !manifest.made.is_empty()) {
        // What is kept is still to be given back one day, and the folders that we made are to go.
        manifest.files.clear();
        *installed.of(kind) = Some(manifest.clone());
    }
    // What an install that was killed left there would keep the folders.
    for folder in [&dir, &place.home.join(replaced_dir(kind))] {
        if let Ok(folder) = Folder::open(folder) {
            folder.remove_leftovers();
        }
    }
    fs::drop_links(&place.home.join(replaced_dir(kind)), &dir);
    for folder in manifest.made.iter().rev() {
        fs::remove_empty_folder(&place.home.join(folder))?;
    }
    for folder in replaced_dir(kind).ancestors().take(2) {
        fs::remove_empty_folder(&place.home.join(folder))?;
    }
    installed.write(place, lock)?;
    lock.sync()?;
    Ok(done)
}

/// What lies in one folder, for `hook status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The folder.
    pub folder: PathBuf,
    /// OpenClaw's own installer put them there: they are none of ours.
    pub by_openclaw: bool,
    /// `installed`, `absent`, `incomplete`, `changed`, `outdated` (another version's files) or `shadowed` (a handler of
    /// somebody's wins).
    pub state: &'static str,
    /// The version that wrote the files, where we know.
    pub version: Option<String>,
    /// The binary that they run, where it is recorded.
    pub binary: Option<PathBuf>,
    /// The files that are missing.
    pub missing: Vec<String>,
    /// The files that are not as we wrote them, or have a second name.
    pub changed: Vec<String>,
}

/// Looks at the files of one kind, and changes nothing.
pub fn look(place: &OpenClawHome, kind: Kind) -> Result<Found> {
    let dir = kind.dir(place);
    let manifest = Installed::read(place)?.of(kind).take();
    let mut found = Found {
        state: "installed",
        version: manifest.as_ref().map(|manifest| manifest.version.clone()),
        binary: recorded_binary(&dir)?,
        missing: Vec::new(),
        changed: Vec::new(),
        folder: dir.clone(),
        by_openclaw: false,
    };
    let known = manifest.unwrap_or_default();
    let mut outdated = false;
    for (name, text) in kind.files() {
        let path = dir.join(name);
        // OpenClaw loads no handler that has a second name.
        let one_name = path.symlink_metadata().is_ok_and(|meta| meta.nlink() == 1);
        match read(&path)? {
            None => found.missing.push((*name).to_owned()),
            Some(_) if !one_name => found.changed.push((*name).to_owned()),
            Some(bytes) if bytes == text.as_bytes() => {}
            Some(bytes) if known.wrote(name, &bytes) => outdated = true,
            Some(_) => found.changed.push((*name).to_owned()),
        }
    }
    let shadowed = kind == Kind::Hook && dir.join(OLDER_HANDLER).symlink_metadata().is_ok();
    found.state = if found.missing.len() == kind.files().len() {
        "absent"
    } else if !found.missing.is_empty() {
        "incomplete"
    } else if shadowed {
        "shadowed"
    } else if !found.changed.is_empty() {
        "changed"
    } else if outdated {
        "outdated"
    } else {
        "installed"
    };
    let package = (kind == Kind::Plugin && found.state == "absent").then(|| plugin_package::find(place));
    Ok(package.flatten().map_or(found, Found::by_openclaw))
}

impl Found {
    fn by_openclaw(package: Package) -> Self {
        Self {
            by_openclaw: true,
            state: "installed",
            binary: package.program(),
            version: package.version,
            missing: Vec::new(),
            changed: Vec::new(),
            folder: package.folder,
        }
    }
}

/// Where what was installed is listed, and why that cannot be read, where it cannot.
pub fn unreadable_list(place: &OpenClawHome) -> Option<(PathBuf, Error)> {
    let why = Installed::read(place).err()?;
    Some((list_file(place), why))
}

/// Notes that an uninstall begins to take our edits back: a next one that finds none recorded is not to take out an
/// entry of before.
pub fn begin_to_leave(place: &OpenClawHome, lock: &OwnLock) -> Result<()> {
    let mut installed = Installed::read(place)?;
    installed.uninstall_started = true;
    installed.write(place, lock)
}

/// What an uninstall will leave of a hook in our folder, and whose entry that makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaves {
    /// A handler of somebody else's, put back or never touched, which an older entry can load.
    pub handler: bool,
    /// Our own files are installed, and no uninstall has begun.
    pub installed: bool,
}

/// Looks what an uninstall will leave.
pub fn leaves(place: &OpenClawHome, force: bool) -> Result<Leaves> {
    let mut installed = Installed::read(place)?;
    let found = installed.of(Kind::Hook).take();
    let known = found.clone().unwrap_or_default();
    let dir = Kind::Hook.dir(place);
    let kept = |name: &str| known.backups.get(name).map(|kept| place.home.join(kept));
    let foreign = |name: &str| {
        let ours = Kind::Hook.files().iter().find(|(file, _)| *file == name);
        let bytes = read(&dir.join(name)).ok().flatten();
        let is_ours =
            known.files.contains_key(name) || ours.is_some_and(|(_, text)| bytes == Some(text.as_bytes().to_vec()));
        bytes.is_some() && !is_ours && !(force && ours.is_some())
    };
    let stays = |name: &str| kept(name).is_some_and(|kept| kept.is_file()) || foreign(name);
    Ok(Leaves {
        handler: stays("HOOK.md") && (stays(OLDER_HANDLER) || stays("handler.js")),
        installed: found.is_some_and(|found| !found.files.is_empty()) && !installed.uninstall_started,
    })
}

fn recorded_binary(dir: &Path) -> Result<Option<PathBuf>> {
    let bytes = read(&dir.join(INSTALL))?;
    Ok(bytes
        .and_then(|bytes| serde_json::from_slice::<Program>(&bytes).ok())
        .map(|program| program.binary))
}

/// All files of one kind, the record of the binary among them, in the order in which they are written.
fn contents(kind: Kind, program: &Program) -> Result<Vec<(String, Vec<u8>)>> {
    if program.binary.to_str().is_none() {
        return Err(Error::new(
            ExitCode::Failure,
            format!(
                "could not record the binary, its path is not valid UTF-8: {}",
                program.binary.display()
            ),
        ));
    }
    let install = json(program);
    let files = kind
        .files()
        .iter()
        .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()));
    Ok(std::iter::once((INSTALL.to_owned(), install)).chain(files).collect())
}

fn list(dir: &Path, names: &[String]) -> String {
    names
        .iter()
        .map(|name| dir.join(name).display().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}
