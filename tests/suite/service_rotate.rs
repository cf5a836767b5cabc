//! `service rotate-key`: the old key stays until the new one is in use.

use crate::env;

use env::Output;
use env::gateway::Fault;
use env::local_api::use_key;
use env::services::{Desk, json, sha256};
use serde_json::json as value;
use std::time::Duration;

const BOTH: [&str; 3] = [
    "gateway-connection-secret-linear",
    "service-api-key-linear",
    "service-api-key-linear.next",
];
const ONE: [&str; 2] = ["gateway-connection-secret-linear", "service-api-key-linear"];

/// The hashes of the keys in force, oldest first.
fn active(desk: &Desk) -> Vec<String> {
    let db = desk.db();
    let mut query = db
        .prepare("SELECT key_hash FROM service_api_keys WHERE revoked_at IS NULL ORDER BY created_at, rowid")
        .unwrap();
    let hashes = query.query_map([], |row| row.get(0)).unwrap();
    hashes.map(Result::unwrap).collect()
}

fn gateways_key(desk: &Desk) -> String {
    let file = desk.env.home().join("gateway-home/service-api-key-linear");
    std::fs::read_to_string(file).unwrap().trim().to_owned()
}

/// Runs the command that an output names, as it is printed.
#[track_caller]
fn run_finish(desk: &Desk, output: &Output) -> Output {
    let line = output
        .stdout
        .lines()
        .find_map(|line| line.trim().strip_prefix("to revoke it"));
    let words = shell_words::split(line.unwrap_or_else(|| panic!("{}", output.stdout))).unwrap();
    assert_eq!(words[0], "sigilum-authz-notify");
    desk.run(&words[1..]).expect(0)
}

#[test]
fn a_native_services_old_keys_stay_until_the_rotation_is_finished() {
    let desk = Desk::new();
    desk.add("linear", []).expect(0);
    let first = desk.read("service-api-key-linear");
    std::fs::remove_file(desk.file("service-api-key-linear")).unwrap();
    desk.add("linear", []).expect(0);
    let old = desk.read("service-api-key-linear");
    let output = desk.run(["service", "rotate-key", "--json", "linear"]).expect(0);
    let new = desk.read("service-api-key-linear");
    assert_ne!(new, old);
    assert_eq!(active(&desk), [sha256(&first), sha256(&old), sha256(&new)]);
    let report = json(&output);
    assert_eq!(report["revoked_keys"], value!([]));
    assert_eq!(report["old_keys"].as_array().unwrap().len(), 2);
    assert_eq!(
        report["finish"],
        "sigilum-authz-notify service rotate-key linear --finish"
    );
    assert!(report["service_key_delivered"].is_null());
    assert!(!output.stdout.contains(&new));

    // Even where the service uses the new key: who knows how many of it there are.
    use_key(&desk.db(), &new);
    let again = desk
        .run([
            "service",
            "rotate-key",
            "linear",
            "--reveal-secrets",
            "--namespace",
            "alice",
        ])
        .expect(0);
    assert!(again.stdout.contains(&new), "the same key: {}", again.stdout);
    assert!(again.stdout.contains("is already begun") && !again.stdout.contains("new service key"));
    let third = desk.run(["service", "rotate-key", "--json", "linear"]).expect(0);
    assert_eq!(
        (&report["already_begun"], &json(&third)["already_begun"]),
        (&value!(false), &value!(true))
    );
    assert!(
        again.stderr.contains("give the service its new key, which is in "),
        "{}",
        again.stderr
    );
    assert_eq!(active(&desk).len(), 3);
    let add = desk.add("linear", ["--revoke-old"]).expect(1);
    assert!(add.stderr.contains("rotate-key linear --finish"), "{}", add.stderr);

    run_finish(&desk, &again);
    assert_eq!(active(&desk), [sha256(&new)]);
    assert_eq!(desk.files(), ["service-api-key-linear"]);
    assert_eq!(
        json(&desk.add("linear", ["--json"]).expect(0))["other_active_keys"],
        value!([])
    );
}

