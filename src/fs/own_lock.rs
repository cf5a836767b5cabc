//! Our own lock: token file, record, undo record and config of one home change together.

use super::failure::own_mode_to_write;
use super::folder::{Folder, is_regular};
use super::{create_private_dir, failed, file_name, not_ours, open_folder, open_folder_of, open_to_read, own_mode};
use crate::error::{Error, ExitCode, OrFail, Result};
use crate::home::OpenClawHome;
use crate::process::Process;
use crate::process::waiting::Waiting;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a command waits for another one of ours.
const PATIENCE: Duration = Duration::from_secs(20);

/// So often a lock is tried for, with such a pause: to look whether it is held takes it for a moment.
const TRIES: u32 = 3;
const LOOK: Duration = Duration::from_millis(2);

/// Longer than any signature: what a lock's file holds then is somebody else's, and stays.
const SIGNATURE_MOST: u64 = 4096;

/// An exclusive lock on a file that stays where it is. It ends with this value, or with the process, however that ends.
#[derive(Debug)]
pub struct FileLock {
    file: File,
}

impl FileLock {
    /// Takes the lock if nobody has it; makes the file (0600) where there is none. `owner`: whose its folder must be, where
    /// it is another user's.
    pub fn try_acquire(path: &Path, owner: Option<u32>) -> Result<Option<Self>> {
        let what = || format!("could not take the lock: {}", path.display());
        let folder = open_folder_of(path, owner)?;
        let name = file_name(path)?;
        let mut left = TRIES;
        loop {
            let file = open_lock_file(&folder, name).map_err(|error| unusable(what(), path, error))?;
            match fs2::FileExt::try_lock_exclusive(&file) {
                Ok(()) => {}
                Err(error) if error.raw_os_error() == fs2::lock_contended_error().raw_os_error() => {
                    left -= 1;
                    if left == 0 {
                        return Ok(None);
                    }
                    std::thread::sleep(LOOK);
                    continue;
                }
                Err(error) => return Err(error).or_fail(ExitCode::Failure, what),
            }
            // Someone may have removed the file (`hook uninstall --purge`) between open and lock: a lock on a file
            // without a name keeps nobody out.
            let ours = rustix::fs::fstat(&file).or_fail(ExitCode::Failure, what)?;
            let named = folder.stat(name).or_fail(ExitCode::Failure, what)?;
            if named.is_some_and(|named| (named.st_dev, named.st_ino) == (ours.st_dev, ours.st_ino)) {
                let lock = Self { file };
                // For the message of whoever waits; nothing depends on it.
                let _ = lock.sign();
                return Ok(Some(lock));
            }
        }
    }

