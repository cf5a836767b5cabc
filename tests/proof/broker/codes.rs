//! Codes replayed, raced and guessed, and a broker that is killed anywhere while a code decides.

use super::stage::{Broker, Client, Stage, code, id};
use crate::Report;
use crate::env::{BROKER, STRANGER};
use crate::killed::family;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Everything that is added to the log of decisions, as it stands.
fn logged(stage: &Stage) -> String {
    std::fs::read_to_string(stage.users.kept("decisions.jsonl")).unwrap_or_default()
}

/// A code again, at once for several requests, and with the broker killed meanwhile.
pub fn again(report: &mut Report) {
    let Some(stage) = Stage::new() else { return };
    let replays = replay(&stage, report);
    let races = race(&stage, report);
    report.line(format!(
        "codes: {replays} replays of one that was spent, over restarts too, none decided; {races} races of 8 connections with \
         one code, one decided each time; no code in the log"
    ));
    killed(&stage, report);
}

/// Until it locks, and on.
pub fn guessed(report: &mut Report) {
    let Some(stage) = Stage::new() else { return };
    let guesses = guess(&stage, report);
    report.line(format!(
        "guesses: {guesses} before the lock, none looked at after it, over restarts too"
    ));
}

/// One code, for every other request, over a restart too.
fn replay(stage: &Stage, report: &mut Report) -> usize {
    const OTHERS: usize = 4;
    let mut tried = 0;
    for restarted in [false, true] {
        stage.requests(OTHERS + 1);
        stage.fresh_codes();
        let mut broker = stage.usual();
        let (mut client, right) = (stage.shown(), code(0));
        let first = client.say(&format!("approve {} {right}", id(0))).unwrap_or_default();
        if !first.contains("approved") {
            report.fault("replay", format!("the first was not made: {first}"));
        }
        if restarted {
            drop(broker);
            broker = stage.usual();
            client = stage.shown();
        }
        for number in 1..=OTHERS {
            let verb = ["approve", "reject"][number % 2];
            client.say(&format!("{verb} {} {right}", id(number)));
            tried += 1;
        }
        let posts = stage.posts();
        if posts != 1 {
            report.fault("replay", format!("one code made {posts} decisions"));
        }
        if logged(stage).contains(&format!("\"{right}\"")) {
            report.fault("replay", "the code is in the log".to_owned());
        }
        // Where nothing is kept of it, it decides again: so that is what keeps it from that.
        stage.fresh_codes();
        client.say(&format!("approve {} {right}", id(1)));
        if stage.posts() != 2 {
            report.fault(
                "replay",
                "a code that is not kept as spent decides nothing either".to_owned(),
            );
        }
        drop(broker);
    }
    tried
}

