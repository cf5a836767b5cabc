//! Every way by which a process of the OpenClaw gateway's user could read what the broker keeps. Each is first seen to
//! find it where nothing forbids it.

use super::stage::{Broker, Client, Stage, false_broker};
use crate::Report;
use crate::env::three_users::chmod;
use crate::env::{BROKER, STRANGER};
use sigilum_authz_notify::broker::client;
use std::time::{Duration, Instant};

/// A way: its name, who finds something by it where nothing forbids it, and the script; `$P` is the broker's process,
/// `$H` where all the folders are, `$O` is printed where it is open.
struct Way {
    name: &'static str,
    /// Root, or the broker's own user.
    finds: u32,
    script: &'static str,
}

const WAYS: [Way; 9] = [
    Way {
        name: "every file",
        finds: BROKER,
        script: "find $H -type f -exec cat {} +",
    },
    Way {
        name: "every file, by the process's folder and root",
        finds: 0,
        script: "find /proc/$P/cwd/ -type f -exec cat {} +; cat /proc/$P/root$H/state/.sigilum/*",
    },
    Way {
        name: "its open files",
        finds: 0,
        script: "for f in /proc/$P/fd/* /proc/$P/map_files/*; do timeout 1 cat $f; done; ls -l /proc/$P/fd | grep '[0-9]'; \
                 ls /proc/$P/fd >/dev/null && echo $O",
    },
    Way {
        name: "its memory",
        finds: 0,
        script: "while read r m x; do case $m in rw*) s=${r%-*}; e=${r#*-}; dd if=/proc/$P/mem bs=4096 \
                 skip=$((0x$s/4096)) count=$(((0x$e-0x$s)/4096)); esac; done < /proc/$P/maps",
    },
    Way {
        name: "its environment and command line",
        finds: 0,
        script: "cat /proc/$P/environ && echo $O; cat /proc/$P/cmdline",
    },
    Way {
        name: "its threads' system calls, stacks and waits",
        finds: 0,
        script: "for t in /proc/$P/task/*; do cat $t/syscall && echo $O; cat $t/stack $t/io $t/environ; done",
    },
    Way {
        name: "tracing it",
        finds: 0,
        script: "timeout -s INT 1 strace -f -e trace=none -p $P 2>&1 | grep -q attached && echo $O",
    },
    Way {
        name: "a core dump",
        finds: 0,
        script: "kill -0 $P && echo $O; kill -ABRT $P",
    },
    Way {
        name: "OpenClaw's copies of its config",
        finds: 0,
        script: "cat $H/.openclaw/openclaw.json* $H/.openclaw/.sigilum/* $H/planted/*",
    },
];

/// Printed where a way is open that shows no secret by itself.
const OPEN: &str = "this way stands open";

/// Tries all of them.
pub fn files(report: &mut Report) {
    let Some(stage) = Stage::new() else { return };
    stage.requests(3);
    let (mut found, mut tried) = (0, 0);
    for way in &WAYS {
        let mut broker = stage.usual();
        warm(&stage);
        let closed = run(&stage, &broker, STRANGER, way);
        tried += 1;
        for what in stage.found(&closed) {
            report.fault(way.name, format!("the OpenClaw gateway's user read {what}"));
        }
        if closed.contains(OPEN) {
            report.fault(way.name, "it was open to the OpenClaw gateway's user".to_owned());
        }
        if !broker.is_there() {
            report.fault(way.name, "the OpenClaw gateway's user ended the broker".to_owned());
        }
        let planted = way.name == "OpenClaw's copies of its config";
        if planted {
            stage.users.env.write("planted/openclaw.json.bak", &stage.secrets[0].1);
        }
        let open = run(&stage, &broker, way.finds, way);
        if stage.found(&open).is_empty() && !open.contains(OPEN) {
            report.fault(
                way.name,
                format!(
                    "it finds nothing where nothing forbids it: {}",
                    open.chars().take(200).collect::<String>()
                ),
            );
        } else {
            found += 1;
        }
        if planted {
            std::fs::remove_dir_all(stage.users.env.home().join("planted")).unwrap();
        }
    }
    of_its_own_user(&stage, report);
    loose_file(&stage, report);
    report.line(format!(
        "{tried} ways to read it, {found} of them seen to find something where nothing forbids it: none found a secret as the \
         OpenClaw gateway's user; a file that others may read is found; of a broker of one's own user the files are, its \
         memory is not"
    ));
}

/// So that what it keeps is in its memory.
fn warm(stage: &Stage) {
    let (mut client, _) = Client::connect(&stage.socket, STRANGER);
    for _ in 0..5 {
        client.say("list");
    }
}

fn run(stage: &Stage, broker: &Broker, uid: u32, way: &Way) -> String {
    let home = stage.users.env.home().display().to_string();
    let script = format!("O='{OPEN}'; P={}; H={home}; {}", broker.pid(), way.script);
    stage.shell(uid, &script)
}

/// A broker that runs as the user who is to be kept out: its files are read, which is what another user is for.
fn of_its_own_user(stage: &Stage, report: &mut Report) {
    let broker = stage.usual();
    warm(stage);
    let files = run(stage, &broker, BROKER, &WAYS[0]);
    if stage.found(&files).len() != stage.secrets.len() {
        report.fault("a broker of one's own user", "its files were not all found".to_owned());
    }
    // The process itself gives nothing away even then.
    for what in stage.found(&run(stage, &broker, BROKER, &WAYS[3])) {
        report.fault("a broker of one's own user", format!("its memory gave {what}"));
    }
}

