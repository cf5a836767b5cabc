//! Each setting: how a flag, a variable and a record say it, the command that goes by it, and what shows whether the
//! claim holds.

use super::env::gateway::Gateway;
use super::env::local_api::{FakeCheckout, pending_claim};
use super::env::stopped::Stopped;
use super::env::{self, Output, tls};
use super::{HOOK, Place, SENDER, World};
use secrecy::SecretString;
use serde_json::{Value, json};
use sigilum_authz_notify::settings::authority::Setting;
use sigilum_authz_notify::token::claims;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::OnceLock;

/// One setting. What is claimed is `value`; the world says something else.
pub struct Row {
    pub setting: Setting,
    /// The flag that says it, followed by the value.
    pub flag: Option<&'static str>,
    /// The variable that says it, or would be thought to.
    pub variable: &'static str,
    pub value: fn(&World) -> String,
    /// Puts it into the records.
    pub record: Option<fn(&World)>,
    /// The record is the hook's: a person's command goes by their environment.
    pub recorded_for_the_hook: bool,
    /// What the world needs for this setting to matter.
    pub prepare: fn(&World),
    /// It matters where nobody has logged in.
    pub without_login: bool,
    /// A person's command that goes by it, and what else is in its environment.
    pub command: &'static str,
    pub with: fn(&World) -> Vec<(&'static str, String)>,
    /// Whether the claim holds, for a person's command; `None`: none goes by it.
    pub person: Option<Shows>,
    /// Whether it holds for `hook run` with this over the usual event; `None`: it does not go by it.
    pub gateway: Option<Shows>,
    pub event: fn() -> Value,
    /// Where the default is the very thing that is claimed.
    pub not_tried: &'static [Place],
}

type Shows = fn(&World, &Output) -> bool;

const BARE: Row = Row {
    setting: Setting::Namespace,
    flag: None,
    variable: "",
    value: |_| "1".to_owned(),
    record: None,
    recorded_for_the_hook: false,
    prepare: |_| {},
    without_login: false,
    command: "hook run --event gateway:startup",
    with: |_| Vec::new(),
    person: None,
    gateway: None,
    event: || json!({}),
    not_tried: &[],
};

const LOGIN: &str = "auth login --mode oss-local --namespace alice --no-check --print-token false";
const REFRESH: &str = "auth refresh --mode oss-local --namespace alice --no-check --force --print-token false";
const NOTICE: &str = "hook run --event command:new";
const ADD: &str = "service add --namespace alice --service-slug linear --mode gateway --upstream-base-url \
                   https://api.linear.app --upstream-secret-env LINEAR";
const MASTER_KEY: &str = "master-key-0123456789";

fn startup() -> Value {
    json!({"type": "gateway", "action": "startup"})
}

/// What the hook's record says after a command.
fn chosen(world: &World, field: &str) -> Value {
    world.json(".openclaw/.sigilum/hook.json")[field].clone()
}

fn says(output: &Output, text: &str) -> bool {
    format!("{}{}", output.stdout, output.stderr).contains(text)
}

fn is_pending(_: &World, output: &Output) -> bool {
    says(output, "1 pending in namespace alice")
}

fn saw_the_claimed_token(world: &World, _: &Output) -> bool {
    let header = format!("Bearer {}", world.claimed_token);
    let seen = world.api.seen();
    seen.iter()
        .any(|request| request.headers.get("authorization") == Some(&header))
}

fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_str().unwrap().to_owned()
}

/// A Sigilum checkout in `~/sigilum` whose database has one request.
fn checkout(world: &World) -> FakeCheckout {
    static MADE: OnceLock<Vec<u8>> = OnceLock::new();
    let checkout = FakeCheckout::new(&world.env);
    let made = MADE.get_or_init(|| {
        let db = checkout.wrangler();
        pending_claim(&db, "alice", "linear", "clm_1", 60);
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        drop(db);
        std::fs::read(checkout.db()).unwrap()
    });
    let name = checkout.db().strip_prefix(world.env.home()).unwrap().to_owned();
    world.env.write(name, made);
    checkout
}

