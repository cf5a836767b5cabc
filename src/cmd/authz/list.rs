//! `authz list`: the requests of a namespace.

use super::show::overdue;
use super::site::{self, MOST, Site};
use super::text;
use crate::authz::short_id::short;
use crate::authz::timed;
use crate::broker::protocol::List;
use crate::cli::{AuthzListArgs, ListedStatus};
use crate::cmd::broker::remote::Remote;
use crate::cmd::context;
use crate::cmd::hook::answer::read_seen;
use crate::cmd::output::{self, write_json, write_line};
use crate::env::Env;
use crate::error::{Error, ExitCode, OrFail, Result};
use crate::local_token::LocalApi;
use crate::mode::Mode;
use crate::request::{AuthorizationRequest, Pending, STATUSES, Which};
use crate::sigilum::api::ApiError;
use crate::sigilum::http::HttpError;
use crate::sigilum::local_db::LocalDb;
use crate::time;
use clap::ValueEnum;
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

/// How often Sigilum looks which requests have run out.
const EVERY: i64 = 900;

/// The `--json` output.
#[derive(Serialize)]
struct Report<'a> {
    requests: Vec<Line<'a>>,
    /// How many there are at least, read or not.
    total: u64,
    /// How many of them are too long to be read.
    too_long: u64,
    /// No request is missing.
    complete: bool,
}

impl<'a> Report<'a> {
    /// Of what was found, by status.
    fn of(requests: Vec<Line<'a>>, found: &[(&str, Pending)]) -> Self {
        let all = || found.iter().map(|(_, requests)| requests);
        Self {
            requests,
            total: all().map(|requests| requests.count().0).sum(),
            too_long: all().map(|requests| requests.too_long).sum(),
            complete: all().all(Pending::is_all),
        }
    }
}

/// One request. Times are RFC 3339.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    request: &'a AuthorizationRequest,
    /// Enough of the id to tell it from the others here.
    short_id: Option<&'a str>,
    /// The owner has read it in a notice; only of pending ones.
    shown: Option<bool>,
    /// An older request that was made again.
    again: bool,
    /// When a notice first had it; only of pending ones.
    first_seen_at: Option<String>,
    /// When it runs out, unless it is answered; only of pending ones.
    expires_at: Option<String>,
    /// When it is taken back; only of approved ones.
    until: Option<String>,
    #[serde(skip)]
    asked: String,
    #[serde(skip)]
    left: String,
}

/// Runs the command.
pub fn run(args: &AuthzListArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let asked = List {
        status: args.status.as_str().to_owned(),
        service: args.service.clone(),
        json: args.output.json,
    };
    let place = context::place(&args.owner.place, env)?;
    if let Some(remote) = Remote::of_person(&place, env, args.owner.namespace.as_deref())? {
        return remote.print("list", json!(asked), out);
    }
    let site = Site::open(&args.owner, env)?;
    let mut notes = Vec::new();
    let printed = print(&site, &asked, &mut notes, out);
    notes.iter().for_each(output::note);
    printed.map(|()| ExitCode::Ok)
}

/// Prints what is asked for; what there is to say beside it are notes.
///
/// # Errors
/// The API could not be asked; there is no such status.
pub fn print(site: &Site, asked: &List, notes: &mut Vec<String>, out: &mut dyn Write) -> Result<()> {
    let listed = ListedStatus::from_str(&asked.status, false).map_err(|_| {
        Error::new(
            ExitCode::Usage,
            format!("could not list requests: there is no status {:?}", asked.status),
        )
    })?;
    let statuses: &[&str] = match listed {
        ListedStatus::All => &STATUSES,
        one => &STATUSES[one as usize..=one as usize],
    };
    let mut found = Vec::new();
    for status in statuses {
        let requests = read(site, status, asked.service.as_deref(), notes)?;
        site.refuse_none_of_some(status, &requests)?;
        if !requests.is_all_but_too_long() {
            let (count, _) = requests.count();
            notes.push(format!(
                "of at least {count} {status} requests only {} could be read",
                requests.requests.len()
            ));
        }
        notes.extend(site::too_long(status, &requests));
        found.push((*status, requests));
    }
    let timed = timed::read(&site.place).unwrap_or_else(|error| {
        notes.push(format!("until when approvals stand is not known: {error}"));
        Vec::new()
    });
    let until: BTreeMap<String, i64> = timed
        .into_iter()
        .map(|approval| (approval.claim_id, approval.until))
        .collect();
    let ids: BTreeSet<&str> = found
        .iter()
        .flat_map(|(_, all)| &all.requests)
        .filter_map(AuthorizationRequest::id)
        .collect();
    let now_ms = time::now_ms();
    let mut lines = Vec::new();
    for (status, requests) in &found {
        lines.extend(lines_of(site, status, requests, &ids, now_ms));
    }
    for line in lines.iter_mut().filter(|line| line.request.is("approved")) {
        let over = line.request.id().and_then(|id| until.get(id));
        line.until = over.map(|at| time::rfc3339(*at));
        line.left = over.map_or_else(
            || "no end".to_owned(),
            |at| overdue(*at).unwrap_or_else(|| time::duration(at.saturating_sub(now_ms / 1000))),
        );
    }
    match asked.json {
        true => write_json(out, &Report::of(lines, &found)),
        false if lines.is_empty() && found.iter().any(|(_, requests)| requests.too_long > 0) => write_line(
            out,
            format_args!("No request of namespace {} could be read.", site.namespace()),
        ),
        false => table(site, &lines, listed, out),
    }
}

