//! What changes together with openclaw.json: nobody finds the one without the other, whenever Ctrl-C comes.

use crate::error::{ExitCode, OrFail, Result};
use crate::fs::OwnLock;
use crate::process::signals::{self, Held};
use std::cell::Cell;

/// The other files' change. It is done once, as soon as nothing has to be waited for any more; from then on a signal
/// that is to end the process waits until this is dropped.
pub struct Together<'a> {
    /// Our lock on the home.
    pub lock: &'a OwnLock,
    change: &'a dyn Fn() -> Result<()>,
    begun: Cell<bool>,
    succeeded: Cell<bool>,
    held: Cell<Option<Held>>,
}

impl<'a> Together<'a> {
    /// Nothing is done yet.
    pub fn new(lock: &'a OwnLock, change: &'a dyn Fn() -> Result<()>) -> Self {
        Self {
            lock,
            change,
            begun: Cell::new(false),
            succeeded: Cell::new(false),
            held: Cell::new(None),
        }
    }

    /// Does it, unless it is done.
    pub fn run(&self) -> Result<()> {
        if self.begun.replace(true) {
            return Ok(());
        }
        let held = signals::hold().or_fail(ExitCode::Failure, || "could not handle signals".to_owned())?;
        self.held.set(Some(held));
        (self.change)()?;
        self.succeeded.set(true);
        Ok(())
    }

    /// Whether it was done, and did not fail.
    pub fn is_done(&self) -> bool {
        self.succeeded.get()
    }
}
