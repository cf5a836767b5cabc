//! `service list` through the binary.

use crate::env;

use env::TestEnv;
use env::gateway::{Fault, Gateway};
use env::local_api::{FakeCheckout, Traffic, dashboard_owner};
use env::services::Desk;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::time::Duration;

/// Where nothing listens.
const NOWHERE: &str = "http://127.0.0.1:9";

fn some_services(db: &Connection) {
    dashboard_owner(db, "usr_a", "alice", "alice@example.com");
    dashboard_owner(db, "usr_b", "bob", "bob@example.com");
    db.execute_batch(
        "INSERT INTO services (id, owner_user_id, name, slug, domain, description) VALUES
           ('svc_local_mail', 'usr_a', 'Mail', 'mail', 'localhost', 'Local native Sigilum service.'),
           ('srv_9', 'usr_a', 'Linear \u{1b}[31m', 'linear', NULL, NULL),
           ('svc_local_bob_mail', 'usr_b', 'mail', 'mail', 'localhost', 'x');
         INSERT INTO service_api_keys (id, service_id, key_prefix, key_hash, revoked_at) VALUES
           ('k1', 'svc_local_mail', '...aaaa', 'h1', NULL), ('k2', 'svc_local_mail', '...bbbb', 'h2', NULL),
           ('k3', 'svc_local_mail', '...cccc', 'h3', '2026-01-01T00:00:00.000Z'),
           ('k4', 'svc_local_bob_mail', '...dddd', 'h4', NULL);",
    )
    .unwrap();
}

fn json_of(env: &TestEnv, args: &[&str]) -> Value {
    let output = env.run([&["service", "list", "--json"], args].concat()).expect(0);
    serde_json::from_str(&output.stdout).unwrap()
}

fn modes(report: &Value) -> Vec<(&str, &str)> {
    let services = report["services"].as_array().unwrap();
    services
        .iter()
        .map(|service| {
            (
                service["service_slug"].as_str().unwrap(),
                service["mode"].as_str().unwrap(),
            )
        })
        .collect()
}

#[test]
fn as_json_and_as_a_table() {
    let env = TestEnv::new();
    let fake = FakeCheckout::new(&env);
    some_services(&fake.wrangler());
    let source = fake.root.to_str().unwrap();
    let args = [
        "--namespace",
        "alice",
        "--source-home",
        source,
        "--gateway-admin-url",
        NOWHERE,
    ];
    assert_eq!(
        json_of(&env, &args),
        json!({"namespace": "alice", "services": [
            {"service_slug": "linear", "service_name": "Linear \u{1b}[31m", "domain": null, "description": null,
             "active_api_keys": 0, "mode": "unknown"},
            {"service_slug": "mail", "service_name": "Mail", "domain": "localhost",
             "description": "Local native Sigilum service.", "active_api_keys": 2, "mode": "native"},
        ]})
    );
    let table = env.run([&["service", "list"], &args[..]].concat()).expect(0);
    assert_eq!(
        table.stdout,
        concat!(
            "SLUG    NAME          MODE     KEYS  DOMAIN     DESCRIPTION\n",
            "linear  Linear ·[31m  unknown  0     -          -\n",
            "mail    Mail          native   2     localhost  Local native Sigilum service.\n",
        )
    );
    let note = "note: modes are unknown: Gateway admin not reachable: tried: http://127.0.0.1:9";
    assert!(table.stderr.starts_with(note), "{}", table.stderr);
    assert_eq!(table.stderr.lines().count(), 1, "{}", table.stderr);

    let none = env
        .run(["service", "list", "--namespace", "nobody", "--source-home", source])
        .expect(0);
    assert_eq!(
        (none.stdout.as_str(), none.stderr.as_str()),
        ("No services in the namespace nobody.\n", "")
    );
    assert_eq!(
        json_of(&env, &["--namespace", "nobody", "--source-home", source]),
        json!({"namespace": "nobody", "services": []})
    );
}

