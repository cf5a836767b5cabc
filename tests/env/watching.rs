//! A home with a login in it, and a watcher that runs as a process of its own.

use super::api;
use super::{Run, TestEnv};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A slow machine may take so long for anything that is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A config as a person writes it, with the hook's entry on and no token yet.
pub const CONFIG: &str = r#"{
  // kept by hand
  gateway: { mode: 'local' },
  "hooks": {
    "internal": {
      "enabled": true,
      "entries": {
        "sigilum-authz-notify": {
          "enabled": true,
          "env": {
            "SIGILUM_NAMESPACE": "alice",
            "SIGILUM_API_URL": "http://127.0.0.1:8787",
            "SIGILUM_MODE": "oss-local", // here
          },
        },
      },
    },
  },
}
"#;

/// A running watcher. Killed when dropped.
pub struct Watcher {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: JoinHandle<()>,
}

impl Watcher {
    /// Starts one and waits until it has looked at everything.
    pub fn start(run: Run) -> Self {
        let watcher = Self::spawn(run);
        watcher.wait_for("watching");
        watcher
    }

    /// Starts one.
    pub fn spawn(run: Run) -> Self {
        let mut child = run
            .into_command()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let heard = Arc::clone(&lines);
        let reader = std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                heard.lock().unwrap().push(line);
            }
        });
        Self { child, lines, reader }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged.
    pub fn log(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// How many lines hold a text.
    pub fn count(&self, text: &str) -> usize {
        self.log().iter().filter(|line| line.contains(text)).count()
    }

    /// Waits until a line with this text has been logged.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        self.wait_for_times(text, 1);
    }

    #[track_caller]
    pub fn wait_for_times(&self, text: &str, times: usize) {
        let found = wait_until(|| self.count(text) >= times);
        assert!(found, "no {times} lines with {text:?} in\n{}", self.log().join("\n"));
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), signal).unwrap();
    }

    /// Waits for its end, and for all of its log: exit code and how long the first took.
    #[track_caller]
    pub fn end(&mut self) -> (i32, Duration) {
        let begun = Instant::now();
        let mut code = None;
        let ended = wait_until(|| {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        let took = begun.elapsed();
        assert!(ended, "it does not end:\n{}", self.log().join("\n"));
        let heard = wait_until(|| self.reader.is_finished());
        assert!(heard, "something that it started keeps its log open");
        (code.unwrap().code().unwrap_or(-1), took)
    }

    /// SIGTERM, and its exit code.
    pub fn stop(&mut self) -> i32 {
        self.signal(Signal::TERM);
        self.end().0
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            let log = self.log().join("\n");
            assert!(!log.contains("eyJ"), "a token in the log:\n{log}");
        }
    }
}

