//! `completions` and `man`: what a shell completes, and what `man` shows.

use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::cmd::own_program::PROGRAM;
use crate::error::{Error, ExitCode, OrFail, Result};
use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use std::io::Write;

/// Prints a shell's completions.
pub fn completions(args: &CompletionsArgs, out: &mut dyn Write) -> Result<ExitCode> {
    let mut script = Vec::new();
    if args.shell == Shell::Bash {
        // clap_complete loses the commands of a program whose name has a hyphen: they are made for a name without one.
        let plain = PROGRAM.replace('-', "_");
        clap_complete::generate(args.shell, &mut Cli::command(), &plain, &mut script);
        let text = String::from_utf8_lossy(&script);
        script = text
            .replace(&format!(" {plain}\n"), &format!(" {PROGRAM}\n"))
            .into_bytes();
    } else {
        clap_complete::generate(args.shell, &mut Cli::command(), PROGRAM, &mut script);
    }
    write(out, &script)
}

/// Prints the manual page of the program, or of a command, as roff.
pub fn man(args: &ManArgs, out: &mut dyn Write) -> Result<ExitCode> {
    let mut program = Cli::command();
    program.build();
    if args.list {
        return write(out, listed(&program, "").as_bytes());
    }
    let mut command = &program;
    for word in &args.command {
        command = command.find_subcommand(word).ok_or_else(|| {
            Error::new(
                ExitCode::Usage,
                format!("there is no command {:?}", args.command.join(" ")),
            )
            .next(format!("{PROGRAM} --help"))
        })?;
    }
    let mut page = Vec::new();
    Man::new(command.clone())
        .render(&mut page)
        .or_fail(ExitCode::Failure, || "could not make the manual page".to_owned())?;
    write(out, &page)
}

/// The words of each command below this one, one a line.
fn listed(command: &clap::Command, above: &str) -> String {
    let below = command.get_subcommands().filter(|below| below.get_name() != "help");
    below
        .map(|below| {
            let words = format!("{above}{}", below.get_name());
            format!("{words}\n{}", listed(below, &format!("{words} ")))
        })
        .collect()
}

fn write(out: &mut dyn Write, text: &[u8]) -> Result<ExitCode> {
    out.write_all(text)
        .or_fail(ExitCode::Failure, || "could not write to standard output".to_owned())?;
    Ok(ExitCode::Ok)
}