#[test]
fn modes_from_the_gateway() {
    let env = TestEnv::new();
    let fake = FakeCheckout::new(&env);
    some_services(&fake.wrangler());
    let gateway = Gateway::start();
    for id in ["mail", "unrelated"] {
        gateway.given(
            json!({"id": id, "name": id, "protocol": "http", "base_url": "https://api.example.com",
            "auth_mode": "bearer", "auth_secret_key": "access_token", "secrets": {"access_token": "s"}}),
        );
    }
    let db = fake.db();
    let db = db.to_str().unwrap();
    let list = |namespace: &str| {
        let url = gateway.url();
        json_of(
            &env,
            &["--namespace", namespace, "--api-db", db, "--gateway-admin-url", &url],
        )
    };
    assert_eq!(modes(&list("alice")), [("linear", "native"), ("mail", "gateway")]);
    // The connection `mail` is alice's: bob came second.
    assert_eq!(modes(&list("bob")), [("mail", "native")]);

    for (case, fault) in [
        ("an error", Fault::Fail),
        ("forbidden", Fault::Forbid("ADMIN_TOKEN_REQUIRED")),
        ("dropped", Fault::DropBefore),
        ("a web page", Fault::Html),
    ] {
        gateway.fault("GET", "connections", fault, 1);
        assert_eq!(
            modes(&list("alice")),
            [("linear", "unknown"), ("mail", "native")],
            "{case}"
        );
    }
    gateway.access("token", Some("admin-token"), false);
    assert_eq!(modes(&list("alice"))[0].1, "unknown");
    let output = env
        .run(["service", "list", "--json", "--namespace", "alice", "--api-db", db])
        .env("GATEWAY_ADMIN_URL", gateway.url())
        .env("GATEWAY_ADMIN_TOKEN", "admin-token")
        .expect(0);
    assert_eq!(
        modes(&serde_json::from_str(&output.stdout).unwrap())[1],
        ("mail", "gateway")
    );

    // Only reading.
    assert_eq!(gateway.changes(), Vec::<String>::new());
    for url in ["http://user:secret-part@127.0.0.1:1", "http://203.0.113.7:38100"] {
        let output = env
            .run([
                "service",
                "list",
                "--namespace",
                "alice",
                "--api-db",
                db,
                "--gateway-admin-url",
                url,
            ])
            .expect(2);
        assert!(!output.stderr.contains("secret-part"), "{}", output.stderr);
    }
}

#[test]
fn while_the_gateway_is_stopped_modes_are_those_of_our_own_rows_and_files() {
    let desk = Desk::new();
    desk.add("native", []).expect(0);
    desk.add_linear([]).expect(0);
    // Native first: its row and its key say so still.
    desk.add("moved", []).expect(0);
    let gateway = ["--mode", "gateway", "--upstream-base-url", "https://a.test"];
    desk.add("moved", gateway).expect(0);
    desk.gateway.stop();
    let output = desk.run(["service", "list", "--json"]).expect(0);
    let report = env::services::json(&output);
    assert_eq!(
        modes(&report),
        [("linear", "gateway"), ("moved", "gateway"), ("native", "native")]
    );
    assert_eq!(output.stderr, "");
}

#[test]
fn a_connection_that_the_gateway_lost_is_told_with_what_makes_it_anew() {
    let desk = Desk::new();
    desk.add_linear([]).expect(0);
    desk.gateway.forget("linear");
    let output = desk.run(["service", "list", "--json"]).expect(0);
    assert_eq!(modes(&env::services::json(&output)), [("linear", "gateway")]);
    let told = "the Sigilum gateway has no connection for linear any more, nor what it was like; to make it anew, with the \
                --auth-mode, --upstream-header, --auth-prefix and --upstream-secret-key that it had: ";
    let add = output.stderr.split(told).nth(1).unwrap().trim_end();
    let add = add.replace("<url>", "https://api.linear.app");
    desk.run(&shell_words::split(&add).unwrap()[1..]).expect(0);
    assert_eq!(desk.run(["service", "list"]).expect(0).stderr, "");
    // One that a person removed is not missed.
    desk.run(["service", "remove", "linear", "--keep", "--yes"]).expect(0);
    assert_eq!(desk.run(["service", "list"]).expect(0).stderr, "");
}

#[test]
fn what_is_odd_about_the_gateways_address_is_said() {
    let env = TestEnv::new();
    env.login().expect(0);
    for (path, says) in [
        ("", ""),
        ("/x", ""),
        ("/api/admin", "ends with /api/admin, which every request adds: "),
        ("/x/api/admin/", "ends with /api/admin, which every request adds: "),
        ("/api/administer", ""),
    ] {
        let url = format!("{NOWHERE}{path}");
        let list = env.run(["service", "list", "--namespace", "alice", "--gateway-admin-url", &url]);
        let told = list.expect(0).stderr;
        let doubts = told.contains("warning: the Sigilum gateway's address ");
        assert!(told.contains(says) && doubts != says.is_empty(), "{url}: {told}");
    }
}

