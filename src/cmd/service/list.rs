//! `service list`: the services of a namespace.

use crate::cli::ServiceListArgs;
use crate::cmd::output::{self, note, write_json, write_line};
use crate::cmd::service::options;
use crate::cmd::service::site;
use crate::env::Env;
use crate::error::{ExitCode, OrFail, Result};
use crate::sigilum::gateway::Gateway;
use crate::sigilum::local_db::{LocalDb, Service};
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
    let db = LocalDb::open_read_only(&site.database)?;
    let services = db.services(site.namespace())?;
    db.close()?;
    options::warn_of_typed_secrets(None, &args.common.gateway);
    let connections = if services.is_empty() { None } else { connections(&site)? };
    let report = Report {
        namespace: site.namespace(),
        services: services
            .iter()
            .map(|service| line(service, connections.as_ref()))
            .collect(),
    };
    if args.output.json {
        write_json(out, &report)?;
    } else {
        print(&report, out)?;
    }
    Ok(ExitCode::Ok)
}

/// The ids of the Sigilum gateway's connections, which are slugs; `None` where it does not say.
fn connections(site: &site::Site) -> Result<Option<HashSet<String>>> {
    match Gateway::ids(&site.target, site.http.clone()) {
        Ok(ids) => Ok(Some(ids)),
        Err(error) if error.code == ExitCode::Usage => Err(error),
        Err(error) => {
            let text = error.to_string();
            let why: Vec<&str> = text
                .lines()
                .map(str::trim)
                .filter(|line| !line.starts_with("next: "))
                .collect();
            note(format_args!("modes are unknown: {}", why.join("; ")));
            Ok(None)
        }
    }
}

fn line<'a>(service: &'a Service, connections: Option<&HashSet<String>>) -> Line<'a> {
    // A connection's id is the slug, so the one of a shared slug is the first namespace's.
    let mode = match connections {
        _ if !service.goes_by_slug => "native",
        None => "unknown",
        Some(ids) if ids.contains(&service.slug) => "gateway",
        Some(_) => "native",
    };
    Line {
        service_slug: &service.slug,
        service_name: &service.name,
        domain: service.domain.as_deref(),
        description: service.description.as_deref(),
        active_api_keys: service.active_api_keys,
        mode,
    }
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
