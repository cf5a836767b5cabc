//! The watcher's unit: where systemd's user manager looks for it, started and stopped by that, named in the home's
//! record, taken out with all of ours.
#![cfg(target_os = "linux")]

use crate::env::{self, Run, TestEnv};

use env::local_api::FakeCheckout;
use env::mode;
use env::watching::{Watcher, managed_token};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

const UNIT: &str = "sigilum-authz-notify.service";

fn unit_of(env: &TestEnv) -> PathBuf {
    env.home().join(".config/systemd/user").join(UNIT)
}

/// A user manager that loads what lies in its folder, and writes down what it is told. `refuses`: what it fails at;
/// all that it is asked, while there is `~/asleep`.
struct Manager {
    env: TestEnv,
    path: String,
}

impl Manager {
    fn new(refuses: &str) -> Self {
        let env = TestEnv::new();
        let script = format!(
            "#!/bin/sh\n\
             echo \"$*\" >> '{log}'\n\
             [ -e '{asleep}' ] && exit 1\n\
             [ \"$2\" = '{refuses}' ] && exit 1\n\
             [ \"$2\" = show ] && [ -e '{unit}' ] && echo '{unit}'\n\
             exit 0\n",
            log = env.home().join("told").display(),
            asleep = env.home().join("asleep").display(),
            unit = unit_of(&env).display(),
        );
        let program = env.write("bin/systemctl", script);
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!(
            "{}:{}",
            program.parent().unwrap().display(),
            std::env::var("PATH").unwrap()
        );
        Self { env, path }
    }

    fn run(&self, args: &str) -> Run {
        self.env.run(args.split(' ')).env("PATH", &self.path)
    }

    /// What it was told since the last time, but for what it was asked.
    fn told(&self) -> Vec<String> {
        let log = self.env.home().join("told");
        let told = fs::read_to_string(&log).unwrap_or_default();
        let _ = fs::remove_file(log);
        let words = told.lines().filter_map(|line| line.strip_prefix("--user "));
        words
            .filter(|line| !line.starts_with("show "))
            .map(str::to_owned)
            .collect()
    }

    fn recorded(&self) -> Value {
        let record = fs::read(self.env.sigilum("hook.json")).unwrap();
        serde_json::from_slice::<Value>(&record).unwrap()["unit"].clone()
    }
}

const START: [&str; 3] = [
    "daemon-reload",
    "enable sigilum-authz-notify.service",
    "restart sigilum-authz-notify.service",
];
const STOP: [&str; 2] = ["disable --now sigilum-authz-notify.service", "daemon-reload"];

