//! What planning wants in the log. None of it ever holds a token.

use super::action::{Action, By};
use super::types::{Entry, Owner, Snapshot};
use crate::mode::Mode;
use crate::settings::{default_api_url, is_label};
use crate::time::{duration, rfc3339};

/// What a person runs with a fresh token.
pub(super) const NEW_TOKEN: &str = "sigilum-authz-notify auth refresh --owner-token-stdin";

/// One line of the log: an event or a change of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEvent {
    /// Whether a person should act on it.
    pub is_warning: bool,
    /// For the person.
    pub text: String,
    /// What a watcher that stays does then; `--once` does not.
    pub then: Option<String>,
}

impl LogEvent {
    /// The same, with what a watcher that stays does then.
    pub(super) fn then(self, what: impl Into<String>) -> Self {
        Self {
            then: Some(what.into()),
            ..self
        }
    }

    /// The line, for a watcher that looks `once` or stays.
    pub fn line(&self, once: bool) -> String {
        match &self.then {
            Some(then) if !once => format!("{}; {then}", self.text),
            _ => self.text.clone(),
        }
    }

    pub(super) fn info(text: impl Into<String>) -> Self {
        Self {
            is_warning: false,
            text: text.into(),
            then: None,
        }
    }

    pub(super) fn warning(text: impl Into<String>) -> Self {
        Self {
            is_warning: true,
            text: text.into(),
            then: None,
        }
    }

    /// Whose token is kept, and what answers with it: the plugin, or the entry where it is on (`None`: there is none).
    pub(super) fn serving(owner: &Owner, plugin_runs: bool, on: Option<bool>) -> Self {
        let (namespace, mode, api_url) = (&owner.namespace, owner.mode.as_str(), &owner.api_url);
        let entry = match on {
            _ if plugin_runs => "the plugin is on",
            Some(true) => "the hook's entry is on",
            Some(false) => "the hook's entry is off",
            None => "no entry of the hook is known",
        };
        Self::info(format!("serving namespace {namespace}, {mode} at {api_url}; {entry}"))
    }

    /// There is an entry, but no record of a login: which login makes the home ours. Of what the entry names, only what
    /// a login could take finds its way into the command.
    pub(super) fn nobody_logged_in(entry: &Entry, snapshot: &Snapshot) -> Self {
        let mut command = "sigilum-authz-notify auth login".to_owned();
        if let Some(namespace) = entry.namespace.as_ref().filter(|name| is_label(name, true)) {
            command += &format!(" --namespace {namespace}");
        }
        let mode = entry.mode.as_deref().and_then(Mode::named);
        if let Some(mode) = mode {
            command += &format!(" --mode {}", mode.as_str());
        }
        if mode == Some(Mode::OssLocal) {
            command += &snapshot.former_checkout;
        }
        command += &snapshot.flags;
        let default = default_api_url(mode.unwrap_or(Mode::Managed));
        if let Some(url) = entry.api_url.as_ref().filter(|url| *url != default) {
            command += &format!(" (the entry names the API {url:?}: with --api-url, if it is yours)");
        }
        Self::warning(format!("nobody is logged in here, so no token is renewed: {command}"))
    }

    /// The token file is gone or holds no token. `by`: how a new one is got, if it can be.
    pub(super) fn token_lost(by: Option<By>, flags: &str) -> Self {
        let remedy = match by {
            // Whoever signs says so, or why not.
            Some(By::Signing) => String::new(),
            Some(By::Command) => "; asking the token command for a new token".to_owned(),
            None => format!("; log in again: sigilum-authz-notify auth login{flags}"),
        };
        Self::warning(format!(
            "the token file is gone or holds no owner token of this namespace{remedy}"
        ))
    }

    /// No secret that is known signed the stored token.
    pub(in crate::watch) fn unsigned(log_in: &str, flags: &str) -> Self {
        Self::warning(format!(
            "the secret that signed the owner token is not known here, so it is renewed only where the API takes what \
             another one signs; name the checkout that the API runs from: {log_in} --source-home <folder>{flags}"
        ))
    }

    /// Only a person can replace the token, which expires then (Unix seconds).
    pub(super) fn nobody_renews(expires: i64, flags: &str) -> Self {
        Self::warning(format!(
            "nothing renews this owner token, which expires {}: give the watcher a command that prints a fresh one \
             (SIGILUM_OWNER_TOKEN_COMMAND), or before then: {NEW_TOKEN}{flags}",
            rfc3339(expires)
        ))
    }

    /// The same, in so many seconds; negative: it did.
    pub(super) fn expires(in_seconds: i64, flags: &str) -> Self {
        let when = match in_seconds {
            1.. => format!("expires in {}", duration(in_seconds)),
            _ => "has expired".to_owned(),
        };
        Self::warning(format!("the owner token {when}; get a new one: {NEW_TOKEN}{flags}"))
    }

    /// Somebody keeps undoing what the watcher writes.
    pub(super) fn undone(action: &Action, pause_seconds: i64) -> Self {
        let what = match action {
            Action::Put(_) => "openclaw.json",
            Action::TakeBack(_) => "the list of timed approvals",
            Action::Renew { .. } => "the token file",
        };
        let pause = duration(pause_seconds);
        Self::warning(format!("something keeps undoing what is written to {what}"))
            .then(format!("left alone for {pause}"))
    }

    /// An action is done. `expires`: when the stored token does, Unix seconds.
    pub(in crate::watch) fn done(action: &Action, expires: Option<i64>) -> Self {
        Self::info(match (action, expires) {
            (Action::Put(_), _) => "put the owner token into openclaw.json".to_owned(),
            (Action::TakeBack(approval), _) => {
                format!("took back the approval {}: its time is over", approval.claim_id)
            }
            (Action::Renew { .. }, None) => "renewed the owner token".to_owned(),
            (Action::Renew { .. }, Some(at)) => format!("renewed the owner token; it expires {}", rfc3339(at)),
        })
    }

    /// An action fails, and is tried again in so many seconds.
    pub(super) fn failing(action: &Action, why: &str, seconds: i64) -> Self {
        Self::warning(format!("{action} failed: {why}")).then(format!("trying again in {}", duration(seconds)))
    }
}
