//! Who logs in, and the token that they hand over, where they do.

use super::hook_plan::HookPlan;
use crate::cli::LoginArgs;
use crate::cmd::auth::accept::Action;
use crate::cmd::{context, output, owner, prompt, secret};
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::home::OpenClawHome;
use crate::mode::Mode;
use crate::settings::{self, Owner, OwnerQuery};
use crate::time;
use crate::token::claims::Inspected;
use crate::token::source::{self, Taken};
use secrecy::{ExposeSecret, SecretSlice, SecretString};

/// Where a token may lie in a person's environment.
const VARIABLE: &str = "SIGILUM_OWNER_TOKEN";

/// A token that the person handed over, what it says, and the name of its source.
pub(super) struct Given {
    pub(super) token: SecretString,
    pub(super) says: Inspected,
    pub(super) from: &'static str,
}

/// Who logs in, and with which handed-over token. `auth refresh` in oss-local mode issues one, whatever the
/// environment holds.
pub(super) fn owner_and_token(
    args: &LoginArgs,
    action: Action,
    env: &Env,
    place: &OpenClawHome,
    hook: &HookPlan,
) -> Result<(Owner, Option<Given>)> {
    let entry_env = || Ok(hook.entry.as_ref().map(|entry| entry.env.clone()));
    let query = |token_namespace| OwnerQuery {
        email: args.email.as_deref(),
        token_namespace,
        adopted_namespace: hook.adopted_namespace(),
        entry_env: Some(&entry_env),
        replaces_record: action == Action::Login,
        ..context::owner_query(&args.owner, &args.local_api)
    };
    let owner = |token_namespace| owner::owner(query(token_namespace), env, place, true);
    let typed = args.owner_token.is_some() || args.owner_token_stdin;
    // A guessed namespace is told of once, and not where the token names it.
    let mode = || match settings::named(&query(None), env, place) {
        Ok(Some(named)) if !named.origin.is_guess() => {
            settings::owner(&query(None), env, place).map(|owner| owner.mode.value)
        }
        _ => settings::unrecorded_mode(&query(None), env),
    };
    if action == Action::Refresh && !typed && mode()? == Mode::OssLocal {
        return Ok((owner(None)?, None));
    }
    let (text, from) = match handed_over(args, env)? {
        Some(given) => given,
        // What it is for, a person at a terminal is asked for, and the token says itself.
        None if prompt::may_ask() && mode()? == Mode::Managed => (secret::owner_token_from_stdin()?, secret::source()),
        None => return Ok((owner(None)?, None)),
    };
    let taken = source::take(text.expose_secret(), args.owner.namespace.as_deref(), from, time::now());
    let Taken { token, says, left_out } = taken.map_err(|error| match mode() {
        Ok(Mode::OssLocal) => signed_here(error, from),
        _ => error,
    })?;
    if let Some(left_out) = left_out {
        output::note(format_args!(
            "took the owner token from {from}, and left out {left_out}"
        ));
    }
    let owner = owner(Some(&says.namespace))?;
    if action == Action::Refresh && owner.mode.value == Mode::OssLocal {
        return Err(Error::new(
            ExitCode::Usage,
            "auth refresh issues a new token in oss-local mode and takes none",
        )
        .next(format!(
            "store this one with: sigilum-authz-notify auth login --mode oss-local --owner-token-stdin{}",
            context::place_flags(&args.place)
        )));
    }
    Ok((owner, Some(Given { token, says, from })))
}

/// Nobody is sent to the hosted Sigilum for a token that is signed here.
fn signed_here(error: Error, from: &str) -> Error {
    if error.step().is_none_or(|step| step != source::HOW_TO_GET_ONE) {
        return error;
    }
    let without = match from {
        VARIABLE => format!("unset {VARIABLE}"),
        "--owner-token" => "leave out --owner-token".to_owned(),
        _ => "leave out --owner-token-stdin".to_owned(),
    };
    error.next(format!(
        "{without}, and run the command again: a token for a local API is signed here"
    ))
}

/// What `--owner-token`, `--owner-token-stdin` or `SIGILUM_OWNER_TOKEN` holds, and the name of that source.
fn handed_over(args: &LoginArgs, env: &Env) -> Result<Option<(SecretSlice<u8>, &'static str)>> {
    let secret = |text: &str| SecretSlice::from(text.as_bytes().to_vec());
    if let Some(token) = &args.typed {
        return Ok(Some((secret(token.expose_secret()), secret::source())));
    }
    match (&args.owner_token, args.owner_token_stdin) {
        (Some(_), true) => Err(
            Error::new(ExitCode::Usage, "give --owner-token or --owner-token-stdin, not both")
                .next("leave out --owner-token; other users can see it in the process list"),
        ),
        (Some(token), false) => {
            output::warn("a token on the command line may be seen by other users; prefer --owner-token-stdin");
            Ok(Some((secret(token), "--owner-token")))
        }
        (None, true) => Ok(Some((secret::owner_token_from_stdin()?, secret::source()))),
        (None, false) => Ok(env.var(VARIABLE).map(|token| (secret(token), VARIABLE))),
    }
}
