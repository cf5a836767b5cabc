//! What an operator reads, made safe.
