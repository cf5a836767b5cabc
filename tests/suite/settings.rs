//! Who wins among flags, environment, files and defaults, seen through `auth show`.

use crate::env;

use env::TestEnv;
use env::watching::managed_token;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A token file for a namespace, in a given OpenClaw home; its text says which home it is.
fn token(env: &TestEnv, home: &str, namespace: &str) {
    env.write(
        format!("{home}/.sigilum/owner-token-{namespace}.jwt"),
        format!("{home}:{namespace}\n"),
    );
}

/// Asserts which token `auth show` prints under these variables and flags.
#[track_caller]
fn shows(env: &TestEnv, vars: &[(&str, &str)], args: &[&str], expected: &str) {
    let mut run = env.run(["auth", "show"].iter().chain(args));
    for (name, value) in vars {
        run = run.env(name, value.replace("HOME", env.home().to_str().unwrap()));
    }
    // Exit code 4: what stands there names its place, and is no token.
    assert_eq!(run.expect(4).stdout.trim_end(), expected, "{vars:?} {args:?}");
}

#[test]
fn the_namespace_comes_from_the_strongest_source() {
    let env = TestEnv::new();
    for namespace in [
        "flag",
        "sig",
        "gateway",
        "hook",
        "older",
        "newest",
        "config-env",
        "entry",
        "tester",
    ] {
        token(&env, ".openclaw", namespace);
    }
    let all = [("SIGILUM_NAMESPACE", "sig"), ("GATEWAY_SIGILUM_NAMESPACE", "gateway")];
    env.write(".openclaw/.sigilum/hook.json", r#"{"namespace": "hook"}"#);
    for namespace in ["newest", "older"] {
        let text = r#"{"mode": "managed", "api_url": "https://api.sigilum.id", "email": "a@b"}"#;
        env.write(format!(".openclaw/.sigilum/owner-{namespace}.json"), text);
    }
    let older = std::fs::File::options()
        .append(true)
        .open(env.sigilum("owner-older.json"));
    older.unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    env.write(
        ".sigilum/config.env",
        "# made by the installer\nSIGILUM_NAMESPACE=\"config-env\"\n",
    );
    env.write("elsewhere.env", "export SIGILUM_NAMESPACE=sig\n");
    env.write_config(
        r#"{"hooks": {"internal": {"entries": {"sigilum-authz-notify": {"env": {"SIGILUM_NAMESPACE": "entry"}}}}}}"#,
    );

    shows(&env, &all, &["--namespace", "flag"], ".openclaw:flag");
    shows(&env, &all, &[], ".openclaw:sig");
    shows(&env, &all[1..], &[], ".openclaw:gateway");
    shows(&env, &[("SIGILUM_NAMESPACE", ""), all[1]], &[], ".openclaw:gateway");
    shows(&env, &[], &[], ".openclaw:hook");
    std::fs::remove_file(env.sigilum("hook.json")).unwrap();
    shows(&env, &[], &[], ".openclaw:newest");
    for namespace in ["newest", "older"] {
        std::fs::remove_file(env.sigilum(&format!("owner-{namespace}.json"))).unwrap();
    }
    // From here on nobody has logged in.
    for file in ["~/elsewhere.env", "elsewhere.env"] {
        shows(&env, &[("SIGILUM_CONFIG_FILE", file)], &[], ".openclaw:sig");
    }
    shows(&env, &[], &[], ".openclaw:config-env");
    std::fs::remove_file(env.home().join(".sigilum/config.env")).unwrap();
    shows(&env, &[], &[], ".openclaw:entry");
    std::fs::remove_file(env.config()).unwrap();
    // Several token files and nothing that chooses: the user's name.
    shows(&env, &[], &[], ".openclaw:tester");
}

#[test]
fn the_only_token_file_names_the_namespace() {
    let env = TestEnv::new();
    token(&env, ".openclaw", "alone");
    shows(&env, &[], &[], ".openclaw:alone");
}

/// Two namespaces are stored; who stands in openclaw.json, if anybody, is neither, and nor is the user.
#[test]
fn a_guess_never_replaces_what_is_known() {
    let entry =
        r#"{"hooks": {"internal": {"entries": {"sigilum-authz-notify": {"env": {"SIGILUM_NAMESPACE": "mallory"}}}}}}"#;
    for config in [entry, "{ a: 1 b: 2 }", "{}"] {
        let env = TestEnv::new();
        token(&env, ".openclaw", "johndee");
        token(&env, ".openclaw", "work");
        env.write_config(config);
        let output = env.run(["auth", "show"]).expect(2);
        let told = "tokens of johndee, work are stored\n  next: add --namespace johndee\n";
        assert!(output.stderr.ends_with(told), "{config}: {}", output.stderr);
        env.write(
            ".openclaw/.sigilum/owner-work.json",
            r#"{"mode": "managed", "api_url": "https://api.sigilum.id", "email": "a@b"}"#,
        );
        shows(&env, &[], &[], ".openclaw:work");
    }
}

#[test]
fn a_tilde_that_the_shell_left_makes_no_folder() {
    let env = TestEnv::new();
    for flag in [
        "--openclaw-home=~/oc",
        "--config=~/oc.json",
        "--token-file=~/oc.jwt",
        "--source-home=~/sigilum",
    ] {
        let login = ["auth", "login", "--mode", "oss-local", "--namespace", "johndee", flag];
        let output = env.run(login).expect(2);
        assert!(
            output.stderr.contains("the shell left its ~ as it is"),
            "{flag}: {}",
            output.stderr
        );
        assert!(
            output.stderr.ends_with("\n  next: write $HOME where the ~ stands\n"),
            "{}",
            output.stderr
        );
    }
    // Nor what a script left.
    for (flag, value) in [
        ("--openclaw-home", "undefined"),
        ("--openclaw-home", "$STATE"),
        ("--config", "null"),
        ("--token-file", "${TOKEN}"),
        ("--token-file", " "),
        ("--source-home", "<folder>"),
    ] {
        let told = env.login().args([flag, value]).expect(2).stderr;
        let step = "\n  next: give the path that it stands for; a folder of that name is given as ./<name>\n";
        assert!(
            told.contains("it only stands for one") && told.ends_with(step),
            "{flag} {value}: {told}"
        );
    }
    env.run(["auth", "login", "--mode", "oss-local", "--namespace", "undefined"])
        .expect(2);
    assert!(!env.openclaw().exists() && std::fs::read_dir(env.home()).unwrap().count() == 0);
    let there = env.home().join("undefined");
    env.login().args(["--openclaw-home", there.to_str().unwrap()]).expect(0);
    // As OpenClaw reads its variables.
    env.login().env("OPENCLAW_STATE_DIR", "~/oc").expect(0);
    assert!(env.home().join("oc/.sigilum").exists());
}

/// A container has no `USER`; a name such as `john.doe` is no namespace.
#[test]
fn where_the_account_has_no_name_of_a_namespace_a_person_is_asked_all_the_same() {
    for user in ["", "jo", "john.doe", "DOMAIN\\john"] {
        let run = |env: &TestEnv, mode: &str| env.run(["auth", "login", "--mode", mode]).env("USER", user);
        let env = TestEnv::new();
        let output = run(&env, "oss-local").at_a_terminal("johndee\n");
        assert_eq!(output.code, 0, "{user}: {}", output.stderr);
        assert!(output.stderr.contains("Namespace:"), "{user}: {}", output.stderr);
        assert!(env.sigilum("owner-token-johndee.jwt").exists());
        // The token of the hosted Sigilum names it.
        let env = TestEnv::new();
        let token = managed_token("johndee", 5_000);
        let output = run(&env, "managed").at_a_terminal(&format!("{token}\n"));
        assert_eq!(output.code, 0, "{user}: {}", output.stderr);
        assert!(env.sigilum("owner-token-johndee.jwt").exists(), "{user}");
    }
}

/// A terminal of another encoding; and one whose Backspace takes a byte of a character.
#[test]
fn an_answer_that_is_no_text_is_asked_for_again() {
    let env = TestEnv::new();
    let login = env.run(["auth", "login", "--mode", "oss-local"]).env("USER", "");
    let mut terminal = login.on_terminal(false);
    terminal.types_bytes(b"johnd\xe9\njohnd\xc3\njohndee\n");
    let output = terminal.end();
    assert_eq!(output.code, 0, "{}", output.stderr);
    let told = output.stderr.matches("that is no text in UTF-8, type it again").count();
    assert_eq!(told, 2, "{}", output.stderr);
    assert!(env.sigilum("owner-token-johndee.jwt").exists());
}

#[test]
fn a_guessed_namespace_is_asked_for_at_a_terminal_and_told_elsewhere() {
    let entry = r#"{"hooks": {"internal": {"entries": {"sigilum-authz-notify": {"enabled": false,
        "env": {"SIGILUM_NAMESPACE": "from-entry"}}}}}}"#;
    let login = ["auth", "login", "--mode", "oss-local", "--print-token", "false"];
    // openclaw.json, what is typed at a terminal, the question or warning, whose token is made
    let cases = [
        (None, Some("\n"), "Namespace [tester]:", "tester"),
        (None, Some("johndee\n"), "Namespace [tester]:", "johndee"),
        (Some(entry), Some("\n"), "Namespace [from-entry]:", "from-entry"),
        (None, None, "taking tester (from USER: a guess)", "tester"),
        (
            Some(entry),
            None,
            "taking from-entry (from the hook's entry in openclaw.json: a guess)",
            "from-entry",
        ),
    ];
    for (config, typed, said, namespace) in cases {
        let env = TestEnv::new();
        if let Some(config) = config {
            env.write_config(config);
        }
        let run = || env.run(login);
        let output = match typed {
            Some(typed) => run().at_a_terminal(typed),
            None => run().output(),
        };
        assert_eq!(output.code, 0, "{output:?}");
        assert!(output.stderr.contains(said), "{said}: {}", output.stderr);
        assert!(env.sigilum(&format!("owner-token-{namespace}.jwt")).exists());
        // Once is enough.
        let again = run().at_a_terminal("mallory\n");
        assert_eq!((again.code, again.stderr.as_str()), (0, ""));
        assert_eq!(env.run(["auth", "show"]).expect(0).stderr, "");
    }
    let env = TestEnv::new();
    let output = env.run(login).at_a_terminal("No Good\njohndee\n");
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stderr.contains("(from your answer)"), "{}", output.stderr);
    assert!(env.sigilum("owner-token-johndee.jwt").exists());
    // Not for ever.
    let env = TestEnv::new();
    let output = env.run(login).at_a_terminal(&"No Good\n".repeat(5));
    assert_eq!(output.code, 2, "{output:?}");
    // Ctrl-D is no answer.
    let env = TestEnv::new();
    let output = env.run(login).at_a_terminal("\x04");
    assert_eq!(output.code, 2);
    assert!(
        output.stderr.contains("the answer ended without one"),
        "{}",
        output.stderr
    );
    assert!(!env.openclaw().exists());
}

