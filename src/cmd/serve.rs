//! `serve --stdio`: answers OpenClaw events from one resident process, one JSON line in, one out, and watches the home.
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
//! Messages that nobody asked for go out too, and what became of them comes in: `serve/pushes.rs`.
//!
//! The event may also stand in a field `event`. A line that is no question is answered too: `error` says why. Answers
//! come in the order in which they are ready. Files are read anew for each event; only the HTTP client is kept, for as long
//! as what is recorded of the environment stays the same. Of the process's own environment HOME alone counts.
//! It ends within a second when standard input closes, so that a killed gateway leaves no orphan, and on SIGTERM and
//! SIGINT.

mod confirm;
mod pushes;

use self::confirm::Chat;
use self::pushes::Pushes;
use crate::cli::{HookRunArgs, PlaceArgs, ServeArgs};
use crate::cmd::authz::chat::{self, Means};
use crate::cmd::hook::answer::{self, Outcome};
use crate::cmd::hook::caller::Caller;
use crate::cmd::resident::Presence;
use crate::env::Env;
use crate::error::{ExitCode, Result};
use crate::hook::answer::Answer;
use crate::hook::command::Command;
use crate::hook::event::{self, Event, MAX_BYTES};
use crate::hook::reply::Reply as ChatReply;
use crate::sigilum::http::{self, Http};
use crate::text;
use crate::token::token_command::{TokenCommand, VARIABLE};
use crate::watch::log::LogFormat;
use crate::watch::push::{Push, Way};
use crate::watch::{self, Homes, Watching};
use serde::Serialize;
use serde_json::{Value, json};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::panic::AssertUnwindSafe;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many events are answered at a time; more are turned away, not queued: each has a person waiting.
const AT_A_TIME: usize = 16;
/// When it is to end, answers under way may take so long, and the whole end so long.
const LAST_ANSWERS: Duration = Duration::from_millis(500);
const WHOLE_END: Duration = Duration::from_millis(800);
/// Between two tries to watch a home that another watcher serves.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What the main loop hears of.
enum Message {
    /// A line came in.
    Line(Vec<u8>),
    /// A line over the cap came in and was dropped.
    TooLong,
    /// An event or a command is answered.
    Answered(Reply),
    /// A command is to be confirmed.
    Confirm(Value),
    /// A message for the owner.
    Push(Push),
    /// Standard input is closed, or a signal says to end.
    End,
}

/// A line that came in.
enum Line {
    /// It is answered.
    Question(Question),
    /// Whether a command's sender is an owner still.
    Confirmed(bool),
}

/// What is answered.
enum Question {
    /// An event.
    Event(Event),
    /// A command that was typed in a chat.
    Command(Command),
}

/// A line out.
#[derive(Serialize)]
struct Reply {
    id: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<ChatReply>,
    #[serde(flatten)]
    outcome: Outcome,
}

impl Reply {
    fn error(id: Value, why: String) -> Self {
        let answer = Answer {
            messages: Vec::new(),
            logs: vec![format!("could not answer the event: {why}")],
        };
        Self {
            id,
            error: Some(why),
            reply: None,
            outcome: answer.into(),
        }
    }
}

/// What every event is answered with.
struct EventServer {
    args: HookRunArgs,
    env: Env,
    client: Mutex<Option<Client>>,
    chat: Chat,
}

/// The client, and the recorded environment that it was made for.
struct Client {
    env: BTreeMap<String, String>,
    http: Arc<Http>,
}

/// Runs the command.
pub fn run(args: &ServeArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    watch::log::to_stderr(LogFormat::Text, &Env::default())?;
    let (sender, messages) = channel();
    let ender = sender.clone();
    watch::on_signals(&[SIGTERM, SIGINT], move || end(&ender))?;
    let reader = sender.clone();
    std::thread::spawn(move || {
        read_lines(&mut std::io::stdin().lock(), &reader);
        end(&reader)
    });
    let server = Arc::new(EventServer {
        args: HookRunArgs {
            place: args.place.clone(),
            ..HookRunArgs::default()
        },
        env: env.clone(),
        client: Mutex::default(),
        chat: Chat::default(),
    });
    let mut beside = Beside {
        watch: (!args.no_watch).then(|| Watch::new(&server, &sender)),
        shown: Shown::new(&server),
    };
    serve(&messages, &sender, &server, &mut beside, out);
    // From here on as after a closed input: the watcher finishes the write that it is in, if that takes no longer.
    std::thread::spawn(move || end(&sender));
    drop(beside);
    Ok(ExitCode::Ok)
}

