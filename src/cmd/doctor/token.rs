//! The owner token that the hook would send, and what the API says of it.

use crate::cli::ShowArgs;
use crate::cmd::auth::show;
use crate::cmd::auth::state::State;
use crate::cmd::auth::stored::{self, Stored};
use crate::cmd::choice;
use crate::cmd::{context, owner};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::fs;
use crate::home::OpenClawHome;
use crate::local_token::LocalApi;
use crate::mode::Mode;
use crate::openclaw::config;
use crate::openclaw::entry::Entry;
use crate::openclaw::hook_files::Kind;
use crate::origin::Origin;
use crate::owner_token::{self, NoToken, OwnerToken, WhyNot};
use crate::settings::{self, Owner, OwnerQuery};
use crate::sigilum::http;
use crate::sigilum::secrets::Workspace;
use crate::time;
use crate::token::claims::{self, Inspected};
use crate::token::lifetime;
use crate::token_check::{TokenCheck, Verdict};
use crate::watch::status::{self, WatchStatus};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What came of asking the API.
#[derive(Debug, Serialize)]
pub struct ApiCheck {
    /// `accepted`, `refused` or `not_checked`.
    pub result: &'static str,
    /// The same, and why, for people.
    pub text: String,
    /// Something answered that says nothing of the token; `true` where it is perhaps no Sigilum API.
    #[serde(skip)]
    pub is_strange: Option<bool>,
    /// By how many seconds our clock is ahead of the API's, where it said.
    #[serde(skip)]
    pub clock_ahead: Option<i64>,
    /// The API knows the signature, and the namespace is another owner's there (403).
    #[serde(skip)]
    pub is_anothers: bool,
    /// The same of what the local API's secret signs, where that secret did not sign the token.
    #[serde(skip)]
    pub other_secret: Option<&'static str>,
}

/// The owner token as `auth status` and `hook status` show it. Holds no secret.
#[derive(Debug, Serialize)]
pub struct TokenStatus {
    pub namespace: String,
    pub namespace_from: String,
    /// Absent where nobody is logged in and nothing says it, as with the API.
    pub mode: Option<&'static str>,
    pub api_url: Option<String>,
    pub token_file: PathBuf,
    /// Where the hook has its token from: `the token file`, or in a home without a record `openclaw.json`.
    pub token_from: &'static str,
    pub state: State,
    /// Why the hook does not use it, where it does not.
    #[serde(skip)]
    pub why_not: Option<String>,
    /// Absent where there is no token to ask about.
    pub api_check: Option<ApiCheck>,
    /// RFC 3339.
    pub issued_at: Option<String>,
    /// RFC 3339.
    pub expires_at: Option<String>,
    pub remaining_seconds: Option<i64>,
    /// What is odd about the token.
    pub doubts: Vec<String>,
    /// The expiry for people.
    #[serde(skip)]
    pub expiry: Option<String>,
    /// See [`lifetime::is_near_end`].
    #[serde(skip)]
    pub is_near_end: bool,
    pub config: PathBuf,
    /// Whether openclaw.json holds the same token; absent where it cannot be read.
    pub config_has_same_token: Option<bool>,
    /// Why it holds none, where that is as asked for.
    #[serde(skip)]
    pub config_holds_none: Option<&'static str>,
    pub watch: Option<WatchStatus>,
    /// For whom the hook speaks; absent in a home where nobody has logged in.
    pub hook_namespace: Option<String>,
    /// The same where it is another namespace, and a watcher of the home renews the token of that one alone.
    #[serde(skip)]
    pub watched: Option<String>,
    /// Every namespace that is stored here.
    pub stored: Vec<Stored>,
    /// Files with a token, a secret or a record that others may read.
    pub readable_by_others: Vec<PathBuf>,
    /// Those that somebody else may have written, so that they do not count.
    pub doubted: Vec<PathBuf>,
    /// Whose token it is.
    #[serde(skip)]
    pub owner: Owner,
}

