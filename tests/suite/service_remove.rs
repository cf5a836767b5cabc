//! `service rotate-key` and `service remove`.

use crate::env;

use env::gateway::Fault;
use env::local_api::{number, text};
use env::services::{Desk, SECRET, json, sha256};
use serde_json::json as value;

fn active(desk: &Desk) -> Vec<String> {
    let db = desk.db();
    let mut query = db
        .prepare("SELECT key_hash FROM service_api_keys WHERE revoked_at IS NULL")
        .unwrap();
    query
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

fn gateways_key(desk: &Desk) -> String {
    let file = desk.env.home().join("gateway-home/service-api-key-linear");
    std::fs::read_to_string(file).unwrap().trim().to_owned()
}

#[test]
fn a_rotated_key_replaces_all_others() {
    let desk = Desk::new();
    desk.add("linear", []).expect(0);
    std::fs::remove_file(desk.file("service-api-key-linear")).unwrap();
    desk.add("linear", []).expect(0);
    let old = desk.read("service-api-key-linear");
    let output = desk.run(["service", "rotate-key", "--json", "linear"]).expect(0);
    let new = desk.read("service-api-key-linear");
    assert_ne!(new, old);
    assert_eq!(active(&desk), [sha256(&new)]);
    assert_eq!(desk.files(), ["service-api-key-linear"]);
    let report = json(&output);
    assert_eq!(report["revoked_keys"].as_array().unwrap().len(), 2);
    assert!(report["service_key_handed_over"].is_null());
    assert!(!output.stdout.contains(&new));
    assert!(
        desk.run(["service", "rotate-key", "linear", "--reveal-secrets"])
            .expect(0)
            .stdout
            .contains("sk_live_")
    );
    // The file's key is a good one for the next add.
    assert_eq!(
        json(&desk.add("linear", ["--json"]).expect(0))["other_active_keys"],
        value!([])
    );
}

#[test]
fn the_old_key_is_in_force_until_the_gateway_has_the_new_one() {
    for fault in [
        Fault::Fail,
        Fault::DropBefore,
        Fault::DropAfter,
        Fault::Say("SIGILUM_HOME is not configured"),
        Fault::Html,
    ] {
        let desk = Desk::new();
        desk.add_linear([]).expect(0);
        let old = desk.read("service-api-key-linear");
        desk.gateway.fault("PUT", "service-api-keys", fault.clone(), 1);
        let output = desk.run(["service", "rotate-key", "linear"]).output();
        assert!(output.code == 6 || output.code == 1, "{output:?}");
        assert!(
            output.stderr.contains("not done:\n    - new service key handed to"),
            "{fault:?}: {}",
            output.stderr
        );
        assert!(active(&desk).contains(&sha256(&old)), "{fault:?}");
        assert_eq!(desk.read("service-api-key-linear"), old);
        // An add in between neither disturbs nor is disturbed.
        let add = desk.add_linear([]).expect(0);
        assert!(
            add.stderr.contains("rotation of the service key was interrupted"),
            "{}",
            add.stderr
        );
        desk.add_linear(["--revoke-old"]).expect(1);

        let next = desk.read("service-api-key-linear.next");
        desk.run(["service", "rotate-key", "linear"]).expect(0);
        assert_eq!(desk.read("service-api-key-linear"), next, "{fault:?}");
        assert_eq!(gateways_key(&desk), next);
        assert_eq!(active(&desk), [sha256(&next)]);
        assert_eq!(
            desk.files(),
            ["gateway-connection-secret-linear", "service-api-key-linear"]
        );
    }
}

#[test]
fn a_gateway_that_is_not_there_stops_a_rotation_only_where_it_serves() {
    let desk = Desk::new();
    desk.add_linear([]).expect(0);
    desk.add("native", []).expect(0);
    let before = desk.files();
    let key = desk.read("service-api-key-linear");
    desk.gateway.stop();
    let output = desk.run(["service", "rotate-key", "linear"]).expect(6);
    assert!(
        output.stderr.contains("Gateway admin not reachable"),
        "{}",
        output.stderr
    );
    assert_eq!((desk.files(), desk.read("service-api-key-linear")), (before, key));
    let output = desk.run(["service", "rotate-key", "native"]).expect(0);
    assert!(
        output.stderr.contains("note: the Sigilum gateway was not reached"),
        "{}",
        output.stderr
    );
}

#[test]
fn what_there_is_not_cannot_be_rotated_or_removed() {
    let desk = Desk::new();
    desk.add("linear", []).expect(0);
    for command in ["rotate-key", "remove"] {
        for (slug, namespace, code) in [("other", "alice", 1), ("linear", "bob", 1), ("Linear", "alice", 2)] {
            let mut args = vec!["service", command, slug, "--namespace", namespace];
            if command == "remove" {
                args.push("--yes");
            }
            desk.run(args).expect(code);
        }
        let missing = desk.env.home().join("missing.sqlite").display().to_string();
        let mut args = vec!["service", command, "linear", "--api-db", &missing];
        if command == "remove" {
            args.push("--yes");
        }
        desk.run(args).expect(7);
        assert!(!desk.env.home().join("missing.sqlite").exists());
    }
    assert_eq!(active(&desk).len(), 1);
}

#[test]
fn remove_revokes_the_keys_and_deletes_connection_and_files() {
    let desk = Desk::new();
    desk.add_linear([]).expect(0);
    desk.add("other", []).expect(0);
    // Without a terminal nobody can be asked.
    let output = desk.run(["service", "remove", "linear"]).expect(2);
    assert!(output.stderr.contains("--yes"), "{}", output.stderr);
    assert_eq!(desk.gateway.ids(), ["linear"]);

    let output = desk.run(["service", "remove", "--yes", "--json", "linear"]).expect(0);
    assert_eq!(desk.gateway.ids(), Vec::<String>::new());
    assert_eq!(desk.files(), ["service-api-key-other"]);
    let sql = "SELECT count(*) FROM service_api_keys WHERE service_id = 'svc_local_linear' AND revoked_at IS NOT NULL";
    assert_eq!(number(&desk.db(), sql), 1);
    assert_eq!(active(&desk).len(), 1);
    let report = json(&output);
    assert_eq!(
        (&report["revoked_keys"], &report["connection_deleted"]),
        (&value!(1), &value!(true))
    );
    assert_eq!(report["removed_files"].as_array().unwrap().len(), 2);

    // Again: nothing is left to do. And back: with a new key.
    desk.run(["service", "remove", "linear", "--yes"]).expect(0);
    desk.add_linear([]).expect(0);
    assert_eq!(active(&desk).len(), 2);
    assert_eq!(desk.gateway.secrets("linear")["access_token"], SECRET);
}

#[test]
fn remove_takes_nothing_of_another_namespace() {
    let desk = Desk::new();
    desk.add_linear([]).expect(0);
    desk.add("linear", ["--namespace", "bob"]).expect(0);
    desk.run(["service", "remove", "linear", "--yes", "--namespace", "bob"])
        .expect(0);
    assert_eq!(desk.gateway.ids(), ["linear"]);
    assert_eq!(
        desk.files(),
        ["gateway-connection-secret-linear", "service-api-key-linear"]
    );
    let left = text(
        &desk.db(),
        "SELECT service_id FROM service_api_keys WHERE revoked_at IS NULL",
    );
    assert_eq!(left.unwrap(), "svc_local_linear");
}

#[test]
fn remove_stops_at_a_gateway_that_does_not_answer_and_goes_on_later() {
    let desk = Desk::new();
    desk.add_linear([]).expect(0);
    for (method, fault) in [
        ("GET", Fault::Fail),
        ("DELETE", Fault::Fail),
        ("DELETE", Fault::DropAfter),
    ] {
        desk.gateway.fault(method, "linear", fault, 1);
        let output = desk.run(["service", "remove", "linear", "--yes"]).expect(6);
        if method == "DELETE" {
            assert!(
                output.stderr.contains("done: 1 active service key") || output.stderr.contains("done: 0 active"),
                "{}",
                output.stderr
            );
            assert!(
                output.stderr.contains("not done:\n    - connection linear deleted"),
                "{}",
                output.stderr
            );
        } else {
            assert_eq!(active(&desk).len(), 1);
        }
        assert_eq!(
            desk.files(),
            ["gateway-connection-secret-linear", "service-api-key-linear"]
        );
    }
    desk.run(["service", "remove", "linear", "--yes"]).expect(0);
    assert!(desk.files().is_empty() && active(&desk).is_empty() && desk.gateway.ids().is_empty());
}
