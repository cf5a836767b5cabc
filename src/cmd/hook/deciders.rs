//! Who is recorded to decide in the chat, and why one of them could not. `openclaw.json` is read to be told of it alone.

use crate::cmd::doctor::facts::Facts;
use crate::hook::command::{channel_of, is_vouched};
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
pub fn deciders(facts: &Facts) -> Vec<Decider> {
    let recorded = facts.chosen.as_ref().ok().and_then(|record| record.deciders.clone());
    let recorded = recorded.unwrap_or_default().into_iter();
    recorded
        .map(|id| Decider {
            only_reads: only_reads(&id, facts),
            id,
        })
        .collect()
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
    let all: Vec<&str> = owners.into_iter().chain([id]).collect();
    let list = json!(all).to_string();
    Some(format!(
        "not an owner for OpenClaw, run: openclaw config set commands.ownerAllowFrom {}",
        shell_words::quote(&list)
    ))
}
