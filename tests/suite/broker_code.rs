//! Deciding over a broker's socket by a code of the owner's second factor.

use crate::broker::{Broker, Client, House};
use crate::env::{self, BROKER, STRANGER, now};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use totp_rs::{Builder, Secret, Totp};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const ONE: &str = "cl_00000001000000000000000a";
const TWO: &str = "cl_00000002000000000000000b";

/// The owner's app, and what the broker keeps of it.
fn app() -> Totp {
    let secret = Secret::try_from_base32(SECRET).unwrap();
    Builder::new().with_secret(secret).build().unwrap()
}

/// The code of now, or of so many steps later.
fn code(steps: i64) -> String {
    app().generate(u64::try_from(now() + 30 * steps).unwrap()).to_string()
}

fn factor() -> String {
    json!({"secret": SECRET, "spent": null, "wrong": 0, "wrong_at": null, "locks": 0, "locked_until": null}).to_string()
}

/// A house with two requests, and a second factor.
fn house() -> House {
    let house = House::new();
    for (id, service) in [(ONE, "mail"), (TWO, "calendar")] {
        house.api.add_claim(
            "alice",
            json!({"claim_id": id, "service": service, "created_at": env::api::iso(now() - 60)}),
        );
    }
    house.env.write("state/.sigilum/totp.json", factor());
    house
}

fn typed(id: u64, text: &str) -> Value {
    json!({"id": id, "asking": {"deciders": ["telegram:1"]}, "command": {"text": text, "channel": "telegram", "senderId": "1",
        "from": "telegram:1", "chatType": "direct", "senderIsOwner": true, "canAssertOwner": true,
        "gatewayClientScopes": null}})
}

/// What a chat is answered, with OpenClaw's word given where it is asked for.
fn say(client: &mut Client, text: &str) -> String {
    let mut answer = client.ask(&typed(7, text));
    if answer.get("confirm").is_some() {
        answer = client.ask(&json!({"id": 7, "confirmed": true}));
    }
    answer["reply"]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
        .to_owned()
}

fn posts(house: &House) -> usize {
    house.api.posts().len()
}

/// A connection on which the requests were shown.
fn shown(broker: &Broker) -> Client {
    let mut client = broker.connect();
    client.hear();
    let list = say(&mut client, "list");
    assert!(list.contains("/sigilum approve ID CODE"), "{list}");
    client
}

fn log(house: &House) -> Vec<Value> {
    let run = house
        .env
        .run(["broker", "log", "--json", "--state"])
        .args([house.state()]);
    let log: Value = serde_json::from_str(&run.expect(0).stdout).unwrap();
    log["decisions"].as_array().unwrap().clone()
}

#[test]
fn a_code_decides_once_and_the_log_says_for_whom() {
    let house = house();
    let broker = house.broker(&["--decide", "totp"]);
    let mut client = shown(&broker);
    let right = code(0);
    let none = say(&mut client, &format!("approve {ONE}"));
    assert!(none.contains("takes a code of your authenticator app"), "{none}");
    assert_eq!(posts(&house), 0);

    let done = say(&mut client, &format!("approve {ONE} {} {}", &right[..3], &right[3..]));
    assert!(done.starts_with("Sigilum: approved cl_"), "{done}");
    assert_eq!(posts(&house), 1);

    // Spent, wrong, and of another time are told in the same words.
    let spent = say(&mut client, &format!("approve {TWO} {right}"));
    let wrong = say(&mut client, &format!("reject {TWO} 000000"));
    let late = say(&mut client, &format!("approve {TWO} {}", code(-2)));
    assert!(spent.contains("the code does not count"), "{spent}");
    assert!(wrong == spent && late == spent, "{wrong}\n{late}");
    assert_eq!(posts(&house), 1);

    let entries = log(&house);
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(
        (&entries[0]["by"], &entries[0]["how"]),
        (&json!("uid 0 for telegram:1"), &json!("code"))
    );
    assert_eq!(entries[0]["result"]["outcome"], json!("done"));
    let next = code(1);
    let rejected = say(&mut client, &format!("reject {TWO} {next}"));
    assert!(rejected.starts_with("Sigilum: rejected cl_"), "{rejected}");
    for text in [
        none,
        done,
        spent,
        rejected,
        fs::read_to_string(house.state().join(".sigilum/decisions.jsonl")).unwrap(),
    ] {
        assert!(
            !text.contains(&right) && !text.contains(&next) && !text.contains(SECRET),
            "{text}"
        );
    }
}

#[test]
fn without_the_flag_a_code_decides_nothing() {
    let house = house();
    let broker = house.broker(&[]);
    let mut client = broker.connect();
    client.hear();
    say(&mut client, "list");
    let told = say(&mut client, &format!("approve {ONE} {}", code(0)));
    assert!(
        told.contains("takes no decision from the OpenClaw gateway's user"),
        "{told}"
    );
    assert_eq!((posts(&house), log(&house).len()), (0, 0));
}

#[test]
fn what_was_not_shown_or_changed_is_shown_and_the_code_stays_good() {
    let house = house();
    let broker = house.broker(&["--decide", "totp"]);
    let mut client = broker.connect();
    client.hear();
    let right = code(0);
    let approve = format!("approve {ONE} {right}");
    let first = say(&mut client, &approve);
    assert!(first.contains("it was not shown here yet"), "{first}");
    house.api.change(ONE, "service", "bank");
    let changed = say(&mut client, &approve);
    assert!(changed.contains("it is not as it was shown here"), "{changed}");
    assert_eq!(posts(&house), 0);
    assert!(say(&mut client, &approve).starts_with("Sigilum: approved"));
}

