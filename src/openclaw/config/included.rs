//! The files that a config includes: which they are, by OpenClaw's rules, and what is in them.

use super::file::{File, check_our_part};
use crate::error::{Error, ExitCode, Result};
use crate::home::OpenClawHome;
use crate::openclaw::document;
use crate::openclaw::entry::ENV_PATH;
use crate::openclaw::include::{Depth, Link, Links, includes};
use crate::openclaw::shape::CORRECT_IT;
use crate::text;
use json5_edit::Document;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

/// More files than this are no config.
const MOST: usize = 200;

/// The largest included file that OpenClaw reads, in bytes (2026.9.6). Its config itself may be larger.
const LARGEST: usize = 2 * 1024 * 1024;

/// Reads the files that a config includes, and those that they include. The config comes first in what is returned.
///
/// # Errors
/// A file on the way to the entry that OpenClaw could not read. One elsewhere leads nowhere, one that is too large is read
/// all the same: why is the last part of what is returned, as OpenClaw then refuses the whole config.
pub(super) fn read(home: &OpenClawHome, config: File) -> Result<(Vec<File>, Links, Option<String>)> {
    let mut files = vec![config];
    let mut names = vec![(normal(&home.config), Some(0))];
    let mut links = Links::new();
    let mut unread = None;
    let mut from = 0;
    while from < files.len() {
        let (path, depth) = names[from].clone();
        let found: Vec<(String, Depth)> = includes(files[from].document.value(), depth)
            .into_iter()
            .map(|(name, depth)| (name.to_owned(), depth))
            .collect();
        for (name, depth) in found {
            let mut link = || -> Result<Link> {
                let (path, writable) = locate(&name, &path, home, depth)?;
                let wanted = (path, depth);
                let known = names.iter().position(|known| *known == wanted);
                let file = match known {
                    Some(file) => file,
                    None if files.len() == MOST => return Err(refused(home, depth, "too many files")),
                    None => {
                        files.push(read_one(home, &wanted.0, depth)?);
                        names.push(wanted);
                        files.len() - 1
                    }
                };
                Ok(Link { file, writable })
            };
            let link = match link() {
                Err(error) if depth.is_some() => return Err(error),
                Err(error) => {
                    unread.get_or_insert_with(|| error.text());
                    None
                }
                Ok(link) => Some(link),
            };
            links.insert((from, name), link);
        }
        from += 1;
    }
    let size = |file: &File| file.content.as_ref().map_or(0, |content| content.bytes.len());
    let unread = unread.or_else(|| {
        let large = files.iter().skip(1).find(|file| size(file) > LARGEST)?;
        let what = format!("a file of more than {LARGEST} bytes, {}", large.target.path.display());
        Some(refused(home, None, &what).text())
    });
    Ok((files, links, unread))
}

fn read_one(home: &OpenClawHome, path: &Path, depth: Depth) -> Result<File> {
    // What stands in place of an object of ours must be one.
    let parse = match depth {
        Some(_) => document::parse,
        None => |bytes: &[u8]| Document::parse(bytes),
    };
    let file = File::read(path, parse)?;
    match &file.content {
        None => return Err(missing(path, depth)),
        Some(content) if content.stat.st_nlink > 1 => {
            let what = format!("a file with several names (hard links), {}", path.display());
            return Err(refused(home, depth, &what));
        }
        Some(_) => {}
    }
    if let Some(depth) = depth {
        check_our_part(path, &file.document, depth)?;
    }
    Ok(file)
}

/// The file that a name in another file means, and whether it lies in the config's folder. It must lie there, links
/// resolved, or in one of `OPENCLAW_INCLUDE_ROOTS`.
fn locate(name: &str, from: &Path, home: &OpenClawHome, depth: Depth) -> Result<(PathBuf, bool)> {
    // Names stand in what people are shown, and in records.
    let odd = |name: &str| {
        let what = format!("a file with a name that cannot be shown, {}", text::plain(name));
        Err(refused(home, depth, &what))
    };
    if !name.chars().all(text::is_plain) {
        return odd(name);
    }
    let path = normal(&folder_of(from).join(name));
    let config = normal(&home.config);
    let real = std::fs::canonicalize(&path).map_err(|error| missing(&path, depth).because(error))?;
    // An edit would put the entry at its root.
    if path == config || std::fs::canonicalize(&config).is_ok_and(|config| config == real) {
        return Err(refused(home, depth, "the config itself"));
    }
    let holds = |root: &Path| {
        let real_root = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
        path.starts_with(root) && real.starts_with(real_root)
    };
    let writable = holds(folder_of(&config));
    if !writable && !home.include_roots.iter().any(|root| holds(root)) {
        let what = format!(
            "a file outside of the config's folder, {}",
            text::plain(&real.to_string_lossy())
        );
        return Err(refused(home, depth, &what));
    }
    match real.file_name().and_then(OsStr::to_str) {
        Some(file) if file.chars().all(text::is_plain) => Ok((path, writable)),
        _ => odd(&real.file_name().unwrap_or_default().to_string_lossy()),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// A path without `.` and `..`, by its text alone, as OpenClaw takes it.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(normal.pop()),
            part => normal.push(part),
        }
    }
    normal
}

/// What includes it.
fn includer(depth: Depth) -> String {
    match depth {
        Some(0) | None => "the config".to_owned(),
        Some(depth) => ENV_PATH[..depth].join("."),
    }
}

fn missing(path: &Path, depth: Depth) -> Error {
    Error::new(
        ExitCode::Config,
        format!(
            "could not find the file that {} includes: {}",
            includer(depth),
            path.display()
        ),
    )
    .next(CORRECT_IT)
}

fn refused(home: &OpenClawHome, depth: Depth, what: &str) -> Error {
    Error::new(
        ExitCode::Config,
        format!(
            "could not read the config, {} includes {what}: {}",
            includer(depth),
            home.config.display()
        ),
    )
    .next(CORRECT_IT)
}
