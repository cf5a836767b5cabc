//! What must hold whatever bytes come in. The fuzz targets feed these checks arbitrary ones, `tests/suite/fuzz_replay.rs`
//! (which includes this file) those of `corpus/`. Each takes one input and panics where something does not hold.
//!
//! They use the program's public interface only, and decide by readers that share no line with it.

#![forbid(unsafe_code)]

mod checkout_files;
#[path = "../../crates/json5-edit/tests/suite/comments.rs"]
mod comments;
mod edit;
mod event;
mod input;
mod json5_edit;
mod lock;
mod notice;
mod token;
mod undo;

pub use checkout_files::check as checkout_files;
pub use edit::check as edit;
pub use event::check as event;
pub use json5_edit::check as json5_edit;
pub use lock::check as lock;
pub use notice::check as notice;
pub use token::check as token;
pub use undo::check as undo;
