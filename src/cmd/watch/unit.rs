//! `watch --print-unit`, `--install-unit`, `--remove-unit`: the watcher as a service of the person's own.

mod steps;

pub use steps::{home_flag, how_to_install, how_to_serve, how_to_start, in_foreground};

use super::manager::{self, KIND, Manager, SYSTEMD_UNIT};
use super::{is_of_broker, of_this};
use crate::cli::{UnitKind, WatchArgs};
use crate::cmd::output::{self, write_line};
use crate::cmd::own_program;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::home::{self, OpenClawHome};
use crate::hook_record;
use crate::mode::Mode;
use crate::settings::{self, OwnerQuery};
use crate::token::lifetime::DEFAULT_FRACTION;
use crate::watch::Homes;
use crate::watch::log::LogFormat;
use crate::watch::service_unit::{self, Unit};
use crate::watch::status::Renewal;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use steps::{how_to_remove, start, stop};

const LAUNCHD_AGENT: &str = "sigilum-authz-notify.plist";
/// A unit is a few kilobytes.
const SIZE_CAP: u64 = 1 << 20;

/// Prints the unit.
pub fn print(kind: UnitKind, unit: &Unit, out: &mut dyn Write) -> Result<ExitCode> {
    write_line(out, text(kind, unit).trim_end())?;
    Ok(ExitCode::Ok)
}

/// Whether there is a service manager that this program knows.
pub fn has_manager(env: &Env) -> bool {
    manager::program(env).is_some()
}

/// Writes the unit to where this machine's service manager looks, notes it in the homes' records, and starts it; where
/// that cannot be done from here, it says what does.
pub fn install(mut unit: Unit, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let path = path(env)?;
    let before = fs::read_capped(&path, SIZE_CAP)?;
    let mut kept = Vec::new();
    if let Some(old) = &before {
        let old = String::from_utf8_lossy(old);
        kept = unit.keep(&old);
        refuse_to_leave_homes(&old, &path, &unit, &kept, env)?;
    }
    let unit = &unit;
    let text = text(KIND, unit);
    let done = match &before {
        None => "installed:",
        Some(old) if old == text.as_bytes() => "there already:",
        Some(_) => "replaced:",
    };
    if let Some(folder) = path.parent() {
        fs::create_private_dir(folder)?;
    }
    fs::write_private(&path, text.as_bytes())?;
    for place in &unit.places {
        note(place, &path, true)?;
    }
    write_line(out, format_args!("Unit {done} {}", path.display()))?;
    tell_of_options(&kept, unit, env, out)?;
    let manager = Manager { env, unit: &path };
    let started = manager.start()?;
    match started {
        Some(true) => write_line(out, "  it runs, and starts with every session of yours")?,
        None if has_manager(env) => {
            write_line(out, format_args!("  next: {}", start(before.is_some(), &path)))?;
            write_line(
                out,
                format_args!(
                    "  where that cannot be asked, as in a container: {}",
                    service_unit::line(unit.typed(&kept))
                ),
            )?;
        }
        _ => {
            let why = match started {
                Some(_) => "the service manager has another unit of this name, or looks for units elsewhere",
                None => "there is no service manager here that would start it",
            };
            write_line(out, format_args!("  {why}"))?;
            write_line(out, format_args!("  next: {}", service_unit::line(unit.typed(&kept))))?;
        }
    }
    if KIND == UnitKind::Systemd && !lingers() {
        write_line(
            out,
            "  to have it run while you are not logged in: loginctl enable-linger",
        )?;
    }
    Ok(ExitCode::Ok)
}

