//! The program that records name, by a path that stays. OpenClaw runs plugins from copies that go away with the process,
//! and an update of a plugin takes the older one away: what runs there is copied to `<home>/.sigilum/bin/` (0755), and
//! the copy is recorded.

use super::folders::refuse_link;
use super::manifest::{Installed, ProgramCopy, hash, list_file};
use crate::error::{Error, ExitCode, Result};
use crate::fs::{self, Folder, OwnLock};
use crate::home::OpenClawHome;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// No build of ours comes near this.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// How long a program that is to answer waits for another command of ours before it leaves the copy as it is.
const PATIENCE: Duration = Duration::from_secs(1);

const VERSION: &str = env!("CARGO_PKG_VERSION");
const IS_LINK: &str = "it is a symbolic link, so it could lead anywhere";

/// Folders in whose depths a program does not stay: OpenClaw's copies of running plugins and its generations of installed
/// ones, what `npx` fetches for a run, and another home's copy, which goes with that home.
const PASSING: [&[&str]; 4] = [
    &["plugin-captures"],
    &["npm", "projects"],
    &["_npx"],
    &[".sigilum", "bin"],
];

/// Whether a program lies where it will be found later on.
pub fn stays(program: &Path, place: &OpenClawHome) -> bool {
    let names: Vec<_> = program
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    let passes = PASSING
        .iter()
        .any(|folders| names.windows(folders.len()).any(|part| part == *folders));
    !passes || is_copy(program, place)
}

/// Whether it is this home's own copy.
pub fn is_copy(program: &Path, place: &OpenClawHome) -> bool {
    let copy = place.program_copy();
    program == copy || copy.canonicalize().is_ok_and(|real| program == real)
}

/// Copies a program of this version into the home, and says what a person should know. A copy of a newer version stays,
/// unless `anyway` is set; one that somebody changed does not.
pub fn copy(program: &Path, place: &OpenClawHome, lock: &OwnLock, anyway: bool) -> Result<Option<String>> {
    let file = place.program_copy();
    let dir = place.sigilum_dir().join("bin");
    refuse_link(&dir, IS_LINK)?;
    let bytes = read(program)?;
    let mut installed = Installed::read(place)?;
    if let Some(known) = newer(&installed, place).filter(|_| !anyway) {
        return Ok(Some(format!(
            "the copy of the program is of version {}, newer than this one, and stays: {}",
            known.version,
            file.display()
        )));
    }
    fs::create_private_dir(&dir)?;
    let written = write(&bytes, &mut installed, place, lock)?;
    Ok(written.then(|| format!("the program was copied to where it stays: {}", file.display())))
}

/// A copy of a newer version, as it was written.
fn newer<'a>(installed: &'a Installed, place: &OpenClawHome) -> Option<&'a ProgramCopy> {
    let known = installed.program.as_ref()?;
    let is_there = || hash_of_copy(place).as_ref() == Some(&known.sha256);
    (is_newer(&known.version, VERSION) && is_there()).then_some(known)
}

fn hash_of_copy(place: &OpenClawHome) -> Option<String> {
    let bytes = fs::read_private(&place.program_copy(), MAX_BYTES).ok()??;
    Some(hash(&bytes))
}

/// The files that [`copy`] would write, unless it is asked for one `anyway`.
pub fn would_write(program: &Path, place: &OpenClawHome) -> Result<Vec<PathBuf>> {
    let installed = Installed::read(place)?;
    let is_there = hash_of_copy(place) == Some(hash(&read(program)?));
    Ok(match is_there || newer(&installed, place).is_some() {
        true => Vec::new(),
        false => vec![place.program_copy(), list_file(place)],
    })
}

