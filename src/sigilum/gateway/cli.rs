//! The gateway's own command line, `sigilum-gateway-cli`: the way in while the gateway is stopped.
//!
//! It opens the gateway's embedded store, takes the master key by environment, and has no other way to take a secret
//! than its command line. What it writes to standard error is never passed on raw: a flag error makes it print its
//! usage text with the master key in it.

use super::connection::{self, Connection, NewConnection, Patch};
use super::{Rotated, Target};
use crate::error::{Error, ExitCode, Result};
use crate::process::child::Program;
use secrecy::{ExposeSecret, SecretString};
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// A run that takes longer is ended.
const LIMIT: Duration = Duration::from_secs(30);
/// It must not print more than this.
const MAX_OUTPUT: usize = 4 * 1024 * 1024;

/// What helps against a CLI that does not do as it should.
const THE_RIGHT_CLI: &str = "start the Sigilum gateway and run the same command again, or see that SIGILUM_GATEWAY_CLI or \
     PATH leads to the gateway's own CLI";

const MAKE: &str = "make the connection";

/// The CLI, its store and its key.
#[derive(Debug)]
pub struct Cli {
    program: PathBuf,
    data_dir: PathBuf,
    master_key: SecretString,
    path: Option<OsString>,
}

/// How a run failed, as far as its first error line tells.
#[derive(Debug, PartialEq)]
enum Failure {
    NotFound,
    Exists,
    Unchanged,
    InUse,
    WrongKey,
    Other(String),
}

/// Why the CLI is no way in, for the list of what was tried.
pub(super) fn open(target: &Target) -> std::result::Result<Cli, String> {
    let data_dir = match (&target.data_dir, &target.master_key) {
        (None, _) => {
            return Err(
                "sigilum-gateway-cli: no data folder given (--gateway-data-dir or GATEWAY_DATA_DIR)".to_owned(),
            );
        }
        (Some(dir), None) => {
            return Err(format!(
                "sigilum-gateway-cli on {}: no master key given (GATEWAY_MASTER_KEY)",
                dir.display()
            ));
        }
        (Some(dir), Some(_)) => dir,
    };
    // In a folder that holds no store, the CLI would make an empty one.
    if !data_dir.join("badger").join("MANIFEST").is_file() {
        return Err(format!(
            "sigilum-gateway-cli: no gateway store in {}",
            data_dir.display()
        ));
    }
    let Some(program) = &target.cli else {
        return Err("sigilum-gateway-cli: not on PATH (SIGILUM_GATEWAY_CLI may name it)".to_owned());
    };
    if !program.is_file() {
        return Err(format!("sigilum-gateway-cli: no such program: {}", program.display()));
    }
    Ok(Cli {
        program: program.clone(),
        data_dir: data_dir.clone(),
        master_key: target.master_key.clone().unwrap_or_default(),
        path: target.path.clone(),
    })
}

impl Cli {
    /// Where it works, for messages.
    pub(super) fn place(&self) -> String {
        format!("the stopped gateway's store in {}", self.data_dir.display())
    }

    pub(super) fn get(&self, id: &str) -> Result<Option<Connection>> {
        match self.run(&["get", "--id", id], None)? {
            Ok(text) => self.connection(&text, "read the connection", id).map(Some),
            Err(Failure::NotFound) => Ok(None),
            Err(failure) => Err(self.error("read the connection", failure)),
        }
    }

    pub(super) fn ids(&self) -> Result<HashSet<String>> {
        let what = "list the connections";
        let text = self
            .run(&["list"], None)?
            .map_err(|failure| self.error(what, failure))?;
        connection::ids(&text).map_err(|_| self.no_json(what))
    }

    /// Refuses what the CLI has no flags for.
    pub(super) fn refuse_mcp(&self, new: &NewConnection) -> Result<()> {
        if new.protocol != "mcp" {
            return Ok(());
        }
        let what = format!("could not {MAKE} in {}: it is an MCP connection", self.place());
        Err(Error::new(ExitCode::Unreachable, what).next("start the Sigilum gateway, then run the same command again"))
    }

