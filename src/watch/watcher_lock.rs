//! One watcher a home: an advisory lock on `<home>/.sigilum/watch.lock`, held as long as the home is served.

use crate::error::{Error, ExitCode, Result};
use crate::fs::FileLock;
use crate::home::OpenClawHome;
use crate::watch::status;

/// What the program that the OpenClaw gateway keeps for the plugin says of itself in the lock.
const PLUGIN: &str = "plugin";

/// The lock.
pub(super) struct WatcherLock(FileLock);

impl WatcherLock {
    /// Makes us the home's only watcher. Its `.sigilum` is there. `is_plugins`: this process is the plugin's program.
    /// `flags`: what a command is given to act on this home, with a blank before it.
    ///
    /// # Errors
    /// [`ExitCode::AnotherWatcher`], saying who holds it; or the lock cannot be made.
    pub fn acquire(place: &OpenClawHome, is_plugins: bool, flags: &str) -> Result<Self> {
        let path = place.watch_lock_file();
        if let Some(lock) = FileLock::try_acquire(&path, place.anothers())? {
            if is_plugins {
                lock.sign_as(PLUGIN);
            }
            return Ok(Self(lock));
        }
        let (who, home) = (who(place), place.home.display());
        let error = Error::new(
            ExitCode::AnotherWatcher,
            format!("could not watch, {who} serves this home: {home}"),
        );
        if is_held_by_plugin(place) {
            return Err(error.next(format!(
                "leave the home to it; how it stands: sigilum-authz-notify auth status{flags}"
            )));
        }
        // Its number alone may be that of another process here, where it runs in another container.
        let holder = FileLock::holder(&path);
        let watch = status::read(place).filter(|watch| Some(watch.pid) == holder);
        let end = watch.map_or_else(|| "end it where it runs".to_owned(), |watch| watch.how_to_end());
        Err(error.next(format!("{end}; or leave the home to it")))
    }

    /// Whether it still keeps others out: a lock on a file that was removed with its folder does not.
    pub fn holds(&self, place: &OpenClawHome) -> bool {
        self.0.has_name(&place.watch_lock_file())
    }
}

/// Who has the lock that was not to be had.
pub(super) fn who(place: &OpenClawHome) -> String {
    let holder = FileLock::holder(&place.watch_lock_file());
    let process = holder.map_or_else(String::new, |pid| format!(" (process {pid})"));
    match is_held_by_plugin(place) {
        true => format!("the plugin's program in the OpenClaw gateway{process}"),
        false => format!("another watcher{process}"),
    }
}

/// Whether whoever has that lock is the plugin's program, which ends with the OpenClaw gateway.
pub(super) fn is_held_by_plugin(place: &OpenClawHome) -> bool {
    FileLock::is_signed_as(&place.watch_lock_file(), PLUGIN)
}
