//! Whether the Sigilum API accepts a token, or what a secret signs: one request of a second at most, asked before a
//! token takes the place of another one and where a status is shown.

use crate::env::Env;
use crate::settings::Owner;
use crate::sigilum::api::{Api, ApiError};
use crate::sigilum::http::{self, Http, LoopbackTrust, Url};
use crate::time;
use crate::token::claims::{self, Claims};
use secrecy::SecretString;
use std::cell::Cell;
use std::fmt;
use std::time::Duration;

/// How long the API may take.
pub const BUDGET: Duration = Duration::from_secs(1);

/// The life of a token that only asks, in seconds.
const PROBE_LIFE: u64 = 60;

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The API accepts it.
    Accepted,
    /// The API refuses it, with 401 or 403.
    Refused(ApiError),
    /// It is not known: why the API was not asked, or gave no answer.
    NotChecked(String),
    /// It is not known: what the API, or something that is none, answered instead.
    Answered(ApiError),
}

impl Verdict {
    /// Whether the API does not know the signature (401), as against the namespace (403).
    pub fn is_wrong_signature(&self) -> bool {
        matches!(self, Self::Refused(error) if error.refuses_the_token())
    }

    /// That of an answer, or of none, that says nothing of the token.
    fn of(error: ApiError) -> Self {
        match error {
            ApiError::Status(_) | ApiError::Later(..) | ApiError::Decode(_) => Self::Answered(error),
            error if error.is_strange() => Self::Answered(error),
            error => Self::NotChecked(error.to_string()),
        }
    }

    /// Why it is not known.
    pub fn why_not_checked(&self) -> Option<String> {
        match self {
            Self::Accepted | Self::Refused(_) => None,
            Self::NotChecked(why) => Some(why.clone()),
            Self::Answered(error) => Some(error.to_string()),
        }
    }

    /// `accepted`, `refused` or `not_checked`, for JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused(_) => "refused",
            Self::NotChecked(_) | Self::Answered(_) => "not_checked",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => f.write_str("accepted"),
            Self::Refused(error) => write!(f, "refused: {error}"),
            Self::NotChecked(why) => write!(f, "not checked: {why}"),
            Self::Answered(error) if error.is_strange() => {
                write!(
                    f,
                    "not checked: {error}; this is perhaps not a Sigilum API, check the URL"
                )
            }
            Self::Answered(error) => write!(f, "not checked: {error}"),
        }
    }
}

/// The API of one namespace owner, to be asked.
pub struct TokenCheck<'a> {
    http: Http,
    /// Why there is nobody to ask, where the URL cannot be used.
    url: Result<Url, String>,
    namespace: &'a str,
    trust: LoopbackTrust,
    budget: Duration,
    ahead: Cell<Option<i64>>,
}

impl<'a> TokenCheck<'a> {
    /// Asks the API in force for this owner.
    pub fn new(owner: &'a Owner, trust: LoopbackTrust, env: &Env) -> Self {
        let http = Http::new(http::Options::from_env(env));
        let url = http::check_url(&owner.api_url.value, http.options().insecure).map_err(|error| error.to_string());
        Self {
            http,
            url,
            namespace: &owner.namespace.value,
            trust,
            budget: BUDGET,
            ahead: Cell::new(None),
        }
    }

    /// By how many seconds this machine's clock is ahead of the API's, as its last answer said.
    pub fn clock_ahead(&self) -> Option<i64> {
        self.ahead.get()
    }

    /// With another limit than [`BUDGET`].
    #[must_use]
    pub fn within(self, budget: Duration) -> Self {
        Self { budget, ..self }
    }

    /// Whether the API accepts this owner token, which is sent to it.
    pub fn token(&self, token: &SecretString) -> Verdict {
        match self.ask(token) {
            Ok(Ok(())) => Verdict::Accepted,
            Ok(Err(error @ (ApiError::Expired | ApiError::Unauthorized | ApiError::Forbidden))) => {
                Verdict::Refused(error)
            }
            Ok(Err(error)) => Verdict::of(error),
            Err(why) => Verdict::NotChecked(why),
        }
    }

    /// Whether the API accepts what this secret signs. It is shown a token that gives nobody any rights: of a namespace
    /// made at random, for a minute from `now` (Unix seconds). The API knows its signature where it answers that it is
    /// not for the owner's namespace.
    pub fn secret(&self, secret: &SecretString, now: i64) -> Verdict {
        let Some(probe) = probe(secret, now) else {
            return Verdict::NotChecked("could not make a token to ask with".to_owned());
        };
        match self.ask(&probe) {
            Ok(Err(ApiError::Forbidden)) => Verdict::Accepted,
            Ok(Err(error @ (ApiError::Expired | ApiError::Unauthorized))) => Verdict::Refused(error),
            Ok(Ok(())) => Verdict::NotChecked("what answers there shows every namespace to anyone".to_owned()),
            Ok(Err(error)) => Verdict::of(error),
            Err(why) => Verdict::NotChecked(why),
        }
    }

    /// The secret that may sign in place of `old`: one that signed it, else the first whose tokens the API accepts.
    pub fn secret_in_place_of<'s>(
        &self,
        old: &SecretString,
        secrets: &'s [SecretString],
        now: i64,
    ) -> Option<&'s SecretString> {
        let signed_it = secrets.iter().find(|secret| claims::is_signed_by(old, secret));
        signed_it.or_else(|| {
            secrets
                .iter()
                .find(|secret| self.secret(secret, now) == Verdict::Accepted)
        })
    }

    fn ask(&self, token: &SecretString) -> Result<Result<(), ApiError>, String> {
        let api = Api {
            http: &self.http,
            url: self.url.as_ref().map_err(Clone::clone)?,
            namespace: self.namespace,
            trust: self.trust,
        };
        let (answer, clock) = api.check(token, self.budget);
        let ahead = clock.map(|clock| time::now().saturating_sub(clock));
        self.ahead.set(ahead.or(self.ahead.get()));
        Ok(answer)
    }
}

fn probe(secret: &SecretString, now: i64) -> Option<SecretString> {
    let mut random = [0; 12];
    getrandom::fill(&mut random).ok()?;
    let namespace = format!("probe-{}", hex::encode(random));
    let claims = Claims::new(
        &namespace,
        &format!("{namespace}@local.sigilum"),
        &namespace,
        now,
        PROBE_LIFE,
    );
    claims::mint(&claims, secret).ok()
}
