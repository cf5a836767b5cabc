//! Tables: each state has its action, its line and its next wake-up.

use super::{HOUR, RULES, START_S, WITH_COMMAND, at, entry, id, owned, snapshot, token, with};
use sigilum_authz_notify::mode::Mode;
use sigilum_authz_notify::token::lifetime::MAX_JITTER;
use sigilum_authz_notify::token::times::TimeFault;
use sigilum_authz_notify::watch::planner::{
    Action, By, Config, Entry, InConfig, LogEvent, Memory, Now, Plan, Record, Snapshot, Stored, Token, plan,
};

fn fresh_memory() -> Memory {
    Memory::new(1, b"/home/alice/.openclaw")
}

fn renew(by: By, replaces: Option<u8>) -> Option<Action> {
    Some(Action::Renew {
        by,
        replaces: replaces.map(id),
    })
}

/// One look at a state, by a watcher that has just started, a minute after the start.
#[test]
fn each_state_has_its_action() {
    use InConfig::{Garbage, Reference, Unset};
    use Mode::{Managed, OssLocal};
    let good = || Stored::Token(token(1, 0, HOUR));
    let due = || Stored::Token(token(1, -HOUR, 120));
    let expired = || Stored::Token(token(1, -HOUR, 0));
    let same = || InConfig::Token(token(1, 0, HOUR));
    let older = || InConfig::Token(token(2, -10, HOUR));
    let newer = || InConfig::Token(token(2, 10, HOUR));
    let bobs = || {
        InConfig::Token(Token {
            namespace: "bob".to_owned(),
            ..token(2, 10, HOUR)
        })
    };
    let signature_invalid = || {
        InConfig::Token(Token {
            signature_invalid: true,
            ..token(2, 10, HOUR)
        })
    };
    let from_future = || InConfig::Token(token(2, 40 * HOUR, 80 * HOUR));
    let not_held = |token| {
        Config::Entry(Entry {
            on: true,
            holds_token: false,
            token,
        })
    };
    let put = Some(Action::Put(id(1)));
    let store = Some(Action::Store(id(2)));
    let sign = renew(By::Signing, Some(1));
    let cases: Vec<(&str, Snapshot, Option<Action>)> = vec![
        ("all is well", snapshot(entry(true, same()), good()), None),
        ("no entry", snapshot(Config::NoEntry, good()), None),
        ("no entry, token due", snapshot(Config::NoEntry, due()), sign.clone()),
        ("config deleted", snapshot(Config::Missing, good()), None),
        (
            "config deleted, token due",
            snapshot(Config::Missing, due()),
            sign.clone(),
        ),
        ("config broken", snapshot(Config::Broken("line 1".into()), good()), None),
        (
            "config broken, token due",
            snapshot(Config::Broken("line 1".into()), due()),
            sign.clone(),
        ),
        (
            "no entry, no record",
            with(snapshot(Config::NoEntry, Stored::Missing), |s| s.owner = None),
            None,
        ),
        ("on, token missing", snapshot(entry(true, Unset), good()), put.clone()),
        (
            "on, garbage for a token",
            snapshot(entry(true, Garbage), good()),
            put.clone(),
        ),
        ("on, ${…}", snapshot(entry(true, Reference), good()), None),
        (
            "on, ${…}, token due",
            snapshot(entry(true, Reference), due()),
            sign.clone(),
        ),
        ("on, older token", snapshot(entry(true, older()), good()), put.clone()),
        (
            "on, another's token",
            snapshot(entry(true, bobs()), good()),
            put.clone(),
        ),
        (
            "on, a token that our secret refutes",
            snapshot(entry(true, signature_invalid()), good()),
            put.clone(),
        ),
        (
            "on, a token from the future",
            snapshot(entry(true, from_future()), good()),
            put.clone(),
        ),
        ("on, newer token", snapshot(entry(true, newer()), good()), store.clone()),
        (
            "off, newer token",
            snapshot(entry(false, newer()), good()),
            store.clone(),
        ),
        (
            "off, token in",
            snapshot(entry(false, same()), good()),
            Some(Action::TakeOut),
        ),
        (
            "off, another's token in",
            snapshot(entry(false, bobs()), good()),
            Some(Action::TakeOut),
        ),
        (
            "off, garbage in",
            snapshot(entry(false, Garbage), good()),
            Some(Action::TakeOut),
        ),
        ("off, ${…}", snapshot(entry(false, Reference), good()), None),
        ("off, token out", snapshot(entry(false, Unset), good()), None),
        (
            "off, token out, due",
            snapshot(entry(false, Unset), due()),
            sign.clone(),
        ),
        ("token not in config", snapshot(not_held(Unset), good()), None),
        (
            "token not in config, due",
            snapshot(not_held(Unset), due()),
            sign.clone(),
        ),
        (
            "token not in config, but there",
            snapshot(not_held(same()), good()),
            Some(Action::TakeOut),
        ),
        (
            "token not in config, newer there",
            snapshot(not_held(newer()), good()),
            store.clone(),
        ),
        (
            "due: renewed before it is put",
            snapshot(entry(true, Unset), due()),
            sign.clone(),
        ),
        ("expired", snapshot(entry(true, Unset), expired()), sign.clone()),
        (
            "expired, newer in config",
            snapshot(entry(true, newer()), expired()),
            store.clone(),
        ),
        (
            "file deleted",
            snapshot(entry(true, same()), Stored::Missing),
            renew(By::Signing, None),
        ),
        (
            "file deleted, none in config",
            snapshot(entry(true, Unset), Stored::Missing),
            renew(By::Signing, None),
        ),
        (
            "file is garbage, good one in config",
            snapshot(entry(true, newer()), Stored::Garbage),
            store.clone(),
        ),
        (
            "file is garbage",
            snapshot(entry(true, Unset), Stored::Garbage),
            renew(By::Signing, None),
        ),
        (
            "never logged in, token pasted into config",
            owned(snapshot(entry(true, newer()), Stored::Missing), Managed, Record::None),
            store.clone(),
        ),
        (
            "logged out",
            owned(snapshot(entry(true, Unset), Stored::Missing), OssLocal, Record::None),
            None,
        ),
        (
            "token file of the shell scripts, no record",
            owned(snapshot(entry(true, Unset), good()), OssLocal, Record::None),
            put.clone(),
        ),
        (
            "local API moved",
            owned(snapshot(entry(true, same()), good()), OssLocal, Record::Moved),
            Some(Action::Adopt),
        ),
        (
            "local API moved, token due",
            owned(snapshot(entry(true, same()), due()), OssLocal, Record::Moved),
            sign,
        ),
        (
            "other API",
            owned(
                snapshot(entry(true, Unset), good()),
                OssLocal,
                Record::Other { here: false },
            ),
            None,
        ),
        (
            "other API, off",
            owned(
                snapshot(entry(false, same()), good()),
                OssLocal,
                Record::Other { here: false },
            ),
            Some(Action::TakeOut),
        ),
        (
            "other API, new token pasted into config",
            owned(
                snapshot(entry(true, newer()), good()),
                Managed,
                Record::Other { here: false },
            ),
            store,
        ),
        (
            "made managed and local again",
            owned(
                snapshot(entry(true, Unset), good()),
                OssLocal,
                Record::Other { here: true },
            ),
            renew(By::Signing, None),
        ),
        (
            "managed, no command, due",
            owned(snapshot(entry(true, Unset), due()), Managed, Record::Same),
            put,
        ),
        (
            "managed, no command, deleted",
            owned(snapshot(entry(true, same()), Stored::Missing), Managed, Record::Same),
            None,
        ),
        (
            "read-only config",
            with(snapshot(entry(true, Unset), good()), |s| {
                s.read_only = Some("OPENCLAW_NIX_MODE".into())
            }),
            None,
        ),
        (
            "read-only config, due",
            with(snapshot(entry(true, Unset), due()), |s| {
                s.read_only = Some("OPENCLAW_NIX_MODE".into())
            }),
            renew(By::Signing, Some(1)),
        ),
    ];
    for (name, snapshot, expected) in cases {
        assert_eq!(
            plan(&snapshot, &mut fresh_memory(), at(60), &RULES).action,
            expected,
            "{name}"
        );
    }
    let commanded: Vec<(&str, Snapshot, Option<Action>)> = vec![
        (
            "due",
            owned(snapshot(entry(true, Unset), due()), Managed, Record::Same),
            renew(By::Command, Some(1)),
        ),
        (
            "not due",
            owned(snapshot(entry(true, same()), good()), Managed, Record::Same),
            None,
        ),
        (
            "deleted",
            owned(snapshot(entry(true, same()), Stored::Missing), Managed, Record::Same),
            renew(By::Command, None),
        ),
        (
            "other API",
            owned(
                snapshot(entry(true, Unset), good()),
                Managed,
                Record::Other { here: false },
            ),
            renew(By::Command, None),
        ),
        (
            "oss-local signs all the same",
            snapshot(entry(true, Unset), due()),
            renew(By::Signing, Some(1)),
        ),
        (
            "logged out",
            owned(snapshot(entry(true, Unset), Stored::Missing), Managed, Record::None),
            None,
        ),
    ];
    for (name, snapshot, expected) in commanded {
        let planned = plan(&snapshot, &mut fresh_memory(), at(60), &WITH_COMMAND);
        assert_eq!(planned.action, expected, "with a token command: {name}");
    }
}

