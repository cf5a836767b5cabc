//! The home, its folder of ours, and what lies about.

use crate::authz::timed;
use crate::cmd::context::{TRUST_HOME, is_ours};
use crate::cmd::doctor::checks::files::install;
use crate::cmd::doctor::facts::Facts;
use crate::cmd::doctor::finding::{Finding, State};
use crate::cmd::doctor::fix;
use crate::error::ExitCode;
use crate::fs;
use crate::home::OpenClawHome;
use crate::hook_record::{self, HookRecord};
use crate::mode::Mode;
use crate::openclaw::config;
use crate::openclaw::hook_files::Kind;
use crate::openclaw::{lock, workspace};
use crate::token::{record, store};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// That we may not look into the home, where that is so: then there is nothing else to say.
pub(super) fn closed(name: &'static str, place: &OpenClawHome) -> Option<Finding> {
    let denied = fs::refuse_open_to_others(&kept_in(place)).err()?;
    if denied.io_kind() != Some(ErrorKind::PermissionDenied) {
        return None;
    }
    let fault = Finding::fault_of(name, &denied, "openclaw doctor");
    let as_its_owner = |uid| format!("{} doctor --openclaw-home {}", fs::run_as(uid), fs::quoted(&place.home));
    let next = fs::another_user(&place.home).map(as_its_owner).or(fault.next);
    Some(Finding { next, ..fault })
}

/// That everything which a person could set up here would hide what OpenClaw uses, where that is so and nothing is here
/// yet: then there is nothing else to say.
pub(super) fn hides_an_older(name: &'static str, place: &OpenClawHome) -> Option<Finding> {
    let hidden = place.refuse_to_hide_an_older().err()?;
    (!place.home.exists()).then(|| Finding::fault_of(name, &hidden, "openclaw doctor"))
}

/// Where our files are, or will be.
fn kept_in(place: &OpenClawHome) -> PathBuf {
    let ours = place.sigilum_dir();
    if ours.exists() { ours } else { place.home.clone() }
}

pub(super) fn home(name: &'static str, facts: &Facts) -> Vec<Finding> {
    folders(name, facts)
        .into_iter()
        .chain(trusts_all(name, facts))
        .collect()
}

/// That whoever can write to the home is trusted, where a person said so now or at an install.
fn trusts_all(name: &'static str, facts: &Facts) -> Option<Finding> {
    let is_recorded = |chosen: &HookRecord| chosen.env.contains_key(TRUST_HOME);
    if facts.chosen.as_ref().is_ok_and(is_recorded) {
        let text = "whoever can write to this home is trusted by what the OpenClaw gateway starts (SIGILUM_TRUST_HOME, \
                    recorded by hook install)";
        let next = format!("SIGILUM_TRUST_HOME=0 {}", facts.command("hook install"));
        return Some(Finding::warn(name, text, next));
    }
    let text = "whoever can write to this home is trusted by this command (SIGILUM_TRUST_HOME)";
    let is_on = facts.env.is_on(TRUST_HOME);
    is_on.then(|| Finding::warn(name, text, "unset SIGILUM_TRUST_HOME"))
}

fn folders(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let place = facts.place;
    if let Err(hidden) = place.refuse_to_hide_an_older() {
        return vec![Finding::fault_of(name, &hidden, "openclaw doctor")];
    }
    if let Some(next) = fs::link_to_nothing(&place.home) {
        let text = format!("the OpenClaw home is a link to nothing: {}", place.home.display());
        return vec![Finding::fail(name, ExitCode::Failure, text, next)];
    }
    if !place.home.is_dir() {
        let text = format!("there is no OpenClaw home: {}", place.home.display());
        return vec![Finding::warn(name, text, "openclaw onboard")];
    }
    let ours = place.sigilum_dir();
    let folder = kept_in(place);
    if let Err(open) = fs::refuse_open_to_others(&folder) {
        return vec![Finding::fault_of(
            name,
            &open,
            format!("ls -ld {}", fs::quoted(&folder)),
        )];
    }
    if let Err(denied) = fs::refuse_unwritable(&folder) {
        let next = format!("ls -ld {}", fs::quoted(&folder));
        return vec![Finding::warning_of(name, &denied, next)];
    }
    if fs::is_loose_folder(&ours) {
        let mode = std::fs::metadata(&ours).map_or(0o700, |meta| meta.permissions().mode() & 0o777);
        let text = format!("others may look into our folder (mode {mode:04o}): {}", ours.display());
        return vec![Finding::warn(name, text, fs::chmod("chmod 700", &ours))];
    }
    vec![Finding::ok(name, place.home.display().to_string())]
}

