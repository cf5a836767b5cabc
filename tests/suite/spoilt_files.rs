//! One file of ours that is not as we write it: a link, a folder, a pipe, too long, or full of something else. What else a
//! command does is done, and what cannot be is told.

use crate::authz::{World, id};
use crate::env;

use env::api::Fault;
use env::watching::managed_token;
use env::{Output, TestEnv};
use serde_json::{Value, json};
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

/// What stands in the place of a file.
#[derive(Debug, Clone, Copy)]
enum Now {
    Link,
    TwoNames,
    Pipe,
    Folder,
    Long,
    Junk,
}

use Now::{Folder, Junk, Link, Long, Pipe, TwoNames};

fn spoil(path: &Path, now: Now) {
    let home = path.ancestors().find(|path| path.ends_with(".openclaw"));
    let other = home.unwrap().with_file_name("other");
    if path.is_dir() {
        std::fs::remove_dir_all(path).unwrap();
    } else if !matches!(now, TwoNames) && path.exists() {
        std::fs::remove_file(path).unwrap();
    }
    match now {
        Link => {
            std::fs::create_dir(&other).unwrap();
            symlink(&other, path).unwrap();
        }
        TwoNames => std::fs::hard_link(path, &other).unwrap(),
        Pipe => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        Folder => std::fs::create_dir(path).unwrap(),
        Long => std::fs::write(path, vec![b' '; 20 << 20]).unwrap(),
        Junk => {
            std::fs::write(path, "{\"hook\": 5").unwrap();
            std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
        }
    }
}

/// Runs the command in the step that was told last.
#[track_caller]
fn carry_out(output: &Output) {
    let told = format!("{}{}", output.stdout, output.stderr);
    let step = told.lines().rev().find_map(|line| line.trim().strip_prefix("next: "));
    let step = step.unwrap_or_else(|| panic!("no step: {told}"));
    let command = step.rsplit_once(": ").map_or(step, |(_, command)| command);
    let command = command.split("; ").next().unwrap();
    assert!(
        Command::new("sh").args(["-c", command]).status().unwrap().success(),
        "{command}"
    );
}

fn installed() -> TestEnv {
    let env = TestEnv::new();
    env.write_config("{}");
    env.login().expect(0);
    env.run(["hook", "install", "--token-in-config"]).expect(0);
    env.run(["hook", "install", "--as", "plugin"]).expect(0);
    env
}

fn doctor(env: &TestEnv) -> Vec<(String, String, String)> {
    let told = env.run(["doctor", "--json"]).output();
    let told: Value = serde_json::from_str(&told.stdout).unwrap_or_else(|_| panic!("{}", told.stderr));
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    let findings = told["findings"].as_array().unwrap().iter();
    let problems = findings.filter(|finding| finding["state"] != "ok");
    problems
        .map(|finding| (text(finding, "check"), text(finding, "text"), text(finding, "next")))
        .collect()
}

#[test]
fn no_file_keeps_the_tokens_from_going() {
    // name, what it is, and the exit code
    let table = [
        ("undo.json", Link, 0),
        ("undo.json", TwoNames, 0),
        ("undo.json", Pipe, 0),
        ("undo.json", Folder, 0),
        ("undo.json", Long, 0),
        ("installed.json", Junk, 0),
        ("installed.json", Link, 0),
        ("installed.json", Folder, 0),
        ("plugin", Link, 1),
        ("bin", Link, 1),
        ("replaced", Link, 1),
        ("plugin/index.js", Long, 0),
        ("plugin/install.json", Long, 0),
        ("decisions.lock", Folder, 0),
        ("told.json", Folder, 0),
        ("approvals.json", Junk, 0),
    ];
    for (name, now, code) in table {
        let env = installed();
        let path = env.sigilum(name);
        spoil(&path, now);
        let output = env.run(["hook", "uninstall", "--purge"]).expect(code);
        let case = format!("{name} {now:?}: {}{}", output.stdout, output.stderr);
        assert!(!env.sigilum("owner-token-alice.jwt").exists(), "{case}");
        assert!(!env.sigilum("owner-alice.json").exists(), "{case}");
        let config = std::fs::read_to_string(env.config()).unwrap();
        assert!(!config.contains("sigilum"), "{config}: {case}");
        assert!(
            !env.openclaw().join("hooks").exists() || name == "replaced" || name == "installed.json",
            "{case}"
        );
        if code == 1 {
            assert!(output.stderr.contains("no token file is left"), "{case}");
        }
        if path.symlink_metadata().is_ok() || path.with_extension("json.aside").exists() {
            carry_out(&output);
            assert!(path.symlink_metadata().is_err(), "{case}");
            env.run(["hook", "uninstall", "--purge", "--force"]).expect(0);
        }
        for rest in ["installed.json", "undo.json", "plugin/install.json", "lock"] {
            assert!(!env.sigilum(rest).exists(), "{rest}: {case}");
        }
    }
}

