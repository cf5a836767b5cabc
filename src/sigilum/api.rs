//! The Sigilum API: pending claims of a namespace.
