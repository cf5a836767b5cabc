//! One decision: read again, the intent logged, sent, the result logged. Killed at any point, the next command finds the
//! intent and asks the API what became of it.

use super::decision_log::{DecisionLog, How, Intent, Outcome};
use super::timed::{self, TimedApproval};
use crate::error::{Error, ExitCode, Result};
use crate::fs::{self, FileLock};
use crate::home::OpenClawHome;
use crate::request::{AuthorizationRequest, Decision};
use crate::sigilum::api::{Api, ApiError};
use crate::sigilum::decisions::Refusal;
use crate::sigilum::http::HttpError;
use secrecy::SecretString;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long another process's decision is waited for by who makes none.
const PATIENCE: Duration = Duration::from_secs(25);

/// Where decisions are made: whose requests, at which API, in which home.
pub struct Desk<'a> {
    /// Where log and timed approvals are.
    pub place: &'a OpenClawHome,
    /// The API of the namespace owner.
    pub api: &'a Api<'a>,
    /// Their token.
    pub token: &'a SecretString,
    /// The account of who decides; in the chat channel and sender.
    pub by: String,
    /// How long the API may take for one decision; a quarter more where it has to be asked what became of it.
    pub budget: Duration,
    /// How long to wait for another process that is deciding.
    pub patience: Duration,
}

/// What is decided.
pub struct Wanted<'a> {
    /// What.
    pub decision: Decision,
    /// About which request, as it was shown.
    pub shown: &'a AuthorizationRequest,
    /// How it came about.
    pub how: How,
    /// When an approval is to be taken back, Unix seconds.
    pub until: Option<i64>,
    /// It was read just now, and nobody was asked or decided about since.
    pub is_fresh: bool,
    /// Asked when everything else is settled, right before it is logged and sent: whether it may be.
    pub confirm: Option<&'a dyn Fn() -> bool>,
}

/// A decision that is made.
#[derive(Debug)]
pub struct Decided {
    /// What.
    pub decision: Decision,
    /// The request, as it was before.
    pub request: AuthorizationRequest,
    /// The account of who decided.
    pub by: String,
    /// How it came about.
    pub how: How,
    /// When it is taken back, Unix seconds.
    pub until: Option<i64>,
    /// Why it is not in our log, or not with its result.
    pub unlogged: Option<Error>,
}

/// Why a decision was not made.
#[derive(Debug)]
pub enum Stopped {
    /// The request is not as it was shown any more: as it is now, or gone.
    Changed(Option<Box<AuthorizationRequest>>),
    /// It was not confirmed: nothing was sent.
    NotConfirmed,
    /// Its intent could not be logged: nothing was sent.
    NotLogged(Error),
    /// The API refused.
    Refused(Refusal),
    /// It was sent, and whether it was done is not known.
    Unknown(ApiError),
    /// Something of ours stood in the way: nothing was sent.
    Ours(Error),
}

impl Stopped {
    /// The exit code that goes with it.
    pub fn code(&self) -> ExitCode {
        match self {
            Self::Changed(_)
            | Self::NotConfirmed
            | Self::Refused(Refusal::NotFound | Refusal::AgentLimit | Refusal::ServiceLimit) => ExitCode::Failure,
            Self::Refused(Refusal::Api(error)) => match error {
                ApiError::Expired | ApiError::Unauthorized | ApiError::Forbidden => ExitCode::Token,
                _ => ExitCode::Unreachable,
            },
            Self::Unknown(_) => ExitCode::Unreachable,
            Self::NotLogged(error) | Self::Ours(error) => error.code,
        }
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(_) => f.write_str("the request is not as it was"),
            Self::NotConfirmed => f.write_str("it was not confirmed"),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Unknown(error) => write!(f, "it may have been done: {error}"),
            Self::NotLogged(error) | Self::Ours(error) => error.fmt(f),
        }
    }
}

