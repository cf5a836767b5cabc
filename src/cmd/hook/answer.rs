//! One answer to one event: the settings, the tokens and the Sigilum API joined for [`crate::hook`].

use crate::cli::HookRunArgs;
use crate::cmd::context;
use crate::cmd::hook::caller::Caller;
use crate::cmd::own_program::PROGRAM;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs::{self, Inventory};
use crate::home::OpenClawHome;
use crate::hook::answer::{Answer, not_set_up};
use crate::hook::event::{Asks, Audience, Event, Readers};
use crate::hook::notice::{self, About, Form, Review};
use crate::hook::seen::{self, Answered, Seen};
use crate::local_token::LocalApi;
use crate::mode::Mode;
use crate::owner_token::{self, NoToken, OwnerToken, WhyNot};
use crate::request::{AuthorizationRequest, Pending, Which};
use crate::settings::Owner;
use crate::sigilum::api::{Api, ApiError};
use crate::sigilum::http::{self, Http, HttpError, ListenerError, Url};
use crate::sigilum::local_db::LocalDb;
use crate::time;
use crate::watch;
use crate::watch::push::told::{self, Told};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// An answer, and what to remember of it.
#[derive(Default, Serialize)]
pub struct Outcome {
    /// What goes back.
    #[serde(flatten)]
    pub answer: Answer,
    #[serde(skip)]
    memory: Option<Box<Memory>>,
}

struct Memory {
    file: PathBuf,
    /// What was beside it when the event came.
    before: Arc<Inventory>,
    answered: Answered,
}

impl Outcome {
    /// Call it once the answer was given: what is pending was seen, and perhaps read by its owner. That is no more than a
    /// help: a home that cannot be written to is answered all the same.
    pub fn remember(&self) {
        if let Some(memory) = &self.memory {
            let mut seen = read_seen(&memory.file);
            seen.remember(&memory.answered);
            let _ = memory.before.write_passing(&memory.file, &seen.to_bytes());
        }
    }

    /// The requests that their owner was shown by it.
    pub fn shown(&self) -> impl Iterator<Item = &AuthorizationRequest> {
        let answered = self.memory.iter().map(|memory| &memory.answered);
        answered.flat_map(|answered| {
            let is_shown = |id: &str| answered.shown.contains(id);
            let requests = answered.pending.requests.iter();
            requests.filter(move |request| request.id().is_some_and(is_shown))
        })
    }
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        Self { answer, memory: None }
    }
}

/// What a home's owner was shown, as far as that can be read.
pub fn read_seen(file: &Path) -> Seen {
    let bytes = fs::read_private(file, seen::MAX_BYTES).ok().flatten();
    bytes.map(|bytes| Seen::parse(&bytes)).unwrap_or_default()
}

/// Answers an event of the OpenClaw gateway, whatever comes of it. `http` gives the client for a caller.
pub fn for_gateway(
    event: &Event,
    args: &HookRunArgs,
    caller: &dyn Fn() -> Result<Caller>,
    http: &dyn Fn(&Caller) -> Arc<Http>,
) -> Outcome {
    if event.asks() == Asks::Nothing {
        return Outcome::default();
    }
    let caller = match caller() {
        Ok(caller) => caller,
        // Who is recorded to read is not known: nobody is told of this machine.
        Err(error) => {
            let form = event.audience(&Readers::default()).map(|_| Form::Brief);
            return not_set_up(event, form, "", &error).into();
        }
    };
    let mut event = event.clone();
    event.by_hand = caller.is_by_hand();
    let audience = event.audience(&caller.readers());
    answer(&event, audience, args, &caller, &http(&caller)).unwrap_or_else(|error| {
        let names_home = is_owner(audience) || caller.is_by_hand();
        let flags = caller.place.flags(&caller.env);
        let show = format!("{PROGRAM} hook run --event command:new");
        let show = show + if names_home { &flags } else { "" };
        // The broker's user would ask for another namespace than this one.
        let log_in = caller.is_guest() && names_home && error.code == ExitCode::Token;
        let command = caller.typed(&error.step().filter(|_| log_in).unwrap_or(show));
        not_set_up(&event, audience.map(|audience| audience.form), &command, &error).into()
    })
}

