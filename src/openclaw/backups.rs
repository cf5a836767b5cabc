//! OpenClaw's own copies of its config, which may still hold owner tokens: found, never touched, never quoted.
//!
//! OpenClaw keeps `.bak`, `.bak.1`–`.4`, `.last-good` and `.clobbered.*` beside each file of the config, in plain text,
//! and its state in `<home>/state/openclaw.sqlite`.

use super::entry::TOKEN;
use crate::fs;
use crate::home::OpenClawHome;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A larger file is no copy of a config; a state database may be that large.
const MAX_BYTES: u64 = 256 * 1024 * 1024;
/// How far behind the variable's name its value begins, at most.
const NEAR: usize = 64;

/// The files of OpenClaw's that hold one of these tokens, or anything that looks like an owner token of the hook's
/// entry. `files` are the config and what it includes.
pub fn with_tokens(place: &OpenClawHome, files: &[PathBuf], tokens: &[SecretString]) -> Vec<PathBuf> {
    let beside = files.iter().chain([&place.config]).flat_map(|file| copies_of(file));
    let state = listing(&place.home.join("state"));
    let found: BTreeSet<_> = beside.chain(state).collect();
    found.into_iter().filter(|path| holds_token(path, tokens)).collect()
}

/// The files whose names begin with that of the config and a point, and those that came out of a swap with it.
fn copies_of(file: &Path) -> Vec<PathBuf> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
        return Vec::new();
    };
    let prefix = format!("{}.", name.to_string_lossy());
    let mut files = listing(folder);
    files.retain(|path| {
        let name = path.file_name().map(|name| name.to_string_lossy());
        name.is_some_and(|name| name.starts_with(&prefix) || name.starts_with(fs::KEPT_PREFIX))
    });
    files
}

fn listing(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn holds_token(path: &Path, tokens: &[SecretString]) -> bool {
    let small = path
        .symlink_metadata()
        .is_ok_and(|meta| meta.is_file() && meta.len() <= MAX_BYTES);
    let Some(bytes) = small.then(|| std::fs::read(path).ok()).flatten() else {
        return false;
    };
    let known = |token: &SecretString| contains(&bytes, token.expose_secret().as_bytes());
    tokens.iter().any(known) || looks_like_one(&bytes)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && bytes.windows(part.len()).any(|window| window == part)
}

/// Whether the entry's variable is followed by something that begins as every JWT does (`{"` in base64url).
fn looks_like_one(bytes: &[u8]) -> bool {
    let name = TOKEN.as_bytes();
    let mut rest = bytes;
    while let Some(at) = rest.windows(name.len()).position(|window| window == name) {
        rest = &rest[at + name.len()..];
        if contains(&rest[..rest.len().min(NEAR)], b"eyJ") {
            return true;
        }
    }
    false
}
