//! `watch`: the long-running mode.

use crate::cli::{PlaceArgs, UnitKind, WatchArgs};
use crate::cmd::context::place;
use crate::cmd::output::write_line;
use crate::env::Env;
use crate::error::{Error, ExitCode, OrFail, Result};
use crate::home::{self, OpenClawHome};
use crate::token::lifetime::DEFAULT_FRACTION;
use crate::token::token_command::TokenCommand;
use crate::watch::log::LogFormat;
use crate::watch::{self, Homes, Options, service_unit::Unit};
use std::io::Write;
use std::path::PathBuf;

const TOKEN_COMMAND: &str = "SIGILUM_OWNER_TOKEN_COMMAND";

/// Runs the command.
pub fn run(args: &WatchArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let options = options(args, env)?;
    if let Some(kind) = args.print_unit {
        let unit = unit(args, env, &options.homes)?;
        write_line(
            out,
            match kind {
                UnitKind::Systemd => unit.systemd(),
                UnitKind::Launchd => unit.launchd(),
            }
            .trim_end(),
        )?;
        return Ok(ExitCode::Ok);
    }
    watch::log::to_stderr(args.log_format, env)?;
    watch::run(options)
}

fn options(args: &WatchArgs, env: &Env) -> Result<Options> {
    if !(args.renew_at > 0.0 && args.renew_at < 1.0) {
        return Err(Error::new(
            ExitCode::Usage,
            "could not take --renew-at: it is no fraction between 0 and 1",
        )
        .next("leave it out for a third of the token's life, or give for example --renew-at 0.25"));
    }
    let token_command = match (&args.token_command, env.var(TOKEN_COMMAND)) {
        (Some(text), _) => Some(TokenCommand::parse(text, "--token-command", env.pairs())?),
        (None, Some(text)) => Some(TokenCommand::parse(text, TOKEN_COMMAND, env.pairs())?),
        (None, None) => None,
    };
    Ok(Options {
        renew_at: args.renew_at,
        token_command,
        seed: args.seed,
        poll: args.poll,
        once: args.once,
        ..Options::new(homes(args, env)?, env)
    })
}

fn homes(args: &WatchArgs, env: &Env) -> Result<Homes> {
    if args.all {
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

fn unit(args: &WatchArgs, env: &Env, homes: &Homes) -> Result<Unit> {
    let program = std::env::current_exe().or_fail(ExitCode::Failure, || {
        "could not find out where this program is".to_owned()
    })?;
    let places = homes.places();
    let mut words = vec![home::absolute(&program)?.display().to_string(), "watch".to_owned()];
    if args.all {
        words.push("--all".to_owned());
    } else {
        let flag = |place: &OpenClawHome| ["--openclaw-home".to_owned(), place.home.display().to_string()];
        words.extend(places.iter().flat_map(flag));
    }
    if args.renew_at != DEFAULT_FRACTION {
        words.extend(["--renew-at".to_owned(), args.renew_at.to_string()]);
    }
    if let Some(command) = &args.token_command {
        words.extend(["--token-command".to_owned(), command.clone()]);
    }
    if args.poll {
        words.push("--poll".to_owned());
    }
    if args.log_format == LogFormat::Json {
        words.extend(["--log-format".to_owned(), "json".to_owned()]);
    }
    Ok(Unit {
        words,
        token_command: args.token_command.is_some(),
        places,
        env: env.clone(),
    })
}
