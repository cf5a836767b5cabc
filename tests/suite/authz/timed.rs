//! `authz approve --for`: approvals that the watcher takes back.

use super::{World, entry, id, key};
use crate::env::api::Fault;
use crate::env::watching::{managed_token, wait_until};
use crate::env::{mode, now};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

impl World {
    /// The timed approvals: id, and the seconds that are left.
    fn timed(&self) -> Vec<(String, i64)> {
        let Ok(text) = std::fs::read_to_string(self.env.sigilum("approvals.json")) else {
            return Vec::new();
        };
        let json: Value = serde_json::from_str(&text).unwrap();
        let approvals = json["approvals"].as_array().unwrap().iter();
        approvals
            .map(|approval| {
                let left = approval["until"].as_i64().unwrap() - now();
                (approval["claim_id"].as_str().unwrap().to_owned(), left)
            })
            .collect()
    }

    /// As if so many seconds had passed since the approvals.
    fn pass(&self, seconds: i64) {
        let text = std::fs::read_to_string(self.env.sigilum("approvals.json")).unwrap();
        let mut json: Value = serde_json::from_str(&text).unwrap();
        for approval in json["approvals"].as_array_mut().unwrap() {
            approval["until"] = (approval["until"].as_i64().unwrap() - seconds).into();
        }
        // By rename, as everything of ours.
        self.env.write(".openclaw/.sigilum/new", json.to_string());
        std::fs::rename(self.env.sigilum("new"), self.env.sigilum("approvals.json")).unwrap();
    }

    fn approve_for(&self, number: u32, time: &str) {
        self.authz(&format!(
            "approve {} --yes --for {time} --even-without-watcher",
            id(number)
        ))
        .expect(0);
    }
}

fn revoke(number: u32) -> String {
    format!("POST /v1/claims/{}/revoke", id(number))
}

#[test]
fn the_watcher_takes_an_approval_back_when_its_time_is_over() {
    let world = World::with_three();
    let watcher = world.env.watch();
    let output = world.authz(&format!("approve {} --yes --for 30m", id(1))).expect(0);
    assert!(output.stdout.contains(" until 20"), "{}", output.stdout);
    world.authz(&format!("approve {} --yes", id(2))).expect(0);
    let timed = world.timed();
    assert_eq!(timed.len(), 1);
    assert!(
        timed[0].0 == id(1) && (1_700..=1_800).contains(&timed[0].1),
        "{timed:?}"
    );
    assert_eq!(mode(world.env.sigilum("approvals.json")), 0o600);
    let listed = world.authz("list --status approved --json").expect(0).stdout;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert!(listed["requests"][0]["until"].is_string(), "{listed}");
    assert_eq!(listed["requests"][1]["until"], Value::Null);
    let table = world.authz("list --status approved").expect(0).stdout;
    let lives = |row: usize| table.lines().nth(row).unwrap().rsplit("  ").next().unwrap();
    assert!(
        ["30 min", "29 min"].iter().any(|time| lives(1).starts_with(time)),
        "{table}"
    );
    assert_eq!(lives(2), "no end");
    let show = world.authz(&format!("show {}", id(1))).expect(0).stdout;
    assert!(show.contains("taken back: 20"), "{show}");

    world.pass(1_800);
    watcher.wait_for(&format!("took back the approval {}: its time is over", id(1)));
    assert_eq!([world.status(1), world.status(2)], ["revoked", "approved"]);
    assert_eq!(world.api.posts().iter().filter(|post| **post == revoke(1)).count(), 1);
    assert_eq!(world.timed(), []);
    let last = world.log();
    let intent = &last[last.len() - 2];
    assert_eq!(
        (&intent["decision"], &intent["how"]),
        (&json!("revoke"), &json!("time-over"))
    );
    assert_eq!(world.decisions().last(), Some(&entry("revoke", 1, "done")));
}

