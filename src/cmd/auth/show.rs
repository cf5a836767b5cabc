//! `auth show`: print the stored token.

use crate::cli::ShowArgs;
use crate::cmd::context::{self, place};
use crate::cmd::output::write_line;
use crate::cmd::owner;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::settings::{AskEntry, Owner, OwnerQuery};
use crate::token::store;
use secrecy::ExposeSecret;
use std::io::Write;

/// Runs the command.
pub fn run(args: &ShowArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let place = place(&args.place, env)?;
    let entry_env = || Ok(context::entry_env_if_readable(&place));
    let owner = owner::owner(query(args, &entry_env), env, &place, false)?;
    let token = store::read(&owner.token_file)?.ok_or_else(|| not_found(&owner))?;
    write_line(out, token.expose_secret())?;
    Ok(ExitCode::Ok)
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

fn not_found(owner: &Owner) -> Error {
    Error::new(
        ExitCode::Token,
        format!("Token file not found: {}", owner.token_file.display()),
    )
    .next(context::login_command(owner))
}
