//! What a login means for the hook: for whom it speaks from now on, and whether the token stands in openclaw.json.

use crate::cli::LoginArgs;
use crate::cmd::auth::accept::Action;
use crate::cmd::choice::{Choice, Speaks, installed};
use crate::cmd::own_program;
use crate::error::Result;
use crate::fs::OwnLock;
use crate::home::OpenClawHome;
use crate::hook_record;
use crate::openclaw::entry::{Enable, Entry};
use std::path::PathBuf;

/// The plan of one login. Nothing is written before [`HookPlan::write`].
pub(super) struct HookPlan {
    /// The hook's entry, as it stands.
    pub entry: Option<Entry>,
    choice: Choice,
    speaks: Speaks,
    /// Whether the hook's record is written at all.
    writes: bool,
}

impl HookPlan {
    /// What is known before the owner is: `auth login` takes over what a home of version 0.1.0 keeps in the entry.
    pub fn read(action: Action, place: &OpenClawHome, entry: Option<Entry>) -> Result<Self> {
        let choice = match action {
            Action::Login => Choice::of(place, entry.as_ref())?,
            Action::Refresh => Choice::recorded(place)?,
        };
        Ok(Self {
            entry,
            choice,
            speaks: Speaks::ForIt,
            writes: action == Action::Login,
        })
    }

    /// The namespace that is taken over from the entry, where one is.
    pub fn adopted_namespace(&self) -> Option<&str> {
        self.choice.adopted_namespace()
    }

    /// Decides for whom the hook speaks, which may ask a person, and where the token stands.
    pub fn settle(&mut self, args: &LoginArgs, action: Action, namespace: &str, place: &OpenClawHome) -> Result<()> {
        let current = self.choice.record.namespace.clone();
        let is_first = current.is_none();
        let may_change = action == Action::Login && args.write_openclaw;
        self.speaks = match current {
            Some(current) if current != namespace && !may_change => Speaks::Still(current),
            _ => self.choice.speak_for(namespace, place)?,
        };
        if self.config_is_anothers().is_some() {
            return Ok(());
        }
        self.writes |= is_first || args.token_in_config.is_some();
        if !self.writes {
            return Ok(());
        }
        // What is not written holds nothing: only what was typed counts.
        let enable = match args.write_openclaw && place.read_only.is_none() {
            true => args.enable_authz_notify.unwrap_or(Enable::Preserve),
            false => Enable::False,
        };
        let installed = || Ok(installed(place)?.is_some());
        self.choice
            .settle_token_place(args.token_in_config, enable, self.entry.as_ref(), installed)
    }

    /// Whether the token is to stand in openclaw.json; `None`: nobody chose.
    pub fn token_in_config(&self) -> Option<bool> {
        self.choice.record.token_in_config
    }

    /// For whom else the hook speaks, so that openclaw.json is none of this login's.
    pub fn config_is_anothers(&self) -> Option<&str> {
        match &self.speaks {
            Speaks::Still(other) => Some(other),
            Speaks::ForIt | Speaks::NoLongerFor(_) => None,
        }
    }

    /// For whom the hook would speak, where that is not simply whoever logs in.
    pub fn would_speak(&self, namespace: &str) -> Option<String> {
        match &self.speaks {
            Speaks::ForIt => None,
            Speaks::NoLongerFor(other) => Some(format!("would speak for {namespace}, no longer for {other}")),
            Speaks::Still(other) => Some(format!("would still speak for {other}")),
        }
    }

    /// Writes the hook's record.
    pub fn write(&self, place: &OpenClawHome, lock: &OwnLock) -> Result<()> {
        let Some(choice) = self.record(place)? else {
            return Ok(());
        };
        if let Some(binary) = &choice.record.binary {
            own_program::keep(binary, place, lock)?;
        }
        choice.write(place, lock)
    }

    /// What is written; `None` where nothing is. What another command of ours has chosen meanwhile stays.
    fn record(&self, place: &OpenClawHome) -> Result<Option<Choice>> {
        if !self.writes {
            return Ok(None);
        }
        let settled = &self.choice.record;
        let recorded = hook_record::read(&place.hook_record_file())?;
        let mut choice = Choice::from(recorded.unwrap_or_else(|| settled.clone()));
        choice.record.namespace.clone_from(&settled.namespace);
        choice.record.token_in_config = settled.token_in_config;
        choice.note_binary(place);
        Ok(Some(choice))
    }

    /// What the login would write beside the hook's record: the copy of a program that goes away.
    pub fn program(&self, place: &OpenClawHome) -> Result<Vec<PathBuf>> {
        let binary = self.record(place)?.and_then(|choice| choice.record.binary);
        binary.map_or_else(|| Ok(Vec::new()), |binary| own_program::would_keep(&binary, place))
    }

    /// The text of the hook's record after the login; `None` where it is not written.
    pub fn text(&self, place: &OpenClawHome) -> Result<Option<Vec<u8>>> {
        let choice = self.record(place)?;
        let text = |choice: Choice| hook_record::text(&place.hook_record_file(), &choice.record);
        choice.map(text).transpose()
    }

    /// What a person should know.
    pub fn lines(&self, args: &LoginArgs, namespace: &str) -> Vec<String> {
        let speaks = self.speaks.text(namespace, &args.place);
        let lines = speaks.map(|text| format!("Hook:          {text}")).into_iter();
        let told = self.choice.told().map(|text| format!("Taken over:    {text}"));
        lines.chain(told).collect()
    }
}
