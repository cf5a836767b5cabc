//! What the edits carry is live: the same value does its work where it is believed, from a person's environment, flag or
//! record. A value that did nothing anywhere would prove nothing by doing nothing here.

use super::Report;
use super::edits::{self, Edit, Place};
use super::stage::{Kind, Stage, bears};
use crate::env::{self, Output, Run};
use serde_json::{Value, json};

/// Commands of a person's in which a setting may show.
const PROBES: [&str; 8] = [
    "hook run --event command:new",
    "auth status",
    "auth show",
    "auth login --dry-run --mode oss-local --namespace alice",
    "auth login --dry-run --namespace alice --force",
    "service list",
    "watch --once",
    "doctor",
];

/// What decides for a person in other homes or commands than these: seen in the suite's `authority`, which holds each row
/// of the table against each place; the token command in `reach`, `USER` in `settings`.
const ELSEWHERE: [&str; 10] = [
    "SIGILUM_OWNER_EMAIL",
    "SIGILUM_OWNER_TOKEN_COMMAND",
    "SIGILUM_ALLOW_INSECURE_HTTP",
    "SIGILUM_TRUST_HOME",
    "SIGILUM_CONFIG_FILE",
    "GATEWAY_ADMIN_TOKEN",
    "GATEWAY_DATA_DIR",
    "GATEWAY_MASTER_KEY",
    "GATEWAY_SIGILUM_HOME",
    "USER",
];

/// What nobody's environment decides any more: the first four were believed by the shell scripts' hook and by the handler
/// of 0.1.0, and a plain http request never goes through a proxy.
const NOWHERE: [&str; 6] = [
    "SIGILUM_TOKEN_IN_CONFIG",
    "SIGILUM_AUTHZ_NOTIFY_BIN",
    "SIGILUM_NOTIFY_SENDERS",
    "SIGILUM_NOTIFY_GROUPS",
    "HTTP_PROXY",
    "http_proxy",
];

/// Every setting of the list, said by a person: in the environment, and as the line of a `.env` file that a shell reads.
pub fn settings(report: &mut Report) {
    let stages = [Kind::Out, Kind::Managed].map(Stage::set);
    let https = Https::new("https://sigilum.invalid");
    let (mut live, mut dead) = (Vec::new(), Vec::new());
    let list = edits::list(&stages[0]);
    let mut names: Vec<&str> = list
        .iter()
        .map(|edit| edit.setting)
        .filter(|name| !name.is_empty())
        .collect();
    names.dedup();
    for name in names {
        let of_name = |stage: &Stage| {
            let all = edits::list(stage).into_iter();
            all.filter(|edit| edit.setting == name && edit.place == Place::DotEnv)
                .collect::<Vec<_>>()
        };
        let shows = |stage: &Stage| of_name(stage).iter().any(|edit| is_live(stage, edit));
        match stages.iter().any(shows) || https.shows(name) {
            true => live.push(name),
            false => dead.push(name),
        }
    }
    let (elsewhere, nowhere): (Vec<&str>, Vec<&str>) = dead.iter().partition(|name| ELSEWHERE.contains(name));
    if let Some(name) = nowhere.iter().find(|name| !NOWHERE.contains(name)) {
        report.fault("reach", format!("a person's {name} does nothing either"));
    }
    report.line(format!(
        "{} settings of the list are seen to decide where a person says them, by the environment and by a .env file that \
         a shell read; {} in tests of the suite; {} decide nowhere: {}",
        live.len(),
        elsewhere.len(),
        nowhere.len(),
        nowhere.join(", ")
    ));
}

/// Whether a value shows in one of the probes: in the environment, and where a shell read the `.env` file of the edit.
fn is_live(stage: &Stage, edit: &Edit) -> bool {
    let value = edit.value.as_str().unwrap();
    PROBES.iter().any(|probe| {
        let plain = || outcome(stage, stage.env.run(probe.split(' ')));
        let (before, said) = (
            plain(),
            outcome(stage, stage.env.run(probe.split(' ')).env(edit.setting, value)),
        );
        if said == before {
            return false;
        }
        // What the clock or the command before changed is no effect of the value.
        let is_effect = plain() == before;
        stage.apply(edit);
        let script = format!(
            "unset HTTPS_PROXY; set -a; . \"$HOME/.env\"; exec '{}' {probe}",
            env::BINARY
        );
        let quoted = !value.contains([' ', '$', '*', ',']);
        let by_file = outcome(stage, stage.env.run_program("/bin/sh".as_ref(), ["-c", &script]));
        stage.restore();
        is_effect && (!quoted || by_file != before)
    })
}

/// What a command said and did, as far as it is the same each time.
fn outcome(stage: &Stage, run: Run) -> (i32, String, String, usize, bool) {
    let before = stage.stranger.seen().len();
    let Output { code, stdout, stderr } = run.output();
    // The log's times, and how long ago something was.
    let plain = |text: &str| -> String {
        let lines = text
            .lines()
            .map(|line| line.split_once("Z ").map_or(line, |(_, rest)| rest));
        lines.collect::<Vec<_>>().join("\n")
    };
    let asked = stage.stranger.seen().len() - before;
    let ran = std::fs::remove_file(stage.marker()).is_ok();
    (code, plain(&stdout), plain(&stderr), asked, ran)
}

/// A home whose recorded API is reached by https: there proxies and certificates matter.
struct Https {
    stage: Stage,
}

