//! A stranger's text, made safe. Every field of a request was chosen by a stranger, and a chat makes more of a text than
//! text: links, mentions, commands, colours. So a field keeps its letters, its digits, `_`, `-` and single spaces, and
//!
//! - a `.` at the end or before a space, a `:` before a space: no domain, no address, no scheme;
//! - a `/` after a letter or digit: no command;
//! - an `@` inside a word, unless a word for everybody follows: no mention.
//!
//! All else becomes `·`, and so does the `h` of `localhost`, which some chats link. A key keeps base64's signs besides (a
//! `+` where it begins no telephone number), and no space.
//! `tests/suite/notice.rs` has what each chat makes links of.
//!
//! A *letter* is one of the scripts that are written left to right with one character a letter: Latin, Greek,
//! Cyrillic, Armenian, Georgian, kana, Han and Hangul. No combining mark, no invisible letter, no script written right
//! to left (it would re-order the line around it). A word that mixes Latin with Greek, Cyrillic or Armenian keeps its
//! Latin letters only: `pаypal` with a Cyrillic `а` shows as `p·ypal`.

use std::net::IpAddr;

/// What all else becomes.
const DOT: char = '·';

/// How every Ed25519 key begins in base64, where it is written as a SubjectPublicKeyInfo (RFC 8410): 12 bytes, before the
/// 43 characters that are its own.
const ED25519_SPKI: &str = "MCowBQYDK2VwAyEA";

/// No key is looked at beyond this many characters from either end.
const SCANNED: usize = 64;

/// A stranger's text of at most `max` characters. One that is cut ends with `·`.
pub fn clean(text: &str, max: usize) -> String {
    with_signs(text, max, "")
}

/// A key's two ends, of what is its own: all keys of one kind may begin alike. Never cut further, since people compare it.
pub fn key(key: &str) -> String {
    let end = |text: &str| with_signs_of_keys(text, 18);
    let armoured = without_armour(key);
    let key = armoured.as_deref().unwrap_or(key).trim();
    let bare = key.strip_prefix("ed25519:").unwrap_or(key).trim_end_matches('=');
    let own = bare.strip_prefix(ED25519_SPKI).filter(|own| own.len() == 43);
    let bare = own.unwrap_or(bare);
    if bare.chars().take(SCANNED).count() <= 18 {
        return without_numbers(&end(bare));
    }
    let first: String = bare.chars().take(8).collect();
    let last: Vec<char> = bare.chars().rev().take(8).collect();
    let last: String = last.into_iter().rev().collect();
    without_numbers(&format!("{}..{}", end(&first), end(&last)))
}

/// What is a key's own in a PEM text (RFC 7468): all of these begin and end alike.
fn without_armour(key: &str) -> Option<String> {
    let (_, body) = key.trim_start().strip_prefix("-----BEGIN ")?.split_once("-----")?;
    let body = body.split("-----END").next().unwrap_or(body);
    Some(body.split_whitespace().collect())
}

/// A key as a whole, for who compares all of it.
pub fn whole_key(key: &str) -> String {
    without_numbers(&with_signs_of_keys(key, 120))
}

fn with_signs_of_keys(text: &str, max: usize) -> String {
    with_signs(text, max, "+=").replace(['.', ':', '@', ' '], "·")
}

/// Without each `+` that makes a telephone number of what follows: four digits or more before the next letter.
fn without_numbers(key: &str) -> String {
    let opens = |rest: &str| {
        let signs = rest.chars().take_while(|c| !c.is_alphabetic());
        signs.filter(char::is_ascii_digit).count() >= 4
    };
    let chars = key.char_indices();
    chars
        .map(|(at, c)| if c == '+' && opens(&key[at + 1..]) { DOT } else { c })
        .collect()
}

/// An internet address, whole; what is none is [`clean`].
pub fn address(text: &str, max: usize) -> String {
    match text.parse::<IpAddr>() {
        // Some chats link bare addresses too.
        Ok(address) => address.to_string().replace('.', "·"),
        Err(_) => clean(text, max),
    }
}

