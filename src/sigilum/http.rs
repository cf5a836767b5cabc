//! The one HTTP client, and the rules for every request that carries a token, a key or a secret.
//!
//! - https, or plain http to this machine only: an address in 127/8, `::1`, or exactly `localhost`, which is never
//!   looked up but pinned to those addresses. `SIGILUM_ALLOW_INSECURE_HTTP=1` lifts it.
//! - No user info in a URL. No redirect is followed. Nothing is decompressed.
//! - Never through a proxy for this machine nor for plain http; for https through the one that `HTTPS_PROXY` or
//!   `ALL_PROXY` names and `NO_PROXY` does not exclude, by CONNECT, so that a proxy sees ciphertext only.
//! - One budget for the whole request, name lookup and body included. The body is capped while it streams; at most
//!   100 headers and about 400 KiB of them are read.
//!
//! A plain http request sets no TLS up: reading the machine's root certificates would cost more than the request.

use crate::settings::Env;
use reqwest::header::{HeaderName, HeaderValue};
pub use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The most bytes of a body that are read, where a request says nothing else: 1 MiB.
pub const BODY_CAP: usize = 1 << 20;

/// Why a URL must not be used. Never shows the URL: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not an absolute URL with a host.
    #[error("it is not a URL of the form https://host[:port][/path]")]
    NotAUrl,
    /// A scheme other than http and https.
    #[error("its scheme is neither https nor http")]
    Scheme,
    /// `user:password@` in it.
    #[error("it holds a user name or a password")]
    UserInfo,
    /// A query or a fragment, which no base URL has.
    #[error("it holds a query or a fragment")]
    Query,
    /// Plain http to another machine.
    #[error("it is plain http to another machine, where a token could be read on the way; use https")]
    Insecure,
}

/// Checks a base URL under the rules above; `insecure` is whether `SIGILUM_ALLOW_INSECURE_HTTP` is on.
pub fn check_url(url: &str, insecure: bool) -> Result<Url, UrlError> {
    let url = Url::parse(url).map_err(|_| UrlError::NotAUrl)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlError::Scheme);
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(UrlError::NotAUrl);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlError::UserInfo);
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(UrlError::Query);
    }
    if url.scheme() == "http" && !insecure && !is_this_machine(&url) {
        return Err(UrlError::Insecure);
    }
    Ok(url)
}

/// Whether a URL's host is an address in 127/8, `::1`, or exactly `localhost`.
pub fn is_this_machine(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

/// `base` with path segments added and a query, each percent-encoded. A trailing slash of `base` does not double, and
/// none is left at the end.
pub fn join(base: &Url, segments: &[&str], query: &[(&str, &str)]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url
}

/// How requests travel, for all requests of one [`Http`].
#[derive(Clone, Default)]
pub struct Options {
    /// Plain http to other machines is allowed (`SIGILUM_ALLOW_INSECURE_HTTP`).
    pub insecure: bool,
    /// The longest that connecting may take; within the request's budget in any case.
    pub connect_timeout: Option<Duration>,
    /// The proxy for https, as the environment gives it; may hold a password.
    proxy: Option<SecretString>,
    /// Hosts that no proxy is used for.
    no_proxy: Option<String>,
}

impl Options {
    /// What the environment says: the switch for plain http, and the proxy variables in either case of letters
    /// (the small ones win, as in curl).
    pub fn from_env(env: &Env) -> Self {
        let either = |small: &str, capital: &str| env.var(small).or_else(|| env.var(capital)).map(str::to_owned);
        Self {
            insecure: env.is_on("SIGILUM_ALLOW_INSECURE_HTTP"),
            connect_timeout: None,
            proxy: either("https_proxy", "HTTPS_PROXY")
                .or_else(|| either("all_proxy", "ALL_PROXY"))
                .map(SecretString::from),
            no_proxy: either("no_proxy", "NO_PROXY"),
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

/// Why there is no answer. The texts hold nothing that the other side or the request said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The URL breaks the rules; nothing was sent.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A header's value cannot be sent: it holds a control character.
    #[error("the request cannot be sent: a header value holds a character that HTTP forbids")]
    BadHeader,
    /// `HTTPS_PROXY` or `ALL_PROXY` names a proxy that we cannot use.
    #[error("HTTPS_PROXY or ALL_PROXY names no http:// or https:// proxy")]
    BadProxy,
    /// Nothing listens at the address.
    #[error("nothing listens there (connection refused)")]
    Refused,
    /// The host's name has no address.
    #[error("the host's name could not be resolved")]
    Name,
    /// The proxy does not let us through.
    #[error("the proxy refused the connection")]
    Proxy,
    /// The connection could not be made for another reason.
    #[error("could not connect ({0})")]
    Connect(io::ErrorKind),
    /// The TLS handshake failed.
    #[error("no secure connection: {0}")]
    Tls(TlsReason),
    /// The budget was used up.
    #[error("no full answer in time")]
    Timeout,
    /// The connection ended in the middle of the answer.
    #[error("the connection broke off in the middle of the answer")]
    BrokenOff,
    /// The answer is not HTTP, or has too many or too long headers.
    #[error("the answer is not acceptable HTTP")]
    NotHttp,
    /// The body is longer than the cap.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// The client itself failed: no file descriptors left, for example.
    #[error("the HTTP client could not be set up")]
    Setup,
}

/// Why TLS failed, in our own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsReason {
    /// The certificate is past its end.
    Expired,
    /// The certificate is for another name.
    WrongName,
    /// The certificate's issuer is not among this machine's roots.
    UnknownIssuer,
    /// The certificate is bad in another way.
    BadCertificate,
    /// This machine has no root certificates.
    NoRoots,
    /// Anything else: no TLS there, no common version.
    Handshake,
}

impl fmt::Display for TlsReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "the server's certificate has expired",
            Self::WrongName => "the server's certificate is for another name",
            Self::UnknownIssuer => "the server's certificate comes from an issuer that this machine does not trust",
            Self::BadCertificate => "the server's certificate is not valid",
            Self::NoRoots => "this machine has no usable root certificates",
            Self::Handshake => "the TLS handshake failed",
        })
    }
}