#[test]
fn an_api_that_openclaw_json_alone_names_is_told_and_not_taken() {
    let entry = |enabled: bool| {
        format!(
            r#"{{"hooks": {{"internal": {{"enabled": true, "entries": {{"sigilum-authz-notify": {{"enabled": {enabled},
            "env": {{"SIGILUM_NAMESPACE": "johndee", "SIGILUM_MODE": "oss-local",
            "SIGILUM_API_URL": "http://127.0.0.1:38911/"}}}}}}}}}}}}"#
        )
    };
    for enabled in [true, false] {
        let env = TestEnv::new();
        env.write_config(entry(enabled));
        let told = "note: the hook's entry in openclaw.json names another API than this login; to log in to that one: \
                    --mode oss-local --api-url http://127.0.0.1:38911\n";
        let local = ["auth", "login", "--namespace", "johndee", "--mode", "oss-local"];
        let output = env.run(local).args(["--dry-run"]).expect(0);
        assert_eq!(output.stderr, told);
        // Nor is its mode.
        let output = env.run(["auth", "login", "--namespace", "johndee"]).expect(4);
        assert!(output.stderr.starts_with(told), "{}", output.stderr);
        env.run(local).expect(0);
        let record = std::fs::read_to_string(env.sigilum("owner-johndee.json")).unwrap();
        assert!(record.contains("http://127.0.0.1:8787"), "{record}");
        // With a record nothing is left to tell.
        env.write_config(entry(enabled));
        assert_eq!(env.run(local).expect(0).stderr, "");
    }
}

