//! Never a worse token: whether `auth login` and `auth refresh` may store the new one.

use crate::cmd::context;
use crate::error::{Error, ExitCode, Result};
use crate::home::OpenClawHome;
use crate::local_token::SigningSecret;
use crate::mode::Mode;
use crate::origin::Origin;
use crate::settings::{self, Owner, Sourced};
use crate::token::claims::{self, Inspected};
use crate::token::{lifetime, source};
use crate::token_check::Verdict;
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;

/// What the person asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// `auth login`
    Login,
    /// `auth refresh`
    Refresh,
}

/// Why a managed login or refresh without a token makes none, and how it gets one; or, where a local API is meant, how that
/// one's login is.
pub(super) fn needs_a_token(owner: &Owner, action: Action, place: &OpenClawHome) -> Result<Error> {
    let managed = Error::new(ExitCode::Token, "Managed mode requires an explicit owner JWT");
    if context::login_mode(owner, place) == Mode::Managed {
        return Ok(managed.next(source::HOW_TO_GET_ONE));
    }
    // Sigilum's own installer made the home.
    if settings::hook_namespace(place)?.0.is_none() {
        return Ok(managed.next(format!(
            "name the Sigilum checkout that the API runs from: {}",
            context::installers_login_command(owner, place, "")
        )));
    }
    let error = match action {
        Action::Login => managed,
        Action::Refresh => Error::new(
            ExitCode::Token,
            format!(
                "could not make a token, {} is not logged in here",
                owner.namespace.value
            ),
        ),
    };
    Ok(error.next(context::login_command(owner, place, "")))
}

/// A new token, and what the API says of it.
pub(super) struct NewToken<'a> {
    pub owner: &'a Owner,
    pub place: &'a OpenClawHome,
    pub action: Action,
    /// The flags that lead to the same home.
    pub flags: &'a str,
    pub verdict: &'a Verdict,
    /// Whether the person let the API be asked.
    pub asked: bool,
    /// Unix seconds.
    pub now: i64,
}

