//! A home under attack: its recorded API, a stranger at every address that an edit names, and what may be seen of them.

use super::edits::{Edit, Place};
use super::may_hold_the_token;
use crate::Report;
use crate::env::api::{Api, Seen};
use crate::env::{Run, STRANGER, TestEnv, listener_of};
use serde_json::{Value, json};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

/// What the local API signs with.
const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";
/// What the agent's checkout, variables and forged tokens are signed with.
pub const STRANGERS_SECRET: &str = "strangers-strangers-strangers-strangers-00000000";

/// A kind of home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// oss-local, the token kept out of openclaw.json.
    Out,
    /// oss-local, the token in openclaw.json by a person's choice.
    In,
    /// The hosted Sigilum's kind of token.
    Managed,
    /// As 0.1.0 left it: a record with absolute paths, and no `hook.json`.
    Old,
    /// An entry with a token, made by hand; no record of ours.
    NoRecord,
}

impl Kind {
    pub const ALL: [Self; 5] = [Self::Out, Self::In, Self::Managed, Self::Old, Self::NoRecord];
}

/// The home, and everybody around it.
pub struct Stage {
    pub kind: Kind,
    pub env: TestEnv,
    pub api: Api,
    pub stranger: Api,
    /// The owner token.
    pub token: String,
    /// The token file's, where it is another one than the entry's.
    in_file: String,
    clean: String,
    records: BTreeMap<PathBuf, Vec<u8>>,
    /// How many of the stranger's requests were looked at.
    looked_at: Cell<usize>,
    /// A `node` to run the handler with.
    pub node: Option<PathBuf>,
}

impl Stage {
    /// Sets it up and takes stock of it.
    pub fn set(kind: Kind) -> Self {
        let env = TestEnv::new();
        let (api, stranger) = (Api::start(SECRET), Api::start(STRANGERS_SECRET));
        for (server, service) in [(&api, "linear"), (&stranger, "trap")] {
            server.add_claim("alice", json!({"service": service}));
        }
        env.write_config("{\n  \"gateway\": {\"mode\": \"local\"},\n  \"hooks\": {}\n}\n");
        let mut stage = Self {
            kind,
            token: api.token("alice", 86_400),
            in_file: api.token_with(json!({"namespace": "alice", "sub": "file", "exp": crate::env::now() + 9_000})),
            env,
            api,
            stranger,
            clean: String::new(),
            records: BTreeMap::new(),
            looked_at: Cell::new(0),
            node: std::env::var_os("PATH").and_then(|path| {
                let nodes = std::env::split_paths(&path).map(|folder| folder.join("node"));
                nodes.into_iter().find(|node| node.is_file())
            }),
        };
        stage.log_in();
        stage.clean = std::fs::read_to_string(stage.env.config()).unwrap();
        stage.records = stage.read_records();
        stage
    }

    fn log_in(&mut self) {
        let url = self.api.url();
        if self.kind == Kind::NoRecord {
            // First, as an install would put the token file's token into the entry.
            self.env.run(["hook", "install", "--namespace", "alice"]).output();
            let _ = std::fs::remove_file(self.env.sigilum("hook.json"));
            let env = json!({"SIGILUM_NAMESPACE": "alice", "SIGILUM_API_URL": url, "SIGILUM_MODE": "managed",
                "SIGILUM_OWNER_TOKEN": self.token});
            let entries = json!({"sigilum-authz-notify": {"enabled": true, "env": env}});
            let config =
                json!({"gateway": {"mode": "local"}, "hooks": {"internal": {"enabled": true, "entries": entries}}});
            self.env.write_config(serde_json::to_string_pretty(&config).unwrap());
            self.env
                .write(".openclaw/.sigilum/owner-token-alice.jwt", &self.in_file);
            return;
        }
        let mode = if self.kind == Kind::Managed {
            "managed"
        } else {
            "oss-local"
        };
        let in_config = if self.kind == Kind::In { "true" } else { "false" };
        let login = [
            "auth",
            "login",
            "--namespace",
            "alice",
            "--print-token",
            "false",
            "--mode",
            mode,
        ];
        let mut login = self.env.run(login).args([
            "--api-url",
            &url,
            "--token-in-config",
            in_config,
            "--enable-authz-notify",
            "true",
        ]);
        if self.kind == Kind::Managed {
            login = login.args(["--owner-token-stdin"]).stdin(self.token.clone());
        } else {
            login = login.env("JWT_SECRET", SECRET);
        }
        login.expect(0);
        self.env.run(["hook", "install"]).expect(0);
        self.token = self.env.stored().unwrap();
        self.in_file.clone_from(&self.token);
        if self.kind == Kind::Old {
            let record = self.env.sigilum("owner-alice.json");
            let mut old: Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
            old.as_object_mut().unwrap().remove("format");
            old["token_file"] = json!(self.env.sigilum("owner-token-alice.jwt"));
            self.env.write(&record, serde_json::to_vec_pretty(&old).unwrap());
            let _ = std::fs::remove_file(self.env.sigilum("hook.json"));
        }
    }

