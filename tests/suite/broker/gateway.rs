//! The OpenClaw gateway's side of a broker, and a person's commands there.

use super::{Broker, House, NS, SOON, chmod, wait_for};
use crate::env::api::Fault;
use crate::env::{self, Run, STRANGER, TestEnv};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// A gateway's home, whose broker is recorded.
struct Gateway {
    env: TestEnv,
}

impl Gateway {
    fn new(house: &House, more: &[&str]) -> Self {
        let gateway = Self { env: TestEnv::new() };
        gateway.env.write_config("{}");
        gateway.install(house).args(more).expect(0);
        gateway
    }

    fn install(&self, house: &House) -> Run {
        self.env.run(["hook", "install", "--broker"]).args([house.socket()])
    }

    fn record(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.env.sigilum("hook.json")).unwrap()).unwrap()
    }

    fn hook_run(&self, chat_type: &str) -> Value {
        let event = json!({"type": "command", "action": "new", "sessionKey": "agent:main:main", "chatType": chat_type});
        let output = self.env.run(["hook", "run"]).stdin(event.to_string()).expect(0);
        serde_json::from_str(&output.stdout).unwrap()
    }

    fn serve(&self) -> Serve {
        let mut command = self.env.run(["serve", "--stdio"]).into_command();
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        Serve {
            stdin: child.stdin.take().unwrap(),
            child,
            lines,
        }
    }
}

struct Serve {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<Value>,
}

impl Serve {
    fn say(&mut self, line: &Value) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    fn ask(&mut self, line: &Value) -> Value {
        self.say(line);
        self.hear()
    }

