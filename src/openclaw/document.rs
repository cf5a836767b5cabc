//! JSON5 text and its value, and an edit that changes only the members it means.