impl HttpError {
    /// Whether the other side could not be reached at all, as against having answered badly.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Refused | Self::Name | Self::Proxy | Self::Connect(_) | Self::Tls(_) | Self::Timeout
        )
    }
}

/// The client. Made without any work; what a request needs is set up at the first one and kept, so that a resident
/// process pays for the root certificates once. No connection outlives its request.
#[derive(Default)]
pub struct Http {
    options: Options,
    plain: OnceLock<reqwest::Client>,
    secure_here: OnceLock<reqwest::Client>,
    secure: OnceLock<reqwest::Client>,
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
        let client = self.client(&request.url)?;
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
        // A runtime for this request alone: dropping it closes the connection and leaves nothing that could wake up.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|_| HttpError::Setup)?;
        let result = runtime.block_on(async {
            tokio::time::timeout(request.budget, exchange(&client, prepared, request.cap))
                .await
                .unwrap_or(Err(HttpError::Timeout))
        });
        // A name lookup that hangs is left behind, not waited for.
        runtime.shutdown_background();
        result
    }

    /// The rules again, at the last moment before a secret leaves.
    fn check(&self, url: &Url) -> Result<(), UrlError> {
        let mut base = url.clone();
        base.set_query(None);
        check_url(base.as_str(), self.options.insecure).map(drop)
    }

    fn client(&self, url: &Url) -> Result<reqwest::Client, HttpError> {
        let slot = match url.scheme() {
            "https" if is_this_machine(url) => &self.secure_here,
            "https" => &self.secure,
            _ => &self.plain,
        };
        if let Some(client) = slot.get() {
            return Ok(client.clone());
        }
        let client = match url.scheme() {
            "https" if is_this_machine(url) => secure_client(builder(&self.options))?,
            "https" => secure_client(through_proxy(builder(&self.options), &self.options)?)?,
            _ => plain_client(builder(&self.options))?,
        };
        Ok(slot.get_or_init(|| client).clone())
    }
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
    let content_type = response
        .headers()
        .get(reqwest::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|essence| essence.trim().to_ascii_lowercase())
        .unwrap_or_default();
    Ok(Response {
        status: response.status().as_u16(),
        content_type,
        body,
    })
}

/// What the clients for http and https share.
fn builder(options: &Options) -> reqwest::ClientBuilder {
    const THIS_MACHINE: [SocketAddr; 2] = [
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
        SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0),
    ];
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .http1_only()
        .pool_max_idle_per_host(0)
        .resolve_to_addrs("localhost", &THIS_MACHINE);
    if let Some(timeout) = options.connect_timeout {
        builder = builder.connect_timeout(timeout);
    }
    builder
}

fn plain_client(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, HttpError> {
    // Without a TLS set-up of ours reqwest would load the machine's root certificates.
    let no_tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| HttpError::Setup)?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    builder
        .tls_backend_preconfigured(no_tls)
        .build()
        .map_err(|_| HttpError::Setup)
}

fn secure_client(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, HttpError> {
    // Fails where one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    builder
        .https_only(true)
        .build()
        .map_err(|error| match find::<rustls::Error>(&error) {
            Some(_) => HttpError::Tls(TlsReason::NoRoots),
            None => HttpError::Setup,
        })
}

fn through_proxy(builder: reqwest::ClientBuilder, options: &Options) -> Result<reqwest::ClientBuilder, HttpError> {
    let Some(proxy) = &options.proxy else {
        return Ok(builder);
    };
    let proxy = reqwest::Proxy::https(proxy_url(proxy.expose_secret())?).map_err(|_| HttpError::BadProxy)?;
    let direct = options.no_proxy.as_deref().and_then(reqwest::NoProxy::from_string);
    Ok(builder.proxy(proxy.no_proxy(direct)))
}

/// A proxy as people write it: with a scheme, or `host:port`.
fn proxy_url(text: &str) -> Result<Url, HttpError> {
    let url = match text.contains("://") {
        true => Url::parse(text),
        false => Url::parse(&format!("http://{text}")),
    }
    .map_err(|_| HttpError::BadProxy)?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err(HttpError::BadProxy),
    }
}