    fn hear(&self) -> Value {
        self.lines.recv_timeout(SOON).expect("no line")
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn message(answer: &Value) -> &str {
    answer["messages"][0].as_str().unwrap_or_default()
}

/// `/sigilum …` of a recorded decider.
fn command(id: u64, text: &str) -> Value {
    json!({"id": id, "command": {"text": text, "channel": "telegram", "senderId": "1", "from": "telegram:1",
        "chatType": "direct", "senderIsOwner": true, "canAssertOwner": true, "gatewayClientScopes": null}})
}

/// OpenClaw runs no hook whose entry names no namespace: who logs in later installs it once more.
#[test]
fn a_hook_that_was_installed_before_the_broker_has_a_token_runs_after_the_step() {
    let house = House::new();
    for file in ["owner-alice.json", "owner-token-alice.jwt"] {
        std::fs::rename(house.state().join(".sigilum").join(file), house.state().join(file)).unwrap();
    }
    let broker = house.broker(&[]);
    let gateway = Gateway { env: TestEnv::new() };
    let config = gateway.env.write("elsewhere/c.json", "{}");
    let place = ["--config", config.to_str().unwrap()];
    let install = || gateway.install(&house).args(["--as", "hook"]).args(place);
    let installed = install().expect(0).stdout;
    let step = format!(
        "sigilum-authz-notify hook install --as hook --config {}",
        config.display()
    );
    let need = format!("still needed: the namespace, once the broker has a token: {step}\n");
    assert!(installed.contains(&need), "{installed}");
    let again = gateway.env.run(["hook", "install", "--as", "hook"]).args(place);
    let again = again.expect(0).stdout;
    assert!(again.contains(&need), "{again}");

    drop(broker);
    for file in ["owner-alice.json", "owner-token-alice.jwt"] {
        std::fs::rename(house.state().join(file), house.state().join(".sigilum").join(file)).unwrap();
    }
    let _broker = house.broker(&[]);
    let doctor = || gateway.env.run(["doctor"]).args(place).output().stdout;
    let told = doctor();
    let text = "the hook's entry in openclaw.json names no namespace, so OpenClaw does not run it";
    assert!(
        told.contains(text) && told.contains(&format!(" next: {step}\n")),
        "{told}"
    );
    let done = gateway.env.shell(&step).expect(0).stdout;
    assert!(!done.contains("the namespace, once"), "{done}");
    assert!(!doctor().contains(text), "{}", doctor());
    let written: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    let named = &written["hooks"]["internal"]["entries"]["sigilum-authz-notify"]["env"];
    assert_eq!(named, &json!({"SIGILUM_NAMESPACE": NS}));

    // What else is to be done is told for the same config.
    gateway.env.write(".openclaw/.sigilum/owner-token-bob.jwt", "x");
    gateway
        .env
        .write(".openclaw/.sigilum/owner-bob.json", house.record_of("bob"));
    let installed = install().expect(0).stdout;
    let logout = format!("auth logout --namespace bob --config {}\n", config.display());
    assert!(installed.contains(&logout), "{installed}");
}

#[test]
fn hook_and_commands_ask_the_broker_that_is_recorded() {
    let house = House::new();
    let _broker = house.broker(&[]);
    let gateway = Gateway { env: TestEnv::new() };
    gateway.env.write_config("{}");
    let installed = gateway.install(&house).expect(0).stdout;
    assert!(installed.contains("it protects nothing"), "{installed}");
    assert!(installed.contains("namespace: alice"), "{installed}");
    let record = gateway.record();
    let me = rustix::process::geteuid().as_raw();
    assert_eq!(record["broker"], json!({"socket": house.socket(), "uid": me}));
    assert_eq!(env::mode(gateway.env.sigilum("hook.json")), 0o600);
    let config: Value = serde_json::from_slice(&std::fs::read(gateway.env.config()).unwrap()).unwrap();
    let entry = &config["hooks"]["internal"]["entries"]["sigilum-authz-notify"];
    assert_eq!(entry["env"], json!({"SIGILUM_NAMESPACE": NS}));
    assert!(message(&gateway.hook_run("direct")).contains("service \"mail\""));
    assert!(!message(&gateway.hook_run("group")).contains("mail"));
    let said = |args: &str, code: i32| {
        let output = gateway.env.run(args.split(' ')).expect(code);
        format!("{}{}", output.stdout, output.stderr)
    };
    let list = said("authz list", 0);
    assert!(list.contains("mail"), "{list}");
    let id = list.split_whitespace().find(|word| word.starts_with("cl")).unwrap();
    let cases = [
        (format!("authz show {id}"), 0, "service: mail"),
        ("auth status".to_owned(), 0, "Broker:        "),
        (
            "auth status".to_owned(),
            0,
            "Problem:       the broker runs as the user that the OpenClaw gateway runs as",
        ),
        ("auth status --json".to_owned(), 0, r#""check": "broker""#),
        ("hook run --event command:new".to_owned(), 0, "service \"mail\""),
        ("hook status".to_owned(), 0, "Broker:        "),
        (
            format!("authz approve {id} --yes"),
            2,
            "sigilum-authz-notify authz approve",
        ),
        ("authz log".to_owned(), 2, "sigilum-authz-notify authz log"),
        ("auth login".to_owned(), 2, "sigilum-authz-notify auth login"),
        ("auth show".to_owned(), 2, "a broker keeps the owner token"),
        ("auth switch bob".to_owned(), 2, "sigilum-authz-notify auth switch bob"),
        // One that is made here would count for nothing.
        (
            "broker totp enroll".to_owned(),
            2,
            "sigilum-authz-notify broker totp enroll",
        ),
        (
            "broker totp unlock".to_owned(),
            2,
            "sigilum-authz-notify broker totp unlock",
        ),
    ];
    for (args, code, text) in cases {
        let said = said(&args, code);
        assert!(said.contains(text), "{args}: {said}");
        assert!(!said.contains(&house.token), "{args}");
        assert_eq!(code == 2, said.contains("next: sudo -u "), "{args}: {said}");
    }
    assert!(house.api.posts().is_empty());
    // In a person's environment.
    let other = TestEnv::new();
    let list = other
        .run(["authz", "list"])
        .env("SIGILUM_BROKER", house.socket())
        .expect(0);
    assert!(list.stdout.contains("mail"), "{list:?}");
    // Another namespace, which it does not have; and none any more.
    let refused = gateway.install(&house).args(["--namespace", "bob"]).expect(4).stderr;
    assert!(refused.contains("auth login --namespace bob"), "{refused}");
    gateway
        .env
        .run(["hook", "install", "--broker", "", "--namespace", NS])
        .expect(0);
    assert_eq!(gateway.record().get("broker"), None);
}

/// Whoever runs it, an agent perhaps, keeps nothing from being told to the owner as new, or as decided since they looked.
#[test]
fn what_a_person_asks_of_a_broker_counts_as_shown_to_nobody() {
    let house = House::new();
    let _broker = house.broker(&[]);
    let gateway = Gateway::new(&house, &[]);
    let by_hand = || {
        let run = gateway.env.run(["hook", "run", "--event", "command:new"]);
        run.expect(0).stdout
    };
    for _ in 0..2 {
        let said = by_hand();
        assert!(said.contains("1) new: service \"mail\""), "{said}");
    }
    let seen = std::fs::read_to_string(house.state().join(".sigilum/seen.json")).unwrap();
    assert!(!seen.contains("\"owner\"") && !seen.contains("\"shown\""), "{seen}");
    assert!(message(&gateway.hook_run("direct")).contains("1) new: "));
    let said = by_hand();
    assert!(said.contains("1) service \"mail\""), "the owner has read it: {said}");
    // What keeps the broker from asking is told, and that nothing waits.
    house.api.fault(Fault::Status(500, "X"));
    assert!(by_hand().contains("Sigilum could not be asked: "));
    house.api.fault(Fault::None);
    house.api.clear();
    assert_eq!(by_hand(), "Nothing waits for approval in namespace alice.\n");
}

/// Who reads is known from the question: the owner and a person get the step.
#[test]
fn a_token_that_the_broker_has_no_more_is_told_with_its_step_to_who_may_read() {
    let house = House::new();
    let _broker = house.broker(&[]);
    let gateway = Gateway::new(&house, &["--namespace", NS]);
    for file in ["owner-alice.json", "owner-token-alice.jwt"] {
        std::fs::remove_file(house.state().join(".sigilum").join(file)).unwrap();
    }
    let full = format!(
        "Sigilum: there is no owner token. Requests that wait for approval cannot be shown. Run: sudo -u {} \
         sigilum-authz-notify auth login --mode oss-local --namespace alice --openclaw-home <folder of the broker>",
        me()
    );
    const BRIEF: &str = "Sigilum: there is no owner token. The operator must act.";
    assert_eq!(message(&gateway.hook_run("direct")), full);
    assert_eq!(message(&gateway.hook_run("group")), BRIEF);
    let by_hand = || {
        gateway
            .env
            .run(["hook", "run", "--event", "command:new"])
            .expect(0)
            .stdout
    };
    assert_eq!(by_hand(), full.clone() + "\n");
    let mut record = gateway.record();
    record["senders"] = json!(["telegram:1"]);
    gateway.env.write(".openclaw/.sigilum/hook.json", record.to_string());
    assert_eq!(message(&gateway.hook_run("direct")), BRIEF, "a stranger");
    assert_eq!(by_hand(), full + "\n");
}

#[test]
fn a_broker_that_is_gone_or_another_users_is_told_in_a_direct_chat_alone() {
    let house = House::new();
    let broker = house.broker(&[]);
    let gateway = Gateway::new(&house, &["--deciders", "telegram:1"]);
    let mut record = gateway.record();
    record["broker"]["uid"] = json!(4242);
    gateway.env.write(".openclaw/.sigilum/hook.json", record.to_string());
    let answer = gateway.hook_run("direct");
    assert!(message(&answer).contains("recorded is the user 4242"), "{answer}");
    assert_eq!(gateway.hook_run("group")["messages"], json!([]));
    gateway.env.run(["authz", "list"]).expect(6);
    gateway.install(&house).expect(0);
    assert!(message(&gateway.hook_run("direct")).contains("mail"));
    broker.stop();
    let answer = gateway.hook_run("direct");
    assert!(
        message(&answer)
            == "Sigilum could not be asked: nobody answers on the broker's socket. What helps, in a terminal: \
             sigilum-authz-notify doctor",
        "{answer}"
    );
    let doctor = gateway.env.run(["doctor"]).output();
    assert!(doctor.stdout.contains("could not ask the broker"), "{doctor:?}");
    // Of a home that is not the default one, so that the step looks at it.
    let elsewhere = gateway.env.home().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let event = json!({"type": "command", "action": "new", "sessionKey": "agent:main:main", "chatType": "direct"});
    let run = gateway
        .env
        .run(["hook", "run", "--openclaw-home"])
        .args([gateway.env.openclaw()]);
    let run = run.env("HOME", &elsewhere).stdin(event.to_string()).expect(0);
    let answer: Value = serde_json::from_str(&run.stdout).unwrap();
    let (_, step) = message(&answer).split_once("in a terminal: ").unwrap();
    let doctor = gateway.env.shell(step).env("HOME", &elsewhere).output();
    assert!(doctor.stdout.contains("could not ask the broker"), "{step}: {doctor:?}");
    // A commands's sender is told as well, a stranger is not.
    let mut serve = gateway.serve();
    let answer = serve.ask(&command(1, "list"));
    assert!(
        answer["reply"]["text"]
            .as_str()
            .unwrap()
            .contains("nobody answers on the broker's socket"),
        "{answer}"
    );
    let mut stranger = command(2, "list");
    stranger["command"]["from"] = json!("telegram:2");
    stranger["command"]["senderId"] = json!("2");
    let answer = serve.ask(&stranger);
    assert!(
        !answer["reply"]["text"].as_str().unwrap().contains("broker"),
        "{answer}"
    );
}

/// In words that a person reads.
#[test]
fn a_broker_that_says_nothing_is_told_as_that() {
    let house = House::new();
    let broker = house.broker(&[]);
    let gateway = Gateway::new(&house, &[]);
    broker.stop();
    let _ = std::fs::remove_file(house.socket());
    let _silent = std::os::unix::net::UnixListener::bind(house.socket()).unwrap();
    let answer = gateway.hook_run("direct");
    let told = message(&answer);
    assert!(
        told.contains("the broker does not answer in time") && !told.contains("os error"),
        "{told}"
    );
    // It runs: nobody is told to start it.
    std::fs::remove_file(house.socket()).unwrap();
    let closing = std::os::unix::net::UnixListener::bind(house.socket()).unwrap();
    std::thread::spawn(move || closing.incoming().for_each(drop));
    let asked = gateway.env.run(["authz", "list"]).expect(6).stderr;
    assert!(asked.contains("starts it anew: "), "{asked}");
}

/// What a false or broken broker of the recorded user says: it moves no terminal, and makes no link in a chat.
const NASTY: &str = "\u{1b}[2Jx\u{202e}y https://evil.example @everyone";

/// One that answers each question with these lines, whose `id` becomes the question's where it is `null`.
fn false_broker(house: &House, answer: impl Fn(&Value) -> Vec<Value> + Send + Sync + 'static) {
    let _ = std::fs::remove_file(house.socket());
    let listener = std::os::unix::net::UnixListener::bind(house.socket()).unwrap();
    let answer = std::sync::Arc::new(answer);
    let serve = move |mut stream: std::os::unix::net::UnixStream| {
        let hello = json!({"sigilum-authz-notify": "broker", "version": 1, "account": NASTY, "namespaces": [NS], "namespace": NS});
        let _ = writeln!(stream, "{hello}");
        for line in BufReader::new(stream.try_clone().unwrap())
            .lines()
            .map_while(Result::ok)
        {
            let question: Value = serde_json::from_str(&line).unwrap();
            for mut line in answer(&question) {
                if line.get("id").is_some_and(Value::is_null) {
                    line["id"] = question["id"].clone();
                }
                let _ = writeln!(stream, "{line}");
            }
        }
    };
    let serve = std::sync::Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = serve.clone();
            std::thread::spawn(move || serve(stream));
        }
    });
}

