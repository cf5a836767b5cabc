//! Secrets that a person types or pastes at a terminal: asked for, not shown, ended by Enter; and what is printed there.

use crate::env::{self, TestEnv};

use env::services::Desk;
use env::watching::managed_token;
use rustix::process::Signal;
use secrecy::ExposeSecret;
use sigilum_authz_notify::token::claims::{self, Claims};

const ASKS: &str = "then press Enter: ";
const LOGIN: [&str; 4] = ["auth", "login", "--mode", "managed"];

/// A token of 6,000 characters: a terminal keeps 4,095 of a line.
fn long_token() -> String {
    let subject = "u".repeat(4_400);
    let claims = Claims::new(&subject, "alice@example.org", "alice", env::now(), 5_000);
    let token = claims::mint(&claims, &"only Sigilum knows".into()).unwrap();
    assert!(token.expose_secret().len() > 6_000);
    token.expose_secret().to_owned()
}

#[test]
fn a_token_is_asked_for_and_never_shown() {
    let (token, long) = (managed_token("alice", 5_000), long_token());
    let broken = format!("{}\n{}\n{}", &token[..70], &token[70..140], &token[140..]);
    let deleted = format!("oops\u{8}\u{7f}\u{15}{token}");
    let stdin: &[&str] = &["--owner-token-stdin"];
    for (flags, typed, expected) in [
        (stdin, format!("{token}\n"), &token),
        (stdin, format!("{token}\r"), &token),
        (stdin, format!("{long}\n"), &long),
        (stdin, format!("export SIGILUM_OWNER_TOKEN=\"{broken}\"\n"), &token),
        (stdin, format!("\u{1b}[200~{token}\u{1b}[201~\n"), &token),
        (stdin, format!("{deleted}\n"), &token),
        (stdin, format!("{token}\u{4}"), &token),
        (
            stdin,
            format!(
                "\u{1b}[A\u{1b}[1;5D\u{1b}OB\u{1b}[3~{}\u{1b}[C\u{1b}OF{}\n",
                &token[..9],
                &token[9..]
            ),
            &token,
        ),
        (stdin, format!("\u{1b}{token}\n"), &token),
        (&[], format!("{token}\n"), &token),
    ] {
        let env = TestEnv::new();
        let mut terminal = env.run(LOGIN).args(flags).on_terminal(true);
        terminal.wait_for(ASKS);
        assert!(!terminal.echoes());
        terminal.types(&typed);
        let (output, echoes) = terminal.end_and_echo();
        assert_eq!(output.code, 0, "{}", output.stderr);
        assert!(echoes, "the terminal stays dumb");
        assert_eq!(env.stored().as_ref(), Some(expected));
        // Neither typed nor printed.
        assert!(!output.stderr.contains(&expected[..60]), "{}", output.stderr);
        let says = "not shown on a terminal; to see it: sigilum-authz-notify auth show --namespace alice";
        assert!(output.stderr.contains(says), "{}", output.stderr);
    }
}

#[test]
fn a_terminal_gets_the_token_if_it_is_asked_for() {
    let env = TestEnv::new();
    env.login().expect(0);
    let cases: [(&[&str], bool, bool); 5] = [
        (&[], true, false),
        (&["--print-token", "true"], true, true),
        (&["--print-token", "false"], true, false),
        (&["--token-only"], true, true),
        (&[], false, true),
    ];
    for (flags, on_terminal, is_printed) in cases {
        let run = env
            .run(["auth", "login", "--mode", "oss-local", "--namespace", "alice"])
            .args(flags);
        let output = run.on_terminal(on_terminal).end();
        assert_eq!(output.code, 0, "{}", output.stderr);
        let token = env.stored().unwrap();
        let printed = output.stdout.contains(&token) || output.stderr.contains(&token);
        assert_eq!(printed, is_printed, "{flags:?}: {}", output.stderr);
    }
}

#[test]
fn nothing_typed_is_told() {
    const AGAIN: &str = "\nNothing was pasted.\nPaste the owner token (it is not shown), then press Enter: ";
    let token = managed_token("alice", 5_000);
    // What is typed after each question; how it ends.
    let cases: [(&[&str], bool); 4] = [
        (&["\n", "\r", "\n"], false),
        (&["\u{4}"], false),
        (&["\u{1b}[A\n", "\u{4}"], false),
        (&["\n", " \n", &format!("{token}\n")], true),
    ];
    for (typed, is_taken) in cases {
        let env = TestEnv::new();
        let mut terminal = env.run(LOGIN).on_terminal(true);
        for (at, text) in typed.iter().enumerate() {
            terminal.wait_for(&(ASKS.to_owned() + &AGAIN.repeat(at)));
            terminal.types(text);
        }
        let output = terminal.end();
        assert_eq!(output.code, if is_taken { 0 } else { 4 }, "{}", output.stderr);
        assert_eq!(output.stderr.contains("it is empty"), !is_taken, "{}", output.stderr);
        assert_eq!(output.stderr.matches(ASKS).count(), typed.len(), "{}", output.stderr);
        assert_eq!(env.openclaw().exists(), is_taken);
    }
}

