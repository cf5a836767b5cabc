//! What wakes the watcher's one loop: file events, signals, ended token commands, the one who started it.

use crate::error::{ExitCode, OrFail, Result};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Rings from any thread. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bell {
    line: Arc<UnixStream>,
    stop: Arc<AtomicBool>,
}

/// The loop's end.
#[derive(Debug)]
pub(super) struct Ear {
    line: UnixStream,
    hangups: Option<UnixStream>,
    stop: Arc<AtomicBool>,
}

/// What was heard since the last time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    pub look_again: bool,
}

const LOOK_AGAIN: u8 = b'l';
const SOMETHING: u8 = b's';

/// A bell and its ear.
pub(super) fn pair() -> Result<(Bell, Ear)> {
    let what = || "could not make a socket pair".to_owned();
    let (line, heard) = UnixStream::pair().or_fail(ExitCode::Failure, what)?;
    for end in [&line, &heard] {
        end.set_nonblocking(true).or_fail(ExitCode::Failure, what)?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let bell = Bell {
        line: Arc::new(line),
        stop: Arc::clone(&stop),
    };
    let ear = Ear {
        line: heard,
        hangups: None,
        stop,
    };
    Ok((bell, ear))
}

impl Bell {
    /// Ends the watcher: it finishes the write that it is in.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.ring(SOMETHING);
    }

    /// Makes it look at everything again.
    pub fn look_again(&self) {
        self.ring(LOOK_AGAIN);
    }

    /// Something is to be looked after; where it stands is known elsewhere.
    pub(super) fn wake(&self) {
        self.ring(SOMETHING);
    }

    /// Set once the watcher is to end.
    pub(super) fn stopping(&self) -> &Arc<AtomicBool> {
        &self.stop
    }

    fn ring(&self, byte: u8) {
        // A full line rings anyway.
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

impl Ear {
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

    /// Waits until the bell rings or the time is over, and says what was heard.
    pub fn listen(&self, timeout: Duration) -> Heard {
        let lines = || std::iter::once(&self.line).chain(&self.hangups);
        let mut fds: Vec<PollFd> = lines().map(|line| PollFd::new(line, PollFlags::IN)).collect();
        let timeout = Timespec::try_from(timeout).ok();
        // An interrupted wait is as good as a short one: the loop looks what there is to do.
        let _ = rustix::event::poll(&mut fds, timeout.as_ref());
        drop(fds);
        let mut heard = Heard::default();
        let mut buffer = [0; 256];
        while let Ok(count @ 1..) = (&self.line).read(&mut buffer) {
            heard.look_again |= buffer[..count].contains(&LOOK_AGAIN);
        }
        if let Some(mut line) = self.hangups.as_ref() {
            while let Ok(1..) = line.read(&mut buffer) {
                heard.look_again = true;
            }
        }
        heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn rings_are_heard_once() {
        let (bell, ear) = pair().unwrap();
        assert_eq!(ear.listen(Duration::ZERO), Heard::default());
        (0..100_000).for_each(|_| bell.wake());
        bell.look_again();
        let start = Instant::now();
        ear.listen(Duration::from_secs(10));
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!(ear.listen(Duration::ZERO), Heard::default());
        bell.look_again();
        assert!(ear.listen(Duration::ZERO).look_again);
        assert!(!ear.stopping());
        bell.stop();
        assert!(ear.stopping());
    }
}
