//! The upstream secret that a person gives: from one source, without what a paste, an editor or a file of settings leaves
//! around it. What is left out is told, never the secret.

use crate::cli::UpstreamSecretArgs;
use crate::cmd::{output, secret};
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::text::{pasted, typed};
use secrecy::{ExposeSecret, SecretString};
use std::path::Path;

/// A secret is at most so long.
const SECRET_CAP: u64 = 64 * 1024;

/// Quotes that people and programs put around a text.
const QUOTES: [(char, char); 5] = [('"', '"'), ('\'', '\''), ('`', '`'), ('“', '”'), ('‘', '’')];

/// The secret that a person gave, from at most one source.
///
/// # Errors
/// [`ExitCode::Usage`] for several sources, [`ExitCode::SecretOrDatabase`] for a source that holds no usable secret.
pub(super) fn given(args: &UpstreamSecretArgs, env: &Env) -> Result<Option<SecretString>> {
    let from_stdin = Path::new("-");
    let bytes = match (
        &args.upstream_secret,
        &args.upstream_secret_env,
        &args.upstream_secret_file,
    ) {
        (None, None, None) => return Ok(None),
        (Some(value), None, None) if value == "-" => read_stdin()?,
        (Some(value), None, None) => value.clone().into_bytes(),
        (None, Some(name), None) => env.var(name).map(|value| value.as_bytes().to_vec()).ok_or_else(|| {
            let why = format!("the variable {:?} is not set, or is empty", typed::shown(name));
            bad_secret(why).next("set it (the flag wants its name), or give the secret with --upstream-secret-file")
        })?,
        (None, None, Some(path)) if path == from_stdin => read_stdin()?,
        (None, None, Some(path)) => read_secret_file(path)?,
        _ => {
            return Err(
                Error::new(ExitCode::Usage, "invalid upstream secret: it is given more than once")
                    .next("give one of --upstream-secret, --upstream-secret-env and --upstream-secret-file"),
            );
        }
    };
    told_alone(&bytes).map(Some)
}

/// The secret that a person at a terminal is asked for.
///
/// # Errors
/// [`ExitCode::SecretOrDatabase`] where what is typed is no usable secret.
pub(super) fn asked() -> Result<SecretString> {
    told_alone(&read_stdin()?)
}

fn told_alone(bytes: &[u8]) -> Result<SecretString> {
    let (secret, left_out) = alone(bytes).map_err(bad_secret)?;
    if !left_out.is_empty() {
        output::note(format_args!("left out of the upstream secret: {}", left_out.join(", ")));
    }
    Ok(secret)
}