#[test]
fn auth_status_asks_a_broker_once() {
    let house = House::new();
    let broker = house.broker(&[]);
    let gateway = Gateway::new(&house, &[]);
    broker.stop();
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let asks = asked.clone();
    false_broker(&house, move |question| {
        asks.lock().unwrap().push(question["status"].is_object());
        let status = json!({"namespace": NS, "mode": "oss-local", "api": "x", "token": false, "why_not": "y"});
        vec![json!({"id": null, "status": status})]
    });
    gateway.env.run(["auth", "status"]).expect(4);
    assert_eq!(*asked.lock().unwrap(), [true]);
}

#[test]
fn what_a_brokers_api_says_is_told_by_each_status_as_by_doctor() {
    let house = House::new();
    let broker = house.broker(&[]);
    let gateway = Gateway::new(&house, &[]);
    broker.stop();
    false_broker(&house, |question| {
        let status = json!({"namespace": NS, "mode": "oss-local", "api": "x", "token": true,
                            "expires_at": "2036-01-01T00:00:00Z", "renewed_at": "2035-12-31T00:00:00Z"});
        let refused = json!({"code": 4, "text": "the API does not accept the owner token (401)"});
        vec![match question["status"].is_object() {
            true => json!({"id": null, "status": status}),
            false => json!({"id": null, "failed": refused}),
        }]
    });
    for words in ["auth status", "hook status", "doctor", "auth status --json"] {
        let output = gateway.env.run(words.split(' ')).expect(4);
        let told = output.stdout + &output.stderr;
        assert!(
            told.contains("the API does not accept the owner token (401)"),
            "{words}: {told}"
        );
    }
    let told = gateway.env.run(["auth", "status"]).expect(4).stdout;
    assert!(told.contains("Renews:        2035-12-31T00:00:00Z"), "{told}");
}

