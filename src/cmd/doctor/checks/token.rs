//! The owner tokens, and what their API says of them.

use crate::cmd::auth::state::State;
use crate::cmd::context;
use crate::cmd::doctor::facts::Facts;
use crate::cmd::doctor::finding::Finding;
use crate::cmd::doctor::token::{ApiCheck, TokenStatus};
use crate::error::ExitCode;
use crate::mode::Mode;
use crate::time;

/// Tokens are made and judged by the clock: what may differ.
const CLOCK_SECONDS: u64 = 300;

fn log_in(token: &TokenStatus, facts: &Facts) -> String {
    context::first_login_command(&token.owner, facts.place, "")
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
        return vec![Finding::fail(name, ExitCode::Token, text, log_in(token, facts))];
    }
    if token.is_refused() {
        let text = match is_hooks {
            true => "the API refuses the token that the hook uses".to_owned(),
            false => format!("the API refuses the token of {whose}"),
        };
        return vec![Finding::fail(name, ExitCode::Token, text, log_in(token, facts))];
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

pub(super) fn renew(token: &TokenStatus, facts: &Facts) -> String {
    match token.owner.mode.value {
        Mode::OssLocal => facts.command(&format!("auth refresh --namespace {}", token.namespace)),
        Mode::Managed => log_in(token, facts),
    }
}

/// The namespaces that the hook does not speak for.
pub(super) fn stored(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let others = facts.others.iter().map(|other| {
        let told = |check: &ApiCheck| format!("; API: {}", check.text);
        let check = other.check.as_ref();
        let mut text = other.stored.text();
        other
            .stored
            .doubts
            .iter()
            .for_each(|doubt| text += &format!("; {doubt}"));
        text += &check.map_or_else(String::new, told);
        let is_refused = check.is_some_and(|check| check.result == "refused");
        match other.stored.state {
            State::NotExpired | State::Due if !is_refused && other.stored.doubts.is_empty() => Finding::ok(name, text),
            _ => Finding::warn(name, text, &other.log_in),
        }
    });
    others.collect()
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
    vec![match (check.result, token.owner.mode.value) {
        ("not_checked", mode) => {
            let again = facts.command(&format!("auth status --namespace {}", token.namespace));
            let step = match mode {
                _ if check.is_strange == Some(true) => {
                    let log_in = log_in(token, facts);
                    format!("check the URL; if another one is right: {log_in} --api-url <url>")
                }
                _ if check.is_strange.is_some() => format!("wait until the API is in order, then: {again}"),
                Mode::OssLocal => format!("start the API that belongs at {url}, then: {again}"),
                Mode::Managed => format!("see whether {url} can be reached from here, then: {again}"),
            };
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
    vec![Finding::warn(name, text, "timedatectl set-ntp true")]
}
