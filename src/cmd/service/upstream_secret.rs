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

/// Why a text of several lines is no secret.
const CONTROL: &str = "it holds a line break or another control character, which no header can carry";

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
    let (secret, left_out) = alone(bytes).map_err(|why| match why {
        // Other sources refuse it too.
        CONTROL => bad_secret(why).next("give it in one line, without control characters"),
        why => bad_secret(why),
    })?;
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
    if let Some(why) = stand_in(text) {
        return Err(why);
    }
    if text.chars().any(char::is_control) {
        return Err(CONTROL);
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

/// Why a text is no secret but stands for one, or for a part of one; so too where a name or a header's word is before it,
/// as a script without the variable leaves them: `KEY=undefined`, `Bearer `.
fn stand_in(text: &str) -> Option<&'static str> {
    let is_hidden = |text: &str| text.contains(['…', '•', '●']) || text.contains("****") || text == "***";
    match text {
        "" => Some("it is empty"),
        text if pasted::is_placeholder(text) => Some("it only stands for a secret, as a shell or a script leaves it"),
        text if is_hidden(text) => Some("a part of it is hidden, behind dots or stars"),
        text => match behind(text)? {
            "" => Some("nothing follows the word or the name that it begins with"),
            value => stand_in(value),
        },
    }
}

/// What is behind a header's word or a name, where something like that is before it.
fn behind(text: &str) -> Option<&str> {
    // A secret that is padded is longer.
    const SHORT: usize = 16;
    let of_scheme = |scheme: &&str| without_start(text, scheme).filter(|rest| rest.is_empty() || rest.starts_with(' '));
    if let Some(rest) = SCHEMES.iter().find_map(of_scheme) {
        return Some(rest.trim());
    }
    if let Some((is_certain, value)) = named(text)
        && value.trim_matches('=').is_empty()
    {
        return (is_certain || text.len() < SHORT).then_some("");
    }
    let (name, value) = text.split_once(['=', ':'])?;
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_- ".contains(&b));
    Some(value.trim()).filter(|value| is_name && !value.is_empty())
}

/// A text without what it begins with, in whatever case.
fn without_start<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(start.len())?;
    head.eq_ignore_ascii_case(start).then_some(rest)
}

/// What follows `NAME_OF_IT=` or `export NAME=`. `=` alone are base64's padding, and a name without `_` may be a
/// cookie's.
fn without_name(text: &str) -> Option<&str> {
    let (is_certain, value) = named(text)?;
    (is_certain && !value.trim_matches('=').is_empty()).then_some(value)
}

/// What follows a variable's name and `=`, and whether that can be nothing else.
fn named(text: &str) -> Option<(bool, &str)> {
    let exported = text.strip_prefix("export ");
    let (name, value) = exported.unwrap_or(text).trim_start().split_once('=')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    is_name.then_some((exported.is_some() || name.contains('_'), value))
}

/// What follows `Authorization:`, with which the value of no header begins.
fn without_header_name(text: &str) -> Option<&str> {
    let (name, value) = text.split_once(':')?;
    name.trim().eq_ignore_ascii_case("authorization").then_some(value)
}

/// The secret without what the Sigilum gateway puts before it itself, and what that was: the name of the header or the
/// parameter that carries it, and the prefix, `Bearer abc` under `Bearer `.
///
/// # Errors
/// What is left only stands for a secret; it is one of several parameters.
pub(super) fn without_doubled(secret: &SecretString, name: &str, prefix: &str) -> Result<(SecretString, Vec<String>)> {
    let (mut text, mut left_out) = (secret.expose_secret(), Vec::new());
    if is_query(text, name) {
        return Err(bad_secret(
            "other parameters stand beside it, as in the query of a web address",
        ));
    }
    for (strip, what) in [(without_carrier as Strip, name), (without_prefix, prefix)] {
        let before = text;
        while let Some(rest) = strip(text, what) {
            text = rest.trim();
        }
        if text != before {
            left_out.push(what.trim().to_owned());
        }
    }
    match stand_in(text).filter(|_| !left_out.is_empty()) {
        Some(why) => Err(bad_secret(why)),
        None => Ok((SecretString::from(text), left_out)),
    }
}

type Strip = for<'a> fn(&'a str, &str) -> Option<&'a str>;

/// What follows the name of the header or the parameter: `X-Api-Key: abc`, `?api_key=abc`.
fn without_carrier<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let text = text.strip_prefix(['?', '&']).unwrap_or(text);
    let rest = without_start(text, name).filter(|_| !name.is_empty())?;
    rest.trim_start().strip_prefix([':', '='])
}

/// Whether it is several parameters, the one that carries the secret among them: `?api_key=abc&x=1`.
fn is_query(text: &str, name: &str) -> bool {
    let pairs = || text.trim_start_matches(['?', '&']).split('&');
    let carries = |pair| without_start(pair, name).is_some_and(|rest| rest.starts_with('='));
    !name.is_empty() && pairs().count() > 1 && pairs().all(|pair| pair.contains('=')) && pairs().any(carries)
}

/// What follows a prefix that is a word of its own.
fn without_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let word = prefix.trim();
    let rest = without_start(text, word).filter(|_| prefix.ends_with(' ') && !word.is_empty())?;
    rest.strip_prefix(' ')
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

/// What is odd about a secret that the Sigilum gateway puts `prefix` before: it is not alone or not whole, a header's word
/// before it, no blank between, a blank in a bearer token, which can have none (RFC 6750 §2.1).
pub(super) fn doubt(secret: &SecretString, prefix: &str) -> Option<String> {
    let (word, text) = (prefix.trim(), secret.expose_secret());
    if let Some(odd) = odd(text) {
        return Some(format!(
            "the upstream secret {odd}, and the upstream would get it so: is it meant?"
        ));
    }
    if SCHEMES.iter().any(|scheme| scheme.eq_ignore_ascii_case(prefix)) {
        return Some(format!(
            "the upstream would get \"{prefix}…\", with no blank behind the prefix; if that is not meant: --auth-prefix \
             '{prefix} '"
        ));
    }
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

/// What a text is that hardly is a secret.
fn odd(text: &str) -> Option<&'static str> {
    let is_open = |(open, close): (char, char)| text.strip_prefix(open).is_some_and(|rest| !rest.contains(close));
    if QUOTES.into_iter().any(is_open) {
        return Some("begins with a quote that nothing closes");
    }
    if without_quotes(text).is_some() {
        return Some("stands in quotes");
    }
    if serde_json::from_str::<serde_json::Map<_, _>>(text).is_ok() {
        return Some("is a JSON object");
    }
    // As Python, Ruby and SQL write that there is none.
    matches!(text, "None" | "nil" | "NULL").then_some("is a word that scripts leave where they have no value")
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
    let bytes = secret::from_stdin("upstream secret", SECRET_CAP as usize, |_| false)?;
    let bytes = bytes.expose_secret();
    if bytes.len() as u64 > SECRET_CAP {
        return Err(bad_secret(format_args!(
            "standard input holds more than {SECRET_CAP} bytes"
        )));
    }
    Ok(bytes.to_vec())
}
