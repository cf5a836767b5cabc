//! The native plugin's part of openclaw.json: `plugins.entries["sigilum-authz-notify"]`, our folder in
//! `plugins.load.paths`, and our id in `plugins.allow` where there is such a list. Pure functions from value to value.
//!
//! OpenClaw 2026.9.6 takes these keys up from an outside edit, while it runs too; `openclaw plugins install --link`
//! writes the same ones and strips the comments.

use super::entry::{Planned, text_of};
use super::names::{PLUGIN, PLUGIN_0_1};
use super::shape::{child, kind, object, shape};
use crate::error::Result;
use crate::openclaw::entry::Enable;
use serde_json::{Map, Value};
use std::path::Path;

/// How the plugin stands in the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The entry's `enabled` (absent counts as on); `None` where there is no entry.
    pub entry: Option<bool>,
    /// Whether OpenClaw finds it: our folder is one of `plugins.load.paths`, or it is an install of OpenClaw's own.
    pub found: bool,
    /// Why it cannot run although it is switched on: `plugins.enabled` false, `deny`, or `allow` without it.
    pub blocked: Option<&'static str>,
}

impl State {
    /// Whether OpenClaw loads the plugin.
    pub fn runs(&self) -> bool {
        self.entry == Some(true) && self.found && self.blocked.is_none()
    }
}

/// How the plugin in our folder stands in the config. Fails (exit code config) on shapes that OpenClaw refuses.
pub fn find(config: &Value, dir: &Path) -> Result<State> {
    let plugins = object(config, &["plugins"])?;
    let entry = match object(config, &["plugins", "entries", PLUGIN])? {
        None => None,
        Some(entry) => Some(flag(entry, &format!("plugins.entries.{PLUGIN}.enabled"))?.unwrap_or(true)),
    };
    let has = |names: &[&str]| names.contains(&PLUGIN);
    let blocked = if flag(plugins.unwrap_or(&Map::new()), "plugins.enabled")? == Some(false) {
        Some("plugins.enabled is false, so no plugin runs")
    } else if has(&texts(config, &["plugins"], "deny")?) {
        Some("plugins.deny names it")
    } else {
        let allow = texts(config, &["plugins"], "allow")?;
        (!allow.is_empty() && !has(&allow)).then_some("plugins.allow does not name it")
    };
    let ours = text_of(dir);
    Ok(State {
        entry,
        found: texts(config, &["plugins", "load"], "paths")?.contains(&ours.as_str()),
        blocked,
    })
}

/// The config with the plugin in it: on, off, or as it is (a new entry is then off). An empty `plugins.allow` allows
/// everything and stays empty.
///
/// `is_ours`: we wrote its files; OpenClaw finds those of its own installs by itself.
pub fn wanted(config: &Value, enable: Enable, dir: &Path, is_ours: bool) -> Result<Planned> {
    let mut value = config.clone();
    rename(&mut value, dir)?;
    let before = find(&value, dir)?;
    let on = match (enable, before.entry) {
        (Enable::True, _) => Some(true),
        (Enable::False, _) | (Enable::Preserve, None) => Some(false),
        (Enable::Preserve, Some(_)) => None,
    };
    if let Some(on) = on {
        child(&mut value, &["plugins", "entries", PLUGIN])?.insert("enabled".to_owned(), Value::Bool(on));
    }
    if is_ours && !before.found {
        push(child(&mut value, &["plugins", "load"])?, "paths", &text_of(dir));
    }
    let allow = texts(&value, &["plugins"], "allow")?;
    if !allow.is_empty() && !allow.contains(&PLUGIN) {
        push(child(&mut value, &["plugins"])?, "allow", PLUGIN);
    }
    let after = find(&value, dir)?;
    let blocked = after.blocked.filter(|_| after.entry == Some(true));
    Ok(Planned {
        notes: blocked
            .iter()
            .map(|why| format!("OpenClaw does not load the plugin yet: {why}"))
            .collect(),
        value,
        has_entry: true,
        holds_token: false,
    })
}

/// The config without the plugin. Our id stays in a `plugins.allow` that names nobody else: an empty list allows all.
pub fn removed(config: &Value, dir: &Path) -> Result<Planned> {
    let mut value = config.clone();
    rename(&mut value, dir)?;
    let before = find(&value, dir)?;
    if before.entry.is_some() {
        take_member(&mut value, &["plugins", "entries"], PLUGIN)?;
    }
    if before.found {
        let ours = text_of(dir);
        let load = child(&mut value, &["plugins", "load"])?;
        if pull(load, "paths", &ours) {
            take_member(&mut value, &["plugins"], "load")?;
        }
    }
    if names_us(&value)? {
        pull(child(&mut value, &["plugins"])?, "allow", PLUGIN);
    }
    Ok(Planned {
        value,
        notes: Vec::new(),
        has_entry: false,
        holds_token: false,
    })
}

/// The plugin of version 0.1.0, whose folder ours is, under its new id.
fn rename(config: &mut Value, dir: &Path) -> Result<()> {
    let ours = text_of(dir);
    let is_there = object(config, &["plugins", "entries", PLUGIN_0_1])?.is_some();
    if !is_there || !texts(config, &["plugins", "load"], "paths")?.contains(&ours.as_str()) {
        return Ok(());
    }
    let entries = child(config, &["plugins", "entries"])?;
    if let Some(entry) = entries.shift_remove(PLUGIN_0_1) {
        entries.entry(PLUGIN).or_insert(entry);
    }
    for list in ["allow", "deny"] {
        let items = child(config, &["plugins"])?.get_mut(list).and_then(Value::as_array_mut);
        for item in items.into_iter().flatten().filter(|item| *item == PLUGIN_0_1) {
            *item = PLUGIN.into();
        }
    }
    Ok(())
}

/// Whether `plugins.allow` names us beside others.
fn names_us(config: &Value) -> Result<bool> {
    let allow = texts(config, &["plugins"], "allow")?;
    Ok(allow.contains(&PLUGIN) && allow.iter().any(|name| *name != PLUGIN))
}

fn flag(map: &Map<String, Value>, path: &str) -> Result<Option<bool>> {
    match map.get("enabled") {
        None => Ok(None),
        Some(Value::Bool(on)) => Ok(Some(*on)),
        Some(other) => Err(shape(path, kind(other), "true or false")),
    }
}

/// The texts of a list; empty where there is none.
fn texts<'a>(config: &'a Value, path: &[&str], key: &str) -> Result<Vec<&'a str>> {
    let name = format!("{}.{key}", path.join("."));
    match object(config, path)?.and_then(|map| map.get(key)) {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| {
                item.as_str()
                    .ok_or_else(|| shape(&name, kind(item), "text in each place"))
            })
            .collect(),
        Some(other) => Err(shape(&name, kind(other), "an array")),
    }
}

fn push(map: &mut Map<String, Value>, key: &str, text: &str) {
    let list = map.entry(key).or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(items) = list {
        items.push(Value::String(text.to_owned()));
    }
}

/// Takes a text out of a list, and the list if it is then empty; says whether the object is then empty too.
fn pull(map: &mut Map<String, Value>, key: &str, text: &str) -> bool {
    if let Some(Value::Array(items)) = map.get_mut(key) {
        items.retain(|item| item.as_str() != Some(text));
        if items.is_empty() {
            map.shift_remove(key);
        }
    }
    map.is_empty()
}

fn take_member(config: &mut Value, path: &[&str], key: &str) -> Result<()> {
    child(config, path)?.shift_remove(key);
    Ok(())
}
