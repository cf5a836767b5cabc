//! How the text around a place is written, and new values written the same way.

use super::edit::Addition;
use super::lexer::LINE_BREAKS;
use super::scan::{Kind, Tree};
use serde_json::Value;

/// A new member goes on one line with its value up to this many characters, if its neighbours do, too.
const LINE: usize = 100;

/// How new members are written at one place.
pub(super) struct Style {
    /// The line break: LF, CR LF or CR.
    pub newline: &'static str,
    /// One step of indentation.
    unit: String,
    /// The quote of strings.
    pub quote: char,
    /// The quote of keys that need one.
    key_quote: char,
    /// Keys that are plain identifiers go without quotes.
    bare_keys: bool,
    /// What stands between key and value: a colon and the white space around it.
    colon: String,
    /// What stands between two members on one line: a comma, and a space or not.
    pub comma: &'static str,
    /// A space inside the brackets of a container on one line.
    pub pad: bool,
    /// Containers over several lines have a comma behind their last member.
    pub trailing: bool,
    /// Arrays go on one line.
    flat_arrays: bool,
    /// So do the values of new members: the nearest neighbour that is a container does.
    flat: bool,
}

impl Style {
    /// The defaults: what `JSON.stringify(value, null, 2)` writes.
    pub fn plain(newline: &'static str) -> Self {
        Self {
            newline,
            unit: "  ".to_owned(),
            quote: '"',
            key_quote: '"',
            bare_keys: false,
            colon: ": ".to_owned(),
            comma: ", ",
            pad: true,
            trailing: false,
            flat_arrays: false,
            flat: false,
        }
    }

    /// The style of the text around the inside of `container`; `ancestors` lead to it, the outermost first.
    pub fn around(text: &str, tree: &Tree, ancestors: &[usize], container: usize) -> Self {
        let near = Near {
            text,
            tree,
            ancestors,
            container,
        };
        let plain = Self::plain(newline_near(text, tree.nodes[container].value.start));
        let string = near.find(|node| near.string_quote(node));
        let key = near.find(|node| near.key_quote(node));
        let quote = string.or(key).unwrap_or('"');
        let colon = near.find(|node| near.colon(node)).unwrap_or(plain.colon);
        let spaced = near
            .find(|node| near.gap_after_comma(node))
            .unwrap_or(colon.ends_with(' '));
        Self {
            quote,
            key_quote: key.unwrap_or(quote),
            bare_keys: near.find(|node| near.bare_key(node)).unwrap_or(false),
            comma: if spaced { ", " } else { "," },
            pad: near.find(|node| near.padded(node)).unwrap_or(false),
            trailing: near.find_container(|node| near.trailing(node)).unwrap_or(false),
            flat_arrays: near.find(|node| near.flat_array(node)).unwrap_or(false),
            flat: tree
                .children(container)
                .filter_map(|child| near.flat(child))
                .last()
                .unwrap_or(false),
            unit: near.unit().unwrap_or(plain.unit),
            colon,
            ..plain
        }
    }

    /// One step further in than `indent`.
    pub fn deeper(&self, indent: &str) -> String {
        format!("{indent}{}", self.unit)
    }

    /// A member or element. On lines of its own `indent` is the indentation of the line that it begins on; `None` keeps
    /// everything on one line.
    pub fn item(&self, item: Addition, indent: Option<&str>) -> String {
        if let Some(indent) = indent
            && self.flat
        {
            let line = self.member(item, None);
            if fits(indent, &line) {
                return line;
            }
        }
        self.member(item, indent)
    }

    /// Several items with commas between them: each begins a line that is indented by `indent`, or all go on one line.
    pub fn items(&self, items: &[Addition], indent: Option<&str>) -> String {
        self.joined(items.iter().map(|&item| self.item(item, indent)), indent)
    }

    fn joined(&self, items: impl Iterator<Item = String>, indent: Option<&str>) -> String {
        let items: Vec<_> = items.collect();
        let Some(indent) = indent else {
            return items.join(self.comma);
        };
        let separator = format!(",{}{indent}", self.newline);
        format!("{}{}", &separator[1..], items.join(&separator))
    }

