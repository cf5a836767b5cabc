//! The pure part: what was seen of a home and the time in; one action, when to wake and lines for the log out.

use super::action::{Action, By};
use super::log_event::LogEvent;
use super::state::{Gate, Loss, Memory, Notified};
use super::types::{Config, Entry, InConfig, Now, Owner, Record, Snapshot, Stored, Token};
use crate::mode::Mode;
use crate::token::lifetime::Lifetime;
use crate::token::times;

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
    /// When the stored token is due, in Unix milliseconds.
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
/// Without a token command a person must act: said when so many seconds are left.
const REMIND_AT_S: [i64; 4] = [24 * 3600, 6 * 3600, 3600, 0];

/// Decides what to do about one home. Depends on nothing but its arguments; `memory` is the home's own.
pub fn plan(snapshot: &Snapshot, memory: &mut Memory, now: Now, rules: &Rules) -> Plan {
    let mut plan = Plan::default();
    memory.mind_the_clock(now);
    tell_of_config(snapshot, memory, now, rules, &mut plan);
    tell_of_owner(snapshot, memory, &mut plan);
    let Some(owner) = &snapshot.owner else {
        return plan;
    };
    if store(snapshot, owner, memory, now, &mut plan) == Then::Stop {
        return plan;
    }
    if renew(snapshot, owner, memory, now, rules, &mut plan) == Then::Stop {
        return plan;
    }
    keep_entry_true(snapshot, owner, memory, now, &mut plan);
    plan
}

/// Whether what comes after a step in order of importance is to be decided now.
#[derive(PartialEq, Eq)]
enum Then {
    Stop,
    GoOn,
}

/// A config that is gone or broken is told of if it still is so a little later: somebody may be writing it just now.
fn tell_of_config(snapshot: &Snapshot, memory: &mut Memory, now: Now, rules: &Rules, plan: &mut Plan) {
    let trouble = match &snapshot.config {
        Config::Missing => Some((Notified::ConfigMissing, LogEvent::ConfigMissing)),
        Config::Broken(why) => Some((Notified::Broken, LogEvent::ConfigBroken { why: why.clone() })),
        Config::NoEntry | Config::Entry(_) => None,
    };
    let kind = trouble.as_ref().map(|(notified, _)| *notified);
    for (notified, over) in [
        (Notified::ConfigMissing, LogEvent::ConfigBack),
        (Notified::Broken, LogEvent::ConfigMended),
    ] {
        if kind != Some(notified) && memory.clear(notified) && kind.is_none() {
            plan.log_events.push(over);
        }
    }
    let settled = memory.trouble_since(trouble.as_ref().map(|(_, line)| line), now) + SETTLE_MS;
    let Some((notified, line)) = trouble else { return };
    if now.steady < settled && !rules.once {
        plan.wake_steady(settled);
    } else if memory.notify_once(notified) {
        plan.log_events.push(line);
    }
}

fn tell_of_owner(snapshot: &Snapshot, memory: &mut Memory, plan: &mut Plan) {
    // A broken or missing config says nothing about its entry: what was known stays known.
    if matches!(snapshot.config, Config::Broken(_) | Config::Missing) && memory.followed.is_some() {
        return;
    }
    let on = match &snapshot.config {
        Config::Entry(entry) => Some(entry.on),
        _ => None,
    };
    let seen = snapshot
        .owner
        .as_ref()
        .map(|owner| (owner.namespace.clone(), owner.mode, owner.api_url.clone(), on));
    if memory.followed.as_ref() == Some(&seen) {
        return;
    }
    plan.log_events.push(match &seen {
        Some((namespace, mode, api_url, on)) => LogEvent::Serving {
            namespace: namespace.clone(),
            mode: *mode,
            api_url: api_url.clone(),
            on: *on,
        },
        None => LogEvent::NothingToServe,
    });
    memory.followed = Some(seen);
}

/// A good token in the config that is newer than the file's goes into the file.
fn store(snapshot: &Snapshot, owner: &Owner, memory: &mut Memory, now: Now, plan: &mut Plan) -> Then {
    memory.mind_logout(snapshot, owner);
    let Config::Entry(Entry {
        token: InConfig::Token(token),
        ..
    }) = &snapshot.config
    else {
        return Then::GoOn;
    };
    if token.namespace != owner.namespace
        || token.signature_invalid
        || token.is_expired(now)
        || memory.is_logged_out_of(token.id)
    {
        return Then::GoOn;
    }
    let newer = match &snapshot.file {
        // What was stored for another API does not compare.
        Stored::Token(stored) if matches!(owner.record, Record::Other { .. }) => stored.id != token.id,
        Stored::Token(stored) => stored.id != token.id && token.is_newer_than(stored, now),
        Stored::Garbage => true,
        // Deleted behind a login's back: that is for `renew` to decide.
        Stored::Missing => owner.record == Record::None,
    };
    if !newer {
        return Then::GoOn;
    }
    // Whatever comes of it now, the older stored token must not go over the newer one.
    attempt(Action::Store(token.id), memory, now, plan);
    Then::Stop
}

