//! `authz`: requests, and what is decided about them.

use super::world::{Act, CASE, Case, SECRET, Then, World, managed};
use crate::env::api::Fault;
use crate::env::watching::token;
use serde_json::json;

const ONE: &str = "cl_00000001aaaaaaaaaaaaaaaa";
/// It begins as [`ONE`] does.
const TWO: &str = "cl_00000001bbbbbbbbbbbbbbbb";
const BOBS: &str = "cl_00000003aaaaaaaaaaaaaaaa";

const TOKEN: &str = ".sigilum/owner-token-alice.jwt";
const STORE: &str = "sigilum-authz-notify auth login --mode managed --namespace alice --owner-token-stdin";

/// Alice is logged in, and two agents wait; one waits for bob.
fn waiting(world: &World) {
    world.log_in_managed("alice", &managed("alice", 7200));
    for (number, id, namespace) in [(1, ONE, "alice"), (2, TWO, "alice"), (3, BOBS, "bob")] {
        let key = format!("ed25519:Key{number:037}=");
        let fields = json!({"claim_id": id, "service": "mail", "public_key": key});
        world.api.add_claim(namespace, fields);
    }
}

/// `authz approve ID --yes`
const APPROVE: &[&str] = &["authz", "approve", ONE, "--yes", "--namespace", "alice"];

fn timed(world: &World) {
    waiting(world);
    world
        .run(&[APPROVE, &["--for", "30m", "--even-without-watcher"]].concat())
        .expect(0);
}

