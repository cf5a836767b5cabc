//! How much is said, and how it looks: `-q`, `-v`, `--version`, colours, tables.

use crate::env::{Run, TestEnv};
use std::path::Path;

#[test]
fn quiet_leaves_what_was_asked_for_and_errors() {
    let env = TestEnv::new();
    // Nobody named a namespace: a warning, and the report of a login.
    let login = |flags: &[&str]| {
        env.run(["auth", "login", "--mode", "oss-local"])
            .args(flags)
            .env("USER", "alice")
    };
    let loud = login(&["--print-token", "false"]).expect(0);
    assert!(
        loud.stderr.contains("warning: ") && loud.stdout.contains("Namespace: "),
        "{loud:?}"
    );
    let refresh = env.run(["-q", "auth", "refresh"]).expect(0);
    assert_eq!((refresh.stdout.as_str(), refresh.stderr.as_str()), ("", ""));
    let token = env.run(["auth", "refresh", "--token-only", "--quiet"]).expect(0);
    assert_eq!((token.stdout.lines().count(), token.stderr.as_str()), (1, ""));
    for args in ["hook install", "watch --install-unit", "hook uninstall --purge"] {
        let output = env.run(args.split(' ')).args(["-q"]).expect(0);
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""), "{args}");
    }
    let status = env.run(["-q", "hook", "status"]).output();
    assert!(
        status.stdout.contains("absent") || status.stdout.contains("not installed"),
        "{status:?}"
    );
    let error = env.run(["-q", "watch", "--check"]).expect(1);
    assert!(
        error.stderr.starts_with("error: no watcher serves this home"),
        "{error:?}"
    );
    env.run(["-q", "-v", "doctor"]).expect(2);
    // What stays logs errors alone, unless RUST_LOG says more.
    env.run(["-q", "auth", "login", "--mode", "oss-local", "--namespace", "alice"])
        .args(["--print-token", "false"])
        .expect(0);
    let once = |log: &[(&str, &str)]| {
        let run = env.run(["-q", "watch", "--once"]);
        log.iter()
            .fold(run, |run, (name, value)| run.env(name, value))
            .expect(0)
            .stderr
    };
    assert_eq!(once(&[]), "");
    assert!(once(&[("RUST_LOG", "info")]).contains("INFO"));
}

#[test]
fn a_command_has_the_programs_version_under_the_programs_name() {
    let env = TestEnv::new();
    let whole = env.run(["--version"]).expect(0).stdout;
    assert!(whole.starts_with("sigilum-authz-notify 0."), "{whole}");
    for command in ["auth --version", "hook status -V", "service secret set --version"] {
        assert_eq!(env.run(command.split(' ')).expect(0).stdout, whole, "{command}");
    }
}

/// A result that nobody can read is a failure.
#[test]
#[cfg(target_os = "linux")]
fn help_and_version_on_a_full_disk_fail() {
    let env = TestEnv::new();
    for words in [
        "--version",
        "--help",
        "auth login --help",
        "hook --version",
        "help auth",
    ] {
        let mut command = env.run(words.split(' ')).into_command();
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let ended = command
            .stdout(full)
            .stderr(std::process::Stdio::piped())
            .output()
            .unwrap();
        let told = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{words}: {told}");
        assert!(
            told.starts_with("error: could not write to standard output: "),
            "{words}: {told}"
        );
    }
}

#[test]
fn verbose_says_what_is_read_asked_run_and_written_and_no_secret() {
    let env = TestEnv::new();
    let output = env.login().args(["-v", "--api-url", "http://127.0.0.1:9"]).expect(0);
    let token = env.stored().unwrap();
    let secret = env.secret();
    for line in [
        format!("wrote {}", env.sigilum("owner-token-alice.jwt").display()),
        "asked GET http://127.0.0.1:9/".to_owned(),
    ] {
        assert!(output.stderr.contains(&line), "{line}: {}", output.stderr);
    }
    let all = format!("{}{}", output.stdout, output.stderr);
    assert!(!all.contains(&token) && !all.contains(secret.trim()), "{all}");
    let output = env.run(["doctor", "--verbose"]).output();
    let read = format!("read {}", env.config().display());
    assert!(output.stderr.contains(&read), "{}", output.stderr);
    let removed = env.run(["-v", "auth", "logout"]).expect(0).stderr;
    assert!(removed.contains("removed "), "{removed}");
}

