//! Looks at a home: what planning needs to know of its files, and which files to watch.

use super::planner::{self, Config, Entry, InConfig, Snapshot, Stored, TokenId, Unreadable};
use crate::authz::timed;
use crate::env::Env;
use crate::error::{ExitCode, Result};
use crate::home::OpenClawHome;
use crate::hook_record::HookRecord;
use crate::openclaw::substitution::is_reference;
use crate::openclaw::{config, entry, plugin_package};
use crate::origin::Origin;
use crate::settings::{self, Owner, OwnerQuery, Sourced};
use crate::sigilum::http;
use crate::token::claims;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// A home's records decide for it, not the environment that the watcher happens to run in.
const NOT_FROM_ENVIRONMENT: [&str; 6] = [
    "SIGILUM_NAMESPACE",
    "GATEWAY_SIGILUM_NAMESPACE",
    "SIGILUM_MODE",
    "SIGILUM_API_URL",
    "SIGILUM_OWNER_TOKEN",
    "SIGILUM_OWNER_EMAIL",
];

/// The part of a watcher's environment that may decide something for a home.
pub(super) fn environment(env: &Env) -> Env {
    env.without(&NOT_FROM_ENVIRONMENT)
}

const NOBODY: (Option<planner::Owner>, Stored) = (None, Stored::Missing);

/// One home's files as last seen.
pub(super) struct SnapshotReader {
    /// Those that openclaw.json is made of, as far as they are known.
    files: Vec<PathBuf>,
    /// The namespace that it is about; `None`: the one that the home speaks for.
    pub beside: Option<String>,
    /// The owner as last worked out.
    pub owner: Option<Owner>,
    /// The token in its file.
    pub stored: Option<SecretString>,
    /// What a person chose for the hook.
    pub chosen: HookRecord,
    /// The same, whether somebody is logged in or not.
    recorded: HookRecord,
    /// What answers `/new`, `plugin` or `hook`, if anything does; `None` where that cannot be told, or nobody is to be told.
    pub answering: Option<Option<&'static str>>,
    /// As [`Snapshot::plugin_runs`].
    plugin_runs: bool,
    /// As [`Snapshot::flags`].
    flags: String,
    /// As [`Snapshot::asks_a_broker`].
    asks_a_broker: bool,
}

impl SnapshotReader {
    pub fn new(place: &OpenClawHome, beside: Option<String>, env: &Env) -> Self {
        Self {
            files: vec![place.config.clone()],
            beside,
            owner: None,
            stored: None,
            chosen: HookRecord::default(),
            recorded: HookRecord::default(),
            answering: None,
            plugin_runs: false,
            flags: place.flags(env),
            asks_a_broker: false,
        }
    }

    /// Reads the home. `is_told`: somebody is told at once of what happens in it, whatever is recorded.
    pub fn read(&mut self, place: &OpenClawHome, env: &Env, is_told: bool) -> Snapshot {
        (self.owner, self.stored, self.chosen) = (None, None, HookRecord::default());
        self.asks_a_broker = false;
        self.recorded = HookRecord::default();
        let (owner, unreadable) = match self.read_owner(place, env) {
            Ok(owner) => (owner, None),
            Err(error) => {
                let (why, code) = (error.to_string(), error.code);
                (NOBODY, Some(Unreadable { why, code }))
            }
        };
        let (owner, file) = owner;
        // What else there is in the home is looked at once.
        let is_beside = self.beside.is_some();
        let config = match is_beside {
            true => Ok(Config::Missing),
            false => self.read_config(place, is_told || self.chosen.notify.is_some()),
        };
        let config = config.unwrap_or_else(|error| Config::Broken(error.to_string()));
        let approvals = match is_beside {
            true => Ok(Vec::new()),
            false => timed::read(place).map_err(|error| error.to_string()),
        };
        let former_checkout = match &config {
            Config::Entry(entry) if owner.is_none() => {
                let namespace = entry.namespace.as_deref();
                namespace.map_or_else(String::new, |namespace| self.recorded.former_checkout(namespace))
            }
            _ => String::new(),
        };
        Snapshot {
            config,
            owner,
            unreadable,
            file,
            approvals,
            read_only: place.read_only.map(str::to_owned),
            flags: self.flags.clone(),
            plugin_runs: self.plugin_runs,
            is_a_brokers: is_beside || place.is_a_brokers(),
            asks_a_broker: self.asks_a_broker,
            former_checkout,
        }
    }

    /// The folders that the home's files are in, as of the last look: its own two, the token file's, the config's and
    /// its included file's, and those that links lead through. What is broken may stand in an included file that could
    /// not be found out: as a rule in the config's folder too.
    pub fn folders(&self, place: &OpenClawHome) -> Vec<PathBuf> {
        let token_file = self.owner.as_ref().map(|owner| &owner.token_file);
        let files = self.files.iter().chain(token_file).flat_map(|file| links(file));
        let folders = files.filter_map(|file| Some(file.parent()?.to_owned()));
        folders.chain([place.sigilum_dir(), place.home.clone()]).collect()
    }

