//! The pure part: what was seen of a home, what is remembered of it ([`Memory`]) and the time in; one action, when to
//! wake and lines for the log out. It touches nothing, and is tested with a simulated clock and file system.

mod action;
mod entry;
mod log_event;
mod plan;
mod state;
mod types;

pub use action::{Action, By};
pub use log_event::LogEvent;
pub use plan::{Plan, Rules, plan};
pub use state::Memory;
pub use types::{Config, Entry, InConfig, Now, Owner, Snapshot, Stored, Token, TokenId, Unreadable};
