//! An owner token in what a person pastes, a file holds or a token command prints: found among quotes, line breaks,
//! `NAME=value`, JSON and what nobody sees; or, where there is none, what the text is instead. A pure function.
//!
//! A token is a JWT in its compact form: three base64url parts (RFC 7515 §7.1), five where it is encrypted (RFC 7516).

use super::claims::{self, Invalid};
use crate::text::{self, pasted, typed};
use secrecy::SecretString;
use serde_json::{Map, Value};

/// A text over this size in bytes is looked at no further: an owner token has about 400.
pub const MAX_TEXT: usize = 64 * 1024;

/// How the ids of requests begin, which are no secrets.
const REQUEST: (&str, &str) = ("cl_", "the id of a request");

/// What a local API signs with, pasted with its name.
const SIGNING_SECRET: &str = "the signing secret of a local API (JWT_SECRET)";

/// A token, and what of the text is not in it.
#[derive(Debug)]
pub struct Pasted {
    /// The JWT alone.
    pub token: SecretString,
    /// What was left out, in words that follow "left out"; empty where the text is the token.
    pub left_out: Vec<&'static str>,
}

/// Why no owner token was found. Nothing of the text is in it but an issuer's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// One text that has the shape of a token, or none that has.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// No text in UTF-8 or UTF-16.
    #[error("it is not text")]
    NotText,
    /// Different ones, of which none or more than one is Sigilum's: what each says of itself.
    #[error("it holds {} tokens: {}", .0.len(), .0.join(", "))]
    Several(Vec<String>),
    /// A JWE.
    #[error("it is an encrypted token (JWE, five parts), and an owner token is a signed one (JWT, three parts)")]
    Encrypted,
    /// The signature is too short, or there is none.
    #[error("the end of the token is missing")]
    NoEnd,
    /// As [`NoToken::NoEnd`], and there is more in the text that may be of a token.
    #[error("the token stops where other text follows; if its end is behind that, copy it from a raw view")]
    Broken,
    /// A letter within it that only looks like one of a token's, or is none: its place, and which.
    #[error("letter {0} of the token is not one that tokens have (U+{1:04X})")]
    ForeignLetter(usize, u32),
    /// What a page or a log shows in a secret's place.
    #[error("a part of it is hidden, behind dots or stars")]
    Masked,
    /// `$NAME`, `<token>`.
    #[error("it only stands for a token")]
    Placeholder,
    /// The first part is not one.
    #[error("the beginning of the token is missing or changed")]
    NoBeginning,
    /// The signature is too long, or there are more parts.
    #[error("something else sticks to the end of the token")]
    LongEnd,
    /// Claims without a namespace, by this issuer.
    #[error("it is a token of another issuer, {0}, and names no namespace")]
    OtherIssuer(String),
    /// A secret of another kind.
    #[error("it is {0}, not an owner token")]
    OtherSecret(&'static str),
    /// A private key, a certificate.
    #[error("it is a key or certificate in PEM form, not an owner token")]
    Pem,
    /// A page that a server sent.
    #[error("it is an HTML page, not an owner token")]
    Html,
    /// The address of something.
    #[error("it is a web address, not an owner token")]
    Address,
    /// The name of a file.
    #[error("it is a path, not what is in the file")]
    Path,
    /// Something else.
    #[error("it is JSON without an owner token in it")]
    Json,
}

impl NoToken {
    /// What to do about it, where there is something better than to get a token.
    pub fn next(&self) -> Option<&'static str> {
        Some(match self {
            Self::Several(_) => "paste the owner token alone, as your account page at https://sigilum.id shows it",
            Self::NoEnd | Self::Broken | Self::NoBeginning | Self::LongEnd | Self::Masked | Self::ForeignLetter(..) => {
                "copy the whole token, from its first letter to its last"
            }
            Self::OtherSecret("the API key of a Sigilum service") => {
                "leave it where the service has it; an owner token is copied from your account page at https://sigilum.id"
            }
            Self::OtherSecret(SIGNING_SECRET) => {
                "export JWT_SECRET, and have a token signed with it: sigilum-authz-notify auth login --mode oss-local"
            }
            Self::Path => "have the file read: sigilum-authz-notify auth login --owner-token-stdin < <file>",
            _ => return None,
        })
    }
}

