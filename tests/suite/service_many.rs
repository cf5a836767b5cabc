//! Many service commands at once, and service commands that are killed.

use crate::env;

use env::gateway::Fault;
use env::local_api::{number, text};
use env::services::{Desk, SECRET, sha256};
use env::{Run, mode};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[test]
fn fifty_services_from_eight_processes_at_once_are_all_there() {
    let desk = Desk::new();
    let traffic = env::local_api::Traffic::on(&desk.checkout.db());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= 50 {
                        break;
                    }
                    let slug = format!("service-{n}");
                    let gateway = ["--mode", "gateway", "--upstream-base-url", "https://a.test"];
                    let args = if n.is_multiple_of(2) { &gateway[..] } else { &[] };
                    desk.add(&slug, args.iter().copied()).expect(0);
                }
            });
        }
    });
    let counts = traffic.stop();
    assert_eq!(counts.refused_reads, 0, "{counts:?}");
    let db = desk.db();
    assert_eq!(number(&db, "SELECT count(*) FROM services"), 50);
    assert_eq!(number(&db, "SELECT count(*) FROM users"), 1);
    assert_eq!(text(&db, "PRAGMA integrity_check").unwrap(), "ok");
    assert_eq!(desk.gateway.ids().len(), 25);
    for n in 0..50_usize {
        let slug = format!("service-{n}");
        let sql = format!(
            "SELECT key_hash FROM service_api_keys WHERE service_id = 'svc_local_{slug}' AND revoked_at IS NULL"
        );
        assert_eq!(
            text(&db, &sql).unwrap(),
            sha256(&desk.read(&format!("service-api-key-{slug}")))
        );
        if n.is_multiple_of(2) {
            let secret = desk.read(&format!("gateway-connection-secret-{slug}"));
            assert_eq!(desk.gateway.secrets(&slug)["access_token"], secret);
        }
    }
}

#[test]
fn one_service_from_eight_processes_at_once_has_one_key() {
    let desk = Desk::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| desk.add_linear([]).expect(0));
        }
    });
    let db = desk.db();
    assert_eq!(number(&db, "SELECT count(*) FROM service_api_keys"), 1);
    let key = desk.read("service-api-key-linear");
    assert_eq!(
        text(&db, "SELECT key_hash FROM service_api_keys").unwrap(),
        sha256(&key)
    );
    assert_eq!(
        desk.gateway
            .changes()
            .iter()
            .filter(|line| *line == "POST /connections")
            .count(),
        1
    );
}

/// A command that is killed, what was there before, and what must be there after the next run.
struct Job {
    name: &'static str,
    prepare: fn(&Desk),
    run: fn(&Desk) -> Run,
    check: fn(&Desk),
}

const NEW: &str = "a-new-secret-9876543210";

const JOBS: [Job; 5] = [
    Job {
        name: "add",
        prepare: |_| (),
        run: |desk| desk.add_linear([]),
        check: |desk| connection(desk, "https://api.linear.app", SECRET),
    },
    Job {
        name: "add: another base URL",
        prepare: |desk| drop(desk.add_linear([]).expect(0)),
        run: |desk| {
            let args = [
                "--mode",
                "gateway",
                "--upstream-base-url",
                "https://new.linear.app",
                "--upstream-secret-env",
                "NEW",
            ];
            desk.add("linear", args).env("NEW", NEW)
        },
        check: |desk| connection(desk, "https://new.linear.app", NEW),
    },
    Job {
        name: "secret set",
        prepare: |desk| drop(desk.add_linear([]).expect(0)),
        run: |desk| desk.set("linear", ["--upstream-secret-env", "NEW"]).env("NEW", NEW),
        check: |desk| connection(desk, "https://api.linear.app", NEW),
    },
    Job {
        name: "rotate-key",
        prepare: |desk| drop(desk.add_linear([]).expect(0)),
        run: |desk| desk.run(["service", "rotate-key", "linear"]),
        check: |desk| connection(desk, "https://api.linear.app", SECRET),
    },
    Job {
        name: "remove",
        prepare: |desk| drop(desk.add_linear([]).expect(0)),
        run: |desk| desk.run(["service", "remove", "linear", "--yes"]),
        check: |desk| {
            assert_eq!(number(&desk.db(), "SELECT count(*) FROM service_api_keys"), 0);
            assert!(is_removed(desk));
            assert!(desk.files().is_empty(), "{:?}", desk.files());
            assert!(desk.gateway.ids().is_empty());
        },
    },
];

