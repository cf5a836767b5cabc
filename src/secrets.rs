//! Service keys and connection secrets: load or create, mask.
