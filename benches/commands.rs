//! What a person waits for: every command as a whole process, warm, in a throw-away home on a real disk.
//!
//! What a command changes is put back before each round, outside the time. Where strace and GNU time are installed, one
//! more round counts the fsyncs, and another the memory.

use crate::env::api::Api;
use crate::env::gateway::Gateway;
use crate::env::services::Desk;
use crate::env::{Run, TestEnv, broker_answering};
use crate::kernel::{cpu_time_of, cpu_time_of_children, memory_of};
use crate::scenes;
use crate::table::Row;
use crate::tree::{self, Tree};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const ROUNDS: usize = 100;
const API_SECRET: &str = "the secret of the measured API";

/// A command, and what is there when it starts.
struct Case {
    name: &'static str,
    /// Whether it changes anything, so that it must be put back.
    changes: bool,
    prepare: fn(&Desk),
    run: fn(&Desk) -> Run,
}

pub fn measure(only: &str) {
    for case in cases().into_iter().filter(|case| case.name.contains(only)) {
        Stage::new(&case).measure(&case);
    }
    if SERVE.contains(only) {
        serve_from_the_start();
        serve_resident();
    }
    if BROKER.contains(only) {
        broker();
    }
}

fn cases() -> Vec<Case> {
    let case = |changes| {
        move |name, prepare, run| Case {
            name,
            changes,
            prepare,
            run,
        }
    };
    let (looks, changes) = (case(false), case(true));
    vec![
        looks("--version: nothing", nothing, |desk| desk.env.run(["--version"])),
        changes("auth login, the first: makes a database", config, scenes::login),
        // Over an older token: one of the same second would be the same one, and nothing to write.
        changes("auth login, again", scenes::due, scenes::login),
        changes("auth login, again, managed", scenes::logged_in_managed, |desk| {
            scenes::login_managed(desk)
        }),
        changes("auth refresh", scenes::due, scenes::refresh),
        looks("auth show", scenes::logged_in, |desk| alice(desk, "auth show")),
        looks("auth status", scenes::logged_in, |desk| alice(desk, "auth status")),
        changes("auth logout", scenes::logged_in, |desk| alice(desk, "auth logout")),
        changes("service add, new", nothing, scenes::add_native),
        looks(
            "service add, again",
            |desk| drop(scenes::add_native(desk).expect(0)),
            scenes::add_native,
        ),
        changes("service add, new, gateway mode", nothing, |desk| desk.add_linear([])),
        looks("service add, again, gateway mode", scenes::added, |desk| {
            desk.add_linear([])
        }),
        looks("service list", scenes::added, |desk| desk.run(["service", "list"])),
        looks("service list, 10,000 services", ten_thousand, |desk| {
            desk.run(["service", "list"])
        }),
        changes("service secret set", scenes::added, scenes::set_secret),
        changes("service rotate-key", scenes::added, |desk| {
            desk.run(["service", "rotate-key", "linear"])
        }),
        changes("service remove", scenes::added, |desk| {
            desk.run(["service", "remove", "linear", "--yes"])
        }),
        changes("hook install", scenes::logged_in, scenes::install),
        changes("hook install, as plugin", scenes::logged_in, |desk| {
            alice(desk, "hook install --as plugin")
        }),
        looks("hook install, again", scenes::installed, scenes::install),
        changes("hook uninstall", scenes::installed, scenes::uninstall),
        looks("hook status", scenes::installed, |desk| alice(desk, "hook status")),
        looks("hook run, an event that is not ours", five_pending, |desk| {
            hook_run(desk, &json!({"type": "message"}))
        }),
        looks("hook run, /new, five pending", five_pending, |desk| {
            hook_run(desk, &new_command(&desk.env))
        }),
        looks("authz list, 1,000 pending", thousand_pending, |desk| {
            alice(desk, "authz list")
        }),
        changes("authz approve, by its whole id", one_approved, approve),
        looks("watch --once, nothing due", scenes::logged_in, scenes::watch),
        changes("watch --once, a renewal", scenes::due, scenes::watch),
        looks("watch --print-unit systemd", scenes::logged_in, |desk| {
            alice(desk, "watch --print-unit systemd")
        }),
        changes("demo", nothing, |desk| {
            desk.env.run(["demo"]).env("TMPDIR", desk.env.home())
        }),
    ]
}

fn nothing(_: &Desk) {}

fn config(desk: &Desk) {
    desk.env.write_config(scenes::CONFIG);
}

fn ten_thousand(desk: &Desk) {
    scenes::added(desk);
    let insert = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
         INSERT INTO services (id, owner_user_id, name, slug)
         SELECT 's' || i, (SELECT owner_user_id FROM services), 'Service', 'slug-' || i FROM n";
    desk.db().execute_batch(insert).expect("10,000 services");
}

/// Logged in at an API that has five requests for alice.
fn five_pending(desk: &Desk) {
    log_in_at(desk, api());
}

