//! In which folders we write, with real users and groups: as root, by setpriv.

use crate::env::{self, Output, Run, TestEnv, mode};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Only root can be other users.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn chmod(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A person's home folder with an OpenClaw home in it, that belong to these.
struct Home {
    env: TestEnv,
    user: u32,
    groups: Vec<u32>,
    /// The build's own folder may be closed to others.
    binary: PathBuf,
}

/// They write nothing that would matter to anybody, and refuse no folder.
const READERS: [&[&str]; 6] = [
    &["auth", "status", "--namespace", "alice"],
    &["auth", "show", "--namespace", "alice"],
    &["hook", "status"],
    &["hook", "run", "--event", "command:new"],
    &["authz", "log"],
    &["service", "list", "--namespace", "alice"],
];

impl Home {
    /// `user` in `groups`; `folder`: to whom `~/.openclaw` belongs, and its mode.
    fn new(user: u32, groups: &[u32], folder: (u32, u32, u32)) -> Self {
        let env = TestEnv::new();
        let binary = env.home().join("binary");
        env::copy_binary(&binary);
        chmod(env.home(), 0o755);
        let (uid, gid, mode) = folder;
        fs::create_dir(env.openclaw()).unwrap();
        chown(env.openclaw(), Some(uid), Some(gid)).unwrap();
        chmod(env.openclaw(), mode);
        let groups = groups.to_vec();
        Self {
            env,
            user,
            groups,
            binary,
        }
    }

    fn run(&self, args: &[&str]) -> Run {
        let run = self.env.run_program(&self.binary, args);
        run.by_user(self.user, &self.groups)
    }

    fn login(&self) -> Run {
        let login = self.env.login_by(&self.binary).by_user(self.user, &self.groups);
        login.args(["--enable-authz-notify", "true"])
    }

    /// A login, an install and a status, each of which works.
    #[track_caller]
    fn works(&self) {
        self.login().expect(0);
        self.run(&["hook", "install"]).expect(0);
        self.status().expect(0);
        let token = self.env.sigilum("owner-token-alice.jwt");
        assert_eq!(mode(&token), 0o600);
        assert_eq!(fs::metadata(token).unwrap().uid(), self.user);
        assert!(
            self.env
                .openclaw()
                .join("hooks/sigilum-authz-notify/handler.js")
                .exists()
        );
    }

    fn status(&self) -> Run {
        self.run(&["auth", "status", "--namespace", "alice"])
    }
}

#[test]
fn a_volume_that_a_kubelet_gave_to_the_pods_group() {
    if !is_root() {
        return;
    }
    let home = Home::new(1000, &[1000], (0, 1000, 0o2775));
    // As an init container leaves it.
    std::fs::write(home.env.config(), "{}").unwrap();
    chown(home.env.config(), Some(0), Some(1000)).unwrap();
    chmod(home.env.config(), 0o660);
    home.works();
    let config = fs::metadata(home.env.config()).unwrap();
    assert_eq!((config.uid(), config.gid()), (1000, 1000));
    give_to_group(&home);
    home.status().expect(0);
    home.run(&["auth", "show", "--namespace", "alice"]).expect(0);
    home.works();
    for name in [
        "owner-token-alice.jwt",
        "owner-alice.json",
        "jwt-secret",
        "undo.json",
        "installed.json",
        "lock",
    ] {
        assert_eq!(mode(home.env.sigilum(name)), 0o600, "{name}");
    }
}

/// What a kubelet does at the start of a pod.
fn give_to_group(home: &Home) {
    for path in tree(&home.env.openclaw()) {
        let meta = fs::metadata(&path).unwrap();
        chown(&path, None, Some(1000)).unwrap();
        chmod(&path, meta.mode() & 0o7777 | if meta.is_dir() { 0o2070 } else { 0o060 });
    }
}

#[test]
fn a_fix_does_what_this_user_may_do_and_shows_what_is_left() {
    if !is_root() {
        return;
    }
    // What a volume, made by root, keeps open to the pod's group is as it should be.
    for (ours, left) in [
        (0o2770, None),
        (0o2775, Some("others may look into our folder (mode 0775)")),
    ] {
        let home = Home::new(1000, &[1000], (0, 1000, 0o755));
        home.env.login().expect(0);
        give_to_group(&home);
        chmod(home.env.sigilum(""), ours);
        home.run(&["auth", "refresh"]).expect(0);
        let token = home.env.sigilum("owner-token-alice.jwt");
        chmod(&token, 0o644);
        let fixed = home.run(&["doctor", "--fix"]).output();
        assert_eq!(mode(&token), 0o600, "{}{}", fixed.stdout, fixed.stderr);
        let told = format!("fixed made private: {}\n", token.display());
        assert!(fixed.stdout.contains(&told), "{}{}", fixed.stdout, fixed.stderr);
        assert!(!fixed.stdout.contains("chmod"), "{}", fixed.stdout);
        let whose = format!(
            "next: ls -ld {}; only root may change its mode\n",
            home.env.sigilum("").display()
        );
        let whose = whose.replace("/; only", "; only");
        assert_eq!(fixed.stdout.contains(&whose), left.is_some(), "{}", fixed.stdout);
        assert!(left.is_none_or(|left| fixed.stdout.contains(left)), "{}", fixed.stdout);
        let status = home.run(&["hook", "status"]).output().stdout;
        assert!(!status.contains("chmod"), "{status}");
    }
    // A home that everybody may write to: nothing is written there, and what is there is closed.
    let home = Home::new(1000, &[1000], (1000, 1000, 0o755));
    home.login().expect(0);
    let token = home.env.sigilum("owner-token-alice.jwt");
    chmod(&token, 0o644);
    chmod(home.env.openclaw(), 0o777);
    let fixed = home.run(&["doctor", "--fix"]).expect(1);
    assert_eq!(mode(&token), 0o600);
    let told = format!("fixed made private: {}\n", token.display());
    assert!(fixed.stdout.contains(&told), "{}", fixed.stdout);
    let next = format!("next: chmod o-w {}\n", home.env.openclaw().display());
    assert_eq!(fixed.stdout.matches(&next).count(), 1, "{}", fixed.stdout);
}

#[test]
fn a_random_user_in_group_0() {
    if !is_root() {
        return;
    }
    // As an image makes it, and as OpenShift runs it.
    let home = Home::new(1_000_650_000, &[0], (4242, 0, 0o775));
    chown(home.env.home(), Some(4242), Some(0)).unwrap();
    chmod(home.env.home(), 0o775);
    home.works();
    // With the image's own config in it, made as `chmod -R g=u` makes it.
    let home = Home::new(1_000_650_000, &[0], (4242, 0, 0o775));
    std::fs::write(home.env.config(), "{}").unwrap();
    chown(home.env.config(), Some(4242), Some(0)).unwrap();
    chmod(home.env.config(), 0o664);
    let login = home.run(&["auth", "login", "--mode", "oss-local", "--namespace", "alice"]);
    login.args(["--print-token", "false"]).expect(0);
    home.run(&["hook", "install"]).expect(0);
    let config = fs::metadata(home.env.config()).unwrap();
    assert_eq!((config.uid(), config.gid()), (1_000_650_000, 0));
    assert_eq!(mode(home.env.config()), 0o664);
    assert!(
        std::fs::read_to_string(home.env.config())
            .unwrap()
            .contains("sigilum-authz-notify")
    );
}

#[test]
fn a_group_of_ones_own() {
    let Some((_, uid, gid)) = is_root().then(account).flatten() else {
        return;
    };
    let home = Home::new(uid, &[gid], (uid, gid, 0o775));
    chown(home.env.home(), Some(uid), Some(gid)).unwrap();
    chmod(home.env.home(), 0o775);
    home.works();
    // Root in that home trusts whom its owner trusts.
    home.env.login().expect(0);
}

#[test]
fn a_group_with_somebody_else_in_it_is_refused_with_a_way_out_that_is_one() {
    let Some((name, member, gid)) = is_root().then(account).flatten() else {
        return;
    };
    const ME: u32 = 4242;
    assert_ne!(member, ME);
    for (owner, group) in [(ME, &[ME, gid]), (0, &[gid, ME])] {
        let home = Home::new(ME, group, (owner, gid, 0o2775));
        let refused = home.login().expect(1);
        let folder = home.env.openclaw();
        let says = format!("others may write to {} (mode 2775)", folder.display());
        assert!(refused.stderr.contains(&says), "{name}: {}", refused.stderr);
        assert!(!home.env.sigilum("lock").exists());
        // Who reads only is not kept from it.
        assert!(home.status().expect(4).stdout.contains("missing"));
        if owner == ME {
            shell(&home, next(&refused));
            home.works();
        } else {
            let next = next(&refused);
            assert!(
                !next.contains("chmod") && next.contains("export SIGILUM_TRUST_HOME=1"),
                "{next}"
            );
            home.login().env("SIGILUM_TRUST_HOME", "1").expect(0);
            home.status().expect(0);
            home.login().expect(1);
        }
    }
}

#[test]
fn a_folder_that_everybody_may_write_to() {
    if !is_root() {
        return;
    }
    const ME: u32 = 4242;
    let home = Home::new(ME, &[ME], (ME, ME, 0o1777));
    home.works();
    chmod(home.env.openclaw(), 0o777);
    let refused = home.login().expect(1);
    // A status is one of what it found.
    for command in READERS.into_iter().filter(|words| *words != ["hook", "status"]) {
        home.run(command).expect(0);
    }
    // It asked, and nobody was there.
    home.run(&["authz", "list"]).expect(6);
    home.run(&["auth", "logout", "--namespace", "alice"]).expect(1);
    home.run(&["hook", "uninstall"]).expect(1);
    assert_eq!(mode(home.env.openclaw()), 0o777);
    shell(&home, next(&refused));
    assert_eq!(mode(home.env.openclaw()), 0o775);
    home.works();
}

/// What a link leads to may not be seen: then it is the link that is in the way.
#[test]
fn a_config_that_links_into_a_closed_folder() {
    if !is_root() {
        return;
    }
    const ME: u32 = 4242;
    let home = Home::new(ME, &[ME], (ME, ME, 0o700));
    let closed = home.env.home().join("closed");
    fs::create_dir(&closed).unwrap();
    chmod(&closed, 0o700);
    let target = closed.join("nothing.json");
    std::os::unix::fs::symlink(&target, home.env.config()).unwrap();
    let refused = home.login().expect(3);
    let says = format!("next: it is a symbolic link to {}, ", target.display());
    assert!(refused.stderr.contains(&says), "{}", refused.stderr);
    shell(&home, next(&refused).rsplit(": ").next().unwrap());
    home.works();
}

/// A refusal changes nothing: no folder of ours is left in a home that everybody may write to, nor a home in such a
/// folder.
#[test]
fn a_refused_command_leaves_nothing_in_an_open_folder() {
    let commands: [&[&str]; 3] = [
        &["auth", "login", "--mode", "oss-local", "--namespace", "alice"],
        &["hook", "install"],
        &["hook", "install", "--as", "plugin"],
    ];
    for home_exists in [true, false] {
        let env = TestEnv::new();
        let open = match home_exists {
            true => env.openclaw(),
            false => env.home().join("open"),
        };
        fs::create_dir(&open).unwrap();
        chmod(&open, 0o777);
        let home = if home_exists { open.clone() } else { open.join("home") };
        for command in commands {
            let run = env.run(command).args(["--openclaw-home".as_ref(), home.as_os_str()]);
            let refused = run.expect(1);
            assert!(
                refused.stderr.contains("others could replace files in it"),
                "{}",
                refused.stderr
            );
            let step = next(&refused);
            assert!(
                step.starts_with("chmod ") && step.ends_with(&format!("-w {}", open.display())),
                "{step}"
            );
            assert_eq!(tree(&open).len(), 1, "{command:?}");
        }
    }
}

/// What keeps a person out of his own home is no other user: `chmod` lets him in again, and then the command works.
#[test]
fn a_mode_of_ones_own_is_named() {
    if !is_root() {
        return;
    }
    const ME: u32 = 4242;
    let closed: [(&str, u32, &str); 6] = [
        ("", 0o500, "u+w"),
        (".sigilum", 0o500, "u+w"),
        (".sigilum", 0o600, "u+x"),
        (".sigilum/owner-token-alice.jwt", 0o000, "u+r"),
        (".sigilum/lock", 0o000, "u+rw"),
        ("openclaw.json", 0o000, "u+r"),
    ];
    for (path, mode, bits) in closed {
        let home = Home::new(ME, &[ME], (ME, ME, 0o700));
        if !path.is_empty() {
            home.works();
        }
        let path = home.env.openclaw().join(path);
        let path = Path::new(path.to_str().unwrap().trim_end_matches('/'));
        chmod(path, mode);
        let step = format!("chmod {bits} {}", path.display());
        let refused = match path.ends_with("owner-token-alice.jwt") {
            true => home.run(&["auth", "show", "--namespace", "alice"]).output(),
            false => home.login().output(),
        };
        assert_ne!(refused.code, 0);
        assert_eq!(next(&refused), step, "{}", refused.stderr);
        shell(&home, &step);
        home.works();
    }
}

#[test]
fn a_home_that_cannot_be_written_to_is_looked_at_all_the_same() {
    if !is_root() {
        return;
    }
    const ME: u32 = 4242;
    let home = Home::new(ME, &[ME], (ME, ME, 0o700));
    home.works();
    let folders: Vec<PathBuf> = tree(&home.env.openclaw())
        .into_iter()
        .filter(|path| path.is_dir())
        .collect();
    let before = tree(&home.env.openclaw());
    folders.iter().for_each(|folder| chmod(folder, 0o500));
    let told = home.run(&["doctor"]).output();
    assert_eq!((told.code, told.stderr.as_str()), (0, ""), "{}", told.stdout);
    let ours = home.env.sigilum("").display().to_string();
    let ours = ours.trim_end_matches('/');
    for text in [
        "ok    token ".to_owned(),
        format!("warn  home         could not write to the folder: {ours}: Permission denied\n"),
        format!(" next: chmod u+w {ours}\n"),
    ] {
        assert!(told.stdout.contains(&text), "{text}: {}", told.stdout);
    }
    for command in READERS {
        home.run(command).expect(0);
    }
    home.run(&["authz", "list"]).expect(6);
    assert_eq!(tree(&home.env.openclaw()), before);
    folders.iter().for_each(|folder| chmod(folder, 0o700));
}

/// A file is not believed for the folder's sake.
#[test]
fn a_file_that_others_may_write_to_is_not_believed_and_not_mended() {
    if !is_root() {
        return;
    }
    const ME: u32 = 4242;
    let home = Home::new(ME, &[ME], (ME, ME, 0o755));
    home.works();
    let record = home.env.sigilum("owner-alice.json");
    chmod(&record, 0o666);
    for _ in 0..2 {
        let output = home.run(&["auth", "show", "--namespace", "alice"]).expect(1);
        assert!(
            output.stderr.contains("others may write to it (mode 0666)"),
            "{}",
            output.stderr
        );
        home.run(&["hook", "install"]).output();
        assert_eq!(mode(&record), 0o666);
    }
    // To sign a token for what a stranger named, or for nobody, is no way out either.
    let refused = home.run(&["auth", "refresh", "--namespace", "alice"]).expect(1);
    let step = format!("look at it, then make it anew: rm {}", record.display());
    for text in [
        "others may write to it (mode 0666)",
        &step,
        " && sigilum-authz-notify auth login --mode oss-local",
    ] {
        assert!(refused.stderr.contains(text), "{text}: {}", refused.stderr);
    }
    let login = home.login().expect(0);
    let told = format!(
        "{}: others may write to it (mode 0666); nothing that stands in it counts",
        record.display()
    );
    assert!(login.stderr.contains(&told), "{}", login.stderr);
    assert!(!home.login().expect(0).stderr.contains("counts"));
    assert_eq!(mode(&record), 0o600);
    home.status().expect(0);
}

/// An account that has a group of its own: its name, user and group.
fn account() -> Option<(String, u32, u32)> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let users: Vec<(String, u32, u32)> = passwd
        .lines()
        .filter_map(|line| {
            let fields: Vec<_> = line.split(':').collect();
            Some((
                fields[0].to_owned(),
                fields.get(2)?.parse().ok()?,
                fields.get(3)?.parse().ok()?,
            ))
        })
        .collect();
    let groups = fs::read_to_string("/etc/group").ok()?;
    let listed = |gid: u32| {
        groups
            .lines()
            .any(|line| line.split(':').nth(2) == Some(&gid.to_string()) && !line.ends_with(':'))
    };
    let own = users.iter().find(|(_, uid, gid)| {
        let only = users.iter().filter(|(_, _, other)| other == gid).count() == 1;
        *uid != 0 && *gid != 0 && *uid < 60_000 && only && !listed(*gid)
    });
    own.cloned()
}

