//! The pure part: what was seen of a home and the time in; one action, when to wake and lines for the log out.

use super::action::{Action, By};
use super::entry::{Need, Past, need};
use super::log_event::{LogEvent, NEW_TOKEN};
use super::state::{Gate, Memory, Trouble};
use super::types::{Config, Now, Owner, Snapshot, Stored, Token};
use crate::mode::Mode;
use crate::token::lifetime::Lifetime;
use crate::token::times::{TimeFault, time_fault};

/// What is the same for all homes and all the time.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The fraction of a token's life that is left when it is renewed.
    pub renew_at: f64,
    /// Whether there is a token command.
    pub token_command: bool,
    /// `--once`: no second look at what may be half-written.
    pub once: bool,
}

/// What planning says.
#[derive(Debug, Default)]
pub struct Plan {
    /// To be done now.
    pub action: Option<Action>,
    /// Look again at this steady time, in milliseconds.
    pub wake_steady: Option<i64>,
    /// Look again at this wall time, in milliseconds.
    pub wake_wall: Option<i64>,
    /// When the stored token is renewed, in Unix milliseconds; `None` where nothing renews it.
    pub due: Option<i64>,
    /// A token is due, or missing where one belongs, and nothing is being done about it now.
    pub overdue: bool,
    /// For the log.
    pub log_events: Vec<LogEvent>,
}

impl Plan {
    fn wake_steady(&mut self, at: i64) {
        self.wake_steady = Some(self.wake_steady.map_or(at, |other| other.min(at)));
    }

    fn wake_wall(&mut self, at: i64) {
        self.wake_wall = Some(self.wake_wall.map_or(at, |other| other.min(at)));
    }

    /// How long until the next wake-up, in milliseconds; `None`: until something happens.
    pub fn wait(&self, now: Now) -> Option<i64> {
        let steady = self.wake_steady.map(|at| at - now.steady);
        let wall = self.wake_wall.map(|at| at.saturating_sub(now.wall));
        steady.into_iter().chain(wall).min().map(|wait| wait.max(0))
    }
}

/// Writes to openclaw.json leave this long between them: OpenClaw takes up nothing while edits keep coming.
const BETWEEN_CONFIG_WRITES_MS: i64 = 2_000;
/// How long a config must be gone or broken to be called so.
const SETTLE_MS: i64 = 500;
const UNTIL_IT_CHANGES: &str = "waiting until it changes";
/// How often a broken one is looked at without any event: what is wrong may be elsewhere.
const DOUBT_MS: i64 = 30_000;
/// Without a token command a person must act: said when so many seconds are left.
const REMIND_AT_S: [i64; 4] = [24 * 3600, 6 * 3600, 3600, 0];

/// Decides what to do about one home. Depends on nothing but its arguments; `memory` is the home's own.
pub fn plan(snapshot: &Snapshot, memory: &mut Memory, now: Now, rules: &Rules) -> Plan {
    let mut planning = Planning {
        snapshot,
        memory,
        now,
        rules,
        plan: Plan::default(),
    };
    planning.memory.mind_the_clock(now);
    planning.memory.mind_the_entry(snapshot);
    planning.tell_of_config();
    planning.tell_of_records();
    planning.tell_of_owner();
    if let Some(owner) = &snapshot.owner {
        planning.keep_token(owner);
        planning.take_back();
        if planning.plan.action.is_none() {
            planning.keep_entry(owner);
        }
    }
    planning.plan
}

/// One look at a home being planned for.
struct Planning<'a> {
    snapshot: &'a Snapshot,
    memory: &'a mut Memory,
    now: Now,
    rules: &'a Rules,
    plan: Plan,
}