/// Logged in at that API.
fn log_in_at(desk: &Desk, api: &Api) {
    config(desk);
    let login = scenes::login(desk).args(["--api-url", &api.url()]);
    login.env("JWT_SECRET", API_SECRET).expect(0);
}

fn thousand_pending(desk: &Desk) {
    static API: OnceLock<Api> = OnceLock::new();
    let api = API.get_or_init(|| {
        let api = Api::start(API_SECRET);
        for _ in 0..1000 {
            api.add_claim("alice", json!({"agent_name": "worker"}));
        }
        api
    });
    log_in_at(desk, api);
}

/// An API of its own for what is approved: the next round asks anew.
fn asking() -> &'static Api {
    static API: OnceLock<Api> = OnceLock::new();
    API.get_or_init(|| Api::start(API_SECRET))
}

/// The log of decisions is there: only the first approval of a home makes it.
fn one_approved(desk: &Desk) {
    log_in_at(desk, asking());
    approve(desk).expect(0);
}

/// Each round a request of the same agent for another service.
fn approve(desk: &Desk) -> Run {
    static ROUND: AtomicU32 = AtomicU32::new(0);
    let id = format!("cl_{:024x}", ROUND.fetch_add(1, Ordering::Relaxed));
    asking().ask("alice", &format!("service-{id}"), "ed25519:AAAA", &id);
    alice(desk, &format!("authz approve {id} --yes"))
}

/// A loopback API with five requests for alice; it ends with this process.
pub fn api() -> &'static Api {
    static API: OnceLock<Api> = OnceLock::new();
    API.get_or_init(|| {
        let api = Api::start(API_SECRET);
        for _ in 0..5 {
            api.add_claim("alice", json!({"agent_name": "worker"}));
        }
        api
    })
}

fn alice(desk: &Desk, args: &str) -> Run {
    desk.env.run(args.split(' ')).env("SIGILUM_NAMESPACE", "alice")
}

fn hook_run(desk: &Desk, event: &Value) -> Run {
    desk.env.run(["hook", "run"]).stdin(event.to_string())
}

/// `/new` in a direct chat, as the hook's handler and the plugin hand it over.
fn new_command(env: &TestEnv) -> Value {
    json!({"id": 1, "type": "command", "action": "new", "sessionKey": "agent:main:main", "chatType": "direct",
        "home": env.openclaw(), "env": env.entry().expect("an entry")["env"]})
}

/// A home where a command is run again and again.
struct Stage {
    desk: Desk,
    before: Tree,
    /// The gateway's connection, where there is one.
    connection: Option<Value>,
}

impl Stage {
    fn new(case: &Case) -> Self {
        let desk = Desk::new();
        (case.prepare)(&desk);
        let connection = desk.gateway.connection("linear").map(|is| {
            json!({"id": "linear", "name": is["name"], "base_url": is["base_url"], "auth_mode": is["auth_mode"],
                "auth_header_name": is["auth_header_name"], "auth_prefix": is["auth_prefix"],
                "auth_secret_key": is["auth_secret_key"], "secrets": desk.gateway.secrets("linear")})
        });
        Self {
            before: tree::take(desk.env.home()),
            connection,
            desk,
        }
    }

    /// Everything as it was before, on the disk too, so that no fsync of the command has to wait for it.
    fn again(&mut self) {
        let home = self.desk.env.home();
        tree::put(home, &self.before);
        let gateway = Gateway::start();
        gateway.home(home.join("gateway-home"));
        if let Some(connection) = &self.connection {
            gateway.given(connection.clone());
        }
        File::open(home).and_then(|home| home.sync_all()).expect("a sync");
        self.desk.gateway = gateway;
    }

    fn measure(mut self, case: &Case) {
        let mut run = || {
            if case.changes {
                self.again();
            }
            (case.run)(&self.desk)
        };
        run().expect(0);
        let before = cpu_time_of_children();
        let wall: Vec<Duration> = (0..ROUNDS)
            .map(|_| {
                let run = run();
                let started = Instant::now();
                let output = run.output();
                let took = started.elapsed();
                assert_eq!(output.code, 0, "{}: {}", case.name, output.stderr);
                took
            })
            .collect();
        let row = Row {
            wall,
            cpu: each(before, cpu_time_of_children()),
            fsyncs: fsyncs(&mut run),
            peak: peak_memory(&mut run),
            ..Row::default()
        };
        row.print(case.name);
    }
}

fn fsyncs(run: &mut dyn FnMut() -> Run) -> Option<usize> {
    installed("strace")?;
    let dir = tempfile::tempdir().ok()?;
    let trace = dir.path().join("trace");
    let options = ["-f", "-qq", "-e", "trace=fsync,fdatasync", "-o", trace.to_str()?];
    run().under("strace", options).expect(0);
    let trace = std::fs::read_to_string(trace).ok()?;
    Some(trace.lines().filter(|line| line.contains("sync(")).count())
}

