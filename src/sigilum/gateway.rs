//! The Sigilum gateway's connections: through its admin API, or through its CLI where the gateway is stopped.
//!
//! A connection's id is the service's slug. What a command wants becomes steps in [`plan`](plan()), a pure function;
//! [`Gateway`] does single steps.

mod admin;
mod cli;
mod connection;
mod plan;

pub use admin::Admin;
pub use cli::Cli;
pub use connection::{Connection, NewConnection, Patch};
pub use plan::{Plan, PlanError, Wanted, overlay, plan, same_url, still_lacks};

use super::http;
use crate::error::{Error, ExitCode, Result};
use crate::origin::Origin;
use crate::text;
use secrecy::{ExposeSecret, SecretString};
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// The admin API's address where none is given.
pub const DEFAULT_ADMIN_URL: &str = "http://127.0.0.1:38100";

/// A list is for people who look: they are not kept waiting for as long as a change may take.
const LIST_BUDGET: Duration = Duration::from_secs(5);
/// Whether it answers at all.
const GLANCE_BUDGET: Duration = Duration::from_secs(1);

/// How to reach a gateway: all that flags and environment say.
#[derive(Debug, Clone)]
pub struct Target {
    /// The admin API's base URL.
    pub admin_url: String,
    /// Who named it.
    pub admin_url_origin: Origin,
    /// Its token, where one is given.
    pub admin_token: Option<SecretString>,
    /// The gateway's data folder, for when it is stopped.
    pub data_dir: Option<PathBuf>,
    /// The store's master key, for when it is stopped.
    pub master_key: Option<SecretString>,
    /// `sigilum-gateway-cli`, where there is one.
    pub cli: Option<PathBuf>,
    /// Whose server on this machine the admin API may be.
    pub trust: http::LoopbackTrust,
    /// What a person does who means another user's server there all the same.
    pub how_to_trust: String,
    /// `PATH` for that program.
    pub path: Option<OsString>,
}

/// A gateway that answers, or its store.
#[derive(Debug)]
pub enum Gateway {
    /// It runs: its admin API.
    Admin(Box<Admin>),
    /// It is stopped: its CLI.
    Cli(Cli),
}

/// What came of a rotation.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "one value a process")]
pub enum Rotated {
    /// The secret is a new one now.
    Changed(Connection),
    /// The gateway had this very value.
    Unchanged,
}

/// What became of a service key that the gateway is to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyDelivery {
    /// The gateway wrote it to its own home.
    Written,
    /// The gateway was started without a home, so it has no place for keys.
    NoHome,
    /// The gateway is stopped, and its CLI takes no keys.
    Stopped,
}

