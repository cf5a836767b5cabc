//! What a service command does to the Sigilum gateway's connection: acts that are decided on first, then done in order.
//! An interrupted re-creation is finished from its journal.

use crate::cmd::service::connection::{self, Journal, Look, journal_file};
use crate::cmd::service::site::{Site, Steps};
use crate::cmd::service::upstream_secret;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::sigilum::gateway::{
    Connection, Gateway, KeyDelivery, NewConnection, Patch, Plan, PlanError, Rotated, Wanted, overlay, plan, same_url,
    still_lacks,
};
use crate::sigilum::secrets;
use secrecy::SecretString;
use serde::Serialize;

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
    /// Our file with the secret of a key that the connection will send no more, removed.
    DropSecret,
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
pub(super) struct Outcome {
    /// The connection as it is now.
    pub connection: Option<Connection>,
    /// `created`, `recreated`, `secret_rotated`, `updated`
    pub actions: Vec<&'static str>,
    pub key_delivery: Option<KeyDelivery>,
}

impl Outcome {
    /// Nothing yet.
    pub fn new(look: &Look) -> Self {
        Self {
            connection: look.existing.clone(),
            actions: Vec::new(),
            key_delivery: None,
        }
    }

    fn patched(&mut self, connection: Connection) {
        self.connection = Some(connection);
        self.actions.push("updated");
    }
}

/// Where acts are done, and the service key that they hand over.
pub(super) struct ActContext<'a> {
    pub site: &'a Site,
    pub look: &'a Look,
    pub service_key: Option<&'a SecretString>,
}

impl Look {
    /// Whether the journal's connection is still the old one, so that nothing was deleted yet.
    pub fn untouched(&self) -> bool {
        let (Some(now), Some(journal)) = (&self.existing, &self.journal) else {
            return false;
        };
        now.created_at == journal.old.created_at && same_url(&now.base_url, &journal.old.base_url)
    }

    /// The secret in our file, where it is that of the key which a new connection sends.
    fn stored_for(&self, new: &NewConnection) -> Option<&SecretString> {
        let is_its_own = self.stored_key() == Some(&new.auth_secret_key);
        self.stored.as_ref().filter(|_| is_its_own)
    }

