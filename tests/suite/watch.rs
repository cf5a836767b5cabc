//! `watch`: tokens renewed, the hook's entry kept up to date.

use crate::env;

use env::TestEnv;
use env::api::{Api, Fault};
use env::command_of;
use env::local_api::{look, number};
use env::watching::{CONFIG, Watcher, managed_token, replace, token, wait_until};
use sigilum_authz_notify::token::claims;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

const LONG: u32 = 100_000;

fn inode(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().ino()
}

/// Long enough for a write that is not to come.
fn a_while() {
    std::thread::sleep(Duration::from_millis(400));
}

fn home() -> TestEnv {
    let env = TestEnv::new();
    env.write_config(CONFIG);
    env.log_in(LONG);
    env
}

#[test]
fn a_local_token_is_renewed_before_it_expires_and_put_into_the_config() {
    let env = TestEnv::new();
    env.write_config(CONFIG);
    env.log_in(6);
    let first = env.stored().unwrap();
    let watcher = env.watch();
    let second = env.wait_for_token_other_than(&first);
    let third = env.wait_for_token_other_than(&second);
    watcher.wait_for_times("renewed the owner token", 2);
    // The same owner, the same life.
    let output = env.run(["auth", "status", "--json", "--namespace", "alice"]).expect(0);
    let status: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(status["state"], "not_expired");
    assert_eq!(status["config_has_same_token"], true);
    let says = |token: &str| {
        let text = token.split('.').nth(1).unwrap();
        let decoded = sigilum_authz_notify::token::claims::inspect(&token.to_owned().into()).unwrap();
        (
            text.len(),
            decoded.sub,
            decoded.email,
            decoded.exp.unwrap() - decoded.iat.unwrap(),
        )
    };
    assert_eq!(says(&first), says(&third));
    let config = std::fs::read_to_string(env.config()).unwrap();
    assert!(
        config.contains("// kept by hand") && config.contains("// here"),
        "{config}"
    );
}

#[test]
fn what_is_changed_in_the_config_is_said_once_and_neither_followed_nor_put_right() {
    let newer = |env: &TestEnv| token(&env.secret(), "alice", -2, 200_000);
    let forged = |_: &TestEnv| token("not the secret", "alice", -60, 200_000);
    type Change<'a> = &'a dyn Fn(&TestEnv);
    let replace_token = |env: &TestEnv, by: &str| env.change_config(&env.stored().unwrap(), by);
    let cases: [(&str, Change, &str); 8] = [
        (
            "another port",
            &|env| env.change_config("http://127.0.0.1:8787", "http://127.0.0.1:38911"),
            "names the API \"http://127.0.0.1:38911\", the login \"http://127.0.0.1:8787\"",
        ),
        (
            "another API",
            &|env| env.change_config("http://127.0.0.1:8787", "https://elsewhere.example"),
            "names the API \"https://elsewhere.example\"",
        ),
        (
            "another mode",
            &|env| env.change_config("\"SIGILUM_MODE\": \"oss-local\"", "\"SIGILUM_MODE\": \"managed\""),
            "names the mode \"managed\"",
        ),
        (
            "another namespace",
            &|env| env.change_config("\"SIGILUM_NAMESPACE\": \"alice\"", "\"SIGILUM_NAMESPACE\": \"bob\""),
            "names the namespace \"bob\"",
        ),
        (
            "off",
            &|env| env.switch(false),
            "the hook is off, and openclaw.json still holds an owner token",
        ),
        (
            "newer",
            &|env| replace_token(env, &newer(env)),
            "issued later than the stored one",
        ),
        (
            "forged to look newer",
            &|env| replace_token(env, &forged(env)),
            "issued later than the stored one",
        ),
        (
            "the entry gone",
            &|env| replace(&env.config(), "{ gateway: { mode: 'local' } }"),
            "openclaw.json has no entry for the hook",
        ),
    ];
    for (name, change, says) in cases {
        let env = home();
        let before = env.ours();
        let watcher = env.watch();
        change(&env);
        let config = std::fs::read_to_string(env.config()).unwrap();
        watcher.wait_for(says);
        std::fs::write(env.openclaw().join("other"), "x").unwrap();
        a_while();
        assert_eq!(watcher.count(says), 1, "{name}");
        let warning = watcher.log().into_iter().find(|line| line.contains(says)).unwrap();
        assert!(
            warning.contains("WARN") && (warning.contains("auth switch alice") || warning.contains("hook install")),
            "{name}: {warning}"
        );
        assert_eq!(env.ours(), before, "{name}: token, record or secret");
        assert_eq!(std::fs::read_to_string(env.config()).unwrap(), config, "{name}");
        // The command that it names works, and there is nothing left to say.
        let command = warning.rsplit_once("sigilum-authz-notify ").unwrap().1;
        env.run(command.split(' ')).expect(0);
        let put_right = || {
            let entry = env.entry().unwrap();
            let token = env.in_config();
            let named = |name: &str| entry["env"][name].as_str().unwrap().to_owned();
            let names = ["SIGILUM_NAMESPACE", "SIGILUM_MODE", "SIGILUM_API_URL"].map(named);
            names == ["alice", "oss-local", "http://127.0.0.1:8787"].map(str::to_owned)
                && (if entry["enabled"] == true {
                    token == env.stored()
                } else {
                    token.is_none()
                })
        };
        assert!(
            wait_until(put_right),
            "{name}: {}",
            std::fs::read_to_string(env.config()).unwrap()
        );
        a_while();
        assert_eq!(watcher.count("WARN"), 1, "{name}: {}", watcher.log().join("\n"));
    }
}