/// Tells what the unit has from before, and what it cannot do with what it has.
fn tell_of_options(kept: &[&str], unit: &Unit, env: &Env, out: &mut dyn Write) -> Result<()> {
    if !kept.is_empty() {
        let kept = kept.join(", ");
        let homes: Vec<PathBuf> = unit.places.iter().map(|place| place.home.clone()).collect();
        let remove = how_to_remove(&homes, unit.words.iter().any(|word| word == "--all"));
        write_line(
            out,
            format_args!("  kept from before: {kept}; to drop them, first: {remove}"),
        )?;
    }
    let unrenewed = unit.places.iter().filter_map(|place| unrenewed(place, unit, env));
    unrenewed
        .into_iter()
        .try_for_each(|why| write_line(out, format_args!("  {why}")))
}

/// Why the service will not renew the token of a home, as things are.
fn unrenewed(place: &OpenClawHome, unit: &Unit, env: &Env) -> Option<String> {
    let (asks, none) = (OwnerQuery::default(), Env::default());
    let owner = settings::owner(&asks, &none, place).ok()?;
    let stored = owner.stored_token().ok()??;
    let whose = &owner.namespace.value;
    match owner.mode.value {
        Mode::Managed if unit.has_token_command() => None,
        Mode::Managed => Some(format!(
            "it cannot renew the token of {whose}, which a person or a token command renews: give --token-command \
             <command>, or log in again in time"
        )),
        Mode::OssLocal => Renewal::signing(&owner, place, &none, &stored).is_none().then(|| {
            format!(
                "it cannot renew the token of {whose}: the secret that signed it is in no file; name the checkout that \
                 has it: {}",
                owner.mode.value.login_command(whose) + " --source-home <folder>" + &place.flags(env)
            )
        }),
    }
}

/// The homes that the text of a unit has a watcher serve now, and whether these are all of the person's.
fn homes_of(unit: &str, env: &Env) -> Result<(Vec<PathBuf>, bool)> {
    if let Some(homes) = service_unit::homes(unit) {
        return Ok((homes, false));
    }
    let all = Homes::AllIn {
        folder: home::person_home(env)?,
        read_only: None,
    };
    Ok((all.places().into_iter().map(|place| place.home).collect(), true))
}

/// Whether a unit can be made for a home: for none that is gone, or that a broker serves by now.
///
/// # Errors
/// Where the hook's record, which says so, cannot be read.
fn is_watchable(home: &Path) -> Result<bool> {
    Ok(home.is_dir() && !is_of_broker(&OpenClawHome::at(home.to_owned()))?)
}

/// A unit that serves other homes too is not replaced by one that does not.
fn refuse_to_leave_homes(old: &str, path: &Path, unit: &Unit, kept: &[&str], env: &Env) -> Result<()> {
    let served = |home: &PathBuf| unit.places.iter().any(|place| manager::is_same(&place.home, home));
    let (homes, is_all) = homes_of(old, env)?;
    // One with a broken record cannot be named again: its own step is told beside.
    let is_left = |home: &&PathBuf| {
        is_watchable(home).unwrap_or_else(|error| {
            output::warn(of_this(error, home));
            let home = home.display();
            output::warn(format_args!(
                "a new unit leaves that home out, until it is installed for it again: {home}"
            ));
            false
        })
    };
    let mut left = homes.iter().filter(|home| !served(home)).filter(is_left).peekable();
    let Some(first) = left.peek() else { return Ok(()) };
    let what = format!(
        "could not replace the unit, it serves another home: {}",
        first.display()
    );
    let (variables, words) = unit.typed(kept);
    let typed: Vec<&str> = words.iter().skip(2).map(String::as_str).collect();
    let left: Vec<String> = left.map(|home| home.display().to_string()).collect();
    let left = left.iter().flat_map(|home| ["--openclaw-home", home]);
    let install = ["sigilum-authz-notify", "watch", "--install-unit"];
    let error = Error::new(ExitCode::Usage, what);
    Err(match is_all || typed.contains(&"--all") {
        true => error.next(format!(
            "{} && {}; the other homes are not served then",
            steps::before_removal(&variables, path) + &how_to_remove(&homes, is_all),
            shell_words::join(install.into_iter().chain(typed))
        )),
        false => error.next(format!(
            "{}; one service serves both",
            shell_words::join(install.into_iter().chain(left).chain(typed))
        )),
    })
}

