//! Telling at once, without a thread, a network or a clock: random lives of requests, API, chat, disk and processes.
//! Each request that waits and could be told is told, and none twice.

use proptest::prelude::*;
use sigilum_authz_notify::authz::decision_log::{Entry, How, Intent, Outcome, Settled};
use sigilum_authz_notify::request::{AuthorizationRequest, Decision, Pending};
use sigilum_authz_notify::watch::planner::Now;
use sigilum_authz_notify::watch::push::Surroundings;
use sigilum_authz_notify::watch::push::teller::{
    DIGEST_MS, Delivery, Facts, Heard, LONGEST_MS, MOST_AN_HOUR, Rules, Teller,
};
use sigilum_authz_notify::watch::push::told::{News, Outgoing, Told};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

const START: i64 = 1_800_000_000_000;
const EVERY: i64 = 15_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

#[derive(Debug, Clone)]
enum Act {
    /// An agent asks, with one of a few keys, a third of which first asked a day ago; where its request is over it gets a
    /// new id and the old time.
    Ask(u8),
    /// The owner decides elsewhere: the n-th of those that wait.
    Approve(u8),
    Reject(u8),
    /// The API's job: what waits and was first asked a day ago, or longer, runs out.
    Expire,
    /// The API answers, or does not.
    Api(bool),
    Chat(bool),
    Disk(bool),
    /// A request is there that is too long to be read, or is not any more.
    TooLong(bool),
    Restart,
    /// The process dies the next time it hands a message over: before it went out, or after.
    DieSending(bool),
    /// Seconds.
    Wait(u32),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..40_u8).prop_map(Act::Ask),
        1 => any::<u8>().prop_map(Act::Approve),
        1 => any::<u8>().prop_map(Act::Reject),
        1 => Just(Act::Expire),
        1 => any::<bool>().prop_map(Act::Api),
        1 => any::<bool>().prop_map(Act::Chat),
        1 => any::<bool>().prop_map(Act::Disk),
        1 => any::<bool>().prop_map(Act::TooLong),
        1 => Just(Act::Restart),
        1 => any::<bool>().prop_map(Act::DieSending),
        4 => (1..60_u32).prop_map(Act::Wait),
        2 => (60..1200_u32).prop_map(Act::Wait),
        1 => (1200..25_000_u32).prop_map(Act::Wait),
    ]
}

struct Claim {
    id: String,
    key: u8,
    created: i64,
    status: &'static str,
    since: i64,
}

/// Everything outside of the teller.
struct World {
    now: i64,
    claims: Vec<Claim>,
    log: Vec<Entry>,
    made: usize,
    api: bool,
    chat: bool,
    disk: bool,
    /// So many requests besides are too long to be read.
    too_long: u64,
    /// The list is cut after so many, the newest.
    most: usize,
    /// One of the requests that cannot be read, wherever it stands.
    unreadable: Option<String>,
    kept: Told,
    /// What the chat got, by key, and how often each request was told.
    sent: BTreeSet<String>,
    told: BTreeMap<String, usize>,
    /// When messages about requests went out, when all did and whether they told of a decision, and when each key was
    /// last told.
    messages: Vec<i64>,
    all_messages: Vec<(i64, bool)>,
    told_keys: BTreeMap<u8, i64>,
    rejected: BTreeSet<u8>,
    /// The approvals that were told.
    approvals: BTreeSet<String>,
    die: Option<bool>,
    dead: bool,
    asked: usize,
    /// How many processes there were: each has a seed of its own.
    starts: Cell<u64>,
    /// When something stood in the way for the last time.
    trouble: i64,
}

impl World {
    fn waiting(&self) -> Vec<usize> {
        let claims = self.claims.iter().enumerate();
        claims
            .filter(|(_, claim)| claim.status == "pending")
            .map(|(at, _)| at)
            .collect()
    }

    fn request(claim: &Claim) -> AuthorizationRequest {
        AuthorizationRequest {
            claim_id: Some(claim.id.clone()),
            namespace: Some("alice".to_owned()),
            status: Some(claim.status.to_owned()),
            service: Some(format!("service-{}", claim.key % 5)),
            public_key: Some(format!("ed25519:{}", claim.key)),
            created_at: Some(jiff::Timestamp::from_millisecond(claim.created).unwrap().to_string()),
            ..AuthorizationRequest::default()
        }
    }