/// In kB.
fn peak_memory(run: &mut dyn FnMut() -> Run) -> Option<f64> {
    installed("time")?;
    let output = run().under("time", ["-f", "%M"]).expect(0);
    output.stderr.lines().last()?.trim().parse().ok()
}

fn installed(program: &str) -> Option<()> {
    let path = std::env::var_os("PATH")?;
    let there = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    there.then_some(())
}

const SERVE: &str = "serve --stdio, /new, five pending";

/// A resident process, asked as the plugin asks it.
struct Resident {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Resident {
    fn start(env: &TestEnv) -> Self {
        let mut child = env
            .run(["serve", "--stdio", "--openclaw-home"])
            .args([env.openclaw()])
            .into_command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the process starts");
        let answers = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, answers }
    }

    fn ask(&mut self, question: &str) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        stdin.write_all(question.as_bytes()).expect("a question");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("an answer");
        assert!(answer.contains("5 "), "{answer}");
    }

    fn end(mut self) {
        drop(self.child.stdin.take());
        let status = self.child.wait().expect("the process ends");
        assert!(status.success(), "{status}");
    }
}

/// A home, and the question that is asked in it.
fn asked() -> (Desk, String) {
    let desk = Desk::new();
    five_pending(&desk);
    let question = format!("{}\n", new_command(&desk.env));
    (desk, question)
}

fn serve_from_the_start() {
    let (desk, question) = asked();
    let before = cpu_time_of_children();
    let wall: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            let mut resident = Resident::start(&desk.env);
            resident.ask(&question);
            let took = started.elapsed();
            resident.end();
            took
        })
        .collect();
    let row = Row {
        wall,
        cpu: each(before, cpu_time_of_children()),
        note: "from its start to the answer; CPU to its end".to_owned(),
        ..Row::default()
    };
    row.print(SERVE);
}

fn serve_resident() {
    let (desk, question) = asked();
    let mut resident = Resident::start(&desk.env);
    resident.ask(&question);
    let pid = resident.child.id();
    let before = cpu_time_of(pid);
    let wall: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            resident.ask(&question);
            started.elapsed()
        })
        .collect();
    let row = Row {
        wall,
        cpu: each(before, cpu_time_of(pid)),
        peak: memory_of(pid),
        note: "memory: afterwards".to_owned(),
        ..Row::default()
    };
    resident.end();
    row.print("serve --stdio, resident: each further event");
}

const BROKER: &str = "broker run: the same over its socket";

/// The same question as of [`serve_resident`], and what a broker costs that nobody asks.
fn broker() {
    const IDLE: Duration = Duration::from_secs(10);
    let (env, api) = (TestEnv::new(), Api::start(API_SECRET));
    let record = json!({"mode": "oss-local", "api_url": api.url(), "email": "alice@local.sigilum"});
    env.write("state/.sigilum/owner-alice.json", record.to_string());
    env.write("state/.sigilum/owner-token-alice.jwt", api.token("alice", 3600));
    for number in 0..5 {
        api.add_claim("alice", json!({"service": format!("service-{number}")}));
    }
    env.write("run/.keep", "");
    let socket = env.home().join("run/broker.sock");
    let run = env.run(["broker", "run", "--socket"]).args([&socket]);
    let mut command = run.args(["--state"]).args([env.home().join("state")]).into_command();
    let (mut child, _log) = broker_answering(command.stdin(Stdio::null()).stdout(Stdio::null()));
    let mut stream = UnixStream::connect(&socket).expect("it answers");
    let mut lines = BufReader::new(stream.try_clone().expect("a second handle"));
    lines.read_line(&mut String::new()).expect("its first line");
    let question =
        json!({"id": 1, "type": "command", "action": "new", "sessionKey": "agent:main:main", "chatType": "direct"});
    let mut ask = || {
        stream
            .write_all(format!("{question}\n").as_bytes())
            .expect("a question");
        let mut answer = String::new();
        lines.read_line(&mut answer).expect("an answer");
        assert!(answer.contains("5 "), "{answer}");
    };
    ask();
    let before = cpu_time_of(child.id());
    let wall: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            ask();
            started.elapsed()
        })
        .collect();
    let cpu = each(before, cpu_time_of(child.id()));
    let before = cpu_time_of(child.id()).unwrap_or_default();
    std::thread::sleep(IDLE);
    let idle = cpu_time_of(child.id()).unwrap_or_default().saturating_sub(before);
    let row = Row {
        wall,
        cpu,
        peak: memory_of(child.id()),
        note: format!("memory: afterwards; idle for {IDLE:?}: {idle:?} of CPU"),
        ..Row::default()
    };
    child.kill().and_then(|()| child.wait()).expect("it ends");
    row.print(BROKER);
}

/// The CPU time of one round.
fn each(before: Option<Duration>, after: Option<Duration>) -> Option<Duration> {
    let all = after?.saturating_sub(before?);
    Some(all / ROUNDS as u32)
}