#[test]
fn the_unit_is_installed_on_a_fresh_home_and_taken_out_again() {
    let env = TestEnv::new();
    let unit = unit_of(&env);
    // Without a service manager the step is what works there: the unit's own command.
    let output = env.run(["watch", "--install-unit"]).env("PATH", "/nowhere").expect(0);
    let step = format!(" watch --openclaw-home {}\n", env.openclaw().display());
    let next = output.stdout.lines().find_map(|line| line.strip_prefix("  next: /"));
    assert!(
        next.is_some_and(|next| format!("{next}\n").ends_with(&step)),
        "{}",
        output.stdout
    );
    std::fs::remove_file(&unit).unwrap();
    let path = env.manager("exit 1");
    let output = env.run(["watch", "--install-unit"]).env("PATH", &path).expect(0);
    let next = "next: systemctl --user daemon-reload && systemctl --user enable sigilum-authz-notify.service && \
                systemctl --user restart sigilum-authz-notify.service";
    assert!(output.stdout.contains(next), "{}", output.stdout);
    let else_where = "where that cannot be asked, as in a container: /";
    assert!(
        output.stdout.contains(else_where) && output.stdout.contains(&step),
        "{}",
        output.stdout
    );
    assert!(output.stdout.contains(&format!("Unit installed: {}", unit.display())));
    assert!(output.stdout.contains("loginctl enable-linger"), "{}", output.stdout);
    let printed = env.run(["watch", "--print-unit", "systemd"]).expect(0).stdout;
    assert_eq!(fs::read_to_string(&unit).unwrap(), printed);
    assert_eq!(mode(&unit), 0o600);
    assert!(!env.openclaw().exists());
    // What was typed counts for the unit.
    let trusting = env.run(["watch", "--print-unit", "systemd"]);
    let printed = trusting.env("SIGILUM_TRUST_HOME", "1").expect(0).stdout;
    assert!(printed.contains("\nEnvironment=SIGILUM_TRUST_HOME=1\n"), "{printed}");
    // Again the same; then with other options.
    let output = env.run(["watch", "--install-unit"]).expect(0);
    assert!(output.stdout.contains("Unit there already:"), "{}", output.stdout);
    let output = env.run(["watch", "--install-unit", "--poll"]).expect(0);
    assert!(output.stdout.contains("Unit replaced:"), "{}", output.stdout);
    assert!(fs::read_to_string(&unit).unwrap().contains(" --poll"));

    let wanted = unit.parent().unwrap().join("default.target.wants");
    fs::create_dir(&wanted).unwrap();
    std::os::unix::fs::symlink(&unit, wanted.join(UNIT)).unwrap();
    let output = env.run(["watch", "--remove-unit"]).expect(0);
    assert!(
        output.stdout.contains("next: systemctl --user stop"),
        "{}",
        output.stdout
    );
    assert!(!unit.exists() && fs::read_dir(&wanted).unwrap().next().is_none());
    let output = env.run(["watch", "--remove-unit"]).expect(0);
    assert!(output.stdout.contains("There is no unit"), "{}", output.stdout);
    assert!(!env.openclaw().exists());

    let elsewhere = env.home().join("xdg");
    env.run(["watch", "--install-unit"])
        .env("XDG_CONFIG_HOME", &elsewhere)
        .expect(0);
    assert!(elsewhere.join("systemd/user").join(UNIT).exists());
}

/// Where no service manager can be asked, what is to be done instead does it.
#[test]
fn what_is_said_beside_a_unit_is_carried_out() {
    let manager = Manager::new("nothing");
    let env = &manager.env;
    env.login().expect(0);
    let told = env.run(["watch", "--install-unit"]).env("PATH", "/nowhere").expect(0);
    let mut watcher = Watcher::start(env.shell(&format!("exec {}", told.step())));
    env.run(["watch", "--check"]).expect(0);
    assert_eq!(watcher.stop(), 0);

    let asleep = env.home().join("asleep");
    fs::write(&asleep, "").unwrap();
    let told = manager.run("watch --install-unit").expect(0);
    fs::remove_file(&asleep).unwrap();
    manager.told();
    env.carry_out(&told).expect(0);
    assert_eq!(manager.told(), START);
    let again = manager.run("watch --install-unit").expect(0).stdout;
    assert!(again.contains("it runs, and starts with every session"), "{again}");

    fs::write(&asleep, "").unwrap();
    let told = manager.run("watch --remove-unit").expect(0);
    fs::remove_file(&asleep).unwrap();
    manager.told();
    env.shell(told.step()).expect(0);
    assert_eq!(manager.told(), ["stop sigilum-authz-notify.service", "daemon-reload"]);
    let again = manager.run("watch --remove-unit").expect(0).stdout;
    assert!(again.contains("There is no unit"), "{again}");
}

#[test]
fn a_manager_that_can_be_asked_starts_and_stops_it() {
    let manager = Manager::new("nothing");
    let env = &manager.env;
    env.login().expect(0);
    for done in ["Unit installed: ", "Unit there already: "] {
        let output = manager.run("watch --install-unit").expect(0);
        assert!(output.stdout.contains(done), "{}", output.stdout);
        assert!(
            output.stdout.contains("it runs, and starts with every session"),
            "{}",
            output.stdout
        );
        assert!(!output.stdout.contains("next:"), "{}", output.stdout);
        assert_eq!(manager.told(), START);
        assert_eq!(manager.recorded(), json!(unit_of(env)));
    }
    let output = manager.run("watch --remove-unit").expect(0);
    assert!(
        output.stdout.contains("Unit stopped and removed: "),
        "{}",
        output.stdout
    );
    assert_eq!(manager.told(), STOP);
    assert_eq!(manager.recorded(), Value::Null);
    assert!(!unit_of(env).exists());
}

