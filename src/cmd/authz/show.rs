//! `authz show`: everything about one request, what was decided about it here, and how its key was used.

use super::site::Site;
use super::target;
use super::{log, text};
use crate::authz::decision_log::DecisionLog;
use crate::authz::timed;
use crate::broker::protocol::Show;
use crate::cli::AuthzShowArgs;
use crate::cmd::broker::remote::Remote;
use crate::cmd::context;
use crate::cmd::output::{self, write_lines};
use crate::env::Env;
use crate::error::{ExitCode, Result};
use crate::request::AuthorizationRequest;
use crate::sigilum::api::ApiError;
use crate::sigilum::decisions::Usage;
use crate::time;
use serde_json::json;
use std::io::Write;

/// The days whose use is shown.
const DAYS: i64 = 30;

/// Runs the command.
pub fn run(args: &AuthzShowArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let place = context::place(&args.owner.place, env)?;
    if let Some(remote) = Remote::of_person(&place, env, args.owner.namespace.as_deref())? {
        return remote.print("show", json!(Show { id: args.id.clone() }), out);
    }
    let site = Site::open(&args.owner, env)?;
    let mut notes = Vec::new();
    print(&site, &args.id, &mut notes, out)?;
    notes.iter().for_each(output::note);
    Ok(ExitCode::Ok)
}

/// Prints everything about the request of an id, or of its start; what there is to say beside it are notes.
///
/// # Errors
/// There is none, or the API could not be asked.
pub fn print(site: &Site, id: &str, notes: &mut Vec<String>, out: &mut dyn Write) -> Result<()> {
    site.settle_open();
    let request = target::one(site, id)?;
    let mut lines = fields(&request);
    let id = request.id().unwrap_or_default();
    lines.extend(taken_back(site, id).map(|when| format!("taken back: {when}")));
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

/// When an approval is taken back, where that is so, or that it cannot be told.
pub fn taken_back(site: &Site, id: &str) -> Option<String> {
    match timed::read(&site.place) {
        Ok(approvals) => {
            let approval = approvals.into_iter().find(|approval| approval.claim_id == id)?;
            Some(time::rfc3339(approval.until))
        }
        Err(error) => Some(format!("not known: {}", error.text())),
    }
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
        Ok(used) => format!("use, last {DAYS} days: {used}"),
        Err(error) => format!("use, last {DAYS} days: not known: {error}"),
    }
}

fn used(site: &Site, request: &AuthorizationRequest) -> Result<String, ApiError> {
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
    let last = rows.iter().filter_map(|row| row.last_used_at.as_deref()).max();
    Ok(match sum(|row| row.total_calls) {
        0 => "none".to_owned(),
        calls => format!(
            "{calls} calls, {} failed, the last at {}",
            sum(|row| row.error_calls),
            text::cell(last)
        ),
    })
}
