//! Who a process is, and whether it still runs: what lock files and leftovers are judged by. Programs are started in
//! [`child`] alone.

pub mod child;
pub mod signals;
pub mod waiting;

use std::sync::OnceLock;

/// A process as lock files name it. The start time tells it from a later process with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// The process number.
    pub pid: u32,
    /// When it started: field 22 of Linux's `/proc/<pid>/stat`, in clock ticks since boot. `None` where unknown.
    pub starttime: Option<u64>,
}

/// Whether a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It runs, and started then, where that can be told.
    Alive {
        /// As in [`Process::starttime`].
        starttime: Option<u64>,
    },
    /// There is none, or it is a zombie.
    Dead,
}

impl Process {
    /// This process.
    pub fn me() -> Self {
        static ME: OnceLock<Process> = OnceLock::new();
        *ME.get_or_init(|| {
            let pid = std::process::id();
            let starttime = match life(pid) {
                Life::Alive { starttime } => starttime,
                Life::Dead => None,
            };
            Self { pid, starttime }
        })
    }

    /// Whether it has ended: dead, a zombie, or its number belongs to another process by now.
    pub fn is_gone(&self) -> bool {
        match life(self.pid) {
            Life::Dead => true,
            Life::Alive { starttime: now } => matches!((self.starttime, now), (Some(then), Some(now)) if then != now),
        }
    }

    /// Whether the file of the program that it runs was removed or replaced since, where that can be told (Linux, and
    /// only of one's own processes).
    pub fn runs_a_removed_program(&self) -> bool {
        let program = std::fs::read_link(format!("/proc/{}/exe", self.pid));
        !self.is_gone() && program.is_ok_and(|program| program.as_os_str().as_encoded_bytes().ends_with(b" (deleted)"))
    }
}

/// Whether the process with this number runs.
pub fn life(pid: u32) -> Life {
    let Some(number) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else {
        return Life::Dead;
    };
    if let Some((state, starttime)) = stat(pid) {
        return if matches!(state, 'Z' | 'X') {
            Life::Dead
        } else {
            Life::Alive {
                starttime: Some(starttime),
            }
        };
    }
    // No /proc, or one that hides other users' processes: only a signal can tell. "Not permitted" means there is one.
    match rustix::process::test_kill_process(number) {
        Err(rustix::io::Errno::SRCH) => Life::Dead,
        _ => Life::Alive { starttime: None },
    }
}

/// State and start time out of `/proc/<pid>/stat`. The name in parentheses may itself hold spaces and parentheses.
fn stat(pid: u32) -> Option<(char, u64)> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text);
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    // The state is field 3, the start time field 22.
    Some((state, fields.nth(18)?.parse().ok()?))
}

/// The number of the pid namespace that we live in: process numbers of another one mean nothing here. 0 if unknown.
pub fn pid_namespace() -> u64 {
    static NAMESPACE: OnceLock<u64> = OnceLock::new();
    *NAMESPACE.get_or_init(|| {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata("/proc/self/ns/pid").map_or(0, |meta| meta.ino())
    })
}

/// The number that root's files seem to belong to in a user namespace that has no root: a sandboxed service of
/// systemd's user manager is in such a one. It is nobody's, and other users' files have it too. `None` where root is
/// root.
pub fn root_seen_as() -> Option<u32> {
    static SEEN_AS: OnceLock<Option<u32>> = OnceLock::new();
    *SEEN_AS.get_or_init(|| {
        let map = uid_map()?;
        (!maps_root(&map)).then(overflow_number)?
    })
}

/// The number that all users have who are unknown in our user namespace; one of ours may have it too. `None` where
/// every user is known.
pub fn unknown_users_seen_as() -> Option<u32> {
    static SEEN_AS: OnceLock<Option<u32>> = OnceLock::new();
    *SEEN_AS.get_or_init(|| {
        let map = uid_map()?;
        (!maps_everybody(&map)).then(overflow_number)?
    })
}

fn uid_map() -> Option<String> {
    std::fs::read_to_string("/proc/self/uid_map").ok()
}

fn overflow_number() -> Option<u32> {
    let text = std::fs::read_to_string("/proc/sys/kernel/overflowuid").ok()?;
    text.trim().parse().ok()
}

/// Whether a `uid_map` (user_namespaces(7): first number inside, first number outside, count) has the outside's root.
fn maps_root(map: &str) -> bool {
    map.lines()
        .any(|line| matches!(line.split_ascii_whitespace().collect::<Vec<_>>()[..], [_, "0", count] if count != "0"))
}

/// Whether a `uid_map` has every number there is.
fn maps_everybody(map: &str) -> bool {
    const ALL: u32 = u32::MAX;
    let counts = map
        .lines()
        .map(|line| line.split_ascii_whitespace().nth(2)?.parse::<u64>().ok());
    counts.sum::<Option<u64>>().is_some_and(|sum| sum >= u64::from(ALL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_are_alive_and_not_gone() {
        let me = Process::me();
        assert_eq!(me.pid, std::process::id());
        assert_eq!(
            life(me.pid),
            Life::Alive {
                starttime: me.starttime
            }
        );
        assert!(!me.is_gone());
        assert_eq!(me.starttime.is_some(), cfg!(target_os = "linux"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn another_start_time_means_another_process() {
        let me = Process::me();
        let other = Process {
            starttime: me.starttime.map(|ticks| ticks + 1),
            ..me
        };
        assert!(other.is_gone());
        assert!(!Process { starttime: None, ..me }.is_gone());
    }

    #[test]
    fn a_namespace_without_root_is_known_by_its_map() {
        assert!(maps_root("         0          0 4294967295\n"));
        assert!(maps_root("1000 1000 1\n0 0 1\n"));
        assert!(!maps_root("      1000       1000          1\n"));
        assert!(!maps_root("0 1000 1\n1 100000 65536\n"));
    }

    #[test]
    fn a_namespace_that_knows_not_every_user_is_known_by_its_map() {
        assert!(maps_everybody("         0          0 4294967295\n"));
        assert!(!maps_everybody("      1000       1000          1\n"));
        assert!(!maps_everybody("0 1000 1\n1 100000 65536\n"));
        assert!(!maps_everybody(""));
    }

    #[test]
    fn a_zombie_and_a_reaped_child_are_dead() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        if cfg!(target_os = "linux") {
            // It ends by itself and stays a zombie until it is waited for.
            let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
            while life(pid) != Life::Dead {
                assert!(std::time::Instant::now() < end, "the child did not end");
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        }
        child.wait().unwrap();
        assert_eq!(life(pid), Life::Dead);
        assert_eq!(life(0), Life::Dead);
        assert_eq!(life(u32::MAX), Life::Dead);
    }
}
