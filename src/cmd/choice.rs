//! What a person chose for the hook of a home, as a login, a switch or an install leaves it in `.sigilum/hook.json`: whom
//! the hook speaks for, and whether the token stands in openclaw.json.

use crate::cli::PlaceArgs;
use crate::cmd::{context, own_program, prompt};
use crate::error::Result;
use crate::fs::OwnLock;
use crate::home::OpenClawHome;
use crate::hook::event::sender_ids;
use crate::hook_record::{self, Groups, HookRecord};
use crate::openclaw::entry::{Enable, Entry};
use crate::openclaw::hook_files::{self, Kind, program_copy};
use crate::openclaw::{config, plugin_package};
use crate::settings;
use crate::token::record;
use clap::ValueEnum;

/// The choices of a home, and where they are from.
#[derive(Default)]
pub struct Choice {
    /// The hook's record, or what it begins with.
    pub record: HookRecord,
    /// What was taken over from the entry in openclaw.json.
    adopted: HookRecord,
    /// Its entry says `full` for groups, and nobody recorded that.
    leaves_groups: bool,
}

impl From<HookRecord> for Choice {
    fn from(record: HookRecord) -> Self {
        Self {
            record,
            ..Self::default()
        }
    }
}

impl Choice {
    /// The record; in a home of version 0.1.0, which has none but where somebody is logged in, what the entry says,
    /// taken once and told: namespace (where it is logged in), where the token stands, senders and groups. Where a later
    /// version's record is lost, an agent may have written the entry since: it does not open the notice to groups.
    pub fn of(place: &OpenClawHome, entry: Option<&Entry>) -> Result<Self> {
        if let Some(record) = hook_record::read(&place.hook_record_file())? {
            return Ok(Self::from(record));
        }
        let Some(newest) = record::written_last(&place.sigilum_dir())? else {
            return Ok(Self::default());
        };
        let mut choice = Self {
            record: HookRecord {
                namespace: Some(newest),
                ..HookRecord::default()
            },
            ..Self::default()
        };
        if let Some(entry) = entry {
            choice.adopt(place, entry);
        }
        Ok(choice)
    }

    /// The record as it is, or the namespace that the hook speaks for without one. Nothing is taken over.
    pub fn recorded(place: &OpenClawHome) -> Result<Self> {
        let (namespace, mut record) = settings::hook_namespace(place)?;
        record.namespace = namespace.map(|namespace| namespace.value);
        Ok(Self::from(record))
    }

    fn adopt(&mut self, place: &OpenClawHome, entry: &Entry) {
        let logged_in = |namespace: &&str| place.record_file(namespace).exists();
        let groups = entry
            .var("SIGILUM_NOTIFY_GROUPS")
            .and_then(|text| Groups::from_str(text, true).ok());
        let is_old = || record::all_of_first_version(&place.sigilum_dir());
        self.leaves_groups = groups == Some(Groups::Full) && !is_old();
        let of_entry = HookRecord {
            namespace: entry.namespace().filter(logged_in).map(str::to_owned),
            token_in_config: entry.enabled.then(|| entry.token().is_some()),
            senders: entry.var("SIGILUM_NOTIFY_SENDERS").map(sender_ids),
            groups: groups.filter(|_| !self.leaves_groups),
            ..HookRecord::default()
        };
        let newest = self.record.namespace.take();
        self.record = of_entry.clone();
        self.record.namespace = self.record.namespace.take().or(newest);
        self.adopted = of_entry;
    }

    /// Has the hook speak for this namespace. Where it speaks for another one that is logged in, a person at a terminal
    /// decides; elsewhere the last login wins.
    pub fn speak_for(&mut self, namespace: &str, place: &OpenClawHome) -> Result<Speaks> {
        let Some(current) = self.record.namespace.clone().filter(|current| current != namespace) else {
            self.record.namespace = Some(namespace.to_owned());
            return Ok(Speaks::ForIt);
        };
        let logged_in = place.record_file(&current).exists();
        let question = || format!("The hook speaks for {current}. Shall it speak for {namespace} from now on?");
        if logged_in && prompt::may_ask() && !prompt::confirm(&question())? {
            return Ok(Speaks::Still(current));
        }
        self.record.namespace = Some(namespace.to_owned());
        Ok(match logged_in {
            true => Speaks::NoLongerFor(current),
            false => Speaks::ForIt,
        })
    }

