//! A login that goes from one home to another: from an OpenClaw home into a broker's folder, or back. It is in full where
//! it goes before anything is taken away where it was, so that after a crash at any point one of both has it, and the
//! same command goes on.

use super::homes;
use crate::cmd::auth::logout;
use crate::cmd::output::write_line;
use crate::cmd::together::Together;
use crate::cmd::{context, output, timed_approvals};
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs::{self, OwnLock};
use crate::home::OpenClawHome;
use crate::hook_record;
use crate::local_token::LocalApi;
use crate::mode::Mode;
use crate::openclaw::config;
use crate::openclaw::entry;
use crate::settings::{self, Owner, OwnerQuery};
use crate::time;
use crate::token::claims;
use crate::token::record::{self, Record};
use crate::token::store;
use crate::token::times::LONGEST;
use crate::token::token_command::VARIABLE;
use secrecy::{ExposeSecret, SecretString};
use std::io::Write;
use std::path::PathBuf;

/// How long a token lives that is made for a broker whose predecessor said nothing of it, seconds.
const LIFE: u64 = 604_800;

/// The move of one namespace.
pub struct Move<'a> {
    /// Where it is.
    pub from: &'a OpenClawHome,
    /// Where it goes.
    pub to: &'a OpenClawHome,
    /// The owner, as the home that it is in says; its record is what goes.
    pub owner: &'a Owner,
    /// What is kept of the login there: nothing that nobody confirmed.
    pub record: Record,
    /// What prints a new token, where there is such a program.
    pub token_command: Option<&'a str>,
    /// Where it goes an agent may have put a token of its own: it is no reason to give a good one up.
    pub agents_are_there: bool,
}

/// What was moved.
pub struct Moved {
    /// The token as it stood in the first home, where there was one.
    pub token: Option<SecretString>,
    /// Its expiry, Unix seconds.
    pub expires_at: Option<i64>,
    /// The files of OpenClaw's config there.
    pub files: Vec<PathBuf>,
}

