//! What a person chose for the hook of an OpenClaw home: `<home>/.sigilum/hook.json`, 0600. Written by `auth login`, `auth
//! switch` and `hook install`. Agents can edit openclaw.json, and through it the OpenClaw gateway's environment; this
//! file is what counts instead.

use crate::error::{Error, ExitCode, OrFail, Result};
use crate::fs::{self, OwnLock};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// A few short strings and lists; anything larger is no such record.
const MAX_BYTES: u64 = 256 * 1024;

/// How much a notice says outside a direct chat with its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Groups {
    /// One line with the number of requests.
    Brief,
    /// The whole notice.
    Full,
    /// Nothing.
    Off,
}

impl Groups {
    /// The name as flags and the record spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Brief => "brief",
            Self::Full => "full",
            Self::Off => "off",
        }
    }
}

/// The record. A field that is absent was not chosen, and its default counts. Fields of other versions are kept.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookRecord {
    /// The namespace that the hook speaks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Whether the owner token stands in openclaw.json. Absent (a home of 0.1.0): nobody chose, so the stored token is
    /// kept up to date where it stands, and goes nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_in_config: Option<bool>,
    /// Who may read the whole notice in a direct chat: sender ids, `irc:alice!~alice@host` or without the channel.
    /// Absent: whoever is in a direct chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub senders: Option<Vec<String>>,
    /// How much is said elsewhere; absent: [`Groups::Brief`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Groups>,
    /// Where requests are answered: a URL for the notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dashboard: Option<String>,
    /// The budget of a whole answer, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The program that hook and plugin start, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary: Option<PathBuf>,
    /// The OpenClaw config, absolute, where it is not `<home>/openclaw.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<PathBuf>,
    /// All of the environment that counts for what the OpenClaw gateway starts: proxies, CA, and what `hook install
    /// --from-env` recorded.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

impl fmt::Debug for HookRecord {
    /// Not the environment's values: a proxy's may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookRecord")
            .field("namespace", &self.namespace)
            .field("token_in_config", &self.token_in_config)
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The record in a file; `None` where there is none.
pub fn read(path: &Path) -> Result<Option<HookRecord>> {
    let Some(bytes) = fs::read_private(path, MAX_BYTES)? else {
        return Ok(None);
    };
    // serde_json's message may quote the file; its line and column are enough.
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        Error::new(
            ExitCode::Failure,
            format!(
                "could not read the hook's record, line {} column {}: {}",
                error.line(),
                error.column(),
                path.display()
            ),
        )
        .next(format!("rm {} && sigilum-authz-notify hook install", fs::quoted(path)))
    })
}

/// Replaces the record.
pub fn write(lock: &OwnLock, path: &Path, record: &HookRecord) -> Result<()> {
    let what = || format!("could not write the hook's record: {}", path.display());
    let mut bytes = serde_json::to_vec_pretty(record).or_fail(ExitCode::Failure, what)?;
    bytes.push(b'\n');
    lock.write_private(path, &bytes)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;
    use crate::home;

    #[test]
    fn what_another_version_wrote_survives_a_rewrite() {
        let dir = tempfile::tempdir().unwrap();
        let env = Env::from_pairs([("HOME", dir.path().to_str().unwrap())]);
        let place = home::find(None, None, &env).unwrap();
        let path = place.hook_record_file();
        assert!(read(&path).unwrap().is_none());

        let lock = fs::lock_sigilum(&place).unwrap();
        let text = r#"{"namespace": "alice", "groups": "off", "broker": {"port": 7}}"#;
        lock.write_private(&path, text.as_bytes()).unwrap();
        let mut record = read(&path).unwrap().unwrap();
        assert_eq!(record.groups, Some(Groups::Off));
        record.namespace = Some("bob".to_owned());
        record
            .env
            .insert("HTTPS_PROXY".to_owned(), "http://u:pass@proxy".to_owned());
        write(&lock, &path, &record).unwrap();
        let written: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let wanted = serde_json::json!({"namespace": "bob", "groups": "off", "broker": {"port": 7},
            "env": {"HTTPS_PROXY": "http://u:pass@proxy"}});
        assert_eq!(written, wanted);
        assert!(!format!("{record:?}").contains("pass"));
    }
}
