//! Lines that come in, without more of one in memory than a cap.

use std::io::BufRead;

/// What came in.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A line.
    Line(Vec<u8>),
    /// A line over the cap, which was dropped.
    TooLong,
}

/// Gives the lines to `take`, until that says `false` or there are no more.
pub fn read(input: &mut dyn BufRead, cap: usize, take: &mut dyn FnMut(Incoming) -> bool) {
    let mut line = Vec::new();
    let mut too_long = false;
    loop {
        let part = match input.fill_buf() {
            Ok(part) if !part.is_empty() => part,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            _ => break,
        };
        let end = part.iter().position(|byte| *byte == b'\n');
        let count = end.unwrap_or(part.len());
        too_long |= line.len() + count > cap;
        if too_long {
            line = Vec::new();
        } else {
            line.extend_from_slice(&part[..count]);
        }
        input.consume(end.map_or(count, |end| end + 1));
        if end.is_some() && !give(&mut line, &mut too_long, take) {
            return;
        }
    }
    give(&mut line, &mut too_long, take);
}

/// Gives a line, if there is anything in it; `false` where nobody listens any more.
fn give(line: &mut Vec<u8>, too_long: &mut bool, take: &mut dyn FnMut(Incoming) -> bool) -> bool {
    let line = std::mem::take(line);
    match std::mem::take(too_long) {
        true => take(Incoming::TooLong),
        false if line.trim_ascii().is_empty() => true,
        false => take(Incoming::Line(line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hook::event::MAX_BYTES;
    use std::io::BufReader;

    #[test]
    fn lines_are_cut_at_the_cap_and_the_next_is_whole() {
        let long = "x".repeat(MAX_BYTES + 1);
        let just = "y".repeat(MAX_BYTES);
        let input = format!("one\n\n  \n{long}\n{just}\ntwo");
        let mut lines = Vec::new();
        // Small reads, so that lines come in pieces.
        let mut input = BufReader::with_capacity(7000, input.as_bytes());
        read(&mut input, MAX_BYTES, &mut |item| {
            lines.push(match item {
                Incoming::Line(line) => String::from_utf8(line).unwrap(),
                Incoming::TooLong => "too long".to_owned(),
            });
            true
        });
        assert_eq!(lines, ["one", "too long", just.as_str(), "two"]);
    }
}
