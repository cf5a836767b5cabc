//! `hook status`: what is installed, selected and in force.

use crate::cli::HookStatusArgs;
use crate::exit::{Error, ExitCode, Result};
use crate::settings::Env;
use std::io::Write;

/// Runs the command.
pub fn run(_args: &HookStatusArgs, _env: &Env, _out: &mut dyn Write) -> Result<ExitCode> {
    Err(Error::new(ExitCode::Failure, "not there yet"))
}