fn with_signs(text: &str, max: usize, signs: &str) -> String {
    let mut chars: Vec<char> = text.chars().take(max + 1).collect();
    if chars.len() > max {
        chars.truncate(max.saturating_sub(1));
        chars.push(DOT);
    }
    let mut before = None;
    for c in &mut chars {
        let stays = match *c {
            ' ' => before != Some(' '),
            '.' | '_' | ':' | '/' | '-' | '@' => true,
            other => is_word(other) || signs.contains(other),
        };
        before = Some(*c);
        if !stays {
            *c = DOT;
        }
    }
    for word in chars.chunk_by_mut(|a, b| is_word(*a) && is_word(*b)) {
        if word.iter().any(|c| script(*c) == Some(Script::Latin)) {
            for letter in word.iter_mut().filter(|c| script(**c) == Some(Script::LooksLatin)) {
                *letter = DOT;
            }
        }
    }
    // Last, when it is known what stands around it.
    for at in 0..chars.len() {
        if !is_harmless(&chars, at) {
            chars[at] = DOT;
        }
    }
    chars.into_iter().collect()
}

/// A text that another program of the owner's made for a chat, such as a broker: its commands, names and times stay as
/// they are, with no link in it but to the dashboard, and nobody mentioned. At most `max` characters.
pub fn relayed(text: &str, dashboard: &str, max: usize) -> String {
    let text: String = text.chars().take(max).collect();
    let words = text.split_inclusive(char::is_whitespace).map(|word| {
        let is_dashboard = word.trim_end().trim_end_matches(['.', ',', '/']) == dashboard;
        if is_dashboard {
            word.to_owned()
        } else {
            word.replace("://", "·//")
        }
    });
    let chars: Vec<char> = words.collect::<String>().chars().collect();
    let calls = |at: usize| match chars[at] {
        '@' => calls_everybody(&chars[at + 1..]),
        // Slack's own mentions.
        '<' => matches!(chars.get(at + 1), Some('!' | '@' | '#')),
        _ => false,
    };
    (0..chars.len())
        .map(|at| if calls(at) { DOT } else { chars[at] })
        .collect()
}

/// Whether no chat makes anything of this character, where it stands.
fn is_harmless(chars: &[char], at: usize) -> bool {
    let after_word = at > 0 && is_word(chars[at - 1]);
    let rest = &chars[at + 1..];
    match chars[at] {
        '.' => rest.first().is_none_or(|c| *c == ' '),
        ':' => rest.first() == Some(&' '),
        '/' => after_word,
        '@' => after_word && rest.first().is_some_and(|c| is_word(*c)) && !calls_everybody(rest),
        'h' | 'H' => !(at >= 5 && begins_with(&chars[at - 5..], "localhost")),
        _ => true,
    }
}

fn begins_with(chars: &[char], word: &str) -> bool {
    let mut letters = chars.iter();
    word.chars()
        .all(|c| letters.next().is_some_and(|letter| letter.eq_ignore_ascii_case(&c)))
}

/// Whether what follows an `@` is a word that some chat takes for everybody, wherever it stands.
fn calls_everybody(rest: &[char]) -> bool {
    if ["everyone", "here"].iter().any(|word| begins_with(rest, word)) {
        return true;
    }
    // Matrix looks for whole words, of ASCII alone in its web client: neither `-` nor `é` is a part of one.
    let of_word = |c: &&char| c.is_ascii_alphanumeric() || **c == '_';
    let word: String = rest.iter().take_while(of_word).collect();
    ["channel", "all", "room"].contains(&word.to_lowercase().as_str())
}

fn is_word(c: char) -> bool {
    c.is_ascii_digit() || script(c).is_some()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    /// Many of its letters look like Latin ones.
    LooksLatin,
    Other,
}

