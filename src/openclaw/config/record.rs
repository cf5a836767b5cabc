//! The undo record on the disk. It is written before the edit that it tells of, and tells also of the state before, so
//! that it is right whether the edit got into the file or its run died.

use crate::error::Result;
use crate::fs::{self, OwnLock};
use crate::home::OpenClawHome;
use crate::openclaw::undo::Undo;
use json5_edit::MAX_BYTES;
use std::path::{Path, PathBuf};

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
        Ok(mut undo) => {
            let home = real_home(place);
            let former = former_home(&undo, place, &home);
            undo.rename(|name| absolute(Path::new(name), &home, former.as_deref()));
            // Older versions edited what they keep themselves, where the config included that.
            let ours: Vec<String> = undo
                .files()
                .filter(|name| place.is_ours(Path::new(name)))
                .map(str::to_owned)
                .collect();
            ours.iter().for_each(|name| undo.forget(name));
            (undo, None)
        }
        Err(why) => {
            let path = path.display();
            let note = format!(
                "the record of earlier edits says nothing any more, so what stood in openclaw.json before is not known: \
                 {path} ({why})"
            );
            (Undo::default(), Some(note))
        }
    })
}

/// Writes the record; its folder's fsync waits for the lock's.
pub(super) fn store(place: &OpenClawHome, own_lock: &OwnLock, undo: &Undo) -> Result<()> {
    let home = real_home(place);
    let mut undo = undo.clone();
    undo.rename(|name| {
        let inside = Path::new(name).strip_prefix(&home);
        inside.map_or(name.to_owned(), key)
    });
    own_lock.write_private(&place.undo_file(), &undo.to_json()).map(drop)
}

/// The home as the names of files in it begin: links resolved.
fn real_home(place: &OpenClawHome) -> PathBuf {
    std::fs::canonicalize(&place.home).unwrap_or_else(|_| place.home.clone())
}

/// A file's whole name. On the disk a file of the home is named from there: a home that was moved or copied acts on
/// itself.
fn absolute(name: &Path, home: &Path, former: Option<&Path>) -> String {
    let inside = match former.map(|former| name.strip_prefix(former)) {
        Some(Ok(inside)) => inside,
        _ => name,
    };
    key(&home.join(inside))
}

/// Where the home was when an older version wrote the record, if that was elsewhere: a folder above a named file which is
/// another home, or in which that file is no more, while there is one of its name here. A config of its own, outside of
/// any home, is not in such a folder.
fn former_home(undo: &Undo, place: &OpenClawHome, home: &Path) -> Option<PathBuf> {
    let is_default = place.config == place.home.join("openclaw.json");
    let names: Vec<&Path> = undo.files().map(Path::new).collect();
    if !undo.is_of_one_place() || !is_default || names.iter().any(|name| name.starts_with(home)) {
        return None;
    }
    let folders = names
        .iter()
        .flat_map(|name| name.ancestors().skip(1).map(move |folder| (*name, folder)));
    let is_former = |name: &Path, folder: &Path| {
        let is_here = || name.strip_prefix(folder).is_ok_and(|inside| home.join(inside).exists());
        folder.join(".sigilum").join("undo.json").exists() || (!name.exists() && is_here())
    };
    let mut found = folders.filter(|(name, folder)| is_former(name, folder));
    found.next().map(|(_, folder)| folder.to_owned())
}

/// The same, after the edits that it tells of are done: a record that says nothing goes.
pub(super) fn settle(place: &OpenClawHome, own_lock: &OwnLock, undo: &Undo) -> Result<()> {
    if undo.is_empty() {
        own_lock.remove(&place.undo_file()).map(drop)
    } else {
        store(place, own_lock, undo)
    }
}

/// A file's name in the record.
pub(super) fn key(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
