//! A secret from standard input: all of it where that is a pipe or a file; at a terminal asked for, without echo, ended
//! by Enter, however long it is.

use crate::error::{ExitCode, OrFail, Result};
use crate::process::signals::{self, HeldStops};
use crate::token::paste;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use secrecy::SecretSlice;
use std::io::{IsTerminal, Read, Stdin, Write};

/// After a line's end, more of what was pasted is there within so many milliseconds. As often a signal is looked for.
const PAUSE_MS: i64 = 100;
/// So often a secret is asked for where nothing but Enter is typed.
const ASKS: usize = 3;
/// What begins the sequence of a key that is no character, and the most bytes of one.
const ESCAPE: u8 = 0x1b;
const LONGEST_KEY: usize = 16;
/// Ctrl-D
const END: u8 = 4;
/// Ctrl-U, and Ctrl-W, by which a terminal takes a word: a secret is one.
const CLEAR: [u8; 2] = [21, 23];
/// Ctrl-H, and what the backspace key sends.
const BACKSPACE: [u8; 2] = [8, 127];

/// The bytes of a secret, `what` in words; one byte more than `limit` where there are more. At a terminal a line's end
/// is not its end where `is_whole` denies it and more is there already: something was pasted that is broken into lines.
///
/// # Errors
/// Where standard input cannot be read.
pub fn from_stdin(what: &str, limit: usize, is_whole: impl Fn(&[u8]) -> bool) -> Result<SecretSlice<u8>> {
    let stdin = std::io::stdin();
    let failed = || format!("could not read the {what} from standard input");
    if !stdin.is_terminal() {
        let mut bytes = Vec::new();
        let read = stdin.lock().take(limit as u64 + 1).read_to_end(&mut bytes);
        read.or_fail(ExitCode::Failure, failed)?;
        return Ok(bytes.into());
    }
    let held = signals::hold().or_fail(ExitCode::Failure, failed)?;
    // Dropped before the above: the terminal is itself again when a signal ends the process.
    let question = format!("Paste the {what} (it is not shown), then press Enter: ");
    let terminal = Terminal::hide(&stdin, question).or_fail(ExitCode::Failure, failed)?;
    let mut left = ASKS;
    let typed = loop {
        let typed = terminal.read(limit, &|| held.must_end(), &is_whole);
        let mut err = std::io::stderr();
        let _ = writeln!(err);
        left -= 1;
        match &typed {
            Ok(typed) if left > 0 && is_bare_enter(typed) => {
                let _ = writeln!(err, "Nothing was pasted.");
            }
            _ => break typed,
        }
    };
    typed.or_fail(ExitCode::Failure, failed).map(SecretSlice::from)
}

/// An owner token from standard input, as [`paste`] reads one.
///
/// # Errors
/// Where standard input cannot be read.
pub fn owner_token_from_stdin() -> Result<SecretSlice<u8>> {
    from_stdin("owner token", paste::MAX_TEXT, |text| paste::read(text).is_ok())
}

/// Where [`from_stdin`] reads, in words.
pub fn source() -> &'static str {
    match std::io::stdin().is_terminal() {
        true => "the terminal",
        false => "standard input",
    }
}

/// Whether it is a line with nothing in it, as against no line.
fn is_bare_enter(typed: &[u8]) -> bool {
    !typed.is_empty() && typed.iter().all(u8::is_ascii_whitespace)
}

/// Takes the sequence of an arrow or another key that is no character from the end (ECMA-48 CSI, SS3). A terminal's marks
/// around what is pasted stay.
fn cut_key(typed: &mut Vec<u8>) {
    let tail = typed.len().saturating_sub(LONGEST_KEY);
    let Some(at) = typed[tail..].iter().rposition(|byte| *byte == ESCAPE) else {
        return;
    };
    let is_key = match &typed[tail + at + 1..] {
        b"[200~" | b"[201~" => false,
        [b'O', last] => last.is_ascii_alphabetic(),
        [b'[', numbers @ .., last] => {
            b"ABCDEFHPQRSZ~".contains(last) && numbers.iter().all(|byte| byte.is_ascii_digit() || *byte == b';')
        }
        _ => false,
    };
    if is_key {
        typed.truncate(tail + at);
    }
}

/// Takes the last character, of one or more bytes of UTF-8.
fn cut_character(typed: &mut Vec<u8>) {
    while typed.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
}

/// A terminal that shows nothing of what is typed, and hands it on key by key: of a line it would keep 4,095 characters
/// at most. As it was before, once this is dropped and while the process is stopped; what was typed but not read by then
/// is gone, as it may be a secret.
struct Terminal<'a> {
    stdin: &'a Stdin,
    question: String,
    before: Termios,
    hidden: Termios,
    // Dropped after the terminal is itself again.
    stops: HeldStops,
}

impl<'a> Terminal<'a> {
    fn hide(stdin: &'a Stdin, question: String) -> std::io::Result<Self> {
        let stops = signals::hold_stops()?;
        let before = tcgetattr(stdin)?;
        let mut hidden = before.clone();
        hidden.local_modes -= LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON;
        hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
        hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(stdin, OptionalActions::Now, &hidden)?;
        Ok(Self {
            stdin,
            question,
            before,
            hidden,
            stops,
        })
    }

    fn ask(&self) {
        let _ = write!(std::io::stderr(), "{}", self.question);
    }

    /// Stops where somebody wants that, on a terminal that is itself again. Whether the process went on after a stop, of
    /// whatever kind: its shell has changed the terminal meanwhile.
    fn went_on(&self) -> rustix::io::Result<bool> {
        if self.stops.is_asked_for() {
            tcsetattr(self.stdin, OptionalActions::Flush, &self.before)?;
            self.stops.stop();
        }
        let went_on = self.stops.went_on();
        if went_on {
            retry_on_intr(|| tcsetattr(self.stdin, OptionalActions::Now, &self.hidden))?;
        }
        Ok(went_on)
    }

    fn read(
        &self,
        limit: usize,
        must_end: &dyn Fn() -> bool,
        is_whole: &dyn Fn(&[u8]) -> bool,
    ) -> rustix::io::Result<Vec<u8>> {
        let mut typed = Vec::new();
        let mut buffer = [0; 1024];
        self.ask();
        while typed.len() <= limit && !must_end() {
            if self.went_on()? {
                typed.clear();
                self.ask();
            }
            if !self.has_more()? {
                continue;
            }
            let read = rustix::io::read(self.stdin, &mut buffer)?;
            if read == 0 {
                break;
            }
            for (at, &byte) in buffer[..read].iter().enumerate() {
                match byte {
                    END => return Ok(typed),
                    byte if CLEAR.contains(&byte) => typed.clear(),
                    byte if BACKSPACE.contains(&byte) => cut_character(&mut typed),
                    byte => typed.push(byte),
                }
                cut_key(&mut typed);
                let has_more = || Ok::<_, Errno>(at + 1 < read || self.has_more()?);
                if matches!(byte, b'\n' | b'\r') && (is_whole(&typed) || !has_more()?) {
                    return Ok(typed);
                }
            }
        }
        Ok(typed)
    }

    fn has_more(&self) -> rustix::io::Result<bool> {
        let pause = Timespec {
            tv_sec: 0,
            tv_nsec: PAUSE_MS * 1_000_000,
        };
        match poll(&mut [PollFd::new(self.stdin, PollFlags::IN)], Some(&pause)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.stdin, OptionalActions::Flush, &self.before);
    }
}
