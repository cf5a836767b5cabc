//! `hook install`: files, entry, and what it leaves alone.

use crate::env;

use env::api::Api;
use env::{TestEnv, mode};
use serde_json::{Value, json};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

const HOOK: &str = "sigilum-authz-notify";
const FILES: [&str; 4] = ["HOOK.md", "handler.js", "install.json", "package.json"];

/// A home in which alice logged in, with this config.
fn logged_in(config: Option<&str>) -> TestEnv {
    let env = TestEnv::new();
    if let Some(config) = config {
        env.write_config(config);
    }
    env.login().expect(0);
    env
}

fn hook_dir(env: &TestEnv) -> PathBuf {
    env.openclaw().join("hooks").join(HOOK)
}

fn config(env: &TestEnv) -> Value {
    json5::from_str(&std::fs::read_to_string(env.config()).unwrap()).unwrap()
}

fn entry(env: &TestEnv) -> Value {
    config(env)["hooks"]["internal"]["entries"][HOOK].clone()
}

/// Inode, time and bytes of a file: the same where nobody wrote it.
fn print(path: &Path) -> (u64, std::time::SystemTime, Vec<u8>) {
    let meta = path.symlink_metadata().unwrap();
    (meta.ino(), meta.modified().unwrap(), std::fs::read(path).unwrap())
}