impl Https {
    fn new(url: &str) -> Self {
        let mut stage = Stage::set(Kind::Managed);
        stage.record_api(url);
        Self { stage }
    }

    /// Whether the stranger is reached, or trusted, by a person's environment.
    fn shows(&self, name: &str) -> bool {
        let stage = &self.stage;
        match name {
            "HTTPS_PROXY" | "ALL_PROXY" => self.asks(&[("HTTPS_PROXY", ""), (name, &stage.stranger.url())]) > 0,
            "NO_PROXY" => {
                let proxy = stage.stranger.url();
                self.asks(&[("HTTPS_PROXY", &proxy)]) > 0 && self.asks(&[("HTTPS_PROXY", &proxy), (name, "*")]) == 0
            }
            "SSL_CERT_FILE" | "SSL_CERT_DIR" => certificates(name),
            _ => false,
        }
    }

    /// How many requests reach the stranger when a person asks.
    fn asks(&self, vars: &[(&str, &str)]) -> usize {
        let before = self.stage.stranger.seen().len();
        let mut run = self.stage.env.run(["hook", "run", "--event", "command:new"]);
        for (name, value) in vars {
            run = run.env(name, value);
        }
        run.output();
        self.stage.stranger.seen().len() - before
    }
}

const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/tls");

/// The value that makes a client trust the stranger's certificate.
fn authority(name: &str) -> String {
    match name {
        "SSL_CERT_FILE" => format!("{CERTIFICATES}/ca.pem"),
        _ => CERTIFICATES.to_owned(),
    }
}

/// Whether a person's variable has the token sent to who answers for the recorded name with a certificate of his own.
fn certificates(name: &str) -> bool {
    let mut stage = Stage::set(Kind::Managed);
    let front = env::tls::front(stage.stranger.port(), CERTIFICATES);
    stage.record_api(&format!("https://localhost:{front}"));
    let run = stage.env.run(["hook", "run", "--event", "command:new"]);
    run.env(name, authority(name)).output();
    stage.sent_to_stranger(&stage.token) > 0
}

/// Proxies and certificates from every place that an agent can write to, where the recorded API is reached by https and
/// the record says none: neither the stranger's proxy nor his certificate is believed. Gives how many edits it tried.
pub fn https(report: &mut Report) -> u32 {
    let mut tried = 0;
    let proxied = Https::new("https://sigilum.invalid").stage;
    let mut trusting = Stage::set(Kind::Managed);
    let front = env::tls::front(trusting.stranger.port(), CERTIFICATES);
    trusting.record_api(&format!("https://localhost:{front}"));
    let proxy = json!(proxied.stranger.url());
    let proxies = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].map(|name| (&proxied, name, proxy.clone()));
    let roots = ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(|name| (&trusting, name, json!(authority(name))));
    for (stage, name, value) in proxies.into_iter().chain(roots) {
        for place in edits::PLACES {
            let edit = Edit::new(place, name, value.clone());
            tried += 1;
            stage.apply(&edit);
            stage.hook_run(&edit);
            stage.serve().ask(&stage.event(&edit));
            if stage.node.is_some() {
                stage.handler(&edit);
            }
            stage.watch_once(&edit);
            stage.check(&format!("https, {}", edit.name), report);
            stage.restore();
        }
    }
    // The same by a person's flags, and by the record that they make.
    for (stage, flag, value) in [
        (&proxied, "--proxy", proxied.stranger.url()),
        (&trusting, "--ca-file", authority("SSL_CERT_FILE")),
    ] {
        let before = stage.stranger.seen().len();
        stage.env.run(["hook", "install", flag, &value]).output();
        stage.hook_run(&Edit::nothing());
        if stage.stranger.seen().len() == before {
            report.fault(
                "reach",
                format!("hook install {flag}: the attack does not reach what it attacks"),
            );
        }
    }
    tried
}

/// An event's `token` and `home`, given by a person in their stead; and a request that is hidden is seen to be.
pub fn events(report: &mut Report) {
    let mut arrived = |what: &str, arrived: bool| {
        if !arrived {
            report.fault("reach", format!("{what}: the attack does not reach what it attacks"));
        }
    };
    let stage = Stage::set(Kind::Managed);
    let forged = stage.forged();
    let login = "auth login --mode managed --namespace alice --print-token false --owner-token-stdin --force --api-url";
    let login = stage.env.run(login.split(' ')).args([stage.api.url()]);
    login.stdin(forged.clone()).output();
    arrived(
        "an event's token, handed over",
        stage.api.seen().iter().any(|seen| bears(seen, &forged)),
    );
    let stage = Stage::set(Kind::Managed);
    let home = stage.other_home();
    stage
        .env
        .run(["hook", "run", "--event", "command:new", "--openclaw-home"])
        .args([&home])
        .output();
    arrived("an event's home, as a flag", stage.sent_to_stranger(&stage.token) > 0);
    // What the count of hidden requests goes by.
    let stage = Stage::set(Kind::Managed);
    let nothing = Edit::nothing();
    let told = |stage: &Stage| {
        let answers: [Value; 2] = [stage.hook_run(&nothing), stage.serve().ask(&stage.event(&nothing))];
        answers.map(|answer| stage.tells(&nothing, &answer).is_ok())
    };
    arrived("a request is told", told(&stage) == [true; 2]);
    let hides = ["hook", "install", "--senders", "irc:nobody!~n@h", "--groups", "off"];
    stage.env.run(hides).expect(0);
    arrived("a hidden request", told(&stage) == [false; 2]);
}