/// The secret in a text, and what of the text is not in it. White space around it is no matter: the Sigilum gateway cuts
/// it too, and the file shall hold what the gateway holds.
fn alone(bytes: &[u8]) -> std::result::Result<(SecretString, Vec<&'static str>), &'static str> {
    let decoded = pasted::decode(bytes).ok_or("it is not text in UTF-8 or UTF-16")?;
    let marks = pasted::without_paste_marks(&decoded.text);
    let text = marks.as_deref().unwrap_or(&decoded.text);
    let invisible = pasted::without_invisible(text);
    let mut text = invisible.as_deref().unwrap_or(text).trim();
    let mut left_out = Vec::new();
    let mut note = |is, what| {
        if is && !left_out.contains(&what) {
            left_out.push(what);
        }
    };
    note(decoded.was_utf16, "its encoding as UTF-16");
    note(marks.is_some(), "the terminal's marks around it");
    note(invisible.is_some(), "invisible characters");
    // One may stand in the other: `export NAME="…"`.
    for (strip, what) in [
        (without_quotes as fn(&str) -> Option<&str>, "the quotes around it"),
        (without_name, "the name and the = before it"),
        (without_header_name, "the header's name before it"),
        (without_quotes, "the quotes around it"),
    ] {
        let inner = strip(text);
        note(inner.is_some(), what);
        text = inner.unwrap_or(text).trim();
    }
    if text.is_empty() {
        return Err("it is empty");
    }
    if pasted::is_placeholder(text) {
        return Err("it only stands for a secret, as a shell or a script leaves it");
    }
    if text.contains(['…', '•', '●']) || text.contains("****") {
        return Err("a part of it is hidden, behind dots or stars");
    }
    if text.chars().any(char::is_control) {
        return Err("it holds a line break or another control character, which no header can carry");
    }
    if text.chars().any(|c| c.is_whitespace() && c != ' ') {
        return Err("it holds a blank of a kind that no secret has, as text from a web page does");
    }
    Ok((SecretString::from(text), left_out))
}

fn without_quotes(text: &str) -> Option<&str> {
    let inner = |(open, close): (char, char)| {
        let inner = text.strip_prefix(open)?.strip_suffix(close)?;
        (!inner.contains([open, close])).then_some(inner)
    };
    QUOTES.into_iter().find_map(inner)
}

/// What follows `NAME_OF_IT=` or `export NAME=`. `=` alone are base64's padding, and a name without `_` may be a
/// cookie's.
fn without_name(text: &str) -> Option<&str> {
    let exported = text.strip_prefix("export ");
    let (name, value) = exported.unwrap_or(text).trim_start().split_once('=')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    let is_set = !value.trim_matches('=').is_empty();
    (is_name && is_set && (exported.is_some() || name.contains('_'))).then_some(value)
}

/// What follows `Authorization:`, with which the value of no header begins.
fn without_header_name(text: &str) -> Option<&str> {
    let (name, value) = text.split_once(':')?;
    name.trim().eq_ignore_ascii_case("authorization").then_some(value)
}

/// The secret without a prefix that the Sigilum gateway puts before it itself: `Bearer abc` under `Bearer `. `None` where
/// it has none.
pub(super) fn without_prefix(secret: &SecretString, prefix: &str) -> Option<SecretString> {
    let (word, text) = (prefix.trim(), secret.expose_secret());
    let (start, rest) = (text.get(..word.len())?, text.get(word.len()..)?);
    let is_word = prefix.ends_with(' ') && !word.is_empty() && start.eq_ignore_ascii_case(word);
    let secret = rest
        .strip_prefix(' ')
        .map(str::trim)
        .filter(|secret| !secret.is_empty());
    secret.filter(|_| is_word).map(SecretString::from)
}

/// Words with which the value of an `Authorization` header begins (RFC 9110 §11.4, and what APIs made up).
const SCHEMES: [&str; 10] = [
    "Basic",
    "Bearer",
    "Digest",
    "Token",
    "Key",
    "ApiKey",
    "Api-Key",
    "OAuth",
    "Negotiate",
    "Hawk",
];

/// What is odd about a secret that the Sigilum gateway puts `prefix` before: a header's word before it, a blank in a
/// bearer token, which can have none (RFC 6750 §2.1).
pub(super) fn doubt(secret: &SecretString, prefix: &str) -> Option<String> {
    let (word, text) = (prefix.trim(), secret.expose_secret());
    let (first, _) = text.split_once(' ').filter(|_| !word.is_empty())?;
    let scheme = SCHEMES.into_iter().find(|scheme| scheme.eq_ignore_ascii_case(first));
    Some(match scheme {
        Some(scheme) => format!(
            "the upstream would get \"{word} {scheme} …\", as the secret begins with {scheme:?} and the Sigilum gateway \
             puts {word:?} before it; if that is not meant, give the secret without that word, or with \
             --auth-mode header_key --upstream-header Authorization --auth-prefix '{scheme} '"
        ),
        None if word.eq_ignore_ascii_case("Bearer") => {
            "the upstream secret has a blank in it, which a bearer token cannot have: is it one secret?".to_owned()
        }
        None => return None,
    })
}

fn bad_secret(why: impl std::fmt::Display) -> Error {
    Error::new(ExitCode::SecretOrDatabase, format!("invalid upstream secret: {why}"))
        .next("give it with --upstream-secret-env <name> or --upstream-secret-file <path>")
}

fn read_secret_file(path: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read_named(path, SECRET_CAP).map_err(bad_secret)?;
    bytes.ok_or_else(|| {
        let shown = typed::shown(&path.display().to_string());
        bad_secret(format_args!("there is no such file: {shown}"))
    })
}

fn read_stdin() -> Result<Vec<u8>> {
    let bytes = secret::from_stdin("upstream secret", SECRET_CAP as usize, |_| true)?;
    let bytes = bytes.expose_secret();
    if bytes.len() as u64 > SECRET_CAP {
        return Err(bad_secret(format_args!(
            "standard input holds more than {SECRET_CAP} bytes"
        )));
    }
    Ok(bytes.to_vec())
}
