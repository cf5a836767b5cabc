//! `service add`: register a service, make its API key and, in gateway mode, its Sigilum gateway connection.

use crate::cli::{ServiceAddArgs, ServiceMode};
use crate::cmd::service::acts::{ActContext, Acts, Outcome};
use crate::cmd::service::connection::{self, Look};
use crate::cmd::service::options;
use crate::cmd::service::report::{self, AddReport, GatewayReport};
use crate::cmd::service::site::{self, Site, Steps};
use crate::cmd::service::upstream_secret;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::sigilum::gateway::Wanted;
use crate::sigilum::local_db::{
    ApiKey, Change, DbError, KeyDigest, KeyState, LocalDb, NewService, Problem, Registered, ServiceKind, Slot,
};
use crate::sigilum::secrets;
use secrecy::SecretString;
use std::io::Write;

/// Runs the command.
pub fn run(args: &ServiceAddArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    options::check_add(args)?;
    let given = upstream_secret::given(&args.secret, env)?;
    let site = site::site(&args.common, args.email.as_deref(), env)?;
    options::warn_of_typed_secrets(Some(&args.secret), &args.common.gateway);
    let add = Add { args, site, given };
    add.site.refuse_what_cannot_be_made()?;
    if args.dry_run {
        add.dry_run(out)
    } else {
        add.carry_out(out)
    }
}

/// One `service add`, its arguments checked.
struct Add<'a> {
    args: &'a ServiceAddArgs,
    site: Site,
    given: Option<SecretString>,
}

/// A service key and the file that it lies in, or will lie in.
struct Key {
    secret: SecretString,
    /// `created` or `reused`
    state: &'static str,
}

