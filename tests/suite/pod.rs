//! What `packaging/kubernetes/` relies on, without a cluster: a user without a name, a volume of `fsGroup`, a root file
//! system that is read-only, no capability, a pid namespace for each container. Only root can make such a place.
#![cfg(target_os = "linux")]

use crate::env::api::{Api, token};
use crate::env::watching::{Watcher, wait_until};
use crate::env::{self, Run, TestEnv};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

const USER: u32 = 61_001;
const FS_GROUP: u32 = 61_002;
const SECRET: &str = "only Sigilum knows, and 32 bytes";

/// Its arguments: the volume, then the command.
const CONTAINER: &str = "set -e
volume=$1; shift
mount --make-rprivate /
mount --bind \"$volume\" \"$volume\"
mount -o remount,bind,ro /
touch \"$HOME/x\" 2>/dev/null && exit 99
exec setpriv --reuid 61001 --regid 61001 --groups 61002 --no-new-privs --bounding-set=-all --inh-caps=-all \\
  --pdeathsig KILL \"$@\"
";

/// A pod: the volume with the OpenClaw home, the secret, and the Sigilum API.
struct Pod {
    env: TestEnv,
    api: Api,
    volume: PathBuf,
    binary: PathBuf,
    secret: PathBuf,
    script: PathBuf,
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A token of alice's that was issued so many seconds ago, of a life of 1,000 s.
fn issued(ago: i64) -> String {
    let now = env::now();
    token(
        SECRET,
        json!({"namespace": "alice", "iat": now - ago, "exp": now - ago + 1_000}),
    )
}

impl Pod {
    /// `None`, and said, where no such place can be made.
    fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: only root can make what a pod is");
            return None;
        }
        let env = TestEnv::new();
        chmod(env.home(), 0o755);
        let binary = env.home().join("sigilum-authz-notify");
        env::copy_binary(&binary);
        let script = env.write("container.sh", CONTAINER);
        let tries = env.run_program(
            Path::new("unshare"),
            ["--mount", "--pid", "--fork", "--mount-proc", "true"],
        );
        let tried = tries.output();
        if tried.code != 0 {
            eprintln!("SKIPPED: no namespaces here: {}", tried.stderr);
            return None;
        }
        let volume = env.home().join("volume");
        fs::create_dir(&volume).unwrap();
        // As Kubernetes hands it over.
        chown(&volume, Some(0), Some(FS_GROUP)).unwrap();
        chmod(&volume, 0o2775);
        let pod = Self {
            api: Api::start(SECRET),
            secret: env.home().join("run/token"),
            volume,
            binary,
            script,
            env,
        };
        pod.keep_secret(&issued(0));
        pod.env.write("volume/openclaw.json", "{gateway: {mode: 'local'}}\n");
        let config = pod.volume.join("openclaw.json");
        chown(config, Some(USER), Some(FS_GROUP)).unwrap();
        chmod(&pod.volume, 0o2775);
        Some(pod)
    }

    /// Puts this into the mounted secret: 0440 of root and the group.
    fn keep_secret(&self, token: &str) {
        self.env.write("run/token", token);
        chmod(self.secret.parent().unwrap(), 0o755);
        chmod(&self.secret, 0o440);
        chown(&self.secret, Some(0), Some(FS_GROUP)).unwrap();
    }

    /// A container of its own.
    fn container<'a>(&self, program: &Path, args: impl IntoIterator<Item = &'a str>) -> Run {
        let under = ["--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh"].map(PathBuf::from);
        self.env
            .run_program(program, args)
            .env("OPENCLAW_STATE_DIR", &self.volume)
            .env("SIGILUM_OWNER_TOKEN_COMMAND", format!("cat {}", self.secret.display()))
            .under("unshare", under.iter().chain([&self.script, &self.volume]))
    }

    fn run(&self, args: &str) -> Run {
        self.container(&self.binary, args.split(' '))
    }

    /// What the init container of the manifest runs.
    fn install(&self, in_config: bool) {
        let program = self.binary.display();
        let script = format!(
            "{program} auth login --mode managed --api-url {} --owner-token-stdin --token-in-config {in_config} \
             --print-token false < {} && \
             {program} hook install --as hook --copy-binary --token-in-config {in_config}",
            self.api.url(),
            self.secret.display(),
        );
        self.container(Path::new("sh"), ["-ec", &script]).expect(0);
    }

    fn stored(&self) -> String {
        let file = self.volume.join(".sigilum/owner-token-alice.jwt");
        fs::read_to_string(file).unwrap().trim().to_owned()
    }

    fn config(&self) -> String {
        fs::read_to_string(self.volume.join("openclaw.json")).unwrap()
    }
}

