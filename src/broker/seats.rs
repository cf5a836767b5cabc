//! How many may be connected, in all and of one user; who has gone while a question of theirs is under way still is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many in all.
pub const SEATS: usize = 64;
/// So many of one user.
pub const OF_ONE: usize = 8;

/// The seats.
#[derive(Debug, Clone, Default)]
pub struct Seats(Arc<Mutex<BTreeMap<u32, usize>>>);

/// One that is taken, until it is dropped.
#[derive(Debug)]
pub struct Seat {
    uid: u32,
    of: Seats,
}

impl Seats {
    /// Takes one for a user.
    ///
    /// # Errors
    /// Why there is none.
    pub fn take(&self, uid: u32) -> Result<Seat, String> {
        let mut taken = self.taken();
        let theirs = taken.get(&uid).copied().unwrap_or_default();
        if theirs >= OF_ONE {
            return Err(format!("{OF_ONE} connections of this user are open already"));
        }
        if taken.values().sum::<usize>() >= SEATS {
            return Err(format!("{SEATS} connections are open already"));
        }
        taken.insert(uid, theirs + 1);
        drop(taken);
        Ok(Seat { uid, of: self.clone() })
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<u32, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Whose it is.
    pub fn uid(&self) -> u32 {
        self.uid
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.of.taken();
        match taken.get_mut(&self.uid) {
            Some(theirs) if *theirs > 1 => *theirs -= 1,
            _ => drop(taken.remove(&self.uid)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_more_than_their_seats() {
        let seats = Seats::default();
        let mut first: Vec<Seat> = (0..OF_ONE).map(|_| seats.take(1000).unwrap()).collect();
        assert!(seats.take(1000).unwrap_err().contains("of this user"));
        let mut others: Vec<Seat> = (OF_ONE..SEATS)
            .map(|n| seats.take(2000 + u32::try_from(n / OF_ONE).unwrap()).unwrap())
            .collect();
        assert!(seats.take(3000).unwrap_err().starts_with("64 connections"));
        drop(first.pop());
        others.push(seats.take(3000).unwrap());
        assert!(seats.take(1000).is_err());
        drop((first, others));
        assert!(seats.taken().is_empty());
    }
}
