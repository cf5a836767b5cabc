//! `hook uninstall`: the entry first, then the files; with `--as` of one kind alone, with `--purge` everything of ours.

mod purge;

use self::purge::{Failed, Secrets};
use crate::cli::HookUninstallArgs;
use crate::cmd::context::{self, place};
use crate::cmd::doctor::openclaw::OpenClaw;
use crate::cmd::output::{self, write_line};
use crate::cmd::resident;
use crate::cmd::watch::unit;
use crate::env::Env;
use crate::error::{Called, Error, ExitCode, Result};
use crate::fs::{self, OwnLock};
use crate::home::OpenClawHome;
use crate::hook_record;
use crate::openclaw::config::{self, Ask, EditOptions, EditOutcome};
use crate::openclaw::entry;
use crate::openclaw::hook_files::{self, Done, Kind, program_copy};
use crate::openclaw::plugin;
use crate::openclaw::plugin_package::UNINSTALL;
use crate::openclaw::removal::{self, Undone};
use crate::sigilum::secrets::Workspace;
use crate::text;
use crate::token::record;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Runs the command.
pub fn run(args: &HookUninstallArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let place = place(&args.place, env)?;
    let called = context::called_by_record(context::called(&args.place), env);
    let services = Workspace::in_folder(&place.home);
    let ours = [&place.sigilum_dir(), &place.hook_dir(), &place.config, services.dir()];
    if !ours.iter().any(|path| path.exists()) {
        let home = place.home.display();
        write_line(out, format_args!("There is nothing of ours in {home}"))?;
        return Ok(ExitCode::Ok);
    }
    let lock = fs::lock_sigilum(&place)?;
    // Asked for before the home goes.
    let restart = restart(&place, env);
    let secrets = args.purge.then(|| Secrets::find(&place)).transpose()?;
    let mut secrets = secrets.unwrap_or_default();
    if let Some(broken) = context::entry(&place).err().filter(|_| args.purge) {
        purge::secrets_alone(&place, &lock, &secrets, (env, &called), out)?;
        return Err(broken);
    }
    let (others, elsewhere) = config::others(&place)?;
    let (others, parts) = Removal::of_others(args, &others, &lock, &mut secrets)?;
    let removal = Removal::new(args, &place, &lock, secrets.in_entry)?;
    // What is refused is refused before anything is noted.
    if let Err(broken) = removal.edit(true) {
        if args.purge && broken.code == ExitCode::Config {
            purge::secrets_alone(&place, &lock, &secrets, (env, &called), out)?;
        }
        return Err(broken);
    }
    let elsewhere = elsewhere.iter().find(can_be_looked_at);
    if let Some(left) = elsewhere.or(parts).filter(|_| !args.force) {
        return Err(removal.leave_files_to(left, &others, out)?);
    }
    if let Some(kind) = removal.only {
        return removal.take_out_one(kind, &others, (&called, restart.as_deref()), out);
    }
    if args.purge {
        // A watcher would answer every change.
        purge::end_the_watcher(&place, &called, env, out)?;
    }
    let mut failed = Failed::default();
    let did = removal.take_all_out(&others, secrets.in_entry, (env, &called), &mut failed, out)?;
    forget_choices(args.purge, &place, out)?;
    resident::clear(&place);
    if args.purge {
        purge::remove(&place, &secrets, &mut failed, out)?;
        failed.told()?;
    }
    if args.purge || holds_nothing(&place.sigilum_dir()) {
        remove_lock(&place, lock)?;
    }
    if did {
        tell_of_restart(restart.as_deref(), &called, out)?;
    }
    Ok(ExitCode::Ok)
}

/// What was chosen for the hook of a login outlives it, as the login does; with a broker, what only the record says.
fn forget_choices(purge: bool, place: &OpenClawHome, out: &mut dyn Write) -> Result<()> {
    if record::written_last(&place.sigilum_dir())?.is_some() {
        return Ok(());
    }
    let file = place.hook_record_file();
    let why = match hook_record::read(&file) {
        _ if purge => None,
        Ok(chosen) => chosen.and_then(|chosen| chosen.broker).map(|_| "it names the broker"),
        Err(_) => Some("it cannot be read, and may name a broker"),
    };
    match why {
        Some(why) => write_line(
            out,
            format_args!("  {} stays, {why}; --purge removes it", file.display()),
        ),
        None => fs::remove(&file).map(drop),
    }
}

