//! `authz list` and `authz show`.

use super::{World, id, key};
use crate::env::api::{Fault, iso};
use crate::env::local_api::{FakeCheckout, pending_claim};
use crate::env::{TestEnv, added, now};
use serde_json::{Value, json};

fn listed(world: &World, words: &str) -> Vec<Value> {
    let output = world.authz(&format!("list --json {words}")).expect(0);
    let json: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(json.as_object().unwrap().len(), 4, "{json}");
    json["requests"].as_array().unwrap().clone()
}

fn ids(world: &World, words: &str) -> Vec<String> {
    let requests = listed(world, words);
    let id = |request: &Value| request["claim_id"].as_str().unwrap().to_owned();
    requests.iter().map(id).collect()
}

#[test]
fn requests_by_status_and_service() {
    let world = World::with_three();
    for (number, status) in [(4, "approved"), (5, "rejected"), (6, "revoked"), (7, "expired")] {
        world.request(number, "mail");
        world.api.change(&id(number), "status", status);
    }
    let cases: [(&str, &[u32]); 8] = [
        ("", &[1, 2, 3]),
        ("--status pending --service mail", &[1, 2]),
        ("--service nothing", &[]),
        ("--status approved", &[4]),
        ("--status rejected", &[5]),
        ("--status revoked", &[6]),
        ("--status expired", &[7]),
        ("--status all --service mail", &[1, 2, 4, 5, 6, 7]),
    ];
    for (words, expected) in cases {
        let expected: Vec<String> = expected.iter().map(|number| id(*number)).collect();
        assert_eq!(ids(&world, words), expected, "{words}");
    }
    let json = world.authz("list --json --service mail").expect(0).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["total"], &json["complete"]), (&json!(2), &json!(true)));
    // Nothing is decided, sent or written by looking.
    assert_eq!(world.api.posts(), [] as [&str; 0]);
    assert!(!world.env.sigilum("seen.json").exists());
    let shown = |words: &str| listed(&world, words)[0]["shown"].clone();
    assert_eq!((shown(""), shown("--status approved")), (json!(false), Value::Null));
    let table = world.authz("list").expect(0).stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4, "{table}");
    let head: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!(head.join(" "), "ID STATUS SERVICE SUBJECT AGENT KEY IP ASKED LIVES");
    for part in [
        "cl_00000001",
        "pending",
        "mail",
        "bot-1",
        "10.0.0.7",
        "new, 1 min",
        "23 h 5",
    ] {
        assert!(lines[1].contains(part), "{part}: {}", lines[1]);
    }
    let nothing = world.authz("list --service nothing").expect(0).stdout;
    assert_eq!(nothing, "Nothing waits for approval in namespace alice.\n");
}

#[test]
fn one_request_as_json() {
    let world = World::with_three();
    world.authz(&format!("approve {} --yes", id(1))).expect(0);
    let output = world.authz(&format!("show {} --json", id(1))).expect(0);
    let shown: Value = serde_json::from_str(&output.stdout).unwrap();
    let listed = listed(&world, "--status approved");
    for field in ["claim_id", "service", "public_key", "status", "approved_at", "until"] {
        assert_eq!(shown[field], listed[0][field], "{field}: {shown}");
    }
    assert_eq!(shown["decisions"][0]["decision"], "approve", "{shown}");
    assert_eq!(shown["decisions"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&shown["used"]["days"], &shown["used"]["calls"]),
        (&json!(30), &json!(0))
    );
}

/// A word that a command line takes for a flag names no request.
#[test]
fn an_id_that_is_a_flag_is_none() {
    let world = World::new();
    for flag in ["--all", "-h"] {
        world.api.add_claim(
            "alice",
            json!({"claim_id": flag, "service": "mail", "public_key": key(1), "created_at": iso(now() - 60)}),
        );
    }
    let table = world.authz("list").expect(0).stdout;
    assert!(!table.contains("--all") && !table.contains("-h "), "{table}");
    assert_eq!(
        table.lines().filter(|line| line.starts_with("- ")).count(),
        2,
        "{table}"
    );
}

