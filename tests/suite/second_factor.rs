//! The second factor of whoever decides through a broker: set up in a terminal, kept, spent, locked and unlocked.

use crate::env::{self, TestEnv, mode, now};
use secrecy::SecretString;
use sigilum_authz_notify::authz::decide;
use sigilum_authz_notify::broker::codes::Verdict;
use sigilum_authz_notify::broker::totp;
use sigilum_authz_notify::home::OpenClawHome;
use std::fs;
use std::path::{Path, PathBuf};
use totp_rs::{Builder, Secret, Totp};

/// The app, which knows the secret of a URI.
fn app(uri: &str) -> Totp {
    let secret = uri.split("secret=").nth(1).unwrap().split('&').next().unwrap();
    let secret = Secret::try_from_base32(secret.trim()).unwrap();
    Builder::new().with_secret(secret).build().unwrap()
}

fn code(app: &Totp, step: i64) -> SecretString {
    app.generate(u64::try_from(now() + 30 * step).unwrap())
        .to_string()
        .into()
}

fn enroll(env: &TestEnv, state: &PathBuf) -> Totp {
    enroll_by(env.run(["broker", "totp", "enroll", "--state"]).args([state]), state)
}

fn enroll_by(run: env::Run, state: &Path) -> Totp {
    let mut terminal = run.on_terminal(false);
    terminal.wait_for("The code that the app shows:");
    let shown = terminal.shown();
    let uri = shown.lines().find(|line| line.contains("otpauth://totp/")).unwrap();
    assert!(uri.contains("issuer=Sigilum%20broker"), "{uri}");
    let app = app(uri);
    terminal.types("000000\n");
    terminal.wait_for("That is not its code");
    // As an app shows it.
    let right = app.generate(u64::try_from(now()).unwrap()).to_string();
    terminal.types(&format!("{} {}\n", &right[..3], &right[3..]));
    let output = terminal.end();
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(
        !output.stdout.contains("otpauth") && output.stdout.contains("is set up"),
        "{}",
        output.stdout
    );
    assert_eq!(mode(state.join(".sigilum/totp.json")), 0o600);
    app
}

fn locked_take(place: &OpenClawHome, code: &SecretString, at: i64) -> Verdict {
    let _lock = decide::lock(place).unwrap();
    totp::take(place, code, at).unwrap()
}

#[test]
fn set_up_in_a_terminal_and_each_code_counts_once() {
    let env = TestEnv::new();
    let state = env.home().join("state");
    fs::create_dir(&state).unwrap();
    let app = enroll(&env, &state);
    let place = OpenClawHome::at(state.clone());
    assert_eq!(
        locked_take(&place, &code(&app, 0), now()),
        Verdict::Wrong,
        "it was spent at the set-up"
    );
    assert_eq!(locked_take(&place, &code(&app, 1), now()), Verdict::Right);
    assert_eq!(locked_take(&place, &code(&app, 1), now()), Verdict::Wrong);

    // A new one only in place of the old one, if a person says so; a broken one counts for nothing.
    let again = || env.run(["broker", "totp", "enroll", "--state"]).args([&state]);
    let file = state.join(".sigilum/totp.json");
    let before = fs::read(&file).unwrap();
    assert_eq!(again().at_a_terminal("n\n").code, 1);
    let none = again().at_a_terminal("y\n000000\n000000\n000000\n");
    assert!(
        none.code == 1 && none.stderr.contains("next: run the command again"),
        "{none:#?}"
    );
    assert_eq!(fs::read(&file).unwrap(), before);
    fs::write(&file, "{}").unwrap();
    let error = totp::take(&place, &code(&app, 2), now()).unwrap_err();
    assert!(error.to_string().contains("broker totp enroll"), "{error}");
}

#[test]
fn nothing_is_set_up_or_unlocked_without_a_terminal() {
    let env = TestEnv::new();
    for verb in ["enroll", "unlock"] {
        let output = env.run(["broker", "totp", verb]).stdin("").expect(2);
        assert!(
            output.stderr.contains("in a terminal, as the broker's user"),
            "{}",
            output.stderr
        );
        assert!(!output.stderr.contains("otpauth") && output.stdout.is_empty());
    }
    assert!(!env.openclaw().exists());
    // In a terminal it asks, and where there is nothing to unlock the step sets it up.
    let state = env.write("state/.sigilum/owner-alice.json", "{}");
    let state = state.ancestors().nth(2).unwrap();
    let unlock = || env.run(["broker", "totp", "unlock", "--state"]).args([state]);
    let none = unlock().at_a_terminal("");
    let step = format!("sigilum-authz-notify broker totp enroll --state {}", state.display());
    assert!(
        none.code == 1 && none.stderr.contains(&format!("next: {step}")),
        "{none:#?}"
    );
    enroll_by(env.shell(&step), state);
    assert_eq!(unlock().at_a_terminal("").code, 0);
    // A folder that is not there was not meant.
    for command in ["log", "totp enroll", "totp unlock"] {
        let run = env.run(["broker"]).args(command.split(' ')).args(["--state", "none"]);
        let error = run.expect(2).stderr;
        assert!(error.contains("could not find the broker's folder: "), "{error}");
        assert!(error.contains("next: name the folder that broker run has"), "{error}");
    }
}

#[test]
fn wrong_codes_lock_until_a_person_unlocks_and_the_log_tells() {
    let env = TestEnv::new();
    let state = env.home().join("state");
    fs::create_dir(&state).unwrap();
    let app = enroll(&env, &state);
    let place = OpenClawHome::at(state.clone());
    let log = || env.run(["broker", "log", "--state"]).args([&state]).expect(0).stderr;
    for wrong in 1..=4 {
        assert_eq!(locked_take(&place, &"000000".into(), now()), Verdict::Wrong);
        assert!(
            log().contains(&format!("{wrong} wrong codes were given lately")),
            "{}",
            log()
        );
    }
    assert_eq!(locked_take(&place, &"000000".into(), now()), Verdict::Wrong);
    assert!(matches!(locked_take(&place, &code(&app, 1), now()), Verdict::Locked(_)));
    assert!(log().contains("deciding by code is locked until "), "{}", log());
    let unlocked = env
        .run(["broker", "totp", "unlock", "--state"])
        .args([&state])
        .at_a_terminal("");
    assert!(
        unlocked.stdout.starts_with("Codes count again"),
        "{}{}",
        unlocked.stdout,
        unlocked.stderr
    );
    assert_eq!(locked_take(&place, &code(&app, 1), now()), Verdict::Right);
}

/// Two at once with the same code, time and again: one counts.
#[test]
fn of_two_equal_codes_at_once_one_counts() {
    let env = TestEnv::new();
    let state = env.home().join("state");
    fs::create_dir(&state).unwrap();
    let app = enroll(&env, &state);
    let place = OpenClawHome::at(state);
    let base = env::now();
    for step in 2..8 {
        let at = base + 30 * step;
        let code: SecretString = app.generate(u64::try_from(at).unwrap()).to_string().into();
        let verdicts: Vec<Verdict> = std::thread::scope(|scope| {
            let taking: Vec<_> = (0..2).map(|_| scope.spawn(|| locked_take(&place, &code, at))).collect();
            taking.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let right = verdicts.iter().filter(|verdict| **verdict == Verdict::Right).count();
        assert_eq!(right, 1, "{verdicts:?}");
        // Wrong ones are not to lock the next step.
        let mut factor = totp::SecondFactor::read(&place).unwrap().unwrap();
        factor.ledger.unlock(now());
        factor.write(&place).unwrap();
    }
}
