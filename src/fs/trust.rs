//! Whose hands a folder and the files in it are in.
//!
//! Trusted are root, our own user, the owner of the OpenClaw home, and a group that we are in and nobody else is. So a
//! home works that a kubelet gave to its `fsGroup`, one of a random user in group 0, and one of a private group.

use super::accounts::{Accounts, user_name};
use super::failure::failed;
use super::folder::{Folder, is_regular, permissions};
use crate::error::{Error, ExitCode, OrFail, Result};
use rustix::fs::{Mode, Stat};
use rustix::process::{getegid, geteuid, getgroups};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a person said `SIGILUM_TRUST_HOME=1`: that whoever can write there is trusted.
static LIFTED: AtomicBool = AtomicBool::new(false);

/// From now on, whoever can write to a folder or a file is trusted.
pub fn trust_all_writers() {
    LIFTED.store(true, Ordering::Relaxed);
}

fn is_lifted() -> bool {
    LIFTED.load(Ordering::Relaxed)
}

/// Refuses a folder in which someone who is not trusted could replace a file of ours: one that he owns, or may write
/// to without the sticky bit; so for every folder above it, since who can rename a folder can replace all that is in
/// it.
pub(super) fn refuse_open_to_others(folder: &Folder) -> Result<()> {
    let Some(hole) = Trusted::with(folder).hole(folder)? else {
        return Ok(());
    };
    Err(hole.refusal(folder.path()))
}

/// Refuses a program that a record names, if somebody else than root and ourselves could have put it there, or could
/// change it.
pub fn refuse_anothers_program(path: &Path) -> Result<()> {
    let refused = refuse_anothers(path, Trusted { owner: None }, || {
        format!("could not trust the program: {}", path.display())
    });
    refused
        .map_err(|error| error.told(|step| step.replace(OWN_FOLDER, "use a program that only you and root can change")))
}

/// The same of a file that another program keeps, as this user or as the user whose home it is in.
pub fn refuse_anothers_file(path: &Path) -> Result<()> {
    let what = || {
        format!(
            "could not trust the file, others may have written it: {}",
            path.display()
        )
    };
    let folder = path.parent().unwrap_or(path);
    let folder = Folder::open(folder).map_err(|error| failed(what(), folder, error))?;
    refuse_anothers(path, Trusted::with(&folder), what)
}

fn refuse_anothers(path: &Path, trusted: Trusted, what: impl Fn() -> String) -> Result<()> {
    let real = path.canonicalize().or_fail(ExitCode::Failure, &what)?;
    let stat = rustix::fs::stat(&real).or_fail(ExitCode::Failure, &what)?;
    let mut hole = trusted.hole_in(&real, &stat);
    for folder in [path.parent(), real.parent()].into_iter().flatten() {
        hole = match hole {
            None => trusted.hole_above(folder, folder)?,
            known => known,
        };
    }
    hole.map_or(Ok(()), |hole| Err(hole.error(what())))
}

/// Refuses a program that anybody but root could have put there, or could change: what runs as a user of its own is not
/// to be the work of whoever prints its unit.
pub fn refuse_program_not_of_root(path: &Path) -> Result<()> {
    let what = || {
        format!(
            "could not use the program, others than root can change it: {}",
            path.display()
        )
    };
    let real = path.canonicalize().or_fail(ExitCode::Failure, what)?;
    for (at, part) in real.ancestors().enumerate() {
        let stat = rustix::fs::stat(part).or_fail(ExitCode::Failure, what)?;
        if stat.st_uid != 0 || is_open_beside_root(&stat, at > 1) {
            let why = format!("{} is not root's alone", part.display());
            return Err(Error::new(ExitCode::Failure, what()).because(anyhow::Error::msg(why)));
        }
    }
    Ok(())
}

/// Whether its mode lets others than root change it. `is_above`: it is a folder in which the sticky bit helps.
fn is_open_beside_root(stat: &Stat, is_above: bool) -> bool {
    let mode = permissions(stat);
    let is_roots_group = stat.st_gid == 0 && mode & 0o002 == 0;
    mode & 0o022 != 0 && !(is_above && mode & 0o1000 != 0) && !is_roots_group
}

