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
pub(super) use poller::{Means, Poller, Settings};
use std::fmt;
use std::sync::Arc;
pub use turn::Surroundings;

/// Who is told at once, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whom to tell.
    pub whom: Whom,
    /// How messages get there.
    pub way: Way,
    /// How a command of ours begins, for whoever reads the messages.
    pub program: String,
}

/// Whom to tell at once.
#[derive(Clone)]
pub enum Whom {
    /// Whom the record names, with these in place of what it says.
    Recorded {
        /// Whom.
        target: Option<ChatTarget>,
        /// How often the API is asked, seconds; 0: never.
        every: Option<u64>,
    },
    /// Whom this says at the time, and nobody else: asked for each time that the home is looked at.
    Asked(Arc<dyn Fn() -> Option<Wanted> + Send + Sync>),
}

/// Somebody to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Whom.
    pub target: ChatTarget,
    /// How often the API is asked, seconds; `None`: as often as by default.
    pub every: Option<u64>,
}

impl Whom {
    /// Whom to tell now, where a record names these.
    pub(super) fn now(&self, target: Option<&ChatTarget>, every: Option<u64>) -> Option<Wanted> {
        match self {
            Self::Recorded {
                target: named,
                every: often,
            } => Some(Wanted {
                target: named.as_ref().or(target)?.clone(),
                every: often.or(every),
            }),
            Self::Asked(ask) => ask(),
        }
    }

    /// Whether somebody is named besides the record.
    pub(super) fn is_somebody_named(&self) -> bool {
        match self {
            Self::Recorded { target, .. } => target.is_some(),
            Self::Asked(ask) => ask().is_some(),
        }
    }
}

impl fmt::Debug for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recorded { target, every } => write!(f, "Recorded({target:?}, {every:?})"),
            Self::Asked(_) => f.write_str("Asked"),
        }
    }
}

impl Options {
    /// Whether the plugin's program watches: it has the gateway send what it is handed.
    pub(super) fn is_plugins(&self) -> bool {
        matches!(self.way, Way::HandedOver(_))
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            whom: Whom::Recorded {
                target: None,
                every: None,
            },
            way: Way::Program,
            program: "sigilum-authz-notify".to_owned(),
        }
    }
}
