//! `service rotate-key`: a new API key beside the old ones, which are revoked once the new one is in use.
//!
//! The new key lies in `service-api-key-<slug>.next` too until the old ones are revoked: a rotation that was interrupted,
//! or waits for `--finish`, goes on with the same key.

use crate::cli::ServiceRotateKeyArgs;
use crate::cmd::output;
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
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often the database is asked whether the new key is in use. The Sigilum gateway uses its keys every 10 s.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What the command did.
#[derive(Serialize)]
struct Report {
    namespace: String,
    service_slug: String,
    service_id: String,
    service_key: String,
    service_key_file: PathBuf,
    /// The rotation was begun before: no key was made.
    already_begun: bool,
    revoked_keys: Vec<OtherKey>,
    /// Old keys that are still in force.
    old_keys: Vec<OtherKey>,
    /// The command that revokes them; `null` where there is none left.
    finish: Option<String>,
    /// Whether the Sigilum gateway has taken the new key; `null`: the service has no connection there.
    service_key_delivered: Option<bool>,
    #[serde(serialize_with = "report::as_told")]
    notes: Vec<String>,
}

/// Runs the command.
pub fn run(args: &ServiceRotateKeyArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    options::check_slug(args.slug.get())?;
    let site = site::site(&args.common, None, env)?;
    options::warn_of_typed_secrets(None, &args.common.gateway);
    site.refuse_what_cannot_be_made()?;
    let rotation = Rotation { args, site };
    let report = rotation.carry_out()?;
    report::print(&report, out, args.output.json)
}

/// One `service rotate-key`.
struct Rotation<'a> {
    args: &'a ServiceRotateKeyArgs,
    site: Site,
}

/// What there is before anything changes.
struct Found {
    slot: Slot,
    /// The gateway, if it has a connection for the service.
    gateway: Option<Look>,
    notes: Vec<String>,
}

