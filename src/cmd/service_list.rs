//! `service list`: the services of a namespace.

use crate::cli::ServiceListArgs;
use crate::exit::{Error, ExitCode, Result};
use crate::settings::Env;
use std::io::Write;

/// Runs the command.
pub fn run(_args: &ServiceListArgs, _env: &Env, _out: &mut dyn Write) -> Result<ExitCode> {
    Err(Error::new(ExitCode::Failure, "not there yet"))
}
