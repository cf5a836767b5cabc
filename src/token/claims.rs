//! The owner token's claims: mint, inspect, check. Format: a JWT (RFC 7519) signed with HS256, as the Sigilum API
//! makes and checks it.

use super::hs256;
use super::times::{self, TimeFault};
use crate::text;
use base64::engine::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Map, Value};

/// The issuer that the Sigilum API writes and wants.
pub const ISSUER: &str = "sigilum-api";
/// The audience that the Sigilum API writes and wants.
pub const AUDIENCE: &str = "sigilum-dashboard";
/// An owner token is about 400 bytes; a text over this size is not one.
pub const MAX_BYTES: usize = 16 * 1024;

/// What a token says when we mint it. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Claims {
    /// The owner's user id.
    pub sub: String,
    /// The owner's e-mail.
    pub email: String,
    /// The namespace.
    pub namespace: String,
    /// Always [`ISSUER`].
    pub iss: &'static str,
    /// Always [`AUDIENCE`].
    pub aud: &'static str,
    /// Issued at.
    pub iat: i64,
    /// Expires at.
    pub exp: i64,
}

impl Claims {
    /// The claims of a token for an owner, issued `now`, that lives `ttl` seconds.
    pub fn new(sub: &str, email: &str, namespace: &str, now: i64, ttl: u64) -> Self {
        Self {
            sub: sub.to_owned(),
            email: email.to_owned(),
            namespace: namespace.to_owned(),
            iss: ISSUER,
            aud: AUDIENCE,
            iat: now,
            exp: now.saturating_add_unsigned(ttl),
        }
    }
}

/// Signs the claims with the API's JWT secret (its UTF-8 bytes are the key).
///
/// # Errors
/// Where the claims cannot be written as JSON, which strings and integers always can.
pub fn mint(claims: &Claims, secret: &SecretString) -> Result<SecretString, Invalid> {
    hs256::install();
    let key = EncodingKey::from_secret(secret.expose_secret().as_bytes());
    let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).map_err(|_| Invalid::Claims)?;
    Ok(token.into())
}

/// Whether the token's signature is by this secret. Says nothing of its expiry.
pub fn is_signed_by(token: &SecretString, secret: &SecretString) -> bool {
    hs256::install();
    let mut signature_only = Validation::new(Algorithm::HS256);
    signature_only.validate_exp = false;
    signature_only.validate_aud = false;
    signature_only.required_spec_claims.clear();
    let key = DecodingKey::from_secret(secret.expose_secret().as_bytes());
    jsonwebtoken::decode::<Map<String, Value>>(token.expose_secret(), &key, &signature_only).is_ok()
}

/// Why a text is not an owner token. Never holds any of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Nothing but white space.
    #[error("it is empty")]
    Empty,
    /// Over [`MAX_BYTES`].
    #[error("it is over {MAX_BYTES} bytes")]
    TooLong,
    /// Not three base64url parts with dots between.
    #[error("it does not look like a token, which is one long word with two dots in it")]
    Shape,
    /// The first part is no JSON object, as of a text that was not copied from its beginning.
    #[error("its header is not a JSON object")]
    Header,
    /// The middle part is no JSON object.
    #[error("its claims are not a JSON object")]
    Claims,
    /// No `namespace` string.
    #[error("its claims name no namespace")]
    NoNamespace,
    /// `alg` is `none`, or nothing stands behind the last dot (RFC 7515 appendix A.5).
    #[error("it is not signed, and no API takes such a token")]
    Unsigned,
    /// A time that is no number.
    #[error("its {0} claim is not a number of seconds")]
    Time(&'static str),
}

/// What a token says of itself; nothing of it is verified. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// The namespace.
    pub namespace: String,
    /// The owner's user id.
    pub sub: Option<String>,
    /// The owner's e-mail.
    pub email: Option<String>,
    /// The issuer.
    pub iss: Option<String>,
    /// Whether the audience is, or has among it, [`AUDIENCE`].
    pub audience_ok: bool,
    /// Issued at.
    pub iat: Option<i64>,
    /// Expires at; a token without it never expires by itself.
    pub exp: Option<i64>,
    /// Not valid before.
    pub nbf: Option<i64>,
}

impl Inspected {
    /// Whether the token is past its expiry.
    pub fn is_expired(&self, now: i64) -> bool {
        self.exp.is_some_and(|exp| exp <= now)
    }

    /// In how many seconds the token begins to be valid, where that is not now: clocks may differ a little.
    pub fn begins_in(&self, now: i64) -> Option<i64> {
        let left = self.nbf?.saturating_sub(now);
        (left > times::CLOCKS_DIFFER).then_some(left)
    }

    /// Whether there is no moment at which the token is valid.
    pub fn is_never_valid(&self) -> bool {
        self.nbf.zip(self.exp).is_some_and(|(nbf, exp)| nbf >= exp)
    }

