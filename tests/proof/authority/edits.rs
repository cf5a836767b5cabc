//! The list of edits: each setting, each kind of value, each place that an agent can write to.

use super::stage::{STRANGERS_SECRET, Stage};
use serde_json::{Value, json};

/// Where the agent writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The `env` of the hook's entry in openclaw.json.
    Entry,
    /// The same, in a file that openclaw.json includes.
    Include,
    /// `env.vars` of openclaw.json, which OpenClaw puts into its own environment.
    EnvVars,
    /// `.env` files in the home folder and in the OpenClaw home.
    DotEnv,
    /// What the event says.
    Event,
    /// The environment of what the OpenClaw gateway starts.
    GatewayEnvironment,
    /// The whole text of openclaw.json.
    Text,
}

/// Each that takes a variable.
pub const PLACES: [Place; 6] = [
    Place::Entry,
    Place::Include,
    Place::EnvVars,
    Place::DotEnv,
    Place::Event,
    Place::GatewayEnvironment,
];

/// One edit.
#[derive(Debug, Clone)]
pub struct Edit {
    pub name: String,
    pub place: Place,
    /// The variable, or `""` where `value` is the whole text.
    pub setting: &'static str,
    pub value: Value,
}

impl Edit {
    pub fn entry(setting: &'static str, value: Value) -> Self {
        Self::new(Place::Entry, setting, value)
    }

    pub fn included(setting: &'static str, value: Value) -> Self {
        Self::new(Place::Include, setting, value)
    }

    /// The whole config is this text.
    pub fn text(text: &str) -> Self {
        Self::new(Place::Text, "", json!(text))
    }

    /// Nothing is edited.
    pub fn nothing() -> Self {
        Self::new(Place::Event, "SIGILUM_PROOF_NOTHING", json!(""))
    }

    pub fn new(place: Place, setting: &'static str, value: Value) -> Self {
        let shown: String = value.to_string().chars().take(50).collect();
        Self {
            name: format!("{place:?} {setting}={shown}"),
            place,
            setting,
            value,
        }
    }
}

/// Every edit for this home.
pub fn list(stage: &Stage) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (setting, values) in settings(stage) {
        for value in values {
            for place in PLACES {
                let text = value.is_string();
                // Only the config and the event can hold a value that is no text.
                if text || matches!(place, Place::Entry | Place::Include | Place::Event) {
                    edits.push(Edit::new(place, setting, value.clone()));
                }
            }
        }
    }
    edits.extend(
        texts(stage)
            .into_iter()
            .map(|text| Edit::new(Place::Text, "", json!(text))),
    );
    edits
}