#[test]
fn colours_are_for_terminals_that_show_them_or_as_the_environment_says() {
    let env = TestEnv::new();
    let run = |args: &str, vars: &str| {
        let run = env.run(args.split(' ')).env("TERM", "xterm-256color");
        vars.split_whitespace().fold(run, |run: Run, var| {
            let (name, value) = var.split_once('=').unwrap();
            run.env(name, value)
        })
    };
    let (error, next, ok) = (
        "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m ",
        "\u{1b}[1m\u{1b}[36mnext:\u{1b}[0m ",
        "\u{1b}[32mok\u{1b}[0m ",
    );
    for (vars, at_a_terminal, elsewhere) in [
        ("", true, false),
        ("NO_COLOR=1", false, false),
        ("CLICOLOR=0", false, false),
        ("CLICOLOR_FORCE=1", true, true),
        ("NO_COLOR=1 CLICOLOR_FORCE=1", false, false),
        ("TERM=dumb", false, false),
    ] {
        let shown = run("watch --check", vars).on_terminal(true).end().stderr;
        assert_eq!(
            (shown.contains(error), shown.contains(next)),
            (at_a_terminal, at_a_terminal),
            "{vars}: {shown:?}"
        );
        let shown = run("doctor", vars).on_terminal(true).end().stderr;
        assert_eq!(shown.contains(ok), at_a_terminal, "{vars}: {shown:?}");
        let piped = run("watch --check", vars).output().stderr;
        assert_eq!(piped.contains(error), elsewhere, "{vars}: {piped:?}");
        let piped = run("doctor --json", vars).output().stdout;
        assert!(!piped.contains('\u{1b}'), "{vars}: {piped:?}");
    }
}

#[test]
fn the_version_is_cargos_with_a_commit_in_a_release_build_of_a_checkout() {
    let env = TestEnv::new();
    let version = env.run(["--version"]).expect(0).stdout;
    let mut words = version.split_whitespace();
    assert_eq!(
        (words.next(), words.next()),
        (Some("sigilum-authz-notify"), Some(env!("CARGO_PKG_VERSION")))
    );
    assert_eq!(
        env.run(["auth", "login", "-V"]).expect(0).stdout.split(' ').count(),
        version.split(' ').count()
    );

    let script = env.home().join("build");
    let rustc = Path::new(env!("CARGO")).with_file_name("rustc");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs");
    let compile = env
        .run_program(&rustc, ["--edition", "2024", "-o"])
        .args([&script, &source]);
    compile.expect(0);
    let checkout = env.home().join("checkout");
    let git = |words: &str| {
        let words = format!("-c user.name=x -c user.email=x@x -C {} {words}", checkout.display());
        env.run_program(Path::new("git"), words.split(' ')).expect(0).stdout
    };
    std::fs::create_dir_all(checkout.join("package")).unwrap();
    let said = |folder: &str, profile: &str, path: &str| {
        let run = env
            .run_program(&script, [""; 0])
            .env("CARGO_PKG_VERSION", "1.2.3")
            .env("PROFILE", profile);
        let run = run.env("CARGO_MANIFEST_DIR", checkout.join(folder));
        let run = if path.is_empty() { run } else { run.env("PATH", path) };
        let lines = run.expect(0).stdout;
        let line = lines
            .lines()
            .find_map(|line| line.strip_prefix("cargo:rustc-env=SIGILUM_AUTHZ_NOTIFY_VERSION="));
        (line.unwrap().to_owned(), lines.contains("HEAD"))
    };
    let plain = ("1.2.3".to_owned(), false);
    assert_eq!(said("", "release", ""), plain, "no checkout");
    git("init -q");
    git("commit -q --allow-empty -m first");
    let commit = git("rev-parse --short=9 HEAD");
    assert_eq!(said("", "release", ""), (format!("1.2.3 ({})", commit.trim()), true));
    assert_eq!(
        said("package", "release", ""),
        plain,
        "a package in somebody's checkout"
    );
    assert_eq!(said("", "release", "/nowhere"), plain, "no git");
    assert_eq!(said("", "debug", ""), plain);
}
