//! Which requests were in an answer before, and which the owner has been told of: what `.sigilum/seen.json` holds.
//!
//! Sigilum tells neither: a request that is made again after it was rejected or ran out is a new one, with a new id, the
//! old time of creation and the old place in the list.
//!
//! ```json
//! {"alice at https://api.sigilum.id":{"last":1795328620123,"requests":{"cl_0a…":{"first":1795328000123,"shown":true}}}}
//! ```

use crate::request::{AuthorizationRequest, Pending};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// The most requests that are remembered, over all namespaces.
pub const MOST: usize = 10_000;
/// The largest file that is read; [`MOST`] requests take about 1 MB.
pub const MAX_BYTES: u64 = 4 << 20;

/// This clock and the API's may differ by so many milliseconds.
const CLOCKS_DIFFER: i64 = 60_000;

/// What was seen, by whose requests they are ([`Answered::whose`]).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seen(BTreeMap<String, Looked>);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Looked {
    /// When the list was last read to its end, but for what is too long to be read; Unix milliseconds, as all times here.
    #[serde(default)]
    last: Option<i64>,
    /// When the owner last read a notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<i64>,
    /// By their ids.
    #[serde(default)]
    requests: BTreeMap<String, Memory>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Memory {
    /// When it was first in an answer.
    first: i64,
    /// The owner has read it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    shown: bool,
    /// It is an older request that was made again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    again: bool,
}

/// One request as a notice lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed<'a> {
    /// The request.
    pub request: &'a AuthorizationRequest,
    /// When it was first in an answer; Unix milliseconds.
    pub first_seen: i64,
    /// The owner has read it.
    pub shown: bool,
    /// It is an older request that was made again: its age is not that of its creation.
    pub again: bool,
}

/// One answer that was given, to be remembered.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The namespace and its API: `alice at https://api.sigilum.id`.
    pub whose: String,
    /// When; Unix milliseconds.
    pub now: i64,
    /// Everything that was pending, at the time.
    pub pending: Pending,
    /// The ids of those that the owner was shown.
    pub shown: BTreeSet<String>,
    /// The owner read it.
    pub by_owner: bool,
}

impl Seen {
    /// What a file holds. One that is broken holds nothing.
    pub fn parse(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The requests as the owner should read them: those that they have not read first, then those that can be remembered
    /// (one without a usable id looks new each time, and would keep its place before all others), then those that were
    /// first seen last, then the newest.
    pub fn list<'a>(&self, whose: &str, pending: &'a Pending, now: i64) -> Vec<Listed<'a>> {
        let looked = self.0.get(whose);
        let listed = pending.requests.iter().map(|request| {
            let memory = looked.and_then(|looked| looked.requests.get(request.id()?));
            let memory = memory.copied().unwrap_or_else(|| Memory::of(request, looked, now));
            Listed {
                request,
                first_seen: memory.first,
                shown: memory.shown,
                again: memory.again,
            }
        });
        let mut listed: Vec<Listed> = listed.collect();
        listed.sort_by_key(|listed| {
            (
                listed.shown,
                listed.request.id().is_none(),
                Reverse(listed.first_seen),
                Reverse(listed.request.created()),
            )
        });
        listed
    }

    /// When the owner last read an answer; Unix milliseconds.
    pub fn owner_looked(&self, whose: &str) -> Option<i64> {
        self.0.get(whose)?.owner
    }

    /// Takes an answer in. Of a list that was read to its end it forgets what is not in it any more: an id never comes back.
    /// What is too long to be read does not count: whoever makes one request could keep all others from being told apart.
    pub fn remember(&mut self, answered: &Answered) {
        let listed = self.list(&answered.whose, &answered.pending, answered.now);
        let memories: Vec<(String, Memory)> = listed
            .iter()
            .filter_map(|listed| {
                let id = listed.request.id()?;
                let memory = Memory {
                    first: listed.first_seen,
                    shown: listed.shown || answered.shown.contains(id),
                    again: listed.again,
                };
                Some((id.to_owned(), memory))
            })
            .collect();
        let looked = self.0.entry(answered.whose.clone()).or_default();
        if answered.by_owner {
            looked.owner = Some(answered.now);
        }
        if answered.pending.is_all_but_too_long() {
            looked.requests.clear();
            looked.last = Some(answered.now);
        }
        looked.requests.extend(memories);
        self.forget_the_oldest();
    }

    fn forget_the_oldest(&mut self) {
        let requests = self.0.iter().flat_map(|(whose, looked)| {
            let requests = looked.requests.iter();
            requests.map(move |(id, memory)| (memory.first, whose.clone(), id.clone()))
        });
        let mut requests: Vec<_> = requests.collect();
        requests.sort_unstable();
        let excess = requests.len().saturating_sub(MOST);
        for (_, whose, id) in requests.drain(..excess) {
            if let Some(looked) = self.0.get_mut(&whose) {
                looked.requests.remove(&id);
            }
        }
    }
}

