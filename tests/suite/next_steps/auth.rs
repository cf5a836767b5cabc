//! `auth`, the token and the record.

use super::world::{Act, CASE, Case, Then, World, managed};
use crate::env::api::Fault;

fn alice(world: &World) {
    world.log_in("alice");
}

fn alice_managed(world: &World) {
    world.log_in_managed("alice", &managed("alice", 1800));
}

const SHOW: &[&str] = &["auth", "show", "--namespace", "alice"];
const LOG_IN: &[&str] = &[
    "auth",
    "login",
    "--mode",
    "oss-local",
    "--namespace",
    "alice",
    "--print-token",
    "false",
];
const LOCAL: &str = "sigilum-authz-notify auth login --mode oss-local --namespace alice";
const STORE: &str = "sigilum-authz-notify auth login --mode managed --namespace alice --owner-token-stdin";
const TOKEN: &str = ".sigilum/owner-token-alice.jwt";

pub const CASES: &[Case] = &[
    Case {
        name: "a damaged record",
        set_up: |world| {
            alice(world);
            world.write(".sigilum/owner-alice.json", r#"{"mode": "oss-local", "#);
        },
        first: SHOW,
        step: "rm ",
        act: Act::Fill("<the API of before>", "http://127.0.0.1:8787"),
        ..CASE
    },
    Case {
        name: "a damaged record that names its API still",
        set_up: |world| {
            alice(world);
            let record = std::fs::read_to_string(world.home.join(".sigilum/owner-alice.json")).unwrap();
            world.write(".sigilum/owner-alice.json", record.trim_end().trim_end_matches('}'));
        },
        first: SHOW,
        step: "rm ",
        ..CASE
    },
    Case {
        name: "a record that others may write to",
        set_up: |world| {
            alice(world);
            world.chmod(".sigilum/owner-alice.json", 0o666);
        },
        first: SHOW,
        step: "look at it, then make it anew: rm ",
        act: Act::Fill("<the API of before>", "http://127.0.0.1:8787"),
        ..CASE
    },
    Case {
        name: "a damaged record of the hosted Sigilum",
        set_up: |world| {
            alice_managed(world);
            world.write(".sigilum/owner-alice.json", r#"{"mode": "managed", "#);
        },
        first: SHOW,
        step: "rm ",
        act: Act::Fill("<the API of before>", "<api>"),
        ..CASE
    },
    Case {
        name: "a token given beside a damaged record",
        set_up: |world| {
            alice_managed(world);
            world.write(".sigilum/owner-alice.json", r#"{"mode": "managed", "#);
        },
        first: &[
            "auth",
            "login",
            "--mode",
            "managed",
            "--owner-token",
            "<token>",
            "--force",
        ],
        step: "add --api-url <url>; the hosted Sigilum's is https://api.sigilum.id",
        act: Act::Type(&[
            "auth",
            "login",
            "--mode",
            "managed",
            "--owner-token",
            "<token>",
            "--api-url",
            "<api>",
            "--force",
        ]),
        then: Then::IsDone,
        ..CASE
    },
    Case {
        name: "a token that is not UTF-8",
        set_up: |world| {
            alice(world);
            world.write(TOKEN, [0xff, 0xfe, 0x80]);
        },
        first: SHOW,
        step: LOCAL,
        ..CASE
    },
    Case {
        name: "no token",
        set_up: |world| {
            alice(world);
            world.remove(TOKEN);
        },
        first: SHOW,
        step: "sigilum-authz-notify auth refresh --namespace alice",
        ..CASE
    },
    Case {
        name: "no token of the hosted Sigilum",
        set_up: |world| {
            world.write_config("{}");
            // With it, it would be the home of a local one.
            for local in ["jwt-secret", "owner-bob.json"] {
                let _ = std::fs::remove_file(world.home.join(".sigilum").join(local));
            }
        },
        first: SHOW,
        step: STORE,
        ..CASE
    },
    Case {
        name: "an expired token",
        set_up: |world| {
            alice_managed(world);
            world.write(TOKEN, managed("alice", -30));
        },
        first: SHOW,
        step: STORE,
        ..CASE
    },
    Case {
        name: "switch to a stranger",
        set_up: alice,
        first: &["auth", "switch", "carol"],
        step: "sigilum-authz-notify auth login --mode oss-local --namespace carol",
        ..CASE
    },
    Case {
        name: "switch to what is no namespace",
        set_up: alice,
        first: &["auth", "switch", "al.ice"],
        step: "sigilum-authz-notify auth switch alice",
        then: Then::IsDone,
        ..CASE
    },
    Case {
        name: "switch to a namespace without a token",
        set_up: |world| {
            alice(world);
            world.log_in("bob");
            world.remove(TOKEN);
        },
        first: &["auth", "switch", "alice"],
        step: LOCAL,
        ..CASE
    },
    Case {
        name: "login without a token",
        first: &["auth", "login", "--mode", "managed", "--namespace", "alice"],
        step: "sign in at https://sigilum.id",
        then: Then::IsDone,
        ..CASE
    },
    Case {
        name: "login with something else",
        first: &["auth", "login", "--mode", "managed", "--owner-token", "not a token"],
        step: "sign in at https://sigilum.id",
        then: Then::IsDone,
        ..CASE
    },
    Case {
        name: "login with an expired token",
        first: &[
            "auth",
            "login",
            "--mode",
            "managed",
            "--namespace",
            "alice",
            "--owner-token",
            "<expired>",
        ],
        step: "sign in at https://sigilum.id",
        then: Then::IsDone,
        ..CASE
    },
    Case {
        name: "login with another's token",
        first: &[
            "auth",
            "login",
            "--mode",
            "managed",
            "--namespace",
            "carol",
            "--owner-token-stdin",
        ],
        step: "give --namespace ",
        act: Act::Type(&[
            "auth",
            "login",
            "--mode",
            "managed",
            "--namespace",
            "alice",
            "--owner-token-stdin",
        ]),
        ..CASE
    },
    Case {
        name: "a token that the API refuses",
        first: &[
            "auth",
            "login",
            "--mode",
            "managed",
            "--api-url",
            "<api>",
            "--owner-token",
            "<forged>",
        ],
        step: "sign in at https://sigilum.id",
        act: Act::Type(&[
            "auth",
            "login",
            "--mode",
            "managed",
            "--api-url",
            "<api>",
            "--owner-token",
            "<forged>",
            "--force",
        ]),
        ..CASE
    },
    Case {
        name: "refresh without an answer",
        set_up: |world| {
            alice_managed(world);
            world.api.fault(Fault::Drop);
        },
        first: &["auth", "refresh", "--namespace", "alice", "--owner-token", "<token>"],
        step: "see that the API can be reached; to store the new one all the same, add --no-check",
        act: Act::Type(&[
            "auth",
            "refresh",
            "--namespace",
            "alice",
            "--owner-token",
            "<token>",
            "--no-check",
        ]),
        ..CASE
    },
    Case {
        name: "a new secret that is not the API's",
        first: &[
            "auth",
            "login",
            "--mode",
            "oss-local",
            "--namespace",
            "alice",
            "--api-url",
            "<api>",
        ],
        step: "name the Sigilum checkout that the API runs from: sigilum-authz-notify auth login --mode oss-local",
        act: Act::Type(&[
            "auth",
            "login",
            "--mode",
            "oss-local",
            "--namespace",
            "alice",
            "--api-url",
            "<api>",
            "--force",
        ]),
        // The other home has a secret.
        only_default: true,
        ..CASE
    },
    Case {
        name: "a secret that is not the API's",
        env: &[("JWT_SECRET", "another secret of thirty-two letters")],
        first: &[
            "auth",
            "login",
            "--mode",
            "oss-local",
            "--namespace",
            "alice",
            "--api-url",
            "<api>",
        ],
        step: "name the Sigilum checkout that the API runs from: sigilum-authz-notify auth login --mode oss-local",
        act: Act::Type(&[
            "auth",
            "login",
            "--mode",
            "oss-local",
            "--namespace",
            "alice",
            "--api-url",
            "<api>",
            "--force",
        ]),
        ..CASE
    },
    Case {
        name: "refresh with a token",
        set_up: alice,
        first: &["auth", "refresh", "--namespace", "alice", "--owner-token-stdin"],
        step: "store this one with: sigilum-authz-notify auth login",
        then: Then::IsDone,
        ..CASE
    },
    Case {
        name: "a database without its secret",
        set_up: |world| {
            alice(world);
            let db = std::fs::read(world.home.join(".sigilum/local-api.sqlite")).unwrap();
            world.write("api.sqlite", db);
            world.remove(TOKEN);
        },
        first: &[
            "auth",
            "login",
            "--mode",
            "oss-local",
            "--namespace",
            "alice",
            "--api-db",
            "~/api.sqlite",
        ],
        step: "the secret of the API that uses this database: export JWT_SECRET=",
        act: Act::Fill("<secret>", "a secret of thirty-two letters, or more"),
        ..CASE
    },
    Case {
        name: "printed, and not printed",
        first: &[
            "auth",
            "login",
            "--mode",
            "oss-local",
            "--namespace",
            "alice",
            "--token-only",
            "--print-token",
            "false",
        ],
        step: "leave out --token-only",
        act: Act::Type(LOG_IN),
        ..CASE
    },
    Case {
        name: "a config that would shrink below half",
        set_up: |world| {
            let long = "t".repeat(4000);
            let env = serde_json::json!({"SIGILUM_OWNER_TOKEN": long});
            let entries = serde_json::json!({"sigilum-authz-notify": {"enabled": true, "env": env}});
            let config = serde_json::json!({"gateway": {"mode": "local"}, "hooks": {"internal": {"entries": entries}}});
            world.write_config(&config.to_string());
        },
        first: LOG_IN,
        step: "add --force; or make the change with `openclaw config`",
        act: Act::Add,
        ..CASE
    },
    Case {
        name: "two tokens",
        first: &[
            "auth",
            "login",
            "--mode",
            "managed",
            "--owner-token",
            "<token>",
            "--owner-token-stdin",
        ],
        step: "leave out --owner-token;",
        act: Act::Type(&["auth", "login", "--mode", "managed", "--owner-token-stdin"]),
        ..CASE
    },
    Case {
        name: "an API URL that is none",
        first: &[
            "auth",
            "login",
            "--mode",
            "oss-local",
            "--namespace",
            "alice",
            "--api-url",
            "ftp://x",
        ],
        step: "give another one, for example: --api-url http://127.0.0.1:8787",
        act: Act::Type(&[
            "auth",
            "login",
            "--mode",
            "oss-local",
            "--namespace",
            "alice",
            "--api-url",
            "<api>",
            "--force",
        ]),
        ..CASE
    },
    Case {
        name: "a recorded API URL that is none",
        set_up: |world| {
            alice(world);
            world.write(
                ".sigilum/owner-alice.json",
                r#"{"format":2,"mode":"oss-local","api_url":"ftp://x","email":"a@b.example"}"#,
            );
        },
        first: &["hook", "run", "--event", "command:new", "--namespace", "alice"],
        step: "log in with another one, for example: sigilum-authz-notify auth login --mode oss-local --namespace alice \
               --api-url http://127.0.0.1:8787",
        ..CASE
    },
];