/// A watcher that starts later does what is overdue; one that cannot keeps it.
#[test]
fn what_is_overdue_is_done_at_once_after_a_restart() {
    let world = World::with_three();
    world.approve_for(1, "30m");
    world.approve_for(3, "40m");
    world.pass(1_801);
    // Until then nobody is told that it lives, nor that it was taken back.
    let table = world.authz("list --status approved").expect(0).stdout;
    let shown = world.authz(&format!("show {}", id(1))).expect(0).stdout;
    for told in [table.lines().nth(1).unwrap(), shown.as_str()] {
        assert!(told.contains("over since 20"), "{told}");
        assert!(told.contains(", not taken back yet"), "{told}");
        assert!(
            !told.contains("taken back: ") && !told.contains("under 15 min"),
            "{told}"
        );
    }
    let once = || world.env.run(["watch", "--once", "--seed", "1"]);
    let busy = || Fault::Status(503, "DB_UNAVAILABLE");
    world.api.next_faults([busy(), busy()]);
    let output = once().expect(6);
    assert!(output.stderr.contains("taking back the approval"), "{}", output.stderr);
    assert_eq!((world.timed().len(), world.status(1)), (2, "approved".to_owned()));
    once().expect(0);
    assert_eq!([world.status(1), world.status(3)], ["revoked", "approved"]);
    assert_eq!(world.timed().len(), 1);
    once().expect(0);
    assert_eq!(world.api.posts().iter().filter(|post| **post == revoke(1)).count(), 1);
    // Without a token nothing can be revoked: it stays, and is told.
    world.pass(1_000);
    world
        .env
        .write(".openclaw/.sigilum/owner-token-alice.jwt", managed_token("alice", -5));
    let output = once().expect(4);
    assert!(
        output.stderr.contains("the owner token has expired"),
        "{}",
        output.stderr
    );
    assert_eq!((world.timed().len(), world.status(3)), (1, "approved".to_owned()));
}

/// What became of a request otherwise is left alone, and so is a later one of the same agent.
#[test]
fn only_the_very_approval_is_taken_back() {
    let world = World::with_three();
    for number in 1..=3 {
        world.approve_for(number, "30m");
    }
    // By hand: forgotten at once.
    world.authz(&format!("revoke {} --yes", id(1))).expect(0);
    let left: Vec<String> = world.timed().into_iter().map(|(id, _)| id).collect();
    assert_eq!(left, [id(2), id(3)]);
    // Elsewhere; and one asked again and approved for ever.
    world.api.change(&id(2), "status", "revoked");
    world.api.change(&id(3), "status", "revoked");
    assert_eq!(world.api.ask("alice", "files", &key(3), &id(9)), id(9));
    world.authz(&format!("approve {} --yes", id(9))).expect(0);
    world.pass(1_800);
    let posts = world.api.posts().len();
    world.env.run(["watch", "--once"]).expect(0);
    assert_eq!(world.api.posts().len(), posts);
    assert_eq!((world.status(9), world.timed()), ("approved".to_owned(), vec![]));
}

/// Only the API itself says that a request is gone.
#[test]
fn another_servers_answer_forgets_no_approval() {
    let world = World::with_three();
    world.approve_for(1, "30m");
    world.pass(1_800);
    let page = |status: &str, kind: &str, body: &str| {
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}",
            body.len()
        );
        Fault::Raw(format!("{head}\r\nConnection: close\r\n\r\n{body}").into_bytes())
    };
    for fault in [
        page("404 Not Found", "text/html", "<p>Nothing here</p>"),
        page("404 Not Found", "application/json", r#"{"error":"no route"}"#),
        page("200 OK", "application/json", "{}"),
        page("200 OK", "application/json", &json!({"claim_id": id(1)}).to_string()),
        page(
            "200 OK",
            "application/json",
            &json!({"claim_id": id(2), "status": "revoked"}).to_string(),
        ),
    ] {
        world.api.fault(fault.clone());
        world.env.run(["watch", "--once"]).output();
        let shown = world.authz(&format!("show {}", id(1))).output();
        assert!(!shown.stderr.contains("could not find"), "{fault:?}: {}", shown.stderr);
        assert_eq!(
            (world.timed().len(), world.status(1)),
            (1, "approved".to_owned()),
            "{fault:?}"
        );
    }
    world.api.fault(Fault::None);
    world.env.run(["watch", "--once"]).expect(0);
    assert_eq!((world.status(1), world.timed()), ("revoked".to_owned(), vec![]));
}

