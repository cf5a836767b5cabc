//! The plugin as OpenClaw's own installer brought it: the same plugin as that of `hook install --as plugin`.

use crate::env;

use env::TestEnv;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const PLUGIN: &str = "sigilum-authz-notify";

/// Where OpenClaw keeps its record of installs: 2026.9.6, and before 2026.7.
#[derive(Clone, Copy, Debug)]
enum Age {
    New,
    Old,
}

/// A home in which OpenClaw installed the plugin from npm, with its program; gives the package's folder.
fn installed(env: &TestEnv, age: Age, config: Value) -> PathBuf {
    let modules = env.openclaw().join("npm/projects/sigilum-authz-notify/node_modules");
    let folder = modules.join(PLUGIN);
    for file in ["index.js", "openclaw.plugin.json", "package.json"] {
        env.write(folder.join(file), "{}");
    }
    let program = program(&modules);
    std::fs::create_dir_all(program.parent().unwrap()).unwrap();
    env::copy_binary(&program);
    for folder in program.ancestors().skip(1).take_while(|folder| *folder != env.home()) {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    env.write_config(config.to_string());
    let record = json!({PLUGIN: {"source": "npm", "installPath": folder, "version": env!("CARGO_PKG_VERSION")}});
    let state = env.openclaw().join("state");
    std::fs::create_dir_all(&state).unwrap();
    let database = rusqlite::Connection::open(state.join("openclaw.sqlite")).unwrap();
    match age {
        Age::New => {
            let sql = "CREATE TABLE config_machine_state (state_key TEXT PRIMARY KEY, value_json TEXT)";
            database.execute(sql, []).unwrap();
            let index = json!({"revision": 1, "index": {"installRecords": record}}).to_string();
            let sql = "INSERT INTO config_machine_state VALUES ('plugins.installedIndex', ?1)";
            database.execute(sql, [index]).unwrap();
        }
        Age::Old => {
            let sql = "CREATE TABLE installed_plugin_index (index_key TEXT PRIMARY KEY, install_records_json TEXT)";
            database.execute(sql, []).unwrap();
            let sql = "INSERT INTO installed_plugin_index VALUES ('installed-plugin-index', ?1)";
            database.execute(sql, [record.to_string()]).unwrap();
        }
    }
    folder
}

fn program(modules: &Path) -> PathBuf {
    let os = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let cpu = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    modules.join(format!("{PLUGIN}-{os}-{cpu}/bin/{PLUGIN}"))
}

fn config(env: &TestEnv) -> Value {
    json5::from_str(&std::fs::read_to_string(env.config()).unwrap()).unwrap()
}

fn status(env: &TestEnv) -> Value {
    let output = env.run(["hook", "status", "--json"]).output();
    serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{}", output.stderr))
}

fn on() -> Value {
    json!({"gateway": {"mode": "local"}, "plugins": {"entries": {PLUGIN: {"enabled": true}}}})
}

#[test]
fn status_knows_it_and_an_install_makes_no_second_copy() {
    for age in [Age::New, Age::Old] {
        let env = TestEnv::new();
        let folder = installed(&env, age, on());
        let login = env.login().expect(0);
        assert!(!login.stdout.contains("hook install"), "{}", login.stdout);
        let plugin = &status(&env)["plugin"];
        assert_eq!(plugin["by_openclaw"], true, "{age:?}");
        assert_eq!(plugin["folder"].as_str(), folder.to_str());
        assert_eq!(plugin["binary"].as_str(), program(folder.parent().unwrap()).to_str());
        assert_eq!(
            (&plugin["enabled"], &plugin["in_load_paths"]),
            (&json!(true), &json!(true))
        );
        let text = env.run(["hook", "status"]).output().stdout;
        assert!(text.contains("Plugin:        installed by OpenClaw, version"), "{text}");

        let before = std::fs::read(env.config()).unwrap();
        let output = env
            .run([
                "hook",
                "install",
                "--as",
                "plugin",
                "--deciders",
                "matrix:@alice:localhost",
            ])
            .expect(0);
        assert!(
            output
                .stdout
                .contains(&format!("plugin installed by OpenClaw: {}", folder.display())),
            "{}",
            output.stdout
        );
        assert_eq!(std::fs::read(env.config()).unwrap(), before, "{age:?}");
        assert!(!env.sigilum("plugin").exists() && !env.sigilum("installed.json").exists());
        let plan = env
            .run(["setup", "--as", "plugin", "--unit", "false", "--yes"])
            .output()
            .stdout;
        let folder = format!("writes {}\n", env.sigilum("plugin").display());
        assert!(!plan.contains(&folder), "{plan}");
        let record: Value = serde_json::from_slice(&std::fs::read(env.sigilum("hook.json")).unwrap()).unwrap();
        assert_eq!(record["deciders"], json!(["matrix:@alice:localhost"]));
    }
}

/// As after `openclaw plugins uninstall` and a new install, which leaves the entry off.
#[test]
fn an_install_switches_it_on_and_lets_it_through() {
    let env = TestEnv::new();
    let off = json!({"gateway": {"mode": "local"},
        "plugins": {"allow": ["irc"], "entries": {PLUGIN: {"enabled": false}}}});
    installed(&env, Age::New, off);
    env.login().expect(0);
    let text = env.run(["doctor"]).output().stdout;
    assert!(
        text.contains("the plugin is off, so OpenClaw does not run it"),
        "{text}"
    );
    env.run(["hook", "install", "--as", "plugin"]).expect(0);
    assert_eq!(
        config(&env)["plugins"],
        json!({"allow": ["irc", PLUGIN], "entries": {PLUGIN: {"enabled": true}}})
    );
    let text = env.run(["doctor"]).output().stdout;
    assert!(!text.contains("the plugin is o"), "{text}");
}

#[test]
fn what_openclaw_installed_is_openclaws_to_remove() {
    for purge in [false, true] {
        let env = TestEnv::new();
        let folder = installed(&env, Age::New, on());
        env.login().expect(0);
        let openclaw = env.write("bin/openclaw", "#!/bin/sh\n");
        std::fs::set_permissions(&openclaw, PermissionsExt::from_mode(0o755)).unwrap();
        // Where an install saw one that is not on PATH any more, it is named by its path.
        let (path, program) = match purge {
            true => (openclaw.parent().unwrap().to_str().unwrap(), openclaw.to_str().unwrap()),
            false => ("/nowhere", "openclaw"),
        };
        let install = env.run(["hook", "install", "--as", "plugin"]);
        install.env("PATH", format!("{path}:/usr/bin:/bin")).expect(0);
        let mut words = vec!["hook", "uninstall"];
        words.extend(purge.then_some("--purge"));
        let output = env.run(words).expect(0);
        let said = format!(
            "The plugin stays, OpenClaw installed it itself: {}\n  next: {program} plugins uninstall {PLUGIN} --force",
            folder.display()
        );
        assert!(output.stdout.contains(&said), "{}", output.stdout);
        assert_eq!(config(&env), on());
        assert!(folder.join("index.js").exists());
        assert_eq!(env.openclaw().join(".sigilum").exists(), !purge);
    }
}

/// What the record names and is not there is no plugin.
#[test]
fn a_record_of_what_is_gone_counts_for_nothing() {
    let env = TestEnv::new();
    let folder = installed(&env, Age::New, on());
    env.login().expect(0);
    std::fs::remove_file(folder.join("index.js")).unwrap();
    assert_eq!(status(&env)["plugin"]["state"], "absent");
    env.run(["hook", "install", "--as", "plugin"]).expect(0);
    assert!(env.sigilum("plugin/index.js").exists());
}

/// The default of `--as` is what is there.
#[test]
fn a_plain_install_takes_what_is_there() {
    let plugin = ["hook", "install", "--as", "plugin"];
    for (before, dir, text) in [
        (None, Some("hooks/sigilum-authz-notify"), "hook installed: "),
        (
            Some(vec!["hook", "install"]),
            Some("hooks/sigilum-authz-notify"),
            "hook already installed: ",
        ),
        (
            Some(plugin.to_vec()),
            Some(".sigilum/plugin"),
            "plugin already installed: ",
        ),
    ] {
        let env = TestEnv::new();
        env.login().expect(0);
        before.map(|before| env.run(before).expect(0));
        let output = env.run(["hook", "install"]).expect(0);
        assert!(output.stdout.starts_with(text), "{}", output.stdout);
        let dirs = ["hooks/sigilum-authz-notify", ".sigilum/plugin"];
        let there = dirs.into_iter().filter(|dir| env.openclaw().join(dir).exists());
        assert!(there.eq(dir), "{text}");
    }
    let env = TestEnv::new();
    installed(&env, Age::New, on());
    env.login().expect(0);
    let output = env.run(["hook", "install", "--deciders", "matrix:@a:b"]).expect(0);
    assert!(
        output.stdout.starts_with("plugin installed by OpenClaw: "),
        "{}",
        output.stdout
    );
    assert!(!env.openclaw().join("hooks").exists());
    let text = env.run(["doctor"]).output().stdout;
    assert!(!text.contains("beside the plugin"), "{text}");
}

/// Each of both is taken out alone, and the other one's part of the config stays.
#[test]
fn one_of_two_is_taken_out_alone() {
    let both = |env: &TestEnv| {
        env.write_config("{\n  // mine\n  gateway: { mode: 'local' },\n}\n");
        env.login().expect(0);
        env.run(["hook", "install", "--as", "plugin"]).expect(0);
        let alone = config(env);
        env.run(["hook", "install", "--as", "hook"]).expect(0);
        alone
    };
    let there = |env: &TestEnv| {
        let files = ["hooks/sigilum-authz-notify/handler.js", ".sigilum/plugin/index.js"];
        files.map(|file| env.openclaw().join(file).exists())
    };
    let env = TestEnv::new();
    let plugin_alone = both(&env);
    assert_eq!(there(&env), [true, true]);
    let output = env.run(["hook", "uninstall", "--as", "hook"]).expect(0);
    assert!(output.stdout.contains("Removed the hook: "), "{}", output.stdout);
    assert_eq!(there(&env), [false, true]);
    assert_eq!(config(&env)["plugins"], plugin_alone["plugins"]);
    assert_eq!(config(&env)["hooks"]["internal"]["entries"].get(PLUGIN), None);
    let again = env.run(["hook", "uninstall", "--as", "hook"]).expect(0);
    assert!(again.stdout.starts_with("The hook is not in "), "{}", again.stdout);
    // The rest gives back what stood there before both.
    env.run(["hook", "uninstall", "--purge"]).expect(0);
    let text = std::fs::read_to_string(env.config()).unwrap();
    assert_eq!(text, "{\n  // mine\n  gateway: { mode: 'local' },\n}\n");

    let env = TestEnv::new();
    both(&env);
    env.run(["hook", "uninstall", "--as", "plugin"]).expect(0);
    assert_eq!(there(&env), [true, false]);
    assert_eq!(config(&env)["hooks"]["internal"]["entries"][PLUGIN]["enabled"], true);
    assert_eq!(
        config(&env)
            .get("plugins")
            .and_then(|plugins| plugins["entries"].get(PLUGIN)),
        None
    );
    env.run(["hook", "uninstall", "--as", "hook"]).expect(0);
    assert_eq!(there(&env), [false, false]);

    // What OpenClaw installed is OpenClaw's to remove.
    let env = TestEnv::new();
    let folder = installed(&env, Age::New, on());
    env.login().expect(0);
    env.run(["hook", "install", "--as", "hook"]).expect(0);
    let output = env.run(["hook", "uninstall", "--as", "plugin"]).expect(0);
    assert!(
        output
            .stdout
            .starts_with("The plugin stays, OpenClaw installed it itself"),
        "{}",
        output.stdout
    );
    env.run(["hook", "uninstall", "--as", "hook"]).expect(0);
    assert!(folder.join("index.js").exists() && !there(&env)[0]);
    assert_eq!(config(&env)["plugins"], on()["plugins"]);
}