#[test]
fn a_lock_that_is_none_is_told_with_a_step_that_helps() {
    for now in [Link, TwoNames, Pipe, Folder] {
        for words in [&["hook", "uninstall", "--purge"][..], &["auth", "logout"]] {
            let env = installed();
            spoil(&env.sigilum("lock"), now);
            if !matches!(now, Folder) {
                let found = doctor(&env);
                let lock = env.sigilum("lock").display().to_string();
                assert!(
                    found.iter().any(|(_, text, _)| text.contains(&lock)),
                    "{now:?}: {found:?}"
                );
            }
            let output = env.run(words).expect(1);
            assert!(env.sigilum("owner-token-alice.jwt").exists());
            carry_out(&output);
            env.run(words).expect(0);
            assert!(!env.sigilum("owner-token-alice.jwt").exists());
        }
    }
}

#[test]
fn a_changed_file_is_a_changed_file_however_long() {
    for (kind, name) in [
        ("plugin", "plugin/index.js"),
        ("hook", "../hooks/sigilum-authz-notify/HOOK.md"),
    ] {
        let env = installed();
        let path = env.sigilum(name);
        spoil(&path, Long);
        let status = env.run(["hook", "status"]).output();
        assert!(
            status.stdout.contains("changed: "),
            "{}{}",
            status.stdout,
            status.stderr
        );
        let found = doctor(&env);
        let step = found
            .iter()
            .find(|(check, ..)| check == kind)
            .map(|(_, _, next)| next.clone());
        assert_eq!(
            step.unwrap(),
            format!("sigilum-authz-notify hook install --as {kind} --force")
        );
        let refused = env.run(["hook", "install", "--as", kind]).expect(1);
        assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
        let output = env.run(["hook", "uninstall", "--as", kind]).expect(0);
        assert!(output.stdout.contains("changed by somebody"), "{}", output.stdout);
        assert!(path.exists());
        env.run(["hook", "install", "--as", kind, "--force"]).expect(0);
        let file = path.file_name().unwrap();
        let kept = env.sigilum("replaced").join(kind).join(file);
        assert_eq!(kept.metadata().unwrap().len(), 20 << 20);
        assert!(path.metadata().unwrap().len() < 1 << 20);
    }
}

