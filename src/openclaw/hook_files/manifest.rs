//! What we wrote into OpenClaw's folders, and what stood there before: `<home>/.sigilum/installed.json`, 0600.

use super::{Kind, MAX_BYTES, json};
use crate::error::{Error, ExitCode, Result};
use crate::fs::{self, OwnLock};
use crate::home::OpenClawHome;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// `<home>/.sigilum/installed.json`: what we wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Installed {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) hook: Option<Manifest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) plugin: Option<Manifest>,
    /// The program's copy in `.sigilum/bin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) program: Option<ProgramCopy>,
    /// An uninstall has begun: where nothing is recorded of our edits any more, it has given the config back already.
    #[serde(rename = "leaving", default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) uninstall_started: bool,
}

/// Which program the copy is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProgramCopy {
    /// Its version.
    pub(super) version: String,
    /// SHA-256 of its bytes, hex.
    pub(super) sha256: String,
}

/// What we wrote into one folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The version that wrote it.
    pub(super) version: String,
    /// SHA-256 (hex) of each file: of what is written now and of what it replaced of ours, so that a run that was
    /// killed half-way finds nothing that it takes for a stranger's.
    pub(super) files: BTreeMap<String, Vec<String>>,
    /// What stood there before we came: its name, and where it is kept, from the OpenClaw home on.
    #[serde(rename = "aside", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) backups: BTreeMap<String, PathBuf>,
    /// Folders that we made, from the OpenClaw home on, the outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) made: Vec<PathBuf>,
}

impl Installed {
    pub(super) fn of(&mut self, kind: Kind) -> &mut Option<Manifest> {
        match kind {
            Kind::Hook => &mut self.hook,
            Kind::Plugin => &mut self.plugin,
        }
    }

    pub(super) fn read(place: &OpenClawHome) -> Result<Self> {
        let path = list_file(place);
        let Some(bytes) = fs::read_private(&path, MAX_BYTES)? else {
            return Ok(Self::default());
        };
        // Serde takes an array for a struct too.
        let object = serde_json::from_slice::<Map<String, Value>>(&bytes);
        let parsed = object.and_then(|object| serde_json::from_value(Value::Object(object)));
        let fault = match parsed.ok().filter(|installed: &Self| !installed.is_empty()) {
            None => anyhow::anyhow!("it is damaged"),
            Some(mut installed) => {
                let mut odd = Kind::ALL.into_iter();
                match odd.find_map(|kind| installed.of(kind).as_ref()?.odd_path(kind)) {
                    None => return Ok(installed),
                    Some(odd) => anyhow::anyhow!("it names what no install of ours does: {}", odd.display()),
                }
            }
        };
        let what = format!("could not read the list of installed files: {}", path.display());
        let step = format!("remove it, and run the command again: rm {}", fs::quoted(&path));
        Err(Error::new(ExitCode::Failure, what).because(fault).next(step))
    }

    /// Lists nothing: such a list is never written.
    fn is_empty(&self) -> bool {
        self.hook.is_none() && self.plugin.is_none() && self.program.is_none()
    }

    pub(super) fn write(&self, place: &OpenClawHome, lock: &OwnLock) -> Result<()> {
        let path = list_file(place);
        if self.is_empty() {
            fs::remove(&path)?;
            return Ok(());
        }
        lock.write_private(&path, &json(self)).map(drop)
    }
}

pub(super) fn list_file(place: &OpenClawHome) -> PathBuf {
    place.sigilum_dir().join("installed.json")
}