    /// A person logs in to this API, which need not answer.
    pub fn record_api(&mut self, url: &str) {
        let login = "auth login --mode managed --namespace alice --print-token false --no-check --force \
                     --owner-token-stdin --api-url";
        let login = self.env.run(login.split_whitespace()).args([url]);
        login.stdin(self.token.clone()).expect(0);
        self.records = self.read_records();
        self.clean = std::fs::read_to_string(self.env.config()).unwrap();
    }

    /// openclaw.json as the person left it.
    pub fn clean(&self) -> &str {
        &self.clean
    }

    /// A newer token that another secret signed.
    pub fn forged(&self) -> String {
        let now = crate::env::now();
        self.stranger
            .token_with(json!({"namespace": "alice", "iat": now + 5, "exp": now + 999_999}))
    }

    pub fn expired(&self) -> String {
        self.api.token("alice", -60)
    }

    /// A program that leaves a mark when it runs.
    pub fn marker_program(&self) -> PathBuf {
        self.program("agent/run.sh")
    }

    fn program(&self, path: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let text = format!("#!/bin/sh\necho ran > '{}'\n", self.marker().display());
        let file = self.env.write(path, text);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        file
    }

    pub fn marker(&self) -> PathBuf {
        self.env.home().join("ran")
    }

    /// A folder for PATH with programs of the names that we start.
    pub fn agents_path(&self) -> PathBuf {
        for name in ["openclaw", "sigilum-authz-notify", "sigilum-gateway-cli", "sh", "node"] {
            self.program(&format!("agent/bin/{name}"));
        }
        self.env.home().join("agent/bin")
    }

