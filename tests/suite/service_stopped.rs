//! The services of a stopped Sigilum gateway: through its own CLI, whose traps are known.

use crate::env;

use env::Run;
use env::local_api::number;
use env::services::{Desk, SECRET, json};
use env::stopped::Stopped;

const MASTER_KEY: &str = "master-key-0123456789";

/// A desk whose gateway is stopped.
fn closed() -> (Desk, Stopped) {
    let desk = Desk::new();
    desk.gateway.stop();
    let stopped = Stopped::new(&desk.env);
    (desk, stopped)
}

fn with(run: Run, stopped: &Stopped) -> Run {
    run.env("GATEWAY_DATA_DIR", &stopped.data_dir)
        .env("GATEWAY_MASTER_KEY", MASTER_KEY)
        .env("SIGILUM_GATEWAY_CLI", &stopped.cli)
}

#[test]
fn a_connection_is_made_rotated_changed_moved_and_removed_through_the_cli() {
    let (desk, stopped) = closed();
    let output = with(desk.add_linear(["--json"]), &stopped).expect(0);
    let report = json(&output);
    assert_eq!(report["gateway"]["actions"], serde_json::json!(["created"]));
    assert_eq!(report["gateway"]["connection"]["auth_prefix"], "Bearer ");
    assert_eq!(report["gateway"]["service_key_delivered"], false);
    assert!(output.stderr.contains("on its command line"), "{}", output.stderr);
    assert!(output.stderr.contains("GATEWAY_SIGILUM_HOME="), "{}", output.stderr);
    assert_eq!(stopped.read("conn/linear/secrets/access_token").unwrap(), SECRET);

    // The same again: nothing of a secret on any command line, so no warning.
    let before = stopped.runs().len();
    let run = desk.add(
        "linear",
        ["--mode", "gateway", "--upstream-base-url", "https://api.linear.app"],
    );
    let output = with(run, &stopped).expect(0);
    assert!(!output.stderr.contains("on its command line"), "{}", output.stderr);
    assert_eq!(commands(&stopped.runs()[before..]), ["get"]);
    // The same secret: the CLI says that it wants one, which means unchanged.
    assert_eq!(
        json(&with(desk.add_linear(["--json"]), &stopped).expect(0))["gateway"]["actions"],
        serde_json::json!([])
    );

    let set = desk
        .set("linear", ["--upstream-secret-env", "NEW", "--json"])
        .env("NEW", "a-new-secret-9876543210");
    let report = json(&with(set, &stopped).expect(0));
    assert_eq!(report["gateway"]["connection"]["secret_version"], 2);
    assert_eq!(desk.read("gateway-connection-secret-linear"), "a-new-secret-9876543210");

    // Moved, with everything else it had.
    for (name, value) in [("path_prefix", "/v1"), ("days", "30"), ("status", "disabled")] {
        stopped.write(&format!("conn/linear/{name}"), value);
    }
    let run = desk.add(
        "linear",
        [
            "--mode",
            "gateway",
            "--upstream-base-url",
            "https://new.linear.app",
            "--service-name",
            "L \"q\" \\",
        ],
    );
    with(run, &stopped).expect(0);
    for (name, value) in [
        ("base_url", "https://new.linear.app"),
        ("name", "L \"q\" \\"),
        ("path_prefix", "/v1"),
        ("days", "30"),
        ("status", "disabled"),
        ("secrets/access_token", "a-new-secret-9876543210"),
    ] {
        assert_eq!(
            stopped.read(&format!("conn/linear/{name}")).as_deref(),
            Some(value),
            "{name}"
        );
    }
    with(desk.run(["service", "remove", "linear", "--yes"]), &stopped).expect(0);
    assert_eq!(stopped.read("conn/linear/name"), None);
    assert!(desk.files().is_empty());

    // The master key went by environment, with nothing that the CLI has no use for.
    let runs = stopped.runs();
    assert!(!runs.contains(MASTER_KEY) && !runs.contains("--master-key"), "{runs}");
    let allowed = [
        "PATH",
        "GATEWAY_DATA_DIR",
        "GATEWAY_MASTER_KEY",
        "PWD",
        "_",
        "SHLVL",
        "OLDPWD",
    ];
    for name in runs.lines().filter_map(|line| line.strip_prefix("env ")) {
        assert!(allowed.contains(&name), "{name}");
    }
}

