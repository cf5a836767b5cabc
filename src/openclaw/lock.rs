//! OpenClaw's own write lock on its config: `<real folder of the config>/<its file name>.lock`.
//!
//! The lock is a file that says who holds it: `{"pid":…,"createdAt":"…","starttime":…}`. It is beside the config as it
//! is named, also where that name is a symbolic link. The rules are OpenClaw 2026.9.6's, as seen from outside; ours are
//! the same, so that each side waits for the other and takes over what the other's dead processes left.
//!
//! Three things are done with more care than needed for that, because **OpenClaw never removes** what goes wrong there:
//! our lock appears with its whole content (a half-written one blocks everybody for ever), and is on the disk before
//! it appears (so that a power cut leaves no empty one); the folder that guards a takeover appears with a file in it
//! that names us, so that our next run can remove it when we died; and only what is still ours is removed.

mod guard;
#[cfg(test)]
mod tests;

use crate::error::{Error, ExitCode, Result};
use crate::fs::{self, Folder, Temp, inode};
use crate::process::waiting::Waiting;
use crate::process::{self, Life, Process};
use guard::Guard;
use serde_json::Value;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A lock's content is three short members; anything longer is not one.
const MAX_BYTES: u64 = 16 * 1024;
/// How old a lock that names no process must be to be taken over.
const NAMELESS_AFTER: Duration = Duration::from_secs(30);
/// A takeover of OpenClaw's is done in milliseconds; one that is so old is over, and nobody removes what it left.
const ABANDONED_SECONDS: i64 = 60;

/// How long to wait for a lock that someone holds.
#[derive(Debug, Clone, Copy)]
pub struct LockOptions {
    /// How often to look, at least once. The pauses between are 25 ms × 1.2ⁿ, at most 250 ms, each give or take a
    /// quarter: 80 tries take about 18 s.
    pub tries: u32,
}

impl Default for LockOptions {
    /// OpenClaw's own patience.
    fn default() -> Self {
        Self { tries: 80 }
    }
}

/// OpenClaw's write lock, held until dropped. If the process dies first, the next one to want the lock sees that. What is
/// there when it ends but is not ours (not the same file with the same bytes) stays.
#[derive(Debug)]
pub struct WriteLock {
    folder: Folder,
    name: String,
    /// The lock itself, held open: its number is no other file's, and a release needs no new descriptor.
    file: File,
    bytes: Vec<u8>,
}

impl Drop for WriteLock {
    fn drop(&mut self) {
        let mut bytes = vec![0; self.bytes.len() + 1];
        let mut is_ours = |stat: rustix::fs::Stat| {
            rustix::fs::fstat(&self.file).is_ok_and(|ours| inode(&ours) == inode(&stat))
                && self
                    .file
                    .read_at(&mut bytes, 0)
                    .is_ok_and(|length| bytes[..length] == self.bytes)
        };
        if let Ok(Some(stat)) = self.folder.stat(&self.name)
            && is_ours(stat)
        {
            let _ = self.folder.remove(&self.name);
        }
    }
}

/// Takes OpenClaw's write lock on a config file, waiting for whoever holds it.
///
/// Fails with [`ExitCode::LockHeld`], saying who holds it and what can be done, when it stayed held; with
/// [`ExitCode::Config`] where no lock can be made in the folder. The config's folder must exist.
pub fn acquire(config: &Path, options: &LockOptions) -> Result<WriteLock> {
    let failed = |error: io::Error| {
        let text = format!("could not take OpenClaw's write lock: {}.lock", config.display());
        fs::failed_as(ExitCode::Config, text, &config.with_extension("json.lock"), error)
    };
    let (folder, name) = split(config).map_err(failed)?;
    let folder = Folder::open(folder).map_err(failed)?;
    folder.remove_leftovers();
    let mut pause = Pause::default();
    let mut tries = options.tries.max(1);
    let mut waiting = Waiting::begin(pause.sum(tries - 1));
    loop {
        match attempt(&folder, &name).map_err(failed)? {
            Attempt::Taken(file, bytes) => {
                return Ok(WriteLock {
                    folder,
                    name,
                    file,
                    bytes,
                });
            }
            Attempt::Busy(why) if tries == 1 => return Err(held(&folder, &name, &why)),
            Attempt::Busy(why) => waiting.goes_on(|| waited_for(&folder, &name, &why)),
        }
        tries -= 1;
        std::thread::sleep(pause.next());
    }
}

