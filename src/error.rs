//! How a command ends: the exit codes that scripts may rely on, and the one error type that carries them.

use crate::text;
use std::fmt;

/// The process exit codes, as docs/exit-codes.md documents them. The numbers are a contract: never renumber.
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
    /// The Sigilum API, the Sigilum gateway or the broker cannot be reached.
    Unreachable = 6,
    /// A secret or the local database is unavailable.
    SecretOrDatabase = 7,
    /// Another watcher serves this OpenClaw home.
    AnotherWatcher = 8,
}

impl ExitCode {
    /// The code of a number; [`ExitCode::Failure`] where it is none of these.
    pub fn of(number: u8) -> Self {
        let all = [
            Self::Ok,
            Self::Usage,
            Self::Config,
            Self::Token,
            Self::LockHeld,
            Self::Unreachable,
            Self::SecretOrDatabase,
            Self::AnotherWatcher,
        ];
        all.into_iter()
            .find(|code| *code as u8 == number)
            .unwrap_or(Self::Failure)
    }
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

    /// The same error, whose step is for the home that the command was called for.
    #[must_use]
    pub fn called(self, called: &Called) -> Self {
        self.told(|step| called.complete(step))
    }

    /// The same error, with its step told otherwise.
    #[must_use]
    pub fn told(mut self, tell: impl FnOnce(&str) -> String) -> Self {
        self.next = self.next.map(|step| tell(&step));
        self
    }
}

