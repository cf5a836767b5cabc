//! `/sigilum …` as the plugin hands it to the resident program: who reads, who decides, and what reaches the API.

use crate::env::api::Fault;
use crate::env::now;
use crate::serve::{Home, Resident};
use serde_json::{Value, json};
use std::ops::{Deref, DerefMut};

const ME: &str = "telegram:1";
const ID: &str = "cl_000000010000000000000001";
const OTHER: &str = "cl_000000020000000000000002";

const CONFIG: &str = r#"{"channels": {"telegram": {"botToken": "t0p", "dm": {"policy": "open", "allow": [1]}}}, "env": {"vars": {"A": "1"}}}"#;

/// Alice's home with a request that waits, and the program that the plugin keeps.
struct Chat {
    home: Home,
    resident: Resident,
    last: u64,
}

impl Deref for Chat {
    type Target = Home;
    fn deref(&self) -> &Home {
        &self.home
    }
}

impl DerefMut for Chat {
    fn deref_mut(&mut self) -> &mut Home {
        &mut self.home
    }
}

impl Chat {
    fn new() -> Self {
        Self::with(|home| home.serve())
    }

    fn with(serve: fn(&Home) -> Resident) -> Self {
        let home = Home::new();
        home.api.clear();
        let created = crate::env::api::iso(now() - 90);
        home.api.add_claim(
            "alice",
            json!({"claim_id": ID, "service": "mail", "agent_name": "bot", "created_at": created}),
        );
        home.env.write_config(CONFIG);
        record(&home, json!({}));
        let resident = serve(&home);
        Self {
            home,
            resident,
            last: 0,
        }
    }

    /// Types a command as the recorded decider in a direct chat of a new OpenClaw, with some facts otherwise.
    fn types(&mut self, text: &str, facts: Value) {
        let mut command = json!({"text": text, "channel": "telegram", "senderId": "1", "from": ME, "sessionKey": "agent:main:main",
            "chatType": "direct", "senderIsOwner": true, "canAssertOwner": true, "gatewayClientScopes": null, "accountId": "default"});
        for (name, fact) in facts.as_object().unwrap() {
            command[name] = fact.clone();
        }
        self.last += 1;
        self.resident
            .say(json!({"id": self.last, "command": command}).to_string());
    }

    /// The next line, which is about the command that was typed last.
    #[track_caller]
    fn hears(&self) -> Value {
        let line = self.resident.hear();
        assert_eq!(line["id"], self.last, "{line}");
        line
    }

    fn confirms(&mut self, confirmed: Value) {
        self.resident
            .say(json!({"id": self.last, "confirmed": confirmed}).to_string());
    }

    /// The text that a command is answered with, where nothing is to be confirmed.
    #[track_caller]
    fn asks_with(&mut self, text: &str, facts: Value) -> String {
        self.types(text, facts);
        let line = self.hears();
        line["reply"]["text"]
            .as_str()
            .unwrap_or_else(|| panic!("{line}"))
            .to_owned()
    }

    #[track_caller]
    fn asks(&mut self, text: &str) -> String {
        self.asks_with(text, json!({}))
    }

    /// The answer to a command that is confirmed as the plugin does it.
    #[track_caller]
    fn decides(&mut self, text: &str) -> Value {
        self.types(text, json!({}));
        assert_eq!(self.hears(), json!({"id": self.last, "confirm": true}));
        self.confirms(json!(true));
        self.hears()
    }

