//! Three users: the OpenClaw gateway's, whose login was moved to a broker's by root; and what may be seen of it.

use crate::env::api::{Api, iso};
use crate::env::three_users::{ThreeUsers, chmod};
use crate::env::watching::{CONFIG, managed_token};
use crate::env::{BROKER, STRANGER, broker_answering, now};
use rustix::process::{Gid, Pid, Signal, Uid, kill_process};
use serde_json::{Value, json};
use std::cell::Cell;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use totp_rs::{Builder, Secret};

/// What the app shares with the broker.
pub const FACTOR: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const SOON: Duration = Duration::from_secs(20);

/// The requests that wait.
pub fn id(number: usize) -> String {
    format!("cl_{number:08x}000000000000000a")
}

/// The three, and the API.
pub struct Stage {
    pub users: ThreeUsers,
    pub api: Api,
    /// What nobody but the broker's user may read.
    pub secrets: Vec<(&'static str, String)>,
    pub socket: PathBuf,
    /// How many decisions had been sent when the requests were made.
    sent: Cell<usize>,
}

impl Stage {
    /// `None`, and said, where we are not root.
    pub fn new() -> Option<Self> {
        let users = ThreeUsers::new()?;
        let api = users.env.managed_api();
        let token = managed_token("alice", 36_000);
        let config = CONFIG.replace("http://127.0.0.1:8787", &api.url());
        users.env.write_config(config.replace("oss-local", "managed"));
        let login = "auth login --mode managed --namespace alice --print-token false --owner-token-stdin";
        let login = users.env.run(login.split(' ')).args(["--api-url", &api.url()]);
        login.stdin(token.clone()).expect(0);
        // OpenClaw's own copy of it, which the owner removes as adopt says.
        let copy = users.env.openclaw().join("openclaw.json.bak");
        std::fs::copy(users.env.config(), &copy).unwrap();
        users.give_home();
        let adopted = users
            .moves("adopt")
            .args(["--mode", "managed", "--api-url", &api.url()])
            .expect(0);
        assert!(adopted.stderr.contains(copy.to_str().unwrap()), "{}", adopted.stderr);
        std::fs::remove_file(&copy).unwrap();
        let signing = "a signing secret of the broker's own, 0123456789".to_owned();
        let stage = Self {
            socket: users.env.home().join("run/broker.sock"),
            secrets: vec![
                ("the owner token", token),
                ("the signing secret", signing.clone()),
                ("the second factor", FACTOR.to_owned()),
            ],
            users,
            api,
            sent: Cell::default(),
        };
        let run = stage.socket.parent().unwrap();
        std::fs::create_dir(run).unwrap();
        chmod(run, 0o755);
        crate::env::three_users::give(run, BROKER);
        stage.keep("jwt-secret", &signing);
        stage.fresh_codes();
        Some(stage)
    }

    /// Puts a file into the broker's folder.
    pub fn keep(&self, name: &str, text: &str) {
        let file = self.users.kept(name);
        std::fs::write(&file, text).unwrap();
        chmod(&file, 0o600);
        crate::env::three_users::give(&file, BROKER);
    }

    /// No code is spent or wrong.
    pub fn fresh_codes(&self) {
        let factor =
            json!({"secret": FACTOR, "spent": null, "wrong": 0, "wrong_at": null, "locks": 0, "locked_until": null});
        self.keep("totp.json", &factor.to_string());
    }

    /// So many requests wait, and nothing was sent yet.
    pub fn requests(&self, count: usize) {
        self.api.clear();
        self.sent.set(self.api.posts().len());
        for number in 0..count {
            let fields =
                json!({"claim_id": id(number), "service": format!("service{number}"), "created_at": iso(now() - 60)});
            self.api.add_claim("alice", fields);
        }
    }

    /// How many decisions were sent since.
    pub fn posts(&self) -> usize {
        self.api.posts().len() - self.sent.get()
    }

    /// A broker that runs, allowed to answer these users.
    pub fn broker(&self, more: &[&str]) -> Broker {
        let run = self
            .users
            .root("broker run")
            .args(["--socket".as_ref(), self.socket.as_os_str()]);
        let run = run.args(["--state".as_ref(), self.users.state.as_os_str()]).args(more);
        let run = run.env("HOME", &self.users.state).cwd(&self.users.state);
        Broker::start(run.by_user(BROKER, &[BROKER]).into_command())
    }

    /// The same for the OpenClaw gateway's user.
    pub fn usual(&self) -> Broker {
        self.broker(&["--decide", "totp", "--allow-uid", &STRANGER.to_string()])
    }

    /// A connection of the OpenClaw gateway's user, on which the requests were shown.
    pub fn shown(&self) -> Client {
        let (mut client, hello) = Client::connect(&self.socket, STRANGER);
        assert_eq!(hello["version"], 1, "{hello}");
        assert!(client.say("list").is_some_and(|list| list.contains("cl_")));
        client
    }