#[test]
fn a_wrong_token_in_the_config_is_replaced() {
    type Wrong = fn(&TestEnv) -> String;
    let cases: [(&str, Wrong); 4] = [
        ("older", |env| token(&env.secret(), "alice", 50, 1_000)),
        ("another's", |env| token(&env.secret(), "bob", 0, 200_000)),
        ("no token", |_| "nonsense".to_owned()),
        ("none", |_| String::new()),
    ];
    for (name, wrong) in cases {
        let env = home();
        let stored = env.stored().unwrap();
        let _watcher = env.watch();
        env.change_config(&stored, &wrong(&env));
        assert!(wait_until(|| env.in_config().as_ref() == Some(&stored)), "{name}");
        assert_eq!(env.stored().as_ref(), Some(&stored), "{name}");
    }
}

#[test]
fn where_nobody_chose_a_token_that_is_there_is_kept_up_to_date_and_none_is_put_where_none_is() {
    for record in [false, true] {
        let env = home();
        if record {
            env.record_choice(None);
        } else {
            // As version 0.1.0 left it.
            std::fs::remove_file(env.sigilum("hook.json")).unwrap();
        }
        let watcher = env.watch();
        let other = token(&env.secret(), "alice", -2, 200_000);
        replace(&env.sigilum("owner-token-alice.jwt"), &other);
        assert!(wait_until(|| env.in_config().as_ref() == Some(&other)));
        env.change_config(&other, "");
        let third = token(&env.secret(), "alice", -3, 200_000);
        replace(&env.sigilum("owner-token-alice.jwt"), &third);
        std::thread::sleep(Duration::from_millis(2_500));
        assert_eq!(env.in_config().as_deref(), Some(""));
        assert_eq!(watcher.count("put the owner token"), 1);
    }
}

/// Nor does one that an agent puts there draw the stored one, however good it looks, until a person chooses with the
/// command that the warning names.
#[test]
fn where_nobody_chose_a_token_of_an_agents_draws_none() {
    let env = home();
    let stored = env.stored().unwrap();
    env.change_config(&stored, "");
    std::fs::remove_file(env.sigilum("hook.json")).unwrap();
    // Of another secret, issued later; one of ours from before; of another namespace.
    let planted = [
        token("the agent's own secret, of 32 bytes", "alice", 5, 900_000),
        token(&env.secret(), "alice", -500, 200_000),
        token(&env.secret(), "bob", 0, 200_000),
    ];
    let watcher = env.watch();
    let mut before = String::new();
    for planted in planted {
        env.change_config(
            &format!("\"SIGILUM_OWNER_TOKEN\": \"{before}\""),
            &format!("\"SIGILUM_OWNER_TOKEN\": \"{planted}\""),
        );
        before.clone_from(&planted);
        a_while();
        assert_eq!(env.in_config().as_ref(), Some(&planted));
    }
    let log = watcher.log();
    let warnings: Vec<_> = log.iter().filter(|line| line.contains("WARN")).collect();
    let [warning] = warnings[..] else {
        panic!("not one warning: {log:#?}");
    };
    let (_, command) = warning.split_once("to choose: sigilum-authz-notify ").expect(warning);
    let (command, _) = command.split_once(" (").unwrap();
    env.run(shell_words::split(command).unwrap()).expect(0);
    assert_eq!(env.in_config(), None);
    assert!(!log.iter().any(|line| line.contains("put the owner token")));
}

#[test]
fn a_replaced_token_file_goes_into_the_config_and_a_deleted_one_is_made_again() {
    let env = home();
    let watcher = env.watch();
    // Issued in the same second as the login's, perhaps, but lives longer.
    let other = token(&env.secret(), "alice", 0, 200_000);
    replace(&env.sigilum("owner-token-alice.jwt"), &format!("{other}\n"));
    assert!(wait_until(|| env.in_config().as_ref() == Some(&other)));
    std::thread::sleep(Duration::from_millis(1_100));

    std::fs::remove_file(env.sigilum("owner-token-alice.jwt")).unwrap();
    let made = env.wait_for_token_other_than(&other);
    watcher.wait_for("signing a new token");

    // With nothing to go by but the record and the local database.
    replace(&env.config(), "{}");
    watcher.wait_for("has no entry for the hook");
    std::fs::remove_file(env.sigilum("owner-token-alice.jwt")).unwrap();
    assert!(wait_until(|| env.stored().is_some_and(|token| token != made)));
}

