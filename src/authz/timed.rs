//! Approvals that end: `.sigilum/approvals.json`, 0600. The watcher takes them back when their time is over.

use crate::error::{Error, ExitCode, OrFail, Result};
use crate::fs;
use crate::home::OpenClawHome;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Thousands of them.
const MAX_BYTES: u64 = 1024 * 1024;

/// One approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimedApproval {
    /// The request that was approved; a later one of the same agent has another id, and is left alone.
    pub claim_id: String,
    /// Its namespace.
    pub namespace: String,
    /// The origin of the API that it was approved at.
    pub api: String,
    /// When it is over, Unix seconds.
    pub until: i64,
}

/// What fails is tried again after five minutes at most: what is due for longer is overdue. Seconds.
pub const GRACE: i64 = 600;

impl TimedApproval {
    /// Whether a watcher should have taken it back by now. `now`: Unix seconds.
    pub fn is_overdue(&self, now: i64) -> bool {
        self.until + GRACE < now
    }
}

#[derive(Default, Serialize, Deserialize)]
struct File {
    approvals: Vec<TimedApproval>,
}

/// All of a home.
pub fn read(place: &OpenClawHome) -> Result<Vec<TimedApproval>> {
    let path = place.timed_approvals_file();
    let Some(bytes) = fs::read_private(&path, MAX_BYTES)? else {
        return Ok(Vec::new());
    };
    let file = serde_json::from_slice::<File>(&bytes).or_fail(ExitCode::Failure, || unreadable(&path));
    Ok(file.map_err(|error| advise(error, &path))?.approvals)
}

/// Keeps one more; one of the same request is replaced.
pub(super) fn keep(place: &OpenClawHome, approval: TimedApproval) -> Result<()> {
    let mut approvals = read(place)?;
    approvals.retain(|known| known.claim_id != approval.claim_id);
    approvals.push(approval);
    write(place, approvals)
}

/// Forgets that of a request, where there is one.
pub(super) fn forget(place: &OpenClawHome, claim_id: &str) -> Result<()> {
    let mut approvals = read(place)?;
    let before = approvals.len();
    approvals.retain(|known| known.claim_id != claim_id);
    match approvals.len() == before {
        true => Ok(()),
        false => write(place, approvals),
    }
}

fn write(place: &OpenClawHome, approvals: Vec<TimedApproval>) -> Result<()> {
    let path = place.timed_approvals_file();
    let bytes = serde_json::to_vec_pretty(&File { approvals }).or_fail(ExitCode::Failure, || unreadable(&path))?;
    fs::write_private(&path, &bytes)
}

fn unreadable(path: &Path) -> String {
    format!("could not use the list of timed approvals: {}", path.display())
}

fn advise(error: Error, path: &Path) -> Error {
    let list = "sigilum-authz-notify authz list --status approved";
    error.next(format!("rm {} && {list}", fs::quoted(path)))
}
