//! The gateway's side of a broker: one connection for all questions, made when it is needed and again after it broke, over
//! which messages for the owner come too.

use super::gateway::{self, ANSWER, NOT_RECORDED};
use super::remote::Remote;
use crate::broker::client::{self, Trouble, write_line};
use crate::broker::protocol::{MAX_ANSWER, Relay};
use crate::cmd::exchange::Message;
use crate::cmd::exchange::lines::{self, Incoming};
use crate::hook_record::HookRecord;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
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
    /// By which it was opened.
    record: HookRecord,
    stream: UnixStream,
    /// By our number.
    waiting: BTreeMap<u64, Waiting>,
}

/// A question without an answer yet.
struct Waiting {
    /// The asker's number.
    id: Value,
    /// Where the answer goes.
    to: Sender<Value>,
    /// The broker asked back already: once is all that it may.
    asked_back: bool,
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
        let deadline = Instant::now() + ANSWER;
        let remote = Remote::recorded(record).ok_or(NOT_RECORDED)?;
        let answer = {
            let mut state = self.state();
            self.connect(&mut state, &remote, record)?;
            state.last += 1;
            let number = state.last;
            let mut line = question.clone();
            line["id"] = json!(number);
            line["asking"] = json!(remote.asking);
            let (to, answer) = channel();
            let live = state.live.as_mut().ok_or_else(|| gone(io::ErrorKind::UnexpectedEof))?;
            let waiting = Waiting {
                id: id.clone(),
                to,
                asked_back: false,
            };
            live.waiting.insert(number, waiting);
            if let Err(error) = write_line(&live.stream, &line) {
                state.close();
                return Err(Trouble::Gone(error).to_string());
            }
            answer
        };
        // Dropped where the connection ends.
        let answer = answer.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        answer.map_err(|error| match error {
            RecvTimeoutError::Timeout => gone(io::ErrorKind::TimedOut),
            RecvTimeoutError::Disconnected => gone(io::ErrorKind::UnexpectedEof),
        })
    }

    /// Says what became of a command that waits to be confirmed, or of a message.
    pub fn say(&self, line: &Value) {
        let mut state = self.state();
        let Some(live) = &mut state.live else { return };
        let mut line = line.clone();
        if let Some(id) = line.get("id") {
            let number = live.waiting.iter().find(|(_, waiting)| waiting.id == *id);
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
                _ => Err(NOT_RECORDED.to_owned()),
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
                        tracing::warn!("could not ask the broker: {why}");
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
        if state.live.as_ref().is_some_and(|live| live.record != *record) {
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
        let opened = self.open(state, remote, record);
        let opened = opened.map_err(|trouble| trouble.to_string());
        state.failed = opened.as_ref().err().map(|why| (Instant::now(), why.clone()));
        opened
    }

    fn open(&self, state: &mut State, remote: &Remote, record: &HookRecord) -> Result<(), Trouble> {
        let connection = client::connect(&remote.socket, remote.uid, Instant::now() + HELLO)?;
        let (stream, mut reader) = connection.split();
        let relay = Relay {
            notify: record.notify.clone().filter(|_| record.poll_requests != Some(0)),
            poll_requests: record.poll_requests,
        };
        write_line(&stream, &json!({"id": 0, "relay": relay})).map_err(Trouble::Gone)?;
        state.last += 1;
        let number = state.last;
        state.live = Some(Live {
            number,
            record: record.clone(),
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
        let Some(line) = client::said(&line) else {
            return true;
        };
        let mut state = self.state();
        let Some(live) = &mut state.live else { return false };
        let Some(number) = line.get("id").and_then(Value::as_u64) else {
            let push = line.get("push").and_then(|push| gateway::push(push, &live.record));
            return push.is_none_or(|push| self.lines.send(Message::Line(json!({"push": push}))).is_ok());
        };
        if line.get("confirm").is_some() {
            let Some(waiting) = live.waiting.get_mut(&number).filter(|waiting| !waiting.asked_back) else {
                return true;
            };
            waiting.asked_back = true;
            let confirm = json!({"id": waiting.id, "confirm": true});
            return self.lines.send(Message::Line(confirm)).is_ok();
        }
        if let Some(waiting) = live.waiting.remove(&number) {
            let _ = waiting.to.send(line);
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

fn gone(kind: io::ErrorKind) -> String {
    Trouble::Gone(kind.into()).to_string()
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
