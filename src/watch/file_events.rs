//! File events: which folders are watched for which homes, and which homes something happened to.
//!
//! Folders are watched, never files, so that atomic replaces, deletion and re-creation are all seen. A folder that does
//! not exist is waited for in the nearest one above it that does.

use super::wakeup::Waker;
use crate::fs;
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A home's number in the watcher's list.
pub(super) type HomeId = usize;

/// Watches folders for homes. Where the system has no file events it sees nothing, and says so.
pub(super) struct FileWatcher {
    watcher: Result<RecommendedWatcher, String>,
    news: Arc<Mutex<News>>,
    /// Watched folders, with device and inode: a folder that was replaced is another one.
    watched: HashMap<PathBuf, (u64, u64)>,
    /// What is watched for each home, and the other way round.
    folders: HashMap<HomeId, BTreeSet<PathBuf>>,
    homes: BTreeMap<PathBuf, BTreeSet<HomeId>>,
}

/// What happened since it was last asked for.
#[derive(Default)]
struct News {
    /// Events were lost: anything may have happened.
    lost: bool,
    /// Something happened to what is there or was.
    touched: BTreeSet<PathBuf>,
    /// It went, with all that was in it: whatever stands there now is not watched, even if it has got the same inode.
    gone: BTreeSet<PathBuf>,
}

/// The homes that something happened to since they were last asked for.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// Events were lost: any home may be.
    pub all: bool,
    /// Their numbers.
    pub homes: BTreeSet<HomeId>,
}

