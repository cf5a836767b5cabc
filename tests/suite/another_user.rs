//! Root in another user's home (a watcher for several users, an administrator with `--openclaw-home`): what that user has
//! recorded must not have root read, write or run anything that is root's alone. With real users: only root can try.

use crate::env::api::{Api, token};
use crate::env::local_api::{FakeCheckout, JWT_SECRET};
use crate::env::watching::{Watcher, wait_until};
use crate::env::{self, Output, Run, STRANGER, TestEnv};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

const SECRET: &str = "the user's own secret, of 32 bytes and more";
const HOOK: &str = "sigilum-authz-notify";

/// A user's OpenClaw home and folder beside things of root's.
struct Users {
    env: TestEnv,
    /// Root's own owner token, for the same namespace, and its file.
    roots_token: String,
    roots_file: PathBuf,
    /// A folder of the user's.
    folder: PathBuf,
    binary: PathBuf,
}

/// `None`, and said, where nobody can be another user.
fn users() -> Option<Users> {
    if !crate::env::can_be_others() {
        return None;
    }
    let env = TestEnv::new();
    chmod(env.home(), 0o755);
    let binary = env.home().join("binary");
    env::copy_binary(&binary);
    let roots_token = token(
        "root's own secret, of 32 bytes and more",
        json!({"namespace": "alice", "sub": "root"}),
    );
    let roots_file = env.write("root/kept/alice.jwt", &roots_token);
    let users = Users {
        roots_token,
        roots_file,
        folder: env.home().join("users"),
        binary,
        env,
    };
    let now = env::now();
    // Due in oss-local, in an entry where a person wants it.
    let due = token(
        SECRET,
        json!({"namespace": "alice", "sub": "u", "email": "a@x", "iat": now - 900, "exp": now + 60}),
    );
    users.write("owner-token-alice.jwt", &due);
    users.write("jwt-secret", SECRET);
    users.write(
        "hook.json",
        json!({"namespace": "alice", "token_in_config": true}).to_string(),
    );
    users.record(json!({}));
    let vars =
        json!({"SIGILUM_NAMESPACE": "alice", "SIGILUM_MODE": "oss-local", "SIGILUM_API_URL": "http://127.0.0.1:9"});
    let entries = json!({HOOK: {"enabled": true, "env": vars}});
    users
        .env
        .write_config(json!({"hooks": {"internal": {"enabled": true, "entries": entries}}}).to_string());
    fs::create_dir(&users.folder).unwrap();
    users.give(&users.folder);
    users.give(&users.env.openclaw());
    Some(users)
}

fn chmod(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

impl Users {
    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let file = self.env.write(Path::new(".openclaw/.sigilum").join(name), text);
        chown(&file, Some(STRANGER), Some(STRANGER)).unwrap();
        file
    }

    fn record(&self, more: Value) {
        let mut record = json!({"mode": "oss-local", "api_url": "http://127.0.0.1:9", "email": "a@x"});
        record
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        self.write("owner-alice.json", record.to_string());
    }

    /// Makes all of a folder the user's.
    fn give(&self, path: &Path) {
        std::os::unix::fs::lchown(path, Some(STRANGER), Some(STRANGER)).unwrap();
        if path.is_dir() && !path.is_symlink() {
            for entry in fs::read_dir(path).unwrap() {
                self.give(&entry.unwrap().path());
            }
        }
    }

    /// Root's command for the user's home.
    fn root(&self, args: &str) -> Run {
        let run = self.env.run(args.split(' '));
        run.args(["--openclaw-home".as_ref(), self.env.openclaw().as_os_str()])
    }

    fn user(&self, args: &str) -> Run {
        let run = self.env.run_program(&self.binary, args.split(' '));
        let run = run.args(["--openclaw-home".as_ref(), self.env.openclaw().as_os_str()]);
        run.by_user(STRANGER, &[STRANGER])
    }

    fn stored(&self) -> String {
        let text = fs::read_to_string(self.env.sigilum("owner-token-alice.jwt")).unwrap();
        text.trim().to_owned()
    }

    /// Whether a text stands in any file of the user's.
    fn has_got(&self, text: &str) -> bool {
        let mut folders = vec![self.env.openclaw(), self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                let about = entry.path().symlink_metadata().unwrap();
                if about.is_dir() {
                    folders.push(entry.path());
                } else if about.is_file() && String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).contains(text) {
                    return true;
                }
            }
        }
        false
    }
}

