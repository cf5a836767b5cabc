//! What the hook's entry needs: the token, or a person.

use super::log_event::LogEvent;
use super::types::{Config, Entry, InConfig, Now, Owner, Snapshot, Stored, Token, TokenId};
use crate::mode::Mode;

/// What the entry needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing.
    Nothing,
    /// This token, the stored one.
    Token(TokenId),
    /// A person: it is not as recorded, and only the token is ever written into it.
    Person(LogEvent),
}

/// What is remembered of the entry.
#[derive(Clone, Copy)]
pub(super) struct Past {
    /// There was one.
    pub had_entry: bool,
    /// The token in it, if that has stood there since it was the stored one.
    pub kept: Option<TokenId>,
}

/// What the entry needs now; `None` where that cannot be told.
pub(super) fn need(snapshot: &Snapshot, owner: &Owner, past: Past, now: Now) -> Option<Need> {
    let differs = |what: &str| Need::Person(differs(what, snapshot, owner));
    let entry = match &snapshot.config {
        Config::Missing | Config::Broken(_) => return None,
        Config::NoEntry if snapshot.plugin_runs => return Some(Need::Nothing),
        Config::NoEntry if past.had_entry || owner.token_in_config == Some(true) => {
            let install = format!("sigilum-authz-notify hook install{}", snapshot.flags);
            let gone = format!("openclaw.json has no entry for the hook; to write it: {install}");
            return Some(Need::Person(LogEvent::warning(gone)));
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
        let left = || differs("the hook is off, and openclaw.json still holds an owner token");
        return Some(held.map_or(Need::Nothing, |_| left()));
    }
    if let Some(name) = other_name(entry, owner) {
        return Some(differs(&name));
    }
    Some(match (owner.token_in_config, held) {
        (Some(false), Some(held)) if stored.is_some_and(|stored| stored.id == held.id) => {
            differs("openclaw.json holds the owner token, which is to be in its own file only")
        }
        (Some(false), Some(_)) => differs(
            "openclaw.json holds an owner token that nobody uses, another than the stored one, though none is to be there",
        ),
        (Some(false), None) | (None, None) => Need::Nothing,
        (Some(true), None) if entry.token == InConfig::Reference => Need::Person(LogEvent::info(
            "the entry's SIGILUM_OWNER_TOKEN is filled in by OpenClaw (${…}): left alone, only the token file is kept",
        )),
        (Some(true) | None, held) => {
            let stored = stored.filter(|token| !token.is_expired(now))?;
            match held {
                Some(held) if held.id == stored.id => Need::Nothing,
                // Whoever put it there must not get the stored one in its place.
                Some(held) if owner.token_in_config.is_none() && past.kept != Some(held.id) => {
                    Need::Person(nobody_chose(snapshot, owner))
                }
                Some(held) if is_better(held, stored, owner, now) => differs(&format!(
                    "openclaw.json holds an owner token that nobody uses, issued later than the stored one; to store it: \
                     sigilum-authz-notify auth login --owner-token-stdin{}",
                    snapshot.flags
                )),
                _ => writable(snapshot, entry, stored.id),
            }
        }
    })
}

/// What is not as recorded, with the command that writes the entry as it is.
fn differs(what: &str, snapshot: &Snapshot, owner: &Owner) -> LogEvent {
    LogEvent::warning(format!(
        "{what}; to write the entry as recorded: sigilum-authz-notify auth switch {}{}",
        owner.namespace, snapshot.flags
    ))
}

/// An entry holds a token that was never the stored one, and no person has said whether it is to hold any.
fn nobody_chose(snapshot: &Snapshot, owner: &Owner) -> LogEvent {
    let stdin = match owner.mode {
        Mode::Managed => " --owner-token-stdin",
        Mode::OssLocal => "",
    };
    LogEvent::warning(format!(
        "openclaw.json holds an owner token that nobody uses, another than the stored one, and nobody chose whether one is \
         to be there; to choose: sigilum-authz-notify auth login --mode {} --namespace {}{stdin} --token-in-config false{} \
         (true puts the stored one there)",
        owner.mode.as_str(),
        owner.namespace,
        snapshot.flags
    ))
}

fn other_name(entry: &Entry, owner: &Owner) -> Option<String> {
    let names = [
        ("namespace", &entry.namespace, owner.namespace.as_str()),
        ("mode", &entry.mode, owner.mode.as_str()),
        ("API", &entry.api_url, owner.api_url.as_str()),
    ];
    let (what, named, recorded) = names
        .into_iter()
        .find(|(_, named, recorded)| named.as_deref() != Some(recorded))?;
    let named = match named {
        Some(name) => format!("the {what} {name:?}"),
        None => format!("no {what}"),
    };
    Some(format!(
        "the hook's entry in openclaw.json names {named}, the login {recorded:?}; the login counts"
    ))
}

fn is_better(held: &Token, stored: &Token, owner: &Owner, now: Now) -> bool {
    held.namespace == owner.namespace && !held.is_expired(now) && held.is_newer_than(stored, now)
}

fn writable(snapshot: &Snapshot, entry: &Entry, stored: TokenId) -> Need {
    match (&entry.closed, &snapshot.read_only) {
        (Some(why), _) => Need::Person(LogEvent::warning(format!(
            "the owner token is not written into openclaw.json, only into its own file: {why}"
        ))),
        (None, Some(why)) => Need::Person(LogEvent::warning(format!("openclaw.json is not written: {why} is set"))),
        (None, None) => Need::Token(stored),
    }
}
