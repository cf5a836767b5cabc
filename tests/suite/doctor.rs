//! `doctor`: homes, what it says of each as text and as JSON, its exit code; and every next step, run as it is printed.

use crate::env;

use env::api::{Api, Fault};
use env::gateway::Gateway;
use env::local_api::{FakeCheckout, JWT_SECRET};
use env::three_users::ThreeUsers;
use env::watching::{Watcher, wait_until};
use env::{Output, STRANGER, TestEnv, mode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sigilum_authz_notify::process::pid_namespace;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// What a row's next step does to its finding.
#[derive(Clone, Copy)]
enum After {
    /// The step succeeds, and it is gone.
    Gone,
    /// The same, once a person has done what the step asks for besides a command.
    Once(fn(&Home)),
    /// The same, with a value filled in that only a person knows.
    Fill(&'static str, &'static str),
    /// It is there still, as a person or another machine must act too; the step itself ran.
    Stays,
    /// The step succeeds with stand-ins of the machine's own programs, and it is gone once this did what those do.
    Machine(fn(&Home)),
}

use After::{Fill, Gone, Machine, Once, Stays};

/// A home to look at.
struct Row {
    check: &'static str,
    state: &'static str,
    /// The exit code of `doctor`.
    code: i32,
    /// What the finding says; `~` is the person's home folder.
    text: &'static str,
    /// Its next step.
    next: &'static str,
    after: After,
    /// Makes the home so; alice is logged in and the hook installed.
    set_up: fn(&Home),
}

/// A person's home with an `openclaw` of our own on PATH, and an API that answers.
struct Home {
    env: TestEnv,
    api: Api,
}

impl Home {
    fn new() -> Self {
        let env = TestEnv::new();
        env.write_config(r#"{"gateway":{"mode":"local"}}"#);
        // The secret is made first, so that an API can have it.
        env.login().expect(0);
        let secret = std::fs::read_to_string(env.sigilum("jwt-secret")).unwrap();
        let home = Self {
            env,
            api: Api::start(secret.trim()),
        };
        home.env.login().args(["--api-url", &home.api.url()]).expect(0);
        home.env.run(["hook", "install"]).expect(0);
        home.openclaw(":");
        home
    }

    /// What `openclaw` does; `hooks info` and `plugins inspect` find everything loadable unless it says so itself.
    fn openclaw(&self, script: &str) {
        let fine = r#"case "$1 $2" in "hooks info") echo '{"loadable":true}'; exit;; esac
case "$1 $2" in "plugins inspect") echo '{"plugin":{"status":"loaded"}}'; exit;; esac"#;
        self.program("openclaw", &format!("{script}\n{fine}"));
    }

    fn program(&self, name: &str, script: &str) -> PathBuf {
        let path = self.env.write(format!("bin/{name}"), format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
        path
    }

    /// Our program first, then the `openclaw` above.
    fn path(&self) -> String {
        let ours = Path::new(env::BINARY).parent().unwrap().display();
        format!("{ours}:{}/bin:/usr/bin:/bin", self.env.home().display())
    }

    fn doctor(&self, args: &[&str]) -> Output {
        let run = self.env.run(["doctor"].iter().chain(args));
        run.env("PATH", self.path()).output()
    }

    fn findings(&self) -> Vec<Value> {
        let report: Value = serde_json::from_str(&self.doctor(&["--json"]).stdout).unwrap();
        report["findings"].as_array().unwrap().clone()
    }

    /// A step as it is printed; of "do this, then: run that" the last.
    fn run_step(&self, next: &str) -> Output {
        let command = env::command_of(next);
        let shell = self.env.run_program("/bin/sh".as_ref(), ["-c", command]);
        shell.env("PATH", self.path()).output()
    }

    fn edit_config(&self, edit: impl FnOnce(&mut Value)) {
        let mut config: Value = serde_json::from_slice(&std::fs::read(self.env.config()).unwrap()).unwrap();
        edit(&mut config);
        self.env.write_config(config.to_string());
    }

    /// A run was killed while it took over a dead process's lock on the config.
    fn leave_a_takeover(&self) {
        let dead = json!({"pid": 4_000_000, "starttime": 5, "pid_namespace": pid_namespace()}).to_string();
        let guard = ".openclaw/openclaw.json.lock.reclaim/sigilum-authz-notify.json";
        self.env.write(guard, &dead);
        self.env.write(".openclaw/openclaw.json.lock", dead);
    }

    fn chmod(&self, path: impl AsRef<Path>, mode: u32) {
        std::fs::set_permissions(self.env.openclaw().join(path), PermissionsExt::from_mode(mode)).unwrap();
    }

    fn remove(&self, path: &str) {
        std::fs::remove_file(self.env.openclaw().join(path)).unwrap();
    }

    /// Lets `openclaw <words>` make the config so.
    fn openclaw_makes(&self, words: &str, edit: impl FnOnce(&mut Value)) {
        let mut config: Value = serde_json::from_slice(&std::fs::read(self.env.config()).unwrap()).unwrap();
        edit(&mut config);
        self.env.write("wanted.json", config.to_string());
        let copy = r#"cp "$HOME/wanted.json" "$HOME/.openclaw/openclaw.json""#;
        self.openclaw(&format!(r#"[ "$*" = '{words}' ] && {{ {copy}; exit; }}"#));
    }
}

const HANDLER: &str = ".openclaw/hooks/sigilum-authz-notify/handler.js";
const OF_ENTRY: &str = "/hooks/internal/entries/sigilum-authz-notify";

fn env_of(config: &mut Value) -> &mut Value {
    config.pointer_mut(OF_ENTRY).unwrap().get_mut("env").unwrap()
}

/// Each row in a home of its own: what is said, in both forms, the exit code; then its next step, and what is left.
fn check(rows: &[Row]) {
    for row in rows {
        let home = Home::new();
        (row.set_up)(&home);
        let whole = |text: &str| {
            let person = home.env.home().to_str().unwrap();
            text.replace("<api>", &home.api.url()).replace('~', person)
        };
        let (text, next) = (whole(row.text), whole(row.next));
        let of_row = |finding: &&Value| {
            finding["check"] == row.check
                && finding["state"] == row.state
                && finding["text"].as_str().unwrap().contains(&text)
        };
        let label = format!("{} {}: {}", row.state, row.check, row.text);
        let findings = home.findings();
        let finding = findings.iter().find(of_row);
        let finding = finding.unwrap_or_else(|| panic!("{label}: {findings:#?}"));
        let printed = finding["next"].as_str().unwrap_or_default();
        assert_eq!(printed, next, "{label}");
        let told = home.doctor(&[]);
        assert_eq!(told.code, row.code, "{label}: {}", told.stdout);
        let mut lines = told.stdout.lines();
        let head = format!("{:<5} {} ", row.state, row.check);
        assert!(
            lines.any(|line| line.starts_with(&head) && line.contains(text.lines().next().unwrap())),
            "{label}: {}",
            told.stdout
        );
        assert!(
            told.stdout.contains(&format!(" next: {next}\n")),
            "{label}: {}",
            told.stdout
        );
        let printed = match row.after {
            Fill(blank, value) => {
                assert!(printed.contains(blank), "{label}: {printed}");
                printed.replace(blank, &whole(value))
            }
            Once(part) => {
                part(&home);
                printed.to_owned()
            }
            Gone | Stays | Machine(_) => printed.to_owned(),
        };
        // The machine's own programs, none of which is to do anything here.
        for name in ["systemctl", "launchctl", "timedatectl"] {
            home.program(name, "exit 0");
        }
        let ran = home.run_step(&printed);
        if let Machine(part) = row.after {
            part(&home);
        }
        // There it is clicked, not typed.
        let is_clicked = cfg!(target_os = "macos") && row.next == SET_CLOCK;
        assert!(
            ran.code == 0 || is_clicked || matches!(row.after, Stays),
            "{label}: {printed}: {ran:#?}"
        );
        assert!(ran.code != 127 || is_clicked, "{label}: {}", ran.stderr);
        let left = home.findings();
        let stays = left.iter().any(|finding| of_row(&finding));
        assert_eq!(
            stays,
            matches!(row.after, Stays),
            "{label}: {}{}\n{left:#?}",
            ran.stdout,
            ran.stderr
        );
    }
}

#[test]
fn all_is_well() {
    let home = Home::new();
    watched(&home, std::process::id(), &json!({}));
    let before = contents(&home.env.openclaw());
    let told = home.doctor(&[]);
    assert_eq!((told.code, told.stderr.as_str()), (0, ""), "{}", told.stdout);
    assert!(told.stdout.ends_with("\nall is well\n"), "{}", told.stdout);
    assert!(!told.stdout.contains("next:"), "{}", told.stdout);
    let checks: Vec<Value> = home.findings().iter().map(|finding| finding["check"].clone()).collect();
    let names = [
        "home",
        "files",
        "leftovers",
        "config",
        "entry",
        "other-hooks",
        "hook",
        "plugin",
        "program",
        "openclaw",
        "token",
        "api",
        "local-api",
        "watcher",
    ];
    assert_eq!(checks, names.map(Value::from));
    assert_eq!(contents(&home.env.openclaw()), before, "it only looks");
    let report: Value = serde_json::from_str(&home.doctor(&["--json"]).stdout).unwrap();
    let keys: Vec<&String> = report.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["version", "openclaw_home", "config", "fixed", "findings"]);
    let token = std::fs::read_to_string(home.env.sigilum("owner-token-alice.jwt")).unwrap();
    assert!(!told.stdout.contains(token.trim()) && !report.to_string().contains(token.trim()));
    assert_eq!(
        home.api.seen().last().unwrap().line,
        "GET /v1/namespaces/alice/claims?status=pending&limit=200"
    );
}

/// Every file of a folder with its bytes.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(contents(&path)),
            false => found.push((path.clone(), std::fs::read(&path).unwrap())),
        }
    }
    found.sort();
    found
}

#[test]
fn a_fresh_home() {
    let env = TestEnv::new();
    let bin = env.write(
        "bin/openclaw",
        "#!/bin/sh\n[ \"$1\" = --version ] && exit\nmkdir -m 700 \"$HOME/.openclaw\"\necho '{}' > \"$HOME/.openclaw/openclaw.json\"\n",
    );
    std::fs::set_permissions(&bin, PermissionsExt::from_mode(0o700)).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.parent().unwrap().display());
    let doctor = || {
        env.run(["doctor", "--namespace", "alice"])
            .env("PATH", &path)
            .expect(4)
            .stdout
    };
    let told = doctor();
    for text in [
        "warn  home         there is no OpenClaw home: ",
        "warn  config       there is none yet: ",
        "next: openclaw onboard\n",
        "fail  hook         neither the hook nor the plugin is installed, so no notice comes\n",
        "next: sigilum-authz-notify hook install\n",
        "fail  token        the hook has no token that it can use: the token file: none\n",
        "next: sigilum-authz-notify auth login --mode managed --namespace alice --owner-token-stdin\n",
    ] {
        assert!(told.contains(text), "{text}: {told}");
    }
    assert!(!env.openclaw().exists(), "it only looks");
    env.run_program("/bin/sh".as_ref(), ["-c", "openclaw onboard"])
        .env("PATH", &path)
        .expect(0);
    let told = doctor();
    assert!(told.contains("ok    home ") && told.contains("ok    config "), "{told}");
}

/// Without OpenClaw's own set-up no gateway starts, and no notice comes.
#[test]
fn a_home_that_no_openclaw_set_up() {
    let home = Home::new();
    watched(&home, std::process::id(), &json!({}));
    home.env.write_config("{}");
    home.env.run(["hook", "install"]).expect(0);
    let no_mode = "openclaw.json has no gateway.mode, so the OpenClaw gateway does not start";
    let told = home.doctor(&[]);
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let says = format!("warn onboarded {no_mode} next: openclaw onboard");
    assert!(words(&told.stdout).contains(&says), "{}", told.stdout);
    assert!(told.stdout.ends_with("0 failed, 1 to look at\n"), "{}", told.stdout);
    let bare = home.env.run(["doctor"]).env("PATH", "/usr/bin:/bin").output().stdout;
    let says = format!("{no_mode}; nor is there any OpenClaw on PATH next: openclaw onboard");
    assert!(words(&bare).contains(&says), "{bare}");
}

/// What a version manager puts on PATH is a script: the program is asked, once.
#[test]
fn an_openclaw_that_is_a_script_is_asked_for_its_version() {
    let home = Home::new();
    for (says, version) in [
        ("OpenClaw 2026.6.6 (abc)", "version 2026.6.6; after an install"),
        ("2026.9.6", "version 2026.9.6"),
        ("none", "version unknown"),
    ] {
        home.openclaw(&format!(
            r#"[ "$1" = --version ] && {{ echo '{says}'; echo >> "$HOME/asked"; exit; }}"#
        ));
        let found = home.findings();
        let of_openclaw = found.iter().find(|finding| finding["check"] == "openclaw").unwrap();
        assert!(
            of_openclaw["text"].as_str().unwrap().starts_with(version),
            "{of_openclaw}"
        );
        let asked = home.env.home().join("asked");
        assert_eq!(std::fs::read_to_string(&asked).unwrap(), "\n");
        std::fs::remove_file(asked).unwrap();
    }
}

#[test]
fn a_home_that_is_a_link_to_nothing() {
    let env = TestEnv::new();
    std::os::unix::fs::symlink("gone", env.openclaw()).unwrap();
    let told = env.run(["doctor", "--namespace", "alice"]).expect(4).stdout;
    let home = env.openclaw();
    let says = format!("fail home the OpenClaw home is a link to nothing: {}", home.display());
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    let step = format!("remove it: rm {}", home.display());
    assert!(told.contains(&says) && told.contains(&step), "{told}");
}

