//! `serve --stdio`: one resident process, one JSON line in, one out.

use crate::env;

use env::api::{Api, Fault};
use env::{Run, TestEnv};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

const NS: &str = "alice";
const SOON: Duration = Duration::from_secs(60);

/// A home where alice is logged in at an API on loopback.
pub struct Home {
    pub env: TestEnv,
    pub api: Api,
}

impl Home {
    pub fn new() -> Self {
        let home = Self {
            env: TestEnv::new(),
            api: Api::start("the-secret"),
        };
        let record = json!({"mode": "oss-local", "api_url": home.api.url(), "email": "alice@local.sigilum",
            "token_file": home.env.sigilum("owner-token-alice.jwt")});
        home.env
            .write(".openclaw/.sigilum/owner-alice.json", record.to_string());
        home.token_file(&home.api.token(NS, 3600));
        home.api.add_claim(NS, json!({"service": "mail"}));
        home
    }

    fn token_file(&self, token: &str) {
        self.env
            .write(".openclaw/.sigilum/owner-token-alice.jwt", format!("{token}\n"));
    }

    pub fn serve(&self) -> Resident {
        self.serve_with(&[])
    }

    pub fn serve_with(&self, vars: &[(&str, &str)]) -> Resident {
        let mut args = self.arguments();
        args.push("--no-watch".into());
        self.start(self.env.run(args), vars)
    }

    /// By another program than the one under test: a copy of it.
    pub fn serve_by(&self, program: &Path) -> Resident {
        self.start(
            self.env.run_program(program, self.arguments()).args(["--no-watch"]),
            &[],
        )
    }

    /// With the watcher inside.
    pub fn serve_and_watch(&self) -> Resident {
        self.start(self.env.run(self.arguments()), &[])
    }

    fn arguments(&self) -> Vec<OsString> {
        vec![
            "serve".into(),
            "--stdio".into(),
            "--openclaw-home".into(),
            self.env.openclaw().into(),
        ]
    }

    fn start(&self, mut run: Run, vars: &[(&str, &str)]) -> Resident {
        for (name, value) in vars {
            run = run.env(name, value);
        }
        let mut child = run
            .into_command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        Resident {
            stdin: child.stdin.take(),
            child,
            lines,
        }
    }
}

/// The program that runs.
pub struct Resident {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Value>,
}

