//! The one way to write a file: temp file in the same folder, mode, owner, fsync, rename, fsync of the folder.

use crate::exit::{ExitCode, OrFail, Result};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

/// Replaces `path` by a 0600 file with these bytes: afterwards it is the old one or the new one, in full.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let what = || format!("could not write the file: {}", path.display());
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut temp = tempfile::Builder::new()
        .prefix(".sigilum-")
        .permissions(std::fs::Permissions::from_mode(0o600))
        .tempfile_in(folder)
        .or_fail(ExitCode::Failure, what)?;
    temp.write_all(bytes).or_fail(ExitCode::Failure, what)?;
    temp.as_file().sync_all().or_fail(ExitCode::Failure, what)?;
    temp.persist(path).or_fail(ExitCode::Failure, what)?;
    std::fs::File::open(folder)
        .and_then(|dir| dir.sync_all())
        .or_fail(ExitCode::Failure, what)
}

/// Makes a folder and its missing parents, 0700 each. A folder that exists is left as it is.
pub fn create_private_dir(path: &Path) -> Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .or_fail(ExitCode::Failure, || {
            format!("could not make the folder: {}", path.display())
        })
}

/// The bytes of a file of at most `limit` bytes; `None` where there is no such file.
pub fn read_capped(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    use std::io::Read;
    let what = || format!("could not read the file: {}", path.display());
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).or_fail(ExitCode::Failure, what),
    };
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .or_fail(ExitCode::Failure, what)?;
    if bytes.len() as u64 > limit {
        return Err(crate::exit::Error::new(
            ExitCode::Failure,
            format!("could not read the file, it is over {limit} bytes: {}", path.display()),
        ));
    }
    Ok(Some(bytes))
}

/// Removes a file; says whether there was one.
pub fn remove(path: &Path) -> Result<bool> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).or_fail(ExitCode::Failure, || {
            format!("could not remove the file: {}", path.display())
        }),
    }
}
