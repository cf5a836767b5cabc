//! An OpenClaw event as the hook and the plugin hand it over, and who will read the answer.

use crate::env::Env;
use crate::hook::notice::Form;
use crate::text;
use secrecy::SecretString;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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

/// One event. Fields that are missing or of another type are as good as absent; unknown ones are ignored.
#[derive(Clone)]
pub struct Event {
    kind: String,
    action: String,
    session_key: Option<String>,
    chat_type: Option<String>,
    sender_id: Option<String>,
    command_source: Option<String>,
    /// OpenClaw's state folder, where the sender knows it.
    pub home: Option<PathBuf>,
    /// The env of the hook's entry in openclaw.json, `None` where the event does not bring it.
    pub entry_env: Option<BTreeMap<String, String>>,
    /// `SIGILUM_OWNER_TOKEN` of the gateway's environment, which the sender keeps out of ours.
    pub token: Option<SecretString>,
    /// Asked by a person at a terminal, not by OpenClaw.
    pub by_hand: bool,
}

/// The JSON object in `bytes`; the error says where it is broken and quotes nothing, since an event holds a token.
pub fn parse(bytes: &[u8]) -> Result<Value, String> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| format!("it is not JSON, line {} column {}", error.line(), error.column()))?;
    match value.is_object() {
        true => Ok(value),
        false => Err("it is not a JSON object".to_owned()),
    }
}

impl Event {
    /// The event in a JSON object.
    pub fn from_value(value: &Value) -> Self {
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let entry_env = value.get("env").and_then(Value::as_object).map(|env| {
            env.iter()
                .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect()
        });
        Self {
            kind: text("type").unwrap_or_default(),
            action: text("action").unwrap_or_default(),
            session_key: text("sessionKey"),
            chat_type: text("chatType"),
            sender_id: text("senderId"),
            command_source: text("commandSource"),
            home: text("home").map(PathBuf::from).filter(|home| home.is_absolute()),
            entry_env,
            token: text("token")
                .filter(|token| !text::is_unset(token))
                .map(SecretString::from),
            by_hand: false,
        }
    }

    /// The event that a person names as `type:action`; `None` where the text is not of that form.
    pub fn by_hand(name: &str) -> Option<Self> {
        let (kind, action) = name.split_once(':')?;
        let mut event = Self::from_value(&Value::Null);
        (event.kind, event.action, event.by_hand) = (kind.to_owned(), action.to_owned(), true);
        Some(event)
    }

    /// The same event with the entry's env that stands in openclaw.json.
    pub fn with_entry(&self, env: Option<BTreeMap<String, String>>) -> Self {
        let mut event = self.clone();
        event.entry_env = env;
        event
    }

    /// What it asks of us.
    pub fn asks(&self) -> Asks {
        match (self.kind.as_str(), self.action.as_str()) {
            ("command", "new" | "reset") => Asks::Notice,
            ("gateway", "startup") => Asks::Startup,
            _ => Asks::Nothing,
        }
    }

    /// A setting of the hook: of the process environment, else of the entry's env. The environment wins, since agents
    /// can edit the config.
    pub fn setting<'a>(&'a self, env: &'a Env, name: &str) -> Option<&'a str> {
        let of_entry = || self.entry_env.as_ref()?.get(name).map(|value| value.trim());
        env.var(name)
            .or_else(|| of_entry().filter(|value| !text::is_unset(value)))
    }

    /// How much those who read the answer may see; `None`: nothing.
    ///
    /// Everything only where chat type and session key both say that the chat is direct (with `session.groupScope:
    /// "main"` a group has the key of a direct chat) and where the sender is one of `SIGILUM_NOTIFY_SENDERS`, if that
    /// is set. Elsewhere `SIGILUM_NOTIFY_GROUPS` decides: `brief`, `full` or `off`; `full` is for groups, it does not
    /// lift the list of senders.
    pub fn audience(&self, env: &Env) -> Option<Form> {
        if self.by_hand {
            return Some(Form::Full);
        }
        let listed = self
            .setting(env, "SIGILUM_NOTIFY_SENDERS")
            .is_none_or(|senders| self.is_from_one_of(senders));
        let direct =
            self.chat_type.as_deref() == Some("direct") && self.session_key.as_deref().is_some_and(says_direct);
        let elsewhere = self.setting(env, "SIGILUM_NOTIFY_GROUPS").map(str::to_ascii_lowercase);
        match (direct, elsewhere.as_deref()) {
            (true, _) if listed => Some(Form::Full),
            (_, Some("off")) => None,
            (false, Some("full")) if listed => Some(Form::Full),
            _ => Some(Form::Brief),
        }
    }

    /// Whether the sender is in a list of ids, separated by commas or white space.
    ///
    /// An id is compared whole. On IRC, where an id is `nick!user@host`, a bare nick will do, in either case of
    /// letters; anyone may take a nick that its owner is not using, so a network without registered nicks wants the
    /// whole id. `irc:alice` is `alice` on that channel alone.
    fn is_from_one_of(&self, senders: &str) -> bool {
        let Some(sender) = self.sender_id.as_deref().filter(|sender| !sender.is_empty()) else {
            return false;
        };
        let nick = sender.split_once('!').map(|(nick, _)| nick);
        let is_sender = |id: &str| id == sender || nick.is_some_and(|nick| nick.eq_ignore_ascii_case(id));
        senders
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|id| !id.is_empty())
            .any(|id| {
                let on_channel = |source: &str| id.strip_prefix(source)?.strip_prefix(':');
                let channel = self.command_source.as_deref().filter(|source| !source.is_empty());
                is_sender(id) || channel.and_then(on_channel).is_some_and(is_sender)
            })
    }

    /// The OpenClaw home: the one given on the command line, else the sender's.
    pub fn home<'a>(&'a self, given: Option<&'a Path>) -> Option<&'a Path> {
        given.or(self.home.as_deref())
    }
}

