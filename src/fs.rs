//! The one way to write a file: temp file in the same folder, mode, owner, fsync, rename, fsync of the folder.
//!
//! What is fsynced and why: a file's bytes before its rename (else a power cut can leave an empty file under the new
//! name), its folder after it (else the rename itself may be lost). Bytes that are already there are not written.
//! Several files written under one [`OwnLock`] share the folder's fsync.

mod accounts;
mod another_user;
mod append;
mod backups;
mod failure;
mod folder;
mod going;
mod own_lock;
mod reach;
mod socket;
mod temp;
mod temp_name;
mod trust;

pub use accounts::{account_name, group_number, is_in_group, run_as, sudo_as, user_name, user_number};
pub use another_user::{another_user, is_of, not_its_owners};
pub use append::append_line;
pub use backups::{back_up, drop_links, put_back, remove_empty_folder};
pub use failure::{failed_as, link_to_nothing, own_mode, own_mode_to_write};
pub use folder::{Content, Folder, Owner, inode, is_regular, is_unsupported, owner, permissions};
pub use going::Inventory;
pub use own_lock::{FileLock, OwnLock, lock_existing_sigilum, lock_sigilum, refuse_to_lock_sigilum};
pub use reach::{can_change, can_read};
pub use socket::{SocketFile, bind_for_all};
pub use temp::Temp;
pub use temp_name::{KEPT_PREFIX, is_temp_name};
pub use trust::{
    chmod, is_loose_folder, is_open_without_modes, make_roots, may_chmod, others_can_write, quoted,
    refuse_anothers_file, refuse_anothers_program, refuse_program_not_of_root, trust_all_writers,
};

use crate::error::{Error, ExitCode, OrFail, Result};
use failure::failed;
use rustix::fs::{Access, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::io;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The mode of everything that is ours alone.
const PRIVATE: u32 = 0o600;
/// The mode of a program of ours.
const EXECUTABLE: u32 = 0o755;

/// Replaces `path` by a 0600 file with these bytes: afterwards it is the old one or the new one, in full. A link of
/// that name is replaced, never written through. A folder where others could replace the file is refused. Nothing is
/// written where the file already is what it should be.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = open_folder(path)?;
    if !replace_in(&folder, path, bytes, PRIVATE, true)? {
        return Ok(());
    }
    folder.sync().or_fail(ExitCode::Failure, || could_not_write(path))
}

/// The write in a path's folder, without that folder's fsync; says whether there was anything to write.
fn replace_in(folder: &Folder, path: &Path, bytes: &[u8], mode: u32, sync: bool) -> Result<bool> {
    let name = file_name(path)?;
    let write = || -> io::Result<bool> {
        if is_already(folder, name, bytes, mode)? {
            return Ok(false);
        }
        let mut temp = folder.temp()?;
        temp.fill(bytes, mode, folder.file_owner())?;
        if sync {
            temp.sync()?;
        }
        temp.replace(name)?;
        tracing::debug!("wrote {}", crate::text::plain(&path.display().to_string()));
        Ok(true)
    };
    write().map_err(|error| failed(could_not_write(path), path, error))
}

fn could_not_write(path: &Path) -> String {
    format!("could not write the file: {}", path.display())
}

/// Whether a file has these bytes, this mode and owner, and no second name.
fn is_already(folder: &Folder, name: &str, bytes: &[u8], mode: u32) -> io::Result<bool> {
    let Some(stat) = folder.stat(name)? else {
        return Ok(false);
    };
    let same_kind = is_regular(&stat)
        && permissions(&stat) == mode
        && stat.st_nlink == 1
        && folder.file_owner().is_none_or(|wanted| wanted == owner(&stat))
        && u64::try_from(stat.st_size) == Ok(bytes.len() as u64);
    // What cannot be read cannot be the same; the write says what is wrong.
    Ok(same_kind
        && folder
            .read(name, bytes.len() as u64)
            .is_ok_and(|content| content.is_some_and(|content| content.bytes == bytes)))
}

/// Makes a folder and its missing parents, 0700 each, owned as the folder that they are made in is where root makes
/// them. A folder that exists is left as it is.
pub fn create_private_dir(path: &Path) -> Result<()> {
    let what = || format!("could not make the folder: {}", path.display());
    let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.is_dir();
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    for folder in missing.into_iter().rev() {
        let above = parent(folder);
        let parent = Folder::open(above).map_err(|error| failed(what(), above, error))?;
        parent
            .make_folder(file_name(folder)?)
            .map_err(|error| failed(what(), folder, error))?;
    }
    Ok(())
}