#[test]
fn what_a_broken_broker_says_moves_no_terminal_and_is_no_link() {
    let house = House::new();
    let broker = house.broker(&[]);
    let gateway = Gateway::new(
        &house,
        &["--deciders", "telegram:1", "--notify", "matrix:@alice:localhost"],
    );
    broker.stop();
    false_broker(&house, |question| {
        let failed = json!({"code": 1, "text": NASTY, "next": NASTY});
        let button =
            |action: Value| json!({"blocks": [{"type": "buttons", "buttons": [{"label": "x", "action": action}]}]});
        let reply = |action| json!({"text": NASTY, "presentation": button(action)});
        let push = |to: &str| {
            let action = json!({"type": "command", "command": "/sigilum show cl_1"});
            json!({"push": {"key": "k", "channel": "matrix", "to": to, "text": NASTY, "presentation": button(action)}})
        };
        match (
            question.get("status"),
            question.get("list"),
            question.get("relay"),
            question.get("command"),
        ) {
            (Some(_), ..) => vec![
                json!({"id": null, "status": {"namespace": NASTY, "mode": NASTY, "api": NASTY, "token": false, "why_not": NASTY}}),
            ],
            (_, Some(_), ..) => vec![json!({"id": null, "text": NASTY, "notes": [NASTY]})],
            (_, _, Some(_), _) => vec![push("@mallory:evil.example"), push("@alice:localhost")],
            (.., Some(_)) => vec![
                json!({"id": null, "reply": reply(json!({"type": "url", "url": "https://evil.example"})), "messages": [], "logs": [NASTY]}),
            ],
            _ if question.get("show").is_some() => vec![json!({"id": null, "failed": failed})],
            _ => vec![json!({"id": null, "messages": [NASTY], "logs": [NASTY, "a\nb"]})],
        }
    });
    let is_plain = |text: &str| !text.contains(['\u{1b}', '\u{202e}']);
    for args in [
        "authz list",
        "authz show cl_1",
        "auth status",
        "hook status",
        "doctor",
        "hook run --event command:new",
    ] {
        let output = gateway.env.run(args.split(' ')).output();
        let said = output.stdout + &output.stderr;
        assert!(said.contains("x·y") || said.contains("x y"), "{args}: {said}");
        assert!(is_plain(&said), "{args}: {said:?}");
    }
    let in_a_chat = "·[2Jx·y https·//evil.example ·everyone";
    let answer = gateway.hook_run("direct");
    assert_eq!(message(&answer), in_a_chat);
    assert_eq!(answer["logs"][1], "a b");
    let mut serve = gateway.serve();
    // What is for nobody who is recorded is not handed on.
    let push = serve.hear()["push"].clone();
    assert_eq!(
        (&push["to"], &push["text"]),
        (&json!("@alice:localhost"), &json!(in_a_chat))
    );
    assert_eq!(
        push["presentation"]["blocks"][0]["buttons"][0]["action"]["type"],
        "command"
    );
    let answer = serve.ask(&command(1, "list"));
    let text = answer["reply"]["text"].as_str().unwrap();
    assert!(text.contains("is no broker"), "{answer}");
    assert_eq!(answer["reply"].get("presentation"), None, "{answer}");
}

/// A broker asks back once, whether a command is confirmed.
#[test]
fn a_broker_that_asks_back_without_end_is_none() {
    let house = House::new();
    let broker = house.broker(&[]);
    let gateway = Gateway::new(&house, &["--deciders", "telegram:1"]);
    broker.stop();
    false_broker(&house, |question| match question["confirmed"].as_bool() {
        Some(true) => vec![
            json!({"id": null, "confirm": true}),
            json!({"id": null, "messages": ["done"], "logs": []}),
        ],
        _ => vec![json!({"id": null, "confirm": true})],
    });
    let told = gateway.hook_run("direct");
    assert!(message(&told).contains("is no broker"), "{told}");
    let asked = gateway.env.run(["authz", "list"]).expect(6).stderr;
    assert!(asked.contains("next: give the socket of the broker: "), "{asked}");
    let mut serve = gateway.serve();
    assert_eq!(serve.ask(&command(1, "approve cl_1"))["confirm"], true);
    let answer = serve.ask(&json!({"id": 1, "confirmed": true}));
    assert_eq!(message(&answer), "done", "{answer}");
}

#[test]
fn serve_goes_on_over_a_restart_of_the_broker_and_hands_its_messages_over() {
    let house = House::new();
    let broker = house.broker(&[]);
    let gateway = Gateway::new(
        &house,
        &["--notify", "matrix:@alice:localhost", "--poll-requests", "5s"],
    );
    let mut serve = gateway.serve();
    let push = loop {
        let line = serve.hear();
        if let Some(push) = line.get("push") {
            break push.clone();
        }
    };
    assert_eq!(
        (&push["channel"], &push["to"]),
        (&json!("matrix"), &json!("@alice:localhost"))
    );
    let text = push["text"].as_str().unwrap();
    assert!(text.contains("mail") && text.contains("sudo -u "), "{text}");
    serve.say(&json!({"pushed": push["key"], "status": "sent"}));
    let told = house.state().join(".sigilum/told.json");
    wait_for("the message is told", || {
        let told: Value = serde_json::from_slice(&std::fs::read(&told).unwrap_or_default()).unwrap_or_default();
        told["outgoing"] == json!([])
    });
    assert!(!gateway.env.sigilum("told.json").exists());
    let answer = serve.ask(&super::new_command(1));
    assert_eq!(answer["id"], 1);
    assert!(message(&answer).contains("mail"), "{answer}");
    // Deciding is the broker's user's.
    let answer = serve.ask(&command(2, "approve cl_0123456789abcdef"));
    assert!(answer["reply"]["text"].is_string(), "{answer}");
    broker.stop();
    let answer = serve.ask(&super::new_command(3));
    assert!(
        message(&answer).contains("nobody answers on the broker's socket"),
        "{answer}"
    );
    let _broker = house.broker(&[]);
    let mut id = 3;
    wait_for("the broker is asked again", || {
        id += 1;
        serve.say(&super::new_command(id));
        let answer = loop {
            let line = serve.hear();
            if line["id"] == id {
                break line;
            }
        };
        message(&answer).contains("mail")
    });
    assert!(house.api.posts().is_empty());
}

