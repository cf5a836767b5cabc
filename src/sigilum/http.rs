//! The one HTTP client, and the rules for secrets on the wire.
