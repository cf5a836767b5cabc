//! `service add`: rows, files, and what is refused before anything changes.

use crate::env;

use env::local_api::{Traffic, dashboard_owner, number, text, use_key};
use env::services::{Desk, SECRET, json, sha256};
use env::{Output, mode};
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_native_service_gets_its_rows_and_its_key_file() {
    let desk = Desk::new();
    let output = desk.add("linear", []).expect(0);
    let key = desk.read("service-api-key-linear");
    assert!(key.starts_with("sk_live_") && key.len() == 56 && key[8..].bytes().all(|b| b.is_ascii_hexdigit()));
    assert_eq!(mode(desk.file("service-api-key-linear")), 0o600);
    assert_eq!(mode(desk.file("")), 0o700);
    assert_eq!(desk.files(), ["service-api-key-linear"]);

    let db = desk.db();
    let hash = sha256(&key);
    let row = |sql| text(&db, sql).unwrap();
    assert_eq!(
        row("SELECT id || '|' || email || '|' || namespace || '|' || plan || '|' || settings FROM users"),
        "user_local_alice|alice@local.sigilum|alice|free|{}"
    );
    assert_eq!(
        row(
            "SELECT id || '|' || owner_user_id || '|' || name || '|' || slug || '|' || domain || '|' || description FROM services"
        ),
        "svc_local_linear|user_local_alice|linear|linear|localhost|Local native Sigilum service."
    );
    assert_eq!(
        row(
            "SELECT id || '|' || service_id || '|' || name || '|' || key_prefix || '|' || key_hash FROM service_api_keys"
        ),
        format!(
            "key_local_linear_{}|svc_local_linear|Native service key (local cli)|...{}|{hash}",
            &hash[..12],
            &key[52..]
        )
    );
    // Masked, and whole only on demand.
    assert!(!output.stdout.contains(&key) && !output.stderr.contains(&key));
    assert!(
        output.stdout.contains(&format!("sk_l...{}", &key[52..])),
        "{}",
        output.stdout
    );
    assert!(desk.add("linear", ["--reveal-secrets"]).expect(0).stdout.contains(&key));
    // The gateway has no part in it.
    assert!(desk.gateway.seen().is_empty());
}

#[test]
fn the_same_command_again_changes_nothing_and_only_given_texts_are_updated() {
    let desk = Desk::new();
    desk.add("linear", ["--service-name", "Linear", "--domain", "linear.test"])
        .expect(0);
    let key = desk.read("service-api-key-linear");
    let report = json(&desk.add("linear", ["--json"]).expect(0));
    assert_eq!(report["service"], "unchanged");
    assert_eq!(report["service_key_state"], "reused");
    assert_eq!(report["service_name"], "Linear");
    let report = json(&desk.add("linear", ["--description", "Issues", "--json"]).expect(0));
    assert_eq!(report["service"], "updated");
    assert_eq!(
        (&report["service_name"], &report["domain"], &report["description"]),
        (&"Linear".into(), &"linear.test".into(), &"Issues".into())
    );
    assert_eq!(desk.read("service-api-key-linear"), key);
    assert_eq!(number(&desk.db(), "SELECT count(*) FROM service_api_keys"), 1);
}

#[test]
fn json_has_the_whole_story() {
    let desk = Desk::new();
    let report = json(&desk.add("linear", ["--json"]).expect(0));
    let names: Vec<&String> = report.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "namespace",
            "owner_email",
            "service_slug",
            "service_name",
            "domain",
            "description",
            "mode",
            "service_id",
            "service",
            "service_key",
            "service_key_state",
            "service_key_file",
            "database",
            "other_active_keys",
            "other_keys_revoked",
            "gateway",
            "notes"
        ]
    );
    assert_eq!(report["mode"], "native");
    assert!(report["gateway"].is_null());
}

#[test]
fn an_owner_of_the_dashboard_keeps_id_and_email() {
    let desk = Desk::new();
    dashboard_owner(&desk.db(), "usr_9", "alice", "alice@example.com");
    let report = json(&desk.add("linear", ["--email", "other@example.com", "--json"]).expect(0));
    assert_eq!(report["owner_email"], "alice@example.com");
    assert_eq!(text(&desk.db(), "SELECT owner_user_id FROM services").unwrap(), "usr_9");
    assert_eq!(number(&desk.db(), "SELECT count(*) FROM users"), 1);
}

