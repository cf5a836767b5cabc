//! A secret that was typed where none belongs, as a flag's value or a command's last word: what is told of it shows how it
//! begins, and no more. A terminal's screen is a log as well.

/// How secrets begin that are no owner tokens, and what they are. The first two are Sigilum's own.
pub const BEGINNINGS: [(&str, &str); 16] = [
    ("sk_live_", "the API key of a Sigilum service"),
    ("gw_", "the upstream secret of a Sigilum gateway connection"),
    ("sk-", "an API key"),
    ("sk_", "an API key"),
    ("pk_", "an API key"),
    ("lin_", "a key of Linear"),
    ("ghp_", "a token of GitHub"),
    ("gho_", "a token of GitHub"),
    ("github_pat_", "a token of GitHub"),
    ("glpat-", "a token of GitLab"),
    ("xox", "a token of Slack"),
    ("AKIA", "an access key of AWS"),
    ("AIza", "an API key of Google"),
    ("hf_", "a token of Hugging Face"),
    ("npm_", "a token of npm"),
    ("whsec_", "the secret of a webhook"),
];

/// So does a JWT begin: `{"` in base64url.
const JWT: &str = "eyJ";

/// The text with every JWT and every secret of a known kind cut short.
pub fn without_secrets(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_of_word) {
        shown += &rest[..start];
        let word = &rest[start..];
        let (word, after) = word.split_at(word.find(|c| !is_of_word(c)).unwrap_or(word.len()));
        match word.find(JWT).filter(|at| is_jwt(&word[*at..])) {
            Some(at) => shown += &format!("{}{}", &word[..at], beginning(&word[at..])),
            None if is_known(word) => shown += &beginning(word),
            None => shown += word,
        }
        rest = after;
    }
    shown + rest
}

/// The same, and without what of a command line looks like a secret of any kind.
pub fn without_typed(text: &str, args: impl Iterator<Item = String>) -> String {
    let mut text = text.to_owned();
    for arg in args {
        let value = match arg.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => value,
            _ => &arg,
        };
        if may_be_secret(value) {
            text = text.replace(value, &beginning(value));
        }
    }
    without_secrets(&text)
}

/// A word that should be a name or a path, as it may be told.
pub fn shown(word: &str) -> String {
    match may_be_secret(word) {
        true => beginning(word),
        false => word.to_owned(),
    }
}

/// Whether a word that should be a name or a path looks like a secret: nothing that people choose for a name has so many
/// letters and digits in a row.
pub fn may_be_secret(word: &str) -> bool {
    let is_path = word.starts_with(['/', '~', '-']) || word.starts_with("./") || word.starts_with("../");
    without_secrets(word) != word || (!is_path && word.is_ascii() && is_random(word, 16))
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// Two parts of three are enough: the last one may be cut off.
fn is_jwt(word: &str) -> bool {
    let mut parts = word.split('.');
    let [header, claims] = [parts.next(), parts.next()].map(|part| part.map_or(0, str::len));
    header >= 12 && claims >= 12
}

fn is_known(word: &str) -> bool {
    BEGINNINGS.iter().any(|(start, _)| word.starts_with(start)) && word.len() >= 16 && is_random(word, 10)
}

/// Whether letters and digits stand in it, so many in a row.
fn is_random(word: &str, least: usize) -> bool {
    let mixed = |run: &str| run.len() >= least && run.contains(|c: char| c.is_ascii_digit());
    word.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|run| mixed(run) && run.contains(|c: char| c.is_ascii_alphabetic()))
}

fn beginning(secret: &str) -> String {
    let shown: String = secret.chars().take(4).collect();
    format!("{shown}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJuYW1lc3BhY2UiOiJhIn0.c2lnbmF0dXJl";

    #[test]
    fn what_is_told_holds_no_secret() {
        for (text, shown) in [
            (format!("invalid namespace \"{TOKEN}\""), "invalid namespace \"eyJh…\""),
            (format!("--namespace={TOKEN}&"), "--namespace=eyJh…&"),
            (format!("/a/{TOKEN}: {TOKEN}"), "/a/eyJh…: eyJh…"),
            ("'sk_live_0123456789abcdef'".to_owned(), "'sk_l…'"),
            ("xoxb-12345678901-abcdefghij12".to_owned(), "xoxb…"),
        ] {
            assert_eq!(without_secrets(&text), shown);
        }
        for text in [
            "",
            "next: sigilum-authz-notify authz show cl_0123456789abcdef0123456789",
            "sk-team-of-the-year-2024: sk_live_…, eyJ.x, /tmp/.tmpA1b2C3/t.jwt, Gb9+CWmE0123456789abcdefghij=",
        ] {
            assert_eq!(without_secrets(text), text);
        }
    }

    #[test]
    fn what_was_typed_may_be_any_secret() {
        let typed = |word: &str| without_typed(&format!("unexpected '{word}'"), [word.to_owned()].into_iter());
        for word in ["a1b2c3d4e5f60718293a4b5c", "x/Y0abcdefghijklmnopq+=", TOKEN] {
            assert_eq!(typed(word), format!("unexpected '{}…'", &word[..4]));
        }
        let flag = [format!("--upstream-secret-env={}", "a1".repeat(10))].into_iter();
        assert_eq!(without_typed(&"a1".repeat(10), flag), "a1a1…");
        for word in [
            "lst",
            "--nam",
            "LINEAR_API_KEY_2",
            "/home/a1b2c3d4e5f60718293a4b5c/x",
            "a-long-namespace-of-2024",
        ] {
            assert_eq!(typed(word), format!("unexpected '{word}'"));
        }
    }
}
