//! `authz`: requests listed, shown and decided, at an API on loopback that keeps Sigilum's contract.

mod decided;
mod killed;
mod listed;
mod timed;

use crate::env;

use env::api::{Api, iso};
use env::watching::managed_token;
use env::{Run, TestEnv};
use serde_json::{Value, json};

/// A home where alice is logged in to the hosted Sigilum, which is on loopback.
pub struct World {
    pub env: TestEnv,
    pub api: Api,
}

impl World {
    pub fn new() -> Self {
        let env = TestEnv::new();
        let api = env.managed_api();
        env.log_in_at(&api, &managed_token("alice", 3_600));
        Self { env, api }
    }

    /// The same with requests of three agents that wait: [`id`] 1 to 3, for the services `mail`, `mail` and `files`.
    pub fn with_three() -> Self {
        let world = Self::new();
        for (number, service) in [(1, "mail"), (2, "mail"), (3, "files")] {
            world.request(number, service);
        }
        world
    }

    /// A request that waits, made so many minutes ago.
    pub fn request(&self, number: u32, service: &str) {
        let created = iso(env::now() - 60 * i64::from(number));
        let fields = json!({"claim_id": id(number), "service": service, "public_key": key(number),
            "agent_name": format!("bot-{number}"), "created_at": created});
        self.api.add_claim("alice", fields);
    }

    pub fn authz(&self, words: &str) -> Run {
        self.env.run(["authz"]).args(words.split_whitespace())
    }

    /// The status of a request at the API.
    #[track_caller]
    pub fn status(&self, number: u32) -> String {
        self.api.claim(&id(number)).unwrap()["status"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// The lines of our log.
    pub fn log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.env.sigilum("decisions.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// `authz log --json`: what was decided about which request, and what came of it.
    pub fn decisions(&self) -> Vec<(String, String, String)> {
        let output = self.authz("log --json").expect(0);
        let json: Value = serde_json::from_str(&output.stdout).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let decisions = json["decisions"].as_array().unwrap().iter();
        decisions
            .map(|entry| {
                (
                    text(&entry["decision"]),
                    text(&entry["claim_id"]),
                    text(&entry["result"]["outcome"]),
                )
            })
            .collect()
    }
}

pub fn id(number: u32) -> String {
    format!("cl_{number:08x}{number:016x}")
}

pub fn key(number: u32) -> String {
    format!("ed25519:Key{number:037}=")
}

/// As [`World::decisions`] lists it.
pub fn entry(decision: &str, number: u32, outcome: &str) -> (String, String, String) {
    (decision.to_owned(), id(number), outcome.to_owned())
}
