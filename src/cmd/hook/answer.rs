//! One answer to one event: the settings, the tokens and the Sigilum API joined for [`crate::hook`].

use crate::cli::HookRunArgs;
use crate::cmd::context;
use crate::cmd::hook::candidates::{Candidates, WhyNot, candidates};
use crate::cmd::output;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::home::{self, OpenClawHome};
use crate::hook::answer::Answer;
use crate::hook::event::{Asks, Event};
use crate::hook::notice::{self, Form};
use crate::mode::Mode;
use crate::openclaw::entry::Entry;
use crate::request::Pending;
use crate::settings::{self, Owner, OwnerQuery};
use crate::sigilum::api::{Api, ApiError};
use crate::sigilum::checkout::Checkout;
use crate::sigilum::http::{self, Http, HttpError, Url};
use crate::sigilum::local_db::LocalDb;
use crate::time;
use std::time::{Duration, Instant};

/// The whole budget of an answer, unless `SIGILUM_HOOK_TIMEOUT_MS` says otherwise. OpenClaw's side waits for 5 s.
const BUDGET: Duration = Duration::from_secs(4);

/// Answers one event.
///
/// # Errors
/// Where the settings are wrong, so that nothing could be asked. Everything else is an answer.
pub fn answer(event: &Event, args: &HookRunArgs, env: &Env, http: &Http) -> Result<Answer> {
    let form = match event.asks() {
        Asks::Nothing => return Ok(Answer::default()),
        Asks::Startup => None,
        // Nobody may see anything: nothing is asked.
        Asks::Notice => match event.audience(env) {
            Some(form) => Some(form),
            None => return Ok(Answer::default()),
        },
    };
    let place = home::find(
        event.home(args.place.openclaw_home.as_deref()),
        args.place.config.as_deref(),
        env,
    )?;
    if event.by_hand {
        place.warnings.iter().for_each(output::warn);
    }
    let mut event_with_entry = None;
    let event = match &event.entry_env {
        Some(_) => event,
        // A person, or a sender that did not bring it: the entry is looked up.
        None => event_with_entry.insert(event.with_entry(context::entry_env_if_readable(&place))),
    };
    let request = HookRequest::new(event, args, env, http, place)?;
    Ok(match form {
        None => request.startup(),
        Some(form) => request.notice(form),
    })
}

/// Everything that is in force for one event.
struct HookRequest<'a> {
    event: &'a Event,
    env: &'a Env,
    http: &'a Http,
    place: OpenClawHome,
    owner: Owner,
    api: Url,
    found: Candidates,
    now: i64,
    deadline: Instant,
}

impl<'a> HookRequest<'a> {
    fn new(event: &'a Event, args: &HookRunArgs, env: &'a Env, http: &'a Http, place: OpenClawHome) -> Result<Self> {
        let deadline = Instant::now() + budget(event, env)?;
        let entry_env = || Ok(event.entry_env.clone());
        let query = OwnerQuery {
            entry_env: Some(&entry_env),
            is_hook: true,
            ..context::owner_query(&args.owner, &args.local_api)
        };
        let owner = settings::owner(&query, env, &place)?;
        // Only the process's own environment may allow plain http: agents can edit the config.
        let api = http::check_url(&owner.api_url.value, http.options().insecure).map_err(|error| {
            let what = format!("could not use the API URL (from {})", owner.api_url.origin);
            Error::new(ExitCode::Usage, what)
                .because(error)
                .next("log in with the right one: sigilum-authz-notify auth login --api-url <url>")
        })?;
        let now = time::now();
        let entry = event.entry_env.clone().map(|env| Entry { enabled: true, env });
        let found = candidates(&owner, &api, entry.as_ref(), event.token.as_ref(), env, now);
        Ok(Self {
            event,
            env,
            http,
            place,
            owner,
            api,
            found,
            now,
            deadline,
        })
    }

    /// `namespace alice (oss-local, http://127.0.0.1:8787)`
    fn whom(&self) -> String {
        let api = self.api.origin().ascii_serialization();
        format!(
            "namespace {} ({}, {api})",
            self.owner.namespace.value,
            self.owner.mode.value.as_str()
        )
    }

    fn startup(&self) -> Answer {
        let token = match self.found.usable.first() {
            Some(candidate) => match candidate.left(self.now) {
                Some(left) => format!("owner token valid for {}", time::duration(left)),
                None => "owner token without an expiry".to_owned(),
            },
            None => format!(
                "no owner token to use ({}); run: {}",
                self.found,
                context::login_command(&self.owner)
            ),
        };
        Answer::log(format!(
            "sigilum-authz-notify {}: {}, {token}",
            env!("CARGO_PKG_VERSION"),
            self.whom()
        ))
    }

