//! Sigilum's side: its API and its gateway over HTTP, a source checkout, the local database.

pub mod api;
pub mod checkout;
pub mod decisions;
pub mod dev_vars;
pub mod gateway;
pub mod http;
pub mod local_db;
mod pages;
pub mod requests;
pub mod secrets;
