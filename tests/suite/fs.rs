//! What lies on disk after the one way to write a file, and what it refuses.

use sigilum_authz_notify::error::ExitCode;
use sigilum_authz_notify::fs::{
    FileLock, Folder, create_private_dir, is_temp_name, lock_sigilum, read_capped, read_private, remove,
    remove_empty_folder, write_private,
};
use sigilum_authz_notify::home::OpenClawHome;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

fn temp() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn place(home: &Path) -> OpenClawHome {
    OpenClawHome::at(home.to_owned())
}

#[test]
fn a_write_leaves_one_private_file_and_nothing_else() {
    let dir = temp();
    let path = dir.path().join("token");
    for text in ["first", "second, longer", "x", ""] {
        write_private(&path, text.as_bytes()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!(mode(&path), 0o600);
    }
    assert_eq!(names(dir.path()), ["token"]);
}

#[test]
fn the_same_bytes_again_write_nothing_but_a_loose_mode_is_mended() {
    let dir = temp();
    let path = dir.path().join("token");
    write_private(&path, b"same").unwrap();
    let before = fs::metadata(&path).unwrap();
    write_private(&path, b"same").unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_eq!((before.ino(), before.mtime_nsec()), (after.ino(), after.mtime_nsec()));

    chmod(&path, 0o644);
    write_private(&path, b"same").unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_ne!(fs::metadata(&path).unwrap().ino(), before.ino());
}

#[test]
fn a_planted_link_is_replaced_and_what_it_points_at_stays() {
    let dir = temp();
    let victim = dir.path().join("victim");
    let path = dir.path().join("token");
    type Plant = fn(&Path, &Path);
    let plants: [(&str, Plant); 3] = [
        ("symlink", |from, to| symlink(from, to).unwrap()),
        ("hard link", |from, to| fs::hard_link(from, to).unwrap()),
        ("dangling symlink", |from, to| {
            symlink(from.with_extension("none"), to).unwrap()
        }),
    ];
    for (what, plant) in plants {
        fs::write(&victim, "untouched").unwrap();
        let _ = fs::remove_file(&path);
        plant(&victim, &path);
        let refused = read_private(&path, 100).unwrap_err();
        assert_eq!(refused.code, ExitCode::Failure, "{what}");
        assert!(refused.to_string().contains(path.to_str().unwrap()), "{refused}");
        // The same bytes as the victim's: still not taken for the file that we want.
        write_private(&path, b"untouched").unwrap();
        let (link, target) = (fs::symlink_metadata(&path).unwrap(), fs::metadata(&victim).unwrap());
        assert!(
            link.is_file() && link.ino() != target.ino() && link.nlink() == 1,
            "{what}"
        );
        write_private(&path, b"new").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched", "{what}");
        assert!(!victim.with_extension("none").exists());
        assert_eq!(read_private(&path, 100).unwrap().unwrap(), b"new");
    }
}

#[test]
fn reading_refuses_what_others_could_have_written_and_never_waits() {
    let dir = temp();
    let path = dir.path().join("secret");
    assert!(read_private(&path, 10).unwrap().is_none());
    assert!(read_private(&dir.path().join("no/such/folder"), 10).unwrap().is_none());
    fs::write(&path, "0123456789").unwrap();
    chmod(&path, 0o644);
    assert_eq!(read_private(&path, 10).unwrap().unwrap(), b"0123456789");
    assert!(read_private(&path, 9).unwrap_err().to_string().contains("over 9 bytes"));
    assert!(read_capped(&path, 9).unwrap_err().to_string().contains("over 9 bytes"));
    // A group that we are not in. Without root there is none.
    let root = rustix::process::geteuid().is_root();
    if root {
        chown(&path, None, Some(4242)).unwrap();
    }
    for loose in [0o602, 0o666].into_iter().chain(root.then_some(0o620)) {
        chmod(&path, loose);
        assert!(
            read_private(&path, 10)
                .unwrap_err()
                .to_string()
                .contains("others may write")
        );
    }
    fs::remove_file(&path).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    chmod(&path, 0o600);
    assert!(
        read_private(&path, 10)
            .unwrap_err()
            .to_string()
            .contains("not a regular file")
    );
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(
        read_private(&path, 10)
            .unwrap_err()
            .to_string()
            .contains("not a regular file")
    );
}

#[test]
fn a_folder_where_others_could_replace_the_file_is_refused_and_never_chmodded() {
    let dir = temp();
    let folder = dir.path().join("above/folder");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("token");
    // A group that we are not in. Without root there is none.
    let root = rustix::process::geteuid().is_root();
    if root {
        chown(&folder, None, Some(4242)).unwrap();
        chown(dir.path().join("above"), None, Some(4242)).unwrap();
    }
    // Mode of the folder, mode of the one above it, who is to lose the right to write where a write is refused.
    let table = [
        (0o700, 0o755, None),
        (0o755, 0o755, None),
        (0o1777, 0o755, None),
        (0o700, 0o1777, None),
        (0o777, 0o755, Some("go")),
        (0o770, 0o755, Some("g")),
        (0o702, 0o755, Some("o")),
        (0o700, 0o777, Some("go")),
        (0o700, 0o775, Some("g")),
    ];
    for (own, above, refused) in table {
        if !root && refused.is_some_and(|who| who.contains('g')) {
            continue;
        }
        chmod(&folder, own);
        chmod(&dir.path().join("above"), above);
        let written = write_private(&path, format!("{own:o}{above:o}").as_bytes());
        assert_eq!(written.is_ok(), refused.is_none(), "{own:o} in {above:o}: {written:?}");
        if let (Err(error), Some(who)) = (written, refused) {
            assert!(error.to_string().contains(&format!("next: chmod {who}-w ")), "{error}");
        }
        // A reader loses nothing there: the file itself is ours.
        assert!(read_private(&path, 100).unwrap().is_some());
        assert_eq!(mode(&folder), own);
        assert_eq!(names(&folder), ["token"]);
    }
}

#[test]
fn folders_that_we_make_are_private_and_those_that_are_there_stay() {
    let dir = temp();
    chmod(dir.path(), 0o755);
    let deep = dir.path().join("a/b/.sigilum");
    create_private_dir(&deep).unwrap();
    for folder in ["a", "a/b", "a/b/.sigilum"] {
        assert_eq!(mode(dir.path().join(folder)), 0o700);
    }
    chmod(&deep, 0o750);
    create_private_dir(&deep).unwrap();
    assert_eq!(mode(&deep), 0o750);
    assert_eq!(mode(dir.path()), 0o755);

    fs::write(dir.path().join("file"), "").unwrap();
    assert!(create_private_dir(&dir.path().join("file")).is_err());
    assert!(create_private_dir(&dir.path().join("file/below")).is_err());
    symlink(dir.path().join("nowhere"), dir.path().join("dangling")).unwrap();
    assert!(create_private_dir(&dir.path().join("dangling")).is_err());
    assert!(!dir.path().join("nowhere").exists());
}

#[test]
fn our_folder_as_a_planted_link_is_refused() {
    let dir = temp();
    let elsewhere = dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, dir.path().join(".sigilum")).unwrap();
    let path = dir.path().join(".sigilum/token");
    assert!(
        write_private(&path, b"x")
            .unwrap_err()
            .to_string()
            .contains("symbolic link")
    );
    assert!(
        lock_sigilum(&place(dir.path()))
            .unwrap_err()
            .to_string()
            .contains("symbolic link")
    );
    fs::write(elsewhere.join("token"), "planted").unwrap();
    assert!(read_private(&path, 100).is_err());
    assert_eq!(names(&elsewhere), ["token"]);
}

