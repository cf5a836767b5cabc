//! OpenClaw itself: which version there is, and what it says of what we installed.

use crate::cmd::context;
use crate::env::Env;
use crate::error::Error;
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
        Self {
            version: program.as_deref().and_then(packaged_version).or_else(touched),
            program,
            ..Self::default()
        }
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
        let ran = program::run(program, &args.map(Into::into), &program::environment(env), place, limit);
        self.asked = Some(kind);
        match ran {
            // It says what is wrong as JSON too, and then ends with another exit code.
            Ok(ran) => {
                let json = ran.stdout.find('{').map(|at| ran.stdout[at..].trim());
                let info = json.and_then(|json| serde_json::from_str(json).ok());
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
        let parts = |text: &str| -> Option<Vec<u32>> {
            let numbers = text.split('-').next().unwrap_or_default().split('.');
            numbers.map(|part| part.parse().ok()).collect()
        };
        self.version
            .as_deref()
            .and_then(parts)
            .is_some_and(|version| Some(version) <= parts(newest))
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
