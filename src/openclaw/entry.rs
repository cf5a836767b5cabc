//! The hook's entry in openclaw.json, `hooks.internal.entries["sigilum-authz-notify"]`: what is there, and what each
//! command wants there instead. Pure functions from value to value; [`super::config`] turns the difference into an edit
//! of the text.
//!
//! One rule stands above all wants: **which other hooks run must not change**. See [`super::selection`].

pub use super::names::{HOOK, PLUGIN};
pub use super::selection::{Hooks, Install, Installs, Selection, installs, selection};

use super::selection::{refusal, select, wakes_bundled_hooks};
use super::shape::{child, kind, object, shape};
use super::substitution::is_reference;
use crate::error::Result;
use crate::text::{filler, is_unset};
use clap::ValueEnum;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// The path to the entry's `env` in openclaw.json.
pub const ENV_PATH: [&str; 5] = ["hooks", "internal", "entries", HOOK, "env"];

/// Where the owner token stands in the entry's `env`, while the hook is on.
pub const TOKEN: &str = "SIGILUM_OWNER_TOKEN";
/// The namespace that the hook speaks for, without which OpenClaw does not run it.
pub const NAMESPACE: &str = "SIGILUM_NAMESPACE";
const API_URL: &str = "SIGILUM_API_URL";
const MODE: &str = "SIGILUM_MODE";
const TOKEN_IN_CONFIG: &str = "SIGILUM_TOKEN_IN_CONFIG";

/// The members of the entry's `env` that are ours.
pub const ENV_VARS: [&str; 5] = [TOKEN, NAMESPACE, API_URL, MODE, TOKEN_IN_CONFIG];

/// `true`, `false` or `preserve`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Enable {
    /// Switch the hook on.
    True,
    /// Switch the hook off.
    False,
    /// Leave it as it is; a new entry is written switched off.
    Preserve,
}

/// The entry as it stands in the config. Its `env` may hold the owner token: no `Debug` of values.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whether the hook is on. An absent `enabled` counts as on, as in OpenClaw.
    pub enabled: bool,
    /// The entry's own environment, which OpenClaw does not put into the process's.
    pub env: BTreeMap<String, String>,
}

impl Entry {
    /// The namespace it was written for.
    pub fn namespace(&self) -> Option<&str> {
        self.var(NAMESPACE)
    }

    /// `managed` or `oss-local`, unchecked.
    pub fn mode(&self) -> Option<&str> {
        self.var(MODE)
    }

    /// The API's base URL, unchecked.
    pub fn api_url(&self) -> Option<&str> {
        self.var(API_URL)
    }

    /// The owner token; `None` where it is absent, blank, a filler or a `${…}`.
    pub fn token(&self) -> Option<SecretString> {
        self.var(TOKEN).map(SecretString::from)
    }

    /// A variable of its env; `None` where it is absent, blank, a filler or a `${…}`.
    pub fn var(&self, name: &str) -> Option<&str> {
        let value = self.env.get(name)?.trim();
        (!is_unset(value)).then_some(value)
    }
}

impl fmt::Debug for Entry {
    /// Names only: a value may be the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("enabled", &self.enabled)
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// The hook's entry; `None` where there is none. Fails (exit code config) on shapes that OpenClaw refuses: `hooks` a
/// text, `entries` an array, the entry null, `env` an array, a value of `env` that is no text.
pub fn find(config: &Value) -> Result<Option<Entry>> {
    let Some(entry) = object(config, &ENV_PATH[..4])? else {
        return Ok(None);
    };
    let enabled = match entry.get("enabled") {
        None => true,
        Some(Value::Bool(on)) => *on,
        Some(other) => return Err(shape(&dotted("enabled"), kind(other), "true or false")),
    };
    let mut env = BTreeMap::new();
    for (name, value) in object(config, &ENV_PATH)?.into_iter().flatten() {
        let Value::String(text) = value else {
            return Err(shape(&dotted(&format!("env.{name}")), kind(value), "text"));
        };
        env.insert(name.clone(), text.clone());
    }
    Ok(Some(Entry { enabled, env }))
}

/// What a login, a refresh, an install or the watcher wants the entry to be.
#[derive(Clone)]
pub struct Wanted<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The API's base URL; empty: not in the entry, as with a broker.
    pub api_url: &'a str,
    /// `managed` or `oss-local`; empty: not in the entry.
    pub mode: &'a str,
    /// The owner token, where one is known. Without one, a token of the same namespace stays.
    pub token: Option<&'a SecretString>,
    /// Whether the token belongs into openclaw.json; `None`, nobody chose: where the replaced one stands.
    pub token_in_config: Option<bool>,
    /// Why no token may be written, where none may: [`Ask::barred`](super::config::Ask::barred).
    pub barred: Option<&'a str>,
    /// The token that was stored before this one.
    pub replaces: Option<&'a SecretString>,
    /// On, off, or as it is (a new entry is then off).
    pub enable: Enable,
    /// Our hook's folder. As one of `hooks.internal.load.extraDirs` it keeps OpenClaw's discovery open.
    pub open_dir: &'a Path,
    /// Go on where which other hooks run would change.
    pub force: bool,
    /// Put a filler of the same length where a token is taken out.
    pub keep_length: bool,
}

