//! What was decided, here or elsewhere, as far as the owner is told of it.

use super::{CLOCKS_DIFFER, Teller};
use crate::authz::decision_log::{Entry, How, Outcome};
use crate::request::{self, AuthorizationRequest, Decision};
use crate::watch::planner::Now;
use crate::watch::push::told::{Became, News, kept};

/// An approval that was taken back so many seconds after its end is overdue.
const OVERDUE_S: i64 = 60;
impl Teller {
    /// What became of a request that is gone; `None`: nobody knows. `ours`: what was decided here.
    pub fn became(&mut self, id: &str, now_is: Option<&AuthorizationRequest>, ours: Option<Decision>, now: Now) {
        let status = now_is.and_then(|request| request.status.as_deref());
        if status == Some("pending") {
            return self.told.requests.entry(id.to_owned()).or_default().gone = false;
        }
        let Some(known) = self.told.requests.remove(id) else {
            return;
        };
        let asked_again = || {
            let mut others = self.pending.iter();
            others.find(|other| other.id() != Some(id) && other.public_key.as_deref().map(kept) == known.key)
        };
        // Asked again so soon that the old id is gone: then it was rejected, as far as anybody can tell, unless it may have
        // run out, which goes by the first time that it was asked.
        let is_young = |other: &AuthorizationRequest| {
            let over = other.runs_out().map(|at| at.saturating_mul(1000));
            over.is_some_and(|over| now.wall < over.saturating_sub(CLOCKS_DIFFER))
        };
        let is_rejected = match now_is {
            Some(_) => status == Some("rejected"),
            None => ours == Some(Decision::Reject) || asked_again().is_some_and(is_young),
        };
        if let Some(key) = known.key.clone().filter(|_| is_rejected) {
            self.told.rejected.entry(key).or_insert(None);
            self.told.bound();
        }
        let Some(status) = status.filter(|_| ours.is_none()) else {
            return;
        };
        if status == "approved" {
            self.told.add(News::Approved {
                claim_id: id.to_owned(),
                namespace: self.rules.namespace.clone(),
                service: known.service.clone(),
                key: known.key.clone(),
                by: None,
            });
        }
        self.told.add_outcome(Became {
            at: now.wall,
            status: kept(status),
            service: known.service,
            key: known.key,
        });
    }

    /// Our own log, all of it: approvals that were not made in the chat are told. What it held at the very start is
    /// history.
    pub fn decided(&mut self, entries: &[Entry]) {
        let Some(last) = &self.told.log else {
            let last = entries.iter().rev().find(|entry| entry.result.is_some());
            self.told.log = Some(last.map_or_else(String::new, |entry| entry.intent.intent.clone()));
            return;
        };
        let at = entries.iter().position(|entry| entry.intent.intent == *last);
        let (before, new) = entries.split_at(at.map_or(0, |at| at + 1));
        let open = std::mem::take(&mut self.told.open);
        if let Some(last) = new.last() {
            self.told.log = Some(last.intent.intent.clone());
        }
        let was_open = before.iter().filter(|entry| open.contains(&entry.intent.intent));
        for entry in was_open.chain(new) {
            let intent = &entry.intent;
            let Some(result) = &entry.result else {
                self.told.open.insert(intent.intent.clone());
                continue;
            };
            // A decider in a chat of their own is elsewhere, too.
            let chat = self.rules.target.to_string();
            let elsewhere = match intent.how {
                How::Code => !intent.by.ends_with(&format!(" for {chat}")),
                _ => intent.by != chat,
            };
            if result.outcome != Outcome::Done {
                continue;
            }
            let (claim_id, namespace) = (intent.claim_id.clone(), intent.namespace.clone());
            let [service, key] = [&intent.service, &intent.public_key].map(|text| text.as_deref().map(kept));
            if intent.decision == Decision::Approve && elsewhere {
                self.told.add(News::Approved {
                    claim_id,
                    namespace,
                    service,
                    key,
                    by: Some(intent.by.clone()),
                });
            } else if intent.how == How::TimeOver {
                let of_it = entries.iter().filter(|entry| entry.intent.claim_id == claim_id);
                let until = of_it.filter_map(|entry| entry.intent.until).next_back();
                let is_late = |(until, at)| at - until > OVERDUE_S;
                if until.zip(request::seconds(&result.at)).is_none_or(is_late) {
                    self.told.add(News::Overdue {
                        claim_id,
                        namespace,
                        service,
                        key,
                        until,
                    });
                }
            }
        }
    }
}
