//! The Sigilum gateway's part of a service command: look, decide on single acts, do them. An interrupted re-creation is
//! finished from its journal.

use crate::cmd::service::site::Site;
use crate::error::{Error, ExitCode, OrFail, Result};
use crate::fs;
use crate::sigilum::gateway::{
    Connection, Gateway, KeyDelivery, NewConnection, Patch, Plan, PlanError, Rotated, Wanted, overlay, plan, same_url,
    still_lacks,
};
use crate::sigilum::secrets;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A journal is at most so long.
const JOURNAL_CAP: u64 = 1 << 20;

/// What a re-creation wrote down before it deleted the connection. Holds no secret: that lies in its own file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Journal {
    /// What the connection was.
    pub old: Connection,
    /// What it shall be.
    pub new: NewConnection,
}

/// What there is before anything changes.
pub(super) struct Look {
    pub gateway: Gateway,
    pub existing: Option<Connection>,
    pub journal: Option<Journal>,
    /// The secret in our file.
    pub stored: Option<SecretString>,
}

/// Where the secret that a connection is made with, or rotated to, comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Source {
    /// The person gave it.
    Given,
    /// It lay in our file.
    Stored,
    /// Nobody had one: it is random.
    Generated,
}

/// One change, done in one go.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Act {
    /// The secret into our file.
    StoreSecret,
    /// What is about to be deleted, into the journal.
    WriteJournal(Box<Journal>),
    /// The connection, deleted.
    Delete,
    /// The connection, made.
    Create(Box<NewConnection>),
    /// A PATCH of what making it did not take.
    Complete(Box<Journal>),
    /// The secret, under this key.
    Rotate(String),
    /// The metadata.
    Patch(Patch),
    /// The service key, to the gateway's own home.
    DeliverKey,
    /// The journal, removed.
    DropJournal,
}

/// What the gateway's part of a command will do.
pub(super) struct Acts {
    pub list: Vec<Act>,
    /// The secret that they need, and where it comes from.
    pub secret: Option<(SecretString, Source)>,
    pub notes: Vec<String>,
}

/// What they did.
#[derive(Default)]
pub(super) struct Outcome {
    pub connection: Option<Connection>,
    /// `created`, `recreated`, `secret_rotated`, `updated`
    pub did: Vec<&'static str>,
    pub key_delivery: Option<KeyDelivery>,
}

/// `gateway-connection-journal-<slug>.json`, beside the secret that belongs to it.
pub(super) fn journal_file(site: &Site, slug: &str) -> PathBuf {
    let name = format!("gateway-connection-journal-{slug}.json");
    site.workspace.dir().join(name)
}

/// Finds the gateway, asks for the connection, and reads our files.
pub(super) fn look(site: &Site, slug: &str) -> Result<Look> {
    let (gateway, existing) = Gateway::reach(&site.target, site.http.clone(), slug)?;
    let path = journal_file(site, slug);
    let journal = match fs::read_private(&path, JOURNAL_CAP)? {
        None => None,
        Some(bytes) => Some(serde_json::from_slice(&bytes).map_err(|error| {
            Error::new(
                ExitCode::Failure,
                format!(
                    "could not read the journal of an interrupted change: {}",
                    path.display()
                ),
            )
            .because(error)
            .next("look at it, then move it away, and run the same command again")
        })?),
    };
    Ok(Look {
        gateway,
        existing,
        journal,
        stored: site.workspace.upstream_secret(slug)?,
    })
}

impl Look {
    /// Whether the journal's connection is still the old one, so that nothing was deleted yet.
    fn untouched(&self) -> bool {
        let (Some(now), Some(journal)) = (&self.existing, &self.journal) else {
            return false;
        };
        now.created_at == journal.old.created_at && same_url(&now.base_url, &journal.old.base_url)
    }

    /// The acts that finish an interrupted re-creation, where the old connection is gone already.
    pub fn finish(&self, wanted: &Wanted, given: Option<&SecretString>) -> Result<Acts> {
        let mut acts = Acts {
            list: Vec::new(),
            secret: None,
            notes: Vec::new(),
        };
        let Some(journal) = &self.journal else { return Ok(acts) };
        match &self.existing {
            None => {
                let new = overlay(journal.new.clone(), wanted);
                acts.make(new.clone(), given, self.stored.as_ref())?;
                let journal = Journal { new, ..journal.clone() };
                acts.list.push(Act::Complete(Box::new(journal)));
                acts.list.push(Act::DropJournal);
            }
            Some(_) if self.untouched() => {}
            Some(now) => {
                if same_url(&now.base_url, &journal.new.base_url) {
                    acts.list.push(Act::Complete(Box::new(journal.clone())));
                }
                acts.list.push(Act::DropJournal);
            }
        }
        Ok(acts)
    }

