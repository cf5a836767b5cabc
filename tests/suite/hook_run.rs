//! `hook run`: what OpenClaw's hook gives it, and what comes back.

use crate::env;

use env::api::{Api, Fault};
use env::{Output, TestEnv};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::time::{Duration, Instant};

const SECRET: &str = "the-api's-jwt-secret";
const NS: &str = "alice";

/// A person with an API on loopback, logged in: record and token file, no openclaw.json.
struct Person {
    env: TestEnv,
    api: Api,
}

impl Person {
    fn new() -> Self {
        let person = Self {
            env: TestEnv::new(),
            api: Api::start(SECRET),
        };
        person.record(&person.api.url());
        person.token_file(&person.api.token(NS, 3600));
        person
    }

    fn record(&self, api_url: &str) {
        let record = json!({"mode": "oss-local", "api_url": api_url, "email": "alice@local.sigilum",
            "token_file": self.env.sigilum("owner-token-alice.jwt")});
        self.env
            .write(".openclaw/.sigilum/owner-alice.json", record.to_string());
    }

    fn token_file(&self, token: &str) {
        self.env
            .write(".openclaw/.sigilum/owner-token-alice.jwt", format!("{token}\n"));
    }

    fn no_token_file(&self) {
        std::fs::remove_file(self.env.sigilum("owner-token-alice.jwt")).unwrap();
    }

    /// `/new` in a direct chat, with these fields over the usual ones.
    fn event(&self, fields: Value) -> Value {
        let mut event = json!({
            "type": "command", "action": "new", "sessionKey": "agent:main:main", "chatType": "direct",
            "senderId": "alice!~alice@host", "commandSource": "irc", "home": self.env.openclaw(),
            "env": {"SIGILUM_NAMESPACE": NS, "SIGILUM_MODE": "oss-local", "SIGILUM_API_URL": self.api.url()},
        });
        for (name, value) in fields.as_object().unwrap() {
            match (event[name].as_object_mut(), value.as_object()) {
                (Some(all), Some(more)) => all.extend(more.clone()),
                _ => event[name] = value.clone(),
            }
        }
        event
    }

    fn ask(&self, fields: Value) -> Answer {
        self.ask_with(fields, &[])
    }

    fn ask_with(&self, fields: Value, vars: &[(&str, &str)]) -> Answer {
        let mut run = self.env.run(["hook", "run"]).stdin(self.event(fields).to_string());
        for (name, value) in vars {
            run = run.env(name, value);
        }
        Answer::of(&run.expect(0))
    }
}

/// What `hook run` printed.
#[derive(Debug, PartialEq)]
struct Answer {
    messages: Vec<String>,
    logs: Vec<String>,
}

impl Answer {
    #[track_caller]
    fn of(output: &Output) -> Self {
        assert_eq!(output.stderr, "");
        assert_eq!(output.stdout.lines().count(), 1, "{}", output.stdout);
        Self::parse(&output.stdout)
    }

    #[track_caller]
    fn parse(text: &str) -> Self {
        let value: Value = serde_json::from_str(text).unwrap();
        let list = |name: &str| serde_json::from_value(value[name].clone()).unwrap();
        let answer = Self {
            messages: list("messages"),
            logs: list("logs"),
        };
        assert!(answer.logs.iter().all(|line| !line.contains('\n')), "{answer:?}");
        answer
    }

    #[track_caller]
    fn message(&self) -> &str {
        assert_eq!((self.messages.len(), self.logs.len()), (1, 1), "{self:?}");
        &self.messages[0]
    }

    /// The one log line of an outcome that the chat hears nothing of.
    #[track_caller]
    fn only_log(&self) -> &str {
        assert_eq!((self.messages.len(), self.logs.len()), (0, 1), "{self:?}");
        &self.logs[0]
    }
}