/// Another home folder's unit of the same name runs on, as a trial beside one's own must not touch it.
#[test]
fn a_unit_that_the_manager_has_from_elsewhere_is_left_alone() {
    let manager = Manager::new("nothing");
    let elsewhere = manager.env.home().join("xdg");
    manager.run("watch --install-unit").expect(0);
    manager.told();
    let run = |args| manager.run(args).env("XDG_CONFIG_HOME", &elsewhere);
    let output = run("watch --install-unit").expect(0);
    let why = "  the service manager has another unit of this name, or looks for units elsewhere\n  next: /";
    assert!(output.stdout.contains(why), "{}", output.stdout);
    assert_eq!(manager.told(), ["daemon-reload"]);
    // Nor is it restarted for a home of the other one.
    manager.env.login().expect(0);
    let told = run("doctor").output().stdout;
    assert!(told.contains("a service is installed, and no watcher runs: "), "{told}");
    assert!(
        told.contains("it runs until it is stopped") && !told.contains("systemctl"),
        "{told}"
    );
    manager.told();
    let mut watcher = Watcher::start(manager.env.shell(&format!("exec {}", output.step())));
    manager.env.run(["watch", "--check"]).expect(0);
    assert_eq!(watcher.stop(), 0);
    let output = run("watch --remove-unit").expect(0);
    assert!(output.stdout.contains("Unit removed: "), "{}", output.stdout);
    assert_eq!(manager.told(), ["daemon-reload"]);
    assert!(unit_of(&manager.env).exists());
    // Nor is one started that it does not find.
    manager.run("watch --remove-unit").expect(0);
    assert!(run("watch --install-unit").expect(0).stdout.contains(why));
    let told = run("doctor").output().stdout;
    assert!(
        told.contains("it runs until it is stopped") && !told.contains("systemctl"),
        "{told}"
    );
}

#[test]
fn a_service_that_does_not_come_up_is_an_error_with_its_log() {
    let manager = Manager::new("restart");
    let output = manager.run("watch --install-unit").expect(1);
    let next = format!("next: journalctl --user --unit {UNIT} --lines 20");
    assert!(
        output.stderr.contains("could not start the service: "),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains(&next), "{}", output.stderr);
    // The log is shown, and what it says is mended.
    let env = &manager.env;
    let journal = env.write("bin/journalctl", "#!/bin/sh\necho \"the log of $*\"\n");
    fs::set_permissions(journal, fs::Permissions::from_mode(0o755)).unwrap();
    let shown = env.carry_out(&output).expect(0).stdout;
    assert_eq!(shown, format!("the log of --user --unit {UNIT} --lines 20\n"));
    let systemctl = env.home().join("bin/systemctl");
    let script = fs::read_to_string(&systemctl)
        .unwrap()
        .replace("'restart'", "'nothing'");
    fs::write(systemctl, script).unwrap();
    manager.run("watch --install-unit").expect(0);
}

#[test]
fn purge_stops_and_removes_the_unit_that_the_homes_record_names() {
    // Also where the environment of the purge would not lead to it.
    for lead_astray in [false, true] {
        let manager = Manager::new("nothing");
        let env = &manager.env;
        env.login().expect(0);
        manager.run("watch --install-unit").expect(0);
        manager.told();
        let mut purge = manager.run("hook uninstall --purge");
        if lead_astray {
            purge = purge.env("XDG_CONFIG_HOME", env.home().join("xdg"));
        }
        let output = purge.expect(0);
        assert!(
            output.stdout.contains("Unit stopped and removed: "),
            "{}",
            output.stdout
        );
        assert_eq!(output.stderr, "");
        assert_eq!(manager.told(), STOP);
        assert!(!unit_of(env).exists() && !env.openclaw().exists());
    }
}