/// Clears away what killed runs of ours left beside a config, and nobody else takes away: temporary files, and a guard,
/// for which OpenClaw would wait in vain. A lock stays, however dead its owner looks: it may live where we cannot see it,
/// in another container, and the next writer, OpenClaw's or ours, takes over what is left.
pub fn clear_leftovers(config: &Path) {
    let Ok((folder, name)) = split(config) else { return };
    let Ok(folder) = Folder::open(folder) else { return };
    folder.remove_leftovers();
    // What cannot be cleared stays: the next edit says why.
    let _ = guard::look(&folder, &guard_name(&name));
}

/// What stands in the way of the next edit of a config, or only lies about.
#[derive(Debug, Default)]
pub struct Leftovers {
    /// What killed runs of ours left: [`clear_leftovers`] takes it away.
    pub clearable: Vec<PathBuf>,
    /// What another program wrote while a run of ours was killed: it is the user's.
    pub kept: Vec<PathBuf>,
    /// What nobody takes away, with the step that does.
    pub stuck: Option<Error>,
}

/// Looks for what killed runs of ours left beside a config, and changes nothing.
pub fn leftovers(config: &Path) -> Leftovers {
    let mut left = Leftovers::default();
    let Ok((folder, name)) = split(config) else { return left };
    let Ok(folder) = Folder::open(folder) else { return left };
    let paths = |names: Vec<String>| names.iter().map(|name| folder.join(name)).collect();
    (left.clearable, left.kept) = (paths(folder.leftovers()), paths(folder.kept()));
    let guard = guard_name(&name);
    match guard::find(&folder, &guard) {
        Ok(Some(guard::Up::Dead(_))) => left.clearable.push(folder.join(&guard)),
        Ok(Some(guard::Up::Busy(why @ Busy::ForeignGuard { age, .. }))) if age > ABANDONED_SECONDS => {
            left.stuck = Some(held(&folder, &name, &why));
        }
        _ => {}
    }
    if let Ok(Seen::Busy(why @ Busy::Unreadable(_))) = look(&folder, &name) {
        left.stuck = left.stuck.or(Some(held(&folder, &name, &why)));
    }
    left
}

/// Folder and name of a config's lock.
fn split(config: &Path) -> io::Result<(&Path, String)> {
    match (config.parent(), config.file_name().and_then(|name| name.to_str())) {
        (Some(folder), Some(name)) => Ok((folder, format!("{name}.lock"))),
        _ => Err(io::Error::other("its path has no valid UTF-8 file name")),
    }
}

/// Name of the folder that guards a takeover of a lock.
fn guard_name(lock: &str) -> String {
    format!("{lock}.reclaim")
}

/// 25 ms × 1.2ⁿ up to 250 ms, give or take a quarter, so that two that wait do not keep step.
#[derive(Default)]
struct Pause {
    passed: i32,
}

impl Pause {
    /// In milliseconds, where so many have passed.
    fn base(passed: i32) -> f64 {
        (25.0 * 1.2_f64.powi(passed)).min(250.0)
    }

    /// About how long so many take from here.
    fn sum(&self, count: u32) -> Duration {
        let end = self.passed.saturating_add_unsigned(count);
        Duration::from_secs_f64((self.passed..end).map(Self::base).sum::<f64>() / 1000.0)
    }

    fn next(&mut self) -> Duration {
        let base = Self::base(self.passed);
        self.passed += 1;
        let jitter = getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX));
        Duration::from_secs_f64(base * (0.75 + 0.5 * jitter) / 1000.0)
    }
}

/// Why a lock is not to be had at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Busy {
    /// A living process holds it.
    Process {
        /// Its number.
        pid: u32,
        /// The lock has its start time too: no other process took the number since.
        is_certain: bool,
    },
    /// It names no process, and is not old enough to be taken over.
    Nameless,
    /// What is there says nothing that can be understood. OpenClaw never takes over such a lock.
    Unreadable(String),
    /// Another process of ours, alive, takes over a dead one's lock.
    OurGuard(u32),
    /// A takeover of OpenClaw's is under way, or was when its process died. This many seconds old.
    ForeignGuard {
        /// Age in seconds.
        age: i64,
        /// Nothing is in the folder.
        empty: bool,
    },
}

