//! `watch` as a process: one a home, signals, `--once`, its log, its status, service managers.

use crate::env;

use env::TestEnv;
use env::watching::{CONFIG, Watcher, managed_token, token, wait_until};
use rustix::process::Signal;
use sigilum_authz_notify::env::Env;
use sigilum_authz_notify::error::ExitCode;
use sigilum_authz_notify::home::OpenClawHome;
use sigilum_authz_notify::watch::planner::Now;
use sigilum_authz_notify::watch::{self, Clock, Homes, Options, SystemClock};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

fn home(ttl: u32) -> TestEnv {
    let env = TestEnv::new();
    env.write_config(CONFIG);
    env.log_in(ttl);
    env
}

fn place(env: &TestEnv) -> OpenClawHome {
    OpenClawHome::at(env.openclaw())
}

fn status(env: &TestEnv) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(env.sigilum("watch-status.json")).unwrap()).unwrap()
}

#[test]
fn a_home_has_one_watcher() {
    let env = home(100_000);
    let mut watcher = env.watch();
    for args in [&["watch"][..], &["watch", "--once"], &["watch", "--all"]] {
        let output = env.run(args).expect(8);
        let holder = format!("process {}", watcher.pid());
        assert!(output.stderr.contains(&holder), "{args:?}: {}", output.stderr);
    }
    let error = watch::start(Options::new(Homes::Listed(vec![place(&env)]), &Env::default())).unwrap_err();
    assert_eq!(error.code, ExitCode::AnotherWatcher);
    assert_eq!(watcher.stop(), 0);
    // In a thread of another program, as `serve --stdio` has it.
    let watching = watch::start(Options::new(Homes::Listed(vec![place(&env)]), &Env::default())).unwrap();
    env.run(["watch"]).expect(8);
    let stored = env.stored().unwrap();
    env.change_config(&stored, "");
    assert!(wait_until(|| env.in_config().as_ref() == Some(&stored)));
    let begun = Instant::now();
    drop(watching);
    assert!(begun.elapsed() < Duration::from_secs(1));
    env.run(["watch", "--once"]).expect(0);
}

#[test]
fn a_lock_that_another_watcher_has_is_not_tried_at_every_event() {
    let env = TestEnv::new();
    let mut watcher = watch::Watcher::new(Options::new(Homes::Listed(vec![place(&env)]), &Env::default())).unwrap();
    watcher.step();
    env.write_config(CONFIG);
    env.log_in(100_000);
    let other = env.watch();
    // Found, tried, and not tried again: trying makes an event of its own.
    let mut waits = Vec::new();
    for _ in 0..40 {
        waits.push(watcher.step());
        std::thread::sleep(Duration::from_millis(25));
    }
    let last = &waits[waits.len() - 4..];
    assert!(last.iter().all(|wait| *wait >= Duration::from_secs(10)), "{waits:?}");
    let output = env.run(["watch", "--once"]).expect(8);
    assert!(
        output.stderr.contains(&format!("process {}", other.pid())),
        "{}",
        output.stderr
    );
}

/// As on a full disk: the file that is begun and given up is an event of its own.
#[test]
fn a_status_that_cannot_be_written_is_not_tried_again_and_again() {
    let env = home(100_000);
    std::fs::create_dir(env.sigilum("watch-status.json")).unwrap();
    let mut watcher = watch::Watcher::new(Options::new(Homes::Listed(vec![place(&env)]), &Env::default())).unwrap();
    let mut waits = Vec::new();
    for _ in 0..40 {
        waits.push(watcher.step());
        std::thread::sleep(Duration::from_millis(25));
    }
    let last = &waits[waits.len() - 4..];
    assert!(last.iter().all(|wait| *wait >= Duration::from_secs(10)), "{waits:?}");
    // There is room again: with whatever happens next.
    std::fs::remove_dir(env.sigilum("watch-status.json")).unwrap();
    let is_written = || env.sigilum("watch-status.json").is_file();
    assert!(wait_until(|| {
        watcher.step();
        is_written()
    }));
}

#[test]
fn signals() {
    for signal in [Signal::TERM, Signal::INT] {
        let env = home(100_000);
        let mut watcher = env.watch();
        assert!(env.sigilum("watch-status.json").exists());
        watcher.signal(signal);
        let (code, took) = watcher.end();
        assert_eq!(code, 0);
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert!(!env.sigilum("watch-status.json").exists());
        assert_eq!(watcher.count("stopped"), 1);
    }
    let env = home(100_000);
    let mut watcher = env.watch();
    watcher.signal(Signal::HUP);
    watcher.wait_for("looking at everything again");
    assert_eq!(watcher.stop(), 0);
}

