//! Every command, flag, default and help text. Behaviour lives in [`crate::cmd`].
//!
//! Arguments are set up for the command that is asked for only (`defer`): for all of them that was a third of all that
//! `hook run` computes.

#![allow(
    missing_docs,
    reason = "the doc comment of a deferred command's arguments would take the place of the command's own"
)]
#![allow(
    rustdoc::invalid_html_tags,
    rustdoc::broken_intra_doc_links,
    reason = "help texts are plain text: `<namespace>` and `[default: …]` stand for themselves"
)]

mod authz;
mod broker;
mod service;
mod setup;
mod suggest;
mod texts;
mod values;
mod watch;

pub use authz::*;
pub use broker::*;
pub use service::*;
pub use setup::*;
pub use watch::*;

use crate::error::Called;
use crate::fs;
use crate::home;
use crate::hook_record::{self, Groups};
use crate::mode::Mode;
use crate::openclaw::entry::Enable;
use crate::openclaw::hook_files::Kind;
use clap::error::ErrorKind;
use clap::{ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use secrecy::SecretString;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Tells a Sigilum namespace owner, in an OpenClaw chat, that agents wait for approval.
#[derive(Debug, Parser)]
#[command(version = env!("SIGILUM_AUTHZ_NOTIFY_VERSION"), about, propagate_version = true, after_help = texts::PROGRAM)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Say only what was asked for, and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say on standard error what is read, asked, run and written; never a secret
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// What the command was told of the home and its owner.
    #[arg(skip)]
    pub called: Called,
}

/// Flags that may stand alone or before `true` or `false`, in commands that take a word of its own too.
const SWITCHES: [&str; 2] = ["--json", "--reveal-secrets"];

impl Cli {
    /// Parses a command line. A word that follows a switch and is neither `true` nor `false` is no value of it:
    /// `service remove --json linear`.
    ///
    /// # Errors
    /// What clap has to say: help and version too.
    pub fn from_args(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut args = args.into_iter().peekable();
        let mut spelled_out = Vec::new();
        while let Some(mut arg) = args.next() {
            let alone = |next: &OsString| next != "true" && next != "false";
            if SWITCHES.iter().any(|switch| arg == *switch) && args.peek().is_some_and(alone) {
                arg.push("=true");
            }
            spelled_out.push(arg);
        }
        // `help auth login --help` asks for help once.
        if spelled_out.get(1).is_some_and(|word| word == "help") {
            spelled_out.retain(|word| word != "--help" && word != "-h");
        }
        let matches = match Self::command().try_get_matches_from(spelled_out) {
            // A command has the program's version, and no name of its own beside it.
            Err(error) if error.kind() == ErrorKind::DisplayVersion => {
                Self::command().try_get_matches_from([env!("CARGO_PKG_NAME"), "--version"])
            }
            matches => matches,
        };
        let matches = matches.map_err(suggest::in_groups)?;
        let called = called(&matches);
        Ok(Self {
            called,
            ..Self::from_arg_matches(&matches)?
        })
    }
}

/// A path that was typed, for a command that is printed: absolute, in a shell's quotes.
pub fn quoted(path: &Path) -> String {
    fs::quoted(&home::absolute(path).unwrap_or_else(|_| path.to_owned()))
}

