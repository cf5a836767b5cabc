//! The Sigilum API: what waits for approval in a namespace.

use crate::request::{LIMIT, Pending};
use crate::sigilum::http::{self, Http, HttpError, LoopbackTrust, Method, Request, Url};
use crate::sigilum::requests;
use crate::sigilum::requests::DecodeError;
use secrecy::SecretString;
use std::time::Duration;

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
    /// 403: the token belongs to another namespace.
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
    /// `GET <api>/v1/namespaces/<namespace>/claims?status=pending&limit=20`. `budget` is for the whole request.
    pub fn pending_requests(&self, token: &SecretString, budget: Duration) -> Result<Pending, ApiError> {
        let limit = LIMIT.to_string();
        let query = [("status", "pending"), ("limit", limit.as_str())];
        let url = http::join(self.url, &["v1", "namespaces", self.namespace, "claims"], &query);
        let request = Request::new(Method::GET, url, budget).bearer(token);
        let answer = self.http.send(&request.trusting(self.trust))?;
        match answer.status {
            200 => Ok(requests::decode(&answer.body)?),
            401 if error_code(&answer.body).as_deref() == Some("TOKEN_EXPIRED") => Err(ApiError::Expired),
            401 => Err(ApiError::Unauthorized),
            403 => Err(ApiError::Forbidden),
            status => Err(ApiError::Status(status)),
        }
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