#[test]
fn a_signal_ends_the_question_and_the_terminal_shows_again_what_is_typed() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let env = TestEnv::new();
        let mut terminal = env.run(LOGIN).args(["--owner-token-stdin"]).on_terminal(true);
        terminal.wait_for(ASKS);
        terminal.signal(signal);
        let (output, echoes) = terminal.end_and_echo();
        assert_eq!(output.code, -1, "{}", output.stderr);
        assert!(echoes, "{signal:?}");
        assert!(!env.openclaw().exists());
    }
}

/// Ctrl-Z and `fg`: the shell gets its terminal as it was, and afterwards the secret is asked for again.
#[test]
fn a_stopped_question_is_asked_again_and_shows_nothing() {
    let long = long_token();
    for signal in [Signal::TSTP, Signal::STOP] {
        let env = TestEnv::new();
        let run = env.run(LOGIN).args(["--owner-token-stdin"]);
        let mut terminal = run.by_a_shell().on_terminal(true);
        let mut asks = ASKS.to_owned();
        for _ in 0..2 {
            terminal.wait_for(&asks);
            assert!(!terminal.echoes());
            terminal.types_to_it("half of a tok");
            terminal.stop(signal);
            assert!(
                terminal.echoes() || signal == Signal::STOP,
                "the shell's terminal stays dumb"
            );
            terminal.is_shells_again();
            terminal.signal(Signal::CONT);
            asks += &format!("Paste the owner token (it is not shown), {ASKS}");
        }
        terminal.wait_for(&asks);
        assert!(!terminal.echoes());
        terminal.types(&format!("{long}\n"));
        let (output, echoes) = terminal.end_and_echo();
        assert_eq!(output.code, 0, "{}", output.stderr);
        assert!(echoes, "the terminal stays dumb");
        assert_eq!(env.stored().as_ref(), Some(&long));
        assert!(!output.stderr.contains(&long[..60]), "{}", output.stderr);
    }
}

/// As `bwrap --unshare-pid` starts it, or a shell in another's PID namespace: nothing there has an ID of its group or session.
#[test]
fn it_is_asked_for_where_the_process_group_has_no_id() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("SKIPPED: only root can make a PID namespace");
    }
    let token = long_token();
    let env = TestEnv::new();
    let run = env.run(LOGIN).args(["--owner-token-stdin"]);
    let mut terminal = run.under("unshare", ["--pid", "--fork"]).on_terminal(true);
    terminal.wait_for(ASKS);
    assert!(!terminal.echoes());
    terminal.types(&format!("{token}\n"));
    let (output, echoes) = terminal.end_and_echo();
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(echoes, "the terminal stays dumb");
    assert_eq!(env.stored().as_ref(), Some(&token));
}

#[test]
fn an_upstream_secret_is_asked_for_the_same_way() {
    let secret = "lin_api_0123456789abcdef";
    let desk = Desk::new();
    desk.add_linear([]).expect(0);
    let set = |flags: [&'static str; 2]| desk.set("linear", flags);
    let add = |flags: [&'static str; 2]| {
        let gateway = ["--mode", "gateway", "--upstream-base-url", "https://api.github.com"];
        desk.add("github", gateway.into_iter().chain(flags))
    };
    for run in [
        set(["--upstream-secret", "-"]),
        set(["--upstream-secret-file", "-"]),
        add(["--upstream-secret-file", "-"]),
        desk.set("linear", []),
    ] {
        let mut terminal = run.on_terminal(true);
        terminal.wait_for(ASKS);
        assert!(!terminal.echoes());
        terminal.types(&format!("{secret}\n"));
        let (output, echoes) = terminal.end_and_echo();
        assert_eq!(output.code, 0, "{}", output.stderr);
        assert!(echoes && !output.stderr.contains(secret), "{}", output.stderr);
    }
    for slug in ["linear", "github"] {
        let sent = desk.gateway.secrets(slug);
        assert!(sent.values().any(|value| value == secret), "{slug}: {sent:?}");
    }
    let answer = |typed: &str| {
        let mut terminal = desk.set("linear", []).on_terminal(true);
        terminal.wait_for(ASKS);
        terminal.types(typed);
        terminal.end_and_echo().0
    };
    let wrapped = answer("lin_api_01234567\n89abcdef\n");
    assert_eq!(wrapped.code, 7, "{}", wrapped.stderr);
    assert!(wrapped.stderr.contains("it holds a line break"), "{}", wrapped.stderr);
    assert_eq!(answer("two words\u{17}lin_api_é\u{7f}2\n").code, 0);
    let sent = desk.gateway.secrets("linear");
    assert!(sent.values().any(|value| value == "lin_api_2"), "{sent:?}");
}