/// Its CLI cannot make such a connection, so nothing of it is touched.
#[test]
fn an_mcp_connection_moves_once_the_gateway_runs() {
    let (desk, stopped) = closed();
    with(desk.add_linear([]), &stopped).expect(0);
    stopped.write("conn/linear/protocol", "mcp");
    let to = ["--mode", "gateway", "--upstream-base-url", "https://new.linear.app"];
    let refused = with(desk.add("linear", to), &stopped).expect(6);
    assert!(refused.stderr.contains("it is an MCP connection"), "{}", refused.stderr);
    assert_eq!(
        refused.step(),
        "start the Sigilum gateway, then run the same command again"
    );
    assert_eq!(
        stopped.read("conn/linear/base_url").as_deref(),
        Some("https://api.linear.app")
    );
    desk.gateway.given(serde_json::json!({
        "id": "linear", "base_url": "https://api.linear.app", "protocol": "mcp"
    }));
    let running = desk.gateway.restart();
    with(desk.add("linear", to), &stopped)
        .args(["--gateway-admin-url", &running.url()])
        .expect(0);
    assert_eq!(
        running.connection("linear").unwrap()["base_url"],
        "https://new.linear.app"
    );
}

fn commands(runs: &str) -> Vec<&str> {
    runs.lines()
        .filter(|line| !line.starts_with("env "))
        .map(|line| line.split(' ').next().unwrap())
        .collect()
}

#[test]
fn its_traps_are_explained_and_its_words_never_passed_on_raw() {
    type Change = fn(Run, &Stopped) -> Run;
    let cases: [(Change, i32, &[&str]); 9] = [
        (
            |run, stopped| {
                stopped.write("IN-USE", "");
                run
            },
            6,
            &["in use", "--gateway-admin-url"],
        ),
        (
            // It would make an empty store in a wrong folder.
            |run, stopped| run.env("GATEWAY_DATA_DIR", stopped.data_dir.parent().unwrap()),
            6,
            &["Gateway admin not reachable", "no gateway store in"],
        ),
        (|run, _| run.env("GATEWAY_DATA_DIR", ""), 6, &["--gateway-data-dir"]),
        (|run, _| run.env("GATEWAY_MASTER_KEY", ""), 6, &["GATEWAY_MASTER_KEY"]),
        (
            |run, _| run.env("SIGILUM_GATEWAY_CLI", ""),
            6,
            &["sigilum-gateway-cli", "PATH"],
        ),
        (
            |run, _| run.env("SIGILUM_GATEWAY_CLI", "/nowhere/cli"),
            6,
            &["/nowhere/cli"],
        ),
        (
            |run, stopped| {
                std::fs::write(&stopped.cli, "#!/bin/sh\necho nonsense\n").unwrap();
                run
            },
            6,
            &["did not print"],
        ),
        (
            |run, stopped| {
                let usage = "#!/bin/sh\nprintf 'Usage:\\n (default \"%s\")\\nerror: bad flag %s\\n' $GATEWAY_MASTER_KEY $GATEWAY_MASTER_KEY >&2\nexit 1\n";
                std::fs::write(&stopped.cli, usage).unwrap();
                run
            },
            1,
            &["message hidden: it contains a secret"],
        ),
        (
            |run, stopped| {
                std::fs::write(&stopped.cli, "#!/bin/sh\nkill -9 $$\n").unwrap();
                run
            },
            1,
            &["gave no reason"],
        ),
    ];
    for (index, (change, code, words)) in cases.into_iter().enumerate() {
        let (desk, stopped) = closed();
        let output = change(with(desk.add_linear([]), &stopped), &stopped).expect(code);
        for words in words {
            assert!(
                output.stderr.contains(words),
                "case {index}: {words}: {}",
                output.stderr
            );
        }
        assert!(!output.stderr.contains(MASTER_KEY), "case {index}: {}", output.stderr);
        assert!(desk.files().is_empty(), "case {index}");
        assert_eq!(number(&desk.db(), "SELECT count(*) FROM users"), 0, "case {index}");
        assert!(!desk.env.home().join("badger").exists());
    }
}

#[test]
fn a_wrong_master_key_is_explained() {
    let (desk, stopped) = closed();
    with(desk.add_linear([]), &stopped).expect(0);
    stopped.write("KEY", "another-master-key");
    let set = desk
        .set("linear", ["--upstream-secret-env", "NEW"])
        .env("NEW", "a-new-secret-9876543210");
    let output = with(set, &stopped).expect(7);
    assert!(output.stderr.contains("master key does not open"), "{}", output.stderr);
    // The file still holds what the gateway holds.
    assert_eq!(desk.read("gateway-connection-secret-linear"), SECRET);
}

