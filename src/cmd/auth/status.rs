//! `auth status`: which token the hook uses, until when, what the API says of it, and whether openclaw.json holds the same
//! one.

use crate::cli::{ShowArgs, StatusArgs};
use crate::cmd::auth::show;
use crate::cmd::auth::state::State;
use crate::cmd::auth::stored::{self, Stored};
use crate::cmd::context::{self, place};
use crate::cmd::hook::owner_token::{self, NoToken, OwnerToken, WhyNot};
use crate::cmd::output::{self, write_json, write_lines};
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::home::OpenClawHome;
use crate::local_token::LocalApi;
use crate::mode::Mode;
use crate::openclaw::config;
use crate::openclaw::entry::Entry;
use crate::settings::{self, Owner, OwnerQuery};
use crate::sigilum::http;
use crate::sigilum::secrets::Workspace;
use crate::time;
use crate::token::claims::{self, Inspected};
use crate::token::{lifetime, store};
use crate::token_check::TokenCheck;
use crate::watch::status::{self, WatchStatus};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// What came of asking the API.
#[derive(Debug, Serialize)]
struct ApiCheck {
    /// `accepted`, `refused` or `not_checked`.
    result: &'static str,
    /// The same, and why, for people.
    text: String,
}

/// The owner token as `auth status` and `hook status` show it. Holds no secret.
#[derive(Debug, Serialize)]
pub struct Status {
    namespace: String,
    namespace_from: String,
    mode: &'static str,
    api_url: String,
    token_file: PathBuf,
    /// Where the hook has its token from: `the token file`, or in a home without a record `openclaw.json`.
    token_from: &'static str,
    pub state: State,
    /// Why the hook does not use it, where it does not.
    #[serde(skip)]
    why_not: Option<String>,
    /// Absent where there is no token to ask about.
    api_check: Option<ApiCheck>,
    /// RFC 3339.
    issued_at: Option<String>,
    /// RFC 3339.
    expires_at: Option<String>,
    remaining_seconds: Option<i64>,
    /// What is odd about the token.
    doubts: Vec<String>,
    /// The expiry for people.
    #[serde(skip)]
    expiry: Option<String>,
    config: PathBuf,
    /// Whether openclaw.json holds the same token; absent where it cannot be read.
    config_has_same_token: Option<bool>,
    /// Why it holds none, where that is as asked for.
    #[serde(skip)]
    config_holds_none: Option<&'static str>,
    watch: Option<WatchStatus>,
    /// For whom the hook speaks; absent in a home where nobody has logged in.
    hook_namespace: Option<String>,
    /// Every namespace that is stored here.
    stored: Vec<Stored>,
    /// Files with a token, a secret or a record that others may read.
    readable_by_others: Vec<PathBuf>,
    /// The same, for people.
    #[serde(skip)]
    loose_files: Vec<String>,
}

/// Runs the command.
pub fn run(args: &StatusArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let place = place(&args.show.place, env)?;
    let entry = context::entry(&place).map_err(output::warn).ok();
    let entry = entry.as_ref().map(Option::as_ref);
    let owner = owner(&args.show, env, &place, entry.flatten())?;
    let status = status(&owner, &place, env, entry)?;
    if args.output.json {
        write_json(out, &status)?;
    } else {
        write_lines(out, &status.lines())?;
    }
    let Some(problem) = status.problem() else {
        return Ok(ExitCode::Ok);
    };
    output::warn(format_args!("{problem}\n  next: {}", context::login_command(&owner)));
    Ok(ExitCode::Token)
}

/// The owner that the options of `auth show` mean, at the API that the hook asks for him, where the config has been read.
pub fn owner(args: &ShowArgs, env: &Env, place: &OpenClawHome, entry: Option<&Entry>) -> Result<Owner> {
    let entry_env = || Ok(entry.map(|entry| entry.env.clone()));
    let namespace = settings::namespace(&show::query(args, &entry_env), env, place)?;
    let query = OwnerQuery {
        namespace: Some(&namespace.value),
        is_hook: true,
        ..show::query(args, &entry_env)
    };
    let owner = settings::owner(&query, env, place)?;
    Ok(Owner { namespace, ..owner })
}