#[test]
fn leftovers_of_dead_runs_go_and_everything_else_stays() {
    let dir = temp();
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let dead = child.id();
    child.wait().unwrap();
    // The name of a temporary file as we make it, to be copied with another process number in it.
    let folder = Folder::open(dir.path()).unwrap();
    let live = folder.temp().unwrap();
    let us = std::process::id().to_string();
    let mut parts: Vec<_> = live.name().split('-').map(str::to_owned).collect();
    let at = parts.iter().position(|part| *part == us).unwrap();
    let mut named = |pid: u32, start: Option<&str>, namespace: Option<&str>| {
        let old = parts.clone();
        parts[at] = pid.to_string();
        if let Some(start) = start {
            parts[at + 1] = start.to_owned();
        }
        if let Some(namespace) = namespace {
            parts[at + 2] = namespace.to_owned();
        }
        std::mem::replace(&mut parts, old).join("-")
    };
    let dead_file = named(dead, None, None);
    let reused = named(std::process::id(), Some("1"), None);
    let container = named(dead, None, Some("42"));
    let dead_folder = dead_file
        .replace(".tmp", "")
        .replace(&dead_file[dead_file.len() - 8..dead_file.len() - 4], "beef")
        + ".tmp";
    for name in [&dead_file, &reused, &container] {
        fs::write(dir.path().join(name), "left").unwrap();
    }
    fs::create_dir(dir.path().join(&dead_folder)).unwrap();
    fs::write(dir.path().join(&dead_folder).join("owner"), "").unwrap();
    let strangers = [
        ".sigilum-authz-notify-1.tmp".to_owned(),
        ".sigilum-authz-notify-notes.tmp".to_owned(),
        dead_file.replace(".tmp", ".txt"),
        format!("{dead_file}.tmp"),
    ];
    for name in &strangers {
        fs::write(dir.path().join(name), "mine").unwrap();
    }
    assert!(is_temp_name(&dead_file) && strangers.iter().all(|name| !is_temp_name(name)));

    write_private(&dir.path().join("token"), b"x").unwrap();
    let mut expected: Vec<String> = strangers.to_vec();
    expected.extend(["token".to_owned(), live.name().to_owned(), container]);
    expected.sort();
    assert_eq!(names(dir.path()), expected);
}

