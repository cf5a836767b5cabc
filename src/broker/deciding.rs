//! Whether somebody who asks over the socket decides. What the OpenClaw gateway says of a sender, or that it confirmed
//! them, is worth nothing here: an agent that runs as its user says the same. A code of the owner's own is what counts.

use super::codes::Verdict;
use super::totp;
use crate::error::Result;
use crate::home::OpenClawHome;
use crate::hook::command::{Code, May, NotDeciding};
use crate::time;

/// Who decides over a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deciding {
    /// Nobody.
    Nobody,
    /// Whoever has a code, for whom this user asks.
    ByCode(u32),
}

impl Deciding {
    /// What one may do who is recorded to decide, and asks over the socket.
    pub fn may(self) -> May {
        match self {
            Self::Nobody => May::Read(NotDeciding::Broker),
            Self::ByCode(_) => May::DecideByCode,
        }
    }
}

/// Looks at a code, under the lock of decisions; where it counts it is spent, on the disk, once this returns. Else it says
/// why it does not, in words that tell nothing of what would.
///
/// # Errors
/// Codes cannot be looked at.
pub fn spend(place: &OpenClawHome, code: &Code) -> Result<std::result::Result<(), String>> {
    Ok(match totp::take(place, &code.digits().into(), time::now())? {
        Verdict::Right => Ok(()),
        Verdict::Wrong => {
            Err("the code does not count. Each counts once, and for a short time: take a new one".to_owned())
        }
        Verdict::Locked(until) => Err(format!(
            "too many wrong codes were given, so none counts until {}. The broker's user can lift that in a terminal: \
             sigilum-authz-notify broker totp unlock",
            time::rfc3339(until)
        )),
    })
}