/// Sigilum's own config is there, and may name somebody else than `USER` does.
#[test]
fn no_guess_stands_in_for_a_config_of_sigilums_that_cannot_be_used() {
    const NAMED: &str = "SIGILUM_NAMESPACE=johndee\n";
    let is_root = rustix::process::geteuid().is_root();
    type Spoil = fn(&Path);
    let rows: [(&str, Spoil); 6] = [
        ("it is over 65536 bytes", |file| {
            std::fs::write(file, [b'#'; 70_000]).unwrap()
        }),
        ("it is not a regular file", |file| {
            std::fs::remove_file(file).unwrap();
            std::fs::create_dir(file).unwrap();
        }),
        ("it is not a regular file", |file| {
            std::fs::remove_file(file).unwrap();
            let pipe = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, file, pipe, rustix::fs::Mode::RUSR, 0).unwrap();
        }),
        ("others may write to ", |file| chmod(file, 0o666)),
        ("belongs to another user", |file| {
            std::os::unix::fs::chown(file, Some(env::STRANGER), None).unwrap()
        }),
        ("Permission denied", |file| chmod(file, 0)),
    ];
    for (why, spoil) in rows {
        // Root may read everything, and nobody else can give a file away.
        if (is_root && why.starts_with("Permission")) || (!is_root && why.starts_with("belongs")) {
            continue;
        }
        let env = TestEnv::new();
        spoil(&env.write(".sigilum/config.env", NAMED));
        let login = || env.run(["auth", "login", "--mode", "oss-local", "--print-token", "false"]);
        let told = login().expect(2).stderr;
        assert!(
            told.contains("could not tell the namespace: ") && told.contains(why),
            "{told}"
        );
        assert!(told.contains("config.env"), "{told}");
        assert!(told.ends_with("next: add --namespace johndee, for example\n"), "{told}");
        assert!(!env.openclaw().exists());
        login().args(["--namespace", "johndee"]).expect(0);
        // Somebody is known now.
        login().expect(0);
        assert!(env.sigilum("owner-token-johndee.jwt").exists());
    }
}

