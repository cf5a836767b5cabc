//! The folder that guards a takeover: while it exists, everybody waits, and OpenClaw never removes one left behind.

use super::{Busy, MAX_BYTES};
use crate::fs::{self, Folder};
use crate::process::{Process, pid_namespace};
use serde::{Deserialize, Serialize};
use std::io;

/// The file in a guard of ours that says whose it is.
const OWNER: &str = "sigilum-authz-notify.json";
/// A guard stands for a few milliseconds. One from another container, whose processes we cannot see, is a dead one's
/// after this many seconds.
const FOREIGN_AFTER_SECONDS: i64 = 60;

/// Whose a guard of ours is.
#[derive(Serialize, Deserialize)]
struct Owned {
    pid: u32,
    starttime: Option<u64>,
    pid_namespace: u64,
}

/// A guard of ours, up until dropped.
pub(super) struct Guard<'a> {
    folder: &'a Folder,
    name: &'a str,
}

impl<'a> Guard<'a> {
    /// Puts up a guard, complete from its first moment; `None` where one is up already.
    pub(super) fn publish(folder: &'a Folder, name: &'a str) -> io::Result<Option<Self>> {
        let me = Process::me();
        let owned = serde_json::to_vec(&Owned {
            pid: me.pid,
            starttime: me.starttime,
            pid_namespace: pid_namespace(),
        })?;
        let (temp, inside) = folder.temp_folder()?;
        let published = sign(&inside, &owned).and_then(|()| match folder.rename_new(&temp, name) {
            // No "rename that replaces nothing" here: the best there is, with a moment in which the guard names nobody.
            Err(error) if fs::is_unsupported(&error) => {
                sign(&folder.new_folder(name)?, &owned)?;
                folder.remove_folder(&temp)
            }
            renamed => renamed,
        });
        match published {
            Ok(()) => Ok(Some(Self { folder, name })),
            Err(error) => {
                let _ = folder.remove_folder(&temp);
                match error.kind() {
                    io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty => Ok(None),
                    _ => Err(error),
                }
            }
        }
    }
}

/// Puts the file that says whose it is into a guard, on the disk too: a power cut must not leave one that names nobody.
fn sign(guard: &Folder, owned: &[u8]) -> io::Result<()> {
    let mut file = guard.temp()?;
    file.fill(owned, 0o600, guard.file_owner())?;
    file.sync()?;
    file.replace(OWNER)?;
    guard.sync()
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        // Away in one step, then to pieces: a guard without its file would block everybody if we died between.
        // Where that rename fails, to pieces where it is: left alone it would block OpenClaw until our next run.
        let name = self
            .folder
            .rename_away(self.name, &[])
            .unwrap_or_else(|_| self.name.to_owned());
        let _ = self.folder.remove_folder(&name);
    }
}

/// A guard that is up.
pub(super) enum Up {
    /// There is to wait for it.
    Busy(Busy),
    /// It is ours, these bytes name its process, and that is dead.
    Dead(Vec<u8>),
}

/// Why there is to wait for a guard; `None` where none is up, or where it was a dead process's of ours, which is
/// removed.
pub(super) fn look(folder: &Folder, name: &str) -> io::Result<Option<Busy>> {
    match find(folder, name)? {
        None => Ok(None),
        Some(Up::Busy(why)) => Ok(Some(why)),
        Some(Up::Dead(seen)) => remove_dead(folder, name, &seen),
    }
}

/// The guard that is up, where one is; nothing is changed.
pub(super) fn find(folder: &Folder, name: &str) -> io::Result<Option<Up>> {
    let Some(stat) = folder.stat(name)? else {
        return Ok(None);
    };
    let age = (rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_sec - stat.st_mtime).max(0);
    let (names, owner) = match folder.folder(name) {
        Ok(Some(guard)) => match guard.read(OWNER, MAX_BYTES) {
            Ok(owner) => (guard.names()?, owner),
            Err(error) if error.raw_os_error().is_none() => (guard.names()?, None),
            Err(error) => return Err(error),
        },
        // No folder, or one that we may not look into.
        Ok(None) => (vec![String::new()], None),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => (vec![String::new()], None),
        Err(error) => return Err(error),
    };
    let ours = owner
        .as_ref()
        .and_then(|owner| serde_json::from_slice::<Owned>(&owner.bytes).ok());
    let (Some(owner), Some(ours), 1) = (&owner, &ours, names.len()) else {
        // It may have gone between the two looks; then the next try finds nothing.
        let empty = names.is_empty();
        return Ok(Some(Up::Busy(Busy::ForeignGuard { age, empty })));
    };
    let process = Process {
        pid: ours.pid,
        starttime: ours.starttime,
    };
    let gone = if ours.pid_namespace == pid_namespace() {
        process.is_gone()
    } else {
        age > FOREIGN_AFTER_SECONDS
    };
    Ok(Some(match gone {
        true => Up::Dead(owner.bytes.clone()),
        false => Up::Busy(Busy::OurGuard(ours.pid)),
    }))
}

/// Removes a dead process's guard that was seen a moment ago.
fn remove_dead(folder: &Folder, name: &str, seen: &[u8]) -> io::Result<Option<Busy>> {
    match folder.rename_away(name, &[]) {
        Ok(temp) => {
            let taken = folder.folder(&temp)?.map(|guard| guard.read(OWNER, MAX_BYTES));
            if matches!(taken, Some(Ok(Some(content))) if content.bytes == seen) {
                folder.remove_folder(&temp)?;
                return Ok(None);
            }
            // Between look and rename the dead one's guard was removed and another put up: give that one back.
            folder.rename_new(&temp, name)?;
            Ok(Some(Busy::ForeignGuard { age: 0, empty: false }))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "openclaw.json.lock.reclaim";

    fn owned(pid: u32) -> Vec<u8> {
        let owned = Owned {
            pid,
            starttime: Some(5),
            pid_namespace: pid_namespace(),
        };
        serde_json::to_vec(&owned).unwrap()
    }

    /// What happens between our look at a dead process's guard and its removal; why there is to wait, what is left.
    #[test]
    fn a_guard_that_changes_while_we_look() {
        type Meanwhile = fn(&std::path::Path);
        let cases: [(&str, Meanwhile, Option<Busy>, &[&str]); 4] = [
            ("nothing", |_| (), None, &[]),
            (
                "it vanishes",
                |guard| std::fs::remove_dir_all(guard).unwrap(),
                None,
                &[],
            ),
            (
                "another of ours is put up",
                |guard| std::fs::write(guard.join(OWNER), owned(1)).unwrap(),
                Some(Busy::ForeignGuard { age: 0, empty: false }),
                &[NAME],
            ),
            (
                "OpenClaw puts up its own",
                |guard| std::fs::remove_file(guard.join(OWNER)).unwrap(),
                Some(Busy::ForeignGuard { age: 0, empty: false }),
                &[NAME],
            ),
        ];
        for (what, meanwhile, busy, left) in cases {
            let dir = tempfile::tempdir().unwrap();
            let folder = Folder::open(dir.path()).unwrap();
            let guard = dir.path().join(NAME);
            std::fs::create_dir(&guard).unwrap();
            let seen = owned(4_000_000);
            std::fs::write(guard.join(OWNER), &seen).unwrap();
            meanwhile(&guard);
            assert_eq!(remove_dead(&folder, NAME, &seen).unwrap(), busy, "{what}");
            assert_eq!(folder.names().unwrap(), left, "{what}");
        }
    }
}