impl Rotation<'_> {
    fn slug(&self) -> &str {
        self.args.slug.get()
    }

    fn carry_out(&self) -> Result<Report> {
        let mut db = self.site.open_db()?;
        let (lock, found) = self.site.locked(|| self.find(&db))?;
        let slot = &found.slot;
        let key_file = self.site.workspace.key_file(&slot.file_stem);
        let next_file = self.site.workspace.key_file(&report::next_stem(slot));
        let mut steps = Steps::new(self.lines(&found));
        let mut notes = found.notes.clone();

        let (key, already_begun) = steps.run(|| next_key(&self.site, &db, slot))?;
        let digest = KeyDigest::of(&key);
        let registered = steps.run(|| Ok(db.register(&self.new_service(&found, &digest))?))?;
        let delivery = match &found.gateway {
            Some(look) => Some(steps.run(|| look.gateway.put_service_key(self.slug(), &key))?),
            None => None,
        };
        steps.run(|| self.site.workspace.store_key(&slot.file_stem, &key))?;
        let (mut revoked, mut old) = (Vec::new(), Vec::new());
        // Nobody shall wait for a gateway.
        drop(lock);
        let unused = match registered.other_keys.is_empty() {
            true => None,
            false => self.unused(&db, &digest, delivery, slot)?,
        };
        let _lock = self.site.make_and_lock()?;
        self.check_unchanged(slot, &digest)?;
        match unused {
            Some(why) => {
                notes.push(why);
                old = registered.other_keys;
            }
            None => {
                let unseen = self.unseen(&db, &digest, delivery, &key_file)?;
                revoked = steps.run(|| Ok(db.revoke_keys(&slot.id, Some(&digest))?))?;
                steps.run(|| self.site.workspace.remove(&next_file))?;
                notes.extend(unseen.filter(|_| !revoked.is_empty()));
            }
        }
        db.close()?;
        Ok(Report {
            namespace: self.site.namespace().to_owned(),
            service_slug: self.slug().to_owned(),
            service_id: registered.service_id,
            service_key: report::shown(&key, self.args.reveal.reveal_secrets),
            service_key_file: key_file,
            already_begun,
            revoked_keys: revoked.iter().map(OtherKey::from).collect(),
            finish: (!old.is_empty()).then(|| self.command(" --finish")),
            old_keys: old.iter().map(OtherKey::from).collect(),
            service_key_delivered: delivery.map(|delivery| delivery == KeyDelivery::Written),
            notes,
        })
    }

    fn find(&self, db: &LocalDb) -> Result<Found> {
        let slot = db.slot(self.site.namespace(), self.slug())?;
        if slot.service.is_none() {
            return Err(Error::new(
                ExitCode::Failure,
                format!(
                    "could not rotate the key: {} has no service {}",
                    self.site.namespace(),
                    self.slug()
                ),
            )
            .next(format!(
                "sigilum-authz-notify service add --service-slug {}",
                self.slug()
            )));
        }
        if self.args.finish {
            self.refuse_nothing_to_finish(db, &slot)?;
        }
        let mut notes = Vec::new();
        let gateway = connection::served(&self.site, &slot, &mut notes)?;
        let stopped = gateway
            .as_ref()
            .is_some_and(|look| matches!(look.gateway, Gateway::Cli(_)));
        if stopped && !self.site.gateway_home && !self.args.finish {
            return Err(Error::new(
                ExitCode::Unreachable,
                "could not rotate the key: the Sigilum gateway is stopped, and would go on with the old one",
            )
            .next("start the Sigilum gateway, or set GATEWAY_SIGILUM_HOME to the home that it is started with"));
        }
        Ok(Found { slot, gateway, notes })
    }

    /// Old keys make way for one that is in force, which is never made here: whoever has it has it from a rotation before.
    fn refuse_nothing_to_finish(&self, db: &LocalDb, slot: &Slot) -> Result<()> {
        let why = match self.site.workspace.key(&report::next_stem(slot))? {
            None => "none was begun",
            Some(key) => match db.key_state(&KeyDigest::of(&key))? {
                KeyState::Active(service) if service == slot.id => return Ok(()),
                _ => "its new key is not in force",
            },
        };
        let what = format!("could not finish the rotation of the key of {}: {why}", self.slug());
        Err(Error::new(ExitCode::Failure, what).next(self.command("")))
    }

    /// This command again, with other flags of its own.
    fn command(&self, flags: &str) -> String {
        options::rotate_key(self.slug(), flags, &self.args.common)
    }

    fn lines(&self, found: &Found) -> Vec<String> {
        let next_file = self.site.workspace.key_file(&report::next_stem(&found.slot));
        let key_file = self.site.workspace.key_file(&found.slot.file_stem);
        let mut lines = vec![
            format!("new service key in {}", next_file.display()),
            format!("new service key registered in {}", self.site.database.display()),
        ];
        let place = found.gateway.as_ref().map(|look| look.gateway.place());
        lines.extend(place.map(|place| format!("new service key handed to {place}")));
        lines.extend([
            format!("new service key in {}", key_file.display()),
            "old service keys revoked".to_owned(),
            format!("removed: {}", next_file.display()),
        ]);
        lines
    }

    fn new_service<'a>(&'a self, found: &'a Found, key: &'a KeyDigest) -> NewService<'a> {
        NewService {
            namespace: self.site.namespace(),
            email: &self.site.owner.email.value,
            slug: self.slug(),
            name: None,
            domain: None,
            description: None,
            kind: match found.gateway {
                Some(_) => ServiceKind::Gateway,
                None => ServiceKind::Native,
            },
            key,
            file_stem: &found.slot.file_stem,
            revoke_others: false,
        }
    }

    /// What the person has to do before the old keys can go; `None`: they can go now.
    fn unused(
        &self,
        db: &LocalDb,
        key: &KeyDigest,
        delivery: Option<KeyDelivery>,
        slot: &Slot,
    ) -> Result<Option<String>> {
        if self.args.now || self.args.finish {
            return Ok(None);
        }
        let file = self.site.workspace.key_file(&slot.file_stem);
        let file = file.display();
        let variable = self.variable();
        let todo = match delivery {
            None => {
                let slug = self.slug();
                let what = match connection::kind_of(&self.site, slot) {
                    Some(ServiceKind::Native) => {
                        format!("{slug} {}, with an API key of its own: ", connection::IS_NATIVE)
                    }
                    Some(ServiceKind::Gateway) => format!(
                        "the Sigilum gateway has no connection for {slug} any more, service list says how to make it \
                         anew; else "
                    ),
                    None => String::new(),
                };
                format!("{what}give the service its new key, which is in {file}")
            }
            Some(_) if db.is_used(key)? => return Ok(None),
            Some(KeyDelivery::Written) if self.is_used_in_time(db, key)? => return Ok(None),
            Some(KeyDelivery::Written) => format!(
                "the Sigilum gateway was not seen using the new key within {} s; if {variable} is set where it runs, start \
                 it again with the key in {file}",
                self.args.wait
            ),
            Some(KeyDelivery::NoHome) => format!(
                "the Sigilum gateway has no home to keep keys in; start it again with the key in {file} as {variable}"
            ),
            Some(KeyDelivery::Stopped) => {
                format!("the Sigilum gateway is stopped; it takes the new key from {file} when it starts")
            }
        };
        Ok(Some(format!("{todo}; the old key stays in force until it is revoked")))
    }

    /// What the Sigilum gateway may have its key from.
    fn variable(&self) -> String {
        let slug = self.slug().to_ascii_uppercase().replace('-', "_");
        format!("SIGILUM_SERVICE_API_KEY_{slug}")
    }

    /// What a person should know whose old keys go, where the new one was never seen in use, as that of a native service
    /// never is. After `--now` a gateway that has taken it uses it in a moment.
    fn unseen(
        &self,
        db: &LocalDb,
        key: &KeyDigest,
        delivery: Option<KeyDelivery>,
        file: &Path,
    ) -> Result<Option<String>> {
        let (variable, file) = (self.variable(), file.display());
        let todo = match delivery {
            None => return Ok(None),
            Some(KeyDelivery::NoHome) => format!(
                "the Sigilum gateway has no home to keep keys in: start it again with the key in {file} as {variable}"
            ),
            Some(_) if !self.args.finish => return Ok(None),
            Some(_) => {
                format!("if {variable} is set where the Sigilum gateway runs, start it again with the new key")
            }
        };
        let told = format!(
            "the old key is revoked, and nobody was seen using the new one yet: {todo}, or its requests are refused"
        );
        Ok((!db.is_used(key)?).then_some(told))
    }

    /// Waits until the API has seen the key in use.
    fn is_used_in_time(&self, db: &LocalDb, key: &KeyDigest) -> Result<bool> {
        let patience = Duration::from_secs(self.args.wait);
        output::note(format_args!(
            "waiting until the Sigilum gateway uses the new key, for {} s at most; until then the old one stays in force",
            self.args.wait
        ));
        let begin = Instant::now();
        while begin.elapsed() < patience {
            std::thread::sleep(LOOK_EVERY.min(patience));
            if db.is_used(key)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Another command may have finished this rotation, and begun the next one, or have removed the service, while nobody
    /// held the lock.
    fn check_unchanged(&self, slot: &Slot, key: &KeyDigest) -> Result<()> {
        let next = self.site.workspace.key(&report::next_stem(slot))?;
        if next.as_ref().map(KeyDigest::of).as_ref() == Some(key) {
            return Ok(());
        }
        Err(Error::new(
            ExitCode::Failure,
            "could not go on with the rotation: another command has finished it, or removed the service",
        )
        .next("sigilum-authz-notify service list"))
    }
}

/// The key of an interrupted rotation, or a new one, on disk in either case; and whether that rotation had put it in force.
fn next_key(site: &Site, db: &LocalDb, slot: &Slot) -> Result<(SecretString, bool)> {
    let stem = report::next_stem(slot);
    if let Some(key) = site.workspace.key(&stem)? {
        match db.key_state(&KeyDigest::of(&key))? {
            KeyState::Unknown => return Ok((key, false)),
            KeyState::Active(service) if service == slot.id => return Ok((key, true)),
            KeyState::Active(_) | KeyState::Revoked(_) => {}
        }
    }
    let key = secrets::new_key()?;
    site.workspace.store_key(&stem, &key)?;
    Ok((key, false))
}

impl report::Report for Report {
    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn title(&self) -> String {
        let what = match (&self.finish, self.already_begun) {
            (Some(_), true) => "its rotation is already begun, and goes on with the same key",
            (Some(_), false) => "new service key, beside the old one",
            (None, _) => "new service key",
        };
        format!("Service {} of {}: {what}", self.service_slug, self.namespace)
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let file = self.service_key_file.display();
        let mut rows = vec![report::row("service key", format!("{}, in {file}", self.service_key))];
        rows.extend(self.revoked_keys.iter().map(|key| key.row("revoked key")));
        rows.extend(self.old_keys.iter().map(|key| key.row("old key")));
        rows.extend(
            self.finish
                .iter()
                .map(|command| report::row("to revoke it", command.clone())),
        );
        rows
    }
}
