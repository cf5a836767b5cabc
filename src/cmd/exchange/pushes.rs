//! Messages to the owner that nobody asked for: a line out for each, and a line in that says what became of it.
//!
//! ```text
//! {"push":{"key":"sigilum-…","channel":"matrix","to":"@alice:localhost","text":"…","presentation":{…}}}
//! {"pushed":"sigilum-…","status":"sent"}
//! {"pushed":"sigilum-…","status":"failed","code":"…"}
//! ```

use crate::request::AuthorizationRequest;
use crate::watch::push::{Push, Report};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Those on their way, by their keys.
#[derive(Default)]
pub struct Pushes(BTreeMap<String, Report>);

/// What a line says.
pub enum Heard {
    /// What became of one of these.
    Ours,
    /// What became of another one: the line again.
    Others(Value),
    /// Nothing of messages.
    Nothing,
}

#[derive(Serialize, Deserialize)]
struct Pushed {
    pushed: String,
    status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

impl Pushes {
    /// The line that hands a message to the plugin.
    pub fn line(&mut self, push: Push) -> Value {
        let (push, report) = push.into_parts();
        self.0.insert(report.key().to_owned(), report);
        json!({"push": push})
    }

    /// Takes a line that says what became of a message. `shown` hears whom it showed what.
    pub fn heard(&mut self, line: &[u8], shown: impl FnOnce(&str, &[AuthorizationRequest])) -> Heard {
        let Ok(pushed) = serde_json::from_slice::<Pushed>(line) else {
            return Heard::Nothing;
        };
        match self.0.remove(&pushed.pushed) {
            Some(report) => {
                report.delivered(&pushed.status, pushed.code.as_deref(), shown);
                Heard::Ours
            }
            None => Heard::Others(json!(pushed)),
        }
    }
}
