//! Codes of a second factor (RFC 6238: SHA-1, 6 digits, 30 s, one step to either side), each of which counts once, and
//! what wrong ones cost. Pure: time comes in, what to keep goes out.

use serde::{Deserialize, Serialize};
use totp_rs::Totp;

/// How long a code is the one of now, seconds.
const STEP: i64 = 30;
/// So many wrong codes lock.
pub const WRONG: u32 = 5;
/// How long the first time, seconds; each further time twice as long.
pub const FIRST_LOCK: i64 = 15 * 60;
/// And at most so long.
pub const LONGEST_LOCK: i64 = 24 * 3600;
/// A wrong code is forgotten so long after the last one, seconds. A right one makes none forgotten: whoever guesses
/// between the owner's own codes would have four tries for each of them.
pub const FORGOTTEN: i64 = 24 * 3600;

/// What is kept of codes that were given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The step of the last code that counted: neither it nor one before it counts again.
    pub spent: Option<u64>,
    /// How many wrong ones were given since the last lock.
    pub wrong: u32,
    /// When the last wrong one was, Unix seconds.
    pub wrong_at: Option<i64>,
    /// How often it was locked since it was lifted by hand.
    pub locks: u32,
    /// When the lock ends, Unix seconds.
    pub locked_until: Option<i64>,
}

/// What becomes of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It counts, this once.
    Right,
    /// It does not: wrong, of another time, or spent. Which of these is nobody's to know.
    Wrong,
    /// It was not looked at: deciding is locked until then, Unix seconds.
    Locked(i64),
}

impl Ledger {
    /// Looks at a code; what is kept afterwards is to be on the disk before the verdict is acted upon.
    pub fn take(&mut self, totp: &Totp, code: &str, now: i64) -> Verdict {
        if let Some(until) = self.locked(now) {
            return Verdict::Locked(until);
        }
        let step = totp.check(code, u64::try_from(now).unwrap_or_default());
        match step.filter(|step| self.spent.is_none_or(|spent| *step > spent)) {
            Some(step) => {
                self.spent = Some(step);
                Verdict::Right
            }
            None => {
                self.note_wrong(now);
                Verdict::Wrong
            }
        }
    }

    /// When the lock ends, where there is one.
    pub fn locked(&self, now: i64) -> Option<i64> {
        self.locked_until.filter(|until| now < *until)
    }

    /// Lifts the lock and forgets wrong codes. What is spent stays spent; where a clock that was ahead spent what is far
    /// from now, codes count again from the step on that is the next but one.
    pub fn unlock(&mut self, now: i64) {
        let next = u64::try_from(now.div_euclid(STEP)).unwrap_or_default() + 1;
        *self = Self {
            spent: self.spent.map(|spent| spent.min(next)),
            ..Self::default()
        };
    }