#[test]
fn what_is_the_users_own_works_for_root_as_it_does_for_the_user() {
    for elsewhere in [false, true] {
        let Some(users) = users() else { return };
        let before = users.stored();
        if elsewhere {
            let file = users.folder.join("token.jwt");
            fs::rename(users.env.sigilum("owner-token-alice.jwt"), &file).unwrap();
            users.record(json!({"token_file": file}));
        }
        users.root("watch --once").expect(0);
        let file = match elsewhere {
            true => users.folder.join("token.jwt"),
            false => users.env.sigilum("owner-token-alice.jwt"),
        };
        let after = fs::read_to_string(&file).unwrap();
        assert_ne!(after.trim(), before);
        assert_eq!(fs::metadata(&file).unwrap().uid(), STRANGER);
        let config = fs::read_to_string(users.env.config()).unwrap();
        assert!(config.contains(after.trim()));
        for command in ["auth show", "auth status", "auth refresh --no-check --force"] {
            users.root(command).args(["--namespace", "alice"]).expect(0);
        }
        users.user("auth show --namespace alice").expect(0);
    }
}

/// W6 and its kind: paths in the record that lead to what is root's.
#[test]
fn root_follows_no_record_of_another_users_to_what_is_not_that_users() {
    type Plant = fn(&Users) -> Value;
    let plants: [(&str, Plant); 8] = [
        ("root's default token file", |users| {
            let file = "root/.openclaw/.sigilum/owner-token-alice.jwt";
            let file = users.env.write(file, &users.roots_token);
            json!({"format": 2, "token_file": file})
        }),
        ("root's token file", |users| json!({"token_file": users.roots_file})),
        ("a link to it", |users| {
            let link = users.folder.join("token.jwt");
            symlink(&users.roots_file, &link).unwrap();
            users.give(&link);
            json!({"token_file": link})
        }),
        ("a link to its folder", |users| {
            let link = users.folder.join("linked");
            symlink(users.roots_file.parent().unwrap(), &link).unwrap();
            users.give(&link);
            json!({"token_file": link.join("alice.jwt")})
        }),
        ("a link to a file that is not there yet", |users| {
            let link = users.folder.join("token.jwt");
            symlink(users.env.home().join("root/new.jwt"), &link).unwrap();
            users.give(&link);
            json!({"token_file": link})
        }),
        ("root's checkout", |users| {
            let checkout = FakeCheckout::new(&users.env);
            json!({"source_home": checkout.root})
        }),
        ("a folder of the user's with root's checkout in it", |users| {
            let checkout = FakeCheckout::new(&users.env);
            let own = users.folder.join("checkout");
            fs::create_dir(&own).unwrap();
            symlink(checkout.root.join("apps"), own.join("apps")).unwrap();
            users.give(&own);
            json!({"source_home": own})
        }),
        (
            "root's database",
            |users| json!({"api_db": users.env.write("root/api.sqlite", "")}),
        ),
    ];
    for (name, plant) in plants {
        let Some(users) = users() else { return };
        users.record(plant(&users));
        let before = users.stored();
        let told = |output: &Output, command: &str| {
            let all = format!("{}{}", output.stdout, output.stderr);
            assert!(!all.contains(&users.roots_token), "{name}, {command}: {all}");
            assert_ne!(output.code, 0, "{name}, {command}: {all}");
            let owner = format!(
                "owner runs: sigilum-authz-notify auth login --namespace alice --openclaw-home {}",
                users.env.openclaw().display()
            );
            // A checkout is looked at only where it is used, and names what is not its owner's.
            let is_told =
                all.contains(&owner) || (name.contains("checkout in it") && all.contains("belongs to another user"));
            assert!(is_told, "{name}, {command}: {all}");
        };
        told(&users.root("watch --once").output(), "watch");
        if !name.contains("checkout in it") {
            told(&users.root("auth show --namespace alice").output(), "auth show");
            told(&users.root("hook run --event command:new").output(), "hook run");
        }
        // A logout takes what is the home's own, and an uninstall too.
        users.root("auth status --namespace alice").output();
        users.root("hook uninstall --purge").output();
        assert_eq!(
            fs::read_to_string(&users.roots_file).unwrap().trim(),
            users.roots_token,
            "{name}"
        );
        assert_eq!(fs::metadata(&users.roots_file).unwrap().uid(), 0, "{name}");
        assert!(!users.env.home().join("root/new.jwt").exists(), "{name}");
        let database = users.env.home().join("root/api.sqlite");
        assert!(!database.exists() || fs::read(database).unwrap().is_empty(), "{name}");
        assert!(!users.has_got(&users.roots_token), "{name}");
        assert!(!users.has_got(JWT_SECRET), "{name}");
        let now = fs::read_to_string(users.env.sigilum("owner-token-alice.jwt"));
        assert!(
            now.is_err() || now.unwrap().trim() == before,
            "{name}: a token was signed"
        );
    }
}

