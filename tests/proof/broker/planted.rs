//! What an agent puts into its user's home, for root to believe: before a login moves to the broker or back, and where
//! root looks.

use super::stage::{Stage, false_broker};
use crate::Report;
use crate::env::planted::{API, LINKS, PLANTS, TYPED};
use crate::env::three_users::{ThreeUsers, chmod, give};
use crate::env::watching::managed_token;
use crate::env::{Output, STRANGER};
use crate::tree;
use serde_json::{Map, Value};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::Ordering;

/// A home with a login, and its token.
fn logged_in() -> Option<(ThreeUsers, String)> {
    let users = ThreeUsers::new()?;
    let token = managed_token("alice", 36_000);
    users.log_in_managed(&token, API);
    users.give_home();
    Some((users, token))
}

/// The token that the broker has.
fn kept(users: &ThreeUsers) -> Option<String> {
    let text = fs::read_to_string(users.kept("owner-token-alice.jwt")).ok()?;
    Some(text.trim().to_owned())
}

/// Links to a third user's home, and tokens in the place of the one that moved.
pub fn before_a_move(report: &mut Report) {
    let links = ["adopt", "release"]
        .map(|verb| linked(verb, report))
        .iter()
        .sum::<usize>();
    let tokens = forged(report);
    report.line(format!(
        "planted before a move: {links} links to a third user's home, nothing taken from there or changed; root's own is \
         followed; {tokens} tokens, none costs the broker's, and each is taken where there is no other"
    ));
}

fn linked(verb: &str, report: &mut Report) -> usize {
    let Some((users, _)) = logged_in() else { return 0 };
    if verb == "release" {
        users.moves("adopt").args(TYPED).expect(0);
    }
    users.add_victim();
    let (home, held) = (users.env.home(), kept(&users));
    let (victim, agents) = (home.join("victim"), home.join("agents"));
    let before = tree::take(&victim);
    let moves = |to: &Path| {
        let run = users.root("broker").args([verb.as_ref(), to.as_os_str()]);
        let run = run.args(["--state".as_ref(), users.state.as_os_str()]);
        if verb == "adopt" { run.args(TYPED) } else { run }.output()
    };
    for (link, to, typed) in LINKS {
        symlink(home.join(to), agents.join(link)).unwrap();
        give(&agents, STRANGER);
        let output = moves(&agents.join(typed));
        if output.code == 0 || tree::take(&victim) != before || kept(&users) != held {
            report.fault(
                "a link",
                format!("{verb} {typed}: exit code {}: {}", output.code, output.stderr),
            );
        }
        fs::remove_file(agents.join(link)).unwrap();
    }
    // Root's own, on the way there, is followed.
    symlink(home, agents.join("way")).unwrap();
    give(&agents, 0);
    let output = moves(&agents.join("way/.openclaw"));
    if output.code != 0 || kept(&users) == held {
        report.fault(
            "a link",
            format!("{verb}: root's own is not followed: {}", output.stderr),
        );
    }
    LINKS.len()
}

/// Gives how many were planted.
fn forged(report: &mut Report) -> usize {
    let Some((users, token)) = logged_in() else { return 0 };
    let lives = [60, 99_000];
    for life in lives {
        let forged = managed_token("alice", life);
        users.moves("adopt").args(TYPED).expect(0);
        for verb in ["adopt", "release"] {
            users.plant_login(&forged, "http://127.0.0.1:1");
            let run = users.moves(verb);
            let output = if verb == "adopt" { run.args(TYPED) } else { run }.output();
            let held = match verb {
                "adopt" => kept(&users),
                _ => users.env.stored(),
            };
            if output.code != 0 || held.as_ref() != Some(&token) {
                report.fault(
                    "a token",
                    format!("{verb}, {life} s: the broker's is gone: {}", output.stderr),
                );
            }
        }
        users.plant_login(&forged, API);
        users.moves("adopt").args(TYPED).expect(0);
        if kept(&users) != Some(forged) {
            report.fault("a token", format!("{life} s: it is not taken where there is no other"));
        }
        fs::remove_file(users.kept("owner-token-alice.jwt")).unwrap();
        users.plant_login(&token, API);
    }
    2 * lives.len()
}

/// A home whose record names a broker of its user's: root says nothing to it.
pub fn for_root(report: &mut Report) {
    const COMMANDS: [&str; 5] = [
        "authz list",
        "authz show cl_1",
        "authz approve cl_1 --yes",
        "auth status",
        "hook run --event command:new",
    ];
    let Some(stage) = Stage::new() else { return };
    let (users, socket) = (&stage.users, stage.users.env.home().join("false/broker.sock"));
    stage.requests(1);
    let _broker = stage.usual();
    let install = format!("hook install --broker {}", stage.socket.display());
    users.gateway(&install).expect(0);
    fs::create_dir(socket.parent().unwrap()).unwrap();
    chmod(socket.parent().unwrap(), 0o777);
    let connected = false_broker(&socket);
    let theirs = serde_json::json!({"broker": {"socket": socket, "uid": STRANGER}});
    edit(users, "hook.json", theirs.as_object().unwrap());
    for command in COMMANDS {
        let output = by_root(users, command).output();
        if output.code == 0 || !output.stderr.contains("only a record of another user's") {
            report.fault(
                "root",
                format!("{command}: exit code {}: {}", output.code, output.stderr),
            );
        }
    }
    let asked = connected.load(Ordering::SeqCst);
    // Its user does ask it, and root asks whom root names.
    let _ = users.gateway("authz list").output();
    let named = by_root(users, "authz list")
        .env("SIGILUM_BROKER", &stage.socket)
        .output();
    let by_its_user = connected.load(Ordering::SeqCst) - asked;
    if asked != 0 || by_its_user == 0 || named.code != 0 {
        report.fault(
            "root",
            format!(
                "root asked it {asked} times, its user {by_its_user}; whom root names: {}",
                named.stderr
            ),
        );
    }
    report.line(format!(
        "a false broker in the record: {} commands of root's, none asks it, each says so; its own user's does, and root asks \
         the one that root names",
        COMMANDS.len()
    ));
}

