//! Our entry taken out of openclaw.json, or made harmless: what a logout and an uninstall want.

use super::entry::{ENV_PATH, HOOK, Installs, Planned, TOKEN, clear_token, find, keep_reference, text_of};
use super::selection::{extra_dirs, refusal, select};
use super::shape::child;
use crate::error::Result;
use serde_json::Value;
use std::path::Path;

/// The config without the owner token, as after a logout. A `${…}` stays.
pub fn without_token(config: &Value, keep_length: bool) -> Result<Planned> {
    let mut value = config.clone();
    let mut notes = Vec::new();
    let entry = find(config)?;
    if entry.as_ref().is_some_and(|entry| entry.env.contains_key(TOKEN)) {
        let env = child(&mut value, &ENV_PATH)?;
        if !keep_reference(env, TOKEN, "taken out", &mut notes) {
            clear_token(env, keep_length);
        }
    }
    Ok(Planned {
        value,
        notes,
        has_entry: entry.is_some(),
        holds_token: false,
    })
}

/// The config without our entry, and without the folder that [`wanted`](super::entry::wanted) gave to `load.extraDirs`, as far as the other
/// hooks run as before. For a config whose undo record is lost or no longer fits.
pub fn removed(config: &Value, open_dir: &Path, installs: &Installs) -> Result<Planned> {
    let planned = |value, notes| Planned {
        value,
        notes,
        has_entry: false,
        holds_token: false,
    };
    let ours = text_of(open_dir);
    let opened = extra_dirs(config)?.contains(&ours.as_str());
    if find(config)?.is_none() && !opened {
        return Ok(planned(config.clone(), Vec::new()));
    }
    let tracked = installs.read()?;
    let old = select(config, &tracked)?;

    let mut kept_open = config.clone();
    if find(config)?.is_some() {
        child(&mut kept_open, &ENV_PATH[..3])?.shift_remove(HOOK);
    }
    let mut value = kept_open.clone();
    if opened {
        close_discovery(&mut value, &ours)?;
    }
    if old == select(&value, &tracked)? {
        return Ok(planned(value, Vec::new()));
    }
    if opened && old == select(&kept_open, &tracked)? {
        let note = "hooks.internal.load.extraDirs keeps our hook's folder: without it, other hooks would stop running";
        return Ok(planned(kept_open, vec![note.to_owned()]));
    }
    // The last declared hook goes: with `enabled: true` alone OpenClaw would run every hook, without it none.
    child(&mut value, &["hooks", "internal"])?.shift_remove("enabled");
    let changes = old.changes_to(&select(&value, &tracked)?);
    if !changes.is_empty() {
        return Err(refusal("remove the hook's entry", &changes));
    }
    let note = "hooks.internal.enabled was removed too: without an entry it would switch every hook on";
    Ok(planned(value, vec![note.to_owned()]))
}

/// What an uninstall finds.
#[derive(Clone, Copy)]
pub struct Undone<'a> {
    /// The config without our edits, as the undo record tells it; the config itself where nothing is recorded.
    pub value: &'a Value,
    /// Nobody else wrote the config since our first edit: the value is what stood there before.
    pub certain: bool,
    /// The hook's folder holds an older handler again afterwards, so that an entry of before can be loaded.
    pub handler_back: bool,
    /// An entry that nothing is recorded of is ours: its files are.
    pub is_ours: bool,
    /// Take an entry out even if it was there before, where no handler comes back for it.
    pub force: bool,
}

/// The config after an uninstall: as it was before our first edit, or as near to it as the other hooks run on as they
/// do now.
pub fn uninstalled(config: &Value, undone: Undone<'_>, open_dir: &Path, installs: &Installs) -> Result<Planned> {
    let planned = |value: Value, notes: Vec<String>| {
        let has_entry = find(&value)?.is_some();
        Ok(Planned {
            value,
            notes,
            has_entry,
            holds_token: false,
        })
    };
    let live = find(undone.value)?.is_some_and(|entry| entry.enabled) && !undone.handler_back;
    let unrecorded = undone.value == config && undone.is_ours && !undone.handler_back;
    if unrecorded || (live && undone.force) {
        return removed(undone.value, open_dir, installs);
    }
    let mut notes = Vec::new();
    if live {
        notes.push(
            "the hook's entry was there before the first install, and stays; without a handler OpenClaw takes up no \
             change of its config while it runs: --force removes it"
                .to_owned(),
        );
    }
    let tracked = installs.read()?;
    let now = select(config, &tracked)?;
    let changes = now.changes_to(&select(undone.value, &tracked)?);
    if changes.is_empty() {
        return planned(undone.value.clone(), notes);
    }
    if undone.certain {
        notes.push(format!(
            "which other hooks run is as before the first install again: {}",
            changes.join("; ")
        ));
        return planned(undone.value.clone(), notes);
    }
    for keep in [&["enabled"][..], &["load"], &["enabled", "load"]] {
        let value = with_members_of(undone.value, config, keep)?;
        if now == select(&value, &tracked)? {
            let kept = keep
                .iter()
                .map(|key| format!("hooks.internal.{key}"))
                .collect::<Vec<_>>()
                .join(" and ");
            notes.push(format!(
                "{kept} stays as it is now, for otherwise: {}",
                changes.join("; ")
            ));
            return planned(value, notes);
        }
    }
    removed(config, open_dir, installs)
}

/// `value` with these members of `hooks.internal` as they are in `now`.
fn with_members_of(value: &Value, now: &Value, keys: &[&str]) -> Result<Value> {
    let mut value = value.clone();
    for key in keys {
        let internal = child(&mut value, &ENV_PATH[..2])?;
        match now.pointer(&format!("/hooks/internal/{key}")) {
            Some(member) => drop(internal.insert((*key).to_owned(), member.clone())),
            None => drop(internal.shift_remove(*key)),
        }
    }
    Ok(value)
}

/// The config with our entry switched off and its token overwritten by a filler: no shorter than it is.
pub fn disabled(config: &Value) -> Result<Planned> {
    let mut planned = without_token(config, true)?;
    if planned.has_entry {
        child(&mut planned.value, &ENV_PATH[..4])?.insert("enabled".to_owned(), Value::Bool(false));
        planned
            .notes
            .push("the hook's entry stays, switched off and without a token; --force removes it".to_owned());
    }
    Ok(planned)
}

/// Takes our folder out of `load.extraDirs`, and the members that then hold nothing.
fn close_discovery(config: &mut Value, ours: &str) -> Result<()> {
    let load = child(config, &["hooks", "internal", "load"])?;
    let empty = match load.get_mut("extraDirs") {
        Some(Value::Array(dirs)) => {
            dirs.retain(|dir| dir.as_str() != Some(ours));
            dirs.is_empty()
        }
        _ => false,
    };
    if empty {
        load.shift_remove("extraDirs");
        if load.is_empty() {
            child(config, &["hooks", "internal"])?.shift_remove("load");
        }
    }
    Ok(())
}
