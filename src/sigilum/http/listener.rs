//! Whose server listens at an address of this machine.
//!
//! Any user of a machine may listen on a port that is free just now, and would be sent whatever is meant for the
//! program that used to be there. Linux tells who has a port: `/proc/net/tcp` and `/proc/net/tcp6` (proc(5)), one line
//! a socket. On other systems nothing of it is known, and nobody is refused.

use crate::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// Whose servers on this machine may be sent a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoopbackTrust {
    /// Ours and root's.
    #[default]
    Ours,
    /// Ours, root's and those of the user with this number.
    OursAnd(u32),
    /// Anyone's: a person said so.
    Anyone,
}

/// Why a server on this machine is sent nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListenerError {
    /// A user whom nobody named listens there.
    #[error("nothing was sent: who listens there is another user of this machine (number {0})")]
    Stranger(u32),
    /// Something answers, and no socket of this machine listens there.
    #[error("nothing was sent: /proc/net/tcp does not tell who listens there")]
    Unlisted,
    /// The list of sockets cannot be read.
    #[error("nothing was sent: /proc/net/tcp cannot be read, so it is not known who listens there")]
    Unreadable,
}

impl ListenerError {
    /// Who listens there, for people.
    pub fn who(&self) -> String {
        match self {
            Self::Stranger(uid) => format!("another user of this machine (number {uid})"),
            Self::Unlisted | Self::Unreadable => "a program that may be another user's".to_owned(),
        }
    }
}

/// A list over this length (about 100,000 sockets) counts as unreadable: the request has a time limit.
const LONGEST_LIST: u64 = 16 << 20;

/// Checks that all who listen at `address`, or at its wildcard, may be sent a secret. Meant for the moment between
/// connecting and the first byte: then the address is the one that is really used.
pub(super) fn check(address: SocketAddr, trust: LoopbackTrust) -> Result<(), ListenerError> {
    if trust == LoopbackTrust::Anyone || !cfg!(target_os = "linux") {
        return Ok(());
    }
    let me = rustix::process::geteuid().as_raw();
    let nameless = crate::process::unknown_users_seen_as();
    let trusted = |uid: u32| {
        let named = uid == 0 || uid == me || trust == LoopbackTrust::OursAnd(uid);
        named && nameless != Some(uid)
    };
    let (tcp, tcp6) = (list("/proc/net/tcp")?, list("/proc/net/tcp6")?);
    // A machine without IPv6 has no second list.
    let tcp = tcp.ok_or(ListenerError::Unreadable)?;
    judge(address, &tcp, &tcp6.unwrap_or_default(), trusted)
}

fn list(path: &str) -> Result<Option<String>, ListenerError> {
    let bytes = fs::read_capped(Path::new(path), LONGEST_LIST).map_err(|_| ListenerError::Unreadable)?;
    bytes
        .map(|bytes| String::from_utf8(bytes).map_err(|_| ListenerError::Unreadable))
        .transpose()
}

fn judge(address: SocketAddr, tcp: &str, tcp6: &str, trusted: impl Fn(u32) -> bool) -> Result<(), ListenerError> {
    let mut found = false;
    // The first line of each list has the columns' names.
    for line in tcp.lines().skip(1).chain(tcp6.lines().skip(1)) {
        let Some(socket) = Socket::parse(line).ok_or(ListenerError::Unreadable)? else {
            continue;
        };
        if socket.takes(address) {
            if !trusted(socket.uid) {
                return Err(ListenerError::Stranger(socket.uid));
            }
            found = true;
        }
    }
    found.then_some(()).ok_or(ListenerError::Unlisted)
}

/// A listening socket.
struct Socket {
    address: IpAddr,
    port: u16,
    uid: u32,
}

impl Socket {
    /// A line of the list; the inner `None` is a socket that does not listen.
    fn parse(line: &str) -> Option<Option<Self>> {
        const LISTENS: &str = "0A";
        let mut fields = line.split_ascii_whitespace().skip(1);
        let local = fields.next()?;
        if fields.nth(1)? != LISTENS {
            return Some(None);
        }
        let uid = fields.nth(3)?.parse().ok()?;
        let (address, port) = local.split_once(':')?;
        Some(Some(Self {
            address: parse_address(address)?,
            port: u16::from_str_radix(port, 16).ok()?,
            uid,
        }))
    }

    /// Whether a connection to this address may end up here. A wildcard of IPv6 takes IPv4 too, unless its program said
    /// otherwise, which the list does not show.
    fn takes(&self, to: SocketAddr) -> bool {
        let wildcard = self.address.is_unspecified() && (self.address.is_ipv6() || to.is_ipv4());
        self.port == to.port() && (self.address == to.ip() || wildcard)
    }
}

