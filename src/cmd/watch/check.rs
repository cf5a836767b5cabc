//! `watch --check`: whether the watcher of each home lives and nothing of it is overdue. A probe: it asks nobody, and
//! changes nothing.

use super::{of_one, unit};
use crate::authz::timed;
use crate::cli::WatchArgs;
use crate::cmd::output::write_line;
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
use std::path::PathBuf;

/// What fails is tried again after five minutes at most: what is due for longer is overdue. Seconds.
const GRACE: i64 = 600;

/// Says of each home until when all is well.
///
/// # Errors
/// [`ExitCode::Failure`] where no watcher serves a home, or an approval outlives its time; [`ExitCode::Token`] where a
/// token has expired, or was to be renewed long ago.
pub fn run(args: &WatchArgs, places: &[OpenClawHome], env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    for place in places {
        if let Some(socket) = broker_of(place).map_err(|error| of_one(error, place, args))? {
            let (socket, home) = (socket.display(), place.home.display());
            write_line(
                out,
                format_args!("a broker has the token and renews it, {socket}: {home}"),
            )?;
            continue;
        }
        let Some(watch) = status::read(place).filter(|_| is_watched(place)) else {
            let home = place.home.display();
            // A watcher of all homes waits there for the first login.
            if args.all && !is_logged_in(place).map_err(|error| of_one(error, place, args))? {
                write_line(out, format_args!("nobody is logged in, nothing to watch: {home}"))?;
                continue;
            }
            if place.is_a_brokers() {
                let what = format!("no broker answers from this folder, or it has no token yet: {home}");
                let error = Error::new(ExitCode::Failure, what).next("sigilum-authz-notify doctor");
                return Err(of_one(error, place, args));
            }
            let what = format!("no watcher serves this home: {home}");
            return Err(Error::new(ExitCode::Failure, what).next(how_to_watch(args, place, places, env)));
        };
        let next = check(&watch, place).map_err(|error| of_one(error, place, args))?;
        write_line(out, format_args!("watched, {next}: {}", place.home.display()))?;
    }
    Ok(ExitCode::Ok)
}

/// The socket of the broker that a home asks.
fn broker_of(place: &OpenClawHome) -> Result<Option<PathBuf>> {
    let record = hook_record::read(&place.hook_record_file())?;
    Ok(record.and_then(|record| Some(record.broker?.socket)))
}

/// Whether a broker has the token of a home.
///
/// # Errors
/// Where the hook's record, which says so, cannot be read.
pub fn is_of_broker(place: &OpenClawHome) -> Result<bool> {
    Ok(place.is_a_brokers() || broker_of(place)?.is_some())
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
    let flag = |place: &&OpenClawHome| format!(" --openclaw-home {}", fs::quoted(&place.home));
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
    let home = place.home.display();
    let now = time::now();
    let mut approvals = timed::read(place)?.into_iter();
    if let Some(approval) = approvals.find(|approval| approval.until + GRACE < now) {
        let what = format!(
            "the approval of {} was to be taken back {} ago, and is not: {home}",
            approval.claim_id,
            time::duration(now - approval.until)
        );
        let step = format!(
            "sigilum-authz-notify authz revoke {} --namespace {}",
            shell_words::quote(&approval.claim_id),
            shell_words::quote(&approval.namespace)
        );
        return Err(Error::new(ExitCode::Failure, what).next(step));
    }
    // A login beside the one that a broker's folder speaks for may be given up.
    let next = watch.homes.first().map(|status| token(status, place, now));
    Ok(next.transpose()?.unwrap_or_default())
}

/// Whether the token file of a home holds a token: one without an end says nothing of itself in the status.
fn has_token(place: &OpenClawHome) -> bool {
    let owner = settings::owner(&OwnerQuery::default(), &Env::default(), place);
    let stored = owner.and_then(|owner| owner.stored_token());
    matches!(stored, Ok(Some(token)) if claims::inspect(&token).is_ok())
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
        (None, None) if status.namespace.is_some() && !has_token(place) => {
            overdue(format!("the owner token of {whose} is gone, or is none"))
        }
        (None, None) => Ok("nothing to renew".to_owned()),
    }
}
