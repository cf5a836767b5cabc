//! What `hook install` notes in the hook's record: who reads the notice, and what of the environment counts for what the
//! OpenClaw gateway starts.

use crate::cli::HookInstallArgs;
use crate::cmd::context::{self, TRUST_HOME};
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::home::{self, OpenClawHome};
use crate::hook::command::{VOUCHED, channel_of, is_on_a_channel, is_vouched};
use crate::hook::event::{is_channel, sender_ids};
use crate::hook::notice::is_plain_url;
use crate::hook_record::{Groups, HookRecord};
use crate::openclaw::channel;
use crate::origin::Origin;
use crate::sigilum::http::{self, HttpError, PROXY_VARIABLES};
use crate::text::pasted::is_placeholder;
use clap::ValueEnum;
use std::collections::BTreeSet;
use std::path::Path;

/// What `--from-env` records under its own name, after the way to the API.
const RECORDED: [&str; 9] = [
    "SIGILUM_ALLOW_INSECURE_HTTP",
    TRUST_HOME,
    "SIGILUM_SOURCE_HOME",
    "SIGILUM_API_DB",
    "SIGILUM_OWNER_TOKEN_TTL_SECONDS",
    "SIGILUM_OWNER_TOKEN_COMMAND",
    "OPENCLAW_NIX_MODE",
    "OPENCLAW_CONFIG_READONLY",
    "OPENCLAW_INCLUDE_ROOTS",
];

/// In less no API is asked, and each notice would be that there was no time.
const SHORTEST_LIMIT_MS: u64 = 100;

/// What nobody records, as it is a secret.
const SECRETS: [&str; 4] = [
    "SIGILUM_OWNER_TOKEN",
    "JWT_SECRET",
    "GATEWAY_ADMIN_TOKEN",
    "GATEWAY_MASTER_KEY",
];

/// Notes in the record what the flags say, and says what a person should know of it.
///
/// # Errors
/// [`ExitCode::Usage`] for a value that cannot be used, and for `--from-env` inside OpenClaw.
pub fn choose(record: &mut HookRecord, args: &HookInstallArgs, place: &OpenClawHome, env: &Env) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    if args.from_env {
        notes.extend(from_env(record, env)?);
    }
    if let Some(senders) = &args.senders {
        let senders = listed(&Origin::Flag("--senders"), senders)?;
        record.senders = (!senders.is_empty()).then_some(senders);
    }
    if let Some(text) = &args.deciders {
        let deciders = parse_deciders(text, env)?;
        let called = context::with_openclaw(context::called(&args.place), Some(record), place, env);
        let vouched = vouch(record, &deciders, place);
        notes.extend(vouched.iter().map(|note| called.complete(note)));
        record.deciders = (!deciders.is_empty()).then_some(deciders);
    }
    record.groups = args.groups.or(record.groups);
    if let Some(target) = &args.notify {
        notes.extend(notify(record, target, place, env)?);
    }
    record.poll_requests = args.poll_requests.or(record.poll_requests);
    // Of an agent's shell nobody knows which program its PATH leads to, nor whom its owner trusts.
    if env.var("OPENCLAW_SHELL").is_none() {
        notes.extend(trust_home(record, env));
        let found = context::openclaw_program(env);
        match found.as_deref().map(fs::refuse_anothers_program) {
            Some(Err(why)) => notes.push(format!("openclaw is not recorded: {}", why.text())),
            _ => record.openclaw = found.or(record.openclaw.take()),
        }
    }
    if let Some(url) = &args.dashboard {
        record.dashboard = dashboard(url, &Origin::Flag("--dashboard"), env)?;
    }
    if let Some(url) = &args.proxy {
        // One under another name would win over it.
        PROXY_VARIABLES.iter().for_each(|name| put(record, name, ""));
        put(record, "HTTPS_PROXY", url);
    }
    if let Some(file) = &args.ca_file {
        let file = match file.as_str() {
            "" => String::new(),
            file => ca_file(Path::new(file))?,
        };
        put(record, "SSL_CERT_FILE", &file);
    }
    if args.from_env || args.proxy.is_some() || args.ca_file.is_some() {
        refuse_unusable(record, args)?;
    }
    Ok(notes)
}