fn is_owner(audience: Option<Audience>) -> bool {
    audience.is_some_and(|audience| audience.is_owner)
}

/// Answers a person.
///
/// # Errors
/// Where the settings are wrong, so that nothing could be asked. Everything else is an answer.
pub fn for_person(event: &Event, args: &HookRunArgs, env: &Env) -> Result<Outcome> {
    let caller = Caller::person(&args.place, env)?;
    let http = Http::new(http::Options::from_env(&caller.env));
    let audience = event.audience(&Readers::default());
    answer(event, audience, args, &caller, &http)
}

fn answer(
    event: &Event,
    audience: Option<Audience>,
    args: &HookRunArgs,
    caller: &Caller,
    http: &Http,
) -> Result<Outcome> {
    let request = || {
        // A path of this machine is nothing for a group.
        let names_home = is_owner(audience) || caller.is_by_hand() || event.asks() == Asks::Startup;
        let mut request = HookRequest::new(args, caller, http, names_home)?;
        if is_owner(audience) && caller.decides_in_chat(event) {
            request.review = Review::Chat;
        }
        Ok::<_, Error>(request)
    };
    Ok(match (event.asks(), audience) {
        (Asks::Startup, _) => request()?.startup().into(),
        (Asks::Notice, Some(audience)) => request()?.notice(audience),
        // Nothing of ours, or nobody may see anything: nothing is asked.
        (Asks::Nothing, _) | (Asks::Notice, None) => Outcome::default(),
    })
}

/// Everything that is in force for one event.
struct HookRequest<'a> {
    caller: &'a Caller,
    http: &'a Http,
    owner: Owner,
    api: Url,
    review: Review,
    program: String,
    /// What a command is given to act on this home.
    flags: String,
    token: Result<OwnerToken, NoToken>,
    now_ms: i64,
    deadline: Instant,
    before: Arc<Inventory>,
}

impl<'a> HookRequest<'a> {
    fn new(args: &HookRunArgs, caller: &'a Caller, http: &'a Http, names_home: bool) -> Result<Self> {
        let deadline = caller.deadline()?;
        let before = Inventory::beside(&caller.place.seen_file(), OpenClawHome::stays);
        let entry = caller.entry_without_record()?;
        let owner = caller.owner(args, entry.as_ref())?;
        let api = owner.checked_api_url(http.options().insecure)?;
        let now_ms = time::now_ms();
        let typed_file = args.owner.token_file.is_some();
        let entry = entry.as_ref().filter(|_| !typed_file);
        let flags = caller.place.flags(&caller.env);
        let mut request = Self {
            program: caller.typed(PROGRAM),
            flags: if names_home { flags } else { String::new() },
            review: Review::new(owner.mode.value, caller.dashboard()),
            caller,
            http,
            token: owner_token::find(&owner, &api, entry, now_ms.div_euclid(1000)),
            owner,
            api,
            now_ms,
            deadline,
            before: Arc::new(before),
        };
        // The entry's token is the hook's alone.
        if request.review == Review::Terminal && request.owner.record.is_none() {
            let log_in = context::installers_login_command(&request.owner, &caller.place, &request.flags);
            request.review = Review::AfterLogin(caller.typed(&log_in));
        }
        Ok(request)
    }