#[test]
fn purge_leaves_what_serves_others_and_what_is_no_unit_of_ours() {
    let manager = Manager::new("nothing");
    let env = &manager.env;
    let other = env.home().join("other");
    fs::create_dir(&other).unwrap();
    env.login().expect(0);
    manager
        .run("watch --install-unit --openclaw-home")
        .args([env.openclaw(), "--openclaw-home".into(), other.clone()])
        .expect(0);
    manager.told();
    let output = manager.run("hook uninstall --purge").expect(0);
    assert!(
        output
            .stderr
            .contains("a service runs a watcher for this home and others"),
        "{}",
        output.stderr
    );
    assert!(unit_of(env).exists() && manager.told().is_empty());

    // A record that names a file of somebody else's.
    let service = env.write(format!("somebody/{UNIT}"), "[Service]\nExecStart=/bin/true\n");
    env.login().expect(0);
    for named in [service.clone(), env.write("somebody/letter", "dear --openclaw-home")] {
        env.write(".openclaw/.sigilum/hook.json", json!({"unit": named}).to_string());
        manager
            .run("watch --remove-unit --openclaw-home")
            .args([env.openclaw()])
            .expect(0);
        manager.run("hook uninstall --purge").expect(0);
        assert!(named.exists(), "{}", named.display());
    }
}

#[test]
fn setup_removes_no_service_of_other_homes() {
    let manager = Manager::new("nothing");
    let env = &manager.env;
    let other = env.home().join("other");
    fs::create_dir(&other).unwrap();
    env.login().expect(0);
    let install = |homes: &[&PathBuf]| {
        let homes = homes
            .iter()
            .flat_map(|home| ["--openclaw-home".into(), home.as_os_str().to_owned()]);
        manager.run("watch --install-unit").args(homes).expect(0);
    };
    let setup = || manager.run("setup --as hook --unit false --yes").output();
    install(&[&env.openclaw(), &other]);
    let output = setup();
    let stays = format!(
        "note: the service stays, as it is for other homes too: {}\n",
        unit_of(env).display()
    );
    assert!(output.stderr.contains(&stays), "{output:#?}");
    assert!(!output.stdout.contains("--remove-unit"), "{output:#?}");
    assert!(unit_of(env).exists());
    // One of this home alone goes.
    manager.run("watch --remove-unit").expect(0);
    install(&[&env.openclaw()]);
    let output = setup();
    assert!(output.stdout.contains("watch --remove-unit"), "{output:#?}");
    assert!(!unit_of(env).exists());
}

/// The other homes are renewed by it.
#[test]
fn purge_leaves_the_program_of_a_service_for_other_homes() {
    let manager = Manager::new("nothing");
    let env = &manager.env;
    let other = env.home().join("other");
    fs::create_dir(&other).unwrap();
    env.login().expect(0);
    env.run(["hook", "install", "--copy-binary"]).expect(0);
    let copy = env.sigilum("bin/sigilum-authz-notify");
    let homes = [
        "--openclaw-home".into(),
        env.openclaw(),
        "--openclaw-home".into(),
        other,
    ];
    env.run_program(&copy, ["watch", "--install-unit"])
        .args(homes)
        .env("PATH", &manager.path)
        .expect(0);
    let unit = fs::read_to_string(unit_of(env)).unwrap();
    assert!(unit.contains(copy.to_str().unwrap()), "{unit}");
    let output = manager.run("hook uninstall --purge").expect(0);
    let stays = format!(
        "  {} stays, as a service runs it: {}\n",
        copy.display(),
        unit_of(env).display()
    );
    assert!(output.stdout.contains(&stays), "{output:#?}");
    assert!(!output.stdout.contains("next: "), "{output:#?}");
    let mut left: Vec<_> = fs::read_dir(env.sigilum(""))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    left.sort();
    // What the program renews its copy by stays with it.
    assert_eq!(left, [copy.parent().unwrap(), &env.sigilum("installed.json")]);
    assert!(copy.is_file());
    // With the service the program goes.
    manager.run("watch --remove-unit").expect(0);
    manager.run("hook uninstall --purge").expect(0);
    assert!(!env.sigilum("").exists());
}

