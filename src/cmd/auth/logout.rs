//! `auth logout`: remove file, config token and record.

use crate::cli::LogoutArgs;
use crate::cmd::auth::show;
use crate::cmd::context::{self, place};
use crate::cmd::output::{self, write_line};
use crate::cmd::owner;
use crate::env::Env;
use crate::error::{ExitCode, Result};
use crate::fs;
use crate::home::OpenClawHome;
use crate::openclaw::config::{self, EditOptions};
use crate::openclaw::{entry, removal};
use crate::settings::{self, OwnerQuery};
use crate::token::{claims, record, store};
use serde_json::Value;
use std::io::Write;

/// Runs the command.
pub fn run(args: &LogoutArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let place = place(&args.show.place, env)?;
    // One that cannot be read ends the command anyway.
    let entry_env = || context::entry_env(&place);
    let query = OwnerQuery {
        replaces_record: true,
        ..show::query(&args.show, &entry_env)
    };
    let owner = owner::owner(query, env, &place, false)?;
    if !place.sigilum_dir().exists() && !place.config.exists() {
        write_line(
            out,
            format_args!("There is nothing of ours in {}", place.home.display()),
        )?;
        return Ok(ExitCode::Ok);
    }
    if !args.force {
        store::refuse_foreign(&owner.token_file)?;
    }
    let lock = fs::lock_sigilum(&place)?;
    let options = EditOptions {
        force: args.force,
        own_lock: Some(&lock),
        ..EditOptions::default()
    };
    let mut notes = Vec::new();
    // The config first: if it cannot be edited, the token stays where a next try finds it.
    let outcome = config::edit(&place, &options, &mut |ask| {
        if let Some(other) = other_namespace(ask.value, &owner.namespace.value)? {
            notes = vec![format!(
                "openclaw.json holds a token of another namespace, {other}: left alone"
            )];
            return Ok(ask.value.clone());
        }
        let planned = removal::without_token(ask.value, ask.keep_length)?;
        notes = planned.notes;
        Ok(planned.value)
    })?;
    if let Some(name) = outcome.not_written {
        output::warn(format_args!(
            "openclaw.json still holds the token: {name} is set, so it was not written"
        ));
    }
    if outcome.changed {
        write_line(out, format_args!("Took the token out of {}", outcome.written()))?;
    }
    for note in notes.iter().chain(&outcome.notes) {
        write_line(out, format_args!("  {note}"))?;
    }
    // What stood in the config before our first edit is kept for an uninstall, but not a token.
    config::scrub_undo_record(&place, &lock, &|text| claims::inspect(&text.to_owned().into()).is_ok())?;
    let mut removed = false;
    for file in [&owner.token_file, &place.record_file(&owner.namespace.value)] {
        if fs::remove(file)? {
            removed = true;
            write_line(out, format_args!("Removed {}", file.display()))?;
        }
    }
    if !removed && !outcome.changed && outcome.not_written.is_none() {
        let (namespace, home) = (&owner.namespace.value, place.home.display());
        write_line(
            out,
            format_args!("There is no token and no record of {namespace} in {home}"),
        )?;
    }
    tell_of_the_others(args, &place, &owner.namespace.value, out)?;
    Ok(ExitCode::Ok)
}

/// The hook speaks for whom it spoke, logged in or not; who else is logged in may be meant from now on.
fn tell_of_the_others(args: &LogoutArgs, place: &OpenClawHome, namespace: &str, out: &mut dyn Write) -> Result<()> {
    let (hook, _) = settings::hook_namespace(place)?;
    let stored = record::namespaces(&place.sigilum_dir())?;
    let other = stored.iter().find(|other| place.record_file(other).exists());
    let (true, Some(other)) = (hook.is_some_and(|hook| hook.value == namespace), other) else {
        return Ok(());
    };
    let flags = context::place_flags(&args.show.place);
    write_line(
        out,
        format_args!(
            "The hook still speaks for {namespace}; to have it speak for {other}: sigilum-authz-notify auth switch \
             {other}{flags}"
        ),
    )
}

/// Whose the token in the config is, where it is not `namespace`'s: its claims decide, else what the entry says.
fn other_namespace(config: &Value, namespace: &str) -> Result<Option<String>> {
    let Some(entry) = entry::find(config)? else {
        return Ok(None);
    };
    let Some(token) = entry.token() else {
        return Ok(None);
    };
    let whose = match claims::inspect(&token) {
        Ok(says) => Some(says.namespace),
        Err(_) => entry.namespace().map(str::to_owned),
    };
    Ok(whose.filter(|whose| whose != namespace))
}