    /// `exp − iat` in seconds, where both are there and in order, and where a token may live so long
    /// ([`times::LONGEST`]).
    pub fn life(&self) -> Option<u64> {
        u64::try_from(self.exp?.checked_sub(self.iat?)?)
            .ok()
            .filter(|life| (1..=times::LONGEST).contains(life))
    }

    /// What is wrong with its times: see [`times::time_fault`].
    pub fn time_fault(&self, now: i64) -> Option<TimeFault> {
        times::time_fault(self.iat, self.exp, now)
    }

    /// What a careful reader would be told about a token that cannot be verified here: no expiry, another issuer,
    /// another audience, times that cannot be right.
    pub fn doubts(&self, now: i64) -> Vec<String> {
        let doubts = [
            (self.exp.is_none(), "the token has no expiry (exp)"),
            (
                self.iss.as_deref() != Some(ISSUER),
                "the token's issuer (iss) is not sigilum-api",
            ),
            (!self.audience_ok, "the token's audience (aud) is not sigilum-dashboard"),
        ];
        let doubts = doubts
            .into_iter()
            .filter(|(doubtful, _)| *doubtful)
            .map(|(_, text)| text.to_owned());
        let begins = |left| {
            let left = crate::time::duration(left);
            format!("the token is not valid (nbf) for another {left}; is this machine's clock right?")
        };
        doubts
            .chain(self.begins_in(now).map(begins))
            .chain(self.time_fault(now).map(|fault| fault.to_string()))
            .collect()
    }
}

/// Reads a token's claims without its key: three base64url parts, JSON header and claims, a namespace.
///
/// # Errors
/// Where the text is not of that shape.
pub fn inspect(token: &SecretString) -> Result<Inspected, Invalid> {
    let text = token.expose_secret();
    if text.trim().is_empty() {
        return Err(Invalid::Empty);
    }
    if text.len() > MAX_BYTES {
        return Err(Invalid::TooLong);
    }
    let base64url =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let parts: Vec<&str> = text.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        return Err(Invalid::Shape);
    };
    if members(header).is_some_and(|header| signature.is_empty() || is_unsigned(&header)) {
        return Err(Invalid::Unsigned);
    }
    if !parts.iter().all(|part| base64url(part)) {
        return Err(Invalid::Shape);
    }
    members(header).ok_or(Invalid::Header)?;
    let claims = members(claims).ok_or(Invalid::Claims)?;
    let string = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let audience_ok = match claims.get("aud") {
        Some(Value::String(aud)) => aud == AUDIENCE,
        Some(Value::Array(all)) => all.iter().any(|aud| aud == AUDIENCE),
        _ => false,
    };
    Ok(Inspected {
        namespace: string("namespace")
            .filter(|namespace| !namespace.is_empty())
            .ok_or(Invalid::NoNamespace)?,
        sub: string("sub"),
        email: string("email"),
        iss: string("iss"),
        audience_ok,
        iat: time(&claims, "iat")?,
        exp: time(&claims, "exp")?,
        nbf: time(&claims, "nbf")?,
    })
}

/// Whether a token's header says that it has no signature (RFC 7518 §3.6), in any spelling.
pub(super) fn is_unsigned(header: &Map<String, Value>) -> bool {
    let alg = header.get("alg").and_then(Value::as_str);
    alg.is_some_and(|alg| alg.eq_ignore_ascii_case("none"))
}

/// The JSON object in one part of a token.
pub(super) fn members(part: &str) -> Option<Map<String, Value>> {
    let json = URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice(&text::readable_json(&json)).ok()
}

