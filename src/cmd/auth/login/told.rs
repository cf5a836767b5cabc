//! What a person is told before a login does anything: of what they typed, of a broken record, of an entry that is there.

use super::given::Given;
use crate::cli::LoginArgs;
use crate::cmd::{context, output};
use crate::error::{Error, ExitCode, Result};
use crate::home::OpenClawHome;
use crate::local_token::LocalApi;
use crate::openclaw::entry::Entry;
use crate::origin::Origin;
use crate::settings::{Owner, Sourced};
use crate::text;
use crate::token::record;

/// An owner who is in the database keeps their e-mail: the token has it, and so has the record.
pub(super) fn keep_the_email(owner: &mut Owner, api: &LocalApi) {
    let Some(kept) = api.known_email(&owner.namespace.value) else {
        return;
    };
    let Sourced { value, origin } = &mut owner.email;
    if matches!(origin, Origin::Flag(_) | Origin::Env(_)) && *value != kept {
        output::note(format_args!(
            "the owner of {} is in the database with the e-mail {}, and keeps it: {origin} changes nothing",
            owner.namespace.value,
            text::plain(&kept)
        ));
    }
    *value = kept;
}

pub(super) fn tell_of_doubts(given: &Given, args: &LoginArgs, now: i64) {
    given.says.doubts(now).into_iter().for_each(output::warn);
    if args.ttl_seconds.is_some() {
        output::warn("--ttl-seconds changes nothing: the token was given, and says itself how long it lives");
    }
}

/// What a record that cannot be read said of the API is lost: a token that a person hands over goes to no other one by
/// default.
pub(super) fn tell_of_a_broken_record(owner: &Owner, token: Option<&Given>, place: &OpenClawHome) -> Result<()> {
    let Err(error) = record::read(&place.record_file(&owner.namespace.value)) else {
        return Ok(());
    };
    if token.is_some() && owner.api_url.origin == Origin::Default {
        let what = format!("could not tell which API the token is for, {}", error.text());
        let url = &owner.api_url.value;
        return Err(
            Error::new(ExitCode::Failure, what).next(format!("add --api-url <url>; the hosted Sigilum's is {url}"))
        );
    }
    output::warn(format_args!(
        "{}; nothing that stands in it counts, and this login writes it anew, for {}",
        error.text(),
        owner.api_url.value
    ));
    Ok(())
}

/// Where nobody has logged in yet, an entry that is there may name another API. Nothing goes there unless a person says
/// so.
pub(super) fn tell_of_the_entrys_api(owner: &Owner, place: &OpenClawHome, entry: Option<&Entry>) {
    if !context::nobody_is_there(owner, place) {
        return;
    }
    let Some(url) = entry.and_then(Entry::api_url).map(|url| url.trim_end_matches('/')) else {
        return;
    };
    let mode = entry.and_then(Entry::mode).unwrap_or("managed");
    if (url, mode) != (owner.api_url.value.as_str(), owner.mode.value.as_str()) {
        output::note(format_args!(
            "the hook's entry in openclaw.json names another API than this login; to log in to that one: \
             --mode {mode} --api-url {url}"
        ));
    }
}