/// Finds the one token in a text.
///
/// # Errors
/// What the text is instead; what the one token in it lacks, where that can be told without its claims.
pub fn read(bytes: &[u8]) -> Result<Pasted, NoToken> {
    if bytes.len() > MAX_TEXT {
        return Err(Invalid::TooLong.into());
    }
    let decoded = match pasted::decode(bytes) {
        Some(decoded) => decoded,
        None => match pasted::decode_roughly(bytes) {
            // What is no text may still say so with a few words of ASCII.
            Some(decoded) if find(&decoded.text).is_ok() => decoded,
            _ => return Err(NoToken::NotText),
        },
    };
    let marks = pasted::without_paste_marks(&decoded.text);
    let text = marks.as_deref().unwrap_or(&decoded.text);
    let invisible = pasted::without_invisible(text);
    let text = invisible.as_deref().unwrap_or(text).trim();
    let (mut found, mut undone) = (find(text), Vec::new());
    if let Some((was, steps)) = pasted::as_it_was(text) {
        let found_in_it = find(was.trim());
        if tells_more(&found_in_it, &found) {
            (found, undone) = (found_in_it, steps);
        }
    }
    let Sound {
        token,
        pieces,
        is_around,
    } = found?;
    let left_out = [
        (decoded.was_utf16, "its encoding as UTF-16"),
        (marks.is_some(), "the terminal's marks around it"),
        (invisible.is_some(), "invisible characters"),
        (pieces > 1, "line breaks or blanks in it"),
        (is_around, "what stands around it"),
    ];
    let left_out = left_out.into_iter().filter_map(|(is, what)| is.then_some(what));
    Ok(Pasted {
        token: token.into(),
        left_out: undone.into_iter().chain(left_out).collect(),
    })
}

/// The token of a text.
struct Sound {
    token: String,
    /// Of how many pieces it was put together.
    pieces: usize,
    /// Whether there is more in the text.
    is_around: bool,
}

/// Whether it matters what was found in a text as it was before a program wrote it down. Whatever that did, there is no
/// whole token in the text as it is; or it hid another one.
fn tells_more(before: &Result<Sound, NoToken>, now: &Result<Sound, NoToken>) -> bool {
    match (before, now) {
        (Err(NoToken::Invalid(Invalid::Shape)), _) => false,
        (_, Err(_)) | (Err(NoToken::Several(_)), _) => true,
        (Ok(before), Ok(now)) => is_sigilums(&before.token) && !is_sigilums(&now.token),
        (Err(_), Ok(_)) => false,
    }
}

fn find(text: &str) -> Result<Sound, NoToken> {
    let mut found: Vec<Found> = Vec::new();
    for one in chains(text).iter().flat_map(|chain| all_in(chain)) {
        if found.iter().all(|known| known.token != one.token) {
            found.push(one);
        }
    }
    if found.iter().any(|one| one.fault.is_none()) {
        found.retain(|one| one.fault.is_none());
    }
    if found.iter().filter(|one| is_sigilums(&one.token)).count() == 1 {
        found.retain(|one| is_sigilums(&one.token));
    }
    if found.iter().all(|one| one.fault.is_some())
        && let Some((place, letter)) = foreign_letter(text)
    {
        return Err(NoToken::ForeignLetter(place, letter.into()));
    }
    let one = match found.len() {
        0 => return Err(what_it_is(text)),
        1 => found.remove(0),
        // Pieces of one or of several: what the first one lacks is what to say.
        _ if found.iter().all(|one| one.fault.is_some()) => found.remove(0),
        _ => {
            return Err(NoToken::Several(
                found.iter().map(|one| told(&one.token, text)).collect(),
            ));
        }
    };
    if let Some(fault) = one.fault.or_else(|| of_another_issuer(&one.token)) {
        return Err(match fault {
            _ if is_masked(text) => NoToken::Masked,
            NoToken::NoEnd if is_broken(&one.token, text) => NoToken::Broken,
            fault => fault,
        });
    }
    Ok(Sound {
        is_around: text.split_whitespace().collect::<String>() != one.token,
        token: one.token,
        pieces: one.pieces,
    })
}

/// Whether something that may be the rest of a token stands behind the part of it that was found.
fn is_broken(part: &str, text: &str) -> bool {
    const SHORTEST: usize = 16;
    let solid: String = text.split_whitespace().collect();
    let behind = solid.split_once(part).map_or("", |(_, behind)| behind);
    behind.split(|c| !pasted::in_token(c)).any(|run| {
        let has = |is: fn(&u8) -> bool| run.bytes().any(|byte| is(&byte));
        run.len() >= SHORTEST && has(u8::is_ascii_digit) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase)
    })
}

