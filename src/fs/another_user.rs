//! Another user's home: what its records name counts only where it is that user's own, or they would have us read and
//! write in our own files for them.

use super::quoted;
use crate::error::{Error, ExitCode};
use crate::process::root_seen_as;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The number of the user whom a folder belongs to, where that is neither us nor root. `None` too where there is no such
/// folder.
pub fn another_user(folder: &Path) -> Option<u32> {
    let uid = std::fs::metadata(folder).ok()?.uid();
    let ordinary = uid == 0 || uid == rustix::process::geteuid().as_raw() || Some(uid) == root_seen_as();
    (!ordinary).then_some(uid)
}

/// Whether a file or folder, and the folder that it is in, belong to this user, wherever links lead. Of what is not
/// there yet the nearest folder counts that is.
pub fn is_of(path: &Path, uid: u32) -> bool {
    let owned = |path: &Path| std::fs::metadata(path).is_ok_and(|meta| meta.uid() == uid);
    let there = path.ancestors().find(|path| path.symlink_metadata().is_ok());
    // A link that leads nowhere could lead anywhere by the time of its use.
    let Some(real) = there.and_then(|path| path.canonicalize().ok()) else {
        return false;
    };
    owned(&real) && (real.is_dir() || real.parent().is_some_and(owned))
}

/// Why root writes nothing there: a path in this user's home that leads to what is not theirs.
pub fn not_its_owners(code: ExitCode, path: &Path, uid: u32) -> Error {
    let what = format!(
        "could not write in another user's home, this, or the folder that it is really in, is not that user's (number {uid}): {}",
        path.display()
    );
    Error::new(code, what).next(format!("look at where it leads: readlink -f {}", quoted(path)))
}
