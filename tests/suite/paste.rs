//! An owner token as people paste, save and print it, on each way into the program. The kinds themselves are
//! `token::paste`'s.

use crate::env::{self, TestEnv};

use env::watching::{CONFIG, managed_token};

const LOGIN: [&str; 6] = ["auth", "login", "--print-token", "false", "--namespace", "alice"];

fn utf16(text: &str) -> Vec<u8> {
    let units = text.encode_utf16().flat_map(u16::to_le_bytes);
    [0xff, 0xfe].into_iter().chain(units).collect()
}

#[test]
fn every_way_in_understands_what_was_pasted_and_says_so() {
    let token = managed_token("alice", 5_000);
    let (first, rest) = token.split_at(80);
    let flag = format!("Bearer {token}");
    let variable = format!("\"{token}\"");
    type Way<'a> = (&'a [&'a str], Option<&'a str>, Vec<u8>, &'a str);
    let ways: [Way<'_>; 5] = [
        (
            &["--owner-token", &flag],
            None,
            Vec::new(),
            "--owner-token, and left out what stands around it",
        ),
        (
            &[],
            Some(&variable),
            Vec::new(),
            "SIGILUM_OWNER_TOKEN, and left out what stands around it",
        ),
        (
            &["--owner-token-stdin"],
            None,
            format!("{first}\n{rest}\n").into(),
            "standard input, and left out line breaks or blanks in it",
        ),
        (
            &["--owner-token-stdin"],
            None,
            utf16(&format!("{token}\r\n")),
            "standard input, and left out its encoding as UTF-16",
        ),
        (&["--owner-token-stdin"], None, format!("\n{token}\r\n").into(), ""),
    ];
    for (flags, variable, stdin, said) in ways {
        let env = TestEnv::new();
        let run = env.run(LOGIN).args(flags).stdin(stdin);
        let output = match variable {
            Some(value) => run.env("SIGILUM_OWNER_TOKEN", value),
            None => run,
        };
        let output = output.expect(0);
        assert_eq!(env.stored().as_ref(), Some(&token), "{flags:?}");
        assert!(output.stderr.contains(said), "{flags:?}: {}", output.stderr);
        assert_eq!(
            output.stderr.contains("left out"),
            !said.is_empty(),
            "{}",
            output.stderr
        );
        assert!(!output.stderr.contains(first), "{}", output.stderr);
    }
}

#[test]
fn what_is_no_token_is_named_with_the_step_that_helps() {
    let key = "sk_live_0123456789abcdef0123456789abcdef0123456789ab34dc";
    let cut = managed_token("alice", 5_000);
    let cut = &cut[..cut.len() - 9];
    for (text, says, next) in [
        (
            key,
            "it is the API key of a Sigilum service",
            "copied from your account page",
        ),
        (cut, "the end of the token is missing", "copy the whole token"),
        (
            "./token.jwt",
            "it is a path",
            "auth login --owner-token-stdin --namespace alice <",
        ),
        (
            "<html>Sign in</html>",
            "it is an HTML page",
            "sign in at https://sigilum.id",
        ),
    ] {
        let env = TestEnv::new();
        let output = env.run(LOGIN).args(["--owner-token-stdin"]).stdin(text).expect(4);
        for wanted in [says, next] {
            assert!(output.stderr.contains(wanted), "{text}: {}", output.stderr);
        }
        assert!(!output.stderr.contains(text), "{}", output.stderr);
        assert!(!env.openclaw().exists());
    }
}

#[test]
fn a_token_file_that_was_saved_by_hand_is_understood() {
    let token = managed_token("alice", 5_000);
    for text in [format!("\u{feff}\"{token}\"\r\n").into(), utf16(&token)] {
        let env = TestEnv::new();
        env.log_in_with(&managed_token("alice", 4_000));
        env.write(".openclaw/.sigilum/owner-token-alice.jwt", text);
        let output = env.run(["auth", "show", "--namespace", "alice"]).expect(0);
        assert_eq!(output.stdout.trim_end(), token);
    }
}

#[test]
fn a_banner_before_the_token_of_a_token_command_does_not_matter() {
    let env = TestEnv::new();
    env.write_config(CONFIG);
    // Issued before the fresh one, and due.
    let old = env::watching::token("only Sigilum knows", "alice", 3_590, 3_600);
    let api = env.managed_api();
    env.log_in_at(&api, &old);
    let fresh = managed_token("alice", 50_000);
    let command = format!("printf 'Welcome to Corp!\\nLast login: today\\n%s\\n' {fresh}");
    env.run(["watch", "--once", "--token-command", &command]).expect(0);
    assert_eq!(env.stored(), Some(fresh));
    let output = env
        .run([
            "watch",
            "--once",
            "--renew-at",
            "0.9",
            "--token-command",
            "echo Session expired, log in",
        ])
        .output();
    assert_eq!(output.code, 0, "not due: {}", output.stderr);
    env.write(".openclaw/.sigilum/owner-token-alice.jwt", &old);
    let output = env
        .run(["watch", "--once", "--token-command", "echo Session expired, log in"])
        .expect(4);
    assert!(output.stderr.contains("run the command yourself"), "{}", output.stderr);
    // It ends here.
    assert!(!output.stderr.contains("trying again"), "{}", output.stderr);
}
