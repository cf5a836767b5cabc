//! An access request that waits for its owner: what the API answers and what the local database holds.

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// How many claims we ask for, and the most that we keep of an answer.
pub const LIMIT: usize = 20;

/// One pending request, as far as a notice needs it. Every field is text that a stranger chose: show it only through
/// [`crate::notice`]. A field that is missing, null or no string is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Claim {
    /// The slug of the service that is asked for.
    #[serde(deserialize_with = "text")]
    pub service: Option<String>,
    /// The agent's public key.
    #[serde(deserialize_with = "text")]
    pub public_key: Option<String>,
    /// The address that the request came from.
    #[serde(deserialize_with = "text")]
    pub agent_ip: Option<String>,
    /// On whose behalf the agent says it acts.
    #[serde(deserialize_with = "text")]
    pub subject: Option<String>,
    /// The agent's id.
    #[serde(deserialize_with = "text")]
    pub agent_id: Option<String>,
    /// The agent's name.
    #[serde(deserialize_with = "text")]
    pub agent_name: Option<String>,
    /// When it was made: ISO 8601 in UTC, `2026-11-22T06:20:37.017Z`.
    #[serde(deserialize_with = "text")]
    pub created_at: Option<String>,
}

/// What waits for approval in one namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pending {
    /// At most [`LIMIT`] claims, newest first.
    pub claims: Vec<Claim>,
    /// How many there are in all; `None` where the answer did not say it as a whole number.
    pub total: Option<u64>,
}

/// Why a body is not the answer of `GET /v1/namespaces/<ns>/claims`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are no JSON text, or nested too deeply.
    #[error("the answer is not JSON")]
    NotJson,
    /// JSON, but not of the answer's shape.
    #[error("the answer holds no list of requests")]
    NoClaims,
}

impl Pending {
    /// Reads the API's answer. Missing and odd fields are `None`; of a longer list only [`LIMIT`] claims are kept.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let body = without_halves(body);
        let Object(answer) =
            serde_json::from_slice::<Object<Answer>>(&body).map_err(|error| match error.classify() {
                serde_json::error::Category::Data => DecodeError::NoClaims,
                _ => DecodeError::NotJson,
            })?;
        let List { kept, length } = answer.claims.ok_or(DecodeError::NoClaims)?;
        let total = answer.pagination.and_then(|Object(page)| page.total);
        Ok(Self {
            claims: kept,
            total: total.map(|total| total.max(length)),
        })
    }

    /// How many wait at least, and whether that is known to be all.
    pub fn count(&self) -> (u64, bool) {
        let known = self.claims.len() as u64;
        match self.total {
            Some(total) => (total.max(known), true),
            None => (known, known < LIMIT as u64),
        }
    }
}

/// The body with U+FFFD for each escape that is half a surrogate pair. JavaScript may write such ones, our parser takes
/// none: one request could hide all others.
fn without_halves(body: &[u8]) -> Cow<'_, [u8]> {
    let mut body = Cow::Borrowed(body);
    let mut at = 0;
    // In JSON a backslash stands in texts only, and never alone.
    while let Some(found) = body
        .get(at..)
        .and_then(|rest| rest.iter().position(|byte| *byte == b'\\'))
    {
        at += found;
        at += match (escaped(&body, at), escaped(&body, at + 6)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(0xD800..=0xDFFF), _) => {
                body.to_mut()[at..at + 6].copy_from_slice(b"\\ufffd");
                6
            }
            _ => 2,
        };
    }
    body
}

/// The number of a `\uXXXX` that stands there.
fn escaped(body: &[u8], at: usize) -> Option<u16> {
    let digits = body.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok()?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit())
        .then(|| u16::from_str_radix(digits, 16).ok())?
}

#[derive(Deserialize)]
struct Answer {
    claims: Option<List>,
    pagination: Option<Object<Page>>,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default, deserialize_with = "whole")]
    total: Option<u64>,
}

/// The first [`LIMIT`] claims of a list, and how long the list is.
struct List {
    kept: Vec<Claim>,
    length: u64,
}

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor;
        impl<'de> Visitor<'de> for ListVisitor {
            type Value = List;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of claims")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List, A::Error> {
                let mut kept = Vec::new();
                while kept.len() < LIMIT {
                    match seq.next_element()? {
                        Some(Object(claim)) => kept.push(claim),
                        None => {
                            let length = kept.len() as u64;
                            return Ok(List { kept, length });
                        }
                    }
                }
                let mut length = kept.len() as u64;
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    length += 1;
                }
                Ok(List { kept, length })
            }
        }
        deserializer.deserialize_seq(ListVisitor)
    }
}

/// A JSON object: where serde's derive alone would take an array for one, too.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match deserializer.deserialize_any(ScalarVisitor)? {
        Scalar::Text(text) => Some(text),
        _ => None,
    })
}

fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(match deserializer.deserialize_any(ScalarVisitor)? {
        Scalar::Whole(number) => Some(number),
        _ => None,
    })
}

