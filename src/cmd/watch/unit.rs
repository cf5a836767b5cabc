//! `watch --print-unit`, `--install-unit`, `--uninstall-unit`: the watcher as a service of the person's own.

use crate::cli::{UnitKind, WatchArgs};
use crate::cmd::output::write_line;
use crate::env::Env;
use crate::error::{ExitCode, OrFail, Result};
use crate::fs;
use crate::home::{self, OpenClawHome};
use crate::token::lifetime::DEFAULT_FRACTION;
use crate::watch::Homes;
use crate::watch::log::LogFormat;
use crate::watch::service_unit::{self, Unit};
use std::io::Write;
use std::path::{Path, PathBuf};

const SYSTEMD_UNIT: &str = "sigilum-authz-notify.service";
const LAUNCHD_AGENT: &str = "sigilum-authz-notify.plist";
/// A unit is a few kilobytes.
const SIZE_CAP: u64 = 1 << 20;
/// This machine's service manager.
const KIND: UnitKind = if cfg!(target_os = "macos") {
    UnitKind::Launchd
} else {
    UnitKind::Systemd
};

/// Prints the unit.
pub fn print(kind: UnitKind, unit: &Unit, out: &mut dyn Write) -> Result<ExitCode> {
    write_line(out, text(kind, unit).trim_end())?;
    Ok(ExitCode::Ok)
}

/// Writes the unit to where this machine's service manager looks, and says what starts it.
pub fn install(unit: &Unit, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let path = path(env)?;
    let text = text(KIND, unit);
    let before = fs::read_capped(&path, SIZE_CAP)?;
    let done = match &before {
        None => "installed:",
        Some(old) if old == text.as_bytes() => "there already:",
        Some(_) => "replaced:",
    };
    if let Some(folder) = path.parent() {
        fs::create_private_dir(folder)?;
    }
    fs::write_private(&path, text.as_bytes())?;
    write_line(out, format_args!("Unit {done} {}", path.display()))?;
    write_line(out, format_args!("  next: {}", start(before.is_some(), &path)))?;
    if KIND == UnitKind::Systemd {
        write_line(
            out,
            "  to have it run while you are not logged in: loginctl enable-linger",
        )?;
    }
    Ok(ExitCode::Ok)
}

/// The installed unit whose watcher serves a home, and whether it serves no other one.
pub fn of_home(place: &OpenClawHome, env: &Env) -> Option<(PathBuf, bool)> {
    let path = path(env).ok()?;
    let text = fs::read_capped(&path, SIZE_CAP).ok()??;
    let alone = service_unit::serves(&String::from_utf8(text).ok()?, &place.home)?;
    Some((path, alone))
}

/// Removes the unit, and says what ends it.
pub fn uninstall(env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let path = path(env)?;
    if !fs::remove(&path)? {
        write_line(out, format_args!("There is no unit: {}", path.display()))?;
        return Ok(ExitCode::Ok);
    }
    if let (UnitKind::Systemd, Some(folder)) = (KIND, path.parent()) {
        // What `systemctl enable` made.
        fs::remove(&folder.join("default.target.wants").join(SYSTEMD_UNIT))?;
    }
    write_line(out, format_args!("Unit removed: {}", path.display()))?;
    write_line(out, format_args!("  next: {}", stop()))?;
    Ok(ExitCode::Ok)
}

fn text(kind: UnitKind, unit: &Unit) -> String {
    match kind {
        UnitKind::Systemd => unit.systemd(),
        UnitKind::Launchd => unit.launchd(),
    }
}

fn path(env: &Env) -> Result<PathBuf> {
    let person = || home::person_home(env);
    let config = env.path("XDG_CONFIG_HOME").filter(|folder| folder.is_absolute());
    Ok(match (KIND, config) {
        (UnitKind::Launchd, _) => person()?.join("Library/LaunchAgents").join(LAUNCHD_AGENT),
        (UnitKind::Systemd, Some(config)) => config.join("systemd/user").join(SYSTEMD_UNIT),
        (UnitKind::Systemd, None) => person()?.join(".config/systemd/user").join(SYSTEMD_UNIT),
    })
}

fn start(was_there: bool, path: &Path) -> String {
    match KIND {
        UnitKind::Systemd => {
            let systemctl = [
                "daemon-reload",
                &format!("enable {SYSTEMD_UNIT}"),
                &format!("restart {SYSTEMD_UNIT}"),
            ]
            .map(|what| format!("systemctl --user {what}"));
            systemctl.join(" && ")
        }
        UnitKind::Launchd => {
            let before = if was_there {
                format!("{}; ", stop())
            } else {
                String::new()
            };
            format!("{before}launchctl bootstrap gui/$(id -u) {}", fs::quoted(path))
        }
    }
}

fn stop() -> String {
    match KIND {
        UnitKind::Systemd => format!("systemctl --user stop {SYSTEMD_UNIT}; systemctl --user daemon-reload"),
        UnitKind::Launchd => "launchctl bootout gui/$(id -u)/sigilum-authz-notify".to_owned(),
    }
}

/// The watcher with the options given, for the homes that there are.
pub fn unit(args: &WatchArgs, env: &Env, homes: &Homes) -> Result<Unit> {
    let program = std::env::current_exe().or_fail(ExitCode::Failure, || {
        "could not find out where this program is".to_owned()
    })?;
    let places = homes.places();
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
