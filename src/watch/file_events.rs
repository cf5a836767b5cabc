//! File events: which folders are watched for which homes, and which homes something happened to.
//!
//! Folders are watched, never files, so that atomic replaces, deletion and re-creation are all seen. A folder that does
//! not exist is waited for in the nearest one above it that does.

use super::wakeup::Waker;
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A home's number in the watcher's list.
pub(super) type HomeId = usize;

/// A file, or several, whose changes matter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WatchTarget {
    /// The folder that they are in.
    pub folder: PathBuf,
    /// Their name, or how their names begin.
    pub name: Name,
}

/// Which names in a folder matter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    Is(OsString),
    BeginsWith(&'static str),
}

impl Name {
    fn fits(&self, name: &OsStr) -> bool {
        match self {
            Self::Is(wanted) => wanted == name,
            Self::BeginsWith(start) => name.as_encoded_bytes().starts_with(start.as_bytes()),
        }
    }
}

impl WatchTarget {
    /// One file.
    pub fn in_file(path: &Path) -> Option<Self> {
        Some(Self {
            folder: path.parent()?.to_owned(),
            name: Name::Is(path.file_name()?.to_owned()),
        })
    }

    /// The target itself where its folder exists; else the appearance of the next folder on the way to it.
    fn or_nearest(self) -> Self {
        if self.folder.is_dir() {
            return self;
        }
        let missing = self
            .folder
            .ancestors()
            .find(|path| path.parent().is_some_and(Path::is_dir));
        missing.and_then(Self::in_file).unwrap_or(self)
    }
}

/// Watches folders for homes. Where the system has no file events it sees nothing, and says so.
pub(super) struct FileWatcher {
    watcher: Result<RecommendedWatcher, String>,
    shared: Arc<Shared>,
    /// Watched folders, with device and inode: a folder that was replaced is another one.
    watched: HashMap<PathBuf, (u64, u64)>,
    /// What is watched for each home.
    folders: HashMap<HomeId, Vec<PathBuf>>,
}

#[derive(Default)]
struct Shared {
    targets: Mutex<BTreeMap<PathBuf, BTreeMap<HomeId, BTreeSet<Name>>>>,
    touched: Mutex<Touched>,
    /// Folders that went, with all that was in them: whatever stands there now is not watched, even if it has got the
    /// same inode.
    gone: Mutex<Vec<PathBuf>>,
}

/// The homes that something happened to since they were last asked for.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// Events were lost: any home may be.
    pub all: bool,
    /// Their numbers.
    pub homes: BTreeSet<HomeId>,
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole at every moment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FileWatcher {
    /// Wakes the loop at each event that matters. `unavailable`: no file events, as if the system had none.
    pub fn new(waker: Waker, unavailable: bool) -> Self {
        let shared = Arc::new(Shared::default());
        let watcher = if unavailable {
            Err("file events are switched off".to_owned())
        } else {
            let shared = Arc::clone(&shared);
            let handler = move |event: notify::Result<notify::Event>| {
                if shared.take_note(event) {
                    waker.wake();
                }
            };
            RecommendedWatcher::new(handler, notify::Config::default().with_follow_symlinks(false))
                .map_err(|error| in_words(&error))
        };
        Self {
            watcher,
            shared,
            watched: HashMap::new(),
            folders: HashMap::new(),
        }
    }

    /// Watches a home's targets and nothing else for it. `Err`: why not all of it can be watched.
    /// Says whether a folder is watched that was not before: what happened there until now was not seen.
    pub fn watch(&mut self, home: HomeId, targets: impl IntoIterator<Item = WatchTarget>) -> Result<bool, String> {
        let mut wanted: BTreeMap<PathBuf, BTreeSet<Name>> = BTreeMap::new();
        for target in targets {
            let WatchTarget { folder, name } = target.or_nearest();
            // FSEvents tells real paths, inotify those that it was given.
            let folder = match cfg!(target_os = "macos") {
                true => folder.canonicalize().unwrap_or(folder),
                false => folder,
            };
            wanted.entry(folder).or_default().insert(name);
        }
        let watcher = self.watcher.as_mut().map_err(|why| why.clone())?;
        // Not in the loop's head, where it would stay locked: `unwatch` waits for the thread that takes note.
        let gone = std::mem::take(&mut *locked(&self.shared.gone));
        for folder in gone {
            if self.watched.remove(&folder).is_some() {
                let _ = watcher.unwatch(&folder);
            }
        }
        let before = self
            .folders
            .insert(home, wanted.keys().cloned().collect())
            .unwrap_or_default();
        let mut abandoned = Vec::new();
        {
            let mut all = locked(&self.shared.targets);
            for folder in before.into_iter().filter(|folder| !wanted.contains_key(folder)) {
                let others = all.get_mut(&folder).map_or(0, |homes| {
                    homes.remove(&home);
                    homes.len()
                });
                if others == 0 {
                    all.remove(&folder);
                    abandoned.push(folder);
                }
            }
            for (folder, names) in &wanted {
                all.entry(folder.clone()).or_default().insert(home, names.clone());
            }
        }
        for folder in abandoned {
            self.watched.remove(&folder);
            let _ = watcher.unwatch(&folder);
        }
        let mut new = false;
        let mut trouble = None;
        for folder in wanted.into_keys() {
            // Gone since it was asked for: its parent's events, or the next look, will tell.
            let Ok(meta) = std::fs::metadata(&folder) else {
                new = true;
                continue;
            };
            let identity = (meta.dev(), meta.ino());
            if self.watched.get(&folder) == Some(&identity) {
                continue;
            }
            if self.watched.remove(&folder).is_some() {
                let _ = watcher.unwatch(&folder);
            }
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(folder.clone(), identity);
                    new = true;
                }
                Err(error) => trouble = Some(in_words(&error)),
            }
            if let Some(kind) = without_events(&folder) {
                trouble = Some(format!("{} is on {kind}", folder.display()));
            }
        }
        match trouble {
            Some(why) => Err(why),
            None => Ok(new),
        }
    }

    /// Which homes to look at.
    pub fn touched(&self) -> Touched {
        std::mem::take(&mut *locked(&self.shared.touched))
    }
}