/// The requests of a status; from the local database where no local API runs, as in a notice.
fn read(site: &Site, status: &str, service: Option<&str>, notes: &mut Vec<String>) -> Result<Pending> {
    let error = match site.requests(status, service) {
        Ok(requests) => return Ok(requests),
        Err(error) => error,
    };
    let stopped = matches!(error, ApiError::Http(HttpError::Refused | HttpError::Listener(_)));
    if !stopped || site.owner.mode.value != Mode::OssLocal {
        return Err(site.not_asked(error));
    }
    let which = Which {
        status,
        service,
        most: MOST,
    };
    match in_database(site, &which) {
        Ok(Some(requests)) => {
            notes.push(format!(
                "{error}: read from the local database; nothing can be decided until the API runs"
            ));
            Ok(requests)
        }
        Ok(None) | Err(_) => Err(site.not_asked(error)),
    }
}

/// What stands in the local database, as [`LocalApi::requests`].
fn in_database(site: &Site, which: &Which) -> Result<Option<Pending>> {
    let api = LocalApi::find(&site.owner, &site.place)?;
    api.requests(&LocalDb::open_read_only(&api.database)?, site.namespace(), which)
}

fn lines_of<'a>(
    site: &Site,
    status: &'a str,
    requests: &'a Pending,
    ids: &BTreeSet<&str>,
    now_ms: i64,
) -> Vec<Line<'a>> {
    let seen = read_seen(&site.place.seen_file());
    let whose = format!("{} at {}", site.namespace(), site.origin());
    let pending = status == "pending";
    let now = now_ms.div_euclid(1000);
    let mut lines = Vec::new();
    for listed in seen.list(&whose, requests, now_ms) {
        let request = listed.request;
        let created = request.created();
        let ago = |at: i64| format!("{} ago", time::duration(now.saturating_sub(at).max(0)));
        let first_seen = listed.first_seen.div_euclid(1000);
        let expires = request.runs_out().filter(|_| pending);
        lines.push(Line {
            request,
            short_id: request.id().map(|id| short(id, ids)),
            shown: pending.then_some(listed.shown),
            again: pending && listed.again,
            first_seen_at: pending.then(|| time::rfc3339(first_seen)),
            expires_at: expires.map(|at| time::rfc3339(at.max(now))),
            until: None,
            asked: match (pending && listed.again, listed.shown, created) {
                (true, _, _) => format!("again, first seen {}", ago(first_seen)),
                (false, false, Some(at)) if pending => format!("new, {}", ago(at)),
                (false, _, Some(at)) => ago(at),
                (false, _, None) => "-".to_owned(),
            },
            left: expires.map_or_else(|| "-".to_owned(), |at| left(at.saturating_sub(now))),
        });
    }
    lines
}

/// How long a pending one lives. What is over ends when Sigilum next looks.
fn left(seconds: i64) -> String {
    match seconds {
        ..=0 => format!("under {}", time::duration(EVERY)),
        _ => time::duration(seconds),
    }
}

fn table(site: &Site, lines: &[Line], status: ListedStatus, out: &mut dyn Write) -> Result<()> {
    if lines.is_empty() {
        let what = match status {
            ListedStatus::Pending => "Nothing waits for approval".to_owned(),
            ListedStatus::All => "No requests".to_owned(),
            one => format!("No {} requests", STATUSES[one as usize]),
        };
        return write_line(out, format_args!("{what} in namespace {}.", site.namespace()));
    }
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            let request = line.request;
            vec![
                line.short_id.unwrap_or("-").to_owned(),
                text::cell(request.status.as_deref()),
                text::cell(request.service.as_deref()),
                text::cell(request.subject.as_deref()),
                text::cell(request.agent()),
                text::key(request.public_key.as_deref()),
                text::cell(request.agent_ip.as_deref()),
                line.asked.clone(),
                line.left.clone(),
            ]
        })
        .collect();
    let headers = [
        "ID", "STATUS", "SERVICE", "SUBJECT", "AGENT", "KEY", "IP", "ASKED", "LIVES",
    ];
    // What an owner compares; all else tells no request from another.
    output::table_of_whole(out, &headers, &rows, &["SERVICE", "KEY"])
        .or_fail(ExitCode::Failure, || "could not write to standard output".to_owned())
}