/// Sees to it that the program of a unit stays.
pub fn keep_program(unit: &Unit) -> Result<()> {
    let (Some(program), Some(place)) = (unit.words.first(), unit.places.first()) else {
        return Ok(());
    };
    if Path::new(program) == place.program_copy() {
        let lock = fs::lock_sigilum(place)?;
        own_program::keep(Path::new(program), place, &lock)?;
    }
    Ok(())
}

/// The installed unit of a home that runs the home's copy of the program.
pub fn of_copy(place: &OpenClawHome, env: &Env) -> Option<PathBuf> {
    let (path, _) = of_home(place, env)?;
    let text = fs::read_capped(&path, SIZE_CAP).ok()??;
    let copy = place.program_copy();
    String::from_utf8(text).ok()?.contains(copy.to_str()?).then_some(path)
}

/// Whether systemd runs this user's services without a session.
fn lingers() -> bool {
    Path::new("/var/lib/systemd/linger").join(fs::account_name()).exists()
}

/// Notes a unit in a home's record, or that it is gone. A home without a record has nothing that a watcher would serve.
fn note(place: &OpenClawHome, unit: &Path, is_there: bool) -> Result<()> {
    let file = place.hook_record_file();
    if !file.exists() {
        return Ok(());
    }
    let lock = fs::lock_sigilum(place)?;
    let Some(mut record) = hook_record::read(&file)? else {
        return Ok(());
    };
    let was = record.unit.take();
    record.unit = match is_there {
        true => Some(unit.to_owned()),
        false => was.clone().filter(|was| was != unit),
    };
    if record.unit == was {
        return Ok(());
    }
    hook_record::write(&lock, &file, &record)
}

/// The installed unit whose watcher serves a home, and whether it serves no other one: the one that the home's record
/// names, or the one that is looked for in this environment. Only a unit of ours counts, whatever a record says.
pub fn of_home(place: &OpenClawHome, env: &Env) -> Option<(PathBuf, bool)> {
    let serving = |path: PathBuf| {
        let text = fs::read_capped(&path, SIZE_CAP).ok()??;
        let (homes, is_all) = homes_of(&String::from_utf8(text).ok()?, env).ok()?;
        let is_served = homes.iter().any(|home| manager::is_same(home, &place.home));
        is_served.then_some((path, !is_all && homes.len() == 1))
    };
    recorded(place).and_then(serving).or_else(|| serving(path(env).ok()?))
}

/// The unit that a home's record names. Root takes nobody else's word for it.
fn recorded(place: &OpenClawHome) -> Option<PathBuf> {
    if place.anothers().is_some() {
        return None;
    }
    let unit = hook_record::read(&place.hook_record_file()).ok()??.unit?;
    (unit.file_name() == Some(file_name().as_ref())).then_some(unit)
}

/// Stops and removes the unit that serves one of these homes, and says so in the records of all that it serves.
///
/// # Errors
/// [`ExitCode::Usage`] where the unit of this environment serves other homes alone.
pub fn remove(places: &[OpenClawHome], env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let named = places.iter().find_map(|place| Some(of_home(place, env)?.0));
    let serves_one = named.is_some();
    let path = named.map_or_else(|| path(env), Ok)?;
    let (homes, is_all) = match fs::read_capped(&path, SIZE_CAP)? {
        Some(text) => homes_of(&String::from_utf8_lossy(&text), env)?,
        None => Default::default(),
    };
    if let Some(first) = homes.first().filter(|_| !serves_one) {
        let what = format!("could not remove the unit, it serves another home: {}", first.display());
        return Err(Error::new(ExitCode::Usage, what).next(how_to_remove(&homes, is_all)));
    }
    if !take_out(&path, env, out)? {
        write_line(out, format_args!("There is no unit: {}", path.display()))?;
    }
    // It is gone, whatever a home's record says.
    let named = places.iter().map(|place| place.home.clone());
    for home in named.chain(homes).collect::<BTreeSet<_>>() {
        if let Err(error) = note(&OpenClawHome::at(home.clone()), &path, false) {
            output::warn(of_this(error, &home));
        }
    }
    Ok(ExitCode::Ok)
}

