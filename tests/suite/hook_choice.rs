//! What a person chooses for the hook of a home, `.sigilum/hook.json`: whom it speaks for, where the token stands, who
//! reads the notice, what of the environment counts.

use crate::env;

use env::{TestEnv, mode};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const HOOK: &str = "sigilum-authz-notify";

const CA: &str = include_str!("../../fixtures/tls/ca.pem");

fn json_of(path: impl AsRef<Path>) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn record(env: &TestEnv) -> Value {
    json_of(env.sigilum("hook.json"))
}

/// The hook's entry; `None` where there is none.
fn entry(env: &TestEnv) -> Option<Value> {
    let config = json_of(env.config());
    config.pointer(&format!("/hooks/internal/entries/{HOOK}")).cloned()
}

fn token(env: &TestEnv, namespace: &str) -> String {
    let path = env.sigilum(&format!("owner-token-{namespace}.jwt"));
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}

fn login(namespace: &str) -> Vec<&str> {
    let all = "auth login --mode oss-local --print-token false --namespace";
    all.split(' ').chain([namespace]).collect()
}

/// A home where version 0.1.0 logged these in, the last one last, with this entry.
fn old_home(namespaces: &[&str], entry: Value) -> TestEnv {
    let env = TestEnv::new();
    for namespace in namespaces {
        env.run(login(namespace)).args(["--write-openclaw", "false"]).expect(0);
        let file = env.sigilum(&format!("owner-{namespace}.json"));
        let mut record = json_of(&file);
        record.as_object_mut().unwrap().remove("format").unwrap();
        std::fs::write(file, record.to_string()).unwrap();
    }
    std::fs::remove_file(env.sigilum("hook.json")).unwrap();
    write_entry(&env, &entry);
    env
}

/// The config with this entry of the hook's, as an agent can write it too.
fn write_entry(env: &TestEnv, entry: &Value) {
    let config = json!({"hooks": {"internal": {"enabled": true, "entries": {HOOK: entry}}}});
    env.write_config(config.to_string());
}

/// Enough of others in a config that a token taken out again leaves more than half, as OpenClaw demands.
fn others() -> String {
    json!({"gateway": {"mode": "local"}, "notes": "x".repeat(500)}).to_string()
}

/// Where the token stands after a command: as typed; else as recorded; else where it stands already, or where the hook
/// is on and none of ours is installed that reads the file.
#[test]
fn where_the_token_stands() {
    const ON: &str = "--enable-authz-notify=true";
    const IN: &str = "--token-in-config=true";
    const OUT: &str = "--token-in-config=false";
    // commands one after the other; then whether the entry holds a token, and what is recorded
    let cases: [(&[&[&str]], bool, Value); 13] = [
        (&[&["login"]], false, Value::Null),
        (&[&["login", ON]], true, json!(true)),
        (&[&["login", ON, OUT]], false, json!(false)),
        (&[&["login", IN]], false, json!(true)),
        (&[&["login", IN], &["login", ON]], true, json!(true)),
        (&[&["login"], &["install"]], false, json!(false)),
        (&[&["login"], &["install", IN]], true, json!(true)),
        (&[&["login", ON], &["install"]], true, json!(true)),
        (&[&["login"], &["install"], &["login"]], false, json!(false)),
        (&[&["install"], &["login"]], false, json!(false)),
        (&[&["login", ON], &["login", OUT], &["login"]], false, json!(false)),
        (&[&["login", ON], &["refresh", OUT]], false, json!(false)),
        (&[&["login", "--write-openclaw=false", ON]], false, Value::Null),
    ];
    for (commands, holds, recorded) in cases {
        let env = TestEnv::new();
        env.write_config(others());
        for command in commands {
            let words = match command[0] {
                "login" => login("alice"),
                "install" => vec!["hook", "install", "--namespace", "alice"],
                _ => vec!["auth", "refresh", "--print-token", "false"],
            };
            env.run(words).args(&command[1..]).expect(0);
        }
        let held = env.config().exists().then(|| entry(&env)).flatten();
        let held = held.and_then(|entry| entry["env"]["SIGILUM_OWNER_TOKEN"].as_str().map(str::to_owned));
        assert_eq!(held, holds.then(|| token(&env, "alice")), "{commands:?}");
        assert_eq!(
            *record(&env).get("token_in_config").unwrap_or(&Value::Null),
            recorded,
            "{commands:?}"
        );
        assert_eq!(mode(env.sigilum("hook.json")), 0o600);
    }
}

#[test]
fn the_plugin_too_is_told_where_the_token_stands() {
    let env = TestEnv::new();
    env.write_config(others());
    let install = |flags: &[&str]| env.run(["hook", "install", "--as", "plugin"]).args(flags).expect(0);
    env.run(login("alice")).expect(0);
    // Without the hook's entry there is no place for it.
    let output = install(&["--token-in-config", "true"]);
    assert!(
        output.stdout.contains("openclaw.json gets no token"),
        "{}",
        output.stdout
    );
    assert_eq!(entry(&env).unwrap()["env"].get("SIGILUM_OWNER_TOKEN"), None);

    env.run(login("alice"))
        .args(["--enable-authz-notify", "true", "--token-in-config", "true"])
        .expect(0);
    for (place, held) in [("false", None), ("true", Some(token(&env, "alice"))), ("false", None)] {
        let output = install(&["--token-in-config", place]);
        assert!(
            output.stdout.contains("recorded: the token stands in"),
            "{}",
            output.stdout
        );
        let holds = entry(&env).unwrap()["env"].get("SIGILUM_OWNER_TOKEN").cloned();
        assert_eq!(holds, held.map(Value::String), "{place}");
        assert_eq!(record(&env)["token_in_config"], place == "true");
    }
}

