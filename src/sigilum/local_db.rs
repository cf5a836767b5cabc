//! The local Sigilum API's SQLite database: wrangler's file or our own.
//!
//! The API may run beside us and does not wait for locks, so a write transaction here is as short as can be: what to
//! write is found out before it begins, and where nothing is to be written none begins.

mod owners;
mod register;
mod requests;
mod schema;
mod services;

pub use owners::OwnerRow;
pub use register::{Change, NewService, Registered};
pub use services::{ApiKey, KeyDigest, KeyState, Service, ServiceKind, Slot};

use super::checkout::Checkout;
use crate::error::{Error, ExitCode};
use crate::fs;
use crate::process::waiting;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a lock of another process is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// An open local API database.
#[derive(Debug)]
pub struct LocalDb {
    conn: Connection,
    path: PathBuf,
    wrote: bool,
}

/// A database opened for writing, and what had to be done for that.
#[derive(Debug)]
pub struct Opened {
    /// The database.
    pub db: LocalDb,
    /// Whether the file was made, or found empty.
    pub created: bool,
    /// How many of the checkout's migrations ran.
    pub migrated: usize,
}

/// A failed use of the database: which, and why.
#[derive(Debug, thiserror::Error)]
#[error("could not use the local API database: {}: {problem}", path.display())]
pub struct DbError {
    /// The database file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What can be wrong with a database, or with what is asked of it.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// There is no such file.
    #[error("there is no such file")]
    Missing,
    /// It holds other tables than the Sigilum API's, or is no SQLite database.
    #[error("it is not a database of the Sigilum API")]
    NotSigilum,
    /// It lacks a table or column that we need; the text is SQLite's.
    #[error("it is older than this program knows, migrations are missing ({0})")]
    OldSchema(String),
    /// Another process held a lock for all of the time that we wait: 5 seconds, or less where a caller waits less.
    #[error("another process kept it locked")]
    Busy,
    /// A migration of the checkout failed and left nothing behind.
    #[error("the migration {name} failed: {reason}")]
    Migration {
        /// The migration's file name.
        name: String,
        /// SQLite's words.
        reason: String,
    },
    /// The e-mail of a new owner is another owner's.
    #[error("the e-mail {email} belongs to the namespace {namespace}")]
    EmailTaken {
        /// The e-mail.
        email: String,
        /// Who has it.
        namespace: String,
    },
    /// The row id of a new owner is another owner's.
    #[error("the user id {0} belongs to another namespace")]
    UserIdTaken(String),
    /// Another namespace took the slug meanwhile.
    #[error("another namespace has just taken the service slug {0}")]
    SlugTaken(String),
    /// The service key was revoked: a new one must be made.
    #[error("the service key in its file was revoked")]
    KeyRevoked,
    /// The service key is in use for another service.
    #[error("the service key in its file belongs to another service")]
    KeyOfAnother,
    /// It is no file that SQLite may open.
    #[error("it is {0}")]
    NoFile(&'static str),
    /// There is no room for what is written.
    #[error("the disk is full")]
    Full,
    /// A limit or a disk was in the way; the text is SQLite's.
    #[error("a read or a write failed: {0}")]
    Io(String),
    /// It is not whole; the text is SQLite's.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// It is another user's, or on a file system that is only read.
    #[error("it cannot be written")]
    ReadOnly,
    /// Something around the database failed: a folder, a checkout's file.
    #[error(transparent)]
    Around(Error),
    /// Any other failure; the text is SQLite's.
    #[error("{0}")]
    Sqlite(String),
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Self {
        let text = sqlite_words(&error);
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::NotADatabase) => Self::NotSigilum,
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::SystemIoFailure) => Self::Io(text),
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged(text),
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            _ if text.starts_with("no such table") || text.starts_with("no such column") => Self::OldSchema(text),
            _ => Self::Sqlite(text),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Around(error)
    }
}

