//! From the old value and the wanted one to the splices that turn the one's text into the other's.

use std::collections::{HashMap, HashSet};

use json_patch::{Patch, PatchOperation};
use serde_json::{Map, Value};

use super::lexer::Lexer;
use super::scan::{Kind, Span, Tree};
use super::style::{Style, indent_at, newline_near, scalar_like};
use super::{Splice, decode_key};

/// One replaced range of the old text.
struct Cut {
    span: Span,
    text: String,
}

/// A member that is to be written: its key (none in an array) and value.
pub(super) type Addition<'a> = (Option<&'a str>, &'a Value);

/// An edit in the making.
pub(super) struct Edit<'a> {
    pub text: &'a str,
    pub tree: &'a Tree,
    patch: &'a Patch,
    cuts: Vec<Cut>,
    /// The containers that lead to the place in hand, the outermost first, and the keys or indices that lead to it.
    ancestors: Vec<usize>,
    path: Vec<String>,
}

/// The new text, and what differs from the old one. `patch` is only asked for the order in which members were added.
pub(super) fn edit(
    text: &str,
    tree: Option<&Tree>,
    old: &Value,
    wanted: &Value,
    patch: &Patch,
) -> (String, Vec<Splice>) {
    let mut cuts = Vec::new();
    if let Some(tree) = tree {
        let mut edit = Edit {
            text,
            tree,
            patch,
            cuts,
            ancestors: Vec::new(),
            path: Vec::new(),
        };
        edit.value(Tree::ROOT, old, wanted);
        cuts = edit.cuts;
    } else if old != wanted {
        let style = Style::plain(newline_near(text, 0));
        cuts.push(Cut {
            span: Span {
                start: 0,
                end: text.len(),
            },
            text: style.item(None, wanted, Some("")) + style.newline,
        });
    }
    apply(text, cuts)
}

/// Puts the cuts into the text and joins those that touch.
fn apply(text: &str, mut cuts: Vec<Cut>) -> (String, Vec<Splice>) {
    // Stable: of two insertions at one place the one that was made first stands first.
    cuts.sort_by_key(|cut| (cut.span.start, cut.span.end));
    let mut new = String::with_capacity(text.len() + cuts.iter().map(|cut| cut.text.len()).sum::<usize>());
    let mut splices: Vec<Splice> = Vec::new();
    let mut done = 0;
    for cut in cuts {
        new.push_str(&text[done..cut.span.start]);
        new.push_str(&cut.text);
        let removed = &text[cut.span.start..cut.span.end];
        match splices.last_mut() {
            Some(last) if done == cut.span.start => {
                last.removed.push_str(removed);
                last.inserted.push_str(&cut.text);
            }
            _ => splices.push(Splice {
                offset: cut.span.start,
                removed: removed.to_owned(),
                inserted: cut.text,
            }),
        }
        done = cut.span.end;
    }
    new.push_str(&text[done..]);
    (new, splices)
}

impl<'a> Edit<'a> {
    fn value(&mut self, node: usize, old: &Value, new: &Value) {
        match (old, new) {
            (Value::Object(old), Value::Object(new)) => self.object(node, old, new),
            (Value::Array(old), Value::Array(new)) => self.array(node, old, new),
            _ if old != new => self.replace(node, new),
            _ => {}
        }
    }

    /// Edits what is inside an item that stays.
    fn child(&mut self, container: usize, child: usize, key: &str, old: &Value, new: &Value) {
        let inside = (old.is_object() && new.is_object()) || (old.is_array() && new.is_array());
        if !inside && old == new {
            // Most of a config: no need to know the way to it.
            return;
        }
        self.ancestors.push(container);
        self.path.push(key.to_owned());
        self.value(child, old, new);
        self.path.pop();
        self.ancestors.pop();
    }

