//! Does what planning decided.

use super::planner::{self, Action, By, Config, Now, Snapshot, Stored, TokenId};
use super::renewal;
use super::snapshot::{self, SnapshotReader};
use super::take_back;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs::{self, OwnLock};
use crate::home::OpenClawHome;
use crate::local_token::{LocalApi, SigningSecret};
use crate::openclaw::config::{self, EditOptions};
use crate::openclaw::entry;
use crate::openclaw::lock::LockOptions;
use crate::origin::Origin;
use crate::settings::{self, Owner};
use crate::token::claims::{self, Claims};
use crate::token::token_command::HOW_TO_TRY;
use crate::token::{source, store};
use crate::token_check::{TokenCheck, Verdict};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;

/// How long to wait for our own lock: there is a next try, and other homes.
pub(super) const PATIENCE: Duration = Duration::from_millis(300);
/// About half a second for OpenClaw's.
const TRIES: u32 = 9;
/// How long the API may take to say whether it accepts a token, or what one of two secrets signs: a watcher is to end
/// within a second.
const TOKEN_BUDGET: Duration = Duration::from_millis(700);
const SECRET_BUDGET: Duration = Duration::from_millis(300);

/// What came of an action.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is done. `obtained`: the new token, where there is one.
    Done { obtained: Option<TokenId> },
    /// The home is not as it was when this was planned: nothing was done.
    Changed,
}

/// A home to act on, as the action was planned for.
pub(super) struct ActionContext<'a> {
    pub place: &'a OpenClawHome,
    pub env: &'a Env,
    pub reader: &'a SnapshotReader,
    pub snapshot: &'a Snapshot,
    pub now: Now,
    /// What the token command printed, for a renewal by it.
    pub printed: Option<&'a SecretString>,
}

