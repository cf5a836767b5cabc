//! Documents as people and programs write them, and as they don't. (The program that this crate was made for uses them in
//! its own tests, too.)

use proptest::prelude::*;
use serde_json::{Value, json};

/// White space and comments that may stand between two tokens.
pub fn trivia() -> BoxedStrategy<String> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![" ", "  ", "\n", "\n  ", "\n\t", "\r\n", "\r\n    ", "\r", "\t", "\u{A0}", "\u{2028}", "\u{FEFF}"])
            .prop_map(str::to_owned),
        1 => "[ a-z\"'{}\\[\\],:é✓*]{0,12}".prop_map(|text| format!("/*{}*/", text.replace("*/", ""))),
        1 => ("[ a-z\"'{}\\[\\],:/é✓*]{0,12}", prop::sample::select(vec!["\n", "\r\n", "\n  ", "\u{2028}"]))
            .prop_map(|(text, end)| format!("//{text}{end}")),
        1 => Just("/* over\n   lines */".to_owned()),
    ];
    prop_oneof![
        4 => Just(String::new()),
        2 => Just(" ".to_owned()),
        2 => Just("\n  ".to_owned()),
        2 => prop::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat()),
    ]
    .boxed()
}

fn quoted(text: &str, quote: char, escapes: u8) -> String {
    let mut out = String::from(quote);
    for (index, c) in text.chars().enumerate() {
        match c {
            '\\' | '\n' | '\r' => out.push_str(&format!("\\u{:04X}", c as u32)),
            _ if c == quote => out.push_str(&format!("\\{c}")),
            'a'..='z' if escapes == 1 && index % 3 == 0 => out.push_str(&format!("\\x{:02x}", c as u32)),
            'a'..='z' if escapes == 2 && index % 3 == 0 => out.push_str(&format!("\\\n{c}")),
            _ => out.push(c),
        }
    }
    out.push(quote);
    out
}

pub fn string_text() -> BoxedStrategy<String> {
    let text = prop_oneof!["[a-z \"'/é✓😀\\\\\n]{0,10}", Just("https://x.example/{a}".to_owned())];
    (text, prop::sample::select(vec!['"', '\'']), 0..3_u8)
        .prop_map(|(text, quote, escapes)| quoted(&text, quote, escapes))
        .boxed()
}

pub fn scalar() -> BoxedStrategy<String> {
    prop_oneof![
        string_text(),
        prop::sample::select(vec![
            "1",
            "-0",
            "-0.0",
            "+5",
            ".5",
            "5.",
            "-.5e+3",
            "0xDEADbeef",
            "-0x10",
            "1e400",
            "Infinity",
            "-Infinity",
            "NaN",
            "+NaN",
            "18446744073709551615",
            "123456789012345678901234567890",
            "0.1",
            "1E-7",
            "true",
            "false",
            "null",
        ])
        .prop_map(str::to_owned),
    ]
    .boxed()
}

fn key_text(name: &str, style: u8) -> String {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match style {
        0 if plain => name.to_owned(),
        1 => quoted(name, '\'', 0),
        2 if plain => format!("\\u{:04x}{}", name.chars().next().unwrap_or('x') as u32, &name[1..]),
        3 => quoted(name, '"', 1),
        _ => quoted(name, '"', 0),
    }
}

/// Members or elements with what stands around them, in brackets. Seven times of eight two neighbours differ in
/// nothing but white space, as in real files; here anything may stand anywhere.
fn bracketed(
    open: &'static str,
    close: &'static str,
    items: Vec<(String, String, String)>,
    end: (bool, String),
) -> String {
    let mut out = open.to_owned();
    let count = items.len();
    for (index, (before, item, after)) in items.into_iter().enumerate() {
        out += &before;
        out += &item;
        out += &after;
        if index + 1 < count || end.0 && count > 0 {
            out.push(',');
        }
    }
    out + &end.1 + close
}

pub fn object(members: Vec<(String, String)>) -> BoxedStrategy<String> {
    let members: Vec<_> = members
        .into_iter()
        .map(|(name, value)| {
            (0..6_u8, trivia(), trivia(), trivia(), trivia()).prop_map(move |(style, before, colon, space, after)| {
                (
                    before,
                    format!("{}{colon}:{space}{value}", key_text(&name, style)),
                    after,
                )
            })
        })
        .collect();
    (members, (any::<bool>(), trivia()))
        .prop_map(|(items, end)| bracketed("{", "}", items, end))
        .boxed()
}

