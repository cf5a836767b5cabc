//! What a person waits for: whole processes, warm, in a throw-away home. `cargo bench --bench commands`.
//!
//! Columns: wall time (median and best of the rounds), fsync calls (counted by strace, where it is installed), peak
//! memory (by GNU time, where it is installed).

use secrecy::SecretString;
use sigilum_authz_notify::token::claims::{self, Claims};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_sigilum-authz-notify");
const ROUNDS: usize = 100;

fn main() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let home = dir.path();
    let api = serve_pending_claims();
    println!(
        "binary: {:.1} MB",
        std::fs::metadata(BINARY).expect("the binary").len() as f64 / 1e6
    );
    println!(
        "{:<44} {:>9} {:>9} {:>7} {:>9}",
        "command", "median ms", "best ms", "fsyncs", "peak MB"
    );

    let login =
        "auth login --mode oss-local --namespace alice --print-token false --enable-authz-notify true --api-url";
    let login: Vec<&str> = login.split(' ').chain([api.as_str()]).collect();
    let event = r#"{"type":"command","action":"new","sessionKey":"agent:main:main","chatType":"direct"}"#;
    measure(home, "(nothing: --version)", &["--version"], "");
    let started = Instant::now();
    run(home, &login, "");
    println!(
        "{:<44} {:>9.2}",
        "auth login, the first (makes a database)",
        millis(started.elapsed())
    );
    measure(home, "auth login, again", &login, "");
    measure(home, "auth refresh", &["auth", "refresh", "--print-token", "false"], "");
    measure(home, "auth show", &["auth", "show", "--namespace", "alice"], "");
    measure(home, "auth status", &["auth", "status"], "");
    measure(
        home,
        "hook run, an event that is not ours",
        &["hook", "run"],
        r#"{"type":"message"}"#,
    );
    measure(home, "hook run, /new, five pending", &["hook", "run"], event);
    let signing = signing_time();
    println!(
        "{:<44} {:>9.4}",
        "(signing one token, in this process)",
        millis(signing)
    );
    let mut times: Vec<_> = (0..ROUNDS).map(|_| answer_time(&api)).collect();
    times.sort();
    println!(
        "{:<44} {:>9.2} {:>9.2}",
        "(the loopback API's answer)",
        millis(times[ROUNDS / 2]),
        millis(times[0])
    );
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn measure(home: &Path, name: &str, args: &[&str], stdin: &str) {
    let mut times: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            run(home, args, stdin);
            started.elapsed()
        })
        .collect();
    times.sort();
    let fsyncs = fsyncs(home, args, stdin).map_or("-".to_owned(), |count| count.to_string());
    let memory = peak_memory(home, args, stdin).map_or("-".to_owned(), |kb| format!("{:.1}", kb / 1e3));
    let (median, best) = (millis(times[ROUNDS / 2]), millis(times[0]));
    println!("{name:<44} {median:>9.2} {best:>9.2} {fsyncs:>7} {memory:>9}");
}

fn run(home: &Path, args: &[&str], stdin: &str) {
    let mut command = command(home, BINARY);
    command.args(args);
    finish(command, stdin);
}

fn command(home: &Path, program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("HOME", home)
        .env("USER", "bench")
        .env("PATH", "/usr/bin:/bin")
        .current_dir(home);
    command
}

/// Runs a command to its end and returns its standard error.
fn finish(mut command: Command, stdin: &str) -> String {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the process starts");
    let _ = child.stdin.take().expect("piped").write_all(stdin.as_bytes());
    let mut stderr = String::new();
    let _ = child.stderr.take().expect("piped").read_to_string(&mut stderr);
    let status = child.wait().expect("the process ends");
    assert!(status.success(), "{status}: {stderr}");
    stderr
}

fn fsyncs(home: &Path, args: &[&str], stdin: &str) -> Option<usize> {
    installed("strace")?;
    let trace = home.join("trace");
    let mut command = command(home, "strace");
    command
        .args(["-f", "-qq", "-e", "trace=fsync,fdatasync", "-o"])
        .arg(&trace)
        .arg(BINARY)
        .args(args);
    finish(command, stdin);
    Some(
        std::fs::read_to_string(trace)
            .ok()?
            .lines()
            .filter(|line| line.contains("sync("))
            .count(),
    )
}

/// In kilobytes.
fn peak_memory(home: &Path, args: &[&str], stdin: &str) -> Option<f64> {
    installed("time")?;
    let mut command = command(home, "time");
    command.args(["-f", "%M"]).arg(BINARY).args(args);
    finish(command, stdin).lines().last()?.trim().parse().ok()
}

fn installed(program: &str) -> Option<()> {
    ["/usr/bin", "/bin"]
        .iter()
        .any(|dir| Path::new(dir).join(program).exists())
        .then_some(())
}

/// A loopback API that has five requests pending for everybody; returns its base URL. Ends with the process.
fn serve_pending_claims() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let claim = r#"{"claim_id":"c","namespace":"alice","service":"github","public_key":"ed25519:AAAA","agent_ip":"127.0.0.1","subject":null,"agent_id":null,"agent_name":"worker","status":"pending","created_at":"2026-11-22T06:20:37.017Z","approved_at":null,"revoked_at":null}"#;
    let claims = [claim; 5].join(",");
    let body = format!(r#"{{"claims":[{claims}],"pagination":{{"limit":20,"offset":0,"total":5,"has_more":false}}}}"#);
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
    let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    url
}

/// What one signature takes, of many.
fn signing_time() -> Duration {
    const SIGNATURES: u32 = 10_000;
    let secret = SecretString::from("0123456789abcdef0123456789abcdef");
    let claims = Claims::new(
        "user_local_alice",
        "alice@local.sigilum",
        "alice",
        1_800_000_000,
        604_800,
    );
    let started = Instant::now();
    for _ in 0..SIGNATURES {
        std::hint::black_box(claims::mint(&claims, &secret).expect("a token"));
    }
    started.elapsed() / SIGNATURES
}

fn answer_time(url: &str) -> Duration {
    let started = Instant::now();
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).expect("the server listens");
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: loopback\r\n\r\n")
        .expect("a request");
    let _ = stream.read_to_end(&mut Vec::new());
    started.elapsed()
}
