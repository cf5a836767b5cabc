//! `auth login`, `auth refresh` and `login`: what they print, and what lies on disk afterwards.

use crate::env;

use env::local_api::{FakeCheckout, JWT_SECRET};
use env::{TestEnv, mode, now};
use serde_json::{Value, json};
use sigilum_authz_notify::token::claims::{self, Claims, Inspected};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// A login on the embedded database; more options can follow.
const LOCAL: [&str; 6] = ["auth", "login", "--mode", "oss-local", "--namespace", "alice"];
const REFRESH: [&str; 4] = ["auth", "refresh", "--namespace", "alice"];

fn local<'a>(more: &[&'a str]) -> Vec<&'a str> {
    LOCAL.iter().chain(more).copied().collect()
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path.as_ref()).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

fn json(path: impl AsRef<Path>) -> Value {
    serde_json::from_str(&read(path)).unwrap()
}

fn stored_token(env: &TestEnv) -> String {
    read(env.sigilum("owner-token-alice.jwt")).trim_end().to_owned()
}

fn says(token: &str) -> Inspected {
    claims::inspect(&token.into()).unwrap()
}

fn entry(env: &TestEnv) -> Value {
    json(env.config())["hooks"]["internal"]["entries"]["sigilum-authz-notify"].clone()
}

/// A token that somebody else's API signed.
fn foreign_token(namespace: &str, iat: i64, ttl: u64) -> String {
    use secrecy::ExposeSecret;
    let claims = Claims::new("user_1", "a@example.org", namespace, iat, ttl);
    claims::mint(&claims, &"somebody else's".into())
        .unwrap()
        .expose_secret()
        .to_owned()
}

/// By its default the signal of that limit ends a program without a word.
#[test]
fn a_limit_of_file_sizes_is_told_and_nothing_changes() {
    let (hosted, local) = (TestEnv::new(), TestEnv::new());
    let new = foreign_token("alice", env::now(), 5_000);
    let login = hosted.run(["auth", "login", "--owner-token-stdin", "--no-check"]);
    login.stdin(foreign_token("alice", env::now(), 3_600)).expect(0);
    local.login().expect(0);
    let big = "next: raise the limit of file sizes (ulimit -f), and run the command again";
    for (env, command, code, says) in [
        (&hosted, "auth login --owner-token-stdin --no-check", 1, big),
        (&hosted, "hook install", 1, big),
        (&local, "hook install", 1, big),
        (
            &local,
            "auth refresh",
            7,
            "a read or a write failed: disk I/O error\n  next: see whether the disk is full (df) or files have a limit (ulimit -f)",
        ),
    ] {
        let (token, config) = (stored_token(env), read(env.config()));
        let limited = |command: &str| {
            let script = format!("ulimit -f 0 && exec \"$0\" {command}");
            env.run_program("/bin/sh".as_ref(), ["-c", &script, env::BINARY])
        };
        let told = limited(command).stdin(new.clone()).expect(code).stderr;
        assert!(
            told.contains("error: could not ") && told.contains(says),
            "{command}: {told}"
        );
        assert_eq!((stored_token(env), read(env.config())), (token.clone(), config));
        // What only reads works.
        assert_eq!(limited("auth show").expect(0).stdout.trim(), token);
    }
    // Of a database that could not be made nothing stays.
    let new = TestEnv::new();
    let script = "ulimit -f 0 && exec \"$0\" auth login --mode oss-local --namespace alice";
    let login = new.run_program("/bin/sh".as_ref(), ["-c", script, env::BINARY]);
    login.env("JWT_SECRET", "0123456789abcdef0123456789abcdef").expect(7);
    let left = std::fs::read_dir(new.sigilum("")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        !left.iter().any(|name| name.to_string_lossy().starts_with("local-api")),
        "{left:?}"
    );
}

/// A secret that only this command's environment has: the watcher does not, so nothing renews what it signs.
#[test]
fn a_secret_that_nobody_keeps_is_told_once() {
    let secret = "0123456789abcdef0123456789abcdef";
    let env = TestEnv::new();
    let told = |output: env::Output| output.stderr.matches("nobody keeps the secret").count();
    let output = env.login().env("JWT_SECRET", secret).expect(0);
    let says = "warning: nobody keeps the secret (from JWT_SECRET), so nothing renews this token, which expires 20";
    assert!(output.stderr.contains(says), "{}", output.stderr);
    let next = "next: name the checkout that has it, with --source-home <folder>; or start the watcher with JWT_SECRET in \
                its environment\n";
    assert!(
        output.stderr.contains(next) && !output.stderr.contains(secret),
        "{}",
        output.stderr
    );
    assert_eq!(told(output), 1);
    assert_eq!(
        told(env.run(["auth", "refresh"]).env("JWT_SECRET", secret).expect(0)),
        1
    );
    // The checkout that has it, as the step says.
    let checkout = FakeCheckout::new(&env);
    let login = env.login().env("JWT_SECRET", JWT_SECRET);
    assert_eq!(
        told(
            login
                .args(["--source-home".as_ref(), checkout.root.as_os_str()])
                .expect(0)
        ),
        0
    );
    // One of our own is kept, and the same one is not lost where it is in the environment too.
    let env = TestEnv::new();
    assert_eq!(told(env.login().expect(0)), 0);
    let kept = std::fs::read_to_string(env.sigilum("jwt-secret")).unwrap();
    assert_eq!(told(env.login().env("JWT_SECRET", kept.trim()).expect(0)), 0);
}

