//! The first parser: where every member, value, comma and comment of a JSON5 text stands.
//!
//! It follows <https://spec.json5.org> to the letter (escaped identifiers, comments between any two tokens, U+2028 as
//! the end of a line comment), keeps its own stack, and builds one flat list of nodes: no text nests too deep for it,
//! and its cost is linear. Values are none of its business: those come from the `json5` crate, the second parser.

use super::lexer::Lexer;

/// Containers inside one another; the outermost object is the first.
pub(super) const MAX_DEPTH: usize = 512;

/// Stands for "no such position" in [`Node::comma`].
const NONE: u32 = u32::MAX;

/// A range of byte offsets into the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub start: usize,
    pub end: usize,
}

/// What a value is, as far as an edit needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    String,
    /// A number, `true`, `false` or `null`.
    Other,
}

/// One value, with the key and the comma that belong to it. Offsets are 32 bits wide: a text has at most 4 MiB.
#[derive(Debug)]
struct Node {
    key_start: u32,
    key_end: u32,
    start: u32,
    end: u32,
    comma: u32,
    /// The index after the last node inside this one: of the next sibling, if there is one.
    after: u32,
    kind: Kind,
}

/// The text as a flat tree: parents before children, in the order of the text.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// How many containers stand inside one another at the deepest place.
    pub depth: usize,
}

/// A syntax error: the byte offset and what was expected there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub offset: usize,
    pub reason: &'static str,
}

impl Tree {
    /// The outermost value.
    pub const ROOT: usize = 0;

    /// What kind of value `node` is.
    pub fn kind(&self, node: usize) -> Kind {
        self.nodes[node].kind
    }

    /// The value, from its first byte to behind its last.
    pub fn value(&self, node: usize) -> Span {
        let node = &self.nodes[node];
        Span {
            start: node.start as usize,
            end: node.end as usize,
        }
    }

    /// The key with its quotes, for a member of an object.
    pub fn key(&self, node: usize) -> Option<Span> {
        let node = &self.nodes[node];
        (node.key_end > node.key_start).then_some(Span {
            start: node.key_start as usize,
            end: node.key_end as usize,
        })
    }

    /// Where the member or element begins: its key, or its value where it has none.
    pub fn start(&self, node: usize) -> usize {
        self.key(node).map_or(self.nodes[node].start as usize, |key| key.start)
    }

    /// The comma that follows the member or element.
    pub fn comma(&self, node: usize) -> Option<usize> {
        let comma = self.nodes[node].comma;
        (comma != NONE).then_some(comma as usize)
    }

    /// The members or elements directly inside `node`.
    pub fn children(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        let after = self.nodes[node].after as usize;
        let mut next = node + 1;
        std::iter::from_fn(move || {
            let child = (next < after).then_some(next)?;
            next = self.nodes[child].after as usize;
            Some(child)
        })
    }

    /// Every node of the text, in its order.
    pub fn all(&self) -> std::ops::Range<usize> {
        0..self.nodes.len()
    }
}

/// Parses `text`, which must be less than 4 GiB long and hold one value.
pub(super) fn scan(text: &str) -> Result<Tree, Fault> {
    let mut lexer = Lexer::new(text, 0);
    let mut tree = Tree {
        nodes: Vec::with_capacity(text.len() / 24 + 1),
        depth: 0,
    };
    let mut open: Vec<usize> = Vec::new();
    let mut key = Span { start: 0, end: 0 };
    lexer.skip_trivia()?;
    loop {
        // Here a value must stand.
        let node = tree.nodes.len();
        let start = lexer.at;
        let kind = lexer.value()?;
        tree.nodes.push(Node {
            key_start: key.start as u32,
            key_end: key.end as u32,
            start: start as u32,
            end: lexer.at as u32,
            comma: NONE,
            after: node as u32 + 1,
            kind,
        });
        if matches!(kind, Kind::Object | Kind::Array) {
            if open.len() == MAX_DEPTH {
                return Err(Fault {
                    offset: start,
                    reason: "nested deeper than 512 levels",
                });
            }
            open.push(node);
            tree.depth = tree.depth.max(open.len());
        }
        let mut after_value = !matches!(kind, Kind::Object | Kind::Array);
        let mut last = node;
        // Behind a value or an opening bracket: commas and closing brackets, until the next value or the end.
        loop {
            lexer.skip_trivia()?;
            let Some(&container) = open.last() else {
                return match lexer.peek() {
                    None => Ok(tree),
                    Some(_) => Err(lexer.fault("nothing more was expected after the end of the value")),
                };
            };
            let object = tree.nodes[container].kind == Kind::Object;
            let next = lexer.peek();
            if next == Some(if object { b'}' } else { b']' }) {
                lexer.at += 1;
                tree.nodes[container].end = lexer.at as u32;
                tree.nodes[container].after = tree.nodes.len() as u32;
                open.pop();
                last = container;
                after_value = true;
                continue;
            }
            if after_value {
                if next != Some(b',') {
                    return Err(lexer.fault(match (next.is_some(), object) {
                        (false, true) => "the file ends where a comma or } was expected",
                        (false, false) => "the file ends where a comma or ] was expected",
                        (true, true) => "expected a comma or }",
                        (true, false) => "expected a comma or ]",
                    }));
                }
                tree.nodes[last].comma = lexer.at as u32;
                lexer.at += 1;
                after_value = false;
                continue;
            }
            if object {
                key = lexer.key()?;
                lexer.skip_trivia()?;
                if lexer.peek() != Some(b':') {
                    return Err(lexer.fault("expected a colon after the key"));
                }
                lexer.at += 1;
                lexer.skip_trivia()?;
            } else {
                key = Span { start: 0, end: 0 };
            }
            break;
        }
    }
}
