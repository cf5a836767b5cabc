//! What is in force: flags, environment and records, and who wins among them. [`authority`] has the table.

pub mod authority;
mod local_api;
mod namespace;

pub use local_api::checkout_around;
pub use namespace::{
    hook_namespace, is_label, keeps_hook, missing_config_env, named, namespace, refuse_against_config_env,
};

use authority::{Claimant, Setting, decide};

use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::home::{OpenClawHome, absolute};
use crate::mode::Mode;
use crate::origin::Origin;
use crate::sigilum::checkout::Checkout;
use crate::sigilum::http::{self, LoopbackTrust, Url};
use crate::sigilum::local_db::{DbError, Problem};
use crate::text::is_unset;
use crate::token::record::{self, Record};
use crate::token::store;
use crate::token::times::LONGEST;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

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
    /// The namespace where it is decided already: a person was asked for it, or it was resolved before.
    pub decided_namespace: Option<&'a Sourced<String>>,
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
    /// The namespace of the entry in a home of version 0.1.0, as a person's login or install takes it over.
    pub adopted_namespace: Option<&'a str>,
    /// The env of the hook's entry in openclaw.json, asked for only when it can decide something: in a home that has no
    /// record.
    pub entry_env: Option<AskEntry<'a>>,
    /// The command writes or removes the record: one that cannot be read is no obstacle.
    pub replaces_record: bool,
    /// The command moves the record, and uses nothing that it names but the token's file.
    pub moves_record: bool,
    /// What OpenClaw calls: in a home without any record it asks the API that the entry names, with the entry's token.
    pub is_hook: bool,
}

impl<'a> OwnerQuery<'a> {
    /// The same, with the namespace decided.
    pub fn decided<'b>(&self, namespace: &'b Sourced<String>) -> OwnerQuery<'b>
    where
        'a: 'b,
    {
        OwnerQuery {
            decided_namespace: Some(namespace),
            ..*self
        }
    }
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
    /// In another user's home, that user's number: token file and checkout must be theirs, unless somebody names them now.
    pub only_of: Option<u32>,
    /// oss-local: the Sigilum source checkout, where one is in force.
    pub source_home: Option<Sourced<PathBuf>>,
    /// oss-local: the API's database, where one is named outright (flag, `SIGILUM_API_DB` or record).
    pub api_db: Option<Sourced<PathBuf>>,
    /// The record of this namespace's last login, where there is one.
    pub record: Option<Record>,
}

impl Owner {
    /// The text in the token file; `None` where there is none.
    ///
    /// # Errors
    /// Where it cannot be read, or may be somebody else's work.
    pub fn stored_token(&self) -> Result<Option<SecretString>> {
        let read = match self.only_of {
            Some(uid) => store::read_of(&self.token_file, uid),
            None => store::read(&self.token_file),
        };
        read.map_err(|error| match error.code {
            ExitCode::Token => error.next(self.mode.value.login_command(&self.namespace.value)),
            _ if error.is_because_of::<fs::Disbelieved>() => {
                error.next(store::anew(&self.token_file, self.mode.value, &self.namespace.value))
            }
            _ => error,
        })
    }

    /// The life that a person chose for the tokens that are signed here, in seconds.
    pub fn recorded_life(&self) -> Option<u64> {
        self.record.as_ref()?.ttl_seconds
    }

    /// The flag that leads a login to the same life again, with a blank before it; nothing where nobody chose one.
    pub fn life_flag(&self) -> String {
        let is_local = self.mode.value == Mode::OssLocal;
        let life = self.recorded_life().filter(|_| is_local);
        life.map_or_else(String::new, |seconds| format!(" --ttl-seconds {seconds}"))
    }