    /// Takes the lock, and waits so long for another command of ours that has it; then fails with
    /// [`ExitCode::LockHeld`]. A signal ends the wait with the process.
    pub fn acquire(path: &Path, owner: Option<u32>, patience: Duration) -> Result<Self> {
        let end = Instant::now() + patience;
        let mut pause = Duration::from_millis(1);
        let mut waiting = Waiting::begin(patience);
        loop {
            if let Some(lock) = Self::try_acquire(path, owner)? {
                return Ok(lock);
            }
            waiting.goes_on(|| {
                let who = Self::holder(path).map_or_else(String::new, |pid| format!(" (process {pid})"));
                format!(
                    "our lock, which another sigilum-authz-notify{who} holds: {}",
                    path.display()
                )
            });
            if Instant::now() >= end {
                let who = Self::holder(path).map_or_else(String::new, |pid| format!(" (process {pid})"));
                return Err(Error::new(
                    ExitCode::LockHeld,
                    format!(
                        "could not take our lock, another sigilum-authz-notify{who} holds it: {}",
                        path.display()
                    ),
                )
                .next("wait for the other command to end, and run this one again"));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Writes this into the file, in place: nothing is made, also where its name is gone meanwhile.
    pub fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        if self.file.metadata()?.len() > SIGNATURE_MOST {
            return Ok(());
        }
        self.file.write_all_at(bytes, 0)?;
        self.file.set_len(bytes.len() as u64)
    }

    /// Whether the lock keeps others out: one on a file that was removed, or replaced, does not.
    pub fn has_name(&self, path: &Path) -> bool {
        let named = std::fs::symlink_metadata(path);
        let ours = self.file.metadata();
        matches!((named, ours), (Ok(named), Ok(ours)) if (named.dev(), named.ino()) == (ours.dev(), ours.ino()))
    }

    /// Whether somebody holds the lock. Nothing is made.
    pub fn is_held(path: &Path) -> bool {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let Ok(file) = rustix::fs::open(path, flags, Mode::empty()).map(File::from) else {
            return false;
        };
        let tried = fs2::FileExt::try_lock_shared(&file);
        let _ = fs2::FileExt::unlock(&file);
        tried.is_err_and(|error| error.raw_os_error() == fs2::lock_contended_error().raw_os_error())
    }

    /// The process that holds the lock, as it signed; only a hint.
    pub fn holder(path: &Path) -> Option<u32> {
        let folder = open_to_read(path).ok()?;
        let content = folder.read(file_name(path).ok()?, 64).ok()??;
        let text = std::str::from_utf8(&content.bytes).ok()?;
        text.split_whitespace().next()?.parse().ok()
    }

    /// Whether the holder said this of itself, as with [`FileLock::sign_as`]; only a hint.
    pub fn is_signed_as(path: &Path, what: &str) -> bool {
        let content = open_to_read(path).ok().zip(file_name(path).ok());
        let content = content.and_then(|(folder, name)| folder.read(name, 64).ok()?);
        let text = content.and_then(|content| String::from_utf8(content.bytes).ok());
        text.is_some_and(|text| text.split_whitespace().nth(1) == Some(what))
    }

    /// Adds what its holder is, in one word.
    pub fn sign_as(&self, what: &str) {
        // For whoever waits; nothing depends on it.
        let _ = self.write(format!("{} {what}\n", Process::me().pid).as_bytes());
    }

    fn sign(&self) -> std::io::Result<()> {
        let text = format!("{}\n", Process::me().pid);
        let mut old = Vec::new();
        (&self.file).take(SIGNATURE_MOST).read_to_end(&mut old)?;
        if old == text.as_bytes() {
            return Ok(());
        }
        self.write(text.as_bytes())
    }
}

impl Drop for FileLock {
    /// A child that another thread starts has a copy of the file until it runs its program, and the lock with it.
    fn drop(&mut self) {
        let _ = fs2::FileExt::unlock(&self.file);
    }
}

fn open_lock_file(folder: &Folder, name: &str) -> std::io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = folder.open_file(name, flags, Mode::RUSR | Mode::WUSR)?;
    let stat = rustix::fs::fstat(&file)?;
    if !is_regular(&stat) || stat.st_nlink > 1 {
        return Err(std::io::Error::other("it is not a regular file with one name"));
    }
    if let Some(owner) = folder.file_owner() {
        super::folder::chown(&file, owner)?;
    }
    Ok(file)
}

/// Why a lock's file cannot be opened, and what to do about it. What another name stands for is not ours to write to.
fn unusable(what: String, path: &Path, error: std::io::Error) -> Error {
    let step = match Errno::from_io_error(&error) {
        Some(Errno::LOOP) => return not_ours(what, path, "it is a symbolic link".to_owned()),
        None => return not_ours(what, path, error.to_string()),
        Some(Errno::ACCESS | Errno::PERM) => own_mode_to_write(path),
        Some(_) => None,
    };
    let failed = failed(what, path, error);
    match step {
        Some(step) => failed.next(step),
        None => failed,
    }
}

/// The lock on everything of ours in one OpenClaw home, held until dropped.
///
/// Files written through it share one fsync for each folder: [`OwnLock::sync`], or else when the lock is dropped.
#[derive(Debug)]
pub struct OwnLock {
    // Declared before the lock, so that folders are synced while it is still held.
    unsynced: Mutex<BTreeMap<PathBuf, Folder>>,
    /// As root in another user's home: that user.
    anothers: Option<u32>,
    _lock: FileLock,
}

/// Takes the lock on everything of ours in one OpenClaw home, `<home>/.sigilum/lock`: `.sigilum` (0700) is made where
/// it is missing, leftovers of killed runs in it are removed. Whoever makes something in a home that may not be there
/// takes it first: it refuses to hide an older home, and marks one that is new as made by us.
///
/// Waits up to 20 s for another command of ours, then fails with [`ExitCode::LockHeld`]. A signal ends the wait with
/// the process.
pub fn lock_sigilum(place: &OpenClawHome) -> Result<OwnLock> {
    place.refuse_what_is_not_its_owners()?;
    place.refuse_to_be_made_over_an_older()?;
    let end = Instant::now() + PATIENCE;
    super::trust::refuse_new_among_others(&place.sigilum_dir())?;
    let is_new = !place.home.exists();
    let lock = loop {
        create_private_dir(&place.sigilum_dir()).map_err(|error| no_home(error, place))?;
        match lock_existing_sigilum(place, PATIENCE) {
            // Who had the lock took the folder away with it (`hook uninstall --purge`).
            Err(error) if error.is_not_found() && Instant::now() < end => {}
            acquired => break acquired?,
        }
    };
    if is_new {
        lock.write_private(&place.made_home_file(), b"")?;
    }
    Ok(lock)
}

/// Refuses what [`lock_sigilum`], or a write under it, would refuse; looks, and changes nothing.
pub fn refuse_to_lock_sigilum(place: &OpenClawHome) -> Result<()> {
    place.refuse_what_is_not_its_owners()?;
    place.refuse_to_be_made_over_an_older()?;
    super::refuse_to_write_in(&place.sigilum_dir())
}

/// Where there is no home, and this user may make none, there is nobody to whom it belongs.
fn no_home(error: Error, place: &OpenClawHome) -> Error {
    let denied = error.io_kind() == Some(ErrorKind::PermissionDenied);
    let is_none = matches!(place.home.try_exists(), Ok(false));
    match denied && is_none && own_mode(&place.home).is_none() {
        true => error.next(format!(
            "name the OpenClaw home that is there, with --openclaw-home <folder>; or set {} to a folder of yours",
            place.named_by.unwrap_or("HOME")
        )),
        false => error,
    }
}

/// As [`lock_sigilum`], but waits so long, and makes no folder: where there is none, it fails.
pub fn lock_existing_sigilum(place: &OpenClawHome, patience: Duration) -> Result<OwnLock> {
    place.refuse_what_is_not_its_owners()?;
    let path = place.sigilum_dir().join("lock");
    let anothers = place.anothers();
    let lock = FileLock::acquire(&path, anothers, patience)?;
    super::trust::mend(&open_folder_of(&path, anothers)?, |_| true);
    Ok(OwnLock {
        unsynced: Mutex::default(),
        anothers,
        _lock: lock,
    })
}

impl OwnLock {
    /// As [`super::write_private`], but the folder's fsync waits for [`OwnLock::sync`]. Says whether there was
    /// anything to write. In another user's home only a folder of that user's is written to.
    pub fn write_private(&self, path: &Path, bytes: &[u8]) -> Result<bool> {
        self.write(path, bytes, super::PRIVATE)
    }

