//! The owner told at once: requests that have come, and what keeps them from being told.
//!
//! [`teller`] decides: what was told ([`told`], `.sigilum/told.json`), what the API answered, what became of a message and
//! the time in; the next message and when to ask again out. It touches nothing. `words` says it, `poller` is the thread
//! around it, `messenger` hands a message over.

mod messenger;
mod poller;
pub mod teller;
pub mod told;
mod turn;
mod words;

use crate::hook_record::ChatTarget;
pub(in crate::watch) use messenger::may_run;
pub use messenger::{Push, Report, Way};
pub(super) use poller::{Poller, Settings};
pub use turn::Surroundings;

/// Who is told at once, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// In place of the recorded one.
    pub target: Option<ChatTarget>,
    /// How often the API is asked, seconds, in place of what is recorded; 0: never.
    pub every: Option<u64>,
    /// How messages get there.
    pub way: Way,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            target: None,
            every: None,
            way: Way::Program,
        }
    }
}
