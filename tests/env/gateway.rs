//! A Sigilum gateway on loopback that keeps the real one's contract, traps included, and can be told to fail.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// One request that came in.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

impl Seen {
    /// `PATCH /connections/linear`, without the common prefix.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path.trim_start_matches("/api/admin"))
    }
}

/// How it misbehaves at a request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// 500 with an error body.
    Fail,
    /// 403 with this code.
    Forbid(&'static str),
    /// Closes the connection before anything happens.
    DropBefore,
    /// Does the work, then closes the connection without an answer.
    DropAfter,
    /// Answers after a while.
    Slow(Duration),
    /// 200 and a web page.
    Html,
    /// Answers, then is gone: nothing listens any more.
    Die,
    /// 500 with these words.
    Say(&'static str),
}

type Held = (Map<String, Value>, BTreeMap<String, String>);
type Planned = (String, String, Fault, usize);

#[derive(Default)]
struct State {
    /// id → (metadata, secrets)
    connections: BTreeMap<String, Held>,
    seen: Vec<Seen>,
    /// (method, part of the path, what, how often)
    faults: Vec<Planned>,
    /// `hybrid`, `token` or `loopback`
    access: String,
    token: Option<String>,
    /// Whether clients count as coming from another machine.
    remote: bool,
    /// The gateway's own home, for service keys.
    home: Option<PathBuf>,
    clock: u64,
    kill: Option<Kill>,
}

/// Kills the client at a request.
struct Kill {
    /// How many requests are let through before that.
    countdown: usize,
    /// After the work is done, not before.
    after: bool,
    /// The client's process; 0 until the test knows it.
    pid: Arc<AtomicU32>,
}

impl Kill {
    fn now(&self) {
        let mut pid = self.pid.load(Ordering::SeqCst);
        while pid == 0 {
            std::thread::sleep(Duration::from_millis(1));
            pid = self.pid.load(Ordering::SeqCst);
        }
        let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
}

pub struct Gateway {
    state: Arc<Mutex<State>>,
    port: u16,
    gone: Arc<AtomicBool>,
}

impl Gateway {
    pub fn start() -> Self {
        let state = State {
            access: "hybrid".to_owned(),
            ..State::default()
        };
        Self::serve(Arc::new(Mutex::new(state)))
    }

    /// The same gateway again, after it died. On another port.
    pub fn restart(&self) -> Self {
        self.lock().faults.clear();
        Self::serve(Arc::clone(&self.state))
    }

    fn serve(state: Arc<Mutex<State>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let gone = Arc::new(AtomicBool::new(false));
        let (shared, flag) = (Arc::clone(&state), Arc::clone(&gone));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if flag.load(Ordering::SeqCst) {
                    break;
                }
                let (shared, flag) = (Arc::clone(&shared), Arc::clone(&flag));
                let Ok(stream) = stream else { continue };
                std::thread::spawn(move || {
                    let _ = answer(stream, &shared, &flag, port);
                });
            }
        });
        Self { state, port, gone }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn stop(&self) {
        stop(&self.gone, self.port);
    }

    /// At the next `times` requests of this method whose path contains `part`: misbehave.
    pub fn fault(&self, method: &str, part: &str, fault: Fault, times: usize) -> &Self {
        self.lock()
            .faults
            .push((method.to_owned(), part.to_owned(), fault, times));
        self
    }

    /// Kills the process `pid` (once the test has put it there) at the request number `request`, from 0.
    pub fn kill(&self, request: usize, after: bool, pid: Arc<AtomicU32>) {
        let kill = Kill {
            countdown: request,
            after,
            pid,
        };
        self.lock().kill = Some(kill);
    }

    pub fn access(&self, mode: &str, token: Option<&str>, remote: bool) -> &Self {
        let mut state = self.lock();
        state.access = mode.to_owned();
        state.token = token.map(str::to_owned);
        state.remote = remote;
        drop(state);
        self
    }

    pub fn home(&self, home: impl Into<PathBuf>) -> &Self {
        self.lock().home = Some(home.into());
        self
    }

    /// A connection's metadata as GET gives it.
    pub fn connection(&self, id: &str) -> Option<Value> {
        self.lock()
            .connections
            .get(id)
            .map(|(meta, _)| Value::Object(meta.clone()))
    }

    pub fn secrets(&self, id: &str) -> BTreeMap<String, String> {
        self.lock()
            .connections
            .get(id)
            .map(|(_, secrets)| secrets.clone())
            .unwrap_or_default()
    }

    pub fn ids(&self) -> Vec<String> {
        self.lock().connections.keys().cloned().collect()
    }

    /// Makes a connection as the dashboard would.
    pub fn given(&self, body: Value) -> &Self {
        let mut state = self.lock();
        let (status, reply) = create(&mut state, &body);
        assert_eq!(status, 201, "{reply}");
        for name in ["status", "rotation_interval_days"] {
            if let Some(value) = body.get(name) {
                let id = body["id"].as_str().unwrap();
                state
                    .connections
                    .get_mut(id)
                    .unwrap()
                    .0
                    .insert(name.to_owned(), value.clone());
            }
        }
        drop(state);
        self
    }

    /// Overwrites a member of a connection, as no request could.
    pub fn set(&self, id: &str, name: &str, value: Value) {
        let mut state = self.lock();
        state.connections.get_mut(id).unwrap().0.insert(name.to_owned(), value);
    }

    /// All requests so far; forgets them.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.lock().seen)
    }

    /// The requests so far that could change something, as `METHOD /path`; forgets all.
    pub fn changes(&self) -> Vec<String> {
        let seen = self.seen();
        seen.iter()
            .filter(|seen| seen.method != "GET")
            .map(Seen::line)
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop();
    }
}

