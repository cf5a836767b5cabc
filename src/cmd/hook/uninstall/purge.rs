//! `--purge`: the tokens, secrets and records go too.

use crate::authz::timed;
use crate::cmd::context::{self, is_ours};
use crate::cmd::output::{self, write_line};
use crate::cmd::resident;
use crate::cmd::timed_approvals::{self, Goes};
use crate::cmd::watch::unit;
use crate::env::Env;
use crate::error::{Called, Error, Result, then_again};
use crate::fs::{self, OwnLock};
use crate::home::OpenClawHome;
use crate::openclaw::config;
use crate::openclaw::entry;
use crate::openclaw::hook_files;
use crate::sigilum::secrets::Workspace;
use crate::token::{claims, record, store};
use crate::watch::status;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

/// Where an install keeps files of ours.
const FOLDERS: [&str; 3] = ["bin", "plugin", "replaced"];

/// What `--purge` looks for in other people's files.
#[derive(Default)]
pub(super) struct Secrets {
    tokens: Vec<SecretString>,
    /// The entry holds the token of a file of ours: whatever is recorded, it is ours.
    pub(super) in_entry: bool,
    /// The config and what it includes.
    config_files: Vec<PathBuf>,
    /// Token files that a record names, wherever they are, and those among our files.
    token_files: BTreeSet<PathBuf>,
    /// What is not known of them, as a record cannot be read.
    unknown: Vec<String>,
}

impl Secrets {
    /// Looks for them. What lists our edits and files goes aside where it cannot be read: this command takes it away
    /// anyhow, and is not to end at it before the tokens are gone.
    pub(super) fn find(place: &OpenClawHome) -> Result<Self> {
        let mut found = Self::default();
        let undo = config::undo_record(place).err().map(|why| (place.undo_file(), why));
        let list = hook_files::unreadable_list(place);
        let was_installed = list.is_some();
        for (path, why) in undo.into_iter().chain(list) {
            output::warn(format_args!(
                "{}; nothing that stands in it counts any more",
                why.text()
            ));
            fs::set_aside(&path)?;
        }
        for namespace in record::namespaces(&place.sigilum_dir())? {
            found.token_files.insert(place.token_file(&namespace));
            let file = place.record_file(&namespace);
            if let Ok(Some(record)) = record::read(&file) {
                found.token_files.insert(record.token_file(place, &namespace));
            }
            found.unknown.extend(record::unknown_token_file(&file));
        }
        let files = std::fs::read_dir(place.sigilum_dir()).into_iter().flatten().flatten();
        let files = files.map(|file| file.path()).filter(|file| store::holds_token(file));
        found.token_files.extend(files);
        let stored = |path: &PathBuf| store::read(path).ok().flatten();
        found.tokens = found.token_files.iter().filter_map(stored).collect();
        // An entry with wrong shapes hides its token, and keeps no other one.
        found.in_entry = found.add_config(place).unwrap_or_default() || was_installed;
        Ok(found)
    }

