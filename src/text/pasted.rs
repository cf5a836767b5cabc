//! What a person pastes or an editor saves: text of any Unicode encoding, with marks in it that nobody sees.

use super::is_plain;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine, GeneralPurpose, GeneralPurposeConfig};

/// What terminals put around pasted text (XTerm's bracketed paste); some programs swallow the escape before it.
const PASTE_MARKS: [&str; 4] = ["\u{1b}[200~", "\u{1b}[201~", "[200~", "[201~"];

/// A text and how it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The text, without a byte order mark.
    pub text: String,
    /// Whether it was UTF-16, as some editors and shells of Windows save it.
    pub was_utf16: bool,
}

/// Decodes UTF-8, and UTF-16 of either byte order, with and without a byte order mark; `None` for anything else.
pub fn decode(bytes: &[u8]) -> Option<Decoded> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (units, rest) = bytes.as_chunks::<2>();
        let text = String::from_utf16(&units.iter().map(|pair| unit(*pair)).collect::<Vec<_>>()).ok()?;
        rest.is_empty().then_some(Decoded { text, was_utf16: true })
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        // A first character of ASCII, of whatever text there is to paste.
        [1..=0x7f, 0, ..] => utf16(bytes, u16::from_le_bytes),
        [0, 1..=0x7f, ..] => utf16(bytes, u16::from_be_bytes),
        _ => {
            let text = std::str::from_utf8(bytes).ok()?;
            let text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
            Some(Decoded { text, was_utf16: false })
        }
    }
}

/// The text without a terminal's marks around what was pasted; `None` where there are none.
pub fn without_paste_marks(text: &str) -> Option<String> {
    let marked = PASTE_MARKS.iter().any(|mark| text.contains(mark));
    marked.then(|| {
        PASTE_MARKS
            .iter()
            .fold(text.to_owned(), |text, mark| text.replace(mark, ""))
    })
}

/// The text without characters that are neither seen nor white space nor control characters, such as a zero-width
/// space or a byte order mark; `None` where there are none.
pub fn without_invisible(text: &str) -> Option<String> {
    let is_invisible = |c: char| !is_plain(c) && !c.is_control() && !c.is_whitespace();
    text.contains(is_invisible).then(|| text.replace(is_invisible, ""))
}

/// Whether a script left it where it had no value. OpenClaw 2026.9.6 takes it for none where a person's home folder is
/// meant.
pub fn is_no_value(text: &str) -> bool {
    matches!(text, "undefined" | "null")
}

/// What a person, a shell or a script was to put something else in the place of: `${NAME}`, `$NAME`, `%NAME%`, `<token>`,
/// `undefined`.
pub fn is_placeholder(text: &str) -> bool {
    let around = |start, end| text.starts_with(start) && text.ends_with(end);
    // With other letters it may be a password.
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    let of_windows = text.strip_prefix('%').and_then(|text| text.strip_suffix('%'));
    let is_variable = text.strip_prefix('$').or(of_windows).is_some_and(is_name);
    is_no_value(text) || is_variable || around("<", ">") || around("${", "}") || around("{{", "}}")
}

/// The text, with what is no UTF-8 replaced: quotes and letters of an older encoding (Windows-1252), around what matters.
/// `None` where it is not text.
pub fn decode_roughly(bytes: &[u8]) -> Option<Decoded> {
    let is_binary = bytes.iter().any(|byte| matches!(byte, 0..=8 | 14..=26 | 28..=31));
    let text = String::from_utf8_lossy(bytes).into_owned();
    (!is_binary).then_some(Decoded { text, was_utf16: false })
}

