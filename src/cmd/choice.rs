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
pub struct Choice {
    /// The hook's record, or what it begins with.
    pub record: HookRecord,
    /// What was taken over from the entry in openclaw.json, in words; empty where nothing was.
    pub adopted: Vec<String>,
}

impl Choice {
    /// The record; in a home of version 0.1.0, which has none but where somebody is logged in, what the entry says,
    /// taken once and told: namespace (where it is logged in), where the token stands, senders and groups.
    pub fn of(place: &OpenClawHome, entry: Option<&Entry>) -> Result<Self> {
        if let Some(record) = hook_record::read(&place.hook_record_file())? {
            return Ok(Self {
                record,
                adopted: Vec::new(),
            });
        }
        let Some(newest) = record::written_last(&place.sigilum_dir())? else {
            return Ok(Self {
                record: HookRecord::default(),
                adopted: Vec::new(),
            });
        };
        let mut choice = Self {
            record: HookRecord {
                namespace: Some(newest),
                ..HookRecord::default()
            },
            adopted: Vec::new(),
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
        Ok(Self {
            record,
            adopted: Vec::new(),
        })
    }

    fn adopt(&mut self, place: &OpenClawHome, entry: &Entry) {
        let logged_in = |namespace: &&str| place.record_file(namespace).exists();
        if let Some(namespace) = entry.namespace().filter(logged_in) {
            self.record.namespace = Some(namespace.to_owned());
            self.adopted.push(format!("namespace {namespace}"));
        }
        if entry.enabled {
            let holds = entry.token().is_some();
            self.record.token_in_config = Some(holds);
            self.adopted
                .push(format!("token in openclaw.json: {}", if holds { "yes" } else { "no" }));
        }
        if let Some(senders) = entry.var("SIGILUM_NOTIFY_SENDERS").map(sender_ids) {
            self.adopted.push(format!("senders {}", senders.join(", ")));
            self.record.senders = Some(senders);
        }
        if let Some(groups) = entry
            .var("SIGILUM_NOTIFY_GROUPS")
            .and_then(|text| Groups::from_str(text, true).ok())
        {
            self.adopted.push(format!("groups {}", groups.as_str()));
            self.record.groups = Some(groups);
        }
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
        let adopts = |name: &&str| self.adopted.contains(&format!("namespace {name}"));
        self.record.namespace.as_deref().filter(adopts)
    }

    /// Whether who reads the notice was taken over.
    pub fn adopts_readers(&self) -> bool {
        !self.adopted.is_empty() && (self.record.senders.is_some() || self.record.groups.is_some())
    }

    /// What was taken over, in words that follow "taken over".
    pub fn told(&self) -> Option<String> {
        (!self.adopted.is_empty()).then(|| {
            let adopted = self.adopted.join("; ");
            format!("from openclaw.json, once, into .sigilum/hook.json: {adopted}")
        })
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
