//! Who was refused, and when that is told: whoever connects without end fills no log.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A user is told of once in this time.
const PAUSE: Duration = Duration::from_secs(60);
/// So many users are kept; of more nothing is told.
const USERS: usize = 64;

/// Those who were refused of late.
#[derive(Debug, Default)]
pub struct Strangers(BTreeMap<u32, Refused>);

#[derive(Debug)]
struct Refused {
    told: Instant,
    since: u64,
}

impl Strangers {
    /// One is refused. Gives how many connections of theirs were since that was told last, where it is to be told now.
    pub fn refused(&mut self, uid: u32, now: Instant) -> Option<u64> {
        if let Some(known) = self.0.get_mut(&uid) {
            known.since += 1;
            let is_due = now.duration_since(known.told) >= PAUSE;
            return is_due.then(|| {
                known.told = now;
                std::mem::take(&mut known.since)
            });
        }
        if self.0.len() >= USERS {
            self.0.retain(|_, known| now.duration_since(known.told) < PAUSE);
        }
        (self.0.len() < USERS).then(|| {
            self.0.insert(uid, Refused { told: now, since: 0 });
            1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_of_once_a_minute_and_no_more_than_some() {
        let (mut strangers, begun) = (Strangers::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(strangers.refused(7, at(0)), Some(1));
        for _ in 0..1000 {
            assert_eq!(strangers.refused(7, at(59)), None);
        }
        assert_eq!(strangers.refused(8, at(59)), Some(1));
        assert_eq!(strangers.refused(7, at(60)), Some(1001));
        let told = (100..10_000).filter(|uid| strangers.refused(*uid, at(61)).is_some());
        assert_eq!(told.count(), USERS - 2);
        assert_eq!(strangers.refused(9, at(200)), Some(1));
        assert_eq!(strangers.0.len(), 1);
    }
}
