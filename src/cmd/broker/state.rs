//! The broker's own folder, which stands for an OpenClaw home.

use crate::env::Env;
use crate::error::Result;
use crate::home::{self, OpenClawHome};
use std::path::{Path, PathBuf};

/// The folder that is named, else the OpenClaw home of the user that it runs as.
pub fn place(state: Option<&Path>, env: &Env) -> Result<OpenClawHome> {
    let place = match named(state, env) {
        Some(state) => OpenClawHome::at(home::absolute(&state)?),
        None => home::find(None, None, env)?,
    };
    Ok(OpenClawHome {
        person: env.path("HOME"),
        ..place
    })
}

/// `--state`, else `$STATE_DIRECTORY`, of which systemd may name several with colons between them.
pub fn named(state: Option<&Path>, env: &Env) -> Option<PathBuf> {
    let of_unit = || Some(PathBuf::from(env.var("STATE_DIRECTORY")?.split(':').next()?));
    state.map(Path::to_owned).or_else(of_unit)
}
