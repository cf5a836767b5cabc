//! A channel's settings in openclaw.json, told from others by a fingerprint: no value of theirs is kept.

use super::config;
use super::include::holds_include;
use crate::error::Result;
use crate::home::OpenClawHome;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Besides the channel's own: what fills in its `${…}` and its variables, and whom all connections go through.
const BESIDE: [&str; 2] = ["env", "proxy"];

/// The SHA-256, in hexadecimal digits, of what the config says of a channel, includes resolved and keys sorted, with its
/// [`BESIDE`]; `None` where there is nothing, or an include stays in it.
///
/// # Errors
/// [`ExitCode::Config`](crate::error::ExitCode::Config) for a config that cannot be read, or that OpenClaw refuses.
pub fn fingerprint(place: &OpenClawHome, channel: &str) -> Result<Option<String>> {
    let Some(config) = config::read(place)? else {
        return Ok(None);
    };
    config.check()?;
    Ok(of_value(&config.value, channel))
}

fn of_value(config: &Value, channel: &str) -> Option<String> {
    let settings = config.get("channels")?.get(channel)?;
    let beside = BESIDE.map(|name| config.get(name).cloned().unwrap_or_default());
    let all = Value::Array([vec![settings.clone()], beside.to_vec()].concat());
    let bytes = serde_json::to_vec(&sorted(&all))
        .ok()
        .filter(|_| !holds_include(&all))?;
    Some(hex::encode(Sha256::digest(bytes)))
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<&String, Value> = members.iter().map(|(key, value)| (key, sorted(value))).collect();
            let members = members.into_iter().map(|(key, value)| (key.clone(), value));
            Value::Object(members.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}
