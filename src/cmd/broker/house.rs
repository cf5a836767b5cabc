//! What all connections of a broker share: its folder, its environment, who is connected, and what no answer may hold.

use crate::broker::hide::Hide;
use crate::broker::protocol::Relay;
use crate::cmd::exchange::Message;
use crate::cmd::exchange::server::Kept;
use crate::env::Env;
use crate::fs;
use crate::home::OpenClawHome;
use crate::token::record;
use crate::watch::Waker;
use crate::watch::push::{Push, Wanted};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The largest token or secret.
const SECRET_MAX: u64 = 64 * 1024;

/// All of it.
pub struct House {
    /// The folder that stands for an OpenClaw home.
    pub place: OpenClawHome,
    /// The broker's environment; its namespace, mode and URL do not apply.
    pub env: Env,
    /// Whether a code of the owner's decides.
    pub by_code: bool,
    /// The account that it runs as.
    pub account: String,
    /// What answers need, kept from one to the next.
    pub kept: Arc<Kept>,
    guests: Mutex<Guests>,
}

/// Who is connected.
#[derive(Default)]
struct Guests {
    last: u64,
    all: BTreeMap<u64, Guest>,
    waker: Option<Waker>,
}

struct Guest {
    sender: Sender<Message>,
    relay: Option<Relay>,
}

impl House {
    /// With nobody connected.
    pub fn new(place: OpenClawHome, env: Env, by_code: bool) -> Self {
        Self {
            place,
            env,
            by_code,
            account: fs::account_name(),
            kept: Arc::default(),
            guests: Mutex::default(),
        }
    }

    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A command of ours, as somebody else types it.
    pub fn program(&self) -> String {
        fs::run_as(rustix::process::geteuid().as_raw())
    }

    /// Takes a connection in; gives its number.
    pub fn enter(&self, sender: Sender<Message>) -> u64 {
        let mut guests = self.guests();
        guests.last += 1;
        let number = guests.last;
        guests.all.insert(number, Guest { sender, relay: None });
        number
    }

    /// A connection is over.
    pub fn leave(&self, number: u64) {
        let mut guests = self.guests();
        let gone = guests.all.remove(&number);
        if gone.is_some_and(|guest| guest.relay.is_some()) {
            guests.look_again();
        }
    }

    /// A connection hands messages on.
    pub fn relay(&self, number: u64, relay: Relay) {
        let mut guests = self.guests();
        if let Some(guest) = guests.all.get_mut(&number) {
            guest.relay = relay.notify.is_some().then_some(relay);
            guests.look_again();
        }
    }

    /// From now on the watcher is told when who is to be told changes.
    pub fn watched_by(&self, waker: &Waker) {
        self.guests().waker = Some(waker.clone());
    }

    /// Whom to tell at once: whom the first connection says that hands messages on.
    pub fn wanted(&self) -> Option<Wanted> {
        let guests = self.guests();
        let relay = guests.all.values().find_map(|guest| guest.relay.as_ref())?;
        Some(Wanted {
            target: relay.notify.clone()?,
            every: relay.poll_requests,
        })
    }

    /// Hands a message to that connection.
    pub fn hand_over(&self, push: Push) {
        let guests = self.guests();
        if let Some(guest) = guests.all.values().find(|guest| guest.relay.is_some()) {
            drop(guest.sender.send(Message::Push(push)));
        }
    }

    /// Tells every connection that it is to end.
    pub fn close(&self) {
        for guest in self.guests().all.values() {
            drop(guest.sender.send(Message::End));
        }
    }

    /// A line as it may go out.
    pub fn line(&self, line: Value) -> Value {
        let place = &self.place;
        let namespaces = record::namespaces(&place.sigilum_dir()).unwrap_or_default();
        let token_files = namespaces.iter().map(|namespace| {
            let record = record::read(&place.record_file(namespace)).ok().flatten();
            record.map_or_else(
                || place.token_file(namespace),
                |record| record.token_file(place, namespace),
            )
        });
        let files: Vec<PathBuf> = token_files.chain([place.jwt_secret_file()]).collect();
        let secrets = files.iter().filter_map(|file| {
            let bytes = fs::read_private(file, SECRET_MAX).ok()??;
            Some(String::from_utf8_lossy(&bytes).trim().to_owned())
        });
        let real = place.home.canonicalize().ok();
        let folders = [Some(place.home.clone()), real].into_iter().flatten();
        let folders = folders.map(|folder| folder.to_string_lossy().into_owned());
        Hide::new(secrets, folders).line(line)
    }
}

impl Guests {
    fn look_again(&self) {
        if let Some(waker) = &self.waker {
            waker.look_again();
        }
    }
}
