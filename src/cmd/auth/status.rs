//! `auth status`: which token the hook uses, until when, what the API says of it, and whether openclaw.json holds the same
//! one.

use crate::broker::protocol;
use crate::cli::StatusArgs;
use crate::cmd::broker::remote::Remote;
use crate::cmd::context::place;
use crate::cmd::doctor::checks;
use crate::cmd::doctor::facts::{Facts, View};
use crate::cmd::doctor::finding::{self, Finding, State};
use crate::cmd::doctor::token::TokenStatus;
use crate::cmd::output::{self, write_json, write_lines};
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::owner_token;
use crate::watch::status::{HomeStatus, WatchStatus};
use serde::Serialize;
use serde_json::json;
use std::io::Write;

/// What `auth status` shows as JSON.
#[derive(Serialize)]
struct Status<'a, T> {
    #[serde(flatten)]
    shown: T,
    findings: &'a [Finding],
}

/// Runs the command.
pub fn run(args: &StatusArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let place = place(&args.show.place, env)?;
    let remote = Remote::of_person(&place, env, args.show.namespace.as_deref());
    let mut facts = Facts::collect(&args.show, env, &place, View::AuthStatus);
    let asked = remote.map(|remote| {
        let recorded = facts.broker.take();
        facts.broker = remote.map(|remote| {
            // The recorded one was asked already.
            let is_same = |known: &Remote| known.socket == remote.socket && known.asking == remote.asking;
            let known = recorded.filter(|(known, _)| is_same(known));
            let status = known.map_or_else(|| remote.status(), |(_, status)| status);
            (remote, status)
        });
    });
    facts.ask_the_brokers_api();
    let findings = checks::findings(&facts, View::AuthStatus);
    let json = args.output.json;
    match (asked, facts.broker, facts.token) {
        (Err(error), ..) | (_, Some((_, Err(error))), _) | (_, None, Err(error)) => fail(error, &findings, json, out),
        (_, Some((remote, Ok((status, uid)))), _) => {
            let shown = json!({"broker": {"socket": remote.socket, "uid": uid}, "status": status});
            let code = show(shown, broker_lines(&remote, &status, uid), &findings, json, out)?;
            Ok(if status.token { code } else { ExitCode::Token })
        }
        (_, None, Ok(token)) => show(&token, lines(&token), &findings, json, out),
    }
}

/// Shows what is found where whose the token is, or the broker's, cannot be told, and ends with the error.
fn fail(mut error: Error, findings: &[Finding], json: bool, out: &mut dyn Write) -> Result<ExitCode> {
    error.code = match finding::exit_code(findings) {
        ExitCode::Ok => error.code,
        worst => worst,
    };
    write(json!({}), Vec::new(), findings, json, out)?;
    // The error tells of that itself.
    tell_faults(findings.iter().filter(|finding| finding.text != error.text()));
    Err(error)
}

/// Writes what is shown, as an object of JSON or in lines, with the findings.
fn show(
    shown: impl Serialize,
    lines: Vec<String>,
    findings: &[Finding],
    json: bool,
    out: &mut dyn Write,
) -> Result<ExitCode> {
    write(shown, lines, findings, json, out)?;
    tell_faults(findings);
    Ok(finding::exit_code(findings))
}

fn write(
    shown: impl Serialize,
    mut lines: Vec<String>,
    findings: &[Finding],
    json: bool,
    out: &mut dyn Write,
) -> Result<()> {
    if json {
        return write_json(out, &Status { shown, findings });
    }
    lines.extend(warnings(findings));
    write_lines(out, &lines)
}

fn warnings(findings: &[Finding]) -> Vec<String> {
    finding::problem_lines(findings.iter().filter(|finding| finding.state != State::Fail))
}

fn tell_faults<'a>(findings: impl IntoIterator<Item = &'a Finding>) {
    let faults = findings.into_iter().filter(|finding| finding.state == State::Fail);
    faults.for_each(|fault| output::warn(fault.lines("").join("\n  ")));
}