/// What to do about a lock that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Wait, and give up in the end.
    Wait(Busy),
    /// Its owner is gone: take it over.
    Reclaim,
}

/// Judges a lock by its content, as OpenClaw does. `life` tells of a process whether it runs, `now` is the wall clock.
pub fn judge(bytes: &[u8], now: SystemTime, life: &dyn Fn(u32) -> Life) -> Verdict {
    let unreadable = |why: &str| Verdict::Wait(Busy::Unreadable(why.to_owned()));
    let Ok(Value::Object(payload)) = serde_json::from_slice::<Value>(bytes) else {
        return unreadable(if bytes.is_empty() {
            "it is empty"
        } else {
            "it is not a JSON object"
        });
    };
    match payload.get("pid") {
        Some(pid) => {
            let Some(pid) = pid
                .as_u64()
                .and_then(|pid| u32::try_from(pid).ok())
                .filter(|pid| *pid > 0)
            else {
                return unreadable("its pid is no process number");
            };
            match (life(pid), payload.get("starttime").and_then(Value::as_u64)) {
                (Life::Dead, _) => Verdict::Reclaim,
                // Another process has the number by now.
                (Life::Alive { starttime: Some(now) }, Some(then)) if now != then => Verdict::Reclaim,
                // However old: a living owner is waited for.
                (Life::Alive { starttime: now }, then) => Verdict::Wait(Busy::Process {
                    pid,
                    is_certain: now.is_some() && now == then,
                }),
            }
        }
        None => {
            let created = payload.get("createdAt").and_then(Value::as_str);
            let Some(created) = created.and_then(|text| text.parse::<jiff::Timestamp>().ok()) else {
                return unreadable("it names neither a process nor a time");
            };
            match now.duration_since(SystemTime::from(created)) {
                Ok(age) if age > NAMELESS_AFTER => Verdict::Reclaim,
                _ => Verdict::Wait(Busy::Nameless),
            }
        }
    }
}

/// The content of a lock of ours, as OpenClaw writes its own.
fn payload() -> Vec<u8> {
    let me = Process::me();
    let created = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
    let starttime = me
        .starttime
        .map_or_else(String::new, |ticks| format!(",\"starttime\":{ticks}"));
    format!("{{\"pid\":{},\"createdAt\":\"{created}\"{starttime}}}", me.pid).into_bytes()
}

enum Attempt {
    Taken(File, Vec<u8>),
    Busy(Busy),
}

/// Looks once, and takes the lock if it is to be had.
fn attempt(folder: &Folder, name: &str) -> io::Result<Attempt> {
    let guard = guard_name(name);
    if let Some(busy) = guard::look(folder, &guard)? {
        return Ok(Attempt::Busy(busy));
    }
    match look(folder, name)? {
        Seen::Nothing => take(folder, name),
        Seen::Busy(busy) => Ok(Attempt::Busy(busy)),
        Seen::Dead(content) => reclaim(folder, name, &guard, &content),
    }
}

/// Takes over a dead owner's lock that was seen a moment ago.
fn reclaim(folder: &Folder, name: &str, guard: &str, seen: &fs::Content) -> io::Result<Attempt> {
    let Some(_guard) = Guard::publish(folder, guard)? else {
        // Somebody else takes over at this moment.
        return Ok(Attempt::Busy(Busy::ForeignGuard { age: 0, empty: true }));
    };
    // Under the guard nobody else removes the dead one's lock; but before it was there, somebody may have.
    match look(folder, name)? {
        Seen::Dead(now) if inode(&now.stat) == inode(&seen.stat) && now.bytes == seen.bytes => {
            folder.remove(name)?;
            take(folder, name)
        }
        Seen::Nothing => take(folder, name),
        Seen::Busy(busy) => Ok(Attempt::Busy(busy)),
        Seen::Dead(_) => Ok(Attempt::Busy(Busy::Nameless)),
    }
}