    fn ask(&mut self, key: u8) {
        let known = self.claims.iter().position(|claim| claim.key == key);
        if known.is_some_and(|at| ["pending", "approved"].contains(&self.claims[at].status)) {
            return;
        }
        let first = if key.is_multiple_of(3) {
            self.now - DAY
        } else {
            self.now
        };
        let created = known.map_or(first, |at| self.claims.remove(at).created);
        self.made += 1;
        self.claims.push(Claim {
            id: format!("cl_{:024x}", self.made),
            key,
            created,
            status: "pending",
            since: self.now,
        });
    }

    fn run_out(&mut self) {
        for at in self.waiting() {
            if self.claims[at].created <= self.now - DAY {
                self.claims[at].status = "expired";
            }
        }
    }

    fn end(&mut self, which: u8, status: &'static str) {
        let waiting = self.waiting();
        let Some(at) = waiting.get(usize::from(which) % waiting.len().max(1)) else {
            return;
        };
        self.claims[*at].status = status;
        if status == "rejected" {
            self.rejected.insert(self.claims[*at].key);
        }
    }
}

impl Surroundings for World {
    fn ask(&mut self) -> Heard {
        self.asked += 1;
        if !self.api || self.dead {
            return Heard::Failed {
                why: "no answer".to_owned(),
                retry_after: None,
                expired: false,
            };
        }
        let waiting = self.waiting();
        let total = waiting.len() as u64 + self.too_long;
        let waiting = waiting.into_iter().rev().map(|at| Self::request(&self.claims[at]));
        let (long, requests): (Vec<_>, Vec<_>) = waiting
            .take(self.most)
            .partition(|request| request.claim_id == self.unreadable);
        Heard::List(Pending {
            total: Some(total),
            requests,
            too_long: self.too_long + long.len() as u64,
        })
    }

    fn request(&mut self, id: &str) -> Result<Option<AuthorizationRequest>, Heard> {
        if !self.api || self.dead || self.unreadable.as_deref() == Some(id) {
            return Err(failed(false));
        }
        Ok(self.claims.iter().find(|claim| claim.id == id).map(Self::request))
    }

    fn decisions(&mut self, _: bool) -> Option<Vec<Entry>> {
        Some(self.log.clone())
    }

    fn keep(&mut self, told: &Told) -> bool {
        if self.disk && !self.dead && self.kept != *told {
            // As a file keeps it.
            self.kept = Told::parse(&told.to_bytes());
        }
        self.disk && !self.dead
    }

    fn hand_over(&mut self, message: &Outgoing) -> Option<Delivery> {
        if self.dead {
            return None;
        }
        let dies = self.die.take();
        self.dead = dies.is_some();
        if dies == Some(false) {
            return None;
        }
        if !self.chat {
            return (!self.dead).then_some(Delivery::NotTaken);
        }
        // OpenClaw and the plugin know a message by its key.
        if self.sent.insert(message.key.clone()) {
            for id in &message.claims {
                *self.told.entry(id.clone()).or_default() += 1;
                if let Some(claim) = self.claims.iter().find(|claim| claim.id == *id) {
                    self.told_keys.insert(claim.key, self.now);
                }
            }
            if !message.claims.is_empty() {
                self.messages.push(self.now);
            }
            let approvals = message.news.iter().filter_map(|news| match news {
                News::Approved { claim_id, .. } => Some(claim_id.clone()),
                _ => None,
            });
            let before = self.approvals.len();
            let approvals: Vec<String> = approvals.collect();
            let count = approvals.len();
            self.approvals.extend(approvals);
            assert_eq!(
                self.approvals.len(),
                before + count,
                "an approval is told twice: {message:?}"
            );
            self.all_messages.push((self.now, count > 0));
        }
        (!self.dead).then_some(Delivery::Taken)
    }
}

fn new_world() -> World {
    World {
        now: START,
        claims: Vec::new(),
        log: Vec::new(),
        made: 0,
        api: true,
        chat: true,
        disk: true,
        too_long: 0,
        most: 1_000,
        unreadable: None,
        kept: Told::default(),
        sent: BTreeSet::new(),
        told: BTreeMap::new(),
        messages: Vec::new(),
        all_messages: Vec::new(),
        told_keys: BTreeMap::new(),
        rejected: BTreeSet::new(),
        approvals: BTreeSet::new(),
        die: None,
        dead: false,
        asked: 0,
        starts: Cell::new(0),
        trouble: START - 10 * HOUR,
    }
}

fn start(world: &World) -> Teller {
    let rules = rules(world);
    Teller::new(world.kept.clone().about("alice at the API"), rules, at(world.now))
}