/// A token file that others may read is found, so what looks for it looks there.
fn loose_file(stage: &Stage, report: &mut Report) {
    let broker = stage.usual();
    let file = stage.users.kept("owner-token-alice.jwt");
    let folders = [stage.users.state.clone(), stage.users.state.join(".sigilum")];
    folders.iter().for_each(|folder| chmod(folder, 0o755));
    chmod(&file, 0o644);
    if stage.found(&run(stage, &broker, STRANGER, &WAYS[0])) != ["the owner token"] {
        report.fault("a file that others may read", "it was not found".to_owned());
    }
    chmod(&file, 0o600);
    folders.iter().for_each(|folder| chmod(folder, 0o700));
}

/// Lines of all kinds: no answer holds a secret or a path of the broker's folder, also where a request repeats them.
pub fn socket(report: &mut Report) {
    const LINES: usize = 1500;
    let Some(stage) = Stage::new() else { return };
    stage.requests(3);
    let folder = stage.users.state.display().to_string();
    let echoed = format!("{} {folder}", stage.secrets[0].1);
    let fields = serde_json::json!({"claim_id": "cl_99999999000000000000000a", "subject": stage.secrets[0].1,
        "service": folder, "created_at": crate::env::api::iso(crate::env::now())});
    stage.api.add_claim("alice", fields);
    let told = stage
        .users
        .broker("authz list --json --namespace alice")
        .expect(0)
        .stdout;
    if stage.found(&told) != ["the owner token"] {
        report.fault(
            "a request that repeats the token",
            "a terminal does not show it".to_owned(),
        );
    }
    let broker = stage.usual();
    let (mut client, _) = Client::connect(&stage.socket, STRANGER);
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).unwrap()
    };
    let words = [
        r#"{"type":"command","action":"new","sessionKey":"agent:main:main","chatType":"direct","id":"#,
        r#"{"list":{"status":"all","json":true},"id":"#,
        r#"{"list":{"status":"pending"},"id":"#,
        r#"{"show":{"id":"cl_99999999000000000000000a"},"id":"#,
        r#"{"show":{"id":"/etc/passwd"},"id":"#,
        r#"{"status":{},"id":"#,
        r#"{"relay":{"notify":"matrix:@a:b"},"id":"#,
        r#"{"asking":{"namespace":"../../x"},"status":{},"id":"#,
        r#"{"asking":{"deciders":["telegram:1"],"senders":["telegram:1"]},"command":{"text":"show cl_99999999","channel":"telegram","senderId":"1","from":"telegram:1","chatType":"direct","senderIsOwner":true,"canAssertOwner":true,"gatewayClientScopes":null},"id":"#,
        r#"{"asking":{"deciders":["telegram:1"]},"command":{"text":"status","channel":"telegram","senderId":"1","from":"telegram:1","chatType":"direct","gatewayClientScopes":null},"id":"#,
        r#"{"confirmed":true,"id":"#,
        "[",
        "\u{0}",
    ];
    let (mut answers, mut bytes) = (0, 0);
    for number in 0..LINES {
        let mut line = format!("{}{number}}}", words[random(words.len())]).into_bytes();
        for _ in 0..random(4) {
            let at = random(line.len());
            line[at] = u8::try_from(random(255)).unwrap() | 1;
        }
        // One line, that is answered whatever it is.
        line.retain(|byte| *byte != b'\n');
        line.extend_from_slice(b"\n{\"status\":{},\"id\":\"after\"}\n");
        if !client.send(&line) {
            client = Client::connect(&stage.socket, STRANGER).0;
        }
        while let Some(answer) = client.hear() {
            answers += 1;
            bytes += answer.len();
            for what in stage.found(&answer) {
                report.fault(
                    "the socket",
                    format!("an answer holds {what}: {}", String::from_utf8_lossy(&line)),
                );
            }
            if answer.contains(&folder) {
                report.fault(
                    "the socket",
                    format!(
                        "an answer names the folder: {}",
                        answer.chars().take(300).collect::<String>()
                    ),
                );
            }
            if answer.contains("\"after\"") {
                break;
            }
        }
    }
    if stage.found(&echoed).is_empty() || answers < LINES {
        report.fault("the socket", format!("{answers} answers to {LINES} lines"));
    }
    drop(broker);
    report.line(format!(
        "the socket: {LINES} lines, {answers} answers of {bytes} bytes; none held a secret or the folder's path, though a \
         request repeats both"
    ));
}

/// A socket of the OpenClaw gateway's user in the place of the broker's: a client that knows the broker's user says
/// nothing to it.
pub fn false_socket(report: &mut Report) {
    let folder = tempfile::tempdir().unwrap();
    chmod(folder.path(), 0o777);
    let path = folder.path().join("broker.sock");
    false_broker(&path);
    let soon = || Instant::now() + Duration::from_secs(5);
    match client::connect(&path, Some(BROKER), soon()) {
        Err(client::Trouble::Anothers(..)) => {}
        Err(other) => report.fault("a false socket", format!("refused as {other:?}")),
        Ok(_) => report.fault("a false socket", "it was talked to".to_owned()),
    }
    if client::connect(&path, None, soon()).is_err() {
        report.fault(
            "a false socket",
            "nobody forbids it, and it is not talked to".to_owned(),
        );
    }
    report.line("a false socket of another user: refused; talked to where no user is recorded".to_owned());
}
