//! An OpenClaw event as the hook and the plugin hand it over, and who will read the answer.

use crate::hook::notice::Form;
use crate::hook_record::Groups;
use crate::text;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest event that is read: 1 MiB.
pub const MAX_BYTES: usize = 1 << 20;

/// What an event asks of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// `/new` or `/reset` in a chat: the notice.
    Notice,
    /// The OpenClaw gateway started: a log line.
    Startup,
    /// Nothing of ours.
    Nothing,
}

/// One event. Fields that are missing or of another type are as good as absent; others are ignored, since nothing that
/// the OpenClaw gateway knows may set anything: agents can edit its config.
#[derive(Debug, Clone)]
pub struct Event {
    kind: String,
    action: String,
    session_key: Option<String>,
    chat_type: Option<String>,
    sender_id: Option<String>,
    command_source: Option<String>,
    /// Asked by a person at a terminal, not by OpenClaw.
    pub by_hand: bool,
    /// Handed over by the plugin, which takes commands in the chat.
    pub by_plugin: bool,
}

/// Who reads an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audience {
    /// How much they may see.
    pub form: Form,
    /// It is a direct chat with a recorded sender, or with whoever is in one where none is recorded.
    pub is_owner: bool,
}

/// Who may read how much, as a person recorded it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readers {
    /// Who reads the whole notice in a direct chat, as sender ids; `None`: whoever is in one.
    pub senders: Option<Vec<String>>,
    /// How much is said elsewhere; `None`: [`Groups::Brief`].
    pub groups: Option<Groups>,
}

/// The JSON object in `bytes`. The error says where it is broken and quotes nothing: an old handler's events hold a token.
pub fn parse(bytes: &[u8]) -> Result<Value, String> {
    let text = text::readable_json(bytes);
    let value: Value = serde_json::from_slice(&text)
        .or_else(|error| known_fields(&text).ok_or(error))
        .map_err(|error| format!("it is not JSON, line {} column {}", error.line(), error.column()))?;
    match value.is_object() {
        true => Ok(value),
        false => Err("it is not a JSON object".to_owned()),
    }
}

/// What counts of an event in which something else is more than can be held: nested too deeply, a number without measure.
fn known_fields(text: &[u8]) -> Option<Value> {
    #[derive(Default, Deserialize, Serialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Fields {
        #[serde(deserialize_with = "crate::request::whole", skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        #[serde(deserialize_with = "crate::request::text", rename = "type")]
        kind: Option<String>,
        #[serde(deserialize_with = "crate::request::text")]
        action: Option<String>,
        #[serde(deserialize_with = "crate::request::text")]
        session_key: Option<String>,
        #[serde(deserialize_with = "crate::request::text")]
        chat_type: Option<String>,
        #[serde(deserialize_with = "crate::request::text")]
        sender_id: Option<String>,
        #[serde(deserialize_with = "crate::request::text")]
        command_source: Option<String>,
    }
    let is_object = text.trim_ascii_start().starts_with(b"{");
    let fields: Fields = serde_json::from_slice(text).ok().filter(|_| is_object)?;
    serde_json::to_value(fields).ok()
}

impl Event {
    /// The event of a question: the question itself, or what its field `event` holds.
    pub fn in_question(question: &Value) -> Self {
        match question.get("event") {
            Some(event) if event.is_object() => Self::from_value(event),
            _ => Self::from_value(question),
        }
    }

    /// The event in a JSON object.
    pub fn from_value(value: &Value) -> Self {
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        Self {
            kind: text("type").unwrap_or_default(),
            action: text("action").unwrap_or_default(),
            session_key: text("sessionKey"),
            chat_type: text("chatType"),
            sender_id: text("senderId"),
            command_source: text("commandSource"),
            by_hand: false,
            by_plugin: false,
        }
    }

    /// The event that a person names as `type:action`; `None` where it is none that anything is said to.
    pub fn by_hand(name: &str) -> Option<Self> {
        let (kind, action) = name.split_once(':')?;
        let mut event = Self::from_value(&Value::Null);
        (event.kind, event.action, event.by_hand) = (kind.to_owned(), action.to_owned(), true);
        (event.asks() != Asks::Nothing).then_some(event)
    }

