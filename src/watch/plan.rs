//! The pure part: the state of the world and the time in, actions and the next wake-up out.
