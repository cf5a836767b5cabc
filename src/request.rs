//! A request of an agent for authorization: what Sigilum tells of it, and what its owner can decide.

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How many requests we ask for at a time, and the most that we keep of one answer.
pub const PAGE: usize = 200;
/// The most requests that we ask for.
pub const MOST: usize = 1_000;

/// How long a request may wait, from when it was first asked for, in seconds: the Sigilum API then lets it run out.
pub const LIFE: i64 = 86_400;

/// What a request can be, in the API's words.
pub const STATUSES: [&str; 5] = ["pending", "approved", "rejected", "revoked", "expired"];

/// What the owner can do about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// A pending one: the agent may use the service.
    Approve,
    /// A pending one: it may not. There is no undo, but the agent may ask again.
    Reject,
    /// An approved one: it may not any more.
    Revoke,
}

impl Decision {
    /// `approve`, as commands and the API's URLs spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Revoke => "revoke",
        }
    }

    /// The status that a request must have for it.
    pub fn from(self) -> &'static str {
        match self {
            Self::Approve | Self::Reject => "pending",
            Self::Revoke => "approved",
        }
    }

    /// The status that a request has after it.
    pub fn to(self) -> &'static str {
        match self {
            Self::Approve => "approved",
            Self::Reject => "rejected",
            Self::Revoke => "revoked",
        }
    }
}

/// One request, as far as its owner is told of it. Every field is text that a stranger chose: show it only through
/// [`crate::hook::notice`]. A field that is missing, null or no string is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuthorizationRequest {
    /// What Sigilum calls it: `cl_` and 24 hexadecimal digits.
    #[serde(deserialize_with = "text")]
    pub claim_id: Option<String>,
    /// The namespace whose owner is asked.
    #[serde(deserialize_with = "text")]
    pub namespace: Option<String>,
    /// One of [`STATUSES`].
    #[serde(deserialize_with = "text")]
    pub status: Option<String>,
    /// The slug of the service that is asked for.
    #[serde(deserialize_with = "text")]
    pub service: Option<String>,
    /// The agent's public key.
    #[serde(deserialize_with = "text")]
    pub public_key: Option<String>,
    /// The address that the request came from.
    #[serde(deserialize_with = "text")]
    pub agent_ip: Option<String>,
    /// On whose behalf the agent says it acts.
    #[serde(deserialize_with = "text")]
    pub subject: Option<String>,
    /// The agent's id.
    #[serde(deserialize_with = "text")]
    pub agent_id: Option<String>,
    /// The agent's name.
    #[serde(deserialize_with = "text")]
    pub agent_name: Option<String>,
    /// When it was made: ISO 8601 in UTC, `2026-11-22T06:20:37.017Z`.
    #[serde(deserialize_with = "text")]
    pub created_at: Option<String>,
    /// When it was approved, in the same form.
    #[serde(deserialize_with = "text")]
    pub approved_at: Option<String>,
    /// When its approval was revoked.
    #[serde(deserialize_with = "text")]
    pub revoked_at: Option<String>,
}

impl AuthorizationRequest {
    /// Its id, if it is one: at most 64 ASCII letters, digits, `_` and `-`, and no flag on a command line.
    pub fn id(&self) -> Option<&str> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let is_id = |id: &&str| (1..=64).contains(&id.len()) && id.bytes().all(plain) && !id.starts_with('-');
        self.claim_id.as_deref().filter(is_id)
    }

    /// When it was made, in Unix seconds. A request that is made again keeps the time of the first.
    pub fn created(&self) -> Option<i64> {
        seconds(self.created_at.as_deref()?)
    }

    /// When it runs out, unless it is answered, in Unix seconds; [`LIFE`].
    pub fn runs_out(&self) -> Option<i64> {
        Some(self.created()?.saturating_add(LIFE))
    }

    /// What its owner goes by, each with its name for people.
    pub fn fields(&self) -> [(&'static str, Option<&str>); 9] {
        [
            ("id", self.claim_id.as_deref()),
            ("status", self.status.as_deref()),
            ("namespace", self.namespace.as_deref()),
            ("service", self.service.as_deref()),
            ("subject", self.subject.as_deref()),
            ("agent name", self.agent_name.as_deref()),
            ("agent id", self.agent_id.as_deref()),
            ("key", self.public_key.as_deref()),
            ("ip", self.agent_ip.as_deref()),
        ]
    }

    /// The agent's name, else its id.
    pub fn agent(&self) -> Option<&str> {
        let name = self.agent_name.as_deref().filter(|name| !name.trim().is_empty());
        name.or(self.agent_id.as_deref())
    }

    /// Whether it has this status.
    pub fn is(&self, status: &str) -> bool {
        self.status.as_deref() == Some(status)
    }
}

/// Unix seconds of an ISO 8601 time, as the API writes it.
pub fn seconds(text: &str) -> Option<i64> {
    let text = Some(text).filter(|text| text.len() <= 40)?;
    Some(text.parse::<jiff::Timestamp>().ok()?.as_second())
}

/// Which requests of a namespace are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Which<'a> {
    /// One of [`STATUSES`].
    pub status: &'a str,
    /// Of this service alone: its slug.
    pub service: Option<&'a str>,
    /// At most so many.
    pub most: usize,
}

impl Which<'_> {
    /// What waits for approval: at most [`MOST`].
    pub const PENDING: Self = Which {
        status: "pending",
        service: None,
        most: MOST,
    };
}

/// The requests of one namespace that were asked for, as a rule those that wait for approval.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pending {
    /// As many as were asked for, newest first.
    pub requests: Vec<AuthorizationRequest>,
    /// How many there are in all; `None` where that is not known.
    pub total: Option<u64>,
    /// How many of them are too long to be read, each by itself.
    pub too_long: u64,
}

impl Pending {
    /// How many wait at least, and whether that is known to be all.
    pub fn count(&self) -> (u64, bool) {
        (self.total.unwrap_or(0).max(self.known()), self.total.is_some())
    }

    /// How many are known to be there, read or not.
    pub fn known(&self) -> u64 {
        self.requests.len() as u64 + self.too_long
    }

    /// Whether what could be read was read.
    pub fn is_all_but_too_long(&self) -> bool {
        self.count() == (self.known(), true)
    }

    /// Whether no request is missing.
    pub fn is_all(&self) -> bool {
        self.count() == (self.requests.len() as u64, true)
    }
}

/// A text; `None` for any other JSON value.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match deserializer.deserialize_any(ScalarVisitor)? {
        Scalar::Text(text) => Some(text),
        _ => None,
    })
}

/// A whole number that is not negative; `None` for any other JSON value.
pub(crate) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(match deserializer.deserialize_any(ScalarVisitor)? {
        Scalar::Whole(number) => Some(number),
        _ => None,
    })
}

/// Any JSON value, of which only text and whole numbers are kept.
enum Scalar {
    Text(String),
    Whole(u64),
    Other,
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Whole(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}
