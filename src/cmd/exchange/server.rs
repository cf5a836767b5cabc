//! What answers one question: an event, a command of a chat, or what else is asked where it is asked.

use super::Message;
use super::confirm::Chat;
use crate::cli::HookRunArgs;
use crate::cmd::authz::chat::{self, Means};
use crate::cmd::hook::answer::{self, Outcome};
use crate::cmd::hook::caller::Caller;
use crate::error::Result;
use crate::hook::answer::Answer;
use crate::hook::command::Command;
use crate::hook::event::{self, Event};
use crate::hook::reply::Reply as ChatReply;
use crate::request::AuthorizationRequest;
use crate::sigilum::http::{self, Http};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

/// A line that came in.
pub enum Line {
    /// It is answered.
    Question(Box<Question>),
    /// Whether a command's sender is an owner still.
    Confirmed(bool),
}

/// What is answered.
pub struct Question {
    kind: Kind,
    /// The whole line.
    pub value: Value,
}

enum Kind {
    Event(Event),
    /// A command that was typed in a chat.
    Command(Command),
}

/// A line out.
#[derive(Serialize)]
pub struct Reply {
    id: Value,
    /// Why it was not answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<ChatReply>,
    #[serde(flatten)]
    outcome: Option<Outcome>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl Reply {
    fn of(id: Value, outcome: Outcome) -> Self {
        Self {
            id,
            error: None,
            reply: None,
            outcome: Some(outcome),
            more: Map::new(),
        }
    }

    /// That a line was not answered.
    pub fn error(id: Value, why: String) -> Self {
        let answer = Answer {
            messages: Vec::new(),
            logs: vec![format!("could not answer the event: {why}")],
        };
        Self {
            error: Some(why),
            ..Self::of(id, answer.into())
        }
    }
}

/// By whose words questions are answered.
pub trait Asker: Send + Sync {
    /// Who asks, and what counts for them.
    ///
    /// # Errors
    /// Where it is not set up right.
    fn caller(&self, question: &Value) -> Result<Caller>;
    /// The flags that count.
    fn args(&self, question: &Value) -> HookRunArgs;
    /// Answers what is to be answered otherwise than by what `caller` says; `None`: it is not.
    fn other(
        &self,
        _id: &Value,
        _question: &Value,
        _http: &dyn Fn(&Caller) -> Arc<Http>,
    ) -> Option<Map<String, Value>> {
        None
    }
    /// Takes what is said of a command that waits to be confirmed, or of a message, and that nobody here waits for.
    fn passed_on(&self, _line: &Value) {}
}

/// What several connections share.
#[derive(Default)]
pub struct Kept {
    client: Mutex<Option<Client>>,
    /// Held while what was shown is remembered: one file for all.
    remembering: Mutex<()>,
}

/// The client, and the recorded environment that it was made for.
struct Client {
    env: BTreeMap<String, String>,
    http: Arc<Http>,
}

/// What every question of a connection is answered with.
pub struct EventServer {
    asker: Box<dyn Asker>,
    kept: Arc<Kept>,
    chat: Chat,
}

impl EventServer {
    /// For one connection.
    pub fn new(asker: Box<dyn Asker>, kept: Arc<Kept>) -> Self {
        Self {
            asker,
            kept,
            chat: Chat::default(),
        }
    }

    /// What is said of a command that waits to be confirmed.
    pub fn confirmed(&self, id: &Value, yes: bool) {
        if !self.chat.confirmed(id, yes) {
            self.asker.passed_on(&json!({"id": id, "confirmed": yes}));
        }
    }

    /// What is said of a message that is not one of this connection's own.
    pub fn passed_on(&self, line: &Value) {
        self.asker.passed_on(line);
    }

    /// A message showed somebody these requests.
    pub fn showed(&self, whom: &str, requests: &[AuthorizationRequest]) {
        self.chat.showed(whom, requests.iter());
    }

    /// Call it once the answer was given.
    pub fn remember(&self, reply: &Reply) {
        if let Some(outcome) = &reply.outcome {
            let _one = self.kept.remembering.lock().unwrap_or_else(PoisonError::into_inner);
            outcome.remember();
        }
    }

    /// Answers a question, whatever comes of it.
    pub fn answer(&self, id: Value, question: &Question, sender: &Sender<Message>) -> Reply {
        // A bug in one answer must not take the watcher with it.
        let answered = std::panic::catch_unwind(AssertUnwindSafe(|| self.reply(id.clone(), question, sender)));
        answered.unwrap_or_else(|_| Reply::error(id, "an internal error".to_owned()))
    }

    fn reply(&self, id: Value, question: &Question, sender: &Sender<Message>) -> Reply {
        let value = &question.value;
        let http = |caller: &Caller| self.http(caller);
        if let Some(more) = self.asker.other(&id, value, &http) {
            return Reply {
                id,
                error: None,
                reply: None,
                outcome: None,
                more,
            };
        }
        let caller = || self.asker.caller(value);
        let args = self.asker.args(value);
        match &question.kind {
            Kind::Event(event) => {
                let outcome = answer::for_gateway(event, &args, &caller, &http);
                self.chat.remember(event, &outcome);
                Reply::of(id, outcome)
            }
            Kind::Command(command) => {
                let ask = || drop(sender.send(Message::Confirm(id.clone())));
                let told = chat::answer(
                    command,
                    &Means {
                        args: &args,
                        caller: &caller,
                        http: &http,
                        shown: self.chat.shown(),
                        confirm: &|| self.chat.confirm(&id, ask),
                    },
                );
                let logs = Answer {
                    messages: Vec::new(),
                    logs: told.logs,
                };
                Reply {
                    reply: Some(told.reply),
                    ..Reply::of(id.clone(), logs.into())
                }
            }
        }
    }

    fn http(&self, caller: &Caller) -> Arc<Http> {
        let mut kept = self.kept.client.lock().unwrap_or_else(PoisonError::into_inner);
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
pub fn read(line: &[u8]) -> std::result::Result<(Value, Line), String> {
    let mut value = event::parse(line)?;
    let id = match value.get_mut("id").map(Value::take) {
        Some(id) if id.is_number() || id.is_string() => id,
        _ => Value::Null,
    };
    if let Some(command) = value.get("command").filter(|command| command.is_object()) {
        let kind = Kind::Command(Command::from_value(command));
        return Ok((id, Line::Question(Box::new(Question { kind, value }))));
    }
    if let Some(confirmed) = value.get("confirmed") {
        return Ok((id, Line::Confirmed(*confirmed == Value::Bool(true))));
    }
    let mut event = Event::in_question(&value);
    event.by_plugin = true;
    let kind = Kind::Event(event);
    Ok((id, Line::Question(Box::new(Question { kind, value }))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_question() {
        let id = |line: &str| match read(line.as_bytes()) {
            Ok((id, Line::Question(question))) => match question.kind {
                Kind::Event(event) => Ok((id, event.asks())),
                Kind::Command(_) => panic!("no event: {line}"),
            },
            Ok(_) => panic!("no question: {line}"),
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
