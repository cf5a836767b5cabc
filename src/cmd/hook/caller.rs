//! Who asks, and what counts for them besides the flags: a person at a terminal, or what the OpenClaw gateway starts.
//!
//! Agents can edit openclaw.json, and OpenClaw fills its gateway's environment from it. So what the gateway starts
//! believes the records in `.sigilum/` alone; of the environment HOME counts, which finds the default home.

use crate::broker::deciding::Deciding;
use crate::broker::protocol::Asking;
use crate::cli::{HookRunArgs, PlaceArgs};
use crate::cmd::context;
use crate::cmd::hook::deciders;
use crate::cmd::owner;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::home::{self, OpenClawHome};
use crate::hook::command::{People, channel_of, is_vouched};
use crate::hook::event::{Event, Readers, sender_ids};
use crate::hook_record::{Groups, HookRecord};
use crate::mode::Mode;
use crate::openclaw::entry::Entry;
use crate::origin::Origin;
use crate::settings::{self, Owner, OwnerQuery, Sourced};
use crate::token::record;
use clap::ValueEnum;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// OpenClaw's side waits for 5 s: for no time limit of anybody's any longer.
const EVENT_LIMIT: Duration = Duration::from_secs(4);
const EVENT_LIMIT_FOR_PERSON: Duration = Duration::from_secs(60);

/// Variables that say what a record says.
const RECORDED_ELSEWHERE: [&str; 4] = [
    "SIGILUM_NAMESPACE",
    "GATEWAY_SIGILUM_NAMESPACE",
    "SIGILUM_MODE",
    "SIGILUM_API_URL",
];

/// Variables that name a program or a file. What another user's home has recorded would be run, or read, as us.
const NAMES_FILES: [&str; 8] = [
    "SIGILUM_OWNER_TOKEN_COMMAND",
    "SIGILUM_API_DB",
    "SIGILUM_SOURCE_HOME",
    "SIGILUM_CONFIG_FILE",
    "OPENCLAW_CONFIG_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    context::TRUST_HOME,
];

/// Who asks.
pub struct Caller {
    /// Where things are.
    pub place: OpenClawHome,
    /// A person's environment; for the gateway HOME and what a person recorded.
    pub env: Env,
    /// What a person chose for the hook of this home; nothing, where there is no such record.
    pub record: HookRecord,
    /// The namespace that the records name; `None` in a home without any.
    pub namespace: Option<Sourced<String>>,
    asks: Asks,
    begun: Instant,
}

/// Who asks, and where.
enum Asks {
    /// A person at a terminal.
    Person,
    /// What the OpenClaw gateway started.
    Gateway,
    /// Somebody over a broker's socket.
    Guest(Guest),
}

/// Somebody over a broker's socket.
pub struct Guest {
    /// How a command of ours begins that the broker's user runs.
    pub program: String,
    /// It is a person at a terminal.
    pub by_hand: bool,
    /// Whether they decide.
    pub deciding: Deciding,
}

impl Caller {
    /// A person, or their own service.
    pub fn person(args: &PlaceArgs, env: &Env) -> Result<Self> {
        let begun = Instant::now();
        let place = context::place(args, env)?;
        let (namespace, record) = settings::hook_namespace(&place)?;
        Ok(Self {
            place,
            env: env.clone(),
            record,
            namespace,
            asks: Asks::Person,
            begun,
        })
    }

    /// What the OpenClaw gateway started, with this environment.
    pub fn gateway(args: &PlaceArgs, env: &Env) -> Result<Self> {
        let begun = Instant::now();
        let home = env.path("HOME").map(|home| ("HOME", home.into_os_string()));
        let found = home::find(args.openclaw_home.as_deref(), None, &Env::from_pairs(home.clone()))?;
        let (namespace, record) = settings::hook_namespace(&found)?;
        let recorded = record.env.iter().map(|(name, value)| (name.as_str(), value.into()));
        let env = Env::from_pairs(recorded.chain(home)).recorded();
        let mut env = env.without(&RECORDED_ELSEWHERE);
        let others = fs::another_user(&found.home);
        if others.is_some() {
            env = env.without(&NAMES_FILES);
        }
        context::heed_trust(&env);
        let believed = |path: &PathBuf| others.is_none_or(|uid| fs::is_of(path, uid));
        let recorded = || record.config_for(&found.home).filter(believed);
        let config = args.config.clone().or_else(recorded);
        let place = home::find(Some(&found.home), config.as_deref(), &env)?;
        Ok(Self {
            place,
            env,
            record,
            namespace,
            asks: Asks::Gateway,
            begun,
        })
    }

