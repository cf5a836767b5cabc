//! What is in force: flags, environment, openclaw.json and files, and who wins among them.

use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::home::{OpenClawHome, absolute};
use crate::hook_record::{self, HookRecord};
use crate::mode::Mode;
use crate::sigilum::checkout;
use crate::sigilum::http::LoopbackTrust;
use crate::text::is_unset;
use crate::token::record::{self, Record};
use crate::token::times::LONGEST;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where a setting came from, for messages: "namespace alice (from SIGILUM_NAMESPACE)".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A command-line flag.
    Flag(&'static str),
    /// The claims of an explicitly given token.
    Token,
    /// An environment variable.
    Env(&'static str),
    /// The hook's entry in openclaw.json.
    Entry,
    /// The record `<home>/.sigilum/owner-<ns>.json`.
    Record,
    /// The record `<home>/.sigilum/hook.json`.
    HookRecord,
    /// The record `<home>/.sigilum/owner-<ns>.json` that was written last.
    LastRecord,
    /// The only record or token file there is.
    OnlyOne,
    /// Found by looking upward from the working directory.
    Found,
    /// The source checkout's `.dev.vars`.
    Checkout,
    /// A file beside our own embedded database.
    Embedded,
    /// The specification's default.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Env(name) => f.write_str(name),
            Self::Token => f.write_str("the token's claims"),
            Self::Entry => f.write_str("the hook's entry in openclaw.json"),
            Self::Record => f.write_str("the record of the last login"),
            Self::HookRecord => f.write_str("the hook's record"),
            Self::LastRecord => f.write_str("the newest record"),
            Self::OnlyOne => f.write_str("the only record or token file there is"),
            Self::Found => f.write_str("a look upward of the working directory"),
            Self::Checkout => f.write_str("the checkout's .dev.vars"),
            Self::Embedded => f.write_str("the embedded database's secret file"),
            Self::Default => f.write_str("the default"),
        }
    }
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value in force.
    pub value: T,
    /// Who set it.
    pub origin: Origin,
}

/// Reads the env of the hook's entry in openclaw.json; `None` where there is no entry.
pub type AskEntry<'a> = &'a dyn Fn() -> Result<Option<BTreeMap<String, String>>>;

/// What a command knows before [`owner`] decides: its flags, and where to look beyond them.
#[derive(Default)]
pub struct OwnerQuery<'a> {
    /// `--namespace`
    pub namespace: Option<&'a str>,
    /// `--mode`
    pub mode: Option<Mode>,
    /// `--api-url`
    pub api_url: Option<&'a str>,
    /// `--token-file`
    pub token_file: Option<&'a Path>,
    /// `--source-home`
    pub source_home: Option<&'a Path>,
    /// `--api-db`
    pub api_db: Option<&'a Path>,
    /// `--email`
    pub email: Option<&'a str>,
    /// The namespace in the claims of an explicitly given token.
    pub token_namespace: Option<&'a str>,
    /// The env of the hook's entry in openclaw.json, asked for only when it can decide something.
    pub entry_env: Option<AskEntry<'a>>,
    /// The command writes or removes the record: one that cannot be read is no obstacle.
    pub replaces_record: bool,
    /// A person's command: a source checkout may be found by looking upward from the working directory.
    pub interactive: bool,
}

/// Everything a command needs to know about one namespace owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The namespace.
    pub namespace: Sourced<String>,
    /// managed or oss-local.
    pub mode: Sourced<Mode>,
    /// The API's base URL, without a trailing slash.
    pub api_url: Sourced<String>,
    /// The owner's e-mail.
    pub email: Sourced<String>,
    /// The token's file.
    pub token_file: PathBuf,
    /// oss-local: the Sigilum source checkout, where one is in force.
    pub source_home: Option<Sourced<PathBuf>>,
    /// oss-local: the API's database, where one is named outright (flag, `SIGILUM_API_DB` or record).
    pub api_db: Option<Sourced<PathBuf>>,
    /// The record of this namespace's last login, where there is one.
    pub record: Option<Record>,
}

impl Owner {
    /// Whose servers on this machine this owner's secrets may be sent to, as the last login said.
    pub fn loopback_trust(&self, place: &OpenClawHome) -> LoopbackTrust {
        loopback_trust(self.record.as_ref().is_some_and(|record| record.trust_loopback), place)
    }
}

/// Whose servers on this machine an owner's secrets may be sent to: anyone's, where a person said so; else ours and
/// root's, and, for root in a person's home, that person's.
pub fn loopback_trust(anyone: bool, place: &OpenClawHome) -> LoopbackTrust {
    if anyone {
        return LoopbackTrust::Anyone;
    }
    let home = rustix::process::geteuid()
        .is_root()
        .then(|| std::fs::metadata(&place.home).ok())
        .flatten();
    home.map_or(LoopbackTrust::Ours, |home| LoopbackTrust::OursAnd(home.uid()))
}