/// A step with `openclaw` works as printed where an install saw the program, and it is not on PATH any more.
#[test]
fn an_openclaw_off_path_is_named_where_an_install_saw_it() {
    let env = logged_in(Some("{}"));
    let openclaw = env.write("o c/openclaw", "#!/bin/sh\n");
    std::fs::set_permissions(&openclaw, PermissionsExt::from_mode(0o755)).unwrap();
    let openclaw_dir = openclaw.parent().unwrap().to_str().unwrap();
    let install = |flags: &[&str], path: &str| {
        let run = env.run([&["hook", "install"], flags].concat());
        run.env("PATH", format!("{path}/usr/bin:/bin")).output()
    };
    let deciders = ["--as", "plugin", "--deciders", "telegram:1"];
    env.write_config(r#"{"channels": {"telegram": {"botToken": "x"}}}"#);
    let by_path = format!("'{}'", openclaw.display());
    for (path, program) in [
        (format!("{openclaw_dir}:"), "openclaw"),
        (String::new(), by_path.as_str()),
    ] {
        let told = install(&deciders, &path).stdout;
        for says in [
            format!("; look at it: {program} config get channels.telegram\n"),
            format!("for the OpenClaw gateway to start: {program} onboard\n"),
        ] {
            assert!(told.contains(&says), "{says}: {told}");
        }
    }
    env.write_config("{ broken");
    let link = env.home().join("other");
    std::os::unix::fs::symlink(env.openclaw(), &link).unwrap();
    let named = |home: &Path| ["--openclaw-home", home.to_str().unwrap()].map(str::to_owned);
    // OpenClaw finds the default home itself.
    for (flags, before) in [
        (&[][..], String::new()),
        (&named(&env.openclaw()), String::new()),
        (&named(&link), format!("OPENCLAW_STATE_DIR={} ", link.display())),
    ] {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let told = install(&flags, "").stderr;
        let says = format!("what OpenClaw thinks of it: {before}{by_path} config validate\n");
        assert!(told.contains(&says), "{says}: {told}");
        // So does what is only a warning.
        let logout = env.run([&["auth", "logout", "--namespace", "alice"], &flags[..]].concat());
        let told = logout.env("PATH", "/usr/bin:/bin").expect(0).stderr;
        assert!(told.starts_with("warning: ") && told.contains(&says), "{says}: {told}");
    }
}

/// Of a home whose path has `openclaw` as a word of its own, that stays.
#[test]
fn a_homes_name_is_no_program() {
    let env = logged_in(None);
    env.write_config("{ broken");
    let home = env.home().join("my openclaw home");
    std::fs::rename(env.openclaw(), &home).unwrap();
    let seen = env.home().join("seen");
    let script = format!("#!/bin/sh\necho \"$OPENCLAW_STATE_DIR: $*\" >{}\n", seen.display());
    let openclaw = env.write("o c/openclaw", script);
    std::fs::set_permissions(&openclaw, PermissionsExt::from_mode(0o755)).unwrap();
    let record = serde_json::json!({"namespace": "alice", "openclaw": openclaw});
    env.write(home.join(".sigilum/hook.json"), record.to_string());
    let install = env.run(["hook", "install", "--openclaw-home"]).args([&home]);
    let refused = install.env("PATH", "/usr/bin:/bin").expect(3);
    env.carry_out(&refused).expect(0);
    let seen = std::fs::read_to_string(seen).unwrap();
    assert_eq!(seen, format!("{}: config validate\n", home.display()), "{refused:#?}");
    // Nor of a flag's value.
    let list = env
        .run(["authz", "list", "--namespace", "bob", "--openclaw-home"])
        .args([&home]);
    let told = list.env("PATH", "/usr/bin:/bin").output();
    let flag = format!(" --openclaw-home '{}'", home.display());
    assert!(told.step().contains(&flag), "{told:#?}");
}

#[test]
fn files_and_entry_and_a_second_run_that_writes_nothing() {
    let env = logged_in(Some("// mine\n{ gateway: { mode: 'local' } }\n"));
    let output = env.run(["hook", "install"]).expect(0);
    let dir = hook_dir(&env);
    assert!(
        output.stdout.contains(&format!("hook installed: {}", dir.display())),
        "{}",
        output.stdout
    );
    let needed: Vec<&str> = output
        .stdout
        .lines()
        .filter(|line| line.starts_with("still needed"))
        .collect();
    let unknown = "versions up to 2026.8.2 take up no such change while they run, and which one this is, is not known";
    let restart = format!("still needed: where an OpenClaw gateway runs: openclaw gateway restart; {unknown}");
    assert_eq!(needed, [restart]);
    assert!(!output.stdout.contains("eyJ"), "{}", output.stdout);
    assert_eq!((mode(&dir), mode(dir.parent().unwrap())), (0o700, 0o700));
    for name in FILES {
        let meta = dir.join(name).symlink_metadata().unwrap();
        assert!(meta.is_file());
        assert_eq!((mode(dir.join(name)), meta.nlink()), (0o600, 1), "{name}");
    }
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), FILES.len());
    let install: Value = serde_json::from_slice(&std::fs::read(dir.join("install.json")).unwrap()).unwrap();
    assert_eq!(
        Path::new(install["binary"].as_str().unwrap()),
        Path::new(env::BINARY).canonicalize().unwrap()
    );

    // The hook reads the token's file: a renewal costs OpenClaw nothing.
    let mut wanted = json!({"enabled": true, "env": {
        "SIGILUM_NAMESPACE": "alice", "SIGILUM_API_URL": "http://127.0.0.1:8787", "SIGILUM_MODE": "oss-local"}});
    assert_eq!(entry(&env), wanted);
    assert_eq!(config(&env)["hooks"]["internal"].get("enabled"), None);
    assert!(std::fs::read_to_string(env.config()).unwrap().starts_with("// mine\n"));

    let files: Vec<_> = FILES
        .iter()
        .map(|name| dir.join(name))
        .chain([env.config(), env.sigilum("installed.json"), env.sigilum("hook.json")])
        .collect();
    let before: Vec<_> = files.iter().map(|path| print(path)).collect();
    let output = env.run(["hook", "install"]).expect(0);
    assert!(output.stdout.contains("hook already installed"), "{}", output.stdout);
    assert_eq!(files.iter().map(|path| print(path)).collect::<Vec<_>>(), before);

    // Unless it is asked for.
    env.run(["hook", "install", "--token-in-config"]).expect(0);
    let token = std::fs::read_to_string(env.sigilum("owner-token-alice.jwt")).unwrap();
    wanted["env"]["SIGILUM_OWNER_TOKEN"] = token.trim().into();
    assert_eq!(entry(&env), wanted);
}

