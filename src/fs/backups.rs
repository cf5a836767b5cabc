//! Files of other people's making that stand where ours must: kept whole under another folder, and put back.

use super::folder::{Folder, is_regular, permissions};
use super::{create_private_dir, failed, file_name, open_folder};
use crate::error::{Error, ExitCode, Result};
use std::io;
use std::path::{Path, PathBuf};

/// More copies of one name than this is no accident.
const MOST_COPIES: u32 = 100;
/// The largest file that is copied where it cannot be linked.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Keeps a file, or a link itself, under a free name in another folder (0700, made where it is missing), and says
/// which. The file stays where it is too, so that a reader misses nothing: overwrite or remove it next. Keeping it a
/// second time finds the first copy.
pub fn back_up(path: &Path, folder: &Path) -> Result<PathBuf> {
    create_private_dir(folder)?;
    let name = file_name(path)?;
    let from = open_folder(path)?;
    let to = open_folder(&folder.join(name))?;
    let what = || format!("could not keep a copy of the file: {}", path.display());
    for number in 0..MOST_COPIES {
        let free = if number == 0 {
            name.to_owned()
        } else {
            format!("{name}.{number}")
        };
        match keep(&from, name, &to, &free) {
            Ok(true) => {
                to.sync().map_err(|error| failed(what(), folder, error))?;
                return Ok(to.join(&free));
            }
            Ok(false) => {}
            Err(error) => return Err(failed(what(), folder, error)),
        }
    }
    Err(Error::new(ExitCode::Failure, what())
        .next(format!("remove what you need no more: ls -l {}", super::quoted(folder))))
}

/// Links or copies; `false` where the name is taken by something else.
fn keep(from: &Folder, name: &str, to: &Folder, free: &str) -> io::Result<bool> {
    let Some(stat) = from.stat(name)? else {
        return Err(io::ErrorKind::NotFound.into());
    };
    if let Some(there) = to.stat(free)? {
        let same = (there.st_dev, there.st_ino) == (stat.st_dev, stat.st_ino);
        let regular = is_regular(&there);
        return Ok(same || (regular && same_bytes(from, name, to, free)));
    }
    match std::fs::hard_link(from.join(name), to.join(free)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        // Another file system, or a kernel that lets nobody link files of others.
        Err(_) if is_regular(&stat) => {
            let content = from.read(name, MAX_BYTES)?.ok_or(io::ErrorKind::NotFound)?;
            let mut temp = to.temp()?;
            temp.fill(&content.bytes, 0o600, to.file_owner())?;
            temp.sync()?;
            temp.replace(free)?;
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

fn same_bytes(from: &Folder, name: &str, to: &Folder, other: &str) -> bool {
    let bytes = |folder: &Folder, name: &str| folder.read(name, MAX_BYTES).ok().flatten().map(|content| content.bytes);
    let one = bytes(from, name);
    one.is_some() && one == bytes(to, other)
}

/// Puts a kept file back under its own name, over what is there; says whether there was one to put back.
pub fn put_back(kept: &Path, path: &Path) -> Result<bool> {
    let what = || format!("could not put the file back: {}", path.display());
    let from = open_folder(kept)?;
    let to = open_folder(path)?;
    let name = file_name(kept)?;
    let put = || -> io::Result<bool> {
        if from.stat(name)?.is_none() {
            return Ok(false);
        }
        match std::fs::rename(kept, path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let content = from.read(name, MAX_BYTES)?.ok_or(io::ErrorKind::NotFound)?;
                let mut temp = to.temp()?;
                temp.fill(&content.bytes, permissions(&content.stat) & 0o777, to.file_owner())?;
                temp.sync()?;
                temp.replace(file_name(path).map_err(|_| io::ErrorKind::InvalidInput)?)?;
                from.remove(name)?;
            }
            Err(error) => return Err(error),
        }
        // A kept file that is still linked under its own name is the same file: rename leaves both.
        from.remove(name)?;
        to.sync()?;
        from.sync()?;
        Ok(true)
    };
    put().map_err(|error| failed(what(), path, error))
}

/// Removes the names in `kept` of files that have a name in `folder` too: whoever linked them was killed before
/// anything came of it. What cannot be removed is left.
pub fn drop_links(kept: &Path, folder: &Path) {
    let (Ok(kept), Ok(folder)) = (Folder::open(kept), Folder::open(folder)) else {
        return;
    };
    let inode = |folder: &Folder, name: &str| folder.stat(name).ok().flatten().map(|stat| (stat.st_dev, stat.st_ino));
    let names = folder.names().unwrap_or_default();
    let there: Vec<_> = names.iter().filter_map(|name| inode(&folder, name)).collect();
    for name in kept.names().unwrap_or_default() {
        if inode(&kept, &name).is_some_and(|file| there.contains(&file)) {
            let _ = kept.remove(&name);
        }
    }
}

/// Removes a folder if nothing is in it; says whether it is gone.
pub fn remove_empty_folder(path: &Path) -> Result<bool> {
    match std::fs::remove_dir(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(failed(
            format!("could not remove the folder: {}", path.display()),
            path,
            error,
        )),
    }
}
