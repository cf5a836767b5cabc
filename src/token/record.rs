//! What a login leaves behind for `hook run` and `watch`: `<home>/.sigilum/owner-<namespace>.json`, 0600.

use crate::error::{Error, ExitCode, OrFail, Result};
use crate::fs::{self, OwnLock};
use crate::home::OpenClawHome;
use crate::hook_record::{self, HookRecord};
use crate::mode::Mode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A record is a handful of short strings; anything larger is not one.
const MAX_BYTES: u64 = 64 * 1024;

/// The owner that was logged in, and where its token came from. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// managed or oss-local.
    pub mode: Mode,
    /// The API's base URL, without a trailing slash; the token is sent to no other origin.
    pub api_url: String,
    /// The owner's e-mail.
    pub email: String,
    /// oss-local: the Sigilum source checkout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_home: Option<PathBuf>,
    /// oss-local: the API's database, where it is neither the checkout's nor, without one, our own in this home.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_db: Option<PathBuf>,
    /// The token's file, where it is not this home's `owner-token-<namespace>.jwt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// The token may go to whoever listens at the API's loopback address: the API runs as another user.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trust_loopback: bool,
    /// oss-local: the life of the tokens that are signed here, in seconds, where a person chose one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
}

impl Record {
    /// The token's file of this namespace.
    pub fn token_file(&self, place: &OpenClawHome, namespace: &str) -> PathBuf {
        self.token_file.clone().unwrap_or_else(|| place.token_file(namespace))
    }

    /// The database that is recorded for the local API; `None` where the checkout has it, or there is no local API.
    pub fn api_db(&self, place: &OpenClawHome) -> Option<PathBuf> {
        let ours = || (self.mode == Mode::OssLocal && self.source_home.is_none()).then(|| place.embedded_db());
        self.api_db.clone().or_else(ours)
    }

    /// Whether the local API's database and secret are our own, in the home, as far as the record names them.
    pub fn is_embedded(&self) -> bool {
        self.mode == Mode::OssLocal && self.source_home.is_none() && self.api_db.is_none()
    }

    /// The same record without the paths that are `is_default` anyway: a home that was moved or copied acts on itself.
    fn without(mut self, is_default: impl Fn(&Path) -> bool) -> Self {
        // Version 0.1.0 kept a blank at its end.
        self.api_url.truncate(self.api_url.trim_end().len());
        self.token_file = self.token_file.filter(|path| !is_default(path));
        // Beside a checkout its own database is the default, and ours a choice.
        if self.source_home.is_none() {
            self.api_db = self.api_db.filter(|path| !is_default(path));
        }
        self
    }

    /// Gives the files and folders that it names other names.
    fn rename(&mut self, name: impl Fn(&Path) -> PathBuf) {
        let named = [&mut self.token_file, &mut self.api_db, &mut self.source_home];
        for path in named.into_iter().flatten() {
            *path = name(path);
        }
    }
}

/// The names of the default token file and of our own database, for a record's own name.
fn default_names(path: &Path) -> [String; 2] {
    let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    let namespace = name.strip_prefix("owner-").unwrap_or_default();
    [format!("owner-token-{namespace}.jwt"), "local-api.sqlite".to_owned()]
}

/// How records are written now: without the paths that are this home's defaults (2), and with other paths in the home
/// told from there (3).
const FORMAT: u32 = 3;

/// A record as it stands in its file.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// Absent in what version 0.1.0 wrote.
    #[serde(default)]
    format: u32,
    #[serde(flatten)]
    record: Record,
}

/// The record in a file; `None` where there is none. In a record of version 0.1.0, which wrote the absolute paths of the
/// home as it then stood, a path that ends as a home's defaults do counts as the default of this one.
pub fn read(path: &Path) -> Result<Option<Record>> {
    let record = read_to_move(path)?;
    if let Some(record) = &record {
        refuse_paths_of_others(record, path)?;
    }
    Ok(record)
}

