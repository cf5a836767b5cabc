//! `hook status`: what is installed, selected and in force, for people and as JSON.

use crate::env;

use env::TestEnv;
use serde_json::{Value, json};
use sigilum_authz_notify::text::is_plain;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const HOOK: &str = "sigilum-authz-notify";

fn log_in(env: &TestEnv) {
    let args = ["--mode", "oss-local", "--namespace", "alice", "--print-token", "false"];
    env.run(["auth", "login"].iter().chain(&args)).expect(0);
}

/// `hook status --json` without any `openclaw` on PATH.
#[track_caller]
fn status(env: &TestEnv) -> Value {
    status_and_code(env, 0)
}

#[track_caller]
fn status_and_code(env: &TestEnv, code: i32) -> Value {
    let output = env
        .run(["hook", "status", "--json"])
        .env("PATH", "/usr/bin:/bin")
        .expect(code);
    serde_json::from_str(&output.stdout).unwrap()
}

/// A stand-in for `openclaw`, and the PATH that leads to it.
fn openclaw(env: &TestEnv, script: &str) -> String {
    let bin: PathBuf = env.write("bin/openclaw", format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(&bin, std::fs::Permissions::from_mode(0o700)).unwrap();
    format!("relative:{}:/usr/bin:/bin", bin.parent().unwrap().display())
}

#[test]
fn nothing_there() {
    let env = TestEnv::new();
    let found = status_and_code(&env, 4);
    assert_eq!(found["hook"]["state"], "absent");
    assert_eq!(found["plugin"]["state"], "absent");
    for key in ["entry", "watch"] {
        assert_eq!(found[key], Value::Null, "{key}");
    }
    assert_eq!(found["selected"], json!({"ours": false, "every": false, "names": []}));
    assert_eq!(found["openclaw"], json!({"program": null, "hooks_info": null}));
    assert!(!env.openclaw().exists());
}

/// The token counts before any hook is installed, as for `auth status` and `doctor`.
#[test]
fn a_token_that_cannot_be_used_fails_where_no_hook_is_installed() {
    let env = TestEnv::new();
    log_in(&env);
    status_and_code(&env, 1);
    let token = env.sigilum("owner-token-alice.jwt");
    std::fs::write(&token, "no token").unwrap();
    status_and_code(&env, 4);
    std::fs::remove_file(&token).unwrap();
    status_and_code(&env, 4);
}

#[test]
fn installed_and_selected() {
    let env = TestEnv::new();
    env.write_config(r#"{"hooks":{"internal":{"entries":{"mine":{},"off":{"enabled":false}}}}}"#);
    log_in(&env);
    env.run(["hook", "install", "--token-in-config"]).expect(0);
    let found = status(&env);
    assert_eq!(found["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(found["hook"]["state"], "installed");
    assert_eq!(found["hook"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        Path::new(found["hook"]["binary"].as_str().unwrap()),
        Path::new(env::BINARY).canonicalize().unwrap()
    );
    assert_eq!(
        found["entry"],
        json!({"enabled": true, "namespace": "alice", "mode": "oss-local", "api_url": "http://127.0.0.1:8787",
               "holds_token": true, "token_in_config": true})
    );
    assert_eq!(
        found["selected"],
        json!({"ours": true, "every": false, "names": ["mine"]})
    );
    assert_eq!(found["token"]["state"], "not_expired");
    assert_eq!(found["problems"], json!([]));
    let output = env.run(["hook", "status"]).env("PATH", "/usr/bin:/bin").expect(0);
    for text in [
        "Hook:          installed",
        "Entry:         on, namespace alice, with a token",
        "yes; other hooks: mine",
        "not on PATH",
    ] {
        assert!(output.stdout.contains(text), "{text}: {}", output.stdout);
    }
    let token = std::fs::read_to_string(env.sigilum("owner-token-alice.jwt")).unwrap();
    assert!(!output.stdout.contains(token.trim()) && !found.to_string().contains(token.trim()));
}

#[test]
fn files_that_are_not_as_installed() {
    let env = TestEnv::new();
    log_in(&env);
    env.run(["hook", "install"]).expect(0);
    env.run(["hook", "install", "--as", "plugin"]).expect(0);
    let dir = env.openclaw().join("hooks").join(HOOK);
    let state = |kind: &str, code| status_and_code(&env, code)[kind]["state"].clone();
    assert_eq!(
        (state("hook", 0), state("plugin", 0)),
        (json!("installed"), json!("installed"))
    );
    assert_eq!(status(&env)["plugin"]["enabled"], true);
    assert_eq!(status(&env)["plugin"]["in_load_paths"], true);
    std::fs::write(dir.join("handler.ts"), "").unwrap();
    assert_eq!(state("hook", 1), "shadowed");
    std::fs::remove_file(dir.join("handler.ts")).unwrap();
    std::fs::write(dir.join("handler.js"), "mine").unwrap();
    assert_eq!(state("hook", 0), "changed");
    assert_eq!(status(&env)["hook"]["changed"], json!(["handler.js"]));
    std::fs::remove_file(dir.join("HOOK.md")).unwrap();
    assert_eq!(state("hook", 1), "incomplete");
    assert_eq!(status_and_code(&env, 1)["hook"]["missing"], json!(["HOOK.md"]));
    std::fs::remove_file(env.sigilum("plugin/index.js")).unwrap();
    assert_eq!(state("plugin", 1), "incomplete");
}

/// OpenClaw refuses a handler with a second name; an install gives it one of its own.
#[test]
fn a_hard_link_to_the_handler() {
    let env = TestEnv::new();
    log_in(&env);
    env.run(["hook", "install"]).expect(0);
    let handler = env.openclaw().join("hooks").join(HOOK).join("handler.js");
    std::fs::hard_link(&handler, env.home().join("second")).unwrap();
    let found = status(&env);
    assert_eq!(found["hook"]["state"], "changed");
    assert_eq!(found["hook"]["changed"], json!(["handler.js"]));
    env.run(["hook", "install"]).expect(0);
    assert_eq!(status(&env)["hook"]["state"], "installed");
}

#[test]
fn a_config_that_cannot_be_used_is_a_problem_among_others() {
    for (text, problem) in [
        ("{ broken", "could not use the config"),
        (r#"{"hooks":"x"}"#, "hooks is text"),
    ] {
        let env = TestEnv::new();
        log_in(&env);
        env.write_config(text);
        let found = status_and_code(&env, 3);
        assert_eq!(found["entry"], Value::Null);
        assert_eq!(found["selected"], Value::Null, "it cannot be told");
        let output = env.run(["hook", "status"]).env("PATH", "/usr/bin:/bin").expect(3);
        assert!(output.stdout.contains("Entry:         unknown"), "{}", output.stdout);
        assert!(found["problems"].to_string().contains(problem), "{found}");
        assert_eq!(found["token"]["state"], "not_expired", "{found}");
    }
}

#[test]
fn what_openclaw_says() {
    let env = TestEnv::new();
    log_in(&env);
    let say = |script: &str| {
        let path = openclaw(&env, script);
        let run = env
            .run(["hook", "status"])
            .env("PATH", path)
            .env("JWT_SECRET", "s3cret");
        run.expect(1).stdout
    };
    let told = say(r#"echo 'a banner'; echo '{"name":"x","loadable":true,"disabled":false}'"#);
    assert!(told.contains("OpenClaw says: the hook is loadable"), "{told}");
    let told = say(r#"echo '{"loadable":false,"disabled":false,"missing":{"env":["SIGILUM_NAMESPACE"],"bins":[]}}'"#);
    assert!(
        told.contains("not loadable, it misses: env SIGILUM_NAMESPACE"),
        "{told}"
    );
    let told = say(r#"echo '{"loadable":false,"disabled":true}'"#);
    assert!(told.contains("the hook is disabled"), "{told}");
    let told = say(r#"echo '{"type":"cli_error","message":"Hook not found."}'; exit 1"#);
    assert!(told.contains("OpenClaw says: Hook not found."), "{told}");
    let told = say("echo nonsense");
    assert!(told.contains("unrecognized output"), "{told}");
    // It says nothing, and why is said wherever somebody looks.
    for (script, why) in [
        ("kill -9 $$", ": it was killed by signal 9\n"),
        ("head -c 5000000 /dev/zero", "/bin/openclaw: "),
    ] {
        let told = say(script);
        let nothing = told.lines().find(|line| line.contains("OpenClaw says: ")).unwrap();
        assert!(nothing.contains("says: nothing, could not run OpenClaw: "), "{told}");
        assert!(format!("{nothing}\n").contains(why), "{told}");
        let doctor = env.run(["doctor"]).env("PATH", openclaw(&env, script)).output().stdout;
        assert!(doctor.contains("could not run OpenClaw: "), "{doctor}");
    }
    // How it is asked: no shell, no secret, our home.
    say(r#"printf '%s\n' "$@" > "$HOME/asked"; env > "$HOME/environment""#);
    let asked = std::fs::read_to_string(env.home().join("asked")).unwrap();
    assert_eq!(asked, "hooks\ninfo\nsigilum-authz-notify\n--json\n");
    let environment = std::fs::read_to_string(env.home().join("environment")).unwrap();
    assert!(!environment.contains("s3cret"));
    assert!(environment.contains(&format!("OPENCLAW_CONFIG_PATH={}", env.config().display())));
}

/// A program that leaves a child holding its output does not hold us; what it said counts.
#[test]
fn what_openclaw_leaves_running_is_not_waited_for() {
    let env = TestEnv::new();
    log_in(&env);
    let path = openclaw(
        &env,
        r#"sleep 40 & echo $! > "$HOME/left"; echo '{"loadable":true,"disabled":false}'"#,
    );
    let status = env.run(["hook", "status"]).env("PATH", path);
    let status = status.under("timeout", ["20"]).output();
    let left = std::fs::read_to_string(env.home().join("left")).unwrap();
    std::process::Command::new("kill").arg(left.trim()).status().unwrap();
    assert_eq!(status.code, 1, "{}", status.stderr);
    let said = "OpenClaw says: the hook is loadable";
    assert!(status.stdout.contains(said), "{}", status.stdout);
}

/// It ends with a failure, or is killed, and says nothing.
#[test]
fn an_openclaw_that_fails_is_a_problem() {
    let env = TestEnv::new();
    log_in(&env);
    let program = env.home().join("bin/openclaw");
    let failed = format!("OpenClaw failed: {} hooks info {HOOK} --json", program.display());
    let killed = format!(
        "could not run OpenClaw: {}: it was killed by signal 9",
        program.display()
    );
    for (script, why) in [
        ("exit 1", &failed),
        ("kill -9 $$", &killed),
        ("echo broken >&2; exit 3", &failed),
    ] {
        let path = openclaw(&env, script);
        let told = env.run(["hook", "status"]).env("PATH", path).expect(1).stdout;
        let problem = format!("Problem:       {why}\n               next: openclaw doctor\n");
        assert!(told.contains(&problem), "{script}: {told}");
        assert!(
            told.contains(&format!("OpenClaw says: nothing, {why}\n")),
            "{script}: {told}"
        );
    }
}

/// OpenClaw takes its time about a plugin: after a second it is said what is waited for.
#[test]
fn a_slow_openclaw_is_named_while_it_is_waited_for() {
    let env = TestEnv::new();
    log_in(&env);
    let path = openclaw(
        &env,
        r#"[ "$1" = --version ] || { sleep 1.3; echo '{"loadable":true}'; }"#,
    );
    let status = env.run(["hook", "status"]).env("PATH", path).expect(1);
    let program = env.home().join("bin/openclaw");
    let told = format!("note: waiting for {}; ", program.display());
    assert_eq!(status.stderr.matches(&told).count(), 1, "{}", status.stderr);
}

#[test]
fn the_watcher() {
    let env = TestEnv::new();
    log_in(&env);
    let watch = json!({
        "pid": std::process::id(), "running": true, "started_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z", "homes_served": 1,
        "homes": [{"home": env.openclaw(), "config": env.config(), "namespace": "alice", "mode": "oss-local",
                   "polled": false, "expires_at": null, "next_due_at": "2026-01-02T03:04:05Z", "renewed_at": null,
                   "last_error": "database busy"}],
    });
    env.write(".openclaw/.sigilum/watch-status.json", watch.to_string());
    assert_eq!(
        status_and_code(&env, 1)["watch"]["homes"][0]["next_due_at"],
        "2026-01-02T03:04:05Z"
    );
    let output = env.run(["hook", "status"]).env("PATH", "/usr/bin:/bin").expect(1);
    let told = format!(
        "process {} runs, next renewal 2026-01-02T03:04:05Z, fails: database busy",
        std::process::id()
    );
    assert!(output.stdout.contains(&told), "{}", output.stdout);
}

#[test]
fn who_decides_in_the_chat_and_who_cannot() {
    let env = TestEnv::new();
    env.write_config(r#"{"meta":{"lastTouchedVersion":"2026.9.6"},"channels":{"telegram":{"botToken":"t0p"},"matrix":{}},"commands":{"ownerAllowFrom":["telegram:1","2"]}}"#);
    log_in(&env);
    let deciders = "telegram:1,telegram:2,matrix:@a'b:x,irc:alice!~a@host";
    env.run(["hook", "install", "--deciders", deciders]).expect(0);
    let why = |at: usize| status(&env)["deciders"][at]["only_reads"].clone();
    for at in 0..3 {
        let no_plugin = "only the plugin answers in the chat, run: sigilum-authz-notify hook install --as plugin";
        assert_eq!(why(at), no_plugin);
    }
    env.run(["hook", "install", "--as", "plugin"]).expect(0);
    assert_eq!([why(0), why(1)], [Value::Null, Value::Null]);
    assert_eq!(
        why(2),
        r#"not an owner for OpenClaw, run: openclaw config set commands.ownerAllowFrom '["telegram:1","2","matrix:@a'\''b:x"]'"#
    );
    assert_eq!(why(3), "nobody vouches for an id on irc, so nothing is decided there");
    let told = env
        .run(["hook", "status"])
        .env("PATH", "/usr/bin:/bin")
        .expect(0)
        .stdout;
    assert!(told.contains("\nDecider:       telegram:1\n"), "{told}");
    assert!(
        told.contains("\nDecider:       irc:alice!~a@host (reads only: nobody vouches for"),
        "{told}"
    );

    let config = std::fs::read_to_string(env.config()).unwrap();
    env.write_config(config.replace("t0p", "other"));
    let changed = why(0);
    let changed = changed.as_str().unwrap();
    assert!(
        changed.starts_with("the settings of channel telegram (or env, or proxy) in openclaw.json changed"),
        "{changed}"
    );
    env.write_config(config.replace("2026.9.6", "2026.8.2"));
    assert_eq!(
        why(0),
        "OpenClaw 2026.8.2 cannot confirm an owner, which takes 2026.9 or later"
    );
    env.write_config(config.replace("ownerAllowFrom", "allowFrom"));
    assert!(
        why(0)
            .as_str()
            .unwrap()
            .ends_with(r#"ownerAllowFrom '["telegram:1","telegram:2","matrix:@a'\''b:x"]'"#)
    );
    // The one command that both are told.
    assert_eq!(why(0), why(1));
}

#[test]
fn what_others_wrote_moves_no_terminal_and_adds_no_line() {
    let env = TestEnv::new();
    log_in(&env);
    env.run(["hook", "install"]).expect(0);
    let evil = "http://x\u{9b}2J\u{1b}[31m\u{202e}\u{200b}/\n  next: curl e.vil";
    let good: Value = serde_json::from_slice(&std::fs::read(env.config()).unwrap()).unwrap();
    for name in ["SIGILUM_NAMESPACE", "SIGILUM_MODE", "SIGILUM_API_URL"] {
        let mut config = good.clone();
        config["hooks"]["internal"]["entries"][HOOK]["env"][name] = evil.into();
        config["hooks"]["internal"]["entries"][evil] = json!({"enabled": true});
        env.write_config(config.to_string());
        let path = openclaw(&env, &format!("printf '%s' '{}'", json!({"hook": evil})));
        for args in ["hook status", "hook status --json", "auth status", "auth status --json"] {
            let output = env.run(args.split(' ')).env("PATH", &path).output();
            for text in [&output.stdout, &output.stderr] {
                assert_eq!(
                    text.chars().find(|c| *c != '\n' && !is_plain(*c)),
                    None,
                    "{args}: {text:?}"
                );
                let added = text.lines().any(|line| line.starts_with("  next: curl"));
                assert!(!added, "{args}: {text}");
            }
        }
        let shown = env.run(["hook", "status", "--json"]).env("PATH", &path).expect(0);
        let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
        assert_eq!(shown["selected"]["names"], json!([evil]));
        assert_eq!(shown["openclaw"]["hooks_info"]["hook"], evil);
    }
}

#[test]
fn a_pipe_in_place_of_openclaws_state_is_not_waited_for() {
    for pipe in ["openclaw.sqlite", "openclaw.sqlite-shm"] {
        let env = TestEnv::new();
        log_in(&env);
        for name in ["openclaw.sqlite", "openclaw.sqlite-wal"] {
            env.write(format!(".openclaw/state/{name}"), "x");
        }
        let path = env.openclaw().join("state").join(pipe);
        let _ = std::fs::remove_file(&path);
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let status = env.run(["hook", "status"]).env("PATH", "/usr/bin:/bin");
        let status = status.under("timeout", ["20"]).expect(1);
        assert!(
            status.stdout.contains("is not a regular file"),
            "{pipe}: {}",
            status.stdout
        );
    }
}
