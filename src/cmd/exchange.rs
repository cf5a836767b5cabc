//! Questions in, answers out, one JSON line each, over standard input and output (`serve --stdio`) or over a connection of
//! the broker's.
//!
//! A question is an event as `hook run` takes it, with an `id`; its answer has the same `id`:
//!
//! ```text
//! {"id":1,"type":"command","action":"new","sessionKey":"agent:main:main","chatType":"direct"}
//! {"id":1,"messages":["…"],"logs":["…"]}
//! ```
//!
//! So is a command that was typed in a chat; before it decides, the plugin is asked to confirm that its sender is an
//! owner still:
//!
//! ```text
//! {"id":2,"command":{"text":"approve cl_…","channel":"telegram","senderId":"1","from":"telegram:1","chatType":"direct",
//!  "senderIsOwner":true,"canAssertOwner":true,"gatewayClientScopes":null}}
//! {"id":2,"confirm":true}
//! {"id":2,"confirmed":true}
//! {"id":2,"reply":{"text":"…","presentation":{…}},"messages":[],"logs":["…"]}
//! ```
//!
//! Messages that nobody asked for go out too, and what became of them comes in: `exchange/pushes.rs`.
//!
//! The event may also stand in a field `event`. A line that is no question is answered too: `error` says why. Answers
//! come in the order in which they are ready.

mod confirm;
pub mod lines;
mod pushes;
pub mod server;

use self::lines::Incoming;
use self::pushes::{Heard, Pushes};
use self::server::{EventServer, Line, Reply, read};
use crate::watch::push::Push;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// So many events are answered at a time; more are turned away, not queued: each has a person waiting.
const AT_A_TIME: usize = 16;
/// When it is to end, answers under way may take so long.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// What the loop hears of.
pub enum Message {
    /// A line came in, or one over the cap, which is this many bytes.
    Incoming(Incoming, usize),
    /// Whoever reads lines waits until this one is taken in: one is kept at a time, however fast they come.
    Waits(Sender<()>),
    /// An event or a command is answered.
    Answered(Reply),
    /// A command is to be confirmed.
    Confirm(Value),
    /// A message for the owner.
    Push(Push),
    /// A line that goes out as it is.
    Line(Value),
    /// Nothing more comes in, or a signal says to end.
    End,
}

/// What goes on beside the answers.
pub trait Beside {
    /// Does what it is time for; says when to come again.
    fn keep(&mut self) -> Option<Instant> {
        None
    }
    /// Lets it stop while the last answers are under way.
    fn stop(&self) {}
    /// After an answer.
    fn answered(&mut self) {}
}

/// Nothing.
impl Beside for () {}

/// Where lines go; `false`: nobody reads any more.
pub type Out<'a> = &'a mut dyn FnMut(Value) -> bool;

/// Answers until the end, or until nobody reads.
pub fn serve(
    messages: &Receiver<Message>,
    sender: &Sender<Message>,
    server: &Arc<EventServer>,
    beside: &mut dyn Beside,
    out: Out<'_>,
) {
    let mut lines = Lines {
        server,
        sender,
        under_way: 0,
        pushes: Pushes::default(),
    };
    let mut ending: Option<Instant> = None;
    loop {
        if ending.is_some() && lines.under_way == 0 {
            return;
        }
        let next = match ending.or_else(|| beside.keep()) {
            None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(until) => messages.recv_timeout(until.saturating_duration_since(Instant::now())),
        };
        let is_read = match next {
            Err(RecvTimeoutError::Timeout) if ending.is_none() => true,
            Err(_) => return,
            Ok(Message::End) => {
                ending.get_or_insert(Instant::now() + LAST_ANSWERS);
                beside.stop();
                true
            }
            Ok(message) => lines.hear(message, beside, out),
        };
        if !is_read {
            return;
        }
    }
}

/// Gives an answer; `false`: nobody reads any more.
fn give(server: &EventServer, reply: &Reply, beside: &mut dyn Beside, out: Out<'_>) -> bool {
    if !out(serde_json::to_value(reply).unwrap_or_default()) {
        return false;
    }
    server.remember(reply);
    if reply.error.is_none() {
        beside.answered();
    }
    true
}

/// The lines that come in.
struct Lines<'a> {
    server: &'a Arc<EventServer>,
    sender: &'a Sender<Message>,
    /// How many are being answered.
    under_way: usize,
    pushes: Pushes,
}

impl Lines<'_> {
    /// Does what a message says; `false`: nobody reads any more.
    fn hear(&mut self, message: Message, beside: &mut dyn Beside, out: Out<'_>) -> bool {
        match message {
            Message::Answered(reply) => {
                self.under_way -= 1;
                give(self.server, &reply, beside, out)
            }
            Message::Confirm(id) => out(json!({"id": id, "confirm": true})),
            Message::Push(push) => out(self.pushes.line(push)),
            Message::Line(line) => out(line),
            Message::Incoming(Incoming::TooLong, cap) => {
                let why = format!("the line is over {cap} bytes");
                give(self.server, &Reply::error(Value::Null, why), beside, out)
            }
            Message::Incoming(Incoming::Line(line), _) => match self.take(&line) {
                Some(reply) => give(self.server, &reply, beside, out),
                None => true,
            },
            Message::Waits(reader) => {
                let _ = reader.send(());
                true
            }
            Message::End => true,
        }
    }

    /// Takes a line; gives an answer that is ready at once.
    fn take(&mut self, line: &[u8]) -> Option<Reply> {
        let server = self.server;
        match self.pushes.heard(line, |whom, requests| server.showed(whom, requests)) {
            Heard::Ours => return None,
            Heard::Others(line) => {
                self.server.passed_on(&line);
                return None;
            }
            Heard::Nothing => {}
        }
        let (id, question) = match read(line) {
            Err(why) => return Some(Reply::error(Value::Null, why)),
            Ok((id, Line::Confirmed(yes))) => {
                self.server.confirmed(&id, yes);
                return None;
            }
            Ok((id, Line::Question(question))) => (id, question),
        };
        if self.under_way == AT_A_TIME {
            let why = format!("{AT_A_TIME} events are being answered already");
            return Some(Reply::error(id, why));
        }
        self.under_way += 1;
        let (server, sender) = (Arc::clone(self.server), self.sender.clone());
        std::thread::spawn(move || {
            let reply = server.answer(id, &question, &sender);
            drop(sender.send(Message::Answered(reply)));
        });
        None
    }
}
