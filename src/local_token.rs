//! A new owner token in oss-local mode: which database, which secret, whose token. Used by `auth login`, `auth
//! refresh` and the watcher.

use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::home::OpenClawHome;
use crate::settings::{Origin, Owner, Sourced};
use crate::sigilum::checkout::Checkout;
use crate::sigilum::local_db::LocalDb;
use crate::token::claims::{self, Claims};
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;

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
}

/// The local API in force: the named database, else the checkout's, else our own in the OpenClaw home.
///
/// # Errors
/// Where the checkout cannot be trusted or read.
pub fn local_api(owner: &Owner, place: &OpenClawHome) -> Result<LocalApi> {
    let checkout = owner
        .source_home
        .as_ref()
        .map(|home| Checkout::open(&home.value, &place.home))
        .transpose()?;
    let database = match (&owner.api_db, &checkout) {
        (Some(named), _) => named.value.clone(),
        (None, Some(checkout)) => checkout.api_db()?,
        (None, None) => place.embedded_db(),
    };
    let embedded = database == place.embedded_db();
    Ok(LocalApi {
        database,
        checkout,
        embedded,
    })
}

/// The secret that the local API signs with: `JWT_SECRET`, else the checkout's `.dev.vars`, else, for the embedded
/// database, the file `<home>/.sigilum/jwt-secret`, if it has been made. Empty counts as unset.
pub fn jwt_secret(api: &LocalApi, env: &Env, place: &OpenClawHome) -> Result<Option<Sourced<SecretString>>> {
    if let Some(secret) = env.var("JWT_SECRET") {
        return Ok(Some(Sourced {
            value: secret.into(),
            origin: Origin::Env("JWT_SECRET"),
        }));
    }
    if let Some(checkout) = &api.checkout {
        let secret = checkout.jwt_secret()?;
        return Ok(secret.map(|value| Sourced {
            value,
            origin: Origin::Checkout,
        }));
    }
    if !api.embedded {
        return Ok(None);
    }
    let bytes = fs::read_private(&place.jwt_secret_file(), 4096)?;
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let secret = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    Ok(secret.map(|value| Sourced {
        value: value.into(),
        origin: Origin::Embedded,
    }))
}

/// Whether [`issue`] will have a secret: one is there, or the embedded database's may be made.
///
/// # Errors
/// [`ExitCode::SecretOrDatabase`] where there is none.
pub fn check_secret(api: &LocalApi, env: &Env, place: &OpenClawHome) -> Result<()> {
    let makeable = api.embedded && api.checkout.is_none();
    if makeable || jwt_secret(api, env, place)?.is_some() {
        Ok(())
    } else {
        Err(no_secret(api))
    }
}

/// As [`jwt_secret`], but the embedded database's secret is made where it is missing.
fn jwt_secret_or_new(api: &LocalApi, env: &Env, place: &OpenClawHome) -> Result<SecretString> {
    if let Some(secret) = jwt_secret(api, env, place)? {
        return Ok(secret.value);
    }
    if api.embedded && api.checkout.is_none() {
        let mut random = [0u8; SECRET_BYTES];
        getrandom::fill(&mut random).map_err(|error| {
            Error::new(
                ExitCode::SecretOrDatabase,
                "could not get random bytes for the signing secret",
            )
            .because(error)
        })?;
        let secret: SecretString = hex::encode(random).into();
        fs::write_private(
            &place.jwt_secret_file(),
            format!("{}\n", secret.expose_secret()).as_bytes(),
        )?;
        return Ok(secret);
    }
    Err(no_secret(api))
}

fn no_secret(api: &LocalApi) -> Error {
    let next = match &api.checkout {
        Some(checkout) => {
            format!(
                "put JWT_SECRET=<the local API's secret> into {}, or set JWT_SECRET",
                checkout.dev_vars().display()
            )
        }
        None => "set JWT_SECRET to the secret of the API that uses this database, or give --source-home".to_owned(),
    };
    Error::new(ExitCode::SecretOrDatabase, "Unable to resolve JWT_SECRET").next(next)
}

/// A token that was issued here.
pub struct Issued {
    /// The token.
    pub token: SecretString,
    /// Whether the database was made for it.
    pub database_created: bool,
    /// How many of the checkout's migrations ran first.
    pub migrated: usize,
}

/// Brings the database up, creates or finds the owner, and signs a token that lives `ttl` seconds from `now`.
///
/// # Errors
/// [`ExitCode::SecretOrDatabase`] for a secret or database that is not to be had.
pub fn issue(api: &LocalApi, owner: &Owner, env: &Env, place: &OpenClawHome, ttl: u64, now: i64) -> Result<Issued> {
    let secret = jwt_secret_or_new(api, env, place)?;
    let mut opened = LocalDb::open_or_create(&api.database, api.checkout.as_ref())?;
    let row = opened.db.ensure_owner(&owner.namespace.value, &owner.email.value)?;
    opened.db.close()?;
    let claims = Claims::new(&row.id, &row.email, &row.namespace, now, ttl);
    let token = claims::mint(&claims, &secret)
        .map_err(|error| Error::new(ExitCode::SecretOrDatabase, "could not sign the owner token").because(error))?;
    Ok(Issued {
        token,
        database_created: opened.created,
        migrated: opened.migrated,
    })
}
