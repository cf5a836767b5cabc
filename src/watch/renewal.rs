//! By what the token of a home can be renewed, as things are.

use crate::env::Env;
use crate::error::Result;
use crate::home::OpenClawHome;
use crate::local_token::LocalApi;
use crate::origin::Origin;
use crate::process::child::is_program;
use crate::settings::{Owner, Sourced};
use crate::token::claims;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where a local API may be named besides the record.
const LOCAL_API: [&str; 3] = ["JWT_SECRET", "SIGILUM_SOURCE_HOME", "SIGILUM_API_DB"];

/// What a new token comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Renewal {
    /// The secret that signed the stored one, where the record of the login says.
    Secret,
    /// The same, by the environment of the watcher.
    Environment,
    /// The watcher's token command: its program.
    Command(PathBuf),
}

impl Renewal {
    /// Whether what a watcher found is still there.
    pub fn stands(&self, owner: &Owner, place: &OpenClawHome, stored: &SecretString) -> bool {
        match self {
            Self::Secret => Self::signing(owner, place, &Env::default(), stored) == Some(Self::Secret),
            Self::Environment => true,
            Self::Command(program) => is_program(program),
        }
    }

    /// Where the secret of a local API is that signed a token; `None` where it is not to be had.
    pub fn signing(owner: &Owner, place: &OpenClawHome, env: &Env, stored: &SecretString) -> Option<Self> {
        let says = claims::inspect(stored).ok()?;
        (says.sub.is_some() && says.email.is_some()).then_some(())?;
        let signed = |secret: Result<Option<SecretString>>| {
            let secret = secret.ok().flatten();
            secret.is_some_and(|secret| claims::is_signed_by(stored, &secret))
        };
        let [by_environment, by_record] = secrets(owner, place, env);
        let kept = signed(by_record).then_some(Self::Secret);
        kept.or_else(|| signed(by_environment).then_some(Self::Environment))
    }
}

/// Whether one of the secrets that are known here signed a token.
pub(super) fn is_signed_here(owner: &Owner, place: &OpenClawHome, env: &Env, stored: &SecretString) -> bool {
    let mut secrets = secrets(owner, place, env).into_iter().flatten().flatten();
    secrets.any(|secret| claims::is_signed_by(stored, &secret))
}

/// The secrets that the home's local API may sign with: that of the environment, and that of the record.
pub(super) fn secrets(owner: &Owner, place: &OpenClawHome, env: &Env) -> [Result<Option<SecretString>>; 2] {
    let of_record = by_record(owner, place);
    [(owner, env), (&of_record, &env.without(&LOCAL_API))].map(|(owner, env)| {
        let secret = LocalApi::find(owner, place).and_then(|api| api.secret(env));
        secret.map(|secret| secret.map(|secret| secret.value))
    })
}

/// The same owner, with the local API that the record names, whatever the environment does.
pub(super) fn by_record(owner: &Owner, place: &OpenClawHome) -> Owner {
    Owner {
        source_home: recorded(owner.record.as_ref().and_then(|record| record.source_home.clone())),
        api_db: recorded(owner.record.as_ref().and_then(|record| record.api_db(place))),
        ..owner.clone()
    }
}

fn recorded(path: Option<PathBuf>) -> Option<Sourced<PathBuf>> {
    Some(Sourced {
        value: path?,
        origin: Origin::Record,
    })
}