fn rules(world: &World) -> Rules {
    world.starts.set(world.starts.get() + 1);
    Rules {
        every: EVERY,
        namespace: "alice".to_owned(),
        target: "matrix:@alice:localhost".parse().unwrap(),
        program: "sigilum-authz-notify".to_owned(),
        flags: String::new(),
        seed: world.now as u64 + world.starts.get(),
    }
}

fn at(now: i64) -> Now {
    Now {
        wall: now,
        steady: now - START,
    }
}

/// Lets time pass: the teller turns when it wants to.
fn pass(world: &mut World, teller: &mut Teller, seconds: u32) {
    let end = world.now + i64::from(seconds) * 1000;
    loop {
        if world.dead {
            world.dead = false;
            world.trouble = world.now;
            *teller = start(world);
        }
        if !(world.api && world.chat && world.disk) {
            world.trouble = world.now;
        }
        let wake = START + teller.wake(at(world.now));
        if wake > end {
            break;
        }
        world.now = world.now.max(wake);
        let now = at(world.now);
        teller.turn(world, now);
        if !world.dead {
            check(world);
        }
    }
    world.now = end;
    if !(world.api && world.chat && world.disk) {
        world.trouble = end;
    }
}

/// What holds at any time.
fn check(world: &World) {
    for (id, times) in &world.told {
        assert_eq!(*times, 1, "{id} was told {times} times");
    }
    let bounded = world.all_messages.iter().filter(|(_, is_decision)| !is_decision);
    let bounded: Vec<i64> = bounded.map(|(at, _)| *at).collect();
    for window in bounded.windows(MOST_AN_HOUR + 1) {
        let (first, before, last) = (window[0], window[MOST_AN_HOUR - 1], window[MOST_AN_HOUR]);
        let many = last - first < HOUR;
        assert!(
            !many || last - before >= DIGEST_MS,
            "over {MOST_AN_HOUR} messages an hour without a pause"
        );
    }
    for at in world.waiting() {
        let claim = &world.claims[at];
        if world.told.contains_key(&claim.id) {
            continue;
        }
        let recent = |at: &i64| world.now - *at < 6 * HOUR;
        if world.rejected.contains(&claim.key) && world.told_keys.get(&claim.key).is_some_and(recent) {
            continue;
        }
        let begun = claim.since.max(world.trouble);
        let mut wait = 30_000;
        if world.now - world.trouble < 2 * LONGEST_MS {
            wait += LONGEST_MS;
        }
        let is_recent = |(at, _): &&(i64, bool)| world.now - at < HOUR + wait;
        if world.all_messages.iter().filter(is_recent).count() >= MOST_AN_HOUR {
            wait += DIGEST_MS;
        }
        // A key that was silenced is looked at again at the next turn.
        if world.rejected.contains(&claim.key) {
            wait += 6 * HOUR;
        }
        assert!(
            world.now - begun <= wait,
            "{} waits since {} s and is not told",
            claim.id,
            (world.now - begun) / 1000
        );
    }
}

