//! Folders that hold files of ours, or are to.

use super::Kind;
use super::manifest::replaced_dir;
use crate::error::{Error, ExitCode, Result};
use crate::fs::quoted;
use crate::home::OpenClawHome;
use std::path::Path;

/// Refuses folders of one kind that cannot be ours.
pub fn refuse_strange_folders(place: &OpenClawHome, kind: Kind) -> Result<()> {
    // OpenClaw's own has a folder of OpenClaw's.
    match super::look(place, kind) {
        Ok(looked) if looked.by_openclaw => Ok(()),
        _ => refuse_links(&kind.dir(place), place, kind),
    }
}

/// OpenClaw ignores a linked hook folder without a word; and what is kept must not come to lie elsewhere.
pub(super) fn refuse_links(dir: &Path, place: &OpenClawHome, kind: Kind) -> Result<()> {
    let above = dir.ancestors().skip(1).take_while(|folder| *folder != place.home);
    // A link is followed here, to a folder.
    if let Some(file) = above.into_iter().find(|path| path.exists() && !path.is_dir()) {
        return Err(no_folder(file));
    }
    refuse_link(dir, "it is a symbolic link, and OpenClaw ignores those")?;
    let replaced = place.home.join(replaced_dir(kind));
    for folder in replaced.ancestors().take(2) {
        refuse_link(folder, "it is a symbolic link, so it could lead anywhere")?;
    }
    Ok(())
}

pub(super) fn refuse_link(dir: &Path, why: &'static str) -> Result<()> {
    match dir.symlink_metadata() {
        Ok(meta) if meta.is_symlink() => {
            let what = format!("could not use the folder: {}", dir.display());
            Err(Error::new(ExitCode::Failure, what)
                .because(anyhow::anyhow!(why))
                .next(format!("remove the link: rm {}", quoted(dir))))
        }
        Ok(meta) if !meta.is_dir() => Err(no_folder(dir)),
        _ => Ok(()),
    }
}

fn no_folder(path: &Path) -> Error {
    let what = format!("could not use the folder: {}", path.display());
    Error::new(ExitCode::Failure, what)
        .because(anyhow::anyhow!("it is no folder"))
        .next(format!("move it away: mv {0} {0}.old", quoted(path)))
}
