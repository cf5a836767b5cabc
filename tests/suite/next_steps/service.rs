//! `service`, the local database and the Sigilum gateway.

use super::world::{Act, CASE, Case, Then, World};
use crate::env::api::Fault;
use std::os::unix::fs::PermissionsExt;

fn alice(world: &World) {
    world.log_in("alice");
}

/// The native service `linear` of alice's.
fn linear(world: &World) {
    alice(world);
    world
        .run(&["service", "add", "--service-slug", "linear", "--namespace", "alice"])
        .expect(0);
}

/// `linear`, with a connection of the gateway's.
fn connected(world: &World) {
    alice(world);
    let add = [
        "service",
        "add",
        "--service-slug",
        "linear",
        "--namespace",
        "alice",
        "--mode",
        "gateway",
    ];
    let upstream = [
        "--upstream-base-url",
        "https://api.linear.app",
        "--upstream-secret-env",
        "USER",
    ];
    world
        .run(&[&add[..], &upstream, &["--gateway-admin-url", "<gateway>"]].concat())
        .expect(0);
}

const ADD: &[&str] = &["service", "add", "--service-slug", "linear", "--namespace", "alice"];
const GATEWAY: &[&str] = &[
    "service",
    "add",
    "--service-slug",
    "linear",
    "--namespace",
    "alice",
    "--gateway-admin-url",
    "<gateway>",
    "--upstream-base-url",
    "https://api.linear.app",
    "--upstream-secret-env",
    "USER",
];

