//! Whom the commands trust as the Sigilum gateway on this machine, and how a person says so.

use crate::cmd::context;
use crate::fs;
use crate::home::OpenClawHome;
use crate::settings::Owner;
use crate::sigilum::http::LoopbackTrust;
use std::os::unix::fs::MetadataExt;

/// Whose Sigilum gateway on this machine may get the admin token and the secrets. What another user's home says is
/// nothing to go by.
pub fn trust(owner: &Owner, place: &OpenClawHome) -> LoopbackTrust {
    let me = rustix::process::geteuid().as_raw();
    match std::fs::metadata(&place.home) {
        Ok(home) if home.uid() == me => owner.loopback_trust(place),
        _ => LoopbackTrust::Ours,
    }
}

/// The login that says so; as root in another user's home, it is that user who trusts it and runs the command.
pub fn how_to_trust(owner: &Owner, place: &OpenClawHome) -> String {
    let mut owner = owner.clone();
    if let Some(record) = &owner.record {
        owner.mode.value = record.mode;
    }
    let log_in = context::first_login_command(&owner, place, " --trust-loopback");
    match place.anothers() {
        None => log_in,
        Some(uid) => {
            let user = fs::sudo_as(uid);
            let log_in = context::begun_with(&format!("{user} sigilum-authz-notify"), &log_in);
            let home = fs::quoted(&place.home);
            format!("{log_in} --openclaw-home {home}; and run this command with {user} too")
        }
    }
}
