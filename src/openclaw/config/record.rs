//! The undo record on the disk. It is written before the edit that it tells of, and tells also of the state before, so
//! that it is right whether the edit got into the file or its run died.

use crate::error::Result;
use crate::fs::{self, OwnLock};
use crate::home::OpenClawHome;
use crate::openclaw::undo::Undo;
use json5_edit::MAX_BYTES;
use std::path::Path;

/// The record holds a few members for each edited file, and twice at that; more than the largest config is not ours.
const RECORD_BYTES: u64 = 4 * MAX_BYTES as u64;

/// The undo record of a home; empty where there is none. One that cannot be understood says nothing: the second value
/// tells of it.
pub(super) fn load(place: &OpenClawHome) -> Result<(Undo, Option<String>)> {
    let path = place.undo_file();
    let Some(bytes) = fs::read_private(&path, RECORD_BYTES)? else {
        return Ok((Undo::default(), None));
    };
    Ok(match Undo::from_json(&bytes) {
        Ok(undo) => (undo, None),
        Err(why) => {
            let path = path.display();
            let note =
                format!("the record of earlier edits says nothing any more, a new one was begun: {path} ({why})");
            (Undo::default(), Some(note))
        }
    })
}

/// Writes the record; its folder's fsync waits for the lock's.
pub(super) fn store(place: &OpenClawHome, own_lock: &OwnLock, undo: &Undo) -> Result<()> {
    own_lock.write_private(&place.undo_file(), &undo.to_json()).map(drop)
}

/// The same, after the edits that it tells of are done: a record that says nothing goes.
pub(super) fn settle(place: &OpenClawHome, own_lock: &OwnLock, undo: &Undo) -> Result<()> {
    if undo.is_empty() {
        fs::remove(&place.undo_file()).map(drop)
    } else {
        store(place, own_lock, undo)
    }
}

/// A file's name in the record.
pub(super) fn key(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
