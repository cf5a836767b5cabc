//! A home that somebody removes while it is watched.

use super::Home;
use crate::watch::planner::{Now, Snapshot, Stored};

/// Where files of ours have gone, the home may be on its way out: nothing is made in it for so long.
const REMOVAL_MS: i64 = 1_000;

impl Home {
    /// Whether files of ours have gone so short a time ago that the rest of the home may follow: whoever removes a
    /// folder finds it empty only if nobody makes anything in it meanwhile.
    pub(super) fn is_being_removed(&mut self, snapshot: &Snapshot, now: Now) -> bool {
        let no_token = self.had_token && snapshot.file == Stored::Missing;
        if !no_token && self.watcher_lock.as_ref().is_none_or(|lock| lock.holds(&self.place)) {
            self.gone_since = None;
            return false;
        }
        let since = *self.gone_since.get_or_insert(now.steady);
        let is_recent = now.steady < since + REMOVAL_MS;
        self.gone_since.take_if(|_| !is_recent);
        if is_recent {
            // Nor does the poller write meanwhile.
            (self.planned.wake_steady, self.poller) = (Some(since + REMOVAL_MS), None);
        }
        is_recent
    }
}