/// Looks at the token that the hook would send, and asks the API about it. `entry` is `None` where openclaw.json cannot be
/// read, `Some(None)` where it has none.
pub fn status(owner: &Owner, place: &OpenClawHome, env: &Env, entry: Option<Option<&Entry>>) -> Result<Status> {
    let now = time::now();
    let found = in_force(owner, place, env, entry.flatten(), now)?;
    let stored = store::read(&owner.token_file);
    let shown = match &found {
        Ok(found) => Some(found.token.clone()),
        Err(_) => stored.as_ref().ok().cloned().flatten(),
    };
    let says = shown.as_ref().and_then(|token| claims::inspect(token).ok());
    let expires_at = says.as_ref().and_then(lifetime::expires_at);
    let loose = loose_files(place, env, Some(owner), entry.flatten());
    let (hook, chosen) = settings::hook_namespace(place)?;
    let hook = hook.map(|namespace| namespace.value);
    Ok(Status {
        namespace: owner.namespace.value.clone(),
        namespace_from: owner.namespace.origin.to_string(),
        mode: owner.mode.value.as_str(),
        api_url: owner.api_url.value.clone(),
        token_file: owner.token_file.clone(),
        token_from: found
            .as_ref()
            .map_or_else(|no_token| no_token.source, |found| found.source),
        state: state(&found, says.as_ref(), now),
        why_not: found.as_ref().err().map(NoToken::to_string),
        api_check: found.ok().map(|found| ask(owner, place, env, &found.token)),
        issued_at: says.as_ref().and_then(|says| says.iat).map(time::rfc3339),
        expires_at: expires_at.map(time::rfc3339),
        remaining_seconds: expires_at.map(|exp| exp.saturating_sub(now)),
        doubts: says.as_ref().map_or_else(Vec::new, |says| says.doubts(now)),
        expiry: says.as_ref().map(|says| lifetime::expiry_text(says, now)),
        config: place.config.clone(),
        config_has_same_token: entry.map(|entry| holds(entry, shown.as_ref())),
        config_holds_none: entry
            .flatten()
            .and_then(|entry| holds_none(entry, chosen.token_in_config)),
        watch: status::read(place),
        stored: stored::all(place, hook.as_deref())?,
        hook_namespace: hook,
        loose_files: loose.iter().map(LooseFile::text).collect(),
        readable_by_others: loose.into_iter().map(|file| file.path).collect(),
    })
}

/// The token that the hook would send.
fn in_force(
    owner: &Owner,
    place: &OpenClawHome,
    env: &Env,
    entry: Option<&Entry>,
    now: i64,
) -> Result<Result<OwnerToken, NoToken>> {
    let insecure = http::Options::from_env(env).insecure;
    let api = http::check_url(&owner.api_url.value, insecure).map_err(|error| {
        let what = format!("could not use the API URL (from {})", owner.api_url.origin);
        Error::new(ExitCode::Usage, what)
            .because(error)
            .next("log in with the right one: sigilum-authz-notify auth login --api-url <url>")
    })?;
    let has_record = settings::hook_namespace(place)?.0.is_some();
    Ok(owner_token::find(owner, &api, entry.filter(|_| !has_record), now))
}

/// Asks the API about the token; in oss-local mode about its secret, where that is known: the token need not be shown.
fn ask(owner: &Owner, place: &OpenClawHome, env: &Env, token: &SecretString) -> ApiCheck {
    let check = TokenCheck::new(owner, owner.loopback_trust(place), env);
    let is_local = owner.mode.value == Mode::OssLocal;
    let secret = is_local
        .then(|| {
            LocalApi::find(owner, place)
                .and_then(|api| api.secret(env))
                .ok()
                .flatten()
        })
        .flatten()
        .filter(|secret| claims::is_signed_by(token, &secret.value));
    let verdict = match secret {
        Some(secret) => check.secret(&secret.value, time::now()),
        None => check.token(token),
    };
    ApiCheck {
        result: verdict.name(),
        text: verdict.to_string(),
    }
}

/// A file that others may read and should not.
pub struct LooseFile {
    path: PathBuf,
    mode: u32,
}

impl LooseFile {
    /// One line for people.
    pub fn text(&self) -> String {
        format!(
            "others may read this file (mode {:04o}): chmod 600 {}",
            self.mode,
            fs::quoted(&self.path)
        )
    }
}

/// The files of a home with a token, a secret or a record that others may read. The next command that writes beside
/// them mends them, but for openclaw.json.
pub fn loose_files(place: &OpenClawHome, env: &Env, owner: Option<&Owner>, entry: Option<&Entry>) -> Vec<LooseFile> {
    let mut found = fs::readable_by_others(&place.sigilum_dir(), |_| true);
    let checkout = owner.and_then(|owner| Some(owner.source_home.as_ref()?.value.as_path()));
    let workspace = Workspace::find(env, checkout, &place.home);
    found.extend(fs::readable_by_others(workspace.dir(), Workspace::is_secret));
    let config = entry
        .and_then(Entry::token)
        .map(|token| config::files_with(place, &token));
    let token_file = owner.map(|owner| owner.token_file.clone());
    for file in token_file.iter().chain(config.iter().flatten()) {
        let (folder, name) = (file.parent(), file.file_name());
        if let Some(folder) = folder.filter(|folder| *folder != place.sigilum_dir()) {
            found.extend(fs::readable_by_others(folder, |other| {
                name.is_some_and(|name| name == other)
            }));
        }
    }
    found.into_iter().map(|(path, mode)| LooseFile { path, mode }).collect()
}

