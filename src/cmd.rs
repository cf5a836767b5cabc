//! One file a command: read settings, call the parts, print.

mod auth_login;
mod auth_logout;
mod auth_show;
mod auth_status;
mod candidates;
mod demo;
pub mod event;
mod hook_install;
mod hook_run;
mod hook_status;
mod hook_uninstall;
mod serve;
mod service;
mod service_add;
mod service_connection;
mod service_list;
mod service_options;
mod service_remove;
mod service_report;
mod service_rotate_key;
mod service_secret_set;
mod table;
mod watch;

use crate::cli::{
    AuthCommand, Cli, Command, HookCommand, LocalApiArgs, OwnerArgs, PlaceArgs, ServiceCommand, ServiceSecretCommand,
};
use crate::env::Env;
use crate::error::{Error, ExitCode, OrFail, Result};
use crate::home::{self, OpenClawHome};
use crate::mode::Mode;
use crate::openclaw::entry::{self, Entry};
use crate::openclaw::{config, program};
use crate::process::child::find_on_path;
use crate::settings::{Owner, OwnerQuery};
use crate::text;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// Runs one command line. Results go to `out`, warnings to standard error.
pub fn run(cli: Cli, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    match cli.command {
        Command::Auth(AuthCommand::Login(args)) | Command::Login(args) => {
            auth_login::run(&args, auth_login::Action::Login, env, out)
        }
        Command::Auth(AuthCommand::Refresh(args)) => auth_login::run(&args, auth_login::Action::Refresh, env, out),
        Command::Auth(AuthCommand::Show(args)) => auth_show::run(&args, env, out),
        Command::Auth(AuthCommand::Status(args)) => auth_status::run(&args, env, out),
        Command::Auth(AuthCommand::Logout(args)) => auth_logout::run(&args, env, out),
        Command::Service(ServiceCommand::Add(args)) => service_add::run(&args, env, out),
        Command::Service(ServiceCommand::List(args)) => service_list::run(&args, env, out),
        Command::Service(ServiceCommand::Secret(ServiceSecretCommand::Set(args))) => {
            service_secret_set::run(&args, env, out)
        }
        Command::Service(ServiceCommand::RotateKey(args)) => service_rotate_key::run(&args, env, out),
        Command::Service(ServiceCommand::Remove(args)) => service_remove::run(&args, env, out),
        Command::Hook(HookCommand::Run(args)) => hook_run::run(&args, env, out),
        Command::Hook(HookCommand::Install(args)) => hook_install::run(&args, env, out),
        Command::Hook(HookCommand::Uninstall(args)) => hook_uninstall::run(&args, env, out),
        Command::Hook(HookCommand::Status(args)) => hook_status::run(&args, env, out),
        Command::Watch(args) => watch::run(&args, env, out),
        Command::Serve(args) => serve::run(&args, env, out),
        Command::Demo => demo::run(out),
    }
}

/// Where things are; what is odd about how that was found goes to standard error.
fn place(args: &PlaceArgs, env: &Env) -> Result<OpenClawHome> {
    let place = home::find(args.openclaw_home.as_deref(), args.config.as_deref(), env)?;
    place.warnings.iter().for_each(warn);
    Ok(place)
}

/// What a command's options say of the owner.
fn owner_query<'a>(owner: &'a OwnerArgs, local_api: &'a LocalApiArgs) -> OwnerQuery<'a> {
    OwnerQuery {
        namespace: owner.namespace.as_deref(),
        mode: owner.mode,
        api_url: owner.api_url.as_deref(),
        token_file: owner.token_file.as_deref(),
        source_home: local_api.source_home.as_deref(),
        api_db: local_api.api_db.as_deref(),
        ..OwnerQuery::default()
    }
}

/// The hook's entry in openclaw.json; `None` where there is none.
fn entry(place: &OpenClawHome) -> Result<Option<Entry>> {
    let config = config::read(place)?;
    Ok(config.map(|config| entry::find(&config.value)).transpose()?.flatten())
}

/// The entry's env.
fn entry_env(place: &OpenClawHome) -> Result<Option<BTreeMap<String, String>>> {
    Ok(entry(place)?.map(|entry| entry.env))
}

/// As [`entry_env`], for a command that does without openclaw.json: one that cannot be read is a warning.
fn entry_env_if_readable(place: &OpenClawHome) -> Option<BTreeMap<String, String>> {
    entry_env(place).unwrap_or_else(|error| {
        warn(error);
        None
    })
}

/// `openclaw` on PATH.
fn openclaw_program(env: &Env) -> Option<PathBuf> {
    find_on_path(env.path("PATH")?.as_os_str(), "openclaw")
}

/// The part of our environment that the `openclaw` program may see.
fn openclaw_env(env: &Env) -> Vec<(&'static str, OsString)> {
    let value = |name| Some((name, env.path(name)?.into_os_string()));
    program::ENV.into_iter().filter_map(value).collect()
}

/// Lets OpenClaw itself change its config, where only it can; `false` where it is not on PATH. It looks at every plugin
/// that there is, and so takes its time.
fn let_openclaw_write(env: &Env, place: &OpenClawHome, args: &[OsString]) -> Result<bool> {
    let Some(openclaw) = openclaw_program(env) else {
        return Ok(false);
    };
    if program::run(&openclaw, args, &openclaw_env(env), place, Duration::from_secs(120))?.ok {
        return Ok(true);
    }
    let args = shell_words::join(args.iter().map(|arg| arg.to_string_lossy()));
    Err(Error::new(ExitCode::Config, "could not let OpenClaw write its config")
        .next(format!("run it yourself and see what it says: openclaw {args}")))
}

/// The command that makes or stores a new token for an owner.
fn login_command(owner: &Owner) -> String {
    let (mode, namespace) = (owner.mode.value, &owner.namespace.value);
    let stdin = if mode == Mode::Managed {
        " --owner-token-stdin"
    } else {
        ""
    };
    format!(
        "sigilum-authz-notify auth login --mode {} --namespace {namespace}{stdin}",
        mode.as_str()
    )
}

/// Writes a line of the result.
fn write_line(out: &mut dyn Write, text: impl std::fmt::Display) -> Result<()> {
    writeln!(out, "{text}").or_fail(ExitCode::Failure, || "could not write to standard output".to_owned())
}

/// Writes lines of the result, each of which stays one: texts of others may stand in them.
fn write_lines(out: &mut dyn Write, lines: &[String]) -> Result<()> {
    lines.iter().try_for_each(|line| write_line(out, text::plain(line)))
}

/// Tells the person something that is not the result, on standard error.
fn warn(text: impl std::fmt::Display) {
    let _ = std::io::stderr().write_all(text::plain_lines(&format!("warning: {text}\n")).as_bytes());
}

/// Tells the person something besides the result, on standard error.
fn note(text: impl std::fmt::Display) {
    let _ = std::io::stderr().write_all(text::plain_lines(&format!("note: {text}\n")).as_bytes());
}

/// Writes the result as JSON.
fn write_json(out: &mut dyn Write, result: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(result)
        .or_fail(ExitCode::Failure, || "could not write the result as JSON".to_owned())?;
    // What a terminal could take for more than text stands in JSON strings only, where it may be escaped.
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || text::is_plain(c) {
            plain.push(c);
        } else {
            c.encode_utf16(&mut [0; 2])
                .iter()
                .for_each(|unit| plain.push_str(&format!("\\u{unit:04x}")));
        }
    }
    write_line(out, plain)
}
