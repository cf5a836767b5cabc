//! What a person types for a request: its id, or the start of one.

use crate::request::AuthorizationRequest;
use std::collections::BTreeSet;

/// What every id of Sigilum's begins with; 24 hexadecimal digits follow.
const PREFIX: &str = "cl_";
const DIGITS: usize = 24;
/// The fewest digits of a start.
const FEWEST: usize = 8;

/// What was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typed<'a> {
    /// A whole id.
    Whole(&'a str),
    /// The start of one.
    Start(&'a str),
    /// Neither: no request has such an id, or its start is too short.
    Invalid,
}

impl<'a> Typed<'a> {
    /// What a word is.
    pub fn parse(word: &'a str) -> Self {
        let request = AuthorizationRequest {
            claim_id: Some(word.to_owned()),
            ..AuthorizationRequest::default()
        };
        match word.strip_prefix(PREFIX) {
            _ if request.id().is_none() => Self::Invalid,
            // Made by somebody else's means: a demo's, for example.
            None => Self::Whole(word),
            Some(digits) if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => Self::Whole(word),
            Some(digits) if digits.len() >= DIGITS => Self::Whole(word),
            Some(digits) if digits.len() >= FEWEST => Self::Start(word),
            Some(_) => Self::Invalid,
        }
    }
}

/// The start of an id that is enough to tell it from the others: 8 digits, more where they need it. What is no id of
/// Sigilum's is not shortened.
pub fn short<'a>(id: &'a str, others: &BTreeSet<&str>) -> &'a str {
    if Typed::parse(id) != Typed::Whole(id) || id.len() != PREFIX.len() + DIGITS || !id.starts_with(PREFIX) {
        return id;
    }
    // Its neighbours in the order of letters share the most with it.
    let before = others.range(..id).next_back();
    let after = others.range(id..).find(|other| **other != id);
    let shared = |other: &&&str| {
        let same = id.bytes().zip(other.bytes()).take_while(|(a, b)| a == b);
        same.count() + 1
    };
    let needed = before.iter().chain(after.iter()).map(shared).max().unwrap_or(0);
    &id[..needed.clamp(PREFIX.len() + FEWEST, id.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed() {
        let cases = [
            (
                "cl_0123456789abcdef01234567",
                Typed::Whole("cl_0123456789abcdef01234567"),
            ),
            ("cl_01234567", Typed::Start("cl_01234567")),
            ("cl_0123456", Typed::Invalid),
            ("cl_", Typed::Invalid),
            ("claim_sample_alice_1", Typed::Whole("claim_sample_alice_1")),
            ("cl_not-hex-at-all", Typed::Whole("cl_not-hex-at-all")),
            ("", Typed::Invalid),
            ("../../v1", Typed::Invalid),
        ];
        for (word, typed) in cases {
            assert_eq!(Typed::parse(word), typed, "{word:?}");
        }
    }

    #[test]
    fn as_short_as_can_be() {
        let ids = [
            "cl_0123456789abcdef01234567",
            "cl_0123456799abcdef01234567",
            "cl_aaaaaaaa9abcdef012345678",
            "claim_sample_alice_1",
        ];
        let all: BTreeSet<&str> = ids.into_iter().collect();
        let short: Vec<&str> = ids.iter().map(|id| short(id, &all)).collect();
        assert_eq!(
            short,
            ["cl_012345678", "cl_012345679", "cl_aaaaaaaa", "claim_sample_alice_1"]
        );
    }
}
