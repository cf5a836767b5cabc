//! What `docs/events-and-notices.md` promises of a notice, checked by rules of their own.

/// What is wrong with a notice of so many requests, as the page has it.
pub fn wrong(text: &str, requests: usize) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    if text.chars().count() > 1200 {
        return Some(format!("{} characters", text.chars().count()));
    }
    if text.contains('\r') || lines.len() != requests + 2 {
        return Some(format!("{} lines", lines.len()));
    }
    let wait = if requests == 1 {
        "request waits"
    } else {
        "requests wait"
    };
    let head = format!("Sigilum: {requests} {wait} for your approval in namespace alice.");
    if lines[0] != head || !lines[requests + 1].starts_with("A local Sigilum has no dashboard. To approve: compare") {
        return Some(format!("a line of ours: {} or {}", lines[0], lines[requests + 1]));
    }
    (1..=requests).find_map(|number| {
        let parts = lines[number].strip_prefix(&format!("{number}) "));
        let wrong = parts.map_or(Some("no number".to_owned()), wrong_parts);
        wrong.map(|why| format!("{why}: {}", lines[number]))
    })
}

/// `new: service "mail", agent "bot", 3 min ago`: labels of ours, fields in quotes, an age.
fn wrong_parts(parts: &str) -> Option<String> {
    let mark = ["new: ", "asked again: "]
        .into_iter()
        .find_map(|mark| parts.strip_prefix(mark));
    let mut rest = mark.unwrap_or(parts);
    if rest == "a request without any details" {
        return None;
    }
    let mut labels = vec!["service", "agent", "subject", "key", "ip", "ID"];
    loop {
        let time = rest.strip_prefix("first seen ").unwrap_or(rest);
        let age = time == "just now" || time.strip_suffix(" ago").is_some_and(is_age);
        if age {
            return None;
        }
        let Some(at) = labels.iter().position(|label| rest.starts_with(&format!("{label} \""))) else {
            return Some(format!("no part of ours: {rest}"));
        };
        let label = labels.drain(..=at).next_back()?;
        let (field, after) = rest[label.len() + 2..].split_once('"')?;
        let plain = match label {
            // Two ends with base64's signs.
            "key" if field.contains(' ') => return Some("a space in key".to_owned()),
            "key" => field.replacen("..", "-", 1).replace(['+', '='], "-"),
            "ip" if field.chars().all(|c| c.is_ascii_hexdigit() || c == ':' || c == '·') => String::new(),
            _ => field.to_owned(),
        };
        if let Some(why) = wrong_field(&plain) {
            return Some(format!("{why} in {label}"));
        }
        match after.strip_prefix(", ") {
            Some(next) => rest = next,
            None if after.is_empty() => return None,
            None => return Some(format!("after the quotes: {after}")),
        }
    }
}

fn is_age(text: &str) -> bool {
    let words = text.split_once(' ');
    words.is_some_and(|(number, unit)| number.bytes().all(|b| b.is_ascii_digit()) && ["min", "h", "d"].contains(&unit))
}

fn wrong_field(field: &str) -> Option<String> {
    let chars: Vec<char> = field.chars().collect();
    if chars.len() > 40 {
        return Some(format!("{} characters", chars.len()));
    }
    for (at, c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| chars[at]);
        let after = chars.get(at + 1);
        let fine = match c {
            ' ' => before != Some(' '),
            '_' | '-' | '·' => true,
            '.' => after.is_none_or(|c| *c == ' '),
            ':' => after == Some(&' '),
            '/' => before.is_some_and(is_letter),
            '@' => before.is_some_and(is_letter) && after.is_some_and(|c| is_letter(*c)),
            c => is_letter(*c),
        };
        if !fine {
            return Some(format!("{c:?}"));
        }
    }
    let lower = field.to_lowercase();
    for name in ["everyone", "here", "channel", "all", "room"] {
        for (at, _) in lower.match_indices(&format!("@{name}")) {
            let next = lower[at + 1 + name.len()..].chars().next();
            // Discord hears the first two in the middle of a word. `@allison` is an address.
            let ends = next.is_none_or(|c| !is_letter(c) && !['-', '_'].contains(&c));
            if ends || ["everyone", "here"].contains(&name) {
                return Some(format!("@{name}"));
            }
        }
    }
    if lower.contains("localhost") {
        return Some("localhost".to_owned());
    }
    let mixed = field
        .split(|c| !is_letter(c))
        .find(|word| word.chars().any(is_latin) && word.chars().any(looks_latin));
    mixed.map(|word| format!("a mixed word {word:?}"))
}

fn is_letter(c: char) -> bool {
    c.is_ascii_digit() || c.is_alphabetic() && (is_latin(c) || looks_latin(c) || is_eastern(c))
}

fn is_latin(c: char) -> bool {
    c.is_ascii_alphabetic() || matches!(c, '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}')
}

/// Greek, Cyrillic, Armenian.
fn looks_latin(c: char) -> bool {
    matches!(c, '\u{370}'..='\u{58f}')
}

/// Georgian, kana, Han, Hangul.
fn is_eastern(c: char) -> bool {
    matches!(c, '\u{10a0}'..='\u{10ff}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}')
        && c != '\u{30fb}'
}
