//! Items of a container, members or elements: how they come in and go out without touching their neighbours.

use super::edit::{Addition, Edit};
use super::lexer::{LINE_BREAKS, Lexer};
use super::scan::{Kind, Tree};
use super::style::{indent_at, newline_near};

impl Edit<'_> {
    /// New elements before an element that stays.
    pub fn insert_before(&mut self, container: usize, next: usize, added: &[Addition]) {
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
    pub fn reshape(&mut self, container: usize, children: &[usize], gone: &[bool], added: &[Addition]) {
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
                if text[last.end..end].contains(LINE_BREAKS) {
                    self.cut(last.end, last.end, new);
                } else {
                    self.cut(last.end, end, new + &close);
                }
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