impl Shared {
    /// Whether the event is news.
    fn take_note(&self, event: notify::Result<notify::Event>) -> bool {
        let Ok(event) = event else {
            locked(&self.touched).all = true;
            return true;
        };
        match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => {}
            // Reading changes nothing; and we read ourselves.
            EventKind::Access(_) => return false,
            _ => {}
        }
        if event.need_rescan() {
            locked(&self.touched).all = true;
            return true;
        }
        let went = matches!(
            event.kind,
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
        );
        let targets = locked(&self.targets);
        let mut homes: BTreeSet<HomeId> = BTreeSet::new();
        for path in &event.paths {
            if went {
                let inside = targets
                    .range(path.clone()..)
                    .take_while(|(folder, _)| folder.starts_with(path));
                for (folder, here) in inside {
                    homes.extend(here.keys());
                    locked(&self.gone).push(folder.clone());
                }
            }
            homes.extend(targets.get(path).into_iter().flat_map(BTreeMap::keys));
            let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
                continue;
            };
            let here = targets.get(folder).into_iter().flatten();
            let fitting = here.filter(|(_, names)| names.iter().any(|wanted| wanted.fits(name)));
            homes.extend(fitting.map(|(home, _)| home));
        }
        if homes.is_empty() {
            return false;
        }
        let mut touched = locked(&self.touched);
        let before = touched.homes.len();
        touched.homes.extend(homes);
        touched.homes.len() > before
    }
}

/// What stands in the way of file events, without a path that the person did not choose.
fn in_words(error: &notify::Error) -> String {
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => {
            "the system's limit of watched folders is reached (fs.inotify.max_user_watches)".to_owned()
        }
        notify::ErrorKind::Io(error) if error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => {
            "the system's limit of watchers is reached (fs.inotify.max_user_instances)".to_owned()
        }
        _ => error.to_string(),
    }
}

/// The kind of a file system that does not tell of changes made elsewhere (statfs(2)).
#[cfg(target_os = "linux")]
fn without_events(folder: &Path) -> Option<&'static str> {
    let kind = rustix::fs::statfs(folder).ok()?.f_type;
    Some(match u32::try_from(kind).ok()? {
        0x6969 => "NFS",
        0x517b | 0xfe53_4d42 | 0xff53_4d42 => "SMB",
        0x0102_1997 => "9p",
        0x6573_5546 => "FUSE",
        0x00c3_6400 => "Ceph",
        0x5346_414f | 0x6b41_4653 => "AFS",
        0x786f_4256 => "a VirtualBox share",
        0x0bd0_0bd0 => "Lustre",
        0x0116_1970 => "GFS2",
        0x7461_636f => "OCFS2",
        _ => return None,
    })
}

#[cfg(not(target_os = "linux"))]
fn without_events(_folder: &Path) -> Option<&'static str> {
    None
}

#[cfg(test)]
mod tests {
    use super::super::wakeup;
    use super::*;
    use std::fs;
    use std::time::{Duration, Instant};

    /// The home of the marks.
    const MARK: HomeId = 1000;

    struct Watched {
        file_watcher: FileWatcher,
        receiver: wakeup::WakeReceiver,
        dir: tempfile::TempDir,
        /// Events come in their order: once a mark that is set here is seen, all that was done before has been.
        marks: tempfile::TempDir,
    }

    fn watched() -> Watched {
        let (waker, receiver) = wakeup::pair();
        let (dir, marks) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut file_watcher = FileWatcher::new(waker, false);
        let mark = WatchTarget {
            folder: marks.path().to_owned(),
            name: Name::BeginsWith("mark"),
        };
        file_watcher.watch(MARK, [mark]).unwrap();
        Watched {
            file_watcher,
            receiver,
            dir,
            marks,
        }
    }

    impl Watched {
        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn watch(&mut self, home: HomeId, names: &[&str]) -> bool {
            let targets: Vec<WatchTarget> = names
                .iter()
                .map(|name| WatchTarget::in_file(&self.path(name)).unwrap())
                .collect();
            self.file_watcher.watch(home, targets).unwrap()
        }