/// Replaces the copy in a home by a program of this version, without being asked: only one that our record names, that is
/// as it was written, and strictly older. Says whether it did.
pub fn renew(program: &Path, place: &OpenClawHome) -> Result<bool> {
    let older = |installed: &Installed| {
        let known = installed.program.clone();
        known.filter(|known| is_newer(VERSION, &known.version))
    };
    // Almost always there is nothing to do, and nothing to lock.
    if older(&Installed::read(place)?).is_none() {
        return Ok(false);
    }
    let lock = fs::lock_existing_sigilum(place, PATIENCE)?;
    let mut installed = Installed::read(place)?;
    let Some(known) = older(&installed) else {
        return Ok(false);
    };
    refuse_link(&place.sigilum_dir().join("bin"), IS_LINK)?;
    let there = fs::read_private(&place.program_copy(), MAX_BYTES)?.map(|bytes| hash(&bytes));
    let bytes = read(program)?;
    // A run that was killed between file and record has left this version under the older one's record.
    if there.is_none_or(|there| there != known.sha256 && there != hash(&bytes)) {
        return Ok(false);
    }
    write(&bytes, &mut installed, place, &lock)?;
    Ok(true)
}

/// The bytes of a program that runs.
fn read(program: &Path) -> Result<Vec<u8>> {
    fs::read_capped(program, MAX_BYTES)?.ok_or_else(|| {
        let path = program.display();
        Error::new(
            ExitCode::Failure,
            format!("could not copy the program, it is not there any more: {path}"),
        )
    })
}

/// The file first: a copy that is not what the record says is replaced by whoever comes next. Says whether it was written.
fn write(bytes: &[u8], installed: &mut Installed, place: &OpenClawHome, lock: &OwnLock) -> Result<bool> {
    let written = lock.write_program(&place.program_copy(), bytes)?;
    installed.program = Some(ProgramCopy {
        version: VERSION.to_owned(),
        sha256: hash(bytes),
    });
    installed.write(place, lock)?;
    lock.sync()?;
    Ok(written)
}

/// Takes the copy away; says whether there was one.
pub fn remove(place: &OpenClawHome, lock: &OwnLock) -> Result<bool> {
    let dir = place.sigilum_dir().join("bin");
    if dir.symlink_metadata().is_err() {
        return Ok(false);
    }
    refuse_link(&dir, IS_LINK)?;
    let removed = fs::remove(&place.program_copy())?;
    if let Ok(folder) = Folder::open(&dir) {
        folder.remove_leftovers();
    }
    fs::remove_empty_folder(&dir)?;
    let mut installed = Installed::read(place)?;
    if installed.program.take().is_some() {
        installed.write(place, lock)?;
    }
    Ok(removed)
}

/// Whether a version is newer than another: by its numbers, `0.10.0` after `0.9.1`; what follows a `-` is not looked at.
fn is_newer(version: &str, than: &str) -> bool {
    let numbers = |text: &str| -> Vec<u64> {
        let numbers = text.split(['-', '+']).next().unwrap_or_default().split('.');
        numbers.map(|number| number.parse().unwrap_or(0)).collect()
    };
    numbers(version) > numbers(than)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_away_is_known_by_its_path() {
        let place = OpenClawHome::at("/h/.openclaw".into());
        let table = [
            ("/usr/local/bin/sigilum-authz-notify", true),
            (
                "/usr/lib/node_modules/sigilum-authz-notify-linux-x64/bin/sigilum-authz-notify",
                true,
            ),
            ("/h/.openclaw/.sigilum/bin/sigilum-authz-notify", true),
            ("/other/.openclaw/.sigilum/bin/sigilum-authz-notify", false),
            (
                "/h/.openclaw/npm/projects/x/node_modules/y/bin/sigilum-authz-notify",
                false,
            ),
            (
                "/h/.openclaw/tmp/plugin-captures/1/captures/2/sigilum-authz-notify",
                false,
            ),
            ("/h/.npm/_npx/1/node_modules/y/bin/sigilum-authz-notify", false),
            ("/h/projects/npm/target/sigilum-authz-notify", true),
        ];
        for (path, wanted) in table {
            assert_eq!(stays(Path::new(path), &place), wanted, "{path}");
        }
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        for (version, than, wanted) in [
            ("0.10.0", "0.9.1", true),
            ("0.9.1", "0.10.0", false),
            ("1.0.0", "1.0.0", false),
            ("1.0.0-rc.1", "1.0.0", false),
            ("garbage", "0.1.0", false),
        ] {
            assert_eq!(is_newer(version, than), wanted, "{version} {than}");
        }
    }
}
