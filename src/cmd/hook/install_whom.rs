//! Whom the hook that is installed speaks for.

use crate::cli::HookInstallArgs;
use crate::cmd::choice::{Choice, Speaks};
use crate::cmd::{context, owner};
use crate::env::Env;
use crate::error::Result;
use crate::home::OpenClawHome;
use crate::openclaw::hook_files::Kind;
use crate::origin::Origin;
use crate::settings::{self, Owner, OwnerQuery, Sourced};

/// Whose hook it is: the owner whose entry is written (the plugin needs none), the namespace that the hook's record is
/// to name, where somebody named one or is logged in, and what there is to say about it.
pub(super) fn whom(
    args: &HookInstallArgs,
    env: &Env,
    place: &OpenClawHome,
    kind: Kind,
) -> Result<(Option<Owner>, Option<String>, Option<String>)> {
    let entry = context::entry_to_set_up(place)?;
    let mut choice = Choice::of(place, entry.as_ref())?;
    let entry_env = || Ok(entry.as_ref().map(|entry| entry.env.clone()));
    let query = OwnerQuery {
        namespace: args.namespace.as_deref(),
        adopted_namespace: choice.adopted_namespace(),
        entry_env: Some(&entry_env),
        // Where nobody is logged in, what the entry says goes on.
        is_hook: entry.is_some(),
        ..OwnerQuery::default()
    };
    let owner_of = |named: &str| {
        let query = OwnerQuery {
            namespace: Some(named),
            entry_env: Some(&entry_env),
            is_hook: entry.is_some(),
            ..OwnerQuery::default()
        };
        owner::owner(query, env, place, false)
    };
    let owner = match kind {
        Kind::Hook if settings::named(&query, env, place)?.is_some() => Some(owner::owner(query, env, place, false)?),
        // The entry of a hook names nobody until somebody logs in.
        Kind::Hook | Kind::Plugin => None,
    };
    let named = match &owner {
        Some(owner) => (owner.record.is_some() || owner.namespace.origin.is_said()).then_some(&owner.namespace.value),
        None => args.namespace.as_ref(),
    };
    let Some(namespace) = named.cloned() else {
        return Ok((owner, None, None));
    };
    if owner.is_none() {
        // The plugin finds its owner by the record: what it could not use is not recorded.
        owner_of(&namespace)?;
    }
    if let Some((other, why)) = unknown_of_environment(args, owner.as_ref(), &choice, place) {
        return Ok((Some(owner_of(&other)?), Some(other), Some(why)));
    }
    let speaks = choice.speak_for(&namespace, place)?;
    let text = speaks.text(&namespace, &args.place);
    Ok(match speaks {
        Speaks::Still(other) => (owner.map(|_| owner_of(&other)).transpose()?, Some(other), text),
        Speaks::ForIt | Speaks::NoLongerFor(_) => (owner, Some(namespace), text),
    })
}

/// Where the environment alone names somebody who is not logged in, and the hook speaks for somebody who is: these, and why.
fn unknown_of_environment(
    args: &HookInstallArgs,
    owner: Option<&Owner>,
    choice: &Choice,
    place: &OpenClawHome,
) -> Option<(String, String)> {
    let owner = owner.filter(|owner| owner.record.is_none())?;
    let Sourced {
        value: named,
        origin: Origin::Env(variable),
    } = &owner.namespace
    else {
        return None;
    };
    let current = choice.record.namespace.clone()?;
    if !place.record_file(&current).exists() {
        return None;
    }
    let flags = context::place_flags(&args.place);
    let why = format!(
        "still speaks for {current}: {variable} names {named}, who is not logged in here; to have it speak for {named}: \
         sigilum-authz-notify hook install --namespace {named}{flags}"
    );
    Some((current, why))
}