fn settings(stage: &Stage) -> Vec<(&'static str, Vec<Value>)> {
    let port = stage.stranger.port();
    let url = stage.stranger.url();
    let path = |path: std::path::PathBuf| json!(path.to_str().unwrap());
    let program = path(stage.marker_program());
    let home = path(stage.other_home());
    let bin = path(stage.agents_path());
    let checkout = path(stage.agents_checkout());
    let one = |value: Value| vec![value];
    vec![
        (
            "SIGILUM_API_URL",
            vec![
                json!(url),
                json!(format!("{url}/")),
                json!(format!(" {url} ")),
                json!(format!("http://localhost:{port}")),
                json!(format!("HTTP://127.0.0.1:{port}/v1")),
                json!(format!("http://127.1:{port}")),
                json!(format!("http://2130706433:{port}")),
                json!(format!("http://alice@127.0.0.1:{port}")),
                json!("https://sigilum.id.evil.example"),
                json!("${SIGILUM_API_URL}"),
                json!(7),
            ],
        ),
        (
            "SIGILUM_NAMESPACE",
            vec![
                json!("mallory"),
                json!("ALICE"),
                json!(""),
                json!("../alice"),
                json!("${USER}"),
                json!(["alice"]),
            ],
        ),
        ("GATEWAY_SIGILUM_NAMESPACE", one(json!("mallory"))),
        (
            "SIGILUM_MODE",
            vec![json!("managed"), json!("oss-local"), json!("else"), json!(null)],
        ),
        (
            "SIGILUM_OWNER_TOKEN",
            vec![
                json!(stage.forged()),
                json!(stage.expired()),
                json!("no-token----------"),
                json!("eyJhbGciOiJub25lIn0.eyJuYW1lc3BhY2UiOiJhbGljZSJ9."),
                json!("${SIGILUM_OWNER_TOKEN}"),
                json!({}),
            ],
        ),
        ("SIGILUM_OWNER_EMAIL", one(json!("mallory@evil.example"))),
        (
            "SIGILUM_TOKEN_IN_CONFIG",
            vec![json!("true"), json!("false"), json!("1")],
        ),
        ("SIGILUM_OWNER_TOKEN_TTL_SECONDS", vec![json!("1"), json!("999999999")]),
        ("SIGILUM_OWNER_TOKEN_COMMAND", one(program.clone())),
        ("SIGILUM_AUTHZ_NOTIFY_BIN", vec![program, json!("./x.sh")]),
        ("SIGILUM_DASHBOARD_URL", one(json!(format!("{url}/approve")))),
        (
            "SIGILUM_NOTIFY_SENDERS",
            vec![json!("mallory"), json!("alice, mallory")],
        ),
        (
            "SIGILUM_NOTIFY_GROUPS",
            vec![json!("off"), json!("full"), json!("brief")],
        ),
        ("SIGILUM_HOOK_TIMEOUT_MS", vec![json!("1"), json!("60000"), json!("x")]),
        ("SIGILUM_ALLOW_INSECURE_HTTP", one(json!("1"))),
        ("SIGILUM_TRUST_HOME", one(json!("1"))),
        ("SIGILUM_API_DB", one(path(stage.agents_database()))),
        ("SIGILUM_SOURCE_HOME", one(checkout)),
        ("JWT_SECRET", one(json!(STRANGERS_SECRET))),
        ("SIGILUM_CONFIG_FILE", one(path(stage.agents_config_env()))),
        ("HTTP_PROXY", one(json!(url))),
        ("http_proxy", one(json!(url))),
        ("HTTPS_PROXY", one(json!(url))),
        ("ALL_PROXY", one(json!(url))),
        ("NO_PROXY", one(json!("*"))),
        ("SSL_CERT_FILE", one(home.clone())),
        ("SSL_CERT_DIR", one(home.clone())),
        ("OPENCLAW_STATE_DIR", one(home.clone())),
        ("OPENCLAW_HOME", one(home.clone())),
        (
            "OPENCLAW_CONFIG_PATH",
            one(json!(format!("{}/openclaw.json", home.as_str().unwrap()))),
        ),
        ("OPENCLAW_PROFILE", one(json!("mallory"))),
        ("OPENCLAW_NIX_MODE", one(json!("1"))),
        ("OPENCLAW_CONFIG_READONLY", one(json!("1"))),
        ("PATH", one(bin)),
        ("GATEWAY_ADMIN_URL", one(json!(url))),
        ("GATEWAY_ADMIN_TOKEN", one(json!("x"))),
        ("GATEWAY_DATA_DIR", one(home.clone())),
        ("GATEWAY_MASTER_KEY", one(json!("x"))),
        ("GATEWAY_SIGILUM_HOME", one(home)),
        ("USER", one(json!("mallory"))),
    ]
}

/// Whole configs: the entry off, gone, twice, of another shape; the config broken, empty, or all of it included.
fn texts(stage: &Stage) -> Vec<String> {
    let clean = stage.clean();
    let include = stage.include(&json!({"hooks": {"internal": {"entries": {}}}}));
    vec![
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        r#"{"hooks": "x"}"#.to_owned(),
        r#"{"hooks": {"internal": {"entries": []}}}"#.to_owned(),
        r#"{"hooks": {"internal": {"entries": {"sigilum-authz-notify": null}}}}"#.to_owned(),
        r#"{"hooks": {"internal": {"entries": {"sigilum-authz-notify": {"env": []}}}}}"#.to_owned(),
        format!(r#"{{"$include": "{include}"}}"#),
        format!(r#"{{"$include": ["{include}"], "gateway": {{"mode": "local"}}}}"#),
        format!(r#"{{"hooks": {{"$include": "{include}"}}}}"#),
        format!(r#"{{"hooks": {{"internal": {{"$include": "{include}"}}}}}}"#),
        r#"{"$include": "/nowhere/else.json"}"#.to_owned(),
        clean.replacen("\"enabled\": true", "\"enabled\": false", 2),
        format!("{clean}{clean}"),
        clean.replace("alice", "alice\\ud83d"),
    ]
}