fn by_root(users: &ThreeUsers, command: &str) -> crate::env::Run {
    let home = users.env.openclaw();
    users.root(command).args(["--openclaw-home".as_ref(), home.as_os_str()])
}

/// Writes members into a record of the home's.
fn edit(users: &ThreeUsers, name: &str, members: &Map<String, Value>) {
    let file = users.env.sigilum(name);
    let mut record: Map<String, Value> = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    record.extend(members.clone());
    fs::write(&file, Value::from(record).to_string()).unwrap();
}

/// What an agent writes into a record.
struct Edit {
    record: &'static str,
    members: &'static str,
    /// What root is shown of it.
    shown: &'static str,
    /// What root types in its place, beside what the login was.
    typed: &'static [&'static str],
}

const EDITS: [Edit; 6] = [
    Edit {
        record: "owner-alice.json",
        members: r#"{"api_url": "http://127.0.0.1:6666"}"#,
        shown: "http://127.0.0.1:6666",
        typed: &[],
    },
    Edit {
        record: "owner-alice.json",
        members: r#"{"mode": "oss-local", "email": "mallory@there"}"#,
        shown: "mallory@there",
        typed: &[],
    },
    Edit {
        record: "owner-alice.json",
        members: r#"{"source_home": "/planted/checkout"}"#,
        shown: "/planted/checkout",
        typed: &["--source-home", "/"],
    },
    Edit {
        record: "owner-alice.json",
        members: r#"{"api_db": "/planted/api.sqlite"}"#,
        shown: "/planted/api.sqlite",
        typed: &["--api-db", "/"],
    },
    Edit {
        record: "owner-alice.json",
        members: r#"{"trust_loopback": true}"#,
        shown: "whoever listens",
        typed: &["--trust-loopback", "false"],
    },
    Edit {
        record: "hook.json",
        members: r#"{"env": {"SIGILUM_OWNER_TOKEN_COMMAND": "/bin/echo planted"}}"#,
        shown: "/bin/echo planted",
        typed: &["--token-command", ""],
    },
];

/// Records that were edited, and things in their place: shown and asked about, in no command; what is typed counts.
pub fn records(report: &mut Report) {
    let mut shown = 0;
    for one in &EDITS {
        let Some((users, token)) = logged_in() else { return };
        edit(&users, one.record, &serde_json::from_str(one.members).unwrap());
        users.give_home();
        shown += usize::from(is_asked_about(&users, one, report));
        let output = users.moves("adopt").args(TYPED).args(one.typed).output();
        let record = fs::read_to_string(users.kept("owner-alice.json")).unwrap_or_default();
        let hook = fs::read_to_string(users.kept("hook.json")).unwrap_or_default();
        let believed = [record.as_str(), &hook].iter().any(|text| text.contains(one.shown)) || record.contains("trust");
        if output.code != 0 || kept(&users) != Some(token) || believed || !record.contains(API) {
            report.fault(one.members, format!("typed: {believed}, {record}: {}", output.stderr));
        }
    }
    for (name, plant) in PLANTS {
        let Some((users, _)) = logged_in() else { return };
        let roots_token = managed_token("alice", 7200);
        let roots = users.env.write("root/owner-token-alice.jwt", &roots_token);
        plant(&users, &roots);
        let output = users.moves("adopt").args(TYPED).output();
        let is_whole = fs::read_to_string(&roots).is_ok_and(|text| text == roots_token);
        if output.code == 0 || kept(&users).is_some() || !is_whole || text(&output).contains(&roots_token) {
            report.fault(name, format!("exit code {}: {}", output.code, output.stderr));
        }
    }
    report.line(format!(
        "edited before a move: {shown} edits of {} shown and asked about, in no command, and what is typed counts; {} things in \
         the place of records and token, none taken",
        EDITS.len(),
        PLANTS.len()
    ));
}

fn text(output: &Output) -> String {
    format!("{}{}", output.stdout, output.stderr)
}

/// Whether root is shown the edit and asked, and nothing is taken; without a terminal, and at one where the answer is no.
fn is_asked_about(users: &ThreeUsers, one: &Edit, report: &mut Report) -> bool {
    let unasked = users.moves("adopt").stdin("").output();
    let (shown, step) = unasked.stderr.split_once("next: ").unwrap_or_default();
    let refused = users.moves("adopt").at_a_terminal("n\n");
    let is_told = shown.contains(one.shown) && !step.contains(one.shown) && refused.stderr.contains(one.shown);
    let is_taken = unasked.code == 0 || refused.code == 0 || kept(users).is_some();
    if !is_told || is_taken {
        report.fault(
            one.members,
            format!("not asked about: {}{}", text(&unasked), text(&refused)),
        );
    }
    is_told
}
