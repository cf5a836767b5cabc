//! Hostile peers: everybody whom a command talks to, or who answers in their place, does the worst; and then behaves
//! again, so that the same command must finish the job.
//!
//! Needs no strace. Each run has 256 MB of address space, so that 10 GB cannot be swallowed.

mod api;
mod attacks;
mod claims;
mod gateway;
mod notice;
mod programs;
mod proxies;

use super::{Report, tree};
use crate::env::Run;
use crate::env::attack::{Attack, Peer, Then};
use std::collections::BTreeMap;
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The address space of each run, in KiB.
const ADDRESS_SPACE: u32 = 256 * 1024;
/// What a run may use beyond its documented budget before it counts as hanging. The machine may be a busy one.
const PATIENCE: Duration = Duration::from_secs(60);
/// The most that a peer may get rid of beyond a cap: what lies in the two sockets' buffers.
const BUFFERS: u64 = 16 << 20;
/// The most questions that one command puts to an API whose every answer is too long.
const QUESTIONS: u32 = 4;

/// A run of the binary that came to its end, or did not.
#[derive(Debug)]
struct Ended {
    /// -1: killed by a signal.
    code: i32,
    stdout: String,
    stderr: String,
    hung: bool,
}

/// What is counted, over all threads.
#[derive(Default)]
struct Counts {
    by_name: Mutex<BTreeMap<&'static str, u64>>,
    peak: Mutex<(u64, String)>,
}

impl Counts {
    fn add(&self, name: &'static str, count: u64) {
        *self.by_name.lock().unwrap().entry(name).or_default() += count;
    }

    fn get(&self, name: &str) -> u64 {
        self.by_name.lock().unwrap().get(name).copied().unwrap_or(0)
    }

    fn max(&self, name: &'static str, value: u64) {
        let mut by_name = self.by_name.lock().unwrap();
        let most = by_name.entry(name).or_default();
        *most = value.max(*most);
    }
}

/// One attack on one command.
struct Case {
    name: String,
    slow: bool,
    play: Box<dyn FnOnce(&Trial<'_>) + Send>,
}

/// What a case reports to.
struct Trial<'a> {
    name: &'a str,
    counts: &'a Counts,
    report: &'a Mutex<Report>,
}