/// The bytes of a regular file of at most `limit` bytes, through links; `None` where there is no such file. A pipe, a
/// device or a folder is an error, and never waited for. Files of ours are read by [`read_private`].
pub fn read_capped(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    read_at_most(path, limit, true)
}

/// The same of whatever can be read, as a person names it for this one time: `<(pass show linear)` is a pipe.
pub fn read_named(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    read_at_most(path, limit, false)
}

fn read_at_most(path: &Path, limit: u64, regular: bool) -> Result<Option<Vec<u8>>> {
    let what = || format!("could not read the file: {}", path.display());
    let flags = if regular { OFlags::NONBLOCK } else { OFlags::empty() };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | flags;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => std::fs::File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(failed(what(), path, error.into())),
    };
    let about = file.metadata().map_err(|error| failed(what(), path, error))?;
    if regular && !about.is_file() {
        return Err(failed(what(), path, io::Error::other("it is not a regular file")));
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .or_fail(ExitCode::Failure, what)?;
    if bytes.len() as u64 > limit {
        return Err(Error::new(
            ExitCode::Failure,
            format!("could not read the file, it is over {limit} bytes: {}", path.display()),
        ));
    }
    Ok(Some(bytes))
}

/// Why a file is not believed: somebody else may have put it there, or changed it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Disbelieved(String);

/// As [`read_private`], of a record; `anew` says what to do about one that somebody else may have written.
pub fn read_record(path: &Path, limit: u64, anew: impl Fn(&Path) -> String) -> Result<Option<Vec<u8>>> {
    read_private(path, limit).map_err(|error| match error.is_because_of::<Disbelieved>() {
        true => error.next(anew(path)),
        false => error,
    })
}

/// What to do about a file that somebody else may have written: `make` is the command that makes it.
pub fn remake(path: &Path, make: &str) -> String {
    format!("look at it, then make it anew: {} && {make}", removal(path))
}

/// The command that removes what has the name of a file of ours.
pub fn removal(path: &Path) -> String {
    let is_folder = path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
    let flag = if is_folder { "-r " } else { "" };
    format!("rm {flag}{}", quoted(path))
}

/// The bytes of a file of ours; `None` where there is no such file. What someone else may have planted or changed is
/// refused: a link, a file with a second name, one that a user who is not trusted owns or may write to. The folder is
/// not asked about: who only reads has nothing to lose in it.
pub fn read_private(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    read_believed(path, limit, None)
}

/// The same, and refused unless the file that was opened and its folder belong to this user.
pub fn read_private_of(path: &Path, limit: u64, uid: u32) -> Result<Option<Vec<u8>>> {
    read_believed(path, limit, Some(uid))
}

/// That a file is not as we write them.
fn not_ours(what: String, path: &Path, why: String) -> Error {
    let error = Error::new(ExitCode::Failure, what).because(Disbelieved(why));
    error.next(format!("look at it, then remove it: {}", removal(path)))
}