#[test]
fn a_decision_over_the_socket_says_how_one_decides() {
    let house = House::new();
    let broker = house.broker(&[]);
    let gateway = Gateway::new(&house, &["--deciders", "telegram:1"]);
    // A name with a slash is none.
    let told = gateway.env.run(["authz", "list", "--service", "a/b"]).expect(2).stderr;
    assert!(told.contains("its next step: give it without a slash"), "{told}");
    gateway.env.run(["authz", "list", "--service", "a-b"]).expect(0);
    let mut serve = gateway.serve();
    assert!(
        serve.ask(&command(1, "list"))["reply"]["text"]
            .as_str()
            .unwrap()
            .contains("mail")
    );
    let list = gateway.env.run(["authz", "list", "--json"]).expect(0).stdout;
    let list: Value = serde_json::from_str(&list).unwrap();
    let id = list["requests"][0]["claim_id"].as_str().unwrap();
    let answer = serve.ask(&command(2, &format!("approve {id}")));
    let text = answer["reply"]["text"].as_str().unwrap();
    assert!(text.contains("takes no decision"), "{text}");
    assert!(
        text.contains("sudo -u ") && text.contains(&format!("authz approve {id}")),
        "{text}"
    );
    assert!(house.api.posts().is_empty());
    drop(broker);
}

/// With three real users: the broker's, the gateway's, and a third.
#[test]
fn a_gateway_of_another_user_asks_and_reads_no_token() {
    if !crate::env::can_be_others() {
        return;
    }
    let house = House::new();
    let (binary, gateway_uid) = (house.env.home().join("binary"), 4321);
    let broker = broker_of_a_stranger(&house, &binary, &["--allow-uid", "4321"]);
    let gateway = TestEnv::new();
    gateway.write_config("{}");
    give(gateway.home(), gateway_uid);
    let run = |args: &[&str]| gateway.run_program(&binary, args).by_user(gateway_uid, &[gateway_uid]);
    let socket = house.socket();
    let installed = run(&["hook", "install", "--broker"]).args([&socket]).expect(0).stdout;
    assert!(installed.contains(&format!("(user {STRANGER})")), "{installed}");
    assert!(!installed.contains("protects nothing"), "{installed}");
    let event = json!({"type": "command", "action": "new", "sessionKey": "agent:main:main", "chatType": "direct"});
    let output = run(&["hook", "run"]).stdin(event.to_string()).expect(0);
    assert!(output.stdout.contains("mail"), "{output:?}");
    run(&["authz", "list"]).expect(0);
    // A third user may not, whatever the socket's mode.
    let mut third = super::Client::by_user(&socket, 4322, 4322);
    assert!(
        third.hear().unwrap()["error"]
            .as_str()
            .unwrap()
            .contains("4322 may not ask")
    );
    assert_eq!(third.hear(), None);
    // A false socket at the same place is not believed.
    broker.stop();
    let _false = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    chmod(&socket, 0o666);
    let output = run(&["hook", "run"]).stdin(event.to_string()).expect(0);
    assert!(
        output.stdout.contains(&format!("recorded is the user {STRANGER}")),
        "{output:?}"
    );
}

#[test]
fn a_group_may_ask() {
    if !crate::env::can_be_others() {
        return;
    }
    let house = House::new();
    let broker = broker_of_a_stranger(&house, &house.env.home().join("binary"), &["--allow-gid", "4400"]);
    let heard = |uid, gid| super::Client::by_user(&broker.socket, uid, gid).hear().unwrap();
    assert!(heard(4322, 4400).get("version").is_some());
    assert!(heard(4322, 4322).get("error").is_some());
}

fn broker_of_a_stranger(house: &House, binary: &std::path::Path, more: &[&str]) -> Broker {
    env::copy_binary(binary);
    chmod(house.env.home(), 0o755);
    give(&house.state(), STRANGER);
    give(&house.env.home().join("run"), STRANGER);
    chmod(&house.env.home().join("run"), 0o755);
    let run = house
        .env
        .run_program(binary, ["broker", "run", "--socket"])
        .args([house.socket()]);
    let run = run.args(["--state"]).args([house.state()]).args(more);
    Broker::started(house.socket(), run.by_user(STRANGER, &[STRANGER]).into_command())
}

fn give(path: &std::path::Path, uid: u32) {
    std::os::unix::fs::lchown(path, Some(uid), Some(uid)).unwrap();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path(), uid);
        }
    }
}

