//! Killed anywhere: a command is killed at each of its calls that change something, one after the other.

use super::scenes::{self, NEW_SECRET, Scene, Stage};
use super::strace::{self, Blow, Point};
use super::{Report, tree};
use crate::env::services::SECRET;
use std::collections::BTreeMap;

/// Calls whose names differ by kernel and machine, by what they do.
pub fn family(name: &str) -> &str {
    for (family, start) in [
        ("rename", "rename"),
        ("link", "link"),
        ("unlink", "unlink"),
        ("fsync", "fsync"),
        ("fsync", "fdatasync"),
        ("write", "write"),
        ("write", "pwrite"),
        ("open", "open"),
        ("mkdir", "mkdir"),
        ("chmod", "fchmod"),
        ("chown", "fchown"),
    ] {
        if name.starts_with(start) {
            return family;
        }
    }
    name
}

/// What was seen in one scene.
#[derive(Default)]
struct Seen {
    kills: BTreeMap<String, u32>,
    databases: u32,
    guards: u32,
    locks: u32,
    leftovers: u32,
    /// Configs that `hook uninstall` gave back as they were in the beginning.
    undone: u32,
    /// Kills after which the file was the old one, and after which it was the new one.
    config_old: u32,
    config_new: u32,
}

/// Sweeps one scene.
pub fn sweep(scene: &Scene, report: &mut Report) {
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
    let mut seen = Seen::default();
    let has_config = stage.old.contains_key(&stage.config());
    for point in &points {
        // Where the database is struck has nothing to do with the lock; the same scene without it strikes it.
        let of_database = point.target.as_deref().is_some_and(tree::is_database);
        if scene.dead_lock && of_database {
            continue;
        }
        let mut faults = Vec::new();
        stage.again();
        let (output, traced) = strace::strike((scene.run)(&stage.desk), point, &Blow::Kill, log.path());
        if output.code != -1 || !traced.contains("+++ killed by SIGKILL +++") {
            faults.push(format!("was not killed, exit code {}", output.code));
        }
        *seen.kills.entry(point.name.clone()).or_default() += 1;
        let now = stage.now();
        tree::old_or_new(&now, &stage.old, &new, &mut faults);
        tree::private(&now, &[SECRET, NEW_SECRET], &mut faults);
        seen.databases += tree::databases(&now, &mut faults);
        seen.leftovers += u32::from(now.keys().any(|path| tree::is_temp(path)));
        let config = stage.config();
        if now.get(&config) == stage.old.get(&config) {
            seen.config_old += 1;
        } else {
            seen.config_new += 1;
        }
        seen.locks += u32::from(now.keys().any(|path| tree::is_openclaw_lock(path)));
        match tree::openclaw_blocked(&now, &config).as_deref() {
            None => {}
            // Until our next run: the kernel offers no way to have both names in one step.
            Some("guard") => seen.guards += 1,
            Some(why) => faults.push(format!("OpenClaw is blocked: {why}")),
        }
        again(scene, &stage, &new, &mut faults);
        if has_config && !of_database && faults.is_empty() {
            stage.undone(&mut faults);
            seen.undone += 1;
        }
        for fault in faults {
            report.fault(scene.name, format!("killed at {}: {fault}", point.line));
        }
    }
    if scene.name.starts_with("auth ") {
        interrupt(scene, &mut stage, &points, report);
    }
    for must in scene.reaches {
        if !points.iter().any(|point| family(&point.name) == *must) {
            report.fault(scene.name, format!("the sweep never reached {must}"));
        }
    }
    let kills: u32 = seen.kills.values().sum();
    for (name, count) in &seen.kills {
        *report.struck.entry(name.clone()).or_default() += count;
    }
    let by_name: Vec<String> = seen
        .kills
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    report.line(format!(
        "{}: {kills} kills ({}); config old {}, new {}; {} databases whole; {} left temp files, {} a lock of a dead \
         process, {} a guard; {} undone byte for byte",
        scene.name,
        by_name.join(", "),
        seen.config_old,
        seen.config_new,
        seen.databases,
        seen.leftovers,
        seen.locks,
        seen.guards,
        seen.undone,
    ));
}

/// Ctrl-C at each of the calls: token, record and config agree, with no other command's help.
fn interrupt(scene: &Scene, stage: &mut Stage, points: &[Point], report: &mut Report) {
    let log = tempfile::NamedTempFile::new().unwrap();
    for point in points {
        let mut faults = Vec::new();
        stage.again();
        let (output, traced) = strace::strike((scene.run)(&stage.desk), point, &Blow::Interrupt, log.path());
        if output.code != -1 || !traced.contains("+++ killed by SIGINT +++") {
            faults.push(format!("did not end by SIGINT, exit code {}", output.code));
        }
        stage.agree(&mut faults);
        for fault in faults {
            report.fault(scene.name, format!("interrupted at {}: {fault}", point.line));
        }
    }
    report.line(format!(
        "{}: {} times interrupted, token and config agree",
        scene.name,
        points.len()
    ));
}

/// The same command once more, untouched: it succeeds, and leaves what it always leaves.
pub fn again(scene: &Scene, stage: &Stage, new: &tree::Tree, faults: &mut Vec<String>) {
    let output = (scene.run)(&stage.desk).output();
    if output.code != 0 || output.stderr.contains("panicked at") {
        faults.push(format!("run again: exit code {}: {}", output.code, output.stderr));
        return;
    }
    let mut now = stage.now();
    // A watcher that has nothing to write leaves a dead process's lock to the next writer, OpenClaw or one of ours.
    if scene.name.starts_with("watch ") && tree::openclaw_blocked(&now, &stage.config()).is_none() {
        now.retain(|path, _| !tree::is_openclaw_lock(path));
    }
    tree::is_new(&now, new, false, faults);
    tree::private(&now, &[SECRET, NEW_SECRET], faults);
    tree::databases(&now, faults);
    if let Some(why) = tree::openclaw_blocked(&now, &stage.config()) {
        faults.push(format!("run again, OpenClaw is blocked: {why}"));
    }
    stage.agree(faults);
}

/// The scenes by name, two at a time.
pub fn all(only: &str, report: &mut Report) {
    super::two_at_a_time(scenes::all(), only, report, sweep);
    super::decided::all(only, report);
    report.total("killed");
}
