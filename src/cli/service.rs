//! `service …`: its commands and flags.

use super::{JsonArgs, LocalApiArgs, PlaceArgs};
use clap::{ArgAction, Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `service …`
#[derive(Debug, Subcommand)]
#[command(defer = true)]
#[allow(clippy::large_enum_variant, reason = "one value a process")]
pub enum ServiceCommand {
    /// Register a service, make its API key and, in gateway mode, its Sigilum gateway connection
    #[command(after_help = super::texts::SERVICE_ADD)]
    Add(ServiceAddArgs),
    /// List the services of a namespace
    #[command(after_help = super::texts::SERVICE_LIST)]
    List(ServiceListArgs),
    /// Upstream secrets
    #[command(subcommand)]
    Secret(ServiceSecretCommand),
    /// Make a new API key; the old ones are revoked once the Sigilum gateway uses the new one, or, for a native service,
    /// with --finish
    #[command(after_help = super::texts::SERVICE_ROTATE_KEY)]
    RotateKey(ServiceRotateKeyArgs),
    /// Delete a service: its keys, its connection, its files, its row and its requests
    #[command(after_help = super::texts::SERVICE_REMOVE)]
    Remove(ServiceRemoveArgs),
}

/// `service secret …`
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum ServiceSecretCommand {
    /// Rotate or set the upstream secret of a connection: what the Sigilum gateway sends for a service in gateway mode
    #[command(after_help = super::texts::SERVICE_SECRET_SET)]
    Set(ServiceSecretSetArgs),
}

// Options that all service commands share.
#[derive(Debug, Clone, Default, Args)]
pub struct ServiceArgs {
    /// Namespace [default: auto-detected]
    #[arg(long, value_name = "VALUE")]
    pub namespace: Option<String>,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub local_api: LocalApiArgs,
    #[command(flatten)]
    pub gateway: GatewayArgs,
}

// Which service is meant, as a word of its own or by flag.
#[derive(Debug, Clone, Default, Args)]
#[group(required = true, multiple = false)]
pub struct SlugArgs {
    /// Service identifier
    #[arg(value_name = "SLUG")]
    slug: Option<String>,
    /// The same by flag
    #[arg(long, value_name = "SLUG")]
    service_slug: Option<String>,
}

impl SlugArgs {
    /// The slug; one of the two is there.
    pub fn get(&self) -> &str {
        self.slug
            .as_deref()
            .or(self.service_slug.as_deref())
            .unwrap_or_default()
    }
}

// Whether secrets are shown.
#[derive(Debug, Clone, Default, Args)]
pub struct RevealArgs {
    /// Print secrets whole
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value_t = false, default_missing_value = "true", action = ArgAction::Set)]
    pub reveal_secrets: bool,
}

// How to reach the Sigilum gateway.
#[derive(Debug, Clone, Default, Args)]
pub struct GatewayArgs {
    /// Sigilum gateway admin endpoint [default: http://127.0.0.1:38100]
    #[arg(long, value_name = "URL")]
    pub gateway_admin_url: Option<String>,
    /// Sigilum gateway admin token; prefer GATEWAY_ADMIN_TOKEN
    #[arg(long, value_name = "VALUE")]
    pub gateway_admin_token: Option<String>,
    /// Sigilum gateway data folder, for when the gateway is stopped
    #[arg(long, value_name = "PATH")]
    pub gateway_data_dir: Option<PathBuf>,
    /// Sigilum gateway master key, for when the gateway is stopped; prefer GATEWAY_MASTER_KEY
    #[arg(long, value_name = "VALUE")]
    pub gateway_master_key: Option<String>,
}

// Where the upstream secret comes from.
#[derive(Debug, Clone, Default, Args)]
pub struct UpstreamSecretArgs {
    /// Secret key name in the connection's secrets
    #[arg(long, value_name = "KEY")]
    pub upstream_secret_key: Option<String>,
    /// The secret itself, `-` for standard input; other users may see it in the process list
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    pub upstream_secret: Option<String>,
    /// Environment variable that holds the secret
    #[arg(long, value_name = "NAME")]
    pub upstream_secret_env: Option<String>,
    /// File that holds the secret, `-` for standard input
    #[arg(long, value_name = "PATH", allow_hyphen_values = true)]
    pub upstream_secret_file: Option<PathBuf>,
    #[command(flatten)]
    pub reveal: RevealArgs,
}