impl ActionContext<'_> {
    /// Does one action under our own lock.
    pub fn act(&self, action: &Action, lock: &OwnLock) -> Result<Outcome> {
        match (action, &self.reader.owner, self.printed) {
            (Action::Put(_), Some(_), _) => self.put(lock),
            (Action::TakeBack(approval), _, _) => {
                let taken = take_back::take_back(approval, self.place, self.env, self.seconds())?;
                Ok(match taken {
                    true => Outcome::Done { obtained: None },
                    false => Outcome::Changed,
                })
            }
            (Action::Renew { by: By::Signing, .. }, Some(owner), _) => {
                self.refuse_anothers(owner)?;
                self.store(owner, &self.sign(owner)?, lock)
            }
            (Action::Renew { by: By::Command, .. }, Some(owner), Some(token)) => {
                let namespace = Some(owner.namespace.value.as_str());
                source::check(token, namespace, "the token command", self.seconds())
                    .map_err(|error| error.next(HOW_TO_TRY))?;
                self.refuse_older(token)?;
                self.refuse_unaccepted(token, owner)?;
                self.store(owner, token, lock)
            }
            _ => Ok(Outcome::Changed),
        }
    }

    fn seconds(&self) -> i64 {
        self.now.wall.div_euclid(1000)
    }

    fn stored(&self) -> Option<&planner::Token> {
        match &self.snapshot.file {
            Stored::Token(token) => Some(token),
            _ => None,
        }
    }

    /// The stored token, where it can be used.
    fn in_force(&self) -> Option<&planner::Token> {
        self.stored().filter(|token| !token.is_expired(self.now))
    }

    /// A token command is no reason to go back to an older token, as long as the newer one can be used.
    fn refuse_older(&self, token: &SecretString) -> Result<()> {
        let Some(new) = snapshot::seen(token) else {
            return Ok(());
        };
        let is_stored = self.stored().is_some_and(|stored| stored.id == new.id);
        let is_worse = || {
            let stored = self.in_force();
            stored.is_some_and(|stored| stored.is_newer_than(&new, self.now))
        };
        if !is_stored && !is_worse() {
            return Ok(());
        }
        let printed = match new.iat {
            _ if is_stored => "the one that is stored already",
            None => "one that does not say when it was issued",
            Some(_) if new.is_from_future(self.now) => "one that was issued in the future, by this machine's clock",
            Some(_) => "one that is older than the stored one",
        };
        let what = format!("could not renew the token: the token command printed {printed}");
        let step = match !is_stored && new.is_from_future(self.now) {
            true => "compare the clocks of both machines; iat and exp are seconds since 1970, not milliseconds",
            false => "see that the token command asks for a fresh token each time",
        };
        Err(Error::new(ExitCode::Token, what).next(step))
    }

    /// A token in force is replaced only by one that the recorded API accepts. One that has expired is replaced by what
    /// the API does not refuse.
    fn refuse_unaccepted(&self, token: &SecretString, owner: &Owner) -> Result<()> {
        let verdict = self.check(owner).within(TOKEN_BUDGET).token(token);
        let code = match &verdict {
            Verdict::Accepted => return Ok(()),
            Verdict::Refused(_) => ExitCode::Token,
            Verdict::NotChecked(_) | Verdict::Answered(_) if self.in_force().is_some() => ExitCode::Unreachable,
            Verdict::NotChecked(_) | Verdict::Answered(_) => return Ok(()),
        };
        let what = format!(
            "could not renew the token, the API did not say that it takes what the token command printed: {}",
            owner.api_url.value
        );
        Err(Error::new(code, what)
            .because(anyhow::Error::msg(verdict.to_string()))
            .next("see that the API can be reached, and that the token command asks for a token of this namespace"))
    }

    fn store(&self, owner: &Owner, token: &SecretString, lock: &OwnLock) -> Result<Outcome> {
        // Our own folder is there, unless somebody is just removing it.
        if let Some(folder) = owner.token_file.parent()
            && folder != self.place.sigilum_dir()
        {
            fs::create_private_dir(folder)?;
        }
        store::refuse_foreign(&owner.token_file)?;
        self.refuse_anothers(owner)?;
        store::write(lock, &owner.token_file, token, false)?;
        Ok(Outcome::Done {
            obtained: Some(snapshot::id(token)),
        })
    }

    /// Another namespace's token in the same file is not replaced.
    fn refuse_anothers(&self, owner: &Owner) -> Result<()> {
        let namespace = &owner.namespace.value;
        store::refuse_anothers(&owner.token_file, namespace, self.place, self.seconds()).map_err(|error| {
            let log_in = owner.mode.value.login_command(namespace);
            error.next(format!(
                "{log_in}{} --token-file <a file of its own>",
                self.snapshot.flags
            ))
        })
    }

    /// A new token with the subject, e-mail and life of the one that it replaces.
    fn sign(&self, owner: &Owner) -> Result<SecretString> {
        let Some(old) = self.reader.stored.as_ref().filter(|_| self.stored().is_some()) else {
            return self.issue(owner);
        };
        let says = claims::inspect(old).map_err(|invalid| cannot_sign(&invalid.to_string()))?;
        let (Some(sub), Some(email)) = (&says.sub, &says.email) else {
            return Err(cannot_sign("the stored token names no subject or no e-mail"));
        };
        let life = match says.life() {
            Some(life) => life,
            None => settings::ttl_seconds(None, self.env, owner.recorded_life())?,
        };
        let claims = Claims::new(sub, email, &owner.namespace.value, self.seconds(), life);
        let (secrets, trouble) = self.secrets(owner);
        let check = self.check(owner).within(SECRET_BUDGET);
        if let Some(secret) = check.secret_in_place_of(old, &secrets, self.seconds()) {
            return claims::mint(&claims, secret).map_err(|invalid| cannot_sign(&invalid.to_string()));
        }
        Err(match (secrets.is_empty(), trouble) {
            (_, Some(error)) => error,
            (true, None) => Error::new(ExitCode::SecretOrDatabase, "Unable to resolve JWT_SECRET")
                .next("set JWT_SECRET to the local API's secret, or log in again with --source-home"),
            (false, None) => cannot_sign("no known JWT secret verifies the stored token")
                .next("put the local API's own secret into JWT_SECRET or the checkout's .dev.vars, or log in again"),
        })
    }

    /// A token from the local database, where there is none to go by, as the record names it; the environment may have
    /// the secret that nothing keeps. Nothing is made for it but the token: neither a secret nor a database.
    fn issue(&self, owner: &Owner) -> Result<SecretString> {
        let owner = &renewal::by_record(owner, self.place);
        let api = LocalApi::find(owner, self.place)?;
        let log_in = owner.mode.value.login_command(&owner.namespace.value) + &self.snapshot.flags;
        let secret = match api.database.exists() {
            true => self.secret_of(&api, owner, &log_in)?,
            false => None,
        };
        let secret = secret.ok_or_else(|| cannot_sign("the local API's secret or database is gone").next(log_in))?;
        let ttl = settings::ttl_seconds(None, self.env, owner.recorded_life())?;
        tracing::info!(home = %self.place.home.display(), "signing a new token");
        api.issue(owner, &secret.value, ttl, self.seconds())
    }

    /// The secret to sign with: the one that is kept, and where the API refuses that, the environment's if it takes it;
    /// where none is kept, the environment's, unless the API refuses it.
    fn secret_of(&self, api: &LocalApi, owner: &Owner, log_in: &str) -> Result<Option<SigningSecret>> {
        let check = self.check(owner).within(SECRET_BUDGET);
        let verdict = |secret: &SigningSecret| check.secret(&secret.value, self.seconds());
        let step = |secret: &SigningSecret| match (&api.checkout, &secret.origin) {
            (Some(checkout), Origin::Checkout) => {
                let file = checkout.dev_vars();
                format!("put JWT_SECRET=<secret>, the API's own, into {}", file.display())
            }
            _ => format!("export JWT_SECRET=<secret> && {log_in}"),
        };
        let unless_refused = |secret: SigningSecret| match verdict(&secret) {
            Verdict::Refused(why) => {
                let what = format!("the API refuses what the secret from {} signs", secret.origin);
                Err(cannot_sign(&what).because(why).next(step(&secret)))
            }
            // What stands in the config is not to be lost to a secret of something else.
            Verdict::NotChecked(_) | Verdict::Answered(_) if self.in_config_is_others(owner, &secret)? => {
                let what = format!(
                    "the secret from {} did not sign the token in openclaw.json",
                    secret.origin
                );
                Err(cannot_sign(&what).next(step(&secret)))
            }
            _ => Ok(Some(secret)),
        };
        let others = || api.secret(self.env);
        let trouble = match api.kept_secret() {
            Ok(None) => return others()?.map_or(Ok(None), unless_refused),
            Ok(Some(kept)) => match unless_refused(kept) {
                Err(error) => error,
                kept => return kept,
            },
            Err(error) => error,
        };
        match others() {
            Ok(Some(other)) if matches!(other.origin, Origin::Env(_)) && verdict(&other) == Verdict::Accepted => {
                Ok(Some(other))
            }
            _ => Err(trouble),
        }
    }

    /// Whether the environment has this secret, and the entry a token of this namespace in force that another one signed.
    fn in_config_is_others(&self, owner: &Owner, secret: &SigningSecret) -> Result<bool> {
        if !matches!(secret.origin, Origin::Env(_)) {
            return Ok(false);
        }
        let config = config::read(self.place)?;
        let entry = config.map_or(Ok(None), |config| entry::find(&config.value))?;
        let Some(token) = entry.and_then(|entry| entry.token()) else {
            return Ok(false);
        };
        let is_good = claims::inspect(&token)
            .is_ok_and(|says| says.namespace == owner.namespace.value && !says.is_expired(self.seconds()));
        Ok(is_good && !claims::is_signed_by(&token, &secret.value))
    }

    fn check<'a>(&self, owner: &'a Owner) -> TokenCheck<'a> {
        TokenCheck::new(owner, owner.loopback_trust(self.place), self.env)
    }

    /// The secrets that the home's local API may sign with, the likeliest first, and why one could not be had.
    fn secrets(&self, owner: &Owner) -> (Vec<SecretString>, Option<Error>) {
        let mut found: Vec<SecretString> = Vec::new();
        let mut trouble = None;
        for secret in renewal::secrets(owner, self.place, self.env) {
            match secret {
                Ok(Some(secret)) => {
                    let known = |known: &SecretString| known.expose_secret() == secret.expose_secret();
                    if !found.iter().any(known) {
                        found.push(secret);
                    }
                }
                Ok(None) => {}
                Err(error) => trouble = trouble.or(Some(error)),
            }
        }
        (found, trouble)
    }

    /// The stored token into the entry, if that is still as it was when this was planned.
    fn put(&self, lock: &OwnLock) -> Result<Outcome> {
        let (Some(token), Config::Entry(planned)) = (&self.reader.stored, &self.snapshot.config) else {
            return Ok(Outcome::Changed);
        };
        let options = EditOptions {
            own_lock: Some(lock),
            lock: LockOptions { tries: TRIES },
            ..EditOptions::default()
        };
        let (mut is_wanted, mut refused) = (false, None);
        let outcome = config::edit(self.place, &options, &mut |ask| {
            refused = ask.by_hand.cloned();
            // Deleted since it was looked at: waited for, never made.
            if ask.exists && snapshot::entry_of(ask.value, ask.barred)?.as_ref() == Some(planned) {
                is_wanted = true;
                entry::with_token(ask.value, token)
            } else {
                Ok(ask.value.clone())
            }
        })?;
        // Where nothing can be written it is asked once more, for what a person may put there: no token.
        if let Some(why) = refused.filter(|_| is_wanted && !outcome.changed) {
            let what = format!("could not write the config, {why}: {}", self.place.config.display());
            return Err(Error::new(ExitCode::Config, what).next(why.how_to_leave_it()));
        }
        for note in &outcome.notes {
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
