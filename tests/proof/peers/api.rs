//! A hostile Sigilum API: `hook run`, `serve --stdio`, and the watcher that asks whether a new secret is the API's.

use super::{Case, PATIENCE, Trial, attacks, differences, spawn, take};
use crate::env::api::{Api, Fault};
use crate::env::attack::Attack;
use crate::env::{Run, TestEnv, now};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const SECRET: &str = "the-signing-secret-of-the-api-0123456789";
/// The budget of an answer in these runs, where it is to be used up; `SIGILUM_HOOK_TIMEOUT_MS`.
const SHORT: Duration = Duration::from_millis(600);

/// alice at home, logged in, an API on loopback with one request for her.
pub struct Person {
    pub env: TestEnv,
    pub api: Api,
    pub token: String,
}

impl Person {
    pub fn new() -> Self {
        Self::with(Api::start(SECRET))
    }

    fn with(api: Api) -> Self {
        let env = TestEnv::new();
        let token = api.token("alice", 3600);
        env.write(".openclaw/.sigilum/owner-token-alice.jwt", format!("{token}\n"));
        api.add_claim("alice", json!({"service": "mail"}));
        let person = Self { env, api, token };
        person.record("oss-local", &person.api.url());
        person
    }

    /// Records that the token is for this API.
    pub fn record(&self, mode: &str, api_url: &str) {
        let record = json!({"mode": mode, "api_url": api_url, "email": "alice@local.sigilum"});
        self.env
            .write(".openclaw/.sigilum/owner-alice.json", record.to_string());
    }

    /// `/new` in a direct chat.
    pub fn event(&self) -> Value {
        json!({"type": "command", "action": "new", "sessionKey": "agent:main:main", "chatType": "direct",
            "home": self.env.openclaw(),
            "env": {"SIGILUM_NAMESPACE": "alice", "SIGILUM_MODE": "oss-local", "SIGILUM_API_URL": self.api.url()}})
    }

    pub fn hook_run(&self, budget: Duration) -> Run {
        let ms = budget.as_millis().to_string();
        self.env.run(["hook", "run"]).env("SIGILUM_HOOK_TIMEOUT_MS", ms)
    }

    pub fn by_hand(&self, budget: Duration) -> Run {
        self.hook_run(budget)
            .args(["--event", "command:new"])
            .env("SIGILUM_NAMESPACE", "alice")
    }
}

/// What `hook run` printed: its messages and log lines.
pub fn answer(trial: &Trial<'_>, text: &str) -> (Vec<String>, Vec<String>) {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let list = |name: &str| serde_json::from_value::<Vec<String>>(value[name].clone());
    match (list("messages"), list("logs")) {
        (Ok(messages), Ok(logs)) if text.lines().count() == 1 => (messages, logs),
        _ => {
            trial.fault(format!("that is no answer: {text}"));
            (Vec::new(), Vec::new())
        }
    }
}

const ATTACKED: fn(&str) -> bool = |text| text.contains("1 request waits");

pub fn cases(elsewhere: u16) -> Vec<Case> {
    type Play = fn(&Trial<'_>, &Attack);
    let plays: [(&str, Play); 5] = [
        ("hook run", hook_run),
        ("hook run by hand", by_hand),
        ("hook run, an API on ::1", on_ipv6),
        ("serve --stdio", serve),
        ("watch --once", watch),
    ];
    let mut all = attacks::wire();
    all.extend(attacks::elsewhere(elsewhere));
    all.extend(attacks::gateway_words());
    let mut cases = Vec::new();
    for (name, play) in plays {
        for attack in all.clone() {
            cases.push(Case {
                name: format!("{name}: {}", attack.name),
                slow: attack.is_slow(),
                play: Box::new(move |trial| play(trial, &attack)),
            });
        }
    }
    cases
}

/// An answer that is as good as any: neither the chat nor the log has the peer's words.
fn sane(trial: &Trial<'_>, messages: &[String], logs: &[String]) {
    let ours = ["Sigilum: ", "Sigilum could not be asked: "];
    let told = messages
        .iter()
        .all(|message| ours.iter().any(|start| message.starts_with(start)));
    if !told || messages.len() > 1 || logs.len() != 1 || logs[0].contains('\n') {
        trial.fault(format!("an odd answer: {messages:?} {logs:?}"));
    }
}

fn unchanged(trial: &Trial<'_>, person: &Person, before: &super::tree::Tree) {
    let mut differ = differences(&take(person.env.home()), before);
    // When each request was first seen is kept.
    differ.retain(|path| !path.ends_with("/seen.json"));
    if !differ.is_empty() {
        trial.fault(format!("changed: {}", differ.join(", ")));
    }
}

/// A stalling peer is given the short budget, so that it is used up soon; any other a long one.
fn budget(attack: &Attack) -> Duration {
    if attack.is_slow() {
        SHORT
    } else {
        Duration::from_secs(20)
    }
}

fn hook_run(trial: &Trial<'_>, attack: &Attack) {
    attack_hook(trial, attack, &Person::new());
}

fn on_ipv6(trial: &Trial<'_>, attack: &Attack) {
    // A machine without IPv6 has nothing to attack there.
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        return;
    };
    attack_hook(trial, attack, &Person::with(Api::on(listener, SECRET)));
}

