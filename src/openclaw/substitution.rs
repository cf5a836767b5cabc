//! `${NAME}` in texts of openclaw.json, which OpenClaw fills in from its environment when it loads the config.

/// The text as OpenClaw 2026.9.6 loads it; `None` where a variable is not known. A name is of capital letters, digits and
/// `_`; `$${NAME}` is a literal `${NAME}`.
pub fn substituted(text: &str, known: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut done = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        done.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some((name, after)) = variable(rest.strip_prefix("$$").unwrap_or_default()) {
            done.push_str(&format!("${{{name}}}"));
            rest = after;
        } else if let Some((name, after)) = variable(&rest[1..]) {
            done.push_str(&known(name)?);
            rest = after;
        } else {
            done.push('$');
            rest = &rest[1..];
        }
    }
    Some(done + rest)
}

/// Whether OpenClaw substitutes something in this value.
pub fn is_reference(value: &str) -> bool {
    substituted(value, |_| None).is_none()
}

/// The name in a leading `{NAME}`, where OpenClaw takes it for a variable's, and the text behind it.
fn variable(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('{')?.split_once('}')?;
    let letter = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    let first = letter(*name.as_bytes().first()?);
    (first && name.bytes().all(|byte| letter(byte) || byte.is_ascii_digit())).then_some((name, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_openclaw_loads_texts() {
        let known = |name: &str| (name == "HOME").then(|| "/home/a".to_owned());
        let table = [
            ("plain", Some("plain")),
            ("${HOME}/ws", Some("/home/a/ws")),
            ("a${HOME}${HOME}b", Some("a/home/a/home/ab")),
            ("$${HOME}/ws", Some("${HOME}/ws")),
            ("$$${HOME}", Some("$${HOME}")),
            (
                "$HOME ${home} ${} ${1A} ${HOME $",
                Some("$HOME ${home} ${} ${1A} ${HOME $"),
            ),
            ("${HOME}${WS}", None),
            ("${_}", None),
        ];
        for (text, loaded) in table {
            assert_eq!(substituted(text, known).as_deref(), loaded, "{text}");
        }
    }
}
