//! `broker adopt` and `broker release`: root moves a login between the OpenClaw gateway's user and a broker's. With real
//! users: only root can try.

use crate::env::local_api::{FakeCheckout, JWT_SECRET};
use crate::env::planted::{API, LINKS, PLANTS, TYPED, VICTIM};
use crate::env::three_users::{ThreeUsers, chmod, give};
use crate::env::watching::managed_token;
use crate::env::{self, BROKER, Output, STRANGER};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// What another program wrote and came out of a swap.
const KEPT: &str = "sigilum-authz-notify-kept-0123456789abcdef";

/// A home with a managed login, its token in openclaw.json too, and a backup of that.
fn logged_in() -> Option<(ThreeUsers, String)> {
    let users = ThreeUsers::new()?;
    let token = managed_token("alice", 36_000);
    users.log_in_managed(&token, API);
    assert_eq!(users.env.in_config().as_ref(), Some(&token));
    for name in ["openclaw.json.bak", KEPT] {
        fs::copy(users.env.config(), users.env.openclaw().join(name)).unwrap();
    }
    users.give_home();
    Some((users, token))
}

fn text(output: &Output) -> String {
    format!("{}{}", output.stdout, output.stderr)
}

/// Every file below a folder, with its owner and bytes.
fn tree(folder: &Path) -> Vec<(String, u32, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let about = entry.path().symlink_metadata().unwrap();
        if about.is_dir() {
            found.extend(tree(&entry.path()));
        } else if !["lock", "made-home"].contains(&entry.file_name().to_str().unwrap()) {
            let bytes = fs::read(entry.path()).unwrap_or_default();
            found.push((entry.path().display().to_string(), about.uid(), bytes));
        }
    }
    found.sort();
    found
}

/// Whether a token stands in any file but the backup that a person is told of.
fn holds(folder: &Path, token: &str) -> bool {
    let is_copy = |name: &str| name.ends_with(".bak") || name.ends_with(KEPT);
    let all = tree(folder).into_iter().filter(|(name, ..)| !is_copy(name));
    let texts = all.map(|(_, _, bytes)| String::from_utf8_lossy(&bytes).into_owned());
    texts.into_iter().any(|text| text.contains(token))
}

#[test]
fn a_login_becomes_the_brokers_and_goes_back() {
    let Some((users, token)) = logged_in() else { return };
    let config = fs::read_to_string(users.env.config()).unwrap();
    let adopted = users.moves("adopt").args(TYPED).expect(0);
    let all = text(&adopted);
    assert!(!all.contains(&token), "{all}");
    for copy in ["openclaw.json.bak", KEPT] {
        let copy = users.env.openclaw().join(copy);
        assert!(
            all.contains(&format!("still holds an owner token: {}", copy.display())),
            "{all}"
        );
    }
    // What is next on either side.
    let asks = format!(
        "sigilum-authz-notify hook install --broker <socket> --openclaw-home {}",
        users.env.openclaw().display()
    );
    assert!(all.contains("sudo -u ") && all.contains(&asks), "{all}");
    let doctor = users.broker("doctor").output().stdout;
    assert!(
        !doctor.contains("onboard") && !doctor.contains("hook install"),
        "{doctor}"
    );
    assert!(all.contains("can use it until "), "{all}");

    assert!(!holds(&users.env.openclaw(), &token));
    assert!(!users.env.sigilum("owner-alice.json").exists());
    assert!(env::mode(users.env.config()) == 0o600 && fs::metadata(users.env.config()).unwrap().uid() == STRANGER);
    for (name, owner, _) in tree(&users.state) {
        assert_eq!(owner, BROKER, "{name}");
    }
    for name in ["owner-token-alice.jwt", "owner-alice.json", "hook.json"] {
        assert_eq!(env::mode(users.kept(name)), 0o600, "{name}");
    }
    assert_eq!(
        users.broker("auth show --namespace alice").expect(0).stdout.trim(),
        token
    );
    users.gateway("auth show --namespace alice").expect(4);
    let record: Value = serde_json::from_slice(&fs::read(users.kept("owner-alice.json")).unwrap()).unwrap();
    assert_eq!((&record["api_url"], &record["mode"]), (&json!(API), &json!("managed")));

    // Nothing is left to take; and back.
    let again = users.moves("adopt").expect(4);
    assert!(again.stderr.contains("has that of alice"), "{}", again.stderr);
    let released = users.moves("release").expect(0);
    assert!(!text(&released).contains(&token));
    assert!(!holds(&users.state, &token));
    assert_eq!(
        users.gateway("auth show --namespace alice").expect(0).stdout.trim(),
        token
    );
    for (name, owner, _) in tree(&users.env.openclaw()) {
        assert_eq!(owner, STRANGER, "{name}");
    }
    // The token stays out of openclaw.json; all else there is as it was.
    let without = |text: &str| -> Value {
        let mut value: Value = json5::from_str(text).unwrap();
        let env = value
            .pointer_mut("/hooks/internal/entries/sigilum-authz-notify/env")
            .unwrap();
        env.as_object_mut().unwrap().remove("SIGILUM_OWNER_TOKEN");
        value
    };
    let now = fs::read_to_string(users.env.config()).unwrap();
    assert_eq!(without(&now), without(&config));
    assert!(now.contains("// kept by hand"), "{now}");
}

