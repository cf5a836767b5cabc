//! `auth show`, `auth status` and `auth logout`.

use crate::env;

use env::{TestEnv, mode, now};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sigilum_authz_notify::token::claims::{self, Claims};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

fn token(namespace: &str, iat: i64, ttl: u64) -> String {
    let claims = Claims::new("user_1", "a@example.org", namespace, iat, ttl);
    claims::mint(&claims, &"secret".into())
        .unwrap()
        .expose_secret()
        .to_owned()
}

fn login(env: &TestEnv) -> String {
    env.run([
        "login",
        "--mode",
        "oss-local",
        "--namespace",
        "alice",
        "--enable-authz-notify",
        "true",
        "--token-only",
    ])
    .expect(0)
    .stdout
    .trim_end()
    .to_owned()
}

/// A home in which somebody has logged in as alice with this token.
fn logged_in_with(token: &str) -> TestEnv {
    let env = TestEnv::new();
    let record = r#"{"mode":"managed","api_url":"https://api.sigilum.id","email":"alice@example.org"}"#;
    env.write(".openclaw/.sigilum/owner-alice.json", record);
    env.write(".openclaw/.sigilum/owner-token-alice.jwt", token);
    env
}

fn status(env: &TestEnv, code: i32) -> Value {
    let output = env
        .run(["auth", "status", "--json", "--namespace", "alice"])
        .expect(code);
    serde_json::from_str(&output.stdout).unwrap()
}

/// Whatever is wrong with the file, it gives no token: as `auth status` and `doctor` say.
#[test]
fn a_token_file_that_does_not_count_is_no_token_to_show() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let spoil: [fn(&std::path::Path); 3] = [
        |file| std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o666)).unwrap(),
        |file| {
            std::fs::rename(file, file.with_extension("was")).unwrap();
            symlink(file.with_extension("was"), file).unwrap();
        },
        |file| {
            std::fs::remove_file(file).unwrap();
            std::fs::create_dir(file).unwrap();
        },
    ];
    for spoil in spoil {
        let env = TestEnv::new();
        env.login().expect(0);
        spoil(&env.sigilum("owner-token-alice.jwt"));
        let shown = env.run(["auth", "show"]).expect(4);
        assert_eq!(shown.stdout, "");
        assert!(shown.stderr.contains("\n  next: "), "{}", shown.stderr);
        env.run(["auth", "status"]).expect(4);
    }
}

#[test]
fn the_state_follows_the_tokens_life() {
    let now = now();
    let cases = [
        (token("alice", now, 3600), "not_expired", 0),
        (token("alice", now - 3000, 3600), "due", 0),
        (token("alice", now - 3600, 3600), "expired", 4),
        (token("bob", now, 3600), "invalid", 4),
        ("garbage".to_owned(), "invalid", 4),
        (" \n".to_owned(), "missing", 4),
    ];
    for (token, state, code) in cases {
        let env = logged_in_with(&token);
        let seen = status(&env, code);
        assert_eq!(seen["state"], state);
        assert_eq!(seen["config_has_same_token"], false);
        assert!(!seen.to_string().contains(token.trim()) || token.trim().is_empty());
    }
    assert_eq!(status(&TestEnv::new(), 4)["state"], "missing");
}

#[test]
fn a_token_from_another_time_is_named_and_due() {
    let (now, week) = (now(), 604_860);
    let milliseconds = "the token's times (iat, exp) are in milliseconds";
    let future = "the token's issue time (iat) is in the future";
    // iat, exp; what is said of it, and of when it expires
    let cases = [
        (now, (now + week) * 1000, milliseconds, "Expires:       not known: "),
        (
            now * 1000,
            (now + week) * 1000,
            milliseconds,
            "Expires:       not known: ",
        ),
        (now + 315_576_000, now + 315_576_000 + week, future, "(in 3659 d"),
        (now + 400, now + week, future, "(in 7 d)"),
        (now, now + 330_000_000, "the token lives for over ten years", "(in 38"),
        (
            i64::MIN,
            i64::MAX,
            "the token's times (iat, exp) are no dates",
            "Expires:       not known: ",
        ),
        (i64::MIN, now + week, "the token lives for over ten years", "(in 7 d)"),
    ];
    for (iat, exp, doubt, expiry) in cases {
        let env = TestEnv::new();
        let token = env::api::token("s", json!({"namespace": "alice", "iat": iat, "exp": exp}));
        let output = env
            .run(["login", "--owner-token-stdin", "--print-token", "false"])
            .stdin(token)
            .expect(0);
        assert!(
            output.stderr.contains(&format!("warning: {doubt}")),
            "{}",
            output.stderr
        );
        assert!(output.stdout.contains(expiry), "{}", output.stdout);
        let seen = status(&env, 0);
        assert_eq!(seen["state"], "due");
        assert!(seen["doubts"].to_string().contains(doubt), "{seen}");
        assert_eq!(seen["expires_at"].is_null(), expiry.contains("not known"), "{seen}");
        let text = env.run(["auth", "status"]).expect(0).stdout;
        assert!(text.contains(doubt) && text.contains(expiry), "{text}");
    }
    // The ends of what a number can be.
    for (iat, exp) in [(now, i64::MIN), (i64::MAX, i64::MIN)] {
        let env = TestEnv::new();
        let token = env::api::token("s", json!({"namespace": "alice", "iat": iat, "exp": exp}));
        env.run(["login", "--owner-token-stdin"]).stdin(token.clone()).expect(4);
        assert_eq!(status(&logged_in_with(&token), 4)["state"], "expired");
    }
}

