//! The first parser: where every member, value, comma and comment of a JSON5 text stands.
//!
//! It follows <https://spec.json5.org> to the letter (escaped identifiers, comments between any two tokens, U+2028 as
//! the end of a line comment), keeps its own stack, and builds one flat list of nodes: no text nests too deep for it,
//! and its cost is linear. Values are none of its business: those come from the `json5` crate, the second parser.

use super::error::Error;
use super::lexer::Lexer;

/// How many objects and arrays may stand inside one another; the outermost is the first.
pub const MAX_DEPTH: usize = 512;

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

/// A member, an element, or the outermost value.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// A member's key with its quotes.
    pub key: Option<Span>,
    /// The value, from its first byte to behind its last.
    pub value: Span,
    pub kind: Kind,
    /// Where the comma behind it stands.
    pub comma: Option<usize>,
    /// The index after the last node inside this one: of the next sibling, if there is one.
    after: usize,
}

/// The text as a flat tree: parents before children, in the order of the text.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    pub nodes: Vec<Node>,
    comments: Vec<Span>,
    /// How many containers stand inside one another at the deepest place.
    pub depth: usize,
    /// Where halves of surrogate pairs are escaped alone, in strings.
    pub halves: Vec<usize>,
    /// Where the block of characters begins that they are read as.
    pub stand_ins: u32,
}

impl Span {
    pub fn of(self, text: &str) -> &str {
        &text[self.start..self.end]
    }
}

impl Node {
    /// Where the member or element begins: its key, or its value where it has none.
    pub fn start(&self) -> usize {
        self.key.unwrap_or(self.value).start
    }

    /// Where it ends, with its comma if it has one.
    pub fn end(&self) -> usize {
        self.comma.map_or(self.value.end, |comma| comma + 1)
    }
}

impl Tree {
    /// The outermost value.
    pub const ROOT: usize = 0;

    /// The members or elements directly inside `node`.
    pub fn children(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        let after = self.nodes[node].after;
        let mut next = node + 1;
        std::iter::from_fn(move || {
            let child = (next < after).then_some(next)?;
            next = self.nodes[child].after;
            Some(child)
        })
    }

    /// Every node of the text, in its order.
    pub fn all(&self) -> std::ops::Range<usize> {
        0..self.nodes.len()
    }

    /// Whether it is an empty object or array, without a comment.
    pub fn is_bare(&self) -> bool {
        let container = matches!(self.nodes[Self::ROOT].kind, Kind::Object | Kind::Array);
        container && self.nodes.len() == 1 && self.comments.is_empty()
    }

    /// The comments that begin between two places.
    pub fn comments(&self, start: usize, end: usize) -> &[Span] {
        let before = |at: usize| self.comments.partition_point(|comment| comment.start < at);
        &self.comments[before(start)..before(end)]
    }
}

/// Parses a text that holds one value.
pub(super) fn scan(text: &str) -> Result<Tree, Error> {
    let mut scanner = Scanner {
        lexer: Lexer::new(text),
        tree: Tree::default(),
        open: Vec::new(),
        key: None,
        ended: None,
    };
    scanner.tree.nodes.reserve(text.len() / 24 + 1);
    scanner.lexer.skip_trivia()?;
    scanner.value()?;
    while scanner.go_to_next_value()? {
        scanner.value()?;
    }
    let Scanner { lexer, mut tree, .. } = scanner;
    (tree.comments, tree.halves) = (lexer.comments, lexer.halves);
    Ok(tree)
}

/// A text half read.
struct Scanner<'a> {
    lexer: Lexer<'a>,
    tree: Tree,
    /// The containers that are not closed yet, the outermost first.
    open: Vec<usize>,
    /// The key of the value that comes next.
    key: Option<Span>,
    /// The value that has just ended, as long as no comma was read behind it.
    ended: Option<usize>,
}

impl Scanner<'_> {
    /// Moves behind a scalar, or into a container.
    fn value(&mut self) -> Result<(), Error> {
        let node = self.tree.nodes.len();
        let start = self.lexer.at;
        let kind = self.lexer.value()?;
        let end = self.lexer.at;
        self.tree.nodes.push(Node {
            key: self.key.take(),
            value: Span { start, end },
            kind,
            comma: None,
            after: node + 1,
        });
        if !matches!(kind, Kind::Object | Kind::Array) {
            self.ended = Some(node);
        } else if self.open.len() == MAX_DEPTH {
            return self.lexer.fault_at(start, "nested deeper than 512 levels");
        } else {
            self.open.push(node);
            self.tree.depth = self.tree.depth.max(self.open.len());
        }
        Ok(())
    }

    /// Moves over commas, closing brackets and a key to the next value; `false` at the end of the text.
    fn go_to_next_value(&mut self) -> Result<bool, Error> {
        loop {
            self.lexer.skip_trivia()?;
            let next = self.lexer.peek();
            let Some(&container) = self.open.last() else {
                return match next {
                    None => Ok(false),
                    Some(_) => self.lexer.fault("nothing more was expected after the end of the value"),
                };
            };
            let object = self.tree.nodes[container].kind == Kind::Object;
            if next == Some(if object { b'}' } else { b']' }) {
                self.lexer.at += 1;
                self.tree.nodes[container].value.end = self.lexer.at;
                self.tree.nodes[container].after = self.tree.nodes.len();
                self.ended = self.open.pop();
            } else if let Some(ended) = self.ended.take() {
                if next != Some(b',') {
                    return self.lexer.fault(match (next.is_some(), object) {
                        (false, true) => "the file ends where a comma or } was expected",
                        (false, false) => "the file ends where a comma or ] was expected",
                        (true, true) => "expected a comma or }",
                        (true, false) => "expected a comma or ]",
                    });
                }
                self.tree.nodes[ended].comma = Some(self.lexer.at);
                self.lexer.at += 1;
            } else {
                if object {
                    self.key = Some(self.lexer.key()?);
                }
                return Ok(true);
            }
        }
    }
}
