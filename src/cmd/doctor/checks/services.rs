//! What stands beside the hook: the local API's database and secret, the Sigilum gateway, the watcher.

use super::token::{log_in, name_the_checkout, renew};
use crate::cmd::context;
use crate::cmd::doctor::facts::Facts;
use crate::cmd::doctor::finding::Finding;
use crate::cmd::doctor::token::TokenStatus;
use crate::cmd::gateway;
use crate::cmd::watch::unit;
use crate::error::ExitCode;
use crate::local_token::LocalApi;
use crate::mode::Mode;
use crate::origin::Origin;
use crate::process::Process;
use crate::sigilum::gateway::{DEFAULT_ADMIN_URL, Gateway, Target};
use crate::sigilum::http::{self, HttpError};
use crate::sigilum::local_db::LocalDb;
use crate::token::token_command::{self, TokenCommand};
use crate::watch::status::{HomeStatus, WatchStatus};
use rustix::fs::Access;
use std::time::Duration;

/// What has the OpenClaw gateway start the plugin's program anew.
const RESTART: &str = "openclaw gateway restart";
/// How long another program's lock on the database is waited for.
const PATIENCE: Duration = Duration::from_millis(500);

fn local<'a>(facts: &'a Facts) -> Option<&'a TokenStatus> {
    let token = facts.token.as_ref().ok()?;
    (token.owner.mode.value == Mode::OssLocal && token.owner.record.is_some()).then_some(token)
}

pub(super) fn local_api(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let Some(token) = local(facts) else { return Vec::new() };
    let log_in = facts.called.complete(&log_in(token, facts));
    let api = match LocalApi::find(&token.owner, facts.place) {
        Ok(api) => api,
        Err(error) => return vec![Finding::fault_of(name, &error, log_in)],
    };
    let secret = api.secret(facts.env);
    if token.is_renewed() && (matches!(secret, Ok(None)) || token.signs_in_vain()) {
        let text = "the secret that signs the token is not kept here, and the watcher that runs has it";
        return vec![Finding::ok(name, text)];
    }
    // What this shell alone has is no watcher's.
    let is_shells =
        matches!(&secret, Ok(Some(secret)) if !token.is_renewed() && !token.signs_in_vain() && !api.keeps(secret));
    let is_there = api.database.exists();
    let unusable = LocalDb::open_read_only_within(&api.database, PATIENCE).err();
    let unusable = unusable.map(|error| {
        let fault = Finding::fault_of(name, &error.into(), log_in.clone());
        let next = if is_there { fault.next } else { Some(log_in.clone()) };
        Finding { next, ..fault }
    });
    if api.embedded && matches!(secret, Ok(None)) {
        let damaged = unusable.filter(|_| is_there);
        let nothing = signs_nothing(name, &api, token, log_in, facts);
        return [nothing].into_iter().chain(damaged).collect();
    }
    let mut found: Vec<Finding> = unusable.into_iter().collect();
    match secret {
        Ok(Some(_)) if is_shells => {
            let text = "the secret that the local API signs with is this shell's alone, so nothing renews the token";
            let next = renewed_with_the_secret(token, &log_in, facts);
            found.push(Finding::fail(name, ExitCode::SecretOrDatabase, text, next));
        }
        Ok(Some(secret)) => {
            if token.signs_in_vain() {
                let text = format!(
                    "the secret (from {}) did not sign the token, so it renews it only where the API takes what it signs",
                    secret.origin
                );
                found.push(Finding::warn(name, text, name_the_checkout(&token.owner, facts)));
            }
        }
        Ok(None) => {
            let text = "the secret that the local API signs with is not known, so nothing renews the token";
            let next = api.how_to_tell_the_secret();
            found.push(Finding::fail(name, ExitCode::SecretOrDatabase, text, next));
        }
        Err(error) => found.push(Finding::fault_of(name, &error, log_in)),
    }
    if found.is_empty() {
        found.push(Finding::ok(name, format!("{}, and its secret", api.database.display())));
    }
    found
}