    /// openclaw.json, as far as it matters, and from now on the files that it is made of. `asks`: also what answers
    /// `/new`, which takes a look at OpenClaw's own state.
    fn read_config(&mut self, place: &OpenClawHome, asks: bool) -> Result<Config> {
        (self.answering, self.plugin_runs) = (None, false);
        // Empty: about to be written, as a rule. Nobody's entry was taken out.
        let config = config::read(place)?.filter(|_| !is_blank(&place.config));
        let Some(config) = config else {
            self.files = vec![place.config.clone()];
            return Ok(Config::Missing);
        };
        let entry = entry_of(&config.value, config.barred.as_deref());
        self.answering = asks.then(|| answering(&config.value, place).ok()).flatten();
        let is_off = matches!(&entry, Ok(entry) if entry.as_ref().is_none_or(|entry| !entry.on));
        self.plugin_runs = match self.answering {
            Some(answering) => answering == Some("plugin"),
            // Beside an entry that is on it changes nothing.
            None => is_off && plugin_package::state(&config.value, place).is_ok_and(|state| state.runs()),
        };
        self.files = std::iter::once(place.config.clone()).chain(config.files).collect();
        Ok(entry?.map_or(Config::NoEntry, Config::Entry))
    }

    /// Whose token is kept, by the records of the home alone, and the token.
    fn read_owner(&mut self, place: &OpenClawHome, env: &Env) -> Result<(Option<planner::Owner>, Stored)> {
        if !place.home.is_dir() {
            return Ok(NOBODY);
        }
        let (namespace, chosen) = settings::hook_namespace(place)?;
        self.asks_a_broker = chosen.broker.is_some();
        self.recorded.clone_from(&chosen);
        let namespace = match &self.beside {
            None => namespace,
            Some(beside) if namespace.as_ref().is_some_and(|spoken_for| spoken_for.value == *beside) => None,
            Some(beside) => Some(Sourced {
                value: beside.clone(),
                origin: Origin::LastRecord,
            }),
        };
        let Some(namespace) = namespace else {
            return Ok(NOBODY);
        };
        let query = OwnerQuery {
            decided_namespace: Some(&namespace),
            ..OwnerQuery::default()
        };
        let owner = settings::owner(&query, env, place)?;
        if owner.record.is_none() {
            return Ok(NOBODY);
        }
        let read = match owner.stored_token() {
            // No text at all.
            Err(error) if error.code == ExitCode::Token => Err(()),
            read => Ok(read?),
        };
        let file = match &read {
            Err(()) => Stored::Garbage,
            Ok(None) => Stored::Missing,
            Ok(Some(text)) => match seen(text).filter(|token| token.namespace == owner.namespace.value) {
                Some(token) => Stored::Token(token),
                None => Stored::Garbage,
            },
        };
        self.stored = read.unwrap_or_default();
        let token_in_config = chosen.token_in_config;
        self.chosen = chosen;
        let planned = planner::Owner {
            namespace: owner.namespace.value.clone(),
            mode: owner.mode.value,
            api_url: plain_url(&owner.api_url.value),
            token_in_config,
        };
        self.owner = Some(owner);
        Ok((Some(planned), file))
    }
}

/// What answers `/new`, as far as the config says.
fn answering(config: &Value, place: &OpenClawHome) -> Result<Option<&'static str>> {
    if plugin_package::state(config, place)?.runs() {
        return Ok(Some("plugin"));
    }
    let is_on = entry::find(config)?.is_some_and(|entry| entry.enabled);
    let runs = is_on && entry::selection(config, &entry::installs(&place.home))?.ours;
    Ok(runs.then_some("hook"))
}

/// What planning may know of the entry. `barred`: why no token may be put into it.
pub(super) fn entry_of(config: &Value, barred: Option<&str>) -> Result<Option<Entry>> {
    let Some(entry) = entry::find(config)? else {
        return Ok(None);
    };
    let token = match entry.token() {
        Some(text) => seen(&text).map_or(InConfig::Garbage, InConfig::Token),
        None if entry.env.get(entry::TOKEN).is_some_and(|text| is_reference(text)) => InConfig::Reference,
        None => InConfig::Unset,
    };
    Ok(Some(Entry {
        on: entry.enabled,
        namespace: entry.namespace().map(str::to_owned),
        mode: entry.mode().map(str::to_owned),
        api_url: entry.api_url().map(plain_url),
        token,
        closed: barred.map(str::to_owned),
    }))
}

/// One spelling for each URL, where it is one.
fn plain_url(url: &str) -> String {
    let parsed = http::check_url(url, true).map_or_else(|_| url.to_owned(), |url| url.to_string());
    parsed.trim_end_matches('/').to_owned()
}

/// A file with nothing but white space in it, or hardly that.
fn is_blank(path: &Path) -> bool {
    const SHORTER_THAN_ANY_ENTRY: u64 = 64;
    std::fs::metadata(path).is_ok_and(|meta| meta.len() < SHORTER_THAN_ANY_ENTRY)
        && std::fs::read_to_string(path).is_ok_and(|text| text.trim().is_empty())
}

/// What planning may know of a token; `None` for a text that is none.
pub(super) fn seen(text: &SecretString) -> Option<planner::Token> {
    let says = claims::inspect(text).ok()?;
    Some(planner::Token {
        id: id(text),
        namespace: says.namespace,
        iat: says.iat,
        exp: says.exp,
    })
}

/// Tells a token's text from another's.
pub(super) fn id(text: &SecretString) -> TokenId {
    let digest = Sha256::digest(text.expose_secret().as_bytes());
    let mut id = [0; 8];
    id.copy_from_slice(&digest[..8]);
    TokenId(id)
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