fn root(world: &World) -> String {
    text(world.path("sigilum"))
}

/// Nothing listens at the recorded API: the hook reads the local database.
fn database_alone(world: &World) {
    checkout(world);
    world.record(json!({"api_url": "http://127.0.0.1:9"}));
}

fn desk(world: &World) -> Vec<(&'static str, String)> {
    vec![
        ("SIGILUM_SOURCE_HOME", root(world)),
        ("LINEAR", "lin_api_0123456789abcdefghij".to_owned()),
    ]
}

fn stopped_gateway(world: &World, without: &str) -> Vec<(&'static str, String)> {
    let all = [
        ("GATEWAY_DATA_DIR", text(world.path("gateway-data"))),
        ("GATEWAY_MASTER_KEY", MASTER_KEY.to_owned()),
        (
            "SIGILUM_GATEWAY_CLI",
            text(world.path("gateway-bin/sigilum-gateway-cli")),
        ),
    ];
    let all = all.into_iter().filter(|(name, _)| *name != without);
    all.chain(desk(world)).collect()
}

fn stop_the_gateway(world: &World) {
    checkout(world);
    Stopped::new(&world.env);
}

fn ran_the_cli(world: &World, _: &Output) -> bool {
    world.path("gateway-data/runs").exists()
}

fn start_a_gateway(world: &World) {
    checkout(world);
    let _ = world.gateway.set(Gateway::start());
}

fn stored_life(world: &World) -> Option<u64> {
    claims::inspect(&world.stored().into()).ok()?.life()
}

fn tls_front(world: &World) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/tls");
    format!("https://localhost:{}", tls::front(world.api.port(), folder))
}

