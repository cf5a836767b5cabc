//! The OpenClaw home: how it is found, and where in it the files are.

mod older;

pub use older::Older;

use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::origin::Origin;
use crate::text::pasted::{is_no_value, is_placeholder};
use std::path::{Path, PathBuf};

/// Why nothing of the config is written into a file that we keep.
pub const OURS: &str = "one of this program's own files, which is never edited as a config";

/// Where things are: the OpenClaw home (its state folder), its config and our own folder in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenClawHome {
    /// The OpenClaw state folder, absolute.
    pub home: PathBuf,
    /// The OpenClaw config file, absolute.
    pub config: PathBuf,
    /// The variable that named the home, where one did.
    pub named_by: Option<&'static str>,
    /// Why the config must never be written (`OPENCLAW_NIX_MODE=1`), where that is so.
    pub read_only: Option<&'static str>,
    /// What the person should be told about how the place was found.
    pub warnings: Vec<String>,
    /// The older home or config that OpenClaw uses, and would not find any more once there is a newer one here.
    pub older: Option<Older>,
    /// The folders outside of the config's in which included files may lie (`OPENCLAW_INCLUDE_ROOTS`).
    pub include_roots: Vec<PathBuf>,
    /// What `~` means in the config, where that is known.
    pub person: Option<PathBuf>,
    /// What `${HOME}` means in the config, where that is known.
    pub person_home: Option<PathBuf>,
    /// Whose home it was when it was found, as [`OpenClawHome::anothers`] says it.
    pub found_anothers: Option<u32>,
}

impl OpenClawHome {
    /// A home whose config lies in it and may be written.
    pub fn at(home: PathBuf) -> Self {
        Self {
            config: home.join("openclaw.json"),
            found_anothers: served(&home),
            home,
            named_by: None,
            read_only: None,
            warnings: Vec::new(),
            older: None,
            include_roots: Vec::new(),
            person: None,
            person_home: None,
        }
    }

    /// The flags with which a person's command acts on this home, a blank before each; nothing for the default one, unless
    /// this environment names another.
    pub fn flags(&self, env: &Env) -> String {
        let default = env.path("HOME").map(|home| home.join(".openclaw"));
        let is_default =
            default.as_ref() == Some(&self.home) && find(None, None, env).is_ok_and(|found| found.home == self.home);
        let is_in_it = self.config == self.home.join("openclaw.json")
            && find(Some(&self.home), None, env).is_ok_and(|found| found.config == self.config);
        let flag = |name, path: &Path| format!(" --{name} {}", fs::quoted(path));
        let home = (!is_default).then(|| flag("openclaw-home", &self.home));
        let config = (!is_in_it).then(|| flag("config", &self.config));
        home.into_iter().chain(config).collect()
    }

    /// As root: the number of the user whom the home belongs to, where that is another user. One that was another user's
    /// stays so, also where they have put a link in its place since.
    pub fn anothers(&self) -> Option<u32> {
        self.found_anothers.or_else(|| served(&self.home))
    }

    /// As root in another user's home: refuses to write where folders or links of theirs lead to what is not theirs. Who
    /// owns the home may swap them at any time: what can be is checked once more on what was opened.
    pub fn refuse_what_is_not_its_owners(&self) -> Result<()> {
        let Some(uid) = self.anothers() else { return Ok(()) };
        let parts = [
            self.home.clone(),
            self.sigilum_dir(),
            self.sigilum_dir().join("replaced"),
            self.sigilum_dir().join("replaced/hook"),
            self.sigilum_dir().join("replaced/plugin"),
            self.hook_dir(),
            self.plugin_dir(),
            self.program_copy(),
            self.sigilum_dir().join("bin"),
            self.config.clone(),
        ];
        let strange = parts.into_iter().find(|path| !fs::is_of(path, uid));
        strange.map_or(Ok(()), |path| {
            let code = match path == self.config {
                true => ExitCode::Config,
                false => ExitCode::Failure,
            };
            Err(fs::not_its_owners(code, &path, uid))
        })
    }

