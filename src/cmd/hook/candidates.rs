//! Which owner tokens may be tried, and in which order.
//!
//! A token is sent to no other API than the one that it was made for. Agents can edit openclaw.json: a URL that only
//! they put there must not draw the token out of its file or out of the environment.

use crate::env::Env;
use crate::openclaw::entry::{self, Entry};
use crate::settings::{self, Origin, Owner};
use crate::sigilum::http::Url;
use crate::text;
use crate::time;
use crate::token::{claims, store};
use secrecy::{ExposeSecret, SecretString};
use std::fmt;

/// A token that may be tried.
pub struct Candidate {
    /// The token.
    pub token: SecretString,
    /// Where it is from, for logs: `openclaw.json`.
    pub source: &'static str,
    iat: i64,
    exp: Option<i64>,
}

/// What was found: the tokens to try, newest first, and why the others are none.
pub struct Candidates {
    /// To try, in this order.
    pub usable: Vec<Candidate>,
    /// The rest: where, and why not.
    pub unusable: Vec<(&'static str, WhyNot)>,
}

/// Why a place gives no token to try.
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
    /// It has expired, so many seconds ago.
    Expired(i64),
    /// Its file cannot be read; the text is ours and holds no secret.
    Unreadable(String),
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Invalid(invalid) => write!(f, "no token, {invalid}"),
            Self::OtherNamespace => f.write_str("a token of another namespace"),
            Self::OtherApi => f.write_str("a token for another mode or API"),
            Self::Expired(ago) => write!(f, "expired {} ago", time::duration(*ago)),
            Self::Unreadable(why) => f.write_str(why),
        }
    }
}

impl fmt::Display for Candidates {
    /// Why there is nothing to try: `openclaw.json: expired 3 h ago; the environment: none; …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (source, why)) in self.unusable.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{source}: {why}")?;
        }
        Ok(())
    }
}

impl Candidate {
    /// How many seconds it has left; `None` where it never expires.
    pub fn left(&self, now: i64) -> Option<i64> {
        Some(self.exp?.saturating_sub(now))
    }
}

/// What a place says about the API that its token is for.
#[derive(Default)]
struct MadeFor<'a> {
    mode: Option<&'a str>,
    api_url: Option<&'a str>,
}

impl MadeFor<'_> {
    fn fits(&self, owner: &Owner, api: &Url) -> bool {
        let same_origin = |url: &str| Url::parse(url).is_ok_and(|url| url.origin() == api.origin());
        let mode_fits = self.mode.is_none_or(|mode| mode == owner.mode.value.as_str());
        let api_fits = match self.api_url {
            Some(url) => same_origin(url),
            // Nobody said what it is for: it goes where the person or the default points, not where the config does.
            None => owner.api_url.origin != Origin::Entry || same_origin(settings::default_api_url(owner.mode.value)),
        };
        mode_fits && api_fits
    }
}

/// The tokens of the entry's env, the process environment (`handed` is the one that the caller kept out of ours) and
/// the token file, for this owner and this API, unexpired; the newest first.
pub fn candidates(
    owner: &Owner,
    api: &Url,
    entry: Option<&Entry>,
    handed: Option<&SecretString>,
    env: &Env,
    now: i64,
) -> Candidates {
    let of_entry = MadeFor {
        mode: entry.and_then(Entry::mode),
        api_url: entry.and_then(Entry::api_url),
    };
    let of_environment = MadeFor {
        mode: env.var("SIGILUM_MODE"),
        api_url: env.var("SIGILUM_API_URL"),
    };
    let of_file = match owner
        .record
        .as_ref()
        .filter(|record| record.token_file.as_ref().is_none_or(|file| *file == owner.token_file))
    {
        Some(record) => MadeFor {
            mode: Some(record.mode.as_str()),
            api_url: Some(&record.api_url),
        },
        None => MadeFor::default(),
    };
    let in_environment = || {
        env.var(entry::TOKEN)
            .filter(|text| !text::is_unset(text))
            .map(SecretString::from)
    };
    let in_file = store::read(&owner.token_file);
    let in_file = in_file.map_err(|error| WhyNot::Unreadable(error.to_string().replace('\n', " ")));
    let places = [
        ("openclaw.json", Ok(entry.and_then(Entry::token)), of_entry),
        (
            "the environment",
            Ok(handed.cloned().or_else(in_environment)),
            of_environment,
        ),
        ("the token file", in_file, of_file),
    ];
    let mut found = Candidates {
        usable: Vec::new(),
        unusable: Vec::new(),
    };
    for (source, token, made_for) in places {
        let candidate = token
            .and_then(|token| token.ok_or(WhyNot::None))
            .and_then(|token| check(token, source, owner, now))
            .and_then(|candidate| match made_for.fits(owner, api) {
                true => Ok(candidate),
                false => Err(WhyNot::OtherApi),
            });
        match candidate {
            Ok(candidate) => found.usable.push(candidate),
            Err(why) => found.unusable.push((source, why)),
        }
    }
    found.usable.sort_by_key(|candidate| std::cmp::Reverse(candidate.iat));
    found
        .usable
        .dedup_by(|a, b| a.token.expose_secret() == b.token.expose_secret());
    found
}

