//! Approvals that end: those that outlive their time, and those that nobody would end.

use crate::authz::timed::{self, TimedApproval};
use crate::cmd::doctor::facts::Facts;
use crate::cmd::doctor::finding::Finding;
use crate::cmd::timed_approvals;
use crate::cmd::watch::unit;
use crate::error::ExitCode;
use crate::time;

/// By the list alone, as `watch --check` does.
pub(super) fn approvals(name: &'static str, facts: &Facts) -> Vec<Finding> {
    // One that cannot be read is told with the files.
    let approvals = timed::read(facts.place).unwrap_or_default();
    let now = time::now();
    let (over, running): (Vec<_>, Vec<_>) = approvals.iter().partition(|approval| approval.is_overdue(now));
    let over = overdue(name, &over, now, facts);
    over.into_iter().chain(unattended(name, &running, facts)).collect()
}

fn ids(approvals: &[&TimedApproval]) -> String {
    let ids: Vec<&str> = approvals.iter().map(|approval| approval.claim_id.as_str()).collect();
    ids.join(", ")
}

fn overdue(name: &'static str, over: &[&TimedApproval], now: i64, facts: &Facts) -> Option<Finding> {
    let longest = over.iter().map(|approval| now - approval.until).max()?;
    let text = format!(
        "approvals whose time is over, the first for {}, still stand: {}",
        time::duration(longest),
        ids(over)
    );
    let next = timed_approvals::how_to_take_back(over, facts.place);
    Some(Finding::fail(name, ExitCode::Failure, text, next))
}

/// Those that nobody would take back as things are: no watcher runs, or there is no token for it.
fn unattended(name: &'static str, running: &[&TimedApproval], facts: &Facts) -> Option<Finding> {
    running.first()?;
    let is_watched = facts.watch.as_ref().is_some_and(|watch| watch.running);
    let log_in = timed_approvals::logins(running, facts.place);
    let why = match (is_watched, &log_in) {
        (true, None) => return None,
        (false, _) => "no watcher runs",
        (true, Some(_)) => "there is no token that can be used",
    };
    let text = format!(
        "nobody takes these approvals back when their time is over, as {why}: {}",
        ids(running)
    );
    let watch = match facts.plugin_runs() {
        _ if is_watched => None,
        _ if facts.place.is_a_brokers() => Some("start the broker again: docs/broker.md".to_owned()),
        // Its program is a watcher.
        true => Some("openclaw gateway restart".to_owned()),
        false => Some(unit::how_to_serve(facts.place, facts.env)),
    };
    let next = match (log_in, watch) {
        (Some(log_in), Some(watch)) if !facts.place.is_a_brokers() => format!("{log_in} && {watch}"),
        (log_in, watch) => log_in.or(watch).unwrap_or_default(),
    };
    Some(Finding::warn(name, text, next))
}