fn live(acts: &[Act]) -> World {
    let mut world = new_world();
    let mut teller = start(&world);
    for act in acts {
        match *act {
            Act::Ask(key) => world.ask(key),
            Act::Approve(which) => world.end(which, "approved"),
            Act::Reject(which) => world.end(which, "rejected"),
            Act::Expire => world.run_out(),
            Act::Api(on) => world.api = on,
            Act::Chat(on) => world.chat = on,
            Act::Disk(on) => world.disk = on,
            Act::TooLong(is) => world.too_long = u64::from(is),
            Act::Restart => {
                world.trouble = world.now;
                teller = start(&world);
            }
            Act::DieSending(sent) => world.die = Some(sent),
            Act::Wait(seconds) => pass(&mut world, &mut teller, seconds),
        }
    }
    (world.api, world.chat, world.disk) = (true, true, true);
    pass(&mut world, &mut teller, 3_600);
    check(&world);
    for claim in world.claims.iter().filter(|claim| claim.status == "approved") {
        let is_known = world.told.contains_key(&claim.id);
        assert!(
            !is_known || world.approvals.contains(&claim.id),
            "{} was approved elsewhere",
            claim.id
        );
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_request_that_waits_is_told_once(acts in prop::collection::vec(act(), 1..120)) {
        live(&acts);
    }
}

/// As it was found: what one message has no room for is told by the next one, also of a process that died in between.
#[test]
fn what_a_message_has_no_room_for_is_told_after_a_death() {
    let ask = |keys: &[u8]| keys.iter().copied().map(Act::Ask).collect::<Vec<_>>();
    let mut acts = ask(&[0, 3, 1, 5, 6]);
    acts.push(Act::Approve(0));
    acts.extend(ask(&[4, 7, 8, 9, 10, 14, 11, 0]));
    acts.extend([Act::Wait(1), Act::Disk(false)]);
    acts.extend(ask(&[12, 15, 2]));
    acts.extend([
        Act::Wait(1),
        Act::Restart,
        Act::Ask(18),
        Act::Approve(17),
        Act::Approve(226),
    ]);
    acts.extend([Act::DieSending(false), Act::Approve(255), Act::Ask(27)]);
    live(&acts);
}

#[test]
fn many_at_once_are_one_message_and_many_an_hour_a_digest() {
    let mut acts: Vec<Act> = (0..30).map(Act::Ask).collect();
    acts.push(Act::Wait(60));
    let world = live(&acts);
    assert_eq!((world.messages.len(), world.told.len()), (1, 30));
    let one_a_minute = (0..40)
        .flat_map(|key| [Act::Ask(key), Act::Wait(60)])
        .collect::<Vec<_>>();
    let world = live(&one_a_minute);
    assert_eq!(world.told.len(), 40);
    assert_eq!(world.messages.len(), MOST_AN_HOUR + 4, "{:?}", world.messages);
}

/// Each is told at once, and the next request after the pause all the same.
#[test]
fn decisions_in_a_pause_do_not_make_it_longer() {
    let mut world = new_world();
    let mut teller = start(&world);
    for key in 0..40 {
        world.ask(key);
        pass(&mut world, &mut teller, 60);
        world.end(key, "approved");
        pass(&mut world, &mut teller, 60);
        check(&world);
    }
    let decisions = world.all_messages.iter().filter(|(_, is_decision)| *is_decision);
    assert!(decisions.count() > 20, "{:?}", world.all_messages);
}

#[test]
fn a_rejected_key_that_asks_again_and_again_is_told_every_six_hours() {
    let again = [Act::Ask(1), Act::Wait(600), Act::Reject(0), Act::Wait(60)];
    let day: Vec<Act> = again.iter().cycle().take(4 * 6 * 24).cloned().collect();
    let world = live(&day);
    let first_and_then = 1 + 26 / 6;
    let count = world.messages.len();
    assert!(
        (first_and_then..=first_and_then + 1).contains(&count),
        "{:?}",
        world.messages
    );
}

/// The old id of what is made again at once is gone, and only its age tells whether it ran out or was rejected.
#[test]
fn what_ran_out_and_is_made_again_at_once_is_told_again_and_what_was_rejected_is_not() {
    for (key, end, wanted) in [(3, Act::Expire, 8), (1, Act::Reject(0), 2)] {
        let again = [Act::Ask(key), Act::Wait(900), end];
        let world = live(&again.iter().cycle().take(3 * 8).cloned().collect::<Vec<_>>());
        assert_eq!(world.told.len(), wanted, "{again:?}: {:?}", world.told);
    }
}

/// The texts of the messages of a teller that hears this.
fn texts(teller: &mut Teller, now: i64) -> Vec<String> {
    let mut texts = Vec::new();
    while let Some(message) = teller.next_message(at(now)) {
        texts.push(message.text);
        teller.delivered(&message.key, Delivery::Taken, at(now));
    }
    texts
}

fn failed(expired: bool) -> Heard {
    Heard::Failed {
        why: "no connection".to_owned(),
        retry_after: None,
        expired,
    }
}

#[test]
fn an_api_that_cannot_be_asked_is_told_once_and_so_is_its_return() {
    let world = new_world();
    let mut teller = start(&world);
    let mut told = Vec::new();
    let mut now = START;
    for _ in 0..20 {
        now = START + teller.next_poll();
        teller.heard(failed(false), at(now));
        told.extend(texts(&mut teller, now));
    }
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("Sigilum could not be asked for 10 minutes"),
        "{told:?}"
    );
    assert!(told[0].contains("no connection"), "{told:?}");
    teller.heard(Heard::Same, at(now));
    teller.heard(Heard::Same, at(now));
    assert_eq!(
        texts(&mut teller, now),
        ["Sigilum answers again: you are told of requests."]
    );
    // A short one, one that nobody could be told of, and one that is the token's: nothing.
    teller.heard(failed(false), at(now));
    teller.heard(Heard::Same, at(now));
    for expired in [false, true] {
        for _ in 0..10 {
            now = START + teller.next_poll();
            teller.heard(failed(expired), at(now));
        }
        teller.heard(Heard::Same, at(now));
        assert_eq!(texts(&mut teller, now), [""; 0]);
    }
}

