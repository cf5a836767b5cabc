//! What the API answers when it is asked which requests wait.

use crate::request::{AuthorizationRequest, PAGE, Pending};
use crate::text;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// Why a body is not the answer of `GET /v1/namespaces/<ns>/claims`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are no JSON text, or nested too deeply.
    #[error("the answer is not JSON")]
    NotJson,
    /// JSON, but not of the answer's shape.
    #[error("the answer holds no list of requests")]
    NoRequests,
    /// JSON, but not what one request is answered with.
    #[error("the answer is not the expected one")]
    Unexpected,
}

/// Reads the API's answer to who asked for at most `limit` requests. Missing and odd fields are `None`; of a longer list
/// only [`PAGE`] requests are kept.
pub fn decode(body: &[u8], limit: usize) -> Result<Pending, DecodeError> {
    let body = text::readable_json(body);
    let Object(answer) = serde_json::from_slice::<Object<Answer>>(&body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => DecodeError::NoRequests,
        _ => DecodeError::NotJson,
    })?;
    let List { kept, length } = answer.claims.ok_or(DecodeError::NoRequests)?;
    let total = answer.pagination.and_then(|Object(page)| page.total);
    // A list that is shorter than asked for is all of it, whatever else the answer leaves out.
    let length_of_all = || (length < limit as u64).then_some(length);
    Ok(Pending {
        requests: kept,
        total: total.map(|total| total.max(length)).or_else(length_of_all),
        too_long: 0,
    })
}

#[derive(Deserialize)]
struct Answer {
    claims: Option<List>,
    pagination: Option<Object<Page>>,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default, deserialize_with = "crate::request::whole")]
    total: Option<u64>,
}

/// The first [`PAGE`] requests of a list, and how long the list is.
struct List {
    kept: Vec<AuthorizationRequest>,
    length: u64,
}

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor;
        impl<'de> Visitor<'de> for ListVisitor {
            type Value = List;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of requests")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List, A::Error> {
                let mut kept = Vec::new();
                while kept.len() < PAGE {
                    match seq.next_element()? {
                        Some(Object(request)) => kept.push(request),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(body: &str) -> Result<Pending, DecodeError> {
        super::decode(body.as_bytes(), PAGE)
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
        assert_eq!(pending.requests[0].service.as_deref(), Some("payments"));
        assert_eq!(pending.requests[0].subject, None);
        assert_eq!(pending.requests[0].agent_name.as_deref(), Some("bot"));
    }

    #[test]
    fn odd_answers() {
        // body, requests kept, total, (count, that is all)
        let one = AuthorizationRequest::default();
        let cases = [
            (r#"{"claims":[]}"#, 0, Some(0), (0, true)),
            (r#"{"claims":[{}],"pagination":{"total":"7"}}"#, 1, Some(1), (1, true)),
            (r#"{"claims":[{}],"pagination":{"total":-7}}"#, 1, Some(1), (1, true)),
            (r#"{"claims":[{}],"pagination":{"total":7.5}}"#, 1, Some(1), (1, true)),
            (r#"{"claims":[{}],"pagination":{"total":1e40}}"#, 1, Some(1), (1, true)),
            (r#"{"claims":[{}],"pagination":{"total":null}}"#, 1, Some(1), (1, true)),
            (
                r#"{"claims":[{}],"pagination":{"total":{"n":[1]}}}"#,
                1,
                Some(1),
                (1, true),
            ),
            (r#"{"claims":[{}],"pagination":{}}"#, 1, Some(1), (1, true)),
            (r#"{"claims":[{}],"pagination":null}"#, 1, Some(1), (1, true)),
            // A total below what is there is a lie.
            (r#"{"claims":[{},{}],"pagination":{"total":0}}"#, 2, Some(2), (2, true)),
            (
                r#"{"claims":[{"service":{"a":[1]},"agent_ip":3,"subject":[],"agent_name":true}]}"#,
                1,
                Some(1),
                (1, true),
            ),
        ];
        for (body, kept, total, count) in cases {
            let pending = decode(body).unwrap_or_else(|error| panic!("{body}: {error}"));
            assert_eq!(pending.requests, vec![one.clone(); kept], "{body}");
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
            ("null", DecodeError::NoRequests),
            ("[1]", DecodeError::NoRequests),
            ("{}", DecodeError::NoRequests),
            (r#"{"claims":{}}"#, DecodeError::NoRequests),
            (r#"{"claims":[1]}"#, DecodeError::NoRequests),
            (r#"{"claims":[["service","key"]]}"#, DecodeError::NoRequests),
            (r#"[[],null]"#, DecodeError::NoRequests),
            (r#"{"claims":[],"pagination":[7]}"#, DecodeError::NoRequests),
            (r#"{"claims":[],"pagination":7}"#, DecodeError::NoRequests),
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
            assert_eq!(pending.requests[0].service.as_deref(), Some(text), "{literal}");
            assert_eq!(pending.requests[1].service.as_deref(), Some("mail"), "{literal}");
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
        assert_eq!(pending.requests.len(), PAGE);
        assert_eq!(pending.total, Some(300_001));
        // Nobody says whether a full page is the last one.
        let full = format!(r#"{{"claims":[{}{{}}]}}"#, "{},".repeat(PAGE - 1));
        assert_eq!(decode(&full).unwrap().count(), (PAGE as u64, false));
    }
}
