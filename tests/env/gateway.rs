//! A Sigilum gateway on loopback that keeps the real one's contract, traps included, and can be told to fail.

mod contract;

use super::SilentPort;
use super::attack::Attack;
use contract::{create, error, handle};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
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
    /// This status with these words.
    Status(u16, &'static str),
    /// 500 with these words.
    Say(&'static str),
    /// Whatever a hostile other side thinks of, in the place of the work.
    Attack(Attack),
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
    /// The database of the API that it asks with its service keys.
    api_db: Option<PathBuf>,
    clock: u64,
    kill: Option<Kill>,
    attacked: (u32, u64),
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
    /// Once it has stopped.
    silent: OnceLock<SilentPort>,
}

impl Gateway {
    pub fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// Starts one on a listener.
    pub fn on(listener: TcpListener) -> Self {
        let state = State {
            access: "hybrid".to_owned(),
            ..State::default()
        };
        Self::serve(Arc::new(Mutex::new(state)), listener)
    }

    /// The same gateway again, after it died. On another port.
    pub fn restart(&self) -> Self {
        self.lock().faults.clear();
        Self::serve(Arc::clone(&self.state), TcpListener::bind("127.0.0.1:0").unwrap())
    }

    fn serve(state: Arc<Mutex<State>>, listener: TcpListener) -> Self {
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
        Self {
            state,
            port,
            gone,
            silent: OnceLock::new(),
        }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on nobody listens there.
    pub fn stop(&self) {
        stop(&self.gone, self.port);
        let _ = self.silent.set(SilentPort::at(self.port));
    }

    /// At the next `times` requests of this method whose path contains `part`: misbehave.
    pub fn fault(&self, method: &str, part: &str, fault: Fault, times: usize) -> &Self {
        self.lock()
            .faults
            .push((method.to_owned(), part.to_owned(), fault, times));
        self
    }

    /// From now on it behaves.
    pub fn clear(&self) {
        self.lock().faults.clear();
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

    /// From now on it uses the service keys that it is handed: the API, whose database this is, sees each at once.
    pub fn uses_keys(&self, api_db: impl Into<PathBuf>) -> &Self {
        self.lock().api_db = Some(api_db.into());
        self
    }

    /// From now on it has its service keys from its environment, and takes others without using them.
    pub fn keeps_its_keys(&self) -> &Self {
        self.lock().api_db = None;
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

    /// Deletes a connection as the dashboard would.
    pub fn forget(&self, id: &str) {
        self.lock().connections.remove(id);
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

    /// How many requests it has attacked, and how many bytes it got rid of at it; forgets them.
    pub fn attacked(&self) -> (u32, u64) {
        std::mem::take(&mut self.lock().attacked)
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
    if let Some(Fault::Attack(attack)) = fault {
        let token = seen.headers.get("x-sigilum-admin-token").map_or("", String::as_str);
        let secret = seen.body.get("secrets").and_then(Value::as_object);
        let secret = secret.and_then(|secrets| secrets.values().next());
        let secret = secret.or(seen.body.get("key")).and_then(Value::as_str).unwrap_or("");
        let count = attack.perform(&mut stream, &format!("{token} {secret}"), gone);
        let mut state = state.lock().unwrap();
        state.attacked = (state.attacked.0 + 1, state.attacked.1 + count);
        return Ok(());
    }
    let (status, body) = match fault {
        Some(Fault::DropBefore) => return Ok(()),
        Some(Fault::Fail) => (500, error("failed to list connections", "")),
        Some(Fault::Status(status, words)) => (status, error(words, "")),
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