/// V3: what a running gateway does not take up by itself is told, by the version that there is, and only where one may run.
#[test]
fn a_restart_is_told_where_the_version_needs_one() {
    let needed = "still needed: where an OpenClaw gateway runs: openclaw gateway restart; version ";
    for (version, mode, restart) in [
        ("2026.6.6", "{gateway: {mode: 'local'}}", true),
        ("2026.8.2", "{gateway: {mode: 'local'}}", true),
        ("2026.8.3", "{gateway: {mode: 'local'}}", false),
        ("2026.9.6", "{gateway: {mode: 'local'}}", false),
        // No gateway starts with it.
        ("2026.6.6", "{}", false),
    ] {
        let env = logged_in(Some(mode));
        let package = json!({"name": "openclaw", "version": version}).to_string();
        env.write("lib/openclaw/package.json", package);
        let program = env.write("lib/openclaw/openclaw.mjs", "#!/bin/sh\n");
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::create_dir(env.home().join("bin")).unwrap();
        std::os::unix::fs::symlink(program, env.home().join("bin/openclaw")).unwrap();
        let path = format!("{}/bin:/usr/bin:/bin", env.home().display());
        let told = |words: &[&str]| env.run(words).env("PATH", &path).expect(0).stdout;
        for words in [
            &["hook", "install"][..],
            &["hook", "install", "--as", "plugin"],
            &["hook", "uninstall", "--as", "hook"],
            &["hook", "uninstall"],
        ] {
            let told = told(words);
            assert_eq!(told.contains(needed), restart, "{version} {words:?}: {told}");
            assert_eq!(told.contains("gateway restart"), restart, "{version} {words:?}: {told}");
        }
        // Nothing was changed.
        let told = told(&["hook", "uninstall"]);
        assert!(!told.contains("gateway restart"), "{told}");
    }
}

#[test]
fn switched_on_off_or_left_as_it_is() {
    for (before, enable, after, master) in [
        (None, "true", json!(true), Value::Null),
        (None, "false", json!(false), Value::Null),
        (None, "preserve", json!(false), Value::Null),
        (Some(true), "preserve", json!(true), Value::Null),
        (Some(true), "false", json!(false), Value::Null),
        (Some(false), "preserve", json!(false), Value::Null),
        (Some(false), "true", json!(true), Value::Null),
    ] {
        let env = TestEnv::new();
        let internal = match before {
            Some(enabled) => json!({"entries": {HOOK: {"enabled": enabled, "mine": 1}}}),
            None => json!({"entries": {"other": {"enabled": true}}}),
        };
        env.write_config(json!({"hooks": {"internal": internal}}).to_string());
        env.login().args(["--write-openclaw", "false"]).expect(0);
        let install = ["hook", "install", "--enable", enable, "--token-in-config", "true"];
        let output = env.run(install).expect(0);
        assert_eq!(entry(&env)["enabled"], after, "{before:?} {enable}");
        assert_eq!(
            entry(&env)["env"].get("SIGILUM_OWNER_TOKEN").is_some(),
            after == true,
            "{before:?} {enable}"
        );
        assert_eq!(
            config(&env)["hooks"]["internal"]["enabled"],
            master,
            "{before:?} {enable}"
        );
        assert_eq!(
            entry(&env)["mine"],
            if before.is_some() { json!(1) } else { Value::Null }
        );
        assert_eq!(
            output.stdout.contains("still needed: to switch the hook on"),
            after == false,
            "{}",
            output.stdout
        );
    }
}

/// The plugin's program renews a local token by itself, and can do nothing about a hosted one.
#[test]
fn the_plugin_too_needs_a_token_that_serves() {
    use secrecy::ExposeSecret;
    use sigilum_authz_notify::token::claims::{self, Claims};
    let token = |age| {
        let claims = Claims::new("user_1", "a@example.org", "alice", env::now() - age, 600);
        claims::mint(&claims, &"secret".into()).unwrap()
    };
    let env = TestEnv::new();
    let login = [
        "auth",
        "login",
        "--mode",
        "managed",
        "--namespace",
        "alice",
        "--print-token",
        "false",
    ];
    env.run(login.iter().chain(&["--owner-token-stdin"]))
        .stdin(token(0).expose_secret())
        .expect(0);
    let install = || env.run(["hook", "install", "--as", "plugin"]).expect(0).stdout;
    let told =
        |text: &str| text.contains("still needed: an owner token: sigilum-authz-notify auth login --mode managed");
    let text = install();
    assert!(!told(&text), "{text}");
    std::fs::write(env.sigilum("owner-token-alice.jwt"), token(700).expose_secret()).unwrap();
    let text = install();
    assert!(told(&text), "{text}");
}