    /// Whether a user is let in before long: the seat of one who left is free by then.
    pub fn is_seated_soon(&self, uid: u32) -> bool {
        let end = Instant::now() + SOON;
        while Instant::now() < end {
            if Client::connect(&self.socket, uid).1["version"] == 1 {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// What a shell script of a user's prints.
    pub fn shell(&self, uid: u32, script: &str) -> String {
        let run = self
            .users
            .env
            .run_program(Path::new("/bin/sh"), ["-c", script])
            .cwd("/");
        let run = match uid {
            0 => run,
            _ => run.by_user(uid, &[uid]),
        };
        let output = run.into_command().stdin(Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Which of the secrets stand in a text.
    pub fn found(&self, text: &str) -> Vec<&'static str> {
        let found = self.secrets.iter().filter(|(_, secret)| text.contains(secret.as_str()));
        found.map(|(name, _)| *name).collect()
    }
}

/// The code of so many steps from now.
pub fn code(steps: i64) -> String {
    let secret = Secret::try_from_base32(FACTOR).unwrap();
    let app = Builder::new().with_secret(secret).build().unwrap();
    app.generate(u64::try_from(now() + 30 * steps).unwrap()).to_string()
}

/// A broker that runs. Killed when dropped.
pub struct Broker {
    child: Child,
    log: Option<JoinHandle<Vec<String>>>,
}

impl Broker {
    fn start(mut command: Command) -> Self {
        let (child, log) = broker_answering(command.stdin(Stdio::null()).stdout(Stdio::null()));
        Self { child, log: Some(log) }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it, and gives what it logged.
    pub fn end(mut self) -> Vec<String> {
        let log = self.log.take();
        drop(self);
        log.map_or_else(Vec::new, |log| log.join().unwrap())
    }

    /// Whether it ended by itself, or was ended.
    pub fn wait_for_end(&mut self) -> bool {
        let end = std::time::Instant::now() + SOON;
        while std::time::Instant::now() < end {
            if self.child.try_wait().unwrap().is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Whether it runs.
    pub fn is_there(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = kill_process(Pid::from_child(&self.child), Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// One connection, by a user.
pub struct Client {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
    last: u64,
}

/// Does it as a user: a user's number is a thread's own.
pub fn as_user<T: Send>(uid: u32, act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            rustix::thread::set_thread_groups(&[]).unwrap();
            rustix::thread::set_thread_gid(Gid::from_raw(uid)).unwrap();
            rustix::thread::set_thread_uid(Uid::from_raw(uid)).unwrap();
            act()
        });
        thread.join().unwrap()
    })
}

impl Client {
    /// Connects as a user, and hears the first line.
    pub fn connect(socket: &Path, uid: u32) -> (Self, Value) {
        let stream = as_user(uid, || UnixStream::connect(socket)).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap());
        let mut client = Self { stream, lines, last: 0 };
        let hello = client.hear().and_then(|line| serde_json::from_str(&line).ok());
        (client, hello.unwrap_or_default())
    }

    /// Sends bytes; `false` where they are not taken.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next line.
    pub fn hear(&mut self) -> Option<String> {
        let mut line = Vec::new();
        match self.lines.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(String::from_utf8_lossy(&line).into_owned()),
        }
    }

    fn ask(&mut self, line: &Value) -> Option<Value> {
        let sent = self.send(format!("{line}\n").as_bytes());
        let heard = sent.then(|| self.hear()).flatten()?;
        serde_json::from_str(&heard).ok()
    }

    /// A command of the owner's. What is answered first; `None` where the broker is gone.
    pub fn begin(&mut self, text: &str) -> Option<Value> {
        self.last += 1;
        let command = json!({"id": self.last, "asking": {"deciders": ["telegram:1"]}, "command": {"text": text,
            "channel": "telegram", "senderId": "1", "from": "telegram:1", "chatType": "direct", "senderIsOwner": true,
            "canAssertOwner": true, "gatewayClientScopes": null}});
        self.ask(&command)
    }

    /// The gateway's word that it is theirs, and what is said then.
    pub fn confirm(&mut self) -> Option<String> {
        let answer = self.ask(&json!({"id": self.last, "confirmed": true}))?;
        Some(reply(&answer))
    }

    /// Both.
    pub fn say(&mut self, text: &str) -> Option<String> {
        let answer = self.begin(text)?;
        match answer.get("confirm") {
            Some(_) => self.confirm(),
            None => Some(reply(&answer)),
        }
    }
}

fn reply(answer: &Value) -> String {
    answer["reply"]["text"].as_str().unwrap_or_default().to_owned()
}

/// A socket of the OpenClaw gateway's user that says what a broker does. Gives how many have connected.
pub fn false_broker(socket: &Path) -> Arc<AtomicUsize> {
    let listener = as_user(STRANGER, || UnixListener::bind(socket)).unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
            let hello = r#"{"sigilum-authz-notify":"broker","version":1,"account":"x","namespaces":["alice"]}"#;
            let _ = writeln!(&stream, "{hello}");
        }
    });
    count
}