/// Whether the row is gone, which is the last thing of a service to go: then nothing is left to remove.
fn is_removed(desk: &Desk) -> bool {
    number(&desk.db(), "SELECT count(*) FROM services") == 0
}

/// One service with one key that all sides agree on, and one secret.
fn connection(desk: &Desk, url: &str, secret: &str) {
    let key = desk.read("service-api-key-linear");
    let sql = "SELECT group_concat(key_hash) FROM service_api_keys WHERE revoked_at IS NULL";
    assert_eq!(text(&desk.db(), sql).unwrap(), sha256(&key));
    let theirs = std::fs::read_to_string(desk.env.home().join("gateway-home/service-api-key-linear")).unwrap();
    assert_eq!(theirs.trim(), key);
    assert_eq!(desk.gateway.connection("linear").unwrap()["base_url"], url);
    assert_eq!(desk.gateway.secrets("linear")["access_token"], secret);
    assert_eq!(desk.read("gateway-connection-secret-linear"), secret);
    assert_eq!(
        desk.files(),
        ["gateway-connection-secret-linear", "service-api-key-linear"]
    );
}

/// What must hold right after a kill, whenever it came.
fn nothing_broken(desk: &Desk) {
    assert_eq!(text(&desk.db(), "PRAGMA integrity_check").unwrap(), "ok");
    for name in desk.files() {
        assert_eq!(mode(desk.file(&name)), 0o600, "{name}");
        if !name.starts_with('.') {
            let text = std::fs::read_to_string(desk.file(&name)).unwrap();
            assert!(text.ends_with('\n') && text.len() > 10, "{name}: {text:?}");
        }
    }
}

#[test]
fn killed_at_any_request_the_next_run_finishes_the_job() {
    for job in &JOBS {
        let count = {
            let desk = Desk::new();
            (job.prepare)(&desk);
            desk.gateway.seen();
            (job.run)(&desk).expect(0);
            desk.gateway.seen().len()
        };
        assert!(count >= 2, "{}", job.name);
        for request in 0..count {
            for after in [false, true] {
                let desk = Desk::new();
                (job.prepare)(&desk);
                let pid = Arc::new(AtomicU32::new(0));
                desk.gateway.kill(request, after, Arc::clone(&pid));
                let mut child = spawn((job.run)(&desk));
                pid.store(child.id(), Ordering::SeqCst);
                let status = child.wait().unwrap();
                assert!(!status.success(), "{}: request {request} killed nobody", job.name);
                nothing_broken(&desk);
                let code = i32::from(job.name == "remove" && is_removed(&desk));
                let again = (job.run)(&desk).output();
                assert_eq!(
                    again.code, code,
                    "{}: request {request}, after {after}: {again:?}",
                    job.name
                );
                (job.check)(&desk);
            }
        }
    }
}

#[test]
fn killed_at_any_time_the_next_run_finishes_the_job() {
    for job in &JOBS {
        let desk = Desk::new();
        (job.prepare)(&desk);
        let begin = Instant::now();
        (job.run)(&desk).expect(0);
        let whole = begin.elapsed();
        (job.check)(&desk);
        let points = 24;
        let mut killed = 0;
        for point in 0..points {
            let desk = Desk::new();
            (job.prepare)(&desk);
            let mut child = spawn((job.run)(&desk));
            std::thread::sleep(whole * point / points);
            let _ = child.kill();
            killed += u32::from(!child.wait().unwrap().success());
            nothing_broken(&desk);
            let code = i32::from(job.name == "remove" && is_removed(&desk));
            let again = (job.run)(&desk).output();
            assert_eq!(again.code, code, "{}: {point} of {points}: {again:?}", job.name);
            (job.check)(&desk);
        }
        assert!(killed > 0, "{}", job.name);
    }
}

fn spawn(run: Run) -> std::process::Child {
    let mut command = run.into_command();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_command_waits_for_another_one_in_the_same_folder() {
    let desk = Desk::new();
    desk.add("first", []).expect(0);
    desk.gateway
        .fault("POST", "connections", Fault::Slow(Duration::from_millis(400)), 1);
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| desk.add_linear([]).expect(0));
        std::thread::sleep(Duration::from_millis(100));
        desk.add("second", []).expect(0);
        slow.join().unwrap();
    });
    assert_eq!(number(&desk.db(), "SELECT count(*) FROM services"), 3);
}
