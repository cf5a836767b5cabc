//! One file of a config: where it really is, and what is in it.

use crate::error::{Error, ExitCode, Result};
use crate::fs::{self, Content, Folder};
use crate::openclaw::entry::{ENV_PATH, ENV_VARS};
use crate::openclaw::shape::{CORRECT_IT, kind};
use json5_edit::{Document, MAX_BYTES};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The mode of a config that we make, or that gets a token.
pub(super) const PRIVATE: u32 = 0o600;

/// A file of the config, read and understood.
pub(super) struct File {
    pub target: Target,
    /// `None` where there is no such file.
    pub content: Option<Content>,
    pub document: Document,
}

/// Refuses the document of a file whose part that matters to us cannot be edited for sure, and points to the place. The
/// document starts `depth` keys below the config's root.
pub(super) fn check_our_part(path: &Path, document: &Document, depth: usize) -> Result<()> {
    // A key that stands twice: on the path to the entry's `env`, or a member that we write. An edit would change one
    // and leave the other, an old token perhaps.
    let env = ENV_VARS.iter().map(|name| (5, *name));
    let members = [(2, "enabled"), (2, "load"), (4, "enabled")].into_iter().chain(env);
    members
        .filter(|(parent, _)| *parent >= depth)
        .try_for_each(|(parent, key)| document.refuse_duplicates(&[&ENV_PATH[depth..parent], &[key]].concat()))
        // OpenClaw finds nothing wrong with it.
        .map_err(|error| {
            unreadable(path, error).next("put into one of the two what both hold, and take the other one out")
        })?;
    // What is no object on that path. `entry::find` refuses it too, but knows no file and no line.
    let mut at = document.value();
    for end in depth + 1..=ENV_PATH.len() {
        let Some(value) = at.get(ENV_PATH[end - 1]) else {
            break;
        };
        if !value.is_object() {
            let name = ENV_PATH[..end].join(".");
            let error = json5_edit::Error {
                reason: format!("{name} is {}, OpenClaw wants an object", kind(value)).into(),
                position: document.position(&ENV_PATH[depth..end]),
            };
            return Err(unreadable(path, error));
        }
        at = value;
    }
    Ok(())
}

impl File {
    /// Reads a file. Where it cannot be understood, it may be caught half-written by a program that writes in place:
    /// then it is looked at again as long as it changes, for a moment.
    pub fn read(path: &Path, parse: fn(&[u8]) -> Result<Document, json5_edit::Error>) -> Result<Self> {
        let mut last = None;
        for _ in 0..5 {
            let target = Target::find(path)?;
            let content = target.read()?;
            let bytes = content.as_ref().map_or(&[][..], |content| &content.bytes);
            let error = match parse(bytes) {
                Ok(document) => {
                    return Ok(Self {
                        target,
                        content,
                        document,
                    });
                }
                Err(error) => error,
            };
            let again = Some(bytes.to_vec());
            if last == again {
                return Err(unreadable(path, error));
            }
            last = again;
            std::thread::sleep(Duration::from_millis(15));
        }
        Err(Error::new(
            ExitCode::Config,
            format!("could not read the config, it keeps changing: {}", path.display()),
        )
        .next("run the command again"))
    }
}

pub(super) fn unreadable(path: &Path, error: json5_edit::Error) -> Error {
    Error::new(
        ExitCode::Config,
        format!("could not use the config: {}", path.display()),
    )
    .because(error)
    .next(CORRECT_IT)
}

/// The file that a config's path leads to: the path itself, or what it links to.
#[derive(Debug)]
pub(super) struct Target {
    /// `None` where the folder does not exist, and so nothing in it.
    pub folder: Option<Folder>,
    pub path: PathBuf,
    /// The path that was named is a link.
    pub is_link: bool,
    pub name: String,
}

impl Target {
    pub fn find(path: &Path) -> Result<Self> {
        let failed = |error: io::Error| {
            let what = format!("could not read the config: {}", path.display());
            fs::failed_as(ExitCode::Config, what, path, error)
        };
        let link = std::fs::symlink_metadata(path)
            .ok()
            .filter(std::fs::Metadata::is_symlink);
        let mut real = path.to_owned();
        let is_link = link.is_some();
        if let Some(link) = link {
            real = std::fs::canonicalize(path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => failed(error),
                // Whether there is anything cannot be seen; whose it would be is no matter.
                _ => failed(error).next(format!(
                    "it is a symbolic link to {}, let it lead to a file that you may read, or remove it: rm {}",
                    std::fs::read_link(path).unwrap_or_default().display(),
                    fs::quoted(path)
                )),
            })?;
            refuse_foreign_link(path, &link, &real)?;
        }
        let (Some(folder), Some(name)) = (real.parent(), real.file_name().and_then(|name| name.to_str())) else {
            let what = "its path ends in no file name of valid UTF-8";
            return Err(failed(io::Error::other(what)).next("give a path without .. in it, that ends in a file name"));
        };
        let name = name.to_owned();
        let folder = match Folder::open(folder) {
            Ok(folder) => Some(folder),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        if let Some(folder) = &folder {
            real = folder.join(&name);
        }
        Ok(Self {
            folder,
            path: real,
            is_link,
            name,
        })
    }

    /// Where the file really is.
    pub fn path(&self) -> PathBuf {
        self.path.clone()
    }

    pub fn read(&self) -> Result<Option<Content>> {
        let Some(folder) = &self.folder else { return Ok(None) };
        folder.read(&self.name, MAX_BYTES as u64).map_err(|error| {
            let what = format!("could not read the config: {}", self.path.display());
            let failed = fs::failed_as(ExitCode::Config, what, &self.path, error);
            match failed.step() {
                Some(_) => failed,
                None if self.path.join("openclaw.json").is_file() => failed.next(format!(
                    "name the file in it: --config {}",
                    fs::quoted(&self.path.join("openclaw.json"))
                )),
                None if self.path.is_dir() => failed.next("name a file, not a folder"),
                // A device, a pipe, or too large.
                None => failed.next(CORRECT_IT),
            }
        })
    }
}

/// As root, a person's link must not lead us to edit another one's file, such as a system file of root's.
fn refuse_foreign_link(path: &Path, link: &std::fs::Metadata, real: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let target = std::fs::metadata(real).map_or(link.uid(), |meta| meta.uid());
    if !rustix::process::geteuid().is_root() || link.uid() == 0 || link.uid() == target {
        return Ok(());
    }
    Err(Error::new(
        ExitCode::Config,
        format!(
            "could not use the config, it is a link of user {} to a file of user {target}: {}",
            link.uid(),
            path.display()
        ),
    )
    .next("run the command as the user that the link belongs to"))
}
