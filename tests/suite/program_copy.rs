//! The program that records and units name: by a path that stays.

use crate::env;

use crate::serve::Home;
use env::{TestEnv, mode};
use serde_json::Value;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A copy of the binary under test where OpenClaw puts an installed plugin's.
fn in_a_plugin(env: &TestEnv) -> PathBuf {
    let package = "npm/projects/sigilum-authz-notify/node_modules/sigilum-authz-notify-linux-x64/bin";
    copied(env, &env.openclaw().join(package))
}

fn copied(env: &TestEnv, folder: &Path) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    for folder in folder.ancestors().take_while(|folder| *folder != env.home()) {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    let program = folder.join("sigilum-authz-notify");
    env::copy_binary(&program);
    program
}

fn copy_of(env: &TestEnv) -> PathBuf {
    env.sigilum("bin/sigilum-authz-notify")
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn recorded(env: &TestEnv) -> [PathBuf; 2] {
    let install = env.openclaw().join("hooks/sigilum-authz-notify/install.json");
    [install, env.sigilum("hook.json")].map(|file| json(&file)["binary"].as_str().unwrap().into())
}

#[test]
fn what_runs_from_a_place_that_goes_away_is_copied_and_the_copy_recorded() {
    for (folder, goes_away) in [
        (
            "npm/projects/sigilum-authz-notify/node_modules/sigilum-authz-notify-linux-x64/bin",
            true,
        ),
        (
            "npm/projects/x__openclaw-generation__1/node_modules/sigilum-authz-notify-linux-x64/bin",
            true,
        ),
        (
            "tmp/plugin-captures/1f/captures/openclaw-plugin-build-x/package-0/bin",
            true,
        ),
        ("lib/node_modules/sigilum-authz-notify-linux-x64/bin", false),
    ] {
        let env = TestEnv::new();
        let program = copied(&env, &env.openclaw().join(folder));
        env.login_by(&program).expect(0);
        env.run_program(&program, ["hook", "install"]).expect(0);
        let copy = copy_of(&env);
        let wanted = if goes_away { copy.clone() } else { program.clone() };
        assert_eq!(recorded(&env), [wanted.clone(), wanted], "{folder}");
        assert_eq!(copy.exists(), goes_away, "{folder}");
        if !goes_away {
            continue;
        }
        let meta = copy.symlink_metadata().unwrap();
        assert_eq!(
            (mode(&copy), mode(copy.parent().unwrap()), meta.nlink()),
            (0o755, 0o700, 1)
        );
        assert_eq!(std::fs::read(&copy).unwrap(), std::fs::read(&program).unwrap());
        // The copy is a program like any other: it records itself.
        std::fs::remove_file(&program).unwrap();
        env.run_program(&copy, ["hook", "install"]).expect(0);
        assert_eq!(recorded(&env), [copy.clone(), copy.clone()]);
        assert!(
            env.run_program(&copy, ["hook", "status"])
                .output()
                .stdout
                .contains(&copy.display().to_string())
        );

        let output = env.run_program(&copy, ["hook", "uninstall"]).expect(0);
        assert!(
            output.stdout.contains(&format!("Removed {}", copy.display())),
            "{}",
            output.stdout
        );
        assert!(!copy.parent().unwrap().exists());
        assert!(!env.sigilum("installed.json").exists());
    }
}

/// A login alone records the program too, for a plugin that was installed without one.
#[test]
fn a_login_from_there_makes_the_copy_and_a_purge_takes_it_away() {
    let env = TestEnv::new();
    let program = in_a_plugin(&env);
    let plan = env.login_by(&program).args(["--dry-run"]).expect(0).stdout;
    let told = |file: &Path| plan.contains(&format!("Program:       would make {}\n", file.display()));
    assert!(told(&copy_of(&env)) && told(&env.sigilum("installed.json")), "{plan}");
    env.login_by(&program).expect(0);
    let again = env.login_by(&program).args(["--dry-run"]).expect(0).stdout;
    assert!(!again.contains("Program:"), "{again}");
    assert_eq!(
        json(&env.sigilum("hook.json"))["binary"].as_str().unwrap(),
        copy_of(&env).to_str().unwrap()
    );
    assert!(copy_of(&env).exists());
    env.run(["hook", "uninstall", "--purge"]).expect(0);
    assert!(!env.openclaw().join(".sigilum").exists());
}

#[test]
fn asked_for_it_is_made_of_any_program() {
    let env = TestEnv::new();
    env.login().expect(0);
    let output = env.run(["hook", "install", "--copy-binary"]).expect(0);
    let copy = copy_of(&env);
    assert!(
        output.stdout.contains(&format!("it runs: {}", copy.display())),
        "{}",
        output.stdout
    );
    assert!(
        output.stdout.contains("note: the program was copied to where it stays"),
        "{}",
        output.stdout
    );
    assert_eq!(recorded(&env), [copy.clone(), copy.clone()]);
    let before = copy.metadata().unwrap().ino();
    let output = env.run(["hook", "install", "--copy-binary"]).expect(0);
    assert!(!output.stdout.contains("copied"), "{}", output.stdout);
    assert_eq!(
        copy.metadata().unwrap().ino(),
        before,
        "nothing is written where it is right"
    );
    // One that others may write to is made anew.
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o777)).unwrap();
    env.run(["hook", "install", "--copy-binary"]).expect(0);
    assert_eq!(mode(&copy), 0o755);
}