/// The broker's token, line by line.
pub fn broker_lines(remote: &Remote, status: &protocol::Status, uid: u32) -> Vec<String> {
    let socket = remote.socket.display();
    let mut lines = vec![
        format!(
            "Broker:        {socket} (from {}), run by {}",
            remote.origin,
            fs::user_name(uid)
        ),
        format!("Namespace:     {}", status.namespace),
        format!("Mode:          {}", status.mode),
        format!("API:           {}", status.api),
    ];
    lines.push(match (&status.why_not, &status.expires_at) {
        (Some(why), _) => format!("Token:         none that can be used: {why}"),
        (None, Some(at)) => format!("Token:         expires {at}"),
        (None, None) => "Token:         without an expiry".to_owned(),
    });
    lines.extend(status.renewed_at.iter().map(|at| format!("Renews:        {at}")));
    lines
}

/// What is known of a login that there is not.
const NOBODY: &str = "not known, as nobody is logged in";

/// The token, line by line.
pub fn lines(token: &TokenStatus) -> Vec<String> {
    let mut lines = vec![
        format!("Namespace:     {} (from {})", token.namespace, token.namespace_from),
        format!("Mode:          {}", token.mode.unwrap_or(NOBODY)),
        format!("API:           {}", token.api_url.as_deref().unwrap_or(NOBODY)),
        format!("Token file:    {}", token.token_file.display()),
        format!("State:         {}", token.state.text()),
    ];
    match &token.why_not {
        Some(why) => lines.push(format!("               {why}")),
        None if token.token_from == owner_token::IN_ENTRY => lines
            .push("               the token in openclaw.json is used, as nobody has logged in to this home".to_owned()),
        None => {}
    }
    lines.extend(token.issued_at.iter().map(|issued| format!("Issued:        {issued}")));
    lines.extend(token.expiry.iter().map(|expiry| format!("Expires:       {expiry}")));
    lines.extend(token.doubts.iter().map(|doubt| format!("               {doubt}")));
    lines.extend(
        token
            .api_check
            .iter()
            .map(|check| format!("API check:     {}", check.text)),
    );
    lines.push(format!(
        "openclaw.json: {}",
        match token.config_has_same_token {
            Some(true) => "holds the same token",
            Some(false) => token.config_holds_none.unwrap_or("does not hold this token"),
            None => "cannot be read",
        }
    ));
    lines.extend(
        token
            .hook_namespace
            .iter()
            .map(|hook| format!("Hook:          speaks for {hook}")),
    );
    let heads = std::iter::once("Stored:        ").chain(std::iter::repeat("               "));
    lines.extend(
        heads
            .zip(&token.stored)
            .map(|(head, stored)| format!("{head}{}", stored.text())),
    );
    lines.push(format!(
        "Watcher:       {}",
        watch_text(token.watch.as_ref(), Some(token))
    ));
    lines
}

/// The watcher in one line; `none` where none ever served this home.
pub fn watch_text(watch: Option<&WatchStatus>, token: Option<&TokenStatus>) -> String {
    let ends = token.is_some_and(|token| token.why_not.is_none() && token.expires_at.is_some());
    let nothing_renews = if ends { ", nothing renews this token" } else { "" };
    let Some(watch) = watch else {
        return format!("none{nothing_renews}");
    };
    if !watch.running {
        return format!("process {} is gone{nothing_renews}", watch.pid);
    }
    if let Some(hook) = token.and_then(|token| token.watched.as_deref()) {
        return format!("process {} runs for {hook} alone{nothing_renews}", watch.pid);
    }
    let is_tokens = |(at, home): &(usize, &HomeStatus)| token.map_or(*at == 0, |token| home.is_of(&token.namespace));
    let homes = watch.homes.iter().enumerate().filter(is_tokens).map(|(_, home)| {
        let due = match (&home.next_due_at, &home.expires_at) {
            (Some(due), _) => format!(", next renewal {due}"),
            (None, Some(_)) => ", nothing renews this token".to_owned(),
            (None, None) => String::new(),
        };
        let error = home
            .last_error
            .as_ref()
            .map_or_else(String::new, |error| format!(", fails: {error}"));
        let notify = home
            .notify_error
            .as_ref()
            .map_or_else(String::new, |error| format!(", nobody is told at once: {error}"));
        format!("{due}{error}{notify}")
    });
    format!("process {} runs{}", watch.pid, homes.collect::<String>())
}
