//! Questions to a person at a terminal, on standard error, so that standard output stays the result.

use crate::cmd::output;
use crate::error::{ExitCode, OrFail, Result};
use crate::text;
use std::io::{BufRead, IsTerminal, Write};

/// Whether somebody is there to answer.
pub fn may_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// The answer to a question, without the white space around it, asked for until it is text; `None` at the end of the
/// input, which is no answer.
pub fn ask(question: &str) -> Result<Option<String>> {
    let what = || "could not ask on the terminal".to_owned();
    let mut err = std::io::stderr();
    loop {
        write!(err, "{} ", text::plain_lines(question)).or_fail(ExitCode::Failure, what)?;
        err.flush().or_fail(ExitCode::Failure, what)?;
        let mut answer = Vec::new();
        let mut stdin = std::io::stdin().lock();
        stdin.read_until(b'\n', &mut answer).or_fail(ExitCode::Failure, what)?;
        if answer.is_empty() {
            // Nobody pressed Enter, and what comes next is no part of the question.
            writeln!(err).or_fail(ExitCode::Failure, what)?;
            return Ok(None);
        }
        // A terminal of another encoding, or one whose Backspace takes a byte of a character.
        match std::str::from_utf8(&answer) {
            Ok(answer) => return Ok(Some(answer.trim().to_owned())),
            Err(_) => output::note("that is no text in UTF-8, type it again"),
        }
    }
}

/// Whether a question is answered with yes; anything else is a no.
pub fn confirm(question: &str) -> Result<bool> {
    let answer = ask(&format!("{question} [y/N]"))?.unwrap_or_default();
    Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
}
