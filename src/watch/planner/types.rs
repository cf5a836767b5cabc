//! What was seen of a home, as far as planning needs to know it. No token is in it, only what tells it from others.

use crate::authz::timed::TimedApproval;
use crate::error::ExitCode;
use crate::mode::Mode;
use std::fmt;

/// A moment on two clocks, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Unix time. People and time servers set it forward and back, and it goes on while the machine is suspended.
    pub wall: i64,
    /// Time since some start. Never set, but it may stand still while the machine is suspended.
    pub steady: i64,
}

/// Tells tokens apart without being one: the first bytes of the SHA-256 of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub [u8; 8]);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// What matters of a token that was seen. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Which one.
    pub id: TokenId,
    /// The namespace in its claims.
    pub namespace: String,
    /// Issued at.
    pub iat: Option<i64>,
    /// Expires at; without it a token lives for ever.
    pub exp: Option<i64>,
}

impl Token {
    /// Whether it is past its expiry.
    pub(in crate::watch) fn is_expired(&self, now: Now) -> bool {
        self.exp.is_some_and(|exp| exp.saturating_mul(1000) <= now.wall)
    }

    /// Later issue wins; a token from the future (the clock was set back since) loses to any of the present.
    pub(in crate::watch) fn is_newer_than(&self, other: &Self, now: Now) -> bool {
        let rank = |token: &Self| {
            let iat = token.iat.unwrap_or(i64::MIN);
            (!token.is_from_future(now), iat, token.exp.unwrap_or(i64::MAX))
        };
        rank(self) > rank(other)
    }

    /// Whether it was issued later than now, by more than clocks may differ.
    pub(in crate::watch) fn is_from_future(&self, now: Now) -> bool {
        const CLOCKS_DIFFER_MS: i64 = 300_000;
        let latest = now.wall.saturating_add(CLOCKS_DIFFER_MS);
        self.iat.is_some_and(|iat| iat.saturating_mul(1000) > latest)
    }
}

/// All that planning needs to know of one home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// openclaw.json.
    pub config: Config,
    /// Whose token is kept, by the record of a login. `None`: nobody is logged in, or that is not known.
    pub owner: Option<Owner>,
    /// Why records or token file cannot be read, where that is so.
    pub unreadable: Option<Unreadable>,
    /// The token file.
    pub file: Stored,
    /// The approvals that end; or why they cannot be read.
    pub approvals: Result<Vec<TimedApproval>, String>,
    /// Why openclaw.json must not be written, where that is so.
    pub read_only: Option<String>,
    /// What a command is given to act on this home, with a blank before it; nothing where it would anyway.
    pub flags: String,
    /// The plugin answers in the chat, so that the hook's entry is no matter.
    pub plugin_runs: bool,
    /// A broker answers from here, and no OpenClaw runs.
    pub is_a_brokers: bool,
    /// What OpenClaw starts here asks a broker, which has the token.
    pub asks_a_broker: bool,
    /// The flag with the checkout of the login that the entry's namespace had here, a blank before it; nothing where none
    /// is known.
    pub former_checkout: String,
}

/// A record of ours, or the token file, cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Which, why, and the next step.
    pub why: String,
    /// The exit code that goes with it.
    pub code: ExitCode,
}

/// openclaw.json, as far as it concerns us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Config {
    /// There is no such file.
    Missing,
    /// It cannot be read, or our entry is of no usable shape: why, with line and column where there are such.
    Broken(String),
    /// It has no entry of ours.
    NoEntry,
    /// Our entry.
    Entry(Entry),
}

/// The hook's entry. Nothing that it says decides anything but whether the hook is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `enabled`; absent counts as on.
    pub on: bool,
    /// `SIGILUM_NAMESPACE` of its env.
    pub namespace: Option<String>,
    /// `SIGILUM_MODE`
    pub mode: Option<String>,
    /// `SIGILUM_API_URL`, without a trailing slash.
    pub api_url: Option<String>,
    /// `SIGILUM_OWNER_TOKEN`
    pub token: InConfig,
    /// Why no token may be written where it stands.
    pub closed: Option<String>,
}

/// `SIGILUM_OWNER_TOKEN` in the entry's env.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InConfig {
    /// Absent, empty, or our filler.
    Unset,
    /// `${…}`: the person lets OpenClaw fill it in; never written.
    Reference,
    /// Something that is no owner token.
    Garbage,
    /// A token.
    Token(Token),
}

/// The token file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// No file, or nothing in it.
    Missing,
    /// Something that is no owner token of this namespace.
    Garbage,
    /// A token of the owner's namespace.
    Token(Token),
}

/// The namespace owner that a home is about, as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The namespace.
    pub namespace: String,
    /// managed or oss-local.
    pub mode: Mode,
    /// The API's base URL, without a trailing slash.
    pub api_url: String,
    /// Whether the token stands in the entry while the hook is on. `None`, nobody chose: it does if it is there.
    pub token_in_config: Option<bool>,
}
