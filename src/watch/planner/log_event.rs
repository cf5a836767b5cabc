//! What planning wants in the log. None of them ever holds a token.

use super::action::{Action, By};
use crate::mode::Mode;
use crate::time;
use crate::token::times::TimeFault;
use std::fmt;

/// One line of the log: an event or a change of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogEvent {
    /// Whose token is kept, and whether the entry is on (`None`: there is no entry).
    Serving {
        /// The namespace.
        namespace: String,
        /// managed or oss-local.
        mode: Mode,
        /// The API's base URL.
        api_url: String,
        /// Whether the entry is on.
        on: Option<bool>,
    },
    /// Neither entry nor record.
    NothingToServe,
    /// openclaw.json cannot be read.
    ConfigBroken {
        /// With line and column where there are such.
        why: String,
    },
    /// openclaw.json can be read again.
    ConfigMended,
    /// There is no openclaw.json.
    ConfigMissing,
    /// There is one again.
    ConfigBack,
    /// openclaw.json must not be written.
    ReadOnly {
        /// Who says so.
        why: String,
    },
    /// The entry's token is a `${…}`.
    Reference,
    /// The token file is gone or holds no token.
    TokenLost {
        /// How a new one is got, if it can be.
        by: Option<By>,
    },
    /// No record and no token: nobody is logged in.
    LoggedOut,
    /// What is stored is for another mode or API than the entry's.
    StoredForOtherApi {
        /// How a new token is got, if it can be.
        by: Option<By>,
    },
    /// A token that only a person can replace expires.
    Expires {
        /// Negative: it did, so long ago.
        in_seconds: i64,
    },
    /// A token that only a person can replace has times that cannot be right.
    WrongTimes {
        /// What is wrong with them.
        fault: TimeFault,
    },
    /// Somebody keeps undoing what the watcher writes.
    Undone {
        /// openclaw.json, not the token file.
        config: bool,
        /// The pause.
        seconds: i64,
    },
    /// An action is done.
    Done {
        /// Which.
        action: Action,
        /// When the stored token expires, Unix seconds.
        expires: Option<i64>,
    },
    /// An action fails.
    Failing {
        /// Which.
        action: Action,
        /// The error's text.
        why: String,
        /// Tried again in so many seconds.
        seconds: i64,
    },
    /// What failed is well again.
    Recovered {
        /// What had failed.
        action: Action,
    },
}

impl LogEvent {
    /// Whether a person should act on it.
    pub fn is_warning(&self) -> bool {
        matches!(
            self,
            Self::ConfigBroken { .. }
                | Self::ReadOnly { .. }
                | Self::TokenLost { .. }
                | Self::StoredForOtherApi { .. }
                | Self::Expires { .. }
                | Self::WrongTimes { .. }
                | Self::Undone { .. }
                | Self::Failing { .. }
        )
    }
}

impl fmt::Display for LogEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serving { namespace, mode, api_url, on } => {
                let entry = match on {
                    Some(true) => "the hook is on",
                    Some(false) => "the hook is off",
                    None => "no entry of the hook is known",
                };
                write!(f, "serving namespace {namespace}, {} at {api_url}; {entry}", mode.as_str())
            }
            Self::NothingToServe => f.write_str("nothing to serve: no entry in openclaw.json and no record of a login"),
            Self::ConfigBroken { why } => write!(f, "{why}; waiting until it changes"),
            Self::ConfigMended => f.write_str("openclaw.json can be read again"),
            Self::ConfigMissing => f.write_str("there is no openclaw.json; waiting for it"),
            Self::ConfigBack => f.write_str("openclaw.json is back"),
            Self::ReadOnly { why } => write!(f, "openclaw.json is not written: {why} is set"),
            Self::Reference => f.write_str(
                "the entry's SIGILUM_OWNER_TOKEN is filled in by OpenClaw (${…}): left alone, only the token file is kept",
            ),
            Self::TokenLost { by } => {
                let lost = "the token file is gone or holds no owner token of this namespace";
                write!(f, "{lost}; {}", remedy(*by))
            }
            Self::LoggedOut => f.write_str("nobody is logged in here: sigilum-authz-notify auth login"),
            Self::StoredForOtherApi { by } => {
                write!(f, "the entry names another mode or API than the last login; {}", remedy(*by))
            }
            Self::Expires { in_seconds } if *in_seconds > 0 => write!(
                f,
                "the owner token expires in {}; get a new one: sigilum-authz-notify auth refresh --owner-token-stdin",
                time::duration(*in_seconds)
            ),
            Self::Expires { .. } => {
                f.write_str("the owner token has expired; get a new one: sigilum-authz-notify auth refresh --owner-token-stdin")
            }
            Self::WrongTimes { fault } => write!(
                f,
                "{fault}; get a new one: sigilum-authz-notify auth refresh --owner-token-stdin"
            ),
            Self::Undone { config, seconds } => write!(
                f,
                "something keeps undoing what is written to {}; left alone for {}",
                if *config { "openclaw.json" } else { "the token file" },
                time::duration(*seconds)
            ),
            Self::Done { action, expires } => {
                f.write_str(match action {
                    Action::Store(_) => "stored the token that openclaw.json held, which is newer",
                    Action::Renew { .. } => "renewed the owner token",
                    Action::Adopt => "followed the local API to its new address",
                    Action::Put(_) => "put the owner token into openclaw.json",
                    Action::TakeOut => "took the owner token out of openclaw.json",
                })?;
                match (action, expires) {
                    (Action::Store(_) | Action::Renew { .. }, Some(at)) => {
                        write!(f, "; it expires {}", time::rfc3339(*at))
                    }
                    _ => Ok(()),
                }
            }
            Self::Failing { action, why, seconds } => {
                write!(f, "{action} failed: {why}; trying again in {}", time::duration(*seconds))
            }
            Self::Recovered { action } => write!(f, "{action}: well again"),
        }
    }
}

fn remedy(by: Option<By>) -> &'static str {
    match by {
        Some(By::Signing) => "signing a new token",
        Some(By::Command) => "asking the token command for a new token",
        None => "log in again: sigilum-authz-notify auth login",
    }
}