/// What could not be asked is told where a guess stands in for it; what is no namespace is not offered as one.
#[test]
fn a_guess_in_the_place_of_sigilums_own_config_is_told() {
    let login = ["auth", "login", "--mode", "oss-local", "--print-token", "false"];
    let nowhere = [("SIGILUM_CONFIG_FILE", "/nowhere/config.env")];
    // The file, the variable that names it, whose token is made, and what is said
    let utf16 = "\u{feff}SIGILUM_NAMESPACE=johndee\r\n".encode_utf16();
    let utf16: Vec<u8> = utf16.flat_map(u16::to_le_bytes).collect();
    type Row<'a> = (Option<&'a [u8]>, &'a [(&'a str, &'a str)], &'a str, Option<&'a str>);
    let rows: [Row<'_>; 5] = [
        (Some(b"NOTE=\xe9\nSIGILUM_NAMESPACE=johndee\n"), &[], "johndee", None),
        (
            None,
            &nowhere,
            "tester",
            Some("there is no file that SIGILUM_CONFIG_FILE names: /nowhere/config.env"),
        ),
        (Some(&utf16), &[], "johndee", None),
        (Some(&utf16[2..]), &[], "johndee", None),
        (None, &[], "tester", None),
    ];
    for (file, variables, namespace, said) in rows {
        let env = TestEnv::new();
        if let Some(file) = file {
            env.write(".sigilum/config.env", file);
        }
        let run = variables
            .iter()
            .fold(env.run(login), |run, (name, value)| run.env(name, value));
        let told = run.expect(0).stderr;
        assert!(env.sigilum(&format!("owner-token-{namespace}.jwt")).exists(), "{told}");
        assert_eq!(said.is_some(), told.contains("config.env"), "{told}");
        assert!(told.contains(said.unwrap_or_default()), "{told}");
    }
    let env = TestEnv::new();
    let told = env.run(login).env("USER", "Alice").expect(2).stderr;
    assert!(
        told.contains("could not tell the namespace") && !told.contains("Alice"),
        "{told}"
    );
}

