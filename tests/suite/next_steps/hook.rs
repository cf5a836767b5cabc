//! The hook, its files, and the config.

use super::world::{Act, CASE, Case, Then, World};
use serde_json::json;
use std::os::unix::fs::symlink;

const INSTALL: &[&str] = &["hook", "install"];
const FOLDER: &str = "hooks/sigilum-authz-notify";

fn installed(world: &World) {
    world.log_in("alice");
    world.run(INSTALL).expect(0);
}

/// The stored token is due for renewal, and another secret than the home's signed it.
fn due(world: &World) {
    installed(world);
    let secret = "the secret of the API, of 32 bytes and more";
    let now = crate::env::now();
    let claims = json!({"namespace": "alice", "sub": "u", "email": "a@x.example", "iat": now - 900, "exp": now + 60});
    world.write(".sigilum/owner-token-alice.jwt", crate::env::api::token(secret, claims));
}

fn watched(world: &World) {
    world.log_in("alice");
    world.watch();
}

const WATCH: &[&str] = &["watch"];
/// A watcher does not end, but for this.
const ANOTHER: Then = Then::Says("another watcher");

fn correct(world: &World) {
    world.write_config("{}");
}

const CORRECT_IT: &str = "correct the file; what OpenClaw thinks of it: ";

pub const CASES: &[Case] = &[
    Case {
        name: "a config that does not parse",
        set_up: |world| world.write_config("{ broken"),
        first: INSTALL,
        step: CORRECT_IT,
        act: Act::Do(correct),
        ..CASE
    },
    Case {
        name: "a config of another shape",
        set_up: |world| world.write_config(r#"{"hooks": "x"}"#),
        first: INSTALL,
        step: CORRECT_IT,
        act: Act::Do(correct),
        ..CASE
    },
    Case {
        name: "a config that includes a file that is not there",
        set_up: |world| world.write_config(r#"{"hooks": {"$include": "./none.json5"}}"#),
        first: INSTALL,
        step: CORRECT_IT,
        act: Act::Do(correct),
        ..CASE
    },
    Case {
        name: "a config that includes elsewhere what is not there",
        set_up: |world| world.write_config(r#"{"agents": {"$include": "./none.json5"}}"#),
        first: INSTALL,
        step: CORRECT_IT,
        act: Act::Do(correct),
        ..CASE
    },
    Case {
        name: "a config that is longer than any",
        set_up: |world| world.write_config(&" ".repeat(json5_edit::MAX_BYTES + 1)),
        first: INSTALL,
        step: CORRECT_IT,
        act: Act::Do(correct),
        ..CASE
    },
    Case {
        name: "a config that includes what stands for no object",
        set_up: |world| {
            world.write_config(r#"{"hooks": {"$include": "./list.json5", "internal": {}}}"#);
            world.env.write(world.config.with_file_name("list.json5"), "[1]");
        },
        first: INSTALL,
        step: CORRECT_IT,
        act: Act::Do(correct),
        ..CASE
    },
    Case {
        name: "a config whose name is no file's",
        first: &["hook", "install", "--config", "~/nowhere/.."],
        step: "give a path without .. in it, that ends in a file name",
        act: Act::Type(&["hook", "install", "--config", "~/openclaw.json"]),
        only_default: true,
        ..CASE
    },
    Case {
        name: "an agent's shell",
        first: &["hook", "install", "--deciders", "telegram:12345"],
        env: &[("OPENCLAW_SHELL", "exec")],
        step: "run it in a terminal of your own",
        act: Act::Shell("unset OPENCLAW_SHELL"),
        ..CASE
    },
    Case {
        name: "an agent's environment",
        first: &["hook", "install", "--from-env"],
        env: &[("OPENCLAW_SHELL", "exec")],
        step: "run it in a terminal of your own",
        act: Act::Shell("unset OPENCLAW_SHELL"),
        ..CASE
    },
    Case {
        name: "a damaged record of the hook",
        set_up: |world| drop(world.write(".sigilum/hook.json", "{")),
        first: INSTALL,
        step: "rm ",
        ..CASE
    },
    Case {
        name: "a record of the hook that others may write to",
        set_up: |world| {
            world.write(".sigilum/hook.json", r#"{"groups": "full"}"#);
            world.chmod(".sigilum/hook.json", 0o666);
        },
        first: INSTALL,
        step: "look at it, then make it anew, with senders, groups and broker: rm ",
        ..CASE
    },
    Case {
        name: "a hook's namespace that is none",
        set_up: |world| {
            world.log_in("alice");
            world.write(".sigilum/hook.json", r#"{"namespace": "../x"}"#);
        },
        first: &["auth", "show"],
        step: "rm ",
        ..CASE
    },
    Case {
        name: "changed files",
        set_up: |world| {
            installed(world);
            world.write(&format!("{FOLDER}/handler.js"), "mine");
        },
        first: INSTALL,
        step: "look at them, then run the command again with --force",
        act: Act::Type(&["hook", "install", "--force"]),
        ..CASE
    },
    Case {
        name: "a hundred copies of one file",
        set_up: |world| {
            world.write(&format!("{FOLDER}/handler.js"), "mine");
            for number in 0..100 {
                let end = if number == 0 {
                    String::new()
                } else {
                    format!(".{number}")
                };
                world.write(&format!(".sigilum/replaced/hook/handler.js{end}"), number.to_string());
            }
        },
        first: &["hook", "install", "--force"],
        step: "remove what you need no more: ls -l ",
        act: Act::Shell("rm '<home>/.sigilum/replaced/hook/handler.js.5'"),
        ..CASE
    },
    Case {
        name: "a linked folder",
        set_up: |world| {
            world.write("hooks/x", "");
            symlink("/tmp", world.home.join(FOLDER)).unwrap();
        },
        first: INSTALL,
        step: "remove the link: rm ",
        ..CASE
    },
    Case {
        name: "a file in place of the folder",
        set_up: |world| drop(world.write(FOLDER, "")),
        first: INSTALL,
        step: "move it away: mv ",
        ..CASE
    },
    Case {
        name: "a damaged list",
        set_up: |world| {
            installed(world);
            world.write(".sigilum/installed.json", "{");
        },
        first: INSTALL,
        step: "remove it, and run the command again: rm ",
        ..CASE
    },
    Case {
        name: "a config that links to nothing",
        set_up: |world| {
            std::fs::create_dir_all(world.config.parent().unwrap()).unwrap();
            let _ = std::fs::remove_file(&world.config);
            symlink("nowhere", &world.config).unwrap();
        },
        first: INSTALL,
        step: "it is a symbolic link to nothing, make its target or remove it: rm ",
        ..CASE
    },
    Case {
        name: "a home that is a link to nothing",
        set_up: |world| {
            let _ = std::fs::remove_dir_all(&world.home);
            symlink("nowhere", &world.home).unwrap();
        },
        first: INSTALL,
        step: "it is a symbolic link to nothing, make its target or remove it: rm ",
        ..CASE
    },
    Case {
        name: "a config that links to what cannot be seen",
        set_up: |world| {
            std::fs::create_dir_all(world.config.parent().unwrap()).unwrap();
            let _ = std::fs::remove_file(&world.config);
            symlink(world.config.file_name().unwrap(), &world.config).unwrap();
        },
        first: INSTALL,
        step: "it is a symbolic link to ",
        ..CASE
    },
    Case {
        name: "another config",
        set_up: |world| {
            let other = world.env.home().join("other config.json");
            let install = world
                .env
                .run(["hook", "install", "--openclaw-home"])
                .args([&world.home]);
            install.args(["--config".as_ref(), other.as_os_str()]).expect(0);
        },
        first: &["hook", "uninstall"],
        step: "add --config ",
        act: Act::Add,
        only_default: true,
        ..CASE
    },
    Case {
        name: "an event that is none",
        set_up: installed,
        first: &["hook", "run", "--event", "x"],
        step: "give --event command:new",
        act: Act::Type(&["hook", "run", "--event", "command:new"]),
        ..CASE
    },
    Case {
        name: "no event",
        set_up: installed,
        first: &["hook", "run"],
        step: "give it a JSON object, or run: sigilum-authz-notify hook run --event command:new",
        then: Then::IsDone,
        ..CASE
    },
    Case {
        name: "a time limit that is none",
        set_up: installed,
        first: &["hook", "run", "--event", "command:new"],
        env: &[("SIGILUM_HOOK_TIMEOUT_MS", "soon")],
        step: "give it in milliseconds: export SIGILUM_HOOK_TIMEOUT_MS=4000",
        ..CASE
    },
    Case {
        name: "a chat that is none",
        first: &["hook", "install", "--notify", "alice"],
        step: "give it as --notify matrix:@alice:localhost",
        act: Act::Type(&["hook", "install", "--notify", "matrix:@alice:localhost"]),
        ..CASE
    },
    Case {
        name: "a dashboard that is none",
        first: &["hook", "install", "--dashboard", "sigilum.id"],
        step: "give another one, for example: --dashboard https://sigilum.id",
        act: Act::Type(&["hook", "install", "--dashboard", "https://sigilum.id"]),
        ..CASE
    },
    Case {
        name: "a proxy that is none",
        first: &["hook", "install", "--proxy", "proxy:3128"],
        step: "give it as --proxy http://host:port",
        act: Act::Type(&["hook", "install", "--proxy", "http://proxy:3128"]),
        ..CASE
    },
    Case {
        name: "a limit to record that is none",
        first: &["hook", "install", "--from-env"],
        env: &[("SIGILUM_HOOK_TIMEOUT_MS", "4s")],
        step: "export SIGILUM_HOOK_TIMEOUT_MS=4000",
        ..CASE
    },
    Case {
        name: "groups to record that are none",
        first: &["hook", "install", "--from-env"],
        env: &[("SIGILUM_NOTIFY_GROUPS", "brieff")],
        step: "export SIGILUM_NOTIFY_GROUPS=brief",
        ..CASE
    },
    Case {
        name: "a variable to record that has no value",
        first: &["hook", "install", "--from-env"],
        env: &[("HTTPS_PROXY", "undefined")],
        step: "unset HTTPS_PROXY",
        ..CASE
    },
    Case {
        name: "a decider without a channel",
        first: &["hook", "install", "--deciders", "12345"],
        step: "give it as --deciders <channel>:<sender id>",
        act: Act::Type(&["hook", "install", "--deciders", "telegram:12345"]),
        ..CASE
    },
    Case {
        name: "certificates that are none",
        set_up: |world| drop(world.write("ca.pem", include_str!("../../../fixtures/tls/ca.pem"))),
        first: &["hook", "install", "--ca-file", "~/none.pem"],
        step: "give a file of PEM certificates with --ca-file",
        act: Act::Type(&["hook", "install", "--ca-file", "~/ca.pem"]),
        ..CASE
    },
    Case {
        name: "a token that is due, and no secret",
        set_up: |world| {
            due(world);
            world.remove(".sigilum/jwt-secret");
        },
        first: &["watch", "--once"],
        step: "set JWT_SECRET to the local API's secret",
        act: Act::Shell("export JWT_SECRET='the secret of the API, of 32 bytes and more'"),
        ..CASE
    },
    Case {
        name: "a token that is due, and another secret",
        set_up: due,
        first: &["watch", "--once"],
        step: "put the local API's own secret into JWT_SECRET",
        act: Act::Shell("export JWT_SECRET='the secret of the API, of 32 bytes and more'"),
        ..CASE
    },
    Case {
        name: "a renewal without the API's secret",
        set_up: |world| {
            installed(world);
            world.remove(".sigilum/owner-token-alice.jwt");
            world.remove(".sigilum/jwt-secret");
        },
        first: &["watch", "--once"],
        step: "sigilum-authz-notify auth login --mode oss-local --namespace alice",
        ..CASE
    },
    Case {
        name: "other hooks that would run",
        set_up: |world| world.write_config(r#"{"hooks":{"internal":{"enabled":false,"entries":{"other":{}}}}}"#),
        first: INSTALL,
        step: "add --force; nothing was written",
        act: Act::Add,
        ..CASE
    },
    Case {
        name: "a watcher of a home that goes",
        set_up: |world| {
            installed(world);
            world.watch();
        },
        first: &["hook", "uninstall", "--purge"],
        step: "kill ",
        then: Then::IsDone,
        ..CASE
    },
    Case {
        name: "another watcher",
        set_up: watched,
        first: WATCH,
        step: "kill ",
        then: Then::IsDone,
        ..CASE
    },
    Case {
        name: "a renewal that is none",
        set_up: watched,
        first: &["watch", "--renew-at", "3"],
        step: "leave it out for a third of the token's life",
        act: Act::Type(&["watch", "--renew-at", "0.25"]),
        then: ANOTHER,
        ..CASE
    },
    Case {
        name: "a token command with an open quote",
        set_up: watched,
        first: &["watch", "--token-command", "get 'x"],
        step: "write it as in a shell",
        act: Act::Type(&["watch", "--token-command", "get 'x'"]),
        then: ANOTHER,
        ..CASE
    },
    Case {
        name: "a filter that is none",
        set_up: watched,
        first: WATCH,
        env: &[("RUST_LOG", "a=b=c")],
        step: "export RUST_LOG=info",
        then: ANOTHER,
        ..CASE
    },
];
