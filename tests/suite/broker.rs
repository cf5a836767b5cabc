//! `broker run`: the process of another user that keeps the owner token, over real sockets; its gateway's side in
//! `broker/gateway.rs`, many and hostile clients in `crowd.rs` and `limits.rs`.

mod crowd;
mod gateway;
mod limits;

use crate::env;

use env::TestEnv;
use env::api::Api;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Child;
use std::thread::JoinHandle;
use std::time::Duration;

const NS: &str = "alice";
/// A signing secret that lies in its folder.
const SECRET: &str = "the-secret of this very house";
const SOON: Duration = Duration::from_secs(60);

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
    log: Option<JoinHandle<Vec<String>>>,
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
        house.env.write("state/.sigilum/owner-alice.json", house.record_of(NS));
        house.env.write("state/.sigilum/owner-token-alice.jwt", &house.token);
        house.env.write("state/.sigilum/jwt-secret", SECRET);
        house.env.write("run/.keep", "");
        house.api.add_claim(NS, json!({"service": "mail"}));
        house
    }

    /// The record of a login at its API.
    pub fn record_of(&self, namespace: &str) -> String {
        let email = format!("{namespace}@local.sigilum");
        json!({"mode": "oss-local", "api_url": self.api.url(), "email": email}).to_string()
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
        let (child, log) = env::broker_answering(&mut command);
        Self {
            socket,
            child,
            log: Some(log),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn connect(&self) -> Client {
        Client::to(&self.socket)
    }

    /// Ends it as a service manager does; gives what it logged.
    pub fn stop(mut self) -> Vec<String> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
        self.log.take().unwrap().join().unwrap()
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
        Self::over(UnixStream::connect(socket).unwrap())
    }

    /// As another user; only root can.
    pub fn by_user(socket: &std::path::Path, uid: u32, gid: u32) -> Self {
        let connect = || {
            become_user(uid, gid);
            UnixStream::connect(socket).unwrap()
        };
        Self::over(std::thread::scope(|scope| scope.spawn(connect).join().unwrap()))
    }

    fn over(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(SOON)).unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap());
        Self { stream, lines }
    }

    pub fn say(&mut self, line: &Value) {
        writeln!(self.stream, "{line}").unwrap();
    }

    pub fn say_raw(&mut self, line: &str) {
        writeln!(self.stream, "{line}").unwrap();
    }

    /// The next line as it came.
    pub fn raw(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    /// The next line; `None` where there is none any more.
    pub fn hear(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.lines.read_line(&mut line) {
            // Cut off, it is none.
            Ok(_) if !line.ends_with('\n') => None,
            Err(_) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap()),
        }
    }

    pub fn ask(&mut self, line: &Value) -> Value {
        self.say(line);
        self.hear().expect("no answer")
    }
}

/// Makes this thread another user's, whose number is a thread's own; only root can.
fn become_user(uid: u32, gid: u32) {
    rustix::thread::set_thread_groups(&[]).unwrap();
    rustix::thread::set_thread_gid(rustix::process::Gid::from_raw(gid)).unwrap();
    rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(uid)).unwrap();
}

/// Waits until something holds; fails where it never does.
fn wait_for(what: &str, holds: impl FnMut() -> bool) {
    assert!(env::watching::wait_until(holds), "not within the time: {what}");
}

fn chmod(path: &std::path::Path, mode: u32) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
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