/// Then nobody is logged in, as with a guess that could be one; and each step works as printed.
#[test]
fn a_user_name_that_is_no_namespace_is_no_guess() {
    for user in ["pi", "first.last", ""] {
        let env = TestEnv::new();
        env.write_config("{gateway: {mode: 'local'}}");
        let run = |words: &str| env.run(words.split(' ')).env("USER", user);
        for words in ["auth status", "auth show", "hook status", "authz list", "doctor"] {
            let output = run(words).expect(4);
            let told = output.stdout + &output.stderr;
            assert!(
                told.contains("nobody is logged in, and no namespace is known: "),
                "{told}"
            );
            let next = "next: sigilum-authz-notify auth login --mode managed --owner-token-stdin\n";
            assert!(told.contains(next), "{told}");
        }
        let logout = run("auth logout").expect(0).stdout;
        assert!(logout.starts_with("Nobody is logged in to "), "{logout}");
        let login = run("auth login --mode oss-local").expect(2).stderr;
        assert!(login.contains("could not tell the namespace"), "{login}");
        run("hook install").expect(0);
        let event =
            r#"{"type": "command", "action": "new", "context": {"commandSource": "telegram", "senderId": "1"}}"#;
        let notice = run("hook run").stdin(event).expect(0).stdout;
        assert!(notice.contains("there is no owner token"), "{notice}");
        let token = env::watching::managed_token("alice", 5_000);
        run("auth login --mode managed --owner-token-stdin --print-token false")
            .stdin(token)
            .expect(0);
        let entry = std::fs::read_to_string(env.config()).unwrap();
        assert!(
            entry.contains("\"SIGILUM_NAMESPACE\":\"alice\"") || entry.contains("alice"),
            "{entry}"
        );
        run("doctor").expect(0);
    }
    // What is stored is known.
    let env = TestEnv::new();
    env.write_config("{}");
    for name in ["carol", "dave"] {
        env.write(format!(".openclaw/.sigilum/owner-token-{name}.jwt"), "x.y.z");
    }
    let refused = env.run(["auth", "logout"]).env("USER", "pi").expect(2).stderr;
    assert!(refused.contains("tokens of carol, dave are stored"), "{refused}");
}

#[test]
fn a_namespace_that_is_none_is_refused() {
    let env = TestEnv::new();
    let long = "x".repeat(65);
    for bad in ["ab", "-abc", "abc-", "a_b", "a/../b", "a b", "ünïcode", long.as_str()] {
        env.run(["auth", "show", "--namespace", bad]).expect(2);
    }
    // Capital letters are for the hosted Sigilum only.
    env.run(["auth", "show", "--namespace", "Alice"]).expect(4);
    env.run(["auth", "show", "--namespace", "Alice"])
        .env("SIGILUM_MODE", "oss-local")
        .expect(2);
}

