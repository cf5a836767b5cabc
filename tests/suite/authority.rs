//! Who may decide what: every setting, claimed at every place that can claim it, tried with the binary and held against
//! the table in `settings::authority`. A place that may not decide is first shown to say what it says; a place that may
//! is shown to decide.

mod rows;

use crate::env;

use env::api::{Api, token};
use env::gateway::Gateway;
use env::{Output, TestEnv};
use rows::{ROWS, Row};
use serde_json::{Value, json};
use sigilum_authz_notify::settings::authority::{Claimant, RULES, Setting, may_decide};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const HOOK: &str = "sigilum-authz-notify";
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const SENDER: &str = "alice!~a@host";

/// Where a setting can be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Flag,
    PersonEnvironment,
    Record,
    SigilumConfig,
    /// A `.env`, and where it makes sense a checkout, around the working directory, with a person at the terminal who
    /// says yes to everything.
    WorkingDirectory,
    /// The hook's entry.
    Entry,
    /// The hook's entry in a file that openclaw.json includes.
    Include,
    /// `env` and `env.vars` of openclaw.json, and the `.env` files that fill the OpenClaw gateway's environment.
    EnvVars,
    GatewayEnvironment,
    Event,
    /// The hook's entry in a home where nobody has logged in.
    UnrecordedEntry,
}

const PLACES: [Place; 11] = [
    Place::Flag,
    Place::PersonEnvironment,
    Place::Record,
    Place::SigilumConfig,
    Place::WorkingDirectory,
    Place::Entry,
    Place::Include,
    Place::EnvVars,
    Place::GatewayEnvironment,
    Place::Event,
    Place::UnrecordedEntry,
];

impl Place {
    fn claimant(self) -> Claimant {
        match self {
            Self::Flag => Claimant::Flag,
            Self::PersonEnvironment => Claimant::PersonEnvironment,
            Self::Record => Claimant::Record,
            Self::SigilumConfig => Claimant::SigilumConfig,
            Self::WorkingDirectory => Claimant::WorkingDirectory,
            Self::Entry => Claimant::Entry,
            Self::Include => Claimant::Include,
            Self::EnvVars | Self::GatewayEnvironment => Claimant::GatewayEnvironment,
            Self::Event => Claimant::Event,
            Self::UnrecordedEntry => Claimant::UnrecordedEntry,
        }
    }

    /// Whether nobody has logged in where this place is tried: it would lose against a record.
    fn needs_no_login(self) -> bool {
        matches!(
            self,
            Self::SigilumConfig | Self::WorkingDirectory | Self::UnrecordedEntry
        )
    }

    /// Whether a person's command can meet the claim at all.
    fn meets_a_person(self) -> bool {
        !matches!(self, Self::GatewayEnvironment | Self::Event | Self::UnrecordedEntry)
    }

    /// Whether what the OpenClaw gateway starts can.
    fn meets_the_gateway(self) -> bool {
        !matches!(self, Self::Flag | Self::PersonEnvironment)
    }
}

/// A person's machine: a home where alice is logged in at the API, another home, and what a claim can point to.
pub struct World {
    pub env: TestEnv,
    pub api: Api,
    /// What the recorded API's token file holds.
    pub token: String,
    /// A proxy that a claim names.
    pub proxy: Api,
    /// A Sigilum gateway, where a setting needs one.
    pub gateway: OnceLock<Gateway>,
    logged_in: bool,
    /// A token that only a claim gives, as good as the other.
    pub claimed_token: String,
}

impl World {
    /// `None` where that takes another user's server, and only root can make one.
    fn new(logged_in: bool, of_a_stranger: bool) -> Option<Self> {
        let env = TestEnv::new();
        let api = match of_a_stranger {
            true => Api::on(env::listener_of(env::STRANGER, "127.0.0.1:0")?, SECRET),
            false => Api::start(SECRET),
        };
        api.add_claim("alice", json!({"agent_name": "the agent"}));
        let made = |age: i64| {
            let now = env::now();
            token(
                SECRET,
                json!({"namespace": "alice", "iat": now - age, "exp": now - age + 7_777}),
            )
        };
        let world = Self {
            proxy: Api::start(SECRET),
            gateway: OnceLock::new(),
            logged_in,
            token: made(60),
            claimed_token: made(10),
            env,
            api,
        };
        world.write_config(world.entry(), false);
        let secret = world.env.write(".openclaw/.sigilum/jwt-secret", SECRET);
        if logged_in {
            world
                .env
                .write(".openclaw/.sigilum/owner-token-alice.jwt", &world.token);
            world.record(json!({}));
            world.hook_record(json!({}));
        } else {
            std::fs::remove_file(secret).unwrap();
        }
        world.other_home();
        Some(world)
    }

