//! A hostile Sigilum gateway: every service command, attacked at each of its requests; and connections whose fields are
//! attacks.

use super::{Case, Trial, attacks, differences, take};
use crate::env::Run;
use crate::env::attack::{Attack, Then};
use crate::env::gateway::Fault;
use crate::env::services::{Desk, SECRET, sha256};
use crate::tree;
use serde_json::json;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

const ADMIN: &str = "an-admin-token-of-the-gateway-1234567890";
const NEW_SECRET: &str = "a-new-upstream-secret-9876543210";
/// What a change may take, connecting and answer; and a list.
const BUDGET: Duration = Duration::from_secs(30);
const LIST_BUDGET: Duration = Duration::from_secs(5);

/// One command, what is there before, and what it asks.
struct Scene {
    name: &'static str,
    prepare: fn(&Desk),
    run: fn(&Desk) -> Run,
    /// Its requests: method, part of the path, and whether an attack there may leave its files changed.
    requests: &'static [(&'static str, &'static str, bool)],
    /// Whether the gateway has what the command is to bring about.
    done: fn(&Desk) -> bool,
    /// What an untouched run leaves.
    new: OnceLock<tree::Tree>,
}

fn scenes() -> Vec<Scene> {
    let scene = |name, prepare, run, requests, done| Scene {
        name,
        prepare,
        run,
        requests,
        done,
        new: OnceLock::new(),
    };
    vec![
        scene(
            "service add, new",
            |_| (),
            |desk| desk.add_linear([]),
            &[
                ("GET", "/connections/linear", false),
                ("POST", "/connections", true),
                ("PUT", "/service-api-keys", true),
            ],
            |desk| secret(desk, "access_token") == SECRET && handed_over(desk),
        ),
        scene(
            "service add, a change in place",
            given,
            |desk| {
                let args = ["--upstream-secret-key", "new", "--auth-prefix", "N "];
                desk.add_linear(args)
            },
            &[
                ("GET", "/connections/linear", false),
                ("POST", "/rotate", true),
                ("PATCH", "/connections/linear", true),
                ("PUT", "/service-api-keys", true),
            ],
            |desk| secret(desk, "new") == SECRET && member(desk, "auth_secret_key") == "new" && handed_over(desk),
        ),
        scene(
            "service add, another base URL",
            given,
            |desk| {
                let args = [
                    "--mode",
                    "gateway",
                    "--upstream-base-url",
                    "https://new.linear.app",
                    "--force",
                ];
                desk.add("linear", args.into_iter().chain(["--upstream-secret-env", "LINEAR"]))
                    .env("LINEAR", SECRET)
            },
            &[
                ("GET", "/connections/linear", false),
                ("DELETE", "/connections/linear", true),
                ("POST", "/connections", true),
                ("PATCH", "/connections/linear", true),
                ("PUT", "/service-api-keys", true),
            ],
            |desk| {
                let moved = member(desk, "base_url") == "https://new.linear.app";
                moved
                    && secret(desk, "their_key") == SECRET
                    && member(desk, "status") == "disabled"
                    && handed_over(desk)
            },
        ),
        scene(
            "service add --dry-run",
            given,
            |desk| desk.add_linear(["--dry-run"]),
            &[("GET", "/connections/linear", false)],
            |desk| secret(desk, "their_key") != SECRET,
        ),
        scene(
            "service secret set",
            added,
            |desk| {
                desk.set("linear", ["--upstream-secret-env", "NEW"])
                    .env("NEW", NEW_SECRET)
            },
            &[("GET", "/connections/linear", false), ("POST", "/rotate", true)],
            |desk| secret(desk, "access_token") == NEW_SECRET,
        ),
        scene(
            "service rotate-key",
            added,
            |desk| desk.run(["service", "rotate-key", "linear"]),
            &[
                ("GET", "/connections/linear", false),
                ("PUT", "/service-api-keys", true),
            ],
            handed_over,
        ),
        scene(
            "service remove",
            added,
            |desk| desk.run(["service", "remove", "linear", "--yes"]),
            &[
                ("GET", "/connections/linear", false),
                ("DELETE", "/connections/linear", true),
            ],
            |desk| desk.gateway.ids().is_empty(),
        ),
        scene(
            LIST,
            added,
            |desk| desk.run(["service", "list"]),
            &[("GET", "/connections", false)],
            |desk| desk.gateway.ids() == ["linear"],
        ),
    ]
}

const LIST: &str = "service list";
const AS_JSON: &str = "service add, as JSON";

fn desk() -> Desk {
    let desk = Desk::new();
    desk.gateway.access("token", Some(ADMIN), false);
    desk
}

fn with_token(run: Run) -> Run {
    run.env("GATEWAY_ADMIN_TOKEN", ADMIN)
}

fn added(desk: &Desk) {
    with_token(desk.add_linear([])).expect(0);
}

fn given(desk: &Desk) {
    desk.gateway.given(json!({
        "id": "linear", "name": "Their Linear", "base_url": "https://api.linear.app", "path_prefix": "/v1",
        "auth_mode": "header_key", "auth_header_name": "X-Theirs", "auth_prefix": "Key ",
        "auth_secret_key": "their_key", "secrets": {"their_key": "their-secret-0123456789", "other": "another-one"},
        "status": "disabled", "rotation_interval_days": 30
    }));
}

