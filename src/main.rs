//! The `sigilum-authz-notify` binary: parse, run, turn an error into its exit code.

use sigilum_authz_notify::{cli::Cli, cmd, env::Env, process::signals};
use std::io::Write;

fn main() -> std::process::ExitCode {
    signals::outlive_file_limit();
    let cli = match Cli::from_args(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return cmd::tell_of_usage(&error, std::env::args_os()).into(),
    };
    let mut out = std::io::stdout().lock();
    let result = cmd::run(cli, &Env::from_process(), &mut out);
    let _ = out.flush();
    match result {
        Ok(code) => code.into(),
        Err(error) if error.is_broken_pipe() => error.code.into(),
        Err(error) => {
            cmd::tell_error(&error);
            error.code.into()
        }
    }
}