fn serve(
    messages: &Receiver<Message>,
    sender: &Sender<Message>,
    server: &Arc<EventServer>,
    beside: &mut Beside,
    out: &mut dyn Write,
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
            Ok(Message::Answered(reply)) => {
                lines.under_way -= 1;
                give(&reply, beside, out)
            }
            Ok(Message::Confirm(id)) => write_line(out, &json!({"id": id, "confirm": true})),
            Ok(Message::Push(push)) => write_line(out, &lines.pushes.line(push)),
            Ok(Message::TooLong) => {
                let why = format!("the line is over {MAX_BYTES} bytes");
                give(&Reply::error(Value::Null, why), beside, out)
            }
            Ok(Message::Line(line)) => lines.take(&line).is_none_or(|reply| give(&reply, beside, out)),
        };
        if !is_read {
            return;
        }
    }
}

/// Gives an answer; `false`: nobody reads any more.
fn give(reply: &Reply, beside: &mut Beside, out: &mut dyn Write) -> bool {
    if !write_line(out, reply) {
        return false;
    }
    reply.outcome.remember();
    if reply.error.is_none() {
        beside.shown.answered();
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
    /// Takes one; gives an answer that is ready at once.
    fn take(&mut self, line: &[u8]) -> Option<Reply> {
        if self.pushes.heard(line) {
            return None;
        }
        let (id, question) = match read(line) {
            Err(why) => return Some(Reply::error(Value::Null, why)),
            Ok((id, Line::Confirmed(yes))) => {
                self.server.chat.confirmed(&id, yes);
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

/// `false`: nobody reads any more.
fn write_line(out: &mut dyn Write, line: &impl Serialize) -> bool {
    let mut line = serde_json::to_vec(line).unwrap_or_default();
    line.push(b'\n');
    out.write_all(&line).and_then(|()| out.flush()).is_ok()
}

/// What goes on beside the answers.
struct Beside {
    watch: Option<Watch>,
    shown: Shown,
}

impl Beside {
    /// Does what it is time for; says when to come again.
    fn keep(&mut self) -> Option<Instant> {
        let watch = self.watch.as_mut().and_then(Watch::keep);
        watch.into_iter().chain(self.shown.keep()).min()
    }

    /// Lets the watcher stop while the last answers are under way.
    fn stop(&self) {
        if let Some(watch) = &self.watch {
            watch.stop();
        }
    }
}

/// How this process shows itself to `hook status`. While another one does, the child of a gateway that has just been
/// restarted perhaps, it is tried again from time to time; where it cannot, with the next event.
struct Shown {
    args: PlaceArgs,
    env: Env,
    presence: Option<Presence>,
    pause: Duration,
    next: Option<Instant>,
}

impl Shown {
    fn new(server: &EventServer) -> Self {
        let mut shown = Self {
            args: server.args.place.clone(),
            env: server.env.clone(),
            presence: None,
            pause: FIRST_PAUSE,
            next: None,
        };
        shown.show();
        shown
    }

    fn show(&mut self) {
        self.next = None;
        self.presence = None;
        let Ok(Caller { place, .. }) = Caller::gateway(&self.args, &self.env) else {
            return;
        };
        match Presence::show(&place) {
            Ok(presence) => self.presence = presence,
            Err(()) => {
                self.next = Some(Instant::now() + self.pause);
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    fn keep(&mut self) -> Option<Instant> {
        if self.next.is_some_and(|next| next <= Instant::now()) {
            self.show();
        }
        self.next
    }

    /// After an answer.
    fn answered(&mut self) {
        if !self.presence.as_ref().is_some_and(Presence::is_seen) {
            self.show();
        }
        if let Some(presence) = &mut self.presence {
            presence.answered();
        }
    }
}

/// The watcher inside. Where another one serves the home, it is tried again from time to time: that one may be the
/// child of a gateway that has just been restarted.
struct Watch {
    args: PlaceArgs,
    env: Env,
    sender: Sender<Message>,
    watching: Option<Watching>,
    pause: Duration,
    next: Instant,
}

impl Watch {
    fn new(server: &EventServer, sender: &Sender<Message>) -> Self {
        Self {
            args: server.args.place.clone(),
            env: server.env.clone(),
            sender: sender.clone(),
            watching: None,
            pause: FIRST_PAUSE,
            next: Instant::now(),
        }
    }

    /// Watches, if it does not and it is time; says when to try again.
    fn keep(&mut self) -> Option<Instant> {
        if self.watching.is_none() && self.next <= Instant::now() {
            match self.start() {
                Ok(watching) => self.watching = Some(watching),
                Err(error) => {
                    if self.pause == FIRST_PAUSE {
                        tracing::warn!("answering without watching: {}", text::one_line(&error.to_string()));
                    }
                    self.next = Instant::now() + self.pause;
                    self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        self.watching.is_none().then_some(self.next)
    }

    fn start(&self) -> Result<Watching> {
        let Caller { place, env, .. } = Caller::gateway(&self.args, &self.env)?;
        let command = env.var(VARIABLE);
        let sender = self.sender.clone();
        watch::start(watch::Options {
            token_command: command
                .map(|text| TokenCommand::parse(text, VARIABLE, env.pairs()))
                .transpose()?,
            push: watch::push::Options {
                way: Way::HandedOver(Arc::new(move |push| drop(sender.send(Message::Push(push))))),
                ..watch::push::Options::default()
            },
            ..watch::Options::new(Homes::Listed(vec![place]), &env)
        })
    }

    /// Tells it to stop; dropping it waits for that.
    fn stop(&self) {
        if let Some(watching) = &self.watching {
            watching.waker().stop();
        }
    }
}

impl EventServer {
    fn answer(&self, id: Value, question: &Question, sender: &Sender<Message>) -> Reply {
        let http = |caller: &Caller| self.http(caller);
        let answer = || match question {
            Question::Event(event) => {
                let outcome = answer::for_gateway(event, &self.args, &self.env, &http);
                self.chat.remember(event, &outcome);
                (None, outcome)
            }
            Question::Command(command) => {
                let ask = || drop(sender.send(Message::Confirm(id.clone())));
                let told = chat::answer(
                    command,
                    &Means {
                        args: &self.args,
                        env: &self.env,
                        http: &http,
                        shown: self.chat.shown(),
                        confirm: &|| self.chat.confirm(&id, ask),
                    },
                );
                let logs = Answer {
                    messages: Vec::new(),
                    logs: told.logs,
                };
                (Some(told.reply), logs.into())
            }
        };
        // A bug in one answer must not take the watcher with it.
        match std::panic::catch_unwind(AssertUnwindSafe(answer)) {
            Ok((reply, outcome)) => Reply {
                id,
                error: None,
                reply,
                outcome,
            },
            Err(_) => Reply::error(id, "an internal error".to_owned()),
        }
    }

    fn http(&self, caller: &Caller) -> Arc<Http> {
        let mut kept = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = kept.as_ref().filter(|client| client.env == caller.record.env) {
            return Arc::clone(&client.http);
        }
        let http = Arc::new(Http::new(http::Options::from_env(&caller.env)));
        *kept = Some(Client {
            env: caller.record.env.clone(),
            http: Arc::clone(&http),
        });
        http
    }
}

/// What a line says, and of what; or why it says nothing.
fn read(line: &[u8]) -> std::result::Result<(Value, Line), String> {
    let mut value = event::parse(line)?;
    let id = match value.get_mut("id").map(Value::take) {
        Some(id) if id.is_number() || id.is_string() => id,
        _ => Value::Null,
    };
    if let Some(command) = value.get("command").filter(|command| command.is_object()) {
        return Ok((id, Line::Question(Question::Command(Command::from_value(command)))));
    }
    if let Some(confirmed) = value.get("confirmed") {
        return Ok((id, Line::Confirmed(*confirmed == Value::Bool(true))));
    }
    let mut event = match value.get("event") {
        Some(event) if event.is_object() => Event::from_value(event),
        _ => Event::from_value(&value),
    };
    event.by_plugin = true;
    Ok((id, Line::Question(Question::Event(event))))
}

/// Sends the lines that come in, without more of one in memory than the cap.
fn read_lines(input: &mut dyn BufRead, sender: &Sender<Message>) {
    let mut line = Vec::new();
    let mut too_long = false;
    loop {
        let part = match input.fill_buf() {
            Ok(part) if !part.is_empty() => part,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            _ => break,
        };
        let end = part.iter().position(|byte| *byte == b'\n');
        let count = end.unwrap_or(part.len());
        too_long |= line.len() + count > MAX_BYTES;
        if too_long {
            line = Vec::new();
        } else {
            line.extend_from_slice(&part[..count]);
        }
        input.consume(end.map_or(count, |end| end + 1));
        if end.is_some() && !send_line(&mut line, &mut too_long, sender) {
            return;
        }
    }
    send_line(&mut line, &mut too_long, sender);
}

/// Sends a line, if there is anything in it; `false` where nobody listens any more.
fn send_line(line: &mut Vec<u8>, too_long: &mut bool, sender: &Sender<Message>) -> bool {
    let line = std::mem::take(line);
    let item = match std::mem::take(too_long) {
        true => Message::TooLong,
        false if line.trim_ascii().is_empty() => return true,
        false => Message::Line(line),
    };
    sender.send(item).is_ok()
}

/// Tells the main loop to end, and ends the process if it cannot: nothing may keep it alive, no answer under way, no
/// write that hangs, nobody's full pipe.
fn end(sender: &Sender<Message>) -> ! {
    let _ = sender.send(Message::End);
    std::thread::sleep(WHOLE_END);
    std::process::exit(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    #[test]
    fn lines_are_cut_at_the_cap_and_the_next_is_whole() {
        let long = "x".repeat(MAX_BYTES + 1);
        let just = "y".repeat(MAX_BYTES);
        let input = format!("one\n\n  \n{long}\n{just}\ntwo");
        let (sender, messages) = channel();
        // Small reads, so that lines come in pieces.
        read_lines(&mut BufReader::with_capacity(7000, input.as_bytes()), &sender);
        drop(sender);
        let lines: Vec<String> = messages
            .iter()
            .map(|item| match item {
                Message::Line(line) => String::from_utf8(line).unwrap(),
                Message::TooLong => "too long".to_owned(),
                Message::End | Message::Answered(_) | Message::Confirm(_) | Message::Push(_) => unreachable!(),
            })
            .collect();
        assert_eq!(lines, ["one", "too long", just.as_str(), "two"]);
    }

    #[test]
    fn what_is_a_question() {
        let id = |line: &str| match read(line.as_bytes()) {
            Ok((id, Line::Question(Question::Event(event)))) => Ok((id, event.asks())),
            Ok(_) => panic!("no event: {line}"),
            Err(why) => Err(why),
        };
        use crate::hook::event::Asks::{Nothing, Notice};
        let flat = r#"{"id":7,"type":"command","action":"new"}"#;
        assert_eq!(id(flat).unwrap(), (Value::from(7), Notice));
        let nested = r#"{"id":"a","event":{"type":"command","action":"reset"}}"#;
        assert_eq!(id(nested).unwrap(), (Value::from("a"), Notice));
        assert_eq!(id(r#"{"id":{"x":1}}"#).unwrap(), (Value::Null, Nothing));
        for bad in ["{", "[1]", "7", "\u{0}"] {
            assert!(id(bad).is_err(), "{bad}");
        }
    }
}
