//! One home that is served: looked at, planned for, acted on.

mod removal;
mod report;
mod telling;

use super::actions::{ActionContext, Outcome, PATIENCE};
use super::clock::Clock;
use super::commands::Commands;
use super::file_events::{FileWatcher, HomeId};
use super::log::one_line;
use super::planner::{Action, By, Config, LogEvent, Memory, Now, Plan, Rules, Snapshot, Stored, TokenId, plan};
use super::push::{self, Poller};
use super::snapshot::SnapshotReader;
use super::status::{self, HomeStatus};
use super::wakeup::Waker;
use super::watcher_lock::{self, WatcherLock};
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs::{self, OwnLock};
use crate::home::OpenClawHome;
use crate::openclaw::lock;
use crate::time;
use crate::token::token_command::TokenCommand;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An event is often the first of several: the home is looked at so much later.
const SETTLE_MS: i64 = 4;
/// How often a home is looked at whose file system tells of no changes.
const POLL_MS: i64 = 5_000;
/// How often a home that another watcher serves is looked at without any event.
const DOUBT_MS: i64 = 30_000;
/// The same where the plugin's program serves it: less than a token's last minute, and longer than a gateway restarts.
const PLUGIN_MS: i64 = 10_000;
/// How often any home is looked at: events can be lost. Never worth a wake-up of its own.
const PRECAUTION_MS: i64 = 300_000;
/// A look costs: after it the home rests for so many times the time that it took, up to a second.
const REST: i64 = 9;
/// How often in a row a home is acted on at once.
const TURNS: usize = 8;

/// What all homes have in common.
pub(super) struct Shared {
    pub env: Env,
    pub rules: Rules,
    pub token_command: Option<TokenCommand>,
    pub clock: Arc<dyn Clock>,
    pub file_watcher: FileWatcher,
    pub commands: Commands,
    pub waker: Waker,
    pub started_at: String,
    pub homes_served: usize,
    pub push: push::Options,
    pub seed: u64,
    /// What there is to tell of each login beside the one that a broker's folder speaks for, by its namespace.
    pub beside: BTreeMap<String, HomeStatus>,
    /// That is not written down yet.
    pub is_news: bool,
}

/// A home that is served.
pub(super) struct Home {
    pub place: OpenClawHome,
    reader: SnapshotReader,
    memory: Memory,
    watcher_lock: Option<WatcherLock>,
    /// When the lock could not be had, steady time.
    lock_failed: Option<i64>,
    /// As the plugin's program has it.
    waits_for_plugin: bool,
    /// Whether there was a token file when it was last attended to.
    had_token: bool,
    /// The token of which it was said whether a secret here signed it.
    told_of_secret: Option<TokenId>,
    /// Since when files of ours are gone, steady time.
    gone_since: Option<i64>,
    /// Why it is looked at again and again.
    polled: Option<String>,
    /// Something happened: look at this steady time.
    look_at: Option<i64>,
    not_before: i64,
    looked_at: Option<i64>,
    /// What came of the last look.
    planned: Plan,
    printed: Option<SecretString>,
    renewed_at: Option<String>,
    /// As it was written: this home, and the logins beside it.
    status: Option<Vec<HomeStatus>>,
    /// Who is told at once.
    poller: Option<Poller>,
    /// Why nobody can be told, as it was said.
    no_way: Option<String>,
    /// What failed last, for `--once`: in openclaw.json (true), or in our own files.
    failures: BTreeMap<bool, ExitCode>,
    /// Looked at with `--once`.
    once: bool,
}

impl Home {
    /// `beside`: not the login that the home speaks for, but this namespace's, where that is another one. It is renewed and
    /// nothing else; whoever serves the home has its lock.
    pub fn new(place: OpenClawHome, beside: Option<String>, shared: &Shared, seed: u64) -> Self {
        Self {
            memory: Memory::new(seed, place.home.as_os_str().as_encoded_bytes()),
            reader: SnapshotReader::new(&place, beside, &shared.env),
            place,
            watcher_lock: None,
            lock_failed: None,
            waits_for_plugin: false,
            had_token: false,
            told_of_secret: None,
            gone_since: None,
            polled: None,
            look_at: None,
            not_before: 0,
            looked_at: None,
            planned: Plan::default(),
            printed: None,
            renewed_at: None,
            status: None,
            poller: None,
            no_way: None,
            failures: BTreeMap::new(),
            once: shared.rules.once,
        }
    }

