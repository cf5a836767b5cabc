//! `setup`: questions at a terminal or flags alone, each step a command that could be typed, nothing written before a
//! person agrees, and all of it taken out again by `hook uninstall --purge`.

use crate::env::{self, Output, Run, TestEnv, added};

use env::watching::managed_token;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const AGREE: &str = "Run these commands? [y/N] ";

/// Every file below a folder, with its text.
fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            match entry.path().is_dir() {
                true => folders.push(entry.path()),
                // It names whoever had it last.
                false if entry.file_name() == "lock" => {}
                false => {
                    let bytes = std::fs::read(entry.path()).unwrap();
                    found.insert(entry.path(), String::from_utf8_lossy(&bytes).into_owned());
                }
            }
        }
    }
    found
}

/// A home that OpenClaw has set up.
fn home() -> TestEnv {
    let env = TestEnv::new();
    env.write_config("{\n  // mine\n  gateway: { mode: 'local' },\n}\n");
    env
}

fn setup(env: &TestEnv, flags: &str) -> Run {
    env.run(["setup"]).args(flags.split_whitespace())
}

/// The commands that were run, as printed.
fn steps(shown: &str) -> Vec<&str> {
    shown.lines().filter_map(|line| line.strip_prefix("$ ")).collect()
}

fn hook_record(env: &TestEnv) -> Value {
    serde_json::from_slice(&std::fs::read(env.sigilum("hook.json")).unwrap()).unwrap()
}

#[test]
fn flags_alone_set_up_a_local_sigilum_and_purge_undoes_it() {
    let env = home();
    let before = files(env.home());
    let flags = "--mode oss-local --namespace alice --as plugin --unit false --yes --notify matrix:@alice:localhost";
    let output = setup(&env, flags).output();
    assert_eq!(output.code, 0, "{output:?}");
    let login = "sigilum-authz-notify auth login --mode oss-local --namespace alice --print-token false";
    let install = "sigilum-authz-notify hook install --as plugin --notify matrix:@alice:localhost";
    let doctor = "sigilum-authz-notify doctor";
    assert_eq!(steps(&output.stdout), [login, install, doctor]);
    let plan = output.stdout.find(&format!("1. {login}\n")).unwrap();
    let writes = output
        .stdout
        .find(&format!("writes {}", env.config().display()))
        .unwrap();
    assert!(
        plan < writes && writes < output.stdout.find("\n$ ").unwrap(),
        "{}",
        output.stdout
    );
    let token = env.stored().unwrap();
    assert!(!output.stdout.contains(&token) && !output.stderr.contains(&token));
    let record = hook_record(&env);
    assert_eq!(
        (&record["namespace"], &record["notify"]),
        (&json!("alice"), &json!("matrix:@alice:localhost"))
    );
    assert!(env.sigilum("plugin").is_dir());

    // Again, with nothing but the consent: what is there stays.
    let after = files(env.home());
    let output = setup(&env, "--yes").output();
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(
        steps(&output.stdout),
        ["sigilum-authz-notify hook install --as plugin", doctor]
    );
    assert_eq!(files(env.home()), after);

    env.run(["hook", "uninstall", "--purge"]).expect(0);
    assert_eq!(files(env.home()), before);
    assert!(!env.openclaw().join(".sigilum").exists());
}

