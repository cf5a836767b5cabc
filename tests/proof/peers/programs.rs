//! Hostile programs that we run: a `--token-command`, and a Sigilum gateway's CLI.

use super::{Case, Trial, attacks, differences, take};
use crate::env::api::token;
use crate::env::services::{Desk, SECRET};
use crate::env::stopped::Stopped;
use crate::env::watching::managed_token;
use crate::env::{TestEnv, now};
use serde_json::{Value, json};
use std::time::Duration;

/// What either may take, before it is killed.
const LIMIT: Duration = Duration::from_secs(30);
const MASTER: &str = "a-master-key-of-the-gateway-0987654321";

/// What a script does: name, text, whether it is waited for. `$TOKEN` is a good token, `$NASTY` a bad text.
fn scripts() -> Vec<(&'static str, &'static str, bool)> {
    vec![
        ("ends at once", "exit 0", false),
        ("fails without a word", "exit 3", false),
        (
            "fails with a token and escapes on its standard error",
            "printf '%s %s' \"$NASTY\" \"$TOKEN\" >&2; exit 1",
            false,
        ),
        (
            "fails with 10 MB on its standard error",
            "head -c 10000000 /dev/zero | tr '\\0' x >&2; exit 1",
            false,
        ),
        ("prints without end", "yes eyJ", false),
        ("prints 10 GB without a line break", "exec cat /dev/zero", false),
        ("prints random bytes without end", "exec cat /dev/urandom", false),
        ("complains without end", "exec yes >&2", true),
        ("never ends", "exec sleep 1000", true),
        (
            "never ends, with its outputs closed",
            "exec >&- 2>&-; exec sleep 1000",
            true,
        ),
        (
            "never ends and hears no signal",
            "trap '' TERM INT HUP PIPE; while :; do sleep 1; done",
            true,
        ),
        (
            "prints a token and never ends",
            "echo \"$TOKEN\"; exec sleep 1000",
            true,
        ),
        ("prints a byte a second", "while :; do printf x; sleep 1; done", true),
        ("prints garbage", "head -c 500 /dev/urandom", false),
        ("prints NUL", "printf '\\0\\0\\0'", false),
        ("prints no UTF-8", "printf '\\377\\376'", false),
        ("prints escapes", "printf '%s' \"$NASTY\"", false),
        ("prints a web page", "echo '<html>'", false),
        ("prints JSON without a token", "echo '{\"token\":null}'", false),
        ("prints two tokens", "echo \"$TOKEN ${TOKEN%????}AAAA\"", false),
        (
            "prints a token of 60 KB",
            "printf '%s' \"$TOKEN\"; head -c 60000 /dev/zero | tr '\\0' A",
            false,
        ),
        ("prints half a token", "printf '%.60s' \"$TOKEN\"", false),
        ("prints a token and fails", "echo \"$TOKEN\"; exit 1", false),
        ("kills itself", "kill -9 $$", false),
        (
            "writes into our files",
            "echo x > \"$HOME/.openclaw/.sigilum/x\" ; rm \"$HOME/.openclaw/.sigilum/x\"; exit 1",
            false,
        ),
    ]
}

/// Tokens that must not be taken: name, token.
fn tokens() -> Vec<(&'static str, String)> {
    let made = |claims: Value| token("only Sigilum knows", claims);
    let good = managed_token("alice", 1_000);
    let parts: Vec<&str> = good.split('.').collect();
    let mut tokens = vec![
        ("somebody else's", managed_token("bob", 1_000)),
        (
            "an expired one",
            made(json!({"namespace": "alice", "iat": now() - 100, "exp": now() - 50})),
        ),
        (
            "one of no time",
            made(json!({"namespace": "alice", "iat": null, "exp": null})),
        ),
        ("one past all times", made(json!({"namespace": "alice", "exp": 1e300}))),
        (
            "one whose times are texts",
            made(json!({"namespace": "alice", "exp": "never", "iat": "now"})),
        ),
        (
            "one from the past",
            made(json!({"namespace": "alice", "iat": now() - 950_000, "exp": now() + 950_000})),
        ),
        ("one without a signature", format!("{}.{}.", parts[0], parts[1])),
        ("one of two parts", format!("{}.{}", parts[0], parts[1])),
        ("one of four parts", format!("{good}.x")),
        ("one of dots", "...".to_owned()),
        ("a filler", "${SIGILUM_OWNER_TOKEN}".to_owned()),
    ];
    for (name, text) in [("escapes", attacks::NASTY), ("a path", "../../alice"), ("nothing", "")] {
        tokens.push((name, made(json!({"namespace": text}))));
    }
    tokens
}

