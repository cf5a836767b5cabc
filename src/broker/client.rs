//! The side that asks: a connection to a broker that is the one that was recorded.

use super::peers;
use super::protocol::{Hello, MAX_ANSWER, VERSION};
use super::stream::{LINE, Reader, write_within};
use crate::text;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use serde_json::{Value, json};
use std::io::{self, BufRead, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// None at all would be for ever.
const LEAST: Duration = Duration::from_millis(1);

/// Why a broker was not asked.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// Nobody listens.
    #[error("nobody answers on the broker's socket")]
    NotRunning,
    /// Its socket cannot be used.
    #[error("the broker's socket cannot be used: {}", words(.0))]
    Unreachable(io::Error),
    /// It is somebody else's: its user's number, and the recorded one.
    #[error("the broker is run by the user {0}, and recorded is the user {1}")]
    Anothers(u32, u32),
    /// It says something else than a broker does.
    #[error("what answers on the broker's socket is no broker")]
    NoBroker,
    /// Of another version.
    #[error("the broker speaks version {0} of the protocol, and this program {VERSION}")]
    Version(u32),
    /// It does not want us.
    #[error("the broker refuses: {0}")]
    Refused(String),
    /// It has no connection left.
    #[error("the broker is busy: {0}")]
    Busy(String),
    /// It went away, or took too long.
    #[error("the broker does not answer{}", how_gone(.0))]
    Gone(io::Error),
}

/// What the system says of one that was waited for in vain is no word for a person.
fn how_gone(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => " in time".to_owned(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
            ": it closed the connection".to_owned()
        }
        _ => format!(": {}", words(error)),
    }
}

fn words(error: &io::Error) -> String {
    text::without_number(&error.to_string()).to_owned()
}

fn unreachable(error: io::Error) -> Trouble {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Trouble::NotRunning,
        io::ErrorKind::WouldBlock => Trouble::Gone(error),
        _ => Trouble::Unreachable(error),
    }
}

/// A connection.
pub struct Connection {
    stream: UnixStream,
    lines: Reader,
    /// What the broker said first.
    pub hello: Hello,
    /// The number of the user that it runs as.
    pub uid: u32,
}

/// Connects, and hears who answers. `uid`: who must run it; `None`: whoever does.
///
/// # Errors
/// Nothing was said to it in any of these cases.
pub fn connect(socket: &Path, uid: Option<u32>, deadline: Instant) -> Result<Connection, Trouble> {
    let stream = open(socket, deadline).map_err(unreachable)?;
    let peer = peers::peer(&stream).map_err(Trouble::Unreachable)?;
    if let Some(uid) = uid.filter(|uid| *uid != peer.uid) {
        return Err(Trouble::Anothers(peer.uid, uid));
    }
    let mut lines = Reader::new(stream.try_clone().map_err(Trouble::Gone)?);
    let first = line(&mut lines, deadline).map_err(Trouble::Gone)?;
    let Some(hello) = Hello::parse(&first) else {
        return Err(refusal(&said(&first).unwrap_or_default()));
    };
    if hello.version != VERSION {
        return Err(Trouble::Version(hello.version));
    }
    Ok(Connection {
        stream,
        lines,
        hello,
        uid: peer.uid,
    })
}

/// Why it takes no question, in a line that is no answer.
fn refusal(line: &Value) -> Trouble {
    match (line["error"].as_str(), line["busy"] == true) {
        (None, _) => Trouble::NoBroker,
        (Some(why), false) => Trouble::Refused(why.to_owned()),
        (Some(why), true) => Trouble::Busy(why.to_owned()),
    }
}

/// What a line of the broker's says. Its texts may quote strangers, and a broken one says anything: none of it moves a
/// terminal, or re-orders what stands around it.
pub fn said(line: &[u8]) -> Option<Value> {
    serde_json::from_slice(line).ok().map(plain)
}

fn plain(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text::plain_lines(&text)),
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(members) => {
            let members = members.into_iter();
            Value::Object(
                members
                    .map(|(name, value)| (text::plain(&name), plain(value)))
                    .collect(),
            )
        }
        other => other,
    }
}

/// Where many others wait to be taken in, it waits among them, until the deadline.
fn open(socket: &Path, deadline: Instant) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(socket)?;
    let fd = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
    let left = deadline.saturating_duration_since(Instant::now()).max(LEAST);
    set_socket_timeout(&fd, Timeout::Send, Some(left))?;
    rustix::net::connect(&fd, &address)?;
    set_socket_timeout(&fd, Timeout::Send, None)?;
    Ok(UnixStream::from(fd))
}

/// The next line, without its end.
fn line(lines: &mut Reader, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    lines.until(Some(deadline));
    lines.take(MAX_ANSWER as u64).read_until(b'\n', &mut line)?;
    match line.pop() {
        Some(b'\n') => Ok(line),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

impl Connection {
    /// Asks one question, and gives its answer. A broker asks back at most once, whether a command is confirmed.
    ///
    /// # Errors
    /// It went away, or says something else than an answer.
    pub fn ask(&mut self, question: &Value, deadline: Instant) -> Result<Value, Trouble> {
        write_line(&self.stream, question).map_err(Trouble::Gone)?;
        let answer = self.hear(question, deadline)?;
        if answer.get("confirm").is_none() {
            return Ok(answer);
        }
        // Nobody is here who could.
        let no = json!({"id": question.get("id"), "confirmed": false});
        write_line(&self.stream, &no).map_err(Trouble::Gone)?;
        let answer = self.hear(question, deadline)?;
        match answer.get("confirm") {
            None => Ok(answer),
            Some(_) => Err(Trouble::NoBroker),
        }
    }

    fn hear(&mut self, question: &Value, deadline: Instant) -> Result<Value, Trouble> {
        let line = line(&mut self.lines, deadline).map_err(Trouble::Gone)?;
        let answer = said(&line).ok_or(Trouble::NoBroker)?;
        match answer.get("id") == question.get("id") {
            true => Ok(answer),
            false => Err(refusal(&answer)),
        }
    }

    /// The two ends: one to write to, one to read lines from for as long as it takes.
    pub fn split(mut self) -> (UnixStream, Reader) {
        self.lines.until(None);
        (self.stream, self.lines)
    }
}

/// Writes a line.
///
/// # Errors
/// It was not taken in time.
pub fn write_line(stream: &UnixStream, line: &Value) -> io::Result<()> {
    let mut line = serde_json::to_vec(line)?;
    line.push(b'\n');
    write_within(stream, &line, LINE)
}
