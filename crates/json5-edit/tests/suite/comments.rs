//! The comments of a JSON5 text, by a reader that shares no line with the program's.

/// The comments of a text that a JSON5 parser accepts, sorted. A line comment is without the white space at its end.
pub fn comments(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((start, c)) = chars.next() {
        match (c, chars.peek().map(|next| next.1)) {
            ('"' | '\'', _) => {
                while let Some((_, inner)) = chars.next() {
                    match inner {
                        '\\' => drop(chars.next()),
                        _ if inner == c => break,
                        _ => {}
                    }
                }
            }
            ('/', Some('/')) => {
                let end = text[start..]
                    .find(['\n', '\r', '\u{2028}', '\u{2029}'])
                    .map_or(text.len(), |end| start + end);
                found.push(text[start..end].trim_end().to_owned());
                while chars.next_if(|next| next.0 < end).is_some() {}
            }
            ('/', Some('*')) => {
                let end = start + 2 + text[start + 2..].find("*/").unwrap() + 2;
                found.push(text[start..end].to_owned());
                while chars.next_if(|next| next.0 < end).is_some() {}
            }
            _ => {}
        }
    }
    found.sort();
    found
}