/// What a command line says of the home and its owner.
fn called(matches: &ArgMatches) -> Called {
    let mut matches = matches;
    while let Some((_, command)) = matches.subcommand() {
        matches = command;
    }
    let path = |(flag, id)| {
        let path = matches.try_get_one::<PathBuf>(id).ok()??;
        Some((flag, quoted(path)))
    };
    let text = |(flag, id)| {
        let text = matches.try_get_one::<String>(id).ok()??;
        Some((flag, fs::quoted(text.as_ref())))
    };
    let texts = [
        ("--namespace", "namespace"),
        ("--api-url", "api_url"),
        ("--gateway-admin-url", "gateway_admin_url"),
    ];
    let paths = [
        ("--source-home", "source_home"),
        ("--api-db", "api_db"),
        ("--token-file", "token_file"),
        ("--gateway-data-dir", "gateway_data_dir"),
    ];
    let place = [("--openclaw-home", "openclaw_home"), ("--config", "config")];
    // A watcher may be told several homes: none of them is the one that a step is for.
    let homes = matches.try_get_many::<PathBuf>("openclaw_home").ok().flatten();
    let is_one = homes.is_none_or(|homes| homes.len() == 1);
    let place = place.into_iter().filter(|(_, id)| is_one || *id != "openclaw_home");
    Called {
        place: place.filter_map(path).collect(),
        owner: texts
            .into_iter()
            .filter_map(text)
            .chain(paths.into_iter().filter_map(path))
            .collect(),
        ..Called::default()
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
#[allow(clippy::large_enum_variant, reason = "one value a process")]
pub enum Command {
    /// Set everything up: ask what is to be known, show the commands that do it, ask once, run them
    #[command(after_help = texts::SETUP)]
    Setup(SetupArgs),
    /// Make, store and show the namespace-owner token
    #[command(subcommand)]
    Auth(AuthCommand),
    /// Alias of `auth login`
    #[command(after_help = texts::LOGIN)]
    Login(LoginArgs),
    /// List and decide the requests of agents
    #[command(subcommand)]
    Authz(AuthzCommand),
    /// Register services and their secrets
    #[command(subcommand)]
    Service(ServiceCommand),
    /// The OpenClaw hook: run it, install it, remove it
    #[command(subcommand)]
    Hook(HookCommand),
    /// Renew owner tokens before they expire and keep openclaw.json up to date, until stopped
    #[command(after_help = texts::WATCH)]
    Watch(WatchArgs),
    /// Answer OpenClaw events, one JSON line in, one out, until standard input closes (what the plugin runs)
    #[command(after_help = texts::SERVE)]
    Serve(ServeArgs),
    /// Keep the owner token as another user, and ask with it for the OpenClaw gateway's user
    #[command(subcommand)]
    Broker(BrokerCommand),
    /// Go through everything that a notice needs, and say what to do about it
    #[command(after_help = texts::DOCTOR)]
    Doctor(DoctorArgs),
    /// Show the whole job in a throw-away OpenClaw home: log in, two sample requests, the notice
    #[command(after_help = texts::DEMO)]
    Demo,
    /// Print the completions of a shell, for its completions folder
    #[command(after_help = texts::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Print the manual page, of a command where one is named: `man auth login`
    #[command(after_help = texts::MAN)]
    Man(ManArgs),
}

// Options of `completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

// Options of `man`.
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// Print the words of each command that has a page, one a line
    #[arg(long, conflicts_with = "command")]
    pub list: bool,
    /// The command's words
    pub command: Vec<String>,
}

/// `auth …`
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum AuthCommand {
    /// Bootstrap and store a namespace-owner token
    #[command(after_help = texts::LOGIN)]
    Login(LoginArgs),
    /// Issue a new local token (oss-local), or take a new one (managed), and store it
    #[command(after_help = texts::AUTH_REFRESH)]
    Refresh(LoginArgs),
    /// Print the stored token, on a terminal too: whoever has it can decide in your place
    #[command(after_help = texts::AUTH_SHOW)]
    Show(ShowArgs),
    /// Say which token is in force, until when, and whether openclaw.json holds the same one
    #[command(after_help = texts::AUTH_STATUS)]
    Status(StatusArgs),
    /// Have the hook speak for another namespace that is logged in
    #[command(after_help = texts::AUTH_SWITCH)]
    Switch(SwitchArgs),
    /// Remove the token from its file and from openclaw.json, and the record
    #[command(after_help = texts::AUTH_LOGOUT)]
    Logout(LogoutArgs),
}

// Where the OpenClaw home and its config are.
#[derive(Debug, Clone, Default, Args)]
pub struct PlaceArgs {
    /// OpenClaw home (state folder) [default: ~/.openclaw]
    #[arg(long, value_name = "PATH")]
    pub openclaw_home: Option<PathBuf>,
    /// OpenClaw config [default: <openclaw-home>/openclaw.json]
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
}

// Which namespace owner is meant, and with which Sigilum.
#[derive(Debug, Clone, Default, Args)]
pub struct OwnerArgs {
    /// Sigilum mode: managed or oss-local [default: as recorded; else managed, but setup asks]
    #[arg(long, value_enum, value_name = "MODE")]
    pub mode: Option<Mode>,
    /// Namespace [default: auto-detected]
    #[arg(long, value_name = "VALUE")]
    pub namespace: Option<String>,
    /// Sigilum API base URL [default: the mode's]
    #[arg(long, value_name = "URL")]
    pub api_url: Option<String>,
    /// Token file [default: <openclaw-home>/.sigilum/owner-token-<namespace>.jwt]
    #[arg(long, value_name = "PATH")]
    pub token_file: Option<PathBuf>,
}

// Where a local Sigilum API keeps its database.
#[derive(Debug, Clone, Default, Args)]
pub struct LocalApiArgs {
    /// Sigilum source checkout, whose local API database and JWT_SECRET are used
    #[arg(long, value_name = "PATH")]
    pub source_home: Option<PathBuf>,
    /// The local API's SQLite database file
    #[arg(long, value_name = "PATH")]
    pub api_db: Option<PathBuf>,
}

// Options of `auth login`, `auth refresh` and `login`.
#[derive(Debug, Clone, Default, Args)]
pub struct LoginArgs {
    #[command(flatten)]
    pub owner: OwnerArgs,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub local_api: LocalApiArgs,
    /// Owner e-mail [default: <namespace>@local.sigilum]
    #[arg(long, value_name = "VALUE")]
    pub email: Option<String>,
    /// Explicit owner token; other users may see it in the process list: prefer --owner-token-stdin
    #[arg(long, value_name = "JWT")]
    pub owner_token: Option<String>,
    /// Read the owner token from standard input; at a terminal it is asked for, without echo
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    pub owner_token_stdin: bool,
    /// The token, where a person has typed it already: `setup` shows what is to be done first.
    #[arg(skip)]
    pub typed: Option<SecretString>,
    /// Token life in seconds [default: 604800, 7 days; refresh: the replaced token's]
    #[arg(long, value_name = "N", value_parser = values::life, allow_negative_numbers = true)]
    pub ttl_seconds: Option<u64>,
    /// Update openclaw.json
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value_t = true, default_missing_value = "true", action = ArgAction::Set)]
    pub write_openclaw: bool,
    /// Switch the hook on or off [default: preserve]
    #[arg(long, value_name = "BOOL|preserve", num_args = 0..=1, default_missing_value = "true")]
    pub enable_authz_notify: Option<Enable>,
    /// Keep the token in openclaw.json too [default: as recorded; else where it stands already, or no hook is installed]
    #[arg(long, value_name = "BOOL", action = ArgAction::Set)]
    pub token_in_config: Option<bool>,
    /// Print the token in the output [default: true, but not on a terminal]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set)]
    pub print_token: Option<bool>,
    /// Print only the token
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    pub token_only: bool,
    /// Print what would be made and changed, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// With --dry-run: print the RFC 6902 patch of openclaw.json, with the token masked
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value_t = false, default_missing_value = "true", action = ArgAction::Set, requires = "dry_run")]
    pub json: bool,
    /// Do not ask the API whether it accepts the token
    #[arg(long)]
    pub no_check: bool,
    /// Send the token to this machine's addresses whoever listens there: an API in a container of another user
    /// [default: what the last login said]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set)]
    pub trust_loopback: Option<bool>,
    /// Do it even where other hooks' selection would change, OpenClaw itself must write, or the API refuses the token
    #[arg(long)]
    pub force: bool,
    /// Hold OpenClaw's write lock for so long (for tests of the lock)
    #[arg(long, hide = true, value_name = "MS", default_value_t = 0)]
    pub test_hold_lock_ms: u64,
}

