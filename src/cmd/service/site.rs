//! What the service commands share: where things are, and a run of steps that says how far it came.

use crate::cli::{GatewayArgs, ServiceArgs};
use crate::cmd::context::{self, place};
use crate::cmd::gateway;
use crate::cmd::output;
use crate::cmd::owner;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result, then_again};
use crate::fs::{self, FileLock};
use crate::home::OpenClawHome;
use crate::mode::Mode;
use crate::origin::Origin;
use crate::process::child::find_on_path;
use crate::settings::{self, Owner, OwnerQuery};
use crate::sigilum::checkout::Checkout;
use crate::sigilum::gateway::{DEFAULT_ADMIN_URL, Target};
use crate::sigilum::http::{self, LoopbackTrust};
use crate::sigilum::local_db::{DbError, LocalDb, Problem};
use crate::sigilum::secrets::Workspace;
use secrecy::SecretString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a command waits for another one that works in the same folder: the gateway may take its 30 s for each of
/// its requests.
const PATIENCE: Duration = Duration::from_secs(60);

/// The master key of a gateway that the scripts of a checkout start, where nobody chose one.
const SCRIPTS_MASTER_KEY: &str = "sigilum-local-dev-master-key";

/// Where a service command works.
pub(super) struct Site {
    place: OpenClawHome,
    pub owner: Owner,
    pub checkout: Option<Checkout>,
    /// The local API's database.
    pub database: PathBuf,
    /// The folder of key and secret files.
    pub workspace: Workspace,
    /// Whether that folder was named as the Sigilum gateway's own home.
    pub gateway_home: bool,
    pub target: Target,
    pub http: http::Options,
}

/// Finds out where a command works, and checks what can be checked without a file or network. A mode of Sigilum
/// (`SIGILUM_MODE`) means nothing here: services live in the local API's database.
pub(super) fn site(common: &ServiceArgs, email: Option<&str>, env: &Env) -> Result<Site> {
    find(common, email, env, |query, place| {
        owner::owner(query, env, place, false)
    })
}

/// The same for a command that names a connection, whosever it is: a namespace that is a guess is no matter.
pub(super) fn site_of_connection(common: &ServiceArgs, env: &Env) -> Result<Site> {
    find(common, None, env, |query, place| settings::owner(&query, env, place))
}

