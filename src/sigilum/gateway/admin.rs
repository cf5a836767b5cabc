//! The Sigilum gateway's admin API.
//!
//! Its traps: an unknown path answers 200 `text/plain`, so every answer's content type and shape are checked; PATCH
//! ignores `base_url`; a rotation to the value that is there already is a 400 `secrets are required`.

use super::connection::{self, Connection, NewConnection, Patch};
use super::{DEFAULT_ADMIN_URL, KeyDelivery, Rotated, Target, invalid_response, quote};
use crate::error::{Error, ExitCode, Result};
use crate::sigilum::http::{self, Http, HttpError, LoopbackTrust, Method, Request, Response, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::HashSet;
use std::time::Duration;

/// Connecting takes at most so long.
const CONNECT: Duration = Duration::from_secs(5);
/// A whole request takes at most so long.
const BUDGET: Duration = Duration::from_secs(30);
/// A list of connections may be so long: about 1 KB each.
const LIST_CAP: usize = 64 << 20;

/// The admin API at one address.
pub struct Admin {
    http: Http,
    url: Url,
    token: Option<SecretString>,
    budget: Duration,
    trust: LoopbackTrust,
    how_to_trust: String,
    /// Secrets and keys that it was sent: nothing that it says is to repeat them.
    sent: RefCell<Vec<SecretString>>,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Admin({})", self.url)
    }
}

/// The answer, or why there is none.
type Reply = std::result::Result<Response, HttpError>;

impl Admin {
    /// Checks the address under the rules for secrets on the wire; asks nothing yet.
    pub(super) fn new(target: &Target, mut http: http::Options) -> Result<Self> {
        let url = http::check_url(&target.admin_url, http.insecure).map_err(|error| {
            // The URL itself may hold a password.
            let origin = &target.admin_url_origin;
            let what = format!("invalid admin address of the Sigilum gateway (from {origin})");
            Error::new(ExitCode::Usage, what).because(error).next(origin.mend(
                "--gateway-admin-url",
                DEFAULT_ADMIN_URL,
                "",
            ))
        })?;
        http.connect_timeout = Some(CONNECT);
        Ok(Self {
            http: Http::new(http),
            url,
            token: target.admin_token.clone(),
            budget: BUDGET,
            trust: target.trust,
            how_to_trust: target.how_to_trust.clone(),
            sent: RefCell::default(),
        })
    }

    /// With another limit for a whole request.
    pub(super) fn within(self, budget: Duration) -> Self {
        Self { budget, ..self }
    }

    /// Where it is, for messages.
    pub(super) fn place(&self) -> String {
        format!("the Sigilum gateway at {}", self.url.as_str().trim_end_matches('/'))
    }

    /// One connection. The inner error: no answer came.
    pub(super) fn try_get(&self, id: &str) -> Result<std::result::Result<Option<Connection>, HttpError>> {
        let what = "read the connection";
        let reply = match self.call(Method::GET, &["connections", id], None) {
            Ok(reply) => reply,
            Err(why @ HttpError::Url(_)) => return Err(self.gone(what, &why)),
            Err(gone) => return Ok(Err(gone)),
        };
        match reply.status {
            200 => self.connection(what, &reply, id).map(Some).map(Ok),
            404 if self.says(&reply, "connection not found") => Ok(Ok(None)),
            _ => Err(self.refused(what, &reply)),
        }
    }

    /// The ids of all connections. The inner error: no answer came.
    pub(super) fn try_ids(&self) -> Result<std::result::Result<HashSet<String>, HttpError>> {
        let what = "list the connections";
        let reply = match self.call(Method::GET, &["connections"], None) {
            Ok(reply) => reply,
            // That a stranger has its port does not mean that the gateway is stopped.
            Err(why @ (HttpError::Url(_) | HttpError::Listener(_))) => return Err(self.gone(what, &why)),
            Err(gone) => return Ok(Err(gone)),
        };
        if reply.status != 200 {
            return Err(self.refused(what, &reply));
        }
        if !reply.is_json() {
            return Err(self.invalid_response(what, &reply));
        }
        connection::ids(&reply.body)
            .map(Ok)
            .map_err(|_| self.invalid_response(what, &reply))
    }

    pub(super) fn create(&self, new: &NewConnection, secret: Option<(&str, &SecretString)>) -> Result<Connection> {
        let what = "make the connection";
        let mut body = serde_json::to_value(new).unwrap_or_default();
        if let Some((key, secret)) = secret {
            body["secrets"] = json!({ key: secret.expose_secret() });
            self.sent.borrow_mut().push(secret.clone());
        }
        let reply = self.ask(what, Method::POST, &["connections"], Some(&body))?;
        match reply.status {
            201 | 200 => self.connection(what, &reply, &new.id),
            409 => Err(Error::new(
                ExitCode::Failure,
                format!("could not {what}: somebody else made one of this name at the same moment"),
            )
            .next("run the same command again")),
            _ => Err(self.refused(what, &reply)),
        }
    }

