//! Random lives of a home: edits, deletions, clock jumps, failures. What must hold at every moment: the token in the
//! config is never one that expired more than 30 s ago while renewing was possible, no two writes happen without a cause
//! between them, the token goes into no entry that is off, names another API, or is to hold none, and an approval is taken
//! back when its time is over, not before.

use super::{HOUR, WITH_COMMAND, at, chosen, entry, managed, nobodys, snapshot};
use proptest::prelude::*;
use sigilum_authz_notify::authz::timed::TimedApproval;
use sigilum_authz_notify::mode::Mode;
use sigilum_authz_notify::token::lifetime::{DEFAULT_FRACTION, Lifetime, MAX_JITTER};
use sigilum_authz_notify::token::times::time_fault;
use sigilum_authz_notify::watch::planner::{
    Action, By, Config, InConfig, Memory, Now, Plan, Snapshot, Stored, Token, TokenId, plan,
};

#[derive(Debug, Clone)]
enum Event {
    Wait(i64),
    Touch,
    Switch(bool),
    Choose(Option<bool>),
    NameAnotherApi(bool),
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
    Approve(i64),
    ApiReachable(bool),
}

fn event() -> impl Strategy<Value = Event> {
    let age = -10..400i64;
    prop_oneof![
        6 => (1..2_000i64).prop_map(Event::Wait),
        2 => Just(Event::Touch),
        2 => any::<bool>().prop_map(Event::Switch),
        1 => prop::option::weighted(0.7, any::<bool>()).prop_map(Event::Choose),
        1 => any::<bool>().prop_map(Event::NameAnotherApi),
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
        2 => (60..5_000i64).prop_map(Event::Approve),
        1 => any::<bool>().prop_map(Event::ApiReachable),
    ]
}

const LIFE: i64 = 600;
const TICK_MS: i64 = 20_000;

