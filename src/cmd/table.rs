//! The one way to print a table for people.

use crate::text::plain;
use std::io::{self, Write};

/// Prints columns under their headers, two spaces apart, without trailing blanks. What moves a terminal or
/// cannot be seen becomes `·`: cells may come from a database that others write.
pub fn print(out: &mut dyn Write, headers: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| plain(cell)).collect())
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
        super::print(&mut out, &["SLUG", "NAME", "KEYS"], &rows).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "SLUG    NAME         KEYS\nlinear  Linear·[31m  1\nü\n"
        );
    }
}
