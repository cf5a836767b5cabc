//! `hook run`: what OpenClaw's hook gives it, and what comes back.

use crate::env;

use env::api::{Api, Fault};
use env::{Output, TestEnv};
use serde_json::{Value, json};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
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

    /// What a person chose for the hook.
    fn chose(&self, fields: Value) {
        let mut record = json!({"namespace": NS});
        record
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        self.env.write(".openclaw/.sigilum/hook.json", record.to_string());
    }

    /// A home without any record, whose entry in openclaw.json has this env.
    fn only_an_entry(&self, env: Value) {
        for name in ["owner-alice.json", "hook.json"] {
            let _ = std::fs::remove_file(self.env.sigilum(name));
        }
        self.entry(env);
    }

    fn entry(&self, env: Value) {
        let entries = json!({"sigilum-authz-notify": {"env": env}});
        let config = json!({"hooks": {"internal": {"entries": entries}}});
        self.env.write_config(config.to_string());
    }

    fn token_file(&self, token: &str) {
        self.env
            .write(".openclaw/.sigilum/owner-token-alice.jwt", format!("{token}\n"));
    }

    fn no_token_file(&self) {
        std::fs::remove_file(self.env.sigilum("owner-token-alice.jwt")).unwrap();
    }

    /// `/new` in a direct chat, with these fields over the usual ones. Home and env are what an old handler sends.
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
    person.chose(json!({"dashboard": "https://dash.example/"}));
    for number in 1..=7 {
        person.api.add_claim(
            NS,
            json!({"service": format!("mail-{number}"), "agent_name": "bot", "subject": "x@y.example"}),
        );
    }
    person.api.add_claim("bob", json!({"service": "not-ours"}));
    let answer = person.ask(json!({}));
    let lines: Vec<&str> = answer.message().lines().collect();
    assert_eq!(
        lines[0],
        "Sigilum: 7 requests wait for your approval in namespace alice."
    );
    assert!(
        lines[1].starts_with(
            "1) new: service \"mail-7\", agent \"bot\", subject \"x@y·example\", key \"KEY00000..00000007\", ip \
             \"10·0·0·7\", "
        ),
        "{answer:?}"
    );
    assert!(lines[5].starts_with("5) new: service \"mail-3\""), "{answer:?}");
    assert_eq!(lines[6..8], ["And 2 more.", "Review: https://dash.example"]);
    assert!(lines[8].starts_with("To approve: sign in there"));
    assert!(
        answer.logs[0].starts_with("7 pending in namespace alice (oss-local, http://127.0.0.1:"),
        "{answer:?}"
    );
    // The two that had no room come first now.
    let answer = person.ask(json!({"action": "reset"}));
    let services: Vec<&str> = answer
        .message()
        .lines()
        .filter_map(|line| line.split('"').nth(1))
        .collect();
    assert_eq!(services, ["mail-2", "mail-1", "mail-7", "mail-6", "mail-5"]);
    assert_eq!(answer.message().matches(" new: ").count(), 2, "{answer:?}");
}

/// Seconds of life so far and left; whether the last day is told where nothing renews the token.
#[test]
fn the_tokens_last_day_is_told_to_the_owner_where_nothing_renews_it() {
    const HOUR: i64 = 3600;
    let person = Person::new();
    let token = |lived: i64, left: i64| {
        let times = json!({"namespace": NS, "iat": env::now() - lived, "exp": env::now() + left});
        person.token_file(&person.api.token_with(times));
    };
    for (lived, left, told) in [
        (6 * 24 * HOUR, 25 * HOUR, false),
        (6 * 24 * HOUR, 23 * HOUR, true),
        (0, 3 * HOUR, false),
        (2 * HOUR, HOUR / 2, true),
    ] {
        token(lived, left);
        let answer = person.ask(json!({}));
        assert_eq!(answer.messages.len(), usize::from(told), "{left}: {answer:?}");
        if told {
            let says = answer.message();
            assert!(
                says.starts_with("Sigilum: the owner token of namespace alice expires 20")
                    && says.contains(
                        ", and nothing renews it. Log in again before then: sigilum-authz-notify auth login "
                    ),
                "{says}"
            );
        }
    }
    // A group is no place for it, and beside a notice it is a message of its own.
    let group = json!({"chatType": "group", "sessionKey": "agent:main:irc:group:x"});
    assert_eq!(person.ask(group).messages.len(), 0);
    person.api.add_claim(NS, json!({"service": "mail"}));
    let answer = person.ask(json!({}));
    assert_eq!(answer.messages.len(), 2, "{answer:?}");
    // Nor does an API that does not answer keep it back.
    person.api.fault(Fault::Status(500, "X"));
    let told = person.ask(json!({}));
    assert_eq!(told.messages.len(), 2, "{told:?}");
    assert!(told.messages[1].contains("and nothing renews it"), "{told:?}");
    person.api.fault(Fault::None);
    // Where a watcher renews the token, nobody need do anything.
    let watched = |error: Value| {
        let home = json!({"home": person.env.openclaw(), "config": person.env.config(), "namespace": NS,
            "mode": "oss-local", "polled": false, "expires_at": null, "next_due_at": "2026-01-05T00:00:00Z",
            "renewed_at": null, "renewed_by": "secret", "last_error": error});
        let status = json!({"pid": std::process::id(), "running": true, "started_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z", "homes_served": 1, "homes": [home]});
        person
            .env
            .write(".openclaw/.sigilum/watch-status.json", status.to_string());
    };
    watched(Value::Null);
    assert_eq!(person.ask(json!({})).messages.len(), 1);
    watched(json!("database busy"));
    assert_eq!(person.ask(json!({})).messages.len(), 2);
}

