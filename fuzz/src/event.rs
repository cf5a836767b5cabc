//! What OpenClaw's side hands to `hook run`.

use super::input::split;
use secrecy::ExposeSecret;
use serde_json::Value;
use sigilum_authz_notify::env::Env;
use sigilum_authz_notify::hook::event::{self, Asks, Event};
use sigilum_authz_notify::hook::notice::Form;
use sigilum_authz_notify::openclaw::entry::Entry;
use sigilum_authz_notify::text;

/// Text: the event. Program: `SIGILUM_NOTIFY_SENDERS` and `SIGILUM_NOTIFY_GROUPS` of the process environment.
pub fn check(input: &[u8]) {
    let (bytes, mut program) = split(input);
    by_hand(&String::from_utf8_lossy(bytes));
    let parsed = serde_json::from_slice::<Value>(bytes).ok().filter(Value::is_object);
    let value = match event::parse(bytes) {
        Ok(value) => value,
        Err(why) => {
            assert!(parsed.is_none());
            // It quotes nothing: an event holds a token.
            let place = why
                .strip_prefix("it is not JSON, line ")
                .map(|at| at.replacen(" column ", "", 1));
            let fine = place.is_some_and(|at| at.bytes().all(|b| b.is_ascii_digit()));
            return assert!(fine || why == "it is not a JSON object", "{why}");
        }
    };
    assert_eq!(Some(&value), parsed.as_ref());
    let event = Event::from_value(&value);

    let text = |name: &str| value[name].as_str();
    let asks = match (text("type"), text("action")) {
        (Some("command"), Some("new" | "reset")) => Asks::Notice,
        (Some("gateway"), Some("startup")) => Asks::Startup,
        _ => Asks::Nothing,
    };
    assert_eq!(event.asks(), asks);
    assert!(event.home.as_ref().is_none_or(|home| home.is_absolute()));
    if let Some(token) = &event.token {
        assert!(Some(token.expose_secret()) == text("token") && !text::is_unset(token.expose_secret()));
    }
    let env = value["env"].as_object();
    assert_eq!(event.entry_env.is_some(), env.is_some());
    if let Some(entry_env) = &event.entry_env {
        let texts = env.into_iter().flatten().filter(|(_, value)| value.is_string()).count();
        assert_eq!(entry_env.len(), texts);
        let entry = Entry {
            enabled: true,
            env: entry_env.clone(),
        };
        assert!(entry.token().is_none_or(|token| !text::is_unset(token.expose_secret())));
    }

    let (senders, groups) = (program.text(), program.text());
    let variables = [("SIGILUM_NOTIFY_SENDERS", &senders), ("SIGILUM_NOTIFY_GROUPS", &groups)];
    let given = |names: &[&str]| Env::from_pairs(variables.into_iter().filter(|(name, _)| names.contains(name)));
    for names in [
        &["SIGILUM_NOTIFY_SENDERS", "SIGILUM_NOTIFY_GROUPS"][..],
        &["SIGILUM_NOTIFY_GROUPS"],
        &[],
    ] {
        audience(&event, &value, &given(names));
    }
}

/// Nobody reads more than they may.
fn audience(event: &Event, value: &Value, env: &Env) {
    let set = |name: &str| {
        let of_entry = || {
            value["env"][name]
                .as_str()
                .map(str::trim)
                .filter(|text| !text::is_unset(text))
        };
        env.var(name).or_else(of_entry)
    };
    let (senders, groups) = (set("SIGILUM_NOTIFY_SENDERS"), set("SIGILUM_NOTIFY_GROUPS"));
    let groups = groups.map(str::to_ascii_lowercase);
    let sender = value["senderId"].as_str().unwrap_or_default();
    let mut listed = senders.is_none();
    for id in senders
        .into_iter()
        .flat_map(|list| list.split(|c: char| c == ',' || c.is_whitespace()))
    {
        // Some part of an entry of the list is the sender or its nick, in whatever case.
        let nick = sender.split('!').next().unwrap_or_default();
        let ends = |name: &str| !name.is_empty() && id.to_ascii_lowercase().ends_with(&name.to_ascii_lowercase());
        listed |= ends(sender) || ends(nick);
    }
    let key = value["sessionKey"].as_str().unwrap_or_default();
    let direct = value["chatType"] == "direct"
        && key.starts_with("agent:")
        && (key.split(':').count() == 3
            || key.contains(":direct:")
            || key.contains(":dm:")
            || key.ends_with(":direct")
            || key.ends_with(":dm"));
    match event.audience(env) {
        Some(Form::Full) => assert!(
            listed && (direct || groups.as_deref() == Some("full")),
            "too much is told"
        ),
        None => assert_eq!(groups.as_deref(), Some("off")),
        Some(Form::Brief) => {}
    }
}

fn by_hand(name: &str) {
    let event = Event::by_hand(name);
    assert_eq!(event.is_some(), name.contains(':'));
    if let Some(event) = event {
        assert!(event.by_hand && event.token.is_none() && event.entry_env.is_none());
        assert_eq!(
            event.asks() == Asks::Notice,
            ["command:new", "command:reset"].contains(&name)
        );
    }
}
