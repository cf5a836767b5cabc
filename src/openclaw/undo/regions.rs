//! Where our text stands in a file, and which text stood there before.

use json5_edit::{Edited, Splice};
use serde::{Deserialize, Serialize};
use std::iter::Peekable;

/// How many bytes around a region tell where it is.
const CONTEXT: usize = 64;

/// From this length on our own text alone tells where it is, if it stands there once.
const UNMISTAKABLE: usize = 32;

/// All stretches of a file that we changed, in its order, apart from each other.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Regions {
    /// The file as we left it.
    file: Fingerprint,
    regions: Vec<Region>,
    /// Others wrote between two edits of ours.
    shared: bool,
    /// A region was not found again because others changed it: the old bytes cannot all come back.
    lost: bool,
}

/// How much of our text was found in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// All of it, and nobody else wrote the file since our first edit.
    Ours,
    /// All of it.
    All,
    /// Not all of it.
    Some,
}

/// One stretch of our text.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Region {
    /// Where it stood in the file as we left it, in bytes.
    offset: usize,
    /// Our text.
    ours: Fingerprint,
    /// The text before and after it, up to [`CONTEXT`] bytes.
    before: Fingerprint,
    after: Fingerprint,
    /// What stood here before our first write.
    original: String,
}

/// A fingerprint of some bytes. It can be moved along a text byte by byte, which a cryptographic hash cannot; what is
/// found by it is checked by value.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fingerprint {
    length: usize,
    hash: u64,
}

/// An odd factor with its bits well spread, so that every byte reaches every bit.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

impl Fingerprint {
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            length: bytes.len(),
            hash: bytes.iter().fold(0, |hash, &byte| Self::push(hash, byte)),
        }
    }

    fn push(hash: u64, byte: u8) -> u64 {
        hash.wrapping_mul(FACTOR).wrapping_add(u64::from(byte) + 1)
    }

    fn fits(&self, text: &[u8], offset: usize) -> bool {
        let end = offset.checked_add(self.length);
        end.and_then(|end| text.get(offset..end))
            .is_some_and(|bytes| Self::of(bytes) == *self)
    }

    /// All places where it fits.
    fn find(&self, text: &[u8]) -> Vec<usize> {
        let Some(first) = text.get(..self.length) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        let mut hash = Self::of(first).hash;
        let exponent = u32::try_from(self.length).unwrap_or_default();
        // What the byte that leaves the window has been multiplied with by then.
        let leaving = FACTOR.wrapping_pow(exponent);
        for end in self.length..=text.len() {
            if hash == self.hash {
                found.push(end - self.length);
            }
            if let Some(&next) = text.get(end) {
                let last = u64::from(text[end - self.length]) + 1;
                hash = Self::push(hash, next).wrapping_sub(last.wrapping_mul(leaving));
            }
        }
        found
    }
}

impl Region {
    fn end(&self) -> usize {
        self.offset.saturating_add(self.ours.length)
    }

    /// Where it stands in a text that others changed: where what is around it is the same, or one side of it, or
    /// nothing but the region itself, as long as there is one such place. `near` breaks a tie of the first kind.
    fn locate(&self, text: &[u8], near: usize) -> Option<usize> {
        let before = match self.before.length {
            // At the very beginning of the file.
            0 => vec![0],
            length => self.before.find(text).into_iter().map(|start| start + length).collect(),
        };
        let after: Vec<_> = match self.after.length {
            0 => text.len().checked_sub(self.ours.length).into_iter().collect(),
            _ => self
                .after
                .find(text)
                .into_iter()
                .filter_map(|start| start.checked_sub(self.ours.length))
                .collect(),
        };
        let fits = |place: &usize| self.ours.fits(text, *place);
        let both = before
            .iter()
            .copied()
            .filter(|place| after.binary_search(place).is_ok())
            .filter(fits);
        if let Some(place) = both.min_by_key(|place| place.abs_diff(near)) {
            return Some(place);
        }
        let mut one: Vec<_> = before.into_iter().chain(after).filter(fits).collect();
        one.sort_unstable();
        one.dedup();
        let places = if one.is_empty() && self.ours.length >= UNMISTAKABLE {
            self.ours.find(text)
        } else {
            one
        };
        match places[..] {
            [place] => Some(place),
            _ => None,
        }
    }
}

/// Regions of before and splices of an edit that overlap or touch, as one.
struct Merged {
    /// Where it starts in the old file, in bytes.
    start: usize,
    /// What stood there before our first write.
    original: Vec<u8>,
    /// What stands there after the edit.
    ours: Vec<u8>,
    /// Part of it was ours before.
    ours_already: bool,
    /// By how many bytes it moves what comes after it.
    shift: isize,
}

