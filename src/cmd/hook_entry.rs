//! The hook's entry in openclaw.json, as a login or a switch of the namespace leaves it.

use crate::cmd::choice;
use crate::cmd::together::Together;
use crate::error::{ExitCode, Result};
use crate::fs;
use crate::home::OpenClawHome;
use crate::hook_record;
use crate::openclaw::config::{self, EditOptions, EditOutcome};
use crate::openclaw::entry::{self, Enable, Wanted};
use crate::openclaw::hook_files::Kind;
use crate::settings::Owner;
use secrecy::SecretString;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

/// What the entry is to say.
pub struct EntryEdit<'a> {
    /// For whom the hook speaks.
    pub owner: &'a Owner,
    /// Their token, where there is one.
    pub token: Option<&'a SecretString>,
    /// Whether it stands in the entry; `None`, nobody chose: only where the one that it replaces stands.
    pub token_in_config: Option<bool>,
    /// The token that was stored before it.
    pub replaces: Option<&'a SecretString>,
    /// On, off, or as it is.
    pub enable: Enable,
    /// Go on where which other hooks run would change, or OpenClaw itself must write.
    pub force: bool,
    /// How long OpenClaw's lock is held (tests).
    pub hold_lock: Duration,
}

/// What became of openclaw.json.
pub struct EntryDone {
    /// The edit.
    pub outcome: EditOutcome,
    /// What a person should know.
    pub notes: Vec<String>,
    /// Whether the hook's entry is off, and so got no token.
    pub hook_is_off: bool,
    /// Whether the token stands in openclaw.json then.
    pub holds_token: bool,
}

impl EntryEdit<'_> {
    /// Edits openclaw.json, and does what is to change with it, unless a lock stayed held; without that it is a dry run.
    pub fn run(&self, place: &OpenClawHome, together: Option<&Together<'_>>) -> Result<EntryDone> {
        let installs = entry::installs(&place.home);
        let (mut notes, mut holds_token, mut hook_is_off) = (Vec::new(), false, false);
        let first = || together.map_or(Ok(()), Together::run);
        let options = EditOptions {
            dry_run: together.is_none(),
            force: self.force,
            own_lock: together.map(|together| together.lock),
            first: Some(&first),
            hold_lock: self.hold_lock,
            ..EditOptions::default()
        };
        let edited = config::edit(place, &options, &mut |ask| {
            let wanted = Wanted {
                namespace: &self.owner.namespace.value,
                api_url: &self.owner.api_url.value,
                mode: self.owner.mode.value.as_str(),
                token: self.token,
                token_in_config: self.token_in_config,
                barred: ask.barred,
                replaces: self.replaces,
                enable: match (self.enable, entry::find(ask.value)?) {
                    // The patch that its install printed is not in the config yet: this one says the same.
                    (Enable::Preserve, None) if ask.by_hand.is_some() => installed(place),
                    (enable, _) => enable,
                },
                open_dir: &place.hook_dir(),
                force: self.force,
                keep_length: ask.keep_length,
            };
            let planned = entry::wanted(ask.value, &wanted, &installs)?;
            // Without an entry it was left out, and the plugin needs none.
            let is_needless = !planned.has_entry && choice::plugin_runs(place) == Some(true);
            notes = if is_needless { Vec::new() } else { planned.notes };
            holds_token = planned.holds_token;
            hook_is_off = entry::find(&planned.value)?.is_some_and(|entry| !entry.enabled && entry.token().is_none());
            Ok(planned.value)
        });
        if !matches!(&edited, Err(error) if error.code == ExitCode::LockHeld) {
            first()?;
        }
        let outcome = edited?;
        notes.extend(outcome.notes.iter().cloned());
        // An edit makes the file private. Where none is needed nothing is written, and the person is told.
        if let Some(token) = self.token.filter(|_| holds_token && outcome.patch.0.is_empty()) {
            let is_open = |file: &PathBuf| file.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0);
            let open = config::files_with(place, token).into_iter().filter(is_open);
            notes.extend(open.map(|file| {
                let step = fs::chmod("chmod 600", &file);
                format!("others may read this file, and it holds the token: {step}")
            }));
        }
        Ok(EntryDone {
            holds_token: holds_token && outcome.not_written.is_none(),
            outcome,
            notes,
            hook_is_off,
        })
    }
}

/// What the install of the hook chose, where the hook is installed.
fn installed(place: &OpenClawHome) -> Enable {
    let is_hook = matches!(choice::installed(place), Ok(Some(Kind::Hook)));
    let is_off = || hook_record::read(&place.hook_record_file()).is_ok_and(|record| record.is_some_and(|it| it.off));
    match is_hook && !is_off() {
        true => Enable::True,
        false => Enable::Preserve,
    }
}