impl NewToken<'_> {
    /// Refuses a token that a person handed over where the API does not know its signature; for `auth refresh` also
    /// where the API could not be asked, and one that is in force would be lost.
    ///
    /// # Errors
    /// [`ExitCode::Token`]
    pub fn check_given(&self, token: &SecretString, from: &str) -> Result<()> {
        let api = &self.owner.api_url.value;
        let how = match self.owner.mode.value {
            Mode::Managed => source::HOW_TO_GET_ONE,
            Mode::OssLocal => "give a token that this API has signed, or none, and one is signed here",
        };
        let refuse = |what: String| Error::new(ExitCode::Token, what);
        match self.verdict {
            Verdict::Refused(why) if self.verdict.is_wrong_signature() || self.would_be_lost(token) => Err(refuse(
                format!("could not use the owner token from {from}: the API refuses it: {api}"),
            )
            .because(*why)
            .next(format!("{how}; to store it all the same, add --force"))),
            Verdict::NotChecked(_) | Verdict::Answered(_) if self.action == Action::Refresh && self.asked => match self
                .token_in_force()
            {
                Some((old, says)) if old.expose_secret() != token.expose_secret() => Err(refuse(format!(
                    "could not replace the owner token, which expires {}: the API did not say that it takes the new \
                     one: {api}",
                    lifetime::expiry_text(&says, self.now)
                ))
                .because(anyhow::Error::msg(self.verdict.why_not_checked().unwrap_or_default()))
                .next(format!(
                    "{}; to store the new one all the same, add --no-check",
                    self.reach()
                ))),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Whether a refresh would put this token in the place of another one that is in force.
    fn would_be_lost(&self, token: &SecretString) -> bool {
        let in_force = self.token_in_force().filter(|_| self.action == Action::Refresh);
        in_force.is_some_and(|(old, _)| old.expose_secret() != token.expose_secret())
    }

    /// Refuses a secret whose tokens the API refuses, and one that would replace a token in force by one that nobody
    /// knows to be as good.
    ///
    /// # Errors
    /// [`ExitCode::Token`] where the API says no, [`ExitCode::SecretOrDatabase`] where it could not be asked.
    pub fn check_signed(&self, secret: &SigningSecret) -> Result<()> {
        let in_force = self.token_in_force();
        let replaced = in_force
            .as_ref()
            .filter(|(token, _)| !claims::is_signed_by(token, &secret.value));
        match (self.verdict, replaced) {
            (Verdict::Accepted, _) => Ok(()),
            (Verdict::Refused(why), replaced) => {
                // What is replaced is refused as well.
                if self.action == Action::Refresh && in_force.is_some() && replaced.is_none() {
                    return Ok(());
                }
                let what = format!(
                    "could not sign a token that the API takes, {} is not its own: {}",
                    named(secret),
                    self.owner.api_url.value
                );
                Err(self.refused(ExitCode::Token, what, secret).because(*why))
            }
            (Verdict::NotChecked(_) | Verdict::Answered(_), Some((_, says)))
                if self.action == Action::Refresh || !self.is_named(secret) =>
            {
                let expiry = lifetime::expiry_text(says, self.now);
                let api = &self.owner.api_url.value;
                let what = match secret.is_new {
                    true => format!(
                        "could not replace the owner token, which expires {expiry}: this home has no secret, and the API did \
                         not say that it takes what a new one signs: {api}"
                    ),
                    false => format!(
                        "could not replace the owner token, which expires {expiry}: the secret from {} did not sign it, and \
                         the API did not say that it takes what this secret signs: {api}",
                        secret.origin
                    ),
                };
                Err(self
                    .refused(ExitCode::SecretOrDatabase, what, secret)
                    .because(anyhow::Error::msg(self.verdict.why_not_checked().unwrap_or_default())))
            }
            (Verdict::NotChecked(_) | Verdict::Answered(_), _) => Ok(()),
        }
    }

    /// What has the API asked.
    fn reach(&self) -> &'static str {
        match self.verdict {
            Verdict::Answered(error) if !error.is_strange() => "see that the API works",
            Verdict::Answered(_) => "see that the URL is that of a Sigilum API",
            _ => "see that the API can be reached",
        }
    }

    /// The token that the hook uses now, where it is one for the API that the new one is for.
    fn token_in_force(&self) -> Option<(SecretString, Inspected)> {
        let record = self.owner.record.as_ref();
        let same_api = record.is_none_or(|record| {
            record.mode == self.owner.mode.value && record.api_url.trim() == self.owner.api_url.value
        });
        let in_file = self.owner.stored_token().ok().flatten();
        // A home that nobody has logged in to: made by hand, or by Sigilum's own installer.
        let in_entry = || match record {
            Some(_) => None,
            None => context::entry(self.place).ok()??.token(),
        };
        let token = in_file.or_else(in_entry).filter(|_| same_api)?;
        let says = claims::inspect(&token).ok()?;
        let in_force = says.namespace == self.owner.namespace.value && !says.is_expired(self.now);
        in_force.then_some((token, says))
    }

    /// Whether the person named the secret, or what has it, for this very command.
    fn is_named(&self, secret: &SigningSecret) -> bool {
        let typed = |origin: &Origin| matches!(origin, Origin::Flag(_) | Origin::Env(_));
        let path = |setting: &Option<Sourced<PathBuf>>| setting.as_ref().is_some_and(|set| typed(&set.origin));
        typed(&secret.origin) || path(&self.owner.source_home) || path(&self.owner.api_db)
    }

    fn refused(&self, code: ExitCode, what: String, secret: &SigningSecret) -> Error {
        let log_in = context::login_command(self.owner, self.place, self.flags);
        let last = match secret.is_new {
            true => "for a new secret and its token, add --force",
            false => "if you mean it, add --force",
        };
        Error::new(code, what).next(format!(
            "name the Sigilum checkout that the API runs from: {}; or export the JWT_SECRET that it has; {last}",
            context::with_checkout(&log_in)
        ))
    }
}

/// The secret in words.
fn named(secret: &SigningSecret) -> String {
    match secret.is_new {
        true => "a new secret".to_owned(),
        false => format!("the secret from {}", secret.origin),
    }
}
