//! The owner told at once, by the real program: `serve --stdio` hands lines to the plugin, `watch` to `openclaw`.

use crate::env;

use env::TestEnv;
use env::api::{Api, Fault};
use env::watching::{self, Watcher, wait_until};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};

const NS: &str = "alice";

struct Home {
    env: TestEnv,
    api: Api,
}

impl Home {
    /// Alice is logged in, and told at once.
    fn new() -> Self {
        let home = Self {
            env: TestEnv::new(),
            api: Api::start("the-secret"),
        };
        let record = json!({"mode": "oss-local", "api_url": home.api.url(), "email": "alice@local.sigilum"});
        home.env
            .write(".openclaw/.sigilum/owner-alice.json", record.to_string());
        home.token(3600);
        home.choose(json!({}));
        home
    }

    fn token(&self, life: i64) {
        let token = self.api.token(NS, life);
        self.env.write(".openclaw/.sigilum/owner-token-alice.jwt", token);
    }

    /// What `hook install` records.
    fn choose(&self, fields: Value) {
        let mut record = json!({"namespace": NS, "notify": "matrix:@alice:localhost", "poll_requests": 5});
        record
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        self.env.write(".openclaw/.sigilum/hook.json", record.to_string());
    }

    fn told(&self) -> Value {
        let bytes = std::fs::read(self.env.sigilum("told.json")).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Why nobody is told at once, as the watcher says it.
    fn notify_error(&self) -> Value {
        let bytes = std::fs::read(self.env.sigilum("watch-status.json")).unwrap_or_default();
        let status: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        status["homes"][0]["notify_error"].clone()
    }

    /// How often the list was asked for.
    fn asked(&self) -> usize {
        let seen = self.api.seen();
        seen.iter().filter(|seen| seen.line.contains("/claims?")).count()
    }

    fn serve(&self) -> Resident {
        let home = self.env.openclaw();
        let run = self
            .env
            .run(["serve", "--stdio", "--openclaw-home", home.to_str().unwrap()]);
        let mut child = run
            .into_command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        Resident {
            stdin: child.stdin.take(),
            child,
            lines,
        }
    }

    /// A stand-in for `openclaw` that keeps what it is called with and does as the file `does` says.
    fn openclaw(&self) -> PathBuf {
        let folder = self.env.home().display();
        let script = format!(
            "#!/bin/sh\nfor word; do last=$word; done\nprintf '%s\\n' \"$last\" >> {folder}/calls\n\
             echo \"$1 $2 $3 $4 $5\" > {folder}/words\nenv > {folder}/environment\n. {folder}/does\n"
        );
        let path = self.env.write("bin/openclaw", script);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        self.does("exit 0");
        path
    }

    fn does(&self, text: &str) {
        self.env.write("does", text);
    }

    /// What `openclaw` was called with.
    fn calls(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.env.home().join("calls")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

struct Resident {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Value>,
}

impl Resident {
    fn say(&mut self, line: Value) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// The next message.
    #[track_caller]
    fn push(&self) -> Value {
        let line = self.lines.recv_timeout(watching::PATIENCE).expect("no message");
        assert!(line["push"].is_object(), "{line}");
        line["push"].clone()
    }

    fn pushed(&mut self, push: &Value, status: &str, code: Option<&str>) {
        self.say(json!({"pushed": push["key"], "status": status, "code": code}));
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(push: &Value) -> &str {
    push["text"].as_str().unwrap()
}

#[test]
fn a_request_is_handed_to_the_plugin_once() {
    let home = Home::new();
    let mut served = home.serve();
    assert!(wait_until(|| home.asked() > 0));
    home.api.add_claim(
        NS,
        json!({"claim_id": "cl_0123456789abcdef01234567", "service": "mail", "agent_name": "bot", "subject": "al\u{202e}ice",
               "created_at": env::api::iso(env::now())}),
    );
    let push = served.push();
    assert_eq!(push["channel"], "matrix");
    assert_eq!(push["to"], "@alice:localhost");
    let wanted = [
        "Sigilum: a new request waits for your approval in namespace alice.",
        "service \"mail\", agent \"bot\", subject \"al·ice\", key \"KEY00000..00000001\", ip \"10·0·0·7\", \
         id \"cl_0123456789abcdef01234567\", runs out in 23 h 59 min",
        "To approve: sigilum-authz-notify authz approve cl_0123456789abcdef01234567",
        "To reject: sigilum-authz-notify authz reject cl_0123456789abcdef01234567",
    ];
    assert_eq!(
        text(&push).replace("runs out in 1 d", "runs out in 23 h 59 min"),
        wanted.join("\n")
    );
    assert_eq!(push["presentation"], Value::Null, "nobody may decide in the chat");
    let told = home.env.sigilum("told.json");
    assert_eq!(env::mode(&told), 0o600);
    // The child is killed before it hears what became of it: the same message again, with the same key, which the plugin
    // knows.
    drop(served);
    served = home.serve();
    assert_eq!(served.push(), push);
    served.pushed(&push, "sent", None);
    assert!(wait_until(|| home.told()["outgoing"] == json!([])));
    assert_eq!(home.told()["requests"]["cl_0123456789abcdef01234567"]["told"], true);
    // Another start says nothing of it.
    drop(served);
    served = home.serve();
    let before = home.asked();
    assert!(wait_until(|| home.asked() > before));
    home.api.add_claim(NS, json!({"claim_id": "cl_2", "service": "linear"}));
    let next = served.push();
    assert!(text(&next).contains("cl_2") && !text(&next).contains("mail"), "{next}");
    // `/new` has a mark of its own: it shows both as new.
    served.say(
        json!({"id": 1, "type": "command", "action": "new", "sessionKey": "agent:main:main",
        "chatType": "direct"}),
    );
    let answer = served.lines.recv_timeout(watching::PATIENCE).unwrap();
    let notice = answer["messages"][0].as_str().unwrap();
    assert_eq!(notice.matches(") new: ").count(), 2, "{notice}");
}

/// openclaw.json with the plugin on and a channel for the messages.
fn config(home: &Home, server: &str) -> Value {
    json!({"channels": {"matrix": {"homeserver": server}}, "plugins": {"entries": {"sigilum-authz-notify": {"enabled": true}},
           "load": {"paths": [home.env.sigilum("plugin")]}}})
}

/// What `hook install --deciders` records of that channel.
fn fingerprint(home: &Home) -> Option<String> {
    let place = sigilum_authz_notify::home::OpenClawHome::at(home.env.openclaw());
    sigilum_authz_notify::openclaw::channel::fingerprint(&place, "matrix").unwrap()
}

/// A command of the chat stands only in a message to who decides there.
#[test]
fn a_message_to_whom_the_chat_decides_nothing_for_names_the_terminals_command() {
    let to = "matrix:@alice:localhost";
    let table = [
        (json!({"deciders": [to]}), "https://matrix.example", true),
        (json!({"deciders": [to]}), "https://other.example", false),
        (
            json!({"deciders": ["matrix:@bob:localhost"]}),
            "https://matrix.example",
            false,
        ),
        (
            json!({"deciders": [to], "decider_channels": {}}),
            "https://matrix.example",
            false,
        ),
        (json!({}), "https://matrix.example", false),
    ];
    for (fields, server, in_chat) in table {
        let home = Home::new();
        home.env
            .write_config(config(&home, "https://matrix.example").to_string());
        let mut record = json!({"decider_channels": {"matrix": fingerprint(&home)}});
        record
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        home.choose(record);
        home.env.write_config(config(&home, server).to_string());
        home.api.add_claim(NS, json!({"claim_id": "cl_1", "service": "mail"}));
        let mut served = home.serve();
        let push = served.push();
        assert_eq!(
            text(&push).contains("To approve: /sigilum approve cl_1\n"),
            in_chat,
            "{fields} {server}: {push}"
        );
        assert_eq!(push["presentation"].is_object(), in_chat, "{push}");
        let terminal = text(&push).contains("To approve: sigilum-authz-notify authz approve cl_1");
        assert_eq!(terminal, !in_chat, "{push}");
        served.pushed(&push, "sent", None);
    }
}

/// Who decides was shown what a message describes: they answer it with one command.
#[test]
fn what_a_message_showed_is_decided_at_once() {
    const ID: &str = "cl_0123456789abcdef01234567";
    for (status, code, was_shown) in [
        ("sent", None, true),
        ("failed", Some("OPENCLAW_PLATFORM_MESSAGE_NOT_DISPATCHED"), false),
    ] {
        let home = Home::new();
        home.env
            .write_config(config(&home, "https://matrix.example").to_string());
        let channels = json!({"matrix": fingerprint(&home)});
        home.choose(json!({"deciders": ["matrix:@alice:localhost"], "decider_channels": channels}));
        home.api.add_claim(NS, json!({"claim_id": ID, "service": "mail"}));
        let mut served = home.serve();
        let push = served.push();
        served.pushed(&push, status, code);
        served.say(json!({"id": 1, "command": {"text": format!("approve {ID}"), "channel": "matrix",
            "senderId": "@alice:localhost", "from": "matrix:@alice:localhost", "chatType": "direct", "senderIsOwner": true,
            "canAssertOwner": true, "gatewayClientScopes": null}}));
        let line = served.lines.recv_timeout(watching::PATIENCE).unwrap();
        assert_eq!(line == json!({"id": 1, "confirm": true}), was_shown, "{line}");
        if was_shown {
            served.say(json!({"id": 1, "confirmed": true}));
            served.lines.recv_timeout(watching::PATIENCE).unwrap();
            assert_eq!(home.api.posts(), [format!("POST /v1/claims/{ID}/approve")]);
        } else {
            let text = line["reply"]["text"].as_str().unwrap();
            assert!(text.contains("it was not shown here yet"), "{text}");
            assert_eq!(home.api.posts(), [] as [&str; 0]);
        }
    }
}

#[test]
fn what_openclaw_did_not_take_is_told_again_and_what_it_keeps_is_not() {
    let home = Home::new();
    home.env
        .write_config(config(&home, "https://matrix.example").to_string());
    home.choose(json!({"deciders": ["matrix:@alice:localhost"], "decider_channels": {"matrix": fingerprint(&home)}}));
    home.api.add_claim(NS, json!({"claim_id": "cl_1", "service": "mail"}));
    let mut served = home.serve();
    let first = served.push();
    assert!(text(&first).contains("To approve: /sigilum approve cl_1\n"), "{first}");
    let button = &first["presentation"]["blocks"][0]["buttons"][0];
    assert_eq!(
        *button,
        json!({"label": "Approve", "action": {"type": "command", "command": "/sigilum approve cl_1"}})
    );
    served.pushed(&first, "failed", Some("OPENCLAW_PLATFORM_MESSAGE_NOT_DISPATCHED"));
    let second = served.push();
    assert_eq!(text(&second), text(&first));
    assert_ne!(second["key"], first["key"]);
    // OpenClaw keeps it and goes on trying.
    served.pushed(&second, "failed", Some("ECONNREFUSED"));
    assert!(wait_until(|| home.told()["requests"]["cl_1"]["told"] == true));
    assert_eq!(home.told()["outgoing"], json!([]));
    // Who decides somewhere else, or on a channel where anybody could take their id, does not type it here.
    let elsewhere = json!({"deciders": ["matrix:@bob:localhost"]});
    let on_irc = json!({"deciders": ["irc:alice"], "notify": "irc:alice"});
    for (fields, id) in [(elsewhere, "cl_2"), (on_irc, "cl_3")] {
        drop(served);
        home.choose(fields);
        served = home.serve();
        home.api.add_claim(NS, json!({"claim_id": id, "service": "mail"}));
        let push = served.push();
        let command = format!("To approve: sigilum-authz-notify authz approve {id}\n");
        assert!(text(&push).contains(&command), "{push}");
        assert_eq!(push["presentation"], Value::Null);
        served.pushed(&push, "sent", None);
        assert!(wait_until(|| home.told()["requests"][id]["told"] == true));
    }
}

#[test]
fn an_approval_that_was_not_made_in_the_chat_is_told_there() {
    let home = Home::new();
    home.env.write_config("{}");
    let mut served = home.serve();
    assert!(wait_until(|| home.told()["log"] == ""));
    for id in ["cl_0a1b2c3d4e5f60718293a4b5", "cl_1a1b2c3d4e5f60718293a4b5"] {
        home.api.add_claim(NS, json!({"claim_id": id, "service": "mail"}));
        let push = served.push();
        served.pushed(&push, "sent", None);
    }
    let home_flag = home.env.openclaw();
    home.env
        .run([
            "authz",
            "approve",
            "cl_0a1b2c3d4e5f60718293a4b5",
            "--yes",
            "--openclaw-home",
        ])
        .args([home_flag.to_str().unwrap()])
        .expect(0);
    let push = served.push();
    assert!(
        text(&push).starts_with("Sigilum: approved on this machine, by the account "),
        "{push}"
    );
    let back = "To take it back: sigilum-authz-notify authz revoke cl_0a1b2c3d4e5f60718293a4b5";
    assert!(text(&push).ends_with(back), "{push}");
    served.pushed(&push, "sent", None);
    // In the dashboard, for example.
    home.api.change("cl_1a1b2c3d4e5f60718293a4b5", "status", "approved");
    let push = served.push();
    assert!(
        text(&push).starts_with("Sigilum: approved elsewhere, not in this chat: service \"mail\""),
        "{push}"
    );
    served.pushed(&push, "sent", None);
    let read = home
        .api
        .seen()
        .iter()
        .filter(|seen| seen.line.ends_with("/v1/claims/cl_1a1b2c3d4e5f60718293a4b5"))
        .count();
    assert_eq!(read, 1, "asked about once");
    // Only by a person's act.
    assert_eq!(home.api.posts().len(), 1);
    // `/new` adds what was not decided here, until it was read.
    assert!(wait_until(|| home.told()["outcomes"][0]["status"] == "approved"));
    let since = "Sigilum: since you last looked:\napproved elsewhere: service \"mail\", key \"KEY00000..00000002\"";
    for wanted in [json!([since]), json!([])] {
        served.say(
            json!({"id": 1, "type": "command", "action": "new", "sessionKey": "agent:main:main",
            "chatType": "direct"}),
        );
        let answer = served.lines.recv_timeout(watching::PATIENCE).unwrap();
        assert_eq!(answer["messages"], wanted);
    }
}

#[test]
fn watch_tells_by_the_recorded_openclaw_and_one_of_two_watchers_asks() {
    let home = Home::new();
    let openclaw = home.openclaw();
    home.choose(json!({"notify": null, "openclaw": openclaw}));
    home.api.add_claim(NS, json!({"claim_id": "cl_1", "service": "mail"}));
    let flags = ["watch", "--notify", "irc:alice!~alice@host", "--poll-requests", "5s"];
    let run = || {
        home.env
            .run(flags)
            .env("SIGILUM_OWNER_TOKEN", "a-secret")
            .env("RUST_LOG", "debug")
    };
    home.does("exit 1");
    let mut watcher = Watcher::start(run());
    watcher.wait_for("OpenClaw took no message for irc:alice!~alice@host");
    let why = json!("OpenClaw took no message for irc:alice!~alice@host");
    assert!(wait_until(|| home.notify_error() == why));
    home.does("exit 0");
    assert!(wait_until(|| home.told()["requests"]["cl_1"]["told"] == true));
    assert!(wait_until(|| home.notify_error().is_null()));
    let calls = home.calls();
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert_eq!(calls[1]["channel"], "irc");
    assert_eq!(calls[1]["to"], "alice!~alice@host");
    assert!(
        calls[1]["message"].as_str().unwrap().contains("authz approve cl_1"),
        "{calls:?}"
    );
    assert_ne!(calls[0]["idempotencyKey"], calls[1]["idempotencyKey"]);
    let kept = |name: &str| std::fs::read_to_string(home.env.home().join(name)).unwrap();
    assert_eq!(kept("words"), "gateway call send --json --params\n");
    assert!(!kept("environment").contains("a-secret"), "{}", kept("environment"));
    assert!(kept("environment").contains(&format!("OPENCLAW_STATE_DIR={}", home.env.openclaw().display())));
    // Who has no lock does not ask.
    home.env.run(flags).expect(8);
    let mut served = home.serve();
    served.say(json!({"id": 1, "type": "other"}));
    served.lines.recv_timeout(watching::PATIENCE).unwrap();
    let asked = home.asked();
    assert!(wait_until(|| home.asked() > asked));
    assert!(served.lines.try_recv().is_err(), "only the watcher tells");
    assert_eq!(home.api.connections(), 1);
    assert_eq!(watcher.stop(), 0);
    assert_eq!(home.calls().len(), 2);
}

#[test]
fn a_message_that_is_not_taken_is_logged_once() {
    let home = Home::new();
    home.choose(json!({"openclaw": home.openclaw()}));
    home.does("exit 1");
    home.api.add_claim(NS, json!({"claim_id": "cl_1", "service": "mail"}));
    let mut watcher = Watcher::start(home.env.run(["watch"]));
    assert!(wait_until(|| home.calls().len() == 2));
    assert_eq!(watcher.stop(), 0);
    assert_eq!(watcher.count("OpenClaw took no message"), 1, "{:?}", watcher.log());
}

/// As where a user may have no more threads.
#[cfg(target_os = "linux")]
#[test]
fn a_thread_that_cannot_start_is_logged_once_and_tried_again() {
    const ME: u32 = 4242;
    if !env::can_be_others() {
        return;
    }
    let home = Home::new();
    let binary = home.env.home().join("binary");
    env::copy_binary(&binary);
    let openclaw = home.openclaw();
    std::fs::set_permissions(home.env.home(), PermissionsExt::from_mode(0o755)).unwrap();
    home.choose(json!({"notify": null}));
    for folder in [&home.env.openclaw(), openclaw.parent().unwrap()] {
        env::three_users::give(folder, ME);
    }
    let watcher = Watcher::start(home.env.run_program(&binary, ["watch"]).by_user(ME, &[ME]));
    let hard = rustix::process::getrlimit(rustix::process::Resource::Nproc).maximum;
    let may_have = |threads: &str| {
        let (pid, limit) = (watcher.pid().to_string(), format!("--nproc={threads}:"));
        let prlimit = home.env.run_program("prlimit".as_ref(), ["--pid", &pid, &limit]);
        prlimit.by_user(ME, &[ME]).expect(0);
    };
    may_have("1");
    home.choose(json!({"openclaw": openclaw}));
    env::three_users::give(&home.env.openclaw(), ME);
    let why = "could not start the thread that asks for requests";
    watcher.wait_for(&format!("nobody is told at once: {why}"));
    assert!(wait_until(|| home
        .notify_error()
        .as_str()
        .is_some_and(|told| told.starts_with(why))));
    for times in 1..4 {
        watcher.signal(rustix::process::Signal::HUP);
        watcher.wait_for_times("looking at everything again", times);
    }
    may_have(&hard.map_or("unlimited".to_owned(), |hard| hard.to_string()));
    watcher.signal(rustix::process::Signal::HUP);
    assert!(wait_until(|| home.asked() > 0));
    assert_eq!(watcher.count(why), 1, "{:?}", watcher.log());
}

#[test]
fn nobody_is_asked_for_whom_nobody_can_tell() {
    let home = Home::new();
    home.choose(json!({}));
    let watcher = Watcher::start(home.env.run(["watch"]));
    let how = "nobody is told at once, as no openclaw program is recorded; where there is one on PATH: \
               sigilum-authz-notify hook install";
    watcher.wait_for(how);
    let why = json!("no openclaw program is recorded; where there is one on PATH: sigilum-authz-notify hook install");
    assert!(wait_until(|| home.notify_error() == why));
    for fields in [json!({"notify": null}), json!({"poll_requests": 0})] {
        home.choose(fields);
        watcher.signal(rustix::process::Signal::HUP);
        watcher.wait_for("looking at everything again");
        assert!(wait_until(|| home.notify_error().is_null()));
    }
    assert_eq!(home.asked(), 0);
    assert!(!home.env.sigilum("told.json").exists());
}

/// What others could have written is not run, and nothing is asked for its sake; nor is it recorded.
#[test]
fn an_openclaw_that_others_may_write_is_not_run() {
    let home = Home::new();
    let openclaw = home.openclaw();
    let folder = openclaw.parent().unwrap().to_owned();
    home.choose(json!({"openclaw": openclaw}));
    home.api.add_claim(NS, json!({"claim_id": "cl_1", "service": "mail"}));
    for (path, mode) in [(&openclaw, 0o777), (&folder, 0o777), (&openclaw, 0o775)] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        // Where everybody is in group 0, it is trusted.
        if mode == 0o775 {
            let Ok(()) = std::os::unix::fs::chown(path, None, Some(4242)) else {
                continue;
            };
        }
        let mut watcher = Watcher::start(home.env.run(["watch"]));
        watcher.wait_for("nobody is told at once: could not trust the program");
        assert_eq!(watcher.stop(), 0);
        let path_of = format!("{}:/usr/bin:/bin", folder.display());
        let output = home.env.run(["hook", "install"]).env("PATH", path_of).expect(0);
        assert!(
            output.stdout.contains("note: openclaw is not recorded: "),
            "{}",
            output.stdout
        );
        home.choose(json!({"openclaw": openclaw}));
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    assert_eq!(home.asked(), 0);
    assert_eq!(home.calls(), [] as [Value; 0]);
}

#[test]
fn an_agents_shell_records_nobody_to_tell() {
    let home = Home::new();
    let run = home.env.run(["hook", "install", "--notify", "telegram:666"]);
    let output = run.env("OPENCLAW_SHELL", "exec").expect(2);
    assert!(output.stderr.contains("this is an agent's shell"), "{}", output.stderr);
}

/// Where it cannot be noted that a message went out, none does, and the log says why.
#[test]
fn what_cannot_be_noted_is_not_sent() {
    let home = Home::new();
    let openclaw = home.openclaw();
    home.choose(json!({"openclaw": openclaw}));
    home.does("exit 0");
    home.api.add_claim(NS, json!({"claim_id": "cl_1", "service": "mail"}));
    let told = home.env.sigilum("told.json");
    std::fs::create_dir(&told).unwrap();
    let mut watcher = Watcher::start(home.env.run(["watch"]));
    watcher.wait_for("nobody is told at once: could not write the file: ");
    assert!(home.asked() > 0);
    assert_eq!(watcher.stop(), 0);
    assert_eq!(home.calls(), [json!(null); 0]);
}

/// The secret that signed the token is nowhere to be found: told like a token that nobody renews.
#[test]
fn the_end_of_a_token_whose_renewal_fails_is_told() {
    let home = Home::new();
    let (iat, exp) = (env::now() - 6 * 86_400, env::now() + 20 * 3_600);
    let token = home.api.token_with(json!({"namespace": NS, "iat": iat, "exp": exp}));
    home.env.write(".openclaw/.sigilum/owner-token-alice.jwt", token);
    let served = home.serve();
    let push = served.push();
    assert!(
        text(&push)
            .starts_with("Sigilum: the owner token of namespace alice expires in 19 h 59 min, and renewing it fails;"),
        "{push}"
    );
    assert!(
        text(&push).ends_with("To see why: sigilum-authz-notify auth status"),
        "{push}"
    );
    let status = home.env.run(["auth", "status"]).expect(0).stdout;
    assert!(
        status.contains(", fails: Unable to resolve JWT_SECRET; next: "),
        "{status}"
    );
    // Nor can it take back what is approved for longer.
    let id = "cl_0a1b2c3d4e5f60718293a4b5";
    home.api.add_claim(NS, json!({"claim_id": id, "service": "mail"}));
    let output = home
        .env
        .run(["authz", "approve", id, "--yes", "--for", "21h"])
        .expect(4);
    assert!(output.stderr.contains("and nothing renews it"), "{}", output.stderr);
}

#[test]
fn an_api_that_asks_to_be_left_alone_is() {
    let busy = |header: &str| {
        let answer = format!("HTTP/1.1 429 Too Many\r\n{header}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}");
        let home = Home::new();
        home.api.fault(Fault::Raw(answer.into()));
        let served = home.serve();
        assert!(wait_until(|| home.asked() > 0));
        (home, served)
    };
    let (patient, _served) = busy("Retry-After: 3000\r\n");
    // One that does not ask for it, and is asked a third time long after the other would have been a second time.
    let (other, _served) = busy("");
    assert!(wait_until(|| other.asked() >= 3));
    assert_eq!(patient.asked(), 1);
}
