//! The owner tokens, and what their API says of them.

use crate::cmd::auth::state::State;
use crate::cmd::context;
use crate::cmd::doctor::facts::Facts;
use crate::cmd::doctor::finding::Finding;
use crate::cmd::doctor::token::{ApiCheck, TokenStatus};
use crate::error::ExitCode;
use crate::mode::Mode;
use crate::settings::Owner;
use crate::time;
use crate::token::record;

/// Tokens are made and judged by the clock: what may differ.
const CLOCK_SECONDS: u64 = 300;
/// A container has its host's clock.
const SET_CLOCK: &str = if cfg!(target_os = "macos") {
    "set the clock of this machine: System Settings, General, Date & Time"
} else {
    "set the clock of this machine, for a container on its host; with systemd: timedatectl set-ntp true"
};

pub(super) fn log_in(token: &TokenStatus, facts: &Facts) -> String {
    context::renew_command(&token.owner, facts.place, "")
}

pub(super) fn token(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let token = match &facts.token {
        Ok(token) => token,
        Err(error) => return vec![Finding::fault_of(name, error, facts.command("auth login"))],
    };
    let whose = &token.namespace;
    let hook = token.hook_namespace.as_ref();
    let is_hooks = hook.is_none_or(|hook| hook == whose);
    if let Some(why) = &token.why_not {
        let text = match hook.filter(|_| !is_hooks) {
            Some(hook) => format!("there is no token of {whose} that can be used: {why}; the hook speaks for {hook}"),
            None => format!("the hook has no token that it can use: {why}"),
        };
        let other = context::entrys_other_api(&token.owner, facts.place);
        let text = text + &other.map_or_else(String::new, |other| format!("; {other}"));
        let step = log_in(token, facts) + &or_switch(token, facts);
        return vec![Finding::fail(name, ExitCode::Token, text, step)];
    }
    if token.is_refused() {
        let text = match is_hooks {
            true => "the API refuses the token that the hook uses".to_owned(),
            false => format!("the API refuses the token of {whose}"),
        };
        let log_in = log_in(token, facts);
        let step = match &token.api_check {
            Some(check) => where_refused(&token.owner, check, log_in, facts),
            None => log_in,
        };
        return vec![Finding::fail(name, ExitCode::Token, text, step)];
    }
    if !token.doubts.is_empty() {
        let text = format!("{whose}: {}", token.doubts.join("; "));
        return vec![Finding::warn(name, text, renew(token, facts))];
    }
    let expiry = token.expiry.as_deref().unwrap_or("no expiry");
    if token.is_near_end && !token.is_renewed() {
        let text = format!("{whose}: the token expires {expiry}, and nothing renews it");
        return vec![Finding::warn(name, text, renew(token, facts))];
    }
    vec![Finding::ok(name, format!("{whose}: {}, {expiry}", token.state.text()))]
}

/// What else does where the hook speaks for somebody who is not logged in, and somebody else is.
fn or_switch(token: &TokenStatus, facts: &Facts) -> String {
    let stored = record::namespaces(&facts.place.sigilum_dir()).unwrap_or_default();
    let other = stored.into_iter().find(|other| facts.place.record_file(other).exists());
    let is_hooks = token.hook_namespace.as_ref() == Some(&token.namespace);
    match other.filter(|_| is_hooks && token.owner.record.is_none()) {
        Some(other) => {
            let switch = facts.command(&format!("auth switch {other}"));
            format!("; or have the hook speak for {other}, who is logged in, with {switch}")
        }
        None => String::new(),
    }
}

pub(super) fn renew(token: &TokenStatus, facts: &Facts) -> String {
    match token.owner.mode.value {
        Mode::OssLocal if token.signs_in_vain() => name_the_checkout(&token.owner, facts),
        // Nothing here signs another one: it was handed over, or its secret is elsewhere.
        Mode::OssLocal if !context::can_sign_here(&token.owner, facts.place) => name_the_checkout(&token.owner, facts),
        _ => log_in(token, facts),
    }
}

