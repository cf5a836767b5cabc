//! `auth login --dry-run` names what a real run then makes and changes, and nothing else.

use crate::env::local_api::FakeCheckout;
use crate::env::watching::managed_token;
use crate::env::{Run, TestEnv};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const LOCAL: &[&str] = &["--mode", "oss-local", "--namespace", "alice"];

/// Every path below a folder, and what a file holds.
fn tree(folder: &Path, into: &mut BTreeMap<PathBuf, Option<Vec<u8>>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_folder = path.is_dir();
        if is_folder {
            tree(&path, into);
        }
        let bytes = (!is_folder).then(|| std::fs::read(&path).unwrap());
        into.insert(path, bytes);
    }
}

fn taken(env: &TestEnv) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut all = BTreeMap::new();
    tree(env.home(), &mut all);
    all
}

/// The paths behind these words, of all lines.
fn named(plan: &str, words: &[&str]) -> BTreeSet<PathBuf> {
    let path = |line: &str| {
        words.iter().find_map(|word| {
            let (_, path) = line.split_once(word)?;
            Some(PathBuf::from(path))
        })
    };
    plan.lines().filter_map(path).collect()
}

struct Case {
    name: &'static str,
    set_up: fn(&TestEnv),
    flags: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
    stdin: fn() -> Vec<u8>,
    /// What else the plan says.
    says: &'static str,
}

const CASE: Case = Case {
    name: "",
    set_up: |_| {},
    flags: LOCAL,
    env: &[],
    stdin: Vec::new,
    says: "",
};

fn login(env: &TestEnv, case: &Case) -> Run {
    let run = env.run(["auth", "login", "--print-token", "false"]).args(case.flags);
    let run = case.env.iter().fold(run, |run, (name, value)| run.env(name, value));
    run.stdin((case.stdin)())
}

fn logged_in(env: &TestEnv) {
    env.run(["auth", "login", "--print-token", "false", "--ttl-seconds", "100"])
        .args(LOCAL)
        .args(["--enable-authz-notify", "true"])
        .expect(0);
}

fn cases() -> Vec<Case> {
    const FILE_ALONE: &str = "the token would stand in the token file alone";
    const BOTH: &str = "the token would stand in the token file and in openclaw.json";
    const ON: &[&str] = &[
        "--mode",
        "oss-local",
        "--namespace",
        "alice",
        "--enable-authz-notify",
        "true",
    ];
    vec![
        Case {
            name: "plain",
            says: "the hook is off and holds no token; to switch it on: sigilum-authz-notify hook install",
            ..CASE
        },
        Case {
            name: "beside the plugin",
            set_up: |env| drop(env.run(["hook", "install", "--as", "plugin"]).expect(0)),
            says: "the plugin is on, and reads the token's file",
            ..CASE
        },
        Case {
            name: "a secret that nobody keeps",
            env: &[("JWT_SECRET", "0123456789abcdef0123456789abcdef")],
            says: "Renewal:       none: nobody keeps the secret (from JWT_SECRET), so nothing would renew this token",
            ..CASE
        },
        Case {
            name: "switched on",
            flags: ON,
            says: BOTH,
            ..CASE
        },
        Case {
            name: "into a config",
            set_up: |env| drop(env.write_config("{\n  // mine\n  gateway: {mode: 'local'},\n}\n")),
            flags: ON,
            says: BOTH,
            ..CASE
        },
        Case {
            name: "Nix mode",
            set_up: |env| drop(env.write_config("{}")),
            flags: ON,
            env: &[("OPENCLAW_NIX_MODE", "1")],
            says: FILE_ALONE,
            ..CASE
        },
        Case {
            name: "read-only, no home",
            flags: ON,
            env: &[("OPENCLAW_CONFIG_READONLY", "1")],
            says: "openclaw.json: not written, OPENCLAW_CONFIG_READONLY",
            ..CASE
        },
        Case {
            name: "read-only, a second login",
            set_up: logged_in,
            env: &[("OPENCLAW_CONFIG_READONLY", "1")],
            ..CASE
        },
        Case {
            name: "a second namespace",
            set_up: logged_in,
            flags: &["--mode", "oss-local", "--namespace", "bob"],
            says: "Hook:          would speak for bob, no longer for alice",
            ..CASE
        },
        Case {
            name: "an include",
            set_up: |env| {
                env.write_config("{hooks: {$include: './part.json'}, gateway: {mode: 'local'}}");
                env.write(env.openclaw().join("part.json"), "{internal: {entries: {}}}");
            },
            flags: ON,
            ..CASE
        },
        Case {
            name: "the token in its file alone",
            flags: &[
                "--mode",
                "oss-local",
                "--namespace",
                "alice",
                "--enable-authz-notify",
                "true",
                "--token-in-config",
                "false",
            ],
            says: FILE_ALONE,
            ..CASE
        },
        Case {
            name: "a second login",
            set_up: logged_in,
            says: BOTH,
            ..CASE
        },
        Case {
            name: "a second login, the token out of the config",
            set_up: logged_in,
            flags: &[
                "--mode",
                "oss-local",
                "--namespace",
                "alice",
                "--token-in-config",
                "false",
            ],
            says: FILE_ALONE,
            ..CASE
        },
        Case {
            name: "another namespace",
            set_up: logged_in,
            flags: &["--mode", "oss-local", "--namespace", "bobby"],
            ..CASE
        },
        Case {
            name: "the config left alone",
            flags: &[
                "--mode",
                "oss-local",
                "--namespace",
                "alice",
                "--write-openclaw",
                "false",
            ],
            says: "openclaw.json: left alone, --write-openclaw is false",
            ..CASE
        },
        Case {
            name: "a token file elsewhere",
            flags: &[
                "--mode",
                "oss-local",
                "--namespace",
                "alice",
                "--token-file",
                "tokens/deep/alice.jwt",
            ],
            ..CASE
        },
        Case {
            name: "a config elsewhere",
            flags: &[
                "--mode",
                "oss-local",
                "--namespace",
                "alice",
                "--config",
                "configs/open.json",
            ],
            ..CASE
        },
        Case {
            name: "a checkout",
            set_up: |env| drop(FakeCheckout::new(env)),
            flags: &[
                "--mode",
                "oss-local",
                "--namespace",
                "alice",
                "--source-home",
                "sigilum",
            ],
            ..CASE
        },
        Case {
            name: "a checkout, a second login",
            set_up: |env| {
                FakeCheckout::new(env);
                env.run(["auth", "login", "--print-token", "false", "--ttl-seconds", "100"])
                    .args(LOCAL)
                    .args(["--source-home", "sigilum"])
                    .cwd(env.home())
                    .expect(0);
            },
            ..CASE
        },
        Case {
            name: "a token of the hosted Sigilum",
            flags: &["--owner-token-stdin", "--no-check"],
            stdin: || managed_token("alice", 5_000).into(),
            ..CASE
        },
        Case {
            name: "the same token again",
            set_up: |env| {
                let token = managed_token("alice", 5_000);
                std::fs::write(env.home().join("token"), &token).unwrap();
                env.log_in_with(&token);
            },
            flags: &["--owner-token-stdin", "--no-check"],
            says: "Token file:    unchanged: ",
            ..CASE
        },
    ]
}

