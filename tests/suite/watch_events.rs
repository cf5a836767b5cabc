//! `watch` sees every way in which files change, appear and go.

use crate::env;

use env::TestEnv;
use env::watching::{CONFIG, Watcher, replace, token, wait_until};
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

fn home() -> (TestEnv, String) {
    let env = TestEnv::new();
    env.write_config(CONFIG);
    env.log_in(100_000);
    let stored = env.stored().unwrap();
    (env, stored)
}

/// The config's text without a token.
fn without(env: &TestEnv, token: &str) -> String {
    let text = std::fs::read_to_string(env.config()).unwrap();
    assert!(text.contains(token));
    text.replace(token, "")
}

/// Puts a text into the config in some way; the watcher puts the token in.
type Way = fn(&Path, &str);

#[test]
fn however_a_config_is_written_it_is_seen() {
    let ways: [(&str, Way); 6] = [
        ("in place", |path, text| std::fs::write(path, text).unwrap()),
        ("by rename", replace),
        ("in place, in pieces", |path, text| {
            use std::io::Write;
            let mut file = std::fs::File::create(path).unwrap();
            for piece in text.as_bytes().chunks(100) {
                file.write_all(piece).unwrap();
                std::thread::sleep(Duration::from_millis(20));
            }
        }),
        ("as vim does", |path, text| {
            let (swap, backup) = (
                path.with_file_name(".openclaw.json.swp"),
                path.with_file_name("openclaw.json~"),
            );
            std::fs::write(&swap, "swap").unwrap();
            std::fs::rename(path, &backup).unwrap();
            std::fs::write(path, text).unwrap();
            std::fs::remove_file(&backup).unwrap();
            std::fs::remove_file(&swap).unwrap();
        }),
        ("deleted and made again", |path, text| {
            std::fs::remove_file(path).unwrap();
            std::thread::sleep(Duration::from_millis(50));
            std::fs::write(path, text).unwrap();
        }),
        ("by exchange with another file", |path, text| {
            let other = path.with_file_name("other.json");
            std::fs::write(&other, text).unwrap();
            let here = rustix::fs::CWD;
            rustix::fs::renameat_with(here, &other, here, path, rustix::fs::RenameFlags::EXCHANGE).unwrap();
            std::fs::remove_file(&other).unwrap();
        }),
    ];
    for (name, way) in ways {
        let (env, stored) = home();
        let watcher = env.watch();
        way(&env.config(), &without(&env, &stored));
        let put = wait_until(|| env.in_config().as_ref() == Some(&stored));
        assert!(put, "{name}:\n{}", watcher.log().join("\n"));
        assert_eq!(
            watcher.count("could not use the config"),
            0,
            "{name}: called broken while it was written"
        );
        assert_eq!(
            watcher.count("there is no"),
            0,
            "{name}: called gone while it was written"
        );
    }
}

#[test]
fn a_home_that_appears_later_and_one_that_is_moved_are_seen() {
    let env = TestEnv::new();
    let far: PathBuf = env.home().join("a/b/.openclaw");
    let watcher = Watcher::start(env.run(["watch", "--openclaw-home"]).args([&far]));
    watcher.wait_for("nothing to serve");
    assert!(!env.home().join("a").exists(), "it makes nothing");
    env.write(far.join("openclaw.json"), CONFIG);
    env.login().args(["--openclaw-home"]).args([&far]).expect(0);
    let stored = std::fs::read_to_string(far.join(".sigilum/owner-token-alice.jwt")).unwrap();
    let stored = stored.trim();
    let holds = |home: &Path| {
        std::fs::read_to_string(home.join("openclaw.json"))
            .unwrap()
            .contains(stored)
    };
    watcher.wait_for("serving namespace alice");
    std::fs::write(far.join("openclaw.json"), CONFIG).unwrap();
    assert!(wait_until(|| holds(&far)), "{}", watcher.log().join("\n"));

    // Moved away, changed there, and moved back.
    let old = far.with_extension("old");
    std::fs::rename(&far, &old).unwrap();
    watcher.wait_for("there is no openclaw.json");
    std::fs::write(old.join("openclaw.json"), CONFIG).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(!holds(&old), "it is not a home any more");
    std::fs::rename(&old, &far).unwrap();
    assert!(wait_until(|| holds(&far)), "{}", watcher.log().join("\n"));
}

/// Removes paths below the person's home folder, in this order, as a person does.
fn rm_rf(env: &TestEnv, paths: &[&str]) -> String {
    let mut rm = std::process::Command::new("rm");
    let rm = rm.arg("-rf").args(paths).current_dir(env.home()).output().unwrap();
    String::from_utf8(rm.stderr).unwrap()
}

