//! Why a read or a write failed, and what a person can do about it.

use super::folder::permissions;
use super::quoted;
use crate::error::{Error, ExitCode};
use rustix::fs::FileType;
use rustix::io::Errno;
use std::io;
use std::path::Path;

pub(super) fn failed(what: String, path: &Path, error: io::Error) -> Error {
    failed_as(ExitCode::Failure, what, path, error)
}

/// What failed on the disk at a path and why, and what a person can do about it.
pub fn failed_as(code: ExitCode, what: String, path: &Path, error: io::Error) -> Error {
    let next = advise(path, &error);
    let failed = Error::new(code, what).because(error);
    match next {
        Some(step) => failed.next(step),
        None => failed,
    }
}

/// What a person can do about a failed read or write.
fn advise(path: &Path, error: &io::Error) -> Option<String> {
    let step = match Errno::from_io_error(error)? {
        Errno::EXIST | Errno::NOENT => return link_to_nothing(path),
        Errno::NOSPC | Errno::DQUOT => "free some disk space, and run the command again",
        Errno::ACCESS | Errno::PERM => match own_mode(path) {
            Some(step) => return Some(step),
            None => "run the command as the user whom the file and its folder belong to",
        },
        Errno::NOTDIR => "correct the path: something in it that should be a folder is a file",
        Errno::ISDIR => return Some(move_away(path)),
        Errno::ROFS => "mount the file system writable, and run the command again",
        Errno::FBIG => "raise the limit of file sizes (ulimit -f), and run the command again",
        Errno::MFILE | Errno::NFILE => "raise the limit of open files (ulimit -n), and run the command again",
        _ => return None,
    };
    Some(step.to_owned())
}

/// What to do about a folder that has the name of a file.
fn move_away(path: &Path) -> String {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".aside");
    format!(
        "move the folder away that has this name: mv {} {}",
        quoted(path),
        quoted(aside.as_ref())
    )
}

/// What to do about a link to nothing that stands in the way to a path.
pub fn link_to_nothing(path: &Path) -> Option<String> {
    let is_one = |path: &&Path| path.is_symlink() && matches!(path.try_exists(), Ok(false));
    let link = path.ancestors().find(is_one)?;
    Some(format!(
        "it is a symbolic link to nothing, make its target or remove it: rm {}",
        quoted(link)
    ))
}

/// What lets this user at a file of his own again, where the mode of it, or of the folder that it is in, keeps him out:
/// `chmod u+w <folder>`. `None` where that is not what stands in the way.
pub fn own_mode(path: &Path) -> Option<String> {
    // A file is replaced, not written to.
    lacking_mode(path, &[('r', 0o400)])
}

/// The same for a file that is written to.
pub(super) fn own_mode_to_write(path: &Path) -> Option<String> {
    lacking_mode(path, &[('r', 0o400), ('w', 0o200)])
}

fn lacking_mode(path: &Path, of_file: &[(char, u32)]) -> Option<String> {
    let me = rustix::process::geteuid();
    if me.is_root() {
        return None;
    }
    for there in path.ancestors() {
        // What cannot be looked at is not there, or lies behind what is in the way.
        let Ok(stat) = rustix::fs::stat(there) else { continue };
        let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let needed: &[(char, u32)] = match is_folder {
            true => &[('r', 0o400), ('w', 0o200), ('x', 0o100)],
            false => of_file,
        };
        let lacks = |(_, bit): &&(char, u32)| permissions(&stat) & bit == 0;
        let lacking: String = needed.iter().filter(lacks).map(|(letter, _)| letter).collect();
        if stat.st_uid != me.as_raw() {
            return None;
        }
        if !lacking.is_empty() {
            return Some(format!("chmod u+{lacking} {}", quoted(there)));
        }
        if is_folder && there != path {
            return None;
        }
    }
    None
}