#[test]
fn wrong_codes_lock_over_a_restart_until_a_person_lifts_it() {
    let house = house();
    let broker = house.broker(&["--decide", "totp"]);
    let mut client = shown(&broker);
    for _ in 0..5 {
        say(&mut client, &format!("approve {ONE} 000000"));
    }
    let locked = say(&mut client, &format!("approve {ONE} {}", code(0)));
    assert!(
        locked.contains("none counts until 20") && locked.contains("broker totp unlock"),
        "{locked}"
    );
    broker.stop();
    let broker = house.broker(&["--decide", "totp"]);
    let mut client = shown(&broker);
    assert_eq!(say(&mut client, &format!("approve {ONE} {}", code(0))), locked);
    assert_eq!(posts(&house), 0);
    // The broker's user decides in a terminal all the same.
    let decide = house.env.run(["authz", "approve", TWO, "--yes", "--openclaw-home"]);
    decide.args([house.state()]).expect(0);
    assert_eq!(posts(&house), 1);
    let unlock = house
        .env
        .run(["broker", "totp", "unlock", "--state"])
        .args([house.state()]);
    assert_eq!(unlock.at_a_terminal("").code, 0);
    assert!(say(&mut client, &format!("approve {ONE} {}", code(0))).starts_with("Sigilum: approved"));
}

/// One code for two requests over two connections at once.
#[test]
fn of_two_who_give_one_code_at_once_one_decides() {
    let house = house();
    let broker = house.broker(&["--decide", "totp"]);
    let mut clients = [shown(&broker), shown(&broker)];
    let right = code(0);
    let answers: Vec<String> = std::thread::scope(|scope| {
        let saying: Vec<_> = clients
            .iter_mut()
            .zip([ONE, TWO])
            .map(|(client, id)| {
                let text = format!("approve {id} {right}");
                scope.spawn(move || say(client, &text))
            })
            .collect();
        saying.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let done = answers
        .iter()
        .filter(|answer| answer.starts_with("Sigilum: approved"))
        .count();
    assert_eq!((done, posts(&house)), (1, 1), "{answers:?}");
}

/// Whoever lets the gateway's word be waited for keeps nobody from deciding: six digits are not yet a code.
#[test]
fn who_is_waited_for_holds_no_decision_up() {
    let house = house();
    let broker = house.broker(&["--decide", "totp"]);
    let mut waiting: Vec<Client> = (0..3).map(|_| shown(&broker)).collect();
    let right = code(0);
    let codes = ["000000", "000001", &right];
    for (client, code) in waiting.iter_mut().zip(codes) {
        let answer = client.ask(&typed(7, &format!("approve {ONE} {code}")));
        assert_eq!(answer["confirm"], json!(true), "{answer}");
    }
    let lock = house.state().join(".sigilum/decisions.lock");
    let lock = fs::File::options().write(true).create(true).truncate(false).open(lock);
    let lock = lock.unwrap();
    lock.try_lock().expect("deciding is held up");
    drop(lock);
    let answers = waiting
        .iter_mut()
        .map(|client| client.ask(&json!({"id": 7, "confirmed": true})));
    let answers: Vec<String> = answers.map(|answer| answer["reply"]["text"].to_string()).collect();
    assert!(answers[0].contains("the code does not count"), "{answers:?}");
    assert!(answers[2].contains("Sigilum: approved"), "{answers:?}");
    assert_eq!(posts(&house), 1);
}

/// What cannot be read counts for nothing, and the chat is told no path.
#[test]
fn a_second_factor_that_is_gone_or_broken_decides_nothing() {
    for text in [None, Some("{}"), Some(r#"{"secret": "GEZDGNBV"}"#)] {
        let house = house();
        let broker = house.broker(&["--decide", "totp"]);
        let mut client = shown(&broker);
        let file = house.state().join(".sigilum/totp.json");
        match text {
            None => fs::remove_file(&file).unwrap(),
            Some(text) => fs::write(&file, text).unwrap(),
        }
        let told = say(&mut client, &format!("approve {ONE} {}", code(0)));
        assert!(told.contains("no code can be looked at now"), "{told}");
        assert!(!told.contains(house.state().to_str().unwrap()));
        assert_eq!(posts(&house), 0);
    }
}

/// The system gives nobody but root what is in its memory, nor writes it anywhere.
#[test]
fn its_memory_is_nobodys() {
    if !crate::env::can_be_others() {
        return;
    }
    let house = house();
    let binary = house.env.home().join("binary");
    env::copy_binary(&binary);
    env::three_users::chmod(house.env.home(), 0o755);
    env::three_users::give(&house.state(), BROKER);
    env::three_users::give(&house.env.home().join("run"), BROKER);
    let run = house
        .env
        .run_program(&binary, ["broker", "run", "--socket"])
        .args([house.socket()]);
    let run = run
        .args(["--state"])
        .args([house.state()])
        .args(["--allow-uid", &STRANGER.to_string()]);
    let broker = Broker::started(house.socket(), run.by_user(BROKER, &[BROKER]).into_command());
    let of = |name: &str| Path::new("/proc").join(broker.pid().to_string()).join(name);
    let owner = |name: &str| fs::metadata(of(name)).unwrap().uid();
    assert_eq!(
        (owner("status"), owner("mem"), owner("environ")),
        (0, 0, 0),
        "it can be dumped"
    );
    let limits = fs::read_to_string(of("limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert!(
        core.split_whitespace().skip(4).take(2).all(|limit| limit == "0"),
        "{core}"
    );
    broker.stop();
}