#[test]
fn it_ends_in_a_second_while_a_token_command_runs() {
    let env = TestEnv::new();
    env.write_config(CONFIG);
    env.log_in_managed(2);
    let command = "sh -c 'echo $$ > running; sleep 60'";
    let mut watcher = Watcher::spawn(env.run(["watch", "--token-command", command]));
    let pid = || std::fs::read_to_string(env.home().join("running")).unwrap_or_default();
    assert!(wait_until(|| !pid().is_empty()), "{}", watcher.log().join("\n"));
    let child: u32 = pid().trim().parse().unwrap();
    watcher.signal(Signal::TERM);
    let (code, took) = watcher.end();
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(wait_until(
        || sigilum_authz_notify::process::life(child) == sigilum_authz_notify::process::Life::Dead
    ));
}

#[test]
fn it_ends_in_a_second_while_locks_are_held() {
    let env = home(4);
    let lock = env.openclaw().join("openclaw.json.lock");
    let holder = serde_json::json!({"pid": std::process::id(), "createdAt": "2026-11-22T06:20:37.017Z"});
    std::fs::write(&lock, holder.to_string()).unwrap();
    let mut watcher = env.watch();
    watcher.wait_for("renewed the owner token");
    watcher.signal(Signal::TERM);
    let (code, took) = watcher.end();
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(lock.exists());
}

#[test]
fn once_does_what_is_due_and_says_whether_it_could() {
    let env = home(100_000);
    let stored = env.stored().unwrap();
    env.run(["watch", "--once"]).expect(0);
    assert_eq!(env.stored().as_ref(), Some(&stored));
    assert!(!env.sigilum("watch-status.json").exists());

    // A record of ours that cannot be read is not openclaw.json's fault.
    let record = std::fs::read(env.sigilum("hook.json")).unwrap();
    std::fs::write(env.sigilum("hook.json"), "{").unwrap();
    let output = env.run(["watch", "--once"]).expect(1);
    assert!(
        output.stderr.contains("could not read the hook's record"),
        "{}",
        output.stderr
    );
    assert!(!output.stderr.contains("openclaw.json"), "{}", output.stderr);
    std::fs::write(env.sigilum("hook.json"), record).unwrap();

    let env = home(6);
    let stored = env.stored().unwrap();
    std::thread::sleep(Duration::from_millis(4_100));
    let output = env.run(["watch", "--once"]).expect(0);
    assert!(output.stderr.contains("renewed the owner token"), "{}", output.stderr);
    assert_ne!(env.stored().as_ref(), Some(&stored));
    assert_eq!(env.stored(), env.in_config());

    // No secret any more.
    std::thread::sleep(Duration::from_millis(3_100));
    std::fs::remove_file(env.sigilum("jwt-secret")).unwrap();
    let output = env.run(["watch", "--once"]).expect(7);
    assert!(output.stderr.contains("JWT_SECRET"), "{}", output.stderr);

    let env = TestEnv::new();
    let api = env.managed_api();
    env.log_in_managed_at(&api, 2);
    std::thread::sleep(Duration::from_millis(1_500));
    env.run(["watch", "--once"]).expect(4);
    let fresh = managed_token("alice", 1_000);
    env.run(["watch", "--once"])
        .env("SIGILUM_OWNER_TOKEN_COMMAND", format!("echo {fresh}"))
        .expect(0);
    assert_eq!(
        (env.stored().as_ref(), env.in_config().as_ref()),
        (Some(&fresh), Some(&fresh))
    );

    // One that would lose to the copy of the old one in openclaw.json, and be thrown out again. An expired copy has no
    // say.
    for claims in [
        serde_json::json!({"namespace": "alice", "iat": env::now() - 5_000, "exp": env::now() + 90_000}),
        serde_json::json!({"namespace": "alice", "iat": null, "exp": env::now() + 90_000}),
    ] {
        let older = env::api::token("only Sigilum knows", claims);
        for (age, refused) in [(900, true), (1_001, false)] {
            let env = TestEnv::new();
            let api = env.managed_api();
            let stored = token("only Sigilum knows", "alice", age, 1_000);
            env.change_config(&env.log_in_managed_at(&api, 1_000), &stored);
            env.write(".openclaw/.sigilum/owner-token-alice.jwt", &stored);
            let command = format!("echo {older}");
            let output = env.run(["watch", "--once", "--token-command", &command]);
            let output = output.expect(if refused { 4 } else { 0 });
            assert_eq!(
                output.stderr.contains("the token command printed one that"),
                refused,
                "{}",
                output.stderr
            );
            assert_ne!(
                output.stderr.contains(" renewed the owner token"),
                refused,
                "{}",
                output.stderr
            );
            let expected = if refused { &stored } else { &older };
            assert_eq!(env.stored().as_ref(), Some(expected));
            assert_eq!(env.in_config().as_ref(), Some(expected));
            if refused {
                let step = "see that the token command asks for a fresh token each time";
                assert_eq!(env::command_of(output.step()), step);
                let command = format!("echo {}", managed_token("alice", 1_000));
                env.run(["watch", "--once", "--token-command", &command]).expect(0);
            }
        }
    }

    let env = TestEnv::new();
    env.run(["watch", "--once"]).expect(1);
    assert!(!env.openclaw().exists(), "it makes nothing");
    env.write_config("{ oops");
    let output = env.run(["watch", "--once"]).expect(3);
    assert!(output.stderr.contains("line 1"), "{}", output.stderr);
}