/// The owner that the options of `auth show` mean, at the API that the hook asks for him, where the config has been read.
pub fn owner(args: &ShowArgs, env: &Env, place: &OpenClawHome, entry: Option<&Entry>) -> Result<Owner> {
    let entry_env = || Ok(entry.map(|entry| entry.env.clone()));
    let query = show::query(args, &entry_env);
    let Some(namespace) = settings::named(&query, env, place)? else {
        return Err(owner::nobody(&query, env, place, ""));
    };
    let query = OwnerQuery {
        decided_namespace: Some(&namespace),
        is_hook: true,
        ..show::query(args, &entry_env)
    };
    settings::owner(&query, env, place)
}

impl TokenStatus {
    /// Looks at the token that the hook would send, and asks the API about it. `entry` is `None` where openclaw.json
    /// cannot be read, `Some(None)` where it has none.
    pub fn of(owner: Owner, place: &OpenClawHome, env: &Env, entry: Option<Option<&Entry>>) -> Result<Self> {
        let plugin_runs = choice::plugin_runs(place) == Some(true);
        let now = time::now();
        let (hook, chosen) = settings::hook_namespace(place)?;
        let without_record = entry.flatten().filter(|_| hook.is_none());
        // What is asked on the hook's behalf goes the way that the hook's requests go.
        let hooks = http::by_recorded_way(env, &chosen.recorded_env());
        let found = in_force(&owner, &hooks, without_record, now)?;
        let stored = owner.stored_token();
        let shown = match &found {
            Ok(found) => Some(found.token.clone()),
            Err(_) => stored.ok().flatten(),
        };
        let says = shown.as_ref().and_then(|token| claims::inspect(token).ok());
        let expires_at = says.as_ref().and_then(lifetime::expires_at);
        let loose = loose_files(place, env, Some(&owner), entry.flatten());
        let hook = hook.map(|namespace| namespace.value);
        let is_known = |origin: &Origin| owner.record.is_some() || *origin != Origin::Default || found.is_ok();
        let source = |no_token: &NoToken| no_token.source;
        let asked = found.as_ref().ok();
        let asked = asked.map(|found| ask(&owner, place, &hooks, &found.token));
        Ok(Self {
            namespace: owner.namespace.value.clone(),
            namespace_from: owner.namespace.origin.to_string(),
            mode: is_known(&owner.mode.origin).then(|| owner.mode.value.as_str()),
            api_url: is_known(&owner.api_url.origin).then(|| owner.api_url.value.clone()),
            token_file: owner.token_file.clone(),
            token_from: found.as_ref().map_or_else(source, |found| found.source),
            why_not: found.as_ref().err().map(NoToken::to_string),
            state: match (
                state(&found, says.as_ref(), now),
                asked.as_ref().map(|asked| asked.result),
            ) {
                (State::NotExpired | State::Due, Some("refused")) => State::Refused,
                (State::NotExpired, Some("accepted")) => State::Accepted,
                (state, _) => state,
            },
            api_check: asked,
            issued_at: says.as_ref().and_then(|says| says.iat).map(time::rfc3339),
            expires_at: expires_at.map(time::rfc3339),
            remaining_seconds: expires_at.map(|exp| exp.saturating_sub(now)),
            doubts: says.as_ref().map_or_else(Vec::new, |says| says.doubts(now)),
            is_near_end: says.as_ref().is_some_and(|says| lifetime::is_near_end(says, now)),
            expiry: says.as_ref().map(|says| lifetime::expiry_text(says, now)),
            config: place.config.clone(),
            config_has_same_token: entry.map(|entry| holds(entry, shown.as_ref())),
            config_holds_none: entry
                .flatten()
                .and_then(|entry| holds_none(entry, chosen.token_in_config, plugin_runs)),
            watch: status::read(place),
            stored: stored::all(place, hook.as_deref())?,
            watched: hook
                .clone()
                .filter(|hook| *hook != owner.namespace.value && !place.is_a_brokers()),
            hook_namespace: hook,
            readable_by_others: paths_of(&loose, |loose| loose.is_readable),
            doubted: paths_of(&loose, |loose| loose.doubt.is_some()),
            owner,
        })
    }

