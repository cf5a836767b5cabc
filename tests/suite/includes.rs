//! What each command does where the config includes other files, or cannot be written.

use crate::env::{Output, TestEnv, mode};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

const HOOK: &str = "sigilum-authz-notify";

/// A login that puts the token into openclaw.json, if that may be.
const ON: [&str; 4] = ["--enable-authz-notify", "true", "--token-in-config", "true"];

const LOGOUT: [&str; 4] = ["auth", "logout", "--namespace", "alice"];

fn home(files: &[(&str, &str)]) -> TestEnv {
    let env = TestEnv::new();
    for (name, text) in files {
        env.write(Path::new(".openclaw").join(name), text);
    }
    env
}

fn token(env: &TestEnv) -> String {
    fs::read_to_string(env.sigilum("owner-token-alice.jwt"))
        .unwrap()
        .trim()
        .to_owned()
}

fn read(env: &TestEnv, name: &str) -> String {
    fs::read_to_string(env.openclaw().join(name)).unwrap()
}

/// The files that hold this text.
fn holders(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holders(&path, text));
        } else if fs::read(&path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The patch in an output.
#[track_caller]
fn patch(output: &Output) -> Vec<Value> {
    let text = &output.stdout[output.stdout.find("it needs:\n").unwrap() + "it needs:\n".len()..];
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Vec<Value>>();
    values.next().unwrap().unwrap()
}

/// What a person does with it.
#[track_caller]
fn apply(output: &Output, config: &mut Value) {
    let patch: json_patch::Patch = serde_json::from_value(patch(output).into()).unwrap();
    json_patch::patch(config, &patch).unwrap();
}

fn handler(env: &TestEnv) -> bool {
    env.openclaw().join("hooks").join(HOOK).join("handler.js").exists()
}

/// OpenClaw refuses a config as a whole where a file that it includes cannot be read, wherever that stands.
#[test]
fn an_include_elsewhere_that_cannot_be_read_is_told_and_nothing_is_set_up() {
    for (main, broken, why) in [
        (
            r#"{agents: {$include: "./none.json"}}"#,
            None,
            "could not find the file that the config includes",
        ),
        (
            r#"{agents: {list: [{$include: "./bad.json"}]}}"#,
            Some("{ a: 1 b: 2 }"),
            "bad.json",
        ),
    ] {
        let env = home(&[("openclaw.json", main)]);
        if let Some(text) = broken {
            env.write(".openclaw/bad.json", text);
        }
        for command in [
            env.login(),
            env.run(["hook", "install"]).env("SIGILUM_NAMESPACE", "alice"),
        ] {
            let refused = command.expect(3).stderr;
            assert!(
                refused.contains("OpenClaw refuses all of it: ") && refused.contains(why),
                "{refused}"
            );
            assert!(refused.contains("openclaw config validate"), "{refused}");
            assert!(!env.sigilum("").exists());
            assert_eq!(fs::read_to_string(env.config()).unwrap(), main);
        }
        for command in [
            &["doctor"][..],
            &["hook", "status"],
            &["auth", "status", "--namespace", "alice"],
        ] {
            let output = env.run(command).env("SIGILUM_NAMESPACE", "alice").expect(3);
            let told = output.stdout + &output.stderr;
            assert_eq!(told.matches("OpenClaw refuses all of it: ").count(), 1, "{told}");
        }
        // What is not of the config goes on, and so does whatever takes us out of it.
        env.login().args(["--write-openclaw", "false"]).expect(0);
        env.run(["auth", "refresh", "--print-token", "false"]).expect(0);
        env.run(["hook", "uninstall", "--purge"]).expect(0);
        assert!(!env.sigilum("").exists());
    }
}

/// What OpenClaw 2026.9.6 says of each was seen: it refuses the whole config.
#[test]
fn an_include_elsewhere_that_breaks_a_rule_of_openclaws_is_told_and_nothing_is_set_up() {
    let large = format!("{{a: '{}'}}", "x".repeat(2 * 1024 * 1024));
    let chain: Vec<String> = (1..=11).map(|next| format!("{{$include: './{next}.json'}}")).collect();
    let table = [
        (
            "'./a.json'",
            "{$include: './a.json'}",
            "files include each other too deep: ",
        ),
        (
            "'./a.json'",
            "{b: [{$include: './a.json'}]}",
            "files include each other too deep: ",
        ),
        ("'./0.json'", "{}", "files include each other too deep: "),
        ("5", "{}", "the include is not a file name: "),
        ("['./a.json', 5]", "{}", "the include is not a file name: "),
        (
            "'./a.json', b: 1",
            "[1]",
            "members stand beside an include of something that is no object: ",
        ),
        ("'./a.json'", &large, "a file of more than 2097152 bytes, "),
    ];
    for (include, included, why) in table {
        let main = format!("{{messages: {{$include: {include}}}}}");
        let env = home(&[("openclaw.json", &main), ("a.json", included), ("11.json", "{}")]);
        for (number, text) in chain.iter().enumerate() {
            env.write(format!(".openclaw/{number}.json"), text);
        }
        for command in [
            env.login(),
            env.run(["hook", "install"]).env("SIGILUM_NAMESPACE", "alice"),
            env.run(["doctor"]),
        ] {
            let output = command.expect(3);
            let told = output.stdout + &output.stderr;
            assert!(
                told.contains("OpenClaw refuses all of it: ") && told.contains(why),
                "{main}: {told}"
            );
            assert!(!env.sigilum("").exists(), "{main}");
            assert_eq!(read(&env, "openclaw.json"), main);
        }
        env.login().args(["--write-openclaw", "false"]).expect(0);
        env.run(LOGOUT).expect(0);
        env.run(["hook", "uninstall", "--purge"]).expect(0);
        assert!(!env.sigilum("").exists());
    }
}

/// What OpenClaw takes is refused nowhere: ten files deep, a file at two places, a list at an include's place.
#[test]
fn includes_elsewhere_that_openclaw_takes_are_taken() {
    let main =
        "{agents: {$include: []}, messages: [{$include: './1.json'}, {$include: './9.json'}, {$include: './10.json'}]}";
    let env = home(&[("openclaw.json", main), ("10.json", "[1]")]);
    for number in 1..10 {
        env.write(
            format!(".openclaw/{number}.json"),
            format!("{{$include: './{}.json'}}", number + 1),
        );
    }
    env.login().args(ON).expect(0);
    assert!(read(&env, "openclaw.json").contains("SIGILUM_OWNER_TOKEN"));
    env.run(["hook", "install"]).expect(0);
    env.run(["hook", "uninstall"]).expect(0);
    assert_eq!(read(&env, "openclaw.json"), main);
}

/// Our own records are no place for a part of the config, whatever leads there.
#[test]
fn what_we_keep_is_never_edited_as_a_config() {
    const GOOD: &str = "{gateway: {mode: 'local'}}";
    let names = [
        "undo.json",
        "hook.json",
        "owner-alice.json",
        "installed.json",
        "approvals.json",
    ];
    for (key, kind) in [("hooks", "hook"), ("plugins", "plugin")] {
        for name in names {
            let env = home(&[("openclaw.json", GOOD)]);
            env.login().expect(0);
            env.run(["hook", "install"]).expect(0);
            let file = env.sigilum(name);
            if !file.exists() {
                env.write(format!(".openclaw/.sigilum/{name}"), "{}");
                fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            }
            let good = read(&env, "openclaw.json");
            let main = format!("{{gateway: {{mode: 'local'}}, {key}: {{$include: './.sigilum/{name}'}}}}");
            env.write_config(&main);
            let output = env.run(["hook", "install", "--as", kind]).expect(0);
            let says = format!(
                "openclaw.json still needs a change: it includes {}, one of this",
                file.canonicalize().unwrap().display()
            );
            assert!(output.stderr.contains(&says), "{name}: {}", output.stderr);
            assert!(!patch(&output).is_empty());
            let now = fs::read_to_string(&file).unwrap();
            assert!(
                !now.contains("\"entries\"") && !now.contains("\"load\""),
                "{name}: {now}"
            );
            assert_eq!(read(&env, "openclaw.json"), main);
            // A record of edits by a version that wrote there keeps nothing back.
            let undo = fs::read_to_string(env.sigilum("undo.json")).unwrap();
            let of_ours = undo.replace("\"openclaw.json\"", &format!("\".sigilum/{name}\""));
            assert_ne!(undo, of_ours);
            env.write(".openclaw/.sigilum/undo.json", of_ours);
            env.write_config(good);
            env.run(["hook", "uninstall"]).expect(0);
            assert!(!env.sigilum("undo.json").exists() && !handler(&env));
            env.run(["hook", "uninstall", "--purge"]).expect(0);
        }
    }
    let env = home(&[("openclaw.json", GOOD)]);
    env.login().expect(0);
    env.run(["hook", "install"]).expect(0);
    let record = fs::read_to_string(env.sigilum("hook.json")).unwrap();
    fs::remove_file(env.config()).unwrap();
    symlink(".sigilum/hook.json", env.config()).unwrap();
    for args in [&["hook", "install"][..], &["hook", "uninstall"], &["doctor"]] {
        let output = env.run(args).expect(3);
        let told = output.stdout + &output.stderr;
        assert!(told.contains("it leads to one of this program's own files, "), "{told}");
        assert!(
            told.contains("next: let it lead to another file, or name another one"),
            "{told}"
        );
    }
    env.login().args(ON).expect(3);
    assert_eq!(fs::read_to_string(env.sigilum("hook.json")).unwrap(), record);
    env.run(LOGOUT).expect(0);
    fs::remove_file(env.config()).unwrap();
    env.run(["hook", "uninstall", "--purge"]).expect(0);
    assert!(!env.sigilum("").exists());
}

/// H3: where OpenClaw lays files over each other, every command works, and all that an include holds stays as it was.
#[test]
fn beside_an_include_every_command_works() {
    let table = [
        r#"{"$include": ["./base.json"], "gateway": {"mode": "local"}}"#,
        r#"{"$include": "./base.json"} // mine"#,
        r#"{hooks: {$include: ['./base.json', './more.json']}}"#,
        r#"{hooks: {$include: './base.json', path: '/x'}, gateway: {mode: 'local'}}"#,
    ];
    for main in table {
        let env = home(&[("openclaw.json", main), ("base.json", "{}"), ("more.json", "{}")]);
        let shows = |on: bool| {
            let output = env.run(["hook", "status"]).output();
            assert_eq!(
                output.stdout.contains("Entry:         on"),
                on,
                "{main}: {}",
                output.stdout
            );
        };
        env.login().args(ON).expect(0);
        let first = token(&env);
        let held = [env.sigilum("owner-token-alice.jwt"), env.config()];
        assert_eq!(holders(&env.openclaw(), &first), held, "{main}");
        assert_eq!(mode(env.config()), 0o600);
        shows(true);
        env.run(["auth", "refresh", "--mode", "oss-local"])
            .args(["--ttl-seconds", "5000", "--print-token", "false"])
            .expect(0);
        assert_ne!(token(&env), first);
        assert_eq!(holders(&env.openclaw(), &token(&env)), held, "{main}");
        env.run(["hook", "install"]).expect(0);
        assert!(handler(&env));
        let last = token(&env);
        env.run(LOGOUT).expect(0);
        assert!(holders(&env.openclaw(), &last).is_empty());
        env.run(["hook", "uninstall"]).expect(0);
        assert!(!handler(&env));
        shows(false);
        assert_eq!(read(&env, "openclaw.json"), main);
        assert_eq!(
            (read(&env, "base.json"), read(&env, "more.json")),
            ("{}".to_owned(), "{}".to_owned())
        );
    }
}

/// W4 and its like: the entry may live in an include, the token stays in its file, and that is said once.
#[test]
fn no_secret_goes_into_an_included_file() {
    let ours = |inner: &str| format!(r#"{{hooks: {{internal: {{entries: {{'{HOOK}': {inner}}}}}}}}}"#);
    let table = [
        "{hooks: {$include: './workspace/notes.json'}}".to_owned(),
        "{hooks: {internal: {$include: './workspace/notes.json'}}}".to_owned(),
        "{hooks: {internal: {entries: {$include: './workspace/notes.json'}}}}".to_owned(),
        "{hooks: {internal: {$include: './nested.json'}}}".to_owned(),
        "{hooks: {internal: {$include: './link.json'}}}".to_owned(),
        ours("{$include: './workspace/notes.json'}"),
        ours("{env: {$include: './workspace/notes.json'}}"),
    ];
    for main in table {
        let env = home(&[
            ("openclaw.json", &main),
            ("workspace/notes.json", "{}"),
            ("nested.json", r#"{"$include": "./workspace/notes.json"}"#),
        ]);
        symlink("workspace/notes.json", env.openclaw().join("link.json")).unwrap();
        let said = |output: &Output| {
            (output.stdout.clone() + &output.stderr)
                .matches("token stays in its file")
                .count()
        };
        let output = env.login().args(ON).expect(0);
        assert_eq!(said(&output), 1, "{main}: {} {}", output.stdout, output.stderr);
        assert!(
            read(&env, "workspace/notes.json").contains("SIGILUM_NAMESPACE"),
            "{main}"
        );
        let alone = [env.sigilum("owner-token-alice.jwt")];
        assert_eq!(holders(&env.openclaw(), &token(&env)), alone, "{main}");
        let output = env
            .run(["auth", "refresh", "--mode", "oss-local", "--print-token", "false"])
            .expect(0);
        assert_eq!(said(&output), 1, "{main}: {}", output.stdout);
        assert_eq!(said(&env.run(["hook", "install"]).expect(0)), 1, "{main}");
        assert_eq!(holders(&env.openclaw(), &token(&env)), alone, "{main}");
        env.run(["hook", "run", "--event", "command:new"]).expect(0);
        env.run(["hook", "uninstall"]).expect(0);
        assert_eq!(
            (read(&env, "openclaw.json"), read(&env, "workspace/notes.json")),
            (main, "{}".to_owned())
        );
    }
}

/// A token that an earlier version wrote into an include is taken out of it.
#[test]
fn a_token_in_an_included_file_goes() {
    let env = home(&[
        ("openclaw.json", "{hooks: {$include: './part.json'}}"),
        ("part.json", "{}"),
    ]);
    env.login().args(["--enable-authz-notify", "true"]).expect(0);
    let old = token(&env);
    let with_it = read(&env, "part.json").replacen(
        "\"env\": {",
        &format!("\"env\": {{\"SIGILUM_OWNER_TOKEN\": \"{old}\", "),
        1,
    );
    let with_it = with_it.replacen("\"env\":{", &format!("\"env\":{{\"SIGILUM_OWNER_TOKEN\":\"{old}\","), 1);
    assert!(with_it.contains(&old), "{with_it}");
    env.write(".openclaw/part.json", with_it);
    env.login().args(ON).expect(0);
    assert!(!read(&env, "part.json").contains("SIGILUM_OWNER_TOKEN"));
}

/// Of the files of a config the one that holds the token is the one that nobody else is to read.
#[test]
fn who_may_read_the_token_is_told_of_the_file_that_it_stands_in() {
    let env = home(&[("openclaw.json", "{}")]);
    env.login().args(ON).expect(0);
    fs::rename(env.config(), env.openclaw().join("base.json")).unwrap();
    env.write(".openclaw/openclaw.json", r#"{"$include": "./base.json"}"#);
    fs::set_permissions(env.config(), fs::Permissions::from_mode(0o644)).unwrap();
    let switch = ["auth", "switch", "alice"];
    let said = |args: &[&str]| {
        let output = env.run(args).output();
        format!("{}{}", output.stdout, output.stderr)
    };
    for args in [&switch[..], &["auth", "status"]] {
        assert!(!said(args).contains("others may read"), "{}", said(args));
    }
    let base = env.openclaw().join("base.json");
    fs::set_permissions(&base, fs::Permissions::from_mode(0o604)).unwrap();
    for args in [&switch[..], &["auth", "status"]] {
        let said = said(args);
        assert!(said.contains(&format!("chmod 600 {}\n", base.display())), "{said}");
        assert_eq!(said.matches("others may read").count(), 1, "{said}");
    }
}

/// Neither where the file that openclaw.json leads to is not the owner's alone, or an agent's.
#[test]
fn no_secret_goes_where_others_or_agents_may_write() {
    let table = [
        ("shared", 0o777, "{}", Some("others may write")),
        ("shared", 0o1777, "{}", Some("others may write")),
        (
            "agents",
            0o700,
            "{agents: {defaults: {workspace: '~/agents'}}}",
            Some("workspace"),
        ),
        (
            "agents/deep",
            0o700,
            "{agents: {entries: {main: {workspace: '~/agents'}}}}",
            Some("workspace"),
        ),
        (".openclaw/workspace", 0o700, "{}", Some("workspace")),
        // As OpenClaw takes them: with variables, with blanks around, and where an agent is to work.
        (
            "agents",
            0o700,
            "{agents: {defaults: {workspace: '${HOME}/agents'}}}",
            Some("workspace"),
        ),
        (
            "agents",
            0o700,
            "{agents: {defaults: {workspace: ' ~/agents\\n'}}}",
            Some("workspace"),
        ),
        (
            "agents",
            0o700,
            "{agents: {defaults: {cwd: '~/agents'}}}",
            Some("workspace"),
        ),
        // Nobody but OpenClaw's gateway knows where these lie: here, perhaps.
        (
            "agents",
            0o700,
            "{agents: {defaults: {workspace: '${WS}'}}}",
            Some("workspace"),
        ),
        (
            "agents",
            0o700,
            "{agents: {defaults: {workspace: '$HOME/agents'}}}",
            Some("workspace"),
        ),
        (
            "agents",
            0o700,
            "{agents: {defaults: {workspace: 'agents'}}}",
            Some("workspace"),
        ),
        (
            ".openclaw/inner",
            0o700,
            "{agents: {defaults: {workspace: 'inner'}}}",
            Some("workspace"),
        ),
        (
            "agents",
            0o700,
            "{env: {HOME: '/srv'}, agents: {defaults: {workspace: '${HOME}/agents'}}}",
            Some("workspace"),
        ),
        (
            "agents",
            0o700,
            "{env: {vars: {' OPENCLAW_WORKSPACE_DIR ': 'agents'}}}",
            Some("workspace"),
        ),
        ("dotfiles", 0o700, "{}", None),
        (
            "dotfiles",
            0o700,
            "{agents: {defaults: {workspace: ' ${HOME}/agents'}}}",
            None,
        ),
        (
            "dotfiles",
            0o700,
            "{agents: {defaults: {workspace: '/srv/$${X}'}}}",
            None,
        ),
        (".openclaw/inner", 0o700, "{}", None),
    ];
    for (folder, bits, text, why) in table {
        let env = TestEnv::new();
        let target = env.write(format!("{folder}/openclaw.json"), text);
        fs::set_permissions(env.home().join(folder), fs::Permissions::from_mode(bits)).unwrap();
        fs::create_dir_all(env.openclaw()).unwrap();
        symlink(&target, env.config()).unwrap();
        let output = env.login().args(ON).expect(0);
        let in_config = fs::read_to_string(&target).unwrap().contains(&token(&env));
        assert_eq!(in_config, why.is_none(), "{folder} {bits:o}: {}", output.stdout);
        if let Some(why) = why {
            let said = output
                .stdout
                .lines()
                .find(|line| line.contains("token stays in its file"))
                .unwrap();
            assert!(said.contains(why), "{said}");
        }
        // No step asks for what can never be.
        let doctor = env.run(["doctor"]).output().stdout;
        assert!(!doctor.contains("lacks the owner token"), "{doctor}");
        assert_eq!(
            doctor.contains("as recorded; the token stays in its file, as "),
            why.is_some(),
            "{doctor}"
        );
        // The entry itself is no secret.
        assert!(fs::read_to_string(&target).unwrap().contains("SIGILUM_NAMESPACE"));
        assert!(env.config().is_symlink());
    }
}

/// What lies in an include and cannot be taken out from above: the rest is done, and the patch told.
#[test]
fn where_no_edit_is_possible_the_rest_is_done_and_the_patch_is_told() {
    let base = format!(
        r#"{{"hooks": {{"internal": {{"entries": {{"{HOOK}": {{"enabled": true, "env": {{"SIGILUM_OWNER_TOKEN": "x.y.z"}}}}}}}}}}}}"#
    );
    let main = r#"{"$include": ["./base.json"]}"#;
    let env = home(&[("openclaw.json", main), ("base.json", &base)]);
    // It is read all the same.
    let status = env.run(["hook", "status", "--json"]).output();
    let status: Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["entry"]["enabled"], true, "{status:#}");
    env.run(["hook", "install", "--namespace", "alice"]).expect(0);
    let output = env.run(["hook", "uninstall", "--force"]).expect(0);
    assert!(output.stderr.contains("comes from an include"), "{}", output.stderr);
    let needs = patch(&output);
    assert_eq!(needs[0]["op"], "remove", "{needs:?}");
    assert_eq!(read(&env, "base.json"), base);
    assert!(!handler(&env));
}

/// A config that OpenClaw cannot read is an error before anything changes; a logout does what it can.
#[test]
fn an_include_that_openclaw_cannot_read_is_an_error() {
    for main in [
        "{$include: './none.json'}",
        "{hooks: {$include: ['./broken.json']}}",
        "{hooks: {$include: '/etc/hostname'}}",
    ] {
        let env = home(&[("openclaw.json", main), ("broken.json", "{ a: 1 b: 2 }")]);
        for args in [
            &["hook", "install", "--namespace", "alice"][..],
            &["hook", "install", "--as", "plugin"],
        ] {
            let output = env.run(args).expect(3);
            assert!(output.stderr.contains("next: "), "{}", output.stderr);
        }
        env.login().expect(3);
        env.login().env("OPENCLAW_NIX_MODE", "1").expect(3);
        assert!(
            !env.sigilum("owner-token-alice.jwt").exists() && !handler(&env),
            "{main}"
        );
        env.login().args(["--write-openclaw", "false"]).expect(0);
        let output = env.run(LOGOUT).expect(0);
        assert!(
            output.stderr.contains("may still stand in openclaw.json"),
            "{}",
            output.stderr
        );
        assert!(!env.sigilum("owner-token-alice.jwt").exists() && !env.sigilum("owner-alice.json").exists());
        assert_eq!(read(&env, "openclaw.json"), main);
    }
}

/// H3 with a config that is made elsewhere: whatever its includes are like.
#[test]
fn a_config_that_is_made_elsewhere_gets_its_patch_and_the_rest_is_done() {
    for main in [
        "{}",
        r#"{"$include": ["./base.json"]}"#,
        "{hooks: {$include: './base.json'}}",
    ] {
        let env = home(&[("openclaw.json", main), ("base.json", "{}")]);
        let nix = |run: crate::env::Run| run.env("OPENCLAW_NIX_MODE", "1").expect(0);
        let output = nix(env.login().args(ON));
        assert!(
            output.stderr.contains("OPENCLAW_NIX_MODE is set\n  next: "),
            "{}",
            output.stderr
        );
        let text = serde_json::to_string(&patch(&output)).unwrap();
        // A person puts no token into a file that others keep.
        assert!(
            text.contains("SIGILUM_NAMESPACE") && !text.contains("SIGILUM_OWNER_TOKEN"),
            "{text}"
        );
        assert!(env.sigilum("owner-token-alice.jwt").exists() && env.sigilum("owner-alice.json").exists());
        let refresh = ["auth", "refresh", "--mode", "oss-local", "--print-token", "false"];
        nix(env.run(refresh));
        nix(env.run(["hook", "install"]));
        assert!(handler(&env));
        let output = nix(env.run(LOGOUT));
        assert!(
            !output.stdout.contains("overwritten") && !output.stderr.contains("still holds"),
            "{output:?}"
        );
        assert!(!env.sigilum("owner-token-alice.jwt").exists());
        nix(env.run(["hook", "uninstall"]));
        assert!(!handler(&env));
        assert_eq!(
            (read(&env, "openclaw.json"), read(&env, "base.json")),
            (main.to_owned(), "{}".to_owned())
        );
    }
}

/// H3: the patch that is printed is the one that is needed.
#[test]
fn a_patch_that_a_person_applied_is_asked_for_no_more() {
    let env = home(&[("openclaw.json", "{}")]);
    let login = || env.login().args(ON).env("OPENCLAW_NIX_MODE", "1").expect(0);
    let output = login();
    assert_eq!(output.step(), "apply the patch where the config is made");
    let mut config = serde_json::json!({});
    apply(&output, &mut config);
    env.write_config(config.to_string());
    let output = login();
    let all = format!("{}{}", output.stdout, output.stderr);
    assert!(!all.contains("needs") && !all.contains("next: apply"), "{all}");
}

/// Whoever applies the last patch has what `hook install` chose.
#[test]
fn a_patch_says_on_while_the_hook_is_installed_and_waits_for_its_patch() {
    let table: [(&[&str], bool); 6] = [
        (&[], false),
        (&["--as", "hook"], true),
        (&["--as", "hook", "--enable", "false"], false),
        (&["--as", "hook", "--enable", "preserve"], false),
        (&["--as", "plugin"], false),
        (&["--as", "plugin", "--enable", "false"], false),
    ];
    for (install, on) in table {
        let env = home(&[("openclaw.json", "{}")]);
        let nix = |run: crate::env::Run| run.env("OPENCLAW_NIX_MODE", "1").expect(0);
        let says = |output: &Output, on: bool| {
            let text = serde_json::to_string(&patch(output)).unwrap();
            assert!(text.contains(&format!(r#""enabled":{on}"#)), "{install:?}: {text}");
            assert!(!text.contains(&format!(r#""enabled":{}"#, !on)), "{install:?}: {text}");
        };
        says(&nix(env.login()), false);
        if !install.is_empty() {
            nix(env.run(["hook", "install"]).args(install));
        }
        says(
            &nix(env.run(["auth", "refresh", "--mode", "oss-local", "--print-token", "false"])),
            on,
        );
        says(&nix(env.login()), on);
        says(&nix(env.login().args(["--enable-authz-notify", "false"])), false);
        if install == ["--as", "hook", "--enable", "false"] {
            nix(env.run(["hook", "install"]));
            says(&nix(env.login()), true);
        }
        nix(env.run(["hook", "uninstall"]));
        says(&nix(env.login()), false);
    }
    // The hook of a config that can be written is as its entry says, or off.
    let env = home(&[("openclaw.json", "{}")]);
    env.login().expect(0);
    env.run(["hook", "install"]).expect(0);
    env.write_config("{}");
    env.login().expect(0);
    assert!(read(&env, "openclaw.json").contains(r#""enabled": false"#));
}

/// H9: of a config that is not written, only what is true is said.
#[test]
fn a_logout_says_only_what_is_true() {
    let filler = " ".repeat(900);
    let env = home(&[("openclaw.json", &format!("{{gateway: {{mode: 'local'}}}}//{filler}"))]);
    env.login().args(ON).expect(0);
    let held = token(&env);
    fs::copy(env.config(), env.openclaw().join("openclaw.json.bak")).unwrap();
    let before = read(&env, "openclaw.json");
    let output = env.run(LOGOUT).env("OPENCLAW_NIX_MODE", "1").expect(0);
    assert_eq!(read(&env, "openclaw.json"), before);
    assert!(before.contains(&held));
    let all = format!("{}{}", output.stdout, output.stderr);
    assert!(
        !all.contains("filler") && !all.contains("Took the token") && !all.contains(&held),
        "{all}"
    );
    assert_eq!(all.matches("openclaw.json still holds the token").count(), 1, "{all}");
    assert_eq!(patch(&output)[0]["op"], "remove");
    assert!(!env.sigilum("owner-token-alice.jwt").exists());
    // Said no more once it is out.
    env.run(LOGOUT).expect(0);
    let output = env.run(LOGOUT).env("OPENCLAW_NIX_MODE", "1").expect(0);
    assert!(
        output.stdout.contains("There is no token") && !output.stderr.contains("still holds"),
        "{output:?}"
    );
}

/// A filler of before stays, and nothing is written.
#[test]
fn a_filler_is_told_once() {
    let filler = " ".repeat(900);
    let env = home(&[("openclaw.json", &format!("{{gateway: {{mode: 'local'}}}}//{filler}"))]);
    env.login().args(ON).expect(0);
    fs::copy(env.config(), env.openclaw().join("openclaw.json.bak")).unwrap();
    env.run(["hook", "install", "--token-in-config", "true"]).expect(0);
    let long = format!("{}//{}", read(&env, "openclaw.json"), " ".repeat(2000));
    fs::write(env.openclaw().join("openclaw.json.bak"), long).unwrap();
    let told = |words: &[&str]| {
        let output = env.run(words).expect(0);
        format!("{}{}", output.stdout, output.stderr).contains("filler")
    };
    assert!(told(&["hook", "install", "--token-in-config", "false"]));
    let before = read(&env, "openclaw.json");
    assert!(!env.login().expect(0).stdout.contains("filler"));
    for words in [&["auth", "refresh"][..], &["auth", "switch", "alice"], &LOGOUT, &LOGOUT] {
        assert!(!told(words), "{words:?}");
    }
    assert_eq!(read(&env, "openclaw.json"), before);
}

/// A watcher's token belongs into a file that is included twice: the step is none of a config that nothing may write.
#[test]
fn a_watcher_that_no_edit_helps_says_what_does() {
    let main = r#"{"hooks": {"internal": {"enabled": true, "entries": {
        "sigilum-authz-notify": {"$include": "./entry.json"}, "other": {"$include": "./entry.json"}}}}}"#;
    let older = crate::env::watching::token("another", "alice", 900, 3600);
    let env = home(&[("openclaw.json", main)]);
    let entry = serde_json::json!({"enabled": true, "env": {"SIGILUM_NAMESPACE": "alice", "SIGILUM_MODE": "oss-local",
        "SIGILUM_API_URL": "http://127.0.0.1:8787", "SIGILUM_OWNER_TOKEN": older}});
    env.write(".openclaw/entry.json", entry.to_string());
    env.login().args(["--write-openclaw", "false", "--force"]).expect(0);
    env.record_choice(Some(true));
    let once = env.run(["watch", "--once"]).expect(3);
    let why = "could not write the config, several places include the file that it belongs to: ";
    assert!(once.stderr.contains(why), "{once:#?}");
    assert_eq!(
        once.step(),
        "--token-in-config false says that no token belongs into it",
        "{once:#?}"
    );
    env.login().args(["--token-in-config", "false"]).expect(0);
    let once = env.run(["watch", "--once"]).expect(0);
    assert!(!once.stderr.contains("next: "), "{once:#?}");
}

/// The program for another user, who cannot write this file, nor its folder.
fn for_others(env: &TestEnv, file: &Path) -> PathBuf {
    let binary = env.home().join("binary");
    crate::env::copy_binary(&binary);
    for (path, bits) in [(env.home(), 0o755), (file.parent().unwrap(), 0o555), (file, 0o444)] {
        fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
    }
    binary
}

/// H6: a config that leads into a store which this user cannot write.
#[test]
fn a_link_into_a_read_only_store() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    const ME: u32 = 4242;
    let env = TestEnv::new();
    let store = env.write("store/abc-openclaw.json", r#"{"gateway": {"mode": "local"}}"#);
    let binary = for_others(&env, &store);
    fs::create_dir(env.openclaw()).unwrap();
    symlink(&store, env.config()).unwrap();
    chown(env.openclaw(), Some(ME), Some(ME)).unwrap();
    let run = |args: &[&str]| env.run_program(&binary, args).by_user(ME, &[ME]);
    let login = || env.login_by(&binary).by_user(ME, &[ME]);
    let output = login().args(ON).expect(0);
    let (stdout, stderr) = (&output.stdout, &output.stderr);
    assert!(
        stderr.contains("OPENCLAW_NIX_MODE=1") && stderr.contains("--token-in-config false"),
        "{stderr}"
    );
    assert!(stderr.contains(store.to_str().unwrap()), "{stderr}");
    assert!(
        !stdout.contains("run the command as the user") && !stderr.contains("run the command as the user"),
        "{stderr}"
    );
    let needs = serde_json::to_string(&patch(&output)).unwrap();
    assert!(
        needs.contains("SIGILUM_NAMESPACE") && !needs.contains("SIGILUM_OWNER_TOKEN"),
        "{needs}"
    );
    assert!(env.sigilum("owner-token-alice.jwt").exists() && env.sigilum("owner-alice.json").exists());
    run(&["hook", "install"]).expect(0);
    assert!(handler(&env));
    // What is advised works: for the watcher too, which has a token for an entry that holds another one.
    let made = fs::read_to_string(&store).unwrap();
    let older = crate::env::watching::token("another", "alice", 900, 3600);
    let mut config: Value = serde_json::from_str(&made).unwrap();
    apply(&output, &mut config);
    let entry = format!("/hooks/internal/entries/{HOOK}/env");
    config.pointer_mut(&entry).unwrap()["SIGILUM_OWNER_TOKEN"] = older.into();
    fs::write(&store, config.to_string()).unwrap();
    let once = run(&["watch", "--once"]).output();
    assert!(
        once.stderr.contains("could not write the config, it is a link to "),
        "{once:#?}"
    );
    let step =
        "--token-in-config false says that no token belongs into it, OPENCLAW_NIX_MODE=1 that nothing is to write it";
    assert!(once.code == 3 && once.step().starts_with(step), "{once:#?}");
    run(&["watch", "--once"]).env("OPENCLAW_NIX_MODE", "1").expect(0);
    login().args(["--token-in-config", "false"]).expect(0);
    let once = run(&["watch", "--once"]).expect(0);
    assert!(!once.stderr.contains("next: "), "{once:#?}");
    fs::write(&store, made).unwrap();
    let output = login()
        .args(["--token-in-config", "false"])
        .env("OPENCLAW_NIX_MODE", "1")
        .expect(0);
    assert!(output.stderr.contains("OPENCLAW_NIX_MODE is set"), "{}", output.stderr);
    run(&LOGOUT).expect(0);
    run(&["hook", "uninstall", "--purge"]).expect(0);
    assert!(!handler(&env) && !env.sigilum("").exists());
    assert_eq!(fs::read_to_string(&store).unwrap(), r#"{"gateway": {"mode": "local"}}"#);
}

/// Another user's folder, whose name begins as the config's, beside a config that can be written.
#[test]
fn an_included_file_that_cannot_be_written_is_named() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    const ME: u32 = 4242;
    let env = TestEnv::new();
    let config =
        env.write_config(r#"{"gateway": {"mode": "local"}, "hooks": {"$include": "./openclaw.json.d/hooks.json5"}}"#);
    let hooks = env.write(".openclaw/openclaw.json.d/hooks.json5", "{}");
    let binary = for_others(&env, &hooks);
    for path in [env.openclaw(), config] {
        chown(path, Some(ME), Some(ME)).unwrap();
    }
    let output = env.login_by(&binary).by_user(ME, &[ME]).args(ON).expect(0);
    let why = format!("a file that it includes cannot be written: {}: ", hooks.display());
    assert!(output.stderr.contains(&why), "{}", output.stderr);
    assert!(env.sigilum("owner-token-alice.jwt").exists());
    assert_eq!(fs::read_to_string(&hooks).unwrap(), "{}");
}

/// One file by two names: what belongs into it would change the other place too.
#[test]
fn a_file_that_two_names_include_is_not_changed() {
    let entry = r#"{"enabled": true, "env": {"SIGILUM_NAMESPACE": "bob"}}"#;
    for (name, other) in [("./entry.json", "entry.json"), ("./entry.json", "./link.json")] {
        let main = format!(
            r#"{{"hooks": {{"internal": {{"enabled": true, "entries": {{
                "sigilum-authz-notify": {{"$include": "{name}"}}, "other": {{"$include": "{other}"}}}}}}}}}}"#
        );
        let env = home(&[("openclaw.json", &main), ("entry.json", entry)]);
        symlink("entry.json", env.openclaw().join("link.json")).unwrap();
        let output = env.login().expect(0);
        let why = "several places include the file that it belongs to";
        assert!(output.stderr.contains(why), "{}", output.stderr);
        assert_eq!(
            (read(&env, "openclaw.json"), read(&env, "entry.json")),
            (main, entry.to_owned())
        );
    }
}

