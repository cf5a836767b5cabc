//! `service secret set`, and where a secret may come from.

use crate::env;

use env::gateway::Fault;
use env::mode;
use env::services::{Desk, SECRET, json};
use serde_json::json as value;

const NEW: &str = "a-new-secret-9876543210";

fn desk() -> Desk {
    let desk = Desk::new();
    desk.add_linear([]).expect(0);
    desk.gateway.seen();
    desk
}

#[test]
fn the_gateway_first_then_the_file() {
    let desk = desk();
    let output = desk
        .set("linear", ["--upstream-secret-env", "NEW"])
        .env("NEW", NEW)
        .expect(0);
    assert_eq!(desk.gateway.changes(), ["POST /connections/linear/rotate"]);
    assert_eq!(desk.gateway.secrets("linear")["access_token"], NEW);
    assert_eq!(desk.read("gateway-connection-secret-linear"), NEW);
    assert_eq!(mode(desk.file("gateway-connection-secret-linear")), 0o600);
    assert!(
        output.stdout.contains("access_token = a-ne...3210"),
        "{}",
        output.stdout
    );
    assert!(!format!("{output:?}").contains(NEW));

    // Refused by the gateway: the file keeps what the gateway has.
    desk.gateway.fault("POST", "rotate", Fault::Fail, 1);
    let output = desk
        .set("linear", ["--upstream-secret-env", "NEW"])
        .env("NEW", SECRET)
        .expect(6);
    assert!(output.stderr.contains("done: nothing"), "{}", output.stderr);
    assert_eq!(desk.read("gateway-connection-secret-linear"), NEW);
    // Answered, but the answer was lost: the next run puts it right.
    desk.gateway.fault("POST", "rotate", Fault::DropAfter, 1);
    let set = || {
        desk.set("linear", ["--upstream-secret-env", "NEW", "--json"])
            .env("NEW", SECRET)
    };
    set().expect(6);
    assert_eq!(desk.read("gateway-connection-secret-linear"), NEW);
    let report = json(&set().expect(0));
    assert_eq!(report["gateway"]["actions"], value!([]));
    assert_eq!(desk.read("gateway-connection-secret-linear"), SECRET);
}

#[test]
fn every_source_and_only_one() {
    let desk = desk();
    let file = desk.env.write("secret", format!("{NEW}\r\n"));
    let file = file.to_str().unwrap();
    type Case<'a> = (&'a [&'a str], Option<&'a str>);
    let good: [Case; 5] = [
        (&["--upstream-secret", NEW], None),
        (&["--upstream-secret", "-"], Some("a-new-secret-9876543210\n")),
        (&["--upstream-secret-env", "NEW"], None),
        (&["--upstream-secret-file", file], None),
        (&["--upstream-secret-file", "-"], Some("  a-new-secret-9876543210  ")),
    ];
    for (args, stdin) in good {
        desk.set("linear", ["--upstream-secret", SECRET]).expect(0);
        let mut run = desk.set("linear", args.iter().copied()).env("NEW", NEW);
        if let Some(stdin) = stdin {
            run = run.stdin(stdin);
        }
        run.expect(0);
        assert_eq!(desk.gateway.secrets("linear")["access_token"], NEW, "{args:?}");
        assert_eq!(desk.read("gateway-connection-secret-linear"), NEW, "{args:?}");
    }
    desk.gateway.seen();
    let bad: [(&[&str], i32, &str); 7] = [
        (&[], 2, "--upstream-secret-env"),
        (
            &["--upstream-secret", "a", "--upstream-secret-file", "-"],
            2,
            "more than once",
        ),
        (&["--upstream-secret-env", "NOPE"], 7, "NOPE"),
        (&["--upstream-secret-file", "missing"], 7, "missing"),
        (&["--upstream-secret-file", "."], 7, "could not"),
        (&["--upstream-secret", "-"], 7, "empty"),
        (&["--upstream-secret", "a\u{1b}b"], 7, "control"),
    ];
    for (args, code, words) in bad {
        let output = desk.set("linear", args.iter().copied()).expect(code);
        assert!(output.stderr.contains(words), "{args:?}: {}", output.stderr);
    }
    assert!(desk.gateway.seen().is_empty());
    assert_eq!(desk.read("gateway-connection-secret-linear"), NEW);
}

