//! Signals that end or stop a program, held off while something must not be left half done or is told otherwise.

use nix::unistd::{getpgrp, getsid};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGSTOP, SIGTERM, SIGTSTP, SIGXFSZ};
use signal_hook::{flag, low_level};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

const ENDING: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// What the handlers know; they stay for the rest of the process.
struct Handlers {
    /// How many [`Held`] there are.
    held: AtomicUsize,
    /// Whether a signal ends the process at once, as it does by default.
    may_end: Arc<AtomicBool>,
    /// The last one that came, 0: none.
    came: Arc<AtomicUsize>,
}

/// While one lives, Ctrl-C, SIGTERM, SIGHUP and SIGQUIT are only noted; once the last one is dropped, such a signal
/// ends the process as if it came then.
pub struct Held(&'static Handlers);

/// From now on a write beyond the limit of file sizes (`ulimit -f`) fails, and does not end the process. A handler, as a
/// signal that is ignored would be ignored by the programs that we start too.
pub fn outlive_file_limit() {
    let _ = flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
}

/// Holds the signals off from now on. Not for a program that handles them itself, as `watch` does.
///
/// # Errors
/// Where the system takes no handlers.
pub fn hold() -> io::Result<Held> {
    static HANDLERS: OnceLock<Handlers> = OnceLock::new();
    let handlers = match HANDLERS.get() {
        Some(handlers) => handlers,
        None => {
            let new = install()?;
            HANDLERS.get_or_init(|| new)
        }
    };
    handlers.held.fetch_add(1, Ordering::SeqCst);
    handlers.may_end.store(false, Ordering::SeqCst);
    Ok(Held(handlers))
}

fn install() -> io::Result<Handlers> {
    let (may_end, came) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    for signal in ENDING {
        flag::register_conditional_default(signal, may_end.clone())?;
        flag::register_usize(signal, came.clone(), usize::try_from(signal).unwrap_or_default())?;
    }
    let held = AtomicUsize::new(0);
    Ok(Handlers { held, may_end, came })
}

impl Held {
    /// Whether a signal came that is to end the process.
    pub fn must_end(&self) -> bool {
        self.0.came.load(Ordering::SeqCst) != 0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.0.held.fetch_sub(1, Ordering::SeqCst) > 1 {
            return;
        }
        self.0.may_end.store(true, Ordering::SeqCst);
        if let came @ 1.. = self.0.came.load(Ordering::SeqCst) {
            let _ = low_level::emulate_default_handler(i32::try_from(came).unwrap_or(SIGTERM));
        }
    }
}

/// What the handlers of a stop know; they stay for the rest of the process.
struct StopHandlers {
    /// Whether Ctrl-Z stops the process at once, as it does by default.
    may_stop: Arc<AtomicBool>,
    asked: Arc<AtomicBool>,
    went_on: Arc<AtomicBool>,
}

/// While it lives, Ctrl-Z (SIGTSTP) is only noted, until [`HeldStops::stop`]. One at a time.
pub struct HeldStops(&'static StopHandlers);

/// Holds a stop off from now on.
///
/// # Errors
/// Where the system takes no handlers.
pub fn hold_stops() -> io::Result<HeldStops> {
    static HANDLERS: OnceLock<StopHandlers> = OnceLock::new();
    let handlers = match HANDLERS.get() {
        Some(handlers) => handlers,
        None => {
            let new = install_for_stops()?;
            HANDLERS.get_or_init(|| new)
        }
    };
    handlers.asked.store(false, Ordering::SeqCst);
    handlers.went_on.store(false, Ordering::SeqCst);
    handlers.may_stop.store(false, Ordering::SeqCst);
    Ok(HeldStops(handlers))
}

fn install_for_stops() -> io::Result<StopHandlers> {
    let flag_of = |is_set| Arc::new(AtomicBool::new(is_set));
    let (may_stop, asked, went_on) = (flag_of(true), flag_of(false), flag_of(false));
    if is_a_job() {
        flag::register_conditional_default(SIGTSTP, may_stop.clone())?;
        flag::register(SIGTSTP, asked.clone())?;
    }
    flag::register(SIGCONT, went_on.clone())?;
    Ok(StopHandlers {
        may_stop,
        asked,
        went_on,
    })
}

/// Whether a shell would continue this process: it gives each job a process group. In the group that began the session (a
/// container's, `ssh -t`'s) the system ignores Ctrl-Z, and a handler of ours would stop the process for good. What lies
/// outside of our PID namespace (`bwrap --unshare-pid`'s own) is 0 for both: no job, as nobody here would continue it.
fn is_a_job() -> bool {
    getsid(None).is_ok_and(|session| session != getpgrp())
}

impl HeldStops {
    /// Whether Ctrl-Z was pressed, and nobody has continued the process since.
    pub fn is_asked_for(&self) -> bool {
        self.0.asked.load(Ordering::SeqCst) && !self.0.went_on.load(Ordering::SeqCst)
    }

    /// Stops the process; returns once it goes on.
    pub fn stop(&self) {
        let _ = low_level::raise(SIGSTOP);
        self.0.went_on.store(true, Ordering::SeqCst);
    }

    /// Whether the process went on after a stop, of whatever kind, since this was last asked.
    pub fn went_on(&self) -> bool {
        let went_on = self.0.went_on.swap(false, Ordering::SeqCst);
        if went_on {
            self.0.asked.store(false, Ordering::SeqCst);
        }
        went_on
    }
}

impl Drop for HeldStops {
    fn drop(&mut self) {
        self.0.may_stop.store(true, Ordering::SeqCst);
        if self.is_asked_for() {
            self.stop();
        }
    }
}
