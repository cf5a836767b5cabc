//! `authz log`: the decisions that were made here.

use super::site::Site;
use super::text;
use crate::authz::decision_log::{DecisionLog, Entry, How, Outcome};
use crate::cli::AuthzLogArgs;
use crate::cmd::broker::remote;
use crate::cmd::context;
use crate::cmd::output::{self, write_json, write_line};
use crate::env::Env;
use crate::error::{ExitCode, OrFail, Result};
use crate::time;
use serde::Serialize;
use std::io::Write;

/// The `--json` output.
#[derive(Serialize)]
struct Report {
    decisions: Vec<Entry>,
}

/// Runs the command.
pub fn run(args: &AuthzLogArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let place = context::place(&args.owner.place, env)?;
    remote::refuse(&place, env, "list the decisions", "authz log")?;
    let log = DecisionLog::of(&place);
    let mut decisions = log.read()?;
    if decisions.iter().any(|entry| entry.result.is_none()) {
        match Site::open(&args.owner, env) {
            Ok(site) => site.settle_open(),
            Err(error) => output::warn(format_args!(
                "a decision that a killed run left open is still not known: {error}"
            )),
        }
        decisions = log.read()?;
    }
    if args.output.json {
        write_json(out, &Report { decisions })?;
        return Ok(ExitCode::Ok);
    }
    if decisions.is_empty() {
        write_line(out, "No decisions were made here.")?;
        return Ok(ExitCode::Ok);
    }
    let rows: Vec<Vec<String>> = decisions.iter().map(row).collect();
    let headers = ["AT", "BY", "HOW", "DECISION", "ID", "SERVICE", "KEY", "RESULT"];
    output::table(out, &headers, &rows)
        .or_fail(ExitCode::Failure, || "could not write to standard output".to_owned())?;
    Ok(ExitCode::Ok)
}

fn row(entry: &Entry) -> Vec<String> {
    let intent = &entry.intent;
    let until = intent
        .until
        .map_or_else(String::new, |at| format!(" until {}", time::rfc3339(at)));
    vec![
        intent.at.clone(),
        intent.by.clone(),
        intent.how.text().to_owned(),
        format!("{}{until}", intent.decision.as_str()),
        intent.claim_id.clone(),
        text::cell(intent.service.as_deref()),
        text::key(intent.public_key.as_deref()),
        result(entry),
    ]
}

/// A decision in one line.
pub fn line(entry: &Entry) -> String {
    let intent = &entry.intent;
    format!(
        "{}: {} by {} ({}): {}",
        intent.at,
        intent.decision.as_str(),
        intent.by,
        intent.how.text(),
        result(entry)
    )
}

/// What came of a decision, for people.
fn result(entry: &Entry) -> String {
    match &entry.result {
        // Tried until it does not stand any more.
        None if entry.intent.how == How::TimeOver => "not done yet".to_owned(),
        None => "not known yet".to_owned(),
        Some(result) => match result.outcome {
            Outcome::Done => format!("done: {}", result.answer),
            Outcome::NotDone => format!("not done: {}", result.answer),
            Outcome::Unknown => format!("not known: {}", result.answer),
        },
    }
}
