//! The token's file: the token and a newline, 0600, replaced atomically.

use crate::disk::{self, OwnLock};
use crate::exit::{Error, ExitCode, Result};
use crate::token::claims::MAX_BYTES;
use secrecy::{ExposeSecret, SecretString};
use std::path::Path;

/// The text in a token file without the white space around it; `None` where there is no file or nothing in it.
/// What it says is not checked: see [`crate::token::claims::inspect`].
pub fn read(path: &Path) -> Result<Option<SecretString>> {
    let Some(bytes) = disk::read_private(path, MAX_BYTES as u64)? else {
        return Ok(None);
    };
    match std::str::from_utf8(&bytes).map(str::trim) {
        Ok("") => Ok(None),
        Ok(text) => Ok(Some(text.into())),
        Err(_) => Err(Error::new(
            ExitCode::Token,
            format!(
                "could not read the token file, it is not UTF-8 text: {}",
                path.display()
            ),
        )
        .next("log in again: sigilum-authz-notify auth login")),
    }
}

/// Replaces the token file.
pub fn write(lock: &OwnLock, path: &Path, token: &SecretString) -> Result<()> {
    lock.write_private(path, format!("{}\n", token.expose_secret()).as_bytes())?;
    Ok(())
}
