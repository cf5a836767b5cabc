//! `auth show`: print the stored token.

use crate::cli::ShowArgs;
use crate::cmd::broker::remote;
use crate::cmd::context::{self, place};
use crate::cmd::output::{self, write_line};
use crate::cmd::owner;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::settings::{self, AskEntry, Owner, OwnerQuery};
use crate::time;
use crate::token::claims;
use secrecy::ExposeSecret;
use std::io::Write;

/// Runs the command.
pub fn run(args: &ShowArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let place = place(&args.place, env)?;
    let asked = remote::refuse(&place, env, "show the token", "auth show");
    match settings::hook_namespace(&place) {
        Ok(_) => asked?,
        // A token that is here can be shown.
        Err(broken) => output::warn(broken),
    }
    let entry_env = || Ok(context::entry_env_if_readable(&place));
    let flags = context::place_flags(&args.place);
    let owner = owner::logged_in(query(args, &entry_env), env, &place, &flags)?;
    let renew = || context::renew_command(&owner, &place, &flags);
    let now = time::now();
    // Whatever is wrong with the file, it gives no token.
    let stored = owner.stored_token().map_err(|mut error| {
        error.code = ExitCode::Token;
        error
    });
    let stored = stored?;
    if stored.is_none() {
        context::entrys_other_api(&owner, &place).iter().for_each(output::note);
    }
    let token = stored.ok_or_else(|| not_found(&owner, &renew()))?;
    write_line(out, token.expose_secret())?;
    let mut code = ExitCode::Token;
    let why = match claims::inspect(&token) {
        Err(invalid) => format!("this is no owner token: {invalid}"),
        Ok(says) if says.namespace != owner.namespace.value => {
            format!("this token is for another namespace, {}", says.namespace)
        }
        Ok(says) if says.is_expired(now) => {
            let ago = now.saturating_sub(says.exp.unwrap_or(now));
            format!("this token expired {} ago", time::duration(ago))
        }
        Ok(says) if says.begins_in(now).is_some() => {
            let left = says.begins_in(now).unwrap_or_default();
            format!("this token is not valid for another {}", time::duration(left))
        }
        Ok(says) => match says.time_fault(now) {
            None => return Ok(ExitCode::Ok),
            // It can be used, as `auth status` says.
            Some(fault) => {
                code = ExitCode::Ok;
                fault.to_string()
            }
        },
    };
    output::warn(format_args!("{why}\n  next: {}", renew()));
    Ok(code)
}

/// What the options of `auth show` say.
pub fn query<'a>(args: &'a ShowArgs, entry_env: AskEntry<'a>) -> OwnerQuery<'a> {
    OwnerQuery {
        namespace: args.namespace.as_deref(),
        token_file: args.token_file.as_deref(),
        entry_env: Some(entry_env),
        ..OwnerQuery::default()
    }
}

fn not_found(owner: &Owner, renew: &str) -> Error {
    Error::new(
        ExitCode::Token,
        format!("Token file not found: {}", owner.token_file.display()),
    )
    .next(renew)
}