/// SQLite's message without the statement that it concerns.
fn sqlite_words(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

impl From<DbError> for Error {
    fn from(error: DbError) -> Self {
        let code = match &error.problem {
            Problem::EmailTaken { .. } => ExitCode::Usage,
            _ => ExitCode::SecretOrDatabase,
        };
        let failed = Self::new(code, error.to_string());
        let next = error.step();
        match (error.problem, next) {
            (Problem::Around(inner), _) => inner,
            (_, Some(next)) => failed.next(next),
            (_, None) => failed,
        }
    }
}

impl DbError {
    /// What a person can do about it.
    fn step(&self) -> Option<String> {
        let step = match &self.problem {
            Problem::Missing => "sigilum-authz-notify auth login --mode oss-local",
            Problem::OldSchema(_) => {
                "sigilum-authz-notify auth login --mode oss-local --source-home <Sigilum checkout>"
            }
            Problem::NotSigilum | Problem::NoFile(_) | Problem::Damaged(_) if self.is_ours() => {
                return Some(self.begin_anew());
            }
            Problem::NotSigilum | Problem::NoFile(_) => "name the API's database with --api-db",
            Problem::Damaged(_) => "put a copy of it in its place that is whole",
            Problem::Full => "free some disk space, and run the command again",
            Problem::Io(_) => {
                "see whether the disk is full (df) or files have a limit (ulimit -f), and run the command again"
            }
            Problem::Busy | Problem::SlugTaken(_) => "run the command again",
            Problem::Migration { .. } => "see whether the checkout is whole, with git status in it",
            Problem::EmailTaken { .. } => "give another one with --email",
            Problem::KeyRevoked | Problem::KeyOfAnother => {
                "move the file service-api-key-… of the service away, and run the command again"
            }
            Problem::ReadOnly => match fs::own_mode_to_write(&self.path) {
                Some(step) => return Some(step),
                None => "run the command as the user whom the file and its folder belong to",
            },
            Problem::UserIdTaken(_) | Problem::Sqlite(_) | Problem::Around(_) => {
                return fs::own_mode_to_write(&self.path);
            }
        };
        Some(step.to_owned())
    }

    /// Whether it is a home's own, which nothing else uses.
    pub fn is_ours(&self) -> bool {
        folder_of(&self.path).file_name().is_some_and(|name| name == ".sigilum")
    }

    fn begin_anew(&self) -> String {
        let aside = with_suffix(&self.path, ".damaged");
        let (path, aside) = (fs::quoted(&self.path), fs::quoted(&aside));
        format!("mv {path} {aside} && sigilum-authz-notify auth login --mode oss-local")
    }
}

impl LocalDb {
    /// Opens the database for writing, makes it where there is none, and brings its schema up.
    ///
    /// With a checkout, the checkout's migrations that are not recorded yet run, each in its own transaction. Without
    /// one, a new or empty file gets our own schema, and a file with the API's tables is used as it is.
    ///
    /// A new file is 0600 in 0700 folders, of the enclosing folder's owner; WAL mode.
    ///
    /// # Errors
    /// The file or its folders cannot be made or are unsafe, it holds something else, a migration fails, or it stays
    /// locked for 5 s.
    pub fn open_or_create(path: &Path, checkout: Option<&Checkout>) -> Result<Opened, DbError> {
        let at = |problem| DbError {
            path: path.to_owned(),
            problem,
        };
        let made = create_file(path, checkout).map_err(at)?;
        let mut db = Self {
            conn: connect(path).map_err(at)?,
            path: path.to_owned(),
            wrote: false,
        };
        let (created, migrated) = match db.bring_up(checkout) {
            Ok(done) => done,
            Err(problem) => {
                let failed = at(problem);
                // Of our own we leave no beginning, which nobody else has opened; an API may have opened its own.
                if made && failed.is_ours() {
                    drop(db);
                    for file in Self::files(path) {
                        let _ = fs::remove(&file);
                    }
                }
                return Err(failed);
            }
        };
        Ok(Opened {
            db,
            created: created || made,
            migrated,
        })
    }

    fn bring_up(&mut self, checkout: Option<&Checkout>) -> Result<(bool, usize), Problem> {
        // With synchronous=NORMAL a commit holds the lock without waiting for the disk; `close` waits afterwards.
        self.conn.pragma_update(None, "synchronous", "NORMAL")?;
        let found = schema::look(&self.conn)?;
        if found == schema::Found::Nothing {
            schema::write_ahead(&self.conn, BUSY_TIMEOUT)?;
        }
        match (checkout, found) {
            (Some(checkout), found) => {
                let migrated = schema::migrate(&mut self.conn, checkout)?;
                self.wrote |= migrated > 0;
                Ok((found == schema::Found::Nothing, migrated))
            }
            (None, schema::Found::Nothing) => {
                schema::create(&mut self.conn)?;
                self.wrote = true;
                Ok((true, 0))
            }
            (None, schema::Found::Api) => Ok((false, 0)),
            (None, schema::Found::Other) => Err(Problem::NotSigilum),
        }
    }

    /// Opens an existing database for reading. Nothing is created and nothing migrated.
    ///
    /// # Errors
    /// [`Problem::Missing`] where there is no file; what stands in its way otherwise.
    pub fn open_read_only(path: &Path) -> Result<Self, DbError> {
        Self::open_read_only_within(path, BUSY_TIMEOUT)
    }

    /// The same, but no lock of another process is waited for any longer than that, now or later.
    ///
    /// # Errors
    /// As [`Self::open_read_only`].
    pub fn open_read_only_within(path: &Path, patience: Duration) -> Result<Self, DbError> {
        let open = || {
            if !path.try_exists().is_ok_and(|exists| exists) {
                return Err(Problem::Missing);
            }
            // SQLite's own read-only mode would leave a -wal and a -shm file behind, and needs a folder to put them in.
            let closed = rustix::fs::access(folder_of(path), rustix::fs::Access::WRITE_OK).is_err();
            let conn = match closed && !with_suffix(path, "-wal").exists() {
                true => connect_as(path, true)?,
                false => connect(path)?,
            };
            if patience < BUSY_TIMEOUT {
                conn.busy_timeout(patience)?;
            }
            conn.pragma_update(None, "query_only", true)?;
            match schema::look(&conn)? {
                schema::Found::Api => Ok(conn),
                schema::Found::Nothing | schema::Found::Other => Err(Problem::NotSigilum),
            }
        };
        match open() {
            Ok(conn) => Ok(Self {
                conn,
                path: path.to_owned(),
                wrote: false,
            }),
            Err(problem) => Err(DbError {
                path: path.to_owned(),
                problem,
            }),
        }
    }

    /// Whether a checkout has migrations that have not run here yet.
    ///
    /// # Errors
    /// Where the database or the checkout cannot be read.
    pub fn lacks_migrations(&self, checkout: Option<&Checkout>) -> Result<bool, DbError> {
        let missing = checkout.map(|checkout| schema::missing(&self.conn, checkout));
        self.at(missing
            .transpose()
            .map(|missing| missing.is_some_and(|missing| !missing.is_empty())))
    }

    /// The files that a database consists of: itself, and those beside it while it is open or after a crash. Whoever
    /// removes one must remove all.
    pub fn files(path: &Path) -> [PathBuf; 3] {
        [path.to_owned(), with_suffix(path, "-wal"), with_suffix(path, "-shm")]
    }

    /// Closes the database; afterwards what was written survives a power failure.
    pub fn close(self) -> Result<(), DbError> {
        let Self { conn, path, wrote } = self;
        let close = || {
            conn.close().map_err(|(_, error)| error)?;
            // Closing the last connection has put everything into the main file. If others are left, the -wal file
            // holds it. SQLite locks the main and the -shm file only, so opening this one disturbs nobody.
            if wrote {
                fs::sync_file(&with_suffix(&path, "-wal"))?;
            }
            Ok(())
        };
        close().map_err(|problem| DbError {
            path: path.clone(),
            problem,
        })
    }

    /// Reads everything as it was at one moment, whatever others write between two statements.
    fn read<T>(&self, work: impl FnOnce(&Transaction) -> Result<T, Problem>) -> Result<T, Problem> {
        work(&self.conn.unchecked_transaction()?)
    }

    /// One short write transaction, waiting for other writers.
    fn write<T>(&mut self, work: impl FnOnce(&Transaction) -> Result<T, Problem>) -> Result<T, Problem> {
        let transaction = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&transaction)?;
        transaction.commit()?;
        self.wrote = true;
        Ok(done)
    }

    fn at<T>(&self, result: Result<T, Problem>) -> Result<T, DbError> {
        result.map_err(|problem| DbError {
            path: self.path.clone(),
            problem,
        })
    }
}

