//! The state of a stored token.

use serde::Serialize;

/// What becomes of a token with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// In force, with time to spare.
    Valid,
    /// In force, and a renewal is due.
    Due,
    /// Past its expiry.
    Expired,
    /// No token file.
    Missing,
    /// Not an owner token, or one of another namespace.
    Invalid,
    /// A token that the hook does not send, since it is not known to be for this API.
    Unusable,
}

impl State {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Due => "due for renewal",
            Self::Expired => "expired",
            Self::Missing => "missing",
            Self::Invalid => "invalid: not an owner token of this namespace",
            Self::Unusable => "the hook does not use it",
        }
    }
}
