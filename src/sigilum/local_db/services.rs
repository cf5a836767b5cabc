//! Services and their API keys: the rows of `services` and `service_api_keys`.
//!
//! A slug is unique per owner only, while key files, upstream's row ids and the Sigilum gateway's connections know
//! nothing but the slug. So one namespace has a slug *first*, and goes by the slug alone; for every other namespace
//! row id and key file carry the namespace, and the gateway is not available.

use super::{DbError, LocalDb, Problem};
use rusqlite::{Connection, OptionalExtension, Row};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// What the database keeps of a service API key: not the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDigest {
    /// SHA-256 of the whole key, 64 hex digits.
    pub hash: String,
    /// `...` and the key's last four characters.
    pub prefix: String,
}

impl KeyDigest {
    /// The digest of a key.
    pub fn of(key: &SecretString) -> Self {
        let key = key.expose_secret();
        let last = key.char_indices().rev().nth(3).map_or(key, |(start, _)| &key[start..]);
        Self {
            hash: hex::encode(Sha256::digest(key)),
            prefix: format!("...{last}"),
        }
    }
}

/// Where a namespace's service of some slug stands, or would stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The slug.
    pub slug: String,
    /// The row, if the service exists.
    pub service: Option<Service>,
    /// The namespace that had the slug first, if that is not this one.
    pub taken_by: Option<String>,
    /// What stands for the service in file names: the slug, or `<namespace>_<slug>` where the slug is taken.
    pub file_stem: String,
    /// `services.id` of the row, or the id that it would get.
    pub id: String,
}

/// Who checks the signatures of requests to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceKind {
    /// The service itself.
    Native,
    /// The Sigilum gateway before it.
    Gateway,
}

impl ServiceKind {
    /// The kind that a key's name or a description tells, if it is one of ours or of upstream's script.
    pub fn of_text(text: &str) -> Option<Self> {
        let tells = |kind: &Self| text == kind.key_name() || text == kind.description();
        [Self::Native, Self::Gateway].into_iter().find(tells)
    }

    /// `service_api_keys.name` of its keys.
    pub fn key_name(self) -> &'static str {
        match self {
            Self::Native => "Native service key (local cli)",
            Self::Gateway => "Gateway proxy service key (local cli)",
        }
    }

    /// `services.description`, where none is given.
    pub fn description(self) -> &'static str {
        match self {
            Self::Native => "Local native Sigilum service.",
            Self::Gateway => "Local proxy service routed through Sigilum gateway.",
        }
    }
}

/// A service as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// `services.id`
    pub id: String,
    /// The slug.
    pub slug: String,
    /// The name for people.
    pub name: String,
    /// The domain.
    pub domain: Option<String>,
    /// The description.
    pub description: Option<String>,
    /// How many keys are not revoked.
    pub active_api_keys: u64,
    /// Who checks signatures, as far as the description and the keys in force, or without any the last one, tell: they
    /// name the gateway, or only the service.
    pub kind: Option<ServiceKind>,
    /// Whether it goes by the slug alone: key file, and the Sigilum gateway's connection. Not so where another
    /// namespace had the slug first.
    pub goes_by_slug: bool,
}

/// A service API key as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// `service_api_keys.id`
    pub id: String,
    /// The name for people.
    pub name: String,
    /// `...` and the last four characters.
    pub prefix: String,
    /// SHA-256 of the key in hex.
    pub hash: String,
    /// When it was made: ISO 8601.
    pub created_at: String,
}

/// What the database knows of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyState {
    /// Nothing.
    Unknown,
    /// It is in force for the service of that `services.id`.
    Active(String),
    /// It was in force for the service of that `services.id`, and is revoked.
    Revoked(String),
}

impl LocalDb {
    /// All services of a namespace, by slug, as they were at one moment. Three queries, however many there are.
    pub fn services(&self, namespace: &str) -> Result<Vec<Service>, DbError> {
        self.at(self.read(|moment| services(moment, namespace)))
    }

    /// Where the namespace's service of that slug stands.
    pub fn slot(&self, namespace: &str, slug: &str) -> Result<Slot, DbError> {
        self.at(self.read(|moment| slot(moment, namespace, slug)))
    }

    /// The service's keys that are not revoked, oldest first.
    pub fn active_keys(&self, service_id: &str) -> Result<Vec<ApiKey>, DbError> {
        self.at(active_keys(&self.conn, service_id))
    }

    /// What the database knows of a key. Ask before using a key from a file.
    pub fn key_state(&self, key: &KeyDigest) -> Result<KeyState, DbError> {
        self.at(key_state(&self.conn, key))
    }

    /// Whether the API has seen the key in use.
    pub fn is_used(&self, key: &KeyDigest) -> Result<bool, DbError> {
        let used = "SELECT EXISTS (SELECT 1 FROM service_api_keys WHERE key_hash = ?1 AND last_used_at IS NOT NULL)";
        let used = self.conn.query_row(used, [&key.hash], |row| row.get(0));
        self.at(used.map_err(Problem::from))
    }