// Options of `auth show`.
#[derive(Debug, Clone, Default, Args)]
pub struct ShowArgs {
    /// Namespace [default: auto-detected]
    #[arg(long, value_name = "VALUE")]
    pub namespace: Option<String>,
    /// Token file [default: <openclaw-home>/.sigilum/owner-token-<namespace>.jwt]
    #[arg(long, value_name = "PATH")]
    pub token_file: Option<PathBuf>,
    #[command(flatten)]
    pub place: PlaceArgs,
}

// Options of `auth status`.
#[derive(Debug, Clone, Default, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    pub show: ShowArgs,
    #[command(flatten)]
    pub output: JsonArgs,
}

// Options of `auth switch`.
#[derive(Debug, Clone, Args)]
pub struct SwitchArgs {
    /// Namespace that the hook is to speak for
    // Not an owner's flag: what is printed next may be meant for another one.
    #[arg(id = "switch_to", value_name = "NAMESPACE")]
    pub namespace: String,
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Do it even where OpenClaw itself must write
    #[arg(long)]
    pub force: bool,
}

// Options of `auth logout`.
#[derive(Debug, Clone, Default, Args)]
pub struct LogoutArgs {
    #[command(flatten)]
    pub show: ShowArgs,
    /// Do it even where OpenClaw itself must write, or where the token file holds no owner token
    #[arg(long)]
    pub force: bool,
}

// How a command prints its result.
#[derive(Debug, Clone, Default, Args)]
pub struct JsonArgs {
    /// Print JSON
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    pub json: bool,
}