#[test]
fn a_newer_program_replaces_an_older_copy_and_an_older_one_does_not() {
    let version = env!("CARGO_PKG_VERSION");
    // The version that is recorded of the copy, whether its bytes are those that were recorded, whether it stays.
    for (recorded, is_whole, stays) in [
        ("0.0.9", true, false),
        (version, true, false),
        ("99.0.0", true, true),
        ("99.0.0", false, false),
    ] {
        let env = TestEnv::new();
        let program = in_a_plugin(&env);
        env.login().expect(0);
        env.run_program(&program, ["hook", "install"]).expect(0);
        let copy = copy_of(&env);
        let other = "#!/bin/sh\necho another version\n";
        std::fs::write(&copy, other).unwrap();
        let file = env.sigilum("installed.json");
        let mut installed = json(&file);
        installed["program"]["version"] = recorded.into();
        if is_whole {
            installed["program"]["sha256"] = sha256(other).into();
        }
        std::fs::write(&file, installed.to_string()).unwrap();
        let output = env.run_program(&program, ["hook", "install"]).expect(0);
        let is_other = std::fs::read(&copy).unwrap() == other.as_bytes();
        assert_eq!(is_other, stays, "{recorded} {is_whole}");
        assert_eq!(
            output.stdout.contains("version 99.0.0, newer than this one, and stays"),
            stays,
            "{}",
            output.stdout
        );
        // A person who asks for it gets this one.
        env.run_program(&program, ["hook", "install", "--copy-binary"])
            .expect(0);
        assert_eq!(std::fs::read(&copy).unwrap(), std::fs::read(&program).unwrap());
    }
}