    fn object(&mut self, node: usize, old: &Map<String, Value>, new: &Map<String, Value>) {
        let tree = self.tree;
        let mut kept = 0;
        let mut gone = HashSet::new();
        if tree.children(node).count() == old.len() {
            // No key stands twice, so the value's members are the text's, in the same order.
            for (child, (key, old)) in tree.children(node).zip(old) {
                if let Some(new) = new.get(key) {
                    kept += 1;
                    self.child(node, child, key, old, new);
                } else {
                    gone.insert(child);
                }
            }
        } else {
            // Of a key that stands twice the last value counts, so that is the one to change; all of them go.
            let mut last = HashMap::new();
            for child in tree.children(node) {
                let key = self.key(child);
                if !new.contains_key(&key) {
                    gone.insert(child);
                }
                last.insert(key, child);
            }
            for (key, old) in old {
                if let (Some(new), Some(&child)) = (new.get(key), last.get(key)) {
                    kept += 1;
                    self.child(node, child, key, old, new);
                }
            }
        }
        let mut added: Vec<Addition> = Vec::new();
        if new.len() > kept {
            let absent = new.iter().filter(|(key, _)| !old.contains_key(*key));
            added.extend(absent.map(|(key, value)| (Some(key.as_str()), value)));
            added.sort_by_cached_key(|(key, _)| self.rank(key.unwrap_or_default()));
        }
        if !gone.is_empty() || !added.is_empty() {
            let children: Vec<_> = tree.children(node).collect();
            let gone: Vec<bool> = children.iter().map(|child| gone.contains(child)).collect();
            self.reshape(node, &children, &gone, &added);
        }
    }

    fn array(&mut self, node: usize, old: &[Value], new: &[Value]) {
        let children: Vec<_> = self.tree.children(node).collect();
        let mut head = 0;
        let mut tail = 0;
        if old.len() != new.len() {
            // What is gone or new stands between what both begin and both end with.
            let shorter = old.len().min(new.len());
            head = old.iter().zip(new).take_while(|(old, new)| old == new).count();
            tail = old
                .iter()
                .rev()
                .zip(new.iter().rev())
                .take(shorter - head)
                .take_while(|(old, new)| old == new)
                .count();
        }
        let (old_end, new_end) = (old.len() - tail, new.len() - tail);
        let both = head..old_end.min(new_end);
        for index in both.clone() {
            self.child(node, children[index], &index.to_string(), &old[index], &new[index]);
        }
        if old_end > both.end {
            let gone: Vec<_> = (0..children.len())
                .map(|index| (both.end..old_end).contains(&index))
                .collect();
            self.reshape(node, &children, &gone, &[]);
        } else if new_end > both.end {
            let added: Vec<Addition> = new[both.end..new_end].iter().map(|value| (None, value)).collect();
            match children.get(both.end) {
                Some(&next) => self.insert_before(node, next, &added),
                None => self.reshape(node, &children, &vec![false; children.len()], &added),
            }
        }
    }

    /// When the member `key` of the object in hand was added: the place of its operation in the patch.
    fn rank(&self, key: &str) -> usize {
        let at_path = |operation: &PatchOperation| {
            let path = operation.path();
            path.count() == self.path.len() + 1
                && path
                    .tokens()
                    .zip(self.path.iter().map(String::as_str).chain([key]))
                    .all(|(token, key)| token.decoded() == key)
        };
        self.patch.iter().position(at_path).unwrap_or(usize::MAX)
    }

    fn key(&self, node: usize) -> String {
        self.tree.key(node).map_or_else(String::new, |key| {
            decode_key(&self.text[key.start..key.end]).into_owned()
        })
    }

    /// The style of new members inside `container`.
    pub fn style(&self, container: usize) -> Style {
        Style::around(self.text, self.tree, &self.ancestors, container)
    }

    pub fn cut(&mut self, start: usize, end: usize, text: impl Into<String>) {
        let text = text.into();
        if start != end || !text.is_empty() {
            self.cuts.push(Cut {
                span: Span { start, end },
                text,
            });
        }
    }

    /// Writes another value in the place of one. The comments inside the old one stay, before the new one.
    fn replace(&mut self, node: usize, new: &Value) {
        let Span { start, end } = self.tree.value(node);
        let (indent, own_line) = indent_at(self.text, self.tree.start(node));
        let container = self.ancestors.last().copied().unwrap_or(Tree::ROOT);
        let mut style = self.style(container);
        if self.tree.kind(node) == Kind::String {
            scalar_like(&self.text[start..end], &mut style);
        }
        let mut text = String::new();
        for span in Lexer::new(self.text, start).comments(end) {
            let comment = &self.text[span.start..span.end];
            text += comment;
            text += &if comment.starts_with("//") {
                format!("{}{indent}", style.newline)
            } else {
                " ".to_owned()
            };
        }
        text += &style.item(None, new, own_line.then_some(indent));
        self.cut(start, end, text);
    }
}