/// Which kind of login that was is not asked of a person where the home signs its tokens itself.
#[test]
fn the_login_in_place_of_a_damaged_record_is_of_the_homes_kind() {
    let env = TestEnv::new();
    env.login().expect(0);
    env.write(".openclaw/.sigilum/owner-alice.json", r#"{"mode": "oss-"#);
    let show = ["auth", "show", "--namespace", "alice"];
    let damaged = env.run(show).output();
    let step = damaged.step().replace("<the API of before>", "http://127.0.0.1:8787");
    env.shell(env::command_of(&step)).stdin("").expect(0);
    env.run(show).expect(0);
}

/// The token stays in force, in a file that nothing names any more.
#[test]
fn a_record_that_cannot_be_read_may_have_named_another_token_file() {
    let unknown = "the token file that was recorded is not known, and one may be left";
    let file = |env: &TestEnv| env.home().join("tok.jwt");
    let spoilt: [fn(&std::path::Path); 4] = [
        |record| std::fs::write(record, "{").unwrap(),
        |record| std::fs::write(record, "[]").unwrap(),
        |record| std::fs::write(record, "{}").unwrap(),
        |record| std::fs::set_permissions(record, Permissions::from_mode(0o666)).unwrap(),
    ];
    for spoil in spoilt {
        for words in [&["auth", "logout"][..], &["hook", "uninstall", "--purge"]] {
            let env = TestEnv::new();
            env.login()
                .args(["--token-file".as_ref(), file(&env).as_os_str()])
                .expect(0);
            spoil(&env.sigilum("owner-alice.json"));
            for look in [&["auth", "status"][..], &["doctor"]] {
                let told = env.run(look).output();
                assert!((told.stdout + &told.stderr).contains(unknown), "{look:?}");
            }
            let told = env.run(words).expect(0).stderr;
            assert!(told.contains(unknown), "{words:?}: {told}");
            assert!(!env.sigilum("owner-alice.json").exists());
        }
    }
    // What is recorded is known, and goes.
    let env = TestEnv::new();
    env.login()
        .args(["--token-file".as_ref(), file(&env).as_os_str()])
        .expect(0);
    let told = env.run(["auth", "logout"]).expect(0).stderr;
    assert!(!told.contains(unknown) && !file(&env).exists(), "{told}");
}

/// Whatever its name, and whether or not a record names it still.
#[test]
fn purge_removes_each_owner_token_among_our_files() {
    for (name, is_spoilt) in [("my.jwt", false), ("my.jwt", true), ("mine/my.jwt", false)] {
        let env = TestEnv::new();
        let (file, note) = (env.sigilum(name), env.sigilum("note.txt"));
        env.login().args(["--token-file".as_ref(), file.as_os_str()]).expect(0);
        std::fs::write(&note, "mine").unwrap();
        if is_spoilt {
            std::fs::write(env.sigilum("owner-alice.json"), "{").unwrap();
        }
        let told = env.run(["hook", "uninstall", "--purge"]).expect(0).stdout;
        assert!(told.contains(&format!("Removed {}\n", file.display())), "{told}");
        assert!(!file.exists() && note.exists(), "{told}");
    }
}

#[test]
fn a_logout_tells_of_the_tokens_that_it_leaves() {
    let copies = [
        "openclaw.json.bak",
        "openclaw.json.last-good",
        "sigilum-authz-notify-kept-0123456789abcdef",
    ];
    for words in [&["auth", "logout"][..], &["hook", "uninstall", "--purge"]] {
        let env = installed();
        for name in copies {
            std::fs::copy(env.config(), env.openclaw().join(name)).unwrap();
        }
        let told = env.run(words).expect(0).stdout;
        let (openclaws, kept) = told.split_once("files that another program wrote").unwrap();
        for (name, part) in copies.into_iter().zip([openclaws, openclaws, kept]) {
            assert!(part.contains(name), "{name}: {told}");
        }
        for now in ["link", "second name"] {
            let env = installed();
            let (file, other) = (env.sigilum("owner-token-alice.jwt"), env.home().join("other"));
            std::fs::hard_link(&file, &other).unwrap();
            if now == "link" {
                std::fs::remove_file(&file).unwrap();
                symlink(&other, &file).unwrap();
            }
            let output = env.run(words).expect(0);
            assert!(
                output.stderr.contains("what stood in the token file stays"),
                "{}",
                output.stderr
            );
            assert!(file.symlink_metadata().is_err());
            if now == "link" {
                carry_out(&output);
                assert!(!other.exists());
            } else {
                let number = format!(" -xdev -inum {}", other.metadata().unwrap().ino());
                let (top, found) = (output.step().split_once(": find ").unwrap().1, env.home().display());
                let top = top.strip_suffix(&number).unwrap_or_else(|| panic!("{}", output.stderr));
                assert!(other.starts_with(top), "{}", output.stderr);
                // The whole file system takes too long.
                let found = env.shell(&format!("find {found}{number}")).expect(0).stdout;
                assert_eq!(found.trim_end(), other.to_str().unwrap());
            }
        }
    }
}

#[test]
fn a_list_of_approvals_that_says_nothing_is_no_empty_one() {
    for now in [Junk, Folder, Link] {
        let world = World::new();
        let path = world.env.sigilum("approvals.json");
        spoil(&path, now);
        let watched = world.env.run(["watch", "--once"]).expect(1);
        assert!(
            watched.stderr.contains("no approval is taken back"),
            "{}",
            watched.stderr
        );
        let shown = path.display().to_string();
        let found = doctor(&world.env);
        let fault = found
            .iter()
            .find(|(check, text, _)| check == "files" && text.contains(&shown));
        let (_, _, next) = fault.unwrap_or_else(|| panic!("{found:?}"));
        assert!(next.contains("rm "), "{next}");
        let status = world.env.run(["auth", "status"]).expect(1);
        assert!(status.stderr.contains(&shown), "{}", status.stderr);
        let output = world.env.run(["auth", "logout"]).expect(0);
        assert!(
            output.stderr.contains("nobody takes back approvals"),
            "{}",
            output.stderr
        );
        let output = world.env.run(["hook", "uninstall", "--purge"]).expect(0);
        assert!(
            output.stderr.contains("nobody takes back approvals"),
            "{}",
            output.stderr
        );
        assert!(
            path.symlink_metadata().is_ok(),
            "what nobody could read is not thrown away"
        );
    }
}

#[test]
fn lines_of_the_log_that_cannot_be_read_are_told() {
    let world = World::with_three();
    world.authz(&format!("approve {} --yes", id(1))).expect(0);
    let log = world.env.sigilum("decisions.jsonl");
    let good = std::fs::read_to_string(&log).unwrap();
    for bad in ["garbage", "{\"a\": 1 b", "{\"intent\":5}"] {
        std::fs::write(&log, format!("{bad}\n{good}")).unwrap();
        let output = world.authz("log").expect(1);
        assert!(output.stdout.contains(&id(1)), "{}", output.stdout);
        assert!(
            output.stderr.contains("1 in all, the first is line 1"),
            "{}",
            output.stderr
        );
        carry_out(&output);
        std::fs::write(&log, format!("{bad}\n")).unwrap();
        let output = world.authz("log").expect(1);
        assert!(!output.stdout.contains("No decisions were made"), "{}", output.stdout);
        let told: Value = serde_json::from_str(&world.authz("log --json").expect(1).stdout).unwrap();
        assert_eq!(told, json!({"decisions": [], "unreadable_lines": 1}));
    }
    // As a run that was killed leaves it, healed by the next one.
    let half = &good[..good.len() / 3];
    for text in [
        format!("{good}{half}"),
        format!("{half}\n{good}"),
        format!("\0\0\0\n{good}"),
    ] {
        std::fs::write(&log, text).unwrap();
        let output = world.authz("log").expect(0);
        assert_eq!(output.stderr, "");
        assert!(output.stdout.contains(&id(1)), "{}", output.stdout);
    }
}

#[test]
fn doctor_finds_each_file_of_ours_that_is_none() {
    let table = [
        ("decisions.lock", Folder),
        ("decisions.lock", Link),
        ("told.json", Folder),
        ("seen.json", Pipe),
        ("hook.json", Folder),
        ("watch.lock", Folder),
        ("lock", Pipe),
    ];
    for (name, now) in table {
        let env = installed();
        let path = env.sigilum(name);
        spoil(&path, now);
        let shown = path.display().to_string();
        let is_it = |(check, text, _): &&(String, String, String)| check == "files" && text.contains(&shown);
        let found = doctor(&env);
        let (_, _, next) = found.iter().find(is_it).unwrap_or_else(|| panic!("{name}: {found:?}"));
        let command = next.rsplit_once(": ").unwrap().1.split(" && ").next().unwrap();
        assert!(Command::new("sh").args(["-c", command]).status().unwrap().success());
        assert!(!doctor(&env).iter().any(|found| is_it(&found)), "{name}");
    }
    let env = installed();
    spoil(&env.sigilum("some"), Pipe);
    let fixed = env.run(["doctor", "--fix"]).output().stdout;
    assert!(!fixed.contains("made private"), "{fixed}");
}

#[test]
fn a_strange_folder_is_told_with_a_step_that_helps() {
    for (name, now) in [("hooks/sigilum-authz-notify", Link), ("hooks", Junk)] {
        let env = TestEnv::new();
        env.write_config("{}");
        env.login().expect(0);
        let path = env.openclaw().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        spoil(&path, now);
        let found = doctor(&env);
        let (_, text, next) = found.iter().find(|(check, ..)| check == "hook").unwrap();
        assert!(text.contains(&path.display().to_string()), "{text}");
        let told = env.run(["hook", "install"]).expect(1).stderr;
        assert!(told.contains(next), "{next}: {told}");
        let command = next.rsplit_once(": ").unwrap().1;
        assert!(Command::new("sh").args(["-c", command]).status().unwrap().success());
        env.run(["hook", "install"]).expect(0);
    }
}

#[test]
fn requests_that_the_api_counts_and_does_not_list_are_not_nothing() {
    let world = World::new();
    let answer = json!({"claims": [], "pagination": {"total": 7, "has_more": true}});
    for words in ["list", "list --json", "list --status all", "reject --all --yes"] {
        world.api.fault(Fault::Body("application/json", answer.to_string()));
        let output = world.authz(words).expect(6);
        assert_eq!(output.stdout, "", "{words}");
        assert!(output.stderr.contains("there are 7"), "{words}: {}", output.stderr);
    }
}

#[test]
fn why_a_printed_token_is_not_taken_is_true() {
    let now = env::now();
    for (claims, why, step) in [
        (
            json!({"iat": now + 900, "exp": now + 90_000}),
            "issued in the future",
            "compare the clocks",
        ),
        (
            json!({"iat": now * 1000, "exp": now * 1000 + 90_000_000}),
            "issued in the future",
            "seconds since 1970",
        ),
        (
            json!({"iat": now - 5_000, "exp": now + 90_000}),
            "older than the stored one",
            "a fresh token",
        ),
        (
            json!({"iat": null, "exp": now + 90_000}),
            "does not say when it was issued",
            "a fresh token",
        ),
    ] {
        let env = TestEnv::new();
        let api = env.managed_api();
        // Due, and in force.
        let stored = env::api::token(
            "only Sigilum knows",
            json!({"namespace": "alice", "iat": now - 900, "exp": now + 100}),
        );
        env.log_in_at(&api, &stored);
        let mut all = json!({"namespace": "alice"});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let printed = env::api::token("only Sigilum knows", all);
        let command = format!("echo {printed}");
        let output = env.run(["watch", "--once", "--token-command", &command]).expect(4);
        assert!(output.stderr.contains(why), "{why}: {}", output.stderr);
        assert!(output.stderr.contains(step), "{step}: {}", output.stderr);
        assert_eq!(
            output.stderr.contains("older than"),
            why.contains("older than"),
            "{}",
            output.stderr
        );
    }
}

#[test]
fn an_install_says_that_the_record_is_damaged_and_not_that_there_is_no_token() {
    for kind in ["hook", "plugin"] {
        let env = TestEnv::new();
        let api = env.managed_api();
        env.log_in_at(&api, &managed_token("alice", 3_600));
        env.run(["hook", "install", "--as", kind]).expect(0);
        std::fs::write(env.sigilum("owner-alice.json"), "{").unwrap();
        let output = env.run(["hook", "install", "--as", kind]).output();
        let told = format!("{}{}", output.stdout, output.stderr);
        assert!(!told.contains("an owner token"), "{told}");
        assert!(told.contains("could not read the record"), "{told}");
        assert!(told.contains(" auth login"), "{told}");
    }
}

#[test]
fn a_damaged_record_of_edits_is_told_with_a_step_that_helps() {
    for junk in ["garbage{", "[]", "{}"] {
        let env = installed();
        env.write(".openclaw/.sigilum/undo.json", junk);
        let told = |env: &TestEnv| doctor(env).into_iter().find(|(_, text, _)| text.contains("undo.json"));
        let (check, _, next) = told(&env).unwrap();
        let (out, again) = next.split_once("; then: ").unwrap();
        assert_eq!(
            (check.as_str(), out, again),
            (
                "files",
                "sigilum-authz-notify hook uninstall",
                "sigilum-authz-notify hook install --as hook && sigilum-authz-notify hook install --as plugin"
            )
        );
        let output = env.run(["hook", "uninstall"]).expect(0);
        assert!(output.stdout.contains("says nothing any more"), "{}", output.stdout);
        assert!(!output.stdout.contains("begun"), "{}", output.stdout);
        assert!(!env.sigilum("undo.json").exists(), "{junk}");
        let config = std::fs::read_to_string(env.config()).unwrap();
        assert!(!config.contains("sigilum"), "{config}");
        env.shell(again).expect(0);
        assert_eq!(told(&env), None);
        assert!(env.sigilum("plugin").is_dir());
    }
}

#[test]
fn a_damaged_list_is_told_once_and_in_words() {
    for junk in [
        "garbage{",
        "[]",
        "{}",
        "null",
        r#"{"hook": []}"#,
        r#"{"hook": {"files": {}}}"#,
    ] {
        let env = installed();
        let list = env.write(".openclaw/.sigilum/installed.json", junk);
        let told = format!(
            "could not read the list of installed files: {}: it is damaged",
            list.display()
        );
        let mut found = doctor(&env);
        found.retain(|(_, text, _)| text.contains("installed.json"));
        let step = format!("remove it, and run the command again: rm {}", list.display());
        assert_eq!(found, [("hook".to_owned(), told.clone(), step)], "{junk}");
        let refused = env.run(["hook", "uninstall"]).expect(1).stderr;
        assert!(refused.contains(&told), "{junk}: {refused}");
    }
}

#[test]
fn a_file_in_the_place_of_the_plugins_folder_is_told_with_a_step_that_helps() {
    let setup = ["setup", "--yes", "--as", "plugin"];
    for command in [&["hook", "install", "--as", "plugin"][..], &setup] {
        let env = TestEnv::new();
        env.write_config("{}");
        env.login().expect(0);
        let config = std::fs::read(env.config()).unwrap();
        let path = env.write(".openclaw/.sigilum/plugin", "mine");
        let refused = env.run(command).expect(1);
        let told = format!("could not use the folder: {}: it is no folder", path.display());
        assert!(refused.stderr.contains(&told), "{}", refused.stderr);
        assert_eq!(std::fs::read(env.config()).unwrap(), config);
        assert!(doctor(&env).iter().any(|(_, text, _)| *text == told));
        carry_out(&refused);
        env.run(command).output();
        assert!(path.is_dir());
        std::fs::remove_dir_all(&path).unwrap();
        env.write(".openclaw/.sigilum/plugin", "mine");
        env.run(["hook", "uninstall", "--purge"]).expect(1);
        assert!(!env.sigilum("owner-token-alice.jwt").exists());
    }
}

/// Root's own command made it: doctor tells it, and both it and the commands say how it is given back.
#[test]
fn what_root_left_closed_to_the_user_is_given_back() {
    if !env::can_be_others() {
        return;
    }
    use std::os::unix::fs::chown;
    let env = installed();
    let own = |path: &Path, uid: u32| chown(path, Some(uid), Some(uid)).unwrap();
    std::fs::write(env.sigilum("watch.lock"), "").unwrap();
    let mut folders = vec![env.home().to_owned()];
    while let Some(folder) = folders.pop() {
        own(&folder, env::STRANGER);
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => own(&path, env::STRANGER),
            }
        }
    }
    let by_user = |words: &str| env.run(words.split(' ')).by_user(env::STRANGER, &[env::STRANGER]);
    for (name, words, code) in [
        ("undo.json", "hook install", 1),
        ("lock", "hook install", 1),
        ("watch.lock", "watch --once", 1),
        ("local-api.sqlite", "auth refresh", 7),
        ("local-api.sqlite", "service list", 7),
    ] {
        let path = env.sigilum(name);
        own(&path, 0);
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let step = format!("next: as root: chown {} {}", env::STRANGER, path.display());
        let doctor = by_user("doctor").output().stdout;
        let told = format!("this file is root's, and this user may not use it: {}", path.display());
        assert!(doctor.contains(&told) && doctor.contains(&step), "{name}: {doctor}");
        assert!(!doctor.contains("auth refresh"), "{name}: {doctor}");
        let output = by_user(words).expect(code);
        let said = output.stdout + &output.stderr;
        assert!(said.replace("; next", "\n  next").contains(&step), "{name}: {said}");
        own(&path, env::STRANGER);
        by_user(words).expect(0);
        assert!(!by_user("doctor").output().stdout.contains("root's"), "{name}");
    }
}

