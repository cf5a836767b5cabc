//! `<home>/.sigilum/serve.json`, 0600: what the program that the OpenClaw gateway keeps for the plugin says of itself. It
//! counts as long as that program holds a lock on the file, which ends with it, however it ends. Holds no secret.

use crate::cmd::own_program;
use crate::fs::{self, FileLock};
use crate::home::OpenClawHome;
use crate::hook_record::HookRecord;
use crate::process::Process;
use crate::settings;
use crate::time;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

const MAX_BYTES: u64 = 16 * 1024;

/// The program that runs. Times are RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resident {
    /// Its process, as numbered where it runs.
    pub pid: u32,
    /// Tells that process from a later one with the same number: field 22 of Linux's `/proc/<pid>/stat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_starttime: Option<u64>,
    /// Its version.
    pub version: String,
    /// Its program.
    pub binary: PathBuf,
    /// When it started.
    pub started_at: String,
    /// When it last answered an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<String>,
}

impl Resident {
    /// `the OpenClaw gateway runs version 0.1.0 since 2026-11-22T06:20:37Z (process 7), last answer …`
    pub fn text(&self) -> String {
        let answered = match &self.answered_at {
            Some(at) => format!("last answer {at}"),
            None => "nothing answered yet".to_owned(),
        };
        let Self {
            version,
            started_at,
            pid,
            ..
        } = self;
        format!("the OpenClaw gateway runs version {version} since {started_at} (process {pid}), {answered}")
    }
}

/// The resident program of a home; `None` where none runs, or it could not say so: a home that cannot be written to.
pub fn read(place: &OpenClawHome) -> Option<Resident> {
    let path = place.serve_status_file();
    let bytes = fs::read_private(&path, MAX_BYTES).ok()??;
    let resident = serde_json::from_slice(&bytes).ok()?;
    FileLock::is_held(&path).then_some(resident)
}

/// Removes what a killed one left; what runs keeps it.
pub fn clear(place: &OpenClawHome) {
    let path = place.serve_status_file();
    if !FileLock::is_held(&path) {
        let _ = fs::remove(&path);
    }
}

/// This process, as it shows itself until it is dropped.
pub struct Presence {
    lock: FileLock,
    path: PathBuf,
    resident: Resident,
}

impl Presence {
    /// Shows this process in a home where somebody is logged in, and makes nothing in any other: it may be going away.
    /// `Err`: another process shows itself there.
    pub fn show(place: &OpenClawHome) -> Result<Option<Self>, ()> {
        let speaks = |(namespace, record): (Option<_>, HookRecord)| namespace.is_some() || record.broker.is_some();
        if !settings::hook_namespace(place).is_ok_and(speaks) {
            return Ok(None);
        }
        let path = place.serve_status_file();
        let lock = match FileLock::try_acquire(&path, place.anothers()) {
            Ok(Some(lock)) => lock,
            Ok(None) => return Err(()),
            Err(_) => return Ok(None),
        };
        let me = Process::me();
        let resident = Resident {
            pid: me.pid,
            pid_starttime: me.starttime,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            binary: own_program::path().unwrap_or_default(),
            started_at: time::rfc3339(time::now()),
            answered_at: None,
        };
        let presence = Self { lock, path, resident };
        presence.write();
        Ok(Some(presence))
    }

    /// Notes that an event was answered.
    pub fn answered(&mut self) {
        self.resident.answered_at = Some(time::rfc3339(time::now()));
        self.write();
    }

    /// Whether anybody can see it: the file may have gone with its folder.
    pub fn is_seen(&self) -> bool {
        self.lock.has_name(&self.path)
    }

    fn write(&self) {
        // It is for people who look; nothing depends on it.
        let _ = serde_json::to_vec(&self.resident).map(|bytes| self.lock.write(&bytes));
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if self.is_seen() {
            let _ = fs::remove(&self.path);
        }
    }
}
