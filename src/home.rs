//! The OpenClaw home: how it is found, and where in it the files are.

use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use std::path::{Path, PathBuf};

/// Where things are: the OpenClaw home (its state folder), its config and our own folder in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenClawHome {
    /// The OpenClaw state folder, absolute.
    pub home: PathBuf,
    /// The OpenClaw config file, absolute.
    pub config: PathBuf,
    /// Why the config must never be written (`OPENCLAW_NIX_MODE=1`), where that is so.
    pub read_only: Option<&'static str>,
    /// What the person should be told about how the place was found.
    pub warnings: Vec<String>,
}

impl OpenClawHome {
    /// A home whose config lies in it and may be written.
    pub fn at(home: PathBuf) -> Self {
        Self {
            config: home.join("openclaw.json"),
            home,
            read_only: None,
            warnings: Vec::new(),
        }
    }

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

    /// `<home>/.sigilum/hook.json`: what a person chose for this home's hook.
    pub fn hook_record_file(&self) -> PathBuf {
        self.sigilum_dir().join("hook.json")
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

/// The OpenClaw home and config in force.
///
/// Home: `--openclaw-home` → `OPENCLAW_STATE_DIR` → `OPENCLAW_HOME` → `~/.openclaw` (`~/.openclaw-p` with
/// `OPENCLAW_PROFILE=p`). Config: `--config` → `OPENCLAW_CONFIG_PATH` → `<home>/openclaw.json`.
pub fn find(dir: Option<&Path>, config: Option<&Path>, env: &Env) -> Result<OpenClawHome> {
    let mut warnings = Vec::new();
    let home = match (dir, env.path("OPENCLAW_STATE_DIR")) {
        (Some(dir), _) => dir.to_owned(),
        (None, Some(state_dir)) => env.expand_tilde(state_dir),
        (None, None) => {
            let folder = state_folder_name(env)?;
            match env.path("OPENCLAW_HOME") {
                Some(base) => home_of_openclaw_home(&env.expand_tilde(base), &folder, &mut warnings),
                None => user_home(env)?.join(folder),
            }
        }
    };
    let home = absolute(&home)?;
    let config = match (config, env.path("OPENCLAW_CONFIG_PATH")) {
        (Some(config), _) => absolute(config)?,
        (None, Some(config)) => absolute(&env.expand_tilde(config))?,
        (None, None) => home.join("openclaw.json"),
    };
    let read_only = read_only(env);
    Ok(OpenClawHome {
        config,
        read_only,
        warnings,
        ..OpenClawHome::at(home)
    })
}

/// The variable that forbids to write OpenClaw configs, where one is on.
pub fn read_only(env: &Env) -> Option<&'static str> {
    ["OPENCLAW_CONFIG_READONLY", "OPENCLAW_NIX_MODE"]
        .into_iter()
        .find(|name| env.is_on(name))
}

/// `.openclaw`, or `.openclaw-p` with `OPENCLAW_PROFILE=p`.
fn state_folder_name(env: &Env) -> Result<String> {
    match env.var("OPENCLAW_PROFILE") {
        None => Ok(".openclaw".to_owned()),
        Some(profile) if profile.eq_ignore_ascii_case("default") => Ok(".openclaw".to_owned()),
        Some(profile)
            if profile
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) =>
        {
            Ok(format!(".openclaw-{profile}"))
        }
        Some(_) => Err(Error::new(
            ExitCode::Usage,
            "could not find the OpenClaw home: OPENCLAW_PROFILE may hold letters, digits, - and _ only",
        )
        .next("give the folder with --openclaw-home")),
    }
}

/// What `OPENCLAW_HOME` means: OpenClaw takes it for the person's home folder, Sigilum's scripts for the state folder.
fn home_of_openclaw_home(base: &Path, folder: &str, warnings: &mut Vec<String>) -> PathBuf {
    let inner = base.join(folder);
    let base_has_config = base.join("openclaw.json").exists();
    if inner.exists() {
        if base_has_config && inner.join("openclaw.json").exists() {
            warnings.push(format!(
                "OPENCLAW_HOME: both {} and {} hold an openclaw.json; taking the latter, as OpenClaw does",
                base.display(),
                inner.display()
            ));
        }
        return inner;
    }
    let named_as_state = base
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(".openclaw"));
    if base_has_config || named_as_state {
        base.to_owned()
    } else {
        inner
    }
}

fn user_home(env: &Env) -> Result<PathBuf> {
    env.path("HOME").ok_or_else(|| {
        Error::new(ExitCode::Usage, "could not find the OpenClaw home: HOME is not set")
            .next("give the folder with --openclaw-home")
    })
}

/// Makes a path absolute, without looking at the file system beyond the working directory. It must be UTF-8: records,
/// units and openclaw.json can hold no other, nor can OpenClaw.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path).map_err(|error| {
        Error::new(
            ExitCode::Usage,
            format!("could not make the path absolute: {}", path.display()),
        )
        .because(error)
    })?;
    if absolute.to_str().is_none() {
        return Err(Error::new(
            ExitCode::Usage,
            format!("could not use the path, it is no UTF-8: {}", absolute.display()),
        )
        .next("rename what is on the way to it"));
    }
    Ok(absolute)
}