pub fn cases(_: u16) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, script, slow) in scripts() {
        cases.push(Case {
            name: format!("a token command that {name}"),
            slow,
            play: Box::new(move |trial| token_command(trial, script, None)),
        });
        for (command, slow) in [("add", slow), ("list", slow)] {
            cases.push(Case {
                name: format!("service {command}, a gateway CLI that {name}"),
                slow,
                play: Box::new(move |trial| gateway_cli(trial, script, command)),
            });
        }
    }
    for (name, token) in tokens() {
        cases.push(Case {
            name: format!("a token command that prints a token: {name}"),
            slow: false,
            play: Box::new(move |trial| token_command(trial, "printf '%s' \"$BAD\"", Some(&token))),
        });
    }
    cases
}

fn script(env: &TestEnv, text: &str) -> String {
    let path = env.write("bin/peer", format!("#!/bin/sh\n{text}\n"));
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// A managed token that is due, and nothing but the command to renew it.
fn token_command(trial: &Trial<'_>, text: &str, bad: Option<&String>) {
    let env = TestEnv::new();
    let api = env.managed_api();
    let due = json!({"namespace": "alice", "iat": now() - 900_000, "exp": now() + 100_000});
    let due = token("only Sigilum knows", due);
    env.log_in_at(&api, &due);
    let fresh = managed_token("alice", 1_000_000);
    let command = script(&env, text);
    let before = take(env.home());
    let once = |command: &str| {
        env.run(["watch", "--once", "--token-command", command])
            .env("TOKEN", &fresh)
            .env("NASTY", attacks::NASTY)
            .env("BAD", bad.unwrap_or(&fresh))
    };
    let ended = trial.run(once(&command), b"", LIMIT, &[&fresh, &due]);
    if ended.code != 4 {
        trial.fault(format!("exit code {}: {}", ended.code, ended.stderr));
    }
    let differ = differences(&take(env.home()), &before);
    if !differ.is_empty() {
        trial.fault(format!("changed: {}", differ.join(", ")));
    }
    trial.counts.add("attacks", 1);
    let ended = trial.run(once(&script(&env, "echo \"$TOKEN\"")), b"", LIMIT, &[&fresh]);
    if ended.code != 0 || env.stored().as_ref() != Some(&fresh) || env.in_config().as_ref() != Some(&fresh) {
        trial.fault(format!(
            "it does not come back: exit code {}: {}",
            ended.code, ended.stderr
        ));
    }
}

/// The gateway is stopped, and its CLI is somebody else's.
fn gateway_cli(trial: &Trial<'_>, text: &str, command: &str) {
    let desk = Desk::new();
    desk.gateway.stop();
    let stopped = Stopped::new(&desk.env);
    let home = desk.env.home().join("gateway-home");
    let run = |cli: &str| {
        let run = match command {
            "list" => desk.run(["service", "list"]),
            _ => desk.add_linear([]),
        };
        run.env("GATEWAY_DATA_DIR", &stopped.data_dir)
            .env("GATEWAY_MASTER_KEY", MASTER)
            .env("SIGILUM_GATEWAY_CLI", cli)
            .env("GATEWAY_SIGILUM_HOME", &home)
    };
    let good = stopped.cli.display().to_string();
    if command == "list" {
        run(&good).expect(0);
        let added = desk
            .add_linear([])
            .env("GATEWAY_DATA_DIR", &stopped.data_dir)
            .env("GATEWAY_MASTER_KEY", MASTER);
        added
            .env("SIGILUM_GATEWAY_CLI", &good)
            .env("GATEWAY_SIGILUM_HOME", &home)
            .expect(0);
    }
    // It has no environment but the store's: what it prints stands in its text.
    let fill = format!("NASTY='{}' TOKEN=\"$GATEWAY_MASTER_KEY\"\n{text}", attacks::NASTY);
    let hostile = script(&desk.env, &fill);
    let before = take(desk.env.home());
    let ended = trial.run(run(&hostile), b"", LIMIT, &[MASTER, SECRET]);
    let expected: &[i32] = if command == "list" { &[0] } else { &[1, 6] };
    if !expected.contains(&ended.code) {
        trial.fault(format!("exit code {}: {}", ended.code, ended.stderr));
    }
    let differ = differences(&take(desk.env.home()), &before);
    if !differ.is_empty() {
        trial.fault(format!("changed: {}", differ.join(", ")));
    }
    trial.counts.add("attacks", 1);
    let ended = trial.run(run(&good), b"", LIMIT, &[MASTER]);
    if ended.code != 0 || ended.stderr.contains("unknown") {
        trial.fault(format!(
            "it does not come back: exit code {}: {}",
            ended.code, ended.stderr
        ));
    }
}