    /// Mallory's, whose hook would speak for mallory.
    fn other_home(&self) {
        let other = token(SECRET, json!({"namespace": "mallory"}));
        self.env.write("other/.sigilum/owner-token-mallory.jwt", other);
        self.env
            .write("other/.sigilum/hook.json", json!({"namespace": "mallory"}).to_string());
        let record = json!({"mode": "oss-local", "api_url": self.api.url(), "email": "m@x"});
        self.env.write("other/.sigilum/owner-mallory.json", record.to_string());
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.env.home().join(name)
    }

    /// The record of alice's login with some fields otherwise, where she is logged in.
    pub fn record(&self, fields: Value) {
        if !self.logged_in {
            return;
        }
        let mut record = json!({"mode": "oss-local", "api_url": self.api.url(), "email": "alice@local.sigilum"});
        record
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        self.env
            .write(".openclaw/.sigilum/owner-alice.json", record.to_string());
    }

    /// The record of the hook with some fields otherwise, where somebody is logged in.
    pub fn hook_record(&self, fields: Value) {
        if !self.logged_in {
            return;
        }
        let mut record = json!({"namespace": "alice", "token_in_config": false, "senders": ["nobody"]});
        record
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        self.env.write(".openclaw/.sigilum/hook.json", record.to_string());
    }

    fn entry(&self) -> Value {
        json!({"SIGILUM_NAMESPACE": "alice", "SIGILUM_MODE": "oss-local", "SIGILUM_API_URL": self.api.url()})
    }

    /// openclaw.json with the hook on, and the entry in it or in a file that it includes.
    fn write_config(&self, vars: Value, included: bool) {
        let hooks = json!({"internal": {"enabled": true, "entries": {HOOK: {"enabled": true, "env": vars}}}});
        let mut config = json!({"gateway": {"mode": "local"}, "hooks": hooks});
        if included {
            self.env.write(".openclaw/hooks.json5", hooks.to_string());
            config["hooks"] = json!({"$include": "./hooks.json5"});
        }
        self.env.write_config(config.to_string());
    }

    pub fn stored(&self) -> String {
        std::fs::read_to_string(self.env.sigilum("owner-token-alice.jwt"))
            .unwrap_or_default()
            .trim()
            .to_owned()
    }

    pub fn json(&self, path: impl AsRef<Path>) -> Value {
        let bytes = std::fs::read(self.env.home().join(path)).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }
}

/// One try: a world with the claim in it, and who meets it there.
struct Try<'a> {
    row: &'a Row,
    world: &'a World,
    place: Option<Place>,
}

