//! Three users on one machine: root, the OpenClaw gateway's user with a home, and a broker's user with a folder.

use super::watching::CONFIG;
use super::{BROKER, Output, Run, STRANGER, TestEnv, command_of, copy_binary};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Their folders. The OpenClaw home is [`TestEnv::openclaw`].
pub struct ThreeUsers {
    pub env: TestEnv,
    /// The broker's folder.
    pub state: PathBuf,
    /// A copy of the binary that all of them can run.
    pub binary: PathBuf,
    /// Where it is: no program may be run where memory is shared on some machines, where the experiments' homes are.
    _folder: tempfile::TempDir,
}

impl ThreeUsers {
    /// `None`, and said, where nobody can be another user.
    pub fn new() -> Option<Self> {
        if !crate::env::can_be_others() {
            return None;
        }
        let env = TestEnv::new();
        chmod(env.home(), 0o755);
        let folder = tempfile::tempdir_in(std::env::temp_dir()).unwrap();
        chmod(folder.path(), 0o755);
        let binary = folder.path().join("sigilum-authz-notify");
        copy_binary(&binary);
        let state = env.home().join("state");
        std::fs::create_dir(&state).unwrap();
        chmod(&state, 0o700);
        give(&state, BROKER);
        Some(Self {
            env,
            state,
            binary,
            _folder: folder,
        })
    }

    /// A login of the hosted Sigilum with this token, which goes into openclaw.json too; root's so far.
    pub fn log_in_managed(&self, token: &str, api: &str) {
        let config = CONFIG.replace("http://127.0.0.1:8787", api);
        self.env.write_config(config.replace("oss-local", "managed"));
        let login = "auth login --mode managed --namespace alice --print-token false --owner-token-stdin --no-check";
        let run = self.env.run(login.split(' ')).args(["--api-url", api]);
        run.stdin(token).expect(0);
    }

    /// Makes the OpenClaw home its user's.
    pub fn give_home(&self) {
        give(&self.env.openclaw(), STRANGER);
    }

    /// A file of the broker's.
    pub fn kept(&self, name: &str) -> PathBuf {
        self.state.join(".sigilum").join(name)
    }

    /// Root's command.
    pub fn root(&self, args: &str) -> Run {
        self.env.run_program(&self.binary, args.split(' '))
    }

    /// `broker adopt` or `broker release`, without a flag.
    pub fn moves(&self, verb: &str) -> Run {
        let home = self.env.openclaw();
        let run = self.root("broker").args([verb.as_ref(), home.as_os_str()]);
        run.args(["--state".as_ref(), self.state.as_os_str()])
    }

    /// A command of the OpenClaw gateway's user.
    pub fn gateway(&self, args: &str) -> Run {
        let run = self.root(args);
        run.args(["--openclaw-home".as_ref(), self.env.openclaw().as_os_str()])
            .by_user(STRANGER, &[STRANGER])
    }

    /// The command of the step that was told last, as it is printed; `sudo` is one that runs our copy as whom it says.
    pub fn carry_out(&self, said: &Output) -> Run {
        self.shell(command_of(said.step()))
    }

    /// A line of root's.
    pub fn shell(&self, line: &str) -> Run {
        sudo_of(&self.env, &self.binary);
        self.env.shell(line)
    }

    /// A command of the broker's user.
    pub fn broker(&self, args: &str) -> Run {
        let run = self.root(args);
        run.args(["--openclaw-home".as_ref(), self.state.as_os_str()])
            .env("HOME", &self.state)
            .cwd(&self.state)
            .by_user(BROKER, &[BROKER])
    }
}

/// A `sudo` in `~/bin` of a person who is root: with `-u` another user, by a name or `#` and a number; our program is this
/// copy, which every user can run.
pub fn sudo_of(env: &TestEnv, binary: &Path) {
    let script = format!(
        "#!/bin/sh
if [ \"$1\" = -u ]; then
    case $2 in '#'*) user=${{2#?}} ;; *) user=$(id -u \"$2\") ;; esac
    shift 2
fi
[ \"$1\" != sigilum-authz-notify ] || {{ shift; set -- '{}' \"$@\"; }}
[ -z \"$user\" ] || set -- setpriv --reuid=\"$user\" --regid=\"$user\" --clear-groups \"$@\"
exec \"$@\"
",
        binary.display()
    );
    chmod(env.write("bin/sudo", script), 0o755);
}

/// Sets a file's permissions.
pub fn chmod(path: impl AsRef<Path>, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Makes all of a folder a user's; links themselves, not what they lead to.
pub fn give(path: &Path, uid: u32) {
    std::os::unix::fs::lchown(path, Some(uid), Some(uid)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        for entry in std::fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path(), uid);
        }
    }
}
