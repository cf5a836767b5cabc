//! The state of a stored token.

use serde::Serialize;

/// What becomes of a token with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The API accepts it, with time to spare.
    Accepted,
    /// The API refuses it.
    Refused,
    /// Not past its expiry, with time to spare; whether it is signed for its API nobody was asked, or nobody could say.
    NotExpired,
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
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::NotExpired => "not expired",
            Self::Due => "due for renewal",
            Self::Expired => "expired",
            Self::Missing => "missing",
            Self::Invalid => "invalid: not an owner token of this namespace",
            Self::Unusable => "the hook does not use it",
        }
    }
}