/// A home that has no secret of its own: the token was handed over, or the secret's file is gone.
fn signs_nothing(name: &'static str, api: &LocalApi, token: &TokenStatus, log_in: String, facts: &Facts) -> Finding {
    let file = api.secret_file.display();
    let is_accepted = token.api_check.as_ref().is_some_and(|check| check.result == "accepted");
    let step = match is_accepted {
        // A new secret would not be the API's.
        true => renewed_with_the_secret(token, &log_in, facts),
        false => format!(
            "name the Sigilum checkout that the API runs from: {}; without one, add --force instead, for a new secret \
             and token",
            context::with_checkout(&log_in)
        ),
    };
    match api.database.exists() {
        true => {
            let text = format!("the secret that signs tokens is not kept here, so nothing renews the token: {file}");
            Finding::fail(name, ExitCode::SecretOrDatabase, text, step)
        }
        false => {
            let text = format!("nothing here signs another token: there is no {file}");
            Finding::warn(name, text, step)
        }
    }
}

/// What has a token renewed whose secret only the API and a person have.
fn renewed_with_the_secret(token: &TokenStatus, log_in: &str, facts: &Facts) -> String {
    let runs = facts.watch.as_ref().filter(|watch| watch.running);
    // One that OpenClaw starts anew at once, without the secret.
    if runs.is_some_and(|watch| is_plugins(watch, facts)) {
        return format!(
            "name the Sigilum checkout that the API runs from: {}",
            context::with_checkout(log_in)
        );
    }
    // No watcher renews it.
    if token.watched.is_some() {
        return name_the_checkout(&token.owner, facts);
    }
    let stop = runs.map_or_else(String::new, |watch| watch.how_to_end() + ", then ");
    format!(
        "{stop}start a watcher with the secret that the API has: export JWT_SECRET=<secret> && {}",
        facts.command("watch")
    )
}

/// The program that a running OpenClaw gateway keeps for the plugin: what it says, not what lies on the disk.
pub(super) fn running(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let Ok(installed) = &facts.plugin else {
        return Vec::new();
    };
    if !facts.plugin_runs() {
        return Vec::new();
    }
    let Some(resident) = &facts.resident else {
        let ours = facts.place.sigilum_dir();
        if rustix::fs::access(ours, Access::WRITE_OK).is_err() {
            return vec![Finding::ok(name, "not known, as nothing can be written in this home")];
        }
        let text =
            "no OpenClaw gateway is seen to run the plugin: none runs, or one that was started before the install";
        return vec![Finding::warn(name, text, RESTART)];
    };
    let process = Process {
        pid: resident.pid,
        starttime: resident.pid_starttime,
    };
    let says = resident.text();
    let version = installed.version.as_deref().unwrap_or(&resident.version);
    let newer = if resident.version != version {
        Some(format!("installed is version {version}"))
    } else if process.runs_a_removed_program() {
        Some("its program was replaced since".to_owned())
    } else {
        let recorded = installed.binary.as_ref().filter(|binary| **binary != resident.binary);
        recorded.map(|binary| format!("recorded is the program {}", binary.display()))
    };
    vec![match newer {
        Some(newer) => Finding::warn(name, format!("{says}; {newer}"), RESTART),
        None => Finding::ok(name, says),
    }]
}

pub(super) fn gateway(name: &'static str, facts: &Facts) -> Vec<Finding> {
    const URL: &str = "GATEWAY_ADMIN_URL";
    let owner = facts.token.as_ref().ok().map(|token| &token.owner);
    let workspace = crate::cmd::doctor::token::workspace(facts.place, facts.env, owner);
    let names = std::fs::read_dir(workspace.dir()).into_iter().flatten().flatten();
    let has_one = names
        .map(|entry| entry.file_name())
        .any(|name| name.to_string_lossy().starts_with("gateway-connection-secret-"));
    if !has_one && facts.env.var(URL).is_none() {
        return Vec::new();
    }
    let url = facts.env.var(URL).unwrap_or(DEFAULT_ADMIN_URL).to_owned();
    let target = Target {
        admin_url: url.clone(),
        admin_url_origin: Origin::Env(URL),
        admin_token: facts.env.var("GATEWAY_ADMIN_TOKEN").map(Into::into),
        data_dir: None,
        master_key: None,
        cli: None,
        trust: owner
            .map(|owner| gateway::trust(owner, facts.place))
            .unwrap_or_default(),
        how_to_trust: owner.map_or_else(
            || facts.command("auth login --trust-loopback"),
            |owner| gateway::how_to_trust(owner, facts.place),
        ),
        path: None,
    };
    vec![
        match Gateway::count_of_admin(&target, http::Options::from_env(facts.env)) {
            Ok(count) => Finding::ok(name, format!("{url} answers, with {count} connections")),
            Err(error) => {
                let start = || format!("start the Sigilum gateway, then: {}", facts.command("service list"));
                // Else it answers, the URL is wrong, or somebody else has the port.
                let is_gone = error
                    .cause::<HttpError>()
                    .is_some_and(|why| !matches!(why, HttpError::Listener(_)));
                let next = error.step().filter(|_| !is_gone).unwrap_or_else(start);
                Finding::warn(name, format!("not checked: {}", error.text()), next)
            }
        },
    ]
}

