//! The edit of openclaw.json from lock to rename: read, parse, edit, check, swap.