    /// The same of a program, 0755.
    pub fn write_program(&self, path: &Path, bytes: &[u8]) -> Result<bool> {
        self.write(path, bytes, super::EXECUTABLE)
    }

    fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<bool> {
        self.replace(open_folder_of(path, self.anothers)?, path, bytes, mode)
    }

    /// The same in whatever folder: a person named it.
    pub fn write_private_where_named(&self, path: &Path, bytes: &[u8]) -> Result<bool> {
        self.replace(open_folder(path)?, path, bytes, super::PRIVATE)
    }

    /// Removes a file, or a link itself, and says whether there was one. In another user's home only from a folder of that
    /// user's.
    pub fn remove(&self, path: &Path) -> Result<bool> {
        let what = || format!("could not remove the file: {}", path.display());
        let folder = match open_to_read(path) {
            Err(error) if error.is_not_found() => return Ok(false),
            opened => opened?,
        };
        if let Some(uid) = self.anothers.filter(|uid| folder.owner().uid != *uid) {
            return Err(super::not_its_owners(ExitCode::Failure, path, uid));
        }
        let removed = folder.remove(file_name(path)?);
        let removed = removed.and_then(|removed| folder.sync().map(|()| removed));
        removed.map_err(|error| failed(what(), path, error))
    }

    fn replace(&self, folder: Folder, path: &Path, bytes: &[u8], mode: u32) -> Result<bool> {
        if !super::replace_in(&folder, path, bytes, mode, true)? {
            return Ok(false);
        }
        if let Ok(mut unsynced) = self.unsynced.lock() {
            unsynced.insert(folder.path().to_owned(), folder);
        }
        Ok(true)
    }

    /// What was written through this lock survives a power cut once this returns.
    pub fn sync(&self) -> Result<()> {
        let folders = match self.unsynced.lock() {
            Ok(mut unsynced) => std::mem::take(&mut *unsynced),
            Err(_) => return Ok(()),
        };
        for (path, folder) in folders {
            folder.sync().or_fail(ExitCode::Failure, || {
                format!("could not write the folder: {}", path.display())
            })?;
        }
        Ok(())
    }
}

impl Drop for OwnLock {
    fn drop(&mut self) {
        let _ = self.sync();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_the_file_that_a_child_still_has_holds_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let lock = FileLock::try_acquire(&path, None).unwrap().unwrap();
        let _childs = lock.file.try_clone().unwrap();
        assert!(FileLock::is_held(&path));
        drop(lock);
        assert!(!FileLock::is_held(&path));
        assert!(FileLock::try_acquire(&path, None).unwrap().is_some());
    }
}
