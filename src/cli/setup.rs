//! `setup`

use super::{LocalApiArgs, OwnerArgs, PlaceArgs};
use crate::openclaw::hook_files::Kind;
use clap::{ArgAction, Args};

// Options of `setup`.
#[derive(Debug, Clone, Default, Args)]
pub struct SetupArgs {
    #[command(flatten)]
    pub owner: OwnerArgs,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub local_api: LocalApiArgs,
    /// Read the owner token from standard input; at a terminal it is asked for, without echo
    #[arg(long)]
    pub owner_token_stdin: bool,
    /// Directory hook or native plugin [default: what is installed; else plugin, where this OpenClaw has it]
    #[arg(long = "as", value_enum, value_name = "KIND")]
    pub kind: Option<Kind>,
    /// Who may answer requests in the chat, with the plugin: sender ids with their channel such as telegram:123456789,
    /// separated by commas; "" for nobody
    #[arg(long, value_name = "IDS")]
    pub deciders: Option<String>,
    /// Chat in which you are told at once of requests, such as matrix:@alice:localhost; "" for none
    #[arg(long, value_name = "CHANNEL:TARGET")]
    pub notify: Option<String>,
    /// Run the watcher as a service of yours [default: as it is; else true with the hook, where there is a service manager]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set)]
    pub unit: Option<bool>,
    /// Program that prints a fresh owner token (managed mode), for that service
    #[arg(long, value_name = "CMD")]
    pub token_command: Option<String>,
    /// Ask nothing: what no flag says is as it is, or the default
    #[arg(long)]
    pub yes: bool,
}