/// A plugin of a newer version was installed: it starts its own program, which nobody asked for anything.
#[test]
fn serve_of_a_newer_plugin_replaces_an_older_copy_that_the_record_names() {
    const OTHER: &str = "#!/bin/sh\necho another version\n";
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    // Of which version the record says that the copy is and of which bytes, what lies there, what is there afterwards.
    let table = [
        ("0.0.9", "as recorded", Is::Replaced),
        (VERSION, "as recorded", Is::Kept),
        ("99.0.0", "as recorded", Is::Kept),
        ("0.0.9", "changed", Is::Kept),
        ("0.0.9", "a link", Is::Kept),
        ("0.0.9", "gone", Is::Kept),
        ("0.0.9", "replaced already", Is::Replaced),
        ("0.0.9", "not recorded", Is::Kept),
        ("0.0.9", "of a program that stays", Is::Kept),
    ];
    for (recorded, case, wanted) in table {
        let home = Home::new();
        let env = &home.env;
        let plugins = in_a_plugin(env);
        env.run_program(&plugins, ["hook", "install"]).expect(0);
        let copy = copy_of(env);
        let file = env.sigilum("installed.json");
        let mut installed = json(&file);
        installed["program"]["version"] = recorded.into();
        if case != "replaced already" {
            std::fs::write(&copy, OTHER).unwrap();
        }
        let bytes = if case == "changed" { "something else" } else { OTHER };
        installed["program"]["sha256"] = sha256(bytes).into();
        match case {
            "not recorded" => drop(installed.as_object_mut().unwrap().remove("program")),
            "gone" => std::fs::remove_file(&copy).unwrap(),
            "a link" => {
                let elsewhere = env.write("elsewhere", OTHER);
                std::fs::remove_file(&copy).unwrap();
                std::os::unix::fs::symlink(elsewhere, &copy).unwrap();
            }
            _ => {}
        }
        std::fs::write(&file, installed.to_string()).unwrap();
        let program = match case {
            "of a program that stays" => copied(
                env,
                &env.home().join("lib/node_modules/sigilum-authz-notify-linux-x64/bin"),
            ),
            _ => plugins,
        };
        let before = (
            json(&file),
            std::fs::read(&copy).ok(),
            copy.symlink_metadata().ok().map(|meta| meta.ino()),
        );
        let mut serve = home.serve_by(&program);
        serve.say("{");
        serve.hear();
        drop(serve);
        let after = (
            json(&file),
            std::fs::read(&copy).ok(),
            copy.symlink_metadata().ok().map(|meta| meta.ino()),
        );
        if wanted == Is::Kept {
            assert!(before == after, "{recorded} {case}: {}", after.0);
            continue;
        }
        assert!(after.1 == Some(std::fs::read(&program).unwrap()), "{recorded} {case}");
        assert_eq!(after.0["program"]["version"], VERSION, "{recorded} {case}");
        assert_eq!(mode(&copy), 0o755);
        let left: Vec<_> = std::fs::read_dir(copy.parent().unwrap()).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        env.run_program(&copy, ["hook", "uninstall", "--purge"]).expect(0);
        assert!(!env.sigilum("").exists());
    }
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Is {
    Replaced,
    Kept,
}

fn sha256(text: &str) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(text))
}

#[test]
fn a_planted_folder_is_not_written_through() {
    let env = TestEnv::new();
    env.login().expect(0);
    let elsewhere = env.home().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, env.sigilum("bin")).unwrap();
    let output = env.run(["hook", "install", "--copy-binary"]).expect(1);
    assert!(output.stderr.contains("symbolic link"), "{}", output.stderr);
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
    assert!(!env.openclaw().join("hooks").exists());
}

#[test]
fn a_unit_runs_the_copy_and_keeps_it() {
    let env = TestEnv::new();
    let program = in_a_plugin(&env);
    env.login().expect(0);
    let copy = copy_of(&env);
    let output = env
        .run_program(&program, ["watch", "--print-unit", "systemd"])
        .expect(0);
    let words = format!("{} watch", copy.display());
    assert!(output.stdout.contains(&words), "{}", output.stdout);
    assert!(copy.exists());
    env.run_program(&program, ["hook", "install"]).expect(0);
    env.run_program(&program, ["watch", "--install-unit"]).expect(0);
    let output = env.run(["hook", "uninstall"]).expect(0);
    assert!(
        output.stdout.contains("stays, as a service runs it"),
        "{}",
        output.stdout
    );
    assert!(copy.exists());
    env.run(["hook", "uninstall", "--purge"]).expect(0);
    assert!(!copy.exists());
}
