//! From the plan to the disk: temp files, undo record, swap.

use super::{File, Plan};
use crate::disk::{self, Content, Folder, OwnLock, Temp};
use crate::exit::{Error, ExitCode, Result};
use crate::openclaw::document::MAX_BYTES;
use crate::openclaw::lock::WriteLock;
use crate::settings::Place;
use rustix::fs::Stat;
use rustix::io::Errno;
use std::io;
use std::path::{Path, PathBuf};

/// The mode of a config that we make, or that gets a token.
pub(super) const PRIVATE: u32 = 0o600;

/// The file that a config's path leads to: the path itself, or what it links to.
#[derive(Debug)]
pub(super) struct Target {
    /// `None` where the folder does not exist, and so nothing in it.
    folder: Option<Folder>,
    path: PathBuf,
    name: String,
}

impl Target {
    pub(super) fn find(path: &Path) -> Result<Self> {
        let failed = |error: io::Error| {
            Error::new(
                ExitCode::Config,
                format!("could not read the config: {}", path.display()),
            )
            .because(error)
        };
        let link = std::fs::symlink_metadata(path)
            .ok()
            .filter(std::fs::Metadata::is_symlink);
        let mut real = path.to_owned();
        if let Some(link) = link {
            real = std::fs::canonicalize(path).map_err(|error| {
                failed(error).next("it is a symbolic link to nothing: remove it, or make its target")
            })?;
            refuse_foreign_link(path, &link, &real)?;
        }
        let (Some(folder), Some(name)) = (real.parent(), real.file_name().and_then(|name| name.to_str())) else {
            return Err(failed(io::Error::other("its path has no UTF-8 file name")));
        };
        let name = name.to_owned();
        let folder = match Folder::open(folder) {
            Ok(folder) => Some(folder),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        if let Some(folder) = &folder {
            real = folder.join(&name);
        }
        Ok(Self {
            folder,
            path: real,
            name,
        })
    }

    /// Where the file really is.
    pub(super) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    pub(super) fn read(&self) -> Result<Option<Content>> {
        let Some(folder) = &self.folder else { return Ok(None) };
        folder.read(&self.name, MAX_BYTES as u64).map_err(|error| {
            Error::new(
                ExitCode::Config,
                format!("could not read the config: {}", self.path.display()),
            )
            .because(error)
        })
    }
}

/// As root, a person's link must not lead us to edit another one's file, such as a system file of root's.
fn refuse_foreign_link(path: &Path, link: &std::fs::Metadata, real: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let target = std::fs::metadata(real).map_or(link.uid(), |meta| meta.uid());
    if !rustix::process::geteuid().is_root() || link.uid() == 0 || link.uid() == target {
        return Ok(());
    }
    Err(Error::new(
        ExitCode::Config,
        format!(
            "could not use the config, it is a link of user {} to a file of user {target}: {}",
            link.uid(),
            path.display()
        ),
    )
    .next("run the command as the user that the link belongs to"))
}

/// How a commit ended.
pub(super) enum Committed {
    /// Everything is written.
    Done,
    /// A file is not what was read any more. Nothing was written, or, of two files, only the first.
    Changed,
}

/// Writes what is planned: new files beside the old ones, then the undo record, then the swaps. OpenClaw's lock ends
/// before the last fsync, which so makes both the swap and the lock's end survive a power cut.
pub(super) fn commit(
    plan: &Plan,
    _place: &Place,
    own_lock: &OwnLock,
    write_lock: &mut Option<WriteLock>,
) -> Result<Committed> {
    let mut ready = Vec::new();
    for change in &plan.changes {
        let file = &plan.seen.files[change.file];
        let mode = if change.private { PRIVATE } else { file_mode(file) };
        let temp = prepare(file, &change.edited.bytes, mode).map_err(|error| not_written(&file.target.path, error))?;
        ready.push((file, temp));
    }
    own_lock.sync()?;
    let mut folders = Vec::new();
    for (file, (folder, temp)) in ready {
        match swap(folder, &temp, &file.target.name, file.content.as_ref()) {
            Ok(true) => folders.push((folder, &file.target.path)),
            Ok(false) => return Ok(Committed::Changed),
            Err(error) => return Err(not_written(&file.target.path, error)),
        }
    }
    drop(write_lock.take());
    folders.dedup_by(|a, b| a.0.path() == b.0.path());
    for (folder, path) in folders {
        folder.sync().map_err(|error| not_written(path, error))?;
    }
    Ok(Committed::Done)
}

fn file_mode(file: &File) -> u32 {
    file.content
        .as_ref()
        .map_or(PRIVATE, |content| content.stat.st_mode & 0o7777)
}

/// The new file under a temporary name, complete and on the disk, with the old one's owner.
fn prepare<'a>(file: &'a File, bytes: &[u8], mode: u32) -> io::Result<(&'a Folder, Temp<'a>)> {
    let folder = file.target.folder.as_ref().ok_or(io::ErrorKind::NotFound)?;
    folder.clean();
    let mut temp = folder.temp()?;
    let owner = match &file.content {
        Some(content) => Some(disk::owner(&content.stat)),
        None => folder.file_owner(),
    };
    if let Some(owner) = owner {
        match temp.set_owner(owner) {
            // A group that we are not in can be left out where it may do nothing; another user cannot.
            Err(error)
                if Errno::from_io_error(&error) == Some(Errno::PERM)
                    && owner.uid == rustix::process::geteuid().as_raw()
                    && mode & 0o070 == 0 => {}
            Err(error) if Errno::from_io_error(&error) == Some(Errno::PERM) => {
                let text = format!(
                    "it belongs to user {} and group {}, and the new file could not",
                    owner.uid, owner.gid
                );
                return Err(io::Error::other(text));
            }
            owned => owned?,
        }
    }
    temp.fill(bytes, mode, None)?;
    temp.sync()?;
    Ok((folder, temp))
}