    /// Revokes the service's keys, but not `keep`; returns those revoked. Writes nothing where there are none.
    pub fn revoke_keys(&mut self, service_id: &str, keep: Option<&KeyDigest>) -> Result<Vec<ApiKey>, DbError> {
        let keep = keep.map_or("", |key| key.hash.as_str());
        let revoked = match others(&self.conn, service_id, keep) {
            Ok(keys) if !keys.is_empty() => self.write(|transaction| {
                let keys = others(transaction, service_id, keep)?;
                revoke(transaction, &keys)?;
                Ok(keys)
            }),
            other => other,
        };
        self.at(revoked)
    }

    /// Deletes a service's row, and with it its keys and webhooks, as the API does; and what agents asked this namespace
    /// for it, unless another namespace has a service of that slug: requests know nothing but the slug. Says how many
    /// requests went.
    pub fn delete_service(&mut self, namespace: &str, slot: &Slot) -> Result<usize, DbError> {
        let deleted = self.write(|transaction| {
            transaction.execute("DELETE FROM services WHERE id = ?1", [&slot.id])?;
            Ok(transaction.execute(
                "DELETE FROM authorizations WHERE namespace = ?1 AND service = ?2
                   AND NOT EXISTS (SELECT 1 FROM services WHERE slug = ?2)",
                [namespace, &slot.slug],
            )?)
        });
        self.at(deleted)
    }
}

const SERVICE: &str = "SELECT s.id, s.slug, s.name, s.domain, s.description
     FROM services s JOIN users u ON u.id = s.owner_user_id";

fn service(row: &Row<'_>) -> rusqlite::Result<Service> {
    Ok(Service {
        id: row.get(0)?,
        slug: row.get(1)?,
        name: row.get(2)?,
        domain: row.get(3)?,
        description: row.get(4)?,
        kind: row.get_ref(4)?.as_str().ok().and_then(ServiceKind::of_text),
        active_api_keys: 0,
        goes_by_slug: true,
    })
}

fn services(conn: &Connection, namespace: &str) -> Result<Vec<Service>, Problem> {
    let mut query = conn.prepare(&format!("{SERVICE} WHERE u.namespace = ?1 ORDER BY s.slug"))?;
    let mut services: Vec<Service> = query.query_map([namespace], service)?.collect::<Result<_, _>>()?;
    count_active_keys(conn, &mut services)?;
    recall_kinds(conn, &mut services)?;
    let shared = "s.slug IN (SELECT slug FROM services GROUP BY slug HAVING count(*) > 1)";
    let mut query = conn.prepare(&holders_where(shared))?;
    let holders = query.query_map([], holder)?.collect::<Result<Vec<_>, _>>()?;
    for holders in holders.chunk_by(|one, next| one.slug == next.slug) {
        let standing = standing(holders, namespace);
        if let Ok(index) = services.binary_search_by(|service| service.slug.cmp(&holders[0].slug)) {
            services[index].goes_by_slug = standing.goes_by_slug();
        }
    }
    // Alone with its slug now, but made when another namespace had it.
    for service in &mut services {
        service.goes_by_slug &= service.id != second_id(namespace, &service.slug);
    }
    Ok(services)
}

impl Service {
    fn note_key(&mut self, name: &str) {
        self.active_api_keys += 1;
        let kind = ServiceKind::of_text(name);
        if self.kind.is_none() || kind == Some(ServiceKind::Gateway) {
            self.kind = kind.or(self.kind);
        }
    }
}

/// One pass over all keys costs a third of what SQLite's grouping does.
fn count_active_keys(conn: &Connection, services: &mut [Service]) -> Result<(), Problem> {
    let by_id: HashMap<String, usize> = services
        .iter()
        .enumerate()
        .map(|(index, service)| (service.id.clone(), index))
        .collect();
    let mut query = conn.prepare("SELECT service_id, name FROM service_api_keys WHERE revoked_at IS NULL")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let of = row.get_ref(0)?.as_str().ok().and_then(|id| by_id.get(id));
        if let Some(&index) = of {
            services[index].note_key(row.get_ref(1)?.as_str().unwrap_or_default());
        }
    }
    Ok(())
}

/// Without a key in force, as `service remove --keep` leaves it, a service is of the kind that its last key names.
fn recall_kinds(conn: &Connection, services: &mut [Service]) -> Result<(), Problem> {
    let mut query =
        conn.prepare("SELECT name FROM service_api_keys WHERE service_id = ?1 ORDER BY created_at DESC, id LIMIT 1")?;
    let is_unknown = |service: &&mut Service| service.kind.is_none() && service.active_api_keys == 0;
    for service in services.iter_mut().filter(is_unknown) {
        let kind = |row: &Row<'_>| Ok(row.get_ref(0)?.as_str().ok().and_then(ServiceKind::of_text));
        service.kind = query.query_row([&service.id], kind).optional()?.flatten();
    }
    Ok(())
}

/// One row of all the services that share a slug.
struct Holder {
    slug: String,
    id: String,
    namespace: String,
}