fn locked(news: &Mutex<News>) -> MutexGuard<'_, News> {
    // What is behind the lock is whole at every moment.
    news.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FileWatcher {
    /// Wakes the loop at each event that matters. `unavailable`: no file events, as if the system had none.
    pub fn new(waker: Waker, unavailable: bool) -> Self {
        let news = Arc::default();
        let watcher = if unavailable {
            Err("file events are switched off".to_owned())
        } else {
            let news = Arc::clone(&news);
            let handler = move |event: notify::Result<notify::Event>| {
                if locked(&news).take(event) {
                    waker.wake();
                }
            };
            RecommendedWatcher::new(handler, notify::Config::default().with_follow_symlinks(false))
                .map_err(|error| in_words(&error))
        };
        Self {
            watcher,
            news,
            watched: HashMap::new(),
            folders: HashMap::new(),
            homes: BTreeMap::new(),
        }
    }

    /// Watches these folders for a home and no others; a missing one is waited for in the nearest above it. `Err`: why
    /// not all of them can be watched. Says whether one is watched that was not before: what happened there until now
    /// was not seen.
    pub fn watch(&mut self, home: HomeId, folders: impl IntoIterator<Item = PathBuf>) -> Result<bool, String> {
        if let Err(why) = &self.watcher {
            return Err(why.clone());
        }
        let wanted: BTreeSet<PathBuf> = folders.into_iter().map(nearest).collect();
        let before = self.folders.insert(home, wanted.clone()).unwrap_or_default();
        for folder in before.difference(&wanted) {
            let homes = self.homes.entry(folder.clone()).or_default();
            homes.remove(&home);
            if homes.is_empty() {
                self.homes.remove(folder);
                self.unwatch(folder);
            }
        }
        let mut new = false;
        let mut trouble = None;
        for folder in wanted {
            match self.watch_folder(&folder) {
                Ok(is_new) => new |= is_new,
                Err(error) => trouble = Some(in_words(&error)),
            }
            if let Some(kind) = without_events(&folder) {
                trouble = Some(format!("{} is on {kind}", folder.display()));
            }
            self.homes.entry(folder).or_default().insert(home);
        }
        trouble.map_or(Ok(new), Err)
    }

    fn watch_folder(&mut self, folder: &Path) -> notify::Result<bool> {
        // Gone since it was asked for: its parent's events, or the next look, will tell.
        let Ok(meta) = std::fs::metadata(folder) else {
            return Ok(true);
        };
        let identity = (meta.dev(), meta.ino());
        if self.watched.get(folder) == Some(&identity) {
            return Ok(false);
        }
        self.unwatch(folder);
        if let Ok(watcher) = &mut self.watcher {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
        self.watched.insert(folder.to_owned(), identity);
        Ok(true)
    }

    fn unwatch(&mut self, folder: &Path) {
        if self.watched.remove(folder).is_some()
            && let Ok(watcher) = &mut self.watcher
        {
            let _ = watcher.unwatch(folder);
        }
    }

    /// Which homes to look at. Anything that happens in a folder may matter: a look is cheap.
    pub fn touched(&mut self) -> Touched {
        // Not locked any longer than that: `unwatch` waits for the thread that has the news.
        let news = std::mem::take(&mut *locked(&self.news));
        let mut homes = BTreeSet::new();
        for path in &news.touched {
            let around = [Some(path.as_path()), path.parent()].into_iter().flatten();
            homes.extend(around.filter_map(|folder| self.homes.get(folder)).flatten());
        }
        for path in &news.gone {
            let below = self.homes.range(path.clone()..);
            let inside = below.take_while(|(folder, _)| folder.starts_with(path));
            let (gone, here): (Vec<PathBuf>, Vec<_>) = inside.map(|(folder, here)| (folder.clone(), here)).unzip();
            homes.extend(here.into_iter().flatten());
            gone.iter().for_each(|folder| self.unwatch(folder));
        }
        Touched { all: news.lost, homes }
    }
}

impl News {
    /// Takes note of an event; says whether these are the first news.
    fn take(&mut self, event: notify::Result<notify::Event>) -> bool {
        let is_first = !self.lost && self.touched.is_empty();
        let event = match event {
            Ok(event) if !event.need_rescan() => event,
            _ => {
                self.lost = true;
                return is_first;
            }
        };
        match event.kind {
            // A file of ours on its way to its name, which is told too once it has it. On a full disk it never does, and
            // trying would be the cause of the next try.
            _ if !event.paths.is_empty() && event.paths.iter().all(|path| is_on_its_way(path)) => return false,
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => {}
            // Reading changes nothing; and we read ourselves.
            EventKind::Access(_) => return false,
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => self.gone.extend(event.paths.clone()),
            _ => {}
        }
        self.touched.extend(event.paths);
        is_first
    }
}

/// Whether a file has one of our temporary names.
fn is_on_its_way(path: &Path) -> bool {
    path.file_name().and_then(OsStr::to_str).is_some_and(fs::is_temp_name)
}

/// The folder itself, or the nearest one above it that exists.
fn nearest(folder: PathBuf) -> PathBuf {
    let there = folder.ancestors().find(|path| path.is_dir()).map(Path::to_owned);
    let folder = there.unwrap_or(folder);
    // FSEvents tells real paths, inotify those that it was given.
    match cfg!(target_os = "macos") {
        true => folder.canonicalize().unwrap_or(folder),
        false => folder,
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
    use std::cell::RefCell;
    use std::fs;
    use std::time::{Duration, Instant};

    /// The home of the marks.
    const MARK: HomeId = 1000;

    struct Watched {
        file_watcher: RefCell<FileWatcher>,
        receiver: wakeup::WakeReceiver,
        dir: tempfile::TempDir,
        /// Events come in their order: once a mark that is set here is seen, all that was done before has been.
        marks: tempfile::TempDir,
    }

    fn watched() -> Watched {
        let (waker, receiver) = wakeup::pair();
        let (dir, marks) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut file_watcher = FileWatcher::new(waker, false);
        file_watcher.watch(MARK, [marks.path().to_owned()]).unwrap();
        Watched {
            file_watcher: RefCell::new(file_watcher),
            receiver,
            dir,
            marks,
        }
    }

    impl Watched {
        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn watch(&mut self, home: HomeId, folders: &[&str]) -> bool {
            let folders: Vec<PathBuf> = folders.iter().map(|name| self.path(name)).collect();
            self.file_watcher.get_mut().watch(home, folders).unwrap()
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
                homes.extend(self.file_watcher.borrow_mut().touched().homes);
            }
            homes.into_iter().collect()
        }
    }

    #[test]
    fn each_way_to_change_a_file_is_seen_and_reading_is_not() {
        let mut watched = watched();
        fs::create_dir(watched.path("home")).unwrap();
        fs::create_dir(watched.path("home/inside")).unwrap();
        let file = watched.path("home/openclaw.json");
        fs::write(&file, "{}").unwrap();
        assert!(watched.watch(7, &["home"]));
        assert!(!watched.watch(7, &["home"]), "nothing new");
        type Change<'a> = &'a dyn Fn();
        let temp = watched.path("temp");
        let on_its_way = watched.path("home/.sigilum-authz-notify-1-2-3-0123456789abcdef.tmp");
        let cases: [(&str, Change, &[usize]); 10] = [
            (
                "ours, that never got its name",
                &|| {
                    fs::write(&on_its_way, "x").unwrap();
                    fs::remove_file(&on_its_way).unwrap();
                },
                &[],
            ),
            (
                "ours, that got it",
                &|| {
                    fs::write(&on_its_way, "{}").unwrap();
                    fs::rename(&on_its_way, &file).unwrap();
                },
                &[7],
            ),
            ("written in place", &|| fs::write(&file, "{ }").unwrap(), &[7]),
            ("read", &|| drop(fs::read(&file).unwrap()), &[]),
            ("beside the folder", &|| fs::write(&temp, "{}").unwrap(), &[]),
            (
                "further down",
                &|| fs::write(watched.path("home/inside/x"), "x").unwrap(),
                &[],
            ),
            ("replaced", &|| fs::rename(&temp, &file).unwrap(), &[7]),
            ("deleted", &|| fs::remove_file(&file).unwrap(), &[7]),
            ("made again", &|| fs::write(&file, "{}").unwrap(), &[7]),
            (
                "became a link",
                &|| {
                    fs::remove_file(&file).unwrap();
                    std::os::unix::fs::symlink("other", &file).unwrap();
                },
                &[7],
            ),
        ];
        for (name, change, homes) in cases {
            assert_eq!(watched.seen(change), homes, "{name}");
        }
    }

    #[test]
    fn a_folder_that_appears_later_is_waited_for_and_a_replaced_one_is_watched_anew() {
        let mut watched = watched();
        let names = ["a/b"];
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
            // That the old one is gone is told once nobody has it open, perhaps only now: who is touched is looked at again.
            while !watched.settle().is_empty() {
                watched.watch(0, &names);
            }
            assert_eq!(watched.seen(|| write(&watched)), [0]);
        }
    }

    #[test]
    fn of_homes_that_share_a_folder_each_is_told() {
        let mut watched = watched();
        fs::create_dir(watched.path("one")).unwrap();
        fs::create_dir(watched.path("two")).unwrap();
        let write = |watched: &Watched, name: &str| fs::write(watched.path(name), "x").unwrap();
        watched.watch(1, &["one"]);
        watched.watch(2, &["two"]);
        assert_eq!(watched.seen(|| write(&watched, "two/x")), [2]);
        watched.watch(2, &["one", "two"]);
        assert_eq!(watched.seen(|| write(&watched, "one/x")), [1, 2]);
        watched.watch(1, &["sub/one"]);
        watched.watch(2, &[]);
        assert_eq!(watched.seen(|| write(&watched, "one/x")), [0usize; 0]);
        assert_eq!(watched.seen(|| fs::create_dir(watched.path("sub")).unwrap()), [1]);
    }

    #[test]
    fn without_file_events_it_says_why() {
        let (waker, _receiver) = wakeup::pair();
        assert!(FileWatcher::new(waker, true).watch(0, []).is_err());
    }
}
