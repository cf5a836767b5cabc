//! Decisions killed anywhere: none is lost, none made twice, none unlogged.

use super::Report;
use super::strace::{self, Blow};
use super::tree::{self, Tree};
use crate::env::api::{Api, iso};
use crate::env::watching::managed_token;
use crate::env::{Run, TestEnv, now};
use serde_json::{Value, json};

const ID: &str = "cl_00000001000000000000000a";

/// A command that decides.
struct Scene {
    name: &'static str,
    words: &'static str,
    /// The request's status before and after.
    statuses: (&'static str, &'static str),
    /// Whether an approval that ends is kept afterwards.
    timed: bool,
}

const SCENES: [Scene; 5] = [
    Scene {
        name: "authz approve",
        words: "authz approve cl_00000001 --yes",
        statuses: ("pending", "approved"),
        timed: false,
    },
    Scene {
        name: "authz approve, for an hour",
        words: "authz approve cl_00000001 --yes --for 1h --even-without-watcher",
        statuses: ("pending", "approved"),
        timed: true,
    },
    Scene {
        name: "authz reject",
        words: "authz reject cl_00000001 --yes",
        statuses: ("pending", "rejected"),
        timed: false,
    },
    Scene {
        name: "authz revoke",
        words: "authz revoke cl_00000001 --yes",
        statuses: ("approved", "revoked"),
        timed: false,
    },
    Scene {
        name: "watch --once, an approval whose time is over",
        words: "watch --once",
        statuses: ("approved", "revoked"),
        timed: false,
    },
];

struct Stage<'a> {
    scene: &'a Scene,
    env: TestEnv,
    api: Api,
    old: Tree,
    /// How many decisions had been sent when it began.
    sent: usize,
}

impl<'a> Stage<'a> {
    fn new(scene: &'a Scene) -> Self {
        let env = TestEnv::new();
        let api = env.managed_api();
        env.log_in_at(&api, &managed_token("alice", 36_000));
        if scene.words.starts_with("watch") {
            let over =
                json!({"approvals": [{"claim_id": ID, "namespace": "alice", "api": api.url(), "until": now() - 60}]});
            env.write(".openclaw/.sigilum/approvals.json", over.to_string());
        }
        Self {
            scene,
            old: tree::take(env.home()),
            env,
            api,
            sent: 0,
        }
    }

    fn again(&mut self) {
        tree::put(self.env.home(), &self.old);
        self.api.clear();
        let fields = json!({"claim_id": ID, "service": "mail", "status": self.scene.statuses.0,
            "created_at": iso(now() - 60), "approved_at": iso(now() - 30)});
        self.api.add_claim("alice", fields);
        self.sent = self.api.posts().len();
    }

    fn run(&self) -> Run {
        self.env.run(self.scene.words.split(' '))
    }

    fn posts(&self) -> usize {
        self.api.posts().len() - self.sent
    }

    /// After a kill: what was sent is in our log.
    fn killed(&self, faults: &mut Vec<String>) {
        let log = std::fs::read_to_string(self.env.sigilum("decisions.jsonl")).unwrap_or_default();
        match self.posts() {
            0 => {}
            1 if log.contains(ID) => {}
            1 => faults.push("it was sent, and is not in the log".to_owned()),
            more => faults.push(format!("it was sent {more} times")),
        }
    }

    /// After the same command once more: decided once, logged once, kept as long as it is to be.
    fn done(&self, faults: &mut Vec<String>) {
        let output = self.run().output();
        // One that finds it decided already says so.
        let told = output.stderr.contains("already") || output.stderr.contains("not pending");
        if output.stderr.contains("panicked at") || !(output.code == 0 || output.code == 1 && told) {
            faults.push(format!("run again: exit code {}: {}", output.code, output.stderr));
        }
        if self.posts() != 1 {
            faults.push(format!("it was sent {} times in all", self.posts()));
        }
        let status = self.api.claim(ID).map(|claim| claim["status"].clone());
        if status != Some(self.scene.statuses.1.into()) {
            faults.push(format!("the request is {status:?}"));
        }
        let log = self.env.run(["authz", "log", "--json"]).output().stdout;
        let log: Value = serde_json::from_str(&log).unwrap_or_default();
        let outcomes: Vec<&Value> = log["decisions"].as_array().map_or_else(Vec::new, |entries| {
            entries.iter().map(|entry| &entry["result"]["outcome"]).collect()
        });
        let done = outcomes.iter().filter(|outcome| **outcome == "done").count();
        if done != 1 || outcomes.iter().any(|outcome| outcome.is_null()) {
            faults.push(format!("the log has {outcomes:?}"));
        }
        let timed = std::fs::read_to_string(self.env.sigilum("approvals.json")).unwrap_or_default();
        if timed.matches(ID).count() != usize::from(self.scene.timed) {
            faults.push(format!("of approvals that end it keeps {timed}"));
        }
    }
}

fn sweep(scene: &Scene, report: &mut Report) {
    let mut stage = Stage::new(scene);
    let log = tempfile::NamedTempFile::new().unwrap();
    stage.again();
    let home = stage.env.home().to_owned();
    let (output, points) = strace::record(stage.run(), &home, log.path());
    if output.code != 0 || stage.posts() != 1 {
        report.fault(
            scene.name,
            format!("untouched: exit code {}: {}", output.code, output.stderr),
        );
        return;
    }
    // Before and after it was sent.
    let mut sent = [0, 0];
    for point in &points {
        let mut faults = Vec::new();
        stage.again();
        let (output, traced) = strace::strike(stage.run(), point, &Blow::Kill, log.path());
        if output.code != -1 || !traced.contains("+++ killed by SIGKILL +++") {
            faults.push(format!("was not killed, exit code {}", output.code));
        }
        sent[stage.posts().min(1)] += 1;
        *report.struck.entry(point.name.clone()).or_default() += 1;
        stage.killed(&mut faults);
        stage.done(&mut faults);
        for fault in faults {
            report.fault(scene.name, format!("killed at {}: {fault}", point.line));
        }
    }
    if sent.contains(&0) {
        report.fault(scene.name, format!("never killed on one side of the request: {sent:?}"));
    }
    report.line(format!(
        "{}: {} kills, {} before it was sent and {} after; each decided and logged once",
        scene.name,
        points.len(),
        sent[0],
        sent[1]
    ));
}

/// The scenes by name.
pub fn all(only: &str, report: &mut Report) {
    for scene in SCENES.iter().filter(|scene| scene.name.contains(only)) {
        sweep(scene, report);
    }
}
