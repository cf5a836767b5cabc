//! `service`, the local database and the Sigilum gateway.

use super::world::{Act, CASE, Case, Then, World};
use crate::env::api;
use crate::env::gateway::Fault;
use crate::env::local_api::FakeCheckout;
use crate::env::stopped::Stopped;
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

/// `secret set` at the running gateway.
const SET: &[&str] = &[
    "service",
    "secret",
    "set",
    "linear",
    "--namespace",
    "alice",
    "--gateway-admin-url",
    "<gateway>",
    "--upstream-secret-env",
    "LINEAR",
];
const NEW: (&str, &str) = ("LINEAR", "lin_api_9876543210zyxwvutsrq");

/// A new connection at the running gateway.
const CONNECT: &[&str] = &[
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
    "--upstream-base-url",
    "https://api.linear.app",
    "--upstream-secret-env",
    "USER",
];

const FROM_CHECKOUT: &[&str] = &[
    "auth",
    "login",
    "--mode",
    "oss-local",
    "--namespace",
    "alice",
    "--print-token",
    "false",
    "--source-home",
    "<person>/sigilum",
];

/// A stopped gateway, which no admin address leads to.
const STOPPED: &[(&str, &str)] = &[
    ("GATEWAY_DATA_DIR", "<person>/gateway-data"),
    ("GATEWAY_MASTER_KEY", "master-key-0123456789"),
    ("SIGILUM_GATEWAY_CLI", "<person>/gateway-bin/sigilum-gateway-cli"),
    ("GATEWAY_ADMIN_URL", "http://127.0.0.1:9"),
    NEW,
];
const CONNECT_STOPPED: &[&str] = &[
    "service",
    "add",
    "--service-slug",
    "linear",
    "--namespace",
    "alice",
    "--mode",
    "gateway",
    "--upstream-base-url",
    "https://api.linear.app",
    "--upstream-secret-env",
    "USER",
];
const SET_STOPPED: &[&str] = &[
    "service",
    "secret",
    "set",
    "linear",
    "--namespace",
    "alice",
    "--upstream-secret-env",
    "LINEAR",
];

const THE_RIGHT_CLI: &str = "start the Sigilum gateway and run the same command again, or see that SIGILUM_GATEWAY_CLI";

fn stopped(world: &World) {
    alice(world);
    Stopped::new(&world.env);
}

/// `linear`, with a connection in the store of the stopped gateway.
fn connected_stopped(world: &World) {
    stopped(world);
    let run = STOPPED.iter().fold(world.run(CONNECT_STOPPED), |run, (name, value)| {
        run.env(name, world.whole(value))
    });
    run.expect(0);
}