#[test]
fn a_token_that_is_not_signed_or_not_valid_yet_is_named() {
    const NONE: &str = "eyJhbGciOiJub25lIn0";
    let told = |env: &TestEnv, command: &[&str], code| {
        let output = env.run(command).args(["--namespace", "alice"]).expect(code);
        output.stdout + &output.stderr
    };
    let log_in = |token: &str, code| {
        let env = TestEnv::new();
        let login = env.run(["login", "--owner-token-stdin", "--print-token", "false"]);
        (login.stdin(token.to_owned()).expect(code).stderr, env)
    };
    let signed = token("alice", now(), 3600);
    let [header, claims, signature] = signed.split('.').collect::<Vec<_>>()[..] else {
        panic!("{signed}")
    };
    for (unsigned, is_whole) in [
        (format!("{NONE}.{claims}."), true),
        (format!("{NONE}.{claims}.{signature}"), true),
        // Of this one a login says that its end is missing.
        (format!("{header}.{claims}."), false),
    ] {
        if is_whole {
            let (refused, env) = log_in(&unsigned, 4);
            assert!(refused.contains(": it is not signed, and no API takes"), "{refused}");
            assert!(!env.openclaw().exists());
        }
        let env = logged_in_with(&unsigned);
        assert_eq!(status(&env, 4)["state"], "invalid");
        for command in [&["auth", "show"][..], &["auth", "status"], &["doctor"]] {
            let told = told(&env, command, 4);
            assert!(told.contains("it is not signed, and no API takes"), "{told}");
        }
    }
    let begins = |nbf: i64, exp: i64| {
        let claims = json!({"namespace": "alice", "nbf": now() + nbf, "exp": now() + exp});
        env::api::token("s", claims)
    };
    let (warned, env) = log_in(&begins(7_200, 9_000), 0);
    let says = "warning: the token is not valid (nbf) for another ";
    assert!(warned.contains(says), "{warned}");
    assert!(told(&env, &["auth", "status"], 0).contains("the token is not valid (nbf)"));
    assert!(told(&env, &["doctor"], 1).contains("warn  token        alice: the token is not valid (nbf)"));
    let shown = told(&env, &["auth", "show"], 4);
    assert!(
        shown.contains("warning: this token is not valid for another "),
        "{shown}"
    );
    let (refused, _) = log_in(&begins(9_000, 9_000), 4);
    assert!(refused.contains(": it is never valid, as it expires"), "{refused}");
    // Clocks differ a little.
    let (warned, env) = log_in(&begins(200, 9_000), 0);
    assert!(!warned.contains("not valid"), "{warned}");
    told(&env, &["auth", "show"], 0);
}

#[test]
fn a_refresh_does_not_take_over_a_life_that_no_token_may_have() {
    for exp in [now() * 1000, now() + 330_000_000] {
        let env = TestEnv::new();
        login(&env);
        let secret = std::fs::read_to_string(env.sigilum("jwt-secret")).unwrap();
        let odd = env::api::token(secret.trim(), json!({"namespace": "alice", "exp": exp}));
        env.write(".openclaw/.sigilum/owner-token-alice.jwt", odd);
        env.run(["auth", "refresh"]).expect(0);
        let seen = status(&env, 0);
        assert_eq!((&seen["state"], &seen["doubts"]), (&json!("not_expired"), &json!([])));
        assert!(seen["remaining_seconds"].as_i64().unwrap() > 604_700, "{seen}");
    }
}

