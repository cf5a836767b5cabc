//! What all connections of a broker share: its folder, its environment, who is connected, and what no answer may hold.

use crate::broker::hide::Hide;
use crate::broker::protocol::Relay;
use crate::broker::totp::SecondFactor;
use crate::cmd::exchange::Message;
use crate::cmd::exchange::server::Kept;
use crate::env::Env;
use crate::fs;
use crate::home::OpenClawHome;
use crate::hook_record::{self, ChatTarget};
use crate::token::record;
use crate::watch::Waker;
use crate::watch::push::{Push, Wanted};
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The watcher is made to look again this often at the most: each time may ask the API.
const LOOKS: Duration = Duration::from_secs(5);
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
    hidden: Mutex<Option<Hidden>>,
}

/// What is hidden, for as long as each file that it is made of stays the very same.
struct Hidden {
    files: Vec<(PathBuf, Option<Stamp>)>,
    hide: Arc<Hide>,
}

/// Device, inode, size, and when its bytes and its inode changed, to the nanosecond.
type Stamp = (u64, u64, u64, [i64; 4]);

fn stamp(path: &Path) -> Option<Stamp> {
    let about = path.symlink_metadata().ok()?;
    let times = [about.mtime(), about.mtime_nsec(), about.ctime(), about.ctime_nsec()];
    Some((about.dev(), about.ino(), about.len(), times))
}

/// Who is connected.
#[derive(Default)]
struct Guests {
    last: u64,
    all: BTreeMap<u64, Guest>,
    waker: Option<Waker>,
    looks: Looks,
}

/// When the watcher was last made to look again, or is going to be.
#[derive(Default)]
struct Looks(Option<Instant>);

impl Looks {
    /// When it is to look once more; `None`: it is going to.
    fn due(&mut self, now: Instant) -> Option<Instant> {
        if self.0.is_some_and(|next| next > now) {
            return None;
        }
        let due = self.0.map_or(now, |last| last + LOOKS).max(now);
        self.0 = Some(due);
        Some(due)
    }
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
            hidden: Mutex::default(),
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
            guest.relay = relay.notify.is_some().then_some(Relay {
                poll_requests: relay.poll_requests.map(hook_record::bounded),
                ..relay
            });
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

    /// Hands a message to the first connection that wants what is for its reader.
    pub fn hand_over(&self, push: Push) {
        let guests = self.guests();
        if let Some(guest) = guests.for_reader(push.target()) {
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
    pub fn redacted(&self, mut line: Value) -> Value {
        // What nobody but the asker says would tell it that it guessed right.
        if line["id"].as_str().is_some_and(|id| id.contains('/')) {
            line["id"] = Value::Null;
        }
        self.hide().redacted(line)
    }

    fn hide(&self) -> Arc<Hide> {
        let mut hidden = self.hidden.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hidden) = hidden.as_ref()
            && hidden.files.iter().all(|(path, seen)| stamp(path) == *seen)
        {
            return Arc::clone(&hidden.hide);
        }
        let read = self.read_hidden();
        let hide = Arc::clone(&read.hide);
        *hidden = Some(read);
        hide
    }

    /// Each file is looked at before it is read: what changes meanwhile is read again.
    fn read_hidden(&self) -> Hidden {
        let place = &self.place;
        let mut files = Vec::new();
        let mut note = |path: &Path| files.push((path.to_owned(), stamp(path)));
        note(&place.sigilum_dir());
        note(&place.jwt_secret_file());
        note(&place.second_factor_file());
        let mut secrets = vec![place.jwt_secret_file()];
        for namespace in record::namespaces(&place.sigilum_dir()).unwrap_or_default() {
            let path = place.record_file(&namespace);
            note(&path);
            let record = record::read(&path).ok().flatten();
            let token = record.map_or_else(
                || place.token_file(&namespace),
                |record| record.token_file(place, &namespace),
            );
            note(&token);
            secrets.push(token);
        }
        let secrets = secrets.iter().filter_map(|file| {
            let bytes = fs::read_private(file, SECRET_MAX).ok()??;
            Some(String::from_utf8_lossy(&bytes).trim().to_owned())
        });
        let real = place.home.canonicalize().ok();
        let factor = SecondFactor::read(place).ok().flatten();
        let secrets = secrets.chain(factor.map(|factor| factor.base32()));
        let folders = [Some(place.home.clone()), real].into_iter().flatten();
        let folders = folders.map(|folder| folder.to_string_lossy().into_owned());
        let hide = Arc::new(Hide::new(secrets, folders));
        Hidden { files, hide }
    }
}

impl Guests {
    /// The first who hands messages to this reader.
    fn for_reader(&self, reader: &ChatTarget) -> Option<&Guest> {
        let reads = |relay: &Relay| relay.notify.as_ref() == Some(reader);
        let mut guests = self.all.values();
        guests.find(|guest| guest.relay.as_ref().is_some_and(reads))
    }

    /// Now, or as soon as it is time.
    fn look_again(&mut self) {
        let (Some(waker), now) = (self.waker.clone(), Instant::now()) else {
            return;
        };
        let Some(due) = self.looks.due(now) else { return };
        if due <= now {
            waker.look_again();
            return;
        }
        std::thread::spawn(move || {
            std::thread::sleep(due.saturating_duration_since(now));
            waker.look_again();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn the_watcher_looks_at_once_and_then_every_five_seconds() {
        let (mut looks, begun) = (Looks::default(), Instant::now());
        let at = |millis| begun + Duration::from_millis(millis);
        assert_eq!(looks.due(at(0)), Some(at(0)));
        assert_eq!(looks.due(at(1)), Some(at(5000)));
        for millis in 2..5000 {
            assert_eq!(looks.due(at(millis)), None);
        }
        assert_eq!(looks.due(at(5000)), Some(at(10_000)));
        assert_eq!(looks.due(at(20_000)), Some(at(20_000)));
    }

    #[test]
    fn each_message_goes_to_whoever_hands_it_to_its_reader() {
        let house = House::new(OpenClawHome::at("/nowhere".into()), Env::default(), false);
        let (alice, bob): (ChatTarget, ChatTarget) = ("matrix:@a:x".parse().unwrap(), "telegram:1".parse().unwrap());
        let (sender, _messages) = channel();
        let numbers: Vec<u64> = [&alice, &bob]
            .map(|reader| {
                let number = house.enter(sender.clone());
                let relay = Relay {
                    notify: Some(reader.clone()),
                    poll_requests: Some(1),
                };
                house.relay(number, relay);
                number
            })
            .into();
        let reader = |guest: Option<&Guest>| guest.and_then(|guest| guest.relay.as_ref()?.notify.clone());
        for target in [&alice, &bob] {
            assert_eq!(reader(house.guests().for_reader(target)).as_ref(), Some(target));
        }
        // However often the first one says that the API is to be asked.
        let wanted = house.wanted().unwrap();
        assert_eq!((wanted.target, wanted.every), (alice.clone(), Some(5)));
        house.leave(numbers[0]);
        assert!(house.guests().for_reader(&alice).is_none());
        assert_eq!(house.wanted().unwrap().target, bob);
    }
}