#[test]
fn bad_options_are_refused() {
    let env = TestEnv::new();
    for args in [
        &["--renew-at", "0"][..],
        &["--renew-at", "1"],
        &["--renew-at", "nan"],
        &["--token-command", "'open"],
        &["--all", "--openclaw-home", "x"],
    ] {
        env.run(["watch", "--once"]).args(args).expect(2);
    }
    env.write_config("{}");
    env.run(["watch", "--once"]).env("RUST_LOG", "watch=loud").expect(2);
}

#[test]
fn a_config_that_must_not_be_written_is_not_while_the_token_is_renewed() {
    let env = home(3);
    let config = std::fs::read(env.config()).unwrap();
    let watcher = Watcher::start(env.run(["watch"]).env("OPENCLAW_NIX_MODE", "1"));
    watcher.wait_for_times("renewed the owner token", 2);
    assert_eq!(watcher.count("OPENCLAW_NIX_MODE is set"), 1);
    assert_eq!(std::fs::read(env.config()).unwrap(), config);
}

#[test]
fn the_log_is_lines_of_text_or_json_and_can_be_filtered() {
    let env = home(3);
    let watcher = Watcher::start(env.run(["watch", "--log-format", "json"]));
    watcher.wait_for("put the owner token");
    for line in watcher.log() {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(line["timestamp"].is_string() && line["level"].is_string() && line["message"].is_string());
    }
    let put = watcher
        .log()
        .into_iter()
        .find(|line| line.contains("put the owner token"))
        .unwrap();
    let put: serde_json::Value = serde_json::from_str(&put).unwrap();
    assert_eq!(put["home"], env.openclaw().to_str().unwrap());
    drop(watcher);
    let stored = env.stored().unwrap();
    let quiet = Watcher::spawn(env.run(["watch"]).env("RUST_LOG", "warn"));
    env.wait_for_token_other_than(&stored);
    assert_eq!(quiet.log(), Vec::<String>::new());
}

#[test]
fn the_status_file_tells_how_it_goes() {
    let env = home(100_000);
    let watcher = env.watch();
    assert_eq!(env::mode(env.sigilum("watch-status.json")), 0o600);
    let told = status(&env);
    assert_eq!(told["pid"], watcher.pid());
    let home = &told["homes"][0];
    assert_eq!(home["namespace"], "alice");
    let (due, expires) = (
        home["next_due_at"].as_str().unwrap(),
        home["expires_at"].as_str().unwrap(),
    );
    assert!(due < expires, "{due} {expires}");
    let text = env
        .run(["auth", "status", "--json", "--namespace", "alice"])
        .expect(0)
        .stdout;
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(shown["watch"]["running"], true);
    assert_eq!(shown["watch"]["homes"][0]["next_due_at"], home["next_due_at"]);
    drop(watcher);
    let place = place(&env);
    assert!(
        !watch::status::read(&place).unwrap().running,
        "killed: its status stays, but it does not run"
    );
}

#[test]
fn systemd_is_told_that_it_is_ready_and_alive() {
    let env = home(100_000);
    let path = env.home().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let heard = || {
        let mut buffer = [0; 256];
        let count = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..count].to_vec()).unwrap()
    };
    let mut watcher = Watcher::spawn(
        env.run(["watch"])
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "1000000"),
    );
    assert!(heard().starts_with("READY=1\n"));
    let begun = Instant::now();
    assert_eq!(
        (heard(), heard(), heard()),
        ("WATCHDOG=1".into(), "WATCHDOG=1".into(), "WATCHDOG=1".into())
    );
    let took = begun.elapsed();
    assert!(
        (Duration::from_millis(1_300)..Duration::from_millis(5_000)).contains(&took),
        "{took:?}"
    );
    watcher.signal(Signal::TERM);
    assert!(wait_until(|| heard() == "STOPPING=1"));
    assert_eq!(watcher.end().0, 0);
}

