//! `<home>/.sigilum/watch-status.json`, 0600: what the watcher of a home says of itself, for `auth status` and
//! `hook status`. Holds no secret.

pub use super::renewal::Renewal;
use crate::error::{ExitCode, OrFail, Result};
use crate::fs::{self, FileLock, Inventory};
use crate::home::OpenClawHome;
use crate::process::Process;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Room for a broker that keeps a thousand logins.
const MAX_BYTES: u64 = 1024 * 1024;

/// The watcher of a home, as it last wrote down. Times are RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchStatus {
    /// The watcher's process.
    pub pid: u32,
    /// Tells that process from a later one with the same number: field 22 of Linux's `/proc/<pid>/stat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_starttime: Option<u64>,
    /// Its version; absent for 0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether it still runs. Found out by [`read`]; in the file always true.
    pub running: bool,
    /// When it started.
    pub started_at: String,
    /// When this was written.
    pub updated_at: String,
    /// How many homes it serves in all.
    pub homes_served: usize,
    /// Whether it takes approvals back when their time is over; one of version 0.1.0 does not.
    #[serde(default)]
    pub takes_back: bool,
    /// This home, and in a broker's folder each login beside the one that it speaks for.
    pub homes: Vec<HomeStatus>,
}

/// One home, as its watcher sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HomeStatus {
    /// The OpenClaw state folder.
    pub home: PathBuf,
    /// Its config.
    pub config: PathBuf,
    /// Whose token is kept; absent where there is neither entry nor record.
    pub namespace: Option<String>,
    /// managed or oss-local.
    pub mode: Option<String>,
    /// Looked at again and again, since its file system tells of no changes.
    pub polled: bool,
    /// When the stored token expires.
    pub expires_at: Option<String>,
    /// When it will be renewed; in the past where a renewal is due.
    pub next_due_at: Option<String>,
    /// When this watcher last renewed it.
    pub renewed_at: Option<String>,
    /// What renews it, as things were when this was written; absent where nothing can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewed_by: Option<Renewal>,
    /// What fails at present; absent while nothing does.
    pub last_error: Option<String>,
    /// Why nobody is told at once at present, where somebody is to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify_error: Option<String>,
}

impl WatchStatus {
    fn process(&self) -> Process {
        Process {
            pid: self.pid,
            starttime: self.pid_starttime,
        }
    }

    /// What ends it: a command, where its number means anything here.
    pub fn how_to_end(&self) -> String {
        match self.process().is_gone() {
            true => "end it where it runs, as in another container".to_owned(),
            false => format!("kill {}", self.pid),
        }
    }
}

impl HomeStatus {
    /// Whether it may tell of the token of this namespace.
    pub fn is_of(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|own| own == namespace)
    }
}

/// The status of the home's watcher; `None` where none ever wrote one, or it ended in order, or it cannot be read.
pub fn read(place: &OpenClawHome) -> Option<WatchStatus> {
    let bytes = fs::read_private(&place.watch_status_file(), MAX_BYTES).ok()??;
    let mut status: WatchStatus = serde_json::from_slice(&bytes).ok()?;
    // In another container its number is another process's, or nobody's, and its lock tells of it all the same.
    status.running = !status.process().is_gone() || FileLock::is_held(&place.watch_lock_file());
    Some(status)
}

/// What a watcher that wrote this renews the token of a namespace by: it runs, knows when and by what, and does not fail.
pub fn renewed_by<'a>(watch: Option<&'a WatchStatus>, namespace: &str) -> Option<&'a Renewal> {
    let watch = watch.filter(|watch| watch.running)?;
    let renews = |home: &&HomeStatus| {
        home.namespace.as_deref() == Some(namespace) && home.next_due_at.is_some() && home.last_error.is_none()
    };
    watch.homes.iter().find(renews)?.renewed_by.as_ref()
}

/// What is in the folder of a home's status file, so that this one is not made in it once somebody removes it.
pub fn beside(place: &OpenClawHome) -> Inventory {
    let stays = |name: &str| OpenClawHome::stays(name) || name == "watch.lock";
    Inventory::beside(&place.watch_status_file(), stays)
}

