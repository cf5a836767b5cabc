//! Looks at a home: what planning needs to know of its files, and which files to watch.

use super::file_events::{Name, WatchTarget};
use super::planner::{self, InConfig, Record, Snapshot, Stored, TokenId};
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::home::OpenClawHome;
use crate::local_token::LocalApi;
use crate::mode::Mode;
use crate::openclaw::{config, entry};
use crate::settings::{self, Owner, OwnerQuery};
use crate::sigilum::http::{self, Url};
use crate::token::{claims, record, store};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What decides for a home is its entry and its record, not the environment that the watcher happens to run in.
const NOT_FROM_ENVIRONMENT: [&str; 6] = [
    "SIGILUM_NAMESPACE",
    "GATEWAY_SIGILUM_NAMESPACE",
    "SIGILUM_MODE",
    "SIGILUM_API_URL",
    "SIGILUM_OWNER_TOKEN",
    "SIGILUM_OWNER_EMAIL",
];
/// Where a local API may be named besides the record.
const LOCAL_API: [&str; 3] = ["JWT_SECRET", "SIGILUM_SOURCE_HOME", "SIGILUM_API_DB"];
/// A file whose last change is so recent may change again without its times showing it.
const TIMES_ARE_COARSE_MS: i64 = 100;

/// The part of a watcher's environment that may decide something for a home.
pub(super) fn environment(env: &Env) -> Env {
    env.without(&NOT_FROM_ENVIRONMENT)
}

/// One home's files as last seen. Parsing openclaw.json costs most of a look, so what it said is kept while it does
/// not change.
#[derive(Default)]
pub(super) struct SnapshotReader {
    config: ConfigSeen,
    stamps: Option<Vec<FileStamp>>,
    files: Vec<PathBuf>,
    names: Names,
    /// The owner as last worked out.
    pub owner: Option<Owner>,
    /// The token in its file.
    pub stored: Option<SecretString>,
}

/// A file's identity and state of change.
type FileStamp = Option<(u64, u64, u64, i64, i64, i64, i64)>;

#[derive(Default)]
enum ConfigSeen {
    #[default]
    Missing,
    Broken(String),
    NoEntry,
    Entry {
        on: bool,
        holds_token: bool,
        token: TokenText,
    },
}

enum TokenText {
    Unset,
    Reference,
    Text(SecretString),
}

/// Whom and what the entry names, as last read: a config that is gone or broken for a while changes nothing of it.
#[derive(Default)]
struct Names {
    namespace: Option<String>,
    mode: Option<String>,
    api_url: Option<String>,
}

impl SnapshotReader {
    /// Reads what has changed and puts it together. `now_ms` is Unix time in milliseconds.
    pub fn read(&mut self, place: &OpenClawHome, env: &Env, now_ms: i64) -> Snapshot {
        self.read_config(place, now_ms);
        let usable = match self.find_owner(place, env) {
            Ok(record) => self.read_stored(record),
            Err(error) => Err(error),
        };
        let read_only = place.read_only.map(str::to_owned);
        let (owner, file) = match usable {
            Ok(known) => known,
            Err(error) => {
                return Snapshot {
                    config: planner::Config::Broken(error.to_string()),
                    owner: None,
                    file: Stored::Missing,
                    read_only,
                };
            }
        };
        let token = self.in_config(place, env, &file);
        Snapshot {
            config: match (&self.config, token) {
                (ConfigSeen::Entry { on, holds_token, .. }, token) => planner::Config::Entry(planner::Entry {
                    on: *on,
                    holds_token: *holds_token,
                    token,
                }),
                (ConfigSeen::Missing, _) => planner::Config::Missing,
                (ConfigSeen::NoEntry, _) => planner::Config::NoEntry,
                (ConfigSeen::Broken(why), _) => planner::Config::Broken(why.clone()),
            },
            owner,
            file,
            read_only,
        }
    }

