//! Tells a person what is waited for, once it takes longer than a second.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// So long nothing is said.
const SILENCE: Duration = Duration::from_secs(1);

static TELL: OnceLock<fn(&str)> = OnceLock::new();

/// How a person is told, from now on; without it nobody is. The first one counts.
pub fn tell_with(tell: fn(&str)) {
    let _ = TELL.set(tell);
}

/// One wait, which may take so long at most.
#[derive(Debug)]
pub struct Waiting {
    since: Instant,
    at_most: Duration,
    told: bool,
}

impl Waiting {
    /// It begins now.
    pub fn begin(at_most: Duration) -> Self {
        Self {
            since: Instant::now(),
            at_most,
            told: false,
        }
    }

    /// Tells what is waited for, if it is time to; to be called again and again.
    pub fn goes_on(&mut self, what: impl FnOnce() -> String) {
        let waited = self.since.elapsed();
        if !self.told && waited >= SILENCE {
            self.told = true;
            tell(&what(), self.at_most.saturating_sub(waited));
        }
    }
}

/// The same for a wait that is counted, not timed: `waited` is how long it took so far, `step` how long since the last
/// call.
pub fn went_on(waited: Duration, step: Duration, at_most: Duration, what: &str) {
    if waited >= SILENCE && waited - step < SILENCE {
        tell(what, at_most.saturating_sub(waited));
    }
}

fn tell(what: &str, left: Duration) {
    if let Some(tell) = TELL.get() {
        tell(&format!("waiting for {what}; {} s more at most", left.as_secs().max(1)));
    }
}
