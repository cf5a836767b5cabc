//! The names that files and folders have on the way to their own.

use crate::process::{Process, pid_namespace};
use rustix::io::Errno;
use std::io;

/// Temporary names start so; nobody else's do.
const TEMP_PREFIX: &str = ".sigilum-authz-notify-";
const TEMP_SUFFIX: &str = ".tmp";

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