/// The text as it was before a terminal, a mail program or a browser wrote it down, with what each of them did, in words
/// that follow "left out"; `None` where none did.
pub fn as_it_was(text: &str) -> Option<(String, Vec<&'static str>)> {
    let steps: [(Undo, &'static str); 14] = [
        (from_base64, "its base64 encoding"),
        (from_wide, "the full width of its signs"),
        (without_colours, "a terminal's colours"),
        (without_quote_marks, "the quote marks before its lines"),
        (without_line_marks, "the marks before its lines"),
        (without_frame, "the frame around its lines"),
        (without_numbers, "the numbers of its lines"),
        (from_escapes, "the escapes of a quoted text"),
        (from_pieces, "the quotes between its pieces"),
        // What a frame or numbers stood around.
        (from_framed_base64, "its base64 encoding"),
        (from_quoted_printable, "its quoted-printable encoding"),
        (from_percent, "its percent-encoding"),
        (from_dashes, "the dashes of a text program"),
        (from_plain_base64, "the signs of plain base64"),
    ];
    let (mut text, mut undone) = (text.to_owned(), Vec::new());
    for (step, what) in steps {
        if let Some(before) = step(&text) {
            text = before;
            undone.push(what);
        }
    }
    (!undone.is_empty()).then_some((text, undone))
}

/// `None` where there is nothing to undo.
type Undo = fn(&str) -> Option<String>;

/// Without a terminal's control sequences for colours (ECMA-48 SGR, `ESC [ 1;32 m`), of which some programs swallow the
/// escape.
fn without_colours(text: &str) -> Option<String> {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('[') {
        let behind = &rest[at + 1..];
        let digits = behind
            .find(|c: char| !c.is_ascii_digit() && c != ';')
            .unwrap_or(behind.len());
        let is_colour = behind[digits..].starts_with('m');
        let kept = if is_colour {
            rest[..at].trim_end_matches('\u{1b}')
        } else {
            &rest[..=at]
        };
        plain.push_str(kept);
        rest = if is_colour { &behind[digits + 1..] } else { behind };
    }
    plain.push_str(rest);
    (plain != text).then_some(plain)
}

/// Without the `>` with which a mail or a chat quotes a line.
fn without_quote_marks(text: &str) -> Option<String> {
    let plain = |line| str::trim_start_matches(line, ['>', ' ', '\t']);
    let quoted = text.lines().any(|line| line.trim_start().starts_with('>'));
    quoted.then(|| text.lines().map(plain).collect::<Vec<_>>().join("\n"))
}

/// Without what makes a line one of a list or of a comment.
fn without_line_marks(text: &str) -> Option<String> {
    const MARKS: [&str; 6] = ["- ", "* ", "\u{2022} ", "// ", "-- ", "#"];
    let plain = |line: &str| {
        let line = line.trim_start();
        let rest = MARKS.iter().find_map(|mark| line.strip_prefix(mark));
        rest.map(|rest| rest.trim_start_matches(['#', ' ', '\t']).to_owned())
    };
    by_line_of_token(text, plain)
}

/// Without the lines of a box around the text or beside it, as programs for a terminal draw one.
fn without_frame(text: &str) -> Option<String> {
    let is_line = |c: char| c == '|' || ('\u{2500}'..='\u{257f}').contains(&c);
    // A sign of plain base64 too.
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_framed = lines().all(|line| line.starts_with(|c| c == '+' || is_line(c)));
    let is_frame = |c: char| is_line(c) || is_framed && c == '+';
    by_line(text, |line| {
        let line = line.trim();
        let rest = line.trim_start_matches(is_frame);
        // At a line's end alone it is YAML's sign for a block.
        let rest = rest.trim_end_matches(|c| is_frame(c) && (c != '|' || rest != line));
        (rest != line).then(|| rest.trim().to_owned())
    })
}

/// Without the number that a pager, an editor or a list puts before a line.
fn without_numbers(text: &str) -> Option<String> {
    const BEHIND: [char; 5] = [' ', '\t', ':', '|', '\u{2502}'];
    by_line_of_token(text, |line| {
        let line = line.trim();
        let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
        let of_list = rest
            .strip_prefix(['.', ')'])
            .filter(|rest| rest.starts_with([' ', '\t']));
        let rest = Some(of_list.unwrap_or(rest)).filter(|rest| *rest != line && rest.starts_with(BEHIND))?;
        Some(rest.trim_start_matches(BEHIND).to_owned())
    })
}

/// The text with each line as `plain` has it, where that has something to undo.
fn by_line(text: &str, plain: impl Fn(&str) -> Option<String>) -> Option<String> {
    let lines: Vec<_> = text.lines().map(|line| (line, plain(line))).collect();
    let is_any = lines.iter().any(|(_, plain)| plain.is_some());
    let lines = lines
        .into_iter()
        .map(|(line, plain)| plain.unwrap_or_else(|| line.to_owned()));
    is_any.then(|| lines.collect::<Vec<_>>().join("\n"))
}

/// As [`by_line`], for signs that a token may have: where it begins on a line without one, they are its own.
fn by_line_of_token(text: &str, plain: impl Fn(&str) -> Option<String>) -> Option<String> {
    let has_begin = |line: &&str| {
        let mut words = line.split(|c| !in_token(c));
        words.any(|word| word.starts_with("ey"))
    };
    let begin = text.lines().find(has_begin);
    by_line(text, &plain).filter(|_| begin.is_none_or(|line| plain(line).is_some()))
}

/// Without line breaks as JSON and most languages write them between quotes, and with the signs of ASCII that they or
/// HTML write as a number.
fn from_escapes(text: &str) -> Option<String> {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(['\\', '&']) {
        let (sign, length) = numbered_sign(&rest[at..]).unwrap_or((char::from(rest.as_bytes()[at]), 1));
        plain.push_str(&rest[..at]);
        plain.push(sign);
        rest = &rest[at + length..];
    }
    plain.push_str(rest);
    let plain = ["\\r", "\\n", "\\t"]
        .iter()
        .fold(plain, |text, escape| text.replace(escape, " "));
    (plain != text).then_some(plain)
}

/// The sign that a text begins with as `\u002e`, `\x2e`, `&#x2e;` or `&#46;`, and how long that is.
fn numbered_sign(text: &str) -> Option<(char, usize)> {
    let forms = [
        ("\\u", 16, Some(4)),
        ("\\x", 16, Some(2)),
        ("&#x", 16, None),
        ("&#", 10, None),
    ];
    forms.into_iter().find_map(|(start, radix, length)| {
        let behind = text.strip_prefix(start)?;
        let digits = behind.get(..length.or_else(|| behind.find(';'))?)?;
        // `+` is a number's sign to the parser.
        let code = u8::from_str_radix(Some(digits).filter(|digits| !digits.starts_with('+'))?, radix).ok()?;
        let is_text = code.is_ascii_graphic() || code.is_ascii_whitespace();
        is_text.then_some((code.into(), start.len() + digits.len() + usize::from(length.is_none())))
    })
}

/// From pieces in quotes, as languages put a long text together: `"…" + "…"`.
fn from_pieces(text: &str) -> Option<String> {
    const QUOTES: [char; 3] = ['"', '\'', '`'];
    let (mut plain, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(QUOTES) {
        let (piece, behind) = (&rest[..at], &rest[at + 1..]);
        let joint = behind.trim_start();
        let joint = joint.strip_prefix(['+', '.', '&', '\\']).unwrap_or(joint).trim_start();
        let next = joint
            .strip_prefix(QUOTES)
            .filter(|next| piece.ends_with(in_token) && next.starts_with(in_token));
        plain.push_str(if next.is_some() { piece } else { &rest[..=at] });
        rest = next.unwrap_or(behind);
    }
    plain.push_str(rest);
    (plain != text).then_some(plain)
}

/// Whether a JWT may have it.
pub fn in_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

/// From the quoted-printable encoding of mails (RFC 2045 §6.7): soft line breaks, and what may stand in a token or around
/// it.
fn from_quoted_printable(text: &str) -> Option<String> {
    let plain = text.replace("=\r\n", "").replace("=\n", "");
    let plain = unescaped(&plain, '=');
    (plain != text).then_some(plain)
}

/// From the percent-encoding of web addresses (RFC 3986 §2.1), as far as it may stand in a token or around it.
fn from_percent(text: &str) -> Option<String> {
    let plain = unescaped(text, '%');
    (plain != text).then_some(plain)
}

/// From the dashes that a text program sets in a hyphen's place; an em dash is two of them.
fn from_dashes(text: &str) -> Option<String> {
    let plain = text.replace('\u{2014}', "--");
    let plain = plain.replace(['\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2212}'], "-");
    (plain != text).then_some(plain)
}

/// From the wide signs that a keyboard of East Asia types (`．`, Unicode's block of full-width forms).
fn from_wide(text: &str) -> Option<String> {
    const WIDER: u32 = 0xfee0;
    let narrow = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - WIDER).unwrap_or(c),
        other => other,
    };
    let plain: String = text.chars().map(narrow).collect();
    (plain != text).then_some(plain)
}