#[test]
fn refused_where_nobody_would_take_it_back() {
    let world = World::with_three();
    let words = format!("approve {} --yes --for", id(1));
    let output = world.authz(&format!("{words} 30m")).expect(1);
    assert!(
        output
            .stderr
            .contains("no watcher that would take the approval back runs"),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains(
        "next: sigilum-authz-notify watch --install-unit; or add --even-without-watcher, and the next watcher"
    ));
    // What is not there is said first.
    let gone = world.authz(&format!("approve {} --yes --for 30m", id(9))).expect(1);
    assert!(gone.stderr.contains("could not find the request"), "{}", gone.stderr);
    // Nor does one of version 0.1.0 that still runs: this process, as it were.
    let old = json!({"pid": std::process::id(), "running": true, "started_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z", "homes_served": 1, "homes": []});
    let file = world.env.write(".openclaw/.sigilum/watch-status.json", old.to_string());
    world.authz(&format!("{words} 30m")).expect(1);
    std::fs::remove_file(file).unwrap();
    // The token lives an hour, and nothing renews it.
    for extra in ["", "--even-without-watcher"] {
        let watcher = extra.is_empty().then(|| world.env.watch());
        let output = world.authz(&format!("{words} 3h {extra}")).expect(4);
        assert!(output.stderr.contains("and nothing renews it"), "{}", output.stderr);
        // The longest that goes, as a command that works.
        let next = output.stderr.split("next: sigilum-authz-notify authz ").nth(1).unwrap();
        assert!(next.contains(" --for 5"), "{next}");
        world.authz(next).expect(0);
        world.authz(&format!("revoke {} --yes", id(1))).expect(0);
        world.api.change(&id(1), "status", "pending");
        drop(watcher);
    }
    // Nor has it any token but that of the login.
    let posts = world.api.posts();
    let other = world.env.write("another-token", managed_token("alice", 7_200));
    std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o600)).unwrap();
    let of_other = format!("{words} 30m --even-without-watcher --token-file {}", other.display());
    let output = world.authz(&of_other).expect(4);
    let says =
        "with the token of the recorded login, and this is another one\n  next: sigilum-authz-notify auth login ";
    assert!(output.stderr.contains(says), "{}", output.stderr);
    for bad in ["30s", "0h", "366d", "soon"] {
        world.authz(&format!("{words} {bad}")).expect(2);
    }
    let alone = world
        .authz(&format!("approve {} --yes --even-without-watcher", id(1)))
        .expect(2);
    assert!(alone.stderr.contains("--for"), "{}", alone.stderr);
    assert_eq!((world.api.posts(), world.timed()), (posts.clone(), vec![]));
    // Its end cannot be kept: it is not made, and the log says so.
    world.env.write(".openclaw/.sigilum/approvals.json", "{");
    world.authz(&format!("{words} 30m --even-without-watcher")).expect(1);
    let last = world.decisions().pop().unwrap();
    assert_eq!(last, crate::authz::entry("approve", 1, "not-done"));
    assert_eq!(
        (world.api.posts(), world.status(1).as_str()),
        (posts.clone(), "pending")
    );
    std::fs::remove_file(world.env.sigilum("approvals.json")).unwrap();
    // A watcher with a token command renews it.
    let command = world
        .env
        .write("token", format!("#!/bin/sh\necho {}", managed_token("alice", 3_600)));
    std::fs::set_permissions(&command, std::fs::Permissions::from_mode(0o700)).unwrap();
    let run = world.env.run(["watch", "--token-command", command.to_str().unwrap()]);
    let watcher = crate::env::watching::Watcher::start(run);
    world.authz(&format!("{words} 3h")).expect(0);
    // As long as it is there.
    std::fs::remove_file(command).unwrap();
    let output = world.authz(&format!("approve {} --yes --for 3h", id(2))).expect(4);
    assert!(output.stderr.contains("and nothing renews it"), "{}", output.stderr);
    drop(watcher);
}

