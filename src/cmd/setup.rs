//! `setup`: asks what is to be known, shows the commands that do it and what they write, asks once, and runs them. Each
//! step is a command that could be typed: it is parsed and run as such.

mod answers;
mod question;
mod steps;

use crate::cli::{Command, HookCommand, SetupArgs};
use crate::cmd::broker::remote::Remote;
use crate::cmd::context::place;
use crate::cmd::doctor::openclaw::OpenClaw;
use crate::cmd::hook::install;
use crate::cmd::output::{self, write_line};
use crate::cmd::{prompt, watch};
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::openclaw::config;
use answers::Answers;
use question::Asking;
use std::io::Write;
use steps::Step;

/// Runs the command.
pub fn run(args: &SetupArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let place = place(&args.place, env)?;
    place.refuse_to_hide_an_older()?;
    place.refuse_a_brokers("set up")?;
    let broker = Remote::of_person(&place, env, args.owner.namespace.as_deref())?;
    let config = config::read(&place)?;
    config.iter().try_for_each(config::Config::check)?;
    let openclaw = OpenClaw::find_and_ask(env, config.as_ref().map(|config| &config.value), &place);
    write_line(out, format_args!("OpenClaw: {}", about(&openclaw)))?;
    write_line(out, format_args!("its home: {}", place.home.display()))?;
    if let Some(broker) = &broker {
        write_line(
            out,
            format_args!(
                "a broker has the owner token and renews it ({}), so there is no login and no service here; its user logs \
                 in: {} auth login",
                broker.socket.display(),
                broker.run_as()
            ),
        )?;
    }

    let asks = !args.yes && prompt::may_ask();
    let answers = Answers::collect(args, env, (&place, broker), &openclaw, Asking { asks })?;
    let steps = steps::of(&answers, args, &place, env)?;
    // What was typed for a later step is refused before the first one does anything.
    steps.iter().try_for_each(|step| check(step, env))?;
    write_line(out, "")?;
    for (number, step) in steps.iter().enumerate() {
        write_line(out, format_args!("{}. {}", number + 1, step.command()))?;
        for line in &step.writes {
            write_line(out, format_args!("   {line}"))?;
        }
        if let Some(dry_run) = step.dry_run()? {
            super::run(dry_run, env, out).map_err(|error| error.told(|next| step.told(next)))?;
        }
    }
    if !agreed(args, asks)? {
        return Err(Error::new(ExitCode::Failure, "nothing was changed"));
    }
    let mut code = ExitCode::Ok;
    for (number, step) in steps.iter().enumerate() {
        write_line(out, format_args!("\n$ {}", step.command()))?;
        code = super::run(step.cli()?, &step.env(env), out)
            .inspect_err(|_| match number {
                0 => {}
                1 => output::note("the first step is done; setup can be run again"),
                _ => output::note(format_args!(
                    "the first {number} steps are done; setup can be run again"
                )),
            })
            .map_err(|error| error.told(|next| step.told(next)))?;
    }
    Ok(code)
}

/// Refuses what the step itself would refuse of its flags; a login has its dry run.
fn check(step: &Step, env: &Env) -> Result<()> {
    match step.cli()?.command {
        Command::Hook(HookCommand::Install(args)) => install::check(&args, env),
        Command::Watch(args) => watch::check_flags(&args, &step.env(env)),
        _ => Ok(()),
    }
}

fn about(openclaw: &OpenClaw) -> String {
    match (&openclaw.program, &openclaw.version) {
        (Some(program), Some(version)) => format!("{version}, {}", program.display()),
        (Some(program), None) => program.display().to_string(),
        (None, Some(version)) => format!("not on PATH; version {version} wrote its config"),
        (None, None) => "not on PATH".to_owned(),
    }
}

/// Whether a person wants it so.
fn agreed(args: &SetupArgs, asks: bool) -> Result<bool> {
    if args.yes {
        return Ok(true);
    }
    if asks {
        return prompt::confirm("\nRun these commands?");
    }
    let what = "could not ask whether to run these commands: there is no terminal";
    Err(Error::new(ExitCode::Usage, what).next("add --yes"))
}