#[test]
fn what_is_guessed_is_told_once() {
    let env = TestEnv::new();
    let refresh = env.run(["auth", "refresh"]).env("USER", "alice").output();
    assert_eq!(
        refresh.stderr.matches("nobody named a namespace").count(),
        1,
        "{}",
        refresh.stderr
    );
    // A token names its namespace itself.
    let token = env::api::token("s", serde_json::json!({"namespace": "bob"}));
    let refresh = env.run(["auth", "refresh", "--no-check"]).env("USER", "alice");
    let refresh = refresh.env("SIGILUM_OWNER_TOKEN", token).expect(0);
    assert!(!refresh.stderr.contains("nobody named"), "{}", refresh.stderr);
}

#[test]
fn a_token_of_another_namespace_names_it() {
    let env = TestEnv::new();
    for (namespace, step) in [
        (
            "bob",
            "next: give --namespace bob, or a token of the namespace that is meant\n",
        ),
        ("x; rm -rf ~", "next: sign in at https://sigilum.id"),
    ] {
        let token = env::api::token("s", serde_json::json!({"namespace": namespace}));
        let login = env.run(["auth", "login", "--namespace", "alice", "--owner-token-stdin"]);
        let refused = login.stdin(token).expect(4).stderr;
        assert!(refused.contains(step), "{refused}");
    }
}

#[test]
fn the_first_login_leaves_owner_token_record_and_entry() {
    let env = TestEnv::new();
    let output = env.run(local(&["--enable-authz-notify", "true"])).expect(0);
    let token = stored_token(&env);
    assert!(output.stdout.contains(&token), "{}", output.stdout);
    assert!(
        output.stdout.contains("no Sigilum API uses this database yet"),
        "{}",
        output.stdout
    );

    let said = says(&token);
    assert_eq!(said.namespace, "alice");
    assert_eq!(said.sub.as_deref(), Some("user_local_alice"));
    assert_eq!(said.email.as_deref(), Some("alice@local.sigilum"));
    assert_eq!(said.life(), Some(604_800));
    assert!((now() - said.iat.unwrap()).abs() < 30);
    let secret = read(env.sigilum("jwt-secret"));
    assert!(claims::is_signed_by(&token.as_str().into(), &secret.trim().into()));

    let database = rusqlite::Connection::open(env.sigilum("local-api.sqlite")).unwrap();
    let owner: (String, String, String) = database
        .query_row(
            "SELECT id, email, plan FROM users WHERE namespace = 'alice'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    assert_eq!(
        owner,
        ("user_local_alice".into(), "alice@local.sigilum".into(), "free".into())
    );

    let record = json(env.sigilum("owner-alice.json"));
    assert_eq!(record["mode"], "oss-local");
    assert_eq!(record["api_url"], "http://127.0.0.1:8787");
    // What is a default is not recorded as a path.
    assert_eq!((record.get("api_db"), record.get("token_file")), (None, None));

    let config = json(env.config());
    assert_eq!(config["hooks"]["internal"].get("enabled"), None);
    let wanted = json!({"enabled": true, "env": {
        "SIGILUM_NAMESPACE": "alice", "SIGILUM_API_URL": "http://127.0.0.1:8787", "SIGILUM_MODE": "oss-local",
        "SIGILUM_OWNER_TOKEN": token,
    }});
    assert_eq!(entry(&env), wanted);
}

#[test]
fn everything_that_login_makes_is_private() {
    let env = TestEnv::new();
    env.run(local(&[])).expect(0);
    assert_eq!(mode(env.openclaw()), 0o700);
    assert_eq!(mode(env.sigilum("")), 0o700);
    let mut files = 0;
    for folder in [env.openclaw(), env.sigilum("")] {
        for file in std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
        {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
            files += 1;
        }
    }
    assert!(files >= 5, "{files} files");
}