    /// What it asks of us.
    pub fn asks(&self) -> Asks {
        match (self.kind.as_str(), self.action.as_str()) {
            ("command", "new" | "reset") => Asks::Notice,
            ("gateway", "startup") => Asks::Startup,
            _ => Asks::Nothing,
        }
    }

    /// Who reads the answer; `None`: nobody may see anything.
    ///
    /// Everything is told only where chat type and session key both say that the chat is direct (with
    /// `session.groupScope: "main"` a group has the key of a direct chat) and where the sender is a recorded one, if any
    /// are recorded. Elsewhere the recorded form for groups counts; `full` is for groups, it does not lift the list of
    /// senders.
    pub fn audience(&self, readers: &Readers) -> Option<Audience> {
        let is = |form, is_owner| Some(Audience { form, is_owner });
        if self.by_hand {
            return is(Form::Full, false);
        }
        let listed = readers
            .senders
            .as_ref()
            .is_none_or(|senders| self.is_from_one_of(senders));
        let direct =
            self.chat_type.as_deref() == Some("direct") && self.session_key.as_deref().is_some_and(says_direct);
        match (direct, readers.groups.unwrap_or(Groups::Brief)) {
            (true, _) if listed => is(Form::Full, true),
            (_, Groups::Off) => None,
            (false, Groups::Full) if listed => is(Form::Full, false),
            _ => is(Form::Brief, false),
        }
    }

    /// `telegram:123456789`: the sender, as deciders are recorded.
    pub fn sender(&self) -> Option<String> {
        Some(format!(
            "{}:{}",
            self.command_source.as_deref()?,
            self.sender_id.as_deref()?
        ))
    }

    fn is_from_one_of(&self, ids: &[String]) -> bool {
        let channel = self.command_source.as_deref().filter(|source| !source.is_empty());
        is_one_of(ids, self.sender_id.as_deref().unwrap_or_default(), channel)
    }
}

/// Whether a sender on a channel has one of these ids.
///
/// An id is compared whole. On IRC, where an id is `nick!user@host`, a bare nick will do, in either case of letters;
/// anyone may take a nick that its owner is not using, so a network without registered nicks wants the whole id.
/// `irc:alice` is `alice` on that channel alone, and nobody's who is called `irc:alice` on another one.
pub fn is_one_of(ids: &[String], sender: &str, channel: Option<&str>) -> bool {
    // Elsewhere an id may hold anything before a `!`.
    let nick = sender
        .split_once('!')
        .filter(|_| channel == Some("irc"))
        .map(|(nick, _)| nick);
    let is_sender = |id: &str| id == sender || nick.is_some_and(|nick| nick.eq_ignore_ascii_case(id));
    let known = ids.iter().filter(|id| !id.is_empty() && !sender.is_empty());
    known.into_iter().any(|id| match id.split_once(':') {
        Some((of, rest)) if channel == Some(of) => is_sender(rest) || id == sender,
        // An id of another channel, whatever somebody calls themselves on this one.
        Some((of, _)) if is_channel(of) => false,
        _ => is_sender(id),
    })
}

/// Whether OpenClaw has a channel of this name.
pub fn is_channel(name: &str) -> bool {
    CHANNELS.contains(&name)
}

/// OpenClaw's channels, up to 2026.9.6: what an id that names one begins with.
const CHANNELS: [&str; 32] = [
    "a2a",
    "buzz",
    "clickclack",
    "discord",
    "feishu",
    "googlechat",
    "imessage",
    "irc",
    "line",
    "matrix",
    "mattermost",
    "msteams",
    "nextcloud-talk",
    "nostr",
    "qqbot",
    "raft",
    "reef",
    "signal",
    "slack",
    "sms",
    "synology-chat",
    "telegram",
    "tlon",
    "twitch",
    "webchat",
    "wechat",
    "wecom",
    "whatsapp",
    "yuanbao",
    "zalo",
    "zaloclawbot",
    "zalouser",
];