/// What a gateway that runs needs before it lets go of what is taken away here.
fn restart(place: &OpenClawHome, env: &Env) -> Option<String> {
    let config = config::read(place).ok().flatten()?;
    OpenClaw::find_and_ask(env, Some(&config.value), place).restart(Some(&config.value))
}

fn tell_of_restart(restart: Option<&str>, called: &Called, out: &mut dyn Write) -> Result<()> {
    match restart {
        Some(step) => write_line(out, format_args!("still needed: {}", called.complete(step))),
        None => Ok(()),
    }
}

fn tell_of_openclaws(plugin: &Path, called: &Called, out: &mut dyn Write) -> Result<()> {
    let (folder, step) = (plugin.display(), called.complete(UNINSTALL));
    write_line(
        out,
        format_args!("The plugin stays, OpenClaw installed it itself: {folder}\n  next: {step}"),
    )
}

/// Whether there was anything to do or to tell.
fn take_files_away(kind: Kind, force: bool, place: &OpenClawHome, lock: &OwnLock, out: &mut dyn Write) -> Result<bool> {
    let done = hook_files::uninstall(place, lock, kind, force)?;
    if done.changed {
        let folder = kind.dir(place);
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let mut left: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        left.sort();
        let left = left.join(", ".as_ref()).to_string_lossy().into_owned();
        let more = if left.is_empty() { "" } else { "; what stays there: " };
        let (name, folder) = (kind.name(), folder.display());
        write_line(
            out,
            format!("Removed the {name}: {folder}{more}{}", text::one_line(&left)),
        )?;
    }
    let anything = done != Done::default();
    for note in done.notes {
        write_line(out, format_args!("  {note}"))?;
    }
    Ok(anything)
}

