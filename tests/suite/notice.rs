//! From an API answer to the notice that an operator reads: the pairs in `fixtures/api`.

use sigilum_authz_notify::hook::command::{May, NotDeciding};
use sigilum_authz_notify::hook::notice::{self, About, Form, Review};
use sigilum_authz_notify::hook::reply;
use sigilum_authz_notify::hook::seen::Seen;
use sigilum_authz_notify::mode::Mode;
use sigilum_authz_notify::request::{AuthorizationRequest, Decision, PAGE, Pending};
use sigilum_authz_notify::sigilum::requests;
use std::collections::BTreeMap;
use std::path::Path;

/// 2026-11-22T07:00:00Z
const NOW: i64 = 1_795_330_800;

/// The notice to whoever reads of all these for the first time.
fn notice(pending: &Pending, form: Form) -> Option<String> {
    let about = About {
        namespace: "alice",
        review: &Review::new(Mode::Managed, None),
        program: "sigilum-authz-notify",
        flags: "",
        now: NOW,
    };
    let listed = Seen::default().list("alice", pending, NOW * 1000);
    notice::pending(pending.count(), &listed, &about, form).map(|notice| notice.text)
}

fn notices(body: &[u8]) -> String {
    let pending = match requests::decode(body, PAGE) {
        Ok(pending) => pending,
        Err(error) => return format!("(no notice: {error})\n"),
    };
    let text = |form| notice(&pending, form);
    match (text(Form::Full), text(Form::Brief)) {
        (Some(full), Some(brief)) => format!("{full}\n---\n{brief}\n"),
        (None, None) => "(no notice: nothing waits)\n".to_owned(),
        other => panic!("one form without the other: {other:?}"),
    }
}

#[test]
fn every_answer_becomes_its_notice() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/api");
    let mut compared = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let made = notices(&std::fs::read(&path).unwrap());
        let expected = path.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&expected, &made).unwrap();
        }
        let expected =
            std::fs::read_to_string(&expected).unwrap_or_else(|error| panic!("{}: {error}", expected.display()));
        assert_eq!(made, expected, "{}", path.display());
        compared += 1;
    }
    assert_eq!(compared, 8);
}

/// What a chat makes more of than text: a name for it, how it is found, and texts that it is found in.
struct Rule {
    name: &'static str,
    finds: fn(&[char], usize) -> bool,
    examples: &'static [&'static str],
}

