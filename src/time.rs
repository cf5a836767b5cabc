//! Unix seconds, and how people read them.

use std::time::{SystemTime, UNIX_EPOCH};

/// The wall clock in Unix seconds.
pub fn now() -> i64 {
    now_ms().div_euclid(1000)
}

/// The wall clock in Unix milliseconds.
pub fn now_ms() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    }
}

/// Unix seconds as RFC 3339 in UTC: `2026-11-22T06:20:37Z`; the bare number where a calendar has no such year.
pub fn rfc3339(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

/// The Unix seconds of an HTTP `Date` header: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
pub fn of_http_date(text: &str) -> Option<i64> {
    let time = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(time.timestamp().as_second())
}

/// A length of time in its one or two largest units: `6 d 23 h`, `5 min`, `0 s`.
pub fn duration(seconds: i64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let total = seconds.unsigned_abs();
    let largest = UNITS.iter().position(|(size, _)| total >= *size).unwrap_or(3);
    let (size, unit) = UNITS[largest];
    let first = format!("{} {unit}", total / size);
    match UNITS.get(largest + 1).map(|(next, unit)| (total % size / next, unit)) {
        Some((count, unit)) if count > 0 => format!("{first} {count} {unit}"),
        _ => first,
    }
}

/// Seconds of a length of time as people type it: `30m`, `1h`, `3d`; a minute at least, 365 days at most.
pub fn parse_duration(text: &str) -> Option<i64> {
    let unit = match text.trim_start_matches(|c: char| c.is_ascii_digit()) {
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let number = text
        .trim_end_matches(|c: char| !c.is_ascii_digit())
        .parse::<i64>()
        .ok()?;
    Some(number.checked_mul(unit)?).filter(|seconds| (60..=365 * 86_400).contains(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_in_their_two_largest_units() {
        let cases = [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (90, "1 min 30 s"),
            (3_600, "1 h"),
            (604_800, "7 d"),
            (604_799, "6 d 23 h"),
            (86_460, "1 d"),
            (-120, "2 min"),
        ];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn times_read_as_rfc_3339() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(i64::MAX), i64::MAX.to_string());
    }

    #[test]
    fn a_date_header_is_read() {
        assert_eq!(of_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(of_http_date("1994-11-06T08:49:37Z"), None);
    }

    #[test]
    fn lengths_of_time_as_people_type_them() {
        let cases = [
            ("30m", Some(1_800)),
            ("5min", Some(300)),
            ("1h", Some(3_600)),
            ("3d", Some(259_200)),
            ("365d", Some(31_536_000)),
            ("366d", None),
            ("0h", None),
            ("30s", None),
            ("1", None),
            ("h", None),
            ("-1h", None),
            ("1.5h", None),
            ("1h30m", None),
            ("", None),
            ("99999999999999999999d", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse_duration(text), seconds, "{text:?}");
        }
    }
}