    /// The acts of `service add`.
    pub fn add(&self, wanted: &Wanted, given: Option<&SecretString>, force: bool) -> Result<Acts> {
        let mut acts = self.finish(wanted, given)?;
        if self.existing.is_none() && self.journal.is_some() {
            acts.list.push(Act::DeliverKey);
            return Ok(acts);
        }
        match plan(self.existing.as_ref(), wanted).map_err(|error| explain(&error, &wanted.id))? {
            Plan::Create(new) => acts.make(new, given, self.stored.as_ref())?,
            Plan::Change { rotate, patch } => {
                let in_use = self.existing.as_ref().map(|old| old.auth_secret_key.clone());
                let in_use = patch.auth_secret_key.clone().or(in_use);
                if let (Some(key), Some(secret)) = (rotate, given) {
                    acts.secret = Some((secret.clone(), Source::Given));
                    let keep = in_use.as_ref() == Some(&key);
                    acts.list.push(Act::Rotate(key));
                    if !patch.is_empty() {
                        acts.list.push(Act::Patch(patch));
                    }
                    if keep {
                        acts.list.push(Act::StoreSecret);
                    }
                } else if !patch.is_empty() {
                    acts.list.push(Act::Patch(patch));
                }
                if self.untouched() {
                    acts.list.push(Act::DropJournal);
                }
            }
            Plan::Recreate { new, lost } => {
                let Some(old) = self.existing.clone() else {
                    return Ok(acts);
                };
                if !lost.is_empty() && !force {
                    return Err(Error::new(
                        ExitCode::Failure,
                        format!(
                            "could not change the connection {}: the Sigilum gateway can only delete it and make it \
                             again, and the secrets of these keys would be lost: {}",
                            old.id,
                            lost.join(", ")
                        ),
                    )
                    .next("give the secret of the connection's key, or accept the loss with --force"));
                }
                if !lost.is_empty() {
                    acts.notes.push(format!(
                        "lost with the old connection: the secrets of {}",
                        lost.join(", ")
                    ));
                }
                // What is stored belongs to the key that the connection used up to now.
                let stored = self
                    .stored
                    .as_ref()
                    .filter(|_| new.auth_secret_key == old.auth_secret_key);
                let journal = Journal { old, new: new.clone() };
                acts.make(new, given, stored)?;
                let before = acts.list.iter().position(|act| matches!(act, Act::Create(_)));
                let before = before.unwrap_or(acts.list.len());
                acts.list.splice(
                    before..before,
                    [Act::WriteJournal(Box::new(journal.clone())), Act::Delete],
                );
                acts.list.push(Act::Complete(Box::new(journal)));
                acts.list.push(Act::DropJournal);
            }
        }
        acts.list.push(Act::DeliverKey);
        Ok(acts)
    }
}

impl Acts {
    /// Makes a connection. The secret that it is made with is in our file before that, so that it is never lost.
    fn make(&mut self, new: NewConnection, given: Option<&SecretString>, stored: Option<&SecretString>) -> Result<()> {
        if !new.auth_secret_key.is_empty() {
            let (secret, source) = match (given, stored) {
                (Some(given), _) => (given.clone(), Source::Given),
                (None, Some(stored)) => (stored.clone(), Source::Stored),
                (None, None) => (secrets::new_upstream_secret()?, Source::Generated),
            };
            if source == Source::Generated {
                self.notes.push(format!(
                    "no upstream secret was given: a generated one stands in for it; set the real one with: \
                     sigilum-authz-notify service secret set --service-slug {} --upstream-secret-env <VARIABLE>",
                    new.id
                ));
            }
            if source != Source::Stored {
                self.list.push(Act::StoreSecret);
            }
            self.secret = Some((secret, source));
        }
        self.list.push(Act::Create(Box::new(new)));
        Ok(())
    }

    /// Whether a secret will stand on the command line of the gateway's CLI.
    pub fn shows_secret(&self, gateway: &Gateway) -> bool {
        gateway.shows_secrets()
            && self
                .list
                .iter()
                .any(|act| matches!(act, Act::Create(_) | Act::Rotate(_)))
    }
}

impl Act {
    /// How a person reads it.
    pub fn line(&self, site: &Site, slug: &str, gateway: &Gateway) -> String {
        let place = gateway.place();
        match self {
            Self::StoreSecret => {
                format!(
                    "upstream secret in {}",
                    site.workspace.upstream_secret_file(slug).display()
                )
            }
            Self::WriteJournal(_) => format!("journal of the connection in {}", journal_file(site, slug).display()),
            Self::Delete => format!("connection {slug} deleted at {place}"),
            Self::Create(new) => format!("connection {slug} to {} made at {place}", new.base_url),
            Self::Complete(_) => format!("connection {slug}: what it had besides, set at {place}"),
            Self::Rotate(key) => format!("secret {key} of the connection {slug} set at {place}"),
            Self::Patch(patch) => format!("connection {slug} changed at {place}: {}", members(patch)),
            Self::DeliverKey => format!("service key handed to {place}"),
            Self::DropJournal => format!("journal removed: {}", journal_file(site, slug).display()),
        }
    }