/// One unit serves all homes: a second one joins it, and takes it from nobody.
#[test]
fn a_unit_that_serves_another_home_is_not_replaced() {
    let manager = Manager::new("nothing");
    let env = &manager.env;
    env.login().expect(0);
    manager.run("watch --install-unit").expect(0);
    let first = fs::read_to_string(unit_of(env)).unwrap();
    manager.told();
    let other = env.home().join("an other");
    let install = || manager.run("watch --install-unit --openclaw-home").args([&other]);
    let typo = install().expect(1).stderr;
    let wanted = format!(
        "could not install the unit, there is no OpenClaw home: {}",
        other.display()
    );
    assert!(typo.contains(&wanted), "{typo}");
    fs::create_dir(&other).unwrap();
    let refused = install().args(["--poll"]).expect(2).stderr;
    let wanted = format!(
        "error: could not replace the unit, it serves another home: {home}\n  next: sigilum-authz-notify watch \
         --install-unit --openclaw-home {home} --openclaw-home '{}' --poll; one service serves both\n",
        other.display(),
        home = env.openclaw().display(),
    );
    assert_eq!(refused, wanted);
    assert_eq!(fs::read_to_string(unit_of(env)).unwrap(), first);
    assert_eq!(manager.told(), [""; 0]);
    let ours = std::path::Path::new(env::BINARY).parent().unwrap().display();
    let step = wanted.split("next: ").nth(1).unwrap().split("; ").next().unwrap();
    let step = env.run_program("/bin/sh".as_ref(), ["-c", step]);
    step.env("PATH", format!("{ours}:{}", manager.path)).expect(0);
    let both = fs::read_to_string(unit_of(env)).unwrap();
    assert!(both.contains("an other") && both.contains(" --poll"), "{both}");
    assert_eq!(manager.recorded(), json!(unit_of(env)));
    // And neither is passed over by one for a single home.
    let refused = manager.run("watch --install-unit").expect(2).stderr;
    assert!(refused.contains("it serves another home: "), "{refused}");
    // A home that is gone is nobody's.
    fs::remove_dir(&other).unwrap();
    manager.run("watch --install-unit").expect(0);
    // All of a person's are found anew.
    manager.run("watch --install-unit --all").expect(0);
    fs::create_dir(&other).unwrap();
    let refused = install().expect(2);
    let step = format!(
        "sigilum-authz-notify watch --remove-unit --all && sigilum-authz-notify watch --install-unit --openclaw-home \
         '{}'; the other homes are not served then",
        other.display()
    );
    assert_eq!(refused.step(), step);
    env.carry_out(&refused).expect(0);
    assert!(fs::read_to_string(unit_of(env)).unwrap().contains("an other"));
    let refused = manager.run("watch --install-unit --all").expect(2);
    env.carry_out(&refused).expect(0);
    assert!(fs::read_to_string(unit_of(env)).unwrap().contains(" watch --all"));
}

/// A broken record of the hook may name a broker: nothing is written before that is known.
#[test]
fn beside_a_broken_record_no_unit_is_written() {
    let manager = Manager::new("nothing");
    let env = &manager.env;
    env.login().expect(0);
    env.write(".openclaw/.sigilum/hook.json", "{");
    for args in ["watch --install-unit", "watch --check"] {
        let told = manager.run(args).expect(1);
        assert!(
            told.stderr.contains("could not read the hook's record, line 1"),
            "{}",
            told.stderr
        );
        assert!(
            told.step().contains(" && sigilum-authz-notify hook install"),
            "{}",
            told.stderr
        );
    }
    assert!(!unit_of(env).exists() && manager.told().is_empty());
    let told = manager.run("watch --install-unit").expect(1);
    env.carry_out(&told).expect(0);
    manager.run("watch --install-unit").expect(0);
    assert_eq!(manager.recorded(), json!(unit_of(env)));
}