#[test]
fn what_is_wrong_is_refused_before_anything_changes() {
    let desk = Desk::new();
    desk.env.write("empty", "\n");
    desk.env.write("two-lines", "one\ntwo\n");
    let gateway = ["--mode", "gateway", "--upstream-base-url", "https://api.linear.app"];
    let cases: &[(&[&str], i32, &str)] = &[
        (&["--service-slug", "Linear"], 2, "slug"),
        (
            &["--service-slug", "a"],
            2,
            "next: give another one with --service-slug",
        ),
        (&["--service-slug", "li"], 2, "slug"),
        (&["--service-slug", "-linear"], 2, "slug"),
        (&["--service-slug", "linear-"], 2, "slug"),
        (&["--service-slug", "lin_ear"], 2, "slug"),
        (&["--service-slug", "../etc/passwd"], 2, "slug"),
        (&["--service-slug", "linear", "--namespace", "A"], 2, "namespace"),
        (&["--service-slug", "linear", "--mode", "other"], 2, "--mode"),
        (
            &["--service-slug", "linear", "--service-name", " "],
            2,
            "--service-name",
        ),
        (&["--service-slug", "linear", "--email", "no"], 2, "e-mail"),
        (
            &["--service-slug", "linear", "--upstream-secret", "x"],
            2,
            "--mode gateway",
        ),
        (
            &["--service-slug", "linear", "--upstream-secret-env", "NOPE"],
            2,
            "--mode gateway",
        ),
        (
            &["--service-slug", "linear", "--auth-mode", "bearer"],
            2,
            "--mode gateway",
        ),
        (
            &["--service-slug", "linear", "--mode", "gateway"],
            2,
            "--upstream-base-url",
        ),
        (
            &[
                "--service-slug",
                "linear",
                "--mode",
                "gateway",
                "--upstream-base-url",
                "api.linear.app",
            ],
            2,
            "URL",
        ),
        (
            &[
                "--service-slug",
                "linear",
                "--mode",
                "gateway",
                "--upstream-base-url",
                "ftp://a.test",
            ],
            2,
            "scheme",
        ),
        (
            &[
                "--service-slug",
                "linear",
                "--mode",
                "gateway",
                "--upstream-base-url",
                "https://u:p@a.test",
            ],
            2,
            "password",
        ),
    ];
    for (args, code, words) in cases {
        let output = desk.run(["service", "add"].iter().chain(*args)).expect(*code);
        assert!(output.stderr.contains(words), "{args:?}: {}", output.stderr);
    }
    let with_gateway: &[(&[&str], i32, &str)] = &[
        (
            &["--upstream-secret", "a", "--upstream-secret-env", "LINEAR"],
            2,
            "more than once",
        ),
        (
            &["--upstream-secret", "a", "--upstream-secret-file", "f"],
            2,
            "more than once",
        ),
        (&["--upstream-secret-env", "NOPE"], 7, "NOPE"),
        (&["--upstream-secret-env", "BLANK"], 7, "empty"),
        (&["--upstream-secret-file", "missing"], 7, "missing"),
        (&["--upstream-secret-file", "empty"], 7, "empty"),
        (&["--upstream-secret-file", "two-lines"], 7, "line break"),
        (&["--upstream-secret", " "], 7, "empty"),
        (&["--upstream-secret-key", "a=b"], 2, "--upstream-secret-key"),
        (&["--upstream-header", "X Y"], 2, "--upstream-header"),
        (&["--auth-prefix", ""], 2, "header_key"),
        (&["--auth-mode", "basic"], 2, "--auth-mode"),
        (&["--gateway-admin-url", "http://gateway.test:1"], 2, "https"),
        (&["--gateway-admin-url", "http://u:p@127.0.0.1:1"], 2, "password"),
        (
            &["--gateway-admin-url", "http://127.0.0.1:1"],
            6,
            "Gateway admin not reachable",
        ),
    ];
    for (args, code, words) in with_gateway {
        let run = desk.add("linear", gateway.iter().chain(*args).copied());
        let output = run.env("LINEAR", SECRET).env("BLANK", " ").expect(*code);
        assert!(output.stderr.contains(words), "{args:?}: {}", output.stderr);
        assert!(!output.stderr.contains("u:p"), "{}", output.stderr);
    }
    assert!(desk.files().is_empty() && !desk.file("").exists());
    assert_eq!(number(&desk.db(), "SELECT count(*) FROM users"), 0);
    assert!(desk.gateway.changes().is_empty());
}