#[test]
fn show_prints_what_is_stored_and_says_where_that_is_no_token_to_use() {
    let now = now();
    let next = "next: sigilum-authz-notify auth login --mode managed --namespace alice";
    let cases = [
        (token("alice", now, 3600), 0, ""),
        (
            token("alice", now - 11_000, 3600),
            4,
            "warning: this token expired 2 h 3 min ago\n  next: ",
        ),
        (token("alice", now - 3600, 3600), 4, "warning: this token expired "),
        (
            token("bob", now, 3600),
            4,
            "warning: this token is for another namespace, bob",
        ),
        (
            token("alice", now * 1000, 3_600_000),
            0,
            "warning: the token's times (iat, exp) are in milliseconds",
        ),
        (
            token("alice", now + 7200, 3600),
            0,
            "warning: the token's issue time (iat) is in the future",
        ),
        (
            "garbage".to_owned(),
            4,
            "warning: this is no owner token: it does not look like a token",
        ),
    ];
    for (stored, code, says) in cases {
        let env = TestEnv::new();
        env.write(".openclaw/.sigilum/owner-token-alice.jwt", format!("{stored}\n"));
        let output = env.run(["auth", "show", "--namespace", "alice"]).expect(code);
        assert_eq!(output.stdout, format!("{stored}\n"));
        assert!(!output.stderr.contains("eyJ"), "{}", output.stderr);
        assert!(output.stderr.contains(says), "{says}: {}", output.stderr);
        assert_eq!(output.stderr.contains(next), !says.is_empty(), "{}", output.stderr);
    }
}

#[test]
fn what_others_may_read_is_told_by_every_status_and_mended_by_the_next_command_that_writes() {
    let open = |path: &Path| std::fs::set_permissions(path, PermissionsExt::from_mode(0o644)).unwrap();
    let env = TestEnv::new();
    let elsewhere = env.home().join("tokens/alice");
    env.login()
        .args(["--token-file", elsewhere.to_str().unwrap()])
        .args(["--enable-authz-notify", "true"])
        .expect(0);
    env.run(["service", "add", "--service-slug", "linear", "--namespace", "alice"])
        .expect(0);
    let key = env.openclaw().join(".sigilum-workspace/service-api-key-linear");
    let other = env.write(".openclaw/.sigilum-workspace/notes", "no secret");
    let ours = ["owner-alice.json", "jwt-secret", "undo.json"].map(|name| env.sigilum(name));
    let secrets = [&ours[..], &[elsewhere.clone(), key.clone(), env.config()]].concat();
    let told = || {
        let json = env.run(["auth", "status", "--json"]).expect(0).stdout;
        let json: Value = serde_json::from_str(&json).unwrap();
        let mut told: Vec<String> = serde_json::from_value(json["readable_by_others"].clone()).unwrap();
        for command in ["auth", "hook"] {
            let text = env.run([command, "status"]).output().stdout;
            for path in &secrets {
                let line = format!(
                    "Problem:       others may read this file (mode 0644): {0}\n               next: chmod 600 {0}\n",
                    path.display()
                );
                assert_eq!(
                    text.contains(&line),
                    told.iter().any(|told| Path::new(told) == path),
                    "{text}"
                );
            }
        }
        told.sort();
        told
    };
    let paths = |paths: &[PathBuf]| {
        let mut paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        paths.sort();
        paths
    };
    assert_eq!(told(), paths(&[]));
    secrets.iter().for_each(|path| open(path));
    open(&other);
    assert_eq!(told(), paths(&secrets));
    // A command that looks changes nothing.
    env.run(["auth", "show"]).expect(0);
    assert_eq!(told(), paths(&secrets));
    // Another one mends what lies beside that which it writes.
    env.run(["service", "add", "--service-slug", "mail", "--namespace", "alice"])
        .expect(0);
    assert_eq!(mode(&key), 0o600);
    env.run(["auth", "refresh", "--ttl-seconds", "5000"]).expect(0);
    assert_eq!(told(), paths(&[]));
    assert_eq!(mode(&other), 0o644);
    // Nor is one without a namespace silent.
    let env = TestEnv::new();
    open(&env.write(".openclaw/.sigilum/jwt-secret", "secret\n"));
    let status = env.run(["hook", "status"]).env("USER", "").output().stdout;
    assert!(status.contains("others may read this file (mode 0644)"), "{status}");
}

