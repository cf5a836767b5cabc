//! Every namespace that is stored in a home, for `auth status`.

use super::state::State;
use crate::error::{Error, Result};
use crate::home::OpenClawHome;
use crate::time;
use crate::token::{claims, lifetime, record, store};
use serde::Serialize;

/// One of them. Holds no secret.
#[derive(Debug, Serialize)]
pub struct Stored {
    /// Whose token it is.
    pub namespace: String,
    /// Whether the hook speaks for it.
    hook: bool,
    /// Whether there is the record of a login, not only a token.
    logged_in: bool,
    /// Why that record cannot be read.
    #[serde(skip)]
    unread: Option<String>,
    /// How it stands.
    pub state: State,
    /// RFC 3339.
    expires_at: Option<String>,
    /// The expiry for people.
    #[serde(skip)]
    expiry: Option<String>,
    /// What is odd about the token.
    pub doubts: Vec<String>,
}

/// All of them, sorted. `hook` is the one that the hook speaks for.
pub fn all(place: &OpenClawHome, hook: Option<&str>) -> Result<Vec<Stored>> {
    let namespaces = record::namespaces(&place.sigilum_dir())?;
    let now = time::now();
    let stored = namespaces.into_iter().map(|namespace| {
        let path = place.record_file(&namespace);
        // One that cannot be read says nothing of the token's file.
        let record = record::read(&path);
        let unread = record.as_ref().err().map(Error::text);
        let file = record.ok().flatten().map_or_else(
            || place.token_file(&namespace),
            |record| record.token_file(place, &namespace),
        );
        let token = store::read(&file).ok().flatten();
        let says = token.as_ref().and_then(|token| claims::inspect(token).ok());
        Stored {
            hook: hook == Some(namespace.as_str()),
            logged_in: path.exists(),
            unread,
            state: match &says {
                _ if token.is_none() => State::Missing,
                Some(says) if says.namespace != namespace => State::Invalid,
                Some(says) if says.is_expired(now) => State::Expired,
                Some(says) if lifetime::is_due(says, now) => State::Due,
                Some(_) => State::NotExpired,
                None => State::Invalid,
            },
            doubts: says.as_ref().map_or_else(Vec::new, |says| says.doubts(now)),
            expires_at: says.as_ref().and_then(lifetime::expires_at).map(time::rfc3339),
            expiry: says.as_ref().map(|says| lifetime::expiry_text(says, now)),
            namespace,
        }
    });
    Ok(stored.collect())
}

impl Stored {
    /// `alice: not expired, 2026-12-03T22:36:32Z (in 7 d); the hook speaks for it`
    pub fn text(&self) -> String {
        let state = self.state.text();
        let expiry = match self.state {
            State::Accepted | State::Refused | State::NotExpired | State::Due | State::Expired => {
                self.expiry.as_deref()
            }
            State::Missing | State::Invalid | State::Unusable => None,
        };
        let expiry = expiry.map_or_else(String::new, |expiry| format!(", {expiry}"));
        let login = if self.logged_in { "" } else { "; not logged in" };
        let hook = if self.hook { "; the hook speaks for it" } else { "" };
        let unread = self.unread.as_ref().map_or_else(String::new, |why| format!("; {why}"));
        format!("{}: {state}{expiry}{login}{hook}{unread}", self.namespace)
    }
}
