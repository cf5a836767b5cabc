//! Which hooks an OpenClaw gateway runs, as far as its config and its tracked installs decide it.
//!
//! The rules are those of OpenClaw 2026.9.6 (`src/hooks/configured.ts`, `policy.ts`, `loader.ts`), to the letter: our
//! edits compare what runs before and after, and a rule guessed wrong would switch somebody's hooks off.

use super::names::{HOOK, PLUGIN, PLUGIN_0_1};
use super::shape::{kind, object, shape};
use super::state_db;
use crate::error::{Error, ExitCode, OrFail, Result};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The directory hooks that are selected: eligible ones among them run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hooks {
    /// Broad discovery: every hook that OpenClaw finds, but for those with `enabled: false`.
    Every,
    /// These names only.
    Named(BTreeSet<String>),
}

/// Which hooks run. Two selections are equal where every hook but ours is in the same state in both.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The other directory hooks.
    pub hooks: Hooks,
    /// Whether hooks that plugins register run: they do unless `hooks.internal.enabled` is false.
    /// Always false where the config declares no plugin.
    pub plugin_hooks: bool,
    /// Whether ours is selected.
    pub ours: bool,
}

impl PartialEq for Selection {
    fn eq(&self, other: &Self) -> bool {
        self.hooks == other.hooks && self.plugin_hooks == other.plugin_hooks
    }
}

impl Selection {
    /// What changes for the other hooks from this selection to the next, for a person; empty where nothing does.
    pub fn changes_to(&self, next: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        match (&self.hooks, &next.hooks) {
            (Hooks::Every, Hooks::Every) => {}
            (Hooks::Every, Hooks::Named(names)) if names.is_empty() => {
                changes.push("no other hook runs, where every eligible one did".to_owned());
            }
            (Hooks::Every, Hooks::Named(names)) => {
                changes.push(format!("only {} run, where every eligible hook did", list(names)));
            }
            (Hooks::Named(names), Hooks::Every) if names.is_empty() => {
                changes.push("every eligible hook runs, where no other did".to_owned());
            }
            (Hooks::Named(names), Hooks::Every) => {
                changes.push(format!("every eligible hook runs, where only {} did", list(names)));
            }
            (Hooks::Named(old), Hooks::Named(new)) => {
                let gained: BTreeSet<_> = new.difference(old).cloned().collect();
                let lost: BTreeSet<_> = old.difference(new).cloned().collect();
                if !gained.is_empty() {
                    changes.push(format!("switched on: {}", list(&gained)));
                }
                if !lost.is_empty() {
                    changes.push(format!("switched off: {}", list(&lost)));
                }
            }
        }
        match (self.plugin_hooks, next.plugin_hooks) {
            (false, true) => changes.push("hooks that plugins register run".to_owned()),
            (true, false) => changes.push("hooks that plugins register run no longer".to_owned()),
            _ => {}
        }
        changes
    }
}

fn list(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// What an edit changes beyond the rules of 2026.9.6 where an older OpenClaw wrote the config last: up to 2026.7 it runs
/// every bundled hook once `hooks.internal.enabled` is true, whatever the entries name.
pub fn wakes_bundled_hooks(before: &Value, after: &Value) -> Option<&'static str> {
    let on = |config: &Value| config.pointer("/hooks/internal/enabled") == Some(&Value::Bool(true));
    let version = before.pointer("/meta/lastTouchedVersion").and_then(Value::as_str)?;
    let mut numbers = version.split('.').map_while(|part| part.parse::<u32>().ok());
    let is_old = (numbers.next()?, numbers.next()?) <= (2026, 7);
    (is_old && on(after) && !on(before)).then_some("every hook that OpenClaw brings along runs, up to version 2026.7")
}

/// The hook packs that OpenClaw tracks, in its state database. Read when asked, never written, created or locked.
#[derive(Debug, Clone)]
pub struct Installs {
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    Known(Vec<Install>),
    Database(PathBuf),
}

/// One tracked install of a hook pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Install {
    /// The pack's id.
    pub id: String,
    /// The hooks in it; an install without names opens discovery to every hook.
    pub hooks: Vec<String>,
}

/// The tracked installs of an OpenClaw state folder. A folder without a state database has none.
pub fn installs(state_dir: &Path) -> Installs {
    Installs {
        source: Source::Database(state_db::path(state_dir)),
    }
}

impl Installs {
    /// No tracked install at all.
    pub fn none() -> Self {
        Self::of([])
    }

    /// These installs.
    pub fn of(installs: impl IntoIterator<Item = Install>) -> Self {
        Self {
            source: Source::Known(installs.into_iter().collect()),
        }
    }