#[test]
fn a_logout_is_final() {
    let env = home();
    let watcher = env.watch();
    env.run(["auth", "logout", "--namespace", "alice"]).expect(0);
    watcher.wait_for("nobody is logged in here");
    a_while();
    assert_eq!((env.stored(), env.in_config()), (None, None));
    env.log_in(LONG);
    let stored = env.stored();
    assert!(stored.is_some() && env.in_config() == stored);
    a_while();
    assert_eq!((env.stored(), env.in_config()), (stored.clone(), stored));
}

#[test]
fn what_is_none_of_its_business_is_left_alone() {
    let env = TestEnv::new();
    let config = env.write_config("{ gateway: { mode: 'local' } }");
    env.login()
        .args(["--write-openclaw", "false", "--ttl-seconds", "4"])
        .expect(0);
    let before = inode(&config);
    let watcher = env.watch();
    // There is a record, so the token file is kept; no entry, so the config is not.
    watcher.wait_for("renewed the owner token");
    replace(&config, "{ gateway: { mode: 'remote' } }");
    a_while();
    assert_ne!(before, inode(&config));
    assert_eq!(
        std::fs::read_to_string(&config).unwrap(),
        "{ gateway: { mode: 'remote' } }"
    );

    let env = home();
    let watcher = env.watch();
    env.change_config("'local'", "'remote'");
    let before = inode(&env.config());
    std::fs::write(env.openclaw().join("other"), "x").unwrap();
    a_while();
    assert_eq!(inode(&env.config()), before);
    assert_eq!(watcher.count("put the owner token"), 0);
    assert_eq!(
        std::fs::read_dir(env.openclaw()).unwrap().count(),
        3,
        "openclaw.json, other, .sigilum"
    );
}

#[test]
fn a_deleted_config_is_waited_for_and_a_broken_one_is_told_of_once() {
    let env = home();
    let stored = env.stored().unwrap();
    let text = std::fs::read_to_string(env.config()).unwrap();
    let watcher = env.watch();
    std::fs::remove_file(env.config()).unwrap();
    watcher.wait_for("there is no openclaw.json");
    a_while();
    assert!(!env.config().exists(), "it was made again");
    env.write_config(CONFIG);
    watcher.wait_for("openclaw.json is back");
    assert!(wait_until(|| env.in_config().as_ref() == Some(&stored)));

    replace(&env.config(), "{\n  \"hooks\": oops\n}");
    watcher.wait_for("line 2");
    let warning = watcher.log().into_iter().find(|line| line.contains("line 2")).unwrap();
    assert!(warning.contains("WARN") && warning.contains("column"), "{warning}");
    std::fs::write(env.openclaw().join("other"), "x").unwrap();
    a_while();
    assert_eq!(watcher.count("line 2"), 1);
    replace(&env.config(), &text.replace(&stored, "gone"));
    watcher.wait_for("openclaw.json can be read again");
    assert!(wait_until(|| env.in_config().as_ref() == Some(&stored)));
}

#[test]
fn with_token_in_config_false_only_the_token_file_changes() {
    let env = TestEnv::new();
    env.write_config(CONFIG);
    env.log_in(4);
    env.run([
        "auth",
        "refresh",
        "--namespace",
        "alice",
        "--token-in-config",
        "false",
        "--print-token",
        "false",
    ])
    .expect(0);
    assert_eq!(env.in_config(), None);
    let before = inode(&env.config());
    let watcher = env.watch();
    watcher.wait_for_times("renewed the owner token", 2);
    assert_eq!((inode(&env.config()), env.in_config()), (before, None));
    // What the entry says of it is nobody's choice: the record is.
    for (from, to) in [
        ("\"env\": {", "\"env\": { \"SIGILUM_TOKEN_IN_CONFIG\": \"true\","),
        ("\"SIGILUM_TOKEN_IN_CONFIG\": \"true\"", "\"OTHER\": \"\""),
    ] {
        env.change_config(from, to);
        let config = std::fs::read_to_string(env.config()).unwrap();
        watcher.wait_for_times("renewed the owner token", watcher.count("renewed") + 2);
        assert_eq!(std::fs::read_to_string(env.config()).unwrap(), config);
    }
}