/// 8 or 32 hex digits: words of 32 bits, each as this machine keeps the address's bytes in memory.
fn parse_address(text: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(text.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (index, four) in bytes.chunks_mut(4).enumerate() {
                four.copy_from_slice(&word(8 * index)?);
            }
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    /// A list as the kernel of this machine writes it: address, port, state, user.
    fn list_of(sockets: &[(&str, u16, &str, u32)]) -> String {
        let lines = sockets.iter().enumerate().map(|(number, (address, port, state, uid))| {
            let bytes = match address.parse().unwrap() {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            };
            let words = bytes
                .chunks(4)
                .map(|four| u32::from_ne_bytes(four.try_into().unwrap()));
            let address: String = words.map(|word| format!("{word:08X}")).collect();
            let none = "0".repeat(address.len());
            format!(
                "{number:4}: {address}:{port:04X} {none}:0000 {state} 00000000:00000000 00:00000000 00000000 {uid:5}        0 1060 1 000000005a996d72 100 0 0 10 0\n"
            )
        });
        HEAD.to_owned() + &lines.collect::<String>()
    }

    #[test]
    fn the_kernels_own_lines_are_read() {
        let line =
            "   0: 0100007F:2253 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1060 1 0 100";
        let socket = Socket::parse(line).unwrap().unwrap();
        let expected = match cfg!(target_endian = "little") {
            true => "127.0.0.1",
            false => "1.0.0.127",
        };
        assert_eq!(socket.address, expected.parse::<IpAddr>().unwrap());
        assert_eq!((socket.port, socket.uid), (8787, 1000));
    }

    #[test]
    fn every_socket_that_may_be_connected_to_must_be_trusted() {
        const LISTENS: &str = "0A";
        const CONNECTED: &str = "01";
        let v4 = "127.0.0.1:8787";
        let v6 = "[::1]:8787";
        let stranger = Err(ListenerError::Stranger(7));
        let unlisted = Err(ListenerError::Unlisted);
        // address connected to; sockets of user 1000, who is trusted, or 7, who is not; the answer
        type Sockets<'a> = &'a [(&'a str, u16, &'a str, u32)];
        let cases: [(&str, Sockets, Result<(), ListenerError>); 20] = [
            (v4, &[("127.0.0.1", 8787, LISTENS, 1000)], Ok(())),
            (v4, &[("127.0.0.1", 8787, LISTENS, 7)], stranger),
            (v4, &[("0.0.0.0", 8787, LISTENS, 1000)], Ok(())),
            (v4, &[("0.0.0.0", 8787, LISTENS, 7)], stranger),
            (v4, &[("::", 8787, LISTENS, 1000)], Ok(())),
            (v4, &[("::", 8787, LISTENS, 7)], stranger),
            (v4, &[("::ffff:127.0.0.1", 8787, LISTENS, 1000)], Ok(())),
            (v4, &[("::ffff:127.0.0.1", 8787, LISTENS, 7)], stranger),
            (v4, &[("::ffff:0.0.0.0", 8787, LISTENS, 7)], stranger),
            (v4, &[], unlisted),
            (v4, &[("127.0.0.1", 8788, LISTENS, 1000)], unlisted),
            (v4, &[("127.0.0.2", 8787, LISTENS, 1000)], unlisted),
            (v4, &[("::1", 8787, LISTENS, 1000)], unlisted),
            (v4, &[("127.0.0.1", 8787, CONNECTED, 1000)], unlisted),
            (
                v4,
                &[("127.0.0.1", 8787, LISTENS, 1000), ("127.0.0.1", 8787, CONNECTED, 7)],
                Ok(()),
            ),
            (
                v4,
                &[("127.0.0.1", 8787, LISTENS, 1000), ("::", 8787, LISTENS, 7)],
                stranger,
            ),
            ("127.0.0.2:8787", &[("127.0.0.2", 8787, LISTENS, 1000)], Ok(())),
            (v6, &[("::1", 8787, LISTENS, 1000)], Ok(())),
            (v6, &[("::", 8787, LISTENS, 7)], stranger),
            (v6, &[("0.0.0.0", 8787, LISTENS, 1000)], unlisted),
        ];
        for (address, sockets, expected) in cases {
            let (tcp6, tcp): (Vec<_>, Vec<_>) = sockets.iter().copied().partition(|socket| socket.0.contains(':'));
            let answer = judge(address.parse().unwrap(), &list_of(&tcp), &list_of(&tcp6), |uid| {
                uid == 1000
            });
            assert_eq!(answer, expected, "{address} {sockets:?}");
        }
    }

    #[test]
    fn a_list_that_is_not_understood_tells_nothing() {
        for line in [
            "0: 0100007F:2253 00000000:0000 0A 0:0 0:0 0 me",
            "0: 0100007F 00000000:0000 0A 0:0 0:0 0 1000",
            "0: 01007F:2253 00000000:0000 0A 0:0 0:0 0 1000",
            "0: ééé0007F:2253 00000000:0000 0A 0:0 0:0 0 1000",
            "0: 0100007F:2253",
            "\n",
        ] {
            let answer = judge("127.0.0.1:8787".parse().unwrap(), &format!("{HEAD}{line}"), "", |_| {
                true
            });
            assert_eq!(answer, Err(ListenerError::Unreadable), "{line}");
        }
    }
}