#[test]
fn what_no_flag_says_is_asked_for_and_a_refused_answer_writes_nothing() {
    let env = home();
    let before = files(env.home());
    for agrees in [false, true] {
        let mut terminal = setup(&env, "").on_terminal(true);
        terminal.wait_for("(managed) or a local API (oss-local)?:");
        terminal.types("perhaps\n");
        terminal.wait_for("note: answer managed or oss-local");
        terminal.types("local\n");
        terminal.wait_for("Where is its API? [http://127.0.0.1:8787]:");
        terminal.types("http://127.0.0.1:9\n");
        terminal.wait_for("(none: a database of our own)? [none]:");
        terminal.types("\n");
        terminal.wait_for("Which namespace is yours? [tester]:");
        terminal.types("alice\n");
        terminal.wait_for("or as hook? [hook]:");
        terminal.types("plugin\n");
        terminal.wait_for("separated by commas)? [none]:");
        terminal.types("alice\n");
        terminal.wait_for("it names no channel");
        terminal.types("telegram:123456789\n");
        terminal.wait_for("told at once of requests (such as matrix:@alice:localhost)? [none]:");
        terminal.types("\n");
        terminal.wait_for("whether OpenClaw runs or not? [no]:");
        terminal.types("\n");
        terminal.wait_for(AGREE);
        assert_eq!(files(env.home()), before, "nothing is written before the consent");
        terminal.types(if agrees { "y\n" } else { "\n" });
        let output = terminal.end();
        if !agrees {
            assert_eq!(output.code, 1, "{}", output.stderr);
            assert!(
                output.stderr.ends_with("error: nothing was changed\n"),
                "{}",
                output.stderr
            );
            assert_eq!(files(env.home()), before);
            assert!(!env.openclaw().join(".sigilum").exists());
            continue;
        }
        assert_eq!(output.code, 0, "{}", output.stderr);
        let expected = [
            "sigilum-authz-notify auth login --mode oss-local --namespace alice --api-url http://127.0.0.1:9 \
             --print-token false",
            "sigilum-authz-notify hook install --as plugin --deciders telegram:123456789",
            "sigilum-authz-notify doctor",
        ];
        assert_eq!(steps(&output.stderr), expected);
        assert_eq!(hook_record(&env)["deciders"], json!(["telegram:123456789"]));
    }
    // What is there is offered.
    let mut terminal = setup(&env, "").on_terminal(true);
    for offered in [
        "(oss-local)? [oss-local]:",
        "API? [http://127.0.0.1:9]:",
        "[none]:",
        "yours? [alice]:",
        "[plugin]:",
        "[telegram:123456789]:",
        "matrix:@alice:localhost)? [none]:",
        "or not? [no]:",
    ] {
        terminal.wait_for(offered);
        terminal.types("\n");
    }
    terminal.wait_for(AGREE);
    terminal.types("y\n");
    let output = terminal.end();
    assert_eq!(
        steps(&output.stderr),
        [
            "sigilum-authz-notify hook install --as plugin",
            "sigilum-authz-notify doctor"
        ]
    );
}

#[test]
fn a_token_of_the_hosted_sigilum_is_taken_hidden() {
    let token = managed_token("alice", 5_000);
    let env = home();
    let mut terminal = setup(&env, "--mode managed --as hook --unit false").on_terminal(true);
    terminal.wait_for("Where is its API? [");
    terminal.types("\n");
    terminal.wait_for("then press Enter: ");
    assert!(!terminal.echoes());
    terminal.types(&format!("{token}\n"));
    terminal.wait_for("told at once");
    terminal.types("\n");
    terminal.wait_for(AGREE);
    terminal.types("y\n");
    let (output, echoes) = terminal.end_and_echo();
    assert!(echoes);
    let shown = &output.stderr;
    assert_eq!(env.stored().as_ref(), Some(&token), "{shown}");
    assert!(!shown.contains(&token[..60]), "{shown}");
    let login = "sigilum-authz-notify auth login --mode managed --owner-token-stdin --print-token false";
    assert_eq!(steps(shown)[0], login);

    // Piped in, and kept the next time.
    let env = home();
    let flags = "--mode managed --as hook --unit false --yes";
    let output = setup(&env, flags)
        .args(["--owner-token-stdin"])
        .stdin(format!("{token}\n"))
        .output();
    assert_eq!(env.stored().as_ref(), Some(&token), "{output:?}");
    assert_eq!(steps(&output.stdout)[0], login);
    let output = setup(&env, flags).output();
    assert_eq!(steps(&output.stdout)[0], "sigilum-authz-notify hook install --as hook");
    // What is no token is refused before anything is asked or written.
    let env = home();
    let before = files(env.home());
    let output = setup(&env, flags)
        .args(["--owner-token-stdin"])
        .stdin("no token")
        .expect(4);
    assert!(
        output
            .stderr
            .contains("could not use the owner token from standard input"),
        "{}",
        output.stderr
    );
    assert_eq!(files(env.home()), before);
}

#[test]
fn without_a_terminal_a_missing_answer_is_a_usage_error() {
    let env = home();
    let before = files(env.home());
    for (flags, what, next) in [
        (
            "",
            "there is nobody to ask: which Sigilum, and whose token",
            "next: add --mode managed --owner-token-stdin --yes; with a local API instead: --mode oss-local --namespace \
             <yours> --yes\n",
        ),
        (
            "--yes --namespace alice",
            "there is nobody to ask: which Sigilum, and whose token",
            "next: add --mode managed --owner-token-stdin; with a local API instead: --mode oss-local\n",
        ),
        (
            "--mode managed",
            "the owner token of the hosted Sigilum",
            "next: add --owner-token-stdin --yes\n",
        ),
        (
            "--mode managed --yes",
            "the owner token of the hosted Sigilum",
            "next: add --owner-token-stdin\n",
        ),
        (
            "--mode oss-local --yes",
            "which namespace is yours",
            "next: add --namespace <yours>\n",
        ),
        (
            "--mode oss-local --namespace alice",
            "could not ask whether to run these commands: there is no terminal",
            "next: add --yes\n",
        ),
    ] {
        let output = setup(&env, flags).expect(2);
        assert!(
            output.stderr.contains(what) && output.stderr.ends_with(next),
            "{flags}: {}",
            output.stderr
        );
        assert_eq!(files(env.home()), before);
        assert!(!env.openclaw().join(".sigilum").exists());
        assert_steps_lead_through(flags, output);
    }
}

