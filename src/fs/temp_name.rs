//! The names that files and folders have on the way to their own.

use crate::process::{Process, pid_namespace};
use rustix::io::Errno;
use std::io;

/// Temporary names start so; nobody else's do.
const TEMP_PREFIX: &str = ".sigilum-authz-notify-";
/// So start the names of others' files that came out of a swap.
pub const KEPT_PREFIX: &str = "sigilum-authz-notify-kept-";
const TEMP_SUFFIX: &str = ".tmp";

/// Whether a name is one of our temporary ones, of any process: what a watcher of the folder should not look at.
pub fn is_temp_name(name: &str) -> bool {
    parse_temp_name(name).is_some()
}

/// Tries fresh temporary names until one is free:
/// `.sigilum-authz-notify-<pid>-<start time>-<pid namespace>-<random>[-<fingerprint>…].tmp`. Where there are
/// fingerprints, files that have none of them may come to have the name, and are not ours.
pub(super) fn with_temp_name<T>(
    prints: &[u64],
    mut attempt: impl FnMut(&str) -> rustix::io::Result<T>,
) -> io::Result<(String, T)> {
    let me = Process::me();
    loop {
        let random = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
        let (pid, start, namespace) = (me.pid, me.starttime.unwrap_or(0), pid_namespace());
        let prints: String = prints.iter().map(|print| format!("-{print:016x}")).collect();
        let name = format!("{TEMP_PREFIX}{pid}-{start}-{namespace}-{random:016x}{prints}{TEMP_SUFFIX}");
        match attempt(&name) {
            Ok(value) => return Ok((name, value)),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What a temporary name says.
pub(super) struct TempName {
    pub process: Process,
    pub namespace: u64,
    /// What the files look like that are ours to remove; empty: whatever has the name is.
    pub prints: Vec<u64>,
}

pub(super) fn parse_temp_name(name: &str) -> Option<TempName> {
    let mut parts = name.strip_prefix(TEMP_PREFIX)?.strip_suffix(TEMP_SUFFIX)?.split('-');
    let pid = parts.next()?.parse().ok()?;
    let starttime = parts.next()?.parse().ok().filter(|ticks| *ticks != 0);
    let namespace = parts.next()?.parse().ok()?;
    let hex = |part: &str| u64::from_str_radix(part, 16).ok().filter(|_| part.len() == 16);
    hex(parts.next()?)?;
    Some(TempName {
        process: Process { pid, starttime },
        namespace,
        prints: parts.map(hex).collect::<Option<_>>()?,
    })
}
