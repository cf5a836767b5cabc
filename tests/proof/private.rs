//! Private: every command with known tokens and secrets, every call of it looked at.

use super::scenes::{self, CONFIG, FOREIGN, NEW_SECRET};
use super::{Report, strace, tree};
use crate::env::Run;
use crate::env::api::Api;
use crate::env::gateway::Fault;
use crate::env::services::{Desk, SECRET};
use crate::env::stopped::Stopped;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Where a command may show a secret, because the person asked for it or there is no other way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum May {
    /// Nowhere.
    Nothing,
    /// On its command line, since the person typed it there.
    Typed,
    /// On its standard output: `auth login`, `auth show`, `--token-only`, `--reveal-secrets`.
    Print,
    /// On the command line of the Sigilum gateway's own CLI, which takes it in no other way.
    Cli,
}

type Case = (&'static str, May, fn(&Desk), fn(&Desk) -> Run);

const ADMIN: &str = "an-admin-token-of-the-gateway-1234567890";
const MASTER: &str = "a-master-key-of-the-gateway-0987654321";

fn cases() -> Vec<Case> {
    let nothing: fn(&Desk) = |_| ();
    vec![
        ("auth login, oss-local", May::Print, scenes_config, scenes::login),
        ("auth login, typed token", May::Typed, scenes_config, |desk| {
            let token = scenes::token(FOREIGN, 10, 604_800);
            person(
                desk,
                &["auth", "login", "--print-token", "false", "--owner-token", &token],
            )
        }),
        (
            "auth login, token on standard input",
            May::Nothing,
            scenes_config,
            |desk| {
                person(
                    desk,
                    &["auth", "login", "--print-token", "false", "--owner-token-stdin"],
                )
                .stdin(scenes::token(FOREIGN, 10, 604_800))
            },
        ),
        (
            "auth login, token from the environment",
            May::Nothing,
            scenes_config,
            |desk| {
                person(
                    desk,
                    &[
                        "auth",
                        "login",
                        "--print-token",
                        "false",
                        "--enable-authz-notify",
                        "true",
                    ],
                )
                .env("SIGILUM_OWNER_TOKEN", scenes::token(FOREIGN, 10, 604_800))
            },
        ),
        (
            "auth login, --dry-run",
            May::Nothing,
            scenes::logged_in_managed,
            |desk| {
                person(desk, &["auth", "login", "--dry-run", "--owner-token-stdin"])
                    .stdin(scenes::token(FOREIGN, 10, 604_800))
            },
        ),
        (
            "auth login, a secret of JWT_SECRET",
            May::Nothing,
            scenes_config,
            |desk| {
                person(
                    desk,
                    &["auth", "login", "--mode", "oss-local", "--print-token", "false"],
                )
                .env("JWT_SECRET", FOREIGN)
            },
        ),
        ("auth login, a broken token", May::Nothing, scenes_config, |desk| {
            let token = scenes::token(FOREIGN, 10, 604_800);
            let broken = token.replacen(".eyJ", ".xeyJ", 1);
            person(desk, &["auth", "login", "--owner-token-stdin"]).stdin(broken)
        }),
        (
            "auth login, a broken config with a token",
            May::Nothing,
            broken_config,
            |desk| {
                person(
                    desk,
                    &["auth", "login", "--print-token", "false", "--owner-token-stdin"],
                )
                .stdin(scenes::token(FOREIGN, 10, 604_800))
            },
        ),
        ("auth refresh", May::Nothing, scenes::due, |desk| {
            person(desk, &["auth", "refresh", "--print-token", "false"])
        }),
        ("auth refresh, --token-only", May::Print, scenes::due, |desk| {
            person(desk, &["auth", "refresh", "--token-only"])
        }),
        ("auth show", May::Print, scenes::logged_in, |desk| {
            person(desk, &["auth", "show"])
        }),
        ("auth status", May::Nothing, scenes::logged_in, |desk| {
            person(desk, &["auth", "status", "--json"])
        }),
        ("auth logout", May::Nothing, scenes::logged_in, |desk| {
            person(desk, &["auth", "logout"])
        }),
        ("hook install", May::Nothing, scenes::logged_in, scenes::install),
        ("hook status", May::Nothing, scenes::installed, |desk| {
            person(desk, &["hook", "status", "--json"])
        }),
        ("hook uninstall, --purge", May::Nothing, scenes::installed, |desk| {
            person(desk, &["hook", "uninstall", "--purge"])
        }),
        ("hook run", May::Nothing, scenes_config, |desk| {
            asking(desk, &["hook", "run", "--event", "command:new"])
        }),
        ("watch --once", May::Nothing, scenes::due, scenes::watch),
        ("watch --once, a token command", May::Nothing, due_managed, |desk| {
            let token = scenes::token(FOREIGN, 10, 604_800);
            let file = desk.env.write("fresh-token", token);
            person(
                desk,
                &["watch", "--once", "--token-command", &format!("cat {}", file.display())],
            )
        }),
        (
            "watch --once, a token command that fails",
            May::Nothing,
            due_managed,
            |desk| {
                // Of one token in a banner it is taken; which of two is meant nobody knows.
                let [token, other] = [604_800, 604_900].map(|life| scenes::token(FOREIGN, 10, life));
                let text = format!("Error: token {token} was refused, as was {other}");
                let file = desk.env.write("fresh-token", text);
                person(
                    desk,
                    &["watch", "--once", "--token-command", &format!("cat {}", file.display())],
                )
            },
        ),
        ("watch, until it is stopped", May::Nothing, scenes::due, |desk| {
            person(desk, &["watch"])
                .env("RUST_LOG", "trace")
                .under("timeout", ["--signal", "TERM", "2"])
        }),
        ("watch --print-unit", May::Nothing, scenes::logged_in, |desk| {
            given_all(person(desk, &["watch", "--print-unit", "systemd"]))
        }),
        (
            "watch --once, a token command beside secrets",
            May::Nothing,
            due_managed,
            |desk| given_all(person(desk, &["watch", "--once", "--token-command", "false"])),
        ),
        ("serve", May::Nothing, scenes_config, |desk| {
            let event = json!({"id": 1, "type": "command", "action": "new", "sessionKey": "agent:main:main",
                "chatType": "direct"});
            asking(desk, &["serve", "--stdio"]).stdin(format!("{event}\n"))
        }),
        ("demo", May::Nothing, nothing, |desk| {
            given_all(desk.env.run(["demo"])).env("TMPDIR", desk.env.home())
        }),
        ("auth login, RUST_LOG=trace", May::Nothing, scenes_config, |desk| {
            given_all(person(desk, &["auth", "login", "--print-token", "false"])).env("RUST_LOG", "trace")
        }),
        ("hook install, the plugin", May::Nothing, scenes::logged_in, |desk| {
            given_all(person(desk, &["hook", "install", "--as", "plugin"]))
        }),
        (
            "hook status, with OpenClaw on PATH",
            May::Nothing,
            scenes::installed,
            |desk| {
                let openclaw = desk.env.write("bin/openclaw", "#!/bin/sh\necho '{}'\n");
                std::fs::set_permissions(&openclaw, std::fs::Permissions::from_mode(0o755)).unwrap();
                let path = format!("{}:/usr/bin:/bin", desk.env.home().join("bin").display());
                given_all(person(desk, &["hook", "status"])).env("PATH", path)
            },
        ),
        ("service add, --dry-run", May::Nothing, nothing, |desk| {
            desk.add_linear(["--dry-run"]).env("RUST_LOG", "trace")
        }),
        ("service secret set, --dry-run", May::Nothing, scenes::added, |desk| {
            scenes::set_secret(desk).args(["--dry-run"]).env("RUST_LOG", "trace")
        }),
        ("service add, native", May::Nothing, nothing, scenes::add_native),
        ("service add, gateway", May::Nothing, nothing, |desk| {
            desk.add_linear(["--json"])
        }),
        ("service add, --reveal-secrets", May::Print, nothing, |desk| {
            desk.add_linear(["--reveal-secrets"])
        }),
        ("service add, a typed secret", May::Typed, nothing, |desk| {
            let url = ["--mode", "gateway", "--upstream-base-url", "https://a.test"];
            desk.add("linear", url.into_iter().chain(["--upstream-secret", SECRET]))
        }),
        (
            "service add, admin token, a gateway that repeats secrets",
            May::Nothing,
            nothing,
            |desk| {
                desk.gateway.access("token", Some(ADMIN), false);
                desk.gateway.fault("POST", "/connections", Fault::Say(SECRET), 1);
                desk.add_linear([]).env("GATEWAY_ADMIN_TOKEN", ADMIN)
            },
        ),
        ("service add, the gateway's own CLI", May::Cli, nothing, |desk| {
            desk.gateway.stop();
            let stopped = Stopped::new(&desk.env);
            desk.add_linear([])
                .env("GATEWAY_DATA_DIR", &stopped.data_dir)
                .env("GATEWAY_MASTER_KEY", MASTER)
                .env("SIGILUM_GATEWAY_CLI", &stopped.cli)
        }),
        ("service secret set", May::Nothing, scenes::added, scenes::set_secret),
        ("service rotate-key", May::Nothing, scenes::added, |desk| {
            desk.run(["service", "rotate-key", "linear"])
        }),
        ("service list", May::Nothing, scenes::added, |desk| {
            desk.run(["service", "list", "--json"])
        }),
        ("service remove", May::Nothing, scenes::added, |desk| {
            desk.run(["service", "remove", "linear", "--yes"])
        }),
    ]
}

fn person(desk: &Desk, args: &[&str]) -> Run {
    desk.env.run(args).env("SIGILUM_NAMESPACE", "alice")
}

/// A command that asks an API with a stored token, and says all that it does.
fn asking(desk: &Desk, args: &[&str]) -> Run {
    // Ends with the experiment.
    let api: &'static Api = Box::leak(Box::new(Api::start(FOREIGN)));
    api.add_claim("alice", json!({"service": "mail"}));
    let login = ["auth", "login", "--owner-token-stdin", "--api-url", &api.url()];
    person(desk, &login)
        .stdin(scenes::token(FOREIGN, 10, 604_800))
        .expect(0);
    person(desk, args).env("RUST_LOG", "trace")
}

/// With every secret in its environment that a person's may hold.
fn given_all(run: Run) -> Run {
    run.env("SIGILUM_OWNER_TOKEN", scenes::token(FOREIGN, 10, 604_800))
        .env("JWT_SECRET", FOREIGN)
        .env("GATEWAY_ADMIN_TOKEN", ADMIN)
        .env("GATEWAY_MASTER_KEY", MASTER)
}

fn scenes_config(desk: &Desk) {
    desk.env.write_config(CONFIG);
}

/// The token stands on the line where the parser stops.
fn broken_config(desk: &Desk) {
    let token = scenes::token(FOREIGN, 10, 604_800);
    desk.env
        .write_config(format!("{{\n  \"token\": \"{token}\" {token}\n}}\n"));
}

fn due_managed(desk: &Desk) {
    scenes_config(desk);
    let old = scenes::token(FOREIGN, 900_000, 1_000_000);
    // It is asked whether it takes the fresh one; ends with the experiment.
    let api: &'static Api = Box::leak(Box::new(Api::start(FOREIGN)));
    let login = scenes::login_managed(desk).args(["--api-url", &api.url()]);
    login.stdin(old).expect(0);
}

/// The cases of which each ends with an error.
const FAILING: [&str; 6] = [
    "auth login, a broken token",
    "auth login, a broken config with a token",
    "watch, until it is stopped",
    "watch --once, a token command that fails",
    "watch --once, a token command beside secrets",
    "service add, admin token, a gateway that repeats secrets",
];

/// What was seen of some commands.
#[derive(Default)]
struct Counts {
    runs: usize,
    calls: usize,
    children: usize,
    files: usize,
}

/// Every command, and what was seen.
pub fn all(only: &str, report: &mut Report) {
    let mut counts = Counts::default();
    for case in cases().into_iter().filter(|(name, ..)| name.contains(only)) {
        look_at(case, &mut counts, report);
    }
    let Counts {
        runs,
        calls,
        children,
        files,
    } = counts;
    report.line(format!(
        "{runs} commands, {calls} calls, {children} programs started by them, {files} files that got a secret: all \
         made 0600 and new, none readable by others at any moment"
    ));
    let planted = planted();
    for (name, wanted, _) in planted
        .iter()
        .filter(|(_, wanted, found)| !found.iter().any(|fault| fault.contains(wanted)))
    {
        report.fault(name, format!("planted, and not found: {wanted}"));
    }
    report.line(format!("{} planted leaks found", planted.len()));
}

/// Commands that show a secret by their nature, looked at as if they must not: their names, what is to be found of them,
/// and what was found. An experiment that finds nothing here is blind.
fn planted() -> Vec<(&'static str, &'static str, Vec<String>)> {
    let printed = "a secret on standard output";
    let cases: [(Case, &str); 4] = [
        (
            (
                "auth login, as if it were private",
                May::Nothing,
                scenes_config,
                scenes::login,
            ),
            printed,
        ),
        (
            (
                "auth show, as if it were private",
                May::Nothing,
                scenes::logged_in,
                |desk| person(desk, &["auth", "show"]),
            ),
            printed,
        ),
        (
            // In a throw-away home of its own, as the demo works.
            (
                "a home of its own, as if it were private",
                May::Nothing,
                |_| (),
                |desk| {
                    let home = desk.env.home().join("throw-away");
                    let flags = ["--mode", "oss-local", "--namespace", "demo", "--openclaw-home"];
                    desk.env.run(["auth", "login"]).args(flags).args([home])
                },
            ),
            printed,
        ),
        (
            (
                "auth login, a token that nobody may type",
                May::Nothing,
                scenes_config,
                |desk| {
                    let token = scenes::token(FOREIGN, 10, 604_800);
                    person(
                        desk,
                        &["auth", "login", "--print-token", "false", "--owner-token", &token],
                    )
                },
            ),
            "the test itself typed a secret",
        ),
    ];
    let look = |(case, wanted): (Case, &'static str)| {
        let mut silent = Report {
            is_silent: true,
            ..Report::default()
        };
        let name = case.0;
        look_at(case, &mut Counts::default(), &mut silent);
        (name, wanted, silent.faults)
    };
    cases.into_iter().map(look).collect()
}

/// One command.
fn look_at((name, may, prepare, run): Case, counts: &mut Counts, report: &mut Report) {
    let desk = Desk::new();
    desk.gateway.home(desk.env.home().join("gateway-home"));
    prepare(&desk);
    let before = tree::take(desk.env.home());
    let log = tempfile::NamedTempFile::new().unwrap();
    let (output, traced) = strace::watch(run(&desk), log.path());
    let after = tree::take(desk.env.home());
    let secrets = secrets(&before, &after);
    let seen = Seen::look(&traced, &secrets, may);
    counts.runs += 1;
    counts.calls += seen.calls;
    counts.children += seen.children;
    counts.files += seen.files.len();
    for fault in seen.faults {
        report.fault(name, fault);
    }
    for secret in &secrets {
        if output.stderr.contains(secret) {
            report.fault(name, format!("a secret on standard error: {}", output.stderr));
        }
        if output.stdout.contains(secret) && may != May::Print {
            report.fault(name, format!("a secret on standard output: {}", output.stdout));
        }
    }
    if output.stderr.contains("panicked at") {
        report.fault(name, output.stderr.clone());
    }
    // A case that ends before its time shows nothing.
    if (output.code != 0) != FAILING.contains(&name) {
        report.fault(name, format!("exit code {}: {}", output.code, output.stderr));
    }
    if ["hook run", "serve"].contains(&name) && !output.stdout.contains("mail") {
        report.fault(name, format!("it did not ask the API: {}", output.stdout));
    }
    // A demo that made no token of its own has none to show.
    let is_demos = |path: &Path| path.ends_with("owner-token-demo.jwt");
    if name == "demo" && !after.keys().any(|path| is_demos(path)) {
        report.fault(name, "its throw-away home was not looked at".to_owned());
    }
    for fault in at_rest(&after, &secrets) {
        report.fault(name, fault);
    }
    if ["auth logout", "hook uninstall, --purge"].contains(&name) {
        left_behind(&after, name, report);
    }
}

/// The known ones, those that the commands were given, be they stored or not, and what the commands made.
fn secrets(before: &tree::Tree, after: &tree::Tree) -> BTreeSet<String> {
    let mut secrets: BTreeSet<String> = [SECRET, NEW_SECRET, FOREIGN, ADMIN, MASTER].map(str::to_owned).into();
    secrets.extend(scenes::SIGNATURES.lock().unwrap().iter().cloned());
    for node in before.values().chain(after.values()) {
        if let tree::Node::File(_, bytes) = node {
            for secret in tree::secrets_in(bytes) {
                // A token's signature is what makes it one.
                let part = secret.rsplit('.').next().unwrap();
                secrets.insert(part.to_owned());
            }
        }
    }
    secrets
}

/// What a log tells.
#[derive(Default)]
struct Seen {
    calls: usize,
    children: usize,
    files: BTreeSet<String>,
    faults: Vec<String>,
}

impl Seen {
    fn look(traced: &str, secrets: &BTreeSet<String>, may: May) -> Self {
        let mut seen = Self::default();
        // Path → the arguments that it was made with.
        let mut made: BTreeMap<String, String> = BTreeMap::new();
        let mut first = true;
        for line in traced.lines() {
            seen.calls += 1;
            let call = line.split_once(' ').map_or("", |(_, call)| call.trim_start());
            let Some((name, args)) = call.split_once('(') else {
                continue;
            };
            let secret = secrets.iter().any(|secret| args.contains(secret.as_str()));
            let shown: String = call.chars().take(200).collect();
            if name == "execve" {
                let (argv, environment) = args.split_once("], [").unwrap_or((args, ""));
                let holds = |text: &str| secrets.iter().any(|secret| text.contains(secret.as_str()));
                if first {
                    // What its person gave it, in the environment too.
                    if holds(argv) && may != May::Typed {
                        seen.faults.push(format!("the test itself typed a secret: {shown}"));
                    }
                } else {
                    seen.children += usize::from(args.ends_with("= 0"));
                    let master_only = secrets
                        .iter()
                        .all(|secret| secret == MASTER || !environment.contains(secret.as_str()));
                    if may == May::Cli {
                        if !master_only || argv.contains(MASTER) {
                            seen.faults.push(format!("a child got more than it needs: {shown}"));
                        }
                    } else if secret {
                        seen.faults.push(format!("a child got a secret: {shown}"));
                    }
                }
                first = false;
                continue;
            }
            let descriptor = args.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
            if name.starts_with("open") {
                if args.contains("O_CREAT")
                    && let Some((_, result)) = args.rsplit_once(" = ")
                    && let Some((_, path)) = result.split_once('<')
                {
                    made.insert(path.trim_end_matches('>').to_owned(), args.to_owned());
                }
            } else if name.contains("chmod") {
                // Only ever to take rights away; a config keeps the person's mode while there is no token in it.
                let path = descriptor.map_or("", |(path, _)| path);
                let private = args.contains("0600") || args.contains("0700");
                if !private && seen.files.contains(path) {
                    seen.faults
                        .push(format!("a file with a secret is opened to others: {shown}"));
                }
            } else if secret {
                let path = descriptor.map_or("", |(path, _)| path);
                let to = args.split('<').next().unwrap_or_default();
                // The gateway, the API and the person; a pipe leads to a child, or from one.
                if !path.starts_with('/') || path.starts_with("/dev/") && !path.starts_with("/dev/shm") {
                    if to == "2" {
                        seen.faults.push(format!("a secret on standard error: {shown}"));
                    }
                    continue;
                }
                seen.files.insert(path.to_owned());
                match made.get(path) {
                    Some(how) if how.contains("O_EXCL") && how.contains("0600") => {}
                    // The stand-in for the gateway's CLI keeps its store as it likes.
                    _ if may == May::Cli && path.contains("/gateway") => {}
                    how => seen.faults.push(format!(
                        "a secret into a file not made private and new ({how:?}): {shown}"
                    )),
                }
            }
        }
        seen
    }
}

/// What a secret lies in once the command has ended.
fn at_rest(after: &tree::Tree, secrets: &BTreeSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, node) in after {
        let tree::Node::File(mode, bytes) = node else { continue };
        let text = String::from_utf8_lossy(bytes);
        if !secrets.iter().any(|secret| text.contains(secret.as_str())) {
            continue;
        }
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let meant = [
            "owner-token-alice.jwt",
            "owner-token-demo.jwt",
            "openclaw.json",
            "jwt-secret",
            "undo.json",
            "service-api-key-linear",
            "gateway-connection-secret-linear",
        ];
        let theirs = ["sigilum/apps", "gateway-home", "gateway-data", "fresh-token"];
        let theirs = theirs.iter().any(|start| path.starts_with(start));
        if !theirs && (!meant.contains(&name) || *mode != 0o600) {
            faults.push(format!("{} (mode {mode:04o}) holds a secret", path.display()));
        }
    }
    faults
}

/// After a logout no token, after a purge neither token nor secret.
fn left_behind(after: &tree::Tree, name: &str, report: &mut Report) {
    for (path, node) in after {
        let tree::Node::File(_, bytes) = node else { continue };
        for secret in tree::secrets_in(bytes) {
            let signing = !secret.contains('.');
            let may_stay = path.starts_with(Path::new("sigilum")) || (signing && name == "auth logout");
            if !may_stay {
                report.fault(name, format!("{} still holds a token or secret", path.display()));
            }
        }
    }
}