#[test]
fn what_is_recorded_is_told() {
    let env = TestEnv::new();
    env.run(login("alice")).expect(0);
    let install = |flags: &[&str]| {
        env.run(["hook", "install", "--as", "plugin"])
            .args(flags)
            .expect(0)
            .stdout
    };
    let output = install(&[
        "--senders",
        "telegram:1,irc:bob",
        "--deciders",
        "telegram:1",
        "--groups",
        "off",
        "--notify",
        "telegram:1",
        "--poll-requests",
        "5s",
        "--proxy",
        "http://u:pass@proxy.example:3128",
    ]);
    for line in [
        "recorded: readers: telegram:1, irc:bob\n",
        "recorded: deciders in the chat: telegram:1\n",
        "recorded: groups: off\n",
        "recorded: told at once: telegram:1\n",
        "recorded: the API is asked for requests: every 5 s\n",
        "recorded: proxy: set\n",
    ] {
        assert!(output.contains(line), "{line}{output}");
    }
    assert!(!output.contains("pass"), "{output}");
    let output = install(&[
        "--senders",
        "",
        "--deciders",
        "",
        "--notify",
        "",
        "--poll-requests",
        "0",
        "--proxy",
        "",
    ]);
    for line in [
        "recorded: readers: whoever writes in a direct chat\n",
        "recorded: deciders in the chat: nobody\n",
        "recorded: told at once: nobody\n",
        "recorded: the API is asked for requests: never\n",
        "recorded: proxy: none\n",
    ] {
        assert!(output.contains(line), "{line}{output}");
    }
    assert!(!install(&[]).contains("recorded:"));
}

#[test]
fn what_stands_in_the_entry_is_no_choice() {
    let env = TestEnv::new();
    env.run(login("alice"))
        .args(["--enable-authz-notify", "true", "--token-in-config", "false"])
        .expect(0);
    for extra in [
        json!({"SIGILUM_TOKEN_IN_CONFIG": "true"}),
        json!({"SIGILUM_OWNER_TOKEN": "planted"}),
    ] {
        let mut config = json_of(env.config());
        let vars = config
            .pointer_mut(&format!("/hooks/internal/entries/{HOOK}/env"))
            .unwrap();
        vars.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        env.write_config(config.to_string());
        for command in [login("alice"), vec!["auth", "refresh"], vec!["hook", "install"]] {
            env.run(command).expect(0);
            assert_eq!(entry(&env).unwrap()["env"].get("SIGILUM_OWNER_TOKEN"), None, "{extra}");
        }
    }
}

#[test]
fn a_second_login_re_points_the_hook_and_says_how_to_go_back() {
    let env = TestEnv::new();
    env.run(login("alice"))
        .args(["--enable-authz-notify", "true"])
        .expect(0);
    let output = env.run(login("bob")).expect(0);
    let back = "sigilum-authz-notify auth switch alice";
    let told = format!("Hook:          speaks for bob now, no longer for alice; to go back: {back}\n");
    assert!(output.stdout.contains(&told), "{}", output.stdout);
    assert_eq!(record(&env)["namespace"], "bob");
    assert_eq!(entry(&env).unwrap()["env"]["SIGILUM_OWNER_TOKEN"], token(&env, "bob"));

    let output = env.run(back.split(' ').skip(1)).expect(0);
    let told = "The hook speaks for alice (oss-local, http://127.0.0.1:8787)\n";
    assert!(output.stdout.starts_with(told), "{}", output.stdout);
    assert_eq!(record(&env)["namespace"], "alice");
    let vars = entry(&env).unwrap()["env"].clone();
    assert_eq!(
        (&vars["SIGILUM_NAMESPACE"], &vars["SIGILUM_OWNER_TOKEN"]),
        (&json!("alice"), &json!(token(&env, "alice")))
    );

    // Who only renews a token, or leaves openclaw.json alone, does not re-point it.
    for command in [
        vec!["auth", "refresh", "--namespace", "bob", "--ttl-seconds", "1000"],
        [login("bob"), vec!["--write-openclaw", "false"]].concat(),
    ] {
        let config = std::fs::read(env.config()).unwrap();
        let output = env.run(command).expect(0);
        let told =
            "Hook:          still speaks for alice; to have it speak for bob: sigilum-authz-notify auth switch bob\n";
        assert!(output.stdout.contains(told), "{}", output.stdout);
        assert_eq!(record(&env)["namespace"], "alice");
        assert_eq!(std::fs::read(env.config()).unwrap(), config);
    }
}