/// The same, and its time is over.
fn over(world: &World) {
    timed(world);
    let file = world.home.join(".sigilum/approvals.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let mut list: serde_json::Value = serde_json::from_str(&text).unwrap();
    list["approvals"][0]["until"] = 1.into();
    std::fs::write(&file, list.to_string()).unwrap();
}

pub const CASES: &[Case] = &[
    Case {
        name: "a decision in an agent's shell",
        set_up: waiting,
        first: APPROVE,
        env: &[("OPENCLAW_SHELL", "exec")],
        step: "run the command in a terminal of your own",
        act: Act::Shell("unset OPENCLAW_SHELL"),
        ..CASE
    },
    Case {
        name: "a limit with an approval",
        set_up: |world| {
            waiting(world);
            world
                .run(&["authz", "approve", TWO, "--yes", "--namespace", "alice"])
                .expect(0);
            world.api.agent_limit(1);
        },
        first: APPROVE,
        step: "sigilum-authz-notify authz revoke cl_00000001bbbbbbbbbbbbbbbb",
        act: Act::Answer("y\n"),
        ..CASE
    },
    Case {
        name: "a decision that the hosted API wants a passkey for",
        set_up: |world| {
            waiting(world);
            world.api.next_faults([Fault::None, Fault::Status(403, "FORBIDDEN")]);
        },
        first: APPROVE,
        step: "decide it in the dashboard, http",
        act: Act::Do(|world| world.api.change(ONE, "status", "approved")),
        then: Then::Says("it is already approved"),
        ..CASE
    },
    Case {
        name: "a decision without a terminal",
        set_up: waiting,
        first: &["authz", "approve", ONE, "--namespace", "alice"],
        step: "sigilum-authz-notify authz approve cl_00000001aaaaaaaaaaaaaaaa --yes --namespace alice",
        then: Then::IsDone,
        ..CASE
    },
    Case {
        name: "an end that nobody keeps",
        set_up: waiting,
        first: &["authz", "approve", ONE, "--yes", "--namespace", "alice", "--for", "30m"],
        step: "sigilum-authz-notify watch",
        act: Act::Type(&[
            "authz",
            "approve",
            ONE,
            "--yes",
            "--namespace",
            "alice",
            "--for",
            "30m",
            "--even-without-watcher",
        ]),
        ..CASE
    },
    Case {
        name: "an API that refuses the token",
        set_up: |world| {
            waiting(world);
            world.write(TOKEN, token("another's", "alice", 60, 3600));
        },
        first: &["authz", "list", "--namespace", "alice"],
        step: STORE,
        ..CASE
    },
    Case {
        name: "a request that is decided",
        set_up: |world| {
            waiting(world);
            world.api.change(ONE, "status", "rejected");
        },
        first: APPROVE,
        step: "sigilum-authz-notify authz show cl_00000001aaaaaaaaaaaaaaaa",
        then: Then::IsDone,
        ..CASE
    },
    Case {
        name: "a request that is gone meanwhile",
        set_up: |world| {
            waiting(world);
            let gone = || Fault::Status(404, "NOT_FOUND");
            world.api.next_faults([Fault::None, gone(), gone()]);
        },
        first: APPROVE,
        step: "sigilum-authz-notify authz list --status all",
        then: Then::IsDone,
        ..CASE
    },
    Case {
        name: "a limit without an approval",
        set_up: |world| {
            waiting(world);
            world.api.agent_limit(0);
        },
        first: APPROVE,
        step: "sigilum-authz-notify authz list --status approved",
        then: Then::IsDone,
        ..CASE
    },
    Case {
        name: "requests without a token",
        set_up: |world| {
            waiting(world);
            world.remove(TOKEN);
        },
        first: &["authz", "list", "--namespace", "alice"],
        step: STORE,
        ..CASE
    },
    Case {
        name: "a request of another namespace",
        set_up: waiting,
        first: &["authz", "approve", BOBS, "--yes", "--namespace", "alice"],
        step: "sigilum-authz-notify auth status",
        then: Then::IsDone,
        ..CASE
    },
    Case {
        name: "an id that is none",
        set_up: waiting,
        first: &["authz", "approve", "1", "--yes", "--namespace", "alice"],
        step: "sigilum-authz-notify authz list --status all",
        then: Then::IsDone,
        ..CASE
    },
    Case {
        name: "an id of two requests",
        set_up: waiting,
        first: &["authz", "approve", "cl_00000001", "--yes", "--namespace", "alice"],
        step: "give the whole id",
        act: Act::Type(APPROVE),
        ..CASE
    },
    Case {
        name: "a damaged list of approvals",
        set_up: |world| {
            waiting(world);
            world.write(".sigilum/approvals.json", "{");
        },
        first: &[
            "authz",
            "approve",
            ONE,
            "--yes",
            "--namespace",
            "alice",
            "--for",
            "30m",
            "--even-without-watcher",
        ],
        step: "rm ",
        ..CASE
    },
    Case {
        name: "an approval that nobody can take back",
        set_up: |world| {
            over(world);
            world.write(TOKEN, managed("alice", -30));
        },
        first: &["watch", "--once"],
        step: STORE,
        ..CASE
    },
    Case {
        name: "an approval at the API of before",
        set_up: |world| {
            world.write(".sigilum/jwt-secret", SECRET);
            over(world);
            let args = [
                "auth",
                "login",
                "--mode",
                "managed",
                "--owner-token-stdin",
                "--no-check",
            ];
            let elsewhere = [
                "--api-url",
                "https://elsewhere.example",
                "--namespace",
                "alice",
                "--force",
            ];
            let log_in = world.run(&[&args[..], &elsewhere].concat());
            log_in.stdin(managed("alice", 7200)).expect(0);
        },
        first: &["watch", "--once"],
        step: "sigilum-authz-notify auth login --mode oss-local --namespace alice --api-url <the API of the approval>",
        act: Act::Fill("<the API of the approval>", "<api>"),
        ..CASE
    },
    Case {
        name: "an approval after the logout",
        set_up: |world| {
            world.write(".sigilum/jwt-secret", SECRET);
            over(world);
            world.log_in("carol");
            world.run(&["auth", "logout", "--namespace", "alice"]).expect(0);
        },
        first: &["watch", "--once"],
        step: "sigilum-authz-notify auth login --mode oss-local --namespace alice --api-url <the API of the approval>",
        act: Act::Fill("<the API of the approval>", "<api>"),
        ..CASE
    },
];