#[test]
fn long_requests_hide_no_others() {
    let world = World::new();
    for number in 1..=22 {
        world.request(number, "mail");
        world.api.change(&id(number), "subject", "x".repeat(60_000));
    }
    assert_eq!(ids(&world, "").len(), 22);
    let status = world.env.run(["auth", "status"]).output().stdout;
    assert!(status.contains("accepted"), "{status}");
    // One that is too long by itself.
    world.api.change(&id(3), "subject", "x".repeat(1 << 20));
    let json = world.authz("list --json").expect(0).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["total"], &json["too_long"], &json["complete"]),
        (&json!(22), &json!(1), &json!(false))
    );
    let listed = world.authz("list").expect(0);
    let says = "note: 1 pending request is too long to be read (over 1 MiB); what is not answered within 24 h runs out";
    assert!(listed.stderr.contains(says), "{}", listed.stderr);
    assert_eq!(listed.stdout.lines().count(), 22);
    let rejected = world.authz("reject --all --yes").expect(0);
    assert!(
        rejected.stderr.contains("1 pending request is too long"),
        "{}",
        rejected.stderr
    );
    assert_eq!(world.api.posts().len(), 21);
    // It alone.
    let alone = world.authz("list").expect(0).stdout;
    assert_eq!(alone, "No request of namespace alice could be read.\n");
    let alone = world.authz("reject --all --yes").expect(1);
    assert!(
        alone.stderr.contains("next: look at them in the dashboard, "),
        "{}",
        alone.stderr
    );
}

/// What an owner compares is whole, on a terminal of any width and in a pipe.
#[test]
fn what_tells_requests_apart_is_never_cut() {
    let world = World::new();
    let (service, agent) = ("github-production-".repeat(4), "a-".repeat(20));
    let key_of = |letter: &str| format!("ed25519:MCowBQYDK2VwAyEA{}{letter}Ttt=", letter.repeat(39));
    for (number, letter) in [(1, "a"), (2, "b")] {
        world.request(number, &format!("{service}{letter}"));
        world.api.change(&id(number), "public_key", key_of(letter));
        world.api.change(&id(number), "agent_name", agent.as_str());
    }
    let piped = world.authz("list").expect(0).stdout;
    let on_terminal = world.authz("list").on_terminal(true).end().stderr;
    let asked = world.authz(&format!("approve {}", id(1))).at_a_terminal("n\n").stderr;
    for letter in ["a", "b"] {
        let (service, key) = (
            format!("{service}{letter}"),
            format!("{0}..{1}{letter}Ttt", letter.repeat(8), letter.repeat(4)),
        );
        for shown in [&piped, &on_terminal] {
            assert!(shown.contains(&service) && shown.contains(&key), "{shown}");
        }
    }
    assert!(piped.contains(&agent), "{piped}");
    assert!(
        asked.contains(&format!("{service}a")) && asked.contains(&key_of("a")),
        "{asked}"
    );
}

#[test]
fn all_pages_and_how_long_a_request_lives() {
    let world = World::new();
    for number in 1..=450 {
        world.request(number, "mail");
    }
    assert_eq!(ids(&world, "").len(), 450);
    let pages = world
        .api
        .seen()
        .into_iter()
        .filter(|seen| seen.line.contains("claims?"));
    assert_eq!(pages.count(), 3 + 1, "and one of the login");

    // One that is asked again after a day has a new id, the old age, and minutes to live.
    let world = World::new();
    world.request(1, "mail");
    assert_eq!(
        world.api.ask("alice", "mail", &key(1), &id(9)),
        id(1),
        "it waits already"
    );
    world.env.run(["hook", "run", "--event", "command:new"]).expect(0);
    world.authz(&format!("reject {} --yes", id(1))).expect(0);
    world.env.run(["hook", "run", "--event", "command:new"]).expect(0);
    world.api.change(&id(1), "created_at", iso(now() - 90_000));
    assert_eq!(world.api.ask("alice", "mail", &key(1), &id(2)), id(2));
    let request = &listed(&world, "")[0];
    assert_eq!((&request["claim_id"], &request["again"]), (&json!(id(2)), &json!(true)));
    let table = world.authz("list").expect(0).stdout;
    assert!(
        table.contains("again, first seen ") && table.contains("under 15 min"),
        "{table}"
    );
    world.api.expire();
    assert_eq!(ids(&world, "--status expired"), [id(2)]);
}

