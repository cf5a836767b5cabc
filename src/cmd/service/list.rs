//! `service list`: the services of a namespace.

use crate::cli::ServiceListArgs;
use crate::cmd::output::{self, write_json, write_line};
use crate::cmd::service::connection;
use crate::cmd::service::options;
use crate::cmd::service::site::{self, Site};
use crate::env::Env;
use crate::error::{Error, ExitCode, OrFail, Result};
use crate::sigilum::gateway::Gateway;
use crate::sigilum::local_db::{Service, ServiceKind};
use serde::Serialize;
use std::collections::HashSet;
use std::io::Write;

/// The `--json` output.
#[derive(Serialize)]
struct Report<'a> {
    namespace: &'a str,
    services: Vec<Line<'a>>,
}

/// One service of it.
#[derive(Serialize)]
struct Line<'a> {
    service_slug: &'a str,
    service_name: &'a str,
    domain: Option<&'a str>,
    description: Option<&'a str>,
    active_api_keys: u64,
    /// `gateway`, `native` or `unknown`
    mode: &'static str,
}

/// Runs the command.
pub fn run(args: &ServiceListArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let site = site::site(&args.common, None, env)?;
    let db = site.read_db()?;
    let services = db.services(site.namespace())?;
    db.close()?;
    options::warn_of_typed_secrets(None, &args.common.gateway);
    let connections = match services.is_empty() {
        true => Ok(Ok(HashSet::new())),
        false => Gateway::ids(&site.target, site.http.clone()),
    };
    let connections = match connections {
        Err(error) if error.code == ExitCode::Usage => return Err(error),
        connections => connections,
    };
    let ids = connections.as_ref().ok().and_then(|reached| reached.as_ref().ok());
    let lines = services.iter().map(|service| Line {
        service_slug: &service.slug,
        service_name: &service.name,
        domain: service.domain.as_deref(),
        description: service.description.as_deref(),
        active_api_keys: service.active_api_keys,
        mode: mode(&site, service, ids),
    });
    let report = Report {
        namespace: site.namespace(),
        services: lines.collect(),
    };
    let is_unknown = report.services.iter().any(|line| line.mode == "unknown");
    match &connections {
        Err(why) | Ok(Err(why)) if is_unknown => note_why(why, "unknown"),
        Err(why) => note_why(why, "those of our own rows"),
        Ok(Err(_)) => {}
        Ok(Ok(ids)) => {
            let at_gateway = report
                .services
                .iter()
                .filter(|line| line.mode == "gateway" && line.active_api_keys > 0);
            let lost = at_gateway
                .map(|line| line.service_slug)
                .filter(|slug| !ids.contains(*slug));
            lost.for_each(|slug| note_lost(slug, args));
        }
    }
    if args.output.json {
        write_json(out, &report)?;
    } else {
        print(&report, out)?;
    }
    Ok(ExitCode::Ok)
}

/// The mode of a service. What the Sigilum gateway says comes first, then what our rows and files tell.
fn mode(site: &Site, service: &Service, connections: Option<&HashSet<String>>) -> &'static str {
    // A connection's id is the slug, so the one of a shared slug is the first namespace's.
    if !service.goes_by_slug {
        return "native";
    }
    let by_rows = || connection::kind(site, service).map(|kind| kind == ServiceKind::Gateway);
    let is_gateway = match connections {
        Some(ids) if ids.contains(&service.slug) => Some(true),
        // Its connection was removed, by us or at the gateway.
        Some(_) => by_rows().or(Some(false)),
        None => by_rows(),
    };
    match is_gateway {
        Some(true) => "gateway",
        Some(false) => "native",
        None => "unknown",
    }
}

/// Says in one short line why the Sigilum gateway's word is missing.
fn note_why(why: &Error, modes_are: &str) {
    let text = why.to_string();
    let lines: Vec<&str> = text.lines().take(2).map(str::trim).collect();
    output::note(format_args!("modes are {modes_are}: {}", lines.join(": ")));
}

/// Says that a service's connection is gone from the Sigilum gateway, where nobody removed the service.
fn note_lost(slug: &str, args: &ServiceListArgs) {
    let add = options::add_connection(slug, &args.common);
    output::note(format_args!(
        "the Sigilum gateway has no connection for {slug} any more, nor what it was like; to make it anew, with the \
         --auth-mode, --upstream-header, --auth-prefix and --upstream-secret-key that it had: {add}"
    ));
}

fn print(report: &Report<'_>, out: &mut dyn Write) -> Result<()> {
    if report.services.is_empty() {
        return write_line(out, format_args!("No services in the namespace {}.", report.namespace));
    }
    let rows: Vec<Vec<String>> = report
        .services
        .iter()
        .map(|line| {
            let text = |text: Option<&str>| text.unwrap_or("-").to_owned();
            vec![
                line.service_slug.to_owned(),
                line.service_name.to_owned(),
                line.mode.to_owned(),
                line.active_api_keys.to_string(),
                text(line.domain),
                text(line.description),
            ]
        })
        .collect();
    output::table(out, &["SLUG", "NAME", "MODE", "KEYS", "DOMAIN", "DESCRIPTION"], &rows)
        .or_fail(ExitCode::Failure, || "could not write to standard output".to_owned())
}