/// A wanted config. Its value may hold the owner token: no `Debug`.
#[derive(Clone)]
pub struct Planned {
    /// The whole config.
    pub value: Value,
    /// What a person should know about it.
    pub notes: Vec<String>,
    /// Whether the config then has an entry of ours.
    pub has_entry: bool,
    /// Whether the wanted token stands in it.
    pub holds_token: bool,
}

/// The config as `want` has it. Fails (exit code config) on bad shapes, and where which other hooks run would change
/// and `force` is not set; under [`Enable::Preserve`] the entry is then left out instead.
pub fn wanted(config: &Value, want: &Wanted<'_>, installs: &Installs) -> Result<Planned> {
    let before = find(config)?;
    let mut plain = config.clone();
    let mut notes = Vec::new();
    put_flags(&mut plain, want.enable)?;
    put_entry(&mut plain, want, before.as_ref(), &mut notes)?;
    let planned = |value: Value, notes: Vec<String>| {
        let entry = find(&value)?;
        let token = entry.as_ref().and_then(Entry::token);
        let same = |wanted: &SecretString| token.is_some_and(|token| token.expose_secret() == wanted.expose_secret());
        Ok(Planned {
            has_entry: entry.is_some(),
            holds_token: want.token.is_some_and(same),
            value,
            notes,
        })
    };
    if before.is_some() && want.enable == Enable::Preserve {
        return planned(plain, notes);
    }
    let tracked = installs.read()?;
    let old = select(config, &tracked)?;
    let mut changes = old.changes_to(&select(&plain, &tracked)?);
    let bundled = wakes_bundled_hooks(config, &plain);
    changes.extend(bundled.map(str::to_owned));
    if changes.is_empty() {
        return planned(plain, notes);
    }
    if want.enable == Enable::Preserve {
        let note = format!(
            "openclaw.json got no entry for the hook: with one, {}. To switch the hook on and keep the others: \
             {HOOK} hook install --as hook",
            changes.join("; ")
        );
        return planned(config.clone(), vec![note]);
    }
    let mut open = plain.clone();
    open_discovery(&mut open, want.open_dir)?;
    if bundled.is_none() && old.changes_to(&select(&open, &tracked)?).is_empty() {
        notes.push("hooks.internal.load.extraDirs got our hook's folder, so that all other hooks still run".to_owned());
        return planned(open, notes);
    }
    if !want.force {
        let what = if want.enable == Enable::True {
            "switch the hook on"
        } else {
            "write the hook's entry"
        };
        return Err(refusal(what, &changes));
    }
    notes.push(format!("which other hooks run changes: {}", changes.join("; ")));
    planned(plain, notes)
}

/// The config with another token in the entry, and nothing else changed.
pub fn with_token(config: &Value, token: &SecretString) -> Result<Value> {
    let mut value = config.clone();
    let text = Value::String(token.expose_secret().to_owned());
    child(&mut value, &ENV_PATH)?.insert(TOKEN.to_owned(), text);
    Ok(value)
}

