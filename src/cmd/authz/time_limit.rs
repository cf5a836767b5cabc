//! `approve --for`: whether anybody will take the approval back.

use super::site::Site;
use crate::error::{Error, ExitCode, Result};
use crate::mode::Mode;
use crate::time;
use crate::token::{claims, lifetime};
use crate::watch::status;

/// When an approval of so many seconds is over, Unix seconds.
///
/// # Errors
/// No watcher serves the home, unless `even_without`; or the token that revokes it then will have expired, and nobody
/// renews it.
pub fn until(site: &Site, ids: &str, seconds: i64, even_without: bool) -> Result<i64> {
    let until = time::now().saturating_add(seconds);
    let watcher = status::read(&site.place).filter(|status| status.running);
    let could_not = "could not approve for a time";
    if watcher.is_none() && !even_without {
        let what = format!("{could_not}: no watcher runs for this home, which would take the approval back");
        let start = format!("sigilum-authz-notify watch{}", site.place_flags);
        return Err(Error::new(ExitCode::Failure, what).next(format!(
            "{start}, or add --even-without-watcher: the next watcher takes it back"
        )));
    }
    let mine = |home: &&status::HomeStatus| home.namespace.as_deref() == Some(site.namespace());
    let renewed = match &watcher {
        Some(status) => status
            .homes
            .iter()
            .find(mine)
            .is_some_and(|home| home.next_due_at.is_some()),
        None => site.owner.mode.value == Mode::OssLocal,
    };
    let says = claims::inspect(site.token()).ok();
    match says.as_ref().and_then(lifetime::expires_at) {
        Some(end) if end <= until && !renewed => {
            let left = time::duration(end.saturating_sub(time::now()));
            let what = format!(
                "{could_not}: the owner token expires in {left}, before it would be taken back, and nothing renews it"
            );
            let next = format!(
                "approve for less, or without an end: {}",
                site.command(&format!("authz approve {ids}"))
            );
            Err(Error::new(ExitCode::Token, what).next(next))
        }
        _ => Ok(until),
    }
}
