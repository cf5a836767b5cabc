//! The token command: a person's program that prints a fresh owner token, in the way of AWS's `credential_process` and
//! git's credential helpers.

use crate::error::{Error, ExitCode, Result};
use crate::text;
use rustix::event::{PollFd, PollFlags, Timespec};
use secrecy::SecretString;
use std::fmt;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long the command may take.
pub const LIMIT: Duration = Duration::from_secs(30);
/// An owner token is about 400 bytes.
const MAX_OUTPUT: usize = 64 * 1024;
/// How soon the end of the command, of its time or of us is noticed.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Secrets of ours that it has no use for.
const KEPT_BACK: [&str; 4] = [
    "SIGILUM_OWNER_TOKEN",
    "JWT_SECRET",
    "GATEWAY_MASTER_KEY",
    "GATEWAY_ADMIN_TOKEN",
];

/// A program and its arguments. The arguments may hold secrets: no `Debug` of them.
#[derive(Clone)]
pub struct TokenCommand {
    program: String,
    args: Vec<String>,
}

impl TokenCommand {
    /// Splits a text into words as a POSIX shell does; there is no shell, so nothing else in it is special. `from`
    /// names its source in errors.
    ///
    /// # Errors
    /// [`ExitCode::Usage`]: no word at all, or an open quote.
    pub fn parse(text: &str, from: &str) -> Result<Self> {
        let refuse = |why: &str| {
            Error::new(
                ExitCode::Usage,
                format!("could not understand the token command of {from}: {why}"),
            )
            .next("write it as in a shell: a program and its arguments, quoted where they hold spaces")
        };
        let mut words = shell_words::split(text)
            .map_err(|_| refuse("a quote is not closed"))?
            .into_iter();
        match words.next() {
            Some(program) if !program.is_empty() => Ok(Self {
                program,
                args: words.collect(),
            }),
            _ => Err(refuse("it names no program")),
        }
    }

    /// The words again, for a unit file.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.program.as_str()).chain(self.args.iter().map(String::as_str))
    }

    /// Runs it and gives what it printed, without the white space around. The text is not checked: see
    /// [`super::source::check`]. It has `SIGILUM_NAMESPACE` in its environment and nothing on its standard input, and
    /// is killed, with what it started, after `limit` or when `stop` is set.
    ///
    /// # Errors
    /// [`ExitCode::Token`]: it cannot be run, fails, prints nothing or too much, or is killed. Nothing that it printed
    /// to standard output is ever in the error; of its standard error the last line is, long words masked.
    pub fn run(&self, namespace: &str, limit: Duration, stop: &AtomicBool) -> Result<SecretString> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .env("SIGILUM_NAMESPACE", namespace)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        for name in KEPT_BACK {
            command.env_remove(name);
        }
        let child = command
            .spawn()
            .map_err(|error| self.failed("it cannot be run").because(error))?;
        let mut running = Running(child);
        let (status, out, err) = running
            .collect(Instant::now() + limit, stop)
            .map_err(|stopped| self.failed(&stopped.to_string()))?;
        if !status.success() {
            let said = last_line(&err).map_or_else(String::new, |line| format!(" ({line})"));
            return Err(self.failed(&format!("it ended with {status}{said}")));
        }
        let text = String::from_utf8(out).map_err(|_| self.failed("it did not print UTF-8 text"))?;
        let token: SecretString = text.trim().into();
        if text.trim().is_empty() {
            return Err(self.failed("it printed nothing"));
        }
        Ok(token)
    }

    fn failed(&self, why: &str) -> Error {
        Error::new(
            ExitCode::Token,
            format!("could not get a token from the token command {}: {why}", self.program),
        )
        .next(
            "run it yourself, with SIGILUM_NAMESPACE set: it must print a fresh owner token and nothing else, and end",
        )
    }
}

impl fmt::Debug for TokenCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCommand").field("program", &self.program).finish()
    }
}

/// Why a command's output was not waited for.
#[derive(Debug, Clone, Copy, thiserror::Error)]
enum Stopped {
    #[error("it took too long and was killed")]
    TooLong,
    #[error("it was killed, since the watcher ends")]
    Ending,
    #[error("it printed over {MAX_OUTPUT} bytes")]
    TooMuch,
    #[error("its output cannot be read")]
    Unreadable,
}

/// A child in a process group of its own, which does not outlive this value.
struct Running(Child);

