//! The second factor of one state folder: `.sigilum/totp.json`, 0600: the secret that its owner's app shares, and what
//! is kept of codes.

use super::codes::{Ledger, Verdict};
use crate::error::{Error, ExitCode, OrFail, Result};
use crate::fs;
use crate::home::OpenClawHome;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::path::Path;
use totp_rs::{Builder, Secret, Totp};

/// A secret and a few numbers.
const MAX_BYTES: u64 = 16 * 1024;
/// Bytes of a secret: what RFC 4226 recommends.
const SECRET_BYTES: usize = 20;
/// Under which name the app shows it.
const ISSUER: &str = "Sigilum broker";

/// A secret, and what is kept of its codes.
pub struct SecondFactor {
    totp: Totp,
    /// What is kept of codes.
    pub ledger: Ledger,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    /// Base32.
    secret: String,
    #[serde(flatten)]
    ledger: Ledger,
}

impl SecondFactor {
    /// With a new secret, which is nowhere but here yet.
    pub fn new() -> Result<Self> {
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes).or_fail(ExitCode::Failure, || {
            "could not get random bytes from the system".to_owned()
        })?;
        Ok(Self {
            totp: with_secret(Secret::new_stack(bytes), ""),
            ledger: Ledger::default(),
        })
    }

    /// What is stored; `None` where nothing is.
    ///
    /// # Errors
    /// It cannot be read: nothing is decided by a code then.
    pub fn read(place: &OpenClawHome) -> Result<Option<Self>> {
        let path = place.second_factor_file();
        let Some(bytes) = fs::read_private(&path, MAX_BYTES)? else {
            return Ok(None);
        };
        let stored = serde_json::from_slice::<Stored>(&bytes).ok();
        let secret = stored
            .as_ref()
            .and_then(|stored| Secret::try_from_base32(&stored.secret).ok());
        match (stored, secret) {
            (Some(stored), Some(secret)) if secret.as_bytes().len() >= SECRET_BYTES => Ok(Some(Self {
                totp: with_secret(secret, ""),
                ledger: stored.ledger,
            })),
            _ => Err(unreadable(&path)),
        }
    }

    /// Stores it. On the disk once this returns.
    pub fn write(&self, place: &OpenClawHome) -> Result<()> {
        let path = place.second_factor_file();
        let stored = Stored {
            secret: self.base32(),
            ledger: self.ledger.clone(),
        };
        let mut bytes = serde_json::to_vec_pretty(&stored).or_fail(ExitCode::Failure, || {
            format!("could not write the second factor: {}", path.display())
        })?;
        bytes.push(b'\n');
        fs::write_private(&path, &bytes)
    }

    /// The secret, as the app and the file have it.
    pub fn base32(&self) -> String {
        self.totp.secret().to_base32()
    }

    /// What an app is told, once: a URI of the form `otpauth://totp/…`, which holds the secret.
    ///
    /// # Errors
    /// The account's name has a colon in it.
    pub fn uri(&self, account: &str) -> Result<SecretString> {
        let named = with_secret(self.totp.secret().clone(), account);
        let uri = named.to_url();
        uri.map(SecretString::from)
            .or_fail(ExitCode::Usage, || "could not make the URI for the app".to_owned())
    }

    /// Looks at a code, without keeping anything.
    pub fn take(&mut self, code: &SecretString, now: i64) -> Verdict {
        self.ledger.take(&self.totp, code.expose_secret(), now)
    }
}

/// Looks at a code of a state folder's owner. What it says is on the disk once this returns. Call it under the lock of
/// decisions.
///
/// # Errors
/// There is no second factor, or it cannot be read, or not be written: the code counts for nothing.
pub fn take(place: &OpenClawHome, code: &SecretString, now: i64) -> Result<Verdict> {
    let Some(mut factor) = SecondFactor::read(place)? else {
        let what = "could not decide by a code: no second factor is set up";
        return Err(Error::new(ExitCode::Failure, what).next(enroll(place)));
    };
    let verdict = factor.take(code, now);
    if !matches!(verdict, Verdict::Locked(_)) {
        factor.write(place)?;
    }
    Ok(verdict)
}

/// The command that sets a second factor up.
pub fn enroll(place: &OpenClawHome) -> String {
    format!(
        "sigilum-authz-notify broker totp enroll --state {}",
        fs::quoted(&place.home)
    )
}

fn with_secret(secret: Secret, account: &str) -> Totp {
    let builder = Builder::new().with_secret(secret).with_issuer(Some(ISSUER));
    builder.with_account_name(account).build_noncompliant()
}

fn unreadable(path: &Path) -> Error {
    let what = format!("could not read the second factor: {}", path.display());
    let home = path.parent().and_then(Path::parent).unwrap_or(path);
    Error::new(ExitCode::Failure, what).next(fs::remake(path, &enroll(&OpenClawHome::at(home.to_owned()))))
}