    /// The Sigilum checkout in force.
    ///
    /// # Errors
    /// Where it cannot be trusted or read.
    pub fn checkout(&self, place: &OpenClawHome) -> Result<Option<Checkout>> {
        let open = |named: &Sourced<PathBuf>| match (self.only_of, &named.origin) {
            (Some(uid), Origin::Record) => Checkout::open_of(&named.value, uid),
            _ => Checkout::open(&named.value, &place.home),
        };
        let opened = self.source_home.as_ref().map(|named| {
            let blame = |error| named.origin.blame("the checkout", error);
            open(named).map_err(blame)
        });
        opened.transpose()
    }

    /// Where the API is; `insecure` lets a token go over plain HTTP.
    ///
    /// # Errors
    /// [`ExitCode::Usage`] for what no token may be sent to.
    pub fn checked_api_url(&self, insecure: bool) -> Result<Url> {
        let Sourced { value, origin } = &self.api_url;
        http::check_url(value, insecure).map_err(|error| {
            let log_in = self.mode.value.login_command(&self.namespace.value);
            let example = with_scheme(value).unwrap_or_else(|| default_api_url(self.mode.value).to_owned());
            Error::new(ExitCode::Usage, format!("invalid API URL (from {origin})"))
                .because(error)
                .next(origin.mend("--api-url", &example, &log_in))
        })
    }

    /// An error of the local API's database: where another one is meant, it tells what named this one.
    pub fn blame_database(&self, error: DbError) -> Error {
        let is_wrong_one = matches!(error.problem, Problem::Missing | Problem::NotSigilum) && !error.is_ours();
        match self.api_db.as_ref().filter(|_| is_wrong_one) {
            Some(named) => named.origin.blame("the database", error.into()),
            None => error.into(),
        }
    }

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

/// The namespace owner in force. Precedence: [`authority::RULES`], as docs/settings.md shows it.
pub fn owner(query: &OwnerQuery, env: &Env, place: &OpenClawHome) -> Result<Owner> {
    let namespace = namespace(query, env, place)?;
    let path = place.record_file(&namespace.value);
    let read = match query.moves_record {
        true => record::read_to_move(&path),
        false => record::read(&path),
    };
    let record = match read {
        Err(_) if query.replaces_record => None,
        record => record?,
    };
    let entry = UnrecordedEntry::of(query, place, &namespace.value)?;
    let mode = mode(query, env, record.as_ref(), &entry)?;
    namespace::check_namespace(&namespace, mode.value)?;
    let api_url = api_url(query, env, record.as_ref(), &entry, mode.value)?;
    let email = email(query, env, record.as_ref(), &namespace.value)?;
    check_email(&email, &mode.value.login_command(&namespace.value))?;
    let token_file = match (query.token_file, &record) {
        (Some(path), _) => named_token_file(path)?,
        (None, Some(record)) => record.token_file(place, &namespace.value),
        (None, None) => place.token_file(&namespace.value),
    };
    // Files that we made there as another user than root are ours.
    let is_root = rustix::process::geteuid().is_root();
    let named = record.as_ref().is_some_and(|record| record.token_file.is_some());
    let anothers = place.found_anothers.or_else(|| fs::another_user(&place.home));
    let only_of = anothers.filter(|_| query.token_file.is_none() && (is_root || named));
    let (source_home, api_db) = local_api::local_api(query, env, place, record.as_ref())?;
    Ok(Owner {
        namespace,
        mode,
        api_url,
        email,
        token_file,
        only_of,
        source_home,
        api_db,
        record,
    })
}

fn named_token_file(path: &Path) -> Result<PathBuf> {
    let path = absolute(path)?;
    if path.is_dir() {
        let inside = fs::quoted(&path.join("owner-token.jwt"));
        let what = format!("could not use the token file, it is a folder: {}", path.display());
        let step = format!("give a file, for example: --token-file {inside}");
        return Err(Error::new(ExitCode::Usage, what).next(step));
    }
    Ok(path)
}

/// What the hook's entry says of the API, where that may decide: for the hook of a home that has no record.
struct UnrecordedEntry(BTreeMap<String, String>);

impl UnrecordedEntry {
    fn of(query: &OwnerQuery, place: &OpenClawHome, namespace: &str) -> Result<Self> {
        let none = Self(BTreeMap::new());
        let Some(ask) = query.entry_env.filter(|_| query.is_hook) else {
            return Ok(none);
        };
        if hook_namespace(place)?.0.is_some() {
            return Ok(none);
        }
        let entry = Self(ask()?.unwrap_or_default());
        // An entry of another namespace says nothing about this one.
        let same = entry.var("SIGILUM_NAMESPACE").is_none_or(|named| named == namespace);
        Ok(if same { entry } else { none })
    }