#[test]
fn home_and_files() {
    check(&[
        Row {
            check: "home",
            state: "warn",
            code: 0,
            text: "others may look into our folder (mode 0755): ~/.openclaw/.sigilum",
            next: "chmod 700 ~/.openclaw/.sigilum",
            after: Gone,
            set_up: |home| home.chmod(".sigilum", 0o755),
        },
        Row {
            check: "home",
            state: "fail",
            code: 1,
            text: "others may write to ~/.openclaw (mode 0702)",
            next: "chmod o-w ~/.openclaw",
            after: Gone,
            set_up: |home| home.chmod("", 0o702),
        },
        Row {
            check: "home",
            state: "warn",
            code: 0,
            text: "whoever can write to this home is trusted by what the OpenClaw gateway starts",
            next: "SIGILUM_TRUST_HOME=0 sigilum-authz-notify hook install",
            after: Gone,
            set_up: |home| {
                let install = home.env.run(["hook", "install"]);
                install.env("SIGILUM_TRUST_HOME", "1").expect(0);
            },
        },
        Row {
            check: "files",
            state: "warn",
            code: 0,
            text: "others may read this file (mode 0644): ~/.openclaw/.sigilum/hook.json",
            next: "chmod 600 ~/.openclaw/.sigilum/hook.json",
            after: Gone,
            set_up: |home| home.chmod(".sigilum/hook.json", 0o644),
        },
        Row {
            check: "workspace",
            state: "warn",
            code: 0,
            text: "~/.openclaw/.sigilum lies in the workspace ~/.openclaw of an agent, which can read the owner token there",
            next: "give that agent another workspace in ~/.openclaw/openclaw.json, then: sigilum-authz-notify auth refresh \
                   --namespace alice",
            after: Once(|home| {
                home.edit_config(|config| drop(config.as_object_mut().unwrap().remove("agents")));
            }),
            set_up: |home| {
                home.edit_config(|config| config["agents"] = json!({"defaults": {"workspace": "~/.openclaw"}}));
            },
        },
        // To make one private that somebody else may have written would make it count.
        Row {
            check: "files",
            state: "fail",
            code: 1,
            text: "somebody else may have written this file, others may write to it (mode 0666): ~/.openclaw/.sigilum/hook.json",
            next: "look at it, then make it anew, with senders, groups and broker: rm ~/.openclaw/.sigilum/hook.json && \
                   sigilum-authz-notify hook install",
            after: Gone,
            set_up: |home| home.chmod(".sigilum/hook.json", 0o666),
        },
        Row {
            check: "files",
            state: "fail",
            code: 1,
            text: "somebody else may have written this file, others may write to it (mode 0622): ~/.openclaw/.sigilum/owner-alice.json",
            next: "look at it, then make it anew: rm ~/.openclaw/.sigilum/owner-alice.json && sigilum-authz-notify auth \
                   login --mode oss-local --namespace alice --api-url <the API of before>; the file names <api>, which \
                   others may have written; the token file that was recorded is not known, and one may be left",
            after: Fill("<the API of before>", "<api>"),
            set_up: |home| home.chmod(".sigilum/owner-alice.json", 0o622),
        },
        Row {
            check: "files",
            state: "fail",
            code: 4,
            text: "somebody else may have written this file, it has 2 names (hard links): ~/.openclaw/.sigilum/owner-token-alice.jwt",
            next: "look at it, then make it anew: rm ~/.openclaw/.sigilum/owner-token-alice.jwt && sigilum-authz-notify \
                   auth login --mode oss-local --namespace alice",
            after: Gone,
            set_up: |home| {
                let token = home.env.sigilum("owner-token-alice.jwt");
                std::fs::hard_link(token, home.env.home().join("second")).unwrap();
            },
        },
        Row {
            check: "files",
            state: "fail",
            code: 1,
            text: "somebody else may have written this file, others may write to it (mode 0602): ~/.openclaw/hooks/sigilum-authz-notify/install.json",
            next: "look at it, then make it anew: rm ~/.openclaw/hooks/sigilum-authz-notify/install.json && \
                   sigilum-authz-notify hook install",
            after: Gone,
            set_up: |home| home.chmod("hooks/sigilum-authz-notify/install.json", 0o602),
        },
        Row {
            check: "files",
            state: "fail",
            code: 1,
            text: "somebody else may have written this file, others may write to it (mode 0606): ~/.openclaw/.sigilum/seen.json",
            next: "look at it, then remove it: rm ~/.openclaw/.sigilum/seen.json",
            after: Gone,
            set_up: |home| {
                home.env.write(".openclaw/.sigilum/seen.json", "{}");
                home.chmod(".sigilum/seen.json", 0o606);
            },
        },
        // The lock that its owner's death left is OpenClaw's: the next writer takes it over.
        Row {
            check: "leftovers",
            state: "warn",
            code: 0,
            text: "runs that were killed left ~/.openclaw/openclaw.json.lock.reclaim",
            next: "sigilum-authz-notify doctor --fix",
            after: Gone,
            set_up: Home::leave_a_takeover,
        },
        Row {
            check: "leftovers",
            state: "warn",
            code: 0,
            text: "what another program wrote in the same moment as we is kept: ~/.openclaw/sigilum-authz-notify-kept-01",
            next: "look at it, then remove it: rm ~/.openclaw/sigilum-authz-notify-kept-01",
            after: Gone,
            set_up: |home| drop(home.env.write(".openclaw/sigilum-authz-notify-kept-01", "{}")),
        },
        Row {
            check: "leftovers",
            state: "fail",
            code: 5,
            text: "a takeover of a dead process's lock is under way, or was left behind",
            next: "if no OpenClaw command is running: rmdir ~/.openclaw/openclaw.json.lock.reclaim",
            after: Gone,
            set_up: |home| {
                let guard = home.env.openclaw().join("openclaw.json.lock.reclaim");
                std::fs::create_dir(&guard).unwrap();
                let long_ago = ["-d", "2020-01-01"].map(Path::new);
                home.env.run_program("touch".as_ref(), long_ago).args([guard]).expect(0);
            },
        },
    ]);
}

/// A chmod, or a `--fix`, in place of a look would make a stranger's record count.
#[test]
fn nobody_is_told_to_make_private_what_somebody_else_may_have_written() {
    const OWN_GROUP: u32 = 0;
    let is_root = rustix::process::geteuid().is_root();
    let names = [
        ".sigilum/hook.json",
        ".sigilum/owner-alice.json",
        ".sigilum/owner-token-alice.jwt",
        ".sigilum/undo.json",
        "hooks/sigilum-authz-notify/install.json",
        "hooks/sigilum-authz-notify/handler.js",
    ];
    for name in names {
        for foreign in [false, true] {
            if foreign && !is_root {
                continue;
            }
            let home = Home::new();
            let path = home.env.openclaw().join(name);
            match foreign {
                true => std::os::unix::fs::chown(&path, Some(STRANGER), None).unwrap(),
                false => home.chmod(name, 0o666),
            }
            let before = (mode(&path), std::fs::metadata(&path).unwrap().uid());
            let commands = [
                &["doctor", "--fix"][..],
                &["doctor"],
                &["hook", "status"],
                &["auth", "status"],
                &["hook", "run", "--event", "command:new"],
                &["auth", "show"],
                &["auth", "refresh", "--no-check", "--dry-run"],
            ];
            for command in commands {
                let output = home.env.run(command).env("PATH", home.path()).output();
                let all = output.stdout + &output.stderr;
                assert!(!all.contains("chmod"), "{name} {command:?}: {all}");
                let status = ["doctor", "status"].iter().any(|status| command.contains(status));
                let told = all.contains(path.to_str().unwrap()) && all.contains("look at it, then ");
                assert!(told || !status, "{name} {command:?}: {all}");
            }
            let after = (mode(&path), std::fs::metadata(&path).unwrap().uid());
            assert_eq!(after, before, "{name}");
            // A group that is trusted is no stranger.
            if is_root && !foreign {
                std::os::unix::fs::chown(&path, None, Some(OWN_GROUP)).unwrap();
                home.chmod(name, 0o660);
                home.doctor(&["--fix"]);
                let wanted = if name.starts_with(".sigilum") { 0o600 } else { 0o660 };
                assert_eq!(mode(&path), wanted, "{name}");
            }
        }
    }
}

