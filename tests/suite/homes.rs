//! Homes of other ages, and homes that we make.

use crate::env::{self, Output, TestEnv};
use env::watching::wait_until;
use serde_json::Value;
use sigilum_authz_notify::env::Env;
use sigilum_authz_notify::home;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

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
            let room = match empty {
                true => format!("rmdir {} && ", env.openclaw().display()),
                false => String::new(),
            };
            let step = format!("next: {room}openclaw doctor");
            assert!(output.stderr.contains(&step), "{args:?}: {}", output.stderr);
        }
        // Who only reads finds nothing there, and says so.
        env.run(["auth", "status", "--namespace", "alice"]).expect(3);
        env.run(["hook", "uninstall"]).expect(0);
        // As `openclaw doctor` leaves it (2026.9.6).
        let _ = std::fs::remove_dir(env.openclaw());
        std::fs::rename(env.home().join(".clawdbot"), env.openclaw()).unwrap();
        symlink(env.openclaw(), env.home().join(".clawdbot")).unwrap();
        std::fs::copy(env.openclaw().join("clawdbot.json"), env.config()).unwrap();
        env.run(LOGIN).expect(0);
    }
}

/// What is no part of a login makes a home too, and with it what an uninstall knows it by.
#[test]
fn nothing_else_makes_a_home_that_hides_an_older_one() {
    type Vars = &'static [(&'static str, &'static str)];
    let table: [(&[&str], Vars); 5] = [
        (&["service", "add", "mail"], &[("SIGILUM_API_DB", "x.sqlite")]),
        (
            &["service", "add", "mail", "--dry-run"],
            &[("SIGILUM_API_DB", "x.sqlite")],
        ),
        (
            &["service", "add", "mail"],
            &[
                ("SIGILUM_API_DB", ".openclaw/x.sqlite"),
                ("GATEWAY_SIGILUM_HOME", "services"),
            ],
        ),
        (&["broker", "run", "--socket", "HOME/socket"], &[]),
        (&["setup", "--yes", "--mode", "oss-local"], &[]),
    ];
    for (args, vars) in table {
        let env = TestEnv::new();
        env.write(".clawdbot/clawdbot.json", CONFIG);
        let before = tree(env.home());
        let home = env.home().to_str().unwrap();
        let args = args.iter().map(|arg| arg.replace("HOME", home));
        let run = env.run(args).cwd(env.home()).env("SIGILUM_NAMESPACE", "alice");
        let run = vars.iter().fold(run, |run, (name, value)| run.env(name, value));
        let output = run.expect(3);
        assert!(output.stderr.contains("next: openclaw doctor"), "{}", output.stderr);
        let is_socket = |path: &PathBuf| path.ends_with("socket");
        let after: Vec<PathBuf> = tree(env.home()).into_iter().filter(|path| !is_socket(path)).collect();
        assert_eq!(after, before, "{output:?}");
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

/// OpenClaw 2026.9.6's doctor moves the older home of `HOME`, and none where `OPENCLAW_STATE_DIR` is set.
#[test]
fn the_doctor_that_is_named_moves_the_older_home() {
    let env = TestEnv::new();
    env.write(".clawdbot/clawdbot.json", CONFIG);
    env.write("other/.clawdbot/clawdbot.json", CONFIG);
    let (home, other) = (env.home().display(), env.home().join("other"));
    let own = format!("{home}/.openclaw");
    let others = other.join(".openclaw").display().to_string();
    let there = format!("HOME={} openclaw doctor", other.display());
    // The flag, the variables, and what runs the doctor.
    type Case<'a> = (Option<&'a str>, &'a [(&'a str, &'a str)], String);
    let table: [Case<'_>; 8] = [
        (Some(&own), &[], "openclaw doctor".to_owned()),
        (
            None,
            &[("OPENCLAW_STATE_DIR", &own)],
            "env -u OPENCLAW_STATE_DIR openclaw doctor".to_owned(),
        ),
        (
            Some(&own),
            &[("OPENCLAW_STATE_DIR", &own)],
            "env -u OPENCLAW_STATE_DIR openclaw doctor".to_owned(),
        ),
        (
            Some(&own),
            &[("OPENCLAW_STATE_DIR", "/elsewhere")],
            "env -u OPENCLAW_STATE_DIR openclaw doctor".to_owned(),
        ),
        (
            Some(&own),
            &[("OPENCLAW_HOME", "/elsewhere"), ("OPENCLAW_PROFILE", "work")],
            "env -u OPENCLAW_HOME -u OPENCLAW_PROFILE openclaw doctor".to_owned(),
        ),
        (Some(&others), &[], format!("env {there}")),
        (
            None,
            &[("OPENCLAW_HOME", other.to_str().unwrap())],
            format!("env {there}"),
        ),
        (
            Some(&others),
            &[("OPENCLAW_STATE_DIR", &own)],
            format!("env -u OPENCLAW_STATE_DIR {there}"),
        ),
    ];
    for (flag, vars, doctor) in table {
        for args in MAKERS {
            let flag = flag.into_iter().flat_map(|home| ["--openclaw-home", home]);
            let run = env.run(args).args(flag);
            let run = vars.iter().fold(run, |run, (name, value)| run.env(name, value));
            let told = run.expect(3).stderr;
            let step = format!("next: {doctor}; it moves that to its new place\n");
            assert!(told.ends_with(&step), "{args:?} {vars:?}: {told}");
        }
    }
    if env::can_be_others() {
        let own = [other.join(".clawdbot"), other.clone()];
        own.iter()
            .for_each(|path| chown(path, Some(env::STRANGER), None).unwrap());
        let told = env.run(LOGIN).args(["--openclaw-home", &others]).expect(3).stderr;
        let by = sigilum_authz_notify::fs::sudo_as(env::STRANGER);
        assert!(told.contains(&format!("next: {by} env {there}; ")), "{told}");
    }
    assert!(!env.openclaw().exists() && !other.join(".openclaw").exists());
}

/// A flag or a variable that names the default home, or the config in it, hides what is there as well.
#[test]
fn an_older_home_or_config_is_not_hidden_by_naming_the_new_one() {
    for (older, named) in [
        (".openclaw/clawdbot.json", "--config=HOME/.openclaw/openclaw.json"),
        (
            ".openclaw/clawdbot.json",
            "OPENCLAW_CONFIG_PATH=HOME/.openclaw/openclaw.json",
        ),
        (".openclaw/clawdbot.json", "OPENCLAW_STATE_DIR=HOME/.openclaw"),
        (".clawdbot/clawdbot.json", "OPENCLAW_STATE_DIR=HOME/.openclaw"),
        (".clawdbot/clawdbot.json", "OPENCLAW_STATE_DIR=~/.openclaw"),
        (".clawdbot/clawdbot.json", "--config=HOME/.openclaw/openclaw.json"),
    ] {
        let env = TestEnv::new();
        env.write(older, CONFIG);
        let before = tree(env.home());
        let named = named.replace("HOME/", &format!("{}/", env.home().display()));
        let (name, value) = named.split_once('=').unwrap();
        for args in MAKERS {
            let run = match named.starts_with('-') {
                true => env.run(args).args([&named]),
                false => env.run(args).env(name, value),
            };
            let told = run.expect(3).stderr;
            assert!(
                told.contains("it would hide what OpenClaw uses: "),
                "{args:?} {named}: {told}"
            );
            assert_eq!(tree(env.home()), before, "{args:?} {named}");
        }
    }
}

/// OpenClaw's doctor moves nothing to a folder that is there.
#[test]
fn a_new_home_without_a_config_makes_room_for_the_older_one() {
    let env = TestEnv::new();
    env.write(".clawdbot/clawdbot.json", CONFIG);
    env.write(".openclaw/hooks/mine/HOOK.md", "mine\n");
    let make_room = || {
        let told = refused(&env, LOGIN, ".clawdbot/clawdbot.json").stderr;
        let step = told.split("next: ").nth(1).unwrap();
        let (first, then) = step.split_once(" && ").unwrap();
        assert_eq!(then, "openclaw doctor; it moves that to its new place\n");
        let status = std::process::Command::new("sh").args(["-c", first]).status();
        assert!(status.unwrap().success() && !env.openclaw().exists(), "{first}");
    };
    make_room();
    assert!(env.home().join(".openclaw.aside/hooks/mine/HOOK.md").exists());
    std::fs::create_dir(env.openclaw()).unwrap();
    make_room();
}

/// A look, and a service, are for the home that is there.
#[test]
fn a_watcher_for_a_home_that_would_hide_an_older_one_is_refused() {
    let env = TestEnv::new();
    env.write(".clawdbot/clawdbot.json", CONFIG);
    for args in [&["watch", "--once"][..], &["watch", "--install-unit"]] {
        let told = refused(&env, args, ".clawdbot").stderr;
        assert!(told.contains("next: openclaw doctor"), "{args:?}: {told}");
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
    let service: Make = |env| {
        let db = env
            .home()
            .parent()
            .unwrap()
            .join(format!("{}.sqlite", env.home().file_name().unwrap().display()));
        for args in [&["add", "mail"][..], &["remove", "mail", "--yes"]] {
            let run = env.run(["service"]).args(args).env("SIGILUM_API_DB", &db);
            run.env("SIGILUM_NAMESPACE", "alice").expect(0);
        }
        std::fs::remove_file(db).unwrap();
    };
    let table: [(&str, Make, &[&str]); 6] = [
        ("a service", service, &[]),
        ("a service, and a purge", service, &["--purge"]),
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
    // A service that is there keeps its key.
    let env = TestEnv::new();
    let db = env.home().join("x.sqlite");
    let add = env.run(["service", "add", "mail", "--namespace", "alice"]);
    add.env("SIGILUM_API_DB", db).expect(0);
    env.run(["hook", "uninstall", "--purge"]).expect(0);
    assert!(env.openclaw().join(".sigilum-workspace/service-api-key-mail").exists());
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

/// The config that the watcher inside of `serve` serves in a home.
fn served_config(env: &TestEnv, home: &Path) -> PathBuf {
    let status = home.join(".sigilum/watch-status.json");
    let _ = std::fs::remove_file(&status);
    let args = ["serve", "--stdio", "--openclaw-home", home.to_str().unwrap()];
    let mut child = env
        .run(args)
        .into_command()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut served = None;
    wait_until(|| {
        let bytes = std::fs::read(&status).unwrap_or_default();
        let status = serde_json::from_slice::<Value>(&bytes).unwrap_or_default();
        served = status["homes"][0]["config"].as_str().map(PathBuf::from);
        served.is_some()
    });
    drop(child.stdin.take());
    child.wait().unwrap();
    served.unwrap()
}

/// `hook install --config` names a config; what becomes of it where the home is copied and where it is moved.
#[test]
fn a_copied_home_leaves_the_originals_config_alone_and_a_moved_one_keeps_its_own() {
    for (named, inside) in [("elsewhere/mine.json", false), (".openclaw/conf/mine.json", true)] {
        let env = TestEnv::new();
        let config = env.write(named, env::watching::CONFIG);
        let flags = ["--config", config.to_str().unwrap(), "--token-in-config", "true"];
        env.login().args(flags).args(["--ttl-seconds", "600"]).expect(0);
        env.run(["hook", "install"]).args(flags).expect(0);
        let before = std::fs::read(&config).unwrap();
        let copy = env.home().join("copy");
        let copied = std::process::Command::new("cp")
            .arg("-a")
            .args([&env.openclaw(), &copy])
            .status();
        assert!(copied.unwrap().success());

        let there = ["--openclaw-home", copy.to_str().unwrap()];
        env.run(["auth", "refresh", "--ttl-seconds", "900"])
            .args(there)
            .expect(0);
        let own = match inside {
            true => copy.join("conf/mine.json"),
            false => copy.join("openclaw.json"),
        };
        assert_eq!(served_config(&env, &copy), own);
        assert_eq!(std::fs::read(&config).unwrap(), before);
        assert_eq!(served_config(&env, &env.openclaw()), config);

        let moved = env.home().join("moved");
        std::fs::rename(env.openclaw(), &moved).unwrap();
        let own = match inside {
            true => moved.join("conf/mine.json"),
            false => moved.join("openclaw.json"),
        };
        assert_eq!(served_config(&env, &moved), own);
        let findings = env
            .run(["doctor", "--openclaw-home", moved.to_str().unwrap()])
            .output()
            .stdout;
        assert_eq!(
            findings.contains("names the config of another home"),
            !inside,
            "{findings}"
        );
    }
}

#[test]
fn a_home_whose_name_is_no_text_is_one_once_it_is_renamed() {
    let env = TestEnv::new();
    let odd = env.home().join(std::ffi::OsStr::from_bytes(b"home-\xff"));
    std::fs::create_dir(&odd).unwrap();
    let login = |home: &Path| env.login().args(["--openclaw-home".as_ref(), home.as_os_str()]);
    let told = login(&odd).expect(2);
    assert_eq!(told.step(), "rename what is on the way to it");
    let plain = env.home().join("home");
    std::fs::rename(&odd, &plain).unwrap();
    login(&plain).expect(0);
}

/// What is printed acts on the home that is meant, also in a shell whose variables name another.
#[test]
fn the_flags_of_a_home_are_left_out_where_its_command_finds_it() {
    let of = |more: &[(&str, &str)]| {
        let env = Env::from_pairs([("HOME", "/h")].iter().chain(more).copied());
        let place = home::find(
            Some(Path::new("/h/.openclaw")),
            Some(Path::new("/h/.openclaw/openclaw.json")),
            &env,
        );
        place.unwrap().flags(&env)
    };
    assert_eq!(of(&[]), "");
    assert_eq!(of(&[("OPENCLAW_STATE_DIR", "/h/.openclaw")]), "");
    for (variable, flags) in [
        (("OPENCLAW_STATE_DIR", "/x"), " --openclaw-home /h/.openclaw"),
        (("OPENCLAW_PROFILE", "work"), " --openclaw-home /h/.openclaw"),
        (
            ("OPENCLAW_CONFIG_PATH", "/x/c.json"),
            " --config /h/.openclaw/openclaw.json",
        ),
    ] {
        assert_eq!(of(&[variable]), flags, "{variable:?}");
    }
}