impl Move<'_> {
    /// Does it.
    ///
    /// # Errors
    /// Where there is nothing to move, or a lock stays held; nothing is lost then.
    pub fn run(&self, out: &mut dyn Write) -> Result<Moved> {
        let locks = [fs::lock_sigilum(self.to)?, fs::lock_sigilum(self.from)?];
        let old = self.old_token()?;
        let there = self.token_there(old.as_ref())?;
        if old.is_none() && there.is_none() && !self.is_embedded() {
            return Err(self.nothing());
        }
        self.refuse_what_keeps_it(old.as_ref())?;
        self.give(&locks[0], old.as_ref(), there, out)?;
        let files = config::read(self.from)?.map_or_else(Vec::new, |config| config.files);
        self.take_away(&locks[1], out)?;
        let says = old.as_ref().and_then(|token| claims::inspect(token).ok());
        Ok(Moved {
            expires_at: says.and_then(|says| says.exp),
            token: old,
            files,
        })
    }

    fn namespace(&self) -> &str {
        &self.owner.namespace.value
    }

    /// Whether its API's database is our own: then what signs its tokens was as near to an agent as they were.
    fn is_embedded(&self) -> bool {
        self.record.is_embedded()
    }

    fn nothing(&self) -> Error {
        let what = format!(
            "could not find an owner token of namespace {} in {}",
            self.namespace(),
            self.from.home.display()
        );
        Error::new(ExitCode::Token, what).next(homes::log_in(self.to, Some(self.namespace())))
    }

    /// The token where it is, in its file or in openclaw.json.
    fn old_token(&self) -> Result<Option<SecretString>> {
        let in_file = self.owner.stored_token()?;
        let found = match in_file {
            Some(token) => Some(token),
            None => self.token_in_config()?,
        };
        let Some(token) = found else { return Ok(None) };
        match claims::inspect(&token) {
            Ok(says) if says.namespace == self.namespace() => Ok(Some(token)),
            Ok(_) => Err(self.no_token("it is for another namespace".to_owned())),
            Err(invalid) => Err(self.no_token(invalid.to_string())),
        }
    }

    /// The one in openclaw.json, which is the home's user's own: they may lead its name to another's at any time.
    fn token_in_config(&self) -> Result<Option<SecretString>> {
        let Some(config) = config::read(self.from)? else {
            return Ok(None);
        };
        let token = entry::find(&config.value)?.and_then(|entry| entry.token());
        match self.from.anothers() {
            Some(uid) if token.is_some() && config.owner != Some(uid) => {
                Err(fs::not_its_owners(ExitCode::Config, &self.from.config, uid))
            }
            _ => Ok(token),
        }
    }

    /// Before anything changes: the config can be read, and the token stands in no file that it includes, where nothing is
    /// taken out.
    fn refuse_what_keeps_it(&self, stored: Option<&SecretString>) -> Result<()> {
        if self.from.config.symlink_metadata().is_err() {
            return Ok(());
        }
        let in_config = context::entry(self.from)?.and_then(|entry| entry.token());
        let own = self
            .from
            .config
            .canonicalize()
            .unwrap_or_else(|_| self.from.config.clone());
        let tokens = stored.into_iter().chain(&in_config);
        let mut files = tokens.flat_map(|token| config::files_with(self.from, token));
        let Some(included) = files.find(|file| *file != own) else {
            return Ok(());
        };
        let what = format!(
            "could not move the login, the token stands in a file that the config includes: {}",
            included.display()
        );
        Err(Error::new(ExitCode::Config, what).next("take it out there, then run the command again"))
    }

    fn no_token(&self, why: String) -> Error {
        let what = format!(
            "could not take the owner token of namespace {}: {}",
            self.namespace(),
            self.owner.token_file.display()
        );
        Error::new(ExitCode::Token, what)
            .because(anyhow::Error::msg(why))
            .next(homes::log_in(self.to, Some(self.namespace())))
    }

    /// The token where it goes, which counts while it is in force: nothing that an agent could have put into the home
    /// takes the place of the broker's.
    fn token_there(&self, old: Option<&SecretString>) -> Result<Option<SecretString>> {
        let is_good = |token: &SecretString| {
            claims::inspect(token).is_ok_and(|says| says.namespace == self.namespace() && !says.is_expired(time::now()))
        };
        let has_better = self.agents_are_there && (self.is_embedded() || old.is_some_and(is_good));
        let file = self.to.token_file(self.namespace());
        let stored = match self.to.anothers() {
            Some(uid) => store::read_of(&file, uid)?,
            None => store::read(&file)?,
        };
        let there = match stored.filter(is_good) {
            Some(there) if has_better => there,
            there => return Ok(there),
        };
        let is_other = old.is_some_and(|old| old.expose_secret() != there.expose_secret());
        if is_other && !self.is_embedded() {
            output::warn(format_args!(
                "{} had another token of {}, which an agent may have put there; the broker's takes its place",
                self.to.home.display(),
                self.namespace()
            ));
        }
        Ok(None)
    }

    /// Puts all of it where it goes, and waits until it is on the disk.
    fn give(
        &self,
        lock: &OwnLock,
        old: Option<&SecretString>,
        there: Option<SecretString>,
        out: &mut dyn Write,
    ) -> Result<()> {
        let namespace = self.namespace();
        let file = self.to.token_file(namespace);
        let token = match (&there, self.is_embedded()) {
            (Some(_), _) => None,
            (None, true) => Some(self.new_token(old)?),
            (None, false) => old.cloned(),
        };
        if let Some(token) = &token {
            store::write(lock, &file, token, false)?;
        }
        if !self.agents_are_there {
            lock.write_private(&self.to.broker_mark_file(), b"")?;
        }
        record::write(lock, &self.to.record_file(namespace), self.record.clone())?;
        let path = self.to.hook_record_file();
        let mut hook = hook_record::read(&path)?.unwrap_or_default();
        hook.namespace.get_or_insert_with(|| namespace.to_owned());
        if let Some(command) = self.token_command {
            hook.env.insert(VARIABLE.to_owned(), command.to_owned());
        }
        hook_record::write(lock, &path, &hook)?;
        lock.sync()?;
        let is_other = there.is_some_and(|there| {
            old.is_some_and(|old| old.expose_secret() != there.expose_secret()) && !self.is_embedded()
        });
        let (file, to) = (file.display(), self.to.home.display());
        match (is_other, self.is_embedded(), token.is_some()) {
            (true, ..) => output::warn(format_args!(
                "{to} has a token of {namespace} in force already, and keeps it; the other one is taken away"
            )),
            (_, true, true) => write_line(out, format_args!("Made a new signing secret and a new token: {file}"))?,
            _ => write_line(out, format_args!("The token is in {file}"))?,
        }
        Ok(())
    }

    /// A token of a secret that was never anywhere else.
    fn new_token(&self, old: Option<&SecretString>) -> Result<SecretString> {
        let query = OwnerQuery {
            namespace: Some(self.namespace()),
            mode: Some(Mode::OssLocal),
            api_url: Some(&self.record.api_url),
            email: Some(&self.record.email),
            replaces_record: true,
            ..OwnerQuery::default()
        };
        let owner = settings::owner(&query, &Env::default(), self.to)?;
        let api = LocalApi::find(&owner, self.to)?;
        let secret = api.keep(&api.secret_or_new(&Env::default())?)?;
        let says = old.and_then(|token| claims::inspect(token).ok());
        let life = says.and_then(|says| u64::try_from(says.exp?.checked_sub(says.iat?)?).ok());
        let life = life.filter(|life| (60..=LONGEST).contains(life)).unwrap_or(LIFE);
        api.issue(&owner, &secret, life, time::now())
    }

    /// Takes it away where it was; the record last, which says where everything is.
    fn take_away(&self, lock: &OwnLock, out: &mut dyn Write) -> Result<()> {
        let file = &self.owner.token_file;
        let remove = || lock.remove(file).map(drop);
        let was_there = file.symlink_metadata().is_ok();
        let together = Together::new(lock, &remove);
        if self.from.config.symlink_metadata().is_ok() {
            logout::take_out(self.namespace(), false, self.from, &together, out)?;
        }
        together.run()?;
        if was_there {
            write_line(out, format_args!("Removed {}", file.display()))?;
        }
        let is_token = |text: &str| claims::inspect(&text.to_owned().into()).is_ok();
        config::scrub_undo_record(self.from, lock, &is_token)?;
        if let Some(left) = self.left() {
            let what = format!("could not take the token out of the config: {}", left.display());
            return Err(Error::new(ExitCode::Config, what).next("take it out where the config is made"));
        }
        timed_approvals::left_behind(self.from, self.namespace())
            .iter()
            .for_each(output::warn);
        let secret = self.from.jwt_secret_file();
        if self.is_embedded() && !self.others_use_the_secret()? && lock.remove(&secret)? {
            write_line(out, format_args!("Removed {}", secret.display()))?;
        }
        lock.remove(&self.from.record_file(self.namespace()))?;
        Ok(())
    }

    /// The config, where a token of this namespace still stands in it.
    fn left(&self) -> Option<PathBuf> {
        let token = context::entry(self.from).ok()??.token()?;
        let says = claims::inspect(&token).ok()?;
        (says.namespace == self.namespace()).then(|| self.from.config.clone())
    }

    /// Whether another namespace's tokens are signed with the first home's own secret, or may be.
    fn others_use_the_secret(&self) -> Result<bool> {
        let all = record::namespaces(&self.from.sigilum_dir())?;
        let uses = |other: &String| match record::read(&self.from.record_file(other)) {
            Ok(record) => record.is_some_and(|record| record.mode == Mode::OssLocal && record.source_home.is_none()),
            Err(error) => {
                let secret = self.from.jwt_secret_file();
                let why = format!("it may sign the tokens of {other}: {}", error.text());
                output::warn(format_args!("{} stays, {why}", secret.display()));
                true
            }
        };
        Ok(all.iter().filter(|other| *other != self.namespace()).any(uses))
    }
}