/// Makes the file where there is none, private before SQLite sees it: its -wal and -shm take its mode and owner.
fn create_file(path: &Path, checkout: Option<&Checkout>) -> Result<bool, Problem> {
    if std::fs::symlink_metadata(path).is_ok() {
        return Ok(false);
    }
    if let Some(checkout) = checkout {
        // A checkout that cannot make the tables gets no empty file either.
        checkout.refuse_without_migrations()?;
    }
    fs::create_private_dir(folder_of(path))?;
    if checkout.is_none() {
        // A checkout has its own rules for who may write to its folders, and has checked them.
        fs::check_folder(path)?;
    }
    let made = fs::create_private_file(path, b"").map_err(|mut error| {
        // The database is unavailable, whatever kept it from being made.
        error.code = ExitCode::SecretOrDatabase;
        error
    });
    Ok(made?)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn connect(path: &Path) -> Result<Connection, Problem> {
    connect_as(path, false)
}

/// `frozen`: nothing is written, and nothing beside the file is looked for or made: nobody has it open.
fn connect_as(path: &Path, frozen: bool) -> Result<Connection, Problem> {
    // The folder may be reached through a link; the file itself must not be one, nor its -wal and -shm.
    let io = |error: std::io::Error| Problem::Sqlite(error.to_string());
    let file = folder_of(path)
        .canonicalize()
        .map_err(io)?
        .join(path.file_name().unwrap_or_default());
    let kind = std::fs::symlink_metadata(&file).map_err(io)?.file_type();
    if kind.is_symlink() {
        return Err(Problem::NoFile("a symbolic link"));
    }
    if !kind.is_file() {
        return Err(Problem::NoFile("not a regular file"));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let mut conn = match frozen {
        true => {
            let name = file.to_string_lossy();
            let name = name.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
            let flags = flags.difference(OpenFlags::SQLITE_OPEN_READ_WRITE);
            let flags = flags | OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(format!("file:{name}?immutable=1"), flags)?
        }
        false => Connection::open_with_flags(file, flags)?,
    };
    conn.busy_handler(Some(waits))?;
    // What stands in the file, and in a checkout's migrations, shall not reach beyond the tables.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true)?;
    Ok(conn)
}

/// Whether a lock of another process is waited for, which was so often before.
fn waits(times: i32) -> bool {
    const PAUSE: Duration = Duration::from_millis(20);
    let waited = PAUSE * times.unsigned_abs();
    let what = "the local API's database, which another program writes to";
    waiting::went_on(waited, PAUSE, BUSY_TIMEOUT, what);
    std::thread::sleep(PAUSE);
    waited < BUSY_TIMEOUT
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