    fn member(&self, (key, value): Addition, indent: Option<&str>) -> String {
        let value = self.value(value, indent);
        match key {
            Some(key) if self.bare_keys && is_plain(key) => format!("{key}{}{value}", self.colon),
            Some(key) => format!("{}{}{value}", quoted(key, self.key_quote), self.colon),
            None => value,
        }
    }

    fn value(&self, value: &Value, indent: Option<&str>) -> String {
        match value {
            Value::String(string) => quoted(string, self.quote),
            Value::Object(members) => {
                let items = members.iter().map(|(key, value)| (Some(key.as_str()), value));
                self.container(["{", "}"], &items.collect::<Vec<_>>(), indent)
            }
            Value::Array(elements) => {
                let items: Vec<Addition> = elements.iter().map(|value| (None, value)).collect();
                let line = indent.filter(|_| self.flat_arrays).and_then(|indent| {
                    let line = self.container(["[", "]"], &items, None);
                    fits(indent, &line).then_some(line)
                });
                line.unwrap_or_else(|| self.container(["[", "]"], &items, indent))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        }
    }

    fn container(&self, [open, close]: [&str; 2], items: &[Addition], indent: Option<&str>) -> String {
        if items.is_empty() {
            return format!("{open}{close}");
        }
        let inner = indent.map(|indent| self.deeper(indent));
        let inner = inner.as_deref();
        let items = self.joined(items.iter().map(|&item| self.member(item, inner)), inner);
        let comma = if self.trailing { "," } else { "" };
        let pad = if self.pad && open == "{" { " " } else { "" };
        match indent {
            Some(indent) => format!("{open}{items}{comma}{}{indent}{close}", self.newline),
            None => format!("{open}{pad}{items}{pad}{close}"),
        }
    }
}

/// Whether a line is short enough for a value that could also go on several.
fn fits(indent: &str, line: &str) -> bool {
    indent.chars().count() + line.chars().count() <= LINE
}

/// A key that needs no quotes. (JSON5 allows more letters than these.)
fn is_plain(key: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    key.starts_with(|c: char| plain(c) && !c.is_ascii_digit()) && key.chars().all(plain)
}

/// A string literal. In double quotes it is JSON, too.
fn quoted(string: &str, quote: char) -> String {
    let mut out = String::from(quote);
    for c in string.chars() {
        match c {
            '\n' => out += "\\n",
            '\r' => out += "\\r",
            '\t' => out += "\\t",
            '\u{0}'..='\u{1F}' | '\u{7F}'..='\u{9F}' | '\u{2028}' | '\u{2029}' | '\u{FEFF}' => {
                out += &format!("\\u{:04x}", c as u32);
            }
            _ if c == quote || c == '\\' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// The line break that ends the line before `at`, or else the first one of the text.
pub(super) fn newline_near(text: &str, at: usize) -> &'static str {
    let breaks = |c: char| c == '\n' || c == '\r';
    match text[..at].rfind(breaks).or_else(|| text.find(breaks)) {
        Some(end) if text[..=end].ends_with("\r\n") || text[end..].starts_with("\r\n") => "\r\n",
        Some(end) if text[end..].starts_with('\r') => "\r",
        _ => "\n",
    }
}

/// The indentation of the line that `at` stands in, and whether nothing else stands before it there.
pub(super) fn indent_at(text: &str, at: usize) -> (&str, bool) {
    let before = text[..at].rsplit(LINE_BREAKS).next().unwrap_or_default();
    let width = before.find(|c: char| c != ' ' && c != '\t').unwrap_or(before.len());
    (&before[..width], width == before.len())
}

/// Looks for an example of a style, from the nearest neighbours outwards.
struct Near<'a> {
    text: &'a str,
    tree: &'a Tree,
    ancestors: &'a [usize],
    container: usize,
}

impl Near<'_> {
    /// What the nearest node that shows it shows: the members of the container, from the last; the container itself and
    /// its neighbours; those of its ancestors; then whatever the text has.
    fn find<T>(&self, shown: impl Fn(usize) -> Option<T>) -> Option<T> {
        self.containers()
            .find_map(|container| self.tree.children(container).filter_map(&shown).last())
            .or_else(|| self.tree.all().find_map(&shown))
    }

    /// The same for what only a container can show.
    fn find_container<T>(&self, shown: impl Fn(usize) -> Option<T>) -> Option<T> {
        self.containers()
            .find_map(&shown)
            .or_else(|| self.tree.all().find_map(&shown))
    }

    fn containers(&self) -> impl Iterator<Item = usize> + '_ {
        std::iter::once(self.container).chain(self.ancestors.iter().rev().copied())
    }

