//! Where a secret may be written: into openclaw.json itself, where that is the owner's alone.

use super::seen::Seen;
use crate::error::{Error, ExitCode};
use crate::fs;
use crate::home::OpenClawHome;
use crate::openclaw::entry::{ENV_PATH, TOKEN};
use crate::openclaw::shape::child;
use crate::openclaw::workspace;
use serde_json::Value;
use std::path::Path;

/// Why the owner token may not stand in the config; `None` where it may.
pub(super) fn barred(seen: &Seen, home: &OpenClawHome) -> Option<String> {
    let target = &seen.files[0].target;
    if let Some(workspace) = workspace::around(&target.path, Some(seen.value()), home) {
        return Some(format!(
            "the config lies in a workspace of an agent's, {}",
            workspace.display()
        ));
    }
    if target.is_link
        && let Some(text) = workspace::unknown(Some(seen.value()), home)
    {
        return Some(format!(
            "the config is a link, {}, and perhaps into the workspace {text:?}, of which only OpenClaw knows where it lies",
            target.path.display()
        ));
    }
    if let Some(folder) = target.folder.as_ref().filter(|_| target.is_link)
        && std::fs::canonicalize(&home.home).is_ok_and(|home| !target.path.starts_with(home))
        && fs::others_can_write(folder, &home.home)
    {
        return Some(format!(
            "the config is a link to a place where others may write, {}",
            target.path.display()
        ));
    }
    included(seen)
}

/// Whether an included file would get it.
fn included(seen: &Seen) -> Option<String> {
    if seen.files.len() == 1 {
        return None;
    }
    let mut wanted = seen.value().clone();
    // Not what stands there now.
    let token = format!(
        "{:?}",
        seen.value().pointer(&format!("/{}/{TOKEN}", ENV_PATH.join("/")))
    );
    child(&mut wanted, &ENV_PATH)
        .ok()?
        .insert(TOKEN.to_owned(), Value::String(token));
    let mut sources = seen.sources();
    // Where no edit can put it, nothing is written at all.
    sources.put(&wanted).ok()?;
    let changed = seen.files.iter().zip(&sources.values).skip(1);
    let mut changed = changed.filter(|(file, value)| file.document.value() != *value);
    let (file, _) = changed.next()?;
    Some(format!(
        "its place comes from an included file, {}",
        file.target.path.display()
    ))
}

/// Nothing may come to this: whoever edits the config asks first.
pub(super) fn refusal(file: &Path, why: &str) -> Error {
    let what = format!("could not put the token into the config, {why}: {}", file.display());
    Error::new(ExitCode::Config, what).next("leave it in its file: --token-in-config false")
}

/// Whether a text stands anywhere in a value.
pub(super) fn holds(value: &Value, token: &str) -> bool {
    match value {
        Value::String(text) => text == token,
        Value::Array(items) => items.iter().any(|item| holds(item, token)),
        Value::Object(members) => members.values().any(|member| holds(member, token)),
        _ => false,
    }
}
