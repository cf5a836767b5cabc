//! What the OpenClaw gateway asks, where a broker is recorded: its answer, or that it cannot be asked.

use super::remote::Remote;
use crate::cli::PlaceArgs;
use crate::env::Env;
use crate::home;
use crate::hook::answer::Answer;
use crate::hook::command::{Command, May, People};
use crate::hook::event::{Asks, Event, Readers};
use crate::hook::notice;
use crate::hook::reply::{self, Reply};
use crate::hook_record::{self, HookRecord};
use crate::text;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// A broker may take so long to answer: OpenClaw's side gives up after 5 s.
pub(super) const ANSWER: Duration = Duration::from_millis(4500);

/// The record of the home that the gateway's program is for, where it names a broker. One that cannot be read names none,
/// nor does anything else then: the answer says what is wrong with it.
pub fn record(args: &PlaceArgs, env: &Env) -> Option<HookRecord> {
    let home = env.path("HOME").map(|home| ("HOME", home.into_os_string()));
    let place = home::find(args.openclaw_home.as_deref(), None, &Env::from_pairs(home)).ok()?;
    let record = hook_record::read(&place.hook_record_file()).ok()??;
    record.broker.is_some().then_some(record)
}

/// Asks once, over a connection of its own.
///
/// # Errors
/// Why there is no answer.
pub fn ask_once(record: &HookRecord, question: &Value) -> Result<Value, String> {
    let remote = Remote::recorded(record).ok_or("none is recorded")?;
    let mut connection = remote.reach().map_err(|trouble| trouble.to_string())?;
    let mut question = question.clone();
    question["id"] = json!(1);
    question["asking"] = json!(remote.asking);
    let answer = connection.ask(&question, Instant::now() + ANSWER);
    answer.map_err(|trouble| trouble.to_string())
}

/// An answer's members, as they go to OpenClaw.
pub fn members(answer: Result<Value, String>, question: &Value, record: &HookRecord) -> Map<String, Value> {
    let answer = match answer {
        Ok(Value::Object(answer)) => answer,
        Ok(_) => gone("it does not answer", question, record),
        Err(why) => gone(&why, question, record),
    };
    let wanted = ["error", "reply", "messages", "logs"];
    answer
        .into_iter()
        .filter(|(name, _)| wanted.contains(&name.as_str()))
        .collect()
}

/// Whether nothing is to be asked for an event.
pub fn asks_nothing(question: &Value) -> bool {
    !question.get("command").is_some_and(Value::is_object) && Event::in_question(question).asks() == Asks::Nothing
}

/// The broker cannot be asked: one plain line for who would have read the whole notice; silence would read as if nothing
/// waited.
fn gone(why: &str, question: &Value, record: &HookRecord) -> Map<String, Value> {
    let why = text::one_line(why);
    let log = format!("could not ask the broker: {why}");
    let said = notice::not_asked(&format!("the broker cannot be asked ({why})"));
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
    let mut members = Map::new();
    members.extend(reply.map(|reply| ("reply".to_owned(), json!(reply))));
    members.insert("messages".to_owned(), json!(answer.messages));
    members.insert("logs".to_owned(), json!(answer.logs));
    members
}
