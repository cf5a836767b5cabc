//! Whatever the API answers: the notice's length and alphabet.

use super::input::split;
use serde_json::Value;
use sigilum_authz_notify::hook::clean;
use sigilum_authz_notify::hook::notice::{self, About, DASHBOARD, FIELD_MAX, Form, MAX, Notice, Review, SHOWN};
use sigilum_authz_notify::hook::seen::{Answered, Seen};
use sigilum_authz_notify::mode::Mode;
use sigilum_authz_notify::request::{PAGE, Pending};
use sigilum_authz_notify::sigilum::requests;
use sigilum_authz_notify::sigilum::requests::DecodeError;

/// Text: the answer's body. Program: the clock, a dashboard's URL, and what the file of seen requests holds.
pub fn check(input: &[u8]) {
    let (body, mut program) = split(input);
    let now = program.number() as i64;
    let review = review(&program.text());
    let seen = Seen::parse(program.bytes());
    cleaned(&String::from_utf8_lossy(body));

    let parsed = serde_json::from_slice::<Value>(body).ok();
    let pending = match requests::decode(body, PAGE) {
        Ok(pending) => pending,
        Err(DecodeError::NotJson) => return assert!(parsed.is_none(), "JSON was refused"),
        Err(_) => return,
    };
    let (count, _) = pending.count();
    if let Some(answer) = parsed {
        let claims = answer["claims"].as_array().expect("there is a list of claims");
        assert!(claims.iter().take(PAGE).all(Value::is_object));
        assert_eq!(pending.requests.len(), claims.len().min(PAGE));
        let said = answer["pagination"]["total"].is_u64();
        assert_eq!(pending.total.is_some(), said || claims.len() < PAGE);
        let total = answer["pagination"]["total"].as_u64().unwrap_or_default();
        assert!(
            count >= total && count >= pending.requests.len() as u64,
            "too small a number"
        );
    }
    let about = About {
        namespace: "alice",
        review: &review,
        program: "sigilum-authz-notify",
        flags: "",
        now,
    };
    let listed = seen.list("alice", &pending, now);
    for form in [Form::Full, Form::Brief] {
        match notice::pending(pending.count(), &listed, &about, form) {
            Some(notice) => safe(&notice, form, count, pending.requests.len()),
            None => assert_eq!(count, 0),
        }
    }
    remembered(seen, pending, now);
}

/// What was shown stands last from then on, and the file says the same again.
fn remembered(mut seen: Seen, pending: Pending, now: i64) {
    let shown = pending.requests.iter().step_by(2).filter_map(|request| request.id());
    let answered = Answered {
        by_owner: true,
        whose: "alice".to_owned(),
        now,
        shown: shown.map(str::to_owned).collect(),
        pending: pending.clone(),
    };
    seen.remember(&answered);
    assert_eq!(Seen::parse(&seen.to_bytes()), seen);
    let listed = seen.list("alice", &pending, now.saturating_add(1));
    assert_eq!(listed.len(), pending.requests.len());
    assert!(listed.is_sorted_by_key(|listed| listed.shown));
    for listed in listed {
        let id = listed.request.id();
        assert!(listed.shown || id.is_none_or(|id| !answered.shown.contains(id)));
    }
}

/// A whole notice.
fn safe(notice: &Notice, form: Form, count: u64, claims: usize) {
    let text = &notice.text;
    assert!(text.chars().count() <= MAX);
    assert!(text.contains(&count.to_string()));
    let lines = match form {
        Form::Brief => 1,
        Form::Full => {
            assert_eq!(notice.described, claims.min(SHOWN));
            3 + notice.described + usize::from(count > notice.described as u64)
        }
    };
    assert_eq!(text.lines().count(), lines, "{text}");
    let pieces: Vec<&str> = text.split('"').collect();
    assert!(pieces.len() % 2 == 1, "a quote is never closed: {text}");
    for (at, piece) in pieces.into_iter().enumerate() {
        if at % 2 == 0 {
            assert!(
                piece.chars().all(|c| c == '\n' || (' '..='~').contains(&c)),
                "our own words: {piece:?}"
            );
            assert!(!piece.contains('@'));
        } else {
            assert!(piece.chars().count() <= FIELD_MAX);
            field(piece);
        }
    }
}