#[test]
fn the_notice() {
    let person = Person::new();
    for number in 1..=7 {
        person.api.add_claim(
            NS,
            json!({"service": format!("mail-{number}"), "agent_name": "bot", "subject": "x@y.example"}),
        );
    }
    person.api.add_claim("bob", json!({"service": "not-ours"}));
    for action in ["new", "reset"] {
        let answer = person.ask(json!({"action": action}));
        let lines: Vec<&str> = answer.message().lines().collect();
        assert_eq!(
            lines[0],
            "Sigilum: 7 requests wait for your approval in namespace alice."
        );
        assert!(
            lines[1].starts_with(
                "1) service \"mail-7\", agent \"bot\", subject \"x@y.example\", key \"KEY00000..00000007\", ip \"10.0.0.7\", "
            ),
            "{answer:?}"
        );
        assert!(lines[5].starts_with("5) service \"mail-3\""), "{answer:?}");
        assert_eq!(lines[6..8], ["And 2 more.", "Review: https://sigilum.id"]);
        assert!(lines[8].starts_with("To approve: "));
        assert!(
            answer.logs[0].starts_with("7 pending in namespace alice (oss-local, http://127.0.0.1:"),
            "{answer:?}"
        );
    }
    let answer = person.ask(json!({"env": {"SIGILUM_DASHBOARD_URL": "https://dash.example/"}}));
    assert!(
        answer.message().contains("\nReview: https://dash.example\n"),
        "{answer:?}"
    );
}

#[test]
fn nothing_pending_is_silence() {
    let person = Person::new();
    assert!(
        person
            .ask(json!({}))
            .only_log()
            .starts_with("0 pending in namespace alice")
    );
}

#[test]
fn other_events_are_nothing_at_once() {
    let person = Person::new();
    for (kind, action) in [
        ("command", "stop"),
        ("message", "received"),
        ("agent", "bootstrap"),
        ("", ""),
    ] {
        let answer = person.ask(json!({"type": kind, "action": action}));
        assert_eq!((answer.messages.len(), answer.logs.len()), (0, 0));
    }
    assert_eq!(person.api.seen().len(), 0);
}

#[test]
fn startup_is_one_log_line_and_no_request() {
    let person = Person::new();
    let startup = json!({"type": "gateway", "action": "startup", "sessionKey": "gateway:startup"});
    let answer = person.ask(startup.clone());
    let line = answer.only_log();
    assert!(
        line.contains(&format!(
            "namespace alice (oss-local, {}), owner token valid for ",
            person.api.url()
        )),
        "{line}"
    );
    person.no_token_file();
    let answer = person.ask(startup);
    assert!(
        answer
            .only_log()
            .ends_with("run: sigilum-authz-notify auth login --mode oss-local --namespace alice"),
        "{answer:?}"
    );
    assert_eq!(person.api.seen().len(), 0);
}

#[test]
fn only_direct_chats_get_everything() {
    let person = Person::new();
    person.api.add_claim(NS, json!({"service": "secret-project"}));
    const BRIEF: &str = "Sigilum: 1 request waits for approval. Review: https://sigilum.id";
    let group = "agent:main:irc:group:#ops";
    let brief = [
        json!({"chatType": "group", "sessionKey": group}),
        json!({"chatType": "group"}),
        json!({"sessionKey": group}),
        json!({"chatType": null}),
        json!({"sessionKey": null}),
        json!({"env": {"SIGILUM_NOTIFY_SENDERS": "bob"}}),
    ];
    for fields in brief {
        assert_eq!(person.ask(fields.clone()).message(), BRIEF, "{fields}");
    }
    let full = [
        json!({}),
        json!({"env": {"SIGILUM_NOTIFY_SENDERS": "bob,alice"}}),
        json!({"chatType": "group", "sessionKey": group, "env": {"SIGILUM_NOTIFY_GROUPS": "full"}}),
    ];
    for fields in full {
        assert!(
            person.ask(fields.clone()).message().contains("secret-project"),
            "{fields}"
        );
    }
    let requests = person.api.seen().len();
    let off = person.ask(json!({"chatType": "group", "sessionKey": group, "env": {"SIGILUM_NOTIFY_GROUPS": "off"}}));
    assert_eq!((off.messages.len(), off.logs.len()), (0, 0));
    assert_eq!(
        person.api.seen().len(),
        requests,
        "nobody may read the answer, so nothing is asked"
    );
    // The environment beats the config, which agents can edit.
    let answer = person.ask_with(
        json!({"env": {"SIGILUM_NOTIFY_SENDERS": "alice"}}),
        &[("SIGILUM_NOTIFY_SENDERS", "bob")],
    );
    assert_eq!(answer.message(), BRIEF);
    // Where there is a problem, a group hears that there is one, not which command mends it.
    person.no_token_file();
    let answer = person.ask(json!({"chatType": "group"}));
    assert_eq!(
        answer.message(),
        "Sigilum: there is no owner token for namespace alice. The operator must act."
    );
}