/// What a stranger wrote neither moves a terminal nor passes for another line or column.
#[test]
fn texts_of_strangers() {
    let world = World::new();
    let evil = "x\u{1b}[2J\r\nstatus: approved\u{202e}\u{200b}";
    let fields = [
        "service",
        "subject",
        "agent_id",
        "agent_name",
        "agent_ip",
        "public_key",
        "created_at",
    ];
    let mut claim = json!({"claim_id": id(1)});
    for field in fields {
        claim[field] = evil.repeat(40).into();
    }
    world.api.add_claim("alice", claim);
    let list = world.authz("list").expect(0);
    assert_eq!(list.stdout.lines().count(), 2, "{}", list.stdout);
    let show = world.authz(&format!("show {}", id(1))).expect(0);
    assert!(!show.stdout.lines().any(|line| line.starts_with("status: approved")));
    let asked = world.authz(&format!("approve {}", id(1))).at_a_terminal("n\n");
    let json = world.authz("list --json").expect(0);
    for output in [list, show, asked, json] {
        let text = format!("{}{}", output.stdout, output.stderr);
        let bad = |c: char| c != '\n' && (c.is_control() || "\u{202e}\u{200b}".contains(c));
        assert!(!text.contains(bad), "{text:?}");
    }
}

#[test]
fn one_request_with_its_history_and_its_use() {
    let world = World::with_three();
    world.authz(&format!("approve {} --yes", id(1))).expect(0);
    let last = now() - 3_600;
    world.api.used("mail", &key(1), 7, 2, last);
    world.api.used("mail", &key(1), 50, 0, now() - 40 * 86_400);
    world.api.used("mail", &key(2), 9, 0, now());
    let show = world.authz("show cl_00000001").expect(0).stdout;
    for line in [
        format!("id: {}", id(1)),
        "status: approved".to_owned(),
        "service: mail".to_owned(),
        format!("key: {}", key(1)),
        "agent name: bot-1".to_owned(),
        format!("use, last 30 days: 7 calls, 2 failed, the last at {}", iso(last)),
    ] {
        assert!(show.lines().any(|shown| shown == line), "{line} in\n{show}");
    }
    assert!(show.contains(": approve by "), "{show}");
    assert!(show.contains(" (--yes): done: approved"), "{show}");
    // The next step works as printed.
    let pending = world.authz(&format!("show {}", id(2))).expect(0);
    assert!(
        pending.stdout.contains("use, last 30 days: 9 calls"),
        "{}",
        pending.stdout
    );
    let answer = format!("to answer: sigilum-authz-notify authz approve {}", id(2));
    assert!(pending.stderr.contains(&answer), "{}", pending.stderr);
    // Its use is no reason to say nothing else.
    world.api.next_faults([
        Fault::None,
        Fault::Status(500, "INTERNAL"),
        Fault::Status(500, "INTERNAL"),
    ]);
    let show = world.authz(&format!("show {}", id(3))).expect(0).stdout;
    assert!(
        show.contains("use, last 30 days: not known: the API answered with status 500"),
        "{show}"
    );
}

/// What cannot be read of our own files is told in its place, and keeps nothing else from being shown.
#[test]
fn files_that_cannot_be_read_hide_no_request() {
    let world = World::with_three();
    world.authz(&format!("approve {} --yes", id(1))).expect(0);
    world.env.write(".openclaw/.sigilum/approvals.json", "{");
    let log = world.env.sigilum("decisions.jsonl");
    std::fs::remove_file(&log).unwrap();
    std::fs::create_dir(&log).unwrap();
    let show = world.authz(&format!("show {}", id(1))).expect(0);
    for line in [
        "status: approved",
        "taken back: not known: could not use the list of timed approvals: ",
        "decided here: not known: could not read the file: ",
    ] {
        assert!(show.stdout.contains(line), "{line} in\n{}", show.stdout);
    }
    let as_json = world.authz(&format!("show {} --json", id(1))).expect(0);
    let json: Value = serde_json::from_str(&as_json.stdout).unwrap();
    assert_eq!(
        [&json["status"], &json["until"], &json["decisions"]],
        [&json!("approved"), &Value::Null, &json!([])]
    );
    for note in [
        "note: until when the approval stands is not known: could not use the list of timed approvals: ",
        "note: what was decided here is not known: could not read the file: ",
    ] {
        assert!(as_json.stderr.contains(note), "{note} in\n{}", as_json.stderr);
    }
    let list = world.authz("list --status all").expect(0);
    assert_eq!(list.stdout.lines().count(), 4, "{}", list.stdout);
    let note = "note: until when approvals stand is not known: could not use the list of timed approvals: ";
    assert!(list.stderr.starts_with(note), "{}", list.stderr);
    assert!(list.stderr.contains("next: rm "), "{}", list.stderr);
}

