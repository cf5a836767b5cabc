//! A Sigilum API on loopback that keeps the real one's contract: it checks the owner token's signature, issuer,
//! audience, expiry and namespace, answers with the real error codes, and can be told to misbehave.

use super::attack::Attack;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How the API misbehaves.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Fault {
    /// It does not.
    #[default]
    None,
    /// This status and `{"error":…,"code":…}`, whatever is asked.
    Status(u16, &'static str),
    /// 200 with this content type and body.
    Body(&'static str, String),
    /// A redirect there.
    Redirect(String),
    /// These bytes, raw, then the end of the connection.
    Raw(Vec<u8>),
    /// Takes the request and never answers.
    Stall,
    /// A good head, then a byte of the body every 50 ms.
    Drip,
    /// Chunks without end.
    Endless,
    /// Says 10 GB, and begins to send them.
    TenGigabytes,
    /// The connection closed without an answer. What was asked for is done.
    Drop,
    /// Whatever a hostile other side thinks of.
    Attack(Attack),
}

/// One request that came in.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `GET /v1/… HTTP/1.1`'s first two words.
    pub line: String,
    /// Header names in small letters.
    pub headers: BTreeMap<String, String>,
}

struct State {
    secret: String,
    claims: Vec<Value>,
    usage: Vec<Value>,
    agent_limit: usize,
    fault: Fault,
    next_faults: VecDeque<Fault>,
    seen: Vec<Seen>,
    delay: Duration,
    attacked: (u32, u64),
    /// How many there were.
    connections: usize,
}

/// The API; it ends when dropped.
pub struct Api {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Api {
    /// Starts one on a free port of 127.0.0.1, whose JWT secret is `secret`.
    pub fn start(secret: &str) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), secret)
    }

    /// Starts one on a listener.
    pub fn on(listener: TcpListener, secret: &str) -> Self {
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            secret: secret.into(),
            claims: Vec::new(),
            usage: Vec::new(),
            agent_limit: 10,
            fault: Fault::None,
            next_faults: VecDeque::new(),
            seen: Vec::new(),
            delay: Duration::ZERO,
            attacked: (0, 0),
            connections: 0,
        }));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (state, stop) = (state.clone(), stop.clone());
            move || {
                for connection in listener.incoming() {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let (state, stop) = (state.clone(), stop.clone());
                    if let Ok(connection) = connection {
                        state.lock().unwrap().connections += 1;
                        std::thread::spawn(move || drop(serve(connection, &state, &stop)));
                    }
                }
            }
        });
        Self {
            address,
            state,
            stop,
            thread: Some(thread),
        }
    }

    /// `http://127.0.0.1:<port>`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    /// The port alone.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Adds a pending claim; `fields` override the defaults. Later ones are newer.
    pub fn add_claim(&self, namespace: &str, fields: Value) {
        let mut state = self.state.lock().unwrap();
        let number = state.claims.len() + 1;
        let mut claim = json!({
            "claim_id": format!("clm_{number}"), "namespace": namespace, "service": format!("service-{number}"),
            "public_key": format!("ed25519:KEY{number:037}"), "agent_ip": "10.0.0.7", "subject": null, "agent_id": null,
            "agent_name": null, "status": "pending",
            "created_at": format!("2026-01-01T00:{:02}:{:02}.000Z", number / 60 % 60, number % 60),
            "approved_at": null, "revoked_at": null,
        });
        for (name, value) in fields.as_object().unwrap() {
            claim[name] = value.clone();
        }
        state.claims.push(claim);
    }

    /// An agent asks, as the gateway does for it: while its request is pending or approved it gets the same id back;
    /// later a new one, in the same row, with the old time of creation. `id` is the new one. Gives the id in force.
    pub fn ask(&self, namespace: &str, service: &str, key: &str, id: &str) -> String {
        let mut state = self.state.lock().unwrap();
        let row = |claim: &&mut Value| {
            claim["namespace"] == namespace && claim["service"] == service && claim["public_key"] == key
        };
        let Some(claim) = state.claims.iter_mut().find(row) else {
            drop(state);
            self.add_claim(
                namespace,
                json!({"claim_id": id, "service": service, "public_key": key, "created_at": iso(super::now())}),
            );
            return id.to_owned();
        };
        if claim["status"] != "pending" && claim["status"] != "approved" {
            claim["claim_id"] = id.into();
            claim["status"] = "pending".into();
            (claim["approved_at"], claim["revoked_at"]) = (Value::Null, Value::Null);
        }
        claim["claim_id"].as_str().unwrap().to_owned()
    }

    /// The job that runs every 15 minutes: what is pending and was first asked for over 24 h ago runs out.
    pub fn expire(&self) {
        for claim in &mut self.state.lock().unwrap().claims {
            let created = claim["created_at"].as_str().unwrap();
            if claim["status"] == "pending" && *created < *iso(super::now() - 86_400) {
                claim["status"] = "expired".into();
            }
        }
    }

    /// Changes a request behind everybody's back.
    #[track_caller]
    pub fn change(&self, id: &str, field: &str, value: impl Into<Value>) {
        let mut state = self.state.lock().unwrap();
        let claim = state.claims.iter_mut().find(|claim| claim["claim_id"] == id);
        claim.unwrap()[field] = value.into();
    }

    /// A request as it stands now.
    pub fn claim(&self, id: &str) -> Option<Value> {
        let state = self.state.lock().unwrap();
        state.claims.iter().find(|claim| claim["claim_id"] == id).cloned()
    }

    /// How often a key was used, and when last (Unix seconds).
    pub fn used(&self, service: &str, key: &str, calls: u64, errors: u64, last: i64) {
        self.state.lock().unwrap().usage.push(json!({
            "subject": "s", "provider": service, "agent_id": "a", "public_key": key, "total_calls": calls,
            "success_calls": calls - errors, "error_calls": errors, "last_used_at": iso(last),
        }));
    }

    /// How many agents a service may have.
    pub fn agent_limit(&self, limit: usize) {
        self.state.lock().unwrap().agent_limit = limit;
    }

    /// The decisions that were sent so far: `POST /v1/claims/<id>/approve`.
    pub fn posts(&self) -> Vec<String> {
        let lines = self.seen().into_iter().map(|seen| seen.line);
        lines.filter(|line| line.starts_with("POST ")).collect()
    }

    /// Makes it misbehave from now on.
    pub fn fault(&self, fault: Fault) {
        self.state.lock().unwrap().fault = fault;
    }

    /// Makes it misbehave so at the next requests, one after the other.
    pub fn next_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state.lock().unwrap().next_faults.extend(faults);
    }

    /// Takes away all claims.
    pub fn clear(&self) {
        self.state.lock().unwrap().claims.clear();
    }

    /// Makes it wait before each answer.
    pub fn delay(&self, delay: Duration) {
        self.state.lock().unwrap().delay = delay;
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }

    /// How many requests it has attacked, and how many bytes it got rid of at it; forgets them.
    pub fn attacked(&self) -> (u32, u64) {
        std::mem::take(&mut self.state.lock().unwrap().attacked)
    }

    /// A token of this API's secret: namespace, seconds of life from now on (may be negative).
    pub fn token(&self, namespace: &str, life: i64) -> String {
        let now = super::now();
        self.token_with(json!({"namespace": namespace, "iat": now.min(now + life), "exp": now + life}))
    }

    /// A token of this API's secret with these claims over the usual ones.
    pub fn token_with(&self, claims: Value) -> String {
        token(&self.state.lock().unwrap().secret, claims)
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().unwrap().join();
    }
}