fn secret(desk: &Desk, key: &str) -> String {
    desk.gateway.secrets("linear").get(key).cloned().unwrap_or_default()
}

fn member(desk: &Desk, name: &str) -> String {
    let connection = desk.gateway.connection("linear").unwrap_or_default();
    connection[name].as_str().unwrap_or_default().to_owned()
}

/// Key file, database and gateway agree on the service key.
fn handed_over(desk: &Desk) -> bool {
    let theirs = std::fs::read_to_string(desk.env.home().join("gateway-home/service-api-key-linear"));
    let ours = desk.read("service-api-key-linear");
    let sql = "SELECT count(*) FROM service_api_keys WHERE revoked_at IS NULL AND key_hash = ?1";
    let known: i64 = desk.db().query_row(sql, [sha256(&ours)], |row| row.get(0)).unwrap();
    theirs.is_ok_and(|key| key.trim() == ours) && known == 1
}

pub fn cases(elsewhere: u16) -> Vec<Case> {
    let mut everywhere = attacks::wire();
    everywhere.extend(attacks::elsewhere(elsewhere));
    everywhere.extend(attacks::gateway_words());
    let mut cases = Vec::new();
    let requests = scenes().into_iter().map(Arc::new).flat_map(|scene| {
        let requests = scene.requests.iter();
        requests.map(move |request| (Arc::clone(&scene), *request))
    });
    for (number, (scene, request)) in requests.enumerate() {
        let mut all = everywhere.clone();
        // One client reads all answers: all attacks at two requests, at each other one a fifth of them, and those that
        // keep it waiting.
        if number > 1 {
            let mut index = number;
            all.retain(|attack| {
                index += 1;
                attack.is_slow() || index % 5 == 0
            });
        }
        if scene.name == LIST {
            all.extend(attacks::long_lists());
        }
        for attack in all {
            let scene = Arc::clone(&scene);
            cases.push(Case {
                name: format!("{} at {} {}: {}", scene.name, request.0, request.1, attack.name),
                slow: attack.is_slow(),
                play: Box::new(move |trial| scene.attack(trial, request, &attack)),
            });
        }
    }
    cases
}

impl Scene {
    /// What an untouched run leaves.
    fn untouched(&self) -> &tree::Tree {
        self.new.get_or_init(|| {
            let desk = desk();
            (self.prepare)(&desk);
            with_token((self.run)(&desk)).expect(0);
            assert!((self.done)(&desk), "{}", self.name);
            take(desk.env.home())
        })
    }

    fn attack(&self, trial: &Trial<'_>, (method, part, may_change): (&str, &str, bool), attack: &Attack) {
        const SECRETS: [&str; 3] = [ADMIN, SECRET, NEW_SECRET];
        let desk = desk();
        (self.prepare)(&desk);
        let old = take(desk.env.home());
        desk.gateway.fault(method, part, Fault::Attack(attack.clone()), 1);
        let (budget, cap) = match self.name {
            LIST => (LIST_BUDGET, 64 << 20),
            _ => (BUDGET, 1 << 20),
        };
        let run = || with_token((self.run)(&desk));
        let ended = trial.run(run(), b"", budget, &SECRETS);
        trial.attacked(|| desk.gateway.attacked(), cap);
        let now = take(desk.env.home());
        let mut faults = Vec::new();
        if ended.code == 0 {
            tree::is_new(&now, self.untouched(), false, &mut faults);
        } else if may_change {
            tree::old_or_new(&journalled(&now, &mut faults), &old, self.untouched(), &mut faults);
        } else {
            let differ = differences(&now, &old);
            // A folder for the lock is no change.
            if !differ.is_empty() {
                faults.push(format!("changed: {}", differ.join(", ")));
            }
        }
        if ended.code != 0 && ![1, 6].contains(&ended.code) {
            faults.push(format!("exit code {}: {}", ended.code, ended.stderr));
        }
        tree::private(&now, &SECRETS, &mut faults);
        tree::databases(&now, &mut faults);

        let ended = trial.run(run(), b"", budget, &SECRETS);
        let now = take(desk.env.home());
        if ended.code != 0 && !(self.name == "service remove" && (self.done)(&desk)) {
            faults.push(format!("run again: exit code {}: {}", ended.code, ended.stderr));
        } else {
            tree::is_new(&now, self.untouched(), false, &mut faults);
        }
        if !(self.done)(&desk) {
            faults.push("run again, the gateway has not what it should".to_owned());
        }
        for fault in faults {
            trial.fault(fault);
        }
    }
}

/// A tree without what an unfinished change may leave besides; each such file is whole.
fn journalled(now: &tree::Tree, faults: &mut Vec<String>) -> tree::Tree {
    let mut now = now.clone();
    now.retain(|path, node| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let tree::Node::File(0o600, bytes) = node else {
            return true;
        };
        let text = String::from_utf8_lossy(bytes);
        if name.starts_with("gateway-connection-journal-") {
            if serde_json::from_str::<serde_json::Value>(&text).is_err() {
                faults.push(format!("{name} is not whole: {text}"));
            }
            return false;
        }
        if name.ends_with(".next") {
            if tree::normal(bytes) != "<sk_live_secret>\n" {
                faults.push(format!("{name} is not whole: {text}"));
            }
            return false;
        }
        true
    });
    now
}