#[test]
fn several_causes_become_one_write_and_writes_keep_their_distance() {
    let env = home();
    let watcher = env.watch();
    let secret = env.secret();
    let mut writes = Vec::new();
    let mut last = inode(&env.config());
    let mut newest = String::new();
    let begun = Instant::now();
    let mut made = 0;
    while begun.elapsed() < Duration::from_millis(5_500) {
        if begun.elapsed() < Duration::from_secs(1) {
            made += 1;
            newest = token(&secret, "alice", -2 - made, 200_000);
            replace(&env.sigilum("owner-token-alice.jwt"), &newest);
        }
        std::thread::sleep(Duration::from_millis(5));
        let now = inode(&env.config());
        if now != last {
            last = now;
            writes.push(begun.elapsed());
        }
    }
    assert!(made > 20, "{made}");
    assert!((2..=3).contains(&writes.len()), "{writes:?}");
    assert!(
        writes
            .windows(2)
            .all(|pair| pair[1] - pair[0] >= Duration::from_millis(1_900)),
        "{writes:?}"
    );
    assert_eq!(env.in_config().as_ref(), Some(&newest));
    assert_eq!(watcher.count("put the owner token"), writes.len());
}

#[test]
fn who_keeps_undoing_its_edit_is_left_alone_for_a_while() {
    let env = home();
    let stored = env.stored().unwrap();
    let watcher = env.watch();
    let undone = std::fs::read_to_string(env.config()).unwrap().replace(&stored, "");
    for _ in 0..4 {
        replace(&env.config(), &undone);
        assert!(wait_until(|| env.in_config().as_ref() == Some(&stored)));
    }
    replace(&env.config(), &undone);
    watcher.wait_for("something keeps undoing what is written to openclaw.json");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(env.in_config().as_deref(), Some(""));
    // A new token is a cause of its own.
    env.run([
        "auth",
        "refresh",
        "--namespace",
        "alice",
        "--print-token",
        "false",
        "--write-openclaw",
        "false",
    ])
    .expect(0);
    env.wait_for_token_other_than(&stored);
}

#[test]
fn a_held_lock_is_told_of_once_and_the_write_comes_when_it_is_free() {
    let env = home();
    let watcher = env.watch();
    let lock = env.openclaw().join("openclaw.json.lock");
    let starttime = sigilum_authz_notify::process::Process::me().starttime.unwrap();
    let holder = serde_json::json!({
        "pid": std::process::id(), "createdAt": "2026-11-22T06:20:37.017Z", "starttime": starttime
    });
    std::fs::write(&lock, holder.to_string()).unwrap();
    let other = token(&env.secret(), "alice", -2, 200_000);
    replace(&env.sigilum("owner-token-alice.jwt"), &other);
    watcher.wait_for("putting the token into openclaw.json failed");
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(watcher.count("failed"), 1, "{}", watcher.log().join("\n"));
    assert_ne!(env.in_config().as_ref(), Some(&other));
    let output = env.run(["auth", "status", "--json", "--namespace", "alice"]).expect(0);
    let status: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let error = status["watch"]["homes"][0]["last_error"].as_str().unwrap();
    assert!(error.contains("lock"), "{error}");
    std::fs::remove_file(&lock).unwrap();
    assert!(wait_until(|| env.in_config().as_ref() == Some(&other)));
    watcher.wait_for("works again");
}

#[test]
fn it_signs_only_with_a_secret_that_verifies_what_it_replaces() {
    let env = TestEnv::new();
    env.write_config(CONFIG);
    env.log_in(4);
    let stored = env.stored().unwrap();
    env.write(".openclaw/.sigilum/jwt-secret", "another secret\n");
    let watcher = env.watch();
    watcher.wait_for("no known JWT secret verifies the stored token");
    a_while();
    assert_eq!(
        (env.stored().unwrap(), env.in_config().unwrap()),
        (stored.clone(), stored.clone())
    );
    std::fs::remove_file(env.sigilum("jwt-secret")).unwrap();
    watcher.wait_for("Unable to resolve JWT_SECRET");
    assert_eq!(env.stored().unwrap(), stored);

    // The API has a new secret, too, and says that it is good.
    let env = TestEnv::new();
    let api = Api::start("the new secret of the API");
    env.write_config(CONFIG.replace("http://127.0.0.1:8787", &api.url()));
    env.login()
        .args(["--api-url", &api.url(), "--ttl-seconds", "4", "--no-check"])
        .expect(0);
    let stored = env.stored().unwrap();
    env.write(".openclaw/.sigilum/jwt-secret", "the new secret of the API\n");
    let _watcher = env.watch();
    env.wait_for_token_other_than(&stored);
    // It is asked with a token that gives nobody any rights.
    for seen in api.seen() {
        assert!(
            seen.line.starts_with("GET /v1/namespaces/alice/claims"),
            "{}",
            seen.line
        );
        let says = claims::inspect(&seen.headers["authorization"]["Bearer ".len()..].into()).unwrap();
        assert!(says.namespace.starts_with("probe-"), "{says:?}");
        assert_eq!(says.life(), Some(60));
    }
}