    pub(super) fn create(&self, new: &NewConnection, secret: Option<(&str, &SecretString)>) -> Result<Connection> {
        let what = MAKE;
        self.refuse_mcp(new)?;
        let days = new.rotation_interval_days.to_string();
        let mut args = vec![
            "add",
            "--id",
            &new.id,
            "--name",
            &new.name,
            "--base-url",
            &new.base_url,
            "--auth-mode",
            &new.auth_mode,
            "--auth-header-name",
            &new.auth_header_name,
            "--auth-prefix",
            &new.auth_prefix,
            "--auth-secret-key",
            &new.auth_secret_key,
            // Without these two, its defaults make every http connection fail.
            "--mcp-transport",
            "",
            "--mcp-endpoint",
            "",
        ];
        if !new.path_prefix.is_empty() {
            args.extend(["--path-prefix", &new.path_prefix]);
        }
        if new.rotation_interval_days != 0 {
            args.extend(["--rotation-interval-days", &days]);
        }
        self.change(&args, secret, what, &new.id)
    }

    pub(super) fn patch(&self, id: &str, patch: &Patch) -> Result<Connection> {
        let days = patch.rotation_interval_days.map(|days| days.to_string());
        let mut args = vec!["update", "--id", id];
        for (flag, value) in [
            ("--name", &patch.name),
            ("--path-prefix", &patch.path_prefix),
            ("--auth-mode", &patch.auth_mode),
            ("--auth-header-name", &patch.auth_header_name),
            ("--auth-prefix", &patch.auth_prefix),
            ("--auth-secret-key", &patch.auth_secret_key),
            ("--rotation-interval-days", &days),
            ("--status", &patch.status),
        ] {
            if let Some(value) = value {
                args.extend([flag, value]);
            }
        }
        self.change(&args, None, "change the connection", id)
    }

    pub(super) fn rotate(&self, id: &str, key: &str, secret: &SecretString) -> Result<Rotated> {
        let what = "rotate the secret";
        match self.run(&["rotate", "--id", id], Some((key, secret)))? {
            Ok(text) => self.connection(&text, what, id).map(Rotated::Changed),
            Err(Failure::Unchanged) => Ok(Rotated::Unchanged),
            Err(failure) => Err(self.error(what, failure)),
        }
    }

    pub(super) fn delete(&self, id: &str) -> Result<bool> {
        match self.run(&["delete", "--id", id], None)? {
            Ok(_) => Ok(true),
            Err(Failure::NotFound) => Ok(false),
            Err(failure) => Err(self.error("delete the connection", failure)),
        }
    }

    fn change(&self, args: &[&str], secret: Option<(&str, &SecretString)>, what: &str, id: &str) -> Result<Connection> {
        let text = self.run(args, secret)?.map_err(|failure| self.error(what, failure))?;
        self.connection(&text, what, id)
    }

    fn connection(&self, text: &[u8], what: &str, id: &str) -> Result<Connection> {
        let connection: Connection = serde_json::from_slice(text).map_err(|_| self.no_json(what))?;
        match connection.invalid_response(id) {
            None => Ok(connection),
            Some(why) => Err(super::invalid_response(what, &self.place(), id, why)),
        }
    }

    fn no_json(&self, what: &str) -> Error {
        Error::new(
            ExitCode::Unreachable,
            format!(
                "could not {what}: {} did not print the JSON of a connection",
                self.program.display()
            ),
        )
        .next(THE_RIGHT_CLI)
    }

    /// One run. The outer error: it could not be run at all.
    fn run(
        &self,
        args: &[&str],
        secret: Option<(&str, &SecretString)>,
    ) -> Result<std::result::Result<Vec<u8>, Failure>> {
        let mut args: Vec<OsString> = args.iter().map(OsString::from).collect();
        if let Some((key, value)) = secret {
            args.extend(["--secret".into(), format!("{key}={}", value.expose_secret()).into()]);
        }
        let mut env = vec![
            ("GATEWAY_DATA_DIR".into(), self.data_dir.clone().into()),
            ("GATEWAY_MASTER_KEY".into(), self.master_key.expose_secret().into()),
        ];
        env.extend(self.path.clone().map(|path| ("PATH".into(), path)));
        let program = Program {
            path: &self.program,
            args,
            env,
            stdin: None,
            limit: LIMIT,
            max_stdout: MAX_OUTPUT,
            stop: None,
        };
        let ended = program.run().map_err(|error| {
            let what = format!("could not run the Sigilum gateway's CLI: {}", self.program.display());
            Error::new(ExitCode::Unreachable, what)
                .because(error)
                .next(THE_RIGHT_CLI)
        })?;
        if ended.status.success() {
            return Ok(Ok(ended.stdout));
        }
        let secrets = [Some(&self.master_key), secret.map(|(_, value)| value)];
        Ok(Err(failure(
            &String::from_utf8_lossy(&ended.stderr),
            secrets.into_iter().flatten(),
        )))
    }