/// A home, its files and its two clocks; the watcher that serves it; and what must hold at every moment.
struct Life {
    now: Now,
    on: bool,
    /// Whether the token is to stand in the config, as the person chose.
    choice: Option<bool>,
    /// The entry names another API than the record.
    elsewhere: bool,
    shape: Shape,
    in_config: Option<Token>,
    /// The token in the config, if that has stood there since it was the stored one.
    kept: Option<TokenId>,
    before: Option<Token>,
    file: Option<Token>,
    record: bool,
    mode: Mode,
    signing: bool,
    config_writable: bool,
    files_writable: bool,
    reachable: bool,
    approvals: Vec<TimedApproval>,
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
            choice: Some(true),
            elsewhere: false,
            shape: Shape::Fine,
            in_config: None,
            kept: None,
            before: None,
            file: None,
            record: true,
            mode,
            signing: true,
            config_writable: true,
            files_writable: true,
            reachable: true,
            approvals: Vec::new(),
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
        }
    }

    fn snapshot(&self) -> Snapshot {
        let config = match self.shape {
            Shape::Missing => Config::Missing,
            Shape::Broken => Config::Broken("line 1 column 1".to_owned()),
            Shape::Fine => entry(self.on, self.in_config.clone().map_or(InConfig::Unset, InConfig::Token)),
        };
        let file = self.file.clone().map_or(Stored::Missing, Stored::Token);
        let mut snapshot = chosen(self.choice, snapshot(config, file));
        if self.mode == Mode::Managed {
            snapshot = managed(snapshot);
        }
        if let Config::Entry(entry) = &mut snapshot.config
            && self.elsewhere
        {
            entry.api_url = Some("http://127.0.0.1:38911".to_owned());
        }
        snapshot.approvals = Ok(self.approvals.clone());
        if self.record { snapshot } else { nobodys(snapshot) }
    }

    /// Whether the token belongs into the entry as it stands.
    fn holds(&self) -> bool {
        let held = self.in_config.as_ref().map(|token| token.id);
        self.on && !self.elsewhere && self.choice.unwrap_or(held.is_some() && held == self.kept)
    }

    fn expired_for(&self, token: &Token) -> i64 {
        self.now.wall / 1000 - token.exp.unwrap()
    }

    /// The watcher looks at the home until there is nothing left to do.
    fn look(&mut self) {
        let most = 8 + self.approvals.len();
        for turn in 0.. {
            assert!(turn < most, "it goes round in circles");
            if self.shape == Shape::Fine {
                let held = self.in_config.as_ref().map(|token| token.id);
                let stored = self.file.as_ref().map(|token| token.id);
                self.kept = held.filter(|_| held == stored || held == self.kept);
            }
            self.planned = plan(&self.snapshot(), &mut self.memory, self.now, &WITH_COMMAND);
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
                    // The clock was set back: see token::lifetime.
                    let wrong = time_fault(file.iat, file.exp, self.now.wall / 1000).is_some();
                    assert!(
                        wrong || life.due_at_ms(DEFAULT_FRACTION, MAX_JITTER) <= self.now.wall,
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
            Action::Put(id) => {
                let token = self.file.clone().unwrap();
                assert_eq!(token.id, *id);
                assert!(self.record && self.holds(), "a token was put where none belongs");
                assert!(self.expired_for(&token) < 0, "an expired token was put");
                if let Some(held) = &self.in_config {
                    let is_good = self.expired_for(held) < 0 && held.iat <= Some(self.now.wall / 1000);
                    assert!(
                        !is_good || held.iat <= token.iat,
                        "a token issued later was put out of the config"
                    );
                }
                self.before = self.in_config.replace(token);
            }
            Action::TakeBack(approval) => {
                assert!(approval.until * 1000 <= self.now.wall, "taken back before its time");
                assert!(self.record, "taken back without a login");
                if !self.reachable {
                    return Err("the API cannot be reached");
                }
                self.approvals.retain(|known| known != approval);
            }
        }
        Ok(None)
    }

    /// The token in the config is never one that expired more than 30 s ago while renewing was possible.
    fn check(&self) {
        let possible = self.shape == Shape::Fine
            && self.holds()
            && self.record
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
        let possible = self.record && self.reachable && self.files_writable;
        if possible && self.now.steady > self.free_from {
            for approval in &self.approvals {
                let late = self.now.wall / 1000 - approval.until;
                assert!(late <= 30, "an approval is over since {late} s");
            }
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
            Event::Choose(choice) => self.choice = choice,
            Event::NameAnotherApi(other) => self.elsewhere = other,
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
            Event::ApiReachable(works) => self.reachable = works,
            Event::Approve(seconds) => {
                self.made += 1;
                self.approvals.push(TimedApproval {
                    claim_id: format!("cl_{}", self.made),
                    namespace: "alice".to_owned(),
                    api: "http://127.0.0.1:8787".to_owned(),
                    until: self.now.wall / 1000 + seconds,
                });
            }
            Event::Logout => (self.file, self.in_config, self.record) = (None, None, false),
            Event::Login => {
                let token = self.make(0);
                self.in_config =
                    (self.on && self.choice != Some(false) && self.shape == Shape::Fine).then(|| token.clone());
                self.elsewhere &= self.shape != Shape::Fine;
                (self.file, self.record) = (Some(token), true);
            }
        }
        match event {
            // Nobody tells the watcher: it finds out within a tick.
            Event::MoveClock(_) | Event::Suspend(_) => return self.hindered_for(25),
            Event::Signing(_) | Event::ConfigWritable(_) | Event::FilesWritable(_) | Event::ApiReachable(_) => {
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
        (life.shape, life.on, life.choice) = (Shape::Fine, true, Some(true));
        (life.signing, life.config_writable, life.files_writable, life.reachable) = (true, true, true, true);
        life.happen(&Event::Login);
        life.pass(900_000);
        prop_assert_eq!(&life.in_config, &life.file);
        prop_assert!(life.expired_for(life.file.as_ref().unwrap()) < 0);
        // One that is over in this very moment is taken back in the next.
        prop_assert!(life.approvals.iter().all(|approval| approval.until * 1000 >= life.now.wall));
        // And an hour in which nothing happens has the renewals of its tokens, and one config write for each.
        let made = life.made;
        life.pass(HOUR * 1000);
        let renewals = life.made - made;
        prop_assert!((8..=10).contains(&renewals), "{} renewals in an hour", renewals);
    }
}
