//! What a person is told to do about a unit: the commands that are printed.

use super::super::manager::{self, KIND, LABEL, Manager, SYSTEMD_UNIT};
use super::{SIZE_CAP, homes_of, is_watchable, path};
use crate::cli::UnitKind;
use crate::env::Env;
use crate::fs;
use crate::home::OpenClawHome;
use crate::watch::service_unit::{self, HIDDEN, Unit};
use std::path::{Path, PathBuf};

/// What runs it where there is no service manager that this program knows.
pub fn in_foreground(flags: &str) -> String {
    until_stopped(&format!("sigilum-authz-notify watch{flags}"))
}

fn until_stopped(command: &str) -> String {
    format!("{command}; it runs until it is stopped, so have whatever starts programs here start it")
}

/// What has a service watch a home, with these flags besides: one that is there goes on with the homes that it serves.
pub fn how_to_install(place: &OpenClawHome, env: &Env, more: &str) -> String {
    let text = path(env).ok().and_then(|path| fs::read_capped(&path, SIZE_CAP).ok()?);
    let served = text.and_then(|text| homes_of(&String::from_utf8_lossy(&text), env).ok());
    let (homes, is_all) = served.unwrap_or_default();
    let is_this = |home: &PathBuf| manager::is_same(home, &place.home);
    let flag = |home: &PathBuf| format!(" --openclaw-home {}", fs::quoted(home));
    let others = || homes.iter().filter(|home| !is_this(home));
    let watched: String = others()
        .filter(|home| matches!(is_watchable(home), Ok(true)))
        .map(flag)
        .collect();
    let flags = match is_all {
        // No service serves both all of a person's and one elsewhere.
        true if !homes.iter().any(is_this) => return in_foreground(&(flag(&place.home) + more)),
        true if others().all(|home| matches!(is_watchable(home), Ok(true))) => " --all".to_owned(),
        _ if watched.is_empty() && !is_all => watched,
        _ => watched + &flag(&place.home),
    };
    format!("sigilum-authz-notify watch --install-unit{flags}{more}")
}

/// What removes a unit that serves these homes.
pub(super) fn how_to_remove(homes: &[PathBuf], is_all: bool) -> String {
    let flags = match homes.first() {
        _ if is_all => " --all".to_owned(),
        Some(first) => format!(" --openclaw-home {}", fs::quoted(first)),
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

/// The unit's own command, as it is typed where its other variables are set.
pub(super) fn in_the_foreground(unit: &Unit, kept: &[&str]) -> String {
    let (mut all, words) = unit.typed(kept);
    all.push(shell_words::join(words));
    all.join(" ")
}
