//! Approvals that end, for people: which commands take them back where no watcher does, and what is told of them where
//! the owner token goes.

use crate::authz::timed::{self, TimedApproval};
use crate::cmd::context;
use crate::env::Env;
use crate::home::OpenClawHome;
use crate::mode::Mode;
use crate::owner_token;
use crate::settings::{self, OwnerQuery};
use crate::sigilum::http::{self, Url};
use crate::time;
use crate::token::record;

/// What goes with the owner token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goes {
    /// Nothing: another login makes one that is as good.
    Token,
    /// What signs it, and all else of ours.
    Everything,
}

/// Takes approvals back: where no token of theirs can be used, after the login.
pub fn how_to_take_back(approvals: &[&TimedApproval], place: &OpenClawHome) -> String {
    commands(approvals, |approval| log_in(approval, place), true)
}

/// The logins that come first, before anybody could take these approvals back; `None`: there is a token for each.
pub fn logins(approvals: &[&TimedApproval], place: &OpenClawHome) -> Option<String> {
    let logins = commands(approvals, |approval| log_in(approval, place), false);
    (!logins.is_empty()).then_some(logins)
}

/// What is to be told, once the owner token is gone, of the approvals of a namespace or of all: the watcher was to end
/// them. Asked before it goes, as the step is the login that there is.
pub fn left_by(goes: Goes, place: &OpenClawHome, namespace: Option<&str>) -> Option<String> {
    let (text, left) = left(place, namespace)?;
    let left: Vec<&TimedApproval> = left.iter().collect();
    let secret = |approval: &TimedApproval| match is_secret_lost(goes, approval, place) {
        true => "export JWT_SECRET=<the secret that the API has> && ",
        false => "",
    };
    let log_in = |approval: &TimedApproval| {
        let log_in = log_in_anew(approval, place);
        let log_in = match goes {
            Goes::Token => log_in,
            // No entry is to come back.
            Goes::Everything => without_the_config(log_in),
        };
        Some(secret(approval).to_owned() + &log_in)
    };
    let step = commands(&left, log_in, true);
    Some(match step.is_empty() {
        true => text,
        false => format!("{text}\n  next: {step}"),
    })
}

/// The same where the login goes on elsewhere.
pub fn left_behind(place: &OpenClawHome, namespace: &str) -> Option<String> {
    left(place, Some(namespace)).map(|(text, _)| text)
}

fn left(place: &OpenClawHome, namespace: Option<&str>) -> Option<(String, Vec<TimedApproval>)> {
    let mut left = match timed::read(place) {
        Ok(left) => left,
        Err(error) => {
            let text = format!(
                "without the owner token nobody takes back approvals when their time is over, and which those are is not \
                 known: {}",
                error.text()
            );
            return Some((text, Vec::new()));
        }
    };
    left.retain(|approval| namespace.is_none_or(|namespace| approval.namespace == namespace));
    let ids: Vec<&str> = left.iter().map(|approval| approval.claim_id.as_str()).collect();
    let text = format!(
        "without the owner token nobody takes back these approvals when their time is over: {}",
        ids.join(", ")
    );
    (!left.is_empty()).then_some((text, left))
}

/// The commands for the approvals of each namespace: the login, where `log_in` has one, and where it `revokes`, that.
fn commands(approvals: &[&TimedApproval], log_in: impl Fn(&TimedApproval) -> Option<String>, revokes: bool) -> String {
    let mut commands = Vec::new();
    let mut rest = approvals.to_vec();
    while let Some(first) = rest.first().copied() {
        let (of_one, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(|other| other.namespace == first.namespace);
        let ids = of_one.iter().map(|approval| shell_words::quote(&approval.claim_id));
        let ids: Vec<_> = ids.collect();
        let revoke = || {
            let namespace = shell_words::quote(&first.namespace);
            format!(
                "sigilum-authz-notify authz revoke {} --namespace {namespace}",
                ids.join(" ")
            )
        };
        commands.extend(log_in(first));
        commands.extend(revokes.then(revoke));
        rest = others;
    }
    commands.join(" && ")
}

/// What makes or takes a token for an approval's API; `None` where one is stored, or why there is none is told by the
/// command that wants it.
fn log_in(approval: &TimedApproval, place: &OpenClawHome) -> Option<String> {
    let query = OwnerQuery {
        namespace: Some(&approval.namespace),
        ..OwnerQuery::default()
    };
    let Ok(owner) = settings::owner(&query, &Env::default(), place) else {
        return Some(by_the_list(approval, place));
    };
    if owner.record.is_none() {
        return Some(by_the_list(approval, place));
    }
    let token = owner_token::stored(&owner, time::now());
    let renew = || beside_the_config(context::renew_command(&owner, place, ""), place);
    token.is_err().then(renew)
}

/// The login where none is recorded: its API is the approval's.
fn by_the_list(approval: &TimedApproval, place: &OpenClawHome) -> String {
    // What answers on this machine may be either.
    let is_here = Url::parse(&approval.api).is_ok_and(|url| http::is_this_machine(&url));
    let query = OwnerQuery {
        namespace: Some(&approval.namespace),
        mode: (!is_here).then_some(Mode::Managed),
        api_url: Some(&approval.api),
        ..OwnerQuery::default()
    };
    let api = context::flag("--api-url", Some(&approval.api));
    let log_in = match settings::owner(&query, &Env::default(), place) {
        Ok(owner) => context::first_login_command(&owner, place, &api),
        Err(_) => {
            let mode = if is_here { Mode::OssLocal } else { Mode::Managed };
            mode.login_command(&approval.namespace) + &api
        }
    };
    beside_the_config(log_in, place)
}

/// The login that is recorded now, in full: its record goes.
fn log_in_anew(approval: &TimedApproval, place: &OpenClawHome) -> String {
    let recorded = record::read(&place.record_file(&approval.namespace)).ok().flatten();
    let Some(record) = recorded else {
        return by_the_list(approval, place);
    };
    let flags = [
        context::api_flags(&record),
        context::path_flag("--token-file", record.token_file.as_deref()),
        context::flag("--ttl-seconds", record.ttl_seconds.map(|life| life.to_string())),
    ]
    .concat();
    let trust = if record.trust_loopback { " --trust-loopback" } else { "" };
    let keeps_hook = settings::keeps_hook(place, &approval.namespace);
    let log_in = record.mode.login_command(&approval.namespace) + &flags + trust + keeps_hook;
    beside_the_config(log_in, place)
}

/// Whether a login needs the secret from a person: it goes with everything that is ours, or was never kept.
fn is_secret_lost(goes: Goes, approval: &TimedApproval, place: &OpenClawHome) -> bool {
    let recorded = record::read(&place.record_file(&approval.namespace)).ok().flatten();
    let is_kept = place.jwt_secret_file().exists();
    match recorded {
        Some(record) => record.is_embedded() && (goes == Goes::Everything || !is_kept),
        None => goes == Goes::Everything && is_kept,
    }
}

/// A login where openclaw.json cannot be written stops at it, unless it leaves it alone.
fn beside_the_config(log_in: String, place: &OpenClawHome) -> String {
    match context::entry_to_set_up(place).is_err() {
        true => without_the_config(log_in),
        false => log_in,
    }
}

fn without_the_config(log_in: String) -> String {
    const ALONE: &str = " --write-openclaw false";
    match log_in.contains(ALONE) {
        true => log_in,
        false => log_in + ALONE,
    }
}
