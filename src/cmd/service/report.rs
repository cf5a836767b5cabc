//! What the service commands tell: as JSON, or as a table for people.

use crate::cmd::output;
use crate::cmd::service::acts::{Act, ActContext, Acts, Outcome, Source};
use crate::cmd::service::connection;
use crate::error::{Error, ExitCode, OrFail, Result};
use crate::sigilum::gateway::{Connection, KeyDelivery, Wanted, same_url};
use crate::sigilum::local_db::{ApiKey, Change, Slot};
use crate::sigilum::secrets::mask;
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;

/// What `service add` did.
#[derive(Serialize)]
pub(super) struct AddReport {
    pub namespace: String,
    pub owner_email: String,
    pub service_slug: String,
    pub service_name: String,
    pub domain: Option<String>,
    pub description: Option<String>,
    /// `native` or `gateway`
    pub mode: &'static str,
    pub service_id: String,
    /// What became of its row: `created`, `updated`, `unchanged`.
    pub service: &'static str,
    /// Masked, unless asked for whole.
    pub service_key: String,
    /// `created` or `reused`
    pub service_key_state: &'static str,
    pub service_key_file: PathBuf,
    pub database: PathBuf,
    pub other_active_keys: Vec<OtherKey>,
    pub other_keys_revoked: bool,
    /// `null` in native mode.
    pub gateway: Option<GatewayReport>,
    #[serde(serialize_with = "as_told")]
    pub notes: Vec<String>,
}

/// A key of the service that is not the one in its file.
#[derive(Serialize)]
pub(super) struct OtherKey {
    pub id: String,
    pub name: String,
    pub prefix: String,
    pub created_at: String,
}

impl From<&ApiKey> for OtherKey {
    fn from(key: &ApiKey) -> Self {
        Self {
            id: key.id.clone(),
            name: key.name.clone(),
            prefix: key.prefix.clone(),
            created_at: key.created_at.clone(),
        }
    }
}

impl OtherKey {
    /// Its line for people.
    pub fn row(&self, label: &str) -> Vec<String> {
        let Self {
            id,
            name,
            prefix,
            created_at,
        } = self;
        row(label, format!("{prefix} of {created_at}, {name} ({id})"))
    }
}

/// What became of the Sigilum gateway's connection.
#[derive(Serialize)]
pub(super) struct GatewayReport {
    /// Where the gateway is.
    pub gateway: String,
    /// `created`, `recreated`, `secret_rotated`, `updated`, in the order of their doing.
    pub actions: Vec<&'static str>,
    pub connection: Option<Connection>,
    /// The key of the secret that was set, if one was.
    pub secret_key: Option<String>,
    /// Masked, unless asked for whole.
    pub secret: Option<String>,
    pub secret_source: Option<Source>,
    /// The file that holds this secret, if one does.
    pub secret_file: Option<PathBuf>,
    /// Whether the gateway has taken the service key.
    pub service_key_delivered: bool,
}

impl GatewayReport {
    /// Gathers it.
    pub fn new(at: &ActContext<'_>, acts: &Acts, outcome: &Outcome, reveal: bool) -> Self {
        let known = acts.secret.as_ref().map(|(secret, _)| secret).into_iter();
        let known: Vec<&SecretString> = known.chain(&at.site.target.admin_token).collect();
        let secret_key = acts.list.iter().find_map(|act| match act {
            Act::Create(new) => Some(new.auth_secret_key.clone()),
            Act::Rotate(key) => Some(key.clone()),
            _ => None,
        });
        let source = acts.secret.as_ref().map(|(_, source)| *source);
        let in_file = acts.list.contains(&Act::StoreSecret) || source == Some(Source::Stored);
        Self {
            gateway: at.look.gateway.place(),
            actions: outcome.actions.clone(),
            connection: outcome.connection.as_ref().map(|is| without(is, &known)),
            secret_key: secret_key.filter(|_| source.is_some()),
            secret: acts.secret.as_ref().map(|(secret, _)| shown(secret, reveal)),
            secret_source: source,
            secret_file: in_file.then(|| at.site.workspace.upstream_secret_file(&at.look.slug)),
            service_key_delivered: outcome.key_delivery == Some(KeyDelivery::Written),
        }
    }

    /// What the person should know of the connection as it is now.
    pub fn notes(&self, wanted: &Wanted) -> Vec<String> {
        let Some(connection) = &self.connection else {
            return Vec::new();
        };
        let mut notes: Vec<String> = connection::secret_not_set(connection).into_iter().collect();
        notes.extend(not_as_wanted(connection, wanted));
        notes
    }

    /// Its lines for people.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        if let Some(connection) = &self.connection {
            let did = if self.actions.is_empty() {
                "unchanged".to_owned()
            } else {
                self.actions.join(", ").replace('_', " ")
            };
            rows.push(row(
                "connection",
                format!(
                    "{did}: {}, {} in {}, at {}",
                    connection.base_url, connection.auth_mode, connection.auth_header_name, self.gateway
                ),
            ));
        }
        if let (Some(key), Some(secret)) = (&self.secret_key, &self.secret) {
            let source = match self.secret_source {
                Some(Source::Given) | None => "given",
                Some(Source::Stored) => "from its file",
                Some(Source::Generated) => "generated",
            };
            let file = match &self.secret_file {
                Some(file) => format!(", in {}", file.display()),
                None => ", in no file".to_owned(),
            };
            rows.push(row("secret", format!("{key} = {secret} ({source}){file}")));
        }
        rows
    }
}