/// The CLI makes a connection under any key; the gateway could not read its secret.
#[test]
fn a_wrong_master_key_is_found_before_a_connection_that_moves_is_deleted() {
    let (desk, stopped) = closed();
    with(desk.add_linear([]), &stopped).expect(0);
    stopped.write("KEY", "another-master-key");
    for more in [&[][..], &["--upstream-secret", "a-new-secret-9876543210"]] {
        let to = ["--mode", "gateway", "--upstream-base-url", "https://new.linear.app"];
        let args = to.iter().chain(more).copied();
        let refused = with(desk.add("linear", args), &stopped).expect(7);
        assert!(
            refused.stderr.contains("master key does not open"),
            "{}",
            refused.stderr
        );
        let url = stopped.read("conn/linear/base_url");
        assert_eq!(url.as_deref(), Some("https://api.linear.app"));
        assert_eq!(desk.read("gateway-connection-secret-linear"), SECRET);
        assert_eq!(
            desk.files(),
            ["gateway-connection-secret-linear", "service-api-key-linear"]
        );
    }
}

#[test]
fn a_step_that_says_to_run_the_command_again_says_it_once() {
    let (desk, stopped) = closed();
    let real = stopped.cli.with_file_name("real");
    std::fs::copy(&stopped.cli, &real).unwrap();
    let script = format!(
        "#!/bin/sh\n[ \"$1\" != add ] || {{ echo 'error: out of order' >&2; exit 1; }}\nexec '{}' \"$@\"\n",
        real.display()
    );
    std::fs::write(&stopped.cli, script).unwrap();
    let failed = with(desk.add_linear([]), &stopped).expect(1);
    assert!(failed.stderr.contains("not done:"), "{}", failed.stderr);
    assert_eq!(failed.stderr.matches("command again").count(), 1, "{}", failed.stderr);
}

#[test]
fn a_key_is_not_rotated_while_the_gateway_cannot_take_the_new_one() {
    let (desk, stopped) = closed();
    with(desk.add_linear([]), &stopped).expect(0);
    let key = desk.read("service-api-key-linear");
    let output = with(desk.run(["service", "rotate-key", "linear"]), &stopped).expect(6);
    assert!(output.stderr.contains("stopped"), "{}", output.stderr);
    assert_eq!(desk.read("service-api-key-linear"), key);
    assert_eq!(number(&desk.db(), "SELECT count(*) FROM service_api_keys"), 1);
    // Unless it reads the key from this very folder when it starts.
    let home = desk.file("");
    let run = desk
        .run(["service", "rotate-key", "linear"])
        .env("GATEWAY_SIGILUM_HOME", home);
    let output = with(run, &stopped).expect(0);
    assert!(output.stderr.contains("when it starts"), "{}", output.stderr);
    assert_ne!(desk.read("service-api-key-linear"), key);
    // It cannot use it yet: the old one stays, until a person says so.
    let active = "SELECT count(*) FROM service_api_keys WHERE revoked_at IS NULL";
    assert_eq!(number(&desk.db(), active), 2);
    with(desk.run(["service", "rotate-key", "linear", "--finish"]), &stopped).expect(0);
    assert_eq!(number(&desk.db(), active), 1);
}

#[test]
fn the_cli_is_found_on_path_and_the_running_gateway_comes_first() {
    let (desk, stopped) = closed();
    let path = format!(
        "{}:{}",
        stopped.cli.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let run = with(desk.add_linear([]), &stopped)
        .env("SIGILUM_GATEWAY_CLI", "")
        .env("PATH", &path);
    run.expect(0);
    assert!(stopped.read("conn/linear/name").is_some());

    let desk = Desk::new();
    let stopped = Stopped::new(&desk.env);
    with(desk.add_linear([]), &stopped).expect(0);
    assert_eq!(stopped.runs(), "");
}

#[test]
fn a_gateway_of_a_checkouts_scripts_needs_nothing_by_hand() {
    let desk = Desk::new();
    desk.gateway.stop();
    let stopped = Stopped::of_scripts(&desk.env);
    stopped.write("KEY", "sigilum-local-dev-master-key");
    desk.add_linear([]).expect(0);
    let set = || {
        desk.set("linear", ["--upstream-secret-env", "NEW"])
            .env("NEW", "a-new-secret-9876543210")
    };
    // Not for a folder that a person names: its key is another one.
    let other = Stopped::new(&desk.env);
    let output = set().env("GATEWAY_DATA_DIR", &other.data_dir).expect(6);
    assert!(output.stderr.contains("GATEWAY_MASTER_KEY"), "{}", output.stderr);
    let output = set().env("GATEWAY_MASTER_KEY", "another-master-key").expect(7);
    assert!(output.stderr.contains("master key does not open"), "{}", output.stderr);
    set().expect(0);
    assert_eq!(
        stopped.read("conn/linear/secrets/access_token").unwrap(),
        "a-new-secret-9876543210"
    );
    assert_eq!(other.runs(), "");

    // What others could change is not run.
    let before = stopped.runs();
    let folder = stopped.cli.parent().unwrap();
    std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let output = set().expect(6);
    assert!(output.stderr.contains("everybody may write to it"), "{}", output.stderr);
    assert_eq!(stopped.runs(), before);
}