    fn decisions(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.env.sigilum("decisions.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[track_caller]
    fn nothing_was_decided(&self) {
        assert_eq!(self.api.posts(), [] as [&str; 0]);
        assert_eq!(self.decisions(), [] as [Value; 0]);
        assert_eq!(self.api.claim(ID).unwrap()["status"], "pending");
    }
}

/// The hook's record with some fields otherwise.
fn record(home: &Home, fields: Value) {
    let env = sigilum_authz_notify::env::Env::from_pairs([("HOME", home.env.home().to_str().unwrap())]);
    let place = sigilum_authz_notify::home::find(Some(&home.env.openclaw()), None, &env).unwrap();
    let channels = match sigilum_authz_notify::openclaw::channel::fingerprint(&place, "telegram") {
        Ok(Some(fingerprint)) => json!({"telegram": fingerprint}),
        _ => json!({}),
    };
    let mut record = json!({"decider_channels": channels, "namespace": "alice", "deciders": [ME, "irc:alice!~a@host"], "senders": ["telegram:2"]});
    for (name, field) in fields.as_object().unwrap() {
        record[name] = field.clone();
    }
    home.env.write(".openclaw/.sigilum/hook.json", record.to_string());
}

const REFUSAL: &str = "Sigilum: requests are answered here in a direct chat, by whom the namespace's owner recorded for it \
                       in a terminal, with --deciders of sigilum-authz-notify hook install.";

#[test]
fn a_request_is_listed_approved_and_taken_back() {
    let mut chat = Chat::new();
    chat.types("list", json!({}));
    let list = chat.hears();
    let text = list["reply"]["text"].as_str().unwrap();
    let begins = "Sigilum: 1 request waits for your approval in namespace alice.\n\
                  ID cl_00000001: new: service \"mail\", agent \"bot\", key \"";
    assert!(text.starts_with(begins), "{text}");
    assert!(
        text.contains("1 min ago, runs out in 23 h 58 min\nTo answer, with an ID from above: /sigilum approve ID"),
        "{text}"
    );
    let buttons = &list["reply"]["presentation"]["blocks"][0]["buttons"];
    let commands: Vec<&Value> = (0..3).map(|at| &buttons[at]["action"]["command"]).collect();
    let wanted = ["approve", "reject", "show"].map(|verb| json!(format!("/sigilum {verb} {ID}")));
    assert_eq!(commands, wanted.iter().collect::<Vec<_>>(), "{list}");
    assert_eq!(buttons[0]["action"]["type"], "command");

    let approved = chat.decides("approve cl_00000001");
    let text = approved["reply"]["text"].as_str().unwrap();
    assert!(
        text.starts_with(&format!("Sigilum: approved {ID} (service \"mail\", key \"")),
        "{text}"
    );
    assert!(
        text.ends_with(&format!("To take it back: /sigilum revoke {ID}")),
        "{text}"
    );
    assert_eq!(approved["logs"], json!([format!("approved {ID} for {ME} in the chat")]));
    assert_eq!(chat.api.posts(), [format!("POST /v1/claims/{ID}/approve")]);
    let intent = &chat.decisions()[0];
    assert_eq!([&intent["by"], &intent["how"]], [&json!(ME), &json!("chat")]);

    let second = chat.asks("approve cl_00000001");
    let told = format!("Sigilum: nothing was decided about {ID}: it is already approved by {ME} at ");
    assert!(
        second.starts_with(&told) && second.ends_with(" (in the chat)"),
        "{second}"
    );
    chat.decides(&format!("revoke {ID}"));
    assert_eq!(chat.api.claim(ID).unwrap()["status"], "revoked");
    assert_eq!(chat.api.posts().len(), 2);
    let log = chat.env.run(["authz", "log"]).expect(0).stdout;
    assert_eq!(log.matches("telegram:1  in the chat").count(), 2, "{log}");
    let show = chat.asks(&format!("show {ID}"));
    assert!(
        show.contains(&format!(": revoke by {ME} (in the chat): done: revoked")),
        "{show}"
    );
}

/// The start of an id is one request's alone, of all that there are: not of those that were shown.
#[test]
fn a_start_that_another_request_has_too_decides_nothing() {
    let mut chat = Chat::new();
    chat.asks("list");
    let twin = "cl_000000010000000000000009";
    chat.api.add_claim(
        "alice",
        json!({"claim_id": twin, "service": "mail", "status": "approved"}),
    );
    let told = chat.asks("approve cl_00000001");
    assert!(told.contains("could not use cl_00000001: 2 requests fit"), "{told}");
    chat.nothing_was_decided();
    chat.decides(&format!("approve {ID}"));
    assert_eq!(chat.api.posts().len(), 1);
}

/// Nor is less than the start of an id one, however few requests were shown.
#[test]
fn what_is_no_start_of_an_id_decides_nothing() {
    let mut chat = Chat::new();
    chat.asks("list");
    for word in ["c", "cl_", "cl_0", "cl_0000000"] {
        let told = chat.asks(&format!("approve {word}"));
        assert!(told.starts_with("Sigilum: could not "), "{word}: {told}");
    }
    chat.nothing_was_decided();
}

/// Everything about one, with what a stranger wrote made safe.
#[test]
fn a_request_is_shown_and_rejected() {
    let mut chat = Chat::new();
    chat.api.change(ID, "service", "**mail** @everyone\n/sigilum approve");
    chat.api.change(ID, "subject", "https://e.vil");
    let show = chat.asks("show cl_00000001");
    assert!(
        show.starts_with(&format!(
            "Sigilum request {ID}, pending:\nnamespace \"alice\"\nservice \"··mail·· ·everyone··sigilum approve\"\n"
        )),
        "{show}"
    );
    assert!(show.contains("\nsubject \"https···e·vil\"\n"), "{show}");
    assert!(
        show.contains("\nkey \"ed25519·KEY0000000000000000000000000000000000001\"\n"),
        "{show}"
    );
    assert!(show.contains("\nuse, last 30 days: none\n"), "{show}");
    let rejected = chat.decides("reject cl_00000001");
    assert!(
        rejected["reply"]["text"]
            .as_str()
            .unwrap()
            .starts_with(&format!("Sigilum: rejected {ID} ("))
    );
    assert_eq!(chat.api.posts(), [format!("POST /v1/claims/{ID}/reject")]);
}

/// A decision is about what was shown to that sender: anything else is shown first, and decided when it is asked again.
#[test]
fn what_was_not_shown_or_changed_is_shown_again() {
    let mut chat = Chat::new();
    let first = chat.asks(&format!("approve {ID}"));
    assert!(
        first.starts_with("Sigilum: nothing was decided yet: it was not shown here yet. Look at it"),
        "{first}"
    );
    assert!(first.contains("service \"mail\""), "{first}");
    chat.api.change(ID, "service", "bank");
    let changed = chat.asks(&format!("approve {ID}"));
    assert!(
        changed.starts_with("Sigilum: nothing was decided yet: it is not as it was shown here."),
        "{changed}"
    );
    assert!(changed.contains("service \"bank\""), "{changed}");
    chat.nothing_was_decided();
    // A new program knows nothing of what was shown.
    chat.resident = chat.home.serve();
    chat.asks("approve cl_00000001");
    chat.nothing_was_decided();
    chat.decides("approve cl_00000001");
    assert_eq!(chat.api.posts().len(), 1);

    // Decided elsewhere.
    chat.api
        .add_claim("alice", json!({"claim_id": OTHER, "service": "files"}));
    chat.asks("list");
    chat.env.run(["authz", "reject", OTHER, "--yes"]).expect(0);
    let gone = chat.asks("approve cl_00000002");
    assert!(gone.contains("it is not pending any more, but rejected by "), "{gone}");
    assert!(gone.ends_with(" (--yes)"), "{gone}");
    for (id, told) in [
        ("cl_0000000900000000", "could not find the request"),
        ("cl_1", "it is no id"),
        ("../x", "it is no id"),
    ] {
        let text = chat.asks(&format!("approve {id}"));
        assert!(text.starts_with("Sigilum: could not") && text.contains(told), "{text}");
    }
    assert_eq!(chat.api.posts().len(), 2);
}

/// The command in the message of an approval works as it is typed, shown before or not.
#[test]
fn an_approval_elsewhere_is_taken_back_at_once() {
    let mut chat = Chat::new();
    chat.api.add_claim(
        "alice",
        json!({"claim_id": OTHER, "service": "files", "status": "approved"}),
    );
    chat.asks("list");
    chat.api.change(ID, "status", "approved");
    for id in [ID, OTHER] {
        let revoked = chat.decides(&format!("revoke {id}"));
        let text = revoked["reply"]["text"].as_str().unwrap();
        assert!(text.starts_with(&format!("Sigilum: revoked {id}")), "{text}");
    }
    // What became of it otherwise is told, and what is not as it was is shown.
    chat.api.change(ID, "status", "rejected");
    let other = chat.asks(&format!("revoke {ID}"));
    assert!(other.contains("it is not approved, but rejected"), "{other}");
    chat.api.change(OTHER, "status", "approved");
    chat.api.change(OTHER, "service", "bank");
    let changed = chat.asks(&format!("revoke {OTHER}"));
    assert!(changed.contains("it is not as it was shown here."), "{changed}");
    assert_eq!(chat.api.posts().len(), 2);
}

/// What the notice on `/new` names can be decided at once.
#[test]
fn the_notice_names_the_commands_and_counts_as_shown() {
    let mut chat = Chat::new();
    record(&chat, json!({"senders": ["telegram:1", "telegram:2"]}));
    let new = |sender: &str| {
        json!({"id": 99, "type": "command", "action": "new", "sessionKey": "agent:main:main", "chatType": "direct",
            "senderId": sender, "commandSource": "telegram"})
    };
    chat.resident.say(new("1").to_string());
    let notice = chat.resident.hear()["messages"][0].as_str().unwrap().to_owned();
    assert!(notice.contains(&format!("ID \"{ID}\"")), "{notice}");
    assert!(
        notice.contains("then type here: /sigilum approve ID; what you do not know: /sigilum reject ID"),
        "{notice}"
    );
    chat.decides(&format!("approve {ID}"));
    assert_eq!(chat.api.posts().len(), 1);
    // Nor is it named where the channel is set otherwise than it was recorded: another server may speak there.
    chat.env.write_config(CONFIG.replace("t0p", "another"));
    chat.resident.say(new("1").to_string());
    let rest = chat.resident.hear()["messages"].to_string();
    assert!(!rest.contains("/sigilum approve"), "{rest}");
    chat.api.change(ID, "status", "pending");
    chat.resident.say(new("1").to_string());
    let notice = chat.resident.hear()["messages"][0].as_str().unwrap().to_owned();
    assert!(
        notice.contains("in a terminal: sigilum-authz-notify authz approve ID") && !notice.contains("/sigilum"),
        "{notice}"
    );
    chat.env.write_config(CONFIG);
    chat.api.change(ID, "status", "approved");
    // Who only reads is told what works for them.
    chat.api
        .add_claim("alice", json!({"claim_id": OTHER, "service": "files"}));
    chat.resident.say(new("2").to_string());
    let notice = chat.resident.hear()["messages"][0].as_str().unwrap().to_owned();
    assert!(
        notice.contains("in a terminal: sigilum-authz-notify authz approve ID"),
        "{notice}"
    );
}

/// Where the home is not the default one, what is to be typed names it; not in a group.
#[test]
fn what_is_to_be_typed_names_the_home() {
    let mut chat = Chat::with(|home| {
        std::fs::create_dir(home.env.home().join("elsewhere")).unwrap();
        let elsewhere = home.env.home().join("elsewhere");
        home.serve_with(&[("HOME", elsewhere.to_str().unwrap())])
    });
    let elsewhere = chat.env.home().join("elsewhere");
    let flags = format!(" --openclaw-home {}", chat.env.openclaw().display());
    for n in 2..14 {
        let id = format!("cl_{n:08}{n:016}");
        chat.api.add_claim("alice", json!({"claim_id": id, "service": "files"}));
    }
    let list = chat.asks("list");
    let (_, command) = list.split_once("more; in a terminal: ").unwrap();
    let command = command.lines().next().unwrap();
    assert!(command.ends_with(&flags), "{command}");
    let all = chat.env.shell(command).env("HOME", &elsewhere).expect(0).stdout;
    assert!(all.contains("\ncl_00000013 "), "{all}");
    chat.env.write(".openclaw/.sigilum/hook.json", r#"{"senders": 7}"#);
    // Nobody knows who may read: no path for anyone.
    for facts in [
        json!({}),
        json!({"chatType": "group"}),
        json!({"sessionKey": "agent:main:telegram:group:-1"}),
    ] {
        let told = chat.asks_with("list", facts);
        assert_eq!(
            told,
            "Sigilum: this is not set up right. The operator must act; the OpenClaw gateway's log says why."
        );
    }
}

/// An answer that was given up on was read by nobody, and on some channels anybody can have the owner's name.
#[test]
fn what_is_listed_stays_new_for_the_next_notice() {
    let mut chat = Chat::new();
    for _ in 0..2 {
        assert!(chat.asks("list").contains(": new: "));
    }
    assert!(!chat.env.sigilum("seen.json").exists());
}

/// One condition is missing: nothing reaches the API but what a reader may see, and nothing is logged as decided.
#[test]
fn who_may_not_decide_is_refused() {
    let reads = [
        json!({"senderId": "2", "from": "telegram:2"}),
        json!({"channel": "irc", "senderId": "alice!~a@host", "from": "irc:alice!~a@host"}),
        json!({"senderIsOwner": false}),
        json!({"senderIsOwner": null}),
        json!({"canAssertOwner": false}),
        json!({"gatewayClientScopes": ["operator.admin"]}),
        json!({"channel": "webchat"}),
    ];
    let refused = [
        json!({"senderId": "3", "from": "telegram:3"}),
        json!({"from": "telegram:group:-1"}),
        json!({"chatType": "group"}),
        json!({"chatType": null}),
        json!({"sessionKey": "agent:main:telegram:group:-1"}),
        json!({"sessionKey": "agent:main:discord:channel:1"}),
        json!({"gatewayClientScopes": ["operator.approvals"], "senderIsOwner": false}),
    ];
    let mut chat = Chat::new();
    chat.asks("list");
    for (facts, may_read) in reads
        .iter()
        .map(|facts| (facts, true))
        .chain(refused.iter().map(|facts| (facts, false)))
    {
        for verb in ["approve", "reject", "revoke"] {
            let asked = chat.api.seen().len();
            chat.types(&format!("{verb} {ID}"), facts.clone());
            let answer = chat.hears();
            let text = answer["reply"]["text"].as_str().unwrap();
            match may_read {
                true => {
                    assert!(text.starts_with("Sigilum: nothing was decided. "), "{facts}: {text}");
                    let terminal = format!("In a terminal: sigilum-authz-notify authz {verb} ID");
                    assert!(text.contains(&terminal), "{facts}: {text}");
                    // It would take the other deciders out.
                    assert!(!text.contains("--deciders <"), "{facts}: {text}");
                }
                false => assert_eq!(text, REFUSAL, "{facts}"),
            }
            let log = answer["logs"][0].as_str().unwrap();
            assert!(
                log.starts_with(&format!("refused a /sigilum {verb} of ")),
                "{facts}: {log}"
            );
            assert_eq!(chat.api.seen().len(), asked, "{facts}: the API was asked");
        }
        let list = chat.asks_with("list", facts.clone());
        assert_eq!(
            list.starts_with("Sigilum: 1 request waits for your approval"),
            may_read,
            "{facts}: {list}"
        );
        assert!(!list.contains("/sigilum approve"), "{facts}: {list}");
    }
    // Nobody is recorded any more, whatever openclaw.json says: off.
    record(&chat, json!({"deciders": null, "senders": null}));
    let entry = json!({"enabled": true, "env": {"SIGILUM_NOTIFY_DECIDERS": ME, "SIGILUM_NOTIFY_SENDERS": ME}});
    let config = json!({"commands": {"ownerAllowFrom": [ME]}, "hooks": {"internal": {"entries": {"sigilum-authz-notify": entry}}}});
    chat.env.write_config(config.to_string());
    for text in ["list", "status", "help", "approve cl_00000001"] {
        assert_eq!(chat.asks(text), REFUSAL);
    }
    chat.nothing_was_decided();
}

#[test]
fn what_openclaw_does_not_confirm_is_not_decided() {
    let mut chat = Chat::new();
    chat.asks("list");
    for confirmed in [json!(false), json!(null), json!("true"), json!(1)] {
        chat.types("approve cl_00000001", json!({}));
        assert_eq!(chat.hears()["confirm"], true);
        chat.confirms(confirmed);
        let answer = chat.hears();
        let text = answer["reply"]["text"].as_str().unwrap();
        assert!(
            text.starts_with("Sigilum: nothing was decided: OpenClaw did not confirm that you are an owner."),
            "{text}"
        );
        assert!(
            answer["logs"][0].as_str().unwrap().ends_with("it was not confirmed"),
            "{answer}"
        );
    }
    // No answer at all, and one about another line, or before it was asked for.
    chat.resident
        .say(json!({"id": chat.last + 1, "confirmed": true}).to_string());
    chat.types("approve cl_00000001", json!({}));
    assert_eq!(chat.hears()["confirm"], true);
    chat.resident.say(json!({"id": 77, "confirmed": true}).to_string());
    let text = chat.hears()["reply"]["text"].as_str().unwrap().to_owned();
    assert!(text.contains("did not confirm"), "{text}");
    // Too late.
    chat.confirms(json!(true));
    assert!(chat.asks("status").contains("1 pending"));
    chat.nothing_was_decided();
}

/// An agent that edits openclaw.json can have a server of its own say that the owner typed a command.
#[test]
fn a_channel_that_is_set_otherwise_decides_nothing() {
    let mut chat = Chat::new();
    chat.env.write(
        ".openclaw/part.json",
        r#"{"botToken": "t0p", "dm": {"policy": "open", "allow": [1]}}"#,
    );
    let telegram = r#"{"botToken": "t0p", "dm": {"policy": "open", "allow": [1]}}"#;
    let cases = [
        CONFIG.replace("t0p", "other"),
        CONFIG.replace("\"botToken\"", "\"apiRoot\": \"http://127.0.0.1:9\", \"botToken\""),
        CONFIG.replace("[1]", "[1, 2]"),
        CONFIG.replace("\"botToken\": \"t0p\", ", ""),
        CONFIG.replace("telegram", "matrix"),
        CONFIG.replace(r#""A": "1""#, r#""A": "1", "HTTPS_PROXY": "http://127.0.0.1:9""#),
        CONFIG.replace("\"env\"", "\"proxy\": {\"enabled\": true}, \"env\""),
        CONFIG.replace(
            telegram,
            r#"{"$include": "./part.json", "apiRoot": "http://127.0.0.1:9"}"#,
        ),
        "{}".to_owned(),
    ];
    let refusal = "Sigilum: nothing was decided: the settings of channel telegram (or env, or proxy) in openclaw.json changed \
                   since the deciders were recorded; if that was you: sigilum-authz-notify hook install --as plugin --deciders \
                   'telegram:1,irc:alice!~a@host'";
    for config in &cases {
        chat.env.write_config(config);
        assert!(chat.asks("list").starts_with("Sigilum: 1 request waits"), "{config}");
        assert_eq!(chat.asks("approve cl_00000001"), refusal, "{config}");
        chat.nothing_was_decided();
    }
    // Nobody knows whether it changed.
    let unread = "Sigilum: nothing was decided: openclaw.json cannot be read, nor how channel telegram is set in it; what is \
                  wrong with it: sigilum-authz-notify doctor";
    let no_include = CONFIG.replace(telegram, r#"{"$include": "./none.json"}"#);
    for config in [Some("{"), Some(&no_include), None] {
        match config {
            Some(text) => drop(chat.env.write_config(text)),
            None => {
                std::fs::remove_file(chat.env.config()).unwrap();
                rustix::fs::mkfifoat(rustix::fs::CWD, chat.env.config(), rustix::fs::Mode::RWXU).unwrap();
            }
        }
        assert!(chat.asks("list").starts_with("Sigilum: 1 request waits"), "{config:?}");
        assert_eq!(chat.asks("approve cl_00000001"), unread, "{config:?}");
        chat.nothing_was_decided();
    }
    std::fs::remove_file(chat.env.config()).unwrap();
    // Changed while OpenClaw confirms.
    chat.env.write_config(CONFIG);
    chat.types("approve cl_00000001", json!({}));
    assert_eq!(chat.hears()["confirm"], true);
    chat.env.write_config(&cases[0]);
    chat.confirms(json!(true));
    assert_eq!(chat.hears()["reply"]["text"], refusal);
    chat.nothing_was_decided();
    // A record of before.
    chat.env.write_config(CONFIG);
    record(&chat, json!({"decider_channels": {}}));
    let text = chat.asks("approve cl_00000001");
    assert!(
        text.contains("in openclaw.json were not recorded with the deciders"),
        "{text}"
    );
    chat.nothing_was_decided();
    record(&chat, json!({}));
    // The same, written otherwise; the included file counts as it is.
    chat.env
        .write_config(CONFIG.replace(telegram, r#"{"$include": "./part.json"}"#));
    let otherwise = r#"{"allow": [2], "policy": "open"}"#;
    chat.env.write(
        ".openclaw/part.json",
        format!(r#"{{"dm": {otherwise}, "botToken": "t0p"}}"#),
    );
    assert_eq!(chat.asks("approve cl_00000001"), refusal);
    chat.env.write(
        ".openclaw/part.json",
        format!(
            "// mine\n{{\"dm\": {},\n \"botToken\": \"t0p\"}}",
            otherwise.replace('2', "1")
        ),
    );
    chat.decides("approve cl_00000001");
    assert_eq!(chat.api.posts().len(), 1);
}

/// The request is read again and everything else is settled before it is confirmed: the POST comes right behind.
#[test]
fn confirmed_last() {
    let mut chat = Chat::new();
    chat.asks("list");
    let asked = chat.api.seen().len();
    chat.types(&format!("approve {ID}"), json!({}));
    assert_eq!(chat.hears()["confirm"], true);
    let lines = |chat: &Chat| {
        chat.api
            .seen()
            .into_iter()
            .skip(asked)
            .map(|seen| seen.line)
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(&chat), [format!("GET /v1/claims/{ID}")]);
    chat.confirms(json!(true));
    chat.hears();
    assert_eq!(lines(&chat)[1..], [format!("POST /v1/claims/{ID}/approve")]);
}

#[test]
fn an_approval_for_a_time() {
    let mut chat = Chat::new();
    chat.asks("list");
    let none = chat.asks("approve cl_00000001 1h");
    assert!(
        none.contains("no watcher that would take the approval back runs"),
        "{none}"
    );
    chat.nothing_was_decided();

    let mut chat = Chat::with(|home| {
        home.env.write(".openclaw/.sigilum/jwt-secret", "the-secret");
        home.serve_and_watch()
    });
    let is_watched = || chat.env.sigilum("watch-status.json").exists();
    while !is_watched() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    chat.asks("list");
    let answer = chat.decides("approve cl_00000001 30m");
    let text = answer["reply"]["text"].as_str().unwrap();
    assert!(text.contains(") until 20"), "{text}");
    let timed: Value = serde_json::from_slice(&std::fs::read(chat.env.sigilum("approvals.json")).unwrap()).unwrap();
    let left = timed["approvals"][0]["until"].as_i64().unwrap() - now();
    assert!((1_700..=1_800).contains(&left), "{timed}");
    let shown = chat.asks("show cl_00000001");
    assert!(shown.contains("\ntaken back: 20"), "{shown}");
    let unclear = chat.asks("approve cl_00000001 soon");
    let told = "Sigilum: nothing was decided, as that is no command; what you can type:\n/sigilum list";
    assert!(unclear.starts_with(told), "{unclear}");
    assert!(
        chat.asks("help")
            .starts_with("Sigilum, what you can type:\n/sigilum list")
    );
}

#[test]
fn what_the_api_answers_is_told() {
    let mut chat = Chat::new();
    chat.asks("list");
    chat.api.fault(Fault::Status(401, "TOKEN_EXPIRED"));
    let text = chat.asks("list");
    assert!(
        text.starts_with("Sigilum: could not read the requests of namespace alice: "),
        "{text}"
    );
    assert!(
        text.contains(". In a terminal: sigilum-authz-notify auth login --mode oss-local --namespace alice"),
        "{text}"
    );
    chat.api.fault(Fault::None);
    chat.api.agent_limit(0);
    let limit = chat.decides("approve cl_00000001");
    let text = limit["reply"]["text"].as_str().unwrap();
    assert!(text.contains("as many approved agents as the plan allows"), "{text}");
    std::fs::remove_file(chat.env.sigilum("owner-token-alice.jwt")).unwrap();
    let text = chat.asks("list");
    assert!(
        text.starts_with("Sigilum: could not use an owner token of namespace alice"),
        "{text}"
    );
    let token = chat.api.token("alice", 3600);
    assert!(!text.contains(&token));
}
