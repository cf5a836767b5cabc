//! Whether a folder may hold files of ours.

use super::folder::{Folder, permissions};
use crate::error::{Error, ExitCode, OrFail, Result};
use std::path::Path;

/// Refuses a folder in which someone else could replace a file of ours: one that group or others may write to without
/// the sticky bit, or that belongs to neither us nor root; so for every folder above it, since who can rename a folder
/// can replace all that is in it. As root, the folder's own owner is trusted with what is his.
pub fn refuse_open_to_others(folder: &Folder) -> Result<()> {
    let me = rustix::process::geteuid();
    for path in folder.path().ancestors() {
        let stat = rustix::fs::stat(path).or_fail(ExitCode::Failure, || {
            format!("could not look at the folder: {}", path.display())
        })?;
        let uid = stat.st_uid;
        // What leads to the folder is root's as a rule, and in a sandbox root may have another number.
        let roots = uid == 0 || (path != folder.path() && Some(uid) == crate::process::root_seen_as());
        let trusted = roots || uid == me.as_raw() || (me.is_root() && uid == folder.owner().uid);
        let mode = permissions(&stat);
        let open = mode & 0o022 != 0 && mode & 0o1000 == 0;
        if trusted && !open {
            continue;
        }
        let why = if trusted {
            format!("others may write to {} (mode {mode:04o})", path.display())
        } else {
            format!("{} belongs to another user (number {uid})", path.display())
        };
        let next = if trusted {
            format!("chmod go-w {}", quoted(path))
        } else {
            "use a folder of your own".to_owned()
        };
        return Err(Error::new(
            ExitCode::Failure,
            format!(
                "could not use the folder, others could replace files in it: {}",
                folder.path().display()
            ),
        )
        .because(anyhow::Error::msg(why))
        .next(next));
    }
    Ok(())
}

/// A path as a shell takes it.
pub fn quoted(path: &Path) -> String {
    shell_words::quote(&path.to_string_lossy()).into_owned()
}