    /// Whether a watcher renews the token.
    pub fn is_renewed(&self) -> bool {
        status::renewed_by(self.watch.as_ref(), &self.namespace).is_some()
    }

    /// Whether the API does not say that it takes what the local secret signs, where another one signed the token.
    pub fn signs_in_vain(&self) -> bool {
        let other = self.api_check.as_ref().and_then(|check| check.other_secret);
        other.is_some_and(|result| result != "accepted")
    }

    /// Whether the API refuses the token.
    pub fn is_refused(&self) -> bool {
        self.api_check.as_ref().is_some_and(|check| check.result == "refused")
    }
}

/// The token that the hook would send.
fn in_force(
    owner: &Owner,
    env: &Env,
    entry_without_record: Option<&Entry>,
    now: i64,
) -> Result<Result<OwnerToken, NoToken>> {
    let insecure = http::Options::from_env(env).insecure;
    let api = owner.checked_api_url(insecure)?;
    Ok(owner_token::find(owner, &api, entry_without_record, now))
}

/// Asks the API about the token; in oss-local mode about its secret, where that is known: the token need not be shown.
fn ask(owner: &Owner, place: &OpenClawHome, env: &Env, token: &SecretString) -> ApiCheck {
    let check = TokenCheck::new(owner, owner.loopback_trust(place), env);
    let api = LocalApi::find(owner, place)
        .ok()
        .filter(|_| owner.mode.value == Mode::OssLocal);
    let secret = api.and_then(|api| api.secret(env).ok().flatten());
    let (own, other): (Vec<_>, Vec<_>) = secret
        .into_iter()
        .partition(|secret| claims::is_signed_by(token, &secret.value));
    let verdict = match own.first() {
        // An API that knows the secret may see the token; it may be another owner's there.
        Some(secret) => match check.secret(&secret.value, time::now()) {
            Verdict::Accepted => match check.token(token) {
                refused @ Verdict::Refused(_) => refused,
                _ => Verdict::Accepted,
            },
            verdict => verdict,
        },
        None => check.token(token),
    };
    let clock_ahead = check.clock_ahead();
    ApiCheck {
        result: verdict.name(),
        text: verdict.to_string(),
        is_strange: match &verdict {
            Verdict::Answered(error) => Some(error.is_strange()),
            _ => None,
        },
        clock_ahead,
        is_anothers: matches!(verdict, Verdict::Refused(_)) && !verdict.is_wrong_signature(),
        other_secret: other.first().map(|secret| match verdict.why_not_checked() {
            Some(_) => verdict.name(),
            None => check.secret(&secret.value, time::now()).name(),
        }),
    }
}

/// The token of a namespace that the hook does not speak for.
pub struct Other {
    /// How it stands.
    pub stored: Stored,
    /// What the API that is recorded for it says; or why that one is not asked, with a step where there is one.
    pub check: Result<(Owner, ApiCheck), (String, Option<String>)>,
    /// What makes or takes a new one.
    pub log_in: String,
}

impl Other {
    /// Asks the API that is recorded for it.
    pub fn of(stored: Stored, place: &OpenClawHome, env: &Env) -> Self {
        let query = OwnerQuery {
            namespace: Some(&stored.namespace),
            ..OwnerQuery::default()
        };
        let owner = settings::owner(&query, env, place);
        let log_in = match &owner {
            Ok(owner) => context::renew_command(owner, place, ""),
            Err(_) => format!("sigilum-authz-notify auth login --namespace {}", stored.namespace),
        };
        let of_error = |error: Error| (error.text(), error.step());
        let check = owner.map_err(of_error).and_then(|owner| {
            let found = in_force(&owner, env, None, time::now()).map_err(of_error)?;
            let found = found.map_err(|no_token| (no_token.to_string(), None))?;
            let check = ask(&owner, place, env, &found.token);
            Ok((owner, check))
        });
        Self { stored, check, log_in }
    }
}

