//! `auth logout`: remove file, config token and record.

use crate::cli::LogoutArgs;
use crate::cmd::auth::show;
use crate::cmd::context::{self, place};
use crate::cmd::output::{self, write_line};
use crate::cmd::owner;
use crate::cmd::timed_approvals::{self, Goes};
use crate::cmd::together::Together;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::home::OpenClawHome;
use crate::hook_record;
use crate::openclaw::config::{self, EditOptions};
use crate::openclaw::{entry, removal};
use crate::settings::{self, Owner, OwnerQuery};
use crate::token::{claims, record, store};
use secrecy::SecretString;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Runs the command.
pub fn run(args: &LogoutArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let place = place(&args.show.place, env)?;
    let home = place.home.display();
    let Some(owner) = whose(args, env, &place)? else {
        write_line(out, format_args!("Nobody is logged in to {home}"))?;
        return Ok(ExitCode::Ok);
    };
    if !place.sigilum_dir().exists() && !place.config.exists() {
        write_line(out, format_args!("There is nothing of ours in {home}"))?;
        return Ok(ExitCode::Ok);
    }
    let namespace = &owner.namespace.value;
    let tokens = token_files(&owner, &place);
    if !args.force {
        tokens.iter().try_for_each(|file| store::refuse_foreign(file))?;
    }
    let lock = fs::lock_sigilum(&place)?;
    let (tokens, anothers) = without_anothers(tokens, namespace, &place);
    let files = [tokens, vec![place.record_file(namespace)]].concat();
    let elsewhere = left_elsewhere(args, &files, &place.record_file(namespace));
    let tokens = held_tokens(&files, &place);
    let approvals = timed_approvals::left_by(Goes::Token, &place, Some(namespace));
    let removed = RefCell::new(Vec::new());
    let remove = || {
        for file in &files {
            if fs::remove(file)? {
                removed.borrow_mut().push(file.display().to_string());
            }
        }
        Ok(())
    };
    let together = Together::new(&lock, &remove);
    let edited = match take_out(namespace, args.force, &place, &together, out) {
        // As long as a lock stays held nothing changes: a token that stays in the config is not to lose its record.
        Err(error) if error.code == ExitCode::LockHeld && !together.is_done() => return Err(error),
        edited => edited,
    };
    // Whatever else becomes of the config, the token goes.
    together.run()?;
    keep_the_checkout(&owner, &place, &lock).unwrap_or_else(output::warn);
    let others = take_out_of_others(namespace, args, &place, &together, out);
    let removed = removed.into_inner();
    let mut lines = removed.iter().map(|file| format!("Removed {file}")).chain(anothers);
    lines.try_for_each(|line| write_line(out, line))?;
    // What stood in the config before our first edit is kept for an uninstall, but not a token.
    config::scrub_undo_record(&place, &lock, &|text| claims::inspect(&text.to_owned().into()).is_ok())?;
    let was_there = take_care(edited, &place)? || others || !removed.is_empty();
    if !was_there {
        let none = format!("There is no token and no record of {namespace} in {home}");
        write_line(out, none)?;
    }
    // The logout is done.
    approvals.iter().chain(&elsewhere).for_each(output::warn);
    let told = tell_of_copies(&place, &tokens, out);
    match told.and_then(|()| tell_of_the_others(args, &place, namespace, out)) {
        Err(error) if !error.is_broken_pipe() => output::warn(error),
        told => told?,
    }
    Ok(ExitCode::Ok)
}

/// Has the hook's record, where there is one, keep the checkout of the login that goes: a secret of the home's own would not
/// be that API's.
fn keep_the_checkout(owner: &Owner, place: &OpenClawHome, lock: &fs::OwnLock) -> Result<()> {
    let (path, Some(login)) = (place.hook_record_file(), &owner.record) else {
        return Ok(());
    };
    let Ok(Some(mut record)) = hook_record::read(&path) else {
        return Ok(());
    };
    let namespace = owner.namespace.value.clone();
    let before = match &login.source_home {
        Some(checkout) => record.former_checkouts.insert(namespace, checkout.clone()),
        None => record.former_checkouts.remove(&namespace),
    };
    match before == login.source_home {
        true => Ok(()),
        false => hook_record::write(lock, &path, &record),
    }
}

/// What is told of tokens that may stay, before the files go.
fn left_elsewhere(args: &LogoutArgs, files: &[PathBuf], record: &Path) -> Vec<String> {
    // One that is named now is taken for the recorded one.
    let unknown = record::unknown_token_file(record).filter(|_| args.show.token_file.is_none());
    files
        .iter()
        .filter_map(|file| store::stays(file))
        .chain(unknown)
        .collect()
}

/// Whether a token came out of openclaw.json, or perhaps did not: that is told, and is an error where it can be read.
fn take_care(edited: Result<bool>, place: &OpenClawHome) -> Result<bool> {
    match edited {
        Err(error) if context::entry(place).is_err() => {
            output::warn(format_args!("the token may still stand in openclaw.json: {error}"));
            Ok(true)
        }
        Err(error) => {
            output::warn("the token may still stand in openclaw.json");
            Err(error)
        }
        Ok(had) => Ok(had),
    }
}

