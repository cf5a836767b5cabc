//! A file that only grows, line by line.

use super::failure::own_mode_to_write;
use super::folder::{Folder, chown, is_regular};
use super::trust;
use super::{could_not_write, failed, file_name, not_ours, open_folder};
use crate::error::{Error, Result};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Adds a line to a file of ours, which is made (0600) where there is none; once this returns it is on the disk. A last
/// line that a killed run left unfinished is ended first, and of one that could not be written nothing stays. What
/// someone else may have planted or changed is refused, as by [`super::read_private`].
pub fn append_line(path: &Path, line: &[u8]) -> Result<()> {
    let folder = open_folder(path)?;
    let name = file_name(path)?;
    let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = folder
        .open_file(name, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::LOOP) => not_ours(could_not_write(path), path, "it is a symbolic link".to_owned()),
            Some(Errno::ISDIR) => not_ours(could_not_write(path), path, "it is not a regular file".to_owned()),
            Some(Errno::ACCESS | Errno::PERM) => barred(&folder, path, error),
            _ => failed(could_not_write(path), path, error),
        })?;
    let stat = rustix::fs::fstat(&file).map_err(|error| failed(could_not_write(path), path, error.into()))?;
    let why = match is_regular(&stat) {
        true => trust::disbelief(&folder, &stat),
        false => Some("it is not a regular file".to_owned()),
    };
    if let Some(why) = why {
        return Err(not_ours(could_not_write(path), path, why));
    }
    let length = u64::try_from(stat.st_size).unwrap_or(0);
    add(&folder, &file, length, line).map_err(|error| {
        // Half a line would be one more for every reader to doubt.
        let _ = file.set_len(length);
        failed(could_not_write(path), path, error)
    })
}

/// A file that is there and must not be opened: its mode is in the way, or it is another user's.
fn barred(folder: &Folder, path: &Path, error: io::Error) -> Error {
    let stat = file_name(path).ok().and_then(|name| folder.stat(name).ok()?);
    if let Some(why) = stat.as_ref().and_then(|stat| trust::disbelief(folder, stat)) {
        return not_ours(could_not_write(path), path, why);
    }
    let failed = failed(could_not_write(path), path, error);
    match own_mode_to_write(path) {
        Some(step) => failed.next(step),
        None => failed,
    }
}

fn add(folder: &Folder, file: &File, length: u64, line: &[u8]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(line.len() + 2);
    let mut last = *b"\n";
    if length == 0 {
        if let Some(owner) = folder.file_owner() {
            chown(file, owner)?;
        }
    } else {
        file.read_exact_at(&mut last, length - 1)?;
    }
    if last != *b"\n" {
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(line);
    bytes.push(b'\n');
    io::Write::write_all(&mut &*file, &bytes)?;
    file.sync_data()?;
    if length == 0 { folder.sync() } else { Ok(()) }
}
