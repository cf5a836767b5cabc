//! The person's own service manager: systemd's user manager, on macOS launchd. It is told to start and to stop a unit of
//! ours, where it has loaded that very file: another one of the same name is somebody else's, or of another home folder.

use crate::cli::UnitKind;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::home;
use crate::process::child::{Program, find_on_path};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) const SYSTEMD_UNIT: &str = "sigilum-authz-notify.service";
/// launchd's name of it.
pub(super) const LABEL: &str = "sigilum-authz-notify";
/// This machine's service manager.
pub(super) const KIND: UnitKind = if cfg!(target_os = "macos") {
    UnitKind::Launchd
} else {
    UnitKind::Systemd
};
/// A watcher is ready within a second, and ends within five; a busy machine takes longer.
const LIMIT: Duration = Duration::from_secs(30);
/// What it says of a unit is a few kilobytes.
const MAX_OUTPUT: usize = 1 << 20;
/// What leads to the manager, and nothing that could be a secret.
const ENV: [&str; 8] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
];

/// The manager, and the file of a unit.
pub(super) struct Manager<'a> {
    pub env: &'a Env,
    pub unit: &'a Path,
}

impl Manager<'_> {
    /// Starts the unit, now and with every session, and a running one anew. `None`: the manager cannot be asked;
    /// `Some(false)`: it has another file under that name, or looks for units elsewhere.
    ///
    /// # Errors
    /// [`ExitCode::Failure`] where it does not come up.
    pub fn start(&self) -> Result<Option<bool>> {
        let started = match KIND {
            UnitKind::Systemd => {
                let loaded = self.asked(&["daemon-reload"]).and_then(|_| self.loaded());
                match loaded {
                    None => return Ok(None),
                    Some(Some(loaded)) if is_same(&loaded, self.unit) => {}
                    Some(_) => return Ok(Some(false)),
                }
                ["enable", "restart"]
                    .iter()
                    .all(|what| self.asked(&[what, SYSTEMD_UNIT]).is_some())
            }
            UnitKind::Launchd => {
                self.stop();
                let unit = self.unit.to_string_lossy();
                return Ok(self.asked(&["bootstrap", &domain(), &unit]).map(|_| true));
            }
        };
        if started {
            return Ok(Some(true));
        }
        let what = format!("could not start the service: {}", self.unit.display());
        Err(Error::new(ExitCode::Failure, what).next(format!("journalctl --user --unit {SYSTEMD_UNIT} --lines 20")))
    }

    /// Stops the unit, where the manager has loaded it; `None` where that cannot be asked.
    pub fn stop(&self) -> Option<bool> {
        let loaded = self.loaded()?;
        if !loaded.is_some_and(|loaded| is_same(&loaded, self.unit)) {
            return Some(false);
        }
        let stopped = match KIND {
            UnitKind::Systemd => self.asked(&["disable", "--now", SYSTEMD_UNIT]),
            UnitKind::Launchd => self.asked(&["bootout", &service()]),
        };
        stopped.map(|_| true)
    }

    /// Has it forget a unit whose file is gone.
    pub fn forget(&self) {
        if KIND == UnitKind::Systemd {
            self.asked(&["daemon-reload"]);
        }
    }

    /// Whether there is one that can be asked and that finds this file: one that has none under our name looks where
    /// systemd's own default is.
    pub fn can_start(&self) -> bool {
        let is_default = || {
            let folder = home::person_home(self.env).map(|home| home.join(".config/systemd/user"));
            KIND == UnitKind::Launchd || folder.is_ok_and(|folder| is_same(&folder.join(SYSTEMD_UNIT), self.unit))
        };
        match self.loaded() {
            Some(Some(loaded)) => is_same(&loaded, self.unit),
            Some(None) => is_default(),
            None => false,
        }
    }

    /// The file that it has loaded under our name, where there is one; `None` where it cannot be asked.
    fn loaded(&self) -> Option<Option<PathBuf>> {
        let path = match KIND {
            UnitKind::Systemd => self.asked(&["show", "--property=FragmentPath", "--value", SYSTEMD_UNIT])?,
            UnitKind::Launchd => {
                let Some(service) = self.asked(&["print", &service()]) else {
                    return self.asked(&["print", &domain()]).map(|_| None);
                };
                let line = service.lines().find_map(|line| line.trim().strip_prefix("path = "));
                line.unwrap_or_default().to_owned()
            }
        };
        let path = path.trim();
        Some((!path.is_empty()).then(|| path.into()))
    }

    /// What the manager says; `None` where it cannot be asked, or refuses.
    fn asked(&self, words: &[&str]) -> Option<String> {
        let first = (KIND == UnitKind::Systemd).then_some("--user");
        let value = |name| Some((OsString::from(name), self.env.path(name)?.into_os_string()));
        let program = Program {
            path: &program(self.env)?,
            args: first.iter().chain(words).map(OsString::from).collect(),
            env: ENV.into_iter().filter_map(value).collect(),
            stdin: None,
            limit: LIMIT,
            max_stdout: MAX_OUTPUT,
            stop: None,
        };
        let ended = program.run().ok().filter(|ended| ended.status.success())?;
        Some(String::from_utf8_lossy(&ended.stdout).into_owned())
    }
}

/// What speaks to the manager.
pub(super) fn program(env: &Env) -> Option<PathBuf> {
    let name = match KIND {
        UnitKind::Systemd => "systemctl",
        UnitKind::Launchd => "launchctl",
    };
    find_on_path(env.path("PATH")?.as_os_str(), name)
}

/// Whether two names lead to one file.
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(one) == real(other)
}

fn domain() -> String {
    format!("gui/{}", rustix::process::getuid().as_raw())
}

fn service() -> String {
    format!("{}/{LABEL}", domain())
}