/// Nothing is left that a new one could be held against: the record decides, and the API has the last word.
#[test]
fn a_lost_token_is_signed_as_the_record_says_whatever_the_environment_does() {
    let env = home();
    let bobs = TestEnv::new();
    bobs.run(["auth", "login", "--mode", "oss-local", "--namespace", "bob"])
        .expect(0);
    let database = bobs.sigilum("local-api.sqlite");
    let watcher = Watcher::start(
        env.run(["watch"])
            .env("JWT_SECRET", "the secret of another API")
            .env("SIGILUM_API_DB", &database),
    );
    let lost = env.stored().unwrap();
    std::fs::remove_file(env.sigilum("owner-token-alice.jwt")).unwrap();
    let made = env.wait_for_token_other_than(&lost);
    assert!(claims::is_signed_by(&made.into(), &env.secret().into()));
    watcher.wait_for("signing a new token");
    let alices = "SELECT count(*) FROM users WHERE namespace = 'alice'";
    assert_eq!(number(&look(&database), alices), 0);
    drop(watcher);

    const OWN: &str = "of-the-API-itself";
    let api = Api::start(OWN);
    env.login().args(["--api-url", &api.url(), "--no-check"]).expect(0);
    // An API that does not answer in time says nothing: one more token is lost then.
    let lose_until = |is_so: &dyn Fn() -> bool| {
        wait_until(|| {
            let is_so = is_so();
            if !is_so {
                let _ = std::fs::remove_file(env.sigilum("owner-token-alice.jwt"));
            }
            is_so
        })
    };
    let is_own = || {
        let stored = env.stored();
        stored.is_some_and(|token| claims::is_signed_by(&token.into(), &OWN.into()))
    };
    let refuses = "the API refuses what the secret from";
    let watcher = env.watch();
    assert!(lose_until(&|| watcher.count(refuses) > 0));
    let log = watcher.log();
    drop(watcher);
    // The environment has the API's own.
    let watcher = Watcher::start(env.run(["watch"]).env("JWT_SECRET", OWN));
    assert!(lose_until(&is_own));
    drop(watcher);
    let refused = log.iter().find(|line| line.contains(refuses)).unwrap();
    let (_, step) = refused.split_once("next: ").unwrap();
    std::fs::remove_file(env.sigilum("owner-token-alice.jwt")).unwrap();
    env.shell(&command_of(step).replace("<secret>", OWN)).expect(0);
    assert!(is_own());
}

/// Where nothing keeps the secret, and nobody can be asked, what the config holds says which is the right one.
#[test]
fn a_lost_token_is_not_signed_by_another_secret_than_the_one_in_the_config() {
    const OWN: &str = "0123456789abcdef0123456789abcdef";
    let env = TestEnv::new();
    let login = env.login().args(["--enable-authz-notify", "true"]);
    login.env("JWT_SECRET", OWN).expect(0);
    let token = env.stored().unwrap();
    std::fs::remove_file(env.sigilum("owner-token-alice.jwt")).unwrap();
    let once = |secret: &str| env.run(["watch", "--once"]).env("JWT_SECRET", secret);
    let refused = once("another-0123456789abcdef01234567").expect(7);
    let why = "the secret from JWT_SECRET did not sign the token in openclaw.json";
    assert!(refused.stderr.contains(why), "{refused:#?}");
    assert!(env.stored().is_none() && std::fs::read_to_string(env.config()).unwrap().contains(&token));
    let step = command_of(refused.step()).replace("<secret>", OWN);
    env.shell(&step).expect(0);
    std::fs::remove_file(env.sigilum("owner-token-alice.jwt")).unwrap();
    once(OWN).expect(0);
    assert!(claims::is_signed_by(&env.stored().unwrap().into(), &OWN.into()));
}

/// Two logins with one token file, and the other one's token is in force.
#[test]
fn the_token_of_another_namespace_in_a_shared_file_is_kept() {
    let env = TestEnv::new();
    let file = env.sigilum("shared.jwt");
    let log_in = |namespace: &str| {
        let login = ["auth", "login", "--mode", "oss-local", "--print-token", "false"];
        let run = env.run(login).args(["--namespace", namespace, "--force"]);
        run.args(["--token-file".as_ref(), file.as_os_str()]).expect(0)
    };
    log_in("alice");
    log_in("bob");
    env.run(["auth", "switch", "alice"]).expect(0);
    let bobs = std::fs::read_to_string(&file).unwrap();
    let watcher = env.watch();
    watcher.wait_for("it holds the token of another namespace, bob");
    watcher.wait_for(
        "next: sigilum-authz-notify auth login --mode oss-local --namespace alice --token-file <a file of its own>",
    );
    a_while();
    assert_eq!(watcher.count("signing a new token"), 0);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), bobs);
    // One that has expired is no loss.
    drop(watcher);
    std::fs::write(&file, token(&env.secret(), "bob", 7_200, 3_600)).unwrap();
    let _watcher = env.watch();
    assert!(wait_until(|| {
        let text = std::fs::read_to_string(&file).unwrap();
        claims::inspect(&text.trim().into()).is_ok_and(|says| says.namespace == "alice")
    }));
}