#[test]
fn what_an_agent_could_have_written_is_asked_about_or_typed_again() {
    let Some((users, token)) = logged_in() else { return };
    let record = users.env.sigilum("owner-alice.json");
    let mut recorded: Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    recorded["trust_loopback"] = json!(true);
    fs::write(&record, recorded.to_string()).unwrap();
    let (home, state) = (tree(&users.env.openclaw()), tree(&users.state));

    let output = users.moves("adopt").stdin("").expect(2);
    let told = "type what is right: --mode, --api-url, --trust-loopback";
    assert!(output.stderr.contains(told), "{}", output.stderr);
    let no = users.moves("adopt").at_a_terminal("n\n");
    assert_eq!((no.code, no.stderr.contains(API)), (1, true), "{}", no.stderr);
    assert!(no.stderr.contains("nothing was taken over"), "{}", no.stderr);
    assert_eq!((tree(&users.env.openclaw()), tree(&users.state)), (home, state));

    // What is typed counts, and is not asked about.
    let yes = users
        .moves("adopt")
        .args(["--trust-loopback", "false"])
        .at_a_terminal("y\n");
    assert_eq!(yes.code, 0, "{}", yes.stderr);
    assert!(
        yes.stderr.contains("API URL") && !yes.stderr.contains("whoever listens"),
        "{}",
        yes.stderr
    );
    let record: Value = serde_json::from_slice(&fs::read(users.kept("owner-alice.json")).unwrap()).unwrap();
    assert_eq!(record.get("trust_loopback"), None);
    assert!(holds(&users.state, &token) && !holds(&users.env.openclaw(), &token));
}

/// The step that is printed works as printed, once somebody has filled in what only a person knows; what the records say is
/// shown, and is in no command.
#[test]
fn the_printed_command_takes_it_over() {
    let Some((users, token)) = logged_in() else { return };
    let output = users.moves("adopt").stdin("").expect(2);
    let (shown, step) = output.stderr.split_once("next: sigilum-authz-notify ").unwrap();
    assert!(shown.contains(&format!("API URL    {API}")), "{shown}");
    assert!(!step.contains(API), "{step}");
    assert!(step.trim().ends_with("--mode <mode> --api-url <URL>"), "{step}");
    let step = step.replace("<mode>", "managed").replace("<URL>", API);
    let words = shell_words::split(step.trim()).unwrap();
    users.env.run_program(&users.binary, words).expect(0);
    assert!(holds(&users.state, &token) && !holds(&users.env.openclaw(), &token));
}

/// A login, beside a third user's that a link could lead to.
fn with_a_victim() -> Option<(ThreeUsers, String)> {
    let (users, token) = logged_in()?;
    let theirs = users.add_victim();
    assert_ne!(theirs, token);
    Some((users, theirs))
}

/// What cannot be believed is made anew by its user, in their home.
#[test]
fn what_is_to_be_made_anew_is_its_users() {
    for (name, text) in [("owner-token-alice.jwt", None), ("owner-alice.json", Some("{"))] {
        let Some((users, _)) = logged_in() else { return };
        let file = users.env.sigilum(name);
        match text {
            Some(text) => fs::write(&file, text).unwrap(),
            None => {
                fs::remove_file(&file).unwrap();
                symlink("/dev/null", &file).unwrap();
            }
        }
        let told = users.moves("adopt").args(TYPED).expect(1).stderr;
        let step = format!(
            "rm {} && sudo -u nobody sigilum-authz-notify auth login",
            file.display()
        );
        let home = format!("--openclaw-home {}", users.env.openclaw().display());
        assert!(told.contains(&step) && told.contains(&home), "{told}");
    }
}

