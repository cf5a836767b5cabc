//! The one runner of child processes: no shell, a clean environment, a limit of time and caps on what is read, all of
//! which hold whatever the child leaves running.

use super::waiting::Waiting;
use rustix::event::{PollFd, PollFlags, Timespec};
use std::ffi::{OsStr, OsString};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Of standard error the last so many bytes are kept: the end of a long complaint tells most.
const MAX_STDERR: usize = 64 * 1024;
/// How long output is still read after the child has ended, if another process holds it open.
const GRACE: Duration = Duration::from_millis(250);
/// How soon the end of the child, of its time or of us is noticed: soon at first, at most so late.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
/// A pipe holds no more than this by default, so one read empties it.
const BUFFER: usize = 64 * 1024;

/// A program to run as a child. Arguments, environment and input may hold secrets: no `Debug` of them.
pub struct Program<'a> {
    /// The program; a bare name is looked up on the `PATH` of [`Self::env`].
    pub path: &'a Path,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its whole environment: nothing of ours is added.
    pub env: Vec<(OsString, OsString)>,
    /// What it finds on its standard input; `None` is `/dev/null`.
    pub stdin: Option<&'a [u8]>,
    /// It is killed after this time, with all that it started and that is still in its process group.
    pub limit: Duration,
    /// It is killed if it prints more bytes than this to its standard output.
    pub max_stdout: usize,
    /// It is killed when this becomes true.
    pub stop: Option<&'a AtomicBool>,
}

/// A child that ended by itself.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// The last 64 KiB of its standard error.
    pub stderr: Vec<u8>,
}

/// Why there is no [`Ended`]. The child, if there was one, has been killed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no such program, or it is not executable.
    #[error("it cannot be run")]
    NotStarted(#[source] std::io::Error),
    /// It ran longer than [`Program::limit`].
    #[error("it took too long, over {0:?}, and was killed")]
    TooLong(Duration),
    /// [`Program::stop`] became true.
    #[error("it was stopped")]
    Stopped,
    /// It printed more than [`Program::max_stdout`] bytes.
    #[error("it printed over {0} bytes")]
    TooMuch(usize),
    /// Its pipes or its end cannot be read.
    #[error("its output cannot be read")]
    Unreadable(#[from] std::io::Error),
}

impl Program<'_> {
    /// Runs it to its end. It takes at most [`Self::limit`], and a quarter of a second more where the child has ended
    /// and something that it left running holds its output. Such a process is left alone.
    ///
    /// # Errors
    /// Every [`RunError`]. A child that ends with a failure is none.
    pub fn run(&self) -> Result<Ended, RunError> {
        let mut command = Command::new(self.path);
        command
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(self.stdin.map_or_else(Stdio::null, |_| Stdio::piped()))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        tracing::debug!("ran {}", crate::text::plain(&self.path.display().to_string()));
        let end = Instant::now() + self.limit;
        let mut running = Running(command.spawn().map_err(RunError::NotStarted)?);
        let mut pipes = Pipes::of(&mut running.0, self.stdin.unwrap_or_default())?;
        let mut read_until = None;
        let mut pause = FIRST_PAUSE;
        let mut waiting = Waiting::begin(self.limit);
        loop {
            // Asked before reading: what it printed before its end is read below.
            let status = running.0.try_wait()?;
            let moved = pipes.pump()?;
            if pipes.printed.len() > self.max_stdout {
                return Err(RunError::TooMuch(self.max_stdout));
            }
            let now = Instant::now();
            if let Some(status) = status {
                if pipes.are_closed() || now >= *read_until.get_or_insert(now + GRACE) {
                    return Ok(pipes.ended(status));
                }
            } else if self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return Err(RunError::Stopped);
            } else if now >= end {
                return Err(RunError::TooLong(self.limit));
            }
            waiting.goes_on(|| self.path.display().to_string());
            pause = if moved { FIRST_PAUSE } else { pause };
            if !moved {
                pipes.wait(pause)?;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// The executable file of this name in the first folder of a `PATH` that has one. Relative folders are passed over.
pub fn find_on_path(path: &OsStr, name: &str) -> Option<PathBuf> {
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|file| is_program(file))
}

/// Whether a path leads to a file that can be run.
pub fn is_program(file: &Path) -> bool {
    let meta = file.metadata();
    meta.is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// A child in a process group of its own, which does not outlive this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let group = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw);
        // Only while it is not waited for: later its number may be another group's.
        if let (Some(group), Ok(None)) = (group, self.0.try_wait()) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.0.wait();
    }
}

/// The ends that we hold of a child's pipes, none of which blocks; `None` once closed.
struct Pipes<'a> {
    stdin: Option<ChildStdin>,
    to_write: &'a [u8],
    stdout: Option<ChildStdout>,
    printed: Vec<u8>,
    stderr: Option<ChildStderr>,
    complained: Vec<u8>,
    buffer: Vec<u8>,
}

