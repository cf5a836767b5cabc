//! Where a value came from, for messages, and what a person does about one that cannot be used.

use crate::error::Error;
use crate::fs;
use std::fmt;
use std::path::PathBuf;

/// Where a value came from: "namespace alice (from SIGILUM_NAMESPACE)".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A command-line flag.
    Flag(&'static str),
    /// The claims of an explicitly given token.
    Token,
    /// An environment variable.
    Env(&'static str),
    /// The hook's entry in openclaw.json.
    Entry,
    /// The record `<home>/.sigilum/owner-<ns>.json`.
    Record,
    /// The record `<home>/.sigilum/hook.json`.
    HookRecord,
    /// The hook's entry in a home of version 0.1.0, of a namespace that is logged in.
    Adopted,
    /// The record `<home>/.sigilum/owner-<ns>.json` that was written last.
    LastRecord,
    /// The only token file there is.
    OnlyOne,
    /// Sigilum's own `config.env`, this file.
    SigilumConfig(PathBuf),
    /// Around the working directory, and a person agreed.
    Found,
    /// What a person answered at the terminal.
    Answer,
    /// The source checkout's `.dev.vars`.
    Checkout,
    /// A file beside our own embedded database.
    Embedded,
    /// The specification's default.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token => f.write_str("the token's claims"),
            Self::Entry => f.write_str("the hook's entry in openclaw.json: a guess"),
            Self::Env("USER") => f.write_str("USER: a guess"),
            Self::Flag(name) | Self::Env(name) => f.write_str(name),
            Self::Record => f.write_str("the record of the last login"),
            Self::Adopted => f.write_str("the hook's entry, taken over"),
            Self::HookRecord => f.write_str("the hook's record"),
            Self::LastRecord => f.write_str("the newest record"),
            Self::OnlyOne => f.write_str("the only token file there is"),
            Self::SigilumConfig(file) => write!(f, "{}", file.display()),
            Self::Answer => f.write_str("your answer"),
            Self::Found => f.write_str("around the working directory"),
            Self::Checkout => f.write_str("the checkout's .dev.vars"),
            Self::Embedded => f.write_str("the embedded database's secret file"),
            Self::Default => f.write_str("the default"),
        }
    }
}

impl Origin {
    /// Whether a person said it just now, or has it in their environment.
    pub fn is_said(&self) -> bool {
        matches!(self, Self::Flag(_) | Self::Token | Self::Answer | Self::Env(_)) && !self.is_guess()
    }

    /// Whether nobody said it in so many words: a person is asked, or told.
    pub fn is_guess(&self) -> bool {
        matches!(self, Self::Entry | Self::Env("USER"))
    }

    /// What a person does about a value of this origin that cannot be used: takes it back where it is, or gives one such
    /// as `example` by `flag`. `log_in` writes the record anew.
    pub fn mend(&self, flag: &str, example: &str, log_in: &str) -> String {
        let example = fs::quoted(example.as_ref());
        match self {
            Self::Env("USER") | Self::Entry | Self::Adopted | Self::LastRecord | Self::OnlyOne
                if flag == "--namespace" =>
            {
                format!("add {flag} {example}, for example")
            }
            Self::Env(name) => format!("unset {name}; or set it to another, such as {example}"),
            Self::Record | Self::Entry => format!("log in with another one, for example: {log_in} {flag} {example}"),
            Self::SigilumConfig(file) => {
                format!("add {flag} {example}, for example; or correct {}", file.display())
            }
            Self::Token => format!("take a token of another one, such as {example}"),
            Self::Answer => format!("run the command again, and answer otherwise, such as {example}"),
            _ => format!("give another one, for example: {flag} {example}"),
        }
    }

    /// The same error about `what`, a file or a folder of this origin: its step takes back a variable that names it, and
    /// tells of what else a person did not type just now.
    pub fn blame(&self, what: &str, error: Error) -> Error {
        match (self, error.step()) {
            (Self::Env(name), Some(step)) => error.next(format!("unset {name}; or {step}")),
            (Self::Flag(_), _) | (_, None) => error,
            (_, Some(step)) => error.next(format!("{step}; {what} is named by {self}")),
        }
    }
}