/// The namespace owner in force. Precedence: the README's settings table.
pub fn owner(query: &OwnerQuery, env: &Env, place: &OpenClawHome) -> Result<Owner> {
    let entry = LazyEntry {
        ask: query.entry_env,
        answer: OnceCell::new(),
    };
    let namespace = namespace(query, env, place, &entry)?;
    let record = match record::read(&place.record_file(&namespace.value)) {
        Err(_) if query.replaces_record => None,
        record => record?,
    };
    // An entry of another namespace says nothing about this one.
    let entry_value = |name: &str| -> Result<Option<String>> {
        let env = entry.env()?;
        let same = env
            .and_then(|env| env.get("SIGILUM_NAMESPACE"))
            .is_none_or(|ns| *ns == namespace.value);
        Ok(if same {
            env.and_then(|env| env.get(name))
                .filter(|value| !is_unset(value))
                .cloned()
        } else {
            None
        })
    };

    let mode = match (query.mode, env.var("SIGILUM_MODE")) {
        (Some(mode), _) => Sourced {
            value: mode,
            origin: Origin::Flag("--mode"),
        },
        (None, Some(text)) => Sourced {
            value: parse_mode(text, "SIGILUM_MODE")?,
            origin: Origin::Env("SIGILUM_MODE"),
        },
        (None, None) => match &record {
            Some(record) => Sourced {
                value: record.mode,
                origin: Origin::Record,
            },
            None => match entry_value("SIGILUM_MODE")? {
                Some(text) => Sourced {
                    value: parse_mode(&text, "SIGILUM_MODE in openclaw.json")?,
                    origin: Origin::Entry,
                },
                None => Sourced {
                    value: Mode::Managed,
                    origin: Origin::Default,
                },
            },
        },
    };
    check_namespace(&namespace, mode.value)?;

    // What the record or the entry says of the API holds for their own mode only.
    let record_of_mode = record.as_ref().filter(|record| record.mode == mode.value);
    let api_url = match (query.api_url, env.var("SIGILUM_API_URL")) {
        (Some(url), _) => Sourced {
            value: url.to_owned(),
            origin: Origin::Flag("--api-url"),
        },
        (None, Some(url)) => Sourced {
            value: url.to_owned(),
            origin: Origin::Env("SIGILUM_API_URL"),
        },
        (None, None) => match record_of_mode {
            Some(record) => Sourced {
                value: record.api_url.clone(),
                origin: Origin::Record,
            },
            None => {
                let of_mode = entry_value("SIGILUM_MODE")?.is_some_and(|text| text == mode.value.as_str());
                match entry_value("SIGILUM_API_URL")?.filter(|_| of_mode) {
                    Some(url) => Sourced {
                        value: url,
                        origin: Origin::Entry,
                    },
                    None => Sourced {
                        value: default_api_url(mode.value).to_owned(),
                        origin: Origin::Default,
                    },
                }
            }
        },
    };
    let api_url = Sourced {
        value: api_url.value.trim_end_matches('/').to_owned(),
        origin: api_url.origin,
    };

    let email = match (query.email, env.var("SIGILUM_OWNER_EMAIL"), &record) {
        (Some(email), _, _) => Sourced {
            value: email.to_owned(),
            origin: Origin::Flag("--email"),
        },
        (None, Some(email), _) => Sourced {
            value: email.to_owned(),
            origin: Origin::Env("SIGILUM_OWNER_EMAIL"),
        },
        (None, None, Some(record)) => Sourced {
            value: record.email.clone(),
            origin: Origin::Record,
        },
        (None, None, None) => Sourced {
            value: format!("{}@local.sigilum", namespace.value),
            origin: Origin::Default,
        },
    };
    check_email(&email)?;

    let token_file = match (query.token_file, &record) {
        (Some(path), _) => absolute(path)?,
        (None, Some(record)) => record.token_file(place, &namespace.value),
        (None, None) => place.token_file(&namespace.value),
    };
    let (source_home, api_db) = local_api(query, env, place, record.as_ref())?;
    Ok(Owner {
        namespace,
        mode,
        api_url,
        email,
        token_file,
        source_home,
        api_db,
        record,
    })
}

