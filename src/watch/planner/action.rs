//! What the watcher does.

use super::types::TokenId;
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
    /// The config's token into the token file.
    Store(TokenId),
    /// A new token into the token file. `replaces`: the one that was stored, if one was.
    Renew {
        /// How.
        by: By,
        /// The stored one.
        replaces: Option<TokenId>,
    },
    /// The entry's API URL into the record.
    Adopt,
    /// The stored token into the entry.
    Put(TokenId),
    /// The token out of the entry.
    TakeOut,
}

impl Action {
    /// Whether it writes openclaw.json; the others write files in `.sigilum/`.
    pub fn writes_config(&self) -> bool {
        matches!(self, Self::Put(_) | Self::TakeOut)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Store(_) => "storing the token of openclaw.json",
            Self::Renew { .. } => "renewing the token",
            Self::Adopt => "following the API's address",
            Self::Put(_) => "putting the token into openclaw.json",
            Self::TakeOut => "taking the token out of openclaw.json",
        })
    }
}
