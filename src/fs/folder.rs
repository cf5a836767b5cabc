//! A folder held open, and what may be done in it: everything by name relative to it, no link ever followed.

use super::temp_name::{KEPT_PREFIX, parse_temp_name, with_temp_name};
use crate::process::pid_namespace;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// A leftover of another pid namespace (a container's) cannot be told dead from alive: it goes after an hour.
const FOREIGN_LEFTOVER_SECONDS: i64 = 3600;

/// User and group that a file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// User number.
    pub uid: u32,
    /// Group number.
    pub gid: u32,
}

/// An open folder. Names given to its methods are single file names, not paths.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    path: PathBuf,
    owner: Owner,
}

/// A file's bytes and what the file system says of it.
#[derive(Debug)]
pub struct Content {
    /// Everything in it.
    pub bytes: Vec<u8>,
    /// Mode, owner, inode, number of links.
    pub stat: Stat,
}

impl Folder {
    /// Opens a folder; links on the way to it are followed, and `path()` is where it really is.
    pub fn open(path: &Path) -> io::Result<Self> {
        let path = std::fs::canonicalize(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = rustix::fs::open(&path, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&fd)?;
        let owner = owner(&stat);
        Ok(Self { fd, path, owner })
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Where the folder really is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whom it belongs to.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// The path of a file in it, for messages.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whom files that we make here must belong to: as root the folder's owner, so that a person whose home root
    /// worked in can use them; otherwise nobody but us.
    pub fn file_owner(&self) -> Option<Owner> {
        rustix::process::geteuid().is_root().then_some(self.owner)
    }

    /// What the file system says of a name, itself if it is a link; `None` where there is nothing.
    pub fn stat(&self, name: &str) -> io::Result<Option<Stat>> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a regular file of at most `limit` bytes. A symlink, a pipe or a folder is an error, and never waited for.
    pub fn read(&self, name: &str, limit: u64) -> io::Result<Option<Content>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::MLINK) => return Err(io::Error::other("it is a symbolic link")),
            Err(error) => return Err(error.into()),
        };
        let stat = rustix::fs::fstat(&file)?;
        if !is_regular(&stat) {
            return Err(io::Error::other("it is not a regular file"));
        }
        tracing::debug!("read {}", crate::text::plain(&self.join(name).display().to_string()));
        let mut bytes = Vec::with_capacity(usize::try_from(stat.st_size).unwrap_or(0).min(1 << 20) + 1);
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(io::Error::other(format!("it is over {limit} bytes")));
        }
        Ok(Some(Content { bytes, stat }))
    }

    /// Opens a file with these flags, creating it with this mode where they say so.
    pub(super) fn open_file(&self, name: &str, flags: OFlags, mode: Mode) -> io::Result<File> {
        Ok(File::from(rustix::fs::openat(&self.fd, name, flags, mode)?))
    }

    /// Makes a 0700 folder in it and sees to it that it stays; one that is there already is left as it is.
    pub(super) fn make_folder(&self, name: &str) -> io::Result<()> {
        // Another process may make the folder and remove it again, time and again (`hook uninstall --purge`).
        const TRIES: usize = 100;
        let mut gone = None;
        for _ in 0..TRIES {
            match self.make_owned(name) {
                Ok(()) => return self.sync(),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                // Removed before it was looked at, or this one is gone itself.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    gone = Some(error);
                    continue;
                }
                Err(error) => return Err(error),
            }
            if self.folder(name)?.is_some() {
                return Ok(());
            }
            if self.stat(name)?.is_some_and(|stat| !is_folder(&stat)) {
                break;
            }
        }
        Err(gone.unwrap_or_else(|| Errno::EXIST.into()))
    }

    /// Makes a folder whose owner is settled before it has its name: a run of root's that is killed in between would leave
    /// a folder of root's in another user's, where nobody believes it.
    fn make_owned(&self, name: &str) -> io::Result<()> {
        if self.file_owner().is_none_or(|owner| owner.uid == 0) {
            return self.new_folder(name).map(drop);
        }
        if self.stat(name)?.is_some() {
            return Err(Errno::EXIST.into());
        }
        self.remove_leftovers();
        let (temp, _) = self.temp_folder()?;
        let named = self.rename_new(&temp, name);
        if named.is_err() {
            self.remove_folder(&temp)?;
        }
        match named {
            Err(error) if is_unsupported(&error) => self.new_folder(name).map(drop),
            named => named,
        }
    }

    /// Removes a file (a link, not what it points at); says whether there was one.
    pub fn remove(&self, name: &str) -> io::Result<bool> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the names in it survive a power cut. File systems that cannot do this for folders are left to do their
    /// best.
    pub fn sync(&self) -> io::Result<()> {
        match rustix::fs::fsync(&self.fd) {
            Ok(()) | Err(Errno::INVAL | Errno::BADF | Errno::OPNOTSUPP) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// A new, empty 0700 folder under a temporary name, and its name.
    pub fn temp_folder(&self) -> io::Result<(String, Self)> {
        let (name, ()) = with_temp_name(&[], |name| rustix::fs::mkdirat(&self.fd, name, Mode::RWXU))?;
        let made = self.folder(&name)?.ok_or(Errno::NOENT)?;
        if let Some(owner) = self.file_owner() {
            chown(&made.fd, owner)?;
        }
        Ok((name, made))
    }

    /// A new, empty 0700 folder of this name, which must be free; `AlreadyExists` if it is not.
    pub fn new_folder(&self, name: &str) -> io::Result<Self> {
        rustix::fs::mkdirat(&self.fd, name, Mode::RWXU)?;
        let made = self.folder(name)?.ok_or(Errno::NOENT)?;
        if let Some(owner) = self.file_owner() {
            chown(&made.fd, owner)?;
        }
        Ok(made)
    }

    /// Gives a file or folder a name that must be free; `AlreadyExists` if it is not.
    pub fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat_with(
            &self.fd,
            from,
            &self.fd,
            to,
            RenameFlags::NOREPLACE,
        )?)
    }

    /// Gives a file a name, over whatever file or link has it.
    pub fn rename_over(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Holds a file open, where it is one that can be: as long as it is held, no other file gets its inode number.
    pub fn hold(&self, name: &str) -> Option<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        self.open_file(name, flags, Mode::empty()).ok()
    }

    /// Gives a file or folder a temporary name, so that it is gone from its own at once, and says which. Where it is said
    /// what it should be, a file that is something else is not ours: [`Folder::discard`].
    pub fn rename_away(&self, from: &str, expected: &[&Stat]) -> io::Result<String> {
        let prints: Vec<u64> = expected.iter().map(|stat| print(stat)).collect();
        // The name is random, so that nothing is replaced; not every file system has the rename that sees to it.
        let (name, ()) = with_temp_name(&prints, |to| rustix::fs::renameat(&self.fd, from, &self.fd, to))?;
        Ok(name)
    }

    /// Removes what has a temporary name. Another program's file that came out of a swap is kept under a name that says
    /// so, which is told.
    pub fn discard(&self, name: &str) -> io::Result<()> {
        let Some(stat) = self.stat(name)? else { return Ok(()) };
        if !is_ours(name, &stat) {
            let kept = format!("{KEPT_PREFIX}{:016x}", print(&stat));
            self.rename_over(name, &kept)?;
            let kept = crate::text::plain(&self.join(&kept).display().to_string());
            tracing::warn!("another program's file came out of a swap, and is kept: {kept}");
            return self.sync();
        }
        match self.folder(name)? {
            Some(_) => self.remove_folder(name),
            None => self.remove(name).map(drop),
        }
    }

    /// Opens a folder in this one; `None` where there is none, or where it is no folder.
    pub fn folder(&self, name: &str) -> io::Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => {
                let owner = owner(&rustix::fs::fstat(&fd)?);
                let path = self.join(name);
                Ok(Some(Self { fd, path, owner }))
            }
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The names in it.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            let entry = entry?;
            // A name that is not UTF-8 is none of ours.
            if let Ok(name) = entry.file_name().to_str()
                && name != "."
                && name != ".."
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Removes a folder in this one with the plain files in it (not what is deeper).
    pub fn remove_folder(&self, name: &str) -> io::Result<()> {
        if let Some(folder) = self.folder(name)? {
            for inner in folder.names()? {
                folder.remove(&inner)?;
            }
        }
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes what killed runs of ours left here: temporary names whose process is gone. Looks once a process and
    /// folder; what cannot be removed is left, since nothing depends on it.
    pub fn remove_leftovers(&self) {
        static SEEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
        if !SEEN.lock().is_ok_and(|mut seen| seen.insert(self.path.clone())) {
            return;
        }
        for name in self.stale() {
            let _ = self.discard(&name);
        }
    }

    /// What killed runs of ours left here, and [`Folder::remove_leftovers`] removes.
    pub fn leftovers(&self) -> Vec<String> {
        let mut names = self.stale();
        names.retain(|name| self.holds_ours(name));
        names
    }

    /// Other programs' files that came out of a swap of ours, and that nothing removes.
    pub fn kept(&self) -> Vec<String> {
        let mut names = self.names().unwrap_or_default();
        names.retain(|name| name.starts_with(KEPT_PREFIX) || (self.is_stale(name) && !self.holds_ours(name)));
        names
    }

    fn holds_ours(&self, name: &str) -> bool {
        self.stat(name).ok().flatten().is_none_or(|stat| is_ours(name, &stat))
    }

    fn stale(&self) -> Vec<String> {
        let mut names = self.names().unwrap_or_default();
        names.retain(|name| self.is_stale(name));
        names
    }

    fn is_stale(&self, name: &str) -> bool {
        let Some(temp) = parse_temp_name(name) else {
            return false;
        };
        if temp.namespace == pid_namespace() {
            return temp.process.is_gone();
        }
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_sec;
        matches!(self.stat(name), Ok(Some(stat)) if now - stat.st_mtime > FOREIGN_LEFTOVER_SECONDS)
    }
}