#[test]
fn what_is_far_too_long_is_told_and_a_lock_is_neither_read_nor_cut() {
    const LENGTH: u64 = 3 << 30;
    let env = installed();
    let long = |name: &str| {
        let file = std::fs::File::create(env.sigilum(name)).unwrap();
        file.set_len(LENGTH).unwrap();
        file.set_permissions(Permissions::from_mode(0o600)).unwrap();
    };
    long("lock");
    env.run(["hook", "install"]).expect(0);
    assert_eq!(env.sigilum("lock").metadata().unwrap().len(), LENGTH);
    long("undo.json");
    let output = env.run(["hook", "install"]).expect(1);
    let undo = env.sigilum("undo.json").display().to_string();
    let found = doctor(&env);
    let told = found
        .iter()
        .filter(|(check, text, _)| check == "files" && text.contains(&undo));
    let steps: Vec<&str> = told.map(|(_, _, next)| next.as_str()).collect();
    assert_eq!(steps, [output.step()], "{found:?}");
    carry_out(&output);
    env.run(["hook", "install"]).expect(0);
}

#[test]
fn what_a_link_leads_to_is_removed_by_no_step_unless_it_is_a_token() {
    for words in [
        &["auth", "logout", "--namespace", "alice"][..],
        &["hook", "uninstall", "--purge"],
    ] {
        for name in ["owner-alice.json", "owner-token-alice.jwt"] {
            let env = installed();
            let precious = env.write("precious/id_rsa", "a key");
            let file = env.sigilum(name);
            std::fs::remove_file(&file).unwrap();
            symlink(&precious, &file).unwrap();
            let output = env.run(words).expect(0);
            let told = output.stdout + &output.stderr;
            assert!(
                !told.contains("rm ") && !told.contains("what stood in"),
                "{words:?} {name}: {told}"
            );
            assert!(
                precious.exists() && file.symlink_metadata().is_err(),
                "{words:?} {name}: {told}"
            );
        }
    }
}

