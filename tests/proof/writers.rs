//! Many writers: eight loops of our commands, an editor that knows no lock, and a reader, all on one config.

use super::Report;
use super::scenes::{self, CONFIG};
use crate::env::services::Desk;
use serde_json::Value;
use std::io::{Seek, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// What the loops counted.
#[derive(Default)]
struct Counts {
    commands: AtomicU32,
    ours: AtomicU32,
    waited: AtomicU32,
    others: AtomicU32,
    lost: AtomicU32,
    reads: AtomicU32,
    unreadable: AtomicU32,
}

/// How the other writer writes.
#[derive(Clone, Copy, PartialEq)]
enum Editor {
    /// A new file over the old one, as editors and `config set` do.
    Replaces,
    /// Into the file that is there, as `cp` and `echo >` do.
    InPlace,
}

/// Both kinds of editor, one after the other: only the second may lose anything.
pub fn all(_: &str, report: &mut Report) {
    let seconds = std::env::var("PROOF_SECONDS").ok().and_then(|text| text.parse().ok());
    play(Editor::Replaces, Duration::from_secs(seconds.unwrap_or(10)), report);
    play(
        Editor::InPlace,
        Duration::from_secs(seconds.unwrap_or(10).min(20)),
        report,
    );
}

fn play(editor: Editor, time: Duration, report: &mut Report) {
    let desk = Desk::new();
    let env = &desk.env;
    env.write_config(CONFIG);
    scenes::login(&desk).expect(0);
    let config = env.config();
    let (counts, stop) = (Counts::default(), AtomicBool::new(false));
    let faults = std::sync::Mutex::new(Vec::new());
    let end = Instant::now() + time;
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (desk, counts, faults) = (&desk, &counts, &faults);
            scope.spawn(move || {
                while Instant::now() < end {
                    let command = counts.commands.fetch_add(1, Ordering::Relaxed);
                    let on = ["true", "false"][usize::from(command.is_multiple_of(2))];
                    let run = match number {
                        0 | 1 => desk.env.run(["auth", "login", "--enable-authz-notify", on]),
                        _ => desk.env.run(["auth", "refresh"]),
                    };
                    // No two tokens have the same life: every command has something to write, several in one second too.
                    let life = (600_000 - command).to_string();
                    let run = run.env("SIGILUM_OWNER_TOKEN_TTL_SECONDS", life);
                    let output = run.env("SIGILUM_NAMESPACE", "alice").output();
                    match output.code {
                        0 => drop(counts.ours.fetch_add(1, Ordering::Relaxed)),
                        // Told to try again: nothing was lost.
                        5 => drop(counts.waited.fetch_add(1, Ordering::Relaxed)),
                        // An editor that writes in place is seen half-way.
                        3 if editor == Editor::InPlace => drop(counts.waited.fetch_add(1, Ordering::Relaxed)),
                        code => faults
                            .lock()
                            .unwrap()
                            .push(format!("exit code {code}: {}", output.stderr)),
                    }
                }
            });
        }
        let other = scope.spawn(|| {
            // The last second is ours alone: what the editor overwrote of ours is written again.
            while Instant::now() + Duration::from_secs(1) < end {
                edit(&config, editor, &counts);
                std::thread::sleep(Duration::from_millis(3));
            }
        });
        let reader = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                counts.reads.fetch_add(1, Ordering::Relaxed);
                let text = std::fs::read_to_string(&config).unwrap_or_default();
                if json5::from_str::<Value>(&text).is_err() {
                    counts.unreadable.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_micros(500));
            }
        });
        other.join().unwrap();
        while Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        stop.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    });
    let count = |counter: &AtomicU32| counter.load(Ordering::Relaxed);
    let text = std::fs::read_to_string(&config).unwrap();
    let value: Value = json5::from_str(&text).unwrap();
    let missing = (0..count(&counts.others))
        .filter(|key| value["env"]["vars"][format!("K{key}")] != *key)
        .count();
    counts.lost.fetch_add(missing as u32, Ordering::Relaxed);
    let mut found = faults.into_inner().unwrap();
    if !text.contains("// the comments stay") || !text.contains("/* as I like it */") {
        found.push("a comment is gone".to_owned());
    }
    let entry = &value["hooks"]["internal"]["entries"]["sigilum-authz-notify"];
    let stored = std::fs::read_to_string(env.sigilum("owner-token-alice.jwt")).unwrap();
    let in_config = entry["env"]["SIGILUM_OWNER_TOKEN"].as_str();
    if entry["enabled"] == true && in_config != Some(stored.trim()) {
        found.push("token file and config disagree".to_owned());
    }
    let names: Vec<String> = std::fs::read_dir(env.openclaw())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| ![".sigilum", "openclaw.json"].contains(&&**name))
        // What is written into the file as it is replaced is nowhere else.
        .filter(|name| editor == Editor::Replaces || !name.starts_with("sigilum-authz-notify-kept-"))
        .collect();
    if !names.is_empty() {
        found.push(format!("left behind: {names:?}"));
    }
    let how = match editor {
        Editor::Replaces => {
            if count(&counts.lost) > 0 || count(&counts.unreadable) > 0 {
                found.push("updates were lost, or the file was unreadable".to_owned());
            }
            "replaces the file"
        }
        Editor::InPlace => "writes into the file",
    };
    report.line(format!(
        "{} s beside an editor that {how}: {} commands of ours done, {} told to try again; {} keys of the editor's, \
         {} lost; {} reads, {} unreadable",
        time.as_secs(),
        count(&counts.ours),
        count(&counts.waited),
        count(&counts.others),
        count(&counts.lost),
        count(&counts.reads),
        count(&counts.unreadable),
    ));
    for fault in found {
        report.fault("many writers", fault);
    }
}

/// Adds one key, the editor's next: reads, changes, writes, and looks neither left nor right. What it overwrites of ours
/// is its doing; what is missing of its keys in the end is ours.
fn edit(config: &Path, editor: Editor, counts: &Counts) {
    let Ok(text) = std::fs::read_to_string(config) else {
        return;
    };
    let Ok(value) = json5::from_str::<Value>(&text) else {
        return;
    };
    let number = counts.others.load(Ordering::Relaxed);
    let member = format!("\"K{number}\": {number}");
    let new = match value.pointer("/env/vars") {
        Some(_) => text.replacen("\"vars\": {", &format!("\"vars\": {{{member}, "), 1),
        None => text.replacen('{', &format!("{{\n  \"env\": {{\"vars\": {{{member}}}}},"), 1),
    };
    match editor {
        Editor::Replaces => {
            let temp = config.with_extension("json.editor");
            std::fs::write(&temp, &new).unwrap();
            std::fs::rename(&temp, config).unwrap();
        }
        Editor::InPlace => {
            let mut file = std::fs::File::options().write(true).open(config).unwrap();
            file.rewind().unwrap();
            file.write_all(new.as_bytes()).unwrap();
            file.set_len(new.len() as u64).unwrap();
        }
    }
    counts.others.fetch_add(1, Ordering::Relaxed);
}
