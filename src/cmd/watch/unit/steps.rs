//! What a person is told to do about a unit: the commands that are printed.

use super::super::manager::{self, KIND, LABEL, Manager, SYSTEMD_UNIT};
use super::{SIZE_CAP, homes_of, is_watchable, path};
use crate::cli::UnitKind;
use crate::env::Env;
use crate::fs;
use crate::home::OpenClawHome;
use crate::watch::service_unit::{self, HIDDEN};
use std::path::{Path, PathBuf};

/// What runs it where there is no service manager that this program knows.
pub fn in_foreground(flags: &str) -> String {
    until_stopped(&format!("sigilum-authz-notify watch{flags}"))
}

fn until_stopped(command: &str) -> String {
    format!("{command}; it runs until it is stopped, so have whatever starts programs here start it")
}

/// The flag that names a home, with a blank before it.
pub fn home_flag(home: &Path) -> String {
    format!(" --openclaw-home {}", fs::quoted(home))
}

/// What has a service watch a home, with these flags besides: one that is there goes on with the homes that it serves.
pub fn how_to_install(place: &OpenClawHome, env: &Env, more: &str) -> String {
    let text = path(env).ok().and_then(|path| fs::read_capped(&path, SIZE_CAP).ok()?);
    let served = text.and_then(|text| homes_of(&String::from_utf8_lossy(&text), env).ok());
    let (homes, is_all) = served.unwrap_or_default();
    let is_this = |home: &PathBuf| manager::is_same(home, &place.home);
    let others = || homes.iter().filter(|home| !is_this(home));
    let can_be = |home: &&PathBuf| matches!(is_watchable(home), Ok(true));
    let watched: String = others().filter(can_be).map(|home| home_flag(home)).collect();
    let flags = match is_all {
        // No service serves both all of a person's and one elsewhere.
        true if !homes.iter().any(is_this) => return in_foreground(&(home_flag(&place.home) + more)),
        true if others().all(|home| can_be(&home)) => " --all".to_owned(),
        _ if watched.is_empty() && !is_all => watched,
        _ => watched + &home_flag(&place.home),
    };
    format!("sigilum-authz-notify watch --install-unit{flags}{more}")
}

/// What removes a unit that serves these homes.
pub(super) fn how_to_remove(homes: &[PathBuf], is_all: bool) -> String {
    let flags = match homes.first() {
        _ if is_all => " --all".to_owned(),
        Some(first) => home_flag(first),
        None => String::new(),
    };
    format!("sigilum-authz-notify watch --remove-unit{flags}")
}

/// Variables of a unit, set before it goes: nothing else has those that are not shown.
pub(super) fn before_removal(variables: &[String], unit: &Path) -> String {
    if variables.is_empty() {
        return String::new();
    }
    let export = format!("export {} && ", variables.join(" "));
    match export.contains(HIDDEN) {
        true => format!("first fill in from {}: {export}", fs::quoted(unit)),
        false => export,
    }
}

/// What has a watcher serve a home that none serves: the unit that is there, or a new one.
pub fn how_to_serve(place: &OpenClawHome, env: &Env) -> String {
    match super::of_home(place, env) {
        Some((unit, _)) => how_to_start(&unit, env),
        None => how_to_install(place, env, ""),
    }
}

/// How an installed unit's watcher is started, by hand where no service manager can be asked, as in a container.
pub fn how_to_start(unit: &Path, env: &Env) -> String {
    match (Manager { env, unit }).can_start() {
        true => start(true, unit),
        false => {
            let text = fs::read_capped(unit, SIZE_CAP).ok().flatten().unwrap_or_default();
            until_stopped(&service_unit::command(&String::from_utf8_lossy(&text)))
        }
    }
}

pub(super) fn start(was_there: bool, path: &Path) -> String {
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

pub(super) fn stop() -> String {
    match KIND {
        UnitKind::Systemd => format!("systemctl --user stop {SYSTEMD_UNIT}; systemctl --user daemon-reload"),
        UnitKind::Launchd => format!("launchctl bootout gui/$(id -u)/{LABEL}"),
    }
}