pub(super) fn files(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let loose = facts.loose.iter().map(|loose| {
        let (path, mode) = (loose.path.display(), loose.mode);
        match &loose.doubt {
            Some(why) => {
                let text = format!("somebody else may have written this file, {why}: {path}");
                Finding::fail(name, ExitCode::Failure, text, anew(&loose.path, facts))
            }
            None => {
                let text = format!("others may read this file (mode {mode:04o}): {path}");
                Finding::warn(name, text, fs::chmod("chmod 600", &loose.path))
            }
        }
    });
    let mut found: Vec<Finding> = loose.chain(unusable(name, facts)).collect();
    let path = facts.place.timed_approvals_file();
    if let Err(error) = timed::read(facts.place)
        && !found
            .iter()
            .any(|finding| finding.state == State::Fail && names(finding, &path))
    {
        let text = format!("no approval is taken back when its time is over: {}", error.text());
        let next = error.step().unwrap_or_else(|| fs::removal(&path));
        found.push(Finding::fail(name, ExitCode::Failure, text, next));
    }
    let damaged = config::damaged_undo_record(facts.place);
    let is_told = |text: &str| {
        let undo = facts.place.undo_file();
        let of_it = |finding: &Finding| names(finding, &undo) || finding.text.ends_with(text);
        found
            .iter()
            .any(|finding| finding.state == State::Fail && of_it(finding))
    };
    if let Err(error) = &damaged
        && !is_told(&error.text())
    {
        found.push(Finding::fault_of(name, error, facts.command("doctor")));
    }
    found.extend(damaged.ok().flatten().map(|text| {
        let kinds = Kind::ALL.into_iter().filter(|kind| facts.is_installed(*kind));
        let again: Vec<String> = kinds
            .map(|kind| facts.command(&format!("hook install --as {}", kind.name())))
            .collect();
        // To remove it would have the next edit take what is ours for what stood there before.
        let steps = [facts.command("hook uninstall"), again.join(" && ")];
        let next = steps[..1 + usize::from(!again.is_empty())].join("; then: ");
        Finding::warn(name, text, next)
    }));
    if found.is_empty() {
        found.push(Finding::ok(name, "no file of ours can be read by others"));
    }
    found
}

fn names(finding: &Finding, path: &Path) -> bool {
    finding.text.ends_with(&path.display().to_string())
}

/// What has the name of a file of ours, and can be neither read nor written as one.
fn unusable(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let me = rustix::process::geteuid();
    let entries = std::fs::read_dir(facts.place.sigilum_dir())
        .into_iter()
        .flatten()
        .flatten();
    let ours = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_ours));
    let mut paths: Vec<PathBuf> = ours.map(|entry| entry.path()).collect();
    paths.sort();
    let fault = |path: PathBuf| {
        let meta = path.symlink_metadata().ok()?;
        let (mode, shown) = (meta.mode() & 0o7777, path.display());
        // What stands in the lock decides nothing, so that it is not among the loose files.
        let is_strange_lock = path.ends_with("lock") && (!meta.is_file() || meta.nlink() > 1);
        if meta.is_dir() || is_strange_lock {
            let text = format!("this has the name of a file of ours, and is none: {shown}");
            let next = format!("look at it, then remove it: {}", fs::removal(&path));
            return Some(Finding::fail(name, ExitCode::Failure, text, next));
        }
        let is_left_over = path.file_name().and_then(OsStr::to_str).is_some_and(fs::is_temp_name);
        if meta.is_file()
            && meta.uid() != me.as_raw()
            && !is_left_over
            && let Some(next) = given_back(&path)
        {
            let text = format!("this file is root's, and this user may not use it: {shown}");
            return Some(Finding::fail(name, ExitCode::Failure, text, next));
        }
        let is_closed = meta.is_file() && meta.uid() == me.as_raw() && !me.is_root() && mode & 0o600 != 0o600;
        let text = format!("this user may not read and write this file (mode {mode:04o}): {shown}");
        is_closed.then(|| {
            Finding::fail(
                name,
                ExitCode::Failure,
                text,
                format!("chmod 600 {}", fs::quoted(&path)),
            )
        })
    };
    paths.into_iter().filter_map(fault).collect()
}

