//! What OpenClaw's side hands to `hook run`.

use super::input::split;
use serde_json::Value;
use sigilum_authz_notify::hook::event::{self, Asks, Audience, Event, Readers, sender_ids};
use sigilum_authz_notify::hook::notice::Form;
use sigilum_authz_notify::hook_record::Groups;

/// Text: the event. Program: the recorded senders and groups.
pub fn check(input: &[u8]) {
    let (bytes, mut program) = split(input);
    by_hand(&String::from_utf8_lossy(bytes));
    let parsed = serde_json::from_slice::<Value>(bytes).ok().filter(Value::is_object);
    let value = match event::parse(bytes) {
        Ok(value) => value,
        Err(why) => {
            assert!(parsed.is_none());
            // It quotes nothing: an old handler's events hold a token.
            let place = why
                .strip_prefix("it is not JSON, line ")
                .map(|at| at.replacen(" column ", "", 1));
            let fine = place.is_some_and(|at| at.bytes().all(|b| b.is_ascii_digit()));
            return assert!(fine || why == "it is not a JSON object", "{why}");
        }
    };
    match parsed {
        Some(parsed) => assert_eq!(value, parsed),
        // Half a character, which JavaScript's JSON may hold.
        None => assert!(bytes.to_ascii_lowercase().windows(3).any(|part| part == b"\\ud")),
    }
    let event = Event::from_value(&value);

    let text = |name: &str| value[name].as_str();
    let asks = match (text("type"), text("action")) {
        (Some("command"), Some("new" | "reset")) => Asks::Notice,
        (Some("gateway"), Some("startup")) => Asks::Startup,
        _ => Asks::Nothing,
    };
    assert_eq!(event.asks(), asks);

    let (senders, groups) = (program.text(), program.number());
    let groups = [None, Some(Groups::Brief), Some(Groups::Full), Some(Groups::Off)][(groups % 4) as usize];
    for senders in [None, Some(sender_ids(&senders)), Some(Vec::new())] {
        audience(&event, &value, &Readers { senders, groups });
    }
}

/// Nobody reads more than they may.
fn audience(event: &Event, value: &Value, readers: &Readers) {
    let sender = value["senderId"].as_str().unwrap_or_default();
    let mut listed = readers.senders.is_none();
    for id in readers.senders.iter().flatten() {
        // Some part of an entry of the list is the sender or, on IRC, its nick, in whatever case.
        let nick = sender.split('!').next().filter(|_| value["commandSource"] == "irc");
        let ends = |name: &str| !name.is_empty() && id.to_ascii_lowercase().ends_with(&name.to_ascii_lowercase());
        listed |= ends(sender) || nick.is_some_and(ends);
    }
    let key = value["sessionKey"].as_str().unwrap_or_default();
    let direct = value["chatType"] == "direct"
        && key.starts_with("agent:")
        && (key.split(':').count() == 3
            || key.contains(":direct:")
            || key.contains(":dm:")
            || key.ends_with(":direct")
            || key.ends_with(":dm"));
    match event.audience(readers) {
        Some(Audience {
            form: Form::Full,
            is_owner,
        }) => {
            assert!(
                listed && (direct || readers.groups == Some(Groups::Full)),
                "too much is told"
            );
            assert!(!is_owner || direct && value["chatType"] == "direct");
        }
        None => assert_eq!(readers.groups, Some(Groups::Off)),
        Some(Audience {
            form: Form::Brief,
            is_owner,
        }) => assert!(!is_owner),
    }
}

fn by_hand(name: &str) {
    let event = Event::by_hand(name);
    let known = ["command:new", "command:reset", "gateway:startup"];
    assert_eq!(event.is_some(), known.contains(&name));
    if let Some(event) = event {
        assert!(event.by_hand);
        assert_eq!(
            event.asks() == Asks::Notice,
            ["command:new", "command:reset"].contains(&name)
        );
    }
}