#[test]
fn a_home_that_is_removed_beside_the_watcher_stays_removed() {
    let orders: [&[&str]; 6] = [
        &[".openclaw"],
        &[".openclaw/.sigilum", ".openclaw"],
        &[".openclaw/openclaw.json", ".openclaw"],
        &[".openclaw/workspace", ".openclaw"],
        &[
            ".openclaw/.sigilum/owner-token-alice.jwt",
            ".openclaw/workspace",
            ".openclaw",
        ],
        &[".openclaw/.sigilum/watch.lock", ".openclaw"],
    ];
    // Several homes at once: most of the time is spent waiting.
    let remove_all = |orders: &[&[&str]]| {
        let env = TestEnv::new();
        env.write_config(CONFIG);
        let watcher = env.watch();
        for (round, order) in orders.iter().enumerate() {
            env.write_config(CONFIG);
            env.log_in(100_000);
            assert!(wait_until(|| env.sigilum("watch-status.json").exists()));
            let workspace = env.openclaw().join("workspace");
            std::fs::create_dir(&workspace).unwrap();
            for file in 0..3_000 {
                std::fs::write(workspace.join(file.to_string()), "").unwrap();
            }
            assert_eq!(rm_rf(&env, order), "", "round {round}, {order:?}");
            watcher.wait_for_times("there is no openclaw.json", round + 1);
            assert!(!env.openclaw().exists(), "round {round}, {order:?}: made again");
        }
    };
    std::thread::scope(|scope| {
        for orders in orders.chunks(2) {
            scope.spawn(move || remove_all(&orders.repeat(2)));
        }
    });
}

#[test]
fn a_removed_folder_of_ours_is_not_made_again_as_long_as_nobody_logs_in() {
    let (env, stored) = home();
    let watcher = env.watch();
    assert_eq!(rm_rf(&env, &[".openclaw/.sigilum"]), "");
    watcher.wait_for("nobody is logged in here");
    std::fs::remove_file(env.config()).unwrap();
    watcher.wait_for("there is no openclaw.json");
    assert_eq!(std::fs::read_dir(env.openclaw()).unwrap().count(), 0);
    env.write_config(CONFIG);
    watcher.wait_for("openclaw.json is back");
    env.log_in(200_000);
    assert!(wait_until(|| env.sigilum("watch-status.json").exists()));
    let stored = env.wait_for_token_other_than(&stored);
    std::fs::write(env.config(), without(&env, &stored)).unwrap();
    assert!(wait_until(|| env.in_config().as_ref() == Some(&stored)));
}

#[test]
fn a_linked_config_is_followed_and_stays_a_link() {
    let (env, stored) = home();
    let elsewhere = env.home().join("dotfiles");
    std::fs::create_dir(&elsewhere).unwrap();
    let target = elsewhere.join("claw.json");
    std::fs::rename(env.config(), &target).unwrap();
    symlink(&target, env.config()).unwrap();
    let _watcher = env.watch();
    let text = without(&env, &stored);
    replace(&target, &text);
    assert!(
        wait_until(|| env.in_config().as_ref() == Some(&stored)),
        "the target was replaced"
    );
    assert_eq!(std::fs::read_link(env.config()).unwrap(), target);

    // The link is pointed at another file.
    let second = env.write("other/claw.json", &text);
    std::fs::remove_file(env.config()).unwrap();
    symlink(&second, env.config()).unwrap();
    assert!(
        wait_until(|| env.in_config().as_ref() == Some(&stored)),
        "the link was replaced"
    );
    std::thread::sleep(Duration::from_millis(2_100));
    replace(&second, &text);
    assert!(
        wait_until(|| env.in_config().as_ref() == Some(&stored)),
        "the new target was replaced"
    );
    assert_eq!(std::fs::read_link(env.config()).unwrap(), second);
}

/// What makes a place bad for a token is in no file's times: the folder's mode alone changes.
#[test]
fn a_linked_config_whose_folder_others_may_write_to_from_now_on_gets_no_token() {
    let (env, stored) = home();
    let target = env.write("dotfiles/claw.json", without(&env, &stored));
    std::fs::remove_file(env.config()).unwrap();
    symlink(&target, env.config()).unwrap();
    let watcher = env.watch();
    assert!(wait_until(|| env.in_config().as_ref() == Some(&stored)));
    let folder = target.parent().unwrap();
    std::fs::set_permissions(folder, Permissions::from_mode(0o777)).unwrap();
    let next = token(&env.secret(), "alice", -5, 100_000);
    replace(&env.sigilum("owner-token-alice.jwt"), &next);
    watcher.wait_for("a place where others may write");
    assert_eq!(env.in_config(), Some(stored));
    // Nor is it tried again and again.
    assert_eq!(watcher.count("WARN"), 1, "{:?}", watcher.log());

    std::fs::set_permissions(folder, Permissions::from_mode(0o700)).unwrap();
    assert!(wait_until(|| env.in_config().as_ref() == Some(&next)));
}