/// From base64 (RFC 4648 §4) of all of it, as a secret of Kubernetes or `Basic` credentials have it, broken into lines or
/// not.
fn from_base64(text: &str) -> Option<String> {
    let whole: String = text.trim().trim_start_matches("Basic ").split_whitespace().collect();
    // Two tokens would be one.
    let is_one = whole.matches(TOKEN).count() < 2;
    is_one.then(|| from_whole_base64(&whole)).flatten()
}

/// From base64 of all of it, or of each word in it that is a token.
fn from_framed_base64(text: &str) -> Option<String> {
    from_base64(text).or_else(|| from_base64_words(text))
}

/// Base64 of `eyJ`.
const TOKEN: &str = "ZXlK";

/// The text with each token in it that is in base64 decoded in its place.
fn from_base64_words(text: &str) -> Option<String> {
    let (mut plain, mut done) = (String::new(), 0);
    for (at, _) in text.match_indices(TOKEN) {
        // Of a JWT, or of another text in base64.
        let is_within = text[..at].ends_with(|c| in_token(c) || "+/".contains(c));
        if at < done || is_within {
            continue;
        }
        if let Some((token, length)) = base64_word(&text[at..]) {
            plain.push_str(&text[done..at]);
            plain.push_str(&token);
            done = at + length;
        }
    }
    plain.push_str(&text[done..]);
    (plain != text).then_some(plain)
}

