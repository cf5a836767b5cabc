//! OpenClaw itself: which version there is, and what it says of what we installed.

use crate::cmd::context;
use crate::env::Env;
use crate::error::{Error, ExitCode};
use crate::fs;
use crate::home::OpenClawHome;
use crate::openclaw::entry::{HOOK, PLUGIN};
use crate::openclaw::hook_files::Kind;
use crate::openclaw::program;
use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long OpenClaw may take to answer. It starts a whole Node program: 1.5 s on a quiet machine. About a plugin it
/// answered after 15 s on a busy one, as it looks at every plugin that there is.
const HOOK_LIMIT: Duration = Duration::from_secs(20);
const PLUGIN_LIMIT: Duration = Duration::from_secs(40);
/// For its version it loads next to nothing: 0.2 s.
const VERSION_LIMIT: Duration = Duration::from_secs(10);
/// Up to this version a running gateway takes up no install, uninstall or switch.
const LAST_TO_RESTART: &str = "2026.8.2";
/// A package.json is a few KiB.
const MAX_PACKAGE: u64 = 1 << 20;

/// OpenClaw, as it is installed. A version is year, month and number: `2026.9.6`.
#[derive(Default, Serialize)]
pub struct OpenClaw {
    /// Where the program is; `null` where it is not on PATH.
    pub program: Option<PathBuf>,
    /// The version of that program, else the one that last wrote the config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What `openclaw hooks info sigilum-authz-notify --json` says; `null` where it was not asked.
    pub hooks_info: Option<Value>,
    /// What `openclaw plugins inspect sigilum-authz-notify --json` says; absent where it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin_info: Option<Value>,
    /// The version is that of the program, for certain.
    #[serde(skip)]
    is_own_version: bool,
    /// Why it said nothing.
    #[serde(skip)]
    pub error: Option<Error>,
    /// The plugin was asked about, as it is the one that is installed.
    #[serde(skip)]
    asked: Option<Kind>,
    /// Who alone may ask it, and with which words, where the home is another user's.
    #[serde(skip)]
    only_for: Option<String>,
}

impl OpenClaw {
    /// Finds it.
    pub fn find(env: &Env, config: Option<&Value>) -> Self {
        let program = context::openclaw_program(env);
        let touched = || config?.pointer("/meta/lastTouchedVersion")?.as_str().map(str::to_owned);
        let packaged = program.as_deref().and_then(packaged_version);
        Self {
            is_own_version: packaged.is_some(),
            version: packaged.or_else(touched),
            program,
            ..Self::default()
        }
    }

    /// The same, and asks the program itself for its version where no file beside it says one: what a version manager
    /// puts on PATH is a script.
    pub fn find_and_ask(env: &Env, config: Option<&Value>, place: &OpenClawHome) -> Self {
        let mut found = Self::find(env, config);
        let program = found.program.as_deref().filter(|_| !found.is_own_version);
        // In another user's home it is not run as us, nor what somebody else could have put there.
        let may_run =
            |program: &&Path| fs::another_user(&place.home).is_none() && fs::refuse_anothers_program(program).is_ok();
        let Some(program) = program.filter(may_run) else {
            return found;
        };
        let environment = program::environment(env);
        let ran = program::run(program, &["--version".into()], &environment, place, VERSION_LIMIT);
        let said = ran.ok().filter(|ran| ran.ok).and_then(|ran| version_in(&ran.stdout));
        found.is_own_version = said.is_some();
        found.version = said.or(found.version);
        found
    }

    /// Asks it what it makes of the hook, or of the plugin.
    pub fn ask(&mut self, kind: Kind, env: &Env, place: &OpenClawHome) {
        // Asked, it would make a home.
        let Some(program) = self.program.as_deref().filter(|_| place.home.is_dir()) else {
            return;
        };
        let (args, limit) = match kind {
            Kind::Hook => (["hooks", "info", HOOK, "--json"], HOOK_LIMIT),
            Kind::Plugin => (["plugins", "inspect", PLUGIN, "--json"], PLUGIN_LIMIT),
        };
        // It would load that user's plugins, as us.
        if let Some(uid) = fs::another_user(&place.home) {
            let words = args.join(" ");
            self.only_for = Some(format!("the home's owner (user number {uid}) runs: openclaw {words}"));
            return;
        }
        if let Err(error) = fs::refuse_anothers_program(program) {
            self.error = Some(error);
            return;
        }
        let ran = program::run(program, &args.map(Into::into), &program::environment(env), place, limit);
        self.asked = Some(kind);
        match ran {
            // It says what is wrong as JSON too, and then ends with another exit code.
            Ok(ran) => {
                let json = ran.stdout.find('{').map(|at| ran.stdout[at..].trim());
                let info = json.and_then(|json| serde_json::from_str(json).ok());
                if info.is_none() && !ran.ok {
                    let what = format!("OpenClaw failed: {} {}", program.display(), args.join(" "));
                    self.error = Some(Error::new(ExitCode::Failure, what));
                }
                match kind {
                    Kind::Hook => self.hooks_info = info,
                    Kind::Plugin => self.plugin_info = info,
                }
            }
            Err(error) => self.error = Some(error),
        }
    }

