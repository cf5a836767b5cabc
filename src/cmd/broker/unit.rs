//! `broker run --print-unit`: the broker as a service of the system's own, as a user of its own.

use crate::cli::{BrokerRunArgs, BrokerUnit};
use crate::cmd::output::write_line;
use crate::cmd::own_program::{self, PROGRAM};
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::watch::service_unit::{filled, systemd_word, xml};
use clap::ValueEnum;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Where a program lies that is every user's, and root's.
const FOLDER: &str = "/usr/local/bin";
/// On a Mac the former may be Homebrew's, and so a user's: this one is root's alone.
const FOLDER_OF_LAUNCHD: &str = "/Library/PrivilegedHelperTools";
/// Where the unit's RuntimeDirectory is.
const SOCKET: &str = "/run/sigilum-authz-notify/broker.sock";
/// launchd makes no such folder: the one of the account.
const SOCKET_OF_LAUNCHD: &str = "/var/sigilum-authz-notify/broker.sock";

/// Prints it.
///
/// # Errors
/// Others than root could change the program, or nobody would be allowed to ask.
pub fn print(kind: BrokerUnit, args: &BrokerRunArgs, out: &mut dyn Write) -> Result<ExitCode> {
    let text = match kind {
        BrokerUnit::Sysusers => include_str!("../../../packaging/sysusers/sigilum-authz-notify-broker.conf").to_owned(),
        BrokerUnit::Systemd => {
            let words: Vec<String> = words(kind, args, SOCKET)?
                .iter()
                .map(|word| systemd_word(word, true))
                .collect();
            let command = format!("ExecStart={}", words.join(" "));
            let template = include_str!("../../../packaging/systemd/sigilum-authz-notify-broker.service");
            filled(template, &[("command", command)])
        }
        BrokerUnit::Launchd => {
            let words = words(kind, args, SOCKET_OF_LAUNCHD)?;
            let words = words.iter().map(|word| format!("\t\t<string>{}</string>", xml(word)));
            let template = include_str!("../../../packaging/launchd/sigilum-authz-notify-broker.plist");
            filled(template, &[("words", words.collect::<Vec<_>>().join("\n"))])
        }
    };
    write_line(out, text.trim_end())?;
    Ok(ExitCode::Ok)
}

/// The commands that make the program one that only root can change, in a folder of the system's.
fn make_it_roots(program: &Path, to: &Path) -> String {
    let is_there = to.canonicalize().is_ok_and(|there| there == program);
    let is_link = to.is_symlink();
    let is_it = is_there && !is_link;
    let folder = to.parent().unwrap_or(to);
    let mut commands = fs::make_roots(folder, is_it.then_some(program));
    if is_there && is_link {
        commands.push(format!("sudo rm {}", to.display()));
    }
    if !is_it {
        commands.push(format!("sudo install -m 755 {} {}", fs::quoted(program), to.display()));
    }
    commands.join(" && ")
}

/// The command line, with a program that only root can write.
fn words(kind: BrokerUnit, args: &BrokerRunArgs, socket: &str) -> Result<Vec<String>> {
    let program = own_program::path()?;
    fs::refuse_program_not_of_root(&program).map_err(|error| {
        let is_anothers = || Path::new(FOLDER).exists() && fs::refuse_program_not_of_root(Path::new(FOLDER)).is_err();
        let folder = match kind {
            BrokerUnit::Launchd if is_anothers() => FOLDER_OF_LAUNCHD,
            _ => FOLDER,
        };
        let to = Path::new(folder).join(PROGRAM);
        let kind = kind.to_possible_value().map(|kind| kind.get_name().to_owned());
        error.next(format!(
            "{} && {} broker run --print-unit {} <the same flags>",
            make_it_roots(&program, &to),
            to.display(),
            kind.unwrap_or_default()
        ))
    })?;
    if args.allow_uid.is_empty() && args.allow_gid.is_empty() {
        let what = "could not print the unit: nobody would be allowed to ask";
        return Err(Error::new(ExitCode::Usage, what).next("add --allow-uid <openclaw-user>"));
    }
    let socket = args.socket.clone().unwrap_or_else(|| PathBuf::from(socket));
    let mut words = vec![program.display().to_string(), "broker".to_owned(), "run".to_owned()];
    let mut flag = |name: &str, value: &str| words.extend([name.to_owned(), value.to_owned()]);
    flag("--socket", &socket.to_string_lossy());
    args.allow_uid.iter().for_each(|user| flag("--allow-uid", user));
    args.allow_gid.iter().for_each(|group| flag("--allow-gid", group));
    if args.decide.is_some() {
        flag("--decide", "totp");
    }
    if let Some(state) = &args.state {
        flag("--state", &state.to_string_lossy());
    }
    Ok(words)
}
