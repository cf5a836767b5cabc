//! Records and token files that are swapped for something else: links, pipes, folders, files of other users; before a
//! command, and while it runs. None of it is believed, waited for, or followed.

use crate::env::api::Api;
use crate::env::{STRANGER, TestEnv, mode};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

const SECRET: &str = "only Sigilum knows";
const EVENT: &str = r#"{"type":"command","action":"new","sessionKey":"agent:main:main","chatType":"direct"}"#;

/// A home with a request that waits, and a stranger whose records are planted.
struct Home {
    env: TestEnv,
    api: Api,
    stranger: Api,
}

impl Home {
    fn new() -> Self {
        let (env, api, stranger) = (TestEnv::new(), Api::start(SECRET), Api::start(SECRET));
        api.add_claim("alice", json!({"service": "linear"}));
        env.log_in_managed_at(&api, 90_000);
        env.run(["hook", "install"]).expect(0);
        Self { env, api, stranger }
    }

    /// What the stranger would have stand under a name.
    fn planted(&self, name: &str) -> String {
        match name {
            "hook.json" => json!({"namespace": "alice", "groups": "off", "senders": ["irc:nobody"],
                "env": {"SIGILUM_API_URL": self.stranger.url()}}),
            "owner-alice.json" => {
                json!({"format": 3, "mode": "managed", "api_url": self.stranger.url(), "email": "a@x"})
            }
            _ => return self.stranger.token("alice", 90_000),
        }
        .to_string()
    }

    fn hook_run(&self) -> Value {
        let output = self.env.run(["hook", "run"]).stdin(EVENT).expect(0);
        serde_json::from_str(&output.stdout).unwrap()
    }
}

/// Puts something in a file's place in one step: it is never absent.
fn swap(path: &Path, make: impl FnOnce(&Path)) {
    let beside = path.with_extension("swapped");
    let _ = fs::remove_file(&beside);
    make(&beside);
    fs::rename(beside, path).unwrap();
}

fn pipe(path: &Path) {
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, path, fifo, rustix::fs::Mode::from_raw_mode(0o600), 0).unwrap();
}

#[test]
fn what_stands_in_a_records_place_is_told_and_not_believed() {
    type Make = fn(&Path, &Path);
    let kinds: [(&str, Make); 4] = [
        ("it is a symbolic link", |path, planted| symlink(planted, path).unwrap()),
        ("it is not a regular file", |path, _| pipe(path)),
        ("it has 2 names (hard links)", |path, planted| {
            fs::hard_link(planted, path).unwrap()
        }),
        ("it belongs to another user", |path, planted| {
            fs::copy(planted, path).unwrap();
            chown(path, Some(STRANGER), None).unwrap();
        }),
    ];
    for name in ["hook.json", "owner-alice.json", "owner-token-alice.jwt"] {
        for (why, make) in kinds {
            if why.contains("user") && !rustix::process::geteuid().is_root() {
                continue;
            }
            let home = Home::new();
            let planted = home.env.write("agent/planted", home.planted(name));
            let path = home.env.sigilum(name);
            swap(&path, |beside| make(beside, &planted));
            let before = fs::read(&planted).unwrap();
            for command in [
                "auth status",
                "hook status",
                "doctor",
                "watch --once",
                "auth refresh --no-check",
            ] {
                let output = home.env.run(command.split(' ')).output();
                let all = output.stdout + &output.stderr;
                assert!(
                    !all.contains("panicked") && !all.contains("chmod"),
                    "{name}, {why}, {command}: {all}"
                );
                if ["status", "doctor"].iter().any(|status| command.contains(status)) {
                    assert!(
                        all.contains(why) && all.contains("look at it, then "),
                        "{name}, {command}: {all}"
                    );
                }
            }
            home.hook_run();
            assert_eq!(
                (fs::read(&planted).unwrap(), mode(&planted)),
                (before, 0o600),
                "{name}, {why}"
            );
            assert_eq!(home.stranger.seen().len(), 0, "{name}, {why}");
            // A login makes token and record anew; the hook's record takes the step that is printed.
            if name == "hook.json" {
                fs::remove_file(&path).unwrap();
            }
            home.env.log_in_managed_at(&home.api, 90_000);
            assert!(home.hook_run().to_string().contains("linear"), "{name}, {why}");
        }
    }
}

/// A swap at every moment of some runs.
#[test]
fn records_that_are_swapped_while_commands_run_lead_nowhere() {
    const NAMES: [&str; 3] = ["hook.json", "owner-alice.json", "owner-token-alice.jwt"];
    let home = Home::new();
    let ours = NAMES.map(|name| (home.env.sigilum(name), fs::read(home.env.sigilum(name)).unwrap()));
    let texts = NAMES.map(|name| home.planted(name));
    let planted = [0, 1, 2].map(|index| home.env.write(format!("agent/{}", NAMES[index]), &texts[index]));
    let stop = AtomicBool::new(false);
    let put_back = |index: usize| {
        let (path, bytes) = &ours[index];
        swap(path, |beside| {
            fs::write(beside, bytes).unwrap();
            fs::set_permissions(beside, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        });
    };
    let watcher = home.env.watch();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in (0..NAMES.len()).cycle() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                swap(&ours[round].0, |beside| symlink(&planted[round], beside).unwrap());
                put_back(round);
                swap(&ours[round].0, pipe);
                put_back(round);
            }
        });
        for _ in 0..12 {
            home.env.run(["hook", "run"]).stdin(EVENT).output();
            home.env.run(["auth", "status"]).output();
        }
        stop.store(true, Ordering::SeqCst);
    });
    assert_eq!(home.stranger.seen().len(), 0);
    for (index, file) in planted.iter().enumerate() {
        assert_eq!(fs::read_to_string(file).unwrap(), texts[index], "{}", NAMES[index]);
        put_back(index);
    }
    assert!(home.hook_run().to_string().contains("linear"));
    drop(watcher);
}
