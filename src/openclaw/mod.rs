//! OpenClaw's side: its config, the hook's entry in it, its write lock, the hook's files.

pub mod backups;
pub mod config;
pub mod document;
pub mod entry;
pub mod hook_files;
pub mod include;
pub mod lock;
pub mod plugin;
pub mod program;
pub mod removal;
pub mod selection;
pub mod state_db;
pub mod undo;
