//! What names a local API: the checkout and the database file.

use super::authority::{Claimant, Setting, decide};
use super::{OwnerQuery, Sourced, from};
use crate::env::Env;
use crate::error::Result;
use crate::home::{OpenClawHome, absolute};
use crate::origin::Origin;
use crate::sigilum::checkout;
use crate::token::record::Record;
use std::path::{Path, PathBuf};

/// The checkout and the database, as far as they are named.
type LocalApi = (Option<Sourced<PathBuf>>, Option<Sourced<PathBuf>>);

/// Flags and environment, else the record. A stronger source hides a weaker one altogether: a flag that names a database
/// does not leave the record's checkout in force.
pub(super) fn local_api(
    query: &OwnerQuery,
    env: &Env,
    place: &OpenClawHome,
    record: Option<&Record>,
) -> Result<LocalApi> {
    let flag = |path: Option<&Path>, name| Ok(from(path.map(absolute).transpose()?, Origin::Flag(name)));
    let var = |name| {
        let path = env.named_path(name).map(|path| absolute(&env.expand_tilde(path)));
        Ok(from(path.transpose()?, Origin::Env(name)))
    };
    let named = |setting, given: Option<&Path>, flag_name, name| {
        decide(
            setting,
            &[
                (Claimant::Flag, &|| flag(given, flag_name)),
                (Claimant::PersonEnvironment, &|| var(name)),
            ],
        )
    };
    let source_home = named(
        Setting::Checkout,
        query.source_home,
        "--source-home",
        "SIGILUM_SOURCE_HOME",
    )?;
    let api_db = named(Setting::Database, query.api_db, "--api-db", "SIGILUM_API_DB")?;
    if source_home.is_some() || api_db.is_some() {
        return Ok((source_home, api_db));
    }
    let recorded = |setting, path: Option<PathBuf>| {
        decide(
            setting,
            &[(Claimant::Record, &|| Ok(from(path.clone(), Origin::Record)))],
        )
    };
    Ok((
        recorded(Setting::Checkout, record.and_then(|record| record.source_home.clone()))?,
        recorded(Setting::Database, record.and_then(|record| record.api_db(place)))?,
    ))
}

/// A Sigilum checkout around the working directory. It decides nothing until a person has agreed.
pub fn checkout_around() -> Option<PathBuf> {
    // A working directory that is gone, or has no usable path, is in no checkout.
    checkout::find_upward(&absolute(Path::new(".")).ok()?)
}
