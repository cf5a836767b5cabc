//! `authz …`: the owner's requests, listed and decided; `chat` does so for `/sigilum …`.

mod asked;
pub mod chat;
pub mod decide;
mod failure;
pub mod list;
pub mod log;
pub mod show;
pub mod site;
mod target;
mod text;