/// Sender ids in a text: separated by commas or white space.
pub fn sender_ids(text: &str) -> Vec<String> {
    text.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|id| !id.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Whether a session key is one of a direct chat.
fn says_direct(key: &str) -> bool {
    matches!(kind_of(key), Some("direct" | "dm"))
}

/// Whether a session key is one of a group or a channel. A command of an app's own menu may have a key that says neither.
pub fn says_group(key: &str) -> bool {
    matches!(kind_of(key), Some("group" | "channel"))
}

/// The kind of chat that a session key says: `direct` of `agent:<agent>:<main key>`, else the word that stands for it, as
/// in `agent:<agent>[:<channel>[:<account>]]:direct:<peer>` (once `dm`).
fn kind_of(key: &str) -> Option<&str> {
    let parts: Vec<&str> = key.split(':').collect();
    let ["agent", _, rest @ ..] = &parts[..] else {
        return None;
    };
    if let [main] = rest {
        return (!main.is_empty()).then_some("direct");
    }
    let kinds = ["direct", "dm", "group", "channel", "thread", "topic"];
    rest.iter().take(3).copied().find(|part| kinds.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(fields: Value) -> Event {
        let mut event = json!({"type": "command", "action": "new"});
        for (name, value) in fields.as_object().unwrap() {
            event[name] = value.clone();
        }
        Event::from_value(&event)
    }

    #[test]
    fn which_session_keys_are_of_direct_chats() {
        let cases = [
            ("agent:main:main", true),
            ("agent:work:home", true),
            ("agent:main:direct:alice", true),
            ("agent:main:irc:direct:alice", true),
            ("agent:main:irc:dm:alice", true),
            ("agent:main:irc:default:direct:alice", true),
            ("agent:main:irc:direct:group:x", true),
            ("agent:main:irc:group:#ops", false),
            ("agent:main:irc:group:direct", false),
            ("agent:main:irc:default:group:direct:x", false),
            ("agent:main:discord:channel:1:thread:2", false),
            ("agent:main:main:thread:1", false),
            ("agent:main:telegram:group:-1:topic:direct", false),
            ("agent:main:subagent:1", false),
            ("agent:main:", false),
            ("agent:main", false),
            ("global", false),
            ("cron:direct", false),
            ("", false),
        ];
        for (key, direct) in cases {
            assert_eq!(says_direct(key), direct, "{key}");
        }
    }

    #[test]
    fn who_reads_what() {
        const MAIN: &str = "agent:main:main";
        const GROUP: &str = "agent:main:irc:group:#ops";
        let alice = "alice!~alice@host";
        // chat type, session key, sender, SENDERS, GROUPS, what they see
        let cases = [
            (Some("direct"), Some(MAIN), alice, None, None, Some(Form::Full)),
            (
                Some("direct"),
                Some(MAIN),
                alice,
                None,
                Some(Groups::Off),
                Some(Form::Full),
            ),
            (Some("direct"), Some(MAIN), alice, Some("alice"), None, Some(Form::Full)),
            (
                Some("direct"),
                Some(MAIN),
                alice,
                Some("bob, alice"),
                Some(Groups::Off),
                Some(Form::Full),
            ),
            (Some("direct"), Some(MAIN), alice, Some("bob"), None, Some(Form::Brief)),
            (
                Some("direct"),
                Some(MAIN),
                alice,
                Some("bob"),
                Some(Groups::Full),
                Some(Form::Brief),
            ),
            (Some("direct"), Some(MAIN), alice, Some("bob"), Some(Groups::Off), None),
            (Some("direct"), Some(MAIN), "", Some("alice"), None, Some(Form::Brief)),
            (Some("direct"), Some(MAIN), alice, Some(" , "), None, Some(Form::Brief)),
            (Some("group"), Some(MAIN), alice, None, None, Some(Form::Brief)),
            (Some("group"), Some(GROUP), alice, None, None, Some(Form::Brief)),
            (
                Some("group"),
                Some(GROUP),
                alice,
                None,
                Some(Groups::Brief),
                Some(Form::Brief),
            ),
            (
                Some("group"),
                Some(GROUP),
                alice,
                None,
                Some(Groups::Full),
                Some(Form::Full),
            ),
            (Some("group"), Some(GROUP), alice, None, Some(Groups::Off), None),
            (
                Some("group"),
                Some(GROUP),
                alice,
                Some("alice"),
                None,
                Some(Form::Brief),
            ),
            (
                Some("group"),
                Some(GROUP),
                alice,
                Some("bob"),
                Some(Groups::Full),
                Some(Form::Brief),
            ),
            (Some("direct"), Some(GROUP), alice, None, None, Some(Form::Brief)),
            (Some("direct"), None, alice, None, None, Some(Form::Brief)),
            (None, Some(MAIN), alice, None, None, Some(Form::Brief)),
            (None, None, "", None, None, Some(Form::Brief)),
        ];
        for case in cases {
            let (chat_type, key, sender, senders, groups, seen) = case;
            let fields = json!({"chatType": chat_type, "sessionKey": key, "senderId": sender, "commandSource": "irc"});
            let senders = senders.map(sender_ids);
            let audience = event(fields).audience(&Readers { senders, groups });
            assert_eq!(audience.map(|audience| audience.form), seen, "{case:?}");
            let is_owner = audience.is_some_and(|audience| audience.is_owner);
            assert_eq!(
                is_owner,
                seen == Some(Form::Full) && chat_type == Some("direct"),
                "{case:?}"
            );
        }
        let nobody = Readers {
            senders: Some(Vec::new()),
            groups: Some(Groups::Off),
        };
        let by_hand = Event::by_hand("command:new").unwrap().audience(&nobody).unwrap();
        assert_eq!((by_hand.form, by_hand.is_owner), (Form::Full, false));
    }

    #[test]
    fn who_the_sender_is() {
        let cases = [
            ("alice!~alice@host", "irc", "alice", true),
            ("alice!~alice@host", "irc", "ALICE", true),
            ("alice!~alice@host", "irc", "alice!~alice@host", true),
            ("alice!~alice@host", "irc", "alice!~alice@elsewhere", false),
            ("alice!~alice@host", "irc", "irc:alice", true),
            ("alice!~alice@host", "irc", "telegram:alice", false),
            ("alice!~alice@host", "irc", "ali", false),
            ("mallory!alice@alice", "irc", "alice", false),
            ("12345", "telegram", "12345", true),
            ("12345", "telegram", "bob\n12345", true),
            ("12345", "telegram", "telegram:12345", true),
            ("12345!~x@host", "irc", "telegram:12345", false),
            ("telegram:12345", "telegram", "telegram:12345", true),
            ("telegram:12345", "matrix", "telegram:12345", false),
            ("telegram:12345", "matrix", "matrix:telegram:12345", true),
            ("telegram:12345", "newchat", "telegram:12345", false),
            ("telegram:12345", "", "telegram:12345", false),
            ("irc:alice!~a@host", "irc", "irc:alice", false),
            ("uuid:1-2", "signal", "uuid:1-2", true),
            ("@boss!evil:matrix.example", "matrix", "@boss", false),
            ("@boss!evil:matrix.example", "matrix", "matrix:@boss", false),
            (
                "@boss!evil:matrix.example",
                "matrix",
                "matrix:@boss!evil:matrix.example",
                true,
            ),
            ("alice!~alice@host", "", "alice", false),
            ("alice!~alice@host", "IRC", "alice", false),
            ("12345", "telegram", "123456", false),
            ("Alice", "discord", "alice", false),
            ("alice", "", ":alice", false),
        ];
        for (sender, source, list, is) in cases {
            let event = event(json!({"senderId": sender, "commandSource": source}));
            assert_eq!(event.is_from_one_of(&sender_ids(list)), is, "{sender} in {list:?}");
        }
    }

    #[test]
    fn odd_events_are_read_as_far_as_they_go() {
        let odd = event(json!({"sessionKey": 7, "chatType": ["direct"], "senderId": null, "more": {"deep": [1]}}));
        assert_eq!(odd.asks(), Asks::Notice);
        assert_eq!(odd.audience(&Readers::default()).unwrap().form, Form::Brief);
        assert_eq!(Event::from_value(&json!([1, 2])).asks(), Asks::Nothing);
        assert_eq!(
            Event::from_value(&json!({"type": "gateway", "action": "startup"})).asks(),
            Asks::Startup
        );
        assert_eq!(
            Event::from_value(&json!({"type": "command", "action": "stop"})).asks(),
            Asks::Nothing
        );
        assert!(Event::by_hand("command").is_none());
    }
}
