//! What another user can do with a file, by owners and modes. Access lists are not looked at.

use super::accounts::is_in_group;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const READ: u32 = 0o4;
const WRITE: u32 = 0o2;
const SEARCH: u32 = 0o1;
const STICKY: u32 = 0o1000;

/// Whether a user can read a file.
pub fn can_read(path: &Path, uid: u32) -> bool {
    let Ok(real) = path.canonicalize() else { return false };
    let may = |path: &Path, bit| std::fs::metadata(path).is_ok_and(|meta| may(&meta, uid, bit));
    may(&real, READ) && real.ancestors().skip(1).all(|folder| may(folder, SEARCH))
}

/// Whether a user can change a file, or put another one in its place. Of what is not there yet the nearest folder counts
/// that is.
pub fn can_change(path: &Path, uid: u32) -> bool {
    let there = path.ancestors().find(|path| path.symlink_metadata().is_ok());
    let real = there.and_then(|path| path.canonicalize().ok());
    // Where a link is, and where it leads.
    let ways = [Some(path.to_owned()), real];
    ways.into_iter().flatten().any(|way| {
        way.ancestors().any(|at| {
            // In a sticky folder nobody replaces what is another's.
            std::fs::metadata(at).is_ok_and(|meta| {
                let is_kept = meta.is_dir() && meta.mode() & STICKY != 0 && meta.uid() != uid && at != way;
                !is_kept && may(&meta, uid, WRITE)
            })
        })
    })
}

/// An owner can give themselves what they lack.
fn may(meta: &Metadata, uid: u32, bit: u32) -> bool {
    let in_group = || is_in_group(uid, meta.gid());
    meta.uid() == uid || meta.mode() & bit != 0 || meta.mode() & (bit << 3) != 0 && in_group()
}