pub(super) fn watcher(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let needs_one = facts.token.as_ref().is_ok_and(|token| token.why_not.is_none());
    let start = || match facts.place.is_a_brokers() {
        true => "start the broker again, which renews it: docs/broker.md".to_owned(),
        false => {
            let install = unit::how_to_install(facts.place, facts.env, "");
            // A watcher goes by the record of a login.
            let token = facts.token.as_ref().ok().filter(|token| token.owner.record.is_none());
            let log_in = token.map(|token| context::installers_login_command(&token.owner, facts.place, "") + " && ");
            log_in.unwrap_or_default() + &install
        }
    };
    let command = facts.env.var(token_command::VARIABLE);
    let command = command.and_then(|text| TokenCommand::parse(text, token_command::VARIABLE, facts.env.pairs()).ok());
    if let Some(trouble) = command.and_then(|command| command.trouble()) {
        let next = format!("correct {}, or: unset {0}", token_command::VARIABLE);
        return vec![Finding::warn(name, trouble, next)];
    }
    if let Some((token, hook)) = facts
        .token
        .as_ref()
        .ok()
        .and_then(|token| Some((token, token.watched.as_ref()?)))
    {
        return of_the_hooks_alone(name, token, hook, facts);
    }
    let runs = facts.watch.as_ref().is_some_and(|watch| watch.running);
    let unit = unit::of_home(facts.place, facts.env).filter(|_| needs_one && !runs);
    if let Some((unit, _)) = unit {
        let text = format!("a service is installed, and no watcher runs: {}", unit.display());
        return vec![Finding::warn(name, text, unit::how_to_start(&unit, facts.env))];
    }
    if let Some(by_hand) = by_hand(facts).filter(|_| facts.watch.as_ref().is_none_or(|watch| !watch.running)) {
        let gone = facts
            .watch
            .as_ref()
            .map(|watch| format!("process {} is gone", watch.pid));
        let gone = gone.unwrap_or_else(|| "none".to_owned());
        return vec![Finding::ok(name, format!("{gone}; {by_hand}"))];
    }
    vec![match &facts.watch {
        Some(watch) if watch.running => return watching(name, watch, facts),
        Some(watch) if needs_one => {
            let text = format!("the watcher, process {}, is gone: nothing renews the token", watch.pid);
            Finding::warn(name, text, start())
        }
        None if needs_one => Finding::warn(name, "none runs: nothing renews the token", start()),
        _ if facts.unread().is_some() => Finding::ok(
            name,
            "none; not checked whether one is needed, as a record cannot be read",
        ),
        _ => Finding::ok(name, "none"),
    }]
}

/// The watcher of a home, where the token is of a namespace that the hook does not speak for.
fn of_the_hooks_alone(name: &'static str, token: &TokenStatus, hook: &str, facts: &Facts) -> Vec<Finding> {
    let watch = facts.watch.as_ref().filter(|watch| watch.running);
    let mut found: Vec<Finding> = watch.map_or_else(Vec::new, |watch| {
        let failing = watch.homes.iter().filter_map(|home| failing(name, home, facts));
        another_program(name, watch, facts).into_iter().chain(failing).collect()
    });
    let runs = watch.map_or_else(|| "none".to_owned(), |watch| format!("process {}", watch.pid));
    let expiry = token
        .expiry
        .as_ref()
        .filter(|_| token.why_not.is_none() && token.expires_at.is_some());
    found.push(match expiry {
        Some(expiry) => {
            let (whose, renew) = (&token.namespace, renew(token, facts));
            let text = format!(
                "{runs}; a watcher renews only the token of {hook}, for whom the hook speaks: nothing renews that of \
                 {whose}, which expires {expiry}"
            );
            Finding::warn(name, text, format!("renew it by hand before then: {renew}"))
        }
        None => Finding::ok(name, runs),
    });
    found
}