/// Mode of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ServiceMode {
    /// The service checks Sigilum signatures itself.
    Native,
    /// The Sigilum gateway stands before the service.
    Gateway,
}

/// How the Sigilum gateway hands the upstream secret to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum AuthMode {
    /// `Authorization: Bearer <secret>`
    Bearer,
    /// A header of its own.
    HeaderKey,
    /// A query parameter.
    QueryParam,
}

impl AuthMode {
    /// The name as flags and the Sigilum gateway spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::HeaderKey => "header_key",
            Self::QueryParam => "query_param",
        }
    }
}

// Options of `service add`.
#[derive(Debug, Clone, Args)]
pub struct ServiceAddArgs {
    #[command(flatten)]
    pub slug: SlugArgs,
    /// Human-readable name [default: the slug]
    #[arg(long, value_name = "NAME")]
    pub service_name: Option<String>,
    /// Description
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// Domain [default: localhost]
    #[arg(long, value_name = "DOMAIN")]
    pub domain: Option<String>,
    /// Owner e-mail [default: <namespace>@local.sigilum]
    #[arg(long, value_name = "EMAIL")]
    pub email: Option<String>,
    /// Service mode
    #[arg(long, value_enum, value_name = "MODE", default_value = "native")]
    pub mode: ServiceMode,
    /// Upstream API base URL (gateway mode: required)
    #[arg(long, value_name = "URL")]
    pub upstream_base_url: Option<String>,
    /// How the secret goes upstream [default: bearer]
    #[arg(long, value_enum, value_name = "MODE")]
    pub auth_mode: Option<AuthMode>,
    /// Upstream auth header or parameter name
    #[arg(long, value_name = "NAME")]
    pub upstream_header: Option<String>,
    /// Prefix of the header's value, for example "Bearer "
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    pub auth_prefix: Option<String>,
    #[command(flatten)]
    pub secret: UpstreamSecretArgs,
    #[command(flatten)]
    pub common: ServiceArgs,
    #[command(flatten)]
    pub output: JsonArgs,
    /// Revoke active keys of this service that are not in its key file; where a Sigilum gateway signs with it, once it was
    /// seen in use
    #[arg(long)]
    pub revoke_old: bool,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Re-create a connection even where that loses credential keys
    #[arg(long)]
    pub force: bool,
}

// Options of `service list`.
#[derive(Debug, Clone, Default, Args)]
pub struct ServiceListArgs {
    #[command(flatten)]
    pub common: ServiceArgs,
    #[command(flatten)]
    pub output: JsonArgs,
}

// Options of `service secret set`.
#[derive(Debug, Clone, Args)]
pub struct ServiceSecretSetArgs {
    #[command(flatten)]
    pub slug: SlugArgs,
    #[command(flatten)]
    pub secret: UpstreamSecretArgs,
    #[command(flatten)]
    pub common: ServiceArgs,
    #[command(flatten)]
    pub output: JsonArgs,
    /// Print what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

// Options of `service rotate-key`.
#[derive(Debug, Clone, Args)]
pub struct ServiceRotateKeyArgs {
    #[command(flatten)]
    pub slug: SlugArgs,
    /// Revoke the old keys at once, whether the new one is in use or not
    #[arg(long, conflicts_with_all = ["finish", "wait"])]
    pub now: bool,
    /// Make no new key: revoke the old ones of a rotation that is not finished
    #[arg(long, conflicts_with = "wait")]
    pub finish: bool,
    /// How long the Sigilum gateway is given to use the new key before the command ends without revoking the old ones
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = super::values::wait, allow_negative_numbers = true)]
    pub wait: u64,
    #[command(flatten)]
    pub reveal: RevealArgs,
    #[command(flatten)]
    pub common: ServiceArgs,
    #[command(flatten)]
    pub output: JsonArgs,
}

// Options of `service remove`.
#[derive(Debug, Clone, Args)]
pub struct ServiceRemoveArgs {
    #[command(flatten)]
    pub slug: SlugArgs,
    /// Do not ask for confirmation
    #[arg(long)]
    pub yes: bool,
    /// Keep the service's row with its revoked keys, and its requests
    #[arg(long)]
    pub keep: bool,
    /// Proceed even if the Sigilum gateway, which serves the service, is not reached: its connection stays
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub common: ServiceArgs,
    #[command(flatten)]
    pub output: JsonArgs,
}
