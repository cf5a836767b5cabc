//! The Sigilum API: what waits for approval in a namespace.

use crate::request::{MOST, PAGE, Pending};
use crate::sigilum::http::{self, Http, HttpError, LoopbackTrust, Method, Request, Response, Url};
use crate::sigilum::requests;
use crate::sigilum::requests::DecodeError;
use secrecy::SecretString;
use std::collections::BTreeSet;
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
    /// 200, but not the answer that the contract promises.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl ApiError {
    /// Whether another token might be accepted.
    pub fn refuses_the_token(&self) -> bool {
        matches!(self, Self::Expired | Self::Unauthorized)
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
    /// Whether the API lets this token see what waits, with one request, and what the API's clock says (Unix seconds).
    /// `budget` is for all of it.
    pub fn check(&self, token: &SecretString, budget: Duration) -> (Result<(), ApiError>, Option<i64>) {
        match self.ask(token, 0, budget) {
            Ok(answer) => (pending(&answer).map(drop), answer.date),
            Err(error) => (Err(error.into()), None),
        }
    }

    /// All that waits: at most [`MOST`] requests, page by page, once more after a pause where the API is busy. What is
    /// known when a later page fails, or at the `deadline`, is told.
    pub fn pending_requests(&self, token: &SecretString, deadline: Instant) -> Result<Pending, ApiError> {
        let left = || deadline.saturating_duration_since(Instant::now());
        let mut all = match self.page(token, 0, left()) {
            Err(ApiError::Status(429 | 500..)) if left() > PAUSE => {
                std::thread::sleep(PAUSE);
                self.page(token, 0, left())?
            }
            page => page?,
        };
        let mut received = all.requests.len();
        let mut ids = BTreeSet::new();
        let mut is_new = |id: &str| ids.insert(id.to_owned());
        all.requests.retain(|request| request.id().is_none_or(&mut is_new));
        for _ in 1..MOST / PAGE {
            if received == 0 || all.is_all() {
                break;
            }
            let Ok(page) = self.page(token, received, left()) else {
                break;
            };
            let (known, count) = (all.requests.len(), page.requests.len());
            received += count;
            // The list may have moved meanwhile.
            let page = page.requests.into_iter();
            all.requests
                .extend(page.filter(|request| request.id().is_some_and(&mut is_new)));
            if count < PAGE {
                let known = all.requests.len() as u64;
                all.total.get_or_insert(known);
            }
            if all.requests.len() == known {
                break;
            }
        }
        Ok(all)
    }

    fn page(&self, token: &SecretString, offset: usize, budget: Duration) -> Result<Pending, ApiError> {
        pending(&self.ask(token, offset, budget)?)
    }

    /// `GET <api>/v1/namespaces/<namespace>/claims?status=pending&limit=200`
    fn ask(&self, token: &SecretString, offset: usize, budget: Duration) -> Result<Response, HttpError> {
        let (limit, offset) = (PAGE.to_string(), offset.to_string());
        let query = [
            ("status", "pending"),
            ("limit", limit.as_str()),
            ("offset", offset.as_str()),
        ];
        let query = if offset == "0" { &query[..2] } else { &query };
        let url = http::join(self.url, &["v1", "namespaces", self.namespace, "claims"], query);
        let request = Request::new(Method::GET, url, budget).bearer(token);
        self.http.send(&request.trusting(self.trust))
    }
}

fn pending(answer: &Response) -> Result<Pending, ApiError> {
    match answer.status {
        200 => Ok(requests::decode(&answer.body)?),
        401 if error_code(&answer.body).as_deref() == Some("TOKEN_EXPIRED") => Err(ApiError::Expired),
        401 => Err(ApiError::Unauthorized),
        403 if error_code(&answer.body).as_deref() == Some("FORBIDDEN") => Err(ApiError::Forbidden),
        status => Err(ApiError::Status(status)),
    }
}

/// The `code` of `{"error":…,"code":…}`.
fn error_code(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Refusal {
        code: String,
    }
    Some(serde_json::from_slice::<Refusal>(body).ok()?.code)
}
