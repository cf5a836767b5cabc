//! A Unix socket that every user may connect to, in a folder that only its owner may write to.

use super::failure::failed;
use super::{check_folder, quoted, remove};
use crate::error::{Error, ExitCode, Result};
use rustix::fs::{FileType, Stat};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// A socket's file, which goes when this is dropped, if it is this one still.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

/// Makes a socket with mode 0666. One that a program of ours left there, and that nobody answers any more, is replaced.
///
/// # Errors
/// Others may write to the folder; something else has the name; somebody answers there.
pub fn bind_for_all(path: &Path) -> Result<(UnixListener, SocketFile)> {
    let what = || format!("could not make the socket: {}", path.display());
    if let Err(error) = SocketAddr::from_pathname(path) {
        let next = "give a shorter path with --socket: at most 107 bytes";
        return Err(failed(what(), path, error).next(next));
    }
    check_folder(path).map_err(|error| match error.is_not_found() {
        true => error.next(format!(
            "make the folder first: mkdir -p -m 755 {}",
            quoted(super::parent(path))
        )),
        false => error,
    })?;
    if let Some(stat) = look(path).map_err(|error| failed(what(), path, error))? {
        refuse_what_is_not_left_over(path, &stat)?;
        remove(path)?;
    }
    let make = || -> io::Result<(UnixListener, SocketFile)> {
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
        let stat = look(path)?.ok_or(io::ErrorKind::NotFound)?;
        let file = SocketFile {
            path: path.to_owned(),
            inode: super::inode(&stat),
        };
        Ok((listener, file))
    };
    make().map_err(|error| failed(what(), path, error))
}

fn refuse_what_is_not_left_over(path: &Path, stat: &Stat) -> Result<()> {
    let is_ours = stat.st_uid == rustix::process::geteuid().as_raw();
    let is_socket = FileType::from_raw_mode(stat.st_mode) == FileType::Socket;
    let what = format!("could not make the socket: {}", path.display());
    if !is_ours || !is_socket {
        let error = Error::new(ExitCode::Failure, what).because(anyhow::Error::msg("something else has that name"));
        return Err(error.next("give another path with --socket, or look at what is there and remove it"));
    }
    match UnixStream::connect(path) {
        Ok(_) => {
            let error = Error::new(ExitCode::Failure, what);
            let error = error.because(anyhow::Error::msg("another process of this user answers there"));
            Err(error.next("stop that one first, or give another path with --socket"))
        }
        Err(_) => Ok(()),
    }
}

fn look(path: &Path) -> io::Result<Option<Stat>> {
    match rustix::fs::lstat(path) {
        Ok(stat) => Ok(Some(stat)),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_this = look(&self.path).is_ok_and(|stat| stat.is_some_and(|stat| super::inode(&stat) == self.inode));
        if is_this {
            let _ = remove(&self.path);
        }
    }
}
