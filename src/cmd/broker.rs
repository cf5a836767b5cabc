//! `broker …`: the process of another user that keeps the owner token, and asks with it for those whom it knows by their
//! user (`run`, `house`, `session`, `asker`). The side that asks: `remote` for a person's command, `gateway` and `link` for
//! what OpenClaw starts.

pub mod adopt;
mod asker;
pub mod gateway;
mod homes;
mod house;
pub mod link;
pub mod log;
mod moving;
pub mod release;
pub mod remote;
pub mod run;
mod session;
pub mod state;
pub mod totp;
mod unit;