/// Which script a letter belongs to; `None` for what does not count as a letter here.
fn script(c: char) -> Option<Script> {
    match c {
        'a'..='z' | 'A'..='Z' => Some(Script::Latin),
        _ if !c.is_alphabetic() => None,
        '\u{C0}'..='\u{24F}' | '\u{1E00}'..='\u{1EFF}' => Some(Script::Latin),
        '\u{386}'..='\u{3FF}' | '\u{400}'..='\u{52F}' | '\u{531}'..='\u{586}' => Some(Script::LooksLatin),
        '\u{10D0}'..='\u{10FA}'
        | '\u{3041}'..='\u{3096}'
        | '\u{30A1}'..='\u{30FA}'
        | '\u{30FC}'
        | '\u{3400}'..='\u{4DBF}'
        | '\u{4E00}'..='\u{9FFF}'
        | '\u{AC00}'..='\u{D7A3}' => Some(Script::Other),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_strangers_may_say() {
        let cases = [
            ("payments", "payments"),
            ("Zahlungen für Zoë 2", "Zahlungen für Zoë 2"),
            ("оплата", "оплата"),
            ("支払い 결제", "支払い 결제"),
            ("a.b_c:d/e-f", "a·b_c·d/e-f"),
            ("a. b: c.", "a. b: c."),
            ("a.. b :c", "a·. b ·c"),
            // one space stays, a second does not
            ("a  b   c", "a ·b ··c"),
            ("a\tb\nc\r\nd\u{a0}e", "a·b·c··d·e"),
            // ends of quotes, terminals, IRC colours
            ("x\", ip \"127.0.0.1", "x·· ip ·127·0·0·1"),
            ("\u{1b}[31mred\u{1b}]0;title\u{7}", "··31mred··0·title·"),
            ("\u{3}04,01red\u{2}bold\u{f}", "·04·01red·bold·"),
            // Markdown, HTML, links
            ("**b** `c` [x](http://e.vil)", "··b·· ·c· ·x··http···e·vil·"),
            ("<img src=x>|~~s~~#h", "·img src·x····s···h"),
            // mentions
            ("@alice", "·alice"),
            ("alice@example.com", "alice@example·com"),
            ("a@b@c", "a@b@c"),
            ("a@@b", "a··b"),
            ("a@пb", "a··b"),
            ("a @b c@ d", "a ·b c· d"),
            ("x@everyone", "x·everyone"),
            ("x@HERE y", "x·HERE y"),
            ("x@here.example.com", "x·here·example·com"),
            (
                "x@hereford x@allison x@all-in x@all.in",
                "x·hereford x@allison x·all-in x·all·in",
            ),
            ("x@room é@roomé x@roomy", "x·room é·roomé x@roomy"),
            // commands, paths, schemes, addresses, this machine
            ("/approve a/b /c x-/d _/e", "·approve a/b ·c x-·d _·e"),
            ("https://sigilum.id/x mailto:a@b", "https···sigilum·id/x mailto·a@b"),
            ("10.0.0.7:80 12:30", "10·0·0·7·80 12·30"),
            ("localhost xLocalHosts", "local·ost xLocal·osts"),
            ("<@U012> <!channel>", "··U012· ··channel·"),
            // looks like something else
            ("p\u{430}ypal", "p·ypal"),
            ("\u{440}\u{430}ypal my-сервис", "··ypal my-сервис"),
            ("e\u{301}", "e·"),
            ("a\u{200b}b\u{ad}c\u{feff}d\u{2060}e", "a·b·c·d·e"),
            ("\u{202e}txt.exe\u{202c}\u{2066}x\u{2069}", "·txt·exe··x·"),
            ("שלום مرحبا", "···· ·····"),
            ("\u{3164}\u{115f}\u{1160}\u{ffa0}", "····"),
            ("ａ１①½²", "·····"),
            ("🔥\u{e0041}", "··"),
            ("", ""),
            (" a ", " a "),
        ];
        for (text, expected) in cases {
            assert_eq!(clean(text, 40), expected, "{text:?}");
        }
        assert_eq!(clean(&"x".repeat(40), 40), "x".repeat(40));
        assert_eq!(clean(&"x".repeat(41), 40), format!("{}·", "x".repeat(39)));
        assert_eq!(clean("a@a@a@a@a", 8), "a@a@a@a·");
        assert_eq!(clean("a@a@@a@a@", 8), "a@a··a··");
        assert_eq!(clean(&"x".repeat(10_000_000), 40), format!("{}·", "x".repeat(39)));
    }

    #[test]
    fn what_a_broker_may_say_in_a_chat() {
        let dashboard = "https://sigilum.id";
        let own = "Review: https://sigilum.id\nRun: sudo -u x sigilum-authz-notify --deciders <channel>:<sender id>, \
                   at 2026-11-27T18:00:00Z; tell matrix:@alice:localhost. In https://sigilum.id.";
        assert_eq!(relayed(own, dashboard, 1000), own);
        for (text, shown) in [
            ("https://sigilum.id.evil.example", "https·//sigilum.id.evil.example"),
            ("[x](http://evil.example)", "[x](http·//evil.example)"),
            ("x@everyone <!channel> <@U1>", "x·everyone ·!channel> ·@U1>"),
            ("tg://user?id=1", "tg·//user?id=1"),
        ] {
            assert_eq!(relayed(text, dashboard, 1000), shown);
        }
        assert_eq!(relayed("abc", dashboard, 2), "ab");
    }

    #[test]
    fn keys_and_addresses() {
        let cases = [
            (
                "ed25519:MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=",
                "Gb9ECWmE..4rXAxZuE",
            ),
            ("MCowBQYDK2VwAyEAAAAAAAAAAAAAAAAA", "MCowBQYD..AAAAAAAA"),
            ("Gb9+CWm/AAAAAAAAAAAA-_4r/Ax+", "Gb9+CWm/..-_4r/Ax+"),
            ("ed25519:Gb9+C=_-", "Gb9+C=_-"),
            // What a chat would take for a command.
            ("/approveAAAAAAAAAA+/reject", "·approve..+·reject"),
            ("x:a.b@c:dAAAAAAAAAAAA", "x·a·b·c·..AAAAAAAA"),
            // Keys of another kind are others.
            ("rsa:Gb9+C=_-", "rsa·Gb9+C=_-"),
            (
                "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7\nlshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n",
                "Gb9ECWmE..4rXAxZuE",
            ),
            ("-----BEGIN PUBLIC KEY-----\nAAAA\n", "AAAA"),
            // Nor for a telephone number, or words.
            ("+49 123 4567890", "·49·123·4567890"),
            ("A+49123456", "A·49123456"),
            ("AAAAAAA+AAAA49123456", "AAAAAAA·..49123456"),
            ("+491+A+49/1+", "+491+A+49/1+"),
            ("approve cl_1", "approve·cl_1"),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(key(text), expected, "{text:?}");
        }
        let cases = [
            ("ed25519:Gb9+4/A=", "ed25519·Gb9+4/A="),
            ("+49 123 4567890", "·49·123·4567890"),
            ("x approve cl_1", "x·approve·cl_1"),
            ("mailto: a@b. c", "mailto··a·b··c"),
        ];
        for (text, expected) in cases {
            assert_eq!(whole_key(text), expected, "{text:?}");
        }
        let cases = [
            ("10.0.0.7", "10·0·0·7"),
            ("2001:db8:0:0::1", "2001:db8::1"),
            ("::ffff:10.0.0.7", "::ffff:10·0·0·7"),
            ("10.0.0.7/approve", "10·0·0·7/app·"),
            ("127.1", "127·1"),
        ];
        for (text, expected) in cases {
            assert_eq!(address(text, 13), expected, "{text:?}");
        }
    }

    #[test]
    fn no_two_keys_look_alike() {
        let signs = "A4+/-_";
        let longer = |keys: Vec<String>| -> Vec<String> {
            let with = |key: &String| signs.chars().map(|c| format!("{key}{c}")).collect::<Vec<_>>();
            keys.iter().flat_map(with).collect()
        };
        let keys = longer(longer(longer(longer(vec![String::new()]))));
        let shown: std::collections::BTreeSet<String> = keys.iter().map(|text| key(text)).collect();
        assert_eq!((keys.len(), shown.len()), (1296, 1296));
    }

    /// Text of the kind that attacks are made of.
    pub(crate) fn nasty() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[\\x00-\\x7f]{0,80}",
            "[ @a]{0,50}",
            "[ @a.:/lochst-]{0,50}",
            "(localhost|everyone|here|all|[@./: -]){0,9}",
            "[\\u0300-\\u036f\\u200b-\\u206f\\u0590-\\u06ff\\u0400-\\u04ffa-z\"`*_\\[\\]()<>|#\\n\\r\\t]{0,80}",
            "[a-z]{0,200}",
        ]
    }

    /// The rules once more, said another way round.
    pub(crate) fn is_clean(text: &str) -> bool {
        let allowed = |c: char| c == DOT || c == ' ' || "._:/-@".contains(c) || c.is_ascii_digit() || c.is_alphabetic();
        let hidden = |c: char| {
            matches!(c as u32, 0x300..=0x36f | 0x590..=0x8ff | 0x115f | 0x1160 | 0x2000..=0x206f | 0x3164 | 0xfb1d..=0xffff)
                || c as u32 > 0xffff
        };
        let is_word = |part: Option<char>| part.is_some_and(|c| c.is_alphanumeric());
        let around = |at: usize| (text[..at].chars().next_back(), text[at + 1..].chars().next());
        let fine = |(at, sign): (usize, &str)| match (sign, around(at)) {
            (".", (_, after)) => matches!(after, None | Some(' ')),
            (":", (_, after)) => after == Some(' '),
            ("/", (before, _)) => is_word(before),
            (_, (before, after)) => is_word(before) && is_word(after),
        };
        text.chars().all(|c| allowed(c) && !hidden(c))
            && !text.contains("  ")
            && !text.to_lowercase().contains("localhost")
            && text.match_indices(['.', ':', '/', '@']).all(fine)
    }

    proptest! {
        #[test]
        fn a_field_is_clean_and_short(text in nasty(), max in 1_usize..60) {
            let clean = clean(&text, max);
            prop_assert!(is_clean(&clean), "{clean:?}");
            prop_assert!(clean.chars().count() <= max);
            prop_assert_eq!(super::clean(&clean, max), clean);
        }
    }
}
