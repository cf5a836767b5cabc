//! The pure part: what was told, what the API answered, what became of a message and the time in; the next message and
//! when to ask again out. What was decided is in `decided`.

mod decided;

use super::told::{Known, News, Outgoing, Told, kept};
use super::words;
use crate::hook_record::ChatTarget;
use crate::request::{AuthorizationRequest, Pending};
use crate::token::lifetime::{self, Lifetime};
use crate::watch::planner::Now;
use std::collections::{BTreeMap, BTreeSet};

/// Over so many messages an hour, one that counts all requests comes after each pause; an approval is told at once.
pub const MOST_AN_HOUR: usize = 6;
const HOUR_MS: i64 = 3_600_000;
/// That pause.
pub const DIGEST_MS: i64 = 600_000;
/// An API that cannot be asked is told of after so long, and so many failures: a machine may just have slept.
pub const OUTAGE_MS: i64 = 600_000;
const OUTAGE_FAILURES: u32 = 3;
/// The longest wait after failures, of the API and of the chat.
pub const LONGEST_MS: i64 = 300_000;
/// An API may ask for a longer one, up to this.
const LONGEST_RETRY_AFTER_MS: i64 = HOUR_MS;
/// After a message that OpenClaw did not take.
const FIRST_RESEND_MS: i64 = 15_000;
/// A message that nobody said anything of for so long is handed over again.
const UNANSWERED_MS: i64 = 300_000;
/// So many messages may be on their way.
const MOST_OUTGOING: usize = 20;
/// So many requests that are gone are asked about after each list.
const READ_AT_A_TIME: usize = 5;
/// This clock and the API's may differ by so many milliseconds.
const CLOCKS_DIFFER: i64 = 60_000;
/// A token that nobody renews is told of when so many seconds are left.
const REMIND_AT_S: [i64; 3] = [86_400, 3_600, 0];

/// What is the same all the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// How often the API is asked, milliseconds.
    pub every: i64,
    /// Whose requests.
    pub namespace: String,
    /// The chat that is told.
    pub target: ChatTarget,
    /// What a command is given to act on this home, with a blank before it.
    pub flags: String,
    /// How a command of ours begins, for whoever reads the messages.
    pub program: String,
    /// Decides the jitter, and tells the messages of this process from those of others.
    pub seed: u64,
}

/// What is known of the home besides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// What answers `/new`: `Some("plugin")`, `Some("hook")`, nothing; `None` where that cannot be told.
    pub answering: Option<Option<String>>,
    /// Who is told may decide in that chat, where the plugin answers.
    pub deciders: bool,
    /// The stored token: what tells it from others, and its times, Unix seconds.
    pub token: Option<(String, Option<Lifetime>)>,
    /// Somebody renews it.
    pub renews: bool,
    /// And fails at it, again and again.
    pub renewal_fails: bool,
}

/// What came of asking the API.
#[derive(Debug, Clone)]
pub enum Heard {
    /// The same bytes as before.
    Same,
    /// What is pending.
    List(Pending),
    /// Nothing.
    Failed {
        /// Why, for people.
        why: String,
        /// The API asked to be left alone for so many seconds.
        retry_after: Option<i64>,
        /// It was not asked: the token has expired.
        expired: bool,
    },
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// OpenClaw has it: sent, or kept for its own retries.
    Taken,
    /// It has not.
    NotTaken,
}

/// What is told, and what is remembered of asking. Everything that must outlive the process is in [`Teller::told`].
#[derive(Debug)]
pub struct Teller {
    told: Told,
    rules: Rules,
    facts: Facts,
    pending: Vec<AuthorizationRequest>,
    failures: u32,
    failing_since: i64,
    asked: i64,
    /// The request that was gone and asked about last.
    asked_about: String,
    messages: u64,
    not_taken: u32,
    next_poll: i64,
    next_send: i64,
    /// When the messages on their way were handed over, steady time.
    handed: BTreeMap<String, i64>,
}