/// The same for who only moves it: what it names in another user's home may be anybody's, and is not to be used.
pub fn read_to_move(path: &Path) -> Result<Option<Record>> {
    let Some(bytes) = fs::read_record(path, MAX_BYTES, anew)? else {
        return Ok(None);
    };
    let names = default_names(path);
    let is_default = |path: &Path| {
        names
            .iter()
            .any(|name| path.ends_with(Path::new(".sigilum").join(name)))
    };
    // serde_json's message may quote the file; its line and column are enough.
    let stored = serde_json::from_slice::<Stored>(&bytes).map_err(|error| {
        Error::new(
            ExitCode::Failure,
            format!(
                "could not read the record, line {} column {}: {}",
                error.line(),
                error.column(),
                path.display()
            ),
        )
        .next(format!(
            "rm {} && {}",
            fs::quoted(path),
            log_in_again(path, &bytes, true)
        ))
    })?;
    let mut record = stored.record.without(|path| stored.format < 2 && is_default(path));
    if let Some(home) = path.parent().and_then(Path::parent) {
        record.rename(|named| home.join(named));
    }
    Ok(Some(record))
}

/// In another user's home whoever wrote the record may have named our own files in it.
fn refuse_paths_of_others(record: &Record, path: &Path) -> Result<()> {
    let home = path.parent().and_then(Path::parent);
    let Some((home, uid)) = home.and_then(|home| Some((home, fs::another_user(home)?))) else {
        return Ok(());
    };
    let named = [&record.token_file, &record.source_home, &record.api_db];
    let Some(others) = named.into_iter().flatten().find(|named| !fs::is_of(named, uid)) else {
        return Ok(());
    };
    let what = format!(
        "could not use the record of another user's home, it names a file that is not that user's (number {uid}): {}",
        others.display()
    );
    // The login would go on with the recorded one.
    let own_file = match record.token_file.as_ref() == Some(others) {
        true => format!(
            " --token-file {}",
            fs::quoted(&OpenClawHome::at(home.to_owned()).token_file(namespace_of(path)))
        ),
        false => String::new(),
    };
    Err(Error::new(ExitCode::Failure, what).next(format!(
        "the home's owner runs: sigilum-authz-notify auth login --namespace {} --openclaw-home {}{own_file}",
        namespace_of(path),
        fs::quoted(home)
    )))
}

/// What to do about a record that somebody else may have written.
pub fn anew(path: &Path) -> String {
    let text = fs::read_capped(path, MAX_BYTES).ok().flatten().unwrap_or_default();
    fs::remake(path, &log_in_again(path, &text, false))
}

/// What is not known where a record is there and cannot be read: a login may have been told another token file.
pub fn unknown_token_file(path: &Path) -> Option<String> {
    read_to_move(path).err()?;
    Some(format!(
        "the login's record cannot be read, so {UNKNOWN_FILE}: {}",
        path.display()
    ))
}

/// The token is good until it expires, and perhaps in no file of the home.
const UNKNOWN_FILE: &str = "the token file that was recorded is not known, and one may be left";

/// The namespace that a record's file is named after.
fn namespace_of(path: &Path) -> &str {
    let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    name.strip_prefix("owner-").unwrap_or_default()
}

/// The login in place of a damaged record, as far as that can be read. Who else may have written it decides nothing: which
/// of the two modes it names is worth a guess (that of a home that signs, where it names none), and its API is for the
/// person to look at.
fn log_in_again(path: &Path, damaged: &[u8], believed: bool) -> String {
    let text = String::from_utf8_lossy(damaged);
    let home = path.parent().and_then(Path::parent).unwrap_or(Path::new(""));
    let place = OpenClawHome::at(home.to_owned());
    let signs = || place.jwt_secret_file().exists();
    let is_local = text.contains(Mode::OssLocal.as_str()) || (!text.contains(Mode::Managed.as_str()) && signs());
    let mode = if is_local { Mode::OssLocal } else { Mode::Managed };
    let hook = hook_record::read(&place.hook_record_file()).ok().flatten();
    let is_others = |hook: HookRecord| hook.namespace.is_some_and(|hook| hook != namespace_of(path));
    let keeps_hook = match hook.is_some_and(is_others) {
        true => " --write-openclaw false",
        false => "",
    };
    let log_in = mode.login_command(namespace_of(path)) + keeps_hook;
    let is_url = |url: &String| url.starts_with("http") && url.bytes().all(|byte| byte.is_ascii_graphic());
    let api = member(&text, "api_url").filter(is_url);
    let flag = |name: &str, value: &str| format!(" {name} {}", fs::quoted(value.as_ref()));
    let step = match api {
        Some(api) if believed => {
            let paths = [
                ("--source-home", "source_home"),
                ("--api-db", "api_db"),
                ("--token-file", "token_file"),
            ];
            let paths = paths
                .iter()
                .filter_map(|(name, key)| Some(flag(name, home.join(member(&text, key)?).to_str()?)));
            log_in + &flag("--api-url", &api) + &paths.collect::<String>()
        }
        Some(api) => format!("{log_in} --api-url {API}; the file names {api}, which others may have written"),
        None => format!("{log_in} --api-url {API}"),
    };
    match believed && member(&text, "token_file").is_some() {
        true => step,
        false => format!("{step}; {UNKNOWN_FILE}"),
    }
}