#[test]
fn another_key_is_merged_in_and_the_file_keeps_the_one_in_use() {
    let desk = desk();
    let args = [
        "--upstream-secret-env",
        "NEW",
        "--upstream-secret-key",
        "second",
        "--json",
    ];
    let output = desk.set("linear", args).env("NEW", NEW).expect(0);
    let secrets = desk.gateway.secrets("linear");
    assert_eq!((&*secrets["access_token"], &*secrets["second"]), (SECRET, NEW));
    assert_eq!(desk.read("gateway-connection-secret-linear"), SECRET);
    let report = json(&output);
    assert!(report["gateway"]["secret_file"].is_null());
    assert_eq!(report["gateway"]["secret_key"], "second");
    assert!(output.stderr.contains("stored in no file"), "{}", output.stderr);
}

#[test]
fn an_unknown_connection_and_a_secret_that_is_not_set_are_explained() {
    let desk = desk();
    let output = desk
        .set("unknown", ["--upstream-secret-env", "NEW"])
        .env("NEW", NEW)
        .expect(1);
    assert!(
        output.stderr.contains("no connection unknown")
            && output
                .stderr
                .contains("service add --service-slug unknown --mode gateway --upstream-base-url"),
        "{}",
        output.stderr
    );
    // A connection that sends a secret which it does not have.
    desk.gateway.given(value!({
        "id": "empty", "base_url": "https://a.test", "protocol": "mcp", "auth_secret_key": "", "secrets": {}
    }));
    desk.gateway.set("empty", "auth_secret_key", value!("main"));
    let args = ["--upstream-secret-env", "NEW", "--upstream-secret-key", "second"];
    let output = desk.set("empty", args).env("NEW", NEW).expect(7);
    assert!(
        output.stderr.contains("Secret not set in gateway connection"),
        "{}",
        output.stderr
    );
    assert!(
        output.stderr.contains("--upstream-secret-key main"),
        "{}",
        output.stderr
    );
    desk.set("empty", ["--upstream-secret-env", "NEW"])
        .env("NEW", NEW)
        .expect(0);
    assert_eq!(desk.gateway.secrets("empty")["main"], NEW);
}

#[test]
fn dry_run_reveal_and_json() {
    let desk = desk();
    let set = |args: &[&'static str]| {
        let start = ["--upstream-secret-env", "NEW"];
        desk.set("linear", start.into_iter().chain(args.iter().copied()))
            .env("NEW", NEW)
    };
    let output = set(&["--dry-run"]).expect(0);
    assert!(
        output
            .stdout
            .contains("secret access_token of the connection linear set"),
        "{}",
        output.stdout
    );
    assert!(
        json(&set(&["--dry-run", "--json"]).expect(0))["steps"]
            .as_array()
            .unwrap()
            .len()
            == 2
    );
    assert!(desk.gateway.changes().is_empty());
    assert_eq!(desk.read("gateway-connection-secret-linear"), SECRET);
    let report = json(&set(&["--json"]).expect(0));
    assert_eq!(report["gateway"]["secret"], "a-ne...3210");
    assert_eq!(report["gateway"]["connection"]["secret_version"], 2);
    assert_eq!(report["service_slug"], "linear");
    assert!(set(&["--reveal-secrets"]).expect(0).stdout.contains(NEW));
}

