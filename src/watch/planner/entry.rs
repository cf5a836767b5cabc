//! What the hook's entry needs: the token, or a person.

use super::types::{Config, Entry, InConfig, Now, Owner, Snapshot, Stored, Token, TokenId};
use std::fmt;

/// What the entry needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing.
    Nothing,
    /// This token, the stored one.
    Token(TokenId),
    /// A person: it is not as recorded, and only the token is ever written into it.
    Person(Difference),
}

/// How the entry differs from what is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// It is not there, or not any more.
    Gone,
    /// It names another namespace, mode or API.
    Names {
        /// Which of them, for people.
        what: &'static str,
        /// The entry's.
        entry: Option<String>,
        /// The record's, which counts.
        recorded: String,
    },
    /// It is off and holds a token.
    TokenWhileOff,
    /// It holds a token, which is to be kept out of openclaw.json.
    TokenKeptOut {
        /// The stored one.
        is_stored: bool,
    },
    /// It holds a token that was issued later than the stored one.
    NewerToken,
    /// Its token is a `${…}`.
    Reference,
    /// No token may be written where it stands: why.
    Closed(String),
    /// openclaw.json must not be written: who says so.
    ReadOnly(String),
}

/// What the entry needs now; `None` where that cannot be told. `was_there`: there was an entry before.
pub(super) fn need(snapshot: &Snapshot, owner: &Owner, was_there: bool, now: Now) -> Option<Need> {
    let entry = match &snapshot.config {
        Config::Missing | Config::Broken(_) => return None,
        Config::NoEntry if was_there || owner.token_in_config == Some(true) => {
            return Some(Need::Person(Difference::Gone));
        }
        Config::NoEntry => return Some(Need::Nothing),
        Config::Entry(entry) => entry,
    };
    let held = match &entry.token {
        InConfig::Token(token) => Some(token),
        _ => None,
    };
    let stored = match &snapshot.file {
        Stored::Token(token) => Some(token),
        _ => None,
    };
    if !entry.on {
        return Some(held.map_or(Need::Nothing, |_| Need::Person(Difference::TokenWhileOff)));
    }
    if let Some(difference) = other_name(entry, owner) {
        return Some(Need::Person(difference));
    }
    Some(match (owner.token_in_config, held) {
        (Some(false), Some(held)) => Need::Person(Difference::TokenKeptOut {
            is_stored: stored.is_some_and(|stored| stored.id == held.id),
        }),
        (Some(false), None) | (None, None) => Need::Nothing,
        (Some(true), None) if entry.token == InConfig::Reference => Need::Person(Difference::Reference),
        (Some(true) | None, held) => {
            let stored = stored.filter(|token| !token.is_expired(now))?;
            fresher(stored, held, owner, now).unwrap_or_else(|| writable(snapshot, entry, stored.id))
        }
    })
}

fn other_name(entry: &Entry, owner: &Owner) -> Option<Difference> {
    let names = [
        ("namespace", &entry.namespace, owner.namespace.as_str()),
        ("mode", &entry.mode, owner.mode.as_str()),
        ("API", &entry.api_url, owner.api_url.as_str()),
    ];
    let (what, named, recorded) = names
        .into_iter()
        .find(|(_, named, recorded)| named.as_deref() != Some(recorded))?;
    Some(Difference::Names {
        what,
        entry: named.clone(),
        recorded: recorded.to_owned(),
    })
}

/// Why the stored token does not take the place of the one that is held.
fn fresher(stored: &Token, held: Option<&Token>, owner: &Owner, now: Now) -> Option<Need> {
    let held = held?;
    let is_good = held.namespace == owner.namespace && !held.is_expired(now);
    if held.id == stored.id {
        Some(Need::Nothing)
    } else if is_good && held.is_newer_than(stored, now) {
        Some(Need::Person(Difference::NewerToken))
    } else {
        None
    }
}

fn writable(snapshot: &Snapshot, entry: &Entry, stored: TokenId) -> Need {
    match (&entry.closed, &snapshot.read_only) {
        (Some(why), _) => Need::Person(Difference::Closed(why.clone())),
        (None, Some(why)) => Need::Person(Difference::ReadOnly(why.clone())),
        (None, None) => Need::Token(stored),
    }
}

impl Difference {
    /// Whether a person should act on it.
    pub(super) fn is_warning(&self) -> bool {
        *self != Self::Reference
    }

    /// Whether the entry as a login writes it is the way out, where a person wants what is recorded.
    pub(super) fn is_settled_by_a_write(&self) -> bool {
        !matches!(self, Self::Reference | Self::Closed(_) | Self::ReadOnly(_))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("openclaw.json has no entry for the hook"),
            Self::Names { what, entry, recorded } => {
                let named = entry.as_ref().map_or_else(|| format!("no {what}"), |name| format!("the {what} {name:?}"));
                write!(f, "the hook's entry in openclaw.json names {named}, the login {recorded:?}; the login counts")
            }
            Self::TokenWhileOff => f.write_str("the hook is off, and openclaw.json still holds an owner token"),
            Self::TokenKeptOut { is_stored: true } => {
                f.write_str("openclaw.json holds the owner token, which is to be in its own file only")
            }
            Self::TokenKeptOut { is_stored: false } => {
                f.write_str("openclaw.json holds an owner token that nobody uses: another than the stored one")
            }
            Self::NewerToken => f.write_str(
                "openclaw.json holds an owner token that nobody uses, issued later than the stored one; to store it: \
                 sigilum-authz-notify auth login --owner-token-stdin",
            ),
            Self::Reference => f.write_str(
                "the entry's SIGILUM_OWNER_TOKEN is filled in by OpenClaw (${…}): left alone, only the token file is kept",
            ),
            Self::Closed(why) => write!(f, "the owner token is not written into openclaw.json: {why}"),
            Self::ReadOnly(why) => write!(f, "openclaw.json is not written: {why} is set"),
        }
    }
}
