//! What the crate promises, by its public interface only.

mod comments;
mod documents;
mod edits;
mod parsers;
mod properties;
mod readme;
mod refused;
