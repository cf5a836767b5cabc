//! `authz …`: the owner's requests, listed and decided.

mod asked;
pub mod decide;
mod failure;
pub mod list;
pub mod log;
pub mod show;
mod site;
mod target;
mod text;
