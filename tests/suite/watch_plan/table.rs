//! Tables: each state has its action, its line and its next wake-up.

use super::{HOUR, RULES, START_S, WITH_COMMAND, at, chosen, entry, id, managed, nobodys, snapshot, token, with};
use sigilum_authz_notify::authz::timed::TimedApproval;
use sigilum_authz_notify::error::ExitCode;
use sigilum_authz_notify::token::lifetime::MAX_JITTER;
use sigilum_authz_notify::token::times::TimeFault;
use sigilum_authz_notify::watch::planner::{
    Action, By, Config, Entry, InConfig, LogEvent, Memory, Now, Plan, Rules, Snapshot, Stored, Token, Unreadable, plan,
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

fn good() -> Stored {
    Stored::Token(token(1, 0, HOUR))
}

fn due() -> Stored {
    Stored::Token(token(1, -HOUR, 120))
}

fn expired() -> Stored {
    Stored::Token(token(1, -HOUR, 0))
}

fn same() -> InConfig {
    InConfig::Token(token(1, 0, HOUR))
}

fn older() -> InConfig {
    InConfig::Token(token(2, -10, HOUR))
}

fn newer() -> InConfig {
    InConfig::Token(token(2, 10, HOUR))
}

fn bobs() -> InConfig {
    InConfig::Token(Token {
        namespace: "bob".to_owned(),
        ..token(2, 10, HOUR)
    })
}

fn read_only(snapshot: Snapshot) -> Snapshot {
    with(snapshot, |snapshot| {
        snapshot.read_only = Some("OPENCLAW_NIX_MODE".into())
    })
}

/// An entry that is on, holds no token, and is otherwise as `change` has it.
fn changed(change: impl FnOnce(&mut Entry)) -> Config {
    match entry(true, InConfig::Unset) {
        Config::Entry(mut entry) => {
            change(&mut entry);
            Config::Entry(entry)
        }
        other => other,
    }
}

fn check(rules: &Rules, cases: Vec<(&str, Snapshot, Option<Action>)>) {
    for (name, snapshot, expected) in cases {
        assert_eq!(
            plan(&snapshot, &mut fresh_memory(), at(60), rules).action,
            expected,
            "{name}"
        );
    }
}

/// One look at a state, by a watcher that has just started, a minute after the start.
#[test]
fn each_state_of_the_token_file_has_its_action() {
    use InConfig::{Reference, Unset};
    let sign = || renew(By::Signing, Some(1));
    let anew = || renew(By::Signing, None);
    let broken = || Config::Broken("line 1".into());
    check(
        &RULES,
        vec![
            ("all is well", snapshot(entry(true, same()), good()), None),
            ("no entry, due", snapshot(Config::NoEntry, due()), sign()),
            ("config deleted, due", snapshot(Config::Missing, due()), sign()),
            ("config broken, due", snapshot(broken(), due()), sign()),
            ("on, ${…}, due", snapshot(entry(true, Reference), due()), sign()),
            ("off, due", snapshot(entry(false, Unset), due()), sign()),
            (
                "token kept out, due",
                chosen(Some(false), snapshot(entry(true, Unset), due())),
                sign(),
            ),
            (
                "another API, due",
                snapshot(changed(|entry| entry.api_url = None), due()),
                sign(),
            ),
            (
                "read-only config, due",
                read_only(snapshot(entry(true, Unset), due())),
                sign(),
            ),
            (
                "due: renewed before it is put",
                snapshot(entry(true, Unset), due()),
                sign(),
            ),
            ("expired", snapshot(entry(true, Unset), expired()), sign()),
            (
                "expired, newer in config",
                snapshot(entry(true, newer()), expired()),
                sign(),
            ),
            ("deleted", snapshot(entry(true, same()), Stored::Missing), anew()),
            (
                "deleted, none in config",
                snapshot(entry(true, Unset), Stored::Missing),
                anew(),
            ),
            ("garbage", snapshot(entry(true, Unset), Stored::Garbage), anew()),
            (
                "garbage, good one in config",
                snapshot(entry(true, newer()), Stored::Garbage),
                anew(),
            ),
            (
                "managed, no command, due",
                managed(snapshot(entry(true, same()), due())),
                None,
            ),
            (
                "managed, no command, deleted",
                managed(snapshot(entry(true, same()), Stored::Missing)),
                None,
            ),
            (
                "nobody is logged in",
                nobodys(snapshot(entry(true, Unset), Stored::Missing)),
                None,
            ),
            (
                "nobody, token in config",
                nobodys(snapshot(entry(true, newer()), Stored::Missing)),
                None,
            ),
            (
                "nobody, no entry",
                nobodys(snapshot(Config::NoEntry, Stored::Missing)),
                None,
            ),
        ],
    );
    check(
        &WITH_COMMAND,
        vec![
            (
                "due",
                managed(snapshot(entry(true, Unset), due())),
                renew(By::Command, Some(1)),
            ),
            ("not due", managed(snapshot(entry(true, same()), good())), None),
            (
                "deleted",
                managed(snapshot(entry(true, same()), Stored::Missing)),
                renew(By::Command, None),
            ),
            (
                "oss-local signs all the same",
                snapshot(entry(true, Unset), due()),
                sign(),
            ),
            ("nobody is logged in", managed_by_nobody(), None),
        ],
    );
}

fn managed_by_nobody() -> Snapshot {
    nobodys(managed(snapshot(entry(true, InConfig::Unset), Stored::Missing)))
}

#[test]
fn the_token_is_put_into_an_entry_that_is_on_and_as_recorded_and_into_no_other() {
    use InConfig::{Garbage, Unset};
    let put = || Some(Action::Put(id(1)));
    let on = |token| snapshot(entry(true, token), good());
    let off = |token| snapshot(entry(false, token), good());
    let from_future = InConfig::Token(token(2, 40 * HOUR, 80 * HOUR));
    let expired_newer = InConfig::Token(token(2, 10, 30));
    check(
        &RULES,
        vec![
            ("none there", on(Unset), put()),
            ("garbage", on(Garbage), put()),
            ("older", on(older()), put()),
            ("another's", on(bobs()), put()),
            ("from the future", on(from_future), put()),
            ("issued later, but expired", on(expired_newer), put()),
            (
                "managed, no command, due",
                managed(snapshot(entry(true, Unset), due())),
                put(),
            ),
            ("nobody chose, older", chosen(None, on(older())), None),
            ("nobody chose, another's", chosen(None, on(bobs())), None),
            ("the same", on(same()), None),
            ("no entry", snapshot(Config::NoEntry, good()), None),
            ("config deleted", snapshot(Config::Missing, good()), None),
            ("config broken", snapshot(Config::Broken("line 1".into()), good()), None),
            ("off, none there", off(Unset), None),
            ("off, garbage", off(Garbage), None),
            ("off, ${…}", off(InConfig::Reference), None),
            ("kept out, none there", chosen(Some(false), on(Unset)), None),
            ("kept out, garbage", chosen(Some(false), on(Garbage)), None),
            ("nobody chose, none there", chosen(None, on(Unset)), None),
            ("nobody chose, garbage", chosen(None, on(Garbage)), None),
            ("nobody chose, ${…}", chosen(None, on(InConfig::Reference)), None),
            (
                "expired, nobody renews",
                managed(snapshot(entry(true, Unset), expired())),
                None,
            ),
        ],
    );
}

/// Where nobody chose, whoever edits openclaw.json gets no token by putting one of their own there.
#[test]
fn where_nobody_chose_the_stored_token_follows_only_itself() {
    let forged = || InConfig::Token(token(7, 5, 9 * HOUR));
    let fine = || (entry(true, same()), good());
    let replaced = |config| (config, Stored::Token(token(3, 30, HOUR)));
    let put = Some(Action::Put(id(3)));
    // what is seen look by look, and what the last one does
    type Life<'a> = (&'a str, Vec<(Config, Stored)>, &'a Option<Action>);
    let lives: Vec<Life<'_>> = vec![
        ("renewed", vec![fine(), replaced(entry(true, same()))], &put),
        (
            "renewed while the config was broken",
            vec![
                fine(),
                replaced(Config::Broken("line 1".into())),
                replaced(entry(true, same())),
            ],
            &put,
        ),
        (
            "the file is gone for a while",
            vec![
                fine(),
                (entry(true, same()), Stored::Missing),
                replaced(entry(true, same())),
            ],
            &put,
        ),
        ("forged", vec![fine(), replaced(entry(true, forged()))], &None),
        ("never ours", vec![replaced(entry(true, same()))], &None),
        (
            "taken out, and an old one put back",
            vec![
                fine(),
                (entry(true, InConfig::Unset), good()),
                replaced(entry(true, same())),
            ],
            &None,
        ),
        (
            "forged meanwhile",
            vec![fine(), replaced(entry(true, forged())), replaced(entry(true, same()))],
            &None,
        ),
        (
            "the entry was gone",
            vec![fine(), (Config::NoEntry, good()), replaced(entry(true, same()))],
            &None,
        ),
    ];
    for (name, looks, expected) in lives {
        let mut memory = fresh_memory();
        let actions = looks.into_iter().map(|(config, file)| {
            plan(
                &chosen(None, managed(snapshot(config, file))),
                &mut memory,
                at(60),
                &RULES,
            )
            .action
        });
        assert_eq!(&actions.last().unwrap(), expected, "{name}");
    }
}

