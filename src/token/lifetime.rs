//! When a token is due for renewal.
