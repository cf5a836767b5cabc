//! Which file holds the hook's entry where openclaw.json uses `$include`.
//!
//! OpenClaw puts a config together from several files: `{ "$include": "./hooks.json5" }` stands for what is in that
//! file. Where `hooks`, `hooks.internal`, `hooks.internal.entries` or the entry itself is such an object, with that one
//! key and one file inside the config's folder, an edit goes to that file, as OpenClaw's own do. Every other shape on
//! the way to the entry is refused: an edit could not tell where its bytes belong. Includes elsewhere stay as they are.

use super::entry::{ENV_PATH, HOOK};
use crate::error::{Error, ExitCode, Result};
use crate::text;
use json_patch::{Patch, PatchOperation};
use serde_json::Value;
use std::path::{Path, PathBuf};

const INCLUDE: &str = "$include";

/// An included file that holds a part of the config on the way to the entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// The keys that lead to the part, from the outermost object inwards.
    pub at: &'static [&'static str],
    /// The file, with all links on the way resolved.
    pub file: PathBuf,
}

/// Finds the include on the way to the entry; `None` where there is none. `config` is the config as it is named: an
/// include is relative to that folder, also where the config is a link.
pub fn find(value: &Value, config: &Path) -> Result<Option<Include>> {
    let mut node = value;
    for depth in 0..=ENV_PATH.len() {
        let at = &ENV_PATH[..depth];
        if let Some(target) = node.get(INCLUDE) {
            let alone = node.as_object().is_some_and(|members| members.len() == 1);
            return match target {
                _ if depth == 0 => Err(refused(config, "the whole config includes another one")),
                _ if depth == ENV_PATH.len() => Err(refused(config, &format!("{} is an include", dotted(at)))),
                Value::Array(_) => Err(refused(config, &format!("{} includes several files", dotted(at)))),
                Value::String(_) if !alone => Err(refused(
                    config,
                    &format!("{} has members beside its include", dotted(at)),
                )),
                Value::String(file) => Ok(Some(Include {
                    at,
                    file: locate(file, config, at)?,
                })),
                _ => Err(refused(
                    config,
                    &format!("the include of {} is not a file name", dotted(at)),
                )),
            };
        }
        match ENV_PATH.get(depth).and_then(|key| node.get(key)) {
            Some(inner) => node = inner,
            None => break,
        }
    }
    Ok(None)
}

/// The included file, which must exist and be inside the config's folder, links resolved.
fn locate(file: &str, config: &Path, at: &[&str]) -> Result<PathBuf> {
    let folder = config.parent().unwrap_or(Path::new("/"));
    let named = folder.join(file);
    // Names stand in what people are shown, and in records.
    let odd = |name: &str| {
        let name = text::plain(name);
        let what = format!(
            "{} includes a file with a name that cannot be shown, {name}",
            dotted(at)
        );
        Err(refused(config, &what))
    };
    if !file.chars().all(text::is_plain) {
        return odd(file);
    }
    let failed = |error: std::io::Error| {
        Error::new(
            ExitCode::Config,
            format!(
                "could not find the file that {} includes: {}",
                dotted(at),
                named.display()
            ),
        )
        .because(error)
        .next("correct the $include, or make the file; `openclaw config validate` says whether OpenClaw is content")
    };
    let folder = std::fs::canonicalize(folder).map_err(failed)?;
    let real = std::fs::canonicalize(&named).map_err(failed)?;
    // OpenClaw refuses a file that includes itself; an edit would put the entry at its root.
    if std::fs::canonicalize(config).is_ok_and(|config| config == real) {
        return Err(refused(config, &format!("{} includes the config itself", dotted(at))));
    }
    if let Ok(inside) = real.strip_prefix(&folder) {
        let can_be_shown = inside.to_str().is_some_and(|name| name.chars().all(text::is_plain));
        return if can_be_shown {
            Ok(real)
        } else {
            odd(&inside.to_string_lossy())
        };
    }
    let what = format!(
        "{} includes a file outside of the config's folder, {}",
        dotted(at),
        text::plain(&real.to_string_lossy())
    );
    Err(refused(config, &what))
}

