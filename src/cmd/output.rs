//! What a command prints: lines, tables and JSON as its result, warnings and notes beside it.

mod colour;

use crate::error::{Called, Error, ExitCode, OrFail, Result};
use crate::text::{self, typed};
use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Nothing is said beside the result.
static QUIET: AtomicBool = AtomicBool::new(false);
/// No column of a table gets narrower than this.
const LEAST: usize = 8;

/// Nobody takes the result, or there is no room for it.
const NO_STDOUT: &str = "could not write to standard output";

/// What the command was told of the home, looked up once a warning has a step.
type Lookup = Box<dyn Fn() -> Called + Send + Sync>;
static CALLED: OnceLock<Lookup> = OnceLock::new();

/// From now on the steps of warnings are for the home that the command was called for, as an error's are.
pub fn steps_are_for(called: impl Fn() -> Called + Send + Sync + 'static) {
    // A second call in one process: the first one's stays.
    let _ = CALLED.set(Box::new(called));
}

/// From now on only results and errors are told.
pub fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// From now on it is told what is read, asked, run and written.
pub fn tell_everything() {
    let filter = Targets::new().with_target(env!("CARGO_CRATE_NAME"), LevelFilter::DEBUG);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(false);
    let lines = lines.without_time().with_level(false).with_target(false);
    // A second call in one process: the first one's stays.
    drop(tracing_subscriber::registry().with(filter).with(lines).try_init());
}

/// Writes a line of the result.
pub fn write_line(out: &mut dyn Write, text: impl std::fmt::Display) -> Result<()> {
    let text = text.to_string();
    writeln!(out, "{}", colour::for_stdout(&text)).or_fail(ExitCode::Failure, || NO_STDOUT.to_owned())
}

/// Runs what is to be done to its end, whether anybody reads the result or not, and only then fails for that.
///
/// # Errors
/// What it fails with itself; or else [`ExitCode::Failure`] where the result could not be written.
pub fn to_the_end(out: &mut dyn Write, run: impl FnOnce(&mut dyn Write) -> Result<ExitCode>) -> Result<ExitCode> {
    let mut kept = Kept { out, failed: None };
    let code = run(&mut kept)?;
    match kept.failed {
        Some(error) => Err(Error::new(ExitCode::Failure, NO_STDOUT).because(error)),
        None => Ok(code),
    }
}

/// A result, and why it could not be written: what comes after that is lost.
struct Kept<'a> {
    out: &'a mut dyn Write,
    failed: Option<io::Error>,
}

impl Write for Kept<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failed.is_none() {
            self.failed = self.out.write_all(bytes).err();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes lines of the result, each of which stays one: texts of others may stand in them.
pub fn write_lines(out: &mut dyn Write, lines: &[String]) -> Result<()> {
    lines.iter().try_for_each(|line| write_line(out, text::plain(line)))
}

/// Tells the person something that is not the result, on standard error.
pub fn warn(text: impl std::fmt::Display) {
    beside(&format!("warning: {}\n", with_flags(text.to_string(), "\n  next: ")));
}

/// Tells the person something besides the result, on standard error. A command of ours at its end is a step too.
pub fn note(text: impl std::fmt::Display) {
    beside(&format!("note: {}\n", noted(text)));
}

/// A note as it is told: its step is for the home that the command was called for.
pub fn noted(text: impl std::fmt::Display) -> String {
    with_flags(text.to_string(), ": sigilum-authz-notify ")
}

/// A text whose step, which begins with or behind `sign`, is for the home that the command was called for.
fn with_flags(text: String, sign: &str) -> String {
    let step = text
        .find(sign)
        .map(|at| at + sign.find(": ").map_or(0, |colon| colon + 2));
    match (step.map(|at| text.split_at(at)), CALLED.get()) {
        (Some((why, step)), Some(called)) => format!("{why}{}", called().complete(step)),
        _ => text,
    }
}

/// Tells why a command failed, on standard error.
pub fn error(error: &Error) {
    tell(&format!("error: {error}\n"));
}

/// Standard error, for what is told besides the result.
pub struct Beside;

impl Write for Beside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match QUIET.load(Ordering::Relaxed) {
            true => Ok(bytes.len()),
            false => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn beside(text: &str) {
    if !QUIET.load(Ordering::Relaxed) {
        tell(text);
    }
}

fn tell(text: &str) {
    let text = typed::without_secrets(&text::plain_lines(text));
    let _ = io::stderr().write_all(colour::for_stderr(&text).as_bytes());
}

/// Writes the result as JSON.
pub fn write_json(out: &mut dyn Write, result: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(result)
        .or_fail(ExitCode::Failure, || "could not write the result as JSON".to_owned())?;
    // What a terminal could take for more than text stands in JSON strings only, where it may be escaped.
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || text::is_plain(c) {
            plain.push(c);
        } else {
            c.encode_utf16(&mut [0; 2])
                .iter()
                .for_each(|unit| plain.push_str(&format!("\\u{unit:04x}")));
        }
    }
    write_line(out, plain)
}

/// Prints columns under their headers, two spaces apart, without trailing blanks. What moves a terminal or
/// cannot be seen becomes `·`: cells may come from a database that others write. On a terminal, long cells but the first,
/// which is what a row is named by, are cut so that a line fits. Where it cannot, a row is a block of lines, and whole;
/// so are all cells where no terminal is, or there are no headers.
pub fn table(out: &mut dyn Write, headers: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    table_of_whole(out, headers, rows, &[])
}

/// The same where somebody tells rows apart by these columns, too: their cells are never cut.
pub fn table_of_whole(out: &mut dyn Write, headers: &[&str], rows: &[Vec<String>], whole: &[&str]) -> io::Result<()> {
    // Written at once: standard output would write line by line.
    out.write_all(laid_out(headers, rows, terminal_width(), whole).as_bytes())
}

/// How many characters fit into a line of the terminal that standard output is.
fn terminal_width() -> Option<usize> {
    let stdout = io::stdout();
    let size = rustix::termios::tcgetwinsize(&stdout)
        .ok()
        .filter(|_| stdout.is_terminal())?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// As text: in lines of at most `fits` characters, in which the first column and these are whole.
fn laid_out(headers: &[&str], rows: &[Vec<String>], fits: Option<usize>, whole: &[&str]) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| text::plain(cell)).collect())
        .collect();
    let mut widths: Vec<usize> = headers.iter().map(|header| header.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let has_headers = !headers.iter().all(|header| header.is_empty());
    if let Some(fits) = fits.filter(|_| has_headers)
        && !narrow(&mut widths, fits, |column| {
            column == 0 || whole.contains(&headers[column])
        })
    {
        return blocks(headers, &rows);
    }
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        for (cell, width) in cells.zip(&widths) {
            let cell = cut(cell, *width);
            text.push_str(&cell);
            let pad = width.saturating_sub(cell.chars().count()) + 2;
            text.extend(std::iter::repeat_n(' ', pad));
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    };
    if has_headers {
        line(&mut headers.iter().copied());
    }
    for row in &rows {
        line(&mut row.iter().map(String::as_str));
    }
    text
}

