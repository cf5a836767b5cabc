//! Who is recorded to decide in the chat, and why one of them could not. `openclaw.json` is read to be told of it alone.

use crate::cmd::doctor::facts::Facts;
use crate::home::OpenClawHome;
use crate::hook::command::{channel_of, is_vouched};
use crate::hook_record::HookRecord;
use crate::openclaw::channel;
use serde::Serialize;
use serde_json::{Value, json};

/// The newest OpenClaw that cannot confirm an owner right before a decision.
const TOO_OLD: &str = "2026.8.9999";

/// One who is recorded.
#[derive(Serialize)]
pub struct Decider {
    /// `telegram:123456789`.
    id: String,
    /// Why they can only read, as far as that is known, and what to do about it.
    only_reads: Option<String>,
}

impl Decider {
    /// `telegram:123456789`, and whether they can.
    pub fn text(&self) -> String {
        match &self.only_reads {
            None => self.id.clone(),
            Some(why) => format!("{} (reads only: {why})", self.id),
        }
    }
}

/// All who are recorded.
pub fn rows(facts: &Facts) -> Vec<Decider> {
    let recorded = facts.chosen.as_ref().ok().and_then(|record| record.deciders.clone());
    let recorded = recorded.unwrap_or_default().into_iter();
    recorded
        .map(|id| Decider {
            only_reads: only_reads(&id, facts),
            id,
        })
        .collect()
}

/// Why nothing is decided on a channel: its settings in openclaw.json are not those that the deciders were recorded with,
/// so that another server may speak there, or cannot be read. `flags` lead to the home.
pub fn unvouched(record: &HookRecord, place: &OpenClawHome, channel: &str, flags: &str) -> Option<String> {
    let recorded = record.decider_channels.get(channel);
    let Ok(now) = channel::fingerprint(place, channel) else {
        return Some(format!(
            "openclaw.json cannot be read, nor how channel {channel} is set in it; what is wrong with it: \
             sigilum-authz-notify doctor{flags}"
        ));
    };
    if recorded.is_some() && recorded == now.as_ref() {
        return None;
    }
    let list = record.deciders.as_deref().unwrap_or_default().join(",");
    let list = shell_words::quote(&list);
    let install = format!("sigilum-authz-notify hook install --as plugin --deciders {list}{flags}");
    Some(match recorded {
        Some(_) => format!(
            "the settings of channel {channel} (or env, or proxy) in openclaw.json changed since the deciders were \
             recorded; if that was you: {install}"
        ),
        None => format!(
            "the settings of channel {channel} in openclaw.json were not recorded with the deciders; once they are right: \
             {install}"
        ),
    })
}

fn only_reads(id: &str, facts: &Facts) -> Option<String> {
    let channel = channel_of(id);
    if !is_vouched(channel) {
        return Some(format!(
            "nobody vouches for an id on {channel}, so nothing is decided there"
        ));
    }
    if !facts.plugin_runs() {
        let install = facts.command("hook install --as plugin");
        return Some(format!("only the plugin answers in the chat, run: {install}"));
    }
    if facts.openclaw.is_up_to(TOO_OLD) {
        let version = facts.openclaw.version.as_deref().unwrap_or_default();
        return Some(format!(
            "OpenClaw {version} cannot confirm an owner, which takes 2026.9 or later"
        ));
    }
    let flags = facts.place.flags(facts.env);
    let record = facts.chosen.as_ref().ok();
    if let Some(why) = record.and_then(|record| unvouched(record, facts.place, channel, &flags)) {
        return Some(why);
    }
    let owners = facts.config_value()?.pointer("/commands/ownerAllowFrom");
    let owners: Vec<&str> = owners
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if owners.contains(&id) || owners.contains(&&id[channel.len() + 1..]) {
        return None;
    }
    // All who are missing: one command for each would take the others out again.
    let recorded = record
        .and_then(|record| record.deciders.as_deref())
        .unwrap_or_default()
        .iter()
        .map(String::as_str);
    let is_owner = |id: &&str| owners.contains(id) || owners.contains(&&id[channel_of(id).len() + 1..]);
    let missing: Vec<&str> = recorded
        .filter(|id| is_vouched(channel_of(id)) && !is_owner(id))
        .collect();
    let all: Vec<&str> = owners.iter().copied().chain(missing).collect();
    let list = json!(all).to_string();
    Some(facts.called.complete(&format!(
        "not an owner for OpenClaw, run: openclaw config set commands.ownerAllowFrom {}",
        shell_words::quote(&list)
    )))
}