#[test]
fn the_namespace_is_the_recorded_one_whatever_the_environment_says() {
    let env = home();
    let log_in = ["auth", "login", "--mode", "oss-local", "--namespace", "bob"];
    env.run(log_in)
        .args(["--write-openclaw", "false", "--print-token", "false"])
        .expect(0);
    let bobs = std::fs::read_to_string(env.sigilum("owner-token-bob.jwt")).unwrap();
    env.run(["auth", "switch", "alice"]).expect(0);
    let watcher = Watcher::start(
        env.run(["watch"])
            .env("SIGILUM_NAMESPACE", "carol")
            .env("SIGILUM_MODE", "managed")
            .env("SIGILUM_API_URL", "https://elsewhere.example")
            .env("SIGILUM_OWNER_TOKEN", managed_token("alice", 99)),
    );
    watcher.wait_for("serving namespace alice, oss-local at http://127.0.0.1:8787");
    env.run(["auth", "switch", "bob"]).expect(0);
    watcher.wait_for("serving namespace bob");
    assert_eq!(env.in_config().as_deref(), Some(bobs.trim()));
    env.write_record(&serde_json::json!({"namespace": "alice", "token_in_config": true}));
    watcher.wait_for("names the namespace \"bob\", the login \"alice\"");
    env.change_config("\"SIGILUM_NAMESPACE\": \"bob\"", "\"SIGILUM_NAMESPACE\": \"alice\"");
    assert!(wait_until(|| env.in_config() == env.stored()));
}

#[test]
fn a_managed_token_comes_from_the_token_command() {
    let env = TestEnv::new();
    let api = env.managed_api();
    let first = env.log_in_managed_at(&api, 6);
    let fresh = managed_token("alice", 50_000);
    let script = format!("#!/bin/sh\necho run >> runs\n[ \"$SIGILUM_NAMESPACE\" = alice ] && echo {fresh}\n");
    let program = env.write("get token", script);
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let command = format!("'{}' --fresh", program.display());
    let watcher = Watcher::start(env.run(["watch", "--token-command", &command]));
    assert_eq!(env.wait_for_token_other_than(&first), fresh);
    // Deleted: asked for again; it prints the one that was there, which is as good as any.
    std::fs::remove_file(env.sigilum("owner-token-alice.jwt")).unwrap();
    assert!(wait_until(|| env.stored().as_ref() == Some(&fresh)));
    assert_eq!(std::fs::read_to_string(env.home().join("runs")).unwrap(), "run\nrun\n");
    watcher.wait_for("asking the token command");
}

#[test]
fn what_a_token_command_prints_is_checked() {
    let bobs = managed_token("bob", 5_000);
    let cases = [
        ("echo nonsense".to_owned(), "does not look like a token"),
        (format!("echo {bobs}"), "for the namespace \"bob\""),
        ("false".to_owned(), "exit status: 1"),
        ("/nonexistent".to_owned(), "cannot be run"),
    ];
    for (command, expected) in cases {
        let env = TestEnv::new();
        env.write_config(CONFIG);
        let stored = env.log_in_managed(3);
        std::thread::sleep(Duration::from_secs(2));
        let output = env.run(["watch", "--once", "--token-command", &command]).expect(4);
        assert!(output.stderr.contains(expected), "{command}: {}", output.stderr);
        assert!(!output.stderr.contains("eyJ"), "{}", output.stderr);
        assert_eq!(env.stored(), Some(stored));
        // It prints a token of this namespace by then, as the step has a person see to.
        let step = "next: run the command yourself, with SIGILUM_NAMESPACE set";
        assert!(output.stderr.contains(step), "{}", output.stderr);
        let fresh = managed_token("alice", 9_000);
        let command = format!("echo {fresh}");
        let again = env.run(["watch", "--once", "--token-command", &command]).output();
        assert!(!again.stderr.contains(expected), "{command}: {}", again.stderr);
    }
}

