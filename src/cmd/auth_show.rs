//! `auth show`: print the stored token.

use crate::cli::ShowArgs;
use crate::exit::{Error, ExitCode, Result};
use crate::settings::Env;
use std::io::Write;

/// Runs the command.
pub fn run(_args: &ShowArgs, _env: &Env, _out: &mut dyn Write) -> Result<ExitCode> {
    Err(Error::new(ExitCode::Failure, "not there yet"))
}