fn state(found: &Result<OwnerToken, NoToken>, says: Option<&Inspected>, now: i64) -> State {
    match found.as_ref().map_err(|no_token| &no_token.why) {
        Ok(_) if says.is_some_and(|says| lifetime::is_due(says, now)) => State::Due,
        Ok(_) => State::Valid,
        Err(WhyNot::None) => State::Missing,
        Err(WhyNot::Expired(_)) => State::Expired,
        Err(WhyNot::Invalid(_) | WhyNot::OtherNamespace) => State::Invalid,
        Err(WhyNot::OtherApi | WhyNot::UnknownApi | WhyNot::Unreadable(_)) => State::Unusable,
    }
}

fn holds(entry: Option<&Entry>, token: Option<&SecretString>) -> bool {
    let held = entry.and_then(Entry::token);
    held.zip(token)
        .is_some_and(|(held, token)| token.expose_secret() == held.expose_secret())
}

/// Why an entry is left without a token.
fn holds_none(entry: &Entry, token_in_config: Option<bool>) -> Option<&'static str> {
    match entry.token() {
        Some(_) => None,
        None if !entry.enabled => Some("holds no token: the hook is off"),
        None if token_in_config == Some(true) => None,
        None => Some("holds no token: the hook reads the token's file"),
    }
}

impl Status {
    /// Why the hook cannot ask with this token.
    fn problem(&self) -> Option<String> {
        if let Some(why) = &self.why_not {
            return Some(format!("the hook has no token that it can use: {why}"));
        }
        let refused = self.api_check.as_ref().filter(|check| check.result == "refused");
        refused.map(|_| "the API refuses the token that the hook uses".to_owned())
    }

    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!("Namespace:     {} (from {})", self.namespace, self.namespace_from),
            format!("Mode:          {}", self.mode),
            format!("API:           {}", self.api_url),
            format!("Token file:    {}", self.token_file.display()),
        ];
        lines.push(format!("State:         {}", self.state.text()));
        match &self.why_not {
            Some(why) => lines.push(format!("               {why}")),
            None if self.token_from == owner_token::IN_ENTRY => lines.push(
                "               the token in openclaw.json is used, as nobody has logged in to this home".to_owned(),
            ),
            None => {}
        }
        if let Some(issued) = &self.issued_at {
            lines.push(format!("Issued:        {issued}"));
        }
        if let Some(expiry) = &self.expiry {
            lines.push(format!("Expires:       {expiry}"));
        }
        lines.extend(self.doubts.iter().map(|doubt| format!("               {doubt}")));
        lines.extend(
            self.api_check
                .as_ref()
                .map(|check| format!("API check:     {}", check.text)),
        );
        lines.push(format!(
            "openclaw.json: {}",
            match self.config_has_same_token {
                Some(true) => "holds the same token",
                Some(false) => self.config_holds_none.unwrap_or("does not hold this token"),
                None => "cannot be read",
            }
        ));
        if let Some(hook) = &self.hook_namespace {
            lines.push(format!("Hook:          speaks for {hook}"));
        }
        let heads = std::iter::once("Stored:        ").chain(std::iter::repeat("               "));
        lines.extend(
            heads
                .zip(&self.stored)
                .map(|(head, stored)| format!("{head}{}", stored.text())),
        );
        lines.push(format!("Watcher:       {}", watch_text(self.watch.as_ref())));
        lines.extend(self.loose_files.iter().map(|file| format!("Problem:       {file}")));
        lines
    }
}

/// The watcher in one line; `none` where none ever served this home.
pub fn watch_text(watch: Option<&WatchStatus>) -> String {
    let Some(watch) = watch else { return "none".to_owned() };
    let state = if watch.running { "runs" } else { "is gone" };
    let homes = watch.homes.iter().map(|home| {
        let due = match (&home.next_due_at, &home.expires_at) {
            (Some(due), _) => format!(", next renewal {due}"),
            (None, Some(_)) => ", nothing renews this token".to_owned(),
            (None, None) => String::new(),
        };
        let error = home
            .last_error
            .as_ref()
            .map_or_else(String::new, |error| format!(", fails: {error}"));
        format!("{due}{error}")
    });
    format!("process {} {state}{}", watch.pid, homes.collect::<String>())
}