#[test]
fn whatever_else_differs_is_said_once_with_the_command_that_settles_it() {
    let on = |token| snapshot(entry(true, token), good());
    let off = |token| snapshot(entry(false, token), good());
    let unlike = |change: fn(&mut Entry)| snapshot(changed(change), good());
    let named = |named: &str, recorded: &str| format!("names {named}, the login {recorded:?}; the login counts");
    let api = |name: &str| named(name, "http://127.0.0.1:8787");
    let (while_off, kept_out) = (
        "the hook is off, and openclaw.json still holds",
        "holds the owner token, which is to be",
    );
    let newer_there =
        "issued later than the stored one; to store it: sigilum-authz-notify auth login --owner-token-stdin";
    let unchosen = "another than the stored one, and nobody chose whether one is to be there";
    let choose = "auth login --mode oss-local --namespace alice --token-in-config false";
    let switch = "to write the entry as recorded: sigilum-authz-notify auth switch alice";
    let cases: Vec<(&str, Snapshot, String, &str)> = vec![
        (
            "another API",
            unlike(|entry| entry.api_url = Some("https://elsewhere.example".into())),
            api("the API \"https://elsewhere.example\""),
            switch,
        ),
        (
            "another port",
            unlike(|entry| entry.api_url = Some("http://127.0.0.1:38911".into())),
            api("the API \"http://127.0.0.1:38911\""),
            switch,
        ),
        ("no API", unlike(|entry| entry.api_url = None), api("no API"), switch),
        (
            "another mode",
            unlike(|entry| entry.mode = Some("managed".into())),
            named("the mode \"managed\"", "oss-local"),
            switch,
        ),
        (
            "another namespace",
            unlike(|entry| entry.namespace = Some("bob".into())),
            named("the namespace \"bob\"", "alice"),
            switch,
        ),
        (
            "kept out, another API",
            chosen(Some(false), unlike(|entry| entry.api_url = None)),
            api("no API"),
            switch,
        ),
        (
            "kept out, there",
            chosen(Some(false), on(same())),
            kept_out.into(),
            switch,
        ),
        (
            "kept out, another there",
            chosen(Some(false), on(newer())),
            "another than the stored one".into(),
            switch,
        ),
        ("off, there", off(same()), while_off.into(), switch),
        ("off, newer there", off(newer()), while_off.into(), switch),
        ("off, another's there", off(bobs()), while_off.into(), switch),
        ("newer", on(newer()), newer_there.into(), switch),
        (
            "nobody chose, newer",
            chosen(None, on(newer())),
            unchosen.into(),
            choose,
        ),
        (
            "nobody chose, older",
            chosen(None, on(older())),
            unchosen.into(),
            choose,
        ),
        (
            "nobody chose, another's",
            chosen(None, on(bobs())),
            unchosen.into(),
            choose,
        ),
        (
            "nobody chose, managed",
            chosen(None, managed(on(older()))),
            unchosen.into(),
            "auth login --mode managed --namespace alice --owner-token-stdin --token-in-config false",
        ),
        (
            "no entry",
            snapshot(Config::NoEntry, good()),
            "no entry for the hook".into(),
            "to write it: sigilum-authz-notify hook install",
        ),
        (
            "${…}",
            on(InConfig::Reference),
            "is filled in by OpenClaw (${…})".into(),
            "left alone",
        ),
        (
            "in an included file",
            unlike(|entry| entry.closed = Some("it is included".into())),
            "the owner token is not written into openclaw.json".into(),
            "it is included",
        ),
        (
            "read-only",
            read_only(on(InConfig::Unset)),
            "openclaw.json is not written".into(),
            "OPENCLAW_NIX_MODE is set",
        ),
    ];
    let fine = on(same());
    for (name, snapshot, what, settled_by) in cases {
        let mut memory = fresh_memory();
        let told = |memory: &mut Memory, snapshot: &Snapshot, now| {
            let planned = plan(snapshot, memory, at(now), &RULES);
            assert_eq!(planned.action, None, "{name}");
            let lines = planned.log_events.into_iter();
            lines
                .filter(|line| line.line(false).contains(&what))
                .collect::<Vec<_>>()
        };
        let [line] = &told(&mut memory, &snapshot, 60)[..] else {
            panic!("{name}: not one line with {what:?}");
        };
        assert_eq!(line.is_warning, name != "${…}", "{name}");
        assert!(line.line(false).contains(settled_by), "{name}: {}", line.text);
        assert_eq!(told(&mut memory, &snapshot, 70), [], "{name}: said twice");
        // A config that is gone for a while is no new state, one that was put right is.
        let gone = with(snapshot.clone(), |snapshot| snapshot.config = Config::Missing);
        assert_eq!(told(&mut memory, &gone, 80), [], "{name}");
        assert_eq!(told(&mut memory, &snapshot, 90), [], "{name}: said twice");
        assert_eq!(told(&mut memory, &fine, 100), [], "{name}");
        assert_eq!(
            told(&mut memory, &snapshot, 110).len(),
            1,
            "{name}: not said of the next time"
        );
        // Of another home than the default one, the command says which.
        let elsewhere = with(snapshot, |snapshot| {
            snapshot.flags = " --openclaw-home /elsewhere".to_owned()
        });
        let [line] = &told(&mut fresh_memory(), &elsewhere, 60)[..] else {
            panic!("{name}: not one line");
        };
        let commands = line.text.matches("sigilum-authz-notify ").count();
        assert_eq!(
            line.text.matches(" --openclaw-home /elsewhere").count(),
            commands,
            "{name}: {}",
            line.text
        );
    }
    // An entry that goes is missed even where nobody chose to have the token in it; one that never was is not.
    for (before, lines) in [(Some(chosen(None, fine)), 1), (None, 0)] {
        let mut memory = fresh_memory();
        before.map(|before| plan(&before, &mut memory, at(50), &RULES));
        let without = chosen(None, snapshot(Config::NoEntry, good()));
        let planned = plan(&without, &mut memory, at(60), &RULES);
        let gone = |line: &&LogEvent| line.text.contains("has no entry for the hook");
        assert_eq!(planned.log_events.iter().filter(gone).count(), lines);
    }
}

