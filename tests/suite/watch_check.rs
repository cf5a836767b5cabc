//! `watch --check`: what a probe learns of a watcher.

use crate::env::{self, TestEnv};

use env::api::Api;
use env::command_of;
use env::watching::{Watcher, managed_token, wait_until};
use serde_json::{Value, json};
use sigilum_authz_notify::fs::FileLock;
use sigilum_authz_notify::time::rfc3339;
use std::os::unix::fs::PermissionsExt;

fn status(env: &TestEnv) -> Value {
    serde_json::from_slice(&std::fs::read(env.sigilum("watch-status.json")).unwrap()).unwrap()
}

#[test]
fn a_probe_tells_a_watcher_that_lives_from_none() {
    let env = TestEnv::new();
    env.login().expect(0);
    // Where there is no service manager, the step is not to install a unit.
    let output = env.run(["watch", "--check"]).env("PATH", "/nowhere").expect(1);
    let step = "next: sigilum-authz-notify watch; it runs until it is stopped, so have whatever starts programs here start it\n";
    assert!(output.stderr.ends_with(step), "{}", output.stderr);
    let by_hand = output.step().to_owned();
    let path = env.manager("exit 1");
    let none = |why: &str| {
        let output = env.run(["watch", "--check"]).env("PATH", &path).expect(1);
        let wanted = format!(
            "error: no watcher serves this home: {}\n  next: sigilum-authz-notify watch --install-unit\n",
            env.openclaw().display()
        );
        assert_eq!((output.stdout.as_str(), output.stderr), ("", wanted), "{why}");
    };
    none("nobody ever watched");
    let mut watcher = env.watch();
    let output = env.run(["watch", "--check"]).expect(0);
    let due = status(&env)["homes"][0]["next_due_at"].as_str().unwrap().to_owned();
    let wanted = format!("watched, next renewal {due}: {}\n", env.openclaw().display());
    assert_eq!(output.stdout, wanted);
    // Killed, it leaves its status behind.
    watcher.signal(rustix::process::Signal::KILL);
    watcher.end();
    assert!(env.sigilum("watch-status.json").exists());
    none("killed");
    let mut watcher = Watcher::start(env.run(["watch"]));
    env.run(["watch", "--check"]).expect(0);
    assert_eq!(watcher.stop(), 0);
    none("stopped");
    // Each step makes one that lives.
    let mut watcher = Watcher::start(env.shell(&format!("exec {}", command_of(&by_hand))));
    env.run(["watch", "--check"]).expect(0);
    assert_eq!(watcher.stop(), 0);
    let manager = r#"unit="$HOME/.config/systemd/user/sigilum-authz-notify.service"
case "$2" in
  show) [ ! -e "$unit" ] || echo "$unit" ;;
  restart) sh -c "exec $(sed -n 's/^ExecStart=//p' "$unit")" </dev/null >/dev/null 2>&1 & echo $! >"$HOME/pid" ;;
esac"#;
    let told = env.run(["watch", "--check"]).env("PATH", &path).expect(1);
    if cfg!(target_os = "linux") {
        env.manager(manager);
        env.carry_out(&told).expect(0);
        let lives = wait_until(|| env.run(["watch", "--check"]).output().code == 0);
        let pid = std::fs::read_to_string(env.home().join("pid")).unwrap();
        env.shell(&format!("kill {pid}")).expect(0);
        assert!(lives);
    }
}

/// A service would wait there, and the next look would say the same.
#[test]
fn where_nobody_is_logged_in_the_probes_step_is_the_login() {
    let env = TestEnv::new();
    let path = env.manager("exit 0");
    let check = || env.run(["watch", "--check"]).env("PATH", &path).expect(1);
    assert_eq!(check().step(), "openclaw onboard");
    assert!(!env.openclaw().exists());
    let install = || env.run(["watch", "--install-unit"]).env("PATH", &path).output().stdout;
    let told = install();
    let waits = |why: &str| format!("  nothing to watch yet, {why}, {}; first: ", env.openclaw().display());
    assert!(
        told.contains(&(waits("there is no such home") + "openclaw onboard\n")),
        "{told}"
    );
    env.write_config("{}");
    let step = check().step().to_owned();
    assert!(step.starts_with("sigilum-authz-notify auth login "), "{step}");
    assert!(install().contains(&(waits("nobody is logged in") + &step + "\n")));
    env.login().expect(0);
    assert!(check().step().starts_with("sigilum-authz-notify watch --install-unit"));
    assert!(!install().contains("nothing to watch"));
}

