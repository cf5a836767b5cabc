//! `doctor --fix`: what is safe. Modes of our own files, what killed runs left, and our own files of an older version.
//! No token's content, and no member of the config, is ever changed.

use super::facts::Facts;
use super::token;
use crate::cmd::own_program;
use crate::error::{Error, ExitCode, Result};
use crate::fs::{self, Folder};
use crate::openclaw::hook_files::{self, Kind, Program, program_copy};
use crate::openclaw::lock;
use crate::sigilum::secrets::Workspace;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long another command of ours is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// What killed runs left and [`run`] takes away.
pub fn leftovers(facts: &Facts) -> Vec<PathBuf> {
    let mut left: Vec<PathBuf> = Vec::new();
    for folder in folders(facts) {
        let Ok(folder) = Folder::open(&folder) else { continue };
        left.extend(folder.leftovers().iter().map(|name| folder.join(name)));
    }
    left.extend(lock::leftovers(&facts.place.config).clearable);
    left.sort();
    left.dedup();
    left
}

/// The folders that we write into, but for the config's.
fn folders(facts: &Facts) -> Vec<PathBuf> {
    let ours = facts.place.sigilum_dir();
    let owner = facts.token.as_ref().ok().map(|token| &token.owner);
    let workspace = token::workspace(facts.place, facts.env, owner);
    let replaced = ours.join("replaced");
    let mut folders = vec![ours.join("bin"), ours, replaced, workspace.dir().to_owned()];
    folders.extend(Kind::ALL.map(|kind| kind.dir(facts.place)));
    folders
}

/// What [`run`] came to.
#[derive(Default)]
pub struct Fixed {
    /// What was done, as in "fixed …".
    pub done: Vec<String>,
    /// What could not be done.
    pub failed: Vec<Error>,
}

impl Fixed {
    fn take(&mut self, step: Result<Vec<String>>) {
        match step {
            Ok(done) => self.done.extend(done),
            Err(error) => self.failed.push(error),
        }
    }
}

/// Does what is safe, each thing whatever became of the others.
///
/// # Errors
/// In another user's home.
pub fn run(facts: &Facts) -> Result<Fixed> {
    refuse_anothers(facts)?;
    let mut fixed = Fixed::default();
    let left = leftovers(facts);
    mend_folders(facts, &mut fixed);
    if facts.place.sigilum_dir().is_dir() {
        let lock = fs::lock_existing_sigilum(facts.place, PATIENCE);
        fixed.take(mend_files(facts));
        match lock {
            Ok(lock) => Kind::ALL
                .iter()
                .for_each(|kind| fixed.take(update(facts, &lock, *kind))),
            Err(error) => fixed.failed.push(error),
        }
    }
    for folder in folders(facts) {
        if let Ok(folder) = Folder::open(&folder) {
            folder.remove_leftovers();
        }
    }
    lock::clear_leftovers(&facts.place.config);
    let gone = left.into_iter().filter(|path| path.symlink_metadata().is_err());
    fixed
        .done
        .extend(gone.map(|path| format!("removed {}", path.display())));
    Ok(fixed)
}

/// A home is its owner's to change.
fn refuse_anothers(facts: &Facts) -> Result<()> {
    let home = &facts.place.home;
    let Some(uid) = fs::another_user(home) else {
        return Ok(());
    };
    let what = format!("could not fix another user's home: {}", home.display());
    Err(Error::new(ExitCode::Failure, what).next(format!(
        "{} doctor --fix --openclaw-home {}",
        fs::run_as(uid),
        fs::quoted(home)
    )))
}

fn mend_folders(facts: &Facts, fixed: &mut Fixed) {
    let ours = [
        facts.place.sigilum_dir(),
        Kind::Hook.dir(facts.place),
        Kind::Plugin.dir(facts.place),
    ];
    for folder in ours {
        let is_open = |meta: std::fs::Metadata| meta.is_dir() && meta.permissions().mode() & 0o077 != 0;
        // One that only its owner can change is told of where that matters.
        if folder.symlink_metadata().is_ok_and(is_open) && fs::may_chmod(&folder) {
            let mended = fs::mend_folder(&folder);
            fixed.take(mended.map(|()| vec![format!("made private: {}", folder.display())]));
        }
    }
}

fn mend_files(facts: &Facts) -> Result<Vec<String>> {
    // As the lock does it, where there is one.
    fs::mend(&facts.place.sigilum_dir(), |_| true)?;
    let owner = facts.token.as_ref().ok().map(|token| &token.owner);
    let workspace = token::workspace(facts.place, facts.env, owner);
    if workspace.dir().is_dir() {
        fs::mend(workspace.dir(), Workspace::is_secret)?;
    }
    let token_file = owner.map(|owner| owner.token_file.as_path());
    if let Some((file, folder)) = token_file.and_then(|file| Some((file.file_name()?, file.parent()?)))
        && folder.is_dir()
    {
        fs::mend(folder, |name| *file == *name)?;
    }
    let is_private = |path: &Path| path.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o077 == 0);
    let loose = facts.loose.iter().filter(|loose| loose.doubt.is_none());
    let mended = loose.filter(|loose| is_private(&loose.path));
    Ok(mended
        .map(|loose| format!("made private: {}", loose.path.display()))
        .collect())
}

/// Writes our files anew that are of an older version, for the program that they run.
fn update(facts: &Facts, lock: &fs::OwnLock, kind: Kind) -> Result<Vec<String>> {
    let Ok(found) = facts.files(kind) else {
        return Ok(Vec::new());
    };
    if found.state != "outdated" {
        return Ok(Vec::new());
    }
    let known = found.binary.clone();
    let known = known.filter(|binary| binary.is_file() && program_copy::stays(binary, facts.place));
    let binary = known.map_or_else(|| own_program::lasting(facts.place), Ok)?;
    let copied = own_program::keep(&binary, facts.place, lock)?;
    let program = Program { binary };
    let done = hook_files::install(facts.place, lock, kind, &program, false)?;
    let version = env!("CARGO_PKG_VERSION");
    let line = format!(
        "the {}'s files are of version {version} now: {}",
        kind.name(),
        found.folder.display()
    );
    Ok(std::iter::once(line).chain(copied).chain(done.notes).collect())
}
