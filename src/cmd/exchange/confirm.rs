//! What the resident program keeps of the chats: what each sender was shown, and which commands wait to be confirmed.

use crate::cmd::hook::answer::Outcome;
use crate::hook::event::Event;
use crate::hook::shown::Shown;
use crate::request::AuthorizationRequest;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long the plugin may take to confirm; it asks OpenClaw in the same process, and gives up after 4 s itself.
const CONFIRMING: Duration = Duration::from_secs(4);

/// What is kept.
#[derive(Default)]
pub struct Chat {
    shown: Mutex<Shown>,
    /// By the id of the command's line.
    waiting: Mutex<BTreeMap<String, Sender<bool>>>,
}

impl Chat {
    /// What everybody was shown.
    pub fn shown(&self) -> &Mutex<Shown> {
        &self.shown
    }

    /// Remembers what an event's sender was shown.
    pub fn remember(&self, event: &Event, outcome: &Outcome) {
        if let Some(sender) = event.sender() {
            self.showed(&sender, outcome.shown());
        }
    }

    /// Remembers what a sender was shown.
    pub fn showed<'a>(&self, sender: &str, requests: impl Iterator<Item = &'a AuthorizationRequest>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for request in requests {
            shown.remember(sender, request);
        }
    }

    /// Whether the command of a line is confirmed, once `ask` has asked for it. No answer is none.
    pub fn confirm(&self, id: &Value, ask: impl Fn()) -> bool {
        let (sender, answer) = channel();
        self.waiting().insert(id.to_string(), sender);
        ask();
        let confirmed = answer.recv_timeout(CONFIRMING).unwrap_or(false);
        self.waiting().remove(&id.to_string());
        confirmed
    }

    /// What the plugin says of a line; whether somebody waits for it.
    pub fn confirmed(&self, id: &Value, yes: bool) -> bool {
        let waiting = self.waiting().remove(&id.to_string());
        waiting.is_some_and(|sender| sender.send(yes).is_ok())
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Sender<bool>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
