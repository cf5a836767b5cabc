//! One watcher a home: an advisory lock on `<home>/.sigilum/watch.lock`, held as long as the home is served.

use crate::error::{Error, ExitCode, Result};
use crate::fs::FileLock;
use crate::home::OpenClawHome;

/// The lock.
pub(super) struct WatcherLock(FileLock);

impl WatcherLock {
    /// Makes us the home's only watcher. Its `.sigilum` is there.
    ///
    /// # Errors
    /// [`ExitCode::AnotherWatcher`], saying who holds it; or the lock cannot be made.
    pub fn acquire(place: &OpenClawHome) -> Result<Self> {
        let path = place.watch_lock_file();
        match FileLock::try_acquire(&path, place.anothers())? {
            Some(lock) => Ok(Self(lock)),
            None => {
                let holder = FileLock::holder(&path);
                let who = holder.map_or_else(String::new, |pid| format!(" (process {pid})"));
                let end = holder.map_or_else(|| "end it".to_owned(), |pid| format!("kill {pid}"));
                let home = place.home.display();
                Err(Error::new(
                    ExitCode::AnotherWatcher,
                    format!("could not watch, another watcher{who} serves this home: {home}"),
                )
                .next(format!("{end}; or leave the home to it")))
            }
        }
    }

    /// Whether it still keeps others out: a lock on a file that was removed with its folder does not.
    pub fn holds(&self, place: &OpenClawHome) -> bool {
        self.0.has_name(&place.watch_lock_file())
    }
}
