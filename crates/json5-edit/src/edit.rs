//! From the old value and the wanted one to the splices that turn the one's text into the other's.

use super::Splice;
use super::read::key_name;
use super::scan::{Kind, Span, Tree};
use super::style::{Style, indent_at, newline_near};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// A member that is to be written: its key (none in an array) and value.
pub(super) type Addition<'a> = (Option<&'a str>, &'a Value);

/// An edit in the making.
pub(super) struct Edit<'a> {
    pub text: &'a str,
    pub tree: &'a Tree,
    splices: Vec<Splice>,
    /// The containers that lead to the place in hand, the outermost first.
    ancestors: Vec<usize>,
}

/// The new text, and what differs from the old one.
pub(super) fn edit(text: &str, tree: Option<&Tree>, old: &Value, wanted: &Value) -> (String, Vec<Splice>) {
    let splices = if let Some(tree) = tree {
        let mut edit = Edit {
            text,
            tree,
            splices: Vec::new(),
            ancestors: Vec::new(),
        };
        edit.value(Tree::ROOT, old, wanted);
        edit.splices
    } else if old != wanted {
        let style = Style::plain(newline_near(text, 0));
        vec![Splice {
            offset: 0,
            removed: text.to_owned(),
            inserted: style.item((None, wanted), Some("")) + style.newline,
        }]
    } else {
        Vec::new()
    };
    apply(text, splices)
}

/// Puts the splices into the text and joins those that touch.
fn apply(text: &str, mut splices: Vec<Splice>) -> (String, Vec<Splice>) {
    // Stable: of two insertions at one place the one that was made first stands first.
    splices.sort_by_key(|splice| (splice.offset, splice.removed.len()));
    let mut new = String::with_capacity(text.len());
    let mut joined: Vec<Splice> = Vec::new();
    let mut done = 0;
    for splice in splices {
        new += &text[done..splice.offset];
        new += &splice.inserted;
        let touches = done == splice.offset;
        done = splice.offset + splice.removed.len();
        match joined.last_mut() {
            Some(last) if touches => {
                last.removed += &splice.removed;
                last.inserted += &splice.inserted;
            }
            _ => joined.push(splice),
        }
    }
    new += &text[done..];
    (new, joined)
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

    /// Edits an item that stays, or what is inside it.
    fn child(&mut self, container: usize, child: usize, old: &Value, new: &Value) {
        self.ancestors.push(container);
        self.value(child, old, new);
        self.ancestors.pop();
    }

    fn object(&mut self, node: usize, old: &Map<String, Value>, new: &Map<String, Value>) {
        let tree = self.tree;
        let mut gone = HashSet::new();
        let mut last = HashMap::new();
        let doubled = tree.children(node).count() > old.len();
        if doubled {
            // Of a key that stands twice the last value counts, so that is the one to change; all of them go.
            for child in tree.children(node) {
                let key = self.key(child);
                if !new.contains_key(&key) {
                    gone.insert(child);
                }
                last.insert(key, child);
            }
        }
        let mut kept = 0;
        // Where no key stands twice, the value's members are the text's, in the same order.
        for (child, (key, old)) in tree.children(node).zip(old) {
            let child = if doubled { last[key] } else { child };
            if let Some(new) = new.get(key) {
                kept += 1;
                self.child(node, child, old, new);
            } else {
                gone.insert(child);
            }
        }
        let mut added: Vec<Addition> = Vec::new();
        if new.len() > kept {
            let absent = new.iter().filter(|(key, _)| !old.contains_key(*key));
            added.extend(absent.map(|(key, value)| (Some(key.as_str()), value)));
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
            self.child(node, children[index], &old[index], &new[index]);
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

    fn key(&self, node: usize) -> String {
        self.tree.nodes[node]
            .key
            .map_or_else(String::new, |key| key_name(self.text, self.tree, key).into_owned())
    }

    /// The style of new members inside `container`.
    pub fn style(&self, container: usize) -> Style {
        Style::around(self.text, self.tree, &self.ancestors, container)
    }

    pub fn splice(&mut self, start: usize, end: usize, inserted: impl Into<String>) {
        let inserted = inserted.into();
        if start != end || !inserted.is_empty() {
            self.splices.push(Splice {
                offset: start,
                removed: self.text[start..end].to_owned(),
                inserted,
            });
        }
    }

    /// Writes another value in the place of one. The comments inside the old one stay, before the new one.
    fn replace(&mut self, node: usize, new: &Value) {
        let Span { start, end } = self.tree.nodes[node].value;
        let (indent, own_line) = indent_at(self.text, self.tree.nodes[node].start());
        let container = self.ancestors.last().copied().unwrap_or(Tree::ROOT);
        let mut style = self.style(container);
        if self.tree.nodes[node].kind == Kind::String {
            style.quote = char::from(self.text.as_bytes()[start]);
        }
        let mut text = String::new();
        for span in self.tree.comments(start, end) {
            let comment = span.of(self.text);
            text += comment;
            text += &if comment.starts_with("//") {
                format!("{}{indent}", style.newline)
            } else {
                " ".to_owned()
            };
        }
        text += &style.item((None, new), own_line.then_some(indent));
        self.splice(start, end, text);
    }
}
