//! The owner's decisions: what is typed for a request, one decision from its intent to its result, the log of all of them,
//! and approvals that end by themselves.
//!
//! [`decide`] is the one place where a decision is sent. What came of it is a value, [`decide::Decided`], for whoever tells
//! people of it.

pub mod decide;
pub mod decision_log;
pub mod short_id;
pub mod timed;