/// Writes the home's status file, where there is anything new in it; not into a folder that is not as it was `before`.
/// Says whether the file is there.
pub fn write(place: &OpenClawHome, status: &WatchStatus, before: &Inventory) -> Result<bool> {
    let path = place.watch_status_file();
    let mut bytes = serde_json::to_vec_pretty(status).or_fail(ExitCode::Failure, || {
        format!("could not write the status: {}", path.display())
    })?;
    bytes.push(b'\n');
    before.write_passing(&path, &bytes)
}

/// A watcher that ends leaves no status behind.
pub fn remove(place: &OpenClawHome) {
    let _ = fs::remove(&place.watch_status_file());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_written_is_read_and_a_dead_watcher_is_told_from_a_live_one() {
        let home = tempfile::tempdir().unwrap();
        let place = OpenClawHome::at(home.path().to_owned());
        assert_eq!(read(&place), None);
        fs::create_private_dir(&place.sigilum_dir()).unwrap();
        let me = Process::me();
        let mut status = WatchStatus {
            pid: me.pid,
            pid_starttime: me.starttime,
            version: None,
            running: true,
            started_at: "2026-11-22T06:20:37Z".to_owned(),
            updated_at: "2026-11-22T06:20:37Z".to_owned(),
            homes_served: 1,
            takes_back: true,
            homes: vec![HomeStatus {
                home: place.home.clone(),
                config: place.config.clone(),
                namespace: Some("alice".to_owned()),
                mode: Some("oss-local".to_owned()),
                polled: false,
                expires_at: None,
                next_due_at: None,
                renewed_at: None,
                renewed_by: Some(Renewal::Secret),
                last_error: None,
                notify_error: None,
            }],
        };
        assert!(write(&place, &status, &beside(&place)).unwrap());
        assert_eq!(read(&place), Some(status.clone()));
        let renews = |status: &WatchStatus, whose| super::renewed_by(Some(status), whose).is_some();
        assert!(!renews(&status, "alice"), "nobody knows when");
        status.homes[0].next_due_at = Some("2026-11-23T06:20:37Z".to_owned());
        assert!(renews(&status, "alice") && !renews(&status, "bob"));
        status.homes[0].renewed_by = None;
        assert!(!renews(&status, "alice"), "nobody knows by what");
        status.homes[0].renewed_by = Some(Renewal::Command("/bin/token".into()));
        status.homes[0].last_error = Some("database busy".to_owned());
        assert!(!renews(&status, "alice"));
        let mode = std::fs::metadata(place.watch_status_file())
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o600);

        let mut child = std::process::Command::new("true").spawn().unwrap();
        status.homes[0].last_error = None;
        (status.pid, status.pid_starttime) = (child.id(), None);
        child.wait().unwrap();
        assert!(write(&place, &status, &beside(&place)).unwrap());
        let read_again = read(&place).unwrap();
        assert!(!read_again.running && !renews(&read_again, "alice"));
        let lock = FileLock::try_acquire(&place.watch_lock_file(), None).unwrap();
        let elsewhere = read(&place).unwrap();
        assert!(elsewhere.running && !elsewhere.how_to_end().contains("kill"));
        drop(lock);
        assert!(!read(&place).unwrap().running);
        remove(&place);
        assert_eq!(read(&place), None);
    }

    #[test]
    fn nothing_is_made_in_a_folder_that_is_being_removed() {
        let home = tempfile::tempdir().unwrap();
        let place = OpenClawHome::at(home.path().to_owned());
        fs::create_private_dir(&place.sigilum_dir()).unwrap();
        let status = WatchStatus {
            pid: 1,
            pid_starttime: None,
            version: None,
            running: true,
            started_at: String::new(),
            updated_at: String::new(),
            homes_served: 1,
            takes_back: true,
            homes: Vec::new(),
        };
        for name in ["owner-token-alice.jwt", "owner-alice.json", "watch.lock"] {
            let file = place.sigilum_dir().join(name);
            std::fs::write(&file, "").unwrap();
            let before = beside(&place);
            std::fs::remove_file(&file).unwrap();
            assert!(!write(&place, &status, &before).unwrap(), "{name}");
            assert!(!place.watch_status_file().exists(), "{name}");
        }
    }
}
