//! `hook status`: what is installed, selected and in force, and what OpenClaw itself says of it.

use crate::cli::HookStatusArgs;
use crate::cmd::auth::status as auth_status;
use crate::cmd::context::{self, place};
use crate::cmd::output::{write_json, write_lines};
use crate::env::Env;
use crate::error::{ExitCode, Result};
use crate::home::OpenClawHome;
use crate::openclaw::entry::{self, Entry, HOOK, Hooks, Selection};
use crate::openclaw::hook_files::{self, Found, Kind};
use crate::openclaw::{config, plugin, program};
use crate::settings;
use crate::watch::status::{self, WatchStatus};
use serde::Serialize;
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// How long `openclaw hooks info` may take. It starts a whole Node program: 1.5 s on a quiet machine.
const ASK_LIMIT: Duration = Duration::from_secs(20);

/// Everything that `hook status` shows. Holds no secret.
#[derive(Serialize)]
struct Status {
    /// This program's version.
    version: &'static str,
    openclaw_home: PathBuf,
    config: PathBuf,
    hook: Found,
    plugin: PluginStatus,
    /// Whether the config tells if there is an entry.
    #[serde(skip)]
    entry_known: bool,
    /// `null` where there is none.
    entry: Option<EntryStatus>,
    /// `null` where it cannot be told.
    selected: Option<Selected>,
    /// `null` where no namespace is known.
    token: Option<auth_status::Status>,
    watch: Option<WatchStatus>,
    openclaw: OpenClaw,
    /// What could not be found out, and why.
    problems: Vec<String>,
}

#[derive(Serialize)]
struct PluginStatus {
    #[serde(flatten)]
    files: Found,
    /// Whether the config tells if there is an entry.
    #[serde(skip)]
    known: bool,
    /// The entry's `enabled`; `null` where there is no entry.
    enabled: Option<bool>,
    /// Whether `plugins.load.paths` has its folder.
    in_load_paths: bool,
    /// Why OpenClaw would not load it although it is on.
    blocked: Option<&'static str>,
}

#[derive(Serialize)]
struct EntryStatus {
    enabled: bool,
    namespace: Option<String>,
    mode: Option<String>,
    api_url: Option<String>,
    holds_token: bool,
    /// Whether a person's login or install wants the token in it; absent where nobody chose.
    token_in_config: Option<bool>,
}

#[derive(Serialize)]
struct Selected {
    /// Whether OpenClaw selects our hook.
    ours: bool,
    /// Whether it runs every eligible hook.
    every: bool,
    /// The others that it runs, where it does not run every one.
    names: Vec<String>,
}

#[derive(Serialize)]
struct OpenClaw {
    /// Where the program is; `null` where it is not on PATH.
    program: Option<PathBuf>,
    /// What `openclaw hooks info sigilum-authz-notify --json` says.
    hooks_info: Option<Value>,
}

/// Runs the command.
pub fn run(args: &HookStatusArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let place = place(&args.show.place, env)?;
    let status = Status::find(args, env, &place)?;
    if args.output.json {
        write_json(out, &status)?;
    } else {
        write_lines(out, &status.lines())?;
    }
    Ok(ExitCode::Ok)
}

impl Status {
    fn find(args: &HookStatusArgs, env: &Env, place: &OpenClawHome) -> Result<Self> {
        let mut problems = Vec::new();
        let mut other_problems = Vec::new();
        let mut attempt = |error: crate::error::Error| problems.push(error.to_string());
        let config = config::read(place).map_err(&mut attempt).ok();
        let config_known = config.is_some();
        let value = config.flatten().map_or_else(|| json!({}), |config| config.value);
        let entry = entry::find(&value).map_err(&mut attempt).ok();
        let selected = entry::selection(&value, &entry::installs(&place.home))
            .map_err(&mut attempt)
            .ok()
            .filter(|_| config_known);
        let files = hook_files::look(place, Kind::Plugin)?;
        let state = plugin::find(&value, &files.folder).map_err(&mut attempt).ok();
        let entry_known = config_known && entry.is_some();
        let entry = entry.flatten();
        let token = auth_status::owner(&args.show, env, place, entry.as_ref())
            .and_then(|owner| auth_status::status(&owner, place, env, entry_known.then_some(entry.as_ref())));
        let token = token.map_err(&mut attempt).ok();
        if token.is_none() {
            let loose = auth_status::loose_files(place, env, None, entry.as_ref());
            other_problems.extend(loose.iter().map(auth_status::LooseFile::text));
        }
        let chosen = settings::hook_namespace(place)
            .map_err(&mut attempt)
            .unwrap_or_default()
            .1;
        let openclaw = OpenClaw::ask(env, place).unwrap_or_else(|(program, error)| {
            attempt(error);
            OpenClaw {
                program: Some(program),
                hooks_info: None,
            }
        });
        Ok(Self {
            version: env!("CARGO_PKG_VERSION"),
            openclaw_home: place.home.clone(),
            config: place.config.clone(),
            hook: hook_files::look(place, Kind::Hook)?,
            plugin: PluginStatus {
                files,
                known: config_known && state.is_some(),
                enabled: state.as_ref().and_then(|state| state.entry),
                in_load_paths: state.as_ref().is_some_and(|state| state.path),
                blocked: state.as_ref().and_then(|state| state.blocked),
            },
            entry_known,
            entry: entry
                .as_ref()
                .map(|entry| EntryStatus::of(entry, chosen.token_in_config)),
            selected: selected.map(Selected::of),
            token,
            watch: status::read(place),
            openclaw,
            problems: problems.into_iter().chain(other_problems).collect(),
        })
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!("Program:       version {}", self.version),
            format!("OpenClaw home: {}", self.openclaw_home.display()),
            format!("Hook:          {}", files_text(&self.hook)),
        ];
        lines.extend(
            self.hook
                .binary
                .as_ref()
                .map(|binary| format!("  runs:        {}", binary.display())),
        );
        lines.push(format!(
            "Entry:         {}",
            self.entry
                .as_ref()
                .map_or_else(|| if_known(self.entry_known, "none").to_owned(), EntryStatus::text)
        ));
        lines.extend(
            self.selected
                .as_ref()
                .map(|selected| format!("Selected:      {}", selected.text())),
        );
        lines.push(format!("Plugin:        {}", self.plugin.text()));
        match &self.token {
            Some(token) => lines.extend(token.lines()),
            None => lines.extend([
                "Token:         none, no namespace is known".to_owned(),
                format!("Watcher:       {}", auth_status::watch_text(self.watch.as_ref())),
            ]),
        }
        lines.push(format!("OpenClaw says: {}", self.openclaw.text()));
        for problem in &self.problems {
            lines.extend(format!("Problem:       {problem}").lines().map(str::to_owned));
        }
        lines
    }
}

