//! Both sides of a move, as root finds them: an OpenClaw home, and the folder of a broker that another user runs.

use super::state;
use crate::cli::BrokerHomesArgs;
use crate::cmd::context::{self, TRUST_HOME};
use crate::env::Env;
use crate::error::{Called, Error, ExitCode, OrFail, Result};
use crate::fs;
use crate::home::{self, OpenClawHome};
use crate::hook_record;
use crate::settings::{self, Owner, OwnerQuery};
use crate::token::record;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// So many links of root's may follow one another.
const LINKS: u32 = 16;

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
    /// Finds them; `typed`: the other flags of the command. No link but root's own is followed to either, and none that
    /// comes later: whose each is is settled here.
    ///
    /// # Errors
    /// Who runs this is not root; one is not there; or both are one user's, who would keep nothing from himself.
    pub fn find(args: &BrokerHomesArgs, env: &Env, verb: &str, typed: &str) -> Result<Self> {
        let state = state::named(args.state.as_deref(), env);
        if !rustix::process::geteuid().is_root() {
            let what = format!("could not {verb} a login: only root can move it between two users");
            let again = command(verb, &args.home, state.as_deref(), args.namespace.as_deref());
            return Err(Error::new(ExitCode::Usage, what).next(format!("sudo {again}{typed}")));
        }
        let Some(state) = state else {
            let what = format!("could not {verb} a login: no folder of a broker is named");
            return Err(Error::new(ExitCode::Usage, what).next("add --state <folder>, the broker's own"));
        };
        let (home, user) = folder(&args.home, |_| {
            "name the OpenClaw home, the folder where openclaw.json is".to_owned()
        })?;
        let (state, broker) = folder(&state, |path| {
            let path = fs::quoted(path);
            format!("make the broker's own, or name it: install -d -m 700 -o <broker-user> {path}")
        })?;
        if broker == 0 || broker == user {
            let what = format!(
                "could not use the broker's folder, it is {}: {}",
                match broker {
                    0 => "root's, not a user's of its own",
                    _ => "that of the user whose agents it is to be kept from",
                },
                state.display()
            );
            return Err(Error::new(ExitCode::Usage, what)
                .next("name the broker's own with --state, or make one: install -d -m 700 -o <broker-user> <folder>"));
        }
        if user == 0 {
            let what =
                format!("could not {verb} a login: the OpenClaw home is root's, whose agents can read everything");
            return Err(Error::new(ExitCode::Usage, what)
                .next("run the OpenClaw gateway as a user of its own, and give it its home"));
        }
        let of = |home, owner| OpenClawHome {
            found_anothers: Some(owner),
            ..OpenClawHome::at(home)
        };
        Ok(Self {
            home: with_config(of(home, user), user),
            user,
            state: of(state, broker),
            broker,
        })
    }
}

impl Homes {
    /// The same error: what is to be made anew in one of both is made by its user, whom root's own command would not mean.
    pub fn for_their_owner(&self, error: Error) -> Error {
        const AGAIN: &str = " && sigilum-authz-notify ";
        error.told(|step| {
            if step.contains(TRUST_HOME) {
                // Nobody says that for another user.
                return "move it to where only root and its user can write, and name it there".to_owned();
            }
            if !step.contains(AGAIN) {
                return step.to_owned();
            }
            let (place, uid) = match step.contains(&*fs::quoted(&self.state.home)) {
                true => (&self.state, self.broker),
                false => (&self.home, self.user),
            };
            let called = Called {
                place: vec![("--openclaw-home", fs::quoted(&place.home))],
                ..Called::default()
            };
            called
                .complete(step)
                .replace(AGAIN, &format!(" && {} ", fs::run_as(uid)))
        })
    }
}

/// The command that moves a login, up to what is typed of that.
pub fn command(verb: &str, home: &Path, state: Option<&Path>, namespace: Option<&str>) -> String {
    format!(
        "sigilum-authz-notify broker {verb} {}{}{}",
        fs::quoted(home),
        context::path_flag("--state", state),
        context::flag("--namespace", namespace)
    )
}

