//! An agent edits openclaw.json, what it includes, what the gateway's environment is filled from, and the events, in
//! every way of a generated list, while `serve` (with its watcher), `hook run`, the installed handler and `watch` do
//! their work. Nothing of it may decide where a token goes, which program runs, or what the owner is told.
//!
//! Needs no strace; the handler is run where there is a `node`.

mod edits;
mod live;
mod stage;

use super::Report;
use crate::env::api::Seen;
use edits::{Edit, Place};
use serde_json::json;
use stage::{Kind, Stage};
use std::path::Path;
use std::sync::Mutex;

/// Runs it, two kinds of homes at a time. `only`: the edits whose name holds it.
pub fn all(only: &str, report: &mut Report) {
    reach(report);
    live::events(report);
    live::settings(report);
    let https = live::https(report);
    let kinds = Mutex::new(Kind::ALL.iter());
    let whole = Mutex::new((Counts::default(), report));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let kind = kinds.lock().unwrap().next();
                    let Some(kind) = kind else { break };
                    let mut report = Report::default();
                    let counts = attack(*kind, only, &mut report);
                    let mut whole = whole.lock().unwrap();
                    whole.0.add(&counts);
                    whole.1.add(report);
                }
            });
        }
    });
    let (counts, report) = whole.into_inner().unwrap();
    // One at a time: each needs a port that was just given up.
    for kind in Kind::ALL {
        takeover(kind, report);
    }
    if counts.edits < 300 && only.is_empty() {
        report.fault("the list", format!("{} edits only", counts.edits));
    }
    report.line(format!(
        "{https} edits of proxies and certificates where the recorded API is reached by https"
    ));
    report.line(format!(
        "{} edits in {} kinds of homes, {} answers ({} by the handler): {} tokens sent elsewhere",
        counts.edits,
        Kind::ALL.len(),
        counts.answers,
        counts.handlers,
        counts.tokens_elsewhere
    ));
}

/// Every edit on two homes of a kind: one that is served all the time, one that a watcher looks at once each time.
fn attack(kind: Kind, only: &str, report: &mut Report) -> Counts {
    let mut counts = Counts::default();
    let (stage, once) = (Stage::set(kind), Stage::set(kind));
    let mut resident = stage.serve();
    let edits: Vec<Edit> = edits::list(&stage)
        .into_iter()
        .filter(|edit| edit.name.contains(only))
        .collect();
    for edit in &edits {
        counts.edits += 1;
        let scene = format!("{kind:?}, {}", edit.name);
        // A resident child, whose watcher sees the edit, and the hook's own child.
        stage.apply(edit);
        let mut answers = vec![("serve", resident.ask(&stage.event(edit)))];
        answers.push(("hook run", stage.hook_run(edit)));
        if matches!(edit.place, Place::GatewayEnvironment | Place::EnvVars | Place::DotEnv) && stage.node.is_some() {
            answers.push(("handler", stage.handler(edit)));
            counts.handlers += 1;
        }
        for (who, answer) in answers {
            counts.answers += 1;
            if let Err(why) = stage.tells(edit, &answer) {
                report.fault(&scene, format!("{who}: {why}"));
            }
        }
        // A watcher that looks at the edit from beginning to end.
        once.apply(edit);
        once.watch_once(edit);
        for stage in [&stage, &once] {
            stage.check(&scene, report);
            stage.restore();
        }
    }
    drop(resident);
    counts.tokens_elsewhere = stage.seen_elsewhere() + once.seen_elsewhere();
    counts
}

#[derive(Default)]
struct Counts {
    edits: u32,
    answers: u32,
    handlers: u32,
    tokens_elsewhere: usize,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.edits += other.edits;
        self.answers += other.answers;
        self.handlers += other.handlers;
        self.tokens_elsewhere += other.tokens_elsewhere;
    }
}

