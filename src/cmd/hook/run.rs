//! `hook run`: one OpenClaw event in, messages out.

use crate::cli::HookRunArgs;
use crate::cmd::hook::answer;
use crate::cmd::hook::caller::Caller;
use crate::env::Env;
use crate::error::{Error, ExitCode, OrFail, Result};
use crate::hook::answer::Answer;
use crate::hook::event::{self, Event, MAX_BYTES};
use crate::sigilum::http::{self, Http};
use std::io::{IsTerminal, Read, Write};
use std::sync::Arc;

/// Runs the command.
pub fn run(args: &HookRunArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    if let Some(name) = &args.event {
        let event = Event::by_hand(name).ok_or_else(|| {
            Error::new(ExitCode::Usage, format!("could not read the event: {name:?}")).next("give --event command:new")
        })?;
        let outcome = answer::for_person(&event, args, env)?;
        print(&outcome.answer, out)?;
        outcome.remember();
        return Ok(ExitCode::Ok);
    }
    let event = Event::from_value(&read_event()?);
    let http = |caller: &Caller| Arc::new(Http::new(http::Options::from_env(&caller.env)));
    let caller = || Caller::gateway(&args.place, env);
    let outcome = answer::for_gateway(&event, args, &caller, &http);
    serde_json::to_writer(&mut *out, &outcome)
        .map_err(std::io::Error::from)
        .and_then(|()| writeln!(out))
        .and_then(|()| out.flush())
        .or_fail(ExitCode::Failure, || "could not print the answer".into())?;
    outcome.remember();
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
