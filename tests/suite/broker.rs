//! `broker run`: the process of another user that keeps the owner token, over real sockets.

use crate::env;

use env::TestEnv;
use env::api::Api;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

const NS: &str = "alice";
const SOON: Duration = Duration::from_secs(20);

/// A broker's folder, in which alice is logged in at an API on loopback.
pub struct House {
    pub env: TestEnv,
    pub api: Api,
    /// The token in it.
    pub token: String,
}

/// A broker that runs.
pub struct Broker {
    pub socket: PathBuf,
    child: Child,
}

/// One connection to it.
pub struct Client {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
}

impl House {
    pub fn new() -> Self {
        let (env, api) = (TestEnv::new(), Api::start("the-secret"));
        let token = api.token(NS, 3600);
        let house = Self { env, api, token };
        let record = json!({"mode": "oss-local", "api_url": house.api.url(), "email": "alice@local.sigilum"});
        house.env.write("state/.sigilum/owner-alice.json", record.to_string());
        house.env.write("state/.sigilum/owner-token-alice.jwt", &house.token);
        house
            .env
            .write("state/.sigilum/jwt-secret", "the-secret of this very house");
        house.env.write("run/.keep", "");
        house.api.add_claim(NS, json!({"service": "mail"}));
        house
    }

    pub fn state(&self) -> PathBuf {
        self.env.home().join("state")
    }

    pub fn socket(&self) -> PathBuf {
        self.env.home().join("run/broker.sock")
    }

    /// The broker, as this user.
    pub fn broker(&self, more: &[&str]) -> Broker {
        let run = self.env.run(["broker", "run", "--socket"]).args([self.socket()]);
        let run = run.args(["--state"]).args([self.state()]).args(more);
        Broker::started(self.socket(), run.into_command())
    }
}

impl Broker {
    /// Once it answers.
    pub fn started(socket: PathBuf, mut command: std::process::Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        loop {
            let Some(Ok(line)) = log.next() else {
                panic!("it ended: {said:#?}")
            };
            if line.contains("answering as") {
                break;
            }
            said.push(line);
        }
        std::thread::spawn(move || log.for_each(drop));
        Self { socket, child }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn connect(&self) -> Client {
        Client::to(&self.socket)
    }

    /// Ends it as a service manager does.
    pub fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Client {
    pub fn to(socket: &std::path::Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap());
        Self { stream, lines }
    }

    pub fn say(&mut self, line: &Value) {
        writeln!(self.stream, "{line}").unwrap();
    }

    /// The next line; `None` where there is none any more.
    pub fn hear(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.lines.read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap()),
        }
    }

    pub fn ask(&mut self, line: &Value) -> Value {
        self.say(line);
        self.hear().expect("no answer")
    }
}

/// `/new` in a direct chat.
pub fn new_command(id: u64) -> Value {
    json!({"id": id, "type": "command", "action": "new", "sessionKey": "agent:main:main", "chatType": "direct"})
}

#[test]
fn it_answers_what_serve_does_and_what_a_terminal_asks() {
    let house = House::new();
    let broker = house.broker(&[]);
    assert_eq!(env::mode(&broker.socket), 0o666);
    let mut client = broker.connect();
    let hello = client.hear().unwrap();
    assert_eq!(
        (
            &hello["sigilum-authz-notify"],
            &hello["version"],
            &hello["namespaces"],
            &hello["namespace"]
        ),
        (&json!("broker"), &json!(1), &json!([NS]), &json!(NS))
    );
    let answer = client.ask(&new_command(1));
    assert!(
        answer["messages"][0].as_str().unwrap().contains("service \"mail\""),
        "{answer}"
    );
    // In a group the record of whoever asks counts.
    let mut in_group = new_command(2);
    in_group["chatType"] = json!("group");
    in_group["asking"] = json!({"groups": "off"});
    assert_eq!(client.ask(&in_group)["messages"], json!([]));
    in_group["asking"] = json!({"groups": "brief", "later": 1});
    assert_eq!(client.ask(&in_group)["messages"].as_array().unwrap().len(), 1);
    let list = client.ask(&json!({"id": 3, "list": {"status": "pending"}}));
    assert!(list["text"].as_str().unwrap().contains("mail"), "{list}");
    let json_list = client.ask(&json!({"id": 4, "list": {"status": "pending", "json": true}}));
    let requests: Value = serde_json::from_str(json_list["text"].as_str().unwrap()).unwrap();
    let id = requests["requests"][0]["claim_id"].as_str().unwrap();
    let shown = client.ask(&json!({"id": 5, "show": {"id": id}}));
    assert!(shown["text"].as_str().unwrap().contains("service: mail"), "{shown}");
    assert!(shown["notes"][0].as_str().unwrap().contains("sudo -u "), "{shown}");
    let status = client.ask(&json!({"id": 6, "status": {}}));
    assert_eq!(
        (&status["status"]["namespace"], &status["status"]["token"]),
        (&json!(NS), &json!(true))
    );
    for (asked, code) in [
        (json!({"id": 7, "show": {"id": "cl_none"}}), 1),
        (json!({"id": 7, "list": {"status": "lost"}}), 2),
        (
            json!({"id": 7, "list": {"status": "pending"}, "asking": {"namespace": "bob"}}),
            4,
        ),
    ] {
        let answer = client.ask(&asked);
        assert_eq!(answer["failed"]["code"], code, "{answer}");
    }
    broker.stop();
    assert!(!house.socket().exists());
}
