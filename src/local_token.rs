//! A new owner token in oss-local mode: which database, which secret, whose token. Used by `auth login`, `auth
//! refresh` and the watcher.

use crate::env::Env;
use crate::error::{Error, ExitCode, OrFail, Result};
use crate::fs;
use crate::home::OpenClawHome;
use crate::origin::Origin;
use crate::request::{Pending, Which};
use crate::settings::Owner;
use crate::sigilum::checkout::Checkout;
use crate::sigilum::local_db::{DbError, LocalDb};
use crate::text::pasted;
use crate::token::claims::{self, Claims};
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;

/// What the local API and we sign with, where a person has it in the environment.
const VARIABLE: &str = "JWT_SECRET";

/// Random bytes in the embedded database's signing secret; HS256 wants at least 32 (RFC 7518 §3.2).
const SECRET_BYTES: usize = 48;

/// The local API whose owner logs in.
pub struct LocalApi {
    /// The SQLite file.
    pub database: PathBuf,
    /// The source checkout, where one is in force.
    pub checkout: Option<Checkout>,
    /// Whether the database is our own, which no Sigilum API uses yet.
    pub embedded: bool,
    /// Where the embedded database's secret is kept.
    pub secret_file: PathBuf,
}

/// A secret that owner tokens are signed with.
pub struct SigningSecret {
    /// The secret.
    pub value: SecretString,
    /// Where it is from.
    pub origin: Origin,
    /// Made just now, for the embedded database: [`LocalApi::keep`] stores it.
    pub is_new: bool,
}

impl LocalApi {
    /// The local API in force: the named database, else the checkout's, else our own in the OpenClaw home.
    ///
    /// # Errors
    /// Where the checkout cannot be trusted or read.
    pub fn find(owner: &Owner, place: &OpenClawHome) -> Result<Self> {
        let checkout = owner.checkout(place)?;
        let database = match (&owner.api_db, &checkout) {
            (Some(named), _) => named.value.clone(),
            (None, Some(checkout)) => checkout.api_db()?,
            (None, None) => place.embedded_db(),
        };
        Ok(Self {
            embedded: database == place.embedded_db(),
            database,
            checkout,
            secret_file: place.jwt_secret_file(),
        })
    }

