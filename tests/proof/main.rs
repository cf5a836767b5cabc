//! The promises as experiments, each of which prints its counts. They need strace, so plain `cargo test` leaves them
//! out:
//!
//! ```sh
//! cargo test --features proof --test proof                          # all
//! cargo test --features proof --test proof -- killed "auth login"   # one experiment, scenes with that name
//! ```

mod authority;
mod broker;
mod decided;
#[path = "../env/mod.rs"]
mod env;
mod faults;
mod killed;
mod links;
mod peers;
mod private;
mod scenes;
mod strace;
mod tree;
mod writers;

use scenes::Scene;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

/// What an experiment counted and what it found wrong.
#[derive(Default)]
pub struct Report {
    lines: Vec<String>,
    faults: Vec<String>,
    /// How many calls were struck, by name.
    struck: BTreeMap<String, u32>,
    /// What is found is planted, and not for the reader.
    is_silent: bool,
}

impl Report {
    /// A line for the reader.
    pub fn line(&mut self, line: String) {
        println!("  {line}");
        self.lines.push(line);
    }

    /// Something that must not be.
    pub fn fault(&mut self, scene: &str, fault: String) {
        if !self.is_silent {
            let shown: String = fault.chars().take(600).collect();
            println!("  FAULT {scene}: {shown}");
        }
        self.faults.push(format!("{scene}: {fault}"));
    }

    /// How many calls of which name were struck in all.
    pub fn total(&mut self, verb: &str) {
        let by_name: Vec<String> = self
            .struck
            .iter()
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        let all: u32 = self.struck.values().sum();
        self.line(format!("{verb} {all} times: {}", by_name.join(", ")));
    }

    fn add(&mut self, other: Self) {
        self.lines.extend(other.lines);
        self.faults.extend(other.faults);
        for (name, count) in other.struck {
            *self.struck.entry(name).or_default() += count;
        }
    }
}

/// Plays scenes whose name holds `only`, on two threads.
fn two_at_a_time(scenes: Vec<Scene>, only: &str, report: &mut Report, play: fn(&Scene, &mut Report)) {
    let scenes: Vec<Scene> = scenes.into_iter().filter(|scene| scene.name.contains(only)).collect();
    let next = Mutex::new(scenes.iter());
    let whole = Mutex::new(report);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let scene = next.lock().unwrap().next();
                    let Some(scene) = scene else { break };
                    let mut report = Report::default();
                    play(scene, &mut report);
                    whole.lock().unwrap().add(report);
                }
            });
        }
    });
}

type Experiment = fn(&str, &mut Report);

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let wanted = args.first().map_or("", String::as_str);
    let only = args.get(1).map_or("", String::as_str);
    // Hostile peers and agents alone need no strace.
    if !["peers", "authority"].contains(&wanted)
        && let Err(why) = strace::check()
    {
        eprintln!("{why}");
        std::process::exit(2);
    }
    // Thousands of runs, each with its fsyncs: they need not wear out a disk.
    if std::env::var_os("TMPDIR").is_none() && std::path::Path::new("/dev/shm").is_dir() {
        let _ = tempfile::env::override_temp_dir(std::path::Path::new("/dev/shm"));
    }
    let experiments: [(&str, &str, Experiment); 8] = [
        ("authority", "an agent edits what it can", authority::all),
        ("broker", "an agent with a shell beside a broker", broker::all),
        ("killed", "killed at every call that changes something", killed::all),
        ("writers", "many writers on one config", writers::all),
        ("private", "no token or secret where others could see it", private::all),
        ("links", "planted links, and folders of others", links::all),
        ("peers", "hostile peers, and their good end", peers::all),
        ("faults", "every call that changes something fails", faults::all),
    ];
    // What runs nothing must not look green.
    if !wanted.is_empty() && !experiments.iter().any(|(name, ..)| *name == wanted) {
        eprintln!("no experiment \"{wanted}\"; a part of one is a second word: peers claims");
        std::process::exit(2);
    }
    let mut faults = Vec::new();
    for (name, title, experiment) in experiments {
        if !wanted.is_empty() && wanted != name {
            continue;
        }
        println!("{name}: {title}");
        let start = Instant::now();
        let mut report = Report::default();
        experiment(only, &mut report);
        println!("  {} s, {} faults", start.elapsed().as_secs(), report.faults.len());
        faults.extend(report.faults);
    }
    if !faults.is_empty() {
        println!("{} faults", faults.len());
        std::process::exit(1);
    }
}
