//! `service secret set`: rotate or set the upstream secret of an existing connection, then store it in its file.

use crate::cli::ServiceSecretSetArgs;
use crate::cmd::prompt;
use crate::cmd::service::acts::{Act, ActContext, Acts, Outcome, Source};
use crate::cmd::service::connection::{self, Look};
use crate::cmd::service::options;
use crate::cmd::service::report::{self, GatewayReport};
use crate::cmd::service::site::{self, Site, Steps};
use crate::cmd::service::upstream_secret;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::sigilum::gateway::{Connection, PlanError, Wanted};
use secrecy::SecretString;
use serde::Serialize;
use std::io::Write;

/// What the command did.
#[derive(Serialize)]
struct Report {
    namespace: String,
    service_slug: String,
    gateway: GatewayReport,
    #[serde(serialize_with = "report::as_told")]
    notes: Vec<String>,
}

/// Runs the command.
pub fn run(args: &ServiceSecretSetArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    options::check_slug(args.slug.get())?;
    options::check_secret_key(args.secret.upstream_secret_key.as_deref())?;
    let secret = match upstream_secret::given(&args.secret, env)? {
        Some(secret) => secret,
        None if prompt::may_ask() => upstream_secret::asked()?,
        None => {
            return Err(
                Error::new(ExitCode::Usage, "could not set the upstream secret: none is given")
                    .next("add one of --upstream-secret-env, --upstream-secret-file and --upstream-secret"),
            );
        }
    };
    let site = site::site_of_connection(&args.common, env)?;
    options::warn_of_typed_secrets(Some(&args.secret), &args.common.gateway);
    let namespace = holder(&site, args.slug.get())?;
    let set = Set {
        args,
        site,
        namespace,
        secret,
    };
    set.site.refuse_what_cannot_be_made()?;
    if args.dry_run {
        let (look, batches) = set.plan()?;
        let lines = set.lines(&look, &batches);
        site::print_dry_run(out, args.output.json, &set.namespace, set.slug(), &lines)?;
        return Ok(ExitCode::Ok);
    }
    set.carry_out(out)
}

/// Whose connection the slug names: that of the namespace which had it first. Another namespace that a person named, or
/// that has a service of this slug too, means something else.
fn holder(site: &Site, slug: &str) -> Result<String> {
    let slot = site.read_db()?.slot(site.namespace(), slug)?;
    match slot.taken_by {
        Some(other) if site.owner.namespace.origin.is_said() || slot.service.is_some() => {
            Err(report::taken(slug, &other, false))
        }
        Some(other) => Ok(other),
        None => Ok(site.namespace().to_owned()),
    }
}

struct Set<'a> {
    args: &'a ServiceSecretSetArgs,
    site: Site,
    /// Whose connection it is.
    namespace: String,
    secret: SecretString,
}