/// What is to be added, one step after the other, and then the commands run.
#[track_caller]
fn assert_steps_lead_through(flags: &str, mut output: Output) {
    let env = home();
    let mut flags = flags.to_owned();
    while output.code == 2 {
        let more = added(output.step()).join(" ").replace("<yours>", "alice");
        assert!(!flags.contains(&more), "the same again: {flags}: {output:#?}");
        flags = format!("{flags} {more}");
        output = setup(&env, &flags).stdin(managed_token("alice", 5_000)).output();
    }
    assert!(
        steps(&output.stdout)[0].contains(" auth login "),
        "{flags}: {output:#?}"
    );
}

#[test]
fn another_home_and_config_go_along_with_every_step() {
    let env = TestEnv::new();
    let (other, config) = (
        env.home().join("the other"),
        env.write("conf/claw.json", "{gateway: {mode: 'local'}}"),
    );
    let flags = "--mode oss-local --namespace alice --as hook --unit --yes";
    let place = [
        "--openclaw-home".into(),
        other.clone(),
        "--config".into(),
        config.clone(),
    ];
    let output = setup(&env, flags).args(place).output();
    let (home, conf) = (format!("--openclaw-home '{}'", other.display()), config.display());
    let expected = [
        format!(
            "sigilum-authz-notify auth login --mode oss-local --namespace alice --print-token false {home} --config {conf}"
        ),
        format!("sigilum-authz-notify hook install --as hook {home} --config {conf}"),
        format!("OPENCLAW_CONFIG_PATH={conf} sigilum-authz-notify watch --install-unit {home}"),
        format!("sigilum-authz-notify doctor {home} --config {conf}"),
    ];
    assert_eq!(steps(&output.stdout), expected, "{output:?}");
    let unit = env.home().join(".config/systemd/user/sigilum-authz-notify.service");
    if cfg!(target_os = "linux") {
        let unit = std::fs::read_to_string(unit).unwrap();
        assert!(unit.contains(&format!("OPENCLAW_CONFIG_PATH={conf}")), "{unit}");
    }
    assert!(!env.openclaw().exists());
}

/// A token of the hosted Sigilum is renewed by no service that has no token command; a service that does not run is told
/// at the end.
#[test]
fn a_service_that_renews_nothing_is_not_proposed_and_one_that_does_not_run_is_told() {
    let token = managed_token("alice", 500_000);
    let manager = "exit 1";
    for (more, installs) in [
        ("", false),
        (" --token-command /bin/true", true),
        (" --unit true", true),
    ] {
        let env = home();
        let path = env.manager(manager);
        let output = setup(
            &env,
            &format!("--mode managed --as hook --yes --owner-token-stdin{more}"),
        )
        .env("PATH", &path)
        .stdin(format!("{token}\n"))
        .output();
        let shown = &output.stdout;
        let unit = steps(shown).iter().any(|step| step.contains("watch --install-unit"));
        assert_eq!(unit, installs, "{shown}");
        let last = shown.split("$ sigilum-authz-notify doctor").nth(1).unwrap();
        let says = "a service is installed, and no watcher runs: ";
        assert_eq!(last.contains(says), installs, "{last}");
        assert!(!installs || !last.contains("all is well"), "{last}");
    }
}

#[test]
fn where_openclaw_is_not_known_the_plan_says_why_it_is_the_hook() {
    let why = "OpenClaw's version is not known, so it is the hook";
    let flags = "--mode oss-local --namespace alice --unit false --yes";
    for (config, more, says) in [
        ("{gateway: {mode: 'local'}}", "", true),
        ("{gateway: {mode: 'local'}}", " --as hook", false),
        (
            "{gateway: {mode: 'local'}, meta: {lastTouchedVersion: '2026.9.6'}}",
            "",
            false,
        ),
    ] {
        let env = TestEnv::new();
        env.write_config(config);
        let shown = setup(&env, &format!("{flags}{more}")).output().stdout;
        let plan = shown.split("\n$ ").next().unwrap();
        assert_eq!(plan.contains(why), says, "{shown}");
        assert_eq!(
            plan.contains("hook install --as hook"),
            says || !more.is_empty(),
            "{shown}"
        );
    }
}

