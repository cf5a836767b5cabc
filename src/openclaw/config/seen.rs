//! The config as it was read: which files, what they hold, and what they mean together.

use super::file::{File, check_our_part};
use super::included;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::home::OpenClawHome;
use crate::openclaw::document;
use crate::openclaw::include::{Links, SEVERAL, Sources, holds_include};
use crate::openclaw::shape::CORRECT_IT;
use serde_json::Value;

/// The config as it was read, and where each part stands.
pub(super) struct Seen {
    /// The config, and then the files that it includes.
    pub files: Vec<File>,
    links: Links,
    /// The config's value with includes resolved, where there are any.
    resolved: Option<Value>,
    /// Why OpenClaw refuses the config although our part of it can be read: an include elsewhere leads nowhere, or an
    /// included file is too large.
    pub unread: Option<String>,
    /// The size of OpenClaw's own backup, in bytes.
    pub backup: u64,
}

/// What we keep is no config, whatever leads there.
fn refuse_our_own(place: &OpenClawHome, main: &File) -> Result<()> {
    let real = &main.target.path;
    if !place.is_ours(real) {
        return Ok(());
    }
    let what = format!(
        "could not use the config, it leads to one of this program's own files, {}: {}",
        real.display(),
        place.config.display()
    );
    Err(Error::new(ExitCode::Config, what)
        .next("let it lead to another file, or name another one with --config <file>"))
}

impl Seen {
    pub fn read(place: &OpenClawHome) -> Result<Self> {
        let config = &place.config;
        let main = File::read(config, document::parse)?;
        refuse_our_own(place, &main)?;
        check_our_part(config, &main.document, 0)?;
        let (files, links, unread) = included::read(place, main)?;
        let mut backup = config.clone().into_os_string();
        backup.push(".bak");
        let mut seen = Self {
            files,
            links,
            resolved: None,
            unread,
            backup: std::fs::metadata(backup).map_or(0, |meta| meta.len()),
        };
        if holds_include(seen.files[0].document.value()) {
            let resolved = seen.sources().resolve_and_refused();
            let (value, refused) = resolved.map_err(|why| seen.unresolved(&why))?;
            // A file that cannot be read says more.
            seen.unread = seen.unread.or(refused.map(|(file, why)| {
                let file = seen.files[file].target.path();
                format!("{why}: {}", file.display())
            }));
            seen.resolved = Some(value);
        }
        Ok(seen)
    }

    /// The config's value with includes resolved.
    pub fn value(&self) -> &Value {
        self.resolved.as_ref().unwrap_or(self.files[0].document.value())
    }

    pub fn exists(&self) -> bool {
        self.files[0].content.is_some()
    }

    /// Why the files cannot be given these values. `adds`: something of ours goes in; what goes out may do so from where
    /// others can write too.
    pub fn why_not(&self, values: &[Value], adds: bool) -> Option<String> {
        let files = self.files.iter().zip(values);
        let changed = || files.clone().filter(|(file, value)| *value != file.document.value());
        if changed().any(|(file, _)| self.has_twice(file)) {
            return Some(SEVERAL.to_owned());
        }
        let main = &self.files[0].target.path;
        let included = changed()
            .map(|(file, _)| &file.target.path)
            .filter(|path| adds && *path != main);
        let error = included
            .filter_map(|path| path.parent())
            .find_map(|folder| fs::refuse_open_to_others(folder).err())?;
        let step = error.step().map(|step| format!("; to have it written: {step}"));
        Some(error.text() + &step.unwrap_or_default())
    }

    /// Whether the file is there twice, by different names or at different places: one of the two would be changed.
    fn has_twice(&self, file: &File) -> bool {
        let inode = |file: &File| file.content.as_ref().map(|content| fs::inode(&content.stat));
        let same = |other: &&File| inode(file).is_some() && inode(other) == inode(file);
        self.files.iter().filter(same).count() > 1
    }

    /// The values of the files, to be changed.
    pub fn sources(&self) -> Sources<'_> {
        Sources {
            values: self.files.iter().map(|file| file.document.value().clone()).collect(),
            links: &self.links,
        }
    }

    /// The config's value if the files had these.
    pub fn resolve(&self, value: impl FnMut(&File) -> Value) -> Result<Value> {
        let sources = Sources {
            values: self.files.iter().map(value).collect(),
            links: &self.links,
        };
        sources.resolve().map_err(|why| self.unresolved(&why))
    }

    fn unresolved(&self, why: &str) -> Error {
        let config = self.files[0].target.path();
        Error::new(
            ExitCode::Config,
            format!("could not read the config, {why}: {}", config.display()),
        )
        .next(CORRECT_IT)
    }
}
