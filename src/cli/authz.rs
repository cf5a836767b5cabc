//! `authz …`: its commands and flags.

use super::{JsonArgs, ShowArgs};
use crate::request::STATUSES;
use crate::time;
use clap::{ArgGroup, Args, Subcommand, ValueEnum};

impl ListedStatus {
    /// As the flag spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            one => STATUSES[one as usize],
        }
    }
}

/// `authz …`
#[derive(Debug, Subcommand)]
#[command(defer = true)]
#[allow(clippy::large_enum_variant, reason = "one value a process")]
pub enum AuthzCommand {
    /// List the requests of a namespace
    #[command(after_help = super::texts::AUTHZ_LIST)]
    List(AuthzListArgs),
    /// Show everything about one request
    #[command(after_help = super::texts::AUTHZ_SHOW)]
    Show(AuthzShowArgs),
    /// Approve requests
    #[command(after_help = super::texts::AUTHZ_APPROVE)]
    Approve(AuthzApproveArgs),
    /// Reject requests
    #[command(after_help = super::texts::AUTHZ_REJECT)]
    Reject(AuthzRejectArgs),
    /// Take approvals back
    #[command(after_help = super::texts::AUTHZ_REVOKE)]
    Revoke(AuthzRevokeArgs),
    /// List the decisions that were made here
    #[command(after_help = super::texts::AUTHZ_LOG)]
    Log(AuthzLogArgs),
}

/// Which requests are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "the API's own words")]
pub enum ListedStatus {
    Pending,
    Approved,
    Rejected,
    Revoked,
    Expired,
    /// Of every status.
    All,
}

// Options of `authz list`.
#[derive(Debug, Clone, Args)]
pub struct AuthzListArgs {
    /// Only requests of this status
    #[arg(long, value_enum, value_name = "STATUS", default_value = "pending")]
    pub status: ListedStatus,
    /// Only requests for this service
    #[arg(long, value_name = "SLUG")]
    pub service: Option<String>,
    #[command(flatten)]
    pub output: JsonArgs,
    #[command(flatten)]
    pub owner: ShowArgs,
}

// Options of `authz show`.
#[derive(Debug, Clone, Args)]
pub struct AuthzShowArgs {
    /// Id of the request, or its first 11 characters
    #[arg(value_name = "ID")]
    pub id: String,
    #[command(flatten)]
    pub output: JsonArgs,
    #[command(flatten)]
    pub owner: ShowArgs,
}

// Which requests are decided.
#[derive(Debug, Clone, Default, Args)]
pub struct TargetArgs {
    /// Ids of requests, or their first 11 characters
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// The request for this service, with --key
    #[arg(long, value_name = "SLUG", requires = "key")]
    pub service: Option<String>,
    /// The request of the agent with this public key
    #[arg(long, value_name = "KEY", requires = "service")]
    pub key: Option<String>,
    /// Do not ask for confirmation
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub owner: ShowArgs,
}

// Options of `authz approve`.
#[derive(Debug, Clone, Args)]
#[command(group = named(&["ids", "service"]))]
pub struct AuthzApproveArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// Take the approval back after so long (30m, 1h, 3d): the watcher does
    #[arg(long = "for", value_name = "TIME", value_parser = parse_time, allow_hyphen_values = true)]
    pub time: Option<i64>,
    /// Do it even where no watcher runs that would take the approval back
    #[arg(long, requires = "time")]
    pub even_without_watcher: bool,
}

// Options of `authz reject`.
#[derive(Debug, Clone, Args)]
#[command(group = named(&["ids", "service", "all"]))]
pub struct AuthzRejectArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// Everything that waits for approval; needs --yes
    #[arg(long)]
    pub all: bool,
}

// Options of `authz revoke`.
#[derive(Debug, Clone, Args)]
#[command(group = named(&["ids", "service"]))]
pub struct AuthzRevokeArgs {
    #[command(flatten)]
    pub target: TargetArgs,
}

// Options of `authz log`.
#[derive(Debug, Clone, Args)]
pub struct AuthzLogArgs {
    #[command(flatten)]
    pub output: JsonArgs,
    #[command(flatten)]
    pub owner: ShowArgs,
}

/// One of these ways to name requests is needed.
fn named(ways: &'static [&'static str]) -> ArgGroup {
    ArgGroup::new("requests").args(ways).required(true)
}

fn parse_time(text: &str) -> Result<i64, String> {
    time::parse_duration(text)
        .ok_or_else(|| "give a whole number of minutes, hours or days, a year at most: 30m, 1h, 3d".to_owned())
}