/// Takes from the widest columns that need not stay whole until all fit into a line; whether they do.
fn narrow(widths: &mut [usize], fits: usize, is_whole: impl Fn(usize) -> bool) -> bool {
    let gaps = 2 * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > fits {
        let columns = widths.iter_mut().enumerate();
        let may_be_cut = columns.filter(|(column, width)| !is_whole(*column) && **width > LEAST);
        let Some((_, widest)) = may_be_cut.max_by_key(|(_, width)| **width) else {
            return false;
        };
        *widest -= 1;
    }
    true
}

/// A line for each cell, behind its header, and an empty one between rows.
fn blocks(headers: &[&str], rows: &[Vec<String>]) -> String {
    let width = headers.iter().map(|header| header.len()).max().unwrap_or_default();
    let block = |row: &Vec<String>| -> String {
        let lines = headers.iter().zip(row);
        lines
            .map(|(header, cell)| format!("{header:width$}  {cell}\n"))
            .collect()
    };
    rows.iter().map(block).collect::<Vec<_>>().join("\n")
}

/// A cell of at most so many characters.
fn cut(cell: &str, width: usize) -> Cow<'_, str> {
    if cell.chars().count() <= width {
        return Cow::Borrowed(cell);
    }
    let kept: String = cell.chars().take(width.saturating_sub(1)).collect();
    Cow::Owned(kept + "…")
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_line_up_and_control_characters_are_harmless() {
        let rows = [
            vec!["linear".to_owned(), "Linear\u{1b}[31m".to_owned(), "1".to_owned()],
            vec!["ü".to_owned(), String::new(), String::new()],
        ];
        let laid_out = super::laid_out(&["SLUG", "NAME", "KEYS"], &rows, None, &[]);
        assert_eq!(laid_out, "SLUG    NAME         KEYS\nlinear  Linear·[31m  1\nü\n");
    }

    #[test]
    fn a_narrow_terminal_gets_the_widest_cells_cut_or_a_block_for_each_row() {
        let rows = [vec![
            "cl_1".to_owned(),
            "a very long description".to_owned(),
            "mail".to_owned(),
        ]];
        let as_wide = |width, whole: &[&str]| super::laid_out(&["ID", "WHAT", "FOR"], &rows, Some(width), whole);
        let whole = "ID    WHAT                     FOR\ncl_1  a very long description  mail\n";
        assert_eq!(as_wide(35, &[]), whole);
        assert_eq!(as_wide(35, &["WHAT"]), whole);
        assert_eq!(as_wide(24, &[]), "ID    WHAT          FOR\ncl_1  a very long…  mail\n");
        // Never to nothing, and never the name of a row.
        let in_blocks = "ID    cl_1\nWHAT  a very long description\nFOR   mail\n";
        assert_eq!(as_wide(19, &[]), in_blocks);
        assert_eq!(as_wide(34, &["WHAT"]), in_blocks);
        let two = [rows[0].clone(), rows[0].clone()];
        let both = super::laid_out(&["ID", "WHAT", "FOR"], &two, Some(19), &[]);
        assert_eq!(both, format!("{in_blocks}\n{in_blocks}"));
        let named = [vec!["A name".to_owned(), "what it says, in full".to_owned()]];
        let no_headers = super::laid_out(&["", ""], &named, Some(10), &[]);
        assert_eq!(no_headers, "A name  what it says, in full\n");
    }
}