/// Another program in the place of the gateway's CLI.
fn other_cli(world: &World, script: &str) {
    let cli = world
        .env
        .write("gateway-bin/sigilum-gateway-cli", format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(cli, PermissionsExt::from_mode(0o700)).unwrap();
}

/// The gateway's CLI, which says this at the first `add`.
fn cli_that_says_once(world: &World, words: &str) {
    let cli = world.env.home().join("gateway-bin/sigilum-gateway-cli");
    let real = world.env.home().join("gateway-bin/real");
    std::fs::rename(cli, &real).unwrap();
    let said = world.env.home().join("said");
    other_cli(
        world,
        &format!(
            "[ \"$1\" != add ] || [ -e '{0}' ] || {{ : >'{0}'; echo 'error: {words}' >&2; exit 1; }}\nexec '{1}' \"$@\"",
            said.display(),
            real.display()
        ),
    );
}

pub const CASES: &[Case] = &[
    Case {
        name: "a new key while the gateway is stopped",
        set_up: connected_stopped,
        first: &["service", "rotate-key", "linear", "--namespace", "alice"],
        env: STOPPED,
        step: "start the Sigilum gateway, or set GATEWAY_SIGILUM_HOME to the home that it is started with",
        act: Act::Shell("export GATEWAY_SIGILUM_HOME='<home>/.sigilum-workspace'"),
        ..CASE
    },
    Case {
        name: "a connection that cannot be one",
        set_up: |world| {
            connected(world);
            world.gateway.set("linear", "base_url", "https://a\u{202e}".into());
        },
        first: SET,
        env: &[NEW],
        step: "see that it is the right gateway",
        act: Act::Do(|world| world.gateway.set("linear", "base_url", "https://api.linear.app".into())),
        ..CASE
    },
    Case {
        name: "a gateway that wants an admin token",
        set_up: |world| {
            connected(world);
            world.gateway.access("token", Some("admin-token-0123456789"), false);
        },
        first: SET,
        env: &[NEW],
        step: "set GATEWAY_ADMIN_TOKEN to the token that the gateway was started with",
        act: Act::Shell("export GATEWAY_ADMIN_TOKEN=admin-token-0123456789"),
        ..CASE
    },
    Case {
        name: "a gateway with another master key",
        set_up: |world| {
            connected(world);
            let fault = Fault::Say("chacha20poly1305: message authentication failed");
            world.gateway.fault("POST", "rotate", fault, 99);
        },
        first: SET,
        env: &[NEW],
        step: "start the gateway with the GATEWAY_MASTER_KEY that the store was made with",
        act: Act::Do(|world| world.gateway.clear()),
        ..CASE
    },
    Case {
        name: "a key that the gateway wants first",
        set_up: |world| {
            connected(world);
            let fault = Fault::Status(400, "auth_secret_key \"access_token\" is missing from provided secrets");
            world.gateway.fault("POST", "rotate", fault, 1);
        },
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
            "LINEAR",
            "--upstream-secret-key",
            "other",
        ],
        env: &[NEW],
        step: "set the secret of the connection's own key first: leave --upstream-secret-key out",
        act: Act::Type(SET),
        ..CASE
    },
    Case {
        name: "a connection without its secret",
        set_up: |world| {
            connected(world);
            world
                .gateway
                .set("linear", "credential_keys", Vec::<String>::new().into());
        },
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
            "LINEAR",
            "--upstream-secret-key",
            "other",
        ],
        env: &[NEW],
        step: "Secret not set in gateway connection: ",
        act: Act::Fill("<VARIABLE>", "LINEAR"),
        ..CASE
    },
    Case {
        name: "a value that the gateway refuses",
        set_up: |world| {
            alice(world);
            world
                .gateway
                .fault("POST", "connections", Fault::Status(400, "too many connections"), 99);
        },
        first: CONNECT,
        step: "fix the rejected value, here or at the Sigilum gateway, then run the same command again",
        act: Act::Do(|world| world.gateway.clear()),
        ..CASE
    },
    Case {
        name: "a connection that somebody makes at the same moment",
        set_up: |world| {
            alice(world);
            world.gateway.fault(
                "POST",
                "connections",
                Fault::Status(409, "connection already exists"),
                1,
            );
        },
        first: CONNECT,
        step: "run the same command again",
        act: Act::Do(|_| {}),
        ..CASE
    },
    Case {
        name: "secrets that would be lost",
        set_up: |world| {
            connected(world);
            world
                .gateway
                .set("linear", "credential_keys", vec!["access_token", "other"].into());
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
            "https://new.linear.app",
        ],
        step: "give the secret of the connection's key, or accept the loss with --force",
        act: Act::Type(&[
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
            "https://new.linear.app",
            "--force",
        ]),
        ..CASE
    },
    Case {
        name: "another key, and no secret for it",
        set_up: connected,
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
            "--upstream-secret-key",
            "other",
        ],
        env: &[NEW],
        step: "give the secret too: --upstream-secret-key other --upstream-secret-env <VARIABLE>",
        act: Act::Type(&[
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
            "--upstream-secret-key",
            "other",
            "--upstream-secret-env",
            "LINEAR",
        ]),
        ..CASE
    },
    Case {
        name: "a bearer without a prefix",
        set_up: alice,
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
            "--auth-prefix=",
        ],
        step: "use --auth-mode header_key --upstream-header Authorization",
        act: Act::Type(&[
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
            "--auth-prefix=",
            "--auth-mode",
            "header_key",
            "--upstream-header",
            "Authorization",
        ]),
        ..CASE
    },
    Case {
        name: "a secret for a connection without a key",
        set_up: |world| {
            connected(world);
            world.gateway.set("linear", "auth_secret_key", "".into());
        },
        first: SET,
        env: &[NEW],
        step: "add --upstream-secret-key <key>",
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
            "LINEAR",
            "--upstream-secret-key",
            "access_token",
        ]),
        ..CASE
    },
    Case {
        name: "an auth mode that nobody knows",
        set_up: |world| {
            connected(world);
            world.gateway.set("linear", "auth_mode", "oauth".into());
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
            "https://new.linear.app",
        ],
        step: "name the auth mode that it shall have: --auth-mode <mode>",
        act: Act::Type(&[
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
            "https://new.linear.app",
            "--auth-mode",
            "bearer",
        ]),
        ..CASE
    },
    Case {
        name: "a store that is in use",
        set_up: |world| {
            stopped(world);
            world.env.write("gateway-data/badger/IN-USE", "");
        },
        first: CONNECT_STOPPED,
        env: STOPPED,
        step: "give its admin API's address with --gateway-admin-url, or stop the Sigilum gateway",
        act: Act::Shell("rm '<person>/gateway-data/badger/IN-USE'"),
        ..CASE
    },
    Case {
        name: "a store of another master key",
        set_up: |world| {
            connected_stopped(world);
            world.env.write("gateway-data/badger/KEY", "another-master-key");
        },
        first: SET_STOPPED,
        env: STOPPED,
        step: "set GATEWAY_MASTER_KEY to the key that the Sigilum gateway runs with",
        act: Act::Shell("export GATEWAY_MASTER_KEY=another-master-key"),
        ..CASE
    },
    Case {
        name: "a CLI that is another program",
        set_up: |world| {
            stopped(world);
            other_cli(world, "echo nonsense");
        },
        first: CONNECT_STOPPED,
        env: STOPPED,
        step: THE_RIGHT_CLI,
        act: Act::Do(|world| drop(Stopped::new(&world.env))),
        ..CASE
    },
    Case {
        name: "a CLI that cannot be run",
        set_up: |world| {
            stopped(world);
            let cli = world.env.home().join("gateway-bin/sigilum-gateway-cli");
            std::fs::set_permissions(cli, PermissionsExt::from_mode(0o600)).unwrap();
        },
        first: CONNECT_STOPPED,
        env: STOPPED,
        step: THE_RIGHT_CLI,
        act: Act::Do(|world| drop(Stopped::new(&world.env))),
        ..CASE
    },
    Case {
        name: "a CLI that fails",
        set_up: |world| {
            stopped(world);
            other_cli(world, "echo 'error: out of order' >&2; exit 1");
        },
        first: CONNECT_STOPPED,
        env: STOPPED,
        step: THE_RIGHT_CLI,
        act: Act::Do(|world| drop(Stopped::new(&world.env))),
        ..CASE
    },
    Case {
        name: "a connection that the store has by now",
        set_up: |world| {
            stopped(world);
            cli_that_says_once(world, "connection already exists");
        },
        first: CONNECT_STOPPED,
        env: STOPPED,
        step: "run the same command again",
        act: Act::Do(|_| {}),
        ..CASE
    },
    Case {
        name: "a store that asks for a secret",
        set_up: |world| {
            stopped(world);
            cli_that_says_once(world, "secrets are required");
        },
        first: CONNECT_STOPPED,
        env: STOPPED,
        step: "give one with --upstream-secret-env <VARIABLE>",
        act: Act::Type(CONNECT_STOPPED),
        ..CASE
    },
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
        name: "a checkout that names no database",
        set_up: |world| {
            FakeCheckout::new(&world.env);
            world.env.write("sigilum/apps/api/wrangler.toml", "");
        },
        first: FROM_CHECKOUT,
        step: "name the API's database with --api-db",
        act: Act::Type(&[
            "auth",
            "login",
            "--mode",
            "oss-local",
            "--namespace",
            "alice",
            "--source-home",
            "<person>/sigilum",
            "--api-db",
            "~/api.sqlite",
        ]),
        then: Then::Says("api.sqlite"),
        ..CASE
    },
    Case {
        name: "a checkout that is not whole",
        set_up: |world| {
            let migrations = FakeCheckout::new(&world.env).api("migrations");
            let aside = world.env.home().join("aside");
            std::fs::rename(&migrations, &aside).unwrap();
            let back = format!("mv '{}' '{}'", aside.display(), migrations.display());
            world.program("git", &format!("[ \"$1 $3\" != '-C status' ] || {back}"));
        },
        first: FROM_CHECKOUT,
        step: "see whether the checkout is whole: git -C ",
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
            world
                .api
                .fault(api::Fault::Body("text/html", "<p>Hello</p>".to_owned()));
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