#[test]
fn what_is_overdue_is_told_with_its_own_exit_code() {
    let env = TestEnv::new();
    env.login().expect(0);
    let watcher = env.watch();
    let running = status(&env);
    drop(watcher);
    let _lock = FileLock::try_acquire(&env.sigilum("watch.lock"), None)
        .unwrap()
        .unwrap();
    let now = env::now();
    let of = |due: Option<i64>, expires: Option<i64>, error: Option<&str>| {
        let mut status = running.clone();
        let home = &mut status["homes"][0];
        home["next_due_at"] = json!(due.map(|age| rfc3339(now - age)));
        home["expires_at"] = json!(expires.map(|age| rfc3339(now - age)));
        home["last_error"] = json!(error);
        env.write(".openclaw/.sigilum/watch-status.json", status.to_string());
    };
    for (due, expires, error, code, says) in [
        (Some(-3_600), Some(-7_200), None, 0, "watched, next renewal "),
        // It is tried again within five minutes.
        (
            Some(300),
            Some(-7_200),
            Some("the disk is full"),
            0,
            "watched, next renewal ",
        ),
        (
            None,
            Some(-7_200),
            None,
            0,
            "watched, nothing to renew, the token expires ",
        ),
        (None, None, None, 0, "watched, nothing to renew: "),
        (
            Some(3_600),
            Some(-7_200),
            None,
            4,
            "error: the owner token of alice was to be renewed 1 h ago, and is not: ",
        ),
        (
            Some(3_600),
            Some(-7_200),
            Some("the disk is full"),
            4,
            ": the disk is full\n  next: sigilum-authz-notify auth status",
        ),
        (
            Some(3_600),
            Some(60),
            None,
            4,
            "error: the owner token of alice expired 1 min",
        ),
        (None, Some(60), None, 4, "error: the owner token of alice expired 1 min"),
    ] {
        of(due, expires, error);
        let output = env.run(["watch", "--check"]).expect(code);
        if code == 4 {
            let looked = env.carry_out(&output).expect(0).stdout;
            assert!(looked.contains("Watcher: ") && looked.contains("alice"), "{looked}");
        }
        let said = output.stdout + &output.stderr;
        assert!(said.contains(says), "{due:?} {expires:?}: {said}");
    }
    // Neither is known of a token that is not there.
    of(None, None, Some("the token file is gone"));
    let file = env.sigilum("owner-token-alice.jwt");
    let token = std::fs::read(&file).unwrap();
    let spoil: [fn(&std::path::Path); 3] = [
        |file| std::fs::write(file, "no token").unwrap(),
        |file| std::fs::write(file, managed_token("bob", 5_000)).unwrap(),
        |file| std::fs::remove_file(file).unwrap(),
    ];
    for spoil in spoil {
        spoil(&file);
        let output = env.run(["watch", "--check"]).expect(4);
        let says = "error: the owner token of alice is gone, or is none: ";
        assert!(output.stderr.starts_with(says), "{}", output.stderr);
        assert_eq!(output.step(), "sigilum-authz-notify auth status");
    }
    std::fs::write(&file, token).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o602)).unwrap();
    let output = env.run(["watch", "--check"]).output();
    assert!(output.stderr.contains("others may write to it"), "{}", output.stderr);
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    of(Some(-3_600), Some(-7_200), None);
    let id = "cl_0000000100000000000000001";
    let api = Api::start(&env.secret());
    api.add_claim(
        "alice",
        json!({"claim_id": id, "service": "mail", "status": "approved"}),
    );
    env.login().args(["--api-url", &api.url()]).expect(0);
    let approval = |age: i64| {
        let approval = json!({"claim_id": id, "namespace": "alice", "api": api.url(), "until": now - age});
        let list = json!({"approvals": [approval]});
        env.write(".openclaw/.sigilum/approvals.json", list.to_string());
    };
    approval(300);
    env.run(["watch", "--check"]).expect(0);
    approval(3_600);
    let output = env.run(["watch", "--check"]).expect(1);
    let says = format!("error: the approval of {id} was to be taken back 1 h");
    assert!(output.stderr.contains(&says), "{}", output.stderr);
    let step = format!("sigilum-authz-notify authz revoke {id} --namespace alice");
    assert_eq!(output.step(), step);
    env.carry_out(&output).at_a_terminal("y\n");
    assert_eq!(api.claim(id).unwrap()["status"], "revoked");
    env.run(["watch", "--check"]).expect(0);
}