fn stop(gone: &AtomicBool, port: u16) {
    gone.store(true, Ordering::SeqCst);
    // Wakes the accepting thread, which then drops the listener.
    let _ = TcpStream::connect(("127.0.0.1", port));
    while TcpStream::connect(("127.0.0.1", port)).is_ok() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn answer(mut stream: TcpStream, state: &Mutex<State>, gone: &AtomicBool, port: u16) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Ok(());
    };
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes)?;
    let seen = Seen {
        method: method.to_owned(),
        path: path.to_owned(),
        headers,
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    };
    let (fault, kill) = {
        let mut state = state.lock().unwrap();
        state.seen.push(seen.clone());
        let due = match &mut state.kill {
            Some(kill) if kill.countdown == 0 => state.kill.take(),
            Some(kill) => {
                kill.countdown -= 1;
                None
            }
            None => None,
        };
        (take_fault(&mut state, &seen), due)
    };
    if let Some(kill) = kill {
        if kill.after {
            handle(&mut state.lock().unwrap(), &seen);
        }
        kill.now();
        return Ok(());
    }
    if let Some(Fault::Slow(pause)) = fault {
        std::thread::sleep(pause);
    }
    let (status, body) = match fault {
        Some(Fault::DropBefore) => return Ok(()),
        Some(Fault::Fail) => (500, error("failed to list connections", "")),
        Some(Fault::Say(words)) => (500, error(words, "")),
        Some(Fault::Forbid(code)) => (403, error("admin endpoints require something else", code)),
        Some(Fault::Html) => {
            return write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>"
            );
        }
        _ => handle(&mut state.lock().unwrap(), &seen),
    };
    if matches!(fault, Some(Fault::DropAfter)) {
        return Ok(());
    }
    if matches!(fault, Some(Fault::Die)) {
        stop(gone, port);
    }
    respond(&mut stream, status, &body)
}

fn take_fault(state: &mut State, seen: &Seen) -> Option<Fault> {
    let index = state
        .faults
        .iter()
        .position(|(method, part, _, times)| *method == seen.method && seen.path.contains(part) && *times > 0)?;
    state.faults[index].3 -= 1;
    Some(state.faults[index].2.clone())
}

fn respond(stream: &mut TcpStream, status: u16, body: &Value) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {status} Whatever\r\nX-Request-Id: 0b1c\r\nConnection: close\r\n");
    if status == 204 {
        return write!(stream, "{head}\r\n");
    }
    if let Value::String(text) = body {
        // The real one's answer to any GET that it does not know.
        let length = text.len();
        return write!(
            stream,
            "{head}Content-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{text}"
        );
    }
    let text = format!("{body}\n");
    let several = body["connections"].as_array().is_some_and(|list| list.len() > 1);
    if !several {
        let length = text.len();
        return write!(
            stream,
            "{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{text}"
        );
    }
    write!(
        stream,
        "{head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )?;
    for chunk in text.as_bytes().chunks(1000) {
        write!(stream, "{:x}\r\n", chunk.len())?;
        stream.write_all(chunk)?;
        stream.write_all(b"\r\n")?;
    }
    stream.write_all(b"0\r\n\r\n")
}

fn error(words: &str, code: &str) -> Value {
    let mut body = json!({"error": words, "request_id": "0b1c", "timestamp": "2026-11-22T10:00:00Z", "docs_url": "https://x.test"});
    if !code.is_empty() {
        body["code"] = json!(code);
    }
    body
}

fn handle(state: &mut State, seen: &Seen) -> (u16, Value) {
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

fn create(state: &mut State, body: &Value) -> (u16, Value) {
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
        && ["mcp_transport", "mcp_endpoint"]
            .iter()
            .any(|name| !text(body, name).is_empty())
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
    set("mcp_tool_policy", json!({}));
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
    (200, json!({"connection_id": id, "written": true}))
}

/// A stopped gateway: its store, and a stand-in for its CLI.
pub struct Stopped {
    pub data_dir: PathBuf,
    pub cli: PathBuf,
}

impl Stopped {
    pub fn new(env: &super::TestEnv) -> Self {
        let cli = env.write("gateway-bin/sigilum-gateway-cli", include_str!("gateway-cli.sh"));
        std::fs::set_permissions(&cli, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let manifest = env.write("gateway-data/badger/MANIFEST", "");
        let data_dir = manifest.parent().unwrap().parent().unwrap().to_owned();
        Self { data_dir, cli }
    }

    /// A file of its store.
    pub fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.data_dir.join("badger").join(path)).ok()
    }

    pub fn write(&self, path: &str, text: &str) {
        std::fs::write(self.data_dir.join("badger").join(path), text).unwrap();
    }

    /// The command lines so far, and the names of the environment's variables.
    pub fn runs(&self) -> String {
        std::fs::read_to_string(self.data_dir.join("runs")).unwrap_or_default()
    }
}
