//! The Sigilum API: the requests of a namespace.

use crate::request::{Pending, Which};
use crate::sigilum::http::{self, Http, HttpError, LoopbackTrust, Method, Request, Response, Url};
use crate::sigilum::pages::{Pages, Span};
use crate::sigilum::requests;
use crate::sigilum::requests::DecodeError;
use crate::time;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant};

/// After so long the API is asked once more where it is busy: while somebody writes to its database, it answers 503.
const PAUSE: Duration = Duration::from_millis(300);

/// Why the API gave no list. The texts hold nothing that the API said but a status number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// No answer at all.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// 401 with `TOKEN_EXPIRED`: expired, or signed with another secret.
    #[error("the API says that the owner token has expired or is not signed for it (401 TOKEN_EXPIRED)")]
    Expired,
    /// 401 for another reason.
    #[error("the API does not accept the owner token (401)")]
    Unauthorized,
    /// 403 with `FORBIDDEN`: the token is good, and belongs to another namespace.
    #[error("the API says that the owner token is not for this namespace (403)")]
    Forbidden,
    /// Any other status that is not 200.
    #[error("the API answered with status {0}")]
    Status(u16),
    /// 429 or 503 with a `Retry-After` of so many seconds.
    #[error("the API answered with status {0}, and asks to be left alone for {time}", time = time::duration(*.1))]
    Later(u16, i64),
    /// 200, but not the answer that the contract promises.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl ApiError {
    /// Whether another token might be accepted.
    pub fn refuses_the_token(&self) -> bool {
        matches!(self, Self::Expired | Self::Unauthorized)
    }

    /// Whether something answered, and not as a Sigilum API does, busy or not: another URL is probably meant.
    pub fn is_strange(&self) -> bool {
        match self {
            Self::Status(status) => !matches!(status, 401 | 403 | 429 | 500..),
            Self::Decode(_) | Self::Http(HttpError::NotHttp) => true,
            _ => false,
        }
    }
}

/// Why there is no list, and for how many seconds the API asks to be left alone.
#[derive(Debug, Clone, Copy)]
pub struct Unanswered {
    /// Why.
    pub error: ApiError,
    /// `Retry-After`
    pub retry_after: Option<i64>,
}

impl From<ApiError> for Unanswered {
    fn from(error: ApiError) -> Self {
        Self {
            error,
            retry_after: None,
        }
    }
}

/// Tells an answer's bytes from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Print([u8; 32]);

impl Print {
    fn of(answer: &Response) -> Self {
        Self(Sha256::digest(&answer.body).into())
    }
}

/// The API of one namespace owner.
pub struct Api<'a> {
    /// The client.
    pub http: &'a Http,
    /// The API's base URL.
    pub url: &'a Url,
    /// The namespace.
    pub namespace: &'a str,
    /// Whose servers on this machine it may be.
    pub trust: LoopbackTrust,
}