/// Removes the home's copy of the program, unless a service runs it; says whether there was one.
fn take_copy_away(place: &OpenClawHome, env: &Env, lock: &OwnLock, out: &mut dyn Write) -> Result<bool> {
    let copy = place.program_copy();
    if let Some(unit) = unit::of_copy(place, env).filter(|_| copy.exists()) {
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

/// Takes our part out of the other configs in this home.
fn take_out_of_others(others: &[Removal<'_>], out: &mut dyn Write) -> Result<()> {
    for other in others {
        let (outcome, notes) = other.edit(false)?;
        tell_of_config(&outcome, &notes, other.place, out)?;
    }
    Ok(())
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

/// Whether a config elsewhere can be read. One that cannot keeps nothing back, and is told.
fn can_be_looked_at(other: &&OpenClawHome) -> bool {
    let config = &other.config;
    let tell = |error: &std::io::Error| {
        output::warn(format_args!(
            "our part may still stand in {}: {error}",
            config.display()
        ));
    };
    std::fs::File::open(config).inspect_err(tell).is_ok()
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

    /// Those of the other configs in the home; and one that our part cannot be taken out of as of a config: it is a part
    /// of another one, or broken.
    fn of_others(
        args: &'a HookUninstallArgs,
        others: &'a [OpenClawHome],
        lock: &'a OwnLock,
        secrets: &mut Secrets,
    ) -> Result<(Vec<Self>, Option<&'a OpenClawHome>)> {
        let (mut removals, mut part) = (Vec::new(), None);
        for other in others {
            let in_entry = secrets.add_config(other).unwrap_or_default();
            let removal = Self::new(args, other, lock, in_entry)?;
            match removal.edit(true) {
                // What is not written is told, as of the config itself.
                Ok((outcome, _)) if !outcome.files.is_empty() || outcome.not_written.is_some() => {
                    removals.push(removal);
                }
                _ => part = Some(other),
            }
        }
        Ok((removals, part))
    }

    /// Files that go under an entry that stays block every reload: so it is with a config that this command does not name,
    /// and which another home may use. Where one was named, our part goes out of that, so that they can be named one after
    /// the other.
    fn leave_files_to(&self, left: &'a OpenClawHome, others: &[Removal<'_>], out: &mut dyn Write) -> Result<Error> {
        if self.args.place.config.is_some() {
            let (outcome, notes) = self.edit(false)?;
            tell_of_config(&outcome, &notes, self.place, out)?;
            take_out_of_others(others, out)?;
        }
        let removal = Self::new(self.args, left, self.lock, false);
        if let Err(broken) = removal.and_then(|removal| removal.edit(true)) {
            let what = format!("could not remove our part from {}", left.config.display());
            let step = "mend that and run the command again; or add --force where OpenClaw does not read it any more";
            return Ok(Error::new(ExitCode::Config, what).because(broken).next(step));
        }
        let what = format!(
            "could not remove our part from {}: it is no part of the config {}",
            left.config.display(),
            self.place.config.display()
        );
        let named = match left.config.starts_with(&self.place.home) {
            true => "--config, and the config that it is a part of".to_owned(),
            false => format!("--config {}", fs::quoted(&left.config)),
        };
        Ok(Error::new(ExitCode::Config, what).next(format!(
            "add {named}, or --force where OpenClaw does not read it any more"
        )))
    }

    /// Takes hook and plugin out, of the configs and the folders; says whether there was anything.
    fn take_all_out(
        &self,
        others: &[Removal<'_>],
        token_in_entry: bool,
        (env, called): (&Env, &Called),
        failed: &mut Failed,
        out: &mut dyn Write,
    ) -> Result<bool> {
        let (args, place, lock) = (self.args, self.place, self.lock);
        hook_files::begin_to_leave(place, lock)?;
        let (outcome, notes) = self.edit(false)?;
        tell_of_config(&outcome, &notes, place, out)?;
        if outcome.not_written.is_some() && token_in_entry {
            output::warn("openclaw.json still holds the token");
        }
        take_out_of_others(others, out)?;
        let mut nothing = others.is_empty();
        nothing &= !outcome.changed && notes.is_empty() && outcome.notes.is_empty() && outcome.not_written.is_none();
        let mut did = |done: Result<bool>| match args.purge {
            true => Ok(failed.note(done).unwrap_or(true)),
            false => done,
        };
        for kind in Kind::ALL {
            nothing &= !did(take_files_away(kind, args.force, place, lock, out))?;
        }
        nothing &= !did(take_copy_away(place, env, lock, out))?;
        if let Some(plugin) = &self.openclaws_plugin {
            tell_of_openclaws(plugin, called, out)?;
        } else if nothing {
            write_line(
                out,
                format_args!("Neither the hook nor the plugin is in {}", place.home.display()),
            )?;
        }
        Ok(!nothing)
    }

    /// Takes one kind out, and leaves what the other one needs.
    fn take_out_one(
        &self,
        kind: Kind,
        others: &[Removal<'_>],
        (called, restart): (&Called, Option<&str>),
        out: &mut dyn Write,
    ) -> Result<ExitCode> {
        if let Some(plugin) = self.openclaws_plugin.as_ref().filter(|_| kind == Kind::Plugin) {
            tell_of_openclaws(plugin, called, out)?;
            return Ok(ExitCode::Ok);
        }
        let (outcome, notes) = self.edit(false)?;
        tell_of_config(&outcome, &notes, self.place, out)?;
        take_out_of_others(others, out)?;
        let did = take_files_away(kind, self.args.force, self.place, self.lock, out)?;
        if !did && !outcome.changed {
            let home = self.place.home.display();
            write_line(out, format_args!("The {} is not in {home}", kind.name()))?;
            return Ok(ExitCode::Ok);
        }
        tell_of_restart(restart, called, out)?;
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

fn holds_nothing(dir: &Path) -> bool {
    let names = std::fs::read_dir(dir).map(|entries| entries.flatten().map(|entry| entry.file_name()));
    names.is_ok_and(|mut names| names.all(|name| name == "lock" || name == "made-home"))
}

/// Removes the lock while it is held, and the folder if nothing else is in it, as that of services; then also a home that
/// we made. Who waits for the lock notices.
fn remove_lock(place: &OpenClawHome, lock: OwnLock) -> Result<()> {
    lock.sync()?;
    Workspace::in_folder(&place.home).remove_unused(place.anothers())?;
    let made_home = fs::remove(&place.made_home_file())?;
    fs::remove(&place.sigilum_dir().join("lock"))?;
    drop(lock);
    if fs::remove_empty_folder(&place.sigilum_dir())? && made_home {
        fs::remove_empty_folder(&place.home)?;
    }
    Ok(())
}
