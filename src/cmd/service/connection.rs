//! The Sigilum gateway's connection of a service as it is: what the gateway and our files say, and what that means.

use crate::cmd::service::site::Site;
use crate::error::{Error, ExitCode, OrFail, Result};
use crate::fs;
use crate::sigilum::gateway::{Connection, Gateway, KeyDelivery, NewConnection, PlanError};
use crate::sigilum::local_db::{Service, ServiceKind, Slot};
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
    pub slug: String,
    pub gateway: Gateway,
    pub existing: Option<Connection>,
    pub journal: Option<Journal>,
    /// The secret in our file.
    pub stored: Option<SecretString>,
}

impl Look {
    /// The key whose secret our file holds: the one that the connection sends, or will send by the journal.
    pub fn stored_key(&self) -> Option<&String> {
        self.stored.as_ref()?;
        let by_journal = self.journal.as_ref().map(|journal| &journal.new.auth_secret_key);
        by_journal.or(self.existing.as_ref().map(|existing| &existing.auth_secret_key))
    }
}

/// `gateway-connection-journal-<slug>.json`, beside the secret that belongs to it.
pub(super) fn journal_file(site: &Site, slug: &str) -> PathBuf {
    let name = format!("gateway-connection-journal-{slug}.json");
    site.workspace.dir().join(name)
}

/// Finds the gateway, asks for the connection, and reads our files.
pub(super) fn look(site: &Site, slug: &str) -> Result<Look> {
    try_look(site, slug)?
}

/// As [`look`]. The inner error: no gateway was reached.
fn try_look(site: &Site, slug: &str) -> Result<Result<Look>> {
    let (gateway, existing) = match Gateway::reach(&site.target, site.http.clone(), slug)? {
        Ok(reached) => reached,
        Err(gone) => return Ok(Err(gone)),
    };
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
            .next(format!(
                "look at it, then move it away: mv {0} {0}.old",
                fs::quoted(&path)
            ))
        })?),
    };
    Ok(Ok(Look {
        slug: slug.to_owned(),
        gateway,
        existing,
        journal,
        stored: site.workspace.upstream_secret(slug)?,
    }))
}

/// The gateway, if it has a connection for the service. That no answer comes matters only where something tells that it
/// serves the service; an answer that tells nothing of the connection always does.
pub(super) fn served(site: &Site, slot: &Slot, notes: &mut Vec<String>) -> Result<Option<Look>> {
    // A connection goes by the slug alone.
    if slot.file_stem != slot.slug {
        return Ok(None);
    }
    let kind = slot.service.as_ref().and_then(|service| service.kind);
    let is_behind_gateway = kind == Some(ServiceKind::Gateway) || has_files(site, &slot.slug);
    match try_look(site, &slot.slug)? {
        Ok(look) if look.existing.is_some() => Ok(Some(look)),
        Ok(look) => {
            if is_behind_gateway {
                let (place, slug) = (look.gateway.place(), &slot.slug);
                notes.push(format!(
                    "{place} has no connection {slug}; one at another Sigilum gateway stays as it is there, name that gateway \
                     with --gateway-admin-url"
                ));
            }
            Ok(None)
        }
        Err(_) if !is_behind_gateway => {
            notes.push("the Sigilum gateway was not reached; nothing here says that it serves this service".to_owned());
            Ok(None)
        }
        Err(gone) => Err(gone),
    }
}

/// What a native service is, in words that follow its slug.
pub(super) const IS_NATIVE: &str = "is a native service, which checks Sigilum's signatures itself";

/// Whether a slug's service is one.
pub(super) fn is_native(site: &Site, slot: &Slot) -> bool {
    kind_of(site, slot) == Some(ServiceKind::Native)
}

/// As [`kind`], of a slug's service, where there is one.
pub(super) fn kind_of(site: &Site, slot: &Slot) -> Option<ServiceKind> {
    kind(site, slot.service.as_ref()?)
}

/// Who checks a service's signatures, as far as its rows and our files tell.
pub(super) fn kind(site: &Site, service: &Service) -> Option<ServiceKind> {
    if service.goes_by_slug && has_files(site, &service.slug) {
        return Some(ServiceKind::Gateway);
    }
    service.kind
}

/// Whether files of ours tell that a slug has a connection.
fn has_files(site: &Site, slug: &str) -> bool {
    site.workspace.upstream_secret_file(slug).exists() || journal_file(site, slug).exists()
}

/// Writes the journal, before what it knows of is deleted.
pub(super) fn write_journal(site: &Site, slug: &str, journal: &Journal) -> Result<()> {
    let path = journal_file(site, slug);
    let mut text = serde_json::to_vec_pretty(journal).or_fail(ExitCode::Failure, || {
        format!("could not write the journal: {}", path.display())
    })?;
    text.push(b'\n');
    fs::write_private(&path, &text)
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
