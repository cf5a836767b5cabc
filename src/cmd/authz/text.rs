//! How requests look on a terminal. Every field of one is text that a stranger chose.

use crate::hook::clean;
use crate::request::AuthorizationRequest;
use crate::text;

/// The longest field, in characters.
const LONG: usize = 400;

/// A stranger's text that moves no terminal, in full as far as anybody would read it: what is cut says how long it is.
pub fn shown(text: &str) -> String {
    let plain = text::plain(text);
    match plain.char_indices().nth(LONG) {
        Some((at, _)) => format!("{}… ({} characters in all)", &plain[..at], plain.chars().count()),
        None => plain,
    }
}

/// The same for a table; `-` where there is none.
pub fn cell(text: Option<&str>) -> String {
    text.filter(|text| !text.trim().is_empty())
        .map_or_else(|| "-".to_owned(), shown)
}

/// Both ends of a key.
pub fn key(key: Option<&str>) -> String {
    key.map_or_else(|| "-".to_owned(), clean::key)
}

/// `cl_… (service "mail", key "Gb9ECWmE..4rXAxZuE")`
pub fn named(request: &AuthorizationRequest) -> String {
    format!(
        "{} (service \"{}\", key \"{}\")",
        request.id().unwrap_or_default(),
        cell(request.service.as_deref()).replace('"', "'"),
        key(request.public_key.as_deref())
    )
}

/// What is not as it was: `key was "a", is "b"`.
pub fn differences(was: &AuthorizationRequest, is: &AuthorizationRequest) -> String {
    let pairs = was.fields().into_iter().zip(is.fields());
    let changed = pairs.filter(|(was, is)| was != is);
    let told = changed.map(|((name, was), (_, is))| format!("{name} was \"{}\", is \"{}\"", cell(was), cell(is)));
    told.collect::<Vec<_>>().join("; ")
}