/// What only the person knows: no token is to go to another API than before.
const API: &str = "<the API of before>";

/// A text of a record that may be damaged elsewhere.
fn member(record: &str, name: &str) -> Option<String> {
    let (_, rest) = record.split_once(&format!("\"{name}\""))?;
    let value = rest.trim_start().strip_prefix(':')?;
    serde_json::Deserializer::from_str(value).into_iter().next()?.ok()
}

/// The record as it is written to `path`: what is a default there anyway is left out.
pub fn as_written(path: &Path, record: Record) -> Record {
    let folder = path.parent().unwrap_or(Path::new(""));
    let names = default_names(path);
    record.without(|path| names.iter().any(|name| path == folder.join(name)))
}

/// Replaces the record.
pub fn write(lock: &OwnLock, path: &Path, record: Record) -> Result<()> {
    lock.write_private(path, &text(path, record)?)?;
    Ok(())
}

/// The record as it stands in its file.
pub fn text(path: &Path, record: Record) -> Result<Vec<u8>> {
    let what = || format!("could not write the record: {}", path.display());
    let mut record = as_written(path, record);
    if let Some(home) = path.parent().and_then(Path::parent) {
        record.rename(|named| named.strip_prefix(home).unwrap_or(named).to_owned());
    }
    let stored = Stored { format: FORMAT, record };
    let mut bytes = serde_json::to_vec_pretty(&stored).or_fail(ExitCode::Failure, what)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The namespaces that have a record or a default token file in our folder, sorted.
pub fn namespaces(sigilum_dir: &Path) -> Result<BTreeSet<String>> {
    let what = || format!("could not list the folder: {}", sigilum_dir.display());
    let entries = match std::fs::read_dir(sigilum_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(fs::failed_as(ExitCode::Failure, what(), sigilum_dir, error)),
    };
    let mut found = BTreeSet::new();
    for entry in entries {
        let name = entry.or_fail(ExitCode::Failure, what)?.file_name();
        let Some(name) = name.to_str() else { continue };
        let token = name
            .strip_prefix("owner-token-")
            .and_then(|rest| rest.strip_suffix(".jwt"));
        let record = name.strip_prefix("owner-").and_then(|rest| rest.strip_suffix(".json"));
        found.extend(token.or(record).map(str::to_owned));
    }
    Ok(found)
}

/// The namespace whose record was written last, by the file's time and then by name; `None` where there is no record.
pub fn written_last(sigilum_dir: &Path) -> Result<Option<String>> {
    let written = |namespace: String| {
        let file = sigilum_dir.join(format!("owner-{namespace}.json"));
        let time = std::fs::symlink_metadata(file).and_then(|meta| meta.modified()).ok()?;
        Some((time, namespace))
    };
    let last = namespaces(sigilum_dir)?.into_iter().filter_map(written).max();
    Ok(last.map(|(_, namespace)| namespace))
}

/// Whether version 0.1.0 wrote each record; one that cannot be read does not count.
pub fn all_of_first_version(sigilum_dir: &Path) -> bool {
    let is_later = |namespace: &String| {
        let file = sigilum_dir.join(format!("owner-{namespace}.json"));
        let bytes = fs::read_record(&file, MAX_BYTES, anew).ok().flatten();
        let stored = bytes.and_then(|bytes| serde_json::from_slice::<Stored>(&bytes).ok());
        stored.is_some_and(|stored| stored.format > 0)
    };
    !namespaces(sigilum_dir).unwrap_or_default().iter().any(is_later)
}

/// The only namespace that has a record or a token file, if there is exactly one.
pub fn only_namespace(sigilum_dir: &Path) -> Result<Option<String>> {
    let mut found = namespaces(sigilum_dir)?;
    Ok(if found.len() == 1 { found.pop_first() } else { None })
}
