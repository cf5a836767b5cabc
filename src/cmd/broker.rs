//! `broker …`: the process of another user that keeps the owner token, and asks with it for those whom it knows by their
//! user.

pub mod adopt;
mod asker;
mod homes;
mod house;
pub mod log;
mod moving;
pub mod release;
pub mod run;
mod session;
pub mod state;
pub mod totp;