    /// What to be told of. Follows from the last look.
    pub fn targets(&self, place: &OpenClawHome) -> Vec<WatchTarget> {
        let ours = place.sigilum_dir();
        let mut all = vec![
            WatchTarget {
                folder: ours.clone(),
                name: Name::BeginsWith("owner-"),
            },
            // Another watcher's, or ours until someone removes the folder.
            WatchTarget {
                folder: ours,
                name: Name::Is("watch.lock".into()),
            },
        ];
        let token_file = self.owner.as_ref().map(|owner| &owner.token_file);
        for file in std::iter::once(&place.config).chain(&self.files).chain(token_file) {
            all.extend(links(file).iter().filter_map(|path| WatchTarget::in_file(path)));
        }
        if let (ConfigSeen::Broken(_), Some(folder)) = (&self.config, place.config.parent()) {
            // What is broken may stand in an included file that could not be found out.
            all.push(WatchTarget {
                folder: folder.to_owned(),
                name: Name::BeginsWith(""),
            });
        }
        all
    }

    /// Whether there is reason to look again soon although nothing tells of a change.
    pub fn is_broken(&self) -> bool {
        matches!(self.config, ConfigSeen::Broken(_))
    }

    /// The token in the config, where it is one of the owner's namespace.
    pub fn config_token(&self) -> Option<&SecretString> {
        let ConfigSeen::Entry {
            token: TokenText::Text(token),
            ..
        } = &self.config
        else {
            return None;
        };
        let namespace = &self.owner.as_ref()?.namespace.value;
        claims::inspect(token)
            .ok()
            .filter(|says| says.namespace == *namespace)?;
        Some(token)
    }

    fn read_config(&mut self, place: &OpenClawHome, now_ms: i64) {
        let stamps = |files: &[PathBuf]| -> Vec<FileStamp> {
            std::iter::once(&place.config).chain(files).map(|f| stamp(f)).collect()
        };
        let before = stamps(&self.files);
        if self.stamps.as_ref() == Some(&before) {
            return;
        }
        let (seen, files) = match read_openclaw_json(place) {
            Ok((seen, names, files)) => {
                if let Some(names) = names {
                    self.names = names;
                }
                (seen, files)
            }
            Err(error) => (ConfigSeen::Broken(error.to_string()), std::mem::take(&mut self.files)),
        };
        self.config = seen;
        self.files = files;
        // Taken before and after: a change while it was read, or one so fresh that the next may look the same, or an
        // error that may have come from elsewhere, is no state to rely on.
        let after = stamps(&self.files);
        let settled = after.iter().flatten().all(|stamp| {
            let changed_ms = stamp.5.saturating_mul(1000).saturating_add(stamp.6 / 1_000_000);
            changed_ms < now_ms.saturating_sub(TIMES_ARE_COARSE_MS)
        });
        let steady = after.first() == before.first() && (after.len() != before.len() || after == before);
        self.stamps = (settled && steady && !self.is_broken()).then_some(after);
    }

    /// Works out the namespace owner: the entry's names first, then the record.
    fn find_owner(&mut self, place: &OpenClawHome, env: &Env) -> Result<Option<Record>> {
        self.owner = None;
        if !place.home.is_dir() {
            // Not made by us, and without it there is nothing to keep.
            return Ok(None);
        }
        let names = &self.names;
        let namespace = match &names.namespace {
            Some(namespace) => Some(namespace.clone()),
            None => record::only_namespace(&place.sigilum_dir())?,
        };
        let Some(namespace) = namespace else {
            return Ok(None);
        };
        let mode = match names.mode.as_deref() {
            None => None,
            Some("managed") => Some(Mode::Managed),
            Some("oss-local") => Some(Mode::OssLocal),
            Some(_) => {
                return Err(Error::new(
                    ExitCode::Config,
                    "could not use the hook's entry: its SIGILUM_MODE is neither managed nor oss-local",
                ));
            }
        };
        let query = OwnerQuery {
            namespace: Some(&namespace),
            mode,
            api_url: names.api_url.as_deref(),
            ..OwnerQuery::default()
        };
        let owner = settings::owner(&query, env, place)?;
        let record = compare(&owner);
        let has_entry = matches!(self.config, ConfigSeen::Entry { .. });
        let known = has_entry || owner.record.is_some() || self.names.namespace.is_some();
        self.owner = known.then_some(owner);
        Ok(known.then_some(record))
    }