impl Api<'_> {
    /// Whether the API lets this token see what waits, and what the API's clock says (Unix seconds): with one request, and
    /// another one where what waits is too long to be read. `budget` is for all of it.
    pub fn check(&self, token: &SecretString, budget: Duration) -> (Result<(), ApiError>, Option<i64>) {
        let end = Instant::now() + budget;
        let ask = |which, left| self.ask(token, which, Span::FIRST, left);
        let answer = match ask(&Which::PENDING, budget) {
            // Of this service there is none: it is no slug.
            Err(HttpError::TooLong(_)) => {
                let none = Which {
                    service: Some("-"),
                    ..Which::PENDING
                };
                ask(&none, end.saturating_duration_since(Instant::now()))
            }
            answer => answer,
        };
        match answer {
            Ok(answer) => (Page::of(&answer, Span::FIRST).map(drop), answer.date),
            Err(error) => (Err(error.into()), None),
        }
    }

    /// The requests that are asked for, page by page, each once more after a pause where the API is busy. What is known
    /// when a later page fails, or at the `deadline`, is told, and so is how many are too long to be read.
    pub fn requests(&self, token: &SecretString, which: &Which, deadline: Instant) -> Result<Pending, ApiError> {
        self.to_its_end(None, token, which, deadline)
    }

    /// As [`Api::requests`] of what is pending, asked once, and not looked at further where the answer has the very bytes
    /// of the one before, whose print is `known`: then there is no list.
    pub fn pending_since(
        &self,
        token: &SecretString,
        known: Option<Print>,
        deadline: Instant,
    ) -> Result<(Option<Pending>, Option<Print>), Unanswered> {
        let left = deadline.saturating_duration_since(Instant::now());
        let asked = self.ask(token, &Which::PENDING, Span::FIRST, left);
        let print = asked.as_ref().ok().filter(|answer| answer.status == 200).map(Print::of);
        if print.is_some() && print == known {
            return Ok((None, print));
        }
        let first = match &asked {
            Ok(answer) => Page::of(answer, Span::FIRST),
            Err(error) => Err((*error).into()),
        };
        // Of further pages the first one tells nothing.
        let print = print.filter(|_| first.as_ref().is_ok_and(|page| page.requests.is_all()));
        let all = self.to_its_end(Some(first), token, &Which::PENDING, deadline);
        let all = all.map_err(|error| Unanswered {
            error,
            retry_after: asked.ok().and_then(|answer| answer.retry_after),
        })?;
        Ok((Some(all), print))
    }

    /// The list. Where its first page, or an answer in its place, is there already, that one is not asked for.
    fn to_its_end(
        &self,
        mut first: Option<Result<Page, ApiError>>,
        token: &SecretString,
        which: &Which,
        deadline: Instant,
    ) -> Result<Pending, ApiError> {
        let mut pages = Pages::new(which.most);
        let mut too_long = None;
        while let Some(span) = pages.next() {
            let page = first.take();
            match page.unwrap_or_else(|| patiently(deadline, |left| self.page(token, which, span, left))) {
                Ok(page) => pages.take(page.requests, page.bytes),
                Err(error @ ApiError::Http(HttpError::TooLong(_))) => {
                    too_long = Some(error);
                    pages.too_long();
                }
                Err(error) if !pages.is_read() => return Err(too_long.unwrap_or(error)),
                Err(_) => break,
            }
        }
        match too_long.filter(|_| !pages.is_read()) {
            Some(error) => Err(error),
            None => Ok(pages.end()),
        }
    }

    fn page(&self, token: &SecretString, which: &Which, span: Span, budget: Duration) -> Result<Page, ApiError> {
        Page::of(&self.ask(token, which, span, budget)?, span)
    }

    /// `GET <api>/v1/namespaces/<namespace>/claims?status=pending&limit=200`
    fn ask(&self, token: &SecretString, which: &Which, span: Span, budget: Duration) -> Result<Response, HttpError> {
        let (limit, offset) = (span.limit.to_string(), span.offset.to_string());
        let mut query = vec![("status", which.status), ("limit", limit.as_str())];
        query.extend(which.service.map(|service| ("service", service)));
        query.extend((offset != "0").then_some(("offset", offset.as_str())));
        let url = http::join(self.url, &["v1", "namespaces", self.namespace, "claims"], &query);
        self.send(Method::GET, url, token, budget)
    }

    /// Sends the owner token with a request, and nothing else.
    pub(super) fn send(
        &self,
        method: Method,
        url: Url,
        token: &SecretString,
        budget: Duration,
    ) -> Result<Response, HttpError> {
        let request = Request::new(method, url, budget).bearer(token);
        self.http.send(&request.trusting(self.trust))
    }
}

/// One answer.
struct Page {
    requests: Pending,
    bytes: usize,
}

impl Page {
    fn of(answer: &Response, span: Span) -> Result<Self, ApiError> {
        match answer.status {
            200 => Ok(Self {
                requests: requests::decode(&answer.body, span.limit)?,
                bytes: answer.body.len(),
            }),
            _ => Err(refusal(answer)),
        }
    }
}

/// Asks, and once more after a pause where the API is busy, does not ask to be left alone, and there is time left.
pub(super) fn patiently<T>(deadline: Instant, ask: impl Fn(Duration) -> Result<T, ApiError>) -> Result<T, ApiError> {
    let left = || deadline.saturating_duration_since(Instant::now());
    match ask(left()) {
        Err(ApiError::Status(429 | 500..)) if left() > PAUSE => {
            std::thread::sleep(PAUSE);
            ask(left())
        }
        answer => answer,
    }
}

/// What an answer that is not 200 says.
pub(super) fn refusal(answer: &Response) -> ApiError {
    match (answer.status, error_code(&answer.body).as_deref()) {
        (401, Some("TOKEN_EXPIRED")) => ApiError::Expired,
        (401, _) => ApiError::Unauthorized,
        (403, Some("FORBIDDEN")) => ApiError::Forbidden,
        (status @ (429 | 503), _) => match answer.retry_after.filter(|seconds| *seconds > 0) {
            Some(seconds) => ApiError::Later(status, seconds),
            None => ApiError::Status(status),
        },
        (status, _) => ApiError::Status(status),
    }
}

/// The `code` of `{"error":…,"code":…}`.
pub(super) fn error_code(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Refusal {
        code: String,
    }
    Some(serde_json::from_slice::<Refusal>(body).ok()?.code)
}
