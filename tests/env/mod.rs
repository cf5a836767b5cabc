//! The shared harness: a throw-away person's home, and the built binary run in it with a clean environment.
#![allow(dead_code, unreachable_pub, reason = "each test crate uses its part")]

pub mod api;
pub mod attack;
pub mod gateway;
pub mod local_api;
pub mod planted;
pub mod services;
pub mod stopped;
pub mod terminal;
pub mod three_users;
pub mod tls;
pub mod watching;

use rustix::net;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::JoinHandle;

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_sigilum-authz-notify");

/// Copies the binary under test. By a program of its own: a test that starts one meanwhile would take our open file
/// along, and no busy file can be run.
pub fn copy_binary(to: &Path) {
    let copied = std::process::Command::new("cp").args([Path::new(BINARY), to]).status();
    assert!(copied.unwrap().success());
}

/// A `broker run` that answers by now, and what it logs from then on, once it has ended.
pub fn broker_answering(command: &mut Command) -> (Child, JoinHandle<Vec<String>>) {
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
    (child, std::thread::spawn(move || log.map_while(Result::ok).collect()))
}

/// Whether this test can be other users, as root is; where it cannot, that is said.
pub fn can_be_others() -> bool {
    let can = rustix::process::geteuid().is_root();
    if !can {
        eprintln!("SKIPPED: only root can be another user");
    }
    can
}

/// A person's home folder with nothing in it, removed at the end.
pub struct TestEnv {
    dir: tempfile::TempDir,
}

/// One command to run: nothing of the test's own environment reaches it but `PATH`.
pub struct Run {
    command: Command,
    stdin: Option<Vec<u8>>,
}

/// What a command left: its exit code and its two outputs.
#[derive(Debug)]
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Whether nobody listens where a local login has its API: many tests log in there, and nothing shall answer.
fn is_default_port_free() -> bool {
    static FREE: OnceLock<bool> = OnceLock::new();
    *FREE.get_or_init(|| TcpStream::connect((Ipv4Addr::LOCALHOST, 8787)).is_err())
}

impl TestEnv {
    pub fn new() -> Self {
        assert!(
            is_default_port_free(),
            "something listens on 127.0.0.1:8787, a local Sigilum API perhaps: the tests are not for it, stop it first"
        );
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        Self { dir }
    }

    /// The person's home folder.
    pub fn home(&self) -> &Path {
        self.dir.path()
    }

    /// The OpenClaw home, `~/.openclaw`; not made by the harness.
    pub fn openclaw(&self) -> PathBuf {
        self.home().join(".openclaw")
    }

    /// `~/.openclaw/openclaw.json`
    pub fn config(&self) -> PathBuf {
        self.openclaw().join("openclaw.json")
    }

    /// `~/.openclaw/.sigilum/<name>`
    pub fn sigilum(&self, name: &str) -> PathBuf {
        self.openclaw().join(".sigilum").join(name)
    }

    /// A `PATH` on which a service manager stands that does this.
    pub fn manager(&self, script: &str) -> String {
        for name in ["systemctl", "launchctl"] {
            let program = self.write(format!("bin/{name}"), format!("#!/bin/sh\n{script}\n"));
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let path = std::env::var("PATH").unwrap();
        format!("{}:{path}", self.home().join("bin").display())
    }

    /// Writes a file below the home folder, with its folders 0700; the file is 0600.
    pub fn write(&self, path: impl AsRef<Path>, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home().join(path);
        let mut folder = path.parent().unwrap().to_owned();
        std::fs::create_dir_all(&folder).unwrap();
        while folder != self.home() && folder.starts_with(self.home()) {
            std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
            folder.pop();
        }
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Writes `~/.openclaw/openclaw.json`.
    pub fn write_config(&self, text: impl AsRef<[u8]>) -> PathBuf {
        self.write(".openclaw/openclaw.json", text)
    }

    /// A command line of the binary, run in the home folder.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        self.run_program(BINARY.as_ref(), args)
    }

    /// The same of another program.
    pub fn run_program<S: AsRef<OsStr>>(&self, program: &Path, args: impl IntoIterator<Item = S>) -> Run {
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("USER", "tester")
            // Nothing listens there: no test asks the hosted Sigilum, nor any other machine.
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .current_dir(self.home());
        Run { command, stdin: None }
    }

    /// `auth login` of alice's with her own embedded database; the token is not printed.
    pub fn login(&self) -> Run {
        self.login_by(BINARY.as_ref())
    }

    /// The same by another program.
    pub fn login_by(&self, program: &Path) -> Run {
        let alice = ["auth", "login", "--mode", "oss-local", "--namespace", "alice"];
        self.run_program(program, alice).args(["--print-token", "false"])
    }
}

impl TestEnv {
    /// A line, by a shell that finds our program first, then what lies in `~/bin`.
    pub fn shell(&self, line: &str) -> Run {
        let ours = Path::new(BINARY).parent().unwrap().display();
        let path = std::env::var("PATH").unwrap();
        let path = format!("{ours}:{}:{path}", self.home().join("bin").display());
        self.run_program("/bin/sh".as_ref(), ["-c", line]).env("PATH", path)
    }

