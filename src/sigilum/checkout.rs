//! A Sigilum source checkout: its database file, its JWT secret, its migrations.

use std::path::{Path, PathBuf};

/// The nearest folder upward that holds `apps/api/wrangler.toml(.example)`.
pub fn find_upward(_from: &Path) -> Option<PathBuf> {
    None
}