    /// Does it.
    pub fn perform(
        &self,
        site: &Site,
        slug: &str,
        gateway: &Gateway,
        secret: Option<&SecretString>,
        service_key: Option<&SecretString>,
        outcome: &mut Outcome,
    ) -> Result<()> {
        match (self, secret) {
            (Self::StoreSecret, Some(secret)) => return site.workspace.store_upstream_secret(slug, secret),
            (Self::WriteJournal(journal), _) => return write_journal(site, slug, journal),
            (Self::Delete, _) => {
                gateway.delete(slug)?;
                outcome.did.push("deleted");
            }
            (Self::Create(new), secret) => {
                let pair = secret.map(|secret| (new.auth_secret_key.as_str(), secret));
                outcome.connection = Some(gateway.create(new, pair)?);
                let again = outcome.did.pop_if(|did| *did == "deleted").is_some();
                outcome.did.push(if again { "recreated" } else { "created" });
            }
            (Self::Complete(journal), _) => {
                let made = match &outcome.connection {
                    Some(made) => made.clone(),
                    None => match gateway.get(slug)? {
                        Some(made) => made,
                        None => return Ok(()),
                    },
                };
                let lacks = still_lacks(&made, &journal.new, &journal.old.status);
                outcome.connection = Some(if lacks.is_empty() {
                    made
                } else {
                    outcome.did.push("updated");
                    gateway.patch(slug, &lacks)?
                });
            }
            (Self::Rotate(key), Some(secret)) => {
                if let Rotated::Changed(connection) = gateway.rotate(slug, key, secret)? {
                    outcome.connection = Some(connection);
                    outcome.did.push("secret_rotated");
                }
            }
            (Self::Patch(patch), _) => {
                outcome.connection = Some(gateway.patch(slug, patch)?);
                outcome.did.push("updated");
            }
            (Self::DeliverKey, _) => {
                if let Some(key) = service_key {
                    outcome.key_delivery = Some(gateway.put_service_key(slug, key)?);
                }
            }
            (Self::DropJournal, _) => {
                fs::remove(&journal_file(site, slug))?;
            }
            // No act that needs a secret is planned without one.
            (Self::StoreSecret | Self::Rotate(_), None) => {}
        }
        Ok(())
    }
}

fn write_journal(site: &Site, slug: &str, journal: &Journal) -> Result<()> {
    let path = journal_file(site, slug);
    let mut text = serde_json::to_vec_pretty(journal).or_fail(ExitCode::Failure, || {
        format!("could not write the journal: {}", path.display())
    })?;
    text.push(b'\n');
    fs::write_private(&path, &text)
}

fn members(patch: &Patch) -> String {
    let value = serde_json::to_value(patch).unwrap_or_default();
    let names = value
        .as_object()
        .map(|object| object.keys().cloned().collect::<Vec<_>>());
    names.unwrap_or_default().join(", ")
}

/// What a plan that cannot be made means for the person.
pub(super) fn explain(error: &PlanError, slug: &str) -> Error {
    let said = Error::new(
        ExitCode::Usage,
        format!("could not plan the connection {slug}: {error}"),
    );
    match error {
        PlanError::NoBaseUrl => said.next("add --upstream-base-url <url>"),
        PlanError::BareBearer => said.next("use --auth-mode header_key --upstream-header Authorization"),
        PlanError::NoSecret(key) => said.next(format!(
            "give the secret too: --upstream-secret-key {} --upstream-secret-env <VARIABLE>",
            shell_words::quote(key)
        )),
        PlanError::UnknownMode => said.next("name the auth mode that it shall have: --auth-mode <mode>"),
        PlanError::NoKey => said.next("add --upstream-secret-key <key>"),
    }
}

/// The warning for a connection whose own key has no secret: requests through it will fail.
pub(super) fn secret_not_set(connection: &Connection) -> Option<String> {
    let key = &connection.auth_secret_key;
    if key.is_empty() || connection.credential_keys.contains(key) {
        return None;
    }
    Some(format!(
        "Secret not set in gateway connection: {} sends the secret {key}, which it does not have; set it with: \
         sigilum-authz-notify service secret set --service-slug {} --upstream-secret-key {} \
         --upstream-secret-env <VARIABLE>",
        connection.id,
        connection.id,
        shell_words::quote(key)
    ))
}

/// The note for a service key that the gateway did not take.
pub(super) fn not_delivered(site: &Site, key_delivery: KeyDelivery) -> Option<String> {
    let folder = site.workspace.dir().display();
    match key_delivery {
        KeyDelivery::Written => None,
        KeyDelivery::NoHome => Some(format!(
            "the Sigilum gateway has not taken the service key (\"SIGILUM_HOME is not configured\"): it was started \
             without a home, where it keeps such keys; restart it with GATEWAY_SIGILUM_HOME={folder}, where the key \
             lies already"
        )),
        KeyDelivery::Stopped if site.gateway_home => None,
        KeyDelivery::Stopped => Some(format!(
            "the Sigilum gateway is stopped and has not taken the service key: start it with \
             GATEWAY_SIGILUM_HOME={folder}, where the key lies, or run this command again while it runs"
        )),
    }
}
