//! A Sigilum source checkout: its database file, its JWT secret, its migrations.
//!
//! Formats: wrangler's `wrangler.toml` and `.dev.vars`, miniflare's naming of D1 database files. What is read here is
//! run (migrations) and trusted (the signing secret), so a checkout that others could change is refused.

use super::dev_vars;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// `apps/api` of a checkout, where everything that concerns the local API lies.
const API: &str = "apps/api";
const SIZE_CAP: u64 = 1024 * 1024;

/// A Sigilum source checkout that only its owner can change.
#[derive(Debug, Clone)]
pub struct Checkout {
    root: PathBuf,
    wrangler: PathBuf,
    trusted: Trusted,
}

/// One migration of a checkout: `apps/api/migrations/<name>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// The file name, as `d1_migrations` records it.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
}

/// Whose files are believed: the person's own, root's, and, for root, those of the OpenClaw home's owner.
#[derive(Debug, Clone, Copy)]
struct Trusted {
    /// We and root.
    us: Option<u32>,
    person: Option<u32>,
}

impl Checkout {
    /// Opens the checkout at `root`.
    ///
    /// `openclaw_home` matters to root alone: working on a person's home, root believes that person's checkout too.
    ///
    /// # Errors
    /// No `apps/api/wrangler.toml(.example)` there; or the checkout, or what leads to it, can be changed by others: a
    /// folder or file of ours to read is world-writable or someone else's, or a folder above is world-writable and
    /// not sticky.
    pub fn open(root: &Path, openclaw_home: &Path) -> Result<Self> {
        Self::open_trusting(root, Trusted::now(openclaw_home))
    }