#[test]
fn failures_are_waited_out_longer_and_longer_or_as_the_api_says() {
    let mut teller = start(&new_world());
    let mut waits = Vec::new();
    let mut now = START;
    for _ in 0..8 {
        teller.heard(failed(false), at(now));
        let next = START + teller.next_poll();
        waits.push(next - now);
        now = next;
    }
    for (wait, longest) in waits.iter().zip([15, 30, 60, 120, 240]) {
        assert!((longest * 850..=longest * 1000).contains(wait), "{waits:?}");
    }
    // After ten minutes, when it is told, and as seldom as before from then on.
    assert_eq!(waits[..6].iter().sum::<i64>(), 600_000, "{waits:?}");
    assert!(
        waits[6..].iter().all(|wait| (255_000..=300_000).contains(wait)),
        "{waits:?}"
    );
    let busy = Heard::Failed {
        why: "429".to_owned(),
        retry_after: Some(900),
        expired: false,
    };
    teller.heard(busy, at(now));
    assert!(START + teller.next_poll() - now >= 900_000);
}

#[test]
fn what_is_told_of_the_hook_and_the_token() {
    use sigilum_authz_notify::token::lifetime::Lifetime;
    let mut teller = start(&new_world());
    let now = START;
    let facts = |answering: Option<Option<&str>>, left_hours: i64, renews| Facts {
        answering: answering.map(|what| what.map(str::to_owned)),
        deciders: false,
        token: Some((
            format!("token-{left_hours}"),
            Some(Lifetime {
                iat: START / 1000 - 7 * 86_400,
                exp: START / 1000 + left_hours * 3_600,
            }),
        )),
        renews,
        renewal_fails: false,
    };
    teller.heard(Heard::Same, at(now));
    teller.facts(facts(Some(Some("hook")), 48, false));
    assert_eq!(texts(&mut teller, now), [""; 0]);
    // What cannot be told has not changed.
    teller.facts(facts(None, 48, false));
    teller.facts(facts(Some(None), 48, false));
    let told = texts(&mut teller, now);
    assert_eq!(told.len(), 1);
    assert!(
        told[0].contains("the hook was switched off or taken out of openclaw.json"),
        "{told:?}"
    );
    assert!(told[0].ends_with("sigilum-authz-notify hook install"), "{told:?}");
    teller.facts(facts(Some(Some("plugin")), 48, false));
    for (hour, wanted) in [
        (24, "expires in 1 d"),
        (30, ""),
        (47, "expires in 1 h"),
        (48, "has expired"),
        (60, ""),
    ] {
        let told = texts(&mut teller, now + hour * HOUR);
        match wanted {
            "" => assert_eq!(told, [""; 0], "after {hour} h"),
            text => assert!(told.len() == 1 && told[0].contains(text), "after {hour} h: {told:?}"),
        }
    }
    // Another token, and one that is renewed by itself.
    let now = now + 60 * HOUR;
    teller.facts(facts(Some(Some("plugin")), 60 + 23, true));
    assert_eq!(texts(&mut teller, now), [""; 0]);
    teller.facts(facts(Some(Some("plugin")), 60 + 22, false));
    assert!(texts(&mut teller, now)[0].contains("expires in 22 h"));
    // One that somebody renews, who fails at it.
    let failing = Facts {
        renewal_fails: true,
        ..facts(Some(Some("plugin")), 60 + 21, true)
    };
    teller.facts(failing);
    let told = texts(&mut teller, now);
    let fails = "expires in 21 h, and renewing it fails; without one nobody is told of requests. To see why: \
                 sigilum-authz-notify auth status";
    assert!(told[0].ends_with(fails), "{told:?}");
}