    /// Looks into a config too; says whether its entry holds a token of a file of ours.
    pub(super) fn add_config(&mut self, place: &OpenClawHome) -> Result<bool> {
        let Some(config) = config::read(place).ok().flatten() else {
            return Ok(false);
        };
        self.config_files.extend(config.files);
        let Some(token) = entry::find(&config.value)?.and_then(|entry| entry.token()) else {
            return Ok(false);
        };
        let same = |stored: &SecretString| stored.expose_secret() == token.expose_secret();
        let is_ours = self.tokens.iter().any(same);
        self.tokens.push(token);
        Ok(is_ours)
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
            "a watcher still serves this home: process {}\n  next: {}; or stop its service",
            watch.pid,
            watch.how_to_end()
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

/// What stood in the way of an uninstall with `--purge`: told at its end, as no file is to keep the tokens from going.
#[derive(Default)]
pub(super) struct Failed(Vec<Error>);

impl Failed {
    /// Notes what failed; what did not is passed on.
    pub(super) fn note<T>(&mut self, done: Result<T>) -> Option<T> {
        done.map_err(|error| self.0.push(error)).ok()
    }

    /// The first of what failed, when the tokens are gone; the others are warnings.
    pub(super) fn told(mut self) -> Result<()> {
        self.0.dedup_by_key(|error| error.text());
        let mut failed = self.0.into_iter();
        let Some(first) = failed.next() else { return Ok(()) };
        failed.for_each(output::warn);
        let what = "could not remove everything of ours, but no token file is left";
        let step = first.step();
        let error = Error::new(first.code, what).because(first);
        Err(match step {
            Some(step) => error.next(then_again(step, "run the command again")),
            None => error,
        })
    }
}

/// Removes everything of ours, and tells where OpenClaw's own copies still hold tokens. `failed`: what is still
/// installed, so that the list of that stays.
pub(super) fn remove(place: &OpenClawHome, secrets: &Secrets, failed: &mut Failed, out: &mut dyn Write) -> Result<()> {
    warn_of_approvals(place);
    let dir = place.sigilum_dir();
    let mut left = Vec::new();
    let files = secrets.token_files.iter();
    let elsewhere: Vec<String> = files.filter_map(|file| store::stays(file)).collect();
    let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    // Records first: without one a watcher makes no new token. Then the tokens.
    names.sort_by_key(|name| (!name.starts_with("owner-"), !name.ends_with(".json"), name.clone()));
    let approvals_unknown = timed::read(place).is_err();
    // A service for other homes runs the copy that is still there.
    let copy_stays = place.program_copy().exists();
    let is_kept = |name: &str| match name {
        "lock" | "made-home" => true,
        "installed.json" => copy_stays || !failed.0.is_empty(),
        "bin" => copy_stays,
        _ => false,
    };
    names.retain(|name| !is_kept(name));
    for name in names {
        let path = dir.join(&name);
        let is_file = path.symlink_metadata().is_ok_and(|meta| !meta.is_dir());
        let is_token = secrets.token_files.contains(&path);
        if (is_ours(&name) || is_token) && is_file && !(approvals_unknown && path == place.timed_approvals_file()) {
            let removed = fs::remove(&path);
            if name.starts_with("owner-") || is_token {
                removed?;
            } else if failed.note(removed).is_none() {
                continue;
            }
            write_line(out, format_args!("Removed {}", path.display()))?;
        } else if !FOLDERS.contains(&name.as_str()) {
            left.push(path);
        } else if failed.0.is_empty() && !fs::remove_empty_folder(&path)? {
            // Of what failed there that is told which stands in the way.
            left.push(path);
        }
    }
    for path in &secrets.token_files {
        if fs::remove(path)? {
            write_line(out, format_args!("Removed {}", path.display()))?;
        }
    }
    elsewhere.iter().chain(&secrets.unknown).for_each(output::warn);
    tell_of_left(&left, out)?;
    let keys = Workspace::in_folder(&place.home);
    if keys.holds_secrets() {
        let note = "the keys of services stay, as agents and the Sigilum gateway use them";
        output::note(format_args!(
            "{note}; `service remove` takes one out, after a new login: {}",
            keys.dir().display()
        ));
    }
    context::tell_of_copies(place, &secrets.config_files, &secrets.tokens, out)
}

/// Tells of approvals that nobody takes back once the tokens are gone.
fn warn_of_approvals(place: &OpenClawHome) {
    let left = timed_approvals::left_by(Goes::Everything, place, None);
    left.iter().for_each(output::warn);
}

/// Tells of what lies among our files and stays.
fn tell_of_left(left: &[PathBuf], out: &mut dyn Write) -> Result<()> {
    for path in left {
        let (shown, name) = (path.display(), path.file_name().unwrap_or_default().to_string_lossy());
        let has_our_name = is_ours(name.trim_end_matches(".aside")) || FOLDERS.contains(&&*name);
        let what = match has_our_name {
            true => format!("is left\n  next: look at it, then remove it: {}", fs::removal(path)),
            false => "is not ours to remove".to_owned(),
        };
        write_line(out, format_args!("  {shown} {what}"))?;
    }
    Ok(())
}

/// Removes the tokens, secrets and records beside a config that cannot be edited.
pub(super) fn secrets_alone(
    place: &OpenClawHome,
    lock: &OwnLock,
    secrets: &Secrets,
    (env, called): (&Env, &Called),
    out: &mut dyn Write,
) -> Result<()> {
    end_the_watcher(place, called, env, out)?;
    warn_of_approvals(place);
    remove_secrets(place, lock, secrets, out)?;
    output::warn("the rest stays, and the token may still stand in openclaw.json");
    Ok(())
}

/// Removes tokens, logins and signing secrets, where the rest cannot be taken out yet: their records stay for that.
fn remove_secrets(place: &OpenClawHome, lock: &OwnLock, secrets: &Secrets, out: &mut dyn Write) -> Result<()> {
    let dir = place.sigilum_dir();
    let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .filter(|entry| context::is_secret(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect();
    // Records first: without one a watcher makes no new token.
    files.sort_by_key(|file| (file.extension().is_none_or(|end| end != "json"), file.clone()));
    for file in files.iter().chain(&secrets.token_files) {
        if fs::remove(file)? {
            write_line(out, format_args!("Removed {}", file.display()))?;
        }
    }
    secrets.unknown.iter().for_each(output::warn);
    config::scrub_undo_record(place, lock, &|text| claims::inspect(&text.to_owned().into()).is_ok())
}