/// One code over eight connections at once, for a request each.
fn race(stage: &Stage, report: &mut Report) -> usize {
    const ROUNDS: usize = 10;
    let broker = stage.usual();
    let mut clients: Vec<Client> = (0..8).map(|_| Client::connect(&stage.socket, STRANGER).0).collect();
    for round in 0..ROUNDS {
        stage.requests(8);
        stage.fresh_codes();
        clients.iter_mut().for_each(|client| drop(client.say("list")));
        let right = code(0);
        let answers: Vec<Option<String>> = std::thread::scope(|scope| {
            let saying: Vec<_> = clients
                .iter_mut()
                .enumerate()
                .map(|(number, client)| {
                    let text = format!("approve {} {right}", id(number));
                    scope.spawn(move || client.say(&text))
                })
                .collect();
            saying.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let posts = stage.posts();
        if posts != 1 {
            report.fault(
                "race",
                format!("round {round}: one code made {posts} decisions: {answers:?}"),
            );
        }
    }
    drop(broker);
    ROUNDS
}

fn guess(stage: &Stage, report: &mut Report) -> usize {
    stage.requests(1);
    stage.fresh_codes();
    let mut looked_at = 0;
    for _ in 0..3 {
        let _broker = stage.usual();
        let mut client = stage.shown();
        for _ in 0..4 {
            let told = client.say(&format!("approve {} 000000", id(0))).unwrap_or_default();
            looked_at += usize::from(told.contains("does not count"));
        }
        if looked_at >= 5
            && client
                .say(&format!("approve {} {}", id(0), code(0)))
                .is_none_or(|told| !told.contains("none counts until"))
        {
            report.fault("guess", "the right code was looked at in the lock".to_owned());
        }
    }
    if looked_at != 5 || stage.posts() != 0 {
        report.fault("guess", format!("{looked_at} guesses were looked at"));
    }
    looked_at
}

/// strace on a process that runs.
struct Tracer {
    child: Child,
}

/// Every call that changes a file or a name.
const CALLS: &str = "openat,write,pwrite64,writev,fsync,fdatasync,?rename,?renameat,renameat2,linkat,?unlink,unlinkat,fchmod,\
                     ftruncate,fchown";

impl Tracer {
    /// Once it is attached.
    fn attach(pid: u32, log: &Path, inject: Option<&str>) -> Self {
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-p", &pid.to_string(), "-o"]).arg(log);
        command.args(["-e", &format!("trace={CALLS}")]);
        if let Some(inject) = inject {
            command.args(["-e", &format!("inject={inject}")]);
        }
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        while said
            .next()
            .is_some_and(|line| line.is_ok_and(|line| !line.contains("attached")))
        {}
        std::thread::spawn(move || said.for_each(drop));
        Self { child }
    }

    /// Lets go.
    fn end(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        let _ = self.child.wait();
    }
}

/// The calls of the thread that decides, each with its number among those of its name in that thread.
fn points(log: &str, folder: &str) -> Vec<(String, u32, String)> {
    let mut counts: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    let decides = log
        .lines()
        .find(|line| line.contains("totp.json") && line.contains("rename"));
    let thread = decides.and_then(|line| line.split(' ').next()).unwrap_or_default();
    let mut points = Vec::new();
    for line in log.lines() {
        let Some((of, call)) = line.split_once(' ') else {
            continue;
        };
        let Some((name, args)) = call.trim_start().split_once('(') else {
            continue;
        };
        let count = counts.entry((of, name)).or_default();
        *count += 1;
        let reads = name == "openat" && !["O_CREAT", "O_WRONLY", "O_RDWR"].iter().any(|flag| args.contains(flag));
        if of == thread && args.contains(folder) && !reads {
            points.push((name.to_owned(), *count, call.trim().to_owned()));
        }
    }
    points
}

/// A broker that is killed at every call that changes a file while a code decides.
fn killed(stage: &Stage, report: &mut Report) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let folder = stage.users.state.display().to_string();
    begin(stage);
    let broker = stage.usual();
    let mut client = stage.shown();
    let tracer = Tracer::attach(broker.pid(), log.path(), None);
    client.say(&format!("approve {} {}", id(0), code(0)));
    tracer.end();
    drop(broker);
    let points = points(&std::fs::read_to_string(log.path()).unwrap(), &folder);
    let names: Vec<&str> = points.iter().map(|(name, ..)| family(name)).collect();
    if ["rename", "fsync", "write"].iter().any(|must| !names.contains(must)) {
        report.fault("killed", format!("the sweep never reached all of it: {names:?}"));
    }
    let mut sent = [0, 0];
    for (name, number, line) in &points {
        let posts = strike(stage, log.path(), (name, *number), report, line);
        sent[posts.min(1)] += 1;
    }
    if sent.contains(&0) {
        report.fault("killed", format!("never killed on one side of the request: {sent:?}"));
    }
    report.line(format!(
        "killed while a code decides: {} kills, {} before it was sent and {} after; no code spent twice, no decision without its \
         intent, each log complete after a restart",
        points.len(),
        sent[0],
        sent[1]
    ));
}

fn begin(stage: &Stage) {
    stage.requests(2);
    stage.fresh_codes();
    let _ = std::fs::remove_file(stage.users.kept("decisions.jsonl"));
}

/// One kill, a restart, and the same code again for the other request.
fn strike(stage: &Stage, log: &Path, point: (&str, u32), report: &mut Report, line: &str) -> usize {
    begin(stage);
    let mut broker = stage.usual();
    let mut client = stage.shown();
    let inject = format!("{}:signal=SIGKILL:when={}", point.0, point.1);
    let tracer = Tracer::attach(broker.pid(), log, Some(&inject));
    let right = code(0);
    client.say(&format!("approve {} {right}", id(0)));
    let mut fault = |what: String| report.fault("killed", format!("at {line}: {what}"));
    if !broker.wait_for_end() {
        fault("the broker was not killed".to_owned());
    }
    tracer.end();
    let posts = stage.posts();
    let text = logged(stage);
    if posts > 0 && !text.contains("\"intent\"") {
        fault("it was sent, and no intent is in the log".to_owned());
    }
    let factor: Value = std::fs::read(stage.users.kept("totp.json"))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    if factor["secret"] != super::stage::FACTOR {
        fault("the second factor is not whole".to_owned());
    }
    if (posts > 0 || text.contains("\"intent\"")) && factor["spent"].is_null() {
        fault("it is about to be sent, and the code is not spent".to_owned());
    }
    over_again(stage, &right, posts, &mut fault);
    posts
}

fn over_again(stage: &Stage, right: &str, posts: usize, fault: &mut dyn FnMut(String)) {
    let _broker: Broker = stage.usual();
    let mut client = stage.shown();
    client.say(&format!("approve {} {right}", id(1)));
    let all = stage.posts();
    if all > 1 || all < posts {
        fault(format!("one code made {all} decisions"));
    }
    let told = stage.users.root("broker log --json --state").args([&stage.users.state]);
    let told = told.by_user(BROKER, &[BROKER]).output();
    let log: Value = serde_json::from_str(&told.stdout).unwrap_or_default();
    let entries = log["decisions"].as_array().cloned().unwrap_or_default();
    let done = entries
        .iter()
        .filter(|entry| entry["result"]["outcome"] == "done")
        .count();
    if done != all || entries.iter().any(|entry| entry["result"].is_null()) {
        fault(format!("{all} were sent, and the log has {entries:?}"));
    }
}
