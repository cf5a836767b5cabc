//! The token command: a person's program that prints a fresh owner token, in the way of AWS's `credential_process` and
//! git's credential helpers.

use crate::error::{Error, ExitCode, Result};
use crate::process::child::{Program, RunError, find_on_path, is_program};
use crate::text;
use crate::token::paste;
use secrecy::{ExposeSecret, SecretString};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// What names a person's command in the environment.
pub const VARIABLE: &str = "SIGILUM_OWNER_TOKEN_COMMAND";
/// How long the command may take.
pub const LIMIT: Duration = Duration::from_secs(30);
/// An owner token is about 400 bytes.
const MAX_OUTPUT: usize = 64 * 1024;
/// What a person does about a command that does not give a usable token.
pub const HOW_TO_TRY: &str =
    "run the command yourself, with SIGILUM_NAMESPACE set: it must print one fresh owner token, and end";
/// Secrets of ours that it has no use for.
const KEPT_BACK: [&str; 4] = [
    "SIGILUM_OWNER_TOKEN",
    "JWT_SECRET",
    "GATEWAY_MASTER_KEY",
    "GATEWAY_ADMIN_TOKEN",
];

/// A program, its arguments and its environment. The latter two may hold secrets: no `Debug` of them.
#[derive(Clone)]
pub struct TokenCommand {
    program: String,
    args: Vec<String>,
    /// The first sign in it that a shell alone would heed.
    sign: Option<char>,
    env: Vec<(OsString, OsString)>,
}

impl TokenCommand {
    /// Splits a text into words as a POSIX shell does; there is no shell, so nothing else in it is special. `from`
    /// names its source in errors, `env` is the environment that it gets, but for secrets of ours.
    ///
    /// # Errors
    /// [`ExitCode::Usage`]: no word at all, or an open quote.
    pub fn parse<K, V>(text: &str, from: &str, env: impl IntoIterator<Item = (K, V)>) -> Result<Self>
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
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
                sign: shell_sign(text),
                env: env
                    .into_iter()
                    .map(|(name, value)| (name.into(), value.into()))
                    .filter(|(name, _)| !KEPT_BACK.iter().any(|kept| name == kept))
                    .collect(),
            }),
            _ => Err(refuse("it names no program")),
        }
    }

    /// Why it cannot be run as things are, or hardly as it is meant, for a look before it is needed; `None` where all is
    /// well.
    pub fn trouble(&self) -> Option<String> {
        let why = match self.path() {
            None => "it is not on PATH",
            Some(path) => match path.metadata() {
                Err(_) => "there is no such program",
                Ok(meta) if !meta.is_file() => "it is not a file",
                Ok(_) if !is_program(&path) => "it is not executable",
                Ok(_) => {
                    let (program, sign) = (&self.program, self.sign?);
                    let why = format!("{sign} in it is plain text to {program}, since no shell reads it");
                    return Some(format!("the token command may need a shell: {why}"));
                }
            },
        };
        Some(format!("the token command {} cannot be run, {why}", self.program))
    }

    /// Its program, by PATH where it has no slash; `None` where that does not lead to one.
    pub fn path(&self) -> Option<PathBuf> {
        if self.program.contains('/') {
            return Some(PathBuf::from(&self.program));
        }
        let folders = self.env.iter().find(|(name, _)| name == "PATH");
        let folders = folders.map_or(OsStr::new("/usr/bin:/bin"), |(_, value)| value);
        find_on_path(folders, &self.program)
    }

    /// The words again, for a unit file.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.program.as_str()).chain(self.args.iter().map(String::as_str))
    }

    /// Runs it and gives what it printed, without the white space around. The text is not checked: see
    /// [`TokenCommand::token`]. It has `SIGILUM_NAMESPACE` in its environment and nothing on its standard input, and
    /// is killed, with what it started, after `limit` or when `stop` is set.
    ///
    /// # Errors
    /// [`ExitCode::Token`]: it cannot be run, fails, prints nothing or too much, or is killed. Nothing that it printed
    /// to standard output is ever in the error; of its standard error the last line is, long words masked.
    fn run(&self, namespace: &str, limit: Duration, stop: &AtomicBool) -> Result<SecretString> {
        let mut env = self.env.clone();
        env.push(("SIGILUM_NAMESPACE".into(), namespace.into()));
        let program = Program {
            path: Path::new(&self.program),
            args: self.args.iter().map(OsString::from).collect(),
            env,
            stdin: None,
            limit,
            max_stdout: MAX_OUTPUT,
            stop: Some(stop),
        };
        let ended = program.run().map_err(|error| match error {
            RunError::Stopped => self.failed("it was killed, since the watcher ends"),
            RunError::NotStarted(cause) => self.failed("it cannot be run").because(cause),
            other => self.failed(&other.to_string()),
        })?;
        if !ended.status.success() {
            let said = last_line(&ended.stderr).map_or_else(String::new, |line| format!(" ({line})"));
            return Err(self.failed(&format!("it ended with {}{said}", ended.status)));
        }
        let text = String::from_utf8(ended.stdout).map_err(|_| self.failed("it did not print UTF-8 text"))?;
        let token: SecretString = text.trim().into();
        if text.trim().is_empty() {
            return Err(self.failed("it printed nothing"));
        }
        Ok(token)
    }

    /// Runs it and gives the one token in what it printed, which may be more: a banner, a line of the shell.
    ///
    /// # Errors
    /// [`ExitCode::Token`]: as [`TokenCommand::run`], or what it printed is no token.
    pub fn token(&self, namespace: &str, limit: Duration, stop: &AtomicBool) -> Result<SecretString> {
        let printed = self.run(namespace, limit, stop)?;
        let pasted = paste::read(printed.expose_secret().as_bytes());
        pasted
            .map(|pasted| pasted.token)
            .map_err(|what| self.failed(&format!("of what it printed: {what}")))
    }

    fn failed(&self, why: &str) -> Error {
        Error::new(
            ExitCode::Token,
            format!("could not get a token from the token command {}: {why}", self.program),
        )
        .next(self.sign.map_or_else(|| HOW_TO_TRY.to_owned(), in_a_shell))
    }
}