#[test]
fn the_newest_token_is_sent_and_on_401_the_next_once() {
    let person = Person::new();
    person.api.add_claim(NS, json!({"service": "mail"}));
    let now = env::now();
    let token = |age: i64| {
        person
            .api
            .token_with(json!({"namespace": NS, "iat": now - age, "exp": now + 600}))
    };
    let bad = |age: i64| {
        env::api::token(
            "another secret",
            json!({"namespace": NS, "iat": now - age, "exp": now + 600}),
        )
    };
    let sent = || {
        let seen = person.api.seen();
        seen.into_iter()
            .map(|seen| seen.headers["authorization"].replace("Bearer ", ""))
            .collect::<Vec<_>>()
    };
    // Three places; the newest is in the environment that OpenClaw hands over, the next in the entry.
    let (newest, middle, oldest) = (bad(1), token(2), token(3));
    person.token_file(&oldest);
    let answer = person.ask(json!({"token": newest, "env": {"SIGILUM_OWNER_TOKEN": middle}}));
    assert!(answer.message().contains("mail"));
    assert!(answer.logs[0].contains("token from openclaw.json"), "{answer:?}");
    assert_eq!(sent(), [newest.clone(), middle]);
    // Once only: the third is not tried.
    let middle = bad(2);
    let answer = person.ask(json!({"token": newest, "env": {"SIGILUM_OWNER_TOKEN": middle}}));
    assert_eq!(
        answer.message(),
        "Sigilum: the Sigilum API does not accept the owner token of namespace alice. Requests that wait for approval \
         cannot be shown. Run: sigilum-authz-notify auth login --mode oss-local --namespace alice"
    );
    assert_eq!(sent()[2..], [newest, middle]);
    // The process's own environment counts as well.
    person.no_token_file();
    let answer = person.ask_with(json!({}), &[("SIGILUM_OWNER_TOKEN", &token(0))]);
    assert!(answer.logs[0].contains("token from the environment"), "{answer:?}");
}

#[test]
fn a_token_that_cannot_do_is_not_sent() {
    let person = Person::new();
    let cases = [
        (
            person.api.token(NS, -7200),
            "the owner token of namespace alice expired 2 h ago",
        ),
        (
            person.api.token("bob", 3600),
            "there is no owner token for namespace alice",
        ),
        ("rubbish".to_owned(), "there is no owner token for namespace alice"),
        (
            "${SIGILUM_OWNER_TOKEN}".to_owned(),
            "there is no owner token for namespace alice",
        ),
        (
            format!("no-token{}", "-".repeat(300)),
            "there is no owner token for namespace alice",
        ),
        (String::new(), "there is no owner token for namespace alice"),
    ];
    person.no_token_file();
    for (token, what) in cases {
        let answer = person.ask(json!({"env": {"SIGILUM_OWNER_TOKEN": token}}));
        assert_eq!(
            answer.message(),
            format!(
                "Sigilum: {what}. Requests that wait for approval cannot be shown. Run: sigilum-authz-notify auth login \
                 --mode oss-local --namespace alice"
            )
        );
        assert!(answer.logs[0].contains("openclaw.json: "), "{answer:?}");
    }
    assert_eq!(person.api.seen().len(), 0);
}