    /// Whose login it is, where it is not the one that the home speaks for.
    pub fn beside(&self) -> Option<&str> {
        self.reader.beside.as_deref()
    }

    /// Something happened to its files.
    pub fn touched(&mut self, now: Now) {
        let at = now.steady + SETTLE_MS;
        self.look_at = Some(self.look_at.map_or(at, |other| other.min(at)));
    }

    /// Look at it without delay.
    pub fn look_now(&mut self, now: Now) {
        self.look_at = Some(now.steady);
        self.not_before = now.steady;
        self.lock_failed = None;
    }

    /// The token command's end.
    pub fn command_ended(&mut self, printed: Result<SecretString>, now: Now) {
        match (printed, self.memory.asked_for.take()) {
            (Ok(token), _) => self.printed = Some(token),
            (Err(error), Some(action)) => self.failed(&action, &error, now),
            (Err(_), None) => {}
        }
        self.look_now(now);
    }

    /// Whether the token command is asked for a token.
    pub fn is_waiting_for_command(&self) -> bool {
        self.memory.asked_for.is_some()
    }

    /// How long it needs no attention, in milliseconds; `None`: until something happens.
    pub fn wait(&self, now: Now) -> Option<i64> {
        let since = self.looked_at.unwrap_or(now.steady) - now.steady;
        let event = self.look_at.map(|at| at.max(self.not_before) - now.steady);
        let poll = self.polled.as_ref().map(|_| since + POLL_MS);
        let doubt = self.lock_failed.map(|_| since + self.doubt());
        [event, self.planned.wait(now), poll, doubt].into_iter().flatten().min()
    }

    /// Whether it needs attention now.
    pub fn is_due(&self, now: Now) -> bool {
        let precaution = self.looked_at.is_none_or(|at| at + PRECAUTION_MS <= now.steady);
        let written = self
            .status
            .as_ref()
            .and_then(|homes| Some(&homes.first()?.notify_error));
        let is_news = written.is_some_and(|written| *written != self.notify_error());
        precaution || is_news || self.wait(now).is_some_and(|wait| wait <= 0)
    }

    /// Takes the lock that makes us its only watcher, if there is anything to serve.
    ///
    /// # Errors
    /// There is another one. Whatever else stands in the way may pass: it is tried again. So does the plugin's program.
    pub fn acquire_lock(&mut self, shared: &Shared) -> Result<()> {
        let snapshot = self.read_snapshot(shared);
        let waits = !shared.rules.once && !shared.push.is_plugins();
        match self.lock(&snapshot, shared) {
            Err(error) if error.code == ExitCode::AnotherWatcher => {
                match waits && watcher_lock::is_held_by_plugin(&self.place) {
                    true => Ok(()),
                    false => Err(error),
                }
            }
            _ => Ok(()),
        }
    }

    /// Whether the plugin's program serves it, whose end is waited for.
    pub fn waits_for_plugin(&self) -> bool {
        self.waits_for_plugin
    }

    fn doubt(&self) -> i64 {
        match self.waits_for_plugin {
            true => PLUGIN_MS,
            false => DOUBT_MS,
        }
    }

    /// The exit code of `--once`.
    pub fn verdict(&self) -> Option<ExitCode> {
        let failure = self.failures.values().next().copied();
        failure.or(self.planned.overdue.then_some(ExitCode::Token))
    }

    /// Sees to it that we are the home's only watcher, where there is anything to serve.
    fn lock(&mut self, snapshot: &Snapshot, shared: &Shared) -> Result<()> {
        if self.watcher_lock.as_ref().is_some_and(|lock| !lock.holds(&self.place)) {
            self.watcher_lock = None;
            self.status = None;
        }
        if self.watcher_lock.is_some() || snapshot.owner.is_none() || self.beside().is_some() {
            return Ok(());
        }
        let is_plugins = shared.push.is_plugins() && !self.place.is_a_brokers();
        self.watcher_lock = Some(WatcherLock::acquire(&self.place, is_plugins, &snapshot.flags)?);
        if self.place.read_only.is_none() {
            // A watcher may have nothing to write for days, and a write would clear these away.
            lock::clear_leftovers(&self.place.config);
        }
        Ok(())
    }