#[test]
fn status_tells_where_things_come_from_and_until_when() {
    let env = TestEnv::new();
    let token = login(&env);
    let seen = status(&env, 0);
    assert_eq!(seen["namespace"], "alice");
    assert_eq!(seen["namespace_from"], "--namespace");
    assert_eq!(
        seen["token_file"],
        env.sigilum("owner-token-alice.jwt").to_str().unwrap()
    );
    assert_eq!(seen["config_has_same_token"], true);
    assert!(
        (604_700..=604_800).contains(&seen["remaining_seconds"].as_i64().unwrap()),
        "{seen}"
    );
    let text = env.run(["auth", "status"]).expect(0).stdout;
    for part in [
        "alice",
        "not expired",
        "Expires:",
        "holds the same token",
        "Watcher:       none",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains(&token));
    assert_eq!(env.run(["auth", "show"]).expect(0).stdout.trim_end(), token);
}

#[test]
fn login_and_status_say_why_the_config_holds_no_token() {
    let env = TestEnv::new();
    let login = ["login", "--mode", "oss-local", "--namespace", "alice"];
    let says = |args: &[&str], login_says: &str, status_says: &str| {
        let output = env.run([&login[..], args].concat()).expect(0).stdout;
        assert_eq!(output.contains("the hook is off"), !login_says.is_empty(), "{output}");
        assert!(output.contains(login_says), "{output}");
        let output = env.run(["auth", "status"]).expect(0).stdout;
        assert!(output.contains(&format!("openclaw.json: {status_says}\n")), "{output}");
    };
    says(
        &[],
        "sigilum-authz-notify hook install",
        "holds no token: the hook is off",
    );
    says(&["--enable-authz-notify", "true"], "", "holds the same token");
    says(
        &["--token-in-config", "false"],
        "",
        "holds no token: the hook reads the token's file",
    );
}

#[test]
fn a_path_that_leads_nowhere_is_told_with_a_next_step() {
    let env = TestEnv::new();
    let crooked = env.home().join("none/../token");
    let none = env.home().join("none");
    let file = env.write("file", "");
    for (flag, path) in [
        ("--token-file", crooked),
        ("--source-home", none),
        ("--openclaw-home", file),
    ] {
        let output = env
            .run(["login", "--mode", "oss-local", "--namespace", "alice", flag])
            .args([path])
            .output();
        assert_ne!(output.code, 0);
        assert!(output.stderr.contains("\n  next: "), "{}", output.stderr);
    }
}

/// No record of the login is left, and here no entry either: the home has what it signed tokens with.
#[test]
fn after_a_logout_the_login_that_is_advised_is_that_of_the_home() {
    const LOG_IN: &str = "sigilum-authz-notify auth login --mode oss-local --namespace alice";
    let commands: [&[&str]; 6] = [
        &["doctor"],
        &["auth", "status"],
        &["auth", "show"],
        &["auth", "refresh"],
        &["authz", "list"],
        &["hook", "run", "--event", "command:new"],
    ];
    for write_openclaw in ["true", "false"] {
        let env = TestEnv::new();
        env.login().args(["--write-openclaw", write_openclaw]).expect(0);
        env.run(["auth", "logout"]).expect(0);
        for command in commands {
            let output = env.run(command).output();
            let told = output.stdout + &output.stderr;
            assert!(
                told.contains(LOG_IN) && !told.contains("--mode managed"),
                "{command:?}: {told}"
            );
        }
        env.run(LOG_IN.split(' ').skip(1))
            .args(["--print-token", "false"])
            .expect(0);
        env.run(["auth", "show"]).expect(0);
    }
}

#[test]
fn logout_leaves_no_token_anywhere_that_is_ours() {
    let env = TestEnv::new();
    let first = login(&env);
    let second = env
        .run(["auth", "refresh", "--token-only", "--ttl-seconds", "5000"])
        .expect(0)
        .stdout;
    let output = env.run(["auth", "logout"]).expect(0);
    assert!(output.stdout.contains("owner-token-alice.jwt"), "{}", output.stdout);
    assert!(!env.sigilum("owner-token-alice.jwt").exists());
    assert!(!env.sigilum("owner-alice.json").exists());
    let files = std::fs::read_dir(env.sigilum(""))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    for file in files.chain([env.config()]) {
        let bytes = std::fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            !text.contains(&first) && !text.contains(second.trim_end()),
            "{}",
            file.display()
        );
    }
    // Twice is no error, and said.
    let output = env.run(["auth", "logout", "--namespace", "alice"]).expect(0);
    assert!(
        output.stdout.contains("no token and no record of alice"),
        "{}",
        output.stdout
    );
    env.run(["auth", "show", "--namespace", "alice"]).expect(4);
}