/// A field of a notice: a key is two parts with base64's signs, an address may be one of IPv6.
fn field(text: &str) {
    if !text.chars().all(|c| c.is_ascii_hexdigit() || c == ':' || c == '·') {
        only_the_alphabet(&text.replace("..", "-").replace(['+', '='], "-"));
    }
}

/// One field: what may stay stays where it is, and nothing else does.
fn cleaned(text: &str) {
    field(&clean::key(text));
    for max in [1, 8, FIELD_MAX] {
        field(&clean::address(text, max));
        let clean = clean::clean(text, max);
        only_the_alphabet(&clean);
        let cut = text.chars().count() > max;
        assert_eq!(clean.chars().count(), text.chars().count().min(max));
        let last = max - 1;
        let local = text.to_lowercase().contains("localhost");
        for (at, (was, is)) in text.chars().zip(clean.chars()).enumerate() {
            let plain = was.is_ascii_alphanumeric() || "_-".contains(was);
            match (at == last && cut, plain && !(local && "hH".contains(was))) {
                (true, _) => assert_eq!(is, '·'),
                (_, true) => assert_eq!(is, was),
                _ => assert!(is == was || is == '·'),
            }
        }
        if !cut {
            assert_eq!(clean::clean(&clean, max), clean, "a clean text is changed");
        }
    }
}

/// Letters, digits, single spaces, `_`, `-`, `·`, and `.:/@` where no chat makes anything of them.
fn only_the_alphabet(text: &str) {
    assert!(!text.to_lowercase().contains("localhost"), "{text:?}");
    let chars: Vec<char> = text.chars().collect();
    for (at, &c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| chars[at]);
        let after = chars.get(at + 1).copied();
        let after_word = before.is_some_and(char::is_alphanumeric);
        let fine = match c {
            ' ' => before != Some(' '),
            '.' => matches!(after, None | Some(' ')),
            ':' => after == Some(' '),
            '/' => after_word,
            '@' => after_word && after.is_some_and(char::is_alphanumeric) && !calls(&chars[at..]),
            '_' | '-' | '·' => true,
            c if c.is_ascii() => c.is_ascii_alphanumeric(),
            c => c.is_alphabetic() && !is_right_to_left(c) && !is_invisible(c),
        };
        assert!(fine, "{c:?} in {text:?}");
    }
}

/// Whether some chat would call everybody for this.
fn calls(chars: &[char]) -> bool {
    let text: String = chars.iter().collect::<String>().to_lowercase();
    text.starts_with("@everyone")
        || text.starts_with("@here")
        || ["@channel", "@all", "@room"].iter().any(|word| {
            let rest = text.strip_prefix(word).map(|rest| rest.chars().next());
            rest.is_some_and(|next| next.is_none_or(|c| !c.is_alphanumeric() && !"_-".contains(c)))
        })
}

/// Hebrew to Arabic Extended-A, their presentation forms, and all that is written so beyond the first plane.
fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFF}' | '\u{10800}'..='\u{10FFF}' | '\u{1E800}'..='\u{1EFFF}')
}

/// Letters that show nothing.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}')
}

/// Where requests are answered: at a plain URL, the given one or the default.
fn review(given: &str) -> Review {
    let review = Review::new(Mode::Managed, Some(given));
    let Review::Dashboard(shown) = &review else {
        panic!("the hosted Sigilum has a dashboard");
    };
    if shown != DASHBOARD {
        assert!(given.starts_with(shown) && given[shown.len()..].bytes().all(|b| b == b'/'));
        assert!(shown.starts_with("https://") || shown.starts_with("http://"));
    }
    assert!(shown.len() <= 120);
    assert!(
        shown
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._:/~-[]".contains(c))
    );
    review
}