    /// The same for a checkout of which all must belong to this user: one that the record of another user's home names.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_of(root: &Path, uid: u32) -> Result<Self> {
        let person = Some(uid);
        Self::open_trusting(root, Trusted { us: None, person })
    }

    fn open_trusting(root: &Path, trusted: Trusted) -> Result<Self> {
        let root = root.canonicalize().map_err(|error| {
            Error::new(
                ExitCode::SecretOrDatabase,
                format!("could not open the Sigilum checkout: {}", root.display()),
            )
            .because(error)
            .next("name one that is there with --source-home")
        })?;
        let Some(wrangler) = wrangler_file(&root) else {
            return Err(Error::new(
                ExitCode::SecretOrDatabase,
                format!(
                    "could not find apps/api/wrangler.toml in the Sigilum checkout: {}",
                    root.display()
                ),
            )
            .next("give the folder of a Sigilum source checkout with --source-home"));
        };
        let checkout = Self {
            trusted,
            root,
            wrangler,
        };
        checkout.refuse_open_ancestors()?;
        for folder in ["", "apps", API] {
            checkout.check(&checkout.root.join(folder))?;
        }
        checkout.check(&checkout.wrangler)?;
        Ok(checkout)
    }

    /// The checkout's folder, absolute, symbolic links resolved.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `apps/api/.dev.vars`, where wrangler keeps the local API's variables.
    pub fn dev_vars(&self) -> PathBuf {
        self.root.join(API).join(".dev.vars")
    }

    /// The local API's database file, whether it exists or not.
    ///
    /// # Errors
    /// `wrangler.toml` cannot be read, or names no database for the API; the database, or a folder on the way to it,
    /// can be changed by others.
    pub fn api_db(&self) -> Result<PathBuf> {
        let what = || format!("could not find the API's database in: {}", self.wrangler.display());
        let text = self.read(&self.wrangler)?.unwrap_or_default();
        let name = d1_name(&text)
            .map_err(|reason| Error::new(ExitCode::SecretOrDatabase, what()).because(anyhow::anyhow!(reason)))
            .map_err(|error| error.next("name the API's database with --api-db"))?;
        let mut path = self.root.join(API);
        for part in [".wrangler", "state", "v3", "d1", "miniflare-D1DatabaseObject"] {
            path.push(part);
            self.check_if_there(&path)?;
        }
        path.push(format!("{}.sqlite", d1_file_id(&name)));
        self.check_if_there(&path)?;
        Ok(path)
    }

    /// `JWT_SECRET` of `.dev.vars`; `None` where there is no such file, no such line, or the value is empty.
    pub fn jwt_secret(&self) -> Result<Option<SecretString>> {
        let text = self.read(&self.dev_vars())?.unwrap_or_default();
        Ok(dev_vars::get(&text, "JWT_SECRET")
            .filter(|value| !value.is_empty())
            .map(SecretString::from))
    }

    /// Where the checkout's scripts let the Sigilum gateway keep its data, if it has any there.
    ///
    /// # Errors
    /// It can be changed by others.
    pub fn gateway_data(&self) -> Result<Option<PathBuf>> {
        self.local("gateway-data", "")
    }

    /// The Sigilum gateway's CLI as the checkout's scripts build it, if they have.
    ///
    /// # Errors
    /// It can be changed by others.
    pub fn gateway_cli(&self) -> Result<Option<PathBuf>> {
        self.local("bin", "sigilum-gateway-cli")
    }

    /// What the checkout's scripts make: `.local/<folder>/<name>`.
    fn local(&self, folder: &str, name: &str) -> Result<Option<PathBuf>> {
        let mut path = self.root.clone();
        for part in [".local", folder, name].into_iter().filter(|part| !part.is_empty()) {
            path.push(part);
            if !path.exists() {
                return Ok(None);
            }
            self.check(&path)?;
        }
        Ok(Some(path))
    }

    /// The checkout's migrations, in the order in which they are to run.
    ///
    /// # Errors
    /// There is no folder of them, or it can be changed by others.
    pub fn migrations(&self) -> Result<Vec<Migration>> {
        let folder = self.migrations_folder();
        let fail = |error: std::io::Error| self.no_migrations(error.into());
        if !folder.exists() {
            return Err(fail(std::io::ErrorKind::NotFound.into()));
        }
        self.check(&folder)?;
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .filter(|name| name.ends_with(".sql"));
            if let Some(name) = name {
                found.push(Migration {
                    name: name.to_owned(),
                    path: path.clone(),
                });
            }
        }
        found.sort_by(|a, b| (number(&a.name), &a.name).cmp(&(number(&b.name), &b.name)));
        Ok(found)
    }

    /// Refuses a checkout whose migrations can make no database.
    ///
    /// # Errors
    /// As [`Self::migrations`], or there is none.
    pub fn refuse_without_migrations(&self) -> Result<()> {
        match self.migrations()?.is_empty() {
            true => Err(self.no_migrations(anyhow::Error::msg("there is no .sql file in it"))),
            false => Ok(()),
        }
    }

    fn migrations_folder(&self) -> PathBuf {
        self.root.join(API).join("migrations")
    }

    fn no_migrations(&self, why: anyhow::Error) -> Error {
        let folder = self.migrations_folder();
        let what = format!("could not read the checkout's migrations: {}", folder.display());
        Error::new(ExitCode::SecretOrDatabase, what).because(why).next(format!(
            "see whether the checkout is whole: git -C {} status",
            fs::quoted(&self.root)
        ))
    }

    /// The text of one of the checkout's files, which must be as private as the checkout is; `None`: no such file.
    ///
    /// # Errors
    /// The file can be changed by others, is no regular file, is over 1 MiB, or is not UTF-8.
    pub fn read(&self, path: &Path) -> Result<Option<String>> {
        let fail = |reason: &str| {
            Error::new(
                ExitCode::SecretOrDatabase,
                format!("could not read the checkout's file: {}", path.display()),
            )
            .because(anyhow::anyhow!(reason.to_owned()))
        };
        match std::fs::metadata(path) {
            Ok(about) if !about.is_file() => return Err(fail("it is not a regular file")),
            Ok(about) => self.believe(path, &about)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(&error.to_string())),
        }
        let Some(bytes) = fs::read_capped(path, SIZE_CAP)? else {
            return Ok(None);
        };
        String::from_utf8(bytes).map(Some).map_err(|_| fail("it is not UTF-8"))
    }

    fn check(&self, path: &Path) -> Result<()> {
        let about = std::fs::metadata(path).map_err(|error| {
            Error::new(
                ExitCode::SecretOrDatabase,
                format!("could not read the Sigilum checkout: {}", path.display()),
            )
            .because(error)
        })?;
        self.believe(path, &about)
    }

    fn check_if_there(&self, path: &Path) -> Result<()> {
        if path.symlink_metadata().is_err() {
            return Ok(());
        }
        self.check(path)
    }

    fn believe(&self, path: &Path, about: &Metadata) -> Result<()> {
        if !self.trusted.owns(about.uid()) {
            let reason = format!("it belongs to another user (uid {})", about.uid());
            let next = "name a checkout of your own with --source-home".to_owned();
            return Err(self.refused(path, &reason, next));
        }
        if world_writable(about) {
            let next = format!("look at what is in it, then: chmod -R o-w {}", fs::quoted(&self.root));
            return Err(self.refused(path, "everybody may write to it", next));
        }
        Ok(())
    }

    /// Above the checkout only one thing matters: nobody else may put another folder in its place.
    fn refuse_open_ancestors(&self) -> Result<()> {
        const STICKY: u32 = 0o1000;
        for folder in self.root.ancestors().skip(1) {
            let Ok(about) = std::fs::metadata(folder) else { continue };
            if world_writable(&about) && about.permissions().mode() & STICKY == 0 {
                let next = format!("look at what is in it, then: chmod o-w {}", fs::quoted(folder));
                return Err(self.refused(folder, "everybody may replace what is in it", next));
            }
        }
        Ok(())
    }

    fn refused(&self, path: &Path, reason: &str, next: String) -> Error {
        Error::new(
            ExitCode::SecretOrDatabase,
            format!(
                "refused to use the Sigilum checkout {}: {}: {reason}",
                self.root.display(),
                path.display()
            ),
        )
        .next(next)
    }
}