/// The commands after which only root can change a program that is to be in this folder, and `program` in it where that
/// is given.
pub fn make_roots(folder: &Path, program: Option<&Path>) -> Vec<String> {
    let real = folder.canonicalize().ok();
    let there = real
        .as_deref()
        .or_else(|| folder.ancestors().find(|part| part.is_dir()));
    let folders = there.into_iter().flat_map(Path::ancestors).enumerate();
    let folders = folders.map(|(at, part)| (part, at > 0 || real.is_none()));
    let mut parts: Vec<_> = program
        .map(|program| (program, false))
        .into_iter()
        .chain(folders)
        .collect();
    // From above: who can change a folder can change what is in it.
    parts.reverse();
    let mut commands = Vec::new();
    for (part, is_above) in parts {
        let Ok(stat) = rustix::fs::stat(part) else { continue };
        if stat.st_uid != 0 {
            commands.push(format!("sudo chown root {}", quoted(part)));
        }
        if is_open_beside_root(&stat, is_above) {
            commands.push(format!("sudo chmod go-w {}", quoted(part)));
        }
    }
    if real.is_none() {
        commands.push(format!("sudo mkdir -p {}", quoted(folder)));
    }
    commands
}

/// The same of a folder that is not there yet, by what it would be made in: a refusal is to leave nothing behind.
pub(super) fn refuse_new_among_others(path: &Path) -> Result<()> {
    let there = path.ancestors().find(|path| path.is_dir());
    let Some(there) = there.filter(|there| *there != path) else {
        return Ok(());
    };
    let what = || format!("could not make the folder: {}", path.display());
    let folder = Folder::open(there).map_err(|error| failed(what(), there, error))?;
    let home = home_of(path).and_then(|home| rustix::fs::stat(home).ok());
    let trusted = match home {
        Some(stat) => Trusted {
            owner: Some(stat.st_uid),
        },
        None => Trusted::with(&folder),
    };
    match trusted.hole_above(folder.path(), path)? {
        Some(hole) => Err(hole.refusal(path)),
        None => Ok(()),
    }
}

/// Whether someone who is not trusted with this home may write to a folder, or could put another one in its place; also
/// where nobody can tell.
pub fn others_can_write(folder: &Folder, home: &Path) -> bool {
    let trusted = Trusted {
        owner: rustix::fs::stat(home).ok().map(|stat| stat.st_uid),
    };
    let open = rustix::fs::stat(folder.path()).is_ok_and(|stat| trusted.open_bits(&stat) != 0);
    (open && !is_lifted()) || !matches!(trusted.hole(folder), Ok(None))
}

/// How someone who is not trusted could replace files.
struct Hole {
    why: String,
    /// What this user can do about it.
    next: String,
}

impl Hole {
    fn refusal(self, folder: &Path) -> Error {
        self.error(format!(
            "could not use the folder, others could replace files in it: {}",
            folder.display()
        ))
    }

    fn error(self, what: String) -> Error {
        Error::new(ExitCode::Failure, what)
            .because(anyhow::Error::msg(self.why))
            .next(self.next)
    }
}

/// What this user can do about a folder. `mode`: the bits that let others write, and the folder's owner.
fn way_out(path: &Path, mode: Option<(u32, u32)>) -> String {
    let me = geteuid();
    match mode {
        Some((bits, owner)) if me.is_root() || owner == me.as_raw() => {
            let who = match (bits & 0o020, bits & 0o002) {
                (0, _) => "o",
                (_, 0) => "g",
                _ => "go",
            };
            format!("chmod {who}-w {}", quoted(path))
        }
        _ => format!("{OWN_FOLDER}, or, if you trust everybody who can write there: export SIGILUM_TRUST_HOME=1"),
    }
}

/// What this user can do where somebody else's folder is in the way.
const OWN_FOLDER: &str = "use a folder of your own";

/// A `chmod 700` of this path, where this user may do that; else a look at whose it is.
pub fn chmod(command: &str, path: &Path) -> String {
    let Some(owner) = owner_alone(path) else {
        return format!("{command} {}", quoted(path));
    };
    format!("ls -ld {}; only {} may change its mode", quoted(path), user_name(owner))
}

/// The user who alone can change a path's mode, besides root, where that is not this one.
fn owner_alone(path: &Path) -> Option<u32> {
    let me = geteuid();
    let owner = rustix::fs::stat(path).ok()?.st_uid;
    (!me.is_root() && owner != me.as_raw()).then_some(owner)
}

/// Whether this user can change a path's mode.
pub fn may_chmod(path: &Path) -> bool {
    owner_alone(path).is_none()
}

/// Whether a folder of ours should be 0700 and is not. One that a kubelet made, or another program, may be open to a group
/// that is trusted.
pub fn is_loose_folder(path: &Path) -> bool {
    let Ok(stat) = rustix::fs::stat(path) else { return false };
    let in_trusted_hands = || Folder::open(path).is_ok_and(|folder| Trusted::with(&folder).group(stat.st_gid));
    let counts = match may_chmod(path) || !in_trusted_hands() {
        true => 0o077,
        false => 0o007,
    };
    permissions(&stat) & counts != 0 && !is_open_without_modes(path)
}