#[test]
fn without_a_token_it_says_how_to_get_one() {
    let env = TestEnv::new();
    let output = env.run(["hook", "install", "--namespace", "alice"]).expect(0);
    let needed = "still needed: an owner token: sigilum-authz-notify auth login --mode managed --namespace alice";
    assert!(output.stdout.contains(needed), "{}", output.stdout);
    assert_eq!(entry(&env)["env"].get("SIGILUM_OWNER_TOKEN"), None);
    assert_eq!(mode(env.config()), 0o600);
    env.write(".openclaw/.sigilum/owner-token-alice.jwt", "no.jwt.atall\n");
    let output = env.run(["hook", "install", "--namespace", "alice"]).expect(0);
    assert!(
        output.stdout.contains("note: the stored token is not used"),
        "{}",
        output.stdout
    );
    assert!(output.stdout.contains(needed), "{}", output.stdout);
}

#[test]
fn a_changed_file_is_kept_unless_forced() {
    let env = logged_in(None);
    env.run(["hook", "install"]).expect(0);
    let handler = hook_dir(&env).join("handler.js");
    std::fs::write(&handler, "// my own\n").unwrap();
    let before = print(&handler);
    let output = env.run(["hook", "install"]).expect(1);
    assert!(
        output.stderr.contains("somebody changed") && output.stderr.contains("handler.js"),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains("--force"), "{}", output.stderr);
    assert_eq!(print(&handler), before);

    let output = env.run(["hook", "install", "--force"]).expect(0);
    assert_ne!(std::fs::read(&handler).unwrap(), before.2);
    let kept = env.sigilum("replaced/hook/handler.js");
    assert!(output.stdout.contains(&kept.display().to_string()), "{}", output.stdout);
    assert_eq!(std::fs::read(kept).unwrap(), before.2);
    env.run(["hook", "install"]).expect(0);
}

#[test]
fn files_of_an_earlier_version_are_replaced_unasked() {
    let env = logged_in(None);
    env.run(["hook", "install"]).expect(0);
    // As an earlier version would have left it: other bytes, and their hash in the list.
    let handler = hook_dir(&env).join("handler.js");
    let current = std::fs::read(&handler).unwrap();
    std::fs::write(&handler, "// version 0.0.1\n").unwrap();
    let list = env.sigilum("installed.json");
    let mut installed: Value = serde_json::from_slice(&std::fs::read(&list).unwrap()).unwrap();
    use sha2::Digest;
    installed["hook"]["files"]["handler.js"] = json!([hex::encode(sha2::Sha256::digest("// version 0.0.1\n"))]);
    std::fs::write(&list, installed.to_string()).unwrap();
    let output = env.run(["hook", "install"]).expect(0);
    assert!(output.stdout.contains("hook installed"), "{}", output.stdout);
    assert_eq!(std::fs::read(&handler).unwrap(), current);
    assert!(!env.sigilum("replaced").exists());
}

/// Without the list, what differs from ours is a stranger's: nothing is lost by starting anew.
#[test]
fn a_damaged_list_is_told_with_the_way_out() {
    let env = logged_in(None);
    env.run(["hook", "install"]).expect(0);
    let list = env.write(".openclaw/.sigilum/installed.json", "{");
    for command in ["install", "uninstall", "status"] {
        let output = env.run(["hook", command]).expect(1);
        let next = format!("next: remove it, and run the command again: rm {}", list.display());
        // A status shows it among what it finds.
        let told = output.stderr.contains(&next) || command == "status" && output.stdout.contains(&next);
        assert!(told, "{output:#?}");
    }
    std::fs::remove_file(list).unwrap();
    env.run(["hook", "uninstall"]).expect(0);
    assert!(!hook_dir(&env).join("handler.js").exists());
}

#[test]
fn the_shell_scripts_older_hook_is_moved_out_of_the_way() {
    let env = logged_in(None);
    env.write(".openclaw/hooks/sigilum-authz-notify/HOOK.md", "older\n");
    let handler = env.write(".openclaw/hooks/sigilum-authz-notify/handler.ts", "export default 1\n");
    let output = env.run(["hook", "install"]).expect(0);
    assert!(!handler.exists());
    for (name, text) in [("handler.ts", "export default 1\n"), ("HOOK.md", "older\n")] {
        let kept = env.sigilum("replaced/hook").join(name);
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), text);
        assert!(output.stdout.contains(&kept.display().to_string()), "{}", output.stdout);
    }
    assert_eq!(hook_dir(&env).join("HOOK.md").metadata().unwrap().nlink(), 1);
}

