//! The commands that the experiments strike, and what stands there before.

use super::tree::{self, Tree};
use crate::env::gateway::Gateway;
use crate::env::services::{Desk, SECRET};
use crate::env::{Run, now};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sigilum_authz_notify::token::claims::{self, Claims};
use std::path::PathBuf;
use std::sync::Mutex;

/// What a person's config looks like: comments, odd spacing, another hook.
pub const CONFIG: &str = r#"{
  // the comments stay
  "gateway": { "mode": "local", "port": 18790 }, /* as I like it */
  'channels': {irc: {enabled: true,},},
  "hooks": {"internal": {"enabled": true, "entries": {"other": {"enabled": true}}}},
}
"#;

/// A new upstream secret.
pub const NEW_SECRET: &str = "a-new-upstream-secret-9876543210";
/// The signing secret of a managed API that nobody here knows.
pub const FOREIGN: &str = "a-foreign-signing-secret-that-nobody-has";

/// One command, and what is there when it starts.
pub struct Scene {
    pub name: &'static str,
    /// Makes what is there before.
    pub prepare: fn(&Desk),
    /// The command.
    pub run: fn(&Desk) -> Run,
    /// Whether a dead process's OpenClaw lock stands there too.
    pub dead_lock: bool,
    /// Which calls it must be struck at, or the sweep proves nothing.
    pub reaches: &'static [&'static str],
}

/// A place where a scene is played again and again.
pub struct Stage {
    pub desk: Desk,
    pub old: Tree,
    connection: bool,
}

const EDIT: &[&str] = &["rename", "link", "unlink", "fsync"];
const FILES: &[&str] = &["rename", "unlink", "fsync"];

/// All of them.
pub fn all() -> Vec<Scene> {
    let scene = |name, prepare, run, reaches| Scene {
        name,
        prepare,
        run,
        dead_lock: false,
        reaches,
    };
    let dead = |name, prepare, run| Scene {
        name,
        prepare,
        run,
        dead_lock: true,
        reaches: EDIT,
    };
    vec![
        scene("auth login", config, login, EDIT),
        dead("auth login, a dead owner's lock", config, login),
        scene(
            "auth login, managed, over another token",
            logged_in_managed,
            login_managed,
            EDIT,
        ),
        scene("auth refresh", due, refresh, EDIT),
        dead("auth refresh, a dead owner's lock", due, refresh),
        scene("service add, native", |_| (), add_native, FILES),
        scene("service add, gateway", |_| (), |desk| desk.add_linear([]), FILES),
        scene("service secret set", added, set_secret, FILES),
        scene("hook install", switched_off, install, EDIT),
        dead("hook install, a dead owner's lock", switched_off, install),
        scene("hook install, the plugin", logged_in, install_plugin, EDIT),
        scene("hook uninstall", installed, uninstall, EDIT),
        dead("hook uninstall, a dead owner's lock", installed, uninstall),
        scene("watch --once, a renewal", due, watch, EDIT),
        dead("watch --once, a dead owner's lock", due, watch),
    ]
}

impl Stage {
    pub fn new(scene: &Scene) -> Self {
        let desk = Desk::new();
        (scene.prepare)(&desk);
        if scene.dead_lock {
            let mut child = std::process::Command::new("true").spawn().unwrap();
            child.wait().unwrap();
            // Where the number is another process's by now, that one started at another time.
            let lock = json!({"pid": child.id(), "createdAt": "2026-11-01T10:00:00.000Z", "starttime": 1});
            desk.env.write(".openclaw/openclaw.json.lock", lock.to_string());
        }
        desk.gateway.home(gateway_home(&desk));
        let _ = std::fs::remove_dir_all(desk.env.home().join("gateway-home"));
        Self {
            old: tree::take(desk.env.home()),
            connection: !desk.gateway.ids().is_empty(),
            desk,
        }
    }

    /// Everything as it was before, in the same place.
    pub fn again(&mut self) {
        tree::put(self.desk.env.home(), &self.old);
        let gateway = Gateway::start();
        gateway
            .home(gateway_home(&self.desk))
            .uses_keys(self.desk.checkout.db());
        if self.connection {
            gateway.given(
                json!({"id": "linear", "name": "linear", "base_url": "https://api.linear.app",
                "auth_mode": "bearer", "auth_header_name": "Authorization", "auth_prefix": "Bearer ",
                "auth_secret_key": "access_token", "secrets": {"access_token": SECRET}}),
            );
        }
        self.desk.gateway = gateway;
    }

    pub fn config(&self) -> PathBuf {
        PathBuf::from(".openclaw/openclaw.json")
    }

    pub fn now(&self) -> Tree {
        tree::take(self.desk.env.home())
    }

    /// What `hook uninstall` makes of it, the config is the person's again, byte for byte.
    pub fn undone(&self, faults: &mut Vec<String>) {
        let output = uninstall(&self.desk).output();
        if output.code != 0 {
            faults.push(format!("hook uninstall: exit code {}: {}", output.code, output.stderr));
        }
        let config = std::fs::read_to_string(self.desk.env.config()).unwrap_or_default();
        if config != CONFIG {
            faults.push(format!(
                "hook uninstall did not give the config back: {:?}",
                tree::normal(config.as_bytes())
            ));
        }
    }