pub const CASES: &[Case] = &[
    Case {
        name: "a slug that is none",
        set_up: alice,
        first: &["service", "add", "--service-slug", "a_b", "--namespace", "alice"],
        step: "give another one with --service-slug",
        act: Act::Type(ADD),
        ..CASE
    },
    Case {
        name: "no upstream",
        set_up: alice,
        first: &[
            "service",
            "add",
            "--service-slug",
            "linear",
            "--namespace",
            "alice",
            "--mode",
            "gateway",
            "--gateway-admin-url",
            "<gateway>",
            "--upstream-secret-env",
            "USER",
        ],
        step: "add --upstream-base-url <url>",
        act: Act::Type(&[
            "service",
            "add",
            "--service-slug",
            "linear",
            "--namespace",
            "alice",
            "--mode",
            "gateway",
            "--gateway-admin-url",
            "<gateway>",
            "--upstream-secret-env",
            "USER",
            "--upstream-base-url",
            "https://api.linear.app",
        ]),
        ..CASE
    },
    Case {
        name: "an upstream that is none",
        set_up: alice,
        first: &[
            "service",
            "add",
            "--service-slug",
            "linear",
            "--mode",
            "gateway",
            "--upstream-base-url",
            "ftp://x",
        ],
        step: "sigilum-authz-notify service add --help",
        then: Then::IsDone,
        ..CASE
    },
    Case {
        name: "a native service with an upstream",
        set_up: alice,
        first: GATEWAY,
        step: "add --mode gateway",
        act: Act::Add,
        ..CASE
    },
    Case {
        name: "a variable that is not set",
        set_up: connected,
        first: &[
            "service",
            "secret",
            "set",
            "linear",
            "--gateway-admin-url",
            "<gateway>",
            "--upstream-secret-env",
            "NONE",
        ],
        step: "set it (the flag wants its name), or give the secret with --upstream-secret-file",
        act: Act::Type(&[
            "service",
            "secret",
            "set",
            "linear",
            "--namespace",
            "alice",
            "--gateway-admin-url",
            "<gateway>",
            "--upstream-secret-env",
            "USER",
        ]),
        ..CASE
    },
    Case {
        name: "a secret given twice",
        set_up: connected,
        first: &[
            "service",
            "secret",
            "set",
            "linear",
            "--upstream-secret",
            "x",
            "--upstream-secret-env",
            "USER",
        ],
        step: "give one of --upstream-secret, --upstream-secret-env and --upstream-secret-file",
        act: Act::Type(&[
            "service",
            "secret",
            "set",
            "linear",
            "--namespace",
            "alice",
            "--gateway-admin-url",
            "<gateway>",
            "--upstream-secret-env",
            "USER",
        ]),
        ..CASE
    },
    Case {
        name: "no secret",
        set_up: connected,
        first: &["service", "secret", "set", "linear", "--namespace", "alice"],
        step: "add one of --upstream-secret-env",
        act: Act::Type(&[
            "service",
            "secret",
            "set",
            "linear",
            "--namespace",
            "alice",
            "--gateway-admin-url",
            "<gateway>",
            "--upstream-secret-env",
            "USER",
        ]),
        ..CASE
    },
    Case {
        name: "an empty secret",
        set_up: |world| {
            connected(world);
            world.write("empty", "");
        },
        first: &[
            "service",
            "secret",
            "set",
            "linear",
            "--upstream-secret-file",
            "~/empty",
        ],
        step: "give it with --upstream-secret-env",
        act: Act::Type(&[
            "service",
            "secret",
            "set",
            "linear",
            "--namespace",
            "alice",
            "--gateway-admin-url",
            "<gateway>",
            "--upstream-secret-env",
            "USER",
        ]),
        ..CASE
    },
    Case {
        name: "a secret of no connection",
        set_up: alice,
        first: &[
            "service",
            "secret",
            "set",
            "linear",
            "--namespace",
            "alice",
            "--gateway-admin-url",
            "<gateway>",
            "--upstream-secret-env",
            "USER",
        ],
        step: "sigilum-authz-notify service add --service-slug linear --mode gateway --upstream-base-url <url>",
        act: Act::Fill("<url>", "https://api.linear.app"),
        ..CASE
    },
    Case {
        name: "a secret of a native service",
        set_up: linear,
        first: &[
            "service",
            "secret",
            "set",
            "linear",
            "--namespace",
            "alice",
            "--upstream-secret-env",
            "USER",
        ],
        step: "a new API key for it: sigilum-authz-notify service rotate-key linear",
        then: Then::IsDone,
        ..CASE
    },
    Case {
        name: "removed without a terminal",
        set_up: linear,
        first: &["service", "remove", "linear", "--namespace", "alice", "--keep"],
        step: "add --yes",
        act: Act::Add,
        ..CASE
    },
    Case {
        name: "removed, and not there",
        set_up: alice,
        first: &["service", "remove", "linear", "--namespace", "alice", "--yes"],
        step: "sigilum-authz-notify service list --namespace alice",
        then: Then::IsDone,
        ..CASE
    },
    Case {
        name: "a new key, and no service",
        set_up: alice,
        first: &["service", "rotate-key", "linear", "--namespace", "alice"],
        step: "sigilum-authz-notify service add --service-slug linear --namespace alice",
        ..CASE
    },
    Case {
        name: "an end of no rotation",
        set_up: linear,
        first: &["service", "rotate-key", "linear", "--namespace", "alice", "--finish"],
        step: "sigilum-authz-notify service rotate-key linear --namespace alice",
        ..CASE
    },
    Case {
        name: "no database",
        first: &["service", "list", "--namespace", "alice"],
        step: "give --source-home <Sigilum checkout>",
        act: Act::Type(&["service", "list", "--namespace", "alice", "--api-db", "~/none.sqlite"]),
        then: Then::Says("none.sqlite"),
        only_default: true,
        ..CASE
    },
    Case {
        name: "a database that is gone",
        set_up: alice,
        first: &["service", "list", "--namespace", "alice", "--api-db", "~/none.sqlite"],
        env: &[("JWT_SECRET", "a secret of thirty-two letters, or more")],
        step: "sigilum-authz-notify auth login --mode oss-local",
        ..CASE
    },
    Case {
        name: "a database of our own that is damaged",
        set_up: |world| {
            alice(world);
            let database = world.home.join(".sigilum/local-api.sqlite");
            let mut bytes = std::fs::read(&database).unwrap();
            bytes.truncate(5_000);
            std::fs::write(database, bytes).unwrap();
        },
        first: &["service", "list", "--namespace", "alice"],
        env: &[("JWT_SECRET", "a secret of thirty-two letters, or more")],
        step: "mv ",
        ..CASE
    },
    Case {
        name: "a key that is none",
        set_up: |world| {
            linear(world);
            world.write(".sigilum-workspace/service-api-key-linear", "x");
        },
        first: ADD,
        step: "look at it, then move it away: mv ",
        ..CASE
    },
    Case {
        name: "an admin address that is none",
        set_up: connected,
        first: &[
            "service",
            "list",
            "--namespace",
            "alice",
            "--gateway-admin-url",
            "ftp://x",
        ],
        step: "give another one, for example: --gateway-admin-url http://127.0.0.1:38100",
        act: Act::Type(&[
            "service",
            "list",
            "--namespace",
            "alice",
            "--gateway-admin-url",
            "<gateway>",
        ]),
        ..CASE
    },
    Case {
        name: "no checkout",
        first: &[
            "auth",
            "login",
            "--mode",
            "oss-local",
            "--namespace",
            "alice",
            "--source-home",
            "~/none",
        ],
        step: "name one that is there with --source-home",
        act: Act::Type(&["auth", "login", "--mode", "oss-local", "--namespace", "alice"]),
        ..CASE
    },
    Case {
        name: "a folder that is no checkout",
        set_up: |world| drop(world.write("empty/x", "")),
        first: &[
            "auth",
            "login",
            "--mode",
            "oss-local",
            "--namespace",
            "alice",
            "--source-home",
            "~/empty",
        ],
        step: "give the folder of a Sigilum source checkout",
        act: Act::Type(&["auth", "login", "--mode", "oss-local", "--namespace", "alice"]),
        ..CASE
    },
    Case {
        name: "a checkout for everybody",
        set_up: |world| {
            let checkout = crate::env::local_api::FakeCheckout::new(&world.env);
            std::fs::set_permissions(&checkout.root, PermissionsExt::from_mode(0o777)).unwrap();
            std::fs::rename(&checkout.root, world.env.home().join("a checkout")).unwrap();
        },
        first: &[
            "auth",
            "login",
            "--mode",
            "oss-local",
            "--namespace",
            "alice",
            "--source-home",
            "<person>/a checkout",
        ],
        step: "look at what is in it, then: chmod -R o-w ",
        ..CASE
    },
    Case {
        name: "a damaged journal",
        set_up: |world| {
            connected(world);
            world.write(".sigilum-workspace/gateway-connection-journal-linear.json", "{");
        },
        first: &[
            "service",
            "remove",
            "linear",
            "--namespace",
            "alice",
            "--yes",
            "--gateway-admin-url",
            "<gateway>",
        ],
        step: "look at it, then move it away: mv ",
        ..CASE
    },
    Case {
        name: "a gateway that does not run",
        set_up: alice,
        first: &[
            "service",
            "secret",
            "set",
            "linear",
            "--namespace",
            "alice",
            "--gateway-admin-url",
            "http://127.0.0.1:9",
            "--upstream-secret-env",
            "USER",
        ],
        step: "start the Sigilum gateway",
        act: Act::Type(&[
            "service",
            "secret",
            "set",
            "linear",
            "--namespace",
            "alice",
            "--gateway-admin-url",
            "<gateway>",
            "--upstream-secret-env",
            "USER",
        ]),
        then: Then::Says("has no connection linear"),
        ..CASE
    },
    Case {
        name: "an admin address of something else",
        set_up: |world| {
            alice(world);
            world.api.fault(Fault::Body("text/html", "<p>Hello</p>".to_owned()));
        },
        first: &[
            "service",
            "secret",
            "set",
            "linear",
            "--namespace",
            "alice",
            "--gateway-admin-url",
            "<api>",
            "--upstream-secret-env",
            "USER",
        ],
        step: "see that --gateway-admin-url (or GATEWAY_ADMIN_URL) has the gateway's own address",
        act: Act::Type(&[
            "service",
            "secret",
            "set",
            "linear",
            "--namespace",
            "alice",
            "--gateway-admin-url",
            "<gateway>",
            "--upstream-secret-env",
            "USER",
        ]),
        then: Then::Says("has no connection linear"),
        ..CASE
    },
    Case {
        name: "a slug that another has",
        set_up: |world| {
            alice(world);
            world.log_in("bob");
            world.run(&["service", "add", "linear", "--namespace", "bob"]).expect(0);
        },
        first: &[
            "service",
            "add",
            "linear",
            "--namespace",
            "alice",
            "--mode",
            "gateway",
            "--gateway-admin-url",
            "<gateway>",
            "--upstream-base-url",
            "https://api.linear.app",
            "--upstream-secret-env",
            "USER",
        ],
        step: "choose another --service-slug, or use --mode native",
        act: Act::Type(&["service", "add", "linear", "--namespace", "alice", "--mode", "native"]),
        ..CASE
    },
];
