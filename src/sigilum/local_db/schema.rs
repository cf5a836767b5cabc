//! The database's tables: our own schema where no checkout is at hand, else the checkout's migrations.

use super::{Problem, sqlite_words};
use crate::sigilum::checkout::{Checkout, Migration};
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// What a database holds already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// No table at all: a new file, or one whose making was cut short.
    Nothing,
    /// The API's tables.
    Api,
    /// Tables of something else, or an API's database whose first migration has not run.
    Other,
}

/// Looks at which tables there are.
pub(super) fn look(conn: &Connection) -> Result<Found, Problem> {
    let (api, any) = conn.query_row(
        "SELECT count(*) FILTER (WHERE name = 'users'), count(*) FROM sqlite_schema WHERE type = 'table'",
        [],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
    )?;
    Ok(match (api, any) {
        (0, 0) => Found::Nothing,
        (0, _) => Found::Other,
        _ => Found::Api,
    })
}

/// Sets WAL mode. SQLite does not wait for another process's lock here, so this does, for `patience`.
pub(super) fn write_ahead(conn: &Connection, patience: Duration) -> Result<(), Problem> {
    let deadline = Instant::now() + patience;
    loop {
        let set = conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0));
        match set {
            Ok(mode) if mode.eq_ignore_ascii_case("wal") => return Ok(()),
            Ok(_) => return Err(Problem::Sqlite("its file system does not allow WAL mode".to_owned())),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Creates our own schema, all of it or nothing.
pub(super) fn create(conn: &mut Connection) -> Result<(), Problem> {
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been quicker.
    if look(&transaction)? == Found::Nothing {
        transaction.execute_batch(include_str!("schema.sql"))?;
    }
    Ok(transaction.commit()?)
}

/// Runs the checkout's migrations that are not recorded yet; returns how many.
pub(super) fn migrate(conn: &mut Connection, checkout: &Checkout) -> Result<usize, Problem> {
    let missing = missing(conn, checkout)?;
    if missing.is_empty() {
        return Ok(0);
    }
    let attached = conn.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    let ran = run_all(conn, checkout, &missing);
    conn.set_limit(Limit::SQLITE_LIMIT_ATTACHED, attached)?;
    ran
}

/// The checkout's migrations that are not recorded yet.
pub(super) fn missing(conn: &Connection, checkout: &Checkout) -> Result<Vec<Migration>, Problem> {
    let recorded = recorded(conn)?;
    let is_new = |migration: &Migration| !recorded.contains(&migration.name);
    Ok(checkout.migrations()?.into_iter().filter(is_new).collect())
}

fn run_all(conn: &mut Connection, checkout: &Checkout, missing: &[Migration]) -> Result<usize, Problem> {
    conn.execute_batch(
        "CREATE TABLE IF NOT EXISTS d1_migrations (
           id INTEGER PRIMARY KEY AUTOINCREMENT,
           name TEXT UNIQUE,
           applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)",
    )?;
    let mut ran = 0;
    for migration in missing {
        let gone = || Problem::Migration {
            name: migration.name.clone(),
            reason: "its file is gone".to_owned(),
        };
        let sql = checkout.read(&migration.path)?.ok_or_else(gone)?;
        let cascades_off = asks_for_foreign_keys_off(&sql);
        conn.pragma_update(None, "foreign_keys", !cascades_off)?;
        let result = run(conn, &migration.name, &sql, cascades_off);
        conn.pragma_update(None, "foreign_keys", true)?;
        ran += usize::from(result?);
    }
    Ok(ran)
}

/// Runs one migration in its own transaction; `false` where another process has run it meanwhile.
fn run(conn: &mut Connection, name: &str, sql: &str, cascades_off: bool) -> Result<bool, Problem> {
    conn.execute_batch("BEGIN IMMEDIATE")?;
    let result = run_inside(conn, name, sql, cascades_off);
    let ended = match &result {
        Ok(_) => conn.execute_batch("COMMIT"),
        Err(_) if conn.is_autocommit() => Ok(()),
        Err(_) => conn.execute_batch("ROLLBACK"),
    };
    let ran = result?;
    if let Err(error) = ended {
        // A deferred foreign key, say: the transaction is still open.
        if !conn.is_autocommit() {
            conn.execute_batch("ROLLBACK")?;
        }
        return Err(failed(name, &error));
    }
    Ok(ran)
}

fn run_inside(conn: &mut Connection, name: &str, sql: &str, cascades_off: bool) -> Result<bool, Problem> {
    if recorded(conn)?.contains(name) {
        return Ok(false);
    }
    let broken_before = if cascades_off { broken_references(conn)? } else { 0 };
    conn.authorizer(Some(within_one_transaction))?;
    let result = conn.execute_batch(sql);
    conn.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
    result.map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::AuthorizationForStatementDenied) => Problem::Migration {
            name: name.to_owned(),
            reason: "it attaches a database, or begins or ends a transaction".to_owned(),
        },
        _ => failed(name, &error),
    })?;
    if cascades_off && broken_references(conn)? > broken_before {
        return Err(Problem::Migration {
            name: name.to_owned(),
            reason: "it would leave rows that refer to rows which are gone".to_owned(),
        });
    }
    conn.execute("INSERT INTO d1_migrations (name) VALUES (?1)", [name])?;
    Ok(true)
}

fn failed(name: &str, error: &rusqlite::Error) -> Problem {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy) => Problem::Busy,
        _ => Problem::Migration {
            name: name.to_owned(),
            reason: sqlite_words(error),
        },
    }
}

/// A migration is one transaction, in one database.
fn within_one_transaction(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Attach { .. }
        | AuthAction::Detach { .. }
        | AuthAction::Transaction { .. }
        | AuthAction::Savepoint { .. } => Authorization::Deny,
        _ => Authorization::Allow,
    }
}

/// Whether a migration wants no foreign keys, as SQLite's advice for rebuilding a table is. The pragma does nothing
/// once a transaction is open, and dropping the old table would then delete all rows that refer to it.
fn asks_for_foreign_keys_off(sql: &str) -> bool {
    let squeezed: String = sql
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default())
        .collect::<String>()
        .to_ascii_lowercase();
    let squeezed: String = squeezed.chars().filter(|c| !c.is_whitespace()).collect();
    ["off", "0", "false", "no"].into_iter().any(|off| {
        squeezed.contains(&format!("pragmaforeign_keys={off};"))
            || squeezed.contains(&format!("pragmaforeign_keys({off});"))
    })
}

fn broken_references(conn: &Connection) -> Result<i64, Problem> {
    Ok(conn.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))?)
}

fn recorded(conn: &Connection) -> Result<HashSet<String>, Problem> {
    let mut query = match conn.prepare("SELECT name FROM d1_migrations") {
        Ok(query) => query,
        Err(error) if sqlite_words(&error).starts_with("no such table") => return Ok(HashSet::new()),
        Err(error) => return Err(error.into()),
    };
    let names = query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_keys_off_is_seen() {
        for (sql, off) in [
            ("PRAGMA foreign_keys=OFF;\nDROP TABLE x;", true),
            ("pragma  Foreign_Keys = off ;", true),
            ("PRAGMA foreign_keys(0);", true),
            ("PRAGMA foreign_keys = ON;", false),
            ("-- PRAGMA foreign_keys=OFF;\nSELECT 1;", false),
            ("PRAGMA defer_foreign_keys = ON;", false),
            ("", false),
        ] {
            assert_eq!(asks_for_foreign_keys_off(sql), off, "{sql}");
        }
    }
}
