//! OpenClaw's own write lock on its config.
