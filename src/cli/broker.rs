//! `broker …`: its commands and flags.

use crate::watch::log::LogFormat;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `broker …`
#[derive(Debug, Subcommand)]
#[command(defer = true)]
#[allow(clippy::large_enum_variant, reason = "one value a process")]
pub enum BrokerCommand {
    /// Answer over a Unix socket, and renew the tokens that it keeps, until stopped
    #[command(after_help = super::texts::BROKER_RUN)]
    Run(BrokerRunArgs),
}

// Options of `broker run`.
#[derive(Debug, Clone, Default, Args)]
pub struct BrokerRunArgs {
    /// Unix socket to answer at [default: the one that the service manager made]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Its folder, which stands for an OpenClaw home [default: the unit's StateDirectory, else ~/.openclaw]
    #[arg(long, value_name = "PATH")]
    pub state: Option<PathBuf>,
    /// User who may ask: the OpenClaw gateway's; a name or a number; may be repeated
    #[arg(long, value_name = "USER")]
    pub allow_uid: Vec<String>,
    /// Group whose users may ask; a name or a number; may be repeated
    #[arg(long, value_name = "GROUP")]
    pub allow_gid: Vec<String>,
    /// How log lines look
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}
