//! `authz approve`, `reject`, `revoke` and `log`.

use super::{World, entry, id, key};
use crate::env::api::Fault;
use crate::env::terminal::Terminal;
use crate::env::watching::managed_token;
use crate::env::{Output, mode, now};
use serde_json::json;
use sigilum_authz_notify::fs::FileLock;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

fn post(number: u32, verb: &str) -> String {
    format!("POST /v1/claims/{}/{verb}", id(number))
}

#[test]
fn each_decision_is_sent_once_and_logged() {
    let world = World::with_three();
    let one = world.authz(&format!("approve {} --yes", id(1))).expect(0);
    assert!(
        one.stdout
            .starts_with(&format!("approved {} (service \"mail\", key ", id(1))),
        "{}",
        one.stdout
    );
    let back = format!("to take it back: sigilum-authz-notify authz revoke {}\n", id(1));
    assert!(one.stderr.ends_with(&back), "{}", one.stderr);
    world
        .authz(&format!("reject {} {} {} --yes", id(2), id(3), id(2)))
        .expect(0);
    world.authz("revoke cl_00000001 --yes").expect(0);
    let posts = [
        post(1, "approve"),
        post(2, "reject"),
        post(3, "reject"),
        post(1, "revoke"),
    ];
    assert_eq!(world.api.posts(), posts);
    assert_eq!(
        [world.status(1), world.status(2), world.status(3)],
        ["revoked", "rejected", "rejected"]
    );
    let decisions = [
        entry("approve", 1, "done"),
        entry("reject", 2, "done"),
        entry("reject", 3, "done"),
        entry("revoke", 1, "done"),
    ];
    assert_eq!(world.decisions(), decisions);
    assert_eq!(mode(world.env.sigilum("decisions.jsonl")), 0o600);
    let log = world.log();
    assert_eq!(log.len(), 8);
    for (field, value) in [
        ("how", json!("yes")),
        ("namespace", json!("alice")),
        ("api", json!(world.api.url())),
        ("service", json!("mail")),
        ("public_key", json!(key(1))),
    ] {
        assert_eq!(log[0][field], value);
    }
    let table = world.authz("log").expect(0).stdout;
    assert_eq!(table.lines().count(), 5);
    assert!(table.contains("done: rejected"), "{table}");
    // Neither the log nor a message holds the token.
    let token = world.env.stored().unwrap();
    assert!(!format!("{log:?}{table}{}{}", one.stdout, one.stderr).contains(&token));
}

#[test]
fn the_log_is_that_of_every_namespace_or_of_the_one_that_is_named() {
    let world = World::with_three();
    world.authz(&format!("approve {} --yes", id(1))).expect(0);
    let of_alice = world.authz("log").expect(0).stdout;
    assert!(!of_alice.contains("NAMESPACE"), "{of_alice}");
    let file = world.env.sigilum("decisions.jsonl");
    let log = std::fs::read_to_string(&file).unwrap();
    let intent = world.log()[0]["intent"].as_str().unwrap().to_owned();
    let of_bob = log.replace(&intent, &"0".repeat(16)).replace("\"alice\"", "\"bob\"");
    std::fs::write(&file, log + &of_bob).unwrap();
    let both = world.authz("log").expect(0).stdout;
    let namespaces: Vec<&str> = both
        .lines()
        .map(|line| line.split_whitespace().nth(1).unwrap())
        .collect();
    assert_eq!(namespaces, ["NAMESPACE", "alice", "bob"], "{both}");
    assert_eq!(world.authz("log --namespace alice").expect(0).stdout, of_alice);
    let json = world.authz("log --json --namespace bob").expect(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["decisions"].as_array().unwrap().len(), 1, "{json}");
    assert_eq!(json["decisions"][0]["namespace"], "bob");
    let none = world.authz("log --namespace carol").expect(0).stdout;
    assert_eq!(none, "No decisions were made here in namespace carol.\n");
}

