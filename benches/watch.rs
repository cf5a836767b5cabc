//! What the watcher costs and how fast it is.
//!
//! CPU time and wake-ups are those of the watcher's process as the kernel counts them, over all its threads.

use crate::env::BINARY;
use crate::env::api::Api;
use crate::kernel::{Usage, memory_of};
use crate::table::{self, Measure, Row, millis};
use secrecy::ExposeSecret;
use serde_json::json;
use sigilum_authz_notify::env::Env;
use sigilum_authz_notify::home::OpenClawHome;
use sigilum_authz_notify::mode::Mode;
use sigilum_authz_notify::token::claims::{self, Claims};
use sigilum_authz_notify::token::lifetime::{DEFAULT_FRACTION, Lifetime, jitter};
use sigilum_authz_notify::token::record::Record;
use sigilum_authz_notify::watch::planner::Now;
use sigilum_authz_notify::watch::{Clock, Homes, Options, Watcher};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const SECRET: &str = "the secret of the measured homes";

/// What can be seen in a minute.
pub fn measure(only: &str) {
    let scenarios: [Measure; 5] = [
        ("watch, idle for 10 s, 1 home", || idle(1, 10)),
        ("watch, asks for requests every 5 s, each time", || asked(30)),
        ("watch, token file to openclaw.json, 10 rounds", || latency(10)),
        ("watch, 200 changes of the token in a second", burst),
        ("watch, a day in simulated time", day),
    ];
    table::print(&scenarios, only);
}

/// What needs many homes, or patience.
pub fn measure_long(only: &str) {
    let scenarios: [Measure; 6] = [
        ("a request to the plugin, asked for every 15 s, 100 homes", || told(15)),
        ("a request to the plugin, asked for every 5 s, 100 homes", || told(5)),
        ("watch, idle for 60 s, 1 home", || idle(1, 60)),
        ("watch, idle for 60 s, 1,000 homes", || idle(1000, 60)),
        ("watch, token file to openclaw.json, 100 rounds", || latency(100)),
        ("watch, 1,000 homes, tokens of 60 s, for 300 s", many),
    ];
    table::print(&scenarios, only);
}

fn unix_seconds() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() as i64)
}

/// A token of alice's, issued now.
fn token(issued: i64, life: u64) -> String {
    let claims = Claims::new("user_local_alice", "alice@local.sigilum", "alice", issued, life);
    let token = claims::mint(&claims, &SECRET.into()).expect("a token");
    token.expose_secret().to_owned()
}

/// A home as a login leaves it: config, token, record, secret.
fn make_home(home: &Path, token: &str) -> PathBuf {
    let ours = home.join(".sigilum");
    std::fs::create_dir_all(&ours).expect("folders");
    for folder in [home, &ours] {
        std::fs::set_permissions(folder, PermissionsExt::from_mode(0o700)).expect("a mode");
    }
    let token_file = ours.join("owner-token-alice.jwt");
    let record = Record {
        mode: Mode::OssLocal,
        api_url: "http://127.0.0.1:8787".to_owned(),
        email: "alice@local.sigilum".to_owned(),
        source_home: None,
        api_db: None,
        token_file: None,
        trust_loopback: false,
        ttl_seconds: None,
    };
    let config = format!(
        "{{\n  // kept by hand\n  \"gateway\": {{ \"mode\": \"local\" }},\n  \"hooks\": {{ \"internal\": {{ \"enabled\": true, \"entries\": {{\n    \
         \"sigilum-authz-notify\": {{ \"enabled\": true, \"env\": {{\n      \"SIGILUM_NAMESPACE\": \"alice\", \"SIGILUM_MODE\": \"oss-local\",\n      \
         \"SIGILUM_API_URL\": \"http://127.0.0.1:8787\",\n      \"SIGILUM_OWNER_TOKEN\": \"{token}\" }} }} }} }} }}\n}}\n"
    );
    let record = serde_json::to_string(&record).expect("JSON");
    for (path, text) in [
        (home.join("openclaw.json"), config),
        (token_file.clone(), token.to_owned()),
        (ours.join("owner-alice.json"), record),
        (ours.join("jwt-secret"), SECRET.to_owned()),
    ] {
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("a mode");
    }
    token_file
}