/// `--remove-unit` takes no service from a home that it is not about, and is known in all homes that were served.
#[test]
fn a_unit_that_serves_another_home_is_not_removed() {
    let manager = Manager::new("nothing");
    let env = &manager.env;
    let other = env.home().join("an other");
    for home in [&env.openclaw(), &other] {
        let log_in = env.login().args(["--openclaw-home".as_ref(), home.as_os_str()]);
        log_in.expect(0);
    }
    let others_record = || fs::read_to_string(other.join(".sigilum/hook.json")).unwrap();
    let remove = || manager.run("watch --remove-unit --openclaw-home").args([&other]);
    let ours = format!("--openclaw-home {}", env.openclaw().display());
    for (flags, named) in [("", ours.as_str()), (" --all", "--all")] {
        manager.run(&format!("watch --install-unit{flags}")).expect(0);
        manager.told();
        let refused = remove().expect(2);
        let says = format!(
            "error: could not remove the unit, it serves another home: {}\n",
            env.openclaw().display()
        );
        assert!(refused.stderr.starts_with(&says), "{}", refused.stderr);
        assert_eq!(
            refused.step(),
            format!("sigilum-authz-notify watch --remove-unit {named}")
        );
        assert!(unit_of(env).exists() && manager.told().is_empty());
        assert_eq!(manager.recorded(), json!(unit_of(env)));
        env.carry_out(&refused).expect(0);
        assert!(!unit_of(env).exists());
        assert_eq!(manager.recorded(), Value::Null);
    }
    // One that serves both goes, and neither names it any more.
    let install = manager.run("watch --install-unit --openclaw-home");
    let both = [env.openclaw(), "--openclaw-home".into(), other.clone()];
    install.args(&both).expect(0);
    assert!(others_record().contains("\"unit\""));
    manager.run("watch --remove-unit").expect(0);
    assert!(!unit_of(env).exists() && !others_record().contains("\"unit\""));
    // Also where a record cannot be read, with a step for that home.
    manager
        .run("watch --install-unit --openclaw-home")
        .args(&both)
        .expect(0);
    fs::write(other.join(".sigilum/hook.json"), "{").unwrap();
    let told = manager.run("watch --remove-unit").expect(0);
    assert!(
        told.stderr
            .starts_with("warning: could not read the hook's record, line 1")
    );
    assert!(!unit_of(env).exists() && manager.recorded() == Value::Null);
    env.carry_out(&told).expect(0);
    assert!(serde_json::from_str::<Value>(&others_record()).is_ok());
    assert!(env.sigilum("hook.json").exists());
}

