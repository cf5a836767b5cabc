//! `broker adopt` and `broker release`, killed at every call that changes something.

use crate::Report;
use crate::env::three_users::ThreeUsers;
use crate::env::watching::managed_token;
use crate::strace::{self, Blow};
use std::path::Path;

const API: &str = "http://127.0.0.1:9";

/// Sweeps both.
pub fn all(report: &mut Report) {
    for verb in ["adopt", "release"] {
        sweep(verb, report);
    }
}

/// Copies both sides aside, or back, with owners and modes.
fn copy(from: &Path, to: &Path) {
    for name in [".openclaw", "state"] {
        let _ = std::fs::remove_dir_all(to.join(name));
        let copied = std::process::Command::new("cp")
            .arg("-a")
            .arg(from.join(name))
            .arg(to)
            .status();
        assert!(copied.unwrap().success());
    }
}

fn sweep(verb: &str, report: &mut Report) {
    let Some(users) = ThreeUsers::new() else { return };
    let token = managed_token("alice", 36_000);
    users.log_in_managed(&token, API);
    users.give_home();
    let adopt = || users.moves("adopt").args(["--mode", "managed", "--api-url", API]);
    if verb == "release" {
        adopt().expect(0);
    }
    let run = || match verb {
        "adopt" => adopt(),
        _ => users.moves("release"),
    };
    let (home, kept) = (users.env.home().to_owned(), tempfile::tempdir().unwrap());
    copy(&home, kept.path());
    let files = [
        users.env.sigilum("owner-token-alice.jwt"),
        users.kept("owner-token-alice.jwt"),
    ];
    let held = || {
        files
            .each_ref()
            .map(|file| std::fs::read_to_string(file).is_ok_and(|text| text.trim() == token))
    };
    let log = tempfile::NamedTempFile::new().unwrap();
    let (output, points) = strace::record(run(), &home, log.path());
    let done = match verb {
        "adopt" => [false, true],
        _ => [true, false],
    };
    if output.code != 0 || held() != done {
        report.fault(verb, format!("untouched: exit code {}: {}", output.code, output.stderr));
        return;
    }
    let mut seen = [0, 0, 0];
    for point in &points {
        copy(kept.path(), &home);
        let (output, traced) = strace::strike(run(), point, &Blow::Kill, log.path());
        let mut fault = |what: String| report.fault(verb, format!("killed at {}: {what}", point.line));
        if output.code != -1 || !traced.contains("+++ killed by SIGKILL +++") {
            fault(format!("was not killed, exit code {}", output.code));
        }
        match held() {
            [false, false] => fault("nobody has the token".to_owned()),
            [true, true] => seen[1] += 1,
            now if now == done => seen[2] += 1,
            _ => seen[0] += 1,
        }
        let again = run().output();
        // One that was through says that there is nothing left.
        let through = again.code == 4 && again.stderr.contains("has that of alice");
        if !(again.code == 0 || through) || again.stderr.contains("panicked at") || held() != done {
            fault(format!("run again: exit code {}: {}", again.code, again.stderr));
        }
        let config = std::fs::read_to_string(users.env.config()).unwrap_or_default();
        if config.contains(&token) || !config.contains("// kept by hand") {
            fault("the config is not as it should be".to_owned());
        }
    }
    let kills = points.len();
    for point in points {
        *report.struck.entry(point.name).or_default() += 1;
    }
    report.line(format!(
        "broker {verb}: {kills} kills, {} with the token where it was, {} in both places, {} where it goes; never in none; the \
         same again is through each time",
        seen[0], seen[1], seen[2]
    ));
}