fn find(
    common: &ServiceArgs,
    email: Option<&str>,
    env: &Env,
    owner_of: impl FnOnce(OwnerQuery<'_>, &OpenClawHome) -> Result<Owner>,
) -> Result<Site> {
    let place = place(&common.place, env)?;
    let entry_env = || context::entry_env(&place);
    let query = OwnerQuery {
        mode: Some(Mode::OssLocal),
        namespace: common.namespace.as_deref(),
        source_home: common.local_api.source_home.as_deref(),
        api_db: common.local_api.api_db.as_deref(),
        email,
        entry_env: Some(&entry_env),
        ..OwnerQuery::default()
    };
    let mut owner = owner_of(query, &place)?;
    owner::agree_on_checkout(&mut owner, &place)?;
    let checkout = owner.checkout(&place)?;
    let database = match (&owner.api_db, &checkout) {
        (Some(named), _) => named.value.clone(),
        (None, Some(checkout)) => checkout.api_db()?,
        // Our own, which outlives the record of the login that made it.
        (None, None) if place.embedded_db().exists() => place.embedded_db(),
        (None, None) => {
            return Err(Error::new(
                ExitCode::SecretOrDatabase,
                "could not find the local API's database: no Sigilum checkout and no database is named",
            )
            .next("give --source-home <Sigilum checkout>, or --api-db <file> (SIGILUM_SOURCE_HOME, SIGILUM_API_DB)"));
        }
    };
    let workspace = Workspace::find(env, checkout.as_ref().map(Checkout::root), &place.home)?;
    Ok(Site {
        gateway_home: env.named_path("GATEWAY_SIGILUM_HOME").is_some(),
        target: Target {
            trust: gateway::trust(&owner, &place),
            how_to_trust: gateway::how_to_trust(&owner, &place),
            ..target(&common.gateway, env, checkout.as_ref())
        },
        http: http::Options::from_env(env),
        place,
        owner,
        checkout,
        database,
        workspace,
    })
}

impl Site {
    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.owner.namespace.value
    }

    /// Keeps other commands of ours out of the folder of key and secret files; `None` where there is no such folder.
    pub fn lock(&self) -> Result<Option<FileLock>> {
        let folder = self.workspace.dir();
        if !folder.exists() {
            return Ok(None);
        }
        let lock = FileLock::acquire(&self.workspace.lock_file(), None, PATIENCE)?;
        fs::mend(folder, Workspace::is_secret)?;
        Ok(Some(lock))
    }

    /// Looks with our lock held, so that what is seen still holds when it is acted upon. Where there is no folder to lock
    /// in, it is made after a first look that found nothing to refuse.
    pub fn locked<T>(&self, mut look: impl FnMut() -> Result<T>) -> Result<(FileLock, T)> {
        if let Some(lock) = self.lock()? {
            return Ok((lock, look()?));
        }
        look()?;
        let lock = self.make_and_lock()?;
        Ok((lock, look()?))
    }

    /// The database, which must be there.
    pub fn open_db(&self) -> Result<LocalDb> {
        if !self.database.exists() {
            return Err(self.owner.blame_database(DbError {
                path: self.database.clone(),
                problem: Problem::Missing,
            }));
        }
        self.make_db()
    }

    /// The database, for reading.
    pub fn read_db(&self) -> Result<LocalDb> {
        LocalDb::open_read_only(&self.database).map_err(|error| self.owner.blame_database(error))
    }

    /// The database, brought up, and made where there is none.
    pub fn make_db(&self) -> Result<LocalDb> {
        self.make_home_for(&self.database)?;
        let opened = LocalDb::open_or_create(&self.database, self.checkout.as_ref());
        Ok(opened.map_err(|error| self.owner.blame_database(error))?.db)
    }

    /// Refuses what the command itself would be refused, before anything is made: to hide an older OpenClaw home, and to
    /// keep keys where others could replace them, or nothing can be written.
    pub fn refuse_what_cannot_be_made(&self) -> Result<()> {
        if [self.workspace.dir(), &self.database]
            .iter()
            .any(|path| self.is_in_new_home(path))
        {
            fs::refuse_to_lock_sigilum(&self.place)?;
        }
        fs::refuse_to_write_in(self.workspace.dir())
    }

    /// A new home is made as a login makes it, so that an uninstall knows it again.
    fn make_home_for(&self, path: &Path) -> Result<()> {
        if self.is_in_new_home(path) {
            drop(fs::lock_sigilum(&self.place)?);
        }
        Ok(())
    }

    fn is_in_new_home(&self, path: &Path) -> bool {
        path.starts_with(&self.place.home) && !self.place.home.exists()
    }

    /// As [`Self::lock`], in a folder that is made where there is none.
    pub fn make_and_lock(&self) -> Result<FileLock> {
        self.make_home_for(self.workspace.dir())?;
        fs::create_private_dir(self.workspace.dir())?;
        FileLock::acquire(&self.workspace.lock_file(), None, PATIENCE)
    }
}