#[test]
fn only_a_rotation_that_was_begun_can_be_finished_and_one_at_once_needs_no_second_command() {
    let desk = Desk::new();
    desk.add("linear", []).expect(0);
    let output = desk.run(["service", "rotate-key", "linear", "--finish"]).expect(1);
    assert!(
        output
            .stderr
            .contains("next: sigilum-authz-notify service rotate-key linear\n"),
        "{}",
        output.stderr
    );
    let report = json(
        &desk
            .run(["service", "rotate-key", "linear", "--now", "--json"])
            .expect(0),
    );
    assert_eq!(active(&desk), [sha256(&desk.read("service-api-key-linear"))]);
    assert_eq!(
        (report["revoked_keys"].as_array().unwrap().len(), &report["finish"]),
        (1, &value!(null))
    );
    desk.run(["service", "rotate-key", "linear", "--finish"]).expect(1);
    for two in [["--now", "--finish"], ["--now", "--wait=1"], ["--finish", "--wait=1"]] {
        desk.run(["service", "rotate-key", "linear"].iter().chain(&two))
            .expect(2);
    }
}

/// A rotation is finished with a key that its service may have by now: none is made or registered for that.
#[test]
fn no_old_key_makes_way_for_one_that_is_not_in_force() {
    for spoil in [
        "UPDATE service_api_keys SET revoked_at = '2026-11-26T10:00:00.000Z' WHERE key_hash = ?1",
        "DELETE FROM service_api_keys WHERE key_hash = ?1",
    ] {
        let desk = Desk::new();
        desk.add("linear", []).expect(0);
        let old = sha256(&desk.read("service-api-key-linear"));
        desk.run(["service", "rotate-key", "linear"]).expect(0);
        let next = desk.read("service-api-key-linear.next");
        assert_eq!(desk.db().execute(spoil, [sha256(&next)]).unwrap(), 1);
        let refused = desk.run(["service", "rotate-key", "linear", "--finish"]).expect(1);
        let says = "could not finish the rotation of the key of linear: its new key is not in force\n";
        assert!(refused.stderr.contains(says), "{}", refused.stderr);
        assert_eq!(active(&desk), [old.as_str()], "{spoil}");
        assert_eq!(desk.read("service-api-key-linear.next"), next);
        // The step goes on with it, or makes another one, and tells it.
        let words = shell_words::split(refused.step()).unwrap();
        let again = desk.run(&words[1..]).expect(0);
        let new = sha256(&desk.read("service-api-key-linear"));
        assert_eq!(active(&desk), [old, new.clone()]);
        run_finish(&desk, &again);
        assert_eq!(active(&desk), [new]);
    }
}

#[test]
fn a_gateway_that_cannot_take_the_new_key_is_told_of_where_the_old_one_goes_at_once() {
    let desk = Desk::new();
    desk.add_linear([]).expect(0);
    let no_home = Fault::Say("SIGILUM_HOME is not configured");
    desk.gateway.fault("PUT", "service-api-keys", no_home, 1);
    let rotate = || desk.run(["service", "rotate-key", "linear", "--now"]).expect(0);
    let output = rotate();
    let file = desk.file("service-api-key-linear");
    let says = format!(
        "the Sigilum gateway has no home to keep keys in: start it again with the key in {} as \
         SIGILUM_SERVICE_API_KEY_LINEAR, or its requests are refused\n",
        file.display()
    );
    assert!(
        output.stderr.contains("note: the old key is revoked"),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains(&says), "{}", output.stderr);
    assert_eq!(active(&desk), [sha256(&desk.read("service-api-key-linear"))]);
    // One that has taken it needs nothing.
    assert!(!rotate().stderr.contains("the old key is revoked"));
}

