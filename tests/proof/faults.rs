//! Faults: each call that changes something fails, one after the other, with the errors of a full, broken or
//! write-protected disk.

use super::scenes::{self, NEW_SECRET, Scene, Stage};
use super::strace::{self, Blow};
use super::tree::Tree;
use super::{Report, killed, tree};
use crate::env::services::SECRET;
use std::path::Path;

const ERRORS: [&str; 5] = ["ENOSPC", "EIO", "EACCES", "EROFS", "EMFILE"];

/// Sweeps one scene.
fn sweep(scene: &Scene, report: &mut Report) {
    let mut stage = Stage::new(scene);
    let log = tempfile::NamedTempFile::new().unwrap();
    let home = stage.desk.env.home().to_owned();
    stage.again();
    let (output, points) = strace::record((scene.run)(&stage.desk), &home, log.path());
    if output.code != 0 {
        report.fault(
            scene.name,
            format!("untouched: exit code {}: {}", output.code, output.stderr),
        );
        return;
    }
    let new = stage.now();
    let (mut told, mut survived, mut others) = (0, 0, 0);
    for (index, point) in points.iter().enumerate() {
        let Some(target) = &point.target else { continue };
        for error in ERRORS {
            // What of a database is struck is SQLite's own: as a disk would strike it.
            if tree::is_database(target) && !["EIO", "ENOSPC"].contains(&error) {
                continue;
            }
            // Only opening a file can need one more.
            if error == "EMFILE" && !point.name.starts_with("open") {
                continue;
            }
            let mut faults = Vec::new();
            let mut tries = 0..5;
            let (output, struck) = loop {
                stage.again();
                let blow = Blow::Fail(error);
                let (output, struck) = strace::strike((scene.run)(&stage.desk), point, &blow, log.path());
                if strace::is_struck(point, &struck) || tries.next().is_none() {
                    break (output, struck);
                }
                others += 1;
            };
            *report.struck.entry(point.name.clone()).or_default() += 1;
            let now = stage.now();
            tree::private(&now, &[SECRET, NEW_SECRET], &mut faults);
            tree::databases(&now, &mut faults);
            if output.stderr.contains("panicked at") || output.code == -1 {
                faults.push("it panicked".to_owned());
            }
            if output.code == 0 {
                survived += 1;
                let patch_told = ["EACCES", "EROFS"].contains(&error)
                    && output
                        .stderr
                        .contains("openclaw.json still needs a change: it cannot be written");
                match patch_told {
                    true => tree::is_new(&now, &without_the_edit(&new, &stage.old, &now), true, &mut faults),
                    false => tree::is_new(&now, &new, true, &mut faults),
                }
                // SQLite lets go of a folder that cannot be synced; ours is synced again later. And a lock that cannot
                // be had is no matter where there turns out to be nothing to write.
                let theirs = target.ends_with("miniflare-D1DatabaseObject") || tree::is_openclaw_lock(target);
                let again = points[index + 1..]
                    .iter()
                    .any(|later| killed::family(&later.name) == "fsync" && later.target == point.target);
                let ours = !theirs && !tree::is_database(target) && !patch_told;
                if killed::family(&point.name) == "fsync" && ours && !again && !written_anew(&struck, target) {
                    faults.push("what may not be on the disk was reported as done".to_owned());
                }
            } else {
                told += 1;
                tree::old_or_new(&now, &stage.old, &new, &mut faults);
                let expected = codes(target, &home);
                if !expected.contains(&output.code) {
                    faults.push(format!("exit code {}, not of {expected:?}", output.code));
                }
                if !names(&output.stderr, target) {
                    faults.push("the file is not named".to_owned());
                }
            }
            if let Some(why) = tree::openclaw_blocked(&now, &stage.config()) {
                faults.push(format!("OpenClaw is blocked: {why}"));
            }
            killed::again(scene, &stage, &new, &mut faults);
            for fault in faults {
                let stderr = output.stderr.trim_end();
                report.fault(scene.name, format!("{error} at {}: {fault}: {stderr}", point.line));
            }
        }
    }
    report.line(format!(
        "{}: {told} faults told by an error that names the file, {survived} survived; {others} struck another call, and \
         were tried again",
        scene.name
    ));
}

/// What is left where the config cannot be written: it is the old one, everything else is done, and the record of the
/// edit is there or not.
fn without_the_edit(new: &Tree, old: &Tree, now: &Tree) -> Tree {
    let mut wanted = new.clone();
    for (path, from) in [(".openclaw/openclaw.json", old), (".openclaw/.sigilum/undo.json", now)] {
        match from.get(Path::new(path)) {
            Some(node) => wanted.insert(path.into(), node.clone()),
            None => wanted.remove(Path::new(path)),
        };
    }
    wanted
}

/// The exit codes that the README gives for trouble with this file.
fn codes(target: &Path, home: &Path) -> &'static [i32] {
    let inside = target.strip_prefix(home).unwrap();
    if tree::is_database(inside) {
        &[7]
    } else if inside.starts_with(".openclaw/openclaw.json") || tree::is_openclaw_lock(inside) {
        &[3]
    } else if inside == Path::new(".openclaw") || inside == Path::new(".openclaw/.sigilum") {
        // Synced for what was made in it.
        &[1, 3, 7]
    } else if inside.ends_with("undo.json") || tree::is_temp(inside) {
        &[1, 3]
    } else {
        &[1]
    }
}

/// The file itself, or the folder in which it could not be made.
fn names(stderr: &str, target: &Path) -> bool {
    let said = |path: &Path| stderr.contains(&path.display().to_string());
    // The guard of a takeover is named by its lock.
    let lock = target
        .ancestors()
        .find(|path| path.ends_with("openclaw.json.lock.reclaim"));
    said(target) || target.parent().is_some_and(said) || lock.is_some_and(|guard| said(&guard.with_extension("")))
}

/// The scenes by name, two at a time. One of them reclaims a dead process's lock.
pub fn all(only: &str, report: &mut Report) {
    let scenes = scenes::all()
        .into_iter()
        .filter(|scene| !scene.dead_lock || scene.name.starts_with("auth refresh"))
        .collect();
    super::two_at_a_time(scenes, only, report, sweep);
    report.total("struck");
}

/// Whether after the failure a file of ours beside `target` was synced well: the watcher plans anew, and writes again.
fn written_anew(struck: &str, target: &Path) -> bool {
    let temp = target.with_file_name(".sigilum-authz-notify-").display().to_string();
    let is_synced = |line: &str| line.contains("sync(") && line.contains(&temp) && line.ends_with(" = 0");
    struck
        .split_once("(INJECTED)")
        .is_some_and(|(_, later)| later.lines().any(is_synced))
}