impl Memory {
    /// Of a request that was in no answer before.
    fn of(request: &AuthorizationRequest, looked: Option<&Looked>, now: i64) -> Self {
        // It was there when the list was last read, and not in it: under another id, then.
        let last = looked.and_then(|looked| looked.last).filter(|_| request.id().is_some());
        let again = last.zip(request.created());
        Self {
            first: now,
            shown: false,
            again: again
                .is_some_and(|(last, created)| created.saturating_mul(1000) < last.saturating_sub(CLOCKS_DIFFER)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "alice at https://api.sigilum.id";
    const NOW: i64 = 1_800_000_000_000;
    const SECOND: i64 = 1000;

    /// A request of this id that was made at this time.
    fn request(id: &str, created: i64) -> AuthorizationRequest {
        let created = jiff::Timestamp::from_millisecond(created).unwrap();
        AuthorizationRequest {
            claim_id: Some(id.to_owned()),
            created_at: Some(created.to_string()),
            ..AuthorizationRequest::default()
        }
    }

    fn all(requests: &[AuthorizationRequest]) -> Pending {
        Pending {
            requests: requests.to_vec(),
            total: Some(requests.len() as u64),
            ..Pending::default()
        }
    }

    /// An answer at `now` to the owner, who is shown the first `shown` of the list; what it looked like:
    /// `new c, again b, a`.
    fn answer(seen: &mut Seen, now: i64, pending: &Pending, shown: usize) -> String {
        let listed = seen.list(ALICE, pending, now);
        let words = listed.iter().map(|listed| {
            let mark = match (listed.shown, listed.again) {
                (false, false) => "new ",
                (false, true) => "again ",
                (true, false) => "",
                (true, true) => "was again ",
            };
            format!("{mark}{}", listed.request.id().unwrap_or("?"))
        });
        let words: Vec<String> = words.collect();
        let ids = listed.iter().take(shown).filter_map(|listed| listed.request.id());
        let answered = Answered {
            whose: ALICE.to_owned(),
            now,
            shown: ids.map(str::to_owned).collect(),
            by_owner: false,
            pending: pending.clone(),
        };
        seen.remember(&answered);
        *seen = Seen::parse(&seen.to_bytes());
        words.join(", ")
    }

    #[test]
    fn what_was_never_shown_comes_first() {
        let mut seen = Seen::default();
        let (a, b, c) = (
            request("a", NOW - 30 * SECOND),
            request("b", NOW - 20 * SECOND),
            request("c", NOW - 10 * SECOND),
        );
        let three = all(&[c, b.clone(), a.clone()]);
        // Read by others than the owner: seen, but not shown.
        assert_eq!(answer(&mut seen, NOW, &three, 0), "new c, new b, new a");
        assert_eq!(answer(&mut seen, NOW + 100 * SECOND, &three, 2), "new c, new b, new a");
        assert_eq!(answer(&mut seen, NOW + 200 * SECOND, &three, 2), "new a, c, b");
        assert_eq!(answer(&mut seen, NOW + 300 * SECOND, &three, 2), "c, b, a");
        // `c` was rejected and is made again: a new id, the old time, in the last place.
        let again = all(&[b.clone(), a.clone(), request("d", NOW - 10 * SECOND)]);
        assert_eq!(answer(&mut seen, NOW + 400 * SECOND, &again, 5), "again d, b, a");
        assert_eq!(answer(&mut seen, NOW + 500 * SECOND, &again, 5), "was again d, b, a");
        // One that was made since, with a clock that differs a little.
        let newer = all(&[request("e", NOW + 450 * SECOND), b, a]);
        assert_eq!(answer(&mut seen, NOW + 600 * SECOND, &newer, 5), "new e, b, a");
    }

    #[test]
    fn what_is_gone_is_forgotten_and_a_part_of_a_list_tells_nothing() {
        let mut seen = Seen::default();
        let (a, b) = (request("a", NOW - 200 * SECOND), request("b", NOW - 100 * SECOND));
        answer(&mut seen, NOW, &all(std::slice::from_ref(&a)), 5);
        let part = Pending {
            total: Some(7),
            ..all(std::slice::from_ref(&b))
        };
        answer(&mut seen, NOW + 10 * SECOND, &part, 5);
        assert_eq!(
            answer(&mut seen, NOW + 20 * SECOND, &all(&[a.clone(), b.clone()]), 0),
            "was again b, a"
        );
        assert_eq!(answer(&mut seen, NOW + 30 * SECOND, &all(&[b]), 0), "was again b");
        assert_eq!(
            answer(&mut seen, NOW + 40 * SECOND, &all(std::slice::from_ref(&a)), 0),
            "again a",
            "it was gone"
        );
        // Without a usable id nothing is remembered.
        let odd = all(&[
            request("", NOW - 900 * SECOND),
            request("a b", NOW),
            request(&"x".repeat(65), NOW),
        ]);
        answer(&mut seen, NOW, &odd, 5);
        assert_eq!(answer(&mut seen, NOW, &odd, 5), "new ?, new ?, new ?");
        // Nor does it keep what can be remembered from being read.
        let beside = all(&[request("", NOW), a]);
        for (now, expected) in [(50, "again a, new ?"), (60, "again a, new ?")] {
            assert_eq!(answer(&mut seen, NOW + now * SECOND, &beside, 0), expected);
        }
        // Another namespace, or another API, is another list.
        assert!(!seen.list("bob at https://api.sigilum.id", &odd, NOW)[0].again);
        assert_eq!(Seen::parse(b"{broken"), Seen::default());
        assert_eq!(
            Seen::parse(br#"{"alice":{"requests":{"a":{"first":"x"}}}}"#),
            Seen::default()
        );
    }

    #[test]
    fn what_is_too_long_to_be_read_keeps_nothing_from_being_forgotten_nor_told_apart() {
        let mut seen = Seen::default();
        let beside_it = |requests: &[AuthorizationRequest]| Pending {
            total: Some(requests.len() as u64 + 1),
            too_long: 1,
            ..all(requests)
        };
        let (a, b) = (request("a", NOW - 200 * SECOND), request("b", NOW - 100 * SECOND));
        assert_eq!(answer(&mut seen, NOW, &beside_it(&[b, a.clone()]), 5), "new b, new a");
        // `b` was rejected and is made again.
        let again = beside_it(&[request("c", NOW - 100 * SECOND), a]);
        assert_eq!(answer(&mut seen, NOW + 100 * SECOND, &again, 5), "again c, a");
        assert!(!seen.0[ALICE].requests.contains_key("b"));
    }

    #[test]
    fn ten_thousand_are_remembered() {
        let mut seen = Seen::default();
        for namespace in 0..12_i64 {
            let requests: Vec<_> = (0..1000).map(|n| request(&format!("r{namespace}-{n}"), NOW)).collect();
            let answered = Answered {
                whose: format!("n{namespace}"),
                now: NOW + namespace,
                shown: BTreeSet::new(),
                by_owner: false,
                pending: all(&requests),
            };
            seen.remember(&answered);
        }
        let counts: Vec<usize> = seen.0.values().map(|looked| looked.requests.len()).collect();
        assert_eq!(counts.iter().sum::<usize>(), MOST);
        assert!(seen.0["n0"].requests.is_empty() && seen.0["n11"].requests.len() == 1000);
        assert!((seen.to_bytes().len() as u64) < MAX_BYTES);
    }
}
