//! What the watcher does.

use super::types::TokenId;
use crate::authz::timed::TimedApproval;
use std::fmt;

/// How a new token is got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// oss-local: signed here.
    Signing,
    /// managed: printed by the token command.
    Command,
}

/// What is to be done now; always one thing, then the home is looked at again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A new token into the token file. `replaces`: the one that was stored, if one was.
    Renew {
        /// How.
        by: By,
        /// The stored one.
        replaces: Option<TokenId>,
    },
    /// The stored token into the entry in openclaw.json.
    Put(TokenId),
    /// An approval whose time is over.
    TakeBack(TimedApproval),
}

impl Action {
    /// Whether it writes openclaw.json, not the token file.
    pub fn writes_config(&self) -> bool {
        matches!(self, Self::Put(_))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Renew { .. } => f.write_str("renewing the token"),
            Self::Put(_) => f.write_str("putting the token into openclaw.json"),
            Self::TakeBack(approval) => write!(f, "taking back the approval {}", approval.claim_id),
        }
    }
}
