//! `auth …`: the owner token and its record.

pub mod accept;
pub mod login;
pub mod logout;
pub mod show;
pub mod state;
pub mod status;
pub mod stored;
pub mod switch;
