//! This program, as records and service units name it: by a path that stays.

use crate::error::{ExitCode, OrFail, Result};
use crate::fs::OwnLock;
use crate::home::OpenClawHome;
use crate::openclaw::hook_files::program_copy;
use std::path::{Path, PathBuf};

/// Its name, with which a command of ours begins.
pub const PROGRAM: &str = "sigilum-authz-notify";

/// Where this program lies.
pub fn path() -> Result<PathBuf> {
    std::env::current_exe().or_fail(ExitCode::Failure, || "could not find out our own path".to_owned())
}

/// The path to record: this program's own, or that of the home's copy where its own goes away. [`keep`] makes the copy.
pub fn lasting(place: &OpenClawHome) -> Result<PathBuf> {
    let own = path()?;
    Ok(match program_copy::stays(&own, place) {
        true => own,
        false => place.program_copy(),
    })
}

/// Sees to it that a program which is recorded as the home's copy is there, where this one goes away: the copy is made,
/// or an older one replaced. Says what a person should know.
pub fn keep(recorded: &Path, place: &OpenClawHome, lock: &OwnLock) -> Result<Option<String>> {
    match is_to_copy(recorded, place) {
        true => program_copy::copy(&path()?, place, lock, false),
        false => Ok(None),
    }
}

/// The files that [`keep`] would write.
pub fn would_keep(recorded: &Path, place: &OpenClawHome) -> Result<Vec<PathBuf>> {
    match is_to_copy(recorded, place) {
        true => program_copy::would_write(&path()?, place),
        false => Ok(Vec::new()),
    }
}

fn is_to_copy(recorded: &Path, place: &OpenClawHome) -> bool {
    program_copy::is_copy(recorded, place) && path().is_ok_and(|own| !program_copy::stays(&own, place))
}

/// Has a plugin's program replace an older copy, so that what runs without the plugin is no older than it. Says what a
/// person should know.
pub fn renew(place: &OpenClawHome) -> Result<Option<String>> {
    let own = path()?;
    if place.anothers().is_some() || program_copy::stays(&own, place) || !program_copy::renew(&own, place)? {
        return Ok(None);
    }
    let copy = place.program_copy();
    Ok(Some(format!(
        "the copy of the program was older than this one, and replaced: {}",
        copy.display()
    )))
}

/// Makes the copy because a person asked for it, over whatever older or newer one there is. Says what they should know.
pub fn copy(place: &OpenClawHome, lock: &OwnLock) -> Result<Option<String>> {
    let own = path()?;
    match program_copy::is_copy(&own, place) {
        true => Ok(None),
        false => program_copy::copy(&own, place, lock, true),
    }
}
