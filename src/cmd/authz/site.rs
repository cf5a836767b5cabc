//! Whose requests: the owner, their token, and the API that it goes to. `openclaw.json` says nothing of any of these.

use crate::authz::decide::{Desk, Stopped};
use crate::cli::{HookRunArgs, ShowArgs};
use crate::cmd::context;
use crate::cmd::hook::caller::Caller;
use crate::cmd::own_program::PROGRAM;
use crate::cmd::{output, owner};
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::home::OpenClawHome;
use crate::hook_record;
use crate::owner_token;
use crate::request::{AuthorizationRequest, Pending, STATUSES, Which};
use crate::settings::{Owner, OwnerQuery};
use crate::sigilum::api::{Api, ApiError};
use crate::sigilum::http::{self, Http, Url};
use crate::time;
use secrecy::SecretString;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long things may take.
struct Limits {
    /// The API, for all that is read.
    reading: Duration,
    /// The API, for one decision.
    deciding: Duration,
    /// Another process that is deciding.
    patience: Duration,
}

/// A process that is deciding may take all its time, and a bit more.
const AT_A_TERMINAL: Limits = Limits {
    reading: Duration::from_secs(30),
    deciding: Duration::from_secs(15),
    patience: Duration::from_secs(25),
};
/// Nobody in a chat waits for longer than 4 s; a decision that is sent is seen to its end all the same.
const IN_A_CHAT: Limits = Limits {
    reading: Duration::from_secs(3),
    deciding: Duration::from_secs(10),
    patience: Duration::from_secs(2),
};
/// The most requests of one status that are read.
pub const MOST: usize = 10_000;

/// Where a command of `authz` works.
pub struct Site {
    /// The home.
    pub place: OpenClawHome,
    /// The namespace owner.
    pub owner: Owner,
    /// The flags that a person typed for these, each with a blank before it, for a command that is printed.
    pub flags: String,
    /// Those of them that lead to the home.
    pub place_flags: String,
    /// Where decisions are made by a person, for messages; `None`: nowhere else.
    pub dashboard: Option<String>,
    /// How a command of this program's begins.
    program: String,
    by: String,
    limits: Limits,
    http: Arc<Http>,
    url: Url,
    token: SecretString,
}

impl Site {
    /// Finds it all.
    ///
    /// # Errors
    /// [`ExitCode::Token`] where there is no token that may be sent to this API.
    pub fn open(args: &ShowArgs, env: &Env) -> Result<Self> {
        let place = context::place(&args.place, env)?;
        let query = OwnerQuery {
            namespace: args.namespace.as_deref(),
            token_file: args.token_file.as_deref(),
            ..OwnerQuery::default()
        };
        let place_flags = context::place_flags(&args.place);
        let owner = owner::logged_in(query, env, &place, &place_flags)?;
        let flags = flags(args);
        let http = Arc::new(Http::new(http::Options::from_env(env)));
        let (url, token) = api_and_token(&owner, &http, &place, &place_flags)?;
        let recorded = hook_record::read(&place.hook_record_file()).ok().flatten();
        let named = env.var("SIGILUM_DASHBOARD_URL").map(str::to_owned);
        Ok(Self {
            dashboard: named.or(recorded.and_then(|record| record.dashboard)),
            place,
            owner,
            flags,
            place_flags,
            program: PROGRAM.to_owned(),
            by: fs::account_name(),
            limits: AT_A_TERMINAL,
            http,
            url,
            token,
        })
    }

    /// Finds it all for a sender in a chat, by the records alone.
    ///
    /// # Errors
    /// As [`Site::open`].
    pub fn in_chat(caller: &Caller, args: &HookRunArgs, http: Arc<Http>, sender: &str) -> Result<Self> {
        let owner = caller.owner(args, None)?;
        let place_flags = caller.place.flags(&caller.env);
        let (url, token) = api_and_token(&owner, &http, &caller.place, &place_flags)?;
        Ok(Self {
            place: caller.place.clone(),
            owner,
            flags: place_flags.clone(),
            place_flags,
            dashboard: caller.dashboard().map(str::to_owned),
            program: caller.typed(PROGRAM),
            by: sender.to_owned(),
            limits: IN_A_CHAT,
            http,
            url,
            token,
        })
    }

    /// Finds it all for somebody who asks a broker, at a terminal.
    ///
    /// # Errors
    /// As [`Site::open`].
    pub fn relayed(caller: &Caller, args: &HookRunArgs, http: Arc<Http>) -> Result<Self> {
        let site = Self::in_chat(caller, args, http, "the broker's socket")?;
        Ok(Self {
            limits: AT_A_TERMINAL,
            ..site
        })
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.owner.namespace.value
    }

