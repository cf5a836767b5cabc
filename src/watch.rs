//! The watcher: owner tokens renewed before they expire, the token in openclaw.json kept up to date, approvals taken back
//! when their time is over.
//!
//! [`planner`] decides: what was seen of a home ([`planner::Snapshot`]), what is remembered of it ([`planner::Memory`])
//! and the time in; one action, the next wake-up and lines for the log out. It touches nothing, and is tested with a
//! simulated clock and file system. The machinery around it: `file_events` tells of changes, `snapshot` reads a home,
//! `actions` change it, `home` joins these for one home, [`run`](fn@run) is the loop over all.

mod actions;
mod clock;
mod commands;
mod file_events;
mod home;
pub mod log;
pub mod planner;
pub mod push;
mod renewal;
mod run;
mod service_manager;
pub mod service_unit;
mod snapshot;
pub mod status;
mod take_back;
mod wakeup;
mod watcher_lock;

pub use clock::{Clock, SystemClock};
pub use run::{Homes, Options, Watcher, Watching, run, start};
pub use wakeup::{Waker, on_signals};
