//! openclaw.json as a whole, and what in it makes an agent more than a guest.

use crate::cmd::doctor::facts::Facts;
use crate::cmd::doctor::finding::Finding;
use crate::error::ExitCode;
use crate::fs;
use crate::home::OURS;
use crate::openclaw::hook_files::Kind;
use crate::openclaw::workspace;
use serde_json::Value;
use std::path::{Path, PathBuf};

pub(super) fn config(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let mut found = itself(name, facts);
    found.extend(includes_ours(name, facts));
    found.extend(anothers(name, facts));
    found
}

/// The config that is in force here.
fn itself(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let validate = "openclaw config validate";
    let path = facts.place.config.display();
    let config = match &facts.config {
        Err(error) => {
            // That it cannot be read is the config's fault, whatever stands in the way.
            let fault = Finding::fault_of(name, error, validate);
            let code = ExitCode::Config;
            return vec![Finding { code, ..fault }];
        }
        Ok(None) => {
            let text = format!("there is none yet: {path}");
            return match facts.place.refuse_to_hide_an_older() {
                Ok(()) => vec![Finding::warn(name, text, "openclaw onboard")],
                // A new one would hide the one that OpenClaw uses.
                Err(hidden) => vec![Finding::fault_of(name, &hidden, "openclaw doctor")],
            };
        }
        Ok(Some(config)) => config,
    };
    let refused = config.check().err();
    let wrong = [
        facts.entry.as_ref().err(),
        refused.as_ref(),
        facts.plugin_state.as_ref().err(),
    ];
    let wrong = wrong.into_iter().flatten();
    let mut wrong: Vec<Finding> = wrong.map(|error| Finding::fault_of(name, error, validate)).collect();
    wrong.dedup_by_key(|finding| finding.text.clone());
    if !wrong.is_empty() {
        return wrong;
    }
    let included = config
        .files
        .iter()
        .skip(1)
        .map(|file| format!(", with {}", file.display()));
    let read_only = facts.place.read_only.map(|name| format!(", never written ({name})"));
    let text = format!(
        "{path}{}{}",
        included.collect::<String>(),
        read_only.unwrap_or_default()
    );
    vec![Finding::ok(name, text)]
}

/// A file of ours that the config includes: no edit goes there.
fn includes_ours(name: &'static str, facts: &Facts) -> Option<Finding> {
    let config = facts.config.as_ref().ok()?.as_ref()?;
    let ours = config.files.iter().skip(1).find(|file| facts.place.is_ours(file))?;
    let text = format!("the config includes {}, {OURS}", ours.display());
    let next = "take that include out; what OpenClaw thinks of it: openclaw config validate";
    Some(Finding::warn(name, text, next))
}

/// A home that is a copy of another, or was moved, leaves a config outside of it alone.
fn anothers(name: &'static str, facts: &Facts) -> Option<Finding> {
    let record = facts
        .chosen
        .as_ref()
        .ok()
        .filter(|record| record.is_config_anothers(&facts.place.home))?;
    let named = record.config.as_deref().unwrap_or(Path::new(""));
    let text = format!(
        "the hook's record names the config of another home, which is left alone: {}",
        named.display()
    );
    let this = facts.command("hook install");
    let next = format!(
        "{this}; if this home moved and the config is its own still, with --config {}",
        fs::quoted(named)
    );
    Some(Finding::warn(name, text, next))
}

/// A gateway starts by its mode alone, which OpenClaw's own set-up writes.
pub(super) fn onboarded(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let Some(config) = facts.config_value() else {
        return Vec::new();
    };
    if config.pointer("/gateway/mode").is_some() {
        return Vec::new();
    }
    let openclaw = &facts.openclaw;
    let recorded = facts.chosen.as_ref().is_ok_and(|record| record.openclaw.is_some());
    let is_unseen = openclaw.program.is_none() && openclaw.version.is_none() && !recorded;
    let unseen = if is_unseen {
        "; nor is there any OpenClaw on PATH"
    } else {
        ""
    };
    let text = format!("openclaw.json has no gateway.mode, so the OpenClaw gateway does not start{unseen}");
    vec![Finding::warn(name, text, "openclaw onboard")]
}