    /// Reads them. Fails (exit code config) where there is a database that cannot be read: what runs is then unknown.
    pub fn read(&self) -> Result<Vec<Install>> {
        let path = match &self.source {
            Source::Known(installs) => return Ok(installs.clone()),
            Source::Database(path) => path,
        };
        let what = || format!("could not read OpenClaw's tracked hook installs: {}", path.display());
        let Some(text) = state_db::installs(path).or_fail(ExitCode::Config, what)? else {
            return Ok(Vec::new());
        };
        let value: Value = serde_json::from_str(&text).or_fail(ExitCode::Config, what)?;
        let Some(records) = value.as_object() else {
            return Ok(Vec::new());
        };
        let hooks = |record: &Value| {
            let names = record.get("hooks").and_then(Value::as_array);
            let names = names.into_iter().flatten().filter_map(Value::as_str);
            names.map(str::to_owned).collect()
        };
        Ok(records
            .iter()
            .map(|(id, record)| Install {
                id: id.clone(),
                hooks: hooks(record),
            })
            .collect())
    }
}

/// Which hooks run under this config. Fails (exit code config) on shapes that OpenClaw itself refuses.
pub fn selection(config: &Value, installs: &Installs) -> Result<Selection> {
    select(config, &installs.read()?)
}

/// [`selection`] with the installs at hand.
pub(super) fn select(config: &Value, installs: &[Install]) -> Result<Selection> {
    let internal = object(config, &["hooks", "internal"])?;
    let entries = object(config, &["hooks", "internal", "entries"])?;
    let master = match internal.and_then(|internal| internal.get("enabled")) {
        None => None,
        Some(Value::Bool(on)) => Some(*on),
        Some(other) => return Err(shape("hooks.internal.enabled", kind(other), "true or false")),
    };
    let disabled = |name: &str| {
        let enabled = entries
            .and_then(|entries| entries.get(name))
            .and_then(|entry| entry.get("enabled"));
        enabled == Some(&Value::Bool(false))
    };

    let mut open = !extra_dirs(config)?.is_empty();
    let mut declared = BTreeSet::new();
    let mut names = BTreeSet::new();
    for name in entries.into_iter().flat_map(Map::keys) {
        let trimmed = name.trim();
        if !trimmed.is_empty() {
            declared.insert(trimmed.to_owned());
            if !disabled(name) {
                names.insert(trimmed.to_owned());
            }
        }
    }
    for install in installs {
        open |= install.hooks.is_empty() && !install.id.trim().is_empty();
        for name in install
            .hooks
            .iter()
            .map(|name| name.trim())
            .filter(|name| !name.is_empty())
        {
            declared.insert(name.to_owned());
            // A tracked hook is named whatever its entry says, but its entry still keeps it from running.
            if !disabled(name) {
                names.insert(name.to_owned());
            }
        }
    }

    let every = master != Some(false) && (open || (declared.is_empty() && master == Some(true)));
    if master == Some(false) {
        names.clear();
    }
    let ours = (every || names.contains(HOOK)) && !disabled(HOOK);
    names.remove(HOOK);
    Ok(Selection {
        hooks: if every { Hooks::Every } else { Hooks::Named(names) },
        plugin_hooks: master != Some(false) && declares_plugins(config),
        ours,
    })
}

/// Whether the config declares a plugin, other than ours, that may register hooks.
fn declares_plugins(config: &Value) -> bool {
    let Some(plugins) = config.get("plugins") else {
        return false;
    };
    let off = |value: &Value| value.get("enabled") == Some(&Value::Bool(false));
    let entries = plugins.get("entries").and_then(Value::as_object);
    !off(plugins)
        && entries
            .into_iter()
            .flatten()
            .any(|(id, entry)| ![PLUGIN, PLUGIN_0_1].contains(&id.as_str()) && !off(entry))
}

/// The non-blank folders of `hooks.internal.load.extraDirs`.
pub(super) fn extra_dirs(config: &Value) -> Result<Vec<&str>> {
    let load = object(config, &["hooks", "internal", "load"])?;
    let Some(dirs) = load.and_then(|load| load.get("extraDirs")) else {
        return Ok(Vec::new());
    };
    let path = "hooks.internal.load.extraDirs";
    let Some(dirs) = dirs.as_array() else {
        return Err(shape(path, kind(dirs), "an array of folders"));
    };
    let text = |dir: &'_ Value| {
        dir.as_str()
            .map(|_| ())
            .ok_or_else(|| shape(path, kind(dir), "text as each folder"))
    };
    dirs.iter().try_for_each(text)?;
    let dirs = dirs.iter().filter_map(Value::as_str);
    Ok(dirs.filter(|dir| !dir.trim().is_empty()).collect())
}

/// The refusal of an edit that would change which other hooks run.
pub(super) fn refusal(what: &str, changes: &[String]) -> Error {
    Error::new(
        ExitCode::Config,
        format!("could not {what} without changing which other hooks run"),
    )
    .because(anyhow::anyhow!("{}", changes.join("; ")))
    .next("add --force; nothing was written")
}
