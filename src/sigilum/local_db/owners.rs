//! Namespace owners: the rows of `users`.

use super::{DbError, LocalDb, Problem};
use rusqlite::{Connection, OptionalExtension, params};

/// A namespace owner as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerRow {
    /// `users.id`: a token's `sub`.
    pub id: String,
    /// The owner's e-mail, which need not be the one asked for.
    pub email: String,
    /// The namespace.
    pub namespace: String,
    /// Whether the row was made just now.
    pub created: bool,
}

impl LocalDb {
    /// The owner of a namespace; made with this e-mail where there is none. An owner who exists keeps id and e-mail.
    ///
    /// # Errors
    /// [`Problem::EmailTaken`] where a new owner's e-mail is that of another namespace.
    pub fn ensure_owner(&mut self, namespace: &str, email: &str) -> Result<OwnerRow, DbError> {
        let ensured = match find(&self.conn, namespace) {
            Ok(Some(row)) => Ok(row),
            Ok(None) => self.write(|transaction| ensure(transaction, namespace, email)),
            Err(problem) => Err(problem),
        };
        self.at(ensured)
    }

    /// The owner of a namespace, if it has one.
    pub fn owner(&self, namespace: &str) -> Result<Option<OwnerRow>, DbError> {
        self.at(find(&self.conn, namespace))
    }
}

pub(super) fn find(conn: &Connection, namespace: &str) -> Result<Option<OwnerRow>, Problem> {
    let mut query = conn.prepare("SELECT id, email FROM users WHERE namespace = ?1")?;
    let row = query.query_row([namespace], |row| {
        Ok(OwnerRow {
            id: row.get(0)?,
            email: row.get(1)?,
            namespace: namespace.to_owned(),
            created: false,
        })
    });
    Ok(row.optional()?)
}

/// Within a write transaction: finds the owner or makes it.
pub(super) fn ensure(conn: &Connection, namespace: &str, email: &str) -> Result<OwnerRow, Problem> {
    if let Some(row) = find(conn, namespace)? {
        return Ok(row);
    }
    let row = would_be(conn, namespace, email)?;
    let made = conn.execute(
        "INSERT INTO users (id, email, namespace, plan, settings, created_at)
         VALUES (?1, ?2, ?3, 'free', '{}', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
         ON CONFLICT (id) DO NOTHING",
        params![row.id, row.email, row.namespace],
    )?;
    if made == 0 {
        return Err(Problem::UserIdTaken(row.id));
    }
    Ok(row)
}

/// The row of an owner who does not exist yet.
pub(super) fn would_be(conn: &Connection, namespace: &str, email: &str) -> Result<OwnerRow, Problem> {
    if let Some(other) = namespace_of(conn, email)? {
        return Err(Problem::EmailTaken {
            email: email.to_owned(),
            namespace: other,
        });
    }
    Ok(OwnerRow {
        id: format!("user_local_{namespace}"),
        email: email.to_owned(),
        namespace: namespace.to_owned(),
        created: true,
    })
}

fn namespace_of(conn: &Connection, email: &str) -> Result<Option<String>, Problem> {
    let mut query = conn.prepare("SELECT namespace FROM users WHERE email = ?1")?;
    Ok(query.query_row([email], |row| row.get(0)).optional()?)
}