#[test]
fn what_the_homes_owner_is_to_run_mends_it_for_root() {
    let Some(users) = users() else { return };
    users.record(json!({"token_file": users.roots_file}));
    let told = users.root("watch --once").output();
    let all = format!("{}{}", told.stdout, told.stderr);
    let step = all.split_once("owner runs: ").unwrap().1.lines().next().unwrap();
    let words = shell_words::split(step).unwrap();
    assert_eq!(words[0], "sigilum-authz-notify");
    let login = users.env.run_program(&users.binary, &words[1..]);
    login.by_user(STRANGER, &[STRANGER]).expect(0);
    let told = users.root("watch --once").expect(0);
    assert!(
        !format!("{}{}", told.stdout, told.stderr).contains("owner runs: "),
        "{told:#?}"
    );
}

#[test]
fn a_link_of_the_users_to_roots_config_is_that_users_to_follow() {
    let Some(users) = users() else { return };
    let roots = users.env.write("root/openclaw.json", "{}");
    chmod(roots.parent().unwrap(), 0o755);
    chmod(&roots, 0o644);
    let config = users.env.config();
    fs::remove_file(&config).unwrap();
    symlink(&roots, &config).unwrap();
    users.give(&config);
    let said = |output: Output| format!("{}{}", output.stdout, output.stderr);
    let told = said(users.root("hook status").output());
    let step = "next: run the command as the user that the link belongs to";
    assert!(told.contains("it is a link of user ") && told.contains(step), "{told}");
    let told = said(users.user("hook status").output());
    assert!(!told.contains("it is a link of user "), "{told}");
}

