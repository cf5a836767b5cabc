//! What an older OpenClaw left, and a newer home would hide.

use super::{OpenClawHome, served};
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use std::path::{Path, PathBuf};

/// What OpenClaw uses as long as there is no newer home or config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Older {
    /// The home or the config.
    pub path: PathBuf,
    /// What stands before `openclaw doctor`, so that it moves a home from the shell that this program runs in.
    before: String,
}

impl Older {
    /// What this home would hide, where there is such a thing.
    pub(super) fn of(home: &Path, config_is_elsewhere: bool, home_is_apart: bool, env: &Env) -> Option<Self> {
        let path = older(home, config_is_elsewhere, home_is_apart)?;
        let before = before_doctor(&path, home, env);
        Some(Self { path, before })
    }
}

impl OpenClawHome {
    /// Refuses to make a home or a config here that would hide the older one that OpenClaw uses: OpenClaw would start
    /// without anything that its owner set up.
    pub fn refuse_to_hide_an_older(&self) -> Result<()> {
        let Some(older) = &self.older else { return Ok(()) };
        let what = format!(
            "could not set anything up here, it would hide what OpenClaw uses: {}",
            older.path.display()
        );
        let next = if older.path.parent() == Some(&self.home) {
            // OpenClaw 2026.9.6's doctor leaves this one as it is.
            let words = ["mv".into(), older.path.to_string_lossy(), self.config.to_string_lossy()];
            format!("{} && openclaw doctor", shell_words::join(words))
        } else {
            // OpenClaw 2026.9.6's doctor moves nothing to a place where there is something.
            let room = match self.home.read_dir().map(|mut files| files.next().is_none()) {
                Err(_) => String::new(),
                Ok(true) => format!("rmdir {} && ", fs::quoted(&self.home)),
                Ok(false) => {
                    let aside = self.home.with_file_name(".openclaw.aside");
                    format!("mv {} {} && ", fs::quoted(&self.home), fs::quoted(&aside))
                }
            };
            format!("{room}{}openclaw doctor; it moves that to its new place", older.before)
        };
        Err(Error::new(ExitCode::Config, what).next(next))
    }

    /// The same, where it is to be made with whatever is put into it.
    pub fn refuse_to_be_made_over_an_older(&self) -> Result<()> {
        match self.home.exists() {
            true => Ok(()),
            false => self.refuse_to_hide_an_older(),
        }
    }
}

/// What OpenClaw 2026.9.6 uses instead of a home or a config that is not there: `~/.clawdbot` as long as there is no
/// `~/.openclaw`, a config in it as long as there is none in `~/.openclaw`, and `clawdbot.json` as long as there is no
/// `openclaw.json` beside it.
fn older(home: &Path, config_is_elsewhere: bool, home_is_apart: bool) -> Option<PathBuf> {
    const NAME: &str = "clawdbot.json";
    let there = |path: PathBuf| path.exists().then_some(path);
    let default = !home_is_apart && home.file_name().is_some_and(|name| name == ".openclaw");
    let older = home.with_file_name(".clawdbot");
    if default && !home.exists() {
        return there(older);
    }
    if config_is_elsewhere || home.join("openclaw.json").exists() {
        return None;
    }
    let inside = there(home.join(NAME));
    inside.or_else(|| {
        ["openclaw.json", NAME]
            .into_iter()
            .find_map(|name| there(older.join(name)))
            .filter(|_| default)
    })
}

/// What has `openclaw doctor` move an older home to this one: OpenClaw 2026.9.6 moves that of `HOME`, whatever
/// `OPENCLAW_HOME` says, and none where `OPENCLAW_STATE_DIR` is set.
fn before_doctor(older: &Path, home: &Path, env: &Env) -> String {
    let base = home.parent().unwrap_or(home);
    let is_other = |name: &&str| env.named_path(name).is_some_and(|value| value != base);
    let unset = ["OPENCLAW_STATE_DIR", "OPENCLAW_HOME", "OPENCLAW_PROFILE"];
    let unset = unset.into_iter().filter(is_other).map(|name| format!("-u {name} "));
    let other = env.named_path("HOME").as_deref() != Some(base);
    let set = other.then(|| format!("HOME={} ", fs::quoted(base)));
    let variables: String = unset.chain(set).collect();
    let env = if variables.is_empty() { "" } else { "env " };
    let by = served(older).map(|uid| fs::sudo_as(uid) + " ").unwrap_or_default();
    format!("{by}{env}{variables}")
}
