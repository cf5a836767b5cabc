//! Does what planning decided.

use super::planner::{self, Action, By, Now, TokenId};
use super::snapshot::{self, SnapshotReader};
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs::{self, OwnLock};
use crate::home::OpenClawHome;
use crate::local_token::LocalApi;
use crate::mode::Mode;
use crate::openclaw::config::{self, EditOptions};
use crate::openclaw::entry::{self, Enable, Entry, Wanted};
use crate::openclaw::lock::LockOptions;
use crate::openclaw::removal;
use crate::settings::{self, Owner};
use crate::token::claims::{self, Claims};
use crate::token::record::{self, Record};
use crate::token::{source, store};
use crate::token_check::{TokenCheck, Verdict};
use secrecy::SecretString;
use std::path::PathBuf;
use std::time::Duration;

/// How long to wait for our own lock: there is a next try, and other homes.
pub(super) const PATIENCE: Duration = Duration::from_millis(300);
/// About half a second for OpenClaw's.
const TRIES: u32 = 9;
/// How long the API may take to say whether it accepts a token: a watcher is to end within a second.
const API_BUDGET: Duration = Duration::from_millis(700);

/// What came of an action.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is done. `obtained`: the new token, where there is one.
    Done { obtained: Option<TokenId> },
    /// The home is not as it was when this was planned: nothing was done.
    Changed,
}

/// A home to act on.
pub(super) struct ActionContext<'a> {
    pub place: &'a OpenClawHome,
    pub env: &'a Env,
    pub reader: &'a SnapshotReader,
    pub now: Now,
    /// What the token command printed, for a renewal by it.
    pub printed: Option<&'a SecretString>,
}

