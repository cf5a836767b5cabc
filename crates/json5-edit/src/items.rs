//! Items of a container, members or elements: how they come in and go out without touching their neighbours.

use super::edit::{Addition, Edit};
use super::lexer::LINE_BREAKS;
use super::scan::{Kind, Span, Tree};
use super::style::{Style, indent_at, newline_near};

impl Edit<'_> {
    /// New elements before an element that stays.
    pub fn insert_before(&mut self, container: usize, next: usize, added: &[Addition]) {
        let style = self.style(container);
        let start = self.tree.nodes[next].start();
        let (indent, own_line) = indent_at(self.text, start);
        let separator = match own_line {
            true => format!(",{}{indent}", style.newline),
            false => style.comma.to_owned(),
        };
        let items = added
            .iter()
            .map(|&item| style.item(item, own_line.then_some(indent)) + &separator);
        self.splice(start, start, items.collect::<String>());
    }

    /// Takes items out of a container and adds others at its end.
    pub fn reshape(&mut self, container: usize, children: &[usize], gone: &[bool], added: &[Addition]) {
        let Some(last) = gone.iter().rposition(|gone| !gone) else {
            return self.refill(container, children, added);
        };
        let mut start = 0;
        for run in gone.chunk_by(|a, b| a == b) {
            let end = start + run.len();
            if run[0] {
                let previous_end = match start {
                    0 => self.tree.nodes[container].value.start + 1,
                    _ => self.tree.nodes[children[start - 1]].end(),
                };
                let next = children.get(end).copied();
                self.remove(children[start], children[end - 1], previous_end, next);
            }
            start = end;
        }
        let closing = children
            .last()
            .and_then(|&child| self.tree.nodes[child].comma)
            .is_some();
        match self.tree.nodes[children[last]].comma {
            None if !added.is_empty() => {
                let end = self.tree.nodes[children[last]].value.end;
                self.splice(end, end, ",");
            }
            // The comma was there for the sake of what goes.
            Some(comma) if added.is_empty() && last + 1 < children.len() && !closing => {
                self.splice(comma, comma + 1, "")
            }
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
        let (at, open) = self.end_of_line(tree.nodes[node].end());
        let (indent, own_line) = indent_at(self.text, tree.nodes[node].start());
        let indent = match (own_line, open) {
            (true, _) => Some(indent.to_owned()),
            // A line comment ends the line, so what follows must begin one.
            (false, true) => Some(style.deeper(indent_at(self.text, tree.nodes[container].start()).0)),
            (false, false) => None,
        };
        let gap = if indent.is_none() { &style.comma[1..] } else { "" };
        let comma = if closing { "," } else { "" };
        self.splice(at, at, format!("{gap}{}{comma}", style.items(added, indent.as_deref())));
    }

    /// The end of what stands on the line behind `at`, comments included, and whether that is a line comment.
    fn end_of_line(&self, at: usize) -> (usize, bool) {
        let mut end = at;
        for comment in self.tree.comments(at, self.text.len()) {
            if !self.text[end..comment.start].chars().all(|c| c == ' ' || c == '\t') {
                break;
            }
            end = comment.end;
            if self.is_line_comment(*comment) {
                return (end, true);
            }
        }
        (end, false)
    }

    fn is_line_comment(&self, comment: Span) -> bool {
        comment.of(self.text).starts_with("//")
    }

    /// Takes out a run of items, `first` to `last`. `previous_end` is behind what stands before it (an item with its
    /// comma, or the opening bracket), `next` the item behind it.
    fn remove(&mut self, first: usize, last: usize, previous_end: usize, next: Option<usize>) {
        let (text, tree) = (self.text, self.tree);
        let start = tree.nodes[first].start();
        let end = tree.nodes[last].end();
        let (indent, own_line) = indent_at(text, start);
        let new_line = format!("{}{indent}", newline_near(text, start));
        let after = end + text[end..].len() - text[end..].trim_start_matches([' ', '\t']).len();
        let behind = text[after..].chars().next();
        let line_ends = behind.is_some_and(|c| LINE_BREAKS.contains(&c));
        let next = next
            .map(|next| tree.nodes[next].start())
            .filter(|&next| !text[end..next].contains(LINE_BREAKS));
        // What is kept of the run stands on lines of its own where the run does.
        let separator = if own_line { &new_line } else { " " };
        let (mut kept, open) = self.comments_between(start, next.unwrap_or(end), separator, &new_line);
        if let Some(next) = next {
            // What follows on the line moves up to here.
            if !kept.is_empty() {
                kept += if open { &new_line } else { separator };
            }
            return self.splice(start, next, kept);
        }
        if own_line && behind == Some('/') {
            // The comment behind the run keeps its line.
            if !kept.is_empty() {
                kept += &new_line;
            }
            return self.splice(start, after, kept);
        }
        if !kept.is_empty() {
            if open && !line_ends {
                kept += &new_line;
            }
            return self.splice(start, end, kept);
        }
        let from = if !own_line {
            text[..start].trim_end_matches([' ', '\t']).len()
        } else if !line_ends && self.ends_open(previous_end, start) {
            // Nothing may move up behind a line comment.
            start
        } else {
            let above = &text[..start - indent.len()];
            let line = above.strip_suffix("\r\n").or_else(|| above.strip_suffix(LINE_BREAKS));
            line.unwrap_or(above).len()
        };
        self.splice(from, end, "");
    }

    /// The comments between two places, with `separator` between them, and whether the last is a line comment. What
    /// follows a line comment begins with `new_line`.
    fn comments_between(&self, start: usize, end: usize, separator: &str, new_line: &str) -> (String, bool) {
        let mut kept = String::new();
        let mut open = false;
        for &comment in self.tree.comments(start, end) {
            if !kept.is_empty() {
                kept += if open { new_line } else { separator };
            }
            kept += comment.of(self.text);
            open = self.is_line_comment(comment);
        }
        (kept, open)
    }

    /// Whether the last comment between two places is a line comment.
    fn ends_open(&self, start: usize, end: usize) -> bool {
        let last = self.tree.comments(start, end).last();
        last.is_some_and(|&comment| self.is_line_comment(comment))
    }

    /// Takes out all items of a container, which may have none, and puts others in.
    fn refill(&mut self, container: usize, children: &[usize], added: &[Addition]) {
        let (text, tree) = (self.text, self.tree);
        let (start, end) = (
            tree.nodes[container].value.start + 1,
            tree.nodes[container].value.end - 1,
        );
        let comments = tree.comments(start, end);
        if added.is_empty() {
            return match (children, comments.is_empty()) {
                ([first, .., last], false) | ([first @ last], false) => self.remove(*first, *last, start, None),
                _ => self.splice(start, end, ""),
            };
        }
        let style = self.style(container);
        let indent = self.indent_inside(container, children, comments.first(), &style);
        let outer = indent_at(text, tree.nodes[container].start()).0;
        let closing = children
            .last()
            .map_or(style.trailing, |&last| tree.nodes[last].comma.is_some());
        let mut new = style.items(added, indent.as_deref());
        if indent.is_some() && closing {
            new.push(',');
        }
        let pad = if style.pad && tree.nodes[container].kind == Kind::Object {
            " "
        } else {
            ""
        };
        let (opening, ending) = match indent {
            Some(_) => ("", format!("{}{outer}", style.newline)),
            None => (pad, pad.to_owned()),
        };
        match comments.last() {
            None => self.splice(start, end, format!("{opening}{new}{ending}")),
            // Comments alone stay where they are, the new items come behind them.
            Some(last) if children.is_empty() => match indent {
                None => self.splice(last.end, last.end, format!(" {new}")),
                Some(_) if text[last.end..end].contains(LINE_BREAKS) => self.splice(last.end, last.end, new),
                Some(_) => self.splice(last.end, end, new + &ending),
            },
            // What stood between the items goes, so the comments are put together again.
            Some(_) => {
                let (before, after) = match &indent {
                    Some(indent) => (format!("{}{indent}", style.newline), ""),
                    None => (String::new(), " "),
                };
                let kept = comments.iter().map(|span| format!("{before}{}{after}", span.of(text)));
                let kept: String = kept.collect();
                self.splice(start, end, format!("{opening}{kept}{new}{ending}"));
            }
        }
    }

    /// The indentation of new items in a container that keeps none of its own; `None` if they go on its line.
    fn indent_inside(
        &self,
        container: usize,
        children: &[usize],
        comment: Option<&Span>,
        style: &Style,
    ) -> Option<String> {
        let (text, tree) = (self.text, self.tree);
        let Span { start, end } = tree.nodes[container].value;
        let several_lines = text[start..end].contains(LINE_BREAKS);
        let (outer, own_line) = indent_at(text, tree.nodes[container].start());
        let first = children.first().map(|&child| tree.nodes[child].start());
        match first.or(comment.map(|span| span.start)).map(|at| indent_at(text, at)) {
            Some((indent, true)) => Some(indent.to_owned()),
            Some((_, false)) if !several_lines && !children.is_empty() => None,
            _ if several_lines || own_line || container == Tree::ROOT => Some(style.deeper(outer)),
            _ => None,
        }
    }
}