/// Why a file may be someone else's work; `None` where it is to be believed.
pub(super) fn disbelief(folder: &Folder, stat: &Stat) -> Option<String> {
    if stat.st_nlink > 1 {
        return Some(format!("it has {} names (hard links)", stat.st_nlink));
    }
    if is_lifted() {
        return None;
    }
    let trusted = Trusted::with(folder);
    if !trusted.user(stat.st_uid) {
        Some(format!("it belongs to another user (number {})", stat.st_uid))
    } else if trusted.open_bits(stat) != 0 && !has_no_modes(folder.path()) {
        Some(format!("others may write to it (mode {:04o})", permissions(stat)))
    } else {
        None
    }
}

/// Makes the files in a folder of ours private again: others may read one after somebody's chmod, and a kubelet lets the
/// pod's group write. A file that is not believed stays as it is, or it would be believed from now on.
pub(super) fn mend(folder: &Folder, is_ours: impl Fn(&str) -> bool) {
    let loose = |stat: &Stat| is_regular(stat) && permissions(stat) & 0o077 != 0 && disbelief(folder, stat).is_none();
    for name in folder.names().unwrap_or_default() {
        if is_ours(&name)
            && folder.stat(&name).is_ok_and(|stat| stat.as_ref().is_some_and(loose))
            && let Some(file) = folder.hold(&name)
            && rustix::fs::fstat(&file).is_ok_and(|stat| loose(&stat))
        {
            // Only its owner and root can; the next write replaces it anyway.
            let _ = rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR);
        }
    }
}

/// Whether someone who is not trusted may read a file.
pub(super) fn readable_by_others(folder: &Folder, stat: &Stat) -> bool {
    let mode = permissions(stat);
    let group = mode & 0o040 != 0 && !Trusted::with(folder).group(stat.st_gid);
    (group || mode & 0o004 != 0) && !has_no_modes(folder.path())
}

/// Whom we trust with what is in a folder, besides root and ourselves.
struct Trusted {
    /// The home's owner. Outside of homes, as root, the folder's own: what a person has may be in his folders.
    owner: Option<u32>,
}

impl Trusted {
    fn with(folder: &Folder) -> Self {
        let home = home_of(folder.path()).and_then(|home| rustix::fs::stat(home).ok());
        let own = || geteuid().is_root().then(|| folder.owner().uid);
        Self {
            owner: home.map(|stat| stat.st_uid).or_else(own),
        }
    }

    /// Whose it is, where that is somebody who is not trusted.
    fn hole_of_owner(&self, path: &Path, stat: &Stat) -> Option<Hole> {
        (!self.user(stat.st_uid)).then(|| Hole {
            why: format!("{} belongs to another user (number {})", path.display(), stat.st_uid),
            next: way_out(path, None),
        })
    }

    /// Who else may write to it.
    fn hole_of_mode(&self, path: &Path, stat: &Stat) -> Option<Hole> {
        let bits = self.open_bits(stat);
        let mode = permissions(stat);
        (bits != 0 && !has_no_modes(path)).then(|| Hole {
            why: format!("others may write to {} (mode {mode:04o})", path.display()),
            next: way_out(path, Some((bits, stat.st_uid))),
        })
    }

    /// How someone else could have written a file.
    fn hole_in(&self, file: &Path, stat: &Stat) -> Option<Hole> {
        let hole = || self.hole_of_owner(file, stat).or_else(|| self.hole_of_mode(file, stat));
        (!is_lifted()).then(hole).flatten()
    }

    /// How someone else could replace files in a folder; `None` where nobody could.
    fn hole(&self, folder: &Folder) -> Result<Option<Hole>> {
        self.hole_above(folder.path(), folder.path())
    }

    /// The same of a folder that may not be there yet, from the one on that is.
    fn hole_above(&self, there: &Path, folder: &Path) -> Result<Option<Hole>> {
        if is_lifted() {
            return Ok(None);
        }
        for path in there.ancestors() {
            let stat = rustix::fs::stat(path).or_fail(ExitCode::Failure, || {
                format!("could not look at the folder: {}", path.display())
            })?;
            // What leads to the folder is root's as a rule, and in a sandbox root may have another number.
            let roots = path != folder && Some(stat.st_uid) == crate::process::root_seen_as();
            let of_owner = || self.hole_of_owner(path, &stat).filter(|_| !roots);
            let is_sticky = permissions(&stat) & 0o1000 != 0;
            let of_mode = || self.hole_of_mode(path, &stat).filter(|_| !is_sticky);
            if let Some(hole) = of_owner().or_else(of_mode) {
                return Ok(Some(hole));
            }
        }
        Ok(None)
    }