    fn error(&self, what: &str, failure: Failure) -> Error {
        let place = self.place();
        match failure {
            Failure::InUse => Error::new(
                ExitCode::Unreachable,
                format!("could not {what}: {place} is in use, so the gateway runs, but its admin API was not reached"),
            )
            .next("give its admin API's address with --gateway-admin-url, or stop the Sigilum gateway"),
            Failure::WrongKey => Error::new(
                ExitCode::SecretOrDatabase,
                format!("could not {what}: the master key does not open {place}"),
            )
            .next("set GATEWAY_MASTER_KEY to the key that the Sigilum gateway runs with"),
            Failure::NotFound => Error::new(
                ExitCode::Failure,
                format!("could not {what}: {place} holds no such connection"),
            )
            .next("run the same command again"),
            Failure::Exists => Error::new(
                ExitCode::Failure,
                format!("could not {what}: {place} holds one of this name by now"),
            )
            .next("run the same command again"),
            Failure::Unchanged => Error::new(
                ExitCode::Failure,
                format!("could not {what}: the gateway asks for a secret"),
            )
            .next("give one with --upstream-secret-env <VARIABLE>"),
            Failure::Other(line) => {
                Error::new(ExitCode::Failure, format!("could not {what} in {place}: {line}")).next(THE_RIGHT_CLI)
            }
        }
    }
}

/// What the error line on standard error means.
fn failure<'a>(stderr: &str, secrets: impl IntoIterator<Item = &'a SecretString>) -> Failure {
    let line = stderr
        .lines()
        .filter_map(|line| line.strip_prefix("error: "))
        .next_back()
        .unwrap_or_default();
    if line.contains("Cannot acquire directory lock") || line.contains("Another process is using this Badger") {
        Failure::InUse
    } else if line.contains("message authentication failed") {
        Failure::WrongKey
    } else if line.starts_with("connection not found") {
        Failure::NotFound
    } else if line.starts_with("connection already exists") {
        Failure::Exists
    } else if line.starts_with("secrets are required") {
        Failure::Unchanged
    } else if line.is_empty() {
        Failure::Other("its CLI gave no reason".to_owned())
    } else {
        Failure::Other(super::quote(line, secrets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_lines_are_understood_and_never_repeat_a_secret() {
        let key = SecretString::from("master-0123456789");
        let usage = "flag provided but not defined: -x\nUsage of add:\n  -master-key string\n    \tGateway master key (default \"master-0123456789\")\n";
        let cases = [
            (
                "error: open badger: Cannot acquire directory lock on \"/d/badger\".  Another process is using this Badger database. x",
                Failure::InUse,
            ),
            (
                "error: chacha20poly1305: message authentication failed\n",
                Failure::WrongKey,
            ),
            ("error: connection not found\n", Failure::NotFound),
            ("error: connection already exists\n", Failure::Exists),
            ("error: secrets are required\n", Failure::Unchanged),
            (usage, Failure::Other("its CLI gave no reason".to_owned())),
            (
                &format!("{usage}error: flag provided but not defined: -x\n"),
                Failure::Other("\"flag provided but not defined: -x\"".to_owned()),
            ),
            (
                "error: invalid value \"k=master-0123456789\" for flag -secret\n",
                Failure::Other("message hidden: it contains a secret".to_owned()),
            ),
        ];
        for (stderr, expected) in cases {
            assert_eq!(failure(stderr, [&key]), expected, "{stderr}");
        }
    }
}