/// The flags stand before the words behind the command.
#[test]
fn a_record_that_cannot_be_read_is_made_anew_by_the_step() {
    let Some((users, token)) = logged_in() else { return };
    let hook = users.env.sigilum("hook.json");
    fs::write(&hook, r#"{"broker": {"socket": "/agents.sock", "uid": 1},"#).unwrap();
    let told = users.moves("adopt").args(TYPED).expect(1);
    let step = format!(
        " hook install --openclaw-home {}; give --broker, ",
        users.env.openclaw().display()
    );
    // What an agent may have written is in no command.
    assert!(
        told.step().contains(&step) && !told.step().contains("agents.sock"),
        "{told:#?}"
    );
    users.carry_out(&told).expect(0);
    assert_eq!(fs::metadata(&hook).unwrap().uid(), STRANGER);
    users.moves("adopt").args(TYPED).expect(0);
    assert!(holds(&users.state, &token) && !holds(&users.env.openclaw(), &token));
}

#[test]
fn root_moves_with_all_that_was_typed() {
    let Some((users, token)) = logged_in() else { return };
    let typed = [
        "--namespace",
        "alice",
        "--trust-loopback",
        "false",
        "--token-command",
        "",
    ];
    let run = users
        .root("broker")
        .args(["adopt".as_ref(), users.env.openclaw().as_os_str()]);
    let run = run.args(TYPED).args(typed).env("STATE_DIRECTORY", &users.state);
    let told = run.by_user(STRANGER, &[STRANGER]).expect(2);
    users.carry_out(&told).expect(0);
    assert!(holds(&users.state, &token));
    let told = users
        .moves("release")
        .args(["--namespace", "alice"])
        .by_user(BROKER, &[BROKER])
        .expect(2);
    assert!(told.step().ends_with(" --namespace alice"), "{told:#?}");
    users.carry_out(&told).expect(0);
    assert!(!holds(&users.state, &token));
}

/// A home that asks a broker takes no login before it asks none.
#[test]
fn where_the_broker_has_no_login_either_the_home_takes_one_by_the_step() {
    for left in ["owner-token-alice.jwt", "owner-alice.json"] {
        let Some((users, token)) = logged_in() else { return };
        users.moves("adopt").args(TYPED).expect(0);
        let hook = users.env.sigilum("hook.json");
        let mut record: Value = serde_json::from_slice(&fs::read(&hook).unwrap()).unwrap();
        record["broker"] = json!({"socket": "/nowhere.sock", "uid": BROKER});
        fs::write(&hook, record.to_string()).unwrap();
        for name in ["owner-token-alice.jwt", "owner-alice.json"] {
            if name == left || left == "owner-alice.json" {
                fs::remove_file(users.kept(name)).unwrap();
            }
        }
        let told = users.moves("release").expect(4);
        // Which kind of login that is to be, it says itself.
        let login = users.carry_out(&told).output();
        assert!(
            login.code == 4 && login.step().contains(" auth login --mode "),
            "{told:#?} {login:#?}"
        );
        let words = "auth login --mode managed --namespace alice --owner-token-stdin --no-check --print-token false";
        let login = users.gateway(words).args(["--api-url", API]);
        login.stdin(token).expect(0);
    }
}

/// Nobody is trusted by root's word in another user's home.
#[test]
fn a_home_below_another_users_folder_is_moved_first() {
    let Some((users, token)) = logged_in() else { return };
    let (home, theirs) = (users.env.openclaw(), users.env.home().join("theirs"));
    fs::create_dir(&theirs).unwrap();
    give(&theirs, VICTIM);
    chmod(&theirs, 0o755);
    fs::rename(&home, theirs.join("oc")).unwrap();
    let adopt = |home: &Path| {
        let run = users
            .root("broker")
            .args(["adopt".as_ref(), home.as_os_str()])
            .args(TYPED);
        run.args(["--state".as_ref(), users.state.as_os_str()])
    };
    let told = adopt(&theirs.join("oc")).env("SIGILUM_TRUST_HOME", "1").expect(1);
    assert_eq!(
        told.step(),
        "move it to where only root and its user can write, and name it there"
    );
    fs::rename(theirs.join("oc"), &home).unwrap();
    adopt(&home).expect(0);
    assert!(holds(&users.state, &token));
}

/// However the home is written: a link that its user put there leads nowhere.
#[test]
fn a_link_leads_to_nobody_elses_home() {
    for (link, to, typed) in LINKS {
        for verb in ["adopt", "release"] {
            let Some((users, token)) = with_a_victim() else { return };
            let agents = users.env.home().join("agents");
            symlink(users.env.home().join(to), agents.join(link)).unwrap();
            give(&agents, STRANGER);
            let victim = users.env.home().join("victim");
            let before = tree(&victim);
            let run = users
                .root("broker")
                .args([verb.as_ref(), agents.join(typed).as_os_str()]);
            let run = run.args(["--state".as_ref(), users.state.as_os_str()]);
            let output = if verb == "adopt" { run.args(TYPED) } else { run }.output();
            let all = text(&output);
            assert!(
                output.code == 2 && all.contains("symbolic link"),
                "{verb} {typed}: {all}"
            );
            assert!(
                tree(&victim) == before && !holds(&users.state, &token),
                "{verb} {typed}"
            );
        }
    }
}

/// The home's user swaps it for a link, time and again, while root takes the login over.
#[test]
fn a_home_that_is_swapped_meanwhile_gives_nothing_of_others() {
    for _ in 0..40 {
        let Some((users, token)) = with_a_victim() else { return };
        let (home, link) = (users.env.openclaw(), users.env.home().join("agents/oc"));
        let agents_home = users.env.home().join("agents/.openclaw");
        fs::rename(&home, &agents_home).unwrap();
        symlink(users.env.home().join("victim/.openclaw"), &link).unwrap();
        give(&users.env.home().join("agents"), STRANGER);
        let victim = users.env.home().join("victim");
        let before = tree(&victim);
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (cwd, swap) = (rustix::fs::CWD, rustix::fs::RenameFlags::EXCHANGE);
                while !over.load(Ordering::Relaxed) {
                    rustix::fs::renameat_with(cwd, &agents_home, cwd, &link, swap).unwrap();
                }
            });
            let run = users.root("broker").args(["adopt".as_ref(), agents_home.as_os_str()]);
            let run = run.args(["--state".as_ref(), users.state.as_os_str()]).args(TYPED);
            run.output();
            over.store(true, Ordering::Relaxed);
        });
        assert!(tree(&victim) == before && !holds(&users.state, &token));
    }
}