    /// Whether the version is known, and this one or an older one.
    pub fn is_up_to(&self, newest: &str) -> bool {
        self.version
            .as_deref()
            .and_then(parts)
            .is_some_and(|version| Some(version) <= parts(newest))
    }

    /// Whether a running gateway takes up an install, an uninstall or a switch only once it is started anew.
    pub fn wants_restarts(&self) -> bool {
        self.is_up_to(LAST_TO_RESTART)
    }

    /// What a gateway that may be running with this config needs after an install, an uninstall or a switch, in a version
    /// that takes up none while it runs, or perhaps.
    pub fn restart(&self, config: Option<&Value>) -> Option<String> {
        let why = match self.version.as_deref().filter(|version| parts(version).is_some()) {
            Some(version) if self.wants_restarts() => {
                format!("version {version} takes up no such change while it runs")
            }
            Some(_) => return None,
            None => format!(
                "versions up to {LAST_TO_RESTART} take up no such change while they run, and which one this is, is not known"
            ),
        };
        // Without it none starts.
        config?.pointer("/gateway/mode")?;
        Some(format!(
            "where an OpenClaw gateway runs: openclaw gateway restart; {why}"
        ))
    }

    /// Why OpenClaw would not run what is installed and on, as far as it says so.
    pub fn refuses(&self) -> Option<String> {
        let hook_fails = || Some(!self.hooks_info.as_ref()?.get("loadable")?.as_bool()?);
        let plugin_fails = || Some(self.plugin_status()? == "error");
        (hook_fails() == Some(true) || plugin_fails() == Some(true)).then(|| self.text())
    }

    fn plugin_status(&self) -> Option<&str> {
        self.plugin_info.as_ref()?.pointer("/plugin/status")?.as_str()
    }

    /// What it says, in one line.
    pub fn text(&self) -> String {
        let Some(program) = &self.program else {
            return "nothing, it is not on PATH".to_owned();
        };
        if let Some(error) = &self.error {
            return format!("nothing, {}", error.text());
        }
        let unknown = || format!("unrecognized output ({})", program.display());
        match self.asked {
            None => match &self.only_for {
                Some(who) => format!("not asked; {who}"),
                None => "not asked".to_owned(),
            },
            Some(Kind::Plugin) => match self.plugin_status() {
                Some("loaded") => "the plugin is loadable".to_owned(),
                Some("disabled") => "the plugin is disabled".to_owned(),
                Some(_) => match self
                    .plugin_info
                    .as_ref()
                    .and_then(|info| info.pointer("/plugin/error")?.as_str())
                {
                    Some(error) => format!("the plugin is not loadable: {error}"),
                    None => "the plugin is not loadable".to_owned(),
                },
                None => unknown(),
            },
            Some(Kind::Hook) => self.hooks_info.as_ref().and_then(hook_text).unwrap_or_else(unknown),
        }
    }
}

fn hook_text(info: &Value) -> Option<String> {
    let is = |key: &str| info.get(key).and_then(Value::as_bool);
    let missing = info.get("missing").and_then(Value::as_object);
    let missing: Vec<String> = missing
        .into_iter()
        .flatten()
        .flat_map(|(kind, names)| {
            let names = names.as_array().into_iter().flatten().filter_map(Value::as_str);
            names.map(move |name| format!("{kind} {name}"))
        })
        .collect();
    Some(match (is("loadable"), is("disabled")) {
        (Some(true), _) => "the hook is loadable".to_owned(),
        (_, Some(true)) => "the hook is disabled".to_owned(),
        (Some(false), _) if !missing.is_empty() => format!("not loadable, it misses: {}", missing.join(", ")),
        (Some(false), _) => "not loadable".to_owned(),
        (None, _) => info.get("message")?.as_str()?.to_owned(),
    })
}

/// The numbers of a version.
fn parts(version: &str) -> Option<Vec<u32>> {
    let numbers = version.split('-').next().unwrap_or_default().split('.');
    numbers.map(|part| part.parse().ok()).collect()
}

/// The version in what `openclaw --version` prints: `OpenClaw 2026.9.6 (eb377ac)`.
fn version_in(text: &str) -> Option<String> {
    let is_one = |word: &&str| parts(word).is_some_and(|parts| parts.len() == 3);
    text.split_whitespace().find(is_one).map(str::to_owned)
}

/// The version in OpenClaw's own package.json, above its program.
fn packaged_version(program: &Path) -> Option<String> {
    let program = program.canonicalize().ok()?;
    program.ancestors().skip(1).take(3).find_map(|folder| {
        let bytes = fs::read_capped(&folder.join("package.json"), MAX_PACKAGE).ok()??;
        let package: Value = serde_json::from_slice(&bytes).ok()?;
        let is_openclaw = package.get("name")?.as_str()? == "openclaw";
        is_openclaw.then_some(package.get("version")?.as_str()?.to_owned())
    })
}
