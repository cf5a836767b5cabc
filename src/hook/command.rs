//! `/sigilum …` typed in a chat: what it asks for, and whether its sender may read requests there, or decide them.
//!
//! What OpenClaw says of a sender counts for refusing alone, as agents can edit its config: who decides is recorded.

use crate::hook::event::{is_one_of, says_group};
use crate::request::Decision;
use crate::time;
use serde_json::Value;
use std::fmt;

/// Channels whose own service vouches for the id of a sender. On any other (IRC, SMS, e-mail, whatever comes next) a
/// stranger may have, or take, somebody's id, so that nothing is decided there.
pub const VOUCHED: [&str; 9] = [
    "discord",
    "googlechat",
    "matrix",
    "mattermost",
    "msteams",
    "signal",
    "slack",
    "telegram",
    "whatsapp",
];

/// OpenClaw's own web chat: whoever holds the OpenClaw gateway's token is an owner there.
const WEB_CHAT: &str = "webchat";

/// What was typed behind `/sigilum`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked<'a> {
    /// What waits.
    List,
    /// Everything about one.
    Show(&'a str),
    /// One decision.
    Decide(DecisionAsked<'a>),
    /// How it stands.
    Status,
    /// What can be typed.
    Help,
    /// Nothing of these.
    Unclear,
}

/// A decision that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionAsked<'a> {
    /// What.
    pub decision: Decision,
    /// About which request: its id, or the start of it.
    pub id: &'a str,
    /// An approval for so many seconds, where a time was given.
    pub seconds: Option<i64>,
    /// A code of a second factor, where one was given: six digits.
    pub code: Option<Code>,
}

/// A code that was typed. It shows itself to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

impl Code {
    /// Its six digits.
    pub fn digits(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code")
    }
}

impl<'a> Asked<'a> {
    /// What a text asks for.
    pub fn parse(text: &'a str) -> Self {
        let words: Vec<&str> = text.split_whitespace().collect();
        let verb = words.first().map(|word| word.to_lowercase()).unwrap_or_default();
        let behind = &words[words.len().min(1)..];
        // What looks like a code is no id, and so in no answer.
        if behind.first().is_some_and(|word| is_digits(word)) {
            return Self::Unclear;
        }
        let decision = match (verb.as_str(), behind) {
            ("" | "help", []) => return Self::Help,
            ("list", []) => return Self::List,
            ("status", []) => return Self::Status,
            ("show", [id]) => return Self::Show(id),
            ("approve", [_, ..]) => Decision::Approve,
            ("reject", [_, ..]) => Decision::Reject,
            ("revoke", [_, ..]) => Decision::Revoke,
            _ => return Self::Unclear,
        };
        DecisionAsked::parse(decision, behind).map_or(Self::Unclear, Self::Decide)
    }
}

impl<'a> DecisionAsked<'a> {
    /// `ID`, then a time and a code in either order. An app may show a code in two parts.
    fn parse(decision: Decision, words: &[&'a str]) -> Option<Self> {
        let (id, mut rest) = words.split_first()?;
        let (mut seconds, mut code) = (None, None);
        while let Some((word, more)) = rest.split_first() {
            rest = more;
            if !is_digits(word) {
                let is_first = decision == Decision::Approve && seconds.is_none();
                seconds = Some(time::parse_duration(word).filter(|_| is_first)?);
                continue;
            }
            let digits = match (word.len(), more.split_first()) {
                (3, Some((second, more))) if second.len() == 3 && is_digits(second) => {
                    rest = more;
                    format!("{word}{second}")
                }
                _ => (*word).to_owned(),
            };
            let is_first = code.is_none() && digits.len() == 6;
            code = is_first.then_some(Code(digits));
            code.as_ref()?;
        }
        Some(Self {
            decision,
            id,
            seconds,
            code,
        })
    }
}

fn is_digits(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

/// One command, as the plugin hands it over. Fields that are missing or of another type are as good as absent.
#[derive(Debug, Clone, Default)]
pub struct Command {
    /// What was typed behind `/sigilum`.
    pub text: String,
    channel: Option<String>,
    sender_id: Option<String>,
    from: Option<String>,
    chat_type: Option<String>,
    session_key: Option<String>,
    is_owner: bool,
    can_confirm: bool,
    is_gateway_client: bool,
}

/// Who may what, as a person recorded it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct People {
    /// Who decides: `telegram:123456789`.
    pub deciders: Vec<String>,
    /// Who reads; deciders do too.
    pub senders: Vec<String>,
}

/// What a sender may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum May {
    /// Read, and decide once OpenClaw has confirmed that they are an owner still.
    Decide,
    /// Read, and decide with a code of their second factor.
    DecideByCode,
    /// Read.
    Read(NotDeciding),
    /// Nothing: they are told no more than how it is set up.
    Nothing,
}

