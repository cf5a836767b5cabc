//! The watcher: owner tokens renewed before they expire, the hook's entry in openclaw.json kept true.
//!
//! [`plan`] decides: what was seen of a home ([`plan::World`]), what is remembered of it ([`memory::Memory`]) and the
//! time in; one action, the next wake-up and lines for the log out. It touches nothing, and is tested with a simulated
//! clock and file system. The machinery around it: `eyes` are told of file events, `world` reads a home, `act` changes
//! it, `home` joins these for one home, [`run`](fn@run) is the loop over all.

mod act;
mod bell;
mod claim;
mod clock;
mod commands;
mod eyes;
mod home;
pub mod line;
pub mod log;
pub mod memory;
pub mod plan;
mod run;
mod seen;
mod service_manager;
pub mod status;
pub mod unit;
mod world;

pub use bell::Bell;
pub use clock::{Clock, SystemClock};
pub use run::{Homes, Options, Watcher, Watching, run, start};