#[test]
fn the_openclaw_home_comes_from_the_strongest_source() {
    let env = TestEnv::new();
    for home in [
        "flag",
        "state",
        "base/.openclaw",
        "base/.openclaw-work",
        ".openclaw",
        ".openclaw-work",
    ] {
        token(&env, home, "alice");
    }
    let state = ("OPENCLAW_STATE_DIR", "HOME/state");
    let base = ("OPENCLAW_HOME", "HOME/base");
    let work = ("OPENCLAW_PROFILE", "work");
    let flag = env.home().join("flag");
    shows(
        &env,
        &[state, base, work],
        &["--openclaw-home", flag.to_str().unwrap()],
        "flag:alice",
    );
    shows(&env, &[state, base, work], &[], "state:alice");
    shows(&env, &[("OPENCLAW_STATE_DIR", "~/state")], &[], "state:alice");
    shows(&env, &[base, work], &[], "base/.openclaw-work:alice");
    shows(&env, &[base], &[], "base/.openclaw:alice");
    shows(&env, &[work], &[], ".openclaw-work:alice");
    shows(&env, &[("OPENCLAW_PROFILE", "default")], &[], ".openclaw:alice");
    env.run(["auth", "show"]).env("OPENCLAW_PROFILE", "../etc").expect(2);
}

/// As OpenClaw 2026.9.6 takes them: trimmed, blank is unset, and where a person's home folder is meant, so are
/// `undefined` and `null`, which scripts leave there. `~` is the home folder that `OPENCLAW_HOME` names.
#[test]
fn openclaws_variables_are_read_as_openclaw_reads_them() {
    let env = TestEnv::new();
    for home in [
        "state",
        "base/.openclaw",
        "base/state",
        "base/in/.openclaw",
        ".openclaw",
        ".openclaw-work",
    ] {
        token(&env, home, "alice");
    }
    let nothing = ["undefined", "null", " undefined ", " null\n", " ", "\t"];
    for value in nothing {
        for name in ["OPENCLAW_HOME", "OPENCLAW_STATE_DIR", "OPENCLAW_PROFILE"] {
            shows(&env, &[(name, value)], &[], ".openclaw:alice");
        }
    }
    let base = ("OPENCLAW_HOME", "HOME/base");
    let table: [(&[(&str, &str)], &str); 10] = [
        (&[("OPENCLAW_HOME", " HOME/base ")], "base/.openclaw"),
        (&[("OPENCLAW_HOME", "~/base")], "base/.openclaw"),
        (&[("OPENCLAW_HOME", "~/base/in")], "base/in/.openclaw"),
        (&[("OPENCLAW_HOME", "~")], ".openclaw"),
        (&[("OPENCLAW_STATE_DIR", " HOME/state\n")], "state"),
        (&[("OPENCLAW_STATE_DIR", "  ")], ".openclaw"),
        (&[("OPENCLAW_STATE_DIR", "~/state"), base], "base/state"),
        (&[("OPENCLAW_PROFILE", " work ")], ".openclaw-work"),
        (&[("OPENCLAW_PROFILE", " Default ")], ".openclaw"),
        (&[("OPENCLAW_PROFILE", "  ")], ".openclaw"),
    ];
    for (vars, home) in table {
        shows(&env, vars, &[], &format!("{home}:alice"));
    }
    let long = "x".repeat(65);
    for profile in ["-work", "_work", "a b", long.as_str()] {
        env.run(["auth", "show"]).env("OPENCLAW_PROFILE", profile).expect(2);
    }
    for home in ["undefined", "null"] {
        let output = env.run(["auth", "show"]).env("HOME", home).expect(2);
        assert!(output.stderr.contains("HOME is not set"), "{}", output.stderr);
    }

    let config = |vars: &[(&str, &str)]| {
        let run = env.run(["auth", "status", "--json", "--namespace", "alice"]);
        let home = env.home().to_str().unwrap();
        let set = |run: crate::env::Run, (name, value): &(&str, &str)| run.env(name, value.replace("HOME", home));
        let status: serde_json::Value = serde_json::from_str(&vars.iter().fold(run, set).output().stdout).unwrap();
        status["config"].as_str().unwrap().replace(home, "HOME")
    };
    let path = |value| ("OPENCLAW_CONFIG_PATH", value);
    for value in nothing {
        assert_eq!(config(&[path(value)]), "HOME/.openclaw/openclaw.json");
    }
    // OpenClaw itself may take it at its word.
    for name in [
        "OPENCLAW_STATE_DIR",
        "OPENCLAW_CONFIG_PATH",
        "OPENCLAW_PROFILE",
        "SIGILUM_API_DB",
        "SIGILUM_SOURCE_HOME",
        "SIGILUM_CONFIG_FILE",
        "SIGILUM_BROKER",
        "SIGILUM_GATEWAY_CLI",
        "GATEWAY_SIGILUM_HOME",
        "GATEWAY_DATA_DIR",
    ] {
        let said = env
            .run(["auth", "show", "--namespace", "alice"])
            .env(name, "undefined")
            .output();
        let warning = format!("warning: {name} is \"undefined\", as a script leaves it: it counts as unset here\n");
        assert!(said.stderr.starts_with(&warning), "{}", said.stderr);
    }
    // Another folder, another home: as a template leaves it, or a shell that saw no `$`.
    for (name, value) in [
        ("OPENCLAW_HOME", "NaN"),
        ("OPENCLAW_HOME", "$HOME/x"),
        ("OPENCLAW_STATE_DIR", "./x"),
        ("OPENCLAW_CONFIG_PATH", "~root/x.json"),
        ("HOME", "x"),
    ] {
        let said = env
            .run(["auth", "show", "--namespace", "alice"])
            .env(name, value)
            .output();
        let warning = format!(
            "warning: {name} is {value:?}, a relative path: here it counts from the working directory, for OpenClaw from \
             its own\n"
        );
        assert!(said.stderr.starts_with(&warning), "{}", said.stderr);
    }
    assert_eq!(config(&[path(" HOME/x.json ")]), "HOME/x.json");
    assert_eq!(config(&[path("~/x.json")]), "HOME/x.json");
    assert_eq!(config(&[path("~/x.json"), base]), "HOME/base/x.json");
    assert_eq!(config(&[path("x.json"), base]), "HOME/x.json");
}

