//! `hook run`: one OpenClaw event in, messages out.

use crate::cli::HookRunArgs;
use crate::exit::{Error, ExitCode, Result};
use crate::settings::Env;
use std::io::Write;

/// Runs the command.
pub fn run(_args: &HookRunArgs, _env: &Env, _out: &mut dyn Write) -> Result<ExitCode> {
    Err(Error::new(ExitCode::Failure, "not there yet"))
}
