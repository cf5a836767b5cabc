//! What the hook's record names: the way to the API, and whom to tell at once.

use crate::cmd::doctor::facts::Facts;
use crate::cmd::doctor::finding::Finding;
use crate::cmd::watch::unit;
use crate::error::ExitCode;
use crate::fs;
use crate::hook_record::POLL_REQUESTS;
use crate::openclaw::hook_files::Kind;
use crate::origin::Origin;
use crate::settings::Sourced;
use crate::sigilum::http::{self, HttpError};
use crate::watch::status::WatchStatus;
use rustix::fs::Access;

/// What has the OpenClaw gateway start the plugin's program.
const RESTART: &str = "openclaw gateway restart";

/// The proxy and the certificates, by the code that uses them, and the switch for plain http.
pub(super) fn network(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let Ok(chosen) = &facts.chosen else { return Vec::new() };
    let recorded = http::Options::from_env(&chosen.recorded_env());
    let (text, step) = match recorded.check() {
        Ok(()) => return plain_http(name, recorded.insecure, facts).into_iter().collect(),
        Err(why @ HttpError::BadRecordedProxy) => (format!("the hook can ask no API: {why}"), "--proxy <url>"),
        Err(_) => {
            let roots = chosen.roots();
            let what =
                "the hook can ask no API, as the certificates that `hook install` recorded hold none in PEM form";
            (format!("{what}: {roots}"), "--ca-file <file>")
        }
    };
    let next = facts.command(&format!("hook install {step}"));
    vec![Finding::fail(name, ExitCode::Failure, text, next)]
}

/// An API that this shell may ask and the hook may not, as the switch for that is not recorded.
fn plain_http(name: &'static str, insecure: bool, facts: &Facts) -> Option<Finding> {
    let token = facts.token.as_ref().ok()?;
    let is_hooks = token.hook_namespace.as_ref() == Some(&token.namespace);
    let is_installed = Kind::ALL.into_iter().any(|kind| facts.is_installed(kind));
    let Sourced { value: url, origin } = &token.owner.api_url;
    // What this shell names is not the hook's.
    let is_hooks = is_hooks && matches!(origin, Origin::Record | Origin::Entry);
    if !is_hooks || !is_installed || http::check_url(url, insecure).is_ok() {
        return None;
    }
    let text = format!("the hook can ask no API, as SIGILUM_ALLOW_INSECURE_HTTP is not recorded for it: {url}");
    let others: Vec<&str> = facts.chosen.as_ref().ok()?.env.keys().map(String::as_str).collect();
    let first = match others.is_empty() {
        true => String::new(),
        false => format!(
            "set {} as in {}, since what is not set is taken back; then: ",
            others.join(", "),
            fs::quoted(&facts.place.hook_record_file())
        ),
    };
    let install = facts.command("hook install --from-env");
    let next = format!("{first}export SIGILUM_ALLOW_INSECURE_HTTP=1 && {install}");
    Some(Finding::fail(name, ExitCode::Failure, text, next))
}

/// Whether whoever is recorded to be told at once can be.
pub(super) fn notify(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let Ok(chosen) = &facts.chosen else { return Vec::new() };
    if chosen.notify.is_none() || chosen.poll_requests.unwrap_or(POLL_REQUESTS) == 0 {
        return Vec::new();
    }
    let because = |why: &str, next: String| Finding::warn(name, format!("nobody is told at once: {why}"), next);
    let plugin = |other: &dyn Fn() -> String| match facts.plugin_runs() {
        true => RESTART.to_owned(),
        false => other(),
    };
    if facts.broker.is_some() {
        // Another user may look here without writing: then the program could not say that it runs.
        let is_known = rustix::fs::access(facts.place.sigilum_dir(), Access::WRITE_OK).is_ok();
        let is_missing = is_known && facts.resident.is_none();
        let why = "beside a broker the plugin's program does that, and none runs";
        let found = is_missing.then(|| because(why, plugin(&|| facts.command("hook install --as plugin"))));
        return found.into_iter().collect();
    }
    let mut found = Vec::new();
    let watch = facts.watch.as_ref().filter(|watch| watch.running);
    if watch.is_none() {
        let start = || unit::how_to_serve(facts.place, facts.env);
        found.push(because("nothing watches this home", plugin(&start)));
    }
    let is_plugins = |watch: &WatchStatus| facts.resident.as_ref().is_some_and(|it| it.pid == watch.pid);
    let by_plugin = watch.map_or_else(|| facts.plugin_runs(), is_plugins);
    if chosen.openclaw.is_none() && !by_plugin {
        let install = facts.command("hook install");
        let next = format!("where openclaw is on PATH: {install}");
        found.push(because("no openclaw program is recorded", next));
        return found;
    }
    let errors = watch.iter().flat_map(|watch| &watch.homes);
    let errors = errors.filter_map(|home| home.notify_error.as_deref());
    found.extend(errors.map(|why| because(why, "openclaw doctor".to_owned())));
    found
}