/// The token that a text begins with in base64, in one line or several, and how long that is.
fn base64_word(text: &str) -> Option<(String, usize)> {
    // Longer than the base64 of any token that is read.
    const LONGEST: usize = 24 * 1024;
    let (mut joined, mut at, mut best) = (String::new(), 0, None);
    loop {
        let word = &text[at..];
        let word = &word[..word.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(word.len())];
        let behind = text[at + word.len()..].trim_start_matches('=');
        // The name of something else, a part of a longer text, or another one.
        let is_other = behind.starts_with(|c| in_token(c) || "+/:".contains(c)) || at > 0 && word.starts_with(TOKEN);
        joined.push_str(word);
        if word.is_empty() || is_other || joined.len() > LONGEST {
            return best;
        }
        if let Some(token) = from_whole_base64(&joined) {
            if !token.chars().all(|c| in_token(c) || c.is_whitespace()) {
                return best;
            }
            best = Some((token, text.len() - behind.len()));
        }
        let next = behind.trim_start();
        if !behind[..behind.len() - next.len()].contains('\n') {
            return best;
        }
        at = text.len() - next.len();
    }
}

fn from_whole_base64(whole: &str) -> Option<String> {
    // Shorter than any token.
    const SHORTEST: usize = 64;
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&alphabet::STANDARD, config)
        .decode(whole.trim_end_matches('='))
        .ok()?;
    let text = String::from_utf8(bytes).ok().filter(|_| whole.len() >= SHORTEST)?;
    Some(text.trim().to_owned())
}

/// Of what is nothing but base64 (RFC 4648 §4) and dots: as base64url, without padding.
fn from_plain_base64(text: &str) -> Option<String> {
    let may = |c: char| c.is_ascii_alphanumeric() || "+/=-_.".contains(c) || c.is_whitespace();
    let parts = text.split('.').map(|part| part.trim_end().trim_end_matches('='));
    let plain = parts.collect::<Vec<_>>().join(".").replace('+', "-").replace('/', "_");
    (plain != text && text.starts_with("ey") && text.chars().all(may)).then_some(plain)
}