/// The namespace that the hook of a home speaks for, with the hook's record: what `.sigilum/hook.json` says, else the
/// namespace whose record was written last. Without either the home has no record, and only its entry in openclaw.json
/// can say who it is for.
///
/// # Errors
/// Where a record cannot be read, or `hook.json` names no valid namespace.
pub fn hook_namespace(place: &OpenClawHome) -> Result<(Option<Sourced<String>>, HookRecord)> {
    let path = place.hook_record_file();
    let record = hook_record::read(&path)?.unwrap_or_default();
    let namespace = match &record.namespace {
        // It becomes a part of file names.
        Some(text) if !is_label(text, true) => {
            return Err(Error::new(
                ExitCode::Failure,
                format!(
                    "could not use the hook's record, its namespace is not valid: {}",
                    path.display()
                ),
            )
            .next("log in again: sigilum-authz-notify auth login --namespace <namespace>"));
        }
        Some(text) => Some((text.clone(), Origin::HookRecord)),
        None => record::written_last(&place.sigilum_dir())?.map(|text| (text, Origin::LastRecord)),
    };
    let namespace = namespace.map(|(value, origin)| Sourced { value, origin });
    Ok((namespace, record))
}

/// The hook entry's env, read at most once and only if something asks for it.
struct LazyEntry<'a> {
    ask: Option<AskEntry<'a>>,
    answer: OnceCell<Option<BTreeMap<String, String>>>,
}

impl LazyEntry<'_> {
    fn env(&self) -> Result<Option<&BTreeMap<String, String>>> {
        if self.answer.get().is_none() {
            let answer = self.ask.map_or(Ok(None), |ask| ask())?;
            let _ = self.answer.set(answer);
        }
        Ok(self.answer.get().and_then(Option::as_ref))
    }
}

fn namespace(query: &OwnerQuery, env: &Env, place: &OpenClawHome, entry: &LazyEntry) -> Result<Sourced<String>> {
    let found = |value: &str, origin| {
        Ok(Sourced {
            value: value.to_owned(),
            origin,
        })
    };
    if let Some(value) = query.namespace {
        return found(value, Origin::Flag("--namespace"));
    }
    if let Some(value) = query.token_namespace {
        return found(value, Origin::Token);
    }
    for name in ["SIGILUM_NAMESPACE", "GATEWAY_SIGILUM_NAMESPACE"] {
        if let Some(value) = env.var(name) {
            return found(value, Origin::Env(name));
        }
    }
    if let Some(value) = entry
        .env()?
        .and_then(|env| env.get("SIGILUM_NAMESPACE"))
        .filter(|value| !is_unset(value))
    {
        return found(value, Origin::Entry);
    }
    if let Some(value) = record::only_namespace(&place.sigilum_dir())? {
        return found(&value, Origin::OnlyOne);
    }
    if let Some(value) = env.var("USER") {
        return found(value, Origin::Env("USER"));
    }
    Err(Error::new(
        ExitCode::Usage,
        "could not tell the namespace: no flag, variable, entry or record names one",
    )
    .next("add --namespace <value>"))
}

fn parse_mode(text: &str, source: &str) -> Result<Mode> {
    [Mode::Managed, Mode::OssLocal]
        .into_iter()
        .find(|mode| mode.as_str() == text)
        .ok_or_else(|| {
            Error::new(
                ExitCode::Usage,
                format!("could not tell the mode: {source} is neither managed nor oss-local"),
            )
            .next("give --mode managed or --mode oss-local")
        })
}

/// Where the API of a mode is, unless something says otherwise.
pub fn default_api_url(mode: Mode) -> &'static str {
    match mode {
        Mode::Managed => "https://api.sigilum.id",
        Mode::OssLocal => "http://127.0.0.1:8787",
    }
}

/// Whether a text is `^[a-z0-9][a-z0-9-]{1,62}[a-z0-9]$`, the form of namespaces and service slugs; with `capitals`,
/// capital letters may stand in it too.
pub fn is_label(text: &str, capitals: bool) -> bool {
    let bytes = text.as_bytes();
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || (capitals && b.is_ascii_uppercase());
    (3..=64).contains(&bytes.len())
        && bytes.iter().all(|b| plain(b) || *b == b'-')
        && bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
}

/// Managed namespaces may hold capital letters too.
fn check_namespace(namespace: &Sourced<String>, mode: Mode) -> Result<()> {
    if is_label(&namespace.value, mode == Mode::Managed) {
        return Ok(());
    }
    Err(Error::new(
        ExitCode::Usage,
        format!(
            "could not take the namespace {:?} (from {}): 3 to 64 lower-case letters, digits and inner hyphens{}",
            namespace.value,
            namespace.origin,
            if mode == Mode::Managed {
                "; capital letters too in managed mode"
            } else {
                ""
            }
        ),
    )
    .next("give a valid one with --namespace"))
}

fn check_email(email: &Sourced<String>) -> Result<()> {
    let good = email
        .value
        .split_once('@')
        .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
        && !email.value.chars().any(|c| c.is_whitespace() || c.is_control());
    if good {
        return Ok(());
    }
    Err(Error::new(
        ExitCode::Usage,
        format!("could not take the e-mail {:?} (from {})", email.value, email.origin),
    )
    .next("give a valid one with --email"))
}

