//! Every check: its name, which never changes, and who shows it.

mod approvals;
mod broker;
mod config;
mod entry;
mod files;
mod home;
mod recorded;
mod services;
mod token;

use super::facts::{Facts, View};
use super::finding::Finding;
use crate::openclaw::hook_files::Kind;

/// One check.
struct Check {
    name: &'static str,
    /// Who shows it besides `doctor`.
    views: &'static [View],
    /// Looks at the facts; nothing to say is fine.
    find: fn(&'static str, &Facts) -> Vec<Finding>,
}

const fn check(name: &'static str, views: &'static [View], find: fn(&'static str, &Facts) -> Vec<Finding>) -> Check {
    Check { name, views, find }
}

const BOTH: &[View] = &[View::AuthStatus, View::HookStatus];
const HOOK: &[View] = &[View::HookStatus];
const AUTH: &[View] = &[View::AuthStatus];

/// In the order in which they are shown.
const CHECKS: [Check; 26] = [
    check("home", HOOK, home::home),
    check("files", BOTH, home::files),
    check("workspace", BOTH, home::workspace),
    check("leftovers", &[], home::leftovers),
    check("config", BOTH, config::config),
    check("onboarded", &[], config::onboarded),
    check("config-moves-home", HOOK, config::moves_home),
    check("config-loads-code", HOOK, config::loads_code),
    check("entry", BOTH, entry::entry),
    check("other-hooks", HOOK, entry::other_hooks),
    check("hook", HOOK, |name, facts| files::files(name, facts, Kind::Hook)),
    check("plugin", HOOK, |name, facts| files::files(name, facts, Kind::Plugin)),
    check("program", HOOK, files::program),
    check("openclaw", HOOK, files::openclaw),
    check("running", HOOK, services::running),
    check("network", HOOK, recorded::network),
    check("notify", BOTH, recorded::notify),
    check("broker", BOTH, broker::broker),
    check("token", BOTH, token::token),
    check("stored", &[], token::stored),
    check("api", AUTH, token::api),
    check("clock", AUTH, token::clock),
    check("local-api", &[], services::local_api),
    check("sigilum-gateway", &[], services::gateway),
    check("watcher", &[], services::watcher),
    check("approvals", AUTH, approvals::approvals),
];

/// What a home with a broker has nothing to do with: the token is elsewhere.
const OF_A_TOKEN: [&str; 9] = [
    "workspace",
    "network",
    "token",
    "stored",
    "api",
    "clock",
    "local-api",
    "watcher",
    "approvals",
];

/// What concerns a broker's own folder, where no OpenClaw runs.
const OF_A_BROKER: [&str; 10] = [
    "home",
    "files",
    "leftovers",
    "token",
    "stored",
    "api",
    "clock",
    "local-api",
    "watcher",
    "approvals",
];

/// What the checks of a view find.
pub fn findings(facts: &Facts, view: View) -> Vec<Finding> {
    let alone = home::closed("home", facts.place).or_else(|| home::hides_an_older("home", facts.place));
    if let Some(alone) = alone {
        return vec![alone];
    }
    let shown = CHECKS
        .iter()
        .filter(|check| view == View::Doctor || check.views.contains(&view))
        .filter(|check| facts.broker.is_none() || !OF_A_TOKEN.contains(&check.name))
        .filter(|check| !facts.place.is_a_brokers() || OF_A_BROKER.contains(&check.name));
    let found = shown.flat_map(|check| (check.find)(check.name, facts));
    let mut found: Vec<Finding> = found.map(|finding| finding.called(&facts.called)).collect();
    // What the hook and the plugin have in common is told once.
    found.dedup_by(|next, first| next.is_problem() && next.text == first.text);
    found
}
