//! Whose server is at the other end of a connection to this machine.
//!
//! Any user of a machine may listen on a port that is free just now, and would be sent whatever is meant for the
//! program that used to be there. Linux tells who has a port: `/proc/net/tcp` and `/proc/net/tcp6` (proc(5)), one line
//! a socket. On other systems nothing of it is known, and nobody is refused.

use crate::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

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
    /// Root listens there, and this user has the other end of the connection. Perhaps root's server, whose socket has
    /// this inode, hands its work on; known only of one that was there before the connection was made.
    #[error("nothing was sent: root listens there, but who answers is another user of this machine (number {0})")]
    Handed(u32, u64),
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
            Self::Stranger(uid) | Self::Handed(uid, _) => format!("another user of this machine (number {uid})"),
            Self::Unlisted | Self::Unreadable => "a program that may be another user's".to_owned(),
        }
    }
}

/// A list over this length (about 100,000 sockets) counts as unreadable: the request has a time limit.
const LONGEST_LIST: u64 = 16 << 20;

/// How often the lists are looked at until they show a connection, and how long is waited in between: the other end of
/// one that was just made may stand in none of them yet.
const LOOKS: usize = 10;
const PAUSE: Duration = Duration::from_millis(20);

/// A connection to this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    /// Our end.
    pub ours: SocketAddr,
    /// The server's end.
    pub theirs: SocketAddr,
}

/// Checks that a server on this machine may be sent a secret over this connection. Meant for the moment between
/// connecting and the first byte.
///
/// Who listens there now need not be who took the connection: a stranger may have taken it, given the port free and
/// kept the connection. So whoever has the other end must be trusted, and whoever listens there too. While nobody has
/// taken the connection it waits at one of those who listen: closing that listener would have ended it.
///
/// `known` is a listener of root's that was there before the connection was made ([`ListenerError::Handed`]).
pub(super) async fn check(ends: Ends, trust: LoopbackTrust, known: Option<u64>) -> Result<(), ListenerError> {
    if trust == LoopbackTrust::Anyone || !cfg!(target_os = "linux") {
        return Ok(());
    }
    for _ in 1..LOOKS {
        match look(ends, trust, known) {
            Err(ListenerError::Unlisted) => tokio::time::sleep(PAUSE).await,
            answer => return answer,
        }
    }
    look(ends, trust, known)
}

fn look(ends: Ends, trust: LoopbackTrust, known: Option<u64>) -> Result<(), ListenerError> {
    let me = rustix::process::geteuid().as_raw();
    let nameless = crate::process::unknown_users_seen_as();
    let trusted = |uid: u32| {
        let named = uid == 0 || uid == me || trust == LoopbackTrust::OursAnd(uid);
        named && nameless != Some(uid)
    };
    let (tcp, tcp6) = (list("/proc/net/tcp")?, list("/proc/net/tcp6")?);
    // A machine without IPv6 has no second list.
    let tcp = tcp.ok_or(ListenerError::Unreadable)?;
    Sockets::find(ends, &tcp, &tcp6.unwrap_or_default())?.judge(me, trusted, known)
}

fn list(path: &str) -> Result<Option<String>, ListenerError> {
    let bytes = fs::read_capped(Path::new(path), LONGEST_LIST).map_err(|_| ListenerError::Unreadable)?;
    bytes
        .map(|bytes| String::from_utf8(bytes).map_err(|_| ListenerError::Unreadable))
        .transpose()
}

/// The sockets that a connection may have led to.
struct Sockets {
    /// All that listen at its address, or at that one's wildcard.
    listeners: Vec<Socket>,
    /// Its other end.
    peer: Option<Socket>,
}

impl Sockets {
    fn find(ends: Ends, tcp: &str, tcp6: &str) -> Result<Self, ListenerError> {
        let (mut listeners, mut peer) = (Vec::new(), None);
        // The first line of each list has the columns' names.
        for line in tcp.lines().skip(1).chain(tcp6.lines().skip(1)) {
            let socket = Socket::parse(line).ok_or(ListenerError::Unreadable)?;
            match socket.state {
                State::Listens if socket.takes(ends.theirs) => listeners.push(socket),
                State::Connected if socket.is_end_of(ends) => peer = Some(socket),
                _ => {}
            }
        }
        Ok(Self { listeners, peer })
    }

