//! From the old value and the wanted one to the splices that turn the one's text into the other's.

use std::collections::{HashMap, HashSet};

use json_patch::{Patch, PatchOperation};
use serde_json::{Map, Value};

use super::scan::{Kind, LINE_BREAKS, Lexer, Span, Tree};
use super::style::{Style, indent_at, newline_near, scalar_like};
use super::{Splice, decode_key};

/// One replaced range of the old text.
struct Cut {
    span: Span,
    text: String,
}

/// A member that is to be written: its key (none in an array) and value.
type Addition<'a> = (Option<&'a str>, &'a Value);

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
        if matches!(
            (old, new),
            (Value::Object(_), Value::Object(_)) | (Value::Array(_), Value::Array(_))
        ) || old != new
        {
            self.ancestors.push(container);
            self.path.push(key.to_owned());
            self.value(child, old, new);
            self.path.pop();
            self.ancestors.pop();
        }
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
            added.sort_by_key(|(key, _)| self.rank(key.unwrap_or_default()));
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
    fn style(&self, container: usize) -> Style {
        Style::around(self.text, self.tree, &self.ancestors, container)
    }

    fn cut(&mut self, start: usize, end: usize, text: impl Into<String>) {
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

    /// New elements before an element that stays.
    fn insert_before(&mut self, container: usize, next: usize, added: &[Addition]) {
        let style = self.style(container);
        let start = self.tree.start(next);
        let (indent, own_line) = indent_at(self.text, start);
        let mut text = String::new();
        for &(key, value) in added {
            text += &style.item(key, value, own_line.then_some(indent));
            text += &if own_line {
                format!(",{}{indent}", style.newline)
            } else {
                style.comma.to_owned()
            };
        }
        self.cut(start, start, text);
    }

    /// Takes items out of a container and adds others at its end.
    fn reshape(&mut self, container: usize, children: &[usize], gone: &[bool], added: &[Addition]) {
        let Some(last) = gone.iter().rposition(|gone| !gone) else {
            return self.refill(container, children, added);
        };
        // Runs of items that go, each with the item after it.
        let mut index = 0;
        while index < children.len() {
            let run = gone[index..].iter().take_while(|&&gone| gone).count();
            if run > 0 {
                let end = index + run;
                let previous_end = match index {
                    0 => self.tree.value(container).start + 1,
                    _ => self.tree.comma(children[index - 1]).map_or(0, |comma| comma + 1),
                };
                self.remove(
                    children[index],
                    children[end - 1],
                    previous_end,
                    children.get(end).copied(),
                );
                index = end;
            }
            index += 1;
        }
        let closing = children.last().and_then(|&child| self.tree.comma(child)).is_some();
        match self.tree.comma(children[last]) {
            None if !added.is_empty() => {
                let end = self.tree.value(children[last]).end;
                self.cut(end, end, ",");
            }
            // The comma was there for the sake of what goes.
            Some(comma) if added.is_empty() && last + 1 < children.len() && !closing => self.cut(comma, comma + 1, ""),
            _ => {}
        }
        if !added.is_empty() {
            self.append(container, children, last, closing, added);
        }
    }

    /// New items behind `children[last]`, which has a comma by now, and behind the comments on its line.
    fn append(&mut self, container: usize, children: &[usize], last: usize, closing: bool, added: &[Addition]) {
        let style = self.style(container);
        let (tree, node) = (self.tree, children[last]);
        let comma = tree.comma(node).map(|comma| comma + 1);
        let (at, open) = self.end_of_line(comma.unwrap_or(tree.value(node).end));
        let (indent, own_line) = indent_at(self.text, tree.start(node));
        let mut text = String::new();
        let indent = match (own_line, open) {
            (true, _) => Some(indent.to_owned()),
            // A line comment ends the line, so what follows must begin one.
            (false, true) => Some(style.deeper(indent_at(self.text, tree.start(container)).0)),
            (false, false) => None,
        };
        for (index, &(key, value)) in added.iter().enumerate() {
            text += if index > 0 { "," } else { "" };
            match &indent {
                Some(indent) => {
                    text += style.newline;
                    text += indent;
                }
                None => text += &style.comma[1..],
            }
            text += &style.item(key, value, indent.as_deref());
        }
        text += if closing { "," } else { "" };
        self.cut(at, at, text);
    }

    /// The end of what stands on the line behind `at`, comments included, and whether that is a line comment.
    fn end_of_line(&self, at: usize) -> (usize, bool) {
        let mut end = at;
        loop {
            let rest = &self.text[end..];
            let comment = end + rest.len() - rest.trim_start_matches([' ', '\t']).len();
            if !self.text[comment..].starts_with("//") && !self.text[comment..].starts_with("/*") {
                return (end, false);
            }
            let Some(span) = Lexer::new(self.text, comment).comments(comment + 1).pop() else {
                return (end, false);
            };
            end = span.end;
            let text = &self.text[span.start..span.end];
            if text.starts_with("//") {
                return (end, true);
            }
        }
    }

    /// Takes out a run of items, `first` to `last`. `previous_end` is behind what stands before it (an item with its
    /// comma, or the opening bracket), `next` the item behind it.
    fn remove(&mut self, first: usize, last: usize, previous_end: usize, next: Option<usize>) {
        let (text, tree) = (self.text, self.tree);
        let start = tree.start(first);
        let end = tree.comma(last).map_or(tree.value(last).end, |comma| comma + 1);
        let (indent, own_line) = indent_at(text, start);
        let new_line = format!("{}{indent}", newline_near(text, start));
        // The comments inside what goes, on lines of their own where the run has its own.
        let comments = |end: usize| {
            let mut kept = String::new();
            let mut open = false;
            for span in Lexer::new(text, start).comments(end) {
                let comment = &text[span.start..span.end];
                if !kept.is_empty() {
                    kept += if open || own_line { &new_line } else { " " };
                }
                kept += comment;
                open = comment.starts_with("//");
            }
            (kept, open)
        };
        let after = end + text[end..].len() - text[end..].trim_start_matches([' ', '\t']).len();
        let behind = text[after..].chars().next();
        let line_ends = behind.is_some_and(|c| LINE_BREAKS.contains(&c));
        let next = next
            .map(|next| tree.start(next))
            .filter(|&next| !text[end..next].contains(LINE_BREAKS));
        if let Some(next) = next {
            // What follows on the line moves up to here.
            let (mut kept, open) = comments(next);
            if !kept.is_empty() {
                kept += if open || own_line { &new_line } else { " " };
            }
            return self.cut(start, next, kept);
        }
        let (mut kept, open) = comments(end);
        if own_line && behind == Some('/') {
            // The comment behind the run keeps its line.
            if !kept.is_empty() {
                kept += &new_line;
            }
            return self.cut(start, after, kept);
        }
        if !kept.is_empty() {
            if open && !line_ends {
                kept += &new_line;
            }
            return self.cut(start, end, kept);
        }
        let before = if own_line {
            let line = start - indent.len();
            let open = Lexer::new(text, previous_end)
                .comments(start)
                .last()
                .is_some_and(|span| text[span.start..].starts_with("//"));
            let line_break = if text[..line].ends_with("\r\n") {
                2
            } else {
                text[..line].chars().next_back().map_or(0, char::len_utf8)
            };
            // Nothing may move up behind a line comment.
            if open && !line_ends { start } else { line - line_break }
        } else {
            text[..start].trim_end_matches([' ', '\t']).len()
        };
        self.cut(before, end, "");
    }

    /// Takes out all items of a container, which may have none, and puts others in.
    fn refill(&mut self, container: usize, children: &[usize], added: &[Addition]) {
        let (text, tree) = (self.text, self.tree);
        let (start, end) = (tree.value(container).start + 1, tree.value(container).end - 1);
        let comments = Lexer::new(text, start).comments(end);
        if added.is_empty() {
            return match (children, comments.is_empty()) {
                ([first, .., last], false) | ([first @ last], false) => self.remove(*first, *last, start, None),
                _ => self.cut(start, end, ""),
            };
        }
        let style = self.style(container);
        let (outer, own_line) = indent_at(text, tree.start(container));
        let several_lines = text[start..end].contains(LINE_BREAKS);
        let example = children
            .first()
            .map(|&child| tree.start(child))
            .or(comments.first().map(|span| span.start));
        let indent = match example.map(|at| indent_at(text, at)) {
            Some((indent, true)) => Some(indent.to_owned()),
            Some((_, false)) if !several_lines && !children.is_empty() => None,
            _ if several_lines || own_line || container == Tree::ROOT => Some(style.deeper(outer)),
            _ => None,
        };
        let closing = children
            .last()
            .map_or(style.trailing, |&last| tree.comma(last).is_some());
        let new_line = format!("{}{}", style.newline, indent.as_deref().unwrap_or_default());
        let mut new = String::new();
        for (index, &(key, value)) in added.iter().enumerate() {
            match &indent {
                Some(_) => {
                    new += if index > 0 { "," } else { "" };
                    new += &new_line;
                }
                None => new += if index > 0 { style.comma } else { "" },
            }
            new += &style.item(key, value, indent.as_deref());
        }
        if indent.is_some() && closing {
            new.push(',');
        }
        let close = format!("{}{outer}", style.newline);
        let pad = if style.pad && tree.kind(container) == Kind::Object {
            " "
        } else {
            ""
        };
        match (&indent, children.is_empty(), comments.last()) {
            (Some(_), _, None) => self.cut(start, end, new + &close),
            (None, _, None) => self.cut(start, end, format!("{pad}{new}{pad}")),
            // Comments alone stay where they are, the new items come behind them.
            (Some(_), true, Some(last)) => {
                let rest = &text[last.end..end];
                self.cut(
                    last.end,
                    if several_lines { last.end } else { end },
                    if rest.contains(LINE_BREAKS) { new } else { new + &close },
                );
            }
            (None, true, Some(last)) => self.cut(last.end, last.end, format!(" {new}")),
            // What stood between the items goes, so the comments are put together again.
            (Some(_), false, Some(_)) => {
                let kept: String = comments
                    .iter()
                    .map(|span| format!("{new_line}{}", &text[span.start..span.end]))
                    .collect();
                self.cut(start, end, kept + &new + &close);
            }
            (None, false, Some(_)) => {
                let kept: String = comments
                    .iter()
                    .map(|span| format!("{} ", &text[span.start..span.end]))
                    .collect();
                self.cut(start, end, format!("{pad}{kept}{new}{pad}"));
            }
        }
    }
}
