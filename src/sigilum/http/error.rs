//! Why there is no answer, in our own words.

use super::listener::ListenerError;
use super::url::UrlError;
use std::error::Error as StdError;
use std::fmt;
use std::io;

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
    /// The same of what the hook's record names.
    #[error("the proxy that `hook install` recorded is not a valid http:// or https:// URL")]
    BadRecordedProxy,
    /// What listens on this machine may not get a secret; nothing was sent.
    #[error(transparent)]
    Listener(#[from] ListenerError),
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
    /// What was named to be trusted instead of them holds no certificate.
    NoNamedRoots,
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
            Self::NoNamedRoots => "what is named to be trusted holds no certificate in PEM form",
            Self::Handshake => "the TLS handshake failed",
        })
    }
}

/// Puts reqwest's error into our words. Its own text may quote the other side, so none of it is kept.
pub(super) fn reason(error: &reqwest::Error) -> HttpError {
    if error.is_timeout() {
        return HttpError::Timeout;
    }
    if let Some(listener) = find::<ListenerError>(error) {
        return HttpError::Listener(*listener);
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
pub(super) fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
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