/// A request that is asked for again has a new id, the old time and the old place in the list.
#[test]
fn what_the_owner_has_not_been_told_of_comes_first() {
    let person = Person::new();
    let claim = |number: usize, id: &str| {
        person
            .api
            .add_claim(NS, json!({"service": format!("s{number}"), "claim_id": id}));
    };
    let ask = |fields: Value| {
        let answer = person.ask(fields);
        let lines = answer.message().lines().skip(1);
        let words =
            lines.map_while(|line| Some(line.split_once(") ")?.1.split('"').take(2).collect::<Vec<_>>().join("")));
        words.collect::<Vec<String>>()
    };
    (1..=7).for_each(|number| claim(number, &format!("cl_{number}")));
    // Neither a group nor a person at the machine is the owner in a chat.
    assert_eq!(person.ask(json!({"chatType": "group"})).messages.len(), 1);
    let run = ["hook", "run", "--event", "command:new"];
    assert!(person.env.run(run).expect(0).stdout.contains("1) new: service \"s7\""));
    let new = [
        "new: service s7",
        "new: service s6",
        "new: service s5",
        "new: service s4",
        "new: service s3",
    ];
    assert_eq!(ask(json!({})), new);
    let file = person.env.sigilum("seen.json");
    assert_eq!(env::mode(&file), 0o600);
    // `s1` was rejected and is asked for again; it stands last in the API's list.
    person.api.clear();
    claim(1, "cl_again");
    (2..=7).for_each(|number| claim(number, &format!("cl_{number}")));
    let seen = std::fs::read_to_string(&file).unwrap();
    let again = [
        "asked again: service s1",
        "new: service s2",
        "service s7",
        "service s6",
        "service s5",
    ];
    assert_eq!(ask(json!({})), again);
    let answer = person.ask(json!({}));
    assert!(
        answer.message().contains(
            "1) service \"s1\", key \"KEY00000..00000001\", ip \"10·0·0·7\", ID \"cl_again\", first seen just now"
        ),
        "{answer:?}"
    );
    // A home that cannot be written to, or whose memory is broken, is answered all the same.
    for broken in [seen.as_str(), "{broken", ""] {
        person.env.write(".openclaw/.sigilum/seen.json", broken);
        assert_eq!(ask(json!({})).len(), 5);
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert_eq!(ask(json!({})).len(), 5);
    assert_eq!(
        ask(json!({})),
        [
            "new: service s7",
            "new: service s6",
            "new: service s5",
            "new: service s4",
            "new: service s3"
        ]
    );
}

#[test]
fn every_page_is_read_and_every_request_told_in_time() {
    let person = Person::new();
    let pages = |count: usize| {
        person.api.clear();
        for number in 0..count {
            person.api.add_claim(NS, json!({"service": format!("s{number}")}));
        }
        let before = person.api.seen().len();
        let answer = person.ask(json!({"chatType": "group"}));
        let asked: Vec<String> = person.api.seen()[before..]
            .iter()
            .map(|seen| seen.line.clone())
            .collect();
        (answer.message().split(" for ").next().unwrap().to_owned(), asked)
    };
    let url = "GET /v1/namespaces/alice/claims?status=pending&limit=200";
    assert_eq!(pages(200), ("Sigilum: 200 requests wait".into(), vec![url.to_owned()]));
    let (text, asked) = pages(450);
    assert_eq!(text, "Sigilum: 450 requests wait");
    assert_eq!(
        asked,
        [url.to_owned(), format!("{url}&offset=200"), format!("{url}&offset=400")]
    );
    let (text, asked) = pages(1234);
    assert_eq!((text.as_str(), asked.len()), ("Sigilum: 1234 requests wait", 5));
    // A later page is asked for once more as well.
    std::fs::remove_file(person.env.sigilum("seen.json")).unwrap();
    pages(450);
    let before = person.api.seen().len();
    let busy = || Fault::Status(503, "X");
    person.api.next_faults([Fault::None, busy(), Fault::None, busy()]);
    person.ask(json!({"chatType": "group"}));
    assert_eq!(person.api.seen().len(), before + 5);
    let seen = std::fs::read_to_string(person.env.sigilum("seen.json")).unwrap();
    assert_eq!(seen.matches("\"first\":").count(), 450, "{seen}");
    // A page that fails takes nothing with it.
    pages(1234);
    person.api.next_faults([Fault::None, busy(), busy()]);
    assert!(
        person
            .ask(json!({}))
            .message()
            .starts_with("Sigilum: 1234 requests wait")
    );
    // The oldest is told too, in the end.
    pages(30);
    std::fs::remove_file(person.env.sigilum("seen.json")).unwrap();
    (0..5).for_each(|_| drop(person.ask(json!({}))));
    let last = person.ask(json!({}));
    assert!(last.message().contains("5) new: service \"s0\""), "{last:?}");
}

/// While somebody writes to its database the API answers 503.
#[test]
fn a_busy_api_is_asked_once_more() {
    let person = Person::new();
    person.api.add_claim(NS, json!({"service": "mail"}));
    for status in [429, 500, 503] {
        person.api.next_faults([Fault::Status(status, "DB_UNAVAILABLE")]);
        assert!(person.ask(json!({})).message().contains("service \"mail\""), "{status}");
    }
    let before = person.api.seen().len();
    person
        .api
        .next_faults([Fault::Status(503, "X"), Fault::Status(503, "X")]);
    let answer = person.ask(json!({}));
    assert_eq!(
        answer.message(),
        "Sigilum could not be asked: the API answered with status 503."
    );
    assert_eq!(person.api.seen().len(), before + 2);
    // Nothing else is worth another try.
    person.api.next_faults([Fault::Status(404, "NOT_FOUND")]);
    assert_eq!(
        person.ask(json!({})).message(),
        "Sigilum could not be asked: the API answered with status 404."
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
            "namespace alice (oss-local, {}), owner token expires in ",
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

/// Not the default home, and a blank in its path: what a direct chat is told to type acts on it; a group reads no path.
#[test]
fn what_is_to_be_typed_acts_on_the_home_that_was_asked_about() {
    let person = Person::new();
    let home = person.env.home().join("bob's openclaw home");
    std::fs::rename(person.env.openclaw(), &home).unwrap();
    let write = |name: &str, value: Value| {
        person.env.write(home.join(".sigilum").join(name), value.to_string());
    };
    let record = json!({"mode": "oss-local", "api_url": person.api.url(), "email": "alice@local.sigilum",
        "token_file": home.join(".sigilum/owner-token-alice.jwt")});
    write("owner-alice.json", record);
    let chose = |fields: Value| write("hook.json", fields);
    let ask = |fields: Value| {
        let run = person.env.run(["hook", "run", "--openclaw-home"]).args([&home]);
        Answer::of(&run.stdin(person.event(fields).to_string()).expect(0)).messages
    };
    let group = || json!({"chatType": "group", "sessionKey": "agent:main:irc:group:#ops"});
    let flags = format!(" --openclaw-home {}", shell_words::quote(home.to_str().unwrap()));
    // The command behind these words, carried out.
    let typed = |said: &str, words: &str, code: i32| {
        let (_, command) = said.split_once(words).unwrap_or_else(|| panic!("{words}: {said}"));
        let command = command.split(';').next().unwrap();
        assert!(command.ends_with(&flags), "{command}");
        let command = command.replace("ID ", "cl_0123456789abcdef01234567 --yes ");
        person
            .env
            .shell(&command.replace("<service>", "mail"))
            .expect(code)
            .stdout
    };

    chose(json!({"namespace": NS, "groups": "full"}));
    let id = "cl_0123456789abcdef01234567";
    person.api.add_claim(NS, json!({"claim_id": id, "service": "mail"}));
    let told = json!({"whose": format!("{NS} at {}", person.api.url()), "outcomes":
        vec![json!({"at": i64::MAX, "status": "rejected", "service": "files"}); 7]});
    write("told.json", told);
    let said = ask(json!({}));
    typed(&said[0], "in a terminal: ", 0);
    assert_eq!(person.api.claim(id).unwrap()["status"], "approved");
    let all = typed(&said[1], "And 2 more; in a terminal: ", 0);
    assert!(all.contains("mail"), "{all}");
    person.api.change(id, "status", "pending");
    let in_group = ask(group());
    assert!(
        in_group[0].contains("in a terminal: sigilum-authz-notify authz approve ID;"),
        "{in_group:?}"
    );

    person.api.fault(Fault::Endless);
    let said = ask(json!({}));
    let in_group = ask(group());
    person.api.fault(Fault::None);
    let mail = typed(&said[0], "in a terminal: ", 0);
    assert!(mail.contains("mail"), "{mail}");
    assert!(in_group[0].ends_with("authz list --service <service>"), "{in_group:?}");

    // Where nothing can be asked. Of a record that cannot be read nobody knows who may read: no path for anyone.
    let brief = ["Sigilum: the hook is not set up right. The operator must act."];
    chose(json!({"namespace": NS, "senders": 7}));
    assert_eq!(
        (ask(json!({})), ask(group())),
        (brief.map(str::to_owned).to_vec(), brief.map(str::to_owned).to_vec())
    );
    chose(json!({"namespace": NS, "timeout_ms": 0}));
    let said = ask(json!({}));
    let (_, command) = said[0].split_once("Run: ").unwrap();
    assert!(command.ends_with(&flags), "{command}");
    let shown = person.env.shell(command).output();
    assert!(
        shown.code != 0 && shown.stderr.contains("invalid time limit"),
        "{shown:?}"
    );
    assert_eq!(ask(group()), brief);
    chose(json!({"namespace": NS, "timeout_ms": 0, "groups": "full"}));
    assert!(ask(group())[0].ends_with("Run: sigilum-authz-notify hook run --event command:new"));
    chose(json!({"namespace": NS, "groups": "full"}));
    std::fs::remove_file(home.join(".sigilum/owner-token-alice.jwt")).unwrap();
    assert!(ask(json!({}))[0].ends_with(&flags));
    let in_group = ask(group());
    assert!(
        in_group[0].contains("Run: sigilum-authz-notify auth login") && !in_group[0].contains("bob"),
        "{in_group:?}"
    );
}

#[test]
fn only_direct_chats_get_everything() {
    let person = Person::new();
    person.api.add_claim(NS, json!({"service": "secret-project"}));
    const BRIEF: &str = "Sigilum: 1 request waits for approval.";
    let group = "agent:main:irc:group:#ops";
    let in_group = json!({"chatType": "group", "sessionKey": group});
    let nothing = || json!({});
    // what is recorded, the event's fields, whether everything is told
    let cases = [
        (nothing(), nothing(), true),
        (nothing(), in_group.clone(), false),
        (nothing(), json!({"chatType": "group"}), false),
        (nothing(), json!({"sessionKey": group}), false),
        (nothing(), json!({"chatType": null}), false),
        (nothing(), json!({"sessionKey": null}), false),
        (json!({"senders": ["bob"]}), nothing(), false),
        (json!({"senders": ["bob", "alice"]}), nothing(), true),
        (json!({"groups": "full"}), in_group.clone(), true),
        (json!({"env": {"SIGILUM_NOTIFY_SENDERS": "bob"}}), nothing(), false),
        (
            json!({"env": {"SIGILUM_NOTIFY_GROUPS": "Full"}}),
            in_group.clone(),
            true,
        ),
        // A field of the record is newer than the environment that was recorded with it.
        (
            json!({"senders": ["alice"], "env": {"SIGILUM_NOTIFY_SENDERS": "bob"}}),
            nothing(),
            true,
        ),
    ];
    for (record, fields, full) in cases {
        person.chose(record.clone());
        let answer = person.ask(fields.clone());
        match full {
            true => assert!(answer.message().contains("secret-project"), "{record} {fields}"),
            false => assert_eq!(answer.message(), BRIEF, "{record} {fields}"),
        }
    }
    let requests = person.api.seen().len();
    person.chose(json!({"groups": "off"}));
    let off = person.ask(in_group);
    assert_eq!((off.messages.len(), off.logs.len()), (0, 0));
    assert_eq!(
        person.api.seen().len(),
        requests,
        "nobody may read the answer, so nothing is asked"
    );
    person.chose(json!({}));
    // Where there is a problem, a group hears that there is one, not which command mends it.
    person.no_token_file();
    let answer = person.ask(json!({"chatType": "group"}));
    assert_eq!(
        answer.message(),
        "Sigilum: there is no owner token. The operator must act.",
        "nor whose hook it is"
    );
    person.token_file(&person.api.token(NS, -3600));
    let answer = person.ask(json!({"chatType": "group"}));
    assert_eq!(
        answer.message(),
        "Sigilum: the owner token expired 1 h ago. The operator must act."
    );
    person.token_file(&person.api.token(NS, 3600));
    for (status, code, what) in [
        (401, "X", "the owner token"),
        (403, "FORBIDDEN", "the owner token: it is for another one"),
    ] {
        person.api.fault(Fault::Status(status, code));
        assert_eq!(
            person.ask(json!({"chatType": "group"})).message(),
            format!("Sigilum: the Sigilum API does not accept {what}. The operator must act.")
        );
    }
}

/// JavaScript writes what lies as deep as it likes.
#[test]
fn what_lies_too_deep_in_an_event_hides_nothing_else() {
    let person = Person::new();
    person.api.add_claim(NS, json!({"service": "mail"}));
    let event = person.event(json!({"context": "DEEP"})).to_string();
    for depth in [50, 200, 20_000] {
        let deep = "[".repeat(depth) + &"]".repeat(depth);
        let event = event.replace("\"DEEP\"", &deep);
        let answer = Answer::of(&person.env.run(["hook", "run"]).stdin(event).expect(0));
        assert!(answer.message().contains("mail"), "{depth}: {answer:?}");
    }
}

/// Whoever removes a home finds it empty only if nobody makes anything in it meanwhile.
#[test]
fn nothing_is_remembered_in_a_home_that_is_on_its_way_out() {
    for going in [false, true] {
        let person = Person::new();
        person.api.add_claim(NS, json!({"service": "mail"}));
        // Between the question and the API's answer the first of our files go.
        let between = TcpListener::bind("127.0.0.1:0").unwrap();
        person.record(&format!("http://{}", between.local_addr().unwrap()));
        let (api, file) = (person.api.port(), person.env.sigilum("owner-token-alice.jwt"));
        std::thread::spawn(move || {
            for asked in between.incoming() {
                let asked = asked.unwrap();
                if going {
                    let _ = std::fs::remove_file(&file);
                }
                let answers = TcpStream::connect(("127.0.0.1", api)).unwrap();
                let (mut from, mut to) = (asked.try_clone().unwrap(), answers.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                std::thread::spawn(move || std::io::copy(&mut &answers, &mut &asked));
            }
        });
        let answer = person.ask(json!({}));
        assert!(answer.message().contains("mail"), "{answer:?}");
        assert_eq!(person.env.sigilum("seen.json").exists(), !going);
    }
}

/// What the OpenClaw gateway starts has no environment of a person's: it goes by what was typed at the install.
#[test]
fn a_home_that_a_person_trusts_at_an_install_is_trusted_by_what_the_gateway_starts() {
    let person = Person::new();
    person.api.add_claim(NS, json!({"service": "mail"}));
    std::fs::set_permissions(person.env.openclaw(), PermissionsExt::from_mode(0o777)).unwrap();
    let install = || person.env.run(["hook", "install"]);
    let recorded = || {
        let text = std::fs::read_to_string(person.env.sigilum("hook.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["env"].clone()
    };
    let seen = person.env.sigilum("seen.json");
    install().expect(1);
    // An agent's shell says nothing of whom its owner trusts.
    let agents = install().env("SIGILUM_TRUST_HOME", "1").env("OPENCLAW_SHELL", "exec");
    agents.expect(0);
    assert_eq!(recorded(), Value::Null);
    person.ask(json!({}));
    assert!(!seen.exists());

    let output = install().env("SIGILUM_TRUST_HOME", "1").expect(0);
    let says = "note: whoever can write to this home is trusted from now on";
    assert!(output.stdout.contains(says), "{}", output.stdout);
    assert_eq!(recorded(), json!({"SIGILUM_TRUST_HOME": "1"}));
    let first = person.ask(json!({}));
    assert!(first.message().contains(") new") && seen.exists(), "{first:?}");
    // It is said where somebody looks, and can be taken back; an install that says nothing of it leaves it.
    install().env("SIGILUM_TRUST_HOME", "1").expect(0);
    std::fs::set_permissions(person.env.openclaw(), PermissionsExt::from_mode(0o700)).unwrap();
    install().expect(0);
    for command in [&["doctor"][..], &["hook", "status"]] {
        let told = person.env.run(command).output().stdout;
        for says in [
            "trusted by what the OpenClaw gateway starts (SIGILUM_TRUST_HOME, recorded by hook install)",
            "next: SIGILUM_TRUST_HOME=0 sigilum-authz-notify hook install",
        ] {
            assert!(told.contains(says), "{told}");
        }
    }
    install().env("SIGILUM_TRUST_HOME", "0").expect(0);
    assert_eq!(recorded(), Value::Null);
}

/// Whatever an agent writes into openclaw.json, and whatever OpenClaw makes of that in the gateway's environment and in an
/// event: what is pending is told as a person recorded it, and no other token is sent nor another server asked.
#[test]
fn nothing_that_an_agent_can_edit_decides_anything() {
    let person = Person::new();
    person.api.add_claim(NS, json!({"service": "mail"}));
    let elsewhere = Api::start(SECRET);
    let url = elsewhere.url();
    let token = person.api.token(NS, 7200);
    let ours = std::fs::read_to_string(person.env.sigilum("owner-token-alice.jwt")).unwrap();
    let settings = [
        ("SIGILUM_NAMESPACE", "bob"),
        ("GATEWAY_SIGILUM_NAMESPACE", "bob"),
        ("SIGILUM_MODE", "managed"),
        ("SIGILUM_MODE", "nonsense"),
        ("SIGILUM_API_URL", url.as_str()),
        ("SIGILUM_OWNER_TOKEN", token.as_str()),
        ("SIGILUM_OWNER_TOKEN_COMMAND", "/bin/false"),
        ("SIGILUM_DASHBOARD_URL", url.as_str()),
        ("SIGILUM_NOTIFY_SENDERS", "bob"),
        ("SIGILUM_NOTIFY_GROUPS", "off"),
        ("SIGILUM_HOOK_TIMEOUT_MS", "1"),
        ("SIGILUM_ALLOW_INSECURE_HTTP", "1"),
        ("SIGILUM_TRUST_HOME", "1"),
        ("SIGILUM_API_DB", "/nowhere"),
        ("SIGILUM_SOURCE_HOME", "/nowhere"),
        ("SIGILUM_CONFIG_FILE", "/nowhere"),
        ("OPENCLAW_STATE_DIR", "/nowhere"),
        ("OPENCLAW_HOME", "/nowhere"),
        ("OPENCLAW_PROFILE", "other"),
        ("OPENCLAW_CONFIG_PATH", "/nowhere"),
        ("JWT_SECRET", "another"),
        ("HTTPS_PROXY", url.as_str()),
        ("ALL_PROXY", url.as_str()),
        ("NO_PROXY", "*"),
        ("RUST_LOG", "trace"),
    ];
    person.ask(json!({}));
    let plain = person.ask(json!({}));
    assert!(plain.message().contains("\n1) service \"mail\""), "{plain:?}");
    for recorded in [true, false] {
        if recorded {
            person.chose(json!({}));
        } else {
            std::fs::remove_file(person.env.sigilum("hook.json")).unwrap();
        }
        for (name, value) in settings {
            let answer = person.ask_with(json!({"env": {name: value}}), &[(name, value)]);
            assert_eq!(answer, plain, "{name}={value}");
            person.entry(json!({name: value}));
            let answer = person.ask(json!({}));
            // In a home where nobody chose who reads what, the entry can shorten a notice.
            match (name, recorded) {
                ("SIGILUM_NOTIFY_SENDERS", false) => {
                    assert_eq!(answer.message(), "Sigilum: 1 request waits for approval.")
                }
                _ => assert_eq!(answer, plain, "{name}={value} in openclaw.json"),
            }
            person.entry(json!({}));
        }
        for broken in [
            "{",
            "[]",
            r#"{"hooks": 7}"#,
            r#"{"hooks": {"$include": "./gone.json"}}"#,
        ] {
            person.env.write_config(broken);
            assert_eq!(person.ask(json!({})), plain, "{broken}");
        }
    }
    let event = json!({"token": token, "home": "/nowhere", "config": "/nowhere", "namespace": "bob"});
    assert_eq!(person.ask(event), plain);
    assert_eq!(elsewhere.seen().len(), 0);
    let sent = |seen: &env::api::Seen| seen.headers["authorization"] == format!("Bearer {}", ours.trim());
    assert!(person.api.seen().iter().all(sent));
    // Not even where the API refuses the token of the file.
    person.token_file(&env::api::token("another secret", json!({"namespace": NS})));
    let requests = person.api.seen().len();
    let answer = person.ask_with(
        json!({"token": token, "env": {"SIGILUM_OWNER_TOKEN": token}}),
        &[("SIGILUM_OWNER_TOKEN", &token)],
    );
    assert_eq!(
        answer.message(),
        "Sigilum: the Sigilum API does not accept the owner token of namespace alice. Requests that wait for approval \
         cannot be shown. Run: sigilum-authz-notify auth login --mode oss-local --namespace alice"
    );
    assert_eq!(person.api.seen().len(), requests + 1);
}

#[test]
fn the_hook_speaks_for_the_namespace_that_is_recorded() {
    let person = Person::new();
    person.api.add_claim("bob", json!({"service": "bobs"}));
    person.env.write(
        ".openclaw/.sigilum/owner-bob.json",
        json!({"mode": "oss-local", "api_url": person.api.url(), "email": "bob@local.sigilum"}).to_string(),
    );
    let token = format!("{}\n", person.api.token("bob", 3600));
    person.env.write(".openclaw/.sigilum/owner-token-bob.jwt", token);
    person.chose(json!({"namespace": "bob"}));
    assert!(
        person
            .ask(json!({}))
            .message()
            .contains("namespace bob.\n1) new: service \"bobs\"")
    );
    person.chose(json!({"namespace": "alice"}));
    assert!(
        person
            .ask(json!({}))
            .only_log()
            .starts_with("0 pending in namespace alice")
    );
    // A person says it now.
    let output = person
        .env
        .run(["hook", "run", "--event", "command:new", "--namespace", "bob"]);
    assert!(output.expect(0).stdout.contains("bobs"));
    let output = person.env.run(["hook", "run", "--event", "command:new"]);
    assert!(output.env("SIGILUM_NAMESPACE", "bob").expect(0).stdout.contains("bobs"));
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
    for (place, whose) in [("the token file", "record"), ("openclaw.json", "entry")] {
        for (token, what) in &cases {
            match whose {
                "record" => person.token_file(token),
                _ => person.only_an_entry(json!({"SIGILUM_NAMESPACE": NS, "SIGILUM_MODE": "oss-local",
                    "SIGILUM_API_URL": person.api.url(), "SIGILUM_OWNER_TOKEN": token})),
            }
            let answer = person.ask(json!({}));
            assert_eq!(
                answer.message(),
                format!(
                    "Sigilum: {what}. Requests that wait for approval cannot be shown. Run: sigilum-authz-notify auth \
                     login --mode oss-local --namespace alice"
                )
            );
            assert!(answer.logs[0].contains(&format!("{place}: ")), "{answer:?}");
        }
    }
    assert_eq!(person.api.seen().len(), 0);
}

#[test]
fn in_a_home_without_a_record_the_entrys_token_goes_to_the_entrys_api_and_no_other_does() {
    let person = Person::new();
    person.api.add_claim(NS, json!({"service": "mail"}));
    let token = person.api.token(NS, 600);
    let entry = |fields: Value| {
        let mut env =
            json!({"SIGILUM_NAMESPACE": NS, "SIGILUM_MODE": "oss-local", "SIGILUM_API_URL": person.api.url()});
        env.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        env
    };
    person.only_an_entry(entry(json!({"SIGILUM_OWNER_TOKEN": token})));
    let answer = person.ask(json!({}));
    assert!(answer.message().contains("service \"mail\""), "{answer:?}");
    assert!(answer.logs[0].contains("token from openclaw.json"), "{answer:?}");
    // Its senders and groups can only make a notice shorter.
    let silence =
        json!({"SIGILUM_OWNER_TOKEN": token, "SIGILUM_NOTIFY_SENDERS": "bob", "SIGILUM_NOTIFY_GROUPS": "off"});
    person.only_an_entry(entry(silence));
    let brief = person.ask(json!({}));
    assert!(
        brief.message().starts_with("Sigilum: 1 request waits for approval."),
        "{brief:?}"
    );
    let group = json!({"chatType": "group"});
    person.only_an_entry(entry(
        json!({"SIGILUM_OWNER_TOKEN": token, "SIGILUM_NOTIFY_GROUPS": "full"}),
    ));
    assert_eq!(person.ask(group).message(), brief.message());
    // A token file is there, and the environment has a token: neither goes to a URL that only the entry names.
    let requests = person.api.seen().len();
    person.only_an_entry(entry(json!({})));
    let answer = person.ask_with(json!({"token": token}), &[("SIGILUM_OWNER_TOKEN", &token)]);
    assert!(
        answer
            .message()
            .starts_with("Sigilum: there is no owner token for namespace alice."),
        "{answer:?}"
    );
    assert!(answer.logs[0].contains("openclaw.json: none"), "{answer:?}");
    assert_eq!(person.api.seen().len(), requests);
    // Nor may the config switch the rules off.
    let plain = json!({"SIGILUM_API_URL": "http://192.0.2.1", "SIGILUM_ALLOW_INSECURE_HTTP": "1",
        "SIGILUM_OWNER_TOKEN": token});
    person.only_an_entry(entry(plain));
    let answer = person.ask_with(json!({}), &[("SIGILUM_ALLOW_INSECURE_HTTP", "1")]);
    assert!(
        answer.message().starts_with("Sigilum: the hook is not set up right."),
        "{answer:?}"
    );
    assert!(answer.logs[0].contains("plain http to another machine"), "{answer:?}");
    for (name, value, why) in [
        ("SIGILUM_NAMESPACE", "No_Good!", "invalid namespace"),
        ("SIGILUM_MODE", "nonsense", "invalid mode"),
    ] {
        person.only_an_entry(entry(json!({name: value})));
        assert!(person.ask(json!({})).logs[0].contains(why), "{name}");
    }
}

#[test]
fn what_the_other_side_can_do_to_us() {
    let person = Person::new();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let many: String = (0..10_000).map(|n| format!("X-{n}: y\r\n")).collect();
    let unanswered = [
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
    for fault in unanswered {
        person.api.fault(fault.clone());
        let answer = person.ask(json!({}));
        assert!(
            answer.logs[0].starts_with("could not ask for namespace alice"),
            "{fault:?}: {answer:?}"
        );
        let why = answer.logs[0].rsplit("): ").next().unwrap();
        assert_eq!(
            answer.message(),
            format!("Sigilum could not be asked: {why}."),
            "{fault:?}"
        );
        // A group need not know.
        let group = person.ask(json!({"chatType": "group"}));
        assert_eq!(group.only_log(), answer.logs[0], "{fault:?}");
    }
    for fault in [Fault::Stall, Fault::Drip] {
        person.api.fault(fault);
        let start = Instant::now();
        person.chose(json!({"timeout_ms": 300}));
        let answer = person.ask(json!({}));
        person.chose(json!({}));
        assert_eq!(answer.message(), "Sigilum could not be asked: no full answer in time.");
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
            "Sigilum: the Sigilum API does not accept the owner token for namespace alice: it is for another one.",
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
             be there to hide others. It runs out within 24 h, unless it is answered. To see those for one service, in a \
             terminal: sigilum-authz-notify authz list --service <service>"
        );
        person.api.fault(fault);
        let group = person.ask(json!({"chatType": "group"}));
        assert_eq!(group.message(), "Sigilum: the list of requests is too long to be read.");
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
    // OpenClaw's side waits for 5 s, whatever anybody recorded.
    for record in [json!({}), json!({"timeout_ms": 60_000})] {
        person.chose(record.clone());
        let start = Instant::now();
        person.ask(json!({})).message();
        let took = start.elapsed();
        assert!(
            took > Duration::from_millis(3900) && took < Duration::from_millis(4900),
            "{record}: {took:?}"
        );
    }
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
    assert_eq!(text.lines().count(), 7, "{text}");
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
    let recorded: serde_json::Map<String, Value> =
        vars.iter().map(|(name, url)| ((*name).into(), json!(url))).collect();
    person.chose(json!({"env": recorded}));
    assert!(person.ask(json!({})).message().contains("1 request waits"));
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
    person.chose(json!({"env": {"SSL_CERT_FILE": pipe}}));
    assert!(person.ask(json!({})).message().contains("1 request waits"));
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
fn long_requests_hide_no_others() {
    let person = Person::new();
    let add = |number: u32, length: usize| {
        let fields =
            json!({"claim_id": format!("cl_{number}"), "service": format!("s{number}"), "subject": "x".repeat(length)});
        person.api.add_claim(NS, fields);
    };
    (1..=22).for_each(|number| add(number, 60_000));
    let answer = person.ask(json!({}));
    assert!(answer.message().starts_with("Sigilum: 22 requests wait"), "{answer:?}");
    assert!(answer.message().contains("\n5) new: service \"s"), "{answer:?}");
    // What is too long by itself is told beside the others.
    add(23, 1 << 20);
    let answer = person.ask(json!({}));
    assert_eq!(answer.messages.len(), 2, "{answer:?}");
    assert!(
        answer.messages[0].starts_with("Sigilum: 23 requests wait"),
        "{answer:?}"
    );
    assert!(answer.messages[0].contains("\n5) new: service \"s"), "{answer:?}");
    assert!(
        answer.messages[1].starts_with("Sigilum: 1 request is too long to be read for namespace alice;"),
        "{answer:?}"
    );
}

/// Other fields of an event are ignored, whatever they hold.
#[test]
fn what_is_ignored_in_an_event_may_be_anything() {
    let person = Person::new();
    person.api.add_claim(NS, json!({"claim_id": "cl_1", "service": "mail"}));
    let event = person.event(json!({})).to_string();
    let event = event.strip_suffix('}').unwrap();
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    for odd in [&deep, "1e999999", "-1e999999", r#"{"a":[1e400]}"#] {
        let output = person
            .env
            .run(["hook", "run"])
            .stdin(format!("{event},\"more\":{odd}}}"))
            .expect(0);
        let answer = Answer::of(&output);
        assert!(
            answer.message().starts_with("Sigilum: 1 request waits"),
            "{odd:.20}: {answer:?}"
        );
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
    for event in ["command", "command:stop", "foo:bar", "message:received", ":"] {
        let output = env.run(["hook", "run", "--event", event]).expect(2);
        let says =
            format!("could not use the event {event:?}: nothing is said to it\n  next: give --event command:new\n");
        assert!(output.stderr.ends_with(&says), "{}", output.stderr);
    }
    // JavaScript's JSON may hold half a character, and JavaScript reads what is no UTF-8.
    let person = Person::new();
    let event = person.event(json!({"senderId": "SENDER"})).to_string();
    let (before, behind) = event.split_once("SENDER").unwrap();
    for (mark, sender) in [
        (&b""[..], &br"a\ud83d"[..]),
        (b"", br"\ude00\ud83d"),
        (b"", b"Ren\xe9"),
        (b"", b"\xed\xa0\xbd"),
        (b"\xef\xbb\xbf", b"a"),
    ] {
        let event = [mark, before.as_bytes(), sender, behind.as_bytes()].concat();
        let output = person.env.run(["hook", "run"]).stdin(event).expect(0);
        assert!(Answer::of(&output).only_log().starts_with("0 pending"));
    }
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
    const HOW: &str = "Requests that wait for approval cannot be shown. Run: sigilum-authz-notify hook run --event \
                       command:new";
    // Who reads what is not known of a record that cannot be read.
    const BRIEF: &str = "The operator must act.";
    for (record, step, why) in [
        (json!({"namespace": "No_Good!"}), BRIEF, "its namespace is not valid"),
        (json!({"timeout_ms": 0}), HOW, "invalid time limit"),
        (
            json!({"env": {"SIGILUM_HOOK_TIMEOUT_MS": "soon"}}),
            HOW,
            "invalid time limit",
        ),
        (json!({"senders": 7}), BRIEF, "could not read the hook's record, line 1"),
    ] {
        person.chose(record);
        let answer = person.ask(json!({}));
        assert_eq!(
            answer.message(),
            format!("Sigilum: the hook is not set up right. {step}")
        );
        assert!(answer.logs[0].contains(why), "{answer:?}");
    }
    person.chose(json!({}));
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
    assert!(output.stdout.starts_with(
        "Sigilum: 1 request waits for your approval in namespace alice.\n1) asked again: service \"mail\""
    ));
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
    assert!(
        output.stderr.contains("(from SIGILUM_MODE): it is neither"),
        "{}",
        output.stderr
    );
}

#[test]
fn in_a_home_without_a_record_people_get_the_token_of_the_entry() {
    let person = Person::new();
    person.api.add_claim(NS, json!({"service": "mail"}));
    person.only_an_entry(json!({"SIGILUM_NAMESPACE": NS, "SIGILUM_API_URL": person.api.url(),
        "SIGILUM_MODE": "oss-local", "SIGILUM_OWNER_TOKEN": person.api.token(NS, 600)}));
    let output = person.env.run(["hook", "run", "--event", "command:new"]).expect(0);
    assert!(output.stdout.contains("service \"mail\""), "{output:?}");
    assert!(output.stderr.contains("token from openclaw.json"), "{output:?}");
}

#[test]
fn without_a_running_api_the_local_database_is_read() {
    let env = TestEnv::new();
    let silent = env::SilentPort::at(0);
    let url = format!("http://127.0.0.1:{}", silent.number);
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
    // Nothing in our own database says nothing: an API may have another.
    let answer = ask();
    assert!(
        answer
            .message()
            .starts_with("Sigilum could not be asked: nothing listens there"),
        "{answer:?}"
    );
    assert!(answer.logs[0].contains("our own database is empty"), "{answer:?}");
    env.run(["authz", "list"]).expect(6);
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
            .contains("1) new: service \"ledger\", agent \"bot\", key \"abc\", ip \"10·1·2·3\", ID \"c1\""),
        "{answer:?}"
    );
    // Without the database there is one log line, and no database afterwards.
    drop(db);
    for name in ["local-api.sqlite", "local-api.sqlite-wal", "local-api.sqlite-shm"] {
        let _ = std::fs::remove_file(env.sigilum(name));
    }
    let answer = ask();
    assert!(
        answer.logs[0].contains("the local database cannot be read"),
        "{answer:?}"
    );
    assert_eq!(
        answer.message(),
        "Sigilum could not be asked: nothing listens there (connection refused), and the local database cannot be read."
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
    let vars = [("SSL_CERT_FILE", ca.as_str()), ("SSL_CERT_DIR", folder)];
    let answer = person.ask_with(json!({}), &vars);
    assert!(
        answer.message().contains("an issuer that this machine does not trust")
            || answer.message().contains("no usable root certificates"),
        "the gateway's environment names no roots: {answer:?}"
    );
    for env in [
        json!({"SSL_CERT_FILE": ca}),
        json!({"SSL_CERT_DIR": format!(":{folder}:")}),
    ] {
        person.chose(json!({"env": env}));
        let answer = person.ask(json!({}));
        assert!(answer.message().contains("service \"mail\""), "{env}: {answer:?}");
    }
    // The same certificate under another name.
    let url = format!("https://127.0.0.1:{front}");
    person.record(&url);
    let answer = person.ask(json!({}));
    assert!(
        answer
            .message()
            .contains("the server's certificate is for another name"),
        "{answer:?}"
    );
    assert_eq!(person.api.seen().len(), 2);
}