    /// The acts that finish an interrupted re-creation, where the old connection is gone already.
    pub fn finish(&self, wanted: &Wanted, given: Option<&SecretString>) -> Result<Acts> {
        let mut acts = Acts::none();
        let Some(journal) = &self.journal else { return Ok(acts) };
        match &self.existing {
            None => {
                let new = overlay(journal.new.clone(), wanted);
                let stored = self.stored_for(&new);
                if let (Some(key), None) = (self.stored_key(), stored) {
                    if given.is_none() {
                        let why = PlanError::NoSecret(new.auth_secret_key);
                        return Err(connection::explain(&why, &wanted.id));
                    }
                    acts.note_loss(key);
                }
                acts.make(new.clone(), given, stored)?;
                let journal = Journal { new, ..journal.clone() };
                acts.list.extend([Act::Complete(Box::new(journal)), Act::DropJournal]);
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
        if self.existing.is_some() || self.journal.is_none() {
            let plan = plan(self.existing.as_ref(), wanted).map_err(|error| connection::explain(&error, &wanted.id))?;
            match (plan, &self.existing) {
                (Plan::Create(new), _) => acts.make(new, given, self.stored.as_ref())?,
                (Plan::Change { rotate, patch }, Some(old)) => {
                    acts.change(old, rotate.zip(given), patch, self.stored_key());
                    if self.untouched() {
                        acts.list.push(Act::DropJournal);
                    }
                }
                (Plan::Recreate { new, lost }, Some(old)) => {
                    self.gateway.refuse_what_it_cannot_make(&new)?;
                    acts.accept_loss(&old.id, &lost, force)?;
                    let stored = self.stored_for(&new);
                    acts.make_again(old, new, given, stored, &self.gateway)?;
                }
                // Only what is there is changed.
                (_, None) => {}
            }
        }
        acts.list.push(Act::DeliverKey);
        acts.without_doubled(self.existing.as_ref())
    }
}

impl Acts {
    /// No act.
    pub fn none() -> Self {
        Self {
            list: Vec::new(),
            secret: None,
            notes: Vec::new(),
        }
    }

    /// Leaves out of a secret what was given with it and the Sigilum gateway puts there itself.
    ///
    /// # Errors
    /// What is left is no secret.
    pub fn without_doubled(mut self, existing: Option<&Connection>) -> Result<Self> {
        let planned = self.list.iter().find_map(|act| match act {
            Act::Create(new) => Some((Some(new.auth_header_name.clone()), Some(new.auth_prefix.clone()))),
            Act::Patch(patch) => {
                // With a new mode the gateway chooses the prefix anew.
                let by_mode = |mode: &String| if mode == "bearer" { "Bearer " } else { "" }.to_owned();
                let prefix = patch.auth_prefix.clone().or(patch.auth_mode.as_ref().map(by_mode));
                Some((patch.auth_header_name.clone(), prefix))
            }
            _ => None,
        });
        let (name, prefix) = planned.unwrap_or_default();
        let name = name
            .or_else(|| Some(existing?.auth_header_name.clone()))
            .unwrap_or_default();
        let prefix = prefix
            .or_else(|| Some(existing?.auth_prefix.clone()))
            .unwrap_or_default();
        if let Some((secret, Source::Given)) = &mut self.secret {
            let (alone, left_out) = upstream_secret::without_doubled(secret, &name, &prefix)?;
            *secret = alone;
            self.notes.extend(left_out.into_iter().map(|what| {
                format!(
                    "left out of the upstream secret: {what:?} before it, which the Sigilum gateway puts there itself"
                )
            }));
            self.notes.extend(upstream_secret::doubt(secret, &prefix));
        }
        Ok(self)
    }

    /// Does them, in order.
    pub fn perform(&self, at: &ActContext<'_>, steps: &mut Steps, outcome: &mut Outcome) -> Result<()> {
        let secret = self.secret.as_ref().map(|(secret, _)| secret);
        let mut acts = self.list.iter();
        acts.try_for_each(|act| steps.run(|| act.perform(at, secret, outcome)))
    }

    /// How a person reads them.
    pub fn lines(&self, site: &Site, look: &Look) -> impl Iterator<Item = String> {
        self.list.iter().map(|act| act.line(site, look))
    }

    /// Changes a connection: its secret first, which the rest may refer to. Our file holds the one in use, or none.
    fn change(
        &mut self,
        old: &Connection,
        rotate: Option<(String, &SecretString)>,
        patch: Patch,
        stored: Option<&String>,
    ) {
        let in_use = patch.auth_secret_key.clone().unwrap_or(old.auth_secret_key.clone());
        let keep = rotate.as_ref().is_some_and(|(key, _)| *key == in_use);
        if let Some(stored) = stored.filter(|stored| !keep && **stored != in_use) {
            self.list.push(Act::DropSecret);
            self.notes.push(format!(
                "the file with the secret of {stored} is removed: the connection sends that of {in_use} from now on, which \
                 only the Sigilum gateway has"
            ));
        }
        if let Some((key, secret)) = rotate {
            self.secret = Some((secret.clone(), Source::Given));
            self.list.push(Act::Rotate(key));
        }
        if !patch.is_empty() {
            self.list.push(Act::Patch(patch));
        }
        if keep {
            self.list.push(Act::StoreSecret);
        }
    }

    /// Refuses to lose secrets that nobody agreed to lose.
    fn accept_loss(&mut self, id: &str, lost: &[String], force: bool) -> Result<()> {
        let keys = lost.join(", ");
        if !lost.is_empty() && !force {
            return Err(Error::new(
                ExitCode::Failure,
                format!(
                    "could not change the connection {id}: the Sigilum gateway can only delete it and make it again, and \
                     the secrets of these keys would be lost: {keys}"
                ),
            )
            .next("give the secret of the connection's key, or accept the loss with --force"));
        }
        if !lost.is_empty() {
            self.note_loss(&keys);
        }
        Ok(())
    }

    fn note_loss(&mut self, keys: &str) {
        self.notes
            .push(format!("lost with the old connection: the secrets of {keys}"));
    }

    /// Makes a connection in the place of another one, of which the journal knows until all is done. The CLI of a stopped
    /// gateway makes one under any master key, but rotates a secret under the right one only: that proves it.
    fn make_again(
        &mut self,
        old: &Connection,
        new: NewConnection,
        given: Option<&SecretString>,
        stored: Option<&SecretString>,
        gateway: &Gateway,
    ) -> Result<()> {
        let journal = Box::new(Journal {
            old: old.clone(),
            new: new.clone(),
        });
        if matches!(gateway, Gateway::Cli(_)) && !new.auth_secret_key.is_empty() {
            self.list.push(Act::Rotate(new.auth_secret_key.clone()));
        }
        self.make(new, given, stored)?;
        let create = self.list.len() - 1;
        self.list
            .splice(create..create, [Act::WriteJournal(journal.clone()), Act::Delete]);
        self.list.extend([Act::Complete(journal), Act::DropJournal]);
        Ok(())
    }

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
    fn line(&self, site: &Site, look: &Look) -> String {
        let (slug, place) = (&look.slug, look.gateway.place());
        match self {
            Self::StoreSecret => {
                format!(
                    "upstream secret in {}",
                    site.workspace.upstream_secret_file(slug).display()
                )
            }
            Self::DropSecret => {
                format!("removed: {}", site.workspace.upstream_secret_file(slug).display())
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

    fn perform(&self, at: &ActContext<'_>, secret: Option<&SecretString>, outcome: &mut Outcome) -> Result<()> {
        let (site, slug, gateway) = (at.site, &*at.look.slug, &at.look.gateway);
        match (self, secret) {
            (Self::StoreSecret, Some(secret)) => site.workspace.store_upstream_secret(slug, secret)?,
            (Self::DropSecret, _) => drop(site.workspace.remove(&site.workspace.upstream_secret_file(slug))?),
            (Self::WriteJournal(journal), _) => connection::write_journal(site, slug, journal)?,
            (Self::Delete, _) => {
                gateway.delete(slug)?;
                outcome.actions.push("deleted");
            }
            (Self::Create(new), secret) => {
                let pair = secret.map(|secret| (new.auth_secret_key.as_str(), secret));
                outcome.connection = Some(gateway.create(new, pair)?);
                let again = outcome.actions.pop_if(|did| *did == "deleted").is_some();
                outcome.actions.push(if again { "recreated" } else { "created" });
            }
            (Self::Complete(journal), _) => {
                let made = outcome.connection.as_ref();
                let lacks = made.map(|made| still_lacks(made, &journal.new, &journal.old.status));
                if let Some(lacks) = lacks.filter(|lacks| !lacks.is_empty()) {
                    outcome.patched(gateway.patch(slug, &lacks)?);
                }
            }
            (Self::Rotate(key), Some(secret)) => {
                if let Rotated::Changed(connection) = gateway.rotate(slug, key, secret)? {
                    outcome.connection = Some(connection);
                    outcome.actions.push("secret_rotated");
                }
            }
            (Self::Patch(patch), _) => outcome.patched(gateway.patch(slug, patch)?),
            (Self::DeliverKey, _) => {
                let delivered = at.service_key.map(|key| gateway.put_service_key(slug, key));
                outcome.key_delivery = delivered.transpose()?;
            }
            (Self::DropJournal, _) => drop(fs::remove(&journal_file(site, slug))?),
            // No act that needs a secret is planned without one.
            (Self::StoreSecret | Self::Rotate(_), None) => {}
        }
        Ok(())
    }
}

fn members(patch: &Patch) -> String {
    let value = serde_json::to_value(patch).unwrap_or_default();
    let names = value
        .as_object()
        .map(|object| object.keys().cloned().collect::<Vec<_>>());
    names.unwrap_or_default().join(", ")
}