impl Merged {
    /// The next of both, in the order of the old file.
    fn next<'a>(
        old: &[u8],
        known: &mut Peekable<impl Iterator<Item = Region>>,
        splices: &mut Peekable<impl Iterator<Item = &'a Splice>>,
    ) -> Option<Self> {
        let starts = [
            known.peek().map(|region| region.offset),
            splices.peek().map(|splice| splice.offset),
        ];
        let start = starts.into_iter().flatten().min()?;
        let (mut end, mut original_to, mut ours_to) = (start, start, start);
        let mut merged = Self {
            start,
            original: Vec::new(),
            ours: Vec::new(),
            ours_already: false,
            shift: 0,
        };
        loop {
            if let Some(region) = known.next_if(|region| region.offset <= end) {
                merged.original.extend_from_slice(&old[original_to..region.offset]);
                merged.original.extend_from_slice(region.original.as_bytes());
                original_to = region.end();
                end = end.max(region.end());
                merged.ours_already = true;
            } else if let Some(splice) = splices.next_if(|splice| splice.offset <= end) {
                merged.ours.extend_from_slice(&old[ours_to..splice.offset]);
                merged.ours.extend_from_slice(splice.inserted.as_bytes());
                ours_to = splice.offset + splice.removed.len();
                end = end.max(ours_to);
                merged.shift += splice.inserted.len() as isize - splice.removed.len() as isize;
            } else {
                break;
            }
        }
        merged.original.extend_from_slice(&old[original_to..end]);
        merged.ours.extend_from_slice(&old[ours_to..end]);
        Some(merged)
    }
}

impl Regions {
    /// The regions at their places in `text`, and whether none is missing.
    fn locate(&self, text: &[u8]) -> (Vec<Region>, bool) {
        let untouched = Fingerprint::of(text) == self.file;
        let mut found: Vec<Region> = Vec::new();
        let mut shift = 0_isize;
        let mut complete = !self.lost;
        for region in &self.regions {
            let near = region.offset.saturating_add_signed(shift);
            let place = if untouched && region.ours.fits(text, region.offset) {
                Some(region.offset)
            } else {
                region.locate(text, near)
            };
            match place.filter(|&place| found.last().is_none_or(|last| last.end() <= place)) {
                Some(offset) => {
                    shift = (offset as isize).wrapping_sub(region.offset as isize);
                    found.push(Region {
                        offset,
                        ..region.clone()
                    });
                }
                None => complete = false,
            }
        }
        (found, complete)
    }

    /// Takes an edit of the file's text over.
    pub fn note(&mut self, old: &str, edited: &Edited) {
        let (known, complete) = self.locate(old.as_bytes());
        self.lost = !complete;
        self.shared |= self.file != Fingerprint::default() && !self.is_at(old);
        let mut regions = Vec::new();
        let mut known = known.into_iter().peekable();
        let mut splices = edited.splices.iter().peekable();
        let mut shift = 0_isize;
        while let Some(merged) = Merged::next(old.as_bytes(), &mut known, &mut splices) {
            let offset = merged.start.saturating_add_signed(shift);
            shift += merged.shift;
            // Once a region was lost, what a new splice replaces may be our own text of before.
            if merged.original == merged.ours || (self.lost && !merged.ours_already) {
                continue;
            }
            if let Ok(original) = String::from_utf8(merged.original) {
                regions.push(Region {
                    offset,
                    ours: Fingerprint::of(&merged.ours),
                    before: Fingerprint::default(),
                    after: Fingerprint::default(),
                    original,
                });
            }
        }
        let text = edited.document.as_str().as_bytes();
        for region in &mut regions {
            region.before = Fingerprint::of(&text[region.offset.saturating_sub(CONTEXT)..region.offset]);
            region.after = Fingerprint::of(&text[region.end()..text.len().min(region.end() + CONTEXT)]);
        }
        self.file = Fingerprint::of(text);
        self.regions = regions;
    }

    /// The text with every region that is found turned back.
    pub fn restore(&self, text: &str) -> (Vec<u8>, Found) {
        let (regions, complete) = self.locate(text.as_bytes());
        let mut restored = Vec::with_capacity(text.len());
        let mut done = 0;
        for region in &regions {
            restored.extend_from_slice(&text.as_bytes()[done..region.offset]);
            restored.extend_from_slice(region.original.as_bytes());
            done = region.end();
        }
        restored.extend_from_slice(&text.as_bytes()[done..]);
        let found = match complete {
            true if self.is_at(text) && !self.shared => Found::Ours,
            true => Found::All,
            false => Found::Some,
        };
        (restored, found)
    }

    /// Whether this is the file as we left it.
    pub fn is_at(&self, text: &str) -> bool {
        Fingerprint::of(text.as_bytes()) == self.file
    }

    pub fn is_empty(&self) -> bool {
        self.regions.is_empty()
    }

    /// Forgets the regions in whose old text a token stands; all that have an old text, if one is known to be `there`
    /// (in the text it may be written with escapes).
    pub fn scrub(&mut self, is_token: &dyn Fn(&str) -> bool, there: bool) {
        let count = self.regions.len();
        self.regions.retain(|region| {
            let mut words = region
                .original
                .split(|c: char| c.is_whitespace() || "\"'`,:{}[]".contains(c));
            region.original.is_empty() || !(there || words.any(is_token))
        });
        self.lost |= self.regions.len() < count;
    }
}