/// The next watcher of a local API's home signs a new token only with a secret that somebody keeps.
#[test]
fn a_secret_that_nobody_keeps_renews_nothing() {
    let env = crate::env::TestEnv::new();
    let api = crate::env::api::Api::start("the-secret");
    let record = json!({"mode": "oss-local", "api_url": api.url(), "email": "alice@local.sigilum"});
    env.write(".openclaw/.sigilum/owner-alice.json", record.to_string());
    env.write(".openclaw/.sigilum/owner-token-alice.jwt", api.token("alice", 3_600));
    api.add_claim("alice", json!({"claim_id": id(1), "service": "mail"}));
    let words = format!("authz approve {} --yes --for 3h --even-without-watcher", id(1));
    let approve = || env.run(words.split(' ')).env("SIGILUM_NAMESPACE", "alice");
    let output = approve().expect(4);
    assert!(output.stderr.contains("and nothing renews it"), "{}", output.stderr);
    assert_eq!(api.posts(), [""; 0]);
    env.write(".openclaw/.sigilum/jwt-secret", "the-secret");
    approve().expect(0);
}

/// A watcher that runs and has not failed yet renews nothing where it could not do so now.
#[test]
fn what_the_watcher_would_sign_with_is_looked_for_when_it_matters() {
    let env = crate::env::TestEnv::new();
    let api = crate::env::api::Api::start("the-secret");
    let record = json!({"mode": "oss-local", "api_url": api.url(), "email": "alice@local.sigilum"});
    env.write(".openclaw/.sigilum/owner-alice.json", record.to_string());
    env.write(".openclaw/.sigilum/hook.json", r#"{"namespace": "alice"}"#);
    env.write(".openclaw/.sigilum/owner-token-alice.jwt", api.token("alice", 3_600));
    let secret = |text: &str| drop(env.write(".openclaw/.sigilum/jwt-secret", text));
    secret("the-secret");
    api.add_claim("alice", json!({"claim_id": id(1), "service": "mail"}));
    let approve = |code: i32| {
        let words = format!("authz approve {} --yes --for 3h", id(1));
        let output = env.run(words.split(' ')).expect(code);
        if code == 0 {
            api.change(&id(1), "status", "pending");
        } else {
            assert!(output.stderr.contains("and nothing renews it"), "{}", output.stderr);
        }
    };
    let watcher = env.watch();
    approve(0);
    let posts = api.posts().len();
    secret("another");
    approve(4);
    std::fs::remove_file(env.sigilum("jwt-secret")).unwrap();
    approve(4);
    assert_eq!(api.posts().len(), posts);
    drop(watcher);
    // One that stands in the environment of the watcher alone is the watcher's to know.
    for (secret, code) in [("another", 4), ("the-secret", 0)] {
        let run = env.run(["watch", "--seed", "1"]).env("JWT_SECRET", secret);
        let _watcher = crate::env::watching::Watcher::start(run);
        approve(code);
    }
}

/// A log that cannot be used, or a lock, keeps nothing approved.
#[test]
fn what_cannot_be_logged_is_taken_back_all_the_same() {
    for name in ["decisions.jsonl", "decisions.lock"] {
        let world = World::with_three();
        world.approve_for(1, "30m");
        world.pass(1_860);
        std::fs::remove_file(world.env.sigilum(name)).unwrap();
        std::fs::create_dir(world.env.sigilum(name)).unwrap();
        let output = world.env.run(["watch", "--once", "--seed", "1"]).expect(0);
        assert_eq!(world.status(1), "revoked", "{name}: {}", output.stderr);
        let is_told = output.stderr.contains("not all of a decision is recorded");
        assert_eq!(is_told, name == "decisions.jsonl", "{}", output.stderr);
        assert_eq!(world.timed(), []);
    }
}

/// A revoke that fails again and again is one decision: one intent, and one result in the end.
#[test]
fn a_revoke_that_keeps_failing_is_logged_once() {
    let world = World::with_three();
    world.approve_for(1, "30m");
    world.pass(1_860);
    let once = || world.env.run(["watch", "--once", "--seed", "1"]);
    let lines = world.log().len();
    for answer in [500, 403, 503] {
        world.api.next_faults(match lines == world.log().len() {
            // Read, sent, read again.
            true => vec![Fault::None],
            // The open one is asked about first.
            false => vec![Fault::None, Fault::None],
        });
        let refused = || Fault::Status(answer, "NO");
        world.api.next_faults(if answer == 403 {
            vec![refused()]
        } else {
            vec![refused(), refused()]
        });
        let output = once().output();
        assert!(output.code != 0, "{}", output.stderr);
        assert_eq!(world.log().len(), lines + 1, "{:?}", world.log());
    }
    // What it is in the meantime is said, and does not end it.
    let log = world.authz("log").expect(0).stdout;
    assert!(log.contains("not done yet"), "{log}");
    assert_eq!(world.log().len(), lines + 1);
    once().expect(0);
    assert_eq!(world.status(1), "revoked");
    assert_eq!(
        world.decisions(),
        [entry("approve", 1, "done"), entry("revoke", 1, "done")]
    );
    assert_eq!(world.log().len(), lines + 2);
}

/// An approval that was not made is not kept; one that may have been is.
#[test]
fn what_was_not_approved_is_not_kept() {
    let world = World::with_three();
    world.api.agent_limit(0);
    let words = format!("approve {} --yes --for 30m --even-without-watcher", id(1));
    world.authz(&words).expect(1);
    assert_eq!(world.timed(), []);
    world.api.agent_limit(10);
    for (was_done, kept) in [(false, 0), (true, 1)] {
        world.api.next_faults([Fault::None, Fault::Stall]);
        let posts = world.api.posts().len();
        let mut command = world.authz(&words).into_command();
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        assert!(wait_until(|| world.api.posts().len() > posts));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(
            world.timed().len(),
            1,
            "whatever became of it, it does not stay for ever"
        );
        if !was_done {
            world.api.change(&id(1), "status", "pending");
        }
        world.authz("log").expect(0);
        assert_eq!(world.timed().len(), kept);
    }
}

#[test]
fn who_takes_the_token_away_is_told_what_stays_approved() {
    for (words, code) in [
        ("auth logout", 0),
        ("hook uninstall --purge", 0),
        ("hook uninstall --purge", 3),
    ] {
        let world = World::with_three();
        world.approve_for(1, "30m");
        world.approve_for(2, "30m");
        if code == 3 {
            world.env.write_config("{");
        }
        let output = world.env.run(words.split(' ')).expect(code);
        let ids = format!("{}, {}", id(1), id(2));
        let says = format!("nobody takes back these approvals when their time is over: {ids}\n  next: ");
        assert!(output.stderr.contains(&says), "{words}: {}", output.stderr);
        let purged = words.contains("purge") && code == 0;
        assert_eq!(world.env.sigilum("decisions.jsonl").exists(), !purged, "{words}");
        assert_eq!(world.timed().is_empty(), purged, "{words}");
        let step = output.stderr.split(&says).nth(1).unwrap().lines().next().unwrap();
        world.take_back(step, true);
    }
}

impl World {
    /// Carries the step out that takes the first two approvals back, at a terminal; `logs_in`: it has no token before.
    #[track_caller]
    fn take_back(&self, step: &str, logs_in: bool) {
        let commands: Vec<&str> = step.split(" && ").collect();
        assert_eq!(commands.len(), if logs_in { 2 } else { 1 }, "{step}");
        if logs_in {
            let login = self.env.shell(commands[0]).stdin(managed_token("alice", 3_600));
            login.expect(0);
        }
        let revoked = self.env.shell(commands.last().unwrap()).at_a_terminal("y\n");
        assert_eq!(revoked.code, 0, "{}", revoked.stderr);
        assert_eq!([self.status(1), self.status(2)], ["revoked", "revoked"], "{step}");
    }

    /// What a command finds of approvals: state, text and step.
    #[track_caller]
    fn found(&self, command: &str) -> Vec<[String; 3]> {
        let output = self.env.run(command.split(' ')).output();
        let json: Value = serde_json::from_str(&output.stdout).unwrap();
        let findings = json["findings"].as_array().unwrap().iter();
        let findings = findings.filter(|finding| finding["check"] == "approvals");
        let texts = |finding: &Value| ["state", "text", "next"].map(|key| finding[key].as_str().unwrap().to_owned());
        findings.map(texts).collect()
    }
}

#[test]
fn approvals_that_nobody_ends_are_found() {
    for logs_out in [false, true] {
        let world = World::with_three();
        assert!(world.found("doctor --json").is_empty());
        world.approve_for(1, "30m");
        world.approve_for(2, "40m");
        if logs_out {
            world.env.run(["auth", "logout"]).expect(0);
        }
        let ids = format!("{}, {}", id(1), id(2));
        for command in ["doctor --json", "auth status --json"] {
            let found = world.found(command);
            let [state, text, next] = &found[0];
            assert_eq!((found.len(), state.as_str()), (1, "warn"), "{found:?}");
            let says = format!("nobody takes these approvals back when their time is over, as no watcher runs: {ids}");
            assert_eq!(*text, says);
            let (login, watch) = next.split_once(" && ").unwrap_or(("", next));
            assert!(watch.starts_with("sigilum-authz-notify watch"), "{next}");
            assert_eq!(
                login.starts_with("sigilum-authz-notify auth login "),
                logs_out,
                "{next}"
            );
        }
        if !logs_out {
            let _watcher = world.env.watch();
            assert!(world.found("doctor --json").is_empty());
            let token = std::fs::read(world.env.sigilum("owner-token-alice.jwt")).unwrap();
            let store = |token: &[u8]| drop(world.env.write(".openclaw/.sigilum/owner-token-alice.jwt", token));
            store(managed_token("alice", -5).as_bytes());
            let found = world.found("doctor --json");
            let [_, text, next] = &found[0];
            let says = ", as there is no token that can be used: ";
            assert!(text.contains(says), "{text}");
            let is_login = next.starts_with("sigilum-authz-notify auth login ") && !next.contains("watch");
            assert!(is_login, "{next}");
            store(&token);
        }
        // Until it is overdue, a watcher may be at it.
        world.pass(2_400 + 100);
        assert_eq!(world.found("doctor --json").len(), 2);
        world.pass(600);
        let probe = world.env.run(["watch", "--check", "--all"]).output();
        assert_eq!(probe.step().contains(" auth login "), logs_out, "{}", probe.stderr);
        let found = world.found("auth status --json");
        let [state, text, next] = &found[0];
        assert_eq!((found.len(), state.as_str()), (1, "fail"), "{found:?}");
        assert!(
            text.starts_with("approvals whose time is over, the first for 2") && text.ends_with(&ids),
            "{text}"
        );
        world.env.run(["doctor"]).expect(if logs_out { 4 } else { 1 });
        world.take_back(next, logs_out);
        assert!(world.found("doctor --json").is_empty());
    }
}
