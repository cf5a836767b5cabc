//! From bytes to a text, its places and its value, by two parsers that do not know of each other.

use super::bytes;
use super::error::{Error, Position};
use super::scan::{Span, Tree, scan};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// The largest text that is read, in bytes.
pub const MAX_BYTES: usize = 4 << 20;

/// The byte order mark that Windows editors put before UTF-8.
const BOM: &str = "\u{FEFF}";

/// The second parser and everything that walks its values recurses. Up to here any stack carries it, also the 2 MiB of
/// a thread in a debug build.
const SHALLOW: usize = 64;

/// The text of a file with its byte order mark, where that ends, and whether the text has stand-ins for bytes that are no
/// UTF-8.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Cow<'_, str>, usize, bool), Error> {
    if bytes.len() > MAX_BYTES {
        return Err(Error::new("larger than 4 MiB"));
    }
    // UTF-16 and UTF-32 show at the beginning: a mark, or ASCII characters (JSON5 begins with hardly anything else)
    // between zero bytes.
    let wide = match *bytes {
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, 0, 0xFE, 0xFF, ..] => true,
        [a, 0] | [0, a] => a != 0,
        [0, 0, 0, a, ..] | [a, 0, _, 0, ..] | [0, a, 0, _, ..] => a != 0,
        _ => false,
    };
    if wide {
        return Err(Error::new("not UTF-8 but UTF-16 or UTF-32: save the file as UTF-8"));
    }
    let text = bytes::to_text(bytes);
    let start = start(&text);
    let stands_in = matches!(text, Cow::Owned(_));
    if stands_in && bytes.utf8_chunks().any(|chunk| bytes::may_be_stand_in(chunk.valid())) {
        let reason =
            "bytes that are not UTF-8, in a text that also has private-use characters from U+10F780 to U+10F7FF";
        return Err(Error::new(reason));
    }
    Ok((text, start, stands_in))
}

/// Both parsers' view of a text.
///
/// Halves of surrogate pairs are read as characters from `stand_ins` on, where the text has none of these.
pub(crate) fn read(text: &str, stand_ins: u32) -> Result<(Option<Tree>, Value), Error> {
    let blank = |c: char| c.is_whitespace() || c == '\u{FEFF}';
    if text.trim_matches(blank).is_empty() {
        return Ok((None, Value::Object(Map::new())));
    }
    let mut tree = scan(text).map_err(|error| nul(text).unwrap_or(error))?;
    tree.stand_ins = stand_ins;
    if let Some(&half) = tree.halves.first() {
        let mut blocks = [stand_ins].into_iter().chain(STAND_INS);
        tree.stand_ins = blocks.find(|first| !has_stand_in(text, *first)).ok_or_else(|| {
            let reason = "half of a surrogate pair, in a text that also has private-use characters of each kind: from \
                          U+E000, U+E800 and U+F000 on";
            Error::at(text, half, reason)
        })?;
    }
    let whole = Span {
        start: 0,
        end: text.len(),
    };
    let value = second_parse(&readable(text, &tree, whole), tree.depth)?;
    Ok((Some(tree), value))
}

/// Where a text begins behind its byte order mark.
pub(crate) fn start(text: &str) -> usize {
    if text.starts_with(BOM) { BOM.len() } else { 0 }
}

/// Why a text is no JSON5 that has a NUL byte where none can be: the end of a file that lost power, perhaps.
fn nul(text: &str) -> Option<Error> {
    let at = text.find('\0')?;
    Some(Error::at(text, at, "a NUL byte"))
}

/// The value, by the `json5` crate.
fn second_parse(text: &str, depth: usize) -> Result<Value, Error> {
    let parse = || {
        json5::from_str(text).map_err(|error: json5::Error| {
            // Its codes are fixed texts; its other messages come from number parsing and quote nothing.
            let reason = error
                .code()
                .map_or("a value that cannot be read".into(), |code| code.to_string());
            let position = error.position().map(|at| Position {
                line: at.line + 1,
                column: at.column + 1,
            });
            Error {
                position,
                ..Error::new(reason)
            }
        })
    };
    if depth <= SHALLOW {
        return parse();
    }
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(32 << 20);
        let thread = builder.spawn_scoped(scope, parse);
        let thread = thread.map_err(|_| Error::bug("no stack for a deeply nested text"))?;
        let value = thread.join();
        value.unwrap_or_else(|_| Err(Error::bug("the JSON5 parser failed")))
    })
}

/// The name that a key stands for.
pub(crate) fn key_name<'a>(text: &'a str, tree: &Tree, key: Span) -> Cow<'a, str> {
    let written = key.of(text);
    let quoted = written.starts_with(['"', '\'']);
    if !written.contains('\\') {
        return Cow::Borrowed(if quoted {
            &written[1..written.len() - 1]
        } else {
            written
        });
    }
    let readable = readable(text, tree, key);
    let string = if quoted {
        readable
    } else {
        format!("\"{readable}\"").into()
    };
    json5::from_str(&string).map_or(Cow::Borrowed(written), Cow::Owned)
}

// ---- Halves of surrogate pairs ----
//
// JavaScript's strings may hold half of a surrogate pair ("\ud83d" alone, left where a text was cut inside an emoji),
// Rust's may not, and so neither `json5` nor `Value`. Each is read as a private-use character: its escape has the same
// length, and two different halves stay two different strings. There are three blocks of these, and one is taken of which
// the text has none. A text that has some of each is refused, and so is an edit that would write one of the block that is
// in use: nobody could say which was meant.

/// Where the blocks begin that halves are read in, the likeliest first.
pub(crate) const STAND_INS: [u32; 3] = [0xE800, 0xE000, 0xF000];
/// The first half of a surrogate pair, and how many there are.
const HALVES: (u32, u32) = (0xD800, 0x800);

/// Whether half of a surrogate pair may be read as `c`, in the block that begins there.
pub(crate) fn is_stand_in(c: char, first: u32) -> bool {
    (first..first + HALVES.1).contains(&u32::from(c))
}

/// Whether a text has characters of a block, as such or as escapes.
fn has_stand_in(text: &str, first: u32) -> bool {
    let escape = |(at, _)| {
        let code = text
            .get(at + 2..at + 6)
            .and_then(|code| u32::from_str_radix(code, 16).ok());
        code.and_then(char::from_u32).is_some_and(|c| is_stand_in(c, first))
    };
    text.contains(|c| is_stand_in(c, first)) || text.match_indices("\\u").any(escape)
}

/// What stands in a span, as the second parser can read it: with a stand-in for each half of a surrogate pair.
fn readable<'a>(text: &'a str, tree: &Tree, span: Span) -> Cow<'a, str> {
    let before = |at: usize| tree.halves.partition_point(|&half| half < at);
    let halves = &tree.halves[before(span.start)..before(span.end)];
    if halves.is_empty() {
        return Cow::Borrowed(span.of(text));
    }
    let (mut readable, mut done) = (String::with_capacity(span.end - span.start), span.start);
    for &at in halves {
        let half = u32::from_str_radix(&text[at + 2..at + 6], 16).unwrap_or_default();
        readable += &text[done..at];
        readable += &format!("\\u{:04x}", half - HALVES.0 + tree.stand_ins);
        done = at + 6;
    }
    readable += &text[done..span.end];
    Cow::Owned(readable)
}