#[test]
fn a_logout_of_whom_is_meant_without_doubt_is_done_beside_a_hooks_record_that_is_broken() {
    for named in [&["--namespace", "alice"][..], &[]] {
        let env = TestEnv::new();
        login(&env);
        env.write(".openclaw/.sigilum/hook.json", "{broken");
        let shown = env.run(["auth", "show"]).args(named).expect(0);
        assert_eq!(Some(shown.stdout.trim()), env.stored().as_deref());
        let output = env.run(["auth", "logout"]).args(named).expect(0);
        for told in [&shown.stderr, &output.stderr] {
            assert_eq!(
                told.matches("warning: could not read the hook's record").count(),
                1,
                "{told}"
            );
            assert!(told.contains("next: rm "), "{told}");
        }
        assert!(!env.sigilum("owner-token-alice.jwt").exists());
    }
    // Of two nobody knows which.
    let env = TestEnv::new();
    login(&env);
    env.write(".openclaw/.sigilum/owner-token-bob.jwt", "x");
    env.write(".openclaw/.sigilum/hook.json", "{broken");
    env.run(["auth", "logout"]).expect(1);
    assert!(env.sigilum("owner-token-alice.jwt").exists());
}

/// What stands in the config is damaged in our own entry.
#[test]
fn a_logout_beside_an_entry_that_is_none_is_done_and_warns() {
    let env = TestEnv::new();
    login(&env);
    let entries = json!({"sigilum-authz-notify": {"env": {"SIGILUM_OWNER_TOKEN": 5}}});
    let config = json!({"hooks": {"internal": {"entries": entries}}});
    env.write_config(config.to_string());
    let output = env.run(["auth", "logout", "--namespace", "alice"]).expect(0);
    let says = "warning: the token may still stand in openclaw.json: ";
    assert!(output.stderr.contains(says), "{}", output.stderr);
    assert!(!env.sigilum("owner-token-alice.jwt").exists());
    assert!(!env.sigilum("owner-alice.json").exists());
}

#[test]
fn logout_takes_the_token_away_and_says_once_what_is_wrong_with_the_config() {
    let env = TestEnv::new();
    login(&env);
    env.write_config("{ hooks: [");
    let output = env.run(["auth", "logout"]).expect(0);
    assert_eq!(
        output.stderr.matches("could not use the config").count(),
        1,
        "{}",
        output.stderr
    );
    assert!(
        output.stderr.contains("the token may still stand in openclaw.json"),
        "{}",
        output.stderr
    );
    assert!(!env.sigilum("owner-token-alice.jwt").exists() && !env.sigilum("owner-alice.json").exists());
}

#[test]
fn logout_scrubs_a_token_that_was_there_before_our_first_write() {
    let env = TestEnv::new();
    let old = token("alice", now(), 900);
    env.write_config(format!(
        r#"{{"hooks":{{"internal":{{"enabled":true,"entries":{{"sigilum-authz-notify":{{"enabled":true,"env":{{"SIGILUM_OWNER_TOKEN":"{old}"}}}}}}}}}}}}"#
    ));
    // That token is in force, and not signed with our secret.
    env.login().args(["--enable-authz-notify", "true", "--force"]).expect(0);
    env.run(["auth", "logout"]).expect(0);
    for file in std::fs::read_dir(env.sigilum(""))
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        assert!(
            !String::from_utf8_lossy(&std::fs::read(&file).unwrap()).contains(&old),
            "{}",
            file.display()
        );
    }
}

#[test]
fn logout_leaves_the_token_of_another_namespace_alone() {
    let env = TestEnv::new();
    let token = login(&env);
    let before = std::fs::read(env.config()).unwrap();
    let output = env.run(["auth", "logout", "--namespace", "bob"]).expect(0);
    assert!(output.stdout.contains("another namespace, alice"), "{}", output.stdout);
    assert_eq!(std::fs::read(env.config()).unwrap(), before);
    assert_eq!(env.run(["auth", "show"]).expect(0).stdout.trim_end(), token);
}

