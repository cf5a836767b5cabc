//! Folders that somebody removes: whoever does finds one empty only if nobody makes anything in it meanwhile.

use super::folder::Folder;
use super::temp_name::is_temp_name;
use super::{PRIVATE, file_name, open_folder, open_to_read, replace_in};
use crate::error::Result;
use std::path::Path;

/// The files in a folder of ours at one time: where one of them has gone since, the rest may follow.
#[derive(Debug, Default)]
pub struct Inventory {
    names: Vec<String>,
}

impl Inventory {
    /// What is beside a file of ours now, and `stays` there as a rule.
    pub fn beside(file: &Path, stays: impl Fn(&str) -> bool) -> Self {
        let names = open_to_read(file).ok().and_then(|folder| folder.names().ok());
        let mut names = names.unwrap_or_default();
        names.retain(|name| stays(name) && !is_temp_name(name));
        Self { names }
    }

    /// As [`super::write_private`], in a folder that is still whole; else nothing is made. Says whether the file is there. A
    /// power cut may leave it old or empty: for what is worth nothing after one.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write_passing(&self, path: &Path, bytes: &[u8]) -> Result<bool> {
        let folder = open_folder(path)?;
        if !self.is_whole(&folder) {
            return Ok(false);
        }
        replace_in(&folder, path, bytes, PRIVATE, false)?;
        // Whoever began to remove the folder in between does not know of this file.
        let stays = self.is_whole(&folder);
        if !stays {
            let _ = folder.remove(file_name(path)?);
        }
        Ok(stays)
    }

    fn is_whole(&self, folder: &Folder) -> bool {
        self.names
            .iter()
            .all(|name| folder.stat(name).is_ok_and(|stat| stat.is_some()))
    }
}
