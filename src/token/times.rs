//! Whether a token's times can be relied on.

/// The longest life of a token, in seconds: ten years.
pub const LONGEST: u64 = 10 * 366 * 86_400;

/// A clock may be so many seconds ahead of another one.
pub(super) const CLOCKS_DIFFER: i64 = 300;

/// The year 5138 in seconds; in milliseconds it is 1973.
pub(super) const LATEST: i64 = 100_000_000_000;

/// Why a token's times cannot be right. Whoever can renew such a token does so, whatever it says of its expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeFault {
    /// As JavaScript counts time, or a more precise clock: the unit.
    #[error("the token's times (iat, exp) are in {0}, where the API reads seconds")]
    Unit(&'static str),
    /// In no calendar.
    #[error("the token's times (iat, exp) are no dates")]
    NoDate,
    /// Issued over five minutes from now: this clock or the issuer's was, or is, wrong.
    #[error("the token's issue time (iat) is in the future; is this machine's clock right?")]
    FromFuture,
    /// Over [`LONGEST`].
    #[error("the token lives for over ten years")]
    TooLong,
}

/// What is wrong with a token's times (Unix seconds), as seen at `now`.
pub fn time_fault(iat: Option<i64>, exp: Option<i64>, now: i64) -> Option<TimeFault> {
    let longest = i64::try_from(LONGEST).unwrap_or(i64::MAX);
    let latest = exp.max(iat)?;
    let life = exp.map(|exp| exp.saturating_sub(iat.unwrap_or(now)));
    if let Some(unit) = finer_unit(latest) {
        Some(TimeFault::Unit(unit))
    } else if latest >= LATEST.saturating_mul(1000) {
        Some(TimeFault::NoDate)
    } else if iat.is_some_and(|iat| iat > now.saturating_add(CLOCKS_DIFFER)) {
        Some(TimeFault::FromFuture)
    } else if life.is_some_and(|life| life > longest) {
        Some(TimeFault::TooLong)
    } else {
        None
    }
}

/// The unit in which a time is a date of 2001 to 2128, where that is a finer one than seconds.
fn finer_unit(time: i64) -> Option<&'static str> {
    const UNITS: [(&str, i64); 3] = [
        ("milliseconds", 1_000),
        ("microseconds", 1_000_000),
        ("nanoseconds", 1_000_000_000),
    ];
    let dates = 1_000_000_000..5_000_000_000;
    let is_date = |(_, per_second): &&(&str, i64)| dates.contains(&(time / per_second));
    UNITS.iter().find(is_date).map(|(unit, _)| *unit)
}