    /// Its requests, by the database, which is opened already. Nothing in our own one says nothing, so `None`: an API may
    /// have another.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn requests(&self, db: &LocalDb, namespace: &str, which: &Which) -> Result<Option<Pending>> {
        let requests = db.requests(namespace, which)?;
        Ok(Some(requests).filter(|requests| !self.embedded || requests.count().0 > 0))
    }

    /// The secret that the API signs with: `JWT_SECRET`, else the checkout's `.dev.vars`, else, for the embedded
    /// database, the file `<home>/.sigilum/jwt-secret`, if it has been made. Empty counts as unset.
    ///
    /// # Errors
    /// [`ExitCode::SecretOrDatabase`] for one that only stands for a secret: anybody could sign with it.
    pub fn secret(&self, env: &Env) -> Result<Option<SigningSecret>> {
        let (value, origin) = if let Some(secret) = env.var(VARIABLE) {
            let secret = self.no_stand_in(secret.into(), VARIABLE)?;
            (Some(secret), Origin::Env(VARIABLE))
        } else if let Some(checkout) = &self.checkout {
            let place = format!("{VARIABLE} in {}", checkout.dev_vars().display());
            let secret = checkout.jwt_secret()?.map(|secret| self.no_stand_in(secret, &place));
            (secret.transpose()?, Origin::Checkout)
        } else if self.embedded {
            (self.embedded_secret()?, Origin::Embedded)
        } else {
            return Ok(None);
        };
        Ok(value.map(|value| SigningSecret {
            value,
            origin,
            is_new: false,
        }))
    }

    /// The same, whatever the environment says: the one that the checkout or the home keeps.
    ///
    /// # Errors
    /// As of [`Self::secret`].
    pub fn kept_secret(&self) -> Result<Option<SigningSecret>> {
        self.secret(&Env::default())
    }

    /// As [`Self::secret`], but for the embedded database one is made where it is missing; nothing is stored yet.
    ///
    /// # Errors
    /// [`ExitCode::SecretOrDatabase`] where there is none.
    pub fn secret_or_new(&self, env: &Env) -> Result<SigningSecret> {
        match self.secret(env)? {
            Some(secret) => Ok(secret),
            None if self.embedded && self.checkout.is_none() => Ok(SigningSecret {
                value: new_secret()?,
                origin: Origin::Embedded,
                is_new: true,
            }),
            None => Err(self.no_secret()),
        }
    }

    /// Stores a secret that was made just now, unless another process has stored one since; the one that counts. Call
    /// it under our own lock.
    pub fn keep(&self, secret: &SigningSecret) -> Result<SecretString> {
        if !secret.is_new {
            return Ok(secret.value.clone());
        }
        if let Some(stored) = self.embedded_secret()? {
            return Ok(stored);
        }
        let line = format!("{}\n", secret.value.expose_secret());
        fs::write_private(&self.secret_file, line.as_bytes())?;
        Ok(secret.value.clone())
    }

    /// Whether a watcher without `JWT_SECRET` in its environment finds this secret: in the checkout, or in our own file.
    pub fn keeps(&self, secret: &SigningSecret) -> bool {
        let kept = self.kept_secret().ok().flatten();
        secret.is_new || kept.is_some_and(|kept| kept.value.expose_secret() == secret.value.expose_secret())
    }

    fn no_stand_in(&self, secret: SecretString, named: &str) -> Result<SecretString> {
        let why = match secret.expose_secret().trim() {
            "" => "it is blank",
            text if pasted::is_placeholder(text) => "it only stands for a secret, as a shell or a script leaves it",
            _ => return Ok(secret),
        };
        let refused = Error::new(
            ExitCode::SecretOrDatabase,
            format!("could not sign with {named}: {why}"),
        );
        if named == VARIABLE && self.secret_or_new(&Env::default()).is_ok() {
            return Err(refused.next("unset JWT_SECRET; or set it to the secret of the local API"));
        }
        Err(refused.next(self.how_to_tell_the_secret()))
    }

    fn embedded_secret(&self) -> Result<Option<SecretString>> {
        let bytes = fs::read_private(&self.secret_file, 4096)?;
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let secret = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        Ok(secret.map(SecretString::from))
    }

    fn no_secret(&self) -> Error {
        Error::new(ExitCode::SecretOrDatabase, "Unable to resolve JWT_SECRET").next(self.how_to_tell_the_secret())
    }

    /// What a person does where the secret is not known.
    pub fn how_to_tell_the_secret(&self) -> String {
        match &self.checkout {
            Some(checkout) => {
                let file = checkout.dev_vars();
                format!(
                    "put JWT_SECRET=<secret>, the local API's, into {}, or: export JWT_SECRET=<secret>",
                    file.display()
                )
            }
            None => "the secret of the API that uses this database: export JWT_SECRET=<secret>; or give --source-home"
                .to_owned(),
        }
    }

    /// Whether [`Self::issue`] would write to the database.
    pub fn changes_database(&self, owner: &Owner) -> bool {
        let is_ready = || {
            let db = LocalDb::open_read_only(&self.database)?;
            let has_owner = db.owner(&owner.namespace.value)?.is_some();
            Ok::<_, DbError>(has_owner && !db.lacks_migrations(self.checkout.as_ref())?)
        };
        // What cannot be read for sure may be written.
        !is_ready().unwrap_or(false)
    }

    /// The e-mail of an owner whom the database has already, as far as it can be read.
    pub fn known_email(&self, namespace: &str) -> Option<String> {
        let owner = LocalDb::open_read_only(&self.database).ok()?.owner(namespace).ok()??;
        Some(owner.email)
    }

    /// Brings the database up, creates or finds the owner, and signs a token that lives `ttl` seconds from `now`.
    ///
    /// # Errors
    /// [`ExitCode::SecretOrDatabase`] for a database that is not to be had.
    pub fn issue(&self, owner: &Owner, secret: &SecretString, ttl: u64, now: i64) -> Result<SecretString> {
        let opened = LocalDb::open_or_create(&self.database, self.checkout.as_ref());
        let mut opened = opened.map_err(|error| owner.blame_database(error))?;
        let row = opened.db.ensure_owner(&owner.namespace.value, &owner.email.value)?;
        opened.db.close()?;
        let claims = Claims::new(&row.id, &row.email, &row.namespace, now, ttl);
        claims::mint(&claims, secret).or_fail(ExitCode::SecretOrDatabase, || {
            "could not sign the owner token".to_owned()
        })
    }
}

fn new_secret() -> Result<SecretString> {
    let mut random = [0u8; SECRET_BYTES];
    getrandom::fill(&mut random).or_fail(ExitCode::SecretOrDatabase, || {
        "could not get random bytes for the signing secret".to_owned()
    })?;
    Ok(hex::encode(random).into())
}
