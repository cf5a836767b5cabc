//! `hook uninstall`: the entry first, then the files; with `--as` of one kind alone, with `--purge` everything of ours.

use crate::cli::HookUninstallArgs;
use crate::cmd::context::{self, place};
use crate::cmd::output::{self, write_line};
use crate::cmd::resident;
use crate::cmd::watch::unit;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs::{self, OwnLock};
use crate::home::OpenClawHome;
use crate::openclaw::config::{self, Ask, EditOptions, EditOutcome};
use crate::openclaw::entry;
use crate::openclaw::hook_files::{self, Done, Kind, program_copy};
use crate::openclaw::plugin_package::UNINSTALL;
use crate::openclaw::removal::{self, Undone};
use crate::openclaw::{backups, plugin};
use crate::sigilum::secrets::Workspace;
use crate::token::{record, store};
use crate::watch::status;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Runs the command.
pub fn run(args: &HookUninstallArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let place = place(&args.place, env)?;
    if !place.sigilum_dir().exists() && !place.hook_dir().exists() && !place.config.exists() {
        write_line(
            out,
            format_args!("There is nothing of ours in {}", place.home.display()),
        )?;
        return Ok(ExitCode::Ok);
    }
    let lock = fs::lock_sigilum(&place)?;
    let secrets = if args.purge {
        Secrets::find(&place)?
    } else {
        Secrets::default()
    };

    if !args.force {
        refuse_another_config(&place)?;
    }
    let removal = Removal::new(args, &place, &lock, secrets.in_entry)?;
    if let Some(kind) = removal.only {
        return removal.take_out_one(kind, out);
    }
    // What is refused is refused before anything is noted.
    removal.edit(true)?;
    if args.purge {
        // A watcher would answer every change.
        end_the_watcher(&place, env, out)?;
    }
    hook_files::begin_to_leave(&place, &lock)?;
    let (outcome, notes) = removal.edit(false)?;
    tell_of_config(&outcome, &notes, &place, out)?;
    let mut nothing = !outcome.changed && notes.is_empty() && outcome.notes.is_empty() && outcome.not_written.is_none();
    nothing &= !take_files_away(&Kind::ALL, args.force, &place, &lock, out)?;
    nothing &= !take_copy_away(args.purge, &place, env, &lock, out)?;
    if let Some(plugin) = &removal.openclaws_plugin {
        tell_of_openclaws(plugin, out)?;
    } else if nothing {
        write_line(
            out,
            format_args!("Neither the hook nor the plugin is in {}", place.home.display()),
        )?;
    }
    // What was chosen for the hook of a login outlives it, as the login does.
    if record::written_last(&place.sigilum_dir())?.is_none() {
        fs::remove(&place.hook_record_file())?;
    }
    resident::clear(&place);
    if args.purge {
        context::warn_of_timed_approvals(&place, None);
        purge(&place, lock, &secrets, out)?;
    } else if holds_nothing(&place.sigilum_dir()) {
        remove_lock(&place, lock)?;
    }
    Ok(ExitCode::Ok)
}

fn tell_of_openclaws(plugin: &Path, out: &mut dyn Write) -> Result<()> {
    let folder = plugin.display();
    write_line(
        out,
        format_args!("The plugin stays, OpenClaw installed it itself: {folder}\n  next: {UNINSTALL}"),
    )
}

/// Whether there was anything to do or to tell.
fn take_files_away(
    kinds: &[Kind],
    force: bool,
    place: &OpenClawHome,
    lock: &OwnLock,
    out: &mut dyn Write,
) -> Result<bool> {
    let mut anything = false;
    for &kind in kinds {
        let done = hook_files::uninstall(place, lock, kind, force)?;
        if done.changed {
            let folder = kind.dir(place);
            write_line(out, format_args!("Removed the {}: {}", kind.name(), folder.display()))?;
        }
        anything |= done != Done::default();
        for note in done.notes {
            write_line(out, format_args!("  {note}"))?;
        }
    }
    Ok(anything)
}

/// Removes the home's copy of the program, unless the home stays and a service runs it; says whether there was one.
fn take_copy_away(purge: bool, place: &OpenClawHome, env: &Env, lock: &OwnLock, out: &mut dyn Write) -> Result<bool> {
    let copy = place.program_copy();
    if let Some(unit) = unit::of_copy(place, env).filter(|_| !purge && copy.exists()) {
        write_line(
            out,
            format_args!("  {} stays, as a service runs it: {}", copy.display(), unit.display()),
        )?;
        return Ok(true);
    }
    let removed = program_copy::remove(place, lock)?;
    if removed {
        write_line(out, format_args!("Removed {}", copy.display()))?;
    }
    Ok(removed)
}

