//! `auth switch`: which of the stored namespaces the hook speaks for.

use crate::cli::SwitchArgs;
use crate::cmd::broker::remote;
use crate::cmd::choice::Choice;
use crate::cmd::context::{self, place};
use crate::cmd::hook_entry::{EntryDone, EntryEdit};
use crate::cmd::output::{self, write_line};
use crate::cmd::together::Together;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::home::OpenClawHome;
use crate::mode::Mode;
use crate::openclaw::entry::Enable;
use crate::owner_token;
use crate::settings::{self, Owner, OwnerQuery};
use crate::time;
use crate::token::record;
use std::io::Write;
use std::time::Duration;

/// Runs the command.
pub fn run(args: &SwitchArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let place = place(&args.place, env)?;
    let namespace = &args.namespace;
    let words = format!("auth switch {}", shell_words::quote(namespace));
    remote::refuse(&place, env, "switch here", &words)?;
    if !settings::is_label(namespace, true) || !place.record_file(namespace).exists() {
        return Err(no_login(args, &place));
    }
    let owner = logged_in(namespace, &place)?;
    // One that cannot be read is an error; one that is not to be sent goes nowhere.
    owner.stored_token()?;
    let token = owner_token::stored(&owner, time::now()).ok().map(|found| found.token);
    let entry = context::entry(&place)?;
    let lock = fs::lock_sigilum(&place)?;
    let mut choice = Choice::of(&place, entry.as_ref())?;
    if choice.adopts_readers() {
        return Err(nobody_chose_readers(args, &choice));
    }
    let before = choice.record.namespace.replace(namespace.clone());
    let change = || choice.write(&place, &lock);
    let together = Together::new(&lock, &change);
    let edit = EntryEdit {
        owner: &owner,
        token: token.as_ref(),
        replaces: None,
        token_in_config: choice.record.token_in_config,
        enable: Enable::Preserve,
        force: args.force,
        hold_lock: Duration::ZERO,
    };
    // What is refused is refused before anything is noted.
    let tried = entry.map(|_| edit.run(&place, None)).transpose()?;
    let edited = tried.map(|_| edit.run(&place, Some(&together))).transpose()?;
    together.run()?;
    let (mode, api) = (owner.mode.value.as_str(), &owner.api_url.value);
    let already = if before.as_ref() == Some(namespace) {
        " already"
    } else {
        ""
    };
    write_line(
        out,
        format_args!("The hook speaks for {namespace}{already} ({mode}, {api})"),
    )?;
    if let Some(told) = choice.told() {
        write_line(out, format_args!("Taken over {told}"))?;
    }
    if token.is_none() {
        output::warn(format_args!(
            "there is no token of {namespace} that can be used\n  next: {}",
            context::login_command(&owner, &place, &context::place_flags(&args.place))
        ));
    }
    if let Some(done) = edited {
        tell_of_config(&done, &place, out)?;
    }
    Ok(ExitCode::Ok)
}

fn tell_of_config(done: &EntryDone, place: &OpenClawHome, out: &mut dyn Write) -> Result<()> {
    if done.outcome.changed {
        write_line(out, format_args!("Updated {}", done.outcome.written()))?;
    }
    for note in &done.notes {
        write_line(out, format_args!("  {note}"))?;
    }
    context::tell_not_written(&done.outcome, place, out)
}

/// The owner as the last login recorded it, whatever the environment says.
fn logged_in(namespace: &str, place: &OpenClawHome) -> Result<Owner> {
    let query = OwnerQuery {
        namespace: Some(namespace),
        ..OwnerQuery::default()
    };
    settings::owner(&query, &Env::default(), place)
}

/// In a home of version 0.1.0 openclaw.json names who reads notices: that is taken over by an install, which has flags for
/// it.
fn nobody_chose_readers(args: &SwitchArgs, choice: &Choice) -> Error {
    let what = format!(
        "could not switch to {}, nobody recorded yet who reads notices here; openclaw.json says: {}",
        args.namespace,
        choice.adopted_text()
    );
    let flags = context::place_flags(&args.place);
    Error::new(ExitCode::Failure, what).next(format!(
        "sigilum-authz-notify hook install --namespace {}{flags}; it takes that over, or gives others with \
         --senders and --groups",
        args.namespace
    ))
}

fn no_login(args: &SwitchArgs, place: &OpenClawHome) -> Error {
    let namespace = &args.namespace;
    // As the one that the hook speaks for.
    let mode =
        settings::owner(&OwnerQuery::default(), &Env::default(), place).map_or(Mode::Managed, |owner| owner.mode.value);
    let stored = record::namespaces(&place.sigilum_dir()).unwrap_or_default();
    let logged_in = stored.iter().filter(|stored| place.record_file(stored).exists());
    let logged_in: Vec<&str> = logged_in.map(String::as_str).collect();
    let who = match logged_in[..] {
        [] => "nobody is logged in here".to_owned(),
        _ => format!("logged in here: {}", logged_in.join(", ")),
    };
    let may_be = settings::is_label(namespace, mode == Mode::Managed);
    let code = if may_be { ExitCode::Token } else { ExitCode::Usage };
    let error = Error::new(
        code,
        format!(
            "could not switch to {}, it is not logged in; {who}",
            shell_words::quote(namespace)
        ),
    );
    // No login makes it.
    let alike = logged_in.iter().find(|name| name.eq_ignore_ascii_case(namespace));
    if !may_be && let Some(one) = alike.or(logged_in.first()) {
        let flags = context::place_flags(&args.place);
        return error.next(format!("sigilum-authz-notify auth switch {one}{flags}"));
    }
    let same_api = context::same_api(mode, place);
    let flags = context::place_flags(&args.place);
    error.next(mode.login_command_of(may_be.then_some(namespace)) + &same_api + &flags)
}