#[test]
fn which_request_is_meant() {
    let world = World::with_three();
    let near = format!("cl_00000001{}", "f".repeat(16));
    world.api.add_claim(
        "alice",
        json!({"claim_id": near, "service": "mail", "status": "revoked"}),
    );
    world
        .api
        .add_claim("bob", json!({"claim_id": id(8), "service": "mail"}));
    let cases = [
        ("show cl_0000000", 2, "it is no id, nor the first 11 characters of one"),
        ("show 00000001", 1, "could not find the request 00000001"),
        ("show cl_00000001", 2, "2 requests fit"),
        ("show cl_deadbeef", 1, "could not find the request cl_deadbeef"),
        ("show ../../health", 2, "it is no id"),
        (
            "approve --yes cl_00000002 cl_deadbeef",
            1,
            "could not find the request cl_deadbeef",
        ),
        (
            "approve --yes --service files --key nobody",
            1,
            "of the key nobody for the service files",
        ),
        ("approve --yes", 2, "required"),
        (
            "approve --yes --all",
            2,
            "error: unexpected argument '--all' found\n\nUsage",
        ),
        ("reject --all", 2, "--all shows none of them, so it needs --yes"),
    ];
    for (words, code, says) in cases {
        let output = world.authz(words).expect(code);
        assert!(output.stderr.contains(says), "{words}: {}", output.stderr);
    }
    let other = world.authz(&format!("approve {} --yes", id(8))).expect(4);
    assert!(
        other.stderr.contains("it is a request in another namespace than alice"),
        "{}",
        other.stderr
    );
    assert_eq!(world.api.posts(), [] as [&str; 0]);
    // The list shortens ids as far as they stay clear among what it lists.
    let short = &listed(&world, "--status all --service mail");
    let short: Vec<&str> = short
        .iter()
        .map(|request| request["short_id"].as_str().unwrap())
        .collect();
    assert_eq!(short, ["cl_000000010", "cl_00000002", "cl_00000001f"]);
    world.authz(&format!("approve {} --yes", short[0])).expect(0);
    world
        .authz(&format!("approve --yes --service files --key {}", key(3)))
        .expect(0);
    let bare = key(2).replace("ed25519:", "");
    world
        .authz(&format!("reject --yes --service mail --key {bare}"))
        .expect(0);
    assert_eq!(
        [world.status(1), world.status(2), world.status(3)],
        ["approved", "rejected", "approved"]
    );
    // What the refusal above says to add has the next one rejected.
    world.request(4, "mail");
    let refused = world.authz("reject --all").expect(2);
    world.authz("reject --all").args(added(refused.step())).expect(0);
    assert_eq!(world.status(4), "rejected");
}

/// Where the local API does not run, its database says what waits; nothing can be decided.
#[test]
fn the_local_database_is_read_where_no_api_runs() {
    let env = TestEnv::new();
    let checkout = FakeCheckout::new(&env);
    let db = checkout.wrangler();
    pending_claim(&db, "alice", "linear", &id(1), 60);
    pending_claim(&db, "alice", "mail", &id(2), 30);
    db.execute(
        "UPDATE authorizations SET status = 'approved' WHERE service = 'mail'",
        [],
    )
    .unwrap();
    env.login()
        .args(["--api-url", "http://127.0.0.1:9", "--no-check", "--source-home"])
        .args([&checkout.root])
        .expect(0);
    let output = env.run(["authz", "list", "--json", "--status", "all"]).expect(0);
    let json: Value = serde_json::from_str(&output.stdout).unwrap();
    let status = |at: usize| {
        (
            json["requests"][at]["claim_id"].clone(),
            json["requests"][at]["status"].clone(),
        )
    };
    assert_eq!(status(0), (json!(id(1)), json!("pending")));
    assert_eq!(status(1), (json!(id(2)), json!("approved")));
    assert!(
        output.stderr.contains("read from the local database"),
        "{}",
        output.stderr
    );
    let output = env.run(["authz", "approve", &id(1), "--yes"]).expect(6);
    assert!(
        output
            .stderr
            .contains("start the local Sigilum API at http://127.0.0.1:9"),
        "{}",
        output.stderr
    );
}