fn unescaped(text: &str, sign: char) -> String {
    let signs = [
        ("2E", "."),
        ("2D", "-"),
        ("5F", "_"),
        ("3D", "="),
        ("20", " "),
        ("22", "\""),
        ("3A", ":"),
    ];
    signs.into_iter().fold(text.to_owned(), |text, (code, is)| {
        let text = text.replace(&format!("{sign}{code}"), is);
        text.replace(&format!("{sign}{}", code.to_lowercase()), is)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_every_encoding() {
        let utf16 = |text: &str, unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        for (bytes, text, was_utf16) in [
            (b"abc".to_vec(), "abc", false),
            ("\u{feff}ab\u{feff}c".as_bytes().to_vec(), "ab\u{feff}c", false),
            (utf16("\u{feff}aü😀", u16::to_le_bytes), "aü😀", true),
            (utf16("\u{feff}aü😀", u16::to_be_bytes), "aü😀", true),
            (utf16("abc\r\n", u16::to_le_bytes), "abc\r\n", true),
            (utf16("abc\r\n", u16::to_be_bytes), "abc\r\n", true),
            (Vec::new(), "", false),
        ] {
            let text = text.to_owned();
            assert_eq!(decode(&bytes), Some(Decoded { text, was_utf16 }), "{bytes:?}");
        }
        for bytes in [
            &b"\xffabc"[..],
            b"a\0b",
            b"a\0b\0c",
            b"\xff\xfe\x00\xd8",
            b"\x89PNG\r\n\x1a\n",
        ] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn what_programs_write_down_is_undone() {
        for (text, was, undone) in [
            (
                "\u{1b}[1;32mabc\u{1b}[0m def[200]",
                "abc def[200]",
                "a terminal's colours",
            ),
            ("[32mabc[m", "abc", "a terminal's colours"),
            (
                "> abc\n> > def\nghi",
                "abc\ndef\nghi",
                "the quote marks before its lines",
            ),
            ("x=3Da=2eb=\r\nc=\nd", "x=a.bcd", "its quoted-printable encoding"),
            ("a%2Eb%5fc%2D%zz", "a.b_c-%zz", "its percent-encoding"),
            (
                "a\u{2011}b\u{2013}c\u{2014}d",
                "a-b-c--d",
                "the dashes of a text program",
            ),
            ("eya+b/=.c==", "eya-b_.c", "the signs of plain base64"),
            ("ａ．ｂ＿ｃ", "a.b_c", "the full width of its signs"),
            ("of:\n- abc\n  - -d", "of:\nabc\n-d", "the marks before its lines"),
            (
                "of:\n1. ab\n2) c\n3 d\n44.5",
                "of:\nab\nc\nd\n44.5",
                "the numbers of its lines",
            ),
            (
                "\u{2500}\u{252c}\u{2500}\n| abc |\nd: |\n+e",
                "\nabc\nd: |\n+e",
                "the frame around its lines",
            ),
            (
                "a\\x2eb\\u005Fc&#46;d&#x2D;e\\u00fc&amp;\\u+02e&#;",
                "a.b_c.d-e\\u00fc&amp;\\u+02e&#;",
                "the escapes of a quoted text",
            ),
            (
                "x = 'a' + \"b\"\n  'c' \\\n 'd', 'e' ''",
                "x = 'abcd', 'e' ''",
                "the quotes between its pieces",
            ),
            (
                "Basic YWxpY2U6YSBwYXNzcGhyYXNlIG9mIHdvcmRz\nIHRoYXQgaXMgbG9uZ2VyIHRoYW4gZm9ydHkgYnl0ZXM=",
                "alice:a passphrase of words that is longer than forty bytes",
                "its base64 encoding",
            ),
        ] {
            assert_eq!(as_it_was(text), Some((was.to_owned(), vec![undone])), "{text}");
        }
        for text in ["", "a.b-c_d", "a=b [x] 1 > 0", "100%"] {
            assert_eq!(as_it_was(text), None, "{text}");
        }
    }

    #[test]
    fn marks_and_invisible_characters_go_and_what_is_seen_stays() {
        assert_eq!(
            without_paste_marks("\u{1b}[200~abc\n\u{1b}[201~").as_deref(),
            Some("abc\n")
        );
        assert_eq!(without_paste_marks("[200~abc[201~").as_deref(), Some("abc"));
        assert_eq!(without_paste_marks("abc[200]").as_deref(), None);
        assert_eq!(
            without_invisible("a\u{200b}b\u{feff}\u{ad} c\n\u{a0}").as_deref(),
            Some("ab c\n\u{a0}")
        );
        assert_eq!(without_invisible("a b\n\tü\u{1b}").as_deref(), None);
    }
}
