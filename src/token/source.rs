//! An owner token that somebody hands us (a flag, a variable, standard input, a token command): checked as far as one
//! can without its key.

use crate::error::{Error, ExitCode, Result};
use crate::token::claims::{self, Inspected};
use crate::token::paste;
use secrecy::SecretString;

/// Where a person gets an owner token of the hosted Sigilum from; there is no endpoint that renews one.
pub const HOW_TO_GET_ONE: &str = "sign in at https://sigilum.id with your passkey, copy the owner JWT from your account \
     page, then run: sigilum-authz-notify auth login --mode managed --owner-token-stdin";

/// A token that was taken, and what it says.
#[derive(Debug)]
pub struct Taken {
    /// The JWT alone.
    pub token: SecretString,
    /// Its claims, unverified.
    pub says: Inspected,
    /// What was left out of the text that it came in, in words that follow "left out"; `None` where nothing was.
    pub left_out: Option<String>,
}

/// Takes a token that a person handed to us, however it was pasted: see [`paste`]. As [`check`] otherwise.
///
/// # Errors
/// [`ExitCode::Token`], with what to do, and without any of the text.
pub fn take(text: &[u8], namespace: Option<&str>, from: &str, now: i64) -> Result<Taken> {
    let pasted = paste::read(text).map_err(|what| {
        let next = what.next().unwrap_or(HOW_TO_GET_ONE);
        refuse(from, &what.to_string()).next(next)
    })?;
    let says = check(&pasted.token, namespace, from, now).map_err(|error| {
        let other = claims::inspect(&pasted.token).ok().map(|says| says.namespace);
        // What is not like a name of ours is no word for a command.
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        match other.filter(|other| namespace.is_some_and(|wanted| wanted != other) && other.chars().all(plain)) {
            Some(other) => error.next(format!(
                "give --namespace {other}, or a token of the namespace that is meant"
            )),
            None => error.next(HOW_TO_GET_ONE),
        }
    })?;
    Ok(Taken {
        token: pasted.token,
        says,
        left_out: (!pasted.left_out.is_empty()).then(|| pasted.left_out.join(", ")),
    })
}

/// Checks a token: its shape, its namespace (where one is wanted), its expiry, that it is valid at some time. `from` names its source in errors, `now`
/// is Unix seconds.
///
/// # Errors
/// [`ExitCode::Token`], without a next step and without any of the token's text.
pub fn check(token: &SecretString, namespace: Option<&str>, from: &str, now: i64) -> Result<Inspected> {
    let seen = claims::inspect(token).map_err(|invalid| refuse(from, &invalid.to_string()))?;
    if let Some(wanted) = namespace.filter(|wanted| *wanted != seen.namespace) {
        let why = format!("it is for the namespace {:?}, not {wanted:?}", seen.namespace);
        return Err(refuse(from, &why));
    }
    if seen.is_expired(now) {
        let ago = seen.exp.map_or(0, |exp| now.saturating_sub(exp));
        return Err(refuse(from, &format!("it expired {} ago", crate::time::duration(ago))));
    }
    if seen.is_never_valid() {
        return Err(refuse(
            from,
            "it is never valid, as it expires (exp) before it begins to be (nbf)",
        ));
    }
    Ok(seen)
}

fn refuse(from: &str, why: &str) -> Error {
    let what = format!("could not use the owner token from {from}: {why}");
    Error::new(ExitCode::Token, what)
}
