//! `hook …`: what OpenClaw loads and asks. `answer` joins what an answer needs, for [`run`] and for `serve`; the answer's
//! own words and rules are [`crate::hook`]'s.

pub mod answer;
pub mod caller;
pub mod deciders;
pub mod install;
pub mod install_broker;
pub mod install_choices;
mod install_told;
mod install_whom;
pub mod run;
pub mod status;
pub mod uninstall;
