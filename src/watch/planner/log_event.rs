//! What planning wants in the log. None of them ever holds a token.

use super::action::{Action, By};
use super::entry::Difference;
use super::types::Entry;
use crate::mode::Mode;
use crate::settings::{default_api_url, is_label};
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
    /// There is an entry, but no record of a login.
    NobodyLoggedIn {
        /// The options of the login that the entry is for.
        options: String,
        /// The API that the entry names, where it is not that login's.
        api_url: Option<String>,
    },
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
    /// The entry is not as recorded.
    Differs {
        /// The record's namespace.
        namespace: String,
        /// How it is not.
        difference: Difference,
    },
    /// The token file is gone or holds no token.
    TokenLost {
        /// How a new one is got, if it can be.
        by: Option<By>,
    },
    /// A token that only a person can replace.
    NobodyRenews {
        /// When it expires, Unix seconds.
        expires: i64,
    },
    /// Such a token expires.
    Expires {
        /// Negative: it did, so long ago.
        in_seconds: i64,
    },
    /// Such a token has times that cannot be right.
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
    /// What failed works again.
    Recovered {
        /// What had failed.
        action: Action,
    },
}

impl LogEvent {
    /// Whether a person should act on it.
    pub fn is_warning(&self) -> bool {
        match self {
            Self::Differs { difference, .. } => difference.is_warning(),
            Self::NobodyLoggedIn { .. }
            | Self::ConfigBroken { .. }
            | Self::TokenLost { .. }
            | Self::NobodyRenews { .. }
            | Self::Expires { .. }
            | Self::WrongTimes { .. }
            | Self::Undone { .. }
            | Self::Failing { .. } => true,
            _ => false,
        }
    }

    /// Of what the entry names, only what a login could take finds its way into the command.
    pub(super) fn nobody_logged_in(entry: &Entry) -> Self {
        let mode = [Mode::Managed, Mode::OssLocal]
            .into_iter()
            .find(|mode| entry.mode.as_deref() == Some(mode.as_str()));
        let namespace = entry.namespace.as_ref().filter(|name| is_label(name, true));
        let options = namespace.map(|name| format!(" --namespace {name}")).into_iter();
        let options = options.chain(mode.map(|mode| format!(" --mode {}", mode.as_str())));
        let default = default_api_url(mode.unwrap_or(Mode::Managed));
        Self::NobodyLoggedIn {
            options: options.collect(),
            api_url: entry.api_url.clone().filter(|url| url != default),
        }
    }

    fn serving(
        f: &mut fmt::Formatter<'_>,
        namespace: &str,
        mode: Mode,
        api_url: &str,
        on: Option<bool>,
    ) -> fmt::Result {
        let entry = match on {
            Some(true) => "the hook is on",
            Some(false) => "the hook is off",
            None => "no entry of the hook is known",
        };
        write!(
            f,
            "serving namespace {namespace}, {} at {api_url}; {entry}",
            mode.as_str()
        )
    }

    fn done(f: &mut fmt::Formatter<'_>, action: &Action, expires: Option<i64>) -> fmt::Result {
        match (action, expires) {
            (Action::Put(_), _) => f.write_str("put the owner token into openclaw.json"),
            (Action::Renew { .. }, None) => f.write_str("renewed the owner token"),
            (Action::Renew { .. }, Some(at)) => write!(f, "renewed the owner token; it expires {}", time::rfc3339(at)),
        }
    }
}

impl fmt::Display for LogEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serving {
                namespace,
                mode,
                api_url,
                on,
            } => Self::serving(f, namespace, *mode, api_url, *on),
            Self::NothingToServe => f.write_str("nothing to serve: no entry in openclaw.json and no record of a login"),
            Self::NobodyLoggedIn { options, api_url } => {
                write!(
                    f,
                    "nobody is logged in here, so no token is renewed: {PROGRAM} auth login{options}"
                )?;
                match api_url {
                    Some(url) => write!(f, " (the entry names the API {url:?}: with --api-url, if it is yours)"),
                    None => Ok(()),
                }
            }
            Self::ConfigBroken { why } => write!(f, "{why}; waiting until it changes"),
            Self::ConfigMended => f.write_str("openclaw.json can be read again"),
            Self::ConfigMissing => f.write_str("there is no openclaw.json; waiting for it"),
            Self::ConfigBack => f.write_str("openclaw.json is back"),
            Self::Differs { namespace, difference } if difference.is_settled_by_a_write() => {
                write!(
                    f,
                    "{difference}; to write the entry as recorded: {PROGRAM} auth switch {namespace}"
                )
            }
            Self::Differs { difference, .. } => difference.fmt(f),
            Self::TokenLost { by } => {
                let remedy = match by {
                    Some(By::Signing) => "signing a new token",
                    Some(By::Command) => "asking the token command for a new token",
                    None => "log in again: sigilum-authz-notify auth login",
                };
                write!(
                    f,
                    "the token file is gone or holds no owner token of this namespace; {remedy}"
                )
            }
            Self::NobodyRenews { expires } => write!(
                f,
                "nothing renews this owner token, which expires {}: start the watcher with --token-command, or before then: \
                 {NEW_TOKEN}",
                time::rfc3339(*expires)
            ),
            Self::Expires { in_seconds } if *in_seconds > 0 => {
                let left = time::duration(*in_seconds);
                write!(f, "the owner token expires in {left}; get a new one: {NEW_TOKEN}")
            }
            Self::Expires { .. } => write!(f, "the owner token has expired; get a new one: {NEW_TOKEN}"),
            Self::WrongTimes { fault } => write!(f, "{fault}; get a new one: {NEW_TOKEN}"),
            Self::Undone { config, seconds } => {
                let what = if *config { "openclaw.json" } else { "the token file" };
                let pause = time::duration(*seconds);
                write!(
                    f,
                    "something keeps undoing what is written to {what}; left alone for {pause}"
                )
            }
            Self::Done { action, expires } => Self::done(f, action, *expires),
            Self::Failing { action, why, seconds } => {
                write!(
                    f,
                    "{action} failed: {why}; trying again in {}",
                    time::duration(*seconds)
                )
            }
            Self::Recovered { action } => write!(f, "{action} works again"),
        }
    }
}

const PROGRAM: &str = "sigilum-authz-notify";
const NEW_TOKEN: &str = "sigilum-authz-notify auth refresh --owner-token-stdin";