#[test]
fn it_needs_a_checkout_or_a_database_but_no_mode_of_sigilum() {
    let desk = Desk::new();
    let output = desk.env.run(["service", "add", "--service-slug", "linear"]).expect(7);
    assert!(
        output.stderr.contains("--source-home") && output.stderr.contains("--api-db"),
        "{}",
        output.stderr
    );
    // A mode of Sigilum is not a mode of a service.
    for mode in ["managed", "oss-local", "gateway", "nonsense"] {
        let report = json(&desk.add("linear", ["--json"]).env("SIGILUM_MODE", mode).expect(0));
        assert_eq!(report["mode"], "native");
    }
    // A database alone: the files lie in the OpenClaw home.
    let db = desk.checkout.db();
    let run = desk.env.run(
        [
            "service",
            "add",
            "--service-slug",
            "other",
            "--namespace",
            "alice",
            "--api-db",
        ]
        .map(String::from)
        .into_iter()
        .chain([db.display().to_string()]),
    );
    run.expect(0);
    let file = desk.env.openclaw().join(".sigilum-workspace/service-api-key-other");
    assert_eq!(mode(file), 0o600);
    // And GATEWAY_SIGILUM_HOME wins.
    let home = desk.env.home().join("gw");
    desk.add("third", []).env("GATEWAY_SIGILUM_HOME", &home).expect(0);
    assert_eq!(mode(home.join("service-api-key-third")), 0o600);
}

#[test]
fn a_slug_that_another_namespace_has_gets_its_own_row_and_key_file() {
    let desk = Desk::new();
    desk.add("linear", []).expect(0);
    let first = desk.read("service-api-key-linear");
    let report = json(&desk.add("linear", ["--namespace", "bob", "--json"]).expect(0));
    assert_eq!(report["service_id"], "svc_local_bob_linear");
    assert_eq!(desk.files(), ["service-api-key-bob_linear", "service-api-key-linear"]);
    assert_ne!(desk.read("service-api-key-bob_linear"), first);
    assert_eq!(desk.read("service-api-key-linear"), first);
    // The first one stays the first one.
    assert_eq!(
        json(&desk.add("linear", ["--json"]).expect(0))["service_id"],
        "svc_local_linear"
    );

    let gateway = [
        "--namespace",
        "bob",
        "--mode",
        "gateway",
        "--upstream-base-url",
        "https://b.test",
    ];
    let output = desk.add("linear", gateway).expect(1);
    assert!(
        output.stderr.contains("alice") && output.stderr.contains("slug"),
        "{}",
        output.stderr
    );
    assert!(desk.gateway.changes().is_empty());
    let output = desk
        .set("linear", ["--namespace", "bob", "--upstream-secret-env", "LINEAR"])
        .env("LINEAR", SECRET)
        .expect(1);
    assert!(output.stderr.contains("alice"), "{}", output.stderr);
}

