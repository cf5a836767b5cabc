//! Token commands: they take their time, so each runs in a thread of its own, a few at once.

use super::file_events::HomeId;
use super::wakeup::Waker;
use crate::error::{ExitCode, OrFail, Result};
use crate::token::token_command::{LIMIT, TokenCommand};
use secrecy::SecretString;
use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

const AT_ONCE: usize = 4;
const STACK_BYTES: usize = 256 * 1024;

/// What a token command printed for a home, or why it did not.
pub(super) type Printed = (HomeId, Result<SecretString>);

pub(super) struct Commands {
    command: Option<TokenCommand>,
    waiting: VecDeque<(HomeId, String)>,
    running: usize,
    done: Receiver<Printed>,
    tell: Sender<Printed>,
    waker: Waker,
}

impl Commands {
    /// The loop is woken when one has ended.
    pub fn new(command: Option<TokenCommand>, waker: Waker) -> Self {
        let (tell, done) = mpsc::channel();
        Self {
            command,
            waiting: VecDeque::new(),
            running: 0,
            done,
            tell,
            waker,
        }
    }

    /// Runs it here and now.
    pub fn run(&self, namespace: &str) -> Option<Result<SecretString>> {
        let command = self.command.as_ref()?;
        Some(command.token(namespace, LIMIT, self.waker.stopping()))
    }

    /// Runs it for a home as soon as others have ended.
    pub fn start(&mut self, home: HomeId, namespace: String) {
        self.waiting.push_back((home, namespace));
        self.start_waiting();
    }

    /// Those that have ended since the last time.
    pub fn ended(&mut self) -> Vec<Printed> {
        let ended: Vec<Printed> = self.done.try_iter().collect();
        self.running -= ended.len();
        self.start_waiting();
        ended
    }

    /// Waits for those that run, which end when the watcher is stopped.
    pub fn wait_for_end(&mut self, at_most: Duration) {
        self.waiting.clear();
        for _ in 0..self.running {
            if self.done.recv_timeout(at_most).is_err() {
                return;
            }
        }
    }

    fn start_waiting(&mut self) {
        while self.running < AT_ONCE
            && let Some(command) = &self.command
            && let Some((home, namespace)) = self.waiting.pop_front()
        {
            let (command, tell, waker) = (command.clone(), self.tell.clone(), self.waker.clone());
            let work = move || {
                let printed = command.token(&namespace, LIMIT, waker.stopping());
                // The watcher has ended if nobody listens.
                let _ = tell.send((home, printed));
                waker.wake();
            };
            self.running += 1;
            let thread = std::thread::Builder::new()
                .name("token-command".to_owned())
                .stack_size(STACK_BYTES);
            let what = || "could not start a thread for the token command".to_owned();
            if let Err(error) = thread.spawn(work).or_fail(ExitCode::Failure, what) {
                let _ = self.tell.send((home, Err(error)));
                self.waker.wake();
            }
        }
    }
}
