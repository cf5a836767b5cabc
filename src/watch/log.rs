//! The log: standard error, one line an event, as text or as JSON. Never a token.

use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::text;
use clap::ValueEnum;
use std::fmt;
use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Sends what this process logs from now on to standard error. `RUST_LOG` filters it: `warn`, `debug`,
/// `sigilum_authz_notify::watch=debug,warn`; by default `info`.
pub fn to_stderr(format: LogFormat, env: &Env) -> Result<()> {
    let text = env.var("RUST_LOG").unwrap_or("info");
    let filter: Targets = text.parse().map_err(|_| {
        Error::new(ExitCode::Usage, "could not understand RUST_LOG")
            .next("export RUST_LOG=info; or for example RUST_LOG=sigilum_authz_notify=debug,warn")
    })?;
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    let begun = match format {
        LogFormat::Text => registry
            .with(layer.with_target(false).fmt_fields(MessageLast))
            .try_init(),
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    };
    // A second call in one process (tests, `serve` with its own log): the first one's stays.
    drop(begun);
    Ok(())
}

/// The fields of a line before its message, which may end in a command: `home=<folder>: <message>`.
struct MessageLast;

impl<'w> FormatFields<'w> for MessageLast {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut line = Line::default();
        fields.record(&mut line);
        match line.fields.is_empty() {
            true => write!(writer, "{}", line.message),
            false => write!(writer, "{}: {}", line.fields.join(" "), line.message),
        }
    }
}

#[derive(Default)]
struct Line {
    fields: Vec<String>,
    message: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = text::one_line(&format!("{value:?}")),
            name => self
                .fields
                .push(format!("{name}={}", text::one_line(&format!("{value:?}")))),
        }
    }
}

/// A text as one line: what ends lines or moves terminals is made harmless.
pub(super) fn one_line(text: impl std::fmt::Display) -> String {
    text::one_line(&text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_lines() {
        let error = Error::new(ExitCode::Failure, "could not write: /a\nb").next("try again");
        assert_eq!(one_line(error), "could not write: /a b; next: try again");
    }
}