#[test]
fn a_pod_installs_watches_and_is_probed() {
    let Some(pod) = Pod::new() else { return };
    pod.install(false);
    for (name, mode) in [
        (".sigilum", 0o700),
        (".sigilum/owner-token-alice.jwt", 0o600),
        (".sigilum/hook.json", 0o600),
        (".sigilum/bin/sigilum-authz-notify", 0o755),
    ] {
        let about = fs::metadata(pod.volume.join(name)).unwrap();
        assert_eq!((about.mode() & 0o777, about.uid()), (mode, USER), "{name}");
    }
    let first = pod.stored();
    assert!(!pod.config().contains(&first), "{}", pod.config());
    let record: Value = serde_json::from_slice(&fs::read(pod.volume.join(".sigilum/hook.json")).unwrap()).unwrap();
    let kept = pod.volume.join(".sigilum/bin/sigilum-authz-notify");
    assert_eq!(record["binary"], json!(kept));
    // The OpenClaw gateway's image has no program of ours but that one.
    let answer = pod
        .container(&kept, ["hook", "run", "--event", "command:new"])
        .expect(0);
    assert!(answer.stdout.contains("Nothing waits for approval"), "{answer:?}");

    // The probe, before, while and after a watcher lives; in a container of its own, where its process number means
    // nothing.
    pod.run("watch --check").expect(1);
    let watcher = Watcher::start(pod.run("watch"));
    let probe = pod.run("watch --check").expect(0);
    assert!(probe.stdout.starts_with("watched, next renewal "), "{}", probe.stdout);
    let told = pod.run("doctor").output().stdout;
    let lines = told.lines().filter(|line| line.contains("  watcher  "));
    assert!(
        lines.clone().count() > 0 && lines.clone().all(|line| line.starts_with("ok ")),
        "{told}"
    );
    assert!(!told.contains(" is gone"), "{told}");
    watcher.signal(Signal::KILL);
    drop(watcher);
    assert!(
        wait_until(|| pod.run("watch --check").output().code == 1),
        "the probe does not see it gone"
    );

    // Again, as the pod does at its next start.
    pod.install(false);
}

/// OpenClaw's lock names a process. In another pid namespace a live one looks dead, and its lock as if it were left: the
/// start of a watcher takes none away, an edit does. What keeps the manifests' watchers from editing, also where the token
/// stands in the config, is OPENCLAW_CONFIG_READONLY.
#[test]
fn a_cron_job_beside_a_live_gateway_takes_its_lock_only_for_an_edit_without_the_manifests_variable() {
    for (in_config, read_only) in [(false, true), (true, true), (false, false), (true, false)] {
        let Some(pod) = Pod::new() else { return };
        // Due: a third of its life is left.
        let due = issued(700);
        pod.keep_secret(&due);
        pod.install(in_config);
        assert_eq!(pod.config().contains(&due), in_config);
        let lock = pod.volume.join("openclaw.json.lock");
        let holder = json!({"pid": std::process::id(), "createdAt": "2026-11-27T08:00:00.000Z"}).to_string();
        fs::write(&lock, &holder).unwrap();
        chown(&lock, Some(USER), Some(FS_GROUP)).unwrap();
        let before = (pod.config(), Some(holder));

        let fresh = issued(0);
        pod.keep_secret(&fresh);
        let run = pod.run("watch --once");
        let run = match read_only {
            true => run.env("OPENCLAW_CONFIG_READONLY", "1"),
            false => run,
        };
        run.expect(0);
        assert_eq!(pod.stored(), fresh);
        let after = (pod.config(), fs::read_to_string(&lock).ok());
        assert_eq!(after == before, read_only || !in_config, "{in_config}: {after:?}");
    }
}

/// The containers that only watch, in both manifests.
#[test]
fn the_manifests_set_what_keeps_their_watchers_off_the_config() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/kubernetes");
    for name in ["sidecar.yaml", "cronjob.yaml"] {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        let container = text
            .split("- name: ")
            .find(|part| part.starts_with("sigilum-watch"))
            .unwrap();
        for line in [
            "OPENCLAW_CONFIG_READONLY, value: \"1\"",
            "SIGILUM_OWNER_TOKEN_COMMAND, value: cat ",
        ] {
            assert!(container.contains(line), "{name}: {line}");
        }
        let confined = [
            "readOnlyRootFilesystem: true",
            "runAsNonRoot: true",
            "fsGroup: ",
            "drop: [ALL]",
        ];
        assert!(confined.iter().all(|line| text.contains(line)), "{name}");
        assert!(!text.contains("--owner-token "), "{name}");
    }
}