    pub(super) fn patch(&self, id: &str, patch: &Patch) -> Result<Connection> {
        let what = "change the connection";
        let body = serde_json::to_value(patch).unwrap_or_default();
        let reply = self.ask(what, Method::PATCH, &["connections", id], Some(&body))?;
        match reply.status {
            200 => self.connection(what, &reply, id),
            _ => Err(self.refused(what, &reply)),
        }
    }

    pub(super) fn rotate(&self, id: &str, key: &str, secret: &SecretString) -> Result<Rotated> {
        let what = "rotate the secret";
        self.sent.borrow_mut().push(secret.clone());
        let body = json!({
            "secrets": { key: secret.expose_secret() },
            "rotated_by": env!("CARGO_PKG_NAME"),
            "rotation_reason": "set by hand",
        });
        let reply = self.ask(what, Method::POST, &["connections", id, "rotate"], Some(&body))?;
        match reply.status {
            200 => self.connection(what, &reply, id).map(Rotated::Changed),
            // The gateway's way to say that this value is there already.
            400 if self.says(&reply, "secrets are required") => Ok(Rotated::Unchanged),
            _ => Err(self.refused(what, &reply)),
        }
    }

    pub(super) fn delete(&self, id: &str) -> Result<bool> {
        let what = "delete the connection";
        let reply = self.ask(what, Method::DELETE, &["connections", id], None)?;
        match reply.status {
            204 => Ok(true),
            404 if self.says(&reply, "connection not found") => Ok(false),
            _ => Err(self.refused(what, &reply)),
        }
    }

    pub(super) fn put_service_key(&self, slug: &str, key: &SecretString) -> Result<KeyDelivery> {
        let what = "hand the service key over";
        self.sent.borrow_mut().push(key.clone());
        let body = json!({ "key": key.expose_secret() });
        let reply = self.ask(what, Method::PUT, &["service-api-keys", slug], Some(&body))?;
        if self.says(&reply, "SIGILUM_HOME is not configured") {
            return Ok(KeyDelivery::NoHome);
        }
        if reply.status != 200 {
            return Err(self.refused(what, &reply));
        }
        let written: Value = self.parse(what, &reply)?;
        if written["written"] == Value::Bool(true) {
            Ok(KeyDelivery::Written)
        } else {
            Err(self.invalid_response(what, &reply))
        }
    }

    /// The error for an answer that did not come.
    pub(super) fn gone(&self, what: &str, why: &HttpError) -> Error {
        Error::new(
            ExitCode::Unreachable,
            format!("could not {what}: Gateway admin not reachable: {}", self.place()),
        )
        .because(*why)
        .next(match why {
            HttpError::Listener(_) => format!(
                "see who listens there (ss -ltnp); if that is your Sigilum gateway, in a container perhaps: {}",
                self.how_to_trust
            ),
            _ => "see that the Sigilum gateway runs, then run the same command again".to_owned(),
        })
    }

