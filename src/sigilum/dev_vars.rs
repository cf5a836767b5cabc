//! `.dev.vars`, wrangler's file of variables: the syntax of the `dotenv` package.

/// The value of `name`; of several lines that set it the last one counts. Pure text work: linear, never fails.
///
/// Per line `NAME=value`, `export NAME=value` or `NAME: value`. A value in `'`, `"` or `` ` `` may span lines and hold
/// `#`; in double quotes `\n` and `\r` become a newline and a carriage return. Without quotes a value ends at `#` or
/// at the end of the line, and the spaces around it go. A wrong quote is taken as dotenv takes it.
pub fn get(text: &str, name: &str) -> Option<String> {
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found = None;
    while !rest.is_empty() {
        let (assigned, after) = assignment(rest);
        if let Some((key, value)) = assigned
            && key == name
        {
            found = Some(value);
        }
        rest = after;
    }
    found
}

/// The assignment that the text starts with, if it does, and the text from the next line on.
fn assignment(text: &str) -> (Option<(&str, String)>, &str) {
    let line_end = text.find(['\n', '\r']).unwrap_or(text.len());
    let line = text[..line_end].trim_start();
    let next_line = || &text[(line_end + 1).min(text.len())..];
    let bare = match line.strip_prefix("export") {
        Some(more) if more.starts_with(char::is_whitespace) => more.trim_start(),
        _ => line,
    };
    let key_end = bare
        .find(|c: char| !(c.is_ascii_alphanumeric() || "_.-".contains(c)))
        .unwrap_or(bare.len());
    let (key, after_key) = bare.split_at(key_end);
    let after_spaces = after_key.trim_start();
    let value = match after_spaces.strip_prefix('=') {
        Some(value) => value,
        None => match after_key.strip_prefix(':') {
            Some(value) if value.is_empty() || value.starts_with(char::is_whitespace) => value,
            _ => return (None, next_line()),
        },
    };
    if key.is_empty() {
        return (None, next_line());
    }
    // From here in the whole text: a quoted value may go on over the next lines.
    let start = line_end - value.len();
    let from_value = &text[start..];
    let open = from_value.len() - from_value.trim_start().len();
    if open <= value.len()
        && let Some((inner, after)) = quoted(&from_value[open..])
    {
        return (Some((key, inner)), after);
    }
    let plain = value.split('#').next().unwrap_or_default().trim();
    (Some((key, unquote(plain))), next_line())
}

/// A quoted value at the start of the text, with nothing but a comment after it, and the text from the next line on.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| "'\"`".contains(*c))?;
    let mut escaped = false;
    let end = text[1..].find(|c| {
        let closes = c == quote && !escaped;
        escaped = c == '\\';
        closes
    })? + 2;
    let after = &text[end..];
    let line_end = after.find(['\n', '\r']).unwrap_or(after.len());
    let tail = after[..line_end].trim();
    if !tail.is_empty() && !tail.starts_with('#') {
        return None;
    }
    Some((unquote(&text[..end]), &after[(line_end + 1).min(after.len())..]))
}

/// Without the quotes around it, if there are; what starts with a double quote has its `\n` and `\r` replaced.
fn unquote(value: &str) -> String {
    let quote = value.chars().next().filter(|c| "'\"`".contains(*c));
    let inner = quote
        .and_then(|quote| value[1..].strip_suffix(quote))
        .map_or(value, |_| &value[1..value.len() - 1]);
    match quote {
        Some('"') => inner.replace("\\n", "\n").replace("\\r", "\r"),
        _ => inner.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (text, value) in [
            ("JWT_SECRET=plain", Some("plain")),
            ("JWT_SECRET = spaced out \n", Some("spaced out")),
            ("JWT_SECRET=\"double\"", Some("double")),
            ("JWT_SECRET='single'", Some("single")),
            ("JWT_SECRET=`back`", Some("back")),
            ("export JWT_SECRET=exported", Some("exported")),
            ("exportJWT_SECRET=x", None),
            ("JWT_SECRET: yaml", Some("yaml")),
            ("JWT_SECRET:yaml", None),
            ("JWT_SECRET=plain # comment", Some("plain")),
            ("JWT_SECRET=plain#comment", Some("plain")),
            ("JWT_SECRET=\"a # b\" # comment", Some("a # b")),
            ("JWT_SECRET=\"two\nlines\"\nOTHER=1", Some("two\nlines")),
            ("JWT_SECRET=\"two\\nlines\"", Some("two\nlines")),
            ("JWT_SECRET='two\\nlines'", Some("two\\nlines")),
            ("JWT_SECRET='it\\'s'", Some("it\\'s")),
            ("JWT_SECRET=\"unclosed\nOTHER=1", Some("\"unclosed")),
            ("JWT_SECRET='it's'", Some("it's")),
            ("JWT_SECRET=\"back\\\"", Some("back\\")),
            ("JWT_SECRET=\"", Some("\"")),
            ("JWT_SECRET=with=equals==", Some("with=equals==")),
            ("JWT_SECRET=", Some("")),
            ("JWT_SECRET=\"\"", Some("")),
            ("JWT_SECRET=\nOTHER=1", Some("")),
            ("JWT_SECRET", None),
            ("# JWT_SECRET=commented", None),
            ("#JWT_SECRET=commented\nJWT_SECRET=real", Some("real")),
            ("JWT_SECRET=first\nJWT_SECRET=last", Some("last")),
            ("OTHER=1\r\nJWT_SECRET=crlf\r\nMORE=2\r\n", Some("crlf")),
            ("MY_JWT_SECRET=no\nJWT_SECRET_2=no", None),
            ("\u{feff}JWT_SECRET=bom", Some("bom")),
            ("OTHER=\"x\nJWT_SECRET=inside\ny\"\n", None),
            ("JWT_SECRET=schlüssel", Some("schlüssel")),
            ("", None),
        ] {
            assert_eq!(get(text, "JWT_SECRET").as_deref(), value, "{text:?}");
        }
    }
}
