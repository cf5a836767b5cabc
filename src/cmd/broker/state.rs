//! The broker's own folder, which stands for an OpenClaw home.

use crate::cmd::context;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::home::{self, OpenClawHome};
use crate::text::pasted::is_no_value;
use std::path::{Path, PathBuf};

/// The folder that is named, else the OpenClaw home of the user that it runs as.
pub fn place(state: Option<&Path>, env: &Env) -> Result<OpenClawHome> {
    let place = match named(state, env) {
        Some(state) => OpenClawHome::at(home::absolute(&state)?),
        None => home::find(None, None, env)?,
    };
    // Who says that says it of what is their own.
    if fs::another_user(&place.home).is_none() {
        context::heed_trust(env);
    }
    Ok(OpenClawHome {
        person: env.path("HOME"),
        ..place
    })
}

/// The same, for what looks at it: one that is named and not there was not meant.
///
/// # Errors
/// It is not there.
pub fn existing(state: Option<&Path>, env: &Env) -> Result<OpenClawHome> {
    let place = place(state, env)?;
    if named(state, env).is_none() || place.home.is_dir() {
        return Ok(place);
    }
    let what = format!("could not find the broker's folder: {}", place.home.display());
    Err(Error::new(ExitCode::Usage, what).next("name the folder that broker run has as --state"))
}

/// `--state`, else `$STATE_DIRECTORY`, of which systemd may name several with colons between them.
pub fn named(state: Option<&Path>, env: &Env) -> Option<PathBuf> {
    let of_unit = || {
        let folder = env.var("STATE_DIRECTORY")?.split(':').next()?;
        (!is_no_value(folder)).then(|| PathBuf::from(folder))
    };
    state.map(Path::to_owned).or_else(of_unit)
}