/// Any JSON value, of which only text and whole numbers are kept.
enum Scalar {
    Text(String),
    Whole(u64),
    Other,
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Whole(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(body: &str) -> Result<Pending, DecodeError> {
        Pending::decode(body.as_bytes())
    }

    #[test]
    fn the_contract() {
        let pending = decode(
            r#"{"claims":[{"claim_id":"c1","namespace":"alice","service":"payments","public_key":"ed25519:AbC","agent_ip":"10.0.0.7",
                "subject":null,"agent_id":null,"agent_name":"bot","status":"pending","created_at":"2026-11-22T06:20:37.017Z","approved_at":null}],
                "pagination":{"limit":20,"offset":0,"total":2,"has_more":false}}"#,
        )
        .unwrap();
        assert_eq!(pending.total, Some(2));
        assert_eq!(pending.claims[0].service.as_deref(), Some("payments"));
        assert_eq!(pending.claims[0].subject, None);
        assert_eq!(pending.claims[0].agent_name.as_deref(), Some("bot"));
    }

    #[test]
    fn odd_answers() {
        // body, claims kept, total, (count, that is all)
        let one = Claim::default();
        let cases = [
            (r#"{"claims":[]}"#, 0, None, (0, true)),
            (r#"{"claims":[{}],"pagination":{"total":"7"}}"#, 1, None, (1, true)),
            (r#"{"claims":[{}],"pagination":{"total":-7}}"#, 1, None, (1, true)),
            (r#"{"claims":[{}],"pagination":{"total":7.5}}"#, 1, None, (1, true)),
            (r#"{"claims":[{}],"pagination":{"total":1e40}}"#, 1, None, (1, true)),
            (r#"{"claims":[{}],"pagination":{"total":null}}"#, 1, None, (1, true)),
            (
                r#"{"claims":[{}],"pagination":{"total":{"n":[1]}}}"#,
                1,
                None,
                (1, true),
            ),
            (r#"{"claims":[{}],"pagination":{}}"#, 1, None, (1, true)),
            (r#"{"claims":[{}],"pagination":null}"#, 1, None, (1, true)),
            // A total below what is there is a lie.
            (r#"{"claims":[{},{}],"pagination":{"total":0}}"#, 2, Some(2), (2, true)),
            (
                r#"{"claims":[{"service":{"a":[1]},"agent_ip":3,"subject":[],"agent_name":true}]}"#,
                1,
                None,
                (1, true),
            ),
        ];
        for (body, kept, total, count) in cases {
            let pending = decode(body).unwrap_or_else(|error| panic!("{body}: {error}"));
            assert_eq!(pending.claims, vec![one.clone(); kept], "{body}");
            assert_eq!(pending.total, total, "{body}");
            assert_eq!(pending.count(), count, "{body}");
        }
    }

    #[test]
    fn no_answers() {
        let deep = format!(r#"{{"claims":[{{"x":{}"#, "[".repeat(100_000));
        let deep_field = format!(r#"{{"x":{}1"#, r#"{"a":"#.repeat(100_000));
        let cases = [
            ("", DecodeError::NotJson),
            ("<html>", DecodeError::NotJson),
            (r#"{"claims":[{}"#, DecodeError::NotJson),
            (deep.as_str(), DecodeError::NotJson),
            (deep_field.as_str(), DecodeError::NotJson),
            ("null", DecodeError::NoClaims),
            ("[1]", DecodeError::NoClaims),
            ("{}", DecodeError::NoClaims),
            (r#"{"claims":{}}"#, DecodeError::NoClaims),
            (r#"{"claims":[1]}"#, DecodeError::NoClaims),
            (r#"{"claims":[["service","key"]]}"#, DecodeError::NoClaims),
            (r#"[[],null]"#, DecodeError::NoClaims),
            (r#"{"claims":[],"pagination":[7]}"#, DecodeError::NoClaims),
            (r#"{"claims":[],"pagination":7}"#, DecodeError::NoClaims),
        ];
        for (body, error) in cases {
            assert_eq!(decode(body).unwrap_err(), error, "{:.60}", body);
        }
    }

    #[test]
    fn half_a_surrogate_pair_spoils_its_own_text_alone() {
        let cases = [
            (r"a\ud83d", "a\u{fffd}"),
            (r"\uDE00b", "\u{fffd}b"),
            (r"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
            (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
            (r"\ud83d\u0041", "\u{fffd}A"),
            (r"\ud83dx\ude00", "\u{fffd}x\u{fffd}"),
            (r"\\ud83d\\\ud83d", "\\ud83d\\\u{fffd}"),
            (r"\uD83D\uDE00", "\u{1f600}"),
        ];
        for (literal, text) in cases {
            let pending = decode(&format!(
                r#"{{"claims":[{{"service":"{literal}"}},{{"service":"mail"}}]}}"#
            ))
            .unwrap();
            assert_eq!(pending.claims[0].service.as_deref(), Some(text), "{literal}");
            assert_eq!(pending.claims[1].service.as_deref(), Some("mail"), "{literal}");
        }
        for bad in [
            r#"{"claims":[],"x":"\ud8"#,
            r#"{"claims":[],"x":"\u+d83"}"#,
            "{\"claims\":[]}\\",
        ] {
            assert_eq!(decode(bad).unwrap_err(), DecodeError::NotJson, "{bad}");
        }
    }

    #[test]
    fn a_long_list_is_counted_not_kept() {
        let body = format!(
            r#"{{"claims":[{}{{}}],"pagination":{{"total":5}}}}"#,
            "{},".repeat(300_000)
        );
        let pending = decode(&body).unwrap();
        assert_eq!(pending.claims.len(), LIMIT);
        assert_eq!(pending.total, Some(300_001));
    }
}