    /// Token file and config hold the same token, signed with a secret that is there.
    pub fn agree(&self, faults: &mut Vec<String>) {
        let (env, read) = (&self.desk.env, |path| std::fs::read_to_string(path).unwrap_or_default());
        let Some(stored) = Some(read(env.sigilum("owner-token-alice.jwt"))).filter(|text| !text.is_empty()) else {
            return;
        };
        let token = SecretString::from(stored.trim());
        let local = SecretString::from(read(env.sigilum("jwt-secret")).trim());
        if !claims::is_signed_by(&token, &local) && !claims::is_signed_by(&token, &FOREIGN.into()) {
            faults.push("the stored token is signed with no secret that is there".to_owned());
        }
        let config: serde_json::Value = json5::from_str(&read(env.config())).unwrap_or_default();
        let entry = &config["hooks"]["internal"]["entries"]["sigilum-authz-notify"];
        let in_config = entry["env"]["SIGILUM_OWNER_TOKEN"].as_str();
        if entry["enabled"] == true && in_config != Some(stored.trim()) {
            faults.push("token file and config disagree".to_owned());
        }
    }
}

/// The gateway's own home is no concern of ours.
fn gateway_home(desk: &Desk) -> PathBuf {
    tempfile::env::temp_dir().join(format!(
        "{}-gateway",
        desk.env.home().file_name().unwrap().to_str().unwrap()
    ))
}

fn config(desk: &Desk) {
    // Nothing of a checkout is needed here.
    std::fs::remove_dir_all(&desk.checkout.root).unwrap();
    desk.env.write_config(CONFIG);
}

fn local<'a>(desk: &Desk, args: impl IntoIterator<Item = &'a str>) -> Run {
    let args: Vec<&str> = args.into_iter().collect();
    desk.env.run(args).env("SIGILUM_NAMESPACE", "alice")
}

pub fn login(desk: &Desk) -> Run {
    local(
        desk,
        ["auth", "login", "--mode", "oss-local", "--enable-authz-notify", "true"],
    )
}

/// The signatures of all tokens that were made here: what makes each of them one.
pub static SIGNATURES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A token of alice's, that old in seconds and with that life.
pub fn token(secret: &str, age: i64, life: u64) -> String {
    let claims = Claims::new("user_local_alice", "alice@local.sigilum", "alice", now() - age, life);
    let token = claims::mint(&claims, &secret.into()).unwrap();
    let token = token.expose_secret().to_owned();
    let signature = token.rsplit('.').next().unwrap().to_owned();
    SIGNATURES.lock().unwrap().push(signature);
    token
}

pub fn login_managed(desk: &Desk) -> Run {
    local(
        desk,
        [
            "auth",
            "login",
            "--mode",
            "managed",
            "--enable-authz-notify",
            "true",
            "--owner-token-stdin",
        ],
    )
    .stdin(token(FOREIGN, 10, 604_800))
}

pub fn logged_in_managed(desk: &Desk) {
    config(desk);
    let old = token(FOREIGN, 1000, 604_800);
    login_managed(desk).stdin(old).expect(0);
}

pub fn logged_in(desk: &Desk) {
    config(desk);
    login(desk).expect(0);
}

/// An entry that is off: the install has to edit the config.
fn switched_off(desk: &Desk) {
    config(desk);
    local(desk, ["auth", "login", "--mode", "oss-local"]).expect(0);
}

pub fn refresh(desk: &Desk) -> Run {
    local(desk, ["auth", "refresh"])
}

pub fn add_native(desk: &Desk) -> Run {
    desk.add("linear", [])
}

pub fn added(desk: &Desk) {
    desk.add_linear([]).expect(0);
}

pub fn set_secret(desk: &Desk) -> Run {
    desk.set("linear", ["--upstream-secret-env", "NEW"])
        .env("NEW", NEW_SECRET)
}

pub fn install(desk: &Desk) -> Run {
    // By itself it keeps the token out of the config; the sweep is to see one go in.
    local(desk, ["hook", "install", "--token-in-config", "true"])
}

fn install_plugin(desk: &Desk) -> Run {
    local(desk, ["hook", "install", "--as", "plugin"])
}

pub fn installed(desk: &Desk) {
    logged_in(desk);
    install(desk).expect(0);
}

pub fn uninstall(desk: &Desk) -> Run {
    local(desk, ["hook", "uninstall"])
}

/// A token in file and config that is due, and valid for a day yet.
pub fn due(desk: &Desk) {
    logged_in(desk);
    let secret = std::fs::read_to_string(desk.env.sigilum("jwt-secret")).unwrap();
    let old = token(secret.trim(), 900_000, 1_000_000);
    local(desk, ["auth", "login", "--owner-token-stdin"])
        .stdin(old)
        .expect(0);
}

pub fn watch(desk: &Desk) -> Run {
    local(desk, ["watch", "--once"])
}