/// Waits until something holds; says whether it came to that.
pub fn wait_until(mut holds: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

impl TestEnv {
    /// `auth login` in oss-local mode with the hook on, for a token that lives `ttl` seconds.
    pub fn log_in(&self, ttl: u32) {
        let ttl = ttl.to_string();
        self.login()
            .args(["--enable-authz-notify", "true", "--ttl-seconds", &ttl])
            .expect(0);
    }

    /// Records whether alice's token stands in openclaw.json, as a login does.
    pub fn record_choice(&self, token_in_config: Option<bool>) {
        let mut record = serde_json::json!({"namespace": "alice"});
        record["token_in_config"] = token_in_config.into();
        self.write_record(&record);
    }

    /// Replaces the hook's record.
    pub fn write_record(&self, record: &Value) {
        let path = self.sigilum("hook.json");
        std::fs::write(&path, record.to_string()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// `auth login` in managed mode with a token of its own that lives `ttl` seconds; gives the token.
    pub fn log_in_managed(&self, ttl: i64) -> String {
        let token = managed_token("alice", ttl);
        self.log_in_with(&token);
        token
    }

    /// The hosted Sigilum, on loopback: its secret is the one of [`managed_token`].
    pub fn managed_api(&self) -> api::Api {
        api::Api::start("only Sigilum knows")
    }

    /// As [`Self::log_in_managed`], at this API, in a config as a person writes it.
    pub fn log_in_managed_at(&self, api: &api::Api, ttl: i64) -> String {
        let token = managed_token("alice", ttl);
        self.log_in_at(api, &token);
        token
    }

    /// As [`Self::log_in_with`], at this API, in a config as a person writes it.
    pub fn log_in_at(&self, api: &api::Api, token: &str) {
        let config = CONFIG.replace("http://127.0.0.1:8787", &api.url());
        self.write_config(config.replace("oss-local", "managed"));
        self.managed_login(token).args(["--api-url", &api.url()]).expect(0);
    }

    fn managed_login(&self, token: &str) -> Run {
        let alice = ["auth", "login", "--mode", "managed", "--namespace", "alice"];
        self.run(alice)
            .args(["--enable-authz-notify", "true", "--print-token", "false"])
            .args(["--owner-token-stdin"])
            .stdin(token)
    }

    /// `auth login` of alice's in managed mode with this token, and the hook on.
    pub fn log_in_with(&self, token: &str) {
        self.managed_login(token).expect(0);
    }

    /// A watcher of `~/.openclaw`.
    pub fn watch(&self) -> Watcher {
        Watcher::start(self.run(["watch", "--seed", "1"]))
    }

    /// What was recorded, stored or made: the records, the token and the secret.
    pub fn ours(&self) -> Vec<(String, String)> {
        let entries = std::fs::read_dir(self.openclaw().join(".sigilum")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| !name.contains("watch") && name != "lock").collect();
        names.sort();
        let text = |name: String| {
            let bytes = std::fs::read(self.sigilum(&name)).unwrap();
            (name, String::from_utf8_lossy(&bytes).into_owned())
        };
        names.into_iter().map(text).collect()
    }

    /// The token in the token file.
    pub fn stored(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.sigilum("owner-token-alice.jwt")).ok()?;
        Some(text.trim().to_owned())
    }

    /// The embedded database's signing secret.
    pub fn secret(&self) -> String {
        std::fs::read_to_string(self.sigilum("jwt-secret"))
            .unwrap()
            .trim()
            .to_owned()
    }

    /// The entry in openclaw.json.
    pub fn entry(&self) -> Option<Value> {
        let text = std::fs::read_to_string(self.config()).ok()?;
        let config: Value = json5::from_str(&text).ok()?;
        config.pointer("/hooks/internal/entries/sigilum-authz-notify").cloned()
    }

    /// The token in openclaw.json.
    pub fn in_config(&self) -> Option<String> {
        Some(self.entry()?.pointer("/env/SIGILUM_OWNER_TOKEN")?.as_str()?.to_owned())
    }

    /// Replaces a text in openclaw.json, atomically, as OpenClaw does.
    #[track_caller]
    pub fn change_config(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.config()).unwrap();
        assert!(text.contains(from), "no {from:?} in\n{text}");
        replace(&self.config(), &text.replace(from, to));
    }

    /// Switches the hook on or off in openclaw.json, as a person does.
    #[track_caller]
    pub fn switch(&self, on: bool) {
        let entry = |on: bool| format!("\"enabled\": {on},\n          \"env\"");
        self.change_config(&entry(!on), &entry(on));
    }

    /// Waits until file and config hold the same token, and another than this one.
    #[track_caller]
    pub fn wait_for_token_other_than(&self, old: &str) -> String {
        let mut token = String::new();
        let found = wait_until(|| {
            token = self.stored().unwrap_or_default();
            !token.is_empty() && token != old && self.in_config().as_ref() == Some(&token)
        });
        assert!(found, "file: {:?}\nconfig: {:?}", self.stored(), self.in_config());
        token
    }
}

/// Replaces a file by a temp file and rename.
pub fn replace(path: &Path, text: &str) {
    let temp = path.with_extension("tmp");
    std::fs::write(&temp, text).unwrap();
    std::fs::rename(&temp, path).unwrap();
}

/// A token of the hosted Sigilum for a namespace, issued now.
pub fn managed_token(namespace: &str, life: i64) -> String {
    token("only Sigilum knows", namespace, 0, life)
}

/// A token of a namespace signed with a secret, issued `age` seconds ago, that lives `life` seconds in all.
pub fn token(secret: &str, namespace: &str, age: i64, life: i64) -> String {
    let iat = super::now() - age;
    let claims = serde_json::json!({"namespace": namespace, "iat": iat, "exp": iat + life});
    api::token(secret, claims)
}