#[test]
fn what_another_program_wrote_outlives_a_run_that_was_killed_in_its_swap() {
    let dir = temp();
    let path = |name: &str| dir.path().join(name);
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let dead = child.id();
    child.wait().unwrap();
    fs::write(path("config"), "old").unwrap();
    let folder = Folder::open(dir.path()).unwrap();
    let old = folder.stat("config").unwrap().unwrap();
    let left = || {
        let mut temp = folder.temp().unwrap();
        temp.fill(b"new", 0o600, None).unwrap();
        temp.expect(&old).unwrap();
        let name = temp
            .name()
            .replace(&format!("-{}-", std::process::id()), &format!("-{dead}-"));
        fs::rename(path(temp.name()), path(&name)).unwrap();
        name
    };
    // Killed before the swap, after it, and after one that brought out another program's file.
    left();
    fs::rename(path("config"), path(&left())).unwrap();
    let others = left();
    fs::write(path("theirs"), "theirs").unwrap();
    fs::rename(path("theirs"), path(&others)).unwrap();
    assert_eq!((folder.leftovers().len(), folder.kept()), (2, vec![others]));
    write_private(&path("token"), b"x").unwrap();
    let kept = folder.kept();
    assert_eq!(names(dir.path()), [&kept[0], "token"]);
    assert!(kept[0].starts_with("sigilum-authz-notify-kept-"), "{kept:?}");
    assert_eq!(fs::read_to_string(path(&kept[0])).unwrap(), "theirs");
}

#[test]
fn root_gives_files_and_folders_to_the_homes_owner() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = temp();
    let home = dir.path().join("home");
    fs::create_dir(&home).unwrap();
    chown(&home, Some(4242), Some(4243)).unwrap();
    let place = place(&home.join(".openclaw"));
    let lock = lock_sigilum(&place).unwrap();
    let token = place.sigilum_dir().join("token");
    lock.write_private(&token, b"x").unwrap();
    for path in [
        place.home.clone(),
        place.sigilum_dir(),
        place.sigilum_dir().join("lock"),
        token.clone(),
    ] {
        let meta = fs::symlink_metadata(&path).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (4242, 4243), "{}", path.display());
        assert_eq!(meta.mode() & 0o077, 0, "{}", path.display());
    }
    assert_eq!(read_private(&token, 10).unwrap().unwrap(), b"x");
    // A file that root itself left there goes to the owner with the next write.
    chown(&token, Some(0), Some(0)).unwrap();
    lock.write_private(&token, b"x").unwrap();
    assert_eq!(fs::metadata(&token).unwrap().uid(), 4242);
    // A third person's folder above, or file within, is not trusted.
    chown(&token, Some(4999), Some(4999)).unwrap();
    assert!(
        read_private(&token, 10)
            .unwrap_err()
            .to_string()
            .contains("another user")
    );
    chown(&home, Some(4999), Some(4999)).unwrap();
    assert!(
        lock.write_private(&token, b"y")
            .unwrap_err()
            .to_string()
            .contains("another user")
    );
}

