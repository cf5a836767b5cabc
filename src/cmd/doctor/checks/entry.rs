//! The hook's entry in openclaw.json, against what is recorded, and which other hooks run beside it.

use crate::cmd::doctor::facts::Facts;
use crate::cmd::doctor::finding::Finding;
use crate::error::ExitCode;
use crate::openclaw::entry::{self, Entry, Hooks, NAMESPACE, TOKEN};
use crate::openclaw::hook_files::Kind;
use crate::openclaw::substitution::is_reference;
use crate::settings::{self, Owner};
use crate::token::claims;

pub(super) fn entry(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let Some(entry) = facts.entry() else { return Vec::new() };
    let hook_alone = facts.is_installed(Kind::Hook) && !facts.plugin_runs();
    let switch_on = || facts.command("hook install");
    vec![match entry {
        None if hook_alone => {
            let text = "openclaw.json has no entry for the hook, so OpenClaw does not run it";
            Finding::warn(name, text, switch_on())
        }
        None => Finding::ok(name, "none"),
        Some(entry) => match difference(entry, facts)
            .or_else(|| of_no_login(entry, facts))
            .or_else(|| of_no_namespace(entry, facts))
        {
            Some((text, next)) => Finding::warn(name, text, next),
            None if entry.enabled && facts.unread().is_some() => {
                Finding::ok(name, "on; not checked against the record, which cannot be read")
            }
            None if !entry.enabled && hook_alone => {
                Finding::warn(name, "the hook is off, so OpenClaw does not run it", switch_on())
            }
            None if !entry.enabled && facts.plugin_runs() => Finding::ok(name, "off, as the plugin needs none"),
            None if !entry.enabled => Finding::ok(name, "off"),
            None if facts.token.as_ref().is_ok_and(|token| token.owner.record.is_none()) => {
                Finding::ok(name, "on; no login is recorded that it could differ from")
            }
            None => {
                let stays = |why| format!("on, as recorded; the token stays in its file, as {why}");
                let out = facts
                    .chosen
                    .as_ref()
                    .is_ok_and(|record| record.token_in_config == Some(true));
                let why = barred(facts).filter(|_| out && entry.token().is_none());
                Finding::ok(name, why.map_or_else(|| "on, as recorded".to_owned(), stays))
            }
        },
    }]
}

/// A token in openclaw.json that the hook does not use, as a login is recorded or was, and that belongs to none.
fn of_no_login(entry: &Entry, facts: &Facts) -> Option<(String, String)> {
    let token = entry.token()?;
    settings::hook_namespace(facts.place).ok()?.0?;
    let whose = match claims::inspect(&token) {
        Ok(says) => says.namespace,
        Err(_) => entry.namespace()?.to_owned(),
    };
    let is_label = settings::is_label(&whose, true);
    if is_label && facts.place.record_file(&whose).exists() {
        return None;
    }
    Some(match is_label {
        true => (
            format!("openclaw.json holds an owner token of {whose}, and no login of {whose} is recorded"),
            facts.command(&format!("auth logout --namespace {whose}")),
        ),
        // A logout can name nobody whose it is, and without a name it is the hook's own.
        false => (
            "openclaw.json holds an owner token that belongs to no login".to_owned(),
            format!("openclaw config unset {}", entry::dotted(&format!("env.{TOKEN}"))),
        ),
    })
}

/// The hook of a home whose broker had no token when it was installed.
fn of_no_namespace(entry: &Entry, facts: &Facts) -> Option<(String, String)> {
    // Without a token, or an answer, it can name none: its own check tells of that.
    let (_, Ok((status, _))) = facts.broker.as_ref()? else {
        return None;
    };
    let is_named = entry.env.get(NAMESPACE).is_some_and(|name| !name.trim().is_empty());
    if status.why_not.is_some() || is_named || !entry.enabled || !facts.is_installed(Kind::Hook) || facts.plugin_runs()
    {
        return None;
    }
    let text = "the hook's entry in openclaw.json names no namespace, so OpenClaw does not run it";
    Some((text.to_owned(), facts.command("hook install --as hook")))
}

/// Why no token may be put into the config, where none may.
fn barred<'a>(facts: &'a Facts) -> Option<&'a str> {
    facts.config.as_ref().ok()?.as_ref()?.barred.as_deref()
}

/// In what an entry is not as recorded, and what writes it so.
fn difference(entry: &Entry, facts: &Facts) -> Option<(String, String)> {
    let token = facts.token.as_ref().ok()?;
    let owner = &token.owner;
    owner.record.as_ref()?;
    // Whom the hook speaks for, not whom a flag named.
    if token.hook_namespace.as_ref() != Some(&owner.namespace.value) {
        return None;
    }
    let next = facts.command(&format!("auth switch {}", owner.namespace.value));
    let holds = entry.token().is_some();
    if !entry.enabled {
        return holds.then(|| {
            (
                "the hook is off, and openclaw.json still holds an owner token".to_owned(),
                next,
            )
        });
    }
    let wanted = facts.chosen.as_ref().ok()?.token_in_config;
    let referred = entry.env.get(TOKEN).is_some_and(|text| is_reference(text));
    let can_be_put = token.why_not.is_none() && !referred && facts.place.read_only.is_none() && barred(facts).is_none();
    let text = match (wanted, holds) {
        _ if other_name(entry, owner).is_some() => other_name(entry, owner)?,
        (Some(false), true) => "openclaw.json holds an owner token, which is to be in its own file only".to_owned(),
        (Some(true), false) if can_be_put => {
            "openclaw.json lacks the owner token, which is to stand there too".to_owned()
        }
        (Some(true), true) if can_be_put && token.config_has_same_token == Some(false) => {
            "openclaw.json holds another owner token than the stored one".to_owned()
        }
        _ => return None,
    };
    Some((text, next))
}

fn other_name(entry: &Entry, owner: &Owner) -> Option<String> {
    let names = [
        ("namespace", entry.namespace(), owner.namespace.value.as_str()),
        ("mode", entry.mode(), owner.mode.value.as_str()),
        ("API", entry.api_url(), owner.api_url.value.as_str()),
    ];
    let (what, named, recorded) = names
        .into_iter()
        .find(|(_, named, recorded)| *named != Some(recorded))?;
    let named = named.map_or_else(|| format!("no {what}"), |named| format!("the {what} {named:?}"));
    Some(format!(
        "the hook's entry in openclaw.json names {named}, the login {recorded:?}; the login counts"
    ))
}

pub(super) fn other_hooks(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let Some(entry) = facts.entry() else { return Vec::new() };
    let selection = match &facts.selection {
        Err(error) => return vec![Finding::warning_of(name, error, "openclaw hooks list")],
        Ok(selection) => selection,
    };
    let is_on = entry.is_some_and(|entry| entry.enabled) && facts.is_installed(Kind::Hook);
    if is_on && !selection.ours && !facts.plugin_runs() {
        let text = "hooks.internal.enabled is false, so OpenClaw runs no hook, and not ours";
        return vec![Finding::fail(
            name,
            ExitCode::Config,
            text,
            facts.command("hook install"),
        )];
    }
    vec![Finding::ok(
        name,
        match &selection.hooks {
            Hooks::Every => "every eligible one runs".to_owned(),
            Hooks::Named(names) if names.is_empty() => "none runs".to_owned(),
            Hooks::Named(names) => names.iter().cloned().collect::<Vec<_>>().join(", "),
        },
    )]
}
