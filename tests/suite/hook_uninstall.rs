//! `hook uninstall`: the config byte for byte, the folders as they were, and with `--purge` nothing of ours.

use crate::env;

use env::TestEnv;
use serde_json::{Value, json};
use sha2::Digest;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

const HOOK: &str = "sigilum-authz-notify";

fn log_in(env: &TestEnv, more: &[&str]) {
    env.login().args(more).expect(0);
}

/// Everything below a folder but our lock, which says who had it last: path and a fingerprint of the bytes; a folder has none.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Option<String>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.append(&mut tree(&path));
        }
        if path.ends_with(".sigilum/lock") {
            continue;
        }
        let bytes = std::fs::read(&path).ok();
        found.insert(path, bytes.map(|bytes| hex::encode(sha2::Sha256::digest(bytes))));
    }
    found
}

fn config(env: &TestEnv) -> Value {
    json5::from_str(&std::fs::read_to_string(env.config()).unwrap()).unwrap()
}

const CONFIGS: [&str; 9] = [
    "{}",
    "",
    "// mine\n{\n  gateway: { mode: 'local' }, // keep\n}\n",
    "{\"gateway\":{\"mode\":\"local\"},\"hooks\":{\"internal\":{\"enabled\":true}}}",
    "\u{feff}{\r\n\t\"hooks\": {\r\n\t\t\"internal\": { \"enabled\": true, \"entries\": { \"a\": { \"enabled\": true, }, }, },\r\n\t},\r\n}\r\n",
    "{hooks: {internal: {load: {extraDirs: [ /* none */ ]}, enabled: true}}}",
    "{hooks: {internal: {enabled: false, entries: {}}}}",
    "{plugins: {allow: ['irc'], load: {paths: []}, entries: {irc: {enabled: true}}}}",
    "{hooks: {internal: {entries: {'sigilum-authz-notify': {enabled: false, env: {MINE: '1'}}}}}}",
];

#[test]
fn the_config_comes_back_byte_for_byte() {
    for (number, text) in CONFIGS.into_iter().enumerate() {
        let plugin = number % 2 == 0;
        let env = TestEnv::new();
        env.write_config(text);
        log_in(&env, &["--enable-authz-notify", "preserve"]);
        env.run(["hook", "install", "--enable", "preserve", "--namespace", "alice"])
            .expect(0);
        env.run(["hook", "install"]).expect(0);
        if plugin {
            env.run(["hook", "install", "--as", "plugin"]).expect(0);
        }
        env.run(["auth", "refresh", "--print-token", "false"]).expect(0);
        env.run(["hook", "install", "--enable", "false"]).expect(0);
        env.run(["hook", "install", "--enable", "true"]).expect(0);
        assert_ne!(std::fs::read_to_string(env.config()).unwrap(), text);
        let output = env.run(["hook", "uninstall"]).expect(0);
        assert_eq!(
            std::fs::read_to_string(env.config()).unwrap(),
            text,
            "{}",
            output.stdout
        );
        assert!(!env.openclaw().join("hooks").exists());
        assert!(!env.sigilum("plugin").exists() && !env.sigilum("installed.json").exists());
        assert!(env.sigilum("owner-token-alice.jwt").exists());
        env.run(["hook", "uninstall"]).expect(0);
        assert_eq!(std::fs::read_to_string(env.config()).unwrap(), text);
        // And once more from the start.
        env.run(["hook", "install"]).expect(0);
        env.run(["hook", "uninstall"]).expect(0);
        assert_eq!(std::fs::read_to_string(env.config()).unwrap(), text);
    }
}

#[test]
fn a_config_that_we_made_goes_with_us() {
    let env = TestEnv::new();
    log_in(&env, &["--enable-authz-notify", "true"]);
    env.run(["hook", "install"]).expect(0);
    let output = env.run(["hook", "uninstall"]).expect(0);
    assert!(!env.config().exists(), "{}", output.stdout);
    // Unless somebody put something into it.
    env.run(["hook", "install"]).expect(0);
    let text = std::fs::read_to_string(env.config()).unwrap();
    std::fs::write(env.config(), text.replacen('{', "{ gateway: { mode: 'local' },", 1)).unwrap();
    env.run(["hook", "uninstall"]).expect(0);
    assert_eq!(config(&env), json!({"gateway": {"mode": "local"}}));
}

#[test]
fn what_others_wrote_since_stays() {
    let env = TestEnv::new();
    env.write_config("{\n  // mine\n  a: 1,\n}\n");
    log_in(&env, &[]);
    env.run(["hook", "install"]).expect(0);
    // As OpenClaw itself writes: strict JSON, comments gone, a member more.
    let mut value = config(&env);
    value["meta"] = json!({"lastTouchedVersion": "2026.9.6"});
    std::fs::write(env.config(), serde_json::to_string_pretty(&value).unwrap()).unwrap();
    env.run(["hook", "uninstall"]).expect(0);
    assert_eq!(
        config(&env),
        json!({"a": 1, "meta": {"lastTouchedVersion": "2026.9.6"}})
    );
}