#[test]
fn a_dry_run_names_exactly_what_the_login_then_makes_and_changes() {
    let mut faults = Vec::new();
    for case in cases() {
        let env = TestEnv::new();
        (case.set_up)(&env);
        let token = std::fs::read(env.home().join("token"));
        let run = || {
            let run = login(&env, &case).cwd(env.home());
            match &token {
                Ok(token) => run.stdin(token.clone()),
                Err(_) => run,
            }
        };
        let before = taken(&env);
        let plan = run().args(["--dry-run"]).expect(0).stdout;
        assert_eq!(taken(&env), before, "{}", case.name);
        run().expect(0);
        let after = taken(&env);
        let is_other = |path: &PathBuf| before.get(path) != after.get(path);
        let is_new = |path: &PathBuf| !before.contains_key(path);
        let all: BTreeSet<PathBuf> = before.keys().chain(after.keys()).cloned().collect();
        let other: BTreeSet<PathBuf> = all.into_iter().filter(is_other).collect();
        let made: BTreeSet<PathBuf> = other.iter().filter(|path| is_new(path)).cloned().collect();
        let changed: BTreeSet<PathBuf> = other.difference(&made).cloned().collect();
        for (what, are, told) in [
            ("made", &made, named(&plan, &["would make "])),
            ("changed", &changed, named(&plan, &["would change "])),
        ] {
            let missing: Vec<_> = are.difference(&told).collect();
            let wrong: Vec<_> = told.difference(are).collect();
            if !missing.is_empty() || !wrong.is_empty() {
                faults.push(format!(
                    "{}: {what}, and not told: {missing:?}; told, and not {what}: {wrong:?}",
                    case.name
                ));
            }
        }
        for same in named(&plan, &["unchanged: ", "nothing to change in "]) {
            if other.contains(&same) {
                faults.push(format!("{}: told as unchanged: {}", case.name, same.display()));
            }
        }
        if !plan.contains(case.says) {
            faults.push(format!("{}: does not say {:?}:\n{plan}", case.name, case.says));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_dry_run_is_refused_what_the_login_is_refused() {
    type SetUp = fn(&TestEnv);
    let open: SetUp = |env| {
        std::fs::create_dir(env.openclaw()).unwrap();
        std::fs::set_permissions(env.openclaw(), std::fs::Permissions::from_mode(0o777)).unwrap();
    };
    let shut: SetUp = |env| {
        std::fs::create_dir(env.openclaw()).unwrap();
        std::fs::set_permissions(env.openclaw(), std::fs::Permissions::from_mode(0o555)).unwrap();
    };
    let elsewhere: SetUp = |env| {
        std::fs::create_dir(env.home().join("open")).unwrap();
        std::fs::set_permissions(env.home().join("open"), std::fs::Permissions::from_mode(0o777)).unwrap();
    };
    for (what, set_up, flags) in [
        ("a home that is everybody's", open, &[][..]),
        ("a home that is only read", shut, &[]),
        (
            "a token file in a folder of everybody's",
            elsewhere,
            &["--token-file", "open/token"],
        ),
    ] {
        // The modes of a folder do not keep root out.
        if what.ends_with("read") && rustix::process::geteuid().is_root() {
            continue;
        }
        let env = TestEnv::new();
        set_up(&env);
        let run = || env.run(["auth", "login"]).args(LOCAL).args(flags).cwd(env.home());
        let dry = run().args(["--dry-run"]).expect(1);
        let real = run().expect(1);
        assert_eq!(dry.stderr, real.stderr, "{what}");
        assert_eq!(dry.stdout, "", "{what}");
    }
}
