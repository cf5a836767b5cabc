//! What our edits put in and took out, and how to give the bytes back.