#[test]
fn at_a_terminal_a_second_login_asks() {
    for (typed, speaks_for) in [("y\n", "bob"), ("\n", "alice"), ("no\n", "alice")] {
        for command in [login("bob"), vec!["hook", "install", "--namespace", "bob"]] {
            let env = TestEnv::new();
            env.run(login("bob")).expect(0);
            env.run(login("alice"))
                .args(["--enable-authz-notify", "true"])
                .expect(0);
            let output = env.run(&command).at_a_terminal(typed);
            assert_eq!(output.code, 0, "{output:?}");
            let question = "The hook speaks for alice. Shall it speak for bob from now on? [y/N]";
            assert!(output.stderr.contains(question), "{}", output.stderr);
            assert_eq!(record(&env)["namespace"], speaks_for);
            let vars = entry(&env).unwrap()["env"].clone();
            assert_eq!(vars["SIGILUM_NAMESPACE"], speaks_for, "{command:?}");
            assert_eq!(vars["SIGILUM_OWNER_TOKEN"], token(&env, speaks_for));
            // Whose hook it is, the next one knows.
            assert_eq!(env.run(login(speaks_for)).at_a_terminal("").stderr, "");
        }
    }
}

#[test]
fn a_switch_needs_a_login_and_leaves_no_other_ones_token_in_the_config() {
    let env = TestEnv::new();
    let nobody = env.run(["auth", "switch", "alice"]).expect(4);
    assert!(nobody.stderr.contains("nobody is logged in here"), "{}", nobody.stderr);
    assert!(
        nobody
            .stderr
            .ends_with("next: sigilum-authz-notify auth login --mode managed --namespace alice --owner-token-stdin\n")
    );
    assert!(!env.openclaw().exists());

    env.write_config(others());
    env.run(login("alice"))
        .args(["--enable-authz-notify", "true"])
        .expect(0);
    env.run(login("bob")).expect(0);
    let other = env.run(["auth", "switch", "carl"]).expect(4);
    assert!(other.stderr.contains("logged in here: alice, bob"), "{}", other.stderr);
    let none = env.run(["auth", "switch", "../alice"]).expect(2);
    assert!(
        none.stderr
            .ends_with("\n  next: sigilum-authz-notify auth switch alice\n"),
        "{}",
        none.stderr
    );

    // Who logs out says nothing of whom the hook speaks for, but is told who is left.
    env.run(["auth", "logout", "--namespace", "alice"]).expect(0);
    env.run(login("alice")).args(["--write-openclaw", "false"]).expect(0);
    let output = env.run(["auth", "logout", "--namespace", "bob"]).expect(0);
    let told = "The hook still speaks for bob; to have it speak for alice: sigilum-authz-notify auth switch alice\n";
    assert!(output.stdout.ends_with(told), "{}", output.stdout);
    env.run(login("bob")).expect(0);

    // Senders and all else stay.
    let mut chosen = record(&env);
    chosen["senders"] = json!(["irc:alice"]);
    chosen["later"] = json!({"broker": 1});
    env.write(".openclaw/.sigilum/hook.json", chosen.to_string());
    std::fs::remove_file(env.sigilum("owner-token-alice.jwt")).unwrap();
    let output = env.run(["auth", "switch", "alice"]).expect(0);
    assert!(
        output.stderr.contains("no token of alice that can be used"),
        "{}",
        output.stderr
    );
    chosen["namespace"] = "alice".into();
    assert_eq!(record(&env), chosen);
    let vars = entry(&env).unwrap()["env"].clone();
    assert_eq!(
        (&vars["SIGILUM_NAMESPACE"], vars.get("SIGILUM_OWNER_TOKEN")),
        (&json!("alice"), None)
    );
    let status = env.run(["auth", "status", "--json"]).expect(4).stdout;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["hook_namespace"], "alice");
    let stored = status["stored"].as_array().unwrap().iter();
    let stored: Vec<_> = stored
        .map(|one| (&one["namespace"], &one["hook"], &one["state"]))
        .collect();
    let wanted = [
        (json!("alice"), json!(true), json!("missing")),
        (json!("bob"), json!(false), json!("not_expired")),
    ];
    assert_eq!(stored, wanted.each_ref().map(|(name, hook, state)| (name, hook, state)));
    let text = env.run(["auth", "status"]).expect(4).stdout;
    assert!(text.contains("\nHook:          speaks for alice\n"), "{text}");
    assert!(
        text.contains("\nStored:        alice: missing; the hook speaks for it\n"),
        "{text}"
    );
    assert!(text.contains("\n               bob: not expired, "), "{text}");
    let again = env.run(["auth", "switch", "alice"]).expect(0);
    assert!(
        again.stdout.starts_with("The hook speaks for alice already"),
        "{}",
        again.stdout
    );
}

/// A much longer token stands in a small config: OpenClaw would take the new one for damaged.
#[test]
fn a_switch_that_is_refused_changes_nothing() {
    let env = TestEnv::new();
    let on = ["--enable-authz-notify", "true", "--token-in-config", "true"];
    env.run(login("alice")).args(["--write-openclaw", "false"]).expect(0);
    env.run(login("bob")).args(on).expect(0);
    let mut config: Value = json5::from_str(&std::fs::read_to_string(env.config()).unwrap()).unwrap();
    let vars = format!("/hooks/internal/entries/{HOOK}/env/SIGILUM_OWNER_TOKEN");
    *config.pointer_mut(&vars).unwrap() = "t".repeat(4000).into();
    env.write_config(config.to_string());
    let before = record(&env);
    let refused = env.run(["auth", "switch", "alice"]).expect(3);
    assert!(refused.stderr.contains("it would shrink from "), "{}", refused.stderr);
    assert_eq!(refused.step(), "add --force; or make the change with `openclaw config`");
    assert_eq!(record(&env), before);
    env.run(["auth", "switch", "alice", "--force"]).expect(0);
    assert_eq!(record(&env)["namespace"], "alice");
    assert_eq!(entry(&env).unwrap()["env"]["SIGILUM_NAMESPACE"], "alice");
}