        /// The homes touched by what `change` does.
        fn seen(&self, change: impl FnOnce()) -> Vec<HomeId> {
            self.settle();
            change();
            self.settle()
        }

        fn settle(&self) -> Vec<HomeId> {
            let mark = tempfile::Builder::new().prefix("mark").tempdir_in(&self.marks);
            let _ = mark.unwrap().keep();
            let (start, mut homes) = (Instant::now(), BTreeSet::new());
            while !homes.remove(&MARK) {
                assert!(start.elapsed() < Duration::from_secs(30), "no events come");
                self.receiver.wait(Duration::from_millis(10));
                homes.extend(self.file_watcher.touched().homes);
            }
            homes.into_iter().collect()
        }
    }

    #[test]
    fn each_way_to_change_a_file_is_seen_and_nothing_else() {
        let mut watched = watched();
        let file = watched.path("openclaw.json");
        fs::write(&file, "{}").unwrap();
        fs::write(watched.path("other"), "{}").unwrap();
        assert!(watched.watch(7, &["openclaw.json"]));
        assert!(!watched.watch(7, &["openclaw.json"]), "nothing new");
        let temp = watched.path("temp");
        assert_eq!(
            watched.seen(|| fs::write(&file, "{ }").unwrap()),
            [7],
            "written in place"
        );
        assert_eq!(watched.seen(|| drop(fs::read(&file).unwrap())), [0usize; 0], "read");
        assert_eq!(
            watched.seen(|| fs::write(watched.path("other"), "x").unwrap()),
            [0usize; 0],
            "another file"
        );
        assert_eq!(
            watched.seen(|| fs::write(&temp, "{}").unwrap()),
            [0usize; 0],
            "a temp file"
        );
        assert_eq!(watched.seen(|| fs::rename(&temp, &file).unwrap()), [7], "replaced");
        assert_eq!(watched.seen(|| fs::remove_file(&file).unwrap()), [7], "deleted");
        assert_eq!(watched.seen(|| fs::write(&file, "{}").unwrap()), [7], "made again");
        let link = watched.seen(|| {
            fs::remove_file(&file).unwrap();
            std::os::unix::fs::symlink("other", &file).unwrap();
        });
        assert_eq!(link, [7], "became a link");
    }

    #[test]
    fn a_folder_that_appears_later_is_waited_for_and_a_replaced_one_is_watched_anew() {
        let mut watched = watched();
        let names = ["a/b/openclaw.json"];
        watched.watch(0, &names);
        assert_eq!(watched.seen(|| fs::create_dir(watched.path("a")).unwrap()), [0]);
        assert!(watched.watch(0, &names));
        assert_eq!(watched.seen(|| fs::create_dir(watched.path("a/b")).unwrap()), [0]);
        assert!(watched.watch(0, &names));
        let write = |watched: &Watched| fs::write(watched.path("a/b/openclaw.json"), "{}").unwrap();
        assert_eq!(watched.seen(|| write(&watched)), [0]);

        assert_eq!(
            watched.seen(|| fs::rename(watched.path("a/b"), watched.path("a/old")).unwrap()),
            [0]
        );
        watched.watch(0, &names);
        assert_eq!(watched.seen(|| fs::create_dir(watched.path("a/b")).unwrap()), [0]);
        assert!(watched.watch(0, &names));
        assert_eq!(watched.seen(|| write(&watched)), [0]);
        assert_eq!(
            watched.seen(|| fs::write(watched.path("a/old/openclaw.json"), "x").unwrap()),
            [0usize; 0]
        );

        // Sooner or later the new folder has the old one's inode.
        for _ in 0..30 {
            let replaced = watched.seen(|| {
                fs::remove_dir_all(watched.path("a")).unwrap();
                fs::create_dir_all(watched.path("a/b")).unwrap();
            });
            assert_eq!(replaced, [0]);
            assert!(watched.watch(0, &names));
            assert_eq!(watched.seen(|| write(&watched)), [0]);
        }
    }

    #[test]
    fn homes_that_share_a_folder_are_told_apart() {
        let mut watched = watched();
        watched.watch(1, &["one"]);
        watched.watch(2, &["two"]);
        assert_eq!(watched.seen(|| fs::write(watched.path("two"), "").unwrap()), [2]);
        watched.watch(2, &["one"]);
        assert_eq!(watched.seen(|| fs::write(watched.path("one"), "").unwrap()), [1, 2]);
        watched.watch(1, &["sub/one"]);
        watched.watch(2, &[]);
        assert_eq!(
            watched.seen(|| fs::write(watched.path("one"), "x").unwrap()),
            [0usize; 0]
        );
        assert_eq!(watched.seen(|| fs::create_dir(watched.path("sub")).unwrap()), [1]);
    }

    #[test]
    fn without_file_events_it_says_why() {
        let (waker, _receiver) = wakeup::pair();
        assert!(FileWatcher::new(waker, true).watch(0, []).is_err());
    }
}