#[test]
fn a_connection_is_named_by_its_slug_whosever_account_this_is() {
    let desk = desk();
    let set = |args: &[&'static str]| {
        let start = ["--upstream-secret-env", "NEW"];
        let run = desk.set("linear", start.into_iter().chain(args.iter().copied()));
        run.env("NEW", NEW).env("SIGILUM_NAMESPACE", "").env("USER", "somebody")
    };
    let output = set(&[]).expect(0);
    assert_eq!(desk.gateway.secrets("linear")["access_token"], NEW);
    assert!(
        output.stdout.starts_with("Service linear of alice: "),
        "{}",
        output.stdout
    );
    assert_eq!(output.stderr, "");
    // Whoever names a namespace means no other one's connection.
    let output = set(&["--namespace", "somebody"]).expect(1);
    assert!(
        output.stderr.contains("a service of the namespace alice"),
        "{}",
        output.stderr
    );
    // Nor does one that has a service of this slug itself.
    desk.add("linear", ["--namespace", "somebody"]).expect(0);
    set(&[]).expect(1);
}

#[test]
fn what_a_paste_or_a_file_leaves_around_a_secret_is_left_out_and_told() {
    let desk = desk();
    let utf16: Vec<u8> = format!("\u{feff}{NEW}\r\n")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let padded = "QUJDREVGR0hJSktMTU5PUA==";
    let cases: [(Vec<u8>, &str, &str); 19] = [
        (format!("{NEW}\n").into_bytes(), NEW, ""),
        (format!("\u{feff}{NEW}\n").into_bytes(), NEW, ""),
        (utf16, NEW, "its encoding as UTF-16"),
        (
            format!("\u{1b}[200~{NEW}\u{1b}[201~").into_bytes(),
            NEW,
            "the terminal's marks around it",
        ),
        (
            "a-new-\u{200b}secret-\u{ad}9876543210\u{200d}".to_owned().into_bytes(),
            NEW,
            "invisible characters",
        ),
        (format!("\"{NEW}\"\n").into_bytes(), NEW, "the quotes around it"),
        (format!("' {NEW} '").into_bytes(), NEW, "the quotes around it"),
        (format!("“{NEW}”").into_bytes(), NEW, "the quotes around it"),
        (
            format!("LINEAR_API_KEY={NEW}\n").into_bytes(),
            NEW,
            "the name and the = before it",
        ),
        (
            format!("export KEY='{NEW}'\n").into_bytes(),
            NEW,
            "the name and the = before it, the quotes around it",
        ),
        (format!("Bearer {NEW}").into_bytes(), NEW, "\"Bearer\" before it"),
        (format!("bearer  {NEW}").into_bytes(), NEW, "\"Bearer\" before it"),
        (
            format!("Authorization: Bearer {NEW}").into_bytes(),
            NEW,
            "the header's name before it",
        ),
        // What is a secret all the same.
        (padded.into(), padded, ""),
        (b"SESSION=0123456789abcdef".to_vec(), "SESSION=0123456789abcdef", ""),
        (b"Bearer-of-tokens".to_vec(), "Bearer-of-tokens", ""),
        (b"KEY=0123".to_vec(), "KEY=0123", ""),
        (b"user:0123456789abcdef".to_vec(), "user:0123456789abcdef", ""),
        (b"\"a\" and \"b\"".to_vec(), "\"a\" and \"b\"", ""),
    ];
    for (bytes, secret, told) in cases {
        let file = desk.env.write("secret", &bytes);
        let output = desk
            .set("linear", ["--upstream-secret-file", file.to_str().unwrap()])
            .expect(0);
        let case = String::from_utf8_lossy(&bytes);
        assert_eq!(desk.gateway.secrets("linear")["access_token"], secret, "{case}");
        assert_eq!(desk.read("gateway-connection-secret-linear"), secret, "{case}");
        let note = "left out of the upstream secret: ";
        assert_eq!(
            output.stderr.contains(note),
            !told.is_empty(),
            "{case}: {}",
            output.stderr
        );
        assert!(output.stderr.contains(told), "{case}: {}", output.stderr);
        assert!(!format!("{output:?}").contains(secret), "{case}");
    }
    // What the upstream would get is odd, and may be meant.
    for (secret, told) in [
        ("Basic abc", r#"the upstream would get "Bearer Basic …""#),
        ("token abc", r#"the upstream would get "Bearer Token …""#),
        ("ApiKey abc", r#"the upstream would get "Bearer ApiKey …""#),
        ("Bearer Basic abc", r#"the upstream would get "Bearer Basic …""#),
        ("abc def", "a blank in it, which a bearer token cannot have"),
        ("\"abc", "begins with a quote that nothing closes"),
        (r#"{"token":"abc"}"#, "is a JSON object"),
        ("None", "is a word that scripts leave"),
        ("Bearer None", "is a word that scripts leave"),
        ("Bearer \"abc\"", "stands in quotes, and the upstream would get it so"),
        ("Bearer 'abc'", "stands in quotes, and the upstream would get it so"),
        ("abcdef", ""),
        ("$ecret", ""),
        ("{abc", ""),
        ("Nonesuch", ""),
    ] {
        let file = desk.env.write("secret", secret);
        let output = desk
            .set("linear", ["--upstream-secret-file", file.to_str().unwrap()])
            .expect(0);
        assert!(output.stderr.contains(told), "{secret}: {}", output.stderr);
        let doubted = ["would get", "cannot have", "is it meant"]
            .iter()
            .any(|words| output.stderr.contains(words));
        assert_eq!(doubted, !told.is_empty(), "{secret}: {}", output.stderr);
    }
    for (bytes, words) in [
        (&b"one\ntwo\n"[..], "a line break"),
        (b"a\0b", "not text"),
        ("a\u{a0}b".as_bytes(), "a blank of a kind"),
        (b"\"\"", "it is empty"),
        (b"${LINEAR}", "it only stands for a secret"),
        (b"LINEAR_API_KEY=$LINEAR", "it only stands for a secret"),
        (b"<your key>", "it only stands for a secret"),
        (b" undefined\n", "it only stands for a secret"),
        (b"null", "it only stands for a secret"),
        (b"%LINEAR_KEY%", "it only stands for a secret"),
        // As a script without the variable leaves it, whatever it put before it.
        (b"Bearer ", "nothing follows"),
        (b"Authorization: Bearer", "nothing follows"),
        (b"token", "nothing follows"),
        (b"KEY=", "nothing follows"),
        (b"LINEAR_API_KEY_OF_OURS=", "nothing follows"),
        (b"Bearer undefined", "it only stands for a secret"),
        (b"bearer $TOK", "it only stands for a secret"),
        (b"Authorization: Basic ${TOK}", "it only stands for a secret"),
        (b"KEY=undefined", "it only stands for a secret"),
        (b"api_key: null", "it only stands for a secret"),
        (b"LINEAR_API_KEY='Bearer undefined'", "it only stands for a secret"),
        (b"***", "a part of it is hidden"),
        (b"Bearer ***", "a part of it is hidden"),
        (b"lin_api_****1234", "a part of it is hidden"),
        ("lin_api_ab\u{2026}yz".as_bytes(), "a part of it is hidden"),
        ("\u{2022}\u{2022}\u{2022}1234".as_bytes(), "a part of it is hidden"),
        ("\u{feff}\u{200b}\n".as_bytes(), "it is empty"),
    ] {
        let file = desk.env.write("secret", bytes);
        let output = desk
            .set("linear", ["--upstream-secret-file", file.to_str().unwrap()])
            .expect(7);
        assert!(
            output.stderr.contains(words) && output.stderr.contains("next: "),
            "{words}: {}",
            output.stderr
        );
        // Another source would be refused too.
        let in_one_line = output.stderr.contains("next: give it in one line");
        assert_eq!(in_one_line, words == "a line break", "{words}: {}", output.stderr);
    }
}

#[test]
fn a_prefix_stands_once_before_a_secret_whatever_command_sets_it() {
    let desk = Desk::new();
    let url = ["--mode", "gateway", "--upstream-base-url", "https://a.test"];
    // The connection's prefix as it will be, or as it is; the secret; what the gateway gets of it.
    for (slug, args, given, sent) in [
        ("one", &[][..], "Bearer abc", "abc"),
        ("one", &[], "Bearer Bearer abcd", "abcd"),
        ("one", &[], "Authorization: Bearer bearer  Bearer abc", "abc"),
        ("two", &["--auth-prefix", "Token "], "token abc", "abc"),
        ("two", &[], "Token abcd", "abcd"),
        ("two", &["--auth-prefix", "Key "], "Key abc", "abc"),
        ("two", &["--auth-mode", "header_key"], "Bearer abc", "Bearer abc"),
        (
            "three",
            &["--auth-mode", "header_key", "--upstream-header", "Authorization"],
            "Bearer abc",
            "Bearer abc",
        ),
        ("four", &["--auth-prefix", "Bearer"], "Bearerabc", "Bearerabc"),
        (
            "five",
            &["--auth-mode", "header_key", "--upstream-header", "X-Api-Key"],
            "x-api-key: abc",
            "abc",
        ),
        (
            "six",
            &["--auth-mode", "query_param", "--upstream-header", "api_key"],
            "?api_key=abc",
            "abc",
        ),
        ("six", &[], "api_key=abcd", "abcd"),
        ("six", &[], "api_keyabc", "api_keyabc"),
        ("six", &[], "?api_key=abc&d", "abc&d"),
        ("seven", &[], "Authorization=Bearer abc", "abc"),
    ] {
        let output = desk
            .add(slug, [&url, args, &["--upstream-secret", given]].concat())
            .expect(0);
        let secrets = desk.gateway.secrets(slug);
        let key = desk.gateway.connection(slug).unwrap()["auth_secret_key"].clone();
        assert_eq!(secrets[key.as_str().unwrap()], sent, "{slug} {args:?}");
        assert_eq!(
            desk.read(&format!("gateway-connection-secret-{slug}")),
            sent,
            "{slug} {args:?}"
        );
        assert_eq!(output.stderr.contains("left out"), given != sent, "{}", output.stderr);
        let has_no_blank = output
            .stderr
            .contains("would get \"Bearer…\", with no blank behind the prefix");
        assert_eq!(has_no_blank, args == ["--auth-prefix", "Bearer"], "{}", output.stderr);
    }
    // What is left is looked at once more.
    for (args, given) in [
        (&["--auth-prefix", "Our "][..], "our ${TOKEN}"),
        (
            &["--auth-mode", "header_key", "--upstream-header", "Our-Key"],
            "our-key: <key>",
        ),
        (
            &["--auth-mode", "query_param", "--upstream-header", "key-of-ours"],
            "key-of-ours=",
        ),
        (
            &["--auth-mode", "query_param", "--upstream-header", "api_key"],
            "?api_key=abc&x=1",
        ),
        (
            &["--auth-mode", "query_param", "--upstream-header", "api_key"],
            "x=1&api_key=abc",
        ),
    ] {
        let args = [&url, args, &["--upstream-secret", given]].concat();
        let output = desk.add("none", args).expect(7);
        assert!(output.stderr.contains("invalid upstream secret: "), "{}", output.stderr);
        assert!(desk.gateway.connection("none").is_none());
    }
}

#[test]
fn a_slug_that_is_another_namespaces_is_set_with_that_namespace() {
    let desk = Desk::new();
    desk.add_linear([]).expect(0);
    let set = |namespace| desk.set("linear", ["--namespace", namespace, "--upstream-secret", "abc"]);
    let output = set("bobbob").expect(1);
    let next = "next: if that service is meant, give its namespace: --namespace alice\n";
    assert!(output.stderr.contains(next), "{}", output.stderr);
    set("alice").expect(0);
}
