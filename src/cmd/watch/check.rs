//! `watch --check`: whether the watcher of each home lives and nothing of it is overdue, or its broker answers. A probe:
//! it asks no API, and changes nothing.

use super::{is_of_broker, of_one, unit};
use crate::authz::timed::{self, GRACE};
use crate::cli::{PlaceArgs, WatchArgs};
use crate::cmd::broker::remote::Remote;
use crate::cmd::output::write_line;
use crate::cmd::{context, owner, timed_approvals};
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::home::OpenClawHome;
use crate::hook_record;
use crate::request;
use crate::settings::{self, OwnerQuery};
use crate::time;
use crate::token::claims;
use crate::watch::status::{self, HomeStatus, WatchStatus};
use std::io::Write;

/// Says of each home until when all is well.
///
/// # Errors
/// [`ExitCode::Failure`] where no watcher serves a home, or an approval outlives its time; [`ExitCode::Token`] where a
/// token has expired, or was to be renewed long ago.
pub fn run(args: &WatchArgs, places: &[OpenClawHome], env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    for place in places {
        if let Some(broker) = greeted(place, env).map_err(|error| of_one(error, place, args))? {
            write_line(out, format_args!("{broker}: {}", place.home.display()))?;
            continue;
        }
        let Some(watch) = status::read(place).filter(|_| is_watched(place)) else {
            let home = place.home.display();
            if place.is_a_brokers() {
                let what = format!("no broker answers from this folder, or it has no token yet: {home}");
                let error = Error::new(ExitCode::Failure, what).next("sigilum-authz-notify doctor");
                return Err(of_one(error, place, args));
            }
            // A watcher of all homes waits there for the first login.
            if args.all && !is_logged_in(place).map_err(|error| of_one(error, place, args))? {
                approvals(place).map_err(|error| of_one(error, place, args))?;
                write_line(out, format_args!("nobody is logged in, nothing to watch: {home}"))?;
                continue;
            }
            let error = Error::new(ExitCode::Failure, format!("no watcher serves this home: {home}"));
            return Err(match how_to_begin(place, env) {
                Some((_, first)) => of_one(error.next(first), place, args),
                None => error.next(how_to_watch(args, place, places, env)),
            });
        };
        let next = check(&watch, place).map_err(|error| of_one(error, place, args))?;
        write_line(out, format_args!("watched, {next}: {}", place.home.display()))?;
    }
    Ok(ExitCode::Ok)
}

/// What the broker of a home says of itself, where one is recorded. Its API is not asked.
///
/// # Errors
/// Nobody answers, or it has no token.
fn greeted(place: &OpenClawHome, env: &Env) -> Result<Option<String>> {
    let record = hook_record::read(&place.hook_record_file())?.unwrap_or_default();
    let Some((remote, may_ask)) = Remote::to_look_at(place, &record, env) else {
        return Ok(None);
    };
    may_ask?;
    let (status, _) = remote.status()?;
    let socket = remote.socket.display();
    if status.token {
        return Ok(Some(format!("a broker has the token and renews it, {socket}")));
    }
    let what = format!(
        "the broker has no token for this home that it can use, {socket}: {}",
        place.home.display()
    );
    Err(Error::new(ExitCode::Token, what).next("sigilum-authz-notify doctor"))
}

/// What starts a watcher of the homes that were asked about: of those that have none, and of those that the installed
/// unit serves, which is replaced. No second one serves a home, and none that of a broker.
fn how_to_watch(args: &WatchArgs, unwatched: &OpenClawHome, places: &[OpenClawHome], env: &Env) -> String {
    let installs = unit::has_manager(env);
    if installs && places.len() == 1 && !args.all {
        return unit::how_to_install(unwatched, env, "");
    }
    let is_free = |place: &&OpenClawHome| {
        let is_units = || installs && unit::of_home(place, env).is_some();
        matches!(is_of_broker(place), Ok(false)) && (!is_watched(place) || is_units())
    };
    let free: Vec<&OpenClawHome> = places.iter().filter(is_free).collect();
    let flag = |place: &&OpenClawHome| unit::home_flag(&place.home);
    let flags = match (args.all, args.openclaw_home.len()) {
        (true, _) if free.len() == places.len() => " --all".to_owned(),
        (false, 0 | 1) => String::new(),
        _ if free.is_empty() => flag(&unwatched),
        _ => free.iter().map(flag).collect(),
    };
    match installs {
        true => format!("sigilum-authz-notify watch --install-unit{flags}"),
        false => unit::in_foreground(&flags),
    }
}

