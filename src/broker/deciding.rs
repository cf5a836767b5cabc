//! Whether somebody who asks over the socket decides. What the OpenClaw gateway says of a sender, or that it confirmed
//! them, is worth nothing here: an agent that runs as its user says the same.

use crate::hook::command::{May, NotDeciding};

/// What one may do who is recorded to decide, and asks over the socket.
pub fn over_the_socket() -> May {
    May::Read(NotDeciding::Broker)
}
