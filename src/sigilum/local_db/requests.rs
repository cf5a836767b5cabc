//! Access requests: the rows of `authorizations`.

use super::{DbError, LocalDb, Problem};
use crate::request::{AuthorizationRequest, MOST, Pending};
use rusqlite::{Connection, Row, params};

impl LocalDb {
    /// What waits for approval in a namespace, as the API would answer: the newest [`MOST`], and how many in all.
    pub fn pending_requests(&self, namespace: &str) -> Result<Pending, DbError> {
        self.at(self.read(|moment| pending(moment, namespace)))
    }

    /// Adds two requests of made-up agents, for the demo. A second call adds nothing.
    pub fn insert_sample_requests(&mut self, namespace: &str) -> Result<(), DbError> {
        let inserted = self.write(|transaction| {
            for (number, service, agent, subject, age) in [
                (1, "linear", "release-bot", "release-bot@example.com", "-26 minutes"),
                (2, "github-mcp", "code-reviewer", "dev@example.com", "-3 minutes"),
            ] {
                transaction.execute(
                    "INSERT INTO authorizations
                       (namespace, service, public_key, claim_id, agent_ip, status, agent_name, subject, created_at)
                     VALUES (?1, ?2, 'ed25519:Sample' || ?3 || 'SampleSampleSampleSampleSampleSampleSam=',
                       'claim_sample_' || ?1 || '_' || ?3, '127.0.0.1', 'pending', ?4, ?5,
                       strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?6))
                     ON CONFLICT DO NOTHING",
                    params![namespace, service, number, agent, subject, age],
                )?;
            }
            Ok(())
        });
        self.at(inserted)
    }
}

fn pending(conn: &Connection, namespace: &str) -> Result<Pending, Problem> {
    let mut query = conn.prepare(
        "SELECT claim_id, service, public_key, agent_ip, subject, agent_id, agent_name, created_at FROM authorizations
         WHERE namespace = ?1 AND status = 'pending' ORDER BY created_at DESC, claim_id LIMIT ?2",
    )?;
    let requests = query
        .query_map(params![namespace, MOST as i64], request)?
        .collect::<Result<Vec<_>, _>>()?;
    let total = if requests.len() < MOST {
        requests.len() as u64
    } else {
        let count = "SELECT count(*) FROM authorizations WHERE namespace = ?1 AND status = 'pending'";
        conn.query_row(count, [namespace], |row| row.get::<_, i64>(0))?
            .unsigned_abs()
    };
    Ok(Pending {
        requests,
        total: Some(total),
    })
}

fn request(row: &Row<'_>) -> rusqlite::Result<AuthorizationRequest> {
    // What is no text is left out, as in the API's answer.
    let text = |index| row.get_ref(index).map(|value| value.as_str().ok().map(str::to_owned));
    Ok(AuthorizationRequest {
        claim_id: text(0)?,
        service: text(1)?,
        public_key: text(2)?,
        agent_ip: text(3)?,
        subject: text(4)?,
        agent_id: text(5)?,
        agent_name: text(6)?,
        created_at: text(7)?,
    })
}