/// OpenClaw fills its gateway's environment from the config: these move the home that the gateway works in.
pub(super) fn moves_home(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let moving = set_variables(facts, &["OPENCLAW_STATE_DIR", "OPENCLAW_HOME", "OPENCLAW_CONFIG_PATH"]);
    let moving = moving
        .into_iter()
        .filter(|(path, value)| !leads_here(path, value, facts));
    let finding = |(path, _): (String, &str)| {
        let text = format!(
            "openclaw.json sets {path} for the OpenClaw gateway, which then works in another home than this one"
        );
        let next = format!("openclaw config unset {}", fs::quoted(path.as_ref()));
        Finding::warn(name, text, next)
    };
    moving.map(finding).collect()
}

/// Whether OpenClaw comes to this very home and config by the value of such a variable, or takes it for unset.
fn leads_here(path: &str, value: &str, facts: &Facts) -> bool {
    let config = facts.config_value().unwrap_or(&Value::Null);
    let (named, place) = (workspace::folder(value, config, facts.place), facts.place);
    let (named, here) = match named {
        None => return false,
        Some(named) if named.as_os_str().is_empty() => return true,
        Some(named) if path.contains("OPENCLAW_CONFIG_PATH") => (named, &place.config),
        Some(named) if path.contains("OPENCLAW_HOME") => (named.join(".openclaw"), &place.home),
        Some(named) => (named, &place.home),
    };
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    named.is_absolute() && (named == *here || real(&named).is_some_and(|named| Some(named) == real(here)))
}

/// Which of these variables the config sets for the gateway, as in `env.vars.OPENCLAW_HOME`, and their values.
fn set_variables<'a>(facts: &'a Facts, names: &[&str]) -> Vec<(String, &'a str)> {
    let members = |path: &str| {
        facts
            .config_value()
            .and_then(|config| config.pointer(path)?.as_object())
    };
    let places = [("/env", "env"), ("/env/vars", "env.vars")];
    let set = places.into_iter().flat_map(|(pointer, at)| {
        let set = members(pointer).into_iter().flatten();
        set.filter_map(move |(key, value)| Some((at, key, value.as_str()?)))
    });
    set.filter(|(_, key, _)| names.contains(&key.trim()))
        .map(|(at, key, value)| (format!("{at}.{key}"), value))
        .collect()
}

/// What lies in a folder that these name runs in the gateway: an agent that writes there is no guest any more.
pub(super) fn loads_code(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let config = facts.config_value();
    let mut found = Vec::new();
    for (path, _) in set_variables(facts, &["OPENCLAW_BUNDLED_HOOKS_DIR", "OPENCLAW_BUNDLED_PLUGINS_DIR"]) {
        let text =
            format!("openclaw.json sets {path} for the OpenClaw gateway, which then runs what lies in that folder");
        let next = format!("openclaw config unset {}", fs::quoted(path.as_ref()));
        found.push(Finding::warn(name, text, next));
    }
    for at in ["plugins.load.paths", "hooks.internal.load.extraDirs"] {
        let pointer = format!("/{}", at.replace('.', "/"));
        let folders = config.and_then(|config| config.pointer(&pointer)?.as_array());
        let folders = folders.map(Vec::as_slice).unwrap_or_default();
        // The last first: each step moves those behind it up.
        for (index, folder) in folders.iter().enumerate().rev() {
            let Some(folder) = folder_of(folder, facts) else {
                continue;
            };
            let ours = Kind::ALL.iter().any(|kind| kind.dir(facts.place) == folder);
            let workspace = workspace::around(&folder, config, facts.place).filter(|_| !ours);
            let Some(workspace) = workspace else { continue };
            let text = format!(
                "{at} names {}, in the workspace {}: whatever an agent writes there runs in the OpenClaw gateway",
                folder.display(),
                workspace.display()
            );
            let path = format!("{at}[{index}]");
            let next = format!("openclaw config unset {}", fs::quoted(path.as_ref()));
            found.push(Finding::warn(name, text, next));
        }
    }
    found
}

fn folder_of(text: &Value, facts: &Facts) -> Option<PathBuf> {
    let text = text.as_str()?.trim();
    let person = facts.place.person.as_ref();
    match (text.strip_prefix("~/"), person) {
        _ if text.is_empty() => None,
        (Some(rest), Some(person)) => Some(person.join(rest)),
        _ => Some(facts.place.home.join(text)),
    }
}
