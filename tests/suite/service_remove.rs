//! `service remove`.

use crate::env;

use env::gateway::Fault;
use env::local_api::{number, text};
use env::services::{Desk, SECRET, json};
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
fn remove_leaves_nothing_of_the_service() {
    let desk = Desk::new();
    desk.add_linear([]).expect(0);
    desk.add("other", []).expect(0);
    let ask = |namespace: &str, service: &str| {
        let sql = "INSERT INTO authorizations (namespace, service, public_key, claim_id, agent_ip, status, created_at)
                   VALUES (?1, ?2, 'key', ?1 || ?2, '127.0.0.1', 'pending', '2026-11-26T10:00:00.000Z')";
        desk.db().execute(sql, [namespace, service]).unwrap();
    };
    ask("alice", "linear");
    ask("alice", "other");
    ask("bob", "linear");
    desk.db()
        .execute_batch("INSERT INTO webhooks (id, service_id, url) VALUES ('w', 'svc_local_linear', 'https://a.test')")
        .unwrap();
    // Without a terminal nobody can be asked.
    let output = desk.run(["service", "remove", "linear"]).expect(2);
    assert!(output.stderr.contains("--yes"), "{}", output.stderr);
    assert_eq!(desk.gateway.ids(), ["linear"]);

    let output = desk.run(["service", "remove", "--yes", "--json", "linear"]).expect(0);
    assert_eq!(desk.gateway.ids(), Vec::<String>::new());
    assert_eq!(desk.files(), ["service-api-key-other"]);
    let left = |table: &str, column: &str| {
        let sql = format!("SELECT coalesce(group_concat({column}), '') FROM {table}");
        text(&desk.db(), &sql).unwrap()
    };
    assert_eq!(left("services", "slug"), "other");
    assert_eq!(left("service_api_keys", "service_id"), "svc_local_other");
    assert_eq!(left("webhooks", "id"), "");
    assert_eq!(left("authorizations", "claim_id"), "aliceother,boblinear");
    let report = json(&output);
    assert_eq!(
        (
            &report["revoked_keys"],
            &report["connection_deleted"],
            &report["deleted_requests"]
        ),
        (&value!(1), &value!(true), &value!(1))
    );
    assert_eq!(report["removed_files"].as_array().unwrap().len(), 2);

    // Again: there is no such service. And back: with a new key.
    desk.run(["service", "remove", "linear", "--yes"]).expect(1);
    desk.add_linear([]).expect(0);
    assert_eq!(active(&desk).len(), 2);
    assert_eq!(desk.gateway.secrets("linear")["access_token"], SECRET);
}

#[test]
fn remove_keeps_the_row_where_that_is_asked_for() {
    let desk = Desk::new();
    desk.add_linear([]).expect(0);
    let output = desk.run(["service", "remove", "linear", "--yes", "--keep"]).expect(0);
    assert!(output.stdout.contains("kept"), "{}", output.stdout);
    assert!(desk.gateway.ids().is_empty() && desk.files().is_empty());
    let sql = "SELECT count(*) FROM service_api_keys WHERE service_id = 'svc_local_linear' AND revoked_at IS NOT NULL";
    assert_eq!(number(&desk.db(), sql), 1);
    let list = json(&desk.run(["service", "list", "--json"]).expect(0));
    assert_eq!(list["services"][0]["mode"], "gateway", "{list}");
    // What is left can go later.
    desk.run(["service", "remove", "linear", "--yes"]).expect(0);
    assert_eq!(number(&desk.db(), "SELECT count(*) FROM services"), 0);
    // Whatever its description says, it is of the kind that it was, also where the gateway cannot be asked.
    desk.add_linear(["--description", "Issues"]).expect(0);
    desk.add("mail", ["--description", "Letters"]).expect(0);
    for slug in ["linear", "mail"] {
        desk.run(["service", "remove", slug, "--yes", "--keep"]).expect(0);
    }
    desk.gateway.stop();
    let list = json(&desk.run(["service", "list", "--json"]).expect(0));
    let modes = [0, 1].map(|at| list["services"][at]["mode"].clone());
    assert_eq!(modes, [value!("gateway"), value!("native")], "{list}");
}