/// Whether a file system or kernel does not know an operation, as against refusing this one.
pub fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM | Errno::MLINK)
    )
}

/// What tells a file from every other one that exists at the same time: device and inode number.
pub fn inode(stat: &Stat) -> (u64, u64) {
    #[allow(clippy::unnecessary_cast, reason = "macOS has a signed 32-bit device number")]
    (stat.st_dev as u64, stat.st_ino)
}

/// Whether what has a temporary name is what its maker expected under it.
fn is_ours(name: &str, stat: &Stat) -> bool {
    let prints = parse_temp_name(name).map(|name| name.prints).unwrap_or_default();
    prints.is_empty() || prints.contains(&print(stat))
}

/// What tells a file from others, and from itself once somebody wrote to it.
fn print(stat: &Stat) -> u64 {
    let mut hasher = DefaultHasher::new();
    (stat.st_ino, stat.st_size, stat.st_mtime, stat.st_mtime_nsec).hash(&mut hasher);
    hasher.finish()
}

/// A file's permission bits, as in `chmod`: `0o600`.
pub fn permissions(stat: &Stat) -> u32 {
    #[allow(clippy::useless_conversion, reason = "macOS has 16 bits for a mode")]
    let mode = u32::from(stat.st_mode);
    mode & 0o7777
}

fn is_folder(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// Whether it is a regular file: no link, folder, pipe or device.
pub fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

/// Who a file belongs to.
pub fn owner(stat: &Stat) -> Owner {
    Owner {
        uid: stat.st_uid,
        gid: stat.st_gid,
    }
}

pub(super) fn chown(fd: impl std::os::fd::AsFd, to: Owner) -> io::Result<()> {
    if owner(&rustix::fs::fstat(&fd)?) == to {
        return Ok(());
    }
    let (uid, gid) = (rustix::fs::Uid::from_raw(to.uid), rustix::fs::Gid::from_raw(to.gid));
    Ok(rustix::fs::fchown(fd, Some(uid), Some(gid))?)
}