/// Holders by slug. The row that upstream's script writes comes first: its key is the one in the slug's plain file.
fn holders_where(condition: &str) -> String {
    format!(
        "SELECT s.slug, s.id, u.namespace FROM services s JOIN users u ON u.id = s.owner_user_id WHERE {condition}
         ORDER BY s.slug, s.id != 'svc_local_' || s.slug, s.created_at, s.id"
    )
}

fn holder(row: &Row<'_>) -> rusqlite::Result<Holder> {
    Ok(Holder {
        slug: row.get(0)?,
        id: row.get(1)?,
        namespace: row.get(2)?,
    })
}

/// How a namespace stands among those that hold a slug.
struct Standing<'a> {
    /// Its own row.
    own: Option<&'a Holder>,
    /// Who had the slug first, if that is not this namespace.
    taken_by: Option<&'a str>,
    /// Whether it came second once. It stays so, also when the first one is gone: its key lies in its own file.
    is_second: bool,
}

impl Standing<'_> {
    fn goes_by_slug(&self) -> bool {
        self.taken_by.is_none() && !self.is_second
    }
}

fn standing<'a>(holders: &'a [Holder], namespace: &str) -> Standing<'a> {
    let is_second = |holder: &Holder| holder.id == second_id(&holder.namespace, &holder.slug);
    let first = holders.iter().find(|holder| !is_second(holder));
    let own = holders.iter().find(|holder| holder.namespace == namespace);
    Standing {
        own,
        taken_by: first
            .map(|first| first.namespace.as_str())
            .filter(|first| *first != namespace),
        is_second: own.is_some_and(is_second),
    }
}

fn second_id(namespace: &str, slug: &str) -> String {
    format!("svc_local_{namespace}_{slug}")
}

pub(super) fn slot(conn: &Connection, namespace: &str, slug: &str) -> Result<Slot, Problem> {
    let mut query = conn.prepare(&holders_where("s.slug = ?1"))?;
    let holders = query.query_map([slug], holder)?.collect::<Result<Vec<_>, _>>()?;
    let standing = standing(&holders, namespace);
    let goes_by_slug = standing.goes_by_slug();
    let service = match standing.own {
        Some(own) => {
            let mut query = conn.prepare(&format!("{SERVICE} WHERE s.id = ?1"))?;
            let mut service = query.query_row([&own.id], service)?;
            service.goes_by_slug = goes_by_slug;
            active_keys(conn, &own.id)?
                .iter()
                .for_each(|key| service.note_key(&key.name));
            recall_kinds(conn, std::slice::from_mut(&mut service))?;
            Some(service)
        }
        None => None,
    };
    let id = match standing.own {
        Some(own) => own.id.clone(),
        None if goes_by_slug => format!("svc_local_{slug}"),
        None => second_id(namespace, slug),
    };
    Ok(Slot {
        slug: slug.to_owned(),
        service,
        taken_by: standing.taken_by.map(str::to_owned),
        file_stem: if goes_by_slug {
            slug.to_owned()
        } else {
            format!("{namespace}_{slug}")
        },
        id,
    })
}

fn active_keys(conn: &Connection, service_id: &str) -> Result<Vec<ApiKey>, Problem> {
    others(conn, service_id, "")
}

pub(super) fn others(conn: &Connection, service_id: &str, keep_hash: &str) -> Result<Vec<ApiKey>, Problem> {
    let mut query = conn.prepare(
        "SELECT id, name, key_prefix, key_hash, created_at FROM service_api_keys
         WHERE service_id = ?1 AND revoked_at IS NULL AND key_hash != ?2 ORDER BY created_at, id",
    )?;
    let keys = query.query_map([service_id, keep_hash], |row| {
        Ok(ApiKey {
            id: row.get(0)?,
            name: row.get(1)?,
            prefix: row.get(2)?,
            hash: row.get(3)?,
            created_at: row.get(4)?,
        })
    })?;
    Ok(keys.collect::<Result<_, _>>()?)
}

pub(super) fn key_state(conn: &Connection, key: &KeyDigest) -> Result<KeyState, Problem> {
    let mut query = conn.prepare(
        "SELECT service_id, revoked_at IS NOT NULL FROM service_api_keys WHERE key_hash = ?1 ORDER BY 2 LIMIT 1",
    )?;
    let state = query.query_row([&key.hash], |row| {
        let service: String = row.get(0)?;
        Ok(if row.get(1)? {
            KeyState::Revoked(service)
        } else {
            KeyState::Active(service)
        })
    });
    Ok(state.optional()?.unwrap_or(KeyState::Unknown))
}

pub(super) fn revoke(conn: &Connection, keys: &[ApiKey]) -> Result<(), Problem> {
    let mut update = conn.prepare(
        "UPDATE service_api_keys SET revoked_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
         WHERE id = ?1 AND revoked_at IS NULL",
    )?;
    for key in keys {
        update.execute([&key.id])?;
    }
    Ok(())
}
