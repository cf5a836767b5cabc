//! The plugin as OpenClaw's own installer brought it (`openclaw plugins install`): where it lies, and that it counts like
//! the one that `hook install --as plugin` writes. OpenClaw updates it and takes it away; none of its files are ours to
//! change.

use super::names::PLUGIN;
use super::{plugin, state_db};
use crate::error::Result;
use crate::home::OpenClawHome;
use serde_json::Value;
use std::path::PathBuf;

/// What takes it away.
pub const UNINSTALL: &str = "openclaw plugins uninstall sigilum-authz-notify --force";
/// What brings it up to date.
pub const UPDATE: &str = "openclaw plugins update sigilum-authz-notify";

/// The installed plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its folder.
    pub folder: PathBuf,
    /// Its version, as OpenClaw recorded it.
    pub version: Option<String>,
}

/// Looks it up in OpenClaw's record of its installs; `None` where that names none, or one that is not there.
pub fn find(place: &OpenClawHome) -> Option<Package> {
    let record = state_db::plugin_install(&state_db::path(&place.home), PLUGIN).ok()??;
    let record: Value = serde_json::from_str(&record).ok()?;
    let text = |name: &str| Some(record.get(name)?.as_str()?.to_owned());
    let folder = PathBuf::from(text("installPath")?);
    let is_ours = folder == place.plugin_dir();
    (!is_ours && folder.join("index.js").is_file()).then(|| Package {
        folder,
        version: text("version"),
    })
}

impl Package {
    /// The program that came with it, which it starts: that of this platform's npm package, beside it or in it. None
    /// where npm left that out, or the plugin did not come from npm.
    pub fn program(&self) -> Option<PathBuf> {
        let os = match std::env::consts::OS {
            "macos" => "darwin",
            other => other,
        };
        let cpu = match std::env::consts::ARCH {
            "x86_64" => "x64",
            "aarch64" => "arm64",
            other => other,
        };
        let modules = self.folder.parent()?;
        if modules.file_name()? != "node_modules" {
            return None;
        }
        let places = [modules.to_owned(), self.folder.join("node_modules")];
        let program = |place: PathBuf| place.join(format!("{PLUGIN}-{os}-{cpu}/bin/{PLUGIN}"));
        places.into_iter().map(program).find(|file| file.is_file())
    }
}

/// How the plugin stands in the config, whoever installed it. Fails (exit code config) on shapes that OpenClaw refuses.
pub fn state(config: &Value, place: &OpenClawHome) -> Result<plugin::State> {
    let mut state = plugin::find(config, &place.plugin_dir())?;
    // OpenClaw knows where its own installs are.
    state.found = state.found || (state.entry.is_some() && find(place).is_some());
    Ok(state)
}