impl Trusted {
    fn now(openclaw_home: &Path) -> Self {
        let me = rustix::process::geteuid().as_raw();
        let person = (me == 0)
            .then(|| {
                openclaw_home
                    .ancestors()
                    .find_map(|folder| std::fs::metadata(folder).ok())
            })
            .flatten()
            .map(|about| about.uid());
        Self { us: Some(me), person }
    }

    fn owns(self, uid: u32) -> bool {
        self.us.is_some_and(|me| uid == me || uid == 0) || self.person == Some(uid)
    }
}

fn world_writable(about: &Metadata) -> bool {
    about.permissions().mode() & 0o002 != 0
}

/// The nearest folder at or above `from` that looks like a Sigilum source checkout. It is not checked yet:
/// [`Checkout::open`] does that.
pub fn find_upward(from: &Path) -> Option<PathBuf> {
    from.ancestors()
        .find(|folder| wrangler_file(folder).is_some())
        .map(Path::to_owned)
}

fn wrangler_file(root: &Path) -> Option<PathBuf> {
    ["wrangler.toml", "wrangler.toml.example"]
        .into_iter()
        .map(|name| root.join(API).join(name))
        .find(|path| path.is_file())
}

/// The leading number of a migration's file name; those without one come last.
fn number(name: &str) -> u64 {
    let digits = name.bytes().take_while(u8::is_ascii_digit).count();
    name[..digits].parse().unwrap_or(u64::MAX)
}

/// The name that miniflare's database file is derived from: of the `[[d1_databases]]` whose `database_name` is
/// `sigilum-api` (else: whose `binding` is `DB`), the `preview_database_id`, else `database_id`, else `binding`.
/// `[env.X]` blocks do not count.
///
/// # Errors
/// A sentence for a person: the TOML error with its line, or that there is no such database.
pub fn d1_name(wrangler_toml: &str) -> Result<String, String> {
    let table: toml::Table = wrangler_toml.parse().map_err(|error: toml::de::Error| {
        let line = error
            .span()
            .map_or(1, |span| 1 + wrangler_toml[..span.start].matches('\n').count());
        format!("line {line}: {}", error.message())
    })?;
    let databases: Vec<&toml::Table> = match table.get("d1_databases") {
        Some(toml::Value::Array(all)) => all.iter().filter_map(toml::Value::as_table).collect(),
        _ => Vec::new(),
    };
    let text = |database: &toml::Table, key: &str| database.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let with = |key: &str, value: &str| {
        databases
            .iter()
            .find(|database| text(database, key).as_deref() == Some(value))
    };
    let database = with("database_name", "sigilum-api")
        .or_else(|| with("binding", "DB"))
        .ok_or("it has no [[d1_databases]] with database_name \"sigilum-api\" or binding \"DB\"")?;
    ["preview_database_id", "database_id", "binding"]
        .into_iter()
        .find_map(|key| text(database, key))
        .ok_or_else(|| "its database has neither an id nor a binding".to_owned())
}

