//! Files on their way to their names.

use super::folder::{Folder, Owner, chown, is_unsupported, permissions};
use super::temp_name::with_temp_name;
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, Stat};
use std::fs::File;
use std::io::{self, Write};

/// A file on its way to its name. Dropped before it gets there, it is removed.
#[derive(Debug)]
pub struct Temp<'a> {
    folder: &'a Folder,
    file: File,
    name: Option<String>,
}

impl Folder {
    /// A new, empty 0600 file under a temporary name, ours alone; removed when dropped.
    pub fn temp(&self) -> io::Result<Temp<'_>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let (name, fd) = with_temp_name(&[], |name| {
            rustix::fs::openat(self.fd(), name, flags, Mode::RUSR | Mode::WUSR)
        })?;
        Ok(Temp {
            folder: self,
            file: File::from(fd),
            name: Some(name),
        })
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

    /// It will be exchanged with this file: if another program's comes out instead, that one is not removed. Its own
    /// content must be complete.
    pub fn expect(&mut self, old: &Stat) -> io::Result<()> {
        self.name = Some(self.folder.rename_away(self.name(), &[&self.stat()?, old])?);
        Ok(())
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
            let _ = self.folder.discard(name);
        }
    }
}
