//! Never a worse token: what `auth login` and `auth refresh` ask the API, what they tell of its answer, and what they
//! then store. Whom they send it to.

use crate::env;

use env::api::{Api, Fault, token};
use env::local_api::{FakeCheckout, JWT_SECRET};
use env::{Output, Run, TestEnv, now};
use serde_json::json;
use sigilum_authz_notify::token::claims;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

const SECRET: &str = "the API's own secret";

/// A URL at which nothing listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// Every file below a folder but our lock.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !path.ends_with(".sigilum/lock") {
            found.insert(path.clone(), std::fs::read(path).unwrap());
        }
    }
    found
}

fn stored(env: &TestEnv) -> String {
    std::fs::read_to_string(env.sigilum("owner-token-alice.jwt"))
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn signed_by(token: &str, secret: &str) -> bool {
    claims::is_signed_by(&token.into(), &secret.into())
}

/// Runs it, and checks its code, its words and, where it is refused, that nothing changed.
#[track_caller]
fn expect(env: &TestEnv, run: Run, code: i32, says: &str) -> Output {
    let before = files(env.home());
    judged(env, &before, run.output(), code, says)
}

/// The same, unless the API got no time to answer within the second that it is given, as on a busy machine.
#[track_caller]
fn expect_in_time(env: &TestEnv, run: Run, code: i32, says: &str) -> Option<Output> {
    let before = files(env.home());
    let output = run.output();
    let is_late = [&output.stdout, &output.stderr].map(|text| text.contains("no full answer in time"));
    (!is_late.contains(&true)).then(|| judged(env, &before, output, code, says))
}

#[track_caller]
fn judged(env: &TestEnv, before: &BTreeMap<PathBuf, Vec<u8>>, output: Output, code: i32, says: &str) -> Output {
    assert_eq!(output.code, code, "{output:?}");
    let all = format!("{}{}", output.stdout, output.stderr);
    assert!(all.contains(says), "{says}: {all}");
    assert!(!output.stderr.contains("eyJ"), "{}", output.stderr);
    if code != 0 {
        assert_eq!(files(env.home()), *before);
        assert!(output.stderr.contains("\n  next: "), "{}", output.stderr);
    }
    output
}

/// What an API does, and what is said of it; whether a token is stored that is shown to it.
fn behaviours() -> Vec<(Fault, &'static str, bool)> {
    let expired = "API check:     refused: the API says that the owner token has expired or is not signed for it (401 TOKEN_EXPIRED)";
    vec![
        (Fault::Status(401, "TOKEN_EXPIRED"), expired, false),
        (
            Fault::Status(401, "UNAUTHORIZED"),
            "API check:     refused: the API does not accept the owner token (401)",
            false,
        ),
        (
            Fault::Status(500, "INTERNAL"),
            "API check:     not checked: the API answered with status 500",
            true,
        ),
        (
            Fault::Status(404, "NOT_FOUND"),
            "API check:     not checked: the API answered with status 404; this is perhaps not a Sigilum API, check the URL",
            true,
        ),
        (
            Fault::Redirect("http://127.0.0.1:1/".to_owned()),
            "API check:     not checked: the API answered with status 302; this is perhaps not a Sigilum API, check the URL",
            true,
        ),
        (Fault::Stall, "API check:     not checked: no full answer in time", true),
        (
            Fault::Drop,
            "API check:     not checked: the connection broke off",
            true,
        ),
    ]
}

#[test]
fn a_given_token_is_shown_to_the_api_once_and_stored_unless_it_is_refused() {
    for mode in ["managed", "oss-local"] {
        let mut cases = behaviours();
        cases.push((Fault::None, "API check:     accepted", true));
        cases.push((
            Fault::Status(403, "FORBIDDEN"),
            "API check:     refused: the API says that the owner token is not for this namespace (403)",
            true,
        ));
        cases.push((
            Fault::Body("text/html", "<h1>Sign in</h1>".to_owned()),
            "API check:     not checked: the answer is not JSON",
            true,
        ));
        for (fault, says, is_stored) in cases {
            let env = TestEnv::new();
            let api = Api::start(SECRET);
            api.fault(fault.clone());
            let given = api.token("alice", 3600);
            let login = |more: &[&str]| {
                env.run(["login", "--mode", mode, "--api-url", &api.url(), "--owner-token-stdin"])
                    .args(["--print-token", "false"])
                    .args(more)
                    .stdin(given.as_str())
            };
            if is_stored {
                expect(&env, login(&[]), 0, says);
            } else {
                let output = expect(&env, login(&[]), 4, "the API refuses it");
                assert!(output.stderr.contains("--force"), "{}", output.stderr);
                assert!(!env.openclaw().exists(), "{fault:?}");
            }
            assert_eq!(api.seen().len(), 1, "{fault:?}");
            let sent = format!("Bearer {given}");
            assert_eq!(api.seen()[0].headers["authorization"], sent, "{fault:?}");
            expect(&env, login(&["--force"]), 0, says);
            assert_eq!(stored(&env), given);
            // Told not to ask, it does not.
            expect(
                &env,
                login(&["--no-check"]),
                0,
                "API check:     not checked: --no-check",
            );
            assert_eq!(api.seen().len(), 2, "{fault:?}");
        }
    }
    let env = TestEnv::new();
    let login = env.run([
        "login",
        "--api-url",
        &nobody(),
        "--owner-token-stdin",
        "--print-token=false",
    ]);
    let login = login.stdin(token("any", json!({"namespace": "alice"})));
    expect(&env, login, 0, "API check:     not checked: nothing listens there");
}

#[test]
fn a_secret_is_tried_with_a_token_that_gives_nobody_any_rights() {
    let mut cases = behaviours();
    cases.push((Fault::None, "API check:     accepted", true));
    cases.push((
        Fault::Body("application/json", r#"{"claims":[]}"#.to_owned()),
        "API check:     not checked: what answers there shows every namespace to anyone",
        true,
    ));
    // A server that is no Sigilum API says nothing of the secret.
    cases.push((
        Fault::Status(403, "NO_ENTRY"),
        "API check:     not checked: the API answered with status 403",
        true,
    ));
    for (fault, says, is_stored) in cases {
        let env = TestEnv::new();
        let api = Api::start(SECRET);
        api.fault(fault.clone());
        let login = |more: &[&str]| {
            let run = env.login().args(["--api-url", &api.url()]).args(more);
            run.env("JWT_SECRET", SECRET)
        };
        if is_stored {
            expect(&env, login(&[]), 0, says);
        } else {
            let output = expect(&env, login(&[]), 4, "the secret from JWT_SECRET is not its own");
            assert!(output.stderr.contains("--source-home"), "{}", output.stderr);
            assert!(!env.openclaw().exists(), "{fault:?}");
        }
        expect(&env, login(&["--force"]), 0, says);
        assert!(signed_by(&stored(&env), SECRET));
        for seen in api.seen() {
            assert_eq!(seen.line, "GET /v1/namespaces/alice/claims?status=pending&limit=200");
            let sent = seen.headers["authorization"]
                .strip_prefix("Bearer ")
                .unwrap()
                .to_owned();
            let said = claims::inspect(&sent.as_str().into()).unwrap();
            assert!(said.namespace.starts_with("probe-"), "{said:?}");
            assert_eq!(said.life(), Some(60));
            assert!((said.iat.unwrap() - now()).abs() < 30);
        }
        assert_eq!(api.seen().len(), 2, "{fault:?}");
        expect(
            &env,
            login(&["--no-check"]),
            0,
            "API check:     not checked: --no-check",
        );
        assert_eq!(api.seen().len(), 2, "{fault:?}");
    }
}

#[test]
fn a_new_secret_of_our_own_is_not_taken_for_the_one_of_an_api_that_runs() {
    let env = TestEnv::new();
    let api = Api::start(SECRET);
    let login = || env.login().args(["--api-url", &api.url()]);
    let output = expect(&env, login(), 4, "a new secret is not its own");
    assert!(
        output
            .stderr
            .contains("auth login --mode oss-local --namespace alice --source-home")
    );
    assert!(
        output.stderr.ends_with("for a new secret and its token, add --force\n"),
        "{}",
        output.stderr
    );
    assert!(!env.openclaw().exists());
    // The secret that was tried is forgotten: what is stored later is another one, and stays.
    expect(&env, login().args(["--force"]), 0, "API check:     refused");
    let secret = std::fs::read_to_string(env.sigilum("jwt-secret")).unwrap();
    assert!(signed_by(&stored(&env), secret.trim()));
    expect(&env, login().args(["--no-check"]), 0, "API check:     not checked");
    assert!(signed_by(&stored(&env), secret.trim()));
}

/// A home as Sigilum's own installer leaves it: entry and token file, a token signed with the checkout's secret, no
/// record of ours.
struct Installed {
    env: TestEnv,
    checkout: FakeCheckout,
    token: String,
}

impl Installed {
    fn new(api_url: &str, in_file: bool, life: i64) -> Self {
        let env = TestEnv::new();
        let checkout = FakeCheckout::new(&env);
        drop(checkout.wrangler());
        let now = now();
        let token = token(
            JWT_SECRET,
            json!({"namespace": "alice", "iat": now - 3600, "exp": now + life}),
        );
        env.write_config(
            json!({"hooks": {"internal": {"enabled": true, "entries": {"sigilum-authz-notify": {"enabled": true, "env": {
                "SIGILUM_NAMESPACE": "alice", "SIGILUM_MODE": "oss-local", "SIGILUM_API_URL": api_url,
                "SIGILUM_OWNER_TOKEN": token,
            }}}}}})
            .to_string(),
        );
        if in_file {
            env.write(".openclaw/.sigilum/owner-token-alice.jwt", format!("{token}\n"));
        }
        Self { env, checkout, token }
    }

    fn run(&self, command: &str, api_url: &str) -> Run {
        let run = self
            .env
            .run(["auth", command, "--mode", "oss-local", "--namespace", "alice"]);
        run.args(["--api-url", api_url, "--print-token", "false"])
    }
}

/// Whether all of it was seen: an API that got no time to answer refuses nothing.
fn a_working_token_stays(command: &str, api_runs: bool, in_file: bool) -> Option<()> {
    let api = api_runs.then(|| Api::start(JWT_SECRET));
    let url = api.as_ref().map_or_else(nobody, Api::url);
    let home = Installed::new(&url, in_file, 3600);
    let env = &home.env;
    let source = ["--source-home", home.checkout.root.to_str().unwrap()];
    let run = || home.run(command, &url);
    let code = if api_runs { 4 } else { 7 };
    let output = expect_in_time(env, run(), code, "--source-home")?;
    assert!(output.stderr.contains("--force"), "{}", output.stderr);
    expect(env, run().args(["--no-check"]), 7, "--source-home");
    // A secret that somebody named is as bad, for a refresh; a login is told what to take.
    let named = || run().env("JWT_SECRET", "not the API's");
    let named_code = match (command, api_runs) {
        (_, true) => 4,
        ("refresh", false) => 7,
        _ => 0,
    };
    if named_code != 0 {
        expect_in_time(env, named(), named_code, "the secret from JWT_SECRET")?;
    }
    // What is missing helps, whether the API runs or not.
    expect(env, run().args(source), 0, "API check:     ");
    assert!(signed_by(&stored(env), JWT_SECRET));
    assert_ne!(stored(env), home.token);
    Some(())
}

#[test]
fn a_working_token_is_not_replaced_by_one_that_neither_its_secret_nor_the_api_accepts() {
    for command in ["refresh", "login"] {
        for (api_runs, in_file) in [(true, true), (false, true), (true, false), (false, false)] {
            let seen = (0..5).find_map(|_| a_working_token_stays(command, api_runs, in_file));
            assert!(seen.is_some(), "{command}: the API never answered within a second");
        }
        // For those who mean it; and where there is nothing to lose.
        let url = nobody();
        let home = Installed::new(&url, true, 3600);
        expect(
            &home.env,
            home.run(command, &url).args(["--force"]),
            0,
            "API check:     not checked",
        );
        assert!(!signed_by(&stored(&home.env), JWT_SECRET));
        let expired = Installed::new(&url, true, -1);
        expect(
            &expired.env,
            expired.run(command, &url),
            0,
            "API check:     not checked",
        );
    }
}

/// W8 as it happened: a home of Sigilum's own installer, outside of the checkout, and nothing but the words.
#[test]
fn a_plain_refresh_in_a_home_of_sigilums_installer_keeps_the_token_and_asks_for_the_checkout() {
    let home = Installed::new("http://127.0.0.1:8787", true, 3600);
    let env = &home.env;
    let before = files(&env.openclaw());
    let refused = env.run(["auth", "refresh"]).expect(4);
    let step = "next: name the Sigilum checkout that the API runs from: ";
    let command = refused.stderr.split_once(step).unwrap().1.trim_end();
    assert_eq!(
        command,
        "sigilum-authz-notify auth login --mode oss-local --namespace alice --source-home <folder>"
    );
    assert!(!refused.stderr.contains("passkey"), "{}", refused.stderr);
    // Nor does what comes next by itself.
    env.run(["watch", "--once"]).output();
    env.run(["hook", "run", "--event", "command:new"]).output();
    assert_eq!(files(&env.openclaw()), before);
    assert!(!env.sigilum("jwt-secret").exists());
    let command = command.replace("<folder>", home.checkout.root.to_str().unwrap());
    env.run(command.split(' ').skip(1)).args(["--no-check"]).expect(0);
    assert!(signed_by(&stored(env), JWT_SECRET));
    assert_ne!(stored(env), home.token);
}

/// In another home both commands act on that one.
#[test]
fn a_login_before_an_approval_is_one_of_the_same_home() {
    let api = Api::start(JWT_SECRET);
    let id = "cl_0123456789abcdef01234567";
    api.add_claim("alice", json!({"claim_id": id, "service": "mail"}));
    let installed = Installed::new(&api.url(), true, 3600);
    let env = &installed.env;
    let home = env.home().join("an openclaw home");
    std::fs::rename(env.openclaw(), &home).unwrap();
    let run = env.run(["hook", "run", "--event", "command:new", "--openclaw-home"]);
    let notice = run.args([&home]).expect(0).stdout;
    let (_, command) = notice.split_once("in a terminal: ").unwrap();
    let command = command
        .split(';')
        .next()
        .unwrap()
        .replace(" ID ", &format!(" {id} --yes "));
    let source = shell_words::quote(installed.checkout.root.to_str().unwrap()).into_owned();
    let typed = env.shell(&command.replace("<folder>", &source));
    // No test's API listens where a login goes by itself.
    typed.env("SIGILUM_API_URL", api.url()).expect(0);
    assert_eq!(api.claim(id).unwrap()["status"], "approved", "{command}");
    assert!(!env.openclaw().exists());
}

/// There and after a logout, each text names the login of the mode that `auth status` finds.
#[test]
fn a_login_is_named_in_the_mode_of_the_entry() {
    let api = Api::start(JWT_SECRET);
    let id = "cl_0123456789abcdef01234567";
    api.add_claim("alice", json!({"claim_id": id, "service": "mail"}));
    let home = Installed::new(&api.url(), true, 3600);
    let env = &home.env;
    let log_in = "sigilum-authz-notify auth login --mode oss-local --namespace alice";
    let notice = env.run(["hook", "run", "--event", "command:new"]).expect(0).stdout;
    let step = format!("in a terminal: {log_in} --source-home <folder> && sigilum-authz-notify authz approve ID;");
    assert!(notice.contains(&step), "{notice}");
    for words in [vec!["authz", "approve", id, "--yes"], vec!["authz", "list"]] {
        let refused = env.run(words).expect(4);
        assert!(
            refused.stderr.ends_with(&format!("next: {log_in}\n")),
            "{}",
            refused.stderr
        );
    }
    let doctor = env.run(["doctor"]).output().stdout;
    let step = format!("{log_in} --source-home <folder> && sigilum-authz-notify watch --install-unit\n");
    assert!(doctor.contains(&step), "{doctor}");
    // The steps, by who knows the folder.
    let source = home.checkout.root.to_str().unwrap();
    env.run(log_in.split(' ').skip(1))
        .args(["--source-home", source])
        .expect(0);
    env.run(["auth", "logout"]).expect(0);
    for words in [
        ["hook", "run", "--event", "command:new"].as_slice(),
        &["auth", "status"],
        &["authz", "list"],
    ] {
        let output = env.run(words).output();
        let says = output.stdout + &output.stderr;
        assert!(
            says.contains(log_in) && !says.contains("--mode managed"),
            "{words:?}: {says}"
        );
    }
}

#[test]
fn a_refresh_by_the_secret_that_signed_the_stored_token_needs_no_api() {
    let env = TestEnv::new();
    env.login()
        .env("JWT_SECRET", SECRET)
        .args(["--api-url", &nobody()])
        .expect(0);
    let refresh = |secret: &str| {
        let run = env.run(["auth", "refresh", "--ttl-seconds", "4000", "--print-token", "false"]);
        run.env("JWT_SECRET", secret)
    };
    let first = stored(&env);
    expect(
        &env,
        refresh(SECRET),
        0,
        "API check:     not checked: nothing listens there",
    );
    assert_ne!(stored(&env), first);
    let output = expect(
        &env,
        refresh("another"),
        7,
        "the secret from JWT_SECRET did not sign it",
    );
    assert!(output.stderr.contains("which expires"), "{}", output.stderr);

    // The API has a new secret: what the old one signs is no worse than what is stored, and no better.
    let api = Api::start("another");
    let at_api = |run: Run| run.args(["--api-url", &api.url()]);
    expect(&env, at_api(refresh(SECRET)), 4, "is not its own");
    let env = TestEnv::new();
    let login = env
        .login()
        .env("JWT_SECRET", SECRET)
        .args(["--api-url", &api.url(), "--no-check"]);
    login.expect(0);
    let refresh = |secret: &str| {
        let run = env.run(["auth", "refresh", "--ttl-seconds", "4000", "--print-token", "false"]);
        run.env("JWT_SECRET", secret)
    };
    expect(&env, refresh(SECRET), 0, "API check:     refused: ");
    expect(&env, refresh("a third"), 4, "is not its own");
    expect(&env, refresh("another"), 0, "API check:     accepted");
    assert!(signed_by(&stored(&env), "another"));
}

#[test]
fn a_refresh_in_managed_mode_does_not_lose_a_token_in_force_for_one_that_nobody_knows() {
    let env = TestEnv::new();
    let api = Api::start(SECRET);
    let first = api.token("alice", 3600);
    let given = |command: &str, token: &str| {
        let run = env.run(["auth", command, "--mode", "managed", "--namespace", "alice"]);
        let run = run.args(["--api-url", &api.url(), "--owner-token-stdin", "--print-token", "false"]);
        run.stdin(token)
    };
    given("login", &first).expect(0);
    let new = api.token("alice", 7200);
    api.fault(Fault::Status(503, "DB_UNAVAILABLE"));
    let output = expect(
        &env,
        given("refresh", &new),
        4,
        "the API did not say that it takes the new one",
    );
    assert!(output.stderr.contains("--no-check"), "{}", output.stderr);
    expect(&env, given("refresh", &first), 0, "API check:     not checked");
    expect(
        &env,
        given("refresh", &new).args(["--no-check"]),
        0,
        "API check:     not checked",
    );
    assert_eq!(stored(&env), new);
    // Nor for one that it refuses, for whatever reason.
    api.fault(Fault::Status(403, "FORBIDDEN"));
    expect(&env, given("refresh", &first), 4, "the API refuses it");
    assert_eq!(stored(&env), new);
    api.fault(Fault::Status(503, "DB_UNAVAILABLE"));
    // A login is not a refresh: its token was just given.
    expect(&env, given("login", &first), 0, "API check:     not checked");
    api.fault(Fault::None);
    expect(&env, given("refresh", &new), 0, "API check:     accepted");
    assert_eq!(stored(&env), new);
}

#[test]
fn a_token_that_a_person_gave_is_not_lost_to_our_own_secret() {
    let env = TestEnv::new();
    let url = nobody();
    let given = token(SECRET, json!({"namespace": "alice"}));
    let login = || env.login().args(["--api-url", &url]);
    login().args(["--owner-token-stdin"]).stdin(given.as_str()).expect(0);
    expect(
        &env,
        login(),
        7,
        "this home has no secret, and the API did not say that it takes what a new one signs",
    );
    assert_eq!(stored(&env), given);
    let doctor = env.run(["doctor"]).expect(1).stdout;
    assert!(
        doctor.contains("warn  local-api    nothing here signs another token"),
        "{doctor}"
    );
    login().args(["--force"]).expect(0);
    let secret = std::fs::read_to_string(env.sigilum("jwt-secret")).unwrap();
    assert!(signed_by(&stored(&env), secret.trim()));
    // Nor where another one took its place: doctor knows before the token is due.
    let doctor = || env.run(["doctor"]).expect(1).stdout;
    let says = "warn  local-api    the secret (from ";
    assert!(!doctor().contains(says), "{}", doctor());
    std::fs::write(env.sigilum("jwt-secret"), "f".repeat(40)).unwrap();
    assert!(doctor().contains(says), "{}", doctor());
    std::fs::write(env.sigilum("jwt-secret"), &secret).unwrap();
    // Nor where that secret is lost.
    std::fs::remove_file(env.sigilum("jwt-secret")).unwrap();
    let refresh = || env.run(["auth", "refresh", "--namespace", "alice", "--print-token", "false"]);
    expect(&env, refresh(), 7, "this home has no secret");
    let doctor = env.run(["doctor"]).expect(7).stdout;
    assert!(
        doctor.contains("the secret that signs tokens is not kept here"),
        "{doctor}"
    );
    refresh().args(["--force"]).expect(0);
    env.run(["doctor"]).expect(1);
    login().args(["--owner-token-stdin"]).stdin(given.as_str()).expect(0);
    // For another API it is no token to lose.
    expect(
        &env,
        env.login().args(["--api-url", &nobody()]),
        0,
        "API check:     not checked",
    );
}

/// The API of another user of this machine.
fn strangers_api(secret: &str) -> Option<Api> {
    let listener = env::listener_of(env::STRANGER, "127.0.0.1:0");
    if listener.is_none() {
        eprintln!("skipped: only root can listen as another user");
    }
    Some(Api::on(listener?, secret))
}

#[test]
fn a_token_goes_to_another_users_server_only_where_a_login_said_so() {
    let Some(api) = strangers_api(SECRET) else { return };
    let env = TestEnv::new();
    let given = api.token("alice", 3600);
    let login = |more: &[&str]| {
        let run = env.run([
            "login",
            "--mode",
            "managed",
            "--api-url",
            &api.url(),
            "--owner-token-stdin",
        ]);
        let run = run.args(["--enable-authz-notify", "true", "--print-token", "false"]);
        run.args(more).stdin(given.as_str())
    };
    let says = format!(
        "not checked: nothing was sent: who listens there is another user of this machine (number {})",
        env::STRANGER
    );
    let hook = || env.run(["hook", "run", "--event", "command:new"]).expect(0);
    expect(&env, login(&[]), 0, &says);
    let answer = hook();
    assert!(
        answer.stdout.contains("another user of this machine"),
        "{}",
        answer.stdout
    );
    assert!(answer.stderr.contains("nothing was sent"), "{}", answer.stderr);
    assert_eq!(api.seen().len(), 0);

    let output = expect(&env, login(&["--trust-loopback"]), 0, "API check:     accepted");
    assert!(
        output.stdout.contains("Loopback:      any user's server is trusted"),
        "{}",
        output.stdout
    );
    assert!(hook().stdout.contains("Nothing waits for approval"));
    // It is remembered, until it is taken back.
    expect(&env, login(&[]), 0, "API check:     accepted");
    assert_eq!(api.seen().len(), 3);
    let record = std::fs::read_to_string(env.sigilum("owner-alice.json")).unwrap();
    assert!(record.contains("\"trust_loopback\": true"), "{record}");
    expect(&env, login(&["--trust-loopback", "false"]), 0, &says);
    assert_eq!(api.seen().len(), 3);
}

#[test]
fn beside_another_users_server_the_requests_are_read_from_the_local_database() {
    let Some(api) = strangers_api(SECRET) else { return };
    let env = TestEnv::new();
    let says = "API check:     not checked: nothing was sent: who listens there is another user of this machine";
    expect(&env, env.login().args(["--api-url", &api.url()]), 0, says);
    let ask = || env.run(["hook", "run", "--event", "command:new"]).expect(0);
    // Nothing in our own database says nothing: an API may have another.
    let answer = ask();
    assert!(!answer.stdout.contains("Nothing waits"), "{}", answer.stdout);
    assert!(answer.stderr.contains("our own database is empty"), "{}", answer.stderr);
    let db = rusqlite::Connection::open(env.sigilum("local-api.sqlite")).unwrap();
    db.execute(
        "INSERT INTO authorizations (namespace, service, public_key, claim_id, agent_ip, created_at)
         VALUES ('alice', 'ledger', 'ed25519:abc', 'c1', '10.1.2.3', '2026-01-01T00:00:00.000Z')",
        [],
    )
    .unwrap();
    let answer = ask();
    assert!(answer.stdout.contains("service \"ledger\""), "{}", answer.stdout);
    assert!(answer.stderr.contains("nothing was sent"), "{}", answer.stderr);
    assert!(
        answer.stderr.contains("read from the local database"),
        "{}",
        answer.stderr
    );
    expect(&env, env.run(["auth", "status"]), 0, says);
    assert_eq!(api.seen().len(), 0);
}

/// In each mode, and where the database answers in place of the API.
#[test]
fn the_owner_is_told_in_a_direct_chat_who_listens_in_the_apis_place() {
    for (mode, database) in [("managed", false), ("oss-local", true), ("oss-local", false)] {
        let Some(api) = strangers_api(SECRET) else { return };
        let env = TestEnv::new();
        let given = api.token("alice", 3600);
        let login = [
            "auth",
            "login",
            "--mode",
            mode,
            "--namespace",
            "alice",
            "--api-url",
            &api.url(),
        ];
        let login = env.run(login).args(["--print-token", "false"]);
        match mode {
            "managed" => login.args(["--owner-token-stdin"]).stdin(given).expect(0),
            _ => login.expect(0),
        };
        if !database && mode == "oss-local" {
            std::fs::write(env.sigilum("local-api.sqlite"), "none").unwrap();
        }
        let line = format!(
            "Sigilum: another user of this machine (number {}) listens on port {} in place of the Sigilum API, so the \
             owner token was not sent there. Look at who it is: ss -ltnp; if it is the API all the same: \
             sigilum-authz-notify auth login --mode {mode} --namespace alice",
            env::STRANGER,
            api.port()
        );
        let ask = |chat: &str, key: &str| {
            let event = json!({"type": "command", "action": "new", "sessionKey": key, "chatType": chat});
            let answer = env.run(["hook", "run"]).stdin(event.to_string()).expect(0).stdout;
            let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
            answer["messages"].clone()
        };
        let direct = ask("direct", "agent:main:main");
        let first = direct[0].as_str().unwrap();
        assert!(
            first.starts_with(&line) && first.ends_with(" --trust-loopback"),
            "{mode}: {direct}"
        );
        assert_eq!(first.lines().count(), 1, "{mode}: {direct}");
        let told = |text: &str| direct.to_string().contains(text);
        assert_eq!(
            told("Sigilum could not be asked"),
            mode == "oss-local" && !database,
            "{direct}"
        );
        // Nobody else need know which user and port.
        let group = ask("group", "agent:main:irc:channel:#x").to_string();
        assert!(
            !group.contains("ss -ltnp") && !group.contains(&api.port().to_string()),
            "{mode}: {group}"
        );
        let person = env.run(["hook", "run", "--event", "command:new"]).expect(0);
        assert!(person.stdout.starts_with(&line), "{mode}: {}", person.stdout);
        assert_eq!(api.seen().len(), 0);
    }
}

#[test]
fn the_hook_does_not_count_days_that_a_token_says_in_milliseconds() {
    let env = TestEnv::new();
    let odd = token(SECRET, json!({"namespace": "alice", "exp": (now() + 3600) * 1000}));
    let login = env.run(["login", "--api-url", &nobody(), "--owner-token-stdin"]);
    login.stdin(odd).expect(0);
    let event = r#"{"type":"gateway","action":"startup"}"#;
    let answer = env.run(["hook", "run"]).stdin(event).expect(0).stdout;
    assert!(answer.contains("owner token without an expiry"), "{answer}");
}

#[test]
fn a_token_that_watch_obtains_goes_to_no_other_users_server() {
    let Some(api) = strangers_api("only Sigilum knows") else {
        return;
    };
    let env = TestEnv::new();
    let new = env.log_in_managed_at(&api, 1_000);
    let old = env::watching::token("only Sigilum knows", "alice", 900, 1_000);
    env.write(".openclaw/.sigilum/owner-token-alice.jwt", &old);
    env.change_config(&new, &old);
    let command = format!("echo {}", env::watching::managed_token("alice", 50_000));
    let output = env.run(["watch", "--once", "--token-command", &command]).expect(6);
    assert!(
        output.stderr.contains("another user of this machine"),
        "{}",
        output.stderr
    );
    assert_eq!((stored(&env), api.seen().len()), (old, 0));
}

/// `auth status --json` of alice's, and what it and `hook status` tell.
fn statuses(env: &TestEnv, code: i32) -> (serde_json::Value, [String; 2]) {
    let status = env
        .run(["auth", "status", "--json", "--namespace", "alice"])
        .expect(code);
    let texts = ["auth", "hook"].map(|command| env.run([command, "status", "--namespace", "alice"]).output().stdout);
    (serde_json::from_str(&status.stdout).unwrap(), texts)
}

#[test]
fn a_status_tells_what_the_api_says_of_the_token() {
    let mut cases = behaviours();
    cases.push((Fault::None, "API check:     accepted", true));
    cases.push((
        Fault::Status(403, "FORBIDDEN"),
        "API check:     refused: the API says that the owner token is not for this namespace (403)",
        false,
    ));
    for (fault, says, is_fine) in cases {
        let env = TestEnv::new();
        let api = Api::start(SECRET);
        let given = api.token("alice", 3600);
        let login = env.run([
            "login",
            "--mode",
            "managed",
            "--api-url",
            &api.url(),
            "--owner-token-stdin",
        ]);
        login.args(["--no-check"]).stdin(given.as_str()).expect(0);
        api.fault(fault.clone());
        let (status, texts) = statuses(&env, if is_fine { 0 } else { 4 });
        let result = says["API check:     ".len()..]
            .split(':')
            .next()
            .unwrap()
            .replace(' ', "_");
        assert_eq!(status["api_check"]["result"], result, "{status}");
        // "valid" is nobody's word but the API's.
        let state = if result == "not_checked" {
            "not_expired"
        } else {
            &result
        };
        assert_eq!(status["state"], state, "{fault:?}");
        assert!(!texts.iter().any(|text| text.contains("valid")), "{texts:?}");
        assert!(texts.iter().all(|text| text.contains(says)), "{says}: {texts:?}");
        // Each asked once, with the token that the hook would send.
        assert_eq!(api.seen().len(), 3, "{fault:?}");
        let sent = format!("Bearer {given}");
        assert!(api.seen().iter().all(|seen| seen.headers["authorization"] == sent));
    }
    let env = TestEnv::new();
    let login = env.run(["login", "--api-url", &nobody(), "--owner-token-stdin"]);
    login.stdin(token(SECRET, json!({"namespace": "alice"}))).expect(0);
    let (status, texts) = statuses(&env, 0);
    assert_eq!(status["api_check"]["result"], "not_checked");
    let says = "API check:     not checked: nothing listens there";
    assert!(texts.iter().all(|text| text.contains(says)), "{texts:?}");
}

#[test]
fn a_status_shows_a_token_of_a_known_secret_to_nobody() {
    for (secret, result, code) in [(SECRET, "accepted", 0), ("another", "refused", 4)] {
        let env = TestEnv::new();
        let api = Api::start(secret);
        let login = env
            .login()
            .args(["--api-url", &api.url(), "--no-check", "--enable-authz-notify", "true"]);
        login.env("JWT_SECRET", SECRET).expect(0);
        let status = |known: &str| {
            let run = env.run(["auth", "status", "--json"]).env("JWT_SECRET", known);
            serde_json::from_str::<serde_json::Value>(&run.expect(code).stdout).unwrap()
        };
        assert_eq!(status(SECRET)["api_check"]["result"], result);
        let bearer = |index: usize| api.seen()[index].headers["authorization"]["Bearer ".len()..].to_owned();
        let probe = claims::inspect(&bearer(0).as_str().into()).unwrap();
        assert!(probe.namespace.starts_with("probe-"), "{probe:?}");
        // Without its secret, the token itself is asked about.
        assert_eq!(status("")["api_check"]["result"], result);
        assert_eq!(bearer(1), stored(&env));
    }
}

#[test]
fn a_status_tells_of_the_token_that_the_hook_uses() {
    let api = Api::start(JWT_SECRET);
    let hook = |env: &TestEnv| env.run(["hook", "run", "--event", "command:new"]).expect(0).stdout;
    let in_entry = "the token in openclaw.json is used, as nobody has logged in to this home";

    // Nobody has logged in: the entry's own token goes to the entry's API, file or no file.
    for in_file in [false, true] {
        let home = Installed::new(&api.url(), in_file, 3600);
        let (status, texts) = statuses(&home.env, 0);
        assert_eq!(
            (&status["state"], &status["token_from"]),
            (&json!("accepted"), &json!("openclaw.json"))
        );
        assert_eq!(status["api_check"]["result"], "accepted");
        assert_eq!(
            (&status["mode"], &status["api_url"]),
            (&json!("oss-local"), &json!(api.url()))
        );
        assert!(texts.iter().all(|text| text.contains(in_entry)), "{texts:?}");
        assert!(hook(&home.env).contains("Nothing waits for approval"));
    }
    let home = Installed::new(&api.url(), false, -60);
    let (status, _) = statuses(&home.env, 4);
    assert_eq!(
        (&status["state"], &status["token_from"]),
        (&json!("expired"), &json!("openclaw.json"))
    );

    // Somebody has: the entry's token is nothing to the hook.
    let env = &home.env;
    let given = api.token("alice", 3600);
    let login = env.run([
        "login",
        "--mode",
        "managed",
        "--api-url",
        &api.url(),
        "--owner-token-stdin",
    ]);
    login
        .args(["--token-in-config", "true"])
        .stdin(given.as_str())
        .expect(0);
    std::fs::remove_file(env.sigilum("owner-token-alice.jwt")).unwrap();
    let (status, texts) = statuses(env, 4);
    assert_eq!(
        (&status["state"], &status["token_from"]),
        (&json!("missing"), &json!("the token file"))
    );
    assert!(status["api_check"].is_null(), "{status}");
    assert!(
        texts.iter().all(|text| text.contains("the token file: none")),
        "{texts:?}"
    );
    assert!(hook(env).contains("there is no owner token"));

    // A token of which nobody recorded where it goes stays where it is.
    let env = TestEnv::new();
    env.write(".openclaw/.sigilum/owner-token-alice.jwt", api.token("alice", 3600));
    let asked = api.seen().len();
    let (status, texts) = statuses(&env, 4);
    assert_eq!(status["state"], "unusable");
    assert!(
        texts
            .iter()
            .all(|text| text.contains("no login recorded which API it is for")),
        "{texts:?}"
    );
    assert_eq!(api.seen().len(), asked);
}