#[test]
fn whatever_has_the_watchers_lock_without_a_name_is_waited_out() {
    let env = TestEnv::new();
    env.login().expect(0);
    let lock = FileLock::try_acquire(&env.sigilum("watch.lock"), None)
        .unwrap()
        .unwrap();
    lock.write(b"").unwrap();
    let told = env.run(["watch"]).expect(8);
    assert_eq!(told.step(), "end it where it runs; or leave the home to it");
    drop(lock);
    assert_eq!(env.watch().stop(), 0);
}

#[test]
fn a_look_at_a_home_that_is_not_there_fails() {
    let env = TestEnv::new();
    let output = env
        .run(["watch", "--once", "--openclaw-home"])
        .args([env.home().join("gone")])
        .expect(1);
    let says = " openclaw onboard; or name the one that is there, with --openclaw-home <folder>\n";
    assert!(output.stderr.ends_with(says), "{}", output.stderr);
    let told = env.run(["watch", "--once"]).expect(1);
    assert!(told.stderr.ends_with(says), "{}", told.stderr);
    let openclaw = r#"#!/bin/sh
[ "$1" = onboard ] && mkdir -m 700 "$HOME/.openclaw" && echo '{}' >"$HOME/.openclaw/openclaw.json"
"#;
    let openclaw = env.write("bin/openclaw", openclaw);
    std::fs::set_permissions(openclaw, PermissionsExt::from_mode(0o700)).unwrap();
    env.carry_out(&told).expect(0);
    env.run(["watch", "--once"]).expect(0);
}

/// Of all of a person's homes those count where somebody is logged in.
#[test]
fn a_home_without_a_login_is_passed_over_among_all() {
    let env = TestEnv::new();
    let other = env.home().join(".openclaw-other");
    env.login()
        .args(["--openclaw-home".as_ref(), other.as_os_str()])
        .expect(0);
    let none = env.run(["watch", "--check", "--all"]).expect(1);
    assert!(none.stderr.contains("no watcher serves this home: "), "{}", none.stderr);
    let mut watcher = Watcher::start(env.run(["watch", "--all"]));
    assert!(wait_until(|| env.run(["watch", "--check", "--all"]).output().code == 0));
    let told = env.run(["watch", "--check", "--all"]).expect(0).stdout;
    assert_eq!(watcher.stop(), 0);
    let passed = format!(
        "nobody is logged in, nothing to watch: {}\nwatched, next renewal ",
        env.openclaw().display()
    );
    assert!(told.starts_with(&passed), "{told}");
    // One that is asked about by its name is to be watched.
    env.run(["watch", "--check"]).expect(1);
    // An approval that a logout left is not passed over.
    env.login().expect(0);
    let api = Api::start(&env.secret());
    let id = "cl_0000000100000000000000001";
    let approved = json!({"claim_id": id, "service": "mail", "status": "approved"});
    api.add_claim("alice", approved);
    env.login().args(["--api-url", &api.url()]).expect(0);
    env.run(["auth", "logout"]).expect(0);
    let approval = json!({"claim_id": id, "namespace": "alice", "api": api.url(), "until": 1});
    let list = json!({"approvals": [approval]});
    env.write(".openclaw/.sigilum/approvals.json", list.to_string());
    let told = env.run(["watch", "--check", "--all"]).expect(1);
    let says = format!("error: the approval of {id} was to be taken back ");
    assert!(told.stderr.starts_with(&says), "{}", told.stderr);
    env.carry_out(&told).at_a_terminal("y\n");
    assert_eq!(api.claim(id).unwrap()["status"], "revoked");
}

