//! What the real gateway answers, traps included.

use super::{Seen, State};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub(super) fn error(words: &str, code: &str) -> Value {
    let mut body = json!({"error": words, "request_id": "0b1c", "timestamp": "2026-11-22T10:00:00Z", "docs_url": "https://x.test"});
    if !code.is_empty() {
        body["code"] = json!(code);
    }
    body
}

pub(super) fn handle(state: &mut State, seen: &Seen) -> (u16, Value) {
    let path = seen.path.split('?').next().unwrap();
    if path == "/health" {
        return (200, json!({"check": "health", "status": "ok"}));
    }
    let Some(rest) = path.strip_prefix("/api/admin/") else {
        return (200, Value::String("sigilum-gateway".to_owned()));
    };
    if let Some(refusal) = refuse(state, seen) {
        return refusal;
    }
    let parts: Vec<&str> = rest.trim_matches('/').split('/').collect();
    match (seen.method.as_str(), parts.as_slice()) {
        ("GET", ["connections"]) => {
            let list: Vec<Value> = state
                .connections
                .values()
                .map(|(meta, _)| Value::Object(meta.clone()))
                .collect();
            (200, json!({ "connections": list }))
        }
        ("POST", ["connections"]) => create(state, &seen.body),
        ("PUT", ["service-api-keys", id]) => put_key(state, id, &seen.body),
        (method, ["connections", id, action @ ..]) => {
            let now = tick(state);
            let Some((meta, secrets)) = state.connections.get_mut(*id) else {
                return (404, error("connection not found", ""));
            };
            match (method, action) {
                ("GET", []) => (200, Value::Object(meta.clone())),
                ("PATCH", []) => patch(meta, &seen.body, &now),
                ("POST", ["rotate"]) => rotate(meta, secrets, &seen.body, &now),
                ("DELETE", []) => {
                    state.connections.remove(*id);
                    (204, Value::Null)
                }
                _ => (405, error("method not allowed", "METHOD_NOT_ALLOWED")),
            }
        }
        ("GET", _) => (200, Value::String("sigilum-gateway".to_owned())),
        _ => (405, error("method not allowed", "METHOD_NOT_ALLOWED")),
    }
}

fn refuse(state: &State, seen: &Seen) -> Option<(u16, Value)> {
    let given = seen.headers.get("x-sigilum-admin-token").cloned().or_else(|| {
        let value = seen.headers.get("authorization")?;
        value.strip_prefix("Bearer ").map(str::to_owned)
    });
    let good = state.token.is_some() && given == state.token;
    let code = match state.access.as_str() {
        "token" if state.token.is_none() => "ADMIN_TOKEN_NOT_CONFIGURED",
        "token" if !good => "ADMIN_TOKEN_REQUIRED",
        "loopback" if state.remote => "ADMIN_LOOPBACK_REQUIRED",
        "hybrid" if state.remote && !good => "ADMIN_TOKEN_OR_LOOPBACK_REQUIRED",
        _ => return None,
    };
    Some((403, error("admin endpoints require something else", code)))
}

fn text<'a>(body: &'a Value, name: &str) -> &'a str {
    body.get(name).and_then(Value::as_str).unwrap_or("")
}

fn tick(state: &mut State) -> String {
    state.clock += 1;
    format!("2026-11-22T10:{:02}:{:02}.5Z", state.clock / 60 % 60, state.clock % 60)
}