/// Each member of a connection in turn is an attack: on the terminal, on whoever copies a command, on our files.
pub fn metadata(_: u16) -> Vec<Case> {
    type Start = (&'static str, fn(&Desk) -> Run, &'static str, &'static str);
    let starts: [Start; 4] = [
        (
            "service add, unchanged",
            |desk| {
                desk.add(
                    "linear",
                    ["--mode", "gateway", "--upstream-base-url", "https://api.linear.app"],
                )
            },
            "GET",
            "/connections/linear",
        ),
        (
            "service add, moved",
            |desk| {
                desk.add(
                    "linear",
                    ["--mode", "gateway", "--upstream-base-url", "https://new.linear.app"],
                )
            },
            "GET",
            "/connections/linear",
        ),
        (
            "service secret set",
            |desk| {
                desk.set("linear", ["--upstream-secret-env", "NEW"])
                    .env("NEW", NEW_SECRET)
            },
            "POST",
            "/rotate",
        ),
        (
            AS_JSON,
            |desk| {
                desk.add(
                    "linear",
                    [
                        "--mode",
                        "gateway",
                        "--upstream-base-url",
                        "https://api.linear.app",
                        "--json",
                    ],
                )
            },
            "GET",
            "/connections/linear",
        ),
    ];
    // Those that go into texts for people, and all others.
    let shown = [
        "id",
        "name",
        "base_url",
        "auth_mode",
        "auth_header_name",
        "auth_prefix",
        "auth_secret_key",
        "credential_keys",
        "status",
    ];
    let others = [
        "name",
        "auth_prefix",
        "protocol",
        "path_prefix",
        "rotation_interval_days",
        "secret_version",
        "created_at",
        "mcp_transport",
        "mcp_tool_policy",
        "mcp_subject_tool_policies",
        "unknown",
    ];
    let mut cases = Vec::new();
    for (start, run, method, part) in starts {
        let members = if start == AS_JSON { &others[..] } else { &shown[..] };
        for member in members.iter().copied() {
            let mut literals = attacks::literals();
            literals.push(("what was sent", "\"{sent}\"".to_owned()));
            // A sample where the way of a text has been gone already.
            let step = match start {
                AS_JSON => 7,
                "service secret set" => 3,
                _ => 1,
            };
            for (name, literal) in literals.into_iter().rev().step_by(step) {
                let literal = if member == "credential_keys" {
                    format!("[{literal}]")
                } else {
                    literal
                };
                cases.push(Case {
                    name: format!("{start}, {member} is {name}"),
                    slow: false,
                    play: Box::new(move |trial| hostile(trial, run, (method, part), member, &literal)),
                });
            }
        }
    }
    cases
}

fn hostile(trial: &Trial<'_>, run: fn(&Desk) -> Run, (method, part): (&str, &str), member: &str, literal: &str) {
    let secrets = [ADMIN, SECRET, NEW_SECRET];
    let desk = desk();
    added(&desk);
    let mut body = String::from("{");
    let honest = desk.gateway.connection("linear").unwrap();
    for (name, value) in honest.as_object().unwrap() {
        if name != member {
            body.push_str(&format!("{}:{value},", attacks::json(name)));
        }
    }
    body.push_str(&format!("{}:{literal}}}", attacks::json(member)));
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
    desk.gateway.fault(
        method,
        part,
        Fault::Attack(Attack::new("", format!("{head}{body}"), Then::Close)),
        1,
    );
    let ended = trial.run(with_token(run(&desk)), b"", BUDGET, &secrets);
    trial.attacked(|| desk.gateway.attacked(), 1 << 20);
    let json = ended.stdout.starts_with('{');
    if json && serde_json::from_str::<serde_json::Value>(&ended.stdout).is_err() {
        trial.fault(format!("that is no JSON: {}", ended.stdout));
    }
    // What may be copied into a shell is one word there.
    for line in ended
        .stderr
        .lines()
        .filter(|line| line.contains("sigilum-authz-notify "))
    {
        let command = &line[line.find("sigilum-authz-notify ").unwrap_or(0)..];
        if command.contains("touch x") && !command.contains("'") {
            trial.fault(format!("a command that runs another: {line}"));
        }
    }
    let mut faults = Vec::new();
    let now = take(desk.env.home());
    tree::private(&now, &secrets, &mut faults);
    let again = trial.run(with_token(desk.add_linear([])), b"", BUDGET, &secrets);
    if again.code != 0 || secret(&desk, "access_token") != SECRET || !handed_over(&desk) {
        faults.push(format!("run again: exit code {}: {}", again.code, again.stderr));
    }
    if desk.gateway.ids() != ["linear"] {
        faults.push(format!("connections: {:?}", desk.gateway.ids()));
    }
    for fault in faults {
        trial.fault(fault);
    }
}
