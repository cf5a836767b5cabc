//! Registering a service: its owner, its row and its key in one short transaction.

use super::owners::{self, OwnerRow};
use super::services::{ApiKey, KeyDigest, KeyState, Service, ServiceKind, key_state, others, revoke, slot};
use super::{DbError, LocalDb, Problem};
use rusqlite::{Connection, params};

/// A service to register.
#[derive(Debug, Clone)]
pub struct NewService<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The e-mail of an owner who does not exist yet.
    pub email: &'a str,
    /// The slug.
    pub slug: &'a str,
    /// The name; `None`: as it is, or the slug.
    pub name: Option<&'a str>,
    /// The domain; `None`: as it is, or `localhost`.
    pub domain: Option<&'a str>,
    /// The description; `None`: as it is, or the kind's own.
    pub description: Option<&'a str>,
    /// Native or gateway: names the key, and describes a new service.
    pub kind: ServiceKind,
    /// The key, which lies in the file of `file_stem`.
    pub key: &'a KeyDigest,
    /// The [`Slot::file_stem`](super::Slot::file_stem) that the key was loaded or made for.
    pub file_stem: &'a str,
    /// Revoke the service's other keys in the same transaction.
    pub revoke_others: bool,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was made.
    Created,
    /// It was there with other values.
    Updated,
    /// It was there as wanted.
    Unchanged,
}

/// What registering did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The namespace's owner.
    pub owner: OwnerRow,
    /// `services.id`
    pub service_id: String,
    /// What became of the service's row.
    pub service: Change,
    /// What became of the key's row.
    pub key: Change,
    /// The service's other active keys; revoked if that was asked for.
    pub other_keys: Vec<ApiKey>,
    /// Whether they were revoked.
    pub revoked: bool,
}

impl Registered {
    fn writes(&self) -> bool {
        self.owner.created || self.service != Change::Unchanged || self.key != Change::Unchanged || self.revoked
    }
}

impl LocalDb {
    /// What [`Self::register`] would do; writes nothing.
    ///
    /// # Errors
    /// As [`Self::register`].
    pub fn plan_register(&self, new: &NewService<'_>) -> Result<Registered, DbError> {
        self.at(self.read(|moment| plan(moment, new)))
    }

    /// Owner, service and key in one short transaction; none where all is as wanted.
    ///
    /// # Errors
    /// [`Problem::SlugTaken`] where another namespace was quicker to take the slug: look at the slot again, load that
    /// slot's key, and register again. [`Problem::KeyRevoked`], [`Problem::KeyOfAnother`]: the key must not be used.
    pub fn register(&mut self, new: &NewService<'_>) -> Result<Registered, DbError> {
        let registered = match self.read(|moment| plan(moment, new)) {
            Ok(planned) if planned.writes() => self.write(|transaction| {
                // Another process may have written since; what was read is at hand now, so this is quick.
                let planned = plan(transaction, new)?;
                carry_out(transaction, new, &planned)?;
                Ok(planned)
            }),
            other => other,
        };
        self.at(registered)
    }
}

/// What is to be done for a service to be registered as wanted.
fn plan(conn: &Connection, new: &NewService<'_>) -> Result<Registered, Problem> {
    let owner = match owners::find(conn, new.namespace)? {
        Some(owner) => owner,
        None => owners::would_be(conn, new.namespace, new.email)?,
    };
    let slot = slot(conn, new.namespace, new.slug)?;
    if slot.file_stem != new.file_stem {
        return Err(Problem::SlugTaken(new.slug.to_owned()));
    }
    let service = match &slot.service {
        None => Change::Created,
        Some(there)
            if wanted(new, Some(there)) != (&there.name, there.domain.as_deref(), there.description.as_deref()) =>
        {
            Change::Updated
        }
        Some(_) => Change::Unchanged,
    };
    let key = match key_state(conn, new.key)? {
        KeyState::Unknown => Change::Created,
        KeyState::Active(service) | KeyState::Revoked(service) if service != slot.id => {
            return Err(Problem::KeyOfAnother);
        }
        KeyState::Revoked(_) => return Err(Problem::KeyRevoked),
        KeyState::Active(_) => Change::Unchanged,
    };
    let other_keys = others(conn, &slot.id, &new.key.hash)?;
    let revoked = new.revoke_others && !other_keys.is_empty();
    Ok(Registered {
        owner,
        service_id: slot.id,
        service,
        key,
        other_keys,
        revoked,
    })
}

/// Name, domain and description that a service shall have.
fn wanted<'a>(new: &NewService<'a>, there: Option<&'a Service>) -> (&'a str, Option<&'a str>, Option<&'a str>) {
    match there {
        Some(there) => (
            new.name.unwrap_or(&there.name),
            new.domain.or(there.domain.as_deref()),
            new.description.or(there.description.as_deref()),
        ),
        None => (
            new.name.unwrap_or(new.slug),
            new.domain.or(Some("localhost")),
            new.description.or(Some(new.kind.description())),
        ),
    }
}

fn carry_out(conn: &Connection, new: &NewService<'_>, planned: &Registered) -> Result<(), Problem> {
    if planned.owner.created {
        owners::ensure(conn, new.namespace, new.email)?;
    }
    match planned.service {
        Change::Created => {
            let (name, domain, description) = wanted(new, None);
            conn.execute(
                "INSERT INTO services (id, owner_user_id, name, slug, domain, description, created_at, updated_at)
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6, now, now FROM (SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now') AS now)",
                params![
                    planned.service_id,
                    planned.owner.id,
                    name,
                    new.slug,
                    domain,
                    description
                ],
            )?;
        }
        Change::Updated => {
            conn.execute(
                "UPDATE services SET name = coalesce(?2, name), domain = coalesce(?3, domain),
                   description = coalesce(?4, description), updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
                 WHERE id = ?1",
                params![planned.service_id, new.name, new.domain, new.description],
            )?;
        }
        Change::Unchanged => {}
    }
    if planned.key == Change::Created {
        let id = format!("key_local_{}_{}", new.slug, &new.key.hash[..12]);
        conn.execute(
            "INSERT INTO service_api_keys (id, service_id, name, key_prefix, key_hash, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))",
            params![
                id,
                planned.service_id,
                new.kind.key_name(),
                new.key.prefix,
                new.key.hash
            ],
        )?;
    }
    if planned.revoked {
        revoke(conn, &planned.other_keys)?;
    }
    Ok(())
}
