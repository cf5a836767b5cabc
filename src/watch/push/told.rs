//! What the owner has been told unasked, and what is still to be told: `.sigilum/told.json`, 0600. Its times are Unix
//! milliseconds.

use crate::request::AuthorizationRequest;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The largest file that is read.
pub const MAX_BYTES: u64 = 8 << 20;
/// Bounds: of requests, of rejected keys, of news that wait, of what became of requests.
const MOST_REQUESTS: usize = 5_000;
const MOST_KEYS: usize = 1_000;
const MOST_NEWS: usize = 1_000;
const MOST_OUTCOMES: usize = 50;
/// Texts of strangers are kept so far, in characters.
const TEXT_MAX: usize = 120;

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    /// The namespace and its API: `alice at https://api.sigilum.id`. What was told of another one does not count.
    pub whose: String,
    /// When the list was last read to its end, but for what is too long to be read.
    pub last: Option<i64>,
    /// The requests that were pending when it was last read, by id, and those that are gone since.
    pub requests: BTreeMap<String, Known>,
    /// Messages that were handed over, and of which it is not known whether OpenClaw took them.
    pub outgoing: Vec<Outgoing>,
    /// When messages went out, the last hour's.
    pub sent: Vec<i64>,
    /// Keys that the owner rejected, and when a later request of theirs was last told.
    pub rejected: BTreeMap<String, Option<i64>>,
    /// What is to be told besides requests.
    pub news: Vec<News>,
    /// The last decision of our own log that was looked at: its intent. Empty: the log had none.
    pub log: Option<String>,
    /// Decisions up to that one that are under way, or were left open by a run that was killed: their intents.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub open: BTreeSet<String>,
    /// What answered `/new` when last seen: `plugin` or `hook`. `None`: nothing, which has been told.
    pub answering: Option<String>,
    /// The token whose end was told of, and how many of the reminders.
    pub token: Option<(String, usize)>,
    /// It was told that the API cannot be asked.
    pub outage: bool,
    /// It was told that so many requests are too long to be read.
    pub too_long: u64,
    /// What became of requests that were not decided here, the last ones.
    pub outcomes: Vec<Became>,
}

/// A request that was pending.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Known {
    /// The owner was told of it.
    pub told: bool,
    /// It is an older request that was made again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
    /// It was not in the last list: whether it is pending still, and what became of it, is to be asked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
    /// Its service.
    pub service: Option<String>,
    /// Its key.
    pub key: Option<String>,
}

impl Known {
    /// Of a request.
    pub fn of(request: &AuthorizationRequest, again: bool) -> Self {
        Self {
            again,
            service: request.service.as_deref().map(kept),
            key: request.public_key.as_deref().map(kept),
            ..Self::default()
        }
    }
}

/// Something to be told besides a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// A request was approved, not in the owner's chat.
    Approved {
        /// Its id.
        claim_id: String,
        /// Its namespace.
        namespace: String,
        /// Its service.
        service: Option<String>,
        /// Its key.
        key: Option<String>,
        /// The account, where it was approved on this machine.
        by: Option<String>,
    },
    /// An approval that ends was not taken back in time, but now.
    Overdue {
        /// The request's id.
        claim_id: String,
        /// Its namespace.
        namespace: String,
        /// Its service.
        service: Option<String>,
        /// Its key.
        key: Option<String>,
        /// When it was to end, Unix seconds; `None`: our log does not hold that any more.
        until: Option<i64>,
    },
    /// What answered `/new` does not any more: `plugin` or `hook`.
    Off(String),
    /// The token, which nobody renews, ends then (Unix seconds).
    TokenEnds(i64),
    /// The API cannot be asked: why.
    Outage(String),
    /// It can be again.
    Back,
    /// So many requests are too long to be read.
    TooLong(u64),
}

impl News {
    /// Whether it is about a decision: what may have to be taken back waits for nothing.
    pub(super) fn is_decision(&self) -> bool {
        matches!(self, Self::Approved { .. } | Self::Overdue { .. })
    }
}

/// A message that was handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// Tells it from others; the same when it is handed over again.
    pub key: String,
    /// The message.
    pub text: String,
    /// Commands of the chat, each with its label.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<(String, String)>,
    /// The requests that it tells of.
    pub claims: Vec<String>,
    /// Those that it describes to who decides by it, as they were; in the memory of this process alone.
    #[serde(skip)]
    pub described: Vec<AuthorizationRequest>,
    /// What else it tells.
    pub news: Vec<News>,
    /// When it was counted among those of [`Told::sent`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<i64>,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Became {
    /// When that was seen.
    pub at: i64,
    /// `approved`, `rejected`, `revoked`, `expired`.
    pub status: String,
    /// Its service.
    pub service: Option<String>,
    /// Its key.
    pub key: Option<String>,
}

impl Told {
    /// What a file holds. One that is broken holds nothing.
    pub fn parse(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// One that is about this owner: of another one nothing is kept.
    #[must_use]
    pub fn about(self, whose: &str) -> Self {
        match self.whose == whose {
            true => self,
            false => Self {
                whose: whose.to_owned(),
                answering: self.answering,
                ..Self::default()
            },
        }
    }

    /// Whether a key was told of so short a time ago, after a reject, that it is not told again.
    pub(super) fn is_muted(&self, key: Option<&str>, now: i64) -> bool {
        const AGAIN_AFTER_MS: i64 = 6 * 3_600_000;
        let last = key.and_then(|key| self.rejected.get(key).copied().flatten());
        last.is_some_and(|last| (last..last.saturating_add(AGAIN_AFTER_MS)).contains(&now))
    }

    /// Keeps what is to be told, once.
    pub(super) fn add(&mut self, news: News) {
        if !self.news.contains(&news) {
            self.news.push(news);
            let excess = self.news.len().saturating_sub(MOST_NEWS);
            self.news.drain(..excess);
        }
    }

    /// Keeps what became of a request.
    pub(super) fn add_outcome(&mut self, outcome: Became) {
        self.outcomes.push(outcome);
        let excess = self.outcomes.len().saturating_sub(MOST_OUTCOMES);
        self.outcomes.drain(..excess);
    }

    /// Forgets what is beyond all bounds: of requests those that the last list lacked.
    pub(super) fn bound(&mut self) {
        let excess = self.requests.len().saturating_sub(MOST_REQUESTS);
        let old = self.requests.iter().filter(|(_, known)| known.gone);
        let old: Vec<String> = old.map(|(id, _)| id.clone()).take(excess).collect();
        old.iter().for_each(|id| drop(self.requests.remove(id)));
        while self.rejected.len() > MOST_KEYS {
            let oldest = self.rejected.iter().min_by_key(|(_, last)| **last);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            self.rejected.remove(&oldest);
        }
    }
}

/// As far as it is kept.
pub(super) fn kept(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}