    fn var(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !is_unset(value))
    }
}

/// A value of this origin, where there is one.
fn from<T>(value: Option<T>, origin: Origin) -> Option<Sourced<T>> {
    value.map(|value| Sourced { value, origin })
}

/// The mode of a command in a home where nobody has named a namespace yet: there is no record that could say one.
///
/// # Errors
/// [`ExitCode::Usage`] where `SIGILUM_MODE` is none.
pub fn unrecorded_mode(query: &OwnerQuery, env: &Env) -> Result<Mode> {
    Ok(mode(query, env, None, &UnrecordedEntry(BTreeMap::new()))?.value)
}

fn mode(query: &OwnerQuery, env: &Env, record: Option<&Record>, entry: &UnrecordedEntry) -> Result<Sourced<Mode>> {
    let parsed = |text: Option<&str>, origin: Origin| {
        let mode = text.map(|text| parse_mode(text, &origin)).transpose()?;
        Ok(from(mode, origin))
    };
    let found = decide(
        Setting::Mode,
        &[
            (Claimant::Flag, &|| Ok(from(query.mode, Origin::Flag("--mode")))),
            (Claimant::PersonEnvironment, &|| {
                let name = "SIGILUM_MODE";
                parsed(env.var(name), Origin::Env(name))
            }),
            (Claimant::Record, &|| {
                Ok(from(record.map(|record| record.mode), Origin::Record))
            }),
            (Claimant::UnrecordedEntry, &|| {
                parsed(entry.var("SIGILUM_MODE"), Origin::Entry)
            }),
        ],
    )?;
    Ok(found.unwrap_or(Sourced {
        value: Mode::Managed,
        origin: Origin::Default,
    }))
}

/// What a record or an entry says of the API holds for its own mode only.
fn api_url(
    query: &OwnerQuery,
    env: &Env,
    record: Option<&Record>,
    entry: &UnrecordedEntry,
    mode: Mode,
) -> Result<Sourced<String>> {
    let claim = |value: Option<&str>, origin| Ok(from(value.map(str::to_owned), origin));
    let found = decide(
        Setting::ApiUrl,
        &[
            (Claimant::Flag, &|| claim(query.api_url, Origin::Flag("--api-url"))),
            (Claimant::PersonEnvironment, &|| {
                let name = "SIGILUM_API_URL";
                claim(env.var(name), Origin::Env(name))
            }),
            (Claimant::Record, &|| {
                let of_mode = record.filter(|record| record.mode == mode);
                claim(of_mode.map(|record| record.api_url.as_str()), Origin::Record)
            }),
            (Claimant::UnrecordedEntry, &|| {
                let of_mode = entry.var("SIGILUM_MODE") == Some(mode.as_str());
                claim(entry.var("SIGILUM_API_URL").filter(|_| of_mode), Origin::Entry)
            }),
        ],
    )?;
    let found = found.unwrap_or_else(|| Sourced {
        value: default_api_url(mode).to_owned(),
        origin: Origin::Default,
    });
    Ok(Sourced {
        value: found.value.trim().trim_end_matches('/').to_owned(),
        origin: found.origin,
    })
}