/// As every command that writes, one that decides makes private again what others may read.
#[test]
fn what_others_may_read_is_private_again() {
    let world = World::with_three();
    let file = |name: &str| world.env.sigilum(name);
    let names = ["owner-token-alice.jwt", "owner-alice.json", "decisions.jsonl"];
    for verb in ["approve", "revoke"] {
        for name in names.iter().filter(|name| file(name).exists()) {
            std::fs::set_permissions(file(name), std::fs::Permissions::from_mode(0o644)).unwrap();
        }
        world.authz(&format!("{verb} {} --yes", id(1))).expect(0);
        assert_eq!(names.map(|name| mode(file(name))), [0o600; 3], "{verb}");
    }
}

/// A whole id and --yes: the request is read, then decided.
#[test]
fn a_whole_id_takes_two_requests() {
    let world = World::with_three();
    let before = world.api.seen().len();
    world.authz(&format!("approve {} --yes", id(1))).expect(0);
    let seen: Vec<String> = world
        .api
        .seen()
        .into_iter()
        .skip(before)
        .map(|seen| seen.line)
        .collect();
    assert_eq!(seen, [format!("GET /v1/claims/{}", id(1)), post(1, "approve")]);
}

#[test]
fn a_person_is_shown_the_request_and_asked() {
    let world = World::with_three();
    let words = format!("approve {} {}", id(1), id(3));
    for answer in ["\n", "n\n", "no\n", "maybe\n"] {
        let output = world.authz(&words).at_a_terminal(answer);
        assert_eq!(output.code, 1);
        assert!(
            output.stderr.contains("Approve these 2 requests? [y/N]"),
            "{}",
            output.stderr
        );
        assert!(output.stderr.contains("nothing was approved"), "{}", output.stderr);
        assert!(
            output.stderr.contains(&key(1)) && output.stderr.contains("bot-3"),
            "{}",
            output.stderr
        );
    }
    assert_eq!(world.api.posts(), [] as [&str; 0]);
    assert_eq!(world.authz(&words).at_a_terminal("y\n").code, 0);
    assert_eq!(world.api.posts(), [post(1, "approve"), post(3, "approve")]);
    assert_eq!(world.log()[0]["how"], "asked");
    // Without a terminal the next step is the whole command.
    let output = world.authz(&format!("reject {} --namespace alice", id(2))).expect(2);
    let next = format!(
        "next: sigilum-authz-notify authz reject {} --yes --namespace alice\n",
        id(2)
    );
    assert!(output.stderr.ends_with(&next), "{}", output.stderr);
    let words = next
        .trim()
        .strip_prefix("next: sigilum-authz-notify authz ")
        .unwrap()
        .to_owned();
    world.authz(&words).expect(0);
    // So does the time.
    world.request(4, "mail");
    let output = world
        .authz(&format!("approve {} --for 30m --even-without-watcher", id(4)))
        .expect(2);
    let next = format!(
        "next: sigilum-authz-notify authz approve {} --for 30m --even-without-watcher --yes\n",
        id(4)
    );
    assert!(output.stderr.ends_with(&next), "{}", output.stderr);
    // It is shown, and what is not there is said.
    assert!(
        output.stderr.contains(&key(4)) && output.stderr.contains("bot-4"),
        "{}",
        output.stderr
    );
    let output = world.authz(&format!("approve {}", id(9))).expect(1);
    assert!(
        output.stderr.contains("could not find the request"),
        "{}",
        output.stderr
    );
}

#[test]
fn all_that_waits_is_rejected_at_once() {
    let world = World::with_three();
    world.authz("reject --all --yes").expect(0);
    assert_eq!([world.status(1), world.status(2), world.status(3)], ["rejected"; 3]);
    assert_eq!(world.decisions().len(), 3);
    // One that cannot be named in a request does not keep the others.
    for (id, service) in [("../x", "mail"), (&id(9), "files")] {
        world
            .api
            .add_claim("alice", json!({"claim_id": id, "service": service}));
    }
    let odd = world.authz("reject --all --yes").expect(1);
    assert!(odd.stderr.contains("1 of 2 requests were rejected"), "{}", odd.stderr);
    assert_eq!((world.status(9), world.api.posts().len()), ("rejected".to_owned(), 4));
    world.api.clear();
    let nothing = world.authz("reject --all --yes").expect(0).stdout;
    assert_eq!(nothing, "Nothing waits for approval in namespace alice.\n");
}

