//! Who is at the other end of a Unix socket, and whether they may ask.

use crate::fs;
use std::io;
use std::os::unix::net::UnixStream;

/// The process at the other end, by the system's word: of a client as it was when it connected, of a server when it began
/// to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its user's number.
    pub uid: u32,
    /// Its group's number.
    pub gid: u32,
}

/// The other end of a connection.
///
/// # Errors
/// Where the system does not say.
#[cfg(target_os = "linux")]
pub fn peer(stream: &UnixStream) -> io::Result<Peer> {
    let credentials = rustix::net::sockopt::socket_peercred(stream)?;
    Ok(Peer {
        uid: credentials.uid.as_raw(),
        gid: credentials.gid.as_raw(),
    })
}

/// The other end of a connection.
///
/// # Errors
/// Where the system does not say.
#[cfg(not(target_os = "linux"))]
pub fn peer(stream: &UnixStream) -> io::Result<Peer> {
    let (uid, gid) = nix::unistd::getpeereid(stream)?;
    Ok(Peer {
        uid: uid.as_raw(),
        gid: gid.as_raw(),
    })
}

/// Who may ask, besides root and the broker's own user, who can read its folder anyway.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    /// These users.
    pub uids: Vec<u32>,
    /// The users of these groups: by the group that they run in, or as group(5) lists them.
    pub gids: Vec<u32>,
}

impl Allowed {
    /// Whether they may.
    pub fn allows(&self, peer: Peer) -> bool {
        let ours = [0, rustix::process::geteuid().as_raw()];
        let in_group = |gid: &u32| *gid == peer.gid || fs::is_in_group(peer.uid, *gid);
        ours.contains(&peer.uid) || self.uids.contains(&peer.uid) || self.gids.iter().any(in_group)
    }
}
