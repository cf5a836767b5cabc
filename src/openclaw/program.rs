//! The `openclaw` program itself, where it is on PATH: asked what only it knows, told to write what only it may.

use crate::error::{Error, ExitCode, OrFail, Result};
use crate::settings::Place;
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// More output than this is not read.
const MAX_OUTPUT: u64 = 4 * 1024 * 1024;

/// What the program may see of our environment: nothing that could be a secret.
pub const ENV: [&str; 12] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "OPENCLAW_INCLUDE_ROOTS",
    "OPENCLAW_NIX_MODE",
    "OPENCLAW_CONFIG_READONLY",
    "XDG_RUNTIME_DIR",
];

/// `openclaw` on PATH. Relative folders of PATH are passed over.
pub fn find(path: &str) -> Option<PathBuf> {
    let executable = |file: &PathBuf| {
        let meta = file.metadata();
        meta.is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    let folders = path.split(':').map(Path::new).filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join("openclaw")).find(executable)
}

/// How a run of the program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Whether it ended with exit code 0.
    pub ok: bool,
    /// Its standard output, as far as it is UTF-8.
    pub stdout: String,
}

/// Runs the program on this OpenClaw home, without a shell and with nothing to read, and kills it after `limit`.
/// `env` is the environment that it gets, besides where the home is.
pub fn run(program: &Path, args: &[OsString], env: &[(&str, OsString)], place: &Place, limit: Duration) -> Result<Ran> {
    let what = || format!("could not run OpenClaw: {}", program.display());
    let mut command = Command::new(program);
    command
        .args(args)
        .env_clear()
        .envs(env.iter().map(|(name, value)| (name, value)))
        .env("OPENCLAW_STATE_DIR", &place.home)
        .env("OPENCLAW_CONFIG_PATH", &place.config)
        .env("OPENCLAW_NO_RESPAWN", "1")
        .env("OPENCLAW_NO_AUTO_UPDATE", "1")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn().or_fail(ExitCode::Failure, what)?;
    let output = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(output) = output {
            let _ = output.take(MAX_OUTPUT).read_to_end(&mut bytes);
        }
        bytes
    });
    let Some(ok) = wait(&mut child, limit).or_fail(ExitCode::Failure, what)? else {
        return Err(
            Error::new(ExitCode::Failure, what()).because(anyhow::anyhow!("it took longer than {} s", limit.as_secs()))
        );
    };
    let bytes = reader.join().unwrap_or_default();
    Ok(Ran {
        ok,
        stdout: String::from_utf8_lossy(&bytes).into_owned(),
    })
}

/// Whether it ended well; `None` where it had to be killed.
fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<bool>> {
    let end = Instant::now() + limit;
    while Instant::now() < end {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}
