//! The token's file and the lock that keeps file, record and config in step.