impl Set<'_> {
    fn slug(&self) -> &str {
        self.args.slug.get()
    }

    fn key(&self) -> Option<&str> {
        self.args.secret.upstream_secret_key.as_deref().map(str::trim)
    }

    /// An interrupted re-creation is finished first, with the new secret if it is meant for the connection's own key.
    fn plan(&self) -> Result<(Look, [Acts; 2])> {
        let look = match connection::look(&self.site, self.slug()) {
            Err(error) if error.code == ExitCode::Unreachable && self.is_native()? => return Err(self.native()),
            look => look?,
        };
        let wanted = Wanted {
            id: self.slug().to_owned(),
            ..Wanted::default()
        };
        let batches = match (&look.existing, &look.journal) {
            (None, None) if self.is_native()? => return Err(self.native()),
            (None, None) => return Err(self.unknown(&look)),
            (None, Some(journal)) => {
                let in_use = journal.new.auth_secret_key.clone();
                let key = self.key().unwrap_or(&in_use).to_owned();
                let own = key == in_use;
                let finish = look.finish(&wanted, own.then_some(&self.secret))?;
                let rotate = if own { Acts::none() } else { self.rotate(key, false) };
                [finish, rotate]
            }
            (Some(existing), _) => {
                let key = self.key_of(existing)?;
                let own = key == existing.auth_secret_key;
                let mut rotate = self.rotate(key, own);
                // Of a re-creation that deleted nothing: our file has the secret of this key now, not of the journal's.
                if own && look.untouched() {
                    rotate.list.push(Act::DropJournal);
                }
                [look.finish(&wanted, None)?, rotate]
            }
        };
        let [finish, rotate] = batches.map(|acts| acts.without_doubled(look.existing.as_ref()));
        Ok((look, [finish?, rotate?]))
    }

    /// The key under which the secret goes.
    fn key_of(&self, existing: &Connection) -> Result<String> {
        let own = &existing.auth_secret_key;
        let key = self.key().unwrap_or(own);
        if key.is_empty() {
            return Err(connection::explain(&PlanError::NoKey, self.slug()));
        }
        if key != own
            && let Some(why) = connection::secret_not_set(existing)
        {
            return Err(Error::new(
                ExitCode::SecretOrDatabase,
                format!(
                    "could not set the secret {key} of {}: the gateway takes the connection's own first",
                    self.slug()
                ),
            )
            .next(why));
        }
        Ok(key.to_owned())
    }

    fn rotate(&self, key: String, own: bool) -> Acts {
        let mut acts = Acts {
            list: vec![Act::Rotate(key)],
            secret: Some((self.secret.clone(), Source::Given)),
            notes: Vec::new(),
        };
        if own {
            acts.list.push(Act::StoreSecret);
        } else {
            acts.notes.push(format!(
                "stored in no file: {} keeps the secret of the key that the connection sends",
                self.site.workspace.upstream_secret_file(self.slug()).display()
            ));
        }
        acts
    }

    fn is_native(&self) -> Result<bool> {
        let slot = self.site.read_db()?.slot(&self.namespace, self.slug())?;
        Ok(connection::is_native(&self.site, &slot))
    }

    fn native(&self) -> Error {
        let what = format!(
            "could not set the upstream secret: {} {}; only the Sigilum gateway sends secrets to an upstream",
            self.slug(),
            connection::IS_NATIVE
        );
        let whose = match self.namespace == self.site.namespace() {
            true => String::new(),
            false => format!(" --namespace {}", self.namespace),
        };
        let rotate = options::rotate_key(self.slug(), &whose, &self.args.common);
        Error::new(ExitCode::Usage, what).next(format!("a new API key for it: {rotate}"))
    }

    fn unknown(&self, look: &Look) -> Error {
        Error::new(
            ExitCode::Failure,
            format!(
                "could not set the secret: {} has no connection {}",
                look.gateway.place(),
                self.slug()
            ),
        )
        .next(options::add_connection(self.slug(), &self.args.common))
    }

    fn lines(&self, look: &Look, batches: &[Acts]) -> Vec<String> {
        batches.iter().flat_map(|acts| acts.lines(&self.site, look)).collect()
    }

    fn carry_out(&self, out: &mut dyn Write) -> Result<ExitCode> {
        let (lock, (look, batches)) = self.site.locked(|| self.plan())?;
        if batches.iter().any(|acts| acts.shows_secret(&look.gateway)) {
            report::warn_of_cli();
        }
        let mut steps = Steps::new(self.lines(&look, &batches));
        let mut outcome = Outcome::new(&look);
        let at = ActContext {
            site: &self.site,
            look: &look,
            service_key: None,
        };
        for acts in &batches {
            acts.perform(&at, &mut steps, &mut outcome)?;
        }
        drop(lock);

        let [finish, rotate] = &batches;
        let acts = if rotate.list.is_empty() { finish } else { rotate };
        let gateway = GatewayReport::new(&at, acts, &outcome, self.args.secret.reveal.reveal_secrets);
        let mut notes: Vec<String> = finish.notes.iter().chain(&rotate.notes).cloned().collect();
        notes.extend(gateway.notes(&Wanted::default()));
        let done = Report {
            namespace: self.namespace.clone(),
            service_slug: self.slug().to_owned(),
            gateway,
            notes,
        };
        report::print(&done, out, self.args.output.json)
    }
}

impl report::Report for Report {
    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn title(&self) -> String {
        let did = if self.gateway.actions.is_empty() {
            "the Sigilum gateway already had this secret"
        } else {
            "secret set"
        };
        format!("Service {} of {}: {did}", self.service_slug, self.namespace)
    }

    fn rows(&self) -> Vec<Vec<String>> {
        self.gateway.rows()
    }
}