/// A connection as it may be shown. The gateway never puts a secret into one; whoever answers in its place might.
fn without(connection: &Connection, secrets: &[&SecretString]) -> Connection {
    fn mask_in(value: &mut Value, secret: &SecretString) {
        match value {
            Value::String(text) => *text = text.replace(secret.expose_secret(), &mask(secret)),
            Value::Array(values) => values.iter_mut().for_each(|value| mask_in(value, secret)),
            Value::Object(members) => members.values_mut().for_each(|value| mask_in(value, secret)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let Ok(mut value) = serde_json::to_value(connection) else {
        return connection.clone();
    };
    // A shorter one would be found in words that have nothing to do with it.
    for secret in secrets.iter().filter(|secret| secret.expose_secret().len() >= 8) {
        mask_in(&mut value, secret);
    }
    serde_json::from_value(value).unwrap_or_else(|_| connection.clone())
}

/// What the gateway made of it, where that is not what was asked for.
fn not_as_wanted(is: &Connection, wanted: &Wanted) -> Vec<String> {
    let mut notes = Vec::new();
    let mut differs = |what: &str, want: Option<&str>, is: &str| {
        if want.is_some_and(|want| want != is) {
            notes.push(format!("the Sigilum gateway kept the connection's {what} {is:?}"));
        }
    };
    differs("auth mode", wanted.auth_mode, &is.auth_mode);
    differs("header", wanted.header.as_deref(), &is.auth_header_name);
    differs("prefix", wanted.prefix.as_deref(), &is.auth_prefix);
    differs("secret key", wanted.secret_key.as_deref(), &is.auth_secret_key);
    let url = wanted.base_url.as_deref().filter(|url| !same_url(url, &is.base_url));
    differs("base URL", url, &is.base_url);
    notes
}

impl Report for AddReport {
    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn title(&self) -> String {
        format!(
            "Service {} ({}) of {}: {}",
            self.service_slug, self.mode, self.namespace, self.service
        )
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let file = self.service_key_file.display();
        let mut rows = vec![
            row("owner", self.owner_email.clone()),
            row("name", self.service_name.clone()),
            row("database", self.database.display().to_string()),
            row(
                "service key",
                format!("{} ({}), in {file}", self.service_key, self.service_key_state),
            ),
        ];
        let what = if self.other_keys_revoked {
            "revoked key"
        } else {
            "other key"
        };
        rows.extend(self.other_active_keys.iter().map(|other| other.row(what)));
        rows.extend(self.gateway.iter().flat_map(GatewayReport::rows));
        rows
    }
}

/// What a command did: JSON, or a line and rows for people.
pub(super) trait Report: Serialize {
    /// What the person should know besides.
    fn notes(&self) -> &[String];
    /// What was done, in a line.
    fn title(&self) -> String;
    /// The rest.
    fn rows(&self) -> Vec<Vec<String>>;
}

/// Notes in JSON, in the words of those that people read.
pub(super) fn as_told<S: Serializer>(notes: &[String], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(notes.iter().map(output::noted))
}

/// Prints it.
pub(super) fn print(report: &impl Report, out: &mut dyn Write, json: bool) -> Result<ExitCode> {
    report.notes().iter().for_each(output::note);
    if json {
        output::write_json(out, report)?;
    } else {
        output::write_line(out, report.title())?;
        output::table(out, &["", ""], &report.rows())
            .or_fail(ExitCode::Failure, || "could not write to standard output".to_owned())?;
    }
    Ok(ExitCode::Ok)
}

/// A line of a report for people.
pub(super) fn row(label: &str, value: String) -> Vec<String> {
    vec![format!("  {label}"), value]
}

/// A secret as it is shown.
pub(super) fn shown(secret: &SecretString, reveal: bool) -> String {
    if reveal {
        secret.expose_secret().to_owned()
    } else {
        mask(secret)
    }
}

/// `created`, `updated` or `unchanged`.
pub(super) fn change(change: Change) -> &'static str {
    match change {
        Change::Created => "created",
        Change::Updated => "updated",
        Change::Unchanged => "unchanged",
    }
}

/// The stem of the file that holds a new service key until it is in force everywhere.
pub(super) fn next_stem(slot: &Slot) -> String {
    format!("{}.next", slot.file_stem)
}

/// Where a service stands in a database that does not exist yet.
pub(super) fn first_slot(slug: &str) -> Slot {
    Slot {
        slug: slug.to_owned(),
        service: None,
        taken_by: None,
        file_stem: slug.to_owned(),
        id: format!("svc_local_{slug}"),
    }
}

/// The refusal of the gateway's services for a slug that another namespace has.
pub(super) fn taken(slug: &str, other: &str, is_new: bool) -> Error {
    let taken = Error::new(
        ExitCode::Failure,
        format!(
            "could not use the Sigilum gateway for {slug}: the slug is a service of the namespace {other}, and the \
             gateway knows a connection by its slug alone"
        ),
    );
    match is_new {
        true => taken.next("choose another --service-slug, or use --mode native"),
        false => taken.next(format!(
            "if that service is meant, give its namespace: --namespace {other}"
        )),
    }
}

/// Before a secret goes onto the command line of the gateway's CLI.
pub(super) fn warn_of_cli() {
    output::warn(
        "the Sigilum gateway is stopped: its CLI takes the secret on its command line, where other users of this \
         machine may see it for a moment",
    );
}