impl Resident {
    pub fn say(&mut self, line: impl AsRef<[u8]>) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(line.as_ref()).unwrap();
        stdin.write_all(b"\n").unwrap();
    }

    /// `/new` in a direct chat.
    fn new_command(&mut self, id: u64) {
        self.say(
            json!({"id": id, "type": "command", "action": "new", "sessionKey": "agent:main:main", "chatType": "direct"})
                .to_string(),
        );
    }

    #[track_caller]
    pub fn hear(&self) -> Value {
        self.lines.recv_timeout(SOON).expect("no answer")
    }

    /// Waits for the end; fails where that takes longer than a second, and half of one for a busy machine.
    #[track_caller]
    fn ends_within_a_second(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
                return status;
            }
            if start.elapsed() > SOON {
                self.child.kill().unwrap();
                panic!("it did not end");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn one_line_in_one_line_out() {
    let home = Home::new();
    let mut resident = home.serve();
    for id in 1..=3 {
        resident.new_command(id);
        let answer = resident.hear();
        assert_eq!(answer["id"], id);
        assert_eq!(answer["messages"].as_array().unwrap().len(), 1);
        assert!(
            answer["messages"][0].as_str().unwrap().contains("service \"mail\""),
            "{answer}"
        );
        assert!(answer.get("error").is_none());
    }
    resident.say(r#"{"id":"x","event":{"type":"gateway","action":"startup"}}"#);
    let answer = resident.hear();
    assert_eq!((&answer["id"], &answer["messages"]), (&json!("x"), &json!([])));
    assert!(
        answer["logs"][0].as_str().unwrap().contains("owner token expires in"),
        "{answer}"
    );
    resident.say(r#"{"id":4,"type":"command","action":"stop"}"#);
    assert_eq!(resident.hear(), json!({"id": 4, "messages": [], "logs": []}));
}

#[test]
fn changed_files_are_seen_at_the_next_event() {
    let home = Home::new();
    let mut resident = home.serve();
    let sent = || home.api.seen().last().unwrap().headers["authorization"].replace("Bearer ", "");
    for life in [100, 200, 300] {
        let token = home.api.token(NS, life);
        home.token_file(&token);
        resident.new_command(1);
        resident.hear();
        assert_eq!(sent(), token);
    }
    std::fs::remove_file(home.env.sigilum("owner-token-alice.jwt")).unwrap();
    resident.new_command(2);
    let answer = resident.hear();
    assert!(
        answer["messages"][0]
            .as_str()
            .unwrap()
            .contains("there is no owner token"),
        "{answer}"
    );
    // Another API, another mode: all that the record says.
    let other = Api::start("other");
    let record = json!({"mode": "oss-local", "api_url": other.url(), "email": "alice@local.sigilum",
        "token_file": home.env.sigilum("owner-token-alice.jwt")});
    home.env
        .write(".openclaw/.sigilum/owner-alice.json", record.to_string());
    home.token_file(&other.token(NS, 100));
    resident.new_command(3);
    resident.hear();
    assert_eq!(other.seen().len(), 1);
}

#[test]
fn bad_lines_are_answered_and_survived() {
    let home = Home::new();
    let mut resident = home.serve();
    for bad in ["{", "[1,2]", "\"text\"", "\u{1b}[31m", "null"] {
        resident.say(bad);
        let answer = resident.hear();
        assert!(answer["id"].is_null() && answer["error"].is_string(), "{bad}: {answer}");
        assert_eq!(answer["messages"], json!([]));
    }
    resident.say(b"\xff\xfe\x00");
    assert!(resident.hear()["error"].is_string());
    resident.say("[".repeat(1 << 20));
    assert!(resident.hear()["error"].as_str().unwrap().starts_with("it is not JSON"));
    resident.say(format!("{{\"id\":1,\"x\":\"{}\"}}", "y".repeat(3 << 20)));
    assert_eq!(resident.hear()["error"], "the line is over 1048576 bytes");
    // JavaScript's JSON may hold half a character.
    resident.say(r#"{"id":"\ud83d","type":"command","action":"new","senderId":"a\udc00"}"#);
    let answer = resident.hear();
    assert_eq!((&answer["id"], answer.get("error")), (&json!("\u{fffd}"), None));
    assert_eq!(answer["messages"].as_array().unwrap().len(), 1);
    // A blank line is no question.
    resident.say("");
    resident.new_command(9);
    assert_eq!(resident.hear()["id"], 9);
}

#[test]
fn the_gateways_environment_says_nothing_and_the_record_counts_at_the_next_event() {
    let home = Home::new();
    let elsewhere = Api::start("the-secret");
    let url = elsewhere.url();
    let mut resident = home.serve_with(&[
        ("SIGILUM_NAMESPACE", "bob"),
        ("SIGILUM_API_URL", &url),
        ("SIGILUM_NOTIFY_GROUPS", "off"),
        ("SIGILUM_NOTIFY_SENDERS", "bob"),
        ("SIGILUM_OWNER_TOKEN", &home.api.token(NS, 9000)),
        ("OPENCLAW_CONFIG_PATH", "/nowhere"),
        ("RUST_LOG", "nonsense=nonsense"),
    ]);
    let mut hear = |record: Value| {
        home.env.write(".openclaw/.sigilum/hook.json", record.to_string());
        resident.new_command(1);
        resident.hear()["messages"][0].as_str().unwrap().to_owned()
    };
    assert!(hear(json!({"namespace": NS})).contains("service \"mail\""));
    assert!(hear(json!({"namespace": NS, "senders": ["bob"]})).starts_with("Sigilum: 1 request waits for approval."));
    // What is recorded of the environment counts from the next event on, for the client too.
    let record = json!({"mode": "oss-local", "api_url": "http://192.0.2.1", "email": "alice@local.sigilum"});
    home.env
        .write(".openclaw/.sigilum/owner-alice.json", record.to_string());
    let refused = hear(json!({"namespace": NS, "timeout_ms": 200}));
    assert!(
        refused.starts_with("Sigilum: the hook is not set up right."),
        "{refused}"
    );
    let insecure = json!({"namespace": NS, "timeout_ms": 200, "env": {"SIGILUM_ALLOW_INSECURE_HTTP": "1"}});
    home.env.write(".openclaw/.sigilum/hook.json", insecure.to_string());
    resident.new_command(2);
    let answer = resident.hear();
    assert!(
        answer["logs"][0].as_str().unwrap().starts_with("could not ask for"),
        "{answer}"
    );
    assert_eq!(elsewhere.seen().len(), 0);
}

#[test]
fn a_slow_answer_does_not_hold_up_the_next() {
    let home = Home::new();
    let mut resident = home.serve();
    home.api.fault(Fault::Stall);
    resident.new_command(1);
    while home.api.seen().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    home.api.fault(Fault::None);
    resident.new_command(2);
    assert_eq!(resident.hear()["id"], 2);
    let late = resident.hear();
    let told = json!(["Sigilum could not be asked: no full answer in time."]);
    assert_eq!((&late["id"], &late["messages"]), (&json!(1), &told));
    assert!(
        late["logs"][0].as_str().unwrap().ends_with("no full answer in time"),
        "{late}"
    );
}

#[test]
fn more_events_than_it_answers_at_a_time_are_turned_away() {
    let home = Home::new();
    let mut resident = home.serve();
    home.api.fault(Fault::Stall);
    for id in 1..=17 {
        resident.new_command(id);
    }
    let answer = resident.hear();
    assert_eq!(answer["id"], 17);
    assert!(answer["error"].as_str().unwrap().contains("already"), "{answer}");
}

#[test]
fn it_ends_when_standard_input_closes() {
    let home = Home::new();
    // Idle.
    let mut resident = home.serve();
    resident.new_command(1);
    resident.hear();
    drop(resident.stdin.take());
    assert!(resident.ends_within_a_second().success());
    // With an answer under way that still comes in time: half a second, which a busy machine may not have every time.
    home.api.delay(Duration::from_millis(150));
    let still_answered = || {
        let mut resident = home.serve();
        resident.new_command(2);
        drop(resident.stdin.take());
        let answered = match resident.lines.recv_timeout(SOON) {
            Ok(answer) => answer["id"] == 2,
            Err(gone) => {
                assert_eq!(gone, RecvTimeoutError::Disconnected);
                false
            }
        };
        assert!(resident.ends_within_a_second().success());
        answered
    };
    assert!((0..20).any(|_| still_answered()));
    // With one that does not.
    let mut resident = home.serve();
    home.api.fault(Fault::Stall);
    resident.new_command(3);
    drop(resident.stdin.take());
    assert!(resident.ends_within_a_second().success());
}

#[test]
fn it_ends_when_nobody_reads_its_full_pipe() {
    let home = Home::new();
    let args = ["serve", "--stdio", "--no-watch"];
    let mut child = home
        .env
        .run(args)
        .into_command()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Each is answered by some 100 bytes that nobody reads: a pipe holds 64 KiB.
    for _ in 0..2000 {
        stdin.write_all(b"[]\n").unwrap();
    }
    drop(stdin);
    let mut resident = Resident {
        child,
        stdin: None,
        lines: channel().1,
    };
    assert!(resident.ends_within_a_second().success());
}

#[test]
fn it_ends_when_standard_output_closes() {
    let home = Home::new();
    let mut resident = home.serve();
    resident.new_command(1);
    resident.hear();
    let mut child = home.env.run(["serve", "--stdio", "--no-watch"]).into_command();
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    child.stdin.as_mut().unwrap().write_all(b"[]\n").unwrap();
    let mut closed = Resident {
        child,
        stdin: None,
        lines: channel().1,
    };
    closed.ends_within_a_second();
}

#[test]
fn it_ends_on_signals() {
    let home = Home::new();
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let mut resident = home.serve();
        resident.new_command(1);
        resident.hear();
        resident.signal(signal);
        assert!(resident.ends_within_a_second().success(), "{signal:?}");
    }
}

/// Linux counts a process's processor time in ticks of 10 ms.
#[test]
#[cfg(target_os = "linux")]
fn it_costs_nothing_while_nothing_happens() {
    let home = Home::new();
    let mut resident = home.serve();
    resident.new_command(1);
    resident.hear();
    let ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", resident.child.id())).unwrap();
        let fields: Vec<u64> = stat
            .rsplit_once(") ")
            .unwrap()
            .1
            .split(' ')
            .skip(11)
            .take(2)
            .map(|field| field.parse().unwrap())
            .collect();
        fields.iter().sum::<u64>()
    };
    let switches = || -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", resident.child.id())).unwrap();
        let of_task = |status: String| -> u64 {
            let line = status
                .lines()
                .find(|line| line.starts_with("voluntary_ctxt_switches"))
                .unwrap()
                .to_owned();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        tasks
            .map(|task| of_task(std::fs::read_to_string(task.unwrap().path().join("status")).unwrap()))
            .sum()
    };
    std::thread::sleep(Duration::from_millis(200));
    let before = (ticks(), switches());
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!((ticks(), switches()), before, "processor ticks and wake-ups");
    let sockets = std::fs::read_dir(format!("/proc/{}/fd", resident.child.id()))
        .unwrap()
        .filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count();
    // The pair that signals come through; no connection to the API stays open.
    assert_eq!(sockets, 3);
}

#[test]
fn no_token_in_any_line() {
    let home = Home::new();
    let token = home.api.token(NS, 500);
    let signature = token.rsplit('.').next().unwrap().to_owned();
    home.token_file(&token);
    let mut resident = home.serve_with(&[("RUST_LOG", "trace")]);
    for fault in [
        Fault::None,
        Fault::Status(401, "TOKEN_EXPIRED"),
        Fault::Drop,
        Fault::Body("x/y", token.clone()),
    ] {
        home.api.fault(fault);
        for line in [
            json!({"id": 1, "type": "command", "action": "new", "token": token, "env": {"SIGILUM_OWNER_TOKEN": token,
                "SIGILUM_NAMESPACE": NS}})
            .to_string(),
            format!("{{\"token\":\"{token}\",,"),
        ] {
            resident.say(line);
            assert!(!resident.hear().to_string().contains(&signature));
        }
    }
    drop(resident.stdin.take());
    resident.ends_within_a_second();
    let stderr = std::io::read_to_string(resident.child.stderr.take().unwrap()).unwrap();
    assert!(!stderr.contains(&signature), "{stderr}");
}

/// The pid in `.sigilum/watch-status.json`, once it is there.
fn watcher(home: &Home) -> Option<u64> {
    let text = std::fs::read_to_string(home.env.sigilum("watch-status.json")).ok()?;
    serde_json::from_str::<Value>(&text).ok()?["pid"].as_u64()
}

#[track_caller]
fn wait_until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}: not within 20 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn it_watches_and_where_another_one_does_it_answers_and_waits_for_its_turn() {
    let home = Home::new();
    let mut first = home.serve_and_watch();
    wait_until("the first watches", || watcher(&home) == Some(first.child.id().into()));
    let mut second = home.serve_and_watch();
    second.new_command(1);
    assert!(
        second.hear()["messages"][0]
            .as_str()
            .unwrap()
            .contains("service \"mail\"")
    );
    first.new_command(2);
    assert_eq!(first.hear()["id"], 2);
    assert_eq!(watcher(&home), Some(first.child.id().into()));
    // The first gateway is killed, and its child ends; the second one's takes over.
    drop(first.stdin.take());
    assert!(first.ends_within_a_second().success());
    wait_until("the second watches", || {
        watcher(&home) == Some(second.child.id().into())
    });
    drop(second.stdin.take());
    assert!(second.ends_within_a_second().success());
    let stderr = std::io::read_to_string(second.child.stderr.take().unwrap()).unwrap();
    assert_eq!(stderr.matches("answering without watching").count(), 1, "{stderr}");
}

#[test]
fn a_watcher_waits_until_the_plugins_program_ends() {
    let home = Home::new();
    let mut resident = home.serve_and_watch();
    wait_until("it watches", || watcher(&home) == Some(resident.child.id().into()));
    let watch = || env::watching::Watcher::spawn(home.env.run(["watch"]));
    let (mut first, mut second) = (watch(), watch());
    let told = format!(
        "the plugin's program in the OpenClaw gateway (process {}) serves this home; waiting until it ends",
        resident.child.id()
    );
    for waiting in [&first, &second] {
        waiting.wait_for(&told);
        waiting.wait_for("ready to watch when the OpenClaw gateway ends");
    }
    assert_eq!(second.stop(), 0);
    // Once, however often it looks.
    first.signal(rustix::process::Signal::HUP);
    first.wait_for("looking at everything again");
    first.signal(rustix::process::Signal::HUP);
    first.wait_for_times("looking at everything again", 2);
    assert_eq!(watcher(&home), Some(resident.child.id().into()));
    assert_eq!(first.count("serves this home"), 1, "{:?}", first.log());
    drop(resident.stdin.take());
    assert!(resident.ends_within_a_second().success());
    first.wait_for("serving namespace alice");
    wait_until("the watcher watches", || watcher(&home) == Some(first.pid().into()));
    let refused = home.env.run(["watch"]).expect(8).stderr;
    let other = format!("another watcher (process {}) serves this home", first.pid());
    assert!(refused.contains(&other), "{refused}");
    assert_eq!(first.stop(), 0);
}

#[test]
fn what_the_watcher_renews_the_next_event_uses() {
    let home = Home::new();
    // Signed by the embedded database's own secret, which the API shares.
    home.env.write(".openclaw/.sigilum/jwt-secret", "the-secret\n");
    home.token_file(
        &home
            .api
            .token_with(json!({"namespace": NS, "iat": env::now() - 3600, "exp": env::now() + 5})),
    );
    let old = std::fs::read_to_string(home.env.sigilum("owner-token-alice.jwt")).unwrap();
    let mut resident = home.serve_and_watch();
    wait_until("renewed", || {
        std::fs::read_to_string(home.env.sigilum("owner-token-alice.jwt")).is_ok_and(|now| now != old)
    });
    resident.new_command(1);
    assert!(
        resident.hear()["messages"][0]
            .as_str()
            .unwrap()
            .contains("service \"mail\"")
    );
    let sent = home.api.seen().last().unwrap().headers["authorization"].replace("Bearer ", "");
    assert_ne!(sent, old.trim());
    resident.signal(rustix::process::Signal::TERM);
    assert!(resident.ends_within_a_second().success());
}