#[test]
fn keys_that_are_not_in_the_file_are_listed_and_revoked_on_demand() {
    let desk = Desk::new();
    desk.add("linear", []).expect(0);
    let lost = desk.read("service-api-key-linear");
    std::fs::remove_file(desk.file("service-api-key-linear")).unwrap();
    let report = json(&desk.add("linear", ["--json"]).expect(0));
    assert_eq!(report["service_key_state"], "created");
    assert_eq!(report["other_active_keys"][0]["prefix"], format!("...{}", &lost[52..]));
    assert_eq!(
        number(
            &desk.db(),
            "SELECT count(*) FROM service_api_keys WHERE revoked_at IS NULL"
        ),
        2
    );

    let would = desk.add("linear", ["--revoke-old", "--dry-run"]).expect(0);
    assert!(
        would.stdout.contains(&format!("...{}", &lost[52..])),
        "{}",
        would.stdout
    );
    let report = json(&desk.add("linear", ["--revoke-old", "--json"]).expect(0));
    assert_eq!(report["other_keys_revoked"], true);
    let left = text(
        &desk.db(),
        "SELECT key_hash FROM service_api_keys WHERE revoked_at IS NULL",
    )
    .unwrap();
    assert_eq!(left, sha256(&desk.read("service-api-key-linear")));

    // A revoked key in the file is not used again.
    desk.db()
        .execute("UPDATE service_api_keys SET revoked_at = 'now'", [])
        .unwrap();
    let revoked = desk.read("service-api-key-linear");
    assert_eq!(
        json(&desk.add("linear", ["--json"]).expect(0))["service_key_state"],
        "created"
    );
    assert_ne!(desk.read("service-api-key-linear"), revoked);
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let desk = Desk::new();
    let before = std::fs::read(desk.checkout.db()).unwrap();
    let output = desk.add_linear(["--dry-run"]).expect(0);
    for words in [
        "service key in",
        "service linear of alice",
        "connection linear to https://api.linear.app made",
    ] {
        assert!(output.stdout.contains(words), "{}", output.stdout);
    }
    assert!(!format!("{output:?}").contains(SECRET));
    let report = json(&desk.add_linear(["--dry-run", "--json"]).expect(0));
    assert_eq!(report["dry_run"], true);
    assert_eq!(report["steps"].as_array().unwrap().len(), 5);
    assert!(desk.gateway.changes().is_empty());
    assert!(desk.files().is_empty());
    assert_eq!(std::fs::read(desk.checkout.db()).unwrap(), before);

    desk.add("linear", []).expect(0);
    assert_eq!(desk.add("linear", ["--dry-run"]).expect(0).stdout, "Nothing to do.\n");
    // Not even a database is made.
    std::fs::remove_dir_all(desk.checkout.api(".wrangler")).unwrap();
    assert!(desk.add("linear", ["--dry-run"]).expect(0).stdout.contains("database "));
    assert!(!desk.checkout.api(".wrangler").exists());
}

#[test]
fn it_works_beside_a_running_api() {
    let desk = Desk::new();
    let traffic = Traffic::on(&desk.checkout.db());
    for n in 0..20 {
        desk.add(&format!("service-{n}"), []).expect(0);
    }
    let counts = traffic.stop();
    assert!(counts.reads > 20, "{counts:?}");
    assert_eq!(counts.refused_reads, 0, "{counts:?}");
    let db = desk.db();
    assert_eq!(
        number(&db, "SELECT count(*) FROM service_api_keys WHERE revoked_at IS NULL"),
        20
    );
    assert_eq!(text(&db, "PRAGMA integrity_check").unwrap(), "ok");
}

#[test]
fn a_secret_on_the_command_line_earns_one_warning() {
    let desk = Desk::new();
    let gateway = [
        "--mode",
        "gateway",
        "--upstream-base-url",
        "https://a.test",
        "--upstream-secret",
        SECRET,
    ];
    let args = gateway.into_iter().chain(["--gateway-admin-token", "tok-en"]);
    let output = desk.add("linear", args).expect(0);
    assert_eq!(warnings(&output), 1, "{}", output.stderr);
    assert!(
        output.stderr.contains("--upstream-secret, --gateway-admin-token"),
        "{}",
        output.stderr
    );
    let clean = desk.add(
        "other",
        [
            "--mode",
            "gateway",
            "--upstream-base-url",
            "https://a.test",
            "--upstream-secret",
            "-",
        ],
    );
    let output = clean.stdin(format!("{SECRET}\n")).expect(0);
    assert_eq!(warnings(&output), 0, "{}", output.stderr);
    assert_eq!(desk.gateway.secrets("other")["access_token"], SECRET);
}

fn warnings(output: &Output) -> usize {
    output
        .stderr
        .lines()
        .filter(|line| line.starts_with("warning: "))
        .count()
}