/// An HS256 owner token with these claims over the usual ones.
pub fn token(secret: &str, claims: Value) -> String {
    let namespace = claims["namespace"].as_str().unwrap_or("tester").to_owned();
    let mut all = json!({
        "sub": format!("user_local_{namespace}"), "email": format!("{namespace}@local.sigilum"), "namespace": namespace,
        "iss": "sigilum-api", "aud": "sigilum-dashboard", "iat": super::now(), "exp": super::now() + 3600,
    });
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    let signed = format!(
        "{}.{}",
        base64url(br#"{"alg":"HS256","typ":"JWT"}"#),
        base64url(all.to_string().as_bytes())
    );
    format!("{signed}.{}", base64url(&signature(secret, &signed)))
}

fn signature(secret: &str, text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn base64url(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0u32, |word, i| word << 8 | u32::from(*chunk.get(i).unwrap_or(&0)));
        for i in 0..=chunk.len() {
            text.push(ALPHABET[(word >> (18 - 6 * i)) as usize & 63] as char);
        }
    }
    text
}

fn from_base64url(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut word, mut bits) = (Vec::new(), 0u32, 0);
    for letter in text.bytes() {
        word = word << 6 | ALPHABET.iter().position(|&known| known == letter)? as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits) as u8);
        }
    }
    Some(bytes)
}

type Answer = (u16, Value);

/// Unix seconds as the API writes times.
pub fn iso(seconds: i64) -> String {
    let text = sigilum_authz_notify::time::rfc3339(seconds);
    text.replace('Z', ".000Z")
}

