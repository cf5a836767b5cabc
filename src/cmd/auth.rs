//! `auth …`: the owner token and its record.

pub mod login;
pub mod logout;
pub mod show;
pub mod status;