#[test]
fn it_sleeps_until_the_token_is_due() {
    let snapshot = snapshot(
        entry(true, InConfig::Token(token(1, 0, HOUR))),
        Stored::Token(token(1, 0, HOUR)),
    );
    let mut memory = fresh_memory();
    let planned = plan(&snapshot, &mut memory, at(60), &RULES);
    let wait = planned.wait(at(60)).unwrap();
    let left = |jitter: f64| ((HOUR - 60) * 1000) as f64 - 1_200_000.0 * (1.0 + jitter);
    assert!((left(MAX_JITTER)..=left(0.0)).contains(&(wait as f64)), "{wait}");
    let just_before = Now {
        wall: at(60).wall + wait - 1,
        steady: at(60).steady + wait - 1,
    };
    assert_eq!(plan(&snapshot, &mut memory, just_before, &RULES).action, None);
    let then = Now {
        wall: just_before.wall + 1,
        steady: just_before.steady + 1,
    };
    assert_eq!(
        plan(&snapshot, &mut memory, then, &RULES).action,
        renew(By::Signing, Some(1))
    );
}

fn warnings(plan: &Plan) -> Vec<&LogEvent> {
    plan.log_events.iter().filter(|line| line.is_warning()).collect()
}

#[test]
fn a_managed_token_without_a_command_is_reminded_of_four_times() {
    let stored = token(1, 0, 7 * 24 * HOUR);
    let snapshot = owned(
        snapshot(entry(true, InConfig::Token(stored.clone())), Stored::Token(stored)),
        Mode::Managed,
        Record::Same,
    );
    let mut memory = fresh_memory();
    let mut now = at(0);
    let mut told = Vec::new();
    loop {
        let planned = plan(&snapshot, &mut memory, now, &RULES);
        for line in warnings(&planned) {
            match line {
                LogEvent::Expires { in_seconds } => told.push(*in_seconds),
                other => panic!("{other:?}"),
            }
        }
        let Some(wait) = planned.wait(now) else { break };
        assert!(wait > 0);
        now = Now {
            wall: now.wall + wait,
            steady: now.steady + wait,
        };
    }
    assert_eq!(told, [24 * HOUR, 6 * HOUR, HOUR, 0]);
    assert!(plan(&snapshot, &mut memory, now, &RULES).overdue);

    // Started when three of them are past already: one line, for the nearest.
    let late = plan(&snapshot, &mut fresh_memory(), at(7 * 24 * HOUR - 600), &RULES);
    assert_eq!(warnings(&late), [&LogEvent::Expires { in_seconds: 600 }]);
}