#[test]
fn the_old_key_goes_once_the_gateway_uses_the_new_one() {
    let desk = Desk::new();
    desk.add_linear([]).expect(0);
    let output = desk.run(["service", "rotate-key", "linear"]).expect(0);
    let new = desk.read("service-api-key-linear");
    assert_eq!((active(&desk), gateways_key(&desk)), (vec![sha256(&new)], new));
    assert_eq!(desk.files(), ONE);
    assert!(!output.stdout.contains("--finish"), "{}", output.stdout);

    // It is waited for, with no lock held, and told.
    desk.gateway.keeps_its_keys();
    let output = std::thread::scope(|scope| {
        let rotation = scope.spawn(|| desk.run(["service", "rotate-key", "linear"]).expect(0));
        while active(&desk).len() < 2 {
            std::thread::sleep(Duration::from_millis(5));
        }
        desk.add("other", []).expect(0);
        use_key(&desk.db(), &desk.read("service-api-key-linear.next"));
        rotation.join().unwrap()
    });
    assert!(
        output
            .stderr
            .contains("waiting until the Sigilum gateway uses the new key, for 60 s at most"),
        "{}",
        output.stderr
    );
    let (new, other) = (desk.read("service-api-key-linear"), desk.read("service-api-key-other"));
    assert_eq!(active(&desk), [sha256(&new), sha256(&other)]);
}

/// Nobody holds the lock while the gateway is waited for: another command may be done with the rotation by then.
#[test]
fn a_rotation_that_another_command_finished_is_told_with_where_to_look() {
    let desk = Desk::new();
    desk.add_linear([]).expect(0);
    desk.gateway.keeps_its_keys();
    let refused = std::thread::scope(|scope| {
        let rotation = scope.spawn(|| desk.run(["service", "rotate-key", "linear"]).output());
        while active(&desk).len() < 2 {
            std::thread::sleep(Duration::from_millis(5));
        }
        desk.run(["service", "rotate-key", "linear", "--finish"]).expect(0);
        use_key(&desk.db(), &desk.read("service-api-key-linear"));
        rotation.join().unwrap()
    });
    let says = "error: could not go on with the rotation: another command has finished it, or removed the service\n";
    assert!(refused.code == 1 && refused.stderr.contains(says), "{refused:#?}");
    let words = shell_words::split(refused.step()).unwrap();
    assert_eq!(words[0], "sigilum-authz-notify");
    let listed = desk.run(&words[1..]).expect(0).stdout;
    assert!(listed.contains("linear"), "{listed}");
    assert_eq!(active(&desk), [sha256(&desk.read("service-api-key-linear"))]);
}

#[test]
fn both_keys_stay_where_the_gateway_is_not_seen_using_the_new_one() {
    type Case = (fn(&Desk), &'static [&'static str], &'static str);
    let cases: [Case; 2] = [
        (
            |desk| {
                desk.gateway.keeps_its_keys();
            },
            &[
                "was not seen using the new key within 1 s",
                "SIGILUM_SERVICE_API_KEY_LINEAR",
            ],
            "if SIGILUM_SERVICE_API_KEY_LINEAR is set where the Sigilum gateway runs, start it again",
        ),
        (
            |desk| {
                desk.gateway.fault(
                    "PUT",
                    "service-api-keys",
                    Fault::Say("SIGILUM_HOME is not configured"),
                    9,
                );
            },
            &["has no home to keep keys in", "SIGILUM_SERVICE_API_KEY_LINEAR"],
            " as SIGILUM_SERVICE_API_KEY_LINEAR, or its requests are refused",
        ),
    ];
    for (prepare, words, last) in cases {
        let desk = Desk::new();
        desk.add_linear([]).expect(0);
        let old = desk.read("service-api-key-linear");
        prepare(&desk);
        let rotate = || desk.run(["service", "rotate-key", "linear", "--wait", "1"]).expect(0);
        let output = rotate();
        for words in words {
            assert!(output.stderr.contains(words), "{words}: {}", output.stderr);
        }
        let new = desk.read("service-api-key-linear");
        assert_eq!(active(&desk), [sha256(&old), sha256(&new)]);
        assert_eq!(desk.files(), BOTH);
        // Again: the same key, and once the gateway uses it the rotation is over.
        rotate();
        assert_eq!(desk.read("service-api-key-linear"), new);
        use_key(&desk.db(), &new);
        rotate();
        assert_eq!(
            (active(&desk), desk.files()),
            (vec![sha256(&new)], ONE.map(str::to_owned).to_vec())
        );
        // A person who knows better does not wait.
        let output = rotate();
        let new = desk.read("service-api-key-linear");
        // It is told that nobody has used it yet.
        let finished = run_finish(&desk, &output);
        let says = "nobody was seen using the new one yet: ";
        assert!(finished.stderr.contains(says), "{}", finished.stderr);
        assert!(finished.stderr.contains(last), "{last}: {}", finished.stderr);
        assert_eq!(
            (active(&desk), desk.files()),
            (vec![sha256(&new)], ONE.map(str::to_owned).to_vec())
        );
    }
}