    /// An OpenClaw home whose records send every token to the stranger.
    pub fn other_home(&self) -> PathBuf {
        let home = self.env.home().join("agent/home");
        if !home.exists() {
            let url = self.stranger.url();
            let record = json!({"format": 2, "mode": "managed", "api_url": url, "email": "a@x",
                "token_file": self.env.sigilum("owner-token-alice.jwt")});
            self.env
                .write("agent/home/.sigilum/owner-alice.json", record.to_string());
            self.env
                .write("agent/home/.sigilum/hook.json", r#"{"namespace":"alice"}"#);
            self.env.write("agent/home/openclaw.json", "{}");
        }
        home
    }

    /// A checkout whose secret the agent knows.
    pub fn agents_checkout(&self) -> PathBuf {
        let vars = format!("JWT_SECRET={STRANGERS_SECRET}\n");
        self.env.write("agent/checkout/apps/api/.dev.vars", vars);
        self.env
            .write("agent/checkout/apps/api/wrangler.toml", "name = \"x\"\n");
        self.env.home().join("agent/checkout")
    }

    pub fn agents_database(&self) -> PathBuf {
        self.env.home().join("agent/database.sqlite")
    }

    pub fn agents_config_env(&self) -> PathBuf {
        self.env.write("agent/config.env", "SIGILUM_NAMESPACE=mallory\n")
    }

    /// A file in the OpenClaw home for `$include`; gives its name.
    pub fn include(&self, value: &Value) -> String {
        self.env.write(".openclaw/notes.json", value.to_string());
        "./notes.json".to_owned()
    }

    /// Makes the edit where it stands in files.
    pub fn apply(&self, edit: &Edit) {
        let text = match edit.place {
            Place::Event | Place::GatewayEnvironment => return,
            Place::Text => edit.value.as_str().unwrap().to_owned(),
            Place::DotEnv => {
                let line = format!("{}={}\n", edit.setting, edit.value.as_str().unwrap());
                self.env.write(".env", &line);
                self.env.write(".openclaw/.env", &line);
                return;
            }
            Place::Entry | Place::Include | Place::EnvVars => self.edited(edit),
        };
        crate::env::watching::replace(&self.env.config(), &text);
    }

    fn edited(&self, edit: &Edit) -> String {
        let mut config: Value = json5::from_str(&self.clean).unwrap();
        if edit.place == Place::EnvVars {
            config["env"] = json!({"vars": {edit.setting: edit.value}, edit.setting: edit.value});
            return config.to_string();
        }
        let entry = config
            .pointer_mut("/hooks/internal/entries/sigilum-authz-notify")
            .unwrap();
        entry["env"][edit.setting] = edit.value.clone();
        if edit.place == Place::Include {
            let name = self.include(&config["hooks"]["internal"]);
            config["hooks"]["internal"] = json!({"$include": name});
        }
        config.to_string()
    }

    /// Takes the edit back.
    pub fn restore(&self) {
        crate::env::watching::replace(&self.env.config(), &self.clean);
        for name in [".env", ".openclaw/.env", ".openclaw/notes.json"] {
            let _ = std::fs::remove_file(self.env.home().join(name));
        }
    }

    /// The event that OpenClaw hands over, with what the edit puts into it.
    pub fn event(&self, edit: &Edit) -> Value {
        let mut event = json!({"type": "command", "action": "new", "sessionKey": "agent:main:main", "chatType": "direct",
            "senderId": "alice!~alice@host", "commandSource": "irc"});
        if edit.place == Place::Event {
            event["env"] = json!({edit.setting: edit.value});
            if edit.setting == "SIGILUM_OWNER_TOKEN" {
                event["token"] = edit.value.clone();
            }
            if edit.setting == "OPENCLAW_STATE_DIR" {
                event["home"] = edit.value.clone();
            }
        }
        event
    }

    /// `hook run`, started as the OpenClaw gateway starts it.
    pub fn hook_run(&self, edit: &Edit) -> Value {
        let home = self.env.openclaw();
        let run = self.env.run(["hook", "run", "--openclaw-home"]).args([&home]);
        let out = self.hostile(run, edit).stdin(self.event(edit).to_string()).output();
        serde_json::from_str(&out.stdout).unwrap_or_else(|_| json!({"failed": out.stderr}))
    }

    fn hostile(&self, run: Run, edit: &Edit) -> Run {
        match (edit.place, edit.value.as_str()) {
            (Place::GatewayEnvironment, Some(value)) => run.env(edit.setting, value),
            _ => run,
        }
    }

    /// The installed handler, in a node whose environment holds what the edit puts there.
    pub fn handler(&self, edit: &Edit) -> Value {
        const CALL: &str = "const { default: handler } = await import(process.argv[1] + '/handler.js');\
            const event = { ...JSON.parse(process.argv[2]), messages: [], context: JSON.parse(process.argv[3]) };\
            console.log = console.info = () => {}; await handler(event);\
            process.stdout.write(JSON.stringify({ messages: event.messages }));";
        let node = self.node.as_ref().unwrap();
        let context = json!({"senderId": "alice!~alice@host", "commandSource": "irc", "sessionEntry": {"chatType": "direct"},
            "cfg": json5::from_str::<Value>(&self.clean).unwrap()});
        let folder = self.env.openclaw().join("hooks/sigilum-authz-notify");
        let mut run = self.env.run_program(node, ["--input-type=module", "-e", CALL]).args([
            folder.to_str().unwrap(),
            &self.event(edit).to_string(),
            &context.to_string(),
        ]);
        if let Some(value) = edit.value.as_str() {
            run = run.env(edit.setting, value);
        }
        let out = run.output();
        serde_json::from_str(&out.stdout).unwrap_or_else(|_| json!({"failed": out.stderr}))
    }

    /// `watch --once`, whose own environment the agent does not reach.
    pub fn watch_once(&self, _edit: &Edit) {
        self.env
            .run(["watch", "--once", "--openclaw-home"])
            .args([self.env.openclaw()])
            .output();
    }

    /// Whether an answer tells of the request that waits.
    pub fn tells(&self, edit: &Edit, answer: &Value) -> Result<(), String> {
        // Without a record the entry is all that there is.
        if self.kind == Kind::NoRecord && matches!(edit.place, Place::Entry | Place::Include | Place::Text) {
            return Ok(());
        }
        let messages = answer["messages"].as_array().into_iter().flatten();
        let text: Vec<&str> = messages.filter_map(Value::as_str).collect();
        let text = text.join("\n");
        // In a home of 0.1.0 the entry may shorten the notice to its brief line.
        let whole = self.kind != Kind::Old;
        match text.contains("request") && (!whole || text.contains("linear")) && !text.contains("trap") {
            true => Ok(()),
            false => Err(format!("the request is not told: {answer}")),
        }
    }

    /// What must hold after every edit.
    pub fn check(&self, scene: &str, report: &mut Report) {
        let all = self.stranger.seen();
        for seen in &all[self.looked_at.replace(all.len())..] {
            let allowed = self.kind == Kind::NoRecord && !bears(seen, &self.in_file);
            if !allowed {
                report.fault(scene, format!("the stranger was asked: {}", seen.line));
            }
        }
        if self.read_records() != self.records {
            report.fault(scene, "a record was changed".to_owned());
            // Each edit is tried on the same home.
            for (file, bytes) in &self.records {
                self.env.write(file, bytes);
            }
        }
        if self.marker().exists() {
            report.fault(scene, "a program of the agent's ran".to_owned());
            std::fs::remove_file(self.marker()).unwrap();
        }
        let in_config = matches!(self.kind, Kind::In | Kind::NoRecord) || self.clean.contains(&self.token);
        let mut folders = vec![self.env.home().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if !may_hold_the_token(&path, in_config) && holds(&path, &[&self.token, &self.in_file]) {
                    // The edit itself moved the entry, token and all, into the included file.
                    if !(in_config && path.ends_with("notes.json")) {
                        report.fault(scene, format!("a token stands in {}", path.display()));
                    }
                }
            }
        }
    }

