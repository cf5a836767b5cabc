//! What wakes a loop that waits: one channel of the standard library's, into which file events, ended work and signals
//! go. The watcher's is here; `serve` has one of its own, with the same signals.

use crate::error::{ExitCode, OrFail, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

/// Wakes the watcher's loop from any thread. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Waker {
    sender: Sender<Wake>,
    stop: Arc<AtomicBool>,
}

/// The loop's end of it.
#[derive(Debug)]
pub(super) struct WakeReceiver(Receiver<Wake>);

/// What the loop is woken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wake {
    /// Where it stands is known elsewhere.
    Something,
    LookAgain,
}

/// A waker and its receiver.
pub(super) fn pair() -> (Waker, WakeReceiver) {
    let (sender, receiver) = mpsc::channel();
    let stop = Arc::default();
    (Waker { sender, stop }, WakeReceiver(receiver))
}

impl Waker {
    /// Ends the watcher: it finishes the write that it is in.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// Makes it look at everything again.
    pub fn look_again(&self) {
        self.send(Wake::LookAgain);
    }

    pub(super) fn wake(&self) {
        self.send(Wake::Something);
    }

    /// Set once the watcher is to end.
    pub(super) fn stopping(&self) -> &Arc<AtomicBool> {
        &self.stop
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn send(&self, wake: Wake) {
        // A loop that has ended needs no waking.
        let _ = self.sender.send(wake);
    }

    /// From now on SIGTERM and SIGINT stop the watcher.
    pub(super) fn stop_on_signals(&self) -> Result<()> {
        let waker = self.clone();
        on_signals(&[SIGTERM, SIGINT], move || waker.stop())
    }

    /// From now on SIGHUP makes it look at everything again.
    pub(super) fn look_again_on_hangup(&self) -> Result<()> {
        let waker = self.clone();
        on_signals(&[SIGHUP], move || waker.look_again())
    }
}

impl WakeReceiver {
    /// Waits until it is woken or the time is over; says whether everything is to be looked at again.
    pub fn wait(&self, timeout: Duration) -> bool {
        let first = self.0.recv_timeout(timeout);
        first
            .into_iter()
            .chain(self.0.try_iter())
            .fold(false, |again, wake| again | (wake == Wake::LookAgain))
    }
}

/// Does `what` at each of these signals from now on, in a thread of its own.
pub fn on_signals(signals: &[i32], what: impl Fn() + Send + 'static) -> Result<()> {
    const STACK_BYTES: usize = 128 * 1024;
    let failed = || "could not handle signals".to_owned();
    let (mut heard, line) = UnixStream::pair().or_fail(ExitCode::Failure, failed)?;
    for signal in signals {
        let line = line.try_clone().or_fail(ExitCode::Failure, failed)?;
        signal_hook::low_level::pipe::register(*signal, line).or_fail(ExitCode::Failure, failed)?;
    }
    let listen = move || {
        while heard.read_exact(&mut [0]).is_ok() {
            what();
        }
    };
    let thread = std::thread::Builder::new()
        .name("signals".to_owned())
        .stack_size(STACK_BYTES);
    thread.spawn(listen).or_fail(ExitCode::Failure, failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn wake_ups_are_received_once() {
        let (waker, receiver) = pair();
        assert!(!receiver.wait(Duration::ZERO));
        (0..100_000).for_each(|_| waker.wake());
        waker.look_again();
        let start = Instant::now();
        assert!(receiver.wait(Duration::from_secs(10)));
        assert!(start.elapsed() < Duration::from_secs(5));
        assert!(!receiver.wait(Duration::ZERO));
        waker.look_again();
        assert!(receiver.wait(Duration::ZERO));
        assert!(!waker.is_stopping());
        waker.stop();
        assert!(waker.is_stopping());
    }
}
