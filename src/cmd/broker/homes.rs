//! Both sides of a move, as root finds them: an OpenClaw home, and the folder of a broker that another user runs.

use super::state;
use crate::cli::BrokerHomesArgs;
use crate::env::Env;
use crate::error::{Error, ExitCode, OrFail, Result};
use crate::fs;
use crate::home::{self, OpenClawHome};
use crate::hook_record;
use crate::settings::{self, Owner, OwnerQuery};
use crate::token::record;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Both sides.
pub struct Homes {
    /// The OpenClaw home.
    pub home: OpenClawHome,
    /// Whose it is: the user that the OpenClaw gateway and its agents run as.
    pub user: u32,
    /// The broker's folder.
    pub state: OpenClawHome,
    /// The broker's user.
    pub broker: u32,
}

impl Homes {
    /// Finds them. No link is followed to either.
    ///
    /// # Errors
    /// Who runs this is not root; one is not there; or both are one user's, who would keep nothing from himself.
    pub fn find(args: &BrokerHomesArgs, env: &Env, verb: &str) -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            let what = format!("could not {verb} a login: only root can move it between two users");
            let state = args.state.as_deref().map(fs::quoted);
            let state = state.map_or_else(String::new, |state| format!(" --state {state}"));
            return Err(Error::new(ExitCode::Usage, what).next(format!(
                "sudo sigilum-authz-notify broker {verb} {}{state}",
                fs::quoted(&args.home)
            )));
        }
        let Some(state) = state::named(args.state.as_deref(), env) else {
            let what = format!("could not {verb} a login: no folder of a broker is named");
            return Err(Error::new(ExitCode::Usage, what).next("add --state <folder>, the broker's own"));
        };
        let (home, user) = folder(&args.home)?;
        let (state, broker) = folder(&state)?;
        if broker == 0 || broker == user {
            let what = format!(
                "could not use the broker's folder, it is {}: {}",
                match broker {
                    0 => "root's, not a user's of its own",
                    _ => "that of the user whose agents it is to be kept from",
                },
                state.display()
            );
            return Err(Error::new(ExitCode::Usage, what).next(format!(
                "give it to the broker's user: chown -R <user> {}",
                fs::quoted(&state)
            )));
        }
        if user == 0 {
            let what =
                format!("could not {verb} a login: the OpenClaw home is root's, whose agents can read everything");
            return Err(Error::new(ExitCode::Usage, what)
                .next("run the OpenClaw gateway as a user of its own, and give it its home"));
        }
        Ok(Self {
            home: with_config(OpenClawHome::at(home), user),
            user,
            state: OpenClawHome::at(state),
            broker,
        })
    }
}

/// A folder, and whose it is.
fn folder(path: &Path) -> Result<(PathBuf, u32)> {
    let path = home::absolute(path)?;
    let what = || format!("could not use the folder: {}", path.display());
    let about = std::fs::symlink_metadata(&path).or_fail(ExitCode::Usage, what)?;
    if !about.is_dir() {
        let why = match about.is_symlink() {
            true => "it is a symbolic link",
            false => "it is not a folder",
        };
        return Err(Error::new(ExitCode::Usage, what())
            .because(anyhow::Error::msg(why))
            .next(format!("give the folder itself: readlink -f {}", fs::quoted(&path))));
    }
    let real = path.canonicalize().or_fail(ExitCode::Usage, what)?;
    Ok((real, about.uid()))
}

/// The config that the home's record names, where it is that user's own.
fn with_config(place: OpenClawHome, user: u32) -> OpenClawHome {
    let recorded = hook_record::read(&place.hook_record_file()).ok().flatten();
    let config = recorded
        .and_then(|record| record.config)
        .filter(|config| fs::is_of(config, user));
    OpenClawHome {
        config: config.unwrap_or_else(|| place.config.clone()),
        ..place
    }
}

/// Whose login is moved out of a place, by what was typed and its records alone. `other`: where it may be already.
///
/// # Errors
/// There are several, and none is named; or none at all.
pub fn owner(place: &OpenClawHome, typed: OwnerQuery, other: &OpenClawHome) -> Result<Owner> {
    let found = record::namespaces(&place.sigilum_dir())?;
    let namespace = match (typed.namespace, found.len()) {
        (Some(named), _) => named.to_owned(),
        (None, 1) => found.into_iter().next().unwrap_or_default(),
        (None, 0) => {
            let what = format!("could not find a login in {}", place.home.display());
            let there = record::namespaces(&other.sigilum_dir())?;
            let there: Vec<String> = there.into_iter().collect();
            return Err(match there.is_empty() {
                true => Error::new(ExitCode::Token, what),
                false => Error::new(
                    ExitCode::Token,
                    format!("{what}; {} has that of {}", other.home.display(), there.join(", ")),
                ),
            });
        }
        (None, _) => {
            let all: Vec<String> = found.into_iter().collect();
            let what = format!(
                "could not tell whose login is meant, there are several: {}",
                all.join(", ")
            );
            let next = format!("add --namespace {}, and run it again for each other one", all[0]);
            return Err(Error::new(ExitCode::Usage, what).next(next));
        }
    };
    let query = OwnerQuery {
        namespace: Some(&namespace),
        moves_record: true,
        ..typed
    };
    settings::owner(&query, &Env::default(), place)
}
