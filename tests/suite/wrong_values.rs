//! A value that cannot be used: the message names what held it, and the step mends it there.

use crate::env::watching::managed_token;
use crate::env::{Output, TestEnv, added};

const LOGIN: &[&str] = &["auth", "login", "--mode", "oss-local", "--print-token", "false"];
const LOCAL: &str = "sigilum-authz-notify auth login --mode oss-local --namespace alice";

/// Where the value stands.
enum Held {
    Flag(&'static str, &'static str),
    Variable(&'static str, &'static str),
    /// A member of the record.
    Record(&'static str, &'static str),
    /// The hook's entry, in a home without a record.
    Entry(&'static str, &'static str),
    /// Sigilum's own `config.env`.
    SigilumConfig(&'static str),
    /// The name of a file in `.sigilum`.
    FileName(&'static str),
}

use Held::{Entry, FileName, Flag, Record, SigilumConfig, Variable};

/// What holds it, a command, the message's begin, and its step.
type Row = (Held, &'static [&'static str], &'static str, &'static str);

fn rows() -> Vec<Row> {
    const SHOW: &[&str] = &["auth", "show"];
    const STATUS: &[&str] = &["auth", "status"];
    const RUN: &[&str] = &["hook", "run", "--event", "command:new"];
    const LIST: &[&str] = &["authz", "list"];
    const SERVICES: &[&str] = &["service", "list"];
    const ALICES: &[&str] = &[
        "service",
        "add",
        "linear",
        "--mode",
        "gateway",
        "--upstream-base-url",
        "https://a.example",
        "--namespace",
        "alice",
    ];
    const GUESS: &str = "add --namespace johndee, for example";
    let mut rows: Vec<Row> = vec![
        (
            Flag("--namespace", "x"),
            SHOW,
            "invalid namespace \"x\" (from --namespace)",
            "give another one, for example: --namespace johndee",
        ),
        (
            SigilumConfig("x"),
            SHOW,
            "invalid namespace \"x\" (from PERSON/.sigilum/config.env)",
            "add --namespace johndee, for example; or correct PERSON/.sigilum/config.env",
        ),
        (
            Entry("SIGILUM_NAMESPACE", "x"),
            RUN,
            "invalid namespace \"x\" (from the hook's entry in openclaw.json: a guess)",
            GUESS,
        ),
        (
            FileName("owner-token-x.jwt"),
            SHOW,
            "invalid namespace \"x\" (from the only token file there is)",
            GUESS,
        ),
        (
            FileName("owner-x.json"),
            STATUS,
            "invalid namespace \"x\" (from the newest record)",
            GUESS,
        ),
        (
            Flag("--api-url", "foo"),
            LOGIN,
            "invalid API URL (from --api-url)",
            "give another one, for example: --api-url http://127.0.0.1:8787",
        ),
        (
            Record("api_url", "foo"),
            RUN,
            "invalid API URL (from the record of the last login)",
            "log in with another one, for example: LOCAL --api-url http://127.0.0.1:8787",
        ),
        (
            Record("email", "foo"),
            SHOW,
            "invalid e-mail \"foo\" (from the record of the last login)",
            "log in with another one, for example: LOCAL --email johndee@example.com",
        ),
        (
            Entry("SIGILUM_MODE", "foo"),
            RUN,
            "invalid mode \"foo\" (from the hook's entry in openclaw.json: a guess)",
            "log in with another one, for example: sigilum-authz-notify auth login --mode oss-local",
        ),
        (
            Flag("--email", "foo"),
            LOGIN,
            "invalid e-mail \"foo\" (from --email)",
            "give another one, for example: --email johndee@example.com",
        ),
        (
            Flag("--ttl-seconds", "0"),
            LOGIN,
            "invalid token life (from --ttl-seconds)",
            "give another one, for example: --ttl-seconds 604800",
        ),
        (
            Flag("--gateway-admin-url", " "),
            ALICES,
            "invalid admin address of the Sigilum gateway (from --gateway-admin-url)",
            "give another one, for example: --gateway-admin-url http://127.0.0.1:38100",
        ),
        (
            Flag("--gateway-admin-url", "foo"),
            ALICES,
            "invalid admin address of the Sigilum gateway (from --gateway-admin-url)",
            "give another one, for example: --gateway-admin-url http://127.0.0.1:38100",
        ),
    ];
    for name in ["SIGILUM_NAMESPACE", "GATEWAY_SIGILUM_NAMESPACE"] {
        for command in [
            SHOW,
            STATUS,
            LOGIN,
            RUN,
            LIST,
            SERVICES,
            &["hook", "install"],
            &["doctor"],
        ] {
            let step = "unset NAME; or set it to another, such as johndee";
            rows.push((
                Variable(name, "x"),
                command,
                "invalid namespace \"x\" (from NAME)",
                step,
            ));
        }
    }
    // As a script leaves it that had no value.
    for name in ["undefined", "null"] {
        let step = "unset NAME; or set it to another, such as johndee";
        let what = format!("invalid namespace {name:?} (from NAME)").leak();
        rows.push((Variable("SIGILUM_NAMESPACE", name), LOGIN, what, step));
    }
    // What cannot be a namespace is no guess.
    for command in [SHOW, STATUS, RUN, LIST] {
        let what = "nobody is logged in, and no namespace is known";
        let step = "sigilum-authz-notify auth login --mode managed --owner-token-stdin";
        rows.push((Variable("USER", "x y"), command, what, step));
    }
    for command in [LOGIN, SERVICES] {
        rows.push((Variable("USER", "x y"), command, "could not tell the namespace", GUESS));
    }
    for command in [LOGIN, RUN, LIST, STATUS] {
        let step = "unset NAME; or set it to another, such as http";
        let what = "invalid API URL (from NAME)";
        rows.push((Variable("SIGILUM_API_URL", "foo"), command, what, step));
    }
    for (name, value, command, what, step) in [
        (
            "SIGILUM_MODE",
            "foo",
            SHOW,
            "invalid mode \"foo\" (from NAME)",
            "unset NAME; or set it to another, such as oss-local",
        ),
        (
            "SIGILUM_OWNER_EMAIL",
            "foo",
            LOGIN,
            "invalid e-mail \"foo\" (from NAME)",
            "unset NAME; or set it to another, such as johndee@example.com",
        ),
        (
            "SIGILUM_OWNER_TOKEN_TTL_SECONDS",
            "a week",
            LOGIN,
            "invalid token life (from NAME)",
            "unset NAME; or set it to another, such as 604800",
        ),
        (
            "GATEWAY_ADMIN_URL",
            "foo",
            ALICES,
            "invalid admin address of the Sigilum gateway (from NAME)",
            "unset NAME; or set it to another, such as http://127.0.0.1:38100",
        ),
        (
            "SIGILUM_SOURCE_HOME",
            "/nowhere/at-all",
            LOGIN,
            "could not open the Sigilum checkout: /nowhere/at-all",
            "unset NAME; or name one that is there with --source-home",
        ),
        (
            "SIGILUM_API_DB",
            "/nowhere/at-all",
            SERVICES,
            "could not use the local API database: /nowhere/at-all",
            "unset NAME; or sigilum-authz-notify auth login",
        ),
        (
            "OPENCLAW_PROFILE",
            "a b",
            SHOW,
            "could not find the OpenClaw home: OPENCLAW_PROFILE",
            "unset NAME; or set it to another, such as work",
        ),
    ] {
        rows.push((Variable(name, value), command, what, step));
    }
    rows
}

/// The same command again, once its step is carried out as it is printed.
fn again(env: &TestEnv, step: &str, words: &[&str], held: &Held) -> Output {
    let (typed, mut before) = (words, ":");
    let mut words: Vec<String> = typed.iter().map(|word| (*word).to_owned()).collect();
    if let Some(example) = step.strip_prefix("give another one, for example: ") {
        // In the place of the wrong one, which stands last.
        words.truncate(typed.len() - 2);
        words.extend(shell_words::split(example).unwrap());
    } else if step.starts_with("add ") {
        words.extend(added(step));
    } else {
        before = step;
    }
    let run = env.step_then(before, &words).stdin(managed_token("alice", 5_000));
    let run = match held {
        Variable(variable, value) => run.env(variable, value),
        _ => run,
    };
    run.output()
}

#[test]
fn each_wrong_value_is_blamed_on_what_held_it() {
    let mut faults = Vec::new();
    for (held, command, what, step) in rows() {
        let env = TestEnv::new();
        let mut words = command.to_vec();
        let mut name = "";
        let logs_in = matches!(held, Record(..)) || words.contains(&"--namespace");
        if logs_in {
            env.run(LOGIN).args(["--namespace", "alice"]).expect(0);
        }
        match held {
            Flag(flag, value) => words.extend([flag, value]),
            Variable(variable, _) => name = variable,
            Record(member, value) => {
                let path = env.openclaw().join(".sigilum/owner-alice.json");
                let text = std::fs::read(&path).unwrap();
                let mut record: serde_json::Value = serde_json::from_slice(&text).unwrap();
                record[member] = value.into();
                std::fs::write(path, record.to_string()).unwrap();
            }
            Entry(variable, value) => {
                let entry = serde_json::json!({"enabled": true, "env": {variable: value}});
                let config = serde_json::json!({"hooks": {"internal": {"entries": {"sigilum-authz-notify": entry}}}});
                env.write(env.config(), config.to_string());
            }
            SigilumConfig(value) => {
                env.write(".sigilum/config.env", format!("SIGILUM_NAMESPACE={value}\n"));
            }
            FileName(file) => {
                let record = r#"{"format":2,"mode":"oss-local","api_url":"http://127.0.0.1:9","email":"a@b.example"}"#;
                env.write(env.openclaw().join(".sigilum").join(file), record);
            }
        }
        let run = env.run(&words);
        let run = match held {
            Variable(variable, value) => run.env(variable, value),
            _ => run,
        };
        let said = run.output();
        let home = env.home().to_str().unwrap();
        let whole = |text: &str| {
            text.replace("NAME", name)
                .replace("PERSON", home)
                .replace("LOCAL", LOCAL)
        };
        let text = format!("{}{}", said.stdout, said.stderr);
        let lines: Vec<&str> = text.lines().collect();
        let at = lines.iter().position(|line| line.contains(&whole(what)));
        let next = at.and_then(|at| lines.get(at + 1)).map(|line| line.trim_start());
        let wanted = format!("next: {}", whole(step));
        let is_right = next.is_some_and(|next| next.starts_with(&wanted));
        let step = next.and_then(|next| next.strip_prefix("next: ")).unwrap_or_default();
        if is_right {
            let now = again(&env, step, &words, &held);
            let says_the_same = format!("{}{}", now.stdout, now.stderr).contains(&whole(what));
            if says_the_same || now.code == 99 {
                faults.push(format!("{words:?} {name}: {step}: {now:#?}"));
            }
        }
        // A guess that cannot be one is not told as taken.
        if !is_right || text.contains("taking x y") || said.code == 0 {
            faults.push(format!(
                "{words:?} {name}: wanted {:?}, {wanted:?}\n{text}",
                whole(what)
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_value_of_a_flag_that_is_none_is_answered_with_what_is_expected_and_an_example() {
    let seconds = "give a whole number of seconds, such as 604800 for 7 days";
    let wait = "give a whole number of seconds from 0 to 3600, such as 60";
    let time = "give a whole number of minutes, hours or days, a year at most: 30m, 1h, 3d";
    let fraction = "give a fraction between 0 and 1, such as 0.25";
    for (words, expected) in [
        ("watch --renew-at x", fraction),
        ("watch --renew-at 1.5", "use a fraction between 0 and 1"),
        ("watch --renew-at -1", "use a fraction between 0 and 1"),
        ("watch --seed x", "give a whole number, such as 7"),
        ("service rotate-key linear --wait abc", wait),
        ("service rotate-key linear --wait -1", wait),
        ("service rotate-key linear --wait 3601", wait),
        ("auth login --ttl-seconds -5", seconds),
        ("auth login --ttl-seconds=-5", seconds),
        ("auth login --ttl-seconds week", seconds),
        ("auth login --ttl-seconds 99999999999999999999999", seconds),
        ("authz approve cl_0a1b2c3d --for -1h", time),
        ("authz approve cl_0a1b2c3d --for soon", time),
        ("auth login --mode local", "[possible values: managed, oss-local]"),
        (
            "auth login --mode oss-local --email nope",
            "it is not of the form name@host",
        ),
        ("auth login --mode oss-local --token-file /", "it is a folder: /"),
        ("auth show --token-file /", "--token-file /owner-token.jwt"),
        ("auth show --token-file .", "it is a folder"),
    ] {
        let env = TestEnv::new();
        let output = env.run(words.split(' ')).expect(2);
        assert!(output.stderr.contains(expected), "{words}: {}", output.stderr);
        for jargon in ["invalid digit", "float literal", "target type", "unexpected argument"] {
            assert!(!output.stderr.contains(jargon), "{words}: {}", output.stderr);
        }
    }
}

/// What the person typed comes along: the API that the token is for, and the file that it is to lie in.
#[test]
fn a_login_that_a_step_names_is_for_the_same_api_and_file() {
    let env = TestEnv::new();
    let there = ["--api-url", "http://127.0.0.1:9", "--token-file"];
    let file = env.home().join("a token.jwt");
    let login = ["auth", "login", "--mode", "managed", "--namespace", "alice"];
    let output = env.run(login).args(there).args([&file]).expect(4);
    let step = output.stderr.split_once("--owner-token-stdin").unwrap().1;
    for part in [
        "--namespace alice",
        "--api-url http://127.0.0.1:9",
        &format!("--token-file '{}'", file.display()),
    ] {
        assert!(step.contains(part), "{part}: {step}");
    }
    let output = env.run(["auth", "show", "--token-file"]).args([&file]).output();
    let step = output.stderr.split_once("next: ").unwrap().1;
    assert!(step.contains(&format!("--token-file '{}'", file.display())), "{step}");
}

/// Nobody typed it just now: the step says where it is from.
#[test]
fn a_checkout_that_only_the_record_names_is_told_with_its_origin() {
    let env = TestEnv::new();
    let checkout = crate::env::local_api::FakeCheckout::new(&env);
    let home = ["--namespace", "alice", "--source-home"];
    env.run(LOGIN).args(home).args([&checkout.root]).expect(0);
    std::fs::rename(&checkout.root, env.home().join("moved")).unwrap();
    let output = env.run(["auth", "refresh", "--namespace", "alice"]).expect(7);
    let step =
        "next: name one that is there with --source-home; the checkout is named by the record of the last login\n";
    assert!(output.stderr.ends_with(step), "{}", output.stderr);
}

/// A screen, a CI's log and a mail of cron keep what is printed.
#[test]
fn a_secret_that_was_typed_in_the_wrong_place_is_not_shown() {
    let token = managed_token("alice", 5_000);
    let (key, opaque) = (
        "sk_live_0123456789abcdef0123456789abcdef",
        "a1b2c3d4e5f60718293a4b5c6d7e8f90",
    );
    let env = TestEnv::new();
    for (words, code) in [
        (vec!["auth", "login", &token], 2),
        (vec!["auth", "login", "--owner-token-stdin", &token], 2),
        (vec!["auth", "switch", &token], 2),
        (vec!["auth", "show", "--namespace", &token], 2),
        (vec!["auth", "login", "--mode", "managed", "--api-url", &token], 2),
        (vec!["auth", "login", "--ttl-seconds", opaque], 2),
        (vec![opaque], 2),
        (vec!["service", "secret", "set", "mail", opaque], 2),
        (
            vec!["service", "secret", "set", "mail", "--upstream-secret-env", key],
            7,
        ),
        (
            vec!["service", "secret", "set", "mail", "--upstream-secret-env", opaque],
            7,
        ),
        (
            vec!["service", "secret", "set", "mail", "--upstream-secret-file", opaque],
            7,
        ),
    ] {
        let output = env.run(&words).expect(code);
        for secret in [token.as_str(), key, opaque] {
            assert!(!output.stderr.contains(&secret[..16]), "{words:?}: {}", output.stderr);
        }
        assert_eq!(output.stdout, "", "{words:?}");
    }
    // What a name is it is shown as.
    let output = env.run([
        "service",
        "secret",
        "set",
        "mail",
        "--upstream-secret-env",
        "MAIL_KEY_2",
    ]);
    let output = output.expect(7);
    assert!(output.stderr.contains("\"MAIL_KEY_2\" is not set"), "{}", output.stderr);
    let output = env.run(["auth", "logni"]).expect(2);
    assert!(output.stderr.contains("logni"), "{}", output.stderr);
}

#[test]
fn a_folder_in_the_place_of_a_config_is_told() {
    let env = TestEnv::new();
    env.write_config("{gateway: {mode: 'local'}}");
    let login = |config: &str| env.login().args(["--config", config]);
    let told = login(env.openclaw().to_str().unwrap()).expect(3).stderr;
    let step = format!("  next: name the file in it: --config {}\n", env.config().display());
    assert!(told.ends_with(&step), "{told}");
    login(env.config().to_str().unwrap()).expect(0);
    let told = login(env.home().to_str().unwrap()).expect(3).stderr;
    assert!(told.ends_with("  next: name a file, not a folder\n"), "{told}");
    login(env.home().join("another.json").to_str().unwrap()).expect(0);
}

#[test]
fn an_api_url_without_its_scheme_is_shown_with_it() {
    let env = TestEnv::new();
    for (typed, shown) in [
        ("localhost:18701", "http://localhost:18701"),
        ("127.0.0.1:18701", "http://127.0.0.1:18701"),
        ("api.example:8443", "https://api.example:8443"),
        ("alice:secret@api.example", "http://127.0.0.1:8787"),
        ("ftp://api.example", "http://127.0.0.1:8787"),
    ] {
        let told = env.login().args(["--api-url", typed]).expect(2).stderr;
        assert!(told.ends_with(&format!(": --api-url {shown}\n")), "{typed}: {told}");
    }
}

#[test]
fn a_life_of_a_token_that_was_given_is_a_warning() {
    let env = TestEnv::new();
    let login = env
        .login()
        .args(["--owner-token-stdin", "--ttl-seconds", "60", "--no-check"]);
    let token = crate::env::watching::managed_token("alice", 5_000);
    let told = login.stdin(token).expect(0).stderr;
    assert!(told.contains("warning: --ttl-seconds changes nothing"), "{told}");
}

/// A namespace that no login makes is in no step.
#[test]
fn a_switch_to_what_is_no_namespace_advises_a_login_without_it() {
    let env = TestEnv::new();
    for name in ["Bad_Name", "ab"] {
        let told = env.run(["auth", "switch", name]).expect(2).stderr;
        let step = "  next: sigilum-authz-notify auth login --mode managed --owner-token-stdin\n";
        assert!(told.ends_with(step), "{told}");
    }
}