fn paths_of(loose: &[fs::Loose], which: fn(&fs::Loose) -> bool) -> Vec<PathBuf> {
    let loose = loose.iter().filter(|loose| which(loose));
    loose.map(|loose| loose.path.clone()).collect()
}

/// The files of a home with a token, a secret or a record that others may read or may have written, and what OpenClaw
/// loads of ours. The next command that writes beside those that may only be read mends them, but for openclaw.json.
pub fn loose_files(place: &OpenClawHome, env: &Env, owner: Option<&Owner>, entry: Option<&Entry>) -> Vec<fs::Loose> {
    // What stands in the lock decides nothing.
    let mut found = fs::loose(&place.sigilum_dir(), |name| name != "lock");
    let workspace = workspace(place, env, owner);
    found.extend(fs::loose(workspace.dir(), Workspace::is_secret));
    for kind in Kind::ALL {
        // Of a second name of theirs the check of the hook tells; readers are no matter.
        let one_name = |path: &Path| path.symlink_metadata().is_ok_and(|meta| meta.nlink() == 1);
        let installed = fs::loose(&kind.dir(place), |_| true).into_iter();
        found.extend(installed.filter(|file| file.doubt.is_some() && one_name(&file.path)));
    }
    let named = |path: &Path| {
        let folder = path.parent().filter(|folder| *folder != place.sigilum_dir());
        let loose = folder.map(|folder| fs::loose(folder, |name| path.ends_with(name)));
        loose.unwrap_or_default()
    };
    found.extend(owner.iter().flat_map(|owner| named(&owner.token_file)));
    let held = entry.and_then(Entry::token);
    for file in held.iter().flat_map(|token| config::files_with(place, token)) {
        // What stands in the config decides nothing either.
        let readable = named(&file).into_iter().filter(|file| file.is_readable);
        found.extend(readable.map(|file| fs::Loose { doubt: None, ..file }));
    }
    found
}

/// Where this owner's services keep their keys and secrets.
pub fn workspace(place: &OpenClawHome, env: &Env, owner: Option<&Owner>) -> Workspace {
    let checkout = owner.and_then(|owner| Some(owner.source_home.as_ref()?.value.as_path()));
    let found = Workspace::find(env, checkout, &place.home);
    found.unwrap_or_else(|_| Workspace::in_folder(checkout.unwrap_or(&place.home)))
}

fn state(found: &Result<OwnerToken, NoToken>, says: Option<&Inspected>, now: i64) -> State {
    match found.as_ref().map_err(|no_token| &no_token.why) {
        Ok(_) if says.is_some_and(|says| lifetime::is_due(says, now)) => State::Due,
        Ok(_) => State::NotExpired,
        Err(WhyNot::None) => State::Missing,
        Err(WhyNot::Expired(_)) => State::Expired,
        Err(WhyNot::Invalid(_) | WhyNot::OtherNamespace) => State::Invalid,
        Err(WhyNot::OtherApi | WhyNot::UnknownApi | WhyNot::Unreadable(_)) => State::Unusable,
    }
}

fn holds(entry: Option<&Entry>, token: Option<&SecretString>) -> bool {
    let held = entry.and_then(Entry::token);
    held.zip(token)
        .is_some_and(|(held, token)| token.expose_secret() == held.expose_secret())
}

/// Why an entry is left without a token.
fn holds_none(entry: &Entry, token_in_config: Option<bool>, plugin_runs: bool) -> Option<&'static str> {
    match entry.token() {
        Some(_) => None,
        None if !entry.enabled && plugin_runs => Some("holds no token: the plugin reads the token's file"),
        None if !entry.enabled => Some("holds no token: the hook is off"),
        None if token_in_config == Some(true) => None,
        None => Some("holds no token: the hook reads the token's file"),
    }
}
