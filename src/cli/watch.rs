//! The arguments of `watch` and `serve`.

use super::{PlaceArgs, values};
use crate::hook_record::{self, ChatTarget};
use crate::watch::log::LogFormat;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// A service manager whose unit `watch --print-unit` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UnitKind {
    /// A systemd user unit.
    Systemd,
    /// A launchd agent.
    Launchd,
}

// Options of `watch`.
#[derive(Debug, Clone, Args)]
pub struct WatchArgs {
    /// OpenClaw home to serve; may be repeated [default: the one that the other commands would take]
    #[arg(long, value_name = "PATH")]
    pub openclaw_home: Vec<PathBuf>,
    /// Serve ~/.openclaw and every ~/.openclaw-*
    #[arg(long, conflicts_with = "openclaw_home")]
    pub all: bool,
    /// Renew when this fraction of a token's life is left
    #[arg(long, value_name = "FRACTION", default_value_t = 1.0 / 3.0, value_parser = values::fraction, allow_negative_numbers = true)]
    pub renew_at: f64,
    /// Program that prints a fresh owner token (managed mode)
    #[arg(long, value_name = "CMD")]
    pub token_command: Option<String>,
    /// Seed of the jitter, for repeatable runs
    #[arg(long, value_name = "N", value_parser = values::seed, allow_negative_numbers = true)]
    pub seed: Option<u64>,
    /// Chat in which the owner is told at once of requests, such as matrix:@alice:localhost [default: the recorded one]
    #[arg(long, value_name = "CHANNEL:TARGET")]
    pub notify: Option<ChatTarget>,
    /// How often the API is asked for requests while there is such a chat: 5s to 60m, or off [default: recorded, or 15s]
    #[arg(long, value_name = "TIME", value_parser = hook_record::poll_requests)]
    pub poll_requests: Option<u64>,
    /// Look every 5 s instead of waiting for file events
    #[arg(long)]
    pub poll: bool,
    /// Look once, renew what is due, put it into openclaw.json, and end
    #[arg(long)]
    pub once: bool,
    /// Say whether the watcher lives and nothing of it is overdue, and exit: for a probe
    #[arg(long, conflicts_with_all = ["once", "install_unit", "remove_unit", "print_unit"])]
    pub check: bool,
    /// How log lines look
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// Print a ready unit for a service manager, and exit
    #[arg(long, value_enum, value_name = "KIND")]
    pub print_unit: Option<UnitKind>,
    /// Write that unit to where systemd's user manager, on macOS launchd, looks, start it, and exit
    #[arg(long, conflicts_with_all = ["print_unit", "once"])]
    pub install_unit: bool,
    /// Stop that unit and remove it, and exit
    #[arg(long, conflicts_with_all = ["install_unit", "print_unit", "once"])]
    pub remove_unit: bool,
}

// Options of `serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Talk over standard input and output
    #[arg(long, required = true)]
    pub stdio: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Answer without watching
    #[arg(long)]
    pub no_watch: bool,
}