    /// Somebody who asks a broker over its socket: its home and environment, and what the question says of who reads what.
    /// `program`: how a command of ours begins that the broker's user runs.
    pub fn guest(place: &OpenClawHome, env: &Env, asking: &Asking, guest: Guest) -> Result<Self> {
        let begun = Instant::now();
        let (namespace, record) = settings::hook_namespace(place)?;
        let asking = asking.clone();
        Ok(Self {
            place: place.clone(),
            env: env.without(&RECORDED_ELSEWHERE).without(&["SIGILUM_DASHBOARD_URL"]),
            record: HookRecord {
                // Nobody recorded any: then whoever is in a direct chat reads, as elsewhere.
                senders: asking.senders,
                groups: asking.groups.or(Some(Groups::Brief)),
                deciders: asking.deciders,
                dashboard: asking.dashboard,
                timeout_ms: record.timeout_ms,
                ..HookRecord::default()
            },
            namespace,
            asks: Asks::Guest(guest),
            begun,
        })
    }

    /// Whether a person asks, at a terminal.
    pub fn is_person(&self) -> bool {
        matches!(self.asks, Asks::Person)
    }

    /// Whether a person reads the answer at a terminal, this one's or that of whoever asks over a broker's socket.
    pub fn is_by_hand(&self) -> bool {
        match &self.asks {
            Asks::Person => true,
            Asks::Gateway => false,
            Asks::Guest(guest) => guest.by_hand,
        }
    }

    /// Whether somebody asks over a broker's socket.
    pub fn is_guest(&self) -> bool {
        matches!(self.asks, Asks::Guest(_))
    }

    /// Whether they decide over the socket, where they ask over one.
    pub fn over_the_socket(&self) -> Option<Deciding> {
        match &self.asks {
            Asks::Guest(guest) => Some(guest.deciding),
            Asks::Person | Asks::Gateway => None,
        }
    }

    /// A command of ours, as whoever may run it types it.
    pub fn typed(&self, command: &str) -> String {
        match &self.asks {
            Asks::Guest(guest) => context::begun_with(&guest.program, command),
            Asks::Person | Asks::Gateway => command.to_owned(),
        }
    }

    /// Who may read how much. In a home of which nobody recorded that yet, as version 0.1.0 leaves it, openclaw.json can
    /// only shorten a notice to its brief form.
    pub fn readers(&self) -> Readers {
        let of_env = |name| self.env.var(name);
        let senders = self.record.senders.clone();
        let groups = self.record.groups;
        let readers = Readers {
            senders: senders.or_else(|| of_env("SIGILUM_NOTIFY_SENDERS").map(sender_ids)),
            groups: groups.or_else(|| Groups::from_str(of_env("SIGILUM_NOTIFY_GROUPS")?, true).ok()),
        };
        let undecided = !self
            .namespace
            .as_ref()
            .is_some_and(|namespace| namespace.origin == Origin::HookRecord);
        match readers == Readers::default() && undecided {
            true => Readers {
                senders: self.senders_of_entry(),
                groups: None,
            },
            false => readers,
        }
    }

    /// Who may read and decide by command in a chat: only whom a person recorded.
    pub fn people(&self) -> People {
        People {
            deciders: self.record.deciders.clone().unwrap_or_default(),
            senders: self.record.senders.clone().unwrap_or_default(),
        }
    }