const URL: Rule = Rule {
    name: "a URL",
    finds: |text, at| text[at] == ':' && is_letter(before(text, at)) && text[at..].starts_with(&[':', '/', '/']),
    examples: &[
        "https://sigilum.id.evil.example/approve",
        "HTTP://x",
        "tg://resolve",
        "xhttps://e",
    ],
};
/// With whatever is a top-level domain, since their list grows.
const DOMAIN: Rule = Rule {
    name: "a domain",
    finds: |text, at| text[at] == '.' && is_host(before(text, at)) && is_host(after(text, at)),
    examples: &[
        "evil.example",
        "t.me/joinchat/x",
        "wa.me/1",
        "www.x",
        "пример.рф",
        "a_b.c-d",
        "x.museum/y",
        "l·l.cat",
    ],
};
const ADDRESS: Rule = Rule {
    name: "an address",
    finds: |text, at| {
        let text: String = text[at..].iter().collect();
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        text[..end].parse::<std::net::Ipv4Addr>().is_ok()
    },
    examples: &["10.0.0.7", "203.0.113.5/approve", "127.0.0.1:80"],
};
const EMAIL: Rule = Rule {
    name: "an e-mail address",
    finds: |text, at| {
        let host: String = text[at + 1..]
            .iter()
            .take_while(|c| is_host(Some(**c)) || **c == '.')
            .collect();
        text[at] == '@'
            && is_host(before(text, at))
            && (host.contains('.') || host.to_lowercase().starts_with("localhost"))
    },
    examples: &["a@evil.example", "a@localhost", "ü@b.c"],
};
const SCHEME: Rule = Rule {
    name: "a scheme without slashes",
    finds: |text, at| {
        text[at] == ':' && is_letter(before(text, at)) && after(text, at).is_some_and(|c| c != ' ' && c != '"')
    },
    examples: &["mailto:x", "tel:5", "matrix:r/x", "javascript:x", "magnet:?xt"],
};
/// The library that Element finds links with takes it for a host.
const LOCALHOST: Rule = Rule {
    name: "this machine",
    finds: |text, at| starts_with(&text[at..], "localhost"),
    examples: &["localhost", "x-LOCALHOST:3000/y"],
};
const COMMAND: Rule = Rule {
    name: "a bot's command",
    finds: |text, at| {
        let opens = before(text, at).is_none_or(|c| !is_word(Some(c)) && !"/<>".contains(c));
        text[at] == '/' && opens && after(text, at).is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
    },
    examples: &["/approve", "a /x", "-/x", "+/x", "x\"/y", "../x"],
};
const MENTION: Rule = Rule {
    name: "a mention",
    finds: |text, at| text[at] == '@' && !is_word(before(text, at)) && is_word(after(text, at)),
    examples: &["@alice", "x-@bob", "a @b", "a@@b", "@15551234567"],
};
const EVERYBODY: Rule = Rule {
    name: "a mention of everybody, wherever it stands",
    finds: |text, at| starts_with(&text[at..], "@everyone") || starts_with(&text[at..], "@here"),
    examples: &["x@everyone", "x@HEREford", "@here"],
};
const ROOM: Rule = Rule {
    name: "a mention of the room, as a word",
    finds: |text, at| {
        ["@room", "@channel", "@all"]
            .iter()
            .any(|word| starts_with(&text[at..], word) && !is_ascii_word(text.get(at + word.len())))
    },
    examples: &["x@room", "x@room-y", "é@roomé", "x@all.", "x@Channel y"],
};
const TAG: Rule = Rule {
    name: "a hashtag, a channel, a cashtag",
    finds: |text, at| "#&$".contains(text[at]) && is_word(after(text, at)),
    examples: &["#ops", "a#b", "$USD", "&local"],
};
const MARKUP: Rule = Rule {
    name: "what stands in brackets",
    finds: |text, at| "<[`*~|".contains(text[at]),
    examples: &[
        "<@U012>", "<!here>", "<#C1>", "</x:1>", "<t:1>", "[x](y)", "**b**", "~~s~~", "||s||",
    ],
};
const INVITE: Rule = Rule {
    name: "an invitation",
    finds: |text, at| starts_with(&text[at..], "discord.gg/") || starts_with(&text[at..], "discord.com/invite/"),
    examples: &["discord.gg/abc", "xdiscord.com/invite/abc"],
};
const MATRIX_ID: Rule = Rule {
    name: "an id of a user, a room, an alias",
    finds: |text, at| {
        let rest: String = text[at + 1..].iter().take_while(|c| **c != ' ' && **c != '"').collect();
        let (name, server) = rest.split_once(':').unwrap_or_default();
        "@#!+".contains(text[at]) && !name.is_empty() && !server.is_empty()
    },
    examples: &["@alice:matrix.example", "x@1:2", "#room:x", "!id:x"],
};

/// With its country; punctuation may stand in it.
const TELEPHONE: Rule = Rule {
    name: "a telephone number",
    finds: |text, at| {
        let rest = text[at + 1..].iter();
        let number = rest.take_while(|c| c.is_ascii_digit() || "-./ ()".contains(**c));
        text[at] == '+' && number.filter(|c| c.is_ascii_digit()).count() >= 5
    },
    examples: &["+49 123 4567890", "x+4912345", "+..49-12/345"],
};

/// Sources: Telegram's `td` (MessageEntity.cpp and its tests), Slack's and Discord's pages on formatting of messages,
/// Android's `Linkify` for WhatsApp, linkifyjs and the push rules of the specification for Matrix, HexChat and The Lounge
/// for IRC, libphonenumber. Telephone numbers without a `+`, which some link too, are left alone: nobody is deceived by what
/// they show.
const CHATS: [(&str, &[Rule]); 6] = [
    (
        "Telegram",
        &[URL, DOMAIN, ADDRESS, EMAIL, SCHEME, COMMAND, MENTION, TAG],
    ),
    ("Slack", &[URL, DOMAIN, EMAIL, SCHEME, EVERYBODY, ROOM, MARKUP]),
    ("Discord", &[URL, INVITE, EVERYBODY, MARKUP]),
    ("WhatsApp", &[URL, DOMAIN, ADDRESS, EMAIL, MENTION, MARKUP, TELEPHONE]),
    (
        "Matrix",
        &[URL, DOMAIN, EMAIL, SCHEME, LOCALHOST, MATRIX_ID, ROOM, MARKUP],
    ),
    ("IRC", &[URL, DOMAIN, ADDRESS, EMAIL, SCHEME, COMMAND, TAG]),
];

