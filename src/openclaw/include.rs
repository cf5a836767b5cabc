//! Which file holds the hook's entry where openclaw.json uses $include.
