//! Requests whose every field in turn, and all at once, is an attack on whoever reads the notice. An honest request
//! beside each must stay as it is.

use super::api::{Person, answer};
use super::{Case, Trial, attacks, notice};
use crate::env::api::Fault;
use std::time::Duration;

const BUDGET: Duration = Duration::from_secs(20);
const FIELDS: [&str; 14] = [
    "service",
    "public_key",
    "agent_ip",
    "subject",
    "agent_id",
    "agent_name",
    "created_at",
    "claim_id",
    "namespace",
    "status",
    "approved_at",
    "revoked_at",
    "unknown",
    "all",
];

pub fn cases(_: u16) -> Vec<Case> {
    let mut cases = Vec::new();
    for field in FIELDS {
        for (name, literal) in attacks::literals() {
            cases.push(Case {
                name: format!("{field} is {name}"),
                slow: false,
                play: Box::new(move |trial| hostile(trial, field, &literal)),
            });
        }
    }
    for (name, literal) in attacks::literals() {
        cases.push(Case {
            name: format!("the number of requests is {name}"),
            slow: false,
            play: Box::new(move |trial| number(trial, &literal)),
        });
    }
    cases
}

/// A request with these fields as they are, and honest ones for the rest.
fn claim(changed: impl Fn(&str) -> Option<String>) -> String {
    let fields = FIELDS.iter().filter(|name| **name != "all").map(|name| {
        let honest = match *name {
            "created_at" => "\"2026-11-22T06:20:37.017Z\"".to_owned(),
            "approved_at" | "revoked_at" => "null".to_owned(),
            "status" => "\"pending\"".to_owned(),
            name => attacks::json(&format!("honest-{}", name.replace('_', "-"))),
        };
        format!("\"{name}\":{}", changed(name).unwrap_or(honest))
    });
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

fn hostile(trial: &Trial<'_>, field: &str, literal: &str) {
    let bad = claim(|name| (name == field || field == "all").then(|| literal.to_owned()));
    // One id stands for one request.
    let good = claim(|name| (name == "claim_id").then(|| "\"another-claim-id\"".to_owned()));
    let body = format!(
        "{{\"claims\":[{bad},{good}],\"pagination\":{{\"limit\":20,\"offset\":0,\"total\":2,\"has_more\":false}}}}"
    );
    let person = Person::new();
    person.api.fault(Fault::Body("application/json", body));
    let event = person.event().to_string();
    // First the person, who is not the owner in a chat: what they read stays new.
    let by_hand = trial.run(person.by_hand(BUDGET), b"", BUDGET, &[&person.token]);
    let ended = trial.run(person.hook_run(BUDGET), event.as_bytes(), BUDGET, &[&person.token]);
    let (messages, logs) = answer(trial, &ended.stdout);
    trial.counts.add("attacks", 1);
    let [message] = &messages[..] else {
        trial.fault(format!("one request hides the others: {logs:?}"));
        return;
    };
    if ended.code != 0 || by_hand.code != 0 || by_hand.stdout.trim_end_matches('\n') != message {
        trial.fault(format!(
            "in the chat: exit code {}: {message}\nby hand: exit code {}: {}",
            ended.code, by_hand.code, by_hand.stdout
        ));
    }
    if let Some(why) = notice::wrong(message, 2) {
        trial.fault(format!("{why}\n{message}"));
    }
    let honest = "service \"honest-service\", agent \"honest-agent-name\", subject \"honest-subject\", key \"honest-public-key\", ip \
                  \"honest-agent-ip\", ";
    if !message.contains(honest) {
        trial.fault(format!("the honest request is not as it was: {message}"));
    }
}

fn number(trial: &Trial<'_>, literal: &str) {
    let good = claim(|_| None);
    let body = format!(
        "{{\"claims\":[{good}],\"pagination\":{{\"limit\":{literal},\"total\":{literal},\"has_more\":{literal}}}}}"
    );
    let person = Person::new();
    person.api.fault(Fault::Body("application/json", body));
    let ended = trial.run(person.by_hand(BUDGET), b"", BUDGET, &[&person.token]);
    trial.counts.add("attacks", 1);
    if let Some(why) = notice::wrong(ended.stdout.trim_end_matches('\n'), 1) {
        trial.fault(format!("{why}\n{}{}", ended.stdout, ended.stderr));
    }
}
