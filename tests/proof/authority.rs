//! An agent edits openclaw.json, what it includes, what the gateway's environment is filled from, and the events, in
//! every way of a generated list, while `serve` (with its watcher), `hook run`, the installed handler and `watch` do
//! their work. Nothing of it may decide where a token goes, which program runs, or what the owner is told.
//!
//! Needs no strace; the handler is run where there is a `node`.

mod edits;
mod stage;

use super::Report;
use edits::{Edit, Place};
use serde_json::json;
use stage::{Kind, Stage};
use std::path::Path;

/// Runs it. `only`: the edits whose name holds it.
pub fn all(only: &str, report: &mut Report) {
    let mut counts = Counts::default();
    for kind in Kind::ALL {
        reach(kind, report);
        let stage = Stage::set(kind);
        let once = Stage::set(kind);
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
            if matches!(edit.place, Place::GatewayEnvironment | Place::EnvVars) && stage.node.is_some() {
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
        counts.tokens_elsewhere += stage.seen_elsewhere() + once.seen_elsewhere();
        takeover(kind, report);
    }
    if counts.edits < 300 && only.is_empty() {
        report.fault("the list", format!("{} edits only", counts.edits));
    }
    report.line(format!(
        "{} edits in {} kinds of homes, {} answers ({} by the handler): {} tokens sent elsewhere",
        counts.edits,
        Kind::ALL.len(),
        counts.answers,
        counts.handlers,
        counts.tokens_elsewhere
    ));
}

#[derive(Default)]
struct Counts {
    edits: u32,
    answers: u32,
    handlers: u32,
    tokens_elsewhere: usize,
}

/// Each kind of attack is first seen to arrive where nothing forbids it: the same words, said by a person, or in a home
/// that has no record. Otherwise an experiment that finds nothing would prove nothing.
fn reach(kind: Kind, report: &mut Report) {
    if kind != Kind::NoRecord {
        return;
    }
    let stage = Stage::set(Kind::NoRecord);
    let mut arrived = |what: &str, arrived: bool| {
        if !arrived {
            report.fault("reach", format!("{what}: the attack does not reach what it attacks"));
        }
    };
    // The entry's own token goes to the entry's own API: there the entry is all that there is.
    let url = stage.stranger.url();
    stage.apply(&Edit::entry("SIGILUM_API_URL", json!(url)));
    stage.hook_run(&Edit::nothing());
    arrived("the entry's SIGILUM_API_URL", stage.sent_to_stranger(&stage.token) > 0);
    stage.restore();
    let forged = stage.forged();
    stage.apply(&Edit::entry("SIGILUM_OWNER_TOKEN", json!(forged)));
    stage.hook_run(&Edit::nothing());
    arrived(
        "the entry's SIGILUM_OWNER_TOKEN",
        stage.api.seen().iter().any(|seen| stage::bears(seen, &forged)),
    );
    stage.restore();
    // A person's environment decides for a person's command.
    let person = Stage::set(Kind::Managed);
    let out = person
        .env
        .run(["hook", "run", "--event", "command:new"])
        .env("SIGILUM_NAMESPACE", "mallory")
        .output();
    arrived(
        "a person's SIGILUM_NAMESPACE",
        out.stdout.contains("mallory") || out.stderr.contains("mallory"),
    );
    let login = [
        "auth",
        "login",
        "--mode",
        "managed",
        "--namespace",
        "alice",
        "--print-token",
        "false",
    ];
    person
        .env
        .run(login)
        .args(["--owner-token-stdin"])
        .env("SIGILUM_API_URL", &url)
        .stdin(person.stranger.token("alice", 3600))
        .output();
    person.hook_run(&Edit::nothing());
    arrived(
        "a person's SIGILUM_API_URL",
        !person.stranger.seen().is_empty() || !stage.stranger.seen().is_empty(),
    );
    // A person's token command runs.
    let due = Stage::set(Kind::Managed);
    due.make_due();
    due.env
        .run(["watch", "--once"])
        .env("SIGILUM_OWNER_TOKEN_COMMAND", due.marker_program())
        .output();
    arrived("a person's token command", due.marker().exists());
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
