//! One way to name a service and one meaning of a switch, in every service command.

use crate::env;

use env::services::Desk;

/// Each command that takes a slug, and what it needs besides.
const COMMANDS: [(&[&str], &[&str]); 4] = [
    (&["add"], &["--mode", "native"]),
    (&["secret", "set"], &["--upstream-secret-env", "LINEAR"]),
    (&["rotate-key"], &[]),
    (&["remove"], &["--yes"]),
];

#[test]
fn the_slug_stands_by_itself_or_after_its_flag_beside_every_form_of_a_switch() {
    let desk = Desk::new();
    for (command, needs) in COMMANDS {
        for slug in [&["linear"][..], &["--service-slug", "linear"]] {
            for (switch, is_json) in [
                (&[][..], false),
                (&["--json"], true),
                (&["--json", "true"], true),
                (&["--json=true"], true),
                (&["--json", "false"], false),
                (&["--json=false"], false),
            ] {
                for (before, after) in [(switch, &[][..]), (&[], switch)] {
                    desk.add_linear([]).expect(0);
                    let args = [&["service"], command, before, slug, needs, after].concat();
                    let output = desk.run(&args).env("LINEAR", env::services::SECRET).expect(0);
                    assert_eq!(output.stdout.starts_with('{'), is_json, "{args:?}: {}", output.stdout);
                    assert!(output.stdout.contains("linear"), "{args:?}: {}", output.stdout);
                }
            }
        }
        // Exactly one of the two ways.
        for slugs in [&[][..], &["linear", "--service-slug", "linear"]] {
            let output = desk.run([&["service"], command, needs, slugs].concat()).expect(2);
            assert!(
                output.stderr.contains("--service-slug"),
                "{command:?}: {}",
                output.stderr
            );
        }
    }
}

#[test]
fn secrets_are_shown_by_one_switch_in_every_form() {
    let desk = Desk::new();
    let secret = env::services::SECRET;
    for (switch, shown) in [
        (&[][..], false),
        (&["--reveal-secrets"], true),
        (&["--reveal-secrets", "true"], true),
        (&["--reveal-secrets", "false"], false),
    ] {
        let gateway = [
            "--mode",
            "gateway",
            "--upstream-base-url",
            "https://a.test",
            "--upstream-secret",
            secret,
        ];
        let add = [&["service", "add"], switch, &["linear"], &gateway].concat();
        let set = [
            &["service", "secret", "set"],
            switch,
            &["linear", "--upstream-secret", secret],
        ]
        .concat();
        let rotate = [&["service", "rotate-key"], switch, &["linear"]].concat();
        for args in [add, set, rotate] {
            let output = desk.run(&args).expect(0);
            let key = desk.read("service-api-key-linear");
            let seen = output.stdout.contains(secret) || output.stdout.contains(&key);
            assert_eq!(seen, shown, "{args:?}: {}", output.stdout);
        }
    }
}

#[test]
fn status_takes_the_same_switch() {
    let desk = Desk::new();
    for command in ["auth", "hook"] {
        for (switch, is_json) in [(&["--json", "true"][..], true), (&["--json", "false"], false)] {
            let output = desk.run([&[command, "status"], switch].concat()).output();
            assert_eq!(output.stdout.starts_with('{'), is_json, "{command}: {output:?}");
        }
    }
}
