//! Homes of other ages, and homes that we make.

use crate::env::{Output, TestEnv};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

const CONFIG: &str = r#"{"gateway": {"mode": "local"}}"#;

const LOGIN: &[&str] = &["auth", "login", "--mode", "oss-local", "--namespace", "alice"];

/// Every command that would make a home or a config.
const MAKERS: [&[&str]; 5] = [
    LOGIN,
    &["auth", "refresh", "--mode", "oss-local", "--namespace", "alice"],
    &[
        "auth",
        "login",
        "--mode",
        "oss-local",
        "--namespace",
        "alice",
        "--dry-run",
    ],
    &["hook", "install", "--namespace", "alice"],
    &["hook", "install", "--as", "plugin"],
];

fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.symlink_metadata().unwrap().is_dir() {
            found.extend(tree(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

#[track_caller]
fn refused(env: &TestEnv, args: &[&str], hidden: &str) -> Output {
    let before = tree(env.home());
    let output = env.run(args).expect(3);
    assert_eq!(tree(env.home()), before, "{args:?}");
    let hidden = env.home().join(hidden);
    assert!(
        output.stderr.contains(hidden.to_str().unwrap()),
        "{args:?}: {}",
        output.stderr
    );
    output
}

/// OpenClaw reads `~/.clawdbot` as long as there is no `~/.openclaw`, or none with a config in it.
#[test]
fn an_older_home_is_not_hidden_by_a_new_one() {
    for empty in [false, true] {
        let env = TestEnv::new();
        env.write(".clawdbot/clawdbot.json", CONFIG);
        if empty {
            std::fs::create_dir(env.openclaw()).unwrap();
        }
        for args in MAKERS {
            let output = refused(&env, args, ".clawdbot");
            assert!(
                output.stderr.contains("next: openclaw doctor"),
                "{args:?}: {}",
                output.stderr
            );
        }
        // Who only reads finds nothing there, and says so.
        env.run(["auth", "status", "--namespace", "alice"]).expect(4);
        env.run(["hook", "uninstall"]).expect(0);
        // As `openclaw doctor` leaves it (2026.9.6).
        let _ = std::fs::remove_dir(env.openclaw());
        std::fs::rename(env.home().join(".clawdbot"), env.openclaw()).unwrap();
        symlink(env.openclaw(), env.home().join(".clawdbot")).unwrap();
        std::fs::copy(env.openclaw().join("clawdbot.json"), env.config()).unwrap();
        env.run(LOGIN).expect(0);
    }
}

#[test]
fn a_config_of_an_older_name_is_not_hidden_by_a_new_one() {
    for home in [".openclaw", "elsewhere"] {
        let env = TestEnv::new();
        let old = env.write(format!("{home}/clawdbot.json"), CONFIG);
        let named = env.home().join(home);
        for args in MAKERS {
            let args = [args, &["--openclaw-home", named.to_str().unwrap()]].concat();
            let output = refused(&env, &args, &format!("{home}/clawdbot.json"));
            assert!(output.stderr.contains("openclaw doctor"), "{args:?}: {}", output.stderr);
        }
        let output = env.run(LOGIN).env("OPENCLAW_STATE_DIR", &named).expect(3);
        let next = output.stderr.split_once("next: ").unwrap().1;
        let (command, _) = next.split_once(" && ").unwrap();
        assert!(
            env.run_program("sh".as_ref(), ["-c", command])
                .expect(0)
                .stderr
                .is_empty()
        );
        assert!(!old.exists());
        env.run(LOGIN).env("OPENCLAW_STATE_DIR", &named).expect(0);
    }
}

#[test]
fn an_older_home_that_openclaw_does_not_read_is_no_matter() {
    // The config that is there, a flag or a variable.
    let table = [
        (".openclaw/openclaw.json", "OPENCLAW_HOME="),
        ("other.json", "--openclaw-home=elsewhere"),
        ("other.json", "OPENCLAW_STATE_DIR=state"),
        ("other.json", "OPENCLAW_PROFILE=work"),
        ("other.json", "OPENCLAW_HOME=base"),
    ];
    for (config, by) in table {
        let env = TestEnv::new();
        env.write(".clawdbot/clawdbot.json", CONFIG);
        env.write(config, CONFIG);
        let (name, value) = by.split_once('=').unwrap();
        let run = match by.starts_with('-') {
            true => env.run(LOGIN).args([by]),
            false => env.run(LOGIN).env(name, value),
        };
        run.expect(0);
    }
    // A config that is named is the one that OpenClaw reads, whatever else lies in its home.
    let env = TestEnv::new();
    env.write(".openclaw/clawdbot.json", CONFIG);
    let config = env.write("named.json", CONFIG);
    env.run(LOGIN).env("OPENCLAW_CONFIG_PATH", config).expect(0);
}

#[test]
fn an_uninstall_takes_away_a_home_that_we_made_and_no_other() {
    type Make = fn(&TestEnv);
    let install: Make = |env| drop(env.run(["hook", "install", "--namespace", "alice"]).expect(0));
    let table: [(&str, Make, &[&str]); 4] = [
        ("an install", install, &[]),
        (
            "a plugin",
            |env| drop(env.run(["hook", "install", "--as", "plugin"]).expect(0)),
            &[],
        ),
        ("a login", |env| drop(env.login().expect(0)), &["--purge"]),
        (
            "a login and an install",
            |env| {
                env.login().expect(0);
                env.run(["hook", "install"]).expect(0);
            },
            &["--purge"],
        ),
    ];
    for (what, make, purge) in table {
        for existed in [false, true] {
            let env = TestEnv::new();
            if existed {
                std::fs::create_dir(env.openclaw()).unwrap();
            }
            let before = tree(env.home());
            make(&env);
            env.run(["hook", "uninstall"]).args(purge).expect(0);
            assert_eq!(tree(env.home()), before, "{what}, existed: {existed}");
        }
    }
    // What somebody else put there meanwhile stays, and so does a token.
    let env = TestEnv::new();
    install(&env);
    let theirs = env.write(".openclaw/theirs", "");
    env.run(["hook", "uninstall", "--purge"]).expect(0);
    assert_eq!(tree(&env.openclaw()), [theirs]);
    let env = TestEnv::new();
    env.login().expect(0);
    env.run(["hook", "uninstall"]).expect(0);
    assert!(env.sigilum("owner-token-alice.jwt").exists());
    env.run(["hook", "uninstall", "--purge"]).expect(0);
    assert!(!env.openclaw().exists());
}
