//! The thread that asks one home's API and tells the owner, while the home's watcher's lock is ours.

use super::messenger::{self, Input, Push, Way};
use super::teller::{Delivery, Facts, Heard, Rules, Teller};
use super::told::{self, Outgoing, Told};
use super::turn::Surroundings;
use crate::authz::decision_log::{DecisionLog, Entry};
use crate::env::Env;
use crate::error::{ExitCode, OrFail, Result};
use crate::fs;
use crate::home::OpenClawHome;
use crate::owner_token::{self, WhyNot};
use crate::request::AuthorizationRequest;
use crate::settings::{self, Owner, OwnerQuery};
use crate::sigilum::api::{Api, Print, Unanswered};
use crate::sigilum::http::{self, Http, Url};
use crate::watch::clock::Clock;
use crate::watch::log::one_line;
use crate::watch::wakeup::Waker;
use secrecy::SecretString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// How long the API may take for one answer.
const BUDGET: Duration = Duration::from_secs(4);
const STACK_BYTES: usize = 512 * 1024;
/// However far off the next turn is: the clock may be set.
const LONGEST_WAIT_MS: i64 = 300_000;

/// Whom to tell of whose requests, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::watch) struct Settings {
    pub rules: Rules,
    /// The API as recorded: another one is another list.
    pub api_url: String,
    /// The program that takes messages; `None`: they are handed over.
    pub openclaw: Option<PathBuf>,
}

/// What the thread works by.
pub(in crate::watch) struct Means<'a> {
    pub way: &'a Way,
    pub env: &'a Env,
    pub clock: &'a Arc<dyn Clock>,
    /// Wakes who writes down what fails.
    pub waker: &'a Waker,
}