impl From<ApiError> for Stopped {
    fn from(error: ApiError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl Desk<'_> {
    /// Makes a decision. Only one process of a home decides at a time.
    pub fn decide(&self, wanted: &Wanted) -> Result<Decided, Stopped> {
        let (_lock, waited) = self.lock_for(wanted.decision)?;
        // What was read before somebody else was waited for may be old.
        if !wanted.is_fresh || waited {
            let now = self.read(wanted.shown)?;
            if now.as_ref().is_none_or(|now| now.fields() != wanted.shown.fields()) {
                return Err(Stopped::Changed(now.map(Box::new)));
            }
        }
        if wanted.confirm.is_some_and(|confirm| !confirm()) {
            return Err(Stopped::NotConfirmed);
        }
        self.send(wanted)
    }

    /// Takes an approval back whose time is over. `None`: it does not stand any more, and is forgotten.
    pub fn take_back(&self, approval: &TimedApproval) -> Result<Option<Decided>, Stopped> {
        // What a killed run did not send must not be taken for done once this one has.
        match self.settle_open() {
            // A log that cannot be read keeps nothing approved.
            Ok(_) | Err(Stopped::Ours(_)) => {}
            Err(stopped) => return Err(stopped),
        }
        let _lock = self.lock_for(Decision::Revoke)?;
        let asked = AuthorizationRequest {
            claim_id: Some(approval.claim_id.clone()),
            ..AuthorizationRequest::default()
        };
        let standing = self.read(&asked)?.filter(|now| now.is(Decision::Revoke.from()));
        let Some(now) = standing else {
            timed::forget(self.place, &approval.claim_id)?;
            return Ok(None);
        };
        let wanted = Wanted {
            decision: Decision::Revoke,
            shown: &now,
            how: How::TimeOver,
            until: None,
            is_fresh: true,
            confirm: None,
        };
        self.send(&wanted).map(Some)
    }

    /// Asks the API what became of decisions whose process was killed, and completes our log. Gives how many were open.
    ///
    /// # Errors
    /// The log cannot be read or written, or the API not be asked: they stay open.
    pub fn settle_open(&self) -> Result<usize, Stopped> {
        let log = DecisionLog::of(self.place);
        let api = self.origin();
        let open = || -> Result<Vec<Intent>> {
            let entries = log.read()?.into_iter().filter(|entry| entry.result.is_none());
            let intents = entries.map(|entry| entry.intent);
            Ok(intents
                .filter(|intent| intent.namespace == self.api.namespace && intent.api == api)
                .collect())
        };
        if open()?.is_empty() {
            return Ok(0);
        }
        // Whoever had made them has ended, once the lock is ours.
        let _lock = self.lock()?;
        let open = open()?;
        for intent in &open {
            let asked = self.api.request(self.token, &intent.claim_id, self.deadline())?;
            let stands = asked.as_ref().is_some_and(|now| now.is(intent.decision.from()));
            if stands && intent.how == How::TimeOver {
                // The watcher is still at it: one intent for all its tries.
                continue;
            }
            let (outcome, answer) = match &asked {
                Some(now) if now.is(intent.decision.to()) => (Outcome::Done, format!("found {}", intent.decision.to())),
                Some(now) => (
                    Outcome::NotDone,
                    format!("found {}", now.status.as_deref().unwrap_or("without a status")),
                ),
                None => (Outcome::Unknown, "the request is gone".to_owned()),
            };
            forget_time(self.place, intent, outcome)?;
            log.settle(intent, outcome, &answer)?;
        }
        Ok(open.len())
    }

    /// The lock for a decision, and whether it was waited for. Where there can be none, as in a folder that nothing can
    /// be written to, a reject or a revoke is made all the same.
    fn lock_for(&self, decision: Decision) -> Result<(Option<FileLock>, bool)> {
        let anothers = self.place.anothers();
        match FileLock::try_acquire(&lock_file(self.place), anothers) {
            Ok(Some(lock)) => Ok((Some(lock), false)),
            Ok(None) => Ok((Some(self.lock()?), true)),
            Err(_) if decision != Decision::Approve && anothers.is_none() => Ok((None, false)),
            Err(error) => Err(error),
        }
    }

    fn lock(&self) -> Result<FileLock> {
        lock_within(self.place, self.patience)
    }

    fn origin(&self) -> String {
        self.api.url.origin().ascii_serialization()
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.budget
    }

    /// A request as it is now; one of another namespace, or without an id to ask by, is as good as gone.
    fn read(&self, request: &AuthorizationRequest) -> Result<Option<AuthorizationRequest>, ApiError> {
        let Some(id) = request.id() else { return Ok(None) };
        let found = self.api.request(self.token, id, self.deadline())?;
        Ok(found.filter(|now| now.id() == Some(id) && now.namespace.as_deref() == Some(self.api.namespace)))
    }

    /// Writes down what is about to be sent, and when it is to be taken back. The error is that of a log that cannot be
    /// written, for a decision that is made all the same.
    fn intend(&self, wanted: &Wanted, log: &DecisionLog) -> Result<(Intent, Option<Error>), Stopped> {
        // What cannot be mended is no obstacle: each status tells of it.
        let _ = fs::mend(&self.place.sigilum_dir(), |_| true);
        let whose = (self.api.namespace, self.origin());
        let intent = Intent::new(wanted.decision, wanted.shown, (whose.0, &whose.1), &self.by, wanted.how);
        let intent = Intent {
            until: wanted.until,
            ..intent
        };
        let (intent, unlogged) = match log.tried_before(&intent) {
            Some(before) => (before, None),
            None => {
                let unlogged = log.intend(&intent).err();
                (intent, unlogged)
            }
        };
        if wanted.decision == Decision::Approve
            && let Some(error) = unlogged
        {
            return Err(Stopped::NotLogged(error));
        }
        if let Some(until) = wanted.until {
            // Before it is approved: whatever happens from here on, it does not stay for ever.
            let approval = TimedApproval {
                claim_id: intent.claim_id.clone(),
                namespace: intent.namespace.clone(),
                api: intent.api.clone(),
                until,
            };
            if let Err(error) = timed::keep(self.place, approval) {
                log.settle(&intent, Outcome::NotDone, &error.text())?;
                return Err(Stopped::Ours(error));
            }
        }
        Ok((intent, unlogged))
    }

    /// Under the lock, with the request as it is now.
    fn send(&self, wanted: &Wanted) -> Result<Decided, Stopped> {
        let log = DecisionLog::of(self.place);
        let (intent, unlogged) = self.intend(wanted, &log)?;
        let sent = self
            .api
            .decide(self.token, wanted.decision, &intent.claim_id, self.deadline());
        let refusal = match sent.or_else(|refusal| self.what_became(&intent, refusal)) {
            Ok(()) => None,
            Err(Stopped::Refused(refusal)) if wanted.how != How::TimeOver => Some(refusal),
            // The intent stays open; an approval whose time is over is taken back until it does not stand any more.
            Err(open) => return Err(open),
        };
        let (outcome, answer) = match &refusal {
            None => (Outcome::Done, wanted.decision.to().to_owned()),
            Some(refusal) => (Outcome::NotDone, refusal.to_string()),
        };
        let kept = forget_time(self.place, &intent, outcome);
        let settled = match &unlogged {
            None => log.settle(&intent, outcome, &answer),
            Some(_) => Ok(()),
        };
        let unlogged = unlogged
            .map(|error| after_it("this decision stays out of the log", &error))
            .or_else(|| Some(after_it("the next command of authz adds its result", &settled.err()?)))
            .or(kept.err());
        match refusal {
            Some(refusal) => Err(Stopped::Refused(refusal)),
            None => Ok(Decided {
                decision: wanted.decision,
                request: wanted.shown.clone(),
                by: self.by.clone(),
                how: wanted.how,
                until: wanted.until,
                unlogged,
            }),
        }
    }

    /// Where the answer does not say whether it was done, the request does.
    fn what_became(&self, intent: &Intent, refusal: Refusal) -> Result<(), Stopped> {
        let error = match refusal {
            Refusal::Api(error) if may_be_done(&error) => error,
            refusal => return Err(Stopped::Refused(refusal)),
        };
        let deadline = Instant::now() + self.budget / 4;
        match self.api.request(self.token, &intent.claim_id, deadline) {
            Ok(Some(now)) if now.is(intent.decision.to()) => Ok(()),
            // The API answered: it is through with it.
            Ok(Some(_)) if matches!(error, ApiError::Status(_) | ApiError::Later(..)) => {
                Err(Stopped::Refused(error.into()))
            }
            _ => Err(Stopped::Unknown(error)),
        }
    }
}

/// Keeps a home's decisions, and whatever they are made by, to this process; waits for another one's decision.
pub fn lock(place: &OpenClawHome) -> Result<FileLock> {
    lock_within(place, PATIENCE)
}

fn lock_within(place: &OpenClawHome, patience: Duration) -> Result<FileLock> {
    FileLock::acquire(&lock_file(place), place.anothers(), patience)
}

fn lock_file(place: &OpenClawHome) -> PathBuf {
    place.sigilum_dir().join("decisions.lock")
}

/// Whether a request that ended so may have been carried out.
fn may_be_done(error: &ApiError) -> bool {
    match error {
        ApiError::Http(HttpError::Timeout | HttpError::BrokenOff | HttpError::NotHttp | HttpError::TooLong(_)) => true,
        // Who is asked to come back later was not served.
        ApiError::Later(status, _) => *status != 429,
        // Whatever stands between may say anything once it is done.
        ApiError::Status(_) | ApiError::Decode(_) => true,
        _ => false,
    }
}

/// Why a decision that is made is not recorded: its step is not to make it again.
fn after_it(then: &str, error: &Error) -> Error {
    let told = Error::new(error.code, error.text());
    match error.step() {
        Some(step) => told.next(format!(
            "{}; {then}",
            step.trim_end_matches(", and run the command again")
        )),
        None => told,
    }
}

/// The end of an approval that does not stand needs no keeping.
fn forget_time(place: &OpenClawHome, intent: &Intent, outcome: Outcome) -> Result<()> {
    let stands = match intent.decision {
        Decision::Approve => intent.until.is_none() || outcome == Outcome::Done,
        Decision::Reject => true,
        Decision::Revoke => outcome == Outcome::NotDone,
    };
    match stands {
        true => Ok(()),
        false => timed::forget(place, &intent.claim_id),
    }
}
