//! What people paste, and what is made of it.

use super::*;
use crate::token::claims::Claims;
use base64::engine::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use secrecy::ExposeSecret;

const BLANKS: &str = "line breaks or blanks in it";
const AROUND: &str = "what stands around it";
const COLOURS: &str = "a terminal's colours";
const WIDE: &str = "the full width of its signs";
const QUOTED: &str = "the quote marks before its lines";
const ESCAPES: &str = "the escapes of a quoted text";
const NUMBERS: &str = "the numbers of its lines";
const FRAME: &str = "the frame around its lines";
const PRINTABLE: &str = "its quoted-printable encoding";
const PERCENT: &str = "its percent-encoding";
const MARKS: &str = "the marks before its lines";
const PIECES: &str = "the quotes between its pieces";
const BASE64: &str = "its base64 encoding";

/// Of another issuer.
const FOREIGN: &str =
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2FjY291bnRzLmdvb2dsZS5jb20iLCJzdWIiOiIxIn0.c2lnbmF0dXJl";

fn token(namespace: &str) -> String {
    let claims = Claims::new("user_1", "alice@example.org", namespace, 1_800_000_000, 604_800);
    let token = claims::mint(&claims, &"0123456789abcdef0123456789abcdef".into()).unwrap();
    token.expose_secret().to_owned()
}

fn broken(token: &str, width: usize, between: &str) -> String {
    let lines: Vec<&str> = (0..token.len())
        .step_by(width)
        .map(|at| &token[at..token.len().min(at + width)])
        .collect();
    lines.join(between)
}

fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(unit).collect()
}

