//! A person at a terminal: the command's standard input and error are a pseudo-terminal, and its standard output if
//! wanted.

use super::watching::wait_until;
use super::{Output, Run};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};

/// A terminal with a command that runs on it.
pub struct Terminal {
    child: Child,
    /// The person's side.
    screen: File,
    /// The command's side, held so that its settings can be looked at.
    theirs: OwnedFd,
    shown: Vec<u8>,
}

impl Run {
    /// Runs to the end, with these lines typed in answer to what is asked. What the terminal shows is the standard error.
    pub fn at_a_terminal(self, typed: &str) -> Output {
        let mut terminal = self.open(false, false);
        terminal.types(typed);
        terminal.end()
    }

    /// As a shell starts it: in a process group of its own.
    pub fn by_a_shell(mut self) -> Self {
        self.command.process_group(0);
        self
    }

    /// Starts it, for a person who waits for what is asked. The terminal shows what is typed, unless it is told not to.
    pub fn on_terminal(self, stdout_too: bool) -> Terminal {
        self.open(stdout_too, true)
    }

    fn open(mut self, stdout_too: bool, echoes: bool) -> Terminal {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        if !echoes {
            // What is typed is not to be shown between the questions.
            let mut settings = tcgetattr(&theirs).unwrap();
            settings.local_modes -= LocalModes::ECHO;
            tcsetattr(&theirs, OptionalActions::Now, &settings).unwrap();
        }
        let as_stdio = |fd: &OwnedFd| Stdio::from(fd.try_clone().unwrap());
        let stdout = if stdout_too { as_stdio(&theirs) } else { Stdio::piped() };
        self.command
            .stdin(as_stdio(&theirs))
            .stderr(as_stdio(&theirs))
            .stdout(stdout);
        let child = self.command.spawn().unwrap();
        // The command has copies of its own until it is dropped.
        drop(self.command);
        Terminal {
            child,
            screen: File::from(ours),
            theirs,
            shown: Vec::new(),
        }
    }
}

impl Terminal {
    pub fn types(&mut self, text: &str) {
        self.types_bytes(text.as_bytes());
    }

    /// The same of what may be no text.
    pub fn types_bytes(&mut self, bytes: &[u8]) {
        self.screen.write_all(bytes).unwrap();
    }

    /// The same, until the command has read it: a terminal passes on what is typed in its own time, and shows it or not as
    /// it is set by then.
    pub fn types_to_it(&mut self, text: &str) {
        let file = format!("/proc/{}/io", self.child.id());
        let read = || -> Option<usize> {
            let counts = std::fs::read_to_string(&file).ok()?;
            counts.lines().next()?.strip_prefix("rchar: ")?.parse().ok()
        };
        let before = read();
        self.types(text);
        let wanted = before.map(|before| before + text.len());
        assert!(wait_until(|| read() >= wanted), "not read: {text}");
    }

    /// Reads the screen until this stands on it.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        let limit = Timespec { tv_sec: 20, tv_nsec: 0 };
        while !self.shown().contains(text) {
            let ready = poll(&mut [PollFd::new(&self.screen, PollFlags::IN)], Some(&limit)).unwrap();
            assert!(ready > 0, "not shown: {text}\n{}", self.shown());
            let mut buffer = [0; 4096];
            let read = self.screen.read(&mut buffer).unwrap();
            self.shown.extend_from_slice(&buffer[..read]);
        }
    }

    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown).replace("\r\n", "\n")
    }

    /// Whether what is typed would be shown.
    pub fn echoes(&self) -> bool {
        let modes = tcgetattr(&self.theirs).unwrap().local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The same of a signal that stops it: waits until it is stopped.
    pub fn stop(&self, signal: Signal) {
        self.signal(signal);
        let stopped = waitpid(Some(Pid::from_child(&self.child)), WaitOptions::UNTRACED).unwrap();
        assert!(stopped.unwrap().1.stopped());
    }

    /// What a shell does to its terminal while it has it.
    pub fn is_shells_again(&self) {
        let mut settings = tcgetattr(&self.theirs).unwrap();
        settings.local_modes |= LocalModes::ECHO | LocalModes::ICANON;
        tcsetattr(&self.theirs, OptionalActions::Now, &settings).unwrap();
    }

    /// Waits for the command's end.
    pub fn end(self) -> Output {
        self.end_and_echo().0
    }

    /// The same, and whether the terminal that it left shows what is typed.
    pub fn end_and_echo(mut self) -> (Output, bool) {
        let pause = Timespec {
            tv_sec: 0,
            tv_nsec: 20_000_000,
        };
        let stdout = self.child.stdout.take();
        let status = loop {
            let status = self.child.try_wait().unwrap();
            if poll(&mut [PollFd::new(&self.screen, PollFlags::IN)], Some(&pause)).unwrap() > 0 {
                let mut buffer = [0; 4096];
                let read = self.screen.read(&mut buffer).unwrap();
                self.shown.extend_from_slice(&buffer[..read]);
            } else if let Some(status) = status {
                break status;
            }
        };
        let echoes = self.echoes();
        let shown = self.shown();
        drop(self.theirs);
        // Ends with an error once nobody holds the other side any more.
        let mut rest = Vec::new();
        let _ = self.screen.read_to_end(&mut rest);
        let mut printed = String::new();
        if let Some(mut stdout) = stdout {
            stdout.read_to_string(&mut printed).unwrap();
        }
        let output = Output {
            code: status.code().unwrap_or(-1),
            stdout: printed,
            stderr: shown + &String::from_utf8_lossy(&rest).replace("\r\n", "\n"),
        };
        (output, echoes)
    }
}
