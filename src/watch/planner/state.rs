//! What the watcher remembers of one home between two looks: what it did, what failed, what was logged once.

use super::action::Action;
use super::log_event::LogEvent;
use super::types::{Config, InConfig, Now, Snapshot, Stored, Token, TokenId};
use crate::authz::timed::TimedApproval;
use crate::token::lifetime::{self, Lifetime};
use std::collections::{BTreeMap, VecDeque};

/// A home's memory. Everything in it is of this process; nothing is lost by starting anew.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    seed: u64,
    place: Vec<u8>,
    /// How often something failed: every retry has a delay of its own.
    failures: i64,
    last: Option<Now>,
    reminded: Option<(TokenId, usize)>,
    first_seen: Option<(TokenId, i64)>,
    obtained: Option<TokenId>,
    /// Whose token is kept, as last told.
    pub(super) told_of_owner: Option<LogEvent>,
    /// How the entry differs from the record, as last told.
    pub(super) difference: Option<LogEvent>,
    /// There was an entry.
    pub(super) had_entry: bool,
    pub(super) config_trouble: Option<Trouble>,
    /// Records or token file cannot be read.
    pub(super) record_trouble: Option<Trouble>,
    pub(super) token_lost: bool,
    pub(super) told_that_nobody_renews: bool,
    /// The renewal that the token command runs for.
    pub asked_for: Option<Action>,
    /// The token in the entry, if it was the stored one at some look and has stood there ever since.
    pub(super) kept_in_entry: Option<TokenId>,
    /// The files in `.sigilum/`.
    pub(super) file: RetryState,
    /// The entry in openclaw.json.
    pub(super) entry: RetryState,
    /// Approvals that are to be taken back, by their requests' ids.
    approvals: BTreeMap<String, RetryState>,
    /// Why they cannot be read, as last told.
    pub(super) no_approvals: Option<String>,
}

/// A file is gone or broken.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    pub line: LogEvent,
    /// Steady time.
    pub since: i64,
    pub told: bool,
}

/// Whether an action may be done now.
pub(super) enum Gate {
    Go,
    /// Not before this steady time.
    Wait(i64),
    /// Somebody keeps undoing it. `first`: this has just begun.
    Cooldown {
        until: i64,
        first: bool,
    },
    /// It is being done.
    Busy,
}

impl Memory {
    /// The memory of a home that was never looked at. `seed` and `place` (any bytes that name the home) decide all
    /// that is random.
    pub fn new(seed: u64, place: &[u8]) -> Self {
        Self {
            seed,
            place: place.to_vec(),
            ..Self::default()
        }
    }

    /// An action that planning asked for is done. `obtained`: the new token, where it made one.
    pub fn done(&mut self, action: &Action, obtained: Option<TokenId>, now: Now) {
        self.obtained = obtained.or(self.obtained);
        self.retry_state(action).done(action, now);
    }

    /// An action failed: it is tried again, later and later. Gives a line where this is a change of state.
    pub fn failed(&mut self, action: &Action, why: &str, now: Now) -> Option<LogEvent> {
        self.failures += 1;
        let delay = self.retry_state(action).next_delay();
        let spread = Lifetime {
            iat: self.failures,
            exp: delay,
        };
        let unit = lifetime::jitter(self.seed, &self.place, spread) / lifetime::MAX_JITTER;
        // Within a quarter of it, so that homes that fail together do not try together.
        let delay = (delay as f64 * (0.75 + unit / 2.0)) as i64;
        let delay = delay.clamp(1_000, RetryState::LONGEST_WAIT_MS);
        self.retry_state(action).failed(action, why, delay, now)
    }

    /// What fails at present, if anything does.
    pub fn trouble(&self) -> Option<&str> {
        let states = [&self.file, &self.entry].into_iter().chain(self.approvals.values());
        let failing = states.filter_map(|state| state.failing.as_ref()).next();
        failing.map(|failing| failing.why.as_str())
    }