/// What is so of a token of the hosted Sigilum, which only a person or a token command renews; `None` for any other. Its
/// last day is the token's finding.
fn by_hand(facts: &Facts) -> Option<String> {
    let token = facts.token.as_ref().ok()?;
    let is_hosted = token.why_not.is_none() && token.owner.mode.value == Mode::Managed;
    let has_command =
        facts.env.var(token_command::VARIABLE).is_some() && !facts.watch.as_ref().is_some_and(|watch| watch.running);
    let expiry = token.expiry.as_ref().filter(|_| is_hosted && !has_command)?;
    let renewed = match facts.place.is_a_brokers() {
        true => format!("{} in the environment of the broker's unit", token_command::VARIABLE),
        false => {
            let install = unit::how_to_install(facts.place, facts.env, " --token-command <command>");
            facts.called.complete(&install)
        }
    };
    Some(format!(
        "nothing renews this token, which expires {expiry}: log in again before then, or give a watcher a command that \
         prints a fresh one ({renewed})"
    ))
}

/// Whether the watcher is the program that an OpenClaw gateway keeps for the plugin.
fn is_plugins(watch: &WatchStatus, facts: &Facts) -> bool {
    facts
        .resident
        .as_ref()
        .is_some_and(|resident| resident.pid == watch.pid)
}

/// A watcher that is not this very program.
fn another_program(name: &'static str, watch: &WatchStatus, facts: &Facts) -> Option<Finding> {
    let process = Process {
        pid: watch.pid,
        starttime: watch.pid_starttime,
    };
    let other = watch
        .version
        .as_deref()
        .filter(|version| *version != env!("CARGO_PKG_VERSION"));
    let old = match other {
        Some(version) => format!(
            "is of version {version}, and this program of {}",
            env!("CARGO_PKG_VERSION")
        ),
        None if process.runs_a_removed_program() => "runs a program that was replaced since".to_owned(),
        None => return None,
    };
    let next = match is_plugins(watch, facts) {
        true => RESTART.to_owned(),
        false if facts.place.is_a_brokers() => {
            format!("{}, then start the broker again: docs/broker.md", watch.how_to_end())
        }
        false => format!(
            "{}, then start it anew: {}",
            watch.how_to_end(),
            unit::how_to_install(facts.place, facts.env, "")
        ),
    };
    let what = format!("the watcher, process {}, {old}", watch.pid);
    Some(Finding::warn(name, what, next))
}

/// What fails in a home, with the error's own step, else with what renews a token of its namespace now or says why not.
fn failing(name: &'static str, home: &HomeStatus, facts: &Facts) -> Option<Finding> {
    let error = home.last_error.as_deref()?;
    let (error, step) = match error.rsplit_once("; next: ") {
        Some((error, step)) => (error, Some(step.to_owned())),
        None => (error, None),
    };
    let renew = || match (&facts.token, &home.namespace) {
        (Ok(token), Some(whose)) if *whose != token.namespace => {
            let mut others = facts.others.iter();
            let other = others.find(|other| other.stored.namespace == *whose);
            other.map_or_else(
                || facts.command(&format!("auth refresh --namespace {whose}")),
                |other| other.log_in.clone(),
            )
        }
        (Ok(token), _) => renew(token, facts),
        (Err(_), _) => facts.command("auth login"),
    };
    let step = step.unwrap_or_else(renew);
    Some(Finding::warn(name, format!("it fails: {error}"), step))
}

fn watching(name: &'static str, watch: &WatchStatus, facts: &Facts) -> Vec<Finding> {
    let mut found: Vec<Finding> = another_program(name, watch, facts).into_iter().collect();
    let token = facts.token.as_ref();
    let is_tokens = |home: &&HomeStatus| token.map_or(true, |token| home.is_of(&token.namespace));
    for home in &watch.homes {
        if let Some(failing) = failing(name, home, facts) {
            found.push(failing);
        } else if is_tokens(&home) && home.next_due_at.is_none() && home.expires_at.is_some() {
            found.push(match by_hand(facts) {
                Some(by_hand) => Finding::ok(name, format!("process {} runs; {by_hand}", watch.pid)),
                None => {
                    let log_in = token.map(|token| self::log_in(token, facts));
                    let next = log_in.unwrap_or_else(|_| facts.command("auth login"));
                    Finding::warn(name, "it runs, and nothing renews this token", next)
                }
            });
        }
    }
    if found.is_empty() {
        let due = watch
            .homes
            .iter()
            .filter(is_tokens)
            .find_map(|home| home.next_due_at.as_deref());
        let due = due.map_or_else(String::new, |due| format!(", next renewal {due}"));
        found.push(Finding::ok(name, format!("process {}{due}", watch.pid)));
    }
    found
}