/// A letter of another alphabet between those of a token, and its place, the first letter being 1.
fn foreign_letter(text: &str) -> Option<(usize, char)> {
    let is_foreign = |c: &char| c.is_alphabetic() && !c.is_ascii();
    text.split(|c: char| !pasted::in_token(c) && !c.is_alphabetic())
        .find_map(|run| {
            let is_token = run.starts_with("ey") && run.matches('.').count() == 2;
            let (at, letter) = run.chars().enumerate().find(|(_, c)| is_foreign(c))?;
            is_token.then_some((at + 1, letter))
        })
}

fn claims_of(token: &str) -> Option<Map<String, Value>> {
    claims::members(token.split('.').nth(1)?)
}

/// Whether a token says that it is Sigilum's: by issuer and audience.
fn is_sigilums(token: &str) -> bool {
    let says = claims::inspect(&token.into());
    says.is_ok_and(|says| says.iss.as_deref() == Some(claims::ISSUER) && says.audience_ok)
}

/// What tells one of several tokens from the others: the member or variable that holds it, and its namespace or issuer.
fn told(token: &str, text: &str) -> String {
    let says = claims_of(token).unwrap_or_default();
    let claim = |name| Some(says.get(name)?.as_str()?.chars().take(80).collect::<String>());
    let of = match (claim("namespace"), claim("iss")) {
        (Some(namespace), _) => format!("for namespace {namespace}"),
        (None, Some(issuer)) => format!("of {issuer}"),
        (None, None) => "of an issuer that is not named".to_owned(),
    };
    let before = text.find(token).map_or("", |at| &text[..at]);
    let name = name_before(before).unwrap_or("one");
    text::plain(&format!("{name} {of}"))
}

/// `NAME` of `NAME=` or `"name": "` at the end of a text. A word without such a sign may be the end of another token.
fn name_before(text: &str) -> Option<&str> {
    const LONGEST: usize = 40;
    let around = ['"', '\'', ' ', '\\'];
    let name = text.trim_end_matches(around).strip_suffix(['=', ':'])?;
    let name = name.trim_end_matches(around);
    let begin = name
        .rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .map_or(0, |at| at + 1);
    // After one of these it would be the rest of something longer.
    let is_rest = name[..begin].ends_with(['-', '.']);
    Some(&name[begin..]).filter(|name| !name.is_empty() && name.len() <= LONGEST && !is_rest)
}

/// The runs of characters that a token may have. Those with nothing but white space between them are one chain: a token
/// that was broken into lines. A backslash at a line's end is a shell's way to break one.
fn chains(text: &str) -> Vec<Vec<&str>> {
    let (mut chains, mut rest) = (vec![Vec::new()], text);
    while let Some(start) = rest.find(pasted::in_token) {
        let between = &rest[..start];
        if !between.replace("\\\n", "").replace("\\\r\n", "").trim().is_empty() {
            chains.push(Vec::new());
        }
        rest = &rest[start..];
        let end = rest.find(|c| !pasted::in_token(c)).unwrap_or(rest.len());
        if let Some(chain) = chains.last_mut() {
            chain.push(&rest[..end]);
        }
        rest = &rest[end..];
    }
    chains
}

/// What looks like a token.
struct Found {
    /// Without white space.
    token: String,
    /// Of how many pieces it was put together.
    pieces: usize,
    /// Why it is none.
    fault: Option<NoToken>,
}

fn all_in(chain: &[&str]) -> Vec<Found> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < chain.len() {
        let one = begins(&chain[at..]);
        at += one.as_ref().map_or(1, |one| one.pieces);
        found.extend(one);
    }
    found
}

/// The token that begins with the first of these pieces, of as many as its signature has room for.
fn begins(pieces: &[&str]) -> Option<Found> {
    let (mut joined, mut best, mut header) = (String::new(), None, None);
    for (at, piece) in pieces.iter().enumerate() {
        joined.push_str(piece);
        // A JSON object in base64url: `{` and one of `"`, `}` and white space.
        let is_object = |text: &str| ["ey", "e3", "ew"].iter().any(|start| text.starts_with(start));
        if joined.len() > claims::MAX_BYTES || joined != "e" && !is_object(&joined) {
            return best;
        }
        let token = joined.trim_end_matches('.');
        let parts: Vec<&str> = token.split('.').collect();
        if header.is_none() && (joined.contains('.') || at + 1 == pieces.len()) {
            header = Some(claims::members(parts[0])?);
        }
        let Some(header) = &header else { continue };
        let found = |fault| {
            let token = token.to_owned();
            Some(Found {
                token,
                pieces: at + 1,
                fault,
            })
        };
        match parts[..] {
            // The claims of a token that lacks its header look like one.
            [first] | [first, _] if lacks_header(first) => best = found(Some(NoToken::NoBeginning)),
            [_, _] if claims::is_unsigned(header) => best = found(Some(Invalid::Unsigned.into())),
            // Any other JSON in base64.
            [_] if !header.contains_key("alg") => {}
            [_] | [_, _] => best = found(Some(NoToken::NoEnd)),
            [_, said, signature] if claims::members(said).is_some() => match signature_length(header) {
                Some(length) if signature.len() < length => best = found(Some(NoToken::NoEnd)),
                Some(length) if signature.len() > length => return best.or_else(|| found(Some(NoToken::LongEnd))),
                _ => return found(None),
            },
            [_, _, _, _] if header.contains_key("enc") => {}
            [_, _, _, _, _] if header.contains_key("enc") => return found(Some(NoToken::Encrypted)),
            [_, said, ..] if claims::members(said).is_some() => return best.or_else(|| found(Some(NoToken::LongEnd))),
            _ => return best,
        }
    }
    best
}