#[test]
fn doctor_tells_what_the_broker_says_of_its_api() {
    let house = House::new();
    let broker = house.broker(&[]);
    let gateway = Gateway::new(&house, &[]);
    let doctor = |state: &str| {
        let output = gateway.env.run(["doctor", "--json"]).output();
        let report: Value = serde_json::from_str(&output.stdout).unwrap();
        let findings = report["findings"].as_array().unwrap().clone();
        let of_broker = |finding: &&Value| finding["check"] == "broker" && finding["state"] == state;
        let found = findings
            .iter()
            .find(of_broker)
            .unwrap_or_else(|| panic!("{state}: {findings:#?}"));
        (
            found["text"].as_str().unwrap().to_owned(),
            found["next"].clone(),
            output.code,
        )
    };
    let (text, _, code) = doctor("ok");
    assert!(text.starts_with("answers for alice, run by the user "), "{text}");
    assert_eq!(code, 0);
    house.api.fault(Fault::Status(500, "x"));
    // The warning that this test's broker protects nothing comes behind it.
    let (text, next, code) = doctor("warn");
    assert!(
        text.starts_with("the API was not checked: the broker says: could not"),
        "{text}"
    );
    assert!(next.is_string() && code == 0, "{next}");
    house.api.fault(Fault::None);
    gateway.env.shell(env::command_of(next.as_str().unwrap())).expect(0);
    assert!(doctor("ok").0.starts_with("answers for alice"));
    house.api.fault(Fault::Status(401, "x"));
    let (text, next, code) = doctor("fail");
    assert!(text.starts_with("the broker says: "), "{text}");
    assert_eq!(code, 4);
    let (sudo, words) = next.as_str().unwrap().split_once(" sigilum-authz-notify ").unwrap();
    let words = words.replace("<folder of the broker>", house.state().to_str().unwrap());
    assert!(
        sudo.starts_with("sudo -u ") && words.starts_with("auth login "),
        "{next}"
    );
    let run = house.env.run(shell_words::split(&words).unwrap());
    let login = run
        .args(["--owner-token-stdin", "--no-check"])
        .stdin(house.token.as_str());
    login.expect(0);
    // A token beside it goes with the step.
    house.api.fault(Fault::None);
    let beside = gateway
        .env
        .write(".openclaw/.sigilum/owner-token-alice.jwt", &house.token);
    let record = json!({"mode": "oss-local", "api_url": house.api.url(), "email": "alice@local.sigilum"});
    gateway
        .env
        .write(".openclaw/.sigilum/owner-alice.json", record.to_string());
    let report = gateway.env.run(["doctor", "--json"]).output().stdout;
    let report: Value = serde_json::from_str(&report).unwrap();
    let of_token = |finding: &&Value| {
        finding["text"]
            .as_str()
            .unwrap()
            .contains("an owner token lies here too")
    };
    let found = report["findings"].as_array().unwrap().iter().find(of_token).unwrap();
    gateway.env.shell(found["next"].as_str().unwrap()).expect(0);
    assert!(!beside.exists());
    // Nobody answers: where no unit is known, the broker's own command starts it.
    broker.stop();
    let (text, next, code) = doctor("fail");
    assert!(
        text.contains("nobody answers on the broker's socket") && code == 6,
        "{text}"
    );
    if !std::path::Path::new("/etc/systemd/system/sigilum-authz-notify-broker.service").exists() {
        let next = next.as_str().unwrap();
        let starts = format!(
            "sigilum-authz-notify broker run --socket {} --state <folder of the broker> --allow-uid ",
            house.socket().display()
        );
        assert!(
            next.starts_with("whoever runs it starts it: sudo -u ") && next.contains(&starts),
            "{next}"
        );
        // Done by whoever runs it, who knows its folder.
        let next = next.replace("<folder of the broker>", house.state().to_str().unwrap());
        let sudo = gateway.env.write("bin/sudo", "#!/bin/sh\nshift 2\nexec \"$@\"\n");
        chmod(&sudo, 0o700);
        house.api.fault(Fault::None);
        let run = gateway.env.shell(&format!("exec {}", env::command_of(&next)));
        let started = Broker::started(house.socket(), run.into_command());
        let (text, ..) = doctor("ok");
        assert!(text.starts_with("answers for alice"), "{text}");
        started.stop();
    }
}

#[test]
fn in_a_brokers_folder_and_beside_it_each_command_says_what_it_is() {
    let house = House::new();
    let state = house.state();
    let said = |env: &TestEnv, args: &str, folder: Option<&std::path::Path>, code: i32| {
        let mut run = env.run(args.split(' '));
        if let Some(folder) = folder {
            run = run.args(["--openclaw-home".as_ref(), folder.as_os_str()]);
        }
        let output = run.output();
        assert_eq!(output.code, code, "{args}: {output:?}");
        format!("{}{}", output.stdout, output.stderr)
    };
    let broker = house.broker(&[]);
    let inside = |args, code| said(&house.env, args, Some(&state), code);
    let install = inside("hook install", 2);
    assert!(
        install.contains("could not install here: a broker answers from this folder"),
        "{install}"
    );
    assert!(
        install.contains("next: name the OpenClaw home with --openclaw-home <folder>"),
        "{install}"
    );
    house.env.write_config("{}");
    said(&house.env, "hook install", Some(&house.env.openclaw()), 0);
    let setup = inside("setup --yes --mode oss-local --namespace alice", 2);
    assert!(
        setup.contains("could not set up here: a broker answers from this folder"),
        "{setup}"
    );
    let unit = inside("watch --install-unit", 2);
    assert!(unit.contains("a broker has the token and renews it"), "{unit}");
    let doctor = house
        .env
        .run(["doctor", "--openclaw-home"])
        .args([&state])
        .output()
        .stdout;
    for word in ["openclaw.json", "onboard", "hook", "plugin"] {
        assert!(!doctor.contains(word), "{word}: {doctor}");
    }
    let gateway = Gateway::new(&house, &[]);
    let check = said(&gateway.env, "watch --check", None, 0);
    assert!(check.starts_with("a broker has the token and renews it, "), "{check}");
    let once = said(&gateway.env, "watch --once", None, 0);
    assert!(
        once.contains("a broker has the token of this home") && !once.contains("auth login"),
        "{once}"
    );
    // What is planned is done; the login is named, as the broker's user's.
    let setup = said(&gateway.env, "setup --yes --as plugin --unit true", None, 0);
    let steps: Vec<&str> = setup.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    assert_eq!(
        steps,
        [
            "sigilum-authz-notify hook install --as plugin",
            "sigilum-authz-notify doctor"
        ],
        "{setup}"
    );
    assert!(
        setup.contains("there is no login and no service here") && setup.contains(" auth login\n"),
        "{setup}"
    );
    let unit = said(&gateway.env, "watch --install-unit", None, 2);
    assert!(unit.ends_with("next: sigilum-authz-notify doctor\n"), "{unit}");
    let looked = gateway.env.shell("sigilum-authz-notify doctor").output().stdout;
    assert!(looked.contains("answers for alice, run by the user "), "{looked}");
    broker.stop();
    let nobody = said(&gateway.env, "watch --check", None, 6);
    assert!(nobody.contains("nobody answers on the broker's socket"), "{nobody}");
    // Its watcher waits for no config.
    let once = inside("watch --once", 0);
    assert!(!once.contains("openclaw.json"), "{once}");
    // Where nobody is allowed, that is said.
    let warning = "nobody may ask but root and this user: add --allow-uid";
    for (more, says) in [("", true), (" --allow-uid 4242", false), (" --allow-gid 4242", false)] {
        let run = said(&house.env, &format!("broker run{more}"), None, 2);
        assert_eq!(run.contains(warning), says, "{run}");
    }
    let check = inside("watch --check", 1);
    assert!(check.contains("no broker answers from this folder"), "{check}");
    let step = check.split_once("next: ").unwrap().1.trim_end();
    let looked = house.env.shell(step).output();
    assert!(looked.stdout.contains("token "), "{step}: {looked:#?}");
    // The login is for the broker's user, with what was typed.
    let login = said(&gateway.env, "auth login --mode managed --namespace bob", None, 2);
    assert!(
        login.ends_with("sigilum-authz-notify auth login --mode managed --namespace bob\n"),
        "{login}"
    );
}