/// Why one who may read does not decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotDeciding {
    /// Not recorded for it.
    NotRecorded,
    /// Nobody vouches for ids on this channel.
    Channel,
    /// The web chat, or a client of the OpenClaw gateway.
    GatewayClient,
    /// OpenClaw does not call them an owner.
    NotOwner,
    /// The settings of the channel are not those that were recorded.
    Settings,
    /// OpenClaw is too old to confirm it.
    OldOpenClaw,
    /// A broker answers, which takes no decision over its socket.
    Broker,
}

impl Command {
    /// The command in a JSON object.
    pub fn from_value(value: &Value) -> Self {
        let text = |name: &str| {
            let text = value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
            text.map(str::to_owned)
        };
        let is = |name: &str| value.get(name) == Some(&Value::Bool(true));
        Self {
            text: text("text").unwrap_or_default(),
            channel: text("channel"),
            sender_id: text("senderId"),
            from: text("from"),
            chat_type: text("chatType"),
            session_key: text("sessionKey"),
            is_owner: is("senderIsOwner"),
            can_confirm: is("canAssertOwner"),
            // Whoever leaves it out may be one.
            is_gateway_client: value.get("gatewayClientScopes") != Some(&Value::Null),
        }
    }

    /// `telegram:123456789`: the sender, as deciders are recorded.
    pub fn sender(&self) -> Option<String> {
        Some(format!("{}:{}", self.channel.as_deref()?, self.sender_id.as_deref()?))
    }

    /// Whether nothing says that others read the answer too.
    pub fn is_direct(&self) -> bool {
        self.chat_type.as_deref() == Some("direct") && !self.session_key.as_deref().is_some_and(says_group)
    }

    /// What its sender may do where it was typed.
    pub fn may(&self, people: &People) -> May {
        let channel = self.channel.as_deref().filter(|channel| !channel.contains(':'));
        let Some(channel) = channel.filter(|_| self.is_direct()) else {
            return May::Nothing;
        };
        if self.is_gateway_client || channel == WEB_CHAT {
            let is_on = *people != People::default();
            return match is_on && self.is_owner {
                true => May::Read(NotDeciding::GatewayClient),
                false => May::Nothing,
            };
        }
        let (Some(id), Some(sender)) = (self.sender_id.as_deref(), self.sender()) else {
            return May::Nothing;
        };
        // The answer goes back to where it came from: to nobody but them. A room has an address of its own.
        let is_direct = [Some(id), Some(sender.as_str())].contains(&self.from.as_deref());
        let is_decider = people.deciders.contains(&sender);
        if !is_direct || !(is_decider || is_one_of(&people.senders, id, Some(channel))) {
            return May::Nothing;
        }
        match (is_decider, is_vouched(channel), self.is_owner, self.can_confirm) {
            (false, ..) => May::Read(NotDeciding::NotRecorded),
            (_, false, ..) => May::Read(NotDeciding::Channel),
            (_, _, false, _) => May::Read(NotDeciding::NotOwner),
            (_, _, _, false) => May::Read(NotDeciding::OldOpenClaw),
            (true, true, true, true) => May::Decide,
        }
    }
}

/// Whether a channel's own service vouches for the ids of its senders.
pub fn is_vouched(channel: &str) -> bool {
    VOUCHED.contains(&channel)
}

/// The channel of a recorded decider: `telegram` of `telegram:123456789`.
pub fn channel_of(decider: &str) -> &str {
    decider.split_once(':').map_or("", |(channel, _)| channel)
}