#[test]
fn more_than_could_be_read_is_not_all() {
    let world = World::with_three();
    for number in 4..=205 {
        world.request(number, "mail");
    }
    // The list, its second page, and that once more.
    let busy = || Fault::Status(503, "X");
    world.api.next_faults([Fault::None, busy(), busy()]);
    let part = world.authz("reject --all --yes").expect(1);
    let told =
        "could not reject all requests: more wait than could be read\n  next: run the command again for the rest\n";
    assert!(part.stderr.ends_with(told), "{}", part.stderr);
    assert_eq!(world.api.posts().len(), 200);
    world.authz("reject --all --yes").expect(0);
    assert_eq!(world.api.posts().len(), 205);
    // Nor is an id the only one that begins so, then.
    let begins = &id(205)[..id(205).len() - 1];
    world
        .api
        .next_faults([Fault::None, Fault::None, Fault::None, busy(), busy()]);
    let part = world.authz(&format!("show {begins}")).expect(6);
    let step = "next: give whole ids, or run the command again\n";
    assert!(part.stderr.ends_with(step), "{}", part.stderr);
    for id in [&id(205), begins] {
        world.authz(&format!("show {id}")).expect(0);
    }
}

#[test]
fn an_agents_shell_decides_nothing() {
    let world = World::with_three();
    for words in [
        format!("approve {} --yes", id(1)),
        "reject --all --yes".into(),
        format!("revoke {} --yes", id(1)),
    ] {
        let output = world.authz(&words).env("OPENCLAW_SHELL", "exec").expect(2);
        assert!(output.stderr.contains("OPENCLAW_SHELL is set"), "{}", output.stderr);
    }
    world.authz("list").env("OPENCLAW_SHELL", "exec").expect(0);
    assert_eq!(world.api.posts(), [] as [&str; 0]);
}

/// A yes, after this happened behind the person's back.
fn confirmed(mut terminal: Terminal, meanwhile: impl FnOnce()) -> Output {
    terminal.wait_for("[y/N]");
    meanwhile();
    terminal.types("y\n");
    terminal.end()
}

#[test]
fn no_answer_ends_its_line() {
    let world = World::with_three();
    let output = world.authz(&format!("approve {}", id(1))).at_a_terminal("\u{4}");
    assert_eq!(output.code, 1, "{}", output.stderr);
    let (_, after) = output.stderr.split_once("[y/N]").unwrap();
    assert!(after.trim_start_matches(' ').starts_with(['\r', '\n']), "{after:?}");
}

/// Anything else than what was shown stops the decision, at the last moment too.
#[test]
fn what_is_not_as_it_was_shown_is_not_decided() {
    let changes = [
        ("service", json!("bank"), "service was \"mail\", is \"bank\""),
        ("public_key", json!("ed25519:other"), "key was "),
        ("agent_ip", json!("10.0.0.8"), "ip was "),
        ("subject", json!("boss"), "subject was \"-\", is \"boss\""),
        ("agent_name", json!("bot"), "agent name was "),
        ("status", json!("expired"), "it is not pending any more, but expired"),
    ];
    for (field, value, says) in changes {
        let world = World::with_three();
        let changed = value.clone();
        let output = world.authz(&format!("approve {}", id(1))).on_terminal(false);
        let output = confirmed(output, || {
            world.api.change(&id(1), field, changed);
        });
        assert_eq!(output.code, 1, "{field}: {}", output.stderr);
        assert!(output.stderr.contains(says), "{field}: {}", output.stderr);
        assert!(
            output
                .stderr
                .contains(&format!("next: sigilum-authz-notify authz show {}", id(1)))
        );
        assert_eq!((world.api.posts(), world.log()), (vec![], vec![]), "{field}");
    }
    // Asked again meanwhile: another id, of which nobody was shown anything.
    let world = World::with_three();
    let output = world.authz(&format!("approve {}", id(1))).on_terminal(false);
    let output = confirmed(output, || {
        world.api.change(&id(1), "status", "expired");
        world.api.ask("alice", "mail", &key(1), &id(7));
    });
    assert_eq!(output.code, 1);
    assert!(
        output.stderr.contains("asked again under a new id"),
        "{}",
        output.stderr
    );
    assert_eq!(world.api.posts(), [] as [&str; 0]);
}