#[test]
fn our_lock_keeps_others_out_until_it_ends_and_says_who_has_it() {
    let dir = temp();
    let place = place(&dir.path().join(".openclaw"));
    let path = place.sigilum_dir().join("lock");
    let lock = lock_sigilum(&place).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert!(FileLock::try_acquire(&path, None).unwrap().is_none());
    assert_eq!(FileLock::holder(&path), Some(std::process::id()));
    let waiter = std::thread::spawn({
        let place = place.clone();
        move || lock_sigilum(&place).map(drop)
    });
    std::thread::sleep(Duration::from_millis(50));
    assert!(!waiter.is_finished());
    drop(lock);
    waiter.join().unwrap().unwrap();

    // A lock on a file that lost its name keeps nobody out, and is not taken for the lock.
    let lost = FileLock::try_acquire(&path, None).unwrap().unwrap();
    fs::remove_file(&path).unwrap();
    assert!(FileLock::try_acquire(&path, None).unwrap().is_some());
    drop(lost);
    // Nor is one made or signed in a folder that is not whose it must be, as one that was swapped.
    fs::remove_file(&path).unwrap();
    let owner = fs::metadata(place.sigilum_dir()).unwrap().uid();
    let error = FileLock::try_acquire(&path, Some(owner + 1)).unwrap_err().to_string();
    assert!(error.contains("another user"), "{error}");
    assert!(!path.exists());
    drop(FileLock::try_acquire(&path, Some(owner)).unwrap().unwrap());

    fs::remove_file(&path).unwrap();
    let victim = dir.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    for plant in [symlink::<&PathBuf, &PathBuf>, fs::hard_link] {
        let _ = fs::remove_file(&path);
        plant(&victim, &path).unwrap();
        assert!(lock_sigilum(&place).is_err());
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    }
}

#[test]
fn eight_threads_change_two_files_together() {
    let dir = temp();
    let place = place(dir.path());
    let (a, b) = (place.sigilum_dir().join("a"), place.sigilum_dir().join("b"));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (place, a, b) = (&place, &a, &b);
            scope.spawn(move || {
                for round in 0..5 {
                    let lock = lock_sigilum(place).unwrap();
                    assert_eq!(fs::read(a).ok(), fs::read(b).ok());
                    let text = format!("{thread} {round}");
                    lock.write_private(a, text.as_bytes()).unwrap();
                    lock.write_private(b, text.as_bytes()).unwrap();
                }
            });
        }
    });
    assert_eq!(names(&place.sigilum_dir()), ["a", "b", "lock"]);
}

/// As `hook uninstall --purge` ends while other commands wait.
#[test]
fn the_lock_is_taken_though_its_folder_goes_again_and_again() {
    let dir = temp();
    let place = place(dir.path());
    let (folder, a) = (place.sigilum_dir(), dir.path().join("a"));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (place, folder, a) = (&place, &folder, &a);
            scope.spawn(move || {
                for round in 0..50 {
                    let lock = lock_sigilum(place).unwrap();
                    let text = format!("{thread} {round}");
                    fs::write(a, &text).unwrap();
                    std::thread::yield_now();
                    assert_eq!(fs::read_to_string(a).unwrap(), text, "two had the lock");
                    remove(&folder.join("lock")).unwrap();
                    drop(lock);
                    remove_empty_folder(folder).unwrap();
                }
            });
        }
    });
}

#[test]
fn our_lock_is_free_once_the_other_command_has_ended() {
    let folder = temp();
    let path = folder.path().join("lock");
    let held = FileLock::try_acquire(&path, None).unwrap().unwrap();
    let told = FileLock::acquire(&path, None, Duration::from_millis(1)).unwrap_err();
    assert_eq!(told.code, ExitCode::LockHeld);
    assert_eq!(
        told.step().as_deref(),
        Some("wait for the other command to end, and run this one again")
    );
    drop(held);
    FileLock::acquire(&path, None, Duration::from_millis(1)).unwrap();
}
