//! Access requests: the rows of `authorizations`.

use super::{DbError, LocalDb, Problem};
use crate::request::{AuthorizationRequest, Pending, Which};
use rusqlite::{Connection, Row, params};

impl LocalDb {
    /// Requests in a namespace, as the API would answer: the newest, and how many in all.
    pub fn requests(&self, namespace: &str, which: &Which) -> Result<Pending, DbError> {
        self.at(self.read(|moment| requests(moment, namespace, which)))
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

fn requests(conn: &Connection, namespace: &str, which: &Which) -> Result<Pending, Problem> {
    const WHERE: &str = "FROM authorizations WHERE namespace = ?1 AND status = ?2 AND service = ifnull(?3, service)";
    let mut query = conn.prepare(&format!(
        "SELECT claim_id, namespace, status, service, public_key, agent_ip, subject, agent_id, agent_name, created_at,
           approved_at, revoked_at {WHERE} ORDER BY created_at DESC, claim_id LIMIT ?4"
    ))?;
    let most = i64::try_from(which.most).unwrap_or(i64::MAX);
    let requests = query
        .query_map(params![namespace, which.status, which.service, most], request)?
        .collect::<Result<Vec<_>, _>>()?;
    let total = if requests.len() < which.most {
        requests.len() as u64
    } else {
        let named = params![namespace, which.status, which.service];
        conn.query_row(&format!("SELECT count(*) {WHERE}"), named, |row| row.get::<_, i64>(0))?
            .unsigned_abs()
    };
    Ok(Pending {
        requests,
        total: Some(total),
        too_long: 0,
    })
}

fn request(row: &Row<'_>) -> rusqlite::Result<AuthorizationRequest> {
    // What is no text is left out, as in the API's answer.
    let text = |name| row.get_ref(name).map(|value| value.as_str().ok().map(str::to_owned));
    Ok(AuthorizationRequest {
        claim_id: text("claim_id")?,
        namespace: text("namespace")?,
        status: text("status")?,
        service: text("service")?,
        public_key: text("public_key")?,
        agent_ip: text("agent_ip")?,
        subject: text("subject")?,
        agent_id: text("agent_id")?,
        agent_name: text("agent_name")?,
        created_at: text("created_at")?,
        approved_at: text("approved_at")?,
        revoked_at: text("revoked_at")?,
    })
}