    /// Whether the renewal of the token has failed for more than a moment, some seconds.
    pub fn renewal_fails(&self) -> bool {
        const LASTING: u32 = 4;
        let failing = self.file.failing.as_ref();
        failing.is_some_and(|failing| failing.times >= LASTING)
    }

    pub(super) fn retry_state(&mut self, action: &Action) -> &mut RetryState {
        match action {
            Action::Put(_) => &mut self.entry,
            Action::Renew { .. } => &mut self.file,
            Action::TakeBack(approval) => self.approvals.entry(approval.claim_id.clone()).or_default(),
        }
    }

    /// Forgets about approvals that are not there any more.
    pub(super) fn mind_approvals(&mut self, approvals: &[TimedApproval]) {
        self.no_approvals = None;
        self.approvals
            .retain(|id, _| approvals.iter().any(|approval| approval.claim_id == *id));
    }

    /// The wall clock moved against the steady one since the last look (it was set, or the machine was suspended):
    /// what waits for a retry is tried at once.
    pub(super) fn mind_the_clock(&mut self, now: Now) {
        const NOTEWORTHY_MS: i64 = 5_000;
        let Some(last) = self.last.replace(now) else { return };
        let moved = now.wall.saturating_sub(last.wall) - (now.steady - last.steady);
        if moved.saturating_abs() >= NOTEWORTHY_MS {
            self.file.retry_now(now);
            self.entry.retry_now(now);
            self.approvals.values_mut().for_each(|state| state.retry_now(now));
        }
    }

    /// Minds whose token the entry holds. What cannot be seen has not changed.
    pub(super) fn mind_the_entry(&mut self, snapshot: &Snapshot) {
        let held = match &snapshot.config {
            Config::Missing | Config::Broken(_) => return,
            Config::Entry(entry) => match &entry.token {
                InConfig::Token(token) => Some(token.id),
                _ => None,
            },
            Config::NoEntry => None,
        };
        let stored = match &snapshot.file {
            Stored::Token(token) => Some(token.id),
            _ => None,
        };
        self.kept_in_entry = held.filter(|_| held == stored || held == self.kept_in_entry);
    }

    /// Whether the person has not been reminded of this token's expiry for the `passed`-th time.
    pub(super) fn remind(&mut self, token: TokenId, passed: usize) -> bool {
        let news = self.reminded.is_none_or(|(id, times)| id != token || times < passed);
        if news {
            self.reminded = Some((token, passed));
        }
        news
    }

    /// The token's life; one that does not say when it was issued lives from when it was first seen.
    pub(super) fn lifetime(&mut self, token: &Token, now: Now) -> Option<Lifetime> {
        let exp = token.exp?;
        let iat = token.iat.unwrap_or_else(|| match self.first_seen {
            Some((id, at)) if id == token.id => at,
            _ => {
                let at = now.wall.div_euclid(1000);
                self.first_seen = Some((token.id, at));
                at
            }
        });
        Some(Lifetime { iat, exp })
    }

    pub(super) fn due(&self, life: Lifetime, renew_at: f64) -> i64 {
        life.due_at_ms(renew_at, lifetime::jitter(self.seed, &self.place, life))
    }

    /// Whether this token was obtained by the last renewal and is looked at for the first time.
    pub(super) fn is_fresh(&mut self, token: TokenId) -> bool {
        self.obtained.take_if(|id| *id == token).is_some()
    }
}

/// How the writes to one of the two places of a home go: what failed and when it is tried again, who undoes them.
#[derive(Debug, Clone, Default)]
pub(super) struct RetryState {
    done: Option<(Action, i64)>,
    conflicts: VecDeque<i64>,
    last_conflict: Option<i64>,
    cooldown: Option<i64>,
    cooldowns: u32,
    failing: Option<Failing>,
}

#[derive(Debug, Clone)]
struct Failing {
    action: Action,
    times: u32,
    retry_at: i64,
    why: String,
}