#[test]
fn strange_files_in_our_place() {
    let env = logged_in(None);
    let dir = hook_dir(&env);
    // Somebody's file where ours belongs, and no older hook to explain it.
    let file = env.write(".openclaw/hooks/sigilum-authz-notify/handler.js", "mine\n");
    env.run(["hook", "install"]).expect(1);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine\n");
    assert!(!dir.join("HOOK.md").exists());
    std::fs::remove_dir_all(&dir).unwrap();
    // Ours with a second name, or a link to ours: OpenClaw refuses them, so they are made plain files.
    env.run(["hook", "install"]).expect(0);
    std::fs::hard_link(dir.join("handler.js"), env.home().join("second")).unwrap();
    env.run(["hook", "install"]).expect(0);
    assert_eq!(dir.join("handler.js").metadata().unwrap().nlink(), 1);
    // A linked folder is ignored by OpenClaw without a word.
    std::fs::rename(&dir, env.home().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(env.home().join("elsewhere"), &dir).unwrap();
    let output = env.run(["hook", "install"]).expect(1);
    assert!(output.stderr.contains("symbolic link"), "{}", output.stderr);
}

#[test]
fn other_hooks_run_as_before_or_nothing_is_written() {
    let env = logged_in(Some(r#"{"hooks":{"internal":{"enabled":true}}}"#));
    env.run(["hook", "install"]).expect(0);
    assert_eq!(
        config(&env)["hooks"]["internal"]["load"]["extraDirs"],
        json!([hook_dir(&env).to_str().unwrap()])
    );

    let text = r#"{"hooks":{"internal":{"enabled":false,"entries":{"other":{}}}}}"#;
    let env = TestEnv::new();
    env.write_config(text);
    let output = env.run(["hook", "install", "--namespace", "alice"]).expect(3);
    assert!(
        output.stderr.contains("switched on: other") && output.stderr.contains("--force"),
        "{}",
        output.stderr
    );
    assert_eq!(std::fs::read_to_string(env.config()).unwrap(), text);
    assert!(!hook_dir(&env).exists());
    let output = env
        .run(["hook", "install", "--namespace", "alice", "--force"])
        .expect(0);
    assert!(output.stdout.contains("switched on: other"), "{}", output.stdout);
    assert_eq!(config(&env)["hooks"]["internal"]["enabled"], true);
}

/// A login leaves the entry out where it would change which other hooks run: that is told for this home, and not where
/// the plugin runs, which needs none.
#[test]
fn an_entry_that_a_login_left_out_is_told_with_a_step_for_this_home() {
    let env = TestEnv::new();
    let home = env.home().join("x");
    let config = env.write("x/openclaw.json", r#"{"hooks":{"internal":{"enabled":true}}}"#);
    let place = ["--openclaw-home", home.to_str().unwrap()];
    let step = format!(
        "sigilum-authz-notify hook install --as hook {} {}\n",
        place[0], place[1]
    );
    let tried = env.login().args(place).args(["--dry-run"]).expect(0).stderr;
    let told = env.login().args(place).expect(0).stdout;
    for said in [tried, told] {
        assert!(
            said.contains("got no entry for the hook") && said.contains(&step),
            "{said}"
        );
    }
    let entry = || {
        let value: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
        value.pointer("/hooks/internal/entries/sigilum-authz-notify").cloned()
    };
    env.run(["hook", "install", "--as", "plugin"]).args(place).expect(0);
    let beside = env.login().args(place).expect(0);
    assert!(!beside.stdout.contains("got no entry"), "{}", beside.stdout);
    assert_eq!(entry(), None);
    env.shell(step.trim()).expect(0);
    assert_eq!(entry().unwrap()["enabled"], true);
}

#[test]
fn a_config_that_must_not_be_written() {
    let env = TestEnv::new();
    env.write_config("{}");
    let output = env
        .run(["hook", "install", "--namespace", "alice"])
        .env("OPENCLAW_NIX_MODE", "1")
        .expect(0);
    assert!(hook_dir(&env).join("HOOK.md").exists());
    assert_eq!(std::fs::read_to_string(env.config()).unwrap(), "{}");
    assert!(output.stdout.contains("OPENCLAW_NIX_MODE is set"), "{}", output.stdout);
    assert!(
        output.stdout.contains(r#""SIGILUM_NAMESPACE": "alice""#),
        "{}",
        output.stdout
    );
}

/// OpenClaw finds nothing wrong with a key that stands twice: it cannot be what says where.
#[test]
fn a_key_that_stands_twice_is_refused_with_its_place() {
    let env = logged_in(None);
    env.write_config("{hooks: {},\n hooks: {internal: {}}}");
    let output = env.run(["hook", "install"]).expect(3);
    let place = r#"the key "hooks" stands twice in the same object (line 2, column 2)"#;
    assert!(output.stderr.contains(place), "{}", output.stderr);
    let step = "next: put into one of the two what both hold, and take the other one out\n";
    assert!(output.stderr.ends_with(step), "{}", output.stderr);
    env.write_config("{hooks: {internal: {}}}");
    env.run(["hook", "install"]).expect(0);
}

/// What was not written is not told as if it were, and the advice is not the command that just was of no use.
#[test]
fn a_config_that_must_not_be_written_is_not_said_to_be() {
    for kind in ["hook", "plugin"] {
        let env = logged_in(Some("{gateway: {mode: 'local'}}"));
        env.run(["hook", "install", "--as", kind, "--enable", "false"])
            .expect(0);
        std::fs::set_permissions(env.config(), std::fs::Permissions::from_mode(0o644)).unwrap();
        let output = env
            .run(["hook", "install", "--as", kind])
            .env("OPENCLAW_CONFIG_READONLY", "1")
            .expect(0);
        assert!(output.stdout.contains("it needs:"), "{}", output.stdout);
        assert!(!output.stdout.contains("its mode became"), "{}", output.stdout);
        assert!(!output.stdout.contains("still needed"), "{}", output.stdout);
        assert_eq!(env::mode(env.config()), 0o644);
    }
}

/// A running OpenClaw loads new files when its config changes, and here it needs no change.
#[test]
fn new_files_that_a_running_openclaw_does_not_look_at_are_told() {
    let told = |output: &env::Output| output.stdout.contains("still needed: where an OpenClaw gateway runs");
    let install = |env: &TestEnv, kind: &str| env.run(["hook", "install", "--as", kind]).expect(0);
    for (kind, loaded, instead) in [
        ("hook", "hooks/sigilum-authz-notify/handler.js", "a renewed token"),
        (
            "plugin",
            ".sigilum/plugin/resident.js",
            "switching the plugin off and on",
        ),
    ] {
        let env = logged_in(Some(
            "{gateway: {mode: 'local'}, meta: {lastTouchedVersion: '2026.9.6'}}",
        ));
        assert!(!told(&install(&env, kind)), "{kind}: the config was changed");
        assert!(!told(&install(&env, kind)), "{kind}: nothing was new");
        let loaded = env.openclaw().join(loaded);
        std::fs::remove_file(&loaded).unwrap();
        let output = install(&env, kind);
        assert!(told(&output) && output.stdout.contains(instead), "{}", output.stdout);
        // Which binary is run is read anew each time.
        std::fs::write(loaded.with_file_name("install.json"), "{}").unwrap();
        assert!(!told(&env.run(["hook", "install", "--as", kind, "--force"]).expect(0)));
        // What is off is not loaded.
        env.run(["hook", "install", "--as", kind, "--enable", "false"])
            .expect(0);
        std::fs::remove_file(&loaded).unwrap();
        let off = env
            .run(["hook", "install", "--as", kind, "--enable", "preserve"])
            .expect(0);
        assert!(!told(&off), "{}", off.stdout);
    }

    // The README's order turned round: the entry was there first.
    let env = logged_in(Some(
        "{gateway: {mode: 'local'}, meta: {lastTouchedVersion: '2026.9.6'}}",
    ));
    let login = [
        "auth",
        "login",
        "--enable-authz-notify",
        "true",
        "--print-token",
        "false",
    ];
    env.run(login).expect(0);
    assert!(told(&install(&env, "hook")));
}

#[test]
fn the_plugin() {
    let env = logged_in(Some("{\n  // who may run\n  plugins: { allow: ['irc'] },\n}\n"));
    let output = env.run(["hook", "install", "--as", "plugin"]).expect(0);
    let dir = env.sigilum("plugin");
    assert_eq!(mode(&dir), 0o700);
    for name in [
        "handler.js",
        "index.js",
        "cli.js",
        "command.js",
        "program.js",
        "push.js",
        "resident.js",
        "openclaw.plugin.json",
        "package.json",
        "install.json",
    ] {
        assert_eq!(mode(dir.join(name)), 0o600, "{name}");
    }
    assert_eq!(
        config(&env)["plugins"],
        json!({
            "allow": ["irc", "sigilum-authz-notify"],
            "entries": {"sigilum-authz-notify": {"enabled": true}},
            "load": {"paths": [dir.to_str().unwrap()]},
        })
    );
    assert!(
        std::fs::read_to_string(env.config())
            .unwrap()
            .contains("// who may run")
    );
    assert!(!hook_dir(&env).exists());
    assert!(!output.stdout.contains("owner token"), "{}", output.stdout);
    let before = print(&env.config());
    env.run(["hook", "install", "--as", "plugin", "--enable", "preserve"])
        .expect(0);
    assert_eq!(print(&env.config()), before);

    for (plugins, enable, after, told) in [
        (json!({}), "preserve", json!(false), "to switch the plugin on"),
        (json!({"allow": []}), "true", json!(true), ""),
        (
            json!({"enabled": false}),
            "true",
            json!(true),
            "plugins.enabled is false",
        ),
        (
            json!({"deny": ["sigilum-authz-notify"]}),
            "true",
            json!(true),
            "plugins.deny names it",
        ),
    ] {
        let env = logged_in(Some(&json!({"plugins": plugins}).to_string()));
        let output = env
            .run(["hook", "install", "--as", "plugin", "--enable", enable])
            .expect(0);
        assert_eq!(
            config(&env)["plugins"]["entries"]["sigilum-authz-notify"]["enabled"],
            after
        );
        assert_eq!(config(&env)["plugins"].get("allow"), plugins.get("allow"));
        assert!(output.stdout.contains(told), "{}", output.stdout);
    }
}

/// Version 0.1.0 had another id, and the same folder.
#[test]
fn the_plugin_of_0_1_0_becomes_this_one() {
    let env = logged_in(None);
    env.run(["hook", "install", "--as", "plugin"]).expect(0);
    let new = config(&env);
    let mut old = new.clone();
    old["plugins"]["entries"] = json!({"sigilum-authz-notify-plugin": {"enabled": true}});
    old["plugins"]["allow"] = json!(["irc", "sigilum-authz-notify-plugin"]);
    for (command, entries, allow) in [
        (
            &["hook", "install", "--as", "plugin"][..],
            new["plugins"]["entries"].clone(),
            json!(["irc", "sigilum-authz-notify"]),
        ),
        (&["hook", "uninstall"], json!({}), json!(["irc"])),
    ] {
        env.write_config(old.to_string());
        let _ = std::fs::remove_file(env.sigilum("undo.json"));
        env.run(command).expect(0);
        let config = config(&env);
        assert_eq!(config["plugins"]["entries"], entries, "{config}");
        assert_eq!(config["plugins"]["allow"], allow, "{config}");
    }
}

#[test]
fn plugin_keys_go_where_openclaw_reads_them() {
    let table = [
        (r#"{"plugins":{"$include":"./plugins.json5"}}"#, "{}", "plugins.json5"),
        (r#"{"plugins":{"$include":["./plugins.json5"]}}"#, "{}", "openclaw.json"),
        (
            r#"{"$include":"./plugins.json5"}"#,
            r#"{"plugins":{"allow":["theirs"]}}"#,
            "openclaw.json",
        ),
        (
            r#"{"plugins":{"entries":{"$include":"./plugins.json5"},"load":{"paths":["/x"]}}}"#,
            "{}",
            "openclaw.json",
        ),
    ];
    for (config, part, file) in table {
        let env = TestEnv::new();
        env.write_config(config);
        let part = env.write(".openclaw/plugins.json5", part);
        env.login().expect(0);
        let before = std::fs::read_to_string(&part).unwrap();
        let output = env.run(["hook", "install", "--as", "plugin"]).expect(0);
        let written = std::fs::read_to_string(env.openclaw().join(file)).unwrap();
        assert!(
            written.contains(env.sigilum("plugin").to_str().unwrap()),
            "{}: {written}",
            output.stdout
        );
        let status = env.run(["hook", "status"]).output().stdout;
        assert!(
            status
                .lines()
                .any(|line| line.starts_with("Plugin:") && line.contains(" on")),
            "{status}"
        );
        env.run(["hook", "uninstall"]).expect(0);
        assert_eq!(std::fs::read_to_string(env.config()).unwrap(), config);
        assert_eq!(std::fs::read_to_string(&part).unwrap(), before);
    }
}

/// A home of Sigilum's own installer, with a token file and no login of ours, whose entry an agent wrote: the stored token
/// neither goes into that entry nor to the API that it names.
#[test]
fn without_a_login_the_stored_token_is_not_given_to_the_entrys_api() {
    let elsewhere = Api::start("0123456789abcdef0123456789abcdef");
    let token = elsewhere.token("alice", 3600);
    for (held, more) in [
        (Some("abc"), &[][..]),
        (Some("no-token-yet"), &["--token-in-config", "true"]),
        (None, &["--token-in-config", "true"]),
        (Some("abc"), &["--namespace", "alice", "--token-in-config", "true"]),
        (Some("abc"), &["--force", "--senders", "alice"]),
    ] {
        let env = TestEnv::new();
        env.write(".openclaw/.sigilum/owner-token-alice.jwt", format!("{token}\n"));
        let mut vars =
            json!({"SIGILUM_NAMESPACE": "alice", "SIGILUM_MODE": "oss-local", "SIGILUM_API_URL": elsewhere.url()});
        if let Some(held) = held {
            vars["SIGILUM_OWNER_TOKEN"] = held.into();
        }
        let entries = json!({HOOK: {"enabled": true, "env": vars}});
        env.write_config(json!({"hooks": {"internal": {"entries": entries}}}).to_string());
        let output = env.run(["hook", "install"]).args(more).expect(0);
        let why = format!("no login says that it is for {}", elsewhere.url());
        assert!(output.stdout.contains(&why), "{held:?} {more:?}: {}", output.stdout);
        assert!(!std::fs::read_to_string(env.config()).unwrap().contains(&token));
        assert_eq!(
            entry(&env)["env"].get("SIGILUM_OWNER_TOKEN").and_then(Value::as_str),
            held
        );
        let event = json!({"type": "command", "action": "new", "sessionKey": "agent:main:main", "chatType": "direct"});
        env.run(["hook", "run"]).stdin(event.to_string()).expect(0);
        assert!(elsewhere.seen().is_empty(), "{held:?} {more:?}: {:?}", elsewhere.seen());
    }
}

/// What OpenClaw refuses beside the hook's part of the config.
#[test]
fn a_config_that_openclaw_refuses_is_refused_before_anything_changes() {
    for text in [
        r#"{"gateway":{"mode":"local"},"plugins":"x"}"#,
        r#"{"gateway":{"mode":"local"},"plugins":{"entries":{"sigilum-authz-notify":"x"}}}"#,
        r#"{"gateway":"x"}"#,
    ] {
        let env = TestEnv::new();
        env.write_config(text);
        let install = |kind| env.run(["hook", "install", "--as", kind]);
        let setup = ["setup", "--yes", "--mode", "oss-local", "--namespace", "alice"];
        for command in [env.login(), install("hook"), install("plugin"), env.run(setup)] {
            let refused = command.env("SIGILUM_NAMESPACE", "alice").expect(3).stderr;
            assert!(refused.contains("is text, OpenClaw wants an object"), "{refused}");
            assert!(refused.contains("openclaw config validate"), "{refused}");
            assert_eq!(std::fs::read_to_string(env.config()).unwrap(), text);
            assert!(!env.sigilum("").exists(), "{refused}");
        }
        let told = env.run(["doctor"]).expect(3).stdout;
        assert_eq!(told.matches("OpenClaw wants an object").count(), 1, "{told}");
    }
}

#[test]
fn an_install_beside_the_other_kind_says_so_and_what_takes_that_out() {
    for (first, then) in [("hook", "plugin"), ("plugin", "hook")] {
        let env = logged_in(Some("{}"));
        let alone = env.run(["hook", "install", "--as", first]).expect(0).stdout;
        assert!(!alone.contains("is installed too"), "{alone}");
        let told = env.run(["hook", "install", "--as", then]).expect(0).stdout;
        let note = told
            .lines()
            .find(|line| line.contains(&format!("the {first} is installed too")));
        let step = note.unwrap_or_else(|| panic!("{told}")).rsplit_once(": ").unwrap().1;
        assert_eq!(step, format!("{HOOK} hook uninstall --as {first}"));
        env.shell(step).expect(0);
        let again = env.run(["hook", "install", "--as", then]).expect(0).stdout;
        assert!(!again.contains("is installed too"), "{again}");
    }
}