#[test]
fn a_login_that_wants_nothing_new_writes_nothing() {
    let env = TestEnv::new();
    let token = foreign_token("alice", now(), 3600);
    let login = ["auth", "login", "--owner-token-stdin", "--enable-authz-notify", "true"];
    env.run(login).stdin(token.clone()).expect(0);
    let before = std::fs::metadata(env.config()).unwrap();
    let output = env.run(login).stdin(token).expect(0);
    let after = std::fs::metadata(env.config()).unwrap();
    assert!(output.stdout.contains("nothing to change"), "{}", output.stdout);
    assert_eq!(before.ino(), after.ino());
    assert_eq!(
        (before.mtime(), before.mtime_nsec()),
        (after.mtime(), after.mtime_nsec())
    );
}

#[test]
fn the_token_is_printed_where_asked_and_nowhere_else() {
    let cases: [(&[&str], bool, bool); 5] = [
        (&[], true, false),
        (&["--print-token", "false"], false, false),
        (&["--token-only"], true, true),
        (&["--print-token=true", "--token-only=true"], true, true),
        (&["--print-token=false", "--token-only=false"], false, false),
    ];
    for (flags, printed, alone) in cases {
        let env = TestEnv::new();
        let output = env.run(local(flags)).expect(0);
        let token = stored_token(&env);
        assert_eq!(output.stdout.contains(&token), printed, "{flags:?}");
        assert_eq!(output.stdout.trim_end() == token, alone, "{flags:?}");
        assert!(!output.stderr.contains(&token), "{flags:?}");
    }
    // What says both yes and no is refused before anything is made.
    for flags in [
        ["--print-token=false", "--token-only=true"],
        ["--token-only", "--print-token=false"],
    ] {
        let env = TestEnv::new();
        let output = env.run(local(&flags)).expect(2);
        for flag in ["--token-only", "--print-token false"] {
            assert!(output.stderr.contains(flag), "{}", output.stderr);
        }
        assert!(!env.openclaw().exists());
    }
}

#[test]
fn refresh_keeps_the_replaced_tokens_life_unless_told_otherwise() {
    let env = TestEnv::new();
    env.run(local(&["--ttl-seconds", "1234"])).expect(0);
    let life = |token: &str| says(token).life();
    assert_eq!(life(&stored_token(&env)), Some(1234));
    env.run(REFRESH).expect(0);
    assert_eq!(life(&stored_token(&env)), Some(1234));
    env.run(REFRESH).env("SIGILUM_OWNER_TOKEN_TTL_SECONDS", "77").expect(0);
    assert_eq!(life(&stored_token(&env)), Some(77));
    env.run(REFRESH.iter().chain(&["--ttl-seconds", "88"]))
        .env("SIGILUM_OWNER_TOKEN_TTL_SECONDS", "77")
        .expect(0);
    assert_eq!(life(&stored_token(&env)), Some(88));
    for bad in ["0", "-1", "99999999999"] {
        env.run(REFRESH).env("SIGILUM_OWNER_TOKEN_TTL_SECONDS", bad).expect(2);
    }
    assert_eq!(life(&stored_token(&env)), Some(88));
}

#[test]
fn refresh_in_oss_local_mode_issues_whatever_the_environment_holds() {
    let env = TestEnv::new();
    env.run(local(&[])).expect(0);
    let foreign = foreign_token("alice", now(), 60);
    env.run(REFRESH).env("SIGILUM_OWNER_TOKEN", &foreign).expect(0);
    assert_ne!(stored_token(&env), foreign);
    let output = env
        .run(REFRESH.iter().chain(&["--owner-token-stdin"]))
        .stdin(foreign)
        .expect(2);
    // Where the flag alone says the mode, a login without it would ask the hosted Sigilum.
    assert_eq!(
        output.step(),
        "store this one with: sigilum-authz-notify auth login --mode oss-local --owner-token-stdin --namespace alice"
    );
}

#[test]
fn login_given_a_token_stores_that_one_in_either_mode() {
    for mode in ["managed", "oss-local"] {
        let env = TestEnv::new();
        let token = foreign_token("alice", now(), 3600);
        env.run(["login", "--mode", mode])
            .env("SIGILUM_OWNER_TOKEN", format!("{token}\n"))
            .expect(0);
        assert_eq!(stored_token(&env), token);
        assert!(!env.sigilum("local-api.sqlite").exists());
    }
}

/// A local token is signed here: nobody is sent to the hosted Sigilum for one.
#[test]
fn a_token_that_is_none_is_to_be_left_out_where_one_is_signed_here() {
    let env = TestEnv::new();
    let expired = foreign_token("alice", now() - 7200, 3600);
    for token in ["hunter2", "undefined", &expired] {
        let by_variable = env.login().env("SIGILUM_OWNER_TOKEN", token);
        let typed = env.login().args(["--owner-token-stdin"]).stdin(token);
        for (login, step) in [
            (by_variable, "unset SIGILUM_OWNER_TOKEN, and run the command again"),
            (typed, "leave out --owner-token-stdin, and run the command again"),
        ] {
            let output = login.expect(4);
            let next = format!("next: {step}: a token for a local API is signed here\n");
            assert!(output.stderr.ends_with(&next), "{}", output.stderr);
        }
    }
    env.login().expect(0);
}

