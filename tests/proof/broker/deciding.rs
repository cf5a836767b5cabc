//! Decisions without the owner, and decisions of the owner's that are to be held up.

use super::stage::{Client, Stage, code, id};
use crate::Report;
use crate::env::STRANGER;
use serde_json::{Value, json};

/// Nothing that the OpenClaw gateway's user says or runs decides, where no code may, nor without one where it may. Its
/// own token does, and the broker's user.
pub fn alone(report: &mut Report) {
    let Some(stage) = Stage::new() else { return };
    let stranger = STRANGER.to_string();
    let mut tries = 0;
    for decide in [&[][..], &["--decide", "totp"]] {
        stage.requests(1);
        let broker = stage.broker(&[&["--allow-uid", &stranger], decide].concat());
        let mut client = stage.shown();
        // Where none counts, the right one does not.
        let right = code(0);
        let codes: &[&str] = if decide.is_empty() { &["", &right] } else { &[""] };
        for (verb, code) in ["approve", "reject", "revoke"]
            .iter()
            .flat_map(|verb| codes.iter().map(move |code| (verb, code)))
        {
            client.say(&format!("{verb} {} {code}", id(0)));
            tries += 1;
        }
        for line in lines() {
            if !client.send(format!("{line}\n{{\"status\":{{}},\"id\":\"after\"}}\n").as_bytes()) {
                client = stage.shown();
            }
            while client.hear().is_some_and(|answer| !answer.contains("\"after\"")) {}
            tries += 1;
        }
        tries += commands(&stage, report);
        drop(broker);
        if stage.posts() != 0 {
            report.fault("alone", format!("{} were decided, {decide:?}", stage.posts()));
        }
    }
    let approve = format!("authz approve {} --yes --namespace alice", id(0));
    let owner = stage.users.broker(&approve).output();
    let owners = stage.posts();
    stage.users.moves("release").expect(0);
    stage.requests(1);
    let with_files = stage.users.gateway(&approve).output();
    if (owners, stage.posts()) != (1, 1) {
        report.fault(
            "alone",
            format!("nobody decides: {}{}", owner.stderr, with_files.stderr),
        );
    }
    report.line(format!(
        "decided alone: {tries} tries without a code, none decided; the broker's user decides, and the OpenClaw gateway's \
         once it has the token"
    ));
}

/// Lines that no client of ours writes.
fn lines() -> Vec<Value> {
    let id = id(0);
    let by = json!({"deciders": ["telegram:1"]});
    let mut lines = vec![json!({"id": 1, "confirmed": true})];
    for verb in ["approve", "reject", "decide", "decision", "authz"] {
        lines.push(json!({"id": 1, "asking": by, verb: {"id": id, "yes": true}}));
        lines.push(json!({"id": 1, "asking": by, "confirmed": true, "command": {"text": format!("{verb} {id}"), "channel": "cli",
            "senderId": "1", "chatType": "direct", "senderIsOwner": true, "gatewayClientScopes": ["operator.admin"]}}));
    }
    lines
}

/// Commands of the OpenClaw gateway's user. Gives how many; each is refused.
fn commands(stage: &Stage, report: &mut Report) -> usize {
    let state = stage.users.state.display();
    let commands = [
        format!("authz approve {} --yes", id(0)),
        format!("authz reject {} --yes", id(0)),
        format!(
            "authz approve {} --yes --namespace alice --openclaw-home {state}",
            id(0)
        ),
        format!("broker totp enroll --state {state}"),
        format!("broker totp unlock --state {state}"),
        format!("broker log --state {state}"),
    ];
    for command in &commands {
        let run = stage.users.root(command).env("SIGILUM_BROKER", &stage.socket);
        let output = run.by_user(STRANGER, &[STRANGER]).output();
        if output.code == 0 || output.stderr.contains("panicked at") {
            report.fault(
                "alone",
                format!("{command}: exit code {}: {}", output.code, output.stderr),
            );
        }
    }
    commands.len()
}

/// Decisions that are begun and never confirmed: the owner's own are made meanwhile, in a terminal and by a code.
pub fn unconfirmed(report: &mut Report) {
    let Some(stage) = Stage::new() else { return };
    stage.requests(2);
    stage.fresh_codes();
    let broker = stage.usual();
    let right = code(0);
    let mut begun: Vec<Client> = (0..7).map(|_| stage.shown()).collect();
    let mut last = stage.shown();
    for (number, client) in begun.iter_mut().enumerate() {
        let answer = client.begin(&format!("approve {} 00000{number}", id(1)));
        if answer.is_none_or(|answer| answer["confirm"] != true) {
            report.fault("unconfirmed", "it is not asked to be confirmed".to_owned());
        }
    }
    let asked = last.begin(&format!("approve {} {right}", id(1)));
    let approve = format!("authz approve {} --yes --namespace alice", id(0));
    let owner = stage.users.broker(&approve).output();
    if owner.code != 0 || stage.posts() != 1 {
        report.fault("unconfirmed", format!("the owner is held up: {}", owner.stderr));
    }
    // Nobody had given up yet.
    let told = asked.and_then(|_| last.confirm()).unwrap_or_default();
    if !told.contains("approved") || stage.posts() != 2 {
        report.fault("unconfirmed", format!("nobody waits any more: {told}"));
    }
    drop(broker);
    report.line(format!(
        "{} decisions begun and never confirmed: the owner's own are made meanwhile, in a terminal and by a code",
        begun.len()
    ));
}
