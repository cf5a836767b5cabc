//! What is waited for is told after a second; Ctrl-C then, or amid the writes, leaves token, record and config agreeing.

use crate::env::{self, TestEnv};

use env::watching::wait_until;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

const NEW_TOKEN: [&str; 8] = [
    "auth",
    "login",
    "--mode",
    "oss-local",
    "--namespace",
    "alice",
    // Another token, though it be the same second.
    "--ttl-seconds",
    "777777",
];

/// What somebody holds, until dropped; what is said of it.
struct Held {
    says: String,
    release: Option<Box<dyn FnOnce()>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release.take().unwrap()();
    }
}

fn logged_in() -> TestEnv {
    let env = TestEnv::new();
    env.write_config("{}\n");
    env.login().args(["--enable-authz-notify", "true"]).expect(0);
    assert_eq!(in_config(&env), env.stored());
    env
}

fn in_config(env: &TestEnv) -> Option<String> {
    let config: Value = json5::from_str(&std::fs::read_to_string(env.config()).unwrap()).unwrap();
    let entry = &config["hooks"]["internal"]["entries"]["sigilum-authz-notify"];
    entry["env"]["SIGILUM_OWNER_TOKEN"].as_str().map(str::to_owned)
}

fn our_lock(env: &TestEnv) -> Held {
    let path = env.sigilum("lock");
    let file = File::options().write(true).open(&path).unwrap();
    fs2::FileExt::lock_exclusive(&file).unwrap();
    std::fs::write(&path, format!("{}\n", std::process::id())).unwrap();
    Held {
        says: format!(
            "waiting for our lock, which another sigilum-authz-notify (process {}) holds: {}; 1",
            std::process::id(),
            path.display()
        ),
        release: Some(Box::new(move || drop(file))),
    }
}

fn openclaws_lock(env: &TestEnv) -> Held {
    let path: PathBuf = env.openclaw().join("openclaw.json.lock");
    std::fs::write(&path, json!({"pid": std::process::id()}).to_string()).unwrap();
    Held {
        says: format!(
            "waiting for OpenClaw's write lock, which process {} holds: {}; 1",
            std::process::id(),
            path.display()
        ),
        release: Some(Box::new(move || std::fs::remove_file(path).unwrap())),
    }
}

fn database(env: &TestEnv) -> Held {
    let database = rusqlite::Connection::open(env.sigilum("local-api.sqlite")).unwrap();
    // Not even readers get in.
    let exclusive = "PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; DELETE FROM users WHERE 0";
    database.execute_batch(exclusive).unwrap();
    Held {
        says: "waiting for the local API's database, which another program writes to; 4 s more at most".to_owned(),
        release: Some(Box::new(move || drop(database))),
    }
}

#[test]
fn after_a_second_it_is_told_what_is_waited_for() {
    for hold in [our_lock, openclaws_lock, database] {
        let env = logged_in();
        let before = env.stored();
        let held = hold(&env);
        let mut terminal = env.run(NEW_TOKEN).on_terminal(true);
        terminal.wait_for(&held.says);
        drop(held);
        let output = terminal.end();
        assert_eq!(output.code, 0, "{}", output.stderr);
        assert_eq!(output.stderr.matches("waiting for").count(), 1, "{}", output.stderr);
        assert_ne!(env.stored(), before);
        assert_eq!(in_config(&env), env.stored());
    }
}

#[test]
fn ctrl_c_while_something_is_waited_for_changes_nothing() {
    let commands: [&[&str]; 2] = [&NEW_TOKEN, &["auth", "logout", "--namespace", "alice"]];
    for hold in [our_lock, openclaws_lock, database] {
        for command in commands {
            let env = logged_in();
            let before = (env.ours(), std::fs::read(env.config()).unwrap());
            let held = hold(&env);
            // A logout asks no database.
            if command[1] == "logout" && held.says.contains("database") {
                continue;
            }
            let mut terminal = env.run(command).on_terminal(true);
            terminal.wait_for(&held.says);
            terminal.signal(Signal::INT);
            let output = terminal.end();
            assert_eq!(output.code, -1, "{}", output.stderr);
            drop(held);
            let after = (env.ours(), std::fs::read(env.config()).unwrap());
            assert_eq!(before, after, "{command:?}");
        }
    }
}

/// Token, record and config agree: a config that keeps its token has its login still.
#[test]
fn a_logout_changes_nothing_while_openclaws_lock_stays_held() {
    let env = logged_in();
    let before = (env.ours(), std::fs::read(env.config()).unwrap());
    let held = openclaws_lock(&env);
    let output = env.run(["auth", "logout"]).expect(5);
    drop(held);
    assert!(!output.stdout.contains("Removed"), "{output:?}");
    assert_eq!((env.ours(), std::fs::read(env.config()).unwrap()), before);
    let output = env.run(["auth", "logout"]).expect(0);
    assert!(output.stdout.contains("Removed"), "{output:?}");
    assert!(in_config(&env).is_none_or(|filler| filler.starts_with("no-token")));
    assert_eq!(env.stored(), None);
}

#[test]
fn ctrl_c_amid_the_writes_waits_for_the_last_one() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let env = logged_in();
        let before = env.stored();
        let terminal = env
            .run(NEW_TOKEN)
            .args(["--test-hold-lock-ms", "700"])
            .on_terminal(true);
        assert!(wait_until(|| env.stored() != before));
        assert_eq!(
            in_config(&env),
            before,
            "the config is to be written after the token file"
        );
        terminal.signal(signal);
        let output = terminal.end();
        assert_eq!(output.code, -1, "{}", output.stderr);
        assert_eq!(in_config(&env), env.stored());
        assert!(!env.openclaw().join("openclaw.json.lock").exists());
    }
}

/// Another program that ignores OpenClaw's lock, until a person ends it.
#[test]
fn a_config_that_keeps_changing_is_written_once_that_ends() {
    for (is_whole, told) in [(true, "keeps changing it"), (false, "it keeps changing: ")] {
        let env = TestEnv::new();
        env.write_config("{}");
        let (count, ended) = (AtomicU32::new(0), AtomicBool::new(false));
        let write = |name: &str| {
            let number = count.fetch_add(1, Ordering::SeqCst);
            let end = if is_whole { "}" } else { "" };
            let file = env.write(name, format!(r#"{{"written": {number}{end}"#));
            std::fs::rename(file, env.config()).unwrap();
        };
        std::thread::scope(|scope| {
            let (write, over) = (&write, &ended);
            for name in ["one.tmp", "two.tmp"] {
                scope.spawn(move || {
                    while !over.load(Ordering::SeqCst) {
                        write(name);
                    }
                });
            }
            let is_told = wait_until(|| env.login().output().stderr.contains(told));
            ended.store(true, Ordering::SeqCst);
            assert!(is_told, "not told: {told}");
        });
        env.write_config("{}");
        env.login().expect(0);
        let config = std::fs::read_to_string(env.config()).unwrap();
        assert!(config.contains("sigilum-authz-notify"), "{config}");
    }
}
