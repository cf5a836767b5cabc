//! `demo`: the whole job in a throw-away OpenClaw home.

use crate::cli::{HookRunArgs, LoginArgs, OwnerArgs, PlaceArgs};
use crate::cmd::auth::{accept, login};
use crate::cmd::hook::run;
use crate::cmd::output::write_line;
use crate::env::Env;
use crate::error::{ExitCode, OrFail, Result};
use crate::home;
use crate::mode::Mode;
use crate::openclaw::entry::Enable;
use crate::sigilum::local_db::LocalDb;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

const NAMESPACE: &str = "demo";

/// Runs the command. Nothing of the person's own environment reaches it, so that the real OpenClaw home is safe.
pub fn run(out: &mut dyn Write) -> Result<ExitCode> {
    let home = throw_away_home()?;
    let env = Env::from_pairs([("HOME", home.as_os_str())]);
    let place = PlaceArgs {
        openclaw_home: Some(home.join(".openclaw")),
        config: None,
    };
    write_line(
        out,
        format_args!("1. Log in to a throw-away OpenClaw home, {}\n", home.display()),
    )?;
    let login = LoginArgs {
        owner: OwnerArgs {
            mode: Some(Mode::OssLocal),
            namespace: Some(NAMESPACE.to_owned()),
            api_url: Some(unused_loopback_url()?),
            token_file: None,
        },
        place: place.clone(),
        enable_authz_notify: Some(Enable::True),
        write_openclaw: true,
        print_token: Some(false),
        ..LoginArgs::default()
    };
    login::run(&login, accept::Action::Login, &env, out)?;

    write_line(
        out,
        "\n2. Two agents ask for approval: two sample requests in that database",
    )?;
    let database = home::find(place.openclaw_home.as_deref(), None, &env)?.embedded_db();
    LocalDb::open_or_create(&database, None)?
        .db
        .insert_sample_requests(NAMESPACE)?;

    write_line(out, "\n3. The owner types /new in a chat; the hook answers:\n")?;
    let event = HookRunArgs {
        event: Some("command:new".to_owned()),
        place,
        ..HookRunArgs::default()
    };
    run::run(&event, &env, out)?;

    write_line(
        out,
        format_args!(
            "\nThe throw-away home stays for you to look at; remove it with: rm -r {}\n\
             In your real OpenClaw home (~/.openclaw):\n  \
               sigilum-authz-notify auth login\n  \
               sigilum-authz-notify hook install\n  \
               sigilum-authz-notify watch",
            home.display()
        ),
    )?;
    Ok(ExitCode::Ok)
}

/// It stays, for a person to look at.
fn throw_away_home() -> Result<PathBuf> {
    let what = || "could not make a throw-away home".to_owned();
    let home = tempfile::Builder::new()
        .prefix("sigilum-authz-notify-demo-")
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir()
        .or_fail(ExitCode::Failure, what)?;
    Ok(home.keep())
}

/// A loopback URL where nothing listens, so that the hook reads the database.
fn unused_loopback_url() -> Result<String> {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = address.or_fail(ExitCode::Failure, || "could not find a free loopback port".to_owned())?;
    Ok(format!("http://{address}"))
}