/// A home of version 0.1.0: the first login or install takes over what the entry says, once, and shows it.
#[test]
fn what_version_0_1_0_kept_in_the_entry_is_taken_over_once_and_shown() {
    let vars = |more: Value| {
        let mut vars = json!({"SIGILUM_NAMESPACE": "alice", "SIGILUM_MODE": "oss-local",
            "SIGILUM_API_URL": "http://127.0.0.1:8787"});
        vars.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        vars
    };
    let full = vars(
        json!({"SIGILUM_OWNER_TOKEN": "t.o.k", "SIGILUM_NOTIFY_SENDERS": "irc:alice, bob",
        "SIGILUM_NOTIFY_GROUPS": "off"}),
    );
    // the entry, what is recorded, how it is told
    let cases = [
        (
            json!({"env": full}),
            json!({"namespace": "alice", "token_in_config": true, "senders": ["irc:alice", "bob"], "groups": "off"}),
            "namespace alice; token in openclaw.json: yes; senders irc:alice, bob; groups off",
        ),
        (
            json!({"env": vars(json!({"SIGILUM_TOKEN_IN_CONFIG": "false"}))}),
            json!({"namespace": "alice", "token_in_config": false}),
            "namespace alice; token in openclaw.json: no",
        ),
        (
            json!({"enabled": false, "env": vars(json!({"SIGILUM_NOTIFY_GROUPS": "nonsense"}))}),
            json!({"namespace": "alice"}),
            "namespace alice",
        ),
        // Nobody of that name is logged in.
        (
            json!({"env": vars(json!({"SIGILUM_NAMESPACE": "mallory"}))}),
            json!({"namespace": "bob", "token_in_config": false}),
            "token in openclaw.json: no",
        ),
    ];
    for (entry, recorded, told) in cases {
        for command in ["auth login --mode oss-local", "hook install --enable preserve"] {
            let env = old_home(&["alice", "bob"], entry.clone());
            let output = env.run(command.split(' ')).expect(0);
            let told = format!("from openclaw.json, once, into .sigilum/hook.json: {told}\n");
            assert!(output.stdout.to_lowercase().contains("taken over"), "{}", output.stdout);
            assert!(output.stdout.contains(&told), "{told}: {}", output.stdout);
            let from = match told.contains("namespace alice") {
                true => "namespace: alice (from the hook's entry, taken over)\n",
                false => "namespace: bob (from the newest record)\n",
            };
            assert!(
                command.starts_with("auth") || output.stdout.contains(from),
                "{}",
                output.stdout
            );
            let mut now = record(&env);
            now.as_object_mut().unwrap().remove("binary");
            let decided = now.get("token_in_config").is_some() && recorded.get("token_in_config").is_none();
            assert!(!decided || command.starts_with("hook"), "{now}");
            if !decided {
                assert_eq!(now, recorded, "{command}");
            }
            let again = env.run(command.split(' ')).expect(0);
            assert!(!again.stdout.to_lowercase().contains("taken over"), "{}", again.stdout);
        }
        // A renewal, which may run unseen, takes nothing over.
        let env = old_home(&["alice", "bob"], entry);
        env.run(["auth", "refresh", "--namespace", "alice"]).expect(0);
        assert!(!env.sigilum("hook.json").exists());
    }
}

/// An agent may have written the entry since: senders only narrow who reads, and `full` would let every group read.
#[test]
fn a_lost_record_is_not_made_anew_so_that_groups_read() {
    let vars = json!({"SIGILUM_NAMESPACE": "johndee", "SIGILUM_NOTIFY_SENDERS": "telegram:666",
        "SIGILUM_NOTIFY_GROUPS": "full"});
    let planted = json!({"enabled": true, "env": vars});
    let left = "; not its groups full, for which: sigilum-authz-notify hook install --groups full";
    for (anew, senders, is_told) in [
        ("hook install", "telegram:666", true),
        ("auth login", "telegram:666", true),
        ("hook install --senders telegram:1", "telegram:1", true),
        ("hook install --groups brief", "telegram:666", false),
    ] {
        let env = TestEnv::new();
        env.run(login("johndee")).expect(0);
        env.run(["hook", "install", "--as", "plugin", "--senders", "telegram:1"])
            .expect(0);
        write_entry(&env, &planted);
        std::fs::remove_file(env.sigilum("hook.json")).unwrap();
        let said = env.run(anew.split(' ')).expect(0).stdout;
        assert_eq!(said.contains(left), is_told, "{anew}: {said}");
        assert_eq!(
            said.contains("senders telegram:666"),
            senders == "telegram:666",
            "{said}"
        );
        let now = record(&env);
        let groups = (!is_told).then(|| json!("brief"));
        assert_eq!(
            (&now["senders"], now.get("groups")),
            (&json!([senders]), groups.as_ref())
        );
        // The printed command does what it says.
        env.run(["hook", "install", "--groups", "full"]).expect(0);
        assert_eq!(record(&env)["groups"], "full");
    }
}