/// What gives this user a file back that is root's, where it keeps the commands out: some are written to in place, the
/// others replaced.
fn given_back(path: &Path) -> Option<String> {
    let grows = |ending: &str| path.as_os_str().to_string_lossy().ends_with(ending);
    let endings = ["lock", ".jsonl", ".sqlite", "-wal", "-shm", "serve.json", "watch.log"];
    match endings.into_iter().any(grows) {
        true => fs::own_mode_to_write(path),
        false => fs::own_mode(path),
    }
}

/// What makes a file anew that somebody else may have written. To take away their right to write it would make it count.
fn anew(path: &Path, facts: &Facts) -> String {
    let place = facts.place;
    if path == place.hook_record_file() {
        return hook_record::anew(path);
    }
    let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let between = |start, end| file.strip_prefix(start)?.strip_suffix(end);
    let named = between("owner-token-", ".jwt");
    let own = facts.token.as_ref().ok().map(|token| &token.owner);
    let own = own.filter(|owner| owner.token_file == path);
    if let Some(namespace) = named.or(own.map(|owner| owner.namespace.value.as_str())) {
        let recorded = record::read(&place.record_file(namespace)).ok().flatten();
        let mode = recorded.map_or(Mode::Managed, |record| record.mode);
        return store::anew(path, own.map_or(mode, |owner| owner.mode.value), namespace);
    }
    if between("owner-", ".json").is_some() {
        return record::anew(path);
    }
    let installed = Kind::ALL.into_iter().find(|kind| path.starts_with(kind.dir(place)));
    match installed {
        Some(kind) => fs::remake(path, &format!("sigilum-authz-notify {}", install(kind, facts))),
        None => format!("look at it, then remove it: {}", fs::removal(path)),
    }
}

/// A token that agents read is theirs: OpenClaw lets an agent read and write all of its workspace.
pub(super) fn workspace(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let place = facts.place;
    let token = facts.token.as_ref().ok().map(|token| token.owner.token_file.clone());
    let token = token.unwrap_or_else(|| place.sigilum_dir());
    let around = |path: &Path| workspace::around(path, facts.config_value(), place);
    let found = [place.sigilum_dir(), token]
        .into_iter()
        .filter(|path| path.exists())
        .find_map(|path| Some((around(&path)?, path)));
    let Some((workspace, path)) = found else {
        return Vec::new();
    };
    let text = format!(
        "{} lies in the workspace {} of an agent, which can read the owner token there and decide in your place",
        path.display(),
        workspace.display()
    );
    let next = format!(
        "give that agent another workspace in {}, then: {}",
        place.config.display(),
        facts
            .token
            .as_ref()
            .map_or_else(|_| facts.command("doctor"), |token| super::token::renew(token, facts))
    );
    vec![Finding::warn(name, text, next)]
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
    found.extend(beside.kept.iter().map(|path| {
        let text = format!(
            "what another program wrote in the same moment as we is kept: {}",
            path.display()
        );
        let next = format!("look at it, then remove it: {}", fs::removal(path));
        Finding::warn(name, text, next)
    }));
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