#[test]
fn managed_mode_wants_a_token_and_says_how_to_get_one() {
    let env = TestEnv::new();
    for command in ["login", "refresh"] {
        let output = env.run(["auth", command, "--namespace", "alice"]).expect(4);
        assert!(
            output.stderr.contains("Managed mode requires an explicit owner JWT"),
            "{}",
            output.stderr
        );
        assert!(output.stderr.contains("https://sigilum.id"), "{}", output.stderr);
        assert!(output.stderr.contains("--owner-token-stdin"), "{}", output.stderr);
    }
    assert!(!env.openclaw().exists());
}

#[test]
fn a_token_file_that_is_no_regular_file_is_refused_and_not_waited_for() {
    let env = TestEnv::new();
    let pipe = env.home().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    // By a link: what is no token file would be replaced, and on a machine of root's that must not be a device.
    let device = env.home().join("device");
    std::os::unix::fs::symlink("/dev/null", &device).unwrap();
    for path in [&pipe, &device] {
        let login = env.login().args(["--token-file"]).args([path]);
        let login = login.under("timeout", ["20"]);
        let output = login.expect(2);
        assert!(
            output.stderr.contains("does not hold an owner token"),
            "{}",
            output.stderr
        );
    }
    assert!(device.is_symlink());
    assert!(!env.openclaw().exists());
}

