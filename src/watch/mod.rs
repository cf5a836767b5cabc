//! The watcher: owner tokens renewed before they expire, the hook's entry in openclaw.json kept true.
//!
//! [`plan`] decides: what was seen of a home ([`plan::World`]), what is remembered of it ([`memory::Memory`]) and the
//! time in; one action, the next wake-up and lines for the log out. It touches nothing, and is tested with a simulated
//! clock and file system.

mod bell;
mod eyes;
pub mod line;
pub mod log;
pub mod memory;
pub mod plan;
mod service_manager;
pub mod status;

pub use bell::Bell;