impl Planning<'_> {
    fn log(&mut self, event: LogEvent) {
        self.plan.log_events.push(event);
    }

    fn tell_of_config(&mut self) {
        let line = match &self.snapshot.config {
            Config::Missing if self.snapshot.is_a_brokers => None,
            Config::Missing => Some(LogEvent::info("there is no openclaw.json").then("waiting for it")),
            Config::Broken(why) => Some(LogEvent::warning(why).then(UNTIL_IT_CHANGES)),
            Config::NoEntry | Config::Entry(_) => None,
        };
        let known = self.memory.config_trouble.take();
        self.memory.config_trouble = self.trouble("openclaw.json", line, known);
    }

    fn tell_of_records(&mut self) {
        let unreadable = self.snapshot.unreadable.as_ref();
        let line = unreadable.map(|broken| LogEvent::warning(&broken.why).then(UNTIL_IT_CHANGES));
        let known = self.memory.record_trouble.take();
        self.memory.record_trouble = self.trouble("the record of the login", line, known);
    }

    /// What is gone or broken is told of if it still is so a little later: somebody may be writing it just now.
    fn trouble(&mut self, what: &str, line: Option<LogEvent>, known: Option<Trouble>) -> Option<Trouble> {
        let Some(line) = line else {
            let over = known.filter(|known| known.told)?;
            let again = if over.line.is_warning {
                "can be read again"
            } else {
                "is back"
            };
            self.log(LogEvent::info(format!("{what} {again}")));
            return None;
        };
        let mut trouble = known.filter(|known| known.line == line).unwrap_or(Trouble {
            line,
            since: self.now.steady,
            told: false,
        });
        if trouble.line.is_warning {
            self.plan.wake_steady(self.now.steady + DOUBT_MS);
        }
        let settled = trouble.since + SETTLE_MS;
        if self.now.steady < settled && !self.rules.once {
            self.plan.wake_steady(settled);
        } else if !std::mem::replace(&mut trouble.told, true) {
            self.log(trouble.line.clone());
        }
        Some(trouble)
    }

    /// Whose token is kept, or why none is.
    fn tell_of_owner(&mut self) {
        if self.snapshot.unreadable.is_some() {
            return;
        }
        // A broken or missing config says nothing about its entry: what was known stays known.
        let unknown = matches!(self.snapshot.config, Config::Broken(_) | Config::Missing);
        if unknown && self.memory.told_of_owner.is_some() {
            return;
        }
        let entry = match &self.snapshot.config {
            Config::Entry(entry) => Some(entry),
            _ => None,
        };
        let line = match (&self.snapshot.owner, entry) {
            (Some(owner), entry) => LogEvent::serving(owner, self.snapshot.plugin_runs, entry.map(|entry| entry.on)),
            (None, _) if self.snapshot.asks_a_broker => {
                LogEvent::info("a broker has the token of this home, and renews it; nothing is written here")
            }
            (None, Some(entry)) => LogEvent::nobody_logged_in(entry, self.snapshot),
            (None, None) => LogEvent::info("nothing to serve: no record of a login, and no entry of the hook"),
        };
        if self.memory.told_of_owner.as_ref() != Some(&line) {
            self.memory.told_of_owner = Some(line.clone());
            self.log(line);
        }
    }

    /// A stored token that is due, or gone, is made anew.
    fn keep_token(&mut self, owner: &Owner) {
        let by = match owner.mode {
            Mode::OssLocal => Some(By::Signing),
            Mode::Managed => self.rules.token_command.then_some(By::Command),
        };
        let Stored::Token(token) = &self.snapshot.file else {
            self.plan.overdue = true;
            if !std::mem::replace(&mut self.memory.token_lost, true) {
                self.log(LogEvent::token_lost(by, &self.snapshot.flags));
            }
            if let Some(by) = by {
                self.attempt(Action::Renew { by, replaces: None });
            }
            return;
        };
        self.memory.token_lost = false;
        let fresh = self.memory.is_fresh(token.id);
        let fault = time_fault(token.iat, token.exp, self.now.wall.div_euclid(1000));
        let life = self.memory.lifetime(token, self.now);
        // What a token with such a fault says of its end is nothing to wait for.
        let due = life
            .filter(|_| fault.is_none())
            .map(|life| self.memory.due(life, self.rules.renew_at));
        let is_due = fault.is_some() || due.is_some_and(|due| due <= self.now.wall);
        if !is_due {
            self.plan.log_events.extend(self.memory.file.recovered());
        }
        match by {
            Some(by) => {
                self.plan.due = due;
                if is_due {
                    let renewal = Action::Renew {
                        by,
                        replaces: Some(token.id),
                    };
                    if fresh {
                        self.still_due(&renewal, fault);
                    }
                    self.attempt(renewal);
                } else if let Some(due) = due {
                    self.plan.wake_wall(due);
                }
            }
            None => {
                self.plan.overdue = is_due;
                self.remind(token, life, fault);
            }
        }
    }

    /// What was obtained just now is due already: not asked for again at once.
    fn still_due(&mut self, renewal: &Action, fault: Option<TimeFault>) {
        let why = fault.map_or_else(
            || "the new token is due for renewal already".to_owned(),
            |fault| fault.to_string(),
        );
        let line = self.memory.failed(renewal, &why, self.now);
        self.plan.log_events.extend(line);
    }

    /// Nobody but a person can renew: says so at the start and in good time, once each.
    fn remind(&mut self, token: &Token, life: Option<Lifetime>, fault: Option<TimeFault>) {
        let flags = &self.snapshot.flags;
        if let Some(fault) = fault {
            if self.memory.remind(token.id, 0) {
                self.log(LogEvent::warning(format!("{fault}; get a new one: {NEW_TOKEN}{flags}")));
            }
            return;
        }
        let Some(life) = life else { return };
        let exp_ms = life.exp.saturating_mul(1000);
        let moments = REMIND_AT_S.iter().filter(|left| **left < life.life());
        let moments: Vec<i64> = moments.map(|left| exp_ms.saturating_sub(left * 1000)).collect();
        let passed = moments.iter().filter(|at| **at <= self.now.wall).count();
        // The exit code of `--once` needs its reason, however far the first reminder is.
        let is_reason = self.rules.once && self.plan.overdue;
        if (passed > 0 || is_reason) && self.memory.remind(token.id, passed) {
            self.memory.told_that_nobody_renews = true;
            let left = exp_ms.saturating_sub(self.now.wall).div_euclid(1000);
            self.log(LogEvent::expires(left, flags));
        } else if !std::mem::replace(&mut self.memory.told_that_nobody_renews, true) {
            self.log(LogEvent::nobody_renews(life.exp, flags));
        }
        if let Some(next) = moments.get(passed) {
            self.plan.wake_wall(*next);
        }
    }

    /// The stored token into the entry, where it is to stand there and all else is as recorded. Everything else is said,
    /// and left to the person.
    fn keep_entry(&mut self, owner: &Owner) {
        let was_there = self.memory.had_entry;
        self.memory.had_entry |= matches!(self.snapshot.config, Config::Entry(_));
        let past = Past {
            had_entry: was_there,
            kept: self.memory.kept_in_entry,
        };
        let difference = match need(self.snapshot, owner, past, self.now) {
            None => return,
            Some(Need::Token(stored)) => {
                self.attempt(Action::Put(stored));
                None
            }
            Some(Need::Nothing) => {
                self.plan.log_events.extend(self.memory.entry.recovered());
                None
            }
            Some(Need::Person(difference)) => Some(difference),
        };
        if self.memory.difference != difference {
            self.memory.difference.clone_from(&difference);
            self.plan.log_events.extend(difference);
        }
    }

    /// Approvals whose time is over, however long ago. One that cannot be taken back does not hold up the others.
    fn take_back(&mut self) {
        let approvals = match &self.snapshot.approvals {
            Ok(approvals) => approvals,
            Err(why) => {
                if self.memory.no_approvals.replace(why.clone()).as_ref() != Some(why) {
                    self.log(LogEvent::warning(format!("no approval is taken back: {why}")));
                }
                return;
            }
        };
        self.memory.mind_approvals(approvals);
        for approval in approvals {
            let over = approval.until.saturating_mul(1000);
            if over > self.now.wall {
                self.plan.wake_wall(over);
            } else if self.plan.action.is_none() {
                self.attempt(Action::TakeBack(approval.clone()));
            }
        }
    }

    /// Does it now, or says when it may be done.
    fn attempt(&mut self, action: Action) {
        let now = self.now;
        let gate = match &action {
            Action::Put(_) => self.memory.entry.gate(&action, now, BETWEEN_CONFIG_WRITES_MS),
            Action::Renew { .. } if self.memory.asked_for.is_some() => Gate::Busy,
            Action::Renew { .. } => self.memory.file.gate(&action, now, 0),
            Action::TakeBack(_) => self.memory.retry_state(&action).gate(&action, now, 0),
        };
        if matches!(action, Action::Renew { .. }) {
            self.plan.overdue = !matches!(gate, Gate::Go | Gate::Busy);
        }
        match gate {
            Gate::Go => self.plan.action = Some(action),
            Gate::Wait(until) => self.plan.wake_steady(until),
            Gate::Cooldown { until, first } => {
                self.plan.wake_steady(until);
                if first {
                    let seconds = (until - now.steady) / 1000;
                    self.log(LogEvent::undone(&action, seconds));
                }
            }
            Gate::Busy => {}
        }
    }
}