fn error(status: u16, code: &str) -> Answer {
    (
        status,
        json!({"error": format!("Loopback API says {code}"), "code": code}),
    )
}

/// The token's namespace, or the answer that refuses it.
fn authorized(seen: &Seen, secret: &str) -> Result<String, Answer> {
    let token = seen
        .headers
        .get("authorization")
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or_else(|| error(401, "UNAUTHORIZED"))?;
    let bad = || error(401, "TOKEN_EXPIRED");
    let (signed, given) = token.rsplit_once('.').ok_or_else(bad)?;
    let (header, claims) = signed.split_once('.').ok_or_else(bad)?;
    let part = |text| serde_json::from_slice::<Value>(&from_base64url(text)?).ok();
    let (header, claims) = (part(header).ok_or_else(bad)?, part(claims).ok_or_else(bad)?);
    let fine = from_base64url(given) == Some(signature(secret, signed))
        && header["alg"] == "HS256"
        && claims["iss"] == "sigilum-api"
        && claims["aud"] == "sigilum-dashboard"
        && claims["exp"].as_i64().is_some_and(|exp| exp > super::now())
        && ["sub", "email", "namespace"]
            .iter()
            .all(|name| claims[name].is_string());
    match fine {
        true => Ok(claims["namespace"].as_str().unwrap().to_owned()),
        false => Err(bad()),
    }
}

fn answer(seen: &Seen, state: &mut State) -> Result<Answer, Answer> {
    let (method, target) = seen.line.split_once(' ').unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if path != "/" && path.ends_with('/') {
        return Err(error(401, "SIGNATURE_MISSING"));
    }
    let query: BTreeMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match (method, &parts[..]) {
        ("GET", ["health"]) => Ok((200, json!({"status": "ok", "timestamp": "2026-11-22T06:20:37.017Z"}))),
        ("GET", ["v1", "namespaces", namespace, "claims"]) => {
            if authorized(seen, &state.secret)? != *namespace {
                return Err(error(403, "FORBIDDEN"));
            }
            let (limit, offset) = (number(&query, "limit", 50)?, number(&query, "offset", 0)?);
            if limit == 0 || limit > 200 {
                return Err(error(400, "VALIDATION_ERROR"));
            }
            let status = *query.get("status").unwrap_or(&"pending");
            let mut claims: Vec<&Value> = state
                .claims
                .iter()
                .filter(|claim| claim["namespace"] == *namespace && claim["status"] == status)
                .filter(|claim| query.get("service").is_none_or(|service| claim["service"] == *service))
                .collect();
            claims.sort_by_key(|claim| claim["created_at"].as_str().unwrap_or_default());
            claims.reverse();
            let (page, pagination) = page(&claims, limit, offset);
            Ok((200, json!({"claims": page, "pagination": pagination})))
        }
        ("GET", ["v1", "namespaces", namespace, "usage"]) => {
            if authorized(seen, &state.secret)? != *namespace {
                return Err(error(403, "FORBIDDEN"));
            }
            let (limit, offset) = (number(&query, "limit", 50)?, number(&query, "offset", 0)?);
            let from = query.get("from").map_or(String::new(), |from| from.replace("%3A", ":"));
            let rows: Vec<&Value> = state
                .usage
                .iter()
                .filter(|row| query.get("provider").is_none_or(|service| row["provider"] == *service))
                .filter(|row| row["last_used_at"].as_str().unwrap() >= from.as_str())
                .collect();
            let (page, pagination) = page(&rows, limit, offset);
            Ok((200, json!({"rows": page, "summary": {}, "pagination": pagination})))
        }
        ("GET", ["v1", "claims", id]) => state
            .claims
            .iter()
            .find(|claim| claim["claim_id"] == *id)
            .map(|claim| (200, claim.clone()))
            .ok_or_else(|| error(404, "NOT_FOUND")),
        ("POST", ["v1", "claims", id, verb @ ("approve" | "reject" | "revoke")]) => decided(seen, state, id, verb),
        _ => Err(error(404, "NOT_FOUND")),
    }
}

fn number(query: &BTreeMap<&str, &str>, name: &str, default: usize) -> Result<usize, Answer> {
    match query.get(name) {
        Some(text) => text.parse().map_err(|_| error(400, "VALIDATION_ERROR")),
        None => Ok(default),
    }
}

fn page(all: &[&Value], limit: usize, offset: usize) -> (Value, Value) {
    let page: Vec<&Value> = all.iter().skip(offset).take(limit).copied().collect();
    let more = offset + page.len() < all.len();
    let pagination = json!({"limit": limit, "offset": offset, "total": all.len(), "has_more": more});
    (json!(page), pagination)
}

