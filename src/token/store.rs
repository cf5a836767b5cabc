//! The token's file: the token and a newline, 0600, replaced atomically.

use crate::error::{Error, ExitCode, Result};
use crate::fs::{self, OwnLock};
use crate::home::OpenClawHome;
use crate::mode::Mode;
use crate::token::claims::{self, Inspected, MAX_BYTES};
use crate::token::lifetime;
use crate::token::paste;
use secrecy::{ExposeSecret, SecretString};
use std::path::Path;

/// The token in a token file, or else its text without the white space around it; `None` where there is no file or
/// nothing in it. What it says is not checked: see [`crate::token::claims::inspect`].
pub fn read(path: &Path) -> Result<Option<SecretString>> {
    text(path, fs::read_private(path, MAX_BYTES as u64)?)
}

/// The same, refused unless file and folder belong to this user.
pub fn read_of(path: &Path, uid: u32) -> Result<Option<SecretString>> {
    text(path, fs::read_private_of(path, MAX_BYTES as u64, uid)?)
}

fn text(path: &Path, bytes: Option<Vec<u8>>) -> Result<Option<SecretString>> {
    let Some(bytes) = bytes else { return Ok(None) };
    let text = std::str::from_utf8(&bytes).map(str::trim);
    let in_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    match text {
        Ok("") => return Ok(None),
        Ok(text) if text.bytes().all(in_token) => return Ok(Some(text.into())),
        // Saved by hand, in an editor.
        _ => {}
    }
    match (paste::read(&bytes), text) {
        (Ok(pasted), _) => Ok(Some(pasted.token)),
        (Err(_), Ok(text)) => Ok(Some(text.into())),
        (Err(_), Err(_)) => Err(Error::new(
            ExitCode::Token,
            format!(
                "could not read the token file, it is not UTF-8 text: {}",
                path.display()
            ),
        )),
    }
}

/// What to do about a token file that somebody else may have written.
pub fn anew(path: &Path, mode: Mode, namespace: &str) -> String {
    fs::remake(path, &mode.login_command(namespace))
}

/// Refuses a token file that holds something else than a token: the path may be a slip, and a login would replace the
/// file, a logout remove it. A file of the default name is ours whatever it holds.
///
/// # Errors
/// [`ExitCode::Usage`] for a foreign file, without any of its text.
pub fn refuse_foreign(path: &Path) -> Result<()> {
    let named_as_ours = path
        .file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with("owner-token-") && name.ends_with(".jwt"));
    let is_ours = named_as_ours
        || match fs::read_capped(path, MAX_BYTES as u64) {
            Ok(None) => true,
            Ok(Some(bytes)) => bytes.trim_ascii().is_empty() || is_token(&bytes),
            Err(_) => false,
        };
    if is_ours {
        return Ok(());
    }
    Err(Error::new(
        ExitCode::Usage,
        format!(
            "invalid token file, it does not hold an owner token: {}",
            path.display()
        ),
    )
    .next("name another file with --token-file, or go on all the same with --force"))
}

fn is_token(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    claims::inspect(&text.trim().into()).is_ok()
}

/// Whether a file holds an owner token and nothing else, whoever wrote it.
pub fn holds_token(path: &Path) -> bool {
    matches!(fs::read_capped(path, MAX_BYTES as u64), Ok(Some(bytes)) if is_token(&bytes))
}

/// What stays elsewhere of a file that goes. Only what certainly holds a token is to be removed there too: a link may lead
/// to anything.
pub fn stays(path: &Path) -> Option<String> {
    match holds_token(path) {
        true => fs::stays(path),
        false => {
            let file = path.is_symlink().then(|| path.canonicalize().ok()).flatten()?;
            let (here, what) = (path.display(), file.display());
            file.is_file().then(|| {
                format!("{here} was a symbolic link; look whether an owner token is in what it leads to, which stays: {what}")
            })
        }
    }
}

/// Whose token is in a token file, where it is another namespace's: two logins were given the same file. In the file of its
/// own name a token of another namespace is of no use to anybody.
pub fn anothers(path: &Path, namespace: &str, place: &OpenClawHome) -> Option<Inspected> {
    if path == place.token_file(namespace) {
        return None;
    }
    let says = claims::inspect(&read(path).ok()??).ok()?;
    (says.namespace != namespace).then_some(says)
}

/// Refuses to store a token in the place of another namespace's that has not expired.
///
/// # Errors
/// [`ExitCode::Usage`]
pub fn refuse_anothers(path: &Path, namespace: &str, place: &OpenClawHome, now: i64) -> Result<()> {
    let Some(says) = anothers(path, namespace, place).filter(|says| !says.is_expired(now)) else {
        return Ok(());
    };
    let what = format!(
        "could not use the token file, it holds the token of another namespace, {}, which expires {}: {}",
        says.namespace,
        lifetime::expiry_text(&says, now),
        path.display()
    );
    Err(Error::new(ExitCode::Usage, what)
        .next("name a file of its own with --token-file, or lose that token with --force"))
}

/// Replaces the token file. `is_named`: a person named it just now, so that it may be in any folder.
pub fn write(lock: &OwnLock, path: &Path, token: &SecretString, is_named: bool) -> Result<()> {
    let text = format!("{}\n", token.expose_secret());
    match is_named {
        true => lock.write_private_where_named(path, text.as_bytes())?,
        false => lock.write_private(path, text.as_bytes())?,
    };
    Ok(())
}
