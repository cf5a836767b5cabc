//! Homes, their folders and files, and settings.

use super::world::{Act, CASE, Case, Then, World};
use std::os::unix::fs::symlink;

fn alice(world: &World) {
    world.log_in("alice");
}

const SHOW: &[&str] = &["auth", "show", "--namespace", "alice"];
const LOGIN: &[&str] = &["auth", "login", "--mode", "oss-local", "--namespace", "alice"];

pub const CASES: &[Case] = &[
    Case {
        name: "no HOME",
        first: SHOW,
        env: &[("HOME", "undefined")],
        step: "give the folder with --openclaw-home",
        act: Act::Type(&["auth", "show", "--namespace", "alice", "--openclaw-home", "~"]),
        then: Then::Says("Token file not found"),
        only_default: true,
        ..CASE
    },
    Case {
        name: "a config of Sigilum's that is not there",
        first: &["auth", "login", "--mode", "oss-local", "--print-token", "false"],
        env: &[("SIGILUM_CONFIG_FILE", "/nowhere/config.env"), ("USER", "alice")],
        step: "unset SIGILUM_CONFIG_FILE;",
        only_default: true,
        ..CASE
    },
    Case {
        name: "a profile that is none",
        first: SHOW,
        env: &[("OPENCLAW_PROFILE", "a b")],
        step: "unset OPENCLAW_PROFILE;",
        then: Then::Says("Token file not found"),
        only_default: true,
        ..CASE
    },
    Case {
        name: "an older home",
        set_up: |world| {
            world.env.write(".clawdbot/openclaw.json", "{}");
            world.program("openclaw", r#"mv "$HOME/.clawdbot" "$HOME/.openclaw""#);
        },
        first: LOGIN,
        step: "openclaw doctor",
        only_default: true,
        ..CASE
    },
    Case {
        name: "an older config",
        set_up: |world| drop(world.write("clawdbot.json", "{}")),
        first: LOGIN,
        step: "mv ",
        only_default: true,
        ..CASE
    },
    Case {
        name: "a mode that is none",
        first: &["auth", "login", "--namespace", "alice"],
        env: &[("SIGILUM_MODE", "local")],
        step: "unset SIGILUM_MODE;",
        then: Then::Says("Managed mode requires"),
        ..CASE
    },
    Case {
        name: "an e-mail that is none",
        first: &[
            "auth",
            "login",
            "--mode",
            "oss-local",
            "--namespace",
            "alice",
            "--email",
            "x",
        ],
        step: "give another one, for example: --email johndee@example.com",
        act: Act::Type(&[
            "auth",
            "login",
            "--mode",
            "oss-local",
            "--namespace",
            "alice",
            "--email",
            "x@y.example",
        ]),
        ..CASE
    },
    Case {
        name: "a life that is none",
        first: LOGIN,
        env: &[("SIGILUM_OWNER_TOKEN_TTL_SECONDS", "a week")],
        step: "unset SIGILUM_OWNER_TOKEN_TTL_SECONDS;",
        ..CASE
    },
    Case {
        name: "no namespace",
        first: &["auth", "login", "--mode", "oss-local"],
        env: &[("USER", "")],
        step: "add --namespace johndee",
        act: Act::Add,
        only_default: true,
        ..CASE
    },
    Case {
        name: "a guess beside what is stored",
        set_up: |world| {
            for name in ["carol", "dave"] {
                world.write(&format!(".sigilum/owner-token-{name}.jwt"), "x.y.z");
            }
        },
        first: &["auth", "show"],
        step: "add --namespace carol",
        act: Act::Add,
        then: Then::Says("this is no owner token"),
        only_default: true,
        ..CASE
    },
    Case {
        name: "a namespace that is none",
        first: &["auth", "show", "--namespace", "a_b"],
        step: "give another one, for example: --namespace johndee",
        act: Act::Type(SHOW),
        then: Then::Says("Token file not found"),
        ..CASE
    },
    Case {
        name: "a token file of two names",
        set_up: |world| {
            alice(world);
            let token = world.home.join(".sigilum/owner-token-alice.jwt");
            std::fs::hard_link(token, world.env.home().join("second")).unwrap();
        },
        first: SHOW,
        step: "look at it, then make it anew: rm ",
        ..CASE
    },
    Case {
        name: "a secret of two names",
        set_up: |world| {
            alice(world);
            let secret = world.home.join(".sigilum/jwt-secret");
            std::fs::hard_link(secret, world.env.home().join("second")).unwrap();
        },
        first: LOGIN,
        step: "look at it, then remove it: rm ",
        then: Then::Says("what a new one signs"),
        ..CASE
    },
    Case {
        name: "a folder in the place of a token",
        set_up: |world| {
            alice(world);
            let token = world.home.join(".sigilum/owner-token-alice.jwt");
            std::fs::remove_file(&token).unwrap();
            std::fs::create_dir(token).unwrap();
        },
        first: LOGIN,
        step: "move the folder away that has this name: mv ",
        ..CASE
    },
    Case {
        name: "a folder of ours that is a link",
        set_up: |world| {
            alice(world);
            let (ours, moved) = (world.home.join(".sigilum"), world.env.home().join("moved"));
            std::fs::rename(&ours, &moved).unwrap();
            symlink(moved, ours).unwrap();
        },
        first: LOGIN,
        step: "look at it, then remove it: rm ",
        ..CASE
    },
    Case {
        name: "a token file without a name",
        first: &[
            "auth",
            "login",
            "--mode",
            "oss-local",
            "--namespace",
            "alice",
            "--token-file",
            "~/nowhere/..",
            "--force",
        ],
        step: "give a path without .. in it",
        act: Act::Type(LOGIN),
        ..CASE
    },
    Case {
        name: "a home for everybody",
        set_up: |world| {
            alice(world);
            world.chmod("", 0o777);
        },
        first: LOGIN,
        step: "chmod ",
        ..CASE
    },
    Case {
        name: "a token file that holds something else",
        set_up: |world| drop(world.write("notes.txt", "milk, bread")),
        first: &[
            "auth",
            "login",
            "--mode",
            "oss-local",
            "--namespace",
            "alice",
            "--token-file",
            "~/notes.txt",
        ],
        step: "name another file with --token-file",
        act: Act::Type(&[
            "auth",
            "login",
            "--mode",
            "oss-local",
            "--namespace",
            "alice",
            "--token-file",
            "~/token.jwt",
        ]),
        ..CASE
    },
    Case {
        name: "a manual page that is none",
        first: &["man", "auth", "logon"],
        step: "sigilum-authz-notify --help",
        then: Then::IsDone,
        only_default: true,
        ..CASE
    },
];
