//! An owner token that somebody hands us (a flag, a variable, standard input, a token command): checked as far as one
//! can without its key.

use crate::error::{Error, ExitCode, Result};
use crate::token::claims::{self, Inspected};
use secrecy::SecretString;

/// Where a person gets an owner token of the hosted Sigilum from; there is no endpoint that renews one.
pub const HOW_TO_GET_ONE: &str = "sign in at https://sigilum.id with your passkey, copy the owner JWT from your account \
     page, then run: sigilum-authz-notify auth login --mode managed --namespace <namespace> --owner-token-stdin";

/// Checks a token that was handed to us: its shape, its namespace (where one is wanted), its expiry. `from` names its
/// source in errors, `now` is Unix seconds.
///
/// # Errors
/// [`ExitCode::Token`], without any of the token's text.
pub fn check(token: &SecretString, namespace: Option<&str>, from: &str, now: i64) -> Result<Inspected> {
    let refuse = |why: String| {
        Error::new(
            ExitCode::Token,
            format!("could not take the owner token from {from}: {why}"),
        )
        .next(HOW_TO_GET_ONE)
    };
    let seen = claims::inspect(token).map_err(|invalid| refuse(invalid.to_string()))?;
    if let Some(wanted) = namespace.filter(|wanted| *wanted != seen.namespace) {
        return Err(refuse(format!(
            "it is for the namespace {:?}, not {wanted:?}",
            seen.namespace
        )));
    }
    if seen.is_expired(now) {
        let ago = seen.exp.map_or(0, |exp| now.saturating_sub(exp));
        return Err(refuse(format!("it expired {} ago", crate::time::duration(ago))));
    }
    Ok(seen)
}
