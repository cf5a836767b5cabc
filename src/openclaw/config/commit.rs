//! From the plan to the disk: temp files, undo record, swap.

use super::file::{File, PRIVATE};
use super::plan::Plan;
use super::record::{self, key};
use crate::error::{Error, ExitCode, Result};
use crate::fs::{self, Content, Folder, OwnLock, Owner, Temp};
use crate::home::OpenClawHome;
use crate::openclaw::entry;
use crate::openclaw::lock::WriteLock;
use crate::openclaw::undo::{self, Undo};
use json5_edit::MAX_BYTES;
use rustix::fs::Stat;
use rustix::io::Errno;
use secrecy::ExposeSecret;
use std::io;
use std::path::Path;

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
    place: &OpenClawHome,
    own_lock: &OwnLock,
    write_lock: &mut Option<WriteLock>,
) -> Result<Committed> {
    let mut ready = Vec::new();
    for change in &plan.changes {
        let file = &plan.seen.files[change.file];
        let mode = if change.private { PRIVATE } else { file_mode(file) };
        let folder = file.target.folder.as_ref();
        let folder = folder.ok_or_else(|| not_written(&file.target.path, io::ErrorKind::NotFound.into()))?;
        folder.remove_leftovers();
        let temp = if change.delete {
            None
        } else {
            let prepared = prepare(file, folder, &change.edited.document.to_bytes(), mode);
            Some(prepared.map_err(|error| not_written(&file.target.path, error))?)
        };
        ready.push((file, folder, temp));
    }
    let mut undo = noted(plan);
    record::store(place, own_lock, &undo)?;
    own_lock.sync()?;
    let mut folders = Vec::new();
    for (file, folder, temp) in ready {
        let (name, old) = (&file.target.name, file.content.as_ref());
        let swapped = match temp {
            Some(temp) => swap(folder, &temp, name, old),
            None => remove(folder, name, old),
        };
        match swapped {
            Ok(true) => folders.push((folder, &file.target.path)),
            Ok(false) => return Ok(Committed::Changed),
            Err(error) => return Err(not_written(&file.target.path, error)),
        }
    }
    drop(write_lock.take());
    folders.dedup_by(|a, b| a.0.path() == b.0.path());
    for (folder, path) in folders {
        folder.sync().map_err(|error| {
            let what = "the new config is in place, but it is not sure that it would survive a power cut";
            // By its kind it would be one of a config that cannot be replaced.
            Error::new(ExitCode::Config, format!("{what}: {}", path.display()))
                .because(anyhow::Error::msg(error.to_string()))
                .next("look at the disk, and run the command again")
        })?;
    }
    let given_back: Vec<_> = plan.changes.iter().filter(|change| change.given_back).collect();
    if !given_back.is_empty() {
        for change in given_back {
            undo.forget(&key(&plan.seen.files[change.file].target.path));
        }
        record::settle(place, own_lock, &undo)?;
    }
    Ok(Committed::Done)
}

/// The undo record with what the edit does, so that it can be taken back.
fn noted(plan: &Plan) -> Undo {
    let mut undo = plan.undo.clone();
    for change in plan.changes.iter().filter(|change| !change.delete) {
        let file = &plan.seen.files[change.file];
        undo.note(
            &key(&file.target.path),
            &undo::Change {
                old: file.content.as_ref().map(|_| file.document.as_str()),
                before: file.document.value(),
                edited: &change.edited,
                after: change.edited.document.value(),
            },
        );
    }
    if plan.undo_was_lost
        && let Ok(Some(entry)) = entry::find(plan.seen.value())
        && let Some(token) = entry.token()
    {
        // Most likely ours: an uninstall must not give a live token back.
        undo.scrub(|text| text == token.expose_secret());
    }
    undo
}

fn file_mode(file: &File) -> u32 {
    file.content
        .as_ref()
        .map_or(PRIVATE, |content| fs::permissions(&content.stat))
}

/// The new file under a temporary name, complete and on the disk, with the old one's owner.
fn prepare<'a>(file: &File, folder: &'a Folder, bytes: &[u8], mode: u32) -> io::Result<Temp<'a>> {
    let mut temp = folder.temp()?;
    let owner = match &file.content {
        Some(content) => Some(fs::owner(&content.stat)),
        None => folder.file_owner(),
    };
    if let Some(owner) = owner {
        own(&temp, owner, mode)?;
    }
    temp.fill(bytes, mode, None)?;
    temp.sync()?;
    if let Some(content) = &file.content {
        temp.expect(&content.stat)?;
    }
    Ok(temp)
}