#[test]
fn other_hooks_run_on_as_they_do_now() {
    // Discovery was broad, we kept it open; then somebody declared a hook of their own.
    let env = TestEnv::new();
    env.write_config(r#"{"hooks":{"internal":{"enabled":true}}}"#);
    log_in(&env, &[]);
    env.run(["hook", "install"]).expect(0);
    let mut value = config(&env);
    value["hooks"]["internal"]["entries"]["mine"] = json!({"enabled": true});
    std::fs::write(env.config(), serde_json::to_string_pretty(&value).unwrap()).unwrap();
    let output = env.run(["hook", "uninstall"]).expect(0);
    let dir = env.openclaw().join("hooks").join(HOOK);
    assert_eq!(
        config(&env)["hooks"]["internal"],
        json!({"enabled": true, "entries": {"mine": {"enabled": true}}, "load": {"extraDirs": [dir.to_str().unwrap()]}})
    );
    assert!(output.stdout.contains("hooks.internal.load stays"), "{}", output.stdout);

    // All hooks were asleep, --force woke them up: nobody wrote since, so everything is as it was.
    let text = r#"{"hooks":{"internal":{"enabled":false,"entries":{"a":{}}}}}"#;
    let env = TestEnv::new();
    env.write_config(text);
    log_in(&env, &["--enable-authz-notify", "true", "--force"]);
    env.run(["hook", "install", "--force"]).expect(0);
    let output = env.run(["hook", "uninstall"]).expect(0);
    assert_eq!(std::fs::read_to_string(env.config()).unwrap(), text);
    assert!(output.stdout.contains("switched off: a"), "{}", output.stdout);

    // Without a record, the last declared hook goes: `enabled: true` alone would run every hook.
    let env = TestEnv::new();
    env.write_config(r#"{"hooks":{"internal":{"enabled":true,"entries":{"sigilum-authz-notify":{"enabled":true}}}}}"#);
    let text = std::fs::read_to_string(env.config()).unwrap();
    let output = env.run(["hook", "uninstall"]).expect(0);
    assert_eq!(std::fs::read_to_string(env.config()).unwrap(), text);
    assert!(output.stdout.contains("--force removes it"), "{}", output.stdout);
    let output = env.run(["hook", "uninstall", "--force"]).expect(0);
    assert_eq!(config(&env)["hooks"]["internal"], json!({"entries": {}}));
    assert!(
        output.stdout.contains("hooks.internal.enabled was removed"),
        "{}",
        output.stdout
    );
}

/// OpenClaw takes a config that lost half its size for damaged, and brings its backup back: with a live entry in it, and
/// no files any more.
#[test]
fn a_config_that_openclaw_would_bring_back_keeps_its_length() {
    let text = "{ gateway: { mode: 'local' } }\n";
    let env = TestEnv::new();
    env.write_config(text);
    log_in(&env, &[]);
    env.run(["hook", "install", "--token-in-config"]).expect(0);
    env.run(["hook", "install", "--as", "plugin"]).expect(0);
    let held = std::fs::read(env.config()).unwrap();
    let backup = env.write(".openclaw/openclaw.json.bak", &held);
    let output = env.run(["hook", "uninstall"]).expect(0);
    assert!(
        output.stdout.contains("stays, switched off and without a token"),
        "{}",
        output.stdout
    );
    let entry = &config(&env)["hooks"]["internal"]["entries"][HOOK];
    assert_eq!(entry["enabled"], false);
    assert!(
        entry["env"]["SIGILUM_OWNER_TOKEN"]
            .as_str()
            .unwrap()
            .starts_with("no-token--")
    );
    assert_eq!(config(&env)["plugins"], json!({"entries": {}}));
    assert!(!env.openclaw().join("hooks").exists());
    // What stood there before is not forgotten.
    let output = env.run(["hook", "uninstall", "--force"]).expect(0);
    assert_eq!(std::fs::read_to_string(env.config()).unwrap(), text);
    assert!(
        output.stdout.contains("OpenClaw takes less than half for damaged"),
        "{}",
        output.stdout
    );

    // It has nothing to bring back: no gateway.mode in its backup, or a small one, and it never looked at a larger file.
    for bytes in ["{}", "broken", text] {
        env.run(["hook", "install"]).expect(0);
        std::fs::write(&backup, bytes).unwrap();
        env.run(["hook", "uninstall"]).expect(0);
        assert_eq!(std::fs::read_to_string(env.config()).unwrap(), text, "{bytes}");
    }
    // It did look at a larger one.
    env.run(["hook", "install"]).expect(0);
    std::fs::create_dir(env.openclaw().join("state")).unwrap();
    let database = rusqlite::Connection::open(env.openclaw().join("state/openclaw.sqlite")).unwrap();
    let schema = "CREATE TABLE config_health_entries (config_path TEXT PRIMARY KEY, last_known_good_json TEXT) STRICT";
    database.execute(schema, []).unwrap();
    let insert = "INSERT INTO config_health_entries VALUES (?1, '{\"hash\":\"x\",\"bytes\":900,\"hasMeta\":false}')";
    database.execute(insert, [env.config().to_str().unwrap()]).unwrap();
    env.run(["hook", "uninstall"]).expect(0);
    assert_eq!(config(&env)["hooks"]["internal"]["entries"][HOOK]["enabled"], false);
}

#[test]
fn a_pipe_in_place_of_openclaws_backup_is_not_waited_for() {
    let env = TestEnv::new();
    env.write_config("{\"gateway\":{\"mode\":\"local\"}}");
    log_in(&env, &["--enable-authz-notify", "true"]);
    let pipe = env.openclaw().join("openclaw.json.bak");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    env.run(["hook", "uninstall"]).under("timeout", ["20"]).expect(0);
    assert_eq!(
        std::fs::read_to_string(env.config()).unwrap(),
        "{\"gateway\":{\"mode\":\"local\"}}"
    );
}

#[test]
fn the_shell_scripts_hook_is_put_back() {
    let env = TestEnv::new();
    let text = r#"{"hooks":{"internal":{"enabled":true,"entries":{"sigilum-authz-notify":{"enabled":true,"env":{"SIGILUM_NAMESPACE":"alice","SIGILUM_OWNER_TOKEN":"old"}}}}}}"#;
    env.write_config(text);
    env.write(".openclaw/hooks/sigilum-authz-notify/HOOK.md", "older\n");
    env.write(".openclaw/hooks/sigilum-authz-notify/handler.ts", "export default 1\n");
    let before = tree(&env.openclaw().join("hooks"));
    log_in(&env, &[]);
    env.run(["hook", "install"]).expect(0);
    assert_ne!(tree(&env.openclaw().join("hooks")), before);
    let output = env.run(["hook", "uninstall"]).expect(0);
    assert_eq!(tree(&env.openclaw().join("hooks")), before, "{}", output.stdout);
    assert_eq!(std::fs::read_to_string(env.config()).unwrap(), text);
    assert!(!env.sigilum("replaced").exists());
}

#[test]
fn an_entry_of_before_without_a_handler_is_told() {
    let env = TestEnv::new();
    let text = r#"{"hooks":{"internal":{"entries":{"sigilum-authz-notify":{"enabled":true},"a":{}}}}}"#;
    env.write_config(text);
    log_in(&env, &[]);
    env.run(["hook", "install"]).expect(0);
    let output = env.run(["hook", "uninstall"]).expect(0);
    assert_eq!(std::fs::read_to_string(env.config()).unwrap(), text);
    assert!(output.stdout.contains("without a handler"), "{}", output.stdout);
    env.run(["hook", "install"]).expect(0);
    env.run(["hook", "uninstall", "--force"]).expect(0);
    assert_eq!(config(&env), json!({"hooks": {"internal": {"entries": {"a": {}}}}}));
}

#[test]
fn a_changed_file_stays_unless_forced() {
    let env = TestEnv::new();
    log_in(&env, &[]);
    env.run(["hook", "install"]).expect(0);
    let handler = env.openclaw().join("hooks").join(HOOK).join("handler.js");
    std::fs::write(&handler, "// mine\n").unwrap();
    let output = env.run(["hook", "uninstall"]).expect(0);
    assert!(output.stdout.contains("changed by somebody"), "{}", output.stdout);
    assert_eq!(
        tree(&env.openclaw().join("hooks"))
            .into_iter()
            .filter(|(_, bytes)| bytes.is_some())
            .count(),
        1
    );
    env.run(["hook", "uninstall", "--force"]).expect(0);
    assert!(!handler.exists());
}

/// The handler of before the install is given back once the one that took its place may go.
#[test]
fn what_stood_there_before_is_not_forgotten_beside_a_changed_file() {
    let env = TestEnv::new();
    log_in(&env, &[]);
    let folder = env.openclaw().join("hooks").join(HOOK);
    std::fs::create_dir_all(&folder).unwrap();
    let handler = folder.join("handler.js");
    std::fs::write(&handler, "// of before\n").unwrap();
    env.run(["hook", "install", "--force"]).expect(0);
    std::fs::write(&handler, "// changed\n").unwrap();

    let output = env.run(["hook", "uninstall"]).expect(0);
    assert!(
        output
            .stdout
            .contains("changed by somebody, so it stays; --force puts back"),
        "{}",
        output.stdout
    );
    assert_eq!(std::fs::read_to_string(&handler).unwrap(), "// changed\n");
    env.run(["hook", "uninstall"]).expect(0);
    env.run(["hook", "uninstall", "--force"]).expect(0);
    assert_eq!(std::fs::read_to_string(&handler).unwrap(), "// of before\n");
    assert_eq!(tree(&env.sigilum("replaced")).len(), 0);
}

#[test]
fn where_the_config_must_not_be_written_the_rest_goes_and_what_it_needs_is_told() {
    let env = TestEnv::new();
    log_in(&env, &[]);
    env.run(["hook", "install"]).expect(0);
    let config = std::fs::read_to_string(env.config()).unwrap();
    let output = env.run(["hook", "uninstall"]).env("OPENCLAW_NIX_MODE", "1").expect(0);
    assert!(output.stderr.contains("OPENCLAW_NIX_MODE is set"), "{}", output.stderr);
    assert!(
        output.stderr.contains("takes up no change of its config"),
        "{}",
        output.stderr
    );
    assert!(output.stdout.contains(r#""op": "remove""#), "{}", output.stdout);
    assert_eq!(std::fs::read_to_string(env.config()).unwrap(), config);
    assert!(!env.openclaw().join("hooks").exists());
    // Once it may be written, the rest of it goes too.
    env.run(["hook", "uninstall"]).expect(0);
    assert!(!std::fs::read_to_string(env.config()).is_ok_and(|text| text.contains(HOOK)));
}

#[test]
fn nothing_is_taken_apart_while_the_config_cannot_be_read() {
    let env = TestEnv::new();
    log_in(&env, &[]);
    env.run(["hook", "install"]).expect(0);
    std::fs::write(env.config(), "{ broken").unwrap();
    let before = tree(&env.openclaw());
    env.run(["hook", "uninstall"]).expect(3);
    assert_eq!(tree(&env.openclaw()), before);
}

/// Whatever is wrong with the config, the secrets go; what takes the rest out later stays.
#[test]
fn a_purge_beside_a_broken_config_takes_the_secrets_away() {
    for broken in [
        "{ broken",
        r#"{"hooks": []}"#,
        r#"{"plugins": "x"}"#,
        r#"{"plugins": null}"#,
        r#"{"plugins": {"load": "x"}}"#,
        r#"{"plugins": {"load": {"paths": "x"}}}"#,
        r#"{"plugins": {"entries": []}}"#,
        r#"{"hooks": {"internal": {"entries": {"sigilum-authz-notify": {"enabled": "yes"}}}}}"#,
        r#"{"hooks": {"internal": {"entries": {"sigilum-authz-notify": {"env": {"SIGILUM_OWNER_TOKEN": 1}}}}}}"#,
    ] {
        takes_the_secrets_away_beside(broken);
    }
}

fn takes_the_secrets_away_beside(broken: &str) {
    let env = TestEnv::new();
    log_in(&env, &[]);
    env.run(["hook", "install"]).expect(0);
    let config = std::fs::read(env.config()).unwrap();
    std::fs::write(env.config(), broken).unwrap();
    let told = env.run(["hook", "uninstall", "--purge"]).expect(3).stderr;
    let says = "warning: the rest stays, and the token may still stand in openclaw.json\n";
    assert!(told.contains(says), "{told}");
    for gone in [
        "owner-token-alice.jwt",
        "owner-alice.json",
        "jwt-secret",
        "local-api.sqlite",
    ] {
        assert!(!env.sigilum(gone).exists(), "{gone}");
    }
    std::fs::write(env.config(), config).unwrap();
    env.run(["hook", "uninstall", "--purge"]).expect(0);
    assert!(!env.sigilum("").exists());
    assert!(!std::fs::read_to_string(env.config()).is_ok_and(|text| text.contains(HOOK)));
}

#[test]
fn a_purge_that_may_not_edit_says_that_the_config_holds_the_token() {
    for in_config in ["true", "false"] {
        let env = TestEnv::new();
        log_in(&env, &["--enable-authz-notify", "true", "--token-in-config", in_config]);
        let purge = env.run(["hook", "uninstall", "--purge"]).env("OPENCLAW_NIX_MODE", "1");
        let told = purge.expect(0).stderr;
        let says = "warning: openclaw.json still holds the token\n";
        assert_eq!(told.contains(says), in_config == "true", "{told}");
    }
}

#[test]
fn nothing_to_do_leaves_nothing_behind() {
    let env = TestEnv::new();
    let output = env.run(["hook", "uninstall", "--purge"]).expect(0);
    assert!(output.stdout.contains("nothing of ours"), "{}", output.stdout);
    assert!(!env.openclaw().exists());
    env.write_config("{}");
    let before = tree(&env.openclaw());
    env.run(["hook", "uninstall"]).expect(0);
    assert_eq!(tree(&env.openclaw()), before);
}

const OLDER: &str = "{hooks: {internal: {enabled: true, entries: {'sigilum-authz-notify': {enabled: true, env: {SIGILUM_NAMESPACE: 'mine'}}}}}}\n";

fn older_hook(env: &TestEnv) -> PathBuf {
    let folder = env.openclaw().join("hooks").join(HOOK);
    for (name, text) in [("HOOK.md", "older"), ("handler.ts", "older handler")] {
        env.write(folder.join(name), text);
    }
    folder
}

/// Whoever had a hook before us has it after each further uninstall too.
#[test]
fn a_second_uninstall_takes_nothing_of_the_older_hook() {
    let env = TestEnv::new();
    env.write_config(OLDER);
    older_hook(&env);
    let before = tree(&env.openclaw());
    log_in(&env, &[]);
    env.run(["hook", "install"]).expect(0);
    for more in [&[][..], &[], &["--purge"], &["--purge"]] {
        let output = env.run(["hook", "uninstall"].iter().chain(more)).expect(0);
        assert!(!output.stdout.contains("without a handler"), "{}", output.stdout);
        assert_eq!(std::fs::read_to_string(env.config()).unwrap(), OLDER, "{more:?}");
    }
    assert_eq!(tree(&env.openclaw()), before);
}

/// The config was given back, the list of our files is still there.
#[test]
fn an_uninstall_that_was_killed_is_ended_by_the_next_one() {
    for more in [&[][..], &["--purge"]] {
        let env = TestEnv::new();
        env.write_config(OLDER);
        log_in(&env, &[]);
        env.run(["hook", "install"]).expect(0);
        let folder = env.openclaw().join("hooks").join(HOOK);
        // A linked folder is not touched: it ends there, as a kill would end it.
        let away = env.home().join("away");
        std::fs::rename(&folder, &away).unwrap();
        std::os::unix::fs::symlink(&away, &folder).unwrap();
        env.run(["hook", "uninstall"].iter().chain(more)).expect(1);
        assert_eq!(std::fs::read_to_string(env.config()).unwrap(), OLDER, "{more:?}");
        std::fs::remove_file(&folder).unwrap();
        std::fs::rename(&away, &folder).unwrap();
        env.run(["hook", "uninstall"].iter().chain(more)).expect(0);
        assert_eq!(std::fs::read_to_string(env.config()).unwrap(), OLDER, "{more:?}");
        assert!(!folder.exists());
    }
}

/// The files were installed, the config was not edited yet; then half of the older hook was put back.
#[test]
fn an_install_and_an_uninstall_that_were_killed_leave_the_older_entry() {
    let env = TestEnv::new();
    env.write_config(OLDER);
    let folder = older_hook(&env);
    let before = tree(&env.openclaw());
    env.run(["hook", "install", "--namespace", "alice"]).expect(0);
    env.write_config(OLDER);
    std::fs::remove_file(env.sigilum("undo.json")).unwrap();
    let away = env.home().join("away");
    std::fs::rename(&folder, &away).unwrap();
    std::os::unix::fs::symlink(&away, &folder).unwrap();
    env.run(["hook", "uninstall"]).expect(1);
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&away, &folder).unwrap();
    std::fs::rename(env.sigilum("replaced/hook/HOOK.md"), folder.join("HOOK.md")).unwrap();
    env.run(["hook", "uninstall"]).expect(0);
    assert_eq!(std::fs::read_to_string(env.config()).unwrap(), OLDER);
    assert!(!env.sigilum("installed.json").exists());
    assert_eq!(
        std::fs::read_to_string(folder.join("handler.ts")).unwrap(),
        "older handler"
    );
    assert!(before.keys().all(|path| path.exists()));
}

/// What was linked for keeping and not replaced yet: a handler with two names is one that OpenClaw refuses.
#[test]
fn an_install_that_was_killed_leaves_the_older_hook_its_one_name() {
    use std::os::unix::fs::MetadataExt;
    for listed in [true, false] {
        let env = TestEnv::new();
        env.write_config(OLDER);
        let folder = older_hook(&env);
        let before = tree(&env.openclaw());
        env.run(["hook", "install", "--namespace", "alice"]).expect(0);
        // As it was before the first of our files was written.
        let kept = env.sigilum("replaced/hook");
        for name in ["package.json", "handler.js", "install.json", "HOOK.md"] {
            std::fs::remove_file(folder.join(name)).unwrap();
        }
        for name in ["HOOK.md", "handler.ts"] {
            std::fs::hard_link(kept.join(name), folder.join(name)).unwrap();
        }
        if !listed {
            std::fs::remove_file(env.sigilum("installed.json")).unwrap();
        }
        env.run(["hook", "uninstall"]).expect(0);
        assert_eq!(tree(&env.openclaw()), before, "{listed}");
        for name in ["HOOK.md", "handler.ts"] {
            assert_eq!(std::fs::metadata(folder.join(name)).unwrap().nlink(), 1, "{name}");
        }
    }
}

/// Whatever docs/files.md says lies in `.sigilum/`.
#[test]
fn purge_knows_every_file_of_ours() {
    let env = TestEnv::new();
    log_in(&env, &[]);
    let files = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/files.md")).unwrap();
    let named = files
        .lines()
        .filter_map(|line| line.strip_prefix("| `.sigilum/")?.split('`').next());
    let mut made = 0;
    for name in named.filter(|name| !name.contains('/')) {
        let file = env.sigilum(&name.replace("<ns>", "alice"));
        if !file.exists() {
            // A list that says nothing of the approvals that were to end stays.
            let text = r#"{"approvals": []}"#;
            env.write(file.strip_prefix(env.home()).unwrap().to_str().unwrap(), text);
            made += 1;
        }
    }
    assert!(made > 5, "{made}");
    env.run(["hook", "uninstall", "--purge"]).expect(0);
    assert!(!env.sigilum("").exists(), "{:?}", tree(&env.sigilum("")));
}

/// Nothing else says where the token is.
#[test]
fn an_uninstall_keeps_what_was_chosen_beside_a_broker() {
    let env = TestEnv::new();
    let chosen = json!({
        "namespace": "alice",
        "broker": {"socket": env.home().join("socket"), "uid": 4321},
        "senders": ["irc:alice!~alice@host"],
    });
    env.write(".openclaw/.sigilum/hook.json", chosen.to_string());
    let record = || serde_json::from_slice::<Value>(&std::fs::read(env.sigilum("hook.json")).unwrap()).unwrap();
    env.run(["hook", "install"]).expect(0);
    let installed = record();
    let output = env.run(["hook", "uninstall"]).expect(0);
    assert!(
        output
            .stdout
            .contains("/hook.json stays, it names the broker; --purge removes it\n"),
        "{}",
        output.stdout
    );
    assert_eq!(record(), installed);
    env.run(["hook", "install"]).expect(0);
    assert_eq!(record(), installed);
    env.run(["hook", "uninstall", "--purge"]).expect(0);
    assert!(!env.sigilum("").exists());
}

#[test]
fn purge_says_that_the_keys_of_services_stay() {
    let env = TestEnv::new();
    log_in(&env, &[]);
    let key = env.write(".openclaw/.sigilum-workspace/service-api-key-linear", "sk_live_kept");
    let output = env.run(["hook", "uninstall", "--purge"]).expect(0);
    let folder = key.parent().unwrap().display().to_string();
    assert!(
        output.stderr.contains("the keys of services stay") && output.stderr.contains(&folder),
        "{}",
        output.stderr
    );
    assert!(
        output
            .stderr
            .contains("`service remove` takes one out, after a new login: ")
    );
    assert_eq!(std::fs::read_to_string(&key).unwrap(), "sk_live_kept");
    let again = TestEnv::new();
    log_in(&again, &[]);
    let output = again.run(["hook", "uninstall", "--purge"]).expect(0);
    assert!(!output.stderr.contains("keys of services"), "{}", output.stderr);
}

/// Without a record of our edits too, a purge leaves no token of ours in the config.
#[test]
fn purge_takes_our_token_out_though_nothing_is_recorded() {
    let env = TestEnv::new();
    env.write_config("{}");
    log_in(&env, &["--enable-authz-notify", "true"]);
    std::fs::remove_file(env.sigilum("undo.json")).unwrap();
    env.run(["hook", "uninstall", "--purge"]).expect(0);
    assert!(!std::fs::read_to_string(env.config()).unwrap().contains("SIGILUM"));
}

#[test]
fn the_files_stay_where_the_entry_is_in_another_config() {
    let env = TestEnv::new();
    let other = env.write(env.home().join("other.json5"), "{ /* other */ }\n");
    env.run(
        ["hook", "install", "--namespace", "alice", "--config"]
            .map(OsStr::new)
            .iter()
            .chain(&[other.as_os_str()]),
    )
    .expect(0);
    let before = tree(env.home());
    let output = env.run(["hook", "uninstall"]).expect(3);
    assert!(
        output
            .stderr
            .contains(&format!("next: add --config {}", other.display())),
        "{}",
        output.stderr
    );
    assert_eq!(tree(env.home()), before);
    env.run([
        OsStr::new("hook"),
        OsStr::new("uninstall"),
        OsStr::new("--config"),
        other.as_os_str(),
    ])
    .expect(0);
    assert_eq!(std::fs::read_to_string(other).unwrap(), "{ /* other */ }\n");
    assert!(!env.openclaw().join("hooks").exists());
}

#[test]
fn what_a_killed_install_left_in_the_folders_goes_too() {
    for (kind, folder) in [("hook", "hooks/sigilum-authz-notify"), ("plugin", ".sigilum/plugin")] {
        let env = TestEnv::new();
        env.write_config("{}");
        let before = tree(&env.openclaw());
        env.run(["hook", "install", "--as", kind, "--namespace", "alice"])
            .expect(0);
        // Of another pid namespace, and too old to be somebody's still.
        let left = env
            .openclaw()
            .join(folder)
            .join(".sigilum-authz-notify-4194999-5-0-0123456789abcdef.tmp");
        std::fs::write(&left, "half a handler").unwrap();
        age(&left);
        env.run(["hook", "uninstall"]).expect(0);
        assert_eq!(tree(&env.openclaw()), before, "{kind}");
    }
}

fn age(path: &Path) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
}

#[test]
fn the_folder_that_held_our_lists_goes_with_them_and_a_second_time_says_so() {
    let env = TestEnv::new();
    env.write_config("{hooks: {$include: './hooks.json5'}}\n");
    env.write(env.openclaw().join("hooks.json5"), "{internal: {}}\n");
    let before = tree(&env.openclaw());
    env.run(["hook", "install", "--namespace", "alice"]).expect(0);
    let output = env.run(["hook", "uninstall"]).expect(0);
    let took = output.stdout.lines().next().unwrap();
    assert!(
        took.starts_with("Took our part out of ") && took.ends_with("hooks.json5"),
        "{took}"
    );
    assert_eq!(tree(&env.openclaw()), before);
    assert!(!env.sigilum("").exists(), "our lock was all that was left in it");
    for more in [&[][..], &["--purge"]] {
        let output = env.run(["hook", "uninstall"].iter().chain(more)).expect(0);
        assert!(
            output.stdout.starts_with("Neither the hook nor the plugin"),
            "{}",
            output.stdout
        );
    }
    assert_eq!(tree(&env.openclaw()), before);
}

#[test]
fn purge_leaves_no_token_behind_and_tells_of_openclaws_copies() {
    let env = TestEnv::new();
    let text = &format!("{{ gateway: {{ mode: 'local' }} }} // {}\n", "long ".repeat(300));
    env.write_config(text);
    let elsewhere = env.home().join("tokens/alice.jwt");
    std::fs::create_dir(elsewhere.parent().unwrap()).unwrap();
    log_in(&env, &["--token-file", elsewhere.to_str().unwrap()]);
    env.run(["hook", "install", "--token-in-config"]).expect(0);
    env.run(["hook", "install", "--as", "plugin"]).expect(0);
    env.run(["auth", "refresh", "--print-token", "false"]).expect(0);
    let token = std::fs::read_to_string(&elsewhere).unwrap().trim().to_owned();
    assert!(std::fs::read_to_string(env.config()).unwrap().contains(&token));
    let held = std::fs::read(env.config()).unwrap();
    for name in [
        "openclaw.json.bak",
        "openclaw.json.bak.3",
        "openclaw.json.last-good",
        "openclaw.json.clobbered.2026",
    ] {
        env.write(Path::new(".openclaw").join(name), &held);
    }
    env.write(".openclaw/openclaw.json.bak.1", text);
    env.write(
        ".openclaw/openclaw.json.bak.4",
        r#"{"SIGILUM_OWNER_TOKEN": "eyJhbGciOiJIUzI1NiJ9.an.older"}"#,
    );
    env.write(".openclaw/state/openclaw.sqlite-wal", format!("...{token}..."));
    env.write(".openclaw/.sigilum/notes.txt", "mine\n");

    let output = env.run(["hook", "uninstall", "--purge"]).expect(0);
    assert!(!output.stdout.contains(&token) && !output.stderr.contains(&token));
    let told: Vec<_> = output
        .stdout
        .lines()
        .skip_while(|line| !line.contains("still hold owner tokens"))
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .collect();
    let expected = [".bak", ".bak.3", ".bak.4", ".clobbered.2026", ".last-good"];
    let expected = expected.map(|name| format!("  {}{name}", env.config().display()));
    let state = format!("  {}", env.openclaw().join("state/openclaw.sqlite-wal").display());
    assert_eq!(
        told,
        expected.iter().chain([&state]).collect::<Vec<_>>(),
        "{}",
        output.stdout
    );
    assert_eq!(std::fs::read_to_string(env.config()).unwrap(), *text);
    assert!(!elsewhere.exists());
    let ours: Vec<_> = tree(&env.sigilum("")).into_keys().collect();
    assert_eq!(ours, [env.sigilum("notes.txt")]);
    assert!(output.stdout.contains("notes.txt is not ours"), "{}", output.stdout);
    std::fs::remove_file(env.sigilum("notes.txt")).unwrap();
    log_in(&env, &[]);
    env.run(["hook", "uninstall", "--purge"]).expect(0);
    assert!(!env.sigilum("").exists());
}

/// A home that was copied, and one that was moved: what our edits are recorded of is the config of that home, in the
/// record of today and in that of 0.1.0, which had absolute names.
#[test]
fn an_uninstall_in_a_copied_home_never_touches_the_original() {
    const BEFORE: &str = "{\n  // mine\n  gateway: {mode: 'local'},\n  hooks: {$include: './hooks.json5'},\n}\n";
    const INCLUDED: &str = "{\n  // mine too\n  token: 'x',\n}\n";
    let kinds = ["hook", "plugin"];
    let cases = kinds.into_iter().flat_map(|kind| [1, 2].map(|version| (kind, version)));
    for (kind, version) in cases {
        for (removed, stays) in [("copy", ".openclaw"), (".openclaw", "copy"), ("moved", "")] {
            let env = TestEnv::new();
            env.write_config(BEFORE);
            env.write(".openclaw/hooks.json5", INCLUDED);
            let file = env.openclaw().join("tokens/alice.jwt");
            env.login()
                .args(["--token-file", file.to_str().unwrap(), "--enable-authz-notify", "true"])
                .expect(0);
            env.run(["hook", "install", "--as", kind]).expect(0);
            let undo = std::fs::read_to_string(env.sigilum("undo.json")).unwrap();
            let own = env.openclaw();
            let mut undo: Value = serde_json::from_str(&undo).unwrap();
            for name in undo["files"].as_object().unwrap().keys() {
                assert!(Path::new(name).is_relative(), "{name}");
            }
            if version == 1 {
                let files = undo["files"].as_object().unwrap().clone();
                let real = own.canonicalize().unwrap();
                let files = files
                    .into_iter()
                    .map(|(name, file)| (real.join(name).display().to_string(), file));
                undo = json!({"version": 1, "files": files.collect::<serde_json::Map<_, _>>()});
                env.write(".openclaw/.sigilum/undo.json", undo.to_string());
            }
            let other = env.home().join(if stays.is_empty() { "moved" } else { "copy" });
            match stays {
                "" => std::fs::rename(&own, &other).unwrap(),
                _ => {
                    let copied = std::process::Command::new("cp").arg("-a").args([&own, &other]).status();
                    assert!(copied.unwrap().success());
                }
            }
            let before = (!stays.is_empty()).then(|| tree(&env.home().join(stays)));
            let there = env.home().join(removed);
            let label = format!("{kind} of version {version}, {removed} removed");
            env.run(["hook", "uninstall", "--purge"])
                .args(["--openclaw-home".as_ref(), there.as_os_str()])
                .expect(0);
            if let Some(before) = before {
                assert_eq!(tree(&env.home().join(stays)), before, "{label}");
            }
            let read = |name: &str| std::fs::read_to_string(there.join(name)).unwrap();
            assert_eq!(
                (read("openclaw.json").as_str(), read("hooks.json5").as_str()),
                (BEFORE, INCLUDED),
                "{label}"
            );
            assert!(
                !there.join("tokens/alice.jwt").exists() && !there.join(".sigilum").exists(),
                "{label}"
            );
        }
    }
}

/// A config that is named outside of the home, as 0.1.0 recorded it, is no home that was moved.
#[test]
fn a_config_elsewhere_is_not_taken_for_the_homes_own() {
    let env = TestEnv::new();
    let config = env.write("etc/openclaw.json", "{}");
    env.login()
        .args(["--config", config.to_str().unwrap(), "--enable-authz-notify", "true"])
        .expect(0);
    let undo = std::fs::read_to_string(env.sigilum("undo.json")).unwrap();
    assert!(
        undo.contains(config.canonicalize().unwrap().to_str().unwrap()),
        "{undo}"
    );
    env.write(
        ".openclaw/.sigilum/undo.json",
        undo.replace("\"version\": 2", "\"version\": 1"),
    );
    env.write_config("{}");
    let refused = env.run(["hook", "uninstall"]).expect(3);
    assert!(
        refused.stderr.contains("it is no part of the config"),
        "{}",
        refused.stderr
    );
    env.run(["hook", "uninstall", "--config", config.to_str().unwrap()])
        .expect(0);
    assert_eq!(std::fs::read_to_string(config).unwrap(), "{}");
}

/// Another config is told with what is wrong with it, and where nothing is written with what it needs.
#[test]
fn why_our_part_stays_in_another_config_is_told() {
    let env = TestEnv::new();
    env.login().expect(0);
    env.run(["hook", "install"]).expect(0);
    let other = env.openclaw().join("other.json");
    env.login().args(["--config".as_ref(), other.as_os_str()]).expect(0);
    let good = std::fs::read_to_string(&other).unwrap();
    let handler = env.openclaw().join("hooks").join(HOOK).join("handler.js");
    let step = "mend that and run the command again; or add --force where OpenClaw does not read it any more";
    let break_it = || std::fs::write(&other, format!("{good} }}")).unwrap();
    let hide_it = || {
        std::fs::remove_file(&other).unwrap();
        std::fs::create_dir(&other).unwrap();
    };
    for (fault, why) in [
        (&break_it as &dyn Fn(), "nothing more was expected"),
        (&hide_it, "not a regular file"),
    ] {
        fault();
        let refused = env.run(["hook", "uninstall"]).expect(3);
        let says = format!("could not remove our part from {}: could not ", other.display());
        let told = &refused.stderr;
        assert!(told.contains(&says) && told.contains(why), "{told}");
        assert!(refused.step() == step && handler.exists(), "{told}");
    }
    std::fs::remove_dir(&other).unwrap();
    std::fs::write(&other, &good).unwrap();
    let nix = env.run(["hook", "uninstall"]).env("OPENCLAW_NIX_MODE", "1").expect(0);
    let says = format!("{} still needs a change: OPENCLAW_NIX_MODE is set", other.display());
    assert!(nix.stderr.contains(&says) && !handler.exists(), "{}", nix.stderr);
    assert_eq!(std::fs::read_to_string(&other).unwrap(), good);
    break_it();
    env.run(["hook", "uninstall"]).expect(3);
    env.run(["hook", "uninstall", "--force"]).expect(0);
}

/// A login with the wrong `--config` is a common slip.
#[test]
fn configs_of_one_home_are_cleaned_one_after_the_other() {
    let env = TestEnv::new();
    env.write_config("{gateway: {mode: 'local'}}");
    let others = ["a.json", "b.json", ".openclaw/c.json"].map(|name| env.home().join(name));
    env.login().expect(0);
    for other in &others {
        env.login().args(["--config".as_ref(), other.as_os_str()]).expect(0);
    }
    let mut flags: Vec<String> = Vec::new();
    for _ in 0..2 {
        let refused = env.run(["hook", "uninstall", "--purge"]).args(&flags).expect(3).stderr;
        let step = refused
            .lines()
            .find_map(|line| line.strip_prefix("  next: add "))
            .unwrap();
        let (step, _) = step.split_once(", or").unwrap();
        flags = step.split(' ').map(str::to_owned).collect();
    }
    env.run(["hook", "uninstall", "--purge"]).args(&flags).expect(0);
    assert!(others.iter().all(|other| !other.exists()));
    assert_eq!(
        std::fs::read_to_string(env.config()).unwrap(),
        "{gateway: {mode: 'local'}}"
    );
    assert!(!env.sigilum("").exists(), "{:?}", tree(&env.openclaw()));
}

#[test]
fn what_stays_as_somebody_changed_it_leaves_no_folder_when_forced() {
    let env = TestEnv::new();
    env.login().expect(0);
    env.run(["hook", "install"]).expect(0);
    let hooks = env.openclaw().join("hooks");
    std::fs::write(hooks.join("sigilum-authz-notify/handler.js"), "// theirs").unwrap();
    env.run(["hook", "uninstall"]).expect(0);
    assert!(hooks.join("sigilum-authz-notify/handler.js").exists());
    env.run(["hook", "uninstall", "--force"]).expect(0);
    assert!(!hooks.exists());
}

#[test]
fn a_reader_that_goes_away_keeps_nothing_from_being_removed() {
    let env = TestEnv::new();
    env.write_config("{}");
    log_in(&env, &[]);
    env.run(["hook", "install", "--token-in-config"]).expect(0);
    env.run(["hook", "install", "--as", "plugin"]).expect(0);
    let mut command = env.run(["hook", "uninstall", "--purge"]).into_command();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(!env.sigilum("").exists());
    assert_eq!(std::fs::read_to_string(env.config()).unwrap(), "{}");
}

#[test]
fn what_keeps_the_folder_is_named() {
    let env = TestEnv::new();
    env.write_config("{}");
    log_in(&env, &[]);
    env.run(["hook", "install"]).expect(0);
    env.write(".openclaw/hooks/sigilum-authz-notify/mine", "x");
    let told = env.run(["hook", "uninstall"]).expect(0).stdout;
    assert!(
        told.contains("/sigilum-authz-notify; what stays there: mine\n"),
        "{told}"
    );
}