/// A home that a broker serves by now, or whose record is broken, keeps no service from the others.
#[test]
fn a_unit_is_installed_again_without_homes_that_cannot_be_served() {
    let manager = Manager::new("nothing");
    let env = &manager.env;
    let other = env.home().join(".openclaw-other");
    for home in [&env.openclaw(), &other] {
        let log_in = env.login().args(["--openclaw-home".as_ref(), home.as_os_str()]);
        log_in.expect(0);
    }
    let ours = format!("--openclaw-home {}", env.openclaw().display());
    let both = format!("{ours} --openclaw-home {}", other.display());
    let record = other.join(".sigilum/hook.json");
    let well = fs::read(&record).unwrap();
    for (flags, step) in [(both.as_str(), String::new()), ("--all", format!(" {ours}"))] {
        for (text, warns) in [
            (r#"{"broker":{"socket":"/run/broker.sock","uid":1}}"#, false),
            ("{", true),
        ] {
            fs::write(&record, &well).unwrap();
            manager.run(&format!("watch --install-unit {flags}")).expect(0);
            fs::write(&record, text).unwrap();
            let told = manager.run("watch --check").expect(1);
            assert_eq!(told.step(), format!("sigilum-authz-notify watch --install-unit{step}"));
            let again = env.carry_out(&told).expect(0).stderr;
            assert_eq!(
                again.contains("warning: could not read the hook's record"),
                warns,
                "{again}"
            );
            assert_eq!(
                again.contains(&format!("--openclaw-home {}", other.display())),
                warns,
                "{again}"
            );
            let unit = fs::read_to_string(unit_of(env)).unwrap();
            assert!(unit.contains(&format!(" watch {ours}\n")), "{unit}");
            manager.run("watch --remove-unit").expect(0);
        }
    }
}

/// A unit for all of a person's homes serves none that lies elsewhere.
#[test]
fn a_unit_for_all_homes_serves_none_that_lies_elsewhere() {
    let manager = Manager::new("nothing");
    let env = &manager.env;
    let other = env.home().join("other");
    for home in [&env.openclaw(), &other] {
        let log_in = env.login().args(["--openclaw-home".as_ref(), home.as_os_str()]);
        log_in.expect(0);
    }
    manager.run("watch --install-unit --all").expect(0);
    let watcher = |home: &PathBuf| manager.run("doctor --openclaw-home").args([home]).output().stdout;
    let told = watcher(&env.openclaw());
    assert!(told.contains("a service is installed, and no watcher runs: "), "{told}");
    let told = watcher(&other);
    assert!(told.contains("none runs: nothing renews the token"), "{told}");
    let purge = manager.run("hook uninstall --purge --openclaw-home").args([&other]);
    let told = purge.expect(0).stderr;
    assert!(!told.contains("a service runs a watcher for this home"), "{told}");
    assert!(unit_of(env).exists());
}

/// A service that lost its token command by being made anew would stop renewing, a week later.
#[test]
fn a_unit_that_is_made_anew_keeps_its_options_and_says_what_it_cannot_renew() {
    let env = TestEnv::new();
    env.run([
        "auth",
        "login",
        "--mode",
        "managed",
        "--no-check",
        "--owner-token-stdin",
    ])
    .stdin(managed_token("alice", 5_000))
    .expect(0);
    let install = |flags: &[&str]| env.run(["watch", "--install-unit"]).args(flags).expect(0).stdout;
    let unrenewed = "it cannot renew the token of alice, which a person or a token command renews";
    assert!(install(&[]).contains(unrenewed));
    let command = ["--token-command", "/bin/cat /nowhere", "--notify", "irc:bob"];
    assert!(!install(&command).contains(unrenewed));
    let unit = || std::fs::read_to_string(unit_of(&env)).unwrap();
    let with_command = unit();
    let output = install(&[]);
    let kept =
        "kept from before: --token-command, --notify; to drop them, first: sigilum-authz-notify watch --remove-unit";
    assert!(output.contains(kept) && !output.contains(unrenewed), "{output}");
    assert_eq!(unit(), with_command);
    env.run(["watch", "--remove-unit"]).expect(0);
    assert!(install(&[]).contains(unrenewed));
    assert!(!unit().contains("--notify"));

    // The same where it is taken out first, for a home that it cannot serve beside the others.
    let elsewhere = env.home().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let all = env.run(["watch", "--install-unit", "--all"]).args(command);
    let proxy = "http://u:secret@proxy";
    all.env("SSL_CERT_DIR", "/a b").env("ALL_PROXY", proxy).expect(0);
    let refused = env
        .run(["watch", "--install-unit", "--openclaw-home"])
        .args([&elsewhere])
        .expect(2);
    let step = format!(
        "first fill in from {}: export ALL_PROXY=<as in the unit> SSL_CERT_DIR='/a b' \
         SIGILUM_OWNER_TOKEN_COMMAND=<as in the unit> && sigilum-authz-notify watch --remove-unit --all && \
         sigilum-authz-notify watch --install-unit --openclaw-home {} --notify irc:bob; the other homes are not served \
         then",
        unit_of(&env).display(),
        elsewhere.display()
    );
    assert_eq!(refused.step(), step);
    // As long as that is not filled in, nothing is done.
    assert_ne!(env.carry_out(&refused).output().code, 0);
    assert!(unit().contains(" watch --all"));
    let filled = env::command_of(&step).replacen("<as in the unit>", proxy, 1).replacen(
        "<as in the unit>",
        "'/bin/cat /nowhere'",
        1,
    );
    env.shell(&filled).expect(0);
    let kept = ["/bin/cat /nowhere", "irc:bob", "SSL_CERT_DIR=/a b", proxy];
    assert!(kept.iter().all(|kept| unit().contains(kept)), "{}", unit());

    // Signed with a secret that the service does not have.
    let env = TestEnv::new();
    env.login()
        .env("JWT_SECRET", "0123456789abcdef0123456789abcdef")
        .expect(0);
    let output = env.run(["watch", "--install-unit"]).expect(0).stdout;
    let why = "it cannot renew the token of alice: the secret that signed it is in no file";
    assert!(output.contains(why), "{output}");

    let env = TestEnv::new();
    let checkout = FakeCheckout::new(&env);
    let home = env.home().join("other home");
    let log_in = env.login().args(["--openclaw-home".as_ref(), home.as_os_str()]);
    log_in.env("JWT_SECRET", "0123456789abcdef0123456789abcdef").expect(0);
    let install = || {
        env.run(["watch", "--install-unit", "--openclaw-home"])
            .args([&home])
            .expect(0)
            .stdout
    };
    let output = install();
    let line = output.lines().find(|line| line.contains(why)).unwrap();
    let log_in = env::command_of(line).replace("<folder>", checkout.root.to_str().unwrap());
    env.shell(&log_in).expect(0);
    assert!(!install().contains(why));
}
