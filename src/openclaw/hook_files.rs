//! The hook's and the plugin's files: install, check, remove.