/// What root writes in the user's home stays in folders and files of the user's, wherever links lead.
#[test]
fn root_writes_through_no_link_of_the_users() {
    type Plant = fn(&Users) -> PathBuf;
    /// Puts a link to something of root's in a path's place, as the user does, and as root's own link that the user got
    /// hold of.
    fn link(users: &Users, path: PathBuf, target: &Path, is_roots: bool) {
        let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
        symlink(target, &path).unwrap();
        if !is_roots {
            users.give(&path);
        }
    }
    let plants: [(&str, Plant); 6] = [
        ("the config is root's link to a file of root's", |users| {
            let config = users
                .env
                .write("root/openclaw.json", fs::read(users.env.config()).unwrap());
            link(users, users.env.config(), &config, true);
            users.env.config()
        }),
        (
            "the config is a link to a file of the user's in a folder of root's",
            |users| {
                let config = users
                    .env
                    .write("root/openclaw.json", fs::read(users.env.config()).unwrap());
                users.give(&config);
                link(users, users.env.config(), &config, false);
                users.env.config()
            },
        ),
        ("the config is root's own", |users| {
            chown(users.env.config(), Some(0), Some(0)).unwrap();
            users.env.config()
        }),
        ("the hooks are root's folder", |users| {
            fs::create_dir_all(users.env.home().join("root/hooks")).unwrap();
            link(
                users,
                users.env.openclaw().join("hooks"),
                &users.env.home().join("root/hooks"),
                false,
            );
            users.env.openclaw().join("hooks")
        }),
        ("our folder is root's", |users| {
            chown(users.env.openclaw().join(".sigilum"), Some(0), Some(0)).unwrap();
            users.env.openclaw().join(".sigilum")
        }),
        ("an included file is root's", |users| {
            let hooks: Value = serde_json::from_slice(&fs::read(users.env.config()).unwrap()).unwrap();
            let file = users.env.write(
                ".openclaw/hooks.json",
                hooks["hooks"].to_string().replace("alice", "bob"),
            );
            users.env.write_config(r#"{"hooks": {"$include": "./hooks.json"}}"#);
            users.give(&users.env.config());
            file
        }),
    ];
    for (name, plant) in plants {
        let Some(users) = users() else { return };
        let path = plant(&users);
        let before = tree(&users.env.home().join("root"));
        let own = fs::read(&path).ok();
        let mut told = 0;
        for command in [
            "watch --once",
            "auth refresh --namespace alice --no-check --force --print-token false",
            "auth login --mode oss-local --namespace alice --no-check --force --print-token false",
            "hook install",
            "hook install --as plugin",
            "auth switch alice",
            "auth logout --namespace alice",
            "hook uninstall --purge",
        ] {
            let output = users.root(command).output();
            let all = output.stdout + &output.stderr;
            assert!(!all.contains(&users.roots_token), "{name}, {command}: {all}");
            assert_eq!(tree(&users.env.home().join("root")), before, "{name}, {command}: {all}");
            assert_eq!(fs::read(&path).ok(), own, "{name}, {command}: {all}");
            told +=
                usize::from(all.contains("is not that user's (number") && all.contains("next: look at where it leads"));
        }
        assert!(told >= 2, "{name}: told {told} times");
    }
}

/// A home that is swapped for a link to root's own while a command works in it.
#[test]
fn a_home_that_was_anothers_never_becomes_roots() {
    use sigilum_authz_notify::{fs as ours, home};
    let Some(users) = users() else { return };
    let env = sigilum_authz_notify::env::Env::from_pairs([("HOME", users.env.home().to_str().unwrap())]);
    let place = home::find(None, None, &env).unwrap();
    let lock = ours::lock_sigilum(&place).unwrap();
    let (path, moved) = (place.token_file("alice"), users.env.home().join("moved"));
    assert!(lock.write_private(&path, b"the user's").unwrap());
    fs::rename(&place.home, &moved).unwrap();
    users
        .env
        .write("root/.openclaw/.sigilum/owner-token-alice.jwt", "root's");
    symlink(users.env.home().join("root/.openclaw"), &place.home).unwrap();
    assert!(lock.write_private(&path, b"the user's").is_err());
    assert!(ours::lock_sigilum(&place).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "root's");
    // A file that a person names now may be anywhere.
    assert!(lock.write_private_where_named(&path, b"named").unwrap());
}

/// Every file below a folder with its bytes and owner.
fn tree(folder: &Path) -> Vec<(PathBuf, u32, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let about = path.symlink_metadata().unwrap();
        found.push((
            path.clone(),
            about.uid(),
            fs::read(&path).ok().filter(|_| about.is_file()),
        ));
        if about.is_dir() {
            found.extend(tree(&path));
        }
    }
    found.sort();
    found
}

#[test]
fn a_login_of_roots_replaces_such_a_record() {
    let Some(users) = users() else { return };
    users.record(json!({"token_file": users.roots_file}));
    users
        .root("auth login --mode oss-local --namespace alice --no-check --print-token false --force")
        .expect(0);
    assert_eq!(fs::read_to_string(&users.roots_file).unwrap().trim(), users.roots_token);
    users.user("auth show --namespace alice").expect(0);
}