/// Who can replace the file decides what the gateway loads: nothing of ours goes there, and what it needs is told.
#[test]
fn an_included_file_where_others_could_replace_it_is_not_written() {
    let env = home(&[("openclaw.json", r#"{"hooks": {"$include": "./open/hooks.json5"}}"#)]);
    let hooks = env.write(".openclaw/open/hooks.json5", "{}");
    fs::set_permissions(hooks.parent().unwrap(), fs::Permissions::from_mode(0o777)).unwrap();
    let output = env.login().args(ON).expect(0);
    let why = "openclaw.json still needs a change: could not";
    let is_told = output.stderr.contains(why) && output.stderr.contains("; to have it written: ");
    assert!(is_told, "{}", output.stderr);
    assert!(
        serde_json::to_string(&patch(&output))
            .unwrap()
            .contains("SIGILUM_NAMESPACE")
    );
    assert_eq!(fs::read_to_string(&hooks).unwrap(), "{}");
    env.login().args(ON).env("SIGILUM_TRUST_HOME", "1").expect(0);
    assert!(fs::read_to_string(&hooks).unwrap().contains("SIGILUM_NAMESPACE"));
    // A token goes from there all the same.
    env.run(LOGOUT).expect(0);
    assert!(!fs::read_to_string(&hooks).unwrap().contains("SIGILUM_OWNER_TOKEN"));
}
