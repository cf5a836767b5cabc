//! `authz show`: everything about one request, what was decided about it here, and how its key was used.

use super::site::Site;
use super::target;
use super::{log, text};
use crate::authz::decision_log::{DecisionLog, Entry};
use crate::authz::timed::{self, TimedApproval};
use crate::broker::protocol::Show;
use crate::cli::AuthzShowArgs;
use crate::cmd::broker::remote::Remote;
use crate::cmd::context;
use crate::cmd::output::{self, write_json, write_lines};
use crate::env::Env;
use crate::error::{ExitCode, Result};
use crate::request::AuthorizationRequest;
use crate::sigilum::api::ApiError;
use crate::sigilum::decisions::Usage;
use crate::time;
use serde::Serialize;
use serde_json::json;
use std::io::Write;

/// The days whose use is shown.
const DAYS: i64 = 30;

/// The `--json` output: the request as `authz list` has it, times in RFC 3339, and what else is known.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    request: &'a AuthorizationRequest,
    /// When it is taken back; only of approved ones.
    until: Option<String>,
    /// How its key was used lately; absent where that is not known.
    used: Option<Used>,
    /// What was decided about it here.
    decisions: Vec<Entry>,
}

/// How a key was used in the last [`DAYS`].
#[derive(Serialize)]
struct Used {
    days: i64,
    calls: u64,
    failed: u64,
    last_used_at: Option<String>,
}

/// Runs the command.
pub fn run(args: &AuthzShowArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let asked = Show {
        id: args.id.clone(),
        json: args.output.json,
    };
    let place = context::place(&args.owner.place, env)?;
    if let Some(remote) = Remote::of_person(&place, env, args.owner.namespace.as_deref())? {
        return remote.print("show", json!(asked), out);
    }
    let site = Site::open(&args.owner, env)?;
    let mut notes = Vec::new();
    print(&site, &asked, &mut notes, out)?;
    notes.iter().for_each(output::note);
    Ok(ExitCode::Ok)
}

/// Prints everything about the request of an id, or of its start; what there is to say beside it are notes.
///
/// # Errors
/// There is none, or the API could not be asked.
pub fn print(site: &Site, asked: &Show, notes: &mut Vec<String>, out: &mut dyn Write) -> Result<()> {
    site.settle_open();
    let request = target::one(site, &asked.id)?;
    if asked.json {
        return write_json(out, &report(site, &request, notes));
    }
    let mut lines = fields(&request);
    let id = request.id().unwrap_or_default();
    lines.extend(taken_back(site, &request));
    lines.push(use_text(site, &request));
    lines.extend(history(site, id));
    write_lines(out, &lines)?;
    if request.is("pending") {
        notes.push(format!(
            "to answer: {} or {}",
            site.command(&format!("authz approve {id}")),
            site.command(&format!("authz reject {id}"))
        ));
    }
    Ok(())
}

fn report<'a>(site: &Site, request: &'a AuthorizationRequest, notes: &mut Vec<String>) -> Report<'a> {
    let id = request.id().unwrap_or_default();
    let used = used(site, request).map_err(|error| notes.push(format!("how its key was used is not known: {error}")));
    let until = until(site, request).unwrap_or_else(|error| {
        notes.push(format!("until when the approval stands is not known: {error}"));
        None
    });
    let mut decisions = DecisionLog::of(&site.place).read().unwrap_or_else(|error| {
        notes.push(format!("what was decided here is not known: {error}"));
        Vec::new()
    });
    decisions.retain(|entry| entry.intent.claim_id == id);
    Report {
        request,
        until: until.map(time::rfc3339),
        used: used.ok(),
        decisions,
    }
}

fn fields(request: &AuthorizationRequest) -> Vec<String> {
    let times = [
        ("first asked", request.created_at.as_deref()),
        ("approved", request.approved_at.as_deref()),
        ("revoked", request.revoked_at.as_deref()),
    ];
    let fields = request.fields().into_iter().chain(times);
    let told = fields.filter_map(|(name, value)| Some(format!("{name}: {}", text::shown(value?))));
    told.collect()
}

/// A line that says when an approval is taken back, where that is so, or that it cannot be told.
pub fn taken_back(site: &Site, request: &AuthorizationRequest) -> Option<String> {
    match until(site, request) {
        Ok(until) => until.map(|at| overdue(at).unwrap_or_else(|| format!("taken back: {}", time::rfc3339(at)))),
        Err(error) => Some(format!("taken back: not known: {}", error.text())),
    }
}

/// When an approval is to be taken back, Unix seconds.
fn until(site: &Site, request: &AuthorizationRequest) -> Result<Option<i64>> {
    if !request.is("approved") {
        return Ok(None);
    }
    let approvals = timed::read(&site.place)?;
    let of_this = |approval: &&TimedApproval| Some(approval.claim_id.as_str()) == request.id();
    Ok(approvals.iter().find(of_this).map(|approval| approval.until))
}

/// What is said of an approval that should have been taken back by now.
pub fn overdue(until: i64) -> Option<String> {
    (until <= time::now()).then(|| format!("over since {}, not taken back yet", time::rfc3339(until)))
}

/// What was decided here about a request, a line each, or that it cannot be told.
pub fn history(site: &Site, id: &str) -> Vec<String> {
    match DecisionLog::of(&site.place).read() {
        Ok(entries) => {
            let of_this = entries.iter().filter(|entry| entry.intent.claim_id == id);
            of_this.map(log::line).collect()
        }
        Err(error) => vec![format!("decided here: not known: {}", error.text())],
    }
}

/// How a request's key was used lately.
pub fn use_text(site: &Site, request: &AuthorizationRequest) -> String {
    match used(site, request) {
        Ok(used) if used.calls == 0 => format!("use, last {DAYS} days: none"),
        Ok(used) => format!(
            "use, last {DAYS} days: {} calls, {} failed, the last at {}",
            used.calls,
            used.failed,
            text::cell(used.last_used_at.as_deref())
        ),
        Err(error) => format!("use, last {DAYS} days: not known: {error}"),
    }
}

fn used(site: &Site, request: &AuthorizationRequest) -> Result<Used, ApiError> {
    // As the API writes times.
    let from = time::rfc3339(time::now() - DAYS * 86_400).replace('Z', ".000Z");
    let rows = site
        .api()
        .usage(site.token(), request.service.as_deref(), &from, site.deadline())?;
    let rows: Vec<_> = rows
        .into_iter()
        .filter(|row| row.public_key == request.public_key)
        .collect();
    let sum = |count: fn(&Usage) -> Option<u64>| rows.iter().filter_map(count).fold(0, u64::saturating_add);
    Ok(Used {
        days: DAYS,
        calls: sum(|row| row.total_calls),
        failed: sum(|row| row.error_calls),
        last_used_at: rows.iter().filter_map(|row| row.last_used_at.clone()).max(),
    })
}