pub fn array(elements: Vec<String>) -> BoxedStrategy<String> {
    let elements: Vec<_> = elements
        .into_iter()
        .map(|value| (trivia(), trivia()).prop_map(move |(before, after)| (before, value.clone(), after)))
        .collect();
    (elements, (any::<bool>(), trivia()))
        .prop_map(|(items, end)| bracketed("[", "]", items, end))
        .boxed()
}

fn other_key() -> BoxedStrategy<String> {
    prop_oneof![
        prop::sample::select(vec![
            "a",
            "b",
            "gateway",
            "meta",
            "session-memory",
            "ключ",
            "",
            "a/b",
            "a~b",
            "__proto__",
            "x y"
        ])
        .prop_map(str::to_owned),
        "[a-z]{1,4}",
    ]
    .boxed()
}

pub fn any_value() -> BoxedStrategy<String> {
    scalar()
        .prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec((other_key(), inner.clone()), 0..4).prop_flat_map(object),
                prop::collection::vec(inner, 0..4).prop_flat_map(array),
            ]
        })
        .boxed()
}

/// An object with other members around the given ones.
pub fn around(own: Vec<(&'static str, String)>) -> BoxedStrategy<String> {
    let own: Vec<_> = own.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    (
        prop::collection::vec((other_key(), any_value()), 0..3),
        prop::collection::vec(any::<prop::sample::Index>(), own.len()),
    )
        .prop_map(move |(mut members, places)| {
            for (member, place) in own.iter().zip(places) {
                members.insert(place.index(members.len() + 1), member.clone());
            }
            members
        })
        .prop_flat_map(object)
        .boxed()
}

/// Whole texts with this outermost value: as people write them, and as programs do.
pub fn whole(root: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let whole = (prop::bool::weighted(0.2), trivia(), root, trivia())
        .prop_map(|(bom, before, root, after)| format!("{}{before}{root}{after}", if bom { "\u{FEFF}" } else { "" }));
    // As programs write them.
    let written =
        (whole.clone().boxed(), any::<bool>()).prop_map(|(text, pretty)| match (second(text.as_bytes()), pretty) {
            (value, true) => serde_json::to_string_pretty(&value).unwrap(),
            (value, false) => value.to_string(),
        });
    prop_oneof![1 => Just(String::new()), 1 => Just(" \r\n".to_owned()), 30 => whole, 8 => written].boxed()
}

/// The value by the second parser alone.
pub fn second(bytes: &[u8]) -> Value {
    let text = std::str::from_utf8(bytes).unwrap();
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    if text
        .trim_matches(|c: char| c.is_whitespace() || c == '\u{FEFF}')
        .is_empty()
    {
        json!({})
    } else {
        json5::from_str(text).unwrap()
    }
}

/// A member of one of the containers goes, is replaced, or gets a neighbour.
pub fn change_anywhere(value: &mut Value, place: prop::sample::Index, what: u8) {
    let count = containers(value);
    if count > 0 {
        anywhere(value, place.index(count), &mut 0, what);
    }
}

fn containers(value: &Value) -> usize {
    match value {
        Value::Object(members) => 1 + members.values().map(containers).sum::<usize>(),
        Value::Array(elements) => 1 + elements.iter().map(containers).sum::<usize>(),
        _ => 0,
    }
}

fn anywhere(value: &mut Value, target: usize, count: &mut usize, what: u8) {
    let here = *count == target;
    let new = [
        json!("new"),
        json!({"x": [1, {"y": null}], "z": {}}),
        json!([true, "t"]),
    ][usize::from(what) % 3]
        .clone();
    match value {
        Value::Object(members) => {
            *count += 1;
            if here {
                match members.keys().nth(usize::from(what)).or(members.keys().next()).cloned() {
                    Some(key) if what < 2 => drop(members.shift_remove(&key)),
                    Some(key) if what < 4 => drop(members.insert(key, new)),
                    _ => {
                        members.insert("new one".into(), new.clone());
                        members.insert("newer".into(), new);
                    }
                }
                return;
            }
            members
                .values_mut()
                .for_each(|value| anywhere(value, target, count, what));
        }
        Value::Array(elements) => {
            *count += 1;
            if here {
                match (elements.len().checked_sub(1), what) {
                    (Some(last), 0..2) => drop(elements.remove(last.min(what.into()))),
                    (Some(last), 2..4) => elements[last] = new,
                    _ => elements.insert(elements.len().min(what.into()), new),
                }
                return;
            }
            elements
                .iter_mut()
                .for_each(|value| anywhere(value, target, count, what));
        }
        _ => {}
    }
}