/// Puts what the included file holds into the config's value in place of the include.
///
/// Refuses an included file that itself includes another one on the way to the entry.
pub fn resolve(value: &mut Value, include: &Include, included: &Value) -> Result<()> {
    let mut node = included;
    for depth in include.at.len()..=ENV_PATH.len() {
        if node.get(INCLUDE).is_some() {
            let what = format!(
                "{} is included by a file that is itself included",
                dotted(&ENV_PATH[..depth])
            );
            return Err(refused(&include.file, &what));
        }
        match ENV_PATH.get(depth).and_then(|key| node.get(key)) {
            Some(inner) => node = inner,
            None => break,
        }
    }
    let place = include.at.iter().try_fold(value, |node, key| node.get_mut(key));
    if let Some(place) = place {
        *place = included.clone();
    }
    Ok(())
}

/// The operations of a patch of the resolved config, by the file that each belongs to.
#[derive(Debug, Default)]
pub struct Split {
    /// Those for the config itself.
    pub main: Vec<PatchOperation>,
    /// Those for the included file, with paths of that file.
    pub included: Vec<PatchOperation>,
}

/// Tells which operation belongs to which file. `main` is the config's own value, unresolved. Refuses an operation
/// that would take an include away, or that would put something beside one.
pub fn split(patch: &Patch, main: &Value, include: Option<(&Include, &Value)>, config: &Path) -> Result<Split> {
    let mut split = Split::default();
    for operation in &patch.0 {
        let path: Vec<String> = operation
            .path()
            .tokens()
            .map(|token| token.decoded().into_owned())
            .collect();
        let inside = include.filter(|(include, _)| starts_with(&path, include.at) && path.len() > include.at.len());
        if let Some((include, value)) = inside {
            let rest = &path[include.at.len()..];
            refuse_crossing(value, rest, &include.file)?;
            let pointer = json_patch::jsonptr::PointerBuf::from_tokens(rest);
            split.included.push(moved(operation, pointer));
        } else {
            refuse_crossing(main, &path, config)?;
            // The entry that is an include as a whole may go; what is in the included file stays there.
            let is_entry = path == ENV_PATH[..4] && matches!(operation, PatchOperation::Remove(_));
            if !is_entry && holds_include(main, &path) {
                let what = format!("{} is an include, or holds one", path.join("."));
                return Err(refused(config, &what));
            }
            split.main.push(operation.clone());
        }
    }
    Ok(split)
}

/// Refuses a path that leads through an object with an include of its own.
fn refuse_crossing(value: &Value, path: &[String], file: &Path) -> Result<()> {
    let mut node = Some(value);
    for depth in 0..path.len() {
        let Some(inner) = node else { break };
        if inner.get(INCLUDE).is_some() {
            let what = format!("{} includes another file", path[..depth].join("."));
            return Err(refused(file, &what));
        }
        node = match inner {
            Value::Array(items) => path[depth].parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => inner.get(&path[depth]),
        };
    }
    Ok(())
}

/// Whether what stands at a path is an include, or has one anywhere in it.
fn holds_include(value: &Value, path: &[String]) -> bool {
    fn any(value: &Value) -> bool {
        match value {
            Value::Object(members) => members.contains_key(INCLUDE) || members.values().any(any),
            Value::Array(items) => items.iter().any(any),
            _ => false,
        }
    }
    path.iter().try_fold(value, |node, key| node.get(key)).is_some_and(any)
}

fn moved(operation: &PatchOperation, path: json_patch::jsonptr::PointerBuf) -> PatchOperation {
    let mut operation = operation.clone();
    match &mut operation {
        PatchOperation::Add(add) => add.path = path,
        PatchOperation::Remove(remove) => remove.path = path,
        PatchOperation::Replace(replace) => replace.path = path,
        PatchOperation::Move(_) | PatchOperation::Copy(_) | PatchOperation::Test(_) => {}
    }
    operation
}

fn starts_with(path: &[String], start: &[&str]) -> bool {
    path.len() >= start.len() && path.iter().zip(start).all(|(key, start)| key == start)
}

fn dotted(path: &[&str]) -> String {
    path.join(".")
}

fn refused(file: &Path, what: &str) -> Error {
    Error::new(
        ExitCode::Config,
        format!("could not edit the config, {what}: {}", file.display()),
    )
    .next(format!(
        "by hand: write the entry hooks.internal.entries.{HOOK} into the file that it belongs to, or give `entries` \
         one file of its own: {{ \"$include\": \"./hook-entries.json5\" }}"
    ))
}