    fn text_of(&self, node: usize) -> &str {
        self.tree.nodes[node].value.of(self.text)
    }

    fn string_quote(&self, node: usize) -> Option<char> {
        let string = self.tree.nodes[node].kind == Kind::String;
        string.then(|| self.text_of(node).chars().next()).flatten()
    }

    fn key_quote(&self, node: usize) -> Option<char> {
        let key = self.tree.nodes[node].key?;
        self.text[key.start..].chars().next().filter(|&c| c == '"' || c == '\'')
    }

    /// Whether a key goes without quotes; one that needs them shows nothing.
    fn bare_key(&self, node: usize) -> Option<bool> {
        let key = self.tree.nodes[node].key?;
        if self.key_quote(node).is_none() {
            return Some(true);
        }
        is_plain(&self.text[key.start + 1..key.end - 1]).then_some(false)
    }

    fn colon(&self, node: usize) -> Option<String> {
        let node = &self.tree.nodes[node];
        let between = &self.text[node.key?.end..node.value.start];
        let plain = between.chars().all(|c| " \t:".contains(c));
        plain.then(|| between.to_owned())
    }

    /// Whether a space stands between the comma behind this node and what follows on the same line.
    fn gap_after_comma(&self, node: usize) -> Option<bool> {
        let rest = &self.text[self.tree.nodes[node].comma? + 1..];
        match rest.chars().next()? {
            ' ' => rest
                .trim_start_matches(' ')
                .starts_with(|c: char| !c.is_whitespace() && !"/}]".contains(c))
                .then_some(true),
            c if c.is_whitespace() || "/}]".contains(c) => None,
            _ => Some(false),
        }
    }

    /// Whether an object on one line has spaces inside its brackets.
    fn padded(&self, node: usize) -> Option<bool> {
        let flat = self.tree.nodes[node].kind == Kind::Object && self.flat(node)?;
        flat.then(|| self.text_of(node).starts_with("{ "))
    }

    fn flat_array(&self, node: usize) -> Option<bool> {
        let array = self.tree.nodes[node].kind == Kind::Array;
        array.then(|| self.flat(node)).flatten()
    }

    /// Whether a container that is not empty goes on on the line that it begins on.
    fn flat(&self, node: usize) -> Option<bool> {
        let first = self.tree.children(node).next()?;
        Some(!self.text[self.tree.nodes[node].value.start..self.tree.nodes[first].start()].contains(LINE_BREAKS))
    }

    /// Whether a container over several lines has a comma behind its last member.
    fn trailing(&self, node: usize) -> Option<bool> {
        let last = self.tree.children(node).last()?;
        (!self.flat(node)?).then(|| self.tree.nodes[last].comma.is_some())
    }

    /// The step from a line to the members below it: here, else of the nearest container that shows one.
    fn unit(&self) -> Option<String> {
        self.find_container(|container| {
            // Looking back for the beginning of its line is for those that end one.
            if self.flat(container)? {
                return None;
            }
            let first = self.tree.children(container).next()?;
            let [outer, inner] = [container, first].map(|node| indent_at(self.text, self.tree.nodes[node].start()));
            let step = inner.0.strip_prefix(outer.0)?;
            (inner.1 && !step.is_empty()).then(|| step.to_owned())
        })
    }
}
