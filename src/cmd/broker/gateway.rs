//! What the OpenClaw gateway asks, where a broker is recorded: its answer, or that it cannot be asked.

use super::remote::Remote;
use crate::broker::client::Trouble;
use crate::cli::PlaceArgs;
use crate::env::Env;
use crate::home;
use crate::hook::answer::Answer;
use crate::hook::clean;
use crate::hook::command::{Command, May, People};
use crate::hook::event::{Asks, Event, Readers};
use crate::hook::notice;
use crate::hook::reply::{self, Reply};
use crate::hook_record::{self, ChatTarget, HookRecord};
use crate::text;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// A broker may take so long to say who it is and to answer: OpenClaw's side gives up after 5 s.
pub(super) const ANSWER: Duration = Duration::from_millis(4500);
/// The record is another one by now.
pub(super) const NOT_RECORDED: &str = "no broker is recorded";

/// The record of the home that the gateway's program is for, where it names a broker. One that cannot be read names none,
/// nor does anything else then: the answer says what is wrong with it.
pub fn record(args: &PlaceArgs, env: &Env) -> Option<HookRecord> {
    record_and_flags(args, env).map(|(record, _)| record)
}

/// The same, with the flags of a command that a person types about that home.
pub fn record_and_flags(args: &PlaceArgs, env: &Env) -> Option<(HookRecord, String)> {
    let home = env.path("HOME").map(|home| ("HOME", home.into_os_string()));
    let env = Env::from_pairs(home);
    let mut place = home::find(args.openclaw_home.as_deref(), None, &env).ok()?;
    let record = hook_record::read(&place.hook_record_file()).ok()??;
    place.config = record.config_for(&place.home).unwrap_or(place.config);
    record.broker.is_some().then(|| (record, place.flags(&env)))
}

/// Asks once, over a connection of its own.
///
/// # Errors
/// Why there is no answer.
pub fn ask_once(record: &HookRecord, question: &Value) -> Result<Value, String> {
    let deadline = Instant::now() + ANSWER;
    let remote = Remote::recorded(record).ok_or(NOT_RECORDED)?;
    let mut connection = remote.reach(deadline).map_err(|trouble| trouble.to_string())?;
    let mut question = question.clone();
    question["id"] = json!(1);
    question["asking"] = json!(remote.asking);
    let answer = connection.ask(&question, deadline);
    answer.map_err(|trouble| trouble.to_string())
}

/// What goes to OpenClaw of an answer.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Said {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<Reply>,
    messages: Vec<String>,
    logs: Vec<String>,
}

impl Said {
    /// An answer, as it is fit for a chat and a log; or that there is none. `flags` lead a command to the home.
    pub fn of(answer: Result<Value, String>, question: &Value, record: &HookRecord, flags: &str) -> Self {
        let no_broker = |_| Trouble::NoBroker.to_string();
        let said = answer.and_then(|answer| serde_json::from_value(answer).map_err(no_broker));
        let said: Self = match said {
            Ok(said) => said,
            Err(why) => return gone(&why, question, record, flags),
        };
        let dashboard = notice::dashboard(record.dashboard.as_deref());
        let text = |text: &String| clean::relayed(text, dashboard, reply::MAX);
        Self {
            // It comes into the chat too.
            error: said.error.as_ref().map(|error| text(&text::one_line(error))),
            reply: said.reply.map(|reply| reply.relayed(dashboard)),
            messages: said.messages.iter().map(text).collect(),
            logs: said.logs.iter().map(|line| text::one_line(line)).collect(),
        }
    }

    /// Its members, as a line has them.
    pub fn members(&self) -> Map<String, Value> {
        match json!(self) {
            Value::Object(members) => members,
            _ => Map::new(),
        }
    }
}

/// A message that nobody asked for, as it is fit for a chat; `None` where it is for somebody who is not recorded.
pub(super) fn push(push: &Value, record: &HookRecord) -> Option<Value> {
    let mut push: Push = serde_json::from_value(push.clone()).ok()?;
    let is_recorded = |target: &&ChatTarget| target.channel == push.channel && target.to == push.to;
    record.notify.as_ref().filter(is_recorded)?;
    push.reply = push.reply.relayed(notice::dashboard(record.dashboard.as_deref()));
    Some(json!(push))
}

/// As [`crate::watch::push`] makes it.
#[derive(Serialize, Deserialize)]
struct Push {
    key: String,
    channel: String,
    to: String,
    #[serde(flatten)]
    reply: Reply,
}

/// Whether nothing is to be asked for an event.
pub fn asks_nothing(question: &Value) -> bool {
    !question.get("command").is_some_and(Value::is_object) && Event::in_question(question).asks() == Asks::Nothing
}

/// The broker cannot be asked: one plain line for who would have read the whole notice; silence would read as if nothing
/// waited.
fn gone(why: &str, question: &Value, record: &HookRecord, flags: &str) -> Said {
    let why = text::one_line(why);
    let log = format!("could not ask the broker: {why}");
    let said = format!(
        "{} What helps, in a terminal: sigilum-authz-notify doctor{flags}",
        notice::not_asked(&why)
    );
    let mut answer = Answer::log(&log);
    let mut reply = None;
    if let Some(command) = question.get("command").filter(|command| command.is_object()) {
        let people = People {
            deciders: record.deciders.clone().unwrap_or_default(),
            senders: record.senders.clone().unwrap_or_default(),
        };
        reply = Some(match Command::from_value(command).may(&people) {
            May::Nothing => Reply::text(reply::REFUSAL),
            May::Decide | May::DecideByCode | May::Read(_) => Reply::text(said),
        });
    } else {
        let readers = Readers {
            senders: record.senders.clone(),
            groups: record.groups,
        };
        let event = Event::in_question(question);
        let audience = event.audience(&readers).filter(|_| event.asks() == Asks::Notice);
        answer
            .messages
            .extend(audience.filter(|audience| audience.is_owner).map(|_| said));
    }
    Said {
        error: None,
        reply,
        messages: answer.messages,
        logs: answer.logs,
    }
}
