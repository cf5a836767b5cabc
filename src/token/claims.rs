//! The owner token's claims: mint, inspect, check.