    fn user(&self, uid: u32) -> bool {
        uid == 0 || uid == geteuid().as_raw() || Some(uid) == self.owner
    }

    /// Which of the bits 022 let someone write who is not trusted.
    fn open_bits(&self, stat: &Stat) -> u32 {
        let bits = permissions(stat) & 0o022;
        if bits & 0o020 != 0 && self.group(stat.st_gid) {
            bits & 0o002
        } else {
            bits
        }
    }

    /// Group 0 is trusted as root is. Else nobody may be in it who is not trusted, and somebody must be who is.
    fn group(&self, gid: u32) -> bool {
        // The files of macOS tell nothing of the groups that people are in: `staff`, `everyone`, `admin`.
        if gid == 0 || cfg!(target_os = "macos") {
            return gid == 0;
        }
        let ours =
            getegid().as_raw() == gid || getgroups().is_ok_and(|groups| groups.iter().any(|own| own.as_raw() == gid));
        Accounts::of_this_machine().is_some_and(|accounts| {
            let members = accounts.in_group(gid);
            let trusted = |member: &Option<u32>| member.is_some_and(|uid| self.user(uid));
            (ours || !members.is_empty()) && members.iter().all(trusted)
        })
    }
}

/// The OpenClaw home that a folder of ours belongs to.
fn home_of(folder: &Path) -> Option<&Path> {
    let ours = folder
        .ancestors()
        .find(|path| path.file_name().is_some_and(|name| name == ".sigilum"));
    let hook = || {
        folder
            .ends_with("hooks/sigilum-authz-notify")
            .then(|| folder.parent())
            .flatten()
    };
    ours.or_else(hook)?.parent()
}

/// Whether a folder seems to be everybody's only because its file system keeps no modes.
pub fn is_open_without_modes(folder: &Path) -> bool {
    rustix::fs::stat(folder).is_ok_and(|stat| permissions(&stat) & 0o002 != 0) && has_no_modes(folder)
}

/// Whether a folder's file system keeps no modes, so that what it shows says nothing of who may write.
#[cfg(target_os = "linux")]
fn has_no_modes(folder: &Path) -> bool {
    // FAT, exFAT, NTFS, SMB and CIFS, 9p (Windows drives in WSL), and the shared folders of VirtualBox and VMware.
    const KINDS: [u32; 9] = [
        0x4d44,
        0x2011_bab0,
        0x7366_746e,
        0xff53_4d42,
        0xfe53_4d42,
        0x517b,
        0x0102_1997,
        0x786f_4256,
        0xbacb_acbc,
    ];
    // In user space some keep modes (sshfs), and some none (ntfs-3g).
    const FUSE: u32 = 0x6573_5546;
    let kind = rustix::fs::statfs(folder).map(|about| about.f_type as u32);
    kind.is_ok_and(|kind| KINDS.contains(&kind) || kind == FUSE && shows_other_modes(folder))
}

/// Whether a new file of 0600 shows as one that others may write: whoever it is, it is not its mode that says so.
#[cfg(target_os = "linux")]
fn shows_other_modes(path: &Path) -> bool {
    let folder = Folder::open(path).or_else(|_| Folder::open(path.parent().unwrap_or(path)));
    let shown = folder.and_then(|folder| folder.temp()?.stat());
    shown.is_ok_and(|stat| permissions(&stat) & 0o022 != 0)
}

/// Elsewhere nobody told us of any.
#[cfg(not(target_os = "linux"))]
fn has_no_modes(_: &Path) -> bool {
    false
}

/// A path as a shell takes it.
pub fn quoted(path: &Path) -> String {
    shell_words::quote(&path.to_string_lossy()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_ours_knows_its_home() {
        let table = [
            ("/h/.openclaw/.sigilum", Some("/h/.openclaw")),
            ("/h/.openclaw/.sigilum/plugin", Some("/h/.openclaw")),
            ("/h/.openclaw/hooks/sigilum-authz-notify", Some("/h/.openclaw")),
            ("/h/.sigilum/x/.sigilum", Some("/h/.sigilum/x")),
            ("/h/.openclaw/hooks", None),
            ("/h", None),
            ("/", None),
        ];
        for (folder, home) in table {
            assert_eq!(home_of(Path::new(folder)), home.map(Path::new), "{folder}");
        }
    }
}