/// Puts reqwest's error into our words. Its own text may quote the other side, so none of it is kept.
fn reason(error: &reqwest::Error) -> HttpError {
    if error.is_timeout() {
        return HttpError::Timeout;
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        return HttpError::Tls(tls_reason(tls));
    }
    // These errors have private types; their texts are fixed words of the library.
    let says = |words: &str| {
        std::iter::successors(error.source(), |error| (*error).source())
            .any(|error| error.to_string().starts_with(words))
    };
    if error.is_connect() {
        if says("dns error") {
            return HttpError::Name;
        }
        if says("tunnel error") {
            return HttpError::Proxy;
        }
        return match find::<io::Error>(error).map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => HttpError::Refused,
            Some(kind) => HttpError::Connect(kind),
            None => HttpError::Connect(io::ErrorKind::Other),
        };
    }
    match says("invalid ") || says("unexpected transfer-encoding") || says("message head is too large") {
        true => HttpError::NotHttp,
        false => HttpError::BrokenOff,
    }
}

fn tls_reason(error: &rustls::Error) -> TlsReason {
    use rustls::CertificateError as Bad;
    match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::Expired | Bad::ExpiredContext { .. } => TlsReason::Expired,
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => TlsReason::WrongName,
            Bad::UnknownIssuer => TlsReason::UnknownIssuer,
            _ => TlsReason::BadCertificate,
        },
        _ => TlsReason::Handshake,
    }
}

/// The first error of a type in an error's chain, looking into what an `io::Error` wraps too.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_urls_may_carry_a_secret() {
        let fine = [
            "https://api.sigilum.id",
            "https://api.sigilum.id:8443/base",
            "https://192.0.2.1",
            "http://127.0.0.1:8787",
            "http://127.255.0.9:1",
            "http://127.1:8787",
            "http://[::1]:8787",
            "http://localhost:8787",
            "http://LOCALHOST:8787",
        ];
        for url in fine {
            assert!(check_url(url, false).is_ok(), "{url}");
        }
        let refused = [
            ("http://192.0.2.1:8787", UrlError::Insecure),
            ("http://0.0.0.0:8787", UrlError::Insecure),
            ("http://[::ffff:127.0.0.1]:8787", UrlError::Insecure),
            ("http://[::]:8787", UrlError::Insecure),
            ("http://localhost.:8787", UrlError::Insecure),
            ("http://localhost.example.com", UrlError::Insecure),
            ("http://a.localhost", UrlError::Insecure),
            ("http://127.0.0.1.example.com", UrlError::Insecure),
            ("http://api.sigilum.id", UrlError::Insecure),
            ("https://alice@api.sigilum.id", UrlError::UserInfo),
            ("https://:pw@api.sigilum.id", UrlError::UserInfo),
            ("http://127.0.0.1:8787@evil.example", UrlError::UserInfo),
            ("https://api.sigilum.id/?x=1", UrlError::Query),
            ("https://api.sigilum.id/#x", UrlError::Query),
            ("ftp://127.0.0.1", UrlError::Scheme),
            ("file:///etc/passwd", UrlError::Scheme),
            ("unix:/run/x", UrlError::Scheme),
            ("127.0.0.1:8787", UrlError::NotAUrl),
            ("https://", UrlError::NotAUrl),
            ("", UrlError::NotAUrl),
        ];
        for (url, error) in refused {
            assert_eq!(check_url(url, false).unwrap_err(), error, "{url}");
        }
        assert!(check_url("http://192.0.2.1:8787", true).is_ok());
        assert_eq!(check_url("http://u:p@192.0.2.1", true).unwrap_err(), UrlError::UserInfo);
    }

    #[test]
    fn urls_are_joined_without_a_trailing_slash() {
        let cases = [
            (
                "http://localhost:8787",
                "http://localhost:8787/v1/a%2Fb%20c?status=pending",
            ),
            (
                "http://localhost:8787/",
                "http://localhost:8787/v1/a%2Fb%20c?status=pending",
            ),
            (
                "https://x.example/base/",
                "https://x.example/base/v1/a%2Fb%20c?status=pending",
            ),
        ];
        for (base, joined) in cases {
            let base = check_url(base, false).unwrap();
            assert_eq!(join(&base, &["v1", "a/b c"], &[("status", "pending")]).as_str(), joined);
        }
    }

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
        };
        assert!(!format!("{response:?}").contains("s3cret"));
    }
}