#[test]
fn a_token_as_people_paste_it_is_taken() {
    let jwt = &token("alice");
    let dotted: Vec<&str> = jwt.split('.').collect();
    let (wide, narrow) = (broken(jwt, 80, "\n"), broken(jwt, 7, " "));
    let json = format!(r#"{{"token": "{jwt}", "expiresIn": 604800, "user": {{"name": "Eyvind"}}}}"#);
    let long = format!("\u{1b}[200~  export SIGILUM_OWNER_TOKEN=\"{wide}\"\r\n\u{1b}[201~\n");
    let lines: Vec<&str> = wide.lines().collect();
    let numbered: Vec<String> = (1..).zip(&lines).map(|(at, line)| format!("{at:6}\t{line}")).collect();
    let edge = "\u{2500}".repeat(82);
    let framed: String = lines
        .iter()
        .map(|line| format!("\u{2502} {line:80} \u{2502}\n"))
        .collect();
    let framed = format!("\u{250c}{edge}\u{2510}\n{framed}\u{2514}{edge}\u{2518}\n");
    let secret = format!(
        "apiVersion: v1\ndata:\n  owner-token: {}\nkind: Secret\n",
        STANDARD.encode(jwt)
    );
    let cases: Vec<(Vec<u8>, Vec<&str>)> = vec![
        (jwt.clone().into(), vec![]),
        (format!("\n  {jwt}\r\n\n").into(), vec![]),
        (wide.clone().into(), vec![BLANKS]),
        (broken(jwt, 64, "\r\n    ").into(), vec![BLANKS]),
        (narrow.into(), vec![BLANKS]),
        (broken(jwt, 1, "\n").into(), vec![]),
        (broken(jwt, 72, "\\\n").into(), vec![BLANKS, AROUND]),
        (format!("\"{jwt}\"").into(), vec![AROUND]),
        (format!("'{jwt}'").into(), vec![AROUND]),
        (format!("\u{201c}{jwt}\u{201d}").into(), vec![AROUND]),
        (format!("`{jwt}`,").into(), vec![AROUND]),
        (format!("Bearer {jwt}").into(), vec![AROUND]),
        (format!("authorization: bearer {wide}").into(), vec![BLANKS, AROUND]),
        (format!("SIGILUM_OWNER_TOKEN={jwt}").into(), vec![AROUND]),
        (format!("export SIGILUM_OWNER_TOKEN='{jwt}'").into(), vec![AROUND]),
        (format!("$env:SIGILUM_OWNER_TOKEN = \"{jwt}\"").into(), vec![AROUND]),
        (format!("  \"owner_token\": \"{jwt}\",").into(), vec![AROUND]),
        (format!("owner_token: {jwt} # until Friday").into(), vec![AROUND]),
        (json.clone().into(), vec![AROUND]),
        (format!("{jwt}\n{jwt}\n").into(), vec![AROUND]),
        (
            format!("Welcome to corp!\nLast login: today\n{jwt}\n").into(),
            vec![AROUND],
        ),
        (
            format!(r#"{{"id_token":"{FOREIGN}","access_token":"{jwt}"}}"#).into(),
            vec![AROUND],
        ),
        (format!("\u{1b}[1;32m{jwt}\u{1b}[0m\n").into(), vec![COLOURS]),
        (
            format!("\u{1b}[33m{}\u{1b}[0m", dotted.join("\u{1b}[31m.\u{1b}[33m")).into(),
            vec![COLOURS],
        ),
        (format!("token: [32m{jwt}[0m").into(), vec![COLOURS, AROUND]),
        (format!("> {}\n", broken(jwt, 70, "\n> ")).into(), vec![QUOTED, BLANKS]),
        (
            format!(">> {}", broken(jwt, 70, "\r\n>> ")).into(),
            vec![QUOTED, BLANKS],
        ),
        (broken(jwt, 75, "=\n").into(), vec![PRINTABLE]),
        (
            format!("TOKEN=3D{}", broken(jwt, 75, "=\r\n")).into(),
            vec![PRINTABLE, AROUND],
        ),
        (
            format!("> {}", broken(&dotted.join("=2E"), 75, "=\n> ")).into(),
            vec![QUOTED, PRINTABLE],
        ),
        (dotted.join("%2E").into(), vec![PERCENT]),
        (
            format!("https://x.example/?token={}&x=1", dotted.join("%2e")).into(),
            vec![PERCENT, AROUND],
        ),
        (
            format!(r#"{{"token":"{}"}}"#, broken(jwt, 64, "\\n")).into(),
            vec![ESCAPES, BLANKS, AROUND],
        ),
        (
            format!("\"{}\"", broken(jwt, 76, "\\r\\n")).into(),
            vec![ESCAPES, BLANKS, AROUND],
        ),
        (numbered.join("\n").into(), vec![NUMBERS, BLANKS]),
        (framed.into(), vec![FRAME, BLANKS]),
        (secret.into(), vec![BASE64, AROUND]),
        (format!("{jwt}.").into(), vec![AROUND]),
        (format!("\u{feff}{jwt}").into(), vec![]),
        (broken(jwt, 30, "\u{200b}").into(), vec!["invisible characters"]),
        (
            format!("\u{1b}[200~{jwt}\u{1b}[201~").into(),
            vec!["the terminal's marks around it"],
        ),
        (long.into(), vec!["the terminal's marks around it", BLANKS, AROUND]),
        (
            utf16(&format!("\u{feff}{jwt}\r\n"), u16::to_le_bytes),
            vec!["its encoding as UTF-16"],
        ),
        (utf16(jwt, u16::to_be_bytes), vec!["its encoding as UTF-16"]),
        // A secret of Kubernetes, of credentials, in lines.
        (base64(jwt).into(), vec![BASE64]),
        (
            format!("{}\n", broken(&base64(&format!("{jwt}\n")), 76, "\n")).into(),
            vec![BASE64],
        ),
        (
            format!("Basic {}", base64(&format!("alice:{jwt}"))).into(),
            vec![BASE64, AROUND],
        ),
        // Quotes of Windows-1252, and a name in it.
        ([b"\x93", jwt.as_bytes(), b"\x94\r\n"].concat(), vec![AROUND]),
        ([b"Ren\xe9: ", jwt.as_bytes()].concat(), vec![AROUND]),
        (jwt.replace('.', "．").into(), vec![WIDE]),
        (
            utf16(&format!("\u{feff}{json}"), u16::to_be_bytes),
            vec!["its encoding as UTF-16", AROUND],
        ),
    ];
    for (text, left_out) in cases {
        let shown = String::from_utf8_lossy(&text).into_owned();
        let pasted = read(&text).unwrap_or_else(|why| panic!("{why}: {shown}"));
        assert_eq!(pasted.token.expose_secret(), jwt, "{shown}");
        if !left_out.is_empty() {
            assert_eq!(pasted.left_out, left_out, "{shown}");
        }
    }
}

/// Nothing is untrue of a token that a program broke into lines or pieces, or wrote down otherwise.
#[test]
fn a_token_among_the_signs_of_programs_is_taken() {
    let jwt = &token("alice");
    let wide = broken(jwt, 80, "\n");
    let lines: Vec<&str> = wide.lines().collect();
    let by_line = |sign: fn(usize, &str) -> String| {
        let lines: Vec<String> = (1..).zip(&lines).map(|(at, line)| sign(at, line)).collect();
        lines.join("\n")
    };
    let gutter = |at, line: &str| format!("{:>4}   {line}", if at == 1 { "1" } else { "" });
    let ruled = |at, line: &str| format!("{:>4}   \u{2502} {line}", if at == 1 { "1" } else { "" });
    let rule = |sign| format!("{}{sign}{}", "\u{2500}".repeat(7), "\u{2500}".repeat(72));
    let bat = |header: &str| {
        let (above, below) = (rule('\u{252c}'), rule('\u{2534}'));
        format!("{above}\n{header}{}\n{below}\n", by_line(ruled))
    };
    let header = format!("       \u{2502} File: token.txt\n{}\n", rule('\u{253c}'));
    let encoded = broken(&base64(jwt), 76, "\n");
    let numbered: Vec<String> = (1..)
        .zip(encoded.lines())
        .map(|(at, line)| format!("{at}: {line}"))
        .collect();
    let boxed: Vec<String> = encoded
        .lines()
        .map(|line| format!("\u{2502} {line:76} \u{2502}"))
        .collect();
    let dotted: Vec<&str> = jwt.split('.').collect();
    let cases: Vec<(String, &[&str])> = vec![
        (by_line(|at, line| format!("{at}. {line}")), &[NUMBERS]),
        (by_line(|at, line| format!(" {at}) {line}")), &[NUMBERS]),
        (
            format!("Your token:\n\n{}", by_line(|at, line| format!("{at} {line}"))),
            &[NUMBERS],
        ),
        (by_line(gutter), &[]),
        (bat(""), &[FRAME, NUMBERS]),
        (bat(&header), &[FRAME, NUMBERS]),
        (by_line(|_, line| format!("- {line}")), &[MARKS]),
        (by_line(|_, line| format!("# {line}")), &[MARKS]),
        (by_line(|_, line| format!("    // {line}")), &[MARKS]),
        (
            format!("/*\n{}\n */", by_line(|_, line| format!(" * {line}"))),
            &[MARKS],
        ),
        (numbered.join("\n"), &[NUMBERS, BASE64]),
        (boxed.join("\n"), &[FRAME, BASE64]),
        (
            format!(
                "data:\n  token: |\n    {}\nkind: Secret\n",
                encoded.replace('\n', "\n    ")
            ),
            &[BASE64],
        ),
        (
            format!(
                "data:\n  token: |\n    {}\n  ca: YWJj\n",
                encoded.replace('\n', "\n    ")
            ),
            &[BASE64],
        ),
        (format!("TOKEN={}", base64(jwt)), &[BASE64]),
        (format!("token = (\"{}\")", broken(jwt, 80, "\"\n    \"")), &[PIECES]),
        (format!("t = \"{}\";", broken(jwt, 80, "\" +\n  \"")), &[PIECES]),
        (format!("'{}'", broken(jwt, 80, "'\n  + '")), &[PIECES]),
        (dotted.join("&#46;"), &[ESCAPES]),
        (dotted.join("&#x2E;"), &[ESCAPES]),
        (dotted.join("\\x2e"), &[ESCAPES]),
        (dotted.join("\\u002e"), &[ESCAPES]),
        (
            format!(r#"{{"html":"\u003ccode\u003e{jwt}\u003c/code\u003e"}}"#),
            &[ESCAPES],
        ),
        (format!(r#"{{"text":"token:\u0020{jwt}"}}"#), &[ESCAPES]),
        (format!(r#"{{"text":"\u0022{jwt}\u0022"}}"#), &[ESCAPES]),
        (format!(r#"{{"text":"\u0027{jwt}\u0027"}}"#), &[ESCAPES]),
    ];
    for (text, undone) in cases {
        let pasted = read(text.as_bytes()).unwrap_or_else(|why| panic!("{why}: {text}"));
        assert_eq!(pasted.token.expose_secret(), jwt, "{text}");
        assert!(pasted.left_out.starts_with(undone), "{:?}: {text}", pasted.left_out);
    }
}

#[test]
fn tokens_count_whatever_they_are_encoded_in() {
    let (alice, john) = (&token("alice"), &token("johndee"));
    let older = &broken(&base64(&token("alice2")), 76, "\n      ");
    let (a, b) = (base64(alice), base64(john));
    let two = "it holds 2 tokens: a for namespace alice, b for namespace johndee";
    let last = format!(r#""{{\"stringData\":{{\"b\":\"{john}\"}}}}\n""#);
    for (text, says) in [
        (format!("data:\n  a: {a}\n  b: {b}\nkind: Secret\n"), two),
        (format!("data:\n  a: {alice}\n  b: {b}\n"), two),
        (format!("data:\n  a: {a}\n  b: {john}\n"), two),
        (
            format!(r#"{{"data":{{"a":"{a}"}},"annotations":{{"last-applied-configuration":{last}}}}}"#),
            two,
        ),
        (
            format!(r#"{{"text":"a=\n{alice}", "b":"{john}"}}"#),
            "it holds 2 tokens: ",
        ),
        (format!("{a}\n{b}\n"), "it holds 2 tokens: "),
        (
            format!("data:\n  a: |\n      {older}\n  b: {b}\n"),
            "it holds 2 tokens: ",
        ),
        (
            format!("data:\n  a: {a}\n  b: {b}\n  c: {john}\nd: {}", token("bob")),
            "it holds 3 tokens: ",
        ),
    ] {
        let error = read(text.as_bytes()).map(|pasted| pasted.left_out).unwrap_err();
        assert!(error.to_string().starts_with(says), "{error}: {text}");
    }
    // One and the same; another issuer's; what is cut.
    for text in [
        format!("data:\n  a: {a}\n  b: {a}\n"),
        format!("a: {alice}\nb: {a}\n"),
        format!("a: {FOREIGN}\nb: {a}\n"),
        format!("a: {}\nb: {a}\n", &alice[..alice.len() - 9]),
        format!("a: {alice}\nb: {}\n", base64(&john[..john.len() - 9])),
    ] {
        let pasted = read(text.as_bytes()).unwrap_or_else(|why| panic!("{why}: {text}"));
        assert_eq!(pasted.token.expose_secret(), alice, "{text}");
    }
}

#[test]
fn what_a_program_put_in_the_place_of_a_tokens_signs_is_put_right() {
    let jwt = &(0..)
        .map(|n| token(&format!("alice{n}")))
        .find(|jwt| jwt.contains('-') && jwt.contains('_'))
        .unwrap();
    let padded = jwt
        .split('.')
        .map(|part| format!("{part}{}", &"==="[..(4 - part.len() % 4) % 4]));
    let padded = padded.collect::<Vec<_>>().join(".");
    let (dashes, standard) = ("the dashes of a text program", "the signs of plain base64");
    for (text, left_out) in [
        (jwt.replace('-', "\u{2011}"), vec![dashes]),
        (format!("\"{}\"", jwt.replace('-', "\u{2013}")), vec![dashes, AROUND]),
        (padded.clone(), vec![standard]),
        (
            broken(&padded.replace('-', "+").replace('_', "/"), 64, "\n"),
            vec![standard, BLANKS],
        ),
    ] {
        let pasted = read(text.as_bytes()).unwrap_or_else(|why| panic!("{why}: {text}"));
        assert_eq!(pasted.token.expose_secret(), jwt, "{text}");
        assert_eq!(pasted.left_out, left_out, "{text}");
    }
}

#[test]
fn what_is_no_token_is_named_for_what_it_is() {
    let jwt = &token("alice");
    let foreign = FOREIGN;
    let jwe = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..aXY.Y2lwaGVy.dGFn";
    let key = "sk_live_0123456789abcdef0123456789abcdef0123456789ab34dc";
    let [header, said, _] = jwt.split('.').collect::<Vec<_>>()[..] else {
        panic!()
    };
    let cases: Vec<(String, &str)> = vec![
        (String::new(), "it is empty"),
        ("\u{feff} \n\u{200b}".to_owned(), "it is empty"),
        (key.to_owned(), "the API key of a Sigilum service"),
        (format!("export KEY=\"{key}\""), "the API key of a Sigilum service"),
        (
            format!("gw_{}", &key[8..]),
            "the upstream secret of a Sigilum gateway connection",
        ),
        (
            "ghp_0123456789abcdefghijklmnopqrstuvwxyz".to_owned(),
            "a token of GitHub",
        ),
        (foreign.to_owned(), "another issuer, https://accounts.google.com"),
        (
            format!("Bearer {foreign}"),
            "another issuer, https://accounts.google.com",
        ),
        (
            format!("{jwt}\n{}", token("bob")),
            "it holds 2 tokens: one for namespace alice, one for namespace bob",
        ),
        // No part of the other one is shown, whatever is between them.
        (
            format!("{jwt} {}", token("bob")),
            "it holds 2 tokens: one for namespace alice, one for namespace bob",
        ),
        (
            format!("{jwt}, '{}'", token("bob")),
            "it holds 2 tokens: one for namespace alice, one for namespace bob",
        ),
        (
            format!("{jwt}={}", token("bob")),
            "it holds 2 tokens: one for namespace alice, one for namespace bob",
        ),
        (
            format!(r#"{{"access_token": "{}", "refresh_token":"{jwt}"}}"#, token("bob")),
            "it holds 2 tokens: access_token for namespace bob, refresh_token for namespace alice",
        ),
        (
            format!(
                r#"{{"access_token":"{foreign}","id_token":"{}"}}"#,
                foreign.replace("c2ln", "c2lm")
            ),
            "it holds 2 tokens: access_token of https://accounts.google.com, id_token of https://accounts.google.com",
        ),
        (
            "JWT_SECRET=0123456789abcdef0123456789abcdef".to_owned(),
            "it is the signing secret of a local API (JWT_SECRET), not an owner token",
        ),
        (
            "export JWT_SECRET=\"0123456789abcdef\"".to_owned(),
            "the signing secret of a local API",
        ),
        (
            r#"{"JWT_SECRET": "0123456789abcdef"}"#.to_owned(),
            "the signing secret of a local API",
        ),
        (jwe.to_owned(), "an encrypted token (JWE"),
        (jwt[..jwt.len() - 1].to_owned(), "the end of the token is missing"),
        // The signs of lists are the token's own where it begins without one.
        (
            format!("{}\n- {}", &jwt[..jwt.len() - 5], &jwt[jwt.len() - 5..]),
            "the end of the token is missing",
        ),
        (
            format!("{}\n12 {}", &jwt[..jwt.len() - 5], &jwt[jwt.len() - 5..]),
            "the end of the token is missing",
        ),
        (jwt.replace('.', "\u{b7}"), "the token stops where other text follows"),
        (
            format!("[1] {}", broken(jwt, 80, "\n[2] ")),
            "the token stops where other text follows",
        ),
        (
            format!(r#"{{"token":"{}","expiresIn":604800}}"#, &jwt[..jwt.len() - 9]),
            "the end of the token is missing",
        ),
        (
            r#"{"message": "\u003cb\u003eno\u003c/b\u003e"}"#.to_owned(),
            "it is JSON without an owner token in it",
        ),
        // Cyrillic letters that look like our own.
        (
            format!("token: {}\u{430}{}", &jwt[..9], &jwt[10..]),
            "letter 10 of the token is not one that tokens have (U+0430)",
        ),
        (
            format!("{}\u{441}{}", &jwt[..jwt.len() - 5], &jwt[jwt.len() - 4..]),
            "of the token is not one that tokens have (U+0441)",
        ),
        // What a passkey signs is JSON in base64url too.
        (
            r#"{"clientDataJSON": "eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0", "signature": "MEUC"}"#.to_owned(),
            "it is JSON without an owner token in it",
        ),
        ("\"\"".to_owned(), "it is empty"),
        ("%SIGILUM_OWNER_TOKEN%".to_owned(), "it only stands for a token"),
        (format!("hf_{}", "aB3".repeat(11)), "it is a token of Hugging Face"),
        (format!("AIza{}", "aB3".repeat(11)), "it is an API key of Google"),
        (
            broken(&jwt[..jwt.len() - 20], 80, "\n"),
            "the end of the token is missing",
        ),
        (format!("{header}.{said}"), "the end of the token is missing"),
        (header.to_owned(), "the end of the token is missing"),
        (jwt[3..].to_owned(), "the beginning of the token is missing"),
        (
            jwt[header.len() + 1..].to_owned(),
            "the beginning of the token is missing",
        ),
        (format!("{jwt}{jwt}"), "something else"),
        (format!("{jwt}x"), "something else sticks to the end"),
        (
            "<!DOCTYPE html>\n<html><body>Sign in</body></html>".to_owned(),
            "an HTML page",
        ),
        ("https://sigilum.id/account".to_owned(), "a web address"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n".to_owned(), "PEM"),
        (r#"{"error":"unauthorized"}"#.to_owned(), "JSON without an owner token"),
        ("~/Downloads/owner-token-alice.jwt".to_owned(), "it is a path"),
        ("token.jwt".to_owned(), "it is a path"),
        ("<token>".to_owned(), "it only stands for a token"),
        ("undefined".to_owned(), "it only stands for a token"),
        ("$SIGILUM_OWNER_TOKEN".to_owned(), "it only stands for a token"),
        ("${SIGILUM_OWNER_TOKEN}".to_owned(), "it only stands for a token"),
        ("cl_0123456789abcdef01234567".to_owned(), "it is the id of a request"),
        (
            format!("{}\u{2026}{}", &jwt[..12], &jwt[jwt.len() - 4..]),
            "a part of it is hidden",
        ),
        (format!("Token: {}***", &jwt[..20]), "a part of it is hidden"),
        (format!("{}...", &jwt[..90]), "a part of it is hidden"),
        (format!("{}********", &jwt[..jwt.len() - 8]), "a part of it is hidden"),
        ("\u{2022}".repeat(24), "a part of it is hidden"),
        ("not a token".to_owned(), "does not look like a token"),
        ("e30.W10.e30".to_owned(), "its claims are not a JSON object"),
        ("x".repeat(MAX_TEXT + 1), "it is over"),
    ];
    for (text, why) in cases {
        let error = read(text.as_bytes())
            .map(|pasted| pasted.left_out)
            .unwrap_err()
            .to_string();
        assert!(error.contains(why), "{text}: {error}");
        assert!(!error.contains("eyJ") && !error.contains("sk_live_0"), "{error}");
    }
    for bytes in [&b"\x89PNG\r\n\x1a\n"[..], b"\x00\x01\x02", b"a\0b"] {
        assert_eq!(read(bytes).map(|_| ()), Err(NoToken::NotText), "{bytes:?}");
    }
}

proptest! {
    /// However a token is broken, wrapped and encoded: it comes out as it was.
    #[test]
    fn what_goes_around_a_token_never_changes_it(
        namespace in "[a-z][a-z0-9-]{1,20}[a-z0-9]",
        width in 1_usize..200,
        between in "[ \\t\\r\\n\u{200b}\u{a0}]{1,4}",
        before in "([ \"'(\u{feff}]{0,3}|Bearer |[A-Z_]{1,20}=|\\{\"[a-z_]{1,9}\": ?\")",
        after in "[ \"'),;}\\r\\n\u{200b}]{0,5}",
        encoding in 0..3,
    ) {
        let jwt = token(&namespace);
        let text = format!("{before}{}{after}", broken(&jwt, width, &between));
        let bytes = match encoding {
            0 => text.into_bytes(),
            1 => utf16(&text, u16::to_le_bytes),
            _ => utf16(&format!("\u{feff}{text}"), u16::to_be_bytes),
        };
        let pasted = read(&bytes).map_err(|why| TestCaseError::fail(why.to_string()))?;
        prop_assert_eq!(pasted.token.expose_secret(), &jwt);
    }

    /// Whatever it is: no panic, and what comes out of it stood in it.
    #[test]
    fn any_text_is_answered(text in "(e[y3w][A-Za-z0-9_.\\n -]{0,200}|\\PC{0,200})", cut in 0_usize..300) {
        let jwt = token("alice");
        for text in [text.clone(), format!("{}{text}", &jwt[..cut.min(jwt.len())])] {
            if let Ok(pasted) = read(text.as_bytes()) {
                let solid: String = text.split_whitespace().collect();
                prop_assert!(solid.contains(pasted.token.expose_secret()));
            }
        }
    }
}