/// Each kind of attack is first seen to arrive where nothing forbids it: the same words, said by a person, or in a home
/// that has no record; and everything that is counted is first seen to be found. Otherwise an experiment that finds
/// nothing would prove nothing. That each setting decides where it may is in the tests of `authority`.
fn reach(report: &mut Report) {
    let mut arrived = |what: &str, arrived: bool| {
        if !arrived {
            report.fault("reach", format!("{what}: the attack does not reach what it attacks"));
        }
    };
    let stage = Stage::set(Kind::NoRecord);
    let url = stage.stranger.url();
    // The entry's own token goes to the entry's own API: there the entry is all that there is.
    for edit in [
        Edit::entry("SIGILUM_API_URL", json!(url)),
        Edit::included("SIGILUM_API_URL", json!(url)),
    ] {
        let before = stage.sent_to_stranger(&stage.token);
        stage.apply(&edit);
        stage.hook_run(&Edit::nothing());
        arrived(&edit.name, stage.sent_to_stranger(&stage.token) > before);
        stage.restore();
    }
    let forged = stage.forged();
    stage.apply(&Edit::entry("SIGILUM_OWNER_TOKEN", json!(forged)));
    stage.hook_run(&Edit::nothing());
    let has_seen = |seen: &[Seen]| seen.iter().any(|seen| stage::bears(seen, &forged));
    arrived("the entry's SIGILUM_OWNER_TOKEN", has_seen(&stage.api.seen()));
    stage.restore();
    // A person's environment decides for a person's command.
    let person = Stage::set(Kind::Managed);
    let asks = |name: &str, value: &str| {
        let asks = person.env.run(["hook", "run", "--event", "command:new"]);
        let output = asks.env(name, value).output();
        format!("{}{}", output.stdout, output.stderr)
    };
    arrived(
        "a person's SIGILUM_NAMESPACE",
        asks("SIGILUM_NAMESPACE", "mallory").contains("mallory"),
    );
    // The other home's record sends this home's token to the stranger.
    asks("OPENCLAW_STATE_DIR", person.other_home().to_str().unwrap());
    arrived(
        "a person's OPENCLAW_STATE_DIR",
        person.sent_to_stranger(&person.token) > 0,
    );
    let token = person.stranger.token("alice", 3600);
    let login = "auth login --mode managed --namespace alice --print-token false --owner-token-stdin";
    let login = person.env.run(login.split(' '));
    login
        .env("SIGILUM_API_URL", person.stranger.url())
        .stdin(token.clone())
        .output();
    person.hook_run(&Edit::nothing());
    arrived("a person's SIGILUM_API_URL", person.sent_to_stranger(&token) > 0);
    // A person's token command runs, and the watcher writes where it may.
    let due = Stage::set(Kind::Managed);
    due.make_due();
    let watch = due.env.run(["watch", "--once"]);
    watch.env("SIGILUM_OWNER_TOKEN_COMMAND", due.marker_program()).output();
    arrived("a person's token command", due.marker().exists());
    let chosen = Stage::set(Kind::In);
    chosen.apply(&Edit::entry("SIGILUM_OWNER_TOKEN", json!("")));
    chosen.watch_once(&Edit::nothing());
    let config = std::fs::read_to_string(chosen.env.config()).unwrap();
    arrived("the watcher", config.contains(&chosen.token));
    // Without a record a broken config hides what waits.
    stage.apply(&Edit::text("{"));
    let answer = stage.hook_run(&Edit::nothing());
    arrived("a broken config", !answer.to_string().contains("linear"));
    is_found(report);
}

/// Whatever must not be is found where it is.
fn is_found(report: &mut Report) {
    type Plant = fn(&Stage);
    let plants: [(&str, Plant); 4] = [
        ("the stranger was asked", |stage| {
            asks_the_stranger(stage);
        }),
        ("a record was changed", |stage| {
            stage.env.write(".openclaw/.sigilum/owner-mallory.json", "{}");
        }),
        ("a program of the agent's ran", |stage| {
            stage.env.write("ran", "");
        }),
        ("token", |stage| {
            stage.env.write("agent/notes.txt", &stage.token);
        }),
    ];
    for (fault, plant) in plants {
        let stage = Stage::set(Kind::Out);
        let mut found = Report {
            is_silent: true,
            ..Report::default()
        };
        stage.check("before", &mut found);
        plant(&stage);
        let before = found.faults.len();
        stage.check("after", &mut found);
        let is_found = before == 0 && found.faults.iter().any(|line| line.contains(fault));
        if !is_found {
            report.fault(
                "reach",
                format!("{fault:?} is not found where it is: {:?}", found.faults),
            );
        }
    }
}

/// As the token's owner would, who logs in there.
fn asks_the_stranger(stage: &Stage) {
    let asks = stage.env.run(["hook", "run", "--event", "command:new"]);
    asks.env("OPENCLAW_STATE_DIR", stage.other_home()).output();
}

/// Somebody of another user takes the recorded port when the API is gone: no token goes there, unless a person said so.
fn takeover(kind: Kind, report: &mut Report) {
    for trusted in [false, true] {
        if trusted && kind != Kind::Managed {
            continue;
        }
        let mut stage = Stage::set(kind);
        if trusted {
            stage.trust_loopback();
        }
        let Some(seen) = stage.with_strangers_listener(|stage| {
            stage.hook_run(&Edit::nothing());
            stage.watch_once(&Edit::nothing());
        }) else {
            report.line("not root: no listener of another user".to_owned());
            return;
        };
        if (seen > 0) != trusted {
            report.fault(
                &format!("{kind:?}, another user on the recorded port, trusted: {trusted}"),
                format!("{seen} tokens arrived"),
            );
        }
    }
}

/// Whether a file is one where the owner token may stand.
fn may_hold_the_token(file: &Path, in_config: bool) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let ours = file.parent().is_some_and(|folder| folder.ends_with(".sigilum"));
    (ours && (name.starts_with("owner-token-") || name == "undo.json")) || (in_config && name == "openclaw.json")
}
