//! How a command ends: the exit codes that scripts may rely on, and the one error type that carries them.

use crate::text;
use std::fmt;

/// The process exit codes, as the README documents them. The numbers are a contract: never renumber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Everything asked for was done.
    Ok = 0,
    /// A failure that no other code describes.
    Failure = 1,
    /// The command line or an environment variable is wrong.
    Usage = 2,
    /// `openclaw.json` cannot be read, or an edit of it is refused.
    Config = 3,
    /// The owner token is missing, expired or invalid.
    Token = 4,
    /// A lock (ours or OpenClaw's) stayed held.
    LockHeld = 5,
    /// The Sigilum API or the Sigilum gateway cannot be reached.
    Unreachable = 6,
    /// A secret or the local database is unavailable.
    SecretOrDatabase = 7,
    /// Another watcher serves this OpenClaw home.
    AnotherWatcher = 8,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

/// A failed command: what failed, why, and the next command to run.
///
/// `Display` gives the whole text for a person, over one to three lines. Never put a token or a secret, nor a raw
/// upstream message that may hold one, into any part of it.
#[derive(Debug, thiserror::Error)]
pub struct Error {
    /// The exit code that the process ends with.
    pub code: ExitCode,
    what: String,
    next: Option<String>,
    #[source]
    cause: Option<anyhow::Error>,
}

/// The crate's result type.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error that says `what` failed, in the form `could not <verb> <what>: <path>`.
    pub fn new(code: ExitCode, what: impl Into<String>) -> Self {
        Self {
            code,
            what: what.into(),
            next: None,
            cause: None,
        }
    }

    /// Adds the cause: printed after the text, separated by a colon.
    #[must_use]
    pub fn because(mut self, cause: impl Into<anyhow::Error>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Adds what to do next: a command or a step, printed on a line of its own.
    #[must_use]
    pub fn next(mut self, step: impl Into<String>) -> Self {
        self.next = Some(step.into());
        self
    }
}

impl Error {
    /// Whether it failed because the reader of its output is gone, as `head` is after its lines.
    pub fn is_broken_pipe(&self) -> bool {
        self.io_kind() == Some(std::io::ErrorKind::BrokenPipe)
    }

    /// Whether it failed because a file or a folder was not there.
    pub fn is_not_found(&self) -> bool {
        self.io_kind() == Some(std::io::ErrorKind::NotFound)
    }

    /// What kind of failure of a file or a folder it was, where it was one.
    pub fn io_kind(&self) -> Option<std::io::ErrorKind> {
        let cause = self.cause.as_ref()?;
        let io = cause.downcast_ref().map(std::io::Error::kind);
        io.or_else(|| cause.downcast_ref().map(|errno: &rustix::io::Errno| errno.kind()))
    }
}

impl Error {
    /// What failed and why.
    pub fn text(&self) -> String {
        let cause = self.cause.as_ref().map(|cause| format!(": {cause:#}"));
        text::plain_lines(&format!("{}{}", self.what, cause.unwrap_or_default()))
    }

    /// The next command or step, where there is one.
    pub fn step(&self) -> Option<String> {
        self.next.as_deref().map(text::plain_lines)
    }
}

impl fmt::Display for Error {
    /// Names and words of others stand in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())?;
        match self.step() {
            Some(next) => write!(f, "\n  next: {next}"),
            None => Ok(()),
        }
    }
}

/// Turns any error into an [`Error`] with a code and the text of what failed.
pub trait OrFail<T> {
    /// Maps the error to `Error::new(code, what()).because(error)`.
    fn or_fail(self, code: ExitCode, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<anyhow::Error>> OrFail<T> for Result<T, E> {
    fn or_fail(self, code: ExitCode, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::new(code, what()).because(error))
    }
}
