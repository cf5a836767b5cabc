//! `service remove`: delete a service's keys, connection, files, row and requests.

use crate::cli::ServiceRemoveArgs;
use crate::cmd::prompt;
use crate::cmd::service::connection::{self, Look};
use crate::cmd::service::options;
use crate::cmd::service::report;
use crate::cmd::service::site::{self, Site, Steps};
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::sigilum::local_db::{ApiKey, LocalDb, Slot};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// What the command did.
#[derive(Serialize)]
struct Report {
    namespace: String,
    service_slug: String,
    revoked_keys: usize,
    connection_deleted: bool,
    removed_files: Vec<PathBuf>,
    /// How many requests went with the service's row; `null`: the row was to be kept.
    deleted_requests: Option<usize>,
    #[serde(serialize_with = "report::as_told")]
    notes: Vec<String>,
}

/// What there is to remove.
struct Found {
    slot: Slot,
    keys: Vec<ApiKey>,
    /// Whether the row stays, and so do the requests.
    keeps_row: bool,
    /// The gateway, if it has the connection.
    gateway: Option<Look>,
    files: Vec<PathBuf>,
    notes: Vec<String>,
}

/// Runs the command.
pub fn run(args: &ServiceRemoveArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    options::check_slug(args.slug.get())?;
    if !args.yes && !prompt::may_ask() {
        return Err(Error::new(
            ExitCode::Usage,
            "could not ask whether to remove the service: there is no terminal",
        )
        .next("add --yes"));
    }
    let site = site::site(&args.common, None, env)?;
    options::warn_of_typed_secrets(None, &args.common.gateway);
    let mut lock = site.lock()?;
    let db = site.open_db()?;
    let mut found = find(&site, &db, args)?;
    if !args.yes {
        // Nobody shall wait for a person's answer.
        drop(lock.take());
        if !confirmed(&site, &found)? {
            return Err(Error::new(ExitCode::Failure, "nothing was removed"));
        }
        lock = site.lock()?;
        found = find(&site, &db, args)?;
    }
    let done = found.remove(&site, db)?;
    drop(lock);
    report::print(&done, out, args.output.json)
}

fn find(site: &Site, db: &LocalDb, args: &ServiceRemoveArgs) -> Result<Found> {
    let slug = args.slug.get();
    let slot = db.slot(site.namespace(), slug)?;
    let keys = db.active_keys(&slot.id)?;
    // Connection and upstream secret go by the slug alone: they are ours only if the slug is.
    let by_slug = slot.file_stem == slot.slug;
    let mut files = vec![
        site.workspace.key_file(&slot.file_stem),
        site.workspace.key_file(&report::next_stem(&slot)),
    ];
    if by_slug {
        files.push(site.workspace.upstream_secret_file(slug));
        files.push(connection::journal_file(site, slug));
    }
    files.retain(|file| std::fs::symlink_metadata(file).is_ok());
    if slot.service.is_none() && files.is_empty() {
        return Err(Error::new(
            ExitCode::Failure,
            format!(
                "could not remove the service: {} has no service {slug}",
                site.namespace()
            ),
        )
        .next("sigilum-authz-notify service list"));
    }
    let mut notes = Vec::new();
    let gateway = match connection::served(site, &slot, &mut notes) {
        Err(gone) if gone.code == ExitCode::Unreachable && args.force => {
            let first = gone.text().lines().next().unwrap_or_default().to_owned();
            notes.push(format!("{first}; the connection {slug}, if it has one, stays there"));
            None
        }
        Err(gone) if gone.code == ExitCode::Unreachable => {
            return Err(gone.told(|step| format!("{step}; where it is gone for good, add --force")));
        }
        served => served?,
    };
    if gateway.is_none() && connection::is_native(site, &slot) {
        notes.push(format!(
            "{slug} {}: its own settings still hold the API key, which is worth nothing now",
            connection::IS_NATIVE
        ));
    }
    Ok(Found {
        slot,
        keys,
        keeps_row: args.keep,
        gateway,
        files,
        notes,
    })
}

impl Found {
    /// What is to be done, a line each.
    fn lines(&self, site: &Site) -> Vec<String> {
        let mut lines = vec![format!(
            "revoke {} active service key{} of {}",
            self.keys.len(),
            if self.keys.len() == 1 { "" } else { "s" },
            site.namespace()
        )];
        if let Some(look) = &self.gateway {
            lines.push(format!(
                "delete the connection {} at {}",
                self.slot.slug,
                look.gateway.place()
            ));
        }
        let removed = |file: &PathBuf| format!("remove {}", file.display());
        lines.extend(self.files.iter().map(removed));
        if !self.keeps_row {
            let (slug, database) = (&self.slot.slug, site.database.display());
            lines.push(format!("delete the service {slug} and its requests in {database}"));
        }
        lines
    }

    /// Removes it all; the row last, by which an interrupted removal is found again.
    fn remove(self, site: &Site, mut db: LocalDb) -> Result<Report> {
        let mut steps = Steps::new(self.lines(site));
        let revoked = steps.run(|| Ok(db.revoke_keys(&self.slot.id, None)?))?;
        let mut connection_deleted = false;
        if let Some(look) = &self.gateway {
            connection_deleted = steps.run(|| look.gateway.delete(&look.slug))?;
        }
        let mut removed_files = Vec::new();
        for file in self.files {
            if steps.run(|| site.workspace.remove(&file))? {
                removed_files.push(file);
            }
        }
        let mut deleted_requests = None;
        if !self.keeps_row {
            deleted_requests = Some(steps.run(|| Ok(db.delete_service(site.namespace(), &self.slot)?))?);
        }
        db.close()?;
        Ok(Report {
            namespace: site.namespace().to_owned(),
            service_slug: self.slot.slug,
            revoked_keys: revoked.len(),
            connection_deleted,
            removed_files,
            deleted_requests,
            notes: self.notes,
        })
    }
}

fn confirmed(site: &Site, found: &Found) -> Result<bool> {
    let lines = found.lines(site).into_iter().map(|line| format!("  - {line}\n"));
    let lines: String = lines.collect();
    prompt::confirm(&format!("{lines}Remove the service {}?", found.slot.slug))
}

impl report::Report for Report {
    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn title(&self) -> String {
        format!("Service {} of {}: removed", self.service_slug, self.namespace)
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![report::row("keys", format!("{} revoked", self.revoked_keys))];
        if self.connection_deleted {
            rows.push(report::row("connection", "deleted".to_owned()));
        }
        let removed = |file: &PathBuf| report::row("file", format!("removed: {}", file.display()));
        rows.extend(self.removed_files.iter().map(removed));
        rows.push(match self.deleted_requests {
            Some(requests) => report::row("requests", format!("{requests} deleted")),
            None => report::row("row", "kept, and so are its requests".to_owned()),
        });
        rows
    }
}