#[test]
fn a_file_in_the_place_of_our_folder_is_moved_away_by_the_step() {
    for words in [
        "auth login --mode oss-local --namespace alice",
        "auth logout --namespace alice",
        "hook install",
        "doctor",
    ] {
        let env = TestEnv::new();
        env.write_config("{}");
        std::fs::write(env.sigilum(""), "mine").unwrap_or_else(|_| {
            let _ = std::fs::remove_dir(env.sigilum(""));
            std::fs::write(env.openclaw().join(".sigilum"), "mine").unwrap();
        });
        let output = env.run(words.split(' ')).expect(1);
        let told = output.stdout + &output.stderr;
        let file = env.openclaw().join(".sigilum").display().to_string();
        let step = format!("next: move the file away that has this name: mv {file} {file}.aside");
        assert!(told.contains(&step), "{words}: {told}");
        assert!(
            Command::new("mv")
                .args([&file, &format!("{file}.aside")])
                .status()
                .unwrap()
                .success()
        );
        env.login().expect(0);
    }
}

/// The secret is a person's alone, so that nothing renews the token; the database is needed all the same.
#[test]
fn a_damaged_database_beside_a_secret_that_is_not_kept_is_told() {
    let env = TestEnv::new();
    env.login()
        .env("JWT_SECRET", "0123456789abcdef0123456789abcdef")
        .expect(0);
    let of_the_database = || {
        let told = env.run(["doctor"]).expect(7).stdout;
        assert!(
            told.contains("fail  local-api    the secret that signs tokens is not kept here"),
            "{told}"
        );
        told.lines()
            .any(|line| line.starts_with("fail  local-api ") && line.contains("local-api.sqlite"))
    };
    assert!(!of_the_database());
    std::fs::write(env.sigilum("local-api.sqlite"), "hello\n").unwrap();
    assert!(of_the_database());
}