#[test]
fn an_approval_elsewhere_is_told_with_the_command_that_takes_it_back() {
    let mut world = new_world();
    let mut teller = start(&world);
    world.ask(1);
    teller.turn(&mut world, at(START));
    assert_eq!(world.told.len(), 1);
    let id = world.claims[0].id.clone();
    world.end(0, "approved");
    world.now += EVERY;
    let now = at(world.now);
    teller.turn(&mut world, now);
    let became = &teller.told().outcomes;
    assert_eq!(
        became.iter().map(|one| one.status.as_str()).collect::<Vec<_>>(),
        ["approved"]
    );
    // It went out at once; the next turn has nothing to say.
    assert!(teller.told().news.is_empty() && teller.told().outgoing.is_empty());
    assert_eq!(world.sent.len(), 2);
    teller.became(&id, Some(&World::request(&world.claims[0])), None, at(world.now));
    assert_eq!(texts(&mut teller, world.now), [""; 0], "asked about once");
    let news = approved(&id);
    let mut told = teller.told().clone();
    told.news.push(news);
    world.kept = told;
    let text = &texts(&mut start(&world), world.now)[0];
    assert!(text.contains("approved elsewhere, not in this chat"), "{text}");
    assert!(
        text.ends_with(&format!("To take it back: sigilum-authz-notify authz revoke {id}")),
        "{text}"
    );
}

/// Whatever number of them one turn finds: none is cut off, and the pause between messages does not hold them up.
#[test]
fn many_approvals_elsewhere_are_all_told_at_once() {
    let mut world = new_world();
    let mut teller = start(&world);
    (0..30).for_each(|key| world.ask(key));
    teller.turn(&mut world, at(START));
    (0..30).for_each(|_| world.end(0, "approved"));
    let ids: Vec<String> = world.claims.iter().map(|claim| claim.id.clone()).collect();
    for _ in 0..10 {
        world.now += EVERY;
        let now = at(world.now);
        teller.turn(&mut world, now);
    }
    assert_eq!(world.approvals.len(), 30);
    // And as texts, with a message that had been kept.
    world.kept = teller.told().clone();
    world.kept.news = ids.iter().map(|id| approved(id)).collect();
    let texts = texts(&mut start(&world), world.now);
    for id in &ids {
        let command = format!("To take it back: sigilum-authz-notify authz revoke {id}");
        assert_eq!(
            texts.iter().filter(|text| text.contains(&command)).count(),
            1,
            "{texts:?}"
        );
    }
    assert!(texts.iter().all(|text| text.chars().count() <= 1500), "{texts:?}");
}

/// Whoever makes a request so long, or so many, that a list lacks some keeps no approval from being told; and what a list
/// lacks is not told as gone, nor told again when it is there again.
#[test]
fn a_list_that_lacks_some_keeps_no_approval_elsewhere_from_being_told() {
    for (too_long, most, is_unreadable) in [(1, 1_000, false), (0, 3, false), (0, 1_000, true), (2, 3, true)] {
        let mut world = new_world();
        let mut teller = start(&world);
        (0..20).for_each(|key| world.ask(key));
        pass(&mut world, &mut teller, 1);
        assert_eq!(world.told.len(), 20);
        (world.too_long, world.most) = (too_long, most);
        world.unreadable = is_unreadable.then(|| world.claims[0].id.clone());
        pass(&mut world, &mut teller, 60);
        assert_eq!(world.approvals.len(), 0, "nothing was approved");
        // The last of those that a list cut after three lacks.
        let id = world.claims[16].id.clone();
        world.end(16, "approved");
        pass(&mut world, &mut teller, 120);
        assert_eq!(
            world.approvals,
            BTreeSet::from([id]),
            "{too_long} {most} {is_unreadable}"
        );
        (world.too_long, world.most, world.unreadable) = (0, 1_000, None);
        pass(&mut world, &mut teller, 60);
        assert_eq!((world.told.len(), world.approvals.len()), (20, 1));
        assert_eq!(teller.told().outcomes.len(), 1);
    }
}

#[test]
fn so_many_requests_that_are_too_long_are_told_once() {
    let world = new_world();
    let mut teller = start(&world);
    let mut heard = |count: u64, delivery: Delivery| {
        let pending = Pending {
            total: Some(count),
            too_long: count,
            ..Pending::default()
        };
        teller.heard(Heard::List(pending), at(START));
        let message = teller.next_message(at(START))?;
        teller.delivered(&message.key, delivery, at(START));
        Some(message.text)
    };
    let taken = Delivery::Taken;
    let one = "Sigilum: 1 request is too long to be read in namespace alice; a request that is made so long may be there to \
               hide others. To see the others: sigilum-authz-notify authz list";
    assert_eq!(heard(1, taken).as_deref(), Some(one));
    assert_eq!(heard(1, taken), None);
    let two = heard(2, taken).unwrap();
    assert!(two.starts_with("Sigilum: 2 requests are too long"), "{two}");
    for count in [2, 1, 0] {
        assert_eq!(heard(count, taken), None);
    }
    assert_eq!(heard(1, Delivery::NotTaken).as_deref(), Some(one));
    // What OpenClaw did not take is told again, when it is time to, as it is then.
    let later = at(START + 20_000);
    assert_eq!(teller.next_message(later), None);
    let pending = Pending {
        total: Some(3),
        too_long: 3,
        ..Pending::default()
    };
    teller.heard(Heard::List(pending), later);
    let three = teller.next_message(later).unwrap().text;
    assert!(three.starts_with("Sigilum: 3 requests are too long"), "{three}");
}

