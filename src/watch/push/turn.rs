//! One turn: ask if it is time, keep what is to be told, hand it over. What it does it does through [`Surroundings`].

use super::teller::{Delivery, Heard, Teller};
use super::told::{Outgoing, Told};
use crate::authz::decision_log::{Entry, Outcome};
use crate::request::AuthorizationRequest;
use crate::watch::planner::Now;

/// What a turn needs of the world.
pub trait Surroundings {
    /// Asks the API what is pending.
    fn ask(&mut self) -> Heard;
    /// One request as it is now, `None` where there is none.
    ///
    /// # Errors
    /// [`Heard::Failed`]: the API did not say, and is asked again.
    fn request(&mut self, id: &str) -> Result<Option<AuthorizationRequest>, Heard>;
    /// Our own decisions; `None` where none were added since the last time, unless they are wanted `anyway`, and where
    /// they cannot be read.
    fn decisions(&mut self, anyway: bool) -> Option<Vec<Entry>>;
    /// Keeps what was told; whether that is on the disk now.
    fn keep(&mut self, told: &Told) -> bool;
    /// Hands a message over. `None`: what became of it will be said later.
    fn hand_over(&mut self, message: &Outgoing) -> Option<Delivery>;
}

impl Teller {
    /// Does what it is time for.
    pub fn turn(&mut self, around: &mut dyn Surroundings, now: Now) {
        if self.next_poll() <= now.steady {
            self.ask(around, now);
        }
        for message in self.unanswered(now) {
            self.hand_over(around, &message, now);
        }
        while let Some(message) = self.next_message(now) {
            match around.keep(self.told()) {
                true => self.hand_over(around, &message, now),
                // What is not kept could be told twice.
                false => self.delivered(&message.key, Delivery::NotTaken, now),
            }
        }
        around.keep(self.told());
    }

    fn ask(&mut self, around: &mut dyn Surroundings, now: Now) {
        let heard = around.ask();
        let answered = !matches!(heard, Heard::Failed { .. });
        self.heard(heard, now);
        let gone = if answered { self.gone() } else { Vec::new() };
        let entries = around.decisions(!gone.is_empty());
        if let Some(entries) = &entries {
            self.decided(entries);
        }
        for id in gone {
            self.asks_about(&id);
            let Ok(found) = around.request(&id) else { break };
            // One that failed has not made it what it is; of one without a result that is told once it is settled.
            let failed = |entry: &Entry| matches!(&entry.result, Some(result) if result.outcome == Outcome::NotDone);
            let of_it = |entry: &Entry| entry.intent.claim_id == id && !failed(entry);
            let ours = entries
                .as_ref()
                .and_then(|entries| entries.iter().rev().find(|entry| of_it(entry)));
            self.became(&id, found.as_ref(), ours.map(|entry| entry.intent.decision), now);
        }
    }

    fn hand_over(&mut self, around: &mut dyn Surroundings, message: &Outgoing, now: Now) {
        self.handed_over(&message.key, now);
        if let Some(delivery) = around.hand_over(message) {
            self.delivered(&message.key, delivery, now);
        }
    }
}