/// The thread. Dropped, it ends after what it is doing.
pub(in crate::watch) struct Poller {
    pub settings: Settings,
    facts: Facts,
    sender: Sender<Input>,
    stop: Arc<AtomicBool>,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Poller {
    /// Starts it.
    pub fn start(settings: Settings, place: &OpenClawHome, means: &Means) -> Result<Self> {
        let Means { way, env, clock, waker } = *means;
        let trouble = Arc::default();
        let (sender, inputs) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let mut options = http::Options::from_env(env);
        options.keeps_connection = true;
        let around = Around {
            place: place.clone(),
            http: Http::new(options),
            env: env.clone(),
            settings: settings.clone(),
            way: way.clone(),
            answers: sender.clone(),
            stop: Arc::clone(&stop),
            trouble: Arc::clone(&trouble),
            waker: waker.clone(),
            print: None,
            kept: None,
            cannot_keep: false,
            log_was: None,
        };
        let clock = Arc::clone(clock);
        std::thread::Builder::new()
            .name("requests".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || around.run(&inputs, &*clock))
            .or_fail(ExitCode::Failure, || {
                "could not start the thread that asks for requests".to_owned()
            })?;
        Ok(Self {
            settings,
            facts: Facts::default(),
            sender,
            stop,
            trouble,
        })
    }

    /// Why the last message did not get there.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells it what is known of the home, where that has changed.
    pub fn tell(&mut self, facts: Facts) {
        if self.facts != facts {
            self.facts = facts.clone();
            let _ = self.sender.send(Input::Facts(facts));
        }
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes it.
        let _ = self.sender.send(Input::Facts(self.facts.clone()));
    }
}

struct Around {
    place: OpenClawHome,
    env: Env,
    http: Http,
    settings: Settings,
    way: Way,
    answers: Sender<Input>,
    stop: Arc<AtomicBool>,
    /// Why the last message did not get there.
    trouble: Arc<Mutex<Option<String>>>,
    waker: Waker,
    /// Of the last list.
    print: Option<Print>,
    /// What is on the disk.
    kept: Option<Told>,
    /// It could not be written, and that was said.
    cannot_keep: bool,
    /// Length and time of our log when it was last read.
    log_was: Option<(u64, SystemTime)>,
}

impl Around {
    fn run(mut self, inputs: &Receiver<Input>, clock: &dyn Clock) {
        let file = self.place.told_file();
        let bytes = fs::read_private(&file, told::MAX_BYTES).ok().flatten();
        let told = bytes.map(|bytes| Told::parse(&bytes)).unwrap_or_default();
        let rules = self.settings.rules.clone();
        let whose = format!("{} at {}", rules.namespace, self.settings.api_url);
        let mut teller = Teller::new(told.about(&whose), rules, clock.now());
        // Nothing is told before it is known who may decide in the chat, and what answers there.
        let Ok(first) = inputs.recv() else { return };
        let mut next = Some(first);
        while !self.is_stopped() {
            match next.take() {
                Some(Input::Facts(facts)) => teller.facts(facts),
                Some(Input::Delivered(key, delivery)) => {
                    self.note(Some(delivery));
                    teller.delivered(&key, delivery, clock.now());
                }
                None => {}
            }
            let now = clock.now();
            teller.turn(&mut self, now);
            let now = clock.now();
            let wait = (teller.wake(now) - now.steady).clamp(1, LONGEST_WAIT_MS);
            next = match inputs.recv_timeout(Duration::from_millis(wait.unsigned_abs())) {
                Ok(input) => Some(input),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
        }
    }

    /// Notes whether OpenClaw took a message, for who looks; says whether that is news.
    fn note(&self, delivery: Option<Delivery>) -> bool {
        let target = &self.settings.rules.target;
        self.note_trouble(match delivery {
            Some(Delivery::Taken) => None,
            Some(Delivery::NotTaken) | None => Some(format!("OpenClaw took no message for {target}")),
        })
    }

    fn note_trouble(&self, now: Option<String>) -> bool {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = *trouble != now;
        if is_news {
            *trouble = now;
            drop(trouble);
            self.waker.wake();
        }
        is_news
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Asks the API something, with the owner's token.
    fn with_api<T>(
        &self,
        ask: impl FnOnce(&Api, &SecretString, Instant) -> std::result::Result<T, Unanswered>,
    ) -> std::result::Result<T, Heard> {
        let failed = |why: String| Heard::Failed {
            why,
            retry_after: None,
            expired: false,
        };
        let owner = self.owner().map_err(|error| failed(one_line(error)))?;
        let url = self.url(&owner).map_err(failed)?;
        let now = crate::time::now();
        let found = owner_token::find(&owner, &url, None, now).map_err(|none| Heard::Failed {
            why: none.to_string(),
            retry_after: None,
            expired: matches!(none.why, WhyNot::Expired(_)),
        })?;
        let api = Api {
            http: &self.http,
            url: &url,
            namespace: &self.settings.rules.namespace,
            trust: owner.loopback_trust(&self.place),
        };
        ask(&api, &found.token, Instant::now() + BUDGET).map_err(|unanswered| Heard::Failed {
            why: unanswered.error.to_string(),
            retry_after: unanswered.retry_after,
            expired: false,
        })
    }

    fn owner(&self) -> Result<Owner> {
        let query = OwnerQuery {
            namespace: Some(&self.settings.rules.namespace),
            ..OwnerQuery::default()
        };
        settings::owner(&query, &self.env, &self.place)
    }

    fn url(&self, owner: &Owner) -> std::result::Result<Url, String> {
        if owner.record.is_none() {
            return Err("nobody is logged in".to_owned());
        }
        http::check_url(&owner.api_url.value, self.http.options().insecure).map_err(|error| error.to_string())
    }
}

impl Surroundings for Around {
    fn ask(&mut self) -> Heard {
        let known = self.print.take();
        let asked = self.with_api(|api, token, deadline| api.pending_since(token, known, deadline));
        match asked {
            Ok((pending, print)) => {
                self.print = print;
                pending.map_or(Heard::Same, Heard::List)
            }
            Err(failed) => {
                tracing::debug!(home = %self.place.home.display(), "could not ask for requests: {failed:?}");
                failed
            }
        }
    }

    fn request(&mut self, id: &str) -> std::result::Result<Option<AuthorizationRequest>, Heard> {
        let asked = self.with_api(|api, token, deadline| api.request(token, id, deadline).map_err(Unanswered::from));
        // One of another namespace is as good as none.
        let ours = |now: &AuthorizationRequest| now.namespace.as_deref() == Some(&self.settings.rules.namespace);
        asked.map(|found| found.filter(ours))
    }

    fn decisions(&mut self, anyway: bool) -> Option<Vec<Entry>> {
        let log = DecisionLog::of(&self.place);
        let is = std::fs::symlink_metadata(log.file()).ok();
        let is = is.and_then(|meta| Some((meta.len(), meta.modified().ok()?)));
        let is = Some(is.unwrap_or((0, SystemTime::UNIX_EPOCH)));
        if is == self.log_was && !anyway {
            return None;
        }
        let entries = log.read().ok()?;
        // One that is under way is looked at again.
        let is_open = entries.last().is_some_and(|entry| entry.result.is_none());
        self.log_was = is.filter(|_| !is_open);
        Some(entries)
    }

    fn keep(&mut self, told: &Told) -> bool {
        if self.kept.as_ref() == Some(told) {
            return true;
        }
        if self.is_stopped() {
            return false;
        }
        match fs::write_private(&self.place.told_file(), &told.to_bytes()) {
            Ok(()) => {
                self.kept = Some(told.clone());
                if std::mem::take(&mut self.cannot_keep) {
                    self.note_trouble(None);
                }
                true
            }
            Err(error) => {
                let why = one_line(error);
                if !std::mem::replace(&mut self.cannot_keep, true) {
                    tracing::warn!(home = %self.place.home.display(), "nobody is told at once: {why}");
                }
                self.note_trouble(Some(why));
                false
            }
        }
    }

    fn hand_over(&mut self, message: &Outgoing) -> Option<Delivery> {
        let delivery = match (&self.way, &self.settings.openclaw) {
            (Way::HandedOver(hand), _) => {
                hand(Push::new(message, &self.settings.rules.target, &self.answers));
                return None;
            }
            (Way::Program, Some(openclaw)) => {
                messenger::send(openclaw, message, &self.settings.rules.target, &self.place, &self.env)
            }
            (Way::Program, None) => Some(Delivery::NotTaken),
        };
        if self.note(delivery) && delivery != Some(Delivery::Taken) {
            tracing::warn!(home = %self.place.home.display(), "OpenClaw took no message for {}; trying again", self.settings.rules.target);
        }
        delivery
    }
}