#[test]
fn a_token_that_cannot_be_right_is_refused_and_changes_nothing() {
    let expired = foreign_token("alice", now() - 7200, 3600);
    let other = foreign_token("bob", now(), 3600);
    let cases = [
        ("", "it is empty"),
        ("not a token", "does not look like a token"),
        ("e30.e30.e30", "name no namespace"),
        ("e30.W10.e30", "not a JSON object"),
        (expired.as_str(), "it expired 1 h ago"),
        (other.as_str(), r#"for the namespace "bob", not "alice""#),
    ];
    for (token, why) in cases {
        let env = TestEnv::new();
        let output = env
            .run(["auth", "login", "--namespace", "alice", "--owner-token-stdin"])
            .stdin(token)
            .expect(4);
        assert!(output.stderr.contains(why), "{token}: {}", output.stderr);
        assert!(token.is_empty() || !output.stderr.contains(token), "{}", output.stderr);
        assert!(!env.openclaw().exists());
    }
}

#[test]
fn what_is_doubtful_about_a_token_is_a_warning() {
    let env = TestEnv::new();
    // {"namespace":"alice"}: no expiry, no issuer, no audience.
    let output = env
        .run(["login", "--owner-token-stdin"])
        .stdin("e30.eyJuYW1lc3BhY2UiOiJhbGljZSJ9.c2ln")
        .expect(0);
    for doubt in ["no expiry", "issuer", "audience"] {
        assert!(output.stderr.contains(doubt), "{doubt}: {}", output.stderr);
    }
    assert!(output.stdout.contains("never"), "{}", output.stdout);
}

#[test]
fn a_token_on_the_command_line_works_and_earns_a_warning() {
    let env = TestEnv::new();
    let token = foreign_token("alice", now(), 3600);
    let output = env
        .run(["login", "--owner-token", &token, "--print-token", "false"])
        .expect(0);
    assert!(
        output.stderr.contains("may be seen by other users"),
        "{}",
        output.stderr
    );
    assert!(!output.stderr.contains(&token) && !output.stdout.contains(&token));
    assert_eq!(stored_token(&env), token);
    env.run(["login", "--owner-token", &token, "--owner-token-stdin"])
        .expect(2);
}

#[test]
fn a_dry_run_prints_the_patch_and_writes_nothing() {
    let env = TestEnv::new();
    let output = env
        .run(local(&["--dry-run", "--json", "--enable-authz-notify", "true"]))
        .expect(0);
    let patch: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(patch[0]["op"], "add");
    assert_eq!(patch[0]["path"], "/hooks");
    assert!(output.stdout.contains("\"***\""), "{}", output.stdout);
    assert!(!env.openclaw().exists());

    let plan = env.run(local(&["--dry-run"])).expect(0).stdout;
    for part in [
        format!(
            "Token file:    would make {}",
            env.sigilum("owner-token-alice.jwt").display()
        ),
        format!(
            "Record:        would make {}",
            env.sigilum("owner-alice.json").display()
        ),
        format!("openclaw.json: would make {}", env.config().display()),
        "the hook is off and holds no token; to switch it on: sigilum-authz-notify hook install".to_owned(),
    ] {
        assert!(plan.contains(&part), "{part}\n{plan}");
    }
    assert!(!env.openclaw().exists());

    env.run(local(&["--enable-authz-notify", "true"])).expect(0);
    let files = |dir: &Path| std::fs::read_dir(dir).unwrap().count();
    let before = (read(env.config()), files(&env.openclaw()), files(&env.sigilum("")));
    let token = stored_token(&env);
    let output = env.run(local(&["--dry-run"])).expect(0);
    assert!(!output.stdout.contains(&token), "{}", output.stdout);
    let stands = "the token would stand in the token file and in openclaw.json";
    assert!(output.stdout.contains(stands), "{}", output.stdout);
    assert_eq!(
        before,
        (read(env.config()), files(&env.openclaw()), files(&env.sigilum("")))
    );
}

#[test]
fn a_broken_config_is_named_with_line_and_column_before_anything_changes() {
    let env = TestEnv::new();
    let text = "{\n  \"hooks\": {\n    oops\n}\n";
    env.write_config(text);
    let output = env.run(local(&[])).expect(3);
    assert!(output.stderr.contains("openclaw.json"), "{}", output.stderr);
    assert!(output.stderr.contains("line 4"), "{}", output.stderr);
    assert_eq!(read(env.config()), text);
    assert!(!env.sigilum("").exists());
    // Told to leave it alone, login does not look at it.
    env.run(local(&["--write-openclaw", "false"])).expect(0);
    assert_eq!(read(env.config()), text);
}

#[test]
fn a_read_only_config_is_left_alone_with_the_reason() {
    for name in ["OPENCLAW_CONFIG_READONLY", "OPENCLAW_NIX_MODE"] {
        let env = TestEnv::new();
        env.write_config("{}");
        let output = env.run(local(&[])).env(name, "1").expect(0);
        assert!(output.stdout.contains(name), "{}", output.stdout);
        assert_eq!(read(env.config()), "{}");
        assert!(env.sigilum("owner-token-alice.jwt").exists());
    }
}

#[test]
fn a_config_that_receives_a_token_becomes_private_and_says_so() {
    let env = TestEnv::new();
    env.write_config("{}");
    std::fs::set_permissions(env.config(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = env.run(local(&["--enable-authz-notify", "true"])).expect(0);
    assert_eq!(mode(env.config()), 0o600);
    assert!(output.stdout.contains("0600"), "{}", output.stdout);
}

#[test]
fn a_config_with_the_token_that_others_may_read_is_told() {
    let env = TestEnv::new();
    let on = ["--enable-authz-notify", "true"];
    env.run(local(&on)).expect(0);
    let token = stored_token(&env);
    let again = |told: bool| {
        let output = env.run(local(&["--owner-token-stdin"])).stdin(token.trim()).expect(0);
        assert!(output.stdout.contains("nothing to change"), "{}", output.stdout);
        assert_eq!(output.stdout.contains("chmod 600"), told, "{}", output.stdout);
    };
    again(false);
    std::fs::set_permissions(env.config(), std::fs::Permissions::from_mode(0o644)).unwrap();
    again(true);
    // A config without the token may be read by whoever likes.
    env.run(local(&["--enable-authz-notify", "false"])).expect(0);
    std::fs::set_permissions(env.config(), std::fs::Permissions::from_mode(0o644)).unwrap();
    again(false);
}

#[test]
fn the_file_that_was_edited_is_named_where_the_config_includes_it() {
    let env = TestEnv::new();
    env.write_config(r#"{"hooks": {"$include": "./hooks.json5"}}"#);
    let part = env.write(".openclaw/hooks.json5", "{ /* mine */ }");
    let part = std::fs::canonicalize(part).unwrap();
    let output = env.run(local(&["--enable-authz-notify", "true"])).expect(0);
    let updated = format!("openclaw.json: updated {}\n", part.display());
    assert!(output.stdout.contains(&updated), "{}", output.stdout);
    // The token is not in it.
    let output = env.run(["auth", "logout", "--namespace", "alice"]).expect(0);
    assert!(!output.stdout.contains("Took the token"), "{}", output.stdout);
    let output = env.run(["hook", "uninstall"]).expect(0);
    let taken = format!("Took our part out of {}\n", part.display());
    assert!(output.stdout.contains(&taken), "{}", output.stdout);
}

#[test]
fn comments_order_and_quotes_of_the_config_survive() {
    let env = TestEnv::new();
    let before = "// mine\r\n{\r\n\tgateway: {mode: 'local',}, // keep\r\n\thooks: {internal: {enabled: true, entries: {other: {enabled: true}}}},\r\n}\r\n";
    env.write_config(before);
    env.run(local(&["--enable-authz-notify", "true"])).expect(0);
    let after = read(env.config());
    for kept in [
        "// mine\r\n{\r\n\tgateway: {mode: 'local',}, // keep\r\n",
        "other: {enabled: true}",
        "}\r\n",
    ] {
        assert!(after.contains(kept), "{after}");
    }
    let value: Value = json5::from_str(&after).unwrap();
    assert_eq!(
        value["hooks"]["internal"]["entries"]["sigilum-authz-notify"]["enabled"],
        true
    );
}

#[test]
fn the_token_leaves_the_config_while_the_hook_is_off() {
    let env = TestEnv::new();
    env.run(local(&["--enable-authz-notify", "true"])).expect(0);
    assert!(entry(&env)["env"]["SIGILUM_OWNER_TOKEN"].is_string());
    env.run(local(&["--enable-authz-notify", "false"])).expect(0);
    assert_eq!(entry(&env)["enabled"], false);
    assert!(!read(env.config()).contains(&stored_token(&env)));
    env.run(local(&[])).expect(0);
    assert_eq!(entry(&env)["enabled"], false, "preserve touches nothing");
}

#[test]
fn with_token_in_config_false_the_token_stays_in_its_file() {
    let env = TestEnv::new();
    env.run(local(&["--enable-authz-notify", "true", "--token-in-config", "false"]))
        .expect(0);
    assert_eq!(json(env.sigilum("hook.json"))["token_in_config"], false);
    assert!(!read(env.config()).contains(&stored_token(&env)));
    let before = read(env.config());
    let inode = std::fs::metadata(env.config()).unwrap().ino();
    env.run(REFRESH).expect(0);
    assert_eq!(
        (read(env.config()), std::fs::metadata(env.config()).unwrap().ino()),
        (before, inode)
    );
}

#[test]
fn a_reference_in_the_entry_is_kept_and_said() {
    let env = TestEnv::new();
    env.write_config(
        r#"{"hooks":{"internal":{"enabled":true,"entries":{"sigilum-authz-notify":{"env":{"SIGILUM_OWNER_TOKEN":"${SIGILUM_OWNER_TOKEN}"}}}}}}"#,
    );
    let output = env.run(local(&[])).expect(0);
    assert_eq!(entry(&env)["env"]["SIGILUM_OWNER_TOKEN"], "${SIGILUM_OWNER_TOKEN}");
    assert!(output.stdout.contains("${"), "{}", output.stdout);
}

#[test]
fn logins_at_the_same_time_end_with_file_record_and_config_in_agreement() {
    let env = TestEnv::new();
    env.run(local(&["--enable-authz-notify", "true"])).expect(0);
    std::thread::scope(|scope| {
        for i in 0..8 {
            let env = &env;
            let ttl = (1000 + i).to_string();
            scope.spawn(move || env.run(local(&["--ttl-seconds", &ttl])).expect(0));
        }
    });
    let token = stored_token(&env);
    assert_eq!(entry(&env)["env"]["SIGILUM_OWNER_TOKEN"], token);
    let output = env.run(["auth", "status", "--json"]).expect(0);
    let status: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(status["config_has_same_token"], true);
}

#[test]
fn a_bad_api_url_is_refused_before_anything_changes() {
    for url in [
        "ftp://api.sigilum.id",
        "http://api.sigilum.id",
        "https://user:pw@api.sigilum.id",
        "nonsense",
        "http://127.0.0.1: 8787",
        "http://127.0.0.1:8787/a b",
        "http://127.0\t.0.1:8787",
        "",
    ] {
        let env = TestEnv::new();
        env.run(local(&["--api-url", url])).expect(2);
        assert!(!env.openclaw().exists(), "{url}");
    }
    let env = TestEnv::new();
    env.run(local(&["--api-url", "http://example.org"]))
        .env("SIGILUM_ALLOW_INSECURE_HTTP", "1")
        .expect(0);
}

#[test]
fn what_is_odd_about_an_api_url_is_said() {
    let another = "is plain http to another machine: the owner token can be read on the way";
    let letters = "has letters in its host that may only look like others; the host is xn--";
    for (url, says) in [
        ("http://192.0.2.1:8787", another),
        (
            "https://api.example.org/v1",
            "ends with /v1, which every request adds: https://api.example.org/v1/v1",
        ),
        (
            "https://api.example.org/base/v1/",
            "ends with /v1, which every request adds: https://api.example.org/base/v1/v1",
        ),
        // The first letter is Cyrillic; all of them are.
        ("https://\u{430}pi.sigilum.id", "the host is xn--pi-6kc.sigilum.id"),
        ("https://\u{440}\u{430}.example", letters),
        ("https://api.example.org/v10", ""),
        ("https://api.example.org", ""),
        ("http://127.0.0.1:9", ""),
    ] {
        let env = TestEnv::new();
        let login = env.run(local(&["--no-check", "--api-url", url]));
        let told = login.env("SIGILUM_ALLOW_INSECURE_HTTP", "1").expect(0).stderr;
        assert!(told.contains(says), "{url}: {told}");
        assert_eq!(
            told.contains("warning: the API URL "),
            !says.is_empty(),
            "{url}: {told}"
        );
    }
}

#[test]
fn blanks_around_an_api_url_are_not_kept() {
    const URL: &str = "http://127.0.0.1:9999";
    let plain = |env: &TestEnv| {
        let record = json(env.sigilum("owner-alice.json"));
        (record["api_url"] == URL, entry(env)["env"]["SIGILUM_API_URL"] == URL)
    };
    for given in [
        "http://127.0.0.1:9999 ",
        " http://127.0.0.1:9999/\n",
        "\thttp://127.0.0.1:9999// ",
    ] {
        for by_flag in [true, false] {
            let env = TestEnv::new();
            let login = match by_flag {
                true => env.run(local(&["--api-url", given])),
                false => env.run(local(&[])).env("SIGILUM_API_URL", given),
            };
            login.expect(0);
            assert_eq!(plain(&env), (true, true), "{given:?}");
            // What version 0.1.0 wrote is read without it.
            let file = env.sigilum("owner-alice.json");
            env.write(&file, read(&file).replace(URL, "http://127.0.0.1:9999 "));
            env.run(REFRESH).expect(0);
            assert_eq!(plain(&env), (true, true), "{given:?}");
        }
    }
}

#[test]
fn a_remembered_login_needs_no_options_again() {
    let env = TestEnv::new();
    let login = local(&["--api-url", "http://127.0.0.1:9999/", "--email", "alice@example.org"]);
    env.run(login).expect(0);
    env.run(["auth", "refresh"]).expect(0);
    let record = json(env.sigilum("owner-alice.json"));
    assert_eq!(record["api_url"], "http://127.0.0.1:9999");
    assert_eq!(record["email"], "alice@example.org");
    assert_eq!(says(&stored_token(&env)).email.as_deref(), Some("alice@example.org"));
    // Whom the database has is found, not changed: that is said, and the record says what the token does.
    let told =
        "note: the owner of alice is in the database with the e-mail alice@example.org, and keeps it: --email changes";
    let output = env.run(local(&["--email", "other@example.org"])).expect(0);
    assert_eq!(output.stderr.matches(told).count(), 1, "{}", output.stderr);
    assert_eq!(json(env.sigilum("owner-alice.json"))["email"], "alice@example.org");
    assert_eq!(says(&stored_token(&env)).email.as_deref(), Some("alice@example.org"));
    let output = env.run(local(&["--email", "alice@example.org"])).expect(0);
    assert!(!output.stderr.contains("keeps it"), "{}", output.stderr);
}

#[test]
fn a_token_file_elsewhere_is_used_and_remembered() {
    let env = TestEnv::new();
    let path = env.home().join("mine").join("token");
    env.run(local(&["--token-file", path.to_str().unwrap()])).expect(0);
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    assert!(!env.sigilum("owner-token-alice.jwt").exists());
    let shown = env.run(["auth", "show", "--namespace", "alice"]).expect(0);
    assert_eq!(shown.stdout, read(&path));
}

/// A path that is another home's default is a choice here, also after the home has moved.
#[test]
fn another_homes_token_file_is_recorded_as_it_was_typed() {
    let env = TestEnv::new();
    let path = env.home().join("other/.sigilum/owner-token-alice.jwt");
    let database = env.home().join("other/.sigilum/local-api.sqlite");
    let typed = [
        "--token-file",
        path.to_str().unwrap(),
        "--api-db",
        database.to_str().unwrap(),
    ];
    let login = env
        .run(local(&typed))
        .env("JWT_SECRET", "0123456789abcdef0123456789abcdef");
    login.expect(0);
    assert!(path.exists() && database.exists());
    let record = json(env.sigilum("owner-alice.json"));
    assert_eq!(
        (&record["token_file"], &record["api_db"]),
        (&path.to_str().into(), &database.to_str().into())
    );
    let moved = env.home().join("moved");
    std::fs::rename(env.openclaw(), &moved).unwrap();
    let there = ["--openclaw-home", moved.to_str().unwrap(), "--namespace", "alice"];
    let shown = env.run(["auth", "show"]).args(there).expect(0);
    assert_eq!(shown.stdout, read(&path));
    env.run(["auth", "logout"]).args(there).expect(0);
    assert!(!path.exists());
}

/// What a home records of itself, as each version wrote it.
#[test]
fn a_copied_home_acts_on_itself() {
    let env = TestEnv::new();
    env.run(local(&[])).expect(0);
    let original = env.openclaw();
    for version in ["0.1.0", "now"] {
        if version == "0.1.0" {
            let mut record = json(env.sigilum("owner-alice.json"));
            record.as_object_mut().unwrap().remove("format");
            for (field, name) in [("token_file", "owner-token-alice.jwt"), ("api_db", "local-api.sqlite")] {
                record[field] = env.sigilum(name).to_str().unwrap().into();
            }
            env.write(".openclaw/.sigilum/owner-alice.json", record.to_string());
        } else {
            env.run(local(&[])).expect(0);
        }
        let before = stored_token(&env);
        let copy = env.home().join(format!("copy-{version}"));
        let copied = std::process::Command::new("cp")
            .arg("-a")
            .args([&original, &copy])
            .status();
        assert!(copied.unwrap().success());
        let there = ["--openclaw-home", copy.to_str().unwrap()];
        env.run(["auth", "refresh", "--ttl-seconds", "1000"])
            .args(there)
            .expect(0);
        let copys_token = read(copy.join(".sigilum/owner-token-alice.jwt"));
        assert_ne!(copys_token.trim(), before);
        env.run(["auth", "logout"]).args(there).expect(0);
        assert!(!copy.join(".sigilum/owner-token-alice.jwt").exists());
        assert_eq!(stored_token(&env), before, "{version}");
        let owner: i64 = rusqlite::Connection::open(env.sigilum("local-api.sqlite"))
            .unwrap()
            .query_row("SELECT count(*) FROM users", [], |row| row.get(0))
            .unwrap();
        assert_eq!(owner, 1);
    }
}

#[test]
fn a_file_that_holds_no_token_is_not_taken_for_the_token_file() {
    let env = TestEnv::new();
    let path = env.write("precious", "years of work\n");
    let named = ["--token-file", path.to_str().unwrap()];
    let output = env.run(local(&named)).expect(2);
    assert!(
        output.stderr.contains("precious") && output.stderr.contains("--force"),
        "{}",
        output.stderr
    );
    assert_eq!(read(&path), "years of work\n");
    assert!(!env.openclaw().exists());
    env.run(local(&[named[0], named[1], "--force"])).expect(0);
    env.run(local(&named)).expect(0);
    assert_eq!(says(read(&path).trim()).namespace, "alice");
}

#[test]
fn a_record_that_cannot_be_read_is_replaced_by_login_and_removed_by_logout() {
    let env = TestEnv::new();
    for command in [&LOCAL[..], &["auth", "logout", "--namespace", "alice"]] {
        env.write(".openclaw/.sigilum/owner-alice.json", r#"{"mode":5}"#);
        let output = env.run(["auth", "show", "--namespace", "alice"]).expect(1);
        assert!(output.stderr.contains("next: rm "), "{}", output.stderr);
        env.run(command).expect(0);
        assert!(std::fs::read(env.sigilum("owner-alice.json")).is_ok_and(|text| text.len() > 20) || command.len() == 4);
    }
    assert!(!env.sigilum("owner-alice.json").exists());
}

#[test]
fn after_a_lost_undo_record_an_uninstall_gives_no_live_token_back() {
    let env = TestEnv::new();
    env.run(local(&["--enable-authz-notify", "true"])).expect(0);
    let first = stored_token(&env);
    env.write(".openclaw/.sigilum/undo.json", "{\"x");
    env.run(local(&["--ttl-seconds", "50"])).expect(0);
    env.run(["hook", "uninstall"]).output();
    let config = std::fs::read_to_string(env.config()).unwrap_or_default();
    assert!(
        !config.contains(&first) && !config.contains(&stored_token(&env)),
        "{config}"
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error_to_tell() {
    let env = TestEnv::new();
    env.run(local(&[])).expect(0);
    let mut command = env.run(["auth", "status"]).into_command();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command
        .stdout(writer)
        .stderr(std::process::Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// As OpenClaw does: its strings may hold what ours cannot, and beside it the signs of an icon font.
#[test]
fn half_of_a_surrogate_pair_stays_through_every_command() {
    let env = TestEnv::new();
    let theirs = "{ui: {name: 'cut \\ud83d', icon: '\u{ea60}'}, /* theirs */ agents: {a: '\\udc00'}}";
    env.write_config(theirs);
    let on = ["--enable-authz-notify", "true"];
    let commands: [&[&str]; 6] = [
        &["hook", "install"],
        &["auth", "refresh", "--print-token=false", "--ttl-seconds", "5000"],
        &["watch", "--once"],
        &["auth", "status"],
        &["hook", "status"],
        &["auth", "logout"],
    ];
    env.run(local(&on)).expect(0);
    for command in commands {
        env.run(command).env("PATH", "").output();
        let config = read(env.config());
        for part in [
            "ui: {name: 'cut \\ud83d', icon: '\u{ea60}'}, /* theirs */",
            "agents: {a: '\\udc00'",
        ] {
            assert!(config.contains(part), "{command:?}: {config}");
        }
        let holds = config.contains("SIGILUM_OWNER_TOKEN: 'ey");
        assert_eq!(holds, command != ["auth", "logout"], "{command:?}: {config}");
    }
}