/// Its user is ours in a test, so a step works here without its `sudo -u`.
#[test]
fn a_step_of_the_brokers_works_as_its_user() {
    let house = House::new();
    house.env.write("state/.sigilum/jwt-secret", "the-secret");
    let _broker = house.broker(&[]);
    let gateway = Gateway { env: TestEnv::new() };
    gateway.env.write_config("{}");
    // It keeps the folder of its own, not the home of the person's.
    let carry_out = |refused: &env::Output| {
        let (_, words) = refused.step().split_once(" sigilum-authz-notify ").unwrap();
        assert!(refused.step().starts_with("sudo -u "), "{refused:#?}");
        let words = words.trim_end_matches(" '<folder of the broker>'");
        let run = house.env.run(shell_words::split(words).unwrap());
        let state = house.state();
        // Where it names the broker's folder, that is the last flag.
        let home = match words.ends_with("--openclaw-home") {
            true => &[state.as_os_str()][..],
            false => &["--openclaw-home".as_ref(), state.as_os_str()],
        };
        let done = run.args(home).stdin("").output();
        // Which kind of login that is to be, it says itself.
        if done.code == 4 {
            house.env.carry_out(&done).expect(0);
        }
    };
    // No token of that namespace.
    let install = || gateway.install(&house).args(["--namespace", "bob"]);
    carry_out(&install().expect(4));
    install().expect(0);
    // Nor of this one.
    let list = || gateway.env.run(["authz", "list", "--namespace", "carol"]);
    carry_out(&list().expect(4));
    let now = list().output();
    assert!(!now.stderr.contains("has no token of"), "{now:#?}");
    // The login is for the broker's user.
    let refused = gateway.env.run(["auth", "login", "--namespace", "dora"]).expect(2);
    carry_out(&refused);
    let now = gateway.env.run(["authz", "list", "--namespace", "dora"]).output();
    assert!(!now.stderr.contains("has no token of"), "{now:#?}");
}

/// This account's name.
fn me() -> String {
    let me = std::process::Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(me.stdout).unwrap().trim().to_owned()
}

/// All that was typed, but what is of the home.
#[test]
fn a_command_goes_to_the_brokers_user_with_what_was_typed() {
    let house = House::new();
    let _broker = house.broker(&[]);
    let gateway = Gateway::new(&house, &[]);
    let carry_out = |typed: &str, stays: &str| {
        let refused = gateway.env.run(typed.split(' ')).expect(2);
        let (_, words) = refused.step().split_once(" sigilum-authz-notify ").unwrap();
        assert_eq!(words, stays, "{typed}");
        let run = house.env.run(shell_words::split(words).unwrap());
        run.args(["--openclaw-home".as_ref(), house.state().as_os_str()])
    };
    let same = |typed: &str| carry_out(typed, typed);
    let list = gateway.env.run(["authz", "list", "--json"]).expect(0).stdout;
    let list: Value = serde_json::from_str(&list).unwrap();
    let request = &list["requests"][0];
    let (id, key) = (
        request["claim_id"].as_str().unwrap(),
        request["public_key"].as_str().unwrap(),
    );
    let named = format!("--service mail --key {key}");
    let words = format!("authz approve {named} --for 30m --even-without-watcher --yes --namespace alice");
    same(&words).expect(0);
    same(&format!("authz revoke {id} --yes --namespace alice")).expect(0);
    house.api.add_claim(NS, json!({"service": "calendar"}));
    same("authz reject --all --yes --namespace alice").expect(0);
    let log = same("authz log --json --namespace alice").expect(0).stdout;
    let log: Value = serde_json::from_str(&log).unwrap();
    assert_eq!(log["decisions"].as_array().unwrap().len(), 3, "{log}");
    assert_eq!(same("auth show --namespace alice").expect(0).stdout.trim(), house.token);
    // A token is in no step.
    let typed = format!(
        "auth login --mode oss-local --namespace eve --owner-token {}",
        house.token
    );
    let stays = "auth login --mode oss-local --owner-token-stdin --namespace eve";
    let url = house.api.url();
    let login = carry_out(&typed, stays).args(["--api-url", &url]);
    login.stdin(house.api.token("eve", 3600)).expect(0);
    gateway.env.run(["authz", "list", "--namespace", "eve"]).expect(0);
    let refresh = same("auth refresh --mode oss-local --ttl-seconds 900 --no-check --force --namespace eve");
    refresh.expect(0);
    // Whose user is not known.
    let env = TestEnv::new();
    let show = env
        .run(["auth", "show", "--namespace", "eve"])
        .env("SIGILUM_BROKER", house.socket());
    let step = show.expect(2).step().to_owned();
    assert_eq!(
        step,
        "sudo -u <broker-user> sigilum-authz-notify auth show --namespace eve"
    );
}

