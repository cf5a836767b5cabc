//! `service …`: services of a namespace, their API keys and upstream secrets, their Sigilum gateway connections.

mod acts;
pub mod add;
mod connection;
pub mod list;
mod options;
pub mod remove;
mod report;
pub mod rotate_key;
pub mod secret_set;
mod site;
mod upstream_secret;