/// A NumericDate (RFC 7519 §2): seconds, a fraction allowed and cut off.
fn time(claims: &Map<String, Value>, name: &'static str) -> Result<Option<i64>, Invalid> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_i64()
            .or_else(|| {
                value
                    .as_f64()
                    .filter(|seconds| seconds.abs() < 1e15)
                    .map(|seconds| seconds.floor() as i64)
            })
            .map(Some)
            .ok_or(Invalid::Time(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn token(claims: &str) -> SecretString {
        format!("e30.{}.c2ln", base64url(claims.as_bytes())).into()
    }

    fn base64url(bytes: &[u8]) -> String {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut text = String::new();
        for chunk in bytes.chunks(3) {
            let word = chunk.iter().fold(0u32, |word, b| word << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
            for i in 0..=chunk.len() {
                text.push(char::from(ALPHABET[(word >> (18 - 6 * i)) as usize & 63]));
            }
        }
        text
    }

    /// RFC 7515 appendix A.1: the vector that every HS256 implementation shares.
    #[test]
    fn hs256_agrees_with_the_rfc() {
        let input = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        hs256::install();
        let key = EncodingKey::from_base64_secret(&(key.replace('-', "+").replace('_', "/") + "==")).unwrap();
        let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &key, Algorithm::HS256).unwrap();
        assert_eq!(signature, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    }

    #[test]
    fn a_minted_token_says_what_it_was_given_and_verifies_with_its_secret_only() {
        let secret: SecretString = "s3cret".into();
        let token = mint(&Claims::new("user_local_alice", "a@b.c", "alice", NOW, 60), &secret).unwrap();
        let seen = inspect(&token).unwrap();
        assert_eq!(
            (seen.namespace.as_str(), seen.sub.as_deref()),
            ("alice", Some("user_local_alice"))
        );
        assert_eq!((seen.iat, seen.exp, seen.life()), (Some(NOW), Some(NOW + 60), Some(60)));
        assert!(seen.doubts(NOW).is_empty());
        assert!(!seen.is_expired(NOW + 59) && seen.is_expired(NOW + 60));
        assert!(is_signed_by(&token, &secret));
        assert!(!is_signed_by(&token, &"other".into()));
        assert!(
            token
                .expose_secret()
                .starts_with("eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.")
        );
    }

    #[test]
    fn a_life_that_no_token_may_have_is_none() {
        let longest = i64::try_from(times::LONGEST).unwrap();
        for (iat, exp, life) in [
            (NOW, NOW + 1, Some(1)),
            (NOW, NOW + longest, Some(times::LONGEST)),
            (NOW, NOW + longest + 1, None),
            (NOW, NOW * 1000, None),
            (NOW, NOW, None),
            (NOW, NOW - 1, None),
            (i64::MIN, i64::MAX, None),
        ] {
            let seen = inspect(&token(&format!(r#"{{"namespace":"alice","iat":{iat},"exp":{exp}}}"#))).unwrap();
            assert_eq!(seen.life(), life, "{iat} {exp}");
        }
    }

    #[test]
    fn a_token_with_another_algorithm_is_not_signed_by_us() {
        let none: SecretString = format!("{}.{}.", base64url(br#"{"alg":"none"}"#), base64url(b"{}")).into();
        assert!(!is_signed_by(&none, &"".into()));
    }

    #[test]
    fn half_a_surrogate_pair_is_no_fault() {
        let says = inspect(&token(r#"{"name":"cut \ud83d","namespace":"a"}"#)).unwrap();
        assert_eq!(says.namespace, "a");
    }

    #[test]
    fn what_is_not_a_token_says_why() {
        let cases = [
            (" ".into(), Invalid::Empty),
            ("a".repeat(MAX_BYTES + 1).into(), Invalid::TooLong),
            ("abc".into(), Invalid::Shape),
            ("a.b".into(), Invalid::Shape),
            ("a..c".into(), Invalid::Shape),
            ("a.b.c.d".into(), Invalid::Shape),
            ("a.b c.d".into(), Invalid::Shape),
            ("a.b\n.d".into(), Invalid::Shape),
            ("a.b.c".into(), Invalid::Header),
            ("W10.e30.c".into(), Invalid::Header),
            (
                format!("x{}", token(r#"{"namespace":"a"}"#).expose_secret()).into(),
                Invalid::Header,
            ),
            ("e30.b.c".into(), Invalid::Claims),
            (token("[]"), Invalid::Claims),
            (token("{}"), Invalid::NoNamespace),
            (token(r#"{"namespace":7}"#), Invalid::NoNamespace),
            (token(r#"{"namespace":""}"#), Invalid::NoNamespace),
            (token(r#"{"namespace":"a","exp":"soon"}"#), Invalid::Time("exp")),
            (token(r#"{"namespace":"a","iat":1e300}"#), Invalid::Time("iat")),
            (token(r#"{"namespace":"a","nbf":"soon"}"#), Invalid::Time("nbf")),
            ("e30.e30.".into(), Invalid::Unsigned),
            (
                format!("{}.e30.", base64url(br#"{"alg":"none"}"#)).into(),
                Invalid::Unsigned,
            ),
            (
                format!("{}.e30.c2ln", base64url(br#"{"alg":"NonE"}"#)).into(),
                Invalid::Unsigned,
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(inspect(&text), Err(expected), "{}", text.expose_secret());
        }
    }

    #[test]
    fn doubts_are_told_one_by_one() {
        let good = r#""namespace":"alice","iss":"sigilum-api","aud":["x","sigilum-dashboard"]"#;
        let cases = [
            (format!("{{{good},\"exp\":{}}}", NOW + 1), 0),
            (format!("{{{good}}}"), 1),
            (format!("{{{good},\"exp\":1.5,\"iat\":{}}}", NOW + 301), 1),
            (format!("{{{good},\"exp\":{}}}", NOW * 1000), 1),
            (format!("{{{good},\"exp\":{},\"nbf\":{}}}", NOW + 900, NOW + 300), 0),
            (format!("{{{good},\"exp\":{},\"nbf\":{}}}", NOW + 900, NOW + 301), 1),
            (r#"{"namespace":"alice"}"#.to_owned(), 3),
        ];
        for (claims, doubts) in cases {
            assert_eq!(inspect(&token(&claims)).unwrap().doubts(NOW).len(), doubts, "{claims}");
        }
    }
}
