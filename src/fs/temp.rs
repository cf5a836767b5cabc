//! Files on their way to their names, and the names that they have until then.

use super::folder::{Folder, Owner, chown, is_unsupported, permissions};
use crate::process::{Process, pid_namespace};
use rustix::fs::{AtFlags, Mode, RenameFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Write};

/// Temporary names start so; nobody else's do.
const TEMP_PREFIX: &str = ".sigilum-authz-notify-";
const TEMP_SUFFIX: &str = ".tmp";

/// A file on its way to its name. Dropped before it gets there, it is removed.
#[derive(Debug)]
pub struct Temp<'a> {
    folder: &'a Folder,
    file: File,
    name: Option<String>,
}

impl<'a> Temp<'a> {
    /// An open file that has a temporary name in this folder.
    pub(super) fn new(folder: &'a Folder, name: String, file: File) -> Self {
        let name = Some(name);
        Self { folder, file, name }
    }
}

impl Temp<'_> {
    /// Its temporary name.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// Fills it: bytes, then owner and mode.
    pub fn fill(&mut self, bytes: &[u8], mode: u32, owner: Option<Owner>) -> io::Result<()> {
        self.file.write_all(bytes)?;
        if let Some(owner) = owner {
            chown(&self.file, owner)?;
        }
        // After chown, which clears bits; and the umask may have taken some of 0600.
        if permissions(&self.stat()?) != mode {
            #[allow(clippy::unnecessary_cast, reason = "macOS has 16 bits for a mode")]
            rustix::fs::fchmod(&self.file, Mode::from_raw_mode(mode as rustix::fs::RawMode))?;
        }
        Ok(())
    }

    /// Gives it to this user and group.
    pub fn set_owner(&self, owner: Owner) -> io::Result<()> {
        chown(&self.file, owner)
    }

    /// The file itself.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// What the file system says of it.
    pub fn stat(&self) -> io::Result<Stat> {
        Ok(rustix::fs::fstat(&self.file)?)
    }

    /// Its bytes and what they mean are on the disk once this returns.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Takes the name, over whatever file or link has it.
    pub fn replace(mut self, to: &str) -> io::Result<()> {
        rustix::fs::renameat(self.folder.fd(), self.name(), self.folder.fd(), to)?;
        self.name = None;
        Ok(())
    }

    /// Takes the name if it is free; `AlreadyExists` if it is not.
    pub fn take(mut self, to: &str) -> io::Result<()> {
        match self.folder.rename_new(self.name(), to) {
            Ok(()) => {
                self.name = None;
                Ok(())
            }
            // A file system without "no replace" has hard links. The temporary name goes when this is dropped.
            Err(error) if is_unsupported(&error) => self.link(to),
            Err(error) => Err(error),
        }
    }

    /// Gets the name as a second one, if it is free; `AlreadyExists` if it is not.
    pub fn link(&self, to: &str) -> io::Result<()> {
        Ok(rustix::fs::linkat(
            self.folder.fd(),
            self.name(),
            self.folder.fd(),
            to,
            AtFlags::empty(),
        )?)
    }

    /// Swaps names with a file in one step: afterwards that file has the temporary name, and goes with this value.
    pub fn exchange(&self, with: &str) -> io::Result<()> {
        let fd = self.folder.fd();
        Ok(rustix::fs::renameat_with(
            fd,
            self.name(),
            fd,
            with,
            RenameFlags::EXCHANGE,
        )?)
    }
}

impl Drop for Temp<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = self.folder.remove(name);
        }
    }
}

/// Whether a name is one of our temporary ones, of any process: what a watcher of the folder should not look at.
pub fn is_temp_name(name: &str) -> bool {
    parse_temp_name(name).is_some()
}

/// Tries fresh temporary names until one is free: `.sigilum-authz-notify-<pid>-<start time>-<pid namespace>-<random>.tmp`
pub(super) fn with_temp_name<T>(mut attempt: impl FnMut(&str) -> rustix::io::Result<T>) -> io::Result<(String, T)> {
    let me = Process::me();
    loop {
        let random = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
        let (pid, start, namespace) = (me.pid, me.starttime.unwrap_or(0), pid_namespace());
        let name = format!("{TEMP_PREFIX}{pid}-{start}-{namespace}-{random:016x}{TEMP_SUFFIX}");
        match attempt(&name) {
            Ok(value) => return Ok((name, value)),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

pub(super) fn parse_temp_name(name: &str) -> Option<(Process, u64)> {
    let mut parts = name.strip_prefix(TEMP_PREFIX)?.strip_suffix(TEMP_SUFFIX)?.split('-');
    let pid = parts.next()?.parse().ok()?;
    let starttime = parts.next()?.parse().ok().filter(|ticks| *ticks != 0);
    let namespace = parts.next()?.parse().ok()?;
    let random = parts.next()?;
    let ours = random.len() == 16 && random.bytes().all(|byte| byte.is_ascii_hexdigit()) && parts.next().is_none();
    ours.then_some((Process { pid, starttime }, namespace))
}