impl Manifest {
    /// A path that no install of ours writes down. Who may write the list must not have us move or remove what lies
    /// elsewhere: it names files of the one folder, copies of them in the other, and folders on the way to the first.
    fn odd_path(&self, kind: Kind) -> Option<PathBuf> {
        let is_name = |name: &Path| {
            let mut parts = name.components();
            matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
        };
        let is_copy = |path: &Path| path.parent() == Some(&*replaced_dir(kind)) && path.file_name().is_some();
        let is_inside = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
        let names = self.files.keys().chain(self.backups.keys()).map(Path::new);
        names
            .filter(|name| !is_name(name))
            .chain(self.backups.values().map(|path| &**path).filter(|path| !is_copy(path)))
            .chain(self.made.iter().map(|path| &**path).filter(|path| !is_inside(path)))
            .map(Path::to_owned)
            .next()
    }

    /// Whether we wrote these bytes under this name.
    pub(super) fn wrote(&self, name: &str, bytes: &[u8]) -> bool {
        self.files.get(name).is_some_and(|hashes| hashes.contains(&hash(bytes)))
    }
}

/// The files that are there and are neither what we want nor what we wrote.
pub(super) fn foreign_files(
    place: &OpenClawHome,
    dir: &Path,
    files: &[(String, Vec<u8>)],
    known: &Manifest,
) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for (name, wanted) in files {
        let path = dir.join(name);
        let Ok(meta) = path.symlink_metadata() else { continue };
        let bytes = if meta.is_file() { read(&path)? } else { None };
        // A file that is kept already: a run was killed before it wrote ours.
        let kept = || {
            let kept = known.backups.get(name).map(|kept| place.home.join(kept));
            kept.is_some_and(|kept| is_same(&path, &kept).unwrap_or(false))
        };
        if !bytes.is_some_and(|bytes| bytes == *wanted || known.wrote(name, &bytes) || kept()) {
            names.push(name.clone());
        }
    }
    Ok(names)
}

pub(super) fn hashes(old: &Manifest, name: &str, bytes: &[u8]) -> Vec<String> {
    let new = hash(bytes);
    let before = old
        .files
        .get(name)
        .and_then(|hashes| hashes.iter().find(|hash| **hash != new))
        .cloned();
    std::iter::once(new).chain(before).collect()
}

/// The folders to make, and those that an earlier install made.
pub(super) fn made(old: &Manifest, dir: &Path, place: &OpenClawHome) -> Vec<PathBuf> {
    let missing = dir
        .ancestors()
        .take_while(|folder| *folder != place.home && !folder.exists());
    let mut missing: Vec<_> = missing
        .filter_map(|folder| folder.strip_prefix(&place.home).ok())
        .collect();
    missing.reverse();
    let known = &old.made;
    let new = missing
        .into_iter()
        .map(Path::to_owned)
        .filter(|folder| !known.contains(folder));
    known.iter().cloned().chain(new).collect()
}

/// Where files that stood in our way are kept, from the OpenClaw home on.
pub(super) fn replaced_dir(kind: Kind) -> PathBuf {
    Path::new(".sigilum/replaced").join(kind.name())
}

/// A file's bytes; no bytes for a link, a folder, a pipe, or a file that is too long to be one of ours.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    if path.symlink_metadata().is_ok_and(|meta| !may_be_ours(&meta)) {
        return Ok(Some(Vec::new()));
    }
    match fs::read_capped(path, MAX_BYTES) {
        // The folder is none, which who writes there refuses.
        Err(error) if error.io_kind() == Some(ErrorKind::NotADirectory) => Ok(None),
        read => read,
    }
}

fn may_be_ours(meta: &Metadata) -> bool {
    meta.is_file() && meta.len() <= MAX_BYTES
}

/// Whether two paths lead to the same file, or to two with the same bytes.
pub(super) fn is_same(one: &Path, other: &Path) -> Result<bool> {
    let (Ok(meta), Ok(others)) = (one.symlink_metadata(), other.symlink_metadata()) else {
        return Ok(false);
    };
    let is_one = (meta.dev(), meta.ino()) == (others.dev(), others.ino());
    Ok(is_one || (may_be_ours(&meta) && may_be_ours(&others) && read(one)? == read(other)?))
}

pub(super) fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