impl Trial<'_> {
    fn fault(&self, what: impl Into<String>) {
        self.report.lock().unwrap().fault(self.name, what.into());
    }

    /// Runs a command whose documented budget is `budget`, and checks what every run must keep to, whatever happens.
    fn run(&self, run: Run, stdin: &[u8], budget: Duration, secrets: &[&str]) -> Ended {
        let ended = self.play(run, stdin, budget + PATIENCE);
        self.check(&ended, secrets);
        ended
    }

    fn check(&self, ended: &Ended, secrets: &[&str]) {
        self.counts.add("runs", 1);
        if ended.hung {
            self.fault("it hangs");
        }
        if !(0..=8).contains(&ended.code) || ended.stderr.contains("panicked at") {
            self.fault(format!("exit code {}: {}", ended.code, ended.stderr));
        }
        if ended.code != 0 && !ended.stderr.contains("next: ") {
            self.fault(format!("no next step: {}", ended.stderr));
        }
        for text in [&ended.stdout, &ended.stderr] {
            let shown = secrets.iter().any(|secret| text.contains(secret));
            if shown || !tree::secrets_in(text.as_bytes()).is_empty() {
                self.fault(format!("a secret is shown: {text}"));
            }
            if let Some(bad) = text.chars().find(|c| moves_a_terminal(*c)) {
                self.fault(format!("{bad:?} is shown: {text:?}"));
            }
            if text.len() > 20_000 && !text.starts_with('{') {
                self.fault(format!("an output of {} bytes: {text}", text.len()));
            }
        }
        if ended.stderr.contains("e.vil") && ended.stderr.lines().any(|line| line.starts_with("  next: curl")) {
            self.fault(format!("a stranger's words pass for ours: {}", ended.stderr));
        }
    }

    fn play(&self, run: Run, stdin: &[u8], limit: Duration) -> Ended {
        let file = |bytes: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            file.rewind().unwrap();
            file
        };
        let (mut out, mut err) = (file(b""), file(b""));
        let script = format!("ulimit -v {ADDRESS_SPACE}; exec \"$@\"");
        let mut command = run.under("sh", ["-c", &script, "sh"]).into_command();
        let child = command
            .stdin(file(stdin))
            .stdout(out.try_clone().unwrap())
            .stderr(err.try_clone().unwrap())
            .spawn();
        let mut child = child.unwrap();
        let (code, hung) = self.wait(&mut child, limit);
        let text = |file: &mut std::fs::File| {
            let mut bytes = Vec::new();
            file.rewind().unwrap();
            file.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Ended {
            code,
            stdout: text(&mut out),
            stderr: text(&mut err),
            hung,
        }
    }

    /// Waits for a process, and looks at its memory meanwhile.
    fn wait(&self, child: &mut Child, limit: Duration) -> (i32, bool) {
        let end = Instant::now() + limit;
        let mut peak = 0;
        let mut hung = false;
        loop {
            peak = peak.max(resident_peak(child.id()));
            if let Some(status) = child.try_wait().unwrap() {
                let mut most = self.counts.peak.lock().unwrap();
                if peak > most.0 {
                    *most = (peak, self.name.to_owned());
                }
                return (status.code().unwrap_or(-1), hung);
            }
            if Instant::now() > end {
                hung = true;
                child.kill().unwrap();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Counts the attacks of a peer, once they are over; at least one must have come about.
    fn attacked(&self, attacked: impl Fn() -> (u32, u64), cap: u64) {
        let end = Instant::now() + Duration::from_secs(10);
        let (mut hits, mut bytes) = attacked();
        while hits == 0 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
            (hits, bytes) = attacked();
        }
        if hits == 0 {
            self.fault("the attack never came about");
        }
        self.counts.add("attacks", hits.into());
        self.counts.add("bytes sent by attackers", bytes);
        self.counts.max("most bytes that one attack got rid of", bytes);
        // Where a list is too long to be read, it is asked for in parts, a few times.
        if bytes > u64::from(hits.min(QUESTIONS)) * (cap + BUFFERS) {
            self.fault(format!("{bytes} bytes were taken"));
        }
    }
}

/// What changes the screen, the order of the text, or cannot be seen.
fn moves_a_terminal(c: char) -> bool {
    let invisible = [
        '\u{ad}', '\u{34f}', '\u{61c}', '\u{180e}', '\u{feff}', '\u{3164}', '\u{ffa0}', '\u{115f}', '\u{1160}',
    ];
    c.is_control() && c != '\n'
        || invisible.contains(&c)
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{e0000}'..='\u{e0fff}')
}

/// A process's peak of resident memory so far, in KiB.
fn resident_peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

/// What lies in a home, by path from it, with the home's own path made equal everywhere.
fn take(home: &Path) -> tree::Tree {
    let mut tree = tree::take(home);
    // The gateway's own home is no concern of ours; nor is who held a lock of ours last.
    tree.retain(|path, _| !path.starts_with("gateway-home") && !tree::is_volatile(path));
    for node in tree.values_mut() {
        if let tree::Node::File(_, bytes) = node
            && let Ok(text) = std::str::from_utf8(bytes)
        {
            *bytes = text.replace(home.to_str().unwrap(), "<home>").into_bytes();
        }
    }
    tree
}

/// The names of what differs between two trees, databases apart.
fn differences(one: &tree::Tree, other: &tree::Tree) -> Vec<String> {
    let all = one.keys().chain(other.keys());
    let mut differ: Vec<String> = all
        .filter(|path| !tree::is_database(path) && one.get(*path) != other.get(*path))
        .map(|path| path.display().to_string())
        .collect();
    differ.dedup();
    differ
}

/// Plays the cases: those that wait many at a time, the others as the processors allow.
fn play(cases: Vec<Case>, counts: &Counts, report: &mut Report) {
    let (slow, fast): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(|case| case.slow);
    let found = Mutex::new(Report::default());
    std::thread::scope(|scope| {
        for (cases, threads) in [(slow, 48), (fast, 4)] {
            let next = std::sync::Arc::new(Mutex::new(cases.into_iter()));
            for _ in 0..threads {
                let (next, report) = (next.clone(), &found);
                scope.spawn(move || {
                    loop {
                        let case = next.lock().unwrap().next();
                        let Some(Case { name, play, .. }) = case else { break };
                        let trial = Trial {
                            name: &name,
                            counts,
                            report,
                        };
                        play(&trial);
                        counts.add("cases", 1);
                    }
                });
            }
        }
    });
    report.add(found.into_inner().unwrap());
}

/// A place that nobody may be sent to.
fn nowhere() -> Peer {
    Peer::start(Attack::new(
        "nowhere",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        Then::Close,
    ))
}

/// A part of the experiment: its name and its cases.
type Part = (&'static str, fn(u16) -> Vec<Case>);

/// The parts whose name holds `only`.
pub fn all(only: &str, report: &mut Report) {
    let parts: [Part; 6] = [
        ("api", api::cases),
        ("gateway", gateway::cases),
        ("metadata", gateway::metadata),
        ("proxies", proxies::cases),
        ("programs", programs::cases),
        ("claims", claims::cases),
    ];
    let elsewhere = nowhere();
    let mut totals = Vec::new();
    for (name, cases) in parts {
        if !name.contains(only) {
            continue;
        }
        let counts = Counts::default();
        play(cases(elsewhere.port()), &counts, report);
        let peak = counts.peak.lock().unwrap();
        report.line(format!(
            "{name}: {} cases, {} runs, {} attacks; attackers sent {} MB, at most {:.1} MB an attack; most memory {:.1} MB ({})",
            counts.get("cases"),
            counts.get("runs"),
            counts.get("attacks"),
            counts.get("bytes sent by attackers") >> 20,
            counts.get("most bytes that one attack got rid of") as f64 / f64::from(1 << 20),
            peak.0 as f64 / 1024.0,
            peak.1,
        ));
        totals.push((
            counts.get("runs"),
            counts.get("attacks"),
            counts.get("bytes sent by attackers"),
        ));
    }
    let strayed = elsewhere.arrived();
    if !strayed.is_empty() {
        report.fault("elsewhere", format!("{} connections: {}", strayed.len(), strayed[0]));
    }
    let sum = |of: fn(&(u64, u64, u64)) -> u64| totals.iter().map(of).sum::<u64>();
    report.line(format!(
        "in all: {} runs, {} attacks, {} MB sent by attackers; {} connections to where they wanted us",
        sum(|all| all.0),
        sum(|all| all.1),
        sum(|all| all.2) >> 20,
        strayed.len()
    ));
}

/// A process that is talked to.
fn spawn(run: Run) -> Child {
    let script = format!("ulimit -v {ADDRESS_SPACE}; exec \"$@\"");
    let mut command = run.under("sh", ["-c", &script, "sh"]).into_command();
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}
