//! What a command prints: lines, tables and JSON as its result, warnings and notes beside it.

use crate::error::{ExitCode, OrFail, Result};
use crate::text;
use std::io::{self, Write};

/// Writes a line of the result.
pub fn write_line(out: &mut dyn Write, text: impl std::fmt::Display) -> Result<()> {
    writeln!(out, "{text}").or_fail(ExitCode::Failure, || "could not write to standard output".to_owned())
}

/// Writes lines of the result, each of which stays one: texts of others may stand in them.
pub fn write_lines(out: &mut dyn Write, lines: &[String]) -> Result<()> {
    lines.iter().try_for_each(|line| write_line(out, text::plain(line)))
}

/// Tells the person something that is not the result, on standard error.
pub fn warn(text: impl std::fmt::Display) {
    let _ = std::io::stderr().write_all(text::plain_lines(&format!("warning: {text}\n")).as_bytes());
}

/// Tells the person something besides the result, on standard error.
pub fn note(text: impl std::fmt::Display) {
    let _ = std::io::stderr().write_all(text::plain_lines(&format!("note: {text}\n")).as_bytes());
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
/// cannot be seen becomes `·`: cells may come from a database that others write.
pub fn table(out: &mut dyn Write, headers: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
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
    // Written at once: standard output would write line by line.
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        for (cell, width) in cells.zip(&widths) {
            text.push_str(cell);
            let pad = width.saturating_sub(cell.chars().count()) + 2;
            text.extend(std::iter::repeat_n(' ', pad));
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    };
    if !headers.iter().all(|header| header.is_empty()) {
        line(&mut headers.iter().copied());
    }
    for row in &rows {
        line(&mut row.iter().map(String::as_str));
    }
    out.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_line_up_and_control_characters_are_harmless() {
        let mut out = Vec::new();
        let rows = [
            vec!["linear".to_owned(), "Linear\u{1b}[31m".to_owned(), "1".to_owned()],
            vec!["ü".to_owned(), String::new(), String::new()],
        ];
        super::table(&mut out, &["SLUG", "NAME", "KEYS"], &rows).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "SLUG    NAME         KEYS\nlinear  Linear·[31m  1\nü\n"
        );
    }
}
