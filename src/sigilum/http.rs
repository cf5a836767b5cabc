//! The one HTTP client, and the rules for every request that carries a token, a key or a secret.
//!
//! - https, or plain http to this machine only: an address in 127/8, `::1`, or exactly `localhost`, which is never
//!   looked up but pinned to those addresses. `SIGILUM_ALLOW_INSECURE_HTTP=1` lifts it.
//! - To this machine only where who listens, and who has the connection's other end, is us, root or the user that the
//!   request names (Linux): a port that is free just now is anybody's to listen on. Looked at between connecting and
//!   the first byte, for each connection.
//! - No user info in a URL. No redirect is followed. Nothing is decompressed.
//! - Never through a proxy for this machine nor for plain http; for https through the one that `HTTPS_PROXY` or
//!   `ALL_PROXY` names and `NO_PROXY` does not exclude, by CONNECT, so that a proxy sees ciphertext only.
//! - One budget for the whole request, name lookup and body included. The body is capped while it streams; at most
//!   100 headers and about 400 KiB of them are read.
//!
//! A plain http request sets no TLS up: reading the machine's root certificates would cost more than the request.

mod error;
mod listener;
mod roots;
mod url;

pub use error::{HttpError, TlsReason};
pub use listener::{ListenerError, LoopbackTrust};
pub use url::{UrlError, check_url, doubts, is_this_machine, join};

use crate::env::Env;
use crate::time;
use error::{find, reason};
use hyper_util::client::legacy::connect::{Connection, HttpInfo};
use listener::Ends;
use reqwest::header::{HeaderName, HeaderValue};
pub use reqwest::{Method, Url};
use roots::Roots;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tower::BoxError;
use tower::util::AndThenLayer;

/// The most bytes of a body that are read, where a request says nothing else: 1 MiB.
pub const BODY_CAP: usize = 1 << 20;

/// The variables that say by which proxy https goes, the first that is set.
pub const PROXY_VARIABLES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
/// And whom it goes to without one, and whose certificates it trusts.
const OTHER_VARIABLES: [&str; 4] = ["no_proxy", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"];
/// The switch for plain http to other machines.
const INSECURE: &str = "SIGILUM_ALLOW_INSECURE_HTTP";

/// All of these: which way a request goes.
pub fn way_variables() -> impl Iterator<Item = &'static str> {
    PROXY_VARIABLES.into_iter().chain(OTHER_VARIABLES)
}

/// A person's environment with the way to a server that is recorded, where one is, and the switch for plain http.
#[must_use]
pub fn by_recorded_way(env: &Env, recorded: &Env) -> Env {
    let names: Vec<&str> = way_variables().collect();
    let is_of_way = |name: &str| names.contains(&name) || name == INSECURE;
    let way: Vec<_> = recorded.pairs().filter(|(name, _)| is_of_way(name)).collect();
    match way.is_empty() {
        true => env.clone(),
        false => Env::from_pairs(env.without(&names).pairs().chain(way)).recorded(),
    }
}

/// How requests travel, for all requests of one [`Http`].
#[derive(Clone, Default)]
pub struct Options {
    /// Plain http to other machines is allowed (`SIGILUM_ALLOW_INSECURE_HTTP`).
    pub insecure: bool,
    /// The longest that connecting may take; within the request's budget in any case.
    pub connect_timeout: Option<Duration>,
    /// The connection stays open for the next request, as long as the server likes and at most 90 s: for who asks often.
    pub keeps_connection: bool,
    /// The proxy for https, as the environment gives it; may hold a password.
    proxy: Option<SecretString>,
    /// Hosts that no proxy is used for.
    no_proxy: Option<String>,
    roots: Roots,
    /// Both as `hook install` recorded them.
    is_recorded: bool,
}

impl Options {
    /// What the environment says: the switch for plain http, the proxy variables in either case of letters (the small
    /// ones win, as in curl), and the root certificates.
    pub fn from_env(env: &Env) -> Self {
        Self {
            insecure: env.is_on(INSECURE),
            connect_timeout: None,
            keeps_connection: false,
            proxy: PROXY_VARIABLES
                .into_iter()
                .find_map(|name| env.var(name))
                .map(SecretString::from),
            no_proxy: env.var("no_proxy").or_else(|| env.var("NO_PROXY")).map(str::to_owned),
            roots: Roots::from_env(env),
            is_recorded: env.is_recorded(),
        }
    }

