//! What goes over the socket: JSON lines, as `serve --stdio` takes and gives them, and a few more.
//!
//! ```text
//! ◄ {"sigilum-authz-notify":"broker","version":1,"account":"sigilum-authz-notify","namespaces":["alice"],"namespace":"alice"}
//! ► {"id":1,"type":"command","action":"new",…,"asking":{"senders":["irc:alice"],"groups":"brief"}}
//! ◄ {"id":1,"messages":["…"],"logs":["…"]}
//! ► {"id":2,"list":{"status":"pending"}}
//! ◄ {"id":2,"text":"…","notes":[]}
//! ► {"id":3,"show":{"id":"cl_…"}}
//! ◄ {"id":3,"failed":{"code":1,"text":"…","next":"…"}}
//! ► {"id":4,"status":{}}
//! ◄ {"id":4,"status":{"namespace":"alice",…}}
//! ► {"id":5,"relay":{"notify":"matrix:@alice:localhost"}}
//! ◄ {"push":{…}}
//! ```
//!
//! Members that are not known are ignored. A version that is not [`VERSION`] is not talked to.

use crate::hook_record::{ChatTarget, Groups, HookRecord};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of all this.
pub const VERSION: u32 = 1;
/// The longest line that the broker reads, bytes.
pub const MAX_QUESTION: usize = 64 * 1024;
/// The longest line that a client reads, bytes: 10,000 requests take about 5 MB.
pub const MAX_ANSWER: usize = 32 << 20;

const BROKER: &str = "broker";

/// The first line of a connection, from the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    #[serde(rename = "sigilum-authz-notify")]
    what: String,
    /// Of the protocol.
    pub version: u32,
    /// The account that the broker runs as.
    #[serde(default)]
    pub account: String,
    /// Whose tokens it has.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// For whom it speaks where a question names none.
    #[serde(default)]
    pub namespace: Option<String>,
}

impl Hello {
    /// Of this version.
    pub fn new(account: String, namespaces: Vec<String>, namespace: Option<String>) -> Self {
        Self {
            what: BROKER.to_owned(),
            version: VERSION,
            account,
            namespaces,
            namespace,
        }
    }

    /// The hello in a line; `None` where it is another one, or names what is no namespace.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let hello: Self = serde_json::from_slice(line).ok()?;
        let is_name = |name: &String| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let named = hello.namespaces.iter().chain(&hello.namespace).all(is_name);
        (hello.what == BROKER && named).then_some(hello)
    }
}

/// What the record of whoever asks says of who reads what, and for whom it asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Asking {
    /// The namespace, where it is not the broker's own choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// As [`HookRecord::senders`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub senders: Option<Vec<String>>,
    /// As [`HookRecord::groups`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Groups>,
    /// As [`HookRecord::deciders`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deciders: Option<Vec<String>>,
    /// As [`HookRecord::dashboard`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dashboard: Option<String>,
    /// A person reads it at a terminal: no request counts as shown to its owner by it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub by_hand: bool,
}

impl Asking {
    /// What a home's record says.
    pub fn of(record: &HookRecord) -> Self {
        Self {
            namespace: record.broker.as_ref().and_then(|broker| broker.namespace.clone()),
            senders: record.senders.clone(),
            groups: record.groups,
            deciders: record.deciders.clone(),
            dashboard: record.dashboard.clone(),
            by_hand: false,
        }
    }

    /// What a question says, with all that it does not know ignored.
    ///
    /// # Errors
    /// Something known that is of another type.
    pub fn in_question(question: &Value) -> Result<Self, String> {
        match question.get("asking") {
            None | Some(Value::Null) => Ok(Self::default()),
            Some(asking) => {
                serde_json::from_value(asking.clone()).map_err(|_| "its `asking` is not readable".to_owned())
            }
        }
    }
}

/// Asks for requests: `authz list`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct List {
    /// Of this status, or `all`.
    pub status: String,
    /// For this service.
    pub service: Option<String>,
    /// As JSON.
    pub json: bool,
}

/// Asks for one request: `authz show`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Show {
    /// Its id, or its first characters.
    pub id: String,
    /// As JSON.
    #[serde(default)]
    pub json: bool,
}

/// Has messages that nobody asked for handed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Relay {
    /// Whom to tell; `None`: nobody.
    pub notify: Option<ChatTarget>,
    /// How often the API is asked, seconds.
    pub poll_requests: Option<u64>,
}

/// What a command would print.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Printed {
    /// Its result.
    pub text: String,
    /// What it says beside.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// What it says where it fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The exit code.
    pub code: u8,
    /// What failed, and why.
    pub text: String,
    /// What to do about it.
    #[serde(default)]
    pub next: Option<String>,
}

/// How the broker stands: `auth status`. Times are RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The namespace that was asked for.
    pub namespace: String,
    /// `managed` or `oss-local`.
    pub mode: String,
    /// The API's origin.
    pub api: String,
    /// Whether there is a token that may be sent there.
    pub token: bool,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// When it is next renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewed_at: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_hello_names_namespaces_and_nothing_else() {
        let hello = |namespace: &str| {
            let line = json!({"sigilum-authz-notify": "broker", "version": 2, "namespaces": ["alice", namespace]});
            Hello::parse(line.to_string().as_bytes()).map(|hello| hello.version)
        };
        assert_eq!(
            (hello("Bob-2"), hello("\u{1b}[2J"), hello("bob\nx")),
            (Some(2), None, None)
        );
    }
}