    /// A step's command, as it is printed, then one of ours in the same shell.
    pub fn step_then(&self, step: &str, words: &[impl AsRef<str>]) -> Run {
        let step = command_of(step);
        self.shell(&format!(
            "{step} >/dev/null || exit 99\nexec sigilum-authz-notify {}",
            shell_words::join(words)
        ))
    }

    /// The command of the step that was told last, as it is printed.
    #[track_caller]
    pub fn carry_out(&self, said: &Output) -> Run {
        self.shell(command_of(said.step()))
    }
}

/// The command of a step: words and a colon may stand before it, a semicolon and words behind.
pub fn command_of(step: &str) -> &str {
    let command = step.rsplit_once(": ").map_or(step, |(_, command)| command);
    command.split("; ").next().unwrap()
}

/// The flags of a step `add <flags>`, up to a comma, a semicolon or "or".
#[track_caller]
pub fn added(step: &str) -> Vec<String> {
    let flags = step.strip_prefix("add ").unwrap_or_else(|| panic!("no flags: {step}"));
    let ends = [", ", "; ", " or "];
    let flags = ends.iter().fold(flags, |flags, end| flags.split(end).next().unwrap());
    shell_words::split(flags).unwrap()
}

impl Output {
    /// The step that was told last.
    #[track_caller]
    pub fn step(&self) -> &str {
        let mut lines = self.stdout.lines().chain(self.stderr.lines()).rev();
        let step = lines.find_map(|line| Some(line.split_once("next: ")?.1));
        step.unwrap_or_else(|| panic!("no step: {self:#?}"))
    }
}

impl Run {
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    pub fn cwd(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Runs it as another user, in one group or in several. Only root can.
    pub fn by_user(self, uid: u32, groups: &[u32]) -> Self {
        let groups: Vec<_> = groups.iter().map(u32::to_string).collect();
        let (uid, gid) = (format!("--reuid={uid}"), format!("--regid={}", groups[0]));
        self.under("setpriv", [uid, gid, format!("--groups={}", groups.join(","))])
    }

    /// Runs it under another program: `under("strace", ["-f"])`.
    pub fn under<S: AsRef<OsStr>>(self, program: &str, args: impl IntoIterator<Item = S>) -> Self {
        let mut command = Command::new(program);
        command
            .args(args)
            .arg(self.command.get_program())
            .args(self.command.get_args());
        command.env_clear();
        for (name, value) in self.command.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        if let Some(folder) = self.command.get_current_dir() {
            command.current_dir(folder);
        }
        Self { command, ..self }
    }

    /// The prepared command, for a test that wants the process itself.
    pub fn into_command(self) -> Command {
        self.command
    }

    /// Runs to the end.
    pub fn output(mut self) -> Output {
        self.command.stdin(if self.stdin.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        });
        let mut child = self
            .command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if let Some(bytes) = self.stdin {
            // A command that does not read its standard input may be gone before this is written.
            let _ = child.stdin.take().unwrap().write_all(&bytes);
        }
        let output = child.wait_with_output().unwrap();
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs to the end and checks the exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Output {
        let output = self.output();
        assert_eq!(
            output.code, code,
            "stdout:\n{}\nstderr:\n{}",
            output.stdout, output.stderr
        );
        output
    }
}

/// The number of a user who is neither us nor root.
pub const STRANGER: u32 = 65_534;

/// The number of a broker's user, and of none of the others.
pub const BROKER: u32 = 65_532;

/// A server's socket of another user's. `None` where we are not root, who alone can make one, or not on Linux.
#[cfg(not(target_os = "linux"))]
pub fn listener_of(_: u32, _: &str) -> Option<TcpListener> {
    None
}

/// A server's socket of another user's. `None` where we are not root, who alone can make one, or not on Linux.
#[cfg(target_os = "linux")]
pub fn listener_of(uid: u32, address: &str) -> Option<TcpListener> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    std::thread::scope(|scope| {
        // A user's number is a thread's own.
        let bind = || {
            rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(uid)).unwrap();
            TcpListener::bind(address).unwrap()
        };
        Some(scope.spawn(bind).join().unwrap())
    })
}

/// A port of loopback where nobody listens, and nobody else can while this is there: other tests run.
pub struct SilentPort {
    pub number: u16,
    _socket: OwnedFd,
}

impl SilentPort {
    /// The port with this number, which whoever listened there has left; 0: any.
    pub fn at(number: u16) -> Self {
        let socket = net::socket(net::AddressFamily::INET, net::SocketType::STREAM, None).unwrap();
        net::sockopt::set_socket_reuseaddr(&socket, true).unwrap();
        net::bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, number))).unwrap();
        let address = SocketAddr::try_from(net::getsockname(&socket).unwrap()).unwrap();
        Self {
            number: address.port(),
            _socket: socket,
        }
    }
}

/// The permission bits of a file or folder: `0o600`.
#[track_caller]
pub fn mode(path: impl AsRef<Path>) -> u32 {
    std::fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// Now, in Unix seconds.
pub fn now() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs() as i64
}