/// So does what changes while another process of ours decides.
#[test]
fn what_changes_while_another_run_is_waited_for_is_not_decided() {
    let world = World::with_three();
    world.authz(&format!("reject {} --yes", id(3))).expect(0);
    let lock = FileLock::try_acquire(&world.env.sigilum("decisions.lock"), None)
        .unwrap()
        .unwrap();
    let mut command = world.authz(&format!("approve {} --yes", id(1))).into_command();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    assert!(lines.any(|line| line.contains("decisions.lock")), "it waits");
    world.api.change(&id(1), "service", json!("bank"));
    drop(lock);
    let said: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{said:?}");
    assert_eq!((world.api.posts().len(), world.log().len()), (1, 2), "{said:?}");
}

/// A key is named without its kind only where that is clear.
#[test]
fn a_key_of_which_there_are_two_kinds_is_named_whole() {
    let world = World::with_three();
    let bare = key(1).replace("ed25519:", "");
    world.api.add_claim(
        "alice",
        json!({"claim_id": id(9), "service": "mail", "public_key": format!("other:{bare}")}),
    );
    let unclear = world
        .authz(&format!("approve --service mail --key {bare} --yes"))
        .expect(2);
    for number in [1, 9] {
        assert!(unclear.stderr.contains(&id(number)), "{}", unclear.stderr);
    }
    assert_eq!(world.api.posts(), [] as [&str; 0]);
    world
        .authz(&format!("approve --service mail --key {} --yes", key(1)))
        .expect(0);
    assert_eq!(world.api.posts(), [post(1, "approve")]);
}

#[test]
fn what_the_api_refuses() {
    // faults of what is asked after the request was read; exit code; words
    let busy = || Fault::Status(503, "DB_UNAVAILABLE");
    let cases = [
        (vec![busy(), busy()], 6, "the API answered with status 503"),
        (vec![Fault::Status(401, "UNAUTHORIZED")], 4, "may want a passkey"),
        (vec![Fault::Status(403, "FORBIDDEN")], 4, "may want a passkey"),
        (
            vec![Fault::Status(401, "TOKEN_EXPIRED")],
            4,
            "decide it in the dashboard, https://sigilum.id",
        ),
        (
            vec![Fault::Status(403, "SERVICE_LIMIT_REACHED")],
            1,
            "as many services are connected as the plan allows",
        ),
        (
            vec![Fault::Status(429, "RATE_LIMITED"), Fault::Status(429, "RATE_LIMITED")],
            6,
            "status 429",
        ),
        (vec![Fault::Status(400, "VALIDATION_ERROR")], 1, "status 400"),
        (
            vec![Fault::Status(404, "NOT_FOUND")],
            1,
            "the API does not decide it (404), though it is as it was shown",
        ),
    ];
    for (faults, code, says) in cases {
        let world = World::with_three();
        let faults: Vec<Fault> = std::iter::once(Fault::None).chain(faults).collect();
        world.api.next_faults(faults.clone());
        let output = world.authz(&format!("approve {} --yes", id(1))).expect(code);
        assert!(output.stderr.contains(says), "{faults:?}: {}", output.stderr);
        assert!(output.stderr.contains("next: "), "{faults:?}: {}", output.stderr);
        assert_eq!(world.decisions(), [entry("approve", 1, "not-done")], "{faults:?}");
        assert_eq!(world.status(1), "pending");
    }
    // Asked to leave it alone, it is, until then.
    for (retry_after, then) in [("3600", "1 h"), (in_an_hour().as_str(), "59 min")] {
        let world = World::with_three();
        let answer = format!("HTTP/1.1 429 Later\r\nRetry-After: {retry_after}\r\nContent-Length: 2\r\n\r\n{{}}");
        world.api.next_faults([Fault::None, Fault::Raw(answer.into_bytes())]);
        let output = world.authz(&format!("approve {} --yes", id(1))).expect(6);
        assert_eq!(world.api.posts().len(), 1, "{}", output.stderr);
        let next = format!("next: run the command again in {then}");
        assert!(output.stderr.contains(&next), "{}", output.stderr);
    }
    // Busy once: asked once more.
    let world = World::with_three();
    world.api.next_faults([Fault::None, busy()]);
    world.authz(&format!("approve {} --yes", id(1))).expect(0);
    assert_eq!(world.api.posts().len(), 2);
    assert_eq!(world.decisions(), [entry("approve", 1, "done")]);
}

