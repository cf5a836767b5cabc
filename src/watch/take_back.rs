//! An approval whose time is over, revoked with the token of its own namespace.

use super::log::one_line;
use crate::authz::decide::Desk;
use crate::authz::timed::TimedApproval;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::home::OpenClawHome;
use crate::mode::Mode;
use crate::owner_token;
use crate::settings::{self, Owner, OwnerQuery};
use crate::sigilum::api::Api;
use crate::sigilum::http::{self, Http, Url};
use crate::text;
use std::time::Duration;

/// How long the API may take for each of two requests: homes wait, and a watcher that is to end.
const BUDGET: Duration = Duration::from_secs(2);

/// How long to wait for another process that is deciding: there is a next try.
const PATIENCE: Duration = Duration::from_millis(300);

/// The mode of a login at its API: that of the login that there is, where both APIs are on this machine or neither is.
fn mode_of(approval: &TimedApproval, owner: &Owner) -> Mode {
    let is_here = |url: &str| Url::parse(url).is_ok_and(|url| http::is_this_machine(&url));
    let here = is_here(&approval.api);
    match (&owner.record, here) {
        (Some(record), _) if is_here(&record.api_url) == here => record.mode,
        (_, true) => Mode::OssLocal,
        (_, false) => Mode::Managed,
    }
}

/// The login with which it can be taken back; the hook goes on for whom it speaks.
fn log_in(approval: &TimedApproval, mode: Mode, api: &str, place: &OpenClawHome) -> String {
    let keeps_hook = settings::keeps_hook(place, &approval.namespace);
    format!("{}{api}{keeps_hook}", mode.login_command(&approval.namespace))
}

/// Takes it back; `false` where it does not stand any more. `now`: Unix seconds.
pub(super) fn take_back(approval: &TimedApproval, place: &OpenClawHome, env: &Env, now: i64) -> Result<bool> {
    let query = OwnerQuery {
        namespace: Some(&approval.namespace),
        ..OwnerQuery::default()
    };
    let owner = settings::owner(&query, env, place)?;
    let http = Http::new(http::Options::from_env(env));
    let url = http::check_url(&owner.api_url.value, http.options().insecure);
    let url = url
        .ok()
        .filter(|url| url.origin().ascii_serialization() == approval.api);
    let no_token = |why: &str, mode: Mode, api: &str| {
        let what = format!("could not revoke {}: {why}", approval.claim_id);
        Error::new(ExitCode::Token, what).next(log_in(approval, mode, api, place) + &place.flags(env))
    };
    let (Some(url), Some(_)) = (url, &owner.record) else {
        // Where a token goes is for the person to say, not for the list.
        let why = format!(
            "no login is recorded for its namespace and API, {}",
            text::one_line(&approval.api)
        );
        return Err(no_token(
            &why,
            mode_of(approval, &owner),
            " --api-url <the API of the approval>",
        ));
    };
    let found = owner_token::find(&owner, &url, None, now);
    let found = found.map_err(|why| no_token(&why.to_string(), owner.mode.value, ""))?;
    let api = Api {
        http: &http,
        url: &url,
        namespace: &approval.namespace,
        trust: owner.loopback_trust(place),
    };
    let desk = Desk {
        place,
        api: &api,
        token: &found.token,
        by: fs::account_name(),
        budget: BUDGET,
        patience: PATIENCE,
    };
    let taken = desk.take_back(approval).map_err(|stopped| {
        let what = format!("could not revoke {}", approval.claim_id);
        Error::new(stopped.code(), what).because(anyhow::Error::msg(stopped.to_string()))
    })?;
    let Some(decided) = taken else {
        return Ok(false);
    };
    if let Some(error) = &decided.unlogged {
        tracing::warn!(home = %place.home.display(), "not all of a decision is recorded: {}", one_line(error));
    }
    Ok(true)
}