    /// Whether the proxy and the certificates that are named can be used, as a request would use them.
    ///
    /// # Errors
    /// What a request would fail with.
    pub fn check(&self) -> Result<(), HttpError> {
        let builder = through_proxy(builder(self), self)?;
        match self.roots.are_named() {
            true => secure_client(builder, &self.roots).map(drop),
            false => Ok(()),
        }
    }
}

/// One request. Make it with [`Request::new`] and the methods below.
pub struct Request {
    method: Method,
    url: Url,
    headers: Vec<(&'static str, SecretString)>,
    body: Option<SecretString>,
    budget: Duration,
    cap: usize,
    trust: LoopbackTrust,
}

impl Request {
    /// A request without a body. `budget` is for all of it: name lookup, connecting, answer, body.
    pub fn new(method: Method, url: Url, budget: Duration) -> Self {
        Self {
            method,
            url,
            headers: Vec::new(),
            body: None,
            budget,
            cap: BODY_CAP,
            trust: LoopbackTrust::default(),
        }
    }

    /// Adds a header; its value is treated as a secret.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<SecretString>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds `Authorization: Bearer <token>`.
    #[must_use]
    pub fn bearer(self, token: &SecretString) -> Self {
        let value = format!("Bearer {}", token.expose_secret());
        self.header("authorization", value)
    }

    /// Sends a JSON body.
    #[must_use]
    pub fn json(mut self, body: &serde_json::Value) -> Self {
        self.body = Some(body.to_string().into());
        self
    }

    /// Reads at most so many bytes of the answer's body, instead of [`BODY_CAP`].
    #[must_use]
    pub fn cap(mut self, bytes: usize) -> Self {
        self.cap = bytes;
        self
    }

    /// Whose servers on this machine may get it, instead of ours and root's alone.
    #[must_use]
    pub fn trusting(mut self, trust: LoopbackTrust) -> Self {
        self.trust = trust;
        self
    }
}

impl fmt::Debug for Request {
    /// Neither header values nor the body: they hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url)
    }
}

/// What came back. Any status: 3xx, 4xx and 5xx are answers too.
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// `Content-Type` without its parameters, in small letters; empty where there is none.
    pub content_type: String,
    /// The whole body.
    pub body: Vec<u8>,
    /// `Date` in Unix seconds: the server's clock.
    pub date: Option<i64>,
    /// `Retry-After`, in seconds from then.
    pub retry_after: Option<i64>,
}

impl Response {
    /// Whether the answer says that it is JSON.
    pub fn is_json(&self) -> bool {
        self.content_type == "application/json" || self.content_type.ends_with("+json")
    }
}

impl fmt::Debug for Response {
    /// Not the body: it may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({} bytes)", self.status, self.content_type, self.body.len())
    }
}

/// The way to a server: what a client is set up for.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Route {
    secure: bool,
    /// `None`: another machine.
    here: Option<Here>,
}

/// The way to a server on this machine.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Here {
    /// The one address that is connected to.
    address: SocketAddr,
    /// Whose server may be there.
    trust: LoopbackTrust,
    /// A listener of root's that is there already ([`ListenerError::Handed`]).
    known: Option<u64>,
}

/// The client. Made without any work; what a request needs is set up at the first one and kept, so that a resident
/// process pays for the root certificates once. No connection outlives its request, unless
/// [`Options::keeps_connection`] says so; one that the server closed in the meantime costs a question nothing.
#[derive(Default)]
pub struct Http {
    options: Options,
    clients: Mutex<Vec<(Route, reqwest::Client)>>,
    /// Of the last request, with its connection. It runs during a request only, so nothing wakes up in between.
    kept: Mutex<Option<Runtime>>,
}

