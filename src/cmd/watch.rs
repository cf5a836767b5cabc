//! `watch`: the long-running mode.

mod check;
mod manager;
pub mod unit;

use crate::cli::{PlaceArgs, WatchArgs};
use crate::cmd::context::{self, place};
use crate::cmd::output;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::home::{self, OpenClawHome};
use crate::hook_record;
use crate::token::token_command::{TokenCommand, VARIABLE};
use crate::watch::{self, Homes, Options};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Runs the command.
pub fn run(args: &WatchArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let options = options(args, env)?;
    if args.check {
        return check::run(args, &options.homes.places(), env, out);
    }
    if args.remove_unit {
        return unit::remove(&options.homes.places(), env, out);
    }
    refuse_a_home_that_is_not_there(args, env, &options.homes)?;
    if args.print_unit.is_some() || args.install_unit {
        refuse_beside_a_broker(args, &options.homes.places())?;
        if let Some(trouble) = trouble(&options) {
            output::warn(trouble);
        }
        let unit = unit::unit(args, env, &options.homes)?;
        unit::keep_program(&unit)?;
        return match args.print_unit {
            Some(kind) => unit::print(kind, &unit, out),
            None => {
                // The install may make the home.
                let waits = check::what_waits(args, &options.homes.places(), env);
                let code = unit::install(unit, env, out)?;
                output::write_lines(out, &waits)?;
                Ok(code)
            }
        };
    }
    watch::log::to_stderr(args.log_format, env)?;
    if let Some(trouble) = trouble(&options) {
        tracing::warn!("{trouble}");
    }
    watch::run(options)
}

/// A service, or a look, for a home that nobody has is for a typo. OpenClaw's default one may come later.
fn refuse_a_home_that_is_not_there(args: &WatchArgs, env: &Env, homes: &Homes) -> Result<()> {
    let default = home::person_home(env).map(|folder| folder.join(".openclaw"));
    let is_default = |place: &OpenClawHome| default.as_ref().is_ok_and(|default| *default == place.home);
    let what = match (args.once, args.install_unit) {
        (_, true) => "install the unit",
        (true, _) => "look once",
        _ => return Ok(()),
    };
    let Homes::Listed(places) = homes else { return Ok(()) };
    places.iter().try_for_each(|place| {
        let made = place.refuse_to_be_made_over_an_older();
        made.map_err(|error| of_one(error, place, args))
    })?;
    let is_missing = |place: &&OpenClawHome| !place.home.is_dir() && (args.once || !is_default(place));
    let Some(none) = places.iter().find(is_missing) else {
        return Ok(());
    };
    let what = format!("could not {what}, there is no OpenClaw home: {}", none.home.display());
    let error = Error::new(ExitCode::Failure, what)
        .next("openclaw onboard; or name the one that is there, with --openclaw-home <folder>");
    Err(of_one(error, none, args))
}

/// The error of a home, whose step is for that one where the command line names several.
fn of_one(error: Error, place: &OpenClawHome, args: &WatchArgs) -> Error {
    match !args.all && args.openclaw_home.len() < 2 {
        true => error,
        false => of_this(error, &place.home),
    }
}

/// An error whose step is for this home.
fn of_this(error: Error, home: &Path) -> Error {
    error.called(&context::called(&PlaceArgs {
        openclaw_home: Some(home.to_owned()),
        config: None,
    }))
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
fn is_of_broker(place: &OpenClawHome) -> Result<bool> {
    Ok(place.is_a_brokers() || broker_of(place)?.is_some())
}

/// A broker renews its own tokens, and a home beside one has none. What is not known for a broken record is said too,
/// before there is a unit that the record cannot name.
fn refuse_beside_a_broker(args: &WatchArgs, places: &[OpenClawHome]) -> Result<()> {
    let refused = |place: &OpenClawHome| {
        if !is_of_broker(place)? {
            return Ok(());
        }
        let home = place.home.display();
        let what =
            format!("could not make a unit: a broker has the token and renews it, so nothing is to be watched: {home}");
        Err(Error::new(ExitCode::Usage, what).next("sigilum-authz-notify doctor"))
    };
    let mut places = places.iter();
    places.try_for_each(|place| refused(place).map_err(|error| of_one(error, place, args)))
}

/// Refuses flags that the command would refuse, and changes nothing.
///
/// # Errors
/// [`ExitCode::Usage`] for a value that cannot be used.
pub fn check_flags(args: &WatchArgs, env: &Env) -> Result<()> {
    check_renew_at(args)?;
    token_command(args, env).map(drop)
}

/// A token command that is not there is better known now than in days, when a token is due.
fn trouble(options: &Options) -> Option<String> {
    options.token_command.as_ref()?.trouble()
}

fn check_renew_at(args: &WatchArgs) -> Result<()> {
    if args.renew_at > 0.0 && args.renew_at < 1.0 {
        return Ok(());
    }
    Err(
        Error::new(ExitCode::Usage, "invalid --renew-at: use a fraction between 0 and 1")
            .next("leave it out for a third of the token's life, or give for example --renew-at 0.25"),
    )
}

fn token_command(args: &WatchArgs, env: &Env) -> Result<Option<TokenCommand>> {
    let (text, origin) = match (&args.token_command, env.var(VARIABLE)) {
        (Some(text), _) => (text.as_str(), "--token-command"),
        (None, Some(text)) => (text, VARIABLE),
        (None, None) => return Ok(None),
    };
    TokenCommand::parse(text, origin, env.pairs()).map(Some)
}

fn options(args: &WatchArgs, env: &Env) -> Result<Options> {
    check_renew_at(args)?;
    Ok(Options {
        renew_at: args.renew_at,
        token_command: token_command(args, env)?,
        seed: args.seed,
        poll: args.poll,
        once: args.once,
        push: watch::push::Options {
            whom: watch::push::Whom::Recorded {
                target: args.notify.clone(),
                every: args.poll_requests,
            },
            ..watch::push::Options::default()
        },
        ..Options::new(homes(args, env)?, env)
    })
}

fn homes(args: &WatchArgs, env: &Env) -> Result<Homes> {
    if args.all {
        context::heed_trust(env);
        let folder = home::person_home(env)?;
        return Ok(Homes::AllIn {
            folder: home::absolute(&folder)?,
            read_only: home::read_only(env),
        });
    }
    let place_of = |home: Option<&PathBuf>, env: &Env| {
        let args = PlaceArgs {
            openclaw_home: home.cloned(),
            config: None,
        };
        place(&args, env)
    };
    match &args.openclaw_home[..] {
        [] => Ok(Homes::Listed(vec![place_of(None, env)?])),
        [home] => Ok(Homes::Listed(vec![place_of(Some(home), env)?])),
        homes => {
            // One variable cannot name the configs of several homes.
            let env = env.without(&["OPENCLAW_CONFIG_PATH"]);
            let places: Result<Vec<OpenClawHome>> = homes.iter().map(|home| place_of(Some(home), &env)).collect();
            Ok(Homes::Listed(places?))
        }
    }
}