/// What cannot be taken out of the config is found before the token is anywhere else.
#[test]
fn a_config_that_would_keep_the_token_is_refused_before_anything_changes() {
    type Plant = fn(&ThreeUsers);
    let plants: [(&str, Plant); 2] = [
        ("included.json5", |users| {
            let config = users.env.config();
            fs::rename(&config, users.env.openclaw().join("included.json5")).unwrap();
            fs::write(&config, r#"{"$include": "./included.json5"}"#).unwrap();
        }),
        ("openclaw.json", |users| {
            let config = users.env.config();
            fs::remove_file(&config).unwrap();
            let made = std::process::Command::new("mkfifo").arg(&config).status();
            assert!(made.unwrap().success());
        }),
    ];
    for (named, plant) in plants {
        let Some((users, token)) = logged_in() else { return };
        plant(&users);
        users.give_home();
        let output = users.moves("adopt").args(TYPED).output();
        let all = text(&output);
        assert!(output.code == 3 && all.contains(named), "{}: {all}", output.code);
        assert!(tree(&users.state).is_empty(), "{all}");
        assert_eq!(users.env.stored().as_ref(), Some(&token));
        if named == "included.json5" {
            assert_eq!(output.step(), "take it out there, then run the command again");
            let file = users.env.openclaw().join(named);
            let without = fs::read_to_string(&file).unwrap().replace(&token, "");
            fs::write(file, without).unwrap();
            users.moves("adopt").args(TYPED).expect(0);
        }
    }
}

/// Whoever could edit the record made a login of one kind look like one of the other: the signing secret that they know
/// would stay in force, or a hosted token be given up for one that nobody accepts.
#[test]
fn neither_kind_of_login_becomes_the_other_unasked() {
    let edit = |users: &ThreeUsers, member: &str, value: &str| {
        let record = users.env.sigilum("owner-alice.json");
        let mut recorded: Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
        recorded[member] = json!(value);
        fs::write(&record, recorded.to_string()).unwrap();
    };
    let Some((users, token)) = logged_in() else { return };
    edit(&users, "mode", "oss-local");
    edit(&users, "email", "somebody@else");
    let output = users.moves("adopt").args(["--api-url", API]).expect(2);
    assert!(
        output.stderr.contains("type what is right: --mode"),
        "{}",
        output.stderr
    );
    assert!(holds(&users.env.openclaw(), &token) && !users.kept("owner-alice.json").exists());
    users.moves("adopt").args(TYPED).expect(0);
    assert!(holds(&users.state, &token) && !users.kept("jwt-secret").exists());
    // Nobody is asked about the e-mail of a hosted login, and so it is not taken either.
    assert!(!holds(&users.state, "somebody@else"));

    let Some(users) = ThreeUsers::new() else { return };
    users.env.login().args(["--token-in-config", "false"]).expect(0);
    let old = users.env.stored().unwrap();
    edit(&users, "mode", "managed");
    edit(&users, "email", "somebody@else");
    users.give_home();
    let typed = |more: &[&str]| {
        let run = users.moves("adopt").args(["--api-url", "http://127.0.0.1:8787"]);
        run.args(more).output()
    };
    for (more, asked) in [(&[][..], "--mode"), (&["--mode", "oss-local"], "--email")] {
        let output = typed(more);
        let told = format!("type what is right: {asked}\n");
        assert!(output.code == 2 && output.stderr.contains(&told), "{}", output.stderr);
        assert!(!users.kept("owner-alice.json").exists());
    }
    assert_eq!(typed(&["--mode", "oss-local", "--email", "alice@home"]).code, 0);
    assert!(users.kept("jwt-secret").exists() && !holds(&users.state, &old));
    let record: Value = serde_json::from_slice(&fs::read(users.kept("owner-alice.json")).unwrap()).unwrap();
    assert_eq!(
        (&record["email"], &record["mode"]),
        (&json!("alice@home"), &json!("oss-local"))
    );
}

/// What a user puts into their home has root take nothing that is root's.
#[test]
fn no_link_is_followed_and_only_a_token_is_taken() {
    for (name, plant) in PLANTS {
        let Some((users, _)) = logged_in() else { return };
        let roots_token = managed_token("alice", 7200);
        let roots = users.env.write("root/owner-token-alice.jwt", &roots_token);
        plant(&users, &roots);
        let output = users.moves("adopt").args(TYPED).output();
        let all = text(&output);
        assert!(output.code != 0 && !all.contains("panicked"), "{name}: {all}");
        assert!(!all.contains(&roots_token), "{name}");
        assert!(!users.kept("owner-token-alice.jwt").exists(), "{name}: {all}");
        assert_eq!(fs::read_to_string(&roots).unwrap(), roots_token, "{name}");
        assert!(all.contains("\n  next: "), "{name}: {all}");
    }
}

#[test]
fn a_token_that_the_broker_has_is_not_replaced_by_what_stands_in_the_home() {
    let Some((users, token)) = logged_in() else { return };
    users.moves("adopt").args(TYPED).expect(0);
    let forged = managed_token("alice", 99_000);
    users.plant_login(&forged, API);
    let output = users.moves("adopt").args(TYPED).expect(0);
    assert!(
        output.stderr.contains("in force already, and keeps it"),
        "{}",
        output.stderr
    );
    assert!(holds(&users.state, &token) && !holds(&users.state, &forged));
}

/// Once the broker has the login, an agent puts one of its own into the home: the broker's is the one that is good.
#[test]
fn what_an_agent_put_into_the_home_does_not_cost_the_brokers_token() {
    for life in [60, 99_000] {
        let Some((users, token)) = logged_in() else { return };
        users.moves("adopt").args(TYPED).expect(0);
        let forged = managed_token("alice", life);
        users.plant_login(&forged, "http://127.0.0.1:1");
        let output = users.moves("release").expect(0);
        assert!(output.stderr.contains("another token of alice"), "{}", output.stderr);
        assert!(!holds(&users.state, &token));
        assert_eq!(users.env.stored(), Some(token));
    }
}

/// Another login whose record cannot be read may be one that the secret signs for.
#[test]
fn a_signing_secret_that_another_login_may_use_stays() {
    let Some(users) = ThreeUsers::new() else { return };
    users.env.login().args(["--token-in-config", "false"]).expect(0);
    users.env.write(".openclaw/.sigilum/owner-bob.json", "{ broken");
    users.give_home();
    let typed = ["--mode", "oss-local", "--api-url", "http://127.0.0.1:8787"];
    let adopt = users.moves("adopt").args(["--namespace", "alice"]).args(typed);
    let told = adopt.expect(0).stderr;
    let secret = users.env.sigilum("jwt-secret");
    let says = format!("{} stays, it may sign the tokens of bob: ", secret.display());
    assert!(told.contains(&says) && secret.exists(), "{told}");
}

/// Its record names the broker, which has the login no more.
#[test]
fn a_home_that_asks_a_broker_is_told_how_to_ask_it_no_more() {
    let Some((users, _)) = logged_in() else { return };
    users.moves("adopt").args(TYPED).expect(0);
    let file = users.env.sigilum("hook.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    record["broker"] = json!({"socket": "/run/x/broker.sock", "uid": BROKER});
    fs::write(&file, record.to_string()).unwrap();
    let released = users.moves("release").expect(0).stdout;
    let (_, step) = released.split_once("It asks the broker all the same, until: ").unwrap();
    users.shell(step.trim()).expect(0);
    let record: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(record.get("broker"), None);
    users.gateway("auth status").expect(0);
    let again = users.moves("adopt").args(TYPED).expect(0);
    let back = users.moves("release").expect(0).stdout;
    assert!(!back.contains("asks the broker"), "{again:?} {back}");
}

#[test]
fn the_token_leaves_a_config_that_lies_in_the_home_under_another_name() {
    let Some((users, token)) = logged_in() else { return };
    let config = users.env.openclaw().join("work.json");
    fs::rename(users.env.config(), &config).unwrap();
    assert!(fs::read_to_string(&config).unwrap().contains(&token));
    let file = users.env.sigilum("hook.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    record["config"] = json!("work.json");
    fs::write(&file, record.to_string()).unwrap();
    users.moves("adopt").args(TYPED).expect(0);
    assert!(!fs::read_to_string(&config).unwrap().contains(&token));
}

#[test]
fn an_embedded_database_gets_a_new_signing_secret() {
    let Some(users) = ThreeUsers::new() else { return };
    users.env.login().args(["--token-in-config", "false"]).expect(0);
    let (old_secret, old_token) = (users.env.secret(), users.env.stored().unwrap());
    users.give_home();
    let typed = ["--mode", "oss-local", "--api-url", "http://127.0.0.1:8787"];
    users.moves("adopt").args(typed).expect(0);
    let secret = fs::read_to_string(users.kept("jwt-secret")).unwrap();
    let token = fs::read_to_string(users.kept("owner-token-alice.jwt")).unwrap();
    assert!(secret.trim() != old_secret && token.trim() != old_token);
    for (name, owner, _) in tree(&users.state) {
        assert_eq!(owner, BROKER, "{name}");
    }
    assert!(!holds(&users.state, &old_secret) && !holds(&users.state, &old_token));
    assert!(!holds(&users.env.openclaw(), &old_secret) && !holds(&users.env.openclaw(), &old_token));
    // The broker's user can renew it.
    users
        .broker("auth refresh --namespace alice --no-check --print-token false")
        .expect(0);
    users.moves("release").expect(0);
    assert!(!users.kept("jwt-secret").exists());
    users
        .gateway("auth refresh --namespace alice --no-check --print-token false")
        .expect(0);
}

#[test]
fn it_says_where_a_broker_protects_nothing() {
    let Some(users) = ThreeUsers::new() else { return };
    let checkout = FakeCheckout::new(&users.env);
    let root = checkout.root.to_str().unwrap().to_owned();
    let login = users
        .env
        .login()
        .args(["--source-home", &root, "--token-in-config", "false"]);
    login.expect(0);
    give(&checkout.root, STRANGER);
    users.give_home();
    let adopt = || {
        let typed = ["--mode", "oss-local", "--api-url", "http://127.0.0.1:8787"];
        let run = users.moves("adopt").args(typed);
        run.args(["--source-home", &root])
    };
    let output = adopt().expect(2);
    let told = "a broker protects nothing where the local API is not its own user's";
    assert!(output.stderr.contains(told), "{}", output.stderr);
    assert!(users.env.stored().is_some() && !users.kept("owner-token-alice.jwt").exists());

    // The broker's own by the step, which the gateway's user may read and write all the same.
    users.env.carry_out(&output).expect(0);
    chmod(&checkout.root, 0o755);
    for folder in ["apps", "apps/api"] {
        chmod(checkout.root.join(folder), 0o755);
    }
    chmod(checkout.api(".dev.vars"), 0o644);
    chmod(checkout.db(), 0o666);
    let all = text(&adopt().expect(0));
    assert!(!all.contains(JWT_SECRET));
    for told in [
        "nobody, and so its agents, can read the signing secret",
        "refused to use the Sigilum checkout",
    ] {
        let told = format!("the broker protects nothing here: {told}");
        assert!(all.contains(&told), "{told}: {all}");
    }
    chmod(checkout.db(), 0o600);
    give(&checkout.db(), STRANGER);
    users.moves("release").expect(0);
    let all = text(&adopt().expect(0));
    assert!(all.contains("belongs to another user (uid 65534)"), "{all}");
    give(&checkout.db(), BROKER);
    users.moves("release").expect(0);
    // Nobody else's at all.
    chmod(checkout.api(".dev.vars"), 0o600);
    chmod(checkout.db(), 0o600);
    users.moves("adopt").expect(2);
    let all = text(&adopt().expect(0));
    assert!(!all.contains("protects nothing"), "{all}");
}

#[test]
fn no_program_that_agents_can_change_is_taken_over() {
    let Some((users, token)) = logged_in() else { return };
    let program = users.env.write("bin/get-token", "#!/bin/sh\n");
    chmod(&program, 0o755);
    chmod(program.parent().unwrap(), 0o755);
    let command = program.to_str().unwrap().to_owned();
    let hook = users.env.sigilum("hook.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&hook).unwrap()).unwrap();
    record["env"] = json!({"SIGILUM_OWNER_TOKEN_COMMAND": command});
    fs::write(&hook, record.to_string()).unwrap();
    give(&program, STRANGER);
    let adopt = |more: &[&str]| users.moves("adopt").args(TYPED).args(more).output();
    for more in [
        &[][..],
        &["--token-command", &command],
        &["--token-command", "get-token"],
    ] {
        let output = adopt(more);
        // One without a folder is looked for where a service finds its programs.
        let is_refused = output.code == 2 || more == ["--token-command", "get-token"];
        assert!(is_refused, "{more:?}: {}", text(&output));
        if output.code == 2 {
            assert!(output.stderr.contains("could change what it runs"), "{}", output.stderr);
            assert!(!users.kept("owner-token-alice.jwt").exists());
        }
        if output.code == 0 {
            users.moves("release").expect(0);
            fs::write(&hook, record.to_string()).unwrap();
        }
    }
    give(&program, 0);
    assert_eq!(adopt(&["--token-command", &command]).code, 0);
    assert!(holds(&users.state, &token));
    let kept: Value = serde_json::from_slice(&fs::read(users.kept("hook.json")).unwrap()).unwrap();
    assert_eq!(kept["env"]["SIGILUM_OWNER_TOKEN_COMMAND"], json!(command));
}

#[test]
fn only_root_moves_and_only_between_two_users() {
    let Some((users, _)) = logged_in() else { return };
    let (home, state) = (users.env.openclaw(), users.state.clone());
    for verb in ["adopt", "release"] {
        let as_user = users.moves(verb).by_user(STRANGER, &[STRANGER]).expect(2);
        let step = format!("next: sudo sigilum-authz-notify broker {verb} {}", home.display());
        assert!(as_user.stderr.contains(&step), "{}", as_user.stderr);
        let unnamed = users.root("broker").args([verb.as_ref(), home.as_os_str()]).expect(2);
        assert!(unnamed.stderr.contains("add --state"), "{}", unnamed.stderr);
        for (owner, told) in [(0, "it is root's"), (STRANGER, "whose agents it is to be kept from")] {
            give(&state, owner);
            let output = users.moves(verb).expect(2);
            assert!(output.stderr.contains(told), "{}", output.stderr);
        }
        give(&state, BROKER);
    }
    give(&home, 0);
    let output = users.moves("adopt").args(TYPED).expect(2);
    assert!(
        output.stderr.contains("the OpenClaw home is root's"),
        "{}",
        output.stderr
    );
    users.give_home();
    users.moves("adopt").args(TYPED).expect(0);
    // What is not there is made, or named.
    fs::rename(&state, users.env.home().join("moved")).unwrap();
    let output = users.moves("adopt").expect(2);
    let step = format!("install -d -m 700 -o <broker-user> {}", state.display());
    assert!(output.stderr.contains(&step), "{}", output.stderr);
    let user = BROKER.to_string();
    users.env.shell(&step.replace("<broker-user>", &user)).expect(0);
    let made = users.moves("adopt").args(TYPED).expect(4);
    assert!(made.stderr.contains("could not find a login"), "{}", made.stderr);
    fs::rename(&home, users.env.home().join("moved home")).unwrap();
    let output = users.moves("adopt").expect(2);
    assert!(
        output.stderr.contains("next: name the OpenClaw home"),
        "{}",
        output.stderr
    );
}

/// Once more, and where there is nothing: it is said who logs in where.
#[test]
fn where_there_is_no_login_the_step_is_one() {
    let Some((users, _)) = logged_in() else { return };
    let (home, state) = (users.env.openclaw(), users.state.clone());
    users.moves("adopt").args(TYPED).expect(0);
    let again = users.moves("adopt").args(TYPED).expect(4).stderr;
    let step = format!(" auth status --openclaw-home {}", state.display());
    assert!(again.contains("has that of alice") && again.contains(&step), "{again}");
    users.moves("release").expect(0);
    let again = users.moves("release").expect(4).stderr;
    let step = format!(" auth status --openclaw-home {}", home.display());
    assert!(again.contains("has that of alice") && again.contains(&step), "{again}");
    fs::remove_file(users.env.sigilum("owner-token-alice.jwt")).unwrap();
    let none = users.moves("adopt").args(TYPED).expect(4).stderr;
    let step = format!(" auth login --namespace alice --openclaw-home {}", state.display());
    assert!(none.contains(&step), "{none}");
    let login = users
        .broker(step.split_once(" --openclaw-home").unwrap().0.trim())
        .expect(4);
    let step = env::command_of(login.step());
    let words = step.strip_prefix("sigilum-authz-notify ").unwrap();
    let words = words.split_once(" --openclaw-home").unwrap().0;
    let login = users.broker(words).args(["--api-url", API, "--no-check"]);
    login.stdin(managed_token("alice", 3600)).expect(0);
    users.moves("adopt").args(TYPED).expect(0);
    let Some((users, _)) = logged_in() else { return };
    let state = users.state.clone();
    for name in ["owner-token-alice.jwt", "owner-alice.json"] {
        fs::remove_file(users.env.sigilum(name)).unwrap();
    }
    users.env.write_config("{}");
    users.give_home();
    let none = users.moves("adopt").args(TYPED).expect(4).stderr;
    let step = format!(" auth login --openclaw-home {}", state.display());
    assert!(none.contains(&step), "{none}");
}

/// A home of 0.1.0: the token stands in the entry, and no record says whose it is.
#[test]
fn a_token_without_a_record_is_taken_over_for_the_namespace_that_is_typed() {
    let Some((users, token)) = logged_in() else { return };
    fs::remove_dir_all(users.env.openclaw().join(".sigilum")).unwrap();
    let untold = users.moves("adopt").args(TYPED).expect(4).stderr;
    assert!(untold.contains("next: add --namespace <owner>"), "{untold}");
    users
        .moves("adopt")
        .args(TYPED)
        .args(["--namespace", "alice"])
        .expect(0);
    assert!(holds(&users.state, &token));
    assert_ne!(users.env.in_config(), Some(token));
}

#[test]
fn what_the_records_say_wrongly_is_typed() {
    let Some((users, token)) = logged_in() else { return };
    let no = users.moves("adopt").at_a_terminal("n\n");
    let step =
        "next: give what is right with --api-url and the other flags of: sigilum-authz-notify broker adopt --help";
    assert!(no.code == 1 && no.stderr.contains(step), "{no:#?}");
    let help = step.rsplit(": ").next().unwrap();
    assert!(users.env.shell(help).expect(0).stdout.contains("--api-url"));
    users.moves("adopt").args(TYPED).expect(0);
    assert!(holds(&users.state, &token));
    // An address that is none.
    let Some((users, token)) = logged_in() else { return };
    let none = users
        .moves("adopt")
        .args(["--mode", "managed", "--api-url", "ftp://x"])
        .expect(2);
    assert_eq!(none.step(), "give it with --api-url");
    users.moves("adopt").args(TYPED).expect(0);
    assert!(holds(&users.state, &token));
}

/// One at a time, each by its name.
#[test]
fn of_several_logins_one_is_named() {
    let Some((users, _)) = logged_in() else { return };
    let bob = managed_token("bob", 3600);
    users.env.write(".openclaw/.sigilum/owner-token-bob.jwt", &bob);
    users.env.write(
        ".openclaw/.sigilum/owner-bob.json",
        json!({"mode": "managed", "api_url": API, "email": "b@x"}).to_string(),
    );
    users.give_home();
    let output = users.moves("adopt").args(TYPED).expect(2);
    assert!(output.stderr.contains("alice, bob"), "{}", output.stderr);
    for namespace in ["alice", "bob"] {
        users
            .moves("adopt")
            .args(TYPED)
            .args(["--namespace", namespace])
            .expect(0);
        assert!(users.kept(&format!("owner-token-{namespace}.jwt")).exists());
    }
    assert!(!holds(&users.env.openclaw(), &bob));
}