impl Http {
    /// A client for requests under these options.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            ..Self::default()
        }
    }

    /// The options that it was made with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Sends a request and reads the whole answer. Blocks for the request's budget at most.
    pub fn send(&self, request: &Request) -> Result<Response, HttpError> {
        self.check(&request.url)?;
        let url = &request.url;
        tracing::debug!(
            "asked {} {}{}",
            request.method,
            url.origin().ascii_serialization(),
            url.path()
        );
        let end = Instant::now() + request.budget;
        let secure = request.url.scheme() == "https";
        let here = url::addresses_here(&request.url);
        if here.is_empty() {
            return self.send_by(Route { secure, here: None }, request, end);
        }
        let mut nobody = HttpError::Refused;
        for address in here {
            let trust = request.trust;
            let by = |known| {
                let here = Some(Here { address, trust, known });
                self.send_by(Route { secure, here }, request, end)
            };
            let answer = match by(None) {
                Err(HttpError::Listener(ListenerError::Handed(_, listener))) => by(Some(listener)),
                answer => answer,
            };
            match answer {
                // Nothing was sent yet, and localhost has two addresses.
                Err(HttpError::Refused) => {}
                Err(error @ HttpError::Listener(_)) => nobody = error,
                answer => return answer,
            }
        }
        Err(nobody)
    }

    fn send_by(&self, route: Route, request: &Request, end: Instant) -> Result<Response, HttpError> {
        let client = self.client(route)?;
        let kept = self.kept().take();
        if let Some(runtime) = kept {
            match self.send_on(runtime, &client, request, end) {
                // The server closed it when we did not look. What only asks may be asked again (RFC 9110, 9.2.2).
                Err(HttpError::BrokenOff) if request.method.is_safe() => {}
                answer => return answer,
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|_| HttpError::Setup)?;
        self.send_on(runtime, &client, request, end)
    }

    /// Sends it by this runtime, and keeps that with its connection where the options say so.
    fn send_on(
        &self,
        runtime: Runtime,
        client: &reqwest::Client,
        request: &Request,
        end: Instant,
    ) -> Result<Response, HttpError> {
        let prepared = prepared(request)?;
        let left = end.saturating_duration_since(Instant::now());
        let result = runtime.block_on(async {
            tokio::time::timeout(left, exchange(client, prepared, request.cap))
                .await
                .unwrap_or(Err(HttpError::Timeout))
        });
        match self.options.keeps_connection && result.is_ok() {
            true => *self.kept() = Some(runtime),
            // Dropping it closes the connection. A name lookup that hangs is left behind, not waited for.
            false => runtime.shutdown_background(),
        }
        result
    }

    fn kept(&self) -> MutexGuard<'_, Option<Runtime>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rules again, at the last moment before a secret leaves.
    fn check(&self, url: &Url) -> Result<(), UrlError> {
        let mut base = url.clone();
        base.set_query(None);
        check_url(base.as_str(), self.options.insecure).map(drop)
    }

    fn client(&self, route: Route) -> Result<reqwest::Client, HttpError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = clients.iter().find(|(known, _)| *known == route) {
            return Ok(client.clone());
        }
        let client = match (route.here, route.secure) {
            (Some(here), true) => secure_client(pinned(builder(&self.options), here), &self.options.roots)?,
            (Some(here), false) => plain_client(pinned(builder(&self.options), here))?,
            (None, true) => secure_client(
                through_proxy(builder(&self.options), &self.options)?,
                &self.options.roots,
            )?,
            (None, false) => plain_client(builder(&self.options))?,
        };
        clients.push((route, client.clone()));
        Ok(client)
    }
}

fn prepared(request: &Request) -> Result<reqwest::Request, HttpError> {
    let mut prepared = reqwest::Request::new(request.method.clone(), request.url.clone());
    for (name, value) in &request.headers {
        let mut value = HeaderValue::from_str(value.expose_secret()).map_err(|_| HttpError::BadHeader)?;
        value.set_sensitive(true);
        prepared.headers_mut().append(HeaderName::from_static(name), value);
    }
    if let Some(body) = &request.body {
        let json = HeaderValue::from_static("application/json");
        prepared.headers_mut().insert(reqwest::header::CONTENT_TYPE, json);
        *prepared.body_mut() = Some(body.expose_secret().to_owned().into());
    }
    Ok(prepared)
}

async fn exchange(client: &reqwest::Client, request: reqwest::Request, cap: usize) -> Result<Response, HttpError> {
    let mut response = client.execute(request).await.map_err(|error| reason(&error))?;
    if response.content_length().is_some_and(|length| length > cap as u64) {
        return Err(HttpError::TooLong(cap));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| reason(&error))? {
        if body.len() + chunk.len() > cap {
            return Err(HttpError::TooLong(cap));
        }
        body.extend_from_slice(&chunk);
    }
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let content_type = header(reqwest::header::CONTENT_TYPE)
        .and_then(|value| value.split(';').next())
        .map(|essence| essence.trim().to_ascii_lowercase())
        .unwrap_or_default();
    let date = header(reqwest::header::DATE).and_then(time::of_http_date);
    let retry_after = header(reqwest::header::RETRY_AFTER).and_then(|text| match text.trim().parse() {
        Ok(seconds) => Some(seconds),
        Err(_) => time::of_http_date(text).map(|at| at.saturating_sub(date.unwrap_or_else(time::now))),
    });
    Ok(Response {
        status: response.status().as_u16(),
        content_type,
        body,
        date,
        retry_after,
    })
}

