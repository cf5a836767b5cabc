//! What a person chose for the hook of an OpenClaw home: `<home>/.sigilum/hook.json`, 0600. Written by `auth login`, `auth
//! switch` and `hook install`. Agents can edit openclaw.json, and through it the OpenClaw gateway's environment; this
//! file is what counts instead.

use crate::env::Env;
use crate::error::{Error, ExitCode, OrFail, Result};
use crate::fs::{self, OwnLock};
use crate::home::OpenClawHome;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A few short strings and lists; anything larger is no such record.
const MAX_BYTES: u64 = 256 * 1024;

/// How much a notice says outside a direct chat with its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Groups {
    /// One line with the number of requests.
    Brief,
    /// The whole notice.
    Full,
    /// Nothing.
    Off,
}

impl Groups {
    /// The name as flags and the record spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Brief => "brief",
            Self::Full => "full",
            Self::Off => "off",
        }
    }
}

/// How often the API is asked for requests where nobody chose, seconds; and the least that may be chosen.
pub const POLL_REQUESTS: u64 = 15;
/// See [`POLL_REQUESTS`].
pub const LEAST_POLL_REQUESTS: u64 = 5;

/// A chat of OpenClaw's: `matrix:@alice:localhost`, `irc:alice!~alice@host`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChatTarget {
    /// OpenClaw's name of the channel: `matrix`.
    pub channel: String,
    /// Whom or where, as that channel writes it: `@alice:localhost`.
    pub to: String,
}

impl FromStr for ChatTarget {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let is_channel = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.len() <= 40
                && name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let is_target = |to: &str| {
            (1..=256).contains(&to.len()) && !to.contains(|c: char| c.is_control() || c.is_whitespace() || c == ',')
        };
        match text.split_once(':') {
            Some((channel, to)) if is_channel(channel) && is_target(to) => Ok(Self {
                channel: channel.to_owned(),
                to: to.to_owned(),
            }),
            _ => Err("give a channel and whom in it: matrix:@alice:localhost".to_owned()),
        }
    }
}

impl TryFrom<String> for ChatTarget {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        text.parse()
    }
}

impl From<ChatTarget> for String {
    fn from(target: ChatTarget) -> Self {
        target.to_string()
    }
}

impl fmt::Display for ChatTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.channel, self.to)
    }
}

