//! What each sender was shown of requests in a chat, in the memory of the resident program alone: a decision there is
//! about that, and nothing else.

use crate::request::AuthorizationRequest;
use std::collections::BTreeMap;

/// The most requests that are remembered for one sender; past that all are shown again.
const MOST: usize = 500;

/// By sender (`telegram:123456789`), the requests by their ids, as they were shown last.
#[derive(Debug, Default)]
pub struct Shown(BTreeMap<String, BTreeMap<String, AuthorizationRequest>>);

impl Shown {
    /// Remembers that a sender was shown a request.
    pub fn remember(&mut self, sender: &str, request: &AuthorizationRequest) {
        let Some(id) = request.id() else { return };
        let shown = self.0.entry(sender.to_owned()).or_default();
        if shown.len() >= MOST {
            shown.clear();
        }
        shown.insert(id.to_owned(), request.clone());
    }

    /// The one request whose id a sender means by a word: a whole id, or the start of no other that they were shown.
    pub fn find(&self, sender: &str, word: &str) -> Option<&AuthorizationRequest> {
        let shown = self.0.get(sender)?;
        if let Some(exact) = shown.get(word) {
            return Some(exact);
        }
        let mut begin = shown.iter().filter(|(id, _)| id.starts_with(word));
        match (begin.next(), begin.next()) {
            (Some((_, only)), None) => Some(only),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: &str) -> AuthorizationRequest {
        AuthorizationRequest {
            claim_id: Some(id.to_owned()),
            ..AuthorizationRequest::default()
        }
    }

    #[test]
    fn to_each_their_own() {
        let mut shown = Shown::default();
        for id in ["cl_11111111a", "cl_11111111b", "cl_2222222222"] {
            shown.remember("telegram:1", &request(id));
        }
        let found = |sender: &str, word: &str| {
            shown
                .find(sender, word)
                .and_then(|request| request.id().map(str::to_owned))
        };
        assert_eq!(found("telegram:1", "cl_22222222").as_deref(), Some("cl_2222222222"));
        assert_eq!(found("telegram:1", "cl_11111111a").as_deref(), Some("cl_11111111a"));
        assert_eq!(found("telegram:1", "cl_11111111"), None, "two begin so");
        assert_eq!(found("telegram:2", "cl_22222222"), None, "another was shown it");
    }

    #[test]
    fn it_stays_small() {
        let mut shown = Shown::default();
        for number in 0..10 * MOST {
            shown.remember("telegram:1", &request(&format!("cl_{number}")));
        }
        assert!(shown.0["telegram:1"].len() <= MOST);
        assert!(shown.find("telegram:1", &format!("cl_{}", 10 * MOST - 1)).is_some());
    }
}
