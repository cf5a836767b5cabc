//! Colours for what a person looks for first, where the output is a terminal that shows them; `NO_COLOR`, `CLICOLOR` and
//! `CLICOLOR_FORCE` count as anywhere.

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use std::borrow::Cow;
use std::io;
use std::sync::OnceLock;

const BAD: Style = AnsiColor::Red.on_default().bold();
const DOUBTFUL: Style = AnsiColor::Yellow.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const STEP: Style = AnsiColor::Cyan.on_default().bold();

/// What a line begins with. The last ones are `doctor`'s.
const MARKS: [(&str, usize, Style); 6] = [
    ("error: ", 6, BAD),
    ("warning: ", 8, DOUBTFUL),
    ("note: ", 5, STEP),
    ("ok    ", 2, GOOD),
    ("warn  ", 4, DOUBTFUL),
    ("fail  ", 4, BAD),
];
/// It may stand under something.
const NEXT: &str = "next:";

/// Text for standard output.
pub fn for_stdout(text: &str) -> Cow<'_, str> {
    static SHOWN: OnceLock<bool> = OnceLock::new();
    painted(text, *SHOWN.get_or_init(|| is_shown(AutoStream::choice(&io::stdout()))))
}

/// Text for standard error.
pub fn for_stderr(text: &str) -> Cow<'_, str> {
    static SHOWN: OnceLock<bool> = OnceLock::new();
    painted(text, *SHOWN.get_or_init(|| is_shown(AutoStream::choice(&io::stderr()))))
}

fn is_shown(choice: ColorChoice) -> bool {
    choice != ColorChoice::Never
}

fn painted(text: &str, shown: bool) -> Cow<'_, str> {
    match shown {
        true => Cow::Owned(text.split_inclusive('\n').map(line).collect()),
        false => Cow::Borrowed(text),
    }
}

fn line(line: &str) -> String {
    let indent = line.len() - line.trim_start_matches(' ').len();
    let mark = MARKS
        .iter()
        .find(|(mark, ..)| line.starts_with(mark))
        .map(|(_, end, style)| (0, *end, style));
    let next = line[indent..]
        .starts_with(NEXT)
        .then_some((indent, indent + NEXT.len(), &STEP));
    match mark.or(next) {
        Some((from, to, style)) => format!("{}{style}{}{style:#}{}", &line[..from], &line[from..to], &line[to..]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_is_coloured_and_nothing_else() {
        let text = "error: no\n  next: try\nfail  token  bad: warn  it\nokay\n  error: quoted\n";
        let wanted = "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m no\n  \u{1b}[1m\u{1b}[36mnext:\u{1b}[0m try\n\
                      \u{1b}[1m\u{1b}[31mfail\u{1b}[0m  token  bad: warn  it\nokay\n  error: quoted\n";
        assert_eq!(painted(text, true), wanted);
        assert_eq!(painted(text, false), text);
    }
}