#[test]
fn requests_for_a_slug_that_another_namespace_has_too_stay() {
    let desk = Desk::new();
    desk.add("linear", []).expect(0);
    desk.add("linear", ["--namespace", "bob"]).expect(0);
    desk.db()
        .execute_batch(
            "INSERT INTO authorizations (namespace, service, public_key, claim_id, agent_ip, created_at)
             VALUES ('alice', 'linear', 'key', 'c', '127.0.0.1', '2026-11-26T10:00:00.000Z')",
        )
        .unwrap();
    desk.run(["service", "remove", "linear", "--yes"]).expect(0);
    let requests = "SELECT count(*) FROM authorizations";
    assert_eq!(number(&desk.db(), requests), 1);
    assert_eq!(
        text(&desk.db(), "SELECT id FROM services").unwrap(),
        "svc_local_bob_linear"
    );
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
                output.stderr.contains("done: revoke 1 active service key")
                    || output.stderr.contains("done: revoke 0 active"),
                "{}",
                output.stderr
            );
            assert!(
                output
                    .stderr
                    .contains("not done:\n    - delete the connection linear at "),
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
    assert_eq!(number(&desk.db(), "SELECT count(*) FROM services"), 1);
    desk.run(["service", "remove", "linear", "--yes"]).expect(0);
    assert!(desk.files().is_empty() && active(&desk).is_empty() && desk.gateway.ids().is_empty());
}

/// An answer that does not say whether there is a connection is not the silence of a gateway that does not run.
#[test]
fn nothing_goes_where_something_answers_and_does_not_tell_of_the_connection() {
    for (fault, says) in [
        (Fault::Forbid("ADMIN_TOKEN_REQUIRED"), "(ADMIN_TOKEN_REQUIRED)"),
        (Fault::Fail, "failed to list connections"),
        (Fault::Html, "is not the admin API of a Sigilum gateway"),
    ] {
        let desk = Desk::new();
        desk.add("linear", []).expect(0);
        desk.gateway.given(value!({
            "id": "linear", "base_url": "https://api.linear.app", "auth_secret_key": "k", "secrets": {"k": SECRET}
        }));
        let (files, keys) = (desk.files(), active(&desk));
        desk.gateway.fault("GET", "linear", fault.clone(), 2);
        for command in [&["remove", "linear", "--yes"][..], &["rotate-key", "linear", "--now"]] {
            let refused = desk.run([&["service"], command].concat()).expect(6);
            assert!(refused.stderr.contains(says), "{fault:?}: {}", refused.stderr);
            assert_eq!((desk.files(), active(&desk)), (files.clone(), keys.clone()));
        }
        desk.run(["service", "remove", "linear", "--yes"]).expect(0);
        assert!(desk.gateway.ids().is_empty() && active(&desk).is_empty());
    }
}

#[test]
fn a_gateway_that_does_not_have_the_connection_is_named() {
    let desk = Desk::new();
    desk.add_linear([]).expect(0);
    desk.gateway.forget("linear");
    let told = desk.run(["service", "remove", "linear", "--yes"]).expect(0);
    let says = format!(
        "the Sigilum gateway at {} has no connection linear; one at another",
        desk.gateway.url()
    );
    assert!(told.stdout.contains(&says) || told.stderr.contains(&says), "{told:?}");
}

#[test]
fn a_service_of_a_gateway_that_is_gone_for_good_can_be_removed() {
    let desk = Desk::new();
    desk.add_linear([]).expect(0);
    desk.gateway.stop();
    let remove = ["service", "remove", "linear", "--yes"];
    let output = desk.run(remove).expect(6);
    assert!(
        output.stderr.contains("gone for good, add --force"),
        "{}",
        output.stderr
    );
    let output = desk.run(remove).args(["--force"]).expect(0);
    assert!(
        output
            .stderr
            .contains("the connection linear, if it has one, stays there"),
        "{}",
        output.stderr
    );
    assert!(desk.files().is_empty() && active(&desk).is_empty());
}
