//! Many clients at once.

use super::{Client, House, new_command};
use crate::env::STRANGER;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// Questions on their way over one connection: fewer than are turned away.
const AT_A_TIME: usize = 8;

#[test]
fn sixty_four_clients_ask_ten_thousand_questions_and_none_is_lost_or_mixed_up() {
    let house = House::new();
    let uids: Vec<u32> = (5000..5008).collect();
    let is_root = rustix::process::geteuid().is_root();
    let mut allowed = Vec::new();
    for uid in &uids {
        allowed.extend(["--allow-uid".to_owned(), uid.to_string()]);
    }
    let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
    let broker = house.broker(&allowed);
    super::chmod(house.env.home(), 0o755);
    super::chmod(&house.env.home().join("run"), 0o755);
    let (clients, each) = if is_root { (64, 157) } else { (8, 1250) };
    std::thread::scope(|scope| {
        for number in 0..clients {
            let client = match is_root {
                true => Client::by_user(&broker.socket, uids[number / 8], uids[number / 8]),
                false => broker.connect(),
            };
            scope.spawn(move || ask(client, number, each));
        }
    });
}

/// Whoever may not ask connects without end: nobody else waits for them, and the log says it once.
#[test]
fn a_user_who_may_not_ask_starves_nobody_and_fills_no_log() {
    if !crate::env::can_be_others() {
        return;
    }
    let house = House::new();
    let broker = house.broker(&[]);
    super::chmod(house.env.home(), 0o755);
    super::chmod(&house.env.home().join("run"), 0o755);
    let over = AtomicBool::new(false);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let floods: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    super::become_user(STRANGER, STRANGER);
                    let mut count = 0_u64;
                    while !over.load(Relaxed) {
                        count += u64::from(UnixStream::connect(&broker.socket).is_ok());
                    }
                    count
                })
            })
            .collect();
        for _ in 0..20 {
            let list = house.env.run(["authz", "list"]).env("SIGILUM_BROKER", &broker.socket);
            let output = list.output();
            over.store(output.code != 0, Relaxed);
            assert_eq!(output.code, 0, "{}", output.stderr);
        }
        over.store(true, Relaxed);
        let count: u64 = floods.into_iter().map(|flood| flood.join().unwrap()).sum();
        assert!(count > 200, "{count} connections are no flood");
    });
    let log = broker.stop();
    let told = log
        .iter()
        .filter(|line| line.contains("refused the user 65534"))
        .count();
    let minutes = usize::try_from(begun.elapsed().as_secs() / 60).unwrap();
    assert!((1..=2 + minutes).contains(&told), "{log:#?}");
}

/// Whoever hands messages on names another reader time and again: the API is asked no more often for it.
#[test]
fn who_names_readers_without_end_has_the_api_asked_now_and_then() {
    let house = House::new();
    let broker = house.broker(&[]);
    let mut client = broker.connect();
    client.hear().unwrap();
    let before = house.api.seen().len();
    for number in 0..200 {
        client.say(&json!({"id": number, "relay": {"notify": format!("telegram:{number}"), "poll_requests": 3600}}));
    }
    // Behind all of them.
    client.say(&json!({"id": "last", "status": {}}));
    loop {
        let line = client.hear().expect("it is gone");
        assert_eq!(line.get("failed"), None, "{line}");
        if line["id"] == "last" {
            break;
        }
    }
    let asked = house.api.seen().len() - before;
    assert!(asked < 60, "asked {asked} times");
}

/// Each message goes to the connection that names its reader: the first one's, and once that is gone the next one's.
#[test]
fn a_message_goes_to_whoever_hands_it_to_its_reader() {
    let house = House::new();
    let broker = house.broker(&[]);
    let push = |client: &mut Client| loop {
        let line = client.hear().expect("it is gone");
        if let Some(push) = line.get("push") {
            client.say(&json!({"pushed": push["key"], "status": "sent"}));
            break (push["channel"].clone(), push["to"].clone());
        }
    };
    let named = |reader: &str| {
        let mut client = broker.connect();
        client.hear().unwrap();
        client.say(&json!({"id": 1, "relay": {"notify": reader, "poll_requests": 5}}));
        client
    };
    let mut first = named("matrix:@alice:localhost");
    assert_eq!(push(&mut first), (json!("matrix"), json!("@alice:localhost")));
    let mut second = named("telegram:1");
    // Answered after its reader is known.
    second.ask(&json!({"id": 2, "status": {}}));
    house.api.add_claim(super::NS, json!({"service": "calendar"}));
    assert_eq!(push(&mut first), (json!("matrix"), json!("@alice:localhost")));
    drop(first);
    house.api.add_claim(super::NS, json!({"service": "files"}));
    assert_eq!(push(&mut second), (json!("telegram"), json!("1")));
}

/// Asks; each question has an answer of its own: every tenth the notice, every other one what is said in a group.
fn ask(mut client: Client, number: usize, each: usize) {
    client.hear().unwrap();
    let question = |n: usize| {
        let mut question = new_command(0);
        question["id"] = json!(format!("{number}-{n}"));
        if !n.is_multiple_of(10) {
            question["chatType"] = json!("group");
            question["asking"] = json!({"groups": "off"});
        }
        question
    };
    let mut open = BTreeSet::new();
    let mut answered = 0;
    for n in 0..each {
        client.say(&question(n));
        open.insert(n);
        while open.len() >= AT_A_TIME || (n + 1 == each && !open.is_empty()) {
            let answer = client.hear().expect("it is gone");
            let id = answer["id"].as_str().unwrap().to_owned();
            let (whose, which) = id.split_once('-').unwrap();
            let which: usize = which.parse().unwrap();
            assert_eq!(whose, number.to_string(), "{answer}");
            assert!(open.remove(&which), "{answer}");
            let messages = answer["messages"].as_array().map(Vec::len).unwrap_or_default();
            assert_eq!(messages, usize::from(which.is_multiple_of(10)), "{answer}");
            answered += 1;
        }
    }
    assert_eq!(answered, each);
    let Value::Null = client.ask(&json!({"id": "last"}))["error"] else {
        panic!("it was turned away")
    };
}