    /// `<home>/.sigilum`: everything that is ours.
    pub fn sigilum_dir(&self) -> PathBuf {
        self.home.join(".sigilum")
    }

    /// Whether a path, links resolved, is in a folder of ours: no place for a part of the config.
    pub fn is_ours(&self, real: &Path) -> bool {
        let ours = [self.sigilum_dir(), self.hook_dir()];
        let mut ours = ours.iter().filter_map(|folder| std::fs::canonicalize(folder).ok());
        ours.any(|folder| real.starts_with(folder))
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

    /// `<home>/.sigilum/seen.json`: which requests the owner has been told of.
    pub fn seen_file(&self) -> PathBuf {
        self.sigilum_dir().join("seen.json")
    }

    /// `<home>/.sigilum/told.json`: what the owner was told of unasked.
    pub fn told_file(&self) -> PathBuf {
        self.sigilum_dir().join("told.json")
    }

    /// `<home>/.sigilum/decisions.jsonl`: the owner's decisions, made here.
    pub fn decision_log_file(&self) -> PathBuf {
        self.sigilum_dir().join("decisions.jsonl")
    }

    /// `<home>/.sigilum/approvals.json`: the approvals that end by themselves.
    pub fn timed_approvals_file(&self) -> PathBuf {
        self.sigilum_dir().join("approvals.json")
    }

    /// `<home>/.sigilum/totp.json`: the second factor of those who decide through a broker.
    pub fn second_factor_file(&self) -> PathBuf {
        self.sigilum_dir().join("totp.json")
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

    /// `<home>/.sigilum/watch.lock`: held by the watcher of the home.
    pub fn watch_lock_file(&self) -> PathBuf {
        self.sigilum_dir().join("watch.lock")
    }

    /// `<home>/.sigilum/serve.json`: what the plugin's resident program says of itself.
    pub fn serve_status_file(&self) -> PathBuf {
        self.sigilum_dir().join("serve.json")
    }

    /// Whether a file in `.sigilum` is there for longer than a program runs.
    pub fn stays(name: &str) -> bool {
        !matches!(name, "serve.json" | "watch.lock" | "watch-status.json")
    }

    /// `<home>/.sigilum/plugin`: the plugin that `hook install --as plugin` writes.
    pub fn plugin_dir(&self) -> PathBuf {
        self.sigilum_dir().join("plugin")
    }

    /// `<home>/.sigilum/bin/sigilum-authz-notify`: a copy of this program, where it runs from a place that goes away.
    pub fn program_copy(&self) -> PathBuf {
        self.sigilum_dir().join("bin/sigilum-authz-notify")
    }

    /// `<home>/.sigilum/broker`: there if a broker answers from here, and no OpenClaw runs.
    pub fn broker_mark_file(&self) -> PathBuf {
        self.sigilum_dir().join("broker")
    }

    /// Whether a broker answers from here, without an OpenClaw.
    pub fn is_a_brokers(&self) -> bool {
        self.broker_mark_file().exists() && !self.config.exists()
    }

    /// Refuses what is for an OpenClaw, as in "could not install here".
    ///
    /// # Errors
    /// A broker answers from here.
    pub fn refuse_a_brokers(&self, verb: &str) -> Result<()> {
        if !self.is_a_brokers() {
            return Ok(());
        }
        let what = format!(
            "could not {verb} here: a broker answers from this folder, and no OpenClaw runs: {}",
            self.home.display()
        );
        Err(Error::new(ExitCode::Usage, what).next("name the OpenClaw home with --openclaw-home <folder>"))
    }

    /// `<home>/.sigilum/made-home`: there if we made the home.
    pub fn made_home_file(&self) -> PathBuf {
        self.sigilum_dir().join("made-home")
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
    let mut warnings = left_by_a_script(env);
    warnings.extend(relative(env));
    let state_dir = env.named_path("OPENCLAW_STATE_DIR");
    let home = match (dir, &state_dir) {
        (Some(dir), _) => dir.to_owned(),
        (None, Some(state_dir)) => expand(state_dir, env),
        (None, None) => {
            let folder = state_folder_name(env)?;
            match openclaw_home(env) {
                Some(base) => home_of_openclaw_home(&base, &folder, &mut warnings),
                None => person_home(env)?.join(folder),
            }
        }
    };
    let home = absolute(&home)?;
    let config = match (config, env.named_path("OPENCLAW_CONFIG_PATH")) {
        (Some(config), _) => Some(absolute(config)?),
        (None, Some(config)) => Some(absolute(&expand(&config, env))?),
        (None, None) => None,
    };
    let named_by = match (dir, &state_dir) {
        (Some(_), _) => None,
        (None, Some(_)) => Some("OPENCLAW_STATE_DIR"),
        (None, None) => openclaw_home(env).map(|_| "OPENCLAW_HOME"),
    };
    // One of OpenClaw's own that lies elsewhere is a home by itself.
    let is_apart = named_by == Some("OPENCLAW_STATE_DIR") && !is_default(&home, env);
    let is_elsewhere = config
        .as_ref()
        .is_some_and(|config| *config != home.join("openclaw.json"));
    let older = Older::of(&home, is_elsewhere, is_apart, env);
    let found = OpenClawHome::at(home);
    Ok(OpenClawHome {
        config: config.unwrap_or_else(|| found.config.clone()),
        named_by,
        read_only: read_only(env),
        warnings,
        older,
        include_roots: include_roots(env),
        person: openclaw_home(env).or_else(|| env.named_path("HOME")),
        person_home: env.named_path("HOME"),
        ..found
    })
}

/// The user whose home root serves.
fn served(home: &Path) -> Option<u32> {
    let is_root = rustix::process::geteuid().is_root();
    is_root.then(|| fs::another_user(home)).flatten()
}

/// A person's home folder, from `HOME`.
pub fn person_home(env: &Env) -> Result<PathBuf> {
    env.named_path("HOME").ok_or_else(|| {
        Error::new(ExitCode::Usage, "could not find the OpenClaw home: HOME is not set")
            .next("give the folder with --openclaw-home")
    })
}

/// Variables of Sigilum that name a folder or a file.
const OF_SIGILUM: [&str; 7] = [
    "SIGILUM_SOURCE_HOME",
    "SIGILUM_API_DB",
    "SIGILUM_CONFIG_FILE",
    "SIGILUM_GATEWAY_CLI",
    "SIGILUM_BROKER",
    "GATEWAY_SIGILUM_HOME",
    "GATEWAY_DATA_DIR",
];

/// What a person is told of variables that another program may take at their word.
fn left_by_a_script(env: &Env) -> Vec<String> {
    let value = |name| Some((name, env.var(name)?.trim()));
    let openclaws = ["OPENCLAW_STATE_DIR", "OPENCLAW_CONFIG_PATH", "OPENCLAW_PROFILE"];
    openclaws
        .into_iter()
        .chain(OF_SIGILUM)
        .filter_map(value)
        .filter(|(_, value)| is_no_value(value))
        .map(|(name, value)| format!("{name} is {value:?}, as a script leaves it: it counts as unset here"))
        .collect()
}

/// What a person is told of variables that lead elsewhere from another folder: `x`, and `$HOME/x` that no shell saw.
fn relative(env: &Env) -> impl Iterator<Item = String> {
    let value = |name| Some((name, env.named_path(name)?));
    ["OPENCLAW_STATE_DIR", "OPENCLAW_HOME", "OPENCLAW_CONFIG_PATH", "HOME"]
        .into_iter()
        .filter_map(value)
        .filter(|(_, path)| path.is_relative() && !path.starts_with("~"))
        .map(|(name, path)| {
            format!(
                "{name} is {:?}, a relative path: here it counts from the working directory, for OpenClaw from its own",
                path.display().to_string()
            )
        })
}

/// `OPENCLAW_HOME`: what stands for a person's home folder in all that OpenClaw does.
fn openclaw_home(env: &Env) -> Option<PathBuf> {
    let base = env.named_path("OPENCLAW_HOME")?;
    match (base.strip_prefix("~"), env.named_path("HOME")) {
        (Ok(rest), Some(home)) => Some(home.join(rest)),
        _ => Some(base),
    }
}

/// A path whose leading `~` is the home folder in the sense of OpenClaw.
fn expand(path: &Path, env: &Env) -> PathBuf {
    match (
        path.strip_prefix("~"),
        openclaw_home(env).or_else(|| env.named_path("HOME")),
    ) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

/// `OPENCLAW_INCLUDE_ROOTS`: absolute folders, with a colon between them.
fn include_roots(env: &Env) -> Vec<PathBuf> {
    let roots = env.var("OPENCLAW_INCLUDE_ROOTS").unwrap_or_default();
    let roots = roots.split(':').map(str::trim).filter(|root| !root.is_empty());
    roots
        .map(|root| expand(Path::new(root), env))
        .filter(|root| root.is_absolute())
        .collect()
}

/// Whether this is the home that OpenClaw has where nothing names another.
fn is_default(home: &Path, env: &Env) -> bool {
    let bases = [openclaw_home(env), env.named_path("HOME")];
    bases.into_iter().flatten().any(|base| base.join(".openclaw") == home)
}

/// Whether OpenClaw works in this home by itself, so that no variable need name it.
pub fn is_found(home: &Path, env: &Env) -> bool {
    find(None, None, env).is_ok_and(|found| found.home == home)
}

/// The variable that forbids to write OpenClaw configs, where one is on.
pub fn read_only(env: &Env) -> Option<&'static str> {
    ["OPENCLAW_CONFIG_READONLY", "OPENCLAW_NIX_MODE"]
        .into_iter()
        .find(|name| env.is_on(name))
}

/// `.openclaw`, or `.openclaw-p` with `OPENCLAW_PROFILE=p`.
fn state_folder_name(env: &Env) -> Result<String> {
    let name = env.var("OPENCLAW_PROFILE").map_or("", str::trim);
    if name.is_empty() || name.eq_ignore_ascii_case("default") || is_no_value(name) {
        return Ok(".openclaw".to_owned());
    }
    let legal = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
    if name.len() <= 64 && name.as_bytes()[0].is_ascii_alphanumeric() && name.bytes().all(legal) {
        return Ok(format!(".openclaw-{name}"));
    }
    let what = "could not find the OpenClaw home: OPENCLAW_PROFILE may hold up to 64 letters, digits, - and _, and \
                begins with a letter or a digit";
    let step = Origin::Env("OPENCLAW_PROFILE").mend("", "work", "");
    Err(Error::new(ExitCode::Usage, what).next(step))
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

/// Makes a path absolute, without looking at the file system beyond the working directory. It must be UTF-8: records,
/// units and openclaw.json can hold no other, nor can OpenClaw.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    // As bash leaves `--config=~/openclaw.json`: a folder named `~` is never meant.
    if path.starts_with("~") {
        return Err(Error::new(
            ExitCode::Usage,
            format!(
                "could not use the path, the shell left its ~ as it is (write a blank, not =, before it): {}",
                path.display()
            ),
        )
        .next("write $HOME where the ~ stands"));
    }
    let name = path.to_string_lossy();
    if name.trim().is_empty() || is_placeholder(&name) {
        return Err(Error::new(
            ExitCode::Usage,
            format!(
                "could not use the path, it only stands for one, as a shell or a script leaves it: {}",
                path.display()
            ),
        )
        .next("give the path that it stands for; a folder of that name is given as ./<name>"));
    }
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
            format!("could not use the path, it is not valid UTF-8: {}", absolute.display()),
        )
        .next("rename what is on the way to it"));
    }
    Ok(absolute)
}