    fn read_stored(&mut self, record: Option<Record>) -> Result<(Option<planner::Owner>, Stored)> {
        self.stored = None;
        let (Some(owner), Some(record)) = (&self.owner, record) else {
            return Ok((None, Stored::Missing));
        };
        let read = match store::read(&owner.token_file) {
            // No text at all.
            Err(error) if error.code == ExitCode::Token => Err(()),
            read => Ok(read?),
        };
        self.stored = read.clone().unwrap_or_default();
        let file = match &read {
            Err(()) => Stored::Garbage,
            Ok(None) => Stored::Missing,
            Ok(Some(text)) => match seen(text, false) {
                Some(token) if token.namespace == owner.namespace.value => Stored::Token(token),
                _ => Stored::Garbage,
            },
        };
        let planned = planner::Owner {
            namespace: owner.namespace.value.clone(),
            mode: owner.mode.value,
            api_url: owner.api_url.value.clone(),
            record,
        };
        Ok((Some(planned), file))
    }

    fn in_config(&self, place: &OpenClawHome, env: &Env, file: &Stored) -> InConfig {
        let text = match &self.config {
            ConfigSeen::Entry { token, .. } => match token {
                TokenText::Unset => return InConfig::Unset,
                TokenText::Reference => return InConfig::Reference,
                TokenText::Text(text) => text,
            },
            _ => return InConfig::Unset,
        };
        let Some(mut token) = seen(text, false) else {
            return InConfig::Garbage;
        };
        let stored = match file {
            Stored::Token(stored) => Some(stored.id),
            _ => None,
        };
        if stored != Some(token.id) {
            token.signature_invalid = self.has_invalid_signature(text, place, env);
        }
        InConfig::Token(token)
    }

    /// Whether the secrets that could have signed the token did not. Agents can write openclaw.json: a token that only
    /// looks newer must not replace a good one.
    fn has_invalid_signature(&self, text: &SecretString, place: &OpenClawHome, env: &Env) -> bool {
        let Some(owner) = self.owner.as_ref().filter(|owner| owner.mode.value == Mode::OssLocal) else {
            return false;
        };
        let (secrets, _) = secrets(owner, place, env);
        let signed = |token: &SecretString| secrets.iter().any(|secret| claims::is_signed_by(token, secret));
        // Secrets that did not sign what is stored for this API either say nothing.
        let other_api = matches!(compare(owner), Record::Other { .. });
        let stored = self.stored.as_ref().filter(|_| !other_api);
        !secrets.is_empty() && !signed(text) && stored.is_none_or(signed)
    }
}

/// The secrets that the home's local API may sign with, the likeliest first, and why one could not be had.
pub(super) fn secrets(owner: &Owner, place: &OpenClawHome, env: &Env) -> (Vec<SecretString>, Option<Error>) {
    let mut found: Vec<SecretString> = Vec::new();
    let mut trouble = None;
    let of_record = Owner {
        source_home: recorded(owner, |record| record.source_home.as_ref()),
        api_db: recorded(owner, |record| record.api_db.as_ref()),
        ..owner.clone()
    };
    for (owner, env) in [(owner, env), (&of_record, &env.without(&LOCAL_API))] {
        let secret = LocalApi::find(owner, place).and_then(|api| api.secret(env));
        match secret {
            Ok(Some(secret)) => {
                let known = |known: &SecretString| known.expose_secret() == secret.value.expose_secret();
                if !found.iter().any(known) {
                    found.push(secret.value);
                }
            }
            Ok(None) => {}
            Err(error) => trouble = trouble.or(Some(error)),
        }
    }
    (found, trouble)
}

fn recorded(owner: &Owner, path: impl Fn(&record::Record) -> Option<&PathBuf>) -> Option<settings::Sourced<PathBuf>> {
    Some(settings::Sourced {
        value: owner.record.as_ref().and_then(path)?.clone(),
        origin: settings::Origin::Record,
    })
}

