//! OpenClaw's shared state, `<home>/state/openclaw.sqlite`: read, never written, created or locked.
//!
//! The database may be in use and in WAL mode. With a live `-wal` and its `-shm` a read-only connection creates nothing
//! and holds up nobody; without a `-wal` the file alone is the database and is read as immutable, since a plain
//! read-only connection would create both files. A `-wal` that a crash left without its `-shm` is read in a copy.

use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where OpenClaw keeps its shared state, from its home on.
const DATABASE: &str = "state/openclaw.sqlite";

/// One text of the database.
struct Query {
    table: &'static str,
    /// Selects one text by one parameter.
    select: &'static str,
}

/// The database's path.
pub fn path(home: &Path) -> PathBuf {
    home.join(DATABASE)
}

/// The tracked installs of hook packs, as JSON; `None` where there are none, or no database.
pub fn installs(database: &Path) -> anyhow::Result<Option<String>> {
    const INSTALLS: Query = Query {
        table: "config_machine_state",
        select: "SELECT value_json FROM config_machine_state WHERE state_key = ?1",
    };
    read(database, &INSTALLS, "hooks.internal.installs")
}

/// OpenClaw's record of its own install of a plugin, as JSON; `None` where there is none, or no database.
pub fn plugin_install(database: &Path, id: &str) -> anyhow::Result<Option<String>> {
    // Since 2026.7 in the state of the whole, before that in a table of its own.
    const NEW: Query = Query {
        table: "config_machine_state",
        select: "SELECT json_extract(value_json, '$.index.installRecords.\"' || ?1 || '\"') FROM config_machine_state \
                 WHERE state_key = 'plugins.installedIndex'",
    };
    const OLD: Query = Query {
        table: "installed_plugin_index",
        select: "SELECT json_extract(install_records_json, '$.\"' || ?1 || '\"') FROM installed_plugin_index",
    };
    match read(database, &NEW, id)? {
        None => read(database, &OLD, id),
        found => Ok(found),
    }
}

/// How large the config was when OpenClaw last found it good, in bytes: what it measures the config of today against.
/// `None` where it never looked.
pub fn last_good_bytes(database: &Path, config: &Path) -> anyhow::Result<Option<u64>> {
    const LAST_GOOD: Query = Query {
        table: "config_health_entries",
        select: "SELECT last_known_good_json FROM config_health_entries WHERE config_path = ?1",
    };
    let text = read(database, &LAST_GOOD, &config.to_string_lossy())?;
    let record: Option<serde_json::Value> = text.as_deref().map(serde_json::from_str).transpose()?;
    Ok(record.and_then(|record| record.get("bytes")?.as_u64()))
}

/// Looks, and looks again where a writer came in between.
fn read(database: &Path, query: &Query, key: &str) -> anyhow::Result<Option<String>> {
    for _ in 0..2 {
        if let Ok(value) = read_once(database, query, key) {
            return Ok(value);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    read_once(database, query, key)
}

fn read_once(database: &Path, query: &Query, key: &str) -> anyhow::Result<Option<String>> {
    if !database.try_exists()? {
        return Ok(None);
    }
    // Opening a pipe would wait for somebody who writes into it.
    let shm = beside(database, "-shm");
    for file in [database, &shm] {
        anyhow::ensure!(
            file.is_file() || !file.try_exists()?,
            "{} is not a regular file",
            file.display()
        );
    }
    let wal = beside(database, "-wal");
    let wal_bytes = wal.metadata().map_or(0, |meta| meta.len());
    if wal_bytes == 0 {
        return query.ask(&uri(database, "immutable=1"), OpenFlags::SQLITE_OPEN_READ_ONLY, key);
    }
    if shm.exists() {
        return query.ask(&uri(database, "mode=ro"), OpenFlags::SQLITE_OPEN_READ_ONLY, key);
    }
    let copy = tempfile::Builder::new().prefix("sigilum-").tempdir()?;
    let file = copy.path().join("openclaw.sqlite");
    std::fs::copy(database, &file)?;
    std::fs::copy(&wal, beside(&file, "-wal"))?;
    query.ask(&uri(&file, "mode=rw"), OpenFlags::SQLITE_OPEN_READ_WRITE, key)
}

impl Query {
    fn ask(&self, uri: &str, flags: OpenFlags, key: &str) -> anyhow::Result<Option<String>> {
        let flags = flags | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = Connection::open_with_flags(uri, flags)?;
        database.busy_timeout(Duration::from_secs(1))?;
        let table = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        if database
            .query_row(table, [self.table], |_| Ok(()))
            .optional()?
            .is_none()
        {
            return Ok(None);
        }
        let text = database.query_row(self.select, [key], |row| row.get::<_, Option<String>>(0));
        Ok(text.optional()?.flatten())
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// An SQLite URI of a path: everything but unreserved characters is percent-encoded.
fn uri(path: &Path, query: &str) -> String {
    use std::fmt::Write;
    use std::os::unix::ffi::OsStrExt;
    let mut text = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text.push('?');
    text.push_str(query);
    text
}