/// Without its broker the home would take the next login, which agents can read.
#[test]
fn a_damaged_record_is_made_anew_with_its_broker() {
    let house = House::new();
    let _broker = house.broker(&[]);
    let gateway = Gateway::new(&house, &[]);
    let path = gateway.env.sigilum("hook.json");
    let record = std::fs::read_to_string(&path).unwrap();
    let socket = house.socket().display().to_string();
    let damaged = [
        (record.trim_end().trim_end_matches('}').to_owned(), true),
        (record.replace("\"uid\": ", "\"uid\": \"x\", \"y\": "), true),
        (format!("{{\"broker\": {{\"socket\": \"{}", &socket[..9]), false),
        ("{\"broker\": {\"socket\": \"x; y\"".to_owned(), false),
    ];
    for (text, is_known) in damaged {
        assert_ne!(text, record);
        gateway.env.write(&path, &text);
        let told = gateway.env.run(["authz", "list"]).output();
        let install = format!("hook install --broker {socket}; give --namespace, ");
        assert_eq!(told.step().contains(&install), is_known, "{text}: {told:#?}");
        if is_known {
            gateway.env.carry_out(&told).expect(0);
        } else {
            assert!(told.step().contains("hook install; give --broker, "), "{told:#?}");
            gateway.env.carry_out(&told).expect(0);
            gateway.install(&house).expect(0);
        }
        assert_eq!(gateway.record()["broker"]["socket"], json!(house.socket()));
        let list = gateway.env.run(["authz", "list"]).expect(0).stdout;
        assert!(list.contains("mail"), "{list}");
    }
    // Whatever others may have written is in no command.
    gateway.env.write(&path, &record[..record.len() - 3]);
    chmod(&path, 0o666);
    let told = gateway.env.run(["authz", "list"]).output();
    let begins = "look at it, then make it anew, with senders, groups and broker: rm ";
    assert!(
        told.step().starts_with(begins) && !told.step().contains(&socket),
        "{told:#?}"
    );
}

/// Who may not ask may by the step; the broker's folder is not known on this side.
#[test]
fn whoever_may_not_ask_may_after_the_step() {
    if !crate::env::can_be_others() {
        return;
    }
    let house = House::new();
    let binary = house.env.home().join("binary");
    let broker = broker_of_a_stranger(&house, &binary, &["--allow-uid", "4321"]);
    let gateway = TestEnv::new();
    gateway.write_config("{}");
    give(gateway.home(), 4322);
    let install = || {
        let run = gateway
            .run_program(&binary, ["hook", "install", "--broker"])
            .args([house.socket()]);
        run.by_user(4322, &[4322])
    };
    let refused = install().expect(6);
    let step = env::command_of(refused.step());
    if std::path::Path::new("/etc/systemd/system/sigilum-authz-notify-broker.service").exists() {
        return;
    }
    assert!(
        refused
            .step()
            .starts_with("whoever runs it stops it and starts it anew, with its other flags too: ")
    );
    let state = house.state().display().to_string();
    let step = step
        .replace("<folder of the broker>", &state)
        .replace("<broker-user>", "nobody");
    broker.stop();
    crate::env::three_users::sudo_of(&house.env, &binary);
    let run = house.env.shell(&format!("exec {step} --allow-uid 4321"));
    let _broker = Broker::started(house.socket(), run.into_command());
    let installed = install().expect(0).stdout;
    assert!(installed.contains("namespace: alice"), "{installed}");
}

/// A path of its folder is a blank, in a command all the same.
#[test]
fn a_step_with_the_brokers_folder_is_a_step() {
    let house = House::new();
    std::fs::remove_file(house.state().join(".sigilum/jwt-secret")).unwrap();
    house
        .env
        .write("state/.sigilum/owner-token-alice.jwt", house.api.token(NS, -60));
    let _broker = house.broker(&[]);
    let gateway = Gateway::new(&house, &[]);
    let told = gateway.env.run(["authz", "list"]).output();
    let (_, words) = told.step().split_once(" sigilum-authz-notify ").unwrap();
    assert!(words.contains(" --openclaw-home '<folder of the broker>'"), "{told:#?}");
    let words = words.replace("<folder of the broker>", house.state().to_str().unwrap());
    let login = house
        .env
        .run(shell_words::split(&words).unwrap())
        .args(["--owner-token-stdin"]);
    login.stdin(house.api.token(NS, 3600)).expect(0);
    gateway.env.run(["authz", "list"]).expect(0);
}

/// Whoever owns another user's home has its record name a broker of theirs: root does not take its words for ours.
#[test]
fn of_another_users_home_no_broker_is_asked() {
    if !crate::env::can_be_others() {
        return;
    }
    let house = House::new();
    let _broker = house.broker(&[]);
    let gateway = Gateway::new(&house, &[]);
    gateway.env.run(["authz", "list"]).expect(0);
    crate::env::three_users::give(&gateway.env.openclaw(), STRANGER);
    for command in [
        "authz list",
        "authz show cl_1",
        "auth status",
        "hook run --event command:new",
    ] {
        let output = gateway.env.run(command.split(' ')).expect(2);
        assert!(
            output
                .stderr
                .contains("only a record of another user's (nobody) names it"),
            "{command}: {}",
            output.stderr
        );
    }
    // Whom a person names is asked.
    let told = gateway.env.run(["authz", "list"]).expect(2);
    let step = told.step().replace("<socket>", house.socket().to_str().unwrap());
    gateway.env.step_then(&step, &["authz", "list"]).expect(0);
    let doctor = gateway.env.run(["doctor"]).output().stdout;
    assert!(doctor.contains("export SIGILUM_BROKER=<socket>"), "{doctor}");
    let doctor = gateway.env.step_then(&step, &["doctor"]).output().stdout;
    let answers = format!("answers for alice, run by the user {}", me());
    assert!(
        doctor.contains(&answers) && !doctor.contains("SIGILUM_BROKER"),
        "{doctor}"
    );
    let status = gateway.env.step_then(&step, &["hook", "status"]).output().stdout;
    assert!(
        status.contains("Broker:        ") && !status.contains("cannot be asked"),
        "{status}"
    );
}