#[test]
fn a_token_in_force_is_replaced_only_by_one_that_the_api_accepts() {
    let refused = env::api::token(
        "not Sigilum's",
        serde_json::json!({"namespace": "alice", "exp": env::now() + 90_000}),
    );
    let fresh = managed_token("alice", 50_000);
    // what the token command prints, how the API behaves, whether the old one has expired; exit code, what is said
    let cases = [
        (&refused, Fault::None, false, 4, "401 TOKEN_EXPIRED"),
        (&refused, Fault::None, true, 4, "401 TOKEN_EXPIRED"),
        (
            &fresh,
            Fault::Status(401, "UNAUTHORIZED"),
            false,
            4,
            "does not accept the owner token (401)",
        ),
        (
            &fresh,
            Fault::Status(403, "FORBIDDEN"),
            false,
            4,
            "not for this namespace (403)",
        ),
        (
            &fresh,
            Fault::Status(503, "DB_UNAVAILABLE"),
            false,
            6,
            "not checked: the API answered with status 503",
        ),
        (&fresh, Fault::Stall, false, 6, "not checked: no full answer in time"),
        (&fresh, Fault::Stall, true, 0, "renewed the owner token"),
        (&fresh, Fault::None, false, 0, "renewed the owner token"),
    ];
    for (printed, fault, expired, code, says) in cases {
        let env = TestEnv::new();
        let api = env.managed_api();
        let new = env.log_in_managed_at(&api, 1_000);
        let old = token("only Sigilum knows", "alice", if expired { 1_001 } else { 900 }, 1_000);
        env.write(".openclaw/.sigilum/owner-token-alice.jwt", &old);
        env.change_config(&new, &old);
        api.fault(fault.clone());
        let command = format!("echo {printed}");
        let output = env.run(["watch", "--once", "--token-command", &command]).expect(code);
        assert!(output.stderr.contains(says), "{fault:?} {expired}: {}", output.stderr);
        assert!(!output.stderr.contains("eyJ"), "{}", output.stderr);
        let stored = if code == 0 { printed } else { &old };
        assert_eq!(env.stored().as_ref(), Some(stored), "{fault:?} {expired}");
        if code != 0 {
            let step = "see that the API can be reached, and that the token command asks for a token of this namespace";
            assert!(output.stderr.contains(&format!("next: {step}")), "{}", output.stderr);
            api.fault(Fault::None);
            let command = format!("echo {fresh}");
            env.run(["watch", "--once", "--token-command", &command]).expect(0);
            assert_eq!(env.stored().as_ref(), Some(&fresh), "{fault:?} {expired}");
        }
    }
}

#[test]
fn once_says_that_a_managed_token_is_due_before_the_first_reminder_too() {
    const DAY: i64 = 24 * 3600;
    let env = TestEnv::new();
    env.write_config(CONFIG);
    let stored = env.log_in_managed(7 * DAY);
    let aged = token("only Sigilum knows", "alice", 5 * DAY, 7 * DAY);
    env.write(".openclaw/.sigilum/owner-token-alice.jwt", &aged);
    env.change_config(&stored, &aged);
    let output = env.run(["watch", "--once"]).expect(4);
    assert!(output.stderr.contains("expires in"), "{}", output.stderr);
}

