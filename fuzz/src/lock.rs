//! The content of OpenClaw's write lock, by whomever it was written.

use super::input::split;
use serde_json::Value;
use sigilum_authz_notify::openclaw::lock::{self, Busy, LockOptions, Verdict};
use sigilum_authz_notify::process::Life;
use std::fs;
use std::time::{Duration, UNIX_EPOCH};

/// Text: the lock's content. Program: the clock, whether the process lives and since when, and whether to try it on
/// the disk.
pub fn check(input: &[u8]) {
    let (bytes, mut program) = split(input);
    let now = Duration::from_secs(program.number() >> 28);
    let started = u64::from(program.byte());
    let life = match program.byte() {
        b'a' => Life::Alive {
            starttime: Some(started),
        },
        b'u' => Life::Alive { starttime: None },
        _ => Life::Dead,
    };
    let asked = std::cell::Cell::new(None);
    let verdict = lock::judge(bytes, UNIX_EPOCH + now, &|pid| {
        asked.set(Some(pid));
        life
    });

    let payload = serde_json::from_slice::<Value>(bytes).ok().filter(Value::is_object);
    let pid = payload.as_ref().and_then(|payload| payload.get("pid"));
    let number = pid
        .and_then(Value::as_u64)
        .filter(|pid| (1..=u64::from(u32::MAX)).contains(pid));
    assert_eq!(asked.get().map(u64::from), number, "another process was asked for");
    let then = payload.as_ref().and_then(|payload| payload["starttime"].as_u64());
    match (&payload, pid, number) {
        (Some(_), Some(_), Some(number)) => {
            let reused = matches!((life, then), (Life::Alive { starttime: Some(now) }, Some(then)) if now != then);
            let expected = if life == Life::Dead || reused {
                Verdict::Reclaim
            } else {
                Verdict::Wait(Busy::Process {
                    pid: number as u32,
                    is_certain: matches!((life, then), (Life::Alive { starttime: Some(_) }, Some(_))),
                })
            };
            assert_eq!(verdict, expected);
        }
        (Some(payload), None, _) => {
            let created = payload["createdAt"].as_str().unwrap_or_default();
            match verdict {
                Verdict::Reclaim | Verdict::Wait(Busy::Nameless) => {
                    assert!(created.contains(|c: char| c.is_ascii_digit()))
                }
                other => unreadable(&other),
            }
        }
        _ => unreadable(&verdict),
    }
    if program.byte() == b'd' {
        on_disk(bytes);
    }
}

/// OpenClaw never takes over such a lock, so neither do we. The reason quotes nothing.
fn unreadable(verdict: &Verdict) {
    let Verdict::Wait(Busy::Unreadable(why)) = verdict else {
        panic!("an unreadable lock: {verdict:?}");
    };
    assert!(why.starts_with("it") && why.len() < 50, "{why}");
}

/// Taken over and given back, or left as it is.
fn on_disk(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("openclaw.json");
    let path = folder.path().join("openclaw.json.lock");
    fs::write(&path, bytes).unwrap();
    match lock::acquire(&config, &LockOptions { tries: 1 }) {
        Ok(held) => {
            let ours: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            assert_eq!(ours["pid"], std::process::id());
            drop(held);
            assert!(!path.exists(), "our lock is left");
        }
        Err(_) => assert_eq!(fs::read(&path).unwrap(), bytes, "another's lock was touched"),
    }
    let left = fs::read_dir(folder.path())
        .unwrap()
        .filter(|file| file.as_ref().unwrap().path() != path);
    assert_eq!(left.count(), 0, "something is left behind");
}