    /// The same for a look. Trying writes to the lock's folder, and so would be the cause of the next look.
    fn is_locked(&mut self, snapshot: &Snapshot, shared: &Shared, now: Now) -> bool {
        if self.lock_failed.is_some_and(|at| now.steady < at + self.doubt()) {
            return false;
        }
        let (told, waited) = (self.lock_failed.take().is_some(), self.waits_for_plugin);
        let Err(error) = self.lock(snapshot, shared) else {
            self.waits_for_plugin = false;
            return true;
        };
        let is_other = error.code == ExitCode::AnotherWatcher;
        self.waits_for_plugin = is_other && !shared.rules.once && watcher_lock::is_held_by_plugin(&self.place);
        let home = self.place.home.display();
        match self.waits_for_plugin {
            true if waited => {}
            false if told && !waited => {}
            true => {
                let who = watcher_lock::who(&self.place);
                tracing::info!(%home, "{who} serves this home; waiting until it ends");
            }
            false => tracing::warn!(%home, "{}", one_line(&error)),
        }
        self.lock_failed = Some(now.steady);
        self.failures.insert(false, error.code);
        false
    }

    /// Looks at the home and does what is to be done.
    pub fn attend(&mut self, id: HomeId, shared: &mut Shared) {
        let (begun, before) = (shared.clock.now(), status::beside(&self.place));
        (self.look_at, self.looked_at) = (None, Some(begun.steady));
        self.planned = Plan::default();
        let snapshot = self.look(id, shared);
        if self.beside().is_some() && snapshot.owner.is_none() && snapshot.unreadable.is_none() {
            self.had_token = false;
            let namespace = self.beside().unwrap_or_default();
            shared.is_news |= shared.beside.remove(namespace).is_some();
            return;
        }
        if !shared.rules.once && self.is_being_removed(&snapshot, begun) {
            return;
        }
        if !self.is_locked(&snapshot, shared, begun) {
            self.poller = None;
            return;
        }
        let Some(snapshot) = self.work(id, snapshot, shared) else {
            return;
        };
        self.printed = None;
        self.had_token = snapshot.file != Stored::Missing;
        self.tell_of_the_secret(&snapshot, shared);
        if matches!(snapshot.config, Config::Broken(_)) {
            self.failures.insert(true, ExitCode::Config);
        }
        if let Some(unreadable) = &snapshot.unreadable {
            self.failures.insert(false, unreadable.code);
        }
        if snapshot.approvals.is_err() {
            // Which ones are over nobody knows.
            self.failures.entry(false).or_insert(ExitCode::Failure);
        }
        let now = shared.clock.now();
        self.not_before = now.steady + (REST * (now.steady - begun.steady)).min(1_000);
        if !shared.rules.once {
            self.mind_the_poller(&snapshot, shared);
            self.write_status(&snapshot, shared, &before);
        }
    }

    /// Looks, with watches on every folder that the look shows to matter.
    fn look(&mut self, id: HomeId, shared: &mut Shared) -> Snapshot {
        let mut snapshot = self.read_snapshot(shared);
        if shared.rules.once {
            return snapshot;
        }
        for _ in 0..4 {
            let watched = shared.file_watcher.watch(id, self.reader.folders(&self.place));
            if !self.mind_polling(watched) {
                break;
            }
            // What happened before there was a watch was not told.
            snapshot = self.read_snapshot(shared);
        }
        snapshot
    }

    /// Says so when file events are not to be had.
    fn mind_polling(&mut self, watched: Result<bool, String>) -> bool {
        let home = self.place.home.display();
        match &watched {
            Ok(_) if self.polled.is_some() => tracing::info!(%home, "file events are to be had again"),
            Err(why) if self.polled.is_none() => {
                let seconds = POLL_MS / 1000;
                tracing::warn!(%home, "{}", one_line(format!("looking every {seconds} s, for want of file events: {why}")));
            }
            _ => {}
        }
        self.polled = watched.as_ref().err().cloned();
        watched.unwrap_or(false)
    }