/// The flags with which a command was told where the home is and who its owner: each with its value in a shell's quotes.
/// A command that a step names is told the same.
#[derive(Debug, Clone, Default)]
pub struct Called {
    /// `--openclaw-home` and `--config`.
    pub place: Vec<(&'static str, String)>,
    /// `--namespace`, `--source-home` and `--api-db`, for a login and for services; `--api-url` and `--token-file`, for a
    /// login; how to reach the Sigilum gateway, for services.
    pub owner: Vec<(&'static str, String)>,
    /// Where `openclaw` is, where it is not on PATH and that is known. Never as root in another user's home: the record
    /// that says so is theirs.
    pub openclaw: Option<String>,
    /// Whether OpenClaw finds the home by itself: then `openclaw` is not told.
    pub is_found: bool,
    /// As root in another user's home: `sudo -u <owner>`, by whom `openclaw` is run.
    pub openclaw_as: Option<String>,
}

impl Called {
    /// A step that acts on the same home. A step is a command, or several with `&&` between them; words and a colon may
    /// stand before them, a semicolon and more words behind them.
    pub fn complete(&self, step: &str) -> String {
        let commands = parts(step, ": ").last().unwrap_or_default();
        let words = &step[..step.len() - commands.len()];
        let (commands, more) = commands.split_at(parts(commands, "; ").next().map_or(0, str::len));
        let commands: Vec<String> = parts(commands, " && ").map(|command| self.told(command)).collect();
        format!("{words}{}{more}", commands.join(" && "))
    }

    fn told(&self, command: &str) -> String {
        // What it reads stands behind its flags.
        let (command, reads) = command.split_at(command.find(" < ").unwrap_or(command.len()));
        // Another user's command: the home is theirs, but what was said of the owner is meant there too.
        let by_another = command.strip_prefix("sudo -u ").map(|user| cut(user).1);
        let is_anothers = by_another.is_some();
        let (program, words) = cut(by_another.unwrap_or(command));
        let (name, _) = cut(words);
        let logs_in = [" auth login", " auth refresh"]
            .iter()
            .any(|words| command.contains(words));
        let takes = |flag: &str| match program {
            "sigilum-authz-notify" => match flag {
                "--openclaw-home" | "--config" if is_anothers => false,
                // Those are all of a person's.
                "--openclaw-home" => !(name == "watch" && command.contains(" --all")),
                "--config" => name != "watch",
                "--gateway-admin-url" | "--gateway-data-dir" => name == "service",
                "--api-url" | "--token-file" => logs_in,
                "--namespace" if is_anothers && (name == "authz" || command.contains(" auth show")) => true,
                _ => logs_in || name == "service",
            },
            _ => false,
        };
        let variable = |flag: &str| match (program, flag) {
            _ if is_anothers => None,
            ("openclaw", "--openclaw-home") if self.is_found => None,
            ("openclaw", "--openclaw-home") => Some("OPENCLAW_STATE_DIR"),
            ("openclaw" | "sigilum-authz-notify", "--config") => Some("OPENCLAW_CONFIG_PATH"),
            _ => None,
        };
        let (mut before, mut behind) = (String::new(), String::new());
        let told = self.owner.iter().chain(&self.place);
        for (flag, value) in told.filter(|(flag, _)| !command.contains(flag)) {
            if takes(flag) {
                behind += &format!(" {flag} {value}");
            } else if let Some(variable) = variable(flag) {
                before += &format!("{variable}={value} ");
            }
        }
        if let (Some(owner), "openclaw", false) = (&self.openclaw_as, program, is_anothers) {
            before = format!("{owner} {before}");
        }
        before + &self.by_path(command) + &behind + reads
    }

    /// The same command, with the path of `openclaw` where that is its program.
    fn by_path(&self, command: &str) -> String {
        let program = from_program(command);
        match (&self.openclaw, cut(program)) {
            (Some(openclaw), ("openclaw", _)) => {
                let before = &command[..command.len() - program.len()];
                format!("{before}{openclaw}{}", &program["openclaw".len()..])
            }
            _ => command.to_owned(),
        }
    }
}

/// A step, and then the command again: in these words, where the step itself does not say so.
pub fn then_again(step: String, words: &str) -> String {
    match step.contains("command again") {
        true => step,
        false => format!("{step}; then {words}"),
    }
}

/// A command from its program on: without `sudo -u <user>`, `env -u <name>` and variables.
fn from_program(command: &str) -> &str {
    let mut rest = command;
    loop {
        let (word, more) = cut(rest);
        let name = word.split_once('=').map_or("", |(name, _)| name);
        let is_variable = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        rest = match word {
            "sudo" | "env" => more,
            "-u" => cut(more).1,
            _ if is_variable => more,
            _ => return rest,
        };
    }
}

/// The parts of a text between separators that are in no quoted value. A quote opens at a word's start: an apostrophe
/// opens none.
fn parts<'a>(text: &'a str, separator: &'static str) -> impl Iterator<Item = &'a str> {
    let (mut quoted, mut before) = (false, ' ');
    let mut ends: Vec<usize> = text
        .char_indices()
        .filter(|(at, c)| {
            if *c == '\'' {
                quoted = !quoted && matches!(before, ' ' | '=' | '\'');
            }
            before = *c;
            !quoted && text[*at..].starts_with(separator)
        })
        .map(|(at, _)| at)
        .collect();
    ends.push(text.len());
    let mut start = 0;
    ends.into_iter()
        .map(move |end| &text[std::mem::replace(&mut start, end + separator.len())..end])
}

/// A shell's first word, and what follows its blank.
fn cut(command: &str) -> (&str, &str) {
    let (mut quoted, mut escaped) = (false, false);
    let end = command.char_indices().find(|(_, c)| {
        let is_end = *c == ' ' && !quoted && !escaped;
        quoted ^= *c == '\'' && !escaped;
        escaped = *c == '\\' && !quoted && !escaped;
        is_end
    });
    match end {
        Some((at, _)) => (&command[..at], &command[at + 1..]),
        None => (command, ""),
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

    /// Whether this is the cause.
    pub fn is_because_of<T: std::error::Error + Send + Sync + 'static>(&self) -> bool {
        self.cause::<T>().is_some()
    }

    /// The cause, where it is one of these.
    pub fn cause<T: std::error::Error + Send + Sync + 'static>(&self) -> Option<&T> {
        self.cause.as_ref()?.downcast_ref()
    }

    /// What kind of failure of a file or a folder it was, where it was one.
    pub fn io_kind(&self) -> Option<std::io::ErrorKind> {
        let cause = self.cause.as_ref()?;
        let io = cause.downcast_ref().map(std::io::Error::kind);
        io.or_else(|| cause.downcast_ref().map(|errno: &rustix::io::Errno| errno.kind()))
    }

    /// What failed and why.
    pub fn text(&self) -> String {
        let mut text = self.what.clone();
        for cause in self.causes() {
            let own = cause.downcast_ref::<Self>();
            let says = own.map_or_else(|| cause.to_string(), Self::text);
            let says = text::without_number(&says);
            // Many a cause tells its own cause itself.
            if !text.ends_with(says) {
                text.push_str(": ");
                text.push_str(says);
            }
            if own.is_some() {
                break;
            }
        }
        text::plain_lines(&text)
    }

    /// The next command or step, where there is one: the cause's where there is none of its own.
    pub fn step(&self) -> Option<String> {
        let of_cause = || self.causes().find_map(|cause| cause.downcast_ref::<Self>()?.step());
        self.next.as_deref().map(text::plain_lines).or_else(of_cause)
    }

    fn causes(&self) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
        self.cause.iter().flat_map(|cause| cause.chain())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once_and_its_step_is_kept() {
        let denied = || anyhow::Error::from(std::io::Error::other("denied"));
        let inner = || Error::new(ExitCode::Failure, "could not read b").because(denied());
        for (cause, text) in [
            (denied(), "could not do a: denied"),
            (
                denied().context("could not open c"),
                "could not do a: could not open c: denied",
            ),
            (
                denied().context("could not open c: denied"),
                "could not do a: could not open c: denied",
            ),
            (inner().into(), "could not do a: could not read b: denied"),
            (
                Error::new(ExitCode::Failure, "in").because(inner()).into(),
                "could not do a: in: could not read b: denied",
            ),
        ] {
            assert_eq!(
                Error::new(ExitCode::Failure, "could not do a")
                    .because(cause)
                    .to_string(),
                text
            );
        }
        let stepped = || inner().next("chmod b");
        let outer = Error::new(ExitCode::Failure, "could not do a").because(stepped());
        assert_eq!(
            outer.to_string(),
            "could not do a: could not read b: denied\n  next: chmod b"
        );
        let own = Error::new(ExitCode::Failure, "could not do a")
            .because(stepped())
            .next("x");
        assert_eq!(own.to_string(), "could not do a: could not read b: denied\n  next: x");
    }

    #[test]
    fn a_step_takes_along_what_the_command_was_told() {
        let called = Called {
            place: vec![("--openclaw-home", "'/a b'".to_owned()), ("--config", "/c".to_owned())],
            owner: vec![
                ("--namespace", "alice".to_owned()),
                ("--api-url", "http://127.0.0.1:9".to_owned()),
            ],
            ..Called::default()
        };
        for (step, whole) in [
            ("add --force; or not", "add --force; or not"),
            (
                "rm '/a b/x' && sigilum-authz-notify auth login",
                "rm '/a b/x' && sigilum-authz-notify auth login --namespace alice --api-url http://127.0.0.1:9 --openclaw-home \
                 '/a b' --config /c",
            ),
            (
                "start it, then: sigilum-authz-notify watch; or leave it",
                "start it, then: OPENCLAW_CONFIG_PATH=/c sigilum-authz-notify watch --openclaw-home '/a b'; or leave it",
            ),
            (
                "sigilum-authz-notify hook install --openclaw-home /x",
                "sigilum-authz-notify hook install --openclaw-home /x --config /c",
            ),
            (
                "sudo -u broker sigilum-authz-notify auth login",
                "sudo -u broker sigilum-authz-notify auth login --namespace alice --api-url http://127.0.0.1:9",
            ),
            (
                "sudo -u <broker-user> sigilum-authz-notify authz reject --all --yes",
                "sudo -u <broker-user> sigilum-authz-notify authz reject --all --yes --namespace alice",
            ),
            (
                "sudo -u broker sigilum-authz-notify doctor --fix --openclaw-home /x",
                "sudo -u broker sigilum-authz-notify doctor --fix --openclaw-home /x",
            ),
            (
                "have it read: sigilum-authz-notify auth login --owner-token-stdin < the file",
                "have it read: sigilum-authz-notify auth login --owner-token-stdin --namespace alice --api-url \
                 http://127.0.0.1:9 --openclaw-home '/a b' --config /c < the file",
            ),
            (
                "what OpenClaw thinks of it: openclaw config validate",
                "what OpenClaw thinks of it: OPENCLAW_STATE_DIR='/a b' OPENCLAW_CONFIG_PATH=/c openclaw config validate",
            ),
        ] {
            assert_eq!(called.complete(step), whole);
            assert_eq!(Called::default().complete(step), step);
        }
        let called = Called {
            openclaw_as: Some("sudo -u alice".to_owned()),
            ..called
        };
        assert_eq!(
            called.complete("mv /a /b && openclaw doctor; it moves openclaw's"),
            "mv /a /b && sudo -u alice OPENCLAW_STATE_DIR='/a b' OPENCLAW_CONFIG_PATH=/c openclaw doctor; it moves openclaw's"
        );
        let step = "sudo -u alice openclaw doctor";
        assert_eq!(called.complete(step), step);
    }

    #[test]
    fn of_a_command_only_the_program_is_named_by_its_path() {
        let called = Called {
            place: vec![("--openclaw-home", r"'/my openclaw home, bob'\''s'".to_owned())],
            openclaw: Some("'/o c/openclaw'".to_owned()),
            ..Called::default()
        };
        let variable = r"OPENCLAW_STATE_DIR='/my openclaw home, bob'\''s' ";
        let flag = r" --openclaw-home '/my openclaw home, bob'\''s'";
        for (step, whole) in [
            ("openclaw doctor", format!("{variable}'/o c/openclaw' doctor")),
            (
                "where openclaw is on PATH: sigilum-authz-notify hook install",
                format!("where openclaw is on PATH: sigilum-authz-notify hook install{flag}"),
            ),
            (
                "mv '/an openclaw x' /b && openclaw doctor; it moves openclaw there",
                format!("mv '/an openclaw x' /b && {variable}'/o c/openclaw' doctor; it moves openclaw there"),
            ),
            (
                "it's b's: mv '/a: b; c && d' /e && openclaw doctor; it's openclaw's",
                format!("it's b's: mv '/a: b; c && d' /e && {variable}'/o c/openclaw' doctor; it's openclaw's"),
            ),
            (
                "sudo -u <broker-user> openclaw doctor",
                "sudo -u <broker-user> '/o c/openclaw' doctor".to_owned(),
            ),
            (
                r"sudo -u bob env -u OPENCLAW_HOME HOME='/an openclaw home, bob'\''s' openclaw doctor openclaw",
                r"sudo -u bob env -u OPENCLAW_HOME HOME='/an openclaw home, bob'\''s' '/o c/openclaw' doctor openclaw"
                    .to_owned(),
            ),
            (
                r"A=a\ openclaw B= openclaw",
                r"A=a\ openclaw B= '/o c/openclaw'".to_owned(),
            ),
        ] {
            assert_eq!(called.complete(step), whole);
        }
    }
}