/// Two long requests do not cut off the third one's commands: what has no room is counted, and nothing is cut amid.
#[test]
fn no_message_ends_amid_a_command() {
    let long = |id: &str, text: &str| AuthorizationRequest {
        claim_id: Some(format!("{id}{}", "0".repeat(64 - id.len()))),
        service: Some(text.repeat(60)),
        agent_name: Some("b".repeat(60)),
        subject: Some("s".repeat(60)),
        agent_ip: Some("1".repeat(60)),
        ..AuthorizationRequest::default()
    };
    let third = AuthorizationRequest {
        claim_id: Some("cl_3".to_owned()),
        service: Some("mail".to_owned()),
        ..AuthorizationRequest::default()
    };
    let requests = vec![long("cl_1", "x"), long("cl_2", "y"), third];
    let mut described = BTreeSet::new();
    for length in (0..1_600).step_by(50) {
        let flags = format!(" --openclaw-home /{}/END", "h".repeat(length));
        let mut rules = rules(&new_world());
        rules.flags.clone_from(&flags);
        let mut teller = Teller::new(Told::default(), rules, at(START));
        let total = Some(requests.len() as u64);
        teller.heard(
            Heard::List(Pending {
                total,
                requests: requests.clone(),
                too_long: 0,
            }),
            at(START),
        );
        let message = teller.next_message(at(START)).unwrap();
        let text = &message.text;
        assert_eq!(message.claims.len(), 3);
        let commands = text.lines().filter(|line| line.contains("authz ")).collect::<Vec<_>>();
        assert!(commands.iter().all(|line| line.ends_with(&flags)), "{text}");
        let shown = text.matches("To reject: ").count();
        let rest = match shown {
            3 => None,
            2 => Some("And more: \"mail\" 1. To see them: "),
            1 => Some("And more: \"mail\" 1, \"yyy"),
            _ => Some(". To see them: "),
        };
        assert!(rest.is_none_or(|rest| text.contains(rest)), "{text}");
        assert!(text.chars().count() <= 1_500 || length > 1_200, "{text}");
        described.insert(shown);
    }
    assert_eq!(described, BTreeSet::from([0, 1, 2, 3]));
}

fn approved(id: &str) -> News {
    News::Approved {
        claim_id: id.to_owned(),
        namespace: "alice".to_owned(),
        service: Some("mail".to_owned()),
        key: None,
        by: None,
    }
}

/// Somebody who switches the hook off and on all day fills no chat.
#[test]
fn what_changes_all_the_time_is_told_as_seldom_as_requests() {
    let mut world = new_world();
    let mut teller = start(&world);
    for second in (0..3_600).step_by(20) {
        world.now = START + second * 1000;
        for what in [Some("hook"), None] {
            teller.facts(Facts {
                answering: Some(what.map(str::to_owned)),
                ..Facts::default()
            });
        }
        let now = at(world.now);
        teller.turn(&mut world, now);
        check(&world);
    }
    assert!(
        (MOST_AN_HOUR..=MOST_AN_HOUR + 6).contains(&world.sent.len()),
        "{}",
        world.sent.len()
    );
}

