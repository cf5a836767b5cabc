//! `service rotate-key`: a new API key; the old ones are revoked once the Sigilum gateway has the new one.
//!
//! The new key waits in `service-api-key-<slug>.next` until all is done: an interrupted rotation is finished with the
//! same key, and until then the key in the key file is in force.

use crate::cli::ServiceRotateKeyArgs;
use crate::cmd::service::connection::{self, Look};
use crate::cmd::service::options;
use crate::cmd::service::report::{self, OtherKey};
use crate::cmd::service::site::{self, Site, Steps};
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::sigilum::gateway::{Gateway, KeyDelivery};
use crate::sigilum::local_db::{KeyDigest, KeyState, LocalDb, NewService, ServiceKind, Slot};
use crate::sigilum::secrets;
use secrecy::SecretString;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// What the command did.
#[derive(Serialize)]
struct Report {
    namespace: String,
    service_slug: String,
    service_id: String,
    service_key: String,
    service_key_file: PathBuf,
    revoked_keys: Vec<OtherKey>,
    /// Whether the Sigilum gateway has taken the new key; `null`: the service has no connection there.
    service_key_handed_over: Option<bool>,
    notes: Vec<String>,
}

/// Runs the command.
pub fn run(args: &ServiceRotateKeyArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    options::check_slug(args.slug.get())?;
    let site = site::site(&args.common, None, env)?;
    options::warn_of_typed_secrets(None, &args.common.gateway);
    let mut db = site.open_db()?;
    let (lock, (slot, gateway, notes)) = site.locked(|| {
        let slot = known(&site, &db, args.slug.get())?;
        let mut notes = Vec::new();
        let gateway = gateway(&site, &db, &slot, &mut notes)?;
        Ok((slot, gateway, notes))
    })?;

    let stem = &slot.file_stem;
    let next_stem = report::next_stem(&slot);
    let next_file = site.workspace.key_file(&next_stem);
    let key_file = site.workspace.key_file(stem);
    let mut lines = vec![
        format!("new service key in {}", next_file.display()),
        format!("new service key registered in {}", site.database.display()),
    ];
    if let Some(look) = &gateway {
        lines.push(format!("new service key handed to {}", look.gateway.place()));
    }
    lines.extend([
        format!("new service key in {}", key_file.display()),
        "old service keys revoked".to_owned(),
        format!("removed: {}", next_file.display()),
    ]);
    let mut steps = Steps::new(lines);

    let key = steps.run(|| next_key(&site, &db, &slot))?;
    let digest = KeyDigest::of(&key);
    let new = NewService {
        namespace: site.namespace(),
        email: &site.owner.email.value,
        slug: args.slug.get(),
        name: None,
        domain: None,
        description: None,
        kind: if gateway.is_some() {
            ServiceKind::Gateway
        } else {
            ServiceKind::Native
        },
        key: &digest,
        file_stem: stem,
        revoke_others: false,
    };
    let registered = steps.run(|| Ok(db.register(&new)?))?;
    let handed_over = match &gateway {
        None => None,
        Some(look) => Some(steps.run(|| hand_over(&site, &look.gateway, args.slug.get(), &key))?),
    };
    steps.run(|| site.workspace.store_key(stem, &key))?;
    let revoked = steps.run(|| Ok(db.revoke_keys(&registered.service_id, Some(&digest))?))?;
    steps.run(|| site.workspace.remove(&next_file))?;
    db.close()?;
    drop(lock);

    let done = Report {
        namespace: site.namespace().to_owned(),
        service_slug: args.slug.get().to_owned(),
        service_id: registered.service_id,
        service_key: report::shown(&key, args.reveal.reveal_secrets),
        service_key_file: key_file,
        revoked_keys: revoked.iter().map(OtherKey::from).collect(),
        service_key_handed_over: handed_over,
        notes,
    };
    report::print(&done, out, args.output.json)
}

fn known(site: &Site, db: &LocalDb, slug: &str) -> Result<Slot> {
    let slot = db.slot(site.namespace(), slug)?;
    if slot.service.is_some() {
        return Ok(slot);
    }
    Err(Error::new(
        ExitCode::Failure,
        format!("could not rotate the key: {} has no service {slug}", site.namespace()),
    )
    .next(format!("sigilum-authz-notify service add --service-slug {slug}")))
}

/// The gateway, if it has a connection for the service; `None` for a service without one.
fn gateway(site: &Site, db: &LocalDb, slot: &Slot, notes: &mut Vec<String>) -> Result<Option<Look>> {
    let look = connection::served(site, db, slot, notes)?;
    if look
        .as_ref()
        .is_some_and(|look| matches!(look.gateway, Gateway::Cli(_)))
        && !site.gateway_home
    {
        return Err(Error::new(
            ExitCode::Unreachable,
            "could not rotate the key: the Sigilum gateway is stopped, and would go on with the old one",
        )
        .next("start the Sigilum gateway, or set GATEWAY_SIGILUM_HOME to the home that it is started with"));
    }
    Ok(look)
}

/// The key of an interrupted rotation, or a new one, on disk in either case.
fn next_key(site: &Site, db: &LocalDb, slot: &Slot) -> Result<SecretString> {
    let stem = report::next_stem(slot);
    if let Some(key) = site.workspace.key(&stem)? {
        match db.key_state(&KeyDigest::of(&key))? {
            KeyState::Unknown => return Ok(key),
            KeyState::Active(service) if service == slot.id => return Ok(key),
            KeyState::Active(_) | KeyState::Revoked(_) => {}
        }
    }
    let key = secrets::new_key()?;
    site.workspace.store_key(&stem, &key)?;
    Ok(key)
}

/// The old key must stay in force until the gateway has the new one.
fn hand_over(site: &Site, gateway: &Gateway, slug: &str, key: &SecretString) -> Result<bool> {
    let key_delivery = gateway.put_service_key(slug, key)?;
    match connection::not_delivered(site, key_delivery) {
        None => Ok(key_delivery == KeyDelivery::Written),
        Some(why) => Err(Error::new(
            ExitCode::Failure,
            "could not hand the new service key to the Sigilum gateway",
        )
        .next(why)),
    }
}

impl report::Report for Report {
    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn title(&self) -> String {
        format!("Service {} of {}: new service key", self.service_slug, self.namespace)
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let file = self.service_key_file.display();
        let mut rows = vec![report::row("service key", format!("{}, in {file}", self.service_key))];
        rows.extend(self.revoked_keys.iter().map(|key| key.row("revoked key")));
        rows
    }
}