/// An agent may have written the senders: a switch, which shows none of that, leaves them to an install.
#[test]
fn a_switch_takes_nobodys_readers_over() {
    for vars in [
        json!({"SIGILUM_NOTIFY_SENDERS": "irc:mallory"}),
        json!({"SIGILUM_NOTIFY_GROUPS": "full"}),
    ] {
        let env = old_home(&["alice", "bob"], json!({"env": vars}));
        let output = env.run(["auth", "switch", "alice"]).expect(1);
        assert!(!env.sigilum("hook.json").exists());
        let next = output.stderr.split("next: sigilum-authz-notify ").nth(1).unwrap();
        let next = next.split(';').next().unwrap();
        assert_eq!(next, "hook install --namespace alice");
        env.run(next.split(' ')).expect(0);
        assert_eq!(record(&env)["namespace"], "alice");
        env.run(["auth", "switch", "bob"]).expect(0);
        assert_eq!(record(&env)["namespace"], "bob");
    }
}

/// A variable that stays from elsewhere is no reason to leave whom the hook speaks for.
#[test]
fn an_install_speaks_for_nobody_of_the_environment_who_is_not_logged_in() {
    let env = TestEnv::new();
    env.run(login("alice")).expect(0);
    let install = |args: &[&str]| {
        env.run([&["hook", "install"], args].concat())
            .env("SIGILUM_NAMESPACE", "mallory")
            .expect(0)
            .stdout
    };
    let said = install(&[]);
    assert_eq!(record(&env)["namespace"], "alice");
    assert_eq!(entry(&env).unwrap()["env"]["SIGILUM_NAMESPACE"], "alice");
    let told = "the hook still speaks for alice: SIGILUM_NAMESPACE names mallory, who is not logged in here; to have it speak \
                for mallory: sigilum-authz-notify hook install --namespace mallory\n";
    assert!(said.contains(told), "{said}");
    install(&["--namespace", "mallory"]);
    assert_eq!(record(&env)["namespace"], "mallory");
    // Where nobody is logged in, it names whom the hook is for.
    let env = TestEnv::new();
    env.run(["hook", "install"])
        .env("SIGILUM_NAMESPACE", "mallory")
        .expect(0);
    assert_eq!(record(&env)["namespace"], "mallory");
}

/// In a home of version 0.1.0 a renewal goes where the token stood that it replaces: an agent that puts another one into
/// the entry gets none for it.
#[test]
fn where_nobody_chose_a_renewal_goes_where_the_old_token_stands() {
    let entry = json!({"env": {"SIGILUM_NAMESPACE": "alice", "SIGILUM_MODE": "oss-local",
        "SIGILUM_API_URL": "http://127.0.0.1:8787", "SIGILUM_OWNER_TOKEN": "planted"}});
    let env = old_home(&["alice"], entry.clone());
    let old = token(&env, "alice");
    for (stood, follows) in [("planted", false), (old.as_str(), true)] {
        let mut entry = entry.clone();
        entry["env"]["SIGILUM_OWNER_TOKEN"] = stood.into();
        env.write_config(json!({"hooks": {"internal": {"enabled": true, "entries": {HOOK: entry}}}}).to_string());
        env.write(".openclaw/.sigilum/owner-token-alice.jwt", &old);
        let output = env.run(["auth", "refresh", "--ttl-seconds", "900"]).expect(0);
        let new = token(&env, "alice");
        assert_ne!(new, old);
        let held = self::entry(&env).unwrap()["env"]["SIGILUM_OWNER_TOKEN"].clone();
        assert_eq!(held, if follows { new } else { stood.to_owned() });
        assert_eq!(
            output.stdout.contains("nobody chose whether"),
            !follows,
            "{}",
            output.stdout
        );
    }
}