fn before(text: &[char], at: usize) -> Option<char> {
    at.checked_sub(1).map(|at| text[at])
}

fn after(text: &[char], at: usize) -> Option<char> {
    text.get(at + 1).copied()
}

fn is_word(c: Option<char>) -> bool {
    c.is_some_and(|c| c.is_alphanumeric() || c == '_')
}

fn is_ascii_word(c: Option<&char>) -> bool {
    c.is_some_and(|c| c.is_ascii_alphanumeric() || *c == '_')
}

fn is_letter(c: Option<char>) -> bool {
    c.is_some_and(|c| c.is_ascii_alphanumeric() || "+-".contains(c))
}

fn is_host(c: Option<char>) -> bool {
    is_word(c) || c == Some('-')
}

fn starts_with(text: &[char], word: &str) -> bool {
    let start: String = text.iter().take(word.len()).collect();
    start.eq_ignore_ascii_case(word)
}

/// Where a chat would make something of a text, and what.
fn found(rule: &Rule, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    (0..text.len()).any(|at| (rule.finds)(&text, at))
}

#[test]
fn no_text_of_a_stranger_becomes_a_link_a_command_or_a_mention_in_any_chat() {
    // Each rule once, with a chat that has it.
    let rules = CHATS
        .iter()
        .flat_map(|(chat, rules)| rules.iter().map(move |rule| (rule.name, (chat, rule))));
    let rules: BTreeMap<_, _> = rules.collect();
    for (chat, rule) in rules.values() {
        for example in rule.examples {
            assert!(found(rule, example), "{chat}: {} in {example}", rule.name);
        }
    }
    let examples: Vec<&str> = rules.values().flat_map(|(_, rule)| rule.examples).copied().collect();
    // Each by itself, in the middle of others, cut, and as what a key's two ends are made of.
    let mut texts: Vec<String> = examples.iter().map(|text| (*text).to_owned()).collect();
    for (first, second) in examples.iter().zip(examples.iter().rev()) {
        texts.push(format!("{first}{second}"));
        texts.push(format!("{first} {second}"));
        texts.push(format!("{}{second}", "x".repeat(30)));
        texts.push(format!("x:{first}{}{second}", "A+/".repeat(9)));
        texts.push(format!("{first}+AAAAAAAAAA{second}"));
    }
    let field = |text: &str| Some(text.to_owned());
    for text in &texts {
        let request = AuthorizationRequest {
            claim_id: field(text),
            service: field(text),
            public_key: field(text),
            agent_ip: field(text),
            subject: field(text),
            agent_id: field(text),
            created_at: field(text),
            ..AuthorizationRequest::default()
        };
        let pending = Pending {
            requests: vec![request],
            total: Some(1),
            ..Pending::default()
        };
        let notice = notice(&pending, Form::Full).unwrap();
        assert_eq!(notice.lines().count(), 4, "{notice}");
        let mut lines = vec![notice.lines().nth(1).unwrap().to_owned()];
        lines.extend(replies(&pending));
        for ((chat, rule), line) in rules
            .values()
            .flat_map(|rule| lines.iter().map(move |line| (rule, line)))
        {
            assert!(!found(rule, line), "{chat}: {} of {text:?} in {line}", rule.name);
        }
    }
}

/// What the chat is answered about the one request of these, without our own words before it and behind it.
fn replies(pending: &Pending) -> Vec<String> {
    let request = AuthorizationRequest {
        // The API makes it.
        claim_id: Some("cl_1".to_owned()),
        status: pending.requests[0].service.clone(),
        ..pending.requests[0].clone()
    };
    let pending = Pending {
        requests: vec![request.clone()],
        ..pending.clone()
    };
    let listed = Seen::default().list("alice", &pending, NOW * 1000);
    let may = May::Read(NotDeciding::NotRecorded);
    let (list, _) = reply::list("alice", pending.count(), &listed, (NOW, may), &str::to_owned, "");
    let shown = reply::show(&request, "", &[], may);
    let decided = reply::decided(Decision::Reject, &request, (None, may), None);
    let own = |text: String| text.replace("Sigilum: ", "").replace("Sigilum request", "");
    let list = list.text.lines().nth(1).unwrap().to_owned();
    let shown = own(shown.text);
    let whole = shown.lines().map(str::to_owned);
    // A colon and a line's end are our own.
    let whole = whole.map(|line| line.trim_end_matches(':').to_owned());
    whole.chain([list, own(decided.text)]).collect()
}
