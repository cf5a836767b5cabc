//! What no answer may hold: tokens, secrets, and where the broker keeps them. Every line that goes out passes here, and
//! nowhere else.

use serde_json::Value;

/// What stands in their place.
pub const HIDDEN: &str = "<hidden>";
/// What stands in the place of a path of the broker's folder, as what only a person knows does in a command. A shell takes
/// it in quotes and without.
pub const FOLDER: &str = "<folder of the broker>";

/// A shorter one is no secret, and could be a part of any word.
const SHORTEST: usize = 8;
/// So does the first part of a JWT begin: `{"` in base64url.
const JWT: &str = "eyJ";
/// A JWT's first part is longer.
const JWT_LEAST: usize = 12;

/// What is to be hidden.
#[derive(Default)]
pub struct Hide {
    secrets: Vec<String>,
    folders: Vec<String>,
}

impl Hide {
    /// These secrets, and paths of these folders, the longest first.
    pub fn new(secrets: impl IntoIterator<Item = String>, folders: impl IntoIterator<Item = String>) -> Self {
        let sorted = |texts: &mut dyn Iterator<Item = String>| {
            let mut texts: Vec<String> = texts.collect();
            texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
            texts
        };
        Self {
            secrets: sorted(&mut secrets.into_iter().filter(|secret| secret.len() >= SHORTEST)),
            folders: sorted(&mut folders.into_iter().filter(|folder| folder.len() > 1)),
        }
    }

    /// The line without them.
    pub fn redacted(&self, line: Value) -> Value {
        match line {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.into_iter().map(|item| self.redacted(item)).collect(),
            Value::Object(members) => {
                let members = members.into_iter();
                let members = members.map(|(name, value)| (self.text(name), self.redacted(value)));
                Value::Object(members.collect())
            }
            other => other,
        }
    }

    fn text(&self, mut text: String) -> String {
        for secret in self.secrets.iter().filter(|secret| !secret.is_empty()) {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), HIDDEN);
            }
        }
        for folder in &self.folders {
            if text.contains(folder.as_str()) {
                text = text.replace(folder.as_str(), FOLDER);
            }
        }
        match text.contains(JWT) {
            true => without_jwts(&text),
            false => text,
        }
    }
}

/// A text without what looks like a JWT, or like the beginning of one.
fn without_jwts(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut rest = text;
    let mut kept = String::new();
    while let Some(at) = rest.find(JWT) {
        let (before, from) = rest.split_at(at);
        let end = from.find(|c| !is_part(c)).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        kept.push_str(before);
        kept.push_str(if word.len() >= JWT_LEAST { HIDDEN } else { word });
        rest = after;
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_hidden() {
        let folders = ["/var/lib/x/.openclaw", "/var/lib/x"].map(str::to_owned);
        let hide = Hide::new(["a secret of some length", "short"].map(str::to_owned), folders);
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJuYW1lc3BhY2UiOiJhbGljZSJ9.c2lnbmF0dXJl";
        let line = json!({
            "id": 7, "a": [format!("x {jwt}, y"), "eyJ", "a short one"], jwt: true,
            "b": {"c": "a secret of some length, at /var/lib/x/.openclaw/.sigilum and /var/lib/x"},
        });
        let wanted = json!({
            "id": 7, "a": ["x <hidden>, y", "eyJ", "a short one"], "<hidden>": true,
            "b": {"c": "<hidden>, at <folder of the broker>/.sigilum and <folder of the broker>"},
        });
        assert_eq!(hide.redacted(line), wanted);
    }
}
