//! What may happen between our look at a dead owner's lock and our taking it over.

use super::*;

const NAME: &str = "openclaw.json.lock";
const GUARD: &str = "openclaw.json.lock.reclaim";

#[derive(Debug, PartialEq)]
enum End {
    Ours,
    Waits(Busy),
}

/// A dead owner's lock: nobody has this number, the highest that Linux gives out is below it.
fn dead(created: u32) -> String {
    format!(r#"{{"pid":4194305,"starttime":{created}}}"#)
}

/// Another file of this content in the lock's place.
fn put(lock: &Path, text: &str) {
    let other = lock.with_extension("other");
    std::fs::write(&other, text).unwrap();
    std::fs::rename(other, lock).unwrap();
}

#[test]
fn a_lock_that_changes_while_we_look() {
    type Meanwhile = fn(&Path);
    let alive = Busy::Process {
        pid: 1,
        is_certain: false,
    };
    let cases: [(&str, Meanwhile, End, bool); 10] = [
        ("nothing", |_| (), End::Ours, false),
        (
            "it vanishes",
            |lock| std::fs::remove_file(lock).unwrap(),
            End::Ours,
            false,
        ),
        (
            "a living owner takes it over",
            |lock| std::fs::write(lock, r#"{"pid":1}"#).unwrap(),
            End::Waits(alive.clone()),
            true,
        ),
        (
            "it vanishes, and a living owner takes it",
            |lock| put(lock, r#"{"pid":1}"#),
            End::Waits(alive),
            true,
        ),
        (
            "another takes it and dies at once",
            |lock| put(lock, &dead(6)),
            End::Waits(Busy::Nameless),
            true,
        ),
        (
            "the same content in another file",
            |lock| put(lock, &dead(5)),
            End::Waits(Busy::Nameless),
            true,
        ),
        (
            "another content in the same file",
            |lock| std::fs::write(lock, dead(6)).unwrap(),
            End::Waits(Busy::Nameless),
            true,
        ),
        (
            "it is emptied",
            |lock| std::fs::write(lock, "").unwrap(),
            End::Waits(Busy::Unreadable("it is empty".to_owned())),
            true,
        ),
        (
            "a folder stands there",
            |lock| {
                std::fs::remove_file(lock).unwrap();
                std::fs::create_dir(lock).unwrap();
            },
            End::Waits(Busy::Unreadable(String::new())),
            true,
        ),
        (
            "OpenClaw begins its own takeover",
            |lock| std::fs::create_dir(lock.with_file_name(GUARD)).unwrap(),
            End::Waits(Busy::ForeignGuard { age: 0, empty: true }),
            true,
        ),
    ];
    for (what, meanwhile, expected, stays) in cases {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let lock = dir.path().join(NAME);
        std::fs::write(&lock, dead(5)).unwrap();
        let Seen::Dead(seen) = look(&folder, NAME).unwrap() else {
            panic!("{what}: it is not dead");
        };
        meanwhile(&lock);
        let before = std::fs::read(&lock).ok();
        let end = match reclaim(&folder, NAME, GUARD, &seen).unwrap() {
            Attempt::Taken(..) => End::Ours,
            Attempt::Busy(Busy::Unreadable(why)) if lock.is_dir() => {
                assert!(!why.is_empty());
                End::Waits(Busy::Unreadable(String::new()))
            }
            Attempt::Busy(busy) => End::Waits(busy),
        };
        assert_eq!(end, expected, "{what}");
        assert_eq!(std::fs::read(&lock).ok() == before, stays, "{what}");
        // Our guard is down again; OpenClaw's own stays.
        let guard = matches!(expected, End::Waits(Busy::ForeignGuard { .. }));
        assert_eq!(dir.path().join(GUARD).exists(), guard, "{what}");
        assert_eq!(folder.names().unwrap().len(), 1 + usize::from(guard), "{what}");
    }
}

#[test]
fn a_lock_that_appears_while_we_publish_ours() {
    for (content, busy) in [
        (
            r#"{"pid":1}"#.to_owned(),
            Busy::Process {
                pid: 1,
                is_certain: false,
            },
        ),
        (dead(5), Busy::Nameless),
        (String::new(), Busy::Unreadable("it is empty".to_owned())),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        std::fs::write(dir.path().join(NAME), &content).unwrap();
        let Attempt::Busy(why) = take(&folder, NAME).unwrap() else {
            panic!("{content}: taken");
        };
        assert_eq!(why, busy, "{content}");
        assert_eq!(folder.names().unwrap(), [NAME], "{content}");
    }
}
