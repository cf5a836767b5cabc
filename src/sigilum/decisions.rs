//! What the Sigilum API does about one request: it tells it, decides it, and says how its key was used.

use crate::request::{AuthorizationRequest, Decision, PAGE};
use crate::sigilum::api::{Api, ApiError, error_code, patiently, refusal};
use crate::sigilum::http::{self, Method, Response};
use crate::sigilum::requests::DecodeError;
use crate::text;
use secrecy::SecretString;
use serde::Deserialize;
use std::cell::Cell;
use std::time::Instant;

/// The most rows of use that are read: five pages.
pub const MOST_ROWS: usize = 5 * PAGE;

/// Why the API did not do what was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 404: the request is not of the status that the decision needs, or not there.
    #[error("the API says that there is no such request to decide (404)")]
    NotFound,
    /// 409 `AGENT_LIMIT_REACHED`: the service has as many approved agents as it may.
    #[error("the service has as many approved agents as the plan allows (409 AGENT_LIMIT_REACHED)")]
    AgentLimit,
    /// 403 `SERVICE_LIMIT_REACHED`: as many services are connected as may be.
    #[error("as many services are connected as the plan allows (403 SERVICE_LIMIT_REACHED)")]
    ServiceLimit,
    /// Anything else.
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// How one key was used, as far as it matters here. A field that is missing or odd is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// The slug of the service.
    #[serde(deserialize_with = "crate::request::text")]
    pub provider: Option<String>,
    /// The agent's public key.
    #[serde(deserialize_with = "crate::request::text")]
    pub public_key: Option<String>,
    /// How many calls were made.
    #[serde(deserialize_with = "crate::request::whole")]
    pub total_calls: Option<u64>,
    /// How many of them failed.
    #[serde(deserialize_with = "crate::request::whole")]
    pub error_calls: Option<u64>,
    /// When the last one was: ISO 8601 in UTC.
    #[serde(deserialize_with = "crate::request::text")]
    pub last_used_at: Option<String>,
}

/// The code of a request that there is none of, or none that could be decided so.
const GONE: &str = "NOT_FOUND";

impl Api<'_> {
    /// `GET <api>/v1/claims/<id>`: one request, of whatever namespace; `None` where there is none.
    pub fn request(
        &self,
        token: &SecretString,
        id: &str,
        deadline: Instant,
    ) -> Result<Option<AuthorizationRequest>, ApiError> {
        patiently(deadline, |left| {
            let url = http::join(self.url, &["v1", "claims", id], &[]);
            let answer = self.send(Method::GET, url, token, left)?;
            match (answer.status, error_code(&answer.body).as_deref()) {
                (200, _) => {
                    let found = decode::<AuthorizationRequest>(&answer)?;
                    let is_it = found.claim_id.as_deref() == Some(id) && found.status.is_some();
                    is_it.then_some(Some(found)).ok_or(DecodeError::Unexpected.into())
                }
                // Any other 404 is of something that stands before the API.
                (404, Some(GONE)) => Ok(None),
                _ => Err(refusal(&answer)),
            }
        })
    }

    /// `POST <api>/v1/claims/<id>/approve`, `reject` or `revoke`; once more where the API was busy (500, 503:
    /// somebody else was writing). Of those and of what is no proper answer it is not known whether it was done; nor
    /// of a 404 to the second try, which the first one may have brought about.
    pub fn decide(&self, token: &SecretString, decision: Decision, id: &str, deadline: Instant) -> Result<(), Refusal> {
        let before = Cell::new(None);
        let post = |left| {
            let url = http::join(self.url, &["v1", "claims", id, decision.as_str()], &[]);
            let answer = self.send(Method::POST, url, token, left)?;
            match (answer.status, before.get()) {
                (429 | 500.., _) => {
                    let busy = refusal(&answer);
                    before.set(Some(busy));
                    Err(busy)
                }
                (404, Some(before)) => Err(before),
                _ => Ok(answer),
            }
        };
        let answer = patiently(deadline, post)?;
        match (answer.status, error_code(&answer.body).as_deref()) {
            (200, _) => {
                let done = decode::<AuthorizationRequest>(&answer)?;
                let is_so = done.claim_id.as_deref() == Some(id) && done.is(decision.to());
                is_so
                    .then_some(())
                    .ok_or(ApiError::Decode(DecodeError::Unexpected).into())
            }
            (404, Some(GONE)) => Err(Refusal::NotFound),
            (409, Some("AGENT_LIMIT_REACHED")) => Err(Refusal::AgentLimit),
            (403, Some("SERVICE_LIMIT_REACHED")) => Err(Refusal::ServiceLimit),
            _ => Err(refusal(&answer).into()),
        }
    }

    /// `GET <api>/v1/namespaces/<namespace>/usage`: how the keys of a service, or of all, were used since a time (ISO
    /// 8601). At most [`MOST_ROWS`].
    pub fn usage(
        &self,
        token: &SecretString,
        service: Option<&str>,
        from: &str,
        deadline: Instant,
    ) -> Result<Vec<Usage>, ApiError> {
        #[derive(Deserialize)]
        struct Rows {
            rows: Vec<Usage>,
        }
        let limit = PAGE.to_string();
        let mut all = Vec::new();
        loop {
            let offset = all.len().to_string();
            let mut query = vec![("from", from), ("limit", limit.as_str()), ("offset", offset.as_str())];
            query.extend(service.map(|service| ("provider", service)));
            let page = patiently(deadline, |left| {
                let url = http::join(self.url, &["v1", "namespaces", self.namespace, "usage"], &query);
                let answer = self.send(Method::GET, url, token, left)?;
                match answer.status {
                    200 => Ok(decode::<Rows>(&answer)?.rows),
                    _ => Err(refusal(&answer)),
                }
            })?;
            let count = page.len();
            all.extend(page);
            if count < PAGE || all.len() >= MOST_ROWS {
                return Ok(all);
            }
        }
    }
}

fn decode<T: serde::de::DeserializeOwned>(answer: &Response) -> Result<T, ApiError> {
    let body = text::readable_json(&answer.body);
    Ok(serde_json::from_slice(&body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => DecodeError::Unexpected,
        _ => DecodeError::NotJson,
    })?)
}
