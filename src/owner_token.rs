//! Which owner token is sent, and to which API.
//!
//! Where there is a record of a login, the token in its file goes to the API that is recorded, and no other token
//! anywhere. In a home without any record (an entry made by hand, or by Sigilum's own installer) the entry's own token
//! goes to the API that the entry names. Agents can edit openclaw.json: a URL that only they put there must not draw a
//! token out of a file.

use crate::openclaw::entry::Entry;
use crate::origin::Origin;
use crate::settings::{self, Owner};
use crate::sigilum::http::Url;
use crate::time;
use crate::token::claims::{self, Inspected};
use crate::token::lifetime;
use secrecy::SecretString;
use std::fmt;

/// Where the token of a home without any record is from.
pub const IN_ENTRY: &str = "openclaw.json";

/// The token to send.
pub struct OwnerToken {
    /// The token.
    pub token: SecretString,
    /// Where it is from, for logs: `the token file`.
    pub source: &'static str,
    says: Inspected,
}

/// Why there is no token to send.
#[derive(Debug, PartialEq, Eq)]
pub struct NoToken {
    /// Where it should be: `the token file`.
    pub source: &'static str,
    /// What is wrong with it.
    pub why: WhyNot,
}

/// What can be wrong with a token, or the place that it should be in.
#[derive(Debug, PartialEq, Eq)]
pub enum WhyNot {
    /// There is none.
    None,
    /// There is a text, but it is no token.
    Invalid(claims::Invalid),
    /// It is for another namespace.
    OtherNamespace,
    /// It was made for another mode or API.
    OtherApi,
    /// No login recorded which API it is for, and nobody says it now.
    UnknownApi,
    /// It has expired, so many seconds ago.
    Expired(i64),
    /// Its file cannot be read; the text is ours and holds no secret.
    Unreadable(String),
}

impl fmt::Display for WhyNot {
    /// `expired 3 h ago`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Invalid(invalid) => write!(f, "no token, {invalid}"),
            Self::OtherNamespace => f.write_str("a token of another namespace"),
            Self::OtherApi => f.write_str("a token for another mode or API"),
            Self::UnknownApi => f.write_str("no login recorded which API it is for"),
            Self::Expired(ago) => write!(f, "expired {} ago", time::duration(*ago)),
            Self::Unreadable(why) => f.write_str(why),
        }
    }
}

impl fmt::Display for NoToken {
    /// `the token file: expired 3 h ago`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.why)
    }
}

impl OwnerToken {
    /// How many seconds it has left at `now`; `None` where it never expires.
    pub fn left(&self, now: i64) -> Option<i64> {
        Some(lifetime::expires_at(&self.says)?.saturating_sub(now))
    }

    /// When it expires, where that is so soon that a person should hear of it.
    pub fn near_end(&self, now: i64) -> Option<String> {
        lifetime::is_near_end(&self.says, now).then(|| lifetime::expiry_text(&self.says, now))
    }
}

/// The token for this owner and this API, unexpired at `now`: of the entry in a home without any record, else of the
/// token file.
pub fn find(owner: &Owner, api: &Url, entry_without_record: Option<&Entry>, now: i64) -> Result<OwnerToken, NoToken> {
    let (source, token) = match entry_without_record {
        Some(entry) => (IN_ENTRY, of_entry(entry, owner, api)),
        None => ("the token file", of_file(owner, api)),
    };
    let says = token.and_then(|token| Ok((check(&token, owner, now)?, token)));
    says.map(|(says, token)| OwnerToken { token, source, says })
        .map_err(|why| NoToken { source, why })
}

/// The stored token that may be sent to the owner's own API, unexpired at `now`.
pub fn stored(owner: &Owner, now: i64) -> Result<OwnerToken, NoToken> {
    let source = "the token file";
    let api = Url::parse(&owner.api_url.value).map_err(|_| NoToken {
        source,
        why: WhyNot::UnknownApi,
    })?;
    find(owner, &api, None, now)
}

fn of_entry(entry: &Entry, owner: &Owner, api: &Url) -> Result<SecretString, WhyNot> {
    let url = entry.api_url().unwrap_or(settings::default_api_url(owner.mode.value));
    let fits = entry.mode().is_none_or(|mode| mode == owner.mode.value.as_str()) && is_at(url, api);
    entry.token().ok_or(WhyNot::None).and_then(|token| match fits {
        true => Ok(token),
        false => Err(WhyNot::OtherApi),
    })
}

fn of_file(owner: &Owner, api: &Url) -> Result<SecretString, WhyNot> {
    let token = owner
        .stored_token()
        .map_err(|error| WhyNot::Unreadable(error.text()))?
        .ok_or(WhyNot::None)?;
    let is_recorded = |file: &Option<_>| file.as_ref().is_none_or(|file| *file == owner.token_file);
    match owner.record.as_ref().filter(|record| is_recorded(&record.token_file)) {
        Some(record) if record.mode == owner.mode.value && is_at(&record.api_url, api) => Ok(token),
        Some(_) => Err(WhyNot::OtherApi),
        // A person says where it goes, here and now.
        None if matches!(owner.api_url.origin, Origin::Flag(_) | Origin::Env(_) | Origin::Record) => Ok(token),
        None => Err(WhyNot::UnknownApi),
    }
}

fn is_at(url: &str, api: &Url) -> bool {
    Url::parse(url).is_ok_and(|url| url.origin() == api.origin())
}