/// Seconds of `--poll-requests`: `15`, `15s`, `2m`; `0` and `off` are 0.
///
/// # Errors
/// What to give instead.
pub fn poll_requests(text: &str) -> std::result::Result<u64, String> {
    let (number, unit) = match text {
        "off" => ("0", 1),
        text => match text.strip_suffix('m') {
            Some(minutes) => (minutes, 60),
            None => (text.strip_suffix('s').unwrap_or(text), 1),
        },
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    let good = |seconds: &u64| bounded(*seconds) == *seconds;
    seconds
        .filter(good)
        .ok_or_else(|| format!("give {LEAST_POLL_REQUESTS}s to 60m, or off"))
}

/// The nearest time, seconds, at which requests may be asked for; 0, never, is one.
pub fn bounded(seconds: u64) -> u64 {
    match seconds {
        0 => 0,
        _ => seconds.clamp(LEAST_POLL_REQUESTS, 3_600),
    }
}

/// The record. A field that is absent was not chosen, and its default counts. Fields of other versions are kept.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookRecord {
    /// The namespace that the hook speaks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The hook's last install was not to switch it on (`--enable false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub off: bool,
    /// Whether the owner token stands in openclaw.json. Absent (a home of 0.1.0): nobody chose, so the stored token is
    /// kept up to date where it stands, and goes nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_in_config: Option<bool>,
    /// Who may read the whole notice in a direct chat: sender ids, `irc:alice!~alice@host` or without the channel.
    /// Absent: whoever is in a direct chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub senders: Option<Vec<String>>,
    /// Who may decide requests in the chat: sender ids with their channel, `telegram:123456789`. Absent: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deciders: Option<Vec<String>>,
    /// What tells the settings of the deciders' channels in openclaw.json from others, as they were then, by channel.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub decider_channels: BTreeMap<String, String>,
    /// How much is said elsewhere; absent: [`Groups::Brief`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Groups>,
    /// Where requests are answered: a URL for the notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dashboard: Option<String>,
    /// The budget of a whole answer, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The program that hook and plugin start, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary: Option<PathBuf>,
    /// Where the owner is told at once of requests; absent: nobody is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<ChatTarget>,
    /// How often the API is asked for requests, seconds; absent: [`POLL_REQUESTS`], 0: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll_requests: Option<u64>,
    /// The `openclaw` program that takes messages for the chat from `watch`, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openclaw: Option<PathBuf>,
    /// The unit of the service that runs the watcher of this home, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<PathBuf>,
    /// The broker that keeps the token and asks with it; absent: this home has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker: Option<BrokerRecord>,
    /// The OpenClaw config where it is not `<home>/openclaw.json`: from the home where it lies in it, else absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<PathBuf>,
    /// The home whose config one outside of it is: a copy of that home must leave it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_of: Option<PathBuf>,
    /// All of the environment that counts for what the OpenClaw gateway starts: proxies, CA, and what `hook install
    /// --from-env` recorded.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The Sigilum checkouts of logins that a logout took, by namespace: for the steps that print the login again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub former_checkouts: BTreeMap<String, PathBuf>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

impl HookRecord {
    /// The file of certificates, and folders with more, that are recorded.
    pub fn roots(&self) -> String {
        let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(|name| self.env.get(name).map(String::as_str));
        named.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// The flag with the checkout of the login that a namespace had here, a blank before it; nothing where none is known, or
    /// it is gone.
    pub fn former_checkout(&self, namespace: &str) -> String {
        let known = self
            .former_checkouts
            .get(namespace)
            .filter(|checkout| checkout.is_dir());
        known.map_or_else(String::new, |checkout| {
            format!(" --source-home {}", fs::quoted(checkout))
        })
    }

    /// The environment that is recorded.
    pub fn recorded_env(&self) -> Env {
        Env::from_pairs(self.env.iter().map(|(name, value)| (name.as_str(), value))).recorded()
    }

    /// Notes the config of a home.
    pub fn name_config(&mut self, place: &OpenClawHome) {
        let inside = place.config.strip_prefix(&place.home);
        self.config_of = inside.is_err().then(|| place.home.clone());
        self.config = match inside {
            Ok(name) if name == Path::new("openclaw.json") => None,
            Ok(name) => Some(name.to_owned()),
            Err(_) => Some(place.config.clone()),
        };
    }

    /// The config that is recorded for this home, absolute.
    pub fn config_for(&self, home: &Path) -> Option<PathBuf> {
        let named = home.join(self.config.as_ref()?);
        (!self.is_config_anothers(home)).then_some(named)
    }

    /// Whether the config that is recorded is another home's, of which this one is a copy, or was before it moved.
    pub fn is_config_anothers(&self, home: &Path) -> bool {
        let is_outside = self
            .config
            .as_ref()
            .is_some_and(|config| !home.join(config).starts_with(home));
        let is = |other: &PathBuf| other == home || other.canonicalize().ok() == home.canonicalize().ok();
        is_outside && !self.config_of.as_ref().is_some_and(is)
    }
}

/// A broker, as `hook install --broker` found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerRecord {
    /// Its socket, absolute.
    pub socket: PathBuf,
    /// The number of the user that it runs as: what anybody else says there is not believed.
    pub uid: u32,
    /// The namespace, where it is not the broker's own choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

impl fmt::Debug for HookRecord {
    /// Not the environment's values: a proxy's may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookRecord")
            .field("namespace", &self.namespace)
            .field("token_in_config", &self.token_in_config)
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The record in a file; `None` where there is none.
pub fn read(path: &Path) -> Result<Option<HookRecord>> {
    let Some(bytes) = fs::read_record(path, MAX_BYTES, anew)? else {
        return Ok(None);
    };
    // serde_json's message may quote the file; its line and column are enough.
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        Error::new(
            ExitCode::Failure,
            format!(
                "could not read the hook's record, line {} column {}: {}",
                error.line(),
                error.column(),
                path.display()
            ),
        )
        .next(install_anew(path))
    })
}

/// What to do about a record that somebody else may have written: nothing in it is in the command.
pub fn anew(path: &Path) -> String {
    let remove = fs::removal(path);
    format!(
        "look at it, then make it anew, with senders, groups and broker: {remove} && sigilum-authz-notify hook install"
    )
}

/// How a record that cannot be used is replaced: nothing else has what was chosen in it, such as who reads the notice. Its
/// broker goes on, where the file is this user's own: without it the next login would be here, where agents read it.
pub fn install_anew(path: &Path) -> String {
    let remove = fs::removal(path);
    let bytes = fs::read_private_of(path, MAX_BYTES, rustix::process::geteuid().as_raw());
    let socket = bytes
        .ok()
        .flatten()
        .and_then(|bytes| socket_in(&String::from_utf8_lossy(&bytes)));
    match socket {
        Some(socket) => format!(
            "{remove} && sigilum-authz-notify hook install --broker {}; give {LOST}",
            fs::quoted(&socket)
        ),
        None => format!("{remove} && sigilum-authz-notify hook install; give --broker, {LOST}"),
    }
}

/// What is chosen nowhere else.
const LOST: &str = "--namespace, --senders, --deciders, --groups, --notify, --poll-requests, --dashboard, \
                    --token-in-config, --proxy, --ca-file and --from-env again, which are lost with it";

/// The broker's socket, as a text names it that is no record any more.
fn socket_in(text: &str) -> Option<PathBuf> {
    let signs = ["\"broker\"", "\"socket\"", ":"];
    let value = signs
        .iter()
        .try_fold(text, |rest, sign| Some(rest.split_once(sign)?.1))?;
    let socket: String = serde_json::Deserializer::from_str(value).into_iter().next()?.ok()?;
    let is_path = socket.starts_with('/') && !socket.contains(|c: char| c.is_control());
    is_path.then(|| PathBuf::from(socket))
}

/// Replaces the record.
pub fn write(lock: &OwnLock, path: &Path, record: &HookRecord) -> Result<()> {
    lock.write_private(path, &text(path, record)?)?;
    Ok(())
}

/// The record as it stands in its file.
pub fn text(path: &Path, record: &HookRecord) -> Result<Vec<u8>> {
    let what = || format!("could not write the hook's record: {}", path.display());
    let mut bytes = serde_json::to_vec_pretty(record).or_fail(ExitCode::Failure, what)?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home;

    #[test]
    fn what_is_typed_for_messages() {
        let targets = [
            ("matrix:@alice:localhost", Some(("matrix", "@alice:localhost"))),
            ("irc:alice!~alice@host", Some(("irc", "alice!~alice@host"))),
            ("telegram:123456789", Some(("telegram", "123456789"))),
            ("matrix", None),
            ("matrix:", None),
            (":@alice:localhost", None),
            ("Matrix:@alice", None),
            ("--params:x", None),
            ("irc:a b", None),
            ("matrix:@a:b,telegram:5", None),
            ("irc:a\nb", None),
        ];
        for (text, wanted) in targets {
            let parsed = text.parse::<ChatTarget>().ok();
            let parts = parsed.as_ref().map(|target| (&target.channel[..], &target.to[..]));
            assert_eq!(parts, wanted, "{text}");
        }
        let times = [
            ("15", Some(15)),
            ("5s", Some(5)),
            ("2m", Some(120)),
            ("0", Some(0)),
            ("off", Some(0)),
        ];
        for (text, seconds) in times
            .into_iter()
            .chain(["4s", "1h", "61m", "-5", "s", ""].map(|bad| (bad, None)))
        {
            assert_eq!(poll_requests(text).ok(), seconds, "{text:?}");
        }
    }

    #[test]
    fn what_another_version_wrote_survives_a_rewrite() {
        let dir = tempfile::tempdir().unwrap();
        let env = Env::from_pairs([("HOME", dir.path().to_str().unwrap())]);
        let place = home::find(None, None, &env).unwrap();
        let path = place.hook_record_file();
        assert!(read(&path).unwrap().is_none());

        let lock = fs::lock_sigilum(&place).unwrap();
        let text = r#"{"namespace": "alice", "groups": "off", "later": {"port": 7}}"#;
        lock.write_private(&path, text.as_bytes()).unwrap();
        let mut record = read(&path).unwrap().unwrap();
        assert_eq!(record.groups, Some(Groups::Off));
        record.namespace = Some("bob".to_owned());
        record
            .env
            .insert("HTTPS_PROXY".to_owned(), "http://u:pass@proxy".to_owned());
        write(&lock, &path, &record).unwrap();
        let written: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let wanted = serde_json::json!({"namespace": "bob", "groups": "off", "later": {"port": 7},
            "env": {"HTTPS_PROXY": "http://u:pass@proxy"}});
        assert_eq!(written, wanted);
        assert!(!format!("{record:?}").contains("pass"));
    }
}
