//! `broker totp`: the second factor of whoever decides through the broker, set up and unlocked in a terminal of the
//! broker's user.

use super::{remote, state};
use crate::authz::decide;
use crate::broker;
use crate::broker::codes::Verdict;
use crate::broker::totp::SecondFactor;
use crate::cli::BrokerStateArgs;
use crate::cmd::output::write_line;
use crate::cmd::prompt;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::home::OpenClawHome;
use crate::time;
use secrecy::{ExposeSecret, SecretString};
use std::io::Write;

/// So many codes are asked for.
const TRIES: usize = 3;

/// Runs `broker totp enroll`.
pub fn enroll(args: &BrokerStateArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let place = &place(args, env, "set up", "enroll")?;
    fs::refuse_to_lock_sigilum(place)?;
    let is_there = place.second_factor_file().symlink_metadata().is_ok();
    if is_there && !prompt::confirm("A second factor is set up already. Its codes will count no more. Replace it?")? {
        return Err(Error::new(ExitCode::Failure, "nothing was changed"));
    }
    let mut factor = SecondFactor::new()?;
    let uri = factor.uri(&account(place))?;
    // On the terminal alone: a file that standard output goes to would keep it.
    show(&format!(
        "Add this to an authenticator app. It is shown this once:\n\n  {}\n\n",
        uri.expose_secret()
    ))?;
    for _ in 0..TRIES {
        let Some(typed) = prompt::ask("The code that the app shows:")? else {
            break;
        };
        let code: SecretString = typed.split_whitespace().collect::<String>().into();
        if factor.take(&code, time::now()) != Verdict::Right {
            show("That is not its code. Is the clock of both right?\n")?;
            continue;
        }
        factor.ledger.unlock(time::now());
        drop(fs::lock_sigilum(place)?);
        let _lock = decide::lock(place)?;
        factor.write(place)?;
        write_line(
            out,
            format_args!(
                "The second factor is set up in {}. broker run --decide totp takes its codes there, each once.",
                place.home.display()
            ),
        )?;
        return Ok(ExitCode::Ok);
    }
    Err(Error::new(ExitCode::Failure, "nothing was set up: no code was right").next("run the command again"))
}

/// Runs `broker totp unlock`.
pub fn unlock(args: &BrokerStateArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let place = &place(args, env, "unlock", "unlock")?;
    let _lock = decide::lock(place)?;
    let Some(mut factor) = SecondFactor::read(place)? else {
        let what = format!("could not find a second factor in {}", place.home.display());
        return Err(Error::new(ExitCode::Failure, what).next(broker::totp::enroll(place)));
    };
    let was = factor.ledger.locked(time::now());
    factor.ledger.unlock(time::now());
    factor.write(place)?;
    write_line(
        out,
        match was {
            Some(until) => format!("Codes count again; they were locked until {}.", time::rfc3339(until)),
            None => "Codes were not locked. Wrong ones of before are forgotten.".to_owned(),
        },
    )?;
    Ok(ExitCode::Ok)
}

/// Whose second factor it is: that of whom the folder belongs to.
fn account(place: &OpenClawHome) -> String {
    place.anothers().map_or_else(fs::account_name, fs::user_name)
}

/// The broker's folder, for a person at a terminal. One on the OpenClaw gateway's side counts for no broker.
fn place(args: &BrokerStateArgs, env: &Env, verb: &str, command: &str) -> Result<OpenClawHome> {
    let place = state::existing(args.state.as_deref(), env)?;
    if state::named(args.state.as_deref(), env).is_none() {
        let what = format!("{verb} the second factor here");
        remote::refuse(&place, env, &what, &format!("broker totp {command}"))?;
    }
    if prompt::may_ask() {
        return Ok(place);
    }
    let what = format!("could not {verb} the second factor: there is no terminal");
    Err(Error::new(ExitCode::Usage, what).next("run the command in a terminal, as the broker's user"))
}

fn show(text: &str) -> Result<()> {
    let written = std::io::stderr().write_all(text.as_bytes());
    written.map_err(|error| Error::new(ExitCode::Failure, "could not write to the terminal").because(error))
}
