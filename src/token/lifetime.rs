//! When a token is due for renewal.
//!
//! `life = exp − iat`; `left = min(max(life × fraction, 60 s), life / 2)`; due at `exp − left × (1 + j)` with a jitter
//! `j` of 0 to 0.05, so that many homes that logged in together do not renew together.

use super::claims::Inspected;
use super::times::LATEST;
use crate::time;

/// The fraction of a token's life that is left when it is renewed, unless `--renew-at` says otherwise.
pub const DEFAULT_FRACTION: f64 = 1.0 / 3.0;

/// The largest jitter.
pub const MAX_JITTER: f64 = 0.05;

/// The least time that is left at a renewal, in seconds, where half the life is not less.
const MIN_LEFT: f64 = 60.0;

/// When a token expires; `None` where it says nothing of it, or no date.
pub fn expires_at(says: &Inspected) -> Option<i64> {
    says.exp.filter(|exp| *exp < LATEST)
}

/// When a token expires, for people: `2026-11-22T06:20:37Z (in 6 d 23 h)`.
pub fn expiry_text(says: &Inspected, now: i64) -> String {
    let Some(exp) = says.exp else {
        return "never (the token has no expiry)".to_owned();
    };
    if let Some(fault) = says.time_fault(now).filter(|_| exp >= LATEST) {
        return format!("not known: {fault}");
    }
    let left = exp.saturating_sub(now);
    let length = time::duration(left);
    let left = if left > 0 {
        format!("in {length}")
    } else {
        format!("{length} ago")
    };
    format!("{} ({left})", time::rfc3339(exp))
}

/// Whether a token ends so soon that a person should hear of it where nothing renews it: within a day, or within the last
/// third of a life that is shorter than three.
pub fn is_near_end(says: &Inspected, now: i64) -> bool {
    const DAY: i64 = 24 * 3600;
    let life = says.life().and_then(|life| i64::try_from(life).ok());
    let left = expires_at(says).map(|exp| exp.saturating_sub(now));
    left.is_some_and(|left| left <= life.map_or(DAY, |life| DAY.min(life / 3)))
}

/// When a token was issued and when it expires, in Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// Issued at.
    pub iat: i64,
    /// Expires at.
    pub exp: i64,
}

impl Lifetime {
    /// `exp − iat` in seconds; 0 where they are out of order.
    pub fn life(&self) -> i64 {
        self.exp.saturating_sub(self.iat).max(0)
    }

    /// When the token is due, in Unix milliseconds. `fraction` is that of `--renew-at`, `jitter` is between 0 and
    /// [`MAX_JITTER`]; 0 gives the latest moment at which the token may become due.
    pub fn due_at_ms(&self, fraction: f64, jitter: f64) -> i64 {
        let life = self.life() as f64;
        let left = (life * fraction).max(MIN_LEFT).min(life / 2.0);
        let left_ms = (left * (1.0 + jitter) * 1000.0).round() as i64;
        self.exp.saturating_mul(1000).saturating_sub(left_ms)
    }
}

/// Whether a token that says this is due at `now` (Unix seconds), by the default fraction and without jitter. One whose
/// times cannot be right is due; one that does not say when it was issued or when it expires is never due.
pub fn is_due(says: &Inspected, now: i64) -> bool {
    if says.time_fault(now).is_some() {
        return true;
    }
    let (Some(iat), Some(exp)) = (says.iat, says.exp) else {
        return false;
    };
    Lifetime { iat, exp }.due_at_ms(DEFAULT_FRACTION, 0.0) <= now.saturating_mul(1000)
}