impl Try<'_> {
    /// Puts the claim where it is to be met. `false` where this setting has no such claim.
    fn plant(&self) -> bool {
        let (name, value) = (self.row.variable, (self.row.value)(self.world));
        let mut vars = self.world.entry();
        vars[name] = value.clone().into();
        let line = format!("{name}={value}\n");
        match self.place {
            None | Some(Place::PersonEnvironment | Place::GatewayEnvironment | Place::Event) => true,
            Some(Place::Flag) => self.row.flag.is_some(),
            Some(Place::Record) => {
                self.row.record.inspect(|put| put(self.world));
                self.row.record.is_some()
            }
            Some(Place::SigilumConfig) => {
                self.world.env.write(".sigilum/config.env", line);
                true
            }
            Some(Place::WorkingDirectory) => {
                self.world.env.write("sigilum/.env", line);
                true
            }
            Some(Place::Entry | Place::UnrecordedEntry) => {
                self.world.write_config(vars, false);
                true
            }
            Some(Place::Include) => {
                self.world.write_config(vars, true);
                true
            }
            Some(Place::EnvVars) => {
                let mut config = self.world.json(".openclaw/openclaw.json");
                config["env"] = json!({"vars": {name: value}, name: value});
                self.world.env.write_config(config.to_string());
                for file in [".openclaw/.env", ".env", ".config/openclaw/gateway.env"] {
                    self.world.env.write(file, &line);
                }
                true
            }
        }
    }

    /// Whether the claim holds for a person's command.
    fn person(&self, holds: fn(&World, &Output) -> bool) -> bool {
        let mut run = self.world.env.run(self.row.command.split_whitespace());
        for (name, value) in (self.row.with)(self.world) {
            run = run.env(name, value);
        }
        let value = (self.row.value)(self.world);
        let output = match self.place {
            Some(Place::Flag) => {
                let flag = self.row.flag.unwrap_or_default();
                run.args([flag, value.as_str()]).output()
            }
            Some(Place::PersonEnvironment) => run.env(self.row.variable, value).output(),
            Some(Place::WorkingDirectory) => run.cwd(self.world.path("sigilum")).at_a_terminal("y\ny\n"),
            _ => run.output(),
        };
        holds(self.world, &output)
    }

    /// Whether the claim holds for what the OpenClaw gateway starts.
    fn gateway(&self, holds: fn(&World, &Output) -> bool) -> bool {
        let (name, value) = (self.row.variable, (self.row.value)(self.world));
        let mut event = json!({"type": "command", "action": "new", "sessionKey": "agent:main:main",
            "chatType": "direct", "senderId": SENDER, "commandSource": "irc"});
        event
            .as_object_mut()
            .unwrap()
            .extend((self.row.event)().as_object().unwrap().clone());
        if self.place == Some(Place::Event) {
            event["env"] = json!({name: value});
            event["token"] = self.world.claimed_token.clone().into();
            event["home"] = self.world.path("other").to_str().unwrap().into();
            event["config"] = self.world.path("other.json").to_str().unwrap().into();
        }
        let mut run = self.world.env.run(["hook", "run"]).stdin(event.to_string());
        if self.place == Some(Place::GatewayEnvironment) {
            run = run.env(name, value);
        }
        holds(self.world, &run.output())
    }
}

/// Tries one setting at one place, `None` for no claim at all, with a person's command and with what the OpenClaw gateway
/// starts, each in a world of its own.
fn try_at(row: &Row, place: Option<Place>) {
    let met = |by: fn(Place) -> bool| place.is_none_or(by);
    let hook_alone = place == Some(Place::Record) && row.recorded_for_the_hook;
    let may = place.is_some_and(|place| may_decide(row.setting, place.claimant()));
    // What only a person's command goes by decides nothing for the hook.
    let of_person = matches!(place, Some(Place::SigilumConfig | Place::WorkingDirectory));
    let person = row.person.filter(|_| met(Place::meets_a_person) && !hook_alone);
    let gateway = row.gateway.filter(|_| met(Place::meets_the_gateway));
    for (holds, is_person, wanted) in [(person, true, may), (gateway, false, may && !of_person)] {
        let Some(holds) = holds else { continue };
        let logged_in = !row.without_login && !place.is_some_and(Place::needs_no_login);
        let Some(world) = World::new(logged_in, row.setting == Setting::TrustLoopback) else {
            return;
        };
        (row.prepare)(&world);
        let attempt = Try {
            row,
            world: &world,
            place,
        };
        if !attempt.plant() {
            return;
        }
        let held = match is_person {
            true => attempt.person(holds),
            false => attempt.gateway(holds),
        };
        let who = if is_person { "a person's command" } else { "hook run" };
        assert_eq!(held, wanted, "{:?} claimed by {place:?}, {who}", row.setting);
    }
}

fn try_everywhere(row: &Row) {
    try_at(row, None);
    for place in PLACES {
        if !row.not_tried.contains(&place) {
            try_at(row, Some(place));
        }
    }
}

/// The settings of one part of the table, so that the parts run side by side.
fn try_part(part: usize) {
    ROWS.iter().skip(part).step_by(4).for_each(try_everywhere);
}

#[test]
fn every_setting_at_every_place_part_1() {
    try_part(0);
}

#[test]
fn every_setting_at_every_place_part_2() {
    try_part(1);
}

#[test]
fn every_setting_at_every_place_part_3() {
    try_part(2);
}

#[test]
fn every_setting_at_every_place_part_4() {
    try_part(3);
}

#[test]
fn no_setting_is_left_out() {
    let tried: HashSet<Setting> = ROWS.iter().map(|row| row.setting).collect();
    let known: HashSet<Setting> = RULES.iter().map(|rule| rule.setting).collect();
    assert_eq!(tried, known);
}
