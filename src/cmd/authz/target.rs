//! Which requests a person means.

use super::site::Site;
use super::text;
use crate::authz::short_id::Typed;
use crate::cli::TargetArgs;
use crate::error::{Error, ExitCode, Result};
use crate::request::AuthorizationRequest;

/// The request of an id, or of the start of one.
pub fn one(site: &Site, word: &str) -> Result<AuthorizationRequest> {
    let found = by_ids(site, &[word.to_owned()])?;
    found.into_iter().next().ok_or_else(|| none(site, word))
}

/// The requests that are named, each once, in that order.
///
/// # Errors
/// One of them is not there, or not clear: then none is taken.
pub fn named(site: &Site, args: &TargetArgs) -> Result<Vec<AuthorizationRequest>> {
    match (&args.service, &args.key) {
        (Some(service), Some(key)) => Ok(vec![by_key(site, service, key)?]),
        _ => by_ids(site, &args.ids),
    }
}

fn by_ids(site: &Site, words: &[String]) -> Result<Vec<AuthorizationRequest>> {
    let mut all = None;
    let mut found: Vec<AuthorizationRequest> = Vec::new();
    for word in words {
        let request = match Typed::parse(word) {
            Typed::Whole(id) => site.request(id)?.ok_or_else(|| none(site, word))?,
            Typed::Start(start) => {
                let all = match &mut all {
                    Some(all) => all,
                    none => none.insert(site.all_requests(None)?),
                };
                only(site, start, all)?
            }
            Typed::Invalid => {
                let what = format!("could not use {word:?}: it is no id, nor the first 11 characters of one");
                return Err(Error::new(ExitCode::Usage, what).next(site.command("authz list --status all")));
            }
        };
        if !found.contains(&request) {
            found.push(request);
        }
    }
    Ok(found)
}

fn only(site: &Site, start: &str, all: &[AuthorizationRequest]) -> Result<AuthorizationRequest> {
    let begins = |request: &&AuthorizationRequest| request.id().is_some_and(|id| id.starts_with(start));
    let found: Vec<&AuthorizationRequest> = all.iter().filter(begins).collect();
    match found[..] {
        [] => Err(none(site, start)),
        [one] => Ok(one.clone()),
        _ => Err(unclear(start, &found)),
    }
}

fn by_key(site: &Site, service: &str, key: &str) -> Result<AuthorizationRequest> {
    let all = site.all_requests(Some(service))?;
    let bare = |text: &str| {
        text.split_once(':')
            .map_or(text.to_owned(), |(_, bare)| bare.to_owned())
    };
    let is_meant = |request: &&AuthorizationRequest| {
        let is = |known: &str| known == key || (!key.contains(':') && bare(known) == key);
        request.service.as_deref() == Some(service) && request.public_key.as_deref().is_some_and(is)
    };
    // There is one row for a service and a key; what is typed without its kind may be that of two keys.
    let found: Vec<&AuthorizationRequest> = all.iter().filter(is_meant).collect();
    if let [one] = found[..] {
        return Ok(one.clone());
    }
    let (key, service) = (text::shown(key), text::shown(service));
    if found.is_empty() {
        let namespace = site.namespace();
        let what =
            format!("could not find a request of the key {key} for the service {service} in namespace {namespace}");
        return Err(Error::new(ExitCode::Failure, what).next(site.command("authz list --status all")));
    }
    Err(unclear(&format!("the key {key} for the service {service}"), &found))
}

fn unclear(named: &str, found: &[&AuthorizationRequest]) -> Error {
    let ids: Vec<&str> = found.iter().filter_map(|request| request.id()).collect();
    let what = format!(
        "could not use {named}: {} requests fit: {}",
        found.len(),
        ids.join(", ")
    );
    Error::new(ExitCode::Usage, what).next("give the whole id")
}

fn none(site: &Site, word: &str) -> Error {
    let what = format!("could not find the request {word} in namespace {}", site.namespace());
    Error::new(ExitCode::Failure, what).next(site.command("authz list --status all"))
}