#[test]
fn a_gateway_that_stalls_is_not_waited_for_long() {
    let env = TestEnv::new();
    let fake = FakeCheckout::new(&env);
    some_services(&fake.wrangler());
    let gateway = Gateway::start();
    gateway.fault("GET", "connections", Fault::Slow(Duration::from_secs(20)), 1);
    let start = std::time::Instant::now();
    let source = fake.root.to_str().unwrap();
    let url = gateway.url();
    let report = json_of(
        &env,
        &[
            "--namespace",
            "alice",
            "--source-home",
            source,
            "--gateway-admin-url",
            &url,
        ],
    );
    assert_eq!(modes(&report)[0].1, "unknown");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[test]
fn nothing_is_created_nor_migrated() {
    let env = TestEnv::new();
    let fake = FakeCheckout::new(&env);
    let source = fake.root.to_str().unwrap();
    let missing = env.home().join("missing.sqlite");
    for args in [["--source-home", source], ["--api-db", missing.to_str().unwrap()]] {
        let output = env
            .run([&["service", "list", "--namespace", "alice"], &args[..]].concat())
            .expect(7);
        assert!(output.stderr.contains("there is no such file"), "{}", output.stderr);
    }
    assert!(!fake.api(".wrangler").exists() && !missing.exists() && !env.openclaw().exists());

    drop(fake.wrangler_up_to(18));
    let before = std::fs::read(fake.db()).unwrap();
    env.run(["service", "list", "--namespace", "alice", "--source-home", source])
        .expect(0);
    assert_eq!(std::fs::read(fake.db()).unwrap(), before);
    assert_eq!(std::fs::read_dir(fake.db().parent().unwrap()).unwrap().count(), 1);

    // Neither named nor near.
    let output = env.run(["service", "list", "--namespace", "alice"]).expect(7);
    assert!(
        output.stderr.contains("--source-home") && output.stderr.contains("--api-db"),
        "{}",
        output.stderr
    );
    // From inside the checkout it is found, and asked for; a script must name it.
    let inside = || {
        let run = env.run(["service", "list", "--namespace", "alice"]);
        run.cwd(fake.api("migrations"))
    };
    let output = inside().at_a_terminal("y\n");
    assert_eq!(output.code, 0, "{output:?}");
    let told = format!("to use it: --source-home {source}");
    let output = inside().expect(7);
    assert!(output.stderr.contains(&told), "{}", output.stderr);
    // Sigilum's mode says nothing about services.
    env.run(["service", "list", "--namespace", "alice"])
        .env("SIGILUM_API_DB", fake.db())
        .env("SIGILUM_MODE", "managed")
        .expect(0);
}

#[test]
fn our_own_database_is_found_after_a_logout_too() {
    let env = TestEnv::new();
    env.run(["login", "--mode", "oss-local", "--namespace", "alice"])
        .expect(0);
    env.run(["service", "add", "--service-slug", "mail", "--namespace", "alice"])
        .expect(0);
    env.run(["auth", "logout", "--namespace", "alice"]).expect(0);
    let report = json_of(&env, &["--namespace", "alice", "--gateway-admin-url", NOWHERE]);
    assert_eq!(modes(&report), [("mail", "native")]);
}

#[test]
fn beside_a_running_api_and_ten_thousand_of_them() {
    let env = TestEnv::new();
    let fake = FakeCheckout::new(&env);
    let db = fake.wrangler();
    some_services(&db);
    db.execute_batch(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
         INSERT INTO services (id, owner_user_id, name, slug) SELECT 's' || i, 'usr_a', 'Service', 'slug-' || i FROM n;
         INSERT INTO service_api_keys (id, service_id, key_prefix, key_hash) SELECT 'x' || id, id, '...', id FROM services;",
    )
    .unwrap();
    let traffic = Traffic::on(&fake.db());
    let source = fake.root.to_str().unwrap();
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let start = std::time::Instant::now();
        let report = json_of(
            &env,
            &[
                "--namespace",
                "alice",
                "--source-home",
                source,
                "--gateway-admin-url",
                NOWHERE,
            ],
        );
        best = best.min(start.elapsed());
        assert_eq!(report["services"].as_array().unwrap().len(), 10_002);
    }
    let counts = traffic.stop();
    eprintln!("10,002 services in {best:?}; the API: {counts:?}");
    assert_eq!(
        (counts.refused, counts.refused_reads),
        (0, 0),
        "reading stands in nobody's way"
    );
}
