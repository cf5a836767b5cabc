//! Hostile clients: what they ask for, and how slowly.

use super::{Client, House, new_command};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rustix::event::{PollFd, PollFlags};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::io::Write;
use std::time::Duration;

/// A second factor, in base32.
const FACTOR: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

#[test]
fn one_user_has_eight_connections_and_a_line_sixty_four_kilobytes() {
    let house = House::new();
    let broker = house.broker(&[]);
    let mut clients: Vec<Client> = (0..8).map(|_| broker.connect()).collect();
    for client in &mut clients {
        client.hear().unwrap();
    }
    let mut ninth = broker.connect();
    assert!(
        ninth.hear().unwrap()["error"]
            .as_str()
            .unwrap()
            .contains("8 connections")
    );
    assert_eq!(ninth.hear(), None);
    let mut client = clients.pop().unwrap();
    let long = json!({"id": 1, "type": "command", "x": "y".repeat(64 * 1024)});
    assert!(client.ask(&long)["error"].as_str().unwrap().contains("65536 bytes"));
    assert_eq!(client.ask(&new_command(2))["id"], 2);
    // The seat of one who leaves is free.
    drop(client);
    super::wait_for("a seat is free", || {
        broker.connect().hear().unwrap().get("version").is_some()
    });
}

/// Whoever asks and goes away leaves work behind, which counts until it is done.
#[test]
fn a_question_keeps_its_seat_when_nobody_waits_for_it_any_more() {
    let house = House::new();
    let broker = house.broker(&[]);
    house.api.delay(Duration::from_secs(5));
    let clients: Vec<Client> = (0..8)
        .map(|id| {
            let mut client = broker.connect();
            client.hear().unwrap();
            client.say(&json!({"id": id, "list": {"status": "pending"}}));
            client.stream.shutdown(std::net::Shutdown::Write).unwrap();
            client
        })
        .collect();
    // Their connections end; what they asked is under way.
    for mut client in clients {
        while client.hear().is_some() {}
    }
    let refused = broker.connect().hear().unwrap();
    assert!(
        refused["error"]
            .as_str()
            .is_some_and(|why| why.contains("8 connections")),
        "{refused}"
    );
    super::wait_for("a seat is free", || {
        broker.connect().hear().unwrap().get("version").is_some()
    });
}

/// Whoever guesses where the broker's folder is is told the same as for any other path.
#[test]
fn no_answer_tells_that_its_folder_was_guessed() {
    let house = House::new();
    let broker = house.broker(&[]);
    let mut client = broker.connect();
    client.hear().unwrap();
    let right = house.state().to_str().unwrap().to_owned();
    let wrong = format!("{}x", &right[..right.len() - 1]);
    for question in [
        r#"{"id":"GUESS","type":"command","action":"stop"}"#,
        r#"{"id":1,"list":{"status":"GUESS"}}"#,
        r#"{"id":1,"list":{"status":"pending","service":"GUESS"}}"#,
        r#"{"id":1,"show":{"id":"GUESS"}}"#,
        r#"{"id":1,"status":{},"asking":{"namespace":"GUESS"}}"#,
    ] {
        let mut told = |guess: &str| {
            client.say_raw(&question.replace("GUESS", guess));
            client.raw().replace(guess, "GUESS")
        };
        assert_eq!(told(&right), told(&wrong), "{question}");
    }
}