#[test]
fn the_config_cannot_draw_a_token_elsewhere() {
    let person = Person::new();
    let elsewhere = Api::start(SECRET);
    let away = json!({"env": {"SIGILUM_API_URL": elsewhere.url()}});
    // With a record, the record says where the API is.
    assert!(person.ask(away.clone()).only_log().contains(&person.api.url()));
    // Without one, the entry does; then neither the file's nor the environment's token goes there.
    std::fs::remove_file(person.env.sigilum("owner-alice.json")).unwrap();
    let token = person.api.token(NS, 600);
    let answer = person.ask_with(away.clone(), &[("SIGILUM_OWNER_TOKEN", &token)]);
    assert!(
        answer
            .message()
            .starts_with("Sigilum: there is no owner token for namespace alice."),
        "{answer:?}"
    );
    assert!(
        answer.logs[0].contains("the token file: a token for another mode or API"),
        "{answer:?}"
    );
    assert_eq!(elsewhere.seen().len(), 0);
    // Nor may the config switch the rules off.
    let plain = json!({"env": {"SIGILUM_API_URL": "http://192.0.2.1", "SIGILUM_ALLOW_INSECURE_HTTP": "1",
        "SIGILUM_OWNER_TOKEN": token}});
    let answer = person.ask(plain);
    assert!(
        answer.message().starts_with("Sigilum: the hook is not set up right."),
        "{answer:?}"
    );
    assert!(answer.logs[0].contains("plain http to another machine"), "{answer:?}");
}