#[test]
fn a_token_from_another_time_is_renewed_or_told_of_once() {
    let milliseconds = START_S * 999;
    for (iat, exp, fault) in [
        (301, 7 * 24 * HOUR, TimeFault::FromFuture),
        (87_660 * HOUR, 87_828 * HOUR, TimeFault::FromFuture),
        (0, milliseconds, TimeFault::Milliseconds),
        (milliseconds, milliseconds + 1, TimeFault::Milliseconds),
        (0, 87_841 * HOUR, TimeFault::TooLong),
        (-START_S, i64::MAX - START_S, TimeFault::NoDate),
    ] {
        let stored = token(1, iat, exp);
        let local = snapshot(entry(true, InConfig::Token(stored.clone())), Stored::Token(stored));
        let managed = owned(local.clone(), Mode::Managed, Record::Same);
        let signed = plan(&local, &mut fresh_memory(), at(0), &RULES);
        assert_eq!(
            (signed.action, signed.due),
            (renew(By::Signing, Some(1)), None),
            "{fault:?}"
        );
        let asked = plan(&managed, &mut fresh_memory(), at(0), &WITH_COMMAND);
        assert_eq!(asked.action, renew(By::Command, Some(1)), "{fault:?}");
        // Nobody can renew it: told once.
        let mut memory = fresh_memory();
        let told = plan(&managed, &mut memory, at(0), &RULES);
        assert_eq!(warnings(&told), [&LogEvent::WrongTimes { fault }], "{fault:?}");
        assert!(told.overdue && told.due.is_none() && told.action.is_none(), "{fault:?}");
        assert_eq!(
            warnings(&plan(&managed, &mut memory, at(1), &RULES)).len(),
            0,
            "{fault:?}"
        );
    }
}

