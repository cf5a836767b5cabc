//! `hook run`: one OpenClaw event in, messages out.

use crate::cli::HookRunArgs;
use crate::cmd::broker::gateway;
use crate::cmd::broker::remote::Remote;
use crate::cmd::hook::answer;
use crate::cmd::hook::caller::Caller;
use crate::cmd::{context, output};
use crate::env::Env;
use crate::error::{Error, ExitCode, OrFail, Result};
use crate::hook::answer::Answer;
use crate::hook::event::{self, Asks, Event, MAX_BYTES};
use crate::sigilum::http::{self, Http};
use serde::Serialize;
use serde_json::json;
use std::io::{IsTerminal, Read, Write};
use std::sync::Arc;

/// Runs the command.
pub fn run(args: &HookRunArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    if let Some(name) = &args.event {
        let event = Event::by_hand(name).ok_or_else(|| {
            let what = format!("could not use the event {name:?}: nothing is said to it");
            Error::new(ExitCode::Usage, what).next("give --event command:new")
        })?;
        let place = context::place(&args.place, env)?;
        if let Some(remote) = Remote::of_person(&place, env, args.owner.namespace.as_deref())? {
            return ask_by_hand(&remote, name, out);
        }
        let outcome = answer::for_person(&event, args, env)?;
        print(&outcome.answer, out)?;
        outcome.remember();
        return Ok(ExitCode::Ok);
    }
    let question = read_event()?;
    let event = Event::from_value(&question);
    let broker = gateway::record_and_flags(&args.place, env).filter(|_| event.asks() != Asks::Nothing);
    if let Some((record, flags)) = broker {
        let answer = gateway::ask_once(&record, &question);
        write_answer(&gateway::Said::of(answer, &question, &record, &flags), out)?;
        return Ok(ExitCode::Ok);
    }
    let http = |caller: &Caller| Arc::new(Http::new(http::Options::from_env(&caller.env)));
    let caller = || Caller::gateway(&args.place, env);
    let outcome = answer::for_gateway(&event, args, &caller, &http);
    write_answer(&outcome, out)?;
    outcome.remember();
    Ok(ExitCode::Ok)
}

fn write_answer(answer: &impl Serialize, out: &mut dyn Write) -> Result<()> {
    serde_json::to_writer(&mut *out, answer)
        .map_err(std::io::Error::from)
        .and_then(|()| writeln!(out))
        .and_then(|()| out.flush())
        .or_fail(ExitCode::Failure, || "could not print the answer".into())
}

/// What a broker answers in a direct chat of its owner's.
fn ask_by_hand(remote: &Remote, name: &str, out: &mut dyn Write) -> Result<ExitCode> {
    let (kind, action) = name.split_once(':').unwrap_or_default();
    let direct = json!({"type": kind, "action": action, "sessionKey": "agent:main:main", "chatType": "direct"});
    let answer: Answer = remote.event(direct)?;
    if answer.messages.is_empty() && kind == "command" {
        output::note("the broker says nothing: nothing waits for approval");
    }
    print(&answer, out)?;
    Ok(ExitCode::Ok)
}

/// For a person: messages as text, log lines to standard error.
fn print(answer: &Answer, out: &mut dyn Write) -> Result<()> {
    for message in &answer.messages {
        writeln!(out, "{message}").or_fail(ExitCode::Failure, || "could not print the message".into())?;
    }
    for line in &answer.logs {
        let _ = writeln!(std::io::stderr(), "{line}");
    }
    Ok(())
}

fn read_event() -> Result<serde_json::Value> {
    let stdin = std::io::stdin();
    let what = || "could not read the event from standard input".to_owned();
    let usage = |why: &str| {
        Error::new(ExitCode::Usage, format!("{}: {why}", what()))
            .next("give it a JSON object, or run: sigilum-authz-notify hook run --event command:new")
    };
    if stdin.is_terminal() {
        return Err(usage("it is a terminal"));
    }
    let mut bytes = Vec::new();
    let cap = MAX_BYTES as u64;
    stdin
        .lock()
        .take(cap + 1)
        .read_to_end(&mut bytes)
        .or_fail(ExitCode::Failure, what)?;
    if bytes.len() > MAX_BYTES {
        return Err(usage(&format!("it is over {MAX_BYTES} bytes")));
    }
    event::parse(&bytes).map_err(|why| usage(&why))
}