    /// Notes where the token is to stand from now on.
    ///
    /// What was typed or recorded counts. Else it stays in an entry that holds one, and goes into one that is on where
    /// no hook of ours is `installed`, which would read the token's file. While the hook is off, nothing is noted.
    pub fn settle_token_place(
        &mut self,
        typed: Option<bool>,
        enable: Enable,
        entry: Option<&Entry>,
        installed: impl FnOnce() -> Result<bool>,
    ) -> Result<()> {
        let on = match enable {
            Enable::True => true,
            Enable::False => false,
            Enable::Preserve => entry.is_some_and(|entry| entry.enabled),
        };
        let place = match typed.or(self.record.token_in_config) {
            None if on => Some(entry.is_some_and(|entry| entry.token().is_some()) || !installed()?),
            known => known,
        };
        self.record.token_in_config = place;
        Ok(())
    }

    /// The namespace that was taken over from the entry, where one was.
    pub fn adopted_namespace(&self) -> Option<&str> {
        let adopted = self.adopted.namespace.as_deref();
        adopted.filter(|adopted| self.record.namespace.as_deref() == Some(adopted))
    }

    /// Whether who reads the notice was taken over.
    pub fn adopts_readers(&self) -> bool {
        self.adopted.senders.is_some() || self.adopted.groups.is_some()
    }

    /// What was taken over, in words; empty where nothing was. What was typed instead is not in it.
    pub fn adopted_text(&self) -> String {
        let (adopted, now) = (&self.adopted, &self.record);
        let mut words = Vec::new();
        if let Some(namespace) = self.adopted_namespace() {
            words.push(format!("namespace {namespace}"));
        }
        if let Some(holds) = adopted
            .token_in_config
            .filter(|_| adopted.token_in_config == now.token_in_config)
        {
            words.push(format!("token in openclaw.json: {}", if holds { "yes" } else { "no" }));
        }
        if let Some(senders) = adopted.senders.as_ref().filter(|_| adopted.senders == now.senders) {
            words.push(format!("senders {}", senders.join(", ")));
        }
        if let Some(groups) = adopted.groups.filter(|_| adopted.groups == now.groups) {
            words.push(format!("groups {}", groups.as_str()));
        }
        if self.leaves_groups && now.groups.is_none() {
            words.push("not its groups full, for which: sigilum-authz-notify hook install --groups full".to_owned());
        }
        words.join("; ")
    }

    /// What was taken over, in words that follow "taken over".
    pub fn told(&self) -> Option<String> {
        let adopted = self.adopted_text();
        (!adopted.is_empty()).then(|| format!("from openclaw.json, once, into .sigilum/hook.json: {adopted}"))
    }

    /// Notes this program as the one that OpenClaw's side starts, where none is noted that is there.
    pub fn note_binary(&mut self, place: &OpenClawHome) {
        let recorded = self.record.binary.as_ref();
        let known = recorded.is_some_and(|binary| binary.is_file() && program_copy::stays(binary, place));
        if !known {
            self.record.binary = own_program::lasting(place).ok();
        }
    }

    /// Writes the record.
    pub fn write(&self, place: &OpenClawHome, lock: &OwnLock) -> Result<()> {
        hook_record::write(lock, &place.hook_record_file(), &self.record)
    }
}

/// For whom the hook speaks after a login.
#[derive(Debug, PartialEq, Eq)]
pub enum Speaks {
    /// For whoever logged in, as before or for the first time.
    ForIt,
    /// For whoever logged in, and no longer for this one.
    NoLongerFor(String),
    /// For this one, as before.
    Still(String),
}

impl Speaks {
    /// What a person should know, where there is something, in words that follow "the hook"; `place` are the flags that
    /// lead to the same home.
    pub fn text(&self, namespace: &str, place: &PlaceArgs) -> Option<String> {
        let switch = |to: &str| format!("sigilum-authz-notify auth switch {to}{}", context::place_flags(place));
        match self {
            Self::ForIt => None,
            Self::NoLongerFor(other) => Some(format!(
                "speaks for {namespace} now, no longer for {other}; to go back: {}",
                switch(other)
            )),
            Self::Still(other) => Some(format!(
                "still speaks for {other}; to have it speak for {namespace}: {}",
                switch(namespace)
            )),
        }
    }
}

/// Whether OpenClaw is told to run the plugin, which needs no entry and reads the token's file; `None` where its files are
/// not there.
pub fn plugin_runs(place: &OpenClawHome) -> Option<bool> {
    hook_files::look(place, Kind::Plugin)
        .ok()
        .filter(|found| found.state != "absent")?;
    let config = config::read(place).ok().flatten();
    let state = config.and_then(|config| plugin_package::state(&config.value, place).ok());
    Some(state.is_some_and(|state| state.runs()))
}

/// What of ours lies where OpenClaw looks; of both the plugin, which then answers.
pub fn installed(place: &OpenClawHome) -> Result<Option<Kind>> {
    for kind in [Kind::Plugin, Kind::Hook] {
        if hook_files::look(place, kind)?.state != "absent" {
            return Ok(Some(kind));
        }
    }
    Ok(None)
}