#[test]
fn without_a_token_command_a_managed_token_is_warned_about() {
    let env = TestEnv::new();
    env.write_config(CONFIG);
    let stored = env.log_in_managed(5 * 3600);
    let once = env.run(["watch", "--once"]).expect(0).stderr;
    let step = "before then: sigilum-authz-notify auth refresh --owner-token-stdin";
    assert_eq!(
        once.matches("nothing renews this owner token, which expires 20")
            .count(),
        1,
        "{once}"
    );
    assert!(once.contains(step), "{once}");
    let aged = token("only Sigilum knows", "alice", 2 * 3600, 5 * 3600);
    env.write(".openclaw/.sigilum/owner-token-alice.jwt", &aged);
    env.change_config(&stored, &aged);
    let watcher = env.watch();
    watcher.wait_for("nothing renews this owner token, which expires");
    let status = |home: &str| -> serde_json::Value {
        let text = std::fs::read_to_string(env.sigilum(home)).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    assert!(status("watch-status.json")["homes"][0]["next_due_at"].is_null());
    // No hook is installed.
    for (command, code) in [("auth", 0), ("hook", 1)] {
        let told = env.run([command, "status"]).expect(code).stdout;
        assert!(
            told.contains("runs") && told.contains("nothing renews this token") && !told.contains("next renewal"),
            "{told}"
        );
    }
    a_while();
    assert_eq!(
        watcher.count("expires in"),
        0,
        "three hours are left: the next word comes at one"
    );
    let short = token("only Sigilum knows", "alice", -1, 3_500);
    env.write(".openclaw/.sigilum/owner-token-alice.jwt", &short);
    assert!(wait_until(|| env.in_config().as_ref() == Some(&short)));
    let late = token("only Sigilum knows", "alice", 5 * 3600 - 1_800, 5 * 3600);
    env.change_config(&short, &late);
    assert!(
        wait_until(|| env.in_config().as_ref() == Some(&short)),
        "older than the stored one"
    );
    assert_eq!(watcher.count("nothing renews"), 1, "said at the start");
    std::fs::remove_file(env.sigilum("owner-token-alice.jwt")).unwrap();
    watcher.wait_for("log in again");
    a_while();
    assert_eq!(env.stored(), None);
    env.write(".openclaw/.sigilum/owner-token-alice.jwt", &late);
    watcher.wait_for("issued later than the stored one");
    a_while();
    assert_eq!((env.stored(), env.in_config()), (Some(late), Some(short)));
}

#[test]
fn a_fresh_managed_token_goes_to_no_api_that_the_entry_names() {
    let env = TestEnv::new();
    let api = env.managed_api();
    let stored = env.log_in_managed_at(&api, 4);
    let record = std::fs::read_to_string(env.sigilum("owner-alice.json")).unwrap();
    let fresh = managed_token("alice", 50_000);
    let command = format!("sh -c 'echo run >> runs; echo {fresh}'");
    let watcher = Watcher::start(env.run(["watch", "--token-command", &command]));
    let elsewhere = Api::start("only Sigilum knows");
    env.change_config(&api.url(), &elsewhere.url());
    watcher.wait_for(&format!(
        "names the API {:?}, the login {:?}",
        elsewhere.url(),
        api.url()
    ));
    // Asked when the token is due, and not before.
    assert!(wait_until(|| env.stored().as_ref() == Some(&fresh)));
    a_while();
    assert_eq!(std::fs::read_to_string(env.home().join("runs")).unwrap(), "run\n");
    assert_eq!(env.in_config().as_ref(), Some(&stored), "openclaw.json is left alone");
    assert_eq!(
        std::fs::read_to_string(env.sigilum("owner-alice.json")).unwrap(),
        record
    );
    // Put right by a person: the fresh one goes in.
    env.change_config(&elsewhere.url(), &api.url());
    assert!(wait_until(|| env.in_config().as_ref() == Some(&fresh)));
    assert_eq!(elsewhere.seen().len(), 0);
}

#[test]
fn in_a_home_without_a_record_nothing_is_renewed_and_a_login_is_named() {
    let env = TestEnv::new();
    let held = token("the checkout's secret", "alice", 90, 100);
    let config = CONFIG.replace(
        "\"SIGILUM_MODE\"",
        &format!("\"SIGILUM_OWNER_TOKEN\": \"{held}\", \"SIGILUM_MODE\""),
    );
    env.write_config(config.replace(":8787", ":9797"));
    env.write(".openclaw/.sigilum/owner-token-alice.jwt", &held);
    let before = (env.ours(), std::fs::read_to_string(env.config()).unwrap());
    let secret = "the checkout's secret";
    let watcher = Watcher::start(
        env.run(["watch", "--token-command", "touch ran"])
            .env("JWT_SECRET", secret),
    );
    watcher.wait_for("nobody is logged in here");
    a_while();
    let warning = &watcher.log()[0];
    let login = "sigilum-authz-notify auth login --namespace alice --mode oss-local";
    assert!(
        warning.contains("WARN")
            && warning.contains(login)
            && warning.contains("\"http://127.0.0.1:9797\": with --api-url"),
        "{warning}"
    );
    assert_eq!(watcher.count("nobody is logged in"), 1);
    assert_eq!((env.ours(), std::fs::read_to_string(env.config()).unwrap()), before);
    assert!(!env.home().join("ran").exists());
    // The login that it names.
    env.run([
        "auth",
        "login",
        "--namespace",
        "alice",
        "--mode",
        "oss-local",
        "--print-token",
        "false",
    ])
    .env("JWT_SECRET", secret)
    .expect(0);
    watcher.wait_for("serving namespace alice");
}

#[test]
fn a_token_file_with_something_else_in_it_is_put_right_if_it_is_ours() {
    let env = home();
    let _watcher = env.watch();
    for garbage in [&b"\xff\xfe"[..], b"nonsense", b""] {
        env.write(".openclaw/.sigilum/owner-token-alice.jwt", garbage);
        assert!(
            wait_until(|| env.stored().is_some_and(|token| token.starts_with("eyJ"))),
            "{garbage:?}"
        );
        assert!(wait_until(|| env.in_config() == env.stored()));
    }

    // A file of another name may be the person's own.
    let env = home();
    let mine = env.write("mine.txt", "my own words\n");
    let record = std::fs::read_to_string(env.sigilum("owner-alice.json")).unwrap();
    let mut record: serde_json::Value = serde_json::from_str(&record).unwrap();
    record["token_file"] = mine.to_str().unwrap().into();
    std::fs::write(env.sigilum("owner-alice.json"), record.to_string()).unwrap();
    let watcher = env.watch();
    watcher.wait_for("does not hold an owner token");
    assert_eq!(std::fs::read_to_string(&mine).unwrap(), "my own words\n");
}
