//! The one table of who may decide what, as docs/settings.md shows it.

use super::{Claimant as By, Rule, Setting};

/// Every setting. Who is not in its row decides nothing.
pub const RULES: [Rule; 37] = [
    rule(
        Setting::OpenClawHome,
        "OpenClaw home",
        &[
            (By::Flag, "`--openclaw-home`"),
            (By::PersonEnvironment, "`OPENCLAW_STATE_DIR` → `OPENCLAW_HOME`"),
            (By::Default, "`~/.openclaw`"),
        ],
    ),
    rule(
        Setting::Config,
        "config",
        &[
            (By::Flag, "`--config`"),
            (By::PersonEnvironment, "`OPENCLAW_CONFIG_PATH`"),
            (By::Record, "(the hook) `hook.json`"),
            (By::Default, "`<home>/openclaw.json`"),
        ],
    ),
    rule(
        Setting::ReadOnly,
        "config is never written",
        &[
            (By::PersonEnvironment, "`OPENCLAW_CONFIG_READONLY`, `OPENCLAW_NIX_MODE`"),
            (By::Record, "(the hook) `hook.json`"),
        ],
    ),
    rule(
        Setting::Namespace,
        "namespace",
        &[
            (By::Flag, "`--namespace` → the claim of a given token"),
            (
                By::PersonEnvironment,
                "`SIGILUM_NAMESPACE` → `GATEWAY_SIGILUM_NAMESPACE`",
            ),
            (
                By::Record,
                "`hook.json` → the record written last → the only token file",
            ),
            (By::SigilumConfig, "`config.env`"),
            (By::UnrecordedEntry, "no record: the entry's, a guess"),
            (By::UserName, "`USER`, a guess"),
        ],
    ),
    rule(
        Setting::Broker,
        "broker that keeps the token",
        &[
            (By::PersonEnvironment, "`SIGILUM_BROKER`"),
            (By::Record, "`hook.json` (`hook install --broker`)"),
            (By::Default, "none"),
        ],
    ),
    rule(
        Setting::Mode,
        "mode",
        &[
            (By::Flag, "`--mode`"),
            (By::PersonEnvironment, "`SIGILUM_MODE`"),
            (By::Record, "record"),
            (By::UnrecordedEntry, "no record, the hook alone: the entry's"),
            (By::Default, "`managed`"),
        ],
    ),
    rule(
        Setting::ApiUrl,
        "API URL",
        &[
            (By::Flag, "`--api-url`"),
            (By::PersonEnvironment, "`SIGILUM_API_URL`"),
            (By::Record, "record of the same mode"),
            (By::UnrecordedEntry, "no record, the hook alone: the entry's"),
            (
                By::Default,
                "`https://api.sigilum.id`, oss-local `http://127.0.0.1:8787`",
            ),
        ],
    ),
    rule(
        Setting::Email,
        "e-mail",
        &[
            (By::Flag, "`--email`"),
            (By::PersonEnvironment, "`SIGILUM_OWNER_EMAIL`"),
            (By::Record, "record"),
            (By::Default, "`<namespace>@local.sigilum`"),
        ],
    ),
    rule(
        Setting::TokenFile,
        "token file",
        &[
            (By::Flag, "`--token-file`"),
            (By::Record, "record"),
            (By::Default, "`<home>/.sigilum/owner-token-<namespace>.jwt`"),
        ],
    ),
    rule(
        Setting::TokenLife,
        "token life",
        &[
            (By::Flag, "`--ttl-seconds`"),
            (By::PersonEnvironment, "`SIGILUM_OWNER_TOKEN_TTL_SECONDS`"),
            (By::Record, "(a renewal) the replaced token's, without one the record's"),
            (By::Default, "604800 s"),
        ],
    ),
    rule(
        Setting::OwnerToken,
        "owner token",
        &[
            (By::Flag, "`--owner-token`, `--owner-token-stdin`"),
            (
                By::PersonEnvironment,
                "(`auth login`, managed `auth refresh`) `SIGILUM_OWNER_TOKEN`",
            ),
            (By::Record, "the token file"),
            (
                By::UnrecordedEntry,
                "no record, the hook alone: the entry's, for the entry's API",
            ),
        ],
    ),
    rule(
        Setting::Checkout,
        "Sigilum checkout",
        &[
            (By::Flag, "`--source-home`"),
            (By::PersonEnvironment, "`SIGILUM_SOURCE_HOME`"),
            (By::Record, "record"),
            (
                By::WorkingDirectory,
                "one around the working directory, if a person agrees",
            ),
        ],
    ),
    rule(
        Setting::Database,
        "local API's database",
        &[
            (By::Flag, "`--api-db`"),
            (By::PersonEnvironment, "`SIGILUM_API_DB`"),
            (By::Record, "record"),
            (By::Checkout, "the checkout's"),
            (By::Default, "`<home>/.sigilum/local-api.sqlite`"),
        ],
    ),
    rule(
        Setting::SigningSecret,
        "signing secret (oss-local)",
        &[
            (By::PersonEnvironment, "`JWT_SECRET`"),
            (By::Checkout, "the checkout's `apps/api/.dev.vars`"),
            (By::Default, "`<home>/.sigilum/jwt-secret`, for that database"),
        ],
    ),
    rule(
        Setting::TokenInConfig,
        "token in `openclaw.json`",
        &[
            (By::Flag, "`--token-in-config`"),
            (By::Record, "`hook.json`"),
            (By::Default, "see below"),
        ],
    ),
    rule(
        Setting::TokenCommand,
        "token command",
        &[
            (By::Flag, "`watch --token-command`"),
            (By::PersonEnvironment, "`SIGILUM_OWNER_TOKEN_COMMAND`"),
            (By::Record, "(the plugin, a broker) `hook.json`"),
        ],
    ),
    rule(
        Setting::Binary,
        "program that OpenClaw starts",
        &[(By::Record, "the one that ran `hook install`")],
    ),
    rule(
        Setting::Dashboard,
        "dashboard",
        &[
            (By::PersonEnvironment, "`SIGILUM_DASHBOARD_URL`"),
            (By::Record, "`hook.json`"),
            (By::Default, "`https://sigilum.id`, oss-local none"),
        ],
    ),
    rule(
        Setting::Senders,
        "who reads the full notice",
        &[
            (By::Record, "`hook.json` (`hook install --senders`)"),
            (By::Default, "whoever is in a direct chat"),
        ],
    ),
    rule(
        Setting::Deciders,
        "who decides in the chat",
        &[
            (By::Record, "`hook.json` (`hook install --deciders`)"),
            (By::Default, "nobody"),
        ],
    ),
    rule(
        Setting::Groups,
        "notice outside direct chats",
        &[
            (By::Record, "`hook.json` (`hook install --groups`)"),
            (By::Default, "`brief`"),
        ],
    ),
    rule(
        Setting::Notify,
        "who is told at once",
        &[
            (By::Flag, "`watch --notify`"),
            (By::Record, "`hook.json` (`hook install --notify`)"),
            (By::Default, "nobody"),
        ],
    ),
    rule(
        Setting::PollRequests,
        "how often the API is asked for that",
        &[
            (By::Flag, "`watch --poll-requests`"),
            (By::Record, "`hook.json` (`hook install --poll-requests`)"),
            (By::Default, "15 s"),
        ],
    ),
    rule(
        Setting::Messenger,
        "`openclaw` that takes the watcher's messages",
        &[(By::Record, "`hook.json`: the one on the `PATH` of `hook install`")],
    ),
    rule(
        Setting::TimeLimit,
        "budget of an answer",
        &[
            (By::PersonEnvironment, "`SIGILUM_HOOK_TIMEOUT_MS`"),
            (By::Record, "`hook.json`"),
            (By::Default, "4000 ms"),
        ],
    ),
    rule(
        Setting::InsecureHttp,
        "plain http beyond loopback",
        &[
            (By::PersonEnvironment, "`SIGILUM_ALLOW_INSECURE_HTTP=1`"),
            (By::Record, "(the hook) `hook.json`"),
        ],
    ),
    rule(
        Setting::Proxy,
        "proxy",
        &[
            (By::PersonEnvironment, "`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`"),
            (By::Record, "(the hook) `hook.json`"),
        ],
    ),
    rule(
        Setting::CertificateAuthority,
        "certificate authority",
        &[
            (By::PersonEnvironment, "`SSL_CERT_FILE`, `SSL_CERT_DIR`"),
            (By::Record, "(the hook) `hook.json`"),
            (By::Default, "the machine's"),
        ],
    ),
    rule(
        Setting::TrustHome,
        "trust in a home that others may write",
        &[
            (By::PersonEnvironment, "`SIGILUM_TRUST_HOME=1`"),
            (By::Record, "(the hook) `hook.json`"),
        ],
    ),
    rule(
        Setting::TrustLoopback,
        "whose server on this machine gets a token",
        &[
            (By::Flag, "`auth login --trust-loopback`: anyone's"),
            (By::Record, "record"),
            (By::Default, "ours and root's"),
        ],
    ),
    rule(
        Setting::SigilumConfig,
        "Sigilum's `config.env`",
        &[
            (By::PersonEnvironment, "`SIGILUM_CONFIG_FILE`"),
            (By::Default, "`~/.sigilum/config.env`"),
        ],
    ),
    rule(
        Setting::GatewayUrl,
        "Sigilum gateway",
        &[
            (By::Flag, "`--gateway-admin-url`"),
            (By::PersonEnvironment, "`GATEWAY_ADMIN_URL`"),
            (By::Default, "`http://127.0.0.1:38100`"),
        ],
    ),
    rule(
        Setting::GatewayAdminToken,
        "its admin token",
        &[
            (By::Flag, "`--gateway-admin-token`"),
            (By::PersonEnvironment, "`GATEWAY_ADMIN_TOKEN`"),
        ],
    ),
    rule(
        Setting::GatewayDataDir,
        "its data folder",
        &[
            (By::Flag, "`--gateway-data-dir`"),
            (By::PersonEnvironment, "`GATEWAY_DATA_DIR`"),
            (By::Checkout, "the checkout's `.local/gateway-data`"),
        ],
    ),
    rule(
        Setting::GatewayMasterKey,
        "its master key",
        &[
            (By::Flag, "`--gateway-master-key`"),
            (By::PersonEnvironment, "`GATEWAY_MASTER_KEY`"),
            (By::Checkout, "for that folder of the checkout: its scripts' own"),
        ],
    ),
    rule(
        Setting::Workspace,
        "Sigilum workspace",
        &[
            (By::PersonEnvironment, "`GATEWAY_SIGILUM_HOME`"),
            (By::Checkout, "the checkout's `.sigilum-workspace`"),
            (By::Default, "`<home>/.sigilum-workspace`"),
        ],
    ),
    rule(
        Setting::ProgramPath,
        "programs of others",
        &[
            (By::PersonEnvironment, "`SIGILUM_GATEWAY_CLI`, `PATH`"),
            (By::Checkout, "(the Sigilum gateway's CLI) the checkout's `.local/bin`"),
        ],
    ),
];

const fn rule(setting: Setting, name: &'static str, order: &'static [(By, &'static str)]) -> Rule {
    Rule { setting, name, order }
}
