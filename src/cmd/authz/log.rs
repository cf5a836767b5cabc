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
use crate::fs;
use crate::time;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// The `--json` output.
#[derive(Serialize)]
struct Report {
    decisions: Vec<Entry>,
    /// How many lines of the log cannot be read.
    unreadable_lines: usize,
}

/// Runs the command.
pub fn run(args: &AuthzLogArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let place = context::place(&args.owner.place, env)?;
    let words = if args.output.json {
        "authz log --json"
    } else {
        "authz log"
    };
    remote::refuse(&place, env, "list the decisions", words)?;
    let log = DecisionLog::of(&place);
    let named = args.owner.namespace.as_deref();
    let read = || -> Result<_> {
        let (mut decisions, unreadable) = log.read_all()?;
        decisions.retain(|entry| named.is_none_or(|named| entry.intent.namespace == named));
        Ok((decisions, unreadable))
    };
    let (mut decisions, mut unreadable) = read()?;
    if decisions.iter().any(|entry| entry.result.is_none()) {
        match Site::open(&args.owner, env) {
            Ok(site) => site.settle_open(),
            Err(error) => output::warn(format_args!(
                "a decision that a killed run left open is still not known: {error}"
            )),
        }
        (decisions, unreadable) = read()?;
    }
    let code = match unreadable.is_empty() {
        true => ExitCode::Ok,
        false => ExitCode::Failure,
    };
    tell_of_unreadable(&unreadable);
    if args.output.json {
        let unreadable_lines = unreadable.len();
        write_json(
            out,
            &Report {
                decisions,
                unreadable_lines,
            },
        )?;
        return Ok(code);
    }
    if decisions.is_empty() {
        let of_one = named.map_or_else(String::new, |named| format!(" in namespace {}", text::shown(named)));
        let what = match unreadable.is_empty() {
            true => format!("No decisions were made here{of_one}."),
            false => format!("No decision{of_one} can be read."),
        };
        write_line(out, what)?;
        return Ok(code);
    }
    table(&decisions, out)?;
    Ok(code)
}

/// A row a decision, with its namespace where there are several.
fn table(decisions: &[Entry], out: &mut dyn Write) -> Result<()> {
    let mut headers = vec!["AT", "BY", "HOW", "DECISION", "ID", "SERVICE", "KEY", "RESULT"];
    let mut rows: Vec<Vec<String>> = decisions.iter().map(row).collect();
    let namespaces = decisions.iter().map(|entry| &entry.intent.namespace);
    if namespaces.clone().any(|other| *other != decisions[0].intent.namespace) {
        headers.insert(1, "NAMESPACE");
        for (row, namespace) in rows.iter_mut().zip(namespaces) {
            row.insert(1, text::cell(Some(namespace)));
        }
    }
    output::table(out, &headers, &rows).or_fail(ExitCode::Failure, || "could not write to standard output".to_owned())
}

/// Says of each file how many of its lines cannot be read, and shows the way to the first of them.
fn tell_of_unreadable(lines: &[(PathBuf, usize)]) {
    for of_file in lines.chunk_by(|(one, _), (other, _)| one == other) {
        let (file, first) = &of_file[0];
        let count = of_file.len();
        output::warn(format_args!(
            "the log of decisions holds lines that cannot be read, {count} in all, the first is line {first}: {}\n  next: \
             look at it: sed -n {first}p {}",
            file.display(),
            fs::quoted(file)
        ));
    }
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
