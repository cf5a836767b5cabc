//! `auth login` in oss-local mode beside a Sigilum source checkout, or on a database that is named outright.

use crate::env;

use env::local_api::{FakeCheckout, JWT_SECRET};
use env::{TestEnv, mode};
use rusqlite::Connection;
use serde_json::Value;
use sigilum_authz_notify::token::claims;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const LOGIN: [&str; 7] = [
    "login",
    "--mode",
    "oss-local",
    "--namespace",
    "alice",
    "--print-token",
    "false",
];

fn login<'a>(more: &[&'a str]) -> Vec<&'a str> {
    LOGIN.iter().chain(more).copied().collect()
}

fn token(env: &TestEnv) -> secrecy::SecretString {
    std::fs::read_to_string(env.sigilum("owner-token-alice.jwt"))
        .unwrap()
        .trim_end()
        .into()
}

fn record(env: &TestEnv) -> Value {
    serde_json::from_slice(&std::fs::read(env.sigilum("owner-alice.json")).unwrap()).unwrap()
}

fn owner_id(database: &Path) -> String {
    let database = Connection::open(database).unwrap();
    database
        .query_row("SELECT id FROM users WHERE namespace = 'alice'", [], |row| row.get(0))
        .unwrap()
}

#[test]
fn a_checkouts_database_and_secret_are_used_and_remembered() {
    for named in ["flag", "variable", "found"] {
        let env = TestEnv::new();
        let checkout = FakeCheckout::new(&env);
        let root = checkout.root.to_str().unwrap();
        let run = match named {
            "flag" => env.run(login(&["--source-home", root])),
            "variable" => env.run(login(&[])).env("SIGILUM_SOURCE_HOME", root),
            _ => env.run(login(&[])).cwd(checkout.api("migrations")),
        };
        let output = match named {
            // What nobody named is asked for.
            "found" => run.at_a_terminal("y\n"),
            _ => run.output(),
        };
        assert_eq!(output.code, 0, "{output:?}");
        assert!(output.stdout.contains(root), "{}", output.stdout);
        let asked = output
            .stderr
            .contains(&format!("Use the Sigilum checkout {root}? [y/N]"));
        assert_eq!(asked, named == "found", "{}", output.stderr);
        assert!(claims::is_signed_by(&token(&env), &JWT_SECRET.into()), "{named}");
        assert_eq!(owner_id(&checkout.db()), "user_local_alice");
        assert!(!env.sigilum("local-api.sqlite").exists());
        let migrations: Vec<String> = Connection::open(checkout.db())
            .unwrap()
            .prepare("SELECT name FROM d1_migrations ORDER BY id")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(migrations, checkout.migrations());
        assert_eq!(record(&env)["source_home"], root);
        // The record is enough for the next one, wherever it runs.
        env.run(["auth", "refresh", "--print-token", "false"])
            .cwd("/")
            .expect(0);
        assert!(claims::is_signed_by(&token(&env), &JWT_SECRET.into()));
    }
}

/// A folder that agents can make look like a checkout must not decide which secret signs.
#[test]
fn a_checkout_around_the_working_directory_decides_nothing_by_itself() {
    // The answer at a terminal; elsewhere none is asked for.
    for typed in [None, Some("\n"), Some("no\n")] {
        let env = TestEnv::new();
        let checkout = FakeCheckout::new(&env);
        let root = checkout.root.to_str().unwrap();
        let run = env.run(login(&[])).cwd(checkout.api("migrations"));
        let output = match typed {
            Some(typed) => run.at_a_terminal(typed),
            None => run.output(),
        };
        assert_eq!(output.code, 0, "{output:?}");
        let told = format!("is not used; to use it: --source-home {root}");
        assert_eq!(output.stderr.matches(&told).count(), 1, "{}", output.stderr);
        assert!(!claims::is_signed_by(&token(&env), &JWT_SECRET.into()));
        assert!(!checkout.db().exists() && record(&env).get("source_home").is_none());

        // Our own database is what is recorded now: nothing else is looked for.
        let again = env.run(["auth", "refresh"]).cwd(&checkout.root).at_a_terminal("y\n");
        assert_eq!((again.code, again.stderr.as_str()), (0, ""));
        // Named, it counts, and a service command finds it in the record from then on.
        env.run(login(&["--source-home", root])).expect(0);
        assert_eq!(record(&env)["source_home"], root);
    }
}