impl<'a> Pipes<'a> {
    fn of(child: &mut Child, to_write: &'a [u8]) -> std::io::Result<Self> {
        let pipes = Self {
            stdin: child.stdin.take(),
            to_write,
            stdout: child.stdout.take(),
            printed: Vec::new(),
            stderr: child.stderr.take(),
            complained: Vec::new(),
            buffer: vec![0; BUFFER],
        };
        for end in pipes.open_ends() {
            rustix::io::ioctl_fionbio(end, true)?;
        }
        Ok(pipes)
    }

    fn open_ends(&self) -> impl Iterator<Item = PollFd<'_>> {
        let stdin = self.stdin.iter().map(|pipe| PollFd::new(pipe, PollFlags::OUT));
        let stdout = self.stdout.iter().map(|pipe| PollFd::new(pipe, PollFlags::IN));
        let stderr = self.stderr.iter().map(|pipe| PollFd::new(pipe, PollFlags::IN));
        stdin.chain(stdout).chain(stderr)
    }

    /// Waits until something can be read or written, at most so long.
    fn wait(&self, at_most: Duration) -> std::io::Result<()> {
        let mut ends: Vec<PollFd<'_>> = self.open_ends().collect();
        let at_most = Timespec::try_from(at_most).ok();
        match rustix::event::poll(&mut ends, at_most.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes and reads what can be without waiting, a buffer of each. Says whether there was anything.
    fn pump(&mut self) -> std::io::Result<bool> {
        let mut moved = self.write();
        moved |= read(&mut self.stdout, &mut self.buffer, &mut self.printed)?;
        moved |= read(&mut self.stderr, &mut self.buffer, &mut self.complained)?;
        let too_many = self.complained.len().saturating_sub(MAX_STDERR);
        self.complained.drain(..too_many);
        Ok(moved)
    }

    fn write(&mut self) -> bool {
        let Some(pipe) = &mut self.stdin else { return false };
        match pipe.write(self.to_write) {
            Ok(count) => self.to_write = &self.to_write[count..],
            Err(error) if is_for_later(&error) => return false,
            // A child need not read.
            Err(_) => self.to_write = &[],
        }
        if self.to_write.is_empty() {
            self.stdin = None;
        }
        true
    }

    fn are_closed(&self) -> bool {
        self.stdout.is_none() && self.stderr.is_none()
    }

    fn ended(self, status: ExitStatus) -> Ended {
        Ended {
            status,
            stdout: self.printed,
            stderr: self.complained,
        }
    }
}

fn read(pipe: &mut Option<impl Read>, buffer: &mut [u8], into: &mut Vec<u8>) -> std::io::Result<bool> {
    let Some(open) = pipe else { return Ok(false) };
    match open.read(buffer) {
        Ok(0) => *pipe = None,
        Ok(count) => into.extend_from_slice(&buffer[..count]),
        Err(error) if is_for_later(&error) => return Ok(false),
        Err(error) => return Err(error),
    }
    Ok(true)
}

fn is_for_later(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Life, life};

    const LIMIT: Duration = Duration::from_secs(30);
    const MAX: usize = 4 * 1024 * 1024;

    fn program<'a>(path: &'a str, args: &[&str]) -> Program<'a> {
        Program {
            path: Path::new(path),
            args: args.iter().map(OsString::from).collect(),
            env: vec![("PATH".into(), std::env::var_os("PATH").unwrap())],
            stdin: None,
            limit: LIMIT,
            max_stdout: MAX,
            stop: None,
        }
    }

    fn shell(script: &str) -> Program<'static> {
        program("sh", &["-c", script])
    }

    /// Runs a script that leaves a process, whose number is the last line of the file `left`. Gives how the script
    /// ended, and the number.
    fn leaving(script: &str, with: impl FnOnce(&mut Program<'_>)) -> (Result<Ended, RunError>, u32) {
        let dir = tempfile::tempdir().unwrap();
        let left = dir.path().join("left");
        let mut program = shell(script);
        program.env.push(("LEFT".into(), left.clone().into()));
        with(&mut program);
        let ended = program.run();
        let pid = std::fs::read_to_string(left).unwrap();
        (ended, pid.trim().parse().unwrap())
    }

    fn end(pid: u32) {
        let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }

    #[test]
    fn what_a_child_leaves_running_neither_holds_us_nor_is_killed() {
        let script = "sleep 600 & echo $! > \"$LEFT\"; echo out; echo err >&2; exit 3";
        let (ended, pid) = leaving(script, |_| {});
        let ended = ended.unwrap();
        assert_eq!(ended.status.code(), Some(3));
        assert_eq!((&ended.stdout[..], &ended.stderr[..]), (&b"out\n"[..], &b"err\n"[..]));
        assert_ne!(life(pid), Life::Dead);
        end(pid);
    }

    #[test]
    fn all_of_a_child_that_takes_too_long_is_killed() {
        // The second child holds the output even where the first has closed its own.
        for script in [
            "sleep 600 & echo $! > \"$LEFT\"; sleep 600",
            "sleep 600 & echo $! > \"$LEFT\"; exec >/dev/null 2>&1; sleep 600",
        ] {
            // A limit that a loaded machine's shell needs to have written its line.
            let (ended, pid) = leaving(script, |program| program.limit = Duration::from_secs(3));
            assert!(matches!(ended, Err(RunError::TooLong(_))), "{ended:?}");
            let end = Instant::now() + LIMIT;
            while life(pid) != Life::Dead {
                assert!(Instant::now() < end, "what it had started lives on");
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }

    #[test]
    fn the_cap_holds_for_what_a_child_leaves_running_too() {
        for script in ["yes", "yes & echo $!", "sleep 600 & yes", "yes >&2 & echo $!"] {
            let program = Program {
                max_stdout: 1000,
                ..shell(script)
            };
            match program.run() {
                Ok(ended) => assert!(
                    ended.stdout.len() <= 1000 && ended.stderr.len() <= MAX_STDERR,
                    "{script}"
                ),
                Err(error) => assert_eq!(error.to_string(), "it printed over 1000 bytes", "{script}"),
            }
        }
        let error = program("yes", &[]).run().unwrap_err();
        assert!(matches!(error, RunError::TooMuch(MAX)), "{error}");
    }

    #[test]
    fn it_is_stopped() {
        let stop = AtomicBool::new(true);
        let program = Program {
            stop: Some(&stop),
            ..shell("sleep 600")
        };
        assert!(matches!(program.run(), Err(RunError::Stopped)));
    }

    #[test]
    fn the_environment_is_what_is_listed() {
        let mut env = program("env", &[]);
        env.env.push(("NAME".into(), "value".into()));
        let path = env.env[0].1.to_str().unwrap().to_owned();
        let said = String::from_utf8(env.run().unwrap().stdout).unwrap();
        let mut lines: Vec<&str> = said.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["NAME=value", &format!("PATH={path}")]);
        let missing = program("/nonexistent/program", &[]).run().unwrap_err();
        assert!(matches!(missing, RunError::NotStarted(_)), "{missing}");
    }

    #[test]
    fn input_is_given_and_need_not_be_read() {
        let input = b"0123456789abcdef".repeat(64 * 1024);
        let with = |program: Program<'static>, input| program_with(program, input).run().unwrap();
        assert_eq!(with(shell("cat"), Some(&input)).stdout, input);
        assert_eq!(with(shell("cat"), Some(&[])).stdout, b"");
        assert_eq!(with(shell("cat"), None).stdout, b"");
        assert!(with(shell("echo unread"), Some(&input)).status.success());
        let both = with(
            shell("cat; cat /dev/zero | head -c 1000000 >&2; echo end >&2"),
            Some(&input),
        );
        assert_eq!(both.stdout, input);
        assert_eq!(both.stderr.len(), MAX_STDERR);
        assert!(both.stderr.ends_with(b"\0end\n"));
    }

    fn program_with<'a>(program: Program<'a>, stdin: Option<&'a [u8]>) -> Program<'a> {
        Program { stdin, ..program }
    }

    #[test]
    fn a_program_on_path() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (folder, mode) in [("plain", 0o644), ("good", 0o755), ("later", 0o755)] {
            std::fs::create_dir(at(folder)).unwrap();
            std::fs::write(at(folder).join("tool"), "").unwrap();
            std::fs::set_permissions(at(folder).join("tool"), std::fs::Permissions::from_mode(mode)).unwrap();
        }
        std::fs::create_dir_all(at("folder/tool")).unwrap();
        let found = |names: &[&str]| {
            let folders = names.iter().map(|name| match *name {
                "" | "." | "relative" => PathBuf::from(name),
                name => at(name),
            });
            find_on_path(&std::env::join_paths(folders).unwrap(), "tool")
        };
        let good = Some(at("good/tool"));
        assert_eq!(
            found(&["", ".", "relative", "none", "folder", "plain", "good", "later"]),
            good
        );
        assert_eq!(found(&["plain", "folder"]), None);
    }
}
