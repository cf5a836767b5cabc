//! The hook's entry in openclaw.json: what is there, what is wanted, and which other hooks run.