#[test]
fn hook_install_records_who_reads_what_and_how_to_reach_the_api() {
    let env = TestEnv::new();
    env.run(login("alice")).expect(0);
    let ca = env.write("ca.pem", CA);
    let install = |args: &[&str]| env.run([&["hook", "install"], args].concat()).expect(0).stdout;
    install(&[
        "--senders",
        "irc:alice!~a@host, bob",
        "--groups",
        "full",
        "--dashboard",
        "https://dash.example",
        "--proxy",
        "http://user:secret@proxy:3128",
        "--ca-file",
        ca.to_str().unwrap(),
    ]);
    let binary = Path::new(env::BINARY).canonicalize().unwrap();
    let wanted = json!({"namespace": "alice", "token_in_config": false, "senders": ["irc:alice!~a@host", "bob"],
        "groups": "full", "dashboard": "https://dash.example", "binary": binary,
        "env": {"HTTPS_PROXY": "http://user:secret@proxy:3128", "SSL_CERT_FILE": ca}});
    assert_eq!(record(&env), wanted);
    // What is not given stays, and what is given empty goes.
    install(&["--groups", "brief"]);
    assert_eq!(record(&env)["senders"], wanted["senders"]);
    install(&["--senders", "", "--dashboard", "", "--proxy", "", "--ca-file", ""]);
    let wanted = json!({"namespace": "alice", "token_in_config": false, "groups": "brief", "binary": binary});
    assert_eq!(record(&env), wanted);

    let (empty, no_pem) = (env.home().join("empty"), env.write("no.pem", "certificates"));
    std::fs::create_dir(&empty).unwrap();
    for (args, why) in [
        (["--proxy", "socks5://user:secret@proxy"], "could not use the proxy"),
        (["--proxy", "proxy:3128"], "could not use the proxy"),
        (["--proxy", "http://host:99999"], "could not use the proxy"),
        (["--proxy", "http://:3128"], "could not use the proxy"),
        (["--proxy", "http://u:secret@"], "could not use the proxy"),
        (["--proxy", "http://host:abc"], "could not use the proxy"),
        (["--proxy", "http://ho st:1"], "could not use the proxy"),
        (["--ca-file", no_pem.to_str().unwrap()], "there are none in PEM form: /"),
        (["--ca-file", empty.to_str().unwrap()], "there are none in PEM form: /"),
        (
            ["--ca-file", "/nowhere/ca.pem"],
            "there is no such file: /nowhere/ca.pem",
        ),
        (["--groups", "some"], "invalid value"),
        (["--dashboard", "sigilum.id"], "it is not a URL of the form"),
        (
            ["--dashboard", "javascript:alert(1)"],
            "its scheme is neither https nor http",
        ),
        (
            ["--dashboard", "https://user:secret@dash.example"],
            "it holds a user name or a password",
        ),
        (
            ["--dashboard", "https://dash.example/?a=secret"],
            "it holds a query or a fragment",
        ),
        (
            ["--dashboard", "http://dash.example"],
            "it is plain http to another machine",
        ),
        (
            ["--dashboard", "https://d\u{e4}sh.example"],
            "a notice shows at most 120 letters",
        ),
    ] {
        let output = env.run([&["hook", "install"], &args[..]].concat()).expect(2);
        assert!(output.stderr.contains(why), "{}", output.stderr);
        assert!(!output.stderr.contains("secret"), "{}", output.stderr);
        assert_eq!(record(&env), wanted);
    }
    let from_env = env
        .run(["hook", "install", "--from-env"])
        .env("SIGILUM_DASHBOARD_URL", "sigilum.id");
    let told = from_env.expect(2).stderr;
    let says = "invalid address of the dashboard (from SIGILUM_DASHBOARD_URL): it is not a URL";
    assert!(told.contains(says), "{told}");
    assert_eq!(record(&env), wanted);
    install(&["--dashboard", " https://dash.example "]);
    assert_eq!(record(&env)["dashboard"], "https://dash.example");
}

/// A small variable wins over a capital one, so what is typed takes the place of both.
#[test]
fn a_proxy_that_is_typed_wins_over_those_of_the_environment() {
    let env = TestEnv::new();
    env.run(login("alice")).expect(0);
    let from_env = || {
        env.run(["hook", "install", "--from-env"])
            .env("https_proxy", "http://old:1")
    };
    let refused = from_env().env("https_proxy", "http://:3128").expect(2).stderr;
    assert!(refused.contains("could not use the proxy"), "{refused}");
    assert_eq!(record(&env)["env"], json!(null));
    from_env().expect(0);
    env.run(["hook", "install", "--proxy", "http://new:2"]).expect(0);
    assert_eq!(record(&env)["env"], json!({"HTTPS_PROXY": "http://new:2"}));
}

