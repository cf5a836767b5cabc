//! A list that is read page by page: in smaller pages where an answer is too long to be read, so that one long request
//! hides no other.

use crate::request::{PAGE, Pending};
use crate::sigilum::http::BODY_CAP;
use std::collections::BTreeSet;

/// So many more questions a list is worth whose answers were too long.
const MORE: usize = 20;
/// With nothing read after so many that are too long by themselves, the API ignores how much it is asked for.
const IN_VAIN: u64 = 3;
/// A page that was too long is followed by one request alone, and pages grow again by this.
const STEP: usize = 4;

/// What one question asks for: `limit` requests from `offset` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// How many requests of the list come before it.
    pub offset: usize,
    /// The most that it may hold.
    pub limit: usize,
}

impl Span {
    /// What is asked for first.
    pub const FIRST: Self = Self { offset: 0, limit: PAGE };
}

/// What was read of a list, and what is asked for next.
pub struct Pages {
    all: Pending,
    ids: BTreeSet<String>,
    span: Span,
    /// The most requests that are read.
    most: usize,
    /// How many questions may still be asked.
    questions: usize,
    was_too_long: bool,
    is_read: bool,
}

impl Pages {
    /// Of a list of which at most so many requests are read.
    pub fn new(most: usize) -> Self {
        Self {
            all: Pending::default(),
            ids: BTreeSet::new(),
            span: Span::FIRST,
            most,
            questions: most.div_ceil(PAGE),
            was_too_long: false,
            is_read: false,
        }
    }

    /// What is asked for next; `None` at the end.
    pub fn next(&mut self) -> Option<Span> {
        let is_end = self.span.offset >= self.most;
        self.questions = self.questions.checked_sub(1).filter(|_| !is_end)?;
        Some(self.span)
    }

    /// Takes what was asked for, an answer of so many bytes.
    pub fn take(&mut self, page: Pending, bytes: usize) {
        let Span { offset, limit } = self.span;
        let (known, count) = (self.all.requests.len(), page.requests.len());
        self.is_read = true;
        // How long a later page is says nothing of the list.
        let total = page.total.filter(|total| *total >= (offset + count) as u64);
        self.all.total = self.all.total.or(total);
        for request in page.requests {
            // The list may have moved meanwhile.
            let is_new = match request.id() {
                Some(id) => self.ids.insert(id.to_owned()),
                None => offset < PAGE,
            };
            if is_new {
                self.all.requests.push(request);
            }
        }
        self.span.offset += count;
        if count < limit {
            let known = self.all.known();
            self.all.total.get_or_insert(known);
        }
        let is_all = self.all.total.is_some_and(|total| total <= self.all.known());
        if is_all || self.all.requests.len() == known {
            self.questions = 0;
        }
        if bytes <= BODY_CAP / STEP {
            self.span.limit = PAGE.min(limit * STEP);
        }
    }

    /// The answer was too long to be read: less is asked for, and what is too long by itself is left out.
    pub fn too_long(&mut self) {
        if !self.was_too_long {
            self.was_too_long = true;
            self.questions += MORE;
        }
        if self.span.limit == 1 {
            self.all.too_long += 1;
            self.span.offset += 1;
        }
        self.span.limit = 1;
        if !self.is_read && self.all.too_long == IN_VAIN {
            self.questions = 0;
        }
    }

    /// Whether anything was read.
    pub fn is_read(&self) -> bool {
        self.is_read
    }

    /// What was read.
    pub fn end(self) -> Pending {
        self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::AuthorizationRequest;

    /// Reads a list of requests of these sizes in bytes as an API gives it; its number, that of those that are too long,
    /// the total, and how often was asked.
    fn read(sizes: &[usize], most: usize, heeds: bool) -> (usize, u64, Option<u64>, usize) {
        let (mut pages, mut asked) = (Pages::new(most), 0);
        while let Some(Span { offset, limit }) = pages.next() {
            asked += 1;
            let (offset, limit) = if heeds { (offset, limit) } else { (0, usize::MAX) };
            let page: Vec<(usize, usize)> = sizes.iter().copied().enumerate().skip(offset).take(limit).collect();
            let bytes = page.iter().map(|(_, size)| size).sum::<usize>();
            if bytes > BODY_CAP {
                pages.too_long();
                continue;
            }
            let requests = page.iter().map(|(at, _)| AuthorizationRequest {
                claim_id: Some(format!("cl_{at}")),
                ..AuthorizationRequest::default()
            });
            let page = Pending {
                requests: requests.collect(),
                total: Some(sizes.len() as u64),
                too_long: 0,
            };
            pages.take(page, bytes);
        }
        let all = pages.end();
        (all.requests.len(), all.too_long, all.total, asked)
    }

    #[test]
    fn all_that_can_be_read_is_read() {
        let (small, large, giant) = (500, 60_000, BODY_CAP + 1);
        let of = |parts: &[(usize, usize)]| -> Vec<usize> {
            let parts = parts.iter().map(|(count, size)| vec![*size; *count]);
            parts.collect::<Vec<_>>().concat()
        };
        let cases = [
            (of(&[]), (0, 0, Some(0), 1)),
            (of(&[(450, small)]), (450, 0, Some(450), 3)),
            (of(&[(22, large)]), (22, 0, Some(22), 5)),
            (of(&[(1, giant)]), (0, 1, Some(1), 3)),
            (of(&[(1, giant), (300, small)]), (300, 1, Some(301), 8)),
            (of(&[(100, small), (3, giant), (100, small)]), (200, 3, Some(203), 23)),
            // Not for ever.
            (of(&[(1, small), (100, giant)]), (1, 22, Some(101), 25)),
            (of(&[(100, giant)]), (0, 3, None, 4)),
        ];
        for (sizes, expected) in cases {
            assert_eq!(read(&sizes, 1000, true), expected, "{} requests", sizes.len());
        }
        // An API that does not heed what it is asked for.
        assert_eq!(read(&[giant], 1000, false), (0, 3, None, 4));
        assert_eq!(read(&[small; 300], 1000, false), (300, 0, Some(300), 1));
    }
}
