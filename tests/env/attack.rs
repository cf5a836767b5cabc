//! What a hostile other side can put on the wire in the place of an answer, and a peer that does nothing else.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// An answer that is none.
#[derive(Debug, Clone, PartialEq)]
pub struct Attack {
    pub name: String,
    /// What is sent first. Where it holds [`SENT`], the secrets of the request stand there instead.
    pub head: Vec<u8>,
    pub then: Then,
}

/// What follows the head.
#[derive(Debug, Clone, PartialEq)]
pub enum Then {
    /// The end of the connection.
    Close,
    /// Nothing, ever.
    Stall,
    /// The same bytes without end, with a pause after each time.
    Repeat(Vec<u8>, Duration),
    /// The same bytes so many times, then these, then the end of the connection.
    Times(Vec<u8>, usize, Vec<u8>),
}

/// Stands in a head for what the other side sent.
pub const SENT: &[u8] = b"{sent}";

impl Attack {
    pub fn new(name: impl Into<String>, head: impl Into<Vec<u8>>, then: Then) -> Self {
        Self {
            name: name.into(),
            head: head.into(),
            then,
        }
    }

    /// Whether the other side is kept waiting until its patience ends.
    pub fn is_slow(&self) -> bool {
        match &self.then {
            Then::Stall => true,
            Then::Repeat(_, pause) => !pause.is_zero(),
            Then::Close | Then::Times(..) => false,
        }
    }

    /// Does it, until the other side is gone or `stop` is set; says how many bytes were sent.
    pub fn perform(&self, out: &mut TcpStream, sent: &str, stop: &AtomicBool) -> u64 {
        let _ = out.set_write_timeout(Some(Duration::from_millis(100)));
        let mut line = Line { out, stop, count: 0 };
        let head = with_sent(&self.head, sent);
        let _ = line.write(&head).and_then(|()| match &self.then {
            Then::Close => Ok(()),
            Then::Stall => line.wait(Duration::MAX),
            Then::Repeat(unit, pause) => {
                // In large pieces, where nobody is to wait.
                let times = if pause.is_zero() { 0x8000 / unit.len() + 1 } else { 1 };
                let unit = unit.repeat(times);
                loop {
                    line.write(&unit)?;
                    line.wait(*pause)?;
                }
            }
            Then::Times(unit, times, tail) => {
                line.write(&unit.repeat(*times))?;
                line.write(tail)
            }
        });
        line.count
    }
}

fn with_sent(head: &[u8], sent: &str) -> Vec<u8> {
    match head.windows(SENT.len()).position(|part| part == SENT) {
        Some(at) => {
            let tail = with_sent(&head[at + SENT.len()..], sent);
            [&head[..at], sent.as_bytes(), &tail].concat()
        }
        None => head.to_vec(),
    }
}

/// A connection that is written to up until the other side is gone.
struct Line<'a> {
    out: &'a mut TcpStream,
    stop: &'a AtomicBool,
    count: u64,
}

impl Line<'_> {
    fn write(&mut self, mut bytes: &[u8]) -> std::io::Result<()> {
        while !bytes.is_empty() {
            match self.out.write(bytes) {
                Ok(count) => {
                    self.count += count as u64;
                    bytes = &bytes[count..];
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error),
            }
            self.still_there()?;
        }
        Ok(())
    }

    fn wait(&mut self, pause: Duration) -> std::io::Result<()> {
        let end = std::time::Instant::now().checked_add(pause);
        loop {
            self.still_there()?;
            let left = end.map_or(Duration::MAX, |end| {
                end.saturating_duration_since(std::time::Instant::now())
            });
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }

    /// An error once the other side has hung up, or nobody wants this any more.
    fn still_there(&mut self) -> std::io::Result<()> {
        let gone = || std::io::Error::from(ErrorKind::BrokenPipe);
        if self.stop.load(Ordering::SeqCst) {
            return Err(gone());
        }
        self.out.set_nonblocking(true)?;
        let peeked = self.out.peek(&mut [0]);
        self.out.set_nonblocking(false)?;
        match peeked {
            Ok(0) => Err(gone()),
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }
}

/// Somebody on loopback who answers every connection with an attack, and keeps what arrived. It ends when dropped.
pub struct Peer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    attack: Mutex<Attack>,
    arrived: Mutex<Vec<String>>,
    sent: AtomicU64,
    stop: AtomicBool,
}

impl Peer {
    /// On a free port of 127.0.0.1.
    pub fn start(attack: Attack) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), attack)
    }

    pub fn on(listener: TcpListener, attack: Attack) -> Self {
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            attack: Mutex::new(attack),
            arrived: Mutex::default(),
            sent: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if served.stop.load(Ordering::SeqCst) {
                    break;
                }
                let shared = Arc::clone(&served);
                std::thread::spawn(move || drop(shared.serve(stream)));
            }
        });
        Self { address, shared }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What has arrived, a connection an item, up to the end of its head.
    pub fn arrived(&self) -> Vec<String> {
        self.shared.arrived.lock().unwrap().clone()
    }

    /// How many bytes it got rid of.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        // Whoever connects counts, whatever they say.
        let index = {
            let mut arrived = self.arrived.lock().unwrap();
            arrived.push(String::new());
            arrived.len() - 1
        };
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut reader = BufReader::new(stream.try_clone()?);
        loop {
            let mut line = Vec::new();
            reader.read_until(b'\n', &mut line)?;
            self.arrived.lock().unwrap()[index].push_str(&String::from_utf8_lossy(&line));
            if line.trim_ascii().is_empty() {
                break;
            }
        }
        let attack = self.attack.lock().unwrap().clone();
        let count = attack.perform(&mut stream, "", &self.stop);
        self.sent.fetch_add(count, Ordering::SeqCst);
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
    }
}