    /// Plans and acts until nothing is left to do now; gives what the home is then, or nothing where the watcher ends.
    fn work(&mut self, id: HomeId, mut snapshot: Snapshot, shared: &mut Shared) -> Option<Snapshot> {
        // Taken for the first action and kept: a renewal and its way into the config are one change for everybody else.
        let mut lock: Option<OwnLock> = None;
        let mut turns = 0;
        loop {
            self.planned = plan(&snapshot, &mut self.memory, shared.clock.now(), &shared.rules);
            for line in std::mem::take(&mut self.planned.log_events) {
                self.log(&line);
            }
            let Some(action) = self.planned.action.take() else {
                if let Some(Err(error)) = lock.map(|lock| lock.sync()) {
                    // The next look finds what was written, or not.
                    tracing::warn!(home = %self.place.home.display(), "{}", one_line(error));
                }
                return Some(snapshot);
            };
            if shared.waker.is_stopping() {
                return None;
            }
            // Of approvals that are taken back there is an end.
            turns += usize::from(!matches!(action, Action::TakeBack(_)));
            if turns > TURNS {
                let error = Error::new(ExitCode::Failure, "could not keep up: the home changes all the time");
                let now = shared.clock.now();
                self.failed(&action, &error, now);
                self.planned.wake_steady = Some(now.steady + 1_000);
                break;
            }
            if matches!(action, Action::Renew { by: By::Command, .. }) && self.printed.is_none() {
                lock = None;
                let namespace = snapshot.owner.as_ref().map(|owner| owner.namespace.clone());
                shared.commands.start(id, namespace.unwrap_or_default());
                self.memory.asked_for = Some(action);
            } else {
                snapshot = self.act(&action, &mut lock, snapshot, shared);
            }
        }
        Some(snapshot)
    }

    fn read_snapshot(&mut self, shared: &Shared) -> Snapshot {
        self.reader
            .read(&self.place, &shared.env, shared.push.whom.is_somebody_named())
    }

    /// Does it under our lock, which is taken where it is not; gives what the home is then.
    fn act(&mut self, action: &Action, lock: &mut Option<OwnLock>, snapshot: Snapshot, shared: &Shared) -> Snapshot {
        let lock = match lock {
            Some(lock) => lock,
            None => match fs::lock_existing_sigilum(&self.place, PATIENCE) {
                Ok(taken) => {
                    // Planned without the lock: planned again with it, if there is anything new.
                    let seen = self.read_snapshot(shared);
                    let taken = lock.insert(taken);
                    if seen != snapshot {
                        return seen;
                    }
                    taken
                }
                Err(error) => {
                    self.failed(action, &error, shared.clock.now());
                    return snapshot;
                }
            },
        };
        let done = self.perform(action, &snapshot, lock, shared);
        let seen = self.read_snapshot(shared);
        if done {
            self.log(&LogEvent::done(action, expiry(&seen)));
        }
        seen
    }

    /// Does it; says whether it is done.
    fn perform(&mut self, action: &Action, snapshot: &Snapshot, lock: &OwnLock, shared: &Shared) -> bool {
        let printed = match action {
            Action::Renew { .. } => self.printed.take(),
            Action::Put(_) | Action::TakeBack(_) => None,
        };
        let context = ActionContext {
            place: &self.place,
            env: &shared.env,
            reader: &self.reader,
            snapshot,
            now: shared.clock.now(),
            printed: printed.as_ref(),
        };
        let outcome = context.act(action, lock);
        let now = shared.clock.now();
        match outcome {
            Ok(Outcome::Done { obtained }) => {
                self.memory.done(action, obtained, now);
                self.failures.remove(&action.writes_config());
                if obtained.is_some() {
                    self.renewed_at = Some(time::rfc3339(now.wall.div_euclid(1000)));
                }
                true
            }
            Ok(Outcome::Changed) => {
                tracing::debug!(home = %self.place.home.display(), "{action}: not wanted any more");
                false
            }
            Err(error) => {
                self.failed(action, &error, now);
                false
            }
        }
    }

    fn failed(&mut self, action: &Action, error: &Error, now: Now) {
        self.failures.insert(action.writes_config(), error.code);
        if let Some(line) = self.memory.failed(action, &one_line(error), now) {
            self.log(&line);
        }
    }

    fn log(&self, line: &LogEvent) {
        let home = match self.beside() {
            Some(namespace) => format!("{} ({namespace})", self.place.home.display()),
            None => self.place.home.display().to_string(),
        };
        let text = one_line(line.line(self.once));
        match line.is_warning {
            true => tracing::warn!(%home, "{text}"),
            false => tracing::info!(%home, "{text}"),
        }
    }

    /// Leaves the home.
    pub fn leave(self) {
        if self.status.is_some() {
            status::remove(&self.place);
        }
    }
}

/// When the stored token expires, Unix seconds.
fn expiry(snapshot: &Snapshot) -> Option<i64> {
    match &snapshot.file {
        Stored::Token(token) => token.exp,
        _ => None,
    }
}