    /// Whether the sender of an event, in a direct chat, can decide there by command.
    pub fn decides_in_chat(&self, event: &Event) -> bool {
        if self.is_guest() {
            return false;
        }
        let people = self.people();
        let recorded = |sender: &String| people.deciders.contains(sender) && is_vouched(channel_of(sender));
        let sender = event.sender().filter(|sender| event.by_plugin && recorded(sender));
        sender.is_some_and(|sender| self.unvouched(channel_of(&sender)).is_none())
    }

    /// Why nothing is decided on a channel, where its settings are not as they were recorded.
    pub fn unvouched(&self, channel: &str) -> Option<String> {
        if self.is_guest() {
            return None;
        }
        deciders::unvouched(&self.record, &self.place, channel, &self.place.flags(&self.env))
    }

    fn senders_of_entry(&self) -> Option<Vec<String>> {
        // A config that cannot be read says nothing, and keeps nobody from being told.
        let entry = context::entry(&self.place).ok().flatten()?;
        entry.var("SIGILUM_NOTIFY_SENDERS").map(sender_ids)
    }

    /// The entry in openclaw.json, where nothing else says who the hook speaks for: in a home without any record.
    pub fn entry_without_record(&self) -> Result<Option<Entry>> {
        match self.namespace {
            Some(_) => Ok(None),
            None => context::entry(&self.place),
        }
    }

    /// The namespace owner in force: what flags say, and a person's environment; else the records; in a home without any
    /// the entry.
    pub fn owner(&self, args: &HookRunArgs, entry: Option<&Entry>) -> Result<Owner> {
        if let Some(namespace) = args.owner.namespace.as_ref().filter(|_| self.is_guest()) {
            let known = record::namespaces(&self.place.sigilum_dir())?;
            if !known.contains(namespace) {
                let what = format!("could not ask for namespace {namespace:?}: the broker has no token of it");
                let mode = context::mode_of_home(&self.place, None).unwrap_or(Mode::Managed);
                let login = mode.login_command(&shell_words::quote(namespace)) + &self.place.flags(&self.env);
                return Err(Error::new(ExitCode::Token, what).next(login));
            }
        }
        let entry_env = || Ok(entry.map(|entry| entry.env.clone()));
        let query = OwnerQuery {
            entry_env: Some(&entry_env),
            is_hook: true,
            ..context::owner_query(&args.owner, &args.local_api)
        };
        owner::known(query, &self.env, &self.place, || self.place.flags(&self.env))
    }

    /// The dashboard's URL, unchecked.
    pub fn dashboard(&self) -> Option<&str> {
        self.setting("SIGILUM_DASHBOARD_URL", self.record.dashboard.as_deref())
    }

    /// When the whole answer must be ready.
    ///
    /// # Errors
    /// Where the time limit is none.
    pub fn deadline(&self) -> Result<Instant> {
        const NAME: &str = "SIGILUM_HOOK_TIMEOUT_MS";
        let longest = match self.is_person() {
            true => EVENT_LIMIT_FOR_PERSON,
            false => EVENT_LIMIT,
        };
        let recorded = self.record.timeout_ms.map(|ms| ms.to_string());
        let limit = match self.setting(NAME, recorded.as_deref()) {
            None => Some(EVENT_LIMIT),
            Some(text) => text.parse().ok().filter(|ms| *ms > 0).map(Duration::from_millis),
        };
        limit.map(|limit| self.begun + limit.min(longest)).ok_or_else(|| {
            let what = format!("invalid time limit ({NAME}, or timeout_ms of the hook's record)");
            Error::new(ExitCode::Usage, what).next("give it in milliseconds: export SIGILUM_HOOK_TIMEOUT_MS=4000")
        })
    }

    /// What a person says now wins over what they recorded; for the gateway there is nobody to say anything now.
    fn setting<'a>(&'a self, name: &str, recorded: Option<&'a str>) -> Option<&'a str> {
        match self.is_person() {
            true => self.env.var(name).or(recorded),
            false => recorded.or_else(|| self.env.var(name)),
        }
    }
}
