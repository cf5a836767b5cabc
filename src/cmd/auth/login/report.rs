//! What a login says when it is done.

use super::{Done, Login, NewToken};
use crate::cli::LoginArgs;
use crate::cmd::choice;
use crate::cmd::context;
use crate::cmd::output::{self, write_line};
use crate::error::Result;
use crate::home::OpenClawHome;
use crate::openclaw::config::EditOutcome;
use crate::time;
use crate::token::claims;
use crate::token::lifetime;
use crate::token_check::Verdict;
use std::io::Write;

impl Done {
    /// A secret from the environment is in no file of ours, so nothing renews what it signs.
    pub(super) fn warn_of_a_secret_that_nobody_keeps(&self, login: &Login) {
        let NewToken::Signed(api, secret) = &login.token else {
            return;
        };
        if api.keeps(secret) {
            return;
        }
        let says = claims::inspect(&self.token).ok();
        let expiry = says.map_or_else(String::new, |says| lifetime::expiry_text(&says, time::now()));
        output::warn(format_args!(
            "nobody keeps the secret (from {}), so nothing renews this token, which expires {expiry}\n  next: name the \
             checkout that has it, with --source-home <folder>; or start the watcher with JWT_SECRET in its environment",
            secret.origin
        ));
    }

    pub(super) fn report(
        &self,
        login: &Login,
        args: &LoginArgs,
        place: &OpenClawHome,
        out: &mut dyn Write,
    ) -> Result<()> {
        let owner = &login.owner;
        let mut lines = vec![
            format!(
                "Namespace:     {} (from {})",
                owner.namespace.value, owner.namespace.origin
            ),
            format!(
                "Mode:          {} (from {})",
                owner.mode.value.as_str(),
                owner.mode.origin
            ),
            format!("API:           {} (from {})", owner.api_url.value, owner.api_url.origin),
        ];
        if login.trust_loopback {
            lines.push("Loopback:      any user's server is trusted (--trust-loopback)".to_owned());
        }
        if let Some(home) = &owner.source_home {
            lines.push(format!(
                "Checkout:      {} (from {})",
                home.value.display(),
                home.origin
            ));
        }
        lines.extend(signed_by(login));
        lines.push(format!("Token file:    {}", owner.token_file.display()));
        if let Ok(says) = claims::inspect(&self.token) {
            let expiry = lifetime::expiry_text(&says, time::now());
            lines.push(format!("Expires:       {expiry}"));
        }
        lines.extend(login.hook.lines(args, &owner.namespace.value));
        lines.push(format!("API check:     {}", login.verdict));
        let outcome = self.config.as_ref().map(|done| &done.outcome);
        lines.push(format!("openclaw.json: {}", what_became(outcome, login, place)));
        if self.config.as_ref().is_some_and(|done| done.hook_is_off) {
            lines.push(format!("               {}", hook_is_off(args, place)));
        }
        let notes = self.config.iter().flat_map(|done| &done.notes);
        let called = context::called(&args.place);
        lines.extend(notes.map(|note| format!("               {}", called.complete(note))));
        write_line(out, lines.join("\n"))?;
        outcome.map_or(Ok(()), |outcome| context::tell_not_written(outcome, place, out))
    }
}

/// Where the secret lies that signs the token, and who takes what it signs.
fn signed_by(login: &Login) -> Vec<String> {
    let NewToken::Signed(api, secret) = &login.token else {
        return Vec::new();
    };
    let mut lines = vec![format!("Database:      {}", api.database.display())];
    if api.embedded {
        lines.push("               our own; no Sigilum API uses this database yet".to_owned());
    }
    let made = if secret.is_new { ", made now" } else { "" };
    lines.push(format!("Secret:        from {}{made}", secret.origin));
    if api.embedded && login.verdict != Verdict::Accepted {
        lines
            .push("               no API is known to take what it signs; with --source-home <folder> it is".to_owned());
        lines.push("               that of the checkout from which your API runs".to_owned());
    }
    lines
}

/// What a switched-off entry means: the plugin needs none.
pub(super) fn hook_is_off(args: &LoginArgs, place: &OpenClawHome) -> String {
    let switch_on = |what, install| {
        let flags = context::place_flags(&args.place);
        format!("the {what}; to switch it on: sigilum-authz-notify {install}{flags}")
    };
    match choice::plugin_runs(place) {
        Some(true) => "the plugin is on, and reads the token's file".to_owned(),
        Some(false) => switch_on("plugin is off", "hook install --as plugin"),
        None => switch_on("hook is off and holds no token", "hook install"),
    }
}

/// What became of the config.
fn what_became(outcome: Option<&EditOutcome>, login: &Login, place: &OpenClawHome) -> String {
    let config = place.config.display();
    match (outcome, &login.config_skipped) {
        (Some(outcome), _) if outcome.created => format!("created {config}"),
        (Some(outcome), _) if outcome.changed => format!("updated {}", outcome.written()),
        (Some(outcome), _) => match &outcome.not_written {
            Some(why) => format!("not written, {why}"),
            None => format!("nothing to change in {config}"),
        },
        (None, Some(reason)) => format!("left alone, {reason}"),
        (None, None) => "left alone".to_owned(),
    }
}