/// Records whom to tell at once, and says where nobody can be told there.
fn notify(record: &mut HookRecord, target: &str, place: &OpenClawHome, env: &Env) -> Result<Option<String>> {
    refuse_an_agents_shell("whom to tell", env)?;
    record.notify = match target {
        "" => None,
        text if is_nothing(text) => return Err(invalid_target(text)),
        text => Some(text.parse().map_err(|_| invalid_target(text))?),
    };
    let channel = record.notify.as_ref().map(|target| &target.channel);
    let missing = channel.filter(|channel| matches!(channel::fingerprint(place, channel), Ok(None)));
    Ok(missing.map(|channel| {
        format!("notify: openclaw.json has no settings of channel {channel}, so nobody is told there; set it up")
    }))
}

/// What a person types for a home that others may write to holds for what the OpenClaw gateway starts there too, which
/// could decide nothing else; any other value takes it back.
fn trust_home(record: &mut HookRecord, env: &Env) -> Option<String> {
    env.var(TRUST_HOME)?;
    let is_on = env.is_on(TRUST_HOME);
    put(record, TRUST_HOME, if is_on { "1" } else { "" });
    let note = "whoever can write to this home is trusted from now on, also by what the OpenClaw gateway starts";
    is_on.then(|| note.to_owned())
}

/// An empty value takes a variable back.
fn put(record: &mut HookRecord, name: &str, value: &str) {
    match value {
        "" => drop(record.env.remove(name)),
        value => drop(record.env.insert(name.to_owned(), value.to_owned())),
    }
}

/// Refuses where an agent may have typed the command.
///
/// # Errors
/// It is an agent's shell.
pub fn refuse_an_agents_shell(what: &str, env: &Env) -> Result<()> {
    if env.var("OPENCLAW_SHELL").is_none() {
        return Ok(());
    }
    let what = format!("could not record {what}: this is an agent's shell (OPENCLAW_SHELL is set)");
    Err(Error::new(ExitCode::Usage, what).next("run it in a terminal of your own"))
}

fn invalid_target(text: &str) -> Error {
    Error::new(
        ExitCode::Usage,
        format!("invalid --notify {text:?}: a channel, `:` and whom in it"),
    )
    .next("give it as --notify matrix:@alice:localhost")
}

/// The ids of a list. Only an empty text is meant to name nobody: of commas alone the ids are missing, as where variables
/// are not set.
fn listed(origin: &Origin, text: &str) -> Result<Vec<String>> {
    let ids = sender_ids(text);
    let why = match ids.iter().find_map(|id| nobodys(id)) {
        Some(why) => why,
        None if ids.is_empty() && !text.is_empty() => "there is no id in it",
        None => return Ok(ids),
    };
    const EXAMPLE: &str = "telegram:123456789";
    let next = match origin {
        Origin::Flag("--senders") => {
            format!("give ids as --senders {EXAMPLE}; for whoever writes in a direct chat: --senders ''")
        }
        Origin::Flag(flag) => format!("give ids as {flag} {EXAMPLE}; for nobody: {flag} ''"),
        _ => origin.mend("--senders", EXAMPLE, ""),
    };
    Err(unusable(&origin.to_string(), text, why).next(next))
}

/// An id without its channel.
fn on_its_channel(id: &str) -> &str {
    let of_channel = id.split_once(':').filter(|(channel, _)| is_channel(channel));
    of_channel.map_or(id, |(_, own)| own)
}

/// Whether an id is none, but a variable's name or quotes that a shell or a script left.
fn is_nothing(id: &str) -> bool {
    // Within an id they may stand.
    let is_quoted = |text: &str| text.starts_with(['"', '\'']) || text.ends_with(['"', '\'']);
    // Discord and Slack write `<@123>` for somebody.
    let stands_in = |text: &str| is_placeholder(text) && !text.starts_with("<@");
    [id, on_its_channel(id)]
        .into_iter()
        .any(|text| is_quoted(text) || stands_in(text))
}

