//! `hook install --broker`: who answers there, for whom, and what that is worth.

use crate::broker::client::Connection;
use crate::broker::protocol::Asking;
use crate::cli::HookInstallArgs;
use crate::cmd::broker::remote::Remote;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::home::{self, OpenClawHome};
use crate::hook_record::{self, BrokerRecord};
use crate::origin::Origin;
use crate::token::record;
use std::path::Path;

/// The broker of a home, as an install leaves it.
pub struct Broker {
    /// What is recorded.
    pub record: BrokerRecord,
    /// The namespace that it answers for.
    pub namespace: Option<String>,
    /// What a person should know of it.
    pub notes: Vec<String>,
}

/// The broker that is to be asked from now on; `None`: none.
///
/// # Errors
/// It cannot be asked, or has no token of the namespace that was named.
pub fn choose(args: &HookInstallArgs, env: &Env, place: &OpenClawHome) -> Result<Option<Broker>> {
    let socket = match args.broker.as_deref() {
        Some("") => return Ok(None),
        Some(socket) => home::absolute(Path::new(socket))?,
        None => return recorded(args, place),
    };
    super::install_choices::refuse_an_agents_shell("a broker", env)?;
    let remote = Remote {
        socket,
        origin: Origin::Flag("--broker"),
        uid: None,
        asking: Asking::default(),
    };
    let found = remote.connect()?;
    refuse_unknown(args, &found)?;
    let namespace = args.namespace.clone().or(found.hello.namespace.clone());
    let record = BrokerRecord {
        socket: remote.socket,
        uid: found.uid,
        namespace: args.namespace.clone(),
    };
    let notes = notes(&found, namespace.as_deref(), place, env);
    Ok(Some(Broker {
        record,
        namespace,
        notes,
    }))
}

/// Refuses a namespace that was named and that the broker has no token of.
fn refuse_unknown(args: &HookInstallArgs, found: &Connection) -> Result<()> {
    let Some(named) = &args.namespace else { return Ok(()) };
    if found.hello.namespaces.contains(named) {
        return Ok(());
    }
    let what = format!("could not use the broker, it has no token of namespace {named}");
    let login = format!("auth login --namespace {}", shell_words::quote(named));
    let next = format!("{} {login}", fs::run_as(found.uid));
    Err(Error::new(ExitCode::Token, what).next(next))
}

/// The one that an earlier install recorded, perhaps for another namespace. One that had no token then says whose it has.
fn recorded(args: &HookInstallArgs, place: &OpenClawHome) -> Result<Option<Broker>> {
    let chosen = hook_record::read(&place.hook_record_file())?.unwrap_or_default();
    // Whoever asks it as root in another user's home asks what that user wrote.
    let remote = Remote::recorded(&chosen).filter(|_| place.anothers().is_none());
    let known = chosen.broker.as_ref().and_then(|broker| broker.namespace.as_ref());
    let is_told = args.namespace.is_none() && known.or(chosen.namespace.as_ref()).is_some();
    let found = remote.filter(|_| !is_told);
    let found = found.and_then(|remote| remote.greeting());
    found.as_ref().map_or(Ok(()), |found| refuse_unknown(args, found))?;
    let told = || found.and_then(|found| found.hello.namespace);
    Ok(chosen.broker.clone().map(|broker| Broker {
        namespace: (args.namespace.clone())
            .or(broker.namespace.clone())
            .or(chosen.namespace.clone())
            .or_else(told),
        record: BrokerRecord {
            namespace: args.namespace.clone().or(broker.namespace),
            ..broker
        },
        notes: Vec::new(),
    }))
}

fn notes(found: &Connection, namespace: Option<&str>, place: &OpenClawHome, env: &Env) -> Vec<String> {
    let user = fs::user_name(found.uid);
    let mut notes = Vec::new();
    let ours = place.anothers().unwrap_or_else(|| rustix::process::geteuid().as_raw());
    if found.uid == ours {
        notes.push(format!(
            "the broker runs as {user}, as the OpenClaw gateway does: who is that user can read its token all the same, so it \
             protects nothing"
        ));
    }
    match namespace {
        None => notes.push(format!(
            "the broker has no token yet: {} auth login",
            fs::run_as(found.uid)
        )),
        Some(_) if found.hello.namespaces.len() > 1 => notes.push(format!(
            "the broker has tokens of {}; for another one: --namespace",
            found.hello.namespaces.join(", ")
        )),
        Some(_) => {}
    }
    let kept = record::namespaces(&place.sigilum_dir()).unwrap_or_default();
    notes.extend(kept.into_iter().filter(|name| place.token_file(name).exists()).map(|name| {
        let flags = place.flags(env);
        format!(
            "an owner token of {name} is still stored in this home, where agents can read it: sigilum-authz-notify auth logout \
             --namespace {name}{flags}"
        )
    }));
    notes
}