/// Writes the entry's variables and token.
fn put_entry(config: &mut Value, want: &Wanted<'_>, before: Option<&Entry>, notes: &mut Vec<String>) -> Result<()> {
    let on = match want.enable {
        Enable::True => true,
        Enable::False => false,
        Enable::Preserve => before.is_some_and(|entry| entry.enabled),
    };
    if before.is_none() && want.enable == Enable::Preserve {
        child(config, &ENV_PATH[..4])?.insert("enabled".to_owned(), Value::Bool(on));
    }
    let held = before.and_then(Entry::token);
    let is_held = |token: &SecretString| {
        held.as_ref()
            .is_some_and(|held| held.expose_secret() == token.expose_secret())
    };
    let known = || [want.replaces, want.token].into_iter().flatten().any(is_held);
    let in_config = want.token_in_config.unwrap_or_else(known);
    let another = before
        .and_then(Entry::namespace)
        .is_some_and(|namespace| namespace != want.namespace);
    let env = child(config, &ENV_PATH)?;
    for (name, value) in [(NAMESPACE, want.namespace), (API_URL, want.api_url), (MODE, want.mode)] {
        if value.is_empty() {
            env.shift_remove(name);
        } else if !keep_reference(env, name, "written", notes) {
            env.insert(name.to_owned(), Value::String(value.to_owned()));
        }
    }
    // Version 0.1.0 kept here what the hook's record keeps now.
    if in_config {
        env.shift_remove(TOKEN_IN_CONFIG);
    }
    if keep_reference(env, TOKEN, "written", notes) {
        return Ok(());
    }
    match (want.token, want.barred) {
        (Some(_), Some(why)) if on && in_config => {
            notes.push(format!("the token stays in its file: {why}"));
            clear_token(env, want.keep_length);
        }
        (Some(token), _) if on && in_config => {
            env.insert(TOKEN.to_owned(), Value::String(token.expose_secret().to_owned()));
        }
        (None, _) if on && in_config && !another => {}
        _ if on && want.token_in_config.is_none() && held.is_some() && !another => notes.push(
            "SIGILUM_OWNER_TOKEN was left as it is: it is not the token that was stored, and nobody chose whether one is to \
             stand in openclaw.json; to choose: --token-in-config true or false"
                .to_owned(),
        ),
        _ => clear_token(env, want.keep_length),
    }
    Ok(())
}

/// Sets `enabled` of the entry; with `true` also that of `hooks.internal` where it is false. Where it is absent the entry
/// is enough, and OpenClaw up to 2026.7 would take `true` for every bundled hook.
fn put_flags(config: &mut Value, enable: Enable) -> Result<()> {
    let on = match enable {
        Enable::True => true,
        Enable::False => false,
        Enable::Preserve => return Ok(()),
    };
    if on && config.pointer("/hooks/internal/enabled") == Some(&Value::Bool(false)) {
        child(config, &ENV_PATH[..2])?.insert("enabled".to_owned(), Value::Bool(true));
    }
    child(config, &ENV_PATH[..4])?.insert("enabled".to_owned(), Value::Bool(on));
    Ok(())
}

/// Whether a variable is a `${…}`, which stays; then says so.
pub(super) fn keep_reference(env: &Map<String, Value>, name: &str, done: &str, notes: &mut Vec<String>) -> bool {
    let reference = env.get(name).and_then(Value::as_str).is_some_and(is_reference);
    if reference {
        notes.push(format!(
            "{name} was not {done}: in the hook's entry it is a ${{…}}, which OpenClaw fills in from its environment"
        ));
    }
    reference
}

pub(super) fn clear_token(env: &mut Map<String, Value>, keep_length: bool) {
    match env.get_mut(TOKEN) {
        Some(Value::String(token)) if keep_length => *token = filler(token.len()),
        Some(_) => drop(env.shift_remove(TOKEN)),
        None => {}
    }
}

fn open_discovery(config: &mut Value, open_dir: &Path) -> Result<()> {
    let load = child(config, &["hooks", "internal", "load"])?;
    let dirs = load.entry("extraDirs").or_insert_with(|| Value::Array(Vec::new()));
    let Value::Array(dirs) = dirs else {
        return Err(shape(
            "hooks.internal.load.extraDirs",
            kind(dirs),
            "an array of folders",
        ));
    };
    dirs.push(Value::String(text_of(open_dir)));
    Ok(())
}

/// A folder as openclaw.json spells it: OpenClaw must not take a part of its name for a variable.
pub(super) fn text_of(folder: &Path) -> String {
    folder.to_string_lossy().replace("${", "$${")
}

/// A member of the entry, as `openclaw config` names it.
pub fn dotted(member: &str) -> String {
    format!("{}.{member}", ENV_PATH[..4].join("."))
}