fn check(token: SecretString, source: &'static str, owner: &Owner, now: i64) -> Result<Candidate, WhyNot> {
    let says = claims::inspect(&token).map_err(WhyNot::Invalid)?;
    if says.namespace != owner.namespace.value {
        return Err(WhyNot::OtherNamespace);
    }
    if says.is_expired(now) {
        return Err(WhyNot::Expired(says.exp.map_or(0, |exp| now.saturating_sub(exp))));
    }
    Ok(Candidate {
        token,
        source,
        iat: says.iat.unwrap_or(i64::MIN),
        exp: says.exp,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mode::Mode;
    use crate::settings::Sourced;
    use crate::token::claims::Claims;
    use crate::token::record::Record;
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
            }),
        }
    }

    /// Where a token of each place is tried, given who says what the API's URL is.
    #[test]
    fn no_token_leaves_its_api() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        put(&file, &token("alice", NOW - 30, 3600));
        let of_entry = token("alice", NOW - 10, 3600);
        let of_environment = token("alice", NOW - 20, 3600);
        // API in force, who named it, the record's API, the entry's API, SIGILUM_API_URL; the sources that are tried
        let all = "openclaw.json, the environment, the token file";
        let cases = [
            (HERE, Origin::Record, Some(HERE), Some(HERE), None, all),
            (HERE, Origin::Default, None, None, None, all),
            (HERE, Origin::Entry, None, Some(HERE), None, all),
            // An entry that points elsewhere, with and without a record.
            (ELSEWHERE, Origin::Entry, None, Some(ELSEWHERE), None, "openclaw.json"),
            (
                HERE,
                Origin::Record,
                Some(HERE),
                Some(ELSEWHERE),
                None,
                "the environment, the token file",
            ),
            (
                ELSEWHERE,
                Origin::Entry,
                Some(HERE),
                Some(ELSEWHERE),
                None,
                "openclaw.json",
            ),
            // The person points elsewhere.
            (
                ELSEWHERE,
                Origin::Flag("--api-url"),
                Some(HERE),
                Some(HERE),
                None,
                "the environment",
            ),
            (
                ELSEWHERE,
                Origin::Env("SIGILUM_API_URL"),
                Some(HERE),
                Some(HERE),
                Some(ELSEWHERE),
                "the environment",
            ),
            (
                ELSEWHERE,
                Origin::Flag("--api-url"),
                None,
                None,
                Some(HERE),
                "openclaw.json, the token file",
            ),
        ];
        for (api, origin, record, entry_api, env_api, tried) in cases {
            let owner = owner(&file, api, origin.clone(), record);
            let mut env = BTreeMap::from([(entry::TOKEN.to_owned(), of_entry.expose_secret().to_owned())]);
            env.extend(entry_api.map(|url| ("SIGILUM_API_URL".to_owned(), url.to_owned())));
            let entry = Entry { enabled: true, env };
            let vars = [
                ("SIGILUM_OWNER_TOKEN", of_environment.expose_secret()),
                ("SIGILUM_API_URL", env_api.unwrap_or_default()),
            ];
            let url = Url::parse(api).unwrap();
            let found = candidates(&owner, &url, Some(&entry), None, &Env::from_pairs(vars), NOW);
            let sources: Vec<_> = found.usable.iter().map(|candidate| candidate.source).collect();
            assert_eq!(
                sources.join(", "),
                tried,
                "{api} from {origin}, record {record:?}, entry {entry_api:?}"
            );
            assert!(
                found.unusable.iter().all(|(_, why)| *why == WhyNot::OtherApi),
                "{found}"
            );
        }
    }

    #[test]
    fn the_newest_first_and_why_the_others_are_none() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        let owner = owner(&file, HERE, Origin::Default, None);
        let url = Url::parse(HERE).unwrap();
        let find = |of_entry: &str, handed: Option<&SecretString>| {
            let env = BTreeMap::from([(entry::TOKEN.to_owned(), of_entry.to_owned())]);
            let entry = Entry { enabled: true, env };
            candidates(&owner, &url, Some(&entry), handed, &Env::default(), NOW)
        };
        let new = token("alice", NOW, 60);
        put(&file, &token("alice", NOW - 5, 60));
        let found = find("${SIGILUM_OWNER_TOKEN}", Some(&new));
        let sources: Vec<_> = found.usable.iter().map(|candidate| candidate.source).collect();
        assert_eq!(sources, ["the environment", "the token file"]);
        assert_eq!(found.unusable, [("openclaw.json", WhyNot::None)]);
        assert_eq!(found.usable[0].left(NOW), Some(60));

        // The same token in two places is tried once.
        put(&file, &new);
        assert_eq!(find(new.expose_secret(), None).usable.len(), 1);

        put(&file, &token("alice", NOW - 3600, 60));
        let found = find("not.a.token", Some(&token("bob", NOW, 60)));
        assert!(found.usable.is_empty());
        assert_eq!(
            found.to_string(),
            "openclaw.json: no token, its header is not a JSON object; the environment: a token of another namespace; \
             the token file: expired 59 min ago"
        );
        std::fs::remove_file(&file).unwrap();
        assert_eq!(
            find(&text::filler(300), None).to_string(),
            "openclaw.json: none; the environment: none; the token file: none"
        );
    }
}