fn decided(seen: &Seen, state: &mut State, id: &str, verb: &str) -> Result<Answer, Answer> {
    let namespace = authorized(seen, &state.secret)?;
    let (from, to, time) = match verb {
        "approve" => ("pending", "approved", Some("approved_at")),
        "reject" => ("pending", "rejected", None),
        _ => ("approved", "revoked", Some("revoked_at")),
    };
    let approved = |service: &Value| {
        let claims = state.claims.iter();
        claims
            .filter(|claim| claim["status"] == "approved" && claim["service"] == *service)
            .count()
    };
    let at = state
        .claims
        .iter()
        .position(|claim| claim["claim_id"] == id && claim["status"] == from);
    let at = at.ok_or_else(|| error(404, "NOT_FOUND"))?;
    let current = approved(&state.claims[at]["service"]);
    if state.claims[at]["namespace"] != *namespace {
        return Err(error(403, "FORBIDDEN"));
    }
    let limit = state.agent_limit;
    if verb == "approve" && current >= limit {
        let (status, mut answer) = error(409, "AGENT_LIMIT_REACHED");
        answer["details"] = json!({"agent_limit": limit, "current": current});
        return Err((status, answer));
    }
    let claim = &mut state.claims[at];
    claim["status"] = to.into();
    if let Some(time) = time {
        claim[time] = iso(super::now()).into();
    }
    let mut answer = json!({"claim_id": id, "status": to});
    if verb == "approve" {
        answer["agents_approved"] = (current + 1).into();
        answer["agents_limit"] = limit.into();
        answer["blockchain_tx_status"] = "queued".into();
    }
    Ok((200, answer))
}

fn serve(connection: TcpStream, state: &Mutex<State>, stop: &AtomicBool) -> std::io::Result<()> {
    connection.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut out = connection;
    loop {
        let Some(seen) = read_head(&mut reader)? else {
            return Ok(());
        };
        let length = seen
            .headers
            .get("content-length")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink())?;
        let (fault, answer, delay) = {
            let mut state = state.lock().unwrap();
            state.seen.push(seen.clone());
            let fault = state.next_faults.pop_front().unwrap_or(state.fault.clone());
            // An API that answers so has done nothing.
            let answer = match fault {
                Fault::Status(status, code) => error(status, code),
                _ => answer(&seen, &mut state).unwrap_or_else(|refusal| refusal),
            };
            (fault, answer, state.delay)
        };
        std::thread::sleep(delay);
        match fault {
            Fault::None | Fault::Status(..) => write_json(&mut out, answer)?,
            Fault::Body(kind, body) => write!(
                out,
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )?,
            Fault::Redirect(to) => {
                write!(out, "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")?;
            }
            Fault::Raw(bytes) => return out.write_all(&bytes),
            Fault::Drop => return Ok(()),
            Fault::Attack(attack) => {
                let token = seen.headers.get("authorization").map_or("", String::as_str);
                let count = attack.perform(&mut out, token, stop);
                let mut state = state.lock().unwrap();
                state.attacked = (state.attacked.0 + 1, state.attacked.1 + count);
                return Ok(());
            }
            Fault::Stall => {
                wait(stop);
                return Ok(());
            }
            Fault::Drip => {
                out.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")?;
                while !stop.load(Ordering::SeqCst) {
                    out.write_all(b" ")?;
                    std::thread::sleep(Duration::from_millis(50));
                }
                return Ok(());
            }
            Fault::Endless => {
                out.write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
                )?;
                while !stop.load(Ordering::SeqCst) {
                    write!(out, "4000\r\n{}\r\n", " ".repeat(0x4000))?;
                }
                return Ok(());
            }
            Fault::TenGigabytes => {
                out.write_all(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10737418240\r\n\r\n",
                )?;
                while !stop.load(Ordering::SeqCst) {
                    out.write_all(&[b' '; 0x4000])?;
                }
                return Ok(());
            }
        }
    }
}

fn wait(stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn read_head(reader: &mut impl BufRead) -> std::io::Result<Option<Seen>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let words: Vec<&str> = line.split(' ').take(2).collect();
    let mut seen = Seen {
        line: words.join(" "),
        headers: BTreeMap::new(),
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => seen.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned()),
            None => return Ok(Some(seen)),
        };
    }
}

fn write_json(out: &mut TcpStream, (status, body): Answer) -> std::io::Result<()> {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {}",
        body.len()
    );
    // In one piece.
    out.write_all(format!("{head}\r\n\r\n{body}").as_bytes())
}