#[test]
fn a_home_without_a_record_is_told_which_login_makes_it_ours() {
    type Change = fn(&mut Entry);
    let cases: [(Change, &str, Option<&str>); 5] = [
        (|_| {}, "auth login --namespace alice --mode oss-local", None),
        (
            |entry| entry.api_url = Some("http://127.0.0.1:9797".into()),
            "auth login --namespace alice --mode oss-local",
            Some("http://127.0.0.1:9797"),
        ),
        (
            |entry| entry.mode = Some("x; rm -rf ~".into()),
            "auth login --namespace alice",
            Some("http://127.0.0.1:8787"),
        ),
        (
            |entry| entry.namespace = Some("$(id)".into()),
            "auth login --mode oss-local",
            None,
        ),
        (
            |entry| (entry.namespace, entry.mode, entry.api_url) = (None, None, None),
            "auth login",
            None,
        ),
    ];
    for (change, command, api_url) in cases {
        let seen = nobodys(snapshot(changed(change), Stored::Missing));
        let mut memory = fresh_memory();
        let planned = plan(&seen, &mut memory, at(60), &RULES);
        let [line] = &planned.log_events[..] else {
            panic!("{:?}", planned.log_events);
        };
        let text = &line.text;
        let end = api_url.map_or_else(String::new, |url| {
            format!(" (the entry names the API {url:?}: with --api-url, if it is yours)")
        });
        assert!(
            line.is_warning && text.ends_with(&format!("sigilum-authz-notify {command}{end}")),
            "{text}"
        );
        assert!(plan(&seen, &mut memory, at(70), &RULES).log_events.is_empty());
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

fn warnings(plan: &Plan) -> Vec<&str> {
    let warnings = plan.log_events.iter().filter(|line| line.is_warning);
    warnings.map(|line| line.text.as_str()).collect()
}

fn expires(when: &str) -> String {
    format!("the owner token {when}; get a new one: sigilum-authz-notify auth refresh --owner-token-stdin")
}

#[test]
fn a_managed_token_without_a_command_is_told_of_at_the_start_and_reminded_of_four_times() {
    let stored = token(1, 0, 7 * 24 * HOUR);
    let snapshot = managed(snapshot(
        entry(true, InConfig::Token(stored.clone())),
        Stored::Token(stored),
    ));
    let mut memory = fresh_memory();
    let mut now = at(0);
    let mut told = Vec::new();
    let start = plan(&snapshot, &mut memory, now, &RULES);
    assert_eq!(
        warnings(&start),
        [
            "nothing renews this owner token, which expires 2027-01-22T08:00:00Z: give the watcher a command that \
          prints a fresh one (SIGILUM_OWNER_TOKEN_COMMAND), or before then: sigilum-authz-notify auth refresh \
          --owner-token-stdin"
        ]
    );
    loop {
        let planned = plan(&snapshot, &mut memory, now, &RULES);
        assert_eq!(planned.due, None, "nothing renews it");
        told.extend(warnings(&planned).into_iter().map(str::to_owned));
        let Some(wait) = planned.wait(now) else { break };
        assert!(wait > 0);
        now = Now {
            wall: now.wall + wait,
            steady: now.steady + wait,
        };
    }
    assert_eq!(
        told,
        ["expires in 1 d", "expires in 6 h", "expires in 1 h", "has expired"].map(expires)
    );
    assert!(plan(&snapshot, &mut memory, now, &RULES).overdue);

    // Started when three of them are past already: one line, for the nearest.
    let late = plan(&snapshot, &mut fresh_memory(), at(7 * 24 * HOUR - 600), &RULES);
    assert_eq!(warnings(&late), [expires("expires in 10 min")]);
}

#[test]
fn a_token_from_another_time_is_renewed_or_told_of_once() {
    let milliseconds = START_S * 999;
    for (iat, exp, fault) in [
        (301, 7 * 24 * HOUR, TimeFault::FromFuture),
        (87_660 * HOUR, 87_828 * HOUR, TimeFault::FromFuture),
        (0, milliseconds, TimeFault::Unit("milliseconds")),
        (milliseconds, milliseconds + 1, TimeFault::Unit("milliseconds")),
        (0, 87_841 * HOUR, TimeFault::TooLong),
        (-START_S, i64::MAX - START_S, TimeFault::NoDate),
    ] {
        let stored = token(1, iat, exp);
        let local = snapshot(entry(true, InConfig::Token(stored.clone())), Stored::Token(stored));
        let managed = managed(local.clone());
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
        let remedy = "get a new one: sigilum-authz-notify auth refresh --owner-token-stdin";
        assert_eq!(warnings(&told), [format!("{fault}; {remedy}")]);
        assert!(told.overdue && told.due.is_none() && told.action.is_none(), "{fault:?}");
        assert_eq!(
            warnings(&plan(&managed, &mut memory, at(0), &RULES)).len(),
            0,
            "{fault:?}"
        );
    }
}

#[test]
fn what_is_broken_is_told_once_when_it_stays_broken() {
    let stored = token(1, 0, HOUR);
    let fine = snapshot(
        entry(true, InConfig::Token(stored.clone())),
        Stored::Token(stored.clone()),
    );
    let config = Snapshot {
        config: Config::Broken("bad at line 3 column 7".into()),
        ..fine.clone()
    };
    // Of a record that cannot be read nothing else is said: nobody knows whether somebody is logged in.
    let record = Snapshot {
        owner: None,
        file: Stored::Missing,
        unreadable: Some(Unreadable {
            why: "bad at line 3 column 7".into(),
            code: ExitCode::Failure,
        }),
        ..fine.clone()
    };
    for (broken, what) in [(config, "openclaw.json"), (record, "the record of the login")] {
        let mut memory = fresh_memory();
        plan(&fine, &mut memory, at(0), &RULES);
        let first = plan(&broken, &mut memory, at(1), &RULES);
        assert!(first.log_events.is_empty(), "{:?}", first.log_events);
        let wait = first.wait(at(1)).unwrap();
        assert!(wait <= 1000);
        let second = plan(&broken, &mut memory, at(2), &RULES);
        assert!(matches!(&warnings(&second)[..], [line] if line.contains("line 3 column 7")));
        assert!(plan(&broken, &mut memory, at(3), &RULES).log_events.is_empty());
        let mended = plan(&fine, &mut memory, at(4), &RULES).log_events;
        let again = format!("{what} can be read again");
        assert!(
            matches!(&mended[..], [line] if !line.is_warning && line.text == again),
            "{mended:?}"
        );
        // Half-written for a moment only: nothing to tell.
        plan(&broken, &mut memory, at(5), &RULES);
        let at_once = Now {
            wall: at(5).wall + 20,
            steady: at(5).steady + 20,
        };
        assert!(plan(&fine, &mut memory, at_once, &RULES).log_events.is_empty());
    }
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
        planned
            .log_events
            .iter()
            .any(|line| line.text == format!("{action} works again")),
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
        let snapshot = managed(snapshot(entry(false, InConfig::Unset), Stored::Token(stored)));
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
    let logged_in = snapshot(entry(true, same()), good());
    let logged_out = nobodys(snapshot(entry(true, same()), Stored::Missing));
    let mut memory = fresh_memory();
    assert_eq!(plan(&logged_in, &mut memory, at(1), &RULES).action, None);
    let planned = plan(&logged_out, &mut memory, at(2), &RULES);
    assert_eq!(planned.action, None);
    assert!(matches!(&warnings(&planned)[..], [line] if line.starts_with("nobody is logged in here")));
    // Nor is a new token in the config a login.
    let pasted = nobodys(snapshot(entry(true, newer()), Stored::Missing));
    assert_eq!(plan(&pasted, &mut memory, at(3), &RULES).action, None);
}

fn approval(id: &str, until: i64) -> TimedApproval {
    TimedApproval {
        claim_id: id.to_owned(),
        namespace: "alice".to_owned(),
        api: "http://127.0.0.1:8787".to_owned(),
        until: START_S + until,
    }
}

fn approved(approvals: &[TimedApproval]) -> Snapshot {
    with(snapshot(entry(true, same()), good()), |snapshot| {
        snapshot.approvals = Ok(approvals.to_vec());
    })
}

#[test]
fn approvals_are_taken_back_when_their_time_is_over() {
    let (over, later) = (approval("cl_over", 60), approval("cl_later", 61));
    let take = |approval: &TimedApproval| Some(Action::TakeBack(approval.clone()));
    let due_too = with(approved(std::slice::from_ref(&over)), |snapshot| snapshot.file = due());
    check(
        &RULES,
        vec![
            ("over", approved(&[later.clone(), over.clone()]), take(&over)),
            ("not yet", approved(std::slice::from_ref(&later)), None),
            ("the token first", due_too, renew(By::Signing, Some(1))),
            (
                "nobody is logged in",
                nobodys(approved(std::slice::from_ref(&over))),
                None,
            ),
        ],
    );
    let mut memory = fresh_memory();
    let planned = plan(&approved(std::slice::from_ref(&later)), &mut memory, at(60), &RULES);
    assert_eq!(planned.wake_wall, Some((START_S + 61) * 1000));
    // One that fails waits, later and later, and does not hold up the others.
    let mut memory = fresh_memory();
    let (other, both) = (
        approval("cl_other", 10),
        approved(&[over.clone(), approval("cl_other", 10)]),
    );
    let line = memory.failed(&Action::TakeBack(over.clone()), "no answer", at(60));
    assert_eq!(
        line.unwrap().line(false),
        "taking back the approval cl_over failed: no answer; trying again in 1 s"
    );
    assert_eq!(plan(&both, &mut memory, at(60), &RULES).action, take(&other));
    memory.failed(&Action::TakeBack(other.clone()), "no answer", at(60));
    let planned = plan(&both, &mut memory, at(60), &RULES);
    assert_eq!(planned.action, None);
    assert!(
        planned.wait(at(60)).is_some_and(|wait| (1..2_000).contains(&wait)),
        "{planned:?}"
    );
    assert!(!planned.overdue, "the token is not");
    assert_eq!(plan(&both, &mut memory, at(62), &RULES).action, take(&over));
    // A list that cannot be read is told of once; the token is kept all the same.
    let unreadable = with(approved(&[]), |snapshot| snapshot.approvals = Err("broken".into()));
    let mut memory = fresh_memory();
    let texts = |plan: Plan| -> Vec<String> { plan.log_events.into_iter().map(|line| line.text).collect() };
    let first = texts(plan(&unreadable, &mut memory, at(60), &RULES));
    assert!(
        first.contains(&"no approval is taken back: broken".to_owned()),
        "{first:?}"
    );
    assert_eq!(texts(plan(&unreadable, &mut memory, at(61), &RULES)), [] as [&str; 0]);
}
