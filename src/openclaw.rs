//! OpenClaw's side: its config, the hook's entry in it, its write lock, the hook's files.
//!
//! What flows through this room is a value of `openclaw.json`. [`config`] reads it (under [`lock`], through
//! [`mod@include`]), asks what is wanted instead, and has [`document`] put only the difference into the text; [`undo`]
//! remembers how to take that out again. What is wanted is decided by pure functions from value to value: [`entry`] for
//! a login, an install and the watcher, [`removal`] for a logout and an uninstall, [`plugin`] for the native plugin.
//!
//! Above them all stands one rule, in [`selection`]: the set of the user's other hooks that run must not change. OpenClaw
//! picks hooks by the whole of `hooks.internal` and by what its [`state_db`] tracks, so that an entry more or less can
//! switch all others on or off. Every decision is compared with it before and after; what cannot be kept is refused.
//!
//! [`hook_files`] puts onto the disk what OpenClaw loads, and takes it away. [`program`] runs `openclaw` itself for the
//! little that only it knows or may write. [`backups`] finds the copies that OpenClaw keeps of tokens.
//!
//! Everything said here of OpenClaw is OpenClaw 2026.9.6, read in its code or seen from outside.

pub mod backups;
pub mod channel;
pub mod config;
pub mod document;
pub mod entry;
pub mod hook_files;
pub mod include;
pub mod lock;
mod names;
pub mod plugin;
pub mod plugin_package;
pub mod program;
pub mod removal;
pub mod selection;
mod shape;
pub mod state_db;
pub mod substitution;
pub mod undo;
pub mod workspace;