    fn call(&self, method: Method, path: &[&str], body: Option<&Value>) -> Reply {
        let segments: Vec<&str> = ["api", "admin"].iter().chain(path).copied().collect();
        let cap = if method == Method::GET && path == ["connections"] {
            LIST_CAP
        } else {
            http::BODY_CAP
        };
        let mut request = Request::new(method, http::join(&self.url, &segments, &[]), self.budget).cap(cap);
        if let Some(token) = &self.token {
            request = request.header("x-sigilum-admin-token", token.clone());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        self.http.send(&request.trusting(self.trust))
    }

    fn ask(&self, what: &str, method: Method, path: &[&str], body: Option<&Value>) -> Result<Response> {
        self.call(method, path, body).map_err(|error| self.gone(what, &error))
    }

    fn parse<T: serde::de::DeserializeOwned>(&self, what: &str, reply: &Response) -> Result<T> {
        if !reply.is_json() {
            return Err(self.invalid_response(what, reply));
        }
        serde_json::from_slice(&reply.body).map_err(|_| self.invalid_response(what, reply))
    }

    fn connection(&self, what: &str, reply: &Response, id: &str) -> Result<Connection> {
        let connection: Connection = self.parse(what, reply)?;
        // Names of secrets stand in errors too. A shorter token could be part of an honest one.
        let token = self.token.as_ref().map(ExposeSecret::expose_secret);
        let token = token.filter(|token| token.len() >= 8);
        let repeats = |key: &String| token.is_some_and(|token| key.contains(token));
        if connection.credential_keys.iter().any(repeats) {
            return Err(invalid_response(what, &self.place(), id, "it repeats the admin token"));
        }
        match connection.invalid_response(id) {
            None => Ok(connection),
            Some(why) => Err(invalid_response(what, &self.place(), id, why)),
        }
    }

    /// The gateway's words, as they may be shown.
    fn quote(&self, words: &str) -> String {
        quote(words, self.sent.borrow().iter().chain(&self.token))
    }

    /// The `error` and `code` of an error body.
    fn words(&self, reply: &Response) -> Option<(String, String)> {
        if !reply.is_json() {
            return None;
        }
        let body: Value = serde_json::from_slice(&reply.body).ok()?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        Some((text("error")?, text("code").unwrap_or_default()))
    }

    fn says(&self, reply: &Response, words: &str) -> bool {
        self.words(reply).is_some_and(|(error, _)| error.contains(words))
    }

    /// The error for an answer that no Sigilum gateway gives.
    fn invalid_response(&self, what: &str, reply: &Response) -> Error {
        let kind = if reply.content_type.is_empty() {
            "no content type"
        } else {
            &reply.content_type
        };
        Error::new(
            ExitCode::Unreachable,
            format!(
                "could not {what}: what answers at {} is not the admin API of a Sigilum gateway (HTTP {}, {})",
                self.url,
                reply.status,
                self.quote(kind)
            ),
        )
        .next("see that --gateway-admin-url (or GATEWAY_ADMIN_URL) has the gateway's own address, without a path")
    }

    /// The error for an answer that says no.
    fn refused(&self, what: &str, reply: &Response) -> Error {
        let Some((words, code)) = self.words(reply) else {
            return self.invalid_response(what, reply);
        };
        if let Some((reason, next)) = self.access(&code) {
            return Error::new(
                ExitCode::Unreachable,
                format!("could not {what}: {} {reason} ({code})", self.place()),
            )
            .next(next);
        }
        let words = self.quote(&words);
        let place = self.place();
        let status = reply.status;
        if words.contains("message authentication failed") {
            return Error::new(
                ExitCode::SecretOrDatabase,
                format!("could not {what}: {place} cannot read its own store: it runs with another master key"),
            )
            .next("start the gateway with the GATEWAY_MASTER_KEY that the store was made with");
        }
        if words.contains("is missing from provided secrets") {
            return Error::new(
                ExitCode::Failure,
                format!("could not {what}: Secret not set in gateway connection: {place} says {words}"),
            )
            .next("set the secret of the connection's own key first: leave --upstream-secret-key out");
        }
        match status {
            400..=499 => Error::new(
                ExitCode::Failure,
                format!("could not {what}: {place} refused it: {words} (HTTP {status})"),
            )
            .next("fix the rejected value, here or at the Sigilum gateway, then run the same command again"),
            _ => Error::new(
                ExitCode::Unreachable,
                format!("could not {what}: {place} failed: {words} (HTTP {status})"),
            )
            .next("look into the Sigilum gateway's log, then run the same command again"),
        }
    }

    /// Why the gateway lets nobody in like this, and what to do. A code is a short word in capitals.
    fn access(&self, code: &str) -> Option<(&'static str, &'static str)> {
        if code.len() > 64 || !code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') {
            return None;
        }
        Some(match code {
            "ADMIN_TOKEN_REQUIRED" if self.token.is_some() => (
                "does not take this admin token",
                "set GATEWAY_ADMIN_TOKEN to the token that the gateway was started with",
            ),
            "ADMIN_TOKEN_REQUIRED" => (
                "wants an admin token",
                "set GATEWAY_ADMIN_TOKEN to the token that the gateway was started with",
            ),
            "ADMIN_TOKEN_NOT_CONFIGURED" => (
                "wants an admin token but was started without one",
                "restart the gateway with GATEWAY_ADMIN_TOKEN set, or with GATEWAY_ADMIN_ACCESS_MODE=hybrid",
            ),
            "ADMIN_TOKEN_OR_LOOPBACK_REQUIRED" => (
                "wants an admin token from any machine but its own",
                "set GATEWAY_ADMIN_TOKEN to the token that the gateway was started with, or run this on its machine",
            ),
            "ADMIN_LOOPBACK_REQUIRED" => (
                "takes admin requests from its own machine only",
                "run this on the gateway's machine, or restart it with GATEWAY_ADMIN_ACCESS_MODE=hybrid and a token",
            ),
            code if code.starts_with("ADMIN_") => (
                "lets nobody in like this",
                "see GATEWAY_ADMIN_ACCESS_MODE and GATEWAY_ADMIN_TOKEN of the gateway",
            ),
            _ => return None,
        })
    }
}