#[test]
fn a_path_that_no_record_can_hold_is_refused_before_anything_is_written() {
    let env = TestEnv::new();
    let odd = env.home().join(OsStr::from_bytes(b"a\xffb"));
    std::fs::create_dir(&odd).unwrap();
    let login = ["auth", "login", "--mode", "oss-local", "--namespace", "alice"];
    for variable in ["HOME", "OPENCLAW_STATE_DIR", "OPENCLAW_CONFIG_PATH", "SIGILUM_API_DB"] {
        let output = env.run(login).env(variable, odd.join("x")).expect(2);
        assert!(
            output.stderr.contains("it is not valid UTF-8"),
            "{variable}: {}",
            output.stderr
        );
    }
    for all in [&[][..], &["--all"]] {
        let unit = env.run(["watch", "--print-unit", "systemd"]).args(all);
        assert_eq!(unit.env("HOME", &odd).expect(2).stdout, "");
    }
    assert_eq!(std::fs::read_dir(&odd).unwrap().count(), 0);
    assert!(!env.openclaw().exists());

    // It is no matter where one stands.
    env.run(login).cwd(&odd).expect(0);
}

#[test]
fn openclaw_home_is_the_state_folder_where_sigilums_scripts_mean_it_so() {
    let env = TestEnv::new();
    token(&env, "scripts", "alice");
    env.write("scripts/openclaw.json", "{}");
    shows(&env, &[("OPENCLAW_HOME", "HOME/scripts")], &[], "scripts:alice");
    token(&env, ".openclaw-named", "alice");
    shows(
        &env,
        &[("OPENCLAW_HOME", "HOME/.openclaw-named")],
        &[],
        ".openclaw-named:alice",
    );
}