fn read_believed(path: &Path, limit: u64, only_of: Option<u32>) -> Result<Option<Vec<u8>>> {
    let folder = match std::fs::symlink_metadata(parent(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        _ => open_to_read(path)?,
    };
    let what = || format!("could not read the file: {}", path.display());
    let not_ours = |why: String| not_ours(what(), path, why);
    let content = match folder.read(file_name(path)?, limit) {
        Ok(Some(content)) => content,
        Ok(None) => return Ok(None),
        // A link, a pipe, something large: we write none of them.
        Err(error) if error.kind() == io::ErrorKind::Other => return Err(not_ours(error.to_string())),
        Err(error) => return Err(failed(what(), path, error)),
    };
    if let Some(uid) = only_of.filter(|uid| [folder.owner().uid, content.stat.st_uid] != [*uid; 2]) {
        let why = format!("it does not belong to the home's owner (user number {uid})");
        let error = Error::new(ExitCode::Failure, what()).because(anyhow::Error::msg(why));
        return Err(error.next(format!("look at whose it is: ls -l {}", quoted(path))));
    }
    match trust::disbelief(&folder, &content.stat) {
        None => Ok(Some(content.bytes)),
        Some(why) => Err(not_ours(why)),
    }
}

/// Makes files in a folder of ours private again that others may read; of those names only.
pub fn mend(folder: &Path, is_ours: impl Fn(&str) -> bool) -> Result<()> {
    trust::mend(&open_to_read(&folder.join("-"))?, is_ours);
    Ok(())
}

/// Makes a folder of ours 0700 again.
pub fn mend_folder(folder: &Path) -> Result<()> {
    let what = || format!("could not change the mode of the folder: {}", folder.display());
    let opened = open_to_read(&folder.join("-"))?;
    rustix::fs::fchmod(opened.fd(), Mode::RWXU).map_err(|error| failed(what(), folder, error.into()))
}

/// Refuses a folder in which someone who is not trusted could replace files; looks, and changes nothing.
pub fn refuse_open_to_others(folder: &Path) -> Result<()> {
    trust::refuse_open_to_others(&open_to_read(&folder.join("-"))?)
}

/// Refuses a folder that we may not write into; looks, and changes nothing.
pub fn refuse_unwritable(folder: &Path) -> Result<()> {
    let what = || format!("could not write to the folder: {}", folder.display());
    let may = rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK);
    may.map_err(|error| failed(what(), folder, error.into()))
}

/// Refuses a folder that a write of ours would refuse, or that could not be made; looks, and changes nothing.
pub fn refuse_to_write_in(folder: &Path) -> Result<()> {
    match folder.is_dir() {
        true => refuse_open_to_others(folder)?,
        false => trust::refuse_new_among_others(folder)?,
    }
    let there = folder.ancestors().find(|folder| folder.is_dir());
    refuse_unwritable(there.unwrap_or(Path::new(".")))
}

/// A file of ours that is not private.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loose {
    /// The file.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
    /// Whether somebody who is not trusted may read it.
    pub is_readable: bool,
    /// Why it is not believed, where somebody else may have written it. To make it private would make it count.
    pub doubt: Option<String>,
}

/// What has those names in a folder and others may read, or may have put there; folders aside. None where there is no
/// such folder.
pub fn loose(folder: &Path, is_ours: impl Fn(&str) -> bool) -> Vec<Loose> {
    let Ok(folder) = Folder::open(folder) else {
        return Vec::new();
    };
    let mut names = folder.names().unwrap_or_default();
    names.retain(|name| is_ours(name));
    names.sort();
    let loose = |name: String| {
        let stat = folder.stat(&name).ok()??;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let doubt = match kind {
            FileType::RegularFile => trust::disbelief(&folder, &stat),
            FileType::Directory => return None,
            FileType::Symlink => Some("it is a symbolic link".to_owned()),
            _ => Some("it is not a regular file".to_owned()),
        };
        let found = Loose {
            path: folder.join(&name),
            mode: permissions(&stat),
            is_readable: is_regular(&stat) && trust::readable_by_others(&folder, &stat),
            doubt,
        };
        (found.is_readable || found.doubt.is_some()).then_some(found)
    };
    names.into_iter().filter_map(loose).collect()
}

/// Removes a file, or a link itself; says whether there was one.
pub fn remove(path: &Path) -> Result<bool> {
    match std::fs::remove_file(path) {
        Ok(()) => {
            tracing::debug!("removed {}", crate::text::plain(&path.display().to_string()));
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(
            format!("could not remove the file: {}", path.display()),
            path,
            error,
        )),
    }
}

/// Takes what has a name of ours away: a folder by a name with `.aside` behind it, anything else for good.
pub fn set_aside(path: &Path) -> Result<()> {
    if !path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        return remove(path).map(drop);
    }
    let name = file_name(path)?;
    let moved = open_to_read(path)?.rename_new(name, &format!("{name}.aside"));
    moved.map_err(|error| {
        failed(
            format!("could not move the folder away: {}", path.display()),
            path,
            error,
        )
    })
}

/// Whether it is another program's file that came out of a swap of ours.
pub fn is_kept(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy());
    name.is_some_and(|name| name.starts_with(KEPT_PREFIX))
}