#[test]
fn the_old_key_is_in_force_until_the_gateway_has_the_new_one() {
    for fault in [Fault::Fail, Fault::DropBefore, Fault::DropAfter, Fault::Html] {
        for now in [&[][..], &["--now"]] {
            let desk = Desk::new();
            desk.add_linear([]).expect(0);
            let old = desk.read("service-api-key-linear");
            desk.gateway.fault("PUT", "service-api-keys", fault.clone(), 1);
            let args = [&["service", "rotate-key", "linear"], now].concat();
            let output = desk.run(&args).output();
            assert!(output.code == 6 || output.code == 1, "{output:?}");
            assert!(
                output.stderr.contains("not done:\n    - new service key handed to"),
                "{fault:?}: {}",
                output.stderr
            );
            assert!(active(&desk).contains(&sha256(&old)), "{fault:?}");
            assert_eq!(desk.read("service-api-key-linear"), old);
            // An add in between neither disturbs nor is disturbed.
            let add = desk.add_linear([]).expect(0);
            assert!(
                add.stderr.contains("a rotation of the service key is not finished"),
                "{}",
                add.stderr
            );
            desk.add_linear(["--revoke-old"]).expect(1);

            let next = desk.read("service-api-key-linear.next");
            desk.run(&args).expect(0);
            assert_eq!(desk.read("service-api-key-linear"), next, "{fault:?}");
            assert_eq!(gateways_key(&desk), next);
            assert_eq!(active(&desk), [sha256(&next)]);
            assert_eq!(desk.files(), ONE);
        }
    }
}

#[test]
fn a_gateway_that_is_not_there_stops_a_rotation_only_where_it_serves() {
    let desk = Desk::new();
    desk.add_linear([]).expect(0);
    desk.add("native", []).expect(0);
    let before = desk.files();
    let key = desk.read("service-api-key-linear");
    desk.gateway.stop();
    let output = desk.run(["service", "rotate-key", "linear"]).expect(6);
    assert!(
        output.stderr.contains("Gateway admin not reachable"),
        "{}",
        output.stderr
    );
    assert_eq!((desk.files(), desk.read("service-api-key-linear")), (before, key));
    let output = desk.run(["service", "rotate-key", "native"]).expect(0);
    assert!(
        output.stderr.contains("note: the Sigilum gateway was not reached"),
        "{}",
        output.stderr
    );
}

/// Without a gateway and with one: what a native service is, and which command applies.
#[test]
fn a_native_service_is_named_for_what_it_is_in_every_command() {
    let is_native = "linear is a native service, which checks Sigilum's signatures itself";
    for reached in [true, false] {
        let desk = Desk::new();
        if !reached {
            desk.gateway.stop();
        }
        desk.add("linear", []).expect(0);
        let set = ["service", "secret", "set", "linear", "--upstream-secret", "abc"];
        let refused = desk.run(set).expect(2).stderr;
        let next = "next: a new API key for it: sigilum-authz-notify service rotate-key linear\n";
        assert!(refused.contains(is_native) && refused.ends_with(next), "{refused}");
        let rotated = desk.run(["service", "rotate-key", "linear"]).expect(0);
        let key = "with an API key of its own: give the service its new key, which is in";
        assert!(
            rotated.stderr.contains(is_native) && rotated.stderr.contains(key),
            "{rotated:?}"
        );
        let removed = desk.run(["service", "remove", "linear", "--yes"]).expect(0);
        assert!(removed.stderr.contains(is_native), "{removed:?}");
        // One that there is not is no native one.
        let unknown = desk.run(set).output();
        assert!(!unknown.stderr.contains("native"), "{unknown:?}");
    }
}