/// As HTTP writes a time.
fn in_an_hour() -> String {
    let at = jiff::Timestamp::from_second(crate::env::now() + 3_599).unwrap();
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[test]
fn a_second_answer_is_told_of_the_first() {
    let world = World::with_three();
    world.authz(&format!("approve {} --yes", id(1))).expect(0);
    let again = world.authz(&format!("approve {} --yes", id(1))).expect(1);
    assert!(again.stderr.contains("it is already approved by "), "{}", again.stderr);
    let reject = world.authz(&format!("reject {} --yes", id(1))).expect(1);
    assert!(
        reject.stderr.contains("it is not pending any more, but approved by "),
        "{}",
        reject.stderr
    );
    let revoke = world.authz(&format!("revoke {} --yes", id(2))).expect(1);
    assert!(
        revoke.stderr.contains("it is not approved, but pending"),
        "{}",
        revoke.stderr
    );
    assert_eq!(world.api.posts().len(), 1);
}

#[test]
fn no_room_for_another_agent_names_the_approvals_that_were_not_used() {
    let world = World::with_three();
    for (number, service) in [(4, "mail"), (5, "mail"), (6, "files")] {
        world.request(number, service);
        world.api.change(&id(number), "status", "approved");
    }
    world.api.used("mail", &key(4), 1, 0, now() - 86_400 * 3);
    world.api.used("mail", &key(5), 1, 0, now() - 3_600 * 5);
    world.api.agent_limit(2);
    let full = world.authz(&format!("approve {} --yes", id(1))).expect(1);
    let named = format!(
        "not used for the longest time: {} (last used 3 d ago), {} (last used 5 h ago)",
        id(4),
        id(5)
    );
    assert!(full.stderr.contains(&named), "{}", full.stderr);
    let next = format!("next: sigilum-authz-notify authz revoke {}\n", id(4));
    assert!(full.stderr.ends_with(&next), "{}", full.stderr);
    // Where the use is not known, none is said to be used least.
    world
        .api
        .next_faults([Fault::None, Fault::None, Fault::None, Fault::Status(404, "NONE")]);
    let full = world.authz(&format!("approve {} --yes", id(1))).expect(1);
    assert!(!full.stderr.contains("longest"), "{}", full.stderr);
    let step = "sigilum-authz-notify authz list --status approved";
    assert_eq!(full.step(), step);
    let listed = world.env.carry_out(&full).expect(0).stdout;
    assert!(listed.contains("bot-4") && listed.contains("bot-5"), "{listed}");
    world.authz(&format!("revoke {} --yes", id(4))).expect(0);
    world.authz(&format!("approve {} --yes", id(1))).expect(0);
}

/// A service that has another approved agent stays connected without this one.
#[test]
fn no_room_for_another_service_names_approvals_that_are_the_only_one_of_theirs() {
    let world = World::new();
    world.request(1, "web");
    for (number, service) in [(4, "mail"), (5, "mail"), (6, "files")] {
        world.request(number, service);
        world.api.change(&id(number), "status", "approved");
    }
    world.api.used("files", &key(6), 1, 0, now() - 86_400 * 3);
    let full = || {
        let refused = Fault::Status(403, "SERVICE_LIMIT_REACHED");
        world.api.next_faults([Fault::None, refused]);
        world.authz(&format!("approve {} --yes", id(1))).expect(1)
    };
    let said = full();
    let named = format!("not used for the longest time: {} (last used 3 d ago)\n", id(6));
    assert!(said.stderr.contains(&named), "{}", said.stderr);
    let next = format!("sigilum-authz-notify authz revoke {}", id(6));
    assert_eq!(said.step(), next);
    // Of two of one service none makes room alone; nor is one unused whose use may be beyond what was read.
    world.api.change(&id(6), "status", "revoked");
    let of_none = full();
    world.api.change(&id(6), "status", "approved");
    for _ in 0..1_000 {
        world.api.used("files", &key(7), 1, 0, now());
    }
    for said in [of_none, full()] {
        assert!(!said.stderr.contains("longest"), "{}", said.stderr);
        assert_eq!(said.step(), "sigilum-authz-notify authz list --status approved");
    }
}

#[test]
fn what_is_partly_done_is_told_exactly() {
    let world = World::with_three();
    world.api.agent_limit(0);
    // The limit of one service says nothing of the next.
    world.request(4, "web");
    let output = world.authz(&format!("approve {} {} --yes", id(1), id(4))).expect(1);
    let says = format!("0 of 2 requests were approved, not {}, {}", id(1), id(4));
    assert!(output.stderr.contains(&says), "{}", output.stderr);

    let world = World::with_three();
    // Read three, then for each: read again, sent.
    let mut faults = vec![Fault::None; 6];
    faults.push(Fault::Status(401, "TOKEN_EXPIRED"));
    world.api.next_faults(faults);
    let output = world
        .authz(&format!("reject {} {} {} --yes", id(1), id(2), id(3)))
        .expect(4);
    assert_eq!(output.stdout.lines().count(), 1);
    let says = format!("1 of 3 requests were rejected, not {}; not tried: {}", id(2), id(3));
    assert!(output.stderr.contains(&says), "{}", output.stderr);
    assert_eq!(
        world.decisions(),
        [entry("reject", 1, "done"), entry("reject", 2, "not-done")]
    );
    assert_eq!(
        [world.status(1), world.status(2), world.status(3)],
        ["rejected", "pending", "pending"]
    );
}

/// Who reads what is done, or cannot, decides nothing.
#[test]
fn all_are_decided_also_where_nobody_reads_it() {
    let words = [
        ("reject --all --yes".to_owned(), "rejected", "pending"),
        (
            format!("reject {} {} {} --yes", id(1), id(2), id(3)),
            "rejected",
            "pending",
        ),
        (
            format!("approve {} {} {} --yes", id(1), id(2), id(3)),
            "approved",
            "pending",
        ),
        (
            format!("revoke {} {} {} --yes", id(1), id(2), id(3)),
            "revoked",
            "approved",
        ),
    ];
    for (words, wanted, before) in words {
        for is_full in [false, true] {
            let world = World::with_three();
            for number in 1..=3 {
                world.api.change(&id(number), "status", before);
            }
            let mut command = world.authz(&words).into_command();
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            match is_full {
                true => command.stdout(std::fs::File::options().write(true).open("/dev/full").unwrap()),
                false => command.stdout(writer),
            };
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{words}: {said}");
            assert_eq!(
                said.contains("could not write to standard output"),
                is_full,
                "{words}: {said}"
            );
            let now = [1, 2, 3].map(|number| world.status(number));
            assert_eq!(now, [wanted; 3], "{words}");
            let done = world.decisions();
            assert!(
                done.len() == 3 && done.iter().all(|(.., outcome)| outcome == "done"),
                "{words}: {done:?}"
            );
        }
    }
}

/// Who decides goes by the records alone.
#[test]
fn the_token_goes_to_the_recorded_api_alone() {
    let world = World::with_three();
    let evil = World::new();
    world.env.change_config(&world.api.url(), &evil.api.url());
    let before = evil.api.seen().len();
    world.authz(&format!("approve {} --yes", id(1))).expect(0);
    let refused = world.authz("list").env("SIGILUM_API_URL", evil.api.url()).expect(4);
    assert!(
        refused.stderr.contains("a token for another mode or API"),
        "{}",
        refused.stderr
    );
    assert_eq!(evil.api.seen().len(), before);
    // A token that has expired decides nothing.
    world
        .env
        .write(".openclaw/.sigilum/owner-token-alice.jwt", managed_token("alice", -5));
    let expired = world.authz("reject --all --yes").expect(4);
    assert!(
        expired.stderr.contains("the token file: expired "),
        "{}",
        expired.stderr
    );
    assert!(
        expired
            .stderr
            .contains("next: sigilum-authz-notify auth login --mode managed"),
        "{}",
        expired.stderr
    );
}