#[test]
fn units_name_the_program_and_the_homes() {
    let env = home(100_000);
    let unit = env
        .run(["watch", "--print-unit", "systemd", "--renew-at", "0.25"])
        .expect(0)
        .stdout;
    let lines: Vec<&str> = unit.lines().collect();
    let home = env.openclaw().display().to_string();
    for line in [
        format!("ExecStart={} watch --openclaw-home {home} --renew-at 0.25", env::BINARY),
        "Type=notify".to_owned(),
        "WatchdogSec=90".to_owned(),
        "NoNewPrivileges=yes".to_owned(),
    ] {
        assert!(lines.contains(&line.as_str()), "no {line} in\n{unit}");
    }
    // In a user's manager the first ones need a user namespace: where that is forbidden (Ubuntu 24.04) nothing starts. Under
    // the others the `openclaw` that it starts does not run, or a token command may not.
    for start in [
        "Private",
        "Protect",
        "ReadWritePaths",
        "CapabilityBoundingSet",
        "MemoryDenyWriteExecute",
        "SystemCallFilter",
        "RestrictNamespaces",
    ] {
        let found = lines.iter().find(|line| line.starts_with(start));
        assert_eq!(found, None, "{unit}");
    }

    let all = env
        .run([
            "watch",
            "--print-unit",
            "systemd",
            "--all",
            "--token-command",
            "get '100%' $x",
        ])
        .expect(0)
        .stdout;
    assert!(
        all.contains(" watch --all --token-command \"get '100%%' $$x\"\n"),
        "{all}"
    );
    let agent = env
        .run(["watch", "--print-unit", "launchd", "--token-command", "a <b> & \"c\""])
        .expect(0)
        .stdout;
    assert!(
        agent.contains("<string>a &lt;b&gt; &amp; &quot;c&quot;</string>"),
        "{agent}"
    );
    assert!(agent.contains(&format!("<string>{home}</string>")), "{agent}");
    assert!(!env.sigilum("watch.lock").exists(), "printing a unit watches nothing");
}

/// The system's clocks, of which the wall clock can be moved.
#[derive(Default)]
struct MovedClock {
    system: SystemClock,
    moved_ms: AtomicI64,
}

impl Clock for MovedClock {
    fn now(&self) -> Now {
        let now = self.system.now();
        Now {
            wall: now.wall + self.moved_ms.load(Ordering::Relaxed),
            ..now
        }
    }
}

#[test]
fn a_clock_that_is_set_or_a_machine_that_slept_makes_tokens_due() {
    let env = home(3_600);
    let clock = Arc::new(MovedClock::default());
    let options = Options {
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        seed: Some(1),
        ..Options::new(Homes::Listed(vec![place(&env)]), &Env::default())
    };
    let mut watcher = watch::Watcher::new(options).unwrap();
    let first = env.stored().unwrap();
    assert!(
        watcher.step() <= Duration::from_secs(20),
        "it never sleeps for long: a clock may be set"
    );
    // Nothing but the clock changes: what is found is found at the next wake-up.
    let mut stored_after = |moved_seconds: i64| {
        clock.moved_ms.fetch_add(moved_seconds * 1000, Ordering::Relaxed);
        watcher.step();
        std::thread::sleep(Duration::from_millis(2_100));
        watcher.step();
        assert_eq!(env.stored(), env.in_config());
        env.stored().unwrap()
    };
    assert_eq!(stored_after(1_800), first, "half its life is left");
    assert_eq!(stored_after(-2_000), first, "set back to just before it was issued");
    assert_eq!(stored_after(2_000), first, "and forward again");
    let early = stored_after(-7_200);
    assert_ne!(early, first, "set back: this one is from the future");
    let later = stored_after(7_200);
    assert_ne!(later, early, "and forward again: that one has expired");
    let second = stored_after(2_800);
    assert_ne!(second, later, "due");
    let third = stored_after(100_000);
    assert_ne!(
        third, second,
        "expired long ago, for a clock set forward or a long sleep"
    );
    assert_ne!(stored_after(-100_000), third, "from the future");
}

#[test]
fn a_token_that_expired_long_ago_is_renewed_at_the_start() {
    let env = home(1);
    std::thread::sleep(Duration::from_millis(1_500));
    let stored = env.stored().unwrap();
    let _watcher = env.watch();
    env.wait_for_token_other_than(&stored);
}