/// What names a local API, the checkout and the database file: flags and environment, else the record, else, for a
/// person's command, a checkout found upward. A stronger source hides a weaker one altogether.
type LocalApi = (Option<Sourced<PathBuf>>, Option<Sourced<PathBuf>>);

fn local_api(query: &OwnerQuery, env: &Env, place: &OpenClawHome, record: Option<&Record>) -> Result<LocalApi> {
    let explicit = |flag: Option<&Path>, flag_name, env_name| -> Result<Option<Sourced<PathBuf>>> {
        let (path, origin) = match (flag, env.path(env_name)) {
            (Some(path), _) => (path.to_owned(), Origin::Flag(flag_name)),
            (None, Some(path)) => (env.expand_tilde(path), Origin::Env(env_name)),
            (None, None) => return Ok(None),
        };
        Ok(Some(Sourced {
            value: absolute(&path)?,
            origin,
        }))
    };
    let source_home = explicit(query.source_home, "--source-home", "SIGILUM_SOURCE_HOME")?;
    let api_db = explicit(query.api_db, "--api-db", "SIGILUM_API_DB")?;
    if source_home.is_some() || api_db.is_some() {
        return Ok((source_home, api_db));
    }
    let recorded = record.map(|record| (record.source_home.clone(), record.api_db(place)));
    if let Some((source_home, api_db)) = recorded.filter(|recorded| *recorded != (None, None)) {
        let setting = |value| Sourced {
            value,
            origin: Origin::Record,
        };
        return Ok((source_home.map(setting), api_db.map(setting)));
    }
    if query.interactive {
        // A working directory that is gone, or has no usable path, is in no checkout.
        let here = absolute(Path::new(".")).ok();
        let found = here.and_then(|here| checkout::find_upward(&here));
        return Ok((
            found.map(|value| Sourced {
                value,
                origin: Origin::Found,
            }),
            None,
        ));
    }
    Ok((None, None))
}

/// The life of a new token in seconds: flag → `SIGILUM_OWNER_TOKEN_TTL_SECONDS` → `replaced` (refresh: the replaced
/// token's life) → 604800.
pub fn ttl_seconds(flag: Option<u64>, env: &Env, replaced: Option<u64>) -> Result<u64> {
    const NAME: &str = "SIGILUM_OWNER_TOKEN_TTL_SECONDS";
    let (ttl, source) = match (flag, env.var(NAME)) {
        (Some(ttl), _) => (Some(ttl), "--ttl-seconds"),
        (None, Some(text)) => (text.trim().parse().ok(), NAME),
        (None, None) => (Some(replaced.unwrap_or(604_800)), "the replaced token"),
    };
    ttl.filter(|ttl| (1..=LONGEST).contains(ttl)).ok_or_else(|| {
        Error::new(
            ExitCode::Usage,
            format!("could not take the token's life from {source}: a whole number of seconds, 1 to {LONGEST}"),
        )
        .next("give --ttl-seconds 604800, for example")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs;
    use crate::home;
    use std::time::{Duration, SystemTime};

    #[test]
    fn whose_hook_a_home_has() {
        let dir = tempfile::tempdir().unwrap();
        let env = Env::from_pairs([("HOME", dir.path().to_str().unwrap())]);
        let place = home::find(None, None, &env).unwrap();
        let found = || hook_namespace(&place).map(|(found, _)| found.map(|found| (found.value, found.origin)));
        assert_eq!(found().unwrap(), None);

        let lock = fs::lock_sigilum(&place).unwrap();
        lock.write_private(&place.token_file("anna"), b"a token without a record")
            .unwrap();
        assert_eq!(found().unwrap(), None);

        for (namespace, age) in [("carl", 0), ("alice", 100), ("bob", 0)] {
            let path = place.record_file(namespace);
            lock.write_private(&path, b"{}").unwrap();
            let file = std::fs::File::options().append(true).open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 - age))
                .unwrap();
        }
        assert_eq!(found().unwrap(), Some(("carl".to_owned(), Origin::LastRecord)));

        let write = |text: &str| lock.write_private(&place.hook_record_file(), text.as_bytes()).unwrap();
        write(r#"{"senders": ["irc:alice"]}"#);
        assert_eq!(found().unwrap(), Some(("carl".to_owned(), Origin::LastRecord)));
        write(r#"{"namespace": "alice"}"#);
        assert_eq!(found().unwrap(), Some(("alice".to_owned(), Origin::HookRecord)));
        for broken in [r#"{"namespace": "../alice"}"#, "{"] {
            write(broken);
            assert_eq!(found().unwrap_err().code, ExitCode::Failure);
        }
    }
}