/// What it says, where it may be sent.
fn check(token: &SecretString, owner: &Owner, now: i64) -> Result<Inspected, WhyNot> {
    let says = claims::inspect(token).map_err(WhyNot::Invalid)?;
    if says.namespace != owner.namespace.value {
        return Err(WhyNot::OtherNamespace);
    }
    if says.is_expired(now) {
        return Err(WhyNot::Expired(says.exp.map_or(0, |exp| now.saturating_sub(exp))));
    }
    Ok(says)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mode::Mode;
    use crate::openclaw::entry;
    use crate::settings::Sourced;
    use crate::text;
    use crate::token::claims::Claims;
    use crate::token::record::Record;
    use secrecy::ExposeSecret;
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    const NOW: i64 = 1_800_000_000;
    const HERE: &str = "http://127.0.0.1:8787";
    const ELSEWHERE: &str = "https://evil.example";

    fn put(file: &Path, token: &SecretString) {
        std::fs::write(file, token.expose_secret()).unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn token(namespace: &str, iat: i64, ttl: u64) -> SecretString {
        let claims = Claims::new("id", "e@x", namespace, iat, ttl);
        claims::mint(&claims, &"secret".into()).unwrap()
    }

    fn owner(file: &Path, api_url: &str, origin: Origin, record: Option<&str>) -> Owner {
        let setting = |value: &str| Sourced {
            value: value.to_owned(),
            origin: Origin::Default,
        };
        Owner {
            namespace: setting("alice"),
            mode: Sourced {
                value: Mode::OssLocal,
                origin: Origin::Default,
            },
            api_url: Sourced {
                value: api_url.to_owned(),
                origin,
            },
            email: setting("alice@local.sigilum"),
            token_file: file.to_owned(),
            only_of: None,
            source_home: None,
            api_db: None,
            record: record.map(|api_url| Record {
                mode: Mode::OssLocal,
                api_url: api_url.to_owned(),
                email: "alice@local.sigilum".into(),
                source_home: None,
                api_db: None,
                token_file: Some(file.to_owned()),
                trust_loopback: false,
                ttl_seconds: None,
            }),
        }
    }

    /// Which token goes where, given who says what the API's URL is.
    #[test]
    fn no_token_leaves_its_api() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        put(&file, &token("alice", NOW - 30, 3600));
        let of_entry = token("alice", NOW - 10, 3600);
        // API in force, who named it, the record's API; what the token file gives
        let cases = [
            (HERE, Origin::Record, Some(HERE), Ok(())),
            (ELSEWHERE, Origin::Entry, Some(HERE), Err(WhyNot::OtherApi)),
            (ELSEWHERE, Origin::Flag("--api-url"), Some(HERE), Err(WhyNot::OtherApi)),
            (HERE, Origin::Flag("--api-url"), Some(HERE), Ok(())),
            (ELSEWHERE, Origin::Flag("--api-url"), None, Ok(())),
            (ELSEWHERE, Origin::Env("SIGILUM_API_URL"), None, Ok(())),
            (HERE, Origin::Default, None, Err(WhyNot::UnknownApi)),
            (HERE, Origin::Entry, None, Err(WhyNot::UnknownApi)),
        ];
        for (api, origin, record, expected) in cases {
            let owner = owner(&file, api, origin.clone(), record);
            let found = find(&owner, &Url::parse(api).unwrap(), None, NOW);
            let found = found.map(|token| assert_eq!(token.source, "the token file"));
            assert_eq!(found.map_err(|no| no.why), expected, "{api} from {origin}, {record:?}");
        }
        // API in force, the entry's API; what the entry gives
        let cases = [
            (HERE, Some(HERE), Ok(())),
            (HERE, None, Ok(())),
            (ELSEWHERE, Some(ELSEWHERE), Ok(())),
            (HERE, Some(ELSEWHERE), Err(WhyNot::OtherApi)),
            (ELSEWHERE, None, Err(WhyNot::OtherApi)),
        ];
        for (api, entry_api, expected) in cases {
            let owner = owner(&file, api, Origin::Flag("--api-url"), None);
            let mut env = BTreeMap::from([(entry::TOKEN.to_owned(), of_entry.expose_secret().to_owned())]);
            env.extend(entry_api.map(|url| ("SIGILUM_API_URL".to_owned(), url.to_owned())));
            let entry = Entry { enabled: true, env };
            let found = find(&owner, &Url::parse(api).unwrap(), Some(&entry), NOW);
            let found = found.map(|token| assert_eq!(token.source, "openclaw.json"));
            assert_eq!(found.map_err(|no| no.why), expected, "{api}, {entry_api:?}");
        }
    }

    #[test]
    fn why_there_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        let owner = owner(&file, HERE, Origin::Record, Some(HERE));
        let url = Url::parse(HERE).unwrap();
        let find = |text: &str| {
            put(&file, &text.into());
            find(&owner, &url, None, NOW)
        };
        let fine = token("alice", NOW, 60);
        assert_eq!(
            find(fine.expose_secret()).ok().and_then(|token| token.left(NOW)),
            Some(60)
        );
        let cases = [
            ("".into(), "none"),
            ("not.a.token".into(), "no token, its header is not a JSON object"),
            (token("bob", NOW, 60), "a token of another namespace"),
            (token("alice", NOW - 3600, 60), "expired 59 min ago"),
        ];
        for (text, why) in cases {
            let found = find(text.expose_secret()).map(|_| ()).unwrap_err();
            assert_eq!(found.to_string(), format!("the token file: {why}"));
        }
        std::fs::remove_file(&file).unwrap();
        let of_entry = Entry {
            enabled: true,
            env: BTreeMap::from([(entry::TOKEN.to_owned(), text::filler(300))]),
        };
        let found = super::find(&owner, &url, Some(&of_entry), NOW).map(|_| ()).unwrap_err();
        assert_eq!(found.to_string(), "openclaw.json: none");
    }
}
