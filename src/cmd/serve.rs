//! `serve --stdio`: the plugin's resident child.

use crate::cli::ServeArgs;
use crate::exit::{Error, ExitCode, Result};
use crate::settings::Env;
use std::io::Write;

/// Runs the command.
pub fn run(_args: &ServeArgs, _env: &Env, _out: &mut dyn Write) -> Result<ExitCode> {
    Err(Error::new(ExitCode::Failure, "not there yet"))
}
