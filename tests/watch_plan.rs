//! The watcher's planning: a table of states and what is done about them, and random lives of a home with a simulated
//! clock and file system.

use proptest::prelude::*;
use sigilum_authz_notify::cli::Mode;
use sigilum_authz_notify::token::lifetime::{DEFAULT_FRACTION, Lifetime, MAX_JITTER};
use sigilum_authz_notify::watch::line::Line;
use sigilum_authz_notify::watch::memory::Memory;
use sigilum_authz_notify::watch::plan::{
    Action, By, Config, Entry, InConfig, Now, Owner, Plan, Record, Rules, Stored, Token, TokenId, World, plan,
};

const START_S: i64 = 1_800_000_000;
const HOUR: i64 = 3_600;
const RULES: Rules = Rules {
    renew_at: DEFAULT_FRACTION,
    token_command: false,
    once: false,
};
const WITH_COMMAND: Rules = Rules {
    token_command: true,
    ..RULES
};

fn at(seconds: i64) -> Now {
    Now {
        wall: (START_S + seconds) * 1000,
        steady: seconds * 1000,
    }
}

fn id(n: u8) -> TokenId {
    TokenId([n; 8])
}

/// A token of alice's, issued and expiring so many seconds from the start.
fn token(n: u8, iat: i64, exp: i64) -> Token {
    Token {
        id: id(n),
        namespace: "alice".to_owned(),
        iat: Some(START_S + iat),
        exp: Some(START_S + exp),
        refuted: false,
    }
}

fn entry(on: bool, token: InConfig) -> Config {
    Config::Entry(Entry {
        on,
        holds_token: true,
        token,
    })
}

fn world(config: Config, file: Stored) -> World {
    World {
        config,
        owner: Some(Owner {
            namespace: "alice".to_owned(),
            mode: Mode::OssLocal,
            api_url: "http://127.0.0.1:8787".to_owned(),
            record: Record::Same,
        }),
        file,
        read_only: None,
    }
}

fn with(mut world: World, change: impl FnOnce(&mut World)) -> World {
    change(&mut world);
    world
}