    /// The command that makes or stores a new token.
    fn log_in(&self) -> String {
        self.caller
            .typed(&context::login_command(&self.owner, &self.caller.place, &self.flags))
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

    fn now(&self) -> i64 {
        self.now_ms.div_euclid(1000)
    }

    fn startup(&self) -> Answer {
        let token = match &self.token {
            Ok(token) => match token.left(self.now()) {
                Some(left) => format!("owner token expires in {}", time::duration(left)),
                None => "owner token without an expiry".to_owned(),
            },
            Err(no_token) => format!("no owner token to use ({no_token}); run: {}", self.log_in()),
        };
        Answer::log(format!(
            "sigilum-authz-notify {}: {}, {token}",
            env!("CARGO_PKG_VERSION"),
            self.whom()
        ))
    }

    fn notice(&self, audience: Audience) -> Outcome {
        let token = match &self.token {
            Ok(token) => token,
            Err(no_token) => return self.no_token(no_token, audience.form).into(),
        };
        let api = Api {
            http: self.http,
            url: &self.api,
            namespace: &self.owner.namespace.value,
            trust: self.owner.loopback_trust(&self.caller.place),
        };
        match api.requests(&token.token, &Which::PENDING, self.deadline) {
            Ok(pending) => self.pending(pending, audience, &format!("token from {}", token.source)),
            Err(ApiError::Http(error @ (HttpError::Refused | HttpError::Listener(_))))
                if self.owner.mode.value == Mode::OssLocal =>
            {
                self.ask_the_database(error, audience)
            }
            Err(error) => self.failed(error, audience).into(),
        }
    }

    fn pending(&self, pending: Pending, audience: Audience, how: &str) -> Outcome {
        let (count, all) = pending.count();
        let at_least = if all { "" } else { "at least " };
        let mut answer = Answer::log(format!("{at_least}{count} pending in {} ({how})", self.whom()));
        let namespace = &self.owner.namespace.value;
        let whose = format!("{namespace} at {}", self.api.origin().ascii_serialization());
        let file = self.caller.place.seen_file();
        let seen = read_seen(&file);
        let listed = seen.list(&whose, &pending, self.now_ms);
        let notice = notice::pending((count, all), &listed, &self.about(), audience.form);
        let described = notice.as_ref().map_or(0, |notice| notice.described);
        match notice {
            Some(notice) => answer.messages.push(notice.text),
            None if self.caller.is_by_hand() => {
                let nothing = format!("Nothing waits for approval in namespace {namespace}.");
                answer.messages.push(nothing);
            }
            None => {}
        }
        if pending.too_long > 0 {
            let told = notice::too_long(Some(pending.too_long), &self.about(), audience.form);
            answer.messages.push(told);
        }
        if audience.is_owner {
            answer.messages.extend(self.since(seen.owner_looked(&whose)));
        }
        answer.messages.extend(self.near_end(audience));
        let shown = if audience.is_owner { described } else { 0 };
        let shown = listed.iter().take(shown).filter_map(|listed| listed.request.id());
        let answered = Answered {
            whose,
            now: self.now_ms,
            shown: shown.map(str::to_owned).collect(),
            by_owner: audience.is_owner,
            pending,
        };
        Outcome {
            answer,
            memory: Some(Box::new(Memory {
                file,
                before: self.before.clone(),
                answered,
            })),
        }
    }

    /// What became of requests since the owner last looked, as far as somebody asked the API meanwhile.
    fn since(&self, last: Option<i64>) -> Option<String> {
        let bytes = fs::read_private(&self.caller.place.told_file(), told::MAX_BYTES).ok()??;
        let told = Told::parse(&bytes);
        let is_ours = told.whose.starts_with(&format!("{} at ", self.owner.namespace.value));
        let is_new = |at: i64| is_ours && last.is_none_or(|last| at > last);
        let news = told.outcomes.iter().filter(|became| is_new(became.at));
        let news: Vec<_> = news
            .map(|became| (became.status.as_str(), became.service.as_deref(), became.key.as_deref()))
            .collect();
        notice::since(&news, &self.about())
    }

    /// The token's last day, where nothing renews it: whoever can is told while the notices still come.
    fn near_end(&self, audience: Audience) -> Option<String> {
        let is_told = audience.is_owner || self.caller.is_by_hand();
        let when = self.token.as_ref().ok().filter(|_| is_told)?.near_end(self.now())?;
        let namespace = &self.owner.namespace.value;
        let renewed = watch::status::renewed_by(watch::status::read(&self.caller.place).as_ref(), namespace).is_some();
        (!renewed).then(|| notice::near_end(namespace, &when, &self.log_in()))
    }

    fn about(&self) -> About<'_> {
        About {
            namespace: &self.owner.namespace.value,
            review: &self.review,
            program: &self.program,
            flags: &self.flags,
            now: self.now(),
        }
    }