    fn note_wrong(&mut self, now: i64) {
        if self.wrong_at.is_some_and(|at| now.saturating_sub(at) > FORGOTTEN) {
            self.wrong = 0;
        }
        self.wrong_at = Some(now);
        self.wrong += 1;
        if self.wrong >= WRONG {
            self.wrong = 0;
            let pause = FIRST_LOCK << self.locks.min(16);
            self.locked_until = Some(now.saturating_add(pause.min(LONGEST_LOCK)));
            self.locks = self.locks.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use totp_rs::{Builder, Secret};

    const NOW: i64 = 1_795_332_000;

    fn totp() -> Totp {
        let secret = Secret::from(*b"12345678901234567890");
        Builder::new().with_secret(secret).build_noncompliant()
    }

    fn code(step: i64) -> String {
        totp().generate(u64::try_from(step * 30).unwrap()).to_string()
    }

    /// RFC 6238, appendix B: the last six of its eight digits.
    #[test]
    fn the_rfcs_own_codes_count() {
        for (time, digits) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(
                Ledger::default().take(&totp(), &digits[2..], time),
                Verdict::Right,
                "{time}"
            );
        }
    }

    #[test]
    fn one_step_to_either_side_counts_and_each_once() {
        let step = NOW / 30;
        let mut ledger = Ledger::default();
        for (given, verdict) in [
            (step - 2, Verdict::Wrong),
            (step - 1, Verdict::Right),
            (step - 1, Verdict::Wrong),
            (step + 1, Verdict::Right),
            // An older one is spent with it.
            (step, Verdict::Wrong),
            (step + 2, Verdict::Wrong),
        ] {
            assert_eq!(ledger.take(&totp(), &code(given), NOW), verdict, "{}", given - step);
        }
        for text in ["", "12345", "1234567", "12345a", "+12345", " 12345", "１２３４５６"] {
            assert_eq!(Ledger::default().take(&totp(), text, NOW), Verdict::Wrong, "{text}");
        }
    }

    #[test]
    fn five_wrong_ones_lock_and_each_time_twice_as_long() {
        let (mut ledger, mut now) = (Ledger::default(), NOW);
        for minutes in [15, 30, 60, 120, 240, 480, 960, 1440, 1440] {
            for _ in 0..WRONG {
                assert_eq!(ledger.take(&totp(), "000000", now), Verdict::Wrong);
                // As it is read again after a restart.
                ledger = serde_json::from_value(serde_json::to_value(&ledger).unwrap()).unwrap();
            }
            let until = now + minutes * 60;
            let before = ledger.clone();
            for at in [now, until - 1] {
                let given = ledger.take(&totp(), &code(at / 30), at);
                assert_eq!(given, Verdict::Locked(until));
            }
            assert_eq!(ledger, before, "locked, nothing is spent or counted");
            now = until;
        }
        assert_eq!(ledger.take(&totp(), &code(now / 30), now), Verdict::Right);
        // A right one neither forgets the wrong ones nor what the next lock costs.
        for _ in 0..WRONG {
            ledger.take(&totp(), "000000", now);
        }
        let locked = Verdict::Locked(now + LONGEST_LOCK);
        assert_eq!(ledger.take(&totp(), &code(now / 30 + 1), now), locked);
        ledger.unlock(now);
        assert_eq!(
            ledger.take(&totp(), &code(now / 30), now),
            Verdict::Wrong,
            "it is spent"
        );
        assert_eq!(ledger.take(&totp(), &code(now / 30 + 1), now), Verdict::Right);
    }

    /// The clock was ahead when a code was spent, and was set back.
    #[test]
    fn a_clock_that_was_ahead_keeps_nobody_out_once_unlocked() {
        let mut ledger = Ledger::default();
        let ahead = NOW + 10_000_000;
        assert_eq!(ledger.take(&totp(), &code(ahead / 30), ahead), Verdict::Right);
        assert_eq!(ledger.take(&totp(), &code(NOW / 30), NOW), Verdict::Wrong);
        ledger.unlock(NOW);
        for step in -1..=1 {
            assert_eq!(
                ledger.take(&totp(), &code(NOW / 30 + step), NOW),
                Verdict::Wrong,
                "{step}"
            );
        }
        assert_eq!(ledger.take(&totp(), &code(NOW / 30 + 2), NOW + 30), Verdict::Right);
    }

    #[test]
    fn wrong_ones_are_forgotten_after_a_day() {
        let mut ledger = Ledger::default();
        for _ in 1..WRONG {
            ledger.take(&totp(), "000000", NOW);
        }
        let later = NOW + FORGOTTEN + 1;
        ledger.take(&totp(), "000000", later);
        assert_eq!((ledger.wrong, ledger.locked(later)), (1, None));
    }

    proptest! {
        /// Whatever is given when: no step counts twice or goes back, nothing counts in a lock, and no more than five wrong
        /// ones are looked at between two locks.
        #[test]
        fn whatever_is_given(given in prop::collection::vec((0_i64..200, -3_i64..=3, any::<bool>()), 1..120)) {
            let (mut ledger, mut now, mut spent, mut wrong) = (Ledger::default(), NOW, BTreeSet::new(), 0);
            for (wait, off, is_code) in given {
                now += wait;
                let locked = ledger.locked(now);
                let text = if is_code { code(now / 30 + off) } else { "000000".to_owned() };
                let before = ledger.clone();
                match ledger.take(&totp(), &text, now) {
                    Verdict::Right => {
                        prop_assert!(locked.is_none() && off.abs() <= 1);
                        let step = now / 30 + off;
                        prop_assert!(spent.last().is_none_or(|last| step > *last));
                        spent.insert(step);
                    }
                    Verdict::Wrong => {
                        prop_assert!(locked.is_none());
                        let is_fresh = is_code && off.abs() <= 1 && spent.last().is_none_or(|last| now / 30 + off > *last);
                        prop_assert!(!is_fresh, "a good one was refused");
                        wrong += 1;
                        prop_assert!(wrong <= WRONG);
                        if ledger.locked(now).is_some() {
                            wrong = 0;
                        }
                    }
                    Verdict::Locked(until) => {
                        prop_assert_eq!(locked, Some(until));
                        prop_assert_eq!(&ledger, &before);
                    }
                }
            }
        }
    }
}