/// How to reach the Sigilum gateway: flags, then environment, then its default address, and for a stopped one what the
/// scripts of the checkout start it with.
fn target(args: &GatewayArgs, env: &Env, checkout: Option<&Checkout>) -> Target {
    const URL: &str = "GATEWAY_ADMIN_URL";
    let text = |flag: &Option<String>, name: &str| {
        flag.clone()
            .or_else(|| env.var(name).map(str::to_owned))
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    };
    let of_checkout = |find: fn(&Checkout) -> Result<Option<PathBuf>>| match checkout.map(find).transpose() {
        Ok(found) => found.flatten(),
        Err(error) => {
            output::warn(error);
            None
        }
    };
    let data_dir = args
        .gateway_data_dir
        .clone()
        .or_else(|| env.named_path("GATEWAY_DATA_DIR"));
    let scripts_data = data_dir
        .is_none()
        .then(|| of_checkout(Checkout::gateway_data))
        .flatten();
    let master_key = text(&args.gateway_master_key, "GATEWAY_MASTER_KEY");
    let scripts_key = scripts_data.as_ref().map(|_| SCRIPTS_MASTER_KEY.to_owned());
    // One that was typed empty is refused, as the API's is.
    let (admin_url, admin_url_origin) = match (&args.gateway_admin_url, text(&None, URL)) {
        (Some(typed), _) => (typed.trim().to_owned(), Origin::Flag("--gateway-admin-url")),
        (None, Some(url)) => (url, Origin::Env(URL)),
        (None, None) => (DEFAULT_ADMIN_URL.to_owned(), Origin::Default),
    };
    if let Ok(url) = http::check_url(&admin_url, true) {
        let doubts = http::doubts(
            &url,
            "the Sigilum gateway's address",
            "what it is sent",
            &["api", "admin"],
        );
        doubts.iter().for_each(output::warn);
    }
    Target {
        admin_url,
        admin_url_origin,
        admin_token: text(&args.gateway_admin_token, "GATEWAY_ADMIN_TOKEN").map(SecretString::from),
        data_dir: data_dir.or(scripts_data),
        master_key: master_key.or(scripts_key).map(SecretString::from),
        cli: env
            .named_path("SIGILUM_GATEWAY_CLI")
            .or_else(|| find_on_path(env.path("PATH")?.as_os_str(), "sigilum-gateway-cli"))
            .or_else(|| of_checkout(Checkout::gateway_cli)),
        path: env.path("PATH").map(PathBuf::into_os_string),
        trust: LoopbackTrust::Ours,
        how_to_trust: String::new(),
    }
}

/// A run of steps, each with a line for a person. A failure says what is done and what is not.
pub(super) struct Steps {
    lines: Vec<String>,
    done: usize,
}

impl Steps {
    /// Steps to do, in order.
    pub fn new(lines: Vec<String>) -> Self {
        Self { lines, done: 0 }
    }

    /// Does the next step.
    pub fn run<T>(&mut self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        match work() {
            Ok(done) => {
                self.done += 1;
                Ok(done)
            }
            Err(error) => Err(self.stopped(&error)),
        }
    }

    fn stopped(&self, error: &Error) -> Error {
        let (done, open) = self.lines.split_at(self.done);
        let list = |lines: &[String]| match lines {
            [] => " nothing".to_owned(),
            [line] => format!(" {line}"),
            lines => lines.iter().map(|line| format!("\n    - {line}")).collect(),
        };
        let what = error.text();
        let what = format!("{what}\n  done:{}\n  not done:{}", list(done), list(open));
        Error::new(error.code, what).next(match error.step() {
            Some(step) => then_again(step, "run the same command again, which finishes the job"),
            None => "run the same command again: it finishes the job".to_owned(),
        })
    }
}

/// Prints the steps of a dry run.
pub(super) fn print_dry_run(
    out: &mut dyn Write,
    json: bool,
    namespace: &str,
    slug: &str,
    lines: &[String],
) -> Result<()> {
    if json {
        let report = serde_json::json!({
            "namespace": namespace, "service_slug": slug, "dry_run": true, "steps": lines,
        });
        return output::write_json(out, &report);
    }
    if lines.is_empty() {
        return output::write_line(out, "Nothing to do.");
    }
    output::write_line(out, "Would do, in this order:")?;
    lines
        .iter()
        .try_for_each(|line| output::write_line(out, format_args!("  - {line}")))
}