/// What a person does about a command with such a sign in it.
fn in_a_shell(sign: char) -> String {
    format!("no shell reads it, so {sign} in it is plain text; if one should: sh -c '<command>'")
}

/// The first sign in a command line that only a shell makes something of: one outside of quotes, or a `$` or a backtick
/// that double quotes do not keep from it either.
fn shell_sign(text: &str) -> Option<char> {
    let (mut quote, mut before) = (None, ' ');
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let next = rest.peek().copied().unwrap_or(' ');
        match (quote, c) {
            (Some('\''), _) if c != '\'' => {}
            (_, '\\') => drop(rest.next()),
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (_, '`') => return Some(c),
            (_, '$') if next.is_ascii_alphabetic() || "_({".contains(next) => return Some(c),
            (None, '|' | '&' | ';' | '<' | '>') => return Some(c),
            (None, '~') if before == ' ' && next == '/' => return Some(c),
            _ => {}
        }
        before = c;
    }
    None
}

impl fmt::Debug for TokenCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCommand").field("program", &self.program).finish()
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
    use crate::process::{Life, life};
    use std::time::Instant;

    fn parse(text: &str) -> Result<TokenCommand> {
        let path = std::env::var_os("PATH").unwrap();
        TokenCommand::parse(text, "test", [("PATH", path), ("JWT_SECRET", "s3cret".into())])
    }

    fn run(script: &str, limit: Duration) -> Result<SecretString, String> {
        let command = parse(&format!("sh -c {}", shell_words::quote(script))).unwrap();
        command
            .run("alice", limit, &AtomicBool::new(false))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn words_are_split_as_a_shell_does_and_nothing_else() {
        let command = parse(r#"printf '%s %s' "a  b" $HOME;x"#).unwrap();
        assert_eq!(
            command.words().collect::<Vec<_>>(),
            ["printf", "%s %s", "a  b", "$HOME;x"]
        );
        let token = command.run("alice", LIMIT, &AtomicBool::new(false)).unwrap();
        assert_eq!(token.expose_secret(), "a  b $HOME;x");
        for (text, sign) in [
            ("a | b", Some('|')),
            ("a && b", Some('&')),
            ("a; b", Some(';')),
            ("a 2>/dev/null", Some('>')),
            ("a <b", Some('<')),
            ("a \"$(b)\"", Some('$')),
            ("a $HOME/b", Some('$')),
            ("a `b`", Some('`')),
            ("~/bin/a", Some('~')),
            ("sh -c 'a | b; c $(d) > \"$E\"'", None),
            ("sh -c \"a | b\"", None),
            ("a \\| 'b'\\''c'", None),
            ("a b~/c https://d.example/?e=$", None),
            ("printf '%s\\' 5$", None),
        ] {
            assert_eq!(parse(text).unwrap().sign, sign, "{text}");
        }
        for bad in ["", "  ", "'open", "''"] {
            assert_eq!(parse(bad).unwrap_err().code, ExitCode::Usage, "{bad}");
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
        let missing = parse("/nonexistent/program").unwrap();
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
        let started = dir.path().join("started");
        let script = format!("sleep 60 & echo $! > {}; sleep 60", started.display());
        let start = Instant::now();
        let error = run(&script, Duration::from_millis(200)).map(|_| ()).unwrap_err();
        assert!(error.contains("took too long"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(10));
        let pid = std::fs::read_to_string(started).unwrap().trim().parse().unwrap();
        while life(pid) != Life::Dead {
            assert!(
                start.elapsed() < Duration::from_secs(50),
                "what it had started lives on"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
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
        let command = parse("sleep 60").unwrap();
        let error = command
            .run("alice", LIMIT, &AtomicBool::new(true))
            .map(|_| ())
            .unwrap_err();
        assert!(error.to_string().contains("the watcher ends"), "{error}");
    }
}