/// A folder with that many homes; the first is `.openclaw`.
fn homes(count: usize, life: u64) -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let token = token(unix_seconds(), life);
    let homes = (0..count)
        .map(|n| {
            let name = if n == 0 {
                ".openclaw".to_owned()
            } else {
                format!(".openclaw-{n}")
            };
            let home = dir.path().join(name);
            make_home(&home, &token);
            home
        })
        .collect();
    (dir, homes)
}

/// A watcher of all homes in a folder, in a process of its own.
struct Running {
    child: Child,
}

impl Running {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(BINARY)
            .args(["watch", "--all", "--seed", "7"])
            .env_clear()
            .env("HOME", folder)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the watcher starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped"));
        let mut first = String::new();
        lines.read_line(&mut first).expect("a line");
        assert!(first.contains("watching"), "{first}");
        // Read to the end, so that it is never held up; a warning is worth seeing.
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok).filter(|line| line.contains("WARN")) {
                eprintln!("{line}");
            }
        });
        Self { child }
    }

    fn usage(&self) -> Usage {
        Usage::of(self.child.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn idle(count: usize, seconds: u64) -> Row {
    let (dir, _homes) = homes(count, 604_800);
    let watcher = Running::start(dir.path());
    // The first look is over.
    std::thread::sleep(Duration::from_secs(10));
    let before = watcher.usage();
    std::thread::sleep(Duration::from_secs(seconds));
    let after = watcher.usage();
    Row {
        cpu: Some(after.cpu - before.cpu),
        peak: memory_of(watcher.child.id()),
        note: format!("{} wake-ups; memory: now", after.wake_ups - before.wake_ups),
        ..Row::default()
    }
}

/// What it costs to ask the API for requests, where nothing has changed and somebody could be told.
fn asked(seconds: u64) -> Row {
    let api = Api::start(SECRET);
    api.add_claim("alice", json!({}));
    let (dir, homes) = homes(1, 604_800);
    asks(&homes[0], &api, json!({"poll_requests": 5, "openclaw": "/bin/true"}));
    let watcher = Running::start(dir.path());
    // The first request is told, and the hook's entry, which names another API, is warned of.
    std::thread::sleep(Duration::from_secs(8));
    let (before, first) = (watcher.usage(), api.seen().len());
    std::thread::sleep(Duration::from_secs(seconds));
    let (after, last) = (watcher.usage(), api.seen().len());
    let count = u32::try_from(last - first).unwrap_or(1).max(1);
    Row {
        cpu: Some((after.cpu - before.cpu) / count),
        note: format!("{count} requests; CPU time of each"),
        ..Row::default()
    }
}

/// Has a home ask an API for requests, and tell them.
fn asks(home: &Path, api: &Api, more: serde_json::Value) {
    let record = json!({"mode": "oss-local", "api_url": api.url(), "email": "alice@local.sigilum"});
    let mut hook = json!({"namespace": "alice", "notify": "irc:alice"});
    for (name, value) in more.as_object().into_iter().flatten() {
        hook[name] = value.clone();
    }
    replace(&home.join(".sigilum/owner-alice.json"), &record.to_string());
    replace(&home.join(".sigilum/hook.json"), &hook.to_string());
}

/// From a request to the line that the plugin puts into the chat: 100 homes, one request each, at moments that are spread
/// over the time between two questions.
fn told(seconds: u64) -> Row {
    const HOMES: u32 = 100;
    let (_dir, homes) = homes(HOMES as usize, 604_800);
    let tell = |(home, number): (PathBuf, u32)| {
        let api = Api::start(SECRET);
        asks(&home, &api, json!({"poll_requests": seconds}));
        let mut serve = Command::new(BINARY)
            .args(["serve", "--stdio", "--openclaw-home"])
            .arg(&home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary");
        let mut lines = BufReader::new(serve.stdout.take().expect("its output")).lines();
        while api.seen().is_empty() {
            std::thread::sleep(Duration::from_millis(50));
        }
        std::thread::sleep(Duration::from_secs(seconds) + Duration::from_secs(seconds) * number / HOMES);
        api.add_claim("alice", json!({}));
        let begun = Instant::now();
        let line = lines.next().and_then(Result::ok).unwrap_or_default();
        let took = begun.elapsed();
        assert!(line.contains("\"push\""), "{line}");
        drop(serve.stdin.take());
        let _ = serve.wait();
        took
    };
    let homes = homes.into_iter().zip(0..HOMES);
    let mut wall: Vec<Duration> = std::thread::scope(|scope| {
        let threads: Vec<_> = homes.map(|home| scope.spawn(move || tell(home))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a line"))
            .collect()
    });
    wall.sort();
    Row {
        note: format!("99th of 100: {} ms", millis(wall[98])),
        wall,
        ..Row::default()
    }
}

/// Replaces a file as our own commands do.
fn replace(path: &Path, text: &str) {
    let temp = path.with_extension("tmp");
    std::fs::write(&temp, text).expect("a file");
    std::fs::set_permissions(&temp, PermissionsExt::from_mode(0o600)).expect("a mode");
    std::fs::rename(&temp, path).expect("a rename");
}

fn holds(config: &Path, token: &str) -> bool {
    std::fs::read_to_string(config).is_ok_and(|text| text.contains(token))
}

fn latency(rounds: u64) -> Row {
    let (dir, homes) = homes(1, 604_800);
    let (config, token_file) = (
        homes[0].join("openclaw.json"),
        homes[0].join(".sigilum/owner-token-alice.jwt"),
    );
    let _watcher = Running::start(dir.path());
    let mut wall = Vec::new();
    for round in 0..rounds {
        // After the pause that writes keep between them.
        std::thread::sleep(Duration::from_millis(2_150));
        let fresh = token(unix_seconds(), 604_800 + 1 + round);
        let begun = Instant::now();
        replace(&token_file, &fresh);
        while !holds(&config, &fresh) {
            assert!(begun.elapsed() < Duration::from_secs(30), "it never came");
            std::thread::sleep(Duration::from_micros(200));
        }
        wall.push(begun.elapsed());
    }
    let worst = wall.iter().max().copied().unwrap_or_default();
    Row {
        wall,
        note: format!("worst {} ms", millis(worst)),
        ..Row::default()
    }
}

fn burst() -> Row {
    let (dir, homes) = homes(1, 604_800);
    let (config, token_file) = (
        homes[0].join("openclaw.json"),
        homes[0].join(".sigilum/owner-token-alice.jwt"),
    );
    let watcher = Running::start(dir.path());
    std::thread::sleep(Duration::from_millis(500));
    let inode = || std::fs::metadata(&config).map_or(0, |meta| meta.ino());
    let (mut writes, mut last, mut newest, mut changes) = (0, inode(), String::new(), 0u64);
    let before = watcher.usage();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(6) {
        if changes < 200 && begun.elapsed() >= Duration::from_millis(5 * changes) {
            changes += 1;
            newest = token(unix_seconds(), 604_800 + changes);
            replace(&token_file, &newest);
        }
        let now = inode();
        writes += u32::from(now != last);
        last = now;
        std::thread::sleep(Duration::from_micros(300));
    }
    let right = if holds(&config, &newest) { "right" } else { "WRONG" };
    Row {
        cpu: Some(watcher.usage().cpu - before.cpu),
        note: format!("{changes} changes, {writes} writes to openclaw.json, the last state is {right}"),
        ..Row::default()
    }
}

fn many() -> Row {
    const HOMES: usize = 1000;
    const LIFE: u64 = 60;
    const SECONDS: u64 = 300;
    let (dir, homes) = homes(HOMES, LIFE);
    let watcher = Running::start(dir.path());
    let mut known = vec![String::new(); HOMES];
    let (mut renewals, mut missed, mut least_left) = (0u32, BTreeSet::new(), i64::MAX);
    let before = watcher.usage();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(SECONDS) {
        for (n, home) in homes.iter().enumerate() {
            // What the hook would use: the token in the config.
            let config = std::fs::read_to_string(home.join("openclaw.json")).expect("a config");
            let (_, rest) = config.split_once("\"SIGILUM_OWNER_TOKEN\": \"").expect("a token");
            let (token, _) = rest.split_once('"').expect("a token");
            if known[n] != token {
                renewals += u32::from(!known[n].is_empty());
                known[n] = token.to_owned();
            }
            let exp = claims::inspect(&token.into()).expect("a token").exp.expect("an expiry");
            let left = exp - unix_seconds();
            least_left = least_left.min(left);
            if left <= 0 {
                missed.insert(n);
            }
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    let took = begun.elapsed();
    let cpu = watcher.usage().cpu - before.cpu;
    Row {
        cpu: Some(cpu),
        peak: memory_of(watcher.child.id()),
        note: format!(
            "{renewals} renewals in openclaw.json, {} ms CPU each, {:.1} % of a core; homes ever with an expired token: \
             {}, least life left {least_left} s",
            millis(cpu / renewals.max(1)),
            100.0 * cpu.as_secs_f64() / took.as_secs_f64(),
            missed.len()
        ),
        ..Row::default()
    }
}

/// A clock that goes as fast as it is told to.
struct Simulated(AtomicI64, i64);

impl Clock for Simulated {
    fn now(&self) -> Now {
        let steady = self.0.load(Ordering::Relaxed);
        Now {
            wall: self.1 + steady,
            steady,
        }
    }
}

fn day() -> Row {
    const LIFE: i64 = 600;
    const SEED: u64 = 20_261_122;
    const DAY_MS: i64 = 24 * 3_600_000;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let home = dir.path().join(".openclaw");
    let start = unix_seconds();
    let token_file = make_home(&home, &token(start, LIFE as u64));
    let place = OpenClawHome::at(home.clone());
    let clock = Arc::new(Simulated(AtomicI64::new(0), start * 1000));
    let options = Options {
        seed: Some(SEED),
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        ..Options::new(Homes::Listed(vec![place]), &Env::default())
    };
    let mut watcher = Watcher::new(options).expect("a watcher");
    let issued = || {
        let text = std::fs::read_to_string(&token_file).expect("a token");
        claims::inspect(&text.trim().into())
            .expect("a token")
            .iat
            .expect("an issue time")
    };
    let begun = Instant::now();
    let (mut renewed, mut steps) = (vec![issued()], 0u64);
    while clock.0.load(Ordering::Relaxed) < DAY_MS {
        let wait = watcher.step();
        steps += 1;
        if renewed.last() != Some(&issued()) {
            renewed.push(issued());
        }
        clock.0.fetch_add(wait.as_millis() as i64, Ordering::Relaxed);
    }
    let took = begun.elapsed();
    // Worked out without the watcher: due times one after the other, each rounded up to the millisecond it wakes in.
    let mut expected = vec![start];
    loop {
        let iat = expected[expected.len() - 1];
        let life = Lifetime { iat, exp: iat + LIFE };
        let due = life.due_at_ms(
            DEFAULT_FRACTION,
            jitter(SEED, home.as_os_str().as_encoded_bytes(), life),
        );
        if due + 1 - start * 1000 >= DAY_MS {
            break;
        }
        expected.push((due + 1).div_euclid(1000));
    }
    let equal = if renewed == expected { "equal" } else { "NOT EQUAL" };
    Row {
        wall: vec![took],
        note: format!(
            "tokens of {LIFE} s: {} renewals, {} expected, times {equal}; {steps} wake-ups",
            renewed.len() - 1,
            expected.len() - 1
        ),
        ..Row::default()
    }
}
