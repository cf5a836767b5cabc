//! The log of decisions: killed runs, two at once, a full disk, rotation.

use super::{World, entry, id};
use crate::env::api::Fault;
use crate::env::watching::wait_until;
use crate::env::{BROKER, STRANGER, can_be_others};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// An answer that never came: the request says what became of it, at once or with the next command.
#[test]
fn an_answer_that_got_lost_is_asked_for() {
    // The API did it and its answer got lost, or says nothing: known by asking once.
    let odd = |body: &str| Fault::Body("application/json", body.to_owned());
    let other = odd(&format!(r#"{{"claim_id":"{}","status":"rejected"}}"#, id(1)));
    for fault in [
        Fault::Drop,
        odd("{}"),
        odd("<html>"),
        other,
        Fault::Raw(b"what?".to_vec()),
        Fault::Raw(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
        Fault::Raw(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}".to_vec()),
    ] {
        let world = World::with_three();
        world.api.next_faults([Fault::None, fault]);
        world.authz(&format!("approve {} --yes", id(1))).expect(0);
        assert_eq!(world.decisions(), [entry("approve", 1, "done")]);
        assert_eq!(world.api.posts().len(), 1, "never sent twice");
    }

    // A proxy answers for it, once or, where it is asked once more, before the API says that nothing waits any more.
    let says = |status: &str| Fault::Raw(format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n{{}}").into_bytes());
    for (status, posts) in [
        ("302 Found\r\nLocation: /", 1),
        ("400 Bad Request", 1),
        ("413 Too Large", 1),
        ("429 Too Many Requests", 2),
        ("500 Internal", 2),
        ("502 Bad Gateway", 2),
        ("504 Gateway Timeout", 2),
    ] {
        let world = World::with_three();
        world.api.next_faults([Fault::None, says(status)]);
        world.authz(&format!("approve {} --yes", id(1))).expect(0);
        assert_eq!(world.decisions(), [entry("approve", 1, "done")], "{status}");
        assert_eq!(world.api.posts().len(), posts, "{status}");
    }

    // Nor does it say so: told as not known, and settled by the next command.
    let world = World::with_three();
    world.api.next_faults([Fault::None, Fault::Drop, Fault::Drop]);
    let output = world.authz(&format!("approve {} --yes", id(1))).expect(6);
    assert!(
        output.stderr.contains("it was sent, and may have been done"),
        "{}",
        output.stderr
    );
    assert_eq!(world.log().len(), 1);
    let next = format!("next: sigilum-authz-notify authz show {}\n", id(1));
    assert!(output.stderr.ends_with(&next), "{}", output.stderr);
    let show = world.authz(&format!("show {}", id(1))).expect(0).stdout;
    assert!(show.contains("done: found approved"), "{show}");
    assert_eq!(world.api.posts().len(), 1);
}

/// Killed with the intent written and the request on its way, before or after the API did it.
#[test]
fn a_killed_run_is_settled_by_the_next_command() {
    for (was_done, outcome) in [(true, "done"), (false, "not-done")] {
        let world = World::with_three();
        world.api.next_faults([Fault::None, Fault::Stall]);
        let mut child = world
            .authz(&format!("approve {} --yes", id(1)))
            .into_command()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        assert!(wait_until(|| !world.api.posts().is_empty()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(world.log().len(), 1, "the intent");
        if !was_done {
            world.api.change(&id(1), "status", "pending");
        }
        // Nothing can be known while the API is away: the log says so, and stays open.
        world.api.fault(Fault::Status(500, "INTERNAL"));
        let output = world.authz("log").expect(0);
        assert!(output.stdout.contains("not known yet"), "{}", output.stdout);
        assert!(output.stderr.contains("still not known"), "{}", output.stderr);
        world.api.fault(Fault::None);
        world.authz(&format!("reject {} --yes", id(3))).expect(0);
        assert_eq!(
            world.decisions(),
            [entry("approve", 1, outcome), entry("reject", 3, "done")]
        );
        assert_eq!(world.api.posts().len(), 2, "the killed one was not sent again");
    }
}

/// Of every prefix of what a run writes, as a kill or a power cut leaves it.
#[test]
fn half_a_line_is_no_line() {
    let world = World::with_three();
    world.authz(&format!("approve {} --yes", id(1))).expect(0);
    let log = world.env.sigilum("decisions.jsonl");
    let text = std::fs::read_to_string(&log).unwrap();
    let intent = text.find('\n').unwrap();
    for (length, first) in [
        (0, None),
        (intent / 2, None),
        (intent, Some("done")),
        (intent + 1, Some("done")),
        (intent + 20, Some("done")),
        (text.len() - 1, Some("done")),
    ] {
        world.env.write(".openclaw/.sigilum/decisions.jsonl", &text[..length]);
        world.api.change(&id(2), "status", "pending");
        world.authz(&format!("reject {} --yes", id(2))).expect(0);
        let decisions = world.decisions();
        let expected: Vec<_> = first.map(|outcome| entry("approve", 1, outcome)).into_iter().collect();
        assert_eq!(
            decisions,
            [expected, vec![entry("reject", 2, "done")]].concat(),
            "{length}"
        );
    }
}

#[test]
fn two_at_once_decide_once() {
    let world = World::with_three();
    world.api.delay(Duration::from_millis(50));
    let spawn = || {
        let mut command = world
            .authz(&format!("approve {} {} --yes", id(1), id(2)))
            .into_command();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let children = [spawn(), spawn(), spawn()];
    let outputs = children.map(|child| child.wait_with_output().unwrap());
    let codes: Vec<i32> = outputs.iter().map(|output| output.status.code().unwrap()).collect();
    let done: usize = outputs
        .iter()
        .map(|output| String::from_utf8_lossy(&output.stdout).lines().count())
        .sum();
    assert_eq!(done, 2, "{outputs:?}");
    assert_eq!(
        codes.iter().filter(|code| **code == 1).count(),
        if codes.contains(&0) { 2 } else { 3 }
    );
    assert_eq!(world.api.posts().len(), 2, "{:?}", world.api.posts());
    let mut decisions = world.decisions();
    decisions.sort();
    assert_eq!(decisions, [entry("approve", 1, "done"), entry("approve", 2, "done")]);
}

/// An approval that cannot be logged is not made; a reject or revoke is.
#[test]
fn what_cannot_be_logged() {
    let world = World::with_three();
    world.authz(&format!("approve {} --yes", id(3))).expect(0);
    let log = world.env.sigilum("decisions.jsonl");
    std::fs::remove_file(&log).unwrap();
    std::os::unix::fs::symlink("/dev/full", &log).unwrap();
    let output = world.authz(&format!("approve {} --yes", id(1))).expect(1);
    assert!(
        output.stderr.contains("as the decision cannot be logged"),
        "{}",
        output.stderr
    );
    assert!(!output.stderr.contains("a killed run"), "{}", output.stderr);
    let next = format!(
        "it is a symbolic link\n  next: look at it, then remove it: rm {}\n",
        log.display()
    );
    assert!(output.stderr.ends_with(&next), "{}", output.stderr);
    assert_eq!(world.status(1), "pending");
    for (number, verb, status) in [(1, "reject", "rejected"), (3, "revoke", "revoked")] {
        let output = world.authz(&format!("{verb} {} --yes", id(number))).expect(0);
        assert!(
            output.stderr.contains("that was done, but not all of it is recorded"),
            "{}",
            output.stderr
        );
        assert_eq!(world.status(number), status);
    }
}

/// What is made and cannot be logged is not made again: its step is another one.
#[test]
fn a_decision_that_is_made_is_not_to_be_made_again() {
    let world = World::with_three();
    world.authz(&format!("reject {} --yes", id(3))).expect(0);
    let log = world.env.sigilum("decisions.jsonl");
    let text = std::fs::read_to_string(&log).unwrap();
    let intent = text.find('\n').unwrap() + 1;
    // No room for the intent; or for that alone.
    for (room, then, lines) in [
        (0, "; this decision stays out of the log", 2),
        (intent + 20, "; the next command of authz adds its result", 3),
    ] {
        world.env.write(".openclaw/.sigilum/decisions.jsonl", &text);
        world.api.change(&id(1), "status", "pending");
        let run = world.authz(&format!("reject {} --yes", id(1)));
        let output = run
            .under("prlimit", [format!("--fsize={}", text.len() + room)])
            .expect(0);
        assert_eq!(world.status(1), "rejected");
        let step = output.stderr.split("next: ").nth(1).unwrap();
        assert_eq!(step, format!("raise the limit of file sizes (ulimit -f){then}\n"));
        assert_eq!(world.log().len(), lines, "{:?}", world.log());
    }
    let decisions = world.decisions();
    assert_eq!(decisions, [entry("reject", 3, "done"), entry("reject", 1, "done")]);
}

/// A log that this user may not write to: what it takes is said, and does it.
#[test]
fn a_log_that_cannot_be_written_to() {
    if !can_be_others() {
        return;
    }
    let world = World::with_three();
    world.authz(&format!("reject {} --yes", id(3))).expect(0);
    let log = world.env.sigilum("decisions.jsonl");
    let own = |path: &Path, uid: u32| std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
    for file in [world.env.home(), &world.env.openclaw()] {
        own(file, STRANGER);
        let files = std::fs::read_dir(file).unwrap();
        files.for_each(|file| own(&file.unwrap().path(), STRANGER));
    }
    let files = std::fs::read_dir(world.env.sigilum("")).unwrap();
    files.for_each(|file| own(&file.unwrap().path(), STRANGER));
    let mode = |mode: u32| std::fs::set_permissions(&log, std::fs::Permissions::from_mode(mode)).unwrap();
    let path = log.display();
    for (mode_of_log, owner, step) in [
        (0o400, STRANGER, format!("chmod u+w {path}")),
        (0o000, STRANGER, format!("chmod u+rw {path}")),
        (0o600, 0, format!("as root: chown {STRANGER} {path}")),
        (0o600, BROKER, format!("look at it, then remove it: rm {path}")),
    ] {
        own(&log, owner);
        mode(mode_of_log);
        let approve = || {
            world
                .authz(&format!("approve {} --yes", id(1)))
                .by_user(STRANGER, &[STRANGER])
        };
        let output = approve().expect(1);
        assert!(output.stderr.ends_with(&format!("next: {step}\n")), "{}", output.stderr);
        assert_eq!(world.status(1), "pending");
        let command = step.rsplit(": ").next().unwrap().to_owned();
        let done = std::process::Command::new("sh")
            .args(["-c", &command])
            .status()
            .unwrap();
        assert!(done.success());
        approve().expect(0);
        world.api.change(&id(1), "status", "pending");
    }
    // Nor may anything be made in the folder, the lock included.
    let folder = world.env.openclaw().join(".sigilum");
    for name in ["decisions.jsonl", "decisions.lock"] {
        std::fs::remove_file(world.env.sigilum(name)).unwrap();
    }
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o500)).unwrap();
    let decide = |verb: &str| {
        world
            .authz(&format!("{verb} {} --yes", id(1)))
            .by_user(STRANGER, &[STRANGER])
    };
    decide("approve").expect(1);
    assert_eq!(world.status(1), "pending");
    let output = decide("reject").expect(0);
    assert_eq!(world.status(1), "rejected");
    let says = "that was done, but not all of it is recorded";
    let step = format!(
        "next: chmod u+w {}; this decision stays out of the log\n",
        folder.display()
    );
    assert!(
        output.stderr.contains(says) && output.stderr.ends_with(&step),
        "{}",
        output.stderr
    );
}

/// Two files of a bounded length; an open intent is carried along.
#[test]
fn the_log_is_bounded() {
    let world = World::with_three();
    let line = |number: usize| {
        json!({"intent": format!("{number:016x}"), "at": "2026-01-01T00:00:00Z", "by": "alice", "how": "yes",
            "decision": "reject", "claim_id": format!("cl_{number:024x}"), "namespace": "alice", "api": world.api.url(),
            "service": "x".repeat(150), "public_key": "k"})
    };
    let result = |number: usize| json!({"result": format!("{number:016x}"), "at": "2026-01-01T00:00:01Z", "outcome": "done", "answer": "rejected"});
    let mut text = line(7777).to_string() + "\n";
    for number in 0..700 {
        text += &format!("{}\n{}\n", line(number), result(number));
    }
    assert!(text.len() > 256 * 1024);
    world
        .env
        .write(".openclaw/.sigilum/decisions.1.jsonl", line(8888).to_string());
    world.env.write(".openclaw/.sigilum/decisions.jsonl", &text);
    // The open one's API is away until the log was put away.
    world
        .api
        .next_faults([Fault::Status(500, "INTERNAL"), Fault::Status(500, "INTERNAL")]);
    world.authz(&format!("reject {} --yes", id(1))).expect(0);
    let newest = std::fs::metadata(world.env.sigilum("decisions.jsonl")).unwrap().len();
    assert!(newest < 4_096, "{newest}");
    assert_eq!(
        std::fs::read_to_string(world.env.sigilum("decisions.1.jsonl")).unwrap(),
        text
    );
    let decisions = world.decisions();
    assert_eq!(decisions.len(), 703);
    assert_eq!(decisions[0].2, "unknown", "settled from the new file");
    let carried: Vec<Value> = world.log().iter().take(2).map(|line| line["intent"].clone()).collect();
    assert_eq!(carried, [8888, 7777].map(|number| json!(format!("{number:016x}"))));
}