/// What is said of a missing entry: nothing, where the config that it would be in cannot be read.
fn if_known(known: bool, text: &'static str) -> &'static str {
    if known {
        text
    } else {
        "unknown, as the config cannot be read"
    }
}

fn files_text(found: &Found) -> String {
    let version = found
        .version
        .as_ref()
        .map_or_else(String::new, |version| format!(", version {version}"));
    let names = |label: &str, names: &[String]| {
        if names.is_empty() {
            String::new()
        } else {
            format!(", {label}: {}", names.join(", "))
        }
    };
    let (missing, changed) = match found.state {
        "absent" => (String::new(), String::new()),
        _ => (names("missing", &found.missing), names("changed", &found.changed)),
    };
    format!("{}{version}{missing}{changed}, {}", found.state, found.folder.display())
}

impl PluginStatus {
    fn text(&self) -> String {
        let state = match (self.enabled, self.in_load_paths, self.blocked) {
            (None, _, _) => if_known(self.known, "no entry").to_owned(),
            (Some(false), _, _) => "off".to_owned(),
            (Some(true), false, _) => "on, but its folder is not in plugins.load.paths".to_owned(),
            (Some(true), true, None) => "on".to_owned(),
            (Some(true), true, Some(why)) => format!("on, but {why}"),
        };
        if self.files.state == "absent" && self.enabled.is_none() {
            return "absent".to_owned();
        }
        format!("{}; {state}", files_text(&self.files))
    }
}

impl EntryStatus {
    fn of(entry: &Entry, token_in_config: Option<bool>) -> Self {
        Self {
            enabled: entry.enabled,
            namespace: entry.namespace().map(str::to_owned),
            mode: entry.mode().map(str::to_owned),
            api_url: entry.api_url().map(str::to_owned),
            holds_token: entry.token().is_some(),
            token_in_config,
        }
    }

    fn text(&self) -> String {
        let state = if self.enabled { "on" } else { "off" };
        let token = match (self.holds_token, self.token_in_config) {
            (true, _) => "with a token",
            (false, Some(true)) => "without a token",
            (false, _) => "the token is kept in its file only",
        };
        let namespace = self.namespace.as_deref().unwrap_or("none");
        format!("{state}, namespace {namespace}, {token}")
    }
}

impl Selected {
    fn of(selection: Selection) -> Self {
        let (every, names) = match selection.hooks {
            Hooks::Every => (true, Vec::new()),
            Hooks::Named(names) => (false, names.into_iter().collect()),
        };
        Self {
            ours: selection.ours,
            every,
            names,
        }
    }

    fn text(&self) -> String {
        let others = match (self.every, self.names.is_empty()) {
            (true, _) => "every eligible one".to_owned(),
            (false, true) => "none".to_owned(),
            (false, false) => self.names.join(", "),
        };
        format!("{}; other hooks: {others}", if self.ours { "yes" } else { "no" })
    }
}

impl OpenClaw {
    fn ask(env: &Env, place: &OpenClawHome) -> Result<Self, (PathBuf, crate::error::Error)> {
        let Some(program) = context::openclaw_program(env) else {
            return Ok(Self {
                program: None,
                hooks_info: None,
            });
        };
        if !place.home.is_dir() {
            // Asked, it would make one.
            return Ok(Self {
                program: Some(program),
                hooks_info: None,
            });
        }
        let args = ["hooks", "info", HOOK, "--json"].map(Into::into);
        let ran = program::run(&program, &args, &context::openclaw_env(env), place, ASK_LIMIT);
        match ran {
            // It says what is wrong as JSON too, and then ends with another exit code.
            Ok(ran) => Ok(Self {
                hooks_info: ran
                    .stdout
                    .find('{')
                    .and_then(|at| serde_json::from_str(ran.stdout[at..].trim()).ok()),
                program: Some(program),
            }),
            Err(error) => Err((program, error)),
        }
    }

    fn text(&self) -> String {
        let Some(program) = &self.program else {
            return "nothing, it is not on PATH".to_owned();
        };
        let Some(info) = &self.hooks_info else {
            return format!("nothing that we understand ({})", program.display());
        };
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
        match (is("loadable"), is("disabled")) {
            (Some(true), _) => "the hook is loadable".to_owned(),
            (_, Some(true)) => "the hook is disabled".to_owned(),
            (Some(false), _) if !missing.is_empty() => format!("not loadable, it misses: {}", missing.join(", ")),
            (Some(false), _) => "not loadable".to_owned(),
            (None, _) => match info.get("message").and_then(Value::as_str) {
                Some(message) => message.to_owned(),
                None => format!("nothing that we understand ({})", program.display()),
            },
        }
    }
}