#[test]
fn a_question_is_not_asked_for_ever() {
    let env = home();
    let mut terminal = setup(&env, "").on_terminal(true);
    for _ in 0..5 {
        terminal.wait_for("(oss-local)?:");
        terminal.types("perhaps\n");
        terminal.wait_for("answer managed or oss-local");
    }
    let output = terminal.end();
    assert_eq!(output.code, 2, "{}", output.stderr);
    let end = "there was no answer that can be used: Which Sigilum, the hosted one (managed) or a local API \
               (oss-local)?\n  next: add --mode managed, or --mode oss-local\n";
    assert!(output.stderr.ends_with(end), "{}", output.stderr);
}

#[test]
fn what_was_typed_for_a_later_step_is_refused_before_the_first() {
    for (flags, says) in [
        ("--notify foo", "invalid --notify"),
        ("--as plugin --deciders telegram:@bob", "known by a number of digits"),
        ("--as plugin --deciders bob", "it names no channel"),
        ("--unit true --token-command 'a", "a quote is not closed"),
    ] {
        let env = home();
        let before = files(env.home());
        let output = setup(&env, &format!("--mode oss-local --namespace alice --yes {flags}")).expect(2);
        assert!(output.stderr.contains(says), "{flags}: {}", output.stderr);
        assert!(!output.stderr.contains("steps"), "{}", output.stderr);
        assert_eq!(files(env.home()), before, "{flags}");
    }
}

#[test]
fn a_mistyped_token_is_asked_for_again() {
    let token = managed_token("alice", 5_000);
    let env = home();
    let mut terminal = setup(&env, "--mode managed --as hook --unit false").on_terminal(true);
    terminal.wait_for("Where is its API? [");
    terminal.types("\n");
    terminal.wait_for("then press Enter: ");
    terminal.types("no token\n");
    terminal.wait_for("could not use the owner token from the terminal");
    terminal.wait_for("then press Enter: ");
    terminal.types(&format!("{token}\n"));
    terminal.wait_for("told at once");
    terminal.types("\n");
    terminal.wait_for(AGREE);
    terminal.types("y\n");
    terminal.end();
    assert_eq!(env.stored().as_ref(), Some(&token));
}

/// Whose token is stored, and whom the hook speaks for, need not be the same.
#[test]
fn whoever_is_named_is_whom_the_hook_speaks_for() {
    let env = home();
    let flags = |namespace| format!("--mode oss-local --namespace {namespace} --as plugin --unit false --yes");
    for namespace in ["bob", "alice"] {
        setup(&env, &flags(namespace)).expect(0);
        assert_eq!(hook_record(&env)["namespace"], namespace);
    }
    let output = setup(&env, &flags("bob")).expect(0);
    let install = "sigilum-authz-notify hook install --as plugin --namespace bob";
    assert_eq!(steps(&output.stdout), [install, "sigilum-authz-notify doctor"]);
    assert_eq!(hook_record(&env)["namespace"], "bob");

    // As an answer too.
    let mut terminal = setup(&env, "--mode oss-local --as plugin --unit false").on_terminal(true);
    for answer in ["", "", "alice", "", "", "y", "y"] {
        terminal.wait_for(": ");
        terminal.types(&format!("{answer}\n"));
    }
    terminal.end();
    assert_eq!(hook_record(&env)["namespace"], "alice");
}

/// What `setup` has no flag for is a flag of the step that failed.
#[test]
fn a_step_that_needs_force_is_told_as_its_own_command() {
    let flags = "--mode oss-local --namespace alice --as hook --unit false --yes";
    let install = "sigilum-authz-notify hook install --as hook --force";
    let off = home();
    off.write_config("{hooks: {internal: {enabled: false, entries: {a: {enabled: true}}}}}");
    let changed = home();
    setup(&changed, flags).output();
    changed.write(".openclaw/hooks/sigilum-authz-notify/handler.js", "// mine\n");
    for (env, code, next) in [
        (off, 3, install.to_owned()),
        (
            changed,
            1,
            format!("look at them, then run the command again: {install}; the changed files are kept"),
        ),
    ] {
        let output = setup(&env, flags).expect(code);
        assert!(output.stderr.ends_with(&format!("\n  next: {next}\n")), "{output:#?}");
        env.carry_out(&output).expect(0);
        let again = setup(&env, flags).output();
        assert!(again.stdout.contains("\n$ sigilum-authz-notify doctor\n"), "{again:#?}");
    }
}

#[test]
fn the_plan_names_no_config_that_is_not_written() {
    for mode in ["0", "1"] {
        let env = home();
        let flags = "--mode oss-local --namespace alice --as hook --unit false --yes";
        let shown = setup(&env, flags).env("OPENCLAW_NIX_MODE", mode).output().stdout;
        let plan = shown.split("\n$ ").next().unwrap();
        let writes = |path: &Path| plan.contains(&format!("writes {}\n", path.display()));
        assert!(writes(&env.sigilum("hook.json")), "{plan}");
        assert_eq!(writes(&env.config()), mode == "0", "{plan}");
    }
}