fn given_secrets(body: &Value) -> BTreeMap<String, String> {
    let object = body["secrets"].as_object().cloned().unwrap_or_default();
    object
        .into_iter()
        .map(|(key, value)| (key.trim().to_owned(), value.as_str().unwrap_or("").trim().to_owned()))
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

pub(super) fn create(state: &mut State, body: &Value) -> (u16, Value) {
    let id = text(body, "id").trim();
    let base_url = text(body, "base_url").trim();
    let mode = match text(body, "auth_mode") {
        "" => "bearer",
        mode => mode,
    };
    let key = text(body, "auth_secret_key").trim();
    let secrets = given_secrets(body);
    let protocol = match text(body, "protocol") {
        "" => "http",
        protocol => protocol,
    };
    let bad = |words: &str| (400, error(words, ""));
    if id.is_empty() {
        return bad("id or name is required");
    }
    if base_url.is_empty() {
        return bad("base_url is required");
    }
    if !base_url.starts_with('/') && !base_url.contains("://") {
        return bad(&format!(
            "invalid base_url: parse \"{base_url}\": invalid URI for request"
        ));
    }
    if !["bearer", "header_key", "query_param"].contains(&mode) {
        return bad(&format!("invalid auth_mode: {mode}"));
    }
    if !key.is_empty() && !secrets.contains_key(key) {
        return bad(&format!("auth_secret_key \"{key}\" is not present in secrets"));
    }
    if protocol == "http" && key.is_empty() {
        return bad("auth_secret_key is required");
    }
    if protocol == "http"
        && body
            .as_object()
            .is_some_and(|body| body.keys().any(|name| name.starts_with("mcp_")))
    {
        return bad("mcp fields require protocol=\"mcp\"");
    }
    if state.connections.contains_key(id) {
        return (409, error("connection already exists", ""));
    }
    let or = |name: &str, default: &str| match text(body, name) {
        "" => default.to_owned(),
        value => value.to_owned(),
    };
    let now = tick(state);
    let mut meta = Map::new();
    let mut set = |name: &str, value: Value| meta.insert(name.to_owned(), value);
    set("id", json!(id));
    set("name", json!(or("name", id).trim()));
    set("protocol", json!(protocol));
    set("base_url", json!(base_url.trim_end_matches('/')));
    if !text(body, "path_prefix").is_empty() {
        set("path_prefix", json!(text(body, "path_prefix")));
    }
    set("auth_mode", json!(mode));
    let header = if mode == "query_param" {
        "api_key"
    } else {
        "Authorization"
    };
    set("auth_header_name", json!(or("auth_header_name", header)));
    set(
        "auth_prefix",
        json!(or("auth_prefix", if mode == "bearer" { "Bearer " } else { "" })),
    );
    set("auth_secret_key", json!(key));
    set("credential_keys", json!(secrets.keys().collect::<Vec<_>>()));
    if protocol == "mcp" {
        set("mcp_transport", json!(or("mcp_transport", "streamable_http")));
        set("mcp_endpoint", json!(or("mcp_endpoint", "/")));
    }
    let mut policy = Map::new();
    for (given, kept) in [
        ("mcp_tool_allowlist", "allowlist"),
        ("mcp_tool_denylist", "denylist"),
        ("mcp_max_tools_exposed", "max_tools_exposed"),
    ] {
        if let Some(value) = body.get(given) {
            policy.insert(kept.to_owned(), value.clone());
        }
    }
    set("mcp_tool_policy", json!(policy));
    if let Some(policies) = body.get("mcp_subject_tool_policies") {
        set("mcp_subject_tool_policies", policies.clone());
    }
    set("mcp_discovery", json!({"last_discovered_at": "0001-01-01T00:00:00Z"}));
    set("status", json!("active"));
    set("created_at", json!(now));
    set("updated_at", json!(now));
    set("last_tested_at", json!("0001-01-01T00:00:00Z"));
    set("last_rotated_at", json!(now));
    if let Some(days) = body["rotation_interval_days"].as_u64().filter(|days| *days > 0) {
        set("rotation_interval_days", json!(days));
        set("next_rotation_due_at", json!("2026-12-22T10:00:00Z"));
    }
    set("secret_version", json!(1));
    state.connections.insert(id.to_owned(), (meta.clone(), secrets));
    (201, Value::Object(meta))
}

fn patch(meta: &mut Map<String, Value>, body: &Value, now: &str) -> (u16, Value) {
    let key = text(body, "auth_secret_key");
    if !key.is_empty() && !meta["credential_keys"].as_array().unwrap().contains(&json!(key)) {
        return (
            400,
            error(
                &format!("auth_secret_key \"{key}\" is not configured for connection"),
                "",
            ),
        );
    }
    let mode = text(body, "auth_mode").to_owned();
    if !mode.is_empty() && mode != meta["auth_mode"] {
        meta.insert("auth_mode".to_owned(), json!(mode));
        let prefix = if mode == "bearer" { "Bearer " } else { "" };
        meta.insert("auth_prefix".to_owned(), json!(prefix));
        if mode == "query_param" {
            meta.insert("auth_header_name".to_owned(), json!("api_key"));
        }
    }
    // base_url is not among them, and "" and 0 leave a member alone.
    for name in [
        "name",
        "path_prefix",
        "auth_header_name",
        "auth_prefix",
        "auth_secret_key",
        "status",
    ] {
        if !text(body, name).is_empty() {
            meta.insert(name.to_owned(), body[name].clone());
        }
    }
    if body["rotation_interval_days"].as_u64().is_some_and(|days| days > 0) {
        meta.insert(
            "rotation_interval_days".to_owned(),
            body["rotation_interval_days"].clone(),
        );
    }
    meta.insert("updated_at".to_owned(), json!(now));
    (200, Value::Object(meta.clone()))
}

fn rotate(
    meta: &mut Map<String, Value>,
    secrets: &mut BTreeMap<String, String>,
    body: &Value,
    now: &str,
) -> (u16, Value) {
    let mut next = secrets.clone();
    next.extend(given_secrets(body));
    if next == *secrets {
        return (400, error("secrets are required", ""));
    }
    let key = meta["auth_secret_key"].as_str().unwrap();
    if !key.is_empty() && !next.contains_key(key) {
        return (
            400,
            error(
                &format!("auth_secret_key \"{key}\" is missing from provided secrets"),
                "",
            ),
        );
    }
    *secrets = next;
    let version = meta["secret_version"].as_u64().unwrap() + 1;
    meta.insert("secret_version".to_owned(), json!(version));
    meta.insert("credential_keys".to_owned(), json!(secrets.keys().collect::<Vec<_>>()));
    meta.insert("last_rotated_at".to_owned(), json!(now));
    (200, Value::Object(meta.clone()))
}

fn put_key(state: &State, id: &str, body: &Value) -> (u16, Value) {
    let key = text(body, "key").trim();
    if key.is_empty() {
        return (400, error("key is required", ""));
    }
    let Some(home) = &state.home else {
        return (500, error("SIGILUM_HOME is not configured", ""));
    };
    std::fs::create_dir_all(home).unwrap();
    std::fs::write(home.join(format!("service-api-key-{id}")), format!("{key}\n")).unwrap();
    if let Some(db) = &state.api_db {
        super::super::local_api::use_key(&super::super::local_api::look(db), key);
    }
    (200, json!({"connection_id": id, "written": true}))
}
