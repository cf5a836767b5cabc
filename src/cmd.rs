//! One file a command: read settings, call the parts, print.

mod auth;
mod authz;
mod broker;
mod choice;
mod context;
mod demo;
mod doctor;
mod exchange;
mod gateway;
mod hook;
mod hook_entry;
mod manual;
mod output;
mod own_program;
mod owner;
mod prompt;
mod resident;
mod secret;
mod serve;
mod service;
mod setup;
mod timed_approvals;
mod together;
mod watch;

use crate::cli::{
    AuthCommand, AuthzCommand, BrokerCommand, BrokerTotpCommand, Cli, Command, HookCommand, ServiceCommand,
    ServiceSecretCommand,
};
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::process::waiting;
use crate::text::typed;
use std::ffi::OsString;
use std::io::Write;

/// What `watch` and `serve` log.
const LOG: &str = "RUST_LOG";

/// Runs one command line. Results go to `out`, warnings to standard error.
pub fn run(cli: Cli, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    // What stays is told in the log.
    if !matches!(cli.command, Command::Watch(_) | Command::Serve(_) | Command::Broker(_)) {
        waiting::tell_with(|text| output::note(text));
    }
    let runs_on = matches!(cli.command, Command::Watch(_) | Command::Serve(_));
    let mut sink = std::io::sink();
    if cli.verbose && !runs_on {
        output::tell_everything();
    }
    let level = match (cli.verbose, cli.quiet) {
        (true, _) => Some("debug"),
        (_, true) => Some("error"),
        _ => None,
    };
    let logging = level.filter(|_| runs_on && env.var(LOG).is_none()).map(|level| {
        let pairs = env.pairs().map(|(name, value)| (name, value.clone()));
        Env::from_pairs(pairs.chain([(LOG, level.into())]))
    });
    let out: &mut dyn Write = match cli.quiet && only_reports(&cli.command) {
        true => &mut sink,
        false => out,
    };
    if cli.quiet {
        output::be_quiet();
    }
    if let Some(name) = env.unreadable() {
        let what = format!("could not use the variable {name}, it is not valid UTF-8");
        return Err(Error::new(ExitCode::Usage, what).next(format!("unset {name}; or set it to text")));
    }
    let called = cli.called;
    let lookup = (called.clone(), env.clone());
    output::steps_are_for(move || context::called_by_record(lookup.0.clone(), &lookup.1));
    run_command(cli.command, logging.as_ref().unwrap_or(env), out)
        .map_err(|error| error.called(&context::called_by_record(called, env)))
}

/// Tells why a command failed.
pub fn tell_error(error: &Error) {
    output::error(error);
}

/// Tells what the parser has to say of a command line: help and version too. A secret that stands in the line is not shown.
pub fn tell_of_usage(error: &clap::Error, args: impl Iterator<Item = OsString>) -> ExitCode {
    if !error.use_stderr() {
        // As any other result that is asked for.
        return match error.print().and_then(|()| std::io::stdout().flush()) {
            Ok(()) => ExitCode::Ok,
            Err(failed) => {
                let failed = Error::new(ExitCode::Failure, "could not write to standard output").because(failed);
                if !failed.is_broken_pipe() {
                    tell_error(&failed);
                }
                failed.code
            }
        };
    }
    let args = args.skip(1).filter_map(|arg| arg.into_string().ok());
    anstream::eprint!("{}", typed::without_typed(&error.render().ansi().to_string(), args));
    ExitCode::Usage
}

/// Whether all that a command prints is what it did: nobody asked for that.
fn only_reports(command: &Command) -> bool {
    match command {
        Command::Auth(AuthCommand::Login(args) | AuthCommand::Refresh(args)) | Command::Login(args) => {
            !args.dry_run && !args.token_only && args.print_token != Some(true)
        }
        Command::Auth(AuthCommand::Switch(_) | AuthCommand::Logout(_)) | Command::Setup(_) => true,
        Command::Hook(HookCommand::Install(_) | HookCommand::Uninstall(_)) => true,
        Command::Watch(args) => args.print_unit.is_none(),
        _ => false,
    }
}

fn run_command(command: Command, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    match command {
        Command::Setup(args) => setup::run(&args, env, out),
        Command::Auth(AuthCommand::Login(args)) | Command::Login(args) => {
            auth::login::run(&args, auth::accept::Action::Login, env, out)
        }
        Command::Auth(AuthCommand::Refresh(args)) => auth::login::run(&args, auth::accept::Action::Refresh, env, out),
        Command::Auth(AuthCommand::Show(args)) => auth::show::run(&args, env, out),
        Command::Auth(AuthCommand::Status(args)) => auth::status::run(&args, env, out),
        Command::Auth(AuthCommand::Switch(args)) => auth::switch::run(&args, env, out),
        Command::Auth(AuthCommand::Logout(args)) => output::to_the_end(out, |out| auth::logout::run(&args, env, out)),
        Command::Authz(AuthzCommand::List(args)) => authz::list::run(&args, env, out),
        Command::Authz(AuthzCommand::Show(args)) => authz::show::run(&args, env, out),
        Command::Authz(AuthzCommand::Approve(args)) => authz::decide::approve(&args, env, out),
        Command::Authz(AuthzCommand::Reject(args)) => authz::decide::reject(&args, env, out),
        Command::Authz(AuthzCommand::Revoke(args)) => authz::decide::revoke(&args, env, out),
        Command::Authz(AuthzCommand::Log(args)) => authz::log::run(&args, env, out),
        Command::Service(ServiceCommand::Add(args)) => service::add::run(&args, env, out),
        Command::Service(ServiceCommand::List(args)) => service::list::run(&args, env, out),
        Command::Service(ServiceCommand::Secret(ServiceSecretCommand::Set(args))) => {
            service::secret_set::run(&args, env, out)
        }
        Command::Service(ServiceCommand::RotateKey(args)) => service::rotate_key::run(&args, env, out),
        Command::Service(ServiceCommand::Remove(args)) => service::remove::run(&args, env, out),
        Command::Hook(HookCommand::Run(args)) => hook::run::run(&args, env, out),
        Command::Hook(HookCommand::Install(args)) => hook::install::run(&args, env, out),
        Command::Hook(HookCommand::Uninstall(args)) => {
            output::to_the_end(out, |out| hook::uninstall::run(&args, env, out))
        }
        Command::Hook(HookCommand::Status(args)) => hook::status::run(&args, env, out),
        Command::Watch(args) => watch::run(&args, env, out),
        Command::Serve(args) => serve::run(&args, env, out),
        Command::Broker(BrokerCommand::Run(args)) => broker::run::run(&args, env, out),
        Command::Broker(BrokerCommand::Totp(BrokerTotpCommand::Enroll(args))) => broker::totp::enroll(&args, env, out),
        Command::Broker(BrokerCommand::Totp(BrokerTotpCommand::Unlock(args))) => broker::totp::unlock(&args, env, out),
        Command::Broker(BrokerCommand::Log(args)) => broker::log::run(&args, env, out),
        Command::Broker(BrokerCommand::Adopt(args)) => broker::adopt::run(&args, env, out),
        Command::Broker(BrokerCommand::Release(args)) => broker::release::run(&args, env, out),
        Command::Doctor(args) => doctor::run(&args, env, out),
        Command::Demo => demo::run(out),
        Command::Completions(args) => manual::completions(&args, out),
        Command::Man(args) => manual::man(&args, out),
    }
}
