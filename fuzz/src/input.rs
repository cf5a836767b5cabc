//! How one input carries both a text and what is done with it.

/// The bytes behind the text: what to do with it. They never run out: behind the last comes 0.
pub struct Program<'a>(&'a [u8]);

/// The text, and the program behind its last byte 0xFF, which no UTF-8 holds. So any file as it is will do as an input.
pub fn split(input: &[u8]) -> (&[u8], Program<'_>) {
    match input.iter().rposition(|&byte| byte == 0xFF) {
        Some(at) => (&input[..at], Program(&input[at + 1..])),
        None => (input, Program(&[])),
    }
}

impl<'a> Program<'a> {
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// A number below `count`.
    pub fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    pub fn number(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    /// The bytes up to the next NUL or the end.
    pub fn bytes(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap_or(self.0.len());
        let (text, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        text
    }

    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
}