impl Gateway {
    /// Finds the way to the gateway: asks its admin API for one connection, which must answer; else its CLI. The inner
    /// error: no gateway was reached.
    #[allow(
        clippy::type_complexity,
        reason = "a gateway and what it has, or why there is neither"
    )]
    pub fn reach(
        target: &Target,
        http: http::Options,
        id: &str,
    ) -> Result<std::result::Result<(Self, Option<Connection>), Error>> {
        let admin = Admin::new(target, http)?;
        let gone = match admin.try_get(id)? {
            Ok(connection) => return Ok(Ok((Self::Admin(Box::new(admin)), connection))),
            // That a stranger has its port does not mean that the gateway is stopped.
            Err(why @ http::HttpError::Listener(_)) => return Ok(Err(admin.gone("read the connection", &why))),
            Err(gone) => gone,
        };
        match cli::open(target) {
            Ok(cli) => {
                let connection = cli.get(id)?;
                Ok(Ok((Self::Cli(cli), connection)))
            }
            Err(why) => Ok(Err(unreachable(target, &gone, &why))),
        }
    }

    /// The ids of all connections, through the admin API, which gets 5 s for that, or the CLI. The inner error: no
    /// gateway was reached, which is usual for one that is stopped.
    pub fn ids(target: &Target, http: http::Options) -> Result<std::result::Result<HashSet<String>, Error>> {
        let gone = match Admin::new(target, http)?.within(LIST_BUDGET).try_ids()? {
            Ok(ids) => return Ok(Ok(ids)),
            Err(gone) => gone,
        };
        match cli::open(target) {
            Ok(cli) => cli.ids().map(Ok),
            Err(why) => Ok(Err(unreachable(target, &gone, &why))),
        }
    }

    /// How many connections the gateway's admin API has, within a second; its CLI is not asked.
    pub fn count_of_admin(target: &Target, http: http::Options) -> Result<usize> {
        let admin = Admin::new(target, http)?.within(GLANCE_BUDGET);
        let ids = admin.try_ids()?;
        ids.map(|ids| ids.len())
            .map_err(|gone| admin.gone("list the connections", &gone))
    }

    /// Where it is, for messages.
    pub fn place(&self) -> String {
        match self {
            Self::Admin(admin) => admin.place(),
            Self::Cli(cli) => cli.place(),
        }
    }

    /// Whether a secret that is handed over shows on a command line for a moment.
    pub fn shows_secrets(&self) -> bool {
        matches!(self, Self::Cli(_))
    }

    /// One connection; `None` where there is none of this id.
    pub fn get(&self, id: &str) -> Result<Option<Connection>> {
        match self {
            Self::Admin(admin) => admin
                .try_get(id)?
                .map_err(|gone| admin.gone("read the connection", &gone)),
            Self::Cli(cli) => cli.get(id),
        }
    }

    /// Refuses a connection that cannot be made there, before anything gives way to it.
    ///
    /// # Errors
    /// It is stopped, and its CLI makes no such one.
    pub fn refuse_what_it_cannot_make(&self, new: &NewConnection) -> Result<()> {
        match self {
            Self::Cli(cli) => cli.refuse_mcp(new),
            Self::Admin(_) => Ok(()),
        }
    }

    /// Makes a connection with one secret, named by its key.
    pub fn create(&self, new: &NewConnection, secret: Option<(&str, &SecretString)>) -> Result<Connection> {
        match self {
            Self::Admin(admin) => admin.create(new, secret),
            Self::Cli(cli) => cli.create(new, secret),
        }
    }

    /// Changes a connection's metadata.
    pub fn patch(&self, id: &str, patch: &Patch) -> Result<Connection> {
        match self {
            Self::Admin(admin) => admin.patch(id, patch),
            Self::Cli(cli) => cli.patch(id, patch),
        }
    }

    /// Gives a connection a new secret under a key; other keys keep theirs.
    pub fn rotate(&self, id: &str, key: &str, secret: &SecretString) -> Result<Rotated> {
        match self {
            Self::Admin(admin) => admin.rotate(id, key, secret),
            Self::Cli(cli) => cli.rotate(id, key, secret),
        }
    }

    /// Deletes a connection; says whether there was one.
    pub fn delete(&self, id: &str) -> Result<bool> {
        match self {
            Self::Admin(admin) => admin.delete(id),
            Self::Cli(cli) => cli.delete(id),
        }
    }

    /// Hands the gateway the service's API key, which it keeps in its own home.
    pub fn put_service_key(&self, slug: &str, key: &SecretString) -> Result<KeyDelivery> {
        match self {
            Self::Admin(admin) => admin.put_service_key(slug, key),
            Self::Cli(_) => Ok(KeyDelivery::Stopped),
        }
    }
}

fn unreachable(target: &Target, gone: &http::HttpError, why: &str) -> Error {
    Error::new(
        ExitCode::Unreachable,
        format!(
            "Gateway admin not reachable\n  tried: {}: {gone}\n  tried: {why}",
            target.admin_url
        ),
    )
    .next(
        "start the Sigilum gateway (sigilum-gateway, with GATEWAY_DATA_DIR and GATEWAY_MASTER_KEY set), \
         or name its address with --gateway-admin-url",
    )
}

/// The error for a connection that no gateway's can be.
fn invalid_response(what: &str, place: &str, id: &str, why: &str) -> Error {
    Error::new(
        ExitCode::Unreachable,
        format!("could not {what}: {place} gave no connection {id} that can be used: {why}"),
    )
    .next("see that it is the right gateway, and what its /api/admin/connections has")
}

/// Another program's words in a message of ours: one line, at most 200 characters, in quotes, and not at all where
/// they repeat a secret, in capitals or small letters.
fn quote<'a>(words: &str, secrets: impl IntoIterator<Item = &'a SecretString>) -> String {
    let small = words.to_lowercase();
    let repeats = secrets
        .into_iter()
        .map(|secret| secret.expose_secret().to_lowercase())
        .any(|secret| !secret.is_empty() && small.contains(&secret));
    if repeats {
        return "message hidden: it contains a secret".to_owned();
    }
    let plain: String = text::plain(words.trim()).chars().take(200).collect();
    format!("\"{plain}\"")
}
