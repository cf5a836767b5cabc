//! Every command's help, and the examples in it.

use super::*;
use clap::CommandFactory;

#[test]
fn a_commands_own_help_begins_as_the_list_of_commands_says() {
    fn compare(listed: &clap::Command, built: &clap::Command) {
        for command in listed.get_subcommands() {
            let name = command.get_name();
            let own = built.find_subcommand(name).unwrap();
            assert!(command.get_about().is_some(), "{name}");
            assert_eq!(own.get_about(), command.get_about(), "{name}");
            compare(command, own);
        }
    }
    let mut built = Cli::command();
    built.build();
    compare(&Cli::command(), &built);
}

/// The examples in a command's help, each on one line.
fn examples(help: &str) -> Vec<String> {
    let joined = help.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim_start);
    let as_another = ["sudo -u sigilum-authz-notify ", "sudo "];
    lines
        .map(|line| {
            as_another
                .iter()
                .find_map(|sudo| line.strip_prefix(sudo))
                .unwrap_or(line)
        })
        .filter(|line| line.starts_with("sigilum-authz-notify "))
        .map(str::to_owned)
        .collect()
}

/// Parses a line as it is copied: to a pipe or a redirection.
fn parse(line: &str) -> Result<Vec<String>, String> {
    let words = shell_words::split(line).map_err(|error| error.to_string())?;
    let end = words.iter().position(|word| ["|", "<", ">"].contains(&word.as_str()));
    let words = &words[..end.unwrap_or(words.len())];
    match Cli::from_args(words.iter().map(OsString::from)) {
        Ok(_) => Ok(words.to_vec()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn every_command_has_examples_that_can_be_copied() {
    fn walk(command: &clap::Command, path: &[&str], faults: &mut Vec<String>) {
        let commands: Vec<&clap::Command> = command
            .get_subcommands()
            .filter(|one| one.get_name() != "help")
            .collect();
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let found = examples(&help);
        if commands.is_empty() && found.is_empty() {
            faults.push(format!("{path:?} has no example"));
        }
        let parts = ["\n\nEnvironment", "\n\nExit codes: "].into_iter();
        let lacking = parts.filter(|part| commands.is_empty() && !help.contains(part));
        faults.extend(lacking.map(|part| format!("{path:?} lacks {}", part.trim())));
        for line in &found {
            match parse(line) {
                Err(error) => faults.push(format!("{line}: {error}")),
                Ok(words) if path.first() != Some(&"login") && !words[1..].starts_with(&owned(path)) => {
                    faults.push(format!("{line}: not an example of {path:?}"));
                }
                Ok(_) => {}
            }
        }
        // A terminal has 80 columns, and clap wraps what is longer: a paragraph is one line, that it is wrapped once.
        let prose = help
            .split("\n\n")
            .filter(|block| !block.contains("\n  ") && block.contains('\n'));
        faults.extend(prose.map(|block| format!("broken by hand: {block}")));
        let block = help.split("\n\n").find(|block| block.starts_with("Examples:"));
        let lines = block.unwrap_or_default().lines();
        let long = lines.filter(|line| line.chars().count() > 79);
        faults.extend(long.map(|line| format!("too long: {line}")));
        for command in commands {
            walk(command, &[path, &[command.get_name()]].concat(), faults);
        }
    }
    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }
    let mut program = Cli::command();
    program.build();
    let mut faults = Vec::new();
    walk(&program, &[], &mut faults);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What stands in a block of commands in the README and the docs.
#[test]
fn the_docs_commands_can_be_copied() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_dir(root.join("docs"))
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut faults = Vec::new();
    let mut count = 0;
    for file in docs
        .chain([root.join("README.md")])
        .filter(|file| file.extension().is_some_and(|end| end == "md"))
    {
        let text = std::fs::read_to_string(&file).unwrap();
        for block in text
            .split("```sh\n")
            .skip(1)
            .filter_map(|block| block.split("```").next())
        {
            for line in examples(block) {
                count += 1;
                let line = line.split(" #").next().unwrap();
                faults.extend(
                    parse(line)
                        .err()
                        .map(|error| format!("{}: {line}: {error}", file.display())),
                );
            }
        }
    }
    assert!(faults.is_empty() && count > 0, "{count}: {}", faults.join("\n"));
}

#[test]
fn every_flag_is_well_formed() {
    Cli::command().debug_assert();
}