/// Gives the new file the old one's owner, as far as anybody may do anything with it by that.
fn own(temp: &Temp<'_>, owner: Owner, mode: u32) -> io::Result<()> {
    let is_refused = |error: &io::Error| Errno::from_io_error(error) == Some(Errno::PERM);
    let me = rustix::process::geteuid().as_raw();
    // Root can do everything all the same, and anybody read it, and replace it in a folder of theirs: in an image that runs
    // as any user of group 0.
    let needs_no_owner = owner.uid == 0 || mode & 0o064 == 0o064;
    let refused = match temp.set_owner(owner) {
        Err(error) if is_refused(&error) && needs_no_owner => temp.set_owner(Owner { uid: me, ..owner }),
        owned => owned,
    };
    match refused {
        // A group that we are not in can be left out where it may do nothing; another user cannot.
        Err(error) if is_refused(&error) && [0, me].contains(&owner.uid) && mode & 0o070 == 0 => Ok(()),
        Err(error) if is_refused(&error) => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "it belongs to user {} and group {}, and the new file could not",
                owner.uid, owner.gid
            ),
        )),
        owned => owned,
    }
}

/// Removes the file if it still is what was read; says whether it was.
fn remove(folder: &Folder, name: &str, old: Option<&Content>) -> io::Result<bool> {
    let Some(old) = old else { return Ok(true) };
    let temp = match folder.rename_away(name, &[&old.stat]) {
        Ok(temp) => temp,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    let same = is_same(folder, &temp, old);
    if let Ok(true) = same {
        return folder.remove(&temp).map(|_| true);
    }
    // Another writer's: back it goes, unless there is a newer one by now.
    match folder.rename_new(&temp, name) {
        Err(error) if fs::is_unsupported(&error) => folder.rename_over(&temp, name)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => folder.discard(&temp)?,
        renamed => renamed?,
    }
    same
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
            Err(error) if fs::is_unsupported(&error) => match temp.link(name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                linked => linked.map(|()| true),
            },
            Err(error) => Err(error),
        };
    };
    if !is_same(folder, name, old)? {
        return Ok(false);
    }
    exchange(folder, temp, name, old)
}