/// The jitter of one token of one place: the same whenever it is asked for, spread evenly over 0 to [`MAX_JITTER`].
pub fn jitter(seed: u64, place: &[u8], token: Lifetime) -> f64 {
    let words = [token.iat.to_le_bytes(), token.exp.to_le_bytes()];
    let bytes = place.iter().chain(words.iter().flatten());
    // FNV-1a, then the finish of SplitMix64: the few bits in which two places differ reach every bit of the result.
    let mut mixed = bytes.fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    (mixed >> 11) as f64 / (1u64 << 53) as f64 * MAX_JITTER
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::times::{LONGEST, TimeFault};

    #[test]
    fn due_times() {
        const HOUR: i64 = 3_600;
        // life, fraction, jitter -> seconds before expiry
        let cases = [
            (7 * 24 * HOUR, DEFAULT_FRACTION, 0.0, 201_600.0),
            (7 * 24 * HOUR, DEFAULT_FRACTION, 0.05, 211_680.0),
            (HOUR, DEFAULT_FRACTION, 0.0, 1_200.0),
            (600, DEFAULT_FRACTION, 0.0, 200.0),
            (150, DEFAULT_FRACTION, 0.0, 60.0),
            (120, DEFAULT_FRACTION, 0.0, 60.0),
            (100, DEFAULT_FRACTION, 0.0, 50.0),
            (60, DEFAULT_FRACTION, 0.05, 31.5),
            (1, DEFAULT_FRACTION, 0.0, 0.5),
            (HOUR, 0.9, 0.0, 1_800.0),
            (HOUR, 0.001, 0.0, 60.0),
            (0, DEFAULT_FRACTION, 0.05, 0.0),
            (-5, DEFAULT_FRACTION, 0.05, 0.0),
        ];
        let exp = 1_800_000_000;
        for (life, fraction, jitter, before) in cases {
            let token = Lifetime { iat: exp - life, exp };
            let due = token.due_at_ms(fraction, jitter);
            assert_eq!(exp * 1000 - due, (before * 1000.0) as i64, "life {life}");
        }
    }

    #[test]
    fn times_that_cannot_be_right_are_named_and_make_a_token_due() {
        const NOW: i64 = 1_800_000_000;
        const WEEK: i64 = 604_800;
        let longest = i64::try_from(LONGEST).unwrap();
        let ms = Some(TimeFault::Unit("milliseconds"));
        let future = Some(TimeFault::FromFuture);
        let (long, none) = (Some(TimeFault::TooLong), Some(TimeFault::NoDate));
        // iat, exp; the fault, whether it is due, what is said of its expiry
        let cases = [
            (
                Some(NOW),
                Some(NOW + WEEK),
                None,
                false,
                "2027-01-22T08:00:00Z (in 7 d)",
            ),
            (Some(NOW + 300), Some(NOW + WEEK), None, false, "(in 7 d)"),
            (Some(NOW + 301), Some(NOW + WEEK), future, true, "(in 7 d)"),
            (
                Some(NOW + 315_576_000),
                Some(NOW + 315_576_000 + WEEK),
                future,
                true,
                "(in 3659 d 12 h)",
            ),
            (
                Some(NOW * 1000),
                Some((NOW + WEEK) * 1000),
                ms,
                true,
                "not known: the token's times (iat, exp) are in milli",
            ),
            (Some(NOW), Some((NOW + WEEK) * 1000), ms, true, "not known: "),
            (None, Some((NOW - WEEK) * 1000), ms, true, "not known: "),
            (Some(NOW * 1000), Some(NOW + WEEK), ms, true, "(in 7 d)"),
            (Some(NOW), Some(NOW + longest), None, false, "(in 3660 d)"),
            (Some(NOW), Some(NOW + longest + 1), long, true, "(in 3660 d)"),
            (None, Some(NOW + longest + 1), long, true, "(in 3660 d)"),
            (
                Some(NOW),
                Some(NOW * 1_000_000),
                Some(TimeFault::Unit("microseconds")),
                true,
                "not known: the token's times (iat, exp) are in microseconds",
            ),
            (
                Some(NOW),
                Some(NOW * 1_000_000_000),
                Some(TimeFault::Unit("nanoseconds")),
                true,
                "not known: the token's times (iat, exp) are in nanoseconds",
            ),
            // The last second of the year 9999, and JavaScript's largest number.
            (
                Some(NOW),
                Some(253_402_300_799),
                long,
                true,
                "not known: the token lives for over ten years",
            ),
            (
                Some(NOW),
                Some((1 << 53) - 1),
                none,
                true,
                "not known: the token's times (iat, exp) are no dates",
            ),
            (Some(i64::MIN), Some(i64::MAX), none, true, "not known: "),
            (Some(i64::MAX), Some(i64::MIN), none, true, "ago)"),
            (Some(i64::MAX), None, none, true, "never"),
            (Some(i64::MIN), Some(NOW + 1), long, true, "(in 1 s)"),
            (Some(NOW - WEEK), Some(i64::MIN), None, true, "ago)"),
            (None, None, None, false, "never"),
        ];
        for (iat, exp, fault, due, expiry) in cases {
            let says = Inspected {
                namespace: "alice".into(),
                sub: None,
                email: None,
                iss: None,
                audience_ok: true,
                iat,
                exp,
                nbf: None,
            };
            assert_eq!(
                (says.time_fault(NOW), is_due(&says, NOW)),
                (fault, due),
                "{iat:?} {exp:?}"
            );
            let text = expiry_text(&says, NOW);
            assert!(text.contains(expiry), "{iat:?} {exp:?}: {text}");
        }
    }

    #[test]
    fn absurd_times_do_not_overflow() {
        for (iat, exp) in [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (0, i64::MAX), (0, i64::MIN)] {
            let due = Lifetime { iat, exp }.due_at_ms(DEFAULT_FRACTION, MAX_JITTER);
            assert!(due <= exp.saturating_mul(1000), "{iat} {exp}");
        }
    }

    #[test]
    fn jitter_is_repeatable_and_spread() {
        let token = Lifetime {
            iat: 1_800_000_000,
            exp: 1_800_000_060,
        };
        let all: Vec<f64> = (0..1000)
            .map(|home| jitter(7, format!("/home/u{home}/.openclaw").as_bytes(), token))
            .collect();
        assert!(all.iter().all(|j| (0.0..=MAX_JITTER).contains(j)));
        for tenth in 0..10 {
            let low = f64::from(tenth) * MAX_JITTER / 10.0;
            let within = all
                .iter()
                .filter(|j| (low..low + MAX_JITTER / 10.0).contains(*j))
                .count();
            assert!((50..200).contains(&within), "{within} of 1000 in one tenth");
        }
        assert_eq!(all[3], jitter(7, b"/home/u3/.openclaw", token));
        assert_ne!(all[3], jitter(8, b"/home/u3/.openclaw", token));
    }
}
