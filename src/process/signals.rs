//! Signals that end a program, held off while something must not be left half done or is told otherwise.

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ};
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
