//! `hook status`: what is installed, selected and in force, and what OpenClaw itself says of it.

use crate::broker::protocol;
use crate::cli::HookStatusArgs;
use crate::cmd::auth::status as auth_status;
use crate::cmd::broker::remote::Remote;
use crate::cmd::context::place;
use crate::cmd::doctor::checks;
use crate::cmd::doctor::facts::{Facts, View};
use crate::cmd::doctor::finding::{self, Finding};
use crate::cmd::doctor::openclaw::OpenClaw;
use crate::cmd::doctor::token::TokenStatus;
use crate::cmd::hook::deciders::{self, Decider};
use crate::cmd::output::{write_json, write_lines};
use crate::cmd::resident::Resident;
use crate::env::Env;
use crate::error::{ExitCode, Result};
use crate::hook_record::{ChatTarget, POLL_REQUESTS};
use crate::openclaw::entry::{Entry, Hooks, Selection};
use crate::openclaw::hook_files::Found;
use crate::time;
use crate::watch::status::WatchStatus;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// Everything that `hook status` shows. Holds no secret.
#[derive(Serialize)]
struct Status {
    /// This program's version.
    version: &'static str,
    openclaw_home: PathBuf,
    config: PathBuf,
    /// `null` where that cannot be told.
    hook: Option<Found>,
    plugin: PluginStatus,
    /// Whether the config tells if there is an entry.
    #[serde(skip)]
    entry_known: bool,
    /// `null` where there is none.
    entry: Option<EntryStatus>,
    /// `null` where it cannot be told.
    selected: Option<Selected>,
    /// The broker that is asked; absent where none is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    broker: Option<BrokerStatus>,
    /// `null` where no namespace is known, or whose the token is cannot be told.
    token: Option<TokenStatus>,
    /// Why there is none.
    #[serde(skip)]
    no_token: &'static str,
    /// Who is told at once of requests; `null` where the record of that cannot be read.
    notify: Option<NotifyStatus>,
    watch: Option<WatchStatus>,
    /// The program that an OpenClaw gateway keeps for the plugin; `null` where none is known.
    running: Option<Resident>,
    /// Who is recorded to decide in the chat.
    deciders: Vec<Decider>,
    openclaw: OpenClaw,
    /// What is wrong, or could not be found out, and why.
    problems: Vec<String>,
    findings: Vec<Finding>,
}

