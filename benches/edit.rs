//! The edit of a config's text: read, parse, edit, check, at three sizes. `cargo bench --bench edit`.
//!
//! Columns: the CPU time of the whole and of its parts (median of the rounds; on an idle machine that is what a person
//! waits), what it comes to for a byte (the same at every size, if the edit is linear), and how much memory a process
//! needs at its peak for one edit (Linux only).

use std::hint::black_box;
use std::process::Command;
use std::time::Duration;

use json_patch::{Patch, diff};
use serde_json::{Value, json};
use sigilum_authz_notify::openclaw::document::Document;
use sigilum_authz_notify::openclaw::undo::{Change, Undo};

const SIZES: [usize; 3] = [10_000, 100_000, 1_000_000];
const SHAPES: [&str; 4] = ["JSON, 2 spaces", "JSON5, comments", "minified", "500 levels deep"];
/// Tells a process of this program to edit once and say its peak memory: then come the shape and the size.
const ONCE: &str = "--edit-once";

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, once, shape, size, ..] = &args[..]
        && once == ONCE
    {
        let text = config(SHAPES[shape.parse::<usize>().unwrap_or(0)], size.parse().unwrap_or(0));
        let before = peak_memory();
        if before.is_some() {
            let document = Document::parse(text.as_bytes()).expect("a good config");
            let patch = install(document.value());
            black_box(document.edit(&patch).expect("an edit"));
        }
        if let (Some(before), Some(after)) = (before, peak_memory()) {
            println!("{}", after - before);
        }
        return;
    }
    println!(
        "{:<18} {:>9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "shape", "bytes", "parse", "edit", "both ms", "ns/byte", "undo ms", "peak MB"
    );
    for shape in SHAPES {
        for size in SIZES {
            let text = config(shape, size);
            let rounds = (20_000_000 / text.len()).clamp(9, 301);
            let mut times = [Vec::new(), Vec::new(), Vec::new()];
            for _ in 0..rounds {
                let started = cpu_time();
                let document = Document::parse(black_box(text.as_bytes())).expect("a good config");
                let parsed = cpu_time() - started;
                let patch = install(document.value());
                let started = cpu_time();
                let edited = black_box(document.edit(&patch).expect("an edit"));
                times[0].push(parsed);
                times[1].push(cpu_time() - started);
                let after = Document::parse(&edited.bytes).expect("a good config").into_value();
                let started = cpu_time();
                let mut undo = Undo::default();
                let change = Change {
                    old: Some(text.as_bytes()),
                    before: document.value(),
                    edited: &edited,
                    after: &after,
                };
                undo.note("config", &change);
                let restored = undo.restore("config", &edited.bytes).expect("a good config");
                times[2].push(cpu_time() - started);
                assert_eq!(restored.bytes, text.as_bytes());
            }
            let [parse, edit, undo] = times.map(|mut times| {
                times.sort();
                times[times.len() / 2].as_secs_f64() * 1e3
            });
            let both = parse + edit;
            let peak = peak_of(shape, size).map_or("-".to_owned(), |kb| format!("{:.1}", kb / 1e3));
            println!(
                "{shape:<18} {:>9} {parse:>8.2} {edit:>8.2} {both:>8.2} {:>8.1} {undo:>8.2} {peak:>8}",
                text.len(),
                both * 1e6 / text.len() as f64,
            );
        }
    }
}

/// What `auth login --enable-authz-notify true` wants.
fn install(value: &Value) -> Patch {
    let mut wanted = value.clone();
    let internal = &mut wanted["hooks"]["internal"];
    internal["enabled"] = json!(true);
    internal["entries"]["sigilum-authz-notify"] = json!({
        "enabled": true,
        "env": {
            "SIGILUM_NAMESPACE": "johndee",
            "SIGILUM_API_URL": "https://api.sigilum.id",
            "SIGILUM_MODE": "managed",
            "SIGILUM_OWNER_TOKEN": "e30.".repeat(120),
        }
    });
    diff(value, &wanted)
}

/// A config of about `size` bytes: many agents before and after the hooks.
fn config(shape: &str, size: usize) -> String {
    let agent = |index: usize| {
        json!({
            "id": format!("agent-{index}"),
            "enabled": index.is_multiple_of(3),
            "model": {"primary": "anthropic/claude", "fallbacks": ["openai/gpt", "none"]},
            "workspace": format!("~/agents/{index}/workspace – \"quoted\""),
            "limits": {"turns": index, "cost": 0.25, "window": null},
        })
    };
    let mut value = json!({"meta": {"lastTouchedVersion": "2026.9.6"}, "agents": {}, "hooks": {"internal": {
        "enabled": false, "entries": {"session-memory": {"enabled": true}}}}, "more": {}});
    let each = match shape {
        "minified" => 215,
        "JSON5, comments" => 440,
        _ => 385,
    };
    for index in 0..size / each {
        value[if index % 2 == 0 { "agents" } else { "more" }][format!("agent {index}")] = agent(index);
    }
    match shape {
        "minified" => value.to_string(),
        "JSON5, comments" => {
            let text = serde_json::to_string_pretty(&value).expect("JSON");
            text.replace("\"enabled\"", "enabled")
                .replace("\"limits\": {", "// as agreed in \"May\"\n'limits': { /* per day */")
                .replace("null\n", "NaN, // no window\n")
        }
        "500 levels deep" => {
            let mut deep = json!(1);
            for _ in 0..500 {
                deep = json!({"d": deep});
            }
            value["deep"] = deep;
            serde_json::to_string(&value).expect("JSON")
        }
        _ => serde_json::to_string_pretty(&value).expect("JSON"),
    }
}

/// What all threads of this process have computed so far.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The most memory that this process ever had, in kB.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// What one edit adds to it, in a process of its own.
fn peak_of(shape: &str, size: usize) -> Option<f64> {
    let shape = SHAPES.iter().position(|known| *known == shape)?;
    let output = Command::new(std::env::current_exe().ok()?)
        .args([ONCE, &shape.to_string(), &size.to_string()])
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
