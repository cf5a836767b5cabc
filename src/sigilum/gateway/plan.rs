//! From what a connection is and what a person wants to the steps between them: a pure function.

use super::connection::{Connection, NewConnection, Patch};

/// What a person wants of a connection. `None`: not asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// The connection's id, which is the service's slug.
    pub id: String,
    #[allow(missing_docs)]
    pub name: Option<String>,
    #[allow(missing_docs)]
    pub base_url: Option<String>,
    /// `bearer`, `header_key` or `query_param`.
    pub auth_mode: Option<&'static str>,
    #[allow(missing_docs)]
    pub header: Option<String>,
    #[allow(missing_docs)]
    pub prefix: Option<String>,
    #[allow(missing_docs)]
    pub secret_key: Option<String>,
    /// Whether a secret was given (it goes under `secret_key`, or the connection's own key).
    pub secret_given: bool,
    /// The key whose secret is stored in our file, if one is.
    pub stored_key: Option<String>,
}

/// The steps, in the order of their doing.
#[derive(Debug, Clone, PartialEq)]
pub enum Plan {
    /// There is no such connection: make it, with a secret under its `auth_secret_key`.
    Create(NewConnection),
    /// Rotate, if a secret was given, then change the metadata. Both may be nothing.
    Change {
        /// The key under which the given secret goes.
        rotate: Option<String>,
        /// The metadata that differs.
        patch: Patch,
    },
    /// Delete it and make it again: the gateway cannot change the base URL, nor empty a prefix.
    Recreate {
        /// What to make.
        new: NewConnection,
        /// Names of secrets that would be lost, because nobody but the gateway has their values.
        lost: Vec<String>,
    },
}

/// Why there is no way from here to there.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A new connection needs a base URL.
    #[error("a new connection needs a base URL")]
    NoBaseUrl,
    /// The gateway puts `Bearer ` where a bearer connection has no prefix.
    #[error("a bearer connection always has a prefix; a bare value needs the auth mode header_key")]
    BareBearer,
    /// The wanted key has no secret in the connection, and none was given.
    #[error("the connection has no secret {0:?}, and none was given")]
    NoSecret(String),
    /// The connection's auth mode is none that we know, so it could not be made again once it is deleted.
    #[error("the connection can only be deleted and made again, and its auth mode is none that is known here")]
    UnknownMode,
    /// The connection names no key, so a secret needs one.
    #[error("the connection has no auth_secret_key: name one for the secret")]
    NoKey,
}

/// The steps from `existing` to `wanted`. Defaults are for new connections only.
pub fn plan(existing: Option<&Connection>, wanted: &Wanted) -> Result<Plan, PlanError> {
    let Some(old) = existing else {
        return create(wanted).map(Plan::Create);
    };
    let mode = wanted.auth_mode.unwrap_or(&old.auth_mode);
    if wanted.prefix.as_deref() == Some("") && mode == "bearer" {
        return Err(PlanError::BareBearer);
    }
    let key = wanted.secret_key.as_deref().unwrap_or(&old.auth_secret_key);
    if key.is_empty() && wanted.secret_given {
        return Err(PlanError::NoKey);
    }
    let key_known = key.is_empty() || old.credential_keys.iter().any(|known| known == key);
    if wanted.secret_key.is_some() && !key_known && !wanted.secret_given {
        return Err(PlanError::NoSecret(key.to_owned()));
    }

    let moved = wanted
        .base_url
        .as_deref()
        .is_some_and(|url| !same_url(url, &old.base_url));
    // A change of mode lets the gateway choose the prefix anew; without one, only a new connection has an empty prefix.
    let emptied = wanted.prefix.as_deref() == Some("") && !old.auth_prefix.is_empty() && mode == old.auth_mode;
    if moved || emptied {
        if !["bearer", "header_key", "query_param", ""].contains(&mode) {
            return Err(PlanError::UnknownMode);
        }
        let new = overlay(NewConnection::like(old), wanted);
        let supplied = |name: &String| name == key && (wanted.secret_given || wanted.stored_key.as_ref() == Some(name));
        let lost = old
            .credential_keys
            .iter()
            .filter(|name| !supplied(name))
            .cloned()
            .collect();
        return Ok(Plan::Recreate { new, lost });
    }

    let differs = |wanted: &Option<String>, old: &str| wanted.clone().filter(|wanted| wanted != old);
    Ok(Plan::Change {
        rotate: wanted.secret_given.then(|| key.to_owned()),
        patch: Patch {
            name: differs(&wanted.name, &old.name),
            auth_mode: wanted
                .auth_mode
                .filter(|mode| *mode != old.auth_mode)
                .map(str::to_owned),
            auth_header_name: differs(&wanted.header, &old.auth_header_name),
            auth_prefix: differs(&wanted.prefix, &old.auth_prefix).filter(|prefix| !prefix.is_empty()),
            auth_secret_key: differs(&wanted.secret_key, &old.auth_secret_key),
            ..Patch::default()
        },
    })
}