fn email(query: &OwnerQuery, env: &Env, record: Option<&Record>, namespace: &str) -> Result<Sourced<String>> {
    let claim = |value: Option<&str>, origin| Ok(from(value.map(str::to_owned), origin));
    let found = decide(
        Setting::Email,
        &[
            (Claimant::Flag, &|| claim(query.email, Origin::Flag("--email"))),
            (Claimant::PersonEnvironment, &|| {
                let name = "SIGILUM_OWNER_EMAIL";
                claim(env.var(name), Origin::Env(name))
            }),
            (Claimant::Record, &|| {
                claim(record.map(|record| record.email.as_str()), Origin::Record)
            }),
        ],
    )?;
    let email = found.unwrap_or_else(|| Sourced {
        value: default_email(namespace),
        origin: Origin::Default,
    });
    Ok(email)
}

fn parse_mode(text: &str, origin: &Origin) -> Result<Mode> {
    Mode::named(text).ok_or_else(|| {
        Error::new(
            ExitCode::Usage,
            format!("invalid mode {text:?} (from {origin}): it is neither managed nor oss-local"),
        )
        .next(origin.mend("--mode", "oss-local", "sigilum-authz-notify auth login"))
    })
}

/// The URL that is meant by a host, and perhaps a port, without a scheme, such as `localhost:8787`.
fn with_scheme(text: &str) -> Option<String> {
    let is_host = !text.contains("://") && (text.contains(['.', ':']) || text == "localhost");
    let mut urls = ["http", "https"].map(|scheme| format!("{scheme}://{text}")).into_iter();
    urls.find(|url| is_host && http::check_url(url, false).is_ok())
}

/// Where the API of a mode is, unless something says otherwise.
pub fn default_api_url(mode: Mode) -> &'static str {
    match mode {
        Mode::Managed => "https://api.sigilum.id",
        Mode::OssLocal => "http://127.0.0.1:8787",
    }
}

/// The e-mail where nobody says one.
pub fn default_email(namespace: &str) -> String {
    format!("{namespace}@local.sigilum")
}

fn check_email(email: &Sourced<String>, log_in: &str) -> Result<()> {
    let good = email
        .value
        .split_once('@')
        .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
        && !email.value.chars().any(|c| c.is_whitespace() || c.is_control());
    if good {
        return Ok(());
    }
    let what = format!(
        "invalid e-mail {:?} (from {}): it is not of the form name@host",
        email.value, email.origin
    );
    let step = email.origin.mend("--email", "johndee@example.com", log_in);
    Err(Error::new(ExitCode::Usage, what).next(step))
}

/// The life of a new token where nobody chose one, in seconds.
pub const TOKEN_LIFE: u64 = 604_800;

/// The life of a new token in seconds: flag → `SIGILUM_OWNER_TOKEN_TTL_SECONDS` → `replaced` (a renewal: the replaced
/// token's life, or without one the recorded one) → 604800.
pub fn ttl_seconds(flag: Option<u64>, env: &Env, replaced: Option<u64>) -> Result<u64> {
    const NAME: &str = "SIGILUM_OWNER_TOKEN_TTL_SECONDS";
    let found = decide(
        Setting::TokenLife,
        &[
            (Claimant::Flag, &|| Ok(from(flag, Origin::Flag("--ttl-seconds")))),
            (Claimant::PersonEnvironment, &|| {
                // What is no number is out of bounds as well.
                let given = env.var(NAME).map(|text| text.trim().parse().unwrap_or(0));
                Ok(from(given, Origin::Env(NAME)))
            }),
            (Claimant::Record, &|| Ok(from(replaced, Origin::Record))),
        ],
    )?;
    let found = found.unwrap_or(Sourced {
        value: TOKEN_LIFE,
        origin: Origin::Default,
    });
    if (1..=LONGEST).contains(&found.value) {
        return Ok(found.value);
    }
    let (source, step) = match found.origin {
        Origin::Record => (
            "the replaced token".to_owned(),
            "add --ttl-seconds 604800, for example".to_owned(),
        ),
        origin => (origin.to_string(), origin.mend("--ttl-seconds", "604800", "")),
    };
    let what = format!("invalid token life (from {source}): use a whole number of seconds, 1 to {LONGEST}");
    Err(Error::new(ExitCode::Usage, what).next(step))
}