enum Seen {
    Nothing,
    Busy(Busy),
    Dead(fs::Content),
}

fn look(folder: &Folder, name: &str) -> io::Result<Seen> {
    let content = match folder.read(name, MAX_BYTES) {
        Ok(Some(content)) => content,
        Ok(None) => return Ok(Seen::Nothing),
        // No file, or one that we may not read. Anything else is our own trouble (no file descriptors left, a broken
        // disk), and says nothing about the lock.
        Err(error) if error.raw_os_error().is_none() || error.kind() == io::ErrorKind::PermissionDenied => {
            return Ok(Seen::Busy(Busy::Unreadable(error.to_string())));
        }
        Err(error) => return Err(error),
    };
    Ok(match judge(&content.bytes, SystemTime::now(), &process::life) {
        Verdict::Reclaim => Seen::Dead(content),
        Verdict::Wait(busy) => Seen::Busy(busy),
    })
}

/// Publishes our lock, whole, if the name is free.
fn take(folder: &Folder, name: &str) -> io::Result<Attempt> {
    let bytes = payload();
    let mut temp = folder.temp()?;
    temp.fill(&bytes, 0o600, folder.file_owner())?;
    temp.sync()?;
    let file = temp.file().try_clone()?;
    match publish(temp, name) {
        Ok(()) => Ok(Attempt::Taken(file, bytes)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(match look(folder, name)? {
            Seen::Busy(busy) => Attempt::Busy(busy),
            Seen::Nothing | Seen::Dead(_) => Attempt::Busy(Busy::Nameless),
        }),
        Err(error) => Err(error),
    }
}

/// A file system without hard links may have the rename that replaces nothing.
fn publish(temp: Temp<'_>, name: &str) -> io::Result<()> {
    match temp.link(name) {
        Err(error) if fs::is_unsupported(&error) => temp.take(name),
        linked => linked,
    }
}

/// What is waited for, for a person.
fn waited_for(folder: &Folder, name: &str, why: &Busy) -> String {
    let who = match why {
        Busy::Process { pid, .. } => format!(", which process {pid} holds"),
        Busy::OurGuard(pid) => format!(", which another sigilum-authz-notify (process {pid}) takes over"),
        Busy::Nameless | Busy::Unreadable(_) | Busy::ForeignGuard { .. } => String::new(),
    };
    format!("OpenClaw's write lock{who}: {}", folder.join(name).display())
}

/// The error for a lock that stayed held: who has it, and what a person can do.
fn held(folder: &Folder, name: &str, why: &Busy) -> Error {
    let lock = folder.join(name);
    let guard = folder.join(&guard_name(name));
    let error = |what: &str, path: &Path| {
        Error::new(
            ExitCode::LockHeld,
            format!("could not take OpenClaw's write lock, {what}: {}", path.display()),
        )
    };
    match why {
        Busy::Process { pid, is_certain } => {
            let remove = match is_certain {
                true => String::new(),
                false => format!(
                    "; if that is neither OpenClaw nor sigilum-authz-notify, and no other container has this home: rm {}",
                    fs::quoted(&lock)
                ),
            };
            error(&format!("process {pid} holds it"), &lock).next(format!(
                "wait for it to end, and run the command again; what it is: ps -p {pid}{remove}"
            ))
        }
        Busy::Nameless => error("somebody who is not named holds it", &lock).next("run the command again in 30 s"),
        Busy::Unreadable(reason) => error(&format!("nobody can tell who holds it ({reason})"), &lock).next(format!(
            "if no OpenClaw command is running: rm -r {}",
            fs::quoted(&lock)
        )),
        Busy::OurGuard(pid) => error(
            &format!("another sigilum-authz-notify (process {pid}) is at it"),
            &guard,
        )
        .next("run the command again"),
        Busy::ForeignGuard { age, empty } => {
            let command = if *empty { "rmdir" } else { "rm -r" };
            error(
                &format!("a takeover of a dead process's lock is under way, or was left behind {age} s ago"),
                &guard,
            )
            .next(format!(
                "if no OpenClaw command is running: {command} {}",
                fs::quoted(&guard)
            ))
        }
    }
}
