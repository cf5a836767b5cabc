//! The commands that `setup` runs, one after the other, each as it could be typed.

use super::answers::{Answers, Login, Unit};
use crate::cli::{AuthCommand, Cli, Command, SetupArgs};
use crate::cmd::own_program::PROGRAM;
use crate::cmd::watch::unit;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::home::{self, OpenClawHome};
use crate::mode::Mode;
use crate::openclaw::hook_files;
use crate::settings;
use secrecy::SecretString;
use std::path::{Path, PathBuf};

const CONFIG: &str = "OPENCLAW_CONFIG_PATH";

/// A command.
pub struct Step {
    words: Vec<String>,
    /// What it writes, in words; a login says it itself.
    pub writes: Vec<String>,
    /// `auth login`: the token that was typed.
    token: Option<SecretString>,
    is_login: bool,
    /// `watch` has no flag for it.
    config: Option<PathBuf>,
}

impl Step {
    fn of(words: &[&str]) -> Self {
        Self {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            writes: Vec::new(),
            token: None,
            is_login: false,
            config: None,
        }
    }

    fn flag(&mut self, name: &str, value: impl Into<String>) {
        self.words.extend([name.to_owned(), value.into()]);
    }

    fn path(&mut self, name: &str, path: Option<&Path>) -> Result<()> {
        if let Some(path) = path {
            self.flag(name, home::absolute(path)?.display().to_string());
        }
        Ok(())
    }

    /// As it could be typed.
    pub fn command(&self) -> String {
        let config = self
            .config
            .as_deref()
            .map(|path| format!("{CONFIG}={}", fs::quoted(path)));
        let words = self.words.iter().map(|word| fs::quoted(word.as_ref()));
        let words = config.into_iter().chain([PROGRAM.to_owned()]).chain(words);
        words.collect::<Vec<_>>().join(" ")
    }

    /// A next step of its own for whoever typed `setup`, which has no `--force`.
    pub fn told(&self, next: &str) -> String {
        let forced = format!("{} --force", self.command());
        next.replace(", add --force", &format!(": {forced}"))
            .replace("add --force", &forced)
            .replace(" with --force", &format!(": {forced}"))
            .replace(" --force, ", " --force; ")
            // A step before may have written something.
            .replace("; nothing was written", "")
    }

    /// The environment that it is run in.
    pub fn env(&self, env: &Env) -> Env {
        let config = self.config.clone().map(|path| (CONFIG, path.into_os_string()));
        Env::from_pairs(env.pairs().map(|(name, value)| (name, value.clone())).chain(config))
    }

    /// As it is run.
    ///
    /// # Errors
    /// [`ExitCode::Usage`] for an answer that no flag takes.
    pub fn cli(&self) -> Result<Cli> {
        self.parsed(&[])
    }

    /// The run that says what it would write, where that has one of its own.
    ///
    /// # Errors
    /// As [`Self::cli`].
    pub fn dry_run(&self) -> Result<Option<Cli>> {
        self.is_login.then(|| self.parsed(&["--dry-run"])).transpose()
    }

    fn parsed(&self, more: &[&str]) -> Result<Cli> {
        let words = [PROGRAM].into_iter().chain(self.words.iter().map(String::as_str));
        let words = words.chain(more.iter().copied()).map(Into::into);
        let mut cli = Cli::from_args(words).map_err(|error| {
            let what = format!("could not run this: {}", self.command());
            Error::new(ExitCode::Usage, what).because(error)
        })?;
        if let Command::Auth(AuthCommand::Login(login)) = &mut cli.command {
            login.typed.clone_from(&self.token);
        }
        Ok(cli)
    }
}

/// The steps, in their order.
///
/// # Errors
/// For a path that cannot be used.
pub fn of(answers: &Answers, args: &SetupArgs, place: &OpenClawHome, env: &Env) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    if let Some(login) = &answers.login {
        steps.push(log_in(login, args)?);
    }
    steps.push(install(answers, args, place)?);
    steps.extend(service(answers.unit, args, env)?);
    let mut doctor = Step::of(&["doctor"]);
    of_place(&mut doctor, args)?;
    steps.push(doctor);
    Ok(steps)
}

fn of_place(step: &mut Step, args: &SetupArgs) -> Result<()> {
    step.path("--openclaw-home", args.place.openclaw_home.as_deref())?;
    step.path("--config", args.place.config.as_deref())
}

fn log_in(login: &Login, args: &SetupArgs) -> Result<Step> {
    let mut step = Step::of(&["auth", "login", "--mode", login.mode.as_str()]);
    if let Some(namespace) = &login.namespace {
        step.flag("--namespace", namespace);
    }
    if login.api_url != settings::default_api_url(login.mode) {
        step.flag("--api-url", &login.api_url);
    }
    if login.mode == Mode::OssLocal {
        step.path("--source-home", login.source_home.as_deref())?;
        step.path("--api-db", args.local_api.api_db.as_deref())?;
    }
    step.path("--token-file", args.owner.token_file.as_deref())?;
    if login.token.is_some() {
        step.words.push("--owner-token-stdin".to_owned());
    }
    step.flag("--print-token", "false");
    of_place(&mut step, args)?;
    step.token.clone_from(&login.token);
    step.is_login = true;
    Ok(step)
}

fn install(answers: &Answers, args: &SetupArgs, place: &OpenClawHome) -> Result<Step> {
    let kind = answers.kind;
    let mut step = Step::of(&["hook", "install", "--as", kind.name()]);
    if let Some(broker) = answers.broker.as_ref().filter(|broker| broker.uid.is_none()) {
        step.path("--broker", Some(&broker.socket))?;
    }
    if let Some(namespace) = &answers.namespace {
        step.flag("--namespace", namespace);
    }
    if let Some(deciders) = &answers.deciders {
        step.flag("--deciders", deciders);
    }
    if let Some(target) = &answers.notify {
        step.flag("--notify", target);
    }
    of_place(&mut step, args)?;
    let folder = (!hook_files::look(place, kind)?.by_openclaw).then(|| kind.dir(place));
    let config = place.read_only.is_none().then(|| place.config.clone());
    let writes = [folder, Some(place.hook_record_file()), config].into_iter().flatten();
    step.writes = writes.map(|path| format!("writes {}", path.display())).collect();
    if answers.kind_is_guess {
        let why = "OpenClaw's version is not known, so it is the hook, which every version loads; for the plugin: --as plugin";
        step.writes.insert(0, why.to_owned());
    }
    Ok(step)
}

fn service(unit: Unit, args: &SetupArgs, env: &Env) -> Result<Option<Step>> {
    let (flag, does) = match unit {
        Unit::Install => ("--install-unit", "writes and starts"),
        Unit::Remove => ("--remove-unit", "stops and removes"),
        Unit::None => return Ok(None),
    };
    let mut step = Step::of(&["watch", flag]);
    if let (Unit::Install, Some(command)) = (unit, &args.token_command) {
        step.flag("--token-command", command);
    }
    step.path("--openclaw-home", args.place.openclaw_home.as_deref())?;
    step.config = args.place.config.as_deref().map(home::absolute).transpose()?;
    step.writes = vec![format!("{does} {}", unit::path(env)?.display())];
    Ok(Some(step))
}