/// The file name (without `.sqlite`) that miniflare gives the D1 database of that name: 64 hex digits.
pub fn d1_file_id(name: &str) -> String {
    let key = Sha256::digest("miniflare-D1DatabaseObject");
    let half = |bytes: &[u8]| {
        #[allow(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any key length will do");
        mac.update(bytes);
        let mut half = mac.finalize().into_bytes().to_vec();
        half.truncate(16);
        half
    };
    let first = half(name.as_bytes());
    hex::encode([first.clone(), half(&first)].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_ids_are_miniflares() {
        for (name, id) in [
            (
                "16a7efa1-93c6-4d85-867d-c19faa9dc2bc",
                "4fee7a4c2340aac9e859df89f64a9494981d1e33de9b3064f60a31f7eec991ab",
            ),
            (
                "11111111-2222-3333-4444-555555555555",
                "f023adf8de81e80d62670e09f086149af129cccda34c51f26517069258c53e8c",
            ),
            (
                "preview-xyz",
                "351e2f3131c687614b2e4b1fd26cfdda73e3170fa417a02b022024f195bf1f16",
            ),
            ("DB", "e7352547963de7050bd7d94658afc4fe78b61811b7815da12d90be8e863abf4d"),
        ] {
            assert_eq!(d1_file_id(name), id, "{name}");
        }
    }

    #[test]
    fn the_database_of_a_wrangler_toml() {
        let ids = "[[d1_databases]]\nbinding = \"DB\"\ndatabase_name = \"sigilum-api\"\n";
        for (case, text, name) in [
            ("id", format!("{ids}database_id = \"abc\""), Ok("abc")),
            (
                "preview wins",
                format!("{ids}database_id = \"abc\"\npreview_database_id = \"preview-xyz\""),
                Ok("preview-xyz"),
            ),
            ("no ids", ids.to_owned(), Ok("DB")),
            (
                "by binding",
                "d1_databases = [{ binding = \"DB\", database_id = \"x\" }]".to_owned(),
                Ok("x"),
            ),
            (
                "the name before the binding",
                format!("[[d1_databases]]\nbinding = \"DB\"\ndatabase_id = \"other\"\n{ids}database_id = \"abc\""),
                Ok("abc"),
            ),
            (
                "environments do not count",
                format!(
                    "{ids}database_id = \"abc\"\n[[env.production.d1_databases]]\nbinding = \"DB\"\ndatabase_name = \"sigilum-api\"\ndatabase_id = \"prod\""
                ),
                Ok("abc"),
            ),
            (
                "only in an environment",
                "[[env.production.d1_databases]]\nbinding = \"DB\"".to_owned(),
                Err("it has no [[d1_databases]] with database_name \"sigilum-api\" or binding \"DB\""),
            ),
            ("not TOML", "name = \"x\"\nbroken".to_owned(), Err("line 2: ")),
        ] {
            match (d1_name(&text), name) {
                (Ok(found), Ok(name)) => assert_eq!(found, name, "{case}"),
                (Err(found), Err(start)) => assert!(found.starts_with(start), "{case}: {found}"),
                (found, _) => panic!("{case}: {found:?}"),
            }
        }
    }

    #[test]
    fn migrations_go_by_their_numbers() {
        let mut names = ["0010_b.sql", "9_a.sql", "0002_c.sql", "no_number.sql", "0010_a.sql"];
        names.sort_by_key(|name| (number(name), name.to_owned()));
        assert_eq!(
            names,
            ["0002_c.sql", "9_a.sql", "0010_a.sql", "0010_b.sql", "no_number.sql"]
        );
    }
}