/// Files that go under an entry that stays block every reload: so it is with a config that this command does not name.
fn refuse_another_config(place: &OpenClawHome) -> Result<()> {
    let here = config::read(place)?.map(|config| config.files).unwrap_or_default();
    let undo = config::undo_record(place)?;
    let mut others = undo
        .files()
        .map(Path::new)
        .filter(|file| !here.iter().any(|own| own == file));
    let names_us = |file: &&Path| {
        let bytes = fs::read_capped(file, json5_edit::MAX_BYTES as u64).ok().flatten();
        bytes.is_some_and(|bytes| String::from_utf8_lossy(&bytes).contains(entry::HOOK))
    };
    let Some(file) = others.find(names_us) else {
        return Ok(());
    };
    let what = format!(
        "could not remove our part from {}: it is no part of the config {}",
        file.display(),
        place.config.display()
    );
    Err(Error::new(ExitCode::Config, what).next(format!(
        "add --config {}, or --force where OpenClaw does not read it any more",
        fs::quoted(file)
    )))
}

/// Takes the hook and the plugin out of openclaw.json.
struct Removal<'a> {
    args: &'a HookUninstallArgs,
    place: &'a OpenClawHome,
    lock: &'a OwnLock,
    files: Files,
    /// Where OpenClaw's own install of the plugin lies.
    openclaws_plugin: Option<PathBuf>,
    /// The one kind that goes, where the other one is there and stays.
    only: Option<Kind>,
}

impl<'a> Removal<'a> {
    /// `token_in_entry`: a token that goes is in it.
    fn new(
        args: &'a HookUninstallArgs,
        place: &'a OpenClawHome,
        lock: &'a OwnLock,
        token_in_entry: bool,
    ) -> Result<Self> {
        let leaves = hook_files::leaves(place, args.force)?;
        let plugin = hook_files::look(place, Kind::Plugin)?;
        let other_stays = match args.kind {
            Some(Kind::Hook) => plugin.state != "absent",
            Some(Kind::Plugin) => hook_files::look(place, Kind::Hook)?.state != "absent",
            None => false,
        };
        let openclaws_plugin = plugin.by_openclaw.then_some(plugin.folder);
        let files = Files {
            handler_back: leaves.handler,
            ours: leaves.installed || token_in_entry || args.force,
            plugin_stays: openclaws_plugin.is_some() || other_stays,
        };
        Ok(Self {
            args,
            place,
            lock,
            files,
            openclaws_plugin,
            only: args.kind.filter(|_| other_stays),
        })
    }

    /// Takes one kind out, and leaves what the other one needs.
    fn take_out_one(&self, kind: Kind, out: &mut dyn Write) -> Result<ExitCode> {
        if let Some(plugin) = self.openclaws_plugin.as_ref().filter(|_| kind == Kind::Plugin) {
            tell_of_openclaws(plugin, out)?;
            return Ok(ExitCode::Ok);
        }
        self.edit(true)?;
        let (outcome, notes) = self.edit(false)?;
        tell_of_config(&outcome, &notes, self.place, out)?;
        let did = take_files_away(&[kind], self.args.force, self.place, self.lock, out)?;
        if !did && !outcome.changed {
            let home = self.place.home.display();
            write_line(out, format_args!("The {} is not in {home}", kind.name()))?;
        }
        Ok(ExitCode::Ok)
    }

    fn edit(&self, dry_run: bool) -> Result<(EditOutcome, Vec<String>)> {
        let options = EditOptions {
            dry_run,
            force: self.args.force,
            give_back: self.only.is_none(),
            own_lock: Some(self.lock),
            ..EditOptions::default()
        };
        let mut notes = Vec::new();
        let outcome = config::edit(self.place, &options, &mut |ask| {
            let planned = match self.only {
                Some(Kind::Plugin) => plugin::removed(ask.value, &Kind::Plugin.dir(self.place))?,
                _ => without_us(ask, self.args, self.place, self.files)?,
            };
            notes = planned.notes;
            Ok(planned.value)
        })?;
        Ok((outcome, notes))
    }
}

/// What lies in the hook's folder.
#[derive(Clone, Copy)]
struct Files {
    /// An older handler is put back.
    handler_back: bool,
    /// We installed what is there, or are told to treat it so.
    ours: bool,
    /// The plugin's part of the config is not to be taken out: it is an install of OpenClaw's own, or the hook alone goes.
    plugin_stays: bool,
}

