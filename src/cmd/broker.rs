//! `broker …`: the process of another user that keeps the owner token, and asks with it for those whom it knows by their
//! user.

mod asker;
mod house;
pub mod run;
mod session;