    /// The API's origin.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// The API of the owner.
    pub fn api(&self) -> Api<'_> {
        Api {
            http: &self.http,
            url: &self.url,
            namespace: self.namespace(),
            trust: self.owner.loopback_trust(&self.place),
        }
    }

    /// Where decisions are made.
    pub fn desk<'a>(&'a self, api: &'a Api<'a>) -> Desk<'a> {
        Desk {
            place: &self.place,
            api,
            token: &self.token,
            by: self.by.clone(),
            budget: self.limits.deciding,
            patience: self.limits.patience,
        }
    }

    /// The owner token.
    pub fn token(&self) -> &SecretString {
        &self.token
    }

    /// When the API must be through with what a command reads.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.limits.reading
    }

    /// A command of this program's, with the flags that a person typed.
    pub fn command(&self, words: &str) -> String {
        format!("{} {words}{}", self.program, self.flags)
    }

    /// The requests of a status, of one service or of all.
    pub fn requests(&self, status: &str, service: Option<&str>) -> Result<Pending, ApiError> {
        let which = Which {
            status,
            service,
            most: MOST,
        };
        self.api().requests(&self.token, &which, self.deadline())
    }

    /// Refuses a list without one request where the API says that there are some.
    ///
    /// # Errors
    /// It is such a list.
    pub fn refuse_none_of_some(&self, status: &str, found: &Pending) -> Result<()> {
        let (count, _) = found.count();
        if !found.requests.is_empty() || found.too_long > 0 || count == 0 {
            return Ok(());
        }
        let what = format!(
            "could not read the {status} requests of namespace {}: there are {count}, and the API lists none",
            self.namespace()
        );
        Err(Error::new(ExitCode::Unreachable, what).next(self.command("doctor")))
    }

    /// All requests of every status.
    ///
    /// # Errors
    /// The API could not be asked, or some could not be read: an id that looks unique may not be.
    pub fn all_requests(&self, service: Option<&str>) -> Result<Vec<AuthorizationRequest>> {
        let mut all = Vec::new();
        for status in STATUSES {
            let found = self.requests(status, service).map_err(|error| self.not_asked(error))?;
            if !found.is_all() {
                let what = format!("could not read all {status} requests of namespace {}", self.namespace());
                return Err(Error::new(ExitCode::Unreachable, what).next("give whole ids, or run the command again"));
            }
            all.extend(found.requests);
        }
        Ok(all)
    }

    /// One request, by its whole id; `None` where there is none in this namespace.
    pub fn request(&self, id: &str) -> Result<Option<AuthorizationRequest>> {
        let found = self.api().request(&self.token, id, self.deadline());
        let found = found.map_err(|error| self.not_asked(error))?;
        let Some(request) = found.filter(|request| request.id() == Some(id)) else {
            return Ok(None);
        };
        match request.namespace.as_deref() == Some(self.namespace()) {
            true => Ok(Some(request)),
            false => {
                let what = format!(
                    "could not use {id}: it is a request in another namespace than {}",
                    self.namespace()
                );
                Err(Error::new(ExitCode::Token, what).next(self.command("auth status")))
            }
        }
    }

    /// Completes our log where a run was killed; what stands in the way is a warning.
    pub fn settle_open(&self) {
        let api = self.api();
        match self.desk(&api).settle_open() {
            Ok(_) => {}
            // Whether any is open is not known.
            Err(Stopped::Ours(error)) => output::warn(error),
            Err(why) => output::warn(format_args!(
                "a decision that a killed run left open is still not known: {why}"
            )),
        }
    }
}

/// What is to say of requests of a status that are too long to be read, each by itself.
pub fn too_long(status: &str, found: &Pending) -> Option<String> {
    let what = match found.too_long {
        0 => return None,
        1 => format!("1 {status} request is too long to be read (over 1 MiB)"),
        count => format!("{count} {status} requests are too long to be read (over 1 MiB each)"),
    };
    let runs_out = "; what is not answered within 24 h runs out";
    Some(what + if status == "pending" { runs_out } else { "" })
}

/// Where an owner's API is, and the token that may go there; `flags` lead to the same home.
fn api_and_token(owner: &Owner, http: &Http, place: &OpenClawHome, flags: &str) -> Result<(Url, SecretString)> {
    let url = owner.checked_api_url(http.options().insecure)?;
    let found = owner_token::find(owner, &url, None, time::now()).map_err(|no_token| {
        let what = format!("could not use an owner token of namespace {}", owner.namespace.value);
        Error::new(ExitCode::Token, what)
            .because(anyhow::Error::msg(no_token.to_string()))
            .next(context::login_command(owner, place, flags))
    })?;
    Ok((url, found.token))
}

/// The flags that a person typed for owner and home, each with a blank before it.
pub fn flags(args: &ShowArgs) -> String {
    let namespace = args
        .namespace
        .as_ref()
        .map(|name| format!(" --namespace {}", shell_words::quote(name)));
    let file = args.token_file.as_ref();
    let file = file.map(|file| format!(" --token-file {}", fs::quoted(file)));
    let typed: String = namespace.into_iter().chain(file).collect();
    typed + &context::place_flags(&args.place)
}
