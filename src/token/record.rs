//! What a login leaves behind for `hook run` and `watch`: `<home>/.sigilum/owner-<namespace>.json`, 0600.

use crate::error::{Error, ExitCode, OrFail, Result};
use crate::fs::{self, OwnLock};
use crate::mode::Mode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A record is a handful of short strings; anything larger is not one.
const MAX_BYTES: u64 = 64 * 1024;

/// The owner that was logged in, and where its token came from. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// managed or oss-local.
    pub mode: Mode,
    /// The API's base URL, without a trailing slash; the token is sent to no other origin.
    pub api_url: String,
    /// The owner's e-mail.
    pub email: String,
    /// oss-local: the Sigilum source checkout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_home: Option<PathBuf>,
    /// oss-local: the API's database, where it is not the checkout's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_db: Option<PathBuf>,
    /// The token's file.
    pub token_file: PathBuf,
}

/// The record in a file; `None` where there is none.
pub fn read(path: &Path) -> Result<Option<Record>> {
    let Some(bytes) = fs::read_private(path, MAX_BYTES)? else {
        return Ok(None);
    };
    // serde_json's message may quote the file; its line and column are enough.
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        Error::new(
            ExitCode::Failure,
            format!(
                "could not read the record, line {} column {}: {}",
                error.line(),
                error.column(),
                path.display()
            ),
        )
        .next(format!(
            "rm {}, then: sigilum-authz-notify auth login",
            fs::quoted(path)
        ))
    })
}

/// Replaces the record.
pub fn write(lock: &OwnLock, path: &Path, record: &Record) -> Result<()> {
    let what = || format!("could not write the record: {}", path.display());
    let mut bytes = serde_json::to_vec_pretty(record).or_fail(ExitCode::Failure, what)?;
    bytes.push(b'\n');
    lock.write_private(path, &bytes)?;
    Ok(())
}

/// The namespaces that have a record or a default token file in our folder, sorted.
pub fn namespaces(sigilum_dir: &Path) -> Result<BTreeSet<String>> {
    let what = || format!("could not list the folder: {}", sigilum_dir.display());
    let entries = match std::fs::read_dir(sigilum_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(error).or_fail(ExitCode::Failure, what),
    };
    let mut found = BTreeSet::new();
    for entry in entries {
        let name = entry.or_fail(ExitCode::Failure, what)?.file_name();
        let Some(name) = name.to_str() else { continue };
        let token = name
            .strip_prefix("owner-token-")
            .and_then(|rest| rest.strip_suffix(".jwt"));
        let record = name.strip_prefix("owner-").and_then(|rest| rest.strip_suffix(".json"));
        found.extend(token.or(record).map(str::to_owned));
    }
    Ok(found)
}

/// The only namespace that has a record or a token file, if there is exactly one.
pub fn only_namespace(sigilum_dir: &Path) -> Result<Option<String>> {
    let mut found = namespaces(sigilum_dir)?;
    Ok(if found.len() == 1 { found.pop_first() } else { None })
}