impl Teller {
    /// At the start of a process.
    pub fn new(told: Told, rules: Rules, now: Now) -> Self {
        Self {
            told,
            rules,
            facts: Facts::default(),
            pending: Vec::new(),
            failures: 0,
            failing_since: 0,
            asked: 0,
            asked_about: String::new(),
            messages: 0,
            not_taken: 0,
            next_poll: now.steady,
            next_send: now.steady,
            handed: BTreeMap::new(),
        }
    }

    /// What is to be kept.
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// When the API is to be asked, steady milliseconds.
    pub fn next_poll(&self) -> i64 {
        self.next_poll
    }

    /// When something is to be done next.
    pub fn wake(&self, now: Now) -> i64 {
        let waits = self.next_send > now.steady && (!self.told.news.is_empty() || self.not_taken > 0);
        if waits {
            self.next_poll.min(self.next_send)
        } else {
            self.next_poll
        }
    }

    /// Messages that are to be handed over again, under the same key, as nobody said whether OpenClaw took them: those of
    /// a process before, and those that have waited long.
    pub(super) fn unanswered(&self, now: Now) -> Vec<Outgoing> {
        let is_due = |key: &String| self.handed.get(key).is_none_or(|at| at + UNANSWERED_MS <= now.steady);
        let due = self.told.outgoing.iter().filter(|out| is_due(&out.key));
        due.cloned().collect()
    }

    /// It is being handed over.
    pub(super) fn handed_over(&mut self, key: &str, now: Now) {
        self.handed.insert(key.to_owned(), now.steady);
    }

    /// What came of asking.
    pub fn heard(&mut self, heard: Heard, now: Now) {
        self.asked += 1;
        let unit = Lifetime {
            iat: self.asked,
            exp: 0,
        };
        let unit = lifetime::jitter(self.rules.seed, b"poll", unit) / lifetime::MAX_JITTER;
        let mut wait = self.rules.every;
        let (mut at_least, mut longest) = (0, i64::MAX);
        match heard {
            Heard::Failed {
                why,
                retry_after,
                expired,
            } => {
                self.failed(&why, expired, now);
                wait = (wait << (self.failures - 1).min(10)).min(LONGEST_MS);
                // It is asked once more when it has lasted so long that it is told of.
                let told_at = self.failing_since + OUTAGE_MS - now.steady;
                if told_at > 0 && self.failures >= OUTAGE_FAILURES - 1 {
                    longest = told_at;
                }
                at_least = retry_after.map_or(0, |s| s.saturating_mul(1000).clamp(0, LONGEST_RETRY_AFTER_MS));
            }
            Heard::List(pending) => {
                self.recovered();
                self.listed(pending, now);
            }
            Heard::Same => self.recovered(),
        }
        let wait = (wait as f64 * (0.85 + 0.15 * unit)) as i64;
        self.next_poll = now.steady + wait.min(longest).max(at_least);
    }

    fn failed(&mut self, why: &str, expired: bool, now: Now) {
        if self.failures == 0 {
            self.failing_since = now.steady;
        }
        self.failures += 1;
        let is_long = now.steady - self.failing_since >= OUTAGE_MS && self.failures >= OUTAGE_FAILURES;
        // The end of the token is told by itself.
        if is_long && !expired && !self.told.outage {
            self.told.outage = true;
            self.told.add(News::Outage(kept(why)));
        }
    }

    fn recovered(&mut self) {
        self.failures = 0;
        if std::mem::take(&mut self.told.outage) {
            let waiting = self.told.news.len();
            self.told.news.retain(|news| !matches!(news, News::Outage(_)));
            if waiting == self.told.news.len() {
                self.told.add(News::Back);
            }
        }
    }