/// What stays of a file elsewhere once its name here is removed, for a person: where the name is a link, or the file has
/// another name.
pub fn stays(path: &Path) -> Option<String> {
    let meta = path.symlink_metadata().ok()?;
    let here = path.display();
    if meta.is_symlink() {
        let file = path.canonicalize().ok().filter(|file| file.is_file())?;
        let (what, step) = (file.display(), quoted(&file));
        return Some(format!(
            "what stood in the token file stays, in {what}: {here} was a symbolic link to it\n  next: rm {step}"
        ));
    }
    if !meta.is_file() || meta.nlink() < 2 {
        return None;
    }
    // All names of a file are on one file system.
    let same = |folder: &&Path| folder.metadata().is_ok_and(|above| above.dev() == meta.dev());
    let top = path.ancestors().skip(1).take_while(same).last()?;
    let (top, number) = (quoted(top), meta.ino());
    Some(format!(
        "what stood in the token file stays, under another name: {here} was a hard link\n  next: find it, and remove it: \
         find {top} -xdev -inum {number}"
    ))
}

/// The folder of a file of ours, trusted and rid of what killed runs left.
fn open_folder(path: &Path) -> Result<Folder> {
    open_folder_of(path, None)
}

/// The same of another user's file: a folder that was swapped for somebody else's is left alone.
fn open_folder_of(path: &Path, owner: Option<u32>) -> Result<Folder> {
    let folder = open_to_read(path)?;
    if let Some(uid) = owner.filter(|uid| folder.owner().uid != *uid) {
        return Err(not_its_owners(ExitCode::Failure, path, uid));
    }
    trust::refuse_open_to_others(&folder)?;
    folder.remove_leftovers();
    Ok(folder)
}

/// The folder of a file of ours.
fn open_to_read(path: &Path) -> Result<Folder> {
    let parent = parent(path);
    let what = || format!("could not open the folder: {}", parent.display());
    // Our own folders are never links: one of that name was planted.
    let is_ours = parent
        .file_name()
        .is_some_and(|name| name == ".sigilum" || name == ".sigilum-workspace");
    if is_ours && std::fs::symlink_metadata(parent).is_ok_and(|meta| meta.is_symlink()) {
        return Err(Error::new(ExitCode::Failure, what())
            .because(anyhow::Error::msg("it is a symbolic link"))
            .next(format!("look at it, then remove it: rm {}", quoted(parent))));
    }
    let opened = match (is_ours, parent.parent(), file_name(parent)) {
        // Nor may one take its place meanwhile.
        (true, Some(above), Ok(name)) => Folder::open(above).and_then(|above| {
            let folder = above.folder(name)?;
            let is_there = || matches!(above.stat(name), Ok(Some(_)));
            folder.ok_or_else(|| if is_there() { Errno::NOTDIR } else { Errno::NOENT }.into())
        }),
        _ => Folder::open(parent),
    };
    opened.map_err(|error| failed(what(), parent, error))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn file_name(path: &Path) -> Result<&str> {
    path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        Error::new(
            ExitCode::Usage,
            format!(
                "could not use the path, its last part is not a valid UTF-8 file name: {}",
                path.display()
            ),
        )
        .next("give a path without .. in it, that ends in a name of plain text")
    })
}

/// Makes a 0600 file with these bytes in one step; `false` where the name is taken. Whether the folder is to be trusted
/// is the caller's to know: see [`check_folder`].
pub fn create_private_file(path: &Path, bytes: &[u8]) -> Result<bool> {
    let what = || format!("could not make the file: {}", path.display());
    let name = file_name(path)?;
    let make = || -> io::Result<()> {
        let folder = Folder::open(parent(path))?;
        folder.remove_leftovers();
        let mut temp = folder.temp()?;
        temp.fill(bytes, PRIVATE, folder.file_owner())?;
        if !bytes.is_empty() {
            temp.sync()?;
        }
        temp.take(name)?;
        folder.sync()
    };
    match make() {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed(what(), path, error)),
    }
}

/// Refuses the folder of a file where others could replace that file.
pub fn check_folder(path: &Path) -> Result<()> {
    open_folder(path).map(drop)
}

/// Waits until what was written to a file is on the disk; a file that is not there needs none of it.
pub fn sync_file(path: &Path) -> Result<()> {
    match std::fs::File::open(path).and_then(|file| file.sync_data()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(could_not_write(path), path, error)),
        _ => Ok(()),
    }
}