/// Of several homes the step names the one that it is for; a watcher is started for all that were asked about.
#[test]
fn of_several_homes_each_step_names_its_own() {
    let env = TestEnv::new();
    let other = env.home().join(".openclaw-other");
    let other = other.to_str().unwrap();
    let api = Api::start("another's secret, of 32 bytes and more");
    let both = [
        "watch",
        "--check",
        "--openclaw-home",
        env.openclaw().to_str().unwrap(),
        "--openclaw-home",
        other,
    ]
    .map(str::to_owned);
    let log_in = ["auth", "login", "--mode", "oss-local", "--print-token", "false"];
    for name in ["alice", "carol"] {
        let run = env.run(log_in).args(["--openclaw-home", other, "--namespace", name]);
        run.args(["--api-url", &api.url()])
            .env("JWT_SECRET", "another's secret, of 32 bytes and more")
            .expect(0);
    }
    env.login().expect(0);
    let carols = env.run(["auth", "switch", "alice", "--openclaw-home", other]);
    carols.expect(0);
    let all = ["watch", "--check", "--all"].map(str::to_owned);
    let home = env.openclaw();
    let both_homes = format!(" --openclaw-home {} --openclaw-home {other}", home.display());
    let unit = env.home().join(".config/systemd/user/sigilum-authz-notify.service");
    // First one of them runs, then none.
    let mut first = Some(env.watch());
    for (asked, flags) in [
        (&both[..], format!(" --openclaw-home {other}")),
        (&all, format!(" --openclaw-home {other}")),
        (&both, both_homes),
        (&all, " --all".to_owned()),
    ] {
        let told = env.run(asked).env("PATH", "/nowhere").expect(1);
        let step = format!("sigilum-authz-notify watch{flags}; it runs until it is stopped, so ");
        assert!(told.step().starts_with(&step), "{}", told.stderr);
        let mut watcher = Watcher::start(env.shell(&format!("exec {}", command_of(told.step()))));
        assert!(wait_until(|| env.run(asked).output().code == 0));
        watcher.stop();
        let told = env.run(asked).env("PATH", env.manager("exit 1")).expect(1);
        assert_eq!(told.step(), format!("sigilum-authz-notify watch --install-unit{flags}"));
        if cfg!(target_os = "linux") {
            env.carry_out(&told).expect(0);
            let unit = std::fs::read_to_string(&unit).unwrap();
            assert!(unit.contains(&format!(" watch{flags}")), "{unit}");
            // The watcher that was started by hand is no unit's.
            env.run(["watch", "--remove-unit", "--all"]).expect(0);
        }
        if asked.len() == 3 {
            first = None;
        }
    }
    assert!(first.is_none());
    let _first = env.watch();
    let _second = Watcher::start(env.run(["watch", "--openclaw-home", other]));
    assert!(wait_until(|| env.run(&both).output().code == 0));
    let id = "cl_0000000100000000000000001";
    let approved = json!({"claim_id": id, "service": "mail", "status": "approved"});
    api.add_claim("carol", approved);
    let approval = json!({"claim_id": id, "namespace": "carol", "api": "https://elsewhere.example", "until": 1});
    let list = json!({ "approvals": [approval] }).to_string();
    env.write(format!("{other}/.sigilum/approvals.json"), list);
    let told = env.run(&both).expect(1);
    let step = format!("sigilum-authz-notify authz revoke {id} --namespace carol --openclaw-home {other}");
    assert_eq!(told.step(), step);
    env.carry_out(&told).at_a_terminal("y\n");
    assert_eq!(api.claim(id).unwrap()["status"], "revoked");
    // A home that is not there is made, and not another one.
    let openclaw = "#!/bin/sh\n[ \"$1\" = onboard ] && mkdir -m 700 \"$OPENCLAW_STATE_DIR\"\n";
    let openclaw = env.write("bin/openclaw", openclaw);
    std::fs::set_permissions(openclaw, PermissionsExt::from_mode(0o700)).unwrap();
    let gone = env.home().join("a third");
    let flags = ["--openclaw-home", other, "--openclaw-home", gone.to_str().unwrap()];
    let told = env.run(["watch", "--once"]).args(flags).expect(1);
    env.carry_out(&told).expect(0);
    assert!(gone.is_dir());
}