/// `hook …`
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum HookCommand {
    /// Answer one OpenClaw event: JSON on standard input, JSON on standard output
    #[command(after_help = texts::HOOK_RUN)]
    Run(HookRunArgs),
    /// Install the hook, or the plugin, into the OpenClaw home
    #[command(after_help = texts::HOOK_INSTALL)]
    Install(HookInstallArgs),
    /// Remove it and give openclaw.json back as it was
    #[command(after_help = texts::HOOK_UNINSTALL)]
    Uninstall(HookUninstallArgs),
    /// Say what is installed, selected and in force
    #[command(after_help = texts::HOOK_STATUS)]
    Status(HookStatusArgs),
}

// Options of `hook run`.
#[derive(Debug, Clone, Default, Args)]
pub struct HookRunArgs {
    /// Event for people, without standard input: `command:new`; prints the message as text
    #[arg(long, value_name = "TYPE:ACTION")]
    pub event: Option<String>,
    #[command(flatten)]
    pub owner: OwnerArgs,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub local_api: LocalApiArgs,
}

// Options of `hook install`.
#[derive(Debug, Clone, Args)]
pub struct HookInstallArgs {
    /// Directory hook or native plugin [default: what is installed; else the hook]
    #[arg(long = "as", value_enum, value_name = "KIND")]
    pub kind: Option<Kind>,
    /// Switch the hook on or off
    #[arg(long, value_name = "BOOL|preserve", default_value = "true")]
    pub enable: Enable,
    /// Replace files that were changed, and go on where the other hooks' selection would change
    #[arg(long)]
    pub force: bool,
    /// Namespace that the hook speaks for [default: auto-detected]
    #[arg(long, value_name = "VALUE")]
    pub namespace: Option<String>,
    /// Keep the token in openclaw.json too [default: only where it stands already]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set)]
    pub token_in_config: Option<bool>,
    /// Who may read the full notice: sender ids such as irc:alice!~alice@host, separated by commas; "" for anyone in a
    /// direct chat
    #[arg(long, value_name = "IDS")]
    pub senders: Option<String>,
    /// Who may answer requests in the chat, with the plugin: sender ids with their channel such as telegram:123456789,
    /// separated by commas; "" for nobody
    #[arg(long, value_name = "IDS")]
    pub deciders: Option<String>,
    /// What is said outside direct chats [default: brief]
    #[arg(long, value_enum, value_name = "HOW")]
    pub groups: Option<Groups>,
    /// Chat in which you are told at once of requests, such as matrix:@alice:localhost; "" for none
    #[arg(long, value_name = "CHANNEL:TARGET")]
    pub notify: Option<String>,
    /// How often the API is asked for requests while there is such a chat: 5s to 60m, or off [default: 15s]
    #[arg(long, value_name = "TIME", value_parser = hook_record::poll_requests)]
    pub poll_requests: Option<u64>,
    /// Unix socket of a broker that keeps the token as another user and asks with it; "" for none
    #[arg(long, value_name = "PATH")]
    pub broker: Option<String>,
    /// Where requests are answered, for the notice; "" for the default
    #[arg(long, value_name = "URL")]
    pub dashboard: Option<String>,
    /// Proxy for the hook's https requests; "" for none
    #[arg(long, value_name = "URL")]
    pub proxy: Option<String>,
    /// Certificates that the hook trusts for https, instead of the machine's; "" for the machine's
    #[arg(long, value_name = "PATH")]
    pub ca_file: Option<String>,
    /// Copy this program into the home, as .sigilum/bin/sigilum-authz-notify, and have OpenClaw start the copy
    #[arg(long)]
    pub copy_binary: bool,
    /// Record the proxies, certificates and settings of the hook that are set in the environment now, but no secret
    #[arg(long)]
    pub from_env: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

// Options of `hook uninstall`.
#[derive(Debug, Clone, Args)]
pub struct HookUninstallArgs {
    /// Take only this one out, and leave the other as it is [default: both]
    #[arg(long = "as", value_enum, value_name = "KIND", conflicts_with = "purge")]
    pub kind: Option<Kind>,
    /// Remove tokens, records and the embedded database too
    #[arg(long)]
    pub purge: bool,
    /// Remove changed files and an older entry too, and give openclaw.json back where OpenClaw might take it for damaged
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

// Options of `hook status`.
#[derive(Debug, Clone, Args)]
pub struct HookStatusArgs {
    #[command(flatten)]
    pub output: JsonArgs,
    #[command(flatten)]
    pub show: ShowArgs,
}

// Options of `doctor`.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// Put right what is safe: modes of our own files, what killed runs left, our own files of an older version
    #[arg(long)]
    pub fix: bool,
    #[command(flatten)]
    pub output: JsonArgs,
    #[command(flatten)]
    pub show: ShowArgs,
}

#[cfg(test)]
mod tests;
