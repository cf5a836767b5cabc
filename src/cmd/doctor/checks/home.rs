//! The home, its folder of ours, and what lies about.

use crate::cmd::doctor::facts::Facts;
use crate::cmd::doctor::finding::Finding;
use crate::cmd::doctor::fix;
use crate::fs;
use crate::openclaw::lock;
use std::os::unix::fs::PermissionsExt;

pub(super) fn home(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let place = facts.place;
    if let Err(hidden) = place.refuse_to_hide_an_older() {
        return vec![Finding::fault_of(name, &hidden, "openclaw doctor")];
    }
    if !place.home.is_dir() {
        let text = format!("there is no OpenClaw home: {}", place.home.display());
        return vec![Finding::warn(name, text, "openclaw onboard")];
    }
    let ours = place.sigilum_dir();
    let trusted = if ours.exists() { &ours } else { &place.home };
    if let Err(open) = fs::refuse_open_to_others(trusted) {
        return vec![Finding::fault_of(
            name,
            &open,
            format!("ls -ld {}", fs::quoted(trusted)),
        )];
    }
    let mode = std::fs::metadata(&ours).map_or(0o700, |meta| meta.permissions().mode() & 0o777);
    if mode & 0o077 != 0 {
        let text = format!("others may look into our folder (mode {mode:04o}): {}", ours.display());
        return vec![Finding::warn(name, text, format!("chmod 700 {}", fs::quoted(&ours)))];
    }
    vec![Finding::ok(name, place.home.display().to_string())]
}

pub(super) fn files(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let loose = facts.loose.iter().map(|(path, mode)| {
        let text = format!("others may read this file (mode {mode:04o}): {}", path.display());
        Finding::warn(name, text, format!("chmod 600 {}", fs::quoted(path)))
    });
    let loose: Vec<Finding> = loose.collect();
    if loose.is_empty() {
        return vec![Finding::ok(name, "no file of ours can be read by others")];
    }
    loose
}

pub(super) fn leftovers(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let beside = lock::leftovers(&facts.place.config);
    let left: Vec<String> = fix::leftovers(facts)
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let mut found = Vec::new();
    if !left.is_empty() {
        let text = format!("runs that were killed left {}", left.join(", "));
        found.push(Finding::warn(name, text, facts.command("doctor --fix")));
    }
    found.extend(
        beside
            .stuck
            .map(|stuck| Finding::fault_of(name, &stuck, facts.command("doctor"))),
    );
    if found.is_empty() {
        found.push(Finding::ok(name, "none"));
    }
    found
}