#[test]
fn openclaw_is_not_run_on_another_users_home() {
    let Some(users) = users() else { return };
    let marker = users.folder.join("ran");
    let program = users.env.write(
        "bin/openclaw",
        format!("#!/bin/sh\necho ran >> '{}'\necho '{{}}'\n", marker.display()),
    );
    chmod(program.parent().unwrap(), 0o755);
    chmod(&program, 0o755);
    let path = format!(
        "{}:{}",
        program.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let output = users.root("hook status").env("PATH", &path).output();
    let told = format!("not asked; the home's owner (user number {STRANGER}) runs: openclaw hooks info {HOOK}");
    assert!(output.stdout.contains(&told), "{}", output.stdout);
    assert!(!marker.exists());
    users.user("hook status").env("PATH", &path).output();
    assert!(marker.exists(), "it is asked where it may be");
}

/// What nobody may look into is not said to be well.
#[test]
fn of_a_home_that_is_closed_its_owner_is_named_and_nothing_else_said() {
    let Some(users) = users() else { return };
    const ANOTHER: u32 = 4243;
    let home = users.env.openclaw();
    let doctor = || {
        let run = users
            .env
            .run_program(&users.binary, ["doctor"])
            .by_user(ANOTHER, &[ANOTHER]);
        run.args(["--openclaw-home".as_ref(), home.as_os_str()]).expect(1)
    };
    for (closed, path) in [("", &home), (".sigilum", &users.env.sigilum(""))] {
        chmod(&home, if closed.is_empty() { 0o700 } else { 0o755 });
        let path = path.to_str().unwrap().trim_end_matches('/');
        let told = format!(
            "fail  home  could not open the folder: {path}: Permission denied\n            \
             next: {} doctor --openclaw-home {}\n1 failed, 0 to look at\n",
            sigilum_authz_notify::fs::run_as(STRANGER),
            home.display()
        );
        assert_eq!(doctor().stdout, told);
    }
}

/// The OpenClaw gateway of one user serves, as root, the home of another.
#[test]
fn a_recorded_program_is_not_run_as_root() {
    for by_user in [true, false] {
        let Some(users) = users() else { return };
        let marker = users.folder.join("ran");
        users.record(json!({"mode": "managed"}));
        let command = format!("sh -c 'echo ran > {}'", marker.display());
        let hook = json!({"namespace": "alice", "env": {"SIGILUM_OWNER_TOKEN_COMMAND": command}});
        users.write("hook.json", hook.to_string());
        let run = match by_user {
            true => users.user("serve --stdio"),
            false => users.root("serve --stdio"),
        };
        let mut child = run
            .into_command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        writeln!(
            input,
            "{}",
            json!({"id": 1, "type": "command", "action": "new", "sessionKey": "agent:main:main"})
        )
        .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(wait_until(|| users.env.sigilum("watch-status.json").exists()), "{line}");
        assert_eq!(by_user, wait_until_or_settled(&marker, by_user));
        drop(input);
        child.wait().unwrap();
    }
}

/// Root's watcher tells nobody through a program that the user recorded; the user's own does.
#[test]
fn a_recorded_openclaw_is_not_run_as_root() {
    let Some(users) = users() else { return };
    let api = Api::start(SECRET);
    users.record(json!({"api_url": api.url(), "trust_loopback": true}));
    let life = json!({"namespace": "alice", "iat": env::now(), "exp": env::now() + 36_000});
    users.write("owner-token-alice.jwt", token(SECRET, life));
    api.add_claim("alice", json!({"claim_id": "cl_1", "service": "mail"}));
    let marker = users.folder.join("ran");
    let program = users
        .env
        .write("bin/openclaw", format!("#!/bin/sh\nid -u >> '{}'\n", marker.display()));
    chmod(program.parent().unwrap(), 0o755);
    chmod(&program, 0o755);
    users.give(program.parent().unwrap());
    users.write(
        "hook.json",
        json!({"namespace": "alice", "notify": "telegram:1", "poll_requests": 5, "openclaw": program}).to_string(),
    );
    let mut watcher = Watcher::start(users.root("watch"));
    watcher.wait_for("in another user's home no recorded program is run; that user runs: sigilum-authz-notify watch");
    assert!(
        api.seen().iter().all(|seen| !seen.line.contains("/claims?")),
        "nobody can be told"
    );
    assert_eq!(watcher.stop(), 0);
    assert!(!marker.exists());
    let mut watcher = Watcher::start(users.user("watch"));
    assert!(wait_until(|| marker.exists()));
    assert_eq!(watcher.stop(), 0);
}

/// A step that root runs as printed runs no program of the user's as root: `openclaw` is the user's to run.
#[test]
fn no_step_names_root_a_program_that_the_user_recorded() {
    let Some(users) = users() else { return };
    let program = users.env.write("bin/openclaw", "#!/bin/sh\n");
    chmod(program.parent().unwrap(), 0o755);
    chmod(&program, 0o755);
    users.give(program.parent().unwrap());
    let chosen = json!({"namespace": "alice", "openclaw": program, "deciders": ["telegram:1"]});
    users.write("hook.json", chosen.to_string());
    let home = users.env.openclaw();
    let as_owner = format!(
        "{} OPENCLAW_STATE_DIR={} openclaw ",
        sigilum_authz_notify::fs::sudo_as(STRANGER),
        home.display()
    );
    let config = fs::read_to_string(users.env.config()).unwrap();
    let off = r#""plugins": {"enabled": false"#;
    let set = config.replacen(
        '{',
        r#"{"channels": {"telegram": {}}, "plugins": {"enabled": false}, "#,
        1,
    );
    let install = "hook install --as plugin --deciders telegram:1 --senders telegram:1";
    let on = |now: &str| now.replacen(off, r#""plugins": {"enabled": true"#, 1);
    let broken = |_: &str| "{".to_owned();
    type Edit<'a> = &'a dyn Fn(&str) -> String;
    let edits: [(Edit<'_>, &str, &str); 6] = [
        (&|_| set.clone(), install, "config get channels.telegram"),
        (&str::to_owned, "doctor", "config set plugins.enabled true"),
        (
            &on,
            "hook status",
            "config set commands.ownerAllowFrom '[\"telegram:1\"]'",
        ),
        (&broken, "doctor", "config validate"),
        (&broken, install, "config validate"),
        (&broken, "hook uninstall", "config validate"),
    ];
    for (edit, args, step) in edits {
        let now = fs::read_to_string(users.env.config()).unwrap();
        users.env.write_config(edit(&now));
        users.give(&home);
        let output = users.root(args).env("PATH", "/usr/bin:/bin").output();
        let told = output.stdout + &output.stderr;
        assert!(told.contains(&format!("{as_owner}{step}")), "{args}: {told}");
        assert!(!told.contains("bin/openclaw "), "{args}: {told}");
    }
    // The user's own commands name it.
    let told = users.user("doctor").env("PATH", "/usr/bin:/bin").output().stdout;
    assert!(
        told.contains(&format!("{} config validate", program.display())),
        "{told}"
    );
}

/// What a list of installed files names lies in the hook's folder, and copies in ours: nothing else is moved.
#[test]
fn a_list_of_installed_files_moves_nothing_elsewhere() {
    let Some(users) = users() else { return };
    users.user("hook install --token-in-config false").expect(0);
    let roots = users.env.write("roots/key", "root's");
    let elsewhere = roots.parent().unwrap().join("taken");
    let list = users.env.sigilum("installed.json");
    let good: Value = serde_json::from_slice(&fs::read(&list).unwrap()).unwrap();
    let kept = users.write("replaced/hook/p", "planted");
    users.give(&users.env.sigilum("replaced"));
    for (name, copy, made) in [
        (elsewhere.to_str().unwrap(), ".sigilum/replaced/hook/p", None),
        ("../../../roots/taken", ".sigilum/replaced/hook/p", None),
        ("handler.ts", roots.to_str().unwrap(), None),
        ("handler.ts", "../roots/key", None),
        ("handler.ts", ".sigilum/replaced/hook/../../../../roots/key", None),
        ("handler.ts", ".sigilum/replaced/p", None),
        ("handler.ts", ".sigilum/replaced/hook/p", Some("../roots")),
        ("handler.ts", ".sigilum/replaced/hook/p", Some("/roots")),
    ] {
        let mut bad = good.clone();
        bad["hook"]["aside"] = json!({name: copy});
        if let Some(made) = made {
            bad["hook"]["made"] = json!([made]);
        }
        users.write("installed.json", bad.to_string());
        for command in ["hook uninstall", "hook uninstall --force", "hook install --force"] {
            let output = users.root(command).output();
            assert_eq!(output.code, 1, "{name} {copy}: {}{}", output.stdout, output.stderr);
            assert!(
                output.stderr.contains("it names what no install of ours does"),
                "{}",
                output.stderr
            );
        }
        assert_eq!(fs::read_to_string(&roots).unwrap(), "root's");
        assert!(!elsewhere.exists() && kept.exists());
    }
    users.write("installed.json", good.to_string());
    // Nor through a link where the copies are kept.
    fs::remove_dir_all(users.env.sigilum("replaced")).unwrap();
    symlink(roots.parent().unwrap(), users.env.sigilum("replaced")).unwrap();
    users
        .env
        .write(".openclaw/hooks/sigilum-authz-notify/handler.ts", "theirs");
    users.give(&users.env.openclaw().join("hooks"));
    for run in [
        users.root("hook install --force"),
        users.user("hook install --force"),
        users.user("hook uninstall"),
    ] {
        let output = run.output();
        assert_ne!(output.code, 0, "{}", output.stdout);
    }
    assert_eq!(fs::read_dir(roots.parent().unwrap()).unwrap().count(), 1);
}

/// Whether the program runs: the status is written after the look at which it is asked.
fn wait_until_or_settled(marker: &Path, wanted: bool) -> bool {
    match wanted {
        true => wait_until(|| marker.exists()),
        false => {
            std::thread::sleep(std::time::Duration::from_millis(400));
            marker.exists()
        }
    }
}

/// Where the API itself is the user's, root's questions go there as the user's do.
#[test]
fn a_token_of_the_users_goes_to_the_recorded_api_alone() {
    let Some(users) = users() else { return };
    let api = Api::start(SECRET);
    users.record(json!({"mode": "managed", "api_url": api.url(), "token_file": users.roots_file}));
    users.root("hook run --event command:new").output();
    assert!(
        api.seen()
            .iter()
            .all(|seen| !format!("{seen:?}").contains(&users.roots_token))
    );
}

/// What another user's record says of a gateway is nothing to root: it is that user who trusts it and runs the command.
#[test]
fn a_gateway_of_another_users_is_that_users_to_trust_and_to_ask() {
    let Some(users) = users() else { return };
    let gateway = crate::env::gateway::Gateway::on(env::listener_of(env::BROKER, "127.0.0.1:0").unwrap());
    let url = gateway.url();
    let database = users.env.sigilum("local-api.sqlite");
    users
        .user("auth login --mode oss-local --namespace alice --force --trust-loopback")
        .expect(0);
    assert!(database.exists());
    let list = ["--gateway-admin-url", &url];
    let add = "service add linear --mode gateway --upstream-base-url https://api.linear.app --namespace alice";
    let told = users.root(add).args(list).expect(6);
    assert_eq!(gateway.seen().len(), 0);
    let user = sigilum_authz_notify::fs::sudo_as(STRANGER);
    let log_in = format!(
        ": {user} sigilum-authz-notify auth login --mode oss-local --namespace alice --trust-loopback --openclaw-home {}; ",
        users.env.openclaw().display()
    );
    assert!(told.step().contains(&log_in), "{}", told.stderr);
    assert!(
        told.step().contains(&format!("; and run this command with {user} too")),
        "{}",
        told.stderr
    );
    // The user does not trust it any more.
    users.record(json!({}));
    users.user(add).args(list).expect(6);
    users.env.write("bin/sudo", SUDO);
    chmod(users.env.home().join("bin/sudo"), 0o755);
    let ours = users.env.home().join("ours/sigilum-authz-notify");
    fs::create_dir(ours.parent().unwrap()).unwrap();
    env::copy_binary(&ours);
    let path = format!(
        "{}:{}:/usr/bin:/bin",
        ours.parent().unwrap().display(),
        users.env.home().join("bin").display()
    );
    users.env.carry_out(&told).env("PATH", path).expect(0);
    users.user(add).args(list).expect(0);
    assert!(!gateway.seen().is_empty());
}

const SUDO: &str = "#!/bin/sh\nshift 2\nexec setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"\n";