pub const ROWS: [Row; 37] = [
    Row {
        setting: Setting::OpenClawHome,
        flag: Some("--openclaw-home"),
        variable: "OPENCLAW_STATE_DIR",
        value: |world| text(world.path("other")),
        person: Some(|_, output| says(output, "namespace mallory")),
        gateway: Some(|_, output| says(output, "namespace mallory")),
        event: startup,
        ..BARE
    },
    Row {
        setting: Setting::Config,
        flag: Some("--config"),
        variable: "OPENCLAW_CONFIG_PATH",
        value: |world| text(world.path("other.json")),
        prepare: |world| {
            let entry = json!({"env": {"SIGILUM_NAMESPACE": "mallory"}});
            let config = json!({"hooks": {"internal": {"enabled": true, "entries": {HOOK: entry}}}});
            world.env.write("other.json", config.to_string());
        },
        record: Some(|world| {
            let record = json!({"config": world.path("other.json"), "config_of": world.path(".openclaw")});
            world.env.write(".openclaw/.sigilum/hook.json", record.to_string());
        }),
        recorded_for_the_hook: true,
        without_login: true,
        person: Some(|_, output| says(output, "namespace mallory")),
        gateway: Some(|_, output| says(output, "namespace mallory")),
        event: startup,
        ..BARE
    },
    Row {
        setting: Setting::ReadOnly,
        variable: "OPENCLAW_NIX_MODE",
        // Something that the config has not yet: it would be written.
        command: "auth login --mode oss-local --namespace alice --no-check --enable-authz-notify false",
        person: Some(|_, output| says(output, "OPENCLAW_NIX_MODE")),
        ..BARE
    },
    Row {
        setting: Setting::Namespace,
        flag: Some("--namespace"),
        variable: "SIGILUM_NAMESPACE",
        value: |_| "mallory".to_owned(),
        record: Some(|world| world.hook_record(json!({"namespace": "mallory"}))),
        command: "auth show",
        person: Some(|_, output| says(output, "owner-token-mallory.jwt")),
        gateway: Some(|_, output| says(output, "namespace mallory")),
        event: startup,
        ..BARE
    },
    Row {
        setting: Setting::Mode,
        flag: Some("--mode"),
        variable: "SIGILUM_MODE",
        value: |_| "managed".to_owned(),
        record: Some(|world| world.record(json!({"mode": "managed"}))),
        person: Some(|_, output| says(output, "(managed, ")),
        gateway: Some(|_, output| says(output, "(managed, ")),
        event: startup,
        ..BARE
    },
    Row {
        setting: Setting::ApiUrl,
        flag: Some("--api-url"),
        variable: "SIGILUM_API_URL",
        value: |_| "http://127.0.0.1:9".to_owned(),
        record: Some(|world| world.record(json!({"api_url": "http://127.0.0.1:9"}))),
        person: Some(|_, output| says(output, ", http://127.0.0.1:9)")),
        gateway: Some(|_, output| says(output, ", http://127.0.0.1:9)")),
        event: startup,
        ..BARE
    },
    Row {
        setting: Setting::Email,
        flag: Some("--email"),
        variable: "SIGILUM_OWNER_EMAIL",
        value: |_| "mallory@evil.example".to_owned(),
        record: Some(|world| world.record(json!({"email": "mallory@evil.example"}))),
        command: LOGIN,
        person: Some(|world, _| world.json(".openclaw/.sigilum/owner-alice.json")["email"] == "mallory@evil.example"),
        ..BARE
    },
    Row {
        setting: Setting::TokenFile,
        flag: Some("--token-file"),
        variable: "SIGILUM_TOKEN_FILE",
        value: |world| text(world.path("claimed.jwt")),
        prepare: |world| drop(world.env.write("claimed.jwt", &world.claimed_token)),
        record: Some(|world| world.record(json!({"token_file": world.path("claimed.jwt")}))),
        command: "auth show --namespace alice",
        person: Some(|world, output| says(output, &world.claimed_token)),
        gateway: Some(saw_the_claimed_token),
        // An event gives a token of its own as well, which is another setting.
        ..BARE
    },
    Row {
        setting: Setting::TokenLife,
        flag: Some("--ttl-seconds"),
        variable: "SIGILUM_OWNER_TOKEN_TTL_SECONDS",
        value: |_| "12345".to_owned(),
        record: Some(|world| {
            let claims = json!({"namespace": "alice", "exp": env::now() + 12_345, "iat": env::now()});
            let token = env::api::token(super::SECRET, claims);
            world.env.write(".openclaw/.sigilum/owner-token-alice.jwt", token);
        }),
        command: REFRESH,
        person: Some(|world, _| stored_life(world) == Some(12_345)),
        ..BARE
    },
    Row {
        setting: Setting::OwnerToken,
        flag: Some("--owner-token"),
        variable: "SIGILUM_OWNER_TOKEN",
        value: |world| world.claimed_token.clone(),
        record: Some(|world| {
            drop(
                world
                    .env
                    .write(".openclaw/.sigilum/owner-token-alice.jwt", &world.claimed_token),
            )
        }),
        recorded_for_the_hook: true,
        command: LOGIN,
        person: Some(|world, _| world.stored() == world.claimed_token),
        gateway: Some(saw_the_claimed_token),
        ..BARE
    },
    Row {
        setting: Setting::Checkout,
        flag: Some("--source-home"),
        variable: "SIGILUM_SOURCE_HOME",
        value: root,
        prepare: database_alone,
        record: Some(|world| world.record(json!({"api_url": "http://127.0.0.1:9", "source_home": root(world)}))),
        command: LOGIN,
        person: Some(|world, _| world.json(".openclaw/.sigilum/owner-alice.json")["source_home"] == root(world)),
        gateway: Some(is_pending),
        ..BARE
    },
    Row {
        setting: Setting::Database,
        flag: Some("--api-db"),
        variable: "SIGILUM_API_DB",
        value: |world| text(checkout(world).db()),
        prepare: database_alone,
        record: Some(|world| {
            let db = checkout(world).db();
            world.record(json!({"api_url": "http://127.0.0.1:9", "api_db": db}));
        }),
        command: LOGIN,
        with: |_| vec![("JWT_SECRET", super::SECRET.to_owned())],
        person: Some(|world, _| {
            let db = text(checkout(world).db());
            world.json(".openclaw/.sigilum/owner-alice.json")["api_db"] == db
        }),
        gateway: Some(is_pending),
        ..BARE
    },
    Row {
        setting: Setting::SigningSecret,
        variable: "JWT_SECRET",
        value: |_| "a secret that somebody claims to sign with".to_owned(),
        command: REFRESH,
        person: Some(|world, _| {
            let secret = SecretString::from("a secret that somebody claims to sign with");
            claims::is_signed_by(&world.stored().into(), &secret)
        }),
        ..BARE
    },
    Row {
        setting: Setting::TokenInConfig,
        flag: Some("--token-in-config"),
        variable: "SIGILUM_TOKEN_IN_CONFIG",
        value: |_| "true".to_owned(),
        record: Some(|world| world.hook_record(json!({"token_in_config": true}))),
        command: LOGIN,
        person: Some(|world, _| {
            let config = std::fs::read_to_string(world.env.config()).unwrap();
            config.contains(&world.stored())
        }),
        not_tried: &[Place::SigilumConfig, Place::WorkingDirectory],
        ..BARE
    },
    Row {
        setting: Setting::TokenCommand,
        flag: Some("--token-command"),
        variable: "SIGILUM_OWNER_TOKEN_COMMAND",
        value: |world| format!("touch {}", text(world.path("marker"))),
        prepare: |world| {
            world.record(json!({"mode": "managed"}));
            let claims = json!({"namespace": "alice", "iat": env::now() - 900, "exp": env::now() - 60});
            let expired = env::api::token(super::SECRET, claims);
            world.env.write(".openclaw/.sigilum/owner-token-alice.jwt", expired);
        },
        command: "watch --once",
        person: Some(|world, _| world.path("marker").exists()),
        gateway: Some(|world, _| world.path("marker").exists()),
        ..BARE
    },
    Row {
        setting: Setting::Binary,
        variable: "SIGILUM_AUTHZ_NOTIFY_BIN",
        value: |world| text(world.path("evil.sh")),
        command: "hook install",
        person: Some(|world, _| {
            let install = world.json(format!(".openclaw/hooks/{HOOK}/install.json"));
            assert_ne!(install["binary"], Value::Null);
            install["binary"] == text(world.path("evil.sh"))
        }),
        ..BARE
    },
    Row {
        setting: Setting::Broker,
        variable: "SIGILUM_BROKER",
        value: |_| "/nowhere/broker.sock".to_owned(),
        record: Some(|world| world.hook_record(json!({"broker": {"socket": "/nowhere/broker.sock", "uid": 7}}))),
        command: NOTICE,
        person: Some(|_, output| says(output, "could not ask the broker: /nowhere/broker.sock")),
        gateway: Some(|_, output| says(output, "could not ask the broker")),
        ..BARE
    },
    Row {
        setting: Setting::Dashboard,
        variable: "SIGILUM_DASHBOARD_URL",
        value: |_| "https://evil.example".to_owned(),
        record: Some(|world| world.hook_record(json!({"dashboard": "https://evil.example"}))),
        command: NOTICE,
        person: Some(|_, output| says(output, "evil.example")),
        gateway: Some(|_, output| says(output, "evil.example")),
        ..BARE
    },
    Row {
        setting: Setting::Senders,
        variable: "SIGILUM_NOTIFY_SENDERS",
        value: |_| SENDER.to_owned(),
        record: Some(|world| world.hook_record(json!({"senders": [SENDER]}))),
        gateway: Some(|_, output| says(output, "the agent")),
        not_tried: &[Place::UnrecordedEntry],
        ..BARE
    },
    Row {
        setting: Setting::Deciders,
        variable: "SIGILUM_NOTIFY_DECIDERS",
        value: |_| "telegram:1".to_owned(),
        record: Some(|world| world.hook_record(json!({"deciders": ["telegram:1"]}))),
        command: "hook status",
        person: Some(|_, output| says(output, "telegram:1")),
        ..BARE
    },
    Row {
        setting: Setting::Groups,
        variable: "SIGILUM_NOTIFY_GROUPS",
        value: |_| "full".to_owned(),
        prepare: |world| world.hook_record(json!({"senders": null, "groups": "off"})),
        record: Some(|world| world.hook_record(json!({"senders": null, "groups": "full"}))),
        gateway: Some(|_, output| says(output, "the agent")),
        event: || json!({"chatType": "group", "sessionKey": "agent:main:irc:group:#ops"}),
        ..BARE
    },
    Row {
        setting: Setting::Notify,
        flag: Some("--notify"),
        variable: "SIGILUM_NOTIFY",
        value: |_| "irc:mallory".to_owned(),
        record: Some(|world| world.hook_record(json!({"notify": "irc:mallory"}))),
        command: "hook install",
        person: Some(|world, _| chosen(world, "notify") == "irc:mallory"),
        ..BARE
    },
    Row {
        setting: Setting::PollRequests,
        flag: Some("--poll-requests"),
        variable: "SIGILUM_POLL_REQUESTS",
        value: |_| "7".to_owned(),
        record: Some(|world| world.hook_record(json!({"poll_requests": 7}))),
        command: "hook install",
        person: Some(|world, _| chosen(world, "poll_requests") == 7),
        ..BARE
    },
    Row {
        setting: Setting::Messenger,
        variable: "SIGILUM_OPENCLAW",
        value: |world| text(world.path("evil.sh")),
        record: Some(|world| world.hook_record(json!({"openclaw": world.path("evil.sh")}))),
        command: "hook install",
        person: Some(|world, _| chosen(world, "openclaw") == text(world.path("evil.sh"))),
        ..BARE
    },
    Row {
        setting: Setting::TimeLimit,
        variable: "SIGILUM_HOOK_TIMEOUT_MS",
        value: |_| "0".to_owned(),
        record: Some(|world| world.hook_record(json!({"timeout_ms": 0}))),
        command: NOTICE,
        person: Some(|_, output| says(output, "invalid time limit")),
        gateway: Some(|_, output| says(output, "invalid time limit")),
        ..BARE
    },
    Row {
        setting: Setting::InsecureHttp,
        variable: "SIGILUM_ALLOW_INSECURE_HTTP",
        prepare: |world| world.record(json!({"api_url": "http://192.0.2.1:9"})),
        record: Some(|world| world.hook_record(json!({"env": {"SIGILUM_ALLOW_INSECURE_HTTP": "1"}}))),
        recorded_for_the_hook: true,
        person: Some(|_, output| says(output, "(oss-local, http://192.0.2.1:9)")),
        gateway: Some(|_, output| says(output, "(oss-local, http://192.0.2.1:9)")),
        event: startup,
        ..BARE
    },
    Row {
        setting: Setting::Proxy,
        variable: "HTTPS_PROXY",
        value: |world| world.proxy.url(),
        prepare: |world| {
            world.record(json!({"mode": "managed", "api_url": "https://sigilum.example"}));
            // Where a claim does not hold, nothing leaves this machine either.
            world.hook_record(json!({"env": {"HTTPS_PROXY": "http://127.0.0.1:9"}}));
        },
        record: Some(|world| world.hook_record(json!({"env": {"HTTPS_PROXY": world.proxy.url()}}))),
        recorded_for_the_hook: true,
        command: NOTICE,
        person: Some(|world, _| !world.proxy.seen().is_empty()),
        gateway: Some(|world, _| !world.proxy.seen().is_empty()),
        ..BARE
    },
    Row {
        setting: Setting::CertificateAuthority,
        variable: "SSL_CERT_FILE",
        value: |_| concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/tls/ca.pem").to_owned(),
        prepare: |world| world.record(json!({"api_url": tls_front(world)})),
        record: Some(|world| {
            let file = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/tls/ca.pem");
            world.hook_record(json!({"env": {"SSL_CERT_FILE": file}}));
        }),
        recorded_for_the_hook: true,
        command: NOTICE,
        person: Some(is_pending),
        gateway: Some(is_pending),
        ..BARE
    },
    Row {
        setting: Setting::TrustHome,
        variable: "SIGILUM_TRUST_HOME",
        command: LOGIN,
        with: |world| {
            std::fs::set_permissions(world.env.openclaw(), PermissionsExt::from_mode(0o777)).unwrap();
            Vec::new()
        },
        person: Some(|world, output| output.code == 0 && world.stored() != world.token),
        ..BARE
    },
    Row {
        setting: Setting::TrustLoopback,
        flag: Some("--trust-loopback"),
        variable: "SIGILUM_TRUST_LOOPBACK",
        value: |_| "true".to_owned(),
        record: Some(|world| world.record(json!({"trust_loopback": true}))),
        command: "auth login --mode oss-local --namespace alice --print-token false",
        person: Some(|world, _| !world.api.seen().is_empty()),
        gateway: Some(is_pending),
        ..BARE
    },
    Row {
        setting: Setting::SigilumConfig,
        variable: "SIGILUM_CONFIG_FILE",
        value: |world| text(world.path("evil.env")),
        prepare: |world| drop(world.env.write("evil.env", "SIGILUM_NAMESPACE=mallory\n")),
        without_login: true,
        command: "auth show",
        person: Some(|_, output| says(output, "owner-token-mallory.jwt")),
        gateway: Some(|_, output| says(output, "namespace mallory")),
        event: startup,
        ..BARE
    },
    Row {
        setting: Setting::GatewayUrl,
        flag: Some("--gateway-admin-url"),
        variable: "GATEWAY_ADMIN_URL",
        value: |world| world.gateway.get().map_or_else(String::new, Gateway::url),
        prepare: start_a_gateway,
        command: ADD,
        with: desk,
        person: Some(|world, _| !world.gateway.get().unwrap().seen().is_empty()),
        ..BARE
    },
    Row {
        setting: Setting::GatewayAdminToken,
        flag: Some("--gateway-admin-token"),
        variable: "GATEWAY_ADMIN_TOKEN",
        value: |_| "the-claimed-admin-token".to_owned(),
        prepare: start_a_gateway,
        command: ADD,
        with: |world| {
            let url = ("GATEWAY_ADMIN_URL", world.gateway.get().unwrap().url());
            desk(world).into_iter().chain([url]).collect()
        },
        person: Some(|world, _| {
            let seen = world.gateway.get().unwrap().seen();
            assert!(!seen.is_empty());
            format!("{seen:?}").contains("the-claimed-admin-token")
        }),
        ..BARE
    },
    Row {
        setting: Setting::GatewayDataDir,
        flag: Some("--gateway-data-dir"),
        variable: "GATEWAY_DATA_DIR",
        value: |world| text(world.path("gateway-data")),
        prepare: stop_the_gateway,
        command: ADD,
        with: |world| stopped_gateway(world, "GATEWAY_DATA_DIR"),
        person: Some(ran_the_cli),
        ..BARE
    },
    Row {
        setting: Setting::GatewayMasterKey,
        flag: Some("--gateway-master-key"),
        variable: "GATEWAY_MASTER_KEY",
        value: |_| MASTER_KEY.to_owned(),
        prepare: stop_the_gateway,
        command: ADD,
        with: |world| stopped_gateway(world, "GATEWAY_MASTER_KEY"),
        person: Some(ran_the_cli),
        ..BARE
    },
    Row {
        setting: Setting::Workspace,
        variable: "GATEWAY_SIGILUM_HOME",
        value: |world| text(world.path("evil-workspace")),
        prepare: |world| drop(checkout(world)),
        command: "service add --namespace alice --service-slug mail",
        with: desk,
        person: Some(|world, _| world.path("evil-workspace/service-api-key-mail").exists()),
        ..BARE
    },
    Row {
        setting: Setting::ProgramPath,
        variable: "SIGILUM_GATEWAY_CLI",
        value: |world| text(world.path("gateway-bin/sigilum-gateway-cli")),
        prepare: stop_the_gateway,
        command: ADD,
        with: |world| stopped_gateway(world, "SIGILUM_GATEWAY_CLI"),
        person: Some(ran_the_cli),
        ..BARE
    },
];
