//! One answer to one event: the settings, the tokens and the Sigilum API joined for [`crate::hook`].

use crate::cli::HookRunArgs;
use crate::cmd::context;
use crate::cmd::hook::caller::Caller;
use crate::cmd::hook::owner_token::{self, NoToken, OwnerToken, WhyNot};
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::hook::answer::{Answer, not_set_up};
use crate::hook::event::{Asks, Event, Readers};
use crate::hook::notice::{self, Form};
use crate::mode::Mode;
use crate::request::Pending;
use crate::settings::Owner;
use crate::sigilum::api::{Api, ApiError};
use crate::sigilum::checkout::Checkout;
use crate::sigilum::http::{self, Http, HttpError, Url};
use crate::sigilum::local_db::LocalDb;
use crate::time;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Answers an event of the OpenClaw gateway, whatever comes of it. `http` gives the client for a caller.
pub fn for_gateway(event: &Event, args: &HookRunArgs, env: &Env, http: &dyn Fn(&Caller) -> Arc<Http>) -> Answer {
    if event.asks() == Asks::Nothing {
        return Answer::default();
    }
    let caller = match Caller::gateway(&args.place, env) {
        Ok(caller) => caller,
        Err(error) => return not_set_up(event, event.audience(&Readers::default()), &error),
    };
    let form = event.audience(&caller.readers());
    answer(event, form, args, &caller, &http(&caller)).unwrap_or_else(|error| not_set_up(event, form, &error))
}

/// Answers a person.
///
/// # Errors
/// Where the settings are wrong, so that nothing could be asked. Everything else is an answer.
pub fn for_person(event: &Event, args: &HookRunArgs, env: &Env) -> Result<Answer> {
    let caller = Caller::person(&args.place, env)?;
    let http = Http::new(http::Options::from_env(&caller.env));
    answer(event, Some(Form::Full), args, &caller, &http)
}

fn answer(event: &Event, form: Option<Form>, args: &HookRunArgs, caller: &Caller, http: &Http) -> Result<Answer> {
    let request = || HookRequest::new(event.by_hand, args, caller, http);
    Ok(match (event.asks(), form) {
        (Asks::Startup, _) => request()?.startup(),
        (Asks::Notice, Some(form)) => request()?.notice(form),
        // Nothing of ours, or nobody may see anything: nothing is asked.
        (Asks::Nothing, _) | (Asks::Notice, None) => Answer::default(),
    })
}

/// Everything that is in force for one event.
struct HookRequest<'a> {
    by_hand: bool,
    caller: &'a Caller,
    http: &'a Http,
    owner: Owner,
    api: Url,
    token: Result<OwnerToken, NoToken>,
    now: i64,
    deadline: Instant,
}

impl<'a> HookRequest<'a> {
    fn new(by_hand: bool, args: &HookRunArgs, caller: &'a Caller, http: &'a Http) -> Result<Self> {
        let deadline = caller.deadline()?;
        let entry = caller.entry_without_record()?;
        let owner = caller.owner(args, entry.as_ref())?;
        let api = http::check_url(&owner.api_url.value, http.options().insecure).map_err(|error| {
            let what = format!("could not use the API URL (from {})", owner.api_url.origin);
            Error::new(ExitCode::Usage, what)
                .because(error)
                .next("log in with the right one: sigilum-authz-notify auth login --api-url <url>")
        })?;
        let now = time::now();
        let typed_file = args.owner.token_file.is_some();
        let entry = entry.as_ref().filter(|_| !typed_file);
        Ok(Self {
            by_hand,
            caller,
            http,
            token: owner_token::find(&owner, &api, entry, now),
            owner,
            api,
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
        let token = match &self.token {
            Ok(token) => match token.left(self.now) {
                Some(left) => format!("owner token valid for {}", time::duration(left)),
                None => "owner token without an expiry".to_owned(),
            },
            Err(no_token) => format!(
                "no owner token to use ({no_token}); run: {}",
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
        let token = match &self.token {
            Ok(token) => token,
            Err(no_token) => return self.no_token(no_token, form),
        };
        let api = Api {
            http: self.http,
            url: &self.api,
            namespace: &self.owner.namespace.value,
            trust: self.owner.loopback_trust(&self.caller.place),
        };
        match api.pending_requests(&token.token, self.left()) {
            Ok(pending) => self.pending(&pending, form, &format!("token from {}", token.source)),
            Err(ApiError::Http(error @ (HttpError::Refused | HttpError::Listener(_))))
                if self.owner.mode.value == Mode::OssLocal =>
            {
                self.ask_the_database(error, form)
            }
            Err(error) => self.failed(error, form),
        }
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
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
        if answer.messages.is_empty() && self.by_hand {
            answer
                .messages
                .push(format!("Nothing waits for approval in namespace {namespace}."));
        }
        answer
    }

    fn dashboard(&self) -> String {
        notice::dashboard(self.caller.dashboard())
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
            (None, Some(checkout)) => Checkout::open(&checkout.value, &self.caller.place.home)?.api_db()?,
            (None, None) => self.caller.place.embedded_db(),
        };
        Ok(LocalDb::open_read_only_within(&path, self.left())?)
    }

    fn no_token(&self, no_token: &NoToken, form: Form) -> Answer {
        let namespace = &self.owner.namespace.value;
        let what = match no_token.why {
            WhyNot::Expired(ago) => format!(
                "the owner token of namespace {namespace} expired {} ago",
                time::duration(ago)
            ),
            _ => format!("there is no owner token for namespace {namespace}"),
        };
        let log = format!("no owner token to use for {}: {no_token}", self.whom());
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