/// The watcher takes timed approvals back: what it did too late is told, and what in time is not.
#[test]
fn an_approval_that_outlived_its_time_is_told_when_it_is_taken_back() {
    for (until, late, wanted) in [
        (Some(0), 0, None),
        (Some(0), 60, None),
        (Some(0), 7_200, Some("It was to end 2")),
        (None, 7_200, Some("in namespace alice.")),
    ] {
        let mut world = new_world();
        let mut teller = start(&world);
        world.ask(1);
        teller.turn(&mut world, at(START));
        let mut approval = logged(Decision::Approve, &world.claims[0], Some(Outcome::Done));
        let over = START / 1000 + 1_800;
        approval.intent.until = until.map(|late: i64| over - late);
        approval.intent.by = "matrix:@alice:localhost".to_owned();
        let mut revoke = logged(Decision::Revoke, &world.claims[0], Some(Outcome::Done));
        revoke.intent.how = How::TimeOver;
        // It was tried in time, however long that took.
        revoke.intent.at = jiff::Timestamp::from_second(over).unwrap().to_string();
        revoke.result.as_mut().unwrap().at = jiff::Timestamp::from_second(over + late).unwrap().to_string();
        teller.decided(&[approval.clone()]);
        assert_eq!(texts(&mut teller, START), [""; 0]);
        teller.decided(&[approval, revoke]);
        let text = texts(&mut teller, START).concat();
        match wanted {
            None => assert_eq!(text, ""),
            Some(wanted) => assert!(
                text.starts_with("Sigilum: an approval outlived its time and is revoked now: service \"service-1\"")
                    && text.contains(&world.claims[0].id)
                    && text.contains(wanted),
                "{text}"
            ),
        }
    }
}

/// A decision in our log about a request; without an outcome one of a run that was killed.
fn logged(decision: Decision, claim: &Claim, outcome: Option<Outcome>) -> Entry {
    let whose = ("alice", "https://api.example");
    let intent = Intent::new(decision, &World::request(claim), whose, "alice", How::Yes);
    let result = outcome.map(|outcome| Settled {
        result: intent.intent.clone(),
        at: intent.at.clone(),
        outcome,
        answer: String::new(),
    });
    Entry { intent, result }
}

/// Two may decide: what one does in a chat of their own is told in the other's, which is the owner's.
#[test]
fn an_approval_is_told_unless_it_was_made_in_the_chat_that_is_told() {
    for (how, by, is_told) in [
        (How::Asked, "alice", true),
        (How::Chat, "matrix:@alice:localhost", false),
        (How::Chat, "matrix:@bob:localhost", true),
        (How::Code, "uid 1001 for matrix:@alice:localhost", false),
        (How::Code, "uid 1001 for matrix:@bob:localhost", true),
    ] {
        let mut world = new_world();
        let mut teller = start(&world);
        world.ask(1);
        teller.turn(&mut world, at(START));
        let mut entry = logged(Decision::Approve, &world.claims[0], Some(Outcome::Done));
        (entry.intent.how, entry.intent.by) = (how, by.to_owned());
        teller.decided(&[entry]);
        let text = texts(&mut teller, START).concat();
        assert_eq!(text.contains("authz revoke"), is_told, "{by}: {text}");
    }
}

/// What a killed run left open is told once it is settled, and keeps nothing else waiting.
#[test]
fn a_decision_that_was_left_open_keeps_no_other_one_from_being_told() {
    let mut world = new_world();
    let mut teller = start(&world);
    teller.turn(&mut world, at(START));
    world.ask(1);
    world.ask(2);
    let open = logged(Decision::Approve, &world.claims[0], None);
    let done = logged(Decision::Approve, &world.claims[1], Some(Outcome::Done));
    let ids = [&open, &done].map(|entry| entry.intent.claim_id.clone());
    let settled = Entry {
        result: logged(Decision::Approve, &world.claims[0], Some(Outcome::Done)).result,
        ..open.clone()
    };
    for (log, told) in [
        (vec![open.clone()], vec![]),
        (vec![open.clone(), done.clone()], vec![&ids[1]]),
        (vec![open, done.clone()], vec![]),
        (vec![settled.clone(), done.clone()], vec![&ids[0]]),
        (vec![settled, done], vec![]),
    ] {
        teller.decided(&log);
        // As after a restart.
        world.kept = Told::parse(&teller.told().to_bytes());
        teller = start(&world);
        let texts = texts(&mut teller, START).concat();
        let found: Vec<&String> = ids.iter().filter(|id| texts.contains(*id)).collect();
        assert_eq!(found, told, "{log:?}");
    }
}

/// That a decision of ours failed does not make it ours when the request is approved elsewhere.
#[test]
fn an_approval_elsewhere_is_told_after_one_of_ours_that_failed() {
    let mut world = new_world();
    let mut teller = start(&world);
    world.ask(1);
    teller.turn(&mut world, at(START));
    world.log = vec![logged(Decision::Approve, &world.claims[0], Some(Outcome::NotDone))];
    world.end(0, "approved");
    world.now += EVERY;
    let now = at(world.now);
    teller.turn(&mut world, now);
    assert_eq!(teller.told().outcomes.len(), 1);
    assert_eq!(world.sent.len(), 2);
}