/// A stored token that is due, or gone, is made anew.
fn renew(snapshot: &Snapshot, owner: &Owner, memory: &mut Memory, now: Now, rules: &Rules, plan: &mut Plan) -> Then {
    let other_api = matches!(owner.record, Record::Other { .. });
    let by = match owner.mode {
        Mode::OssLocal => (owner.record != Record::Other { here: false }).then_some(By::Signing),
        Mode::Managed => rules.token_command.then_some(By::Command),
    };
    let stored = match &snapshot.file {
        Stored::Token(token) if !other_api => Some(token),
        _ => None,
    };
    let Some(token) = stored else {
        let loss = match (&snapshot.file, owner.record) {
            (Stored::Missing, Record::None) => Loss::LoggedOut,
            (_, Record::Other { .. }) => Loss::OtherApi,
            _ => Loss::Deleted,
        };
        if memory.lost(Some(loss)) {
            plan.log_events.push(match loss {
                Loss::LoggedOut => LogEvent::LoggedOut,
                Loss::OtherApi => LogEvent::StoredForOtherApi { by },
                Loss::Deleted => LogEvent::TokenLost { by },
            });
        }
        if loss == Loss::LoggedOut {
            return Then::GoOn;
        }
        plan.overdue = true;
        return match by {
            Some(by) => attempt(Action::Renew { by, replaces: None }, memory, now, plan),
            None => Then::GoOn,
        };
    };
    memory.lost(None);
    let fresh = memory.is_fresh(token.id);
    let fault = times::time_fault(token.iat, token.exp, now.wall.div_euclid(1000));
    let life = memory.lifetime(token, now);
    // What such a token says of its end is nothing to wait for.
    let due = life
        .filter(|_| fault.is_none())
        .map(|life| memory.due(life, rules.renew_at));
    plan.due = due;
    let is_due = fault.is_some() || due.is_some_and(|due| due <= now.wall);
    if !is_due {
        plan.log_events.extend(memory.file.recovered());
    }
    if let (None, Some(fault)) = (by, fault) {
        plan.overdue = true;
        if memory.remind(token.id, 0) {
            plan.log_events.push(LogEvent::WrongTimes { fault });
        }
        return Then::GoOn;
    }
    match (by, life) {
        (Some(by), _) if is_due => {
            let replaces = Some(token.id);
            let action = Action::Renew { by, replaces };
            if fresh {
                let why = fault.map_or_else(
                    || "the new token is due for renewal already".to_owned(),
                    |fault| fault.to_string(),
                );
                plan.log_events.extend(memory.failed(&action, &why, now));
            }
            return attempt(action, memory, now, plan);
        }
        (Some(_), _) => due.into_iter().for_each(|due| plan.wake_wall(due)),
        (None, Some(life)) => {
            plan.overdue = is_due;
            // The exit code of `--once` needs its reason, however far the first reminder is.
            remind(token, life, rules.once && is_due, memory, now, plan);
        }
        (None, None) => {}
    }
    if owner.record == Record::Moved {
        return attempt(Action::Adopt, memory, now, plan);
    }
    Then::GoOn
}

/// Nobody but a person can renew: says so in good time, and once each; with `early` before the first moment too.
fn remind(token: &Token, life: Lifetime, early: bool, memory: &mut Memory, now: Now, plan: &mut Plan) {
    let exp_ms = life.exp.saturating_mul(1000);
    let moments = REMIND_AT_S.iter().filter(|left| **left < life.life());
    let moments: Vec<i64> = moments.map(|left| exp_ms.saturating_sub(left * 1000)).collect();
    let passed = moments.iter().filter(|at| **at <= now.wall).count();
    if (passed > 0 || early) && memory.remind(token.id, passed) {
        plan.log_events.push(LogEvent::Expires {
            in_seconds: exp_ms.saturating_sub(now.wall).div_euclid(1000),
        });
    }
    if let Some(next) = moments.get(passed) {
        plan.wake_wall(*next);
    }
}

/// On: the stored token in; off: out.
fn keep_entry_true(snapshot: &Snapshot, owner: &Owner, memory: &mut Memory, now: Now, plan: &mut Plan) {
    let Config::Entry(entry) = &snapshot.config else {
        return;
    };
    if entry.token == InConfig::Reference {
        if entry.on && entry.holds_token && memory.notify_once(Notified::Reference) {
            plan.log_events.push(LogEvent::Reference);
        }
        return;
    }
    memory.clear(Notified::Reference);
    let action = if entry.on && entry.holds_token {
        let stored = match &snapshot.file {
            Stored::Token(token) if !matches!(owner.record, Record::Other { .. }) && !token.is_expired(now) => token,
            _ => return,
        };
        if matches!(&entry.token, InConfig::Token(token) if token.id == stored.id) {
            plan.log_events.extend(memory.entry.recovered());
            return;
        }
        Action::Put(stored.id)
    } else {
        if entry.token == InConfig::Unset {
            plan.log_events.extend(memory.entry.recovered());
            return;
        }
        Action::TakeOut
    };
    if let Some(why) = &snapshot.read_only {
        if memory.notify_once(Notified::ReadOnly) {
            plan.log_events.push(LogEvent::ReadOnly { why: why.clone() });
        }
        return;
    }
    attempt(action, memory, now, plan);
}

/// Does it now, or says when it may be done.
fn attempt(action: Action, memory: &mut Memory, now: Now, plan: &mut Plan) -> Then {
    let renewal = matches!(action, Action::Renew { .. });
    let gate = match &action {
        _ if plan.action.is_some() => return Then::Stop,
        Action::Renew { .. } if memory.command_running => Gate::Busy,
        _ if action.writes_config() => memory.entry.gate(&action, now, BETWEEN_CONFIG_WRITES_MS),
        _ => memory.file.gate(&action, now, 0),
    };
    match gate {
        Gate::Go => {
            plan.overdue &= !renewal;
            plan.action = Some(action);
            return Then::Stop;
        }
        Gate::Wait(until) => {
            plan.overdue |= renewal;
            plan.wake_steady(until);
        }
        Gate::Cooldown { until, first } => {
            plan.overdue |= renewal;
            plan.wake_steady(until);
            if first {
                let seconds = (until - now.steady) / 1000;
                plan.log_events.push(LogEvent::Undone {
                    config: action.writes_config(),
                    seconds,
                });
            }
        }
        Gate::Busy => {}
    }
    Then::GoOn
}
