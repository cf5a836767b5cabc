//! The broker: a process of another user that keeps the owner token and asks with it, so that nobody who has a shell
//! as the OpenClaw gateway's user can read it. [`protocol`] is what goes over its socket, [`peers`] says who is at the
//! other end, [`seats`] how many may be, [`strangers`] who may not, [`hide`] what no answer may hold, [`deciding`] who
//! decides, [`codes`] what a code of a second factor is worth and [`totp`] where it is kept; [`client`] is the side that
//! asks.
//!
//! Nothing here knows what a question means: that is `cmd`'s.

pub mod client;
pub mod codes;
pub mod deciding;
pub mod hide;
pub mod peers;
pub mod protocol;
pub mod seats;
pub mod strangers;
pub mod stream;
pub mod totp;
