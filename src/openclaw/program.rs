//! The `openclaw` program itself, where it is on PATH: asked what only it knows, told to write what only it may.

use crate::env::Env;
use crate::error::{Error, ExitCode, OrFail, Result};
use crate::home::OpenClawHome;
use crate::process::child::Program;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

/// It must not print more than this.
const MAX_OUTPUT: usize = 4 * 1024 * 1024;

/// What the program may see of our environment: nothing that could be a secret.
const ENV: [&str; 12] = [
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

/// The part of our environment that the program may see.
pub fn environment(env: &Env) -> Vec<(&'static str, OsString)> {
    let value = |name| Some((name, env.path(name)?.into_os_string()));
    ENV.into_iter().filter_map(value).collect()
}

/// How a run of the program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Whether it ended with exit code 0.
    pub ok: bool,
    /// Its standard output, as far as it is UTF-8.
    pub stdout: String,
    /// The end of its standard error, likewise.
    pub stderr: String,
}

/// Runs the program on this OpenClaw home, without a shell and with nothing to read, and kills it after `limit`.
/// `env` is the environment that it gets, besides where the home is.
pub fn run(
    program: &Path,
    args: &[OsString],
    env: &[(&str, OsString)],
    place: &OpenClawHome,
    limit: Duration,
) -> Result<Ran> {
    let ours: [(&str, OsString); 5] = [
        ("OPENCLAW_STATE_DIR", place.home.clone().into()),
        ("OPENCLAW_CONFIG_PATH", place.config.clone().into()),
        ("OPENCLAW_NO_RESPAWN", "1".into()),
        ("OPENCLAW_NO_AUTO_UPDATE", "1".into()),
        ("NO_COLOR", "1".into()),
    ];
    let env = env.iter().chain(&ours);
    let program = Program {
        path: program,
        args: args.to_vec(),
        env: env.map(|(name, value)| (name.into(), value.clone())).collect(),
        stdin: None,
        limit,
        max_stdout: MAX_OUTPUT,
        stop: None,
    };
    let what = || format!("could not run OpenClaw: {}", program.path.display());
    let ended = program.run().or_fail(ExitCode::Failure, what)?;
    if let Some(signal) = ended.status.signal() {
        let why = anyhow::Error::msg(format!("it was killed by signal {signal}"));
        return Err(Error::new(ExitCode::Failure, what()).because(why));
    }
    Ok(Ran {
        ok: ended.status.success(),
        stdout: String::from_utf8_lossy(&ended.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&ended.stderr).into_owned(),
    })
}