    /// oss-local without a running API that may be asked: the requests lie in its database.
    fn ask_the_database(&self, why: HttpError, audience: Audience) -> Outcome {
        let listener = match &why {
            HttpError::Listener(listener) => self.listener(listener, audience),
            _ => None,
        };
        let mut outcome = match self.in_database() {
            Ok(Some(pending)) => self.pending(pending, audience, &format!("{why}: read from the local database")),
            Ok(None) => {
                let log = format!(
                    "could not ask for {}: {why}, and our own database is empty",
                    self.whom()
                );
                match listener {
                    Some(_) => Answer::log(log).into(),
                    None => self.not_asked(&why.to_string(), log, audience).into(),
                }
            }
            Err(error) => {
                let log = format!(
                    "could not ask for {}: {why}, and the local database cannot be read: {error:#}",
                    self.whom()
                );
                let what = format!("{why}, and the local database cannot be read");
                self.not_asked(&what, log, audience).into()
            }
        };
        outcome.answer.messages.splice(0..0, listener);
        outcome
    }

    /// What the owner must know of who listens in the API's place, also where the requests are read elsewhere.
    fn listener(&self, listener: &ListenerError, audience: Audience) -> Option<String> {
        let port = self.api.port_or_known_default()?;
        let is_told = audience.is_owner || self.caller.is_by_hand();
        is_told.then(|| notice::listener(&listener.who(), port, &self.log_in()))
    }

    /// What waits by the local database, as [`LocalApi::requests`].
    fn in_database(&self) -> anyhow::Result<Option<Pending>> {
        let api = LocalApi::find(&self.owner, &self.caller.place)?;
        let left = self.deadline.saturating_duration_since(Instant::now());
        let db = LocalDb::open_read_only_within(&api.database, left)?;
        Ok(api.requests(&db, &self.owner.namespace.value, &Which::PENDING)?)
    }

    fn no_token(&self, no_token: &NoToken, form: Form) -> Answer {
        let what = match no_token.why {
            WhyNot::Expired(ago) => format!(
                "the owner token{} expired {} ago",
                self.namespace(" of", form),
                time::duration(ago)
            ),
            _ => format!("there is no owner token{}", self.namespace(" for", form)),
        };
        let log = format!("no owner token to use for {}: {no_token}", self.whom());
        self.problem(&what, log, form)
    }

    /// ` of namespace alice`: not everybody in a group need know whose hook it is.
    fn namespace(&self, before: &str, form: Form) -> String {
        match form {
            Form::Full => format!("{before} namespace {}", self.owner.namespace.value),
            Form::Brief => String::new(),
        }
    }

    fn failed(&self, error: ApiError, audience: Audience) -> Answer {
        let form = audience.form;
        let log = format!("could not ask for {}: {error}", self.whom());
        let what = match error {
            ApiError::Expired | ApiError::Unauthorized => {
                format!(
                    "the Sigilum API does not accept the owner token{}",
                    self.namespace(" of", form)
                )
            }
            ApiError::Forbidden => format!(
                "the Sigilum API does not accept the owner token{}: it is for another one",
                self.namespace(" for", form)
            ),
            ApiError::Http(HttpError::Listener(listener)) => {
                if let Some(told) = self.listener(&listener, audience) {
                    return Answer {
                        messages: vec![told],
                        ..Answer::log(log)
                    };
                }
                "another user of this machine may be listening in place of the Sigilum API, so it was not asked"
                    .to_owned()
            }
            // It stays so until the requests that make it so long run out.
            ApiError::Http(HttpError::TooLong(_)) => {
                return Answer {
                    messages: vec![notice::too_long(None, &self.about(), form)],
                    ..Answer::log(log)
                };
            }
            // Nothing that a command mends: the API will come back, or the log tells why not.
            error => return self.not_asked(&error.to_string(), log, audience),
        };
        self.problem(&what, log, form)
    }

    /// Silence would read as if nothing waited; but in a group nobody else need know.
    fn not_asked(&self, why: &str, log: String, audience: Audience) -> Answer {
        let mut answer = Answer::log(log);
        if audience.is_owner || self.caller.is_by_hand() {
            answer.messages.push(notice::not_asked(why));
        }
        answer.messages.extend(self.near_end(audience));
        answer
    }

    fn problem(&self, what: &str, log: String, form: Form) -> Answer {
        let mut answer = Answer::log(log);
        answer.messages.push(notice::problem(what, &self.log_in(), form));
        answer
    }
}
