//! Processes killed in the middle of an edit, and many at once: nothing is lost, nothing stays behind.

use serde_json::{Value, json};
use sigilum_authz_notify::home::OpenClawHome;
use sigilum_authz_notify::openclaw::config::{self, EditOptions};
use sigilum_authz_notify::openclaw::entry::HOOK;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const CONFIG: &str =
    "// mine\r\n{\r\n  gateway: { mode: 'local' },\r\n  hooks: { internal: { enabled: true } }, // end\r\n}\r\n";

fn place(home: &Path) -> OpenClawHome {
    OpenClawHome::at(home.to_owned())
}

fn put(place: &OpenClawHome, key: &str, value: &str) {
    config::edit(place, &EditOptions::default(), &mut |ask| {
        let mut wanted = ask.value.clone();
        let entry = &mut wanted["hooks"]["internal"]["entries"][HOOK];
        entry["env"][key] = json!(value);
        Ok(wanted)
    })
    .unwrap();
}

/// What the child processes of the tests below do; without their variables, nothing.
#[test]
fn child() {
    let (Some(home), Some(name)) = (std::env::var_os("EDIT_TEST_HOME"), std::env::var_os("EDIT_TEST_NAME")) else {
        return;
    };
    let place = place(&PathBuf::from(home));
    let name = name.into_string().unwrap();
    let rounds: u32 = std::env::var("EDIT_TEST_ROUNDS").unwrap().parse().unwrap();
    println!("ready");
    for round in 0..rounds {
        // Twice as long or half as long, so that a mix of two would show.
        let length = if round.is_multiple_of(2) { 60 } else { 120 };
        put(&place, &name, &format!("{round:0length$}"));
    }
}

fn start(home: &Path, name: &str, rounds: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "config_kill::child", "--nocapture", "--test-threads=1"])
        .env("EDIT_TEST_HOME", home)
        .env("EDIT_TEST_NAME", name)
        .env("EDIT_TEST_ROUNDS", rounds.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn finish(mut child: Child) {
    let mut output = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().unwrap(), &mut output).unwrap();
    assert!(child.wait().unwrap().success(), "{output}");
}

fn names(folder: &Path) -> Vec<String> {
    // Killed early enough, a run has not even made our folder.
    let mut names: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn env_of(config: &str) -> Value {
    let value: Value = json5::from_str(config).unwrap();
    assert_eq!(value["gateway"]["mode"], "local");
    value["hooks"]["internal"]["entries"][HOOK]["env"].clone()
}

#[test]
fn killed_at_any_moment_the_file_is_whole_and_the_next_run_tidies_up() {
    const KILLS: u64 = 40;
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    fs::create_dir(&home).unwrap();
    let place = place(&home);
    fs::write(&place.config, CONFIG).unwrap();
    let mut interrupted = 0;
    for kill in 0..KILLS {
        let mut child = start(&home, "A", 1_000_000);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("ready")));
        // Over the length of an edit or two, in steps that do not keep time with it.
        std::thread::sleep(Duration::from_micros(kill * 937));
        child.kill().unwrap();
        child.wait().unwrap();

        let text = fs::read_to_string(&place.config).unwrap();
        assert!(text.starts_with("// mine\r\n{\r\n  gateway: { mode: 'local' },\r\n"));
        assert!(text.ends_with("}, // end\r\n}\r\n"));
        if let Some(token) = env_of(&text)["A"].as_str() {
            let round: usize = token.trim_start_matches('0').parse().unwrap_or(0);
            assert_eq!(token.len(), if round.is_multiple_of(2) { 60 } else { 120 });
        }
        let left = names(&home).len() > 2 || names(&home.join(".sigilum")).iter().any(|name| name.ends_with(".tmp"));
        interrupted += u32::from(left);
        // The next run, if its edit is another one or not, is not held up and leaves nothing of the dead one's.
        let begun = Instant::now();
        finish(start(&home, "A", 1 + u32::try_from(kill % 2).unwrap()));
        assert!(
            begun.elapsed() < Duration::from_secs(15),
            "held up for {:?}",
            begun.elapsed()
        );
        assert_eq!(names(&home), [".sigilum", "openclaw.json"]);
        assert_eq!(names(&home.join(".sigilum")), ["lock", "undo.json"]);
    }
    assert!(interrupted > 0, "no kill hit an edit");
    let options = EditOptions {
        give_back: true,
        ..EditOptions::default()
    };
    config::edit(&place, &options, &mut |ask| Ok(ask.undone.unwrap().clone())).unwrap();
    assert_eq!(fs::read_to_string(&place.config).unwrap(), CONFIG);
    println!("{KILLS} kills, {interrupted} of them in the middle of an edit");
}

#[test]
fn eight_processes_at_once_lose_nothing() {
    const ROUNDS: u32 = 5;
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("openclaw.json"), CONFIG).unwrap();
    let children: Vec<_> = (0..8)
        .map(|number| start(dir.path(), &format!("P{number}"), ROUNDS))
        .collect();
    // A reader never sees anything but a whole file.
    let mut reads = 0;
    let mut running = children;
    while !running.is_empty() {
        env_of(&fs::read_to_string(dir.path().join("openclaw.json")).unwrap());
        reads += 1;
        running.retain_mut(|child| match child.try_wait().unwrap() {
            None => true,
            Some(status) => {
                assert!(status.success());
                false
            }
        });
    }
    assert!(reads > 10);
    let env = env_of(&fs::read_to_string(dir.path().join("openclaw.json")).unwrap());
    for number in 0..8 {
        let last = env[format!("P{number}")].as_str().unwrap();
        assert_eq!(last.parse::<u32>().unwrap(), ROUNDS - 1, "P{number}");
    }
    assert_eq!(names(dir.path()), [".sigilum", "openclaw.json"]);
}