impl Add<'_> {
    fn slug(&self) -> &str {
        self.args.slug.get()
    }

    fn kind(&self) -> ServiceKind {
        match self.args.mode {
            ServiceMode::Native => ServiceKind::Native,
            ServiceMode::Gateway => ServiceKind::Gateway,
        }
    }

    /// What the service is: by its own rows and files too, where this command is not for its connection.
    fn kind_of(&self, slot: &Slot) -> ServiceKind {
        match connection::kind_of(&self.site, slot) {
            Some(ServiceKind::Gateway) => ServiceKind::Gateway,
            _ => self.kind(),
        }
    }

    /// What is there at the gateway, and what to do about it; `None` in native mode.
    fn plan(&self) -> Result<Option<(Look, Acts)>> {
        if self.args.mode == ServiceMode::Native {
            return Ok(None);
        }
        let look = connection::look(&self.site, self.slug())?;
        let wanted = self.wanted(look.stored_key().cloned());
        let acts = look.add(&wanted, self.given.as_ref(), self.args.force)?;
        Ok(Some((look, acts)))
    }

    fn wanted(&self, stored_key: Option<String>) -> Wanted {
        let trimmed = |text: &Option<String>| text.as_ref().map(|text| text.trim().to_owned());
        Wanted {
            id: self.slug().to_owned(),
            name: trimmed(&self.args.service_name),
            base_url: trimmed(&self.args.upstream_base_url),
            auth_mode: self.args.auth_mode.map(crate::cli::AuthMode::as_str),
            header: trimmed(&self.args.upstream_header),
            prefix: self.args.auth_prefix.clone(),
            secret_key: trimmed(&self.args.secret.upstream_secret_key),
            secret_given: self.given.is_some(),
            stored_key,
        }
    }

    fn carry_out(&self, out: &mut dyn Write) -> Result<ExitCode> {
        let plan = || {
            let gateway = self.plan()?;
            let db = self.site.make_db()?;
            let slot = self.slot(&db)?;
            self.refuse_unfinished_rotation(&slot)?;
            Ok((gateway, db, slot))
        };
        let (lock, (gateway, mut db, slot)) = self.site.locked(plan)?;
        if let Some((look, acts)) = &gateway
            && acts.shows_secret(&look.gateway)
        {
            report::warn_of_cli();
        }

        let mut steps = Steps::new(self.lines(&slot, gateway.as_ref(), self.args.revoke_old));
        let key = steps.run(|| self.key(&db, &slot))?;
        let (registered, key) = steps.run(|| self.register(&mut db, &slot, key))?;
        let gateway = match &gateway {
            Some((look, acts)) => Some(self.connect(look, acts, &key, &mut steps)?),
            None => None,
        };
        let mut revoked = false;
        let digest = KeyDigest::of(&key.secret);
        if self.may_revoke(&db, Some(&digest), &slot)? {
            revoked = !steps
                .run(|| Ok(db.revoke_keys(&registered.service_id, Some(&digest))?))?
                .is_empty();
        }
        let done = self.report(&db, &registered, &key, gateway, revoked)?;
        db.close()?;
        drop(lock);
        report::print(&done, out, self.args.output.json)
    }

    /// Whether the old keys are to go. The Sigilum gateway may still sign with one of them until it was seen using this
    /// one.
    fn may_revoke(&self, db: &LocalDb, key: Option<&KeyDigest>, slot: &Slot) -> Result<bool> {
        if !self.args.revoke_old || self.kind_of(slot) == ServiceKind::Native {
            return Ok(self.args.revoke_old);
        }
        Ok(key.map_or(Ok(false), |key| db.is_used(key))?)
    }

    /// The gateway's part, and what to tell of it.
    fn connect(&self, look: &Look, acts: &Acts, key: &Key, steps: &mut Steps) -> Result<(GatewayReport, Vec<String>)> {
        let at = ActContext {
            site: &self.site,
            look,
            service_key: Some(&key.secret),
        };
        let mut outcome = Outcome::new(look);
        acts.perform(&at, steps, &mut outcome)?;
        let report = GatewayReport::new(&at, acts, &outcome, self.args.secret.reveal.reveal_secrets);
        let mut notes = acts.notes.clone();
        let delivery = outcome.key_delivery;
        notes.extend(delivery.and_then(|delivery| connection::not_delivered(&self.site, delivery)));
        notes.extend(report.notes(&self.wanted(None)));
        Ok((report, notes))
    }

    /// Where the service stands, if this namespace may have it.
    fn slot(&self, db: &LocalDb) -> Result<Slot> {
        let slot = db.slot(self.site.namespace(), self.slug())?;
        self.refuse_taken(&slot)?;
        Ok(slot)
    }

    fn refuse_taken(&self, slot: &Slot) -> Result<()> {
        match &slot.taken_by {
            Some(other) if self.args.mode == ServiceMode::Gateway => Err(report::taken(self.slug(), other, true)),
            _ if self.args.mode == ServiceMode::Gateway && slot.file_stem != slot.slug => Err(Error::new(
                ExitCode::Failure,
                format!(
                    "could not use the gateway mode for {}: this service goes by {} here, because another namespace \
                     had the slug first, and the Sigilum gateway knows it by its slug alone",
                    self.slug(),
                    slot.file_stem
                ),
            )),
            _ => Ok(()),
        }
    }

    fn refuse_unfinished_rotation(&self, slot: &Slot) -> Result<()> {
        if !self.args.revoke_old || self.site.workspace.key(&report::next_stem(slot))?.is_none() {
            return Ok(());
        }
        Err(Error::new(
            ExitCode::Failure,
            format!(
                "could not revoke old keys of {}: a rotation of its key is not finished",
                self.slug()
            ),
        )
        .next(options::rotate_key(self.slug(), " --finish", &self.args.common)))
    }

    /// The key in the file, or a new one. A revoked one is never used again.
    fn key(&self, db: &LocalDb, slot: &Slot) -> Result<Key> {
        let kept = self.site.workspace.key_or_new(&slot.file_stem)?;
        if kept.created {
            return Ok(Key {
                secret: kept.secret,
                state: "created",
            });
        }
        if db.key_state(&KeyDigest::of(&kept.secret))? == KeyState::Revoked(slot.id.clone()) {
            let secret = secrets::new_key()?;
            self.site.workspace.store_key(&slot.file_stem, &secret)?;
            return Ok(Key {
                secret,
                state: "created",
            });
        }
        Ok(Key {
            secret: kept.secret,
            state: "reused",
        })
    }

    /// The rows. Where another namespace takes the slug at the same moment, its key is not ours: once more, with the
    /// slot that is left.
    fn register(&self, db: &mut LocalDb, slot: &Slot, key: Key) -> Result<(Registered, Key)> {
        match db.register(&self.new_service(slot, &KeyDigest::of(&key.secret))) {
            Ok(registered) => Ok((registered, key)),
            Err(DbError {
                problem: Problem::SlugTaken(_),
                ..
            }) => {
                let slot = self.slot(db)?;
                let key = self.key(db, &slot)?;
                let registered = db.register(&self.new_service(&slot, &KeyDigest::of(&key.secret)))?;
                Ok((registered, key))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn new_service<'a>(&'a self, slot: &'a Slot, key: &'a KeyDigest) -> NewService<'a> {
        NewService {
            namespace: self.site.namespace(),
            email: &self.site.owner.email.value,
            slug: self.slug(),
            name: self.args.service_name.as_deref().map(str::trim),
            domain: self.args.domain.as_deref().map(str::trim),
            description: self.args.description.as_deref(),
            kind: self.kind(),
            key,
            file_stem: &slot.file_stem,
            revoke_others: false,
        }
    }

    /// The steps, for a person.
    fn lines(&self, slot: &Slot, gateway: Option<&(Look, Acts)>, revoke_old: bool) -> Vec<String> {
        let mut lines = vec![
            format!(
                "service key in {}",
                self.site.workspace.key_file(&slot.file_stem).display()
            ),
            format!(
                "service {} of {} in {}",
                self.slug(),
                self.site.namespace(),
                self.site.database.display()
            ),
        ];
        if let Some((look, acts)) = gateway {
            lines.extend(acts.lines(&self.site, look));
        }
        if revoke_old {
            lines.push("old service keys revoked".to_owned());
        }
        lines
    }

    fn dry_run(&self, out: &mut dyn Write) -> Result<ExitCode> {
        let gateway = self.plan()?;
        let db = match LocalDb::open_read_only(&self.site.database) {
            Ok(db) => Some(db),
            Err(error) if matches!(error.problem, Problem::Missing) => None,
            Err(error) => return Err(error.into()),
        };
        let slot = match &db {
            Some(db) => self.slot(db)?,
            None => report::first_slot(self.slug()),
        };
        self.refuse_unfinished_rotation(&slot)?;
        let key = self.site.workspace.key(&slot.file_stem)?;
        let digest = key.as_ref().map(KeyDigest::of);
        let (new_key, new_rows) = match (&db, &digest) {
            (Some(db), Some(digest)) => match db.plan_register(&self.new_service(&slot, digest)) {
                Ok(plan) => (
                    false,
                    plan.service != Change::Unchanged || plan.key != Change::Unchanged,
                ),
                Err(error) if matches!(error.problem, Problem::KeyRevoked) => (true, true),
                Err(error) => return Err(error.into()),
            },
            _ => (key.is_none(), true),
        };

        let mut lines = Vec::new();
        if db.is_none() {
            lines.push(format!("database {}", self.site.database.display()));
        }
        let mut all = self.lines(&slot, gateway.as_ref(), false).into_iter();
        lines.extend(all.next().filter(|_| new_key));
        lines.extend(all.next().filter(|_| new_rows));
        lines.extend(all);
        if let Some(db) = &db
            && self.may_revoke(db, digest.as_ref(), &slot)?
        {
            let old = db.active_keys(&slot.id)?;
            let keep = digest.map(|digest| digest.hash);
            let old = old.iter().filter(|old| Some(&old.hash) != keep.as_ref());
            lines.extend(old.map(|old| format!("service key {} ({}) revoked", old.prefix, old.id)));
        }
        site::print_dry_run(out, self.args.output.json, self.site.namespace(), self.slug(), &lines)?;
        Ok(ExitCode::Ok)
    }

    /// What becomes of so many keys that are in force beside the one in the file.
    fn of_other_keys(&self, count: usize) -> Option<String> {
        let plural = if count == 1 { "" } else { "s" };
        let others = format!("{count} other active key{plural} of this service");
        let told = match self.args.revoke_old {
            false => format!("{others}: --revoke-old revokes what is not in the key file"),
            true => format!(
                "{others} not revoked, as nobody was seen using the one in the key file, and the Sigilum gateway may have \
                 another: run this command again when it is in use, or for a new key at once: {}",
                options::rotate_key(self.slug(), " --now", &self.args.common)
            ),
        };
        (count > 0).then_some(told)
    }

    fn report(
        &self,
        db: &LocalDb,
        registered: &Registered,
        key: &Key,
        gateway: Option<(GatewayReport, Vec<String>)>,
        revoked: bool,
    ) -> Result<AddReport> {
        let slot = db.slot(self.site.namespace(), self.slug())?;
        let reveal = self.args.secret.reveal.reveal_secrets;
        let unfinished = self.site.workspace.key(&report::next_stem(&slot))?;
        let unfinished = unfinished.map(|next| KeyDigest::of(&next).hash);
        let other_keys: Vec<ApiKey> = registered
            .other_keys
            .iter()
            .filter(|other| Some(&other.hash) != unfinished.as_ref())
            .cloned()
            .collect();
        let mut notes = Vec::new();
        if unfinished.is_some() {
            let command = options::rotate_key(self.slug(), "", &self.args.common);
            notes.push(format!(
                "a rotation of the service key is not finished; to go on with it: {command}"
            ));
        }
        notes.extend(self.of_other_keys(other_keys.len()).filter(|_| !revoked));
        let gateway = gateway.map(|(gateway, told)| {
            notes.extend(told);
            gateway
        });
        let kind = self.kind_of(&slot);
        let service = slot.service;
        if kind != self.kind() {
            notes.push("its connection at the Sigilum gateway was not looked at; --mode gateway does that".to_owned());
        }
        Ok(AddReport {
            namespace: self.site.namespace().to_owned(),
            owner_email: registered.owner.email.clone(),
            service_slug: self.slug().to_owned(),
            service_name: service.as_ref().map(|service| service.name.clone()).unwrap_or_default(),
            domain: service.as_ref().and_then(|service| service.domain.clone()),
            description: service.as_ref().and_then(|service| service.description.clone()),
            mode: match kind {
                ServiceKind::Native => "native",
                ServiceKind::Gateway => "gateway",
            },
            service_id: registered.service_id.clone(),
            service: report::change(registered.service),
            service_key: report::shown(&key.secret, reveal),
            service_key_state: key.state,
            service_key_file: self.site.workspace.key_file(&slot.file_stem),
            database: self.site.database.clone(),
            other_active_keys: other_keys.iter().map(report::OtherKey::from).collect(),
            other_keys_revoked: revoked,
            gateway,
            notes,
        })
    }
}