/// The tokens that a logout takes away, for a look at what else holds them.
fn held_tokens(files: &[PathBuf], place: &OpenClawHome) -> Vec<SecretString> {
    let stored = files.iter().filter_map(|file| store::read(file).ok().flatten());
    let in_entry = context::entry(place).ok().flatten().and_then(|entry| entry.token());
    stored.chain(in_entry).collect()
}

fn tell_of_copies(place: &OpenClawHome, tokens: &[SecretString], out: &mut dyn Write) -> Result<()> {
    let files = config::read(place).ok().flatten().map(|config| config.files);
    context::tell_of_copies(place, &files.unwrap_or_default(), tokens, out)
}

/// Who logs out; `None` where nobody is named, and so nobody is logged in.
fn whose(args: &LogoutArgs, env: &Env, place: &OpenClawHome) -> Result<Option<Owner>> {
    // One that cannot be read is told once, at the end.
    let entry_env = || Ok(context::entry_env(place).unwrap_or_default());
    let query = OwnerQuery {
        replaces_record: true,
        ..show::query(&args.show, &entry_env)
    };
    match settings::named(&query, env, place)? {
        Some(_) => owner::owner(query, env, place, false).map(Some),
        None => Ok(None),
    }
}

/// The files with this namespace's token: the one that was named or is recorded, and this home's own.
fn token_files(owner: &Owner, place: &OpenClawHome) -> Vec<PathBuf> {
    let namespace = &owner.namespace.value;
    let recorded = owner.record.as_ref().map(|record| record.token_file(place, namespace));
    let files = [
        Some(owner.token_file.clone()),
        recorded,
        Some(place.token_file(namespace)),
    ];
    let files: BTreeSet<PathBuf> = files.into_iter().flatten().collect();
    files.into_iter().collect()
}

/// Those of the files that go; and of each with another namespace's token, which stays, a word. That of this namespace's own
/// name goes whatever it holds.
fn without_anothers(files: Vec<PathBuf>, namespace: &str, place: &OpenClawHome) -> (Vec<PathBuf>, Vec<String>) {
    let (mut go, mut notes) = (Vec::new(), Vec::new());
    for file in files {
        match store::anothers(&file, namespace, place) {
            Some(says) => notes.push(format!(
                "{} holds a token of another namespace, {}: left alone",
                file.display(),
                says.namespace
            )),
            None => go.push(file),
        }
    }
    (go, notes)
}

/// Takes the token out of the other configs in this home, and names those elsewhere that may hold it; says whether there
/// was one to take out.
fn take_out_of_others(
    namespace: &str,
    args: &LogoutArgs,
    place: &OpenClawHome,
    together: &Together<'_>,
    out: &mut dyn Write,
) -> bool {
    // Where the record of edits cannot be read, its scrubbing says so.
    let (others, elsewhere) = config::others(place).unwrap_or_default();
    let mut any = false;
    for other in &others {
        match take_out(namespace, args.force, other, together, out) {
            Ok(had) => any |= had,
            Err(error) => tell_that_it_may_stand(other, &error),
        }
    }
    let holds = |other: &&OpenClawHome| {
        let entry = context::entry(other).inspect_err(|error| tell_that_it_may_stand(other, error));
        let says = entry
            .ok()
            .flatten()
            .and_then(|entry| claims::inspect(&entry.token()?).ok());
        says.is_some_and(|says| says.namespace == namespace)
    };
    for other in elsewhere.iter().filter(holds) {
        let (config, home) = (fs::quoted(&other.config), args.show.place.openclaw_home.as_deref());
        output::warn(format_args!(
            "the token still stands in {}\n  next: sigilum-authz-notify auth logout --namespace {namespace} --config \
             {config}{}",
            other.config.display(),
            context::path_flag("--openclaw-home", home)
        ));
    }
    any
}

fn tell_that_it_may_stand(other: &OpenClawHome, error: &Error) {
    let config = other.config.display();
    output::warn(format_args!("the token may still stand in {config}: {error}"));
}

/// Takes the token out of openclaw.json; says whether there was one to take out.
pub fn take_out(
    namespace: &str,
    force: bool,
    place: &OpenClawHome,
    together: &Together<'_>,
    out: &mut dyn Write,
) -> Result<bool> {
    let first = || together.run();
    let options = EditOptions {
        force,
        own_lock: Some(together.lock),
        first: Some(&first),
        ..EditOptions::default()
    };
    let mut notes = Vec::new();
    let outcome = config::edit(place, &options, &mut |ask| {
        if let Some(other) = other_namespace(ask.value, namespace)? {
            notes = vec![format!(
                "openclaw.json holds a token of another namespace, {other}: left alone"
            )];
            return Ok(ask.value.clone());
        }
        let planned = removal::without_token(ask.value, ask.keep_length)?;
        notes = planned.notes;
        Ok(planned.value)
    })?;
    if outcome.changed {
        write_line(out, format_args!("Took the token out of {}", outcome.written()))?;
    }
    for note in notes.iter().chain(&outcome.notes) {
        write_line(out, format_args!("  {note}"))?;
    }
    if outcome.not_written.is_some() {
        output::warn("openclaw.json still holds the token");
        context::tell_not_written(&outcome, place, out)?;
    }
    Ok(outcome.changed || outcome.not_written.is_some())
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