#[test]
fn what_has_the_sockets_name_stays_unless_a_broker_of_ours_left_it() {
    let house = House::new();
    let ends = |socket: &str| {
        let run = house.env.run(["broker", "run", "--socket", socket, "--state"]);
        let output = run.args([house.state()]).output();
        assert!([1, 2].contains(&output.code), "{output:?}");
        output.stderr
    };
    let broker = house.broker(&[]);
    let socket = house.socket();
    let told = ends(socket.to_str().unwrap());
    assert!(told.contains("another process of this user answers there"));
    assert!(
        told.contains("next: stop that one first, or give another path with --socket"),
        "{told}"
    );
    broker.connect().hear().unwrap();
    // Killed, it leaves the socket, which the next one replaces.
    drop(broker);
    assert!(socket.exists());
    let broker = house.broker(&[]);
    broker.connect().hear().unwrap();
    broker.stop();
    let file = house.env.write("run/file", "mine");
    let told = ends(file.to_str().unwrap());
    assert!(told.contains("something else has that name"));
    assert!(
        told.contains("next: give another path with --socket, or look at what is there"),
        "{told}"
    );
    house.broker(&[]).stop();
    // What cannot be a socket's place is said with what helps.
    let missing = house.env.home().join("no/ne");
    let step = format!("next: make the folder first: mkdir -p -m 755 {}", missing.display());
    let told = ends(missing.join("broker.sock").to_str().unwrap());
    assert!(told.contains(&step));
    let make = told.rsplit("make the folder first: ").next().unwrap();
    house.env.shell(make).expect(0);
    let run = house
        .env
        .run(["broker", "run", "--socket"])
        .args([missing.join("broker.sock")]);
    let run = run.args(["--state".into(), house.state()]);
    Broker::started(missing.join("broker.sock"), run.into_command()).stop();
    let long = format!("/run/{}", "x".repeat(110));
    assert!(ends(&long).contains("next: give a shorter path with --socket"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    let open = house.env.home().join("open");
    std::fs::create_dir(&open).unwrap();
    chmod(&open, 0o777);
    let mark = house.state().join(".sigilum/broker");
    std::fs::remove_file(&mark).unwrap();
    assert!(ends(open.join("x.sock").to_str().unwrap()).contains("others could replace files in it"));
    assert!(!mark.exists(), "nothing answers from there");
}

/// Whoever starts it does what the step says, and it answers.
#[test]
fn a_broker_that_does_not_come_up_does_after_its_step() {
    let house = House::new();
    let run = |more: &[&str]| {
        let run = house.env.run(["broker", "run", "--state"]).args([house.state()]);
        run.args(more)
    };
    let answers = |run: env::Run| drop(Broker::started(house.socket(), run.into_command()).stop());
    let socket = house.socket();
    let there = ["--socket", socket.to_str().unwrap()];
    assert_eq!(run(&[]).expect(2).step(), "add --socket <path>");
    answers(run(&there));
    for flag in ["--allow-uid", "--allow-gid"] {
        let told = run(&there).args([flag, "nobody-of-this-name"]).expect(2);
        assert_eq!(told.step(), format!("give {flag} a name that is there, or a number"));
        answers(run(&there).args([flag, "0"]));
    }
    let script = r#"exec 3</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@""#;
    let told = run(&[]).under("sh", ["-c", script, "sh"]).expect(1);
    let step = "have it make a Unix stream socket that listens, or none: then add --socket <path>";
    assert_eq!(told.step(), step);
    answers(run(&there));
}

#[test]
fn its_unit_names_a_program_that_only_root_can_write() {
    let house = House::new();
    let copy = house.env.home().join("binary");
    env::copy_binary(&copy);
    // In a folder of somebody's own.
    let print = |kind: &str| {
        let run = house.env.run_program(
            &copy,
            ["broker", "run", "--allow-uid", "openclaw", "--print-unit", kind],
        );
        run.output()
    };
    if rustix::process::geteuid().is_root() {
        let unit = print("systemd").stdout;
        let command = format!("ExecStart={} broker run --socket ", copy.display());
        assert!(
            unit.contains(&command) && unit.contains("--allow-uid openclaw"),
            "{unit}"
        );
        assert!(!unit.contains("{{"), "{unit}");
        assert!(print("launchd").stdout.contains("<string>--allow-uid</string>"));
        let refused = house
            .env
            .run_program(&copy, ["broker", "run", "--print-unit", "systemd"])
            .expect(2);
        assert_eq!(refused.step(), "add --allow-uid <openclaw-user>");
        chmod(&copy, 0o757);
    }
    for kind in ["systemd", "launchd"] {
        let refused = print(kind);
        assert_eq!(refused.code, 1);
        assert!(refused.stderr.contains("others than root can change it"), "{refused:?}");
        if rustix::process::geteuid().is_root() {
            // Into a folder of ours, and not into the system's.
            let step = refused
                .step()
                .replace("/usr/local/bin", house.env.home().to_str().unwrap())
                .replace(OF_LAUNCHD, house.env.home().to_str().unwrap())
                .replace("sudo ", "")
                .replace("<the same flags>", "--allow-uid openclaw");
            let unit = house.env.shell(&step).expect(0).stdout;
            assert_eq!(unit.contains("ExecStart="), kind == "systemd", "{unit}");
            std::fs::remove_file(house.env.home().join("sigilum-authz-notify")).unwrap();
        }
    }
    assert!(print("sysusers").stdout.contains("u sigilum-authz-notify - "));
}

/// Where the former is not root's alone, as Homebrew's is not.
const OF_LAUNCHD: &str = "/Library/PrivilegedHelperTools";

/// The system's folder is this one there.
fn in_the_systems_folder(run: env::Run, folder: &std::path::Path) -> env::Run {
    let script = r#"mount --bind "$0" /usr/local/bin && exec "$@""#;
    run.under("unshare", ["--mount", "sh", "-c", script, folder.to_str().unwrap()])
}

/// What others can change is named, and is root's after the step: the system's folder, and the program in it.
#[test]
fn where_the_systems_folder_is_not_roots_the_step_makes_it_so() {
    if !env::can_be_others() {
        return;
    }
    let house = House::new();
    let folder = house.env.home().join("of the system");
    std::fs::create_dir(&folder).unwrap();
    let there = std::path::Path::new("/usr/local/bin/sigilum-authz-notify");
    if in_the_systems_folder(house.env.run_program("true".as_ref(), [""; 0]), &folder)
        .output()
        .code
        != 0
    {
        eprintln!("SKIPPED: nothing can be mounted here");
        return;
    }
    let theirs = house.env.home().join("theirs");
    let open = |path: &std::path::Path, uid| {
        std::os::unix::fs::lchown(path, Some(uid), Some(50)).unwrap();
        chmod(path, 0o775);
    };
    for (program, is_link) in [(theirs.as_path(), false), (there, false), (theirs.as_path(), true)] {
        let in_folder = folder.join("sigilum-authz-notify");
        let _ = std::fs::remove_file(&in_folder);
        let file = if program == there { &in_folder } else { &theirs };
        env::copy_binary(file);
        open(file, env::STRANGER);
        open(&folder, if is_link { 0 } else { env::STRANGER });
        if is_link {
            std::os::unix::fs::symlink(&theirs, &in_folder).unwrap();
        }
        let print = |kind| {
            let print = house.env.run_program(program, ["broker", "run", "--print-unit", kind]);
            in_the_systems_folder(print.args(["--allow-uid", "openclaw"]), &folder).expect(1)
        };
        let of_launchd = print("launchd");
        assert!(
            of_launchd.step().contains(OF_LAUNCHD) && !of_launchd.step().contains("chown root /usr/local"),
            "{of_launchd:#?}"
        );
        let refused = print("systemd");
        assert_eq!(
            refused.step().contains("sudo chown root /usr/local/bin "),
            !is_link,
            "{refused:#?}"
        );
        assert!(
            refused.step().contains("sudo chmod go-w /usr/local/bin "),
            "{refused:#?}"
        );
        env::three_users::sudo_of(&house.env, env::BINARY.as_ref());
        let step = refused.step().replace("<the same flags>", "--allow-uid openclaw");
        let unit = in_the_systems_folder(house.env.shell(&step), &folder).expect(0).stdout;
        assert!(
            unit.contains(&format!("ExecStart={} broker run ", there.display())),
            "{unit}"
        );
    }
}

/// Who trusts whoever can write there says so to the broker too.
#[test]
fn a_broker_trusts_whom_its_user_trusts() {
    if !env::can_be_others() {
        return;
    }
    let house = House::new();
    let theirs = house.env.home().join("theirs");
    std::fs::create_dir(&theirs).unwrap();
    std::os::unix::fs::lchown(&theirs, Some(env::STRANGER), Some(env::STRANGER)).unwrap();
    let (state, program) = (theirs.join("state"), theirs.join("sigilum-authz-notify"));
    let socket = house.socket();
    std::fs::rename(house.state(), &state).unwrap();
    env::copy_binary(&program);
    let args = [
        "broker",
        "run",
        "--socket",
        socket.to_str().unwrap(),
        "--state",
        state.to_str().unwrap(),
    ];
    let offers = ", or, if you trust everybody who can write there: export SIGILUM_TRUST_HOME=1";
    for (program, what) in [
        (env::BINARY, "use a folder of your own"),
        (
            program.to_str().unwrap(),
            "use a program that only you and root can change",
        ),
    ] {
        let refused = house.env.run_program(program.as_ref(), args).expect(1);
        assert_eq!(refused.step(), format!("{what}{offers}"));
        let step = env::command_of(refused.step());
        let run = house
            .env
            .shell(&format!("{step}\nexec {program} {}", shell_words::join(args)));
        Broker::started(house.socket(), run.into_command()).stop();
    }
}

#[test]
fn it_takes_the_socket_that_a_service_manager_made() {
    let house = House::new();
    let listener = std::os::unix::net::UnixListener::bind(house.socket()).unwrap();
    let script = r#"exec 3<&0 0</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@""#;
    let run = house.env.run(["broker", "run", "--state"]).args([house.state()]);
    let mut command = run.under("sh", ["-c", script, "sh"]).into_command();
    command.stdin(std::os::fd::OwnedFd::from(listener));
    let broker = Broker::started(house.socket(), command);
    let mut client = broker.connect();
    client.hear().unwrap();
    let answer = client.ask(&new_command(1));
    assert!(answer["messages"][0].as_str().unwrap().contains("mail"), "{answer}");
}

#[test]
fn what_others_could_read_is_private_before_it_answers() {
    let house = House::new();
    let folder = house.state().join(".sigilum");
    let token = folder.join("owner-token-alice.jwt");
    chmod(&folder, 0o755);
    chmod(&token, 0o644);
    let broker = house.broker(&[]);
    broker.connect().hear().unwrap();
    assert_eq!((env::mode(&folder), env::mode(&token)), (0o700, 0o600));
}

/// A login of before it first ran makes the config that an OpenClaw would read; no OpenClaw runs there.
#[test]
fn a_config_that_a_login_made_goes_and_what_a_person_wrote_stays() {
    for persons in [None, Some("{ /* mine */ }\n")] {
        let house = House::new();
        let config = house.state().join("openclaw.json");
        if let Some(text) = persons {
            house.env.write("state/openclaw.json", text);
        }
        let login = "auth login --mode oss-local --no-check --print-token false --namespace bob";
        let run = house.env.run(login.split(' ')).args(["--openclaw-home"]);
        run.args([house.state()]).expect(0);
        assert!(config.exists());
        let broker = house.broker(&[]);
        assert_eq!(broker.connect().hear().unwrap()["namespaces"], json!([NS, "bob"]));
        let left = std::fs::read_to_string(&config).ok();
        assert_eq!(left.is_some(), persons.is_some(), "{left:?}");
        assert!(left.is_none_or(|text| text.contains("/* mine */")));
    }
}

/// A login beside the one that the folder speaks for is renewed: it says so, and a longer time is no more than that.
#[test]
fn a_login_beside_it_is_told_of_as_renewed() {
    let house = House::new();
    house.env.write("state/.sigilum/jwt-secret", "the-secret");
    let run = |words: &str| {
        let run = house.env.run(words.split(' ')).args(["--namespace", "bob"]);
        run.args(["--openclaw-home".as_ref(), house.state().as_os_str()])
    };
    let api = house.api.url();
    run("auth login --mode oss-local --print-token false --write-openclaw false --ttl-seconds 3600")
        .args(["--api-url", &api])
        .expect(0);
    let _broker = house.broker(&[]);
    let renewal = || {
        let status: Value = serde_json::from_str(&run("auth status --json").expect(0).stdout).unwrap();
        let homes = status["watch"]["homes"].as_array().cloned().unwrap_or_default();
        let bobs = homes.into_iter().find(|home| home["namespace"] == "bob");
        bobs.map(|home| (home["renewed_by"].clone(), home["next_due_at"].is_string()))
    };
    wait_for("its status", || renewal() == Some((json!("secret"), true)));
    let id = "claim-of-bobs-own";
    house.api.add_claim("bob", json!({"service": "mail", "claim_id": id}));
    run(&format!("authz approve {id} --yes --for 3h")).expect(0);
    // One that is gone is told of no more.
    run("authz revoke claim-of-bobs-own --yes").expect(0);
    run("auth logout").expect(0);
    let file = house.state().join(".sigilum/watch-status.json");
    wait_for("it is gone", || {
        !std::fs::read_to_string(&file).unwrap().contains("bob")
    });
}

/// Nothing of ours is installed in a broker's folder; what cannot be read there is said all the same.
#[test]
fn hook_status_of_its_folder_ends_with_what_cannot_be_read() {
    let house = House::new();
    let _broker = house.broker(&[]);
    let run = || house.env.run(["hook", "status", "--openclaw-home"]);
    let status = || run().args([house.state()]);
    status().expect(0);
    house.env.write("state/.sigilum/installed.json", "{");
    let output = status().output();
    assert!(
        output.code != 0 && output.stderr.contains("installed.json"),
        "{output:?}"
    );
}

#[test]
fn its_user_logs_in_beside_it_and_it_renews_what_it_has() {
    let house = House::new();
    let broker = house.broker(&[]);
    let others = ["bob", "carol"];
    for namespace in others {
        let login = "auth login --mode oss-local --no-check --print-token false --namespace";
        let run = house.env.run(login.split(' ')).args([namespace, "--openclaw-home"]);
        run.args([house.state()]).expect(0);
    }
    assert!(!house.state().join("openclaw.json").exists());
    let mut client = broker.connect();
    assert_eq!(client.hear().unwrap()["namespaces"], json!([NS, "bob", "carol"]));
    drop(client);
    // Due, each is signed anew with the secret that lies there: by a broker that runs, and by one that is started then.
    let now = env::now();
    let secret = std::fs::read_to_string(house.state().join(".sigilum/jwt-secret")).unwrap();
    let stored = |namespace: &str| {
        let file = house.state().join(format!(".sigilum/owner-token-{namespace}.jwt"));
        std::fs::read_to_string(file).unwrap()
    };
    let renews = || {
        let due = others.map(|namespace| {
            let claims = json!({"namespace": namespace, "sub": "u", "email": format!("{namespace}@local.sigilum"),
                "iat": now - 900, "exp": now + 60});
            let due = env::api::token(secret.trim(), claims);
            let file = format!("state/.sigilum/owner-token-{namespace}.jwt");
            house.env.write(&file, &due);
            (namespace, due)
        });
        wait_for("the tokens are renewed", || {
            due.iter().all(|(namespace, due)| stored(namespace).trim() != due)
        });
    };
    renews();
    drop(broker);
    let _broker = house.broker(&[]);
    renews();
}