#[derive(Serialize)]
struct PluginStatus {
    /// Absent where that cannot be told.
    #[serde(flatten)]
    files: Option<Found>,
    /// Whether the config tells if there is an entry.
    #[serde(skip)]
    known: bool,
    /// The entry's `enabled`; `null` where there is no entry.
    enabled: Option<bool>,
    /// Whether OpenClaw finds its folder: by `plugins.load.paths`, or as an install of its own.
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
struct NotifyStatus {
    /// `null`: nobody.
    target: Option<ChatTarget>,
    /// How often the API is asked, seconds; 0: never.
    poll_requests: u64,
    /// What takes the messages of `watch`.
    openclaw: Option<PathBuf>,
    #[serde(skip)]
    how: String,
    /// Something keeps it from being done, which is among the problems.
    #[serde(skip)]
    is_kept: bool,
}

#[derive(Serialize)]
struct BrokerStatus {
    socket: PathBuf,
    uid: Option<u32>,
    /// `null` where it cannot be asked.
    status: Option<protocol::Status>,
    #[serde(skip)]
    lines: Vec<String>,
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

/// Runs the command.
pub fn run(args: &HookStatusArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let place = place(&args.show.place, env)?;
    let facts = Facts::collect(&args.show, env, &place, View::HookStatus);
    let status = Status::of(facts)?;
    if args.output.json {
        write_json(out, &status)?;
    } else {
        write_lines(out, &status.lines())?;
    }
    Ok(finding::exit_code(&status.findings))
}

impl Status {
    fn of(facts: Facts) -> Result<Self> {
        let findings = checks::findings(&facts, View::HookStatus);
        let problems = findings.iter().filter(|finding| finding.is_problem());
        let token_in_config = facts.chosen.as_ref().ok().and_then(|chosen| chosen.token_in_config);
        let entry = facts.entry();
        let deciders = deciders::rows(&facts);
        let entry_known = entry.is_some();
        let entry = entry.flatten().map(|entry| EntryStatus::of(entry, token_in_config));
        let notify = facts.chosen.as_ref().ok().map(|chosen| NotifyStatus {
            target: chosen.notify.clone(),
            poll_requests: chosen.poll_requests.unwrap_or(POLL_REQUESTS),
            openclaw: chosen.openclaw.clone(),
            how: facts.command("hook install --notify <channel>:<target>"),
            is_kept: findings.iter().any(|finding| finding.check == "notify"),
        });
        let state = facts.plugin_state.ok();
        let config_known = facts.config.is_ok();
        let is_a_brokers = facts.place.is_a_brokers();
        // No check of a broker's folder tells of these.
        let told = |files: Result<Found>| match files {
            Err(error) if is_a_brokers => Err(error),
            files => Ok(files.ok()),
        };
        Ok(Self {
            version: env!("CARGO_PKG_VERSION"),
            openclaw_home: facts.place.home.clone(),
            config: facts.place.config.clone(),
            hook: told(facts.hook)?,
            plugin: PluginStatus {
                files: told(facts.plugin)?,
                known: config_known && state.is_some(),
                enabled: state.as_ref().and_then(|state| state.entry),
                in_load_paths: state.as_ref().is_some_and(|state| state.found),
                blocked: state.as_ref().and_then(|state| state.blocked),
            },
            entry_known,
            entry,
            selected: facts.selection.ok().filter(|_| config_known).map(Selected::of),
            no_token: match &facts.token {
                Err(error) if error.code != ExitCode::Token => UNKNOWN,
                _ => "none, no namespace is known",
            },
            token: facts.token.ok().filter(|_| facts.broker.is_none()),
            broker: facts.broker.as_ref().map(BrokerStatus::of),
            notify,
            watch: facts.watch,
            running: facts.resident,
            deciders,
            openclaw: facts.openclaw,
            problems: problems.map(|problem| problem.text.clone()).collect(),
            findings,
        })
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!("Program:       version {}", self.version),
            format!("OpenClaw home: {}", self.openclaw_home.display()),
            format!("Hook:          {}", files_text(self.hook.as_ref())),
        ];
        lines.extend(
            self.hook
                .as_ref()
                .and_then(|hook| hook.binary.as_ref())
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
        let running = self.running.iter();
        lines.extend(running.map(|resident| format!("  running:     {}", resident.text())));
        let deciders = self.deciders.iter().map(Decider::text);
        lines.extend(deciders.map(|text| format!("Decider:       {text}")));
        match &self.token {
            _ if self.broker.is_some() => lines.extend(self.broker.iter().flat_map(|broker| broker.lines.clone())),
            Some(token) => lines.extend(auth_status::lines(token)),
            None => lines.extend([
                format!("Token:         {}", self.no_token),
                format!("Watcher:       {}", auth_status::watch_text(self.watch.as_ref(), None)),
            ]),
        }
        let notify = self.notify.iter();
        lines.extend(notify.map(|notify| format!("Told at once:  {}", notify.text())));
        lines.push(format!("OpenClaw says: {}", self.openclaw.text()));
        lines.extend(finding::problem_lines(&self.findings));
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

/// What is said of what cannot be told.
const UNKNOWN: &str = "not known, see the problems";

fn files_text(found: Option<&Found>) -> String {
    let Some(found) = found else { return UNKNOWN.to_owned() };
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
    let by = if found.by_openclaw { " by OpenClaw" } else { "" };
    format!(
        "{}{by}{version}{missing}{changed}, {}",
        found.state,
        found.folder.display()
    )
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
        let files = self.files.as_ref();
        if files.is_some_and(|files| files.state == "absent") && self.enabled.is_none() {
            return "absent".to_owned();
        }
        format!("{}; {state}", files_text(files))
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

impl BrokerStatus {
    fn of((remote, status): &(Remote, Result<(protocol::Status, u32)>)) -> Self {
        Self {
            socket: remote.socket.clone(),
            uid: remote.uid,
            status: status.as_ref().ok().map(|(status, _)| status.clone()),
            lines: match status {
                Ok((status, uid)) => auth_status::broker_lines(remote, status, *uid),
                Err(_) => vec![format!("Broker:        {}, cannot be asked", remote.socket.display())],
            },
        }
    }
}

impl NotifyStatus {
    fn text(&self) -> String {
        match (&self.target, self.poll_requests) {
            (None, _) => format!("nobody; to be told of requests when they come: {}", self.how),
            (Some(target), 0) => format!("nobody, as --poll-requests is off; else {target}"),
            (Some(target), _) if self.is_kept => format!("nobody at present; else {target}"),
            (Some(target), every) => format!("{target}; asked for requests every {}", time::duration(every as i64)),
        }
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
