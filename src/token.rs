//! The owner token: where it comes from, what it says, where it lies, how long it lives.

pub mod claims;
mod hs256;
pub mod lifetime;
pub mod paste;
pub mod record;
pub mod source;
pub mod store;
pub mod times;
pub mod token_command;