#[test]
fn a_checkout_where_agents_write_is_not_even_asked_for() {
    for workspace in ["default", "named"] {
        let env = TestEnv::new();
        let folder = match workspace {
            "default" => ".openclaw/workspace",
            _ => "agents",
        };
        let config = format!(r#"{{"agents": {{"defaults": {{"workspace": "~/{folder}"}}}}}}"#);
        if workspace == "named" {
            env.write_config(config);
        }
        let checkout = FakeCheckout::new(&env);
        let inside = env.home().join(folder);
        env.write(format!("{folder}/notes"), "");
        std::fs::rename(&checkout.root, inside.join("sigilum")).unwrap();
        let output = env.run(login(&[])).cwd(inside.join("sigilum")).at_a_terminal("y\n");
        assert_eq!(output.code, 0, "{output:?}");
        assert!(
            output.stderr.contains("is not used, since agents write there"),
            "{}",
            output.stderr
        );
        assert!(!output.stderr.contains("[y/N]"), "{}", output.stderr);
        assert!(!claims::is_signed_by(&token(&env), &JWT_SECRET.into()));
    }
}

#[test]
fn without_a_secret_login_says_where_to_put_one_and_changes_nothing() {
    for content in ["", "JWT_SECRET=\n", "# JWT_SECRET=x\n", "JWT_SECRET=\"\" # empty\n"] {
        let env = TestEnv::new();
        let checkout = FakeCheckout::new(&env);
        std::fs::write(checkout.api(".dev.vars"), content).unwrap();
        let output = env
            .run(login(&["--source-home", checkout.root.to_str().unwrap()]))
            .expect(7);
        assert!(
            output.stderr.contains("Unable to resolve JWT_SECRET"),
            "{}",
            output.stderr
        );
        assert!(output.stderr.contains("apps/api/.dev.vars"), "{}", output.stderr);
        assert!(!checkout.db().exists());
        assert!(!env.openclaw().exists());
    }
}

#[test]
fn jwt_secret_of_the_environment_wins_and_an_empty_one_counts_as_unset() {
    let env = TestEnv::new();
    let checkout = FakeCheckout::new(&env);
    let command = login(&["--source-home", checkout.root.to_str().unwrap()]);
    env.run(command.clone())
        .env("JWT_SECRET", "from the environment")
        .expect(0);
    assert!(claims::is_signed_by(&token(&env), &"from the environment".into()));
    env.run(command).env("JWT_SECRET", "").expect(0);
    assert!(claims::is_signed_by(&token(&env), &JWT_SECRET.into()));
}

/// Anybody could sign with such a secret.
#[test]
fn what_only_stands_for_a_secret_signs_nothing() {
    for value in [
        "undefined",
        "null",
        "${JWT_SECRET}",
        "$JWT_SECRET",
        "<secret>",
        " ",
        " undefined\n",
    ] {
        let env = TestEnv::new();
        let output = env.login().env("JWT_SECRET", value).expect(7);
        let says = "error: could not sign with JWT_SECRET: ";
        assert!(output.stderr.contains(says), "{value}: {}", output.stderr);
        assert!(
            output.stderr.contains("next: unset JWT_SECRET"),
            "{value}: {}",
            output.stderr
        );
        assert!(!env.openclaw().exists());
        let again = env.step_then(output.step(), &[&["auth"], &login(&[])[..]].concat());
        again.env("JWT_SECRET", value).expect(0);

        let checkout = FakeCheckout::new(&env);
        let command = login(&["--source-home", checkout.root.to_str().unwrap()]);
        let output = env.run(command.clone()).env("JWT_SECRET", value).expect(7);
        assert!(
            output.stderr.contains("next: unset JWT_SECRET"),
            "{value}: {}",
            output.stderr
        );
        let again = env.step_then(output.step(), &command);
        again.env("JWT_SECRET", value).expect(0);
        std::fs::write(
            checkout.api(".dev.vars"),
            format!("JWT_SECRET='{}'\n", value.trim_end()),
        )
        .unwrap();
        let output = env.run(&command).expect(7);
        let file = checkout.api(".dev.vars");
        let says = format!("into {}, or: export JWT_SECRET=<secret>", file.display());
        assert!(
            value == " " || output.stderr.contains("could not sign with JWT_SECRET in "),
            "{value}: {}",
            output.stderr
        );
        assert!(output.stderr.contains(&says), "{value}: {}", output.stderr);
        let step = output.step().replace("<secret>", JWT_SECRET);
        env.step_then(&step, &command).expect(0);
    }
}

#[test]
fn a_named_database_needs_a_secret_of_its_own() {
    let env = TestEnv::new();
    let checkout = FakeCheckout::new(&env);
    drop(checkout.wrangler_up_to(21));
    let database = checkout.db();
    let command = login(&["--api-db", database.to_str().unwrap()]);
    let output = env.run(command.clone()).expect(7);
    assert!(
        output.stderr.contains("Unable to resolve JWT_SECRET"),
        "{}",
        output.stderr
    );
    env.run(command).env("JWT_SECRET", "its secret").expect(0);
    assert_eq!(owner_id(&database), "user_local_alice");
    assert_eq!(record(&env)["api_db"], database.to_str().unwrap());
}

#[test]
fn an_owner_who_is_there_already_keeps_id_and_email() {
    let env = TestEnv::new();
    let checkout = FakeCheckout::new(&env);
    checkout
        .wrangler_up_to(21)
        .execute(
            "INSERT INTO users (id, email, namespace, plan, created_at) \
             VALUES ('usr_7', 'real@example.org', 'alice', 'builder', '2026-01-01T00:00:00.000Z')",
            [],
        )
        .unwrap();
    env.run(login(&["--source-home", checkout.root.to_str().unwrap()]))
        .expect(0);
    let said = claims::inspect(&token(&env)).unwrap();
    assert_eq!(
        (said.sub.as_deref(), said.email.as_deref()),
        (Some("usr_7"), Some("real@example.org"))
    );
}

#[test]
fn a_checkout_that_others_can_change_is_refused() {
    let env = TestEnv::new();
    let checkout = FakeCheckout::new(&env);
    let root = checkout.root.to_str().unwrap();
    std::fs::set_permissions(&checkout.root, std::fs::Permissions::from_mode(0o777)).unwrap();
    let output = env.run(login(&["--source-home", root])).expect(7);
    assert!(output.stderr.contains(root), "{}", output.stderr);
    assert_eq!(mode(&checkout.root), 0o777, "and left as it is");
    assert!(!env.sigilum("owner-token-alice.jwt").exists());
}

#[test]
fn a_folder_that_is_no_checkout_is_named() {
    let env = TestEnv::new();
    let output = env
        .run(login(&["--source-home", env.home().to_str().unwrap()]))
        .expect(7);
    assert!(output.stderr.contains("wrangler.toml"), "{}", output.stderr);
}

#[test]
fn a_checkout_without_migrations_is_left_as_it_is() {
    let env = TestEnv::new();
    let checkout = FakeCheckout::new(&env);
    std::fs::remove_dir_all(checkout.api("migrations")).unwrap();
    let output = env
        .run(login(&["--source-home", checkout.root.to_str().unwrap()]))
        .expect(7);
    assert!(
        output.stderr.contains("migrations") && output.stderr.contains("next:"),
        "{}",
        output.stderr
    );
    assert!(!checkout.api(".wrangler").exists());
}

/// A secret of the home's own would not be that API's.
#[test]
fn after_a_logout_the_login_that_is_advised_names_the_checkout() {
    let env = TestEnv::new();
    let checkout = FakeCheckout::new(&env);
    let root = checkout.root.to_str().unwrap();
    env.run(login(&["--source-home", root])).expect(0);
    env.run(["hook", "install"]).expect(0);
    env.run(["auth", "logout"]).expect(0);
    for words in [
        "auth status",
        "hook status",
        "doctor",
        "auth refresh",
        "authz list",
        "watch --once",
        "hook run --event command:new",
    ] {
        let output = env.run(words.split(' ')).output();
        let told = output.stdout + &output.stderr;
        let steps = told.lines().filter(|line| line.contains(" auth login"));
        let steps: Vec<&str> = steps.collect();
        let names = |step: &&str| step.contains(&format!("--source-home {root}"));
        assert!(!steps.is_empty() && steps.iter().all(names), "{words}: {told}");
        assert!(!told.contains("<folder>"), "{words}: {told}");
    }
    let step = env.run(["auth", "refresh"]).expect(4).step().to_owned();
    env.shell(&step).expect(0);
    assert_eq!(record(&env)["source_home"], root);
    // One of another kind forgets it.
    env.run(["auth", "logout"]).expect(0);
    env.run(login(&[])).expect(0);
    env.run(["auth", "logout"]).expect(0);
    let told = env.run(["auth", "status"]).expect(4).stderr;
    assert!(!told.contains("--source-home"), "{told}");
}

#[test]
fn a_former_checkout_says_nothing_of_another_namespace_and_nothing_once_it_is_gone() {
    let env = TestEnv::new();
    let checkout = FakeCheckout::new(&env);
    let root = checkout.root.to_str().unwrap();
    env.run(["hook", "install", "--as", "plugin"]).expect(0);
    env.run(login(&["--source-home", root, "--write-openclaw", "false"]))
        .expect(0);
    env.run(["auth", "logout"]).expect(0);
    let status = |namespace| env.run(["auth", "status", "--namespace", namespace]).expect(4);
    let told = |output: crate::env::Output| output.stdout + &output.stderr;
    assert!(told(status("alice")).contains(&format!(
        "auth login --mode oss-local --namespace alice --source-home {root}"
    )));
    let of_bob = told(status("bob"));
    assert!(of_bob.contains("auth login --mode managed --namespace bob"), "{of_bob}");
    std::fs::rename(&checkout.root, checkout.root.with_extension("gone")).unwrap();
    let gone = told(status("alice"));
    assert!(!gone.contains("--source-home"), "{gone}");
}