fn attack_hook(trial: &Trial<'_>, attack: &Attack, person: &Person) {
    let before = take(person.env.home());
    let event = person.event().to_string();
    person.api.fault(Fault::Attack(attack.clone()));
    let budget = budget(attack);
    let ended = trial.run(person.hook_run(budget), event.as_bytes(), budget, &[&person.token]);
    if ended.code != 0 || !ended.stderr.is_empty() {
        trial.fault(format!("exit code {}: {}", ended.code, ended.stderr));
    }
    let (messages, logs) = answer(trial, &ended.stdout);
    sane(trial, &messages, &logs);
    trial.attacked(|| person.api.attacked(), 1 << 20);
    unchanged(trial, person, &before);
    person.api.fault(Fault::None);
    let ended = trial.run(person.hook_run(PATIENCE), event.as_bytes(), PATIENCE, &[&person.token]);
    if !answer(trial, &ended.stdout).0.iter().any(|text| ATTACKED(text)) {
        trial.fault(format!("it does not come back: {}", ended.stdout));
    }
}

fn by_hand(trial: &Trial<'_>, attack: &Attack) {
    let person = Person::new();
    let before = take(person.env.home());
    person.api.fault(Fault::Attack(attack.clone()));
    let budget = budget(attack);
    let ended = trial.run(person.by_hand(budget), b"", budget, &[&person.token]);
    if ended.stderr.lines().count() != 1 {
        trial.fault(format!("no single line: {}", ended.stderr));
    }
    trial.attacked(|| person.api.attacked(), 1 << 20);
    unchanged(trial, &person, &before);
    person.api.fault(Fault::None);
    let ended = trial.run(person.by_hand(PATIENCE), b"", PATIENCE, &[&person.token]);
    if !ATTACKED(&ended.stdout) {
        trial.fault(format!("it does not come back: {}", ended.stderr));
    }
}

/// The same resident process is attacked, and then answers.
fn serve(trial: &Trial<'_>, attack: &Attack) {
    let person = Person::new();
    let before = take(person.env.home());
    person.api.fault(Fault::Attack(attack.clone()));
    let run = person.env.run(["serve", "--stdio", "--no-watch", "--openclaw-home"]);
    let run = run.args([person.env.openclaw()]);
    let run = run.env("SIGILUM_HOOK_TIMEOUT_MS", budget(attack).as_millis().to_string());
    let mut child = spawn(run);
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let lines = lines_of(stdout);
    let mut ask = |id: u32| {
        let mut event = person.event();
        event["id"] = id.into();
        let _ = writeln!(stdin, "{event}");
        lines.recv_timeout(budget(attack) + PATIENCE).unwrap_or_default()
    };
    let attacked = ask(1);
    trial.attacked(|| person.api.attacked(), 1 << 20);
    person.api.fault(Fault::None);
    let good = ask(2);
    drop(stdin);
    let mut stderr = child.stderr.take().unwrap();
    let (code, hung) = trial.wait(&mut child, PATIENCE);
    let mut said = String::new();
    let _ = stderr.read_to_string(&mut said);
    let ended = super::Ended {
        code,
        stdout: format!("{attacked}\n{good}"),
        stderr: said,
        hung,
    };
    trial.check(&ended, &[&person.token]);
    let (messages, logs) = answer(trial, &attacked);
    sane(trial, &messages, &logs);
    if !answer(trial, &good).0.iter().any(|text| ATTACKED(text)) {
        trial.fault(format!("it does not come back: {good}"));
    }
    unchanged(trial, &person, &before);
}

fn lines_of(stdout: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    lines
}

/// A token is due whose secret is gone: the watcher asks the local API whether it takes one signed with the new secret.
fn watch(trial: &Trial<'_>, attack: &Attack) {
    let env = TestEnv::new();
    let api = Api::start(SECRET);
    env.write_config(crate::env::watching::CONFIG.replace("http://127.0.0.1:8787", &api.url()));
    let login = || env.login().args(["--api-url", &api.url(), "--no-check", "--force"]);
    login().expect(0);
    let due = crate::env::api::token(
        &env.secret(),
        json!({"namespace": "alice", "iat": now() - 900_000, "exp": now() + 100_000}),
    );
    login().args(["--owner-token-stdin"]).stdin(due).expect(0);
    env.write(".openclaw/.sigilum/jwt-secret", format!("{SECRET}\n"));
    let stored = env.stored().unwrap();
    let before = take(env.home());
    api.fault(Fault::Attack(attack.clone()));
    // The API is asked for 0.3 s at most.
    let once = || env.run(["watch", "--once"]);
    let mut attacked = (0, 0);
    for _ in 0..5 {
        let ended = trial.run(once(), b"", Duration::from_secs(1), &[SECRET]);
        if ended.code != 7 {
            trial.fault(format!("exit code {}: {}", ended.code, ended.stderr));
        }
        // On a busy machine that may be over before it has asked.
        attacked = api.attacked();
        if attacked.0 > 0 {
            break;
        }
    }
    // What is asked for is taken away by that.
    let since = || {
        let (hits, bytes) = api.attacked();
        (attacked.0 + hits, attacked.1 + bytes)
    };
    trial.attacked(since, 1 << 20);
    let differ = differences(&take(env.home()), &before);
    if !differ.is_empty() {
        trial.fault(format!("changed: {}", differ.join(", ")));
    }
    api.fault(Fault::None);
    let renewed = || env.stored().is_some_and(|token| token != stored) && env.stored() == env.in_config();
    // On a busy machine a good API may need more than the 0.3 s, too.
    let back = (0..10).any(|_| trial.run(once(), b"", Duration::from_secs(1), &[SECRET]).code == 0);
    if !back || !renewed() {
        trial.fault("it does not come back");
    }
}