    fn listed(&mut self, pending: Pending, now: Now) {
        let last = self.told.last;
        let is_again = |request: &AuthorizationRequest| {
            let times = last.zip(request.created());
            times.is_some_and(|(last, created)| created.saturating_mul(1000) < last.saturating_sub(CLOCKS_DIFFER))
        };
        let mut ids = BTreeSet::new();
        for request in &pending.requests {
            let Some(id) = request.id() else { continue };
            ids.insert(id.to_owned());
            let known = self.told.requests.entry(id.to_owned());
            known.or_insert_with(|| Known::of(request, is_again(request))).gone = false;
        }
        // A list that is no whole one lacks some that are pending, too: the API says which.
        let requests = self.told.requests.iter_mut();
        requests.for_each(|(id, known)| known.gone = !ids.contains(id));
        let is_all = pending.is_all_but_too_long();
        if is_all {
            self.told.last = Some(now.wall);
        }
        self.mind_the_too_long(pending.too_long, is_all);
        self.pending = pending.requests;
        self.told.bound();
    }

    /// Tells of requests that are too long to be read, and again where there are more of them.
    fn mind_the_too_long(&mut self, count: u64, is_all: bool) {
        let before = self.told.too_long;
        if count == before || count < before && !is_all {
            return;
        }
        let waiting = self.told.news.len();
        self.told.news.retain(|news| !matches!(news, News::TooLong(_)));
        let waits = self.told.news.len() < waiting;
        if count > before || waits && count > 0 {
            self.told.add(News::TooLong(count));
        }
        self.told.too_long = count;
    }

    /// The requests that are gone, some of them, from the one after that which was asked about last: one that cannot be
    /// told of, or is pending, keeps no other from being asked about.
    pub fn gone(&self) -> Vec<String> {
        let is_later = |(id, _): &(&String, &Known)| **id > self.asked_about;
        let gone = self.told.requests.iter().filter(|(_, known)| known.gone);
        let (later, earlier): (Vec<_>, Vec<_>) = gone.partition(is_later);
        let ids = later.into_iter().chain(earlier).map(|(id, _)| id.clone());
        ids.take(READ_AT_A_TIME).collect()
    }

    /// It is being asked about.
    pub(super) fn asks_about(&mut self, id: &str) {
        id.clone_into(&mut self.asked_about);
    }

    /// What is known of the home now.
    pub fn facts(&mut self, facts: Facts) {
        if let Some(answering) = &facts.answering {
            let before = std::mem::replace(&mut self.told.answering, answering.clone());
            match (before, answering) {
                (Some(before), None) => self.told.add(News::Off(before)),
                (_, Some(_)) => self.told.news.retain(|news| !matches!(news, News::Off(_))),
                (None, None) => {}
            }
        }
        self.facts = facts;
    }

    /// Tells of the end of a token that nobody renews, once at each moment.
    fn mind_the_token(&mut self, now: Now) {
        let is_renewed = self.facts.renews && !self.facts.renewal_fails;
        let token = self.facts.token.as_ref().filter(|_| !is_renewed);
        let Some((id, Some(life))) = token else {
            self.told.news.retain(|news| !matches!(news, News::TokenEnds(_)));
            return;
        };
        let left = life.exp.saturating_sub(now.wall.div_euclid(1000));
        let moments = REMIND_AT_S.iter().filter(|moment| **moment < life.life());
        let passed = moments.filter(|moment| left <= **moment).count();
        let before = self
            .told
            .token
            .as_ref()
            .filter(|(known, _)| known == id)
            .map(|(_, times)| *times);
        if before.is_none() {
            self.told.news.retain(|news| !matches!(news, News::TokenEnds(_)));
        }
        if passed > before.unwrap_or(0) {
            self.told.add(News::TokenEnds(life.exp));
        }
        if passed > 0 && before != Some(passed) {
            self.told.token = Some((id.clone(), passed));
        }
    }

