//! What OpenClaw loads, the program that it starts, and OpenClaw itself.

use crate::cmd::doctor::facts::Facts;
use crate::cmd::doctor::finding::{Finding, State};
use crate::cmd::own_program;
use crate::error::ExitCode;
use crate::fs;
use crate::openclaw::entry::PLUGIN;
use crate::openclaw::hook_files::{self, Found, Kind};
use crate::openclaw::plugin_package;
use crate::process::child::Program;
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// Up to this version `hooks.internal.enabled: true` switches on every hook that comes with OpenClaw.
const LAST_TO_OPEN_ALL: &str = "2026.7.1";

/// The command that installs this kind.
pub(super) fn install(kind: Kind, facts: &Facts) -> &'static str {
    match kind {
        Kind::Hook if facts.is_installed(Kind::Plugin) => "hook install --as hook",
        Kind::Hook => "hook install",
        Kind::Plugin => "hook install --as plugin",
    }
}

pub(super) fn files(name: &'static str, facts: &Facts, kind: Kind) -> Vec<Finding> {
    let usable = hook_files::refuse_strange_folders(facts.place, kind);
    let found = match usable.as_ref().and(facts.files(kind).as_ref()) {
        Ok(found) => found,
        Err(error) => return vec![Finding::fault_of(name, error, facts.command(install(kind, facts)))],
    };
    if found.state == "absent" {
        return match kind {
            Kind::Hook if !facts.is_installed(Kind::Plugin) => {
                let text = "neither the hook nor the plugin is installed, so no notice comes";
                let step = facts.command(install(kind, facts));
                let fault = Finding::fail(name, ExitCode::Failure, text, step);
                let state = if may_be_elsewhere(facts) {
                    State::Warn
                } else {
                    fault.state
                };
                vec![Finding { state, ..fault }]
            }
            _ => vec![Finding::ok(name, "not installed")],
        };
    }
    let is_wrong = faulty(name, found, facts, kind);
    let mut findings: Vec<Finding> = is_wrong.into_iter().collect();
    if kind == Kind::Plugin {
        findings.extend(plugin(name, facts));
    }
    if findings.is_empty() {
        let version = found.version.as_deref().unwrap_or("unknown");
        findings.push(Finding::ok(name, format!("installed, version {version}")));
    }
    findings
}

/// Whether OpenClaw may load the hook or the plugin from a folder that is not ours.
fn may_be_elsewhere(facts: &Facts) -> bool {
    let config = facts.config_value();
    let names_any = |list| {
        config
            .and_then(|config| config.pointer(list)?.as_array())
            .is_some_and(|list| !list.is_empty())
    };
    facts.resident.is_some() || names_any("/plugins/load/paths") || names_any("/hooks/internal/load/extraDirs")
}

/// What is wrong with installed files.
fn faulty(name: &'static str, found: &Found, facts: &Facts, kind: Kind) -> Option<Finding> {
    let folder = found.folder.display();
    let again = facts.command(install(kind, facts));
    let forced = facts.command(&format!("{} --force", install(kind, facts)));
    let list = |names: &[String]| names.join(", ");
    Some(match found.state {
        "incomplete" => {
            let text = format!("files are missing in {folder}: {}", list(&found.missing));
            let next = if found.changed.is_empty() { again } else { forced };
            Finding::fail(name, ExitCode::Failure, text, next)
        }
        "shadowed" => {
            let text = format!("OpenClaw takes an older handler.ts instead of ours: {folder}");
            Finding::fail(name, ExitCode::Failure, text, again)
        }
        "changed" => {
            let text = format!("not as we installed them, in {folder}: {}", list(&found.changed));
            Finding::warn(name, text, forced)
        }
        "outdated" => {
            let version = found.version.as_deref().unwrap_or("unknown");
            let text = format!("the files are of version {version}: {folder}");
            Finding::warn(name, text, again)
        }
        _ => return None,
    })
}

/// What the config says of the installed plugin.
fn plugin(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let Ok(state) = &facts.plugin_state else {
        return Vec::new();
    };
    let again = facts.command(install(Kind::Plugin, facts));
    let mut found = Vec::new();
    match (state.entry, state.found, state.blocked) {
        _ if facts.config.is_err() => {}
        (Some(true), true, None) => {}
        (Some(true), true, Some(why)) => {
            found.push(Finding::fail(
                name,
                ExitCode::Config,
                format!("the plugin is on, but {why}"),
                way_out(why, facts).unwrap_or(again),
            ));
        }
        (Some(true), false, _) => {
            let text = "the plugin is on, but its folder is not in plugins.load.paths";
            found.push(Finding::fail(name, ExitCode::Config, text, again));
        }
        (Some(false), ..) => {
            found.push(Finding::warn(
                name,
                "the plugin is off, so OpenClaw does not run it",
                again,
            ));
        }
        (None, ..) => {
            let text = "openclaw.json has no entry for the plugin, so OpenClaw does not run it";
            found.push(Finding::warn(name, text, again));
        }
    }
    if facts.is_installed(Kind::Hook) && found.is_empty() {
        let next = facts.command("hook uninstall --as hook");
        let text =
            "the hook is installed beside the plugin; the plugin answers, and the hook only where it does not run";
        found.push(Finding::warn(name, text, next));
    }
    found
}

