//! Help, completions and the manual page; the demo.

use crate::env::TestEnv;

use std::fs;

/// The program's commands, the deepest of each.
const COMMANDS: [&[&str]; 6] = [
    &[],
    &["auth"],
    &["auth", "login"],
    &["service", "secret", "set"],
    &["hook", "install"],
    &["watch"],
];

#[test]
fn help_is_there_in_both_forms() {
    let env = TestEnv::new();
    for command in COMMANDS {
        let help = env.run(["help"]).args(command).expect(0);
        let flag = env.run(command).args(["--help"]).expect(0);
        assert_eq!(help.stdout, flag.stdout, "{command:?}");
        for asked_twice in ["--help", "-h"] {
            let twice = env.run(["help"]).args(command).args([asked_twice]).expect(0);
            assert_eq!(twice.stdout, flag.stdout, "{command:?} {asked_twice}");
        }
        let usage = format!("Usage: {}", [&["sigilum-authz-notify"], command].concat().join(" "));
        assert!(help.stdout.contains(&usage), "{}", help.stdout);
    }
    assert_eq!(env.run(["help", "nonsense"]).output().code, 2);
}

#[test]
fn help_names_variables_exit_codes_and_an_example() {
    let env = TestEnv::new();
    for command in [
        &[][..],
        &["auth", "login"],
        &["login"],
        &["service", "add"],
        &["watch"],
        &["doctor"],
    ] {
        let help = env.run(command).args(["--help"]).expect(0).stdout;
        for part in [
            "Examples:\n  ",
            "\n  sigilum-authz-notify ",
            "Environment",
            "Exit codes:",
        ] {
            assert!(help.contains(part), "{command:?}: {part}\n{help}");
        }
    }
    let help = env.run(["--help"]).expect(0).stdout;
    let readme = include_str!("../../docs/settings.md");
    let named = |word: &&str| word.contains('_') && word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    for variable in help.split(|c: char| !c.is_alphanumeric() && c != '_').filter(named) {
        assert!(readme.contains(variable), "{variable} is not in docs/settings.md");
    }
    for code in 0..=8 {
        assert!(help.contains(&format!(" {code} ")), "{code}");
    }
}

#[test]
fn every_shell_gets_completions() {
    let env = TestEnv::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = env.run(["completions", shell]).expect(0).stdout;
        for word in [
            "sigilum-authz-notify",
            "owner-token-stdin",
            "install-unit",
            "rotate-key",
        ] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    // As bash asks: the words, the one that is completed, and the function that the script names for the program.
    let script = env.write("completions.bash", env.run(["completions", "bash"]).expect(0).stdout);
    for (line, wanted) in [
        ("auth lo", "login logout"),
        ("service secret se", "set"),
        ("auth login --openclaw-ho", "--openclaw-home"),
        ("auth login --mode oss", "oss-local"),
    ] {
        let ask = format!(
            ". {}; COMP_WORDS=(sigilum-authz-notify {line})\n\
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); set -- $(complete -p sigilum-authz-notify)\n\
             while [ \"$1\" != -F ]; do shift; done\n\
             $2 sigilum-authz-notify \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"\n\
             echo ${{COMPREPLY[@]}}",
            script.display(),
        );
        let output = env.run_program("bash".as_ref(), ["--norc", "-c", &ask]).expect(0);
        assert_eq!(output.stdout.trim(), wanted, "{line}: {}", output.stderr);
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let env = TestEnv::new();
    for command in COMMANDS {
        let page = env.run(["man"]).args(command).expect(0).stdout;
        let name = [&["sigilum-authz-notify"], command].concat().join("-");
        assert!(page.contains(&format!(".TH {name} 1")), "{page}");
    }
    // The pages that `SUBCOMMANDS` of another names are all there.
    let list = env.run(["man", "--list"]).expect(0).stdout;
    for words in list.lines() {
        let page = env.run(["man"]).args(words.split(' ')).expect(0).stdout;
        assert!(
            page.contains(&format!(".TH sigilum-authz-notify-{} 1", words.replace(' ', "-"))),
            "{page}"
        );
    }
    assert!(
        list.contains("service secret set\n") && !list.contains("help"),
        "{list}"
    );
    let output = env.run(["man", "auth", "nonsense"]).expect(2);
    assert!(output.stderr.contains("there is no command"), "{}", output.stderr);
}

/// Whether or not its output is a terminal.
#[test]
fn the_demo_prints_no_token() {
    for at_a_terminal in [false, true] {
        let env = TestEnv::new();
        let run = env.run(["demo"]).env("TMPDIR", env.home());
        let output = match at_a_terminal {
            true => run.on_terminal(true).end(),
            false => run.expect(0),
        };
        assert_eq!(output.code, 0, "{output:?}");
        let homes = fs::read_dir(env.home()).unwrap().map(|entry| entry.unwrap().path());
        let tokens = homes.map(|home| home.join(".openclaw/.sigilum/owner-token-demo.jwt"));
        let tokens: Vec<String> = tokens.filter_map(|file| fs::read_to_string(file).ok()).collect();
        assert_eq!(tokens.len(), 1, "{output:?}");
        let signature = tokens[0].trim().rsplit('.').next().unwrap();
        let shown = format!("{}{}", output.stdout, output.stderr);
        assert!(!shown.contains(signature) && shown.contains("Sigilum: 2 "), "{shown}");
    }
}

#[test]
fn a_word_that_is_nearly_one_is_answered_with_it() {
    let env = TestEnv::new();
    for (typed, meant) in [
        ("setpu", "a similar subcommand exists: 'setup'"),
        ("authz aprove", "a similar subcommand exists: 'approve'"),
        ("service ad", "a similar subcommand exists: 'add'"),
        ("logout", "a similar subcommand exists: 'auth logout'"),
        ("approve cl_1", "a similar subcommand exists: 'authz approve'"),
        ("status", "some similar subcommands exist: 'auth status', 'hook status'"),
        (
            "auth login --namespce alice",
            "a similar argument exists: '--namespace'",
        ),
        ("hook install --as plugn", "a similar value exists: 'plugin'"),
    ] {
        let output = env.run(typed.split(' ')).expect(2);
        assert!(output.stderr.contains(&format!("tip: {meant}")), "{}", output.stderr);
    }
}
