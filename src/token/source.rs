//! Where a new owner token comes from.