impl RetryState {
    const MINUTE_MS: i64 = 60_000;
    const CONFLICTS_A_MINUTE: usize = 3;
    const LONGEST_WAIT_MS: i64 = 300_000;
    /// After so long without a conflict it is forgotten that there were any.
    const CONFLICTS_FORGOTTEN_MS: i64 = 2 * Self::LONGEST_WAIT_MS;

    /// Whether the action may be done now, at least `between` ms after the last one.
    pub(super) fn gate(&mut self, action: &Action, now: Now, between: i64) -> Gate {
        if let Some(failing) = &self.failing
            && failing.action == *action
            && failing.retry_at > now.steady
        {
            return Gate::Wait(failing.retry_at);
        }
        let Some((last, at)) = &self.done else {
            return Gate::Go;
        };
        let (again, next) = (last == action, at + between);
        if again && let Some(cooldown) = self.cooldown(now) {
            return cooldown;
        }
        if next > now.steady { Gate::Wait(next) } else { Gate::Go }
    }

    /// Doing the same again means that somebody undid it: three times a minute, then pauses that grow.
    fn cooldown(&mut self, now: Now) -> Option<Gate> {
        if let Some(until) = self.cooldown {
            if now.steady < until {
                return Some(Gate::Cooldown { until, first: false });
            }
            self.cooldown = None;
            self.conflicts.clear();
        }
        while self
            .conflicts
            .front()
            .is_some_and(|at| at + Self::MINUTE_MS <= now.steady)
        {
            self.conflicts.pop_front();
        }
        if self.conflicts.len() < Self::CONFLICTS_A_MINUTE {
            return None;
        }
        let wait = (Self::MINUTE_MS << self.cooldowns.min(8)).min(Self::LONGEST_WAIT_MS);
        self.cooldowns += 1;
        let until = now.steady + wait;
        self.cooldown = Some(until);
        Some(Gate::Cooldown {
            until,
            first: self.cooldowns == 1,
        })
    }

    fn done(&mut self, action: &Action, now: Now) {
        if self.done.as_ref().is_some_and(|(last, _)| last == action) {
            if self
                .last_conflict
                .is_none_or(|at| at + Self::CONFLICTS_FORGOTTEN_MS < now.steady)
            {
                self.cooldowns = 0;
            }
            self.last_conflict = Some(now.steady);
            self.conflicts.push_back(now.steady);
        }
        self.done = Some((action.clone(), now.steady));
    }

    /// 1 s, 2 s, 4 s … 5 min.
    fn next_delay(&self) -> i64 {
        let times = self.failing.as_ref().map_or(0, |failing| failing.times);
        (1000 << times.min(16)).min(Self::LONGEST_WAIT_MS)
    }

    fn failed(&mut self, action: &Action, why: &str, delay: i64, now: Now) -> Option<LogEvent> {
        let times = self.failing.as_ref().map_or(0, |failing| failing.times);
        // Texts that differ in numbers alone (a pid, an age) say the same.
        let same = |known: &Failing| {
            let letters = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
            letters(&known.why) == letters(why)
                && std::mem::discriminant(&known.action) == std::mem::discriminant(action)
        };
        let news = !self.failing.as_ref().is_some_and(same);
        self.failing = Some(Failing {
            action: action.clone(),
            times: times + 1,
            retry_at: now.steady + delay,
            why: why.to_owned(),
        });
        news.then(|| LogEvent::failing(action, why, (delay + 500) / 1000))
    }

    /// All is as it should be; says so where it was not.
    pub(super) fn recovered(&mut self) -> Option<LogEvent> {
        let failing = self.failing.take()?;
        Some(LogEvent::info(format!("{} works again", failing.action)))
    }

    fn retry_now(&mut self, now: Now) {
        if let Some(failing) = &mut self.failing {
            failing.retry_at = now.steady;
        }
    }
}