#[test]
fn an_included_file_is_watched_and_gets_no_token() {
    let env = TestEnv::new();
    let hooks = "{ internal: { enabled: true, entries: { 'sigilum-authz-notify': { enabled: true, env: {\n\
                 SIGILUM_NAMESPACE: 'alice', SIGILUM_MODE: 'oss-local', SIGILUM_API_URL: 'http://127.0.0.1:8787' } } } } }";
    env.write_config("{ gateway: { mode: 'local' }, hooks: { $include: './parts/hooks.json5' } }");
    let part = env.write(".openclaw/parts/hooks.json5", hooks);
    env.log_in(100_000);
    let watcher = env.watch();
    let off = hooks.replace(
        "entries: { 'sigilum-authz-notify': { enabled: true",
        "entries: { 'sigilum-authz-notify': { enabled: false",
    );
    assert_ne!(off, hooks);
    replace(&part, &off);
    watcher.wait_for("the hook's entry is off");
    replace(&part, hooks);
    watcher.wait_for_times("its place comes from an included file", 2);
    // Broken, and mended.
    replace(&part, "{ internal: oops }");
    watcher.wait_for("could not use the config");
    replace(&part, hooks);
    watcher.wait_for("openclaw.json can be read again");
    let stored = env.stored().unwrap();
    // Another life, as one of the same second would be the same token.
    let refresh = "auth refresh --namespace alice --print-token false --write-openclaw false --ttl-seconds 90000";
    env.run(refresh.split(' ')).expect(0);
    std::thread::sleep(Duration::from_millis(500));
    assert_ne!(env.stored().unwrap(), stored);
    assert_eq!(std::fs::read_to_string(&part).unwrap(), hooks);
    assert_eq!(
        watcher.count("comes from an included file"),
        2,
        "{}",
        watcher.log().join("\n")
    );
}

#[test]
fn a_part_of_the_config_that_becomes_an_include_gets_no_token() {
    let (env, stored) = home();
    let _ = std::fs::create_dir(env.openclaw().join("workspace"));
    let entry = env.entry().unwrap();
    let mut internal = serde_json::json!({"enabled": true, "entries": {"sigilum-authz-notify": entry}});
    internal["entries"]["sigilum-authz-notify"]["env"]["SIGILUM_OWNER_TOKEN"] = "".into();
    let notes = env.write(".openclaw/workspace/notes.json", internal.to_string());
    let watcher = env.watch();
    replace(
        &env.config(),
        "{ hooks: { internal: { $include: './workspace/notes.json' } } }",
    );
    watcher.wait_for("its place comes from an included file");
    std::thread::sleep(Duration::from_millis(500));
    for file in std::fs::read_dir(env.openclaw().join("workspace")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(!text.contains(&stored), "{text}");
    }
    assert_eq!(std::fs::read_to_string(notes).unwrap(), internal.to_string());
    assert_eq!(watcher.count("included file"), 1);
}

#[test]
fn all_homes_of_a_person_are_served_those_that_appear_later_too() {
    let env = TestEnv::new();
    let log_in = |profile: &str| {
        let home = env.home().join(profile);
        env.write(home.join("openclaw.json"), CONFIG);
        env.login()
            .args(["--enable-authz-notify", "true", "--openclaw-home"])
            .args([&home])
            .expect(0);
        home
    };
    let holds_its_own = |home: &Path| {
        let token = std::fs::read_to_string(home.join(".sigilum/owner-token-alice.jwt")).unwrap();
        std::fs::read_to_string(home.join("openclaw.json"))
            .unwrap()
            .contains(token.trim())
    };
    let homes = [log_in(".openclaw"), log_in(".openclaw-work")];
    let watcher = Watcher::start(env.run(["watch", "--all"]));
    for home in &homes {
        std::fs::write(home.join("openclaw.json"), CONFIG).unwrap();
    }
    assert!(
        wait_until(|| homes.iter().all(|home| holds_its_own(home))),
        "{}",
        watcher.log().join("\n")
    );
    std::fs::write(env.home().join(".openclawed"), "no home").unwrap();
    let late = log_in(".openclaw-late");
    watcher.wait_for("a new OpenClaw home");
    assert!(
        wait_until(|| watcher.count(".openclaw-late") >= 2),
        "{}",
        watcher.log().join("\n")
    );
    std::fs::write(late.join("openclaw.json"), CONFIG).unwrap();
    assert!(wait_until(|| holds_its_own(&late)), "{}", watcher.log().join("\n"));
}

#[test]
fn without_file_events_it_looks_every_few_seconds_and_says_so() {
    let (env, stored) = home();
    let watcher = Watcher::start(env.run(["watch", "--poll"]));
    watcher.wait_for("looking every 5 s");
    std::fs::write(env.config(), without(&env, &stored)).unwrap();
    assert!(wait_until(|| env.in_config().as_ref() == Some(&stored)));
    assert_eq!(watcher.count("looking every"), 1);
}