/// Whether an id names its channel: `telegram:123456789`, `matrix:@alice:example.org`, but not `@alice:example.org`.
pub fn is_on_a_channel(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let channel = channel_of(id);
    !channel.is_empty() && channel.bytes().all(plain) && id.len() > channel.len() + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_typed() {
        use Decision::{Approve, Reject, Revoke};
        let decide = |decision, id, seconds| {
            let code = None;
            Asked::Decide(DecisionAsked {
                decision,
                id,
                seconds,
                code,
            })
        };
        let cases = [
            ("", Asked::Help),
            (" help ", Asked::Help),
            ("LIST", Asked::List),
            ("list all", Asked::Unclear),
            ("status", Asked::Status),
            ("show cl_1", Asked::Show("cl_1")),
            ("show", Asked::Unclear),
            ("show cl_1 cl_2", Asked::Unclear),
            ("approve cl_1", decide(Approve, "cl_1", None)),
            ("Approve  cl_1\t1h", decide(Approve, "cl_1", Some(3600))),
            ("approve cl_1 3d", decide(Approve, "cl_1", Some(3 * 86_400))),
            ("approve cl_1 cl_2", Asked::Unclear),
            ("approve cl_1 0h", Asked::Unclear),
            ("approve cl_1 1h please", Asked::Unclear),
            ("approve", Asked::Unclear),
            ("approve --all", decide(Approve, "--all", None)),
            ("reject cl_1", decide(Reject, "cl_1", None)),
            ("reject cl_1 1h", Asked::Unclear),
            ("revoke cl_1", decide(Revoke, "cl_1", None)),
            ("delete cl_1", Asked::Unclear),
            ("\u{ff41}pprove cl_1", Asked::Unclear),
        ];
        for (text, asked) in cases {
            assert_eq!(Asked::parse(text), asked, "{text:?}");
        }
    }

    #[test]
    fn codes() {
        // Digits of the code, and the time; `None`: what can be typed is told, and none of it repeated.
        for (text, asked) in [
            ("approve cl_1 123456", Some(("123456", None))),
            ("approve cl_1 012 345", Some(("012345", None))),
            ("approve cl_1 1h 123456", Some(("123456", Some(3600)))),
            ("approve cl_1 123 456 1h", Some(("123456", Some(3600)))),
            ("reject cl_1 123456", Some(("123456", None))),
            ("revoke cl_1 123456", Some(("123456", None))),
            ("reject cl_1 1h 123456", None),
            ("approve cl_1 12345", None),
            ("approve cl_1 1234567", None),
            ("approve cl_1 123", None),
            ("approve cl_1 123 4567", None),
            ("approve cl_1 123456 123456", None),
            ("approve cl_1 1h 1h 123456", None),
            ("approve 123456", None),
            ("approve 123456 cl_1", None),
            ("show 123456", None),
            ("123456", None),
            ("approve cl_1 １２３４５６", None),
        ] {
            let parsed = Asked::parse(text);
            let shown = format!("{parsed:?}");
            assert!(!shown.contains("123456") && !shown.contains("012345"), "{shown}");
            let found = match &parsed {
                Asked::Decide(asking) => asking.code.as_ref().map(|code| (code.digits(), asking.seconds)),
                Asked::Unclear => None,
                other => panic!("{text}: {other:?}"),
            };
            assert_eq!(found, asked, "{text}");
        }
    }

    fn people() -> People {
        People {
            deciders: VOUCHED
                .iter()
                .chain(&["irc", "sms", "webchat"])
                .map(|channel| format!("{channel}:me"))
                .collect(),
            senders: vec!["telegram:reader".to_owned(), "telegram:reader:x".to_owned()],
        }
    }

    /// A command by a recorded decider on a channel, with some fields otherwise.
    fn command(channel: &str, fields: Value) -> Command {
        let mut value = json!({"text": "list", "channel": channel, "senderId": "me", "from": format!("{channel}:me"),
            "chatType": "direct", "senderIsOwner": true, "canAssertOwner": true, "gatewayClientScopes": null});
        for (name, field) in fields.as_object().unwrap() {
            value[name] = field.clone();
        }
        Command::from_value(&value)
    }

    #[test]
    fn every_channel() {
        for channel in VOUCHED {
            assert_eq!(command(channel, json!({})).may(&people()), May::Decide, "{channel}");
        }
        for channel in ["irc", "sms"] {
            let may = command(channel, json!({})).may(&people());
            assert_eq!(may, May::Read(NotDeciding::Channel), "{channel}");
        }
        let may = command("webchat", json!({})).may(&people());
        assert_eq!(may, May::Read(NotDeciding::GatewayClient));
    }

    /// All conditions hold but one.
    #[test]
    fn one_condition_is_missing() {
        use NotDeciding::{GatewayClient, NotOwner, NotRecorded, OldOpenClaw};
        let cases = [
            (json!({}), May::Decide),
            (json!({"from": "me"}), May::Decide),
            // who
            (json!({"senderId": "you", "from": "telegram:you"}), May::Nothing),
            (json!({"senderId": "ME", "from": "telegram:ME"}), May::Nothing),
            (
                json!({"senderId": "telegram:me", "from": "telegram:telegram:me"}),
                May::Nothing,
            ),
            (json!({"channel": "discord:me", "from": "discord:me:me"}), May::Nothing),
            (
                json!({"channel": "matrix", "senderId": "telegram:reader", "from": "matrix:telegram:reader"}),
                May::Nothing,
            ),
            (
                json!({"channel": "telegram:reader", "senderId": "x", "from": "x"}),
                May::Nothing,
            ),
            (
                json!({"senderId": "reader", "from": "telegram:reader"}),
                May::Read(NotRecorded),
            ),
            (json!({"senderId": null}), May::Nothing),
            (json!({"senderId": "", "from": ""}), May::Nothing),
            (json!({"senderId": ["me"]}), May::Nothing),
            (json!({"channel": null}), May::Nothing),
            // an owner for OpenClaw
            (json!({"senderIsOwner": false}), May::Read(NotOwner)),
            (json!({"senderIsOwner": null}), May::Read(NotOwner)),
            (json!({"senderIsOwner": "true"}), May::Read(NotOwner)),
            (json!({"senderIsOwner": 1}), May::Read(NotOwner)),
            (json!({"canAssertOwner": false}), May::Read(OldOpenClaw)),
            (json!({"canAssertOwner": null}), May::Read(OldOpenClaw)),
            // no client of the OpenClaw gateway
            (json!({"gatewayClientScopes": []}), May::Read(GatewayClient)),
            (
                json!({"gatewayClientScopes": ["operator.admin"]}),
                May::Read(GatewayClient),
            ),
            (
                json!({"gatewayClientScopes": "none", "senderIsOwner": false}),
                May::Nothing,
            ),
            (
                json!({"channel": "webchat", "senderId": null, "from": null}),
                May::Read(GatewayClient),
            ),
            (
                json!({"channel": "webchat", "senderId": null, "senderIsOwner": false}),
                May::Nothing,
            ),
            // a direct chat, by address and by session
            (json!({"chatType": "group"}), May::Nothing),
            (json!({"chatType": "channel"}), May::Nothing),
            (json!({"chatType": null}), May::Nothing),
            (json!({"chatType": "Direct"}), May::Nothing),
            (json!({"from": "telegram:group:-1"}), May::Nothing),
            (json!({"from": "channel:#ops"}), May::Nothing),
            (json!({"from": "telegram:channel:me"}), May::Nothing),
            (json!({"from": "telegram:you"}), May::Nothing),
            (json!({"from": "discord:me"}), May::Nothing),
            (json!({"from": null}), May::Nothing),
            (
                json!({"chatType": "group", "gatewayClientScopes": ["operator.admin"]}),
                May::Nothing,
            ),
        ];
        for (fields, may) in cases {
            assert_eq!(command("telegram", fields.clone()).may(&people()), may, "{fields}");
        }
        // Nobody is recorded: off, whoever asks.
        for fields in [json!({}), json!({"gatewayClientScopes": ["operator.admin"]})] {
            assert_eq!(
                command("telegram", fields.clone()).may(&People::default()),
                May::Nothing,
                "{fields}"
            );
        }
        // A plugin that says nothing of clients.
        let silent = json!({"channel": "telegram", "senderId": "me", "from": "telegram:me", "chatType": "direct",
            "senderIsOwner": true, "canAssertOwner": true});
        assert_eq!(
            Command::from_value(&silent).may(&people()),
            May::Read(NotDeciding::GatewayClient)
        );
        assert_eq!(Command::from_value(&json!([])).may(&people()), May::Nothing);
    }

    #[test]
    fn ids_with_a_channel() {
        let cases = [
            ("telegram:1", true),
            ("matrix:@alice:example.org", true),
            ("irc:alice!~a@host", true),
            ("nextcloud-talk:alice", true),
            ("@alice:example.org", false),
            ("12345", false),
            ("telegram:", false),
            (":1", false),
            ("", false),
            ("Telegram:1", false),
        ];
        for (id, is) in cases {
            assert_eq!(is_on_a_channel(id), is, "{id}");
        }
    }
}
