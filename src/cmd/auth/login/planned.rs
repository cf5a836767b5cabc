//! What a dry run says: each file and folder that the login would make or change, and those that would stay.

use super::{Login, NewToken, report, stored};
use crate::cli::LoginArgs;
use crate::cmd::hook_entry::EntryDone;
use crate::error::Result;
use crate::fs;
use crate::home::OpenClawHome;
use crate::token::record;
use secrecy::ExposeSecret;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The lines of a dry run.
struct Planned {
    lines: Vec<String>,
    /// The folders of what would be written.
    folders: BTreeSet<PathBuf>,
}

impl Planned {
    /// A file, and whether its bytes would be others.
    fn file(&mut self, label: &str, path: &Path, changes: bool) {
        let would = match (path.exists(), changes) {
            (false, _) => "would make",
            (true, true) => "would change",
            (true, false) => "unchanged:",
        };
        self.line(label, format_args!("{would} {}", path.display()));
        self.folders.extend(path.parent().map(Path::to_owned));
    }

    /// A file that would hold this.
    fn holding(&mut self, label: &str, path: &Path, bytes: &[u8]) {
        let is = std::fs::read(path).ok();
        self.file(label, path, is.as_deref() != Some(bytes));
    }

    fn line(&mut self, label: &str, text: impl std::fmt::Display) {
        let label = if label.is_empty() {
            String::new()
        } else {
            format!("{label}:")
        };
        self.lines.push(format!("{label:<15}{text}"));
    }

    /// The folders that would be made, the outermost first.
    fn new_folders(&self) -> BTreeSet<&Path> {
        let all = self.folders.iter().flat_map(|folder| folder.ancestors());
        all.filter(|folder| !folder.as_os_str().is_empty() && !folder.exists())
            .collect()
    }
}

impl Login {
    /// What the login itself would be refused, as others could replace what it writes, or it may not write there.
    pub(super) fn refuse_what_cannot_be_written(&self, place: &OpenClawHome) -> Result<()> {
        fs::refuse_to_lock_sigilum(place)?;
        let of_token = self.owner.token_file.parent();
        let of_database = match &self.token {
            // A checkout has rules of its own.
            NewToken::Signed(api, _) if api.checkout.is_none() && !api.database.exists() => api.database.parent(),
            _ => None,
        };
        let mut folders = [of_token, of_database].into_iter().flatten();
        folders.try_for_each(fs::refuse_to_write_in)
    }

    /// What a dry run says; `edited` is what became of a try to edit openclaw.json.
    pub(super) fn planned(
        &self,
        args: &LoginArgs,
        edited: Option<&EntryDone>,
        place: &OpenClawHome,
    ) -> Result<Vec<String>> {
        let mut planned = Planned {
            lines: Vec::new(),
            folders: BTreeSet::new(),
        };
        // It holds who has it.
        planned.file("Lock", &place.sigilum_dir().join("lock"), true);
        if !place.home.exists() {
            planned.file("Mark", &place.made_home_file(), true);
        }
        self.plan_token(&mut planned);
        if let Some(former) = self.goes(place) {
            planned.line("Former token", format_args!("would remove {}", former.display()));
        }
        let record = place.record_file(&self.owner.namespace.value);
        planned.holding("Record", &record, &record::text(&record, self.record())?);
        for file in self.hook.program(place)? {
            planned.file("Program", &file, true);
        }
        if let Some(text) = self.hook.text(place)? {
            planned.holding("Hook's record", &place.hook_record_file(), &text);
        }
        if let Some(text) = self.hook.would_speak(&self.owner.namespace.value) {
            planned.line("Hook", text);
        }
        self.plan_config(&mut planned, edited, (args, place));
        let title = "Nothing is written. A login".to_owned();
        let folder = |folder: &Path| format!("{:<15}would make {}", "Folder:", folder.display());
        let folders: Vec<String> = planned.new_folders().into_iter().map(folder).collect();
        Ok([vec![title], folders, planned.lines].concat())
    }

    fn plan_token(&self, planned: &mut Planned) {
        let file = &self.owner.token_file;
        match &self.token {
            NewToken::Given(given) => {
                let same =
                    stored(&self.owner).is_some_and(|stored| stored.expose_secret() == given.token.expose_secret());
                planned.file("Token file", file, !same);
            }
            NewToken::Signed(api, secret) => {
                planned.file("Token file", file, true);
                if secret.is_new {
                    planned.file("Secret", &api.secret_file, true);
                }
                planned.file("Database", &api.database, api.changes_database(&self.owner));
                if !api.keeps(secret) {
                    let origin = &secret.origin;
                    planned.line(
                        "Renewal",
                        format_args!(
                            "none: nobody keeps the secret (from {origin}), so nothing would renew this token"
                        ),
                    );
                }
            }
        }
    }

    fn plan_config(
        &self,
        planned: &mut Planned,
        edited: Option<&EntryDone>,
        (args, place): (&LoginArgs, &OpenClawHome),
    ) {
        const CONFIG: &str = "openclaw.json";
        let Some(done) = edited else {
            let reason = self.config_skipped.as_deref().unwrap_or_default();
            return planned.line(CONFIG, format_args!("left alone, {reason}"));
        };
        match &done.outcome.not_written {
            Some(why) => planned.line(
                CONFIG,
                format_args!("not written, {why}; what it needs: --dry-run --json"),
            ),
            None if done.outcome.patch.0.is_empty() => {
                planned.line(CONFIG, format_args!("nothing to change in {}", place.config.display()));
            }
            None => {
                planned.file("Undo record", &place.undo_file(), true);
                for file in &done.outcome.files {
                    planned.file(CONFIG, file, true);
                }
            }
        }
        planned.line("Entry", "hooks.internal.entries[\"sigilum-authz-notify\"]");
        planned.line(
            "",
            match (done.hook_is_off, done.holds_token) {
                (true, _) => report::hook_is_off(args, place),
                (false, true) => "the token would stand in the token file and in openclaw.json".to_owned(),
                (false, false) => "the token would stand in the token file alone".to_owned(),
            },
        );
    }
}