#[test]
fn hook_install_records_who_is_told_at_once() {
    let env = TestEnv::new();
    env.run(login("alice")).expect(0);
    let openclaw = env.write("bin/openclaw", "#!/bin/sh\n");
    std::fs::set_permissions(&openclaw, PermissionsExt::from_mode(0o755)).unwrap();
    let install = |args: &[&str]| {
        let path = format!("{}:/usr/bin:/bin", openclaw.parent().unwrap().display());
        env.run([&["hook", "install"], args].concat()).env("PATH", path)
    };
    let status = || env.run(["hook", "status"]).expect(0).stdout;
    let kept = || ["notify", "poll_requests", "openclaw"].map(|field| record(&env)[field].clone());
    install(&[]).expect(0);
    assert_eq!(kept(), [json!(null), json!(null), json!(openclaw)]);
    let nobody = "Told at once:  nobody; to be told of requests when they come: sigilum-authz-notify hook install --notify \
                  <channel>:<target>";
    assert!(status().contains(nobody), "{}", status());
    let told = install(&["--notify", "matrix:@alice:localhost"]).expect(0).stdout;
    let note = "note: notify: openclaw.json has no settings of channel matrix, so nobody is told there; set it up\n";
    assert!(told.contains(note), "{told}");
    assert!(
        status().contains("Told at once:  nobody at present; else matrix:@alice:localhost\n"),
        "{}",
        status()
    );
    let mut config = json_of(env.config());
    config["channels"] = json!({"matrix": {"homeserver": "http://localhost"}});
    env.write_config(config.to_string());
    let told = install(&["--notify", "matrix:@alice:localhost"]).expect(0).stdout;
    assert!(!told.contains("notify:"), "{told}");
    let watcher = env.watch();
    assert!(env::watching::wait_until(|| env.sigilum("watch-status.json").exists()));
    let wanted = "Told at once:  matrix:@alice:localhost; asked for requests every 15 s\n";
    assert!(status().contains(wanted), "{}", status());
    drop(watcher);
    install(&["--poll-requests", "1m"]).expect(0);
    assert_eq!(kept(), [json!("matrix:@alice:localhost"), json!(60), json!(openclaw)]);
    install(&["--poll-requests", "off"]).expect(0);
    assert!(status().contains("Told at once:  nobody, as --poll-requests is off; else matrix:@alice:localhost\n"));
    // An agent's shell leads to whatever program the agent likes.
    std::fs::rename(&openclaw, env.home().join("bin/else")).unwrap();
    let other = env.write("evil/openclaw", "#!/bin/sh\n");
    std::fs::set_permissions(&other, PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", other.parent().unwrap().display());
    install(&[]).env("OPENCLAW_SHELL", "exec").env("PATH", path).expect(0);
    assert_eq!(kept()[2], json!(openclaw));
    for args in [
        ["--notify", "alice"],
        ["--notify", "irc:a b"],
        ["--poll-requests", "4s"],
    ] {
        install(&args).expect(2);
    }
    install(&["--notify", "", "--poll-requests", "15"]).expect(0);
    assert_eq!(kept()[..2], [json!(null), json!(15)]);
}

#[test]
fn hook_install_records_who_decides_in_the_chat() {
    let env = TestEnv::new();
    env.run(login("alice")).expect(0);
    let install = |args: &[&str]| env.run([&["hook", "install"], args].concat());
    let config = r#"{"channels":{"telegram":{"botToken":"t0p"}}}"#;
    env.write_config(config);
    let output = install(&["--deciders", "telegram:123456789, matrix:@alice:example.org"]).expect(0);
    let channels = record(&env)["decider_channels"].clone();
    assert_eq!(channels["telegram"].as_str().unwrap().len(), 64);
    assert_eq!(channels.as_object().unwrap().len(), 1);
    let vouches = "decisions come over channel telegram as openclaw.json sets it now";
    assert!(output.stdout.contains(vouches), "{}", output.stdout);
    assert!(
        output
            .stdout
            .contains("openclaw.json has no settings of channel matrix"),
        "{}",
        output.stdout
    );
    assert!(!output.stdout.contains("t0p") && !record(&env).to_string().contains("t0p"));
    env.write_config(config.replace("t0p", "other"));
    let wanted = json!(["telegram:123456789", "matrix:@alice:example.org"]);
    assert_eq!(record(&env)["deciders"], wanted);
    let note = "only the plugin answers in the chat: sigilum-authz-notify hook install --as plugin";
    assert!(output.stdout.contains(note), "{}", output.stdout);
    // Neither another choice nor a login touches them, nor does what is refused.
    assert!(!install(&["--as", "plugin"]).expect(0).stdout.contains(note));
    env.run(login("alice")).expect(0);
    // What could not be used is not recorded.
    for name in ["a b", "../x", "A", "", "a/b", "x..y"] {
        let before = record(&env);
        for kind in ["hook", "plugin"] {
            install(&["--as", kind, "--namespace", name]).expect(2);
        }
        assert_eq!(record(&env), before);
    }
    // As where a variable is not set, or for everybody: only an empty list is meant to be one.
    for list in [
        ",",
        " , ",
        " ",
        "*",
        "telegram:1,*",
        "telegram:",
        "telegram:,irc:",
        "telegram:1,irc:",
        "${OWNER}",
        "telegram:$ID",
        "telegram:null",
        "undefined",
        "''",
        "telegram:'1'",
        "telegram:@john",
        "telegram:john",
        "telegram:-1",
    ] {
        for flag in ["--deciders", "--senders"] {
            let output = install(&[flag, list]).expect(2);
            let says = format!("invalid {flag} {list:?}: ");
            assert!(output.stderr.contains(&says), "{}", output.stderr);
        }
    }
    for id in ["123456789", ":1", "telegram:1,@alice:example.org"] {
        let output = install(&["--deciders", id]).expect(2);
        assert!(output.stderr.contains("it names no channel"), "{}", output.stderr);
    }
    let of_agent = install(&["--deciders", "telegram:666"])
        .env("OPENCLAW_SHELL", "exec")
        .expect(2);
    assert!(of_agent.stderr.contains("an agent's shell"), "{}", of_agent.stderr);
    assert_eq!(record(&env)["deciders"], wanted);
    assert_eq!(record(&env)["decider_channels"], channels);
    install(&["--deciders", "telegram:123456789"]).expect(0);
    assert_ne!(record(&env)["decider_channels"], channels);
    let unknown = install(&["--deciders", "foo:1"]).expect(0).stdout;
    let says =
        "note: deciders: nothing is decided over channel foo, whose service vouches for no sender; these do: discord,";
    assert!(unknown.contains(says), "{unknown}");
    install(&["--deciders", ""]).expect(0);
    assert_eq!(record(&env).get("deciders"), None);
    assert_eq!(record(&env).get("decider_channels"), None);
}

#[test]
fn hook_install_records_the_environment_by_name_and_no_secret() {
    let vars = [
        ("HTTPS_PROXY", "http://proxy:3128"),
        ("no_proxy", "example.org"),
        ("SIGILUM_ALLOW_INSECURE_HTTP", "1"),
        ("SIGILUM_NOTIFY_SENDERS", "irc:alice"),
        ("SIGILUM_HOOK_TIMEOUT_MS", "2500"),
        ("OPENCLAW_NIX_MODE", ""),
        ("SIGILUM_OWNER_TOKEN", "the token"),
        ("JWT_SECRET", "the secret"),
        ("GATEWAY_ADMIN_TOKEN", "the admin token"),
        ("GATEWAY_MASTER_KEY", "the master key"),
    ];
    let env = TestEnv::new();
    env.run(login("alice")).expect(0);
    let with = |args: &[&str]| {
        let run = env.run([&["hook", "install"], args].concat());
        vars.iter().fold(run, |run, (name, value)| run.env(name, value))
    };
    // Only where it is asked for.
    with(&[]).expect(0);
    assert_eq!(record(&env).get("env"), None);

    let output = with(&["--from-env"]).env("OPENCLAW_SHELL", "exec").expect(2);
    assert!(output.stderr.contains("OPENCLAW_SHELL is set"), "{}", output.stderr);
    assert_eq!(record(&env).get("env"), None);

    let output = with(&["--from-env"]).expect(0).stdout;
    for told in [
        "note: recorded from the environment: HTTPS_PROXY, no_proxy, SIGILUM_ALLOW_INSECURE_HTTP, \
         SIGILUM_NOTIFY_SENDERS, SIGILUM_HOOK_TIMEOUT_MS\n",
        "note: not recorded, as these are secrets: SIGILUM_OWNER_TOKEN, JWT_SECRET, GATEWAY_ADMIN_TOKEN, \
         GATEWAY_MASTER_KEY\n",
    ] {
        assert!(output.contains(told), "{output}");
    }
    let now = record(&env);
    assert_eq!(
        now["env"],
        json!({"HTTPS_PROXY": "http://proxy:3128", "no_proxy": "example.org", "SIGILUM_ALLOW_INSECURE_HTTP": "1"})
    );
    assert_eq!(
        (&now["senders"], &now["timeout_ms"]),
        (&json!(["irc:alice"]), &json!(2500))
    );
    assert!(!now.to_string().contains("the "), "{now}");

    // What cannot be used is refused, and nothing is recorded; nor is it told as recorded.
    for (name, text) in [
        ("SIGILUM_HOOK_TIMEOUT_MS", "0"),
        ("SIGILUM_HOOK_TIMEOUT_MS", "1"),
        ("SIGILUM_HOOK_TIMEOUT_MS", "4s"),
        ("SIGILUM_HOOK_TIMEOUT_MS", "-5"),
        ("SIGILUM_NOTIFY_GROUPS", "brieff"),
        ("SIGILUM_NOTIFY_SENDERS", "telegram:"),
        ("SIGILUM_NOTIFY_SENDERS", "${OWNER}"),
        ("HTTPS_PROXY", "undefined"),
        ("OPENCLAW_INCLUDE_ROOTS", "${ROOTS}"),
    ] {
        let refused = with(&["--from-env"]).env(name, text).expect(2);
        let says = format!("error: invalid {name} {text:?}: ");
        assert!(refused.stderr.starts_with(&says), "{}", refused.stderr);
        assert_eq!(record(&env), now);
    }
    // As a person types it.
    let typed = [
        ("SIGILUM_HOOK_TIMEOUT_MS", " 2500 "),
        ("SIGILUM_NOTIFY_GROUPS", " Brief "),
    ];
    let run = typed
        .iter()
        .fold(with(&["--from-env"]), |run, (name, value)| run.env(name, value));
    run.expect(0);
    assert_eq!(
        (&record(&env)["timeout_ms"], &record(&env)["groups"]),
        (&json!(2500), &json!("brief"))
    );

    // What is set no longer goes, but no list of senders is lifted by the way.
    let last = env.run(["hook", "install", "--from-env"]).env("HTTPS_PROXY", "");
    last.expect(0);
    let now = record(&env);
    assert_eq!((now.get("env"), &now["senders"]), (None, &json!(["irc:alice"])));
}

/// Made by hand, or by Sigilum's own installer: nobody has logged in with us.
#[test]
fn an_install_leaves_an_entry_of_a_home_without_a_login_its_own_api_and_token() {
    let env = TestEnv::new();
    let vars = json!({"SIGILUM_NAMESPACE": "johndee", "SIGILUM_MODE": "oss-local",
        "SIGILUM_API_URL": "http://127.0.0.1:9999", "SIGILUM_OWNER_TOKEN": "t.o.k", "SIGILUM_NOTIFY_GROUPS": "full"});
    let config = json!({"hooks": {"internal": {"enabled": true, "entries": {HOOK: {"enabled": false, "env": vars}}}}});
    env.write_config(config.to_string());
    env.run(["hook", "install"]).expect(0);
    assert_eq!(entry(&env).unwrap(), json!({"enabled": true, "env": vars}));
    let now = record(&env);
    // The hook goes on with the entry's token until somebody logs in.
    assert_eq!((now.get("namespace"), now.get("groups")), (None, None));
}

#[test]
fn a_first_login_is_at_the_api_that_the_hooks_one_has() {
    let env = TestEnv::new();
    let url = "--api-url http://127.0.0.1:8788";
    env.run(login("alice"))
        .args(url.split(' '))
        .args(["--no-check"])
        .expect(0);
    let other = env.run(["auth", "switch", "carl"]).expect(4).stderr;
    let status = env.run(["auth", "status", "--namespace", "carl"]).expect(4).stderr;
    let refresh = env.run(["auth", "refresh", "--namespace", "carl"]).expect(4).stderr;
    assert!(
        refresh.contains("could not make a token, carl is not logged in here"),
        "{refresh}"
    );
    for told in [other, status, refresh] {
        let step = told.split("next: sigilum-authz-notify ").nth(1).unwrap();
        assert!(step.contains(url), "{told}");
        let words = shell_words::split(step.lines().next().unwrap()).unwrap();
        env.run(words).args(["--no-check"]).expect(0);
        env.run(["auth", "switch", "alice"]).expect(0);
        env.run(["auth", "switch", "carl"]).expect(0);
        env.run(["auth", "logout", "--namespace", "carl"]).expect(0);
    }
}