    fn read_records(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let names = [
            "owner-alice.json",
            "hook.json",
            "owner-mallory.json",
            "owner-token-mallory.jwt",
            "owner-token-alice.jwt",
        ];
        let read = |name: &&str| Some((self.env.sigilum(name), std::fs::read(self.env.sigilum(name)).ok()?));
        names.iter().filter_map(read).collect()
    }

    /// How often the stranger got a token.
    pub fn sent_to_stranger(&self, token: &str) -> usize {
        self.stranger.seen().iter().filter(|seen| bears(seen, token)).count()
    }

    /// How many tokens that a record or a token file holds were seen elsewhere.
    pub fn seen_elsewhere(&self) -> usize {
        self.sent_to_stranger(&self.in_file)
    }

    /// Makes a managed token due now.
    pub fn make_due(&self) {
        let now = crate::env::now();
        let due = json!({"namespace": "alice", "iat": now - 1000, "exp": now + 10});
        self.env
            .write(".openclaw/.sigilum/owner-token-alice.jwt", self.api.token_with(due));
    }

    /// A person says that whoever listens on the recorded port is trusted.
    pub fn trust_loopback(&mut self) {
        let login = [
            "auth",
            "login",
            "--namespace",
            "alice",
            "--print-token",
            "false",
            "--mode",
            "managed",
        ];
        self.env
            .run(login)
            .args(["--api-url", &self.api.url(), "--trust-loopback", "--owner-token-stdin"])
            .stdin(self.token.clone())
            .expect(0);
    }

    /// Puts a listener of another user in the API's place while `act` runs; gives how many tokens arrived there.
    pub fn with_strangers_listener(&mut self, act: impl FnOnce(&Self)) -> Option<usize> {
        let port = self.api.port();
        self.api = Api::start(SECRET);
        let listener = listener_of(STRANGER, &format!("127.0.0.1:{port}"))?;
        let taker = Api::on(listener, SECRET);
        act(self);
        Some(
            taker
                .seen()
                .iter()
                .filter(|seen| seen.headers.contains_key("authorization"))
                .count(),
        )
    }

    /// `serve --stdio`, resident, with the watcher in it.
    pub fn serve(&self) -> Resident {
        let run = self
            .env
            .run(["serve", "--stdio", "--openclaw-home"])
            .args([self.env.openclaw()]);
        let mut child = run
            .into_command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Resident {
            child,
            input,
            output,
            id: 0,
        }
    }
}

/// A resident child.
pub struct Resident {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    id: u64,
}

impl Resident {
    /// Asks it.
    pub fn ask(&mut self, event: &Value) -> Value {
        self.id += 1;
        let mut event = event.clone();
        event["id"] = json!(self.id);
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{event}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| json!({"failed": line}))
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.output.read_to_end(&mut Vec::new());
        let _ = self.child.wait();
    }
}

/// Whether a request brought this token.
pub fn bears(seen: &Seen, token: &str) -> bool {
    seen.headers
        .get("authorization")
        .is_some_and(|value| value.contains(token))
}

fn holds(path: &Path, tokens: &[&str]) -> bool {
    let bytes = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    tokens.iter().any(|token| text.contains(token))
}