    /// The message that is to go out now, if any: once it is kept, in [`Teller::told`], and no sooner.
    pub fn next_message(&mut self, now: Now) -> Option<Outgoing> {
        self.mind_the_token(now);
        if now.steady < self.next_send || self.told.outgoing.len() >= MOST_OUTGOING {
            return None;
        }
        let hour = now.wall.saturating_sub(HOUR_MS)..=now.wall;
        self.told.sent.retain(|at| hour.contains(at));
        let is_digest = self.told.sent.len() >= MOST_AN_HOUR;
        let pause = self.told.sent.last().is_some_and(|last| now.wall - last < DIGEST_MS);
        let waits = is_digest && pause;
        if waits && !self.told.news.iter().any(News::is_decision) {
            return None;
        }
        let fresh = if waits { Vec::new() } else { self.fresh(now) };
        if fresh.is_empty() && self.told.news.is_empty() {
            return None;
        }
        let says = words::Says {
            namespace: &self.rules.namespace,
            flags: &self.rules.flags,
            program: &self.rules.program,
            chat: self.facts.deciders && self.told.answering.as_deref() == Some("plugin"),
            renews: self.facts.renews,
            now: now.wall.div_euclid(1000),
        };
        let message = says.message(&fresh, is_digest, &self.told.news);
        // Who decides in this chat reads it.
        let described = if says.chat { &fresh[..message.shown] } else { &[] };
        let described = described.iter().map(|(request, _)| request.clone()).collect();
        let claims: Vec<String> = fresh
            .iter()
            .filter_map(|(request, _)| request.id())
            .map(str::to_owned)
            .collect();
        for key in fresh
            .iter()
            .filter_map(|(request, _)| request.public_key.as_deref().map(kept))
        {
            self.told.rejected.entry(key).and_modify(|last| *last = Some(now.wall));
        }
        // Decisions that come in a pause do not make it longer.
        let counted = (!waits).then_some(now.wall);
        self.told.sent.extend(counted);
        self.messages += 1;
        let outgoing = Outgoing {
            key: format!("sigilum-{:x}-{:x}-{}", self.rules.seed, now.wall, self.messages),
            described,
            text: message.text,
            buttons: message.buttons,
            claims,
            news: self.told.news.drain(..message.news).collect(),
            counted,
        };
        self.told.outgoing.push(outgoing.clone());
        Some(outgoing)
    }

    /// The requests that were not told, each with whether it was asked again.
    fn fresh(&self, now: Now) -> Vec<(AuthorizationRequest, bool)> {
        let on_the_way = |id: &str| {
            self.told
                .outgoing
                .iter()
                .any(|out| out.claims.iter().any(|claim| claim == id))
        };
        let fresh = self.pending.iter().filter_map(|request| {
            let id = request.id()?;
            let known = self.told.requests.get(id).filter(|known| !known.told && !known.gone)?;
            let is_fresh = !self.told.is_muted(known.key.as_deref(), now.wall) && !on_the_way(id);
            is_fresh.then(|| (request.clone(), known.again))
        });
        fresh.collect()
    }

    /// What became of a message. What OpenClaw did not take is told again, by a later one.
    pub fn delivered(&mut self, key: &str, delivery: Delivery, now: Now) {
        let Some(at) = self.told.outgoing.iter().position(|out| out.key == key) else {
            return;
        };
        let out = self.told.outgoing.remove(at);
        self.handed.remove(key);
        if delivery == Delivery::Taken {
            self.not_taken = 0;
            self.next_send = now.steady;
            for id in &out.claims {
                if let Some(known) = self.told.requests.get_mut(id) {
                    known.told = true;
                }
            }
            return;
        }
        for key in out
            .claims
            .iter()
            .filter_map(|id| self.told.requests.get(id)?.key.clone())
        {
            self.told.rejected.entry(key).and_modify(|last| *last = None);
        }
        self.told.sent.retain(|at| Some(*at) != out.counted);
        let later = std::mem::take(&mut self.told.news);
        for news in out.news.into_iter().chain(later) {
            let is_over = match &news {
                News::Outage(_) => !self.told.outage,
                News::Off(_) => self.told.answering.is_some(),
                // The next list says how many there are then.
                News::TooLong(_) => {
                    self.told.too_long = 0;
                    true
                }
                _ => false,
            };
            if !is_over {
                self.told.add(news);
            }
        }
        self.next_send = now.steady + (FIRST_RESEND_MS << self.not_taken.min(10)).min(LONGEST_MS);
        self.not_taken += 1;
    }
}
