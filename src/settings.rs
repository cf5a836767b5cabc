//! What is in force: flags, environment, openclaw.json and files, and who wins among them. The one place that reads
//! the environment.

use crate::cli::{Mode, PlaceArgs};
use crate::exit::{Error, ExitCode, Result};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// A snapshot of the process environment. An empty value counts as unset, everywhere.
#[derive(Clone, Default)]
pub struct Env {
    vars: BTreeMap<String, OsString>,
}

impl Env {
    /// The process's own environment. Names that are not UTF-8 are left out.
    pub fn from_process() -> Self {
        Self::from_pairs(std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))))
    }

    /// An environment made of pairs.
    pub fn from_pairs<K: Into<String>, V: Into<OsString>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let vars = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Self { vars }
    }

    /// A variable's text; `None` where it is unset, empty or not UTF-8.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.vars.get(name)?.to_str().filter(|value| !value.is_empty())
    }

    /// A variable as a path; `None` where it is unset or empty.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        let value = self.vars.get(name)?;
        (!value.is_empty()).then(|| PathBuf::from(value))
    }

    /// Whether a switch such as `OPENCLAW_NIX_MODE` is on: `1`, `true`, `yes` or `on`.
    pub fn is_on(&self, name: &str) -> bool {
        matches!(
            self.var(name).map(str::to_ascii_lowercase).as_deref(),
            Some("1" | "true" | "yes" | "on")
        )
    }
}

impl fmt::Debug for Env {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.vars.keys()).finish()
    }
}

/// Where a setting came from, for messages: "namespace alice (from SIGILUM_NAMESPACE)".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A command-line flag.
    Flag(&'static str),
    /// The claims of an explicitly given token.
    Token,
    /// An environment variable.
    Env(&'static str),
    /// The hook's entry in openclaw.json.
    Entry,
    /// The record `<home>/.sigilum/owner-<ns>.json`.
    Record,
    /// The only record or token file there is.
    OnlyOne,
    /// Found by looking upward from the working directory.
    Found,
    /// The specification's default.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Env(name) => f.write_str(name),
            Self::Token => f.write_str("the token's claims"),
            Self::Entry => f.write_str("the hook's entry in openclaw.json"),
            Self::Record => f.write_str("the record of the last login"),
            Self::OnlyOne => f.write_str("the only record or token file there is"),
            Self::Found => f.write_str("found upward of the working directory"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value in force.
    pub value: T,
    /// Who set it.
    pub origin: Origin,
}

/// Where things are: the OpenClaw home (its state folder), its config and our own folder in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The OpenClaw state folder, absolute.
    pub home: PathBuf,
    /// The OpenClaw config file, absolute.
    pub config: PathBuf,
    /// Why the config must never be written (`OPENCLAW_NIX_MODE=1`), where that is so.
    pub read_only: Option<&'static str>,
    /// What the person should be told about how the place was found.
    pub warnings: Vec<String>,
}

impl Place {
    /// `<home>/.sigilum`: everything that is ours.
    pub fn sigilum_dir(&self) -> PathBuf {
        self.home.join(".sigilum")
    }

    /// `<home>/.sigilum/owner-<namespace>.json`: the record of the last login.
    pub fn record_file(&self, namespace: &str) -> PathBuf {
        self.sigilum_dir().join(format!("owner-{namespace}.json"))
    }

    /// `<home>/.sigilum/owner-token-<namespace>.jwt`: the default token file.
    pub fn token_file(&self, namespace: &str) -> PathBuf {
        self.sigilum_dir().join(format!("owner-token-{namespace}.jwt"))
    }

    /// `<home>/.sigilum/undo.json`: what our edits of openclaw.json put in and took out.
    pub fn undo_file(&self) -> PathBuf {
        self.sigilum_dir().join("undo.json")
    }

    /// `<home>/.sigilum/local-api.sqlite`: our embedded database.
    pub fn embedded_db(&self) -> PathBuf {
        self.sigilum_dir().join("local-api.sqlite")
    }

    /// `<home>/.sigilum/jwt-secret`: the embedded database's signing secret.
    pub fn jwt_secret_file(&self) -> PathBuf {
        self.sigilum_dir().join("jwt-secret")
    }

    /// `<home>/.sigilum/watch-status.json`: what the watcher says of itself.
    pub fn watch_status_file(&self) -> PathBuf {
        self.sigilum_dir().join("watch-status.json")
    }

    /// `<home>/hooks/sigilum-authz-notify`: where OpenClaw finds the hook.
    pub fn hook_dir(&self) -> PathBuf {
        self.home.join("hooks").join("sigilum-authz-notify")
    }
}

/// The OpenClaw home and config in force. Precedence: the README's settings table.
pub fn place(_args: &PlaceArgs, _env: &Env) -> Result<Place> {
    Err(Error::new(ExitCode::Failure, "not there yet"))
}

/// Everything a command needs to know about one namespace owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The namespace.
    pub namespace: Setting<String>,
    /// managed or oss-local.
    pub mode: Setting<Mode>,
    /// The API's base URL, without a trailing slash.
    pub api_url: Setting<String>,
    /// The owner's e-mail.
    pub email: Setting<String>,
    /// The token's file.
    pub token_file: PathBuf,
    /// oss-local: the Sigilum source checkout, where one is in force.
    pub source_home: Option<Setting<PathBuf>>,
    /// oss-local: the API's database, where one is named outright (flag, `SIGILUM_API_DB` or record).
    pub api_db: Option<Setting<PathBuf>>,
}

/// Makes a path absolute, without looking at the file system beyond the working directory.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| {
        Error::new(
            ExitCode::Usage,
            format!("could not make the path absolute: {}", path.display()),
        )
        .because(error)
    })
}