/// Two logins with one token file: neither takes the other's token away unasked.
#[test]
fn a_token_file_with_the_token_of_another_namespace_is_kept() {
    let env = TestEnv::new();
    let file = env.sigilum("shared.jwt");
    let log_in = |namespace: &str| {
        let login = [
            "auth",
            "login",
            "--mode",
            "oss-local",
            "--print-token",
            "false",
            "--namespace",
            namespace,
        ];
        env.run(login).args(["--token-file".as_ref(), file.as_os_str()])
    };
    let whose = || {
        claims::inspect(&std::fs::read_to_string(&file).unwrap().trim().into())
            .unwrap()
            .namespace
    };
    log_in("alice").expect(0);
    log_in("alice").expect(0);
    let refused = log_in("bob").expect(2);
    let says = "error: could not use the token file, it holds the token of another namespace, alice, which expires 20";
    assert!(refused.stderr.contains(says), "{}", refused.stderr);
    assert!(whose() == "alice" && !env.sigilum("owner-bob.json").exists());
    assert_eq!(
        refused.step(),
        "name a file of its own with --token-file, or lose that token with --force"
    );
    log_in("bob").args(["--force"]).expect(0);
    assert_eq!(whose(), "bob");

    // Each step for alice leads to a file of hers.
    let switch = env.run(["auth", "switch", "alice"]).expect(0);
    let own = format!(" --token-file {}", env.sigilum("owner-token-alice.jwt").display());
    for told in [
        &switch,
        &env.run(["auth", "status"]).output(),
        &env.run(["doctor"]).output(),
    ] {
        assert!(format!("{}{}", told.stdout, told.stderr).contains(&own), "{told:?}");
    }
    env.shell(switch.step()).expect(0);
    assert_eq!((env.run(["auth", "show"]).expect(0).code, whose().as_str()), (0, "bob"));
    std::fs::remove_file(env.sigilum("owner-token-alice.jwt")).unwrap();
    log_in("alice").args(["--force"]).expect(0);
    log_in("bob").args(["--force"]).expect(0);

    let out = env.run(["auth", "logout", "--namespace", "alice"]).expect(0).stdout;
    let left = format!(
        "{} holds a token of another namespace, bob: left alone\n",
        file.display()
    );
    assert!(out.contains(&left), "{out}");
    assert!(!out.contains(&format!("Removed {}", file.display())), "{out}");
    assert!(whose() == "bob" && !env.sigilum("owner-alice.json").exists());
    // The step, in both its ways; and bob's former file is not bob's any more.
    log_in("alice").expect(2);
    log_in("alice").args(["--force"]).expect(0);
    let refresh = ["auth", "refresh", "--print-token", "false", "--namespace", "bob"];
    assert_eq!(env.run(refresh).expect(2).step(), refused.step());
    let own = env.home().join("own.jwt");
    env.run(refresh)
        .args(["--token-file".as_ref(), own.as_os_str()])
        .expect(0);
    assert!(own.exists() && whose() == "alice");
    // One that has expired is no loss.
    std::fs::write(&file, token("bob", now() - 7200, 3600)).unwrap();
    log_in("alice").expect(0);
    assert_eq!(whose(), "alice");
    env.run(["auth", "logout", "--namespace", "alice"]).expect(0);
    assert!(!file.exists());
}

#[test]
fn logout_removes_no_file_that_holds_no_token() {
    let env = TestEnv::new();
    login(&env);
    let before = std::fs::read(env.config()).unwrap();
    let notes = env.write("notes.txt", "not a token\n");
    // The jwt-secret is in our own folder, and no token all the same.
    for path in [&notes, &env.sigilum("jwt-secret")] {
        let path = path.to_str().unwrap();
        let content = std::fs::read(path).unwrap();
        let output = env
            .run(["auth", "logout", "--namespace", "alice", "--token-file", path])
            .expect(2);
        assert!(output.stderr.contains(path), "{}", output.stderr);
        let login = [
            "login",
            "--mode",
            "oss-local",
            "--namespace",
            "alice",
            "--token-file",
            path,
        ];
        env.run(login).expect(2);
        assert_eq!(std::fs::read(path).unwrap(), content);
        assert_eq!(std::fs::read(env.config()).unwrap(), before);
    }
    let notes = notes.to_str().unwrap();
    env.run(["auth", "logout", "--token-file", notes, "--force"]).expect(0);
    assert!(!std::path::Path::new(notes).exists());
}

