//! `watch --check`: whether the watcher of each home lives and nothing of it is overdue. A probe: it asks nobody, and
//! changes nothing.

use super::unit;
use crate::authz::timed;
use crate::cmd::output::write_line;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::home::OpenClawHome;
use crate::hook_record;
use crate::request;
use crate::time;
use crate::watch::status::{self, HomeStatus};
use std::io::Write;
use std::path::PathBuf;

/// What fails is tried again after five minutes at most: what is due for longer is overdue. Seconds.
const GRACE: i64 = 600;

/// Says of each home until when all is well.
///
/// # Errors
/// [`ExitCode::Failure`] where no watcher serves a home, or an approval outlives its time; [`ExitCode::Token`] where a
/// token has expired, or was to be renewed long ago.
pub fn run(places: &[OpenClawHome], env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    for place in places {
        if let Some(socket) = broker_of(place) {
            let (socket, home) = (socket.display(), place.home.display());
            write_line(
                out,
                format_args!("a broker has the token and renews it, {socket}: {home}"),
            )?;
            continue;
        }
        let next = check(place, env)?;
        write_line(out, format_args!("watched, {next}: {}", place.home.display()))?;
    }
    Ok(ExitCode::Ok)
}

/// The socket of the broker that a home asks.
pub fn broker_of(place: &OpenClawHome) -> Option<PathBuf> {
    let record = hook_record::read(&place.hook_record_file()).ok()??;
    Some(record.broker?.socket)
}

/// What is to be done next.
fn check(place: &OpenClawHome, env: &Env) -> Result<String> {
    // The lock tells it also from another pid namespace, where its process number means nothing.
    let lives = fs::FileLock::is_held(&place.watch_lock_file());
    let home = place.home.display();
    let Some(watch) = status::read(place).filter(|_| lives) else {
        if place.is_a_brokers() {
            let what = format!("no broker answers from this folder, or it has no token yet: {home}");
            return Err(Error::new(ExitCode::Failure, what).next("sigilum-authz-notify doctor"));
        }
        let what = format!("no watcher serves this home: {home}");
        return Err(Error::new(ExitCode::Failure, what).next(match unit::has_manager(env) {
            true => "sigilum-authz-notify watch --install-unit",
            false => unit::IN_THE_FOREGROUND,
        }));
    };
    let now = time::now();
    let mut approvals = timed::read(place)?.into_iter();
    if let Some(approval) = approvals.find(|approval| approval.until + GRACE < now) {
        let what = format!(
            "the approval of {} was to be taken back {} ago, and is not: {home}",
            approval.claim_id,
            time::duration(now - approval.until)
        );
        let step = format!("sigilum-authz-notify authz revoke {}", approval.claim_id);
        return Err(Error::new(ExitCode::Failure, what).next(step));
    }
    let next = watch.homes.iter().map(|status| token(status, place, now));
    Ok(next.collect::<Result<Vec<String>>>()?.join(", "))
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
        (None, None) => Ok("nothing to renew".to_owned()),
    }
}
