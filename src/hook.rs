//! OpenClaw's events and what they are answered with: who asks and reads ([`event`]), what an operator is shown
//! ([`notice`], [`clean`]) and was before ([`seen`]), what goes back ([`answer`]); what a
//! command in a chat asks for ([`command`]), was about ([`shown`]) and is answered with ([`reply`]). Nothing here looks at a file or the network.

pub mod answer;
pub mod clean;
pub mod command;
pub mod event;
pub mod notice;
pub mod reply;
pub mod seen;
pub mod shown;
