//! systemd's readiness protocol (sd_notify(3)): datagrams to the socket that `NOTIFY_SOCKET` names.

use crate::env::Env;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

/// The service manager that started us and wants to hear of us.
#[derive(Debug)]
pub(super) struct ServiceManager {
    socket: UnixDatagram,
    address: SocketAddr,
    /// It takes us for dead after twice this time of silence.
    ping_every: Option<Duration>,
    /// When it was last told that we are alive.
    pinged: Instant,
}

impl ServiceManager {
    /// `NOTIFY_SOCKET` (a path, or `@` and an abstract name); `WATCHDOG_USEC`, where it is meant for this process.
    pub fn from_env(env: &Env) -> Option<Self> {
        let name = env.var("NOTIFY_SOCKET")?;
        let address = match name.strip_prefix('@') {
            Some(name) => abstract_address(name)?,
            None => SocketAddr::from_pathname(name).ok()?,
        };
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        let ours = env
            .var("WATCHDOG_PID")
            .is_none_or(|pid| pid == std::process::id().to_string());
        let watchdog = env.var("WATCHDOG_USEC").and_then(|text| text.parse().ok());
        Some(Self {
            socket,
            address,
            ping_every: watchdog.filter(|_| ours).map(|us: u64| Duration::from_micros(us / 2)),
            pinged: Instant::now(),
        })
    }

    /// Everything is set up.
    pub fn ready(&self, status: &str) {
        self.say(&format!("READY=1\nSTATUS={status}"));
    }

    /// Says that we are alive, when it is time; gives how long until the next time, if there is one.
    pub fn ping(&mut self) -> Option<Duration> {
        let every = self.ping_every?;
        if self.pinged.elapsed() >= every {
            self.say("WATCHDOG=1");
            self.pinged = Instant::now();
        }
        Some(every.saturating_sub(self.pinged.elapsed()))
    }

    /// We are ending.
    pub fn stopping(&self) {
        self.say("STOPPING=1");
    }

    fn say(&self, text: &str) {
        // A manager that does not listen is its own affair.
        let _ = self.socket.send_to_addr(text.as_bytes(), &self.address);
    }
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &str) -> Option<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    SocketAddr::from_abstract_name(name).ok()
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_name: &str) -> Option<SocketAddr> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_what_it_is_asked_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager_end = UnixDatagram::bind(&path).unwrap();
        let heard = || {
            let mut buffer = [0; 256];
            let count = manager_end.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..count].to_vec()).unwrap()
        };
        let socket = ("NOTIFY_SOCKET", path.to_str().unwrap().to_owned());
        let env = Env::from_pairs([socket.clone(), ("WATCHDOG_USEC", "90000000".to_owned())]);
        let mut manager = ServiceManager::from_env(&env).unwrap();
        assert_eq!(manager.ping_every, Some(Duration::from_secs(45)));
        manager.ready("serving 1 home");
        assert_eq!(heard(), "READY=1\nSTATUS=serving 1 home");
        assert!(manager.ping().unwrap() > Duration::from_secs(40), "not yet");
        manager.ping_every = Some(Duration::ZERO);
        assert_eq!(manager.ping(), Some(Duration::ZERO));
        assert_eq!(heard(), "WATCHDOG=1");
        manager.stopping();
        assert_eq!(heard(), "STOPPING=1");

        let others = [
            socket,
            ("WATCHDOG_USEC", "90000000".to_owned()),
            ("WATCHDOG_PID", "1".to_owned()),
        ];
        assert_eq!(
            ServiceManager::from_env(&Env::from_pairs(others)).unwrap().ping_every,
            None
        );
        assert!(ServiceManager::from_env(&Env::default()).is_none());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn abstract_sockets_work_too() {
        let name = format!("sigilum-test-{}", std::process::id());
        let manager_end = UnixDatagram::bind_addr(&abstract_address(&name).unwrap()).unwrap();
        let env = Env::from_pairs([("NOTIFY_SOCKET", format!("@{name}"))]);
        ServiceManager::from_env(&env).unwrap().stopping();
        let mut buffer = [0; 256];
        assert_eq!(manager_end.recv(&mut buffer).unwrap(), 10);
    }
}