/// Stops a unit and removes its file; `false` where there is none.
pub fn take_out(path: &Path, env: &Env, out: &mut dyn Write) -> Result<bool> {
    if fs::read_capped(path, SIZE_CAP)?.is_none() {
        return Ok(false);
    }
    let manager = Manager { env, unit: path };
    let stopped = manager.stop();
    fs::remove(path)?;
    if let (UnitKind::Systemd, Some(folder)) = (KIND, path.parent()) {
        // What `systemctl enable` made.
        fs::remove(&folder.join("default.target.wants").join(SYSTEMD_UNIT))?;
    }
    manager.forget();
    match stopped {
        Some(true) => write_line(out, format_args!("Unit stopped and removed: {}", path.display()))?,
        Some(false) => write_line(out, format_args!("Unit removed: {}", path.display()))?,
        None => {
            write_line(out, format_args!("Unit removed: {}", path.display()))?;
            write_line(out, format_args!("  next: {}", stop()))?;
        }
    }
    Ok(true)
}

fn text(kind: UnitKind, unit: &Unit) -> String {
    match kind {
        UnitKind::Systemd => unit.systemd(),
        UnitKind::Launchd => unit.launchd(),
    }
}

fn file_name() -> &'static str {
    match KIND {
        UnitKind::Systemd => SYSTEMD_UNIT,
        UnitKind::Launchd => LAUNCHD_AGENT,
    }
}

/// Where this machine's service manager looks for the unit.
pub fn path(env: &Env) -> Result<PathBuf> {
    let person = || home::person_home(env);
    let config = env.path("XDG_CONFIG_HOME").filter(|folder| folder.is_absolute());
    Ok(match (KIND, config) {
        (UnitKind::Launchd, _) => person()?.join("Library/LaunchAgents").join(LAUNCHD_AGENT),
        (UnitKind::Systemd, Some(config)) => config.join("systemd/user").join(SYSTEMD_UNIT),
        (UnitKind::Systemd, None) => person()?.join(".config/systemd/user").join(SYSTEMD_UNIT),
    })
}

/// The watcher with the options given, for the homes that there are.
pub fn unit(args: &WatchArgs, env: &Env, homes: &Homes) -> Result<Unit> {
    let places = homes.places();
    let program = match places.first() {
        // A copy in another user's home is theirs to change, and the unit is ours.
        Some(place) if place.anothers().is_none() => own_program::lasting(place)?,
        _ => own_program::path()?,
    };
    let mut words = vec![home::absolute(&program)?.display().to_string(), "watch".to_owned()];
    if args.all {
        words.push("--all".to_owned());
    } else {
        let flag = |place: &OpenClawHome| ["--openclaw-home".to_owned(), place.home.display().to_string()];
        words.extend(places.iter().flat_map(flag));
    }
    if args.renew_at != DEFAULT_FRACTION {
        words.extend(["--renew-at".to_owned(), args.renew_at.to_string()]);
    }
    if let Some(command) = &args.token_command {
        words.extend(["--token-command".to_owned(), command.clone()]);
    }
    if let Some(target) = &args.notify {
        words.extend(["--notify".to_owned(), target.to_string()]);
    }
    if let Some(seconds) = args.poll_requests {
        words.extend(["--poll-requests".to_owned(), seconds.to_string()]);
    }
    if args.poll {
        words.push("--poll".to_owned());
    }
    if args.log_format == LogFormat::Json {
        words.extend(["--log-format".to_owned(), "json".to_owned()]);
    }
    Ok(Unit {
        words,
        token_command: args.token_command.is_some(),
        places,
        env: env.clone(),
    })
}