#[test]
fn what_the_other_side_can_do_to_us() {
    let person = Person::new();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let many: String = (0..10_000).map(|n| format!("X-{n}: y\r\n")).collect();
    let silent = [
        Fault::Status(500, "INTERNAL"),
        Fault::Status(503, "DB_UNAVAILABLE"),
        Fault::Status(400, "VALIDATION_ERROR"),
        Fault::Status(404, "NOT_FOUND"),
        Fault::Redirect("http://127.0.0.1:1/".into()),
        Fault::Body("text/html", "<h1>Sign in</h1>".into()),
        Fault::Body("application/json", String::new()),
        Fault::Body("application/json", "null".into()),
        Fault::Body("application/json", r#"{"claims":7}"#.into()),
        Fault::Body("application/json", format!(r#"{{"claims":{}"#, "[".repeat(500_000))),
        Fault::Body("application/json", r#"{"a":"#.repeat(100_000)),
        Fault::Raw(b"\xff\xfe\x00garbage".to_vec()),
        Fault::Raw(format!("{head}Content-Length: 900\r\n\r\n{{}}").into()),
        Fault::Raw(format!("{head}{many}\r\n{{}}").into()),
        Fault::Drop,
    ];
    for fault in silent {
        person.api.fault(fault.clone());
        let answer = person.ask(json!({}));
        let line = answer.only_log();
        assert!(
            line.starts_with("could not ask for namespace alice"),
            "{fault:?}: {line}"
        );
    }
    for fault in [Fault::Stall, Fault::Drip] {
        person.api.fault(fault);
        let start = Instant::now();
        let answer = person.ask(json!({"env": {"SIGILUM_HOOK_TIMEOUT_MS": "300"}}));
        assert!(answer.only_log().ends_with("no full answer in time"), "{answer:?}");
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }
    for (fault, what) in [
        (
            Fault::Status(401, "TOKEN_EXPIRED"),
            "Sigilum: the Sigilum API does not accept the owner token",
        ),
        (
            Fault::Status(401, "UNAUTHORIZED"),
            "Sigilum: the Sigilum API does not accept the owner token",
        ),
        (
            Fault::Status(403, "FORBIDDEN"),
            "Sigilum: the Sigilum API says that the owner token is not for",
        ),
    ] {
        person.api.fault(fault);
        let answer = person.ask(json!({}));
        assert!(answer.message().starts_with(what), "{answer:?}");
    }
    // A request with a field without end must not hide the others.
    let long = json!({"claims": [{"service": "x".repeat(1 << 20)}, {"service": "mail"}]});
    for fault in [
        Fault::Endless,
        Fault::TenGigabytes,
        Fault::Body("application/json", long.to_string()),
    ] {
        person.api.fault(fault.clone());
        let direct = person.ask(json!({}));
        assert_eq!(
            direct.message(),
            "Sigilum: the list of requests is too long to be read for namespace alice; a request that is made so long may \
             be there to hide others. Review: https://sigilum.id"
        );
        person.api.fault(fault);
        let group = person.ask(json!({"chatType": "group"}));
        assert_eq!(
            group.message(),
            "Sigilum: the list of requests is too long to be read. Review: https://sigilum.id"
        );
    }
    // Odd, but still a list.
    for (body, start) in [
        (r#"{"claims":[{}]}"#, "Sigilum: 1 request waits"),
        (
            r#"{"claims":[{"service":7,"created_at":"soon"}],"pagination":{"total":"many"}}"#,
            "Sigilum: 1 request waits",
        ),
        (r#"{"claims":[],"pagination":{"total":3}}"#, "Sigilum: 3 requests wait"),
    ] {
        person.api.fault(Fault::Body("application/json", body.into()));
        let answer = person.ask(json!({}));
        assert!(answer.message().starts_with(start), "{answer:?}");
    }
}

#[test]
fn the_whole_budget_is_four_seconds() {
    let person = Person::new();
    person.api.fault(Fault::Stall);
    let start = Instant::now();
    person.ask(json!({})).only_log();
    let took = start.elapsed();
    assert!(
        took > Duration::from_millis(3900) && took < Duration::from_millis(4900),
        "{took:?}"
    );
}

#[test]
fn strangers_cannot_forge_the_notice() {
    let person = Person::new();
    let attack = "x\", ip \"127.0.0.1\n\u{1b}[2J\u{3}04 **[click](http://e.vil)** <@U1> @everyone \u{202e}\u{200b}`#|~";
    let fields = json!({"service": attack, "agent_name": attack, "subject": attack, "public_key": attack,
        "agent_ip": attack, "agent_id": attack, "claim_id": attack, "created_at": attack, "status": "pending"});
    for _ in 0..5 {
        person.api.add_claim(NS, fields.clone());
    }
    let answer = person.ask(json!({}));
    let text = answer.message();
    assert!(text.chars().count() <= 1200);
    assert_eq!(text.lines().count(), 8, "{text}");
    let plain = |c: char| c == '\n' || c == '·' || (' '..='~').contains(&c);
    assert!(text.chars().all(plain), "{text:?}");
    assert!(
        !text.contains(['*', '[', ']', '`', '<', '>', '#', '|', '~', '\\']) && !text.contains(" @"),
        "{text}"
    );
    let ips = text.matches(" ip \"").count();
    assert_eq!(ips, 5, "{text}");
}

#[test]
fn proxies_in_the_environment_see_nothing() {
    let person = Person::new();
    person.api.add_claim(NS, json!({}));
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    let names = [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ];
    let mut vars: Vec<(&str, &str)> = names.iter().map(|name| (*name, url.as_str())).collect();
    vars.push(("REQUEST_METHOD", ""));
    assert!(person.ask_with(json!({}), &vars).message().contains("1 request waits"));
    proxy.set_nonblocking(true).unwrap();
    assert!(proxy.accept().is_err(), "somebody connected to the proxy");
}

/// Reading certificates would block for ever on this pipe; a plain http request must not.
#[test]
fn plain_http_reads_no_root_certificates() {
    let person = Person::new();
    person.api.add_claim(NS, json!({}));
    let pipe = person.env.home().join("roots.pem");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let vars = [("SSL_CERT_FILE", pipe.to_str().unwrap())];
    assert!(person.ask_with(json!({}), &vars).message().contains("1 request waits"));
}

#[test]
fn no_token_in_any_output() {
    let person = Person::new();
    let (first, second, third) = (
        person.api.token(NS, 600),
        person.api.token(NS, 601),
        person.api.token(NS, 602),
    );
    person.token_file(&third);
    let faults = [
        Fault::None,
        Fault::Status(401, "TOKEN_EXPIRED"),
        Fault::Status(403, "FORBIDDEN"),
        Fault::Status(500, "X"),
        Fault::Drop,
        // What the request said comes back.
        Fault::Body("application/json", json!({"error": third, "claims": first}).to_string()),
        Fault::Raw(format!("HTTP/1.1 200 {third}\r\n{third}\r\n\r\n").into()),
    ];
    for fault in faults {
        person.api.fault(fault.clone());
        for input in [
            person
                .event(json!({"token": first, "env": {"SIGILUM_OWNER_TOKEN": second}}))
                .to_string(),
            format!("{{\"token\":\"{first}\",\"env\":{{\"SIGILUM_OWNER_TOKEN\":\"{second}\"}},"),
            format!("[\"{first}\",\"{second}\"]"),
        ] {
            let output = person
                .env
                .run(["hook", "run"])
                .env("RUST_LOG", "trace")
                .stdin(input)
                .output();
            let printed = format!("{}{}", output.stdout, output.stderr);
            for token in [&first, &second, &third] {
                let signature = token.rsplit('.').next().unwrap();
                assert!(!printed.contains(signature), "{fault:?}: {printed}");
            }
        }
    }
}

#[test]
fn bad_input_is_the_callers_to_mend() {
    let env = TestEnv::new();
    let deep = "[".repeat(100_000);
    let long = format!("{{\"x\":\"{}\"}}", "y".repeat(1 << 20));
    for (input, why) in [
        ("", "it is not JSON, line 1 column 0"),
        ("{\"type\":", "it is not JSON, line 1 column 8"),
        ("[1]", "it is not a JSON object"),
        (deep.as_str(), "it is not JSON, line 1 column"),
        (long.as_str(), "it is over 1048576 bytes"),
    ] {
        let output = env.run(["hook", "run"]).stdin(input).expect(2);
        assert_eq!(output.stdout, "");
        assert!(output.stderr.contains(why), "{}", output.stderr);
        assert!(
            output.stderr.contains("hook run --event command:new"),
            "{}",
            output.stderr
        );
    }
    let output = env.run(["hook", "run", "--event", "command"]).expect(2);
    assert!(output.stderr.contains("give --event command:new"), "{}", output.stderr);
    // Unknown fields and fields of another type are no reason to fail.
    let odd = r#"{"type":7,"action":{},"sessionKey":[],"env":[],"home":3,"senderId":null,"new":{"field":[1,2]}}"#;
    assert_eq!(
        env.run(["hook", "run"]).stdin(odd).expect(0).stdout,
        "{\"messages\":[],\"logs\":[]}\n"
    );
}

#[test]
fn settings_that_are_wrong_are_told_to_the_operator() {
    let person = Person::new();
    for (fields, why) in [
        (
            json!({"env": {"SIGILUM_HOOK_TIMEOUT_MS": "soon"}}),
            "could not take SIGILUM_HOOK_TIMEOUT_MS",
        ),
        (json!({"type": "command"}), "could not use the hook's record"),
    ] {
        if why.contains("record") {
            let record = r#"{"namespace": "No_Good!"}"#;
            person.env.write(".openclaw/.sigilum/hook.json", record);
        }
        let answer = person.ask(fields);
        assert_eq!(
            answer.message(),
            "Sigilum: the hook is not set up right. Requests that wait for approval cannot be shown. Run: \
             sigilum-authz-notify hook run --event command:new"
        );
        assert!(answer.logs[0].contains(why), "{answer:?}");
    }
    std::fs::remove_file(person.env.sigilum("hook.json")).unwrap();
    person.record("http://user:password@127.0.0.1:1");
    let answer = person.ask(json!({}));
    assert!(
        answer.logs[0].contains("it holds a user name or a password"),
        "{answer:?}"
    );
    assert!(!answer.logs[0].contains("password@"), "{answer:?}");
    person.env.write(".openclaw/.sigilum/owner-alice.json", "{broken");
    let answer = person.ask(json!({}));
    assert!(
        answer.logs[0].contains("could not read the record, line 1"),
        "{answer:?}"
    );
}

#[test]
fn people_get_text() {
    let person = Person::new();
    let ask = |vars: &[(&str, &str)]| {
        let mut run = person
            .env
            .run(["hook", "run", "--event", "command:new", "--namespace", NS]);
        for (name, value) in vars {
            run = run.env(name, value);
        }
        run
    };
    let output = ask(&[]).expect(0);
    assert_eq!(output.stdout, "Nothing waits for approval in namespace alice.\n");
    person.api.add_claim(NS, json!({"service": "mail"}));
    let output = ask(&[]).expect(0);
    assert!(
        output
            .stdout
            .starts_with("Sigilum: 1 request waits for your approval in namespace alice.\n1) service \"mail\"")
    );
    assert!(
        output.stderr.starts_with("1 pending in namespace alice"),
        "{}",
        output.stderr
    );
    // A group's settings and a list of senders are no matter for a person at the machine.
    let output = ask(&[("SIGILUM_NOTIFY_SENDERS", "bob"), ("SIGILUM_NOTIFY_GROUPS", "off")]).expect(0);
    assert!(output.stdout.contains("service \"mail\""));
    // Wrong settings end it as in any other command.
    let output = ask(&[("SIGILUM_MODE", "nonsense")]).expect(2);
    assert!(output.stderr.contains("SIGILUM_MODE is neither"), "{}", output.stderr);
}

#[test]
fn people_get_the_token_of_the_entry() {
    let person = Person::new();
    person.no_token_file();
    person.api.add_claim(NS, json!({"service": "mail"}));
    let entry = json!({"env": {"SIGILUM_NAMESPACE": NS, "SIGILUM_API_URL": person.api.url(), "SIGILUM_MODE": "oss-local",
        "SIGILUM_OWNER_TOKEN": person.api.token(NS, 600)}});
    let config = json!({"hooks": {"internal": {"entries": {"sigilum-authz-notify": entry}}}});
    person.env.write_config(config.to_string());
    let output = person.env.run(["hook", "run", "--event", "command:new"]).expect(0);
    assert!(output.stdout.contains("service \"mail\""), "{output:?}");
    assert!(output.stderr.contains("token from openclaw.json"), "{output:?}");
}

#[test]
fn without_a_running_api_the_local_database_is_read() {
    let env = TestEnv::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let login = [
        "auth",
        "login",
        "--mode",
        "oss-local",
        "--namespace",
        NS,
        "--api-url",
        &url,
        "--print-token",
        "false",
    ];
    env.run(login).expect(0);
    let ask = || {
        let event = json!({"type": "command", "action": "new", "sessionKey": "agent:main:main", "chatType": "direct",
            "home": env.openclaw(), "env": {"SIGILUM_NAMESPACE": NS}});
        Answer::of(&env.run(["hook", "run"]).stdin(event.to_string()).expect(0))
    };
    let answer = ask();
    assert!(
        answer.only_log().contains("0 pending") && answer.only_log().contains("read from the local database"),
        "{answer:?}"
    );
    let db = rusqlite::Connection::open(env.sigilum("local-api.sqlite")).unwrap();
    db.execute(
        "INSERT INTO authorizations (namespace, service, public_key, claim_id, agent_ip, agent_name, created_at)
         VALUES ('alice', 'ledger', 'ed25519:abc', 'c1', '10.1.2.3', 'bot', '2026-01-01T00:00:00.000Z')",
        [],
    )
    .unwrap();
    let answer = ask();
    assert!(
        answer
            .message()
            .contains("1) service \"ledger\", agent \"bot\", key \"abc\", ip \"10.1.2.3\""),
        "{answer:?}"
    );
    // Without the database there is one log line, and no database afterwards.
    drop(db);
    for name in ["local-api.sqlite", "local-api.sqlite-wal", "local-api.sqlite-shm"] {
        let _ = std::fs::remove_file(env.sigilum(name));
    }
    let answer = ask();
    assert!(
        answer.only_log().contains("the local database cannot be read"),
        "{answer:?}"
    );
    assert!(!env.sigilum("local-api.sqlite").exists());
}

/// https with a certificate that this machine trusts, through the built binary.
#[test]
fn https_reaches_an_api_whose_issuer_is_trusted() {
    let person = Person::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/tls");
    let front = env::tls::front(person.api.port(), folder);
    let url = format!("https://localhost:{front}");
    person.record(&url);
    person.api.add_claim(NS, json!({"service": "mail"}));
    let ca = format!("{folder}/ca.pem");
    let entry = json!({"env": {"SIGILUM_API_URL": url}});
    let answer = person.ask_with(entry.clone(), &[("SSL_CERT_FILE", &ca)]);
    assert!(answer.message().contains("service \"mail\""), "{answer:?}");
    // The same certificate under another name, and without its issuer.
    let url = format!("https://127.0.0.1:{front}");
    person.record(&url);
    let answer = person.ask_with(json!({"env": {"SIGILUM_API_URL": url}}), &[("SSL_CERT_FILE", &ca)]);
    assert!(
        answer
            .only_log()
            .contains("the server's certificate is for another name"),
        "{answer:?}"
    );
    assert_eq!(person.api.seen().len(), 1);
}