fn lacks_header(first: &str) -> bool {
    claims::members(first).is_some_and(|members| members.contains_key("exp") || members.contains_key("namespace"))
}

/// How many characters the signature has (RFC 7518 §3.1), where that depends on the algorithm alone.
fn signature_length(header: &Map<String, Value>) -> Option<usize> {
    match header.get("alg")?.as_str()? {
        "HS256" => Some(43),
        "HS384" => Some(64),
        "HS512" | "ES256" | "EdDSA" => Some(86),
        "ES384" => Some(128),
        _ => None,
    }
}

/// Whether a word of it, or all of it, is a secret with a part left out.
fn is_masked(text: &str) -> bool {
    let hides = |word: &str| {
        word.contains(['\u{2026}', '\u{2022}', '\u{25cf}']) || word.contains("***") || word.contains("...")
    };
    let is_alone = !text.contains(char::is_whitespace);
    text.split_whitespace()
        .any(|word| hides(word) && (is_alone || word.contains("ey")))
}

fn of_another_issuer(token: &str) -> Option<NoToken> {
    let says = claims_of(token)?;
    let issuer = says.get("iss")?.as_str().filter(|issuer| *issuer != claims::ISSUER)?;
    let shown = text::plain(issuer).chars().take(80).collect();
    (!says.contains_key("namespace")).then_some(NoToken::OtherIssuer(shown))
}

/// What a text is that holds no token.
fn what_it_is(text: &str) -> NoToken {
    let lower = text.get(..text.len().min(4096)).unwrap_or(text).to_ascii_lowercase();
    let begins = |starts: &[&str]| starts.iter().any(|start| lower.starts_with(start));
    if text.trim_matches(['"', '\'', ' ']).is_empty() {
        return Invalid::Empty.into();
    }
    if is_masked(text) {
        return NoToken::Masked;
    }
    if lower.contains("-----begin ") {
        return NoToken::Pem;
    }
    if lower.contains("<html") || lower.contains("<!doctype html") {
        return NoToken::Html;
    }
    if begins(&["http://", "https://"]) {
        return NoToken::Address;
    }
    let named = lower
        .split("jwt_secret")
        .nth(1)
        .map(|rest| rest.trim_start_matches(['"', '\'', ' ']));
    if named.is_some_and(|rest| rest.starts_with(['=', ':'])) {
        return NoToken::OtherSecret(SIGNING_SECRET);
    }
    if matches!(serde_json::from_str(text), Ok(Value::Object(_) | Value::Array(_))) {
        return NoToken::Json;
    }
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
    for word in words.filter(|word| word.len() >= 16) {
        let kinds = typed::BEGINNINGS.iter().chain([&REQUEST]);
        if let Some((_, what)) = kinds.into_iter().find(|(start, _)| word.starts_with(start)) {
            return NoToken::OtherSecret(what);
        }
    }
    if !text.contains(char::is_whitespace)
        && (begins(&["/", "./", "../", "~/"]) || [".jwt", ".txt", ".json"].iter().any(|end| lower.ends_with(end)))
    {
        return NoToken::Path;
    }
    if pasted::is_placeholder(text) {
        return NoToken::Placeholder;
    }
    match claims::inspect(&text.into()) {
        Err(Invalid::Header) if text.split('.').nth(1).and_then(claims::members).is_some() => NoToken::NoBeginning,
        Err(invalid) => invalid.into(),
        Ok(_) => Invalid::Shape.into(),
    }
}

#[cfg(test)]
mod tests;