impl Running {
    /// Both outputs until the command has ended; a process that it leaves behind is not waited for.
    fn collect(&mut self, end: Instant, stop: &AtomicBool) -> Result<(ExitStatus, Vec<u8>, Vec<u8>), Stopped> {
        let (mut out, mut err) = (self.0.stdout.take(), self.0.stderr.take());
        let (mut printed, mut said) = (Vec::new(), Vec::new());
        loop {
            // Asked before reading: what it printed before its end is read below.
            let status = self.0.try_wait().map_err(|_| Stopped::Unreadable)?;
            let wait = if status.is_some() { Duration::ZERO } else { LOOK_EVERY };
            let mut read_any = read_some(&mut out, &mut printed, wait)?;
            read_any |= read_some(&mut err, &mut said, Duration::ZERO)?;
            if let (Some(status), false) = (status, read_any) {
                return Ok((status, printed, said));
            }
            if printed.len() > MAX_OUTPUT {
                return Err(Stopped::TooMuch);
            }
            // Of a long complaint the end tells most.
            said.drain(..said.len().saturating_sub(MAX_OUTPUT));
            if stop.load(Ordering::Relaxed) {
                return Err(Stopped::Ending);
            }
            if Instant::now() >= end {
                return Err(Stopped::TooLong);
            }
            if out.is_none() && !read_any && status.is_none() {
                std::thread::sleep(LOOK_EVERY);
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let (Some(group), Ok(None)) = (group, self.0.try_wait()) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.0.wait();
    }
}

/// Reads what is there, waiting at most so long for it. Says whether anything came; at its end the pipe is gone.
fn read_some<P: Read + std::os::fd::AsFd>(
    pipe: &mut Option<P>,
    into: &mut Vec<u8>,
    wait: Duration,
) -> Result<bool, Stopped> {
    let Some(open) = pipe else { return Ok(false) };
    let timeout = Timespec::try_from(wait).ok();
    let mut fds = [PollFd::new(open, PollFlags::IN)];
    match rustix::event::poll(&mut fds, timeout.as_ref()) {
        Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(false),
        Ok(_) => {}
        Err(_) => return Err(Stopped::Unreadable),
    }
    let mut buffer = [0; 4096];
    match open.read(&mut buffer) {
        Ok(0) => {
            *pipe = None;
            Ok(false)
        }
        Ok(count) => {
            into.extend_from_slice(&buffer[..count]);
            Ok(true)
        }
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(false),
        Err(_) => Err(Stopped::Unreadable),
    }
}

/// The last line of a complaint, at most 200 characters, nothing in it that could be a token or move a terminal.
fn last_line(text: &[u8]) -> Option<String> {
    const LONGEST_WORD: usize = 24;
    let text = String::from_utf8_lossy(text);
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    let in_word = |c: char| c.is_ascii_alphanumeric() || "-_+=.".contains(c);
    let mut masked = String::new();
    let mut rest = line.trim();
    while let Some(first) = rest.chars().next() {
        let word_end = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
        if word_end == 0 {
            masked.push(if text::is_plain(first) { first } else { '·' });
            rest = &rest[first.len_utf8()..];
        } else {
            masked.push_str(if word_end > LONGEST_WORD {
                "…"
            } else {
                &rest[..word_end]
            });
            rest = &rest[word_end..];
        }
    }
    Some(masked.chars().take(200).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn run(script: &str, limit: Duration) -> Result<SecretString, String> {
        let command = TokenCommand::parse(&format!("sh -c {}", shell_words::quote(script)), "test").unwrap();
        command
            .run("alice", limit, &AtomicBool::new(false))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn words_are_split_as_a_shell_does_and_nothing_else() {
        let command = TokenCommand::parse(r#"printf '%s %s' "a  b" $HOME;x"#, "test").unwrap();
        assert_eq!(
            command.words().collect::<Vec<_>>(),
            ["printf", "%s %s", "a  b", "$HOME;x"]
        );
        let token = command.run("alice", LIMIT, &AtomicBool::new(false)).unwrap();
        assert_eq!(token.expose_secret(), "a  b $HOME;x");
        for bad in ["", "  ", "'open", "''"] {
            assert_eq!(
                TokenCommand::parse(bad, "test").unwrap_err().code,
                ExitCode::Usage,
                "{bad}"
            );
        }
    }

    #[test]
    fn it_gets_the_namespace_and_none_of_our_secrets() {
        let token = run("printf ' %s-%s \n' \"$SIGILUM_NAMESPACE\" \"$JWT_SECRET\"; cat", LIMIT).unwrap();
        assert_eq!(token.expose_secret(), "alice-");
    }

    #[test]
    fn what_goes_wrong_is_told_without_what_it_printed() {
        let secret = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlIG9mIGl0";
        let cases = [
            ("true".to_owned(), "it printed nothing"),
            (
                format!("echo {secret}; echo 'no access' >&2; exit 3"),
                "exit status: 3 (no access)",
            ),
            (format!("echo; echo 'bad {secret}!' >&2; exit 1"), "(bad …!)"),
            ("printf '\\377'".to_owned(), "UTF-8"),
            ("printf 'a\\342\\200\\256b' >&2; exit 1".to_owned(), "(a·b)"),
            ("head -c 100000 /dev/zero".to_owned(), "over 65536 bytes"),
            ("kill -9 $$".to_owned(), "signal: 9"),
        ];
        for (script, expected) in cases {
            let error = run(&script, LIMIT).map(|_| ()).unwrap_err();
            assert!(error.contains(expected), "{script}: {error}");
            assert!(!error.contains("eyJ"), "{error}");
        }
        let missing = TokenCommand::parse("/nonexistent/program", "test").unwrap();
        let error = missing
            .run("alice", LIMIT, &AtomicBool::new(false))
            .map(|_| ())
            .unwrap_err();
        assert!(
            error.to_string().contains("/nonexistent/program: it cannot be run"),
            "{error}"
        );
    }

    #[test]
    fn who_takes_too_long_is_killed_with_what_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let alive = dir.path().join("alive");
        let script = format!("(sleep 1; touch {}) & sleep 60", alive.display());
        let start = Instant::now();
        let error = run(&script, Duration::from_millis(200)).map(|_| ()).unwrap_err();
        assert!(error.contains("took too long"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(1300));
        assert!(!alive.exists(), "what it had started lived on");
    }

    #[test]
    fn a_process_that_it_leaves_behind_is_not_waited_for() {
        let start = Instant::now();
        let token = run("sleep 4 & echo token", LIMIT).unwrap();
        assert_eq!(token.expose_secret(), "token");
        assert!(start.elapsed() < Duration::from_secs(3));
    }

    #[test]
    fn the_end_of_the_watcher_ends_it() {
        let command = TokenCommand::parse("sleep 60", "test").unwrap();
        let error = command
            .run("alice", LIMIT, &AtomicBool::new(true))
            .map(|_| ())
            .unwrap_err();
        assert!(error.to_string().contains("the watcher ends"), "{error}");
    }
}