/// Why no sender has this id; `None` where one may.
fn nobodys(id: &str) -> Option<&'static str> {
    let own = on_its_channel(id);
    if id == "*" {
        Some("`*` is nobody's id")
    } else if own.is_empty() || id.strip_suffix(':').is_some_and(|name| !name.contains(':')) {
        Some("the id is missing after its channel")
    } else if is_nothing(id) {
        Some("it only stands for an id, as a shell or a script leaves it")
    } else if id
        .strip_prefix("telegram:")
        .is_some_and(|number| !number.bytes().all(|byte| byte.is_ascii_digit()))
    {
        // The name of a Telegram account can be given up and taken by another one; OpenClaw gives the number.
        Some("on Telegram a sender is known by a number of digits alone")
    } else {
        None
    }
}

/// Who may decide, each with the channel: an id alone could be somebody else's on another one.
///
/// # Errors
/// [`ExitCode::Usage`] for an id without its channel, and inside OpenClaw.
pub fn parse_deciders(text: &str, env: &Env) -> Result<Vec<String>> {
    refuse_an_agents_shell("who decides", env)?;
    let deciders = listed(&Origin::Flag("--deciders"), text)?;
    if let Some(id) = deciders.iter().find(|id| !is_on_a_channel(id)) {
        let what = format!("could not use the decider {id:?}: it names no channel");
        return Err(Error::new(ExitCode::Usage, what).next("give it as --deciders <channel>:<sender id>"));
    }
    Ok(deciders)
}

/// Records what the channels are set to now, and says for which.
fn vouch(record: &mut HookRecord, deciders: &[String], place: &OpenClawHome) -> Vec<String> {
    let channels: BTreeSet<&str> = deciders.iter().map(|id| channel_of(id)).collect();
    record.decider_channels.clear();
    let mut notes = Vec::new();
    for channel in channels {
        if !is_vouched(channel) {
            let known = VOUCHED.join(", ");
            notes.push(format!(
                "deciders: nothing is decided over channel {channel}, whose service vouches for no sender; these do: {known}"
            ));
            continue;
        }
        notes.push(match channel::fingerprint(place, channel) {
            Ok(Some(fingerprint)) => {
                record.decider_channels.insert(channel.to_owned(), fingerprint);
                format!(
                    "decisions come over channel {channel} as openclaw.json sets it now; look at it: openclaw config get \
                     channels.{channel}"
                )
            }
            Err(why) => format!(
                "deciders: nothing is decided over channel {channel}: {}; correct it, then give --deciders again",
                why.text()
            ),
            Ok(None) => format!(
                "deciders: openclaw.json has no settings of channel {channel}, so nothing is decided there; set it up, \
                 then give --deciders again"
            ),
        });
    }
    notes
}

/// Where requests are answered, as a person gave it; `None` for none. A notice that cannot show it would name another.
fn dashboard(url: &str, origin: &Origin, env: &Env) -> Result<Option<String>> {
    const EXAMPLE: &str = "https://sigilum.id";
    let url = url.trim();
    let invalid = |why: String| {
        let what = format!("invalid address of the dashboard (from {origin}): {why}");
        Error::new(ExitCode::Usage, what).next(origin.mend("--dashboard", EXAMPLE, ""))
    };
    if url.is_empty() {
        return Ok(None);
    }
    http::check_url(url, http::Options::from_env(env).insecure).map_err(|why| invalid(why.to_string()))?;
    if !is_plain_url(url) {
        return Err(invalid(
            "a notice shows at most 120 letters, digits and ._:/~- of it".to_owned(),
        ));
    }
    Ok(Some(url.to_owned()))
}

