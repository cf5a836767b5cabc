//! The broker's own folder, which stands for an OpenClaw home.

use crate::env::Env;
use crate::error::Result;
use crate::home::{self, OpenClawHome};
use std::path::{Path, PathBuf};

/// `--state`, else `$STATE_DIRECTORY`, of which systemd may name several with colons between them, else the OpenClaw home
/// of the user that it runs as.
pub fn place(state: Option<&Path>, env: &Env) -> Result<OpenClawHome> {
    let of_unit = || Some(PathBuf::from(env.var("STATE_DIRECTORY")?.split(':').next()?));
    let place = match state.map(Path::to_owned).or_else(of_unit) {
        Some(state) => OpenClawHome::at(home::absolute(&state)?),
        None => home::find(None, None, env)?,
    };
    Ok(OpenClawHome {
        person: env.path("HOME"),
        ..place
    })
}