/// A folder, and whose it is. `other`: what helps where it is not there.
fn folder(path: &Path, other: impl Fn(&Path) -> String) -> Result<(PathBuf, u32)> {
    // Without what has the system follow a last link: a slash, a dot.
    let path: PathBuf = home::absolute(path)?.components().collect();
    let what = || format!("could not use the folder: {}", path.display());
    let no = |why: &str| {
        Error::new(ExitCode::Usage, what())
            .because(anyhow::Error::msg(why.to_owned()))
            .next(format!("give the folder itself: readlink -f {}", fs::quoted(&path)))
    };
    let is_link = |path: &Path| path.symlink_metadata().is_ok_and(|about| about.is_symlink());
    let real = match is_link(&path) {
        true => None,
        false => without_links(&path, LINKS).map_err(|error| {
            let error = Error::new(ExitCode::Usage, what()).because(error);
            error.next(other(&path))
        })?,
    };
    let Some(real) = real else {
        return Err(no("it is a symbolic link, or behind one"));
    };
    // Whoever owns the folder above may have put a link in its place since.
    let about = std::fs::symlink_metadata(&real).or_fail(ExitCode::Usage, what)?;
    match about.is_dir() {
        true => Ok((real, about.uid())),
        false if about.is_symlink() => Err(no("it is a symbolic link")),
        false => Err(Error::new(ExitCode::Usage, what())
            .because(anyhow::Error::msg("it is not a folder"))
            .next(other(&path))),
    }
}

/// Where a path leads by links of root's alone; `None` where somebody else put one on the way: it could lead to what is
/// not theirs.
fn without_links(path: &Path, left: u32) -> io::Result<Option<PathBuf>> {
    let mut real = PathBuf::new();
    for part in path.components() {
        let Component::Normal(name) = part else {
            match part {
                Component::ParentDir => drop(real.pop()),
                _ => real.push(part),
            }
            continue;
        };
        real.push(name);
        let about = real.symlink_metadata()?;
        if !about.is_symlink() {
            continue;
        }
        if about.uid() != 0 || left == 0 {
            return Ok(None);
        }
        let to = real.read_link()?;
        real.pop();
        match without_links(&real.join(to), left - 1)? {
            Some(led) => real = led,
            None => return Ok(None),
        }
    }
    Ok(Some(real))
}

/// The config that the home's record names, where it is that user's own.
fn with_config(place: OpenClawHome, user: u32) -> OpenClawHome {
    let recorded = hook_record::read(&place.hook_record_file()).ok().flatten();
    let config = recorded
        .and_then(|record| record.config_for(&place.home))
        .filter(|config| fs::is_of(config, user));
    OpenClawHome {
        config: config.unwrap_or_else(|| place.config.clone()),
        ..place
    }
}

/// The step that logs in where there was nothing to bring to. A home that asks a broker takes no login.
pub fn log_in(place: &OpenClawHome, namespace: Option<&str>) -> String {
    let namespace = context::flag("--namespace", namespace);
    let login = as_its_user(place, &format!("auth login{namespace}"));
    let recorded = hook_record::read(&place.hook_record_file()).ok().flatten();
    match recorded.is_some_and(|record| record.broker.is_some()) {
        true => {
            format!("{} && {login}", without_broker(place))
        }
        false => login,
    }
}

/// The step after which a home asks no broker.
pub fn without_broker(place: &OpenClawHome) -> String {
    as_its_user(place, "hook install --enable preserve --broker ''")
}

fn as_its_user(place: &OpenClawHome, words: &str) -> String {
    let run = fs::run_as(place.anothers().unwrap_or_default());
    format!("{run} {words} --openclaw-home {}", fs::quoted(&place.home))
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
            // As version 0.1.0 leaves it. Whose it is, is for a person to say.
            if context::entry(place)
                .ok()
                .flatten()
                .is_some_and(|entry| entry.token().is_some())
            {
                let what = format!("{what}: a token stands in openclaw.json alone, without a record");
                return Err(Error::new(ExitCode::Token, what).next("add --namespace <owner>"));
            }
            let there = record::namespaces(&other.sigilum_dir())?;
            let there: Vec<String> = there.into_iter().collect();
            return Err(match there.is_empty() {
                true => Error::new(ExitCode::Token, what).next(log_in(other, None)),
                false => Error::new(
                    ExitCode::Token,
                    format!("{what}; {} has that of {}", other.home.display(), there.join(", ")),
                )
                .next(as_its_user(other, "auth status")),
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