    fn judge(&self, me: u32, trusted: impl Fn(u32) -> bool, known: Option<u64>) -> Result<(), ListenerError> {
        if let Some(stranger) = self.listeners.iter().find(|listener| !trusted(listener.uid)) {
            return Err(ListenerError::Stranger(stranger.uid));
        }
        let (false, Some(peer)) = (self.listeners.is_empty(), &self.peer) else {
            return Err(ListenerError::Unlisted);
        };
        let mut of_root = self.listeners.iter().filter(|listener| listener.uid == 0);
        let root = of_root.clone().next();
        let may = match peer.uid {
            // What the kernel makes itself is root's, also for another user: the end of a socket of AF_SMC.
            0 if peer.inode != 0 => trusted(0) && (me == 0 || root.is_some()),
            // While nobody has taken it, kernels say root here, or who listens.
            uid => trusted(uid),
        };
        match root {
            _ if may => Ok(()),
            // Root's server has others work for it, as nginx does: it was there before, and it is there.
            Some(_) if of_root.any(|it| Some(it.inode) == known && it.is_v6 == peer.is_v6) => Ok(()),
            Some(root) if peer.inode != 0 => Err(ListenerError::Handed(peer.uid, root.inode)),
            _ => Err(ListenerError::Stranger(peer.uid)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Listens,
    Connected,
    /// Of a connection that was: another one may have the same ends.
    Over,
}

/// A socket of the list.
struct Socket {
    local: SocketAddr,
    remote: SocketAddr,
    is_v6: bool,
    state: State,
    uid: u32,
    /// 0 where no program has it, or none yet.
    inode: u64,
}

impl Socket {
    /// A line of the list.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let local = fields.next()?;
        let remote = fields.next()?;
        let state = match fields.next()? {
            "0A" => State::Listens,
            "06" | "07" => State::Over,
            _ => State::Connected,
        };
        Some(Self {
            local: parse_end(local)?,
            remote: parse_end(remote)?,
            is_v6: local.len() > 16,
            state,
            uid: fields.nth(3)?.parse().ok()?,
            inode: fields.nth(1)?.parse().ok()?,
        })
    }

    /// Whether a connection to this address may end up here. A wildcard of IPv6 takes IPv4 too, unless its program said
    /// otherwise, which the list does not show.
    fn takes(&self, to: SocketAddr) -> bool {
        let address = self.local.ip();
        let wildcard = address.is_unspecified() && (address.is_ipv6() || to.is_ipv4());
        self.local.port() == to.port() && (address == to.ip().to_canonical() || wildcard)
    }

    /// Whether it is the server's end of a connection.
    fn is_end_of(&self, ends: Ends) -> bool {
        let same = |own: SocketAddr, other: SocketAddr| own == SocketAddr::new(other.ip().to_canonical(), other.port());
        same(self.local, ends.theirs) && same(self.remote, ends.ours)
    }
}

/// `address:port` in hex digits.
fn parse_end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    Some(SocketAddr::new(
        parse_address(address)?,
        u16::from_str_radix(port, 16).ok()?,
    ))
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

    /// An end as the kernel of this machine writes it.
    fn hex(end: &str) -> String {
        let end: SocketAddr = end.parse().unwrap();
        let bytes = match end.ip() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let words = bytes.chunks(4).map(|four| u32::from_ne_bytes(four.try_into().unwrap()));
        let address: String = words.map(|word| format!("{word:08X}")).collect();
        format!("{address}:{:04X}", end.port())
    }

    /// A list: own end, other end, state, user, inode.
    fn list_of<'a>(sockets: impl Iterator<Item = &'a Row<'a>>) -> String {
        let lines = sockets.map(|(local, remote, state, uid, inode)| {
            let (local, remote) = (hex(local), hex(remote));
            format!(
                "   0: {local} {remote} {state} 00000000:00000000 00:00000000 00000000 {uid:5}        0 {inode} 1 000000005a996d72 100 0 0 10 0\n"
            )
        });
        HEAD.to_owned() + &lines.collect::<String>()
    }