/// What a refusal says is next.
#[track_caller]
fn next(output: &Output) -> &str {
    output.stderr.split_once("next: ").unwrap().1.trim_end()
}

/// Runs what a refusal said, as the person.
#[track_caller]
fn shell(home: &Home, line: &str) {
    let line = home.env.run_program("sh".as_ref(), ["-c", line]);
    line.by_user(home.user, &home.groups).expect(0);
}

fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(tree(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn where_no_home_can_be_made_nobody_is_named_to_whom_it_belongs() {
    if !env::can_be_others() {
        return;
    }
    let env = TestEnv::new();
    chmod(env.home(), 0o755);
    let binary = env.home().join("program");
    env::copy_binary(&binary);
    chmod(&binary, 0o755);
    let none = env.home().join("none");
    let login = env
        .login_by(&binary)
        .args(["--openclaw-home".as_ref(), none.as_os_str()]);
    let told = login.by_user(env::STRANGER, &[env::STRANGER]).expect(1).stderr;
    let step = "  next: name the OpenClaw home that is there, with --openclaw-home <folder>; or set HOME to a folder of yours\n";
    assert!(told.ends_with(step), "{told}");
    // It is the variable that names the home which is set anew.
    for name in ["OPENCLAW_HOME", "OPENCLAW_STATE_DIR"] {
        let login = env.login_by(&binary).env(name, &none);
        let told = login.by_user(env::STRANGER, &[env::STRANGER]).expect(1).stderr;
        let step = step.replace("set HOME", &format!("set {name}"));
        assert!(told.ends_with(&step), "{told}");
        let own = env.home().join(format!("own {name}"));
        std::fs::create_dir(&own).unwrap();
        std::os::unix::fs::chown(&own, Some(env::STRANGER), Some(env::STRANGER)).unwrap();
        let login = env.login_by(&binary).env(name, &own);
        login.by_user(env::STRANGER, &[env::STRANGER]).expect(0);
    }
    let told = env.run(["watch", "--once"]).expect(1).stderr;
    assert!(
        told.contains("  next: openclaw onboard; or name the one that is there"),
        "{told}"
    );
}