/// A new connection, with the defaults of its auth mode.
fn create(wanted: &Wanted) -> Result<NewConnection, PlanError> {
    let mode = wanted.auth_mode.unwrap_or("bearer");
    let (header, prefix, key) = match mode {
        "header_key" => (format!("X-{}-Key", wanted.id), "", "upstream_key"),
        "query_param" => ("api_key".to_owned(), "", "api_key"),
        _ => ("Authorization".to_owned(), "Bearer ", "access_token"),
    };
    if wanted.prefix.as_deref() == Some("") && mode == "bearer" {
        return Err(PlanError::BareBearer);
    }
    let blank = NewConnection {
        id: wanted.id.clone(),
        name: wanted.id.clone(),
        protocol: "http".to_owned(),
        base_url: wanted.base_url.clone().ok_or(PlanError::NoBaseUrl)?,
        path_prefix: String::new(),
        auth_mode: mode.to_owned(),
        auth_header_name: header,
        auth_prefix: prefix.to_owned(),
        auth_secret_key: key.to_owned(),
        rotation_interval_days: 0,
        mcp_transport: String::new(),
        mcp_endpoint: String::new(),
        mcp_tool_allowlist: Vec::new(),
        mcp_tool_denylist: Vec::new(),
        mcp_max_tools_exposed: 0,
        mcp_subject_tool_policies: serde_json::Map::new(),
    };
    Ok(overlay(blank, wanted))
}

/// Puts what was asked for over what is there.
pub fn overlay(mut new: NewConnection, wanted: &Wanted) -> NewConnection {
    let set = |member: &mut String, value: Option<&str>| {
        if let Some(value) = value {
            value.clone_into(member);
        }
    };
    set(&mut new.name, wanted.name.as_deref());
    set(
        &mut new.base_url,
        wanted.base_url.as_deref().map(|url| url.trim_end_matches('/')),
    );
    set(&mut new.auth_mode, wanted.auth_mode);
    set(&mut new.auth_header_name, wanted.header.as_deref());
    set(&mut new.auth_prefix, wanted.prefix.as_deref());
    set(&mut new.auth_secret_key, wanted.secret_key.as_deref());
    new
}

/// What a connection made again still lacks: members that the gateway takes only in a PATCH, or took otherwise.
pub fn still_lacks(made: &Connection, new: &NewConnection, status: &str) -> Patch {
    let text = |want: &str, is: &str| (want != is && !want.is_empty()).then(|| want.to_owned());
    Patch {
        name: text(&new.name, &made.name),
        path_prefix: text(&new.path_prefix, &made.path_prefix),
        auth_mode: text(&new.auth_mode, &made.auth_mode),
        auth_header_name: text(&new.auth_header_name, &made.auth_header_name),
        auth_prefix: text(&new.auth_prefix, &made.auth_prefix),
        auth_secret_key: text(&new.auth_secret_key, &made.auth_secret_key),
        rotation_interval_days: Some(new.rotation_interval_days)
            .filter(|days| *days != 0 && *days != made.rotation_interval_days),
        status: text(status, &made.status),
    }
}

/// Whether two base URLs mean the same. The gateway cuts trailing slashes.
pub fn same_url(one: &str, other: &str) -> bool {
    let normal = |text: &str| reqwest::Url::parse(text.trim_end_matches('/')).map(|url| url.to_string());
    one.trim_end_matches('/') == other.trim_end_matches('/')
        || matches!((normal(one), normal(other)), (Ok(one), Ok(other)) if one.trim_end_matches('/') == other.trim_end_matches('/'))
}

#[cfg(test)]
mod tests;
