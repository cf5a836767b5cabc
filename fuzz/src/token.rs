//! Owner tokens: arbitrary texts, arbitrary claims, and our own.

use super::input::split;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use sigilum_authz_notify::text;
use sigilum_authz_notify::token::claims::{self, AUDIENCE, Claims, ISSUER, Inspected, Invalid, MAX_BYTES};
use sigilum_authz_notify::token::lifetime::{Lifetime, MAX_JITTER, is_due, jitter};

/// Text: what is taken for a token, and for a token's claims. Program: the clock, a secret, a lifetime.
pub fn check(input: &[u8]) {
    let (text, mut program) = split(input);
    let (now, ttl) = ((program.number() >> 16) as i64, program.number() >> 16);
    let secret = program.text();

    if let Ok(text) = std::str::from_utf8(text) {
        as_it_is(text, now);
        our_own(text, &secret, now, ttl);
    }
    of_claims(text, now);
}

/// A text that somebody pasted.
fn as_it_is(text: &str, now: i64) {
    let token = SecretString::from(text.to_owned());
    match claims::inspect(&token) {
        Ok(seen) => {
            let parts: Vec<&str> = text.split('.').collect();
            let fine =
                |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
            assert!(parts.len() == 3 && parts.iter().all(fine) && text.len() <= MAX_BYTES);
            consistent(&seen, now);
        }
        Err(Invalid::Empty) => assert!(text.trim().is_empty()),
        Err(Invalid::TooLong) => assert!(text.len() > MAX_BYTES),
        Err(_) => {}
    }
    assert!(!claims::is_signed_by(&token, &"a secret that signed nothing".into()));
}

/// A token with these claims: what is seen is what serde_json reads.
fn of_claims(bytes: &[u8], now: i64) {
    let token = SecretString::from(format!("e30.{}.c2ln", base64url(bytes)));
    let seen = claims::inspect(&token);
    if token.expose_secret().len() > MAX_BYTES || bytes.is_empty() {
        return assert!(seen.is_err());
    }
    // Half a surrogate pair, which JavaScript reads, is no fault.
    let bytes = text::readable_json(bytes);
    let Ok(said) = serde_json::from_slice::<Map<String, Value>>(&bytes) else {
        return assert_eq!(seen, Err(Invalid::Claims));
    };
    let string = |name: &str| said.get(name).and_then(Value::as_str).map(str::to_owned);
    let Some(namespace) = string("namespace").filter(|namespace| !namespace.is_empty()) else {
        return assert_eq!(seen, Err(Invalid::NoNamespace));
    };
    let seen = match seen {
        Err(Invalid::Time(name)) => {
            // Only what is no number, or no number of seconds that a clock could show.
            let odd = |value: &Value| value.as_f64().is_none_or(|seconds| seconds.abs() >= 1e15);
            return assert!(said.get(name).is_some_and(odd), "{name} was refused");
        }
        seen => seen.unwrap(),
    };
    assert_eq!(seen.namespace, namespace);
    assert_eq!((&seen.sub, &seen.email), (&string("sub"), &string("email")));
    assert_eq!(seen.iss, string("iss"));
    let audience = said.get("aud").is_some_and(|aud| match aud {
        Value::Array(all) => all.contains(&AUDIENCE.into()),
        aud => aud == AUDIENCE,
    });
    assert_eq!(seen.audience_ok, audience);
    for (name, time) in [("iat", seen.iat), ("exp", seen.exp)] {
        let value = said.get(name).filter(|value| !value.is_null());
        assert_eq!(time.is_some(), value.is_some(), "{name}");
        if let (Some(time), Some(value)) = (time, value.and_then(Value::as_f64)) {
            assert!(
                (time as f64 - value.floor()).abs() <= value.abs() * 1e-15,
                "{name}: {time}, not {value}"
            );
        }
    }
    consistent(&seen, now);
}

/// What else is said of a token follows from what was seen.
fn consistent(seen: &Inspected, now: i64) {
    assert!(!seen.namespace.is_empty());
    assert_eq!(seen.is_expired(now), seen.exp.is_some_and(|exp| exp <= now));
    if let Some(life) = seen.life() {
        assert_eq!(
            i128::from(life),
            i128::from(seen.exp.unwrap()) - i128::from(seen.iat.unwrap())
        );
    }
    assert!(seen.doubts(now).len() <= 4);
    let due = is_due(seen, now);
    if let (Some(iat), Some(exp)) = (seen.iat, seen.exp) {
        let token = Lifetime { iat, exp };
        let spread = jitter(now as u64, seen.namespace.as_bytes(), token);
        assert!((0.0..=MAX_JITTER).contains(&spread));
        assert!(token.due_at_ms(1.0 / 3.0, spread) <= token.due_at_ms(1.0 / 3.0, 0.0));
        assert!(due || !seen.is_expired(now), "expired, but not due");
    } else {
        assert_eq!(due, seen.time_fault(now).is_some());
    }
}

/// What we mint is seen as it was meant, and is signed by its secret alone.
fn our_own(text: &str, secret: &str, now: i64, ttl: u64) {
    let third = |part: usize| text.chars().skip(part).step_by(3).collect::<String>();
    let ours = Claims::new(&third(0), &third(1), &third(2), now, ttl);
    let signer = SecretString::from(secret.to_owned());
    let token = claims::mint(&ours, &signer).unwrap();
    assert!(claims::is_signed_by(&token, &signer));
    assert!(!claims::is_signed_by(&token, &format!("{secret}x").into()));
    match claims::inspect(&token) {
        Ok(seen) => {
            assert_eq!(
                (seen.namespace.as_str(), seen.sub.as_deref()),
                (&*ours.namespace, Some(&*ours.sub))
            );
            assert_eq!(
                (seen.email.as_deref(), seen.iss.as_deref()),
                (Some(&*ours.email), Some(ISSUER))
            );
            assert_eq!(
                (seen.iat, seen.exp, seen.audience_ok),
                (Some(ours.iat), Some(ours.exp), true)
            );
            consistent(&seen, now);
        }
        Err(Invalid::NoNamespace) => assert!(ours.namespace.is_empty()),
        Err(Invalid::TooLong) => assert!(token.expose_secret().len() > MAX_BYTES),
        Err(error) => panic!("a token of ours: {error}"),
    }
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