/// The swap without the look before.
fn exchange(folder: &Folder, temp: &Temp<'_>, name: &str, old: &Content) -> io::Result<bool> {
    match temp.exchange(name) {
        Ok(()) => match is_same(folder, temp.name(), old) {
            Ok(true) => Ok(true),
            other => swap_back(folder, temp, name).and(other),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        // No exchange on this file system.
        Err(error) if fs::is_unsupported(&error) => folder.rename_over(temp.name(), name).map(|()| true),
        Err(error) => Err(error),
    }
}

/// Whether a file has the bytes, mode and owner that were read. A link or folder of that name has not; where nobody
/// can tell, that is an error.
fn is_same(folder: &Folder, name: &str, old: &Content) -> io::Result<bool> {
    let permissions = |stat: &Stat| (stat.st_mode, stat.st_uid, stat.st_gid);
    match folder.read(name, MAX_BYTES as u64) {
        Ok(Some(now)) => Ok(now.bytes == old.bytes && permissions(&now.stat) == permissions(&old.stat)),
        Ok(None) => Ok(false),
        Err(error) if error.raw_os_error().is_none() => Ok(false),
        Err(error) => Err(error),
    }
}

/// After an exchange that brought out another writer's file: puts it back. If yet another file came out then, that one
/// is newer, and it is its turn; so on until what comes out is what we put in.
fn swap_back(folder: &Folder, temp: &Temp<'_>, name: &str) -> io::Result<()> {
    // Held open, so that no new file can get the number of one that is gone.
    let mut held = Vec::new();
    let mut number = |name: &str| -> io::Result<Option<(u64, u64)>> {
        held.push(folder.hold(name));
        Ok(folder.stat(name)?.map(|stat| fs::inode(&stat)))
    };
    let mut expected = Some(crate::fs::inode(&temp.stat()?));
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

/// Before the path of a file that could not be written.
pub(super) const NOT_WRITTEN: &str = "could not write the config: ";

fn not_written(path: &Path, error: io::Error) -> Error {
    let what = format!("{NOT_WRITTEN}{}", path.display());
    fs::failed_as(ExitCode::Config, what, path, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// A folder with a config in it that was read, and the new file beside it.
    fn with_swap(test: impl Fn(&Path, &Folder, &Content, Temp<'_>)) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("c"), "old").unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let old = folder.read("c", 100).unwrap().unwrap();
        let mut temp = folder.temp().unwrap();
        temp.fill(b"new", 0o600, None).unwrap();
        temp.expect(&old.stat).unwrap();
        test(dir.path(), &folder, &old, temp);
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "something was left behind"
        );
    }

    #[test]
    fn what_was_read_is_replaced() {
        with_swap(|dir, folder, old, temp| {
            assert!(swap(folder, &temp, "c", Some(old)).unwrap());
            drop(temp);
            assert_eq!(fs::read(dir.join("c")).unwrap(), b"new");
        });
    }

    /// Another writer came between our last look and the exchange.
    #[test]
    fn what_another_writer_put_there_is_put_back() {
        type Write = fn(&Path);
        let writes: [(&str, Write); 5] = [
            ("in place", |path| fs::write(path, "theirs").unwrap()),
            ("by rename", |path| {
                fs::write(path.with_extension("t"), "theirs").unwrap();
                fs::rename(path.with_extension("t"), path).unwrap();
            }),
            ("a mode", |path| {
                use std::os::unix::fs::PermissionsExt;
                fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
            }),
            ("a link", |path| {
                fs::remove_file(path).unwrap();
                symlink("/nowhere", path).unwrap();
            }),
            ("a folder", |path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            }),
        ];
        for (what, write) in writes {
            with_swap(|dir, folder, old, temp| {
                write(&dir.join("c"));
                let before = folder
                    .stat("c")
                    .unwrap()
                    .map(|stat| (crate::fs::inode(&stat), stat.st_mode));
                assert!(!exchange(folder, &temp, "c", old).unwrap(), "{what}");
                assert_eq!(
                    folder
                        .stat("c")
                        .unwrap()
                        .map(|stat| (crate::fs::inode(&stat), stat.st_mode)),
                    before,
                    "{what}"
                );
                assert!(!swap(folder, &temp, "c", Some(old)).unwrap(), "{what}");
                drop(temp);
            });
        }
        with_swap(|dir, folder, old, temp| {
            fs::remove_file(dir.join("c")).unwrap();
            assert!(!exchange(folder, &temp, "c", old).unwrap());
            assert!(!swap(folder, &temp, "c", Some(old)).unwrap());
            assert!(!dir.join("c").exists());
            fs::write(dir.join("c"), "made meanwhile").unwrap();
            assert!(!swap(folder, &temp, "c", None).unwrap());
            assert_eq!(fs::read(dir.join("c")).unwrap(), b"made meanwhile");
        });
    }

    /// Ended at once after the exchange, or unable to put it back.
    #[test]
    fn another_writers_file_is_kept_whatever_becomes_of_us() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        let text = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        for by_name in [false, true] {
            fs::write(&path, "old").unwrap();
            let folder = Folder::open(dir.path()).unwrap();
            let old = folder.read("c", 100).unwrap().unwrap();
            let mut temp = folder.temp().unwrap();
            temp.fill(b"new", 0o600, None).unwrap();
            temp.expect(&old.stat).unwrap();
            if by_name {
                fs::write(dir.path().join("d"), "theirs").unwrap();
                fs::rename(dir.path().join("d"), &path).unwrap();
            } else {
                fs::write(&path, "theirs").unwrap();
            }
            temp.exchange("c").unwrap();
            drop(temp);
            assert_eq!(text("c"), "new");
            let kept = folder.kept();
            assert_eq!(kept.iter().map(|name| text(name)).collect::<Vec<_>>(), ["theirs"]);
            fs::remove_file(dir.path().join(&kept[0])).unwrap();
        }
    }

    #[test]
    fn only_what_was_read_is_removed() {
        with_swap(|dir, folder, old, _| {
            fs::write(dir.join("c"), "theirs").unwrap();
            assert!(!remove(folder, "c", Some(old)).unwrap());
            assert_eq!(fs::read(dir.join("c")).unwrap(), b"theirs");
            fs::write(dir.join("c"), "old").unwrap();
            assert!(remove(folder, "c", Some(old)).unwrap());
            assert!(!dir.join("c").exists());
            fs::write(dir.join("c"), "").unwrap();
        });
    }

    #[test]
    fn errors_say_what_to_do() {
        let table = [
            (Errno::NOSPC, "free some disk space"),
            (Errno::ACCESS, "run the command as the user"),
            (Errno::PERM, "run the command as the user"),
            (Errno::ROFS, "mount the file system writable"),
            (Errno::MFILE, "ulimit -n"),
            (Errno::FBIG, "ulimit -f"),
            (Errno::IO, "Input/output error"),
        ];
        for (errno, says) in table {
            let error = not_written(Path::new("/x/openclaw.json"), errno.into());
            let text = error.to_string();
            assert_eq!(error.code, ExitCode::Config);
            assert!(text.contains(says) && text.contains("/x/openclaw.json"), "{text}");
        }
    }
}