#[test]
fn a_config_that_cannot_be_read_is_told_once() {
    let env = TestEnv::new();
    env.login().expect(0);
    env.write_config("{ broken");
    let output = env.run(["auth", "status", "--namespace", "alice"]).expect(3);
    assert!(
        output
            .stderr
            .contains("what OpenClaw thinks of it: openclaw config validate"),
        "{}",
        output.stderr
    );
    assert_eq!(
        output.stderr.matches("could not use the config").count(),
        1,
        "{}",
        output.stderr
    );
    assert!(
        output.stdout.contains("openclaw.json: cannot be read\n"),
        "{}",
        output.stdout
    );
    let output = env.run(["hook", "status", "--namespace", "alice"]).expect(3);
    assert_eq!(
        (
            output.stderr.as_str(),
            output.stdout.matches("could not use the config").count()
        ),
        ("", 1)
    );
    let json = env
        .run(["auth", "status", "--json", "--namespace", "alice"])
        .expect(3)
        .stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    let faults = json["findings"].as_array().unwrap().iter();
    let faults: Vec<_> = faults.filter(|finding| finding["state"] == "fail").collect();
    assert_eq!((faults.len(), &faults[0]["check"]), (1, &json!("config")), "{json}");
}

/// The worst of two faults gives the code, with a login and without one.
#[test]
fn a_config_that_cannot_be_read_is_worse_than_a_token_that_is_missing() {
    for broken in ["{ a: 1 b: 2 }", r#"{"hooks":{},"hooks":{}}"#] {
        let env = TestEnv::new();
        env.write_config(broken);
        for words in [
            &["auth", "status"][..],
            &["auth", "status", "--json"],
            &["hook", "status"],
            &["doctor"],
        ] {
            let said = env.run(words).env("USER", "").env("LOGNAME", "").expect(3);
            assert_eq!(
                said.stderr.matches("nobody is logged in, and no").count() > 0,
                words[0] == "auth",
                "{said:#?}"
            );
        }
    }
}

/// Whose token is missing is said of whom it is, and what cannot be known is left for the login to ask.
#[test]
fn a_missing_token_is_told_of_whom_it_is_and_no_guess_becomes_a_flag() {
    let env = TestEnv::new();
    env.login().expect(0);
    let output = env.run(["auth", "status", "--namespace", "bob"]).expect(4);
    let told = "there is no token of bob that can be used: the token file: none; the hook speaks for alice";
    assert!(output.stderr.contains(told), "{}", output.stderr);
    let env = TestEnv::new();
    env.write_config("{}");
    let doctor = env.run(["doctor"]).expect(4).stdout;
    let step = "next: sigilum-authz-notify auth login --mode managed --owner-token-stdin\n";
    assert!(doctor.contains(step), "{doctor}");
    // An entry that Sigilum's own installer made.
    let vars = r#"{"SIGILUM_MODE": "oss-local", "SIGILUM_API_URL": "http://127.0.0.1:8787"}"#;
    env.write_config(format!(
        r#"{{"hooks": {{"internal": {{"entries": {{"sigilum-authz-notify": {{"env": {vars}}}}}}}}}}}"#
    ));
    let output = env.run(["auth", "show", "--namespace", "alice"]).expect(4);
    let step = "next: sigilum-authz-notify auth login --mode oss-local --namespace alice\n";
    assert!(output.stderr.contains(step), "{}", output.stderr);
}

/// One config in the home, one elsewhere.
#[test]
fn a_logout_names_another_config_that_holds_the_token() {
    let env = TestEnv::new();
    let (inside, outside) = (env.openclaw().join("a.json"), env.home().join("b.json"));
    let login = |config: &Path| {
        let login = env
            .login()
            .args(["--token-in-config", "true", "--enable-authz-notify", "true"]);
        login.args(["--config".as_ref(), config.as_os_str()]).expect(0);
    };
    env.login().expect(0);
    login(&inside);
    login(&outside);
    let holds = |file: &Path| std::fs::read_to_string(file).unwrap().contains("eyJ");
    assert!(holds(&inside) && holds(&outside));
    let told = env.run(["auth", "logout"]).expect(0).stderr;
    assert!(!holds(&inside) && holds(&outside), "{told}");
    let step = told
        .lines()
        .find_map(|line| line.strip_prefix("  next: sigilum-authz-notify "));
    env.run(step.unwrap().split(' ')).expect(0);
    assert!(!holds(&outside));
}

/// A config that cannot be read hides no other one, and one elsewhere may hold the token.
#[test]
fn a_logout_beside_a_broken_config_looks_at_the_others() {
    let env = TestEnv::new();
    let (inside, outside) = (env.openclaw().join("a.json"), env.home().join("b.json"));
    env.login().expect(0);
    for config in [&inside, &outside] {
        let flags = ["--token-in-config", "true", "--enable-authz-notify", "true"];
        let login = env.login().args(flags);
        login.args(["--config".as_ref(), config.as_os_str()]).expect(0);
    }
    for broken in [&env.config(), &outside] {
        std::fs::write(broken, "{ broken").unwrap();
    }
    let told = env.run(["auth", "logout"]).expect(0).stderr;
    assert!(!std::fs::read_to_string(&inside).unwrap().contains("eyJ"), "{told}");
    assert!(told.contains("may still stand in openclaw.json: "), "{told}");
    // What can be read, and does not name us, is nobody's.
    assert!(!told.contains("b.json"), "{told}");
    std::fs::remove_file(&outside).unwrap();
    std::fs::create_dir(&outside).unwrap();
    env.login().args(["--write-openclaw", "false"]).expect(0);
    let told = env.run(["auth", "logout"]).expect(0).stderr;
    let may = format!("the token may still stand in {}: ", outside.display());
    assert!(told.contains(&may), "{told}");
}

