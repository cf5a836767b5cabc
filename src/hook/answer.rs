//! What an event is answered with.

use crate::error::{Error, ExitCode};
use crate::hook::event::{Asks, Event};
use crate::hook::notice::{self, Form};
use crate::text;
use serde::{Deserialize, Serialize};

/// What goes back: messages for the chat, lines for the log.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// For the chat that the event came from.
    pub messages: Vec<String>,
    /// For the log of the OpenClaw gateway, each one line.
    pub logs: Vec<String>,
}

impl Answer {
    /// Nothing for the chat, one line for the log.
    pub fn log(line: impl AsRef<str>) -> Self {
        Self {
            messages: Vec::new(),
            logs: vec![text::one_line(line.as_ref())],
        }
    }
}

/// The answer where the settings are wrong: the log has the reason, the operator the `command` that shows it. `form` is
/// how much they may see.
pub fn not_set_up(event: &Event, form: Option<Form>, command: &str, error: &Error) -> Answer {
    let message = form.filter(|_| event.asks() == Asks::Notice).map(|form| {
        let what = match error.code {
            ExitCode::Token => "there is no owner token",
            _ => "the hook is not set up right",
        };
        notice::problem(what, command, form)
    });
    Answer {
        messages: message.into_iter().collect(),
        logs: vec![text::one_line(&error.to_string())],
    }
}
