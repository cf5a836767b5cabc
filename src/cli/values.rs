//! The values of flags that are numbers: what is expected, in words for a person.

/// `--ttl-seconds`. What is too much is refused where the longest life is known.
pub(super) fn life(text: &str) -> Result<u64, String> {
    whole(text).ok_or_else(|| "give a whole number of seconds, such as 604800 for 7 days".to_owned())
}

/// `--wait`
pub(super) fn wait(text: &str) -> Result<u64, String> {
    let seconds = whole(text).filter(|seconds| *seconds <= 3600);
    seconds.ok_or_else(|| "give a whole number of seconds from 0 to 3600, such as 60".to_owned())
}

/// `--renew-at`
pub(super) fn fraction(text: &str) -> Result<f64, String> {
    let fraction = text.trim().parse().ok();
    fraction.ok_or_else(|| "give a fraction between 0 and 1, such as 0.25".to_owned())
}

/// `--seed`
pub(super) fn seed(text: &str) -> Result<u64, String> {
    whole(text).ok_or_else(|| "give a whole number, such as 7".to_owned())
}

fn whole(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}