/// Whether a session key is one of a direct chat: `agent:<agent>:<main key>`, or one with `direct` (once `dm`) where
/// the kind of chat stands: `agent:<agent>[:<channel>[:<account>]]:direct:<peer>`.
fn says_direct(key: &str) -> bool {
    let parts: Vec<&str> = key.split(':').collect();
    let ["agent", _, rest @ ..] = &parts[..] else {
        return false;
    };
    if let [main] = rest {
        return !main.is_empty();
    }
    let kind = rest
        .iter()
        .take(3)
        .find(|part| matches!(**part, "direct" | "dm" | "group" | "channel" | "thread" | "topic"));
    matches!(kind, Some(&("direct" | "dm")))
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
            (Some("direct"), Some(MAIN), alice, None, Some("off"), Some(Form::Full)),
            (Some("direct"), Some(MAIN), alice, Some("alice"), None, Some(Form::Full)),
            (
                Some("direct"),
                Some(MAIN),
                alice,
                Some("bob, alice"),
                Some("off"),
                Some(Form::Full),
            ),
            (Some("direct"), Some(MAIN), alice, Some("bob"), None, Some(Form::Brief)),
            (
                Some("direct"),
                Some(MAIN),
                alice,
                Some("bob"),
                Some("full"),
                Some(Form::Brief),
            ),
            (Some("direct"), Some(MAIN), alice, Some("bob"), Some("off"), None),
            (Some("direct"), Some(MAIN), "", Some("alice"), None, Some(Form::Brief)),
            (Some("direct"), Some(MAIN), alice, Some(" , "), None, Some(Form::Brief)),
            (Some("group"), Some(MAIN), alice, None, None, Some(Form::Brief)),
            (Some("group"), Some(GROUP), alice, None, None, Some(Form::Brief)),
            (
                Some("group"),
                Some(GROUP),
                alice,
                None,
                Some("brief"),
                Some(Form::Brief),
            ),
            (
                Some("group"),
                Some(GROUP),
                alice,
                None,
                Some("nonsense"),
                Some(Form::Brief),
            ),
            (Some("group"), Some(GROUP), alice, None, Some("full"), Some(Form::Full)),
            (Some("group"), Some(GROUP), alice, None, Some("Off"), None),
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
                Some("full"),
                Some(Form::Brief),
            ),
            (Some("direct"), Some(GROUP), alice, None, None, Some(Form::Brief)),
            (Some("direct"), None, alice, None, None, Some(Form::Brief)),
            (None, Some(MAIN), alice, None, None, Some(Form::Brief)),
            (None, None, "", None, None, Some(Form::Brief)),
        ];
        for case in cases {
            let (chat_type, key, sender, senders, groups, seen) = case;
            let fields = json!({"chatType": chat_type, "sessionKey": key, "senderId": sender, "env": {
                "SIGILUM_NOTIFY_SENDERS": senders, "SIGILUM_NOTIFY_GROUPS": groups}});
            assert_eq!(event(fields).audience(&Env::default()), seen, "{case:?}");
        }
        assert_eq!(
            Event::by_hand("command:new").unwrap().audience(&Env::default()),
            Some(Form::Full)
        );
    }

    #[test]
    fn the_environment_beats_the_config() {
        let fields = json!({"chatType": "group", "sessionKey": "agent:main:main",
            "env": {"SIGILUM_NOTIFY_GROUPS": "full", "SIGILUM_DASHBOARD_URL": "${UNSET}"}});
        let event = event(fields);
        let env = Env::from_pairs([("SIGILUM_NOTIFY_GROUPS", "off")]);
        assert_eq!(event.audience(&Env::default()), Some(Form::Full));
        assert_eq!(event.audience(&env), None);
        assert_eq!(event.setting(&env, "SIGILUM_DASHBOARD_URL"), None);
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
            ("12345", "telegram", "123456", false),
            ("Alice", "discord", "alice", false),
            ("alice", "", ":alice", false),
        ];
        for (sender, source, list, is) in cases {
            let event = event(json!({"senderId": sender, "commandSource": source}));
            assert_eq!(event.is_from_one_of(list), is, "{sender} in {list:?}");
        }
    }

    #[test]
    fn odd_events_are_read_as_far_as_they_go() {
        let odd = event(
            json!({"sessionKey": 7, "chatType": ["direct"], "senderId": null, "home": "relative", "token": "",
            "env": {"A": "b", "C": 3, "D": {"source": "env"}}, "more": {"deep": [1]}}),
        );
        assert_eq!(odd.asks(), Asks::Notice);
        assert_eq!(odd.entry_env.as_ref().unwrap().len(), 1);
        assert!(odd.home.is_none() && odd.token.is_none());
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
