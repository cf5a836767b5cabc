//! What wakes the watcher's one loop: file events, signals, ended token commands, the one who started it.

use crate::error::{ExitCode, OrFail, Result};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Wakes the loop from any thread. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Waker {
    line: Arc<UnixStream>,
    stop: Arc<AtomicBool>,
}

/// The loop's end of it.
#[derive(Debug)]
pub(super) struct WakeReceiver {
    line: UnixStream,
    hangups: Option<UnixStream>,
    stop: Arc<AtomicBool>,
}

/// What it was woken for since the last time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Woken {
    pub look_again: bool,
}

const LOOK_AGAIN: u8 = b'l';
const SOMETHING: u8 = b's';

/// A waker and its receiver.
pub(super) fn pair() -> Result<(Waker, WakeReceiver)> {
    let what = || "could not make a socket pair".to_owned();
    let (line, heard) = UnixStream::pair().or_fail(ExitCode::Failure, what)?;
    for end in [&line, &heard] {
        end.set_nonblocking(true).or_fail(ExitCode::Failure, what)?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let waker = Waker {
        line: Arc::new(line),
        stop: Arc::clone(&stop),
    };
    let receiver = WakeReceiver {
        line: heard,
        hangups: None,
        stop,
    };
    Ok((waker, receiver))
}

impl Waker {
    /// Ends the watcher: it finishes the write that it is in.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.send(SOMETHING);
    }

    /// Makes it look at everything again.
    pub fn look_again(&self) {
        self.send(LOOK_AGAIN);
    }

    /// Something is to be looked after; where it stands is known elsewhere.
    pub(super) fn wake(&self) {
        self.send(SOMETHING);
    }

    /// Set once the watcher is to end.
    pub(super) fn stopping(&self) -> &Arc<AtomicBool> {
        &self.stop
    }

    fn send(&self, byte: u8) {
        // A full socket wakes anyway.
        let _ = (&*self.line).write(&[byte]);
    }

    /// SIGTERM and SIGINT stop the watcher from now on.
    pub(super) fn stop_on_signals(&self) -> Result<()> {
        let what = || "could not handle signals".to_owned();
        for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
            signal_hook::flag::register(signal, Arc::clone(&self.stop)).or_fail(ExitCode::Failure, what)?;
            let line = self.line.try_clone().or_fail(ExitCode::Failure, what)?;
            signal_hook::low_level::pipe::register(signal, line).or_fail(ExitCode::Failure, what)?;
        }
        Ok(())
    }
}

impl WakeReceiver {
    /// SIGHUP makes the watcher look at everything again from now on.
    pub fn look_again_on_hangup(&mut self) -> Result<()> {
        let what = || "could not handle signals".to_owned();
        let (line, heard) = UnixStream::pair().or_fail(ExitCode::Failure, what)?;
        heard.set_nonblocking(true).or_fail(ExitCode::Failure, what)?;
        signal_hook::low_level::pipe::register(signal_hook::consts::SIGHUP, line).or_fail(ExitCode::Failure, what)?;
        self.hangups = Some(heard);
        Ok(())
    }

    /// Whether the watcher is to end.
    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Waits until it is woken or the time is over, and says what for.
    pub fn wait(&self, timeout: Duration) -> Woken {
        let lines = || std::iter::once(&self.line).chain(&self.hangups);
        let mut fds: Vec<PollFd> = lines().map(|line| PollFd::new(line, PollFlags::IN)).collect();
        let timeout = Timespec::try_from(timeout).ok();
        // An interrupted wait is as good as a short one: the loop looks what there is to do.
        let _ = rustix::event::poll(&mut fds, timeout.as_ref());
        drop(fds);
        let mut woken = Woken::default();
        let mut buffer = [0; 256];
        while let Ok(count @ 1..) = (&self.line).read(&mut buffer) {
            woken.look_again |= buffer[..count].contains(&LOOK_AGAIN);
        }
        if let Some(mut line) = self.hangups.as_ref() {
            while let Ok(1..) = line.read(&mut buffer) {
                woken.look_again = true;
            }
        }
        woken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn wake_ups_are_received_once() {
        let (waker, receiver) = pair().unwrap();
        assert_eq!(receiver.wait(Duration::ZERO), Woken::default());
        (0..100_000).for_each(|_| waker.wake());
        waker.look_again();
        let start = Instant::now();
        receiver.wait(Duration::from_secs(10));
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!(receiver.wait(Duration::ZERO), Woken::default());
        waker.look_again();
        assert!(receiver.wait(Duration::ZERO).look_again);
        assert!(!receiver.stopping());
        waker.stop();
        assert!(receiver.stopping());
    }
}