fn without_us(ask: &Ask<'_>, args: &HookUninstallArgs, place: &OpenClawHome, files: Files) -> Result<entry::Planned> {
    if !ask.exists {
        return Ok(entry::Planned {
            value: ask.value.clone(),
            notes: Vec::new(),
            has_entry: false,
            holds_token: false,
        });
    }
    let plugin_dir = Kind::Plugin.dir(place);
    if ask.keep_length {
        let disabled = removal::disabled(ask.value)?;
        let value = match files.plugin_stays {
            true => disabled.value.clone(),
            false => plugin::removed(&disabled.value, &plugin_dir)?.value,
        };
        return Ok(entry::Planned { value, ..disabled });
    }
    let undone = Undone {
        value: ask.undone.unwrap_or(ask.value),
        certain: ask.certain,
        handler_back: files.handler_back,
        is_ours: files.ours,
        force: args.force,
    };
    let installs = entry::installs(&place.home);
    let mut planned = removal::uninstalled(ask.value, undone, &Kind::Hook.dir(place), &installs)?;
    if files.plugin_stays {
        return Ok(planned);
    }
    // Keys that OpenClaw itself wrote (`plugins install --link`) are in no record of ours.
    let plugin = plugin::removed(&planned.value, &plugin_dir)?;
    planned.value = plugin.value;
    planned.notes.extend(plugin.notes);
    Ok(planned)
}

fn tell_of_config(outcome: &EditOutcome, notes: &[String], place: &OpenClawHome, out: &mut dyn Write) -> Result<()> {
    if outcome.deleted {
        write_line(
            out,
            format_args!("Removed {}, which we had made", place.config.display()),
        )?;
    } else if outcome.changed {
        write_line(out, format_args!("Took our part out of {}", outcome.written()))?;
    }
    for note in notes.iter().chain(&outcome.notes) {
        write_line(out, format_args!("  {note}"))?;
    }
    context::tell_not_written(outcome, place, out)?;
    if outcome.not_written.is_some() {
        output::warn("until then a running OpenClaw takes up no change of its config: the entry leads to no hook");
    }
    Ok(())
}

/// What `--purge` looks for in other people's files.
#[derive(Default)]
struct Secrets {
    tokens: Vec<SecretString>,
    /// The entry holds the token of a file of ours: whatever is recorded, it is ours.
    in_entry: bool,
    /// The config and what it includes.
    config_files: Vec<PathBuf>,
    /// Token files that a record names, wherever they are.
    token_files: BTreeSet<PathBuf>,
}

impl Secrets {
    fn find(place: &OpenClawHome) -> Result<Self> {
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
            if let Some(token) = entry::find(&config.value)?.and_then(|entry| entry.token()) {
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
fn end_the_watcher(place: &OpenClawHome, env: &Env, out: &mut dyn Write) -> Result<()> {
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
            "the OpenClaw gateway still runs the plugin's program, process {}; it ends at the next event, or with: openclaw \
             gateway restart",
            resident.pid
        ));
    }
    Ok(())
}

/// Removes everything of ours, and tells where OpenClaw's own copies still hold tokens.
fn purge(place: &OpenClawHome, lock: OwnLock, secrets: &Secrets, out: &mut dyn Write) -> Result<()> {
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
    remove_lock(place, lock)?;
    for path in left {
        write_line(out, format_args!("  {} is not ours to remove", path.display()))?;
    }
    let keys = Workspace::find(&Env::default(), None, &place.home);
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

/// Whether a name in `.sigilum/` is one that we give.
fn is_ours(name: &str) -> bool {
    const NAMES: [&str; 18] = [
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
        "jwt-secret",
        "local-api.sqlite",
        "watch-status.json",
        "watch.lock",
        "watch.log",
        "lock",
    ];
    let owner = name.strip_prefix("owner-");
    NAMES.contains(&name)
        || name.starts_with("local-api.sqlite-")
        || owner.is_some_and(|rest| rest.ends_with(".json") || (rest.starts_with("token-") && rest.ends_with(".jwt")))
        || fs::is_temp_name(name)
}

fn holds_nothing(dir: &Path) -> bool {
    let names = std::fs::read_dir(dir).map(|entries| entries.flatten().map(|entry| entry.file_name()));
    names.is_ok_and(|mut names| names.all(|name| name == "lock" || name == "made-home"))
}

/// Removes the lock while it is held, and the folder if nothing else is in it; then also a home that we made. Who waits
/// for the lock notices.
fn remove_lock(place: &OpenClawHome, lock: OwnLock) -> Result<()> {
    lock.sync()?;
    let made_home = fs::remove(&place.made_home_file())?;
    fs::remove(&place.sigilum_dir().join("lock"))?;
    drop(lock);
    if fs::remove_empty_folder(&place.sigilum_dir())? && made_home {
        fs::remove_empty_folder(&place.home)?;
    }
    Ok(())
}