/// As deep as the parser goes, and deeper.
#[test]
fn a_deep_line_ends_nothing() {
    let house = House::new();
    let broker = house.broker(&[]);
    let mut client = broker.connect();
    client.hear().unwrap();
    for depth in [80, 100, 120, 126, 127, 1_000, 10_000] {
        let mut line = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        for _ in 0..2 {
            client.say_raw(&line);
            assert!(client.hear().is_some(), "{depth} levels");
            line = format!(r#"{{"id":1,"list":{line}}}"#);
        }
    }
    assert_eq!(client.ask(&new_command(2))["id"], 2);
}

#[test]
fn who_is_slow_or_does_not_read_is_closed_and_holds_nobody_up() {
    let house = House::new();
    for n in 0..200 {
        house.api.add_claim(
            super::NS,
            json!({"service": format!("service-{n}-{}", "x".repeat(100))}),
        );
    }
    let broker = house.broker(&[]);
    let mut slow = broker.connect();
    slow.hear().unwrap();
    slow.stream.write_all(b"{\"id\":1,").unwrap();
    let mut deaf = broker.connect();
    deaf.hear().unwrap();
    for id in 0..16 {
        deaf.say(&json!({"id": id, "list": {"status": "pending", "json": true}}));
    }
    let mut other = broker.connect();
    other.hear().unwrap();
    for id in 1..=5 {
        assert_eq!(other.ask(&new_command(id))["id"], id);
    }
    // The line that never ends is answered as what it is, and then it is over.
    assert!(slow.hear().unwrap()["error"].is_string());
    assert_eq!(slow.hear(), None);
    // So is the one that does not read: what it gets ends somewhere.
    super::wait_for("it is closed", || {
        let mut fds = [PollFd::new(&deaf.stream, PollFlags::empty())];
        rustix::event::poll(&mut fds, Some(&rustix::event::Timespec::default())).unwrap();
        fds[0].revents().contains(PollFlags::HUP)
    });
    let mut lines = 0;
    while deaf.hear().is_some() {
        lines += 1;
    }
    assert!(lines < 16, "it got all {lines}");
    assert_eq!(other.ask(&new_command(9))["id"], 9);
}

/// Secrets that come while the broker runs, once it has answered: what is kept of the old ones is not what is hidden.
#[test]
fn a_secret_that_is_changed_under_a_running_broker_is_hidden_too() {
    let house = House::new();
    let broker = house.broker(&["--decide", "totp"]);
    let mut client = broker.connect();
    client.hear().unwrap();
    let mut listed = |id: u64| {
        client
            .ask(&json!({"id": id, "list": {"status": "pending", "json": true}}))
            .to_string()
    };
    let plain = ["another secret of this house", FACTOR, "yet another secret of it"];
    house
        .api
        .add_claim(super::NS, json!({"service": "leak", "subject": plain.join(" and ")}));
    let before = listed(1);
    assert!(plain.iter().all(|secret| before.contains(secret)), "{before}");
    let factor =
        json!({"secret": FACTOR, "spent": null, "wrong": 0, "wrong_at": null, "locks": 0, "locked_until": null});
    for (number, (file, text)) in [
        ("jwt-secret", plain[0]),
        ("totp.json", &factor.to_string()),
        ("jwt-secret", plain[2]),
    ]
    .into_iter()
    .enumerate()
    {
        house.env.write(format!("state/.sigilum/{file}"), text);
        let after = listed(2 + number as u64);
        assert!(
            !after.contains(plain[number]) && after.contains("<hidden>"),
            "{file}: {after}"
        );
    }
}

/// Questions of every kind, with tokens, secrets and paths where texts are.
fn lines(house: &House) -> impl Strategy<Value = String> + use<> {
    let texts = vec![
        house.token.clone(),
        super::SECRET.to_owned(),
        house.state().to_str().unwrap().to_owned(),
        "alice".to_owned(),
        "pending".to_owned(),
        "cl_0123456789".to_owned(),
        "../../etc/passwd".to_owned(),
        "\u{1b}[2J".to_owned(),
        String::new(),
    ];
    let text = prop_oneof![proptest::sample::select(texts), any::<String>()];
    let name = proptest::sample::select(vec![
        "id",
        "type",
        "action",
        "list",
        "show",
        "status",
        "relay",
        "asking",
        "namespace",
        "service",
        "json",
        "senders",
        "groups",
        "deciders",
        "notify",
        "command",
        "text",
        "channel",
        "senderId",
        "event",
        "sessionKey",
        "chatType",
        "confirmed",
        "pushed",
        "dashboard",
        "poll_requests",
    ]);
    let leaf = prop_oneof![
        text.clone().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    let value = leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(name.clone(), inner, 0..6).prop_map(|members| members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    });
    let kind = proptest::sample::select(vec![
        "list", "show", "status", "relay", "command", "event", "asking", "type",
    ]);
    let question = (kind, value.clone(), value).prop_map(|(kind, asked, asking)| {
        json!({"id": 1, kind: asked, "asking": asking, "action": "new", "chatType": "direct"}).to_string()
    });
    prop_oneof![4 => question, 1 => any::<String>().prop_map(|text| text.replace('\n', " "))]
}

#[test]
fn no_answer_holds_a_token_a_secret_or_a_path_of_its_folder() {
    let house = House::new();
    house.api.add_claim(
        super::NS,
        json!({"service": "leak", "agent_name": house.token, "subject": super::SECRET}),
    );
    let broker = house.broker(&[]);
    let mut client = broker.connect();
    client.hear().unwrap();
    let mut runner = TestRunner::new(Config {
        cases: 400,
        failure_persistence: None,
        ..Config::default()
    });
    let state = house.state().to_str().unwrap().to_owned();
    let (client, asked) = (RefCell::new(&mut client), RefCell::new(0));
    let ran = runner.run(&lines(&house), |line| {
        let (mut client, mut asked) = (client.borrow_mut(), asked.borrow_mut());
        let asked = &mut *asked;
        client.stream.write_all(line.as_bytes()).unwrap();
        // A question behind it: what comes later is looked at with the next one's.
        let end = {
            *asked += 1;
            format!("end-{asked}")
        };
        writeln!(
            client.stream,
            "\n{}",
            json!({"id": end, "type": "command", "action": "stop"})
        )
        .unwrap();
        loop {
            let answer = client.raw();
            prop_assert!(!answer.is_empty(), "it is gone after {line}");
            prop_assert!(!answer.contains(&house.token), "{answer}");
            prop_assert!(!answer.contains(super::SECRET), "{answer}");
            prop_assert!(!answer.contains(&state), "{answer}");
            if answer.contains(&format!("\"{end}\"")) {
                return Ok(());
            }
        }
    });
    ran.unwrap();
    let mut other = broker.connect();
    other.hear().unwrap();
    let shown = other.ask(&json!({"id": 9, "list": {"status": "pending", "json": true}}));
    assert!(
        shown["text"].as_str().unwrap_or_default().contains("<hidden>"),
        "{shown}"
    );
}
