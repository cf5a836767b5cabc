//! Lines over a socket, with deadlines: nobody waits for one who is slow.

use std::io::{self, BufRead, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// So long a line that was begun may take to come, and one that goes out to be taken.
pub const LINE: Duration = Duration::from_secs(5);

/// A stream to read lines from: before a line it waits for as long as it takes, or until a deadline; a line that has
/// begun must end within [`LINE`].
pub struct Reader {
    stream: UnixStream,
    buffer: Vec<u8>,
    at: usize,
    begun: Option<Instant>,
    deadline: Option<Instant>,
}

impl Reader {
    /// Of a stream.
    pub fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            at: 0,
            begun: None,
            deadline: None,
        }
    }

    /// When the next line must be here at the latest; `None`: any time.
    pub fn until(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    fn time_left(&self) -> io::Result<Option<Duration>> {
        let of_line = self.begun.map(|begun| begun + LINE);
        let Some(until) = of_line.into_iter().chain(self.deadline).min() else {
            return Ok(None);
        };
        left(until).map(Some)
    }
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let part = self.fill_buf()?;
        let count = part.len().min(into.len());
        into[..count].copy_from_slice(&part[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Reader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        const PART: usize = 8 * 1024;
        if self.at == self.buffer.len() {
            self.stream.set_read_timeout(self.time_left()?)?;
            self.buffer.resize(PART, 0);
            self.at = 0;
            let read = self.stream.read(&mut self.buffer);
            self.buffer.truncate(*read.as_ref().unwrap_or(&0));
            read?;
        }
        Ok(&self.buffer[self.at..])
    }

    fn consume(&mut self, count: usize) {
        let taken = &self.buffer[self.at..self.at + count];
        match taken.last() {
            Some(b'\n') => self.begun = None,
            Some(_) => self.begun = self.begun.or_else(|| Some(Instant::now())),
            None => {}
        }
        self.at += count;
    }
}

/// Writes bytes, all of them within a time.
///
/// # Errors
/// They were not taken.
pub fn write_within(stream: &UnixStream, mut bytes: &[u8], time: Duration) -> io::Result<()> {
    let until = Instant::now() + time;
    let mut writer = stream;
    while !bytes.is_empty() {
        stream.set_write_timeout(Some(left(until)?))?;
        match writer.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    match left.is_zero() {
        true => Err(io::ErrorKind::TimedOut.into()),
        false => Ok(left),
    }
}