/// Reads openclaw.json: what matters of it, whom it names where it has an entry, and the files that it is made of.
fn read_openclaw_json(place: &OpenClawHome) -> Result<(ConfigSeen, Option<Names>, Vec<PathBuf>)> {
    let config = match config::read(place)? {
        // Empty: about to be written, as a rule. Nobody's entry was taken out.
        Some(_) if is_blank(&place.config) => None,
        config => config,
    };
    let Some(config) = config else {
        return Ok((ConfigSeen::Missing, None, Vec::new()));
    };
    let Some(entry) = entry::find(&config.value)? else {
        return Ok((ConfigSeen::NoEntry, Some(Names::default()), config.files));
    };
    let names = Names {
        namespace: entry.namespace().map(str::to_owned),
        mode: entry.mode().map(str::to_owned),
        api_url: entry.api_url().map(|url| url.trim_end_matches('/').to_owned()),
    };
    let seen = ConfigSeen::Entry {
        on: entry.enabled,
        holds_token: entry.token_in_config(),
        token: match entry.token() {
            Some(token) => TokenText::Text(token),
            None if entry
                .env
                .get(entry::TOKEN)
                .is_some_and(|text| entry::is_reference(text)) =>
            {
                TokenText::Reference
            }
            None => TokenText::Unset,
        },
    };
    Ok((seen, Some(names), config.files))
}

/// A file with nothing but white space in it, or hardly that.
fn is_blank(path: &Path) -> bool {
    const SHORTER_THAN_ANY_ENTRY: u64 = 64;
    std::fs::metadata(path).is_ok_and(|meta| meta.len() < SHORTER_THAN_ANY_ENTRY)
        && std::fs::read_to_string(path).is_ok_and(|text| text.trim().is_empty())
}

/// What planning may know of a token; `None` for a text that is none.
pub(super) fn seen(text: &SecretString, signature_invalid: bool) -> Option<planner::Token> {
    let says = claims::inspect(text).ok()?;
    Some(planner::Token {
        id: id(text),
        namespace: says.namespace,
        iat: says.iat,
        exp: says.exp,
        signature_invalid,
    })
}

/// Tells a token's text from another's.
pub(super) fn id(text: &SecretString) -> TokenId {
    let digest = Sha256::digest(text.expose_secret().as_bytes());
    let mut id = [0; 8];
    id.copy_from_slice(&digest[..8]);
    TokenId(id)
}

/// The record beside the owner in force.
pub(super) fn compare(owner: &Owner) -> Record {
    let Some(record) = &owner.record else {
        return Record::None;
    };
    let local = owner.mode.value == Mode::OssLocal;
    let url = |text: &str| http::check_url(text, true).ok();
    let (recorded, named) = (url(&record.api_url), url(&owner.api_url.value));
    let is_here = |url: &Option<Url>| local && url.as_ref().is_some_and(http::is_this_machine);
    let same_api = match (&recorded, &named) {
        (Some(recorded), Some(named)) => recorded.origin() == named.origin(),
        _ => record.api_url == owner.api_url.value,
    };
    match record.mode == owner.mode.value {
        true if same_api => Record::Same,
        true if is_here(&recorded) && is_here(&named) => Record::Moved,
        _ => Record::Other { here: is_here(&named) },
    }
}

fn stamp(path: &Path) -> FileStamp {
    let meta = std::fs::metadata(path).ok()?;
    Some((
        meta.dev(),
        meta.ino(),
        meta.size(),
        meta.mtime(),
        meta.mtime_nsec(),
        meta.ctime(),
        meta.ctime_nsec(),
    ))
}

/// A file and, where it is a symbolic link, what it leads to, step by step.
fn links(file: &Path) -> Vec<PathBuf> {
    const LONGEST_CHAIN: usize = 40;
    let mut chain = vec![file.to_owned()];
    while let Some(last) = chain.last()
        && let Ok(target) = std::fs::read_link(last)
        && chain.len() < LONGEST_CHAIN
    {
        let next = last.parent().unwrap_or(Path::new("/")).join(target);
        chain.push(next);
    }
    chain
}