/// Why there is nothing to watch in a home yet, and what comes first there.
fn how_to_begin(place: &OpenClawHome, env: &Env) -> Option<(&'static str, String)> {
    if !place.home.is_dir() {
        return Some(("there is no such home", "openclaw onboard".to_owned()));
    }
    if is_logged_in(place).unwrap_or(true) {
        return None;
    }
    let step = match owner::known(OwnerQuery::default(), env, place, String::new) {
        Ok(owner) if owner.token_file.exists() => context::installers_login_command(&owner, place, ""),
        Ok(owner) => context::first_login_command(&owner, place, ""),
        Err(error) => error
            .step()
            .unwrap_or_else(|| "sigilum-authz-notify auth login".to_owned()),
    };
    Some(("nobody is logged in", step))
}

/// In which homes there is nothing to watch yet, for who installs a service that waits for that.
pub fn what_waits(args: &WatchArgs, places: &[OpenClawHome], env: &Env) -> Vec<String> {
    let waits = places.iter().filter_map(|place| {
        let (why, first) = how_to_begin(place, env)?;
        let called = context::called(&PlaceArgs {
            openclaw_home: (args.all || !args.openclaw_home.is_empty()).then(|| place.home.clone()),
            config: None,
        });
        let (home, first) = (place.home.display(), called.complete(&first));
        Some(format!("  nothing to watch yet, {why}, {home}; first: {first}"))
    });
    waits.collect()
}

/// The lock tells it also from another pid namespace, where its process number means nothing.
fn is_watched(place: &OpenClawHome) -> bool {
    fs::FileLock::is_held(&place.watch_lock_file())
}

/// Whether there is a login that a watcher would serve.
fn is_logged_in(place: &OpenClawHome) -> Result<bool> {
    let (namespace, _) = settings::hook_namespace(place)?;
    Ok(namespace.is_some_and(|namespace| place.record_file(&namespace.value).exists()))
}

/// What is to be done next.
fn check(watch: &WatchStatus, place: &OpenClawHome) -> Result<String> {
    approvals(place)?;
    // A login beside the one that a broker's folder speaks for may be given up.
    let next = watch.homes.first().map(|status| token(status, place, time::now()));
    Ok(next.transpose()?.unwrap_or_default())
}

/// Whether each approval was taken back when its time was over.
fn approvals(place: &OpenClawHome) -> Result<()> {
    let home = place.home.display();
    let now = time::now();
    let approvals = timed::read(place)?;
    let Some(approval) = approvals.iter().find(|approval| approval.is_overdue(now)) else {
        return Ok(());
    };
    let what = format!(
        "the approval of {} was to be taken back {} ago, and is not: {home}",
        approval.claim_id,
        time::duration(now - approval.until)
    );
    Err(Error::new(ExitCode::Failure, what).next(timed_approvals::how_to_take_back(&[approval], place)))
}

/// Whether the token file of a home holds a token of its namespace: one without an end says nothing of itself in the
/// status.
fn has_token(namespace: &str, place: &OpenClawHome) -> Result<bool> {
    let query = OwnerQuery {
        namespace: Some(namespace),
        ..OwnerQuery::default()
    };
    let owner = settings::owner(&query, &Env::default(), place)?;
    let token = match owner.stored_token() {
        // No text at all.
        Err(error) if error.code == ExitCode::Token => None,
        read => read?,
    };
    let claims = token.and_then(|token| claims::inspect(&token).ok());
    Ok(claims.is_some_and(|claims| claims.namespace == namespace))
}

/// When the token of a home is renewed, or expires.
fn token(status: &HomeStatus, place: &OpenClawHome, now: i64) -> Result<String> {
    let seconds = |text: &Option<String>| text.as_deref().and_then(request::seconds);
    let overdue = |what: String| {
        let error = Error::new(ExitCode::Token, format!("{what}: {}", place.home.display()));
        let error = error.next("sigilum-authz-notify auth status");
        Err(match status.last_error.clone() {
            Some(why) => error.because(anyhow::Error::msg(why)),
            None => error,
        })
    };
    let whose = status.namespace.as_deref().unwrap_or("this home");
    match (seconds(&status.next_due_at), seconds(&status.expires_at)) {
        (_, Some(expiry)) if expiry < now => overdue(format!(
            "the owner token of {whose} expired {} ago",
            time::duration(now - expiry)
        )),
        (Some(due), _) if due + GRACE < now => overdue(format!(
            "the owner token of {whose} was to be renewed {} ago, and is not",
            time::duration(now - due)
        )),
        (Some(due), _) => Ok(format!("next renewal {}", time::rfc3339(due))),
        (None, Some(expiry)) => Ok(format!("nothing to renew, the token expires {}", time::rfc3339(expiry))),
        (None, None) if status.namespace.is_some() && !has_token(whose, place)? => {
            overdue(format!("the owner token of {whose} is gone, or is none"))
        }
        (None, None) => Ok("nothing to renew".to_owned()),
    }
}