/// What the clients for http and https share.
fn builder(options: &Options) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .http1_only()
        .pool_max_idle_per_host(usize::from(options.keeps_connection));
    match options.connect_timeout {
        Some(timeout) => builder.connect_timeout(timeout),
        None => builder,
    }
}

/// Connects to one address of this machine only, and sends nothing before it is known whose server is there.
fn pinned(builder: reqwest::ClientBuilder, here: Here) -> reqwest::ClientBuilder {
    builder
        .resolve_to_addrs("localhost", &[SocketAddr::new(here.address.ip(), 0)])
        .connector_layer(AndThenLayer::new(move |connection| checked(connection, here)))
}

async fn checked<C: Connection>(connection: C, here: Here) -> Result<C, BoxError> {
    let mut extras = Default::default();
    connection.connected().get_extras(&mut extras);
    let ends = extras.get::<HttpInfo>().map(|info| Ends {
        ours: info.local_addr(),
        theirs: info.remote_addr(),
    });
    listener::check(ends.ok_or(ListenerError::Unlisted)?, here.trust, here.known).await?;
    Ok(connection)
}

fn plain_client(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, HttpError> {
    // Without a TLS set-up of ours reqwest would load the machine's root certificates.
    built(builder.tls_backend_preconfigured(tls(rustls::RootCertStore::empty())?))
}

fn secure_client(builder: reqwest::ClientBuilder, roots: &Roots) -> Result<reqwest::Client, HttpError> {
    let builder = builder.https_only(true);
    match roots.load() {
        Some(store) if store.is_empty() => Err(HttpError::Tls(match roots.are_named() {
            true => TlsReason::NoNamedRoots,
            false => TlsReason::NoRoots,
        })),
        Some(store) => built(builder.tls_backend_preconfigured(tls(store)?)),
        None => {
            // Fails where one is installed already, which is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
            built(builder)
        }
    }
}

fn built(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, HttpError> {
    builder.build().map_err(|error| match find::<rustls::Error>(&error) {
        Some(_) => HttpError::Tls(TlsReason::NoRoots),
        None => HttpError::Setup,
    })
}

fn tls(roots: rustls::RootCertStore) -> Result<rustls::ClientConfig, HttpError> {
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| HttpError::Setup)?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn through_proxy(builder: reqwest::ClientBuilder, options: &Options) -> Result<reqwest::ClientBuilder, HttpError> {
    let Some(proxy) = &options.proxy else {
        return Ok(builder);
    };
    let bad = |_| match options.is_recorded {
        true => HttpError::BadRecordedProxy,
        false => HttpError::BadProxy,
    };
    let proxy = proxy_url(proxy.expose_secret()).map_err(bad)?;
    let proxy = reqwest::Proxy::https(proxy).map_err(|_| bad(NoProxy))?;
    let direct = options.no_proxy.as_deref().and_then(reqwest::NoProxy::from_string);
    Ok(builder.proxy(proxy.no_proxy(direct)))
}

/// A text that names no proxy.
struct NoProxy;

/// A proxy as people write it: with a scheme, or `host:port`.
fn proxy_url(text: &str) -> Result<Url, NoProxy> {
    let url = match text.contains("://") {
        true => Url::parse(text),
        false => Url::parse(&format!("http://{text}")),
    }
    .map_err(|_| NoProxy)?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err(NoProxy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_holds_no_secret() {
        let secret = SecretString::from("s3cret-token");
        let url = check_url("http://localhost:1", false).unwrap();
        let request = Request::new(Method::PUT, url, Duration::from_secs(1))
            .bearer(&secret)
            .json(&serde_json::json!({"key": "s3cret-token"}));
        assert_eq!(format!("{request:?}"), "PUT http://localhost:1/");
        let response = Response {
            status: 200,
            content_type: "application/json".into(),
            body: b"s3cret-token".to_vec(),
            date: None,
            retry_after: None,
        };
        assert!(!format!("{response:?}").contains("s3cret"));
    }
}