    fn notice(&self, form: Form) -> Answer {
        if self.found.usable.is_empty() {
            return self.no_token(form);
        }
        let api = Api {
            http: self.http,
            url: &self.api,
            namespace: &self.owner.namespace.value,
            trust: self.owner.loopback_trust(&self.place),
        };
        let mut refused = ApiError::Unauthorized;
        // On a refusal the next newest token is tried, once.
        for candidate in self.found.usable.iter().take(2) {
            let left = self.deadline.saturating_duration_since(Instant::now());
            match api.pending_requests(&candidate.token, left) {
                Ok(pending) => return self.pending(&pending, form, &format!("token from {}", candidate.source)),
                Err(ApiError::Http(error @ (HttpError::Refused | HttpError::Listener(_))))
                    if self.owner.mode.value == Mode::OssLocal =>
                {
                    return self.ask_the_database(error, form);
                }
                Err(error) if error.refuses_the_token() => refused = error,
                Err(error) => return self.failed(error, form),
            }
        }
        self.failed(refused, form)
    }

    fn pending(&self, pending: &Pending, form: Form, how: &str) -> Answer {
        let namespace = &self.owner.namespace.value;
        let dashboard = self.dashboard();
        let (count, all) = pending.count();
        let at_least = if all { "" } else { "at least " };
        let mut answer = Answer::log(format!("{at_least}{count} pending in {} ({how})", self.whom()));
        answer.messages = notice::pending(pending, namespace, &dashboard, self.now, form)
            .into_iter()
            .collect();
        if answer.messages.is_empty() && self.event.by_hand {
            answer
                .messages
                .push(format!("Nothing waits for approval in namespace {namespace}."));
        }
        answer
    }

    fn dashboard(&self) -> String {
        notice::dashboard(self.event.setting(self.env, "SIGILUM_DASHBOARD_URL"))
    }

    /// oss-local without a running API that may be asked: the requests lie in its database.
    fn ask_the_database(&self, why: HttpError, form: Form) -> Answer {
        match self
            .database()
            .and_then(|db| Ok(db.pending_requests(&self.owner.namespace.value)?))
        {
            Ok(pending) => self.pending(&pending, form, &format!("{why}: read from the local database")),
            Err(error) => Answer::log(format!(
                "could not ask for {}: {why}, and the local database cannot be read: {error:#}",
                self.whom()
            )),
        }
    }

    fn database(&self) -> anyhow::Result<LocalDb> {
        let path = match (&self.owner.api_db, &self.owner.source_home) {
            (Some(path), _) => path.value.clone(),
            (None, Some(checkout)) => Checkout::open(&checkout.value, &self.place.home)?.api_db()?,
            (None, None) => self.place.embedded_db(),
        };
        Ok(LocalDb::open_read_only(&path)?)
    }

    fn no_token(&self, form: Form) -> Answer {
        let expired = self.found.unusable.iter().filter_map(|(_, why)| match why {
            WhyNot::Expired(ago) => Some(*ago),
            _ => None,
        });
        let namespace = &self.owner.namespace.value;
        let what = match expired.min() {
            Some(ago) => format!(
                "the owner token of namespace {namespace} expired {} ago",
                time::duration(ago)
            ),
            None => format!("there is no owner token for namespace {namespace}"),
        };
        let log = format!("no owner token to use for {}: {}", self.whom(), self.found);
        self.problem(&what, log, form)
    }

    fn failed(&self, error: ApiError, form: Form) -> Answer {
        let namespace = &self.owner.namespace.value;
        let log_line = format!("could not ask for {}: {error}", self.whom());
        let what = match error {
            ApiError::Expired | ApiError::Unauthorized => {
                format!("the Sigilum API does not accept the owner token of namespace {namespace}")
            }
            ApiError::Forbidden => {
                format!("the Sigilum API says that the owner token is not for namespace {namespace}")
            }
            ApiError::Http(HttpError::Listener(_)) => {
                "another user of this machine may be listening in place of the Sigilum API, so it was not asked"
                    .to_owned()
            }
            // It stays so until somebody answers the request that makes it so long.
            ApiError::Http(HttpError::TooLong(_)) => {
                return Answer {
                    messages: vec![notice::too_long(namespace, &self.dashboard(), form)],
                    ..Answer::log(log_line)
                };
            }
            // Nothing that a command mends: the API will come back, or the log tells why not.
            _ => return Answer::log(log_line),
        };
        self.problem(&what, log_line, form)
    }

    fn problem(&self, what: &str, log_line: String, form: Form) -> Answer {
        let mut answer = Answer::log(log_line);
        answer
            .messages
            .push(notice::problem(what, &context::login_command(&self.owner), form));
        answer
    }
}

fn budget(event: &Event, env: &Env) -> Result<Duration> {
    const NAME: &str = "SIGILUM_HOOK_TIMEOUT_MS";
    match event.setting(env, NAME) {
        None => Ok(BUDGET),
        Some(text) => text
            .parse()
            .ok()
            .filter(|ms| (1..=60_000).contains(ms))
            .map(Duration::from_millis)
            .ok_or_else(|| {
                Error::new(
                    ExitCode::Usage,
                    format!("could not take {NAME}: 1 to 60000 milliseconds"),
                )
            }),
    }
}