#[test]
fn no_live_token_is_left_behind_unsaid() {
    let env = TestEnv::new();
    let default = env.sigilum("owner-token-alice.jwt");
    let (one, two) = (env.home().join("one.jwt"), env.home().join("two.jwt"));
    let login = |file: &Path| env.login().args(["--token-file".as_ref(), file.as_os_str()]);
    env.login().expect(0);
    let planned = login(&one).args(["--dry-run"]).expect(0).stdout;
    assert!(
        planned.contains(&format!("would remove {}", default.display())),
        "{planned}"
    );
    let told = login(&one).expect(0).stderr;
    assert!(
        told.contains("the token's former file is removed: ") && !default.exists(),
        "{told}"
    );
    // Elsewhere something else may use it, however its place is written.
    for one in [&one, &env.sigilum("../../one.jwt")] {
        login(one).expect(0);
        let told = login(&two).expect(0).stderr;
        let step = format!("next: if nothing else uses it: rm {}\n", one.display());
        assert!(told.contains(&step) && one.exists(), "{told}");
    }
    login(&one).expect(0);
    env.carry_out(&login(&two).expect(0)).expect(0);
    assert!(!one.exists() && two.exists());
    assert!(!login(&two).expect(0).stderr.contains("former"));
    // As a version before left it.
    std::fs::copy(&two, &default).unwrap();
    std::fs::set_permissions(&default, PermissionsExt::from_mode(0o600)).unwrap();
    env.run(["auth", "logout"]).expect(0);
    assert!(!two.exists() && !default.exists());
}

#[test]
fn the_life_that_a_login_chose_outlives_its_token() {
    let env = TestEnv::new();
    let log_in = || env.run(["login", "--mode", "oss-local", "--namespace", "alice"]);
    log_in().args(["--ttl-seconds", "90000"]).expect(0);
    let life = || {
        let token = std::fs::read_to_string(env.sigilum("owner-token-alice.jwt")).unwrap();
        claims::inspect(&token.trim().into()).unwrap().life().unwrap()
    };
    let lose = || std::fs::remove_file(env.sigilum("owner-token-alice.jwt")).unwrap();
    assert_eq!(life(), 90_000);
    for renew in [&["auth", "refresh", "--print-token=false"][..], &["watch", "--once"]] {
        lose();
        env.run(renew).expect(0);
        assert_eq!(life(), 90_000);
    }
    // Another one takes its place.
    env.run(["auth", "refresh", "--print-token=false", "--ttl-seconds", "5000"])
        .expect(0);
    lose();
    env.run(["auth", "refresh", "--print-token=false"]).expect(0);
    assert_eq!(life(), 5_000);
    env.run(["login", "--mode", "oss-local", "--namespace", "alice"])
        .expect(0);
    assert_eq!(life(), 604_800);
}

/// Whoever edits the config says what the entry names: a person decides whether a token goes there.
#[test]
fn after_a_logout_the_entrys_api_is_named_and_not_gone_to() {
    let env = TestEnv::new();
    let url = "http://127.0.0.1:28787";
    let login = ["login", "--mode", "oss-local", "--namespace", "alice", "--no-check"];
    env.run(login)
        .args(["--api-url", url, "--enable-authz-notify", "true"])
        .expect(0);
    env.run(["auth", "logout"]).expect(0);
    let told = env.run(["auth", "show"]).expect(4).stderr;
    let names = format!("the entry in openclaw.json names the API {url:?}: log in with --api-url, if it is yours\n");
    assert!(told.contains(&names), "{told}");
    let note = format!("names another API than this login; to log in to that one: --mode oss-local --api-url {url}");
    let told = env.run(login).expect(0).stderr;
    assert!(told.contains(&note), "{told}");
    // With the login there is nothing to tell.
    let told = env.run(login).expect(0).stderr;
    assert!(!told.contains("names another API"), "{told}");
}
