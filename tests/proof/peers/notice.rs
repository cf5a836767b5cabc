//! What `docs/events-and-notices.md` promises of a notice, checked by rules of their own.

/// What is wrong with a notice of so many requests, as the page has it.
pub fn wrong(text: &str, requests: usize) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    if text.chars().count() > 1200 {
        return Some(format!("{} characters", text.chars().count()));
    }
    if text.contains('\r') || lines.len() != requests + 3 {
        return Some(format!("{} lines", lines.len()));
    }
    let wait = if requests == 1 {
        "request waits"
    } else {
        "requests wait"
    };
    let ours = [
        (
            lines[0],
            format!("Sigilum: {requests} {wait} for your approval in namespace alice."),
        ),
        (lines[requests + 1], "Review: https://sigilum.id".to_owned()),
    ];
    if let Some((line, _)) = ours.iter().find(|(line, ours)| line != ours) {
        return Some(format!("a line of ours: {line}"));
    }
    if !lines[requests + 2].starts_with("To approve: sign in there") {
        return Some(format!("a line of ours: {}", lines[requests + 2]));
    }
    (1..=requests).find_map(|number| {
        let parts = lines[number].strip_prefix(&format!("{number}) "));
        let wrong = parts.map_or(Some("no number".to_owned()), wrong_parts);
        wrong.map(|why| format!("{why}: {}", lines[number]))
    })
}

/// `service "mail", agent "bot", 3 min ago`: labels of ours, fields in quotes, an age.
fn wrong_parts(parts: &str) -> Option<String> {
    if parts == "a request without any details" {
        return None;
    }
    let mut rest = parts;
    let mut labels = vec!["service", "agent", "subject", "key", "ip"];
    loop {
        let age = rest == "just now" || rest.strip_suffix(" ago").is_some_and(is_age);
        if age {
            return None;
        }
        let Some(at) = labels.iter().position(|label| rest.starts_with(&format!("{label} \""))) else {
            return Some(format!("no part of ours: {rest}"));
        };
        let label = labels.drain(..=at).next_back()?;
        let (field, after) = rest[label.len() + 2..].split_once('"')?;
        if let Some(why) = wrong_field(field) {
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
            '.' | '_' | ':' | '/' | '-' | '·' => true,
            '@' => before.is_some_and(is_letter) && after.is_some_and(|c| is_letter(*c)),
            c => is_letter(*c),
        };
        if !fine {
            return Some(format!("{c:?}"));
        }
    }
    let lower = field.to_lowercase();
    for name in ["everyone", "here", "channel", "all"] {
        for (at, _) in lower.match_indices(&format!("@{name}")) {
            let next = lower[at + 1 + name.len()..].chars().next();
            // `@here.example.com` and `@allison` are addresses.
            if next.is_none_or(|c| !is_letter(c) && !['.', '-', '_'].contains(&c)) {
                return Some(format!("@{name}"));
            }
        }
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