    type Row<'a> = (&'a str, &'a str, &'a str, u32, u64);
    type Said = Result<(), ListenerError>;

    /// What is said as user `me`, who trusts user 1000, of a connection from port 5000 of the same address.
    fn said(me: u32, to: &str, rows: &[Row<'_>], known: Option<u64>) -> Said {
        let theirs: SocketAddr = to.parse().unwrap();
        let ours = SocketAddr::new(theirs.ip(), 5000);
        let (tcp6, tcp): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.0.starts_with('['));
        let sockets = Sockets::find(
            Ends { ours, theirs },
            &list_of(tcp.into_iter()),
            &list_of(tcp6.into_iter()),
        );
        sockets.and_then(|sockets| sockets.judge(me, |uid| [0, me, 1000].contains(&uid), known))
    }

    #[test]
    fn the_kernels_own_lines_are_read() {
        let line =
            "   0: 0100007F:2253 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1060 1 0 100";
        let socket = Socket::parse(line).unwrap();
        let expected = match cfg!(target_endian = "little") {
            true => "127.0.0.1:8787",
            false => "1.0.0.127:8787",
        };
        assert_eq!(socket.local, expected.parse().unwrap());
        assert_eq!((socket.state, socket.uid, socket.inode), (State::Listens, 1000, 1060));
    }

    const V4: &str = "127.0.0.1:8787";
    const V6: &str = "[::1]:8787";
    const NONE: &str = "0.0.0.0:0";
    const NONE6: &str = "[::]:0";
    const LISTENS: &str = "0A";
    const CONNECTED: &str = "01";

    #[test]
    fn every_socket_that_may_be_connected_to_must_be_trusted() {
        let stranger = Err(ListenerError::Stranger(7));
        let unlisted = Err(ListenerError::Unlisted);
        // address connected to; who listens where: user 1000, who is trusted, or 7, who is not; the answer
        type Listeners<'a> = &'a [(&'a str, u32)];
        let cases: [(&str, Listeners<'_>, Said); 17] = [
            (V4, &[(V4, 1000)], Ok(())),
            (V4, &[(V4, 7)], stranger),
            (V4, &[("0.0.0.0:8787", 1000)], Ok(())),
            (V4, &[("0.0.0.0:8787", 7)], stranger),
            (V4, &[("[::]:8787", 1000)], Ok(())),
            (V4, &[("[::]:8787", 7)], stranger),
            (V4, &[("[::ffff:127.0.0.1]:8787", 1000)], Ok(())),
            (V4, &[("[::ffff:127.0.0.1]:8787", 7)], stranger),
            (V4, &[("[::ffff:0.0.0.0]:8787", 7)], stranger),
            (V4, &[], unlisted),
            (V4, &[("127.0.0.1:8788", 1000)], unlisted),
            (V4, &[("127.0.0.2:8787", 1000)], unlisted),
            (V4, &[(V6, 1000)], unlisted),
            (V4, &[(V4, 1000), ("[::]:8787", 7)], stranger),
            (V6, &[(V6, 1000)], Ok(())),
            (V6, &[("[::]:8787", 7)], stranger),
            (V6, &[("0.0.0.0:8787", 1000)], unlisted),
        ];
        for (address, listeners, expected) in cases {
            let from = address.replace("8787", "5000");
            let rows = listeners.iter().map(|(at, uid)| {
                let none = if at.starts_with('[') { NONE6 } else { NONE };
                (*at, none, LISTENS, *uid, 11)
            });
            let peer = (address, from.as_str(), CONNECTED, 1000, 12);
            let rows: Vec<Row<'_>> = rows.chain([peer]).collect();
            assert_eq!(said(1, address, &rows, None), expected, "{address} {listeners:?}");
        }
    }

    #[test]
    fn who_took_the_connection_must_be_trusted_too() {
        let from = "127.0.0.1:5000";
        let mapped = ("[::ffff:127.0.0.1]:8787", "[::ffff:127.0.0.1]:5000");
        let listens = |uid| (V4, NONE, LISTENS, uid, 11);
        let took = |uid, inode| (V4, from, CONNECTED, uid, inode);
        let ended = (V4, from, "06", 0, 0);
        let stranger = Err(ListenerError::Stranger(7));
        let handed = Err(ListenerError::Handed(7, 11));
        let unlisted = Err(ListenerError::Unlisted);
        let cases: Vec<(Vec<Row<'_>>, Option<u64>, Said)> = vec![
            (vec![listens(1000), took(1000, 12)], None, Ok(())),
            (vec![listens(0), took(0, 12)], None, Ok(())),
            // Root's server that has given its rights up.
            (vec![listens(0), took(1000, 12)], None, Ok(())),
            (vec![listens(1000), took(7, 12)], None, stranger),
            (vec![listens(1000), took(7, 12)], Some(11), stranger),
            (vec![listens(1000), took(0, 12)], None, Err(ListenerError::Stranger(0))),
            // Nobody has taken it yet: of older kernels root has it, of newer ones who listens, also before it is through.
            (vec![listens(1000), took(0, 0)], None, Ok(())),
            (vec![listens(1000), took(1000, 0)], None, Ok(())),
            (vec![listens(1000), (V4, from, "03", 1000, 0)], None, Ok(())),
            (vec![listens(1000), took(7, 0)], None, stranger),
            (vec![listens(7), took(0, 0)], None, stranger),
            (vec![took(1000, 0)], None, unlisted),
            // The other end is in no list: our own is not it, nor one of another connection, nor of one that is over.
            (vec![listens(1000)], None, unlisted),
            (vec![listens(1000), (from, V4, CONNECTED, 1000, 12)], None, unlisted),
            (
                vec![listens(1000), (V4, "127.0.0.1:5001", CONNECTED, 1000, 12)],
                None,
                unlisted,
            ),
            (vec![listens(1000), ended], None, unlisted),
            (vec![listens(1000), took(7, 12), ended], None, stranger),
            // What a server for both takes.
            (
                vec![
                    ("[::]:8787", NONE6, LISTENS, 1000, 11),
                    (mapped.0, mapped.1, CONNECTED, 7, 12),
                ],
                None,
                stranger,
            ),
            // Root's server, whose workers are another user's.
            (vec![listens(0), took(7, 12)], None, handed),
            (vec![listens(0), took(7, 12)], Some(10), handed),
            (vec![listens(0), took(7, 12)], Some(11), Ok(())),
            (
                vec![listens(0), (mapped.0, mapped.1, CONNECTED, 7, 12)],
                Some(11),
                handed,
            ),
        ];
        for (rows, known, expected) in cases {
            assert_eq!(said(1, V4, &rows, known), expected, "{rows:?} {known:?}");
        }
        assert_eq!(said(0, V4, &[listens(1000), took(0, 12)], None), Ok(()));
    }

    #[test]
    fn a_list_that_is_not_understood_tells_nothing() {
        for line in [
            "0: 0100007F:2253 00000000:0000 0A 0:0 0:0 0 me 0 1",
            "0: 0100007F:2253 00000000:0000 0A 0:0 0:0 0 1000 0 x",
            "0: 0100007F:2253 00000000:0000 0A 0:0 0:0 0 1000",
            "0: 0100007F 00000000:0000 0A 0:0 0:0 0 1000 0 1",
            "0: 01007F:2253 00000000:0000 0A 0:0 0:0 0 1000 0 1",
            "0: ééé0007F:2253 00000000:0000 0A 0:0 0:0 0 1000 0 1",
            "0: 0100007F:2253",
            "\n",
        ] {
            let ends = Ends {
                ours: "127.0.0.1:5000".parse().unwrap(),
                theirs: V4.parse().unwrap(),
            };
            let found = Sockets::find(ends, &format!("{HEAD}{line}"), "");
            assert_eq!(found.err(), Some(ListenerError::Unreadable), "{line}");
        }
    }

    /// The kernel's own lists: another user's program takes the connection and gives the port free, which a program of
    /// the owner's has in the next moment.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_connection_that_a_stranger_kept_is_not_the_one_who_listens_now() {
        use std::net::{TcpListener, TcpStream};
        const STRANGER: u32 = 65_533;
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root can listen as another user");
            return;
        }
        let as_stranger = |work: &(dyn Fn() -> std::io::Result<(TcpListener, TcpStream, Option<TcpStream>)> + Sync)| {
            std::thread::scope(|scope| {
                // A user's number is a thread's own.
                let run = || {
                    rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(STRANGER)).unwrap();
                    work().unwrap()
                };
                scope.spawn(run).join().unwrap()
            })
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.unwrap();
        for (address, takes) in [("127.0.0.1:0", true), ("[::]:0", true), ("127.0.0.1:0", false)] {
            let (listener, connection, taken) = as_stranger(&|| {
                let listener = TcpListener::bind(address)?;
                let port = listener.local_addr()?.port();
                let connection = TcpStream::connect(("127.0.0.1", port))?;
                let taken = takes.then(|| listener.accept()).transpose()?;
                Ok((listener, connection, taken.map(|(stream, _)| stream)))
            });
            let ends = Ends {
                ours: connection.local_addr().unwrap(),
                theirs: connection.peer_addr().unwrap(),
            };
            let checked = || runtime.block_on(check(ends, LoopbackTrust::Ours, None));
            assert_eq!(checked(), Err(ListenerError::Stranger(STRANGER)), "{address} {takes}");
            drop(listener);
            // A program that another test starts in this moment may still have the listener, until it is another one.
            let bound = std::iter::repeat_with(|| TcpListener::bind(ends.theirs)).take(500);
            let pause = |_: &std::io::Result<TcpListener>| std::thread::sleep(Duration::from_millis(10));
            let _owners = bound.inspect(pause).find_map(Result::ok).expect("the port stays taken");
            let expected = match takes {
                // Root is who tests this.
                true => Err(ListenerError::Handed(STRANGER, 0)),
                // It went with the listener.
                false => Err(ListenerError::Unlisted),
            };
            let answer = checked().map_err(|error| match error {
                ListenerError::Handed(uid, _) => ListenerError::Handed(uid, 0),
                error => error,
            });
            assert_eq!(answer, expected, "{address} {takes}");
            drop(taken);
        }
    }
}