#[test]
fn a_broken_config_is_told_once_when_it_stays_broken() {
    let stored = token(1, 0, HOUR);
    let broken = snapshot(
        Config::Broken("bad at line 3 column 7".into()),
        Stored::Token(stored.clone()),
    );
    let fine = snapshot(entry(true, InConfig::Token(stored.clone())), Stored::Token(stored));
    let mut memory = fresh_memory();
    plan(&fine, &mut memory, at(0), &RULES);
    let first = plan(&broken, &mut memory, at(1), &RULES);
    assert!(first.log_events.is_empty(), "{:?}", first.log_events);
    let wait = first.wait(at(1)).unwrap();
    assert!(wait <= 1000);
    let second = plan(&broken, &mut memory, at(2), &RULES);
    assert!(matches!(&second.log_events[..], [LogEvent::ConfigBroken { why }] if why.contains("line 3 column 7")));
    assert!(plan(&broken, &mut memory, at(3), &RULES).log_events.is_empty());
    assert_eq!(
        plan(&fine, &mut memory, at(4), &RULES).log_events,
        [LogEvent::ConfigMended]
    );
    // Half-written for a moment only: nothing to tell.
    plan(&broken, &mut memory, at(5), &RULES);
    let at_once = Now {
        wall: at(5).wall + 20,
        steady: at(5).steady + 20,
    };
    assert!(plan(&fine, &mut memory, at_once, &RULES).log_events.is_empty());
}

#[test]
fn failures_are_retried_later_and_later_and_told_once() {
    let snapshot = snapshot(entry(true, InConfig::Unset), Stored::Token(token(1, -HOUR, 0)));
    let mut memory = fresh_memory();
    let mut now = at(60);
    let mut waits = Vec::new();
    let mut told = 0;
    for _ in 0..14 {
        let planned = plan(&snapshot, &mut memory, now, &RULES);
        let action = planned.action.expect("it is tried again when it is time");
        let why = format!("the lock is held by process {}", 1000 + waits.len());
        told += usize::from(memory.failed(&action, &why, now).is_some());
        let waiting = plan(&snapshot, &mut memory, now, &RULES);
        assert_eq!(waiting.action, None);
        assert!(waiting.overdue);
        let wait = waiting.wait(now).unwrap();
        waits.push(wait);
        now = Now {
            wall: now.wall + wait,
            steady: now.steady + wait,
        };
    }
    assert_eq!(told, 1);
    assert!(waits.iter().all(|wait| (1_000..=300_000).contains(wait)), "{waits:?}");
    assert!(
        waits[0] < 1_500 && waits[4] > waits[1] && *waits.last().unwrap() >= 225_000,
        "{waits:?}"
    );
    // Another reason is a new state; the clock set forward tries at once.
    let action = plan(&snapshot, &mut memory, now, &RULES).action.unwrap();
    assert!(memory.failed(&action, "no secret", now).is_some());
    now.wall += 3_600_000;
    assert_eq!(plan(&snapshot, &mut memory, now, &RULES).action.as_ref(), Some(&action));
    memory.done(&action, Some(id(2)), now);
    let renewed = with(snapshot, |snapshot| {
        let iat = now.wall / 1000 - START_S;
        snapshot.file = Stored::Token(token(2, iat, iat + HOUR));
    });
    let planned = plan(&renewed, &mut memory, now, &RULES);
    assert!(
        planned.log_events.contains(&LogEvent::Recovered { action }),
        "{:?}",
        planned.log_events
    );
}