impl ActionContext<'_> {
    /// Does one action under our own lock. The home is as the action was planned for.
    pub fn act(&self, action: &Action, lock: &OwnLock) -> Result<Outcome> {
        let Some(owner) = self.reader.owner.clone() else {
            return Ok(Outcome::Changed);
        };
        match action {
            Action::Store(_) => self.store(&owner, lock),
            Action::Renew { by, .. } => self.renew(*by, &owner, lock),
            Action::Adopt => self.adopt(&owner, lock),
            Action::Put(_) => self.put(&owner, lock),
            Action::TakeOut => self.take_out(lock),
        }
    }

    fn seconds(&self) -> i64 {
        self.now.wall.div_euclid(1000)
    }

    /// The config's token into the file.
    fn store(&self, owner: &Owner, lock: &OwnLock) -> Result<Outcome> {
        let Some(token) = self.reader.config_token() else {
            return Ok(Outcome::Changed);
        };
        self.write(owner, token, lock)?;
        Ok(Outcome::Done { obtained: None })
    }

    fn renew(&self, by: By, owner: &Owner, lock: &OwnLock) -> Result<Outcome> {
        let token = match by {
            By::Signing => self.sign(owner)?,
            By::Command => {
                let Some(token) = self.printed else {
                    return Ok(Outcome::Changed);
                };
                source::check(token, Some(&owner.namespace.value), "the token command", self.seconds())?;
                let stored = self.reader.stored.as_ref().map(snapshot::id);
                if stored == Some(snapshot::id(token)) {
                    return Err(Error::new(
                        ExitCode::Token,
                        "could not renew the token: the token command printed the one that is stored already",
                    )
                    .next("see that the token command asks for a fresh token each time"));
                }
                self.refuse_older(token, owner)?;
                self.refuse_unaccepted(token, owner)?;
                token.clone()
            }
        };
        self.write(owner, &token, lock)?;
        Ok(Outcome::Done {
            obtained: Some(snapshot::id(&token)),
        })
    }

    /// A token that loses to the one it is to replace would be thrown out again by that one's copy in openclaw.json,
    /// as long as that copy can still be used.
    fn refuse_older(&self, token: &SecretString, owner: &Owner) -> Result<()> {
        let stored = self
            .reader
            .stored
            .as_ref()
            .and_then(|token| snapshot::seen(token, false));
        let stored = stored.filter(|is| is.namespace == owner.namespace.value && !is.is_expired(self.now));
        let loses = |new: planner::Token| stored.is_some_and(|stored| stored.is_newer_than(&new, self.now));
        if snapshot::seen(token, false).is_some_and(loses) {
            return Err(Error::new(
                ExitCode::Token,
                "could not renew the token: the token command printed one that is older than the stored one, or does not \
                 say when it was issued",
            )
            .next("see that the token command asks for a fresh token each time"));
        }
        Ok(())
    }

    /// A token in force is replaced only by one that the recorded API accepts. One that has expired is replaced by what
    /// the API does not refuse.
    fn refuse_unaccepted(&self, token: &SecretString, owner: &Owner) -> Result<()> {
        let recorded = owner.record.as_ref().map(|record| record.api_url.trim());
        if recorded != Some(&owner.api_url.value) {
            return Ok(());
        }
        let stored = self
            .reader
            .stored
            .as_ref()
            .and_then(|token| claims::inspect(token).ok());
        let namespace = &owner.namespace.value;
        let in_force = stored.is_some_and(|is| is.namespace == *namespace && !is.is_expired(self.seconds()));
        let verdict = self.check(owner).token(token);
        let code = match &verdict {
            Verdict::Accepted => return Ok(()),
            Verdict::Refused(_) => ExitCode::Token,
            Verdict::NotChecked(_) if in_force => ExitCode::Unreachable,
            Verdict::NotChecked(_) => return Ok(()),
        };
        let what = format!(
            "could not renew the token, the API did not say that it takes what the token command printed: {}",
            owner.api_url.value
        );
        Err(Error::new(code, what)
            .because(anyhow::Error::msg(verdict.to_string()))
            .next("see that the API can be reached, and that the token command asks for a token of this namespace"))
    }

    /// Stores a token, and the record where it would say something else about it.
    fn write(&self, owner: &Owner, token: &SecretString, lock: &OwnLock) -> Result<()> {
        // Our own folder is there, unless somebody is just removing it.
        if let Some(folder) = owner.token_file.parent()
            && folder != self.place.sigilum_dir()
        {
            fs::create_private_dir(folder)?;
        }
        store::refuse_foreign(&owner.token_file)?;
        store::write(lock, &owner.token_file, token)?;
        self.write_record(owner, Some(token), lock)
    }

    fn write_record(&self, owner: &Owner, token: Option<&SecretString>, lock: &OwnLock) -> Result<()> {
        let same_mode = |record: &&Record| record.mode == owner.mode.value;
        let kept = owner.record.as_ref().filter(same_mode);
        let says = token.and_then(|token| claims::inspect(token).ok());
        let email = kept
            .map(|record| record.email.clone())
            .or(says.and_then(|says| says.email));
        let (source_home, api_db) = match kept {
            Some(record) => (record.source_home.clone(), record.api_db.clone()),
            None => self.local_api(owner),
        };
        let wanted = Record {
            mode: owner.mode.value,
            api_url: owner.api_url.value.clone(),
            email: email.unwrap_or_else(|| owner.email.value.clone()),
            source_home,
            api_db,
            token_file: Some(owner.token_file.clone()),
            trust_loopback: kept.is_some_and(|record| record.trust_loopback),
        };
        let file = self.place.record_file(&owner.namespace.value);
        let wanted = record::as_written(&file, wanted);
        if owner.record.as_ref() == Some(&wanted) {
            return Ok(());
        }
        record::write(lock, &file, wanted)
    }

    /// Checkout and database of the local API in force, as a login would record them.
    fn local_api(&self, owner: &Owner) -> (Option<PathBuf>, Option<PathBuf>) {
        if owner.mode.value == Mode::Managed {
            return (None, None);
        }
        let path = |setting: &Option<settings::Sourced<PathBuf>>| Some(setting.as_ref()?.value.clone());
        match (path(&owner.source_home), path(&owner.api_db)) {
            (None, None) => (None, Some(self.place.embedded_db())),
            known => known,
        }
    }

    fn adopt(&self, owner: &Owner, lock: &OwnLock) -> Result<Outcome> {
        self.write_record(owner, None, lock)?;
        Ok(Outcome::Done { obtained: None })
    }

    /// A new token with the subject, e-mail and life of the one that it replaces.
    fn sign(&self, owner: &Owner) -> Result<SecretString> {
        let namespace = &owner.namespace.value;
        let stored = self.reader.stored.as_ref();
        let of_owner = |token: &&SecretString| claims::inspect(token).is_ok_and(|says| says.namespace == *namespace);
        let other_api = matches!(snapshot::compare(owner), planner::Record::Other { .. });
        let old = stored.filter(of_owner).or(self.reader.config_token());
        let Some(old) = old.filter(|_| !other_api) else {
            return self.issue(owner);
        };
        let says = claims::inspect(old).map_err(|invalid| cannot_sign(&invalid.to_string()))?;
        let (Some(sub), Some(email)) = (&says.sub, &says.email) else {
            return Err(cannot_sign("the stored token names no subject or no e-mail"));
        };
        let life = match says.life() {
            Some(life) => life,
            None => settings::ttl_seconds(None, self.env, None)?,
        };
        let claims = Claims::new(sub, email, namespace, self.seconds(), life);
        let mint =
            |secret: &SecretString| claims::mint(&claims, secret).map_err(|invalid| cannot_sign(&invalid.to_string()));
        let (secrets, trouble) = snapshot::secrets(owner, self.place, self.env);
        let check = self.check(owner);
        if let Some(secret) = check.secret_in_place_of(old, &secrets, self.seconds()) {
            return mint(secret);
        }
        Err(match (secrets.is_empty(), trouble) {
            (_, Some(error)) => error,
            (true, None) => Error::new(ExitCode::SecretOrDatabase, "Unable to resolve JWT_SECRET")
                .next("set JWT_SECRET to the local API's secret, or log in again with --source-home"),
            (false, None) => cannot_sign("no known JWT secret verifies the stored token")
                .next("put the local API's own secret into JWT_SECRET or the checkout's .dev.vars, or log in again"),
        })
    }

    /// A token from the local database, where there is none to go by. Nothing is made for it but the token: neither a
    /// secret nor a database.
    fn issue(&self, owner: &Owner) -> Result<SecretString> {
        let api = LocalApi::find(owner, self.place)?;
        let Some(secret) = api.secret(self.env)?.filter(|_| api.database.exists()) else {
            return Err(cannot_sign("the local API's secret or database is gone")
                .next("sigilum-authz-notify auth login --mode oss-local"));
        };
        let ttl = settings::ttl_seconds(None, self.env, None)?;
        api.issue(owner, &secret.value, ttl, self.seconds())
    }

    fn check<'a>(&self, owner: &'a Owner) -> TokenCheck<'a> {
        TokenCheck::new(owner, owner.loopback_trust(self.place), self.env).within(API_BUDGET)
    }

    /// The stored token into the entry.
    fn put(&self, owner: &Owner, lock: &OwnLock) -> Result<Outcome> {
        let Some(token) = &self.reader.stored else {
            return Ok(Outcome::Changed);
        };
        let installs = entry::installs(&self.place.home);
        let open_dir = self.place.hook_dir();
        self.edit(lock, |ask| {
            let found = entry::find(ask.value)?;
            let wants_it = |entry: &&Entry| {
                let named = entry
                    .namespace()
                    .is_none_or(|namespace| namespace == owner.namespace.value);
                entry.enabled && entry.token_in_config() && named
            };
            let Some(entry) = found.as_ref().filter(wants_it) else {
                return Ok(ask.value.clone());
            };
            let wanted = Wanted {
                // As they stand there: only the token is to change.
                namespace: entry.namespace().unwrap_or(&owner.namespace.value),
                api_url: entry.api_url().unwrap_or(&owner.api_url.value),
                mode: entry.mode().unwrap_or(owner.mode.value.as_str()),
                token: Some(token),
                token_in_config: None,
                enable: Enable::Preserve,
                open_dir: &open_dir,
                force: false,
                keep_length: ask.keep_length,
            };
            Ok(entry::wanted(ask.value, &wanted, &installs)?.value)
        })
    }

    /// The token out of the entry.
    fn take_out(&self, lock: &OwnLock) -> Result<Outcome> {
        self.edit(lock, |ask| {
            let off = |entry: &Entry| !(entry.enabled && entry.token_in_config());
            if !entry::find(ask.value)?.as_ref().is_some_and(off) {
                return Ok(ask.value.clone());
            }
            Ok(removal::without_token(ask.value, ask.keep_length)?.value)
        })
    }

    fn edit(
        &self,
        lock: &OwnLock,
        mut want: impl FnMut(&config::Ask<'_>) -> Result<serde_json::Value>,
    ) -> Result<Outcome> {
        let options = EditOptions {
            own_lock: Some(lock),
            lock: LockOptions { tries: TRIES },
            ..EditOptions::default()
        };
        // Deleted since it was looked at: waited for, never made.
        let mut outcome = config::edit(self.place, &options, &mut |ask| {
            if ask.exists { want(ask) } else { Ok(ask.value.clone()) }
        })?;
        for note in outcome.notes.drain(..) {
            tracing::info!(home = %self.place.home.display(), "{}", super::log::one_line(note));
        }
        Ok(if outcome.changed {
            Outcome::Done { obtained: None }
        } else {
            Outcome::Changed
        })
    }
}

fn cannot_sign(why: &str) -> Error {
    Error::new(ExitCode::SecretOrDatabase, format!("could not sign a new token: {why}"))
}