/// Puts the new file in the old one's place if that still is what was read; says whether it was.
///
/// Where names can be exchanged, the old file is looked at once more after it came out, and put back if it is not what
/// was read: a program that replaces the file without any lock loses nothing.
fn swap(folder: &Folder, temp: &Temp<'_>, name: &str, old: Option<&Content>) -> io::Result<bool> {
    let Some(old) = old else {
        return match folder.rename_new(temp.name(), name) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) if disk::is_unsupported(&error) => match temp.link(name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                linked => linked.map(|()| true),
            },
            Err(error) => Err(error),
        };
    };
    if !is_same(folder, name, old) {
        return Ok(false);
    }
    match temp.exchange(name) {
        Ok(()) if is_same(folder, temp.name(), old) => Ok(true),
        Ok(()) => swap_back(folder, temp, name).map(|()| false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        // No exchange on this file system.
        Err(error) if disk::is_unsupported(&error) => folder.rename_over(temp.name(), name).map(|()| true),
        Err(error) => Err(error),
    }
}

/// Whether a file has the bytes, mode and owner that were read.
fn is_same(folder: &Folder, name: &str, old: &Content) -> bool {
    let permissions = |stat: &Stat| (stat.st_mode, stat.st_uid, stat.st_gid);
    matches!(folder.read(name, MAX_BYTES as u64), Ok(Some(now))
        if now.bytes == old.bytes && permissions(&now.stat) == permissions(&old.stat))
}

/// After an exchange that brought out another writer's file: puts it back. If yet another file came out then, that one
/// is newer, and it is its turn; so on until what comes out is what we put in.
fn swap_back(folder: &Folder, temp: &Temp<'_>, name: &str) -> io::Result<()> {
    // Held open, so that no new file can get the number of one that is gone.
    let mut held = Vec::new();
    let mut number = |name: &str| -> io::Result<Option<(u64, u64)>> {
        held.push(folder.hold(name));
        Ok(folder.stat(name)?.map(|stat| disk::inode(&stat)))
    };
    let mut expected = Some(disk::inode(&temp.stat()?));
    loop {
        let placing = number(temp.name())?;
        match temp.exchange(name) {
            Ok(()) => {}
            // The name was removed: then what is in hand goes back, unless another one took the place.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let _ = folder.rename_new(temp.name(), name);
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        if number(temp.name())? == expected {
            return Ok(());
        }
        expected = placing;
    }
}

fn not_written(path: &Path, error: io::Error) -> Error {
    if matches!(Errno::from_io_error(&error), Some(Errno::BUSY | Errno::XDEV)) {
        return Error::new(
            ExitCode::Config,
            format!(
                "could not replace the config, it is a mount of its own: {}",
                path.display()
            ),
        )
        .because(error)
        .next(
            "mount its folder instead of the file; or leave the token in its file with --token-in-config false (if \
             openclaw.json has no entry with \"SIGILUM_TOKEN_IN_CONFIG\": \"false\" yet, write that one by hand)",
        );
    }
    let next = disk::advise(&error);
    let failed = Error::new(
        ExitCode::Config,
        format!("could not write the config: {}", path.display()),
    )
    .because(error);
    match next {
        Some(step) => failed.next(step),
        None => failed,
    }
}
