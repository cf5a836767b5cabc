//! `broker …`: its commands and flags.

use super::JsonArgs;
use crate::mode::Mode;
use crate::watch::log::LogFormat;
use clap::{ArgAction, Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `broker …`
#[derive(Debug, Subcommand)]
#[command(defer = true)]
#[allow(clippy::large_enum_variant, reason = "one value a process")]
pub enum BrokerCommand {
    /// Answer over a Unix socket, and renew the tokens that it keeps, until stopped
    #[command(after_help = super::texts::BROKER_RUN)]
    Run(BrokerRunArgs),
    /// Set up and unlock the second factor of whoever decides through the broker
    #[command(subcommand)]
    Totp(BrokerTotpCommand),
    /// List the decisions that were made here, as the broker's user
    #[command(after_help = super::texts::BROKER_LOG)]
    Log(BrokerLogArgs),
    /// Take the login of an OpenClaw home into the broker's folder, as root
    #[command(after_help = super::texts::BROKER_ADOPT)]
    Adopt(BrokerAdoptArgs),
    /// Give a login back to an OpenClaw home, as root
    #[command(after_help = super::texts::BROKER_RELEASE)]
    Release(BrokerHomesArgs),
}

/// `broker totp …`
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum BrokerTotpCommand {
    /// Make a new second factor, and show it to an app, in a terminal
    #[command(after_help = super::texts::BROKER_TOTP_ENROLL)]
    Enroll(BrokerStateArgs),
    /// Let codes count again after too many wrong ones, in a terminal
    #[command(after_help = super::texts::BROKER_TOTP_UNLOCK)]
    Unlock(BrokerStateArgs),
}

// Where the broker keeps everything.
#[derive(Debug, Clone, Default, Args)]
pub struct BrokerStateArgs {
    /// The broker's folder, which stands for an OpenClaw home [default: the unit's StateDirectory, else ~/.openclaw]
    #[arg(long, value_name = "PATH")]
    pub state: Option<PathBuf>,
}

// Options of `broker log`.
#[derive(Debug, Clone, Default, Args)]
pub struct BrokerLogArgs {
    #[command(flatten)]
    pub output: JsonArgs,
    #[command(flatten)]
    pub state: BrokerStateArgs,
}

// Both sides of a move. Options of `broker release`.
#[derive(Debug, Clone, Default, Args)]
pub struct BrokerHomesArgs {
    /// The OpenClaw home
    #[arg(value_name = "OPENCLAW HOME")]
    pub home: PathBuf,
    /// The broker's folder, which is its user's [default: $STATE_DIRECTORY]
    #[arg(long, value_name = "PATH")]
    pub state: Option<PathBuf>,
    /// Namespace [default: the only one that is logged in there]
    #[arg(long, value_name = "VALUE")]
    pub namespace: Option<String>,
}

// Options of `broker adopt`.
#[derive(Debug, Clone, Default, Args)]
pub struct BrokerAdoptArgs {
    #[command(flatten)]
    pub homes: BrokerHomesArgs,
    /// Sigilum mode: managed or oss-local [default: the recorded one, which is asked about]
    #[arg(long, value_enum, value_name = "MODE")]
    pub mode: Option<Mode>,
    /// Owner e-mail, for tokens that are signed here [default: the recorded one, which is asked about]
    #[arg(long, value_name = "VALUE")]
    pub email: Option<String>,
    /// Sigilum API base URL [default: the recorded one, which is asked about]
    #[arg(long, value_name = "URL")]
    pub api_url: Option<String>,
    /// Command that prints a new owner token; '' for none [default: the recorded one, which is asked about]
    #[arg(long, value_name = "COMMAND")]
    pub token_command: Option<String>,
    /// Sigilum source checkout [default: the recorded one, which is asked about]
    #[arg(long, value_name = "PATH")]
    pub source_home: Option<PathBuf>,
    /// The local API's SQLite database file [default: the recorded one, which is asked about]
    #[arg(long, value_name = "PATH")]
    pub api_db: Option<PathBuf>,
    /// Send the token to this machine's addresses whoever listens there [default: as recorded, which is asked about]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set)]
    pub trust_loopback: Option<bool>,
}

/// What decides over the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DecideBy {
    /// A code of the second factor that `broker totp enroll` set up.
    Totp,
}

/// A file that `broker run --print-unit` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BrokerUnit {
    /// A systemd system unit.
    Systemd,
    /// The system user that it runs as, for sysusers.d.
    Sysusers,
    /// A launchd daemon.
    Launchd,
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
    /// Take decisions over the socket from whoever has a code of the second factor [default: take none]
    #[arg(long, value_enum, value_name = "BY")]
    pub decide: Option<DecideBy>,
    /// How log lines look
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// Print a ready unit of the system's, or the user for it, and exit
    #[arg(long, value_enum, value_name = "KIND")]
    pub print_unit: Option<BrokerUnit>,
}