/// What the hook would fail with is refused before it is recorded.
fn refuse_unusable(record: &HookRecord, args: &HookInstallArgs) -> Result<()> {
    let has_scheme = |url: &String| url.is_empty() || url.contains("://");
    let checked = match args.proxy.as_ref().is_none_or(has_scheme) {
        true => http::Options::from_env(&record.recorded_env()).check(),
        false => Err(HttpError::BadProxy),
    };
    let (what, next) = match checked {
        Ok(()) => return Ok(()),
        // Not quoted: a password may stand in it.
        Err(HttpError::BadProxy | HttpError::BadRecordedProxy) => (
            "could not use the proxy: it is not a valid http:// or https:// URL".to_owned(),
            "give it as --proxy http://host:port",
        ),
        Err(_) => (
            format!(
                "could not use the certificates, there are none in PEM form: {}",
                record.roots()
            ),
            "give a file of PEM certificates with --ca-file",
        ),
    };
    Err(Error::new(ExitCode::Usage, what).next(next))
}

fn ca_file(file: &Path) -> Result<String> {
    let path = home::absolute(file)?;
    if path.exists() {
        return Ok(path.to_string_lossy().into_owned());
    }
    let what = format!(
        "could not use the certificates, there is no such file: {}",
        path.display()
    );
    Err(Error::new(ExitCode::Usage, what).next("give a file of PEM certificates with --ca-file"))
}

fn unusable(name: &str, text: &str, why: &str) -> Error {
    Error::new(ExitCode::Usage, format!("invalid {name} {text:?}: {why}"))
}

/// Records what is set at this moment; what is not set is taken back.
fn from_env(record: &mut HookRecord, env: &Env) -> Result<Vec<String>> {
    if env.var("OPENCLAW_SHELL").is_some() {
        return Err(Error::new(
            ExitCode::Usage,
            "could not record the environment: it is one of OpenClaw's (OPENCLAW_SHELL is set), which agents can fill",
        )
        .next("run it in a terminal of your own"));
    }
    let mut names = Vec::new();
    let mut take = |name: &'static str| {
        let value = env.var(name);
        names.extend(value.map(|_| name));
        value
    };
    for name in http::way_variables().chain(RECORDED) {
        let value = take(name).unwrap_or_default();
        // So NO_PROXY says which hosts are near.
        if is_placeholder(value) && value != "<local>" {
            let why = "it only stands for a value, as a shell or a script leaves it";
            return Err(unusable(name, value, why).next(format!("unset {name}")));
        }
        put(record, name, value);
    }
    // What has a field of its own stays where it is not set: a list of senders is not lifted by the way.
    const SENDERS: &str = "SIGILUM_NOTIFY_SENDERS";
    if let Some(text) = take(SENDERS) {
        record.senders = Some(listed(&Origin::Env(SENDERS), text)?);
    }
    const GROUPS: &str = "SIGILUM_NOTIFY_GROUPS";
    if let Some(text) = take(GROUPS) {
        let groups = Groups::from_str(text.trim(), true);
        let refused =
            |_| unusable(GROUPS, text, "it is none of off, brief and full").next(format!("export {GROUPS}=brief"));
        record.groups = Some(groups.map_err(refused)?);
    }
    const DASHBOARD: &str = "SIGILUM_DASHBOARD_URL";
    if let Some(url) = take(DASHBOARD) {
        record.dashboard = dashboard(url, &Origin::Env(DASHBOARD), env)?;
    }
    const LIMIT: &str = "SIGILUM_HOOK_TIMEOUT_MS";
    if let Some(text) = take(LIMIT) {
        let limit = text.trim().parse().ok().filter(|ms| *ms >= SHORTEST_LIMIT_MS);
        let refused = || {
            let why = format!("it is no number of milliseconds, {SHORTEST_LIMIT_MS} or more");
            unusable(LIMIT, text, &why).next(format!("export {LIMIT}=4000"))
        };
        record.timeout_ms = Some(limit.ok_or_else(refused)?);
    }
    let secrets: Vec<&str> = SECRETS.into_iter().filter(|name| env.var(name).is_some()).collect();
    let list = |names: &[&str]| match names {
        [] => "nothing".to_owned(),
        names => names.join(", "),
    };
    let mut notes = vec![format!("recorded from the environment: {}", list(&names))];
    if !secrets.is_empty() {
        notes.push(format!("not recorded, as these are secrets: {}", secrets.join(", ")));
    }
    Ok(notes)
}