/// What makes a token that the API takes, where the secret that is known here does not.
pub(super) fn name_the_checkout(owner: &Owner, facts: &Facts) -> String {
    let log_in = facts
        .called
        .complete(&context::first_login_command(owner, facts.place, ""));
    format!(
        "name the Sigilum checkout that the API runs from: {}; or export the JWT_SECRET that it has, and log in without \
         that flag",
        context::with_checkout(&log_in)
    )
}

/// What makes a token that the API takes, where it refuses the one that there is.
fn where_refused(owner: &Owner, check: &ApiCheck, log_in: String, facts: &Facts) -> String {
    match owner.mode.value {
        Mode::OssLocal if check.is_anothers => {
            let log_in = Mode::OssLocal.login_command("<yours>") + &context::same_api(Mode::OssLocal, facts.place);
            format!(
                "the API knows the token's secret, and {} is another owner's there, so log in with that secret as the \
                 owner that is yours: export JWT_SECRET=<secret> && {log_in}",
                owner.namespace.value
            )
        }
        Mode::OssLocal if check.other_secret != Some("accepted") => name_the_checkout(owner, facts),
        _ => log_in,
    }
}

/// The namespaces that the hook does not speak for.
pub(super) fn stored(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let others = facts.others.iter().map(|other| {
        let mut text = other.stored.text();
        other
            .stored
            .doubts
            .iter()
            .for_each(|doubt| text += &format!("; {doubt}"));
        let in_force = matches!(other.stored.state, State::NotExpired | State::Due);
        match &other.check {
            Ok((_, check)) => text += &format!("; API: {}", check.text),
            Err((why, _)) if in_force && !text.contains(why) => text += &format!("; API: not checked: {why}"),
            Err(_) => {}
        }
        let is_fine = in_force && other.stored.doubts.is_empty();
        let log_in = other.log_in.clone();
        let step = match &other.check {
            Ok((owner, check)) => match check.result {
                "accepted" if is_fine => return Finding::ok(name, text),
                "not_checked" if is_fine => unanswered(owner, check, &log_in, facts),
                "refused" => where_refused(owner, check, log_in, facts),
                _ => log_in,
            },
            Err((_, step)) => step.clone().unwrap_or(log_in),
        };
        Finding::warn(name, text, step)
    });
    others.collect()
}

/// What is to be done about an API that did not say whether it takes the token of an owner.
fn unanswered(owner: &Owner, check: &ApiCheck, log_in: &str, facts: &Facts) -> String {
    let again = facts.command(&format!("auth status --namespace {}", owner.namespace.value));
    let url = &owner.api_url.value;
    match owner.mode.value {
        _ if check.is_strange == Some(true) => {
            format!("check the URL; if another one is right: {log_in} --api-url <url>")
        }
        _ if check.is_strange.is_some() => format!("wait until the API is in order, then: {again}"),
        Mode::OssLocal => format!("start the API that belongs at {url}, then: {again}"),
        Mode::Managed => format!("see whether {url} can be reached from here, then: {again}"),
    }
}

fn asked<'a>(facts: &'a Facts) -> Option<(&'a TokenStatus, &'a ApiCheck)> {
    let token = facts.token.as_ref().ok()?;
    Some((token, token.api_check.as_ref()?))
}

pub(super) fn api(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let Some((token, check)) = asked(facts) else {
        return Vec::new();
    };
    let url = &token.owner.api_url.value;
    vec![match check.result {
        "not_checked" => {
            let step = unanswered(&token.owner, check, &log_in(token, facts), facts);
            Finding::warn(name, format!("{url}: {}", check.text), step)
        }
        _ => Finding::ok(name, format!("{url} answers")),
    }]
}

pub(super) fn clock(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let Some(ahead) = asked(facts).and_then(|(_, check)| check.clock_ahead) else {
        return Vec::new();
    };
    if ahead.unsigned_abs() <= CLOCK_SECONDS {
        return vec![Finding::ok(name, "as the API's")];
    }
    let way = if ahead > 0 { "ahead of" } else { "behind" };
    let text = format!("this machine's clock is {} {way} the API's", time::duration(ahead));
    vec![Finding::warn(name, text, SET_CLOCK)]
}
