//! `--purge`: the tokens, secrets and records go too.

use crate::cmd::output::{self, write_line};
use crate::cmd::resident;
use crate::cmd::watch::unit;
use crate::env::Env;
use crate::error::{Called, Result};
use crate::fs::{self, OwnLock};
use crate::home::OpenClawHome;
use crate::openclaw::backups;
use crate::openclaw::config;
use crate::openclaw::entry;
use crate::sigilum::secrets::Workspace;
use crate::token::{claims, record, store};
use crate::watch::status;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

/// What `--purge` looks for in other people's files.
#[derive(Default)]
pub(super) struct Secrets {
    tokens: Vec<SecretString>,
    /// The entry holds the token of a file of ours: whatever is recorded, it is ours.
    pub(super) in_entry: bool,
    /// The config and what it includes.
    config_files: Vec<PathBuf>,
    /// Token files that a record names, wherever they are.
    token_files: BTreeSet<PathBuf>,
}

impl Secrets {
    pub(super) fn find(place: &OpenClawHome) -> Result<Self> {
        let mut found = Self::default();
        for namespace in record::namespaces(&place.sigilum_dir())? {
            found.token_files.insert(place.token_file(&namespace));
            if let Ok(Some(record)) = record::read(&place.record_file(&namespace)) {
                found.token_files.insert(record.token_file(place, &namespace));
            }
        }
        let stored = |path: &PathBuf| store::read(path).ok().flatten();
        found.tokens = found.token_files.iter().filter_map(stored).collect();
        if let Ok(Some(config)) = config::read(place) {
            let entry = entry::find(&config.value).ok().flatten();
            if let Some(token) = entry.and_then(|entry| entry.token()) {
                let same = |stored: &SecretString| stored.expose_secret() == token.expose_secret();
                found.in_entry = found.tokens.iter().any(same);
                found.tokens.push(token);
            }
            found.config_files = config.files;
        }
        Ok(found)
    }
}

/// Stops and removes the unit whose watcher serves this home alone; says what else still runs for it: a watcher that
/// somebody started, or the OpenClaw gateway's child, which may be one too.
pub(super) fn end_the_watcher(place: &OpenClawHome, called: &Called, env: &Env, out: &mut dyn Write) -> Result<()> {
    match unit::of_home(place, env) {
        // It would start the watcher again.
        Some((unit, true)) => drop(unit::take_out(&unit, env, out)?),
        Some((unit, false)) => output::note(format_args!(
            "a service runs a watcher for this home and others, and passes it over from now on: {}",
            unit.display()
        )),
        None => {}
    }
    let resident = resident::read(place);
    let is_resident = |pid| resident.as_ref().is_some_and(|resident| resident.pid == pid);
    let of_a_unit = unit::of_home(place, env).is_some();
    if let Some(watch) = status::read(place).filter(|watch| watch.running && !of_a_unit && !is_resident(watch.pid)) {
        output::warn(format_args!(
            "a watcher still serves this home: process {}\n  next: kill {0}; or stop its service",
            watch.pid
        ));
    }
    if let Some(resident) = resident {
        output::note(format_args!(
            "the OpenClaw gateway still runs the plugin's program, process {}; it ends at the next event, or with: {}",
            resident.pid,
            called.complete("openclaw gateway restart")
        ));
    }
    Ok(())
}

/// Removes everything of ours, and tells where OpenClaw's own copies still hold tokens.
pub(super) fn remove(place: &OpenClawHome, secrets: &Secrets, out: &mut dyn Write) -> Result<()> {
    let dir = place.sigilum_dir();
    let mut left = Vec::new();
    let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    // Records first: without one a watcher makes no new token.
    names.sort_by_key(|name| (!name.ends_with(".json"), name.clone()));
    for name in names {
        let path = dir.join(&name);
        if name == "lock" || name == "made-home" {
            continue;
        } else if is_ours(&name) && !path.is_dir() {
            fs::remove(&path)?;
            write_line(out, format_args!("Removed {}", path.display()))?;
        } else {
            left.push(path);
        }
    }
    for path in &secrets.token_files {
        if !path.starts_with(&dir) && fs::remove(path)? {
            write_line(out, format_args!("Removed {}", path.display()))?;
        }
    }
    for path in left {
        write_line(out, format_args!("  {} is not ours to remove", path.display()))?;
    }
    let keys = Workspace::in_folder(&place.home);
    if keys.holds_secrets() {
        let note = "the keys of services stay, as agents and the Sigilum gateway use them";
        output::note(format_args!(
            "{note}; `service remove` takes one out: {}",
            keys.dir().display()
        ));
    }
    let copies = backups::with_tokens(place, &secrets.config_files, &secrets.tokens);
    if !copies.is_empty() {
        write_line(
            out,
            "OpenClaw's own files still hold owner tokens; remove them, or wait until the tokens expire:",
        )?;
        for path in copies {
            write_line(out, format_args!("  {}", path.display()))?;
        }
    }
    Ok(())
}

/// Removes tokens, logins and signing secrets, where the rest cannot be taken out yet: their records stay for that.
pub(super) fn remove_secrets(
    place: &OpenClawHome,
    lock: &OwnLock,
    secrets: &Secrets,
    out: &mut dyn Write,
) -> Result<()> {
    let dir = place.sigilum_dir();
    let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .filter(|entry| is_secret(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect();
    // Records first: without one a watcher makes no new token.
    files.sort_by_key(|file| (file.extension().is_none_or(|end| end != "json"), file.clone()));
    let elsewhere = secrets.token_files.iter().filter(|file| !file.starts_with(&dir));
    for file in files.iter().chain(elsewhere) {
        if fs::remove(file)? {
            write_line(out, format_args!("Removed {}", file.display()))?;
        }
    }
    config::scrub_undo_record(place, lock, &|text| claims::inspect(&text.to_owned().into()).is_ok())
}

/// Whether a name in `.sigilum/` is that of a token, of its login, or of what signs one.
fn is_secret(name: &str) -> bool {
    let owner = name.strip_prefix("owner-");
    ["jwt-secret", "local-api.sqlite"].contains(&name)
        || name.starts_with("local-api.sqlite-")
        || owner.is_some_and(|rest| rest.ends_with(".json") || (rest.starts_with("token-") && rest.ends_with(".jwt")))
}

/// Whether a name in `.sigilum/` is one that we give.
fn is_ours(name: &str) -> bool {
    const NAMES: [&str; 16] = [
        "hook.json",
        "serve.json",
        "seen.json",
        "told.json",
        "decisions.jsonl",
        "decisions.1.jsonl",
        "decisions.lock",
        "approvals.json",
        "broker",
        "totp.json",
        "undo.json",
        "installed.json",
        "watch-status.json",
        "watch.lock",
        "watch.log",
        "lock",
    ];
    NAMES.contains(&name) || is_secret(name) || fs::is_temp_name(name)
}
