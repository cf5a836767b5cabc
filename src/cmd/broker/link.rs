//! The gateway's side of a broker: one connection for all questions, made when it is needed and again after it broke, over
//! which messages for the owner come too.

use super::gateway::ANSWER;
use super::remote::Remote;
use crate::broker::client::{self, Trouble, write_line};
use crate::broker::protocol::{MAX_ANSWER, Relay};
use crate::cmd::exchange::Message;
use crate::cmd::exchange::lines::{self, Incoming};
use crate::hook_record::{BrokerRecord, HookRecord};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The broker may take so long to say who it is: the chat waits.
const HELLO: Duration = Duration::from_secs(1);
/// After a try that failed, the next question may try again so soon.
const SOON: Duration = Duration::from_secs(1);
/// Between tries that nobody waits for.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The connection. Cheap to clone.
#[derive(Clone)]
pub struct Link {
    /// Where lines of the broker's go that nobody asked for.
    lines: Sender<Message>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    live: Option<Live>,
    /// When a try last failed, and why.
    failed: Option<(Instant, String)>,
    /// Tells connections apart, and questions.
    last: u64,
    /// Wakes the thread that connects again.
    wake: Option<Sender<()>>,
}

/// A connection that is open.
struct Live {
    number: u64,
    broker: BrokerRecord,
    relay: Relay,
    stream: UnixStream,
    /// By our number: the asker's, and where the answer goes.
    waiting: BTreeMap<u64, (Value, Sender<Value>)>,
}

impl Link {
    /// Not connected yet.
    pub fn new(lines: Sender<Message>) -> Self {
        Self {
            lines,
            state: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks one question of the gateway's.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn ask(&self, record: &HookRecord, id: &Value, question: &Value) -> Result<Value, String> {
        let remote = Remote::recorded(record).ok_or("none is recorded")?;
        let answer = {
            let mut state = self.state();
            self.connect(&mut state, &remote, record)?;
            state.last += 1;
            let number = state.last;
            let mut line = question.clone();
            line["id"] = json!(number);
            line["asking"] = json!(remote.asking);
            let (sender, answer) = channel();
            let live = state.live.as_mut().ok_or("it went away")?;
            live.waiting.insert(number, (id.clone(), sender));
            if let Err(error) = write_line(&live.stream, &line) {
                state.close();
                return Err(Trouble::Gone(error).to_string());
            }
            answer
        };
        // Dropped where the connection ends.
        let answer = answer.recv_timeout(ANSWER);
        answer.map_err(|_| Trouble::Gone(io::ErrorKind::TimedOut.into()).to_string())
    }

    /// Says what became of a command that waits to be confirmed, or of a message.
    pub fn say(&self, line: &Value) {
        let mut state = self.state();
        let Some(live) = &mut state.live else { return };
        let mut line = line.clone();
        if let Some(id) = line.get("id") {
            let number = live.waiting.iter().find(|(_, (asked, _))| asked == id);
            let Some((number, _)) = number else { return };
            line["id"] = json!(number);
        }
        if write_line(&live.stream, &line).is_err() {
            state.close();
        }
    }

    /// Sees to it that the broker can hand messages over, from now on.
    pub fn keep(&self, read: impl Fn() -> Option<HookRecord> + Send + 'static) {
        let (sender, woken) = channel();
        {
            let mut state = self.state();
            if state.wake.is_some() {
                return;
            }
            state.wake = Some(sender);
        }
        let link = self.clone();
        let thread = std::thread::Builder::new().name("broker".to_owned());
        // Without it the next question connects.
        let _ = thread.spawn(move || link.connect_again(&read, &woken));
    }

    fn connect_again(&self, read: &dyn Fn() -> Option<HookRecord>, woken: &Receiver<()>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let record = read();
            let remote = record.as_ref().and_then(Remote::recorded);
            let tried = match (&record, &remote) {
                (Some(record), Some(remote)) => self.connect(&mut self.state(), remote, record),
                // There may be one again.
                _ => Err("none is recorded".to_owned()),
            };
            match tried {
                Ok(()) => {
                    pause = FIRST_PAUSE;
                    // Until it breaks.
                    if woken.recv().is_err() {
                        return;
                    }
                }
                Err(why) => {
                    if pause == FIRST_PAUSE {
                        tracing::warn!("the broker cannot be asked: {why}");
                    }
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    while woken.try_recv().is_ok() {}
                }
            }
        }
    }

    /// Connects, where it is not connected to this very broker.
    fn connect(&self, state: &mut State, remote: &Remote, record: &HookRecord) -> Result<(), String> {
        let broker = record.broker.as_ref().ok_or("none is recorded")?;
        let relay = Relay {
            notify: record.notify.clone().filter(|_| record.poll_requests != Some(0)),
            poll_requests: record.poll_requests,
        };
        if state
            .live
            .as_ref()
            .is_some_and(|live| live.broker != *broker || live.relay != relay)
        {
            state.close();
        }
        if state.live.is_some() {
            return Ok(());
        }
        if let Some((at, why)) = &state.failed
            && at.elapsed() < SOON
        {
            return Err(why.clone());
        }
        let opened = self
            .open(state, remote, broker, relay)
            .map_err(|trouble| trouble.to_string());
        state.failed = opened.as_ref().err().map(|why| (Instant::now(), why.clone()));
        opened
    }

    fn open(&self, state: &mut State, remote: &Remote, broker: &BrokerRecord, relay: Relay) -> Result<(), Trouble> {
        let connection = client::connect(&remote.socket, remote.uid, Instant::now() + HELLO)?;
        let (stream, mut reader) = connection.split();
        write_line(&stream, &json!({"id": 0, "relay": relay})).map_err(Trouble::Gone)?;
        state.last += 1;
        let number = state.last;
        state.live = Some(Live {
            number,
            broker: broker.clone(),
            relay,
            stream,
            waiting: BTreeMap::new(),
        });
        let link = self.clone();
        let thread = std::thread::Builder::new().name("answers".to_owned());
        let started = thread.spawn(move || {
            lines::read(&mut reader, MAX_ANSWER, &mut |line| link.hear(line));
            link.over(number);
        });
        if let Err(error) = started {
            state.close();
            return Err(Trouble::Gone(error));
        }
        Ok(())
    }

    /// Takes a line of the broker's; `false`: nobody listens any more.
    fn hear(&self, line: Incoming) -> bool {
        let Incoming::Line(line) = line else { return true };
        let Ok(mut line) = serde_json::from_slice::<Value>(&line) else {
            return true;
        };
        let Some(number) = line.get("id").and_then(Value::as_u64) else {
            return line.get("push").is_none() || self.lines.send(Message::Line(line)).is_ok();
        };
        let mut state = self.state();
        let Some(live) = &mut state.live else { return false };
        if line.get("confirm").is_some() {
            let Some((id, _)) = live.waiting.get(&number) else {
                return true;
            };
            line["id"] = id.clone();
            return self.lines.send(Message::Line(line)).is_ok();
        }
        if let Some((id, sender)) = live.waiting.remove(&number) {
            line["id"] = id;
            let _ = sender.send(line);
        }
        true
    }

    /// A connection has ended.
    fn over(&self, number: u64) {
        let mut state = self.state();
        if state.live.as_ref().is_some_and(|live| live.number == number) {
            state.close();
        }
    }
}

impl State {
    /// Whoever waits has no answer.
    fn close(&mut self) {
        if let Some(live) = self.live.take() {
            let _ = live.stream.shutdown(Shutdown::Both);
        }
        if let Some(wake) = &self.wake {
            let _ = wake.send(());
        }
    }
}
