//! Which URLs may carry a secret.

use reqwest::Url;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

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
    // The parser takes some out without a word, and a backslash for a slash.
    if url.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err(UrlError::NotAUrl);
    }
    // `https:host` too.
    let has_host = url.contains("://");
    let url = Url::parse(url).map_err(|_| UrlError::NotAUrl)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlError::Scheme);
    }
    if !has_host || url.host_str().is_none_or(str::is_empty) || url.port() == Some(0) {
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

/// What a person should know of a URL that they gave: it may be used, and may not be what they mean. `name` is what it is
/// the URL of, `secret` what goes there, `added` what each request adds to its path.
pub fn doubts(url: &Url, name: &str, secret: &str, added: &[&str]) -> Vec<String> {
    let host = url.host_str().unwrap_or_default();
    let path = url.path().trim_end_matches('/');
    let adds = format!("/{}", added.join("/"));
    let doubts = [
        (
            url.scheme() == "http" && !is_this_machine(url),
            format!("is plain http to another machine: {secret} can be read on the way"),
        ),
        (
            path.ends_with(&adds),
            format!("ends with {adds}, which every request adds: {}", join(url, added, &[])),
        ),
        (
            host.split('.').any(|label| label.starts_with("xn--")),
            format!("has letters in its host that may only look like others; the host is {host}"),
        ),
    ];
    let doubts = doubts.into_iter().filter(|(is_odd, _)| *is_odd);
    doubts.map(|(_, what)| format!("{name} {what}")).collect()
}

/// Whether a URL's host is an address in 127/8, `::1`, or exactly `localhost`.
pub fn is_this_machine(url: &Url) -> bool {
    url.host_str() == Some("localhost") || literal(url).is_some_and(|address| address.is_loopback())
}

fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// The addresses of this machine that a connection to the URL may go to, to be tried in this order; none where it goes
/// elsewhere. Plain http, where `SIGILUM_ALLOW_INSECURE_HTTP` allows it, has more ways to get here: `0.0.0.0` does.
pub(super) fn addresses_here(url: &Url) -> Vec<SocketAddr> {
    let address = literal(url);
    let reached = match address.map(|address| address.to_canonical()) {
        _ if url.host_str() == Some("localhost") => localhost(),
        Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) => vec![Ipv4Addr::LOCALHOST.into()],
        Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => vec![Ipv6Addr::LOCALHOST.into()],
        Some(address) if address.is_loopback() => vec![address],
        _ => Vec::new(),
    };
    if url.scheme() == "https" && !is_this_machine(url) {
        return Vec::new();
    }
    let port = url.port_or_known_default().unwrap_or_default();
    reached
        .into_iter()
        .map(|address| SocketAddr::new(address, port))
        .collect()
}

/// The addresses of `localhost`, which is never looked up.
fn localhost() -> Vec<IpAddr> {
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    // Where there is no IPv6, its error would hide that nothing listens.
    if UdpSocket::bind(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 0)).is_ok() {
        addresses.push(Ipv6Addr::LOCALHOST.into());
    }
    addresses
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
            ("https:api.sigilum.id", UrlError::NotAUrl),
            ("https:/api.sigilum.id", UrlError::NotAUrl),
            ("http://127.0.0.1:0", UrlError::NotAUrl),
            ("", UrlError::NotAUrl),
            ("https://api.sigilum.id ", UrlError::NotAUrl),
            ("https://api.sig\tilum.id", UrlError::NotAUrl),
            ("https://api.sigilum.id/a b", UrlError::NotAUrl),
            ("https://api.sigilum\n.id", UrlError::NotAUrl),
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
}
