//! The process environment, read at one place and once.

use crate::text::pasted::is_no_value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// A snapshot of the process environment. An empty value counts as unset, everywhere.
#[derive(Clone, Default)]
pub struct Env {
    vars: BTreeMap<String, OsString>,
    is_recorded: bool,
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
        Self {
            vars,
            is_recorded: false,
        }
    }

    /// The same, as `hook install` recorded it: what is wrong with it is no variable's fault.
    #[must_use]
    pub fn recorded(self) -> Self {
        Self {
            is_recorded: true,
            ..self
        }
    }

    /// See [`Env::recorded`].
    pub fn is_recorded(&self) -> bool {
        self.is_recorded
    }

    /// The same environment without some variables.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        let mut vars = self.vars.clone();
        vars.retain(|name, _| !names.contains(&name.as_str()));
        Self { vars, ..*self }
    }

    /// All variables.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &OsString)> {
        self.vars.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// A variable's text; `None` where it is unset, empty or not UTF-8.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.vars.get(name)?.to_str().filter(|value| !value.is_empty())
    }

    /// A variable that holds bytes that are not UTF-8, and is read as text: what it was to say, nobody knows.
    pub fn unreadable(&self) -> Option<&str> {
        const PATHS: [&str; 7] = ["HOME", "_ROOTS", "STATE_DIR", "_PATH", "_FILE", "_DB", "_DIR"];
        let is_ours = |name: &str| {
            name == "JWT_SECRET"
                || ["SIGILUM_", "OPENCLAW_", "GATEWAY_"]
                    .iter()
                    .any(|start| name.starts_with(start))
        };
        let is_path = |name: &str| PATHS.iter().any(|end| name.ends_with(end));
        let mut vars = self.vars.iter();
        let found = vars.find(|(name, value)| is_ours(name) && !is_path(name) && value.to_str().is_none());
        found.map(|(name, _)| name.as_str())
    }

    /// A variable as a path; `None` where it is unset or empty.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        let value = self.vars.get(name)?;
        (!value.is_empty()).then(|| PathBuf::from(value))
    }

    /// The same without the white space around it, as OpenClaw reads its variables; `None` too where a script had no value
    /// and left `undefined` or `null`.
    pub fn named_path(&self, name: &str) -> Option<PathBuf> {
        match self.var(name).map(str::trim) {
            Some("") => None,
            Some(text) if is_no_value(text) => None,
            Some(text) => Some(PathBuf::from(text)),
            None => self.path(name),
        }
    }

    /// A path whose leading `~` is the person's home folder.
    pub fn expand_tilde(&self, path: PathBuf) -> PathBuf {
        match (path.strip_prefix("~"), self.path("HOME")) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => path,
        }
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
