//! `doctor`, `auth status` and `hook status` in another home too; `tests/suite/doctor.rs` has each finding of the default one.

use super::world::{Act, CASE, Case, Then, World, managed};
use serde_json::json;
use sigilum_authz_notify::process::pid_namespace;

fn installed(world: &World) {
    world.log_in("alice");
    world.run(&["auth", "switch", "alice"]).expect(0);
    world.run(&["hook", "install"]).expect(0);
}

const DOCTOR: &[&str] = &["doctor"];
const HANDLER: &str = "hooks/sigilum-authz-notify/handler.js";
const TOKEN: &str = ".sigilum/owner-token-alice.jwt";
const REFRESH: &str = "sigilum-authz-notify auth refresh --namespace alice";

pub const CASES: &[Case] = &[
    Case {
        name: "found: no token",
        set_up: |world| {
            installed(world);
            world.remove(TOKEN);
        },
        first: DOCTOR,
        step: REFRESH,
        ..CASE
    },
    Case {
        name: "shown: an expired token",
        set_up: |world| {
            installed(world);
            world.write(TOKEN, managed("alice", -30));
        },
        first: &["auth", "status"],
        step: REFRESH,
        ..CASE
    },
    Case {
        name: "shown: a file that is missing",
        set_up: |world| {
            installed(world);
            world.remove(HANDLER);
        },
        first: &["hook", "status"],
        step: "sigilum-authz-notify hook install",
        ..CASE
    },
    Case {
        name: "found: a changed file",
        set_up: |world| {
            installed(world);
            world.write(HANDLER, "mine");
        },
        first: DOCTOR,
        step: "sigilum-authz-notify hook install --force",
        ..CASE
    },
    Case {
        name: "found: a folder of ours for others",
        set_up: |world| {
            installed(world);
            world.chmod(".sigilum", 0o755);
        },
        first: DOCTOR,
        step: "chmod 700 ",
        ..CASE
    },
    Case {
        name: "found: no entry",
        set_up: |world| {
            installed(world);
            world.write_config("{}");
        },
        first: DOCTOR,
        step: "sigilum-authz-notify hook install",
        ..CASE
    },
    Case {
        name: "found: what a killed takeover of a lock left",
        set_up: |world| {
            installed(world);
            let owner = format!("{}.lock.reclaim/sigilum-authz-notify.json", world.config.display());
            let dead = json!({"pid": 4_000_000, "starttime": 5, "pid_namespace": pid_namespace()});
            world.env.write(owner, dead.to_string());
        },
        first: DOCTOR,
        step: "sigilum-authz-notify doctor --fix",
        ..CASE
    },
    Case {
        name: "found: a config that moves the home",
        set_up: |world| {
            installed(world);
            world.write_config(r#"{"env":{"OPENCLAW_HOME":"/elsewhere"}}"#);
            let unset = r#"echo '{}' >"${OPENCLAW_CONFIG_PATH:-$HOME/.openclaw/openclaw.json}""#;
            world.program(
                "openclaw",
                &format!(r#"[ "$*" != "config unset env.OPENCLAW_HOME" ] || {unset}"#),
            );
        },
        first: DOCTOR,
        step: "openclaw config unset env.OPENCLAW_HOME",
        ..CASE
    },
    Case {
        name: "found: an API that does not answer",
        set_up: installed,
        first: DOCTOR,
        step: "start the API that belongs at http://127.0.0.1:8787, then: sigilum-authz-notify auth status",
        then: Then::IsDone,
        ..CASE
    },
    Case {
        name: "found: a secret that is not known",
        set_up: |world| {
            installed(world);
            world.remove(".sigilum/jwt-secret");
        },
        first: DOCTOR,
        step: "name the Sigilum checkout that the API runs from: sigilum-authz-notify auth login --mode oss-local",
        act: Act::Type(&[
            "auth",
            "login",
            "--mode",
            "oss-local",
            "--namespace",
            "alice",
            "--force",
        ]),
        ..CASE
    },
];
