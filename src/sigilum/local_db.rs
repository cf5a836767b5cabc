//! The local Sigilum API's SQLite database: wrangler's file or our own.
