//! Why a read or a write failed, and what a person can do about it.

use super::folder::permissions;
use super::quoted;
use crate::error::{Error, ExitCode};
use crate::process::root_seen_as;
use rustix::fs::{Access, FileType};
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
        Errno::EXIST if path.is_file() => return Some(move_away(path)),
        Errno::EXIST | Errno::NOENT => return link_to_nothing(path),
        Errno::NOSPC | Errno::DQUOT => "free some disk space, and run the command again",
        Errno::ACCESS | Errno::PERM => match own_mode(path) {
            Some(step) => return Some(step),
            None => "run the command as the user whom the file and its folder belong to",
        },
        Errno::NOTDIR if path.is_file() => return Some(move_away(path)),
        Errno::NOTDIR => "correct the path: something in it that should be a folder is a file",
        Errno::ISDIR => return Some(move_away(path)),
        Errno::ROFS => "mount the file system writable, and run the command again",
        Errno::FBIG => "raise the limit of file sizes (ulimit -f), and run the command again",
        Errno::MFILE | Errno::NFILE => "raise the limit of open files (ulimit -n), and run the command again",
        _ => return None,
    };
    Some(step.to_owned())
}

/// What to do about a folder that has the name of a file, or the other way round.
fn move_away(path: &Path) -> String {
    let what = if path.is_dir() { "folder" } else { "file" };
    let mut aside = path.as_os_str().to_owned();
    aside.push(".aside");
    format!(
        "move the {what} away that has this name: mv {} {}",
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
/// `chmod u+w <folder>`; or at one in a folder of his own that root made. `None` where that is not what stands in the way.
pub fn own_mode(path: &Path) -> Option<String> {
    // A file is replaced, not written to.
    lacking_mode(path, &[('r', 0o400)])
}

/// The same for a file that is written to.
pub fn own_mode_to_write(path: &Path) -> Option<String> {
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
            return (there == path).then(|| of_roots(path, of_file)).flatten();
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

/// What gives this user a file back that a command of root's made in a folder of theirs, where it keeps them out.
fn of_roots(path: &Path, of_file: &[(char, u32)]) -> Option<String> {
    let me = rustix::process::geteuid().as_raw();
    let file = rustix::fs::lstat(path).ok()?;
    // In a user namespace neither number is the one outside.
    let is_roots = file.st_uid == 0 && root_seen_as().is_none();
    let is_in_ours = rustix::fs::stat(path.parent()?).is_ok_and(|folder| folder.st_uid == me);
    let needed = match of_file.iter().any(|(letter, _)| *letter == 'w') {
        true => Access::READ_OK | Access::WRITE_OK,
        false => Access::READ_OK,
    };
    let is_plain = FileType::from_raw_mode(file.st_mode) == FileType::RegularFile && file.st_nlink == 1;
    let keeps_out = is_roots && is_in_ours && is_plain && rustix::fs::access(path, needed).is_err();
    keeps_out.then(|| format!("as root: chown {me} {}", quoted(path)))
}