/// What lets OpenClaw load the plugin, where an install does not.
fn way_out(why: &str, facts: &Facts) -> Option<String> {
    let plugins = facts.config_value()?.get("plugins")?;
    if why.starts_with("plugins.enabled") {
        return Some("openclaw config set plugins.enabled true".to_owned());
    }
    let denied = plugins
        .get("deny")?
        .as_array()?
        .iter()
        .position(|name| name == PLUGIN)?;
    let path = format!("plugins.deny[{denied}]");
    Some(format!("openclaw config unset {}", fs::quoted(path.as_ref())))
}

pub(super) fn program(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for kind in Kind::ALL {
        let Ok(found) = facts.files(kind) else { continue };
        let recorded = facts.chosen.as_ref().ok().and_then(|record| record.binary.clone());
        let binary = found.binary.clone().or(recorded);
        let Some(binary) = binary.filter(|_| facts.is_installed(kind)) else {
            continue;
        };
        if seen.insert(binary.clone()) {
            let again = match found.by_openclaw && found.binary.is_some() {
                true => plugin_package::UPDATE.to_owned(),
                false => facts.command(install(kind, facts)),
            };
            findings.push(one_program(name, &binary, facts, again));
        }
    }
    findings
}

fn one_program(name: &'static str, binary: &Path, facts: &Facts, again: String) -> Finding {
    let path = binary.display();
    let Ok(meta) = binary.metadata() else {
        let text = format!("the program that OpenClaw is to start is not there: {path}");
        return Finding::fail(name, ExitCode::Failure, text, again);
    };
    if meta.mode() & 0o002 != 0 {
        let text = format!("everybody may write to the program that OpenClaw starts: {path}");
        return Finding::fail(name, ExitCode::Failure, text, fs::chmod("chmod go-w", binary));
    }
    if let Some(Err(open)) = binary.parent().map(fs::refuse_open_to_others) {
        return Finding::warning_of(name, &open, again);
    }
    let own = own_program::path().ok().and_then(|own| own.canonicalize().ok());
    if own.is_some() && own == binary.canonicalize().ok() {
        return Finding::ok(name, format!("{path}, this one"));
    }
    if fs::another_user(&facts.place.home).is_some() {
        return Finding::ok(
            name,
            format!("{path}; in another user's home it is not asked for its version"),
        );
    }
    let ours = [0, rustix::process::geteuid().as_raw()].contains(&meta.uid());
    match ours.then(|| version_of(binary)).flatten() {
        Some(version) if version == env!("CARGO_PKG_VERSION") => {
            Finding::ok(name, format!("{path}, version {version}"))
        }
        Some(version) => {
            let text = format!(
                "OpenClaw starts version {version}, {path}; this one is version {}",
                env!("CARGO_PKG_VERSION")
            );
            Finding::warn(name, text, again)
        }
        None => {
            let text = format!("the program that OpenClaw starts does not say its version: {path}");
            Finding::warn(name, text, again)
        }
    }
}

/// What a program of ours says to `--version`.
fn version_of(binary: &Path) -> Option<String> {
    let program = Program {
        path: binary,
        args: vec!["--version".into()],
        env: Vec::new(),
        stdin: None,
        limit: Duration::from_secs(2),
        max_stdout: 4096,
        stop: None,
    };
    let said = String::from_utf8(program.run().ok()?.stdout).ok()?;
    // A commit may stand behind it.
    let version = said.strip_prefix("sigilum-authz-notify ")?.split_whitespace().next()?;
    Some(version.to_owned())
}

pub(super) fn openclaw(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let openclaw = &facts.openclaw;
    let mut found = Vec::new();
    let hook_on = facts.entry().flatten().is_some_and(|entry| entry.enabled) && facts.is_installed(Kind::Hook);
    let all_on = facts
        .config_value()
        .and_then(|config| config.pointer("/hooks/internal/enabled")?.as_bool());
    let version = openclaw.version.as_deref().unwrap_or("unknown");
    if hook_on && all_on == Some(true) && openclaw.is_up_to(LAST_TO_OPEN_ALL) {
        let text = format!(
            "in OpenClaw {version} hooks.internal.enabled switches on every hook that comes with it; ours needs its entry \
             alone"
        );
        found.push(Finding::warn(
            name,
            text,
            "openclaw config unset hooks.internal.enabled",
        ));
    }
    if let Some(why) = openclaw.refuses().filter(|_| hook_on || facts.plugin_runs()) {
        let next = match facts.is_installed(Kind::Plugin) {
            true => "openclaw plugins doctor",
            false => "openclaw hooks check",
        };
        found.push(Finding::fail(
            name,
            ExitCode::Failure,
            format!("OpenClaw says: {why}"),
            next,
        ));
    }
    if let Some(error) = &openclaw.error {
        found.push(Finding::warning_of(name, error, "openclaw doctor"));
    }
    if found.is_empty() {
        let restart = match openclaw.wants_restarts() {
            true => format!(
                "; after an install, an uninstall or a switch it needs: {}",
                facts.called.complete("openclaw gateway restart")
            ),
            false => String::new(),
        };
        let where_not = match (&openclaw.program, &facts.chosen) {
            (None, Ok(chosen)) if chosen.openclaw.is_none() => {
                "not on PATH, where a step that names openclaw wants it; "
            }
            _ => "",
        };
        found.push(Finding::ok(name, format!("{where_not}version {version}{restart}")));
    }
    found
}