#[test]
fn two_configs_under_openclaw_home_earn_a_warning() {
    let env = TestEnv::new();
    env.write("both/openclaw.json", "{}");
    env.write("both/.openclaw/openclaw.json", "{}");
    token(&env, "both/.openclaw", "alice");
    let output = env
        .run(["auth", "show"])
        .env("OPENCLAW_HOME", env.home().join("both"))
        .expect(4);
    assert_eq!(output.stdout.trim_end(), "both/.openclaw:alice");
    assert!(output.stderr.contains("warning: OPENCLAW_HOME"), "{}", output.stderr);
}

#[test]
fn a_missing_token_file_says_which_and_how_to_log_in() {
    let env = TestEnv::new();
    let output = env.run(["auth", "show", "--namespace", "alice"]).expect(4);
    assert!(output.stderr.contains("Token file not found"), "{}", output.stderr);
    assert!(output.stderr.contains("owner-token-alice.jwt"), "{}", output.stderr);
    assert!(
        output.stderr.contains("auth login --mode managed --namespace alice"),
        "{}",
        output.stderr
    );
    assert!(!env.openclaw().exists());
}

/// A command that is printed acts on the home, and the config, of the command that prints it.
#[test]
fn printed_logins_lead_to_the_same_home() {
    let env = TestEnv::new();
    let there = ["--openclaw-home", "elsewhere", "--config", "other.json"];
    let flags = |path: &str| env.home().join(path).display().to_string();
    let flags = format!(
        " --openclaw-home {} --config {}",
        flags("elsewhere"),
        flags("other.json")
    );
    env.login().args(there).expect(0);
    let token = env.home().join("elsewhere/.sigilum/owner-token-alice.jwt");
    let stored = std::fs::read_to_string(&token).unwrap();
    let mut tried = 0;
    for (command, code) in [
        ("auth show --namespace alice", 4),
        ("auth switch alice", 0),
        ("auth status", 4),
        ("hook install", 0),
        ("hook run --event gateway:startup", 0),
        ("hook run --event command:new", 0),
    ] {
        std::fs::remove_file(&token).unwrap();
        let output = env.run(command.split(' ')).args(there).expect(code);
        let all = format!("{}{}", output.stdout, output.stderr);
        let commands = all.split("sigilum-authz-notify auth ").skip(1);
        let is_renewal = |words: &&str| words.starts_with("login") || words.starts_with("refresh");
        let commands: Vec<&str> = commands.filter(is_renewal).collect();
        assert!(!commands.is_empty(), "{command}: {all}");
        for printed in commands {
            let line = printed.lines().next().unwrap();
            assert!(line.contains(&flags), "{command}: {line}");
            tried += 1;
        }
        std::fs::write(&token, &stored).unwrap();
    }
    assert!(tried >= 6);
}

/// What it was to say nobody knows: a protection that is switched on so is not off.
#[test]
fn a_variable_that_is_no_text_is_refused() {
    let env = TestEnv::new();
    env.write_config("{}");
    let odd = OsStr::from_bytes(b"0123456789abcdef0123456789abcdef\xff");
    for name in [
        "JWT_SECRET",
        "OPENCLAW_CONFIG_READONLY",
        "OPENCLAW_NIX_MODE",
        "SIGILUM_NAMESPACE",
        "SIGILUM_MODE",
    ] {
        let told = env.login().env(name, odd).expect(2).stderr;
        let step = format!("{name}, it is not valid UTF-8\n  next: unset {name}; or set it to text\n");
        assert!(told.ends_with(&step), "{told}");
        assert!(!env.sigilum("").exists());
    }
    // Other programs' are no matter.
    env.login().env("LESS", odd).expect(0);
}
