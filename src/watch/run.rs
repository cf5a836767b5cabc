//! The machinery: file events, the clock, the actions.