#[test]
fn a_command_that_prints_tokens_that_are_due_already_is_not_run_in_a_loop() {
    let mut memory = fresh_memory();
    let mut now = at(0);
    let mut runs = 0;
    let mut n = 1;
    while now.steady < 600_000 {
        let seconds = now.steady / 1000;
        let stored = token(n, seconds - HOUR, seconds + 600);
        let snapshot = owned(
            snapshot(entry(false, InConfig::Unset), Stored::Token(stored)),
            Mode::Managed,
            Record::Same,
        );
        let planned = plan(&snapshot, &mut memory, now, &WITH_COMMAND);
        match planned.action {
            Some(action) => {
                runs += 1;
                n += 1;
                memory.done(&action, Some(id(n)), now);
            }
            None => {
                let wait = planned.wait(now).unwrap().max(1);
                now = Now {
                    wall: now.wall + wait,
                    steady: now.steady + wait,
                };
            }
        }
    }
    assert!((5..=14).contains(&runs), "{runs} runs in ten minutes");
}

#[test]
fn who_keeps_undoing_gets_three_conflicts_a_minute() {
    let stored = token(1, 0, 100 * HOUR);
    let undone = snapshot(entry(true, InConfig::Unset), Stored::Token(stored));
    let mut memory = fresh_memory();
    let mut now = at(0);
    let (mut writes, mut told) = (Vec::new(), 0);
    // Undone the moment it is written, for an hour.
    while now.steady < HOUR * 1000 {
        let planned = plan(&undone, &mut memory, now, &RULES);
        told += warnings(&planned).len();
        match planned.action {
            Some(action) => {
                writes.push(now.steady);
                memory.done(&action, None, now);
            }
            None => {
                let wait = planned.wait(now).unwrap();
                assert!(wait > 0);
                now = Now {
                    wall: now.wall + wait,
                    steady: now.steady + wait,
                };
            }
        }
    }
    for (i, first) in writes.iter().enumerate() {
        let in_minute = writes[i..].iter().filter(|at| **at < first + 60_000).count();
        // The first write of all is no conflict.
        assert!(
            in_minute <= if i == 0 { 4 } else { 3 },
            "{in_minute} writes in a minute"
        );
    }
    assert!(writes.windows(2).all(|pair| pair[1] - pair[0] >= 2_000));
    assert!((20..=60).contains(&writes.len()), "{} writes in an hour", writes.len());
    assert_eq!(told, 1, "one warning");
    // A renewal is a cause of its own: it is written in the midst of a pause.
    let renewed = with(undone, |snapshot| {
        snapshot.file = Stored::Token(token(2, 3000, 100 * HOUR))
    });
    assert_eq!(
        plan(&renewed, &mut memory, now, &RULES).action,
        Some(Action::Put(id(2)))
    );
}

#[test]
fn a_logout_is_not_undone_where_it_could_not_write_the_config() {
    let stored = token(1, 0, HOUR);
    let logged_in = snapshot(
        entry(true, InConfig::Token(stored.clone())),
        Stored::Token(stored.clone()),
    );
    let logged_out = owned(
        snapshot(entry(true, InConfig::Token(stored)), Stored::Missing),
        Mode::OssLocal,
        Record::None,
    );
    let mut memory = fresh_memory();
    assert_eq!(plan(&logged_in, &mut memory, at(1), &RULES).action, None);
    let planned = plan(&logged_out, &mut memory, at(2), &RULES);
    assert_eq!(planned.action, None);
    assert!(planned.log_events.contains(&LogEvent::LoggedOut));
    // A new token pasted into the config is another matter.
    let pasted = with(logged_out, |snapshot| {
        snapshot.config = entry(true, InConfig::Token(token(2, 2, HOUR)))
    });
    assert_eq!(
        plan(&pasted, &mut memory, at(3), &RULES).action,
        Some(Action::Store(id(2)))
    );
}