#[test]
fn config_and_entry() {
    let bundles = |home: &Home| {
        home.edit_config(|config| config["env"] = json!({"vars": {"OPENCLAW_BUNDLED_HOOKS_DIR": "/w/hooks"}}));
        home.openclaw_makes("config unset env.vars.OPENCLAW_BUNDLED_HOOKS_DIR", |config| {
            config["env"] = json!({});
        });
    };
    let moves = |home: &Home| {
        home.edit_config(|config| config["env"] = json!({"vars": {"OPENCLAW_STATE_DIR": "/elsewhere"}}));
        home.openclaw_makes("config unset env.vars.OPENCLAW_STATE_DIR", |config| {
            config["env"] = json!({});
        });
    };
    let loads = |home: &Home| {
        std::fs::create_dir_all(home.env.openclaw().join("workspace/tools")).unwrap();
        home.edit_config(|config| config["plugins"] = json!({"load": {"paths": ["~/x", "workspace/tools"]}}));
        home.openclaw_makes("config unset plugins.load.paths[1]", |config| {
            config["plugins"] = json!({"load": {"paths": ["~/x"]}});
        });
    };
    check(&[
        Row {
            check: "entry",
            state: "warn",
            code: 4,
            text: "openclaw.json holds an owner token of alice, and no login of alice is recorded",
            next: "sigilum-authz-notify auth logout --namespace alice",
            after: Gone,
            set_up: |home| {
                home.env.run(["hook", "install", "--token-in-config"]).expect(0);
                let config = std::fs::read(home.env.config()).unwrap();
                home.env.run(["auth", "logout"]).expect(0);
                home.env.write_config(config);
                let status = home.env.run(["auth", "status"]).expect(4).stdout;
                let says = "Problem:       openclaw.json holds an owner token of alice";
                assert!(status.contains(says), "{status}");
            },
        },
        // Whoever edits the config can name in a token whom they like: the hook's own login stays.
        Row {
            check: "entry",
            state: "warn",
            code: 4,
            text: "openclaw.json holds an owner token that belongs to no login",
            next: "openclaw config unset hooks.internal.entries.sigilum-authz-notify.env.SIGILUM_OWNER_TOKEN",
            after: Gone,
            set_up: |home| {
                home.env.run(["hook", "install", "--token-in-config"]).expect(0);
                home.remove(".sigilum/owner-token-alice.jwt");
                let unset = "hooks.internal.entries.sigilum-authz-notify.env.SIGILUM_OWNER_TOKEN";
                home.openclaw_makes(&format!("config unset {unset}"), |config| {
                    env_of(config).as_object_mut().unwrap().remove("SIGILUM_OWNER_TOKEN");
                });
                let nobodys = home.api.token("x y", 3600);
                home.edit_config(|config| env_of(config)["SIGILUM_OWNER_TOKEN"] = nobodys.into());
            },
        },
        Row {
            check: "config",
            state: "fail",
            code: 3,
            text: "could not use the config",
            next: "correct the file; what OpenClaw thinks of it: openclaw config validate",
            after: Once(|home| drop(home.env.write_config(r#"{"gateway":{"mode":"local"}}"#))),
            set_up: |home| drop(home.env.write_config("{ broken")),
        },
        Row {
            check: "config",
            state: "fail",
            code: 3,
            text: "could not use the config, OpenClaw refuses all of it: could not find the file that the config includes",
            next: "correct the file; what OpenClaw thinks of it: openclaw config validate",
            after: Once(|home| home.edit_config(|config| drop(config.as_object_mut().unwrap().remove("agents")))),
            set_up: |home| home.edit_config(|config| config["agents"] = json!({"$include": "./none.json5"})),
        },
        Row {
            check: "config",
            state: "fail",
            code: 3,
            text: "could not use the config, OpenClaw refuses all of it: the include is not a file name: ",
            next: "correct the file; what OpenClaw thinks of it: openclaw config validate",
            after: Once(|home| home.edit_config(|config| drop(config.as_object_mut().unwrap().remove("agents")))),
            set_up: |home| home.edit_config(|config| config["agents"] = json!({"$include": 5})),
        },
        Row {
            check: "config",
            state: "warn",
            code: 0,
            text: "the config includes ~/.openclaw/.sigilum/seen.json, one of this program's own files",
            next: "take that include out; what OpenClaw thinks of it: openclaw config validate",
            after: Once(|home| home.edit_config(|config| drop(config.as_object_mut().unwrap().remove("agents")))),
            set_up: |home| {
                home.env.write(".openclaw/.sigilum/seen.json", "{}");
                home.edit_config(|config| config["agents"] = json!({"$include": "./.sigilum/seen.json"}));
            },
        },
        Row {
            check: "config",
            state: "fail",
            code: 3,
            text: "hooks is text",
            next: "correct the file; what OpenClaw thinks of it: openclaw config validate",
            after: Once(|home| drop(home.env.write_config(r#"{"gateway":{"mode":"local"}}"#))),
            set_up: |home| home.edit_config(|config| config["hooks"] = "x".into()),
        },
        Row {
            check: "config-moves-home",
            state: "warn",
            code: 0,
            text: "openclaw.json sets env.vars.OPENCLAW_STATE_DIR for the OpenClaw gateway",
            next: "openclaw config unset env.vars.OPENCLAW_STATE_DIR",
            after: Gone,
            set_up: moves,
        },
        Row {
            check: "config-loads-code",
            state: "warn",
            code: 0,
            text: "plugins.load.paths names ~/.openclaw/workspace/tools, in the workspace ~/.openclaw/workspace",
            next: "openclaw config unset 'plugins.load.paths[1]'",
            after: Gone,
            set_up: loads,
        },
        Row {
            check: "config-loads-code",
            state: "warn",
            code: 0,
            text: "openclaw.json sets env.vars.OPENCLAW_BUNDLED_HOOKS_DIR for the OpenClaw gateway, which then runs what",
            next: "openclaw config unset env.vars.OPENCLAW_BUNDLED_HOOKS_DIR",
            after: Gone,
            set_up: bundles,
        },
        Row {
            check: "entry",
            state: "warn",
            code: 0,
            text: "openclaw.json has no entry for the hook, so OpenClaw does not run it",
            next: "sigilum-authz-notify hook install",
            after: Gone,
            set_up: |home| home.edit_config(|config| config["hooks"] = json!({})),
        },
        Row {
            check: "entry",
            state: "warn",
            code: 0,
            text: "the hook is off, so OpenClaw does not run it",
            next: "sigilum-authz-notify hook install",
            after: Gone,
            set_up: |home| home.edit_config(|config| config.pointer_mut(OF_ENTRY).unwrap()["enabled"] = false.into()),
        },
        Row {
            check: "entry",
            state: "warn",
            code: 0,
            text: "names the namespace \"mallory\", the login \"alice\"; the login counts",
            next: "sigilum-authz-notify auth switch alice",
            after: Gone,
            set_up: |home| home.edit_config(|config| env_of(config)["SIGILUM_NAMESPACE"] = "mallory".into()),
        },
        Row {
            check: "entry",
            state: "warn",
            code: 0,
            text: "names the API \"http://127.0.0.1:1\"",
            next: "sigilum-authz-notify auth switch alice",
            after: Gone,
            set_up: |home| home.edit_config(|config| env_of(config)["SIGILUM_API_URL"] = "http://127.0.0.1:1".into()),
        },
        Row {
            check: "entry",
            state: "warn",
            code: 0,
            text: "openclaw.json holds an owner token, which is to be in its own file only",
            next: "sigilum-authz-notify auth switch alice",
            after: Gone,
            set_up: |home| {
                home.edit_config(|config| env_of(config)["SIGILUM_OWNER_TOKEN"] = home.api.token("alice", 60).into())
            },
        },
        Row {
            check: "entry",
            state: "warn",
            code: 0,
            text: "openclaw.json lacks the owner token, which is to stand there too",
            next: "sigilum-authz-notify auth switch alice",
            after: Gone,
            set_up: |home| {
                home.env.run(["hook", "install", "--token-in-config"]).expect(0);
                home.edit_config(|config| env_of(config)["SIGILUM_OWNER_TOKEN"] = "".into());
            },
        },
        Row {
            check: "entry",
            state: "warn",
            code: 0,
            text: "openclaw.json holds another owner token than the stored one",
            next: "sigilum-authz-notify auth switch alice",
            after: Gone,
            set_up: |home| {
                home.env.run(["hook", "install", "--token-in-config"]).expect(0);
                home.edit_config(|config| env_of(config)["SIGILUM_OWNER_TOKEN"] = home.api.token("alice", 60).into());
            },
        },
        Row {
            check: "other-hooks",
            state: "fail",
            code: 3,
            text: "hooks.internal.enabled is false, so OpenClaw runs no hook, and not ours",
            next: "sigilum-authz-notify hook install",
            after: Gone,
            set_up: |home| home.edit_config(|config| config["hooks"]["internal"]["enabled"] = false.into()),
        },
    ]);
}

/// Each step that names an index is for the list as the steps before it left it.
#[test]
fn steps_that_take_two_out_of_one_list_begin_with_the_last() {
    let home = Home::new();
    let folders = ["a", "b"].map(|name| home.env.openclaw().join("workspace").join(name));
    folders
        .iter()
        .for_each(|folder| std::fs::create_dir_all(folder).unwrap());
    home.edit_config(|config| config["plugins"] = json!({"load": {"paths": [folders[0], folders[1], "~/ours"]}}));
    let found = home.findings().into_iter();
    let steps: Vec<_> = found
        .filter(|finding| finding["check"] == "config-loads-code")
        .collect();
    let steps: Vec<_> = steps.iter().map(|finding| finding["next"].as_str().unwrap()).collect();
    let wanted = [1, 0].map(|index| format!("openclaw config unset 'plugins.load.paths[{index}]'"));
    assert_eq!(steps, wanted);
}

/// A file of ours of an older version.
fn age(home: &Home) {
    home.env.write(HANDLER, "older\n");
    let list = home.env.sigilum("installed.json");
    let mut installed: Value = serde_json::from_slice(&std::fs::read(&list).unwrap()).unwrap();
    installed["hook"]["version"] = "0.0.9".into();
    let hashes = installed["hook"]["files"]["handler.js"].as_array_mut().unwrap();
    hashes.push(hex::encode(Sha256::digest("older\n")).into());
    home.env
        .write(".openclaw/.sigilum/installed.json", installed.to_string());
}

#[test]
fn what_openclaw_loads_and_starts() {
    check(&[
        Row {
            check: "hook",
            state: "fail",
            code: 1,
            text: "files are missing in ~/.openclaw/hooks/sigilum-authz-notify: handler.js",
            next: "sigilum-authz-notify hook install",
            after: Gone,
            set_up: |home| home.remove("hooks/sigilum-authz-notify/handler.js"),
        },
        Row {
            check: "hook",
            state: "fail",
            code: 1,
            text: "OpenClaw takes an older handler.ts instead of ours",
            next: "sigilum-authz-notify hook install",
            after: Gone,
            set_up: |home| drop(home.env.write(".openclaw/hooks/sigilum-authz-notify/handler.ts", "")),
        },
        Row {
            check: "hook",
            state: "warn",
            code: 0,
            text: "not as we installed them, in ~/.openclaw/hooks/sigilum-authz-notify: handler.js",
            next: "sigilum-authz-notify hook install --force",
            after: Gone,
            set_up: |home| drop(home.env.write(HANDLER, "mine")),
        },
        Row {
            check: "hook",
            state: "warn",
            code: 0,
            text: "the files are of version 0.0.9: ~/.openclaw/hooks/sigilum-authz-notify",
            next: "sigilum-authz-notify hook install",
            after: Gone,
            set_up: age,
        },
        Row {
            check: "hook",
            state: "fail",
            code: 1,
            text: "could not read the list of installed files",
            next: "remove it, and run the command again: rm ~/.openclaw/.sigilum/installed.json",
            after: Gone,
            set_up: |home| drop(home.env.write(".openclaw/.sigilum/installed.json", "{")),
        },
        Row {
            check: "plugin",
            state: "warn",
            code: 0,
            text: "the hook is installed beside the plugin",
            next: "sigilum-authz-notify hook uninstall --as hook",
            after: Gone,
            set_up: |home| drop(home.env.run(["hook", "install", "--as", "plugin"]).expect(0)),
        },
        Row {
            check: "plugin",
            state: "warn",
            code: 0,
            text: "openclaw.json has no entry for the plugin, so OpenClaw does not run it",
            next: "sigilum-authz-notify hook install --as plugin",
            after: Gone,
            set_up: |home| {
                plugin_alone(home);
                home.edit_config(|config| {
                    let entries = config["plugins"]["entries"].as_object_mut().unwrap();
                    entries.remove("sigilum-authz-notify").unwrap();
                });
            },
        },
        Row {
            check: "plugin",
            state: "warn",
            code: 0,
            text: "the plugin is off, so OpenClaw does not run it",
            next: "sigilum-authz-notify hook install --as plugin",
            after: Gone,
            set_up: |home| {
                plugin_alone(home);
                home.edit_config(|config| {
                    config["plugins"]["entries"]["sigilum-authz-notify"]["enabled"] = false.into()
                });
            },
        },
        Row {
            check: "plugin",
            state: "fail",
            code: 3,
            text: "the plugin is on, but its folder is not in plugins.load.paths",
            next: "sigilum-authz-notify hook install --as plugin",
            after: Gone,
            set_up: |home| {
                plugin_alone(home);
                home.edit_config(|config| config["plugins"]["load"] = json!({}));
            },
        },
        Row {
            check: "plugin",
            state: "fail",
            code: 3,
            text: "the plugin is on, but plugins.enabled is false, so no plugin runs",
            next: "openclaw config set plugins.enabled true",
            after: Gone,
            set_up: |home| {
                plugin_alone(home);
                home.edit_config(|config| config["plugins"]["enabled"] = false.into());
                home.openclaw_makes("config set plugins.enabled true", |config| {
                    config["plugins"]["enabled"] = true.into()
                });
            },
        },
        Row {
            check: "plugin",
            state: "fail",
            code: 3,
            text: "the plugin is on, but plugins.allow does not name it",
            next: "sigilum-authz-notify hook install --as plugin",
            after: Gone,
            set_up: |home| {
                plugin_alone(home);
                home.edit_config(|config| config["plugins"]["allow"] = json!(["other"]));
            },
        },
        Row {
            check: "plugin",
            state: "fail",
            code: 3,
            text: "the plugin is on, but plugins.deny names it",
            next: "openclaw config unset 'plugins.deny[1]'",
            after: Gone,
            set_up: |home| {
                plugin_alone(home);
                home.edit_config(|config| config["plugins"]["deny"] = json!(["other", "sigilum-authz-notify"]));
                home.openclaw_makes("config unset plugins.deny[1]", |config| {
                    config["plugins"]["deny"] = json!(["other"]);
                });
            },
        },
        Row {
            check: "program",
            state: "fail",
            code: 1,
            text: "the program that OpenClaw is to start is not there: ~/bin/ours",
            next: "sigilum-authz-notify hook install",
            after: Gone,
            set_up: |home| std::fs::remove_file(installed_by_another(home)).unwrap(),
        },
        Row {
            check: "program",
            state: "fail",
            code: 1,
            text: "everybody may write to the program that OpenClaw starts: ~/bin/ours",
            next: "chmod go-w ~/bin/ours",
            after: Gone,
            set_up: |home| {
                std::fs::set_permissions(installed_by_another(home), PermissionsExt::from_mode(0o777)).unwrap();
            },
        },
        Row {
            check: "program",
            state: "warn",
            code: 0,
            text: concat!(
                "OpenClaw starts version 0.0.9, ~/bin/ours; this one is version ",
                env!("CARGO_PKG_VERSION")
            ),
            next: "sigilum-authz-notify hook install",
            after: Gone,
            set_up: |home| {
                std::fs::remove_file(installed_by_another(home)).unwrap();
                home.program("ours", "echo sigilum-authz-notify 0.0.9");
            },
        },
        Row {
            check: "openclaw",
            state: "warn",
            code: 0,
            text: "OpenClaw failed: ~/bin/openclaw hooks info sigilum-authz-notify --json",
            next: "openclaw doctor",
            after: Gone,
            set_up: |home| {
                let mended = r#"[ "$1" = doctor ] && touch "$HOME/mended"; [ -e "$HOME/mended" ] ||"#;
                home.openclaw(&format!(r#"{mended} [ "$1" != hooks ] || exit 1"#));
            },
        },
        Row {
            check: "openclaw",
            state: "warn",
            code: 0,
            text: "in OpenClaw 2026.6.6 hooks.internal.enabled switches on every hook that comes with it",
            next: "openclaw config unset hooks.internal.enabled",
            after: Gone,
            set_up: |home| {
                home.edit_config(|config| {
                    config["meta"] = json!({"lastTouchedVersion": "2026.6.6"});
                    config["hooks"]["internal"]["enabled"] = true.into();
                });
                home.openclaw_makes("config unset hooks.internal.enabled", |config| {
                    config["hooks"]["internal"].as_object_mut().unwrap().remove("enabled");
                });
            },
        },
        Row {
            check: "openclaw",
            state: "fail",
            code: 1,
            text: "OpenClaw says: not loadable, it misses: env SIGILUM_NAMESPACE",
            next: "openclaw hooks check",
            after: Once(|home| home.openclaw(":")),
            set_up: |home| {
                let info = r#"{"loadable":false,"disabled":false,"missing":{"env":["SIGILUM_NAMESPACE"]}}"#;
                home.openclaw(&format!(r#"[ "$2" = info ] && {{ echo '{info}'; exit 1; }}"#));
            },
        },
        Row {
            check: "openclaw",
            state: "fail",
            code: 1,
            text: "OpenClaw says: the plugin is not loadable: it does not parse",
            next: "openclaw plugins doctor",
            after: Once(|home| home.openclaw(":")),
            set_up: |home| {
                plugin_alone(home);
                let info = r#"{"plugin":{"status":"error","error":"it does not parse"}}"#;
                home.openclaw(&format!(r#"[ "$2" = inspect ] && {{ echo '{info}'; exit 1; }}"#));
            },
        },
    ]);
}

fn plugin_alone(home: &Home) {
    home.env.run(["hook", "uninstall"]).expect(0);
    home.env.run(["hook", "install", "--as", "plugin"]).expect(0);
}

/// Has another copy of the program install the hook, and says where that is.
fn installed_by_another(home: &Home) -> PathBuf {
    let copy = home.env.home().join("bin/ours");
    env::copy_binary(&copy);
    home.env.run_program(&copy, ["hook", "install"]).expect(0);
    copy
}

#[test]
fn tokens_and_what_stands_beside() {
    check(&[
        Row {
            check: "token",
            state: "fail",
            code: 4,
            text: "the hook has no token that it can use: the token file: none",
            next: "sigilum-authz-notify auth refresh --namespace alice",
            after: Gone,
            set_up: |home| home.remove(".sigilum/owner-token-alice.jwt"),
        },
        Row {
            check: "token",
            state: "fail",
            code: 4,
            text: "the hook has no token that it can use: the token file: expired",
            next: "sigilum-authz-notify auth refresh --namespace alice",
            after: Gone,
            set_up: |home| {
                drop(
                    home.env
                        .write(".openclaw/.sigilum/owner-token-alice.jwt", home.api.token("alice", -60)),
                )
            },
        },
        Row {
            check: "token",
            state: "fail",
            code: 4,
            text: "the API refuses the token that the hook uses",
            next: "sigilum-authz-notify auth refresh --namespace alice",
            after: Gone,
            set_up: |home| {
                let foreign = env::api::token("another secret", json!({"namespace": "alice"}));
                home.env.write(".openclaw/.sigilum/owner-token-alice.jwt", foreign);
            },
        },
        Row {
            check: "token",
            state: "warn",
            code: 0,
            text: "alice: the token lives for over ten years",
            next: "sigilum-authz-notify auth refresh --namespace alice",
            after: Gone,
            set_up: |home| {
                home.env.write(
                    ".openclaw/.sigilum/owner-token-alice.jwt",
                    home.api.token("alice", 330_000_000),
                );
            },
        },
        Row {
            check: "token",
            state: "warn",
            code: 0,
            text: "alice: the token expires 20",
            next: "sigilum-authz-notify auth refresh --namespace alice",
            after: Gone,
            set_up: |home| {
                let (iat, exp) = (env::now() - 604_800, env::now() + 3600);
                let token = home
                    .api
                    .token_with(json!({"namespace": "alice", "iat": iat, "exp": exp}));
                home.env.write(".openclaw/.sigilum/owner-token-alice.jwt", token);
            },
        },
        Row {
            check: "stored",
            state: "warn",
            code: 0,
            text: "the token's issue time (iat) is in the future",
            next: "sigilum-authz-notify auth refresh --namespace bob",
            after: Gone,
            set_up: |home| of_bob(home, &json!({"iat": env::now() + 4000, "exp": env::now() + 9000})),
        },
        Row {
            check: "stored",
            state: "warn",
            code: 0,
            text: "bob: due for renewal, not known: the token's times (iat, exp) are in milliseconds",
            next: "sigilum-authz-notify auth refresh --namespace bob",
            after: Gone,
            set_up: |home| of_bob(home, &json!({"exp": env::now() * 1000})),
        },
        Row {
            check: "stored",
            state: "warn",
            code: 0,
            text: "bob: expired",
            next: "sigilum-authz-notify auth refresh --namespace bob",
            after: Gone,
            set_up: |home| {
                let login = ["auth", "login", "--mode", "oss-local", "--namespace", "bob"];
                let url = home.api.url();
                home.env
                    .run(login)
                    .args(["--print-token", "false", "--api-url", &url])
                    .expect(0);
                home.env.run(["auth", "switch", "alice"]).expect(0);
                home.env
                    .write(".openclaw/.sigilum/owner-token-bob.jwt", home.api.token("bob", -60));
            },
        },
        Row {
            check: "stored",
            state: "warn",
            code: 0,
            text: "; API: refused: ",
            next: "sigilum-authz-notify auth refresh --namespace bob",
            after: Gone,
            set_up: |home| {
                of_bob(home, &json!({"exp": env::now() + 9000}));
                let foreign = env::api::token("another secret", json!({"namespace": "bob"}));
                home.env.write(".openclaw/.sigilum/owner-token-bob.jwt", foreign);
            },
        },
        Row {
            check: "stored",
            state: "warn",
            code: 0,
            text: "; not logged in; API: not checked: ",
            next: "sigilum-authz-notify auth login --mode oss-local --namespace bob --api-url <api> --write-openclaw false",
            after: Gone,
            set_up: |home| {
                let token = home.api.token("bob", 9000);
                home.env.write(".openclaw/.sigilum/owner-token-bob.jwt", token);
            },
        },
        Row {
            check: "api",
            state: "warn",
            code: 0,
            text: "<api>: not checked: the API answered with status 500",
            next: "wait until the API is in order, then: sigilum-authz-notify auth status --namespace alice",
            after: Once(|home| home.api.fault(Fault::None)),
            set_up: |home| home.api.fault(Fault::Status(500, "INTERNAL")),
        },
        Row {
            check: "api",
            state: "warn",
            code: 0,
            text: "<api>: not checked: the API answered with status 302; this is perhaps not a Sigilum API, check the URL",
            next: "check the URL; if another one is right: sigilum-authz-notify auth refresh --namespace alice --api-url \
                   <url>",
            after: Fill("<url>", "http://127.0.0.1:9"),
            set_up: |home| home.api.fault(Fault::Redirect("http://127.0.0.1:1/".to_owned())),
        },
        Row {
            check: "token",
            state: "fail",
            code: 4,
            text: "the hook has no token that it can use: the token file: none; the entry in openclaw.json names the API \
                   \"<api>\": log in with --api-url, if it is yours",
            next: "sigilum-authz-notify auth login --mode oss-local --namespace alice",
            after: Gone,
            set_up: |home| {
                home.env.run(["auth", "logout"]).expect(0);
                let status = home.env.run(["auth", "status"]).output().stdout;
                for line in [
                    "Mode:          not known, as nobody is logged in",
                    "API:           not known, as",
                ] {
                    assert!(status.contains(line), "{status}");
                }
                let says = "on; no login is recorded that it could differ from";
                assert!(home.findings().iter().any(|finding| finding["text"] == says));
            },
        },
        Row {
            check: "clock",
            state: "warn",
            code: 4,
            text: " ahead of the API's",
            next: SET_CLOCK,
            after: Machine(|home| home.api.fault(Fault::None)),
            set_up: |home| answers_at(home, "Sun, 06 Nov 1994 08:49:37 GMT"),
        },
        Row {
            check: "clock",
            state: "warn",
            code: 4,
            text: " behind the API's",
            next: SET_CLOCK,
            after: Machine(|home| home.api.fault(Fault::None)),
            set_up: |home| answers_at(home, "Fri, 01 Jan 2100 00:00:00 GMT"),
        },
        Row {
            check: "local-api",
            state: "fail",
            code: 7,
            text: "local-api.sqlite",
            next: "sigilum-authz-notify auth refresh --namespace alice",
            after: Gone,
            set_up: |home| home.remove(".sigilum/local-api.sqlite"),
        },
        Row {
            check: "local-api",
            state: "fail",
            code: 7,
            text: "the secret that signs tokens is not kept here, so nothing renews the token",
            next: "name the Sigilum checkout that the API runs from: sigilum-authz-notify auth login --mode oss-local --namespace alice --source-home <folder>; without one, add --force instead, for a new secret and token",
            after: Fill("--source-home <folder>", "--force"),
            set_up: |home| {
                home.remove(".sigilum/jwt-secret");
                home.api.fault(Fault::Status(500, "INTERNAL"));
            },
        },
        Row {
            check: "sigilum-gateway",
            state: "warn",
            code: 0,
            text: "not checked: could not list the connections: Gateway admin not reachable",
            next: "start the Sigilum gateway, then: sigilum-authz-notify service list",
            after: Stays,
            set_up: |home| {
                drop(
                    home.env
                        .write(".openclaw/.sigilum-workspace/gateway-connection-secret-mail", "x"),
                )
            },
        },
        Row {
            check: "watcher",
            state: "warn",
            code: 0,
            text: "none runs: nothing renews the token",
            next: "sigilum-authz-notify watch --install-unit",
            after: Gone,
            set_up: |_| (),
        },
        Row {
            check: "watcher",
            state: "warn",
            code: 0,
            text: "the watcher, process 4000000, is gone: nothing renews the token",
            next: "sigilum-authz-notify watch --install-unit",
            after: Gone,
            set_up: |home| watched(home, 4_000_000, &json!({})),
        },
        Row {
            check: "watcher",
            state: "warn",
            code: 0,
            text: "it fails: database busy",
            next: "sigilum-authz-notify auth refresh --namespace alice",
            after: Once(|home| watched(home, std::process::id(), &json!({}))),
            set_up: |home| watched(home, std::process::id(), &json!({"last_error": "database busy"})),
        },
        // With the step of what fails.
        Row {
            check: "watcher",
            state: "warn",
            code: 0,
            text: "it fails: could not write: /a b",
            next: "look at it, then: sigilum-authz-notify auth status",
            after: Stays,
            set_up: |home| {
                let error = "could not write: /a b; next: look at it, then: sigilum-authz-notify auth status";
                watched(home, std::process::id(), &json!({"last_error": error}));
            },
        },
        Row {
            check: "watcher",
            state: "warn",
            code: 0,
            text: "it runs, and nothing renews this token",
            next: "sigilum-authz-notify auth refresh --namespace alice",
            after: Stays,
            set_up: |home| watched(home, std::process::id(), &json!({"next_due_at": null})),
        },
    ]);
}

/// By the value of such a variable OpenClaw comes elsewhere, or here all the same.
#[test]
fn a_variable_of_the_config_that_leads_to_this_very_home_is_no_matter() {
    let home = Home::new();
    let link = home.env.home().join("link");
    std::os::unix::fs::symlink(home.env.openclaw(), &link).unwrap();
    for (name, value, moves) in [
        ("OPENCLAW_STATE_DIR", "", false),
        ("OPENCLAW_STATE_DIR", " ", false),
        ("OPENCLAW_STATE_DIR", "<home>/.openclaw", false),
        (" OPENCLAW_STATE_DIR", "<home>/.openclaw/", false),
        ("OPENCLAW_STATE_DIR", "<home>/x/../.openclaw", false),
        ("OPENCLAW_STATE_DIR", "<home>/link", false),
        ("OPENCLAW_STATE_DIR", " ~/.openclaw ", false),
        ("OPENCLAW_STATE_DIR", "${HOME}/.openclaw", false),
        ("OPENCLAW_CONFIG_PATH", "~/.openclaw/openclaw.json", false),
        ("OPENCLAW_HOME", "<home>", false),
        ("OPENCLAW_STATE_DIR", "<home>", true),
        ("OPENCLAW_STATE_DIR", ".openclaw", true),
        ("OPENCLAW_STATE_DIR", "${ELSEWHERE}/.openclaw", true),
        ("OPENCLAW_CONFIG_PATH", "~/.openclaw", true),
        ("OPENCLAW_HOME", "~/.openclaw", true),
        (" OPENCLAW_HOME", "/elsewhere", true),
    ] {
        let value = value.replace("<home>", home.env.home().to_str().unwrap());
        home.edit_config(|config| config["env"] = json!({"vars": {name: value}}));
        let (told, next) = found(&home, "config-moves-home");
        assert_eq!(told.len(), usize::from(moves), "{name}={value}: {told:?}");
        if !moves {
            continue;
        }
        let words = format!("config unset env.vars.{name}");
        let quoted = match name.starts_with(' ') {
            true => format!("'env.vars.{name}'"),
            false => format!("env.vars.{name}"),
        };
        assert_eq!(next, format!("openclaw config unset {quoted}"));
        home.openclaw_makes(&words, |config| config["env"] = json!({}));
        assert_eq!(home.run_step(&next).code, 0);
        assert!(found(&home, "config-moves-home").0.is_empty());
    }
}

const SET_CLOCK: &str = if cfg!(target_os = "macos") {
    "set the clock of this machine: System Settings, General, Date & Time"
} else {
    "set the clock of this machine, for a container on its host; with systemd: timedatectl set-ntp true"
};

/// Has the API answer by a clock that says this: it knows what the home signs, and refuses the namespace.
fn answers_at(home: &Home, date: &str) {
    let body = r#"{"error":"x","code":"FORBIDDEN"}"#;
    let head = format!("HTTP/1.1 403 x\r\nDate: {date}\r\nContent-Type: application/json");
    let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    home.api.fault(Fault::Raw(answer.into_bytes()));
}

/// The findings of one check, as `state text`, with the last one's step.
fn found(home: &Home, check: &str) -> (Vec<String>, String) {
    let findings = home.findings();
    let of_check = findings.iter().filter(|finding| finding["check"] == check);
    let text = |finding: &Value| format!("{} {}", finding["state"], finding["text"]).replace('"', "");
    let next = of_check
        .clone()
        .filter_map(|finding| finding["next"].as_str())
        .next_back();
    (of_check.map(text).collect(), next.unwrap_or_default().to_owned())
}

#[test]
fn a_clock_that_is_right() {
    let home = Home::new();
    let date = home
        .env
        .run_program("date".as_ref(), ["-u", "+%a, %d %b %Y %H:%M:%S GMT"]);
    answers_at(&home, date.env("LC_ALL", "C").expect(0).stdout.trim());
    assert_eq!(found(&home, "clock").0, ["ok as the API's"]);
}

/// A namespace that the hook does not speak for is asked about at its own API, and what nobody answered is no word.
#[test]
fn each_namespace_is_asked_about_at_its_own_api() {
    let home = Home::new();
    let secret = std::fs::read_to_string(home.env.sigilum("jwt-secret")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let bobs = Api::on(listener, secret.trim());
    let login = ["auth", "login", "--mode", "oss-local", "--namespace", "bob"];
    let login = home.env.run(login).args(["--print-token", "false"]);
    login.args(["--api-url", &bobs.url()]).expect(0);
    home.env.run(["auth", "switch", "alice"]).expect(0);
    let (told, next) = found(&home, "stored");
    assert!(
        told[0].starts_with("ok bob: not expired") && told[0].ends_with("; API: accepted"),
        "{told:?}"
    );
    assert_eq!(next, "");
    let of_bob = |api: &Api| api.seen().iter().any(|seen| seen.line.contains("/bob/"));
    assert!(of_bob(&bobs) && !of_bob(&home.api));

    let again = "sigilum-authz-notify auth status --namespace bob";
    bobs.fault(Fault::Status(500, "INTERNAL"));
    let (told, next) = found(&home, "stored");
    let says = "; API: not checked: the API answered with status 500";
    assert!(
        told[0].starts_with("warn bob: not expired") && told[0].ends_with(says),
        "{told:?}"
    );
    assert_eq!(next, format!("wait until the API is in order, then: {again}"));
    bobs.fault(Fault::None);
    let ran = home.run_step(&next);
    assert!(
        ran.code == 0 && ran.stdout.contains("API check:     accepted"),
        "{ran:?}"
    );

    drop(bobs);
    let (told, next) = found(&home, "stored");
    assert!(
        told[0].starts_with("warn bob: ") && told[0].contains("; API: not checked: nothing listens"),
        "{told:?}"
    );
    assert_eq!(
        next,
        format!("start the API that belongs at http://{address}, then: {again}")
    );
    let told = home.doctor(&[]);
    assert!(
        told.code == 0 && !told.stdout.contains("all is well"),
        "{}",
        told.stdout
    );
    let _bobs = Api::on(TcpListener::bind(address).unwrap(), secret.trim());
    assert!(home.run_step(&next).stdout.contains("API check:     accepted"));
    assert!(found(&home, "stored").0[0].ends_with("; API: accepted"));
}

/// A renewal with what is known here would fail: what is said, by whom, and that its step works.
#[test]
fn a_secret_that_did_not_sign_the_token_and_that_the_api_does_not_have() {
    let home = Home::new();
    let checkout = FakeCheckout::new(&home.env);
    checkout.wrangler_up_to(u32::MAX);
    let api = Api::start(JWT_SECRET);
    let login = home.env.login().args(["--api-url", &api.url()]);
    login.env("JWT_SECRET", JWT_SECRET).expect(0);
    let step = "name the Sigilum checkout that the API runs from: sigilum-authz-notify auth login --mode oss-local \
                --namespace alice --source-home <folder>; or export the JWT_SECRET that it has, and log in without that \
                flag";
    let says = "warn the secret (from ~/.openclaw/.sigilum/jwt-secret) did not sign the token, so it renews it only where \
                the API takes what it signs";
    let local_api = || {
        let (told, next) = found(&home, "local-api");
        (told[0].replace(home.env.home().to_str().unwrap(), "~"), next)
    };
    assert_eq!(local_api().0.split(" (").next(), says.split(" (").next());
    assert_eq!(local_api().1, step);
    let watch = || home.env.run(["watch", "--once"]).expect(0).stderr;
    let warns = "the secret that signed the owner token is not known here, so it is renewed only where the API takes what \
                 another one signs; name the checkout that the API runs from: sigilum-authz-notify auth login --mode \
                 oss-local --namespace alice --source-home <folder>";
    assert_eq!(watch().matches(warns).count(), 1, "{}", watch());
    let with_it = home.env.run(["watch", "--once"]).env("JWT_SECRET", JWT_SECRET);
    assert!(!with_it.expect(0).stderr.contains("is not known here"));

    let (iat, exp) = (env::now() - 604_800, env::now() + 3600);
    let near_its_end = api.token_with(json!({"namespace": "alice", "iat": iat, "exp": exp}));
    home.env.write(".openclaw/.sigilum/owner-token-alice.jwt", near_its_end);
    let refresh = home.env.run(["auth", "refresh", "--namespace", "alice"]);
    refresh.expect(4);
    let (told, next) = found(&home, "token");
    assert!(told[0].starts_with("warn alice: the token expires 20"), "{told:?}");
    assert_eq!(next, step);
    let status = home.env.run(["auth", "status"]).expect(0).stdout;
    assert!(status.contains(&format!("next: {step}\n")), "{status}");
    let command = step
        .split("; ")
        .next()
        .unwrap()
        .replace("<folder>", checkout.root.to_str().unwrap());
    let ran = home.run_step(&command);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        found(&home, "token").0[0].starts_with("ok "),
        "{:?}",
        found(&home, "token")
    );
    assert!(local_api().0.starts_with("ok "), "{:?}", local_api());
    assert!(!watch().contains("is not known here"), "{}", watch());

    // What the API refuses whole: no login with what is here would be another.
    let home = Home::new();
    let api = Api::start("the API's own");
    home.env.login().args(["--api-url", &api.url(), "--no-check"]).expect(0);
    let (told, next) = found(&home, "token");
    assert_eq!(
        (told[0].as_str(), next.as_str()),
        ("fail the API refuses the token that the hook uses", step)
    );
}

/// A login by a secret that the environment alone had, at an API that has it; the file of the home's own is gone.
fn by_the_environments_secret(home: &Home, api: &Api, life: &str) {
    home.remove(".sigilum/jwt-secret");
    home.env
        .login()
        .args([
            "--enable-authz-notify",
            "true",
            "--api-url",
            &api.url(),
            "--ttl-seconds",
            life,
        ])
        .env("JWT_SECRET", JWT_SECRET)
        .expect(0);
}

/// A watcher has not what stands in a shell, so it renews nothing; nor does a refresh without it.
#[test]
fn a_secret_that_this_shell_alone_has_renews_nothing() {
    let home = Home::new();
    let api = Api::start(JWT_SECRET);
    let told = || {
        let run = home.env.run(["doctor"]).env("PATH", home.path());
        run.env("JWT_SECRET", JWT_SECRET).expect(7).stdout
    };
    let step = "next: start a watcher with the secret that the API has: export JWT_SECRET=<secret> && \
                sigilum-authz-notify watch\n";
    by_the_environments_secret(&home, &api, "3600");
    let says = "fail  local-api    the secret that the local API signs with is this shell's alone";
    for fault in [Fault::Status(500, "INTERNAL"), Fault::None] {
        api.fault(fault);
        let seen = told();
        assert!(seen.contains(says) && seen.contains(step), "{seen}");
    }

    let (iat, exp) = (env::now() - 604_800, env::now() + 3600);
    let near_its_end = api.token_with(json!({"namespace": "alice", "iat": iat, "exp": exp}));
    home.env.write(".openclaw/.sigilum/owner-token-alice.jwt", near_its_end);
    let (seen, next) = found(&home, "token");
    assert!(seen[0].starts_with("warn alice: the token expires 20"), "{seen:?}");
    assert!(
        next.starts_with("name the Sigilum checkout that the API runs from: "),
        "{next}"
    );

    let database = home.env.home().join("api.sqlite");
    std::fs::copy(home.env.sigilum("local-api.sqlite"), &database).unwrap();
    let login = home.env.login().args(["--api-url", &api.url(), "--api-db"]);
    login.args([&database]).env("JWT_SECRET", JWT_SECRET).expect(0);
    let seen = told();
    assert!(seen.contains(says) && seen.contains(step), "{seen}");
}

/// The namespace that the hook speaks for.
fn speaks_for(home: &Home) -> Value {
    let record = std::fs::read_to_string(home.env.sigilum("hook.json")).unwrap();
    serde_json::from_str::<Value>(&record).unwrap()["namespace"].clone()
}

#[test]
fn a_watcher_that_alone_has_the_secret_is_no_fault_and_no_login_takes_its_place() {
    let home = Home::new();
    let api = Api::start(JWT_SECRET);
    by_the_environments_secret(&home, &api, "90");
    let token = || std::fs::read_to_string(home.env.sigilum("owner-token-alice.jwt")).unwrap();
    let (told, next) = found(&home, "local-api");
    assert!(
        told[0].starts_with("fail the secret that signs tokens is not kept here"),
        "{told:?}"
    );
    let step =
        "start a watcher with the secret that the API has: export JWT_SECRET=<secret> && sigilum-authz-notify watch";
    assert_eq!(next, step);

    // One that does not have it is ended first.
    let mut without = Watcher::start(home.env.run(["watch"]));
    assert_eq!(
        found(&home, "local-api").1,
        format!("kill {}, then {step}", without.pid())
    );
    without.stop();
    // The plugin's own child is started anew at once: it gets what signs from a checkout.
    let mut child = Serve::start(&home, env::BINARY.as_ref());
    child.asks();
    assert!(wait_until(|| home.env.sigilum("watch-status.json").exists()));
    let (_, by_plugin) = found(&home, "local-api");
    assert!(
        by_plugin.starts_with("name the Sigilum checkout that the API runs from: sigilum-authz-notify auth login "),
        "{by_plugin}"
    );
    drop(child);

    let before = token();
    let command = env::command_of(step).replace("<secret>", JWT_SECRET);
    let shell = home.env.run_program(
        "/bin/sh".as_ref(),
        ["-c", &format!("{} --seed 1", command.replace("&& ", "&& exec "))],
    );
    let mut watcher = Watcher::start(shell.env("PATH", home.path()));
    assert!(wait_until(
        || found(&home, "local-api").0[0].starts_with("ok the secret that signs the token")
    ));
    assert!(wait_until(|| token() != before), "the watcher renews it");
    let told = home.doctor(&[]);
    assert!(told.code == 0 && !told.stdout.contains("--force"), "{}", told.stdout);
    let status = home.env.run(["auth", "status"]).expect(0).stdout;
    assert!(status.contains("API check:     accepted"), "{status}");
    watcher.stop();
    let checkout = FakeCheckout::new(&home.env);
    let command = env::command_of(&by_plugin).replace("<folder>", checkout.root.to_str().unwrap());
    let ran = home.run_step(&command);
    assert_eq!(ran.code, 0, "{ran:?}");
    let mut child = Serve::start(&home, env::BINARY.as_ref());
    child.asks();
    assert!(
        found(&home, "local-api").0[0].starts_with("ok "),
        "{:?}",
        found(&home, "local-api")
    );
}

#[test]
fn a_step_that_gets_a_new_token_keeps_the_life_that_was_chosen() {
    let life = |home: &Home| {
        let token = std::fs::read_to_string(home.env.sigilum("owner-token-alice.jwt")).unwrap();
        sigilum_authz_notify::token::claims::inspect(&token.trim().into())
            .unwrap()
            .life()
    };
    for is_kept in [true, false] {
        for asks in [&["auth", "status"][..], &["auth", "show"], &["doctor"]] {
            let home = Home::new();
            let api = Api::start(JWT_SECRET);
            let expected = match is_kept {
                true => {
                    home.env
                        .login()
                        .args(["--ttl-seconds", "7200", "--api-url", &home.api.url()])
                        .expect(0);
                    "sigilum-authz-notify auth refresh --namespace alice"
                }
                false => {
                    by_the_environments_secret(&home, &api, "7200");
                    "sigilum-authz-notify auth login --mode oss-local --namespace alice --ttl-seconds 7200"
                }
            };
            home.remove(".sigilum/owner-token-alice.jwt");
            let said = home.env.run(asks).env("PATH", home.path()).output();
            let step = format!("next: {expected}\n");
            assert!(format!("{}{}", said.stdout, said.stderr).contains(&step), "{said:#?}");
            let shell = home
                .env
                .run_program("/bin/sh".as_ref(), ["-c", expected])
                .env("PATH", home.path());
            match is_kept {
                true => shell.expect(0),
                false => shell.env("JWT_SECRET", JWT_SECRET).expect(0),
            };
            assert_eq!(life(&home), Some(7200), "{asks:?}");
        }
    }
}

/// What is to be done about a namespace that the hook does not speak for leaves the hook alone.
#[test]
fn a_step_for_another_namespace_leaves_the_hook_with_its_own() {
    let home = Home::new();
    of_bob(&home, &json!({"iat": env::now() - 90, "exp": env::now() - 60}));
    let managed = env::watching::managed_token("carol", 3000);
    let login = [
        "auth",
        "login",
        "--mode",
        "managed",
        "--namespace",
        "carol",
        "--owner-token-stdin",
    ];
    let hosted = home.env.managed_api();
    let login = home
        .env
        .run(login)
        .args(["--print-token", "false", "--api-url", &hosted.url()]);
    login.stdin(managed.clone()).expect(0);
    home.env.run(["auth", "switch", "alice"]).expect(0);
    home.remove(".sigilum/owner-token-carol.jwt");
    let dave = home.api.token("dave", 9000);
    home.env.write(".openclaw/.sigilum/owner-token-dave.jwt", dave);
    let steps = [
        ("bob", "sigilum-authz-notify auth refresh --namespace bob".to_owned()),
        (
            "carol",
            "sigilum-authz-notify auth login --mode managed --namespace carol --owner-token-stdin --write-openclaw false"
                .to_owned(),
        ),
        (
            "dave",
            format!(
                "sigilum-authz-notify auth login --mode oss-local --namespace dave --api-url {} --write-openclaw false",
                home.api.url()
            ),
        ),
    ];
    let config = std::fs::read(home.env.config()).unwrap();
    for (whose, step) in steps {
        let finding = || {
            let of = |finding: &Value| finding["text"].as_str().unwrap().starts_with(&format!("{whose}: "));
            home.findings()
                .into_iter()
                .find(|finding| finding["check"] == "stored" && of(finding))
                .unwrap()
        };
        assert_eq!(finding()["next"], step.as_str());
        let shell = home
            .env
            .run_program("/bin/sh".as_ref(), ["-c", &step])
            .env("PATH", home.path());
        shell.stdin(managed.clone()).expect(0);
        assert_eq!(finding()["state"], "ok", "{}", finding());
        assert_eq!(speaks_for(&home), "alice");
        assert!(std::fs::read(home.env.config()).unwrap() == config, "{whose}");
    }
}

/// It knows the secret that is kept here, and says no all the same.
#[test]
fn a_refusal_of_the_own_namespace_is_told_where_the_secret_is_known_too() {
    let home = Home::new();
    home.api.fault(Fault::Status(403, "FORBIDDEN"));
    let told = found(&home, "token").0;
    assert_eq!(told, ["fail the API refuses the token that the hook uses"]);
    home.env.run(["auth", "status"]).expect(4);
}

#[test]
fn a_namespace_that_is_another_owners_asks_for_another_login() {
    let home = Home::new();
    let api = Api::start(JWT_SECRET);
    by_the_environments_secret(&home, &api, "9000");
    api.fault(Fault::Status(403, "FORBIDDEN"));
    let (told, next) = found(&home, "token");
    assert_eq!(told, ["fail the API refuses the token that the hook uses"]);
    let step = format!(
        "the API knows the token's secret, and alice is another owner's there, so log in with that secret as the owner that \
         is yours: export JWT_SECRET=<secret> && sigilum-authz-notify auth login --mode oss-local --namespace <yours> \
         --api-url {}",
        api.url()
    );
    assert_eq!(next, step);
    api.fault(Fault::None);
    let ran = home.run_step(&next.replace("<secret>", JWT_SECRET).replace("<yours>", "erin"));
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_eq!(speaks_for(&home), "erin");
    assert!(
        found(&home, "token").0[0].starts_with("ok erin: accepted"),
        "{:?}",
        found(&home, "token")
    );
}

/// A service that is installed and does not run is started by its manager, where that can be asked.
#[test]
fn a_service_that_does_not_run_is_started_by_what_there_is() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let home = Home::new();
    home.program("systemctl", "exit 1");
    let install = home.env.run(["watch", "--install-unit", "--notify", "irc:bob"]);
    let install = install.args(["--token-command", "/bin/echo secret"]);
    let install = install.env("HTTPS_PROXY", "http://u:pass@127.0.0.1:9");
    install.env("PATH", home.path()).expect(0);
    let openclaw = home.env.home().join("bin/openclaw");
    recorded(&home, &json!({"notify": "telegram:1", "openclaw": openclaw}));
    let (told, next) = found(&home, "watcher");
    assert!(
        told[0].starts_with("warn a service is installed, and no watcher runs: "),
        "{told:?}"
    );
    // As the service would: with the unit's own words and variables, but for what may be a secret.
    let flags = format!(
        " watch --openclaw-home {} --notify irc:bob; it runs until it is stopped, ",
        home.env.openclaw().display()
    );
    assert!(
        next.starts_with("HTTPS_PROXY=<as in the unit> SIGILUM_OWNER_TOKEN_COMMAND=<as in the unit> /")
            && next.contains(&flags),
        "{next}"
    );
    let nobody = found(&home, "notify");
    assert!(nobody.0[0].contains("nothing watches this home"), "{nobody:?}");
    assert_eq!(nobody.1, next);
    home.program("systemctl", "exit 0");
    assert!(
        found(&home, "notify")
            .1
            .starts_with("systemctl --user daemon-reload && ")
    );
    let (_, next) = found(&home, "watcher");
    assert!(
        next.starts_with("systemctl --user daemon-reload && systemctl --user enable "),
        "{next}"
    );
    assert_eq!(home.run_step(&next).code, 0);
}

#[test]
fn the_sigilum_gateway_answers_or_its_url_is_wrong() {
    let home = Home::new();
    let gateway = Gateway::start();
    let doctor = |url: &str| {
        let run = home.env.run(["doctor"]).env("PATH", home.path());
        run.env("GATEWAY_ADMIN_URL", url).expect(0).stdout
    };
    let told = doctor(&gateway.url());
    let says = format!("ok    sigilum-gateway  {} answers, with 0 connections\n", gateway.url());
    assert!(told.contains(&says), "{told}");
    let told = doctor("ftp://host");
    let wrong = told
        .lines()
        .skip_while(|line| !line.starts_with("warn  sigilum-gateway  not checked: "));
    let wrong: Vec<&str> = wrong.take(2).collect();
    assert!(
        wrong.len() == 2 && wrong[1].contains("next: ") && !wrong[1].contains("start the Sigilum"),
        "{told}"
    );
    // One that answers need not be started.
    gateway.access("token", Some("the-gateways-own"), false);
    let told = doctor(&gateway.url());
    assert!(told.contains("wants an admin token"), "{told}");
    let step = "next: set GATEWAY_ADMIN_TOKEN to the token that the gateway was started with\n";
    assert!(told.contains(step), "{told}");
}

/// The step is a service command's: the login says so, and goes on to be the one that it was.
#[test]
fn a_sigilum_gateway_of_another_user_is_named_as_a_service_command_names_it() {
    let Some(listener) = env::listener_of(STRANGER, "127.0.0.1:0") else {
        eprintln!("skipped: only root can listen as another user");
        return;
    };
    let home = Home::new();
    let gateway = Gateway::on(listener);
    let told = || {
        let run = home.env.run(["doctor"]).env("PATH", home.path());
        run.env("GATEWAY_ADMIN_URL", gateway.url()).expect(0).stdout
    };
    let seen = told();
    let mut lines = seen.lines().skip_while(|line| !line.contains(" sigilum-gateway "));
    let (what, step) = (lines.next().unwrap(), lines.next().unwrap().trim_start());
    assert!(what.contains("another user of this machine"), "{seen}");
    let next = "next: see who listens there (ss -ltnp); if that is your Sigilum gateway, in a container perhaps: \
                sigilum-authz-notify auth login --mode oss-local --namespace alice --trust-loopback";
    assert_eq!(step, next);
    let ran = home.run_step(step);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let says = format!("ok    sigilum-gateway  {} answers, with 0 connections\n", gateway.url());
    assert!(told().contains(&says), "{}", told());
}

/// A watcher renews the token of the hook's namespace alone: what it says is nothing to another one's.
#[test]
fn the_token_of_a_namespace_that_the_hook_does_not_speak_for_has_no_watcher() {
    let home = Home::new();
    let now = env::now();
    of_bob(&home, &json!({"iat": now - 3600, "exp": now + 200_000}));
    let bobs = || {
        let report: Value = serde_json::from_str(&home.doctor(&["--namespace", "bob", "--json"]).stdout).unwrap();
        let of = |check: &str, name: &str| -> Vec<String> {
            let all = report["findings"].as_array().unwrap().iter();
            let of_check = all.filter(|finding| finding["check"] == check);
            of_check
                .map(|finding| finding[name].as_str().unwrap_or_default().to_owned())
                .collect()
        };
        (of("watcher", "text"), of("watcher", "next"), of("local-api", "next"))
    };
    let status = || home.env.run(["auth", "status", "--namespace", "bob"]).expect(0).stdout;
    let renew = "renew it by hand before then: sigilum-authz-notify auth refresh --namespace bob";
    let says = "; a watcher renews only the token of alice, for whom the hook speaks: nothing renews that of bob, which \
                expires 20";
    let (texts, next, _) = bobs();
    assert!(
        texts.len() == 1 && texts[0].starts_with(&format!("none{says}")),
        "{texts:?}"
    );
    assert_eq!(next, [renew]);
    assert!(status().contains("Watcher:       none, nothing renews this token\n"));

    watched(&home, std::process::id(), &json!({}));
    let me = std::process::id();
    assert!(found(&home, "watcher").0[0].ends_with(", next renewal 2026-01-05T00:00:00Z"));
    let (texts, next, _) = bobs();
    assert!(
        texts.len() == 1 && texts[0].starts_with(&format!("process {me}{says}")),
        "{texts:?}"
    );
    assert_eq!(next, [renew]);
    let runs = format!("Watcher:       process {me} runs for alice alone, nothing renews this token\n");
    assert!(status().contains(&runs), "{}", status());
    let token = || std::fs::read_to_string(home.env.sigilum("owner-token-bob.jwt")).unwrap();
    let before = token();
    let ran = home.run_step(&next[0]);
    assert!(ran.code == 0 && token() != before, "{}", ran.stderr);

    // The watcher has not looked since.
    home.env.run(["auth", "switch", "bob"]).expect(0);
    let (texts, next, _) = bobs();
    assert_eq!((texts, next), (vec![format!("process {me}")], vec![String::new()]));
    assert!(
        status().contains(&format!("Watcher:       process {me} runs\n")),
        "{}",
        status()
    );
    home.env.run(["auth", "switch", "alice"]).expect(0);

    // What fails is the watcher's own namespace.
    watched(&home, me, &json!({"last_error": "database busy"}));
    let (texts, next, _) = bobs();
    assert_eq!(texts[0], "it fails: database busy");
    assert_eq!(next, ["sigilum-authz-notify auth refresh --namespace alice", renew]);
    assert_eq!(home.run_step(&next[0]).code, 0);

    // Without the secret a watcher would be no help either.
    home.remove(".sigilum/jwt-secret");
    let (_, _, next) = bobs();
    assert!(
        next[0].contains(" --namespace bob ")
            && next[0].contains(" --source-home <folder>")
            && !next[0].contains("watch"),
        "{next:?}"
    );
}

/// Where it cannot be told whose the token is, the rest is told all the same.
#[test]
fn a_status_without_a_token_shows_what_else_is_found() {
    let home = Home::new();
    home.env.write(".openclaw/.sigilum/owner-alice.json", "{");
    home.chmod(".sigilum/hook.json", 0o644);
    let run = |args: &[&str]| home.env.run(args).env("PATH", home.path()).output();
    let (text, json) = (run(&["auth", "status"]), run(&["auth", "status", "--json"]));
    assert!(text.code != 0 && text.code == json.code, "{text:?}");
    let says = "others may read this file (mode 0644): ";
    assert!(text.stdout.contains(&format!("Problem:       {says}")), "{text:?}");
    assert_eq!(
        text.stderr.matches("owner-alice.json").count(),
        json.stderr.matches("owner-alice.json").count()
    );
    assert_eq!(text.stderr.matches("could not").count(), 1, "{}", text.stderr);
    let shown: Value = serde_json::from_str(&json.stdout).unwrap();
    assert!(
        shown["findings"][0]["text"].as_str().unwrap().starts_with(says),
        "{shown}"
    );
    let findings = shown["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["check"] == "token"), "{shown}");
    let told = run(&["hook", "status"]).stdout;
    assert!(told.contains("Token:         not known, see the problems\n"), "{told}");
}

/// A script reads what is found as ever.
#[test]
fn a_status_shows_what_is_found_where_a_broker_or_a_record_tells_nothing() {
    let home = Home::new();
    let shown = |command: &str, code: i32, check: &str| {
        let run = home.env.run([command, "status", "--json"]).env("PATH", home.path());
        let told = run.expect(code);
        let shown: Value = serde_json::from_str(&told.stdout).unwrap();
        let found = shown["findings"].as_array().unwrap();
        let is_told = |finding: &Value| finding["check"] == check && finding["state"] == "fail";
        assert!(found.iter().any(is_told), "{command} {check}: {shown}");
        shown
    };
    let nobody = json!({"socket": home.env.home().join("none.sock"), "uid": rustix::process::geteuid().as_raw()});
    recorded(&home, &json!({"broker": nobody}));
    for command in ["auth", "hook"] {
        shown(command, 6, "broker");
    }
    let hook = home.env.sigilum("hook.json");
    let whole = std::fs::read(&hook).unwrap();
    home.env.write(".openclaw/.sigilum/hook.json", "{");
    for command in ["auth", "hook"] {
        shown(command, 1, "token");
    }
    home.env.write(".openclaw/.sigilum/hook.json", whole);
    recorded(&home, &json!({"broker": null}));
    home.env.write(".openclaw/.sigilum/installed.json", "{");
    assert_eq!(shown("hook", 1, "hook")["hook"], Value::Null);
    let told = home
        .env
        .run(["hook", "status"])
        .env("PATH", home.path())
        .expect(1)
        .stdout;
    assert!(told.contains("Hook:          not known, see the problems\n"), "{told}");
}

/// What cannot be read is told once, and says nothing of what else there is.
#[test]
fn beside_a_record_that_cannot_be_read_nothing_is_as_recorded() {
    for file in ["hook.json", "owner-alice.json"] {
        let home = Home::new();
        home.env.write(format!(".openclaw/.sigilum/{file}"), "{");
        let told = home.env.run(["doctor"]).env("PATH", home.path()).output().stdout;
        for check in ["entry", "watcher"] {
            let line = told
                .lines()
                .find(|line| line.split_whitespace().nth(1) == Some(check))
                .unwrap();
            assert!(line.contains("not checked"), "{file}: {line}");
        }
        if file == "hook.json" {
            for flag in [
                "--namespace",
                "--groups",
                "--poll-requests",
                "--dashboard",
                "--token-in-config",
            ] {
                assert!(told.contains(flag), "{flag}: {told}");
            }
        }
    }
}

/// The hook goes on to speak for whom it speaks.
#[test]
fn a_damaged_record_of_another_namespace_is_named_and_made_anew_beside_the_hook() {
    let home = Home::new();
    of_bob(&home, &json!({}));
    let whole = std::fs::read_to_string(home.env.sigilum("owner-bob.json")).unwrap();
    home.env.write(
        ".openclaw/.sigilum/owner-bob.json",
        whole.trim_end().trim_end_matches('}'),
    );
    let status = home.env.run(["auth", "status"]).output().stdout;
    assert!(status.contains("could not read the record"), "{status}");
    let (told, next) = found(&home, "stored");
    assert_eq!(told[0].matches("could not read the record").count(), 1, "{told:?}");
    assert!(next.starts_with("rm "), "{next}");
    home.env.shell(env::command_of(&next)).stdin("").expect(0);
    let hook: Value = serde_json::from_slice(&std::fs::read(home.env.sigilum("hook.json")).unwrap()).unwrap();
    assert_eq!(hook["namespace"], "alice");
    assert!(
        home.env
            .run(["auth", "status", "--namespace", "bob"])
            .output()
            .stdout
            .contains("bob")
    );
}

#[test]
fn where_the_hooks_namespace_is_not_logged_in_the_step_names_who_is() {
    let home = Home::new();
    recorded(&home, &json!({"namespace": "carol"}));
    let (_, next) = found(&home, "token");
    let switch = "; or have the hook speak for alice, who is logged in, with sigilum-authz-notify auth switch alice";
    assert!(next.ends_with(switch), "{next}");
    home.env.run(["auth", "switch", "alice"]).expect(0);
}

/// A login of bob's, whose hook it is not, with a token of these times.
fn of_bob(home: &Home, times: &Value) {
    let login = ["auth", "login", "--mode", "oss-local", "--namespace", "bob"];
    let url = home.api.url();
    home.env
        .run(login)
        .args(["--print-token", "false", "--api-url", &url])
        .expect(0);
    home.env.run(["auth", "switch", "alice"]).expect(0);
    let mut claims = times.clone();
    claims["namespace"] = "bob".into();
    home.env
        .write(".openclaw/.sigilum/owner-token-bob.jwt", home.api.token_with(claims));
}

/// What a checkout lacks, each with what is said of it; and a token command that is not there.
#[test]
fn a_checkout_that_is_not_whole_and_a_command_that_is_not_there() {
    let wrangler = "[[d1_databases]]\nbinding = \"DB\"\ndatabase_name = \"sigilum-api\"\ndatabase_id = \"x\"\n";
    for (files, says) in [
        (&[][..], "could not find apps/api/wrangler.toml"),
        (&[("wrangler.toml", "name = 1")], "could not find the API's database in"),
        (
            &[("wrangler.toml", wrangler)],
            "the secret that the local API signs with is not known",
        ),
        (
            &[("wrangler.toml", wrangler), (".dev.vars", "JWT_SECRET=x\n")],
            ".sqlite",
        ),
    ] {
        let home = Home::new();
        let checkout = home.env.home().join("checkout");
        for (name, text) in files {
            home.env.write(format!("checkout/apps/api/{name}"), text);
        }
        std::fs::create_dir_all(&checkout).unwrap();
        let record = home.env.sigilum("owner-alice.json");
        let mut recorded: Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
        recorded["source_home"] = checkout.to_str().unwrap().into();
        recorded.as_object_mut().unwrap().remove("api_db");
        home.env
            .write(".openclaw/.sigilum/owner-alice.json", recorded.to_string());
        let told = home.doctor(&[]);
        let told_of = |line: &str| line.starts_with("fail  local-api") && line.contains(says);
        assert!(told.stdout.lines().any(told_of), "{says}: {}", told.stdout);
        assert!(told.stdout.contains("next: ") && told.code != 0, "{}", told.stdout);
    }
    let home = Home::new();
    for (command, why) in [
        (
            "/none/at/all --x",
            "the token command /none/at/all cannot be run, there is no such program",
        ),
        (
            "no-such-program",
            "the token command no-such-program cannot be run, it is not on PATH",
        ),
        (
            "/etc/passwd",
            "the token command /etc/passwd cannot be run, it is not executable",
        ),
        (
            "cat /etc/hostname | head -1",
            "the token command may need a shell: | in it is plain text to cat, since no shell reads it",
        ),
    ] {
        let run = |args: &[&str]| home.env.run(args).env("SIGILUM_OWNER_TOKEN_COMMAND", command);
        let told = run(&["doctor"]).output().stdout;
        assert!(
            told.lines()
                .any(|line| line.starts_with("warn  watcher ") && line.ends_with(why)),
            "{told}"
        );
        assert!(told.contains("next: correct SIGILUM_OWNER_TOKEN_COMMAND, or: unset SIGILUM_OWNER_TOKEN_COMMAND"));
        let once = run(&["watch", "--once"]).output().stderr;
        assert!(once.contains(why), "{once}");
        let once = home
            .env
            .run(["watch", "--once", "--token-command", command])
            .output()
            .stderr;
        assert_eq!(once.matches(why).count(), 1, "{once}");
    }
    let fine = home
        .env
        .run(["watch", "--once", "--token-command", "sh -c true"])
        .output()
        .stderr;
    assert!(!fine.contains("cannot be run"), "{fine}");
}

/// A token of the hosted Sigilum without a token command: what renews it, and when that becomes a warning.
#[test]
fn a_token_that_only_a_person_renews() {
    let home = Home::new();
    let log_in = "sigilum-authz-notify auth login --mode managed --namespace alice --owner-token-stdin";
    for (hours, state) in [(30, "ok"), (20, "warn")] {
        let now = env::now();
        let token = home
            .api
            .token_with(json!({"namespace": "alice", "iat": now - 604_800, "exp": now + hours * 3600}));
        let login = [
            "auth",
            "login",
            "--mode",
            "managed",
            "--namespace",
            "alice",
            "--owner-token-stdin",
        ];
        home.env
            .run(login)
            .args(["--api-url", &home.api.url(), "--print-token", "false"])
            .stdin(token)
            .expect(0);
        let _ = std::fs::remove_file(home.env.sigilum("watch-status.json"));
        for watcher in ["none; ", "process 4000000 is gone; ", "runs; "] {
            let found = home.findings();
            let of = |check: &str| found.iter().find(|finding| finding["check"] == check).unwrap();
            let (token, seen) = (of("token"), of("watcher"));
            assert_eq!(
                (&seen["state"], &token["state"]),
                (&json!("ok"), &json!(state)),
                "{found:#?}"
            );
            let text = seen["text"].as_str().unwrap();
            let both = "log in again before then, or give a watcher a command that prints a fresh one \
                        (sigilum-authz-notify watch --install-unit --token-command <command>)";
            assert!(
                text.contains(watcher) && text.contains("nothing renews this token, which expires 20"),
                "{text}"
            );
            assert!(text.ends_with(both), "{text}");
            if state == "warn" {
                assert_eq!(token["next"], log_in);
                let text = home.env.run(["auth", "status"]).expect(0).stdout;
                assert!(text.contains("Problem:       alice: the token expires 20"), "{text}");
            }
            let status = home.env.run(["auth", "status"]).expect(0).stdout;
            assert!(status.contains(", nothing renews this token\n"), "{status}");
            match watcher {
                "none; " => watched(&home, 4_000_000, &json!({})),
                _ => watched(&home, std::process::id(), &json!({"next_due_at": null})),
            }
        }
    }
}

/// What the hook's record names is looked at by the code that uses it.
#[test]
fn what_is_recorded_of_the_network_and_of_whom_to_tell() {
    check(&[
        Row {
            check: "network",
            state: "fail",
            code: 1,
            text: "the hook can ask no API: the proxy that `hook install` recorded is not a valid http:// or https:// URL",
            next: "sigilum-authz-notify hook install --proxy <url>",
            after: Fill("<url>", "http://127.0.0.1:9"),
            set_up: |home| recorded(home, &json!({"env": {"HTTPS_PROXY": "http://host:99999"}})),
        },
        Row {
            check: "network",
            state: "fail",
            code: 1,
            text: "the certificates that `hook install` recorded hold none in PEM form: /nowhere/ca.pem",
            next: "sigilum-authz-notify hook install --ca-file <file>",
            after: Fill("<file>", "~/ca.pem"),
            set_up: |home| {
                home.env.write("ca.pem", include_str!("../../fixtures/tls/ca.pem"));
                recorded(home, &json!({"env": {"SSL_CERT_FILE": "/nowhere/ca.pem"}}));
            },
        },
        Row {
            check: "notify",
            state: "warn",
            code: 0,
            text: "nobody is told at once: nothing watches this home",
            next: "sigilum-authz-notify watch --install-unit",
            after: Machine(|home| watched(home, std::process::id(), &json!({"push": true}))),
            set_up: |home| recorded(home, &json!({"notify": "telegram:1"})),
        },
        Row {
            check: "notify",
            state: "warn",
            code: 0,
            text: "nobody is told at once: nothing watches this home",
            next: "openclaw gateway restart",
            after: Machine(|home| watched(home, std::process::id(), &json!({"push": true}))),
            set_up: |home| {
                plugin_alone(home);
                recorded(home, &json!({"notify": "telegram:1"}));
            },
        },
        Row {
            check: "notify",
            state: "warn",
            code: 0,
            text: "nobody is told at once: no openclaw program is recorded",
            next: "where openclaw is on PATH: sigilum-authz-notify hook install",
            after: Gone,
            set_up: |home| {
                recorded(home, &json!({"notify": "telegram:1", "openclaw": null}));
                watched(home, std::process::id(), &json!({}));
            },
        },
        Row {
            check: "notify",
            state: "warn",
            code: 0,
            text: "nobody is told at once: OpenClaw took no message for telegram:1",
            next: "openclaw doctor",
            after: Once(|home| watched(home, std::process::id(), &json!({}))),
            set_up: |home| {
                recorded(
                    home,
                    &json!({"notify": "telegram:1", "openclaw": home.env.home().join("bin/openclaw")}),
                );
                let why = "OpenClaw took no message for telegram:1";
                watched(home, std::process::id(), &json!({"notify_error": why}));
            },
        },
    ]);
    let home = Home::new();
    recorded(
        &home,
        &json!({"notify": "telegram:1", "openclaw": home.env.home().join("bin/openclaw")}),
    );
    watched(
        &home,
        std::process::id(),
        &json!({"notify_error": "OpenClaw took no message for telegram:1"}),
    );
    for status in ["auth", "hook"] {
        let told = home
            .env
            .run([status, "status"])
            .env("PATH", home.path())
            .expect(0)
            .stdout;
        assert!(
            told.contains("nobody is told at once: OpenClaw took no message for telegram:1\n"),
            "{told}"
        );
        assert!(!told.contains("asked for requests"), "{told}");
    }
    watched(&home, std::process::id(), &json!({}));
    assert!(!home.doctor(&[]).stdout.contains("at once"));
}

/// The hook asks by the recorded way, and so does who looks on its behalf; the person's variables stay theirs.
#[test]
fn the_api_is_asked_the_way_that_the_hook_asks_it() {
    let home = Home::new();
    let run = |words: &[&str]| home.env.run(words).env("PATH", home.path()).output();
    let log_in = [
        "auth",
        "login",
        "--mode",
        "managed",
        "--owner-token-stdin",
        "--api-url",
        "https://localhost:9",
    ];
    let login = home.env.run(log_in).args(["--namespace", "alice", "--no-check"]);
    login.stdin(home.api.token("alice", 3600)).output();
    recorded(&home, &json!({"env": {"SSL_CERT_FILE": "/nowhere/ca.pem"}}));
    let told = run(&["doctor"]).stdout;
    assert!(
        told.contains("what is named to be trusted holds no certificate in PEM form"),
        "{told}"
    );
}

/// What a shell allows is not allowed to the hook, and the other way round.
#[test]
fn plain_http_is_allowed_to_the_hook_where_that_is_recorded() {
    const SWITCH: &str = "SIGILUM_ALLOW_INSECURE_HTTP";
    const URL: &str = "http://192.0.2.1:9";
    let home = Home::new();
    let login = home.env.login().args(["--api-url", URL, "--no-check"]);
    login.env(SWITCH, "1").expect(0);
    let doctor = |switch: &str| {
        let run = home.env.run(["doctor"]).env("PATH", home.path());
        run.env(SWITCH, switch).output().stdout
    };
    let says = format!("the hook can ask no API, as {SWITCH} is not recorded for it: {URL}\n");
    let step = "export SIGILUM_ALLOW_INSECURE_HTTP=1 && sigilum-authz-notify hook install --from-env";
    let told = doctor("1");
    assert!(
        told.contains(&says) && told.contains(&format!("next: {step}\n")),
        "{told}"
    );
    assert!(doctor("").contains("it is plain http to another machine"));
    // What this shell names is not what the hook asks.
    let run = home.env.run(["doctor"]).env("PATH", home.path()).env(SWITCH, "1");
    let told = run.env("SIGILUM_API_URL", "http://192.0.2.2:9").output().stdout;
    assert!(!told.contains("the hook can ask no API"), "{told}");
    // What else is recorded would be taken back.
    recorded(&home, &json!({"env": {"HTTPS_PROXY": "http://127.0.0.1:9"}}));
    let file = home.env.sigilum("hook.json");
    let first = format!("next: set HTTPS_PROXY as in {}, since ", file.display());
    let told = doctor("1");
    assert!(
        told.contains(&first) && told.contains(&format!("; then: {step}\n")),
        "{told}"
    );
    recorded(&home, &json!({"env": null}));
    let ran = home.run_step(step);
    assert_eq!(ran.code, 0, "{ran:?}");
    for switch in ["1", ""] {
        let told = doctor(switch);
        assert!(!told.contains(&says) && !told.contains("is plain http"), "{told}");
        assert!(told.contains(&format!("{URL}: not checked: ")), "{told}");
    }
}

/// Adds to the hook's record, or takes out what is null.
fn recorded(home: &Home, fields: &Value) {
    let file = home.env.sigilum("hook.json");
    let mut record: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    for (name, value) in fields.as_object().unwrap() {
        record[name] = value.clone();
    }
    record.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    home.env.write_record(&record);
}

/// A watcher that has written down this of the home.
fn watched(home: &Home, pid: u32, also: &Value) {
    let mut of_home = json!({"home": home.env.openclaw(), "config": home.env.config(), "namespace": "alice",
        "mode": "oss-local", "polled": false, "expires_at": "2026-01-09T00:00:00Z",
        "next_due_at": "2026-01-05T00:00:00Z", "renewed_at": null, "last_error": null});
    for (name, value) in also.as_object().unwrap() {
        of_home[name] = value.clone();
    }
    let status = json!({"pid": pid, "running": true, "started_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z", "homes_served": 1, "homes": [of_home]});
    home.env
        .write(".openclaw/.sigilum/watch-status.json", status.to_string());
}

#[test]
fn a_watcher_of_another_program() {
    let home = Home::new();
    let copy = home.env.home().join("bin/ours");
    env::copy_binary(&copy);
    let mut watcher = home.env.run_program(&copy, ["watch"]).into_command();
    let mut watcher = watcher.stderr(Stdio::null()).spawn().unwrap();
    let finds = |state: &str, text: &str| {
        let found = home
            .findings()
            .into_iter()
            .find(|finding| finding["check"] == "watcher")
            .unwrap();
        found["state"] == state && found["text"].as_str().unwrap().contains(text)
    };
    let told = wait_until(|| finds("ok", ", next renewal 20"));
    std::fs::remove_file(&copy).unwrap();
    let replaced = !cfg!(target_os = "linux") || finds("warn", "runs a program that was replaced since");
    let findings = home.findings();
    let step = findings.iter().find(|finding| finding["check"] == "watcher").unwrap()["next"].as_str();
    let step = step.unwrap_or_default().to_owned();
    let status = std::fs::read(home.env.sigilum("watch-status.json")).unwrap();
    // What the step says: the old one ends, and the unit is there for the new one.
    let kill = format!("kill {}", watcher.id());
    let ended = !replaced || {
        step.starts_with(&format!("{kill}, then start it anew: "))
            && home.env.shell(&kill).output().code == 0
            && home.run_step(&step).code == 0
            && home
                .env
                .home()
                .join(".config/systemd/user/sigilum-authz-notify.service")
                .exists()
    };
    let _ = watcher.kill();
    watcher.wait().unwrap();
    assert!(told && replaced, "{:#?}", home.findings());
    assert!(!cfg!(target_os = "linux") || ended, "{step}");
    assert!(!finds("warn", "was replaced since"), "{step}");
    let mut status: Value = serde_json::from_slice(&status).unwrap();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    status["pid"] = std::process::id().into();
    status["pid_starttime"] = Value::Null;
    status["version"] = "0.0.9".into();
    home.env
        .write(".openclaw/.sigilum/watch-status.json", status.to_string());
    assert!(
        finds(
            "warn",
            &format!("is of version 0.0.9, and this program of {}", env!("CARGO_PKG_VERSION"))
        ),
        "{:#?}",
        home.findings()
    );
    if !cfg!(target_os = "linux") {
        return;
    }
    // A service that serves other homes too goes on with them.
    let (ours, other) = (home.env.openclaw(), home.env.home().join(".openclaw-other"));
    std::fs::create_dir(&other).unwrap();
    let both = format!("--openclaw-home {} --openclaw-home {}", other.display(), ours.display());
    for flags in [both.as_str(), "--all"] {
        let install = home.env.run(["watch", "--install-unit"]).args(flags.split(' '));
        install.expect(0);
        let (_, next) = found(&home, "watcher");
        let step = format!("start it anew: sigilum-authz-notify watch --install-unit {flags}");
        assert!(next.ends_with(&step), "{next}");
        assert_eq!(home.run_step(&next).code, 0, "{next}");
    }
}

#[test]
fn a_home_that_is_trusted_by_this_shell_is_not_after_the_step() {
    let home = Home::new();
    let run = home.env.run(["doctor"]).env("SIGILUM_TRUST_HOME", "1");
    let told = run.env("PATH", home.path()).output().stdout;
    let says = "whoever can write to this home is trusted by this command (SIGILUM_TRUST_HOME)";
    assert!(
        told.contains(says) && told.contains(" next: unset SIGILUM_TRUST_HOME\n"),
        "{told}"
    );
    let again = home.env.step_then("unset SIGILUM_TRUST_HOME", &["doctor"]);
    let told = again.env("SIGILUM_TRUST_HOME", "1").output().stdout;
    assert!(told.contains("ok    home ") && !told.contains(says), "{told}");
}

#[test]
fn a_fix_of_another_users_home_is_that_users_to_run() {
    let Some(users) = ThreeUsers::new() else { return };
    users.env.write_config(r#"{"gateway":{"mode":"local"}}"#);
    users.env.login().expect(0);
    let folder = users.env.sigilum("");
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
    users.give_home();
    let home = users.env.openclaw();
    let told = users.root("doctor --fix --openclaw-home").args([&home]).output();
    let said = format!("{}{}", told.stdout, told.stderr);
    let step = said
        .lines()
        .find(|line| line.contains(" doctor --fix --openclaw-home "))
        .unwrap();
    let step = step.split_once("next: ").unwrap().1;
    assert!(step.starts_with("sudo -u "), "{said}");
    let sudo =
        format!("#!/bin/sh\nshift 2\nexec setpriv --reuid={STRANGER} --regid={STRANGER} --clear-groups \"$@\"\n");
    let sudo = users.env.write("bin/sudo", sudo);
    std::fs::set_permissions(&sudo, PermissionsExt::from_mode(0o700)).unwrap();
    let (ours, bin) = (
        users.binary.parent().unwrap().display(),
        sudo.parent().unwrap().display(),
    );
    let done = users
        .env
        .shell(step)
        .env("PATH", format!("{ours}:{bin}:/usr/bin:/bin"))
        .output();
    assert!(done.stdout.contains("fixed "), "{step}: {done:#?}");
    assert_eq!(mode(&folder), 0o700);
}

#[test]
fn a_file_that_this_user_may_not_write_is_its_own_again_after_the_step() {
    let Some(users) = ThreeUsers::new() else { return };
    users.env.write_config(r#"{"gateway":{"mode":"local"}}"#);
    users.env.login().expect(0);
    let file = users.env.sigilum("owner-alice.json");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o400)).unwrap();
    users.give_home();
    let doctor = || users.gateway("doctor").output().stdout;
    let told = doctor();
    let says = format!(
        "this user may not read and write this file (mode 0400): {}",
        file.display()
    );
    let step = format!("chmod 600 {}", file.display());
    assert!(
        told.contains(&says) && told.contains(&format!(" next: {step}\n")),
        "{told}"
    );
    users.env.shell(&step).by_user(STRANGER, &[STRANGER]).expect(0);
    let told = doctor();
    assert!(told.contains("ok    files ") && !told.contains(&says), "{told}");
}

#[test]
fn an_older_home_that_a_new_one_would_hide_is_named() {
    let env = TestEnv::new();
    env.write(".clawdbot/clawdbot.json", "{}");
    let older = env.home().join(".clawdbot");
    let hides = "could not set anything up here, it would hide what OpenClaw uses: ";
    let hides = format!("{hides}{}\n", older.display());
    let check = |hides: &str, next: &str| {
        for command in ["doctor", "hook status", "auth status"] {
            let run = env.run(command.split(' ')).args(["--namespace", "alice"]);
            let told = run.env("PATH", "/usr/bin:/bin").output();
            let shown = told.stdout + &told.stderr;
            assert_eq!(told.code, 3, "{command}: {shown}");
            assert!(shown.contains(hides), "{command}: {shown}");
            assert!(shown.contains(next), "{command}: {shown}");
            assert!(!shown.contains("onboard"), "{command}: {shown}");
        }
    };
    check(&hides, "next: openclaw doctor; ");
    std::fs::create_dir(env.openclaw()).unwrap();
    let room = format!("next: rmdir {} && openclaw doctor; ", env.openclaw().display());
    check(&hides.replace(".clawdbot\n", ".clawdbot/clawdbot.json\n"), &room);
}

#[test]
fn what_is_safe_is_put_right_and_told() {
    let home = Home::new();
    age(&home);
    home.leave_a_takeover();
    let temp = ".sigilum-authz-notify-4000000-5-0-0123456789abcdef.tmp";
    let temp = home.env.write(format!(".openclaw/.sigilum/{temp}"), "");
    let old = ["-d", "2020-01-01"].map(Path::new);
    home.env.run_program("touch".as_ref(), old).args([&temp]).expect(0);
    home.chmod(".sigilum", 0o755);
    home.chmod(".sigilum/hook.json", 0o644);
    home.chmod("openclaw.json", 0o644);
    let token = std::fs::read(home.env.sigilum("owner-token-alice.jwt")).unwrap();
    let config = std::fs::read(home.env.config()).unwrap();
    let fixed = home.doctor(&["--fix"]);
    assert_eq!(fixed.code, 0, "{}{}", fixed.stdout, fixed.stderr);
    let ours = home.env.openclaw();
    let ours = ours.display();
    for line in [
        format!("fixed made private: {ours}/.sigilum\n"),
        format!("fixed made private: {ours}/.sigilum/hook.json\n"),
        format!(
            "fixed the hook's files are of version {} now: {ours}/hooks/sigilum-authz-notify\n",
            env!("CARGO_PKG_VERSION")
        ),
        format!("fixed removed {}\n", temp.display()),
        format!("fixed removed {ours}/openclaw.json.lock.reclaim\n"),
    ] {
        assert!(fixed.stdout.contains(&line), "{line}: {}", fixed.stdout);
    }
    assert!(home.env.openclaw().join("openclaw.json.lock").exists());
    assert_eq!(mode(home.env.sigilum("")), 0o700);
    assert_eq!(mode(home.env.sigilum("hook.json")), 0o600);
    assert_eq!(mode(home.env.config()), 0o644, "not ours to change");
    assert_eq!(std::fs::read(home.env.sigilum("owner-token-alice.jwt")).unwrap(), token);
    assert_eq!(std::fs::read(home.env.config()).unwrap(), config);
    let again = home.doctor(&["--fix"]);
    assert!(!again.stdout.contains("fixed "), "{}", again.stdout);
}

#[test]
fn what_a_fix_could_not_do_is_told_and_the_rest_is_done() {
    let home = Home::new();
    let lock = home.env.sigilum("lock");
    let _ = std::fs::remove_file(&lock);
    std::fs::create_dir(&lock).unwrap();
    home.chmod(".sigilum/owner-token-alice.jwt", 0o644);
    let fixed = home.doctor(&["--fix"]);
    assert_eq!(fixed.code, 1, "{}{}", fixed.stdout, fixed.stderr);
    assert_eq!(mode(home.env.sigilum("owner-token-alice.jwt")), 0o600);
    let lock = lock.display();
    for line in [
        format!("could not take the lock: {lock}: "),
        format!("next: move the folder away that has this name: mv {lock} {lock}.aside\n"),
    ] {
        assert!(fixed.stdout.contains(&line), "{line}: {}", fixed.stdout);
    }
    std::fs::remove_dir(home.env.sigilum("lock")).unwrap();
    assert_eq!(home.doctor(&["--fix"]).code, 0);
}

#[test]
fn another_users_home_is_looked_at_and_left_alone() {
    let home = Home::new();
    std::fs::remove_file(installed_by_another(&home)).unwrap();
    home.program("ours", r#"touch "$0.ran"; echo sigilum-authz-notify 0.0.9"#);
    // Only root can give a home away.
    if std::os::unix::fs::chown(home.env.openclaw(), Some(STRANGER), None).is_err() {
        return;
    }
    home.chmod(".sigilum", 0o755);
    let fixed = home.doctor(&["--fix"]);
    assert_eq!(fixed.code, 1, "{}", fixed.stdout);
    let next = format!(
        "next: {} doctor --fix --openclaw-home {}\n",
        sigilum_authz_notify::fs::run_as(STRANGER),
        home.env.openclaw().display()
    );
    assert!(fixed.stderr.contains(&next), "{}", fixed.stderr);
    assert_eq!(mode(home.env.sigilum("")), 0o755);
    let told = home.doctor(&[]).stdout;
    assert!(
        told.contains("bin/ours; in another user's home it is not asked for its version\n"),
        "{told}"
    );
    assert!(!home.env.home().join("bin/ours.ran").exists());
}

/// The worst one counts: without a config nothing runs, without a token nothing is asked.
/// As `hook install` records none such.
#[test]
fn an_openclaw_that_others_can_change_is_not_run() {
    for through_a_link in [false, true] {
        let home = Home::new();
        let marker = home.env.home().join("ran");
        let program = home.program("openclaw", &format!("echo ran > '{}'\necho '{{}}'", marker.display()));
        let mut folder = program.parent().unwrap().to_owned();
        if through_a_link {
            folder = home.env.home().join("open");
            std::fs::create_dir(&folder).unwrap();
            std::fs::rename(&program, folder.join("openclaw")).unwrap();
            std::os::unix::fs::symlink(folder.join("openclaw"), &program).unwrap();
        }
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o757)).unwrap();
        let says = format!("could not trust the program: {}", program.display());
        let found = home.findings();
        let found = found.iter().find(|finding| finding["check"] == "openclaw").unwrap();
        assert!(found["text"].as_str().unwrap().starts_with(&says), "{found}");
        let status = home.env.run(["hook", "status"]).env("PATH", home.path()).output();
        assert!(status.stdout.contains(&says), "{}", status.stdout);
        assert!(!marker.exists());
        home.run_step(found["next"].as_str().unwrap());
        home.doctor(&[]);
        assert!(marker.exists(), "{found}");
    }
}

#[test]
fn the_exit_code_is_that_of_the_worst_fault() {
    let home = Home::new();
    let expect = |code| {
        let told = home.doctor(&[]);
        assert_eq!(told.code, code, "{}", told.stdout);
    };
    home.remove("hooks/sigilum-authz-notify/handler.js");
    expect(1);
    home.remove(".sigilum/local-api.sqlite");
    expect(7);
    home.remove(".sigilum/owner-token-alice.jwt");
    expect(4);
    home.env.write_config("{ broken");
    expect(3);
}

/// `serve --stdio`, as the plugin starts it.
struct Serve(std::process::Child);

impl Serve {
    fn start(home: &Home, program: &Path) -> Self {
        let args = [
            Path::new("serve"),
            Path::new("--stdio"),
            Path::new("--openclaw-home"),
            &home.env.openclaw(),
        ];
        let mut command = home.env.run_program(program, args).into_command();
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        Self(child.spawn().unwrap())
    }

    fn asks(&mut self) {
        let event = r#"{"id":1,"type":"command","action":"new","sessionKey":"agent:main:main","chatType":"direct"}"#;
        writeln!(self.0.stdin.as_mut().unwrap(), "{event}").unwrap();
        let mut line = String::new();
        BufReader::new(self.0.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.contains("messages"), "{line}");
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What runs is asked, not what lies on the disk.
#[test]
fn the_program_that_the_gateway_runs() {
    let home = Home::new();
    plugin_alone(&home);
    let running = || {
        let found = home
            .findings()
            .into_iter()
            .find(|finding| finding["check"] == "running")
            .unwrap();
        (
            found["state"].clone(),
            found["text"].as_str().unwrap().to_owned(),
            found["next"].clone(),
        )
    };
    let is = |state: &str, text: &str| {
        let (found, says, next) = running();
        let wanted = if state == "ok" {
            Value::Null
        } else {
            "openclaw gateway restart".into()
        };
        found == state && says.contains(text) && next == wanted
    };
    let file = home.env.sigilum("serve.json");
    assert!(
        is("warn", "no OpenClaw gateway is seen to run the plugin"),
        "{:?}",
        running()
    );

    let runs = concat!("the OpenClaw gateway runs version ", env!("CARGO_PKG_VERSION"));
    let mut serve = Serve::start(&home, env::BINARY.as_ref());
    assert!(wait_until(|| is("ok", &format!("{runs} since "))), "{:?}", running());
    assert_eq!(mode(&file), 0o600);
    serve.asks();
    assert!(wait_until(|| is("ok", ", last answer 20")), "{:?}", running());
    let told = home
        .env
        .run(["hook", "status"])
        .env("PATH", home.path())
        .expect(0)
        .stdout;
    let pid = format!("(process {}), last answer 20", serve.0.id());
    assert!(
        told.contains(&format!("\n  running:     {runs} since ")) && told.contains(&pid),
        "{told}"
    );

    // A second one, of another gateway, waits its turn; the first is killed, and its lock with it.
    let second = Serve::start(&home, env::BINARY.as_ref());
    drop(serve);
    let of_second = format!("(process {})", second.0.id());
    assert!(wait_until(|| is("ok", &of_second)), "{:?}", running());

    let list = home.env.sigilum("installed.json");
    let was = std::fs::read_to_string(&list).unwrap();
    home.env.write(
        ".openclaw/.sigilum/installed.json",
        was.replace(
            concat!(r#""version": ""#, env!("CARGO_PKG_VERSION"), '"'),
            r#""version": "99.0.0""#,
        ),
    );
    assert!(
        is("warn", "nothing answered yet; installed is version 99.0.0"),
        "{:?}",
        running()
    );
    home.env.write(".openclaw/.sigilum/installed.json", was);
    drop(second);
    assert!(file.exists(), "it was killed");
    assert!(
        is("warn", "no OpenClaw gateway is seen to run the plugin"),
        "{:?}",
        running()
    );

    let copy = home.env.home().join("bin/ours");
    env::copy_binary(&copy);
    let mut third = Serve::start(&home, &copy);
    assert!(wait_until(|| is("warn", "recorded is the program ")), "{:?}", running());
    home.env
        .run_program(&copy, ["hook", "install", "--as", "plugin"])
        .expect(0);
    assert!(is("ok", "runs version"), "{:?}", running());
    std::fs::remove_file(&copy).unwrap();
    if cfg!(target_os = "linux") {
        assert!(is("warn", "its program was replaced since"), "{:?}", running());
    }
    // In order, it takes its word back.
    drop(third.0.stdin.take());
    third.0.wait().unwrap();
    assert!(!file.exists());
}

/// Nothing is made in a home that is going away, or that is nobody's.
#[test]
fn what_runs_makes_nothing_where_nobody_is_logged_in() {
    let home = Home::new();
    let mut serve = Serve::start(&home, env::BINARY.as_ref());
    let file = home.env.sigilum("serve.json");
    // The watcher in it has written down what it saw, and has nothing to write any more.
    assert!(wait_until(
        || file.exists() && home.env.sigilum("watch-status.json").exists()
    ));
    std::fs::remove_dir_all(home.env.sigilum("")).unwrap();
    serve.asks();
    serve.asks();
    assert!(!home.env.sigilum("").exists());
    std::fs::create_dir(home.env.sigilum("")).unwrap();
    serve.asks();
    assert!(!file.exists());
    std::fs::remove_dir_all(home.env.openclaw()).unwrap();
    serve.asks();
    assert!(!home.env.openclaw().exists());
}

/// Its file goes before others of ours, as `rm -rf` may have it.
#[test]
fn what_runs_shows_itself_again_once_the_home_has_stayed() {
    let home = Home::new();
    let mut serve = Serve::start(&home, env::BINARY.as_ref());
    let file = home.env.sigilum("serve.json");
    // Shown, not only begun: its lock is made anew where the file goes before it is taken.
    assert!(wait_until(|| std::fs::read(&file).is_ok_and(|text| !text.is_empty())));
    let begun = Instant::now();
    std::fs::remove_file(&file).unwrap();
    serve.asks();
    serve.asks();
    assert!(!file.exists() || begun.elapsed() >= Duration::from_secs(2));
    assert!(wait_until(|| file.exists()));
}

/// A gateway that was killed took its child with it.
#[test]
fn an_uninstall_takes_away_what_a_killed_program_left() {
    let home = Home::new();
    plugin_alone(&home);
    let file = home.env.sigilum("serve.json");
    let serve = Serve::start(&home, env::BINARY.as_ref());
    assert!(wait_until(|| file.exists()));
    drop(serve);
    assert!(file.exists());
    home.env.run(["hook", "uninstall"]).expect(0);
    assert!(!file.exists());
}

/// The plugin and the hook are two shapes of one thing, and every text knows which one is there.
#[test]
fn every_text_knows_that_it_is_the_plugin() {
    let home = Home::new();
    plugin_alone(&home);
    let run = |args: &[&str]| home.env.run(args).env("PATH", home.path()).output();
    let log_in = || home.env.login().args(["--api-url", &home.api.url()]).expect(0).stdout;
    let told = log_in();
    assert!(
        told.contains("the plugin is on, and reads the token's file\n"),
        "{told}"
    );
    let told = run(&["auth", "status"]).stdout;
    assert!(
        told.contains("openclaw.json: holds no token: the plugin reads the token's file\n"),
        "{told}"
    );
    assert!(!told.contains("Problem:"), "{told}");
    let told = run(&["hook", "status"]).stdout;
    assert!(told.contains("OpenClaw says: the plugin is loadable\n"), "{told}");
    let told = run(&["watch", "--once"]).stderr;
    assert!(told.contains("; the plugin is on\n"), "{told}");
    assert!(!told.contains("entry"), "{told}");
    let serve = Serve::start(&home, env::BINARY.as_ref());
    assert!(wait_until(
        || home.env.sigilum("watch-status.json").exists() && home.env.sigilum("serve.json").exists()
    ));
    let refused = run(&["watch", "--once"]);
    let who = format!(
        "error: could not watch, the plugin's program in the OpenClaw gateway (process {}) serves this home: {}\n  next: \
         leave the home to it; how it stands: sigilum-authz-notify auth status\n",
        serve.0.id(),
        home.env.openclaw().display()
    );
    assert_eq!((refused.code, refused.stderr.as_str()), (8, who.as_str()));
    let stands = home.env.carry_out(&refused).expect(0).stdout;
    assert!(stands.contains("Watcher: ") && !stands.contains("Problem:"), "{stands}");

    home.edit_config(|config| config["plugins"]["entries"]["sigilum-authz-notify"]["enabled"] = false.into());
    let told = log_in();
    let next = "the plugin is off; to switch it on: sigilum-authz-notify hook install --as plugin\n";
    assert!(told.contains(next) && !told.contains("the hook is off"), "{told}");

    let purged = run(&["hook", "uninstall", "--purge"]);
    assert_eq!(purged.code, 0, "{}", purged.stderr);
    assert!(!purged.stderr.contains("a watcher"), "{}", purged.stderr);
    let note = format!(
        "note: the OpenClaw gateway still runs the plugin's program, process {}; ",
        serve.0.id()
    );
    assert!(purged.stderr.contains(&note), "{}", purged.stderr);
}

/// Each command that is printed leads to the same home and config again.
#[test]
fn next_steps_lead_to_the_same_home_and_config() {
    let env = TestEnv::new();
    let (home, config) = (env.home().join("a home"), env.write("elsewhere/c.json", "{}"));
    let place = [Path::new("--openclaw-home"), &home, Path::new("--config"), &config];
    env.login().args(place).expect(0);
    env.run(["hook", "install"]).args(place).expect(0);
    std::fs::write(&config, "{}").unwrap();
    let path = format!("{}:/usr/bin:/bin", Path::new(env::BINARY).parent().unwrap().display());
    let doctor = || env.run(["doctor"]).args(place).env("PATH", &path).expect(0).stdout;
    let flags = format!("--openclaw-home '{}' --config {}", home.display(), config.display());
    let told = doctor();
    let install = format!("sigilum-authz-notify hook install {flags}");
    assert!(told.contains(&format!("next: {install}\n")), "{told}");
    let watch = format!(
        "next: OPENCLAW_CONFIG_PATH={} sigilum-authz-notify watch --install-unit --openclaw-home '{}'\n",
        config.display(),
        home.display()
    );
    assert!(told.contains(&watch), "{told}");
    env.run_program("/bin/sh".as_ref(), ["-c", &install])
        .env("PATH", &path)
        .expect(0);
    assert!(doctor().contains("ok    entry "), "{}", doctor());
}
