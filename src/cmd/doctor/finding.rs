//! What a check found.

use crate::error::{Called, Error, ExitCode};
use serde::Serialize;

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// Worth a look; notices still come.
    Warn,
    /// Notices do not come, or somebody else could have them.
    Fail,
}

impl State {
    /// The name, as JSON has it too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One finding of one check. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check's name, which never changes.
    pub check: &'static str,
    /// How it stands.
    pub state: State,
    /// The same for people.
    pub text: String,
    /// What to do about it: a command that works as printed, or a step.
    pub next: Option<String>,
    /// What the command ends with.
    #[serde(skip)]
    pub code: ExitCode,
}

impl Finding {
    fn new(check: &'static str, state: State, text: impl Into<String>) -> Self {
        Self {
            check,
            state,
            text: text.into(),
            next: None,
            code: ExitCode::Ok,
        }
    }

    /// All is well.
    pub fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(check, State::Ok, text)
    }

    /// Worth a look, with what to do about it.
    pub fn warn(check: &'static str, text: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            next: Some(next.into()),
            ..Self::new(check, State::Warn, text)
        }
    }

    /// Wrong, with what to do about it.
    pub fn fail(check: &'static str, code: ExitCode, text: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            next: Some(next.into()),
            code,
            ..Self::new(check, State::Fail, text)
        }
    }

    /// What an error says, as a warning; `next` where it names no step of its own.
    pub fn warning_of(check: &'static str, error: &Error, next: impl Into<String>) -> Self {
        Self::warn(check, error.text(), error.step().unwrap_or_else(|| next.into()))
    }

    /// What an error says, as a fault with its exit code; `next` where it names no step of its own.
    pub fn fault_of(check: &'static str, error: &Error, next: impl Into<String>) -> Self {
        let next = error.step().unwrap_or_else(|| next.into());
        Self::fail(check, error.code, error.text(), next)
    }

    /// The same, whose step is for the home that the command was called for.
    #[must_use]
    pub fn called(self, called: &Called) -> Self {
        Self {
            next: self.next.map(|step| called.complete(&step)),
            ..self
        }
    }

    /// Whether there is anything to do.
    pub fn is_problem(&self) -> bool {
        self.state != State::Ok
    }

    /// It and its next step in lines under a head of this width.
    pub fn lines(&self, head: &str) -> Vec<String> {
        let next = self.next.iter().map(|next| format!("next: {next}"));
        let lines: Vec<String> = self.text.lines().map(str::to_owned).chain(next).collect();
        let blank = " ".repeat(head.len());
        let heads = std::iter::once(head).chain(std::iter::repeat(blank.as_str()));
        lines
            .iter()
            .zip(heads)
            .map(|(line, head)| format!("{head}{line}"))
            .collect()
    }
}

/// The worst first: without a config nothing runs, without a token nothing is asked.
const WORST: [ExitCode; 3] = [ExitCode::Config, ExitCode::Token, ExitCode::SecretOrDatabase];

/// The exit code of the worst fault; warnings are no faults.
pub fn exit_code(findings: &[Finding]) -> ExitCode {
    let mut codes = findings
        .iter()
        .filter(|finding| finding.state == State::Fail)
        .map(|finding| finding.code);
    let rank = |code: &ExitCode| WORST.iter().position(|worst| worst == code).unwrap_or(WORST.len());
    let first = codes.next();
    first.map_or(ExitCode::Ok, |first| {
        codes.fold(
            first,
            |worst, code| if rank(&code) < rank(&worst) { code } else { worst },
        )
    })
}

/// The problems among findings, as a status shows them.
pub fn problem_lines<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Vec<String> {
    let problems = findings.into_iter().filter(|finding| finding.is_problem());
    problems.flat_map(|problem| problem.lines("Problem:       ")).collect()
}
