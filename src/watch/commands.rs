//! Token commands: they take their time, so a few threads run them.

use super::file_events::HomeId;
use super::wakeup::Waker;
use crate::error::{ExitCode, OrFail, Result};
use crate::token::token_command::{LIMIT, TokenCommand};
use secrecy::SecretString;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const AT_ONCE: usize = 4;
const STACK_BYTES: usize = 256 * 1024;

/// What a token command printed for a home, or why it did not.
pub(super) type Printed = (HomeId, Result<SecretString>);

/// The token command's threads; none where there is no token command.
pub(super) struct Commands {
    /// The homes, and the namespaces, that it is to run for.
    wanted: Option<Sender<(HomeId, String)>>,
    printed: Receiver<Printed>,
}

impl Commands {
    /// The loop is woken when one has ended.
    pub fn new(command: Option<TokenCommand>, waker: &Waker) -> Result<Self> {
        let (sender, wanted) = mpsc::channel::<(HomeId, String)>();
        let (tell, printed) = mpsc::channel();
        let wanted = Arc::new(Mutex::new(wanted));
        for _ in 0..AT_ONCE {
            let Some(command) = command.clone() else { break };
            let (wanted, tell, waker) = (Arc::clone(&wanted), tell.clone(), waker.clone());
            let next = move || wanted.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let work = move || {
                while let Ok((home, namespace)) = next()
                    && !waker.is_stopping()
                {
                    let printed = command.token(&namespace, LIMIT, waker.stopping());
                    // The watcher has ended if nobody listens.
                    let _ = tell.send((home, printed));
                    waker.wake();
                }
            };
            let thread = std::thread::Builder::new()
                .name("token-command".to_owned())
                .stack_size(STACK_BYTES);
            let what = || "could not start a thread for the token command".to_owned();
            thread.spawn(work).or_fail(ExitCode::Failure, what)?;
        }
        Ok(Self {
            wanted: Some(sender),
            printed,
        })
    }

    /// Runs it for a home as soon as others have ended.
    pub fn start(&self, home: HomeId, namespace: String) {
        if let Some(wanted) = &self.wanted {
            let _ = wanted.send((home, namespace));
        }
    }

    /// Those that have ended since the last time.
    pub fn ended(&self) -> Vec<Printed> {
        self.printed.try_iter().collect()
    }

    /// Waits for one; `None` where the watcher is to end.
    pub fn wait(&self) -> Option<Printed> {
        self.printed.recv().ok()
    }

    /// Waits for those that run, which end when the watcher is stopped.
    pub fn wait_for_end(&mut self, at_most: Duration) {
        self.wanted = None;
        while self.printed.recv_timeout(at_most).is_ok() {}
    }
}
