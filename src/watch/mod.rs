//! The watcher: file events and due times in, actions out. `plan` decides, `run` does.

pub mod plan;
pub mod run;