fn owned(world: World, mode: Mode, record: Record) -> World {
    with(world, |world| {
        let owner = world.owner.as_mut().unwrap();
        (owner.mode, owner.record) = (mode, record);
    })
}

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
    let refuted = || {
        InConfig::Token(Token {
            refuted: true,
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
    let cases: Vec<(&str, World, Option<Action>)> = vec![
        ("all is well", world(entry(true, same()), good()), None),
        ("no entry", world(Config::NoEntry, good()), None),
        ("no entry, token due", world(Config::NoEntry, due()), sign.clone()),
        ("config deleted", world(Config::Missing, good()), None),
        ("config deleted, token due", world(Config::Missing, due()), sign.clone()),
        ("config broken", world(Config::Broken("line 1".into()), good()), None),
        (
            "config broken, token due",
            world(Config::Broken("line 1".into()), due()),
            sign.clone(),
        ),
        (
            "no entry, no record",
            with(world(Config::NoEntry, Stored::Missing), |w| w.owner = None),
            None,
        ),
        ("on, token missing", world(entry(true, Unset), good()), put.clone()),
        (
            "on, garbage for a token",
            world(entry(true, Garbage), good()),
            put.clone(),
        ),
        ("on, ${…}", world(entry(true, Reference), good()), None),
        (
            "on, ${…}, token due",
            world(entry(true, Reference), due()),
            sign.clone(),
        ),
        ("on, older token", world(entry(true, older()), good()), put.clone()),
        ("on, another's token", world(entry(true, bobs()), good()), put.clone()),
        (
            "on, a token that our secret refutes",
            world(entry(true, refuted()), good()),
            put.clone(),
        ),
        (
            "on, a token from the future",
            world(entry(true, from_future()), good()),
            put.clone(),
        ),
        ("on, newer token", world(entry(true, newer()), good()), store.clone()),
        ("off, newer token", world(entry(false, newer()), good()), store.clone()),
        (
            "off, token in",
            world(entry(false, same()), good()),
            Some(Action::TakeOut),
        ),
        (
            "off, another's token in",
            world(entry(false, bobs()), good()),
            Some(Action::TakeOut),
        ),
        (
            "off, garbage in",
            world(entry(false, Garbage), good()),
            Some(Action::TakeOut),
        ),
        ("off, ${…}", world(entry(false, Reference), good()), None),
        ("off, token out", world(entry(false, Unset), good()), None),
        ("off, token out, due", world(entry(false, Unset), due()), sign.clone()),
        ("token not in config", world(not_held(Unset), good()), None),
        ("token not in config, due", world(not_held(Unset), due()), sign.clone()),
        (
            "token not in config, but there",
            world(not_held(same()), good()),
            Some(Action::TakeOut),
        ),
        (
            "token not in config, newer there",
            world(not_held(newer()), good()),
            store.clone(),
        ),
        (
            "due: renewed before it is put",
            world(entry(true, Unset), due()),
            sign.clone(),
        ),
        ("expired", world(entry(true, Unset), expired()), sign.clone()),
        (
            "expired, newer in config",
            world(entry(true, newer()), expired()),
            store.clone(),
        ),
        (
            "file deleted",
            world(entry(true, same()), Stored::Missing),
            renew(By::Signing, None),
        ),
        (
            "file deleted, none in config",
            world(entry(true, Unset), Stored::Missing),
            renew(By::Signing, None),
        ),
        (
            "file is garbage, good one in config",
            world(entry(true, newer()), Stored::Garbage),
            store.clone(),
        ),
        (
            "file is garbage",
            world(entry(true, Unset), Stored::Garbage),
            renew(By::Signing, None),
        ),
        (
            "never logged in, token pasted into config",
            owned(world(entry(true, newer()), Stored::Missing), Managed, Record::None),
            store.clone(),
        ),
        (
            "logged out",
            owned(world(entry(true, Unset), Stored::Missing), OssLocal, Record::None),
            None,
        ),
        (
            "token file of the shell scripts, no record",
            owned(world(entry(true, Unset), good()), OssLocal, Record::None),
            put.clone(),
        ),
        (
            "local API moved",
            owned(world(entry(true, same()), good()), OssLocal, Record::Moved),
            Some(Action::Adopt),
        ),
        (
            "local API moved, token due",
            owned(world(entry(true, same()), due()), OssLocal, Record::Moved),
            sign,
        ),
        (
            "other API",
            owned(
                world(entry(true, Unset), good()),
                OssLocal,
                Record::Other { here: false },
            ),
            None,
        ),
        (
            "other API, off",
            owned(
                world(entry(false, same()), good()),
                OssLocal,
                Record::Other { here: false },
            ),
            Some(Action::TakeOut),
        ),
        (
            "other API, new token pasted into config",
            owned(
                world(entry(true, newer()), good()),
                Managed,
                Record::Other { here: false },
            ),
            store,
        ),
        (
            "made managed and local again",
            owned(
                world(entry(true, Unset), good()),
                OssLocal,
                Record::Other { here: true },
            ),
            renew(By::Signing, None),
        ),
        (
            "managed, no command, due",
            owned(world(entry(true, Unset), due()), Managed, Record::Same),
            put,
        ),
        (
            "managed, no command, deleted",
            owned(world(entry(true, same()), Stored::Missing), Managed, Record::Same),
            None,
        ),
        (
            "read-only config",
            with(world(entry(true, Unset), good()), |w| {
                w.read_only = Some("OPENCLAW_NIX_MODE".into())
            }),
            None,
        ),
        (
            "read-only config, due",
            with(world(entry(true, Unset), due()), |w| {
                w.read_only = Some("OPENCLAW_NIX_MODE".into())
            }),
            renew(By::Signing, Some(1)),
        ),
    ];
    for (name, world, expected) in cases {
        assert_eq!(
            plan(&world, &mut fresh_memory(), at(60), &RULES).action,
            expected,
            "{name}"
        );
    }
    let commanded: Vec<(&str, World, Option<Action>)> = vec![
        (
            "due",
            owned(world(entry(true, Unset), due()), Managed, Record::Same),
            renew(By::Command, Some(1)),
        ),
        (
            "not due",
            owned(world(entry(true, same()), good()), Managed, Record::Same),
            None,
        ),
        (
            "deleted",
            owned(world(entry(true, same()), Stored::Missing), Managed, Record::Same),
            renew(By::Command, None),
        ),
        (
            "other API",
            owned(
                world(entry(true, Unset), good()),
                Managed,
                Record::Other { here: false },
            ),
            renew(By::Command, None),
        ),
        (
            "oss-local signs all the same",
            world(entry(true, Unset), due()),
            renew(By::Signing, Some(1)),
        ),
        (
            "logged out",
            owned(world(entry(true, Unset), Stored::Missing), Managed, Record::None),
            None,
        ),
    ];
    for (name, world, expected) in commanded {
        let planned = plan(&world, &mut fresh_memory(), at(60), &WITH_COMMAND);
        assert_eq!(planned.action, expected, "with a token command: {name}");
    }
}

#[test]
fn it_sleeps_until_the_token_is_due() {
    let world = world(
        entry(true, InConfig::Token(token(1, 0, HOUR))),
        Stored::Token(token(1, 0, HOUR)),
    );
    let mut memory = fresh_memory();
    let planned = plan(&world, &mut memory, at(60), &RULES);
    let wait = planned.wait(at(60)).unwrap();
    let left = |jitter: f64| ((HOUR - 60) * 1000) as f64 - 1_200_000.0 * (1.0 + jitter);
    assert!((left(MAX_JITTER)..=left(0.0)).contains(&(wait as f64)), "{wait}");
    let just_before = Now {
        wall: at(60).wall + wait - 1,
        steady: at(60).steady + wait - 1,
    };
    assert_eq!(plan(&world, &mut memory, just_before, &RULES).action, None);
    let then = Now {
        wall: just_before.wall + 1,
        steady: just_before.steady + 1,
    };
    assert_eq!(
        plan(&world, &mut memory, then, &RULES).action,
        renew(By::Signing, Some(1))
    );
}

fn warnings(plan: &Plan) -> Vec<&Line> {
    plan.lines.iter().filter(|line| line.is_warning()).collect()
}

#[test]
fn a_managed_token_without_a_command_is_reminded_of_four_times() {
    let stored = token(1, 0, 7 * 24 * HOUR);
    let world = owned(
        world(entry(true, InConfig::Token(stored.clone())), Stored::Token(stored)),
        Mode::Managed,
        Record::Same,
    );
    let mut memory = fresh_memory();
    let mut now = at(0);
    let mut told = Vec::new();
    loop {
        let planned = plan(&world, &mut memory, now, &RULES);
        for line in warnings(&planned) {
            match line {
                Line::Expires { in_seconds } => told.push(*in_seconds),
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
    assert!(plan(&world, &mut memory, now, &RULES).overdue);

    // Started when three of them are past already: one line, for the nearest.
    let late = plan(&world, &mut fresh_memory(), at(7 * 24 * HOUR - 600), &RULES);
    assert_eq!(warnings(&late), [&Line::Expires { in_seconds: 600 }]);
}

#[test]
fn a_broken_config_is_told_once_when_it_stays_broken() {
    let stored = token(1, 0, HOUR);
    let broken = world(
        Config::Broken("bad at line 3 column 7".into()),
        Stored::Token(stored.clone()),
    );
    let fine = world(entry(true, InConfig::Token(stored.clone())), Stored::Token(stored));
    let mut memory = fresh_memory();
    plan(&fine, &mut memory, at(0), &RULES);
    let first = plan(&broken, &mut memory, at(1), &RULES);
    assert!(first.lines.is_empty(), "{:?}", first.lines);
    let wait = first.wait(at(1)).unwrap();
    assert!(wait <= 1000);
    let second = plan(&broken, &mut memory, at(2), &RULES);
    assert!(matches!(&second.lines[..], [Line::ConfigBroken { why }] if why.contains("line 3 column 7")));
    assert!(plan(&broken, &mut memory, at(3), &RULES).lines.is_empty());
    assert_eq!(plan(&fine, &mut memory, at(4), &RULES).lines, [Line::ConfigMended]);
    // Half-written for a moment only: nothing to tell.
    plan(&broken, &mut memory, at(5), &RULES);
    let at_once = Now {
        wall: at(5).wall + 20,
        steady: at(5).steady + 20,
    };
    assert!(plan(&fine, &mut memory, at_once, &RULES).lines.is_empty());
}

#[test]
fn failures_are_retried_later_and_later_and_told_once() {
    let world = world(entry(true, InConfig::Unset), Stored::Token(token(1, -HOUR, 0)));
    let mut memory = fresh_memory();
    let mut now = at(60);
    let mut waits = Vec::new();
    let mut told = 0;
    for _ in 0..14 {
        let planned = plan(&world, &mut memory, now, &RULES);
        let action = planned.action.expect("it is tried again when it is time");
        let why = format!("the lock is held by process {}", 1000 + waits.len());
        told += usize::from(memory.failed(&action, &why, now).is_some());
        let waiting = plan(&world, &mut memory, now, &RULES);
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
    let action = plan(&world, &mut memory, now, &RULES).action.unwrap();
    assert!(memory.failed(&action, "no secret", now).is_some());
    now.wall += 3_600_000;
    assert_eq!(plan(&world, &mut memory, now, &RULES).action.as_ref(), Some(&action));
    memory.done(&action, Some(id(2)), now);
    let renewed = with(world, |world| {
        let iat = now.wall / 1000 - START_S;
        world.file = Stored::Token(token(2, iat, iat + HOUR));
    });
    let planned = plan(&renewed, &mut memory, now, &RULES);
    assert!(
        planned.lines.contains(&Line::Recovered { action }),
        "{:?}",
        planned.lines
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
        let world = owned(
            world(entry(false, InConfig::Unset), Stored::Token(stored)),
            Mode::Managed,
            Record::Same,
        );
        let planned = plan(&world, &mut memory, now, &WITH_COMMAND);
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
fn who_keeps_undoing_gets_three_fights_a_minute() {
    let stored = token(1, 0, 100 * HOUR);
    let undone = world(entry(true, InConfig::Unset), Stored::Token(stored));
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
        // The first write of all is no fight.
        assert!(
            in_minute <= if i == 0 { 4 } else { 3 },
            "{in_minute} writes in a minute"
        );
    }
    assert!(writes.windows(2).all(|pair| pair[1] - pair[0] >= 2_000));
    assert!((20..=60).contains(&writes.len()), "{} writes in an hour", writes.len());
    assert_eq!(told, 1, "one warning");
    // A renewal is a cause of its own: it is written in the midst of a pause.
    let renewed = with(undone, |world| world.file = Stored::Token(token(2, 3000, 100 * HOUR)));
    assert_eq!(
        plan(&renewed, &mut memory, now, &RULES).action,
        Some(Action::Put(id(2)))
    );
}

#[test]
fn a_logout_is_not_undone_where_it_could_not_write_the_config() {
    let stored = token(1, 0, HOUR);
    let logged_in = world(
        entry(true, InConfig::Token(stored.clone())),
        Stored::Token(stored.clone()),
    );
    let logged_out = owned(
        world(entry(true, InConfig::Token(stored)), Stored::Missing),
        Mode::OssLocal,
        Record::None,
    );
    let mut memory = fresh_memory();
    assert_eq!(plan(&logged_in, &mut memory, at(1), &RULES).action, None);
    let planned = plan(&logged_out, &mut memory, at(2), &RULES);
    assert_eq!(planned.action, None);
    assert!(planned.lines.contains(&Line::LoggedOut));
    // A new token pasted into the config is another matter.
    let pasted = with(logged_out, |world| {
        world.config = entry(true, InConfig::Token(token(2, 2, HOUR)))
    });
    assert_eq!(
        plan(&pasted, &mut memory, at(3), &RULES).action,
        Some(Action::Store(id(2)))
    );
}

// ---- random lives of a home ----

#[derive(Debug, Clone)]
enum Event {
    Wait(i64),
    Touch,
    Switch(bool),
    HoldToken(bool),
    DeleteConfig,
    BreakConfig,
    RestoreConfig,
    DeleteToken,
    StoreOther { age: i64 },
    PasteIntoConfig { age: i64 },
    TakeFromConfig,
    UndoConfig,
    MoveClock(i64),
    Suspend(i64),
    Signing(bool),
    ConfigWritable(bool),
    FilesWritable(bool),
    Logout,
    Login,
}

fn event() -> impl Strategy<Value = Event> {
    let age = -10..400i64;
    prop_oneof![
        6 => (1..2_000i64).prop_map(Event::Wait),
        2 => Just(Event::Touch),
        2 => any::<bool>().prop_map(Event::Switch),
        1 => any::<bool>().prop_map(Event::HoldToken),
        1 => Just(Event::DeleteConfig),
        1 => Just(Event::BreakConfig),
        3 => Just(Event::RestoreConfig),
        1 => Just(Event::DeleteToken),
        1 => age.clone().prop_map(|age| Event::StoreOther { age }),
        1 => age.prop_map(|age| Event::PasteIntoConfig { age }),
        1 => Just(Event::TakeFromConfig),
        2 => Just(Event::UndoConfig),
        1 => (-100_000..100_000i64).prop_map(Event::MoveClock),
        1 => (1..100_000i64).prop_map(Event::Suspend),
        1 => any::<bool>().prop_map(Event::Signing),
        1 => any::<bool>().prop_map(Event::ConfigWritable),
        1 => any::<bool>().prop_map(Event::FilesWritable),
        1 => Just(Event::Logout),
        2 => Just(Event::Login),
    ]
}

const LIFE: i64 = 600;
const TICK_MS: i64 = 20_000;

/// A home, its files and its two clocks; the watcher that serves it; and what must hold at every moment.
struct Life {
    now: Now,
    on: bool,
    holds: bool,
    shape: Shape,
    in_config: Option<Token>,
    before: Option<Token>,
    file: Option<Token>,
    record: bool,
    mode: Mode,
    signing: bool,
    config_writable: bool,
    files_writable: bool,
    made: u64,

    memory: Memory,
    planned: Plan,
    planned_at: Now,

    cause: bool,
    last_config_write: Option<i64>,
    undone: Vec<i64>,
    /// From this steady time on nothing stands in the way of a renewal.
    free_from: i64,
    refused: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Fine,
    Broken,
    Missing,
}

impl Life {
    fn new(mode: Mode, seed: u64) -> Self {
        let mut life = Self {
            now: at(0),
            on: true,
            holds: true,
            shape: Shape::Fine,
            in_config: None,
            before: None,
            file: None,
            record: true,
            mode,
            signing: true,
            config_writable: true,
            files_writable: true,
            made: 0,
            memory: Memory::new(seed, b"home"),
            planned: Plan::default(),
            planned_at: at(0),
            cause: true,
            last_config_write: None,
            undone: Vec::new(),
            free_from: 0,
            refused: false,
        };
        life.file = Some(life.make(0));
        life.in_config = life.file.clone();
        life.look();
        life
    }

    fn make(&mut self, age: i64) -> Token {
        self.made += 1;
        let iat = self.now.wall / 1000 - age;
        Token {
            id: TokenId(self.made.to_le_bytes()),
            namespace: "alice".to_owned(),
            iat: Some(iat),
            exp: Some(iat + LIFE),
            refuted: false,
        }
    }

    fn world(&self) -> World {
        let config = match self.shape {
            Shape::Missing => Config::Missing,
            Shape::Broken => Config::Broken("line 1 column 1".to_owned()),
            Shape::Fine => Config::Entry(Entry {
                on: self.on,
                holds_token: self.holds,
                token: self.in_config.clone().map_or(InConfig::Unset, InConfig::Token),
            }),
        };
        let file = self.file.clone().map_or(Stored::Missing, Stored::Token);
        let record = if self.record { Record::Same } else { Record::None };
        owned(world(config, file), self.mode, record)
    }

    fn expired_for(&self, token: &Token) -> i64 {
        self.now.wall / 1000 - token.exp.unwrap()
    }

    /// The watcher looks at the home until there is nothing left to do.
    fn look(&mut self) {
        for turn in 0.. {
            assert!(turn < 8, "it goes round in circles");
            self.planned = plan(&self.world(), &mut self.memory, self.now, &WITH_COMMAND);
            self.planned_at = self.now;
            let Some(action) = self.planned.action.clone() else {
                break;
            };
            match self.act(&action) {
                Ok(obtained) => self.memory.done(&action, obtained, self.now),
                Err(why) => {
                    self.refused = true;
                    self.memory.failed(&action, why, self.now);
                }
            }
        }
        self.check();
    }

    fn act(&mut self, action: &Action) -> Result<Option<TokenId>, &'static str> {
        if action.writes_config() {
            if !self.config_writable {
                return Err("the lock is held");
            }
            assert!(self.shape == Shape::Fine, "never written when broken or missing");
            assert!(
                self.cause,
                "a second write to openclaw.json without a cause: {action:?}"
            );
            if let Some(last) = self.last_config_write {
                assert!(self.now.steady - last >= 2_000, "writes too close to each other");
            }
            self.cause = false;
            self.last_config_write = Some(self.now.steady);
        } else if !self.files_writable {
            return Err("the disk is full");
        }
        match action {
            Action::Renew { by, replaces } => {
                assert_eq!(*by == By::Signing, self.mode == Mode::OssLocal);
                assert_eq!(*replaces, self.file.as_ref().map(|token| token.id));
                if let Some(file) = &self.file {
                    let life = Lifetime {
                        iat: file.iat.unwrap(),
                        exp: file.exp.unwrap(),
                    };
                    assert!(
                        life.due_at_ms(DEFAULT_FRACTION, MAX_JITTER) <= self.now.wall,
                        "renewed before its time"
                    );
                } else {
                    assert!(self.record, "a logout was undone");
                }
                if !self.signing {
                    return Err("there is no secret");
                }
                let token = self.make(0);
                let obtained = token.id;
                self.file = Some(token);
                self.cause = true;
                return Ok(Some(obtained));
            }
            Action::Store(id) => {
                let token = self.in_config.clone().unwrap();
                assert_eq!(token.id, *id);
                assert!(self.expired_for(&token) < 0, "an expired token was stored");
                self.file = Some(token);
                self.cause = true;
            }
            Action::Put(id) => {
                let token = self.file.clone().unwrap();
                assert_eq!(token.id, *id);
                assert!(self.on && self.holds, "a token was put into an entry that is off");
                self.before = self.in_config.replace(token);
            }
            Action::TakeOut => {
                assert!(!(self.on && self.holds), "a token was taken out of an entry that is on");
                self.before = self.in_config.take();
            }
            Action::Adopt => unreachable!("the API does not move here"),
        }
        Ok(None)
    }

    /// The token in the config is never one that expired more than 30 s ago while renewing was possible.
    fn check(&self) {
        let possible = self.shape == Shape::Fine
            && self.on
            && self.holds
            && (self.record || self.file.is_some())
            && self.signing
            && self.config_writable
            && self.files_writable;
        if let Some(token) = &self.in_config
            && possible
            && self.now.steady > self.free_from
        {
            let late = self.expired_for(token);
            assert!(late <= 30, "the token in the config expired {late} s ago");
        }
    }

    /// The machinery's part: wakes when planning asked for it, or within a tick of a clock that moved.
    fn pass(&mut self, ms: i64) {
        let end = self.now.steady + ms;
        while self.now.steady < end {
            let drift = (self.now.wall - self.planned_at.wall) - (self.now.steady - self.planned_at.steady);
            let due = self.planned.wait(self.now);
            if due == Some(0) || drift.abs() > 5_000 {
                self.look();
                let wait = self.planned.wait(self.now);
                assert!(wait.is_none_or(|wait| wait > 0), "it wakes for nothing");
            }
            let step = self
                .planned
                .wait(self.now)
                .unwrap_or(TICK_MS)
                .clamp(1, TICK_MS)
                .min(end - self.now.steady);
            self.now.wall += step;
            self.now.steady += step;
            self.check();
        }
    }

    /// Nothing was in the way but what is over in so many seconds.
    fn hindered_for(&mut self, seconds: i64) {
        self.free_from = self.free_from.max(self.now.steady + seconds * 1000);
    }

    fn happen(&mut self, event: &Event) {
        // After a failure the next try may be five minutes off; otherwise it is a matter of seconds.
        let grace = if self.refused { 301 } else { 5 };
        match *event {
            Event::Wait(seconds) => return self.pass(seconds * 1000),
            Event::Touch => {}
            Event::Switch(on) => self.on = on,
            Event::HoldToken(holds) => self.holds = holds,
            Event::DeleteConfig => self.shape = Shape::Missing,
            Event::BreakConfig => self.shape = Shape::Broken,
            Event::RestoreConfig => self.shape = Shape::Fine,
            Event::DeleteToken => self.file = None,
            Event::StoreOther { age } => self.file = Some(self.make(age)),
            Event::PasteIntoConfig { age } => self.in_config = Some(self.make(age)),
            Event::TakeFromConfig => self.in_config = None,
            Event::UndoConfig => self.in_config = self.before.clone(),
            Event::MoveClock(seconds) => self.now.wall += seconds * 1000,
            Event::Suspend(seconds) => self.now.wall += seconds * 1000,
            Event::Signing(works) => self.signing = works,
            Event::ConfigWritable(works) => self.config_writable = works,
            Event::FilesWritable(works) => self.files_writable = works,
            Event::Logout => (self.file, self.in_config, self.record) = (None, None, false),
            Event::Login => {
                let token = self.make(0);
                self.in_config = (self.on && self.holds && self.shape == Shape::Fine).then(|| token.clone());
                (self.file, self.record) = (Some(token), true);
            }
        }
        match event {
            // Nobody tells the watcher: it finds out within a tick.
            Event::MoveClock(_) | Event::Suspend(_) => return self.hindered_for(25),
            Event::Signing(_) | Event::ConfigWritable(_) | Event::FilesWritable(_) => {
                return self.hindered_for(grace);
            }
            Event::UndoConfig | Event::TakeFromConfig | Event::DeleteToken | Event::StoreOther { .. } => {
                let minutes_ago = self.now.steady - 360_000;
                self.undone.retain(|at| *at > minutes_ago);
                self.undone.push(self.now.steady);
                self.hindered_for(if self.undone.len() >= 3 { 301 } else { grace });
            }
            Event::Touch => {}
            _ => self.hindered_for(grace),
        }
        self.cause |= !matches!(event, Event::Touch);
        self.look();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_token_in_the_config_is_kept(
        local in any::<bool>(),
        seed in any::<u64>(),
        events in prop::collection::vec(event(), 1..80),
    ) {
        let mut life = Life::new(if local { Mode::OssLocal } else { Mode::Managed }, seed);
        for event in &events {
            life.happen(event);
        }
        // All hindrances gone and a quarter of an hour later: file and config agree, and the token is good.
        (life.shape, life.on, life.holds) = (Shape::Fine, true, true);
        (life.signing, life.config_writable, life.files_writable) = (true, true, true);
        life.happen(&Event::Login);
        life.pass(900_000);
        prop_assert_eq!(&life.in_config, &life.file);
        prop_assert!(life.expired_for(life.file.as_ref().unwrap()) < 0);
        // And an hour in which nothing happens has the renewals of its tokens, and one config write for each.
        let made = life.made;
        life.pass(HOUR * 1000);
        let renewals = life.made - made;
        prop_assert!((8..=10).contains(&renewals), "{} renewals in an hour", renewals);
    }
}
