//! A person at a terminal: the command's standard input and error are a pseudo-terminal, its standard output is not.

use super::{Output, Run};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Stdio;

impl Run {
    /// Runs to the end, with these lines typed in answer to what is asked. What the terminal shows is the standard error.
    pub fn at_a_terminal(mut self, typed: &str) -> Output {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let mut settings = rustix::termios::tcgetattr(&theirs).unwrap();
        // What is typed is not to be shown between the questions.
        settings.local_modes -= rustix::termios::LocalModes::ECHO;
        rustix::termios::tcsetattr(&theirs, rustix::termios::OptionalActions::Now, &settings).unwrap();
        let as_stdio = |fd: &OwnedFd| Stdio::from(fd.try_clone().unwrap());
        self.command
            .stdin(as_stdio(&theirs))
            .stderr(as_stdio(&theirs))
            .stdout(Stdio::piped());
        let child = self.command.spawn().unwrap();
        // The command has copies of its own until it is run.
        drop((self.command, theirs));
        let mut terminal = File::from(ours);
        terminal.write_all(typed.as_bytes()).unwrap();
        let mut shown = Vec::new();
        // Ends with an error once nobody holds the other side any more.
        let _ = terminal.read_to_end(&mut shown);
        let output = child.wait_with_output().unwrap();
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(shown).unwrap().replace("\r\n", "\n"),
        }
    }
}