/// Where a script had no value for a variable that names a folder or a file, and where it named one from here.
#[test]
fn a_variable_that_names_a_folder_is_a_path_or_nothing() {
    for value in ["undefined", "null", " undefined "] {
        let desk = Desk::new();
        let names = [
            "SIGILUM_API_DB",
            "GATEWAY_SIGILUM_HOME",
            "GATEWAY_DATA_DIR",
            "SIGILUM_CONFIG_FILE",
        ];
        let run = desk.add("linear", []).cwd(desk.env.home());
        let before = names_in(desk.env.home());
        names.iter().fold(run, |run, name| run.env(name, value)).expect(0);
        assert_eq!(names_in(desk.env.home()), before, "{value}");
        assert_eq!(desk.files(), ["service-api-key-linear"]);
    }
    for (value, at) in [
        ("ws", "ws"),
        ("sub/ws", "sub/ws"),
        ("./dot", "dot"),
        ("~/tilde", "tilde"),
    ] {
        let desk = Desk::new();
        let run = desk.add("linear", []).cwd(desk.env.home());
        run.env("GATEWAY_SIGILUM_HOME", value).expect(0);
        assert!(
            desk.env.home().join(at).join("service-api-key-linear").exists(),
            "{value}"
        );
    }
}

fn names_in(folder: &std::path::Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    names
}

#[test]
fn a_checkout_without_migrations_is_named_and_gets_no_database() {
    let desk = Desk::new();
    std::fs::remove_file(desk.checkout.db()).unwrap();
    let folder = desk.checkout.api("migrations");
    for entry in std::fs::read_dir(&folder).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let output = desk.add("linear", []).expect(7);
    let says = format!(
        "could not read the checkout's migrations: {}: there is no .sql file in it",
        folder.display()
    );
    assert!(output.stderr.contains(&says), "{}", output.stderr);
    assert!(!desk.checkout.db().exists());
}

/// A dry run is refused what the command itself is refused, and neither leaves anything.
#[test]
fn a_folder_that_others_may_write_to_is_refused_before_anything_is_made() {
    let env = crate::env::TestEnv::new();
    std::fs::create_dir(env.openclaw()).unwrap();
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(env.openclaw(), open).unwrap();
    for dry_run in [&["--dry-run"][..], &[]] {
        let run = env
            .run(["service", "add", "mail", "--namespace", "alice"])
            .args(dry_run);
        let output = run.env("SIGILUM_API_DB", env.home().join("x.sqlite")).expect(1);
        assert!(output.stderr.contains("next: chmod "), "{}", output.stderr);
        assert_eq!(names_in(&env.openclaw()), [""; 0]);
    }
}

/// The Sigilum gateway may have its key from elsewhere than from us: until the new one was seen in use, agents need the
/// old one.
#[test]
fn old_keys_of_a_gateways_service_are_revoked_once_the_new_one_is_in_use() {
    let gateway = ["--mode", "gateway", "--upstream-base-url", "https://api.linear.app"];
    for mode in [&gateway[..], &[]] {
        let desk = Desk::new();
        desk.add_linear([]).expect(0);
        desk.gateway.keeps_its_keys();
        std::fs::remove_file(desk.file("service-api-key-linear")).unwrap();
        let active = || {
            number(
                &desk.db(),
                "SELECT count(*) FROM service_api_keys WHERE revoked_at IS NULL",
            )
        };
        let revoke = || desk.add("linear", [mode, &["--revoke-old"]].concat());
        let kept = revoke().expect(0);
        assert_eq!(active(), 2, "{}", kept.stderr);
        let told = "1 other active key of this service not revoked, as nobody was seen using the one in the key file";
        assert!(kept.stderr.contains(told), "{}", kept.stderr);
        let would = desk.add("linear", [mode, &["--revoke-old", "--dry-run"]].concat());
        assert!(!would.expect(0).stdout.contains("revoked"));
        use_key(&desk.db(), &desk.read("service-api-key-linear"));
        let gone = revoke().expect(0);
        assert_eq!(active(), 1, "{}", gone.stderr);
        // At once, as printed.
        std::fs::remove_file(desk.file("service-api-key-linear")).unwrap();
        let kept = revoke().expect(0).stderr;
        let now = kept.split("at once: ").nth(1).unwrap().lines().next().unwrap();
        desk.run(&shell_words::split(now).unwrap()[1..]).expect(0);
        assert_eq!(active(), 1);
    }
}
